/* SPDX-License-Identifier: Apache-2.0 */
/* Why a vulnerability that the user asks about is not in the result. */
#include "matching/match-internal.h"

struct explain {
    struct hf_match *m;
    uint32_t adv;
    struct hf_span id;           /* of the record */
    struct hf_span ns, name;     /* of the row at hand */
    size_t said, elsewhere;
    struct hf_span other_ns;     /* an example of a namespace that this scan did not look in */
    bool other_release;
    size_t absent;               /* rows of our namespaces whose package is not installed */
    struct hf_span absent_name;
};

static bool room(struct hf_match *m)
{
    return m->why_not_lines++ < HF_MATCH_WHY_NOT_LINES;
}

static const char *cut_version(const struct hf_adv_range *r, char *out, size_t n)
{
    if (r->fixed.n)
        snprintf(out, n, "%.*s", (int)HF_MIN(r->fixed.n, (size_t)100), r->fixed.p);
    else
        snprintf(out, n, "?");
    return out;
}

static void say(struct explain *e, const struct hf_package *p, const struct hf_match_key *k, const struct hf_adv_row *row)
{
    struct hf_match *m = e->m;
    struct hf_verdict v = {.kind = HF_VERDICT_OUTSIDE};
    struct hf_span summary = {NULL, 0};
    struct hf_adv_info *info = hf_match_info(m, e->adv);
    if (info && info->decoded)
        summary = info->a.summary;
    char fix[128];
    const char *text = "";
    if (row->scheme == HF_SCHEME_RPM && !hf_match_module(m->db, row, p->module, k->version, summary)) {
        v.kind = HF_VERDICT_OTHER_MODULE;
        text = "the record is about another module stream, or only one of the two is a module [R17]";
    } else if (row->state == HF_ADV_INVESTIGATING) {
        text = "the vendor has it under investigation [R16]";
    } else {
        hf_verdict(m->db, row, k->version, k->ignore_epoch, &v);
    }
    if (v.kind == HF_VERDICT_AFFECTED && !hf_match_linked(m->db, row, k))
        v.kind = HF_VERDICT_NOT_LINKED;
    if (v.kind == HF_VERDICT_AFFECTED)
        return; /* in the result, or a line on what took it off was written while matching */
    if (!room(m))
        return;
    e->said++;
    hf_buf_addf(m->why_not, HF_SPAN_FMT " " HF_SPAN_FMT " (%s, looked up in %s as " HF_SPAN_FMT "): ", HF_SPAN_ARG(p->name),
            HF_SPAN_ARG(k->version), hf_pkg_type_name(p->type), k->ns, HF_SPAN_ARG(k->name));
    switch (v.kind) {
    case HF_VERDICT_FIXED:
        hf_buf_addf(m->why_not, "already fixed: installed " HF_SPAN_FMT " is not before the fixed version %s [R10]", HF_SPAN_ARG(k->version),
                cut_version(&v.at, fix, sizeof fix));
        break;
    case HF_VERDICT_NEVER: hf_buf_addz(m->why_not, "the source says that it never was affected [R11]"); break;
    case HF_VERDICT_INCOMPARABLE:
        hf_buf_addf(m->why_not, "not decided: %s has no order (listed as incomplete)",
                v.installed_invalid ? "the installed version" : "a version in the record");
        break;
    case HF_VERDICT_OUTSIDE:
        hf_buf_addz(m->why_not, *text ? text : "the version is in none of the record's ranges and lists [R23]");
        break;
    case HF_VERDICT_OTHER_MODULE: hf_buf_addz(m->why_not, text); break;
    case HF_VERDICT_NOT_LINKED:
        hf_buf_addf(m->why_not, "none of the %zu symbols that the record names is linked into the program [R27]", row->n_symbols);
        break;
    case HF_VERDICT_SKIPPED:
    case HF_VERDICT_AFFECTED: break;
    }
    hf_buf_addf(m->why_not, " (record " HF_SPAN_FMT ")\n", HF_SPAN_ARG(e->id));
}

static void say_unmatched(struct explain *e, const struct hf_package *p)
{
    if (!room(e->m))
        return;
    e->said++;
    hf_buf_addf(e->m->why_not, HF_SPAN_FMT " " HF_SPAN_FMT " (%s): not matched: " HF_SPAN_FMT "\n", HF_SPAN_ARG(p->name), HF_SPAN_ARG(p->version), hf_pkg_type_name(p->type),
            HF_SPAN_ARG(p->unmatched_why));
}

