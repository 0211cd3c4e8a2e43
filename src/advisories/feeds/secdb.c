/* SPDX-License-Identifier: Apache-2.0 */
/* Security databases of apk distributions: secdb.alpinelinux.org/<release>/<repository>.json, packages.wolfi.dev/os/security.json.
 * packages[].pkg.secfixes maps a fixed version to ids; version "0" means never affected (R11). */
#include <stdio.h>

#include "advisories/db/namespace.h"
#include "advisories/feeds/feed.h"
#include "base/json.h"

/* The next id in a word list such as "CVE-2021-1 XSA-3 CVE_2020-123 (+)", in its usual spelling. */
static bool next_id(struct hf_span *rest, char out[64])
{
    struct hf_span word;
    while (hf_span_cut(rest, ' ', &word)) {
        size_t n = 0;
        bool digit = false, dash = false;
        for (size_t i = 0; i < word.n && n < 63; i++) {
            char c = word.p[i] == '_' ? '-' : word.p[i];
            bool ok = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
            if (!ok)
                break;
            digit |= c >= '0' && c <= '9';
            dash |= c == '-';
            out[n++] = c;
        }
        out[n] = 0;
        if (n > 5 && digit && dash && out[0] >= 'A' && out[0] <= 'Z')
            return true;
    }
    return false;
}

static int add(struct hf_advb *b, struct hf_span ns, struct hf_span package, struct hf_span version, const char *id, struct hf_err *err)
{
    struct hf_advb_advisory a = {.id = hf_span_z(id)};
    struct hf_adv_range range = {HF_S("0"), version, {NULL, 0}};
    struct hf_advb_row row = {.scheme = HF_SCHEME_APK, .state = HF_ADV_RANGES, .flags = HF_ADV_DISTRO, .ranges = &range, .n_ranges = 1};
    uint32_t adv;
    if (hf_span_eqz(version, "0")) {
        row.state = HF_ADV_NOT_AFFECTED;
        row.n_ranges = 0;
    }
    int rc = hf_advb_add(b, &a, &adv, err);
    return rc < 0 ? rc : hf_advb_add_row(b, adv, ns, package, &row, err);
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
    bool chainguard = hf_span_search(prefix, HF_S("cgr.dev")) != SIZE_MAX || hf_span_search(name, HF_S("chainguard")) != SIZE_MAX;
    bool wolfi = hf_span_search(prefix, HF_S("wolfi")) != SIZE_MAX || hf_span_search(name, HF_S("wolfi")) != SIZE_MAX;
    if (release.n && release.n < 32)
        snprintf(ns, sizeof ns, "alpine:" HF_SPAN_FMT, HF_SPAN_ARG(release.p[0] == 'v' ? hf_span_from(release, 1) : release));
    else if (wolfi || chainguard)
        snprintf(ns, sizeof ns, "%s", wolfi ? "wolfi" : "chainguard");
    else
        return hf_fail(err, HF_E_FORMAT, "a security database without distroversion, not known to be Wolfi's or Chainguard's");
    HF_JFOREACH(p, hf_jget(root, "packages")) {
        hf_jnode pkg = hf_jget(p, "pkg");
        struct hf_span package = hf_jgetstr(pkg, "name");
        HF_JFOREACH(fix, hf_jget(pkg, "secfixes")) {
            HF_JFOREACH(entry, fix) {
                struct hf_span words = hf_jstr(entry);
                char id[64];
                bool any = false;
                while (package.n && next_id(&words, id)) {
                    any = true;
                    rc = add(b, hf_span_z(ns), package, hf_jname(fix), id, err);
                    if (rc < 0)
                        return rc;
                }
                if (!any)
                    hf_advb_rejected(b);
            }
        }
    }
    return 0;
}

const struct hf_feed hf_feed_secdb = {"secdb", is_secdb, read_secdb};
