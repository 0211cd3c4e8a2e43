// SPDX-License-Identifier: Apache-2.0
#include "protect/script-perm.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

#define SCRIPTS_MAX 1024u
#define PENDING_MAX 64u
#define HEAD 256u /* BINPRM_BUF_SIZE: the kernel reads no more of it */
#define AGAIN_MS 10
#define SCRIPT_PATH 512u
#ifndef FAN_MARK_EVICTABLE
#define FAN_MARK_EVICTABLE 0x00000200 /* 5.19 */
#endif

struct script {
    uint64_t dev, inode; /* inode 0: free */
    char interpreter[HEAD];
    char path[SCRIPT_PATH]; /* "": longer */
};
struct asked {
    int fd;
    uint32_t pid;
    uint64_t since_ns, container;
};
struct hf_script_perm {
    struct hf_exec_perm_opts o;
    int fan, event;
    int64_t began_s; /* since the epoch */
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* of all below */
    struct script scripts[SCRIPTS_MAX];
    size_t next;
    struct asked asked[PENDING_MAX];
    size_t n;
    atomic_bool end;
};

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

struct hf_span hf_script_interpreter(struct hf_span head)
{
    if (!hf_span_starts(head, HF_S("#!")))
        return hf_span(NULL, 0);
    size_t at = 2, end;
    while (at < head.n && (head.p[at] == ' ' || head.p[at] == '\t'))
        at++;
    for (end = at; end < head.n && head.p[end] && !memchr(" \t\n", head.p[end], 3);)
        end++;
    return hf_span_sub(head, at, end - at);
}

static void answer(struct hf_script_perm *s, int fd, bool allow)
{
    struct fanotify_response r = {.fd = fd, .response = allow ? FAN_ALLOW : FAN_DENY};
    while (write(s->fan, &r, sizeof r) < 0 && errno == EINTR)
        ;
    close(fd);
}

static int ignore(struct hf_script_perm *s, int fd, bool on)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return fanotify_mark(s->fan, (on ? FAN_MARK_ADD : FAN_MARK_REMOVE) | FAN_MARK_IGNORED_MASK, FAN_OPEN_PERM, AT_FDCWD, path); /* without SURV_MODIFY: a write takes it away */
}

/* By inode, or by name. Lock held. */
static struct script *script_of(struct hf_script_perm *s, const struct stat *st, const char *path)
{
    for (size_t i = 0; i < SCRIPTS_MAX; i++)
        if (s->scripts[i].inode == st->st_ino && s->scripts[i].dev == st->st_dev)
            return &s->scripts[i];
    for (size_t i = 0; path && i < SCRIPTS_MAX; i++)
        if (s->scripts[i].inode && s->scripts[i].dev == st->st_dev && s->scripts[i].path[0] && !strcmp(s->scripts[i].path, path))
            return &s->scripts[i];
    return NULL;
}

static void mark_folder(struct hf_script_perm *s, uint32_t pid, struct hf_span path)
{
    char name[64];
    struct hf_err ignored = HF_ERR_INIT;
    snprintf(name, sizeof name, "/proc/%u/root", pid);
    hf_autoclose int root = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    hf_autoclose int dir = root < 0 ? -1 : hf_open_in_root(root, hf_span_dirname(path), O_PATH | O_DIRECTORY, &ignored);
    if (dir < 0)
        return;
    snprintf(name, sizeof name, "/proc/self/fd/%d", dir);
    (void)fanotify_mark(s->fan, FAN_MARK_ADD, FAN_OPEN_PERM | FAN_EVENT_ON_CHILD, AT_FDCWD, name);
}

/* What is no script that we know is not asked for again, until it is written; the kernel may forget that.  What changed since we began could be
 * given the name of a script after that: it is asked for each time. */
static void leave_alone(struct hf_script_perm *s, int fd)
{
    char path[64];
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_ctim.tv_sec >= s->began_s)
        return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fanotify_mark(s->fan, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_EVICTABLE, FAN_OPEN_PERM, AT_FDCWD, path) < 0)
        (void)ignore(s, fd, true);
}

