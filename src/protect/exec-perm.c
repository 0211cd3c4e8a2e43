// SPDX-License-Identifier: Apache-2.0
#include "protect/exec-perm.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "guard/slow.h"

#define AGAIN_NS 10000000l       /* pending files are looked at so often */
#define WATCH_MS 500
#define FRESH_NS 20000000ull     /* a file that changed so shortly ago may change again within the same tick of its clock */
#define MOUNTS_MAX 64u
#define TEXT_MAX (1u << 20)
#define MARKED_MAX 2048u

struct pending {
    int fd;
    uint32_t pid;
    uint64_t since_ns;
    uint64_t container;
    bool leased, no_lease; /* no_lease: this file system has none */
};
struct hf_exec_perm {
    struct hf_exec_perm_opts o;
    int fan, timer;
    bool timer_on;
    pthread_t watchdog;
    bool watching;
    pthread_mutex_t lock;      /* of pending, n */
    struct pending pending[HF_PERM_PENDING];
    size_t n;
    struct marked {
        uint64_t container, dev;
    } marked[MARKED_MAX];      /* the latest; of folders */
    size_t n_marked;
    bool settling, once_more;
    _Atomic uint64_t busy_ns;  /* since when the judging thread is at it; 0: it is not */
    atomic_bool end, gave_up;
};

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* ---- answering ---- */

static void answer(struct hf_exec_perm *p, int fd, bool allow)
{
    struct fanotify_response r = {.fd = fd, .response = allow ? FAN_ALLOW : FAN_DENY};
    while (write(p->fan, &r, sizeof r) < 0 && errno == EINTR)
        ;
    close(fd);
}

static void set_timer(struct hf_exec_perm *p, bool on)
{
    struct itimerspec t = {.it_interval.tv_nsec = on ? AGAIN_NS : 0, .it_value.tv_nsec = on ? AGAIN_NS : 0};
    if (on != p->timer_on)
        (void)timerfd_settime(p->timer, 0, &t, NULL);
    p->timer_on = on;
}

/* ---- what a file is ---- */

/* "mnt_id:\t24", "ino:\t3" of /proc/self/fdinfo. */
static uint64_t fdinfo(struct hf_span text, const char *name)
{
    struct hf_span line;
    uint64_t v = 0;
    while (hf_span_line(&text, &line))
        if (hf_span_starts(line, hf_span_z(name)) && hf_parse_u64(hf_span_trim(hf_span_from(line, strlen(name))), 10, 0, UINT64_MAX, &v) == 0)
            return v;
    return 0;
}

/* The device of the mount, as the kernel numbers it: what stat says of a file on an overlay or a subvolume is another. */
static bool mount_dev(uint32_t pid, uint64_t mnt_id, uint32_t *ret)
{
    char path[64];
    hf_autobuf text = HF_BUF_INIT(TEXT_MAX);
    struct hf_err ignored = HF_ERR_INIT;
    snprintf(path, sizeof path, "/proc/%u/mountinfo", pid);
    if (hf_read_file(path, &text, &ignored) < 0)
        return false;
    struct hf_mount m;
    for (struct hf_mounts all = {.rest = hf_buf_span(&text)}; hf_mounts_next(&all, &m);)
        if (m.id == mnt_id) {
            *ret = m.dev;
            return true;
        }
    return false;
}

bool hf_perm_identify(int file, uint32_t pid, struct hf_perm_file *f, struct stat *st)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (fd >= 0)
        close(fd);
    if (n <= 0 || fstat(file, st) < 0)
        return false;
    struct hf_span info = hf_span(text, (size_t)n);
    uint64_t ino = fdinfo(info, "ino:"); /* 5.14 */
    f->key = (struct hf_guard_key){.container = f->container, .inode = ino ? ino : st->st_ino};
    if (!mount_dev(pid, fdinfo(info, "mnt_id:"), &f->key.dev) && !mount_dev((uint32_t)getpid(), fdinfo(info, "mnt_id:"), &f->key.dev))
        f->key.dev = (uint32_t)(major(st->st_dev) << 20 | minor(st->st_dev));
    f->ctime_ns = (uint64_t)st->st_ctim.tv_sec * 1000000000ull + (uint64_t)st->st_ctim.tv_nsec;
    return true;
}

/* Whether it changed so shortly ago that its clock would not tell another change. */
static bool fresh(uint64_t ctime_ns)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    uint64_t now = (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
    return ctime_ns <= now ? now - ctime_ns < FRESH_NS : ctime_ns - now < FRESH_NS; /* one from a later time never becomes old */
}

