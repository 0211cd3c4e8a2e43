// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* mem.bpf.c - memory that is made executable (H16): new mappings, mprotect, shared memory.
 *
 * Best: the security hooks, as LSM, fentry or kprobe.  Where a kernel offers none of them but traces the lock of the memory map (5.11,
 * mmap_lock_start_locking), that serves: whoever maps memory takes the lock for writing, with the call still in its registers, and nobody
 * else pays.  Last: the tracepoints of the system calls, which every system call of the host pays for.
 *
 * What goes out: mappings with nothing behind them, writable and executable ones, memory that was written before it becomes executable, and
 * files that are not the image's own: of the writable layer, of a file system in memory, without a name, of another file system than the
 * root.  A library of the image mapped as it lies there is no event.  Programs that compile at run time do this all day: a process is told
 * of once in dedupe_ns for the same, a program (by inode) in its group 32 times. */
#include "demand.h"

#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define MAP_ANONYMOUS 0x20
#define SHM_EXEC 0100000
#define SHM_RDONLY 010000
#define SHMAT_OF_IPC 21
#define READ_IMPLIES_EXEC 0x0400000
#define VM_READ 0x1
#define VM_WRITE 0x2
#define VM_EXEC 0x4
#define VM_GROWSDOWN 0x100
#define TOLD_OF_PROGRAM 32u
#define VMAS_MAX 4 /* mappings of one mprotect that are looked at */

struct change {
    u32 op, prot, before, flags, source, fd;
    u64 addr, len;
    struct file *file;
    bool by_fd; /* the file is looked up by its number, which another thread may change meanwhile */
};

/* ---- which of them are told ---- */

struct told_key {
    u64 who, cgroup, inode; /* who: of a process its start, of a program its inode */
    u32 what, dev;
};
struct told {
    u64 since_ns, revision, n;
};
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 2048);
    __type(key, struct told_key);
    __type(value, struct told);
} hf_mem_told SEC(".maps");

/* Counts; whether it is one of the first `max` in this while. */
static __always_inline bool among_first(const struct told_key *key, u64 max)
{
    struct hf_settings *set = hf_settings();
    struct told *t = bpf_map_lookup_elem(&hf_mem_told, key), first = {.n = 1};
    if (!set)
        return false;
    u64 now = bpf_ktime_get_boot_ns();
    if (t && t->revision == set->revision && now - t->since_ns < set->dedupe_ns) {
        __sync_fetch_and_add(&t->n, 1);
        return t->n <= max;
    }
    first.since_ns = now;
    first.revision = set->revision;
    bpf_map_update_elem(&hf_mem_told, key, &first, BPF_ANY);
    return true;
}

/* everybody: a file of a volume is told of once for all processes of the group. */
static __always_inline bool is_new(struct task_struct *task, const struct change *c, u64 cgroup, u64 inode, u32 dev, bool everybody)
{
    struct told_key key = {.cgroup = cgroup, .inode = inode, .what = c->flags << 16 | c->prot << 8 | c->op, .dev = dev};
    if (everybody) {
        bool first = among_first(&key, 1);
        struct hf_counters *again = first ? NULL : hf_counter(HF_EV_MEM);
        if (again)
            again->deduped++;
        return first;
    }
    key.who = BPF_CORE_READ(task, group_leader, start_boottime) ^ bpf_get_current_pid_tgid() >> 32 << 40;
    bool told = among_first(&key, 1);
    if (told) {
        key.who = BPF_CORE_READ(task, mm, exe_file, f_inode, i_ino);
        told = among_first(&key, TOLD_OF_PROGRAM);
    }
    struct hf_counters *n = told ? NULL : hf_counter(HF_EV_MEM);
    if (n)
        n->deduped++;
    return told;
}

/* ---- what it is ---- */

struct facts {
    u64 inode;
    u32 dev, exec_flags;
    bool own;  /* it is the image's, as the image has it */
    bool self; /* it is the program that runs: the kernel maps it at its start */
};

