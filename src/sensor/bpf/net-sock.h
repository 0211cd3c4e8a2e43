/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* net-sock.h - what is remembered of sockets: who owns them, both ends, what was told.
 *
 * Packets and changes of state come in softirq, where the running task is anyone: so the owner's header is taken when a process
 * connects, listens, binds or sends, and every later event of that socket carries it (HF_F_OWNER).  The key is the socket's cookie,
 * which is never used twice.  Storage in the socket itself would be nearer, but costs two allocations and two frees under RCU for
 * each connection: measured 0.7 us of 8, where this table costs 0.15. */
#pragma once
#include "emit.h"

#include "../net/net-map.h"

#define IPPROTO_ICMP 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ICMPV6 58
#define IPPROTO_UDPLITE 136
#define IPPROTO_MPTCP 262
#define DNS_PORT 53

/* hf_sock.flags */
#define HF_SK_PENDING 0x1u /* connect was called, no packet yet */
#define HF_SK_OUT 0x2u     /* outgoing connection */
#define HF_SK_UP 0x4u      /* established */
#define HF_SK_TOLD 0x8u    /* ESTABLISHED or ACCEPT was sent: so is CLOSE */
#define HF_SK_ATTEMPT 0x10u /* CONNECT was sent: no ESTABLISHED any more */
#define HF_SK_LISTEN 0x20u
#define HF_SK_BOUND 0x40u  /* to a port of its own choice, or so it may be */
#define HF_SK_DNS 0x80u    /* UDP: talks to port 53 */
#define HF_SK_RAW 0x100u   /* packets are looked at for what they are */
#define HF_SK_OWNED 0x200u /* h is filled */
#define HF_SK_ACCEPTED 0x400u /* incoming connection */

struct hf_sock {
    struct hf_wire_hdr h; /* of the process that last connected, listened, bound or sent */
    u64 container;        /* its container's group; 0: host */
    u64 cookie;
    u64 since_ns;         /* tried, established, listening */
    u64 told_ns, revision; /* UDP: when `peer` was told of */
    u8 local[16], peer[16];
    u16 local_port, peer_port, family, protocol;
    u32 flags, backlog; /* backlog: of a listener; else: as many like it were left out before */
    u8 want_out, want_in, pad[6]; /* first bytes are still to come (bytes of their own: both directions run at once) */
    /* TCP: the kernel's socket, to ask what it carried, and what of that is in the rates already */
    u64 sk, bytes_out, bytes_in;
    u32 packets_out, packets_in;
};
static const struct hf_sock hf_sock_none;

/* Sockets that connect, were accepted, or send datagrams.  The least recently used goes when it is full; what is lost then is its
 * CLOSE and its part of the rates. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, HF_NET_SOCKS);
    __type(key, u64);
    __type(value, struct hf_sock);
} hf_socks SEC(".maps") __weak;

/* How many sockets with such a cookie are in the table.  Most packets and changes of state are of sockets that are not: this tells
 * so for a tenth of the price of a look-up.  What the table drops by itself stays counted, which costs look-ups, no more. */
#define HF_SOCK_SLOTS 16384u
extern __u32 hf_sock_slots[HF_SOCK_SLOTS]; /* here and below: defined once (net.bpf.c), since a weak one takes its room in every object */

/* Connections whose packets tell nothing any more, their first bytes being seen or not wanted: at a place that its number gives, the rest of the number.  What
 * a container's connections carry is asked of the kernel (hf_tcp_count), so their packets, nearly all there are, end here. */
#define HF_QUIET_SLOTS 16384u
extern __u32 hf_quiet[HF_QUIET_SLOTS];

