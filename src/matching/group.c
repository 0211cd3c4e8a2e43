/* SPDX-License-Identifier: Apache-2.0 */
/* From the affected rows of one package to one row per vulnerability: R11, R12, R15, R21, R24, R25, R27, R30, R31. */
#include "matching/match-internal.h"

#include <stdarg.h>

enum { MAX_GROUP_HITS = 32, MAX_WHY = 8 }; /* of one vulnerability, compared and shown */

struct unit { /* a hit under one of the vulnerabilities that its record speaks of */
    const struct hf_hit *hit;
    struct hf_adv_info *info;
    const struct hf_match_key *key;
    uint32_t cve;    /* notice fanned out: the only id that identifies it; else UINT32_MAX */
    uint32_t parent; /* union-find */
    bool pro;
};
struct id_unit {
    uint32_t id, unit;
};
struct group {
    struct hf_match *m;
    struct hf_scan_package *sp;
    uint32_t package;
    const struct hf_pkg_keys *keys, *owners;
    size_t n_owners;
    struct unit *const *units; /* of this vulnerability, in order of keys */
    size_t n;
    uint32_t *ids; /* every name of it, sorted, unique */
    size_t n_ids, n_cves;
    uint32_t cve;  /* the last of its CVEs */
    const struct hf_adv_info *more[HF_MATCH_MAX_BY_ID]; /* records of the same CVE elsewhere: scores and words only */
    size_t n_more;
    bool kernel; /* R30 */
};

static uint32_t find(struct unit *u, uint32_t i)
{
    while (u[i].parent != i)
        i = u[i].parent = u[u[i].parent].parent;
    return i;
}

static int by_id(const void *a, const void *b)
{
    const struct id_unit *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->unit > y->unit) - (x->unit < y->unit);
}

static int by_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static const struct hf_seen *seen_at(const struct hf_key_result *r, uint32_t adv, size_t *n)
{
    size_t lo = 0, hi = r->n_seen;
    *n = 0;
    if (!hi)
        return NULL;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->seen[mid].adv < adv)
            lo = mid + 1;
        else
            hi = mid;
    }
    size_t end = lo;
    while (end < r->n_seen && r->seen[end].adv == adv)
        end++;
    *n = end - lo;
    return &r->seen[lo];
}

/* --- units and groups (R24) --- */

/* R27: of Go's own modules only Go's own database is asked. */
static bool go_own(const struct hf_package *p)
{
    return p->type == HF_PKG_GO && (p->flags & HF_PKG_STDLIB || hf_span_eqz(p->name, "stdlib") || hf_span_starts(p->name, HF_S("golang.org/x/")));
}

static size_t count_units(struct hf_match *m, const struct hf_pkg_keys *keys, bool os)
{
    size_t n = 0;
    for (size_t j = 0; j < keys->n; j++)
        for (size_t i = 0; i < keys->r[j]->n_hits; i++) {
            struct hf_adv_info *info = hf_match_info(m, keys->r[j]->hits[i].adv);
            n += os && info && info->n_cves > 1 ? info->n_cves : 1;
        }
    return n;
}

static bool heard_before(const struct hf_pkg_keys *keys, size_t j, uint32_t adv)
{
    if (!keys->k[j].indirect)
        return false;
    size_t n;
    for (size_t i = 0; i < j; i++)
        if (strcmp(keys->k[i].ns, keys->k[j].ns) == 0 && (seen_at(keys->r[i], adv, &n), n))
            return true; /* the record names this package itself; what it says of its kin does not count */
    return false;
}

