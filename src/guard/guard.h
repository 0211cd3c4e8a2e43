/* SPDX-License-Identifier: Apache-2.0 */
/* guard.h - the third process of `watch`: holds what runs in containers against the seals of their images, and carries the modules that
 * refuse (src/protect).  Privileged: it opens files of containers (CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE for /proc/PID/root and exe), and its
 * modules answer fanotify permission events (CAP_SYS_ADMIN), load programs (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON) and kill (CAP_KILL).
 *
 * It is fed by the sensor over a SOCK_SEQPACKET socket: copies of CONTAINER, CONTAINER_END, EXEC, PROC and MEM records; it sends records
 * (VERDICT, STATUS, LOSS) back over the same socket, and the sensor hands them on as its own.  Neither waits for the other: what does not fit
 * is dropped and counted (LOSS of type VERDICT).  When it ends, containers go on; the sensor says so (STATUS `guard` = `gone`).
 *
 * One thread and one epoll loop own all state here; a second thread hashes files that are too large to be waited for.  Modules are called
 * from the loop alone and must not block. */
#pragma once
#include "event/event.h"
#include "seal/seal.h"

struct hf_guard;
struct hf_err;

#define HF_GUARD_MODULES 8u        /* modules at most */
#define HF_GUARD_CONTAINERS 2048u  /* containers at most; more are not judged, and counted */
#define HF_JUDGE_NOW_BYTES (64ull << 20) /* a larger file is hashed by the second thread */
#define HF_JUDGE_TEXT 1024u

struct hf_guard_container {
    uint64_t cgroup_id;
    /* Facts as the sensor told them (docs/formats/events.md); spans live as long as the container, or until container_start comes again. */
    struct hf_span pairs, id, name, image, image_digest, image_id, runtime, pod_namespace, pod_name;
    uint32_t pid;         /* of a process in it, the first that was seen; 0: none yet */
    int root_fd;          /* its root directory (O_PATH), opened when a process of it was first seen; -1: not (yet) */
    uint32_t root_dev;    /* st_dev of the root, kernel's encoding (major << 20 | minor) as in records */
    struct hf_seal *seal; /* of its image; NULL: none (yet) */
    bool sealing;         /* one is being made */
    bool privileged;
    void *module[HF_GUARD_MODULES]; /* a module's own, at its index; the module frees it in container_end */
};
/* Value of a fact ("label.team"); empty: it has none. */
struct hf_span hf_guard_fact(const struct hf_guard_container *c, const char *name);

struct hf_judgement {
    uint32_t verdict;     /* HF_VERDICT_* */
    uint32_t dev, mode;   /* of the file, dev in the kernel's encoding */
    uint64_t inode, ctime_ns, size;
    bool has_got, has_want;
    uint8_t got[32], want[32];
    bool racy;            /* it was changed so shortly before that another look may say otherwise */
    uint16_t sealed_path_n, package_n;
    char sealed_path[HF_JUDGE_TEXT], package[HF_JUDGE_TEXT]; /* not NUL-terminated */
};

/* What the file behind fd (open for reading) is, that the container calls `path` (absolute, links resolved, from its root).  Hashed once per
 * (device, inode, change time).  0; -EINPROGRESS: larger than HF_JUDGE_NOW_BYTES and not known yet, `judged` will be called;
 * -EAGAIN: the seal is being made, ask again after container_start or `sealed`; -ENOENT: no such container.  fd stays the caller's. */
HF_MUSTUSE int hf_judge_fd(struct hf_guard *g, uint64_t cgroup_id, int fd, struct hf_span path, struct hf_judgement *ret);
/* The same without hashing: 1 and the verdict when it is known for this state of the file; 0: not. */
int hf_judge_known(struct hf_guard *g, uint64_t cgroup_id, int fd, struct hf_span path, struct hf_judgement *ret);

/* Whether the file system of this device, as the process sees it, is served by a process (FUSE): it may never answer, so nothing there is opened.  The
 * container's root does not count. */
bool hf_guard_served(struct hf_guard *g, const struct hf_guard_container *c, uint32_t pid, uint32_t dev);

