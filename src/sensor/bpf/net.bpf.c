// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* net.bpf.c - connections and datagrams (H7, H9): who connects, listens, is connected to, binds, sends.
 *
 * TCP is told from its changes of state (tp_btf/inet_sock_set_state; where a kernel's tracing programs have no socket storage, the
 * same from sockops).  An attempt is remembered when connect begins (cgroup/connect*) and becomes ESTABLISHED or FAILED, so one
 * connection is one event, and a CLOSE with its bytes.  UDP has no states: CONNECT and SEND are told once per process and peer
 * in settings.dedupe_ns.  The cgroup programs are at the root of the unified hierarchy, and allow everything. */
#include "net-sock.h"

extern const volatile __u32 hf_self_pid;

#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_CLOSE 7
#define TCP_LISTEN 10
#define SOCK_DONE 1 /* bit of skc_flags: the peer's FIN came */
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define IPPROTO_DCCP 33
#define IPPROTO_SCTP 132
#define FIRST_EPHEMERAL 32768u
#define EPHEMERAL_BINDS 16u /* ports above that one process is reported to bind in settings.dedupe_ns */

/* ---- TCP ---- */

static __always_inline void fill_ends(struct hf_sock *hs, struct sock *sk)
{
    u16 family = sk->__sk_common.skc_family, port = sk->__sk_common.skc_num;
    hs->family = family;
    hs->protocol = IPPROTO_TCP;
    if (port) /* at TCP_CLOSE the kernel may have given it back already */
        hs->local_port = port;
    hs->peer_port = __builtin_bswap16(sk->__sk_common.skc_dport);
    if (family == AF_INET) {
        hf_addr4(hs->local, sk->__sk_common.skc_rcv_saddr);
        hf_addr4(hs->peer, sk->__sk_common.skc_daddr);
    } else {
        bpf_core_read(hs->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
        bpf_core_read(hs->peer, 16, &sk->__sk_common.skc_v6_daddr);
    }
}

/* A new life of the socket: whatever an earlier one left is void. */
static __always_inline void begin_out(struct hf_sock *hs, const struct hf_group *g, u32 flags)
{
    bool stream = (g->types & (1ull << HF_EV_PAYLOAD)) != 0;
    hs->flags = flags;
    hs->backlog = 0;
    hs->local_port = 0;
    hs->since_ns = bpf_ktime_get_boot_ns();
    hf_sock_own(hs, g->container);
    hs->want_out = hs->want_in = stream && g->container;
}

static __always_inline void on_connecting(struct hf_sock *hs, struct sock *sk, u64 cookie)
{
    hs->flags = (hs->flags & (HF_SK_ATTEMPT | HF_SK_OWNED)) | HF_SK_OUT;
    hs->cookie = cookie;
    fill_ends(hs, sk);
    if (hs->peer_port == DNS_PORT && !hs->want_out) {
        struct hf_policy *p = bpf_map_lookup_elem(&hf_policies, &hs->h.cgroup_id);
        struct hf_settings *set = hf_settings();
        if (set && ((p && p->container ? p->types : set->host_types) & (1ull << HF_EV_PAYLOAD)))
            hs->want_out = hs->want_in = 1;
    }
    struct hf_rate_counts *r = hf_rate_of(hs);
    if (r)
        r->tcp_syn_out++;
}

static __always_inline void on_established(struct hf_sock *hs, struct sock *sk)
{
    fill_ends(hs, sk);
    hs->flags |= HF_SK_UP;
    hs->since_ns = bpf_ktime_get_boot_ns();
    if (hs->flags & HF_SK_ATTEMPT)
        hs->flags |= HF_SK_TOLD;
    else if (hf_net_send(hs, HF_NET_ESTABLISHED, hf_is_metadata(hs->peer) ? HF_NET_URGENT : 0, 0, 0))
        hs->flags |= HF_SK_TOLD;
}

/* hs is the copy of the listener's. */
static __always_inline void on_accepted(struct hf_sock *hs, struct sock *sk, u64 cookie)
{
    struct hf_policy *p = hs->container ? bpf_map_lookup_elem(&hf_policies, &hs->h.cgroup_id) : NULL;
    hs->flags = HF_SK_UP | HF_SK_OWNED;
    hs->cookie = cookie;
    hs->backlog = 0;
    hs->since_ns = bpf_ktime_get_boot_ns();
    fill_ends(hs, sk);
    hs->want_out = hs->want_in = p && (p->flags & HF_POLICY_PAYLOAD_ACCEPT) && (p->types & (1ull << HF_EV_PAYLOAD));
    struct hf_rate_counts *r = hf_rate_of(hs);
    if (r)
        r->tcp_accepted++;
    if (hf_net_send(hs, HF_NET_ACCEPT, 0, 0, 0))
        hs->flags |= HF_SK_TOLD;
}

static __always_inline void on_listening(struct hf_sock *hs, struct sock *sk, u64 cookie, const struct hf_group *g)
{
    u32 how = HF_NET_NOW;
    hs->flags = HF_SK_LISTEN;
    hs->since_ns = bpf_ktime_get_boot_ns();
    hs->cookie = cookie;
    hs->want_out = hs->want_in = 0;
    hf_sock_own(hs, g->container);
    fill_ends(hs, sk);
    __builtin_memset(hs->peer, 0, 16);
    hs->peer_port = 0;
    hs->backlog = sk->sk_max_ack_backlog;
    if (g->container) {
        u64 id = g->container;
        struct hf_policy *own = bpf_map_lookup_elem(&hf_policies, &id);
        if (own) {
            if (own->listens == 0) /* a container that had none: the mark of a backdoor */
                how |= HF_NET_URGENT;
            __sync_fetch_and_add(&own->listens, 1);
        }
    }
    if (hf_net_send(hs, HF_NET_LISTEN, how, 0, 0))
        hs->flags |= HF_SK_TOLD;
}

static __always_inline void on_closed(struct hf_sock *hs, struct sock *sk, int before)
{
    struct tcp_sock *tp = (void *)sk;
    u32 flags = hs->flags;
    hs->flags = flags & HF_SK_OWNED;
    hs->want_out = hs->want_in = 0;
    if (before == TCP_LISTEN) {
        if (flags & HF_SK_TOLD)
            hf_net_send(hs, HF_NET_CLOSE, 0, 0, 0);
    } else if ((flags & HF_SK_OUT) && !(flags & HF_SK_UP)) {
        hf_net_send(hs, HF_NET_FAILED, 0, 0, 0);
    } else if ((flags & HF_SK_UP) && (flags & HF_SK_TOLD)) {
        u64 out = BPF_CORE_READ(tp, bytes_sent) - BPF_CORE_READ(tp, bytes_retrans), in = BPF_CORE_READ(tp, bytes_received);
        if (in && (BPF_CORE_READ(sk, __sk_common.skc_flags) & 1ul << SOCK_DONE)) /* the FIN was counted as a byte */
            in--;
        hf_net_send(hs, HF_NET_CLOSE, 0, out, in);
    }
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(hf_set_state, struct sock *sk, int before, int now)
{
    struct hf_sock *hs;
    struct hf_group g;
    if (sk->sk_protocol != IPPROTO_TCP)
        return 0;
    switch (now) {
    case TCP_SYN_SENT:
        hs = hf_sock_get(sk);
        if (!hs || !(hs->flags & HF_SK_PENDING)) { /* not through cgroup/connect: no unified hierarchy */
            if (!hf_group_here(&g))
                return 0;
            hs = hf_sock_make(sk);
            if (!hs)
                return 0;
            begin_out(hs, &g, 0);
        }
        on_connecting(hs, sk, bpf_get_socket_cookie(sk));
        break;
    case TCP_ESTABLISHED:
        hs = hf_sock_get(sk);
        if (!hs)
            return 0;
        if (hs->flags & HF_SK_OUT)
            on_established(hs, sk);
        else if (before == TCP_SYN_RECV && (hs->flags & HF_SK_LISTEN))
            on_accepted(hs, sk, bpf_get_socket_cookie(sk));
        break;
    case TCP_LISTEN:
        if (!hf_group_here(&g))
            return 0;
        hs = hf_sock_make(sk);
        if (hs)
            on_listening(hs, sk, bpf_get_socket_cookie(sk), &g);
        break;
    case TCP_CLOSE:
        hs = hf_sock_get(sk);
        if (hs)
            on_closed(hs, sk, before);
    }
    return 0;
}

/* The same for kernels before 5.12. */
SEC("sockops")
int hf_sockops(struct bpf_sock_ops *ops)
{
    u32 op = ops->op;
    struct hf_sock *hs;
    struct hf_group g;
    if (op != BPF_SOCK_OPS_TCP_CONNECT_CB && op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB && op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB &&
            op != BPF_SOCK_OPS_TCP_LISTEN_CB && op != BPF_SOCK_OPS_STATE_CB)
        return 1;
    struct bpf_sock *bsk = ops->sk;
    if (!bsk)
        return 1;
    struct sock *sk = (struct sock *)bpf_skc_to_tcp_sock(bsk);
    if (!sk)
        return 1;
    hs = hf_sock_get(bsk);
    switch (op) {
    case BPF_SOCK_OPS_TCP_CONNECT_CB:
        if (!hs || !(hs->flags & HF_SK_PENDING)) {
            if (!hf_group_here(&g))
                return 1;
            hs = hf_sock_make(bsk);
            if (!hs)
                return 1;
            begin_out(hs, &g, 0);
        }
        on_connecting(hs, sk, bpf_get_socket_cookie(ops));
        break;
    case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
        if (!hs || !(hs->flags & HF_SK_OUT))
            return 1;
        on_established(hs, sk);
        break;
    case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
        if (!hs || !(hs->flags & HF_SK_LISTEN))
            return 1;
        on_accepted(hs, sk, bpf_get_socket_cookie(ops));
        break;
    case BPF_SOCK_OPS_TCP_LISTEN_CB:
        if (!hf_group_here(&g))
            return 1;
        hs = hf_sock_make(bsk);
        if (!hs)
            return 1;
        on_listening(hs, sk, bpf_get_socket_cookie(ops), &g);
        break;
    default:
        if (hs && ops->args[1] == TCP_CLOSE)
            on_closed(hs, sk, (int)ops->args[0]);
        return 1;
    }
    bpf_sock_ops_cb_flags_set(ops, (int)(ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG));
    return 1;
}

/* ---- attempts, datagrams ---- */

/* The end that a sock_addr program is called for. */
struct ctx_peer {
    u8 addr[16];
    u16 port;
};

static __always_inline void peer_of(const struct bpf_sock_addr *ctx, bool six, struct ctx_peer *p)
{
    p->port = __builtin_bswap16((u16)ctx->user_port);
    if (six) {
        u32 *w = (u32 *)p->addr;
        w[0] = ctx->user_ip6[0];
        w[1] = ctx->user_ip6[1];
        w[2] = ctx->user_ip6[2];
        w[3] = ctx->user_ip6[3];
    } else {
        hf_addr4(p->addr, ctx->user_ip4);
    }
}

static __always_inline void local_of(struct hf_sock *hs, struct bpf_sock *sk, bool six)
{
    hs->family = (u16)sk->family;
    hs->protocol = (u16)sk->protocol;
    hs->local_port = (u16)sk->src_port;
    if (!six) {
        hf_addr4(hs->local, sk->src_ip4);
    } else {
        u32 *w = (u32 *)hs->local;
        w[0] = sk->src_ip6[0];
        w[1] = sk->src_ip6[1];
        w[2] = sk->src_ip6[2];
        w[3] = sk->src_ip6[3];
    }
}

static __always_inline void tcp_attempt(struct bpf_sock_addr *ctx, struct bpf_sock *sk, const struct ctx_peer *p, bool six)
{
    struct hf_group g;
    struct hf_sock *hs = hf_sock_get(sk);
    if (hs && (hs->flags & HF_SK_PENDING)) /* the one before found no way */
        hf_net_send(hs, HF_NET_FAILED, 0, 0, 0);
    if (!hf_group_here(&g)) {
        if (hs)
            hs->flags = 0;
        return;
    }
    if (!hs)
        hs = hf_sock_make(sk);
    if (!hs)
        return;
    begin_out(hs, &g, HF_SK_PENDING);
    local_of(hs, sk, six);
    hs->protocol = IPPROTO_TCP;
    __builtin_memcpy(hs->peer, p->addr, 16);
    hs->peer_port = p->port;
    hs->cookie = bpf_get_socket_cookie(ctx);
    if (hf_is_metadata(hs->peer) && hf_net_send(hs, HF_NET_CONNECT, HF_NET_NOW | HF_NET_URGENT, 0, 0))
        hs->flags |= HF_SK_ATTEMPT;
}

/* A UDP socket has a (new) peer. */
static __always_inline void udp_peer(struct bpf_sock_addr *ctx, struct bpf_sock *sk, const struct ctx_peer *p, bool six, u32 op)
{
    struct hf_group g;
    struct hf_settings *set = hf_settings();
    struct hf_sock *hs = hf_sock_get(sk);
    u32 pid = hf_pid_here();
    bool ours = hs && (hs->flags & HF_SK_OWNED) && hs->h.pid == pid;
    if (!set)
        return;
    if (ours && op == HF_NET_SEND && hs->peer_port == p->port && hf_same_addr(hs->peer, p->addr) && hs->revision == set->revision &&
            bpf_ktime_get_boot_ns() - hs->told_ns < set->dedupe_ns)
        return;
    if (!hf_group_here(&g))
        return;
    if (!hs)
        hs = hf_sock_make(sk);
    if (!hs)
        return;
    if (!ours)
        hf_sock_own(hs, g.container);
    local_of(hs, sk, six);
    __builtin_memcpy(hs->peer, p->addr, 16);
    hs->peer_port = p->port;
    if (p->port == DNS_PORT)
        hs->flags |= HF_SK_DNS;
    hs->cookie = bpf_get_socket_cookie(ctx);
    hs->told_ns = hs->since_ns = bpf_ktime_get_boot_ns();
    hs->revision = set->revision;

    struct hf_net_key key = {.pid = pid, .port = hs->flags & HF_SK_BOUND ? 0 : p->port, .op = (u8)op, .protocol = IPPROTO_UDP};
    __builtin_memcpy(&key.a, p->addr, 8);
    __builtin_memcpy(&key.b, p->addr + 8, 8);
    if (hf_net_was_told(&key, 1)) {
        hf_count_deduped(HF_EV_NET);
        return;
    }
    hf_net_send(hs, op, HF_NET_NOW | (hf_is_metadata(p->addr) ? HF_NET_URGENT : 0), 0, 0);
}

static __always_inline int on_connect(struct bpf_sock_addr *ctx, bool six)
{
    struct bpf_sock *sk = ctx->sk;
    struct ctx_peer p;
    if (!sk)
        return 1;
    peer_of(ctx, six, &p);
    if (ctx->protocol == IPPROTO_TCP)
        tcp_attempt(ctx, sk, &p, six);
    else if (ctx->protocol == IPPROTO_UDP || ctx->protocol == IPPROTO_UDPLITE)
        udp_peer(ctx, sk, &p, six, HF_NET_CONNECT);
    return 1;
}

SEC("cgroup/connect4")
int hf_connect4(struct bpf_sock_addr *ctx)
{
    return on_connect(ctx, false);
}

SEC("cgroup/connect6")
int hf_connect6(struct bpf_sock_addr *ctx)
{
    return on_connect(ctx, true);
}

static __always_inline int on_sendmsg(struct bpf_sock_addr *ctx, bool six)
{
    struct bpf_sock *sk = ctx->sk;
    struct ctx_peer p;
    if (!sk)
        return 1;
    peer_of(ctx, six, &p);
    udp_peer(ctx, sk, &p, six, HF_NET_SEND);
    return 1;
}

SEC("cgroup/sendmsg4")
int hf_sendmsg4(struct bpf_sock_addr *ctx)
{
    return on_sendmsg(ctx, false);
}

SEC("cgroup/sendmsg6")
int hf_sendmsg6(struct bpf_sock_addr *ctx)
{
    return on_sendmsg(ctx, true);
}

/* ---- bound, created, released ---- */

static __always_inline int on_bound(struct bpf_sock *sk, bool six)
{
    struct hf_group g;
    if (!hf_group_here(&g))
        return 1;
    struct hf_sock *hs = hf_sock_make(sk);
    if (!hs)
        return 1;
    hs->flags = (hs->flags & HF_SK_DNS) | HF_SK_BOUND;
    hf_sock_own(hs, g.container);
    local_of(hs, sk, six);
    __builtin_memset(hs->peer, 0, 16);
    hs->peer_port = 0;
    hs->cookie = bpf_get_socket_cookie(sk);
    /* A client that binds lets the kernel choose a high port, again and again: some of those are enough. */
    bool high = hs->local_port >= FIRST_EPHEMERAL;
    struct hf_net_key key = {.pid = hs->h.pid, .port = high ? 0 : hs->local_port, .op = HF_NET_BIND, .protocol = (u8)hs->protocol};
    if (!high) {
        __builtin_memcpy(&key.a, hs->local, 8);
        __builtin_memcpy(&key.b, hs->local + 8, 8);
    }
    if (hf_net_was_told(&key, high ? EPHEMERAL_BINDS : 1))
        hf_count_deduped(HF_EV_NET);
    else
        hf_net_send(hs, HF_NET_BIND, HF_NET_NOW, 0, 0);
    return 1;
}

SEC("cgroup/post_bind4")
int hf_post_bind4(struct bpf_sock *sk)
{
    return on_bound(sk, false);
}

SEC("cgroup/post_bind6")
int hf_post_bind6(struct bpf_sock *sk)
{
    return on_bound(sk, true);
}

static __always_inline void send_socket(struct bpf_sock *sk, u64 cgroup, bool urgent)
{
    struct hf_want want;
    struct hf_wire_socket e;
    if (!hf_wanted(cgroup, HF_EV_SOCKET, urgent, &want))
        return;
    __builtin_memset(&e, 0, sizeof e);
    hf_fill_header_here(&e.h, HF_EV_SOCKET);
    e.family = sk->family;
    e.type = sk->type;
    e.protocol = sk->protocol;
    hf_send(&e, sizeof e, &want);
}

/* Sockets that neither connect nor send through the programs above: who has them must be known when their packets leave. */
SEC("cgroup/sock_create")
int hf_sock_create(struct bpf_sock *sk)
{
    struct hf_group g;
    u32 type = sk->type, protocol = sk->protocol;
    bool odd = protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP;
    if (type != SOCK_RAW && !odd && protocol != IPPROTO_ICMP && protocol != IPPROTO_ICMPV6)
        return 1;
    if (hf_group_here(&g)) {
        struct hf_sock *hs = hf_sock_make(sk);
        if (hs) {
            hf_sock_own(hs, g.container);
            hs->flags |= HF_SK_RAW;
            hs->family = (u16)sk->family;
            hs->protocol = (u16)protocol;
        }
    }
    if (odd)
        send_socket(sk, g.id, false);
    return 1;
}

/* Last rung of the capability "raw-socket". */
SEC("cgroup/sock_create")
int hf_raw_create(struct bpf_sock *sk)
{
    if (sk->type == SOCK_RAW)
        send_socket(sk, hf_cgroup_here(), true);
    return 1;
}

/* connect found no route, or was refused by another program: no state ever changed */
SEC("cgroup/sock_release")
int hf_sock_release(struct bpf_sock *sk)
{
    struct hf_sock *hs = hf_sock_get(sk);
    if (hs && (hs->flags & HF_SK_PENDING)) {
        hs->flags = HF_SK_OWNED;
        hf_net_send(hs, HF_NET_FAILED, 0, 0, 0);
    }
    return 1;
}
