// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* file.bpf.c - what is done to watched files (H5, H6), where the kernel lets its security hooks be seen.
 *
 * Which files: user space resolves the names (files/marks.c) and gives their inodes; a hook looks up the inode at hand and that of its
 * folder.  What neither is in costs two bits that are looked at.  Whether the row of the file's path really asks for this act decides
 * user space (files/files.c), which knows the paths of each container. */
#include "device.h"
#include "hooks.h"

volatile __u64 hf_file_bits[HF_FILE_BITS / 64];

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, HF_MAX_WATCHED);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, struct hf_file_key);
    __type(value, struct hf_file_watch);
} hf_watched SEC(".maps");

/* When a folder was last made where one may matter (~/.ssh): until user space has found its inode, what is done in it at once is told too. */
volatile __u64 hf_folder_made;
#define FOLDER_NS 2000000000ull

#define FMODE_READ 1
#define FMODE_WRITE 2
#define O_TRUNC 01000

struct act {
    u32 op, what, source, open_flags, new_mode;
    struct vfsmount *mnt;
    struct dentry *dentry;  /* of the file, or of the name to be made */
    struct dentry *dentry2; /* new name; NULL: none */
    struct vfsmount *mnt2;
    const char *text;       /* what a symbolic link is to say; NULL: none */
};

static __always_inline struct hf_file_watch *entry(struct inode *inode)
{
    struct hf_file_key key = {};
    if (!inode)
        return NULL;
    key.inode = BPF_CORE_READ(inode, i_ino);
    u32 bit = hf_file_bit(key.inode);
    if (!(hf_file_bits[(bit >> 6) & (HF_FILE_BITS / 64 - 1)] & (1ull << (bit & 63))))
        return NULL;
    key.dev = BPF_CORE_READ(inode, i_sb, s_dev);
    return bpf_map_lookup_elem(&hf_watched, &key);
}

/* Folders of these kinds hold others that nobody watches, and many of them. */
static __always_inline bool is_loose(u32 watch)
{
    watch &= ~HF_WATCH_ITSELF;
    return watch == HF_WATCH_TEMP || watch == HF_WATCH_LOG || watch == HF_WATCH_BINARY || watch == HF_WATCH_WEB;
}

/* Whether the folder of the file lies in a watched one and may have been made just now; whether its path matters, user space decides. */
static __always_inline bool in_new_folder(struct dentry *dentry, struct hf_file_watch *ret)
{
    u64 made = hf_folder_made;
    if (!made)
        return false;
    if (bpf_ktime_get_ns() - made > FOLDER_NS) {
        hf_folder_made = 0;
        return false;
    }
    struct hf_file_watch *w = entry(BPF_CORE_READ(dentry, d_parent, d_parent, d_inode));
    if (!w || !(w->what & HF_W_NAMES) || is_loose(w->watch))
        return false;
    *ret = *w;
    ret->watch = 0; /* what the outer folder is watched for says nothing of this file */
    return true;
}

/* Whether the file or its folder is watched for this. */
static __always_inline bool watched(struct dentry *dentry, u32 what, struct hf_file_watch *ret)
{
    struct hf_file_watch *w = entry(BPF_CORE_READ(dentry, d_inode));
    if (w && (w->what & what)) {
        *ret = *w;
        ret->watch |= HF_WATCH_ITSELF;
        return true;
    }
    w = entry(BPF_CORE_READ(dentry, d_parent, d_inode));
    if (w && (w->what & what)) {
        *ret = *w;
        return true;
    }
    return in_new_folder(dentry, ret);
}

/* Memory and environment of a process: below /proc by number, so that no inode is known beforehand. */
#define PROC_MAGIC 0x9fa0
static __always_inline bool of_process(struct dentry *dentry, u32 op, struct hf_file_watch *ret)
{
    char name[8] = {};
    u32 len = BPF_CORE_READ(dentry, d_name.len); /* most files are dismissed by this */
    if ((len != 3 && len != 7) || (op != HF_FILE_OPEN && op != HF_FILE_WRITE))
        return false;
    const unsigned char *text = BPF_CORE_READ(dentry, d_name.name);
    bpf_probe_read_kernel_str(name, sizeof name, text);
    bool mem = name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && !name[3];
    bool environ = name[0] == 'e' && name[1] == 'n' && name[2] == 'v' && name[3] == 'i' && name[4] == 'r' && name[5] == 'o' && name[6] == 'n';
    if ((!mem && !environ) || BPF_CORE_READ(dentry, d_inode, i_sb, s_magic) != PROC_MAGIC)
        return false;
    ret->watch = HF_WATCH_PROCESS;
    ret->what = HF_W_READ | HF_W_WRITE;
    return true;
}