static __always_inline u32 hf_quiet_mark(u64 cookie)
{
    return (u32)(cookie / HF_QUIET_SLOTS) | 1u << 31;
}
static __always_inline bool hf_is_quiet(u64 cookie)
{
    return hf_quiet[cookie & (HF_QUIET_SLOTS - 1)] == hf_quiet_mark(cookie);
}
static __always_inline void hf_set_quiet(u64 cookie, bool quiet)
{
    if (quiet != hf_is_quiet(cookie))
        hf_quiet[cookie & (HF_QUIET_SLOTS - 1)] = quiet ? hf_quiet_mark(cookie) : 0;
}

/* A connection: not a raw socket that sends what looks like one. */
static __always_inline bool hf_is_stream(const struct hf_sock *hs)
{
    return hs->protocol == IPPROTO_TCP && !(hs->flags & HF_SK_RAW);
}

static __always_inline struct hf_sock *hf_sock_get(u64 cookie)
{
    if (!hf_sock_slots[cookie & (HF_SOCK_SLOTS - 1)])
        return NULL;
    return bpf_map_lookup_elem(&hf_socks, &cookie);
}

static __always_inline void hf_sock_drop(u64 cookie)
{
    if (bpf_map_delete_elem(&hf_socks, &cookie) == 0)
        __sync_fetch_and_add(&hf_sock_slots[cookie & (HF_SOCK_SLOTS - 1)], -1);
}

static __always_inline struct hf_sock *hf_sock_make(u64 cookie)
{
    struct hf_sock *hs = hf_sock_get(cookie);
    if (hs)
        return hs;
    /* counted before it can be found by another processor that must not miss it */
    __sync_fetch_and_add(&hf_sock_slots[cookie & (HF_SOCK_SLOTS - 1)], 1);
    if (bpf_map_update_elem(&hf_socks, &cookie, &hf_sock_none, BPF_NOEXIST))
        __sync_fetch_and_add(&hf_sock_slots[cookie & (HF_SOCK_SLOTS - 1)], -1);
    hs = bpf_map_lookup_elem(&hf_socks, &cookie);
    if (hs)
        hs->cookie = cookie;
    return hs;
}

/* Listeners, found again by what a connection that they accept has of them.  Several sockets may share a place (SO_REUSEPORT):
 * the owner is the last that came. */
struct hf_place {
    u32 net_ns;
    u16 port, pad;
    u8 addr[16];
};
struct hf_listener {
    struct hf_sock s;
    u64 holders;
};
static const struct hf_listener hf_listener_none;
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, HF_NET_LISTENERS);
    __type(key, struct hf_place);
    __type(value, struct hf_listener);
} hf_listeners SEC(".maps") __weak;

/* Ports at which some container listened at some time: half-open connections to the others need no look-up.  Bytes, since bits would
 * have to be set by an instruction that 5.10 lacks. */
extern __u8 hf_container_ports[65536];

static __always_inline struct hf_listener *hf_listener_make(const struct hf_place *p)
{
    struct hf_listener *l = bpf_map_lookup_elem(&hf_listeners, p);
    if (l)
        return l;
    bpf_map_update_elem(&hf_listeners, p, &hf_listener_none, BPF_NOEXIST);
    return bpf_map_lookup_elem(&hf_listeners, p);
}

static __always_inline bool hf_is_mapped(const u8 a[16])
{
    const u64 *w = (const u64 *)a;
    return w[0] == 0 && (u32)w[1] == 0xffff0000u;
}

/* Who accepts at this place: bound to the address, to any of its family, to any at all; or one that listens without having bound,
 * whose port was not yet known when it was seen (0). */
static __always_inline struct hf_listener *hf_listener_at(u32 net_ns, u16 port, const u8 addr[16])
{
    struct hf_place p = {.net_ns = net_ns, .port = port};
    bool four = hf_is_mapped(addr);
    struct hf_listener *l;
    __builtin_memcpy(p.addr, addr, 16);
    l = bpf_map_lookup_elem(&hf_listeners, &p);
    if (l)
        return l;
    if (four) {
        __builtin_memset(p.addr + 12, 0, 4);
        l = bpf_map_lookup_elem(&hf_listeners, &p);
        if (l)
            return l;
        p.port = 0;
        l = bpf_map_lookup_elem(&hf_listeners, &p);
        if (l)
            return l;
        p.port = port;
    }
    __builtin_memset(p.addr, 0, 16);
    l = bpf_map_lookup_elem(&hf_listeners, &p);
    if (l)
        return l;
    p.port = 0;
    return bpf_map_lookup_elem(&hf_listeners, &p);
}

