/* SPDX-License-Identifier: Apache-2.0 */
/* digest.h - many incidents in one message: what is collected for a channel until it is told, and when that is.  Pure.
 *
 * A collection is a JSON text kept as a mark of the channel (hf_ndigest_key).  Texts in it come from views: safe to show, not escaped for any format. */
#pragma once
#include "notify/render.h"

enum { HF_NDIGEST_ENTRIES = 200, HF_NDIGEST_MAX = 1 << 20 };
extern const char hf_ndigest_key[]; /* no incident's id */

/* When the digest after now is told. */
int64_t hf_ndigest_next(const struct hf_nchannel *ch, int64_t now_s, bool local);
/* Adds what is new of r's incident (its mark says what is known), or takes the place of what it had there; all of it counts as told in the mark then.  collected
 * may be empty.  More than HF_NDIGEST_ENTRIES are counted.  HF_E_FORMAT, HF_E_LIMIT. */
HF_MUSTUSE int hf_ndigest_add(struct hf_nrender *r, struct hf_span collected, struct hf_buf *ret, struct hf_err *err);
/* The mail; 0: nothing was collected. */
HF_MUSTUSE int hf_ndigest_mail(struct hf_nrender *r, struct hf_span collected, int64_t now_s, struct hf_err *err);
