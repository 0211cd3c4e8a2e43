/* SPDX-License-Identifier: Apache-2.0 */
/* alert.h - what a rule says of an event: plain data, borrowed until the callback that hands it on returns. */
#pragma once
#include "event/event.h"

enum hf_severity { HF_SEV_DEBUG, HF_SEV_INFO, HF_SEV_NOTICE, HF_SEV_LOW, HF_SEV_MEDIUM, HF_SEV_HIGH, HF_SEV_CRITICAL };
/* "critical", ...; never NULL. */
const char *hf_alert_severity_name(enum hf_severity s);
/* false: no such name.  Also Falco's priorities: emergency and alert are critical, error is high, warning medium... */
bool hf_alert_severity_parse(struct hf_span name, enum hf_severity *ret);

/* What a rule wants done to the container (its key "respond"). */
enum hf_response { HF_RESPONSE_FREEZE, HF_RESPONSE_KILL, HF_RESPONSE_ISOLATE, HF_RESPONSE_LIMIT, HF_RESPONSE_SNAPSHOT, HF_RESPONSES };
const char *hf_response_name(unsigned r); /* "freeze"; never NULL */
bool hf_response_parse(struct hf_span name, uint8_t *ret);

/* One comparison that held, for `why`. */
struct hf_clause {
    struct hf_span text;  /* as written in the rule */
    struct hf_span field; /* its field; empty for macros */
    struct hf_span value; /* what the event had */
};

struct hf_alert {
    struct hf_span id;      /* sortable by time, unique */
    uint64_t time_ns;       /* since the epoch */
    uint64_t first_ns, last_ns, count; /* folding: how often within the window, this one included */
    struct hf_span rule;
    enum hf_severity severity;
    struct hf_span summary; /* rendered output */
    const struct hf_span *tags, *tactics, *techniques; /* techniques: ATT&CK ids "T1059" */
    size_t n_tags, n_tactics, n_techniques;
    struct hf_span what, todo, benign; /* of the rule: what it means, what to do, known benign causes; may be empty */
    struct hf_span source;             /* rule set: "holdfast", file name */
    const struct hf_clause *why;
    size_t n_why;
    const struct hf_event *event;   /* NULL: a sum of alerts that were folded */
    struct hf_span container_name, container_id; /* empty: the host; also of a sum */
    bool until_verdict;     /* it may turn out to be told of better by what the guard finds (key "until") */
    const uint8_t *respond; /* enum hf_response, in order; may be NULL */
    size_t n_respond;
    const char *taken;      /* what came of it: "asked", ...; NULL: nothing was done */
    const struct hf_span *before; /* lines of text: what came before it in the container (flight recorder), oldest first; may be NULL */
    size_t n_before;
};
