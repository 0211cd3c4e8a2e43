// SPDX-License-Identifier: Apache-2.0
#include "cli/watch-respond.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/json.h"
#include "base/log.h"
#include "event/track.h"
#include "respond/executor.h"

#define LIMIT_PACKETS 1000u     /* a second out of a container that a rule wants limited */
#define LIMIT_CONNECTIONS 50u
#define ACT_LINE 4000u
#define URGENT (-10)            /* before what it is to stop */

static int acts_fd = -1; /* of the executor's process */

/* To the daemon, which started this watch and has a pipe for it: what was done, one line, whole or not at all (it is below PIPE_BUF). */
static void tell_daemon(const struct hf_executor_ask *a, enum hf_act act, int rc, const struct hf_respond_did *did, const char *msg, uint64_t took_ns)
{
    hf_autobuf line = HF_BUF_INIT(ACT_LINE);
    struct hf_jw w;
    if (acts_fd < 0)
        return;
    hf_jw_init(&w, &line, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "alert", a->alert);
    hf_jw_kstrz(&w, "rule", a->rule);
    hf_jw_kstrz(&w, "container", a->id);
    hf_jw_kstrz(&w, "action", hf_act_name(act));
    hf_jw_key(&w, "rc");
    hf_jw_i64(&w, rc);
    hf_jw_ku64(&w, "took_us", took_ns / 1000);
    hf_jw_kstr_opt(&w, "rung", hf_span_z(did ? did->rung : ""));
    if (rc < 0)
        hf_jw_kstr(&w, "error", hf_span_z(msg));
    hf_jw_object_end(&w);
    hf_buf_addc(&line, '\n');
    if (hf_buf_ok(&line))
        (void)!write(acts_fd, line.p, line.n);
}

static void told(void *ctx, const struct hf_executor_ask *a, enum hf_act act, int rc, const struct hf_respond_did *did, const char *msg, uint64_t took_ns)
{
    (void)ctx;
    if (!a) {
        hf_log(HF_LOG_WARNING, "respond", "a request that is no good: %s", msg);
        return;
    }
    tell_daemon(a, act, rc, did, msg, took_ns);
    if (rc < 0)
        hf_log(HF_LOG_ERR, "respond", "%s of container %.12s, which \"%s\" wants: %s", hf_act_name(act), a->id, a->rule, msg);
    else
        hf_log(HF_LOG_NOTICE, "respond", "%s of container %.12s by \"%s\": done %.1f ms after the event (%s)%s", hf_act_name(act), a->id, a->rule, (double)took_ns / 1e6, did->rung,
                did->not_logged ? "; the log of actions could not be written" : "");
}

int hf_watch_executor(const struct hf_watch_respond_opts *o, pid_t *ret_pid, int *ret_fd, struct hf_err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return hf_fail(err, -errno, "no socket to the executor");
    fflush(stdout);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        struct hf_executor_opts e = {.state = o->state, .for_s = o->for_s, .told = told};
        e.limit.rate[HF_GATE_OUT][HF_GATE_PACKETS] = LIMIT_PACKETS;
        e.limit.rate[HF_GATE_OUT][HF_GATE_CONNECTS] = LIMIT_CONNECTIONS;
        close(pair[0]);
        signal(SIGINT, SIG_IGN); /* ends with the engine */
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpriority(PRIO_PROCESS, 0, URGENT);
        uint64_t acts = 0;
        const char *given = getenv("HOLDFAST_ACTS_FD");
        if (given && hf_parse_u64(hf_span_z(given), 10, 3, 1 << 20, &acts) == 0 && fcntl((int)acts, F_GETFL) >= 0)
            acts_fd = (int)acts;
        if (getppid() == parent)
            hf_executor_run(pair[1], &e);
        _exit(0);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return hf_fail(err, -EAGAIN, "no process for the executor");
    }
    *ret_pid = pid;
    *ret_fd = pair[0];
    return 0;
}

const char *hf_watch_respond(int fd, const struct hf_alert *a)
{
    struct hf_executor_ask m = {.n = 0};
    struct hf_err err = HF_ERR_INIT;
    if (!a->n_respond || !a->event)
        return NULL;
    if (fd < 0)
        return "none (watch runs without --respond)";
    const struct hf_container *c = a->event->container;
    if (!c)
        return "none (not in a container)";
    m.cgroup_id = c->cgroup_id;
    m.event_ns = a->event->h->time_ns;
    if (a->event->proc) {
        m.pid = a->event->proc->pid;
        m.start_ns = a->event->proc->start_ns;
    }
    m.n = (uint32_t)HF_MIN(a->n_respond, sizeof m.acts);
    memcpy(m.acts, a->respond, m.n);
    snprintf(m.id, sizeof m.id, "%.*s", HF_SPAN_ARG(c->id));
    snprintf(m.name, sizeof m.name, "%.*s", HF_SPAN_ARG(c->name));
    snprintf(m.image, sizeof m.image, "%.*s", HF_SPAN_ARG(c->image));
    snprintf(m.rule, sizeof m.rule, "%.*s", HF_SPAN_ARG(a->rule));
    snprintf(m.alert, sizeof m.alert, "%.*s", HF_SPAN_ARG(a->id));
    if (hf_executor_send(fd, &m, &err) == 0)
        return "asked";
    hf_log(HF_LOG_ERR, "respond", "%s", err.msg);
    return "failed";
}
