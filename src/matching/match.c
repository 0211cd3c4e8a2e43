/* SPDX-License-Identifier: Apache-2.0 */
#include "matching/match.h"

#include <stdarg.h>
#include <stdio.h>

#include "advisories/db/cve.h"
#include "advisories/db/namespace.h"
#include "matching/range.h"

enum { MAX_GROUPS = 20000, MAX_IDS = 256, MAX_FIXED = 16 };

/* One vulnerability of one package while its rows are gathered. */
struct group {
    struct hf_span id; /* CVE, or the native id */
    uint32_t parent;   /* union-find over aliases; itself: a root */
    bool affected, cleared, nak, specific, wont, deferred, unfixed, eol, investigating, negligible;
    enum hf_severity severity; /* package-specific */
    uint32_t adv;              /* the record that decided */
    struct hf_span fixed[MAX_FIXED];
    size_t n_fixed;
    struct hf_why why;
};

struct matcher {
    struct hf_scan *s;
    const struct hf_advdb *db;
    const struct hf_match_opts *o;
    struct hf_buf *why_not;
    struct hf_err *err;
    struct hf_scan_package *p; /* current */
    uint32_t p_index;
    struct hf_span version, ns, key; /* of the current look-up */
    const char *rule;
    struct group *g;
    size_t n_g, cap_g;
    struct hf_map ids;       /* id -> group + 1, of the current package */
    struct hf_map details;   /* CVE or id -> index + 1 in cached details */
    struct hf_map ns_seen;   /* namespaces used: 1 has data, 2 none */
    struct detail {
        struct hf_severity_pick {
            enum hf_severity severity;
        } pick;
        const struct hf_adv_cvss *cvss;
        const struct hf_span *urls, *aliases;
        size_t n_cvss, n_urls, n_aliases;
        struct hf_span summary;
        uint64_t published;
    } *d;
    size_t n_d, cap_d, cap_v;
    struct hf_arena scratch;
};

static int room(struct matcher *m)
{
    return hf_fail(m->err, HF_E_LIMIT, "the list of vulnerabilities is over the memory limit; raise --max-memory");
}

static struct hf_span keep(struct matcher *m, struct hf_span s)
{
    struct hf_span out = {"", 0};
    return hf_arena_dup(&m->s->arena, s, &out) < 0 ? hf_span("", 0) : out;
}

HF_PRINTF(2, 3) static struct hf_span keepf(struct matcher *m, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return keep(m, hf_span_z(text));
}

static bool is_cve(struct hf_span id)
{
    return hf_cve_key(id) != 0;
}

static uint32_t root(struct matcher *m, uint32_t i)
{
    while (m->g[i].parent != i)
        i = m->g[i].parent = m->g[m->g[i].parent].parent;
    return i;
}

static uint32_t group_of(struct matcher *m, struct hf_span id)
{
    bool fresh;
    uint64_t *slot = hf_map_at(&m->ids, id, &fresh);
    if (!slot)
        return UINT32_MAX;
    if (!fresh)
        return root(m, (uint32_t)(*slot - 1));
    if (!m->n_g && !hf_grow((void **)&m->g, &m->n_g, &m->cap_g, sizeof *m->g, MAX_GROUPS))
        return UINT32_MAX; /* slot 0 stays unused, so that 0 can end chains */
    struct group *g = hf_grow((void **)&m->g, &m->n_g, &m->cap_g, sizeof *g, MAX_GROUPS);
    if (!g)
        return UINT32_MAX;
    g->id = id;
    g->parent = (uint32_t)(m->n_g - 1);
    *slot = m->n_g;
    return (uint32_t)(m->n_g - 1);
}

static void add_fixed(struct group *g, struct hf_span v, enum hf_scheme scheme)
{
    size_t at = 0;
    if (!v.n)
        return;
    for (; at < g->n_fixed; at++) {
        int c = hf_version_cmp(scheme, v, g->fixed[at]);
        if (c == 0 || hf_span_eq(v, g->fixed[at]))
            return;
        if (c < 0)
            break;
    }
    if (g->n_fixed == MAX_FIXED)
        return;
    memmove(&g->fixed[at + 1], &g->fixed[at], (g->n_fixed - at) * sizeof *g->fixed);
    g->fixed[at] = v;
    g->n_fixed++;
}

