// SPDX-License-Identifier: Apache-2.0
/* Does, on request, the things that the rules of data/rules are about, and their harmless twins; test_pack.py puts it into containers.
 *
 * actor WHAT [ARGUMENT...]: see `acts` below.  Nothing here leaves the network namespace it runs in. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <linux/input.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <linux/uinput.h>
#include <netinet/ip_icmp.h>
#include <sched.h>
#include <scsi/sg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static long num(char **a, int i, long otherwise)
{
    for (int k = 0; k <= i; k++)
        if (!a[k])
            return otherwise;
    return strtol(a[i], NULL, 10);
}

static struct sockaddr_in addr(const char *text, long port, unsigned plus)
{
    struct sockaddr_in s = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, text, &s.sin_addr);
    s.sin_addr.s_addr = htonl(ntohl(s.sin_addr.s_addr) + plus);
    return s;
}

static int connected(const char *to, long port, unsigned plus, int flags)
{
    struct sockaddr_in s = addr(to, port, plus);
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
    (void)!connect(fd, (struct sockaddr *)&s, sizeof s);
    return fd;
}

/* Waits for a listener that another actor opens meanwhile. */
static int reached(const char *to, long port)
{
    struct sockaddr_in s = addr(to, port, 0);
    for (int i = 0; i < 100; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&s, sizeof s) == 0)
            return fd;
        close(fd);
        pause_ms(20);
    }
    exit(9);
}

static int listening(long port)
{
    struct sockaddr_in s = addr("0.0.0.0", port, 0);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&s, sizeof s) || listen(fd, 1024))
        exit(8);
    return fd;
}

static pid_t child_of(char **argv)
{
    pid_t pid = fork();
    if (pid == 0) {
        execv(argv[0], argv);
        _exit(127);
    }
    return pid;
}

static int act_true(char **a) { return a[0] && !strcmp(a[0], "fail"); }
static int act_sleep(char **a) { pause_ms(num(a, 0, 1000)); return 0; }
static int act_exit(char **a) { return (int)num(a, 0, 1); }

