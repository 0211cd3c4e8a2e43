/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* calls.h - the system calls that the trace of capability checks tells of; shared by bpf/priv.h and the table of features. */
#pragma once

enum {
    HF_CALL_NONE,
    HF_CALL_MOUNT,
    HF_CALL_UMOUNT,
    HF_CALL_MOVE_MOUNT,
    HF_CALL_OPEN_TREE,
    HF_CALL_PIVOT,
    HF_CALL_UNSHARE,
    HF_CALL_SETNS,
    HF_CALL_INIT_MODULE,
    HF_CALL_FINIT_MODULE,
    HF_CALL_DELETE_MODULE,
    HF_CALL_KEXEC,
    HF_CALL_BPF,
    HF_CALL_SOCKET,
    HF_CALL_PTRACE,
    HF_CALL_VM_READ,
    HF_CALL_VM_WRITE,
    HF_CALL_OTHER,
    HF_CALL_IOCTL
};
