/* SPDX-License-Identifier: Apache-2.0 */
/* track.h - who is who: the process tree, the containers, the names of addresses and both ends of connections, kept from the
 * stream of events alone.  The unprivileged side and a replay use the same code.
 *
 * Everything is bounded: processes, containers, sockets, names, and the bytes of their texts (hf_track_limits).  What is evicted
 * first: processes that ended, oldest first, then those longest without an event; never the ancestors of a living process that
 * is still known.  Pointers into the tracker are valid until the next hf_track_event.  One thread. */
#pragma once
#include "event/event.h"

struct hf_track;

struct hf_track_limits {
    size_t max_procs;      /* 0: 8192 */
    size_t max_containers; /* 0: 2048 */
    size_t max_sockets;    /* 0: 8192 */
    size_t max_names;      /* 0: 4096 */
    size_t max_text_bytes; /* 0: 4 MiB, all texts of processes together */
    size_t max_args_bytes; /* 0: 4096, of one process */
    size_t max_writers;    /* 0: 2048, files whose last writer is known */
};

/* How a session of a person began; a container's own work has none. */
enum hf_session_kind { HF_SESSION_NONE, HF_SESSION_EXEC /* docker exec, kubectl exec, podman exec */, HF_SESSION_SSH, HF_SESSION_LOGIN, HF_SESSION_CHECK /* a check of a policy of Holdfast */ };

/* The command on the host that opened a session (docker exec): whose it is cannot be told from the session, whose parent is the runtime. */
struct hf_opener {
    uint32_t pid, uid, login_uid; /* pid 0: not known; login_uid UINT32_MAX: nobody logged in for it */
    char name[16];                /* of its program */
};

struct hf_proc {
    uint32_t pid, ns_pid, ppid;
    uint64_t start_ns, exec_ns, last_ns, end_ns; /* 0: not (yet) */
    struct hf_proc *parent; /* NULL: not known.  Chain of ancestors; ends. */
    uint32_t uid, euid, gid, egid, login_uid, session_id, sid, tty, dev, exe_mode, exec_flags;
    uint64_t cap_eff, inode, cgroup_id;
    uint32_t mnt_ns, pid_ns, net_ns, user_ns;
    uint32_t exec_mnt_ns; /* where it was when its program was started; 0: not known */
    uint32_t exit_status;
    struct hf_span exe;  /* path from the root of its container; may be empty for kernel threads */
    struct hf_span comm;
    struct hf_span args; /* NUL between; args[0] included */
    struct hf_span cwd, env, filename, interp;
    struct hf_wire_stdio stdio[3];
    struct hf_container *container; /* NULL: host */
    enum hf_session_kind session;   /* of this process or the nearest ancestor that began one */
    struct hf_proc *session_root;   /* the first process of that session; NULL without one */
    struct hf_opener opener;        /* of a session's first process (HF_SESSION_EXEC) */
    uint64_t session_key;           /* one number for all that belongs together: a session, or the container's own work */
    bool seen_exec;                 /* its exec was seen or read from /proc: texts are real */
    uint32_t verdict;               /* of its program: HF_VERDICT_*; 0: not (yet) known */
    struct hf_reached_list *reached; /* by whom, if it accepts connections (reached.h) */
    uint64_t scratch[4];            /* for the rule engine: values per process; zero at first */
};

struct hf_container {
    uint64_t cgroup_id; /* of its own group; groups below belong to it too */
    struct hf_span id, name, image, image_digest, image_id, runtime, pod_name, pod_namespace, pod_uid, k8s_container, user, hostname, rootfs;
    struct hf_span pairs; /* all facts as told (names: docs/formats/events.md) */
    bool privileged, host_net, host_pid, host_ipc;
    uint64_t caps;        /* granted (bounding); ~0 unknown */
    uint64_t started_ns, ended_ns; /* since the epoch; 0: unknown, running */
    uint32_t index;       /* small number, reused after it ended */
    bool known;           /* facts were found, not only the id */
};

/* Who last wrote a file of a container, as file events told it; kept after the process ended. */
struct hf_writer {
    uint64_t time_ns; /* since the epoch */
    uint64_t start_ns;
    uint32_t pid;
    struct hf_span exe, args; /* the beginning of them; args: NUL between */
    /* The package manager that it is, or that it works for: its program, when that is the image's own file.  Empty: none. */
    struct hf_span manager;
    uint64_t manager_key; /* one number for all that one run of it writes; 0: none */
};

HF_MUSTUSE int hf_track_new(struct hf_track **ret, const struct hf_track_limits *limits_or_null, struct hf_err *err);
void hf_track_free(struct hf_track *t);
HF_DEFINE_FREEP(struct hf_track, hf_track_free)

/* Takes an event in and joins process, container, peers and names.  Returns 1 when it is new, 0 when it only repeats what is known
 * (a PROC of a known process, facts told again, first bytes of a connection that its other end tells of), < 0 without memory (the event is then still joined as far as known).
 * When its credentials or namespaces are not what the process had, *ret_cred is filled (type HF_EV_CRED) and 2 is returned. */
int hf_track_event(struct hf_track *t, struct hf_event *ev, struct hf_event *ret_cred);

const struct hf_container *hf_track_container(const struct hf_track *t, uint64_t cgroup_id);
const struct hf_container *hf_track_container_by_id(const struct hf_track *t, struct hf_span id_prefix);
struct hf_proc *hf_track_proc(const struct hf_track *t, uint32_t pid, uint64_t start_ns /* 0: the latest */);
/* Calls fn for every container / living process / edge of the map of who talks to whom; stops when fn returns false. */
void hf_track_each_container(const struct hf_track *t, bool (*fn)(void *ctx, const struct hf_container *c), void *ctx);
void hf_track_each_proc(const struct hf_track *t, bool (*fn)(void *ctx, const struct hf_proc *p), void *ctx);

/* One edge: from opens connections to `to` (or to a peer that is not on this host). */
struct hf_edge {
    const struct hf_container *from, *to; /* NULL: host process, or elsewhere when peer_local is false */
    struct hf_span from_exe, to_exe, peer_name;
    uint8_t peer[16];
    uint16_t port, protocol;
    bool peer_local; /* the other end is a process of this host */
    uint64_t count, bytes_out, bytes_in, first_ns, last_ns, failed;
};
void hf_track_each_edge(const struct hf_track *t, bool (*fn)(void *ctx, const struct hf_edge *e), void *ctx);
/* What the tables hold and what had to be evicted, for the status event. */
struct hf_track_stats {
    size_t procs, containers, sockets, names, edges, writers, text_bytes;
    uint64_t evicted_live_procs, unknown_procs;
};
void hf_track_stats(const struct hf_track *t, struct hf_track_stats *ret);
