// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* guard-files.bpf.c - paths that may not be written (read_only), where security hooks may refuse.
 *
 * User space resolves the paths of a policy in each container and gives the inodes (hf_guard_held); a hook looks up the file at hand and the folders
 * above it, across mounts where it knows them.  So neither another name of a file, nor a working directory from before, nor another mount of the
 * folder is a way around.  The hooks are attached while a rule needs them; those on descriptors that were open before, only when there are such. */
#include "guard.h"

#define FMODE_WRITE 2
#define MAY_WRITE 2
#define PROT_WRITE 2
#define MAP_SHARED 1 /* MAP_SHARED_VALIDATE has its bit too */
#define DEPTH 64
#define TOLD_NS 1000000000ull
#define NAME_BYTES 512u

/* Which argument of the hooks that change attributes is the dentry: 1 since they have the mount's id mapping first (5.12; setattr: 6.0).  Set before load. */
const volatile __u32 hf_guard_dentry_arg = 0, hf_guard_setattr_arg = 0;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, HF_GUARD_HELD_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct hf_guard_key);
    __type(value, u32);
} hf_guard_held SEC(".maps");

/* Who was told of lately: a program that tries again and again is one story a second. */
struct attempt {
    u64 inode;
    u32 pid, dev;
};
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1024);
    __type(key, struct attempt);
    __type(value, u64);
} hf_guard_tried SEC(".maps");

/* The walk that makes a path; one is taken, and given back, since a task may be interrupted in it. */
struct walk {
    u64 busy;
    u32 off, pad;
    u64 dentry, mnt, root_dentry, root_mnt;
    char path[NAME_BYTES + 256];
};
#define WALKS 2u
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, WALKS);
    __type(key, u32);
    __type(value, struct walk);
} hf_guard_walks SEC(".maps");

/* ---- is it held? ---- */

static __always_inline bool cross(struct dentry **dentry, struct vfsmount **mnt)
{
    struct mount *m = (void *)*mnt - bpf_core_field_offset(struct mount, mnt), *up = BPF_CORE_READ(m, mnt_parent);
    if (up == m)
        return false;
    *dentry = BPF_CORE_READ(m, mnt_mountpoint);
    *mnt = (void *)up + bpf_core_field_offset(struct mount, mnt);
    return true;
}

/* HF_GUARD_HELD_* of the file, or 0.  A function of its own, so that old kernels verify the loop once; mnt_at: 0, not known. */
__weak __attribute__((noinline)) int hf_guard_held_by(u64 container, u64 dentry_at, u64 mnt_at)
{
    struct dentry *dentry = (void *)dentry_at;
    struct vfsmount *mnt = (void *)mnt_at;
    struct hf_guard_key key = {.container = container};
    u32 way = 0;
    for (int i = 0; i < DEPTH; i++) {
        struct inode *inode = BPF_CORE_READ(dentry, d_inode);
        if (inode) {
            key.inode = BPF_CORE_READ(inode, i_ino);
            key.dev = BPF_CORE_READ(inode, i_sb, s_dev);
            u32 *held = bpf_map_lookup_elem(&hf_guard_held, &key);
            if (held && ((*held & HF_GUARD_HELD_BELOW) || (!i && (*held & HF_GUARD_HELD_ITSELF))))
                return (int)*held;
            if (held && !i)
                way = *held;
        }
        struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
        if (mnt && dentry == BPF_CORE_READ(mnt, mnt_root)) {
            if (!cross(&dentry, &mnt))
                break;
            continue;
        }
        if (parent == dentry)
            break;
        dentry = parent;
    }
    return (int)way;
}

/* A pointer that the verifier knows as one, as the plain number that such a function takes. */
static __always_inline u64 number_of(const void *p)
{
    u64 n = 0;
    bpf_probe_read_kernel(&n, sizeof n, &p);
    return n;
}

/* ---- its path, as its process sees it ---- */

