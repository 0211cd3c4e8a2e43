// SPDX-License-Identifier: Apache-2.0
/* The unprivileged half of `watch`: records in, lines out.  It runs as nobody, sees no files and may make few system calls. */
#include "cli/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/resident.h"
#include "base/sandbox.h"
#include "cli/recall.h"
#include "cli/reload.h"
#include "cli/rule-files.h"
#include "cli/rules-cli.h"
#include "cli/watch-cost.h"
#include "cli/watch-held.h"
#include "cli/watch-keep.h"
#include "cli/watch-map.h"
#include "cli/watch-respond.h"
#include "cli/watch-text.h"
#include "detect/demand.h"
#include "event/alert-log.h"
#include "event/json.h"
#include "event/track.h"
#include "sensor/ask.h"
#include "sensor/frames.h"

#define NOBODY 65534u
#define HEARTBEAT_MS 5000 /* the privileged half tells of itself every second */
#define LOADING_MS 60000u /* but not while the kernel looks at its programs: at the start, and when it was asked for more */
#define USERS_MAX (4u << 20)
#define MAP_MAX (64u << 20)
#define TREE_DEPTH 8u /* deeper processes are not indented further */
#define ID_SHOWN 14u /* time and counter: enough to find an alert by */
#define NEEDS_BYTES 4096u /* names of rules that need one class of hooks */
#define HELD_MS 50 /* while alerts are held */
#define BEFORE_SHOWN 4u /* lines of what came before an alert on a terminal; the rest has `rules why` */

struct watch {
    const struct hf_watch_opts *o;
    struct hf_track *track;
    struct hf_engine *engine;
    struct hf_recall *recall; /* NULL without rules */
    struct hf_keep *keep;     /* NULL: a replay, which costs nothing that matters */
    const struct hf_cost *cost; /* of the status at hand */
    struct hf_excepts *excepts;
    struct hf_held *held;
    bool guarded; /* there is a guard, whose verdicts come */
    struct hf_buf log_line, line, passwd, group;
    struct hf_users users;
    int reload_fd; /* -1: nothing comes */
    int ask_fd;    /* to the privileged half; -1: there is none */
    struct hf_ask ask; /* what is wanted of it */
    bool ask_due;   /* the sensor has not been told yet */
    bool ask_other; /* perhaps something else is wanted */
    bool ask_answered;
    uint64_t needs_told[2]; /* which demands were: those of all rules, those of the modest ones */
    uint64_t offset_ns, seed, seq, alerts, lost, bad;
    struct hf_recorder *recorder; /* NULL: none, or it has ended */
    bool met; /* a container that is asked for */
    bool record_failed, unread; /* unread: who reads the output has left */
    int out_errno;              /* of the last thing that could not be written to the output */
    uint64_t unwritten;
    bool stopped, silent; /* the privileged half said so; it has not been heard for long */
    unsigned quiet_ms;    /* since it was heard */
    unsigned loading;     /* so many more words from it until it has certainly loaded what it was asked for: one may have been under way */
};

static void write_out(struct watch *w, struct hf_span s)
{
    if (s.n && fwrite(s.p, 1, s.n, stdout) != s.n)
        w->out_errno = errno;
}

static void put(struct watch *w)
{
    if (hf_buf_ok(&w->line))
        write_out(w, hf_buf_span(&w->line));
}

/* An output that takes nothing (a full disk) is an alert that nobody sees: said, counted, and tried again.  A reader that left has seen enough. */
static void flush(struct watch *w)
{
    if (fflush(stdout) != 0)
        w->out_errno = errno;
    if (!w->out_errno)
        return;
    if (w->out_errno == EPIPE && !w->o->goes_on) {
        w->unread = true;
    } else if (!w->unwritten++) {
        if (w->out_errno == EPIPE)
            hf_log(HF_LOG_ERR, "output", "nobody reads the output any more: alerts are not seen there; policies, actions and the recording go on");
        else
            hf_log(HF_LOG_ERR, "output", "the output could not be written: %s; what is told is lost until it can be", hf_err_name(-w->out_errno));
    }
    w->out_errno = 0;
    clearerr(stdout);
}

/* Whether what happened in a container of this name and id is asked for; both empty: on the host. */
static bool wanted_in(const struct watch *w, struct hf_span name, struct hf_span id)
{
    if (!w->o->container)
        return id.n || name.n || w->o->host;
    return hf_span_eqz(name, w->o->container) || (id.n && hf_span_starts(id, hf_span_z(w->o->container)));
}

static bool wanted(const struct watch *w, const struct hf_container *c)
{
    if (!hf_watch_filter_image(&w->o->filter, c))
        return false;
    return c ? wanted_in(w, c->name, c->id) : !w->o->container && w->o->host;
}

