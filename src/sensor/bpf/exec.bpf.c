// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* exec.bpf.c - programs start, processes fork and end, tasks rename themselves (H1, H2, H3, H17).
 *
 * All texts of an exec are taken at sched_process_exec, after the kernel copied the arguments into the new address space, where
 * no other thread exists that could change them. */
#include "emit.h"

const volatile __u32 hf_self_pid = 0;
const volatile __u32 hf_hierarchy = 0;
const volatile __u32 hf_v1_subsys = HF_CGROUP_V2;
const volatile __u32 hf_wake_bytes = 1024 * 1024;
__u64 hf_last_wake = 0;

#define PIDTYPE_PGID 2
#define PIDTYPE_SID 3
#define UNIX98_PTY_SLAVE_MAJOR 136
#define SIGNAL_GROUP_EXIT 4
#define SIGKILL 9

static __always_inline void fill_stdio(struct hf_wire_stdio *out, struct task_struct *t, u32 n)
{
    struct fdtable *fdt = BPF_CORE_READ(t, files, fdt);
    struct file **fds = BPF_CORE_READ(fdt, fd), *file = NULL;
    __builtin_memset(out, 0, sizeof *out);
    if (n >= BPF_CORE_READ(fdt, max_fds))
        return;
    bpf_probe_read_kernel(&file, sizeof file, fds + n);
    if (!file)
        return;
    struct inode *inode = BPF_CORE_READ(file, f_inode);
    u32 type = BPF_CORE_READ(inode, i_mode) & S_IFMT, rdev = BPF_CORE_READ(inode, i_rdev), major = rdev >> 20;
    out->kind = HF_STDIO_OTHER;
    if (type == S_IFREG) {
        out->kind = HF_STDIO_FILE;
    } else if (type == S_IFIFO) {
        out->kind = HF_STDIO_PIPE;
    } else if (type == S_IFCHR) {
        if (rdev == (1u << 20 | 3))
            out->kind = HF_STDIO_NULL;
        else if (major == 4 || major == 5 || (major >= UNIX98_PTY_SLAVE_MAJOR && major < UNIX98_PTY_SLAVE_MAJOR + 8))
            out->kind = HF_STDIO_TTY;
    } else if (type == S_IFSOCK) {
        struct socket *socket = BPF_CORE_READ(file, private_data);
        struct sock *sk = BPF_CORE_READ(socket, sk);
        u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
        out->kind = HF_STDIO_SOCKET;
        out->family = (u8)family;
        if (family == AF_INET || family == AF_INET6) {
            out->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
            out->peer_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
        }
        if (family == AF_INET)
            hf_addr4(out->peer, BPF_CORE_READ(sk, __sk_common.skc_daddr));
        else if (family == AF_INET6)
            bpf_core_read(out->peer, 16, &sk->__sk_common.skc_v6_daddr);
    }
}

static __always_inline u32 tty_device(struct task_struct *t)
{
    struct tty_struct *tty = BPF_CORE_READ(t, signal, tty);
    if (!tty)
        return 0;
    u32 major = (u32)BPF_CORE_READ(tty, driver, major);
    u32 minor = (u32)BPF_CORE_READ(tty, driver, minor_start) + (u32)BPF_CORE_READ(tty, index);
    return major << 20 | minor;
}

/* Whether whoever runs it may also write it: set for the classic "drop and run". */
static __always_inline u32 writable_by(struct inode *inode, u32 euid, u32 egid)
{
    u32 mode = BPF_CORE_READ(inode, i_mode);
    if (BPF_CORE_READ(inode, i_uid.val) == euid)
        return mode & 0200;
    if (BPF_CORE_READ(inode, i_gid.val) == egid)
        return mode & 0020;
    return mode & 0002;
}

/* Memory of the process [from, to) at the end of the record; at most mask bytes (a power of two minus one). */
static __always_inline u32 add_user(struct hf_scratch *s, u32 *len, unsigned long from, unsigned long to, u32 mask, u32 *flags)
{
    u32 at = *len, n = mask;
    if (to <= from)
        return 0;
    if (at > HF_SCRATCH_BYTES - HF_ARGS_BYTES - 8 || to - from > mask)
        *flags |= HF_F_TRUNCATED;
    if (at > HF_SCRATCH_BYTES - HF_ARGS_BYTES - 8)
        return 0;
    if (to - from < mask)
        n = (u32)(to - from);
    hf_opaque(at); /* 5.10 and 6.1 lose the bound above when the compiler keeps `at` on the stack */
    if (at > HF_SCRATCH_BYTES - HF_ARGS_BYTES - 8)
        return 0;
    hf_opaque(n);
    n &= mask;
    if (bpf_probe_read_user(&s->record[at], n, (void *)from)) {
        *flags |= HF_F_TRUNCATED;
        return 0;
    }
    *len = at + n;
    return n;
}

