/* SPDX-License-Identifier: Apache-2.0 */
/* CycloneDX 1.6 JSON (cyclonedx.org, bom-1.6.schema.json). The serial number follows from the content, so equal images give equal files. */
#include <stdio.h>

#include "base/hash.h"
#include "base/json.h"
#include "report/report.h"
#include "report/spdx.h"

static void ref(struct hf_jw *w, const char *key, size_t package)
{
    char text[32];
    snprintf(text, sizeof text, "pkg-%zu", package);
    hf_jw_kstrz(w, key, text);
}

static void property(struct hf_jw *w, const char *name, struct hf_span value)
{
    if (!value.n)
        return;
    hf_jw_object(w);
    hf_jw_kstrz(w, "name", name);
    hf_jw_kstr(w, "value", value);
    hf_jw_object_end(w);
}

/* The schema takes licences one by one, or a single expression. */
static void licenses(struct hf_jw *w, const struct hf_span *v, size_t n)
{
    if (!n)
        return;
    hf_jw_key(w, "licenses");
    hf_jw_array(w);
    for (size_t i = 0; i < n; i++) {
        const char *id = hf_spdx_id(v[i]);
        hf_jw_object(w);
        if (n == 1 && !id && hf_spdx_is_expression(v[i])) {
            hf_jw_kstr(w, "expression", v[i]);
        } else {
            hf_jw_key(w, "license");
            hf_jw_object(w);
            if (id)
                hf_jw_kstrz(w, "id", id);
            else
                hf_jw_kstr(w, "name", v[i]);
            hf_jw_object_end(w);
        }
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
}

static void component(struct hf_jw *w, const struct hf_scan *s, size_t i)
{
    const struct hf_scan_package *p = &s->packages[i];
    hf_jw_object(w);
    hf_jw_kstrz(w, "type", "library");
    ref(w, "bom-ref", i);
    hf_jw_kstr_opt(w, "publisher", p->p.vendor);
    hf_jw_kstr(w, "name", p->p.name);
    hf_jw_kstr(w, "version", p->p.version);
    licenses(w, p->p.licenses, p->p.n_licenses);
    hf_jw_kstr(w, "purl", p->purl);
    hf_jw_key(w, "properties");
    hf_jw_array(w);
    if (p->p.unmatched_why.n)
        property(w, "holdfast:unmatched", p->p.unmatched_why);
    for (size_t k = 0; k < p->n_locations; k++) {
        property(w, "holdfast:location:path", p->locations[k].path);
        property(w, "holdfast:location:layer", hf_report_layer(s, p->locations[k].layer));
    }
    hf_jw_array_end(w);
    hf_jw_object_end(w);
}

static void vulnerability(struct hf_jw *w, const struct hf_vuln *v, size_t n)
{
    char text[32];
    snprintf(text, sizeof text, "vuln-%zu", n);
    hf_jw_object(w);
    hf_jw_kstrz(w, "bom-ref", text);
    hf_jw_kstr(w, "id", v->id);
    hf_jw_key(w, "ratings");
    hf_jw_array(w);
    static const char *const names[] = {"unknown", "info", "low", "medium", "high", "critical"};
    for (size_t i = 0; i < v->n_cvss; i++) {
        hf_jw_object(w);
        hf_jw_key(w, "score");
        hf_jw_fixed(w, v->cvss[i].score10 / 10.0, 1);
        hf_jw_kstrz(w, "method", v->cvss[i].version10 == 20 ? "CVSSv2" : v->cvss[i].version10 == 30 ? "CVSSv3" : v->cvss[i].version10 == 31 ? "CVSSv31" : "CVSSv4");
        hf_jw_kstr(w, "vector", v->cvss[i].vector);
        hf_jw_object_end(w);
    }
    hf_jw_object(w);
    hf_jw_kstrz(w, "severity", names[v->severity]);
    hf_jw_object_end(w);
    hf_jw_array_end(w);
    hf_jw_kstr_opt(w, "description", v->summary);
    if (v->n_fixed_in) {
        hf_autobuf advice = HF_BUF_INIT(4096);
        hf_buf_addz(&advice, "update to ");
        hf_buf_adds(&advice, hf_span_sub(v->fixed_in[0], 0, 512));
        hf_jw_kstr(w, "recommendation", hf_buf_span(&advice));
    }
    if (v->published_unix)
        hf_jw_kstrz(w, "published", hf_report_time(v->published_unix, text));
    hf_jw_key(w, "affects");
    hf_jw_array(w);
    hf_jw_object(w);
    ref(w, "ref", v->package);
    hf_jw_object_end(w);
    hf_jw_array_end(w);
    hf_jw_object_end(w);
}

static void serial(const struct hf_scan *s, char out[64])
{
    struct hf_hash *h = hf_hash_new(HF_SHA256);
    uint8_t d[64] = {0};
    if (h) {
        hf_hash_add(h, s->digest.p, s->digest.n);
        for (size_t i = 0; i < s->n_packages; i++)
            hf_hash_add(h, s->packages[i].purl.p, s->packages[i].purl.n);
        for (size_t i = 0; i < s->n_vulns; i++)
            hf_hash_add(h, s->vulns[i].id.p, s->vulns[i].id.n);
        hf_hash_end(h, d);
        hf_hash_free(h);
    }
    d[6] = (uint8_t)((d[6] & 0x0f) | 0x80); /* RFC 9562: version 8, made from content */
    d[8] = (uint8_t)((d[8] & 0x3f) | 0x80);
    snprintf(out, 64, "urn:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11],
            d[12], d[13], d[14], d[15]);
}

/* What is missing from the list, in the words of the other outputs. */
static void losses(struct hf_jw *w, const struct hf_scan *s)
{
    if (!s->n_incomplete && !s->n_warnings)
        return;
    hf_jw_key(w, "properties");
    hf_jw_array(w);
    for (size_t i = 0; i < s->n_incomplete; i++) {
        hf_autobuf text = HF_BUF_INIT(16384);
        hf_buf_adds(&text, s->incomplete[i].path);
        hf_buf_addz(&text, s->incomplete[i].path.n ? ": " : "");
        hf_buf_adds(&text, s->incomplete[i].reason);
        property(w, "holdfast:incomplete", hf_buf_ok(&text) ? hf_buf_span(&text) : s->incomplete[i].reason);
    }
    for (size_t i = 0; i < s->n_warnings; i++)
        property(w, "holdfast:warning", s->warnings[i]);
    hf_jw_array_end(w);
}

static int write_cyclonedx(const struct hf_scan *s, const struct hf_report_opts *o, hf_report_sink sink, void *ctx)
{
    hf_autobuf out = HF_BUF_INIT(32 << 20);
    struct hf_jw w;
    char text[64], time_text[32];
    int rc = 0;
    hf_jw_init(&w, &out, true);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "$schema", "http://cyclonedx.org/schema/bom-1.6.schema.json");
    hf_jw_kstrz(&w, "bomFormat", "CycloneDX");
    hf_jw_kstrz(&w, "specVersion", "1.6");
    serial(s, text);
    hf_jw_kstrz(&w, "serialNumber", text);
    hf_jw_ku64(&w, "version", 1);
    hf_jw_key(&w, "metadata");
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "timestamp", hf_report_time(s->started_unix, time_text));
    hf_jw_key(&w, "tools");
    hf_jw_object(&w);
    hf_jw_key(&w, "components");
    hf_jw_array(&w);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "type", "application");
    hf_jw_kstrz(&w, "name", "holdfast");
    hf_jw_kstrz(&w, "version", HF_VERSION);
    hf_jw_object_end(&w);
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    hf_jw_key(&w, "component");
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "type", s->n_layers ? "container" : "file");
    hf_jw_kstrz(&w, "bom-ref", "target");
    hf_jw_kstr(&w, "name", s->target);
    hf_jw_kstr_opt(&w, "version", s->digest);
    hf_jw_object_end(&w);
    losses(&w, s);
    hf_jw_object_end(&w);
    hf_jw_key(&w, "components");
    hf_jw_array(&w);
    if (s->release.id.n) {
        hf_jw_object(&w);
        hf_jw_kstrz(&w, "type", "operating-system");
        hf_jw_kstrz(&w, "bom-ref", "os");
        hf_jw_kstr(&w, "name", s->release.id);
        hf_jw_kstr(&w, "version", s->release.version_id);
        hf_jw_object_end(&w);
    }
    for (size_t i = 0; i < s->n_packages && rc >= 0; i++) {
        component(&w, s, i);
        rc = hf_report_flush(&out, false, sink, ctx);
    }
    hf_jw_array_end(&w);
    if (s->n_incomplete) {
        hf_jw_key(&w, "compositions");
        hf_jw_array(&w);
        hf_jw_object(&w);
        hf_jw_kstrz(&w, "aggregate", "incomplete");
        hf_jw_object_end(&w);
        hf_jw_array_end(&w);
    }
    if (s->matched) {
        hf_jw_key(&w, "vulnerabilities");
        hf_jw_array(&w);
    }
    for (size_t i = 0; i < s->n_vulns && rc >= 0; i++) {
        if (!hf_report_shows(&s->vulns[i], o))
            continue;
        vulnerability(&w, &s->vulns[i], i);
        rc = hf_report_flush(&out, false, sink, ctx);
    }
    if (s->matched)
        hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    hf_buf_addc(&out, '\n');
    return rc < 0 ? rc : hf_report_flush(&out, true, sink, ctx);
}

const struct hf_writer hf_writer_cyclonedx = {"cyclonedx", "CycloneDX 1.6 JSON", write_cyclonedx};