/* NULL: no such container.  cgroup_id: its own or of a group below it, as records have it. */
struct hf_guard_container *hf_guard_container(struct hf_guard *g, uint64_t cgroup_id);
void hf_guard_each_container(struct hf_guard *g, void (*fn)(void *ctx, struct hf_guard *g, struct hf_guard_container *c), void *ctx);

/* A process of a container was seen by a module, before the sensor told of it: opens root_fd, and has a seal found or made. */
void hf_guard_seen(struct hf_guard *g, uint64_t cgroup_id, uint32_t pid);

/* What a module wants to be called for; any may be NULL. */
struct hf_guard_module {
    const char *name;
    /* Once, before the first record and before privileges are given up; index: of `module` in containers. */
    int (*start)(void *ctx, struct hf_guard *g, unsigned index, struct hf_err *err);
    void (*container_start)(void *ctx, struct hf_guard *g, struct hf_guard_container *c); /* facts are there; again when more is known */
    void (*container_root)(void *ctx, struct hf_guard *g, struct hf_guard_container *c);  /* root_fd and pid are there */
    void (*container_end)(void *ctx, struct hf_guard *g, struct hf_guard_container *c);
    void (*sealed)(void *ctx, struct hf_guard *g, struct hf_guard_container *c);          /* c->seal is there, or there will be none */
    void (*event)(void *ctx, struct hf_guard *g, struct hf_guard_container *c, const struct hf_event *ev); /* EXEC, PROC, MEM, FILE of a container */
    /* Of what the sensor told of, after it began (h: its process; use: HF_USE_*; exec_flags: HF_X_*).  true: the module has told of it, nobody else need. */
    bool (*judged)(void *ctx, struct hf_guard *g, struct hf_guard_container *c, const struct hf_wire_hdr *h, unsigned use, uint32_t exec_flags, struct hf_span path,
            const struct hf_judgement *j);
    bool (*enforces)(void *ctx, struct hf_guard *g, const struct hf_guard_container *c); /* somebody there is kept waiting for a verdict */
    uint64_t (*kernel_ns)(void *ctx, struct hf_guard *g); /* run time of its programs in the kernel, while that is measured */
    void (*tick)(void *ctx, struct hf_guard *g, uint64_t now_ns); /* each second, CLOCK_BOOTTIME */
    void (*end)(void *ctx, struct hf_guard *g);
};
/* Before hf_guard_run.  `m` must live as long as the guard. */
HF_MUSTUSE int hf_guard_add(struct hf_guard *g, const struct hf_guard_module *m, void *ctx, struct hf_err *err);
/* A descriptor of a module in the loop: `ready` is called when it can be read. */
HF_MUSTUSE int hf_guard_watch(struct hf_guard *g, int fd, void (*ready)(void *ctx, struct hf_guard *g, int fd), void *ctx, struct hf_err *err);
void hf_guard_unwatch(struct hf_guard *g, int fd);

/* A record for the engine; len and version are set, texts behind the fixed part.  Dropped and counted when the sensor is behind. */
void hf_guard_tell(struct hf_guard *g, struct hf_span record);
/* A VERDICT record of these; hdr: of the process (an event's header), NULL: only the container is known. */
void hf_guard_tell_verdict(struct hf_guard *g, const struct hf_guard_container *c, const struct hf_wire_hdr *hdr_or_null, struct hf_span path, const struct hf_judgement *j,
        unsigned use, unsigned action, unsigned rung, struct hf_span policy, struct hf_span clause);
/* A STATUS record of one name and text. */
void hf_guard_tell_status(struct hf_guard *g, const char *name, struct hf_span value);

struct hf_guard_opts {
    int fd;                   /* to the sensor, SOCK_SEQPACKET */
    const char *state_dir;    /* HF_STATE_DIR: seals, inuse */
    uint32_t sensor_pid, engine_pid; /* never judged, never killed */
    volatile const int *stop; /* becomes non-zero when it is to end; so does the end of the socket */
    bool no_sandbox;
};
HF_MUSTUSE int hf_guard_new(struct hf_guard **ret, const struct hf_guard_opts *o, struct hf_err *err);
/* Until the sensor is gone (0). */
HF_MUSTUSE int hf_guard_run(struct hf_guard *g, struct hf_err *err);
void hf_guard_free(struct hf_guard *g);
HF_DEFINE_FREEP(struct hf_guard, hf_guard_free)