void hf_script_perm_mark(struct hf_script_perm *s, int fd, uint32_t pid, struct hf_span name)
{
    char head[HEAD], path[64];
    struct stat st;
    ssize_t n = pread(fd, head, sizeof head, 0);
    struct hf_span interpreter = hf_script_interpreter(hf_span(head, n > 0 ? (size_t)n : 0));
    if (!interpreter.n || interpreter.n >= HEAD || fstat(fd, &st) < 0)
        return;
    pthread_mutex_lock(&s->lock);
    struct script *at = script_of(s, &st, NULL);
    at = at ? at : &s->scripts[s->next++ % SCRIPTS_MAX];
    *at = (struct script){.dev = st.st_dev, .inode = st.st_ino};
    memcpy(at->interpreter, interpreter.p, interpreter.n);
    if (name.n < sizeof at->path)
        memcpy(at->path, name.p, name.n);
    pthread_mutex_unlock(&s->lock);
    (void)ignore(s, fd, true); /* first: the guard itself opens such files */
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    (void)fanotify_mark(s->fan, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, path); /* also when it is known: its numbers may have been another's */
    if (name.n && name.p[0] == '/')
        mark_folder(s, pid, name);
}

/* Whether the kernel started it for this script: its first argument is the interpreter, as the script named it.  *ret_known: it is a script that we know. */
static bool is_interpreter(struct hf_script_perm *s, uint32_t pid, int fd, bool *ret_known)
{
    char path[64], interpreter[HEAD] = "", args[HEAD], name[PATH_MAX];
    struct stat st;
    *ret_known = true;
    if (fstat(fd, &st) < 0)
        return false;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t got = readlink(path, name, sizeof name - 1);
    name[got > 0 ? got : 0] = 0;
    pthread_mutex_lock(&s->lock);
    const struct script *at = script_of(s, &st, name);
    if (at)
        memcpy(interpreter, at->interpreter, sizeof interpreter);
    pthread_mutex_unlock(&s->lock);
    *ret_known = at;
    snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
    int cmdline = interpreter[0] ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = cmdline < 0 ? -1 : read(cmdline, args, sizeof args - 1);
    if (cmdline >= 0)
        close(cmdline);
    args[n > 0 ? n : 0] = 0;
    return n > 0 && !strcmp(args, interpreter);
}

static void read_events(struct hf_script_perm *s)
{
    _Alignas(struct fanotify_event_metadata) char buf[4096];
    ssize_t n;
    while ((n = read(s->fan, buf, sizeof buf)) > 0) {
        const struct fanotify_event_metadata *m = (const void *)buf;
        for (; FAN_EVENT_OK(m, n); m = FAN_EVENT_NEXT(m, n)) {
            if (m->fd < 0)
                continue;
            bool known = true, ours = m->pid > 0 && m->pid != getpid() && is_interpreter(s, (uint32_t)m->pid, m->fd, &known);
            if (!known)
                leave_alone(s, m->fd);
            pthread_mutex_lock(&s->lock);
            bool room = s->n < PENDING_MAX;
            if (ours && room)
                s->asked[s->n++] = (struct asked){.fd = m->fd, .pid = (uint32_t)m->pid, .since_ns = now_ns()};
            pthread_mutex_unlock(&s->lock);
            if (!ours || !room)
                answer(s, m->fd, !ours);
            else
                (void)eventfd_write(s->event, 1);
        }
    }
}

/* Nobody waits for ever for a loop that hangs. */
static void time_out(struct hf_script_perm *s)
{
    uint64_t now = now_ns();
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->n;) {
        struct asked a = s->asked[i];
        if (now - a.since_ns < HF_PERM_STUCK_NS) {
            i++;
            continue;
        }
        answer(s, a.fd, !a.container || !s->o.closed(s->o.ctx, a.container));
        s->asked[i] = s->asked[--s->n];
    }
    bool more = s->n > 0;
    pthread_mutex_unlock(&s->lock);
    if (more)
        (void)eventfd_write(s->event, 1); /* asked again: something may be known now */
}

static void *work(void *ctx)
{
    struct hf_script_perm *s = ctx;
    while (!s->end) {
        struct pollfd p = {s->fan, POLLIN, 0};
        pthread_mutex_lock(&s->lock);
        bool waits = s->n > 0;
        pthread_mutex_unlock(&s->lock);
        if (poll(&p, 1, waits ? AGAIN_MS : 500) > 0)
            read_events(s);
        else if (waits)
            time_out(s);
    }
    return NULL;
}

