// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* guard-map.bpf.c - libraries: files that a container maps for execution, where a policy holds programs against the seal.
 *
 * A file of the image's own layers, as it lies there, is none of our business: nobody inside can change it.  Of any other the verdict counts that the
 * guard gave for this state of it: what is refused is not mapped (LSM), or its process is killed in the call.  What has no verdict yet stops its
 * process on the way out of the call, before an instruction of the file can run; the guard looks at the file, and lets it go on or kills it.
 * Hooks as in mem.bpf.c: the security hook, or the trace of the memory map's lock (5.11), which nobody else pays for. */
#include "guard.h"

#define PROT_EXEC 4
#define MAP_ANONYMOUS 0x20
#define READ_IMPLIES_EXEC 0x0400000
#define PROT_READ 1


static __always_inline bool is_own(struct file *file, struct inode *inode, u32 root_dev)
{
    if (BPF_CORE_READ(inode, i_sb, s_magic) != OVERLAYFS_SUPER_MAGIC || BPF_CORE_READ(inode, i_sb, s_dev) != root_dev || !BPF_CORE_READ(inode, i_nlink))
        return false;
    struct dentry *upper = NULL;
    bpf_probe_read_kernel(&upper, sizeof upper, (void *)inode + bpf_core_type_size(struct inode));
    return !upper;
}

/* 0: it may be mapped. */
static __always_inline int on_map(struct task_struct *t, struct file *file, u32 rung)
{
    struct found f;
    struct hf_guard_rule *r = rule_of(t);
    if (!r || !(r->flags & HF_GUARD_LIBS) || !r->begun || is_runtime(t) || is_free(t))
        return 0;
    /* as the process sees it: below an overlay f_inode may be another */
    struct inode *inode = BPF_CORE_READ(file, f_path.dentry, d_inode);
    if (is_own(file, inode, r->root_dev) || BPF_CORE_READ(t, mm, exe_file) == file)
        return 0;
    look_inode(file, inode, r, &f);
    if (!f.why || f.why == HF_GUARD_WHY_LOADER)
        return 0;
    bool counts = r->flags & HF_GUARD_COUNT, denied = f.why == HF_GUARD_WHY_DENIED || f.why == HF_GUARD_WHY_GONE;
    if (f.why == HF_GUARD_WHY_MEMORY && !hf_guard_alive) {
        denied = r->flags & HF_GUARD_CLOSED;
        if (!denied)
            return 0;
    }
    if (!denied && !hf_guard_libs)
        return 0;
    bool stopped = !counts && !denied && stop_until_judged(t, r->flags);
    if (!counts && !denied && !stopped) {
        denied = r->flags & HF_GUARD_CLOSED;
        if (!denied)
            return 0;
    }
    if (!counts && denied && rung == HF_GUARD_BY_SIGNAL)
        bpf_send_signal(SIGKILL);
    tell_file(t, r, &f, HF_GUARD_MAPPED, denied ? rung : 0, stopped);
    return !counts && denied;
}

SEC("lsm/mmap_file")
int BPF_PROG(hf_guard_mmap, struct file *file, unsigned long reqprot, unsigned long prot, unsigned long flags, int ret)
{
    if (ret || !hf_guard_rules_n || !(prot & PROT_EXEC) || !file)
        return ret;
    if (on_map((struct task_struct *)bpf_get_current_task(), file, HF_GUARD_BY_LSM)) {
        ret = -EPERM;
        asm volatile("" : "+r"(ret)); /* a constant of its own: what a compiler makes of "yes or no" has no bounds that kernels from 6.11 on see */
    }
    return ret;
}

/* The descriptor of a call that maps a file for execution; -1: it is none. */
static __always_inline int mapped_fd(struct task_struct *t, struct pt_regs *regs)
{
    bool compat = HF_TYPED_COMPAT(t);
    u32 nr = (u32)HF_TYPED_CALL(regs) & ~0x40000000u /* x32 */, prot, flags;
    u64 fd;
    if (!compat && nr != HF_NR_MMAP)
        return -1;
    if (!compat) {
        prot = (u32)HF_TYPED_2(regs);
        if (!(prot & PROT_EXEC) && !(t->personality & READ_IMPLIES_EXEC))
            return -1;
        flags = (u32)HF_REGS_3(regs);
        fd = HF_REGS_4(regs);
    } else if (nr == 192) { /* mmap2, of i386 and of arm */
        prot = (u32)HF_REGS_COMPAT_2(regs);
        flags = (u32)HF_REGS_COMPAT_3(regs);
        fd = HF_REGS_COMPAT_4(regs);
    } else {
#if defined(__TARGET_ARCH_x86)
        u32 old[6] = {};
        if (nr != 90 || bpf_probe_read_user(old, sizeof old, (void *)(u64)(u32)HF_REGS_COMPAT_0(regs)))
            return -1;
        prot = old[2];
        flags = old[3];
        fd = old[4];
#else
        return -1;
#endif
    }
    if (!(prot & PROT_EXEC) && !((prot & PROT_READ) && (t->personality & READ_IMPLIES_EXEC)))
        return -1;
    return flags & MAP_ANONYMOUS ? -1 : (int)fd;
}

SEC("tp_btf/mmap_lock_start_locking")
int BPF_PROG(hf_guard_lock, struct mm_struct *mm, bool write)
{
    if (!write || !hf_guard_rules_n)
        return 0;
    struct task_struct *t = bpf_get_current_task_btf();
    int fd = mapped_fd(t, (void *)bpf_task_pt_regs(t));
    struct file *file = fd >= 0 && !(t->flags & PF_KTHREAD) ? hf_file_of_fd(t, (u32)fd) : NULL;
    if (file)
        on_map(t, file, HF_GUARD_BY_SIGNAL);
    return 0;
}
