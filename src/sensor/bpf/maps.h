/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* maps.h - what the hook families share: switches set before loading, rings, per-container policy, scratch, counters.
 * __weak: every object has them, the linker keeps one. */
#pragma once
#include "ktypes.h"

#define __VMLINUX_H__ /* registers have their kernel names in bpf_tracing.h */
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "../../event/wire.h"
#include "../policy-map.h"

/* Set before load (rodata): the verifier drops what is off. */
extern const volatile __u32 hf_self_pid;      /* the sensor's own process: never traced */
extern const volatile __u32 hf_hierarchy;     /* id of the hierarchy whose cgroups are the containers' */
extern const volatile __u32 hf_v1_subsys;     /* index of its controller in css_set.subsys; HF_CGROUP_V2: the unified one */
extern const volatile __u32 hf_wake_bytes;    /* bulk ring: wake the reader above this many bytes */
extern __u64 hf_last_wake; /* of the bulk ring's reader */
#define HF_CGROUP_V2 255u

/* Hides from the compiler what it knows of v, so that the bound written next is in the program where the verifier looks for it. */
#define hf_opaque(v) asm volatile("" : "+r"(v))

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, HF_RING_CRITICAL_BYTES);
} hf_ring_critical SEC(".maps") __weak;

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, HF_RING_BULK_BYTES);
} hf_ring_bulk SEC(".maps") __weak;

/* cgroup id -> what is watched there.  Filled at cgroup creation by the kernel half, refined by the sensor. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, HF_MAX_CGROUPS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, u64);
    __type(value, struct hf_policy);
} hf_policies SEC(".maps") __weak;

/* Switches that change while running: [0] of struct hf_settings. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct hf_settings);
} hf_settings_map SEC(".maps") __weak;

/* Per processor, by type: seen, sent, lost. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, HF_COUNTER_TYPES);
    __type(key, u32);
    __type(value, struct hf_counters);
} hf_counters_map SEC(".maps") __weak;

/* One is taken with hf_scratch_get and given back with hf_scratch_put (emit.h): a program may be interrupted by another. */
struct hf_scratch {
    u64 busy;
    u32 level, off, flags, pad;            /* its own index; state of the walk along a path */
    u64 dentry, mnt, root_dentry, root_mnt; /* where the walk is, and where it ends */
    u64 work[12];                          /* the program's own: values that the verifier is not to tell apart */
    char record[HF_SCRATCH_BYTES];
    char path[HF_PATH_BYTES + 256];
};
#define HF_SCRATCHES 3u
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, HF_SCRATCHES);
    __type(key, u32);
    __type(value, struct hf_scratch);
} hf_scratch_map SEC(".maps") __weak;
