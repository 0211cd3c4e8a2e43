/* SPDX-License-Identifier: Apache-2.0 */
/* match.h - which installed packages are vulnerable: rules R1-R31 of docs/matching.md, each verdict with its reason. */
#pragma once
#include "result/scan.h"

struct hf_match_opts {
    uint64_t now_unix;
    uint64_t stale_after_s;      /* a source older than this is a warning and incomplete (R20) */
    struct hf_span why_not;      /* explain the absence of this id into *ret_why_not */
    bool ubuntu_pro;             /* R15: content is attached to Ubuntu Pro */
};
/* Fills vulns, feeds, warnings and incomplete of the scan from its packages and release. packages[] must be complete
 * (merged, owner set).  Order of vulns: by package index, then id.  0, HF_E_INCOMPLETE is not used: incomplete[] says so. */
HF_MUSTUSE int hf_match(struct hf_scan *scan, const struct hf_advdb *db, const struct hf_match_opts *o, struct hf_buf *ret_why_not,
        struct hf_err *err);
