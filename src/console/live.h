/* SPDX-License-Identifier: Apache-2.0 */
/* live.h - what runs here now, from the lines of `watch --json` alone: containers, who talks to whom, the sensor's health and cost, and the
 * last events with numbers, for the stream.
 *
 * One writer (the server's loop), any number of readers in other threads.  Memory is bounded: HF_LIVE_EVENTS lines or HF_LIVE_BYTES, HF_LIVE_BOXES
 * containers (those that ended go first), HF_LIVE_EDGES connections (the oldest go first). */
#pragma once
#include "base/json.h"

struct hf_store;
enum {
    HF_LIVE_EVENTS = 20000,
    HF_LIVE_BYTES = 32 << 20,
    HF_LIVE_BOXES = 4096,
    HF_LIVE_EDGES = 16384,
    HF_LIVE_PROCS = 32768,
    HF_LIVE_INCIDENTS = 20000,  /* unresolved ones, of which is known whose they are */
    HF_LIVE_HOURS = 168,        /* in which alerts are counted */
    HF_LIVE_VERDICTS = 16,      /* of a container: the last ones */
    HF_LIVE_LINE = 1 << 20,     /* bytes of a line; longer ones are refused */
    HF_LIVE_FACTS = 16 << 10,   /* bytes of all facts of a container; what is over that is left out */
};

struct hf_live;
struct hf_live *hf_live_new(void); /* NULL without memory */
void hf_live_free(struct hf_live *l);
HF_DEFINE_FREEP(struct hf_live, hf_live_free)
/* One line of `watch --json`, without its newline.  HF_E_FORMAT: it is none (counted). */
HF_MUSTUSE int hf_live_line(struct hf_live *l, struct hf_span line, struct hf_err *err);
/* The connection to what watches: shown as health.  why: when it is lost. */
void hf_live_connected(struct hf_live *l, bool connected, const char *why);
/* Looks whether incidents of the store changed since the last look, and puts an event "incident" into the stream for each.  Cheap when nothing did;
 * called several times a second by the writer.  How many. */
HF_MUSTUSE int hf_live_poll(struct hf_live *l, struct hf_store *s, struct hf_err *err);

/* ---- the stream: Server-Sent Events (HTML standard, 9.2) ---- */
struct hf_live_filter {
    struct hf_span kinds;     /* comma-separated: event, alert, incident, container, status, loss; empty: all */
    struct hf_span container; /* id; empty: all */
    struct hf_span types;     /* of events: exec,connect,...; empty: all */
    int min_severity;         /* of alerts */
};
uint64_t hf_live_seq(struct hf_live *l); /* of the newest */
/* Appends to out, up to max_bytes, what came after *seq and passes, as "id: N\nevent: KIND\ndata: LINE\n\n"; *seq becomes that of the last one looked at.
 * What has been overwritten meanwhile is told as one event "gap" with its count.  How many were added. */
size_t hf_live_read(struct hf_live *l, uint64_t *seq, const struct hf_live_filter *f, size_t max_bytes, struct hf_buf *out);

/* ---- what is known now.  Callbacks run while the state is locked: they copy or write what they need, and call neither these functions nor the store.
 * They return false to end.  Spans are borrowed for the call. ---- */
struct hf_live_box {
    struct hf_span id, name, image, digest, runtime, pod_namespace, pod_name, pod_container;
    struct hf_span facts; /* name NUL value NUL ...: docs/formats/events.md, "Facts of a container" */
    bool running;
    int64_t started, ended, seen; /* started 0: before watching began, not known */
    unsigned processes, drift;    /* drift: verdicts that something ran or was loaded that is not of the image */
    double events_per_s;
};
typedef bool (*hf_live_box_cb)(void *ctx, const struct hf_live_box *b);
void hf_live_boxes(struct hf_live *l, hf_live_box_cb cb, void *ctx); /* in no order */
bool hf_live_box(struct hf_live *l, struct hf_span id, hf_live_box_cb cb, void *ctx);
bool hf_live_pair(struct hf_span *rest, struct hf_span *ret_name, struct hf_span *ret_value); /* next fact */
struct hf_span hf_live_fact(struct hf_span facts, const char *name);                          /* empty: not known */

struct hf_live_proc {
    uint32_t pid, ppid, ns_pid, uid;
    struct hf_span name, exe, args, session, verdict; /* args: a JSON array of texts; verdict: of its program, when it is not as sealed */
    int64_t started;
    bool runtime;
    int severity; /* of the worst alert about it; -1: none */
};
typedef bool (*hf_live_proc_cb)(void *ctx, const struct hf_live_proc *p);
/* Those that are known to run in a container, the last heard of first.  What neither started nor did anything since watching began, nor was the ancestor of
 * something that did, is not known.  How many there are. */
size_t hf_live_procs(struct hf_live *l, struct hf_span container, hf_live_proc_cb cb, void *ctx);

