/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.h - the kernel half of prevention (src/sensor/bpf/guard.bpf.c) in user space: loads and attaches what this kernel takes, fills its maps,
 * reads what it refused.
 *
 * With `pin`, programs and maps outlive the process, so that a policy that fails closed holds when the guard is killed; a later guard, or
 * hf_guard_kernel_unpin, removes them.  One thread, but for hf_guard_kernel_verdict.  Needs root. */
#pragma once
#include "base/span.h"
#include "protect/guard-map.h"
#include "protect/policy.h"

#define HF_GUARD_PINS "/run/holdfast/guard" /* below it, a bpf file system for each folder of state: guards of several do not get in each other's way */
#define HF_GUARD_PINS_PATH 64u
void hf_guard_pins(const char *state_dir, char ret[HF_GUARD_PINS_PATH]);

struct hf_guard_kernel;
struct hf_guard_kernel_opts {
    uint32_t hierarchy;    /* as in struct hf_kernel_opts */
    int v1_subsys;
    int v2_root_fd;        /* -1: no programs for connections */
    const char *pin;       /* folder of a bpf file system, mounted when it is none yet; NULL: ends with the process */
    const char *state;     /* folder of the state that `pin` is of; symbolic links there say so, and whose they are.  NULL: none */
};
/* Also makes the calling process the guard: its end is noticed. */
HF_MUSTUSE int hf_guard_kernel_open(struct hf_guard_kernel **ret, const struct hf_guard_kernel_opts *o, struct hf_err *err);
void hf_guard_kernel_close(struct hf_guard_kernel *k); /* takes pins away */
HF_DEFINE_FREEP(struct hf_guard_kernel, hf_guard_kernel_close)
/* What a guard that was killed left behind. */
void hf_guard_kernel_unpin(const char *pin);
/* Each folder of pins with programs in it, of guards that run and of such as were killed: by which process, of which state (0 and "" if it does not say). */
void hf_guard_kernel_pinned(void (*fn)(void *ctx, const char *pin, uint64_t pid, const char *state), void *ctx);

/* Which rung refuses programs: HF_GUARD_BY_LSM or _SIGNAL; connections: HF_GUARD_BY_CGROUP or 0; and why not the better one. */
unsigned hf_guard_kernel_exec_rung(const struct hf_guard_kernel *k);
unsigned hf_guard_kernel_net_rung(const struct hf_guard_kernel *k);
unsigned hf_guard_kernel_device_rung(const struct hf_guard_kernel *k);
/* HF_GUARD_BY_LSM, _SIGNAL or 0, of a use of the kernel (HF_USE_*). */
unsigned hf_guard_kernel_use_rung(const struct hf_guard_kernel *k, unsigned use);
/* Whether every system call of the host takes longer while a rule forbids it. */
bool hf_guard_kernel_use_taxes(const struct hf_guard_kernel *k, unsigned use);
/* HF_GUARD_BY_LSM: security hooks can hold paths (hf_guard_kernel_hold); 0: mounts must. */
unsigned hf_guard_kernel_file_rung(const struct hf_guard_kernel *k);
const char *hf_guard_kernel_why(const struct hf_guard_kernel *k);

/* The same, of files that are mapped for execution. */
unsigned hf_guard_kernel_lib_rung(const struct hf_guard_kernel *k);
/* Whether somebody looks at them: without, what has no verdict is mapped.  What it was before. */
bool hf_guard_kernel_libs(struct hf_guard_kernel *k, bool on);
/* Processes that are stopped until somebody has looked: the map, also for other processes (it is inherited). */
int hf_guard_kernel_stopped_fd(const struct hf_guard_kernel *k);
/* Lets one go on, or kills it; once.  Any thread. */
void hf_guard_stopped_go(int fd, uint32_t pid, bool may);
/* All, as their policies fail; or only those that nobody was told of. */
void hf_guard_stopped_all(int fd, bool untold);

HF_MUSTUSE int hf_guard_kernel_rule(struct hf_guard_kernel *k, const struct hf_guard_rule *rule, struct hf_err *err);
/* Rule and verdicts of a container. */
void hf_guard_kernel_forget(struct hf_guard_kernel *k, uint64_t container);
/* 0, -E2BIG: no room (nothing is known then of this file), -errno. */
int hf_guard_kernel_verdict(struct hf_guard_kernel *k, const struct hf_guard_key *key, const struct hf_guard_verdict *v);
void hf_guard_kernel_flush_verdicts(struct hf_guard_kernel *k);
/* While nobody can ask for its files on file systems that somebody else serves (served.h): whether what has no verdict there may run. */
void hf_guard_kernel_unserved(struct hf_guard_kernel *k, uint64_t container, bool may);
/* A file or folder that the container may not write while its rule has HF_GUARD_FILES; what: HF_GUARD_HELD_*, added to what it is already.  -E2BIG, -errno. */
int hf_guard_kernel_hold(struct hf_guard_kernel *k, const struct hf_guard_key *key, uint32_t what);
void hf_guard_kernel_let_go(struct hf_guard_kernel *k, uint64_t container);
/* Somebody has a held file open for writing from before: writes are looked at too from now on. */
HF_MUSTUSE int hf_guard_kernel_open_before(struct hf_guard_kernel *k, struct hf_err *err);
/* From now on the process, and what it forks, may start any program; until it ends. */
void hf_guard_kernel_free_process(struct hf_guard_kernel *k, uint32_t pid);
bool hf_guard_kernel_is_free(struct hf_guard_kernel *k, uint32_t pid);
/* Destinations and ports of a policy, by its number.  HF_E_LIMIT. */
HF_MUSTUSE int hf_guard_kernel_nets(struct hf_guard_kernel *k, uint32_t number, const struct hf_prot_policy *p, struct hf_err *err);

/* A device that the policy of this number lists. */
HF_MUSTUSE int hf_guard_kernel_device(struct hf_guard_kernel *k, const struct hf_guard_device *d, struct hf_err *err);

/* Run time of its programs, as far as the kernel's statistics were on. */
uint64_t hf_guard_kernel_run_ns(const struct hf_guard_kernel *k);
int hf_guard_kernel_fd(const struct hf_guard_kernel *k); /* readable when something was refused */
void hf_guard_kernel_told(struct hf_guard_kernel *k, void (*fn)(void *ctx, const struct hf_guard_told *t), void *ctx);
