/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* policy-map.h - values of the maps that the sensor and its kernel half share (not part of the wire). */
#pragma once
#include <linux/types.h>

#define HF_RING_CRITICAL_BYTES (256u * 1024)
#define HF_RING_BULK_BYTES (4u * 1024 * 1024)
#define HF_MAX_CGROUPS 4096u
#define HF_COUNTER_TYPES 64u
#define HF_DEVICES_TOLD 1024u
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
    __u64 lost_budget, lost_ring, lost_pressure; /* of this group */
    __u64 execs;
    __u32 flags;   /* HF_POLICY_* */
    __u32 listens; /* of the container's own group: TCP listeners that were opened in it */
    __u64 limit_per_s; /* bulk events of this group, instead of the usual budget; 0: the usual */
};
#define HF_POLICY_NO_BUDGET 0x1u
#define HF_POLICY_MAYBE 0x4u /* a runtime made the group; whether it is a container's user space has not said yet */

struct hf_settings {
    __u64 host_types;    /* types that are sent for processes outside containers */
    __u64 container_types, container_critical; /* what a new container starts with */
    __u64 budget_per_s, budget_burst; /* bulk events of one container */
    __u64 revision;      /* discarders and dedupe entries of another revision are void */
    __u64 dedupe_ns;     /* a repeated event is sent again after this long */
    __u64 shed_container, shed_host; /* types that are left out to save cost, but for those that are urgent */
};

struct hf_counters {
    __u64 seen, sent, lost_ring, lost_budget, lost_pressure, deduped, errors;
};

/* What of a watched file is told (files/watch.h names the files). */
#define HF_W_READ 0x1u   /* opened, also for reading only */
#define HF_W_WRITE 0x2u  /* opened for writing, written, truncated */
#define HF_W_NAMES 0x4u  /* made, removed, renamed, linked */
#define HF_W_ATTR 0x8u   /* mode, owner, attributes */
#define HF_W_EACH 0x10u  /* every write at once, not only when the file is closed */
#define HF_W_EXEC 0x20u  /* only when it is executable, or becomes so */

/* Files by inode: what the file hooks (bpf/file.bpf.c) look for.  A bit for each inode number says at once that most are not there. */
#define HF_MAX_WATCHED 32768u
#define HF_FILE_BITS 65536u
struct hf_file_key {
    __u64 inode;
    __u32 dev; /* major << 20 | minor */
    __u32 pad;
};
struct hf_file_watch {
    __u32 what;  /* HF_W_*, of the object and of what lies in it */
    __u32 watch; /* HF_WATCH_*; 0: it only leads to a watched one */
};
#define HF_WATCH_ITSELF 0x80000000u /* in a record's `watch` until it is judged: the file is watched, not only its folder */
/* Devices that say nothing of who opens them: null, zero, full, random, urandom; tty and ptmx, which are the process's own. */
static inline int hf_usual_device(int is_char, __u32 major_no, __u32 minor_no)
{
    if (!is_char)
        return 0;
    return (major_no == 1 && (minor_no == 3 || minor_no == 5 || minor_no == 7 || minor_no == 8 || minor_no == 9)) || (major_no == 5 && (minor_no == 0 || minor_no == 2));
}
static inline __u32 hf_file_bit(__u64 inode)
{
    return (__u32)(inode * 0x9e3779b97f4a7c15ull >> 48) & (HF_FILE_BITS - 1);
}