static size_t make_units(struct hf_match *m, const struct hf_scan_package *sp, const struct hf_pkg_keys *keys, bool os, struct unit *u,
        size_t max)
{
    size_t n = 0;
    for (size_t j = 0; j < keys->n; j++)
        for (size_t i = 0; i < keys->r[j]->n_hits && n < max; i++) {
            const struct hf_hit *h = &keys->r[j]->hits[i];
            struct hf_adv_info *info = hf_match_info(m, h->adv);
            if (!info || !info->decoded || info->a.withdrawn || heard_before(keys, j, h->adv))
                continue;
            if (go_own(&sp->p) && hf_span_starts(info->a.id, HF_S("GHSA-")))
                continue;
            bool pro = (h->flags & HF_ADV_PRO) || hf_span_ends(hf_span_z(keys->k[j].ns), HF_S(":pro"));
            struct unit one = {.hit = h, .info = info, .key = &keys->k[j], .cve = UINT32_MAX, .parent = (uint32_t)n, .pro = pro};
            if (!os || !info->n_cves) {
                u[n++] = one;
                continue;
            }
            /* A distribution's notice (DSA, ALSA, USN) is a bundle: it stands for each CVE that it names. */
            for (size_t k = 0; k < info->n_ids && n < max; k++)
                if (hf_match_is_cve(m->ids[info->ids[k]])) {
                    one.cve = info->ids[k];
                    one.parent = (uint32_t)n;
                    u[n++] = one;
                }
        }
    return n;
}

static bool join(struct hf_match *m, struct unit *u, size_t n)
{
    size_t pairs = 0, k = 0;
    for (size_t i = 0; i < n; i++)
        pairs += u[i].cve != UINT32_MAX ? 1 : u[i].info->n_ids;
    struct id_unit *v = malloc((pairs + 1) * sizeof *v);
    if (!v) {
        hf_match_limit(m, "out of memory");
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (u[i].cve != UINT32_MAX)
            v[k++] = (struct id_unit){u[i].cve, (uint32_t)i};
        else
            for (size_t j = 0; j < u[i].info->n_ids; j++)
                v[k++] = (struct id_unit){u[i].info->ids[j], (uint32_t)i};
    }
    qsort(v, k, sizeof *v, by_id);
    for (size_t i = 1; i < k; i++)
        if (v[i].id == v[i - 1].id) {
            uint32_t a = find(u, v[i].unit), b = find(u, v[i - 1].unit);
            u[HF_MAX(a, b)].parent = HF_MIN(a, b); /* the root is the first in order of keys */
        }
    free(v);
    return true;
}

/* Names of the vulnerability, from all records of the group; the notices' other CVEs are other vulnerabilities. */
static bool collect_ids(struct group *g, bool os)
{
    size_t max = 0, n = 0;
    for (size_t i = 0; i < g->n; i++)
        max += g->units[i]->info->n_ids;
    g->ids = hf_arena_alloc(&g->m->work, (max + 1) * sizeof *g->ids);
    if (!g->ids)
        return false;
    for (size_t i = 0; i < g->n; i++) {
        const struct unit *u = g->units[i];
        for (size_t j = 0; j < u->info->n_ids; j++)
            if (!os || u->cve == UINT32_MAX || u->info->ids[j] == u->cve || !hf_match_is_cve(g->m->ids[u->info->ids[j]]))
                g->ids[n++] = u->info->ids[j];
    }
    qsort(g->ids, n, sizeof *g->ids, by_u32);
    g->n_ids = g->n_cves = 0;
    for (size_t i = 0; i < n; i++)
        if (!i || g->ids[i] != g->ids[i - 1]) {
            g->ids[g->n_ids++] = g->ids[i];
            if (hf_match_is_cve(g->m->ids[g->ids[i]])) {
                g->n_cves++;
                g->cve = g->ids[i];
            }
        }
    return true;
}

static struct hf_span group_id(const struct group *g)
{
    if (g->n_cves == 1)
        return g->m->ids[g->cve];
    struct hf_span best = {NULL, 0};
    for (size_t i = 0; i < g->n; i++) {
        struct hf_span id = g->units[i]->info->a.id;
        bool ghsa = hf_span_starts(id, HF_S("GHSA-")), best_ghsa = hf_span_starts(best, HF_S("GHSA-"));
        if (!best.n || ghsa > best_ghsa || (ghsa == best_ghsa && hf_span_cmp(id, best) < 0))
            best = id;
    }
    return best;
}

/* --- what takes a vulnerability off a package --- */

