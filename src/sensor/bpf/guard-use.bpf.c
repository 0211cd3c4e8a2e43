// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* guard-use.bpf.c - uses of the kernel that a policy does not list (kernel_use).
 *
 * Best: the security hooks, which refuse.  Where a kernel has none of them for us the process is killed on its way into the call: at the check of a
 * capability that the call makes first (the trace of these checks, 6.14: nobody else pays), at the creation of a ring, where the kernel asks its security
 * modules (the entry of that function, fentry: nobody else pays either), or else at the entry of the call (which every call of the host pays for, so that
 * is attached only while a policy needs it).  A process
 * that is killed runs no instruction any more; what its call does before it ends, it does: docs/protect.md says what that is. */
#include "guard.h"

#include "../guard-calls.h"

/* 1 << HF_USE_*, set before load: what is seen by which hook, each by one. */
const volatile __u32 hf_guard_by_caps = 0, hf_guard_by_call = 0;

/* ---- where security hooks may refuse ---- */

static __always_inline int on_use(u32 use, int ret)
{
    if (ret || !hf_guard_rules_n)
        return ret;
    struct task_struct *t = (struct task_struct *)bpf_get_current_task();
    struct hf_guard_rule *r = rule_of(t);
    if (!r || !(r->flags >> (HF_GUARD_USE_SHIFT + use) & 1) || !r->begun || is_runtime(t) || (u32)BPF_CORE_READ(t, tgid) == hf_guard_pid)
        return 0;
    struct hf_guard_told *e = tell_begin(t, r, HF_GUARD_WHY_USE, HF_GUARD_BY_LSM);
    if (e) {
        e->use = use;
        bpf_ringbuf_submit(e, 0);
    }
    return r->flags & HF_GUARD_COUNT ? 0 : -EPERM;
}

/* Numbers of HF_USE_* (src/protect/policy.h). */
#define USE_MODULES 0
#define USE_BPF 1
#define USE_MOUNT 2
#define USE_PTRACE 3
#define USE_USERNS 4
#define USE_IO_URING 5
#define PTRACE_MODE_ATTACH 0x02

enum kernel_read_file_id { READING_MODULE = 2 };
enum kernel_load_data_id { LOADING_MODULE = 2 };

SEC("lsm/kernel_read_file")
int BPF_PROG(hf_guard_module_file, struct file *file, int id, bool contents, int ret)
{
    return id == bpf_core_enum_value(enum kernel_read_file_id, READING_MODULE) ? on_use(USE_MODULES, ret) : ret;
}

SEC("lsm/kernel_load_data")
int BPF_PROG(hf_guard_module_data, int id, bool contents, int ret)
{
    return id == bpf_core_enum_value(enum kernel_load_data_id, LOADING_MODULE) ? on_use(USE_MODULES, ret) : ret;
}

SEC("lsm/bpf")
int BPF_PROG(hf_guard_bpf, int cmd, union bpf_attr *attr, unsigned int size, int ret)
{
    return on_use(USE_BPF, ret);
}

SEC("lsm/sb_mount")
int BPF_PROG(hf_guard_mount, const char *dev, const struct path *path, const char *type, unsigned long flags, void *data, int ret)
{
    return on_use(USE_MOUNT, ret);
}

SEC("lsm/move_mount")
int BPF_PROG(hf_guard_move, const struct path *from, const struct path *to, int ret)
{
    return on_use(USE_MOUNT, ret);
}

SEC("lsm/ptrace_access_check")
int BPF_PROG(hf_guard_trace, struct task_struct *child, unsigned int mode, int ret)
{
    return mode & PTRACE_MODE_ATTACH ? on_use(USE_PTRACE, ret) : ret;
}

SEC("lsm/ptrace_traceme")
int BPF_PROG(hf_guard_traceme, struct task_struct *parent, int ret)
{
    return on_use(USE_PTRACE, ret);
}

SEC("lsm/userns_create")
int BPF_PROG(hf_guard_userns, const struct cred *cred, int ret)
{
    return on_use(USE_USERNS, ret);
}

SEC("lsm/inode_init_security_anon")
int BPF_PROG(hf_guard_anon, struct inode *inode, const struct qstr *name, const struct inode *context, int ret)
{
    char head[12] = {};
    if (ret)
        return ret;
    bpf_probe_read_kernel_str(head, sizeof head, BPF_CORE_READ(name, name));
    bool uring = head[0] == '[' && head[1] == 'i' && head[2] == 'o' && head[3] == '_' && head[4] == 'u';
    return uring ? on_use(USE_IO_URING, ret) : 0;
}

