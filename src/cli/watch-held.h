/* SPDX-License-Identifier: Apache-2.0 */
/* watch-held.h - alerts on programs that have just started, of rules that wait for the guard's verdict on the same start ("until: verdict"): told when it
 * has come, when HF_HELD_NS have passed, or not at all when the verdict itself is told of.  One act, one alert.  Lines are copied; bounded: what has no
 * room is told at once.  One thread. */
#pragma once
#include "event/alert.h"

#define HF_HELD_NS 1000000000ull
#define HF_HELD_MAX 32u
#define HF_HELD_BYTES (256u << 10) /* of one line */

struct hf_held;
struct hf_held *hf_held_new(void); /* NULL: no memory */
void hf_held_free(struct hf_held *h);
/* log: what the alert log is to get, or empty.  false: it is to be told now. */
bool hf_held_take(struct hf_held *h, const struct hf_alert *a, struct hf_span log, struct hf_span line);
/* Where they go: told after all, or left out, if they may be. */
struct hf_held_to {
    void (*tell)(void *ctx, struct hf_span log, struct hf_span line);
    bool (*leave_out)(void *ctx, struct hf_span id); /* false: it stands for others too */
    void *ctx;
};
/* A VERDICT; worst: the most severe rule that it made hold, < 0: none. */
void hf_held_verdict(struct hf_held *h, const struct hf_event *ev, int worst, const struct hf_held_to *to);
/* Since boot; UINT64_MAX: all.  true: some are still held. */
bool hf_held_due(struct hf_held *h, uint64_t boot_ns, const struct hf_held_to *to);
