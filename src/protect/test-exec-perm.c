// SPDX-License-Identifier: Apache-2.0
/* Programs that are refused do not run, whatever the way in: a small guard in a process of its own, a container made of an overlay, a control group
 * and a mount namespace.  Needs root; is skipped where the kernel allows no such programs. */
#include "protect/exec-perm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "sensor/containers/hierarchy.h"
#include "sensor/kernel.h"
#include "tap.h"

static unsigned tries_n = 1000; /* HF_TRIES: fewer, for emulated machines */
#define TRIES tries_n

/* write(1, text, 4); exit(0), and nothing else: what it prints is the first thing that it does. */
static size_t program(const char text[4], unsigned char *out)
{
    static const unsigned char code[] = {0xb8, 1, 0, 0, 0, 0xbf, 1, 0, 0, 0, 0x48, 0x8d, 0x35, 0x10, 0, 0, 0, 0xba, 4, 0, 0, 0, 0x0f, 0x05, 0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05};
    const uint64_t base = 0x400000, entry = 64 + 56;
    memset(out, 0, 256);
    memcpy(out, "\177ELF\2\1\1", 7);
    const uint16_t head16[] = {2, 62};
    const uint32_t one = 1;
    const uint64_t at[] = {base + entry, 64, 0};
    const uint16_t sizes[] = {64, 56, 1, 0, 0, 0};
    const uint32_t type_flags[] = {1, 5};
    const uint64_t load[] = {0, base, base, 256, 256, 4096};
    memcpy(out + 16, head16, 4);
    memcpy(out + 20, &one, 4);
    memcpy(out + 24, at, 24);
    memcpy(out + 52, sizes, 12);
    memcpy(out + 64, type_flags, 8);
    memcpy(out + 72, load, 48);
    memcpy(out + entry, code, sizeof code);
    memcpy(out + entry + sizeof code, text, 4);
    return 256;
}

struct shared {
    _Atomic uint64_t judged, refused[16], ready, closed, rung, lenient;
};
static struct shared *sh;
static char dir[] = "/tmp/hf-exec-perm-XXXXXX", group[512];
static uint64_t group_id;
static struct hf_hierarchy hierarchy;

/* ---- the guard ---- */

static uint64_t container_of(void *ctx, uint32_t pid)
{
    char path[64];
    hf_autobuf text = HF_BUF_INIT(65536);
    struct hf_err err = HF_ERR_INIT;
    struct hf_span where;
    (void)ctx;
    snprintf(path, sizeof path, "/proc/%u/cgroup", pid);
    if (hf_read_file(path, &text, &err) < 0 || !hf_hierarchy_path(&hierarchy, hf_buf_span(&text), &where))
        return 0;
    return hf_span_ends(where, hf_span_basename(hf_span_z(group))) ? group_id : 0;
}

/* What has "bad!" in it is bad. */
static void judge(void *ctx, const struct hf_perm_file *f, struct hf_perm_judged *ret)
{
    char b[4096];
    (void)ctx;
    sh->judged++;
    ssize_t n = pread(f->fd, b, sizeof b, 0);
    bool bad = n > 0 && hf_span_search(hf_span(b, (size_t)n), HF_S("bad!")) != SIZE_MAX;
    ret->answer = bad ? HF_PERM_DENY : HF_PERM_ALLOW;
    ret->keep = true;
    ret->verdict_bits = hf_span_ends(f->path, HF_S("busybox")) ? HF_GUARD_MANY : hf_span_ends(f->path, HF_S("/loader")) ? HF_GUARD_LOADER : 0;
}

static bool closed(void *ctx, uint64_t container)
{
    (void)ctx;
    (void)container;
    return sh->closed;
}

static void told(void *ctx, const struct hf_guard_told *t)
{
    sh->refused[t->why & 15]++;
    hf_exec_perm_told(ctx, t);
}

