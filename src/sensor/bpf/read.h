/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* read.h - getters: a task's header, its container group, paths. */
#pragma once
#include "maps.h"
#include "regs.h"

static __always_inline struct task_struct *hf_task(void)
{
    return (struct task_struct *)bpf_get_current_task();
}

static __always_inline u64 hf_cgroup_of(struct task_struct *t)
{
    struct css_set *set = BPF_CORE_READ(t, cgroups);
    struct cgroup *cg;
    if (hf_v1_subsys == HF_CGROUP_V2) {
        cg = BPF_CORE_READ(set, dfl_cgrp);
    } else {
        struct cgroup_subsys_state *css = NULL;
        bpf_core_read(&css, sizeof css, &set->subsys[hf_v1_subsys & 15]);
        cg = BPF_CORE_READ(css, cgroup);
    }
    return BPF_CORE_READ(cg, kn, id);
}

static __always_inline u32 hf_ns_pid(struct task_struct *leader, u32 *ret_pid_ns)
{
    struct pid *pid = BPF_CORE_READ(leader, thread_pid);
    u32 level = BPF_CORE_READ(pid, level);
    struct upid up = {};
    bpf_core_read(&up, sizeof up, &pid->numbers[level & 31]);
    *ret_pid_ns = BPF_CORE_READ(up.ns, ns.inum);
    return (u32)up.nr;
}

static __always_inline u32 hf_signal_pid(struct task_struct *t, u32 kind)
{
    struct signal_struct *s = BPF_CORE_READ(t, signal);
    struct pid *pid = NULL;
    bpf_core_read(&pid, sizeof pid, &s->pids[kind & 3]);
    struct upid up = {};
    bpf_core_read(&up, sizeof up, &pid->numbers[0]);
    return (u32)up.nr;
}

/* The running task may be read by plain loads (5.11).  Numbers only: for each pointer that is followed so, the verifier of newer kernels goes
 * through the names of all types, which made a third of the time to start. */
#define HF_TYPED_TASK bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)

static __always_inline void hf_fill_numbers(struct hf_wire_hdr *h, struct task_struct *t)
{
    u32 task_flags = BPF_CORE_READ(t, flags);
    h->flags = (BPF_CORE_READ(t, ptrace) ? HF_F_TRACED : 0) | (task_flags & PF_KTHREAD ? HF_F_KTHREAD : 0) | (hf_is_compat(t) ? HF_F_COMPAT32 : 0);
    h->pid = (u32)BPF_CORE_READ(t, tgid);
    h->tid = (u32)BPF_CORE_READ(t, pid);
    h->login_uid = h->session_id = (u32)-1;
    if (bpf_core_field_exists(t->loginuid)) {
        h->login_uid = BPF_CORE_READ(t, loginuid.val);
        h->session_id = BPF_CORE_READ(t, sessionid);
    }
}

/* The same of the running task: each of these reads costs a tenth so. */
static __always_inline void hf_fill_own_numbers(struct hf_wire_hdr *h)
{
    struct task_struct *t = bpf_get_current_task_btf();
    h->flags = (t->ptrace ? HF_F_TRACED : 0) | (t->flags & PF_KTHREAD ? HF_F_KTHREAD : 0) | (HF_TYPED_COMPAT(t) ? HF_F_COMPAT32 : 0);
    h->pid = (u32)t->tgid;
    h->tid = (u32)t->pid;
    h->login_uid = h->session_id = (u32)-1;
    if (bpf_core_field_exists(t->loginuid)) {
        h->login_uid = t->loginuid.val;
        h->session_id = t->sessionid;
    }
}

