/* SPDX-License-Identifier: Apache-2.0 */
/* notify-store.h - delivery's queue in the store: what waits survives the process.  One handle under a lock; any thread. */
#pragma once
#include "notify/queue.h"
#include "store/store.h"

struct hf_nstoreq;
/* Opens the store.  What another process claimed and did not end is given out again 35 seconds after its claim. */
HF_MUSTUSE int hf_nstoreq_open(struct hf_nstoreq **ret, const char *url, struct hf_err *err);
void hf_nstoreq_free(struct hf_nstoreq *q);
HF_DEFINE_FREEP(struct hf_nstoreq, hf_nstoreq_free)
struct hf_nqueue hf_nstoreq_queue(struct hf_nstoreq *q);
/* Of a channel, added to what is there: waiting or under way; dead. */
HF_MUSTUSE int hf_nstoreq_count(struct hf_nstoreq *q, struct hf_span channel, size_t *ret_waiting, size_t *ret_dead, struct hf_err *err);
/* The handle, while nothing is delivered. */
struct hf_store *hf_nstoreq_store(struct hf_nstoreq *q);
