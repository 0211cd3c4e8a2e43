/* SPDX-License-Identifier: Apache-2.0 */
/* answers.h - what people answer elsewhere, brought back: buttons and threads of Slack (Socket Mode, or signed requests), what was done in
 * PagerDuty (signed webhooks) and in Jira (issues are asked for, a few a minute).
 *
 * Where an answer came from is proven before anything is read (TLS to Slack, a signature), what is sent twice is done once, the incident is
 * found by what the channel remembers of it, and who it was is looked up in the channel's `people` and `responders`: acknowledging, taking and
 * commenting are for everybody in the channel, what changes a container or a rule (freeze, kill, isolate, except, evidence) for responders only;
 * others are told so and the callback does not hear of it.  Every decision is logged ("answer").
 *
 * Runs where there is network: in the hub.  A process that only takes the requests (the console) hands on channel, headers and body. */
#pragma once
#include "notify/interact.h"
#include "notify/queue.h"

struct hf_nconf;
struct hf_nchannel;

/* What was answered, to be applied.  Called from threads of this module, one at a time a channel, never with HF_NI_OTHER, _AGAIN or _CHALLENGE:
 *   BUTTON   incident, button; who pressed it (may it do that is decided)
 *   COMMENT  incident, text
 *   STATE    incident, state: acknowledged, resolved or open (again), decided there; text: a word on it, may be empty
 * with who (an account's name where `people` has it, else the name there, never empty), via ("slack", "pagerduty", "jira": for audit and comments) and account
 * (who is an account of ours).  ret_text: what the asker is told, plain text; empty: nothing, the card shows it.
 * 0: done (or already so); -EAGAIN, -EBUSY, -ENOSPC, HF_E_INCOMPLETE: not now, it comes again where the sender repeats it; other errors: refused, and the asker is
 * told err's message.  A comment must be stored when 0 is returned: only then it is acknowledged.  Actions may take seconds. */
typedef int (*hf_nanswer_cb)(void *ctx, const struct hf_ni *what, const struct hf_nchannel *ch, struct hf_buf *ret_text, struct hf_err *err);

struct hf_nanswers;
/* conf has its secrets and outlives it, as queue does (mark_get, ref_get, ref_put, ref_each are used). */
HF_MUSTUSE int hf_nanswers_new(struct hf_nanswers **ret, const struct hf_nconf *conf, const struct hf_nqueue *queue, hf_nanswer_cb cb, void *ctx, struct hf_err *err);
void hf_nanswers_free(struct hf_nanswers *a); /* stops first */
HF_DEFINE_FREEP(struct hf_nanswers, hf_nanswers_free)
/* Threads: one for what takes long, one each Slack channel with app_token_file, one each Jira channel with read_back. */
HF_MUSTUSE int hf_nanswers_start(struct hf_nanswers *a, struct hf_err *err);
void hf_nanswers_stop(struct hf_nanswers *a);

/* A request to /hooks/slack/{channel} (or /hooks/{channel}): of Slack or PagerDuty, as the channel's type says. */
struct hf_nheader {
    struct hf_span name, value;
};
struct hf_nreply {
    unsigned status;   /* 200; 401: not signed by whom it should be; 404: no such channel, or none that takes requests; 400, 413, 429, 503 */
    const char *type;  /* "text/plain; charset=utf-8" or "application/json" */
    struct hf_buf body; /* initialized by the caller: at most 4 KiB are added */
};
/* From any thread; returns within a second or so: what takes longer is done behind it.  Needs hf_nanswers_start before.  *ret is always filled; the return value is for
 * the log: 0, HF_E_SIGNATURE, HF_E_FORMAT, HF_E_LIMIT, HF_E_NOT_FOUND, what the callback said. */
int hf_nanswers_http(struct hf_nanswers *a, struct hf_span channel, const struct hf_nheader *headers, size_t n_headers, struct hf_span body, struct hf_nreply *ret, struct hf_err *err);
/* Whether a Socket Mode connection is up (all channels that have one); for health.  ret_why: of the first that is not; may be NULL. */
bool hf_nanswers_connected(struct hf_nanswers *a, struct hf_buf *ret_why);
