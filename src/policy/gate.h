/* SPDX-License-Identifier: Apache-2.0 */
/* gate.h - from a result to an exit code, by the rules that hold for every command (design.md, "Exit codes"). */
#pragma once
#include "result/scan.h"

/* Whether the vulnerability counts: not ignored, not in the class that is counted apart (R30), and with a fix when only those
 * are wanted. */
bool hf_policy_counts(const struct hf_vuln *v, bool only_fixed);
/* 1: something at or above fail_on was found (HF_SEV_UNKNOWN: do not ask); 4: something could not be examined; 0: neither.  What
 * was asked for goes before what could not be seen.  A vulnerability of unknown severity never reaches a threshold. */
int hf_policy_exit(const struct hf_scan *s, enum hf_severity fail_on, bool only_fixed);
