/* SPDX-License-Identifier: Apache-2.0 */
/* watch-cost.h - what watching costs, for people and for programs: the table of `watch --cost`, the member `cost` of status lines.
 * Pure: numbers in, text out. */
#pragma once
#include "base/json.h"
#include "base/opts.h"
#include "detect/budget.h"

#define HF_COST_SHOWN 20u /* rows of a table in JSON; the rest is summed */

struct hf_cost_view {
    double budget_ns;           /* 0: none */
    const struct hf_strs *only; /* rules of these names; NULL or none: all */
    const char *container;      /* only this one among the containers; NULL: all */
    uint64_t left_out;          /* types */
    struct hf_budget_limit limits[HF_BUDGET_LIMITS];
    size_t n_limits;
    bool paced;                 /* large files are hashed slowly */
    uint64_t alerts;
    unsigned width, rows;       /* of the terminal: 0 is 100, and as many as there are */
    bool colour;
};
void hf_cost_table(const struct hf_cost *c, const struct hf_cost_view *v, struct hf_buf *out);
/* A member "cost" of the object that is being written. */
void hf_cost_json(const struct hf_cost *c, const struct hf_cost_view *v, struct hf_jw *w);
