// SPDX-License-Identifier: Apache-2.0
/* /api/v1/rules: what is on, how loud it is, what is excepted, and what the kept alerts would be with the exceptions of now. */
#include <stdio.h>
#include <stdlib.h>

#include "console/api-common.h"
#include "console/live-internal.h"
#include "desk/publish.h"
#include "detect/except.h"
#include "detect/rules.h"
#include "store/incidents.h"
#include "store/pages.h"

#define HOUR INT64_C(3600000000000)
#define DAY (24 * HOUR)

/* ---- exceptions, as published ---- */

static struct hf_excepts *exceptions(const struct hf_request *q)
{
    hf_cleanup(hf_excepts_freep) struct hf_excepts *x = NULL;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    if (hf_excepts_new(&x, &ignored) < 0 || hf_published(q->store, "exceptions", &doc, &ignored) < 0)
        return NULL;
    HF_JFOREACH(f, hf_jget(doc ? hf_json_root(doc) : NULL, "files"))
        if (hf_excepts_add(x, hf_api_keep(q, hf_jgetstr(f, "file")).p, hf_jgetstr(f, "text"), &ignored) < 0)
            return NULL; /* the daemon refuses such a file as well, and says why */
    return hf_take(x);
}

static unsigned exceptions_of(const struct hf_excepts *x, struct hf_span rule)
{
    unsigned n = 0;
    for (size_t i = 0; x && i < hf_excepts_count(x); i++)
        n += hf_span_eq(hf_excepts_at(x, i)->rule, rule);
    return n;
}

static void exception_json(struct hf_jw *w, const struct hf_except *e, int64_t now_ns)
{
    hf_jw_object(w);
    hf_jw_kstr(w, "id", e->id);
    hf_jw_key(w, "keys");
    hf_jw_object(w);
    for (size_t k = 0; k < HF_EXCEPT_KEYS; k++)
        hf_jw_kstr_opt(w, hf_except_keys[k], e->keys[k]);
    if (e->port) {
        char port[16];
        snprintf(port, sizeof port, "%u", e->port);
        hf_jw_kstrz(w, "port", port);
    }
    hf_jw_object_end(w);
    hf_jw_kstr_opt(w, "args", e->args);
    hf_jw_kstr_opt(w, "owner", e->owner);
    hf_jw_kstr_opt(w, "why", e->why);
    hf_jw_kstr_opt(w, "made", e->made);
    hf_jw_kstr_opt(w, "expires", e->expires);
    hf_jw_kbool(w, "expired", hf_except_expired(e, now_ns / 1000000000));
    hf_jw_kstr(w, "file", e->file);
    hf_jw_ku64(w, "line", e->line);
    hf_jw_object_end(w);
}

/* ---- rows ---- */

struct item {
    struct hf_span name;
    const struct hf_rule *rule; /* NULL: alerts are there, but the rule is not loaded any more */
    int severity;
};
struct rules {
    struct hf_api *api;
    const struct hf_request *q;
    struct item *v;
    size_t n, cap;
    struct hf_map known;
    struct hf_excepts *x;
    struct hf_json_doc *cost;
};

static void rules_done(struct rules *r)
{
    free(r->v);
    hf_map_done(&r->known);
    hf_excepts_free(r->x);
    hf_json_doc_free(r->cost);
}

/* One of which there are alerts. */
static void seen(struct rules *r, struct hf_span name, int severity)
{
    uint64_t there;
    if (!name.n || hf_map_get(&r->known, name, &there))
        return;
    struct item *i = hf_grow((void **)&r->v, &r->n, &r->cap, sizeof *i, 1u << 16);
    if (i) {
        *i = (struct item){hf_api_keep(r->q, name), NULL, HF_MAX(severity, 0)};
        (void)!hf_map_at(&r->known, i->name, NULL);
    }
}

static bool seen_live(void *ctx, const struct hf_live_rule *rule)
{
    seen(ctx, rule->name, rule->severity);
    return true;
}

static int seen_stored(void *ctx, const struct hf_alert_count *c)
{
    seen(ctx, c->rule, c->severity);
    return 0;
}

static void cost_text(void *ctx, const struct hf_live_sensor *s)
{
    struct hf_err ignored = HF_ERR_INIT;
    if (s->cost.n)
        (void)!hf_json_parse(s->cost, ctx, &ignored);
}

static int by_name(const void *x, const void *y)
{
    return hf_span_cmp(((const struct item *)x)->name, ((const struct item *)y)->name);
}