/* Lies in the scratch: on the stack the verifier would follow every combination of flags by itself. */
struct work {
    struct change c;
    struct facts f;
};
_Static_assert(sizeof(struct work) <= sizeof(((struct hf_scratch *)0)->work), "room for the work");

/* NULL: counted as lost. */
static __always_inline struct work *work_of(struct hf_scratch *s)
{
    if (s)
        __builtin_memset(s->work, 0, sizeof s->work);
    return s ? (struct work *)s->work : NULL;
}

static __always_inline void look_at_file(struct task_struct *task, struct file *file, struct facts *f)
{
    struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
    struct inode *inode = BPF_CORE_READ(dentry, d_inode); /* as the process sees it: below an overlay f_inode may be another */
    f->inode = BPF_CORE_READ(inode, i_ino);
    f->dev = BPF_CORE_READ(inode, i_sb, s_dev);
    f->exec_flags = hf_inode_flags(inode, dentry);
    u32 root = BPF_CORE_READ(task, fs, root.dentry, d_inode, i_sb, s_dev);
    f->own = f->dev == root && !(f->exec_flags & (HF_X_UPPER | HF_X_MEMFD | HF_X_DELETED));
    f->self = BPF_CORE_READ(task, mm, exe_file, f_path.dentry) == dentry;
}

/* A library that was mapped as the image has it is no event. */
static __always_inline bool is_telling(const struct change *c, const struct facts *f)
{
    if (c->flags & (HF_MEM_ANON | HF_MEM_WX | HF_MEM_WRITTEN))
        return true;
    return !f->own && !f->self;
}

/* A file of another file system than the root, that can still be found there. */
static __always_inline bool is_of_volume(const struct change *c, const struct facts *f)
{
    return c->file && !c->flags && !(f->exec_flags & (HF_X_UPPER | HF_X_MEMFD | HF_X_DELETED | HF_X_TMPFS));
}

/* ---- the record ---- */

static __always_inline void send_record(struct hf_scratch *s, struct task_struct *task, const struct change *c, const struct facts *f, const struct hf_want *want)
{
    struct path at, root;
    u32 more = 0;
    struct hf_wire_mem *e = (void *)s->record;
    u32 len = sizeof *e;
    hf_fill_header(&e->h, task, HF_EV_MEM);
    e->addr = c->addr;
    e->length = c->len;
    e->inode = f->inode;
    e->prot = c->prot;
    e->prot_before = c->before;
    e->op = c->op;
    e->mem_flags = c->flags;
    e->dev = f->dev;
    e->source = c->source;
    e->exec_flags = f->exec_flags;
    e->path_len = e->pad = 0;
    struct file *file = c->file;
    if (file) {
        struct fs_struct *fs = BPF_CORE_READ(task, fs);
        bpf_core_read(&root, sizeof root, &fs->root);
        bpf_core_read(&at, sizeof at, &file->f_path);
        e->path_len = (u16)hf_add_path(s, &len, hf_path(s, &at, &root, &more));
        if (c->by_fd)
            more |= HF_F_UNTRUSTED;
    }
    e->h.flags |= more;
    hf_send(s->record, len, want);
}

/* Whether anything is to be told of the running process. */
static __always_inline bool told_of_here(void)
{
    return (u32)(bpf_get_current_pid_tgid() >> 32) != hf_self_pid && hf_may_want(hf_cgroup_here(), HF_EV_MEM);
}

static __always_inline void made_executable(struct task_struct *task, struct hf_scratch *s, struct work *w)
{
    struct hf_want want;
    struct change *c = &w->c;
    struct facts *f = &w->f;
    u64 cgroup = hf_cgroup_here();
    if (c->file)
        look_at_file(task, c->file, f);
    else
        c->flags |= HF_MEM_ANON;
    if ((c->prot & (PROT_WRITE | PROT_EXEC)) == (PROT_WRITE | PROT_EXEC))
        c->flags |= HF_MEM_WX;
    if (!is_telling(c, f) || !is_new(task, c, cgroup, f->inode, f->dev, is_of_volume(c, f)))
        return;
    bool urgent = (f->exec_flags & (HF_X_MEMFD | HF_X_DELETED)) || (c->flags & HF_MEM_STACK);
    if (hf_wanted(cgroup, HF_EV_MEM, urgent, &want))
        send_record(s, task, c, f, &want);
}

