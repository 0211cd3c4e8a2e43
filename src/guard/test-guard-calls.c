// SPDX-License-Identifier: Apache-2.0
/* What the guard does without ends it; the rest goes on.  Each in a child. */
#include "guard/calls.h"

#include <fcntl.h>
#include <signal.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "tap.h"

enum { NOTHING, FILES, MOUNT, BPF, MODULE, KEXEC, EXEC, SOCKET };

static void act(int what)
{
    char *const argv[] = {(char[]){"true"}, NULL};
    struct stat st;
    switch (what) {
    case FILES:
        if (stat("/", &st) < 0 || open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
            _exit(9);
        break;
    case MOUNT:
        (void)mount("none", "/nowhere/at/all", "tmpfs", 0, NULL);
        break;
    case BPF:
        (void)syscall(SYS_bpf, 0, NULL, 0u);
        break;
    case MODULE:
        (void)syscall(SYS_finit_module, -1, "", 0);
        break;
    case KEXEC:
        (void)syscall(SYS_kexec_load, 0ul, 0ul, NULL, 0ul);
        break;
    case EXEC:
        execv("/bin/true", argv);
        break;
    case SOCKET:
        (void)syscall(SYS_socket, 2, 1, 0);
        break;
    default:
        break;
    }
}

/* 0: it went on; else the signal. */
static int end(bool modules, int what)
{
    int status = 0;
    struct hf_err err = HF_ERR_INIT;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || hf_guard_calls(modules, &err) < 0)
            _exit(8);
        act(what);
        _exit(0);
    }
    while (waitpid(pid, &status, 0) < 0)
        ;
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

int main(void)
{
    EQ_I(end(false, NOTHING), 0);
    EQ_I(end(false, FILES), 0);
    EQ_I(end(true, FILES), 0);
    for (int what = MOUNT; what <= SOCKET; what++)
        EQ_I(end(false, what), SIGSYS);
    EQ_I(end(true, MODULE), SIGSYS);
    EQ_I(end(true, KEXEC), SIGSYS);
    EQ_I(end(true, MOUNT), 0);
    EQ_I(end(true, BPF), 0);
    EQ_I(end(true, EXEC), 0);
    EQ_I(end(true, SOCKET), 0);
    return tap_done();
}
