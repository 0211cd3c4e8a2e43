/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* guard.h - what the families of the guard's kernel half share: maps, who a task is, what is known of a file, telling.
 * __weak: every object has them, the linker keeps one. */
#pragma once
#include "ktypes.h"

#define __VMLINUX_H__
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "regs.h"

#include "../../protect/guard-map.h"

#define CGROUP_V2 255u
#define EPERM 1
#define SIGKILL 9
#define SIGSTOP 19
#define CTIME_FLAGS 0x80000000u /* 6.13 (4e40eff0b573): the time was asked for */
#define BPF_ALLOWED 1

extern const volatile __u32 hf_guard_pid;   /* of the guard */
extern const volatile __u32 hf_v1_subsys;
extern const volatile __u32 hf_host_mnt_ns; /* runtimes are there when they enter a container's group */
extern __u32 hf_guard_alive;
extern __u32 hf_guard_rules_n;              /* no container is protected: nothing is looked at */
extern __u64 hf_guard_lost;
extern __u32 hf_guard_free_used;            /* somebody ever was */
extern __u32 hf_guard_stopped_used;         /* the same, of hf_guard_stopped */
extern __u32 hf_guard_libs;                 /* the guard looks at who is stopped; 0: nobody is any more */

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, HF_GUARD_RULES_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, u64);
    __type(value, struct hf_guard_rule);
} hf_guard_rules SEC(".maps") __weak;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, HF_GUARD_VERDICTS_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct hf_guard_key);
    __type(value, struct hf_guard_verdict);
} hf_guard_verdicts SEC(".maps") __weak;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, HF_GUARD_NAMES_MAX);
    __type(key, char[HF_GUARD_NAME]);
    __type(value, u32);
} hf_guard_names SEC(".maps") __weak;

/* Processes that may start any program: sessions of those whom the policy names, and what they fork. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, HF_GUARD_FREE_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, u32);
    __type(value, u32);
} hf_guard_free SEC(".maps") __weak;

/* Processes that are stopped until the guard has looked at what they mapped: whoever is in here when it is gone is let go, or killed (HF_GUARD_CLOSED). */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, HF_GUARD_STOPPED_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, u32);
    __type(value, u32);
} hf_guard_stopped SEC(".maps") __weak;

/* Containers whose policy fails open, while nobody can ask for files of file systems that somebody else serves. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, HF_GUARD_UNSERVED_MAX);
    __type(key, u64);
    __type(value, u32);
} hf_guard_unserved SEC(".maps") __weak;

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, HF_GUARD_RING_BYTES);
} hf_guard_ring SEC(".maps") __weak;

/* ---- who ---- */

static __always_inline struct cgroup *group_of(struct task_struct *t)
{
    struct css_set *set = BPF_CORE_READ(t, cgroups);
    if (hf_v1_subsys == CGROUP_V2)
        return BPF_CORE_READ(set, dfl_cgrp);
    struct cgroup_subsys_state *css = NULL;
    bpf_core_read(&css, sizeof css, &set->subsys[hf_v1_subsys & 15]);
    return BPF_CORE_READ(css, cgroup);
}

/* The rule of the container that the task is in; groups that were made inside it count too. */
static __always_inline struct hf_guard_rule *rule_of(struct task_struct *t)
{
    struct cgroup *cg = group_of(t);
    for (u32 i = 0; i < HF_GUARD_LEVELS && cg; i++) {
        u64 id = BPF_CORE_READ(cg, kn, id);
        struct hf_guard_rule *r = bpf_map_lookup_elem(&hf_guard_rules, &id);
        if (r)
            return r;
        struct cgroup_subsys_state *up = BPF_CORE_READ(cg, self.parent);
        cg = up ? BPF_CORE_READ(up, cgroup) : NULL;
    }
    return NULL;
}

/* A runtime that has just entered the container's group still is in the host's mount namespace, and starts itself anew. */
static __always_inline bool is_runtime(struct task_struct *t)
{
    return (u32)BPF_CORE_READ(t, nsproxy, mnt_ns, ns.inum) == hf_host_mnt_ns;
}

static __always_inline bool is_free(struct task_struct *t)
{
    u32 pid = (u32)BPF_CORE_READ(t, tgid);
    return hf_guard_free_used && bpf_map_lookup_elem(&hf_guard_free, &pid);
}

