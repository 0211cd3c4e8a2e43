/* SPDX-License-Identifier: Apache-2.0 */
/* cases.h - tests of rules as people write them: what happens, in the words of `watch --json`, and which alerts that must raise.  docs/formats/rule-tests.md
 *
 * A file is hostile input.  It loads whole or not at all; errors name file, line and what is wrong.  Limits: 8 MiB of text, 4,096 tests, 4,096 events,
 * 1,024 processes and 64 containers a test, 64 MiB in all. */
#pragma once
#include "base/span.h"

struct hf_cases;
struct hf_case {
    struct hf_span name;
    unsigned line;
    struct hf_span records; /* of the wire, one after the other; times from 1 s of CLOCK_BOOTTIME on */
    const struct hf_span *alerts; /* names of rules, each as often as it must be raised */
    size_t n_alerts, n_events;
};
/* name: for messages.  HF_E_USAGE, HF_E_LIMIT, -ENOMEM. */
HF_MUSTUSE int hf_cases_load(struct hf_cases **ret, const char *name, struct hf_span text, struct hf_err *err);
void hf_cases_free(struct hf_cases *c);
HF_DEFINE_FREEP(struct hf_cases, hf_cases_free)
size_t hf_cases_count(const struct hf_cases *c);
const struct hf_case *hf_cases_at(const struct hf_cases *c, size_t i);
