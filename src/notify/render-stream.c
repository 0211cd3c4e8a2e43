// SPDX-License-Identifier: Apache-2.0
/* What other programs read: syslog (RFC 5424; text, CEF, LEEF 2.0, OCSF 1.4 Detection Finding 2004), CloudEvents 1.0 signed as Standard
 * Webhooks 1.0 says, OTLP/HTTP logs in JSON, plain files. */
#include <stdio.h>

#include "base/hash.h"
#include "notify/metrics.h"
#include "notify/otlp.h"
#include "notify/render-internal.h"

static const unsigned severity10[HF_NSEVS] = {0, 1, 2, 4, 6, 8, 10};

/* ---- lines ---- */

static void escaped(struct hf_buf *b, struct hf_span s, const char *marks)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i] == '\n' ? ' ' : s.p[i];
        if (c && strchr(marks, c))
            hf_buf_addc(b, '\\');
        hf_buf_addc(b, c);
    }
}

/* Extension of CEF: values end at the next "key=", so "=" and "\" are escaped. */
static void cef_pair(struct hf_buf *b, const char *key, struct hf_span v, size_t max)
{
    hf_autobuf cut = HF_BUF_INIT(64 << 10);
    if (!v.n)
        return;
    hf_ntext_cut(&cut, v, max);
    hf_buf_addf(b, "%s%s=", b->n && b->p[b->n - 1] != '|' ? " " : "", key);
    escaped(b, hf_buf_span(&cut), "\\=");
}

static struct hf_span first_rule(const struct hf_nrender *r)
{
    return r->v->n_rules ? r->v->rules[0].rule : HF_S("incident");
}

static void cef(const struct hf_nrender *r, struct hf_buf *b)
{
    hf_autobuf value = HF_BUF_INIT(16 << 10), ms = HF_BUF_INIT(32);
    const char *label;
    unsigned custom = 1;
    hf_buf_addf(b, "CEF:0|Holdfast|Holdfast|%s|", HF_VERSION);
    escaped(b, first_rule(r), "\\|");
    hf_buf_addc(b, '|');
    escaped(b, r->v->title, "\\|");
    hf_buf_addf(b, "|%u|", severity10[r->v->severity]);
    hf_buf_addf(&ms, "%lld000", (long long)r->v->updated_s);
    cef_pair(b, "rt", hf_buf_span(&ms), 32);
    cef_pair(b, "externalId", r->v->id, 64);
    cef_pair(b, "act", hf_span_z(hf_nstates[r->v->state]), 64);
    cef_pair(b, "dvchost", r->v->n_hosts ? r->v->hosts[0] : hf_span_z(r->host), 100);
    hf_buf_addf(b, " cnt=%llu", (unsigned long long)r->v->alerts);
    for (unsigned i = 0; hf_nr_fact(r, i, &label, &value); i++) {
        char key[16];
        if (!value.n || i < 6 || i > 10 || custom > 6)
            continue;
        snprintf(key, sizeof key, "cs%uLabel", custom);
        cef_pair(b, key, hf_span_z(label), 32);
        snprintf(key, sizeof key, "cs%u", custom++);
        cef_pair(b, key, hf_buf_span(&value), 1000);
    }
    cef_pair(b, "msg", r->v->summary, 1000);
}

/* LEEF has no escape in values: the delimiter "^" cannot stand there. */
static void leef_pair(struct hf_buf *b, const char *key, struct hf_span v, size_t max)
{
    hf_autobuf cut = HF_BUF_INIT(64 << 10);
    if (!v.n)
        return;
    hf_ntext_cut(&cut, v, max);
    hf_buf_addf(b, "%s%s=", b->p[b->n - 1] != '|' ? "^" : "", key);
    for (size_t i = 0; i < cut.n; i++)
        hf_buf_addc(b, cut.p[i] == '^' ? '_' : cut.p[i] == '\n' ? ' ' : cut.p[i]);
}

