/* SPDX-License-Identifier: Apache-2.0 */
/* policy-internal.h - between policy.c and policy-load.c. */
#pragma once
#include "protect/policy.h"

#define PATTERN_MAX 256u
#define WEEK_MINUTES (7u * 1440u)

uint64_t hf_prot_specificity(const struct hf_prot_policy *p);
/* *steps counts what it took. */
bool hf_prot_patterns_meet(struct hf_span a, struct hf_span b, uint64_t *steps);
bool hf_prot_policies_meet(const struct hf_prot_policy *a, const struct hf_prot_policy *b, uint64_t *steps);
