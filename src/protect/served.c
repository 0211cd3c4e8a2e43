// SPDX-License-Identifier: Apache-2.0
#include "protect/served.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "guard/slow.h"
#include "sensor/frames.h"

#define MOUNTS_MAX 64u
#define TEXT_MAX (1u << 20)

struct question { /* from a child */
    struct hf_guard_key key;
    uint64_t ctime_ns;
    uint32_t pid, path_n;
    char path[PATH_MAX];
};
struct served {
    uint64_t container; /* 0: free, or kept for a child that does not end */
    uint32_t of_pid;    /* whose mounts it looks at */
    pid_t child;        /* 0: there is none; with fd -1 it was killed, which ends it when the server lets it */
    int fan, fd;        /* its questions, which are its own to read; to it */
    _Atomic uint64_t *busy_ns; /* shared with it: since when it is at something that the server may keep it from; 0: it waits for us or for work */
    uint64_t ended_ns;
};
struct hf_served_set {
    struct hf_exec_perm_opts o;
    struct hf_guard *g;
    void (*tell)(void *ctx, uint64_t container, const char *what);
    struct served all[HF_SERVED_CHILDREN];
};

/* ---- the child ---- */

static void let(int fan, int fd, bool allow)
{
    struct fanotify_response r = {.fd = fd, .response = allow ? FAN_ALLOW : FAN_DENY};
    while (write(fan, &r, sizeof r) < 0 && errno == EINTR)
        ;
}

/* All mounts of such file systems, and what is only reached through one: if that hangs, it is this child that does. */
static unsigned mark_all(int fan, uint32_t pid)
{
    char path[64];
    hf_autobuf text = HF_BUF_INIT(TEXT_MAX), point = HF_BUF_INIT(PATH_MAX);
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_mount m;
    unsigned marked = 0;
    snprintf(path, sizeof path, "/proc/%u/root", pid);
    hf_autoclose int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%u/mountinfo", pid);
    if (root < 0 || hf_read_file(path, &text, &ignored) < 0)
        return 0;
    for (struct hf_mounts all = {.rest = hf_buf_span(&text)}; marked < MOUNTS_MAX && hf_mounts_next(&all, &m);) {
        if (!m.below || m.noexec)
            continue;
        hf_buf_clear(&point);
        hf_mountinfo_field(m.point, &point);
        hf_autoclose int fd = hf_buf_ok(&point) ? hf_open_in_root(root, hf_buf_span(&point), O_PATH, &ignored) : -1;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        marked += fd >= 0 && fanotify_mark(fan, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN_EXEC_PERM, AT_FDCWD, path) == 0;
    }
    return marked;
}

/* One question to the guard, and its answer. */
static bool ask(int sock, uint32_t pid, int fd)
{
    static struct question q;
    struct hf_perm_file f = {.pid = pid};
    struct stat st;
    char link[64], may = 0;
    memset(&q, 0, offsetof(struct question, path));
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, q.path, sizeof q.path);
    if (n <= 0 || !hf_perm_identify(fd, pid, &f, &st) || !S_ISREG(st.st_mode))
        return false;
    q.key = f.key;
    q.ctime_ns = f.ctime_ns;
    q.pid = pid;
    q.path_n = (uint32_t)n;
    if (send(sock, &q, offsetof(struct question, path) + (size_t)n, MSG_NOSIGNAL) < 0)
        _exit(1);
    while ((n = recv(sock, &may, 1, 0)) < 0 && errno == EINTR)
        ;
    if (n != 1) /* the guard is gone: the kernel lets go who waits */
        _exit(1);
    return may;
}

static void child(int sock, int fan, uint32_t pid, _Atomic uint64_t *busy)
{
    int low = HF_MIN(sock, fan), high = HF_MAX(sock, fan);
    (void)prctl(PR_SET_NAME, "holdfast-served");
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* whoever waits in it goes on then */
    (void)syscall(SYS_close_range, 0u, (unsigned)low - 1, 0u); /* marks, programs and sockets of the guard */
    if (high - low > 1)
        (void)syscall(SYS_close_range, (unsigned)low + 1, (unsigned)high - 1, 0u);
    (void)syscall(SYS_close_range, (unsigned)high + 1, ~0u, 0u);
    if (!mark_all(fan, pid))
        _exit(1);
    for (;;) {
        struct pollfd p[2] = {{fan, POLLIN, 0}, {sock, POLLIN, 0}};
        *busy = 0;
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            _exit(1);
        if (p[1].revents)
            _exit(0);
        struct fanotify_event_metadata m; /* one at a time: with each its file is opened */
        *busy = hf_boot_ns();
        if (read(fan, &m, sizeof m) != (ssize_t)sizeof m || m.fd < 0)
            continue;
        bool may = ask(sock, (uint32_t)m.pid, m.fd);
        let(fan, m.fd, may);
        close(m.fd); /* may ask the server too */
    }
}

