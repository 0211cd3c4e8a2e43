/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* regs.h - the running task's registers as it entered the kernel, and its descriptors.  Behind bpf_core_read.h. */
#pragma once

#define KERNEL_STACK 16384u /* THREAD_SIZE of x86-64 and of arm64 with pages of 4 KiB; what the process had in its registers is at the top */

/* The registers with which the running task t entered the kernel. */
static __always_inline struct pt_regs *hf_regs(struct task_struct *t)
{
    if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)) /* 5.15 */
        return (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
    return (void *)((u64)BPF_CORE_READ(t, stack) + KERNEL_STACK - bpf_core_type_size(struct pt_regs));
}

/* The file behind a descriptor, as it is now. */
static __always_inline struct file *hf_file_of_fd(struct task_struct *t, u32 fd)
{
    struct fdtable *fdt = BPF_CORE_READ(t, files, fdt);
    struct file **fds = BPF_CORE_READ(fdt, fd), *file = NULL;
    if (fd >= BPF_CORE_READ(fdt, max_fds))
        return NULL;
    bpf_probe_read_kernel(&file, sizeof file, fds + fd);
    return file;
}