/* listen PORT [MS]: takes whatever comes, reads once, closes */
static _Noreturn int act_listen(char **a)
{
    int fd = listening(num(a, 0, 1));
    char b[2048];
    alarm((unsigned)(num(a, 1, 3000) / 1000 + 1));
    signal(SIGALRM, _exit);
    for (;;) {
        int c = accept(fd, NULL, NULL);
        struct timeval t = {0, 200000};
        setsockopt(c, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
        (void)!read(c, b, sizeof b);
        close(c);
    }
}

/* drain PORT MS: accepts as fast as it can */
static _Noreturn int act_drain(char **a)
{
    int fd = listening(num(a, 0, 1));
    alarm((unsigned)(num(a, 1, 3000) / 1000 + 1));
    signal(SIGALRM, _exit);
    for (;;)
        close(accept(fd, NULL, NULL));
}

/* connect ADDRESS PORT [TIMES] [MS...]: the pauses in turn */
static int act_connect(char **a)
{
    int pauses = 0;
    while (a[0] && a[1] && a[2] && a[3 + pauses])
        pauses++;
    for (long i = 0; i < num(a, 2, 1); i++) {
        close(connected(a[0], num(a, 1, 1), 0, 0));
        if (pauses)
            pause_ms(num(a, 3 + (int)(i % pauses), 0));
    }
    return 0;
}

/* sweep ADDRESS PORT N: N addresses from the first; ports ADDRESS PORT N */
static int act_sweep(char **a)
{
    for (unsigned i = 0; i < (unsigned)num(a, 2, 1); i++)
        close(connected(a[0], num(a, 1, 1), i, 0));
    return 0;
}
static int act_ports(char **a)
{
    for (long i = 0; i < num(a, 2, 1); i++)
        close(connected(a[0], num(a, 1, 1) + i, 0, 0));
    return 0;
}

/* say ADDRESS PORT TEXT [TIMES]: "\r\n" and "\5" as escapes */
static int act_say(char **a)
{
    char b[512];
    size_t n = 0;
    for (const char *p = a[2]; *p && n < sizeof b; p++) {
        if (*p == '\\' && p[1]) {
            p++;
            b[n++] = *p == 'r' ? '\r' : *p == 'n' ? '\n' : (char)(*p - '0');
        } else {
            b[n++] = *p;
        }
    }
    for (long i = 0; i < num(a, 3, 1); i++) {
        int fd = reached(a[0], num(a, 1, 1));
        (void)!write(fd, b, n);
        (void)!read(fd, b + sizeof b - 1, 1);
        close(fd);
    }
    return 0;
}

/* onsocket PORT PROGRAM...: becomes the program, its input and output a connection to 127.0.0.1:PORT */
static int act_onsocket(char **a)
{
    int fd = reached("127.0.0.1", num(a, 0, 1));
    for (int i = 0; i < 3; i++)
        dup2(fd, i);
    execv(a[1], a + 1);
    return 1;
}

/* onunix PROGRAM...: the same with a pair of Unix sockets */
static int act_onunix(char **a)
{
    int p[2];
    (void)!socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    dup2(p[0], 0);
    dup2(p[0], 1);
    execv(a[0], a);
    return 1;
}

/* below PORT PROGRAM...: connects, then starts the program with a pipe as input */
static int act_below(char **a)
{
    int p[2], fd = reached("127.0.0.1", num(a, 0, 1));
    pause_ms(200);
    (void)!pipe(p);
    if (fork() == 0) {
        close(fd);
        dup2(p[0], 0);
        close(p[0]);
        close(p[1]);
        execv(a[1], a + 1);
        _exit(1);
    }
    close(p[1]);
    wait(NULL);
    return 0;
}

/* serve PORT MS PROGRAM...: listens, and after a while starts the program */
static int act_serve(char **a)
{
    (void)listening(num(a, 0, 1));
    pause_ms(num(a, 1, 0));
    child_of(a + 2);
    wait(NULL);
    return 0;
}

/* after MS ADDRESS PORT */
static int act_after(char **a)
{
    pause_ms(num(a, 0, 1));
    close(connected(a[1], num(a, 2, 1), 0, 0));
    return 0;
}

static int act_memfd(char **a)
{
    char b[65536];
    int fd = memfd_create("x", 0), self = open("/proc/self/exe", O_RDONLY);
    for (ssize_t n; (n = read(self, b, sizeof b)) > 0;)
        (void)!write(fd, b, (size_t)n);
    (void)a;
    fexecve(fd, (char *[]){"x", "true", NULL}, (char *[]){NULL});
    return 1;
}

/* mem write-and-execute | write-then-execute | stack | memfd | map FILE | removed FILE: makes memory executable (tests/tools/memory.c has all ways) */
static int act_mem(char **a)
{
    unsigned char here[8192], code = 0xc3 /* ret */;
    const char *way = a[0] ? a[0] : "";
    int both = PROT_READ | PROT_WRITE, fd = -1;
    if (!strcmp(way, "stack"))
        return mprotect((void *)(((unsigned long)here + 4095) & ~4095ul), 4096, both | PROT_EXEC);
    if (!strcmp(way, "memfd")) {
        fd = memfd_create("x", 0);
        (void)!write(fd, &code, 1);
    } else if (a[1]) {
        fd = open(a[1], O_RDONLY);
    }
    if (!strcmp(way, "removed"))
        unlink(a[1]);
    if (fd >= 0)
        return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED;
    void *p = mmap(NULL, 4096, !strcmp(way, "write-and-execute") ? both | PROT_EXEC : both, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return 1;
    memcpy(p, &code, 1);
    return !strcmp(way, "write-then-execute") ? mprotect(p, 4096, PROT_READ | PROT_EXEC) : 0;
}

/* fail UID CODE N: N children that become the user and end with the code */
static int act_fail(char **a)
{
    for (long i = 0; i < num(a, 2, 1); i++) {
        if (fork() == 0)
            _exit(setgid((gid_t)num(a, 0, 1)) || setuid((uid_t)num(a, 0, 1)) ? 1 : (int)num(a, 1, 1));
        wait(NULL);
    }
    return 0;
}

/* as UID PROGRAM... */
static int act_as(char **a)
{
    (void)!setgid((gid_t)num(a, 0, 1000));
    (void)!setuid((uid_t)num(a, 0, 1000));
    execv(a[1], a + 1);
    return 1;
}

/* run PROGRAM...: starts it and waits */
static int act_run(char **a)
{
    child_of(a);
    wait(NULL);
    return 0;
}

/* put FILE [FROM]: writes it, or a byte of another into it */
static int act_put(char **a)
{
    char b[1] = {'x'};
    int fd = a[1] ? open(a[1], O_RDONLY) : -1, to = open(a[0], O_WRONLY | O_CREAT, 0644);
    (void)!read(fd, b, 1);
    return write(to, b, 1) != 1;
}

/* ---- DNS ---- */

/* dnsd RCODE MS: answers every question with this code */
static int act_dnsd(char **a)
{
    struct sockaddr_in s = addr("127.0.0.1", 53, 0), from;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    unsigned char b[600];
    if (bind(fd, (struct sockaddr *)&s, sizeof s))
        return 8;
    alarm((unsigned)(num(a, 1, 3000) / 1000 + 1));
    signal(SIGALRM, _exit);
    for (;;) {
        socklen_t len = sizeof from;
        ssize_t n = recvfrom(fd, b, sizeof b, 0, (struct sockaddr *)&from, &len);
        if (n < 12)
            continue;
        b[2] |= 0x80;
        b[3] = (unsigned char)((b[3] & 0xf0) | num(a, 0, 0));
        sendto(fd, b, (size_t)n, 0, (struct sockaddr *)&from, len);
    }
}

/* dns TYPE COUNT NAME: "%" in the name is the number of the question, "#" a label that a program made up */
static int act_dns(char **a)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in s = addr("127.0.0.1", 53, 0);
    struct timeval t = {0, 300000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    (void)!connect(fd, (struct sockaddr *)&s, sizeof s);
    for (long i = 0; i < num(a, 1, 1); i++) {
        char name[256] = "";
        unsigned char b[600] = {(unsigned char)i, 7, 1, 0, 0, 1}, answer[600];
        size_t n = 12;
        for (const char *p = a[2]; *p; p++) {
            size_t k = strlen(name);
            if (*p == '%')
                snprintf(name + k, sizeof name - k, "%c%c", (char)('a' + i / 10), (char)('a' + i % 10));
            else if (*p == '#')
                snprintf(name + k, sizeof name - k, "x%ldqzkt%ldwvb%ldhgf%ldmn", i * 7 % 10, i % 10, i * 3 % 10, i / 10);
            else
                snprintf(name + k, sizeof name - k, "%c", *p);
        }
        for (char *save = NULL, *label = strtok_r(name, ".", &save); label; label = strtok_r(NULL, ".", &save)) {
            b[n++] = (unsigned char)strlen(label);
            memcpy(b + n, label, strlen(label));
            n += strlen(label);
        }
        n++;
        b[n + 1] = (unsigned char)num(a, 0, 1);
        b[n + 3] = 1;
        for (int tries = 0; tries < 10; tries++) { /* until the server of the test is there */
            (void)!send(fd, b, n + 4, 0);
            if (recv(fd, answer, sizeof answer, 0) > 0)
                break;
            pause_ms(20);
        }
    }
    return 0;
}

/* ---- rates ---- */

static void once_every(long per_second, long ms, void (*fn)(void *), void *ctx)
{
    struct timespec t0, t;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    for (long done = 0;;) {
        clock_gettime(CLOCK_MONOTONIC, &t);
        long past = (t.tv_sec - t0.tv_sec) * 1000 + (t.tv_nsec - t0.tv_nsec) / 1000000;
        if (past >= ms)
            return;
        for (; done < per_second * past / 1000; done++)
            fn(ctx);
        pause_ms(5);
    }
}
static void syn(void *ctx) { close(connected("127.0.0.1", *(long *)ctx, 0, SOCK_NONBLOCK)); }
static void whole(void *ctx) { close(connected("127.0.0.1", *(long *)ctx, 0, 0)); }
static int rate_fd;
static struct sockaddr_in rate_to;
static void datagram(void *ctx) { sendto(rate_fd, ctx, 16, 0, (struct sockaddr *)&rate_to, sizeof rate_to); }

static void big(void *ctx)
{
    static const char zeros[8000];
    (void)ctx;
    sendto(rate_fd, zeros, sizeof zeros, 0, (struct sockaddr *)&rate_to, sizeof rate_to);
}

/* A SYN whose answer nobody waits for, from 127.0.0.2. */
static void half(void *ctx)
{
    static uint16_t from = 1024;
    uint16_t port = (uint16_t) * (long *)ctx;
    unsigned char b[40] = {0x45, 0, 0, 40, 0, 0, 0, 0, 64, IPPROTO_TCP, 0, 0, 127, 0, 0, 2, 127, 0, 0, 1}, *tcp = b + 20;
    unsigned sum = IPPROTO_TCP + 20;
    from++;
    tcp[0] = (unsigned char)(from >> 8);
    tcp[1] = (unsigned char)from;
    tcp[2] = (unsigned char)(port >> 8);
    tcp[3] = (unsigned char)port;
    tcp[12] = 5 << 4;
    tcp[13] = 2;
    tcp[14] = 16;
    for (int i = 12; i < 40; i += 2)
        sum += (unsigned)(b[i] << 8 | b[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~(sum + (sum >> 16));
    tcp[16] = (unsigned char)(sum >> 8);
    tcp[17] = (unsigned char)sum;
    sendto(rate_fd, b, sizeof b, 0, (struct sockaddr *)&rate_to, sizeof rate_to);
}

/* flood syn|half|tcp|udp|icmp PORT PER_SECOND MS, all to 127.0.0.1 */
static int act_flood(char **a)
{
    long port = num(a, 1, 1), n = num(a, 2, 1), ms = num(a, 3, 1000);
    char b[16] = {ICMP_ECHO};
    rate_to = addr("127.0.0.1", port, 0);
    if (!strcmp(a[0], "syn"))
        once_every(n, ms, syn, &port);
    else if (!strcmp(a[0], "half")) {
        rate_fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
        once_every(n, ms, half, &port);
    } else if (!strcmp(a[0], "tcp"))
        once_every(n, ms, whole, &port);
    else {
        rate_fd = !strcmp(a[0], "udp") ? socket(AF_INET, SOCK_DGRAM, 0) : socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
        once_every(n, ms, datagram, b);
    }
    return 0;
}

/* ---- calls ---- */

static int act_ptrace(char **a)
{
    pid_t pid = (pid_t)num(a, 0, 1);
    if (ptrace(PTRACE_ATTACH, pid, NULL, NULL))
        return 1;
    waitpid(pid, NULL, __WALL);
    return (int)ptrace(PTRACE_DETACH, pid, NULL, NULL);
}
static int act_trace_child(char **a)
{
    pid_t pid = fork();
    if (pid == 0) {
        pause_ms(500);
        _exit(0);
    }
    char text[16];
    snprintf(text, sizeof text, "%d", pid);
    (void)a;
    return act_ptrace((char *[]){text, NULL});
}
static int act_packet(char **a) { (void)a; return socket(AF_PACKET, SOCK_RAW, 0) < 0; }
static int act_mount(char **a) { return mount(a[0], a[1], a[2], 0, NULL) ? 1 : 0; }
static int act_setns(char **a) { (void)a; return setns(open("/proc/self/ns/uts", O_RDONLY), 0); }
/* unshare [user]: a name of the machine of its own; or a user namespace with mounts of its own, in which it is root */
static int act_unshare(char **a) { return unshare(a[0] ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWUTS); }
/* mknod [PATH MAJOR MINOR]: a character device */
static int act_mknod(char **a) { return mknod(a[0] ? a[0] : "/tmp/null", S_IFCHR | 0600, makedev((unsigned)num(a, 1, 1), (unsigned)num(a, 2, 3))); }
static int act_fifo(char **a) { (void)a; return mknod("/tmp/fifo", S_IFIFO | 0600, 0); }
static int act_uffd(char **a) { (void)a; return syscall(SYS_userfaultfd, 0) < 0; }
static int act_name(char **a)
{
    prctl(PR_SET_NAME, a[0]);
    pause_ms(50);
    return 0;
}
static int act_bpf(char **a)
{
    struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0}, {.code = BPF_JMP | BPF_EXIT}};
    union bpf_attr load = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insns = (uint64_t)(uintptr_t)code, .insn_cnt = 2, .license = (uint64_t)(uintptr_t)"GPL"};
    struct bpf_insn writer[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 10}, {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = -8},
            {.code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = 10, .off = -8}, {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = 0}, {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = 8},
            {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_probe_write_user}, {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0}, {.code = BPF_JMP | BPF_EXIT}};
    union bpf_attr write = {.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT, .insns = (uint64_t)(uintptr_t)writer, .insn_cnt = 8, .license = (uint64_t)(uintptr_t)"GPL"};
    if (a[0] && !strcmp(a[0], "write"))
        return syscall(SYS_bpf, BPF_PROG_LOAD, &write, sizeof write) < 0;
    union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    return a[0] ? syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map) < 0 : syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load) < 0;
}
static int act_perf(char **a)
{
    struct perf_event_attr p = {.type = PERF_TYPE_SOFTWARE, .size = sizeof p, .config = PERF_COUNT_SW_CPU_CLOCK};
    (void)a;
    return syscall(SYS_perf_event_open, &p, -1, 0, -1, 0) < 0;
}
static int act_ring(char **a)
{
    struct io_uring_params p = {0};
    (void)a;
    return syscall(SYS_io_uring_setup, 4, &p) < 0;
}
static int act_handle(char **a)
{
    struct {
        struct file_handle h;
        char more[128];
    } f = {.h = {.handle_bytes = 128}};
    int id;
    (void)!name_to_handle_at(AT_FDCWD, a[0], &f.h, &id, 0);
    return open_by_handle_at(open("/", O_RDONLY), &f.h, O_RDONLY) < 0;
}
static int act_traceme(char **a) { (void)a; return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL); }