/* Whether a folder that a process stands in is in another mount namespace than its own.  Entering a namespace moves both into it, so only a descriptor from outside leads
 * there (as runc's did, CVE-2024-21626), or an exploit.  What was unmounted meanwhile is in none, what was not mounted yet in an anonymous one. */
static __always_inline bool outside(const struct path *folder, struct mnt_namespace *own)
{
    struct mount *m = (void *)folder->mnt - bpf_core_field_offset(struct mount, mnt);
    struct mnt_namespace *ns = BPF_CORE_READ(m, mnt_ns);
    if (!ns || ns == own)
        return false;
    u32 number = BPF_CORE_READ(ns, ns.inum);
    return number && number != MNT_NS_ANONYMOUS;
}

/* place: what hf_inode_flags says of the file. */
static __always_inline u32 exec_flags(struct task_struct *t, struct linux_binprm *bprm, struct inode *inode, u32 place, struct hf_wire_exec *e)
{
    u32 flags = place;
    struct task_struct *parent = BPF_CORE_READ(t, real_parent);
    const struct cred *before = BPF_CORE_READ(parent, cred);
    struct signal_struct *sig = BPF_CORE_READ(t, signal);
    /* by the guard, whose program at this hook comes before ours, or by anybody else at the right moment */
    if ((BPF_CORE_READ(sig, flags) & SIGNAL_GROUP_EXIT) && (BPF_CORE_READ(sig, group_exit_code) & 0x7f) == SIGKILL)
        flags |= HF_X_KILLED;
    if (BPF_CORE_READ(bprm, filename) != BPF_CORE_READ(bprm, interp))
        flags |= HF_X_SCRIPT;
    if (BPF_CORE_READ(bprm, fdpath))
        flags |= HF_X_FD;
    if (e->h.euid != e->h.uid || ((e->mode & 04000) && BPF_CORE_READ(before, euid.val) != e->h.euid))
        flags |= HF_X_SETUID;
    u64 may = 0;
    const struct cred *now = BPF_CORE_READ(t, real_cred);
    bpf_probe_read_kernel(&may, sizeof may, &now->cap_permitted);
    if (may & ~e->h.cap_eff)
        flags |= HF_X_HOLDS;
    if (writable_by(inode, e->h.euid, e->h.egid))
        flags |= HF_X_WRITABLE;
    return flags;
}

