/* SPDX-License-Identifier: Apache-2.0 */
/* The run: namespaces and feeds (R13, R20), keys looked up once each, then the rows of every package.  Rules: docs/matching.md */
#include "matching/match-internal.h"

#include <time.h>

int hf_match_limit(struct hf_match *m, const char *what)
{
    if (!m->full)
        m->full_what = what;
    m->full = true; /* said at the end, when the spare of the arena is there for it */
    return 0;
}

bool hf_match_is_cve(struct hf_span id)
{
    return hf_span_starts(id, HF_S("CVE-")) && id.n >= 13;
}

/* --- ids and advisories, each once --- */

uint32_t hf_match_intern(struct hf_match *m, struct hf_span id)
{
    bool fresh;
    uint64_t *at = hf_map_at(&m->id_index, id, &fresh);
    if (!at) {
        hf_match_limit(m, "out of memory for the identifiers");
        return UINT32_MAX;
    }
    if (fresh) {
        struct hf_span *s = hf_grow((void **)&m->ids, &m->n_ids, &m->cap_ids, sizeof *s, UINT32_MAX - 1);
        if (!s) {
            hf_match_limit(m, "out of memory for the identifiers");
            return UINT32_MAX;
        }
        *s = id;
        *at = m->n_ids;
    }
    return *at ? (uint32_t)(*at - 1) : UINT32_MAX;
}

/* An advisory that cannot be held is an incomplete result, not one that does not exist. */
static struct hf_adv_info *no_room(struct hf_match *m)
{
    hf_match_limit(m, "out of memory for the advisories");
    return NULL;
}

struct hf_adv_info *hf_match_info(struct hf_match *m, uint32_t adv)
{
    uint64_t known;
    if (hf_map_get(&m->infos_by_adv, hf_span((const char *)&adv, sizeof adv), &known))
        return known ? m->infos[known - 1] : NULL;
    uint32_t *key = hf_arena_alloc(&m->work, sizeof *key);
    if (!key)
        return no_room(m);
    *key = adv;
    bool fresh;
    uint64_t *at = hf_map_at(&m->infos_by_adv, hf_span((const char *)key, sizeof *key), &fresh);
    if (!at)
        return no_room(m);
    struct hf_adv_info *i = hf_arena_calloc(&m->work, 1, sizeof *i), **slot;
    if (!i || !(slot = hf_grow((void **)&m->infos, &m->n_infos, &m->cap_infos, sizeof *slot, UINT32_MAX - 1)))
        return no_room(m);
    *slot = i;
    *at = m->n_infos;
    int rc = hf_advdb_advisory(m->db, adv, &m->scan->arena, &i->a, NULL);
    if (rc < 0 || !i->a.id.n) {
        if (rc == HF_E_LIMIT)
            hf_match_limit(m, "the memory ceiling is reached");
        else
            m->damaged++;
        return i;
    }
    size_t n = HF_MIN(i->a.n_aliases + 1, (size_t)HF_MATCH_MAX_IDS);
    uint32_t *ids = hf_arena_alloc(&m->work, n * sizeof *ids);
    if (!ids)
        return no_room(m);
    for (size_t j = 0; j < n; j++) {
        struct hf_span id = j ? i->a.aliases[j - 1] : i->a.id;
        uint32_t k = id.n ? hf_match_intern(m, id) : UINT32_MAX;
        if (k == UINT32_MAX)
            continue;
        ids[i->n_ids++] = k;
        i->n_cves += hf_match_is_cve(id);
    }
    i->ids = ids;
    i->decoded = true;
    return i;
}

struct by_id_ctx {
    uint32_t advs[HF_MATCH_MAX_BY_ID];
    size_t n;
};
static int by_id_row(void *ctx, uint32_t adv)
{
    struct by_id_ctx *c = ctx;
    if (c->n == HF_ARRAY_LEN(c->advs))
        return HF_E_LIMIT;
    c->advs[c->n++] = adv;
    return 0;
}

