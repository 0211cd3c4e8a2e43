/* SPDX-License-Identifier: Apache-2.0 */
/* watch-keep.h - the unprivileged half keeps the budget: measures (detect/cost.h), decides (detect/budget.h), switches rules off and on,
 * says what the sensor may leave out, and tells of it all: a line in the log at once, and a STATUS record that goes the way of every
 * other (displayed, recorded, held against the rules). */
#pragma once
#include "detect/budget.h"
#include "sensor/ask.h"

struct hf_keep_opts {
    double budget_ns;       /* of a second; 0: none, but it is measured */
    uint64_t left_out;      /* types that are not wanted from the start, as far as no rule needs them */
    uint64_t demand;        /* HF_DEMAND_*: hooks on demand that are wanted whatever the rules need */
    bool all;               /* every event is wanted (recorded, drawn on a map): none is left out for the budget */
    bool always;            /* measure the hooks all the time */
};
struct hf_keep;
/* Opens what it needs to know its own memory: before the sandbox. */
HF_MUSTUSE int hf_keep_new(struct hf_keep **ret, const struct hf_keep_opts *o, struct hf_err *err);
void hf_keep_free(struct hf_keep *k);
HF_DEFINE_FREEP(struct hf_keep, hf_keep_free)
/* Each event, joined. */
void hf_keep_event(struct hf_keep *k, const struct hf_event *ev);
/* A STATUS record's pairs.  time_ns: since the epoch.  The cost of the interval, or NULL; may switch rules of e. */
const struct hf_cost *hf_keep_status(struct hf_keep *k, struct hf_span pairs, struct hf_engine *e, uint64_t boot_ns, uint64_t time_ns);
/* Other rules: begins anew. */
void hf_keep_restart(struct hf_keep *k);
/* What the sensor is to know: fills all of *ask but the sequence.  True when it is not what it was the last time. */
bool hf_keep_ask(struct hf_keep *k, const struct hf_engine *e, struct hf_ask *ask);
/* Types left out at the moment, limits, budget: for the table. */
uint64_t hf_keep_left_out(const struct hf_keep *k);
const struct hf_budget *hf_keep_budget(const struct hf_keep *k);
/* A record that is to be taken in like one of the sensor's, once; empty: there is none. */
struct hf_span hf_keep_record(struct hf_keep *k);