static void leef(const struct hf_nrender *r, struct hf_buf *b)
{
    hf_autobuf value = HF_BUF_INIT(16 << 10);
    const char *label;
    char number[32];
    hf_buf_addf(b, "LEEF:2.0|Holdfast|Holdfast|%s|", HF_VERSION);
    for (struct hf_span id = first_rule(r); id.n; id = hf_span_from(id, 1))
        hf_buf_addc(b, id.p[0] == '|' || id.p[0] == '^' ? '_' : id.p[0]);
    hf_buf_addz(b, "|^|");
    snprintf(number, sizeof number, "%lld000", (long long)r->v->updated_s);
    leef_pair(b, "devTime", hf_span_z(number), 32);
    snprintf(number, sizeof number, "%u", severity10[r->v->severity]);
    leef_pair(b, "sev", hf_span_z(number), 32);
    leef_pair(b, "cat", first_rule(r), 200);
    leef_pair(b, "title", r->v->title, 300);
    for (unsigned i = 0; hf_nr_fact(r, i, &label, &value); i++)
        leef_pair(b, label, hf_buf_span(&value), 1000);
    leef_pair(b, "msg", r->v->summary, 1000);
}

static void ocsf_finding(const struct hf_nrender *r, struct hf_jw *w)
{
    const struct hf_nview *v = r->v;
    hf_jw_key(w, "finding_info");
    hf_jw_object(w);
    hf_jw_kstr(w, "uid", v->id);
    hf_jw_kstr(w, "title", v->title);
    hf_jw_kstr_opt(w, "desc", v->summary);
    hf_jw_key(w, "created_time");
    hf_jw_i64(w, v->opened_s * 1000);
    hf_jw_key(w, "modified_time");
    hf_jw_i64(w, v->updated_s * 1000);
    if (v->n_techniques) {
        hf_jw_key(w, "attacks");
        hf_jw_array(w);
        for (size_t i = 0; i < v->n_techniques; i++) {
            hf_jw_object(w);
            hf_jw_key(w, "technique");
            hf_jw_object(w);
            hf_jw_kstr(w, "uid", v->techniques[i]);
            hf_jw_object_end(w);
            hf_jw_object_end(w);
        }
        hf_jw_array_end(w);
    }
    hf_jw_object_end(w);
}

static void ocsf_resources(const struct hf_nrender *r, struct hf_jw *w)
{
    hf_jw_key(w, "resources");
    hf_jw_array(w);
    for (size_t i = 0; i < r->v->n_containers; i++) {
        const struct hf_ncontainer *c = &r->v->containers[i];
        hf_jw_object(w);
        hf_jw_kstrz(w, "type", "container");
        hf_jw_kstr_opt(w, "uid", c->id);
        hf_jw_kstr_opt(w, "name", c->name);
        hf_jw_kstr_opt(w, "namespace", c->namespace);
        if (c->image.n) {
            hf_jw_key(w, "labels");
            hf_jw_array(w);
            hf_autobuf label = HF_BUF_INIT(1024);
            hf_buf_addz(&label, "image:");
            hf_buf_adds(&label, c->image);
            hf_jw_str(w, hf_buf_span(&label));
            hf_jw_array_end(w);
        }
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
}

static void ocsf(const struct hf_nrender *r, struct hf_buf *b)
{
    static const unsigned severities[HF_NSEVS] = {1, 1, 1, 2, 3, 4, 5}, statuses[HF_NSTATES] = {1, 2, 2, 4};
    const struct hf_nview *v = r->v;
    unsigned activity = r->req.first ? 1 : v->state == HF_NST_RESOLVED ? 3 : 2;
    struct hf_jw w;
    hf_jw_init(&w, b, false);
    hf_jw_object(&w);
    hf_jw_ku64(&w, "class_uid", 2004);
    hf_jw_ku64(&w, "category_uid", 2);
    hf_jw_ku64(&w, "activity_id", activity);
    hf_jw_ku64(&w, "type_uid", 200400 + activity);
    hf_jw_ku64(&w, "severity_id", severities[v->severity]);
    hf_jw_ku64(&w, "status_id", statuses[v->state]);
    hf_jw_key(&w, "time");
    hf_jw_i64(&w, v->updated_s * 1000);
    hf_jw_kstr(&w, "message", v->title);
    hf_jw_ku64(&w, "count", HF_MAX(v->alerts, 1u));
    hf_jw_key(&w, "metadata");
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "version", "1.4.0");
    hf_jw_key(&w, "product");
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "name", "Holdfast");
    hf_jw_kstrz(&w, "vendor_name", "Holdfast");
    hf_jw_kstrz(&w, "version", HF_VERSION);
    hf_jw_object_end(&w);
    hf_jw_object_end(&w);
    ocsf_finding(r, &w);
    ocsf_resources(r, &w);
    hf_jw_object_end(&w);
}

