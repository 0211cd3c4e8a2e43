/* SPDX-License-Identifier: Apache-2.0 */
/* winsd.h - a security descriptor of Windows, self-relative ([MS-DTYP] 2.4.6): who owns a file, and the lists of who may what, as bytes.
 *
 * What the entries of a list mean is not looked at: whether two lists are the same is all that a seal asks. */
#pragma once
#include "base/span.h"

struct hf_winsd {
    uint16_t control;
    struct hf_span owner, group; /* SIDs ([MS-DTYP] 2.4.2.2), or empty */
    struct hf_span dacl, sacl;   /* whole lists ([MS-DTYP] 2.4.5), or empty */
};
/* Spans into bytes.  HF_E_FORMAT: something lies outside, or is of another revision. */
HF_MUSTUSE int hf_winsd_read(struct hf_span bytes, struct hf_winsd *ret, struct hf_err *err);
/* "S-1-5-32-544"; nothing for what is no SID. */
void hf_winsd_sid(struct hf_span sid, struct hf_buf *out);
