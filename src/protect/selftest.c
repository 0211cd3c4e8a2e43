// SPDX-License-Identifier: Apache-2.0
#include "protect/selftest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "event/wire.h"
#include "protect/read-only.h"

#define POLICY_OF_TEST UINT32_MAX /* no destinations and no ports */
#define WAIT_MS 2000
#define PORT 47

/* What the child found, as its exit code. */
enum { CONNECT_REFUSED = 1, LISTEN_REFUSED = 2, EXEC_REFUSED = 4, RAN = 8, NOT_SET_UP = 16, DEVICE_REFUSED = 32 };

static bool refused(bool listen)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    a.sin_addr.s_addr = listen ? htonl(INADDR_ANY) : htonl(0xc0000201); /* 192.0.2.1: nobody's */
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    int rc = listen ? bind(fd, (const struct sockaddr *)&a, sizeof a) : connect(fd, (const struct sockaddr *)&a, sizeof a);
    bool no = rc < 0 && errno == EPERM;
    close(fd);
    return no;
}

/* A device that no container needs for itself. */
static bool device_refused(void)
{
    static const char *const names[] = {"/dev/kmsg", "/dev/fuse", "/dev/net/tun", "/dev/mem", "/dev/loop-control"};
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++) {
        int fd = open(names[i], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0)
            close(fd);
        if (fd >= 0 || errno == EPERM)
            return fd < 0;
    }
    return false;
}

/* Each in a form that does no harm where it is let through.  true: the kernel has no such thing. */
static bool use(unsigned use_of)
{
    char zeros[256] = {0};
    long rc = 0;
    errno = 0;
    switch (use_of) {
    case HF_USE_MODULES:
        rc = syscall(SYS_init_module, zeros, sizeof zeros, ""); /* as short as a header at least, or no hook is asked */
        break;
    case HF_USE_BPF:
        rc = syscall(SYS_bpf, 5 /* BPF_PROG_LOAD */, zeros, 64u);
        break;
    case HF_USE_MOUNT:
        rc = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
        break;
    case HF_USE_PTRACE:
        rc = ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        break;
    case HF_USE_USERNS:
        rc = unshare(CLONE_NEWUSER);
        if (rc == 0) /* a privilege in it is asked for */
            (void)!sethostname("holdfast", 8);
        break;
    case HF_USE_IO_URING:
        rc = syscall(SYS_io_uring_setup, 1u, zeros);
        break;
    default:
        break;
    }
    if (rc < 0 && errno == EPERM)
        _exit(EPERM);
    return rc < 0 && errno == ENOSYS;
}

/* Whether the process got into its control group, and out of the host's mount namespace: who is in that is a runtime. */
static bool enter(const char *procs)
{
    int fd = open(procs, O_WRONLY | O_CLOEXEC);
    bool in = fd >= 0 && write(fd, "0", 1) == 1 && unshare(CLONE_NEWNS) == 0;
    if (fd >= 0)
        close(fd);
    return in;
}

/* One use in a process of its own. */
static void try_use(const char *procs, unsigned use_of, const struct hf_guard_kernel *k, struct hf_proof *ret)
{
    int status = 0;
    unsigned rung = hf_guard_kernel_use_rung(k, use_of);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(WAIT_MS / 1000);
        if (!enter(procs))
            _exit(EBUSY);
        _exit(use(use_of) ? ENOSYS : 0);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0)
        return;
    if (WIFEXITED(status) && WEXITSTATUS(status) == ENOSYS)
        ret->absent |= 1u << use_of;
    else if ((rung == HF_GUARD_BY_LSM && WIFEXITED(status) && WEXITSTATUS(status) == EPERM) || (rung == HF_GUARD_BY_SIGNAL && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
        ret->uses |= 1u << use_of;
}

static _Noreturn void child(const char *procs, int told)
{
    char *const argv[] = {(char[]){"holdfast"}, (char[]){"--version"}, NULL}, *const envp[] = {NULL};
    uint32_t found = 0;
    if (!enter(procs))
        found = NOT_SET_UP;
    if (!found) {
        found |= refused(false) ? CONNECT_REFUSED : 0;
        found |= refused(true) ? LISTEN_REFUSED : 0;
        found |= device_refused() ? DEVICE_REFUSED : 0;
        (void)!write(told, &found, sizeof found);
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execve("/proc/self/exe", argv, envp);
        found |= errno == EPERM ? EXEC_REFUSED : RAN;
    }
    (void)!write(told, &found, sizeof found);
    _exit(0);
}

/* Whoever maps what nobody judged is stopped before it can run it. */
static bool map_stopped(const char *procs)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(WAIT_MS / 1000);
        int fd = memfd_create("holdfast", MFD_CLOEXEC);
        if (!enter(procs) || fd < 0 || ftruncate(fd, 4096) < 0)
            _exit(1);
        (void)!mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
        _exit(0);
    }
    while (pid > 0 && waitpid(pid, &status, WUNTRACED) < 0 && errno == EINTR)
        ;
    if (pid < 0 || !WIFSTOPPED(status))
        return false;
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return true;
}

