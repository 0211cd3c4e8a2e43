// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* net-seed.bpf.c - sockets that were there before the sensor: their owners are noted, so that what a listener of a
 * running container accepts is attributed from the first connection on.  Run by hf_kernel_seed_sockets, again when a group
 * turns out to be a container.  A socket that several processes hold belongs to the first that is found. */
#include "net-sock.h"

#define TCP_SYN_SENT 2
#define TCP_LISTEN 10
#define TCP_CLOSE 7
#define SOCK_RAW 3

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct bpf_iter_meta;
struct bpf_iter__task_file {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
    u32 fd;
    struct file *file;
};
#pragma clang attribute pop

static __always_inline void fill(struct hf_sock *hs, struct sock *sk, u16 family, u16 protocol)
{
    hs->family = family;
    hs->protocol = protocol;
    hs->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
    hs->peer_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
    if (family == AF_INET) {
        hf_addr4(hs->local, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
        hf_addr4(hs->peer, BPF_CORE_READ(sk, __sk_common.skc_daddr));
    } else {
        bpf_core_read(hs->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
        bpf_core_read(hs->peer, 16, &sk->__sk_common.skc_v6_daddr);
    }
}

static __always_inline u32 flags_of(struct sock *sk, const struct hf_sock *hs)
{
    u8 state = BPF_CORE_READ(sk, __sk_common.skc_state);
    if (hs->protocol == IPPROTO_UDP || hs->protocol == IPPROTO_UDPLITE)
        return hs->peer_port == DNS_PORT ? HF_SK_DNS : 0;
    if (hs->protocol != IPPROTO_TCP)
        return HF_SK_RAW;
    if (state == TCP_LISTEN)
        return HF_SK_LISTEN;
    if (state == TCP_SYN_SENT)
        return HF_SK_OUT;
    return state == TCP_CLOSE ? 0 : HF_SK_UP;
}

/* The socket is t's, unless it is known already, and of no less a group. */
static __always_inline bool take(struct hf_sock *hs, struct sock *sk, struct task_struct *t, const struct hf_group *g, u16 family, u16 protocol, u64 cookie)
{
    bool known = hs->flags & HF_SK_OWNED;
    if (known && (hs->container || !g->container))
        return false;
    hf_fill_header_of(&hs->h, t, HF_EV_NET);
    hs->container = g->container;
    if (!known) {
        hs->cookie = cookie;
        fill(hs, sk, family, protocol);
        hs->flags = flags_of(sk, hs);
        hs->since_ns = hs->h.time_ns;
    }
    if (protocol == IPPROTO_TCP && (hs->flags & HF_SK_UP))
        hf_tcp_count_from_now(hs, sk);
    hs->flags |= HF_SK_OWNED;
    return true;
}

#define SOCKFS_MAGIC 0x534f434b

/* The socket of a file, and its number (0: none was given yet, before Linux 5.12 where it cannot be given from here). */
static __always_inline struct sock *sock_of(struct file *file, u64 *ret_cookie)
{
    if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_sock_from_file)) { /* 5.11 */
        struct socket *socket = bpf_sock_from_file(file);
        struct sock *sk = socket ? socket->sk : NULL;
        if (sk)
            *ret_cookie = bpf_get_socket_cookie(sk);
        return sk;
    }
    struct inode *inode = BPF_CORE_READ(file, f_inode);
    if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFSOCK || BPF_CORE_READ(inode, i_sb, s_magic) != SOCKFS_MAGIC)
        return NULL;
    struct socket *socket = BPF_CORE_READ(file, private_data);
    struct sock *sk = BPF_CORE_READ(socket, sk);
    if (sk)
        *ret_cookie = (u64)BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
    return sk;
}

SEC("iter/task_file")
int hf_seed_sockets(struct bpf_iter__task_file *ctx)
{
    struct task_struct *t = ctx->task;
    struct file *file = ctx->file;
    struct hf_group g;
    if (!t || !file)
        return 0;
    u64 cookie = 0;
    struct sock *sk = sock_of(file, &cookie);
    if (!sk)
        return 0;
    u16 family = BPF_CORE_READ(sk, __sk_common.skc_family), protocol = BPF_CORE_READ(sk, sk_protocol);
    if (family != AF_INET && family != AF_INET6)
        return 0;
    if (!hf_group_of(hf_cgroup_of(t), &g))
        return 0;
    if (protocol == IPPROTO_TCP && BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_LISTEN) {
        struct hf_place at = {.net_ns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum), .port = BPF_CORE_READ(sk, __sk_common.skc_num)};
        if (family == AF_INET)
            hf_addr4(at.addr, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
        else
            bpf_core_read(at.addr, 16, &sk->__sk_common.skc_v6_rcv_saddr);
        struct hf_listener *l = hf_listener_make(&at);
        if (!l || !take(&l->s, sk, t, &g, family, protocol, cookie))
            return 0;
        l->holders = 1;
        l->s.backlog = BPF_CORE_READ(sk, sk_max_ack_backlog);
        if (g.container) {
            u64 id = g.container;
            hf_container_ports[at.port] = 1;
            struct hf_policy *own = bpf_map_lookup_elem(&hf_policies, &id);
            if (own)
                __sync_fetch_and_add(&own->listens, 1);
        }
        return 0;
    }
    struct hf_sock *hs = cookie ? hf_sock_make(cookie) : NULL;
    if (hs)
        take(hs, sk, t, &g, family, protocol, cookie);
    return 0;
}