void hf_match_note_why_not(struct hf_match *m, const struct hf_scan_package *p, const uint32_t *ids, size_t n, const char *rule,
        const char *fmt, ...)
{
    uint64_t v;
    bool asked = false;
    for (size_t i = 0; m->why_not && i < n && !asked; i++)
        asked = hf_map_get(&m->why_not_ids, m->ids[ids[i]], &v);
    if (!asked || m->why_not_lines++ >= HF_MATCH_WHY_NOT_LINES)
        return;
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    hf_buf_addf(m->why_not, HF_SPAN_FMT " " HF_SPAN_FMT " (%s): %s [%s]\n", HF_SPAN_ARG(p->p.name), HF_SPAN_ARG(p->p.version),
            hf_pkg_type_name(p->p.type), text, rule);
}

/* Strongest verdict of these keys on any name of the group: AFFECTED before NEVER before FIXED; -1: none of them. */
static int verdict_on(struct group *g, const struct hf_pkg_keys *keys, bool cve_only, struct hf_span *ret_record)
{
    int best = -1;
    for (size_t i = 0; i < g->n_ids; i++) {
        struct hf_span id = g->m->ids[g->ids[i]];
        if (cve_only && !hf_match_is_cve(id))
            continue;
        const struct hf_by_id *b = hf_match_by_id(g->m, id);
        for (size_t j = 0; j < b->n; j++)
            for (size_t k = 0; k < keys->n; k++) {
                size_t n;
                const struct hf_seen *s = seen_at(keys->r[k], b->advs[j], &n);
                for (size_t l = 0; l < n; l++) {
                    int kind = (int)s[l].kind;
                    if (kind > HF_VERDICT_FIXED || (best >= 0 && kind >= best))
                        continue;
                    struct hf_adv_info *info = hf_match_info(g->m, b->advs[j]);
                    if (!info || !info->decoded || (kind == HF_VERDICT_NEVER && info->n_cves > 1))
                        continue;
                    best = kind;
                    *ret_record = info->a.id;
                }
            }
    }
    return best;
}

/* R11 on the package's own records: a NAK of a record made for this one vulnerability. */
static bool own_nak(struct group *g, struct hf_span *ret_record)
{
    bool any = false;
    for (size_t k = 0; k < g->keys->n; k++)
        any |= g->keys->r[k]->never;
    if (!any)
        return false;
    for (size_t i = 0; i < g->n_ids; i++) {
        const struct hf_by_id *b = hf_match_by_id(g->m, g->m->ids[g->ids[i]]);
        for (size_t j = 0; j < b->n; j++)
            for (size_t k = 0; k < g->keys->n; k++) {
                size_t n;
                const struct hf_seen *s = seen_at(g->keys->r[k], b->advs[j], &n);
                /* One record that says both has one entry a release or flavour: the affected one stands. */
                if (!n || s[0].kind != HF_VERDICT_NEVER)
                    continue;
                struct hf_adv_info *info = hf_match_info(g->m, b->advs[j]);
                if (info && info->decoded && info->n_cves <= 1) {
                    *ret_record = info->a.id;
                    return true;
                }
            }
    }
    return false;
}

static bool agree_by_prefix(struct hf_span lang, struct hf_span os)
{
    size_t colon = hf_span_find(os, ':');
    if (colon != SIZE_MAX)
        os = hf_span_from(os, colon + 1);
    if (lang.n > 1 && lang.p[0] == 'v')
        lang = hf_span_from(lang, 1);
    if (!lang.n || !hf_span_starts(os, lang))
        return false;
    struct hf_span tail = hf_span_from(os, lang.n);
    if (!tail.n)
        return true;
    if (tail.p[0] >= '0' && tail.p[0] <= '9')
        return false;
    return !(tail.n > 1 && tail.p[0] == '.' && tail.p[1] >= '1' && tail.p[1] <= '9');
}

/* The verdict of one owner's distribution on this vulnerability, *ret_record its record; -1 none, -2 none is needed (R21). */
static int owner_verdict(struct group *g, size_t i, struct hf_span *ret_record)
{
    const struct hf_package *o = i ? g->sp->more_owners[i - 1] : g->sp->owner;
    int v = verdict_on(g, &g->owners[i], false, ret_record);
    bool same = v < 0 && g->m->os.comprehensive && agree_by_prefix(g->sp->p.version, o->source_version.n ? o->source_version : o->version);
    return same ? -2 : v;
}

