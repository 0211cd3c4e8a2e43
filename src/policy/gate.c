/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/gate.h"

bool hf_policy_counts(const struct hf_vuln *v, bool only_fixed)
{
    return !v->ignored_by.n && !v->collapsed && (!only_fixed || v->n_fixed_in);
}

int hf_policy_exit(const struct hf_scan *s, enum hf_severity fail_on, bool only_fixed)
{
    for (size_t i = 0; i < s->n_vulns && fail_on > HF_SEV_UNKNOWN; i++)
        if (s->vulns[i].severity >= fail_on && hf_policy_counts(&s->vulns[i], only_fixed))
            return 1;
    for (size_t i = 0; i < s->n_findings && fail_on > HF_SEV_UNKNOWN; i++)
        if (s->findings[i].severity >= fail_on)
            return 1;
    return s->n_incomplete ? 4 : 0;
}