/* nameless PROGRAM: starts it without any argument */
static int act_nameless(char **a)
{
    execve(a[0], (char *[]){NULL}, (char *[]){NULL});
    return 1;
}

/* reopen FILE: writes into it through /proc/self/fd, where it was opened for no use at all */
static int act_reopen(char **a)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", open(a[0], O_PATH));
    int fd = open(path, O_WRONLY);
    return write(fd, "x", 1) != 1;
}

/* open FILE [w|r [MS]]: for reading, or for writing without writing; after a while */
static int act_open(char **a)
{
    pause_ms(num(a, 2, 0));
    int fd = open(a[0], a[1] && *a[1] == 'w' ? O_WRONLY : O_RDONLY);
    pause_ms(20);
    return close(fd) != 0;
}

/* leak FILE ADDRESS PORT: opens the file, then speaks to another machine */
static int act_leak(char **a)
{
    int fd = open(a[0], O_RDONLY);
    pause_ms(1000); /* files are told of after what happens at the same time */
    close(connected(a[1], num(a, 2, 1), 0, 0));
    return fd < 0;
}

/* swapon: asks for the host's swap to be a file that is none */
static int act_swapon(char **a) { (void)a; return (int)syscall(SYS_swapon, "/etc/motd", 0) != -1; }

/* spy TTY: reads from a terminal, from a session that has none */
static int act_spy(char **a)
{
    setsid();
    int fd = open(a[0], O_RDONLY | O_NOCTTY | O_NONBLOCK);
    pause_ms(50);
    return close(fd) != 0;
}