static int guard(bool is_closed, const char *pin)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_guard_kernel *k = NULL;
    struct hf_exec_perm *p = NULL;
    struct hf_guard_kernel_opts ko = {.hierarchy = hierarchy.id, .v1_subsys = hierarchy.unified ? -1 : hf_kernel_subsys(hierarchy.controller), .v2_root_fd = -1, .pin = pin};
    if (hf_guard_kernel_open(&k, &ko, &err) < 0) {
        printf("# %s\n", err.msg);
        fflush(stdout);
        return 77;
    }
    struct hf_exec_perm_opts po = {.kernel = k, .container_of = container_of, .judge = judge, .closed = closed};
    struct hf_guard_rule rule = {.container = group_id, .flags = HF_GUARD_EXEC | HF_GUARD_SHELLS | (sh->lenient ? 0 : HF_GUARD_STRICT) | (is_closed ? HF_GUARD_CLOSED : 0)};
    char root[512];
    sh->closed = is_closed;
    snprintf(root, sizeof root, "%s/root", dir);
    if (hf_exec_perm_new(&p, &po, &err) < 0 || hf_exec_perm_mark_overlay(p, root, rule.container) != 1 || hf_guard_kernel_rule(k, &rule, &err) < 0) {
        printf("# %s\n", err.msg);
        fflush(stdout);
        return 77;
    }
    sh->rung = hf_guard_kernel_exec_rung(k);
    sh->ready = 1;
    for (;;) {
        struct pollfd fds[] = {{hf_exec_perm_fd(p), POLLIN, 0}, {hf_exec_perm_timer(p), POLLIN, 0}, {hf_guard_kernel_fd(k), POLLIN, 0}};
        poll(fds, 3, 1000);
        if (fds[0].revents)
            hf_exec_perm_ready(p);
        if (fds[1].revents)
            hf_exec_perm_again(p);
        if (fds[2].revents)
            hf_guard_kernel_told(k, told, p);
        if (sh->ready == 2) {
            hf_exec_perm_free(p);
            hf_guard_kernel_close(k);
            return 0;
        }
    }
}

static pid_t start(bool is_closed, const char *pin)
{
    sh->ready = 0;
    pid_t pid = fork();
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(guard(is_closed, pin));
    }
    for (int i = 0; i < 6000 && sh->ready != 1; i++) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return -1;
        usleep(10000);
    }
    return pid;
}

/* ---- the container ---- */

enum how { BY_PATH, BY_MEMFD, BY_TMPFS };

/* Runs a program in the container; what it printed.  *status as of waitpid, or 1000 + errno of the exec. */
static size_t run(enum how how, const char *path, char *const argv[], const char *content, char out[64], int *status)
{
    int pipes[2], failed[2];
    if (pipe2(pipes, O_CLOEXEC) < 0 || pipe2(failed, O_CLOEXEC) < 0)
        abort();
    pid_t pid = fork();
    if (!pid) {
        char procs[600];
        unsigned char elf[256];
        size_t n = program(content, elf);
        int e = 0;
        snprintf(procs, sizeof procs, "%s/cgroup.procs", group);
        int fd = open(procs, O_WRONLY);
        if (fd < 0 || write(fd, "0", 1) != 1 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
            _exit(99);
        char root[512];
        snprintf(root, sizeof root, "%s/root", dir);
        if (how == BY_TMPFS) {
            strncat(root, "/tmp", 8);
            if (mount("none", root, "tmpfs", 0, NULL) < 0)
                _exit(98);
            root[strlen(root) - 4] = 0;
        }
        if (chroot(root) < 0 || chdir("/") < 0)
            _exit(97);
        dup2(pipes[1], 1);
        if (how == BY_PATH) {
            execve(path, argv, NULL);
            e = errno;
        } else {
            int file = how == BY_MEMFD ? (int)syscall(SYS_memfd_create, "x", 0) : open("/tmp/x", O_CREAT | O_RDWR, 0755);
            if (write(file, elf, n) != (ssize_t)n)
                _exit(96);
            if (how == BY_TMPFS) {
                close(file);
                execve("/tmp/x", argv, NULL);
            } else {
                syscall(SYS_execveat, file, "", argv, NULL, AT_EMPTY_PATH);
            }
            e = errno;
        }
        (void)!write(failed[1], &e, sizeof e);
        _exit(0);
    }
    close(pipes[1]);
    close(failed[1]);
    ssize_t got = read(pipes[0], out, 63);
    int e = 0;
    bool exec_failed = read(failed[0], &e, sizeof e) == sizeof e;
    waitpid(pid, status, 0);
    if (exec_failed)
        *status = 1000 + e;
    close(pipes[0]);
    close(failed[0]);
    out[got > 0 ? got : 0] = 0;
    return got > 0 ? (size_t)got : 0;
}

static void put(const char *path, const char *content)
{
    unsigned char elf[256];
    char whole[600];
    snprintf(whole, sizeof whole, "%s/%s", dir, path);
    size_t n = program(content, elf);
    int fd = open(whole, O_CREAT | O_WRONLY | O_TRUNC, 0755);
    if (fd < 0 || write(fd, elf, n) != (ssize_t)n)
        abort();
    close(fd);
}

static bool make(void)
{
    char opts[1600], path[600];
    static const char *const subs[] = {"lower", "upper", "work", "root", "lower/bin", "lower/tmp"};
    if (!mkdtemp(dir))
        return false;
    for (size_t i = 0; i < HF_ARRAY_LEN(subs); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, subs[i]);
        mkdir(path, 0755);
    }
    put("lower/bin/good", "good");
    put("lower/bin/bad", "bad!");
    put("lower/bin/mapped", "good");
    put("lower/bin/race", "good");
    put("lower/bin/busybox", "good");
    put("lower/bin/loader", "good");
    snprintf(opts, sizeof opts, "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", dir, dir, dir);
    snprintf(path, sizeof path, "%s/root", dir);
    struct stat st;
    snprintf(group, sizeof group, "%s/hf-exec-perm-%d", hierarchy.mount, getpid());
    if (mount("overlay", path, "overlay", 0, opts) < 0 || mkdir(group, 0755) < 0 || stat(group, &st) < 0)
        return false;
    if (!strcmp(hierarchy.controller, "cpuset")) /* its groups take nobody before they have both */
        return false;
    group_id = st.st_ino;
    return true;
}

