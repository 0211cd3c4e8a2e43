// SPDX-License-Identifier: Apache-2.0
#include "respond/executor.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "sensor/frames.h"

#define RECENT 256u
#define CHILDREN_MAX 8u
#define WAITING_MAX 64u
#define WAIT_NS 300000000000ull
#define RETRY_MS 1000
#define START_SLACK_NS 20000000ull /* /proc counts in ticks of 10 ms */

struct recent {
    uint64_t cgroup_id, at_ns;
    enum hf_act act;
};

/* What is wanted of a container, in order. */
struct wanted {
    struct hf_executor_ask ask;
    enum hf_act acts[HF_RESPONSES];
    size_t n;
    uint64_t until_ns; /* tried again until then; 0: not put off yet */
};

/* Whoever provokes ten harmless actions must not have the eleventh forgotten; and nobody waits for it: neither a process that would take evidence nor the next container. */
struct executor {
    const struct hf_executor_opts *o;
    struct hf_target *t;
    struct recent *recent;
    unsigned next; /* of recent */
    struct wanted *waiting; /* WAITING_MAX, by until_ns */
    size_t n_waiting;
    struct child {
        pid_t pid;
        struct wanted what; /* exit code 1 + I: what is wanted from acts[I] on was refused for the limit */
    } *children; /* CHILDREN_MAX */
    size_t n_children;
    bool limited, ending; /* limited: the last try was refused for the limit: what is new goes behind what waits */
};

static bool ended(const char *p, size_t size)
{
    return memchr(p, 0, size) != NULL;
}

int hf_executor_read(struct hf_span bytes, struct hf_executor_ask *ret, struct hf_err *err)
{
    struct hf_executor_ask a;
    if (bytes.n != sizeof a)
        return hf_fail(err, HF_E_FORMAT, "a message of %zu bytes instead of %zu", bytes.n, sizeof a);
    memcpy(&a, bytes.p, sizeof a);
    if (a.magic != HF_EXECUTOR_MAGIC || a.size != sizeof a || a.version != HF_EXECUTOR_VERSION)
        return hf_fail(err, HF_E_FORMAT, "not a message of this kind");
    if (!ended(a.id, sizeof a.id) || !ended(a.rule, sizeof a.rule) || !ended(a.alert, sizeof a.alert) || !ended(a.name, sizeof a.name) || !ended(a.image, sizeof a.image))
        return hf_fail(err, HF_E_FORMAT, "a text without end");
    if (!a.cgroup_id || !a.id[0] || !a.rule[0] || !a.n || a.n > HF_RESPONSES || a.pid > INT32_MAX)
        return hf_fail(err, HF_E_FORMAT, "no container, rule or action");
    for (unsigned i = 0; i < a.n; i++)
        if (a.acts[i] >= HF_RESPONSES)
            return hf_fail(err, HF_E_FORMAT, "action %u is not known", a.acts[i]);
    *ret = a;
    return 0;
}

int hf_executor_send(int fd, struct hf_executor_ask *a, struct hf_err *err)
{
    a->magic = HF_EXECUTOR_MAGIC;
    a->version = HF_EXECUTOR_VERSION;
    a->size = sizeof *a;
    if (send(fd, a, sizeof *a, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof *a)
        return 0;
    return hf_fail(err, errno == EAGAIN || errno == ENOBUFS ? -EAGAIN : -errno, "the executor cannot be asked: %s", strerror(errno));
}

/* Whether the same was done a moment ago: an alert that comes again and again is one story. */
static bool again(struct recent v[RECENT], unsigned *next, uint64_t cgroup_id, enum hf_act act)
{
    uint64_t now = hf_boot_ns();
    for (unsigned i = 0; i < RECENT; i++)
        if (v[i].cgroup_id == cgroup_id && v[i].act == act && now - v[i].at_ns < HF_EXECUTOR_AGAIN_S * 1000000000ull)
            return true;
    v[(*next)++ % RECENT] = (struct recent){cgroup_id, now, act};
    return false;
}

/* The process of the message, when it still is the one that is meant: its start in ticks; else 0. */
static uint64_t start_of(const struct hf_executor_ask *a)
{
    uint64_t ticks = a->pid ? hf_proc_start((pid_t)a->pid) : 0, hz = (uint64_t)sysconf(_SC_CLK_TCK), ns = hz ? ticks * (1000000000u / hz) : 0;
    return ticks && a->start_ns && (ns > a->start_ns ? ns - a->start_ns : a->start_ns - ns) <= START_SLACK_NS ? ticks : 0;
}

/* -EBUSY (the limit of actions a minute) is not told here: it is tried again. */
static int one(const struct hf_executor_opts *o, const struct hf_executor_ask *a, struct hf_target *t, enum hf_act act)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_respond_did did;
    struct hf_respond_opts r = {.state = o->state, .rule = hf_span_z(a->rule), .alert = hf_span_z(a->alert), .for_s = act == HF_ACT_KILL || act == HF_ACT_SNAPSHOT ? 0 : o->for_s};
    int rc = 0;
    hf_respond_did_init(&did);
    if (act == HF_ACT_LIMIT)
        r.gate = o->limit;
    if (act == HF_ACT_KILL) { /* the process that did it, not the service */
        r.pid = (pid_t)a->pid;
        r.pid_start = start_of(a);
        rc = r.pid_start ? 0 : hf_fail(&err, HF_E_NOT_FOUND, "the process that did it has ended");
    }
    rc = rc < 0 ? rc : hf_respond_do(act, t, &r, &did, &err);
    if (rc != -EBUSY)
        o->told(o->ctx, a, act, rc, &did, err.msg, (did.done_ns ? did.done_ns : hf_boot_ns()) - a->event_ns);
    hf_respond_did_done(&did);
    return rc;
}

