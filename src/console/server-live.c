// SPDX-License-Identifier: Apache-2.0
/* The writer of live.h: lines of `watch --json` in, changes of the store seen, the loop told.  A thread, for the store may wait. */
#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "base/log.h"
#include "console/console-internal.h"
#include "console/live.h"

enum { LINE_MAX_BYTES = 1 << 20, POLL_MS = 100, SWEEP_S = 600 };

struct reader {
    struct hf_console *c;
    struct hf_buf line; /* what came of the next */
    bool skipping;      /* one that is too long, to its end */
    int fd;
    uint64_t bad;
};

static void one_line(struct reader *r, struct hf_span line)
{
    struct hf_err err = HF_ERR_INIT;
    if (line.n && hf_live_line(r->c->api.live, line, &err) < 0 && !r->bad++)
        hf_log(HF_LOG_WARNING, "console.line", "a line of what watches was not understood (further ones are only counted): %s", err.msg);
}

static void take(struct reader *r, struct hf_span some)
{
    while (some.n) {
        size_t end = hf_span_find(some, '\n');
        struct hf_span piece = hf_span_sub(some, 0, end == SIZE_MAX ? some.n : end);
        some = end == SIZE_MAX ? hf_span(NULL, 0) : hf_span_from(some, end + 1);
        if (!r->skipping)
            hf_buf_adds(&r->line, piece);
        if (!hf_buf_ok(&r->line)) {
            hf_buf_clear(&r->line);
            r->skipping = true;
        }
        if (end == SIZE_MAX)
            return;
        if (!r->skipping)
            one_line(r, hf_buf_span(&r->line));
        hf_buf_clear(&r->line);
        r->skipping = false;
    }
}

/* Whether something came. */
static bool receive(struct reader *r)
{
    char some[65536];
    ssize_t n = read(r->fd, some, sizeof some);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return false;
    if (n <= 0) {
        hf_live_connected(r->c->api.live, false, n == 0 ? "what watches has ended" : "what watches cannot be read");
        r->fd = -1;
        return true;
    }
    take(r, hf_span(some, (size_t)n));
    return true;
}

static bool ending(struct hf_console *c)
{
    pthread_mutex_lock(&c->lock);
    bool e = c->ending;
    pthread_mutex_unlock(&c->lock);
    return e;
}

static bool changes(struct hf_console *c, bool *failing)
{
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_live_poll(c->api.live, c->stores[HF_CON_WORKERS], &err);
    if (rc < 0 && !*failing)
        hf_log(HF_LOG_ERR, "console.store", "changes of incidents cannot be read: %s", err.msg);
    *failing = rc < 0;
    return rc > 0;
}

static void *run(void *arg)
{
    struct hf_console *c = arg;
    struct reader r = {.c = c, .line = HF_BUF_INIT(LINE_MAX_BYTES), .fd = c->o->live_fd};
    bool failing = false;
    int64_t polled = 0, swept = 0;
    if (r.fd >= 0)
        hf_live_connected(c->api.live, true, NULL);
    while (!ending(c)) {
        struct pollfd p = {.fd = r.fd, .events = POLLIN};
        bool more = false;
        if (poll(&p, 1, POLL_MS) > 0)
            more = receive(&r);
        int64_t now = hf_store_now();
        if (now - polled >= POLL_MS * 1000000ll || now < polled) {
            more = changes(c, &failing) || more;
            polled = now;
        }
        if (now - swept >= SWEEP_S * 1000000000ll || now < swept) {
            struct hf_err err = HF_ERR_INIT;
            if (hf_session_sweep(c->stores[HF_CON_WORKERS], now, &err) < 0)
                hf_log(HF_LOG_WARNING, "console.sweep", "sessions that are over could not be removed: %s", err.msg);
            swept = now;
        }
        uint64_t one = 1;
        if (more)
            (void)!write(c->live_wake_fd, &one, sizeof one);
    }
    hf_buf_done(&r.line);
    return NULL;
}

int hf_live_start(struct hf_console *c, struct hf_err *err)
{
    sigset_t all, was;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &was);
    int rc = pthread_create(&c->live, NULL, run, c);
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    c->live_runs = rc == 0;
    return rc ? hf_fail(err, -rc, "no thread") : 0;
}

void hf_live_stop(struct hf_console *c)
{
    if (c->live_runs)
        pthread_join(c->live, NULL);
    c->live_runs = false;
}
