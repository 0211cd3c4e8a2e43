// SPDX-License-Identifier: Apache-2.0
/* The state of what runs now: lines in, the ring of the last ones, the stream.  What lines say of containers, connections, the sensor and incidents is kept by
 * live-boxes.c, live-net.c, live-sensor.c and live-incidents.c. */
#include "console/live-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "incident/incident.h"

const char *const hf_live_kinds[8] = {"event", "alert", "incident", "container", "status", "loss", "gap", NULL};

/* ---- tables and texts ---- */

bool hf_lt_init(struct hf_lt *t, unsigned bits)
{
    t->bucket = calloc((size_t)1 << bits, sizeof *t->bucket);
    t->mask = ((size_t)1 << bits) - 1;
    return t->bucket != NULL;
}

void hf_lt_add(struct hf_lt *t, struct hf_lt_node *n, uint64_t hash)
{
    n->hash = hash;
    n->chain = t->bucket[hash & t->mask];
    t->bucket[hash & t->mask] = n;
    n->newer = NULL;
    n->older = t->newest;
    *(t->newest ? &t->newest->newer : &t->oldest) = n;
    t->newest = n;
    t->n++;
}

static void unlink_age(struct hf_lt *t, struct hf_lt_node *n)
{
    *(n->older ? &n->older->newer : &t->oldest) = n->newer;
    *(n->newer ? &n->newer->older : &t->newest) = n->older;
}

void hf_lt_del(struct hf_lt *t, struct hf_lt_node *n)
{
    struct hf_lt_node **at = &t->bucket[n->hash & t->mask];
    while (*at != n)
        at = &(*at)->chain;
    *at = n->chain;
    unlink_age(t, n);
    t->n--;
}

void hf_lt_touch(struct hf_lt *t, struct hf_lt_node *n)
{
    if (t->newest == n)
        return;
    unlink_age(t, n);
    n->newer = NULL;
    n->older = t->newest;
    *(t->newest ? &t->newest->newer : &t->oldest) = n;
    t->newest = n;
}

bool hf_text_set(struct hf_text *t, struct hf_span s, size_t max)
{
    size_t n = HF_MIN(s.n, max);
    while (n && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80) /* not within a character */
        n--;
    if (t->p && t->n == n && (!n || !memcmp(t->p, s.p, n)))
        return true;
    char *p = malloc(n + 1);
    if (!p)
        return false;
    if (n)
        memcpy(p, s.p, n);
    p[n] = 0;
    free(t->p);
    *t = (struct hf_text){p, n};
    return true;
}

void hf_text_done(struct hf_text *t)
{
    free(t->p);
    *t = (struct hf_text){NULL, 0};
}

/* ---- small things read from lines ---- */

uint64_t hf_live_u64(hf_jnode object, const char *name)
{
    hf_jnode n = hf_jget(object, name);
    double d = 0;
    uint64_t v = 0;
    if (hf_jis_str(n))
        return hf_parse_u64(hf_jstr(n), 10, 0, UINT64_MAX, &v) == 0 ? v : 0;
    return hf_jnum(n, &d) && d >= 0 && d < 1.8e19 ? (uint64_t)d : 0;
}

int hf_live_severity(struct hf_span name)
{
    static const char *const names[] = {"debug", "info", "notice", "low", "medium", "high", "critical"};
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
        if (hf_span_eqz(name, names[i]))
            return (int)i;
    return -1;
}

bool hf_live_time(struct hf_span text, int64_t *ret)
{
    uint64_t ns;
    if (!hf_inc_time(text, &ns) || ns > INT64_MAX)
        return false;
    *ret = (int64_t)ns;
    return true;
}

static void copy(struct hf_jw *w, hf_jnode n, unsigned depth)
{
    double d;
    if (hf_jis_object(n) && depth < 32) {
        hf_jw_object(w);
        HF_JFOREACH(c, n) {
            hf_jw_key_span(w, hf_jname(c));
            copy(w, c, depth + 1);
        }
        hf_jw_object_end(w);
    } else if (hf_jis_array(n) && depth < 32) {
        hf_jw_array(w);
        HF_JFOREACH(c, n)
            copy(w, c, depth + 1);
        hf_jw_array_end(w);
    } else if (hf_jis_str(n)) {
        hf_jw_str(w, hf_jstr(n));
    } else if (hf_jnum(n, &d)) {
        if (d >= -9e15 && d <= 9e15 && d == (double)(int64_t)d)
            hf_jw_i64(w, (int64_t)d);
        else
            hf_jw_fixed(w, d, 6);
    } else if (hf_jis_bool(n)) {
        hf_jw_bool(w, hf_jis_true(n));
    } else {
        hf_jw_null(w);
    }
}

