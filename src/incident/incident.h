/* SPDX-License-Identifier: Apache-2.0 */
/* incident.h - the document of an incident (holdfast.incident/1, docs/schema/incident-1.json), what people change of it, and how it is
 * written for them.  No I/O, no clock, no globals: documents and times come from the caller.
 *
 * What stands in a document came from alerts, and so from whoever attacked: every text is made safe for a terminal on its way in (control and
 * bidirectional characters as \xNN), and bounded.  A document is at most HF_INC_MAX bytes; what had to be left out is counted in it. */
#pragma once
#include "base/json.h"

enum {
    HF_INC_MAX = 256 << 10,
    HF_INC_NODES_MAX = 160,
    HF_INC_EDGES_MAX = 320,
    HF_INC_TIMELINE_MAX = 200,
    HF_INC_RULES_MAX = 64,
    HF_INC_CONTAINERS_MAX = 32,
    HF_INC_LIST_MAX = 50,      /* comments, actions, links, evidence, exceptions: each */
    HF_INC_TEXT_MAX = 2000,    /* bytes of a comment */
    HF_INC_SUMMARY_MAX = 600,
};

struct hf_inc;
/* HF_E_FORMAT: no JSON, or no incident; HF_E_LIMIT: over HF_INC_MAX. */
HF_MUSTUSE int hf_inc_parse(struct hf_span text, struct hf_inc **ret, struct hf_err *err);
void hf_inc_free(struct hf_inc *i);
HF_DEFINE_FREEP(struct hf_inc, hf_inc_free)
/* Borrowed until the next change. */
hf_jnode hf_inc_root(const struct hf_inc *i);
struct hf_span hf_inc_get(const struct hf_inc *i, const char *name);
uint64_t hf_inc_number(const struct hf_inc *i, const char *name);
/* The document; on one line, without a newline, unless pretty. */
void hf_inc_write(const struct hf_inc *i, bool pretty, struct hf_buf *out);

/* Nanoseconds since the epoch of an RFC 3339 time in UTC ("...Z", up to nine digits of a second, years 1970 to 2261). */
bool hf_inc_time(struct hf_span text, uint64_t *ret);

/* ---- what people (and responses) do ---- */
enum hf_inc_verb { HF_INC_ACK, HF_INC_ASSIGN, HF_INC_COMMENT, HF_INC_RESOLVE, HF_INC_REOPEN, HF_INC_ACTION, HF_INC_LINK, HF_INC_EVIDENCE, HF_INC_EXCEPT };
struct hf_inc_change {
    enum hf_inc_verb verb;
    uint64_t time_ns;
    struct hf_span by, via; /* who, and where: "cli", "slack", "console", "mail" */
    struct hf_span text;    /* comment; assignee (empty: nobody); true, benign or test; action; title of a link; name of evidence; exception */
    struct hf_span target;  /* of an action; URL of a link; path of evidence */
    struct hf_span result;  /* of an action ("done", "failed: ..."); SHA-256 of evidence */
    struct hf_span note;    /* becomes a comment as well; may be empty */
};
/* For the audit log: before and after as short texts. */
struct hf_inc_audit {
    char what[32];
    char target[32];
    char before[512], after[512];
};
/* 1: changed (revision is one more, *audit is filled); 0: it is so already; HF_E_USAGE, HF_E_LIMIT: refused, nothing changed.
 * An action whose result is "done" and that contains (freeze, pause, kill, stop, isolate, deny) makes an open or acknowledged incident contained. */
HF_MUSTUSE int hf_inc_apply(struct hf_inc *i, const struct hf_inc_change *c, struct hf_inc_audit *audit, struct hf_err *err);
/* A package of an image that runs in it has a known vulnerability: a node of the graph with its edge.  1: added. */
int hf_inc_vulnerability(struct hf_inc *i, struct hf_span image_digest, struct hf_span id, struct hf_span package, bool in_use);

/* ---- for people and programs elsewhere ---- */
void hf_inc_html(const struct hf_inc *i, struct hf_buf *out);     /* one page, nothing from outside, no scripts */
void hf_inc_markdown(const struct hf_inc *i, struct hf_buf *out);
void hf_inc_stix(const struct hf_inc *i, struct hf_buf *out);     /* STIX 2.1 bundle; the same document gives the same bundle */