/* ---- the guard's side ---- */

static struct served *of_container(struct hf_served_set *s, uint64_t container)
{
    for (size_t i = 0; i < HF_SERVED_CHILDREN; i++)
        if (s->all[i].container == container)
            return &s->all[i];
    return NULL;
}

/* Its marks go at once, so that nobody asks it any more; it itself when the server lets it. */
static void end_child(struct hf_served_set *s, struct served *c)
{
    if (c->fan >= 0)
        (void)fanotify_mark(c->fan, FAN_MARK_FLUSH | FAN_MARK_MOUNT, 0, AT_FDCWD, "/");
    hf_closep(&c->fan);
    if (c->fd >= 0)
        hf_guard_unwatch(s->g, c->fd);
    hf_closep(&c->fd);
    if (c->child)
        (void)kill(c->child, SIGKILL);
    c->ended_ns = hf_boot_ns();
}

static void collect(struct served *c)
{
    if (!c->child || c->fd >= 0 || waitpid(c->child, NULL, WNOHANG) == 0)
        return;
    c->child = 0;
    c->ended_ns = hf_boot_ns();
}

/* From now on nobody judges what lies there: the policy decides. */
static void unserved(struct hf_served_set *s, struct served *c, const char *what)
{
    char text[160];
    bool closed = s->o.closed(s->o.ctx, c->container);
    end_child(s, c);
    hf_guard_kernel_unserved(s->o.kernel, c->container, !closed);
    snprintf(text, sizeof text, "%s; what lies there is %s until it can be judged again", what, closed ? "refused" : "let go");
    s->tell(s->o.ctx, c->container, text);
}

