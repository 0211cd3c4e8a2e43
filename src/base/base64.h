/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h - RFC 4648, section 4, with padding (OpenSSL). */
#pragma once
#include "base/span.h"

/* Appends the text; out->failed without room. */
void hf_base64(struct hf_span bytes, struct hf_buf *out);
/* Appends the bytes.  HF_E_FORMAT: not base64, not the one text for these bytes, or no room. */
HF_MUSTUSE int hf_unbase64(struct hf_span text, struct hf_buf *out);
