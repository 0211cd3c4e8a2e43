/* SPDX-License-Identifier: Apache-2.0 */
/* interact.h - what people answer in Slack (signed HTTP requests, and the envelopes of Socket Mode) and in PagerDuty (webhooks V3).  Pure; every byte is hostile.
 *
 * docs.slack.dev, "Verifying requests from Slack" (v0=HMAC-SHA256 of "v0:TIMESTAMP:BODY", five minutes), "block_actions payloads", "Using
 * Socket Mode".  Does not talk to anybody: the caller reads requests or sockets, sends the acknowledgement within three seconds, and
 * decides whether that user may do that (Slack says who it was, not what they may). */
#pragma once
#include "base/mem.h"
#include "notify/view.h"

enum { HF_NI_BODY_MAX = 256 << 10, HF_NI_WINDOW_S = 300 };

enum hf_ni_kind {
    HF_NI_OTHER,   /* nothing of ours (hello, a bot's message, an edit): acknowledged only */
    HF_NI_BUTTON,
    HF_NI_COMMENT, /* somebody wrote in a thread */
    HF_NI_AGAIN,   /* Socket Mode: the connection ends, make a new one */
    HF_NI_STATE,   /* somebody acknowledged, resolved or reopened it elsewhere */
    HF_NI_HELLO,   /* Socket Mode: the connection is up */
    HF_NI_CHALLENGE, /* Slack asks whether the address is right: the answer is text */
};
enum hf_ni_button { HF_NI_ACK, HF_NI_ASSIGN, HF_NI_FREEZE, HF_NI_KILL, HF_NI_ISOLATE, HF_NI_EXCEPT, HF_NI_EVIDENCE, HF_NI_OPEN, HF_NI_BUTTONS };
extern const char *const hf_ni_buttons[HF_NI_BUTTONS]; /* action_id: "hf_ack" ... */

struct hf_ni {
    enum hf_ni_kind kind;
    enum hf_ni_button button;
    struct hf_span incident;    /* BUTTON: its id, letters, digits, "-" and "_" only; COMMENT: empty, look thread up */
    struct hf_span user, name;  /* Slack's id, and name when it says one */
    struct hf_span channel, thread; /* the card's channel and ts: hf_nmark.ref2, .ref */
    struct hf_span text;        /* COMMENT: Slack's three entities undone; AGAIN: why ("warning", "refresh_requested", "link_disabled") */
    struct hf_span response_url; /* BUTTON: https://hooks.slack.com/ only, else empty */
    struct hf_span envelope;    /* Socket Mode: to be acknowledged; empty: nothing to acknowledge */
    struct hf_span once;        /* names this answer: what is sent again has the same; empty: nothing does */
    enum hf_nstate state;       /* STATE */
    /* filled by answers.c before the callback sees it */
    struct hf_span who, via;    /* "alice", "slack" */
    bool account, responder;    /* who is the name of an account of ours; they may act on containers */
};
/* Whether a request is Slack's: signature and timestamp are the headers' values.  HF_E_SIGNATURE (also when the clocks differ by more than five
 * minutes: it may be a repeated one), HF_E_LIMIT. */
HF_MUSTUSE int hf_ni_verify(struct hf_span secret, struct hf_span timestamp, struct hf_span signature, struct hf_span body, int64_t now_s, struct hf_err *err);
/* A verified body: "payload=..." (application/x-www-form-urlencoded).  Texts are copied into the arena.  HF_E_FORMAT, HF_E_LIMIT. */
HF_MUSTUSE int hf_ni_read_form(struct hf_ni *ret, struct hf_arena *arena, struct hf_span body, struct hf_err *err);
/* A verified body of Slack, whichever: interactivity (a form), or the Events API (JSON; also the question whether the address is right). */
HF_MUSTUSE int hf_ni_read_request(struct hf_ni *ret, struct hf_arena *arena, struct hf_span body, struct hf_err *err);
/* PagerDuty: signatures is X-PagerDuty-Signature, "v1=HEX,v1=HEX" (two while a secret is being changed).  They have no time: what is repeated is known by `once`. */
HF_MUSTUSE int hf_ni_verify_pagerduty(struct hf_span secret, struct hf_span signatures, struct hf_span body, struct hf_err *err);
/* incident: of our dedup key, empty for a note (look thread, PagerDuty's id, up); what integrations did (we too) is OTHER. */
HF_MUSTUSE int hf_ni_read_pagerduty(struct hf_ni *ret, struct hf_arena *arena, struct hf_span body, struct hf_err *err);
/* A message of Socket Mode. */
HF_MUSTUSE int hf_ni_read_envelope(struct hf_ni *ret, struct hf_arena *arena, struct hf_span text, struct hf_err *err);
/* {"envelope_id":"..."} */
void hf_ni_acknowledge(const struct hf_ni *i, struct hf_buf *out);
