/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* ioctl.h - requests to devices that keyloggers, injectors of input and the like make, and the record of them. */
#pragma once
#include "emit.h"

/* Names: event/names.c, hf_name_request. */
static __always_inline bool hf_request_matters(u32 request)
{
    switch (request) {
    case 0x5412:     /* TIOCSTI: input put into a terminal */
    case 0x541c:     /* TIOCLINUX: among others, paste */
    case 0x541d:     /* TIOCCONS: output of the console taken over */
    case 0x4b45:     /* KDSKBMODE: raw keyboard */
    case 0x4b47:     /* KDSKBENT, KDSKBSENT: keys mean something else */
    case 0x4b49:
    case 0x40044590: /* EVIOCGRAB: nobody else gets the keys */
    case 0x40044591: /* EVIOCREVOKE */
    case 0x5501:     /* UI_DEV_CREATE: a keyboard or mouse that is a program */
    case 0xaa00:     /* USERFAULTFD_IOC_NEW */
    case 0x8914:     /* SIOCSIFFLAGS: among others, an interface that takes every packet */
    case 0x4c00:     /* LOOP_SET_FD, LOOP_CONFIGURE: a file becomes a disk */
    case 0x4c0a:
    case 0x2285:     /* SG_IO, NVME_IOCTL_ADMIN_CMD: commands to a disk, past the file system */
    case 0xc0484e41:
    case 0xae01:     /* KVM_CREATE_VM */
        return true;
    }
    return (request & 0xc000ffff) == 0x80004518; /* EVIOCGKEY(length): which keys are down */
}

/* The caller has found that it matters. */
static __always_inline void hf_send_ioctl(struct task_struct *t, struct file *file, u32 request, u32 source)
{
    struct hf_want want;
    struct path at, root;
    u32 more = 0;
    if (!hf_wanted(hf_cgroup_here(), HF_EV_FILE, true, &want))
        return;
    struct hf_scratch *s = hf_scratch_get(HF_EV_FILE);
    if (!s)
        return;
    struct hf_wire_file *e = (void *)s->record;
    u32 len = sizeof *e;
    __builtin_memset(e, 0, sizeof *e);
    hf_fill_header(&e->h, t, HF_EV_FILE);
    e->op = HF_FILE_IOCTL;
    e->request = request;
    e->source = source;
    e->watch = HF_WATCH_DEVICE;
    e->new_mode = e->new_uid = e->new_gid = (u32)-1;
    if (file) {
        struct inode *inode = BPF_CORE_READ(file, f_inode);
        struct fs_struct *fs = BPF_CORE_READ(t, fs);
        e->inode = BPF_CORE_READ(inode, i_ino);
        e->dev = BPF_CORE_READ(inode, i_sb, s_dev);
        e->mode = BPF_CORE_READ(inode, i_mode);
        e->fs_magic = (u32)BPF_CORE_READ(inode, i_sb, s_magic);
        e->open_flags = BPF_CORE_READ(file, f_flags);
        bpf_core_read(&root, sizeof root, &fs->root);
        bpf_core_read(&at, sizeof at, &file->f_path);
        e->path_len = (u16)hf_add_path(s, &len, hf_path(s, &at, &root, &more));
    }
    e->h.flags |= more | (source == HF_SOURCE_SYSCALL ? HF_F_UNTRUSTED : 0); /* by descriptor, which may be another file now */
    hf_send(s->record, len, &want);
    hf_scratch_put(s);
}
