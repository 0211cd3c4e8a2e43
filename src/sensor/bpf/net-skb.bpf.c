// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* net-skb.bpf.c - packets of sockets (H8): DNS questions and answers, the first bytes of a connection, counters per container.
 *
 * Runs for every packet where containers are, so the first thing is whether its socket is one that nobody asks about any more: most are.
 * Addresses are the socket's, not the packet's, which may have been translated by then (the resolver that a runtime
 * puts at 127.0.0.11:53).  A message over loopback passes twice, out of one socket and into the other: DNS is told of by the
 * end that asks, a stream by both ends, of which user space knows which belong together (event/track-net.c). */
#include "net-sock.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define IPPROTO_HOPOPTS 0
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_DSTOPTS 60
#define TCP_SYN_BIT 0x02
#define TCP_ACK_BIT 0x10
#define TCP_LISTEN 10
#define TLS_HANDSHAKE 0x16

struct packet {
    u32 l4, data; /* offsets; data: behind the header of TCP or UDP, 0: none known */
    u16 sport, dport;
    u8 protocol, tcp_flags;
};

/* Headers of a packet.  0: not one that can be read. */
static __attribute__((noinline)) int parse(struct __sk_buff *skb, struct packet *p)
{
    u8 h[40];
    u32 off;
    if (!p)
        return 0;
    if (skb->protocol == __builtin_bswap16(ETH_P_IP)) {
        if (bpf_skb_load_bytes(skb, 0, h, 20))
            return 0;
        off = (h[0] & 15u) * 4;
        p->protocol = h[9];
        if ((h[6] & 0x1f) || h[7]) /* a later fragment has no header */
            return 0;
    } else if (skb->protocol == __builtin_bswap16(ETH_P_IPV6)) {
        if (bpf_skb_load_bytes(skb, 0, h, 40))
            return 0;
        off = 40;
        p->protocol = h[6];
        for (int i = 0; i < 4; i++) {
            u8 next = p->protocol;
            if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS && next != IPPROTO_FRAGMENT)
                break;
            if (bpf_skb_load_bytes(skb, off, h, 4))
                return 0;
            if (next == IPPROTO_FRAGMENT && ((h[2] || h[3] & 0xf8)))
                return 0;
            p->protocol = h[0];
            off += next == IPPROTO_FRAGMENT ? 8 : (h[1] + 1u) * 8;
        }
    } else {
        return 0;
    }
    p->l4 = off;
    p->data = 0;
    p->tcp_flags = 0;
    p->sport = p->dport = 0;
    if (p->protocol == IPPROTO_TCP) {
        if (bpf_skb_load_bytes(skb, off, h, 20))
            return 0;
        p->tcp_flags = h[13];
        p->data = off + (h[12] >> 4) * 4u;
    } else if (p->protocol == IPPROTO_UDP || p->protocol == IPPROTO_UDPLITE) {
        if (bpf_skb_load_bytes(skb, off, h, 8))
            return 0;
        p->data = off + 8;
    } else {
        return 1;
    }
    p->sport = (u16)(h[0] << 8 | h[1]);
    p->dport = (u16)(h[2] << 8 | h[3]);
    return 1;
}

/* An address of the packet. */
static __always_inline void packet_addr(struct __sk_buff *skb, bool source, u8 out[16])
{
    u32 v4 = 0;
    if (skb->protocol == __builtin_bswap16(ETH_P_IP)) {
        bpf_skb_load_bytes(skb, source ? 12 : 16, &v4, 4);
        hf_addr4(out, v4);
    } else {
        bpf_skb_load_bytes(skb, source ? 8 : 24, out, 16);
    }
}