/* For `rules why`. */
static void log_alert(struct watch *w, struct hf_span line)
{
    struct hf_err err = HF_ERR_INIT;
    if (w->o->log->failed || hf_alert_log_add(w->o->log, line, &err) == 0)
        return;
    hf_log(HF_LOG_WARNING, "alert_log", "%s; \"rules why\" will not know of alerts from now on", err.msg);
    w->o->log->failed = true;
}

/* Where the events themselves are not shown. */
static void show_before(struct watch *w, const struct hf_alert *a)
{
    if (!w->o->alerts_only && !w->o->filter.types)
        return;
    for (size_t i = a->n_before > BEFORE_SHOWN ? a->n_before - BEFORE_SHOWN : 0; i < a->n_before; i++) {
        hf_buf_addf(&w->line, "%*s", 14, "");
        hf_buf_adds(&w->line, a->before[i]); /* is escaped */
        hf_buf_addc(&w->line, '\n');
    }
}

/* A sum only has the id of its container; when that is not known any more, the sum is rather told than not. */
static bool wanted_image(const struct watch *w, const struct hf_alert *a)
{
    if (!w->o->filter.image)
        return true;
    const struct hf_container *c = a->event ? a->event->container : a->container_id.n ? hf_track_container_by_id(w->track, a->container_id) : NULL;
    return (!c && !a->event && a->container_id.n) || hf_watch_filter_image(&w->o->filter, c);
}

static void alert(void *ctx, const struct hf_alert *told)
{
    struct watch *w = ctx;
    struct hf_alert with = *told, *a = &with;
    struct hf_span before[HF_RECALL_LINES];
    bool of_itself = a->event && a->event->type == HF_EV_STATUS && !a->event->container; /* what holds for all is told whatever is watched */
    if ((!of_itself && !wanted_in(w, a->container_name, a->container_id)) || !hf_watch_filter_alert(&w->o->filter, a) || !wanted_image(w, a))
        return;
    w->alerts++;
    a->taken = hf_watch_respond(w->o->respond_fd, a); /* first of all: it is urgent */
    if (w->o->cost && !w->o->log)
        return;
    if (a->event) {
        a->before = before;
        a->n_before = hf_recall_before(w->recall, a->event->container, a->time_ns, before);
    }
    hf_buf_clear(&w->line);
    if (w->o->json || w->o->log)
        hf_alert_json(a, &w->line);
    bool hold = a->until_verdict && w->guarded && a->event && w->held;
    hf_buf_clear(&w->log_line);
    if (w->o->log)
        hf_buf_adds(&w->log_line, hf_buf_span(&w->line));
    if (w->o->cost)
        hf_buf_clear(&w->line);
    if (!w->o->json && !w->o->cost) {
        hf_buf_clear(&w->line);
        hf_watch_clock(a->time_ns, &w->line);
        hf_buf_addz(&w->line, w->o->colour ? (a->severity >= HF_SEV_HIGH ? "\033[1;31m" : a->severity >= HF_SEV_MEDIUM ? "\033[33m" : "\033[36m") : "");
        hf_watch_column(&w->line, hf_span_z(hf_alert_severity_name(a->severity)), 8);
        hf_watch_column(&w->line, a->container_name.n ? a->container_name : HF_S("host"), 20);
        hf_buf_addz(&w->line, w->o->colour ? "\033[0m" : "");
        hf_buf_add_escaped(&w->line, a->rule, 0);
        hf_buf_addz(&w->line, ": ");
        hf_buf_add_escaped(&w->line, a->summary, 0);
        if (a->taken)
            hf_buf_addf(&w->line, " [%s: %s]", hf_response_name(a->respond[0]), a->taken);
        if (w->o->log) /* what `rules why` and `rules except` take */
            hf_buf_addf(&w->line, "%s  %.*s%s", w->o->colour ? "\033[2m" : "", (int)HF_MIN(a->id.n, (size_t)ID_SHOWN), a->id.p, w->o->colour ? "\033[0m" : "");
        hf_buf_addc(&w->line, '\n');
        if (a->event)
            hf_watch_reached(a->event, &w->line);
        show_before(w, a);
    }
    if (hold && hf_held_take(w->held, a, hf_buf_span(&w->log_line), hf_buf_span(&w->line)))
        return;
    if (w->o->log && hf_buf_ok(&w->log_line))
        log_alert(w, hf_buf_span(&w->log_line));
    put(w);
}

static void tell_held(void *ctx, struct hf_span log, struct hf_span line)
{
    struct watch *w = ctx;
    if (w->o->log && log.n)
        log_alert(w, log);
    write_out(w, line);
}

static bool leave_held(void *ctx, struct hf_span id)
{
    struct watch *w = ctx;
    bool may = hf_engine_unsay(w->engine, id);
    w->alerts -= may;
    return may;
}

