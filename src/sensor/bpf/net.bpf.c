// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* net.bpf.c - connections and datagrams (H7, H9): who connects, listens, is connected to, binds, sends.
 *
 * TCP is told from its changes of state (tp_btf/inet_sock_set_state; before 5.12 the same from sockops).  An attempt is remembered
 * when connect begins (cgroup/connect*) and becomes ESTABLISHED or FAILED, so one connection is one event, and a CLOSE with its
 * bytes.  At a cloud's metadata service it is CONNECT at once, through the critical ring, and no ESTABLISHED any more.  A storm (one
 * process to one peer's port, or from one peer to one listener) is told HF_NET_REPEATS times in settings.dedupe_ns; then the
 * connections are let go for the price of one look-up, and the next that is told says how many there were.
 * UDP has no states: CONNECT and SEND are told once per process and peer in that time.
 * The cgroup programs are at the root of the unified hierarchy, and allow everything. */
#include "net-sock.h"

__u32 hf_sock_slots[HF_SOCK_SLOTS] = {};
__u32 hf_quiet[HF_QUIET_SLOTS] = {};
__u8 hf_container_ports[65536] = {};
__u32 hf_attempts_seen = 0;

#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_CLOSE 7
#define TCP_LISTEN 10
#define SOCK_DONE 1 /* bit of skc_flags: the peer's FIN came */
#define SOCK_RAW 3
#define FIRST_EPHEMERAL 32768u
#define EPHEMERAL_BINDS 16u /* ports above that one process is reported to bind in settings.dedupe_ns */

/* ---- TCP ---- */

struct ends {
    u8 local[16], peer[16];
    u16 local_port, peer_port, family, pad;
    u32 net_ns;
};

