/* SPDX-License-Identifier: Apache-2.0 */
/* queue.h - what delivery needs of a queue: a list for each channel, kept by somebody else (src/store; in memory here).
 *
 * An item is the newest document of one incident (key).  A push with the key of an item that waits takes its place: body new,
 * position and not_before the earlier of both.  Items of a channel are claimed in order, one at a time.  The body of a claim belongs to
 * the caller (free).  Every function may be called from any thread; none waits for the network. */
#pragma once
#include "base/span.h"

enum { HF_NREF_MAX = 600 }; /* bytes of a ref, with its NUL */

struct hf_nitem {
    uint64_t id;
    char key[80];
    char *body; /* NUL behind it, not counted */
    size_t n;
    int64_t pushed_ms, not_before_ms; /* CLOCK_REALTIME */
    unsigned tries;                   /* failed ones */
};
struct hf_nqueue {
    void *ctx;
    int (*push)(void *ctx, const char *channel, const char *key, struct hf_span body, int64_t not_before_ms, struct hf_err *err);
    /* push and claim in one, when nothing of the channel waits or is under way: 1 and *ret without a body (it is the caller's already); 0: nothing was done, push it.
     * Between begin and end: if end fails, nothing was claimed.  NULL: there is no such thing. */
    int (*push_claimed)(void *ctx, const char *channel, const char *key, struct hf_span body, int64_t now_ms, struct hf_nitem *ret, struct hf_err *err);
    /* 1: *ret is the channel's first item and due; 0: none now, *ret_next_ms is when (INT64_MAX: nothing waits). */
    int (*claim)(void *ctx, const char *channel, int64_t now_ms, struct hf_nitem *ret, int64_t *ret_next_ms, struct hf_err *err);
    int (*done)(void *ctx, const char *channel, uint64_t id, struct hf_err *err);
    /* Back to its place, not before at_ms.  A newer body that came meanwhile stays. */
    int (*retry_at)(void *ctx, const char *channel, uint64_t id, int64_t at_ms, const char *why, struct hf_err *err);
    int (*dead)(void *ctx, const char *channel, uint64_t id, const char *why, struct hf_err *err);
    /* What the channel knows of an incident (hf_nmark_write): 1 and *ret (empty buffer given), 0 none. */
    int (*mark_get)(void *ctx, const char *channel, const char *key, struct hf_buf *ret, struct hf_err *err);
    int (*mark_put)(void *ctx, const char *channel, const char *key, struct hf_span mark, struct hf_err *err);
    /* Which incident a thing over there is (Slack's "C1/1732.1", an issue's key): 1 and *ret, 0 none.  Several refs may name one incident. */
    int (*ref_get)(void *ctx, const char *channel, const char *ref, struct hf_buf *ret, struct hf_err *err);
    int (*ref_put)(void *ctx, const char *channel, const char *ref, const char *key, struct hf_err *err);
    /* Refs of the channel behind `after` (empty: from the start), in their order, until cb returns other than 0 (which is returned). */
    int (*ref_each)(void *ctx, const char *channel, const char *after, int (*cb)(void *cb_ctx, const char *ref, const char *key), void *cb_ctx, struct hf_err *err);
    /* What this thread does between begin and end is one change, made durable once; end(false) forgets it.  relaxed: the disk is not waited for (what is lost when
     * the power fails is told twice).  NULL: each call by itself. */
    int (*begin)(void *ctx, bool relaxed, struct hf_err *err);
    int (*end)(void *ctx, bool keep, struct hf_err *err);
};

/* In memory, gone with the process; at most max_items wait (HF_E_LIMIT). */
struct hf_nmemq;
HF_MUSTUSE struct hf_nmemq *hf_nmemq_new(size_t max_items);
void hf_nmemq_free(struct hf_nmemq *q);
HF_DEFINE_FREEP(struct hf_nmemq, hf_nmemq_free)
struct hf_nqueue hf_nmemq_queue(struct hf_nmemq *q);
/* What channels know of incidents, until cb returns other than 0 (which is returned); while nothing is delivered. */
int hf_nmemq_marks(struct hf_nmemq *q, int (*cb)(void *ctx, const char *channel, const char *key, struct hf_span mark), void *ctx);
/* Items that wait or are under way; that are dead. */
void hf_nmemq_count(struct hf_nmemq *q, size_t *ret_waiting, size_t *ret_dead);
/* Why the i-th dead item is dead, "channel key: why"; false: there is none. */
bool hf_nmemq_dead(struct hf_nmemq *q, size_t i, struct hf_buf *out);
