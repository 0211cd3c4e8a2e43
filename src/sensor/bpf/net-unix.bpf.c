// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* net-unix.bpf.c - connections to Unix sockets that have a name: docker.sock, containerd.sock, X11, Wayland, agents (H7).
 *
 * Best is a security hook, which is given the listening socket: its path is the one it was bound to, whatever link or relative
 * name led to it.  cgroup/connect_unix (6.7) is given the name that the process wrote, before it is looked up: a relative name gets
 * the working directory in front, and the record says HF_F_UNTRUSTED.  Names without a file are told of for X11 only, whose
 * clients try "@/tmp/.X11-unix/X0" first.  Told once per process and name in settings.dedupe_ns. */
#include "net-sock.h"

static __always_inline bool wanted_here(struct hf_want *want)
{
    return hf_wanted(hf_cgroup_here(), HF_EV_FILE, false, want);
}

static __always_inline struct hf_wire_file *begin(struct hf_scratch *s, u32 source)
{
    struct hf_wire_file *e = (void *)s->record;
    __builtin_memset(e, 0, sizeof *e);
    hf_fill_header(&e->h, hf_task(), HF_EV_FILE);
    e->op = HF_FILE_CONNECT;
    e->new_mode = e->new_uid = e->new_gid = (u32)-1;
    e->source = source;
    return e;
}

static __always_inline bool is_x11(const char *name)
{
    const char want[] = "/tmp/.X11-unix/";
    for (u32 i = 0; i < sizeof want - 1; i++)
        if (name[i] != want[i])
            return false;
    return true;
}

/* glibc asks the name service cache, which is rarely there, at every look-up of a user: no news. */
static __always_inline bool is_nscd(const char *name)
{
    const char want[] = "/var/run/nscd/socket";
    for (u32 i = 0; i < sizeof want; i++)
        if (name[i] != want[i])
            return false;
    return true;
}

/* ---- by the name that was given ---- */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct bpf_sock_addr_kern {
    struct sock *sk;
    struct sockaddr_un *uaddr;
    u32 uaddrlen; /* 6.7 (fefba7d1ae19) */
};
#pragma clang attribute pop

extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;

#define NAME_BYTES 112

static __always_inline void send_name(struct hf_scratch *s, const char *name, struct hf_want *want)
{
    struct hf_wire_file *e = begin(s, HF_SOURCE_CGROUP);
    u32 len = sizeof *e, flags = HF_F_UNTRUSTED;
    struct fs_struct *fs = BPF_CORE_READ(hf_task(), fs);
    struct path root, cwd;
    e->mode = S_IFSOCK;
    if (name[0] != '/' && name[0] != '@') {
        bpf_core_read(&root, sizeof root, &fs->root);
        bpf_core_read(&cwd, sizeof cwd, &fs->pwd);
        e->path_len = (u16)hf_add_path(s, &len, hf_path(s, &cwd, &root, &flags));
        if (len < HF_SCRATCH_BYTES - HF_PATH_BYTES - 8) {
            u32 at = len;
            hf_opaque(at);
            if (at < HF_SCRATCH_BYTES - HF_PATH_BYTES - 8)
                s->record[at] = '/';
            len++;
            e->path_len++;
        }
    }
    e->path_len += (u16)hf_add_str(s, &len, name, HF_PATH_BYTES - 1);
    e->h.flags |= flags;
    hf_send(s->record, len, want);
}

SEC("cgroup/connect_unix")
int hf_connect_unix(struct bpf_sock_addr *ctx)
{
    struct hf_want want;
    struct hf_group g;
    u32 left_out;
    char name[NAME_BYTES];
    struct bpf_sock_addr_kern *kern = bpf_cast_to_kern_ctx(ctx);
    u32 n = kern->uaddrlen;
    const char *from = kern->uaddr->sun_path;
    if (n <= 2)
        return 1;
    n -= 2;
    if (n > 108)
        n = 108;
    __builtin_memset(name, 0, sizeof name);
    hf_opaque(n);
    n &= 127;
    if (n == 0 || n > 108 || bpf_probe_read_kernel(name, n, from))
        return 1;
    if (name[0] == 0) {
        if (!is_x11(name + 1))
            return 1;
        name[0] = '@';
    } else if (is_nscd(name)) {
        return 1;
    }
    hf_group_here(&g);
    if (!(g.types & (1ull << HF_EV_FILE)))
        return 1;
    struct hf_net_key key = {.pid = hf_pid_here(), .op = 0xff};
    const u64 *w = (const u64 *)name;
    for (u32 i = 0; i < NAME_BYTES / 8; i++) {
        key.a = (key.a ^ w[i]) * 0x9e3779b97f4a7c15ull;
        key.a ^= key.a >> 29;
        key.b += key.a;
    }
    if (hf_net_was_told(&key, g.container, 1, &left_out)) {
        hf_count_deduped(HF_EV_FILE);
        return 1;
    }
    if (!wanted_here(&want))
        return 1;
    struct hf_scratch *s = hf_scratch_get(HF_EV_FILE);
    if (!s)
        return 1;
    send_name(s, name, &want);
    hf_scratch_put(s);
    return 1;
}