const struct hf_by_id *hf_match_by_id(struct hf_match *m, struct hf_span id)
{
    static const struct hf_by_id none = {NULL, 0};
    bool fresh;
    uint64_t *at = hf_map_at(&m->by_id, id, &fresh);
    if (!at)
        return &none;
    if (!fresh)
        return *at ? (const struct hf_by_id *)(uintptr_t)*at : &none;
    struct by_id_ctx c = {.n = 0};
    if (hf_advdb_by_id(m->db, id, by_id_row, &c, NULL) < 0 && !c.n)
        return &none;
    struct hf_by_id *b = hf_arena_alloc(&m->work, sizeof *b);
    uint32_t *advs = b && c.n ? hf_arena_alloc(&m->work, c.n * sizeof *advs) : NULL;
    if (!advs)
        return &none;
    memcpy(advs, c.advs, c.n * sizeof *advs);
    *b = (struct hf_by_id){advs, c.n};
    *at = (uint64_t)(uintptr_t)b;
    return b;
}

/* --- one key --- */

struct row_ctx {
    struct hf_match *m;
    struct hf_key_result *r;
    const struct hf_match_key *k;
    struct hf_span module;
    struct hf_verdict v;
};

static bool row_applies(struct row_ctx *c, const struct hf_adv_row *row)
{
    if (row->scheme != HF_SCHEME_RPM)
        return true;
    struct hf_span summary = {NULL, 0};
    if (!row->module.n && c->module.n && hf_match_row_is_modular(c->m->db, row)) {
        struct hf_adv_info *i = hf_match_info(c->m, row->adv);
        if (i && i->decoded)
            summary = i->a.summary;
    }
    return hf_match_module(c->m->db, row, c->module, c->k->version, summary);
}

/* R16: what Red Hat has not looked at yet is not reported; other sources' "under investigation" is, as a status (R10). */
static bool row_skipped(const struct hf_match_key *k, const struct hf_adv_row *row)
{
    struct hf_span ns = hf_span_z(k->ns);
    return row->state == HF_ADV_INVESTIGATING && (hf_span_starts(ns, HF_S("redhat:")) || hf_span_starts(ns, HF_S("almalinux:")) ||
            hf_span_starts(ns, HF_S("rocky:")));
}

static int on_row(void *ctx, const struct hf_advdb *db, const struct hf_adv_row *row)
{
    struct row_ctx *c = ctx;
    struct hf_key_result *r = c->r;
    struct hf_seen *seen = hf_grow((void **)&r->seen, &r->n_seen, &r->cap_seen, sizeof *seen, HF_MATCH_MAX_ROWS);
    if (!seen) {
        hf_match_limit(c->m, "a package has more advisory rows than the limit or memory allows");
        return HF_E_LIMIT;
    }
    seen->adv = row->adv;
    if (row_skipped(c->k, row)) {
        seen->kind = HF_VERDICT_SKIPPED;
        return 0;
    }
    if (!row_applies(c, row)) {
        seen->kind = HF_VERDICT_OTHER_MODULE;
        return 0;
    }
    hf_verdict(db, row, c->k->version, c->k->ignore_epoch, &c->v);
    seen->kind = c->v.kind;
    r->never |= c->v.kind == HF_VERDICT_NEVER;
    if (c->v.kind == HF_VERDICT_INCOMPARABLE) {
        if (c->v.installed_invalid)
            r->invalid = true;
        else if (!r->bad_record) {
            r->bad_record = true;
            struct hf_adv_info *i = hf_match_info(c->m, row->adv);
            if (!c->m->bad_records++ && i && i->decoded)
                c->m->bad_record_example = i->a.id;
        }
        return 0;
    }
    if (c->v.kind != HF_VERDICT_AFFECTED)
        return 0;
    if (!hf_match_linked(db, row, c->k)) {
        seen->kind = HF_VERDICT_NOT_LINKED;
        return 0;
    }
    struct hf_hit *h = hf_grow((void **)&r->hits, &r->n_hits, &r->cap_hits, sizeof *h, HF_MATCH_MAX_HITS);
    struct hf_adv_range *fixes = hf_arena_alloc(&c->m->work, (c->v.n_fixes + 1) * sizeof *fixes);
    if (!h || !fixes) {
        r->n_hits -= h != NULL;
        hf_match_limit(c->m, "memory for the matches of a package is used up");
        return HF_E_LIMIT;
    }
    memcpy(fixes, c->v.fixes, c->v.n_fixes * sizeof *fixes);
    *h = (struct hf_hit){.adv = row->adv, .state = row->state, .flags = row->flags, .severity = row->severity, .scheme = row->scheme,
        .listed = c->v.listed, .n_symbols = (uint32_t)HF_MIN(row->n_symbols, (size_t)UINT32_MAX), .linked = c->k->linked != NULL, .at = c->v.at, .fixes = fixes,
        .n_fixes = c->v.n_fixes};
    return 0;
}