static bool held_due(struct watch *w, uint64_t boot_ns)
{
    const struct hf_held_to to = {.tell = tell_held, .leave_out = leave_held, .ctx = w};
    return w->held && hf_held_due(w->held, boot_ns, &to);
}

/* Below its parents within its container, as far as they are known. */
static void process_column(struct watch *w, const struct hf_proc *p)
{
    unsigned depth = 0;
    if (!w->o->tree) {
        hf_watch_column(&w->line, p ? p->comm : HF_S(""), 15);
        return;
    }
    hf_autobuf text = HF_BUF_INIT(256);
    for (const struct hf_proc *up = p ? p->parent : NULL; up && up->container == p->container && depth < TREE_DEPTH; up = up->parent)
        depth++;
    if (p) {
        hf_buf_addf(&text, "%*s", (int)(depth * 2), "");
        hf_buf_adds(&text, p->comm);
        hf_buf_addf(&text, " %u", p->ns_pid ? p->ns_pid : p->pid);
    }
    hf_watch_column(&w->line, hf_buf_span(&text), 2 * TREE_DEPTH + 24);
}

/* ---- cost ---- */

static void cost_view(const struct watch *w, struct hf_cost_view *ret)
{
    struct winsize size = {0};
    *ret = (struct hf_cost_view){.budget_ns = w->o->budget_ns, .only = &w->o->filter.rules, .container = w->o->container, .left_out = hf_keep_left_out(w->keep),
            .alerts = w->alerts, .colour = w->o->colour};
    ret->n_limits = hf_budget_limits(hf_keep_budget(w->keep), ret->limits);
    ret->paced = hf_budget_paced(hf_keep_budget(w->keep));
    if (w->o->cost && !w->o->json && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
        ret->width = size.ws_col;
        ret->rows = size.ws_row;
    }
}

static void cost_member(void *ctx, struct hf_jw *jw)
{
    struct watch *w = ctx;
    struct hf_cost_view v;
    cost_view(w, &v);
    hf_cost_json(w->cost, &v, jw);
}

/* On a terminal in the place of the one before; else one after the other. */
static void show_cost(struct watch *w)
{
    struct hf_cost_view v;
    cost_view(w, &v);
    hf_buf_clear(&w->line);
    if (v.rows)
        hf_buf_addz(&w->line, "\033[H\033[J");
    hf_cost_table(w->cost, &v, &w->line);
    if (!v.rows)
        hf_buf_addc(&w->line, '\n');
    put(w);
}

static void show_status(struct watch *w, const struct hf_event *ev)
{
    if (!w->o->json) {
        if (w->o->cost && w->cost)
            show_cost(w);
        return;
    }
    hf_buf_clear(&w->line);
    bool with = w->cost && (w->o->cost || w->cost->measured);
    hf_event_json_more(ev, with ? cost_member : NULL, w, &w->line);
    put(w);
}

static void show(struct watch *w, const struct hf_event *ev)
{
    bool always = ev->type == HF_EV_LOSS || (ev->type == HF_EV_STATUS && w->o->json);
    if (ev->type != HF_EV_LOSS && !hf_watch_filter_type(&w->o->filter, ev))
        return;
    if (ev->type == HF_EV_STATUS && !w->o->map && (w->o->cost || !w->o->alerts_only)) {
        show_status(w, ev);
        return;
    }
    if (w->o->map || w->o->cost || w->o->alerts_only || ev->type == HF_EV_PROC || ev->type == HF_EV_CGROUP || (!always && !wanted(w, ev->container)))
        return;
    hf_buf_clear(&w->line);
    if (w->o->json) {
        hf_event_json(ev, &w->line);
        put(w);
        return;
    }
    if (hf_watch_is_setup(ev))
        return;
    hf_watch_clock(ev->time_ns, &w->line);
    hf_watch_column(&w->line, HF_S(""), 8);
    hf_watch_column(&w->line, ev->container ? ev->container->name : HF_S("host"), 20);
    process_column(w, ev->proc);
    if (!hf_watch_words(ev, &w->line))
        return;
    hf_buf_addc(&w->line, '\n');
    put(w);
}

/* What the guard says of itself is no beat of the sensor's heart. */
static bool is_guards(const struct hf_event *ev)
{
    struct hf_span rest = ev->text, name, value;
    return hf_event_pair(&rest, &name, &value) && hf_span_starts(name, HF_S("guard"));
}

