/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* call-numbers.h - what a system call is to us, by its number: of the processor's own interface and of its 32-bit one.  For the kernel half
 * (which is compiled for one processor: __TARGET_ARCH_x86, __TARGET_ARCH_arm64) and the test that holds the numbers against libseccomp's.
 *
 * Tables, not switches: the verifier takes what is loaded for any number and looks at what follows once, not once for each call. */
#pragma once
#include <linux/types.h>

#include "calls.h"

#define HF_CALL_NUMBERS 512u

#if defined(__TARGET_ARCH_x86)
static const volatile __u8 hf_calls_native[HF_CALL_NUMBERS] = {
        [165] = HF_CALL_MOUNT,
        [166] = HF_CALL_UMOUNT,
        [429] = HF_CALL_MOVE_MOUNT,
        [428] = HF_CALL_OPEN_TREE,
        [155] = HF_CALL_PIVOT,
        [272] = HF_CALL_UNSHARE,
        [308] = HF_CALL_SETNS,
        [175] = HF_CALL_INIT_MODULE,
        [313] = HF_CALL_FINIT_MODULE,
        [176] = HF_CALL_DELETE_MODULE,
        [246] = HF_CALL_KEXEC, [320] = HF_CALL_KEXEC, /* kexec_load, kexec_file_load */
        [321] = HF_CALL_BPF,
        [41] = HF_CALL_SOCKET,
        [101] = HF_CALL_PTRACE,
        [310] = HF_CALL_VM_READ,
        [311] = HF_CALL_VM_WRITE,
        [16] = HF_CALL_IOCTL,
        [304] = HF_CALL_OTHER, /* open_by_handle_at */
        [298] = HF_CALL_OTHER, /* perf_event_open */
        [161] = HF_CALL_OTHER, /* chroot */
        [172] = HF_CALL_OTHER, /* iopl, ioperm */
        [173] = HF_CALL_OTHER,
        [103] = HF_CALL_OTHER, /* syslog */
        [167] = HF_CALL_OTHER, /* swapon */
        [169] = HF_CALL_OTHER, /* reboot */
        [133] = HF_CALL_OTHER, /* mknod, mknodat */
        [259] = HF_CALL_OTHER,
        [159] = HF_CALL_OTHER, /* adjtimex, settimeofday, clock_settime */
        [164] = HF_CALL_OTHER,
        [227] = HF_CALL_OTHER,
        [170] = HF_CALL_OTHER, /* sethostname */
        [163] = HF_CALL_OTHER, /* acct */
        [323] = HF_CALL_OTHER, /* userfaultfd */
        [430] = HF_CALL_OTHER, /* fsopen, fsconfig, fsmount, mount_setattr */
        [431] = HF_CALL_OTHER,
        [432] = HF_CALL_OTHER,
        [442] = HF_CALL_OTHER,
};
static const volatile __u8 hf_calls_compat[HF_CALL_NUMBERS] = {
        [21] = HF_CALL_MOUNT,
        [52] = HF_CALL_UMOUNT,
        [429] = HF_CALL_MOVE_MOUNT,
        [217] = HF_CALL_PIVOT,
        [310] = HF_CALL_UNSHARE,
        [346] = HF_CALL_SETNS,
        [128] = HF_CALL_INIT_MODULE,
        [350] = HF_CALL_FINIT_MODULE,
        [129] = HF_CALL_DELETE_MODULE,
        [428] = HF_CALL_OPEN_TREE,
        [22] = HF_CALL_UMOUNT, /* the old one */
        [283] = HF_CALL_KEXEC,
        [357] = HF_CALL_BPF,
        [359] = HF_CALL_SOCKET,
        [26] = HF_CALL_PTRACE,
        [347] = HF_CALL_VM_READ,
        [348] = HF_CALL_VM_WRITE,
        [54] = HF_CALL_IOCTL,
        [342] = HF_CALL_OTHER, /* open_by_handle_at, perf_event_open, chroot, reboot, mknod */
        [336] = HF_CALL_OTHER,
        [61] = HF_CALL_OTHER,
        [88] = HF_CALL_OTHER,
        [14] = HF_CALL_OTHER,
};
#elif defined(__TARGET_ARCH_arm64)
static const volatile __u8 hf_calls_native[HF_CALL_NUMBERS] = { /* asm-generic */
        [40] = HF_CALL_MOUNT,
        [39] = HF_CALL_UMOUNT,
        [429] = HF_CALL_MOVE_MOUNT,
        [428] = HF_CALL_OPEN_TREE,
        [41] = HF_CALL_PIVOT,
        [97] = HF_CALL_UNSHARE,
        [268] = HF_CALL_SETNS,
        [105] = HF_CALL_INIT_MODULE,
        [273] = HF_CALL_FINIT_MODULE,
        [106] = HF_CALL_DELETE_MODULE,
        [104] = HF_CALL_KEXEC, [294] = HF_CALL_KEXEC, /* kexec_load, kexec_file_load */
        [280] = HF_CALL_BPF,
        [198] = HF_CALL_SOCKET,
        [117] = HF_CALL_PTRACE,
        [270] = HF_CALL_VM_READ,
        [271] = HF_CALL_VM_WRITE,
        [29] = HF_CALL_IOCTL,
        [265] = HF_CALL_OTHER, /* open_by_handle_at */
        [241] = HF_CALL_OTHER, /* perf_event_open */
        [51] = HF_CALL_OTHER, /* chroot */
        [116] = HF_CALL_OTHER, /* syslog */
        [224] = HF_CALL_OTHER, /* swapon */
        [142] = HF_CALL_OTHER, /* reboot */
        [33] = HF_CALL_OTHER, /* mknodat */
        [171] = HF_CALL_OTHER, /* adjtimex, settimeofday, clock_settime */
        [170] = HF_CALL_OTHER,
        [112] = HF_CALL_OTHER,
        [161] = HF_CALL_OTHER, /* sethostname */
        [89] = HF_CALL_OTHER, /* acct */
        [282] = HF_CALL_OTHER, /* userfaultfd */
        [430] = HF_CALL_OTHER, /* fsopen, fsconfig, fsmount, mount_setattr */
        [431] = HF_CALL_OTHER,
        [432] = HF_CALL_OTHER,
        [442] = HF_CALL_OTHER,
};
static const volatile __u8 hf_calls_compat[HF_CALL_NUMBERS] = { /* arm, EABI */
        [21] = HF_CALL_MOUNT,
        [52] = HF_CALL_UMOUNT,
        [429] = HF_CALL_MOVE_MOUNT,
        [428] = HF_CALL_OPEN_TREE,
        [218] = HF_CALL_PIVOT,
        [337] = HF_CALL_UNSHARE,
        [375] = HF_CALL_SETNS,
        [128] = HF_CALL_INIT_MODULE,
        [379] = HF_CALL_FINIT_MODULE,
        [129] = HF_CALL_DELETE_MODULE,
        [347] = HF_CALL_KEXEC,
        [386] = HF_CALL_BPF,
        [281] = HF_CALL_SOCKET,
        [26] = HF_CALL_PTRACE,
        [376] = HF_CALL_VM_READ,
        [377] = HF_CALL_VM_WRITE,
        [54] = HF_CALL_IOCTL,
        [371] = HF_CALL_OTHER, /* open_by_handle_at, perf_event_open, chroot, reboot, mknod, mknodat */
        [364] = HF_CALL_OTHER,
        [61] = HF_CALL_OTHER,
        [88] = HF_CALL_OTHER,
        [14] = HF_CALL_OTHER,
        [324] = HF_CALL_OTHER,
};
#else
#error "numbers of system calls are known for x86-64 and arm64 only"
#endif