/* ask keys|make|raw PATH: of a device which keys are down; to be a keyboard; of a disk what it is.  What the driver says to it does not matter. */
static int act_ask(char **a)
{
    unsigned char keys[KEY_MAX / 8 + 1], answer[96], inquiry[6] = {0x12, 0, 0, 0, sizeof answer, 0};
    struct sg_io_hdr raw = {.interface_id = 'S', .dxfer_direction = SG_DXFER_FROM_DEV, .cmd_len = sizeof inquiry, .cmdp = inquiry, .dxfer_len = sizeof answer, .dxferp = answer, .timeout = 1000};
    int fd = open(a[1], O_RDONLY);
    if (fd < 0)
        return 77;
    if (!strcmp(a[0], "keys"))
        ioctl(fd, EVIOCGKEY(sizeof keys), keys);
    else if (!strcmp(a[0], "make"))
        ioctl(fd, UI_DEV_CREATE);
    else
        ioctl(fd, SG_IO, &raw);
    pause_ms(50);
    return 0;
}

/* regain: gives up root but for the capability to take it back, and takes it back */
static int act_regain(char **a)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[2] = {{.effective = 1u << 7, .permitted = 1u << 7}};
    (void)a;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setgid(1000) || setuid(1000) || syscall(SYS_capset, &h, caps))
        return 1;
    prctl(PR_SET_NAME, "regain"); /* a word of the process as it is now */
    return setuid(0);
}