static void status(struct watch *w, const struct hf_event *ev)
{
    struct hf_span rest = ev->text, name, value;
    if (is_guards(ev)) {
        while (hf_event_pair(&rest, &name, &value))
            if (hf_span_eqz(name, "guard"))
                w->guarded = hf_span_eqz(value, "running");
            else if (hf_span_eqz(name, "error"))
                hf_log(HF_LOG_WARNING, "guard", "%.*s", HF_SPAN_ARG(value));
        w->cost = NULL;
        return;
    }
    w->silent = false;
    w->quiet_ms = 0;
    w->loading -= w->loading > 0;
    w->ask_other = true;
    w->cost = w->keep ? hf_keep_status(w->keep, ev->text, w->engine, hf_boot_ns(), ev->time_ns) : NULL;
    while (hf_event_pair(&rest, &name, &value)) {
        if (hf_span_eqz(name, "state") && hf_span_eqz(value, "stopped"))
            w->stopped = true;
        if (hf_span_eqz(name, "state") && hf_span_eqz(value, "started") && !w->met && w->ask_fd >= 0 && (w->o->container || w->o->filter.image)) /* a mistyped name is as silent as a quiet container */
            hf_log(HF_LOG_NOTICE, "none_yet", "no container that runs now is of %s%s%s%s; those that start are waited for", w->o->container ? "this name or id: " : "such an image: ",
                    w->o->container ? w->o->container : w->o->filter.image, w->o->container && w->o->filter.image ? ", and image " : "", w->o->container && w->o->filter.image ? w->o->filter.image : "");
        if (hf_span_eqz(name, "asked"))
            w->ask_answered = true;
        if (hf_span_starts(name, HF_S("costly.")))
            hf_log(HF_LOG_NOTICE, "costly_hook", "while watching, every system call of this host pays for %.*s, which rules need (\"needs.*\" of the status event; \"hooks: cheap\" in a rule goes without)",
                    HF_SPAN_ARG(value));
        if (hf_span_eqz(name, "error"))
            hf_log(HF_LOG_WARNING, "sensor", "%.*s", HF_SPAN_ARG(value));
    }
}

static void told(struct watch *w, const struct hf_event *ev)
{
    if (w->keep)
        hf_keep_event(w->keep, ev);
    show(w, ev);
    if (!w->engine)
        return;
    hf_engine_event(w->engine, ev);
    if (ev->type == HF_EV_VERDICT && w->held) {
        const struct hf_held_to to = {.tell = tell_held, .leave_out = leave_held, .ctx = w};
        hf_held_verdict(w->held, ev, hf_engine_worst(w->engine), &to);
    }
    if (wanted(w, ev->container))
        hf_recall_add(w->recall, ev); /* only now: it did not come before its own alerts */
}

static void record(struct watch *w, struct hf_span bytes)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_event ev, cred;
    if (hf_event_decode(bytes, &ev, &err) < 0) {
        w->bad++;
        return;
    }
    ev.seq = ++w->seq;
    ev.time_ns = ev.h->time_ns + w->offset_ns;
    int rc = hf_track_event(w->track, &ev, &cred);
    w->bad += rc < 0; /* no memory: not joined as it should be */
    if (ev.type == HF_EV_LOSS && !hf_event_loss_is_share(&ev))
        w->lost += ev.u.loss.count;
    if (ev.type == HF_EV_STATUS)
        status(w, &ev);
    w->met |= ev.type == HF_EV_CONTAINER && wanted(w, ev.container);
    if (rc == 0 || (ev.type == HF_EV_FILE && !ev.container && !w->o->host)) /* the host's files are watched for what containers do to them */
        return;
    told(w, &ev);
    if (rc == 2)
        told(w, &cred);
}

/* Rules that can never match here are no protection: said before anyone relies on them. */
static void tell_silent_rules(const struct hf_rules *rules)
{
    unsigned silent = 0;
    for (size_t i = 0; i < hf_rules_count(rules); i++) {
        const struct hf_rule *r = hf_rules_at(rules, i);
        bool told = !r->enabled;
        for (unsigned c = 0; c < HF_CLASS_NONE && !told; c++)
            told = (r->classes & HF_CLASS_BIT(c)) && hf_class_is_told((enum hf_class)c);
        silent += !told;
    }
    if (silent)
        hf_log(HF_LOG_WARNING, "silent_rules", "%u of the rules need events that the sensor does not tell of and stay silent; \"holdfast rules check\" lists them", silent);
}

/* Expired exceptions are told of, since their alerts come again. */
static void use_excepts(struct watch *w, struct hf_excepts *x)
{
    int64_t now_s = (int64_t)time(NULL);
    for (size_t i = 0; i < hf_excepts_count(x); i++) {
        const struct hf_except *e = hf_excepts_at(x, i);
        if (hf_except_expired(e, now_s))
            hf_log(HF_LOG_WARNING, "exception_expired", "%.*s:%u: the exception from \"%.*s\" has expired on %.*s and is not applied", HF_SPAN_ARG(e->file), e->line, HF_SPAN_ARG(e->rule),
                    HF_SPAN_ARG(e->expires));
    }
    w->excepts = x;
    hf_engine_excepts(w->engine, x);
}

