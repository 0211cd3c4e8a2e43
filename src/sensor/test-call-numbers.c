// SPDX-License-Identifier: Apache-2.0
/* The numbers that the kernel half knows calls by, against libseccomp's, which are the kernel's own tables: all four interfaces.  arm64 cannot be run
 * everywhere; its numbers can be held anywhere. */
#define __TARGET_ARCH_x86
#include "sensor/call-numbers.h"
#include "sensor/guard-calls.h"

#include <seccomp.h>

#include "tap.h"

const volatile __u8 *arm64_native(void);
const volatile __u8 *arm64_compat(void);
const volatile __u8 *arm64_guard_native(void);
const volatile __u8 *arm64_guard_compat(void);

static const struct {
    const char *name;
    int what;
} calls[] = {
        {"mount", HF_CALL_MOUNT}, {"umount2", HF_CALL_UMOUNT}, {"umount", HF_CALL_UMOUNT}, {"move_mount", HF_CALL_MOVE_MOUNT}, {"open_tree", HF_CALL_OPEN_TREE}, {"pivot_root", HF_CALL_PIVOT},
        {"unshare", HF_CALL_UNSHARE}, {"setns", HF_CALL_SETNS}, {"init_module", HF_CALL_INIT_MODULE}, {"finit_module", HF_CALL_FINIT_MODULE}, {"delete_module", HF_CALL_DELETE_MODULE},
        {"kexec_load", HF_CALL_KEXEC}, {"kexec_file_load", HF_CALL_KEXEC}, {"bpf", HF_CALL_BPF}, {"socket", HF_CALL_SOCKET}, {"ptrace", HF_CALL_PTRACE},
        {"process_vm_readv", HF_CALL_VM_READ}, {"process_vm_writev", HF_CALL_VM_WRITE}, {"ioctl", HF_CALL_IOCTL}, {"open_by_handle_at", HF_CALL_OTHER}, {"perf_event_open", HF_CALL_OTHER},
        {"chroot", HF_CALL_OTHER}, {"iopl", HF_CALL_OTHER}, {"ioperm", HF_CALL_OTHER}, {"syslog", HF_CALL_OTHER}, {"swapon", HF_CALL_OTHER}, {"reboot", HF_CALL_OTHER},
        {"mknod", HF_CALL_OTHER}, {"mknodat", HF_CALL_OTHER}, {"adjtimex", HF_CALL_OTHER}, {"settimeofday", HF_CALL_OTHER}, {"clock_settime", HF_CALL_OTHER},
        {"sethostname", HF_CALL_OTHER}, {"acct", HF_CALL_OTHER}, {"userfaultfd", HF_CALL_OTHER}, {"fsopen", HF_CALL_OTHER}, {"fsconfig", HF_CALL_OTHER},
        {"fsmount", HF_CALL_OTHER}, {"mount_setattr", HF_CALL_OTHER},
};

/* Whatever has a number has this call's; of the processor's own interface all that exist are there, of the 32-bit one those that matter. */
static void holds(const char *of, const volatile __u8 *numbers, uint32_t arch, bool all)
{
    unsigned known = 0, listed = 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(calls); i++) {
        int nr = seccomp_syscall_resolve_name_arch(arch, calls[i].name);
        if (arch == SCMP_ARCH_X86 && !strcmp(calls[i].name, "socket"))
            nr = 359; /* libseccomp means socketcall's; the call itself is there since 4.3 */
        if (nr < 0 || nr >= (int)HF_CALL_NUMBERS)
            continue;
        if (numbers[nr] == HF_CALL_NONE && !all)
            continue;
        known++;
        if (!OK(numbers[nr] == calls[i].what))
            printf("# %s of %s is %d: %u\n", calls[i].name, of, nr, numbers[nr]);
    }
    for (unsigned i = 0; i < HF_CALL_NUMBERS; i++)
        listed += numbers[i] != HF_CALL_NONE;
    printf("# %s\n", of);
    EQ_U(listed, known); /* and no number that is none of these */
}

/* Of what a policy may forbid: all that have a number, in all four. */
static const struct {
    const char *name;
    int what;
} uses[] = {
        {"init_module", HF_GC_MODULES}, {"finit_module", HF_GC_MODULES}, {"bpf", HF_GC_BPF}, {"mount", HF_GC_MOUNT}, {"umount2", HF_GC_MOUNT}, {"umount", HF_GC_MOUNT}, {"pivot_root", HF_GC_MOUNT},
        {"move_mount", HF_GC_MOUNT}, {"fsopen", HF_GC_MOUNT}, {"fsconfig", HF_GC_MOUNT}, {"fsmount", HF_GC_MOUNT}, {"mount_setattr", HF_GC_MOUNT}, {"ptrace", HF_GC_TRACE},
        {"process_vm_readv", HF_GC_PTRACE}, {"process_vm_writev", HF_GC_PTRACE}, {"pidfd_getfd", HF_GC_PTRACE}, {"unshare", HF_GC_USERNS}, {"clone", HF_GC_USERNS}, {"clone3", HF_GC_CLONE3},
};

static void guards(const char *of, const volatile __u8 *numbers, const volatile uint32_t *archs)
{
    unsigned listed = 0, known = 0;
    printf("# %s\n", of);
    for (; *archs; archs++)
        for (size_t i = 0; i < HF_ARRAY_LEN(uses); i++) {
            int nr = seccomp_syscall_resolve_name_arch(*archs, uses[i].name);
            nr = *archs == SCMP_ARCH_X32 && nr >= 0x40000000 ? nr - 0x40000000 : nr;
            if (nr < 0 || nr >= (int)HF_GUARD_CALLS)
                continue;
            if (!OK(numbers[nr] == uses[i].what))
                printf("# %s is %d: %u\n", uses[i].name, nr, numbers[nr]);
            known += *archs != SCMP_ARCH_X32 || nr >= 512;
        }
    for (unsigned i = 0; i < HF_GUARD_CALLS; i++)
        listed += numbers[i] != 0;
    EQ_U(listed, known);
}

int main(void)
{
    static const volatile uint32_t x86[] = {SCMP_ARCH_X86_64, SCMP_ARCH_X32, 0}, i386[] = {SCMP_ARCH_X86, 0}, arm64[] = {SCMP_ARCH_AARCH64, 0}, arm[] = {SCMP_ARCH_ARM, 0};
    guards("guard, x86-64 and x32", hf_guard_native, x86);
    guards("guard, i386", hf_guard_compat, i386);
    guards("guard, arm64", arm64_guard_native(), arm64);
    guards("guard, arm", arm64_guard_compat(), arm);
    holds("x86-64", hf_calls_native, SCMP_ARCH_X86_64, true);
    holds("i386", hf_calls_compat, SCMP_ARCH_X86, false);
    holds("arm64", arm64_native(), SCMP_ARCH_AARCH64, true);
    holds("arm", arm64_compat(), SCMP_ARCH_ARM, false);
    return tap_done();
}
