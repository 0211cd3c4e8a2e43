// SPDX-License-Identifier: Apache-2.0
/* What the daemon says of itself. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/json.h"
#include "daemon/supervise-internal.h"

enum { STATUS_MAX = 64 << 10 };

/* Of shared memory, which others write: bounded, and safe to show. */
static void text(struct hf_jw *w, const char *name, const char *at)
{
    char copy[HF_SHARED_TEXT + 1];
    hf_autobuf safe = HF_BUF_INIT(4096);
    memcpy(copy, at, HF_SHARED_TEXT);
    copy[HF_SHARED_TEXT] = 0;
    if (!copy[0])
        return;
    hf_buf_add_escaped(&safe, hf_span_z(copy), 0);
    hf_jw_kstr(w, name, hf_buf_span(&safe));
}

static void when(struct hf_jw *w, const char *name, int64_t s)
{
    struct tm tm;
    time_t t = (time_t)s;
    char out[40];
    if (s <= 0 || !gmtime_r(&t, &tm))
        return;
    strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%SZ", &tm);
    hf_jw_kstrz(w, name, out);
}

static const char *state_of(const struct supervisor *s, enum hf_proc which)
{
    const struct proc *p = &s->procs[which];
    if (p->given_up)
        return "given up";
    if (!p->wanted)
        return "off";
    if (!p->pid)
        return "waiting";
    if ((which == HF_PROC_HUB && !HF_SHARED_GET(s->sh->hub_ready)) || (which == HF_PROC_CONSOLE && !HF_SHARED_GET(s->sh->console_ready)))
        return "starting";
    return "running";
}

