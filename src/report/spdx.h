/* SPDX-License-Identifier: Apache-2.0 */
/* spdx.h - licences as SPDX writes them.  Spec: spdx.org/licenses; SPDX 2.3, annex D (expressions); Debian's names: DEP 5. */
#pragma once
#include "base/span.h"

extern const char *const hf_spdx_ids[]; /* spdx-ids.c */
extern const size_t hf_spdx_n_ids;

/* The SPDX id that these words mean ("apache-2.0", Debian's "GPL-2+", "Expat"), static; NULL when they are no single licence of the
 * list. */
const char *hf_spdx_id(struct hf_span words);
/* Whether text is an expression of at most 64 such ids (exactly as the list writes them) with AND, OR, WITH and parentheses. */
bool hf_spdx_is_expression(struct hf_span text);
