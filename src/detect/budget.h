/* SPDX-License-Identifier: Apache-2.0 */
/* budget.h - what is given up when watching costs more than it may, and when it comes back.  Decides once a second from the cost (cost.h);
 * others carry it out.  Pure: no clock, no kernel, no output.
 *
 * Over the budget for HF_BUDGET_OVER_S seconds in a row and in the mean of about HF_BUDGET_MEAN_S (a build or an installation may cost more
 * for a moment, a flood is answered at once), one step is taken, then it is looked at again:
 *  0. the guard hashes large files where no policy is enforced: it takes its time with them (their verdicts come later, none is lost);
 *  1. one container makes most of the ordinary events: its ordinary events are limited (urgent ones always flow);
 *  2. events that no rule needs, only the display or a recording, are left out;
 *  3. the least severe rules, by what it saves: a type of events (or all that a hook delivers) with every rule that needs it, or a rule that
 *     is dear by itself.  CRITICAL rules, and what they need, are never given up.  Of equal severity those go first that save most for
 *     their worth; rules that held lately are worth more.  Rules that only remember for others go when the last of those has gone.
 * What would not save noticeably (of what is too much: a twentieth, for MEDIUM rules a tenth, for HIGH ones a quarter) is not given up: then the budget is exceeded, which is said (HF_BUDGET_STUCK).
 * With room for long enough the last step is taken back; each that has to be taken again soon afterwards doubles the wait. */
#pragma once
#include "detect/cost.h"

#define HF_BUDGET_OVER_S 5u
#define HF_BUDGET_MEAN_S 30u
#define HF_BUDGET_WAIT_S 30u        /* of room before a step is taken back; doubled up to HF_BUDGET_WAIT_MAX_S */
#define HF_BUDGET_WAIT_MAX_S 1920u
#define HF_BUDGET_STEPS 64u
#define HF_BUDGET_LIMITS 4u
#define HF_BUDGET_LIMIT_MIN 100u    /* events a second */

enum hf_budget_kind { HF_BUDGET_LIMIT, HF_BUDGET_TYPES, HF_BUDGET_RULES, HF_BUDGET_STUCK, HF_BUDGET_PACE };
struct hf_budget_step {
    enum hf_budget_kind kind;
    bool back;            /* what was given up comes back */
    uint64_t types;       /* that nobody needs from now on; with `back`: that are needed again */
    size_t *rules;        /* indexes for hf_engine_shed */
    size_t n_rules;
    enum hf_severity severity; /* of the most severe of them */
    uint64_t cgroup_id;   /* LIMIT: the container; else the one that makes most events, 0: none does */
    char container[80];
    double share_pct;     /* of all ordinary events, that container's */
    uint64_t per_s;       /* LIMIT; 0: taken back */
    double cost_ns, saves_ns; /* of a second: when it was decided */
};

struct hf_budget_opts {
    double budget_ns;     /* of a second; 0: nothing is ever given up */
    uint64_t sheddable;   /* types that may be left out */
};
struct hf_budget;
HF_MUSTUSE int hf_budget_new(struct hf_budget **ret, const struct hf_budget_opts *o, struct hf_err *err);
void hf_budget_free(struct hf_budget *b);
HF_DEFINE_FREEP(struct hf_budget, hf_budget_free)
/* now_ns: since the epoch, as in hf_cost_rule.last_match_ns.  The step to carry out now, until the next call, or NULL. */
const struct hf_budget_step *hf_budget_tick(struct hf_budget *b, const struct hf_cost *c, uint64_t now_ns);
/* Whether the cost comes near the budget: it is to be measured all the time. */
bool hf_budget_near(const struct hf_budget *b, const struct hf_cost *c);
/* What is in force: types left out, and containers limited. */
uint64_t hf_budget_types(const struct hf_budget *b);
struct hf_budget_limit {
    uint64_t cgroup_id, per_s;
    char container[80];
};
size_t hf_budget_limits(const struct hf_budget *b, struct hf_budget_limit out[HF_BUDGET_LIMITS]);
/* Whether the guard is to take its time with large files. */
bool hf_budget_paced(const struct hf_budget *b);
/* Another set of rules: nothing is given up any more. */
void hf_budget_restart(struct hf_budget *b);
