/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* demand.h - for objects that are loaded on demand (on-demand.c), alone: what the sensor's own object has once.  Maps of the same name are
 * those of the sensor's object. */
#pragma once
#include "emit.h"

const volatile __u32 hf_self_pid = 0;
const volatile __u32 hf_hierarchy = 0;
const volatile __u32 hf_v1_subsys = HF_CGROUP_V2;
const volatile __u32 hf_wake_bytes = 1024 * 1024;
__u64 hf_last_wake = 0;
char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The policy of the group, without taking of its budget: whether a look is worth it. */
static __always_inline bool hf_may_want(u64 cgroup_id, u32 type)
{
    struct hf_settings *set = hf_settings();
    struct hf_policy *p = bpf_map_lookup_elem(&hf_policies, &cgroup_id);
    if (!set)
        return false;
    return (p && p->container ? p->types : set->host_types) & (1ull << type);
}