/* cgroup/connect* runs: an attempt that it did not note is not wanted. */
extern __u32 hf_attempts_seen;

/* What was told of lately, so that a repeated peer costs no event. */
struct hf_net_key {
    u64 a, b; /* address; or hash of a name */
    u32 pid;
    u16 port;
    u8 op, protocol;
};
struct hf_net_told {
    u64 time_ns, container;
    u32 revision, count;
};
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, HF_NET_SEEN);
    __type(key, struct hf_net_key);
    __type(value, struct hf_net_told);
} hf_net_seen SEC(".maps") __weak;

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, HF_MAX_CGROUPS);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, u64);
    __type(value, struct hf_rate_counts);
} hf_rates SEC(".maps") __weak;

/* A group. */
struct hf_group {
    u64 id, container, types;
    struct hf_policy *policy; /* NULL: host */
};

/* Whether anything of the network is wanted there. */
static __always_inline bool hf_group_of(u64 cgroup_id, struct hf_group *g)
{
    struct hf_settings *set = hf_settings();
    g->id = cgroup_id;
    g->policy = bpf_map_lookup_elem(&hf_policies, &g->id);
    g->container = 0;
    g->types = set ? set->host_types : 0;
    if (g->policy && g->policy->container) {
        g->container = g->policy->container;
        g->types = g->policy->types;
    } else {
        g->policy = NULL;
    }
    return g->container || (g->types & (1ull << HF_EV_NET | 1ull << HF_EV_PAYLOAD));
}

static __always_inline bool hf_group_here(struct hf_group *g)
{
    return hf_group_of(hf_cgroup_here(), g);
}

static __always_inline u32 hf_pid_here(void)
{
    if (!HF_TYPED_TASK)
        return (u32)BPF_CORE_READ(hf_task(), tgid);
    return (u32)bpf_get_current_task_btf()->tgid;
}

/* The running task owns the socket from now on. */
static __attribute__((noinline, unused)) int hf_sock_own(struct hf_sock *hs, u64 container)
{
    if (!hs)
        return 0;
    hf_fill_header(&hs->h, hf_task(), HF_EV_NET);
    hs->container = container;
    hs->flags |= HF_SK_OWNED;
    return 0;
}

static __always_inline bool hf_same_addr(const u8 a[16], const u8 b[16])
{
    const u64 *x = (const u64 *)a, *y = (const u64 *)b;
    return x[0] == y[0] && x[1] == y[1];
}

/* Services that hand out credentials to whoever asks: 169.254.169.254 (most clouds), 169.254.170.2 (ECS tasks),
 * 169.254.170.23 (EKS pods), 100.100.100.200 (Alibaba), 192.0.0.192 (Oracle), fd00:ec2::254 and fd00:ec2::23 (AWS). */
static __always_inline bool hf_is_metadata(const u8 a[16])
{
    const u64 *w = (const u64 *)a;
    u32 v4 = (u32)(w[1] >> 32);
    if (hf_is_mapped(a))
        return v4 == __builtin_bswap32(0xa9fea9feu) || v4 == __builtin_bswap32(0xa9feaa02u) || v4 == __builtin_bswap32(0xa9feaa17u) ||
                v4 == __builtin_bswap32(0x646464c8u) || v4 == __builtin_bswap32(0xc00000c0u);
    return w[0] == __builtin_bswap64(0xfd000ec200000000ull) && (w[1] == __builtin_bswap64(0x254) || w[1] == __builtin_bswap64(0x23));
}

