// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* gate.bpf.c - packets of one control group, counted against a rate or let through to named addresses only.
 *
 * A rate is kept as the time at which the bucket would be empty again (GCRA): one number a limit, no timer.  All limits of a direction are
 * judged under one lock, so that what one of them drops costs nothing of the others.  Loaded once a container and purpose; a pinned link
 * keeps it when its loader ends. */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

#include "gate.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define LOOPBACK_IFINDEX 1
#define TCP 6
#define UDP 17
#define TCP_SYN_BIT 0x02
#define TCP_ACK_BIT 0x10
#define SECOND_NS 1000000000ull
#define SOL_XDP 283

const volatile struct hf_gate_config config;

struct lane {
    struct bpf_spin_lock lock;
    __u32 pad;
    __u64 empty_ns[HF_GATE_RATES];
    struct hf_gate_counts counts;
};
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, HF_GATE_DIRECTIONS);
    __type(key, __u32);
    __type(value, struct lane);
} lanes SEC(".maps");

struct packet {
    __u8 peer[16];
    __u16 port;
    __u8 connect, udp;
};

static __attribute__((noinline)) int parse(struct __sk_buff *skb, struct packet *p, __u32 in)
{
    __u8 h[10] = {0}, port[2] = {0}, flags = 0, protocol;
    __u32 off;
    if (!p)
        return 0;
    if (skb->protocol == __builtin_bswap16(ETH_P_IP)) {
        if (bpf_skb_load_bytes(skb, 0, h, 10) || bpf_skb_load_bytes(skb, in ? 12 : 16, p->peer + 12, 4))
            return 0;
        off = (h[0] & 15u) * 4;
        protocol = h[9];
        p->peer[10] = p->peer[11] = 0xff;
        if ((h[6] & 0x1f) || h[7]) /* a later fragment has no ports */
            return 1;
    } else if (skb->protocol == __builtin_bswap16(ETH_P_IPV6)) {
        if (bpf_skb_load_bytes(skb, 0, h, 10) || bpf_skb_load_bytes(skb, in ? 8 : 24, p->peer, 16))
            return 0;
        off = 40;
        protocol = h[6];
    } else {
        return 0;
    }
    if (protocol == TCP && bpf_skb_load_bytes(skb, off + 13, &flags, 1) == 0)
        p->connect = (flags & (TCP_SYN_BIT | TCP_ACK_BIT)) == TCP_SYN_BIT;
    p->udp = protocol == UDP;
    if ((protocol == TCP || protocol == UDP) && bpf_skb_load_bytes(skb, off + (in ? 0 : 2), port, 2) == 0)
        p->port = (__u16)(port[0] << 8 | port[1]);
    return 1;
}

static __attribute__((noinline)) int allowed(struct packet *p)
{
    if (!p)
        return 0;
    for (__u32 i = 0; i < HF_GATE_ALLOW; i++) {
        const volatile struct hf_gate_allow *a = &config.allow[i];
        if (i >= config.n_allow)
            break;
        __u32 differ = 0;
        for (__u32 k = 0; k < 16; k++) {
            __u32 bits = a->prefix > k * 8 ? a->prefix - k * 8 : 0;
            __u32 mask = bits >= 8 ? 0xff : (0xff00u >> bits) & 0xff;
            differ |= (p->peer[k] ^ a->addr[k]) & mask;
        }
        if (!differ && (!a->port || a->port == p->port))
            return 1;
    }
    return 0;
}

static __always_inline __u64 cost(__u32 dir, __u32 what, __u64 n)
{
    __u64 rate = config.rate[dir][what];
    return rate ? n * SECOND_NS / rate : 0;
}

static __always_inline int gate(struct __sk_buff *skb, __u32 dir)
{
    struct packet p = {0};
    __u32 key = dir; /* dir itself stays a constant for the verifier */
    struct lane *l = bpf_map_lookup_elem(&lanes, &key);
    __u64 now = bpf_ktime_get_ns(), len = skb->len;
    int known = parse(skb, &p, dir == HF_GATE_IN), drop;
    if (!l || skb->ifindex == LOOPBACK_IFINDEX)
        return 1;
    drop = config.isolate ? !(known && allowed(&p)) : 0;
    /* many datagrams can be handed over as one (UDP_SEGMENT); of TCP that is the usual way, and no flood */
    __u32 segments = skb->gso_segs, n = p.udp && segments ? segments : 1;
    __u64 packets = cost(dir, HF_GATE_PACKETS, n), connects = p.connect ? cost(dir, HF_GATE_CONNECTS, 1) : 0, bytes = cost(dir, HF_GATE_BYTES, len), latest = now + HF_GATE_BURST_NS;
    bpf_spin_lock(&l->lock);
    if (!drop && packets && l->empty_ns[HF_GATE_PACKETS] > latest) {
        l->counts.dropped_by[HF_GATE_PACKETS] += n;
        drop = 1;
    }
    if (!drop && connects && l->empty_ns[HF_GATE_CONNECTS] > latest) {
        l->counts.dropped_by[HF_GATE_CONNECTS]++;
        drop = 1;
    }
    if (!drop && bytes && l->empty_ns[HF_GATE_BYTES] > latest) {
        l->counts.dropped_by[HF_GATE_BYTES]++;
        drop = 1;
    }
    if (drop) {
        l->counts.dropped_packets += n;
        l->counts.dropped_bytes += len;
    } else {
        l->counts.passed_packets += n;
        l->counts.passed_bytes += len;
        if (packets)
            l->empty_ns[HF_GATE_PACKETS] = (l->empty_ns[HF_GATE_PACKETS] > now ? l->empty_ns[HF_GATE_PACKETS] : now) + packets;
        if (connects)
            l->empty_ns[HF_GATE_CONNECTS] = (l->empty_ns[HF_GATE_CONNECTS] > now ? l->empty_ns[HF_GATE_CONNECTS] : now) + connects;
        if (bytes)
            l->empty_ns[HF_GATE_BYTES] = (l->empty_ns[HF_GATE_BYTES] > now ? l->empty_ns[HF_GATE_BYTES] : now) + bytes;
    }
    bpf_spin_unlock(&l->lock);
    if (dir == HF_GATE_OUT && config.mark && !drop && !skb->mark)
        skb->mark = config.mark;
    return !drop;
}

SEC("cgroup_skb/egress")
int hf_gate_out(struct __sk_buff *skb)
{
    return gate(skb, HF_GATE_OUT);
}

SEC("cgroup_skb/ingress")
int hf_gate_in(struct __sk_buff *skb)
{
    return gate(skb, HF_GATE_IN);
}

/* What sockets of AF_XDP send passes neither the programs above nor a hook of nftables.  They are of no use without memory and rings, which are asked for here. */
SEC("cgroup/setsockopt")
int hf_gate_xdp(struct bpf_sockopt *ctx)
{
    if (ctx->level == SOL_XDP)
        return 0;
    ctx->optlen = 0; /* as the process gave it, also where that is longer than a page */
    return 1;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
