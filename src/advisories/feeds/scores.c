/* SPDX-License-Identifier: Apache-2.0 */
/* CISA's catalogue of known exploited vulnerabilities (JSON) and FIRST's EPSS (CSV: a comment line with the date, a header, rows
 * cve,epss,percentile). */
#include "advisories/feeds/feed.h"
#include "base/json.h"

static bool is_kev(struct hf_span name, struct hf_span head)
{
    (void)name;
    return hf_span_search(head, HF_S("\"catalogVersion\"")) != SIZE_MAX || hf_span_search(head, HF_S("Known Exploited Vulnerabilities")) != SIZE_MAX;
}

static int read_kev(struct hf_advb *b, struct hf_span name, struct hf_span bytes, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    (void)name;
    int rc = hf_json_parse(bytes, &doc, err);
    if (rc < 0)
        return rc;
    hf_jnode root = hf_json_root(doc);
    hf_advb_newest(b, hf_feed_time(hf_jgetstr(root, "dateReleased")));
    if (!hf_jis_array(hf_jget(root, "vulnerabilities")))
        return hf_fail(err, HF_E_FORMAT, "no list of vulnerabilities");
    HF_JFOREACH(v, hf_jget(root, "vulnerabilities")) {
        rc = hf_advb_kev(b, hf_jgetstr(v, "cveID"), hf_jgetstr(v, "dateAdded"), hf_jgetstr(v, "dueDate"),
                hf_span_eqz(hf_jgetstr(v, "knownRansomwareCampaignUse"), "Known"), err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool is_epss(struct hf_span name, struct hf_span head)
{
    return hf_span_starts(hf_span_basename(name), HF_S("epss")) || hf_span_search(head, HF_S("cve,epss,percentile")) != SIZE_MAX;
}

/* "0.00123" with up to 18 decimals, or exponents as in "1e-05". */
static bool fraction(struct hf_span s, double *ret)
{
    double v = 0, unit = 1;
    bool point = false, any = false;
    size_t i = 0;
    for (; i < s.n && i < 24; i++) {
        if (s.p[i] == '.' && !point) {
            point = true;
        } else if (s.p[i] >= '0' && s.p[i] <= '9') {
            v = v * 10 + (s.p[i] - '0');
            unit = point ? unit * 10 : unit;
            any = true;
        } else {
            break;
        }
    }
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        uint64_t e;
        if (i + 1 >= s.n || s.p[i + 1] != '-' || hf_parse_u64(hf_span_from(s, i + 2), 10, 0, 30, &e) < 0)
            return false;
        while (e--)
            unit *= 10;
        i = s.n;
    }
    *ret = v / unit;
    return any && i == s.n;
}

static int read_epss(struct hf_advb *b, struct hf_span name, struct hf_span bytes, struct hf_err *err)
{
    struct hf_span rest = bytes, line;
    bool header = false;
    (void)name;
    while (hf_span_line(&rest, &line)) {
        if (line.n && line.p[0] == '#') {
            size_t at = hf_span_search(line, HF_S("score_date:"));
            if (at != SIZE_MAX)
                hf_advb_newest(b, hf_feed_time(hf_span_sub(line, at + 11, 19)));
            continue;
        }
        if (!header) {
            header = hf_span_starts(line, HF_S("cve,epss"));
            if (!header)
                return hf_fail(err, HF_E_FORMAT, "expected the header cve,epss,percentile");
            continue;
        }
        struct hf_span cve, score, percentile;
        double s, p;
        if (!hf_span_cut(&line, ',', &cve) || !hf_span_cut(&line, ',', &score) || !hf_span_cut(&line, ',', &percentile) || !fraction(score, &s) ||
                !fraction(percentile, &p)) {
            hf_advb_rejected(b);
            continue;
        }
        int rc = hf_advb_epss(b, cve, s, p, err);
        if (rc < 0)
            return rc;
    }
    return header ? 0 : hf_fail(err, HF_E_TRUNCATED, "no header");
}

const struct hf_feed hf_feed_kev = {"kev", is_kev, read_kev};
const struct hf_feed hf_feed_epss = {"epss", is_epss, read_epss};