static __attribute__((noinline)) int send_payload(struct __sk_buff *skb, struct hf_sock *hs, const struct packet *p, u32 direction)
{
    struct hf_want want;
    if (!hs || !p)
        return 0;
    u32 have = skb->len, most = HF_PAYLOAD_BYTES, n;
    if (have <= p->data)
        return 0;
    if (!hf_wanted(hs->h.cgroup_id, HF_EV_PAYLOAD, false, &want))
        return 0;
    struct hf_scratch *s = hf_scratch_get(HF_EV_PAYLOAD);
    if (!s)
        return 0;
    struct hf_wire_payload *e = (void *)s->record;
    bool out = direction == HF_PAYLOAD_OUT, dns = p->protocol != IPPROTO_TCP;
    u8 first = 0;
    bpf_skb_load_bytes(skb, p->data, &first, 1);
    if (dns || first == TLS_HANDSHAKE)
        most = HF_PAYLOAD_LONG - 1;
    n = have - p->data;
    __builtin_memcpy(&e->h, &hs->h, sizeof e->h);
    e->h.type = HF_EV_PAYLOAD;
    e->h.cpu = bpf_get_smp_processor_id();
    e->h.time_ns = bpf_ktime_get_boot_ns();
    e->h.flags |= HF_F_OWNER | (n > most ? HF_F_TRUNCATED : 0);
    e->cookie = hs->cookie;
    e->direction = direction;
    e->protocol = p->protocol;
    e->payload_flags = hs->flags & HF_SK_ACCEPTED ? HF_PAYLOAD_ACCEPTED : 0;
    e->local_port = hs->local_port;
    e->peer_port = hs->peer_port;
    __builtin_memcpy(e->local, hs->local, 16);
    __builtin_memcpy(e->peer, hs->peer, 16);
    if (dns) {
        e->local_port = out ? p->sport : p->dport;
        packet_addr(skb, out, e->local);
        if (hs->peer_port != DNS_PORT || !out) {
            e->peer_port = out ? p->dport : p->sport;
            packet_addr(skb, !out, e->peer);
        }
    }
    e->family = hf_wire_family(hs->family, e->local, e->peer);
    if (n > most)
        n = most;
    n--; /* not less than 1 byte, in a way that 6.1 follows */
    hf_opaque(n);
    n = (n & (HF_PAYLOAD_LONG - 1)) + 1;
    if (bpf_skb_load_bytes(skb, p->data, e->data, n)) {
        hf_scratch_put(s);
        return 0;
    }
    e->data_len = (u16)n;
    hf_send(s->record, sizeof *e + n, &want);
    hf_scratch_put(s);
    return 1;
}

/* A packet of a raw socket is what its header says it is.  Its points. */
static __always_inline u32 count_raw(struct __sk_buff *skb, struct hf_rate_counts *r)
{
    struct packet p;
    if (!parse(skb, &p))
        return 0;
    if (p.protocol == IPPROTO_ICMP || p.protocol == IPPROTO_ICMPV6) {
        r->icmp_out++;
        return HF_POINTS_ICMP;
    }
    if (p.protocol == IPPROTO_UDP) {
        r->udp_out++;
        return HF_POINTS_UDP;
    }
    if (p.protocol == IPPROTO_TCP && (p.tcp_flags & (TCP_SYN_BIT | TCP_ACK_BIT)) == TCP_SYN_BIT) {
        r->tcp_syn_out++;
        return HF_POINTS_SYN;
    }
    return 0;
}

/* A datagram leaves a socket that nothing is known of yet: it was connected before the sensor was there, or is used with neither
 * connect nor an address.  Datagrams leave in the context of their sender. */
static __always_inline struct hf_sock *first_datagram(struct bpf_sock *sk, u64 cookie)
{
    struct hf_group g;
    bool wanted = hf_group_here(&g);
    struct hf_sock *hs = hf_sock_make(cookie);
    if (!hs || !wanted)
        return hs;
    hf_sock_own(hs, g.container);
    hs->family = (u16)sk->family;
    hs->protocol = (u16)sk->protocol;
    hs->peer_port = __builtin_bswap16((u16)sk->dst_port);
    if (hs->peer_port == DNS_PORT) {
        hs->flags |= HF_SK_DNS;
        if (sk->family == AF_INET) {
            hf_addr4(hs->peer, sk->dst_ip4);
        } else {
            u32 *w = (u32 *)hs->peer;
            w[0] = sk->dst_ip6[0];
            w[1] = sk->dst_ip6[1];
            w[2] = sk->dst_ip6[2];
            w[3] = sk->dst_ip6[3];
        }
    }
    return hs;
}

static __always_inline u32 packets_of(struct __sk_buff *skb)
{
    u32 n = skb->gso_segs;
    return n ? n : 1;
}

static __always_inline void count_out(struct __sk_buff *skb, const struct hf_sock *hs)
{
    struct hf_rate_counts *r = hf_rate_of(hs->container, hs->h.net_ns);
    if (!r)
        return;
    u32 n = packets_of(skb);
    r->packets_out += n;
    r->bytes_out += skb->len;
    if (hs->flags & HF_SK_RAW) {
        hf_rate_points(r, hs->container, count_raw(skb, r));
    } else if (hs->protocol == IPPROTO_UDP) {
        r->udp_out += n;
        hf_rate_points(r, hs->container, n * HF_POINTS_UDP);
    }
}

static __always_inline struct hf_sock *not_known(struct __sk_buff *skb, u64 cookie)
{
    struct bpf_sock *sk = skb->sk;
    if (!sk)
        return NULL;
    sk = bpf_sk_fullsock(sk);
    if (!sk || (sk->protocol != IPPROTO_UDP && sk->protocol != IPPROTO_UDPLITE))
        return NULL;
    return first_datagram(sk, cookie);
}