static int by_adv(const void *a, const void *b)
{
    const struct hf_seen *x = a, *y = b;
    if (x->adv != y->adv)
        return x->adv < y->adv ? -1 : 1;
    return (int)x->kind - (int)y->kind;
}

struct hf_key_result *hf_match_lookup(struct hf_match *m, const struct hf_match_key *k, struct hf_span module)
{
    hf_buf_clear(&m->text);
    hf_buf_addz(&m->text, k->ns);
    hf_buf_addc(&m->text, '\0');
    hf_adv_name(hf_span_z(k->ns), k->name, &m->text);
    size_t name_end = m->text.n;
    hf_buf_addf(&m->text, "%c%d", '\0', k->ignore_epoch);
    hf_buf_adds(&m->text, k->version);
    hf_buf_addc(&m->text, '\0');
    hf_buf_adds(&m->text, module);
    size_t ns_n = strlen(k->ns) + 1;
    if (!hf_buf_ok(&m->text) || name_end < ns_n)
        return NULL;
    uint64_t old;
    if (hf_map_get(&m->keys, hf_buf_span(&m->text), &old))
        return &m->results[old - 1];
    struct hf_span key;
    bool fresh;
    uint64_t *at;
    if (hf_arena_dup(&m->work, hf_buf_span(&m->text), &key) < 0 || !(at = hf_map_at(&m->keys, key, &fresh)))
        return NULL;
    struct hf_key_result *r = hf_grow((void **)&m->results, &m->n_results, &m->cap_results, sizeof *r, HF_MATCH_MAX_KEYS);
    if (!r)
        return NULL;
    *at = m->n_results;
    struct row_ctx c = {.m = m, .r = r, .k = k, .module = module};
    int rc = hf_advdb_lookup(m->db, hf_span_z(k->ns), hf_span_sub(key, ns_n, name_end - ns_n), on_row, &c, m->err);
    if (rc < 0 && rc != HF_E_LIMIT &&
            hf_scan_incomplete(m->scan, HF_S(""), UINT32_MAX, "advisory database: records of %s " HF_SPAN_FMT " are damaged: %s", k->ns,
                    HF_SPAN_ARG(k->name), m->err ? m->err->msg : "") < 0)
        return NULL;
    if (r->n_seen)
        qsort(r->seen, r->n_seen, sizeof *r->seen, by_adv);
    return r;
}

/* --- R13, R20: where to look, and whether there is anything --- */

static void resolve_os(struct hf_match *m)
{
    struct hf_match_os *os = &m->os;
    const struct hf_os_release *rel = &m->scan->release;
    char ns[4][HF_NS_MAX];
    size_t n = hf_ns_from_os(rel, ns, &os->scheme);
    os->known = n > 0;
    const char *base = NULL;
    for (size_t i = 0; i < HF_MIN(n, (size_t)4); i++) {
        struct hf_span s = hf_span_z(ns[i]);
        bool pro = hf_span_ends(s, HF_S(":pro"));
        /* The others are stand-ins for the same release: the first that has data is the one (R13).  Pro is a second channel
         * of the same release (R15). */
        if (!hf_advdb_has_namespace(m->db, s) || (base && !pro))
            continue;
        if (!pro)
            base = ns[i];
        memcpy(os->ns[os->n_ns], ns[i], HF_NS_MAX);
        os->pro[os->n_ns++] = pro;
    }
    os->present = os->n_ns > 0;
    static const char *const comprehensive[] = {"debian:", "ubuntu:", "redhat:", "azurelinux:", "mariner:", "arch"};
    for (size_t i = 0; base && i < HF_ARRAY_LEN(comprehensive); i++)
        os->comprehensive |= hf_span_starts(hf_span_z(base), hf_span_z(comprehensive[i]));
    os->binary_only = hf_span_eqz(rel->id, "amzn") || hf_span_starts(rel->id, HF_S("opensuse")) || hf_span_starts(rel->id, HF_S("sle"));
    os->source_only = hf_span_eqz(rel->id, "mariner") || hf_span_eqz(rel->id, "azurelinux") || hf_span_eqz(rel->id, "photon");
}