/* What was held back is said at the end. */
static void tell_excepted(const struct watch *w)
{
    for (size_t i = 0; i < hf_excepts_count(w->excepts); i++) {
        const struct hf_except *e = hf_excepts_at(w->excepts, i);
        if (e->used)
            hf_log(HF_LOG_NOTICE, "excepted", "%llu alerts of \"%.*s\" fell under the exception %.*s:%u", (unsigned long long)e->used, HF_SPAN_ARG(e->rule), HF_SPAN_ARG(e->file), e->line);
    }
}

static void engine_opts(struct watch *w, struct hf_engine_opts *ret)
{
    *ret = (struct hf_engine_opts){.alert = alert, .ctx = w, .user_name = hf_users_name, .user_ctx = &w->users, .seed = w->seed};
}

static int prepare(struct watch *w, struct hf_err *err)
{
    struct hf_engine_opts eo;
    tzset();
    w->users = (struct hf_users){hf_buf_span(&w->passwd), hf_buf_span(&w->group)};
    hf_buf_init(&w->line, 1u << 20);
    hf_buf_init(&w->log_line, 1u << 20);
    w->held = hf_held_new(); /* without memory nothing is held */
    int rc = hf_track_new(&w->track, NULL, err);
    if (rc == 0 && w->o->rules) {
        tell_silent_rules(w->o->rules);
        engine_opts(w, &eo);
        rc = hf_engine_new(&w->engine, w->o->rules, &eo, NULL, err);
    }
    if (rc == 0 && w->engine) {
        use_excepts(w, w->o->excepts);
        rc = hf_recall_new(&w->recall, err);
    }
    return rc;
}

/* Tells the privileged half what is needed of it; what it cannot take now is told with the next records. */
static void ask(struct watch *w)
{
    struct hf_err err = HF_ERR_INIT;
    if (!w->ask_due || w->ask_fd < 0)
        return;
    int rc = hf_ask_send(w->ask_fd, &w->ask, &err);
    w->ask_due = rc == -EAGAIN;
    w->loading = 2;
    if (rc < 0 && rc != -EAGAIN && rc != -EPIPE && rc != -ECONNRESET) /* that it has ended is told elsewhere */
        hf_log(HF_LOG_WARNING, "ask", "%s", err.msg);
}

static void record_frame(struct watch *w, uint64_t boot_ns, struct hf_span records);

/* The rules of one kind that need a class of hooks, as "A; B"; their number. */
static unsigned needing(const struct hf_rules *rules, uint64_t demand, bool cheap, struct hf_buf *names)
{
    unsigned n = 0, more = 0;
    hf_buf_clear(names);
    for (size_t i = 0; i < hf_rules_count(rules); i++) {
        const struct hf_rule *r = hf_rules_at(rules, i);
        if (!r->enabled || r->cheap_hooks != cheap || !(hf_rule_demand(r) & demand))
            continue;
        n++;
        if (names->n + r->name.n > NEEDS_BYTES) {
            more++;
            continue;
        }
        hf_buf_addz(names, names->n ? "; " : "");
        hf_buf_adds(names, r->name);
    }
    if (more)
        hf_buf_addf(names, "; and %u more", more);
    return n;
}

/* "needs.memory": the rules because of which it is attached; "needs_cheap.memory": those for which only a cheap hook would be. */
static void tell_needs(struct watch *w, const struct hf_rules *rules)
{
    if (w->needs_told[0] == w->ask.demand && w->needs_told[1] == w->ask.demand_cheap)
        return; /* something else was asked for */
    w->needs_told[0] = w->ask.demand;
    w->needs_told[1] = w->ask.demand_cheap;
    hf_autobuf b = HF_BUF_INIT(65536), names = HF_BUF_INIT(NEEDS_BYTES + 512);
    hf_pairs_begin(&b, HF_EV_STATUS, 0);
    for (unsigned i = 0; i < 2 * HF_DEMANDS; i++) {
        char name[40];
        snprintf(name, sizeof name, "%s.%s", i % 2 ? "needs_cheap" : "needs", hf_demand_name(i / 2));
        if (needing(rules, 1ull << (i / 2), i % 2, &names))
            hf_pairs_add(&b, name, hf_buf_span(&names));
    }
    struct hf_span told = hf_pairs_end(&b);
    if (told.n > sizeof(struct hf_wire_pairs)) {
        record_frame(w, hf_boot_ns(), told);
        record(w, told);
    }
}

/* What the rules need, and what is given up. */
static void ask_anew(struct watch *w)
{
    bool look = w->keep && w->ask_other;
    w->ask_other = false;
    if (!look || !hf_keep_ask(w->keep, w->engine, &w->ask))
        return;
    w->ask.seq++;
    w->ask_due = true;
    ask(w);
}

/* The files that new rules name are not watched when the sensor did not know of them at its start: it takes no paths from this half, which reads
 * hostile bytes. */
