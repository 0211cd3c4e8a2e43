// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* ioctl.bpf.c - requests to devices, on demand: the security hook, else the tracepoint of the call, which every system call of the host
 * pays for.  Requests that ask for a capability show themselves by that (priv.bpf.c) without either. */
#include "demand.h"
#include "hooks.h"
#include "priv.h"

const volatile __u32 hf_calls_served = 0; /* not used here */

/* file NULL: it is looked up by the descriptor. */
static __always_inline void asked(struct file *file, u32 request, u32 source)
{
    struct task_struct *t = hf_task();
    struct hf_call c = {.what = HF_CALL_IOCTL};
    if (!hf_request_matters(request))
        return;
    struct pt_regs *regs = hf_regs(t);
    c.nr = (u32)HF_REGS_CALL(regs); /* as the trace of capability checks has it, which may have told of this call already */
    c.a[0] = hf_is_compat(t) ? (u32)HF_REGS_COMPAT_0(regs) : HF_REGS_0(regs);
    c.a[1] = request;
    if (!hf_seen_this_call(t, &c))
        hf_send_ioctl(t, file ? file : hf_file_of_fd(t, (u32)c.a[0]), request, source);
}

#define on_ioctl(source) asked(file, cmd, source)
HF_HOOK3(file_ioctl, on_ioctl, struct file *file, unsigned int cmd, unsigned long arg)
HF_HOOK3(file_ioctl_compat, on_ioctl, struct file *file, unsigned int cmd, unsigned long arg)

SEC("tracepoint")
int hf_sys_ioctl(void *ctx)
{
    struct pt_regs *regs = hf_regs(hf_task());
    asked(NULL, (u32)HF_REGS_1(regs), HF_SOURCE_SYSCALL);
    return 0;
}
