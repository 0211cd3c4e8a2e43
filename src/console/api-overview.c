// SPDX-License-Identifier: Apache-2.0
/* How things stand: overview, sensor, map, the last events. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "console/api-common.h"
#include "console/live-internal.h"
#include "store/incidents.h"
#include "store/inventory.h"
#include "store/pages.h"

#define HOUR INT64_C(3600000000000)

/* ---- health ---- */

static void health(void *ctx, const struct hf_live_sensor *s)
{
    struct hf_jw *w = ctx;
    hf_jw_object(w);
    hf_jw_kbool(w, "connected", s->connected);
    hf_jw_kstr_opt(w, "why", hf_span_z(s->why));
    hf_jw_kstr_opt(w, "state", s->state);
    hf_api_when(w, "since", s->since);
    hf_api_when(w, "last_line", s->last_line);
    if (s->uptime_s)
        hf_jw_ku64(w, "uptime_s", s->uptime_s);
    const struct {
        const char *key;
        double v;
        unsigned decimals;
    } numbers[] = {{"seen_per_s", s->seen_per_s, 1}, {"core_pct", s->core_pct, 3}, {"budget_pct", s->budget_pct, 3}};
    for (size_t i = 0; i < HF_ARRAY_LEN(numbers); i++)
        if (numbers[i].v >= 0) {
            hf_jw_key(w, numbers[i].key);
            hf_jw_fixed(w, numbers[i].v, numbers[i].decimals);
        }
    if (s->rss_kib)
        hf_jw_ku64(w, "rss_kib", s->rss_kib);
    hf_jw_ku64(w, "lost", s->lost);
    hf_jw_ku64(w, "lost_60s", s->lost_60s);
    hf_jw_object_end(w);
}

void hf_api_sensor_health(struct hf_api *api, struct hf_jw *w, const char *key)
{
    static const struct hf_live_sensor none = {.why = "nothing is watched here"};
    hf_jw_key(w, key);
    if (api->live)
        hf_live_sensor(api->live, health, w);
    else
        health(w, &none);
}

/* ---- overview ---- */

struct counts {
    uint64_t state[4], severity[7];
    struct {
        uint64_t n, high;
    } hours[24];
    uint64_t alerts, alert_severity[7];
    int64_t first_hour;
    struct loud {
        struct hf_span rule;
        int severity;
        uint64_t n;
    } *rules;
    size_t n_rules, cap_rules;
    const struct hf_request *q;
};

static void counts_done(struct counts *c)
{
    free(c->rules);
}

static int incident_count(void *ctx, struct hf_span state, int severity, uint64_t n)
{
    static const char *const names[] = {"open", "acknowledged", "contained", "resolved"};
    struct counts *c = ctx;
    for (size_t i = 0; i < 4; i++)
        if (hf_span_eqz(state, names[i])) {
            c->state[i] += n;
            if (i < 3)
                c->severity[HF_MAX(0, HF_MIN(severity, 6))] += n;
        }
    return 0;
}

static int alert_count(void *ctx, const struct hf_alert_count *row)
{
    struct counts *c = ctx;
    size_t severity = (size_t)HF_MAX(0, HF_MIN(row->severity, 6)), at = (size_t)HF_MAX(0, HF_MIN((row->from - c->first_hour) / HOUR, 23));
    c->alerts += row->n;
    c->alert_severity[severity] += row->n;
    c->hours[at].n += row->n;
    if (severity >= 5)
        c->hours[at].high += row->n;
    if (!row->rule.n)
        return 0;
    struct loud *l = NULL;
    for (size_t i = 0; i < c->n_rules && !l; i++)
        if (hf_span_eq(c->rules[i].rule, row->rule))
            l = &c->rules[i];
    if (!l && (l = hf_grow((void **)&c->rules, &c->n_rules, &c->cap_rules, sizeof *l, 4096)))
        l->rule = hf_api_keep(c->q, row->rule);
    if (l) {
        l->n += row->n;
        l->severity = HF_MAX(l->severity, (int)severity);
    }
    return 0;
}

