// SPDX-License-Identifier: Apache-2.0
/* A policy is put in force and rolled back again and again while the host makes calls all the time: what it forbids is refused from the moment that it is
 * in force, and not from the moment that it is not; nobody else notices, and nothing is left behind.  Needs root. */
#include "protect/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sensor/containers/hierarchy.h"
#include "sensor/kernel.h"
#include "tap.h"

#define CHANGES 8u
#define BUSY 2u

static struct shared {
    volatile uint32_t wrong, calls, stop;
} *shared;

static _Noreturn void busy(void)
{
    while (!shared->stop) {
        int status = 0, fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        pid_t pid = fork();
        if (pid == 0)
            _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 7 : 8); /* not in the container: nobody's business */
        if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) < 0 || syscall(SYS_getppid) <= 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
            shared->wrong++;
        shared->calls++;
    }
    _exit(0);
}

/* One attempt inside: true when it was refused, or ended its process. */
static bool refused(const char *procs, bool *ret_sure)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(procs, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) != 1 || unshare(CLONE_NEWNS) < 0)
            _exit(3);
        _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : errno == EPERM ? 1 : 3);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    *ret_sure = pid > 0 && (killed || (WIFEXITED(status) && WEXITSTATUS(status) < 3));
    return killed || (WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

static unsigned told;
static void note(void *ctx, const struct hf_guard_told *t)
{
    (void)ctx;
    told += t->why == HF_GUARD_WHY_USE && t->use == HF_USE_PTRACE;
}

int main(void)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_hierarchy h;
    struct hf_guard_kernel *k = NULL;
    struct stat st;
    char group[512], procs[560];
    pid_t pids[BUSY];
    unsigned let_go = 0, stopped = 0, unsure = 0;
    if (geteuid() != 0 || hf_hierarchy_find(&h, &err) < 0) {
        printf("1..0 # SKIP needs root and control groups\n");
        return 0;
    }
    struct hf_guard_kernel_opts o = {.hierarchy = h.id, .v1_subsys = h.unified ? -1 : hf_kernel_subsys(h.controller), .v2_root_fd = -1};
    if (hf_guard_kernel_open(&k, &o, &err) < 0) {
        printf("1..0 # SKIP this kernel takes no such programs: %s\n", err.msg);
        return 0;
    }
    snprintf(group, sizeof group, "%s/holdfast-swap-%d", h.mount, getpid());
    snprintf(procs, sizeof procs, "%s/cgroup.procs", group);
    EQ_I(mkdir(group, 0700), 0);
    EQ_I(stat(group, &st), 0);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    fflush(stdout);
    for (unsigned i = 0; i < BUSY; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            busy();
    }
    const struct hf_guard_rule rule = {.container = st.st_ino, .flags = 1u << (HF_GUARD_USE_SHIFT + HF_USE_PTRACE) | HF_GUARD_FILES, .begun = 1};
    unsigned fds = 0;
    for (unsigned i = 0; i < CHANGES; i++) {
        bool sure;
        EQ_I(hf_guard_kernel_rule(k, &rule, &err), 0);
        stopped += refused(procs, &sure);
        unsure += !sure;
        hf_guard_kernel_forget(k, st.st_ino);
        fds = i ? fds : tap_descriptors(); /* hooks of files that were attached once stay */
        let_go += !refused(procs, &sure);
        unsure += !sure;
    }
    hf_guard_kernel_told(k, note, NULL);
    printf("# by rung %u%s; %u refused, %u let go, %u told, %u calls of others\n", hf_guard_kernel_use_rung(k, HF_USE_PTRACE), hf_guard_kernel_use_taxes(k, HF_USE_PTRACE) ? ", at the entry of calls" : "", stopped, let_go, told,
            shared->calls);
    EQ_U(unsure, 0);
    EQ_U(stopped, CHANGES);
    EQ_U(let_go, CHANGES);
    EQ_U(told, CHANGES);
    EQ_U(tap_descriptors(), fds);
    shared->stop = 1;
    for (unsigned i = 0; i < BUSY; i++)
        waitpid(pids[i], NULL, 0);
    OK(shared->calls > 0);
    EQ_U(shared->wrong, 0);
    hf_guard_kernel_close(k);
    for (int i = 0; i < 100 && rmdir(group) < 0 && errno == EBUSY; i++)
        usleep(10000);
    return tap_done();
}