/* udp ADDRESS PORT [N] */
static int act_udp(char **a)
{
    struct sockaddr_in s = addr(a[0], num(a, 1, 1), 0);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    for (long i = 0; i < num(a, 2, 1); i++)
        (void)!sendto(fd, "hello", 5, 0, (struct sockaddr *)&s, sizeof s);
    return 0;
}

static char heap[65536];

/* pour ADDRESS PORT MB: sends so much through one connection */
static int act_pour(char **a)
{
    int fd = reached(a[0], num(a, 1, 1));
    for (size_t left = (size_t)num(a, 2, 1) << 20; left;) {
        ssize_t n = write(fd, heap, left < sizeof heap ? left : sizeof heap);
        if (n <= 0)
            return 1;
        left -= (size_t)n;
    }
    return close(fd);
}

/* swallow PORT MS: takes connections and all that comes */
static _Noreturn int act_swallow(char **a)
{
    int fd = listening(num(a, 0, 1));
    alarm((unsigned)(num(a, 1, 3000) / 1000 + 1));
    signal(SIGALRM, _exit);
    for (;;) {
        int c = accept(fd, NULL, NULL);
        while (read(c, heap, sizeof heap) > 0)
            ;
        close(c);
    }
}

/* answer PORT MS TEXT: reads once, says the text, closes */
static _Noreturn int act_answer(char **a)
{
    int fd = listening(num(a, 0, 1));
    alarm((unsigned)(num(a, 1, 3000) / 1000 + 1));
    signal(SIGALRM, _exit);
    for (;;) {
        int c = accept(fd, NULL, NULL);
        (void)!read(c, heap, sizeof heap);
        (void)!write(c, a[2], strlen(a[2]));
        (void)!write(c, "\r\n", 2);
        close(c);
    }
}