/* 1 allow, 0 deny, -1 later. */
static int judge(struct hf_script_perm *s, struct asked *a)
{
    struct hf_perm_file f = {.container = a->container, .pid = a->pid, .fd = a->fd};
    struct hf_perm_judged j = {.answer = HF_PERM_LATER};
    struct stat st;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", a->fd);
    ssize_t n = readlink(link, path, sizeof path);
    if (n <= 0 || fstat(a->fd, &st) < 0)
        return 1;
    f.path = hf_span(path, (size_t)n);
    f.key = (struct hf_guard_key){.container = a->container, .inode = st.st_ino};
    f.ctime_ns = (uint64_t)st.st_ctim.tv_sec * 1000000000ull + (uint64_t)st.st_ctim.tv_nsec;
    f.late = true; /* its content counts as it is now, however young */
    (void)ignore(s, a->fd, true); /* before it is read: who writes it meanwhile takes the mark away */
    bool leased = fcntl(a->fd, F_SETLEASE, F_RDLCK) == 0, writers = !leased && errno == EAGAIN;
    if (!writers) /* who has it open for writing, or mapped, need not let us know what he does */
        s->o.judge(s->o.ctx, &f, &j);
    else
        j.answer = HF_PERM_DENY;
    if (leased)
        (void)fcntl(a->fd, F_SETLEASE, F_UNLCK);
    if (j.answer != HF_PERM_ALLOW)
        (void)ignore(s, a->fd, false);
    return j.answer == HF_PERM_ALLOW ? 1 : j.answer == HF_PERM_DENY ? 0 : -1;
}

void hf_script_perm_ready(struct hf_script_perm *s)
{
    eventfd_t ignored;
    (void)eventfd_read(s->event, &ignored);
    pthread_mutex_lock(&s->lock);
    for (size_t left = s->n; left; left--) { /* each once: the first is taken out, and put back when it has to wait */
        struct asked a = s->asked[0];
        memmove(&s->asked[0], &s->asked[1], --s->n * sizeof a);
        pthread_mutex_unlock(&s->lock);
        a.container = a.container ? a.container : s->o.container_of(s->o.ctx, a.pid);
        int rc = a.container ? judge(s, &a) : 1;
        if (rc >= 0)
            answer(s, a.fd, rc);
        pthread_mutex_lock(&s->lock);
        if (rc < 0 && s->n < PENDING_MAX)
            s->asked[s->n++] = a;
        else if (rc < 0)
            answer(s, a.fd, !s->o.closed(s->o.ctx, a.container));
    }
    pthread_mutex_unlock(&s->lock);
}

int hf_script_perm_fd(const struct hf_script_perm *s)
{
    return s->event;
}

int hf_script_perm_new(struct hf_script_perm **ret, const struct hf_exec_perm_opts *o, struct hf_err *err)
{
    hf_cleanup(hf_script_perm_freep) struct hf_script_perm *s = calloc(1, sizeof *s);
    if (!s)
        return hf_fail(err, -ENOMEM, "no memory");
    s->o = *o;
    s->event = -1;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    s->began_s = now.tv_sec;
    pthread_mutex_init(&s->lock, NULL);
    s->fan = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_MARKS | FAN_UNLIMITED_QUEUE, O_RDONLY | O_LARGEFILE | O_CLOEXEC);
    if (s->fan < 0)
        return hf_fail(err, -errno, "scripts cannot be judged before they are opened (fanotify): %s", strerror(errno));
    s->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = s->event < 0 ? errno : pthread_create(&s->thread, NULL, work, s);
    if (rc)
        return hf_fail(err, -rc, "the thread for scripts does not start: %s", strerror(rc));
    s->has_thread = true;
    *ret = hf_take(s);
    return 0;
}

void hf_script_perm_free(struct hf_script_perm *s)
{
    if (!s)
        return;
    s->end = true;
    if (s->has_thread)
        pthread_join(s->thread, NULL);
    for (size_t i = 0; i < s->n; i++)
        answer(s, s->asked[i].fd, true);
    if (s->fan >= 0)
        close(s->fan);
    hf_closep(&s->event);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