static void answer(void *ctx, struct hf_guard *g, int fd)
{
    struct hf_served_set *s = ctx;
    struct served *c = NULL;
    static struct question q;
    char may = 1;
    (void)g;
    for (size_t i = 0; i < HF_SERVED_CHILDREN && !c; i++)
        c = s->all[i].fd == fd ? &s->all[i] : NULL;
    if (!c)
        return;
    ssize_t n = recv(fd, &q, sizeof q, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < (ssize_t)offsetof(struct question, path) || q.path_n > sizeof q.path || (size_t)n != offsetof(struct question, path) + q.path_n) {
        unserved(s, c, "file systems of the container that somebody else serves (FUSE, NFS) cannot be watched");
        return;
    }
    uint64_t container = s->o.container_of(s->o.ctx, q.pid);
    if (container) {
        struct hf_perm_file f = {.container = container, .pid = q.pid, .fd = -1, .path = hf_span(q.path, q.path_n), .ctime_ns = q.ctime_ns, .key = q.key, .late = true};
        struct hf_perm_judged j = {.answer = HF_PERM_LATER};
        f.key.container = container;
        s->o.judge(s->o.ctx, &f, &j);
        may = j.answer == HF_PERM_ALLOW || (j.answer == HF_PERM_LATER && !s->o.closed(s->o.ctx, container));
        struct hf_guard_verdict v = {.ctime_ns = q.ctime_ns, .verdict = (may ? HF_GUARD_ALLOW : HF_GUARD_DENY) | j.verdict_bits, .clause = j.clause};
        if (j.keep && hf_guard_kernel_verdict(s->o.kernel, &f.key, &v) == -E2BIG) {
            hf_guard_kernel_flush_verdicts(s->o.kernel);
            (void)hf_guard_kernel_verdict(s->o.kernel, &f.key, &v);
        }
    }
    (void)!send(fd, &may, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool sees_any(uint32_t pid)
{
    char path[64];
    hf_autobuf text = HF_BUF_INIT(TEXT_MAX);
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_mount m;
    snprintf(path, sizeof path, "/proc/%u/mountinfo", pid);
    if (hf_read_file(path, &text, &ignored) < 0)
        return false;
    for (struct hf_mounts all = {.rest = hf_buf_span(&text)}; hf_mounts_next(&all, &m);)
        if (m.below && !m.noexec)
            return true;
    return false;
}

static void start(struct hf_served_set *s, struct served *c)
{
    int pair[2];
    struct hf_err err = HF_ERR_INIT;
    c->fan = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_MARKS | FAN_UNLIMITED_QUEUE, O_RDONLY | O_LARGEFILE | O_CLOEXEC);
    if (c->fan < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        unserved(s, c, "no descriptors for who asks for files on FUSE and NFS");
        return;
    }
    *c->busy_ns = hf_boot_ns(); /* marking may take as long as the server likes */
    pid_t pid = fork();
    if (pid == 0) {
        int sock = fcntl(pair[1], F_DUPFD_CLOEXEC, 3), fan = fcntl(c->fan, F_DUPFD_CLOEXEC, 3);
        if (sock < 0 || fan < 0)
            _exit(1);
        child(sock, fan, c->of_pid, c->busy_ns);
    }
    close(pair[1]);
    c->child = HF_MAX(pid, 0);
    c->fd = pair[0];
    if (pid < 0) {
        unserved(s, c, "no process for who asks for files on FUSE and NFS");
    } else if (hf_guard_watch(s->g, c->fd, answer, s, &err) < 0) {
        unserved(s, c, err.msg);
    } else {
        hf_guard_kernel_unserved(s->o.kernel, c->container, false);
    }
}

void hf_served_container(struct hf_served_set *s, uint64_t container, uint32_t pid)
{
    if (of_container(s, container) || !sees_any(pid))
        return;
    struct served *c = NULL;
    for (size_t i = 0; i < HF_SERVED_CHILDREN && !c; i++)
        c = s->all[i].container || s->all[i].child ? NULL : &s->all[i];
    if (!c) {
        hf_guard_kernel_unserved(s->o.kernel, container, !s->o.closed(s->o.ctx, container));
        s->tell(s->o.ctx, container, "too many containers see file systems that somebody else serves (FUSE, NFS): what it runs from there is not judged");
        return;
    }
    c->container = container;
    c->of_pid = pid;
    start(s, c);
}

void hf_served_forget(struct hf_served_set *s, uint64_t container)
{
    struct served *c = of_container(s, container);
    hf_guard_kernel_unserved(s->o.kernel, container, false);
    if (!c)
        return;
    end_child(s, c);
    c->container = 0;
}

void hf_served_tick(struct hf_served_set *s, uint64_t now_ns)
{
    for (size_t i = 0; i < HF_SERVED_CHILDREN; i++) {
        struct served *c = &s->all[i];
        collect(c);
        uint64_t busy = c->fd >= 0 ? *c->busy_ns : 0;
        if (busy && now_ns > busy && now_ns - busy > HF_SERVED_STUCK_NS)
            unserved(s, c, "a file system that somebody else serves (FUSE, NFS) does not answer");
        else if (c->container && !c->child && now_ns - c->ended_ns > HF_SERVED_AGAIN_NS && sees_any(c->of_pid))
            start(s, c);
    }
}

int hf_served_new(struct hf_served_set **ret, const struct hf_exec_perm_opts *o, struct hf_guard *g, void (*tell)(void *ctx, uint64_t container, const char *what), struct hf_err *err)
{
    struct hf_served_set *s = calloc(1, sizeof *s);
    if (!s)
        return hf_fail(err, -ENOMEM, "no memory");
    s->o = *o;
    s->g = g;
    s->tell = tell;
    _Atomic uint64_t *busy = mmap(NULL, HF_SERVED_CHILDREN * sizeof *busy, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (busy == MAP_FAILED) {
        free(s);
        return hf_fail(err, -ENOMEM, "no memory");
    }
    for (size_t i = 0; i < HF_SERVED_CHILDREN; i++) {
        s->all[i].fan = s->all[i].fd = -1;
        s->all[i].busy_ns = &busy[i];
    }
    *ret = s;
    return 0;
}

void hf_served_free(struct hf_served_set *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < HF_SERVED_CHILDREN; i++) {
        end_child(s, &s->all[i]);
        collect(&s->all[i]);
    }
    (void)munmap((void *)s->all[0].busy_ns, HF_SERVED_CHILDREN * sizeof *s->all[0].busy_ns);
    free(s);
}
