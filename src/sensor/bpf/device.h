/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* device.h - device nodes: which of them matter by what they are, under whatever name, and the record of what is done to one. */
#pragma once
#include "emit.h"

#define PTS_MAJOR 136u /* and the seven that follow: slaves of pseudo terminals */
#define PTS_MAJORS 8u
#define INPUT_MAJOR 13u
#define MISC_MAJOR 10u
#define UINPUT_MINOR 223u
#define MEM_MAJOR 1u

static __always_inline bool hf_is_device(struct inode *inode)
{
    u32 type = BPF_CORE_READ(inode, i_mode) & S_IFMT;
    return type == S_IFCHR || type == S_IFBLK;
}

/* A terminal (pseudo terminal's slave) on which another session than the process's runs.  One without a session is only being made. */
static __always_inline bool hf_terminal_of_another(struct dentry *dentry)
{
    struct tty_struct *tty = (struct tty_struct *)BPF_CORE_READ(dentry, d_fsdata);
    struct pid *owner, *mine = NULL;
    if (!tty)
        return false;
    if (bpf_core_field_exists(tty->ctrl))
        owner = BPF_CORE_READ(tty, ctrl.session);
    else
        owner = BPF_CORE_READ((struct tty_struct___old *)tty, session);
    struct signal_struct *signal = BPF_CORE_READ(hf_task(), signal);
    bpf_core_read(&mine, sizeof mine, &signal->pids[3]); /* PIDTYPE_SID */
    return owner && owner != mine;
}

#define DEVPTS_MAGIC 0x1cd1
/* What is told of by what it is: terminals of others; of a container also keyboards, disks and memory, which a node made anywhere leads to. */
static __always_inline bool hf_device_matters(struct dentry *dentry, struct inode *inode)
{
    u32 type = BPF_CORE_READ(inode, i_mode) & S_IFMT;
    if (type != S_IFCHR && type != S_IFBLK)
        return false;
    u32 dev = BPF_CORE_READ(inode, i_rdev), major = dev >> 20, minor = dev & 0xfffff;
    if (type == S_IFCHR && major - PTS_MAJOR < PTS_MAJORS)
        return BPF_CORE_READ(inode, i_sb, s_magic) == DEVPTS_MAGIC && hf_terminal_of_another(dentry);
    bool telling = type == S_IFBLK || major == INPUT_MAJOR || (major == MISC_MAJOR && minor == UINPUT_MINOR) || (major == MEM_MAJOR && (minor == 1 || minor == 2 || minor == 4));
    if (!telling)
        return false;
    u64 group = hf_cgroup_here();
    struct hf_policy *p = bpf_map_lookup_elem(&hf_policies, &group);
    return p && p->container;
}

struct hf_device_act {
    u32 op, request, source, watch, open_flags, flags; /* as hf_wire_file has them; flags: of its header */
    struct inode *inode; /* NULL: not known, nor its path */
};

/* Sends what the running task does; at: the node. */
static __always_inline void hf_send_device(struct task_struct *t, const struct hf_device_act *a, const struct path *at)
{
    struct hf_want want;
    struct path root;
    u32 more = a->flags;
    if (!hf_wanted(hf_cgroup_here(), HF_EV_FILE, true, &want))
        return;
    struct hf_scratch *s = hf_scratch_get(HF_EV_FILE);
    if (!s)
        return;
    struct hf_wire_file *e = (void *)s->record;
    u32 len = sizeof *e;
    __builtin_memset(e, 0, sizeof *e);
    hf_fill_header(&e->h, t, HF_EV_FILE);
    e->op = a->op;
    e->request = a->request;
    e->source = a->source;
    e->watch = a->watch;
    e->open_flags = a->open_flags;
    e->new_mode = e->new_uid = e->new_gid = (u32)-1;
    struct inode *inode = a->inode;
    if (inode) {
        struct fs_struct *fs = BPF_CORE_READ(t, fs);
        e->inode = BPF_CORE_READ(inode, i_ino);
        e->dev = BPF_CORE_READ(inode, i_sb, s_dev);
        e->mode = BPF_CORE_READ(inode, i_mode);
        e->nlink = BPF_CORE_READ(inode, i_nlink);
        e->fs_magic = (u32)BPF_CORE_READ(inode, i_sb, s_magic);
        bpf_core_read(&root, sizeof root, &fs->root);
        e->path_len = (u16)hf_add_path(s, &len, hf_path(s, at, &root, &more));
    }
    e->h.flags |= more;
    hf_send(s->record, len, &want);
    hf_scratch_put(s);
}