static int gather(struct hf_api *api, const struct hf_request *q, struct rules *r, struct hf_err *err)
{
    *r = (struct rules){.api = api, .q = q};
    for (size_t i = 0; api->rules && i < hf_rules_count(api->rules); i++) {
        const struct hf_rule *rule = hf_rules_at(api->rules, i);
        struct item *it = hf_grow((void **)&r->v, &r->n, &r->cap, sizeof *it, 1u << 16);
        if (!it || !hf_map_at(&r->known, rule->name, NULL))
            return hf_fail(err, HF_E_LIMIT, "too many rules for one list");
        *it = (struct item){rule->name, rule, (int)rule->severity};
    }
    int rc = api->live && hf_live_rules(api->live, q->now_ns, seen_live, r) ? 0
            : hf_store_alert_counts(q->store, q->now_ns - 7 * DAY, 0, HF_COUNT_RULE | HF_COUNT_SEVERITY, seen_stored, r, err);
    if (rc < 0)
        return rc;
    if (r->n)
        qsort(r->v, r->n, sizeof *r->v, by_name);
    r->x = exceptions(q);
    if (api->live)
        hf_live_sensor(api->live, cost_text, &r->cost);
    return 0;
}

static void spans(struct hf_jw *w, const char *key, const struct hf_span *v, size_t n)
{
    hf_jw_kstrs(w, key, v, n);
}

static void responds(struct hf_jw *w, const struct hf_rule *r)
{
    hf_jw_key(w, "responds");
    hf_jw_array(w);
    for (size_t i = 0; r && i < r->n_respond; i++)
        hf_jw_strz(w, hf_response_name(r->respond[i]));
    hf_jw_array_end(w);
}

/* Members of a rule, within an object that is open. */
static int rule_members(struct hf_jw *w, const struct rules *all, const struct item *i, struct hf_err *err)
{
    const struct hf_rule *r = i->rule;
    struct hf_live_rule loud = {0};
    int64_t now = all->q->now_ns;
    struct hf_span none = {NULL, 0};
    int rc = 0;
    if (!all->api->live || !hf_live_rule(all->api->live, i->name, now, &loud)) {
        rc = hf_store_alert_count(all->q->store, i->name, none, now - DAY, &loud.day, NULL, err);
        rc = rc < 0 ? rc : hf_store_alert_count(all->q->store, i->name, none, now - 7 * DAY, &loud.week, &loud.last, err);
    }
    hf_jw_kstr(w, "name", i->name);
    hf_jw_kstrz(w, "severity", hf_api_severity_name(i->severity));
    hf_jw_kbool(w, "enabled", r && r->enabled);
    hf_jw_kstr(w, "description", r ? r->desc : none);
    spans(w, "techniques", r ? r->techniques : NULL, r ? r->n_techniques : 0);
    spans(w, "tactics", r ? r->tactics : NULL, r ? r->n_tactics : 0);
    spans(w, "tags", r ? r->tags : NULL, r ? r->n_tags : 0);
    responds(w, r);
    hf_jw_kstr(w, "file", r ? r->source_file : none);
    if (r)
        hf_jw_ku64(w, "line", r->line);
    else
        hf_jw_kbool(w, "missing", true);
    hf_jw_ku64(w, "alerts_24h", loud.day);
    hf_jw_ku64(w, "alerts_7d", loud.week);
    hf_api_when(w, "last_alert", loud.last);
    hf_jw_ku64(w, "exceptions", exceptions_of(all->x, i->name));
    HF_JFOREACH(c, hf_jget(all->cost ? hf_json_root(all->cost) : NULL, "rules"))
        if (hf_span_eq(hf_jgetstr(c, "rule"), i->name)) {
            double own = 0, hooks = 0;
            (void)hf_jnum(hf_jget(c, "core_pct"), &own);
            (void)hf_jnum(hf_jget(c, "hooks_pct"), &hooks);
            hf_jw_key(w, "cost_pct");
            hf_jw_fixed(w, own + hooks, 4);
            if (hf_jis_true(hf_jget(c, "given_up")))
                hf_jw_kbool(w, "given_up", true);
            break;
        }
    return rc;
}

static bool wanted(const struct item *i, struct hf_span text, int enabled)
{
    const struct hf_rule *r = i->rule;
    if (enabled >= 0 && (r && r->enabled) != (enabled == 1))
        return false;
    bool named = hf_api_contains(i->name, text) || (r && hf_api_contains(r->desc, text));
    for (size_t k = 0; r && k < r->n_tags && !named; k++)
        named = hf_api_contains(r->tags[k], text);
    for (size_t k = 0; r && k < r->n_techniques && !named; k++)
        named = hf_api_contains(r->techniques[k], text);
    return named;
}