static void tell_unseen_files(const struct watch *w, const struct hf_rules *rules)
{
    struct hf_rule_files f = {.list = w->o->watch};
    struct hf_err err = HF_ERR_INIT;
    if (w->o->watch && hf_rule_files(rules, &f, &err) == 0 && f.rows)
        hf_log(HF_LOG_WARNING, "unseen_files", "rules name files that are watched only after a new start: %.*s", HF_SPAN_ARG(hf_buf_span(&f.names)));
    hf_buf_done(&f.names);
}

/* New rules in the place of the old ones: all or nothing.  What counting rules remember goes over where the rule is the same. */
static void reload(struct watch *w)
{
    struct hf_rules *rules = NULL;
    struct hf_excepts *excepts = NULL;
    struct hf_err err = HF_ERR_INIT;
    struct hf_engine_opts eo;
    struct hf_engine *fresh = NULL;
    int rc = hf_reload_take(w->reload_fd, &rules, &excepts, &err);
    if (rc == 0) { /* the other side ends */
        w->reload_fd = -1;
        return;
    }
    if (rc > 0) {
        hf_engine_tick(w->engine, 0, true); /* sums of the old rules are told by them */
        engine_opts(w, &eo);
        rc = hf_engine_new(&fresh, rules, &eo, w->engine, &err);
    }
    if (rc < 0) {
        hf_rules_free(rules);
        hf_excepts_free(excepts);
        hf_log(HF_LOG_ERR, "reload", "not reloaded, the old rules go on: %s", err.msg);
        return;
    }
    w->engine = fresh;
    tell_excepted(w);
    hf_excepts_free(w->excepts);
    tell_silent_rules(rules);
    tell_unseen_files(w, rules);
    if (w->keep) {
        hf_keep_restart(w->keep);
        w->ask_other = true;
        w->needs_told[0] = ~0ull;
        ask_anew(w);
    }
    use_excepts(w, excepts);
    hf_log(HF_LOG_NOTICE, "reloaded", "reloaded: %zu rules, %zu exceptions", hf_rules_count(rules), hf_excepts_count(excepts));
}

/* What this host says of itself: its clock and its users. */
static void look_around(struct watch *w)
{
    struct hf_err ignored = HF_ERR_INIT;
    struct timespec real, boot;
    clock_gettime(CLOCK_REALTIME, &real);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    w->offset_ns = (uint64_t)((real.tv_sec - boot.tv_sec) * 1000000000 + (real.tv_nsec - boot.tv_nsec));
    if (getrandom(&w->seed, sizeof w->seed, GRND_NONBLOCK) < 0)
        w->seed = (uint64_t)real.tv_nsec << 32 ^ (uint64_t)boot.tv_nsec;
    w->seed += !w->seed; /* 0 would be "none" */
    hf_buf_init(&w->passwd, USERS_MAX);
    hf_buf_init(&w->group, USERS_MAX);
    if (hf_read_file("/etc/passwd", &w->passwd, &ignored) < 0 || hf_read_file("/etc/group", &w->group, &ignored) < 0)
        hf_log(HF_LOG_WARNING, "users", "names of users are not known: %s", ignored.msg);
}

/* ---- recording ---- */

/* Names and numbers only: nothing else of these files goes into a recording. */
static void names_only(struct hf_span rest, struct hf_buf *out)
{
    struct hf_span line, name, skipped, number;
    while (hf_span_line(&rest, &line))
        if (hf_span_cut(&line, ':', &name) && hf_span_cut(&line, ':', &skipped) && hf_span_cut(&line, ':', &number)) {
            hf_buf_adds(out, name);
            hf_buf_addz(out, ":x:");
            hf_buf_adds(out, number);
            hf_buf_addz(out, ":\n");
        }
}

static int begin_recording(struct watch *w, struct hf_err *err)
{
    hf_autobuf users = HF_BUF_INIT(USERS_MAX), groups = HF_BUF_INIT(USERS_MAX);
    struct utsname u;
    if (w->o->record_fd < 0)
        return 0;
    names_only(hf_buf_span(&w->passwd), &users);
    names_only(hf_buf_span(&w->group), &groups);
    if (uname(&u) < 0)
        return hf_fail(err, -errno, "uname: %s", strerror(errno));
    struct hf_recording_facts f = {.offset_ns = w->offset_ns, .seed = w->seed, .started_ns = hf_boot_ns(), .hostname = hf_span_z(u.nodename),
            .kernel = hf_span_z(u.release), .program = HF_S(HF_VERSION), .passwd = hf_buf_span(&users), .group = hf_buf_span(&groups)};
    return hf_recorder_new(&w->recorder, w->o->record_fd, w->o->record_max, &f, err);
}

static void record_frame(struct watch *w, uint64_t boot_ns, struct hf_span records)
{
    struct hf_err err = HF_ERR_INIT;
    if (!w->recorder || hf_recorder_frame(w->recorder, boot_ns, records, &err) == 0)
        return;
    hf_log(HF_LOG_ERR, "recording", "%s", err.msg); /* watching goes on */
    w->record_failed = true;
    hf_recorder_free(w->recorder);
    w->recorder = NULL;
}