__weak __attribute__((noinline)) int hf_guard_name_walk(u32 which)
{
    struct walk *w = bpf_map_lookup_elem(&hf_guard_walks, &which);
    if (!w)
        return 0;
    for (int i = 0; i < 48; i++) {
        struct dentry *dentry = (void *)w->dentry;
        struct vfsmount *mnt = (void *)w->mnt;
        if (w->dentry == w->root_dentry && (!mnt || w->mnt == w->root_mnt))
            return 0;
        if (mnt && dentry == BPF_CORE_READ(mnt, mnt_root)) {
            if (!cross(&dentry, &mnt))
                return 0;
            w->dentry = (u64)dentry;
            w->mnt = (u64)mnt;
            continue;
        }
        struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
        u32 len = BPF_CORE_READ(dentry, d_name.len), off = w->off;
        const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
        if (parent == dentry)
            return 0;
        if (len > 255)
            len = 255;
        if (off < len + 1)
            return 0;
        off = (off - len - 1) & (NAME_BYTES - 1);
        w->path[off] = '/';
        bpf_probe_read_kernel(&w->path[off + 1], len & 255, name);
        w->off = off;
        w->dentry = (u64)parent;
    }
    return 0;
}

static __always_inline void add_path(struct hf_guard_told *e, struct task_struct *t, struct vfsmount *mnt, struct dentry *dentry)
{
    struct walk *w = NULL;
    u32 which = 0;
    for (u32 i = 0; i < WALKS; i++) {
        u32 key = i;
        struct walk *one = bpf_map_lookup_elem(&hf_guard_walks, &key);
        if (!w && one && !one->busy) {
            w = one;
            which = i;
        }
    }
    if (!w)
        return;
    w->busy = 1;
    w->off = NAME_BYTES;
    w->dentry = number_of(dentry);
    w->mnt = number_of(mnt);
    w->root_dentry = (u64)BPF_CORE_READ(t, fs, root.dentry);
    w->root_mnt = (u64)BPF_CORE_READ(t, fs, root.mnt);
    hf_guard_name_walk(which);
    u32 off = w->off, len = NAME_BYTES - off;
    if (len > HF_GUARD_PATH - 1) /* its beginning: where it lies says more than how it is called */
        len = HF_GUARD_PATH - 1;
    asm volatile("" : "+r"(len)); /* so that the bound is where the verifier looks for it */
    bpf_probe_read_kernel(e->path, len & (HF_GUARD_PATH - 1), &w->path[off & (NAME_BYTES - 1)]);
    e->path_len = len;
    w->busy = 0;
}

/* ---- what is done ---- */

static __always_inline struct hf_guard_rule *rule_for_files(struct task_struct *t)
{
    struct hf_guard_rule *r = hf_guard_rules_n ? rule_of(t) : NULL;
    return r && (r->flags & HF_GUARD_FILES) && r->begun && !is_runtime(t) && (u32)BPF_CORE_READ(t, tgid) != hf_guard_pid ? r : NULL;
}

static __always_inline void tell(struct task_struct *t, const struct hf_guard_rule *r, struct vfsmount *mnt, struct dentry *dentry)
{
    struct inode *inode = BPF_CORE_READ(dentry, d_inode);
    struct attempt a = {.pid = (u32)BPF_CORE_READ(t, tgid)};
    u64 now = bpf_ktime_get_boot_ns();
    a.inode = inode ? BPF_CORE_READ(inode, i_ino) : number_of(dentry);
    a.dev = inode ? BPF_CORE_READ(inode, i_sb, s_dev) : 0;
    u64 *last = bpf_map_lookup_elem(&hf_guard_tried, &a);
    if (last && now - *last < TOLD_NS)
        return;
    bpf_map_update_elem(&hf_guard_tried, &a, &now, BPF_ANY);
    struct hf_guard_told *e = tell_begin(t, r, HF_GUARD_WHY_WRITE, HF_GUARD_BY_LSM);
    if (!e)
        return;
    if (inode) {
        e->inode = a.inode;
        e->dev = a.dev;
        e->mode = BPF_CORE_READ(inode, i_mode);
    }
    add_path(e, t, mnt, dentry);
    bpf_ringbuf_submit(e, 0);
}

/* `but`: HF_GUARD_HELD_* that are no reason. */
static __always_inline int on_write(struct vfsmount *mnt, struct dentry *dentry, u32 but)
{
    struct task_struct *t = (struct task_struct *)bpf_get_current_task();
    struct hf_guard_rule *r = rule_for_files(t);
    if (!r || !(hf_guard_held_by(r->container, number_of(dentry), number_of(mnt)) & ~but))
        return 0;
    tell(t, r, mnt, dentry);
    return r->flags & HF_GUARD_COUNT ? 0 : -EPERM;
}

SEC("lsm/file_open")
int BPF_PROG(hf_guard_w_open, struct file *file)
{
    return BPF_CORE_READ(file, f_mode) & FMODE_WRITE ? on_write(BPF_CORE_READ(file, f_path.mnt), BPF_CORE_READ(file, f_path.dentry), HF_GUARD_HELD_WAY) : 0;
}

