/* SPDX-License-Identifier: Apache-2.0 */
/* files-internal.h - what the two halves share: marks.c (puts marks, in the thread) and files.c (reads events). */
#pragma once
#include <pthread.h>

#include "sensor/files/files.h"
#include "sensor/files/reader.h"
#include "sensor/files/watch.h"

#define HF_OBJECT_BUCKETS 16384u
#define HF_OBJECTS_MAX 262144u
#define HF_ROOT_OBJECTS_MAX 2048u /* of one container or the host */
#define HF_ROOTS_MAX 4096u
#define HF_JOBS_MAX 4096u
#define HF_JOB_PATH 512u
#define HF_KEY_MAX 144u

enum { HF_GROUP_CRITICAL, HF_GROUP_BULK, HF_GROUPS };

/* A file handle with its file system's id: the identity of an inode in events. */
struct hf_object_key {
    uint16_t n;
    char bytes[HF_KEY_MAX];
};

struct hf_object { /* a marked inode */
    struct hf_object *next; /* of its bucket */
    uint64_t root;          /* cgroup id of the container; 0: the host */
    uint64_t inode;
    uint64_t mask[HF_GROUPS]; /* marked so far */
    struct hf_file_watch in_kernel; /* what the kernel half has of it */
    uint32_t dev /* kernel's encoding */, mode, uid, gid, nlink, fs_magic;
    bool followed; /* a directory that was looked through after it was made */
    uint16_t key_n, path_n;
    char text[]; /* key, then path from the root */
};

struct hf_root {
    uint64_t id; /* cgroup id; 0: the host */
    char *path;  /* of the root file system as the host sees it; NULL: unknown */
    uint32_t pid; /* a process in it, for /proc/PID/root; 0: none yet */
    unsigned objects, users; /* users: threads that look at it; the last one frees it when it is gone */
    bool gone, running, full; /* full: not everything is marked, told once */
    bool has_homes;
    struct hf_homes homes; /* written once, before the first object */
    uint64_t tokens, tokens_ns, lost, again_ns, ended_ns; /* ended_ns: 0: not; its last events may still wait */
};

struct hf_job { /* made when asked for: of a ring for all that may wait every page is used once, and stays */
    struct hf_job *next;
    uint64_t root;
    uint32_t pid;   /* look through /proc/PID/root; 0, or when it has ended: through the root's path */
    uint64_t due_ns; /* not before: hooks tell of what is about to be made */
    unsigned tries;
    char path[]; /* only rows that concern this path; empty: all */
};

/* A file that was there when its directory, itself new, got its mark: made in between, by whom is not known. */
struct hf_found {
    uint64_t root;
    char path[512];
};
#define HF_FOUND_MAX 1024u

struct hf_files {
    hf_files_tell tell;
    void *ctx;
    int fd[HF_GROUPS], epoll, wake; /* wake: an eventfd, written when something was found */
    struct hf_reader *reader; /* with fanotify */
    int map_fd; /* of the kernel half; -1: none */
    volatile uint64_t *bits;
    bool fanotify, devices, has_rename; /* has_rename: FAN_RENAME, FAN_REPORT_TARGET_FID */
    uint32_t ignored[2];
    struct hf_watch_list *watch;
    uint64_t lost, lost_told;
    struct hf_buf record;
    struct hf_recent { uint64_t key, time_ns; } *recent; /* what was told in the last second */

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t work;
    struct hf_object **buckets;
    size_t n_objects;
    struct hf_root **roots;
    size_t n_roots, cap_roots;
    struct hf_job *jobs, **last_job; /* by when they were asked for; where the next is put */
    size_t n_jobs;
    uint64_t busy_since_ns, generation; /* of the thread at work; a replaced one ends after its job */
    clockid_t busy_clock;               /* its processor time; what that said when it was last looked at */
    uint64_t busy_cpu_ns;
    uint64_t lost_jobs;
    struct hf_found *found;
    size_t n_found;
    unsigned threads;
    char trouble[200]; /* to be told by the next tick; empty: nothing */
    bool stop;
};

struct hf_root *hf_files_root(const struct hf_files *f, uint64_t id);
void hf_root_free(struct hf_root *r);
struct hf_object *hf_files_object(const struct hf_files *f, const struct hf_object_key *key);
void hf_object_key(struct hf_object_key *k, const void *fsid /* 8 bytes */, int type, const void *handle, size_t n);
/* Asks the thread; the caller holds the lock. */
void hf_files_ask(struct hf_files *f, uint64_t root, uint32_t pid, struct hf_span path, uint64_t due_ns, unsigned tries);
int hf_marks_start(struct hf_files *f);
/* Processor time of the thread at work (locked). */
uint64_t hf_files_cpu_ns(const struct hf_files *f);
/* Opens the root of a container (O_PATH), through the process if it is still there, else by its path (may be NULL); -errno. */
int hf_files_open_root(const char *path_or_null, uint32_t pid);