/* A connection whose first bytes are seen, or not wanted: its packets end sooner from now on. */
static __always_inline bool tells_nothing(const struct hf_sock *hs, u64 cookie)
{
    if (!hf_is_stream(hs) || hs->want_out || hs->want_in)
        return false;
    hf_set_quiet(cookie, true);
    return true;
}

SEC("cgroup_skb/egress")
int hf_egress(struct __sk_buff *skb)
{
    struct packet p;
    u64 cookie = bpf_get_socket_cookie(skb);
    if (hf_is_quiet(cookie))
        return 1;
    struct hf_sock *hs = hf_sock_get(cookie);
    if (!hs) {
        hs = not_known(skb, cookie);
        if (!hs)
            return 1;
    }
    if (tells_nothing(hs, cookie))
        return 1;
    if (hs->container && !hf_is_stream(hs))
        count_out(skb, hs);
    if (hs->want_out) {
        if (parse(skb, &p) && p.data && skb->len > p.data) {
            hs->want_out = 0;
            send_payload(skb, hs, &p, HF_PAYLOAD_OUT);
        }
    } else if ((hs->flags & HF_SK_DNS) && parse(skb, &p) && (p.dport == DNS_PORT || hs->peer_port == DNS_PORT)) {
        send_payload(skb, hs, &p, HF_PAYLOAD_OUT);
    }
    return 1;
}

static __always_inline void count_in(struct __sk_buff *skb, const struct hf_sock *hs)
{
    struct hf_rate_counts *r = hf_rate_of(hs->container, hs->h.net_ns);
    if (!r)
        return;
    u32 n = packets_of(skb);
    r->packets_in += n;
    r->bytes_in += skb->len;
    if (hs->protocol == IPPROTO_UDP)
        r->udp_in += n;
}

/* A packet for a listener: a connection begins, or is about to be complete. */
static __always_inline void count_half_open(struct __sk_buff *skb)
{
    struct packet p;
    struct bpf_sock *sk = skb->sk;
    if (!sk || sk->state != TCP_LISTEN || !hf_container_ports[sk->src_port & 0xffff])
        return;
    struct sock *k = (struct sock *)bpf_skc_to_tcp_sock(sk);
    if (!k || !parse(skb, &p) || (p.tcp_flags & (TCP_SYN_BIT | TCP_ACK_BIT)) != TCP_SYN_BIT)
        return;
    struct net *net = k->__sk_common.skc_net.net;
    struct hf_place at = {.net_ns = net ? net->ns.inum : 0, .port = k->__sk_common.skc_num};
    if (k->__sk_common.skc_family == AF_INET)
        hf_addr4(at.addr, k->__sk_common.skc_rcv_saddr);
    else
        bpf_core_read(at.addr, 16, &k->__sk_common.skc_v6_rcv_saddr);
    struct hf_listener *l = bpf_map_lookup_elem(&hf_listeners, &at);
    if (!l)
        return;
    struct hf_rate_counts *r = hf_rate_of(l->s.container, at.net_ns);
    if (!r)
        return;
    r->tcp_syn_in++;
    r->packets_in++;
    r->bytes_in += skb->len;
    hf_rate_points(r, l->s.container, HF_POINTS_SYN);
}

SEC("cgroup_skb/ingress")
int hf_ingress(struct __sk_buff *skb)
{
    struct packet p;
    u64 cookie = bpf_get_socket_cookie(skb);
    if (hf_is_quiet(cookie))
        return 1;
    struct hf_sock *hs = hf_sock_get(cookie);
    if (!hs) {
        count_half_open(skb);
        return 1;
    }
    if (tells_nothing(hs, cookie))
        return 1;
    if (hs->container && !hf_is_stream(hs))
        count_in(skb, hs);
    if (hs->want_in) {
        if (parse(skb, &p) && p.data && skb->len > p.data) {
            hs->want_in = 0;
            send_payload(skb, hs, &p, HF_PAYLOAD_IN);
        }
    } else if ((hs->flags & HF_SK_DNS) && parse(skb, &p) && (p.sport == DNS_PORT || hs->peer_port == DNS_PORT)) {
        send_payload(skb, hs, &p, HF_PAYLOAD_IN);
    }
    return 1;
}

/* ---- what connections carry, asked once a second and while packets come fast ---- */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct bpf_iter__bpf_map_elem {
    void *key, *value;
};
#pragma clang attribute pop

SEC("iter/bpf_map_elem")
int hf_tcp_volume(struct bpf_iter__bpf_map_elem *ctx)
{
    struct hf_sock *hs = ctx->value;
    if (hs && hf_is_stream(hs))
        hf_tcp_count(hs);
    return 0;
}
