// SPDX-License-Identifier: Apache-2.0
#include "guard/calls.h"

#include <errno.h>
#include <seccomp.h>

#include "base/err.h"
#include "base/span.h"

/* Never. */
static const int always[] = {
        SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(acct),
        SCMP_SYS(userfaultfd), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd), SCMP_SYS(kcmp), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl),
        SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex), SCMP_SYS(syslog), SCMP_SYS(quotactl), SCMP_SYS(setdomainname), SCMP_SYS(vhangup),
        SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(mknod), SCMP_SYS(mknodat), SCMP_SYS(ioperm), SCMP_SYS(iopl), SCMP_SYS(modify_ldt), SCMP_SYS(personality), SCMP_SYS(setuid), SCMP_SYS(setgid),
        SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setgroups), SCMP_SYS(open_by_handle_at), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(setxattr), SCMP_SYS(lsetxattr),
        SCMP_SYS(fsetxattr), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register), SCMP_SYS(migrate_pages), SCMP_SYS(move_pages),
};
/* Not without modules: these are the work of theirs. */
static const int plain[] = {
        SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(fsopen),
        SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fspick), SCMP_SYS(mount_setattr), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(init_module), SCMP_SYS(io_uring_setup), SCMP_SYS(fanotify_init),
        SCMP_SYS(fanotify_mark), SCMP_SYS(socket), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(sethostname),
};

int hf_guard_calls(bool modules, struct hf_err *err)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    int rc = ctx ? 0 : -ENOMEM;
    for (size_t i = 0; i < HF_ARRAY_LEN(always) && rc == 0; i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, always[i], 0);
    for (size_t i = 0; i < HF_ARRAY_LEN(plain) && rc == 0 && !modules; i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, plain[i], 0);
    if (rc == 0)
        rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1); /* threads that modules have begun */
    if (rc == 0)
        rc = seccomp_load(ctx);
    seccomp_release(ctx);
    return rc < 0 ? hf_fail(err, rc, "system calls could not be given up") : 0;
}