static bool owner_decides(struct group *g)
{
    struct hf_match *m = g->m;
    struct hf_span record = {NULL, 0};
    for (size_t i = 0; i < g->n_owners; i++)
        if (owner_verdict(g, i, &record) == -1)
            return false; /* a place that the distribution says nothing of counts */
    for (size_t i = 0; i < g->n_owners && m->why_not; i++) {
        const struct hf_package *o = i ? g->sp->more_owners[i - 1] : g->sp->owner;
        int v = owner_verdict(g, i, &record);
        if (v == HF_VERDICT_NEVER)
            hf_match_note_why_not(m, g->sp, g->ids, g->n_ids, "R11", "the distribution says in " HF_SPAN_FMT " that " HF_SPAN_FMT
                    ", which owns this file, never was affected", HF_SPAN_ARG(record), HF_SPAN_ARG(o->name));
        else if (v == HF_VERDICT_FIXED)
            hf_match_note_why_not(m, g->sp, g->ids, g->n_ids, "R12", "the distribution fixed it in " HF_SPAN_FMT " " HF_SPAN_FMT
                    " or before, the package that owns this file (" HF_SPAN_FMT ")", HF_SPAN_ARG(o->name), HF_SPAN_ARG(o->version),
                    HF_SPAN_ARG(record));
        else if (v == HF_VERDICT_AFFECTED)
            hf_match_note_why_not(m, g->sp, g->ids, g->n_ids, "R21", "reported once, for " HF_SPAN_FMT ", the package of the distribution that "
                    "owns this file (" HF_SPAN_FMT ")", HF_SPAN_ARG(o->name), HF_SPAN_ARG(record));
        else
            hf_match_note_why_not(m, g->sp, g->ids, g->n_ids, "R21", "the file belongs to " HF_SPAN_FMT " " HF_SPAN_FMT
                    ", the same version packaged by the distribution, whose feed covers it and does not list it", HF_SPAN_ARG(o->name),
                    HF_SPAN_ARG(o->version));
    }
    return g->n_owners != 0;
}

/* R15: with Pro a fix of either channel counts; without, only a Pro build itself proves a Pro fix. */
static bool pro_fixed(struct group *g)
{
    const struct hf_package *p = &g->sp->p;
    bool has_pro = false;
    for (size_t k = 0; k < g->keys->n; k++)
        has_pro |= hf_span_ends(hf_span_z(g->keys->k[k].ns), HF_S(":pro"));
    if (!has_pro)
        return false;
    bool allowed = g->m->o->ubuntu_pro || hf_span_search(p->version, HF_S("esm")) != SIZE_MAX;
    for (size_t i = 0; i < g->n_ids; i++) {
        const struct hf_by_id *b = hf_match_by_id(g->m, g->m->ids[g->ids[i]]);
        for (size_t j = 0; j < b->n; j++)
            for (size_t k = 0; k < g->keys->n; k++) {
                size_t n;
                const struct hf_seen *s = seen_at(g->keys->r[k], b->advs[j], &n);
                bool pro = hf_span_ends(hf_span_z(g->keys->k[k].ns), HF_S(":pro"));
                for (size_t l = 0; l < n; l++)
                    if (s[l].kind == HF_VERDICT_FIXED && (!pro || allowed))
                        return true;
            }
    }
    return false;
}

static bool suppressed(struct group *g, bool os)
{
    struct hf_match *m = g->m;
    struct hf_span record = {NULL, 0};
    for (size_t i = 0; i < g->n_ids; i++) {
        const struct hf_exception *e = hf_exception_suppress(&g->sp->p, m->ids[g->ids[i]]);
        if (e) {
            hf_match_note_why_not(m, g->sp, g->ids, g->n_ids, "R31", "exception: %s", e->reason);
            return true;
        }
    }
    if (!g->n_cves) {
        const struct hf_exception *e = NULL;
        size_t errata = 0;
        for (size_t i = 0; i < g->n; i++) {
            const struct hf_exception *x = hf_exception_erratum(g->units[i]->info->a.id);
            errata += x != NULL;
            e = x ? x : e;
        }
        if (errata == g->n && e) {
            hf_match_note_why_not(m, g->sp, g->ids, g->n_ids, "R31", "%s", e->reason);
            return true;
        }
    }
    if (os && own_nak(g, &record)) {
        hf_match_note_why_not(m, g->sp, g->ids, g->n_ids, "R11", HF_SPAN_FMT " says that this package never was affected",
                HF_SPAN_ARG(record));
        return true;
    }
    if (os && pro_fixed(g)) {
        hf_match_note_why_not(m, g->sp, g->ids, g->n_ids, "R15", "a fix of Ubuntu's channels that this system may use is installed");
        return true;
    }
    return owner_decides(g);
}