/* zeros PORT MS: answers as a PostgreSQL does that asks for no password */
static _Noreturn int act_zeros(char **a)
{
    int fd = listening(num(a, 0, 1));
    alarm((unsigned)(num(a, 1, 3000) / 1000 + 1));
    signal(SIGALRM, _exit);
    for (;;) {
        int c = accept(fd, NULL, NULL);
        (void)!read(c, heap, sizeof heap);
        (void)!write(c, "R\0\0\0\10\0\0\0\0", 9);
        close(c);
    }
}

/* spray PORT KB_PER_SECOND MS: datagrams of 8,000 bytes to 127.0.0.1, where nobody takes them */
static int act_spray(char **a)
{
    rate_to = addr("127.0.0.1", num(a, 0, 1), 0);
    rate_fd = socket(AF_INET, SOCK_DGRAM, 0);
    once_every(num(a, 1, 1) / 8, num(a, 2, 1), big, NULL);
    return 0;
}

/* ring-connect ADDRESS PORT: through io_uring (IORING_OP_CONNECT) */
static int act_ring_connect(char **a)
{
    struct sockaddr_in s = addr(a[0], num(a, 1, 1), 0);
    struct io_uring_params p = {0};
    int ring = (int)syscall(SYS_io_uring_setup, 2, &p), fd = socket(AF_INET, SOCK_STREAM, 0);
    if (ring < 0)
        return 77;
    char *sq = mmap(NULL, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *sqe = mmap(NULL, p.sq_entries * sizeof *sqe, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
    if (sq == MAP_FAILED || sqe == MAP_FAILED)
        return 1;
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = IORING_OP_CONNECT;
    sqe->fd = fd;
    sqe->addr = (unsigned long)&s;
    sqe->off = sizeof s;
    ((unsigned *)(void *)(sq + p.sq_off.array))[0] = 0;
    __atomic_store_n((unsigned *)(void *)(sq + p.sq_off.tail), 1, __ATOMIC_RELEASE);
    return syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1;
}

/* reuse PROGRAM... : starts the program, and when it has ended takes its process number for a child that reads /etc/shadow */
static int act_reuse(char **a)
{
    pid_t pid = child_of(a), want = pid;
    waitpid(pid, NULL, 0);
    for (int tries = 0; tries < 100; tries++) {
        struct clone_args c = {.exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&want, .set_tid_size = 1};
        pid = (pid_t)syscall(SYS_clone3, &c, sizeof c);
        if (pid == 0)
            _exit(open("/etc/shadow", O_RDONLY) < 0);
        if (pid > 0)
            break;
        if (errno != EEXIST)
            return errno == EPERM || errno == ENOSYS ? 77 : 1;
        pause_ms(10); /* its entry is not quite gone */
    }
    int status = 1;
    waitpid(pid, &status, 0);
    return pid != want || status;
}

/* nest PROGRAM... : in a control group and namespaces of its own below those of the container, as a container in a container is */
static int act_nest(char **a)
{
    char path[256], text[16];
    const char *const trees[] = {"/sys/fs/cgroup/unified/nested", "/sys/fs/cgroup/nested", "/sys/fs/cgroup/pids/nested", "/sys/fs/cgroup/memory/nested", "/sys/fs/cgroup/cpu/nested"};
    snprintf(text, sizeof text, "%d", getpid());
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++) {
        (void)!mkdir(trees[i], 0755);
        snprintf(path, sizeof path, "%s/cgroup.procs", trees[i]);
        int fd = open(path, O_WRONLY);
        (void)!write(fd, text, strlen(text));
        close(fd);
    }
    if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC))
        return 77;
    child_of(a);
    int status = 1;
    wait(&status);
    return status;
}