static int no_data(struct hf_match *m, size_t packages, const char *what, const char *ns)
{
    m->scan->gaps = true;
    int rc = hf_scan_warn(m->scan, "no advisories for %s: its %zu packages were listed, but not checked (R20)", what, packages);
    if (rc == 0)
        rc = hf_scan_incomplete(m->scan, HF_S(""), UINT32_MAX, "the advisory database has no data for %s (%s); %zu packages were not checked",
                what, ns, packages);
    return rc;
}

/* Whether a feed speaks of a namespace, by its name: "osv:Debian", "debian-tracker", "alpine-secdb", "osv:crates.io". */
static bool feed_serves(struct hf_span feed, const char *ns)
{
    static const struct {
        const char *ns, *words[3];
    } t[] = {
        {"cargo", {"crates", "cargo", "rustsec"}}, {"gem", {"rubygems", "rubysec", NULL}}, {"redhat", {"red hat", "redhat", "rhel"}},
        {"almalinux", {"almalinux", NULL}}, {"rocky", {"rocky", NULL}}, {"suse", {"suse", NULL}}, {"opensuse", {"opensuse", "suse", NULL}},
        {"go", {"osv:go", "govulndb", NULL}}, {"pypi", {"pypi", "pysec", NULL}}, {"azurelinux", {"azure", "mariner", NULL}},
        {"npm", {"npm", NULL}}, {"hex", {"osv:hex", NULL}}, {"pub", {"osv:pub", NULL}},
    };
    struct hf_span family = hf_span_sub(hf_span_z(ns), 0, hf_span_find(hf_span_z(ns), ':'));
    if (hf_span_eqz(family, "alpine") && hf_span_starts(feed, HF_S("secdb:"))) { /* "secdb:v3.19": one release each */
        struct hf_span of = hf_span_from(feed, 6), release = hf_span_from(hf_span_z(ns), HF_MIN(family.n + 1, strlen(ns)));
        of = hf_span_from(of, of.n && of.p[0] == 'v');
        return !release.n ? hf_span_eqz(of, "edge") || (of.n && of.p[0] >= '0' && of.p[0] <= '9') : hf_span_eq(of, release);
    }
    for (size_t i = 0; i < HF_ARRAY_LEN(t); i++) {
        if (!hf_span_eqz(family, t[i].ns))
            continue;
        for (size_t j = 0; j < 3 && t[i].words[j]; j++) {
            struct hf_span w = hf_span_z(t[i].words[j]);
            for (size_t k = 0; feed.n >= w.n && k <= feed.n - w.n; k++)
                if (hf_span_eq_nocase(hf_span_sub(feed, k, w.n), w))
                    return true;
        }
        return false;
    }
    for (size_t k = 0; feed.n >= family.n && k <= feed.n - family.n; k++)
        if (hf_span_eq_nocase(hf_span_sub(feed, k, family.n), family))
            return true;
    return hf_span_eq_nocase(feed, HF_S("ghsa"));
}

