/* SPDX-License-Identifier: Apache-2.0 */
/* correlate.h - lines of `watch --json` become incidents: alerts that belong to one story become one document.
 *
 * An alert joins an open incident whose last alert is at most HF_INC_WINDOW_NS away when it shares
 *  - a process: itself or one of its ancestors below the container runtime, login or service manager that started the session;
 *  - the container;
 *  - a connected peer: its container talked with one of the incident's, in an alert or in an ordinary connect or accept event, within the
 *    window (one of both must be of severity medium or more, so that noise does not join everything that talks);
 *  - the image and the rule: the same happens in several containers of one image.
 * One that joins several makes them one: the older takes the others in.  Memory is bounded whatever comes: incidents held, and tables of
 * containers and connections in which the oldest gives way.  The clock is the alerts' own. */
#pragma once
#include "incident/incident.h"

enum { HF_CORR_INCIDENTS_MAX = 256, HF_CORR_LINE_MAX = 2 << 20 };
#define HF_INC_WINDOW_NS (30ull * 60 * 1000000000)

struct hf_corr;
/* host: the name of the machine that is watched.  NULL without memory. */
struct hf_corr *hf_corr_new(struct hf_span host);
void hf_corr_free(struct hf_corr *c);
HF_DEFINE_FREEP(struct hf_corr, hf_corr_free)
/* yes: lines come once, also over restarts; else an alert whose id is not behind the last one that an incident of the store knows is taken for one that is in it. */
void hf_corr_each_once(struct hf_corr *c, bool yes);
/* A document of the store: at the start, or after somebody changed it there.  What people wrote is taken from it, what alerts added since is
 * kept (flush tells it again). */
HF_MUSTUSE int hf_corr_take(struct hf_corr *c, struct hf_span document, struct hf_err *err);
/* One line.  1: an incident is new or became more severe or two became one (flush soon), 0: nothing that hurries; HF_E_FORMAT: no line of
 * watch --json.  Lines of other types than alert, connect and accept cost one look. */
HF_MUSTUSE int hf_corr_line(struct hf_corr *c, struct hf_span line, struct hf_err *err);
/* Every changed incident, the oldest first.  base: the revision it grew from, 0 for a new one.  A callback's error ends the flush; that incident stays
 * changed. */
typedef int (*hf_corr_cb)(void *ctx, const struct hf_inc *i, uint64_t base, struct hf_err *err);
HF_MUSTUSE int hf_corr_flush(struct hf_corr *c, hf_corr_cb cb, void *ctx, struct hf_err *err);
/* The same, but they stay changed: for telling of them elsewhere while the store takes nothing. */
HF_MUSTUSE int hf_corr_changed(struct hf_corr *c, hf_corr_cb cb, void *ctx, struct hf_err *err);
/* The store has this one no longer (somebody removed it): it is told as new next time. */
void hf_corr_lost(struct hf_corr *c, struct hf_span incident);
struct hf_corr_stats {
    uint64_t lines, alerts, connections, refused; /* refused: lines that are none */
    uint64_t made, joined, merged, evicted;
    size_t held;
};
void hf_corr_stats(const struct hf_corr *c, struct hf_corr_stats *ret);
/* An alert that is part of an incident already: what repeats it is counted there. */
void hf_corr_known(struct hf_corr *c, struct hf_span alert_id, uint64_t time_ns, struct hf_span incident);
/* What an alert became part of lately: the id of the incident, or empty.  The same for the alert of the last line, by a number that stands for it. */
struct hf_span hf_corr_of_alert(const struct hf_corr *c, struct hf_span alert_id);
uint64_t hf_corr_last_alert(const struct hf_corr *c);
struct hf_span hf_corr_of_number(const struct hf_corr *c, uint64_t alert);
