// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* probe.bpf.c - the smallest program of each kind, to find out by doing what this kernel allows.  Each is loaded and attached
 * alone; the LSM one also has to deny something: without "bpf" in lsm= it attaches and never fires. */
#include "ktypes.h"

#define __VMLINUX_H__
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

const volatile __u32 hf_probe_pid = 0;

#define AF_X25 9 /* no kernel has it; the check comes before the family is looked up */

SEC("lsm/socket_create")
int BPF_PROG(probe_lsm, int family, int type, int protocol, int kern, int ret)
{
    if (bpf_get_current_pid_tgid() >> 32 == hf_probe_pid && family == AF_X25)
        return -1;
    return ret;
}

SEC("fentry/security_socket_create")
int BPF_PROG(probe_fentry, int family, int type, int protocol, int kern)
{
    return 0;
}

SEC("kprobe/security_socket_create")
int BPF_KPROBE(probe_kprobe, int family)
{
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
