/* SPDX-License-Identifier: Apache-2.0 */
/* paths.h - which files a rule asks for by name: so that the sensor, which watches some files and not all, watches these too. */
#pragma once
#include "detect/rules.h"

/* What a rule does with it: bits of operations, HF_CLASS_FILE + operation. */
struct hf_rule_path {
    const struct hf_rule *rule;
    struct hf_span path; /* absolute; `*` in it when the rule has a pattern */
    bool below;          /* it, and what lies below */
    uint64_t classes;    /* of files that the rule listens to; without opening for reading when it asks for writing */
};
/* Calls fn for each absolute path that a file's name is compared with where that makes the condition hold (=, in, startswith, pmatch, glob;
 * not under "not").  Rules that are off or listen to no files have none.  Ends for the sake of contains, endswith and regex: they name no
 * place.  fn returns false to stop. */
void hf_rule_paths(const struct hf_rule *r, bool (*fn)(void *ctx, const struct hf_rule_path *p), void *ctx);
