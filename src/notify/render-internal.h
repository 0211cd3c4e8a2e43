/* SPDX-License-Identifier: Apache-2.0 */
/* render-internal.h - one renderer a kind of channel.  Private to notify. */
#pragma once
#include "notify/render.h"
#include "notify/text.h"

struct hf_nrenderer {
    /* Fills r->req for r->step (HF_NSTEP_CREATE for kinds that only ever add).  1: send it; 0: nothing to say in this step. */
    int (*make)(struct hf_nrender *r);
    /* After 2xx: reads what is needed of the answer.  NULL: nothing. */
    enum hf_ntook (*took)(struct hf_nrender *r, const struct hf_nanswer *a, hf_jnode json, struct hf_err *err);
    bool finds;     /* FIND: makes the request that looks for it; took then gives hf_nr_found what it found, or nothing */
    bool edits;     /* EDIT: its message can be changed */
    bool states;    /* STATE: a change of state is a request of its own */
    bool talks;     /* COMMENT, ACTION */
    bool begins_open; /* what CREATE makes is open, whatever the incident is */
    bool no_corpses; /* an incident that is over before the channel heard of it is not told */
};
extern const struct hf_nrenderer hf_nr_slack, hf_nr_slack_webhook, hf_nr_teams, hf_nr_mattermost, hf_nr_discord, hf_nr_matrix, hf_nr_pagerduty, hf_nr_jsm, hf_nr_jira, hf_nr_github, hf_nr_gitlab, hf_nr_mail, hf_nr_syslog,
        hf_nr_webhook, hf_nr_otlp, hf_nr_file;

void hf_nreq_begin(struct hf_nrender *r, const char *method, const char *content_type);
HF_PRINTF(2, 3) void hf_nreq_header(struct hf_nrender *r, const char *fmt, ...);
struct hf_span hf_nr_secret(const struct hf_nrender *r, enum hf_nsecret_kind k);
/* "[TEST] HIGH: title" (state and count behind it) */
void hf_nr_headline(const struct hf_nrender *r, struct hf_buf *b);
/* "alice acknowledged it", "resolved (benign)": the state in words. */
void hf_nr_state(const struct hf_nrender *r, struct hf_buf *b);
/* What is new, one line: "opened", "severity raised to high; 3 more alerts". */
void hf_nr_news(const struct hf_nrender *r, struct hf_buf *b);
/* Facts every channel shows: label and value, in order; i from 0, false at the end. */
bool hf_nr_fact(const struct hf_nrender *r, unsigned i, const char **label, struct hf_buf *value);
/* Address of the incident in the console; false: none. */
bool hf_nr_link(const struct hf_nrender *r, struct hf_buf *b);
/* Who said it and what: "alice (slack): text". */
void hf_nr_talk(const struct hf_nrender *r, const struct hf_ntalk *t, struct hf_buf *b);
/* Everything new as plain lines, for kinds that only ever add: each comment and action behind "- ". */
void hf_nr_new_talk(const struct hf_nrender *r, struct hf_buf *b, size_t max);
/* It is there: the mark knows of it, and nothing of what it says. */
void hf_nr_found(struct hf_nrender *r, struct hf_span ref, struct hf_span ref2);
/* The mark knows all of the view. */
void hf_nr_all_told(struct hf_nrender *r);
unsigned hf_nr_colour(enum hf_nseverity s); /* 0xRRGGBB */
/* A line of text, CEF, LEEF, OCSF or the document itself, without an end. */
void hf_nr_line(const struct hf_nrender *r, struct hf_buf *b);
/* A value of some texts cut to max bytes. */
void hf_nr_jcut(struct hf_jw *w, const char *key, struct hf_span s, size_t max);