/* ---- what is there before an mprotect ---- */

struct vma_facts {
    u64 start, end, flags;
    struct file *file;
    u64 written; /* has pages of its own */
};

static __always_inline void vma_read(struct vm_area_struct *vma, struct vma_facts *v)
{
    v->start = BPF_CORE_READ(vma, vm_start);
    v->end = BPF_CORE_READ(vma, vm_end);
    v->flags = BPF_CORE_READ(vma, vm_flags);
    v->file = BPF_CORE_READ(vma, vm_file);
    v->written = BPF_CORE_READ(vma, anon_vma) != NULL;
}

static long find_one(struct task_struct *task, struct vm_area_struct *vma, struct vma_facts *v)
{
    vma_read(vma, v);
    return 0;
}

static __always_inline void add_vma(struct task_struct *task, struct change *c, const struct vma_facts *v)
{
    struct mm_struct *mm = BPF_CORE_READ(task, mm);
    c->before |= (v->flags & VM_READ ? PROT_READ : 0) | (v->flags & VM_WRITE ? PROT_WRITE : 0) | (v->flags & VM_EXEC ? PROT_EXEC : 0);
    if ((v->flags & VM_WRITE) || v->written)
        c->flags |= HF_MEM_WRITTEN;
    if (v->flags & VM_GROWSDOWN)
        c->flags |= HF_MEM_STACK;
    if (v->end > BPF_CORE_READ(mm, start_brk) && v->start < BPF_CORE_READ(mm, brk))
        c->flags |= HF_MEM_HEAP;
    if (!v->file)
        c->flags |= HF_MEM_ANON;
    else if (!c->file)
        c->file = v->file;
}

/* Whether it was executable already and does not become writable: nothing is gained. */
static __always_inline bool gains_nothing(u32 prot, const struct vma_facts *v)
{
    return (v->flags & VM_EXEC) && (!(prot & PROT_WRITE) || (v->flags & VM_WRITE));
}

/* The mappings in the range, with the memory map's lock tried for; false: nothing in it gains anything. */
static __always_inline bool look_at_range(struct task_struct *task, struct change *c)
{
    u64 at = c->addr;
    bool gains = false;
    if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_find_vma)) {
        c->flags |= HF_MEM_BLIND;
        return true;
    }
    for (int i = 0; i < VMAS_MAX; i++) {
        struct vma_facts v = {};
        if (at >= c->addr + c->len)
            return gains;
        if (bpf_find_vma(bpf_get_current_task_btf(), at, find_one, &v, 0) || v.end <= at) {
            c->flags |= HF_MEM_BLIND; /* somebody else holds the lock, or nothing is mapped there: the call will fail */
            return true;
        }
        if (!gains_nothing(c->prot, &v)) {
            gains = true;
            add_vma(task, c, &v);
        }
        at = v.end;
    }
    return true;
}

/* ---- security hooks ---- */

static __always_inline void mapped(struct file *file, unsigned long prot, u32 source)
{
    struct task_struct *task = hf_task();
    if (!(prot & PROT_EXEC) || !told_of_here())
        return;
    struct hf_scratch *s = hf_scratch_get(HF_EV_MEM);
    struct work *w = work_of(s);
    if (!w)
        return;
    struct change *c = &w->c;
    c->op = HF_MEM_MMAP;
    c->prot = (u32)prot;
    c->source = source;
    c->file = file;
    struct pt_regs *regs = hf_regs(task);
    u64 nr = HF_REGS_CALL(regs);
    bool native = !hf_is_compat(task);
    if (native && nr == HF_NR_MMAP) {
        c->addr = HF_REGS_0(regs);
        c->len = HF_REGS_1(regs);
    } else if (native && nr == HF_NR_SHMAT) {
        c->op = HF_MEM_SHMAT;
    }
    made_executable(task, s, w);
    hf_scratch_put(s);
}