/* R31 and R9-like exceptions that are facts about names, not about versions. */
static bool excepted(struct hf_span ns, struct hf_span name, struct hf_span id)
{
    static const struct {
        const char *ns, *name, *id;
    } v[] = {
            /* log4j-api holds none of the vulnerable classes; the records list it for its version number only */
            {"maven", "org.apache.logging.log4j:log4j-api", "CVE-2021-44228"}, {"maven", "org.apache.logging.log4j:log4j-api", "CVE-2021-45046"},
            {"maven", "org.apache.logging.log4j:log4j-api", "CVE-2021-45105"}, {"maven", "org.apache.logging.log4j:log4j-api", "CVE-2021-44832"},
            /* records of the C++ and JavaScript implementations, filed under the Go module of the same project */
            {"go", "google.golang.org/protobuf", "CVE-2015-5237"}, {"go", "google.golang.org/protobuf", "CVE-2021-22570"},
            /* the vulnerable code is minizip's, which zlib1g does not contain */
            {"debian", "zlib", "CVE-2023-45853"},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(v); i++)
        if (hf_span_starts(ns, hf_span_z(v[i].ns)) && hf_span_eqz(name, v[i].name) && hf_span_eqz(id, v[i].id))
            return true;
    return false;
}

/* R17: rows of a module stream concern packages of that stream only, and the other way round. */
static bool module_fits(const struct hf_package *p, const struct hf_adv_row *row, struct hf_span fixed)
{
    if (p->type != HF_PKG_RPM)
        return true;
    bool modular_fix = hf_span_search(fixed, HF_S(".module")) != SIZE_MAX;
    if (!row->module.n)
        return fixed.n == 0 || modular_fix == (p->module.n != 0 || hf_span_search(p->version, HF_S(".module")) != SIZE_MAX);
    return hf_span_starts(p->module, row->module) && (p->module.n == row->module.n || p->module.p[row->module.n] == ':');
}