/* A name is only told: what may be done to the container was decided by what its own state says. */
static void name_it(const struct hf_executor_ask *a, struct hf_target *t)
{
    if (a->name[0] && (!t->name[0] || !strncmp(t->id, t->name, strlen(t->name))))
        snprintf(t->name, sizeof t->name, "%s", a->name);
    if (a->image[0] && !t->image[0])
        snprintf(t->image, sizeof t->image, "%s", a->image);
}

/* Looks the container up, unless *found says that t is it, and acts. */
static int act_on(struct executor *x, const struct hf_executor_ask *a, bool *found, enum hf_act act)
{
    struct hf_err err = HF_ERR_INIT;
    int rc = *found ? 0 : hf_target_by_group(a->cgroup_id, a->id, x->t, &err);
    rc = rc < 0 || *found ? rc : hf_target_facts(x->t, &err);
    *found = rc == 0;
    if (rc < 0) {
        x->o->told(x->o->ctx, a, act, rc, NULL, err.msg, hf_boot_ns() - a->event_ns);
        return rc;
    }
    name_it(a, x->t);
    return one(x->o, a, x->t, act);
}

static void tell_all(const struct executor *x, const struct wanted *w, const char *why)
{
    for (size_t i = 0; i < w->n; i++)
        x->o->told(x->o->ctx, &w->ask, w->acts[i], -EBUSY, NULL, why, hf_boot_ns() - w->ask.event_ns);
}

/* What is wanted from acts[from] on. */
static void put_off(struct executor *x, const struct wanted *w, size_t from)
{
    struct wanted rest = {.ask = w->ask, .n = w->n - from, .until_ns = w->until_ns ? w->until_ns : hf_boot_ns() + WAIT_NS};
    size_t at = x->n_waiting;
    memcpy(rest.acts, w->acts + from, rest.n * sizeof *rest.acts);
    if (x->ending || hf_boot_ns() >= rest.until_ns || x->n_waiting == WAITING_MAX) {
        tell_all(x, &rest, x->ending ? "it waited for its minute, and watch ends" : x->n_waiting == WAITING_MAX ? "too many actions wait: it is not done" : "more actions than may begin in a minute were wanted for five minutes: it is not done");
        return;
    }
    if (!w->until_ns)
        tell_all(x, &rest, "as many actions began within the last minute as may: it is tried again for five minutes");
    while (at && x->waiting[at - 1].until_ns > rest.until_ns)
        at--;
    memmove(x->waiting + at + 1, x->waiting + at, (x->n_waiting++ - at) * sizeof *x->waiting);
    x->waiting[at] = rest;
}

/* Those that have ended; wait: at least one of them. */
static void reap(struct executor *x, bool wait)
{
    int status;
    pid_t pid = 0;
    for (; x->n_children && (pid = waitpid(-1, &status, wait ? 0 : WNOHANG)) > 0; wait = false)
        for (size_t i = 0; i < x->n_children; i++) {
            if (x->children[i].pid != pid)
                continue;
            struct wanted w = x->children[i].what;
            x->children[i] = x->children[--x->n_children];
            if (WIFEXITED(status) && WEXITSTATUS(status) > 0 && (size_t)WEXITSTATUS(status) <= w.n) {
                x->limited = true;
                put_off(x, &w, (size_t)WEXITSTATUS(status) - 1);
            }
            break;
        }
    if (pid < 0 && errno == ECHILD)
        x->n_children = 0;
}

/* A snapshot takes seconds, in which other containers are not to wait: it and what comes after it are done by a process of its own, which does not go
 * before the service.  1: this is that process, 0: there is one, or will be. */
