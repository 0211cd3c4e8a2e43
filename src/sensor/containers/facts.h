/* SPDX-License-Identifier: Apache-2.0 */
/* facts.h - facts of a container as they go into its record: "name\0value\0" (names: docs/formats/events.md). */
#pragma once
#include "base/span.h"

#define HF_FACT_BYTES 4096u /* of a value; what is longer is cut */
#define HF_LABELS_MAX 64u

/* Cut at a NUL; an empty value is not told. */
void hf_fact_add(struct hf_buf *out, const char *name, struct hf_span value);
void hf_fact_addz(struct hf_buf *out, const char *name, const char *value);
/* A label or annotation: "***" when its name speaks of a secret; told once, whoever names it again. */
void hf_fact_label(struct hf_buf *out, struct hf_span name, struct hf_span value);
/* Empty when it was not told; borrowed from pairs. */
struct hf_span hf_fact_get(struct hf_span pairs, const char *name);
/* Whether a runtime made the id up (64 hexadecimal digits): then it is no name. */
bool hf_fact_is_number(struct hf_span id);
