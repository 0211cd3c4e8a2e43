/* SPDX-License-Identifier: Apache-2.0 */
/* ignore.h - the ignore file: vulnerabilities that somebody accepted, with reason, owner and end.  Format: holdfast-scan(1),
 * "IGNORE FILE".
 *
 * A YAML list of mappings.  Unknown keys, wrong dates, entries that would match everything or never end by accident are errors
 * with file:line: a gate must not open because of a spelling mistake. */
#pragma once
#include "result/scan.h"

struct hf_ignore;
HF_MUSTUSE int hf_ignore_load(struct hf_ignore **ret, const char *file, struct hf_err *err);
/* The same from text; name is what errors and warnings call the file. */
HF_MUSTUSE int hf_ignore_parse(struct hf_ignore **ret, struct hf_span yaml, const char *name, struct hf_err *err);
void hf_ignore_free(struct hf_ignore *g);
HF_DEFINE_FREEP(struct hf_ignore, hf_ignore_free)
size_t hf_ignore_count(const struct hf_ignore *g);

/* Sets ignored_by of every vulnerability that an entry takes out at now_unix; adds a warning to the scan for each entry that
 * has expired and would still apply, and for each that applies and ends within seven days.  Strings are copied to the scan's arena.
 * Returns how many vulnerabilities are ignored, or HF_E_LIMIT. */
HF_MUSTUSE int hf_ignore_apply(const struct hf_ignore *g, struct hf_scan *s, uint64_t now_unix);
