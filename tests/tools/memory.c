// SPDX-License-Identifier: Apache-2.0
/* memory: makes memory executable in each way that there is, one an invocation, and executes one instruction of it where it can (for
 * tests/e2e/test_memory.py).  `memory list` names them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096u
#define RETURNS 0xc3 /* ret */

static void run(void *at)
{
    void (*code)(void);
    memcpy(&code, &at, sizeof code);
    code();
}

static void *map(int prot, int flags, int fd)
{
    void *p = mmap(NULL, PAGE, prot, flags, fd, 0);
    if (p == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return p;
}

static void *written(void)
{
    unsigned char *p = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    p[0] = RETURNS;
    return p;
}

static int protect(void *p, int prot)
{
    if (mprotect(p, PAGE, prot) != 0) {
        perror("mprotect");
        return 1;
    }
    return 0;
}

static int write_and_execute(const char *arg)
{
    (void)arg;
    unsigned char *p = map(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    p[0] = RETURNS;
    run(p);
    return 0;
}

static int write_then_execute(const char *arg)
{
    (void)arg;
    void *p = written();
    if (protect(p, PROT_READ | PROT_EXEC))
        return 1;
    run(p);
    return 0;
}

static int with_key(const char *arg)
{
    (void)arg;
    void *p = written();
    if (syscall(SYS_pkey_mprotect, p, PAGE, PROT_READ | PROT_EXEC, -1) != 0)
        return 1;
    run(p);
    return 0;
}

/* An executable page before it, so that who only looks at the first mapping of the range sees no change. */
static int behind_executable(const char *arg)
{
    (void)arg;
    unsigned char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return 1;
    p[PAGE] = RETURNS;
    if (mprotect(p, PAGE, PROT_READ | PROT_EXEC) != 0)
        return 1;
    usleep(300000);
    if (mprotect(p, 2 * PAGE, PROT_READ | PROT_EXEC) != 0)
        return 1;
    run(p + PAGE);
    return 0;
}

static int of_stack(const char *arg)
{
    unsigned char here[2 * PAGE];
    (void)arg;
    uintptr_t page = ((uintptr_t)here + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    *(volatile unsigned char *)page = RETURNS;
    if (protect((void *)page, PROT_READ | PROT_WRITE | PROT_EXEC))
        return 1;
    run((void *)page);
    return 0;
}

static int of_heap(const char *arg)
{
    (void)arg;
    uintptr_t page = ((uintptr_t)sbrk(4 * PAGE) + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    *(volatile unsigned char *)page = RETURNS;
    if (protect((void *)page, PROT_READ | PROT_EXEC))
        return 1;
    run((void *)page);
    return 0;
}

static int of_memfd(const char *arg)
{
    static const unsigned char code = RETURNS;
    int fd = memfd_create(arg ? arg : "x", 0);
    if (fd < 0 || write(fd, &code, 1) != 1 || ftruncate(fd, PAGE) != 0)
        return 1;
    run(map(PROT_READ | PROT_EXEC, MAP_SHARED, fd));
    return 0;
}

static int of_file(const char *arg)
{
    int fd = open(arg, O_RDONLY);
    if (fd < 0) {
        perror(arg);
        return 1;
    }
    map(PROT_READ | PROT_EXEC, MAP_PRIVATE, fd);
    return 0;
}

static int of_unlinked(const char *arg)
{
    int fd = open(arg, O_RDWR | O_CREAT, 0700);
    if (fd < 0 || ftruncate(fd, PAGE) != 0 || unlink(arg) != 0)
        return 1;
    map(PROT_READ | PROT_EXEC, MAP_PRIVATE, fd);
    return 0;
}

static int of_shared(const char *arg)
{
    (void)arg;
    int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0700);
    unsigned char *p = id < 0 ? (void *)-1 : shmat(id, NULL, SHM_EXEC);
    shmctl(id, IPC_RMID, NULL);
    if (p == (void *)-1)
        return 1;
    p[0] = RETURNS;
    run(p);
    return 0;
}

/* What is readable is executable, without anybody asking for it. */
static int by_personality(const char *arg)
{
    (void)arg;
    if (personality(READ_IMPLIES_EXEC) < 0)
        return 1;
    unsigned char *p = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    p[0] = RETURNS;
    run(p);
    return 0;
}

/* The calls of 32-bit programs: mmap2, then mprotect. */
static int by_compat(const char *arg)
{
    (void)arg;
    long at;
    __asm__ volatile("push %%rbp; xor %%ebp, %%ebp; int $0x80; pop %%rbp"
                     : "=a"(at)
                     : "a"(192L), "b"(0L), "c"((long)PAGE), "d"((long)(PROT_READ | PROT_WRITE)), "S"((long)(MAP_PRIVATE | MAP_ANONYMOUS)), "D"(-1L)
                     : "memory", "r8", "r9", "r10", "r11");
    unsigned char *p = (unsigned char *)(uintptr_t)(uint32_t)at;
    if ((uint32_t)at > 0xfffff000u)
        return 77; /* this kernel has no such calls */
    p[0] = RETURNS;
    __asm__ volatile("int $0x80" : "=a"(at) : "a"(125L), "b"((long)(uint32_t)(uintptr_t)p), "c"((long)PAGE), "d"((long)(PROT_READ | PROT_EXEC)) : "memory", "r8", "r9", "r10", "r11");
    if ((int)at != 0)
        return 1;
    run(p);
    return 0;
}

/* As compilers at run time do: the same page written and executed again and again. */
static int compiler(const char *arg)
{
    unsigned n = arg ? (unsigned)strtoul(arg, NULL, 10) : 1000;
    unsigned char *p = written();
    for (unsigned i = 0; i < n; i++) {
        if (protect(p, PROT_READ | PROT_EXEC))
            return 1;
        run(p);
        if (protect(p, PROT_READ | PROT_WRITE))
            return 1;
    }
    return 0;
}

/* What every program does, and nobody needs to know. */
static int ordinary(const char *arg)
{
    char path[256];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    void *p = written();
    (void)arg;
    if (n <= 0 || protect(p, PROT_READ))
        return 1;
    path[n] = 0;
    return of_file(path); /* itself, as the image has it */
}

/* A key press that nobody pressed; "own": into a terminal that it makes. */
static int into_terminal(const char *arg)
{
    int fd, master;
    char c = '\n';
    if (arg && !strcmp(arg, "own")) {
        master = posix_openpt(O_RDWR | O_NOCTTY);
        if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0)
            return 1;
        fd = open(ptsname(master), O_RDWR | O_NOCTTY);
    } else {
        fd = open(arg && *arg ? arg : "/dev/tty", O_RDWR | O_NOCTTY);
    }
    if (fd < 0 || ioctl(fd, TIOCSTI, &c) != 0) {
        perror("TIOCSTI");
        return 1;
    }
    return 0;
}

/* Asked of what is no keyboard, which is refused; it was asked. */
static int grab(const char *arg)
{
    int fd = open(arg ? arg : "/dev/null", O_RDONLY);
    return fd < 0 || (ioctl(fd, EVIOCGRAB, 1) != 0 && errno != ENOTTY && errno != EINVAL);
}

static int size_of_terminal(const char *arg)
{
    struct winsize w;
    int fd = open(arg && *arg ? arg : "/dev/tty", O_RDWR | O_NOCTTY);
    return fd < 0 || ioctl(fd, TIOCGWINSZ, &w) != 0;
}

static int traced(const char *arg)
{
    (void)arg;
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0;
}

static int fault_handler(const char *arg)
{
    int fd = (int)syscall(SYS_userfaultfd, arg ? 1 : 0); /* UFFD_USER_MODE_ONLY */
    return fd < 0;
}

static const struct {
    const char *name;
    int (*act)(const char *arg);
} acts[] = {{"write-and-execute", write_and_execute}, {"write-then-execute", write_then_execute}, {"with-key", with_key}, {"behind-executable", behind_executable},
        {"stack", of_stack}, {"heap", of_heap}, {"memfd", of_memfd}, {"file", of_file}, {"unlinked", of_unlinked}, {"shared", of_shared},
        {"personality", by_personality}, {"compat", by_compat}, {"compiler", compiler}, {"ordinary", ordinary}, {"tiocsti", into_terminal},
        {"grab", grab}, {"winsize", size_of_terminal}, {"traceme", traced}, {"userfaultfd", fault_handler}};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc >= 2 && i < sizeof acts / sizeof acts[0]; i++) {
        if (!strcmp(argv[1], acts[i].name))
            return acts[i].act(argc > 2 ? argv[2] : NULL);
        if (!strcmp(argv[1], "list"))
            puts(acts[i].name);
    }
    return 2;
}
