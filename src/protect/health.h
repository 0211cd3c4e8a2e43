/* SPDX-License-Identifier: Apache-2.0 */
/* health.h - a policy's own check of a container's service: a child in the container's network namespace, without any capability, that connects and, of
 * HTTP, wants an answer of 2xx or 3xx in time; or a program inside (health-exec.h).  Its end is asked for, nobody waits. */
#pragma once
#include "protect/health-exec.h"

struct hf_health {
    int pid;                 /* of the child; 0: none */
    bool asked;              /* a program was asked for and its end was not told yet */
    uint64_t since_ns, next_ns;
    uint32_t failed;         /* in a row */
    bool was_well;
    char why[128];           /* of the last failure */
    char not_run[128];       /* the program could not be run: why; empty: it could */
};
/* Each second; in_pid: a process of the container, whose own control group is `container`; number: of the policy.  true: it failed `failures` times in a
 * row, after it was well once or a minute after begin_ns.  checks: where programs are run. */
bool hf_health_look(struct hf_health *h, const struct hf_prot_health *check, struct hf_checks *checks, uint64_t container, uint32_t number, uint32_t in_pid, uint64_t begin_ns, uint64_t now_ns);
/* What became of a program. */
void hf_health_told(struct hf_health *h, const struct hf_check_answer *a);
void hf_health_end(struct hf_health *h);