/* ---- which file ---- */

static __always_inline u64 ctime_of(struct inode *inode)
{
    struct inode___ts *old = (void *)inode;
    struct inode___ts2 *mid = (void *)inode;
    if (bpf_core_field_exists(inode->i_ctime_sec))
        return (u64)BPF_CORE_READ(inode, i_ctime_sec) * 1000000000ull + (BPF_CORE_READ(inode, i_ctime_nsec) & ~CTIME_FLAGS);
    if (bpf_core_field_exists(mid->__i_ctime))
        return (u64)BPF_CORE_READ(mid, __i_ctime.tv_sec) * 1000000000ull + (u64)BPF_CORE_READ(mid, __i_ctime.tv_nsec);
    return (u64)BPF_CORE_READ(old, i_ctime.tv_sec) * 1000000000ull + (u64)BPF_CORE_READ(old, i_ctime.tv_nsec);
}

/* An overlay's own inode learns late of what is written through a mapping: the upper file knows. */
static __always_inline u64 real_ctime(struct inode *inode)
{
    if (BPF_CORE_READ(inode, i_sb, s_magic) == OVERLAYFS_SUPER_MAGIC) {
        struct dentry *upper = NULL;
        bpf_probe_read_kernel(&upper, sizeof upper, (void *)inode + bpf_core_type_size(struct inode));
        struct inode *real = upper ? BPF_CORE_READ(upper, d_inode) : NULL;
        if (real)
            return ctime_of(real);
    }
    return ctime_of(inode);
}

static __always_inline bool in_memory(struct file *file, struct inode *inode)
{
    char head[8] = {};
    if (BPF_CORE_READ(inode, i_sb, s_magic) != TMPFS_MAGIC || BPF_CORE_READ(inode, i_nlink) != 0)
        return false;
    bpf_probe_read_kernel(head, sizeof head - 1, BPF_CORE_READ(file, f_path.dentry, d_name.name));
    return head[0] == 'm' && head[1] == 'e' && head[2] == 'm' && head[3] == 'f' && head[4] == 'd' && head[5] == ':';
}

struct found {
    u64 inode, ctime_ns;
    u32 dev, mode, why, clause, verdict;
};

/* The types of src/guard/slow.c, by the magic numbers of linux/magic.h and of their sources. */
static __always_inline bool is_served(struct inode *inode)
{
    switch ((u32)BPF_CORE_READ(inode, i_sb, s_magic)) {
    case 0x65735546: /* fuse */
    case 0x6969:     /* nfs */
    case 0xff534d42: /* cifs */
    case 0xfe534d42: /* smb3 */
    case 0x00c36400: /* ceph */
    case 0x5346414f: /* afs */
    case 0x6b414653: /* kafs */
    case 0x73757245: /* coda */
    case 0x0bd00bd0: /* lustre */
        return true;
    }
    return false;
}

/* What is known of the file; why is 0 when it may run. */
static __always_inline void look_inode(struct file *file, struct inode *inode, const struct hf_guard_rule *r, struct found *f)
{
    struct hf_guard_key key = {.container = r->container, .inode = BPF_CORE_READ(inode, i_ino), .dev = BPF_CORE_READ(inode, i_sb, s_dev)};
    f->inode = key.inode;
    f->dev = key.dev;
    f->mode = BPF_CORE_READ(inode, i_mode);
    f->ctime_ns = real_ctime(inode);
    f->why = f->clause = f->verdict = 0;
    struct hf_guard_verdict *v = bpf_map_lookup_elem(&hf_guard_verdicts, &key);
    bool stale = v && v->ctime_ns != f->ctime_ns;
    if (v && !stale) {
        f->verdict = v->verdict;
        f->clause = v->clause;
        if ((v->verdict & 0xff) != HF_GUARD_ALLOW)
            f->why = HF_GUARD_WHY_DENIED;
        else if (v->verdict & HF_GUARD_LOADER)
            f->why = HF_GUARD_WHY_LOADER;
        return;
    }
    if (in_memory(file, inode))
        f->why = HF_GUARD_WHY_MEMORY;
    else if (!hf_guard_alive)
        f->why = r->flags & HF_GUARD_CLOSED ? HF_GUARD_WHY_GONE : 0;
    else if (is_served(inode) && bpf_map_lookup_elem(&hf_guard_unserved, &key.container))
        f->why = 0;
    else
        f->why = stale ? HF_GUARD_WHY_STALE : HF_GUARD_WHY_UNJUDGED;
}

