/* SPDX-License-Identifier: Apache-2.0 */
/* hierarchy.h - which control group hierarchy tells containers apart on this host: the unified one where it has controllers
 * (or is the only one), else v1 memory, pids, cpuset or cpu.  Source: cgroups(7), /proc/cgroups, /proc/self/mountinfo. */
#pragma once
#include "base/span.h"

struct hf_hierarchy {
    uint32_t id;          /* as cgroup_root.hierarchy_id; 0: the unified one */
    bool unified;
    char controller[16];  /* v1: "memory" */
    char mount[256];      /* where it is mounted */
    char v2_mount[256];   /* where the unified hierarchy is mounted; empty: nowhere */
};
HF_MUSTUSE int hf_hierarchy_find(struct hf_hierarchy *ret, struct hf_err *err);
/* The same over the texts of /proc/self/mountinfo and /proc/cgroups; reach: whether such a file system can be reached at a path. */
typedef bool (*hf_hierarchy_reach)(const char *path, bool v2);
HF_MUSTUSE int hf_hierarchy_choose(struct hf_span mountinfo, struct hf_span cgroups, hf_hierarchy_reach reach, struct hf_hierarchy *ret, struct hf_err *err);
/* The path of a process in it, from the text of /proc/PID/cgroup. */
bool hf_hierarchy_path(const struct hf_hierarchy *h, struct hf_span proc_pid_cgroup, struct hf_span *ret);
/* Where another v1 controller ("freezer") is mounted, for its paths in /proc/PID/cgroup; false: not mounted, or in the unified hierarchy. */
bool hf_hierarchy_controller(const char *controller, struct hf_hierarchy *ret);