static void processes(const struct supervisor *s, struct hf_jw *w)
{
    hf_jw_key(w, "processes");
    hf_jw_array(w);
    for (unsigned i = 0; i < HF_PROCS; i++) {
        const struct proc *p = &s->procs[i];
        hf_jw_object(w);
        hf_jw_kstrz(w, "name", hf_procs[i]);
        hf_jw_kstrz(w, "state", state_of(s, i));
        if (p->pid)
            hf_jw_ku64(w, "pid", (uint64_t)p->pid);
        if (p->pid)
            when(w, "since", p->started_s);
        hf_jw_ku64(w, "restarts", p->restarts);
        hf_jw_kstr_opt(w, "ended", hf_span_z(p->last));
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
}

#define N(name) hf_jw_ku64(w, #name, HF_SHARED_GET(sh->name))

static void numbers(const struct hf_daemon_shared *sh, struct hf_jw *w)
{
    hf_jw_key(w, "lines");
    hf_jw_object(w);
    hf_jw_ku64(w, "read", HF_SHARED_GET(sh->lines));
    hf_jw_ku64(w, "refused", HF_SHARED_GET(sh->lines_refused));
    hf_jw_ku64(w, "dropped", HF_SHARED_GET(sh->lines_dropped));
    N(console_dropped);
    N(waiting_bytes);
    N(unread_bytes);
    hf_jw_ku64(w, "lost_by_sensor", HF_SHARED_GET(sh->sensor_lost));
    hf_jw_object_end(w);
    hf_jw_key(w, "store");
    hf_jw_object(w);
    hf_jw_kbool(w, "writes", HF_SHARED_GET(sh->hub_ready) && !HF_SHARED_GET(sh->store_down_since));
    when(w, "down_since", (int64_t)HF_SHARED_GET(sh->store_down_since));
    text(w, "error", sh->store_error);
    N(alerts);
    N(incidents_new);
    N(incidents_changed);
    N(alerts_dropped);
    N(pending_bytes);
    hf_jw_ku64(w, "failures", HF_SHARED_GET(sh->store_failures));
    hf_jw_object_end(w);
    hf_jw_key(w, "channels");
    hf_jw_object(w);
    hf_jw_ku64(w, "count", HF_SHARED_GET(sh->channels));
    hf_jw_ku64(w, "waiting", HF_SHARED_GET(sh->queue_waiting));
    hf_jw_ku64(w, "dead", HF_SHARED_GET(sh->queue_dead));
    N(delivered);
    N(retries);
    N(answers);
    N(delivered_age_ms);
    text(w, "error", sh->notify_error);
    hf_jw_object_end(w);
    hf_jw_key(w, "inventory");
    hf_jw_object(w);
    N(scans);
    N(scans_failed);
    N(scans_waiting);
    N(rematches);
    text(w, "error", sh->inventory_error);
    hf_jw_object_end(w);
    hf_jw_key(w, "hand");
    hf_jw_object(w);
    hf_jw_ku64(w, "asked", HF_SHARED_GET(sh->hand_asked));
    hf_jw_ku64(w, "refused", HF_SHARED_GET(sh->hand_refused));
    hf_jw_ku64(w, "failed", HF_SHARED_GET(sh->hand_failed));
    hf_jw_object_end(w);
}

/* A sentence for each thing that is not as it should be; how many. */
static unsigned problems(const struct supervisor *s, struct hf_jw *w)
{
    unsigned n = 0;
    char line[HF_SHARED_TEXT + 64];
    hf_jw_key(w, "problems");
    hf_jw_array(w);
    for (unsigned i = 0; i < HF_PROCS; i++) {
        if (!s->procs[i].wanted || !strcmp(state_of(s, i), "running"))
            continue;
        snprintf(line, sizeof line, "%s is %s%s%s", hf_procs[i], state_of(s, i), s->procs[i].last[0] ? ": it " : "", s->procs[i].last);
        hf_jw_strz(w, line);
        n++;
    }
    const struct {
        const char *what, *why;
        bool bad;
    } others[] = {{"the store takes nothing", s->sh->store_error, HF_SHARED_GET(s->sh->store_down_since) != 0}, {"nobody is told of incidents", s->sh->notify_error, s->sh->notify_error[0] != 0}};
    for (size_t i = 0; i < HF_ARRAY_LEN(others); i++) {
        if (!others[i].bad)
            continue;
        hf_autobuf safe = HF_BUF_INIT(4096);
        hf_buf_addf(&safe, "%s: ", others[i].what);
        hf_buf_add_escaped(&safe, hf_span(others[i].why, strnlen(others[i].why, HF_SHARED_TEXT)), 0);
        hf_jw_str(w, hf_buf_span(&safe));
        n++;
    }
    hf_jw_array_end(w);
    return n;
}

void supervisor_status(const struct supervisor *s, struct hf_buf *out)
{
    struct hf_jw w;
    hf_jw_init(&w, out, true);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "schema", "holdfast.daemon-status/1");
    hf_jw_kstrz(&w, "version", HF_VERSION);
    hf_jw_ku64(&w, "pid", (uint64_t)getpid());
    when(&w, "since", s->started_s);
    unsigned bad = problems(s, &w);
    hf_jw_kbool(&w, "healthy", bad == 0);
    if (s->procs[HF_PROC_CONSOLE].wanted)
        text(&w, "console", s->sh->console_url);
    processes(s, &w);
    numbers(s->sh, &w);
    hf_jw_object_end(&w);
    hf_buf_addc(out, '\n');
}

void supervisor_answer(const struct supervisor *s)
{
    hf_autobuf out = HF_BUF_INIT(STATUS_MAX);
    hf_autoclose int fd = accept4(s->status_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    supervisor_status(s, &out);
    (void)!send(fd, out.p, out.n, MSG_NOSIGNAL | MSG_DONTWAIT); /* fits into the socket's buffer */
}

int hf_supervise_status(const char *state, struct hf_buf *ret, struct hf_err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    hf_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (snprintf(a.sun_path, sizeof a.sun_path, "%s/daemon.sock", state) >= (int)sizeof a.sun_path)
        return hf_fail(err, HF_E_USAGE, "the state folder's name is too long: %s", state);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        return hf_fail(err, -errno, errno == EACCES ? "only root may ask the daemon of %s" : "no daemon runs with %s", state);
    for (;;) {
        if (!hf_buf_reserve(ret, 4096))
            return hf_fail(err, HF_E_LIMIT, "the daemon says too much");
        ssize_t n = read(fd, ret->p + ret->n, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return hf_fail(err, -errno, "the daemon does not answer: %s", strerror(errno));
        if (n == 0)
            return 0;
        ret->n += (size_t)n;
    }
}

void supervisor_notify(const char *message)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = path ? strlen(path) : 0;
    if (!n || n >= sizeof a.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(a.sun_path, path, n);
    if (a.sun_path[0] == '@')
        a.sun_path[0] = 0;
    hf_autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        (void)!sendto(fd, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}