static int on_package(void *ctx, struct hf_span ns, struct hf_span name, const struct hf_adv_row *row)
{
    struct explain *e = ctx;
    struct hf_match *m = e->m;
    bool looked = false, installed = false;
    hf_autobuf norm = HF_BUF_INIT(1 << 16), text = HF_BUF_INIT(4096);
    /* A record has few rows; each walks the packages once. */
    for (size_t i = 0; i < m->scan->n_packages; i++) {
        const struct hf_package *p = &m->scan->packages[i].p;
        struct hf_match_key k[HF_MATCH_PKG_KEYS];
        size_t n = hf_match_keys(p, &m->os, k, &text);
        for (size_t j = 0; j < n; j++) {
            if (!hf_span_eqz(ns, k[j].ns))
                continue;
            looked = true;
            if (hf_match_groupless(p) && p->flags & HF_PKG_NOT_MATCHED && hf_span_ends(name, p->name) && name.n > p->name.n && name.p[name.n - p->name.n - 1] == ':') {
                installed = true; /* perhaps: of some group */
                say_unmatched(e, p);
                continue;
            }
            if (k[j].name.n != name.n && !hf_span_eqz(ns, "pypi") && !hf_span_eqz(ns, "go"))
                continue;
            hf_buf_clear(&norm);
            hf_adv_name(ns, k[j].name, &norm);
            if (!hf_span_eq(hf_buf_span(&norm), name))
                continue;
            installed = true;
            if (p->flags & HF_PKG_NOT_MATCHED)
                say_unmatched(e, p);
            else
                say(e, p, &k[j], row);
        }
    }
    for (size_t i = 0; i < m->os.n_ns && !looked; i++)
        looked = hf_span_eqz(ns, m->os.ns[i]);
    if (!looked) {
        e->elsewhere++;
        if (!e->other_ns.n)
            e->other_ns = ns;
    } else if (!installed) {
        e->absent++;
        e->absent_name = name;
    }
    return 0;
}

static int prepare(struct hf_match *m)
{
    uint32_t own = hf_match_intern(m, m->o->why_not);
    uint64_t *at = own == UINT32_MAX ? NULL : hf_map_at(&m->why_not_ids, m->o->why_not, NULL);
    const struct hf_by_id *b = hf_match_by_id(m, m->o->why_not);
    for (size_t i = 0; at && i < b->n; i++) {
        struct hf_adv_info *info = hf_match_info(m, b->advs[i]);
        /* Other names of the same vulnerability, but not a bundle's other vulnerabilities. */
        for (size_t j = 0; info && info->decoded && info->n_cves <= 1 && j < info->n_ids && at; j++)
            at = hf_map_at(&m->why_not_ids, m->ids[info->ids[j]], NULL);
    }
    return at ? 0 : hf_match_limit(m, "out of memory");
}

static bool in_result(struct hf_match *m)
{
    const struct hf_scan *s = m->scan;
    bool any = false;
    for (size_t i = 0; i < s->n_vulns; i++) {
        const struct hf_vuln *v = &s->vulns[i];
        bool it = hf_span_eq(v->id, m->o->why_not);
        for (size_t j = 0; j < v->n_aliases && !it; j++)
            it = hf_span_eq(v->aliases[j], m->o->why_not);
        if (!it || !room(m))
            continue;
        any = true;
        hf_buf_addf(m->why_not, HF_SPAN_FMT " is reported for " HF_SPAN_FMT " " HF_SPAN_FMT " as " HF_SPAN_FMT "\n", HF_SPAN_ARG(m->o->why_not),
                HF_SPAN_ARG(s->packages[v->package].p.name), HF_SPAN_ARG(s->packages[v->package].p.version), HF_SPAN_ARG(v->id));
    }
    return any;
}

int hf_match_why_not(struct hf_match *m)
{
    if (!m->why_not_ids.n)
        return prepare(m);
    struct hf_buf *out = m->why_not;
    size_t before = out->n;
    bool reported = in_result(m);
    const struct hf_by_id *b = hf_match_by_id(m, m->o->why_not);
    if (!b->n) {
        hf_buf_addf(out, HF_SPAN_FMT " is not in the advisory database: no source that it was built from names it (or names it in a "
                "withdrawn record only)\n", HF_SPAN_ARG(m->o->why_not));
        return hf_buf_ok(out) ? 0 : HF_E_LIMIT;
    }
    struct explain sum = {.m = m};
    for (size_t i = 0; i < b->n && m->why_not_lines < HF_MATCH_WHY_NOT_LINES; i++) {
        struct hf_adv_info *info = hf_match_info(m, b->advs[i]);
        if (!info || !info->decoded) {
            hf_buf_addz(out, "a record of it in the database is damaged\n");
            continue;
        }
        if (info->a.withdrawn) {
            hf_buf_addf(out, HF_SPAN_FMT " was withdrawn by its source [R23]\n", HF_SPAN_ARG(info->a.id));
            continue;
        }
        sum.adv = b->advs[i];
        sum.id = info->a.id;
        int rc = hf_advdb_packages(m->db, sum.adv, on_package, &sum, m->err);
        if (rc < 0 && rc != HF_E_FORMAT)
            return rc;
    }
    if (!reported && !sum.said && out->n == before && sum.absent)
        hf_buf_addf(out, "no installed package is named " HF_SPAN_FMT "%s, which is what the database has " HF_SPAN_FMT " for\n",
                HF_SPAN_ARG(sum.absent_name), sum.absent > 1 ? " (or as its other packages)" : "", HF_SPAN_ARG(m->o->why_not));
    if (!reported && !sum.said && out->n == before && sum.elsewhere)
        hf_buf_addf(out, HF_SPAN_FMT " is known for other systems and ecosystems only, such as " HF_SPAN_FMT "; this scan looked in %s%s\n",
                HF_SPAN_ARG(m->o->why_not), HF_SPAN_ARG(sum.other_ns), m->os.n_ns ? m->os.ns[0] : "no distribution's data",
                m->os.known && !m->os.present ? " (the database has no data of this release)" : "");
    if (out->n == before && !reported && !m->why_not_lines)
        hf_buf_addf(out, HF_SPAN_FMT " is in the database, but its records name no package\n", HF_SPAN_ARG(m->o->why_not));
    return hf_buf_ok(out) ? 0 : HF_E_LIMIT;
}
