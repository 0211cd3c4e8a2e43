// SPDX-License-Identifier: Apache-2.0
/* The file behind an executable mapping of a stopped process is found wherever it lies in memory.  Needs root. */
#include "protect/libraries.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

/* A child that maps fd there and stops. */
static pid_t mapping(int fd, uintptr_t at)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        void *m = mmap((void *)at, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | (at ? MAP_FIXED_NOREPLACE : 0), fd, 0);
        if (m == MAP_FAILED)
            _exit(1);
        raise(SIGSTOP);
        _exit(0);
    }
    return waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) ? pid : -1;
}

static void found_at(int fd, const struct stat *st, uintptr_t at)
{
    char path[4096] = "";
    struct stat got;
    pid_t pid = mapping(fd, at);
    OK(pid > 0);
    struct hf_guard_told t = {.pid = (uint32_t)pid, .inode = st->st_ino};
    int opened = hf_library_open(&t, true, path, sizeof path);
    OK(opened >= 0 && fstat(opened, &got) == 0 && got.st_ino == st->st_ino && got.st_dev == st->st_dev);
    OK(strstr(path, "hf-test-libraries") != NULL);
    t.inode = st->st_ino + 1;
    EQ_I(hf_library_open(&t, true, path, sizeof path), -ENOENT);
    if (opened >= 0)
        close(opened);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

int main(void)
{
    char name[] = "/tmp/hf-test-librariesXXXXXX";
    struct stat st;
    if (geteuid() != 0) {
        printf("1..0 # SKIP needs root\n");
        return 0;
    }
    int fd = mkstemp(name);
    OK(fd >= 0 && ftruncate(fd, 4096) == 0 && fstat(fd, &st) == 0);
    found_at(fd, &st, 0);
    found_at(fd, &st, 0x10000000); /* eight digits in maps, with zeros before them from 0x1000000 down */
    found_at(fd, &st, 0x200000);   /* where programs at a fixed address lie: "00200000" in maps, "200000" in map_files */
    unlink(name);
    return tap_done();
}
