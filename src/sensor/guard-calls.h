/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* guard-calls.h - the system calls by which a container uses what `kernel_use` of a policy may forbid, by their numbers: of the processor's own
 * interface and of its 32-bit one.  For bpf/guard-use.bpf.c and the test that holds the numbers against libseccomp's.  Below: 1 + HF_USE_*. */
#pragma once
#include <linux/types.h>

#define HF_GUARD_CALLS 576u /* x32 has its own numbers up to 547 */
#define HF_GC_MODULES 1
#define HF_GC_BPF 2
#define HF_GC_MOUNT 3
#define HF_GC_PTRACE 4
#define HF_GC_USERNS 5 /* by flags: unshare, clone; clone3 has them in memory */
#define HF_GC_TRACE 6  /* ptrace itself: PTRACE_TRACEME, ATTACH and SEIZE alone */
#define HF_GC_CLONE3 7

#if defined(__TARGET_ARCH_x86)
static const volatile __u8 hf_guard_native[HF_GUARD_CALLS] = {
        [175] = HF_GC_MODULES, /* init_module, finit_module */
        [313] = HF_GC_MODULES,
        [321] = HF_GC_BPF,
        [165] = HF_GC_MOUNT, /* mount, umount2, pivot_root, move_mount, fsopen, fsconfig, fsmount, mount_setattr */
        [166] = HF_GC_MOUNT,
        [155] = HF_GC_MOUNT,
        [429] = HF_GC_MOUNT,
        [430] = HF_GC_MOUNT,
        [431] = HF_GC_MOUNT,
        [432] = HF_GC_MOUNT,
        [442] = HF_GC_MOUNT,
        [101] = HF_GC_TRACE, [521] = HF_GC_TRACE,
        [310] = HF_GC_PTRACE, [539] = HF_GC_PTRACE, /* process_vm_readv, process_vm_writev, pidfd_getfd */
        [311] = HF_GC_PTRACE, [540] = HF_GC_PTRACE,
        [438] = HF_GC_PTRACE,
        [272] = HF_GC_USERNS, /* unshare, clone */
        [56] = HF_GC_USERNS,
        [435] = HF_GC_CLONE3,
};
static const volatile __u8 hf_guard_compat[HF_GUARD_CALLS] = {
        [128] = HF_GC_MODULES,
        [350] = HF_GC_MODULES,
        [357] = HF_GC_BPF,
        [21] = HF_GC_MOUNT,
        [22] = HF_GC_MOUNT, /* the old umount */
        [52] = HF_GC_MOUNT,
        [217] = HF_GC_MOUNT,
        [429] = HF_GC_MOUNT,
        [430] = HF_GC_MOUNT,
        [431] = HF_GC_MOUNT,
        [432] = HF_GC_MOUNT,
        [442] = HF_GC_MOUNT,
        [26] = HF_GC_TRACE,
        [347] = HF_GC_PTRACE,
        [348] = HF_GC_PTRACE,
        [438] = HF_GC_PTRACE,
        [310] = HF_GC_USERNS,
        [120] = HF_GC_USERNS,
        [435] = HF_GC_CLONE3,
};
#else
static const volatile __u8 hf_guard_native[HF_GUARD_CALLS] = { /* asm-generic */
        [105] = HF_GC_MODULES,
        [273] = HF_GC_MODULES,
        [280] = HF_GC_BPF,
        [40] = HF_GC_MOUNT,
        [39] = HF_GC_MOUNT,
        [41] = HF_GC_MOUNT,
        [429] = HF_GC_MOUNT,
        [430] = HF_GC_MOUNT,
        [431] = HF_GC_MOUNT,
        [432] = HF_GC_MOUNT,
        [442] = HF_GC_MOUNT,
        [117] = HF_GC_TRACE,
        [270] = HF_GC_PTRACE,
        [271] = HF_GC_PTRACE,
        [438] = HF_GC_PTRACE,
        [97] = HF_GC_USERNS,
        [220] = HF_GC_USERNS,
        [435] = HF_GC_CLONE3,
};
static const volatile __u8 hf_guard_compat[HF_GUARD_CALLS] = { /* arm, EABI */
        [128] = HF_GC_MODULES,
        [379] = HF_GC_MODULES,
        [386] = HF_GC_BPF,
        [21] = HF_GC_MOUNT,
        [52] = HF_GC_MOUNT,
        [218] = HF_GC_MOUNT,
        [429] = HF_GC_MOUNT,
        [430] = HF_GC_MOUNT,
        [431] = HF_GC_MOUNT,
        [432] = HF_GC_MOUNT,
        [442] = HF_GC_MOUNT,
        [26] = HF_GC_TRACE,
        [376] = HF_GC_PTRACE,
        [377] = HF_GC_PTRACE,
        [438] = HF_GC_PTRACE,
        [337] = HF_GC_USERNS,
        [120] = HF_GC_USERNS,
        [435] = HF_GC_CLONE3,
};
#endif