static __always_inline void protected(struct vm_area_struct *vma, unsigned long prot, u32 source)
{
    struct task_struct *task = hf_task();
    struct vma_facts v = {};
    if (!(prot & PROT_EXEC))
        return;
    vma_read(vma, &v);
    if (gains_nothing((u32)prot, &v) || !told_of_here())
        return;
    struct hf_scratch *s = hf_scratch_get(HF_EV_MEM);
    struct work *w = work_of(s);
    if (!w)
        return;
    struct change *c = &w->c;
    c->op = HF_MEM_MPROTECT;
    c->prot = (u32)prot;
    c->source = source;
    add_vma(task, c, &v);
    c->addr = v.start;
    c->len = v.end - v.start;
    made_executable(task, s, w);
    hf_scratch_put(s);
}

/* READ_IMPLIES_EXEC is in `prot` of the LSM hook; the function around it has only what was asked for. */
static __always_inline unsigned long with_personality(unsigned long prot)
{
    struct task_struct *task = hf_task();
    return (prot & PROT_READ) && (BPF_CORE_READ(task, personality) & READ_IMPLIES_EXEC) ? prot | PROT_EXEC : prot;
}

SEC("lsm/mmap_file")
int BPF_PROG(hf_lsm_mmap_file, struct file *file, unsigned long reqprot, unsigned long prot)
{
    mapped(file, prot, HF_SOURCE_LSM);
    return 0;
}
SEC("fentry/security_mmap_file")
int BPF_PROG(hf_fentry_mmap_file, struct file *file, unsigned long prot)
{
    mapped(file, with_personality(prot), HF_SOURCE_FENTRY);
    return 0;
}
SEC("kprobe/security_mmap_file")
int BPF_KPROBE(hf_kprobe_mmap_file, struct file *file, unsigned long prot)
{
    mapped(file, with_personality(prot), HF_SOURCE_KPROBE);
    return 0;
}
SEC("lsm/file_mprotect")
int BPF_PROG(hf_lsm_file_mprotect, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)
{
    protected(vma, prot, HF_SOURCE_LSM);
    return 0;
}
SEC("fentry/security_file_mprotect")
int BPF_PROG(hf_fentry_file_mprotect, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)
{
    protected(vma, prot, HF_SOURCE_FENTRY);
    return 0;
}
SEC("kprobe/security_file_mprotect")
int BPF_KPROBE(hf_kprobe_file_mprotect, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)
{
    protected(vma, prot, HF_SOURCE_KPROBE);
    return 0;
}

/* ---- the call in the registers ---- */

static __always_inline void of_range(struct change *c, u32 op, u64 addr, u64 len, u64 prot)
{
    c->op = op;
    c->addr = addr;
    c->len = len;
    c->prot = (u32)prot & 7;
}

static __always_inline void at_shared(struct change *c, u64 addr, u64 flags)
{
    c->op = HF_MEM_SHMAT;
    c->addr = addr;
    c->prot = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) | (flags & SHM_EXEC ? PROT_EXEC : 0);
}

#define MATTERS(nr) ((nr) == HF_NR_MMAP || (nr) == HF_NR_MPROTECT || (nr) == HF_NR_PKEY_MPROTECT || (nr) == HF_NR_SHMAT)

/* of a call of the processor's own interface; false: none that makes memory executable */
static __always_inline bool native_call(struct pt_regs *regs, u32 nr, struct change *c)
{
    if (!MATTERS(nr))
        return false;
    u64 third = HF_REGS_2(regs);
    if (nr == HF_NR_SHMAT) {
        at_shared(c, HF_REGS_1(regs), third);
        return true;
    }
    of_range(c, nr == HF_NR_MMAP ? HF_MEM_MMAP : HF_MEM_MPROTECT, HF_REGS_0(regs), HF_REGS_1(regs), third);
    c->fd = nr == HF_NR_MMAP && !(HF_REGS_3(regs) & MAP_ANONYMOUS) ? (u32)HF_REGS_4(regs) : (u32)-1;
    return true;
}

