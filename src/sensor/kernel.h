/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.h - the kernel half in user space: finds out what this kernel allows, loads and attaches, gives the rings, the policies
 * and what it costs.  Needs CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN in practice (root).
 *
 * A *capability* is something to be seen ("ptrace"); it has a ladder of hooks, the best first.  Which rung serves it is found by
 * loading and attaching (LSM: by a denial), never by comparing versions. */
#pragma once
#include "event/wire.h"
#include "sensor/policy-map.h"
#include "sensor/ring.h"

struct hf_kernel;

struct hf_kernel_opts {
    uint32_t self_pid;     /* of the process whose own acts are not events */
    uint32_t hierarchy;    /* id of the hierarchy of the containers' groups (0: unified) */
    int v1_subsys;         /* index in css_set.subsys, found by name: hf_kernel_subsys; -1: unified */
    int v2_root_fd;        /* root of the unified hierarchy for network programs; -1: none mounted */
    struct hf_settings settings;
    void (*loaded)(void *ctx, struct hf_kernel *k); /* called before anything is attached, so that hooks on demand can be loaded while nothing waits in the rings; or NULL */
    void *ctx;
};

/* What serves one capability. */
struct hf_feature {
    const char *name, *title; /* "exec", "programs that start" */
    const char *hook;    /* what serves it; NULL: nothing does */
    const char *refused; /* the better hook that this kernel refused; NULL: the best one serves */
    char why[160];       /* reason of the refusal */
    const char *not_covered; /* what this rung does not see; NULL: nothing */
    bool needed;         /* without it the sensor does not start */
    uint64_t demand;     /* HF_DEMAND_*: it is only attached while that is asked for; 0: always */
    bool attached;       /* of those on demand: now */
    bool costly;         /* while it is attached, every system call of the host pays for it */
    bool measured;       /* the next two are known */
    uint64_t ns_per_s;   /* its programs' run time a second */
    uint64_t call_ns;    /* what a system call of somebody else took longer */
};

/* Settings that watch everything the default rules need. */
void hf_kernel_default_settings(struct hf_settings *ret);
/* Index of a v1 controller ("memory") in this kernel's css_set.subsys, or -ENOENT. */
int hf_kernel_subsys(const char *name);
HF_MUSTUSE int hf_kernel_open(struct hf_kernel **ret, const struct hf_kernel_opts *o, struct hf_err *err);
void hf_kernel_close(struct hf_kernel *k);
HF_DEFINE_FREEP(struct hf_kernel, hf_kernel_close)

struct hf_ring *hf_kernel_critical(struct hf_kernel *k);
struct hf_ring *hf_kernel_bulk(struct hf_kernel *k);
const struct hf_feature *hf_kernel_features(const struct hf_kernel *k, size_t *ret_n);

/* What is attached on demand (event/demand.h): from now on what `classes` need, and of `cheap` what nobody pays for who does nothing of the
 * kind; all else is detached.  Returns the classes that some hook serves now; the features say which.  Loads programs: tens of ms. */
uint64_t hf_kernel_demand(struct hf_kernel *k, uint64_t classes, uint64_t cheap);

/* Measures for a quarter of a second what is attached on demand costs on this host as it is, and detaches it. */
void hf_kernel_measure_demand(struct hf_kernel *k);

/* Whether files are to be seen from user space (files/files.h), because no hook of the kernel half serves some capability. */
bool hf_kernel_needs_fanotify(const struct hf_kernel *k);

/* Whether the kernel half tells of opened devices without its file hooks, so that fanotify need not. */
bool hf_kernel_tells_devices(struct hf_kernel *k);

/* The file hooks' map of watched inodes and its bits (policy-map.h); -1 when none of them serves. */
int hf_kernel_watched_fd(struct hf_kernel *k, volatile uint64_t **ret_bits);

/* A group of the containers' hierarchy becomes (part of) a container; also refreshes one that is known. */
HF_MUSTUSE int hf_kernel_policy_set(struct hf_kernel *k, uint64_t cgroup_id, uint64_t container_id, struct hf_err *err);
/* Once a second: what could not be done for a group that was only being made (programs attached to it). */
HF_MUSTUSE int hf_kernel_tick(struct hf_kernel *k, struct hf_err *err);
void hf_kernel_policy_delete(struct hf_kernel *k, uint64_t cgroup_id);
/* The groups that lost events since they are known. */
void hf_kernel_each_loss(struct hf_kernel *k, void (*fn)(void *ctx, uint64_t cgroup_id, const struct hf_policy *p), void *ctx);
/* Ordinary events of a container (all its groups): at most so many a second; 0: the usual budget. */
void hf_kernel_limit(struct hf_kernel *k, uint64_t container_id, uint64_t per_s);
/* Programs that deliver only such types, and never an urgent event, are taken off their hooks; those that were, and deliver others now, are
 * put back. */
HF_MUSTUSE int hf_kernel_leave_out(struct hf_kernel *k, uint64_t types, struct hf_err *err);
HF_MUSTUSE int hf_kernel_settings(struct hf_kernel *k, const struct hf_settings *s, struct hf_err *err);
/* Writes owners into the sockets that are there.  Call when the policies of the running containers are set, and again when a
 * group turned out to be a container later.  0, also where the kernel has no such iterator (capability "sockets-before"). */
HF_MUSTUSE int hf_kernel_seed_sockets(struct hf_kernel *k, struct hf_err *err);
/* Brings the rates of containers up to date with what their connections carried (capability "tcp-volume"; without it 0, and they lack that).  Before they are read. */
HF_MUSTUSE int hf_kernel_count_streams(struct hf_kernel *k, struct hf_err *err);
/* The bulk ring was read just now, something was in it, and it is read again within 6 ms: the next record need not wake the reader. */
void hf_kernel_looks_again(struct hf_kernel *k, uint64_t now_ns);
/* Sums over all processors. */
void hf_kernel_counters(struct hf_kernel *k, unsigned type, struct hf_counters *ret);

/* Cost: while statistics are on (they cost a little themselves, so only now and then), runs and time of every program. */
struct hf_hook_cost {
    const char *program;
    uint64_t types;    /* that it delivers (capabilities.h) */
    uint64_t runs, ns; /* since the statistics were first on */
    uint64_t insns;    /* as the verifier counted */
};
int hf_kernel_stats_on(struct hf_kernel *k, bool on);
size_t hf_kernel_costs(struct hf_kernel *k, struct hf_hook_cost *out, size_t max);
/* Bytes of kernel memory that maps and programs are charged. */
uint64_t hf_kernel_memory(struct hf_kernel *k);
/* Map of the object by name, for the parts that have their own (net, files); -ENOENT. */
int hf_kernel_map_fd(struct hf_kernel *k, const char *name);