static __always_inline void fill_exec(struct hf_scratch *s, struct hf_wire_exec *e, struct task_struct *t, struct linux_binprm *bprm, struct inode *inode, u32 place)
{
    hf_fill_header(&e->h, t, HF_EV_EXEC);
    e->inode = BPF_CORE_READ(inode, i_ino);
    e->ctime_ns = hf_ctime_ns(inode);
    e->parent_start_ns = BPF_CORE_READ(t, group_leader, real_parent, group_leader, start_boottime);
    e->dev = BPF_CORE_READ(inode, i_sb, s_dev);
    e->mode = BPF_CORE_READ(inode, i_mode);
    e->exe_uid = BPF_CORE_READ(inode, i_uid.val);
    e->nlink = BPF_CORE_READ(inode, i_nlink);
    e->exec_flags = exec_flags(t, bprm, inode, place, e);
    e->tty = tty_device(t);
    e->argc = (u32)BPF_CORE_READ(bprm, argc);
    e->envc = (u32)BPF_CORE_READ(bprm, envc);
    e->sid = hf_signal_pid(t, PIDTYPE_SID);
    e->pgid = hf_signal_pid(t, PIDTYPE_PGID);
    fill_stdio(&e->stdio[0], t, 0);
    fill_stdio(&e->stdio[1], t, 1);
    fill_stdio(&e->stdio[2], t, 2);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(hf_exec, struct task_struct *t, int old_pid, struct linux_binprm *bprm)
{
    struct hf_want want;
    u64 cgroup = hf_cgroup_of(t);
    struct file *file = BPF_CORE_READ(bprm, file);
    struct hf_policy *policy = bpf_map_lookup_elem(&hf_policies, &cgroup);
    struct inode *inode = BPF_CORE_READ(file, f_inode);
    u32 place = hf_inode_flags(inode, BPF_CORE_READ(file, f_path.dentry));
    bool urgent = (place & (HF_X_MEMFD | HF_X_DELETED)) || ((place & HF_X_UPPER) && !(place & HF_X_COPIED_UP));
    if (policy && policy->container && policy->execs == 0)
        urgent = true; /* a container's first program is never late */
    if (!hf_wanted(cgroup, HF_EV_EXEC, urgent, &want))
        return 0;
    struct hf_scratch *s = hf_scratch_get(HF_EV_EXEC);
    if (!s)
        return 0;
    struct hf_wire_exec *e = (void *)s->record;
    struct path path, root;
    u32 len = sizeof *e, flags = 0;
    fill_exec(s, e, t, bprm, inode, place);
    if (policy)
        __sync_fetch_and_add(&policy->execs, 1);
    /* the reverse shell's mark: standard input or output is a network connection */
    if ((e->stdio[0].kind == HF_STDIO_SOCKET && e->stdio[0].family != AF_UNIX) || (e->stdio[1].kind == HF_STDIO_SOCKET && e->stdio[1].family != AF_UNIX))
        want.critical = true;

    struct fs_struct *fs = BPF_CORE_READ(t, fs);
    bpf_core_read(&root, sizeof root, &fs->root);
    bpf_core_read(&path, sizeof path, &fs->pwd);
    struct mnt_namespace *own = BPF_CORE_READ(t, nsproxy, mnt_ns);
    e->exec_flags |= (outside(&path, own) ? HF_X_CWD_OUTSIDE : 0) | (outside(&root, own) ? HF_X_ROOT_OUTSIDE : 0);
    if (e->exec_flags & (HF_X_CWD_OUTSIDE | HF_X_ROOT_OUTSIDE))
        want.critical = true;
    bpf_core_read(&path, sizeof path, &file->f_path);
    e->path_len = (u16)hf_add_path(s, &len, hf_path(s, &path, &root, &flags));
    e->filename_len = (u16)hf_add_str(s, &len, BPF_CORE_READ(bprm, filename), HF_PATH_BYTES - 1);
    e->interp_len = (u16)hf_add_str(s, &len, BPF_CORE_READ(bprm, interp), HF_PATH_BYTES - 1);
    bpf_core_read(&path, sizeof path, &fs->pwd);
    u32 from = hf_path(s, &path, &root, &flags);
    if (from == HF_PATH_BYTES && path.dentry == root.dentry && path.mnt == root.mnt) { /* what is left of the root is no name */
        from = HF_PATH_BYTES - 1;
        s->path[from] = '/';
    }
    e->cwd_len = (u16)hf_add_path(s, &len, from);
    struct mm_struct *mm = BPF_CORE_READ(t, mm);
    e->args_len = add_user(s, &len, BPF_CORE_READ(mm, arg_start), BPF_CORE_READ(mm, arg_end), HF_ARGS_BYTES - 1, &flags);
    e->env_len = add_user(s, &len, BPF_CORE_READ(mm, env_start), BPF_CORE_READ(mm, env_end), HF_ENV_BYTES - 1, &flags);
    e->h.flags |= flags;
    hf_send(s->record, len, &want);
    hf_scratch_put(s);
    return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(hf_fork, struct task_struct *parent, struct task_struct *child)
{
    struct hf_want want;
    struct hf_wire_fork e;
    if (BPF_CORE_READ(child, pid) != BPF_CORE_READ(child, tgid)) /* a thread */
        return 0;
    u64 cgroup = hf_cgroup_of(child);
    if (!hf_wanted(cgroup, HF_EV_FORK, false, &want))
        return 0;
    __builtin_memset(&e, 0, sizeof e);
    hf_fill_header(&e.h, parent, HF_EV_FORK);
    e.child_start_ns = BPF_CORE_READ(child, start_boottime);
    e.child_cgroup_id = cgroup;
    e.child_pid = (u32)BPF_CORE_READ(child, tgid);
    e.child_ns_pid = hf_ns_pid(child, &e.child_pid_ns);
    e.child_ppid = (u32)BPF_CORE_READ(child, real_parent, tgid);
    hf_send(&e, sizeof e, &want);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(hf_exit, struct task_struct *t)
{
    struct hf_want want;
    struct hf_wire_exit e;
    struct signal_struct *sig = BPF_CORE_READ(t, signal);
    if (BPF_CORE_READ(sig, live.counter) > 0) /* other threads go on */
        return 0;
    if (!hf_wanted(hf_cgroup_of(t), HF_EV_EXIT, false, &want))
        return 0;
    __builtin_memset(&e, 0, sizeof e);
    hf_fill_header(&e.h, t, HF_EV_EXIT);
    u32 group = (u32)BPF_CORE_READ(sig, group_exit_code);
    e.status = group ? group : (u32)BPF_CORE_READ(t, exit_code);
    hf_send(&e, sizeof e, &want);
    return 0;
}

SEC("tp_btf/task_rename")
int BPF_PROG(hf_rename, struct task_struct *t, const char *name)
{
    struct hf_want want;
    struct hf_wire_rename e;
    if (t != hf_task()) /* by an exec: the kernel renames before the event of the exec */
        return 0;
    if (!hf_wanted(hf_cgroup_of(t), HF_EV_RENAME, false, &want))
        return 0;
    __builtin_memset(&e, 0, sizeof e);
    hf_fill_header(&e.h, t, HF_EV_RENAME);
    bpf_probe_read_kernel_str(e.name, sizeof e.name, name);
    hf_send(&e, sizeof e, &want);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