void hf_live_copy(struct hf_jw *w, hf_jnode n)
{
    copy(w, n, 0);
}

/* ---- life ---- */

static int64_t clock_ns(clockid_t which)
{
    struct timespec ts = {0, 0};
    clock_gettime(which, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

struct hf_live *hf_live_new(void)
{
    struct hf_live *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->ring = calloc(HF_LIVE_EVENTS, sizeof *l->ring);
    if (!l->ring || !hf_lt_init(&l->boxes, 12) || !hf_lt_init(&l->procs, 15) || !hf_lt_init(&l->edges, 14) || !hf_lt_init(&l->incidents, 14) || !hf_lt_init(&l->concerns, 14) || !hf_lt_init(&l->rules, 10) || !hf_lt_init(&l->loud, 13) ||
            !hf_lt_init(&l->kept, 14) || pthread_mutex_init(&l->lock, NULL)) {
        free(l->boxes.bucket);
        free(l->procs.bucket);
        free(l->edges.bucket);
        free(l->incidents.bucket);
        free(l->concerns.bucket);
        free(l->rules.bucket);
        free(l->loud.bucket);
        free(l->kept.bucket);
        free(l->ring);
        free(l);
        return NULL;
    }
    /* Numbers go on where those of the process before this ended, as long as it told fewer than 100,000 lines a second: a browser that comes back after a restart
     * gives a number from then.  15 digits, exact in JavaScript. */
    l->start = l->seq = (uint64_t)(clock_ns(CLOCK_REALTIME) / 10000);
    l->first = l->seq + 1;
    l->boot_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME);
    l->sensor.core_pct = l->sensor.budget_pct = l->sensor.seen_per_s = -1;
    return l;
}

void hf_live_free(struct hf_live *l)
{
    if (!l)
        return;
    for (; l->first <= l->seq; l->first++)
        free(l->ring[l->first % HF_LIVE_EVENTS].line);
    hf_live_boxes_done(l);
    hf_live_edges_done(l);
    hf_live_incidents_done(l);
    hf_live_noise_done(l);
    hf_text_done(&l->sensor.first);
    hf_text_done(&l->sensor.last);
    hf_text_done(&l->sensor.cost);
    pthread_mutex_destroy(&l->lock);
    free(l->ring);
    free(l);
}

void hf_live_connected(struct hf_live *l, bool connected, const char *why)
{
    pthread_mutex_lock(&l->lock);
    if (l->sensor.connected != connected || !l->sensor.since)
        l->sensor.since = clock_ns(CLOCK_REALTIME);
    l->sensor.connected = connected;
    hf_autobuf safe = HF_BUF_INIT(4096);
    hf_buf_add_escaped(&safe, hf_span_z(connected ? "" : why), 180);
    snprintf(l->sensor.why, sizeof l->sensor.why, "%s", hf_buf_z(&safe));
    pthread_mutex_unlock(&l->lock);
}

/* ---- the ring ---- */

static void forget_oldest(struct hf_live *l)
{
    struct hf_slot *s = &l->ring[l->first++ % HF_LIVE_EVENTS];
    l->bytes -= s->n;
    free(s->line);
    s->line = NULL;
}

void hf_live_push(struct hf_live *l, unsigned kind, struct hf_span type, int severity, struct hf_span container, struct hf_span line)
{
    char *p = malloc(line.n + 1);
    while (l->first <= l->seq && (l->seq + 1 - l->first >= HF_LIVE_EVENTS || l->bytes + line.n > HF_LIVE_BYTES))
        forget_oldest(l);
    l->kinds[kind]++;
    if (!p) { /* a number without a line: those who read are told of a gap */
        while (l->first <= l->seq)
            forget_oldest(l);
        l->first = ++l->seq + 1;
        return;
    }
    memcpy(p, line.p, line.n);
    p[line.n] = 0;
    struct hf_slot *s = &l->ring[++l->seq % HF_LIVE_EVENTS];
    *s = (struct hf_slot){.line = p, .n = (uint32_t)line.n, .kind = (uint8_t)kind, .severity = (int8_t)severity, .box = container.n ? hf_span_hash(container) : 0};
    memcpy(s->type, type.p ? type.p : "", HF_MIN(type.n, sizeof s->type - 1));
    l->bytes += line.n;
}

static int read_line(struct hf_span text, struct hf_json_doc **doc, struct hf_line *ret, struct hf_err *err)
{
    if (text.n > HF_LIVE_LINE)
        return hf_fail(err, HF_E_FORMAT, "a line of %zu bytes; at most %u are taken", text.n, (unsigned)HF_LIVE_LINE);
    if (!text.n || text.p[0] != '{') /* also a byte order mark, which our reader passes over and a browser's does not */
        return hf_fail(err, HF_E_FORMAT, "a line that does not begin with \"{\"");
    for (size_t i = 0; i < text.n; i++) /* a line end within would end the event of a stream */
        if ((unsigned char)text.p[i] < 0x20)
            return hf_fail(err, HF_E_FORMAT, "a line with a control character at byte %zu", i);
    if (!hf_span_is_utf8(text))
        return hf_fail(err, HF_E_FORMAT, "a line that is not UTF-8");
    int rc = hf_json_parse_within(text, 32u << 20, doc, err);
    if (rc < 0)
        return hf_fail(err, HF_E_FORMAT, "a line that is not JSON");
    hf_jnode root = hf_json_root(*doc);
    *ret = (struct hf_line){.root = root, .container = hf_jget(root, "container"), .process = hf_jget(root, "process"), .type = hf_jgetstr(root, "type"), .text = text};
    if (!hf_span_eqz(hf_jgetstr(root, "schema"), "holdfast.event/1") || !ret->type.n || ret->type.n > 15 || !hf_live_time(hf_jgetstr(root, "time"), &ret->time))
        return hf_fail(err, HF_E_FORMAT, "a line that is no event of \"watch --json\"");
    return 0;
}

static unsigned kind_of(struct hf_span type)
{
    if (hf_span_eqz(type, "alert"))
        return HF_KIND_ALERT;
    if (hf_span_eqz(type, "container") || hf_span_eqz(type, "container_end"))
        return HF_KIND_CONTAINER;
    return hf_span_eqz(type, "status") ? HF_KIND_STATUS : hf_span_eqz(type, "drop") ? HF_KIND_LOSS : HF_KIND_EVENT;
}

int hf_live_line(struct hf_live *l, struct hf_span text, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_line line;
    int rc = read_line(text, &doc, &line, err), severity = -1;
    pthread_mutex_lock(&l->lock);
    l->lines++;
    if (rc < 0) {
        l->refused++;
        pthread_mutex_unlock(&l->lock);
        return rc;
    }
    unsigned kind = kind_of(line.type);
    struct hf_box *b = hf_live_box_line(l, &line);
    hf_live_proc_line(l, &line, b);
    if (kind == HF_KIND_ALERT) {
        severity = hf_live_severity(hf_jgetstr(line.root, "severity"));
        l->alerts[HF_MAX(severity, 0)]++;
        hf_live_alert_line(l, &line);
    } else if (hf_span_eqz(line.type, "verdict")) {
        hf_live_verdict_line(l, &line, b);
    } else if (kind == HF_KIND_EVENT) {
        hf_live_net_line(l, &line);
    }
    l->sensor.last_line = HF_MAX(l->sensor.last_line, line.time);
    if (kind == HF_KIND_STATUS || kind == HF_KIND_LOSS)
        hf_live_sensor_line(l, &line);
    if (!hf_span_eqz(line.type, "process")) /* what ran before watching began: no event */
        hf_live_push(l, kind, line.type, severity, hf_jgetstr(line.container, "id"), text);
    pthread_mutex_unlock(&l->lock);
    return 0;
}

/* ---- reading the ring ---- */

static bool listed(struct hf_span list, const char *word)
{
    struct hf_span one;
    if (!list.n)
        return true;
    while (hf_span_cut(&list, ',', &one))
        if (hf_span_eqz(one, word))
            return true;
    return false;
}

/* An incident concerns a container when its line names it: an id in quotes, which no text of a line can contain without a backslash. */
static bool names(const struct hf_slot *s, struct hf_span container)
{
    char quoted[140];
    int n = snprintf(quoted, sizeof quoted, "\"%.*s\"", (int)HF_MIN(container.n, 130u), container.p);
    return n > 0 && hf_span_search(hf_span(s->line, s->n), hf_span(quoted, (size_t)n)) != SIZE_MAX;
}

static bool passes(const struct hf_slot *s, const struct hf_live_filter *f, uint64_t box)
{
    if (!listed(f->kinds, hf_live_kinds[s->kind]))
        return false;
    if (s->kind == HF_KIND_ALERT && s->severity < f->min_severity)
        return false;
    if (s->kind == HF_KIND_EVENT && !listed(f->types, s->type))
        return false;
    return !f->container.n || s->box == box || (s->kind == HF_KIND_INCIDENT && names(s, f->container));
}

uint64_t hf_live_seq(struct hf_live *l)
{
    pthread_mutex_lock(&l->lock);
    uint64_t seq = l->seq;
    pthread_mutex_unlock(&l->lock);
    return seq;
}

/* What came after *seq is not kept any more: how many they were, where that is known. */
static void gap(struct hf_live *l, uint64_t *seq, struct hf_buf *out)
{
    bool restarted = *seq < l->start;
    uint64_t from = restarted ? l->start : *seq;
    hf_buf_addf(out, "id: %llu\nevent: gap\ndata: {\"missed\":%llu,\"restarted\":%s}\n\n", (unsigned long long)(l->first - 1), (unsigned long long)(l->first - 1 - from), restarted ? "true" : "false");
    *seq = l->first - 1;
}

size_t hf_live_read(struct hf_live *l, uint64_t *seq, const struct hf_live_filter *f, size_t max_bytes, struct hf_buf *out)
{
    size_t added = 0, end = out->n + max_bytes;
    uint64_t box = f->container.n ? hf_span_hash(f->container) : 0;
    pthread_mutex_lock(&l->lock);
    if (*seq > l->seq) /* of another console, or made up: from now on */
        *seq = l->seq;
    if (*seq + 1 < l->first && *seq) {
        gap(l, seq, out);
        added++;
    }
    *seq = HF_MAX(*seq, l->first - 1); /* 0: all there is */
    while (*seq < l->seq) {
        const struct hf_slot *s = &l->ring[(*seq + 1) % HF_LIVE_EVENTS];
        if (passes(s, f, box)) {
            if (added && (out->n >= end || s->n + 100 > end - out->n)) /* the first goes whatever its size */
                break;
            hf_buf_addf(out, "id: %llu\nevent: %s\ndata: ", (unsigned long long)*seq + 1, hf_live_kinds[s->kind]);
            hf_buf_add(out, s->line, s->n);
            hf_buf_addz(out, "\n\n");
            if (!hf_buf_ok(out))
                break;
            added++;
        }
        ++*seq;
    }
    pthread_mutex_unlock(&l->lock);
    return added;
}

void hf_live_events(struct hf_live *l, const struct hf_live_filter *f, uint64_t before, hf_live_event_cb cb, void *ctx)
{
    uint64_t box = f->container.n ? hf_span_hash(f->container) : 0;
    pthread_mutex_lock(&l->lock);
    for (uint64_t seq = before && before <= l->seq ? before - 1 : l->seq; seq >= l->first; seq--) {
        const struct hf_slot *s = &l->ring[seq % HF_LIVE_EVENTS];
        struct hf_live_event e = {seq, hf_live_kinds[s->kind], hf_span(s->line, s->n)};
        if (passes(s, f, box) && !cb(ctx, &e))
            break;
    }
    pthread_mutex_unlock(&l->lock);
}

void hf_live_counts(struct hf_live *l, struct hf_live_counts *ret)
{
    pthread_mutex_lock(&l->lock);
    *ret = (struct hf_live_counts){.lines = l->lines, .refused = l->refused, .newest = l->seq, .oldest = l->first, .events = (size_t)(l->seq + 1 - l->first), .bytes = l->bytes, .boxes = l->boxes.n,
            .running = l->running, .edges = l->edges.n, .procs = l->procs.n};
    memcpy(ret->alerts, l->alerts, sizeof ret->alerts);
    memcpy(ret->types, l->kinds, sizeof ret->types);
    pthread_mutex_unlock(&l->lock);
}