static void keep_verdict(struct hf_exec_perm *p, const struct hf_perm_file *f, const struct hf_perm_judged *j)
{
    struct hf_guard_verdict v = {.ctime_ns = f->ctime_ns, .verdict = (j->answer == HF_PERM_ALLOW ? HF_GUARD_ALLOW : HF_GUARD_DENY) | j->verdict_bits, .clause = j->clause};
    char path[64];
    if (hf_guard_kernel_verdict(p->o.kernel, &f->key, &v) == -E2BIG) {
        hf_exec_perm_flush(p);
        (void)hf_guard_kernel_verdict(p->o.kernel, &f->key, &v);
    }
    if (j->answer != HF_PERM_ALLOW)
        return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", f->fd);
    (void)fanotify_mark(p->fan, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK, FAN_OPEN_EXEC_PERM, AT_FDCWD, path);
}

/* true: answered. */
static bool decide(struct hf_exec_perm *p, struct pending *e, uint64_t now)
{
    struct hf_perm_file f = {.container = e->container, .pid = e->pid, .fd = e->fd, .late = now - e->since_ns > HF_PERM_DEADLINE_NS};
    struct hf_perm_judged j = {.answer = HF_PERM_LATER};
    struct stat st, after;
    char link[64], path[PATH_MAX];
    if (!e->container) {
        answer(p, e->fd, true);
        return true;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", e->fd);
    ssize_t n = readlink(link, path, sizeof path);
    if (n <= 0 || !hf_perm_identify(e->fd, e->pid, &f, &st)) {
        answer(p, e->fd, !p->o.closed(p->o.ctx, e->container));
        return true;
    }
    f.path = hf_span(path, (size_t)n);
    if (!f.late && fresh(f.ctime_ns))
        return false;
    /* who has it open for writing could go on changing it without its time telling; the exec would fail for that, as long as he does */
    e->leased = e->leased || fcntl(e->fd, F_SETLEASE, F_RDLCK) == 0;
    e->no_lease = !e->leased && errno != EAGAIN && errno != EWOULDBLOCK;
    p->o.judge(p->o.ctx, &f, &j);
    if (j.answer == HF_PERM_LATER && !f.late)
        return false;
    bool quiet = (e->no_lease || (e->leased && fcntl(e->fd, F_GETLEASE) == F_RDLCK)) && fstat(e->fd, &after) == 0 && after.st_ctim.tv_sec == st.st_ctim.tv_sec && after.st_ctim.tv_nsec == st.st_ctim.tv_nsec;
    if (j.answer == HF_PERM_LATER) {
        j.answer = p->o.closed(p->o.ctx, e->container) ? HF_PERM_DENY : HF_PERM_ALLOW;
        j.keep = true; /* or the kernel half would kill what was allowed for want of anyone who knows */
    }
    char head[2] = "";
    if (j.answer == HF_PERM_ALLOW && !e->leased && !e->no_lease && pread(e->fd, head, 2, 0) == 2 && head[0] == '#' && head[1] == '!')
        j.answer = HF_PERM_DENY; /* a script that somebody has open for writing: a program like that is no program for the kernel either */
    if (!quiet && j.answer == HF_PERM_ALLOW && j.keep && !f.late && (e->leased || e->no_lease)) { /* it changed while it was read: once more */
        (void)fcntl(e->fd, F_SETLEASE, F_UNLCK);
        e->leased = false;
        return false;
    }
    if (j.keep && (quiet || f.late))
        keep_verdict(p, &f, &j);
    if (e->leased)
        (void)fcntl(e->fd, F_SETLEASE, F_UNLCK);
    answer(p, e->fd, j.answer == HF_PERM_ALLOW);
    return true;
}

static void settle_all(struct hf_exec_perm *p)
{
    uint64_t now = now_ns();
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < p->n && !p->gave_up;) {
        struct pending e = p->pending[i];
        pthread_mutex_unlock(&p->lock); /* judging may take long; the watchdog needs the lock */
        p->busy_ns = now_ns();
        bool done = decide(p, &e, now);
        p->busy_ns = 0;
        pthread_mutex_lock(&p->lock);
        if (p->gave_up)
            break;
        p->pending[i] = e;
        if (done)
            p->pending[i] = p->pending[--p->n];
        else
            i++;
    }
    set_timer(p, p->n > 0);
    pthread_mutex_unlock(&p->lock);
}

/* Judging may be what makes more known (a container's root is found, and with it its seal), and come here again: then all are looked at once more, after this. */
static void settle(struct hf_exec_perm *p)
{
    p->once_more = true;
    if (p->settling)
        return;
    p->settling = true;
    while (p->once_more && !p->gave_up) {
        p->once_more = false;
        settle_all(p);
    }
    p->settling = false;
}