static bool live_rule(void *ctx, const struct hf_live_rule *r)
{
    struct counts *c = ctx;
    struct loud *l = r->day ? hf_grow((void **)&c->rules, &c->n_rules, &c->cap_rules, sizeof *l, 4096) : NULL;
    if (l)
        *l = (struct loud){hf_api_keep(c->q, r->name), r->severity, r->day};
    return true;
}

/* Of what was counted as it came; else of the store. */
static int alert_counts(struct hf_api *api, const struct hf_request *q, struct counts *c, struct hf_err *err)
{
    struct hf_live_hour hours[24];
    if (!api->live || !hf_live_noise(api->live, q->now_ns, hours, c->alert_severity)) {
        memset(c->alert_severity, 0, sizeof c->alert_severity);
        return hf_store_alert_counts(q->store, c->first_hour, HOUR, HF_COUNT_RULE | HF_COUNT_SEVERITY, alert_count, c, err);
    }
    for (size_t i = 0; i < 24; i++) {
        c->hours[i].n = hours[i].n;
        c->hours[i].high = hours[i].high;
        c->alerts += hours[i].n;
    }
    (void)hf_live_rules(api->live, q->now_ns, live_rule, c);
    return 0;
}

static int loudest(const void *x, const void *y)
{
    const struct loud *a = x, *b = y;
    return a->n != b->n ? (a->n > b->n ? -1 : 1) : hf_span_cmp(a->rule, b->rule);
}

static void incidents_json(struct hf_jw *w, const struct counts *c, uint64_t mine)
{
    hf_jw_key(w, "incidents");
    hf_jw_object(w);
    hf_jw_ku64(w, "open", c->state[0]);
    hf_jw_ku64(w, "acknowledged", c->state[1]);
    hf_jw_ku64(w, "contained", c->state[2]);
    hf_jw_ku64(w, "resolved", c->state[3]);
    hf_jw_ku64(w, "mine", mine);
    hf_api_by_severity(w, "by_severity", c->severity);
    hf_jw_object_end(w);
}

