/* SPDX-License-Identifier: Apache-2.0 */
/* print.h - a compiled condition as text again: macros expanded, lists replaced by their items, one part a line.  The text is in the rule
 * language and means the same.  Macros can make it very long: out's ceiling ends it (check hf_buf_ok). */
#pragma once
#include "detect/rules.h"

/* indent: blanks before every line.  max_values: of a comparison, the rest is counted ("... 40 more", then it is text for people only); 0: all. */
void hf_prog_print(const struct hf_prog *p, unsigned indent, size_t max_values, struct hf_buf *out);
/* Fields that a rule reads (conditions, key, value; not its output), each once and in the order of use: how many are in out, at most max. */
size_t hf_rule_fields(const struct hf_rule *r, const struct hf_field_def **out, size_t max);
/* Names of the macros that it uses, likewise. */
size_t hf_rule_macros(const struct hf_rule *r, struct hf_span *out, size_t max);