/* --- the row --- */

static bool in_any(const struct group *g, struct hf_span v, enum hf_scheme scheme)
{
    for (size_t i = 0; i < HF_MIN(g->n, (size_t)MAX_GROUP_HITS); i++) {
        const struct hf_hit *h = g->units[i]->hit;
        for (size_t j = 0; j < h->n_fixes; j++)
            if (hf_match_in_range(scheme, &h->fixes[j], v, g->units[i]->key->ignore_epoch) == 1)
                return true;
    }
    return false;
}

static void add_fix(struct hf_span *v, size_t *n, struct hf_span fix, enum hf_scheme s)
{
    size_t at = *n;
    for (size_t i = 0; i < *n; i++) {
        int c = hf_match_cmp(s, fix, v[i], false);
        if (c == 0 || hf_span_eq(fix, v[i]))
            return;
        if (c == -1 && at == *n)
            at = i;
    }
    if (*n == HF_MATCH_MAX_FIXES)
        return;
    memmove(&v[at + 1], &v[at], (*n - at) * sizeof *v);
    v[at] = fix;
    ++*n;
}

/* Fix versions: those that no record still calls vulnerable first, lowest first; then the others. */
static bool set_fixes(struct group *g, struct hf_vuln *v, bool *ret_pro_only)
{
    struct hf_span good[HF_MATCH_MAX_FIXES + 1], rest[HF_MATCH_MAX_FIXES + 1];
    size_t n_good = 0, n_rest = 0;
    bool any_base = false, any_pro = false;
    for (size_t i = 0; i < HF_MIN(g->n, (size_t)MAX_GROUP_HITS); i++) {
        const struct hf_hit *h = g->units[i]->hit;
        for (size_t j = 0; j < h->n_fixes; j++) {
            struct hf_span f = h->fixes[j].fixed;
            if (!f.n)
                continue;
            if (g->units[i]->pro)
                any_pro = true;
            else
                any_base = true;
            bool helps = hf_match_is_os_type(g->sp->p.type) || !in_any(g, f, h->scheme);
            add_fix(helps ? good : rest, helps ? &n_good : &n_rest, f, h->scheme);
        }
    }
    *ret_pro_only = any_pro && !any_base && !g->m->o->ubuntu_pro;
    size_t n = n_good + n_rest;
    struct hf_span *out = n ? hf_arena_alloc(&g->m->scan->arena, n * sizeof *out) : NULL;
    if (n && !out)
        return false;
    if (n_good)
        memcpy(out, good, n_good * sizeof *out);
    if (n_rest)
        memcpy(out + n_good, rest, n_rest * sizeof *out);
    v->fixed_in = out;
    v->n_fixed_in = n;
    return true;
}

static enum hf_vuln_status status_of(const struct group *g, const struct hf_vuln *v, bool pro_only)
{
    if (v->n_fixed_in)
        return pro_only ? HF_VULN_WONT_FIX : HF_VULN_FIXED;
    for (size_t i = 0; i < g->n; i++) {
        const struct hf_hit *h = g->units[i]->hit;
        if (h->flags & HF_ADV_NO_DSA)
            return HF_VULN_WONT_FIX; /* R14 */
        switch (h->state) {
        case HF_ADV_WONT_FIX: return HF_VULN_WONT_FIX;
        case HF_ADV_DEFERRED: return HF_VULN_DEFERRED;
        case HF_ADV_INVESTIGATING: return HF_VULN_INVESTIGATING;
        case HF_ADV_EOL: return HF_VULN_EOL;
        case HF_ADV_UNFIXED: return HF_VULN_UNFIXED;
        case HF_ADV_RANGES:
        case HF_ADV_NOT_AFFECTED: break;
        }
    }
    return HF_VULN_UNFIXED;
}