static __always_inline bool of_device(struct dentry *dentry, u32 op, struct hf_file_watch *ret)
{
    struct inode *inode = BPF_CORE_READ(dentry, d_inode);
    if ((op != HF_FILE_OPEN && op != HF_FILE_WRITE) || !hf_device_matters(dentry, inode))
        return false;
    ret->watch = HF_WATCH_DEVICE | HF_WATCH_ITSELF;
    ret->what = HF_W_READ | HF_W_WRITE;
    return true;
}

static __always_inline void fill(struct hf_wire_file *e, const struct act *a, struct inode *inode)
{
    e->op = a->op;
    e->open_flags = a->open_flags;
    e->source = a->source;
    e->new_mode = a->new_mode;
    e->new_uid = e->new_gid = (u32)-1;
    e->inode = 0;
    e->dev = e->mode = e->nlink = e->exec_flags = e->fs_magic = 0;
    e->path_len = e->path2_len = 0;
    e->request = 0;
    if (!inode) {
        e->mode = a->new_mode != (u32)-1 ? a->new_mode : 0;
        return;
    }
    e->inode = BPF_CORE_READ(inode, i_ino);
    e->dev = BPF_CORE_READ(inode, i_sb, s_dev);
    e->mode = BPF_CORE_READ(inode, i_mode);
    e->nlink = BPF_CORE_READ(inode, i_nlink);
    e->fs_magic = (u32)BPF_CORE_READ(inode, i_sb, s_magic);
    e->exec_flags = hf_inode_flags(inode, a->dentry);
    e->request = hf_is_device(inode) ? BPF_CORE_READ(inode, i_rdev) : 0;
}

static __always_inline void send(const struct act *a)
{
    struct hf_want want;
    struct hf_file_watch w, w2;
    struct path at, root;
    u32 more = 0;
    bool first = watched(a->dentry, a->what, &w) || of_process(a->dentry, a->op, &w) || of_device(a->dentry, a->op, &w);
    if (!first && (!a->dentry2 || !watched(a->dentry2, a->what, &w2)))
        return;
    if (!first)
        w = w2;
    if (a->op == HF_FILE_MKDIR && !is_loose(w.watch))
        hf_folder_made = bpf_ktime_get_ns();
    u32 why = w.watch & ~HF_WATCH_ITSELF;
    bool urgent = why == HF_WATCH_CREDENTIAL || why == HF_WATCH_ESCAPE || why == HF_WATCH_DEVICE || why == HF_WATCH_PERSISTENCE;
    if ((u32)(bpf_get_current_pid_tgid() >> 32) == hf_self_pid || !hf_wanted(hf_cgroup_here(), HF_EV_FILE, urgent, &want))
        return;
    struct hf_scratch *s = hf_scratch_get(HF_EV_FILE);
    if (!s)
        return;
    struct hf_wire_file *e = (void *)s->record;
    u32 len = sizeof *e;
    hf_fill_header(&e->h, hf_task(), HF_EV_FILE);
    struct dentry *dentry = a->dentry; /* (not a->dentry: CO-RE would look for struct act in the kernel) */
    fill(e, a, BPF_CORE_READ(dentry, d_inode));
    e->watch = w.watch;
    struct fs_struct *fs = BPF_CORE_READ(hf_task(), fs);
    bpf_core_read(&root, sizeof root, &fs->root);
    at.mnt = a->mnt;
    at.dentry = a->dentry;
    e->path_len = (u16)hf_add_path(s, &len, hf_path(s, &at, &root, &more));
    if (a->dentry2) {
        at.mnt = a->mnt2;
        at.dentry = a->dentry2;
        e->path2_len = (u16)hf_add_path(s, &len, hf_path(s, &at, &root, &more));
    } else if (a->text) {
        e->path2_len = (u16)hf_add_str(s, &len, a->text, 2048);
    }
    e->h.flags |= more;
    hf_send(s->record, len, &want);
    hf_scratch_put(s);
}

