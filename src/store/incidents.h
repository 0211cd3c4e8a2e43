/* SPDX-License-Identifier: Apache-2.0 */
/* incidents.h - documents "holdfast.incident/1" by id, with an optimistic lock; the alerts they were made of.
 *
 * The store reads of a document: id, revision, state, severity, assignee, title, summary, opened, updated, last_alert, and for
 * the search also hosts, containers (id, name, image) and rules.  It never changes one. */
#pragma once
#include "store/store.h"

/* Stores doc.  expected: the revision that must be there now, 0: none may be.  The document's own revision must be greater.
 * -ESTALE: another is there (err says which; read again, change again); HF_E_NOT_FOUND: none is, though expected > 0;
 * HF_E_FORMAT: id, revision, state, severity, opened or updated missing or wrong. */
HF_MUSTUSE int hf_store_incident_put(struct hf_store *s, struct hf_span doc, uint64_t expected, struct hf_err *err);
/* 1 and the document behind what is in ret_doc; 0: there is none. */
HF_MUSTUSE int hf_store_incident_get(
        struct hf_store *s, struct hf_span id, struct hf_buf *ret_doc, uint64_t *ret_revision, struct hf_err *err);
HF_MUSTUSE int hf_store_incident_delete(struct hf_store *s, struct hf_span id, struct hf_err *err); /* and its alerts */

enum { HF_STATE_OPEN = 1, HF_STATE_ACKNOWLEDGED = 2, HF_STATE_CONTAINED = 4, HF_STATE_RESOLVED = 8, HF_STATE_UNRESOLVED = 7 };
struct hf_incident_filter {
    unsigned states;         /* HF_STATE_* together; 0: all */
    int min_severity;        /* 0: all */
    struct hf_span assignee; /* empty: all */
    struct hf_span text;     /* somewhere in title, summary, hosts, containers, images, rules; ASCII case does not matter */
    int64_t since, until;    /* updated at or after / before; 0: open */
    /* Paging: the updated and id of the last row of the page before; 0 and empty: from the newest. */
    int64_t after_updated;
    struct hf_span after_id;
    unsigned limit; /* 0: 100; at most HF_STORE_LIST_MAX */
};
struct hf_incident_row {
    struct hf_span id, state, assignee, title, doc;
    uint64_t revision;
    int severity;
    int64_t opened, updated, last_alert;
    uint64_t change; /* grows with every hf_store_incident_put of any process; no two incidents have the same */
};
/* Newest change first.  Spans are borrowed for the call; the callback may read the store, returns 0 to go on, else the list
 * ends and returns that.  Returns 0. */
typedef int (*hf_incident_cb)(void *ctx, const struct hf_incident_row *row);
HF_MUSTUSE int hf_store_incident_list(
        struct hf_store *s, const struct hf_incident_filter *f, hf_incident_cb cb, void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_store_incident_count(struct hf_store *s, const struct hf_incident_filter *f, uint64_t *ret, struct hf_err *err);

/* What changed since: incidents whose last put was after change number `after`, in the order of those.  An incident that was put
 * several times appears once, as it is now.  Two are never out of order: writers take turns, so who has seen number N has seen all
 * before it.  limit 0: 1000.  Deleting an incident is no change. */
HF_MUSTUSE int hf_store_incident_changes(struct hf_store *s, uint64_t after, unsigned limit, hf_incident_cb cb, void *ctx, struct hf_err *err);
/* The last change number given, 0: none.  One row by its key: cheap enough for ten times a second. */
HF_MUSTUSE int hf_store_incident_last_change(struct hf_store *s, uint64_t *ret, struct hf_err *err);
/* How many there are, for each state and severity that occurs. */
typedef int (*hf_incident_count_cb)(void *ctx, struct hf_span state, int severity, uint64_t n);
HF_MUSTUSE int hf_store_incident_counts(struct hf_store *s, hf_incident_count_cb cb, void *ctx, struct hf_err *err);

/* ---- alerts: the lines themselves, in the order they came ---- */
struct hf_alert_row {
    uint64_t seq; /* given by the store, grows; also the cursor for paging and for "what is new" */
    int64_t time;
    int severity;
    struct hf_span incident; /* empty: of none */
    struct hf_span rule, container, doc;
};
HF_MUSTUSE int hf_store_alert_add(struct hf_store *s, const struct hf_alert_row *a, uint64_t *ret_seq, struct hf_err *err); /* a->seq is ignored */
typedef int (*hf_alert_cb)(void *ctx, const struct hf_alert_row *row);
/* Those after the seq `after`, oldest first; of one incident, or of all when it is empty.  limit 0: 1000. */
HF_MUSTUSE int hf_store_alert_list(struct hf_store *s, struct hf_span incident, uint64_t after, unsigned limit, hf_alert_cb cb,
        void *ctx, struct hf_err *err);
/* Those at or after `since`, by time and seq; behind the row with after_seq of that time, 0: all of it.  limit 0: 1000. */
HF_MUSTUSE int hf_store_alert_since(struct hf_store *s, int64_t since, uint64_t after_seq, unsigned limit, hf_alert_cb cb, void *ctx, struct hf_err *err);
/* One by its seq: 1 and cb was called, 0. */
HF_MUSTUSE int hf_store_alert_get(struct hf_store *s, uint64_t seq, hf_alert_cb cb, void *ctx, struct hf_err *err);

/* Counts of the alerts at or after `since`, in the order of from, rule, severity; answered from indexes.  What is not counted by is one
 * row: from = since, rule = "", severity = -1. */
enum { HF_COUNT_RULE = 1, HF_COUNT_SEVERITY = 2 };
struct hf_alert_count {
    int64_t from; /* of the step the row is about: a multiple of step_ns */
    struct hf_span rule;
    int severity;
    uint64_t n;
    int64_t last; /* time of the newest */
};
typedef int (*hf_alert_count_cb)(void *ctx, const struct hf_alert_count *row);
/* step_ns 0: one step.  by: HF_COUNT_* together. */
HF_MUSTUSE int hf_store_alert_counts(
        struct hf_store *s, int64_t since, int64_t step_ns, unsigned by, hf_alert_count_cb cb, void *ctx, struct hf_err *err);
/* Of one rule or of one container (the other empty) since: how many, and the time of the newest ever (0: none; both may be NULL). */
HF_MUSTUSE int hf_store_alert_count(
        struct hf_store *s, struct hf_span rule, struct hf_span container, int64_t since, uint64_t *ret_n, int64_t *ret_last, struct hf_err *err);
/* Of a container, newest first, those before the seq `before` (0: from the newest).  limit 0: 1000. */
HF_MUSTUSE int hf_store_alert_newest(struct hf_store *s, struct hf_span rule, struct hf_span container, uint64_t before, unsigned limit, hf_alert_cb cb,
        void *ctx, struct hf_err *err);