/* R25 */
static enum hf_severity severity_of(const struct group *g, bool os)
{
    for (size_t i = 0; i < g->n; i++) { /* the distribution's word on this package */
        const struct hf_hit *h = g->units[i]->hit;
        if (h->flags & HF_ADV_UNIMPORTANT)
            return HF_SEV_NEGLIGIBLE;
        if (h->severity != HF_SEV_UNKNOWN)
            return h->severity;
    }
    for (int ghsa = os ? 0 : 1; ghsa >= 0; ghsa--) /* then the record that matched, GHSA's first among the ecosystems' */
        for (size_t i = 0; i < g->n; i++) {
            const struct hf_advisory *a = &g->units[i]->info->a;
            if (a->severity != HF_SEV_UNKNOWN && (!ghsa || hf_span_starts(a->id, HF_S("GHSA-"))))
                return a->severity;
        }
    for (int ghsa = 1; ghsa >= 0; ghsa--) /* then what others say of the same CVE */
        for (size_t i = 0; i < g->n_more; i++)
            if (g->more[i]->a.severity != HF_SEV_UNKNOWN && (!ghsa || hf_span_starts(g->more[i]->a.id, HF_S("GHSA-"))))
                return g->more[i]->a.severity;
    return HF_SEV_UNKNOWN;
}

static void find_more(struct group *g)
{
    g->n_more = 0;
    if (g->n_cves != 1)
        return;
    const struct hf_by_id *b = hf_match_by_id(g->m, g->m->ids[g->cve]);
    for (size_t i = 0; i < b->n; i++) {
        struct hf_adv_info *info = hf_match_info(g->m, b->advs[i]);
        /* What bundles several CVEs tells the worst of them, not this one. */
        if (info && info->decoded && info->n_cves == 1 && !info->a.withdrawn)
            g->more[g->n_more++] = info;
    }
}

static void add_cvss(struct hf_adv_cvss *out, size_t *n, const struct hf_advisory *a)
{
    for (size_t i = 0; i < a->n_cvss && *n < HF_MATCH_MAX_CVSS; i++) {
        bool known = false;
        for (size_t j = 0; j < *n && !known; j++)
            known = hf_span_eq(out[j].vector, a->cvss[i].vector);
        if (!known && a->cvss[i].vector.n)
            out[(*n)++] = a->cvss[i];
    }
}

static int better_cvss(const void *a, const void *b)
{
    const struct hf_adv_cvss *x = a, *y = b;
    if (x->version10 != y->version10)
        return x->version10 > y->version10 ? -1 : 1;
    if (x->score10 != y->score10)
        return x->score10 > y->score10 ? -1 : 1;
    return hf_span_cmp(x->vector, y->vector);
}

static void add_urls(struct hf_span *out, size_t *n, const struct hf_advisory *a)
{
    for (size_t i = 0; i < a->n_urls && *n < HF_MATCH_MAX_URLS; i++) {
        bool known = false;
        for (size_t j = 0; j < *n && !known; j++)
            known = hf_span_eq(out[j], a->urls[i]);
        if (!known)
            out[(*n)++] = a->urls[i];
    }
}

static void add_words(struct hf_vuln *v, const struct hf_advisory *a)
{
    if (!v->summary.n)
        v->summary = a->summary;
    if (a->published_unix && (!v->published_unix || a->published_unix < v->published_unix))
        v->published_unix = a->published_unix;
}

