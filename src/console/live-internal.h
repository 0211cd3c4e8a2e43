/* SPDX-License-Identifier: Apache-2.0 */
/* live-internal.h - the parts of live.c: tables that forget the oldest, what is kept of containers, connections, the sensor and incidents. */
#pragma once
#include <pthread.h>

#include "console/live.h"

/* ---- a table of things that are found by a key and forgotten oldest first ---- */
struct hf_lt_node {
    struct hf_lt_node *chain, *older, *newer;
    uint64_t hash;
};
struct hf_lt {
    struct hf_lt_node **bucket;
    size_t mask, n;
    struct hf_lt_node *oldest, *newest;
};
bool hf_lt_init(struct hf_lt *t, unsigned bits);
static inline struct hf_lt_node *hf_lt_chain(const struct hf_lt *t, uint64_t hash)
{
    return t->bucket[hash & t->mask];
}
void hf_lt_add(struct hf_lt *t, struct hf_lt_node *n, uint64_t hash); /* as the newest */
void hf_lt_del(struct hf_lt *t, struct hf_lt_node *n);
void hf_lt_touch(struct hf_lt *t, struct hf_lt_node *n);              /* is the newest now */

struct hf_text { /* an owned text, NUL-terminated for the eye */
    char *p;
    size_t n;
};
/* Copies at most max bytes, ending between characters; false without memory. */
bool hf_text_set(struct hf_text *t, struct hf_span s, size_t max);
void hf_text_done(struct hf_text *t);
static inline struct hf_span hf_text(const struct hf_text *t)
{
    return hf_span(t->p, t->n);
}

struct hf_proc_now {
    struct hf_lt_node node;
    struct hf_box *box;
    struct hf_proc_now *prev, *next; /* of the same container */
    uint32_t pid, ppid, ns_pid, uid;
    struct hf_text name, exe, args, verdict;
    char session[8];
    int64_t started;
    bool runtime;
    int severity;
};
struct hf_box {
    struct hf_lt_node node;
    struct hf_text id, name, image, digest, runtime, pod_namespace, pod_name, pod_container, facts;
    bool running;
    int64_t started, ended, seen;
    struct hf_proc_now *procs;
    unsigned n_procs, drift;
    struct hf_text verdicts[HF_LIVE_VERDICTS];
    unsigned verdict_at;
    int64_t rate_second;
    uint64_t rate_n;
    double rate; /* lines a second, a moving average over some 10 s */
};
struct hf_edge_end {
    enum hf_live_end_kind kind;
    struct hf_text id, exe, address, name;
};
struct hf_edge_now {
    struct hf_lt_node node;
    struct hf_text key;
    struct hf_edge_end from, to;
    char protocol[8];
    uint16_t port;
    uint64_t count, failed, bytes_out, bytes_in;
    int64_t first, last;
};
struct hf_inc_now {
    struct hf_lt_node node;
    struct hf_text id;
    int severity;
    struct hf_text boxes; /* ids, NUL behind each */
};
struct hf_concern { /* a container that unresolved incidents name */
    struct hf_lt_node node;
    struct hf_text id;
    uint32_t n[7]; /* by severity */
};
struct hf_rule_now { /* alerts of a rule by hour: hour % HF_LIVE_HOURS, emptied as hours pass */
    struct hf_lt_node node;
    struct hf_text name;
    int64_t newest, last;
    int severity;
    uint32_t hours[HF_LIVE_HOURS];
};
struct hf_loud_now { /* alerts of a container */
    struct hf_lt_node node;
    struct hf_text id;
    int64_t newest;
    uint32_t hours[24];
};
struct hf_kept {
    struct hf_lt_node node;
    struct hf_text key, text;
    int64_t until;
};
struct hf_slot {
    char *line;
    uint32_t n;
    uint8_t kind;
    int8_t severity;
    char type[16];
    uint64_t box; /* hash of the container's id; 0: of none */
};
struct hf_sensor_now {
    bool connected;
    char why[200], state[24];
    int64_t since, last_line, cost_time;
    struct hf_text first, last, cost;
    double core_pct, budget_pct, seen_per_s;
    uint64_t lost, rss_kib, uptime_s;
    struct hf_live_loss losses[HF_LIVE_LOSSES];
    struct hf_live_note given_up[HF_LIVE_NOTES], errors[HF_LIVE_NOTES];
    struct hf_live_minute minutes[HF_LIVE_MINUTES];
    size_t n_losses, n_given_up, n_errors, n_minutes;
    uint64_t lost_at[60];
    int64_t lost_second[60];
};
struct hf_live {
    pthread_mutex_t lock;
    struct hf_slot *ring; /* HF_LIVE_EVENTS: seq % HF_LIVE_EVENTS */
    uint64_t seq, first, start; /* newest; oldest that is kept (seq + 1: none); the last before the first */
    size_t bytes;
    struct hf_lt boxes, procs, edges, incidents, concerns;
    struct hf_sensor_now sensor;
    int64_t boot_ns; /* wall clock when this machine started */
    uint64_t lines, refused, alerts[7], kinds[8];
    size_t running;
    bool indexed;       /* unresolved incidents were read once */
    uint64_t change;    /* last change of the store that was looked at */
    struct hf_lt rules, loud, kept;
    size_t kept_bytes;
    bool alert_begun, counted;
    uint64_t alert_seq; /* last alert that was counted */
    int64_t total_hour[7];
    uint32_t total[7][HF_LIVE_HOURS];
};

/* A line of watch --json, read: what the parts need of it. */
struct hf_line {
    hf_jnode root, container, process;
    struct hf_span type, text;
    int64_t time;
};
enum { HF_KIND_EVENT, HF_KIND_ALERT, HF_KIND_INCIDENT, HF_KIND_CONTAINER, HF_KIND_STATUS, HF_KIND_LOSS, HF_KIND_GAP };
/* All with the lock held. */
struct hf_box *hf_live_find(struct hf_live *l, struct hf_span id);
struct hf_box *hf_live_box_line(struct hf_live *l, const struct hf_line *line); /* NULL: the line is of none, or no memory */
void hf_live_proc_line(struct hf_live *l, const struct hf_line *line, struct hf_box *b);
void hf_live_verdict_line(struct hf_live *l, const struct hf_line *line, struct hf_box *b);
void hf_live_alert_line(struct hf_live *l, const struct hf_line *line);
void hf_live_net_line(struct hf_live *l, const struct hf_line *line);
void hf_live_sensor_line(struct hf_live *l, const struct hf_line *line);
void hf_live_push(struct hf_live *l, unsigned kind, struct hf_span type, int severity, struct hf_span container, struct hf_span line);
void hf_live_boxes_done(struct hf_live *l);
void hf_live_edges_done(struct hf_live *l);
void hf_live_incidents_done(struct hf_live *l);
void hf_live_noise_done(struct hf_live *l);
HF_MUSTUSE int hf_live_noise_poll(struct hf_live *l, struct hf_store *s, int64_t now_ns, struct hf_err *err); /* without the lock */

uint64_t hf_live_u64(hf_jnode object, const char *name); /* number, or digits in a text; 0 */
int hf_live_severity(struct hf_span name);               /* -1: none of them */
bool hf_live_time(struct hf_span text, int64_t *ret);
void hf_live_copy(struct hf_jw *w, hf_jnode n);          /* a node as it is */
/* Texts of an object's members, as "name\0value\0"; what has no room is left out.  Nothing is changed when there are none. */
void hf_live_pairs(struct hf_text *to, hf_jnode members);
