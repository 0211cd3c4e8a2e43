/* SPDX-License-Identifier: Apache-2.0 */
/* queue.h - messages waiting for a channel: on disk, in order, one at a time a channel, at least once.
 *
 * claim gives the oldest entry that is due and a lease; the claimer ends it with done, retry or dead.  When it dies instead,
 * the entry is given out again after the lease.  An entry waiting for its next try holds back those behind it (order); one
 * that was pushed for later (not_before) and never tried does not.
 * Folding: a push with a key replaces the body of the last entry of the same channel and key that waits (not: is claimed), which
 * keeps its place and counts; so a channel that was down for a day gets the newest of each. */
#pragma once
#include "store/store.h"

struct hf_queue_entry {
    uint64_t seq;
    struct hf_span channel, key, body;
    unsigned tries;   /* how often it was claimed, this time included; also says whose claim it is */
    unsigned folded;  /* pushes that were folded into it */
    int64_t pushed;   /* the first push */
    int64_t not_before;
    struct hf_span error; /* of the last try */
};
/* key empty: never folded.  not_before 0: at once (a fold keeps the earlier of the two, and a retry's). ret_seq may be NULL. */
HF_MUSTUSE int hf_store_queue_push(struct hf_store *s, struct hf_span channel, struct hf_span key, struct hf_span body, int64_t not_before,
        uint64_t *ret_seq, struct hf_err *err);
/* Push and claim in one, for a claimer that waits: 1 when nothing of the channel is under way, due, or waiting with this key; *ret_entry has its numbers
 * and no texts.  0: something is, nothing was pushed. */
HF_MUSTUSE int hf_store_queue_push_claimed(struct hf_store *s, struct hf_span channel, struct hf_span key, struct hf_span body, int64_t now, int64_t lease_ns,
        struct hf_queue_entry *ret_entry, struct hf_err *err);
/* 1: ret_entry, whose spans live in ret_text (cleared first) until it is cleared.  0: nothing is due; *ret_next (may be NULL) is when to
 * ask again, 0: nothing waits. */
HF_MUSTUSE int hf_store_queue_claim(struct hf_store *s, struct hf_span channel, int64_t now, int64_t lease_ns, struct hf_queue_entry *ret_entry,
        struct hf_buf *ret_text, int64_t *ret_next, struct hf_err *err);
/* End of a claim.  -ESTALE: the lease ran out and somebody else has it (or ended it). */
HF_MUSTUSE int hf_store_queue_done(struct hf_store *s, const struct hf_queue_entry *e, struct hf_err *err);
HF_MUSTUSE int hf_store_queue_retry(struct hf_store *s, const struct hf_queue_entry *e, int64_t when, struct hf_span why, struct hf_err *err);
HF_MUSTUSE int hf_store_queue_dead(struct hf_store *s, const struct hf_queue_entry *e, struct hf_span why, struct hf_err *err);
/* Dead letters, oldest first; of a channel, or of all when it is empty.  limit 0: 1000. */
typedef int (*hf_queue_cb)(void *ctx, const struct hf_queue_entry *e);
HF_MUSTUSE int hf_store_queue_dead_list(struct hf_store *s, struct hf_span channel, uint64_t after, unsigned limit, hf_queue_cb cb, void *ctx,
        struct hf_err *err);
/* Puts a dead letter back with no tries, at its old place.  HF_E_NOT_FOUND. */
HF_MUSTUSE int hf_store_queue_revive(struct hf_store *s, uint64_t seq, struct hf_err *err);
HF_MUSTUSE int hf_store_queue_drop(struct hf_store *s, uint64_t seq, struct hf_err *err); /* a dead letter; HF_E_NOT_FOUND */
struct hf_queue_stats {
    uint64_t waiting, claimed, dead, folded;
    int64_t oldest; /* pushed of the oldest that waits or is claimed; 0: none */
};
/* channel empty: of all. */
HF_MUSTUSE int hf_store_queue_stats(struct hf_store *s, struct hf_span channel, struct hf_queue_stats *ret, struct hf_err *err);
