/* SPDX-License-Identifier: Apache-2.0 */
/* For people: what it is, what to do first, then the list. */
#include <stdio.h>

#include "report/report.h"

struct table {
    const struct hf_scan *s;
    const struct hf_report_opts *o;
    struct hf_buf *out;
    const struct hf_vuln **v; /* those that count, in the order of what to do first */
    size_t n;
    struct line {
        const struct hf_vuln *v;
        size_t others; /* packages of the same source that it is said of too */
    } *lines;
    size_t n_lines;
};

static const char *const colors[] = {"\033[2m", "\033[2m", "\033[36m", "\033[33m", "\033[31m", "\033[1;31m"};

static void color(struct table *t, const char *code)
{
    if (t->o->color)
        hf_buf_addz(t->out, code);
}

/* Text padded or cut to a width. */
static void cell(struct table *t, struct hf_span text, size_t width)
{
    size_t used = hf_buf_add_escaped(t->out, text, width);
    for (; used < width; used++)
        hf_buf_addc(t->out, ' ');
    hf_buf_addz(t->out, "  ");
}

static struct hf_span source_of(const struct hf_package *p)
{
    return p->source_name.n ? p->source_name : p->name;
}

/* What runs and can be reached, then what runs, what is not known, and what never ran. */
static int use_rank(const struct hf_vuln *v)
{
    static const int ranks[] = {[HF_USE_UNKNOWN] = 3, [HF_USED_NOW] = 0, [HF_USED_REACHABLE] = 1, [HF_USED] = 2, [HF_USED_NEVER] = 4};
    return ranks[v->use];
}

/* Where it is known what is used, that first; exploited first, then how bad, how likely, and whether a fix is there. */
static int what_first(const void *a, const void *b, void *ctx)
{
    const struct hf_scan *s = ctx;
    const struct hf_vuln *x = *(const struct hf_vuln *const *)a, *y = *(const struct hf_vuln *const *)b;
    if (use_rank(x) != use_rank(y))
        return use_rank(x) - use_rank(y);
    if (x->has_kev != y->has_kev)
        return x->has_kev ? -1 : 1;
    if (x->severity != y->severity)
        return x->severity > y->severity ? -1 : 1;
    double e = x->has_epss ? x->epss.score : 0, f = y->has_epss ? y->epss.score : 0;
    if (e > f || e < f)
        return e > f ? -1 : 1;
    if ((x->n_fixed_in != 0) != (y->n_fixed_in != 0))
        return x->n_fixed_in ? -1 : 1;
    const struct hf_package *p = &s->packages[x->package].p, *q = &s->packages[y->package].p;
    int c = p->type != q->type ? (p->type < q->type ? -1 : 1) : hf_span_cmp(source_of(p), source_of(q));
    c = c ? c : hf_span_cmp(x->id, y->id);
    return c ? c : (x->package > y->package) - (x->package < y->package);
}

static bool same_line(const struct hf_scan *s, const struct hf_vuln *x, const struct hf_vuln *y)
{
    const struct hf_package *p = &s->packages[x->package].p, *q = &s->packages[y->package].p;
    return hf_span_eq(x->id, y->id) && x->use == y->use && p->type == q->type && hf_span_eq(source_of(p), source_of(q)) && hf_span_eq(p->version, q->version) && x->severity == y->severity &&
            x->status == y->status && (x->n_fixed_in != 0) == (y->n_fixed_in != 0) && (!x->n_fixed_in || hf_span_eq(x->fixed_in[0], y->fixed_in[0]));
}

/* Packages built from one source have its vulnerabilities together: one line for them.  With --why each has its own. */
static void group(struct table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        struct line *l = NULL;
        for (size_t k = t->n_lines; !t->o->why && k-- > 0 && hf_span_eq(t->lines[k].v->id, t->v[i]->id) && t->n_lines - k <= 64;)
            if (same_line(t->s, t->lines[k].v, t->v[i])) {
                l = &t->lines[k];
                break;
            }
        if (l)
            l->others++;
        else
            t->lines[t->n_lines++] = (struct line){t->v[i], 0};
    }
}

/* "libblkid1", or "bsdutils +9 of util-linux". */
static struct hf_span package_cell(const struct table *t, const struct line *l, struct hf_buf *text)
{
    const struct hf_package *p = &t->s->packages[l->v->package].p;
    if (!l->others)
        return p->name;
    hf_buf_clear(text);
    hf_buf_adds(text, hf_span_sub(p->name, 0, 256));
    hf_buf_addf(text, " +%zu", l->others);
    if (!hf_span_eq(source_of(p), p->name))
        hf_buf_addf(text, " of " HF_SPAN_FMT, HF_SPAN_ARG(hf_span_sub(source_of(p), 0, 256)));
    return hf_buf_span(text);
}

