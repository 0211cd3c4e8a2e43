// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* trace.bpf.c - what asks for no privilege and therefore shows itself neither by a security hook nor by a capability check where the
 * kernel has only these: PTRACE_TRACEME, tracing among processes of one user, userfaultfd.  On demand, by tracepoints of the calls. */
#include "demand.h"
#include "priv.h"

const volatile __u32 hf_calls_served = 1u << HF_CALL_PTRACE | 1u << HF_CALL_VM_READ | 1u << HF_CALL_VM_WRITE | 1u << HF_CALL_OTHER;

#define PTRACE_TRACEME 0

SEC("tracepoint")
int hf_sys_trace(void *ctx)
{
    struct task_struct *t = hf_task();
    struct hf_call c;
    if (!hf_current_call(t, &c) || c.what == HF_CALL_OTHER)
        return 0;
    if (c.what == HF_CALL_PTRACE && c.a[0] == PTRACE_TRACEME) {
        send_ptrace(BPF_CORE_READ(t, real_parent), HF_PTRACE_TRACEME, 0, HF_SOURCE_SYSCALL);
        return 0;
    }
    if (c.what == HF_CALL_PTRACE && c.a[0] != PTRACE_SEIZE) /* ATTACH shows by the signal that stops its target */
        return 0;
    if (hf_seen_this_call(t, &c))
        return 0;
    send_ptrace_pid(&c);
    return 0;
}

SEC("tracepoint")
int hf_sys_userfaultfd(void *ctx)
{
    struct hf_want want;
    struct hf_wire_cap e;
    struct task_struct *t = hf_task();
    struct hf_call c;
    if (!hf_current_call(t, &c) || hf_seen_this_call(t, &c) || !hf_wanted(hf_cgroup_of(t), HF_EV_CAP, true, &want))
        return 0;
    __builtin_memset(&e, 0, sizeof e);
    hf_fill_header(&e.h, t, HF_EV_CAP);
    e.cap = (u32)-1; /* it asks for none */
    e.syscall = c.nr;
    e.args[0] = c.a[0];
    hf_send(&e, sizeof e, &want);
    return 0;
}