HF_HANDLER(hf_api_rules)
{
    hf_cleanup(rules_done) struct rules all = {0};
    struct hf_span text;
    struct hf_cursor at;
    int enabled = -1;
    unsigned limit = 0, shown = 0;
    uint64_t total = 0;
    const struct item *last = NULL;
    struct hf_jw w;
    int rc = hf_api_only(q, "q|enabled|limit|cursor", err);
    rc = rc < 0 ? rc : hf_api_search(q, &text, err);
    rc = rc < 0 ? rc : hf_api_bool(q, "enabled", &enabled, err);
    rc = rc < 0 ? rc : hf_api_limit(q, 1000, 100, &limit, err);
    rc = rc < 0 ? rc : hf_api_cursor(q, &at, err);
    rc = rc < 0 ? rc : gather(api, q, &all, err);
    hf_api_page(&w, ret);
    for (size_t i = 0; i < all.n && rc == 0; i++) {
        if (!wanted(&all.v[i], text, enabled))
            continue;
        total++;
        if (at.given && hf_span_cmp(all.v[i].name, at.part[0]) <= 0)
            continue;
        if (shown == limit) {
            if (last && !ret->next[0])
                hf_api_next(ret, 0, 0, &last->name, 1);
            continue;
        }
        shown++;
        last = &all.v[i];
        hf_jw_object(&w);
        rc = rule_members(&w, &all, last, err);
        hf_jw_object_end(&w);
    }
    hf_api_page_end(&w, ret, total);
    return rc < 0 ? rc : hf_api_end(ret, err);
}

/* ---- one ---- */

static const struct item *the_rule(const struct rules *all, struct hf_span name)
{
    for (size_t i = 0; i < all->n; i++)
        if (hf_span_eq(all->v[i].name, name))
            return &all->v[i];
    return NULL;
}

static int not_there(const struct hf_request *q, struct hf_err *err)
{
    return hf_fail(err, HF_E_NOT_FOUND, "there is no rule \"%.100s\"", hf_api_keep(q, q->args[0]).p);
}

static int step(void *ctx, int64_t from, uint64_t n)
{
    struct hf_jw *w = ctx;
    hf_jw_object(w);
    hf_api_when(w, "start", HF_MAX(from, 1));
    hf_jw_ku64(w, "count", n);
    hf_jw_object_end(w);
    return 0;
}

struct named {
    struct hf_api *api;
    struct hf_jw *w;
};

static bool box_name(void *ctx, const struct hf_live_box *b)
{
    hf_jw_kstr_opt(ctx, "name", b->name);
    return true;
}

static int fires_in(void *ctx, struct hf_span container, uint64_t n)
{
    struct named *t = ctx;
    hf_jw_object(t->w);
    hf_jw_kstr(t->w, "container", container);
    if (t->api->live)
        hf_live_box(t->api->live, container, box_name, t->w);
    hf_jw_ku64(t->w, "count", n);
    hf_jw_object_end(t->w);
    return 0;
}

static int last_alert(void *ctx, const struct hf_alert_row *row)
{
    struct hf_jw *w = ctx;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    if (hf_json_parse_within(row->doc, 64u << 20, &doc, &ignored) < 0)
        return 0;
    hf_jw_object(w);
    hf_api_when(w, "time", HF_MAX(row->time, 1));
    hf_jw_kstr(w, "id", hf_jgetstr(hf_json_root(doc), "id"));
    hf_jw_kstr(w, "summary", hf_jgetstr(hf_json_root(doc), "summary"));
    hf_jw_kstr_opt(w, "container", row->container);
    hf_jw_kstr_opt(w, "incident", row->incident);
    hf_jw_object_end(w);
    return 0;
}

static int noise(struct hf_api *api, const struct hf_request *q, struct hf_jw *w, struct hf_span rule, struct hf_err *err)
{
    struct named t = {api, w};
    int64_t since = q->now_ns - 7 * DAY;
    hf_jw_key(w, "hours");
    hf_jw_array(w);
    int rc = hf_page_rule_steps(q->store, rule, since, HOUR, step, w, err);
    hf_jw_array_end(w);
    hf_jw_key(w, "containers");
    hf_jw_array(w);
    rc = rc < 0 ? rc : hf_page_rule_containers(q->store, rule, since, 10, fires_in, &t, err);
    hf_jw_array_end(w);
    hf_jw_key(w, "last_alerts");
    hf_jw_array(w);
    rc = rc < 0 ? rc : hf_page_rule_alerts(q->store, rule, INT64_MAX, INT64_MAX, 10, last_alert, w, err);
    hf_jw_array_end(w);
    return rc;
}

