// SPDX-License-Identifier: Apache-2.0
#include "daemon/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

#include "base/log.h"
#include "daemon/shared.h"

enum { PIECE = 256 << 10, HEAD = 400 };

struct line {
    struct line *next;
    size_t n;
    bool low;
    char text[];
};
struct hf_lines {
    int fd, console_fd, wake_fd;
    struct hf_daemon_shared *shared;
    pthread_t thread;
    bool started, ending;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t news;
    struct line *first, **last;
    size_t bytes, low_bytes;
    bool woken;
    /* of the thread */
    struct hf_buf in, out; /* out: for the console */
    uint64_t untold;       /* lines the console did not get since it was told of that */
    bool skip;             /* until the end of a line that is too long */
    bool told_drop;
};

/* ---- what a line is ---- */

enum hf_line_kind hf_line_kind(struct hf_span line)
{
    /* Thousands a second, of which neither incidents nor the inventory learn anything. */
    static const char *const skip[] = {"exec", "exit", "fork", "process", "file", "socket", "listen", "bind", "send", "close", "dns", "payload", "tls", "http", "ssh", "irc", "stratum", "socks", "cost",
            "memory", "signal", "rename", "capability", "credentials", "rate", "status", "drop", "ptrace", "namespace", "mount", "module", "bpf", "io_uring", "cgroup", "verdict", NULL};
    static const char *const low[] = {"connect", "accept", NULL};
    struct hf_span head = hf_span_sub(line, 0, HEAD);
    size_t at = hf_span_search(head, HF_S("\"type\":\""));
    if (at == SIZE_MAX)
        return HF_LINE_HIGH;
    struct hf_span type = hf_span_from(head, at + 8);
    type = hf_span_sub(type, 0, hf_span_find(type, '"'));
    if (hf_span_eqz(type, "status") && hf_span_search(head, HF_S("\"state\":\"started\"")) != SIZE_MAX)
        return HF_LINE_HIGH; /* all that runs was told: for the inventory */
    for (const char *const *p = skip; *p; p++)
        if (hf_span_eqz(type, *p))
            return HF_LINE_SKIP;
    for (const char *const *p = low; *p; p++)
        if (hf_span_eqz(type, *p))
            return HF_LINE_LOW;
    return HF_LINE_HIGH;
}

/* ---- the list ---- */

static void put(struct hf_lines *l, struct hf_span text, bool low)
{
    bool room = l->bytes + text.n <= HF_LINES_MAX && (!low || l->low_bytes + text.n <= HF_LINES_LOW_MAX);
    struct line *x = room ? malloc(sizeof *x + text.n) : NULL;
    if (!x) {
        HF_SHARED_ADD(l->shared->lines_dropped, 1);
        if (!l->told_drop)
            hf_log(HF_LOG_ERR, "lines", "lines of watch are dropped: %zu MiB wait to be looked at already", l->bytes >> 20);
        l->told_drop = true;
        return;
    }
    x->next = NULL;
    x->n = text.n;
    x->low = low;
    memcpy(x->text, text.p, text.n);
    *l->last = x;
    l->last = &x->next;
    l->bytes += text.n;
    l->low_bytes += low ? text.n : 0;
    if (l->bytes < HF_LINES_MAX / 2)
        l->told_drop = false;
    HF_SHARED_SET(l->shared->waiting_bytes, l->bytes);
}

int hf_lines_next(struct hf_lines *l, int timeout_ms, struct hf_buf *out)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    until.tv_sec += timeout_ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    hf_buf_clear(out);
    pthread_mutex_lock(&l->lock);
    while (!l->first && !l->woken && timeout_ms > 0 && pthread_cond_timedwait(&l->news, &l->lock, &until) != ETIMEDOUT)
        ;
    l->woken = false;
    struct line *x = l->first;
    if (x) {
        l->first = x->next;
        if (!l->first)
            l->last = &l->first;
        l->bytes -= x->n;
        l->low_bytes -= x->low ? x->n : 0;
        HF_SHARED_SET(l->shared->waiting_bytes, l->bytes);
    }
    pthread_mutex_unlock(&l->lock);
    if (x)
        hf_buf_add(out, x->text, x->n);
    free(x);
    return x != NULL && hf_buf_ok(out);
}

void hf_lines_wake(struct hf_lines *l)
{
    pthread_mutex_lock(&l->lock);
    l->woken = true;
    pthread_cond_broadcast(&l->news);
    pthread_mutex_unlock(&l->lock);
}

/* ---- the console ---- */

