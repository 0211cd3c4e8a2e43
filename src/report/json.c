/* SPDX-License-Identifier: Apache-2.0 */
/* holdfast.scan/1: the contract of docs/schema/scan-1.json. */
#include "base/hash.h"
#include "base/json.h"
#include "report/report.h"

static void when(struct hf_jw *w, const char *key, uint64_t t)
{
    char text[32];
    if (t)
        hf_jw_kstrz(w, key, hf_report_time(t, text));
}

static void head(struct hf_jw *w, const struct hf_scan *s)
{
    hf_jw_kstrz(w, "schema", "holdfast.scan/1");
    hf_jw_kstrz(w, "version", HF_VERSION);
    when(w, "time", s->started_unix);
    hf_jw_kstr(w, "target", s->target);
    hf_jw_key(w, "image");
    hf_jw_object(w);
    hf_jw_kstr_opt(w, "digest", s->digest);
    hf_jw_kstr_opt(w, "index", s->index);
    hf_jw_kstr_opt(w, "config", s->config);
    hf_jw_kstr_opt(w, "os", s->os);
    hf_jw_kstr_opt(w, "arch", s->arch);
    hf_jw_kstr_opt(w, "created", s->created);
    hf_jw_key(w, "layers");
    hf_jw_array(w);
    for (size_t i = 0; i < s->n_layers; i++) {
        hf_jw_object(w);
        hf_jw_kstr_opt(w, "digest", s->layers[i].digest);
        hf_jw_kstr_opt(w, "diff_id", s->layers[i].diff_id);
        hf_jw_ku64(w, "size", s->layers[i].size);
        hf_jw_kstr_opt(w, "created_by", s->layers[i].created_by);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    hf_jw_object_end(w);
    hf_jw_key(w, "os");
    hf_jw_object(w);
    hf_jw_kstr(w, "id", s->release.id);
    hf_jw_kstr(w, "version", s->release.version_id);
    hf_jw_kstr_opt(w, "name", s->release.pretty_name);
    when(w, "end_of_life", s->eol_unix);
    hf_jw_kbool(w, "ended", s->eol);
    hf_jw_object_end(w);
}

/* What the verdict depends on and is not told otherwise: with it a package can be matched again without its image. */
static void for_matching(struct hf_jw *w, const struct hf_scan_package *p)
{
    static const struct {
        unsigned flag;
        const char *word;
    } flags[] = {{HF_PKG_MAIN_MODULE, "main_module"}, {HF_PKG_STDLIB, "stdlib"}, {HF_PKG_SYMBOLS, "symbols"}};
    struct hf_span words[HF_ARRAY_LEN(flags) + 1];
    size_t n = 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(flags); i++)
        if (p->p.flags & flags[i].flag)
            words[n++] = hf_span_z(flags[i].word);
    if (p->p.flags & HF_PKG_NOT_MATCHED && !(p->p.flags & HF_PKG_MATCHER_SAYS))
        words[n++] = HF_S("not_matched");
    if (n)
        hf_jw_kstrs(w, "flags", words, n);
    if (p->p.flags & HF_PKG_SYMBOLS) {
        hf_autobuf hex = HF_BUF_INIT(16u << 20);
        for (size_t at = 0; at < p->p.symbols.n; at += 16) {
            char text[40];
            size_t k = HF_MIN(p->p.symbols.n - at, (size_t)16);
            hf_hex((const uint8_t *)p->p.symbols.p + at, k, text);
            hf_buf_add(&hex, text, 2 * k);
        }
        hf_jw_kstr(w, "symbols", hf_buf_span(&hex));
    }
    if (!p->owner)
        return;
    hf_jw_kstr(w, "owned_by", p->owner->name);
    hf_jw_key(w, "owners");
    hf_jw_array(w);
    for (size_t i = 0; i <= p->n_more_owners; i++) {
        const struct hf_package *o = i ? p->more_owners[i - 1] : p->owner;
        hf_jw_object(w);
        hf_jw_kstr(w, "name", o->name);
        hf_jw_kstr(w, "version", o->version);
        hf_jw_kstr_opt(w, "arch", o->arch);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
}

static void package(struct hf_jw *w, const struct hf_scan *s, const struct hf_scan_package *p)
{
    hf_jw_object(w);
    hf_jw_kstr(w, "name", p->p.name);
    hf_jw_kstr(w, "version", p->p.version);
    hf_jw_kstrz(w, "type", hf_pkg_type_name(p->p.type));
    hf_jw_kstr(w, "purl", p->purl);
    hf_jw_kstr_opt(w, "arch", p->p.arch);
    if (p->p.source_name.n) {
        hf_jw_key(w, "source");
        hf_jw_object(w);
        hf_jw_kstr(w, "name", p->p.source_name);
        hf_jw_kstr(w, "version", p->p.source_version.n ? p->p.source_version : p->p.version);
        hf_jw_object_end(w);
    }
    hf_jw_kstr_opt(w, "vendor", p->p.vendor);
    hf_jw_kstr_opt(w, "module", p->p.module);
    hf_jw_kstr_opt(w, "checksum", p->p.checksum);
    if (p->p.flags & HF_PKG_DEV)
        hf_jw_kbool(w, "dev", true);
    for_matching(w, p);
    hf_jw_kstr_opt(w, "unmatched", p->p.unmatched_why);
    hf_jw_kstrs(w, "licenses", p->p.licenses, p->p.n_licenses);
    hf_jw_key(w, "locations");
    hf_jw_array(w);
    for (size_t i = 0; i < p->n_locations; i++) {
        hf_jw_object(w);
        hf_jw_kstr(w, "path", p->locations[i].path);
        hf_jw_kstr_opt(w, "layer", hf_report_layer(s, p->locations[i].layer));
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    hf_jw_object_end(w);
}

static void scores(struct hf_jw *w, const struct hf_vuln *v)
{
    hf_jw_key(w, "cvss");
    hf_jw_array(w);
    for (size_t i = 0; i < v->n_cvss; i++) {
        hf_jw_object(w);
        hf_jw_key(w, "version");
        hf_jw_str(w, v->cvss[i].version10 == 20 ? HF_S("2.0") : v->cvss[i].version10 == 30 ? HF_S("3.0") : v->cvss[i].version10 == 31 ? HF_S("3.1") : HF_S("4.0"));
        hf_jw_kstr(w, "vector", v->cvss[i].vector);
        hf_jw_key(w, "score");
        hf_jw_fixed(w, v->cvss[i].score10 / 10.0, 1);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    if (v->has_epss) {
        hf_jw_key(w, "epss");
        hf_jw_object(w);
        hf_jw_key(w, "score");
        hf_jw_fixed(w, v->epss.score, 5);
        hf_jw_key(w, "percentile");
        hf_jw_fixed(w, v->epss.percentile, 5);
        hf_jw_object_end(w);
    }
    if (v->has_kev) {
        hf_jw_key(w, "kev");
        hf_jw_object(w);
        hf_jw_kstr(w, "date_added", v->kev.date_added);
        hf_jw_kstr(w, "due_date", v->kev.due_date);
        hf_jw_kbool(w, "ransomware", v->kev.ransomware);
        hf_jw_object_end(w);
    }
}

static void in_use(struct hf_jw *w, const struct hf_vuln *v)
{
    static const char *const names[] = {NULL, "act_now", "reachable", "used", "never"};
    if (v->use == HF_USE_UNKNOWN)
        return;
    hf_jw_key(w, "in_use");
    hf_jw_object(w);
    hf_jw_kstrz(w, "state", names[v->use]);
    if (v->use != HF_USED_NEVER) {
        hf_jw_kbool(w, "root", v->use_root);
        when(w, "first", v->use_first_unix);
        when(w, "last", v->use_last_unix);
    }
    hf_jw_object_end(w);
}

void hf_report_vulnerability(struct hf_jw *w, const struct hf_scan *s, const struct hf_vuln *v)
{
    const struct hf_scan_package *p = &s->packages[v->package];
    hf_jw_object(w);
    hf_jw_kstr(w, "id", v->id);
    hf_jw_kstrs(w, "aliases", v->aliases, v->n_aliases);
    hf_jw_kstr(w, "purl", p->purl);
    hf_jw_kstr(w, "name", p->p.name);
    hf_jw_kstr(w, "version", p->p.version);
    hf_jw_kstrz(w, "severity", hf_severity_name(v->severity));
    scores(w, v);
    hf_jw_kstrz(w, "status", hf_vuln_status_name(v->status));
    hf_jw_kstrs(w, "fixed_in", v->fixed_in, v->n_fixed_in);
    if (p->n_locations)
        hf_jw_kstr_opt(w, "layer", hf_report_layer(s, p->locations[0].layer));
    hf_jw_kstr_opt(w, "summary", v->summary);
    when(w, "published", v->published_unix);
    hf_jw_kstrs(w, "urls", v->urls, v->n_urls);
    if (v->collapsed)
        hf_jw_kbool(w, "kernel_class", true);
    in_use(w, v);
    hf_jw_kstr_opt(w, "ignored", v->ignored_by);
    hf_jw_key(w, "why");
    hf_jw_array(w);
    for (size_t i = 0; i < v->n_why; i++) {
        const struct hf_why *y = &v->why[i];
        hf_jw_object(w);
        hf_jw_kstr(w, "rule", y->rule);
        hf_jw_kstr(w, "record", y->record);
        hf_jw_kstr(w, "source", y->source);
        hf_jw_kstr(w, "namespace", y->ns);
        hf_jw_kstr(w, "key", y->key);
        hf_jw_kstr(w, "installed", y->installed);
        hf_jw_kstr(w, "compared", y->compared);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    hf_jw_object_end(w);
}

static void tail(struct hf_jw *w, const struct hf_scan *s, const struct hf_report_opts *o)
{
    uint64_t by[HF_SEV_CRITICAL + 1] = {0}, ignored = 0, collapsed = 0, fixable = 0, exploited = 0;
    for (size_t i = 0; i < s->n_vulns; i++) {
        const struct hf_vuln *v = &s->vulns[i];
        if (v->ignored_by.n) {
            ignored++;
        } else if (v->collapsed) {
            collapsed++;
        } else if (hf_report_shows(v, o)) {
            by[v->severity]++;
            fixable += v->n_fixed_in != 0;
            exploited += v->has_kev;
        }
    }
    hf_jw_key(w, "findings");
    hf_jw_array(w);
    hf_jw_array_end(w);
    hf_jw_key(w, "incomplete");
    hf_jw_array(w);
    for (size_t i = 0; i < s->n_incomplete; i++) {
        hf_jw_object(w);
        hf_jw_kstr(w, "path", s->incomplete[i].path);
        hf_jw_kstr(w, "layer", hf_report_layer(s, s->incomplete[i].layer));
        hf_jw_kstr(w, "reason", s->incomplete[i].reason);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    hf_jw_kstrs(w, "warnings", s->warnings, s->n_warnings);
    if (s->n_marks) {
        hf_jw_key(w, "marks");
        hf_jw_array(w);
        for (size_t i = 0; i < s->n_marks; i++) {
            hf_jw_object(w);
            hf_jw_kstr(w, "key", s->marks[i].key);
            hf_jw_kstr(w, "text", s->marks[i].text);
            hf_jw_object_end(w);
        }
        hf_jw_array_end(w);
    }
    hf_jw_key(w, "feeds");
    hf_jw_array(w);
    for (size_t i = 0; i < s->n_feeds; i++) {
        hf_jw_object(w);
        hf_jw_kstr(w, "name", s->feeds[i].name);
        when(w, "newest", s->feeds[i].newest_unix);
        when(w, "fetched", s->feeds[i].fetched_unix);
        hf_jw_ku64(w, "records", s->feeds[i].records);
        hf_jw_kbool(w, "demonstration", s->feeds[i].demo);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    hf_jw_key(w, "summary");
    hf_jw_object(w);
    hf_jw_kbool(w, "matched", s->matched);
    hf_jw_ku64(w, "packages", s->n_packages);
    hf_jw_ku64(w, "files", s->files);
    hf_jw_ku64(w, "bytes", s->bytes);
    for (unsigned i = HF_SEV_CRITICAL + 1; i-- > 0;)
        hf_jw_ku64(w, hf_severity_name((enum hf_severity)i), by[i]);
    hf_jw_ku64(w, "fixable", fixable);
    hf_jw_ku64(w, "exploited", exploited);
    hf_jw_ku64(w, "ignored", ignored);
    hf_jw_ku64(w, "kernel_class", collapsed);
    hf_jw_object_end(w);
}

static int write_json(const struct hf_scan *s, const struct hf_report_opts *o, hf_report_sink sink, void *ctx)
{
    hf_autobuf out = HF_BUF_INIT(32 << 20);
    struct hf_jw w;
    int rc = 0;
    hf_jw_init(&w, &out, true);
    hf_jw_object(&w);
    head(&w, s);
    hf_jw_key(&w, "packages");
    hf_jw_array(&w);
    for (size_t i = 0; i < s->n_packages && rc >= 0; i++) {
        package(&w, s, &s->packages[i]);
        rc = hf_report_flush(&out, false, sink, ctx);
    }
    hf_jw_array_end(&w);
    hf_jw_key(&w, "vulnerabilities");
    hf_jw_array(&w);
    for (size_t i = 0; i < s->n_vulns && rc >= 0; i++) {
        if (o->only_fixed && !s->vulns[i].n_fixed_in)
            continue;
        hf_report_vulnerability(&w, s, &s->vulns[i]);
        rc = hf_report_flush(&out, false, sink, ctx);
    }
    hf_jw_array_end(&w);
    tail(&w, s, o);
    hf_jw_object_end(&w);
    hf_buf_addc(&out, '\n');
    return rc < 0 ? rc : hf_report_flush(&out, true, sink, ctx);
}

const struct hf_writer hf_writer_json = {"json", "holdfast.scan/1, for programs", write_json};
