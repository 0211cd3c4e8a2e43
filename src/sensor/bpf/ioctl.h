/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* ioctl.h - requests to devices that keyloggers, injectors of input and the like make. */
#pragma once
#include "device.h"

/* Names: event/names.c, hf_name_request.  A function of its own (global, of a number), so that the verifier forgets which one it was. */
__weak __attribute__((noinline)) int hf_request_matters(u32 request)
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
        return 1;
    }
    return (request & 0xc000ffff) == 0x80004518; /* EVIOCGKEY(length): which keys are down */
}

/* The caller has found that it matters. */
static __always_inline void hf_send_ioctl(struct task_struct *t, struct file *file, u32 request, u32 source)
{
    struct path at = {};
    struct hf_device_act a = {.op = HF_FILE_IOCTL, .request = request, .source = source, .watch = HF_WATCH_DEVICE};
    a.flags = source == HF_SOURCE_SYSCALL ? HF_F_UNTRUSTED : 0; /* by descriptor, which may be another file now */
    if (file) {
        a.inode = BPF_CORE_READ(file, f_inode);
        a.open_flags = BPF_CORE_READ(file, f_flags);
        bpf_core_read(&at, sizeof at, &file->f_path);
    }
    hf_send_device(t, &a, &at);
}