static __always_inline void opened(struct file *file, u32 source)
{
    u32 flags = BPF_CORE_READ(file, f_flags), mode = BPF_CORE_READ(file, f_mode), write = mode & FMODE_WRITE;
    struct act a = {.op = write ? HF_FILE_WRITE : HF_FILE_OPEN, .what = (write ? HF_W_WRITE : HF_W_READ) | (mode & FMODE_READ ? HF_W_READ : 0), .source = source, .open_flags = flags, .new_mode = (u32)-1};
    a.mnt = BPF_CORE_READ(file, f_path.mnt);
    a.dentry = BPF_CORE_READ(file, f_path.dentry);
    send(&a);
}

static __always_inline void named(u32 op, const struct path *dir, struct dentry *dentry, u32 mode, const char *text, u32 source)
{
    struct act a = {.op = op, .what = HF_W_NAMES, .source = source, .new_mode = mode, .text = text, .dentry = dentry};
    a.mnt = BPF_CORE_READ(dir, mnt);
    send(&a);
}

static __always_inline void two_names(u32 op, struct vfsmount *mnt, struct dentry *dentry, const struct path *new_dir, struct dentry *new_dentry, u32 source)
{
    struct act a = {.op = op, .what = HF_W_NAMES, .source = source, .new_mode = (u32)-1, .mnt = mnt, .dentry = dentry, .dentry2 = new_dentry};
    a.mnt2 = BPF_CORE_READ(new_dir, mnt);
    send(&a);
}

static __always_inline void attributes(u32 op, const struct path *path, u32 mode, u32 source)
{
    struct act a = {.op = op, .what = HF_W_ATTR, .source = source, .new_mode = mode};
    a.mnt = BPF_CORE_READ(path, mnt);
    a.dentry = BPF_CORE_READ(path, dentry);
    send(&a);
}

#define on_open(source) opened(file, source)
HF_HOOK3(file_open, on_open, struct file *file)

#define on_mknod(source) named((mode & S_IFMT) == S_IFREG || !(mode & S_IFMT) ? HF_FILE_CREATE : HF_FILE_MKNOD, dir, dentry, mode, NULL, source)
HF_HOOK3(path_mknod, on_mknod, const struct path *dir, struct dentry *dentry, u16 mode, unsigned int dev)

#define on_mkdir(source) named(HF_FILE_MKDIR, dir, dentry, mode, NULL, source)
HF_HOOK3(path_mkdir, on_mkdir, const struct path *dir, struct dentry *dentry, u16 mode)

#define on_unlink(source) named(HF_FILE_UNLINK, dir, dentry, (u32)-1, NULL, source)
HF_HOOK3(path_unlink, on_unlink, const struct path *dir, struct dentry *dentry)

#define on_rmdir(source) named(HF_FILE_RMDIR, dir, dentry, (u32)-1, NULL, source)
HF_HOOK3(path_rmdir, on_rmdir, const struct path *dir, struct dentry *dentry)

#define on_symlink(source) named(HF_FILE_SYMLINK, dir, dentry, (u32)-1, old_name, source)
HF_HOOK3(path_symlink, on_symlink, const struct path *dir, struct dentry *dentry, const char *old_name)

#define on_link(source) two_names(HF_FILE_LINK, BPF_CORE_READ(new_dir, mnt), old_dentry, new_dir, new_dentry, source)
HF_HOOK3(path_link, on_link, struct dentry *old_dentry, const struct path *new_dir, struct dentry *new_dentry)

#define on_rename(source) two_names(HF_FILE_RENAME, BPF_CORE_READ(old_dir, mnt), old_dentry, new_dir, new_dentry, source)
HF_HOOK3(path_rename, on_rename, const struct path *old_dir, struct dentry *old_dentry, const struct path *new_dir, struct dentry *new_dentry)

#define on_chmod(source) attributes(HF_FILE_CHMOD, path, mode, source)
HF_HOOK3(path_chmod, on_chmod, const struct path *path, u16 mode)

#define on_chown(source) attributes(HF_FILE_CHOWN, path, (u32)-1, source)
HF_HOOK3(path_chown, on_chown, const struct path *path)
