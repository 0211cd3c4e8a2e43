/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h - events against a compiled rule set: alerts.
 *
 * An event only meets the rules that can hold for its class.  Conditions are walked without allocation; the result of a macro is
 * kept for the event at hand.  Counting rules keep bounded state per key; the key longest unseen gives way.
 * Repeated alerts (same rule, container, program and target) are folded: the first goes out at once, those that follow within the
 * window are counted and told of together when it ends (hf_engine_tick).  One thread. */
#pragma once
#include "detect/except.h"
#include "detect/rules.h"

struct hf_engine;

typedef void (*hf_engine_alert)(void *ctx, const struct hf_alert *a);

struct hf_engine_opts {
    hf_engine_alert alert;
    void *ctx;
    hf_user_name user_name; /* names of users and groups; NULL: numbers */
    void *user_ctx;
    uint64_t fold_ns;       /* 0: 60 s */
    uint64_t seed;          /* of alert ids: the same events give the same ids; 0: random */
    bool disabled_too;      /* also rules with enabled: false */
    uint64_t (*clock_ns)(void *ctx); /* of costs; NULL: CLOCK_MONOTONIC */
    void *clock_ctx;
};

/* Takes the rules over.  before: an engine whose state of unchanged rules is moved over (it is freed); or NULL. */
HF_MUSTUSE int hf_engine_new(struct hf_engine **ret, struct hf_rules *rules, const struct hf_engine_opts *o, struct hf_engine *before, struct hf_err *err);
void hf_engine_free(struct hf_engine *e);
HF_DEFINE_FREEP(struct hf_engine, hf_engine_free)
/* Alerts that fall under these are not raised, but counted in them.  Borrowed; NULL: none. */
void hf_engine_excepts(struct hf_engine *e, struct hf_excepts *x);
/* An event that the tracker has joined.  Returns how many rules matched. */
unsigned hf_engine_event(struct hf_engine *e, const struct hf_event *ev);
/* The most severe rule that made an alert of the last event, or would have, had it not just been told; < 0: none. */
int hf_engine_worst(const struct hf_engine *e);
/* An alert of this id was not told after all: its like is told the next time.  false: others were folded into it already, so that it has to be told. */
bool hf_engine_unsay(struct hf_engine *e, struct hf_span id);
/* Tells of folded alerts whose window has ended; all: of every one. */
void hf_engine_tick(struct hf_engine *e, uint64_t now_ns, bool all);
const struct hf_rules *hf_engine_rules(const struct hf_engine *e);

/* Cost of a rule.  Times are measured for one event of 64, chosen at random: no clock is read for the others. */
struct hf_rule_cost {
    const struct hf_rule *rule;
    uint64_t looks, matches, alerts; /* events tried, held for, told of (not folded) */
    uint64_t timed, timed_ns; /* looks that were timed, and their time */
    uint64_t ns;            /* estimate for all looks */
    uint64_t last_match_ns; /* the event's time, since the epoch; 0: never */
    size_t state_bytes;     /* of what it counts and remembers */
    bool shed;
};
/* In the order of the rules that are listened with; how many there are. */
size_t hf_engine_costs(const struct hf_engine *e, struct hf_rule_cost *out, size_t max);
/* The i-th rule of that order is not held against events any more, or again. */
void hf_engine_shed(struct hf_engine *e, size_t i, bool off);
/* Classes of events that some rule still listens to. */
uint64_t hf_engine_needs(const struct hf_engine *e);
