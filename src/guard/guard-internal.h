/* SPDX-License-Identifier: Apache-2.0 */
/* guard-internal.h - the guard's parts: loop and modules (guard.c), containers and their seals (boxes.c), what ran (look.c). */
#pragma once
#include "guard/digests.h"
#include "guard/guard.h"
#include "guard/inuse.h"
#include "guard/judge.h"
#include "guard/seals.h"
#include "event/event.h"
#include "event/names.h"

#define HF_WAITING_MAX 512u   /* programs that wait for a seal or a digest; more are told as lost */
#define HF_BOX_SLOTS 4096u    /* twice HF_GUARD_CONTAINERS */
#define HF_RESEALS_MAX 2u     /* of one container */
#define HF_GUARD_FDS 64u      /* descriptors of modules */
#define HF_USED_MAX 256u      /* programs whose libraries are still to be looked at; the oldest goes */
#define HF_USED_SEEN 128u     /* programs of a container whose libraries were looked at */

struct hf_guard_box {
    struct hf_guard_container c;
    struct hf_buf text;           /* the facts that spans point into */
    struct hf_buf lower;          /* overlay lower directories */
    char no_lower[80];            /* why there are none, for a longer text */
    char image[HF_DIGEST_TEXT];   /* by which its seal is known; "" */
    bool no_seal;                 /* there will be none, as far as is known */
    uint64_t born_ns;
    unsigned resealed;            /* how often its seal was damaged */
    bool told_unsealed;           /* that was told */
    uint64_t root_ino, root_mnt;
    bool root_overlay;
    bool sees_served;             /* mounts that are not to be asked (slow.h), as of mounts_ns */
    uint64_t mounts_ns;
    struct hf_inuse *inuse;       /* NULL: not (yet) */
    uint64_t seen[HF_USED_SEEN];  /* hashes of programs */
    size_t next_seen;
    struct hf_guard_box *next;    /* with the same hash */
};

/* A file that ran and could not be judged yet. */
struct hf_waiting {
    bool used;
    int fd;
    struct hf_wire_hdr h;
    uint64_t cgroup_id, inode, ctime_ns;
    uint32_t dev, exec_flags, use;
    enum hf_where where;
    uint16_t path_n;
    char path[4096];
};

struct hf_used {
    uint64_t cgroup_id, at_ns;
    uint32_t pid, how; /* pid 0: free */
};

struct hf_guard_ready {
    int fd;
    void (*fn)(void *ctx, struct hf_guard *g, int fd);
    void *ctx;
};

struct hf_served { /* a device, and whether a process serves it */
    uint32_t dev;
    bool is;
    uint64_t at_ns;
};

struct hf_guard {
    struct hf_guard_opts o;
    struct hf_served served[64];
    int epoll;
    struct hf_guard_box *boxes[HF_BOX_SLOTS];
    size_t n_boxes;
    struct hf_digests *digests;
    struct hf_seals *seals;
    struct hf_inuse_store *store; /* NULL: not kept */
    struct hf_waiting *waiting;
    size_t n_waiting;
    struct hf_guard_ready ready[HF_GUARD_FDS];
    struct { const struct hf_guard_module *m; void *ctx; } modules[HF_GUARD_MODULES];
    unsigned n_modules;
    struct hf_buf out; /* records for the sensor, gathered until the loop is through */
    uint32_t own_mnt_ns, host_mnt_ns;
    uint64_t now_ns, tick_ns, host_root_dev, host_root_ino; /* ns; st_dev, st_ino */
    struct hf_used used[HF_USED_MAX];
    size_t next_used;
    uint64_t status_judged, cost_told_ns;
    uint64_t received, judged, lost, lost_told, lost_out, unboxed; /* counters */
    uint64_t by_verdict[16];
    char seal_error[256];
    bool closed;
};

/* Like hf_take, for a descriptor. */
static inline int hf_take_fd_(int *fd)
{
    int own = *fd;
    *fd = -1;
    return own;
}
#define hf_take_fd(fd) hf_take_fd_(&(fd))

/* boxes.c */
struct hf_guard_box *hf_box_of(struct hf_guard *g, uint64_t cgroup_id);
void hf_box_facts(struct hf_guard *g, const struct hf_event *ev);
void hf_box_end(struct hf_guard *g, uint64_t cgroup_id);
/* A process of it: opens its root, and finds or asks for its seal. */
void hf_box_process(struct hf_guard *g, struct hf_guard_box *b, uint32_t pid);
/* The next container that has none and wants one. */
void hf_box_seal_next(struct hf_guard *g);
/* The child that makes seals may have ended. */
void hf_box_made(struct hf_guard *g);
/* Its seal turned out to be damaged: taken from all containers of the image, removed, made anew.  false: that has been done often enough. */
bool hf_box_reseal(struct hf_guard *g, struct hf_guard_box *b, const struct hf_err *why);
void hf_boxes_done(struct hf_guard *g);

/* look.c */
void hf_look_exec(struct hf_guard *g, struct hf_guard_box *b, const struct hf_event *ev);
void hf_look_mem(struct hf_guard *g, struct hf_guard_box *b, const struct hf_event *ev);
/* Judges what waits, where that can be done now; of container `id` or, 0, of all. */
void hf_look_waiting(struct hf_guard *g, uint64_t id);
void hf_look_forget(struct hf_guard *g, uint64_t id);
/* used.c: a program started, with this path; a process waits for connections; each second: what is due. */
void hf_used_exec(struct hf_guard *g, struct hf_guard_box *b, const struct hf_wire_hdr *h, struct hf_span exe);
void hf_used_listens(struct hf_guard *g, struct hf_guard_box *b, const struct hf_event *ev);
void hf_used_look(struct hf_guard *g);
bool hf_used_pending(const struct hf_guard *g);
/* slow.c: a name below its root, as O_PATH, without asking anybody who serves a file system; < 0. */
int hf_box_open(struct hf_guard_box *b, struct hf_span path);
/* Where the file behind fd lies, by mounts. */
enum hf_where hf_look_where(const struct hf_guard_box *b, int fd, const struct stat *st);
uint32_t hf_kernel_dev(uint64_t st_dev);