static int on_row(void *ctx, const struct hf_advdb *db, const struct hf_adv_row *row)
{
    struct matcher *m = ctx;
    struct hf_verdict v;
    struct hf_advisory a;
    hf_row_verdict(db, row, m->version, &v);
    if (!module_fits(&m->p->p, row, v.fixed))
        return 0;
    if ((row->flags & HF_ADV_PRO || hf_span_ends(m->ns, HF_S(":pro"))) && !m->o->ubuntu_pro && !v.affected)
        return 0; /* R15: fixed only for subscribers, which this is not */
    if (hf_advdb_advisory(db, row->adv, &m->scratch, &a, m->err) < 0)
        return room(m);
    /* Ids this row speaks of: a distribution's advisory for several CVEs decides each apart (R24). */
    struct hf_span cves[MAX_IDS];
    size_t n = 0;
    if (is_cve(a.id))
        cves[n++] = a.id;
    for (size_t i = 0; i < a.n_aliases && n < MAX_IDS; i++)
        if (is_cve(a.aliases[i]))
            cves[n++] = a.aliases[i];
    bool distro = row->flags & HF_ADV_DISTRO;
    bool specific = n == 1 && hf_span_search(a.id, HF_S("CVE-")) != SIZE_MAX;
    if (!distro && n > 0) {
        cves[0] = a.id; /* aliases are joined below */
        n = 1;
    }
    if (n == 0)
        cves[n++] = a.id;
    for (size_t k = 0; k < n; k++) {
        uint32_t at = group_of(m, cves[k]);
        if (at == UINT32_MAX)
            return room(m);
        if (!distro)
            for (size_t i = 0; i < a.n_aliases; i++) {
                uint32_t other = group_of(m, a.aliases[i]);
                if (other == UINT32_MAX)
                    return room(m);
                uint32_t x = root(m, at), y = root(m, other);
                if (x == y)
                    continue;
                /* what was known of the other moves to the root */
                struct group *to = &m->g[x], *from = &m->g[y];
                to->affected |= from->affected;
                to->nak |= from->nak;
                to->cleared |= from->cleared;
                if (!to->why.rule.n) {
                    to->why = from->why;
                    to->adv = from->adv;
                }
                for (size_t f = 0; f < from->n_fixed; f++)
                    add_fixed(to, from->fixed[f], row->scheme);
                to->severity = HF_MAX(to->severity, from->severity);
                from->parent = x;
            }
        struct group *g = &m->g[root(m, at)];
        if (excepted(m->ns, m->key, cves[k])) {
            g->nak = true;
            continue;
        }
        if (row->state == HF_ADV_NOT_AFFECTED)
            g->nak = true;
        /* A record of its own for this CVE is more exact than an advisory that lists many. */
        if (distro && g->specific && !specific)
            continue;
        if (distro && specific && !g->specific) {
            g->specific = true;
            g->affected = g->cleared = false;
            g->n_fixed = 0;
        }
        if (v.affected) {
            if (!g->affected || !g->why.rule.n) {
                g->adv = row->adv;
                g->why = (struct hf_why){hf_span_z(m->rule), a.id, a.source, m->ns, m->key, m->version, keepf(m, HF_SPAN_FMT, HF_SPAN_ARG(hf_span_z(v.text))),
                        keepf(m, "%s: " HF_SPAN_FMT " of " HF_SPAN_FMT " looked up as \"" HF_SPAN_FMT "\" in " HF_SPAN_FMT " is %s", m->rule, HF_SPAN_ARG(a.id),
                                HF_SPAN_ARG(a.source), HF_SPAN_ARG(m->key), HF_SPAN_ARG(m->ns), v.text)};
            }
            g->affected = true;
            g->wont |= row->state == HF_ADV_WONT_FIX || (row->flags & HF_ADV_NO_DSA && !v.fixed.n);
            g->deferred |= row->state == HF_ADV_DEFERRED;
            g->eol |= row->state == HF_ADV_EOL;
            g->investigating |= row->state == HF_ADV_INVESTIGATING;
            add_fixed(g, v.fixed, row->scheme);
        } else {
            g->cleared = true;
        }
        g->severity = HF_MAX(g->severity, row->severity);
        g->negligible |= (row->flags & HF_ADV_UNIMPORTANT) != 0;
        if (m->o->why_not.n && m->why_not && hf_span_eq(cves[k], m->o->why_not) && !v.affected)
            hf_buf_addf(m->why_not, HF_SPAN_FMT " " HF_SPAN_FMT ": %s says %s (installed " HF_SPAN_FMT ")\n", HF_SPAN_ARG(m->p->p.name), HF_SPAN_ARG(m->p->p.version),
                    keepf(m, HF_SPAN_FMT " of " HF_SPAN_FMT, HF_SPAN_ARG(a.id), HF_SPAN_ARG(a.source)).p, v.text, HF_SPAN_ARG(m->version));
    }
    return 0;
}

static int look_up(struct matcher *m, const char *ns, struct hf_span name, struct hf_span version, const char *rule)
{
    hf_autobuf key = HF_BUF_INIT(8192);
    hf_adv_name(hf_span_z(ns), name, &key);
    m->ns = keep(m, hf_span_z(ns));
    m->key = keep(m, hf_buf_span(&key));
    m->version = version;
    m->rule = rule;
    return hf_advdb_lookup(m->db, m->ns, m->key, on_row, m, m->err);
}

/* What other records say of the same vulnerability: scores, words, addresses. */
static int on_same(void *ctx, uint32_t adv)
{
    struct matcher *m = ctx;
    struct detail *d = &m->d[m->n_d - 1];
    struct hf_advisory a;
    if (hf_advdb_advisory(m->db, adv, &m->s->arena, &a, NULL) < 0)
        return room(m);
    /* Advisories about several CVEs say nothing exact of one. */
    size_t cves = is_cve(a.id);
    for (size_t i = 0; i < a.n_aliases; i++)
        cves += is_cve(a.aliases[i]);
    if (cves > 1)
        return 0;
    if (!d->n_cvss && a.n_cvss) {
        d->cvss = a.cvss;
        d->n_cvss = a.n_cvss;
    }
    d->pick.severity = d->pick.severity ? d->pick.severity : a.severity;
    if (a.summary.n > d->summary.n && d->summary.n < 20)
        d->summary = a.summary;
    if (!d->n_urls && a.n_urls) {
        d->urls = a.urls;
        d->n_urls = a.n_urls;
    }
    if (a.published_unix && (!d->published || a.published_unix < d->published))
        d->published = a.published_unix;
    return 0;
}