static __always_inline void look(struct file *file, const struct hf_guard_rule *r, struct found *f)
{
    look_inode(file, BPF_CORE_READ(file, f_inode), r, f);
}

/* Whether a rule that restricts programs by name alone lets go what nobody judged. */
static __always_inline bool lenient(const struct hf_guard_rule *r, u32 why)
{
    return !(r->flags & (HF_GUARD_STRICT | HF_GUARD_COUNT)) && (why == HF_GUARD_WHY_STALE || why == HF_GUARD_WHY_UNJUDGED || why == HF_GUARD_WHY_MEMORY);
}

/* ---- telling ---- */

static __always_inline struct hf_guard_told *tell_begin(struct task_struct *t, const struct hf_guard_rule *r, u32 why, u32 rung)
{
    struct hf_guard_told *e = bpf_ringbuf_reserve(&hf_guard_ring, sizeof *e, 0);
    if (!e) {
        __sync_fetch_and_add(&hf_guard_lost, 1);
        return NULL;
    }
    struct task_struct *leader = BPF_CORE_READ(t, group_leader);
    __builtin_memset(e, 0, offsetof(struct hf_guard_told, path));
    e->time_ns = bpf_ktime_get_boot_ns();
    e->container = r->container;
    e->cgroup_id = BPF_CORE_READ(group_of(t), kn, id);
    e->start_ns = BPF_CORE_READ(leader, start_boottime);
    e->pid = (u32)BPF_CORE_READ(t, tgid);
    e->tid = (u32)BPF_CORE_READ(t, pid);
    e->ppid = (u32)BPF_CORE_READ(leader, real_parent, tgid);
    e->uid = BPF_CORE_READ(t, cred, uid.val);
    e->why = why;
    e->rung = rung;
    bpf_core_read(e->comm, sizeof e->comm, &t->comm);
    return e;
}

static __always_inline void tell_exec(struct task_struct *t, const struct hf_guard_rule *r, const struct found *f, const char *filename, u32 rung)
{
    struct hf_guard_told *e = tell_begin(t, r, f->why, rung);
    if (!e)
        return;
    e->inode = f->inode;
    e->ctime_ns = f->ctime_ns;
    e->dev = f->dev;
    e->mode = f->mode;
    e->clause = f->clause;
    long n = bpf_probe_read_kernel_str(e->path, sizeof e->path, filename);
    e->path_len = n > 1 ? (u32)n - 1 : 0;
    bpf_ringbuf_submit(e, 0);
}

/* ---- stopping ---- */

/* The running task stops on its way out of the kernel until the guard has looked at the file; false: nobody would let it go again. */
static __always_inline bool stop_until_judged(struct task_struct *t, u32 flags)
{
    u32 pid = (u32)BPF_CORE_READ(t, tgid);
    if (bpf_map_update_elem(&hf_guard_stopped, &pid, &flags, BPF_ANY))
        return false;
    hf_guard_stopped_used = 1;
    bpf_send_signal(SIGSTOP);
    return true;
}

/* What it is stopped for, or what would have stopped it (rung 0), or was refused. */
static __always_inline void tell_file(struct task_struct *t, const struct hf_guard_rule *r, const struct found *f, u32 use, u32 rung, bool stopped)
{
    struct hf_guard_told *e = tell_begin(t, r, f->why, rung);
    if (e) {
        e->inode = f->inode;
        e->ctime_ns = f->ctime_ns;
        e->dev = f->dev;
        e->mode = f->mode;
        e->clause = f->clause;
        e->use = use;
        bpf_ringbuf_submit(e, 0);
    } else if (stopped) { /* the guard does not know: it looks for such each second */
        u32 pid = (u32)BPF_CORE_READ(t, tgid), flags = r->flags | HF_GUARD_UNTOLD;
        bpf_map_update_elem(&hf_guard_stopped, &pid, &flags, BPF_ANY);
    }
}