HF_HANDLER(hf_api_rule)
{
    hf_cleanup(rules_done) struct rules all = {0};
    struct hf_jw w;
    int rc = hf_api_only(q, "", err);
    rc = rc < 0 ? rc : gather(api, q, &all, err);
    const struct item *i = rc < 0 ? NULL : the_rule(&all, q->args[0]);
    if (!i)
        return rc < 0 ? rc : not_there(q, err);
    const struct hf_rule *r = i->rule;
    hf_jw_init(&w, &ret->body, false);
    hf_jw_object(&w);
    rc = rule_members(&w, &all, i, err);
    hf_jw_kstr(&w, "condition", r ? r->condition : hf_span("", 0));
    hf_jw_kstr_opt(&w, "output", r ? r->output : hf_span("", 0));
    hf_jw_kstr_opt(&w, "what", r ? r->what : hf_span("", 0));
    hf_jw_kstr_opt(&w, "do", r ? r->todo : hf_span("", 0));
    hf_jw_kstr_opt(&w, "benign", r ? r->benign : hf_span("", 0));
    spans(&w, "unserved", r ? r->unserved : NULL, r ? r->n_unserved : 0);
    rc = rc < 0 ? rc : noise(api, q, &w, i->name, err);
    hf_jw_key(&w, "exception_items");
    hf_jw_array(&w);
    for (size_t k = 0; all.x && k < hf_excepts_count(all.x); k++)
        if (hf_span_eq(hf_excepts_at(all.x, k)->rule, i->name))
            exception_json(&w, hf_excepts_at(all.x, k), q->now_ns);
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    return rc < 0 ? rc : hf_api_end(ret, err);
}

/* ---- replay ---- */

enum { REPLAY_MAX = 20000, REPLAY_SHOWN = 200 };

static void args_of(hf_jnode process, struct hf_buf *out)
{
    bool first = true;
    HF_JFOREACH(a, hf_jget(process, "args")) {
        hf_buf_addz(out, first ? "" : " ");
        hf_buf_adds(out, hf_jstr(a));
        first = false;
    }
}

/* What an alert has for a key of an exception: as detect/except.c asks the event. */
static struct hf_span value_of(hf_jnode a, hf_jnode own, struct hf_span type, unsigned key, struct hf_buf *b)
{
    hf_jnode box = hf_jget(a, "container"), process = hf_jget(a, "process");
    char hash[65];
    hf_buf_clear(b);
    switch (key) {
    case HF_EXCEPT_IMAGE:
        return hf_jgetstr(box, "image");
    case HF_EXCEPT_CONTAINER:
        return box ? hf_jgetstr(box, "name") : HF_S("host");
    case HF_EXCEPT_EXE:
        return hf_jgetstr(process, "exe");
    case HF_EXCEPT_PARENT:
        return hf_jgetstr(hf_jfirst(hf_jget(process, "ancestors")), "exe");
    case HF_EXCEPT_ARGS:
        args_of(process, b);
        hf_except_hash(hf_buf_span(b), hash);
        hf_buf_clear(b);
        hf_buf_addz(b, process ? hash : "");
        return hf_buf_span(b);
    case HF_EXCEPT_PATH:
        if (hf_span_eqz(type, "mount"))
            return hf_jgetstr(own, "target");
        return hf_span_eqz(type, "file") || hf_span_eqz(type, "module") || hf_span_eqz(type, "memory") ? hf_jgetstr(own, "path") : hf_span("", 0);
    case HF_EXCEPT_PEER:
        return hf_jgetstr(own, "peer");
    case HF_EXCEPT_NAME:
        return hf_jget(own, "direction") && hf_jgetstr(own, "name").n ? hf_jgetstr(own, "name") : hf_jgetstr(own, "peer_name");
    case HF_EXCEPT_TARGET:
        return hf_jgetstr(hf_jget(own, "target"), "exe");
    default:
        return hf_span("", 0);
    }
}