/* What it takes now; it is never waited for. */
static void push_console(struct hf_lines *l)
{
    size_t at = 0;
    while (at < l->out.n) {
        ssize_t n = send(l->console_fd, l->out.p + at, l->out.n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    if (at && at < l->out.n)
        memmove(l->out.p, l->out.p + at, l->out.n - at);
    l->out.n -= at;
}

/* A gap is told where it is, as the sensor tells its own losses. */
static void tell_gap(struct hf_lines *l)
{
    struct timespec now;
    struct tm tm;
    char when[40];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    hf_buf_addf(&l->out, "{\"schema\":\"holdfast.event/1\",\"time\":\"%s.%09ldZ\",\"type\":\"drop\",\"count\":%llu,\"lost_type\":\"several\",\"reason\":\"console\"}\n", when, now.tv_nsec,
            (unsigned long long)l->untold);
    l->untold = 0;
}

static void for_console(struct hf_lines *l, struct hf_span line)
{
    if (l->console_fd < 0)
        return;
    if (l->untold && l->out.n < HF_LINES_CONSOLE_MAX / 2)
        tell_gap(l);
    if (l->untold || l->out.n + line.n + 1 > HF_LINES_CONSOLE_MAX) {
        l->untold++;
        HF_SHARED_ADD(l->shared->console_dropped, 1);
        return;
    }
    hf_buf_adds(&l->out, line);
    hf_buf_addc(&l->out, '\n');
}

/* ---- the thread ---- */

static void count_loss(struct hf_lines *l, struct hf_span line)
{
    size_t at = hf_span_search(line, HF_S("\"count\":"));
    struct hf_span digits = hf_span_from(line, at == SIZE_MAX ? line.n : at + 8);
    uint64_t n = 0;
    size_t len = 0;
    while (len < digits.n && len < 18 && digits.p[len] >= '0' && digits.p[len] <= '9')
        len++;
    if (hf_parse_u64(hf_span_sub(digits, 0, len), 10, 0, UINT64_MAX, &n) == 0)
        HF_SHARED_ADD(l->shared->sensor_lost, n);
}

static void one_line(struct hf_lines *l, struct hf_span line)
{
    HF_SHARED_ADD(l->shared->lines, 1);
    if (hf_span_search(hf_span_sub(line, 0, HEAD), HF_S("\"type\":\"drop\"")) != SIZE_MAX)
        count_loss(l, line);
    for_console(l, line);
    enum hf_line_kind kind = hf_line_kind(line);
    if (kind != HF_LINE_SKIP)
        put(l, line, kind == HF_LINE_LOW);
}

static void split(struct hf_lines *l)
{
    struct hf_span rest = hf_buf_span(&l->in);
    pthread_mutex_lock(&l->lock);
    for (size_t nl; (nl = hf_span_find(rest, '\n')) != SIZE_MAX; rest = hf_span_from(rest, nl + 1)) {
        if (!l->skip && nl)
            one_line(l, hf_span_sub(rest, 0, nl));
        l->skip = false;
    }
    pthread_cond_signal(&l->news);
    pthread_mutex_unlock(&l->lock);
    if (rest.n > HF_LINES_LINE_MAX) { /* a line without an end */
        if (!l->skip)
            HF_SHARED_ADD(l->shared->lines_refused, 1);
        l->skip = true;
        rest.n = 0;
    }
    if (rest.n)
        memmove(l->in.p, rest.p, rest.n);
    l->in.n = rest.n;
}

/* 1: something came; 0: nothing is there; < 0: it ended. */
static int read_piece(struct hf_lines *l)
{
    if (!hf_buf_reserve(&l->in, PIECE))
        return -ENOMEM;
    ssize_t n = read(l->fd, l->in.p + l->in.n, PIECE);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -ECONNRESET;
    l->in.n += (size_t)n;
    split(l);
    return 1;
}

static void *work(void *ctx)
{
    struct hf_lines *l = ctx;
    bool open = true;
    for (;;) {
        bool ending = __atomic_load_n(&l->ending, __ATOMIC_ACQUIRE);
        struct pollfd p[3] = {{open ? l->fd : -1, POLLIN, 0}, {ending ? -1 : l->wake_fd, POLLIN, 0}, {l->out.n ? l->console_fd : -1, POLLOUT, 0}};
        if (poll(p, 3, ending ? 0 : -1) < 0 && errno != EINTR)
            break;
        int rc = open && p[0].revents ? read_piece(l) : 0;
        if (rc < 0)
            open = false; /* watch writes no more: the supervisor keeps the pipe open, so this is the end */
        if (l->out.n)
            push_console(l);
        if (ending && rc <= 0)
            break;
    }
    return NULL;
}

int hf_lines_new(struct hf_lines **ret, int fd, int console_fd, struct hf_daemon_shared *shared, struct hf_err *err)
{
    struct hf_lines *l = calloc(1, sizeof *l);
    pthread_condattr_t monotonic;
    if (!l)
        return hf_fail(err, -ENOMEM, "no memory");
    l->fd = fd;
    l->console_fd = console_fd;
    l->shared = shared;
    l->last = &l->first;
    hf_buf_init(&l->in, HF_LINES_LINE_MAX + 2 * PIECE);
    hf_buf_init(&l->out, HF_LINES_CONSOLE_MAX + PIECE);
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&l->news, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int flags = fcntl(fd, F_GETFL);
    l->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (l->wake_fd < 0 || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        int rc = -errno;
        hf_lines_free(l);
        return hf_fail(err, rc, "the lines cannot be read: %s", strerror(-rc));
    }
    *ret = l;
    return 0;
}

int hf_lines_start(struct hf_lines *l, struct hf_err *err)
{
    int rc = pthread_create(&l->thread, NULL, work, l);
    l->started = rc == 0;
    return rc ? hf_fail(err, -rc, "no thread for lines") : 0;
}

void hf_lines_end(struct hf_lines *l)
{
    if (!l->started)
        return;
    __atomic_store_n(&l->ending, true, __ATOMIC_RELEASE);
    (void)!write(l->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    pthread_join(l->thread, NULL);
    l->started = false;
}

void hf_lines_free(struct hf_lines *l)
{
    if (!l)
        return;
    hf_lines_end(l);
    while (l->first) {
        struct line *x = l->first;
        l->first = x->next;
        free(x);
    }
    hf_closep(&l->wake_fd);
    hf_buf_done(&l->in);
    hf_buf_done(&l->out);
    pthread_cond_destroy(&l->news);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