#define ON_NAME(hook, ...)                                                                                                                         \
    SEC("lsm/path_" #hook)                                                                                                                         \
    int BPF_PROG(hf_guard_w_##hook, const struct path *dir, struct dentry *dentry)                                                                 \
    {                                                                                                                                              \
        return on_write(BPF_CORE_READ(dir, mnt), dentry, __VA_ARGS__);                                                                             \
    }
ON_NAME(mknod, HF_GUARD_HELD_WAY)
ON_NAME(mkdir, HF_GUARD_HELD_WAY)
ON_NAME(unlink, HF_GUARD_HELD_WAY)
ON_NAME(symlink, HF_GUARD_HELD_WAY)
ON_NAME(rmdir, 0)

SEC("lsm/path_link")
int BPF_PROG(hf_guard_w_link, struct dentry *old_dentry, const struct path *dir, struct dentry *dentry)
{
    int rc = on_write(BPF_CORE_READ(dir, mnt), old_dentry, HF_GUARD_HELD_WAY); /* through a name outside it could be written */
    return rc ? rc : on_write(BPF_CORE_READ(dir, mnt), dentry, HF_GUARD_HELD_WAY);
}

SEC("lsm/path_rename")
int BPF_PROG(hf_guard_w_rename, const struct path *old_dir, struct dentry *old_dentry, const struct path *new_dir, struct dentry *new_dentry)
{
    int rc = on_write(BPF_CORE_READ(old_dir, mnt), old_dentry, 0);
    return rc ? rc : on_write(BPF_CORE_READ(new_dir, mnt), new_dentry, 0);
}

SEC("lsm/path_truncate")
int BPF_PROG(hf_guard_w_truncate, const struct path *path)
{
    return on_write(BPF_CORE_READ(path, mnt), BPF_CORE_READ(path, dentry), HF_GUARD_HELD_WAY);
}

/* Modes, owners, times, extended attributes, access lists: there is no mount to go by.  Both arguments are read first, since the verifier follows no computed one. */
#define ON_INODE(hook, place)                                                              \
    SEC("lsm/inode_" #hook)                                                                \
    int hf_guard_w_##hook(unsigned long long *ctx)                                         \
    {                                                                                      \
        struct dentry *first = (void *)ctx[0], *second = (void *)ctx[1];                   \
        asm volatile("" : "+r"(first), "+r"(second));                                      \
        return on_write(NULL, place ? second : first, HF_GUARD_HELD_WAY);                  \
    }
ON_INODE(setxattr, hf_guard_dentry_arg)
ON_INODE(removexattr, hf_guard_dentry_arg)
ON_INODE(set_acl, hf_guard_dentry_arg) /* 6.2 */
ON_INODE(setattr, hf_guard_setattr_arg)

/* ---- by descriptors that were open for writing before ---- */

static __always_inline int on_open_before(struct file *file)
{
    struct task_struct *t = (struct task_struct *)bpf_get_current_task();
    struct hf_guard_rule *r = rule_for_files(t);
    if (!r || (r->flags & HF_GUARD_COUNT)) /* when it was opened it was counted */
        return 0;
    return on_write(BPF_CORE_READ(file, f_path.mnt), BPF_CORE_READ(file, f_path.dentry), HF_GUARD_HELD_WAY);
}

SEC("lsm/file_permission")
int BPF_PROG(hf_guard_e_write, struct file *file, int mask)
{
    return mask & MAY_WRITE ? on_open_before(file) : 0;
}

SEC("lsm/file_truncate") /* 6.2; before it is path_truncate */
int BPF_PROG(hf_guard_w_ftruncate, struct file *file)
{
    return on_write(BPF_CORE_READ(file, f_path.mnt), BPF_CORE_READ(file, f_path.dentry), HF_GUARD_HELD_WAY);
}

SEC("lsm/mmap_file")
int BPF_PROG(hf_guard_e_map, struct file *file, unsigned long reqprot, unsigned long prot, unsigned long flags)
{
    return file && (prot & PROT_WRITE) && (flags & MAP_SHARED) ? on_open_before(file) : 0;
}

#define VM_SHARED 8
SEC("lsm/file_mprotect")
int BPF_PROG(hf_guard_e_mprotect, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)
{
    struct file *file = BPF_CORE_READ(vma, vm_file);
    return file && (prot & PROT_WRITE) && (BPF_CORE_READ(vma, vm_flags) & VM_SHARED) ? on_open_before(file) : 0;
}
