/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* policy-map.h - values of the maps that the sensor and its kernel half share (not part of the wire). */
#pragma once
#include <linux/types.h>

#define HF_RING_CRITICAL_BYTES (256u * 1024)
#define HF_RING_BULK_BYTES (4u * 1024 * 1024)
#define HF_MAX_CGROUPS 4096u
#define HF_COUNTER_TYPES 64u
#define HF_PATH_BYTES 4096u
#define HF_SCRATCH_BYTES 24576u /* with the path below 32 KiB: the largest value of a per-processor array */
#define HF_ARGS_BYTES 8192u
#define HF_ENV_BYTES 4096u

/* What is watched in a group; the bit of an event type is 1 << HF_EV_*. */
struct hf_policy {
    __u64 types;      /* event types that are sent */
    __u64 container;  /* id of the container's own group; 0: not a container (host) */
    __u64 critical;   /* types that go through the critical ring */
    __u64 tokens_ns, tokens; /* bucket: time of the last refill, what is left */
    __u64 lost_budget, lost_ring; /* of this group; told so far only as sums over all */
    __u64 execs;
    __u32 flags;   /* HF_POLICY_* */
    __u32 listens; /* of the container's own group: TCP listeners that were opened in it */
};
#define HF_POLICY_NO_BUDGET 0x1u
#define HF_POLICY_PAYLOAD_ACCEPT 0x2u /* first bytes of incoming connections too, not only of outgoing ones */

struct hf_settings {
    __u64 host_types;    /* types that are sent for processes outside containers */
    __u64 container_types, container_critical; /* what a new container starts with */
    __u64 budget_per_s, budget_burst; /* bulk events of one container */
    __u64 revision;      /* discarders and dedupe entries of another revision are void */
    __u64 dedupe_ns;     /* a repeated event is sent again after this long */
};

struct hf_counters {
    __u64 seen, sent, lost_ring, lost_budget, deduped, errors;
};