static void text_line(const struct hf_nrender *r, struct hf_buf *b)
{
    hf_autobuf value = HF_BUF_INIT(16 << 10);
    const char *label;
    hf_nr_headline(r, b);
    hf_buf_addz(b, " (");
    hf_nr_news(r, b);
    hf_buf_addc(b, ')');
    for (unsigned i = 0; hf_nr_fact(r, i, &label, &value); i++)
        if (value.n && i != 1)
            hf_buf_addf(b, "; %s: %.*s", label, HF_SPAN_ARG(hf_buf_span(&value)));
}

void hf_nr_line(const struct hf_nrender *r, struct hf_buf *b)
{
    struct hf_jw w;
    switch (r->ch->format) {
    case HF_NFMT_TEXT:
    case HF_NFMTS:
        text_line(r, b);
        break;
    case HF_NFMT_CEF:
        cef(r, b);
        break;
    case HF_NFMT_LEEF:
        leef(r, b);
        break;
    case HF_NFMT_OCSF:
        ocsf(r, b);
        break;
    case HF_NFMT_JSON:
        hf_jw_init(&w, b, false);
        hf_ntext_json(&w, r->v->root, HF_JSON_DEPTH);
        break;
    }
}

/* ---- syslog ---- */

static void param(struct hf_buf *b, const char *name, struct hf_span v)
{
    hf_autobuf cut = HF_BUF_INIT(4096);
    hf_ntext_cut(&cut, v, 400);
    hf_buf_addf(b, " %s=\"", name);
    escaped(b, hf_buf_span(&cut), "\"\\]"); /* RFC 5424, 6.3.3 */
    hf_buf_addc(b, '"');
}

static int make_syslog(struct hf_nrender *r)
{
    static const unsigned levels[HF_NSEVS] = {7, 6, 5, 5, 4, 3, 2}; /* debug, informational, notice, notice, warning, error, critical */
    hf_autobuf m = HF_BUF_INIT(HF_NBODY_MAX / 2), host = HF_BUF_INIT(256);
    r->req.via = HF_NVIA_SYSLOG;
    r->req.method = "SYSLOG";
    hf_buf_adds(&r->req.url, hf_nchannel_url(r->ch));
    for (const char *p = r->host; *p && host.n < 255; p++) /* HOSTNAME: printable ASCII */
        hf_buf_addc(&host, *p > 0x20 && *p < 0x7f ? *p : '_');
    hf_buf_addf(&m, "<%u>1 ", 13 * 8 + levels[r->v->severity]); /* facility 13: log audit */
    hf_ntext_time(&m, r->v->updated_s);
    hf_buf_addf(&m, " %s holdfast - incident [incident@32473", host.n ? hf_buf_z(&host) : "-");
    param(&m, "id", r->v->id);
    param(&m, "severity", hf_span_z(hf_nseverities[r->v->severity]));
    param(&m, "state", hf_span_z(hf_nstates[r->v->state]));
    param(&m, "rule", first_rule(r));
    if (r->v->n_containers)
        param(&m, "container", r->v->containers[0].name.n ? r->v->containers[0].name : r->v->containers[0].id);
    hf_buf_addz(&m, "] \xef\xbb\xbf"); /* the mark says that UTF-8 follows */
    hf_nr_line(r, &m);
    hf_buf_addf(&r->req.body, "%zu ", m.n); /* RFC 6587 3.4.1, RFC 5425: octet counting */
    hf_buf_adds(&r->req.body, hf_buf_span(&m));
    return 1;
}
const struct hf_nrenderer hf_nr_syslog = {.make = make_syslog};

static int make_file(struct hf_nrender *r)
{
    r->req.via = HF_NVIA_FILE;
    r->req.method = "APPEND";
    hf_buf_adds(&r->req.url, r->ch->path);
    hf_nr_line(r, &r->req.body);
    hf_buf_addc(&r->req.body, '\n');
    return 1;
}
const struct hf_nrenderer hf_nr_file = {.make = make_file};

