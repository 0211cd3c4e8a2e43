/* SPDX-License-Identifier: Apache-2.0 */
/* range.h - whether a version is one that an advisory row means.  Rules R10, R11, R23; OSV schema, section "Evaluation". */
#pragma once
#include "advisories/db/advdb.h"

struct hf_verdict {
    bool affected;
    bool comparable;      /* false: the version or a bound has no order, only lists could decide */
    struct hf_span fixed; /* first fixed version of the range that holds it, or of the range that ends before it */
    char text[256];       /* "1.2 < 1.3 (fixed)", "in the list of versions", ... plain words */
};
void hf_row_verdict(const struct hf_advdb *db, const struct hf_adv_row *row, struct hf_span version, struct hf_verdict *ret);
/* One range. */
bool hf_in_range(enum hf_scheme s, struct hf_span version, const struct hf_adv_range *r, bool *ret_comparable);