static struct detail *details(struct matcher *m, struct hf_span id)
{
    bool fresh;
    uint64_t *slot = hf_map_at(&m->details, id, &fresh);
    if (!slot)
        return NULL;
    if (!fresh)
        return &m->d[*slot - 1];
    struct detail *d = hf_grow((void **)&m->d, &m->n_d, &m->cap_d, sizeof *d, 1 << 22);
    if (!d)
        return NULL;
    *slot = m->n_d;
    if (hf_advdb_by_id(m->db, id, on_same, m, m->err) < 0)
        return NULL;
    return &m->d[m->n_d - 1];
}

static enum hf_severity from_cvss(const struct hf_adv_cvss *c, size_t n)
{
    if (!n)
        return HF_SEV_UNKNOWN;
    unsigned s = c[0].score10;
    return s >= 90 ? HF_SEV_CRITICAL : s >= 70 ? HF_SEV_HIGH : s >= 40 ? HF_SEV_MEDIUM : s ? HF_SEV_LOW : HF_SEV_NEGLIGIBLE;
}

/* R30: headers and build helpers made from the kernel's source are not a kernel, and in an image none runs. */
static bool kernel_class(const struct hf_package *p)
{
    static const char *const names[] = {"linux-libc-dev", "linux-headers-", "linux-kbuild-", "kernel-headers", "linux-doc", "linux-compiler-", "linux-source"};
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
        if (hf_span_starts(p->name, hf_span_z(names[i])))
            return true;
    return hf_span_eqz(p->source_name, "linux");
}

static int emit(struct matcher *m, struct group *g, struct hf_span *ids, size_t n_ids)
{
    struct hf_scan *s = m->s;
    if (s->n_vulns == m->cap_v) {
        size_t cap = m->cap_v ? m->cap_v * 2 : 128;
        struct hf_vuln *v = cap > (1u << 22) ? NULL : realloc(s->vulns, cap * sizeof *v);
        if (!v)
            return room(m);
        s->vulns = v;
        m->cap_v = cap;
    }
    struct hf_span cve = {NULL, 0};
    size_t n_cve = 0;
    for (size_t i = 0; i < n_ids; i++)
        if (is_cve(ids[i])) {
            cve = ids[i];
            n_cve++;
        }
    struct hf_advisory own;
    if (hf_advdb_advisory(m->db, g->adv, &s->arena, &own, m->err) < 0)
        return room(m);
    struct hf_span id = n_cve == 1 ? cve : n_cve ? own.id : g->id;
    struct detail *d = details(m, id);
    struct hf_span *aliases = hf_arena_calloc(&s->arena, n_ids + 2, sizeof *aliases);
    struct hf_span *fixed = hf_arena_calloc(&s->arena, g->n_fixed + 1, sizeof *fixed);
    struct hf_why *why = hf_arena_calloc(&s->arena, 1, sizeof *why);
    if (!d || !aliases || !fixed || !why)
        return room(m);
    struct hf_vuln v = {.id = id, .aliases = aliases, .package = m->p_index, .fixed_in = fixed, .n_fixed_in = g->n_fixed, .why = why, .n_why = 1};
    for (size_t i = 0; i < n_ids; i++)
        if (!hf_span_eq(ids[i], id))
            aliases[v.n_aliases++] = ids[i];
    bool listed = hf_span_eq(own.id, id);
    for (size_t i = 0; i < n_ids; i++)
        listed |= hf_span_eq(ids[i], own.id);
    if (!listed)
        aliases[v.n_aliases++] = own.id;
    memcpy(fixed, g->fixed, g->n_fixed * sizeof *fixed);
    *why = g->why;
    v.cvss = own.n_cvss ? own.cvss : d->cvss;
    v.n_cvss = own.n_cvss ? own.n_cvss : d->n_cvss;
    /* R25: what the source that matched says of this package, then its record, then scores, then others. */
    v.severity = g->negligible ? HF_SEV_NEGLIGIBLE : g->severity ? g->severity : own.severity ? own.severity : v.n_cvss ? from_cvss(v.cvss, v.n_cvss) : d->pick.severity;
    v.status = g->eol && !g->n_fixed ? HF_VULN_EOL : g->n_fixed ? HF_VULN_FIXED : g->wont ? HF_VULN_WONT_FIX : g->deferred ? HF_VULN_DEFERRED
            : g->investigating                                                                                                ? HF_VULN_INVESTIGATING
                                                                                                                              : HF_VULN_UNFIXED;
    v.summary = own.summary.n ? own.summary : d->summary;
    v.urls = own.n_urls ? own.urls : d->urls;
    v.n_urls = own.n_urls ? own.n_urls : d->n_urls;
    v.published_unix = own.published_unix ? own.published_unix : d->published;
    v.collapsed = kernel_class(&m->p->p);
    if (n_cve) {
        v.has_epss = hf_advdb_epss(m->db, cve, &v.epss);
        v.has_kev = hf_advdb_kev(m->db, cve, &v.kev);
    }
    s->vulns[s->n_vulns++] = v;
    return 0;
}

