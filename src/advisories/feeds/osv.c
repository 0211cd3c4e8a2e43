/* SPDX-License-Identifier: Apache-2.0 */
/* OSV records.  Spec: ossf.github.io/osv-schema, version 1.7; rules R23 and R24. */
#include "advisories/db/namespace.h"
#include "advisories/feeds/feed.h"
#include "base/json.h"

enum { MAX_LIST = 255, MAX_RANGES = 1024, MAX_VERSIONS = 20000, MAX_SYMBOLS = 4096 };

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

static size_t add_strings(hf_jnode array, struct hf_span *v, size_t n, size_t max)
{
    HF_JFOREACH(x, array)
        if (hf_jis_str(x) && hf_jstr(x).n && n < max)
            v[n++] = hf_jstr(x);
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

/* Distribution records name their CVE in `upstream` (Debian, Ubuntu, Alpine, Wolfi) or `related` (AlmaLinux and other RPM
 * advisories that fix several at once); elsewhere those lists mean other vulnerabilities (R24). */
static bool distro_id(struct hf_span id, bool *related)
{
    static const char *const by_upstream[] = {"DEBIAN-", "UBUNTU-", "ALPINE-", "CGA-", "DSA-", "DLA-", "DTSA-", "USN-", "MINI-", "ECHO-"};
    static const char *const by_related[] = {"ALSA-", "ALBA-", "ALEA-", "RLSA-", "RXSA-", "RHSA-", "RHBA-", "RHEA-", "SUSE-", "openSUSE-"};
    for (size_t i = 0; i < HF_ARRAY_LEN(by_upstream); i++)
        if (hf_span_starts(id, hf_span_z(by_upstream[i]))) {
            *related = false;
            return true;
        }
    for (size_t i = 0; i < HF_ARRAY_LEN(by_related); i++)
        if (hf_span_starts(id, hf_span_z(by_related[i]))) {
            *related = true;
            return true;
        }
    return false;
}

/* events of one range: each introduced opens one, each fixed or last_affected closes it (schema: events are sorted). */
static size_t add_range(hf_jnode range, struct hf_adv_range *v, size_t n)
{
    if (hf_span_eqz(hf_jgetstr(range, "type"), "GIT"))
        return n;
    bool open = false;
    HF_JFOREACH(e, hf_jget(range, "events")) {
        struct hf_span in = hf_jgetstr(e, "introduced"), fixed = hf_jgetstr(e, "fixed"), last = hf_jgetstr(e, "last_affected");
        if (in.n && n < MAX_RANGES) {
            v[n++] = (struct hf_adv_range){in, {NULL, 0}, {NULL, 0}};
            open = true;
        } else if ((fixed.n || last.n) && n && open) {
            if (fixed.n)
                v[n - 1].fixed = fixed;
            else
                v[n - 1].last_affected = last;
            open = false;
        } else if ((fixed.n || last.n) && n < MAX_RANGES) {
            v[n++] = (struct hf_adv_range){HF_S("0"), fixed, last};
        }
    }
    return n;
}

struct scratch {
    struct hf_span aliases[MAX_LIST], vectors[32], urls[MAX_LIST], versions[MAX_VERSIONS], symbols[MAX_SYMBOLS];
    struct hf_adv_range ranges[MAX_RANGES];
};

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

static bool add_affected(struct hf_advb *b, uint32_t adv, hf_jnode a, bool related_style, struct scratch *s, int *ret, struct hf_err *err)
{
    hf_jnode package = hf_jget(a, "package"), specific = hf_jget(a, "ecosystem_specific"), own = hf_jget(a, "database_specific");
    char ns[HF_NS_MAX];
    struct hf_advb_row row = {.state = HF_ADV_RANGES};
    struct hf_span name = hf_jgetstr(package, "name");
    (void)related_style;
    if (!name.n || hf_ns_from_osv(hf_jgetstr(package, "ecosystem"), ns, &row.scheme) < 0)
        return false;
    enum hf_scheme ignored;
    bool language = !strchr(ns, ':') && strcmp(ns, "wolfi") && strcmp(ns, "chainguard") && strcmp(ns, "minimos") && strcmp(ns, "echo");
    (void)ignored;
    if (!language)
        row.flags |= HF_ADV_DISTRO;
    if (row.scheme == HF_SCHEME_RPM)
        row.flags |= HF_ADV_BINARY_NAME;
    HF_JFOREACH(r, hf_jget(a, "ranges"))
        row.n_ranges = add_range(r, s->ranges, row.n_ranges);
    row.n_versions = add_strings(hf_jget(a, "versions"), s->versions, 0, MAX_VERSIONS);
    row.ranges = s->ranges;
    row.versions = s->versions;
    HF_JFOREACH(i, hf_jget(specific, "imports"))
        row.n_symbols = add_strings(hf_jget(i, "symbols"), s->symbols, row.n_symbols, MAX_SYMBOLS);
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
    if (!row.n_ranges && !row.n_versions && row.state == HF_ADV_RANGES)
        return false; /* only GIT ranges: nothing an installed package can be held against (R23) */
    *ret = hf_advb_add_row(b, adv, hf_span_z(ns), name, &row, err);
    return true;
}

/* Whether any `affected` speaks of something we match, so that advisories without it take no room. */
static bool any_namespace(hf_jnode affected)
{
    char ns[HF_NS_MAX];
    enum hf_scheme scheme;
    HF_JFOREACH(a, affected)
        if (hf_ns_from_osv(hf_jgetstr(hf_jget(a, "package"), "ecosystem"), ns, &scheme) >= 0)
            return true;
    return false;
}

int hf_osv_record(struct hf_advb *b, struct hf_span json, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_json_parse(json, &doc, err);
    if (rc < 0)
        return rc;
    hf_jnode root = hf_json_root(doc), affected = hf_jget(root, "affected");
    struct hf_advb_advisory a = {.id = hf_jgetstr(root, "id"), .summary = hf_jgetstr(root, "summary")};
    if (!a.id.n || a.id.n > 256)
        return hf_fail(err, HF_E_FORMAT, "OSV record without an id");
    if (hf_jgetstr(root, "withdrawn").n || !any_namespace(affected))
        return 0;
    hf_autofree struct scratch *s = malloc(sizeof *s);
    if (!s)
        return hf_fail(err, HF_E_LIMIT, "out of memory");
    bool related = false, distro = distro_id(a.id, &related);
    if (!a.summary.n)
        a.summary = hf_span_sub(hf_jgetstr(root, "details"), 0, 240);
    size_t cut = hf_span_find(a.summary, '\n');
    if (cut != SIZE_MAX && cut > 20)
        a.summary.n = cut;
    a.published_unix = hf_feed_time(hf_jgetstr(root, "published"));
    a.modified_unix = hf_feed_time(hf_jgetstr(root, "modified"));
    a.n_aliases = add_strings(hf_jget(root, "aliases"), s->aliases, 0, MAX_LIST);
    if (distro)
        a.n_aliases = add_strings(hf_jget(root, related ? "related" : "upstream"), s->aliases, a.n_aliases, MAX_LIST);
    a.aliases = s->aliases;
    HF_JFOREACH(v, hf_jget(root, "severity")) {
        struct hf_span type = hf_jgetstr(v, "type"), score = hf_jgetstr(v, "score");
        if (hf_span_starts(type, HF_S("CVSS")) && a.n_cvss < HF_ARRAY_LEN(s->vectors))
            s->vectors[a.n_cvss++] = score;
        else if (severity_word(score) != HF_SEV_UNKNOWN)
            a.severity = severity_word(score);
    }
    HF_JFOREACH(x, affected)
        HF_JFOREACH(v, hf_jget(x, "severity"))
            if (hf_span_starts(hf_jgetstr(v, "type"), HF_S("CVSS")) && a.n_cvss < HF_ARRAY_LEN(s->vectors))
                s->vectors[a.n_cvss++] = hf_jgetstr(v, "score");
    a.cvss_vectors = s->vectors;
    if (a.severity == HF_SEV_UNKNOWN)
        a.severity = severity_word(hf_jgetstr(hf_jget(root, "database_specific"), "severity"));
    if (a.severity == HF_SEV_UNKNOWN && related) /* "Important: kernel security update" */
        a.severity = severity_word(hf_span_sub(a.summary, 0, hf_span_find(a.summary, ':')));
    HF_JFOREACH(r, hf_jget(root, "references"))
        if (hf_jgetstr(r, "url").n && a.n_urls < 16)
            s->urls[a.n_urls++] = hf_jgetstr(r, "url");
    a.urls = s->urls;
    uint32_t adv;
    rc = hf_advb_add(b, &a, &adv, err);
    HF_JFOREACH(x, affected) {
        if (rc < 0)
            return rc;
        (void)add_affected(b, adv, x, related, s, &rc, err);
    }
    return rc < 0 ? rc : 1;
}

static bool is_osv(struct hf_span name, struct hf_span head)
{
    return hf_span_ends(name, HF_S(".json")) && hf_span_search(head, HF_S("\"id\"")) != SIZE_MAX &&
            (hf_span_search(head, HF_S("\"affected\"")) != SIZE_MAX || hf_span_search(head, HF_S("\"schema_version\"")) != SIZE_MAX ||
                    hf_span_search(head, HF_S("\"modified\"")) != SIZE_MAX);
}

/* A single record, or a JSON array of them. */
static int read_osv(struct hf_advb *b, struct hf_span name, struct hf_span bytes, struct hf_err *err)
{
    (void)name;
    int rc = hf_osv_record(b, bytes, err);
    if (rc == HF_E_FORMAT)
        hf_advb_rejected(b);
    return rc < 0 ? rc : 0;
}

const struct hf_feed hf_feed_osv = {"osv", is_osv, read_osv};