static bool set_details(struct group *g, struct hf_vuln *v)
{
    struct hf_adv_cvss cvss[HF_MATCH_MAX_CVSS];
    struct hf_span urls[HF_MATCH_MAX_URLS];
    size_t n_cvss = 0, n_urls = 0;
    for (size_t i = 0; i < HF_MIN(g->n, (size_t)MAX_GROUP_HITS); i++) {
        const struct hf_adv_info *info = g->units[i]->info;
        if (g->units[i]->cve == UINT32_MAX || info->n_cves <= 1)
            add_cvss(cvss, &n_cvss, &info->a);
        add_urls(urls, &n_urls, &info->a);
        add_words(v, &info->a);
    }
    for (size_t i = 0; i < g->n_more; i++) {
        add_cvss(cvss, &n_cvss, &g->more[i]->a);
        if (!v->summary.n)
            v->summary = g->more[i]->a.summary;
    }
    qsort(cvss, n_cvss, sizeof *cvss, better_cvss);
    struct hf_adv_cvss *c = n_cvss ? hf_arena_alloc(&g->m->scan->arena, n_cvss * sizeof *c) : NULL;
    struct hf_span *u = n_urls ? hf_arena_alloc(&g->m->scan->arena, n_urls * sizeof *u) : NULL;
    if ((n_cvss && !c) || (n_urls && !u))
        return false;
    if (c)
        memcpy(c, cvss, n_cvss * sizeof *c);
    if (u)
        memcpy(u, urls, n_urls * sizeof *u);
    v->cvss = c;
    v->n_cvss = n_cvss;
    v->urls = u;
    v->n_urls = n_urls;
    for (size_t i = 0; i < g->n_ids; i++) {
        struct hf_span id = g->m->ids[g->ids[i]];
        struct hf_epss e;
        struct hf_kev k;
        if (!hf_match_is_cve(id))
            continue;
        if (hf_advdb_epss(g->m->db, id, &e) && (!v->has_epss || e.score > v->epss.score)) {
            v->epss = e;
            v->has_epss = true;
        }
        if (!v->has_kev && hf_advdb_kev(g->m->db, id, &k)) {
            v->kev = k;
            v->has_kev = true;
        }
    }
    return true;
}

static bool text_out(struct group *g, struct hf_span *ret)
{
    return hf_buf_ok(&g->m->text) && hf_arena_dup(&g->m->scan->arena, hf_buf_span(&g->m->text), ret) == 0;
}

static bool set_one_why(struct group *g, const struct unit *u, struct hf_why *w)
{
    struct hf_buf *t = &g->m->text;
    const struct hf_hit *h = u->hit;
    *w = (struct hf_why){.rule = hf_span_z(u->key->rule), .record = u->info->a.id, .source = u->info->a.source, .installed = u->key->version};
    hf_buf_clear(t);
    hf_buf_addz(t, u->key->ns);
    if (!text_out(g, &w->ns))
        return false;
    hf_buf_clear(t);
    hf_adv_name(w->ns, u->key->name, t);
    if (!text_out(g, &w->key))
        return false;
    hf_buf_clear(t);
    if (h->listed)
        hf_buf_addz(t, "in versions[]");
    else if (h->at.fixed.n)
        hf_buf_addf(t, "< " HF_SPAN_FMT, HF_SPAN_ARG(h->at.fixed));
    else if (h->at.last_affected.n)
        hf_buf_addf(t, "<= " HF_SPAN_FMT, HF_SPAN_ARG(h->at.last_affected));
    else
        hf_buf_addz(t, "no fixed version");
    if (!text_out(g, &w->compared))
        return false;
    hf_buf_clear(t);
    hf_buf_addf(t, "%s " HF_SPAN_FMT " " HF_SPAN_FMT, u->key->what, HF_SPAN_ARG(u->key->name), HF_SPAN_ARG(u->key->version));
    if (h->listed)
        hf_buf_addz(t, " is one of the versions that the record lists");
    else if (h->at.fixed.n)
        hf_buf_addf(t, " is before the fixed version " HF_SPAN_FMT, HF_SPAN_ARG(h->at.fixed));
    else if (h->at.last_affected.n)
        hf_buf_addf(t, " is not after the last affected version " HF_SPAN_FMT, HF_SPAN_ARG(h->at.last_affected));
    else
        hf_buf_addz(t, " is affected, and the record knows no fixed version");
    if (h->at.introduced.n && !hf_span_eqz(h->at.introduced, "0"))
        hf_buf_addf(t, " and not before " HF_SPAN_FMT ", where it came in", HF_SPAN_ARG(h->at.introduced));
    if (u->key->indirect)
        hf_buf_addz(t, "; an indirect match, by the name of its kin");
    if (h->flags & HF_ADV_NO_DSA)
        hf_buf_addz(t, "; Debian plans no update for it (R14)");
    if (u->pro && !g->m->o->ubuntu_pro)
        hf_buf_addz(t, "; the fix is in Ubuntu Pro, which this system does not have (R15)");
    if (h->n_symbols)
        hf_buf_addf(t, h->linked ? "; of the %u symbols that the record names one is linked (R27)" : "; the record names %u symbols, whose use was not checked (R27)",
                (unsigned)h->n_symbols);
    return text_out(g, &w->text);
}