static int by_id(const void *a, const void *b)
{
    const struct hf_vuln *x = a, *y = b;
    return x->package != y->package ? (x->package < y->package ? -1 : 1) : hf_span_cmp(x->id, y->id);
}

static int finish_package(struct matcher *m)
{
    int rc = 0;
    /* Members of each set, chained behind their root. */
    uint32_t *next = m->n_g ? hf_arena_calloc(&m->scratch, m->n_g, sizeof *next) : NULL;
    if (m->n_g && !next)
        rc = room(m);
    for (uint32_t i = 0; i < m->n_g && rc >= 0; i++) {
        uint32_t r = root(m, i);
        if (r != i) {
            next[i] = next[r];
            next[r] = i; /* 0 ends a chain: a root is never a member of another's */
        }
    }
    for (uint32_t i = 0; i < m->n_g && rc >= 0; i++) {
        struct group *g = &m->g[i];
        if (g->parent != i || !g->affected || g->nak)
            continue;
        struct hf_span ids[MAX_IDS];
        size_t n = 0;
        ids[n++] = g->id;
        for (uint32_t k = next[i]; k && k != i && n < MAX_IDS; k = next[k])
            ids[n++] = m->g[k].id;
        rc = emit(m, g, ids, n);
    }
    m->n_g = 0;
    hf_map_done(&m->ids);
    hf_arena_done(&m->scratch);
    return rc;
}

/* R20: no data is not no vulnerability. Said once a namespace. */
static bool has_data(struct matcher *m, const char *ns)
{
    bool fresh;
    struct hf_span copy = keep(m, hf_span_z(ns));
    uint64_t *slot = hf_map_at(&m->ns_seen, copy, &fresh);
    if (!slot)
        return false;
    if (fresh)
        *slot = hf_advdb_has_namespace(m->db, copy) ? 1 : 2;
    return *slot == 1;
}

static int match_os(struct matcher *m, char ns[4][HF_NS_MAX], size_t n_ns)
{
    const struct hf_package *p = &m->p->p;
    struct hf_span source = p->source_name.n ? p->source_name : p->name;
    struct hf_span source_version = p->source_version.n ? p->source_version : p->version;
    int rc = 0;
    for (size_t i = 0; i < n_ns && rc >= 0; i++) {
        bool first = i == 0;
        if (!first && !hf_span_ends(hf_span_z(ns[i]), HF_S(":pro")) && has_data(m, ns[0]))
            break; /* a fallback feed only where the first has nothing */
        if (p->type == HF_PKG_RPM) {
            rc = look_up(m, ns[i], p->name, p->version, "R2");
        } else {
            rc = look_up(m, ns[i], source, source_version, p->type == HF_PKG_APK ? "R3" : "R1");
            if (rc >= 0 && !hf_span_eq(source, p->name))
                rc = look_up(m, ns[i], p->name, p->version, p->type == HF_PKG_APK ? "R3" : "R1 (binary name)");
        }
    }
    return rc;
}