void hf_exec_perm_again(struct hf_exec_perm *p)
{
    uint64_t ticks;
    (void)!read(p->timer, &ticks, sizeof ticks);
    settle(p);
}

void hf_exec_perm_ready(struct hf_exec_perm *p)
{
    _Alignas(struct fanotify_event_metadata) char buf[16384];
    ssize_t n;
    while (!p->gave_up && (n = read(p->fan, buf, sizeof buf)) > 0) {
        const struct fanotify_event_metadata *m = (const void *)buf;
        for (; FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n)) {
            if (m->fd < 0)
                continue;
            uint64_t container = m->pid > 0 ? p->o.container_of(p->o.ctx, (uint32_t)m->pid) : 0;
            if (!container || p->n == HF_PERM_PENDING) {
                answer(p, m->fd, !container || !p->o.closed(p->o.ctx, container));
                continue;
            }
            pthread_mutex_lock(&p->lock);
            p->pending[p->n++] = (struct pending){.fd = m->fd, .pid = (uint32_t)m->pid, .since_ns = now_ns(), .container = container};
            pthread_mutex_unlock(&p->lock);
        }
        settle(p);
    }
}

/* ---- the watchdog ---- */

/* From now on nobody judges: what is pending is answered, marks are gone, and what still comes is answered too. */
static void give_up(struct hf_exec_perm *p)
{
    p->gave_up = true;
    for (size_t i = 0; i < p->n; i++)
        answer(p, p->pending[i].fd, !p->o.closed(p->o.ctx, p->pending[i].container));
    p->n = 0;
    (void)fanotify_mark(p->fan, FAN_MARK_FLUSH, 0, AT_FDCWD, "/");
    (void)fanotify_mark(p->fan, FAN_MARK_FLUSH | FAN_MARK_MOUNT, 0, AT_FDCWD, "/");
    (void)fanotify_mark(p->fan, FAN_MARK_FLUSH | FAN_MARK_FILESYSTEM, 0, AT_FDCWD, "/");
    _Alignas(struct fanotify_event_metadata) char buf[4096];
    ssize_t n;
    while ((n = read(p->fan, buf, sizeof buf)) > 0) {
        const struct fanotify_event_metadata *m = (const void *)buf;
        for (; FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n))
            if (m->fd >= 0)
                answer(p, m->fd, true);
    }
}

static void *watch(void *ctx)
{
    struct hf_exec_perm *p = ctx;
    while (!p->end && !p->gave_up) {
        (void)poll(NULL, 0, WATCH_MS);
        uint64_t busy = p->busy_ns;
        if (!busy || now_ns() - busy < HF_PERM_STUCK_NS)
            continue;
        pthread_mutex_lock(&p->lock);
        give_up(p);
        pthread_mutex_unlock(&p->lock);
    }
    return NULL;
}

bool hf_exec_perm_gave_up(const struct hf_exec_perm *p)
{
    return p->gave_up;
}

/* ---- marks ---- */

/* What stands on inodes only: files that were allowed are asked for again. */
static void flush_ignored(struct hf_exec_perm *p)
{
    (void)fanotify_mark(p->fan, FAN_MARK_FLUSH, 0, AT_FDCWD, "/");
}

/* A file system that other containers have, or had, too: a volume, or a root that is used again. */
static bool is_shared(struct hf_exec_perm *p, const struct stat *st, uint64_t container)
{
    bool other = false;
    for (size_t i = 0; i < HF_MIN(p->n_marked, (size_t)MARKED_MAX); i++) {
        if (p->marked[i].dev == st->st_dev && p->marked[i].container == container)
            return false;
        other = other || p->marked[i].dev == st->st_dev;
    }
    p->marked[p->n_marked++ % MARKED_MAX] = (struct marked){container, st->st_dev};
    return other;
}

static int mark(struct hf_exec_perm *p, const char *path, unsigned kind, uint64_t container)
{
    struct stat st;
    if (fanotify_mark(p->fan, FAN_MARK_ADD | kind, FAN_OPEN_EXEC_PERM, AT_FDCWD, path) < 0)
        return -errno;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) && is_shared(p, &st, container))
        flush_ignored(p);
    return 0;
}

int hf_exec_perm_mark_overlay(struct hf_exec_perm *p, const char *folder, uint64_t container)
{
    struct statfs fs;
    if (statfs(folder, &fs) < 0)
        return -errno;
    if ((unsigned long)fs.f_type != OVERLAYFS_SUPER_MAGIC)
        return 0;
    int rc = mark(p, folder, FAN_MARK_FILESYSTEM, container);
    return rc < 0 ? rc : 1;
}