/* A feed built from files of other names ("osv:advisory-database-main") does not say what it speaks of: it may be anything. */
static bool feed_is_named(struct hf_span feed)
{
    static const char *const families[] = {"debian", "ubuntu", "alpine", "wolfi", "chainguard", "minimos", "redhat", "almalinux", "rocky", "suse", "opensuse", "oracle", "amazon",
            "photon", "azurelinux", "mariner", "bitnami"};
    for (size_t i = 0; i < HF_ARRAY_LEN(families); i++)
        if (feed_serves(feed, families[i]))
            return true;
    for (unsigned t = 0; t < HF_PKG_TYPES; t++) {
        enum hf_scheme scheme;
        const char *ns = hf_ns_from_type(t, &scheme);
        if (ns && feed_serves(feed, ns))
            return true;
    }
    return false;
}

/* Whether a source of this database is for a namespace.  Others mention packages of it in passing, which is no coverage. */
static bool has_source(struct hf_match *m, const char *ns)
{
    const struct hf_adv_source *all;
    size_t n = hf_advdb_sources(m->db, &all);
    for (size_t i = 0; i < n; i++)
        if (!hf_span_eqz(all[i].name, "kev") && !hf_span_eqz(all[i].name, "epss") && (all[i].demo || !feed_is_named(all[i].name) || feed_serves(all[i].name, ns)))
            return true;
    return false;
}

static int check_coverage(struct hf_match *m, bool used[HF_PKG_TYPES])
{
    struct hf_scan *s = m->scan;
    size_t count[HF_PKG_TYPES] = {0}, os = 0;
    for (size_t i = 0; i < s->n_packages; i++) {
        const struct hf_package *p = &s->packages[i].p;
        if ((unsigned)p->type >= HF_PKG_TYPES || p->flags & HF_PKG_NOT_MATCHED)
            continue;
        count[p->type]++;
        os += hf_match_is_os_type(p->type);
    }
    int rc = 0;
    if (!s->n_packages)
        rc = hf_scan_warn(s, "no packages were found: what programs without package data hold is not known");
    if (rc == 0 && os && !m->os.present) {
        char what[160], ns[4][HF_NS_MAX] = {"no feed is known"};
        struct hf_span id = s->release.id, v = s->release.version_id;
        enum hf_scheme scheme;
        (void)hf_ns_from_os(&s->release, ns, &scheme);
        if (!m->os.known)
            snprintf(ns[0], sizeof ns[0], "no feed of it is known");
        if (id.n)
            snprintf(what, sizeof what, "%.*s%s%.*s", (int)HF_MIN(id.n, (size_t)64), id.p, v.n ? " " : "", (int)HF_MIN(v.n, (size_t)64),
                    v.n ? v.p : "");
        else
            snprintf(what, sizeof what, "an operating system that does not say its name and release");
        rc = no_data(m, os, what, ns[0]);
    }
    for (unsigned t = 0; t < HF_PKG_TYPES && rc == 0; t++) {
        enum hf_scheme scheme;
        used[t] = count[t] > 0;
        if (!count[t] || hf_match_is_os_type(t))
            continue;
        const char *ns = hf_ns_from_type(t, &scheme);
        if (!ns)
            rc = hf_scan_warn(s, "%zu packages of type %s were listed, but no advisory source speaks of such packages", count[t],
                    hf_pkg_type_name(t));
        else if (!hf_advdb_has_namespace(m->db, hf_span_z(ns)) || !has_source(m, ns))
            rc = no_data(m, count[t], hf_pkg_type_name(t), ns);
        s->gaps |= !ns;
    }
    return rc;
}