/* ---- CloudEvents ---- */

static int make_webhook(struct hf_nrender *r)
{
    hf_autobuf text = HF_BUF_INIT(4096), id = HF_BUF_INIT(256), key = HF_BUF_INIT(16 << 10), sign = HF_BUF_INIT(HF_NBODY_MAX + 512), mac64 = HF_BUF_INIT(64);
    struct hf_span secret = hf_nr_secret(r, HF_NSECRET_KEY);
    struct hf_jw w;
    uint8_t mac[32];
    hf_nreq_begin(r, "POST", "application/cloudevents+json");
    hf_buf_addf(&id, "%.*s.%llu", HF_SPAN_ARG(r->v->id), (unsigned long long)r->v->revision);
    hf_jw_init(&w, &r->req.body, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "specversion", "1.0");
    hf_jw_kstr(&w, "id", hf_buf_span(&id)); /* the same when it is sent again */
    hf_buf_addz(&text, "//");
    hf_ntext_url(&text, hf_span_z(r->host));
    hf_buf_addz(&text, "/holdfast");
    hf_jw_kstr(&w, "source", hf_buf_span(&text));
    hf_jw_kstrz(&w, "type", r->req.first ? "io.holdfast.incident.opened.v1" : r->v->state == HF_NST_RESOLVED ? "io.holdfast.incident.resolved.v1" : "io.holdfast.incident.changed.v1");
    hf_jw_kstr(&w, "subject", r->v->id);
    hf_buf_clear(&text);
    hf_ntext_time(&text, r->v->updated_s);
    hf_jw_kstr(&w, "time", hf_buf_span(&text));
    hf_jw_kstrz(&w, "datacontenttype", "application/json");
    hf_jw_key(&w, "data");
    hf_ntext_json(&w, r->v->root, HF_JSON_DEPTH - 2);
    hf_jw_object_end(&w);
    /* standardwebhooks: HMAC-SHA256 of "id.timestamp.body" */
    if (hf_span_starts(secret, HF_S("whsec_")) && hf_ntext_unbase64(&key, hf_span_from(secret, 6)))
        secret = hf_buf_span(&key);
    hf_buf_addf(&sign, "%s.%lld.", hf_buf_z(&id), (long long)r->now_s);
    hf_buf_adds(&sign, hf_buf_span(&r->req.body));
    hf_hmac_sha256(secret, hf_buf_span(&sign), mac);
    hf_ntext_base64(&mac64, hf_span((const char *)mac, sizeof mac));
    hf_nreq_header(r, "webhook-id: %s", hf_buf_z(&id));
    hf_nreq_header(r, "webhook-timestamp: %lld", (long long)r->now_s);
    hf_nreq_header(r, "webhook-signature: v1,%s", hf_buf_z(&mac64));
    if (!hf_buf_ok(&sign))
        r->req.body.failed = true;
    return 1;
}
const struct hf_nrenderer hf_nr_webhook = {.make = make_webhook};

/* ---- OTLP ---- */