static int aside(struct executor *x, const struct wanted *w, size_t from)
{
    reap(x, false);
    pid_t pid = x->n_children < CHILDREN_MAX ? fork() : -1;
    if (pid == 0) {
        (void)setpriority(PRIO_PROCESS, 0, 0);
        return 1;
    }
    if (pid > 0)
        x->children[x->n_children++] = (struct child){pid, *w};
    else
        put_off(x, w, from);
    return 0;
}

static void perform(struct executor *x, const struct wanted *w)
{
    bool found = false, child = false;
    for (size_t i = 0; i < w->n; i++) {
        if (w->acts[i] == HF_ACT_SNAPSHOT && !child && !(child = aside(x, w, i) > 0))
            return;
        if (act_on(x, &w->ask, &found, w->acts[i]) != -EBUSY)
            continue;
        if (child)
            _exit((int)i + 1);
        x->limited = true;
        put_off(x, w, i);
        return;
    }
    if (child)
        _exit(0);
}

/* Oldest first, until one is refused again. */
static void retry(struct executor *x)
{
    reap(x, false);
    x->limited = false;
    for (size_t n = x->n_waiting; n && x->n_waiting && !x->limited; n--) {
        struct wanted w = x->waiting[0];
        memmove(x->waiting, x->waiting + 1, --x->n_waiting * sizeof *x->waiting);
        perform(x, &w);
    }
}

/* Whether the same waits already. */
static bool waits(const struct executor *x, const struct hf_executor_ask *a, enum hf_act act)
{
    for (size_t i = 0; i < x->n_waiting; i++)
        for (size_t k = 0; k < x->waiting[i].n; k++)
            if (x->waiting[i].ask.cgroup_id == a->cgroup_id && x->waiting[i].acts[k] == act && (act != HF_ACT_KILL || x->waiting[i].ask.pid == a->pid))
                return true;
    return false;
}

static void asked(struct executor *x, const struct hf_executor_ask *a)
{
    static const enum hf_act acts[HF_RESPONSES] = {[HF_RESPONSE_FREEZE] = HF_ACT_FREEZE, [HF_RESPONSE_KILL] = HF_ACT_KILL, [HF_RESPONSE_ISOLATE] = HF_ACT_ISOLATE,
            [HF_RESPONSE_LIMIT] = HF_ACT_LIMIT, [HF_RESPONSE_SNAPSHOT] = HF_ACT_SNAPSHOT};
    struct wanted w = {.ask = *a};
    for (unsigned i = 0; i < a->n; i++)
        if (!again(x->recent, &x->next, a->cgroup_id, acts[a->acts[i]]) && !waits(x, a, acts[a->acts[i]]))
            w.acts[w.n++] = acts[a->acts[i]];
    if (w.n && x->limited)
        put_off(x, &w, 0);
    else
        perform(x, &w);
}

void hf_executor_run(int fd, const struct hf_executor_opts *o)
{
    hf_autofree struct recent *recent = calloc(RECENT, sizeof *recent);
    hf_autofree struct wanted *waiting = calloc(WAITING_MAX, sizeof *waiting);
    hf_autofree struct child *children = calloc(CHILDREN_MAX, sizeof *children);
    hf_autofree struct hf_target *t = calloc(1, sizeof *t);
    struct executor x = {.o = o, .t = t, .recent = recent, .waiting = waiting, .children = children};
    char bytes[sizeof(struct hf_executor_ask) + 1];
    uint64_t retry_ns = 0;
    while (recent && waiting && children && t) {
        struct hf_executor_ask a;
        struct hf_err err = HF_ERR_INIT;
        struct pollfd p = {fd, POLLIN, 0};
        if ((x.n_waiting || x.n_children) && hf_boot_ns() >= retry_ns) { /* however many messages come */
            retry(&x);
            retry_ns = hf_boot_ns() + RETRY_MS * 1000000ull;
        }
        int ready = poll(&p, 1, x.n_waiting || x.n_children ? RETRY_MS : -1);
        if (ready == 0 || (ready < 0 && errno == EINTR))
            continue;
        ssize_t n = ready < 0 ? -1 : recv(fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        if (hf_executor_read(hf_span(bytes, (size_t)n), &a, &err) < 0)
            o->told(o->ctx, NULL, HF_ACTS, HF_E_FORMAT, NULL, err.msg, 0);
        else
            asked(&x, &a);
    }
    x.ending = true;
    for (size_t i = 0; i < x.n_waiting; i++)
        put_off(&x, &waiting[i], 0);
    while (x.n_children) /* evidence that is being written */
        reap(&x, true);
}