static int check_feeds(struct hf_match *m, const bool used[HF_PKG_TYPES])
{
    struct hf_scan *s = m->scan;
    const struct hf_adv_source *all;
    size_t n = hf_advdb_sources(m->db, &all), k = 0;
    struct hf_adv_source *feeds = n ? hf_arena_calloc(&s->arena, n, sizeof *feeds) : NULL;
    if (n && !feeds)
        return hf_match_limit(m, "the memory ceiling is reached");
    bool demo = false, kev = false, epss = false;
    for (size_t i = 0; i < n; i++) {
        kev |= hf_span_eqz(all[i].name, "kev");
        epss |= hf_span_eqz(all[i].name, "epss");
        bool serves = all[i].demo || hf_span_eqz(all[i].name, "kev") || hf_span_eqz(all[i].name, "epss") || !feed_is_named(all[i].name);
        for (size_t j = 0; j < m->os.n_ns && !serves; j++)
            serves = feed_serves(all[i].name, m->os.ns[j]) && (used[HF_PKG_DEB] || used[HF_PKG_RPM] || used[HF_PKG_APK]);
        for (unsigned t = 0; t < HF_PKG_TYPES && !serves; t++) {
            enum hf_scheme scheme;
            const char *ns = used[t] ? hf_ns_from_type(t, &scheme) : NULL;
            serves = ns && feed_serves(all[i].name, ns);
        }
        if (!serves)
            continue;
        feeds[k++] = all[i];
        demo |= all[i].demo;
        uint64_t t = all[i].newest_unix ? all[i].newest_unix : all[i].fetched_unix;
        if (all[i].demo || !m->o->stale_after_s || !m->o->now_unix || t >= m->o->now_unix || m->o->now_unix - t <= m->o->stale_after_s)
            continue;
        struct tm tm;
        time_t tt = (time_t)HF_MIN(t, (uint64_t)253402300799u);
        char day[16];
        if (!gmtime_r(&tt, &tm) || !strftime(day, sizeof day, "%Y-%m-%d", &tm))
            snprintf(day, sizeof day, "long ago");
        unsigned long long days = (m->o->now_unix - t) / 86400;
        s->gaps |= !hf_span_eqz(all[i].name, "kev") && !hf_span_eqz(all[i].name, "epss");
        int rc = hf_scan_warn(s, "the feed " HF_SPAN_FMT " is stale: its newest record is of %s, %llu days ago (R20)", HF_SPAN_ARG(all[i].name),
                day, days);
        if (rc < 0)
            return rc;
    }
    s->feeds = feeds;
    s->n_feeds = k;
    s->gaps |= demo;
    if ((!kev || !epss) && !demo && hf_scan_warn(s, "the advisory database has no %s%s%s: the order of what to do first lacks it", kev ? "" : "catalogue of what is known to be exploited (KEV)",
                                            kev || epss ? "" : " and no ", epss ? "" : "chances of exploitation (EPSS)") < 0)
        return hf_match_limit(m, "the memory ceiling is reached");
    return demo ? hf_scan_warn(s, "this is demonstration data: a few dozen famous vulnerabilities, not an advisory database; give real data "
                                  "with `holdfast db update`, or `holdfast db build --from DIR`")
                : 0;
}

static int check_release(struct hf_match *m)
{
    struct hf_scan *s = m->scan;
    if (s->eol || !s->eol_unix || m->o->now_unix <= s->eol_unix)
        return 0; /* who set eol has said it */
    s->eol = true;
    char day[16] = "an unknown day";
    struct tm tm;
    time_t t = (time_t)HF_MIN(s->eol_unix, (uint64_t)253402300799u);
    if (!gmtime_r(&t, &tm) || !strftime(day, sizeof day, "%Y-%m-%d", &tm))
        snprintf(day, sizeof day, "an unknown day");
    return hf_scan_warn(s, HF_SPAN_FMT " " HF_SPAN_FMT " is past its end of life: what became known since %s is not in any feed (R20)",
            HF_SPAN_ARG(s->release.id), HF_SPAN_ARG(s->release.version_id), day);
}

/* --- packages --- */

static void unmatched(struct hf_scan_package *sp, struct hf_span why)
{
    sp->p.flags |= HF_PKG_NOT_MATCHED | HF_PKG_MATCHER_SAYS;
    sp->p.unmatched_why = why;
}

