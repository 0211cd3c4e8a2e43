/* SPDX-License-Identifier: Apache-2.0 */
/* files.h - which files are watched, and files seen by fanotify(7) where the kernel half may not hook the file functions itself.
 *
 * The objects that watch.h names are looked for in the root of every container and of the host.  Where the kernel half has file hooks
 * (bpf/file.bpf.c) it gets their inodes, and its records are judged here by their paths (hf_files_judge).  Elsewhere fanotify marks lie on the objects that watch.h names, in the root of every container and of the host, so that nothing else costs anything.
 * A thread of its own puts them there: a file system of a container that does not answer keeps nobody else waiting (it is told).
 * Two groups: one for what matters most (keys, devices, ways out), one for the rest, so that a flood in the second one loses nothing of
 * the first.  A container's marks are set when its control group appears, through its root file system on the host, and once more through
 * /proc/PID/root when its first program starts, which reaches its volumes.
 *
 * fanotify tells the process by number only, and neither when nor how a file was opened: the records carry HF_F_PID_ONLY, the
 * time at which a thread that does nothing else read them (reader.h), and open flags when the descriptor is still there.  Needs CAP_SYS_ADMIN and Linux 5.9 (5.17 for both names of a
 * rename and for links).  All functions but the thread's own are the caller's thread's. */
#pragma once
#include "base/span.h"
#include "event/wire.h"

struct hf_files;
struct hf_watch_list;

typedef void (*hf_files_tell)(void *ctx, struct hf_span record);

/* Why this kernel does not allow it (0: it does). */
HF_MUSTUSE int hf_files_probe(char why[160]);
struct hf_files_opts {
    bool fanotify;           /* mark objects, read events */
    bool devices;            /* the kernel half tells of opened devices (bpf/device.bpf.c): fanotify leaves them out */
    int map_fd;              /* hf_watched of the kernel half, which gets the objects' inodes; -1: it sees no files */
    volatile uint64_t *bits; /* hf_file_bits of the kernel half; NULL with map_fd -1 */
    struct hf_watch_list *watch; /* what is watched; taken over, also when it fails.  NULL: the built-in rows */
    hf_files_tell tell;
    void *ctx;
};
HF_MUSTUSE int hf_files_new(struct hf_files **ret, const struct hf_files_opts *o, struct hf_err *err);
void hf_files_free(struct hf_files *f);
HF_DEFINE_FREEP(struct hf_files, hf_files_free)
/* To wait on (epoll). */
int hf_files_fd(const struct hf_files *f);
/* Events of these two processes are left out: the sensor's own. */
void hf_files_ignore(struct hf_files *f, uint32_t pid, uint32_t other_pid);

/* A CONTAINER record's facts; again when more is known.  running: it has been there before, what it does from now on counts. */
void hf_files_container(struct hf_files *f, uint64_t cgroup_id, struct hf_span pairs, bool running);
/* A program started in it (pid), or it mounted something: objects that were out of reach are looked for. */
void hf_files_look_again(struct hf_files *f, uint64_t cgroup_id, uint32_t pid);
/* Whether its first program has started: what was done to its files before is the runtime's work. */
bool hf_files_running(struct hf_files *f, uint64_t cgroup_id);
void hf_files_gone(struct hf_files *f, uint64_t cgroup_id);
/* A FILE record of the kernel half: false when no row asks for it.  Sets why it is watched; follows new names. */
bool hf_files_judge(struct hf_files *f, struct hf_wire_file *e, struct hf_span path, struct hf_span path2);
/* Whether hf_files_read has events to tell, at the price of a memory access. */
bool hf_files_has(const struct hf_files *f);
/* Tells what there is; returns how many events were read.  Never blocks. */
size_t hf_files_read(struct hf_files *f);
/* Once a second: a thread that hangs is replaced and told (text of *err, < 0). */
HF_MUSTUSE int hf_files_tick(struct hf_files *f, uint64_t now_ns, struct hf_err *err);
/* Objects that are watched, events lost in the kernel's queue or over a container's budget. */
void hf_files_stats(struct hf_files *f, size_t *ret_objects, uint64_t *ret_lost);
/* Waits until every mark that was asked for is set, at most `ms`; false when not (for the start, and tests). */
bool hf_files_settle(struct hf_files *f, unsigned ms);
