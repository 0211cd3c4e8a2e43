/* SPDX-License-Identifier: Apache-2.0 */
/* deliver.h - from the queue to the channels: one thread a channel, so that one that is slow or down delays no other and never the
 * caller.
 *
 * Within a channel the order is the queue's.  What failed is tried again after 1, 2, 4 ... 300 s (a quarter more or less, by chance), or
 * when the channel's Retry-After says; what the channel refuses for good, or what is older than give_up_after, becomes a dead letter. */
#pragma once
#include "notify/metrics.h"
#include "notify/queue.h"
#include "notify/render.h"

enum hf_nevent { HF_NEV_DELIVERED, HF_NEV_RETRY, HF_NEV_DEAD, HF_NEV_QUEUE };
struct hf_nreport {
    enum hf_nevent event;
    struct hf_span channel, key;
    const char *why;  /* no secrets */
    unsigned tries, requests;
    int64_t wait_ms;  /* RETRY: until the next try */
    int64_t age_ms;   /* since the push */
};
typedef void (*hf_nreport_cb)(void *ctx, const struct hf_nreport *r); /* from any of the threads */

struct hf_ndeliver;
/* Everything given must outlive it; conf has its secrets. */
HF_MUSTUSE int hf_ndeliver_new(struct hf_ndeliver **ret, const struct hf_nconf *conf, const struct hf_nqueue *queue, hf_nreport_cb cb, void *ctx, struct hf_err *err);
void hf_ndeliver_free(struct hf_ndeliver *d); /* stops first */
HF_DEFINE_FREEP(struct hf_ndeliver, hf_ndeliver_free)
/* Before start: more numbers for the otlp channels with `metrics`, beside those of delivery itself (holdfast.incidents.told, holdfast.deliveries, .queue). */
void hf_ndeliver_metrics(struct hf_ndeliver *d, hf_nmetrics_cb cb, void *ctx);
HF_MUSTUSE int hf_ndeliver_start(struct hf_ndeliver *d, struct hf_err *err);
void hf_ndeliver_stop(struct hf_ndeliver *d); /* what is under way is broken off; it stays in the queue */
/* Routes a document and puts it into the queues: does not wait for any channel.  Returns the number of channels that will hear of it.
 * only: this channel, whatever the routes say; NULL.  HF_E_FORMAT, HF_E_LIMIT, the queue's errors. */
HF_MUSTUSE int hf_ndeliver_push(struct hf_ndeliver *d, struct hf_span incident, const struct hf_nchannel *only, struct hf_err *err);
/* One document to one channel, now, once, in this thread, without the queue: `notify test`.  ret_requests: how many were made. */
HF_MUSTUSE int hf_ndeliver_now(const struct hf_nconf *conf, const struct hf_nchannel *ch, struct hf_span incident, bool test, unsigned *ret_requests, struct hf_err *err);
/* Milliseconds to wait after the tries-th failure: chance is 0...65535. */
int64_t hf_nbackoff_ms(unsigned tries, unsigned chance);