SEC("lsm/sb_umount")
int BPF_PROG(hf_guard_umount, struct vfsmount *mnt, int flags, int ret)
{
    return on_use(USE_MOUNT, ret);
}

SEC("lsm/sb_pivotroot")
int BPF_PROG(hf_guard_pivot, const struct path *from, const struct path *to, int ret)
{
    return on_use(USE_MOUNT, ret);
}

/* ---- elsewhere ---- */

#define CLONE_NEWUSER 0x10000000u
#define PTRACE_TRACEME 0
#define PTRACE_ATTACH 16
#define PTRACE_SEIZE 0x4206
#define CAPS_OF_USES (1ull << 16 | 1ull << 21 | 1ull << 38 | 1ull << 39) /* SYS_MODULE, SYS_ADMIN, PERFMON, BPF */

/* The rule that forbids the use to the task, or NULL. */
static __always_inline struct hf_guard_rule *forbids(struct task_struct *t, u32 use)
{
    struct hf_guard_rule *r = rule_of(t);
    return r && (r->flags >> (HF_GUARD_USE_SHIFT + use) & 1) && r->begun && !is_runtime(t) && (u32)BPF_CORE_READ(t, tgid) != hf_guard_pid ? r : NULL;
}

/* One call may ask for several capabilities. */
#define SAME_NS 2000000ull
struct seen {
    u64 at_ns;
    u32 use, pad;
};
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1024);
    __type(key, u64);
    __type(value, struct seen);
} hf_guard_seen SEC(".maps");

static __always_inline void on_seen(struct task_struct *t, u32 use)
{
    struct hf_guard_rule *r = forbids(t, use);
    if (!r)
        return;
    u64 who = bpf_get_current_pid_tgid();
    struct seen now = {.at_ns = bpf_ktime_get_boot_ns(), .use = use}, *last = bpf_map_lookup_elem(&hf_guard_seen, &who);
    bool same = last && last->use == use && now.at_ns - last->at_ns < SAME_NS;
    bpf_map_update_elem(&hf_guard_seen, &who, &now, BPF_ANY);
    if (same)
        return;
    if (!(r->flags & HF_GUARD_COUNT))
        bpf_send_signal(SIGKILL);
    struct hf_guard_told *e = tell_begin(t, r, HF_GUARD_WHY_USE, HF_GUARD_BY_SIGNAL);
    if (e) {
        e->use = use;
        bpf_ringbuf_submit(e, 0);
    }
}

