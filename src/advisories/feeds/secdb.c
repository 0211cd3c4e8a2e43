/* SPDX-License-Identifier: Apache-2.0 */
/* Security databases of apk distributions: secdb.alpinelinux.org/<release>/<repository>.json, packages.wolfi.dev/os/security.json.
 * packages[].pkg.secfixes maps a fixed version to ids; version "0" means never affected (R11). */
#include <stdio.h>

#include "advisories/db/cve.h"
#include "advisories/db/namespace.h"
#include "advisories/feeds/feed.h"
#include "base/json.h"

enum { MAX_IDS = 32, MAX_ID = 64, MAX_VERSION = 256, MAX_ENTRY = 4096 };

struct ids {
    char v[MAX_IDS][MAX_ID];
    size_t n;
    bool over;
};

static bool is_word(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Ids in an entry such as "CVE-2021-1 XSA-3", "CVE_2020-123 (+)", "CVE N/A ZBX-11023", in their usual spelling; what has no letters
 * before a dash and digits after it is prose. */
static void find_ids(struct hf_span entry, struct ids *ids)
{
    ids->n = 0;
    ids->over = entry.n > MAX_ENTRY;
    for (size_t i = 0; i < HF_MIN(entry.n, (size_t)MAX_ENTRY);) {
        size_t n = 0, from = i;
        while (i < entry.n && is_word(entry.p[i]))
            i++;
        if (i == from) {
            i++;
            continue;
        }
        if (ids->n == MAX_IDS || i - from >= MAX_ID) {
            ids->over = true;
            continue;
        }
        char *out = ids->v[ids->n];
        for (size_t k = from; k < i; k++)
            out[n++] = entry.p[k] == '_' ? '-' : entry.p[k];
        while (n && out[n - 1] == '-')
            n--;
        out[n] = 0;
        struct hf_span word = hf_span(out, n), head = hf_span_sub(word, 0, hf_span_find(word, '-'));
        bool digit = false, year = hf_span_search(word, HF_S("-20")) != SIZE_MAX || hf_span_search(word, HF_S("-19")) != SIZE_MAX;
        if (hf_span_eq_nocase(head, HF_S("cve"))) {
            memcpy(out, "CVE", 3);
            if (n == 3) { /* "CVE 2018-16859": the year is the next word */
                size_t k = i;
                while (k < entry.n && entry.p[k] == ' ')
                    k++;
                size_t end = k;
                while (end < entry.n && end - k < 16 && is_word(entry.p[end]))
                    end++;
                out[n++] = '-';
                memcpy(out + n, entry.p + k, end - k);
                out[n + end - k] = 0;
                if (hf_cve_key(hf_span(out, n + end - k))) {
                    ids->n++;
                    i = end;
                }
                continue;
            }
        }
        for (size_t k = head.n; k < n; k++)
            digit |= out[k] >= '0' && out[k] <= '9';
        bool upper = out[0] >= 'A' && out[0] <= 'Z', letter = upper || (out[0] >= 'a' && out[0] <= 'z');
        if (head.n >= 2 && head.n < n && ((upper && digit) || (letter && year) || hf_span_eqz(head, "GHSA")))
            ids->n++;
    }
}

static bool is_cve(const char *id)
{
    return hf_cve_key(hf_span_z(id)) != 0;
}

/* Every CVE is an advisory of its own; other ids beside a single CVE are its other names, without any CVE they stand for
 * themselves. */
static int add_entry(struct hf_advb *b, struct hf_span ns, struct hf_span package, struct hf_span version, const struct ids *ids, struct hf_err *err)
{
    struct hf_adv_range range = {HF_S("0"), version, {NULL, 0}};
    struct hf_advb_row row = {.scheme = HF_SCHEME_APK, .state = HF_ADV_RANGES, .flags = HF_ADV_DISTRO, .ranges = &range, .n_ranges = 1};
    struct hf_span aliases[MAX_IDS];
    size_t n_cve = 0, n_aliases = 0;
    if (hf_span_eqz(version, "0")) { /* R11 */
        row.state = HF_ADV_NOT_AFFECTED;
        row.n_ranges = 0;
    }
    for (size_t i = 0; i < ids->n; i++)
        n_cve += is_cve(ids->v[i]);
    for (size_t i = 0; i < ids->n && n_cve == 1; i++)
        if (!is_cve(ids->v[i]))
            aliases[n_aliases++] = hf_span_z(ids->v[i]);
    for (size_t i = 0; i < ids->n; i++) {
        struct hf_advb_advisory a = {.id = hf_span_z(ids->v[i]), .aliases = aliases, .n_aliases = n_aliases};
        uint32_t adv;
        if (n_cve == 1 && !is_cve(ids->v[i]))
            continue;
        int rc = hf_advb_add(b, &a, &adv, err);
        if (rc >= 0)
            rc = hf_advb_add_row(b, adv, ns, package, &row, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool is_secdb(struct hf_span name, struct hf_span head)
{
    (void)name;
    return hf_span_search(head, HF_S("\"secfixes\"")) != SIZE_MAX || hf_span_search(head, HF_S("\"distroversion\"")) != SIZE_MAX ||
            (hf_span_search(head, HF_S("\"apkurl\"")) != SIZE_MAX && hf_span_search(head, HF_S("\"packages\"")) != SIZE_MAX);
}

static int read_secdb(struct hf_advb *b, struct hf_span name, struct hf_span bytes, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_json_parse(bytes, &doc, err);
    if (rc < 0)
        return rc;
    hf_jnode root = hf_json_root(doc);
    struct hf_span release = hf_jgetstr(root, "distroversion"), prefix = hf_jgetstr(root, "urlprefix");
    char ns[HF_NS_MAX];
    struct ids ids;
    bool chainguard = hf_span_search(prefix, HF_S("cgr.dev")) != SIZE_MAX || hf_span_search(name, HF_S("chainguard")) != SIZE_MAX;
    bool minimos = hf_span_search(prefix, HF_S("mini.dev")) != SIZE_MAX || hf_span_search(name, HF_S("minimos")) != SIZE_MAX;
    bool wolfi = hf_span_search(prefix, HF_S("wolfi")) != SIZE_MAX || hf_span_search(name, HF_S("wolfi")) != SIZE_MAX;
    if (release.n && release.n < 32)
        snprintf(ns, sizeof ns, "alpine:" HF_SPAN_FMT, HF_SPAN_ARG(release.p[0] == 'v' ? hf_span_from(release, 1) : release));
    else if (wolfi || chainguard || minimos)
        snprintf(ns, sizeof ns, "%s", wolfi ? "wolfi" : chainguard ? "chainguard" : "minimos");
    else
        return hf_fail(err, HF_E_FORMAT, "a security database without distroversion, not known to be Wolfi's, Chainguard's or MinimOS'");
    HF_JFOREACH(p, hf_jget(root, "packages")) {
        hf_jnode pkg = hf_jget(p, "pkg");
        struct hf_span package = hf_jgetstr(pkg, "name");
        HF_JFOREACH(fix, hf_jget(pkg, "secfixes")) {
            HF_JFOREACH(entry, fix) {
                struct hf_span version = hf_jname(fix);
                find_ids(hf_jstr(entry), &ids);
                if (!package.n || !version.n || version.n > MAX_VERSION || !ids.n || ids.over) {
                    hf_advb_rejected(b);
                    continue;
                }
                rc = add_entry(b, hf_span_z(ns), package, version, &ids, err);
                if (rc < 0)
                    return rc;
            }
        }
    }
    return 0;
}

const struct hf_feed hf_feed_secdb = {"secdb", is_secdb, read_secdb};