static void alerts_json(struct hf_jw *w, struct counts *c)
{
    hf_jw_key(w, "alerts");
    hf_jw_object(w);
    hf_jw_ku64(w, "total_24h", c->alerts);
    hf_api_by_severity(w, "by_severity", c->alert_severity);
    hf_jw_key(w, "hours");
    hf_jw_array(w);
    for (size_t i = 0; i < 24; i++) {
        hf_jw_object(w);
        hf_api_when(w, "start", HF_MAX(c->first_hour + (int64_t)i * HOUR, 1));
        hf_jw_ku64(w, "count", c->hours[i].n);
        hf_jw_ku64(w, "high", c->hours[i].high);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    hf_jw_object_end(w);
    if (c->n_rules)
        qsort(c->rules, c->n_rules, sizeof *c->rules, loudest);
    hf_jw_key(w, "rules");
    hf_jw_array(w);
    for (size_t i = 0; i < c->n_rules && i < 10; i++) {
        hf_jw_object(w);
        hf_jw_kstr(w, "rule", c->rules[i].rule);
        hf_jw_kstrz(w, "severity", hf_api_severity_name(c->rules[i].severity));
        hf_jw_ku64(w, "count", c->rules[i].n);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
}

int hf_api_running_findings(struct hf_api *api, const struct hf_request *q, struct hf_finding_counts *ret, struct hf_err *err)
{
    struct hf_span key = HF_S("findings of what runs");
    hf_autobuf text = HF_BUF_INIT(sizeof *ret);
    if (api->live && hf_live_kept(api->live, key, q->now_ns, &text) && text.n == sizeof *ret) {
        memcpy(ret, text.p, sizeof *ret);
        return 0;
    }
    int rc = hf_store_finding_counts(q->store, hf_span(NULL, 0), true, ret, err);
    if (rc == 0 && api->live)
        hf_live_keep(api->live, key, hf_span((const char *)ret, sizeof *ret), q->now_ns + INT64_C(10000000000));
    return rc;
}

static int inventory_json(struct hf_api *api, const struct hf_request *q, struct hf_jw *w, struct hf_err *err)
{
    struct hf_page_inventory n = {0};
    struct hf_finding_counts f = {0};
    struct hf_live_counts live = {0};
    int rc = hf_page_inventory(q->store, &n, err);
    rc = rc < 0 ? rc : hf_api_running_findings(api, q, &f, err);
    if (api->live)
        hf_live_counts(api->live, &live);
    hf_jw_key(w, "containers");
    hf_jw_object(w);
    hf_jw_ku64(w, "running", HF_MAX(n.running, (uint64_t)live.running)); /* the store may know those of other hosts, live those of this moment */
    hf_jw_ku64(w, "total", HF_MAX(n.containers, (uint64_t)live.boxes));
    hf_jw_object_end(w);
    hf_jw_key(w, "images");
    hf_jw_object(w);
    hf_jw_ku64(w, "total", n.images);
    hf_jw_ku64(w, "scanned", n.scanned);
    hf_jw_ku64(w, "running", n.images_running);
    hf_jw_object_end(w);
    hf_jw_key(w, "findings");
    hf_jw_object(w);
    hf_api_by_severity(w, "by_severity", f.n);
    hf_api_by_severity(w, "used_by_severity", f.used);
    hf_jw_object_end(w);
    return rc;
}

/* Counts of incidents hold as long as none changes. */
static int incident_counts(struct hf_api *api, const struct hf_request *q, struct counts *c, uint64_t *mine, struct hf_err *err)
{
    struct hf_incident_filter f = {.states = HF_STATE_UNRESOLVED, .assignee = q->who.name};
    struct {
        uint64_t state[4], severity[7], mine;
    } all;
    hf_autobuf key = HF_BUF_INIT(2048), text = HF_BUF_INIT(sizeof all);
    uint64_t change = 0;
    int rc = hf_store_incident_last_change(q->store, &change, err);
    hf_buf_addf(&key, "counts:%llu:%.*s", (unsigned long long)change, HF_SPAN_ARG(q->who.name));
    if (rc == 0 && api->live && hf_live_kept(api->live, hf_buf_span(&key), q->now_ns, &text) && text.n == sizeof all) {
        memcpy(&all, text.p, sizeof all);
        memcpy(c->state, all.state, sizeof all.state);
        memcpy(c->severity, all.severity, sizeof all.severity);
        *mine = all.mine;
        return 0;
    }
    rc = rc < 0 ? rc : hf_store_incident_counts(q->store, incident_count, c, err);
    if (rc == 0 && f.assignee.n)
        rc = hf_page_incident_count(q->store, &f, mine, err);
    if (rc < 0 || !api->live)
        return rc;
    memcpy(all.state, c->state, sizeof all.state);
    memcpy(all.severity, c->severity, sizeof all.severity);
    all.mine = *mine;
    hf_live_keep(api->live, hf_buf_span(&key), hf_span((const char *)&all, sizeof all), q->now_ns + INT64_C(60000000000)); /* deleting one is no change */
    return 0;
}

HF_HANDLER(hf_api_overview)
{
    hf_cleanup(counts_done) struct counts c = {.q = q, .first_hour = (q->now_ns / HOUR - 23) * HOUR};
    uint64_t n_mine = 0;
    char host[256] = "";
    struct hf_jw w;
    int rc = hf_api_only(q, "", err);
    rc = rc < 0 ? rc : incident_counts(api, q, &c, &n_mine, err);
    rc = rc < 0 ? rc : alert_counts(api, q, &c, err);
    if (rc < 0)
        return rc;
    (void)gethostname(host, sizeof host - 1);
    hf_jw_init(&w, &ret->body, false);
    hf_jw_object(&w);
    hf_api_when(&w, "time", q->now_ns);
    hf_jw_kstrz(&w, "host", host);
    hf_jw_kstrz(&w, "version", api->version ? api->version : "");
    incidents_json(&w, &c, n_mine);
    alerts_json(&w, &c);
    rc = inventory_json(api, q, &w, err);
    hf_api_sensor_health(api, &w, "sensor");
    hf_jw_object_end(&w);
    return rc < 0 ? rc : hf_api_end(ret, err);
}

/* ---- sensor ---- */

static void prefixed(struct hf_jw *w, const char *key, struct hf_span facts, const char *prefix)
{
    struct hf_span name, value, head = hf_span_z(prefix);
    hf_jw_key(w, key);
    hf_jw_object(w);
    while (hf_live_pair(&facts, &name, &value))
        if (hf_span_starts(name, head) && name.n > head.n) {
            hf_jw_key_span(w, hf_span_from(name, head.n));
            hf_jw_str(w, value);
        }
    hf_jw_object_end(w);
}

static void json_text(struct hf_jw *w, struct hf_span text)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    if (text.n && hf_json_parse(text, &doc, &ignored) == 0)
        hf_live_copy(w, hf_json_root(doc));
    else
        hf_jw_null(w);
}

static void notes(struct hf_jw *w, const struct hf_live_sensor *s)
{
    hf_jw_key(w, "given_up");
    hf_jw_array(w);
    for (size_t i = 0; i < s->n_given_up; i++) {
        hf_jw_object(w);
        hf_api_when(w, "time", HF_MAX(s->given_up[i].time, 1));
        hf_jw_key(w, "status");
        json_text(w, hf_span_z(s->given_up[i].text));
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    hf_jw_key(w, "losses");
    hf_jw_array(w);
    for (size_t i = 0; i < s->n_losses; i++) {
        hf_jw_object(w);
        hf_api_when(w, "time", HF_MAX(s->losses[i].time, 1));
        hf_jw_ku64(w, "count", s->losses[i].count);
        hf_jw_kstrz(w, "type", s->losses[i].type);
        hf_jw_kstrz(w, "reason", s->losses[i].reason);
        hf_jw_kstr_opt(w, "container", hf_span_z(s->losses[i].container));
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    hf_jw_key(w, "errors");
    hf_jw_array(w);
    for (size_t i = 0; i < s->n_errors; i++) {
        hf_jw_object(w);
        hf_api_when(w, "time", HF_MAX(s->errors[i].time, 1));
        hf_jw_kstrz(w, "text", s->errors[i].text);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
}

static void minutes(struct hf_jw *w, const struct hf_live_sensor *s)
{
    hf_jw_key(w, "history");
    hf_jw_array(w);
    for (size_t i = 0; i < s->n_minutes; i++) {
        const struct hf_live_minute *m = &s->minutes[i];
        hf_jw_object(w);
        hf_api_when(w, "time", HF_MAX(m->time, 1));
        if (m->core_pct >= 0) {
            hf_jw_key(w, "core_pct");
            hf_jw_fixed(w, m->core_pct, 3);
        }
        if (m->seen_per_s >= 0) {
            hf_jw_key(w, "seen_per_s");
            hf_jw_fixed(w, m->seen_per_s, 1);
        }
        hf_jw_ku64(w, "lost", m->lost);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
}

static void sensor_json(void *ctx, const struct hf_live_sensor *s)
{
    struct hf_jw *w = ctx;
    struct hf_span rest = s->last, name, value;
    hf_jw_key(w, "health");
    health(w, s);
    prefixed(w, "hooks", s->first, "hook.");
    prefixed(w, "needs", s->first, "needs.");
    prefixed(w, "needs_cheap", s->first, "needs_cheap.");
    prefixed(w, "left_out", s->first, "left_out.");
    hf_jw_kstr_opt(w, "on_demand", hf_live_fact(s->first, "on_demand"));
    hf_jw_key(w, "cost");
    json_text(w, s->cost);
    hf_api_when(w, "cost_time", s->cost_time);
    minutes(w, s);
    notes(w, s);
    hf_jw_key(w, "status");
    hf_jw_object(w);
    while (hf_live_pair(&rest, &name, &value)) {
        hf_jw_key_span(w, name);
        hf_jw_str(w, value);
    }
    hf_jw_object_end(w);
}

HF_HANDLER(hf_api_sensor)
{
    static const struct hf_live_sensor none = {.why = "nothing is watched here", .core_pct = -1, .budget_pct = -1, .seen_per_s = -1};
    struct hf_live_counts n = {0};
    struct hf_jw w;
    int rc = hf_api_only(q, "", err);
    if (rc < 0)
        return rc;
    hf_jw_init(&w, &ret->body, false);
    hf_jw_object(&w);
    if (api->live) {
        hf_live_sensor(api->live, sensor_json, &w);
        hf_live_counts(api->live, &n);
    } else {
        sensor_json(&w, &none);
    }
    hf_jw_key(&w, "memory");
    hf_jw_object(&w);
    hf_jw_ku64(&w, "events", n.events);
    hf_jw_ku64(&w, "bytes", n.bytes);
    hf_jw_ku64(&w, "containers", n.boxes);
    hf_jw_ku64(&w, "processes", n.procs);
    hf_jw_ku64(&w, "edges", n.edges);
    hf_jw_ku64(&w, "lines", n.lines);
    hf_jw_ku64(&w, "refused", n.refused);
    hf_jw_object_end(&w);
    hf_jw_object_end(&w);
    return hf_api_end(ret, err);
}

/* ---- the map ---- */

struct node {
    struct hf_live_end end; /* texts kept for the request */
    struct hf_span id;
};
struct map {
    struct hf_jw *edges;
    struct hf_map seen;
    const struct hf_request *q;
    unsigned n, limit, dropped;
    struct node *nodes;
    size_t n_nodes, cap_nodes;
    bool failed;
};

static void map_done(struct map *m)
{
    hf_map_done(&m->seen);
    free(m->nodes);
}

static bool is_local(struct hf_span a)
{
    uint64_t second;
    if (hf_span_starts(a, HF_S("10.")) || hf_span_starts(a, HF_S("192.168.")) || hf_span_starts(a, HF_S("127.")) || hf_span_starts(a, HF_S("169.254.")) || hf_span_eqz(a, "::1") ||
            hf_span_starts(a, HF_S("fe80:")) || hf_span_starts(a, HF_S("fc")) || hf_span_starts(a, HF_S("fd")))
        return true;
    if (!hf_span_starts(a, HF_S("172.")))
        return false;
    a = hf_span_from(a, 4);
    return hf_parse_u64(hf_span_sub(a, 0, HF_MIN(hf_span_find(a, '.'), a.n)), 10, 16, 31, &second) == 0;
}

static struct hf_span node_id(struct map *m, const struct hf_live_end *e)
{
    hf_autobuf b = HF_BUF_INIT(512);
    if (e->kind == HF_LIVE_HOST)
        return HF_S("host");
    hf_buf_addz(&b, e->kind == HF_LIVE_CONTAINER ? "container:" : "address:");
    hf_buf_adds(&b, e->kind == HF_LIVE_CONTAINER ? e->id : e->address);
    return hf_api_keep(m->q, hf_buf_span(&b));
}

static struct hf_span node(struct map *m, const struct hf_live_end *e)
{
    struct hf_span id = node_id(m, e);
    uint64_t *at = hf_map_at(&m->seen, id, NULL);
    struct node *n = at && !*at ? hf_grow((void **)&m->nodes, &m->n_nodes, &m->cap_nodes, sizeof *n, 1u << 16) : NULL;
    m->failed = m->failed || !at || (!*at && !n);
    if (n) {
        *at = 1;
        *n = (struct node){*e, id};
        n->end.id = hf_api_keep(m->q, e->id);
        n->end.name = hf_api_keep(m->q, e->name);
        n->end.image = hf_api_keep(m->q, e->image);
        n->end.address = hf_api_keep(m->q, e->address);
    }
    return id;
}

static void node_json(struct hf_api *api, struct hf_jw *w, const struct node *n)
{
    static const char *const kinds[] = {"container", "host", "address"};
    const struct hf_live_end *e = &n->end;
    int severity;
    hf_jw_object(w);
    hf_jw_kstr(w, "id", n->id);
    hf_jw_kstrz(w, "kind", kinds[e->kind]);
    hf_jw_kstr(w, "name", e->kind == HF_LIVE_HOST ? HF_S("host") : e->name.n ? e->name : e->address);
    if (e->kind == HF_LIVE_CONTAINER) {
        hf_jw_kstr(w, "container", e->id);
        hf_jw_kstr_opt(w, "image", e->image);
        hf_jw_kbool(w, "running", e->running);
        if (hf_live_incidents(api->live, e->id, &severity))
            hf_jw_kstrz(w, "severity", hf_api_severity_name(severity));
    } else if (e->kind == HF_LIVE_ADDRESS) {
        hf_jw_kbool(w, "local", is_local(e->address));
    }
    hf_jw_object_end(w);
}

static bool edge_json(void *ctx, const struct hf_live_edge *e)
{
    struct map *m = ctx;
    struct hf_jw *w = m->edges;
    if (m->n >= m->limit) {
        m->dropped++;
        return true;
    }
    m->n++;
    struct hf_span from = node(m, &e->from), to = node(m, &e->to);
    hf_jw_object(w);
    hf_jw_kstr(w, "from", from);
    hf_jw_kstr(w, "to", to);
    hf_jw_ku64(w, "port", e->port);
    hf_jw_kstr(w, "protocol", e->protocol);
    hf_jw_ku64(w, "count", e->count);
    if (e->failed)
        hf_jw_ku64(w, "failed", e->failed);
    if (e->bytes_in || e->bytes_out) {
        hf_jw_ku64(w, "bytes_out", e->bytes_out);
        hf_jw_ku64(w, "bytes_in", e->bytes_in);
    }
    hf_jw_kstr_opt(w, "exe", e->from.exe);
    hf_jw_kstr_opt(w, "to_exe", e->to.exe);
    if (e->to.kind == HF_LIVE_ADDRESS)
        hf_jw_kstr_opt(w, "dns", e->to.name);
    hf_api_when(w, "first", HF_MAX(e->first, 1));
    hf_api_when(w, "last", HF_MAX(e->last, 1));
    hf_jw_object_end(w);
    return true;
}

/* Containers that run and talked to nobody are on the map too. */
static bool lonely(void *ctx, const struct hf_live_box *b)
{
    struct map *m = ctx;
    struct hf_live_end e = {.kind = HF_LIVE_CONTAINER, .id = b->id, .name = b->name.n ? b->name : hf_span_sub(b->id, 0, 12), .image = b->image, .running = true};
    if (b->running)
        (void)node(m, &e);
    return true;
}

HF_HANDLER(hf_api_map)
{
    hf_autobuf edges = HF_BUF_INIT(HF_API_REPLY_MAX / 2);
    struct hf_jw w, edges_w;
    hf_cleanup(map_done) struct map m = {.edges = &edges_w, .q = q};
    struct hf_span container = hf_query(q, "container");
    int64_t since = 0;
    int rc = hf_api_only(q, "container|since|limit", err);
    rc = rc < 0 ? rc : hf_api_since(q, "since", &since, err);
    rc = rc < 0 ? rc : hf_api_limit(q, 5000, 2000, &m.limit, err);
    for (size_t i = 0; i < q->n_query && rc == 0; i++)
        if (hf_span_eqz(q->query[i].name, "container") && !hf_api_is_container(container))
            rc = hf_fail(err, HF_E_USAGE, "\"container\" must be the id of one");
    if (rc < 0)
        return rc;
    hf_jw_init(&edges_w, &edges, false);
    hf_jw_array(&edges_w);
    if (api->live) {
        hf_live_edges(api->live, container, since, edge_json, &m);
        if (container.n)
            hf_live_box(api->live, container, lonely, &m);
        else
            hf_live_boxes(api->live, lonely, &m);
    }
    hf_jw_array_end(&edges_w);
    hf_jw_init(&w, &ret->body, false);
    hf_jw_object(&w);
    hf_jw_ku64(&w, "dropped", m.dropped);
    hf_jw_key(&w, "nodes");
    hf_jw_array(&w);
    for (size_t i = 0; i < m.n_nodes; i++)
        node_json(api, &w, &m.nodes[i]);
    hf_jw_array_end(&w);
    hf_jw_key(&w, "edges");
    hf_buf_adds(&ret->body, hf_buf_span(&edges));
    w.after_key = false;
    hf_jw_object_end(&w);
    if (m.failed || !hf_buf_ok(&edges))
        return hf_fail(err, HF_E_LIMIT, "the map is too large; ask for fewer edges");
    return hf_api_end(ret, err);
}

/* ---- events ---- */

struct ring {
    struct hf_jw w;
    struct hf_reply *ret;
    unsigned n, limit;
    uint64_t last;
    bool more;
};

/* A line is JSON as it stands (live.c let no other in): written as it is. */
static bool event_json(void *ctx, const struct hf_live_event *e)
{
    struct ring *r = ctx;
    if (r->n == r->limit || r->ret->body.n + e->line.n > HF_API_REPLY_MAX - 65536) {
        r->more = true;
        return false;
    }
    r->n++;
    r->last = e->seq;
    hf_jw_object(&r->w);
    hf_jw_ku64(&r->w, "seq", e->seq);
    hf_jw_kstrz(&r->w, "kind", e->kind);
    hf_jw_key(&r->w, "line");
    hf_buf_adds(&r->ret->body, e->line);
    r->w.after_key = false;
    hf_jw_object_end(&r->w);
    return true;
}

static int words(const struct hf_request *q, const char *name, const char *allowed, size_t max, struct hf_span *ret, struct hf_err *err)
{
    struct hf_span rest = *ret = hf_query(q, name), word, one, all;
    size_t n = 0;
    for (size_t i = 0; i < q->n_query; i++)
        if (hf_span_eqz(q->query[i].name, name) && (!rest.n || rest.p[rest.n - 1] == ','))
            return hf_fail(err, HF_E_USAGE, "\"%s\" ends without a word", name);
    while (hf_span_cut(&rest, ',', &word)) {
        bool good = !allowed && word.n && word.n <= 20;
        for (size_t i = 0; i < word.n && good; i++)
            good = (word.p[i] >= 'a' && word.p[i] <= 'z') || word.p[i] == '_';
        for (all = hf_span_z(allowed); allowed && !good && hf_span_cut(&all, '|', &one);)
            good = hf_span_eq(one, word);
        if (!good || ++n > max)
            return hf_fail(err, HF_E_USAGE, "\"%s\" must be a list of at most %zu words%s%s, with commas between", name, max, allowed ? " of " : "", allowed ? allowed : "");
    }
    return 0;
}

HF_HANDLER(hf_api_events)
{
    struct hf_live_filter f = {.container = hf_query(q, "container")};
    struct ring r = {.ret = ret};
    uint64_t before = 0;
    int rc = hf_api_only(q, "kinds|types|container|min_severity|limit|before", err);
    rc = rc < 0 ? rc : words(q, "kinds", "event|alert|incident|container|status|loss", 6, &f.kinds, err);
    rc = rc < 0 ? rc : words(q, "types", NULL, 16, &f.types, err);
    rc = rc < 0 ? rc : hf_api_severity(q, "min_severity", &f.min_severity, err);
    rc = rc < 0 ? rc : hf_api_limit(q, 1000, 100, &r.limit, err);
    rc = rc < 0 ? rc : hf_query_u64(q, "before", 1, 9007199254740991, 0, &before, err);
    for (size_t i = 0; i < q->n_query && rc == 0; i++)
        if (hf_span_eqz(q->query[i].name, "container") && !hf_api_is_container(f.container))
            rc = hf_fail(err, HF_E_USAGE, "\"container\" must be the id of one");
    if (rc < 0)
        return rc;
    hf_api_page(&r.w, ret);
    uint64_t newest = api->live ? hf_live_seq(api->live) : 0;
    if (api->live)
        hf_live_events(api->live, &f, before, event_json, &r);
    hf_jw_array_end(&r.w);
    hf_jw_key(&r.w, "next");
    if (r.more) {
        char next[24];
        snprintf(next, sizeof next, "%llu", (unsigned long long)r.last);
        hf_jw_strz(&r.w, next);
    } else {
        hf_jw_null(&r.w);
    }
    hf_jw_ku64(&r.w, "newest", newest);
    hf_jw_object_end(&r.w);
    return hf_api_end(ret, err);
}