static bool set_why(struct group *g, struct hf_vuln *v)
{
    size_t n = HF_MIN(g->n, (size_t)MAX_WHY);
    struct hf_why *w = hf_arena_alloc(&g->m->scan->arena, n * sizeof *w);
    for (size_t i = 0; w && i < n; i++)
        if (!set_one_why(g, g->units[i], &w[i]))
            return false;
    v->why = w;
    v->n_why = w ? n : 0;
    return w != NULL;
}

static int by_span(const void *a, const void *b)
{
    const struct hf_span *x = a, *y = b;
    return hf_span_cmp(*x, *y);
}

static bool emit(struct group *g, bool os)
{
    struct hf_match *m = g->m;
    struct hf_vuln v = {.package = g->package, .id = group_id(g), .collapsed = g->kernel};
    find_more(g);
    bool pro_only;
    if (!set_fixes(g, &v, &pro_only) || !set_details(g, &v) || !set_why(g, &v))
        return false;
    v.status = status_of(g, &v, pro_only);
    v.severity = severity_of(g, os);
    struct hf_span *aliases = hf_arena_alloc(&m->scan->arena, (g->n_ids + 1) * sizeof *aliases);
    if (!aliases)
        return false;
    for (size_t i = 0; i < g->n_ids; i++)
        if (!hf_span_eq(m->ids[g->ids[i]], v.id))
            aliases[v.n_aliases++] = m->ids[g->ids[i]];
    qsort(aliases, v.n_aliases, sizeof *aliases, by_span);
    v.aliases = aliases;
    struct hf_vuln *slot = hf_grow((void **)&m->scan->vulns, &m->scan->n_vulns, &m->cap_vulns, sizeof *slot, HF_MATCH_MAX_VULNS);
    if (!slot)
        return false;
    *slot = v;
    return true;
}

int hf_match_group(struct hf_match *m, uint32_t package, const struct hf_pkg_keys *keys, const struct hf_pkg_keys *owners, size_t n_owners)
{
    struct hf_scan_package *sp = &m->scan->packages[package];
    bool os = hf_match_is_os_type(sp->p.type), kernel = hf_match_is_kernel(&sp->p) && !(hf_span_starts(m->scan->target, HF_S("dir:")) && hf_match_boots(&sp->p));
    size_t max = count_units(m, keys, os);
    hf_autofree struct unit *u = calloc(max + 1, sizeof *u);
    hf_autofree struct unit **order = calloc(max + 1, sizeof *order);
    hf_autofree uint32_t *start = calloc(max + 2, sizeof *start);
    if (!u || !order || !start)
        return hf_match_limit(m, "out of memory");
    size_t n = make_units(m, sp, keys, os, u, max);
    if (!join(m, u, n))
        return 0;
    /* Counting sort by root keeps the order of keys within a group. */
    for (size_t i = 0; i < n; i++)
        start[find(u, (uint32_t)i) + 1]++;
    for (size_t i = 0; i < n; i++)
        start[i + 1] += start[i];
    hf_autofree uint32_t *at = calloc(n + 1, sizeof *at);
    if (!at)
        return hf_match_limit(m, "out of memory");
    memcpy(at, start, n * sizeof *at);
    for (size_t i = 0; i < n; i++)
        order[at[find(u, (uint32_t)i)]++] = &u[i];
    for (size_t i = 0; i < n && !m->full; i++) {
        if (start[i + 1] == start[i])
            continue;
        struct group g = {.m = m, .sp = sp, .package = package, .keys = keys, .owners = owners, .n_owners = n_owners, .units = &order[start[i]],
            .n = start[i + 1] - start[i], .kernel = kernel};
        if (!collect_ids(&g, os) || (!suppressed(&g, os) && !emit(&g, os)))
            hf_match_limit(m, "the memory ceiling is reached");
    }
    return 0;
}
