/* SPDX-License-Identifier: Apache-2.0 */
/* OSV records.  Spec: ossf.github.io/osv-schema, version 1.7; rules R23 and R24. */
#include <errno.h>

#include "advisories/db/namespace.h"
#include "advisories/feeds/feed.h"
#include "base/json.h"

enum {
    MAX_LIST = 4096,       /* aliases; kernel updates name some hundred CVEs */
    MAX_URLS = 16,         /* links kept; they are for reading */
    MAX_RANGES = 4096,     /* of one package; a record with more is rejected, as with all that follow */
    MAX_VERSIONS = 20000,
    MAX_SYMBOLS = 8192, MAX_SYMBOL_TEXT = 1 << 20,
    MAX_AFFECTED = 20000,
    MAX_VERSION = 1024,    /* bytes of one version */
    MAX_NAME = 1024,       /* bytes of a package name */
};

static unsigned two(struct hf_span s, size_t at)
{
    return s.n >= at + 2 && s.p[at] >= '0' && s.p[at] <= '9' && s.p[at + 1] >= '0' && s.p[at + 1] <= '9'
            ? (unsigned)(s.p[at] - '0') * 10 + (unsigned)(s.p[at + 1] - '0')
            : 99;
}

uint64_t hf_feed_time(struct hf_span s)
{
    uint64_t year;
    if (s.n < 10 || hf_parse_u64(hf_span_sub(s, 0, 4), 10, 1970, 9999, &year) < 0 || s.p[4] != '-' || s.p[7] != '-')
        return 0;
    unsigned month = two(s, 5), day = two(s, 8), h = 0, m = 0, sec = 0;
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return 0;
    if (s.n >= 19 && (s.p[10] == 'T' || s.p[10] == ' ')) {
        h = two(s, 11), m = two(s, 14), sec = two(s, 17);
        if (h > 23 || m > 59 || sec > 60)
            h = m = sec = 0;
    }
    /* days from civil (proleptic Gregorian), with years that begin in March */
    uint64_t y = year - (month <= 2), era = y / 400, yoe = y - era * 400;
    uint64_t doy = (153 * (uint64_t)(month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1, doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return (era * 146097 + doe - 719468) * 86400 + h * 3600 + m * 60 + sec;
}

/* Lists of one record.  `over` is set when a cap was reached: then the record is rejected, since one that is read in part
 * would look complete. */
struct scratch {
    struct hf_span aliases[MAX_LIST], vectors[32], urls[MAX_URLS], versions[MAX_VERSIONS], symbols[MAX_SYMBOLS];
    struct hf_adv_range ranges[MAX_RANGES];
    struct hf_buf *text; /* of symbols with their import paths; never moves once reserved */
    const char *over;
};

static size_t add_strings(hf_jnode array, struct hf_span *v, size_t n, size_t max, struct scratch *s, const char *what)
{
    HF_JFOREACH(x, array) {
        if (!hf_jstr(x).n)
            continue;
        if (n == max || hf_jstr(x).n > MAX_VERSION)
            s->over = what;
        else
            v[n++] = hf_jstr(x);
    }
    return n;
}

static enum hf_severity severity_word(struct hf_span s)
{
    static const struct {
        const char *word;
        enum hf_severity severity;
    } words[] = {{"critical", HF_SEV_CRITICAL}, {"high", HF_SEV_HIGH}, {"important", HF_SEV_HIGH}, {"moderate", HF_SEV_MEDIUM}, {"medium", HF_SEV_MEDIUM},
            {"low", HF_SEV_LOW}, {"negligible", HF_SEV_NEGLIGIBLE}, {"unimportant", HF_SEV_NEGLIGIBLE}};
    for (size_t i = 0; i < HF_ARRAY_LEN(words); i++)
        if (hf_span_eq_nocase(s, hf_span_z(words[i].word)))
            return words[i].severity;
    return HF_SEV_UNKNOWN;
}

/* events of one range: each introduced opens one, each fixed or last_affected closes it (schema: events are sorted). */
static size_t add_range(hf_jnode range, struct scratch *s, size_t n)
{
    if (hf_span_eqz(hf_jgetstr(range, "type"), "GIT"))
        return n;
    struct hf_adv_range *v = s->ranges;
    bool open = false;
    HF_JFOREACH(e, hf_jget(range, "events")) {
        struct hf_span in = hf_jgetstr(e, "introduced"), fixed = hf_jgetstr(e, "fixed"), last = hf_jgetstr(e, "last_affected");
        if (n == MAX_RANGES || in.n > MAX_VERSION || fixed.n > MAX_VERSION || last.n > MAX_VERSION) {
            s->over = "ranges";
            return n;
        }
        if (in.n) {
            v[n++] = (struct hf_adv_range){in, {NULL, 0}, {NULL, 0}};
            open = true;
        } else if ((fixed.n || last.n) && n && open) {
            if (fixed.n)
                v[n - 1].fixed = fixed;
            else
                v[n - 1].last_affected = last;
            open = false;
        } else if (fixed.n || last.n) {
            v[n++] = (struct hf_adv_range){HF_S("0"), fixed, last};
        }
    }
    return n;
}

/* What distributions say beside the ranges. */
static void distro_state(hf_jnode specific, struct hf_span ns, struct hf_advb_row *row)
{
    struct hf_span urgency = hf_jgetstr(specific, "urgency"), status = hf_jgetstr(specific, "ubuntu_status");
    if (hf_span_starts(ns, HF_S("debian:"))) {
        if (hf_span_eqz(urgency, "unimportant")) {
            row->flags |= HF_ADV_UNIMPORTANT;
            row->severity = HF_SEV_NEGLIGIBLE;
        } else if (hf_span_starts(urgency, HF_S("low"))) {
            row->severity = HF_SEV_LOW;
        } else if (hf_span_starts(urgency, HF_S("medium"))) {
            row->severity = HF_SEV_MEDIUM;
        } else if (hf_span_starts(urgency, HF_S("high"))) {
            row->severity = HF_SEV_HIGH;
        } else if (hf_span_eqz(urgency, "end-of-life")) {
            row->state = HF_ADV_EOL;
        }
    } else if (status.n) { /* R15 */
        if (hf_span_eqz(status, "deferred"))
            row->state = HF_ADV_DEFERRED;
        else if (hf_span_eqz(status, "ignored"))
            row->state = HF_ADV_WONT_FIX;
        else if (hf_span_eqz(status, "not-affected") || hf_span_eqz(status, "DNE"))
            row->state = HF_ADV_NOT_AFFECTED;
        else if (hf_span_eqz(status, "needed") || hf_span_eqz(status, "pending") || hf_span_eqz(status, "needs-triage"))
            row->state = HF_ADV_UNFIXED;
    }
}

/* The module "name:stream" of an RPM build of a module (R17).  AlmaLinux says it in the summary only: "nodejs:16 security
 * update", "Important: idm:DL1 and idm:client ..."; with several named it stays open which, and the matcher looks again. */
static struct hf_span module_in(struct hf_span summary)
{
    struct hf_span rest = summary, word, found = hf_span("", 0);
    while (hf_span_cut(&rest, ' ', &word)) {
        size_t at = hf_span_find(word, ':');
        while (word.n && (word.p[word.n - 1] == ',' || word.p[word.n - 1] == ';'))
            word.n--;
        if (at == SIZE_MAX || at == 0 || at + 1 >= word.n || word.n > 200 || hf_span_starts(word, HF_S("AL")))
            continue;
        if (found.n && !hf_span_eq(found, word))
            return hf_span("", 0);
        found = word;
    }
    return found;
}

static bool modular(const struct hf_advb_row *row)
{
    for (size_t i = 0; i < row->n_ranges; i++)
        if (hf_span_search(row->ranges[i].fixed, HF_S(".module")) != SIZE_MAX)
            return true;
    return false;
}

/* 0, also when the package is of an ecosystem we do not match; HF_E_FORMAT with s->over. */
/* Go: "path.Symbol" of every import.  An import without symbols is vulnerable as a whole: then no symbol decides. */
static size_t add_symbols(hf_jnode imports, struct scratch *s)
{
    size_t n = 0;
    hf_buf_clear(s->text);
    if (imports && !hf_buf_reserve(s->text, MAX_SYMBOL_TEXT)) {
        s->over = "symbols";
        return 0;
    }
    HF_JFOREACH(i, imports) {
        struct hf_span path = hf_jgetstr(i, "path");
        if (!path.n || !hf_jfirst(hf_jget(i, "symbols")))
            return 0;
        HF_JFOREACH(x, hf_jget(i, "symbols")) {
            struct hf_span symbol = hf_jstr(x);
            size_t at = s->text->n;
            if (n == MAX_SYMBOLS || symbol.n > MAX_VERSION || path.n > MAX_VERSION || path.n + symbol.n + 1 > s->text->cap - s->text->n) {
                s->over = "symbols";
                return 0;
            }
            hf_buf_adds(s->text, path);
            hf_buf_addc(s->text, '.');
            hf_buf_adds(s->text, symbol);
            s->symbols[n++] = hf_span(s->text->p + at, s->text->n - at);
        }
    }
    return n;
}

static int add_affected(struct hf_advb *b, uint32_t adv, hf_jnode a, struct hf_span summary, struct scratch *s, struct hf_err *err)
{
    hf_jnode package = hf_jget(a, "package"), specific = hf_jget(a, "ecosystem_specific"), own = hf_jget(a, "database_specific");
    char ns[HF_NS_MAX];
    struct hf_advb_row row = {.state = HF_ADV_RANGES};
    struct hf_span name = hf_jgetstr(package, "name");
    if (!name.n || hf_ns_from_osv(hf_jgetstr(package, "ecosystem"), ns, &row.scheme) < 0)
        return 0;
    if (row.scheme == HF_SCHEME_DEB || row.scheme == HF_SCHEME_RPM || row.scheme == HF_SCHEME_APK)
        row.flags |= HF_ADV_DISTRO;
    if (hf_span_ends(hf_span_z(ns), HF_S(":pro")))
        row.flags |= HF_ADV_PRO;
    if (row.scheme == HF_SCHEME_RPM)
        row.flags |= HF_ADV_BINARY_NAME;
    HF_JFOREACH(r, hf_jget(a, "ranges"))
        row.n_ranges = add_range(r, s, row.n_ranges);
    row.n_versions = add_strings(hf_jget(a, "versions"), s->versions, 0, MAX_VERSIONS, s, "versions");
    row.ranges = s->ranges;
    row.versions = s->versions;
    row.n_symbols = add_symbols(hf_jget(specific, "imports"), s);
    row.symbols = s->symbols;
    distro_state(specific, hf_span_z(ns), &row);
    /* R11: fixed in version "0" means never affected. */
    if (row.flags & HF_ADV_DISTRO)
        for (size_t i = 0; i < row.n_ranges; i++)
            if (hf_span_eqz(s->ranges[i].fixed, "0"))
                row.state = HF_ADV_NOT_AFFECTED;
    row.severity = row.severity ? row.severity : severity_word(hf_jgetstr(own, "severity"));
    hf_autobuf module = HF_BUF_INIT(256);
    struct hf_span m = hf_jgetstr(specific, "module"), stream = hf_jgetstr(specific, "stream");
    if (m.n) {
        hf_buf_adds(&module, hf_span_sub(m, 0, 100));
        if (stream.n) {
            hf_buf_addc(&module, ':');
            hf_buf_adds(&module, hf_span_sub(stream, 0, 100));
        }
    }
    row.module = hf_buf_span(&module);
    if (!row.module.n && row.scheme == HF_SCHEME_RPM && modular(&row))
        row.module = module_in(summary);
    if (name.n > MAX_NAME)
        s->over = "bytes of a name";
    if (s->over)
        return hf_fail(err, HF_E_FORMAT, "too many %s", s->over);
    if (!row.n_ranges && !row.n_versions && row.state == HF_ADV_RANGES)
        return 0; /* only GIT ranges: nothing an installed package can be held against (R23) */
    return hf_advb_add_row(b, adv, hf_span_z(ns), name, &row, err);
}

/* Whether any `affected` speaks of something we match, so that advisories without it take no room; and of which kind. */
static bool any_namespace(hf_jnode affected, enum hf_scheme *ret)
{
    char ns[HF_NS_MAX];
    HF_JFOREACH(a, affected)
        if (hf_ns_from_osv(hf_jgetstr(hf_jget(a, "package"), "ecosystem"), ns, ret) >= 0)
            return true;
    return false;
}

/* Records of distributions name their CVE in `upstream` (Debian, Ubuntu, Alpine, Wolfi), or those of RPM updates, which fix
 * several at once, in `related` (AlmaLinux); elsewhere those lists mean other vulnerabilities (R24). */
static size_t add_aliases(hf_jnode root, enum hf_scheme scheme, struct scratch *s)
{
    size_t n = add_strings(hf_jget(root, "aliases"), s->aliases, 0, MAX_LIST, s, "aliases");
    if (scheme != HF_SCHEME_DEB && scheme != HF_SCHEME_RPM && scheme != HF_SCHEME_APK)
        return n;
    n = add_strings(hf_jget(root, "upstream"), s->aliases, n, MAX_LIST, s, "aliases");
    if (scheme == HF_SCHEME_RPM) {
        HF_JFOREACH(x, hf_jget(root, "related")) {
            if (!hf_span_starts(hf_jstr(x), HF_S("CVE-")))
                continue;
            if (n == MAX_LIST)
                s->over = "aliases";
            else
                s->aliases[n++] = hf_jstr(x);
        }
    }
    return n;
}

static void add_severity(hf_jnode list, struct hf_advb_advisory *a, struct scratch *s)
{
    HF_JFOREACH(v, list) {
        struct hf_span type = hf_jgetstr(v, "type"), score = hf_jgetstr(v, "score");
        if (!hf_span_starts(type, HF_S("CVSS"))) {
            if (severity_word(score) != HF_SEV_UNKNOWN)
                a->severity = severity_word(score);
            continue;
        }
        bool there = a->n_cvss == HF_ARRAY_LEN(s->vectors);
        for (size_t i = 0; i < a->n_cvss && !there; i++)
            there = hf_span_eq(s->vectors[i], score);
        if (!there)
            s->vectors[a->n_cvss++] = score;
    }
}

/* "Important: kernel security update", "ALSA-2022:5468: php:8.0 security update (Important)". */
static enum hf_severity severity_in(struct hf_span summary)
{
    enum hf_severity severity = severity_word(hf_span_sub(summary, 0, hf_span_find(summary, ':')));
    size_t open = hf_span_rfind(summary, '(');
    if (severity == HF_SEV_UNKNOWN && open != SIZE_MAX && hf_span_ends(summary, HF_S(")")))
        severity = severity_word(hf_span_sub(summary, open + 1, summary.n - open - 2));
    return severity;
}

int hf_osv_record(struct hf_advb *b, struct hf_span json, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_json_parse(json, &doc, err);
    if (rc < 0)
        return rc == HF_E_LIMIT || rc == HF_E_TRUNCATED ? HF_E_FORMAT : rc;
    hf_jnode root = hf_json_root(doc), affected = hf_jget(root, "affected");
    struct hf_advb_advisory a = {.id = hf_jgetstr(root, "id"), .summary = hf_jgetstr(root, "summary"), .details = hf_jgetstr(root, "details")};
    enum hf_scheme scheme;
    if (!a.id.n || a.id.n > 256)
        return hf_fail(err, HF_E_FORMAT, "OSV record without an id");
    if (hf_jgetstr(root, "withdrawn").n || !any_namespace(affected, &scheme))
        return 0;
    hf_autofree struct scratch *s = malloc(sizeof *s);
    if (!s)
        return hf_fail(err, -ENOMEM, "out of memory");
    hf_autobuf text = HF_BUF_INIT(MAX_SYMBOL_TEXT);
    s->over = NULL;
    s->text = &text;
    if (!a.summary.n)
        a.summary = hf_span_sub(a.details, 0, 240);
    size_t cut = hf_span_find(a.summary, '\n');
    if (cut != SIZE_MAX && cut > 20)
        a.summary.n = cut;
    a.published_unix = hf_feed_time(hf_jgetstr(root, "published"));
    a.modified_unix = hf_feed_time(hf_jgetstr(root, "modified"));
    a.n_aliases = add_aliases(root, scheme, s);
    a.aliases = s->aliases;
    add_severity(hf_jget(root, "severity"), &a, s);
    size_t n_affected = 0;
    HF_JFOREACH(x, affected) {
        add_severity(hf_jget(x, "severity"), &a, s);
        if (++n_affected > MAX_AFFECTED)
            s->over = "packages";
    }
    a.cvss_vectors = s->vectors;
    if (a.severity == HF_SEV_UNKNOWN)
        a.severity = severity_word(hf_jgetstr(hf_jget(root, "database_specific"), "severity"));
    if (a.severity == HF_SEV_UNKNOWN && scheme == HF_SCHEME_RPM)
        a.severity = severity_in(a.summary);
    HF_JFOREACH(r, hf_jget(root, "references"))
        if (hf_jgetstr(r, "url").n && a.n_urls < MAX_URLS)
            s->urls[a.n_urls++] = hf_jgetstr(r, "url");
    a.urls = s->urls;
    if (s->over)
        return hf_fail(err, HF_E_FORMAT, "too many %s", s->over);
    uint32_t adv;
    rc = hf_advb_add(b, &a, &adv, err);
    HF_JFOREACH(x, affected) {
        if (rc < 0)
            return rc;
        rc = add_affected(b, adv, x, a.summary, s, err);
    }
    return rc < 0 ? rc : 1;
}

static bool is_osv(struct hf_span name, struct hf_span head)
{
    return hf_span_ends(name, HF_S(".json")) &&
            (hf_span_search(head, HF_S("\"id\"")) != SIZE_MAX || hf_span_search(head, HF_S("\"ranges\"")) != SIZE_MAX) &&
            (hf_span_search(head, HF_S("\"affected\"")) != SIZE_MAX || hf_span_search(head, HF_S("\"schema_version\"")) != SIZE_MAX ||
                    hf_span_search(head, HF_S("\"modified\"")) != SIZE_MAX);
}

/* A file of one record. */
static int read_osv(struct hf_advb *b, struct hf_span name, struct hf_span bytes, struct hf_err *err)
{
    (void)name;
    int rc = hf_osv_record(b, bytes, err);
    if (rc == HF_E_FORMAT)
        hf_advb_rejected(b);
    return rc < 0 ? rc : 0;
}

const struct hf_feed hf_feed_osv = {"osv", is_osv, read_osv};