/* The rest of the header of an event of task t.  type and len are the emitter's. */
static __always_inline void hf_fill_rest(struct hf_wire_hdr *h, struct task_struct *t, u32 type)
{
    struct task_struct *leader = BPF_CORE_READ(t, group_leader);
    struct task_struct *parent = BPF_CORE_READ(leader, real_parent);
    const struct cred *cred = BPF_CORE_READ(t, real_cred); /* its own: while it does something below an overlay, `cred` is whoever mounted that */
    struct nsproxy *ns = BPF_CORE_READ(t, nsproxy);

    h->type = (u16)type;
    h->version = HF_WIRE_VERSION;
    h->pad = 0;
    h->cpu = bpf_get_smp_processor_id();
    h->time_ns = bpf_ktime_get_boot_ns();
    h->cgroup_id = hf_cgroup_of(t);
    h->start_ns = BPF_CORE_READ(leader, start_boottime);
    h->cap_eff = 0;
    bpf_probe_read_kernel(&h->cap_eff, sizeof h->cap_eff, &cred->cap_effective);
    h->ppid = (u32)BPF_CORE_READ(parent, tgid);
    h->ns_pid = hf_ns_pid(leader, &h->pid_ns);
    h->uid = BPF_CORE_READ(cred, uid.val);
    h->euid = BPF_CORE_READ(cred, euid.val);
    h->gid = BPF_CORE_READ(cred, gid.val);
    h->egid = BPF_CORE_READ(cred, egid.val);
    h->mnt_ns = BPF_CORE_READ(ns, mnt_ns, ns.inum);
    h->net_ns = BPF_CORE_READ(ns, net_ns, ns.inum);
    h->user_ns = BPF_CORE_READ(cred, user_ns, ns.inum);
    bpf_core_read(h->comm, sizeof h->comm, &t->comm);
}

/* The header of an event of the running task t. */
static __always_inline void hf_fill_header(struct hf_wire_hdr *h, struct task_struct *t, u32 type)
{
    if (HF_TYPED_TASK)
        hf_fill_own_numbers(h);
    else
        hf_fill_numbers(h, t);
    hf_fill_rest(h, t, type);
}

/* The same of any task. */
static __always_inline void hf_fill_header_of(struct hf_wire_hdr *h, struct task_struct *t, u32 type)
{
    hf_fill_numbers(h, t);
    hf_fill_rest(h, t, type);
}

static __always_inline u64 hf_cgroup_here(void)
{
    return hf_cgroup_of(hf_task());
}

/* Some steps of hf_path; not 0: it has arrived.  A function of its own (global, so that kernels verify it once, and few steps of it), its state in
 * the map: what the verifier does not know of `off` it need not tell apart. */
#define HF_PATH_STEPS 8
#define HF_PATH_WALKS 6
__weak __attribute__((noinline)) int hf_path_walk(u32 level)
{
    struct hf_scratch *s = bpf_map_lookup_elem(&hf_scratch_map, &level);
    if (!s)
        return 1;
    for (int i = 0; i < HF_PATH_STEPS; i++) {
        struct dentry *dentry = (void *)s->dentry;
        struct vfsmount *vfsmnt = (void *)s->mnt;
        if (s->dentry == s->root_dentry && s->mnt == s->root_mnt)
            return 1;
        if (dentry == BPF_CORE_READ(vfsmnt, mnt_root)) {
            struct mount *m = (void *)vfsmnt - bpf_core_field_offset(struct mount, mnt);
            struct mount *up = BPF_CORE_READ(m, mnt_parent);
            if (up != m) {
                s->dentry = (u64)BPF_CORE_READ(m, mnt_mountpoint);
                s->mnt = (u64)up + bpf_core_field_offset(struct mount, mnt);
                continue;
            }
            /* a mount that hangs nowhere: of a file that is all of it the place in its file system is told, not nothing */
            if (s->off != HF_PATH_BYTES || dentry == BPF_CORE_READ(dentry, d_parent))
                return 1;
        }
        struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
        u32 len = BPF_CORE_READ(dentry, d_name.len) & 255 /* NAME_MAX */, off = s->off;
        const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
        if (parent == dentry && off != HF_PATH_BYTES)
            return 1; /* the root of a tree that is not mounted here */
        if (off < len + 1) {
            s->flags |= HF_F_TRUNCATED;
            return 1;
        }
        off = (off - len - 1) & (HF_PATH_BYTES - 1);
        s->path[off] = '/';
        bpf_probe_read_kernel(&s->path[off + 1], len & 255, name);
        s->off = off;
        if (parent == dentry) /* of no tree: a pipe, anonymous memory; its name is all there is */
            return 1;
        s->dentry = (u64)parent;
    }
    return 0;
}

