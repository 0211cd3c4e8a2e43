/* SPDX-License-Identifier: Apache-2.0 */
/* target.h - the container that something is to be done to: found by its name or the beginning of its id, with its control groups in every
 * hierarchy that matters.
 *
 * What is in /proc and in the control groups' names is partly made by whoever runs in the container.  A group is only taken as the container's
 * when a process of it really is listed there (cgroup.procs) and it is neither a root nor an ancestor of the group of process 1.  One thread. */
#pragma once
#include <sys/types.h>

#include "sensor/containers/hierarchy.h"

#define HF_TARGET_PROCS 65536u /* of one container */

struct hf_target {
    char id[160], name[160], image[256], image_digest[160], runtime[32], namespace_[128]; /* namespace_: of its pod; empty: none */
    uint64_t cgroup_id;  /* of its own group in h */
    uint32_t init_pid;   /* as its runtime told, 0: unknown */
    struct hf_hierarchy h;
    char group[4096];    /* its path in h */
    char dir[4352];      /* the same as a folder */
    char v2[4352];       /* folder of its own group in the unified hierarchy; empty: it has none of its own */
    char freezer[4352];  /* the same of the v1 freezer */
    bool bad_group;      /* it is, or holds, the group of the host's process 1 */
    bool kube_system;
};

/* Name (whole), or the beginning of its id.  HF_E_NOT_FOUND; HF_E_USAGE when several fit. */
HF_MUSTUSE int hf_target_find(const char *name, struct hf_target *ret, struct hf_err *err);
/* The container whose own group has this number, for those who know it from the sensor; id: its id as known there (checked against the path). */
HF_MUSTUSE int hf_target_by_group(uint64_t cgroup_id, const char *id, struct hf_target *ret, struct hf_err *err);
/* Its facts (name, image, pod) from the disk; for one found by its group. */
HF_MUSTUSE int hf_target_facts(struct hf_target *t, struct hf_err *err);
/* Groups of the other hierarchies, read again: a container that has started since.  HF_E_NOT_FOUND: it has no processes. */
HF_MUSTUSE int hf_target_groups(struct hf_target *t, struct hf_err *err);

/* The processes of a group and of all below it; *ret_n of them, at most max (HF_E_LIMIT beyond).  A group that is gone has none. */
HF_MUSTUSE int hf_target_procs(const char *dir, pid_t *out, size_t max, size_t *ret_n, struct hf_err *err);
/* Whether a process is in the container now. */
bool hf_target_has(const struct hf_target *t, pid_t pid);
/* Start of a process in clock ticks since boot (proc(5), stat 22); 0: gone. */
uint64_t hf_proc_start(pid_t pid);
/* A process of the container, preferably its first; 0: none. */
pid_t hf_target_pid(const struct hf_target *t);