/* terminal own|other: a session with a terminal of its own; its program, or one of another session, opens it by name */
static int act_terminal(char **a)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY), status = 1;
    if (master < 0 || grantpt(master) || unlockpt(master))
        return 77;
    const char *name = ptsname(master);
    int own = !strcmp(a[0], "own");
    pid_t session = fork();
    if (!session) {
        setsid();
        int fd = open(name, O_RDWR);
        usleep(300000);
        _exit(fd < 0 || (own && open(name, O_RDONLY) < 0));
    }
    usleep(150000);
    if (!own && open(name, O_RDONLY | O_NOCTTY) < 0)
        return 1;
    waitpid(session, &status, 0);
    return status;
}

static int act_unix(char **a)
{
    struct sockaddr_un s = {.sun_family = AF_UNIX};
    snprintf(s.sun_path, sizeof s.sun_path, "%s", a[0]);
    return connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&s, sizeof s) != 0;
}

static const struct {
    const char *name;
    int (*fn)(char **);
} acts[] = {{"true", act_true}, {"sleep", act_sleep}, {"exit", act_exit}, {"listen", act_listen}, {"drain", act_drain}, {"connect", act_connect}, {"sweep", act_sweep},
        {"ports", act_ports}, {"say", act_say}, {"onsocket", act_onsocket}, {"onunix", act_onunix}, {"below", act_below}, {"serve", act_serve}, {"after", act_after},
        {"memfd", act_memfd}, {"mem", act_mem}, {"as", act_as}, {"fail", act_fail}, {"dnsd", act_dnsd}, {"dns", act_dns}, {"flood", act_flood}, {"ptrace", act_ptrace}, {"trace-child", act_trace_child},
        {"packet", act_packet}, {"mount", act_mount}, {"setns", act_setns}, {"unshare", act_unshare}, {"mknod", act_mknod}, {"fifo", act_fifo}, {"uffd", act_uffd},
        {"name", act_name}, {"bpf", act_bpf}, {"perf", act_perf}, {"ring", act_ring}, {"handle", act_handle}, {"traceme", act_traceme}, {"nameless", act_nameless}, {"reopen", act_reopen}, {"open", act_open}, {"regain", act_regain}, {"leak", act_leak}, {"swapon", act_swapon}, {"spy", act_spy}, {"ask", act_ask}, {"udp", act_udp}, {"ring-connect", act_ring_connect},
        {"pour", act_pour}, {"swallow", act_swallow}, {"answer", act_answer}, {"zeros", act_zeros}, {"spray", act_spray}, {"reuse", act_reuse}, {"nest", act_nest}, {"unix", act_unix}, {"terminal", act_terminal}, {"run", act_run}, {"put", act_put}};

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; argc > 1 && i < sizeof acts / sizeof *acts; i++)
        if (!strcmp(argv[1], acts[i].name))
            return acts[i].fn(argv + 2);
    return 64;
}
