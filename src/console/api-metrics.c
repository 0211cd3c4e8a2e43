// SPDX-License-Identifier: Apache-2.0
/* /metrics: Prometheus text exposition format 0.0.4. */
#include <stdio.h>

#include "console/api-common.h"
#include "console/live-internal.h"
#include "desk/publish.h"
#include "store/incidents.h"
#include "store/inventory.h"
#include "store/pages.h"
#include "store/queue.h"

static void family(struct hf_buf *b, const char *name, const char *type, const char *help)
{
    hf_buf_addf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Of a label's value: backslash, quote and line end. */
static void label(struct hf_buf *b, struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\n')
            hf_buf_addz(b, "\\n");
        else if (s.p[i] == '"' || s.p[i] == '\\')
            hf_buf_addf(b, "\\%c", s.p[i]);
        else
            hf_buf_addc(b, s.p[i]);
}

static void one(struct hf_buf *b, const char *name, const char *key, struct hf_span value, uint64_t n)
{
    hf_buf_addf(b, "%s{%s=\"", name, key);
    label(b, value);
    hf_buf_addf(b, "\"} %llu\n", (unsigned long long)n);
}

static void gauge(struct hf_buf *b, const char *name, const char *help, double v)
{
    family(b, name, "gauge", help);
    hf_buf_addf(b, "%s %.10g\n", name, v);
}

static void counter(struct hf_buf *b, const char *name, const char *help, uint64_t v)
{
    family(b, name, "counter", help);
    hf_buf_addf(b, "%s %llu\n", name, (unsigned long long)v);
}

/* ---- live ---- */

static void sensor(void *ctx, const struct hf_live_sensor *s)
{
    struct hf_buf *b = ctx;
    gauge(b, "holdfast_sensor_connected", "Whether lines come from what watches.", s->connected);
    family(b, "holdfast_sensor_lost_events_total", "counter", "Events the sensor lost since it started.");
    hf_buf_addf(b, "holdfast_sensor_lost_events_total %llu\n", (unsigned long long)s->lost);
    if (s->core_pct >= 0)
        gauge(b, "holdfast_sensor_cpu_cores", "Processor time of sensor, hooks and rules, in cores.", s->core_pct / 100);
    if (s->budget_pct >= 0)
        gauge(b, "holdfast_sensor_cpu_budget_cores", "What of that is allowed.", s->budget_pct / 100);
    if (s->rss_kib)
        gauge(b, "holdfast_sensor_resident_memory_bytes", "Memory of sensor and rules.", (double)s->rss_kib * 1024);
    if (s->seen_per_s >= 0)
        gauge(b, "holdfast_sensor_events_per_second", "Events the hooks saw in the last second that was measured.", s->seen_per_s);
    if (s->last_line > 0)
        gauge(b, "holdfast_sensor_last_line_timestamp_seconds", "Time of the last line.", (double)(s->last_line / 1000000) / 1000);
}

static void live(struct hf_api *api, struct hf_buf *b)
{
    struct hf_live_counts n;
    hf_live_counts(api->live, &n);
    family(b, "holdfast_lines_total", "counter", "Lines of watch since this console started, by kind.");
    for (size_t i = 0; hf_live_kinds[i] && i < 6; i++)
        one(b, "holdfast_lines_total", "kind", hf_span_z(hf_live_kinds[i]), n.types[i]);
    counter(b, "holdfast_lines_refused_total", "Lines that were none.", n.refused);
    family(b, "holdfast_alerts_total", "counter", "Alerts since this console started, by severity.");
    for (int i = 0; i < 7; i++)
        one(b, "holdfast_alerts_total", "severity", hf_span_z(hf_api_severity_name(i)), n.alerts[i]);
    gauge(b, "holdfast_containers_running", "Containers that run here.", (double)n.running);
    gauge(b, "holdfast_connections_known", "Pairs that talk, of which is known.", (double)n.edges);
    hf_live_sensor(api->live, sensor, b);
}

/* ---- the store ---- */

struct told {
    struct hf_buf *b;
    const struct hf_request *q;
    struct hf_map seen;
    unsigned n;
    int what;
};

static int incidents(void *ctx, struct hf_span state, int severity, uint64_t n)
{
    struct told *t = ctx;
    hf_buf_addf(t->b, "holdfast_incidents{state=\"%.*s\",severity=\"%s\"} %llu\n", HF_SPAN_ARG(state), hf_api_severity_name(severity), (unsigned long long)n);
    return 0;
}

static bool live_rule(void *ctx, const struct hf_live_rule *r)
{
    struct told *t = ctx;
    if (r->day && t->n++ < 1000)
        one(t->b, "holdfast_rule_alerts_24h", "rule", r->name, r->day);
    return true;
}

static int rule(void *ctx, const struct hf_alert_count *c)
{
    struct told *t = ctx;
    if (t->n++ < 1000) /* names of rules come from files, but old alerts may have any */
        one(t->b, "holdfast_rule_alerts_24h", "rule", c->rule, c->n);
    return 0;
}

static int channel(void *ctx, struct hf_span name, uint64_t n)
{
    struct told *t = ctx;
    (void)n;
    (void)!hf_map_at(&t->seen, hf_api_keep(t->q, name), NULL);
    return 0;
}

static int queues(const struct hf_request *q, struct hf_buf *b, struct hf_err *err)
{
    static const char *const names[] = {"holdfast_queue_waiting", "holdfast_queue_dead", "holdfast_queue_oldest_seconds"};
    static const char *const help[] = {"Messages that wait or are under way, by channel.", "Messages that were given up, by channel.", "How long the oldest message waits, by channel."};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct told t = {.b = b, .q = q};
    int rc = hf_published(q->store, "channels", &doc, err);
    HF_JFOREACH(c, hf_jget(doc ? hf_json_root(doc) : NULL, "channels"))
        (void)!hf_map_at(&t.seen, hf_jgetstr(c, "name"), NULL);
    rc = rc < 0 ? rc : hf_page_channels(q->store, channel, &t, err);
    for (size_t k = 0; k < 3 && t.seen.n && rc >= 0; k++) {
        family(b, names[k], "gauge", help[k]);
        for (size_t i = 0; i < t.seen.cap && rc >= 0; i++) {
            struct hf_queue_stats s = {0};
            if (!t.seen.slots[i].hash)
                continue;
            rc = hf_store_queue_stats(q->store, t.seen.slots[i].key, &s, err);
            one(b, names[k], "channel", t.seen.slots[i].key, k == 0 ? s.waiting + s.claimed : k == 1 ? s.dead : s.oldest ? (uint64_t)HF_MAX(0, (q->now_ns - s.oldest) / 1000000000) : 0);
        }
    }
    hf_map_done(&t.seen);
    return rc < 0 ? rc : 0;
}

static int inventory(struct hf_api *api, const struct hf_request *q, struct hf_buf *b, struct hf_err *err)
{
    struct hf_page_inventory n = {0};
    struct hf_finding_counts f = {0};
    int rc = hf_page_inventory(q->store, &n, err);
    rc = rc < 0 ? rc : hf_api_running_findings(api, q, &f, err);
    if (rc < 0)
        return rc;
    gauge(b, "holdfast_images", "Images in the inventory.", (double)n.images);
    gauge(b, "holdfast_images_scanned", "Of these, scanned.", (double)n.scanned);
    family(b, "holdfast_findings", "gauge", "Known vulnerabilities of images of which a container runs, by severity and use.");
    for (int i = 0; i < 7; i++) {
        hf_buf_addf(b, "holdfast_findings{severity=\"%s\",used=\"true\"} %llu\n", hf_api_severity_name(i), (unsigned long long)f.used[i]);
        hf_buf_addf(b, "holdfast_findings{severity=\"%s\",used=\"false\"} %llu\n", hf_api_severity_name(i), (unsigned long long)(f.n[i] - HF_MIN(f.n[i], f.used[i])));
    }
    return 0;
}

HF_HANDLER(hf_api_metrics)
{
    struct hf_buf *b = &ret->body;
    struct told t = {.b = b, .q = q};
    int rc = hf_api_only(q, "", err);
    if (rc < 0)
        return rc;
    ret->type = "text/plain; version=0.0.4; charset=utf-8";
    family(b, "holdfast_build_info", "gauge", "Version of this program.");
    one(b, "holdfast_build_info", "version", hf_span_z(api->version ? api->version : ""), 1);
    if (api->live)
        live(api, b);
    family(b, "holdfast_incidents", "gauge", "Incidents in the store, by state and severity.");
    rc = hf_store_incident_counts(q->store, incidents, &t, err);
    family(b, "holdfast_rule_alerts_24h", "gauge", "Alerts of the last 24 hours in the store, by rule.");
    if (rc == 0 && !(api->live && hf_live_rules(api->live, q->now_ns, live_rule, &t)))
        rc = hf_store_alert_counts(q->store, q->now_ns - INT64_C(86400000000000), 0, HF_COUNT_RULE, rule, &t, err);
    rc = rc < 0 ? rc : inventory(api, q, b, err);
    rc = rc < 0 ? rc : queues(q, b, err);
    return rc < 0 ? rc : hf_api_end(ret, err);
}