static int keys_of(struct hf_match *m, struct hf_package *p, struct hf_pkg_keys *out)
{
    hf_autobuf text = HF_BUF_INIT(4096);
    out->n = hf_match_keys(p, &m->os, out->k, &text);
    if (text.n && out->n) { /* a rewritten version or name must outlive this call */
        struct hf_span *rewritten = hf_match_groupless(p) ? &out->k[0].name : &out->k[0].version;
        if (hf_arena_dup(&m->scan->arena, hf_buf_span(&text), rewritten) < 0)
            return hf_match_limit(m, "the memory ceiling is reached");
    }
    for (size_t i = 0; i < out->n; i++) {
        struct hf_key_result *r = hf_match_lookup(m, &out->k[i], p->type == HF_PKG_RPM ? p->module : hf_span(NULL, 0));
        if (!r) {
            out->n = i;
            hf_match_limit(m, "memory for look-ups is used up");
            break;
        }
        out->index[i] = (size_t)(r - m->results);
    }
    return 0;
}

/* Only when all look-ups are done: the array moves while it grows. */
static void seat(struct hf_match *m, struct hf_pkg_keys *keys)
{
    for (size_t i = 0; i < keys->n; i++)
        keys->r[i] = &m->results[keys->index[i]];
}

/* What the distribution says of the packages whose files this one was found in.  *ret NULL: nothing that would count. */
static int owners_keys(struct hf_match *m, const struct hf_scan_package *sp, struct hf_pkg_keys **ret, size_t *ret_n)
{
    size_t n = sp->owner ? 1 + sp->n_more_owners : 0;
    *ret = NULL;
    *ret_n = 0;
    if (!n || hf_match_is_os_type(sp->p.type) || !m->os.present)
        return 0;
    for (size_t i = 0; i < n; i++) /* a third party's package says nothing */
        if (hf_match_third_party(i ? sp->more_owners[i - 1] : sp->owner, &m->scan->release).n)
            return 0;
    struct hf_pkg_keys *v = calloc(n, sizeof *v);
    if (!v)
        return hf_match_limit(m, "out of memory");
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct hf_package owner = i ? *sp->more_owners[i - 1] : *sp->owner;
        rc = keys_of(m, &owner, &v[i]);
    }
    for (size_t i = 0; i < n; i++)
        seat(m, &v[i]);
    *ret = v;
    *ret_n = n;
    return rc;
}

static enum hf_scheme os_scheme(enum hf_pkg_type t)
{
    return t == HF_PKG_DEB ? HF_SCHEME_DEB : t == HF_PKG_RPM ? HF_SCHEME_RPM : HF_SCHEME_APK;
}

static int match_package(struct hf_match *m, uint32_t i)
{
    struct hf_scan_package *sp = &m->scan->packages[i];
    if (sp->p.flags & HF_PKG_NOT_MATCHED)
        return 0;
    if (hf_match_is_os_type(sp->p.type) && m->os.present && os_scheme(sp->p.type) != m->os.scheme) {
        unmatched(sp, HF_S("R13: not a package of this release's kind, whose advisories do not speak of it"));
        m->foreign++;
        return 0;
    }
    struct hf_span why = hf_match_go_skip(&sp->p);
    if (!why.n && hf_match_is_os_type(sp->p.type))
        why = hf_match_third_party(&sp->p, &m->scan->release);
    if (why.n) {
        unmatched(sp, why);
        return 0;
    }
    struct hf_pkg_keys keys;
    int rc = keys_of(m, &sp->p, &keys);
    if (rc < 0)
        return rc;
    seat(m, &keys);
    bool invalid = false, any = false;
    for (size_t j = 0; j < keys.n; j++) {
        invalid |= keys.r[j]->invalid;
        any |= keys.r[j]->n_hits > 0;
    }
    if (invalid) {
        rc = hf_scan_incomplete(m->scan, sp->n_locations ? sp->locations[0].path : HF_S(""), sp->n_locations ? sp->locations[0].layer : UINT32_MAX,
                "the version \"" HF_SPAN_FMT "\" of " HF_SPAN_FMT " (%s) cannot be ordered, so its advisories could not be decided",
                HF_SPAN_ARG(sp->p.version), HF_SPAN_ARG(sp->p.name), hf_pkg_type_name(sp->p.type));
        if (rc < 0)
            return rc;
    }
    /* Of a file that a package of the distribution owns, the distribution's advisories speak. */
    if (!any && hf_match_groupless(&sp->p) && keys.n && !keys.r[0]->n_seen && !sp->owner)
        unmatched(sp, HF_S("R28: the archive does not say its group, by which advisories know it"));
    if (!any)
        return 0;
    /* R11, R12, R21 */
    struct hf_pkg_keys *owners;
    size_t n_owners;
    rc = owners_keys(m, sp, &owners, &n_owners);
    seat(m, &keys);
    if (rc == 0)
        rc = hf_match_group(m, i, &keys, owners, n_owners);
    free(owners);
    return rc;
}

