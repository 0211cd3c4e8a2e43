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

/* Refused for the limit of actions a minute: whoever provokes ten harmless ones must not have the eleventh forgotten. */
struct waiting {
    struct hf_executor_ask ask;
    enum hf_act act;
    uint64_t until_ns;
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

/* -EBUSY is only told when `waits` is false: who calls tries again. */
static int one(const struct hf_executor_opts *o, const struct hf_executor_ask *a, struct hf_target *t, enum hf_act act, bool waits)
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
    if (rc != -EBUSY || !waits)
        o->told(o->ctx, a, act, rc, &did, err.msg, (did.done_ns ? did.done_ns : hf_boot_ns()) - a->event_ns);
    hf_respond_did_done(&did);
    return rc;
}

struct executor {
    const struct hf_executor_opts *o;
    struct hf_target *t;
    struct recent *recent;
    unsigned next, children; /* next: of recent */
    struct waiting *waiting;
    size_t n_waiting;
};

static void wait_for_it(struct executor *x, const struct hf_executor_ask *a, enum hf_act act)
{
    for (size_t i = 0; i < x->n_waiting; i++)
        if (x->waiting[i].ask.cgroup_id == a->cgroup_id && x->waiting[i].act == act)
            return;
    if (x->n_waiting < WAITING_MAX)
        x->waiting[x->n_waiting++] = (struct waiting){*a, act, hf_boot_ns() + WAIT_NS};
    else
        x->o->told(x->o->ctx, a, act, -EBUSY, NULL, "too many actions wait: it is not tried again", hf_boot_ns() - a->event_ns);
}

/* A name is only told: what may be done to the container was decided by what its own state says. */
static void name_it(const struct hf_executor_ask *a, struct hf_target *t)
{
    if (a->name[0] && (!t->name[0] || !strncmp(t->id, t->name, strlen(t->name))))
        snprintf(t->name, sizeof t->name, "%s", a->name);
    if (a->image[0] && !t->image[0])
        snprintf(t->image, sizeof t->image, "%s", a->image);
}

/* A snapshot takes seconds, in which other containers are not to wait: it and what comes after it are done by a process of its own, which does not go
 * before the service.  Whether this is that process, or there is none. */
static bool aside(unsigned *children)
{
    while (*children > 0 && waitpid(-1, NULL, *children >= CHILDREN_MAX ? 0 : WNOHANG) > 0)
        (*children)--;
    pid_t pid = fork();
    if (pid == 0)
        (void)setpriority(PRIO_PROCESS, 0, 0);
    *children += pid > 0;
    return pid <= 0;
}

/* Looks the container up, unless *found says that t is it, and acts. */
static int act_on(const struct hf_executor_opts *o, const struct hf_executor_ask *a, struct hf_target *t, bool *found, enum hf_act act, bool waits)
{
    struct hf_err err = HF_ERR_INIT;
    int rc = *found ? 0 : hf_target_by_group(a->cgroup_id, a->id, t, &err);
    rc = rc < 0 || *found ? rc : hf_target_facts(t, &err);
    *found = rc == 0;
    if (rc < 0) {
        o->told(o->ctx, a, act, rc, NULL, err.msg, hf_boot_ns() - a->event_ns);
        return rc;
    }
    name_it(a, t);
    return one(o, a, t, act, waits);
}

static void told_to_wait(const struct hf_executor_opts *o, const struct hf_executor_ask *a, enum hf_act act)
{
    o->told(o->ctx, a, act, -EBUSY, NULL, "so many actions began within the last minute that no more may: it is tried again for five minutes", hf_boot_ns() - a->event_ns);
}

/* What is wanted of a container, in order. */
static void all_of(struct executor *x, const struct hf_executor_ask *a, const enum hf_act *acts, size_t n)
{
    bool found = false, child = false;
    for (size_t i = 0; i < n; i++) {
        if (acts[i] == HF_ACT_SNAPSHOT && !child) {
            pid_t self = getpid();
            if (!aside(&x->children))
                return;
            child = getpid() != self;
        }
        if (act_on(x->o, a, x->t, &found, acts[i], true) != -EBUSY)
            continue;
        told_to_wait(x->o, a, acts[i]);
        for (uint64_t end = hf_boot_ns() + WAIT_NS; child;) {
            nanosleep(&(struct timespec){RETRY_MS / 1000, RETRY_MS % 1000 * 1000000}, NULL);
            if (act_on(x->o, a, x->t, &found, acts[i], hf_boot_ns() < end) != -EBUSY || hf_boot_ns() >= end)
                break;
        }
        if (!child)
            wait_for_it(x, a, acts[i]);
    }
    if (child)
        _exit(0);
}

/* Oldest first, until one is refused again. */
static void retry(struct executor *x)
{
    while (x->n_waiting) {
        struct waiting w = x->waiting[0];
        bool found = false, over = hf_boot_ns() >= w.until_ns;
        if (act_on(x->o, &w.ask, x->t, &found, w.act, !over) == -EBUSY && !over)
            return;
        memmove(x->waiting, x->waiting + 1, --x->n_waiting * sizeof *x->waiting);
    }
}

static void asked(struct executor *x, const struct hf_executor_ask *a)
{
    static const enum hf_act acts[HF_RESPONSES] = {[HF_RESPONSE_FREEZE] = HF_ACT_FREEZE, [HF_RESPONSE_KILL] = HF_ACT_KILL, [HF_RESPONSE_ISOLATE] = HF_ACT_ISOLATE,
            [HF_RESPONSE_LIMIT] = HF_ACT_LIMIT, [HF_RESPONSE_SNAPSHOT] = HF_ACT_SNAPSHOT};
    enum hf_act fresh[HF_RESPONSES];
    size_t n = 0;
    for (unsigned i = 0; i < a->n; i++)
        if (!again(x->recent, &x->next, a->cgroup_id, acts[a->acts[i]]))
            fresh[n++] = acts[a->acts[i]];
    all_of(x, a, fresh, n);
}

void hf_executor_run(int fd, const struct hf_executor_opts *o)
{
    hf_autofree struct recent *recent = calloc(RECENT, sizeof *recent);
    hf_autofree struct waiting *waiting = calloc(WAITING_MAX, sizeof *waiting);
    hf_autofree struct hf_target *t = calloc(1, sizeof *t);
    struct executor x = {.o = o, .t = t, .recent = recent, .waiting = waiting};
    char bytes[sizeof(struct hf_executor_ask) + 1];
    uint64_t retry_ns = 0;
    while (recent && waiting && t) {
        struct hf_executor_ask a;
        struct hf_err err = HF_ERR_INIT;
        struct pollfd p = {fd, POLLIN, 0};
        if (x.n_waiting && hf_boot_ns() >= retry_ns) { /* however many messages come */
            retry(&x);
            retry_ns = hf_boot_ns() + RETRY_MS * 1000000ull;
        }
        int ready = poll(&p, 1, x.n_waiting ? RETRY_MS : -1);
        if (ready == 0)
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
    for (size_t i = 0; i < x.n_waiting; i++)
        o->told(o->ctx, &waiting[i].ask, waiting[i].act, -EBUSY, NULL, "it waited for its minute, and watch ends", hf_boot_ns() - waiting[i].ask.event_ns);
    while (x.children > 0 && wait(NULL) > 0) /* evidence that is being written */
        x.children--;
}