/* The family of the packets: a socket of AF_INET6 may carry IPv4. */
static __always_inline u16 hf_wire_family(u16 family, const u8 local[16], const u8 peer[16])
{
    return family == AF_INET6 && (hf_is_mapped(peer) || hf_is_mapped(local)) ? AF_INET : family;
}

#define HF_NET_NOW 1u    /* the owner itself is running */
#define HF_NET_URGENT 2u

/* Sends an event of the socket; whether it was wanted. */
static __attribute__((noinline, unused)) int hf_net_send(struct hf_sock *hs, u32 op, u32 how, u64 bytes_out, u64 bytes_in)
{
    struct hf_want want;
    struct hf_wire_net e;
    if (!hs)
        return 0;
    if (!hf_wanted(hs->h.cgroup_id, HF_EV_NET, how & HF_NET_URGENT, &want))
        return 0;
    u64 now = bpf_ktime_get_boot_ns();
    __builtin_memcpy(&e.h, &hs->h, sizeof e.h);
    e.h.type = HF_EV_NET;
    e.h.cpu = bpf_get_smp_processor_id();
    e.h.time_ns = now;
    if (!(how & HF_NET_NOW))
        e.h.flags |= HF_F_OWNER;
    e.cookie = hs->cookie;
    e.bytes_out = bytes_out;
    e.bytes_in = bytes_in;
    e.duration_ns = op == HF_NET_CLOSE || op == HF_NET_FAILED ? now - hs->since_ns : 0;
    __builtin_memcpy(e.local, hs->local, 16);
    __builtin_memcpy(e.peer, hs->peer, 16);
    e.op = op;
    e.family = hf_wire_family(hs->family, hs->local, hs->peer);
    e.protocol = hs->protocol;
    e.local_port = hs->local_port;
    e.peer_port = hs->peer_port;
    e.backlog = hs->backlog;
    hf_send(&e, sizeof e, &want);
    return 1;
}

static __always_inline void hf_count_deduped(u32 type)
{
    struct hf_counters *c = hf_counter(type);
    if (c)
        c->deduped++;
}

/* Whether (process, op, address, port) was told of `most` times within the time that the settings give; notes that it is once more
 * now.  *ret_left_out: as many as were not told in the time before this one. */
static __always_inline bool hf_net_was_told(const struct hf_net_key *key, u64 container, u32 most, u32 *ret_left_out)
{
    struct hf_settings *set = hf_settings();
    u64 now = bpf_ktime_get_boot_ns();
    struct hf_net_told *t = bpf_map_lookup_elem(&hf_net_seen, key);
    *ret_left_out = 0;
    if (!set)
        return true;
    if (t && t->revision == (u32)set->revision) {
        u32 count = t->count;
        if (now - t->time_ns < set->dedupe_ns) {
            t->count = count + 1;
            return count >= most;
        }
        t->time_ns = now;
        t->container = container;
        t->count = 1;
        *ret_left_out = count > most ? count - most : 0;
        return false;
    }
    struct hf_net_told fresh = {now, container, (u32)set->revision, 1};
    bpf_map_update_elem(&hf_net_seen, key, &fresh, BPF_ANY);
    return false;
}

/* The short way through a storm: counts one more of what was told of `most` times already.  NULL: look closer. */
static __always_inline struct hf_net_told *hf_net_storm(const struct hf_net_key *key, u32 most)
{
    struct hf_settings *set = hf_settings();
    struct hf_net_told *t = bpf_map_lookup_elem(&hf_net_seen, key);
    if (!set || !t || t->count < most || t->revision != (u32)set->revision || bpf_ktime_get_boot_ns() - t->time_ns >= set->dedupe_ns)
        return NULL;
    t->count++;
    hf_count_deduped(HF_EV_NET);
    return t;
}

static const struct hf_rate_counts hf_rate_none;

