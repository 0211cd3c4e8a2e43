// SPDX-License-Identifier: Apache-2.0
#include "respond/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void leave_all_but(int keep_fd)
{
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        dup2(null, fd);
    if (keep_fd > 3)
        syscall(SYS_close_range, 3, keep_fd - 1, 0);
    syscall(SYS_close_range, keep_fd < 3 ? 3 : keep_fd + 1, ~0u, 0);
}

int hf_aside(const char *name, int keep_fd, void (*work)(const void *ctx, int keep_fd), const void *ctx, struct hf_err *err)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        return hf_fail(err, -errno, "no process that undoes it in time: %s", strerror(errno));
    if (pid == 0) {
        pid_t its = setsid() < 0 ? -1 : fork(); /* nobody's child: it does not become a zombie of ours */
        if (its)
            _exit(its < 0);
        leave_all_but(keep_fd);
        sigaction(SIGTERM, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        sigaction(SIGINT, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        sigaction(SIGHUP, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        prctl(PR_SET_NAME, name);
        prctl(PR_SET_PDEATHSIG, 0);
        if (chdir("/") == 0)
            work(ctx, keep_fd);
        _exit(0);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status ? hf_fail(err, -EAGAIN, "no process that undoes it in time") : 0;
}