static bool falls_under(const struct hf_except *e, hf_jnode a, struct hf_buf *b)
{
    struct hf_span type = hf_jgetstr(a, "event_type");
    char name[32];
    snprintf(name, sizeof name, "%.*s", (int)HF_MIN(type.n, sizeof name - 1), type.n ? type.p : "");
    hf_jnode own = hf_jget(a, name);
    bool server = hf_span_eqz(type, "accept") || hf_span_eqz(type, "listen") || hf_span_eqz(type, "bind");
    if (e->port && e->port != hf_live_u64(own, server ? "local_port" : "peer_port"))
        return false;
    for (unsigned k = 0; k < HF_EXCEPT_KEYS; k++)
        if (e->keys[k].n && !hf_span_eq(e->keys[k], value_of(a, own, type, k, b)))
            return false;
    return true;
}

struct replay {
    const struct hf_request *q;
    struct hf_jw *w;
    const struct hf_excepts *x;
    struct hf_span rule;
    int64_t since, last_time;
    uint64_t last, alerts, would, excepted, unknown;
    bool old;
};

static int replay_row(void *ctx, const struct hf_alert_row *row)
{
    struct replay *r = ctx;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    hf_autobuf b = HF_BUF_INIT(4 << 20);
    const struct hf_except *by = NULL;
    r->last = row->seq;
    r->last_time = row->time;
    if (row->time < r->since) {
        r->old = true;
        return 1;
    }
    if (r->alerts >= REPLAY_MAX)
        return 1;
    r->alerts++;
    if (hf_json_parse_within(row->doc, 64u << 20, &doc, &ignored) < 0)
        return 0;
    hf_jnode a = hf_json_root(doc);
    bool known = hf_jget(a, "event_type") != NULL;
    for (size_t i = 0; known && r->x && i < hf_excepts_count(r->x) && !by; i++) {
        const struct hf_except *e = hf_excepts_at(r->x, i);
        if (hf_span_eq(e->rule, r->rule) && !hf_except_expired(e, r->q->now_ns / 1000000000) && falls_under(e, a, &b))
            by = e;
    }
    *(!known ? &r->unknown : by ? &r->excepted : &r->would) += 1;
    if (r->alerts > REPLAY_SHOWN)
        return 0;
    hf_jw_object(r->w);
    hf_jw_kstr(r->w, "id", hf_jgetstr(a, "id"));
    hf_api_when(r->w, "time", HF_MAX(row->time, 1));
    hf_jw_kstr(r->w, "summary", hf_jgetstr(a, "summary"));
    hf_jw_kstr_opt(r->w, "container", row->container);
    hf_jw_kstrz(r->w, "result", !known ? "cannot_tell" : by ? "excepted" : "would_alert");
    if (by)
        hf_jw_kstr(r->w, "exception", by->id);
    hf_jw_object_end(r->w);
    return 0;
}

HF_HANDLER(hf_api_replay)
{
    hf_cleanup(rules_done) struct rules all = {0};
    uint64_t days = 7;
    struct hf_jw w;
    struct replay r = {.q = q, .w = &w, .rule = q->args[0], .last = INT64_MAX, .last_time = INT64_MAX};
    int rc = hf_api_only(q, "", err);
    rc = rc < 0 ? rc : hf_api_body_only(q, "days", err);
    rc = rc < 0 ? rc : hf_api_body_u64(q, "days", 1, 7, 7, &days, err);
    rc = rc < 0 ? rc : gather(api, q, &all, err);
    const struct item *i = rc < 0 ? NULL : the_rule(&all, q->args[0]);
    if (!i)
        return rc < 0 ? rc : not_there(q, err);
    r.x = all.x;
    r.since = q->now_ns - (int64_t)days * DAY;
    hf_jw_init(&w, &ret->body, false);
    hf_jw_object(&w);
    hf_jw_key(&w, "items");
    hf_jw_array(&w);
    for (uint64_t before = UINT64_MAX; rc == 0 && !r.old && r.alerts < REPLAY_MAX && r.last != before;) {
        before = r.last;
        rc = hf_page_rule_alerts(q->store, q->args[0], r.last_time, r.last, 500, replay_row, &r, err);
        rc = rc < 0 ? rc : 0;
    }
    hf_jw_array_end(&w);
    hf_jw_ku64(&w, "days", days);
    hf_jw_kbool(&w, "enabled", i->rule && i->rule->enabled);
    hf_jw_ku64(&w, "alerts", r.alerts);
    hf_jw_ku64(&w, "would_alert", r.would);
    hf_jw_ku64(&w, "excepted", r.excepted);
    hf_jw_ku64(&w, "cannot_tell", r.unknown);
    hf_jw_kbool(&w, "truncated", r.alerts >= REPLAY_MAX);
    hf_jw_object_end(&w);
    return rc < 0 ? rc : hf_api_end(ret, err);
}