/* Packets come fast: user space is told at once, through the ring that wakes it. */
static __attribute__((noinline, unused)) int hf_rate_look(struct hf_rate_counts *r, u64 container)
{
    if (!r)
        return 0;
    u64 now = bpf_ktime_get_boot_ns(), since = now - r->points_ns, points = r->points;
    if (since < HF_FAST_NS)
        return 0;
    r->points = 0;
    r->points_ns = now;
    if (points * 1000000ull < since * HF_FAST_PER_MS)
        return 0;
    struct hf_wire_hdr *h = bpf_ringbuf_reserve(&hf_ring_critical, sizeof *h, 0); /* the stack has no room for it */
    if (!h)
        return 0; /* the next will do */
    __builtin_memset(h, 0, sizeof *h);
    h->len = sizeof *h;
    h->type = HF_EV_RATE;
    h->version = HF_WIRE_VERSION;
    h->flags = HF_F_CRITICAL | HF_F_NO_PROC | HF_F_EARLY;
    h->time_ns = now;
    h->cgroup_id = container;
    bpf_ringbuf_submit(h, BPF_RB_FORCE_WAKEUP);
    return 1;
}

static __always_inline void hf_rate_points(struct hf_rate_counts *r, u64 container, u32 points)
{
    r->points += points;
    if (r->points >= HF_FAST_POINTS)
        hf_rate_look(r, container);
}

/* Counters of a container on this processor. */
static __always_inline struct hf_rate_counts *hf_rate_of(u64 container, u32 net_ns)
{
    struct hf_rate_counts *r;
    if (!container)
        return NULL;
    r = bpf_map_lookup_elem(&hf_rates, &container);
    if (r)
        return r;
    bpf_map_update_elem(&hf_rates, &container, &hf_rate_none, BPF_NOEXIST);
    r = bpf_map_lookup_elem(&hf_rates, &container);
    if (r)
        r->net_ns = net_ns;
    return r;
}

/* ---- what connections carry ---- */

static __always_inline struct tcp_sock *hf_tcp_of(const struct hf_sock *hs)
{
    struct sock *sk = (void *)hs->sk;
    /* gone meanwhile, its memory is another socket's: the kernel keeps it for sockets alone, and a number is given once */
    return sk && (u64)BPF_CORE_READ(sk, __sk_common.skc_cookie.counter) == hs->cookie ? (struct tcp_sock *)sk : NULL;
}

/* What the connection carries from now on counts. */
static __always_inline void hf_tcp_count_from_now(struct hf_sock *hs, struct sock *sk)
{
    struct tcp_sock *tp = (void *)sk;
    hs->sk = (u64)sk;
    hs->bytes_out = BPF_CORE_READ(tp, bytes_sent);
    hs->bytes_in = BPF_CORE_READ(tp, bytes_received);
    hs->packets_out = BPF_CORE_READ(tp, segs_out);
    hs->packets_in = BPF_CORE_READ(tp, segs_in);
}

/* Adds to the rates of its container what it carried since it was asked last: payload, and segments of any kind. */
static __attribute__((noinline, unused)) int hf_tcp_count(struct hf_sock *hs)
{
    if (!hs || !hs->container)
        return 0;
    struct tcp_sock *tp = hf_tcp_of(hs);
    struct hf_rate_counts *r = tp ? hf_rate_of(hs->container, hs->h.net_ns) : NULL;
    if (!r)
        return 0;
    u64 bytes_out = hs->bytes_out, bytes_in = hs->bytes_in;
    u32 packets_out = hs->packets_out, packets_in = hs->packets_in;
    hf_tcp_count_from_now(hs, (struct sock *)tp);
    r->bytes_out += hs->bytes_out - bytes_out;
    r->bytes_in += hs->bytes_in - bytes_in;
    r->packets_out += hs->packets_out - packets_out;
    r->packets_in += hs->packets_in - packets_in;
    return 0;
}