static void unmake(void)
{
    char path[600];
    snprintf(path, sizeof path, "%s/root", dir);
    umount2(path, MNT_DETACH);
    rmdir(group);
    pid_t pid = fork();
    if (!pid) {
        execl("/bin/rm", "rm", "-rf", dir, NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
}

/* ---- what must hold ---- */

static bool stopped(int status)
{
    return status == 1000 + EPERM || (status < 1000 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* So often: it prints nothing, and is stopped. */
static unsigned never(enum how how, const char *path, char *const argv[], unsigned tries)
{
    unsigned held = 0;
    for (unsigned i = 0; i < tries; i++) {
        char out[64];
        int status;
        size_t n = run(how, path, argv, "bad!", out, &status);
        held += n == 0 && stopped(status);
        if (n || !stopped(status))
            printf("# try %u: printed \"%s\", status %d\n", i, out, status);
    }
    return held;
}

static bool runs(const char *path, char *const argv[])
{
    char out[64];
    int status;
    size_t n = run(BY_PATH, path, argv, "good", out, &status);
    if (n != 4 || memcmp(out, "good", 4) != 0)
        printf("# printed \"%s\", status %d\n", out, status);
    return n == 4 && !memcmp(out, "good", 4) && status == 0;
}

static char *const x_args[] = {(char[]){"x"}, NULL};


static void settled(_Atomic uint64_t *counter, uint64_t want)
{
    for (int i = 0; i < 200 && *counter < want; i++)
        usleep(10000);
}

static void refused_is_never_run(void)
{
    OK(runs("/bin/good", x_args));
    uint64_t judged = sh->judged;
    for (int i = 0; i < 100; i++)
        if (!runs("/bin/good", x_args))
            OK(!"a judged program runs");
    EQ_U(sh->judged, judged); /* once */
    EQ_U(never(BY_PATH, "/bin/bad", x_args, TRIES), TRIES);
    EQ_U(never(BY_MEMFD, NULL, x_args, TRIES), TRIES);
    EQ_U(never(BY_TMPFS, NULL, x_args, TRIES), TRIES);
    settled(&sh->refused[HF_GUARD_WHY_MEMORY], TRIES);
    EQ_U(sh->refused[HF_GUARD_WHY_MEMORY], TRIES);
    settled(&sh->refused[HF_GUARD_WHY_UNJUDGED], TRIES);
    EQ_U(sh->refused[HF_GUARD_WHY_UNJUDGED], TRIES);
}

static void names(void)
{
    char *const shell[] = {(char[]){"-sh"}, NULL}, *const applet[] = {(char[]){"/bin/busybox"}, (char[]){"ash"}, NULL}, *const fine[] = {(char[]){"ls"}, (char[]){"sh"}, NULL}, *const long_name[] = {(char[]){"/a/very/long/name/of/a/program/that/goes/on/and/on/bash"}, NULL};
    OK(runs("/bin/busybox", fine));
    EQ_U(never(BY_PATH, "/bin/busybox", shell, 100), 100);
    EQ_U(never(BY_PATH, "/bin/busybox", applet, 100), 100);
    EQ_U(never(BY_PATH, "/bin/busybox", long_name, 1), 1);
    EQ_U(never(BY_PATH, "/bin/loader", x_args, 100), 100);
    settled(&sh->refused[HF_GUARD_WHY_LOADER], 100);
    EQ_U(sh->refused[HF_GUARD_WHY_NAME], 201);
    EQ_U(sh->refused[HF_GUARD_WHY_LOADER], 100);
}

static void changed_after_it_was_judged(void)
{
    char path[600], out[64];
    int status;
    OK(runs("/bin/mapped", x_args));
    snprintf(path, sizeof path, "%s/root/bin/mapped", dir);
    int fd = open(path, O_RDWR); /* copies it up */
    char *m = mmap(NULL, 256, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    OK(m != MAP_FAILED);
    memcpy(m + 64 + 56 + 33, "bad!", 4);
    munmap(m, 256);
    close(fd);
    EQ_U(run(BY_PATH, "/bin/mapped", x_args, "none", out, &status), 0); /* the ignore mark is still there: no event is made of a mapping */
    OK(stopped(status));
    settled(&sh->refused[HF_GUARD_WHY_STALE], 1);
    EQ_U(run(BY_PATH, "/bin/mapped", x_args, "none", out, &status), 0); /* it is looked at again, and is bad */
    EQ_U(sh->refused[HF_GUARD_WHY_STALE], 1);
    put("root/bin/mapped", "good"); /* a write: the mark goes */
    OK(runs("/bin/mapped", x_args));
    put("root/bin/mapped", "bad!");
    EQ_U(never(BY_PATH, "/bin/mapped", x_args, 10), 10);
    snprintf(path, sizeof path, "%s/root/bin/good2", dir); /* another name of an allowed file, then of a bad one */
    char old[600];
    snprintf(old, sizeof old, "%s/root/bin/mapped", dir);
    OK(link(old, path) == 0);
    EQ_U(never(BY_PATH, "/bin/good2", x_args, 10), 10);
}

/* A change of its mode is one too: the next start looks again, and finds the same content. */
static void mode_changes(void)
{
    char path[600], out[64];
    int status;
    snprintf(path, sizeof path, "%s/root/bin/good", dir);
    OK(runs("/bin/good", x_args));
    uint64_t judged = sh->judged, stale = sh->refused[HF_GUARD_WHY_STALE];
    OK(chmod(path, 0711) == 0);
    EQ_U(run(BY_PATH, "/bin/good", x_args, "none", out, &status), 0);
    settled(&sh->refused[HF_GUARD_WHY_STALE], stale + 1);
    OK(runs("/bin/good", x_args));
    EQ_U(sh->judged, judged + 1);
}

/* Somebody writes the file, good and bad in turn, while it is started again and again: the bad one never prints. */
static void writer_races(void)
{
    unsigned printed_good = 0, printed_bad = 0;
    pid_t writer = fork();
    if (!writer) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        char path[600];
        snprintf(path, sizeof path, "%s/root/bin/race", dir);
        for (unsigned i = 0;; i++) {
            int fd = open(path, O_WRONLY | O_NONBLOCK);
            if (fd >= 0 && pwrite(fd, i % 2 ? "good" : "bad!", 4, 64 + 56 + 33) < 0)
                _exit(1);
            if (fd >= 0)
                close(fd);
            usleep(i * 7919 % 40000); /* sometimes left alone long enough to be judged */
        }
    }
    for (unsigned i = 0; i < 400; i++) {
        char out[64];
        int status;
        size_t n = run(BY_PATH, "/bin/race", x_args, "none", out, &status);
        printed_good += n == 4 && !memcmp(out, "good", 4);
        printed_bad += n == 4 && !memcmp(out, "bad!", 4);
    }
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    EQ_U(printed_bad, 0);
    printf("# %u of 400 starts came through as the good one\n", printed_good);
}

static void killed(bool is_closed)
{
    char pin[600];
    snprintf(pin, sizeof pin, "%s/pin", dir);
    pid_t pid = start(is_closed, pin);
    OK(pid > 0);
    OK(runs("/bin/good", x_args));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    char out[64];
    int status;
    OK(runs("/bin/good", x_args)); /* judged, and as it was */
    size_t n = run(BY_PATH, "/bin/race", x_args, "none", out, &status); /* nobody judged this one */
    if (is_closed)
        OK(n == 0 && stopped(status));
    else
        OK(n == 4);
    EQ_U(never(BY_PATH, "/bin/bad", x_args, is_closed ? 100 : 0), is_closed ? 100 : 0);
    hf_guard_kernel_unpin(pin);
    umount2(pin, MNT_DETACH);
    n = 0;
    for (int i = 0; i < 100 && !n; i++) { /* links go away in the background */
        n = run(BY_PATH, "/bin/bad", x_args, "none", out, &status);
        usleep(10000);
    }
    EQ_U(n, 4); /* nothing is left behind */
}

/* A rule that restricts by name alone: what nobody judged starts, what was denied does not. */
static void by_name_alone(void)
{
    char out[64], path[600];
    int status;
    char *const shell[] = {(char[]){"sh"}, NULL};
    sh->lenient = 1;
    pid_t pid = start(false, NULL);
    OK(pid > 0);
    EQ_U(run(BY_MEMFD, NULL, x_args, "good", out, &status), 4);
    EQ_U(run(BY_TMPFS, NULL, x_args, "good", out, &status), 4);
    EQ_U(never(BY_PATH, "/bin/bad", x_args, 20), 20);
    EQ_U(never(BY_PATH, "/bin/busybox", shell, 20), 20);
    OK(runs("/bin/good", x_args));
    snprintf(path, sizeof path, "%s/root/bin/good", dir);
    uint64_t judged = sh->judged, stale = sh->refused[HF_GUARD_WHY_STALE];
    OK(chmod(path, 0755) == 0 && runs("/bin/good", x_args)); /* let go, and judged again the next time */
    settled(&sh->refused[HF_GUARD_WHY_STALE], stale + 1);
    OK(runs("/bin/good", x_args));
    EQ_U(sh->judged, judged + 1);
    sh->ready = 2;
    waitpid(pid, NULL, 0);
    sh->lenient = 0;
}

int main(void)
{
    struct hf_err err = HF_ERR_INIT;
    const char *fewer = getenv("HF_TRIES");
    uint64_t n;
    if (fewer && hf_parse_u64(hf_span_z(fewer), 10, 1, 1000, &n) == 0)
        tries_n = (unsigned)n;
    if (geteuid() != 0 || hf_hierarchy_find(&hierarchy, &err) < 0) {
        printf("1..0 # SKIP needs root and control groups\n");
        return 0;
    }
    sh = mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (sh == MAP_FAILED || !make()) {
        printf("1..0 # SKIP no overlay or control group can be made here: %s\n", strerror(errno));
        unmake();
        return 0;
    }
    pid_t pid = start(true, NULL);
    if (pid < 0) {
        printf("1..0 # SKIP this kernel takes no such programs\n");
        unmake();
        return 0;
    }
    printf("# refused by rung %" PRIu64 "\n", (uint64_t)sh->rung);
    refused_is_never_run();
    names();
    changed_after_it_was_judged();
    mode_changes();
    writer_races();
    sh->ready = 2;
    waitpid(pid, NULL, 0);
    by_name_alone();
    killed(false);
    killed(true);
    unmake();
    return tap_done();
}
