/* SPDX-License-Identifier: Apache-2.0 */
/* route.h - which channels hear of an incident, and when.  Pure. */
#pragma once
#include "notify/view.h"

struct hf_ndue {
    uint32_t channel;
    int64_t not_before_s;
    bool escalate; /* only if nobody acknowledged it by then */
    bool quiet;    /* quiet hours hold it back until then */
};
enum { HF_NDUE_MAX = 64 }; /* one a channel */
/* Fills ret (HF_NDUE_MAX entries), each channel at most once, the earliest time wins; returns how many.  fresh: the incident is new, or
 * its state or severity changed: told at once; else after the route's group time.  A route that matched before and no more
 * (severity fell) is the caller's: it asks with known channels too. */
size_t hf_nroute_due(const struct hf_nconf *c, const struct hf_nview *v, int64_t now_s, bool fresh, struct hf_ndue *ret);
bool hf_nroute_matches(const struct hf_nconf *c, const struct hf_nroute *r, const struct hf_nview *v, int64_t now_s);
/* When a window that holds now ends; 0: none does. */
int64_t hf_nwindows_until(const struct hf_nwindows *w, int64_t now_s, bool local);
