/* SPDX-License-Identifier: Apache-2.0 */
/* selftest.h - does it still refuse?  A child in a control group of its own does what a rule forbids, and must be stopped. */
#pragma once
#include "protect/kernel.h"
#include "sensor/containers/hierarchy.h"

struct hf_proof {
    unsigned exec, connect, listen, device, write, library; /* the rung that stopped it; 0: none did, why says more */
    uint32_t uses, absent; /* 1 << HF_USE_*: refused, by the rung that hf_guard_kernel_use_rung names; the kernel has no such thing */
    char why[160];
};
/* A few milliseconds; where hooks hold paths and no rule needs them yet, some more to attach them: `clauses` (1 << HF_CLAUSE_*) without READ_ONLY does
 * without.  Rules and verdicts of others are not touched. */
void hf_selftest(struct hf_guard_kernel *k, const struct hf_hierarchy *h, uint32_t clauses, struct hf_proof *ret);
/* Which rung holds a clause of a policy here and now; 0: none does.  *ret_whole: all of it, as the self-test proved. */
unsigned hf_proof_rung(const struct hf_proof *p, const struct hf_guard_kernel *k, const struct hf_prot_policy *policy, unsigned clause, bool *ret_whole, char why[160]);
/* "lsm"; "none". */
const char *hf_rung_name(unsigned rung);
