/* SPDX-License-Identifier: Apache-2.0 */
/* cve.h - CVE ids as numbers: year * 2^32 + number, so that tables of them are small and sorted. */
#pragma once
#include "base/span.h"

/* 0 when s is not "CVE-<year>-<4 to 9 digits>". */
static inline uint64_t hf_cve_key(struct hf_span s)
{
    uint64_t year, number;
    if (s.n < 13 || s.n > 18 || !hf_span_starts(s, HF_S("CVE-")) || s.p[8] != '-' || hf_parse_u64(hf_span_sub(s, 4, 4), 10, 1990, 2999, &year) < 0 ||
            hf_parse_u64(hf_span_from(s, 9), 10, 0, 999999999, &number) < 0)
        return 0;
    return year << 32 | number;
}
