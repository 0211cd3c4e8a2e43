// SPDX-License-Identifier: Apache-2.0
/* uses.c - each use of the kernel that a policy may forbid (kernel_use), in a form that does no harm: `uses NAME` prints "ran" when the process is
 * still there after it.  For tests/e2e/test_protect_more.py; built static. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static long child(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    return pid;
}

static long seize(void)
{
    long pid = child(), rc = ptrace(PTRACE_SEIZE, (pid_t)pid, NULL, NULL);
    kill((pid_t)pid, SIGKILL);
    return rc;
}

/* What it read, to be seen; the rest as a read would. */
static long mem_read(void)
{
    static const char secret[] = "secret of the other";
    char path[64], got[sizeof secret] = "";
    long pid = child();
    snprintf(path, sizeof path, "/proc/%ld/mem", pid);
    int fd = open(path, O_RDWR);
    long rc = fd < 0 ? -1 : pread(fd, got, sizeof got, (off_t)(uintptr_t)secret) > 0 ? 0 : -1;
    kill((pid_t)pid, SIGKILL);
    if (rc == 0)
        printf("%s\n", got);
    return rc;
}

static long vm_write(void)
{
    char byte = 0;
    struct iovec v = {&byte, 1};
    long pid = child(), rc = process_vm_writev((pid_t)pid, &v, 1, &v, 1, 0);
    kill((pid_t)pid, SIGKILL);
    return rc;
}

static long clone3_userns(void)
{
    struct clone_args a = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &a, sizeof a);
    if (pid == 0) {
        (void)!write(1, "ran inside\n", 11);
        _exit(0);
    }
    if (pid > 0)
        waitpid((pid_t)pid, NULL, 0);
    return pid;
}

static long userns(void)
{
    long rc = unshare(CLONE_NEWUSER);
    return rc < 0 ? rc : sethostname("x", 1) + 1; /* a privilege in it */
}

static long traceme_i386(void)
{
    long rc = -1;
#if defined(__x86_64__)
    __asm__ volatile("int $0x80" : "=a"(rc) : "a"(26), "b"(0), "c"(0), "d"(0), "S"(0) : "memory", "r8", "r9", "r10", "r11");
#endif
    return rc;
}

static long new_mount(void)
{
    int fs = (int)syscall(SYS_fsopen, "tmpfs", 0);
    return fs;
}

/* Maps a file for execution and calls what lies at its beginning: a library in miniature. */
static long map(const char *path, int flags)
{
    int fd = open(path, O_RDONLY);
    void *at = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_EXEC, flags, fd, 0);
    if (at == MAP_FAILED)
        return -1;
    return ((long (*)(void))at)();
}

static long map_memory(void)
{
    static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
    char path[64];
    int fd = memfd_create("code", 0);
    if (fd < 0 || write(fd, code, sizeof code) != sizeof code || ftruncate(fd, 4096) < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return map(path, MAP_PRIVATE);
}

/* An interpreter that takes its time: reads the script after a while, and says what it read. */
static long lazy(const char *path)
{
    char text[256] = "";
    usleep(1500000);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n >= 0)
        printf("%s", text);
    fflush(stdout);
    return n;
}

/* A program that never was a file: this one, from memory. */
static long run_memory(char **argv, char **envp)
{
    int from = open("/proc/self/exe", O_RDONLY), to = memfd_create("code", 0);
    while (sendfile(to, from, NULL, 1 << 20) > 0)
        ;
    argv[1] = "fsopen"; /* that it ran is what counts */
    return fexecve(to, argv, envp);
}

int main(int argc, char **argv, char **envp)
{
    static char zeros[256];
    const char *what = argc > 1 ? argv[1] : "";
    long rc = -1;
    errno = 0;
    if (!strcmp(what, "traceme"))
        rc = ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    else if (!strcmp(what, "traceme-i386"))
        rc = traceme_i386();
    else if (!strcmp(what, "seize"))
        rc = seize();
    else if (!strcmp(what, "mem"))
        rc = mem_read();
    else if (!strcmp(what, "vm-write"))
        rc = vm_write();
    else if (!strcmp(what, "userns"))
        rc = userns();
    else if (!strcmp(what, "clone3-userns"))
        rc = clone3_userns();
    else if (!strcmp(what, "ring"))
        rc = syscall(SYS_io_uring_setup, 1u, zeros);
    else if (!strcmp(what, "bpf"))
        rc = syscall(SYS_bpf, 5, zeros, 64u);
    else if (!strcmp(what, "mount"))
        rc = mount("none", argc > 2 ? argv[2] : "/mnt", "tmpfs", 0, NULL);
    else if (!strcmp(what, "fsopen"))
        rc = new_mount();
    else if (!strcmp(what, "map"))
        rc = map(argc > 2 ? argv[2] : "", MAP_PRIVATE);
    else if (!strcmp(what, "map-shared"))
        rc = map(argc > 2 ? argv[2] : "", MAP_SHARED);
    else if (!strcmp(what, "map-memory"))
        rc = map_memory();
    else if (!strcmp(what, "run-memory"))
        rc = run_memory(argv, envp);
    else if (argc > 1 && what[0] == '/')
        rc = lazy(what);
    else
        return 2;
    printf("ran %ld %s\n", rc, rc < 0 ? strerror(errno) : "");
    return 0;
}