static void end_recording(struct watch *w)
{
    struct hf_err err = HF_ERR_INIT;
    if (w->recorder && hf_recorder_end(w->recorder, hf_boot_ns(), w->stopped ? "stopped" : "sensor ended", &err) < 0) {
        hf_log(HF_LOG_ERR, "recording", "%s", err.msg);
        w->record_failed = true;
    }
    hf_recorder_free(w->recorder);
    w->recorder = NULL;
}

/* What only machines read of a kind that no rule needs is not asked for where nothing but alerts, connections or costs is shown. */
static int begin_keeping(struct watch *w, struct hf_err *err)
{
    bool few = (w->o->alerts_only || w->o->map || w->o->cost) && w->o->record_fd < 0;
    const struct hf_keep_opts o = {.budget_ns = w->o->budget_ns, .all = w->o->map || w->o->record_fd >= 0, .always = w->o->cost, .left_out = few ? 1ull << HF_EV_RENAME | 1ull << HF_EV_IO_URING | 1ull << HF_EV_MEM : 0,
            .demand = hf_watch_filter_names(&w->o->filter, "memory") ? HF_DEMAND_MEMORY : 0};
    return hf_keep_new(&w->keep, &o, err);
}

static int confine(const struct hf_watch_opts *o, struct hf_err *err)
{
    if (o->no_sandbox)
        return 0;
    int rc = 0;
    if (geteuid() == 0)
        rc = hf_sandbox_drop(NOBODY, NOBODY, err);
    else if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) /* a replay by an ordinary user */
        rc = hf_fail(err, -errno, "could not give up gaining privileges");
    if (rc == 0)
        rc = hf_sandbox_files(NULL, err);
    if (rc == 1)
        hf_log(HF_LOG_WARNING, "sandbox", "this kernel has no Landlock: files are only guarded by their permissions");
    return rc < 0 ? rc : hf_sandbox_calls(err);
}

/* What arrived together at boot_ns. */
static void frame(struct watch *w, uint64_t boot_ns, struct hf_span records)
{
    struct hf_err err = HF_ERR_INIT;
    size_t len;
    int rc = 0;
    for (; records.n && (rc = hf_event_frame(records, &len, &err)) > 0; records = hf_span_from(records, len))
        record(w, hf_span_sub(records, 0, len));
    w->bad += records.n > 0;
    (void)held_due(w, boot_ns);
    if (w->engine)
        hf_engine_tick(w->engine, boot_ns + w->offset_ns, false);
    flush(w);
}

/* What was decided about the cost: taken in as if the sensor had told it. */
static void own_record(struct watch *w, uint64_t now)
{
    struct hf_span r = w->keep ? hf_keep_record(w->keep) : hf_span(NULL, 0);
    if (r.n) {
        record_frame(w, now, r);
        frame(w, now, r);
    }
    ask_anew(w);
}

static void loop(struct watch *w, int fd)
{
    static char bytes[HF_WIRE_MAX + 64];
    w->loading = 1;
    w->ask_other = true;
    ask_anew(w);
    struct stat st;
    /* of a pipe it is known at once when nobody reads it any more, not with the next event */
    int out_fd = !w->o->goes_on && fstat(STDOUT_FILENO, &st) == 0 && S_ISFIFO(st.st_mode) ? STDOUT_FILENO : -1;
    while (!w->unread) {
        ask(w);
        struct pollfd p[3] = {{fd, POLLIN, 0}, {w->reload_fd, POLLIN, 0}, {out_fd, 0, 0}};
        int wait_ms = held_due(w, hf_boot_ns()) ? HELD_MS : HEARTBEAT_MS;
        flush(w);
        int ready = poll(p, 3, wait_ms);
        w->unread |= ready > 0 && (p[2].revents & POLLERR);
        w->quiet_ms += ready == 0 ? (unsigned)wait_ms : 0;
        if (ready == 0 && w->quiet_ms >= (w->loading ? LOADING_MS : HEARTBEAT_MS) && !w->stopped && !w->silent) { /* it unloads its programs after its last word */
            w->silent = true;
            hf_log(HF_LOG_ERR, "sensor_silent", "the sensor has said nothing for %u s: it is stopped or starved, events may be lost", w->quiet_ms / 1000);
        }
        if (ready > 0 && p[1].revents)
            reload(w);
        if (ready <= 0 || !p[0].revents)
            continue;
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0)
            return;
        uint64_t now = hf_boot_ns();
        w->quiet_ms = 0;
        record_frame(w, now, hf_span(bytes, (size_t)n));
        frame(w, now, hf_span(bytes, (size_t)n));
        own_record(w, now);
        if (w->ask_answered && w->engine) {
            w->ask_answered = false;
            tell_needs(w, hf_engine_rules(w->engine));
            flush(w);
        }
    }
}