/* Nothing that is run lies there. */
static bool dull(struct hf_span type)
{
    static const char *const names[] = {"proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "bpf", "tracefs", "debugfs", "securityfs", "pstore", "efivarfs", "configfs", "binfmt_misc", "nsfs",
            "rpc_pipefs", "selinuxfs"};
    return HF_SPAN_IN(type, names);
}

static int mark_in(struct hf_exec_perm *p, int root, struct hf_span point, uint64_t container)
{
    struct hf_err ignored = HF_ERR_INIT;
    char path[64];
    int fd = hf_open_in_root(root, point, O_PATH, &ignored);
    if (fd < 0)
        return fd;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int rc = hf_exec_perm_mark_overlay(p, path, container);
    if (rc == 0)
        rc = mark(p, path, FAN_MARK_MOUNT, container);
    close(fd);
    return rc < 0 ? rc : 0;
}

int hf_exec_perm_mark_mounts(struct hf_exec_perm *p, uint32_t pid, uint64_t container)
{
    char path[64];
    hf_autobuf text = HF_BUF_INIT(TEXT_MAX), point = HF_BUF_INIT(PATH_MAX);
    struct hf_err ignored = HF_ERR_INIT;
    int marked = 0;
    snprintf(path, sizeof path, "/proc/%u/mountinfo", pid);
    int rc = hf_read_file(path, &text, &ignored);
    if (rc < 0)
        return rc;
    snprintf(path, sizeof path, "/proc/%u/root", pid);
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return -errno;
    struct hf_mount m;
    for (struct hf_mounts all = {.rest = hf_buf_span(&text)}; marked < (int)MOUNTS_MAX && hf_mounts_next(&all, &m);) {
        if (dull(m.type) || m.noexec || m.below)
            continue;
        hf_buf_clear(&point);
        hf_mountinfo_field(m.point, &point);
        rc = hf_buf_ok(&point) ? mark_in(p, root, hf_buf_span(&point), container) : -ENAMETOOLONG;
        marked += rc == 0;
    }
    close(root);
    return marked ? marked : rc;
}

void hf_exec_perm_flush(struct hf_exec_perm *p)
{
    flush_ignored(p); /* what stands on mounts and file systems stays */
    hf_guard_kernel_flush_verdicts(p->o.kernel);
}

void hf_exec_perm_told(struct hf_exec_perm *p, const struct hf_guard_told *t)
{
    if (t->why != HF_GUARD_WHY_STALE && t->why != HF_GUARD_WHY_UNJUDGED)
        return;
    /* the file itself is not at hand; the others are looked at once more, and verdicts hold for a state of a file: they stay */
    flush_ignored(p);
}

/* ---- begin and end ---- */

int hf_exec_perm_fd(const struct hf_exec_perm *p)
{
    return p->fan;
}

int hf_exec_perm_timer(const struct hf_exec_perm *p)
{
    return p->timer;
}

int hf_exec_perm_new(struct hf_exec_perm **ret, const struct hf_exec_perm_opts *o, struct hf_err *err)
{
    hf_cleanup(hf_exec_perm_freep) struct hf_exec_perm *p = calloc(1, sizeof *p);
    if (!p)
        return hf_fail(err, -ENOMEM, "no memory");
    p->o = *o;
    p->timer = -1;
    pthread_mutex_init(&p->lock, NULL);
    p->fan = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_MARKS | FAN_UNLIMITED_QUEUE, O_RDONLY | O_LARGEFILE | O_CLOEXEC);
    if (p->fan < 0)
        return hf_fail(err, -errno, "programs cannot be judged before they start (fanotify): %s", strerror(errno));
    p->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (p->timer < 0)
        return hf_fail(err, -errno, "timer: %s", strerror(errno));
    signal(SIGIO, SIG_IGN); /* of a lease that somebody waits for */
    int rc = pthread_create(&p->watchdog, NULL, watch, p);
    if (rc)
        return hf_fail(err, -rc, "the watchdog does not start: %s", strerror(rc));
    p->watching = true;
    *ret = hf_take(p);
    return 0;
}

void hf_exec_perm_free(struct hf_exec_perm *p)
{
    if (!p)
        return;
    p->end = true;
    if (p->watching)
        pthread_join(p->watchdog, NULL);
    for (size_t i = 0; i < p->n; i++)
        answer(p, p->pending[i].fd, true);
    if (p->fan >= 0)
        close(p->fan);
    if (p->timer >= 0)
        close(p->timer);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
