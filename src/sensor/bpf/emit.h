/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* emit.h - whether an event is wanted, and how it is sent.
 *
 * A program first asks hf_wanted (group's policy, then its budget), then fills a record, then hf_send.  What cannot be sent
 * is counted per type and per container. */
#pragma once
#include "read.h"

static __always_inline struct hf_settings *hf_settings(void)
{
    u32 zero = 0;
    return bpf_map_lookup_elem(&hf_settings_map, &zero);
}

static __always_inline struct hf_counters *hf_counter(u32 type)
{
    return bpf_map_lookup_elem(&hf_counters_map, &type);
}

struct hf_want {
    u64 cgroup; /* whose event it is */
    u32 critical;
};

/* Refills and takes one token.  Races between processors cost or give a token now and then, no more. */
static __always_inline bool hf_take_token(struct hf_policy *p, const struct hf_settings *set)
{
    u64 now = bpf_ktime_get_boot_ns(), passed = now - p->tokens_ns, limit = p->limit_per_s;
    if (passed > 10000000ull) { /* 10 ms */
        u64 per_s = limit ? limit : set->budget_per_s, burst = limit ? limit : set->budget_burst;
        u64 more = passed > 1000000000ull ? burst : passed / 1000 * per_s / 1000000;
        u64 have = p->tokens + more;
        p->tokens = have > burst ? burst : have;
        p->tokens_ns = now;
    }
    if (p->tokens == 0)
        return false;
    p->tokens--;
    return true;
}

/* While the bulk ring fills, what tells least makes room for the rest: from a half on these types, from three quarters on seven of
 * eight events of a container that has used up half of its tokens.  One that floods does not hide what the others do. */
#define HF_LEAST_TELLING (1ull << HF_EV_RENAME | 1ull << HF_EV_IO_URING | 1ull << HF_EV_MEM | 1ull << HF_EV_PAYLOAD)
static __always_inline bool hf_makes_room(const struct hf_policy *p, const struct hf_settings *set, u64 bit)
{
    u64 waiting = bpf_ringbuf_query(&hf_ring_bulk, BPF_RB_AVAIL_DATA);
    if (waiting < HF_RING_BULK_BYTES / 2)
        return false;
    if (bit & HF_LEAST_TELLING)
        return true;
    return waiting > HF_RING_BULK_BYTES / 4 * 3 && p && p->tokens < set->budget_burst / 2 && (p->tokens & 7);
}

static __always_inline bool hf_pressed(struct hf_policy *p, const struct hf_settings *set, u32 type)
{
    if (!hf_makes_room(p, set, 1ull << type))
        return false;
    struct hf_counters *c = hf_counter(type);
    if (c)
        c->lost_pressure++;
    if (p)
        __sync_fetch_and_add(&p->lost_pressure, 1);
    return true;
}

/* 0: it does not go out; else HF_GOES, with HF_GOES_CRITICAL through the critical ring.  A function of its own (global, of numbers), so that kernels verify
 * its branches once and not with everything that follows. */
#define HF_GOES 1
#define HF_GOES_CRITICAL 2
__weak __attribute__((noinline)) int hf_goes_out(u64 cgroup_id, u32 type, u32 urgent)
{
    struct hf_settings *set = hf_settings();
    struct hf_policy *p = bpf_map_lookup_elem(&hf_policies, &cgroup_id);
    u64 bit = 1ull << (type & 63);
    u32 critical = urgent;
    if (!set)
        return 0;
    if (!p || !p->container) {
        if (!(set->host_types & bit) || (!urgent && (set->shed_host & bit)))
            return 0;
        return urgent ? HF_GOES | HF_GOES_CRITICAL : hf_pressed(NULL, set, type) ? 0 : HF_GOES;
    }
    if (!(p->types & bit))
        return 0;
    if (p->critical & bit)
        critical = 1;
    if (critical)
        return HF_GOES | HF_GOES_CRITICAL;
    if (set->shed_container & bit)
        return 0;
    bool exempt = p->limit_per_s && type == HF_EV_EXEC; /* who floods to be limited does not hide by it what he starts */
    if (!exempt && !(p->flags & HF_POLICY_NO_BUDGET) && !hf_take_token(p, set)) {
        struct hf_counters *c = hf_counter(type);
        if (c)
            c->lost_budget++;
        __sync_fetch_and_add(&p->lost_budget, 1);
        return 0;
    }
    return hf_pressed(p, set, type) ? 0 : HF_GOES;
}

/* Whether an event of this type in this group goes out; `urgent`: it goes through the critical ring and has no budget. */
static __always_inline bool hf_wanted(u64 cgroup_id, u32 type, bool urgent, struct hf_want *ret)
{
    int goes = hf_goes_out(cgroup_id, type, urgent);
    ret->cgroup = cgroup_id;
    ret->critical = goes & HF_GOES_CRITICAL;
    return goes & HF_GOES;
}

/* When the reader of the bulk ring is woken: when much waits, and when nothing waited and neither a wake-up nor a look that found something (which counts as
 * one) was within 5 ms.  Such a reader looks again every 6 ms until it finds nothing (sensor.c), so nothing stays, and an idle host costs no wake-up. */
static __always_inline u64 hf_bulk_wake(u64 now)
{
    u64 waiting = bpf_ringbuf_query(&hf_ring_bulk, BPF_RB_AVAIL_DATA);
    if (waiting > hf_wake_bytes)
        return BPF_RB_FORCE_WAKEUP;
    if (waiting == 0 && now - hf_last_wake > 5000000ull) {
        hf_last_wake = now;
        return BPF_RB_FORCE_WAKEUP;
    }
    return BPF_RB_NO_WAKEUP;
}

/* Sends record[0, len): pads to 8, sets len, chooses the ring. */
static __always_inline void hf_send(void *record, u32 len, const struct hf_want *want)
{
    struct hf_wire_hdr *h = record;
    struct hf_counters *c = hf_counter(h->type);
    long rc;
    if (len > HF_SCRATCH_BYTES - 8)
        return;
    len = (len + 7) & ~7u;
    h->len = len;
    if (want->critical) {
        h->flags |= HF_F_CRITICAL;
        rc = bpf_ringbuf_output(&hf_ring_critical, record, len, BPF_RB_FORCE_WAKEUP);
    } else {
        rc = bpf_ringbuf_output(&hf_ring_bulk, record, len, hf_bulk_wake(h->time_ns));
    }
    if (c) {
        c->seen++;
        if (rc)
            c->lost_ring++;
        else
            c->sent++;
    }
    struct hf_policy *p = rc ? bpf_map_lookup_elem(&hf_policies, &want->cgroup) : NULL;
    if (p)
        __sync_fetch_and_add(&p->lost_ring, 1);
}

/* A record to fill, or NULL when three programs of this processor are at it already (counted as lost). */
static __always_inline struct hf_scratch *hf_scratch_get(u32 type)
{
    for (u32 i = 0; i < HF_SCRATCHES; i++) {
        u32 key = i;
        struct hf_scratch *s = bpf_map_lookup_elem(&hf_scratch_map, &key);
        if (s && !s->busy) {
            s->busy = 1;
            s->level = i;
            return s;
        }
    }
    struct hf_counters *c = hf_counter(type);
    if (c)
        c->errors++;
    return NULL;
}
static __always_inline void hf_scratch_put(struct hf_scratch *s)
{
    s->busy = 0;
}

/* Appends the path that hf_path wrote into s->path from `from`; its length. */
static __always_inline u32 hf_add_path(struct hf_scratch *s, u32 *len, u32 from)
{
    u32 at = *len;
    if (from >= HF_PATH_BYTES || at > HF_SCRATCH_BYTES - HF_PATH_BYTES - 8)
        return 0;
    u32 n = (HF_PATH_BYTES - from) & (HF_PATH_BYTES * 2 - 1);
    if (n > HF_PATH_BYTES)
        return 0;
    bpf_probe_read_kernel(&s->record[at], n, &s->path[from & (HF_PATH_BYTES - 1)]);
    *len = at + n;
    return n;
}
/* Appends a string of the kernel without its NUL: at most max - 1 (max < HF_PATH_BYTES) bytes; its length. */
static __always_inline u32 hf_add_str(struct hf_scratch *s, u32 *len, const void *str, u32 max)
{
    u32 at = *len;
    if (!str || at > HF_SCRATCH_BYTES - HF_PATH_BYTES - 8)
        return 0;
    long n = bpf_probe_read_kernel_str(&s->record[at], max & (HF_PATH_BYTES - 1), str);
    if (n <= 1 || n > HF_PATH_BYTES)
        return 0;
    *len = at + (u32)n - 1;
    return (u32)n - 1;
}
/* The same from the memory of the process; the record gets HF_F_UNTRUSTED. */
static __always_inline u32 hf_add_user_str(struct hf_scratch *s, u32 *len, const void *str, u32 max)
{
    u32 at = *len;
    if (!str || at > HF_SCRATCH_BYTES - HF_PATH_BYTES - 8)
        return 0;
    ((struct hf_wire_hdr *)s->record)->flags |= HF_F_UNTRUSTED;
    long n = bpf_probe_read_user_str(&s->record[at], max & (HF_PATH_BYTES - 1), str);
    if (n <= 1 || n > HF_PATH_BYTES)
        return 0;
    *len = at + (u32)n - 1;
    return (u32)n - 1;
}
