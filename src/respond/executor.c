// SPDX-License-Identifier: Apache-2.0
#include "respond/executor.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "sensor/frames.h"

#define RECENT 256u
#define CHILDREN_MAX 8u
#define START_SLACK_NS 20000000ull /* /proc counts in ticks of 10 ms */

struct recent {
    uint64_t cgroup_id, at_ns;
    enum hf_act act;
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

static void one(const struct hf_executor_opts *o, const struct hf_executor_ask *a, struct hf_target *t, enum hf_act act)
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
    o->told(o->ctx, a, act, rc, &did, err.msg, (did.done_ns ? did.done_ns : hf_boot_ns()) - a->event_ns);
    hf_respond_did_done(&did);
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

/* What is wanted of a container, in order. */
static void all_of(const struct hf_executor_opts *o, const struct hf_executor_ask *a, const enum hf_act *acts, size_t n, struct hf_target *t, unsigned *children)
{
    bool found = false;
    pid_t self = getpid();
    for (size_t i = 0; i < n; i++) {
        struct hf_err err = HF_ERR_INIT;
        if (acts[i] == HF_ACT_SNAPSHOT && getpid() == self && !aside(children))
            return;
        int rc = found ? 0 : hf_target_by_group(a->cgroup_id, a->id, t, &err);
        rc = rc < 0 || found ? rc : hf_target_facts(t, &err);
        found = rc == 0;
        if (found)
            name_it(a, t);
        if (rc < 0)
            o->told(o->ctx, a, acts[i], rc, NULL, err.msg, hf_boot_ns() - a->event_ns);
        else
            one(o, a, t, acts[i]);
    }
    if (getpid() != self)
        _exit(0);
}

void hf_executor_run(int fd, const struct hf_executor_opts *o)
{
    static const enum hf_act acts[HF_RESPONSES] = {[HF_RESPONSE_FREEZE] = HF_ACT_FREEZE, [HF_RESPONSE_KILL] = HF_ACT_KILL, [HF_RESPONSE_ISOLATE] = HF_ACT_ISOLATE,
            [HF_RESPONSE_LIMIT] = HF_ACT_LIMIT, [HF_RESPONSE_SNAPSHOT] = HF_ACT_SNAPSHOT};
    hf_autofree struct recent *recent = calloc(RECENT, sizeof *recent);
    hf_autofree struct hf_target *t = calloc(1, sizeof *t);
    char bytes[sizeof(struct hf_executor_ask) + 1];
    unsigned next = 0, children = 0;
    while (recent && t) {
        struct hf_executor_ask a;
        struct hf_err err = HF_ERR_INIT;
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        if (hf_executor_read(hf_span(bytes, (size_t)n), &a, &err) < 0) {
            o->told(o->ctx, NULL, HF_ACTS, HF_E_FORMAT, NULL, err.msg, 0);
            continue;
        }
        enum hf_act fresh[HF_RESPONSES];
        size_t n_fresh = 0;
        for (unsigned i = 0; i < a.n; i++)
            if (!again(recent, &next, a.cgroup_id, acts[a.acts[i]]))
                fresh[n_fresh++] = acts[a.acts[i]];
        all_of(o, &a, fresh, n_fresh, t, &children);
    }
    while (children > 0 && wait(NULL) > 0) /* evidence that is being written */
        children--;
}