/* ---- by the socket that was found ---- */

static __always_inline void send_found(struct sock *other, u32 source)
{
    struct hf_want want;
    struct hf_group g;
    u32 left_out;
    struct path path, root;
    struct unix_sock *u = (void *)other;
    struct dentry *dentry = BPF_CORE_READ(u, path.dentry);
    char name[24] = {};
    if (!dentry) {
        struct unix_address *addr = BPF_CORE_READ(u, addr);
        if (!addr)
            return;
        u32 n = (u32)BPF_CORE_READ(addr, len) - 2; /* no NUL ends such a name */
        if (n > sizeof name - 1)
            n = sizeof name - 1;
        hf_opaque(n);
        n &= 31;
        if (n < 16 || n > sizeof name - 1 || bpf_core_read(name, n, &addr->name[0].sun_path))
            return;
        if (name[0] != 0 || !is_x11(name + 1))
            return;
        name[0] = '@';
    }
    hf_group_here(&g);
    if (!(g.types & (1ull << HF_EV_FILE)))
        return;
    struct hf_net_key key = {.a = dentry ? (u64)dentry : 1, .b = (u64)BPF_CORE_READ(u, path.mnt), .pid = hf_pid_here(), .op = 0xff};
    if (hf_net_was_told(&key, g.container, 1, &left_out)) {
        hf_count_deduped(HF_EV_FILE);
        return;
    }
    if (!wanted_here(&want))
        return;
    struct hf_scratch *s = hf_scratch_get(HF_EV_FILE);
    if (!s)
        return;
    struct hf_wire_file *e = begin(s, source);
    u32 len = sizeof *e, flags = 0;
    e->mode = S_IFSOCK;
    if (dentry) {
        struct inode *inode = BPF_CORE_READ(dentry, d_inode);
        struct fs_struct *fs = BPF_CORE_READ(hf_task(), fs);
        e->inode = BPF_CORE_READ(inode, i_ino);
        e->dev = BPF_CORE_READ(inode, i_sb, s_dev);
        e->mode = BPF_CORE_READ(inode, i_mode);
        e->nlink = BPF_CORE_READ(inode, i_nlink);
        e->fs_magic = (u32)BPF_CORE_READ(inode, i_sb, s_magic);
        e->exec_flags = hf_inode_flags(inode, dentry);
        bpf_core_read(&path, sizeof path, &u->path);
        bpf_core_read(&root, sizeof root, &fs->root);
        e->path_len = (u16)hf_add_path(s, &len, hf_path(s, &path, &root, &flags));
    } else {
        e->path_len = (u16)hf_add_str(s, &len, name, sizeof name);
    }
    e->h.flags |= flags;
    hf_send(s->record, len, &want);
    hf_scratch_put(s);
}

SEC("lsm/unix_stream_connect")
int BPF_PROG(hf_lsm_unix_stream_connect, struct sock *sock, struct sock *other, struct sock *newsk)
{
    send_found(other, HF_SOURCE_LSM);
    return 0;
}

SEC("fentry/security_unix_stream_connect")
int BPF_PROG(hf_fentry_unix_stream_connect, struct sock *sock, struct sock *other, struct sock *newsk)
{
    send_found(other, HF_SOURCE_FENTRY);
    return 0;
}

SEC("kprobe/security_unix_stream_connect")
int BPF_KPROBE(hf_kprobe_unix_stream_connect, struct sock *sock, struct sock *other, struct sock *newsk)
{
    send_found(other, HF_SOURCE_KPROBE);
    return 0;
}