static __always_inline bool compat_call(struct pt_regs *regs, u32 nr, struct change *c)
{
    u32 first = (u32)HF_REGS_COMPAT_0(regs), second = (u32)HF_REGS_COMPAT_1(regs), third = (u32)HF_REGS_COMPAT_2(regs), flags = (u32)HF_REGS_COMPAT_3(regs);
    switch (nr) {
    case 192: /* mmap2, of i386 and of arm */
        of_range(c, HF_MEM_MMAP, first, second, third);
        c->fd = flags & MAP_ANONYMOUS ? (u32)-1 : (u32)HF_REGS_COMPAT_4(regs);
        return true;
    case 125: /* mprotect, of both, pkey_mprotect */
    case HF_NR_COMPAT_PKEY_MPROTECT:
        of_range(c, HF_MEM_MPROTECT, first, second, third);
        return true;
    case HF_NR_COMPAT_SHMAT:
        at_shared(c, second, third);
        return true;
#if defined(__TARGET_ARCH_x86)
    case 90: { /* mmap: its arguments lie in memory */
        u32 old[6] = {};
        if (bpf_probe_read_user(old, sizeof old, (void *)(u64)first))
            return false;
        of_range(c, HF_MEM_MMAP, old[0], old[1], old[2]);
        c->fd = old[3] & MAP_ANONYMOUS ? (u32)-1 : old[4];
        return true;
    }
    case 117: /* ipc */
        if ((first & 0xffff) != SHMAT_OF_IPC)
            return false;
        at_shared(c, 0, third);
        return true;
#endif
    }
    return false;
}

/* Which mapping the call makes executable, in c; false: none. */
static __always_inline bool decode(struct task_struct *task, struct pt_regs *regs, u32 nr, bool compat, struct change *c)
{
    c->fd = (u32)-1;
    if (!(compat ? compat_call(regs, nr, c) : native_call(regs, nr, c)))
        return false;
    c->prot = (u32)with_personality(c->prot);
    return (c->prot & PROT_EXEC) && (c->op != HF_MEM_MPROTECT || look_at_range(task, c));
}

static __always_inline void call(u32 source)
{
    struct task_struct *task = bpf_get_current_task_btf();
    struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
    u32 nr = (u32)HF_TYPED_CALL(regs) & ~0x40000000u /* x32 */;
    bool compat = HF_TYPED_COMPAT(task);
    /* most take the lock for other reasons; plain loads, since all of them pass here */
    if (!compat && (!MATTERS(nr) || (nr != HF_NR_SHMAT && !(HF_TYPED_2(regs) & PROT_EXEC) && !(task->personality & READ_IMPLIES_EXEC))))
        return;
    if ((task->flags & PF_KTHREAD) || !told_of_here())
        return;
    struct hf_scratch *s = hf_scratch_get(HF_EV_MEM);
    struct work *w = work_of(s);
    if (!w)
        return;
    if (decode(task, regs, nr, compat, &w->c)) {
        w->c.source = source;
        if (w->c.fd != (u32)-1) {
            w->c.by_fd = true;
            w->c.file = hf_file_of_fd(task, w->c.fd);
        }
        made_executable(task, s, w);
    }
    hf_scratch_put(s);
}

SEC("tp_btf/mmap_lock_start_locking")
int BPF_PROG(hf_mmap_lock, struct mm_struct *mm, bool write)
{
    if (!write) /* a page fault, mostly.  (Before 6.13 there is another argument here, which is never 0: the call decides.) */
        return 0;
    call(HF_SOURCE_TRACEPOINT);
    return 0;
}

SEC("tracepoint")
int hf_sys_memory(void *ctx)
{
    call(HF_SOURCE_SYSCALL);
    return 0;
}