static int by_package_then_id(const void *a, const void *b)
{
    const struct hf_vuln *x = a, *y = b;
    if (x->package != y->package)
        return x->package < y->package ? -1 : 1;
    return hf_span_cmp(x->id, y->id);
}

static void match_done(struct hf_match *m)
{
    for (size_t i = 0; i < m->n_results; i++) {
        free(m->results[i].hits);
        free(m->results[i].seen);
    }
    free(m->results);
    free(m->infos);
    free(m->ids);
    hf_map_done(&m->keys);
    hf_map_done(&m->infos_by_adv);
    hf_map_done(&m->id_index);
    hf_map_done(&m->by_id);
    hf_map_done(&m->why_not_ids);
    hf_buf_done(&m->text);
    hf_arena_done(&m->work);
}

int hf_match(struct hf_scan *scan, const struct hf_advdb *db, const struct hf_match_opts *o, struct hf_buf *ret_why_not,
        struct hf_err *err)
{
    struct hf_err local = HF_ERR_INIT;
    hf_cleanup(match_done) struct hf_match m = {.scan = scan, .db = db, .o = o, .err = err ? err : &local};
    bool used[HF_PKG_TYPES] = {false};
    hf_arena_init(&m.work, scan->arena.max);
    hf_buf_init(&m.text, 1 << 17);
    m.why_not = o->why_not.n ? ret_why_not : NULL;
    /* So that a full arena can still say so. */
    size_t spare = HF_MIN(scan->arena.max / 16, (size_t)65536), max = scan->arena.max;
    scan->arena.max -= spare;
    scan->matched = true;
    resolve_os(&m);
    int rc = check_coverage(&m, used);
    if (rc == 0)
        rc = check_feeds(&m, used);
    if (rc == 0)
        rc = check_release(&m);
    if (rc == 0 && m.why_not)
        rc = hf_match_why_not(&m); /* first part: which ids are meant */
    for (size_t i = 0; i < scan->n_packages && rc == 0 && i < UINT32_MAX && !m.full; i++)
        rc = match_package(&m, (uint32_t)i);
    scan->arena.max = max;
    if (m.full || rc == HF_E_LIMIT)
        rc = hf_scan_incomplete(scan, HF_S(""), UINT32_MAX, "matching stopped, vulnerabilities are missing from the result: %s",
                m.full_what ? m.full_what : "the memory ceiling is reached");
    if (rc == 0 && m.foreign)
        rc = hf_scan_incomplete(scan, HF_S(""), UINT32_MAX, "%zu packages are not of the kind that " HF_SPAN_FMT " has: they were not checked", m.foreign,
                HF_SPAN_ARG(scan->release.id));
    if (rc == 0 && m.damaged)
        rc = hf_scan_incomplete(scan, HF_S(""), UINT32_MAX, "advisory database: %zu records that concern these packages are damaged; make it anew",
                m.damaged);
    if (rc == 0 && m.bad_records)
        rc = hf_scan_warn(scan, "%zu records that concern these packages have versions or parts that cannot be read and were not decided%s"
                HF_SPAN_FMT, m.bad_records, m.bad_record_example.n ? ", such as " : "", HF_SPAN_ARG(m.bad_record_example));
    if (rc < 0)
        return hf_wrap(err, rc, "matching");
    if (scan->n_vulns)
        qsort(scan->vulns, scan->n_vulns, sizeof *scan->vulns, by_package_then_id);
    if (m.why_not)
        rc = hf_match_why_not(&m); /* second part: what was not said while matching */
    return rc;
}