/* Sources older than allowed; names are "osv:Debian", "debian-tracker", "secdb:v3.18", ... */
static void check_feeds(struct matcher *m)
{
    static const struct {
        const char *ns, *word;
    } words[] = {{"debian:", "debian"}, {"ubuntu:", "ubuntu"}, {"alpine:", "alpine"}, {"alpine:", "secdb:v"}, {"alpine:", "secdb:edge"}, {"wolfi", "wolfi"}, {"almalinux:", "almalinux"},
            {"rocky:", "rocky"}, {"redhat:", "red hat"}, {"pypi", "pypi"}, {"npm", "npm"}, {"go", "osv:go"}, {"maven", "maven"}, {"gem", "rubygems"}, {"cargo", "crates"},
            {"packagist", "packagist"}, {"nuget", "nuget"}, {"bitnami", "bitnami"}, {"", "kev"}, {"", "epss"}};
    const struct hf_adv_source *v;
    size_t n = hf_advdb_sources(m->db, &v);
    struct hf_adv_source *kept = hf_arena_calloc(&m->s->arena, n + 1, sizeof *kept);
    bool demo = false;
    for (size_t i = 0; i < n && kept; i++) {
        bool used = false;
        hf_autobuf lower = HF_BUF_INIT(512);
        for (size_t k = 0; k < v[i].name.n && k < 500; k++)
            hf_buf_addc(&lower, v[i].name.p[k] >= 'A' && v[i].name.p[k] <= 'Z' ? (char)(v[i].name.p[k] + 32) : v[i].name.p[k]);
        for (size_t w = 0; w < HF_ARRAY_LEN(words) && !used; w++) {
            if (hf_span_search(hf_buf_span(&lower), hf_span_z(words[w].word)) == SIZE_MAX)
                continue;
            used = !*words[w].ns;
            for (size_t k = 0; k < m->ns_seen.cap && !used; k++)
                used = m->ns_seen.slots[k].hash && hf_span_starts(m->ns_seen.slots[k].key, hf_span_z(words[w].ns));
        }
        demo |= v[i].demo;
        if (!used)
            continue;
        kept[m->s->n_feeds++] = v[i];
        uint64_t age_from = v[i].newest_unix ? v[i].newest_unix : v[i].fetched_unix;
        if (age_from && m->o->now_unix > age_from && m->o->now_unix - age_from > m->o->stale_after_s && !v[i].demo)
            hf_scan_warn(m->s, "advisory source " HF_SPAN_FMT " is stale: its newest facts are %llu days old; run: holdfast db update", HF_SPAN_ARG(v[i].name),
                    (unsigned long long)((m->o->now_unix - age_from) / 86400));
    }
    m->s->feeds = kept;
    if (demo)
        hf_scan_warn(m->s, "advisories are the demonstration feed (some famous vulnerabilities only): an empty list means nothing; get real data with: holdfast db update");
}

static int match_one(struct matcher *m, char ns[4][HF_NS_MAX], size_t n_ns)
{
    const struct hf_package *p = &m->p->p;
    bool os = p->type == HF_PKG_DEB || p->type == HF_PKG_APK || p->type == HF_PKG_RPM;
    enum hf_scheme scheme;
    hf_arena_init(&m->scratch, 64 << 20);
    if (p->flags & HF_PKG_NOT_MATCHED)
        return 0;
    if (os)
        return n_ns ? match_os(m, ns, n_ns) : 0;
    const char *lang = hf_ns_from_type(p->type, &scheme);
    if (!lang)
        return 0;
    /* R21: files of an OS package are judged by the distribution, which patches without changing the upstream version. */
    if (m->p->owner && n_ns && hf_advdb_has_namespace(m->db, hf_span_z(ns[0])) && !hf_span_starts(hf_span_z(ns[0]), HF_S("amazon"))) {
        if (m->o->why_not.n && m->why_not)
            hf_buf_addf(m->why_not, HF_SPAN_FMT " " HF_SPAN_FMT ": its files belong to the OS package " HF_SPAN_FMT ", which is matched instead (R21)\n", HF_SPAN_ARG(p->name),
                    HF_SPAN_ARG(p->version), HF_SPAN_ARG(m->p->owner->name));
        return 0;
    }
    if (!has_data(m, lang))
        return 0;
    struct hf_span version = p->version;
    return look_up(m, lang, p->name, version, p->type == HF_PKG_GO ? "R27" : "R23");
}