static void otlp_record(struct hf_nrender *r, struct hf_jw *w)
{
    static const unsigned numbers[HF_NSEVS] = {5, 9, 10, 11, 13, 17, 21};
    static const char *const names[HF_NSEVS] = {"DEBUG", "INFO", "INFO2", "INFO3", "WARN", "ERROR", "FATAL"};
    const struct hf_nview *v = r->v;
    const struct hf_ncontainer *c = v->n_containers ? &v->containers[0] : NULL;
    hf_autobuf text = HF_BUF_INIT(64 << 10);
    char ns[40];
    hf_jw_object(w);
    snprintf(ns, sizeof ns, "%lld000000000", (long long)v->updated_s);
    hf_jw_kstrz(w, "timeUnixNano", ns); /* 64-bit integers are strings in protobuf's JSON */
    snprintf(ns, sizeof ns, "%lld000000000", (long long)r->now_s);
    hf_jw_kstrz(w, "observedTimeUnixNano", ns);
    hf_jw_ku64(w, "severityNumber", numbers[v->severity]);
    hf_jw_kstrz(w, "severityText", names[v->severity]);
    hf_jw_kstrz(w, "eventName", "holdfast.incident");
    hf_jw_key(w, "body");
    hf_jw_object(w);
    text_line(r, &text);
    hf_jw_kstr(w, "stringValue", hf_buf_span(&text));
    hf_jw_object_end(w);
    hf_jw_key(w, "attributes");
    hf_jw_array(w);
    hf_notlp_attribute(w, "holdfast.incident.id", v->id);
    hf_notlp_attribute(w, "holdfast.incident.state", hf_span_z(hf_nstates[v->state]));
    hf_notlp_attribute(w, "holdfast.incident.severity", hf_span_z(hf_nseverities[v->severity]));
    hf_notlp_attribute(w, "holdfast.rule", first_rule(r));
    if (c) {
        hf_notlp_attribute(w, "container.id", c->id);
        hf_notlp_attribute(w, "container.name", c->name);
        hf_notlp_attribute(w, "container.image.name", c->image);
        hf_notlp_attribute(w, "k8s.namespace.name", c->namespace);
        hf_notlp_attribute(w, "k8s.pod.name", c->pod);
    }
    hf_jw_array_end(w);
    hf_jw_object_end(w);
}

static int make_otlp(struct hf_nrender *r)
{
    struct hf_jw w;
    hf_nreq_begin(r, "POST", "application/json");
    if (!hf_span_ends(hf_buf_span(&r->req.url), HF_S("/v1/logs")))
        hf_buf_addz(&r->req.url, "/v1/logs");
    if (hf_nr_secret(r, HF_NSECRET_TOKEN).n)
        hf_nreq_header(r, "Authorization: Bearer %.*s", HF_SPAN_ARG(hf_nr_secret(r, HF_NSECRET_TOKEN)));
    hf_jw_init(&w, &r->req.body, false);
    hf_jw_object(&w);
    hf_jw_key(&w, "resourceLogs");
    hf_jw_array(&w);
    hf_jw_object(&w);
    hf_notlp_resource(&w, r->v->n_hosts ? r->v->hosts[0] : hf_span_z(r->host));
    hf_jw_key(&w, "scopeLogs");
    hf_jw_array(&w);
    hf_jw_object(&w);
    hf_jw_key(&w, "scope");
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "name", "holdfast.incident");
    hf_jw_object_end(&w);
    hf_jw_key(&w, "logRecords");
    hf_jw_array(&w);
    otlp_record(r, &w);
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    return 1;
}
void hf_nrender_metrics(struct hf_nrender *r, const struct hf_nmetric *v, size_t n, int64_t start_s, int64_t now_s)
{
    hf_nreq_begin(r, "POST", "application/json");
    if (hf_span_ends(hf_buf_span(&r->req.url), HF_S("/v1/logs")))
        r->req.url.n -= 8;
    hf_buf_addz(&r->req.url, "/v1/metrics");
    if (hf_nr_secret(r, HF_NSECRET_TOKEN).n)
        hf_nreq_header(r, "Authorization: Bearer %.*s", HF_SPAN_ARG(hf_nr_secret(r, HF_NSECRET_TOKEN)));
    hf_nmetrics_otlp(v, n, r->host, start_s, now_s, &r->req.body);
}

/* 200 may say that the record was refused (OTLP 1.x, "Partial Success"): sending it again would not help. */
static enum hf_ntook took_otlp(struct hf_nrender *r, const struct hf_nanswer *a, hf_jnode json, struct hf_err *err)
{
    hf_jnode partial = hf_jget(json, "partialSuccess"), n = hf_jget(partial, "rejectedLogRecords");
    double refused = 0;
    (void)r;
    (void)a;
    if ((hf_jnum(n, &refused) && refused > 0) || (hf_jstr(n).n && !hf_span_eqz(hf_jstr(n), "0"))) {
        hf_fail(err, HF_E_UNSUPPORTED, "the collector refused it: %.*s", HF_SPAN_ARG(hf_span_sub(hf_jgetstr(partial, "errorMessage"), 0, 200)));
        return HF_NTOOK_NEVER;
    }
    return HF_NTOOK;
}
const struct hf_nrenderer hf_nr_otlp = {.make = make_otlp, .took = took_otlp};