/* Which use the call is, of those in `mask`; -1: none. */
static __always_inline int use_of_call(struct task_struct *t, struct pt_regs *regs, u32 mask)
{
    u64 nr = HF_REGS_CALL(regs);
    bool compat = hf_is_compat(t);
    nr &= compat ? ~0ull : ~0x40000000ull; /* x32 */
    u32 what = nr >= HF_GUARD_CALLS ? 0 : compat ? hf_guard_compat[nr] : hf_guard_native[nr];
    if (!what)
        return -1;
    u64 first = compat ? (u32)HF_REGS_COMPAT_0(regs) : HF_REGS_0(regs);
    if (what == HF_GC_TRACE) {
        if (first != PTRACE_TRACEME && first != PTRACE_ATTACH && first != PTRACE_SEIZE)
            return -1;
        what = HF_GC_PTRACE;
    }
    if (what == HF_GC_CLONE3) {
        u64 flags = 0;
        bpf_probe_read_user(&flags, sizeof flags, (void *)first);
        first = flags;
        what = HF_GC_USERNS;
    }
    if (what == HF_GC_USERNS && !(first & CLONE_NEWUSER))
        return -1;
    return mask >> (what - 1) & 1 ? (int)what - 1 : -1;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(hf_guard_call, struct pt_regs *regs, long id)
{
    struct task_struct *t = (struct task_struct *)bpf_get_current_task();
    int use = use_of_call(t, regs, hf_guard_by_call);
    if (use >= 0)
        on_seen(t, (u32)use);
    return 0;
}

/* Memory of another process by /proc/PID/mem: opening it leaves no trace where no security hook does, reading and writing it locks the other's memory map
 * (5.11).  Killed at that, the process gets and changes nothing: pages of others are not given to who is to die. */
#define PROC_MAGIC 0x9fa0
static __always_inline bool is_mem(struct file *file)
{
    char name[4] = {};
    if (!file || BPF_CORE_READ(file, f_path.dentry, d_name.len) != 3 || BPF_CORE_READ(file, f_inode, i_sb, s_magic) != PROC_MAGIC)
        return false;
    bpf_probe_read_kernel(name, 3, BPF_CORE_READ(file, f_path.dentry, d_name.name));
    return name[0] == 'm' && name[1] == 'e' && name[2] == 'm';
}

SEC("tp_btf/mmap_lock_start_locking")
int BPF_PROG(hf_guard_m_memory, struct mm_struct *mm, bool write)
{
    if (write || !hf_guard_rules_n)
        return 0;
    struct task_struct *t = bpf_get_current_task_btf();
    if (mm == t->mm || (t->flags & PF_KTHREAD))
        return 0;
    struct pt_regs *regs = (void *)bpf_task_pt_regs(t);
    u64 fd = hf_is_compat(t) ? (u32)HF_REGS_COMPAT_0(regs) : HF_REGS_0(regs); /* of all reads and writes the first */
    if (fd < 0x7fffffff && is_mem(hf_file_of_fd(t, (u32)fd)))
        on_seen(t, USE_PTRACE);
    return 0;
}

/* Each attached where it is the best that there is: what goes through these functions is rare. */
#define ON_ENTRY(name, function, use, when, ...)                              \
    SEC("fentry/" #function)                                                  \
    int BPF_PROG(hf_guard_f_##name, __VA_ARGS__)                              \
    {                                                                         \
        if (hf_guard_rules_n && (when))                                       \
            on_seen((struct task_struct *)bpf_get_current_task(), use);       \
        return 0;                                                             \
    }
ON_ENTRY(trace, security_ptrace_access_check, USE_PTRACE, mode & PTRACE_MODE_ATTACH, struct task_struct *child, unsigned int mode)
ON_ENTRY(traceme, security_ptrace_traceme, USE_PTRACE, true, struct task_struct *parent)
ON_ENTRY(mount, security_sb_mount, USE_MOUNT, true, const char *dev)
ON_ENTRY(move, security_move_mount, USE_MOUNT, true, const struct path *from)
ON_ENTRY(umount, security_sb_umount, USE_MOUNT, true, struct vfsmount *mnt)
ON_ENTRY(pivot, security_sb_pivotroot, USE_MOUNT, true, const struct path *from)
ON_ENTRY(bpf, security_bpf, USE_BPF, true, int cmd)
ON_ENTRY(module_file, security_kernel_read_file, USE_MODULES, id == bpf_core_enum_value(enum kernel_read_file_id, READING_MODULE), struct file *file, int id)
ON_ENTRY(module_data, security_kernel_load_data, USE_MODULES, id == bpf_core_enum_value(enum kernel_load_data_id, LOADING_MODULE), int id)
ON_ENTRY(userns, create_user_ns, USE_USERNS, true, struct cred *new_cred)

/* In a user namespace that was made inside: no matter how it came there, its privileges are of no use. */
static __always_inline bool is_below(struct task_struct *t)
{
    int level = BPF_CORE_READ(t, cred, user_ns, level);
    if (level <= 0)
        return false;
    struct hf_guard_rule *r = forbids(t, USE_USERNS);
    if (!r)
        return false;
    if (r->level == HF_GUARD_LEVEL_UNKNOWN)
        r->level = (u32)level;
    return (u32)level > r->level;
}

/* Without the trace of capability checks: flags that another thread changed behind the entry of clone3 show here. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(hf_guard_below, struct task_struct *t, int old_pid, struct linux_binprm *bprm)
{
    if (hf_guard_rules_n && is_below(t))
        on_seen(t, USE_USERNS);
    return 0;
}

SEC("tp_btf/cap_capable")
int BPF_PROG(hf_guard_caps, const struct cred *cred, struct user_namespace *target, const struct user_namespace *capable, int cap, int result)
{
    if (!hf_guard_rules_n)
        return 0;
    struct task_struct *t = (struct task_struct *)bpf_get_current_task();
    if ((hf_guard_by_caps >> USE_USERNS & 1) && is_below(t)) {
        on_seen(t, USE_USERNS);
        return 0;
    }
    if (!(CAPS_OF_USES >> (cap & 63) & 1) || (BPF_CORE_READ(t, flags) & PF_KTHREAD))
        return 0;
    int use = use_of_call(t, hf_regs(t), hf_guard_by_caps);
    if (use >= 0)
        on_seen(t, (u32)use);
    return 0;
}

SEC("tp_btf/io_uring_create")
int BPF_PROG(hf_guard_ring_made, int fd, void *ctx_, u32 sq_entries, u32 cq_entries, u32 flags)
{
    if (hf_guard_rules_n)
        on_seen((struct task_struct *)bpf_get_current_task(), USE_IO_URING);
    return 0;
}
