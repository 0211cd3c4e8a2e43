/* SPDX-License-Identifier: Apache-2.0 */
#include "matching/range.h"

#include <stdio.h>

/* PEP 440: a local part counts only against a bound that has one. */
static struct hf_span for_bound(enum hf_scheme s, struct hf_span version, struct hf_span bound)
{
    if (s == HF_SCHEME_PEP440 && hf_span_find(bound, '+') == SIZE_MAX)
        return hf_span_sub(version, 0, hf_span_find(version, '+'));
    return version;
}

static int cmp(enum hf_scheme s, struct hf_span version, struct hf_span bound)
{
    return hf_version_cmp(s, for_bound(s, version, bound), bound);
}

bool hf_in_range(enum hf_scheme s, struct hf_span v, const struct hf_adv_range *r, bool *ret_comparable)
{
    *ret_comparable = true;
    if (r->introduced.n && !hf_span_eqz(r->introduced, "0")) {
        int c = cmp(s, v, r->introduced);
        *ret_comparable = c != HF_CMP_INVALID;
        if (c == HF_CMP_INVALID || c < 0)
            return false;
    }
    struct hf_span end = r->fixed.n ? r->fixed : r->last_affected;
    if (!end.n) {
        *ret_comparable = hf_version_valid(s, v);
        return *ret_comparable || !r->introduced.n || hf_span_eqz(r->introduced, "0");
    }
    int c = cmp(s, v, end);
    *ret_comparable = c != HF_CMP_INVALID;
    return c != HF_CMP_INVALID && (r->fixed.n ? c < 0 : c <= 0);
}

void hf_row_verdict(const struct hf_advdb *db, const struct hf_adv_row *row, struct hf_span v, struct hf_verdict *ret)
{
    static const char *const states[] = {"", "affected, no fix yet", "affected, will not be fixed", "affected, the fix is deferred", "never affected",
            "under investigation", "affected, support has ended"};
    *ret = (struct hf_verdict){.comparable = true};
    if (row->state != HF_ADV_RANGES) {
        ret->affected = row->state != HF_ADV_NOT_AFFECTED;
        snprintf(ret->text, sizeof ret->text, "%s", states[row->state]);
        return;
    }
    struct hf_adv_range r;
    bool comparable = true;
    for (size_t i = 0; hf_adv_row_range(db, row, i, &r); i++) {
        bool ok;
        bool in = hf_in_range(row->scheme, v, &r, &ok);
        comparable &= ok;
        if (!in) {
            if (r.fixed.n && ok && !ret->fixed.n)
                snprintf(ret->text, sizeof ret->text, "not affected: fixed in " HF_SPAN_FMT, HF_SPAN_ARG(r.fixed));
            continue;
        }
        ret->affected = true;
        ret->fixed = r.fixed;
        if (r.fixed.n)
            snprintf(ret->text, sizeof ret->text, "affected: " HF_SPAN_FMT " < " HF_SPAN_FMT " (fixed)", HF_SPAN_ARG(v), HF_SPAN_ARG(r.fixed));
        else if (r.last_affected.n)
            snprintf(ret->text, sizeof ret->text, "affected: " HF_SPAN_FMT " <= " HF_SPAN_FMT " (last affected)", HF_SPAN_ARG(v), HF_SPAN_ARG(r.last_affected));
        else
            snprintf(ret->text, sizeof ret->text, "affected: every version from " HF_SPAN_FMT, HF_SPAN_ARG(r.introduced));
        return;
    }
    if (hf_adv_row_has_version(db, row, v)) {
        ret->affected = true;
        snprintf(ret->text, sizeof ret->text, "affected: " HF_SPAN_FMT " is in the list of versions", HF_SPAN_ARG(v));
        return;
    }
    ret->comparable = comparable;
    if (!comparable)
        snprintf(ret->text, sizeof ret->text, "not decided: \"" HF_SPAN_FMT "\" has no order among %s versions", HF_SPAN_ARG(v), hf_scheme_name(row->scheme));
    else if (!ret->text[0])
        snprintf(ret->text, sizeof ret->text, "not affected: " HF_SPAN_FMT " is in no range", HF_SPAN_ARG(v));
}
