/* SPDX-License-Identifier: Apache-2.0 */
/* ingest.h - lines of `watch --json` become incidents of the store: what `incident import` and the daemon's hub share.
 *
 * hf_ingest_line only thinks (correlate.h) and keeps what is to be stored; hf_ingest_flush writes it, an incident with its audit entry and its alerts
 * in one transaction.  When the store does not take it, everything stays and the next flush tries again; lines can go on
 * meanwhile: at most pending_max bytes of alerts wait, then the newest are counted as dropped (their incidents know of them all the same).
 * One thread; the store handle is the caller's. */
#pragma once
#include "incident/correlate.h"
#include "store/store.h"

struct hf_ingest_opts {
    const char *host;      /* that was watched */
    const char *via;       /* for the audit log: "import", "daemon" */
    size_t pending_max;    /* 0: 8 MiB */
    bool each_once;        /* the caller gives every line once, also over restarts (false: what the store may have of an earlier run is passed over) */
    /* After an incident is in the store; base 0: it is new.  < 0 ends the flush (what is stored is stored).  NULL: nobody asks. */
    int (*told)(void *ctx, const struct hf_inc *i, uint64_t base, struct hf_err *err);
    /* The store did not take an incident that is new or became more severe; once for each severity.  May be NULL. */
    void (*unstored)(void *ctx, const struct hf_inc *i);
    void *ctx;
};
struct hf_ingest_stats {
    uint64_t made, changed;   /* incidents: new; other changes */
    uint64_t alerts;          /* stored */
    uint64_t refused;         /* lines that are none */
    uint64_t dropped;         /* alerts not kept: too many waited for the store */
    size_t pending_bytes;
    struct hf_corr_stats corr;
};
struct hf_ingest;
/* Takes the newest incidents from the store. */
HF_MUSTUSE int hf_ingest_new(struct hf_ingest **ret, const struct hf_ingest_opts *o, struct hf_store *store, struct hf_err *err);
void hf_ingest_free(struct hf_ingest *g);
HF_DEFINE_FREEP(struct hf_ingest, hf_ingest_free)
/* 1: flush now (an incident is new or worse, or much waits), 0: nothing hurries; HF_E_FORMAT, HF_E_LIMIT: passed over (counted), the rest is no
 * worse for it; other errors: memory. */
HF_MUSTUSE int hf_ingest_line(struct hf_ingest *g, struct hf_span line, struct hf_err *err);
/* Whether anything waits for hf_ingest_flush. */
bool hf_ingest_waiting(const struct hf_ingest *g);
HF_MUSTUSE int hf_ingest_flush(struct hf_ingest *g, struct hf_store *store, struct hf_err *err);
/* A document that somebody else changed in the store. */
HF_MUSTUSE int hf_ingest_take(struct hf_ingest *g, struct hf_span document, struct hf_err *err);
/* Whether this revision of an incident was written by hf_ingest_flush (of the last few hundred). */
bool hf_ingest_own(const struct hf_ingest *g, struct hf_span id, uint64_t revision);
/* An alert of the store with its incident: what repeats it later is counted there. */
void hf_ingest_known(struct hf_ingest *g, struct hf_span alert_id, int64_t time, struct hf_span incident);
/* What an alert became part of lately: the id, or empty. */
struct hf_span hf_ingest_of_alert(const struct hf_ingest *g, struct hf_span alert_id);
void hf_ingest_stats(const struct hf_ingest *g, struct hf_ingest_stats *ret);