static bool on_map(void *ctx, const struct hf_container *c)
{
    return wanted(ctx, c);
}

static void show_map(struct watch *w)
{
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf out = HF_BUF_INIT(MAP_MAX);
    if (hf_watch_map(w->track, w->o->json, on_map, w, &out, &err) == 0) {
        write_out(w, hf_buf_span(&out));
        return;
    }
    hf_log(HF_LOG_ERR, "map", "%s", err.msg);
    w->bad++; /* not everything was told */
}

static void done(struct watch *w)
{
    if (w->o->map)
        show_map(w);
    (void)held_due(w, UINT64_MAX);
    hf_held_free(w->held);
    if (w->engine)
        hf_engine_tick(w->engine, 0, true);
    flush(w);
    tell_excepted(w);
    hf_engine_free(w->engine);
    hf_excepts_free(w->excepts);
    hf_recall_free(w->recall);
    hf_keep_free(w->keep);
    hf_track_free(w->track);
    hf_buf_done(&w->line);
    hf_buf_done(&w->log_line);
    hf_buf_done(&w->passwd);
    hf_buf_done(&w->group);
}

static int losses(const struct watch *w, struct hf_err *err)
{
    if (w->bad)
        return hf_fail(err, HF_E_INCOMPLETE, "%llu records could not be read or kept", (unsigned long long)w->bad);
    if (w->lost)
        return hf_fail(err, HF_E_INCOMPLETE, "%llu events were lost", (unsigned long long)w->lost);
    if (w->unwritten)
        return hf_fail(err, HF_E_INCOMPLETE, "the output could not be written %llu times: what it should have told is lost", (unsigned long long)w->unwritten);
    return 0;
}

int hf_watch_engine(const struct hf_watch_opts *o, int fd, struct hf_err *err)
{
    struct watch w = {.o = o, .reload_fd = o->rules ? o->reload_fd : -1, .ask_fd = fd};
    look_around(&w);
    int rc = prepare(&w, err);
    rc = rc < 0 ? rc : begin_keeping(&w, err);
    rc = rc < 0 ? rc : begin_recording(&w, err);
    rc = rc < 0 ? rc : confine(o, err);
    if (rc < 0)
        return rc;
    hf_resident_settle();
    loop(&w, fd);
    end_recording(&w);
    done(&w);
    if (w.unread)
        return hf_fail(err, -EIO, "nobody reads the output");
    if (!w.stopped)
        return hf_fail(err, -ECONNRESET, "the sensor ended without a word: it was killed or did not start; what happened since is not known");
    rc = losses(&w, err);
    if (rc == 0 && w.record_failed)
        rc = hf_fail(err, HF_E_INCOMPLETE, "the recording is not complete");
    return rc;
}

int hf_watch_replay(const struct hf_watch_opts *o, int fd, struct hf_err *err)
{
    struct watch w = {.o = o, .ask_fd = -1};
    struct hf_recording_frame f;
    struct hf_err inner = HF_ERR_INIT;
    hf_cleanup(hf_recording_closep) struct hf_recording *r = NULL;
    int rc = confine(o, err); /* what is read is hostile */
    rc = rc < 0 ? rc : hf_recording_open(&r, hf_recording_read_fd, &fd, err);
    if (rc < 0) {
        hf_rules_free(o->rules);
        hf_excepts_free(o->excepts);
        return rc;
    }
    const struct hf_recording_facts *facts = hf_recording_facts(r);
    w.offset_ns = facts->offset_ns;
    w.seed = facts->seed;
    hf_buf_init(&w.passwd, HF_RECORDING_HEADER_MAX);
    hf_buf_init(&w.group, HF_RECORDING_HEADER_MAX);
    hf_buf_adds(&w.passwd, facts->passwd);
    hf_buf_adds(&w.group, facts->group);
    rc = prepare(&w, err);
    if (rc < 0)
        return rc;
    while (!w.unread && (rc = hf_recording_next(r, &f, &inner)) > 0)
        frame(&w, f.boot_ns, f.records);
    done(&w);
    if (w.unread)
        return hf_fail(err, -EIO, "nobody reads the output");
    if (rc < 0)
        return hf_fail(err, HF_E_INCOMPLETE, "%s; %llu events were read before", inner.msg, (unsigned long long)w.seq);
    if (hf_span_eqz(hf_recording_reason(r), "limit"))
        return hf_fail(err, HF_E_INCOMPLETE, "the recording reached its limit; what happened afterwards is not in it");
    if (!hf_span_eqz(hf_recording_reason(r), "stopped"))
        return hf_fail(err, HF_E_INCOMPLETE, "the sensor was killed while it was recorded; what happened since is not known");
    return losses(&w, err);
}