/* Writes the path of p as seen from the root into s->path, ending at HF_PATH_BYTES.  Returns where it begins; *ret_flags gets
 * HF_F_TRUNCATED when there were more than 48 components and mounts, or it did not fit. */
static __always_inline u32 hf_path(struct hf_scratch *s, const struct path *p, const struct path *root, u32 *ret_flags)
{
    s->dentry = (u64)p->dentry;
    s->mnt = (u64)p->mnt;
    s->root_dentry = (u64)root->dentry;
    s->root_mnt = (u64)root->mnt;
    s->off = HF_PATH_BYTES;
    s->flags = 0;
    for (int i = 0; i < HF_PATH_WALKS; i++)
        if (hf_path_walk(s->level))
            goto arrived;
    s->flags |= HF_F_TRUNCATED;
arrived:
    *ret_flags |= s->flags;
    return s->off;
}

/* What the file's place says of it: HF_X_*. */
static __always_inline u32 hf_inode_flags(struct inode *inode, struct dentry *dentry)
{
    u32 flags = 0;
    u64 magic = BPF_CORE_READ(inode, i_sb, s_magic);
    if (BPF_CORE_READ(inode, i_nlink) == 0)
        flags |= HF_X_DELETED;
    if (magic == TMPFS_MAGIC) {
        char head[8] = {};
        bpf_probe_read_kernel(head, sizeof head - 1, BPF_CORE_READ(dentry, d_name.name));
        flags |= HF_X_TMPFS;
        if (head[0] == 'm' && head[1] == 'e' && head[2] == 'm' && head[3] == 'f' && head[4] == 'd' && head[5] == ':')
            flags |= HF_X_MEMFD;
    }
    if (magic == OVERLAYFS_SUPER_MAGIC) {
        /* struct ovl_inode: the upper dentry follows the inode, then (6.5) the stack of lower ones */
        void *after = (void *)inode + bpf_core_type_size(struct inode), *upper = NULL;
        bpf_probe_read_kernel(&upper, sizeof upper, after);
        flags |= HF_X_OVERLAY;
        if (upper) {
            flags |= HF_X_UPPER;
            if (bpf_core_field_exists(struct ovl_entry, __numlower)) { /* before 6.5 there is a type of this name, of another shape */
                struct ovl_entry *oe = NULL;
                bpf_probe_read_kernel(&oe, sizeof oe, after + sizeof(void *));
                if (oe && BPF_CORE_READ(oe, __numlower) > 0)
                    flags |= HF_X_COPIED_UP;
            }
        }
    }
    return flags;
}

static __always_inline u64 hf_ctime_ns(struct inode *inode)
{
    struct inode___ts *old = (void *)inode;
    struct inode___ts2 *mid = (void *)inode;
    if (bpf_core_field_exists(inode->i_ctime_sec))
        return (u64)BPF_CORE_READ(inode, i_ctime_sec) * 1000000000ull + (BPF_CORE_READ(inode, i_ctime_nsec) & 0x7fffffff); /* 6.13: bit 31 says that somebody asked */
    if (bpf_core_field_exists(mid->__i_ctime))
        return (u64)BPF_CORE_READ(mid, __i_ctime.tv_sec) * 1000000000ull + (u64)BPF_CORE_READ(mid, __i_ctime.tv_nsec);
    return (u64)BPF_CORE_READ(old, i_ctime.tv_sec) * 1000000000ull + (u64)BPF_CORE_READ(old, i_ctime.tv_nsec);
}

/* An address of a socket as 16 bytes. */
static __always_inline void hf_addr4(u8 out[16], u32 be)
{
    __builtin_memset(out, 0, 10);
    out[10] = 0xff;
    out[11] = 0xff;
    __builtin_memcpy(out + 12, &be, 4);
}