static int why_not_known(void *ctx, uint32_t adv)
{
    (void)adv;
    ++*(unsigned *)ctx;
    return 0;
}

int hf_match(struct hf_scan *scan, const struct hf_advdb *db, const struct hf_match_opts *o, struct hf_buf *ret_why_not, struct hf_err *err)
{
    struct matcher m = {.s = scan, .db = db, .o = o, .why_not = ret_why_not, .err = err};
    char ns[4][HF_NS_MAX];
    enum hf_scheme scheme;
    size_t n_ns = scan->release.id.n ? hf_ns_from_os(&scan->release, ns, &scheme) : 0, os_packages = 0;
    int rc = 0;
    for (size_t i = 0; i < scan->n_packages && rc >= 0; i++) {
        m.p = &scan->packages[i];
        m.p_index = (uint32_t)i;
        os_packages += m.p->p.type == HF_PKG_DEB || m.p->p.type == HF_PKG_APK || m.p->p.type == HF_PKG_RPM;
        rc = match_one(&m, ns, n_ns);
        int done = finish_package(&m);
        rc = rc < 0 ? rc : done;
    }
    if (rc >= 0 && os_packages) {
        bool any = false;
        for (size_t i = 0; i < n_ns; i++)
            any |= has_data(&m, ns[i]);
        if (!any) {
            const char *what = n_ns ? ns[0] : "this operating system";
            hf_scan_warn(scan, "no advisory data for %s: its %zu packages were not examined for vulnerabilities; run: holdfast db update", what, os_packages);
            hf_scan_incomplete(scan, hf_span("", 0), UINT32_MAX, "no advisory data for %s (%zu packages)", what, os_packages);
        }
    }
    for (size_t i = 0; i < m.ns_seen.cap && rc >= 0; i++)
        if (m.ns_seen.slots[i].hash && m.ns_seen.slots[i].value == 2 && hf_span_find(m.ns_seen.slots[i].key, ':') == SIZE_MAX)
            hf_scan_incomplete(scan, hf_span("", 0), UINT32_MAX, "no advisory data for " HF_SPAN_FMT " packages", HF_SPAN_ARG(m.ns_seen.slots[i].key));
    if (rc >= 0)
        check_feeds(&m);
    if (rc >= 0 && o->why_not.n && ret_why_not) {
        unsigned known = 0;
        bool reported = false;
        rc = hf_advdb_by_id(db, o->why_not, why_not_known, &known, err);
        for (size_t i = 0; i < scan->n_vulns; i++)
            reported |= hf_span_eq(scan->vulns[i].id, o->why_not);
        if (reported)
            hf_buf_addf(ret_why_not, HF_SPAN_FMT " is reported.\n", HF_SPAN_ARG(o->why_not));
        else if (!known)
            hf_buf_addf(ret_why_not, HF_SPAN_FMT " is in none of the database's sources.\n", HF_SPAN_ARG(o->why_not));
        else if (!ret_why_not->n)
            hf_buf_addf(ret_why_not, HF_SPAN_FMT " concerns no package that is here (%u records name it; see: holdfast db show " HF_SPAN_FMT ").\n", HF_SPAN_ARG(o->why_not), known,
                    HF_SPAN_ARG(o->why_not));
    }
    if (scan->n_vulns)
        qsort(scan->vulns, scan->n_vulns, sizeof *scan->vulns, by_id);
    free(m.g);
    free(m.d);
    hf_map_done(&m.ids);
    hf_map_done(&m.details);
    hf_map_done(&m.ns_seen);
    return rc;
}