static void size_text(uint64_t n, char out[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double v = (double)n;
    unsigned u = 0;
    while (v >= 1024 && u < 4)
        v /= 1024, u++;
    snprintf(out, 32, u ? "%.1f %s" : "%.0f %s", v, units[u]);
}

static void head(struct table *t)
{
    const struct hf_scan *s = t->s;
    char size[32];
    size_t by[HF_PKG_TYPES] = {0};
    color(t, "\033[1m");
    hf_buf_add_escaped(t->out, s->target, 0);
    color(t, "\033[0m");
    hf_buf_addc(t->out, '\n');
    hf_buf_addz(t->out, "  system    ");
    if (s->release.pretty_name.n || s->release.id.n)
        hf_buf_add_escaped(t->out, s->release.pretty_name.n ? s->release.pretty_name : s->release.id, 80);
    else
        hf_buf_addz(t->out, "not known (no os-release)");
    if (s->arch.n) {
        hf_buf_addz(t->out, ", ");
        hf_buf_add_escaped(t->out, s->arch, 20);
    }
    hf_buf_addc(t->out, '\n');
    if (s->digest.n) {
        hf_buf_addz(t->out, "  digest    ");
        hf_buf_add_escaped(t->out, s->digest, 0);
        hf_buf_addc(t->out, '\n');
    }
    size_text(s->bytes, size);
    hf_buf_addf(t->out, "  content   %llu files, %s", (unsigned long long)s->files, size);
    if (s->n_layers)
        hf_buf_addf(t->out, ", %zu layer%s", s->n_layers, s->n_layers == 1 ? "" : "s");
    hf_buf_addf(t->out, "\n  packages  %zu", s->n_packages);
    for (size_t i = 0; i < s->n_packages; i++)
        by[s->packages[i].p.type]++;
    const char *sep = ": ";
    for (unsigned i = 0; i < HF_PKG_TYPES; i++)
        if (by[i]) {
            hf_buf_addf(t->out, "%s%zu %s", sep, by[i], hf_pkg_type_name((enum hf_pkg_type)i));
            sep = ", ";
        }
    hf_buf_addz(t->out, "\n");
    for (size_t i = 0; i < s->n_warnings; i++) {
        color(t, "\033[33m");
        hf_buf_addz(t->out, "  warning   ");
        hf_buf_add_escaped(t->out, s->warnings[i], 0);
        color(t, "\033[0m");
        hf_buf_addc(t->out, '\n');
    }
    hf_buf_addc(t->out, '\n');
}

static void row(struct table *t, const struct line *l, const size_t width[4])
{
    const struct hf_vuln *v = l->v;
    const struct hf_scan_package *p = &t->s->packages[v->package];
    hf_autobuf name = HF_BUF_INIT(1024);
    color(t, colors[v->severity]);
    cell(t, hf_span_z(hf_severity_name(v->severity)), 10);
    color(t, "\033[0m");
    cell(t, v->id, width[0]);
    cell(t, package_cell(t, l, &name), width[1]);
    cell(t, p->p.version, width[2]);
    cell(t, v->n_fixed_in ? v->fixed_in[0] : hf_span_z(v->status == HF_VULN_UNFIXED ? "no fix yet" : hf_vuln_status_name(v->status)), width[3]);
    if (v->has_epss)
        hf_buf_addf(t->out, "%5.1f%%", v->epss.score * 100);
    else
        hf_buf_addz(t->out, "      ");
    static const char *const uses[] = {"", "act now", "reachable", "in use", "never used"};
    if (t->s->used_since_unix)
        hf_buf_addf(t->out, "  %-10s", uses[v->use]);
    if (v->has_kev) {
        color(t, "\033[1;31m");
        hf_buf_addz(t->out, "  exploited");
        color(t, "\033[0m");
    }
    while (t->out->n && t->out->p[t->out->n - 1] == ' ')
        t->out->n--;
    hf_buf_addc(t->out, '\n');
    if (t->o->why)
        for (size_t i = 0; i < v->n_why; i++) {
            hf_buf_addz(t->out, "            ");
            hf_buf_add_escaped(t->out, v->why[i].rule, 20);
            hf_buf_addz(t->out, ": ");
            hf_buf_add_escaped(t->out, v->why[i].record, 60);
            hf_buf_addz(t->out, " of ");
            hf_buf_add_escaped(t->out, v->why[i].source, 60);
            hf_buf_addz(t->out, ": ");
            hf_buf_add_escaped(t->out, v->why[i].text, 0);
            hf_buf_addc(t->out, '\n');
        }
}

static void widths(struct table *t, size_t shown, size_t width[4])
{
    size_t max[4] = {24, 40, 34, 34}, total = 10 + 2 + 5 * 2 + 6 + 11 + (t->s->used_since_unix ? 12 : 0);
    hf_autobuf name = HF_BUF_INIT(1024);
    width[0] = 13, width[1] = 7, width[2] = 9, width[3] = 8;
    for (size_t i = 0; i < shown; i++) {
        const struct hf_vuln *v = t->lines[i].v;
        size_t n[4] = {v->id.n, package_cell(t, &t->lines[i], &name).n, t->s->packages[v->package].p.version.n, v->n_fixed_in ? v->fixed_in[0].n : 19};
        for (unsigned k = 0; k < 4; k++)
            width[k] = HF_MIN(HF_MAX(width[k], n[k]), max[k]);
    }
    /* Too wide: the longest column gives first. */
    while (t->o->width && width[0] + width[1] + width[2] + width[3] + total > t->o->width) {
        unsigned longest = 1;
        for (unsigned k = 1; k < 4; k++)
            if (width[k] > width[longest])
                longest = k;
        if (width[longest] <= 10)
            break;
        width[longest]--;
    }
}

static int rows(struct table *t, hf_report_sink sink, void *ctx)
{
    enum { SHOWN = 50 };
    size_t shown = t->o->all_rows ? t->n_lines : HF_MIN(t->n_lines, (size_t)SHOWN), width[4];
    if (!t->n_lines)
        return 0;
    widths(t, shown, width);
    color(t, "\033[1m");
    static const char *const titles[] = {"ID", "PACKAGE", "INSTALLED", "FIXED IN"};
    cell(t, HF_S("SEVERITY"), 10);
    for (unsigned k = 0; k < 4; k++)
        cell(t, hf_span_z(titles[k]), width[k]);
    hf_buf_addz(t->out, t->s->used_since_unix ? "  EPSS  USE\n" : "  EPSS\n");
    color(t, "\033[0m");
    for (size_t i = 0; i < shown; i++) {
        row(t, &t->lines[i], width);
        int rc = hf_report_flush(t->out, false, sink, ctx);
        if (rc < 0)
            return rc;
    }
    if (shown < t->n_lines)
        hf_buf_addf(t->out, "... and %zu more; --long shows all\n", t->n_lines - shown);
    hf_buf_addc(t->out, '\n');
    return 0;
}

/* Packages that no advisory was held against, and why not (R9, R27): they are not clean, they are unknown. */
static void unmatched(struct table *t)
{
    enum { REASONS = 16, NAMES = 5 };
    const struct hf_scan *s = t->s;
    struct hf_span reasons[REASONS];
    size_t n = 0, rest = 0;
    for (size_t i = 0; i < s->n_packages && s->matched; i++) {
        struct hf_span why = s->packages[i].p.unmatched_why;
        size_t k = 0;
        while (k < n && !hf_span_eq(reasons[k], why))
            k++;
        if (why.n && k == n && n < REASONS)
            reasons[n++] = why;
        rest += why.n && k == REASONS;
    }
    for (size_t k = 0; k < n; k++) {
        size_t count = 0;
        hf_autobuf names = HF_BUF_INIT(4096);
        for (size_t i = 0; i < s->n_packages; i++)
            if (hf_span_eq(s->packages[i].p.unmatched_why, reasons[k]) && count++ < NAMES)
                hf_buf_addf(&names, "%s" HF_SPAN_FMT, count > 1 ? ", " : "", HF_SPAN_ARG(hf_span_sub(s->packages[i].p.name, 0, 80)));
        hf_buf_addf(t->out, "unmatched: %zu package%s (", count, count == 1 ? "" : "s");
        hf_buf_add_escaped(t->out, hf_buf_span(&names), 0);
        hf_buf_addz(t->out, count > NAMES ? ", ...): " : "): ");
        hf_buf_add_escaped(t->out, reasons[k], 0);
        hf_buf_addc(t->out, '\n');
    }
    if (rest)
        hf_buf_addf(t->out, "... and %zu more that were not matched (--format json says why)\n", rest);
}

/* The last word.  "0 vulnerabilities" is said only of what was looked at as a whole, with whole data (R20). */
static void verdict(struct table *t)
{
    const struct hf_scan *s = t->s;
    if (!s->matched) {
        hf_buf_addz(t->out, "vulnerabilities were not looked for");
    } else if (t->n || (!s->n_incomplete && !s->gaps && !s->eol)) {
        hf_buf_addf(t->out, "%zu vulnerabilit%s", t->n, t->n == 1 ? "y" : "ies");
    } else {
        hf_buf_addz(t->out, "no vulnerability is known");
        if (s->gaps || s->eol)
            hf_buf_addz(t->out, " to advisories that are not whole (see the warnings)");
    }
}

static void tail(struct table *t, size_t collapsed, size_t ignored)
{
    const struct hf_scan *s = t->s;
    size_t by[HF_SEV_CRITICAL + 1] = {0}, exploited = 0, fixable = 0;
    for (size_t i = 0; i < t->n; i++) {
        by[t->v[i]->severity]++;
        exploited += t->v[i]->has_kev;
        fixable += t->v[i]->n_fixed_in != 0;
    }
    for (size_t i = 0; i < s->n_incomplete && i < 20; i++) {
        color(t, "\033[33m");
        hf_buf_addz(t->out, "not examined: ");
        hf_buf_add_escaped(t->out, s->incomplete[i].path, 0);
        if (s->incomplete[i].path.n)
            hf_buf_addz(t->out, ": ");
        else if (s->incomplete[i].layer < s->n_layers)
            hf_buf_addf(t->out, "layer %u of %zu: ", s->incomplete[i].layer + 1, s->n_layers);
        hf_buf_add_escaped(t->out, s->incomplete[i].reason, 0);
        color(t, "\033[0m");
        hf_buf_addc(t->out, '\n');
    }
    if (s->n_incomplete > 20)
        hf_buf_addf(t->out, "... and %zu more that could not be examined (--format json lists all)\n", s->n_incomplete - 20);
    unmatched(t);
    verdict(t);
    if (t->n) {
        hf_buf_addz(t->out, ":");
        const char *sep = " ";
        for (unsigned i = HF_SEV_CRITICAL + 1; i-- > 0;)
            if (by[i]) {
                hf_buf_addz(t->out, sep);
                color(t, colors[i]);
                hf_buf_addf(t->out, "%zu %s", by[i], hf_severity_name((enum hf_severity)i));
                color(t, "\033[0m");
                sep = ", ";
            }
        hf_buf_addf(t->out, "; %zu with a fix", fixable);
        if (exploited)
            hf_buf_addf(t->out, "; %zu known to be exploited", exploited);
    }
    if (s->n_incomplete)
        hf_buf_addz(t->out, "; not everything could be examined");
    hf_buf_addz(t->out, "\n");
    if (collapsed)
        hf_buf_addf(t->out, "%zu more concern packages of the kernel, which does not run from here: they are counted apart\n", collapsed);
    if (ignored)
        hf_buf_addf(t->out, "%zu are accepted by the ignore file\n", ignored);
    if (fixable)
        hf_buf_addz(t->out, "Next: rebuild with the packages above updated, then scan the result.\n");
}

static int write_table(const struct hf_scan *s, const struct hf_report_opts *o, hf_report_sink sink, void *ctx)
{
    hf_autobuf out = HF_BUF_INIT(32 << 20);
    struct table t = {s, o, &out, calloc(s->n_vulns + 1, sizeof *t.v), 0, calloc(s->n_vulns + 1, sizeof *t.lines), 0};
    size_t collapsed = 0, ignored = 0;
    if (!t.v || !t.lines) {
        free(t.v);
        free(t.lines);
        return HF_E_LIMIT;
    }
    for (size_t i = 0; i < s->n_vulns; i++) {
        const struct hf_vuln *v = &s->vulns[i];
        if (v->ignored_by.n)
            ignored++;
        else if (v->collapsed)
            collapsed++;
        else if (hf_report_shows(v, o))
            t.v[t.n++] = v;
    }
    if (t.n)
        qsort_r(t.v, t.n, sizeof *t.v, what_first, (void *)(uintptr_t)s);
    group(&t);
    head(&t);
    int rc = rows(&t, sink, ctx);
    if (rc >= 0) {
        tail(&t, collapsed, ignored);
        rc = hf_report_flush(&out, true, sink, ctx);
    }
    free(t.v);
    free(t.lines);
    return rc;
}

const struct hf_writer hf_writer_table = {"table", "for people", write_table};
