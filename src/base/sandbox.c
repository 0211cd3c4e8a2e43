// SPDX-License-Identifier: Apache-2.0
#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int hf_sandbox_drop(uid_t uid, gid_t gid, struct hf_err *err)
{
    const struct passwd *pw = uid != geteuid() ? getpwuid(uid) : NULL;
    if (pw && pw->pw_dir) /* libpq looks for passwords there, libcurl for .netrc */
        (void)setenv("HOME", pw->pw_dir, 1);
    int with_parent = 0; /* the signal for when the parent dies: becoming somebody else forgets it */
    (void)prctl(PR_GET_PDEATHSIG, &with_parent);
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return hf_fail(err, -errno, "could not become user %u", (unsigned)uid);
    (void)prctl(PR_SET_PDEATHSIG, with_parent);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return hf_fail(err, -errno, "could not give up gaining privileges");
    if (uid != 0 && setresuid(0, 0, 0) == 0) /* must not be possible any more */
        return hf_fail(err, -EPERM, "root could be regained");
    return 0;
}

#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITING                                                                                                                                                       \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | \
            LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define OF_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE) /* what can be said of a file that is no folder */

/* Missing ones are skipped. */
static int allow_below(int rules, const char *const *paths, uint64_t access, struct hf_err *err)
{
    for (size_t i = 0; paths && paths[i]; i++) {
        hf_autoclose int fd = open(paths[i], O_PATH | O_CLOEXEC);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
            continue;
        struct landlock_path_beneath_attr below = {.allowed_access = S_ISDIR(st.st_mode) ? access : access & OF_FILES, .parent_fd = fd};
        if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0) < 0)
            return hf_fail(err, -errno, "Landlock refused %s", paths[i]);
    }
    return 0;
}

int hf_sandbox_paths(const char *const *readable, const char *const *writable, struct hf_err *err)
{
    struct landlock_ruleset_attr attr = {
            .handled_access_fs = READING | WRITING | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK,
    };
    hf_autoclose int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (fd < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
        return 1;
    if (fd < 0)
        return hf_fail(err, -errno, "no Landlock rule set");
    int rc = allow_below(fd, readable, READING, err);
    rc = rc < 0 ? rc : allow_below(fd, writable, READING | WRITING, err);
    if (rc < 0)
        return rc;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) /* hf_sandbox_drop may not have been asked for */
        return hf_fail(err, -errno, "could not give up gaining privileges");
    if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
        return hf_fail(err, -errno, "Landlock could not be entered");
    return 0;
}

int hf_sandbox_files(const char *const *readable, struct hf_err *err)
{
    return hf_sandbox_paths(readable, NULL, err);
}

static const int deadly[] = {
        SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(bpf),
        SCMP_SYS(mount), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(io_uring_setup),
        SCMP_SYS(userfaultfd), SCMP_SYS(perf_event_open),
};

static const int allowed[] = {
        SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(close),
        SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(sendto), SCMP_SYS(shutdown), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),
        SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
        SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(timerfd_create),
        SCMP_SYS(timerfd_settime), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
        SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid),
        SCMP_SYS(geteuid), SCMP_SYS(getrandom), SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(newfstatat), SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(lstat),
        SCMP_SYS(statx), SCMP_SYS(lseek), SCMP_SYS(getdents64), SCMP_SYS(fcntl), SCMP_SYS(ioctl), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(ftruncate),
        SCMP_SYS(getrusage), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(membarrier), SCMP_SYS(rseq), SCMP_SYS(tgkill), SCMP_SYS(prlimit64),
};

int hf_sandbox_calls(struct hf_err *err)
{
    static const int network[] = {SCMP_SYS(connect), SCMP_SYS(bind)};
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int rc = ctx ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < HF_ARRAY_LEN(allowed); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
    for (size_t i = 0; rc == 0 && i < HF_ARRAY_LEN(deadly); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
    for (size_t i = 0; rc == 0 && i < HF_ARRAY_LEN(network); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, network[i], 0);
    if (rc == 0)
        rc = seccomp_load(ctx);
    seccomp_release(ctx);
    return rc < 0 ? hf_fail(err, rc, "the system call filter could not be set") : 0;
}

/* A thread is a clone that shares everything; a process of its own is none of that.  clone3 hides its flags in memory: glibc goes back to
 * clone where it is not there. */
static int threads_only(scmp_filter_ctx ctx)
{
    int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    return rc < 0 ? rc : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

int hf_sandbox_service(struct hf_err *err)
{
    static const int more[] = {
            SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(getsockname),
            SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(epoll_create), SCMP_SYS(epoll_pwait2), SCMP_SYS(eventfd2),
            SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(memfd_create), SCMP_SYS(pwritev), SCMP_SYS(preadv),
            SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(access),
            SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(fallocate), SCMP_SYS(flock),
            SCMP_SYS(fchmod), SCMP_SYS(chmod), SCMP_SYS(fchmodat), SCMP_SYS(fchown), SCMP_SYS(umask), SCMP_SYS(utimensat), SCMP_SYS(msync), SCMP_SYS(mincore), SCMP_SYS(sync_file_range),
            SCMP_SYS(openat2), SCMP_SYS(getegid), SCMP_SYS(getgid), SCMP_SYS(getppid), SCMP_SYS(getpgrp), SCMP_SYS(getresuid), SCMP_SYS(getresgid), SCMP_SYS(getgroups), SCMP_SYS(set_robust_list),
            SCMP_SYS(get_robust_list), SCMP_SYS(set_tid_address), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_setaffinity), SCMP_SYS(getcpu), SCMP_SYS(clock_getres), SCMP_SYS(times),
            SCMP_SYS(time), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(rt_sigpending), SCMP_SYS(rt_sigsuspend), SCMP_SYS(signalfd4), SCMP_SYS(prctl), SCMP_SYS(getrlimit), SCMP_SYS(getpriority),
            SCMP_SYS(setpriority), SCMP_SYS(mlock), SCMP_SYS(munlock), SCMP_SYS(sendfile), SCMP_SYS(timerfd_gettime), SCMP_SYS(getdents), SCMP_SYS(copy_file_range),
    };
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int rc = ctx ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < HF_ARRAY_LEN(allowed); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
    for (size_t i = 0; rc == 0 && i < HF_ARRAY_LEN(more); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, more[i], 0);
    for (size_t i = 0; rc == 0 && i < HF_ARRAY_LEN(deadly); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
    if (rc == 0) /* who serves got its socket before */
        rc = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, SCMP_SYS(listen), 0);
    rc = rc < 0 ? rc : threads_only(ctx);
    rc = rc < 0 ? rc : seccomp_load(ctx);
    seccomp_release(ctx);
    return rc < 0 ? hf_fail(err, rc, "the system call filter could not be set") : 0;
}