/* By hooks: the folder's inode is what counts, for the group of the test. */
static void hold_files(struct hf_guard_kernel *k, uint64_t container, uint32_t pid, const struct hf_prot_spans *patterns, struct hf_ro *ro)
{
    struct hf_err ignored = HF_ERR_INIT;
    if (hf_ro_look(ro, pid, patterns, &ignored) < 0)
        return;
    for (size_t i = 0; i < ro->n_files; i++) {
        struct hf_guard_key key = {.container = container, .inode = ro->files[i].inode, .dev = ro->files[i].dev};
        (void)hf_guard_kernel_hold(k, &key, ro->files[i].what);
    }
}

/* A folder in a mount namespace of its own is held, and written to. */
static bool write_refused(struct hf_guard_kernel *k, uint64_t container, const char *procs)
{
    struct hf_span v[] = {HF_S("/proc/held/")};
    struct hf_prot_spans patterns = {.v = v, .n = 1};
    struct hf_err ignored = HF_ERR_INIT;
    int ready[2], go[2], status = 0, want = hf_guard_kernel_file_rung(k) ? EPERM : EROFS;
    char byte = 0;
    if (pipe2(ready, O_CLOEXEC) < 0)
        return false;
    if (pipe2(go, O_CLOEXEC) < 0) {
        close(ready[0]);
        close(ready[1]);
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        alarm(WAIT_MS / 1000);
        close(go[1]);
        if (!enter(procs) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("none", "/proc", "tmpfs", 0, "size=64k") < 0 || mkdir("/proc/held", 0700) < 0 ||
                write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) < 0)
            _exit(1);
        int fd = open("/proc/held/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        _exit(fd < 0 && errno == want && mkdir("/proc/held/d", 0700) < 0 && errno == want && mkdir("/proc/free", 0700) == 0 ? want : 0);
    }
    close(ready[1]);
    close(go[0]);
    hf_autofree struct hf_ro *ro = pid > 0 && read(ready[0], &byte, 1) == 1 ? malloc(sizeof *ro) : NULL;
    if (ro && want == EPERM)
        hold_files(k, container, (uint32_t)pid, &patterns, ro);
    else if (ro)
        (void)!hf_ro_arm(ro, (uint32_t)pid, &patterns, NULL, &ignored);
    close(ready[0]);
    close(go[1]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == want;
}

static void read_result(struct hf_guard_kernel *k, pid_t pid, int fd, struct hf_proof *ret)
{
    uint32_t found = NOT_SET_UP, next;
    int status = 0;
    struct pollfd p = {fd, POLLIN, 0};
    while (poll(&p, 1, WAIT_MS) > 0 && read(fd, &next, sizeof next) == sizeof next)
        found = next;
    if (p.revents == 0)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (found & NOT_SET_UP) {
        snprintf(ret->why, sizeof ret->why, "the test could not be made: its process did not get into its control group and mount namespace");
        return;
    }
    ret->connect = found & CONNECT_REFUSED ? HF_GUARD_BY_CGROUP : 0;
    ret->listen = found & LISTEN_REFUSED ? HF_GUARD_BY_CGROUP : 0;
    ret->device = found & DEVICE_REFUSED ? HF_GUARD_BY_CGROUP : 0;
    if (found & EXEC_REFUSED)
        ret->exec = HF_GUARD_BY_LSM;
    else if (p.revents && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        ret->exec = HF_GUARD_BY_SIGNAL;
    if (!ret->exec)
        snprintf(ret->why, sizeof ret->why, "a program without a verdict ran");
    else if (hf_guard_kernel_net_rung(k) && (!ret->connect || !ret->listen))
        snprintf(ret->why, sizeof ret->why, "%s", ret->connect ? "a port that is not listed was bound" : "a connection that is not listed began");
}

void hf_selftest(struct hf_guard_kernel *k, const struct hf_hierarchy *h, uint32_t clauses, struct hf_proof *ret)
{
    char group[512], procs[560];
    struct stat st;
    int pipes[2];
    struct hf_err err = HF_ERR_INIT;
    *ret = (struct hf_proof){.exec = 0};
    snprintf(group, sizeof group, "%s/holdfast-selftest-%d", h->mount, getpid());
    snprintf(procs, sizeof procs, "%s/cgroup.procs", group);
    if ((mkdir(group, 0700) < 0 && errno != EEXIST) || stat(group, &st) < 0 || pipe2(pipes, O_CLOEXEC) < 0) {
        snprintf(ret->why, sizeof ret->why, "the test could not be made: %s", strerror(errno));
        return;
    }
    uint32_t uses = 0;
    for (unsigned u = 0; u < HF_USES; u++)
        uses |= hf_guard_kernel_use_rung(k, u) ? 1u << u : 0;
    struct hf_guard_rule rule = {.container = st.st_ino, .flags = HF_GUARD_EXEC | HF_GUARD_STRICT | HF_GUARD_CLOSED | HF_GUARD_DEST | HF_GUARD_LISTEN | HF_GUARD_DEVICES | uses << HF_GUARD_USE_SHIFT, .policy = POLICY_OF_TEST, .begun = 1};
    if (hf_guard_kernel_rule(k, &rule, &err) < 0) {
        snprintf(ret->why, sizeof ret->why, "the test could not be made: %.120s", err.msg);
    } else {
        pid_t pid = fork();
        if (pid == 0)
            child(procs, pipes[1]);
        close(pipes[1]);
        pipes[1] = -1;
        if (pid > 0)
            read_result(k, pid, pipes[0], ret);
        else
            snprintf(ret->why, sizeof ret->why, "the test could not be made: %s", strerror(errno));
        for (unsigned u = 0; u < HF_USES; u++)
            try_use(procs, u, k, ret);
        rule.flags = HF_GUARD_EXEC | HF_GUARD_STRICT | HF_GUARD_LIBS;
        if (hf_guard_kernel_lib_rung(k) && hf_guard_kernel_rule(k, &rule, &err) == 0) {
            bool on = hf_guard_kernel_libs(k, true);
            ret->library = map_stopped(procs) ? hf_guard_kernel_lib_rung(k) : 0;
            hf_guard_kernel_libs(k, on);
        }
        rule.flags = HF_GUARD_FILES;
        if ((clauses >> HF_CLAUSE_READ_ONLY & 1) && hf_guard_kernel_rule(k, &rule, &err) == 0)
            ret->write = !write_refused(k, st.st_ino, procs) ? 0 : hf_guard_kernel_file_rung(k) ? HF_GUARD_BY_LSM : HF_RUNG_MOUNT;
        hf_guard_kernel_forget(k, st.st_ino);
    }
    close(pipes[0]);
    if (pipes[1] >= 0)
        close(pipes[1]);
    for (int i = 0; i < 20 && rmdir(group) < 0 && errno == EBUSY; i++) /* it takes a moment until who died is out of it */
        (void)poll(NULL, 0, 1);
}

/* ---- what it means for a policy ---- */

/* The weakest rung of those that a policy needs; *ret_whole: all of them are held. */
static unsigned use_rung(const struct hf_proof *p, const struct hf_guard_kernel *k, const struct hf_prot_policy *policy, bool *ret_whole, char why[160])
{
    unsigned weakest = 0;
    bool taxes = false;
    hf_autobuf missing = HF_BUF_INIT(160), killed = HF_BUF_INIT(160);
    for (unsigned u = 0; u < HF_USES; u++) {
        unsigned rung = hf_guard_kernel_use_rung(k, u);
        if ((policy->uses | p->absent) >> u & 1)
            continue;
        if (!(p->uses >> u & 1)) {
            hf_buf_addf(&missing, "%s%s", missing.n ? ", " : "", hf_prot_uses[u]);
            continue;
        }
        weakest = HF_MAX(weakest, rung); /* their numbers grow as they get weaker */
        taxes = taxes || hf_guard_kernel_use_taxes(k, u);
        if (rung == HF_GUARD_BY_SIGNAL)
            hf_buf_addf(&killed, "%s%s", killed.n ? ", " : "", hf_prot_uses[u]);
    }
    *ret_whole = !missing.n;
    if (missing.n)
        snprintf(why, 160, "not held: %.90s (the test was not refused)", hf_buf_z(&missing));
    else if (killed.n)
        snprintf(why, 160, "the process is killed at %.70s%s", hf_buf_z(&killed), taxes ? "; each system call of this host is slower meanwhile" : "");
    else if (!weakest)
        snprintf(why, 160, "this kernel has nothing of what the policy does not list");
    return weakest ? weakest : missing.n ? 0 : HF_GUARD_BY_LSM;
}

unsigned hf_proof_rung(const struct hf_proof *p, const struct hf_guard_kernel *k, const struct hf_prot_policy *policy, unsigned clause, bool *ret_whole, char why[160])
{
    unsigned rung = 0;
    why[0] = 0;
    switch (clause) {
    case HF_CLAUSE_SEALED:
    case HF_CLAUSE_SHELLS:
    case HF_CLAUSE_PACKAGES:
    case HF_CLAUSE_WRITTEN:
        rung = p->exec; /* what fanotify lets through, or does not see, falls here */
        *ret_whole = rung && (p->library || clause == HF_CLAUSE_SHELLS || clause == HF_CLAUSE_PACKAGES);
        snprintf(why, 160, "%s", !rung ? p->why : !*ret_whole ? "libraries are not held: no hook for mappings, or its test was not stopped" : hf_guard_kernel_why(k));
        return rung;
    case HF_CLAUSE_DESTINATIONS:
    case HF_CLAUSE_LISTEN:
    case HF_CLAUSE_DEVICES:
        rung = clause == HF_CLAUSE_LISTEN ? p->listen : clause == HF_CLAUSE_DEVICES ? p->device : p->connect;
        if (!rung)
            snprintf(why, 160, "%s", !hf_guard_kernel_net_rung(k) ? "no unified control group hierarchy is mounted" : p->why[0] ? p->why : "the test of it was not refused");
        break;
    case HF_CLAUSE_KERNEL:
        return use_rung(p, k, policy, ret_whole, why);
    case HF_CLAUSE_READ_ONLY:
        rung = p->write;
        *ret_whole = rung && hf_ro_whole(&policy->allow[HF_CLAUSE_READ_ONLY]);
        snprintf(why, 160, "%s%s%s", !rung ? "the test could be written" : *ret_whole ? "" : "patterns with * hold for what is there when the container begins",
                !*ret_whole && rung == HF_RUNG_MOUNT ? "; " : "", rung == HF_RUNG_MOUNT ? "what a mount refuses (EROFS) is neither told nor counted" : "");
        return rung;
    default:
        snprintf(why, 160, "this version of holdfast has no hook for it");
        break;
    }
    *ret_whole = rung && !why[0];
    return rung;
}

const char *hf_rung_name(unsigned rung)
{
    static const char *const names[] = {"none", "lsm", "fanotify", "signal", "cgroup", "nftables", "mount"};
    return rung < HF_ARRAY_LEN(names) ? names[rung] : "none";
}
