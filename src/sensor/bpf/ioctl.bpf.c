// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)
/* ioctl.bpf.c - requests to devices, on demand: the security hook, else the tracepoint of the call, which every system call of the host
 * pays for.  Requests that ask for a capability show themselves by that (priv.bpf.c) without either. */
#include "demand.h"
#include "hooks.h"
#include "priv.h"

const volatile __u32 hf_calls_served = 0; /* not used here */

static __always_inline void asked(struct file *file, u32 fd, u32 request, u32 source)
{
    struct task_struct *t = hf_task();
    struct hf_call c = {.nr = HF_NR_IOCTL, .what = HF_CALL_IOCTL, .a = {fd, request}};
    if (!hf_request_matters(request))
        return;
    if (source != HF_SOURCE_SYSCALL) { /* the registers tell which call it is, for those that were seen already */
        c.a[0] = HF_REGS_0(hf_regs(t));
    }
    if (!hf_seen_this_call(t, &c))
        hf_send_ioctl(t, file ? file : hf_file_of_fd(t, fd), request, source);
}

#define on_ioctl(source) asked(file, 0, cmd, source)
HF_HOOK3(file_ioctl, on_ioctl, struct file *file, unsigned int cmd, unsigned long arg)
HF_HOOK3(file_ioctl_compat, on_ioctl, struct file *file, unsigned int cmd, unsigned long arg)

SEC("tracepoint")
int hf_sys_ioctl(void *ctx)
{
    struct pt_regs *regs = hf_regs(hf_task());
    asked(NULL, (u32)HF_REGS_0(regs), (u32)HF_REGS_1(regs), HF_SOURCE_SYSCALL);
    return 0;
}
