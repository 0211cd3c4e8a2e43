/* SPDX-License-Identifier: Apache-2.0 */
/* health-exec.h - a policy's check that runs a program inside a container, as docker's HEALTHCHECK CMD does.  docs/protect.md
 *
 * The program gets the namespaces, control groups, root folder, environment and (unless the policy names another) user of the container, no capability,
 * no way to new privileges, and a filter of system calls; its security label (AppArmor, SELinux) is the container's.  It is in a control group of its
 * own below the container's, and at the limit of time or output all that is in there is killed.
 *
 * A process of its own (holdfast-checks) does that, forked before the guard gives up its privileges; the guard asks and is told, and never waits. */
#pragma once
#include "protect/policy.h"
#include "sensor/containers/hierarchy.h"

enum hf_check_result {
    HF_CHECK_WELL,
    HF_CHECK_FAILED,  /* it ended otherwise than with 0, or was too slow, or said too much */
    HF_CHECK_NOT_RUN, /* it could not be started, was refused or killed by somebody else: says nothing of the service */
    HF_CHECK_PAUSED,  /* the container is frozen */
    HF_CHECK_EARLY,   /* its process still is the runtime's, it seems */
};
struct hf_check_answer {
    uint64_t container;
    uint32_t result, pad;
    char text[120]; /* why, with the beginning of what it said; printable */
};

struct hf_checks;
/* policies and h are copied by the fork: they must not change any more. */
HF_MUSTUSE int hf_checks_new(struct hf_checks **ret, const struct hf_prot_set *policies, const struct hf_hierarchy *h, struct hf_err *err);
void hf_checks_free(struct hf_checks *c); /* what runs is killed at its limit */
HF_DEFINE_FREEP(struct hf_checks, hf_checks_free)
/* One run of the policy's check in the container (its own control group) of which the process is.  0; -EAGAIN: too many run; -EPIPE: the process that runs
 * them is gone. */
int hf_checks_ask(struct hf_checks *c, uint64_t container, uint32_t pid, uint32_t policy);
/* Whether an answer was there. */
bool hf_checks_answer(struct hf_checks *c, struct hf_check_answer *ret);