static __always_inline void ends_of(struct ends *e, struct sock *sk)
{
    struct net *net = sk->__sk_common.skc_net.net;
    e->family = sk->__sk_common.skc_family;
    e->local_port = sk->__sk_common.skc_num;
    e->peer_port = __builtin_bswap16(sk->__sk_common.skc_dport);
    e->net_ns = net ? net->ns.inum : 0;
    if (e->family == AF_INET) {
        hf_addr4(e->local, sk->__sk_common.skc_rcv_saddr);
        hf_addr4(e->peer, sk->__sk_common.skc_daddr);
    } else {
        bpf_core_read(e->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
        bpf_core_read(e->peer, 16, &sk->__sk_common.skc_v6_daddr);
    }
}

static __always_inline void set_ends(struct hf_sock *hs, const struct ends *e)
{
    __builtin_memcpy(hs->local, e->local, 16);
    __builtin_memcpy(hs->peer, e->peer, 16);
    if (e->local_port) /* at TCP_CLOSE the kernel may have given it back already */
        hs->local_port = e->local_port;
    hs->peer_port = e->peer_port;
    hs->family = e->family;
    hs->protocol = IPPROTO_TCP;
}

static __always_inline void count_syn_out(u64 container, u32 net_ns)
{
    struct hf_rate_counts *r = hf_rate_of(container, net_ns);
    if (!r)
        return;
    r->tcp_syn_out++;
    hf_rate_points(r, container, HF_POINTS_SYN);
}

/* An outgoing attempt begins, in the context of its process: a new life of the socket.  NULL: not wanted, or one of a storm. */
static __always_inline struct hf_sock *begin_out(u64 cookie, const u8 peer[16], u16 port, u32 flags)
{
    struct hf_group g;
    u32 left_out;
    struct hf_net_key key = {.pid = hf_pid_here(), .port = port, .op = HF_NET_ESTABLISHED, .protocol = IPPROTO_TCP};
    __builtin_memcpy(&key.a, peer, 8);
    __builtin_memcpy(&key.b, peer + 8, 8);
    struct hf_net_told *storm = hf_net_storm(&key, HF_NET_REPEATS);
    if (storm) {
        count_syn_out(storm->container, 0);
        return NULL;
    }
    if (!hf_group_here(&g) || hf_net_was_told(&key, g.container, HF_NET_REPEATS, &left_out))
        return NULL;
    struct hf_sock *hs = hf_sock_make(cookie);
    if (!hs)
        return NULL;
    hs->flags = flags;
    hs->backlog = left_out;
    hs->local_port = 0;
    hs->since_ns = bpf_ktime_get_boot_ns();
    hf_sock_own(hs, g.container);
    bool host_dns = port == DNS_PORT && !g.container;
    hs->want_out = hs->want_in = (g.types & (1ull << HF_EV_PAYLOAD)) && (g.container || host_dns);
    hf_set_quiet(cookie, false);
    return hs;
}

static __always_inline void on_connecting(u64 cookie, struct sock *sk)
{
    struct ends e;
    struct hf_sock *hs = hf_sock_get(cookie);
    if (!hs && hf_attempts_seen)
        return;
    ends_of(&e, sk);
    if (!hs || !(hs->flags & HF_SK_PENDING)) {
        hs = begin_out(cookie, e.peer, e.peer_port, 0);
        if (!hs)
            return;
    }
    hs->flags = (hs->flags & (HF_SK_ATTEMPT | HF_SK_OWNED)) | HF_SK_OUT;
    set_ends(hs, &e);
    hf_tcp_count_from_now(hs, sk);
    count_syn_out(hs->container, hs->h.net_ns);
}

static __always_inline void on_established(u64 cookie, struct sock *sk)
{
    struct ends e;
    struct hf_sock *hs = hf_sock_get(cookie);
    if (!hs || !(hs->flags & HF_SK_OUT))
        return;
    ends_of(&e, sk);
    set_ends(hs, &e);
    hs->flags |= HF_SK_UP;
    hs->since_ns = bpf_ktime_get_boot_ns();
    if (hs->flags & HF_SK_ATTEMPT)
        hs->flags |= HF_SK_TOLD;
    else if (hf_net_send(hs, HF_NET_ESTABLISHED, hf_is_metadata(hs->peer) ? HF_NET_URGENT : 0, 0, 0))
        hs->flags |= HF_SK_TOLD;
    hs->backlog = 0;
}

static __always_inline void on_accepted(u64 cookie, struct sock *sk)
{
    struct ends e;
    u32 left_out;
    ends_of(&e, sk);
    struct hf_listener *l = hf_listener_at(e.net_ns, e.local_port, e.local);
    if (!l)
        return;
    struct hf_rate_counts *r = hf_rate_of(l->s.container, e.net_ns);
    if (r) {
        r->tcp_accepted++;
        hf_rate_points(r, l->s.container, HF_POINTS_ACCEPTED);
    }
    struct hf_net_key key = {.pid = l->s.h.pid, .port = e.local_port, .op = HF_NET_ACCEPT, .protocol = IPPROTO_TCP};
    __builtin_memcpy(&key.a, e.peer, 8);
    __builtin_memcpy(&key.b, e.peer + 8, 8);
    if (hf_net_storm(&key, HF_NET_REPEATS) || hf_net_was_told(&key, l->s.container, HF_NET_REPEATS, &left_out))
        return;
    struct hf_sock *hs = hf_sock_make(cookie);
    if (!hs)
        return;
    __builtin_memcpy(&hs->h, &l->s.h, sizeof hs->h);
    hs->container = l->s.container;
    hs->flags = HF_SK_UP | HF_SK_OWNED | HF_SK_ACCEPTED;
    hs->backlog = left_out;
    hs->since_ns = bpf_ktime_get_boot_ns();
    set_ends(hs, &e);
    hf_tcp_count_from_now(hs, sk);
    struct hf_policy *p = hs->container ? bpf_map_lookup_elem(&hf_policies, &hs->h.cgroup_id) : NULL;
    hs->want_out = hs->want_in = p && (p->types & (1ull << HF_EV_PAYLOAD));
    if (hf_net_send(hs, HF_NET_ACCEPT, 0, 0, 0))
        hs->flags |= HF_SK_TOLD;
    hs->backlog = 0;
}

static __always_inline void on_listening(u64 cookie, struct sock *sk)
{
    struct ends e;
    struct hf_group g;
    u32 how = HF_NET_NOW;
    if (!hf_group_here(&g))
        return;
    ends_of(&e, sk);
    struct hf_place at = {.net_ns = e.net_ns, .port = e.local_port};
    __builtin_memcpy(at.addr, e.local, 16);
    struct hf_listener *l = hf_listener_make(&at);
    if (!l)
        return;
    __sync_fetch_and_add(&l->holders, 1);
    hf_sock_drop(cookie); /* of its bind */
    struct hf_sock *hs = &l->s;
    hs->flags = HF_SK_LISTEN;
    hs->cookie = cookie;
    hs->since_ns = bpf_ktime_get_boot_ns();
    hf_sock_own(hs, g.container);
    hs->local_port = 0;
    set_ends(hs, &e);
    __builtin_memset(hs->peer, 0, 16);
    hs->peer_port = 0;
    hs->backlog = sk->sk_max_ack_backlog;
    if (g.container) {
        u64 id = g.container;
        hf_container_ports[e.local_port] = 1;
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

static __always_inline void on_unlistened(u64 cookie, struct sock *sk)
{
    struct ends e;
    ends_of(&e, sk);
    struct hf_place at = {.net_ns = e.net_ns, .port = e.local_port};
    __builtin_memcpy(at.addr, e.local, 16);
    struct hf_listener *l = bpf_map_lookup_elem(&hf_listeners, &at);
    if (!l)
        return;
    l->s.cookie = cookie; /* of those that share the place, the one that ends */
    if (l->s.flags & HF_SK_TOLD)
        hf_net_send(&l->s, HF_NET_CLOSE, 0, 0, 0);
    if (l->holders <= 1)
        bpf_map_delete_elem(&hf_listeners, &at);
    else
        __sync_fetch_and_add(&l->holders, -1);
}

static __always_inline void on_closed(u64 cookie, struct sock *sk)
{
    struct tcp_sock *tp = (void *)sk;
    struct hf_sock *hs = hf_sock_get(cookie);
    if (!hs)
        return;
    u32 flags = hs->flags;
    if (flags & HF_SK_PENDING) /* connect goes on (tcp_v4_connect begins anew) or hf_sock_release tells */
        return;
    hf_tcp_count(hs);
    if ((flags & HF_SK_OUT) && !(flags & HF_SK_UP)) {
        hf_net_send(hs, HF_NET_FAILED, 0, 0, 0);
    } else if ((flags & HF_SK_UP) && (flags & HF_SK_TOLD)) {
        u64 out = BPF_CORE_READ(tp, bytes_sent) - BPF_CORE_READ(tp, bytes_retrans), in = BPF_CORE_READ(tp, bytes_received);
        if (in && (BPF_CORE_READ(sk, __sk_common.skc_flags) & 1ul << SOCK_DONE)) /* the FIN was counted as a byte */
            in--;
        hf_net_send(hs, HF_NET_CLOSE, 0, out, in);
    }
    hf_sock_drop(cookie);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(hf_set_state, struct sock *sk, int before, int now)
{
    if (sk->sk_protocol != IPPROTO_TCP)
        return 0;
    switch (now) {
    case TCP_SYN_SENT:
        on_connecting(bpf_get_socket_cookie(sk), sk);
        break;
    case TCP_ESTABLISHED:
        if (before == TCP_SYN_RECV && sk->sk_socket == NULL) /* of no process yet: not both connecting at once */
            on_accepted(bpf_get_socket_cookie(sk), sk);
        else
            on_established(bpf_get_socket_cookie(sk), sk);
        break;
    case TCP_LISTEN:
        on_listening(bpf_get_socket_cookie(sk), sk);
        break;
    case TCP_CLOSE:
        if (before == TCP_LISTEN)
            on_unlistened(bpf_get_socket_cookie(sk), sk);
        else
            on_closed(bpf_get_socket_cookie(sk), sk);
    }
    return 0;
}

/* The same for kernels before 5.12, whose tracing programs cannot ask for a socket's cookie. */
SEC("sockops")
int hf_sockops(struct bpf_sock_ops *ops)
{
    u32 op = ops->op;
    if (op != BPF_SOCK_OPS_TCP_CONNECT_CB && op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB && op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB &&
            op != BPF_SOCK_OPS_TCP_LISTEN_CB && op != BPF_SOCK_OPS_STATE_CB)
        return 1;
    struct bpf_sock *bsk = ops->sk;
    if (!bsk)
        return 1;
    struct sock *sk = (struct sock *)bpf_skc_to_tcp_sock(bsk);
    if (!sk)
        return 1;
    u64 cookie = bpf_get_socket_cookie(ops);
    switch (op) {
    case BPF_SOCK_OPS_TCP_CONNECT_CB:
        on_connecting(cookie, sk);
        break;
    case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
        on_established(cookie, sk);
        break;
    case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
        if (sk->sk_socket == NULL)
            on_accepted(cookie, sk);
        else
            on_established(cookie, sk);
        break;
    case BPF_SOCK_OPS_TCP_LISTEN_CB:
        on_listening(cookie, sk);
        break;
    default:
        if (ops->args[1] != TCP_CLOSE)
            return 1;
        if (ops->args[0] == TCP_LISTEN)
            on_unlistened(cookie, sk);
        else
            on_closed(cookie, sk);
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
    u64 cookie = bpf_get_socket_cookie(ctx);
    struct hf_sock *hs = hf_sock_get(cookie);
    if (!hf_attempts_seen)
        hf_attempts_seen = 1;
    if (hs) { /* it was used before */
        if (hs->flags & HF_SK_PENDING)
            hf_net_send(hs, HF_NET_FAILED, 0, 0, 0);
        hf_sock_drop(cookie);
    }
    hs = begin_out(cookie, p->addr, p->port, HF_SK_PENDING);
    if (!hs)
        return;
    local_of(hs, sk, six);
    hs->protocol = IPPROTO_TCP;
    __builtin_memcpy(hs->peer, p->addr, 16);
    hs->peer_port = p->port;
    if (hf_is_metadata(hs->peer) && hf_net_send(hs, HF_NET_CONNECT, HF_NET_NOW | HF_NET_URGENT, 0, 0))
        hs->flags |= HF_SK_ATTEMPT;
}

/* A UDP socket has a (new) peer. */
static __always_inline void udp_peer(struct bpf_sock_addr *ctx, struct bpf_sock *sk, const struct ctx_peer *p, bool six, u32 op)
{
    struct hf_group g;
    u32 left_out, pid = hf_pid_here();
    u64 cookie = bpf_get_socket_cookie(ctx);
    struct hf_settings *set = hf_settings();
    struct hf_sock *hs = hf_sock_get(cookie);
    bool ours = hs && (hs->flags & HF_SK_OWNED) && hs->h.pid == pid;
    if (!set)
        return;
    if (ours && op == HF_NET_SEND && hs->peer_port == p->port && hf_same_addr(hs->peer, p->addr) && hs->revision == set->revision &&
            bpf_ktime_get_boot_ns() - hs->told_ns < set->dedupe_ns)
        return;
    if (!hf_group_here(&g))
        return;
    if (!hs)
        hs = hf_sock_make(cookie);
    if (!hs)
        return;
    if (!ours)
        hf_sock_own(hs, g.container);
    local_of(hs, sk, six);
    __builtin_memcpy(hs->peer, p->addr, 16);
    hs->peer_port = p->port;
    if (p->port == DNS_PORT)
        hs->flags |= HF_SK_DNS;
    hs->told_ns = hs->since_ns = bpf_ktime_get_boot_ns();
    hs->revision = set->revision;

    struct hf_net_key key = {.pid = pid, .port = hs->flags & HF_SK_BOUND ? 0 : p->port, .op = (u8)op, .protocol = IPPROTO_UDP};
    __builtin_memcpy(&key.a, p->addr, 8);
    __builtin_memcpy(&key.b, p->addr + 8, 8);
    if (hf_net_was_told(&key, g.container, 1, &left_out)) {
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
    u32 left_out;
    if (!hf_group_here(&g))
        return 1;
    struct hf_sock *hs = hf_sock_make(bpf_get_socket_cookie(sk));
    if (!hs)
        return 1;
    hs->flags = (hs->flags & HF_SK_DNS) | HF_SK_BOUND;
    hf_sock_own(hs, g.container);
    local_of(hs, sk, six);
    __builtin_memset(hs->peer, 0, 16);
    hs->peer_port = 0;
    /* A client that binds lets the kernel choose a high port, again and again: some of those are enough. */
    bool high = hs->local_port >= FIRST_EPHEMERAL;
    struct hf_net_key key = {.pid = hs->h.pid, .port = high ? 0 : hs->local_port, .op = HF_NET_BIND, .protocol = (u8)hs->protocol};
    if (!high) {
        __builtin_memcpy(&key.a, hs->local, 8);
        __builtin_memcpy(&key.b, hs->local + 8, 8);
    }
    if (hf_net_was_told(&key, g.container, high ? EPHEMERAL_BINDS : 1, &left_out))
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

/* Raw and ping sockets pass none of the programs above: who has them must be known when their packets leave. */
SEC("cgroup/sock_create")
int hf_sock_create(struct bpf_sock *sk)
{
    struct hf_group g;
    u32 protocol = sk->protocol;
    if (sk->type != SOCK_RAW && protocol != IPPROTO_ICMP && protocol != IPPROTO_ICMPV6)
        return 1;
    if (!hf_group_here(&g) || !g.container)
        return 1;
    struct hf_sock *hs = hf_sock_make(bpf_get_socket_cookie(sk));
    if (!hs)
        return 1;
    hf_sock_own(hs, g.container);
    hs->flags |= HF_SK_RAW;
    hs->family = (u16)sk->family;
    hs->protocol = (u16)protocol;
    return 1;
}

/* Last rung of the capability "raw-socket". */
SEC("cgroup/sock_create")
int hf_raw_create(struct bpf_sock *sk)
{
    struct hf_want want;
    struct hf_wire_socket e;
    if (sk->type != SOCK_RAW || !hf_wanted(hf_cgroup_here(), HF_EV_SOCKET, true, &want))
        return 1;
    __builtin_memset(&e, 0, sizeof e);
    hf_fill_header(&e.h, hf_task(), HF_EV_SOCKET);
    e.family = sk->family;
    e.type = sk->type;
    e.protocol = sk->protocol;
    hf_send(&e, sizeof e, &want);
    return 1;
}

/* connect found no route, or was refused by another program: no state ever changed */
SEC("cgroup/sock_release")
int hf_sock_release(struct bpf_sock *sk)
{
    if (sk->state != TCP_CLOSE || sk->protocol != IPPROTO_TCP)
        return 1;
    u64 cookie = bpf_get_socket_cookie(sk);
    struct hf_sock *hs = hf_sock_get(cookie);
    if (hs && (hs->flags & HF_SK_PENDING)) {
        hf_net_send(hs, HF_NET_FAILED, 0, 0, 0);
        hf_sock_drop(cookie);
    }
    return 1;
}