/* The last verdicts, newest first, each a JSON object: of one container, of the containers of an image (digest), or of all (both empty). */
typedef bool (*hf_live_text_cb)(void *ctx, struct hf_span json);
void hf_live_verdicts(struct hf_live *l, struct hf_span container, struct hf_span digest, hf_live_text_cb cb, void *ctx);

enum hf_live_end_kind { HF_LIVE_CONTAINER, HF_LIVE_HOST, HF_LIVE_ADDRESS };
struct hf_live_end {
    enum hf_live_end_kind kind;
    struct hf_span id, name, image, exe; /* id: of a container; name of an address: what was asked for by DNS */
    struct hf_span address;
    bool running;
};
struct hf_live_edge {
    struct hf_live_end from, to;
    uint16_t port;
    struct hf_span protocol;
    uint64_t count, failed, bytes_out, bytes_in;
    int64_t first, last;
};
typedef bool (*hf_live_edge_cb)(void *ctx, const struct hf_live_edge *e);
/* Who talked to whom, the last heard of first: with this container (empty: all), at or after since. */
void hf_live_edges(struct hf_live *l, struct hf_span container, int64_t since, hf_live_edge_cb cb, void *ctx);

struct hf_live_loss {
    int64_t time;
    uint64_t count;
    char type[24], reason[32], container[72];
};
struct hf_live_note {
    int64_t time;
    char text[400]; /* JSON of a line that said what is given up; or an error */
};
struct hf_live_minute {
    int64_t time;
    double core_pct, seen_per_s; /* < 0: not measured */
    uint64_t lost;
};
enum { HF_LIVE_LOSSES = 50, HF_LIVE_NOTES = 20, HF_LIVE_MINUTES = 60 };
struct hf_live_sensor {
    bool connected;
    const char *why;              /* "" */
    int64_t since, last_line;     /* of the connection's last change; of the last line */
    struct hf_span first, last, state; /* facts of the first and last status; state in a word */
    struct hf_span cost;          /* JSON of the last that was measured; empty */
    int64_t cost_time;
    double core_pct, budget_pct, seen_per_s; /* < 0: not known */
    uint64_t lost, lost_60s, rss_kib, uptime_s;
    const struct hf_live_loss *losses;   /* newest first, as the others */
    const struct hf_live_note *given_up, *errors;
    const struct hf_live_minute *minutes; /* the oldest first */
    size_t n_losses, n_given_up, n_errors, n_minutes;
};
void hf_live_sensor(struct hf_live *l, void (*cb)(void *ctx, const struct hf_live_sensor *s), void *ctx);

/* Unresolved incidents that name a container, as hf_live_poll saw them: how many; worst severity in *ret, -1: none. */
unsigned hf_live_incidents(struct hf_live *l, struct hf_span container, int *ret_severity);

/* Alerts of the store, counted by hours as hf_live_poll sees them: what pages count is not counted anew for each.  "A day" is the hour that runs and the 23
 * before it, a week the 167 before it.  False: they are not all counted yet, ask the store. */
struct hf_live_hour {
    uint64_t n, high; /* high: of severity high or critical */
};
bool hf_live_noise(struct hf_live *l, int64_t now_ns, struct hf_live_hour ret[24], uint64_t ret_severity[7]); /* the oldest hour first */
struct hf_live_rule {
    struct hf_span name;
    int severity; /* of the last alert */
    uint64_t day, week;
    int64_t last;
};
typedef bool (*hf_live_rule_cb)(void *ctx, const struct hf_live_rule *r);
bool hf_live_rules(struct hf_live *l, int64_t now_ns, hf_live_rule_cb cb, void *ctx); /* with an alert within a week */
bool hf_live_rule(struct hf_live *l, struct hf_span name, int64_t now_ns, struct hf_live_rule *ret); /* without the name */
bool hf_live_loud(struct hf_live *l, struct hf_span container, int64_t now_ns, uint64_t *ret_day);

/* Answers that cost, kept for a while (at most 24 MiB, the longest unasked goes first). */
bool hf_live_kept(struct hf_live *l, struct hf_span key, int64_t now_ns, struct hf_buf *out);
void hf_live_keep(struct hf_live *l, struct hf_span key, struct hf_span text, int64_t until_ns);

struct hf_live_event {
    uint64_t seq;
    const char *kind;
    struct hf_span line;
};
typedef bool (*hf_live_event_cb)(void *ctx, const struct hf_live_event *e);
/* Those that pass with a smaller seq than before (0: from the newest), the newest first. */
void hf_live_events(struct hf_live *l, const struct hf_live_filter *f, uint64_t before, hf_live_event_cb cb, void *ctx);

struct hf_live_counts {
    uint64_t lines, refused, alerts[7], types[8]; /* types: of hf_live_kinds */
    uint64_t newest, oldest;                      /* seq */
    size_t events, bytes, boxes, running, edges, procs;
};
extern const char *const hf_live_kinds[8]; /* event, alert, incident, container, status, loss, gap, NULL */
void hf_live_counts(struct hf_live *l, struct hf_live_counts *ret);
