// SPDX-License-Identifier: Apache-2.0
/* Alerts that a hub before this one read and had not written when it was killed: watch has them in its log of alerts, from where they are taken once.
 *
 * The store says up to which time all alerts are in it; what the log has since then and the store has not, is looked at before the pipe is.  A line that comes by
 * the pipe too (it was written to the log first) is known again by its hash. */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "daemon/hub-internal.h"
#include "event/alert-log.h"
#include "incident/incident.h"
#include "store/incidents.h"
#include "store/settings.h"
#include "store/sql.h"

enum { PAGE = 500, KEEP_MS = 5000, HEAD = 256 };
static const int64_t LATE_NS = 60ll * 1000000000, QUIET_NS = 600ll * 1000000000; /* alerts do not come in the order of their times: the guard looks at files first */

struct had { /* hashes of lines */
    uint64_t *v;
    size_t n, max, sorted; /* the first so many are found */
};
struct hf_hub_log {
    int fd[2];
    bool read;
    struct had stored, taken; /* while the log is read; from it */
    int64_t newest;           /* alert of all that were looked at */
    int64_t written, kept;    /* all up to then are in the store; what the store says of it */
    uint64_t kept_ms;
    unsigned found;
};

static void key_of(const struct hub *h, char out[320])
{
    snprintf(out, 320, "daemon/%s/alerts", h->host);
}

/* ---- lines ---- */

static bool add(struct had *l, uint64_t hash)
{
    if (l->n == l->max) {
        size_t max = l->max ? 2 * l->max : 1024;
        uint64_t *more = reallocarray(l->v, max, sizeof *more);
        if (!more)
            return false;
        l->v = more;
        l->max = max;
    }
    l->v[l->n++] = hash;
    return true;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void sort(struct had *l)
{
    if (l->n)
        qsort(l->v, l->n, sizeof *l->v, by_value);
    l->sorted = l->n;
}

static bool has(const struct had *l, uint64_t hash)
{
    return l->sorted && bsearch(&hash, l->v, l->sorted, sizeof *l->v, by_value);
}

/* As the store has it. */
static uint64_t hash_of(struct hf_span line)
{
    hf_autobuf clean = HF_BUF_INIT(3 * HF_LINES_LINE_MAX);
    hf_sql_clean(&clean, line);
    return hf_span_hash(hf_buf_span(&clean));
}

/* Of an alert, from its beginning; 0: something else. */
static int64_t time_of_alert(struct hf_span line)
{
    struct hf_span head = hf_span_sub(line, 0, HEAD);
    size_t at = hf_span_search(head, HF_S("\"time\":\""));
    uint64_t ns = 0;
    if (at == SIZE_MAX || hf_span_search(head, HF_S("\"type\":\"alert\"")) == SIZE_MAX)
        return 0;
    struct hf_span text = hf_span_from(head, at + 8);
    return hf_inc_time(hf_span_sub(text, 0, hf_span_find(text, '"')), &ns) && ns < INT64_MAX ? (int64_t)ns : 0;
}

/* ---- at the start ---- */

int hub_log_open(struct hub *h, struct hf_err *err)
{
    struct hf_hub_log *l = h->log = calloc(1, sizeof *l);
    if (!l)
        return hf_fail(err, -ENOMEM, "no memory");
    l->fd[0] = l->fd[1] = -1;
    return hf_alert_log_reading(l->fd, h->c->daemon_state, err);
}

void hub_log_close(struct hub *h)
{
    struct hf_hub_log *l = h->log;
    if (!l)
        return;
    hf_closep(&l->fd[0]);
    hf_closep(&l->fd[1]);
    free(l->stored.v);
    free(l->taken.v);
    free(l);
    h->log = NULL;
}

struct reading {
    struct hub *h;
    int64_t since, time; /* of the last row */
    uint64_t seq;
    unsigned n;
    struct hf_err *err;
};

static int stored(void *ctx, const struct hf_alert_row *row)
{
    struct reading *r = ctx;
    struct hf_hub_log *l = r->h->log;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    r->time = row->time;
    r->seq = row->seq;
    r->n++;
    if (hf_json_parse_within(row->doc, 32u << 20, &d, &ignored) == 0)
        hf_ingest_known(r->h->ingest, hf_jgetstr(hf_json_root(d), "id"), row->time, row->incident);
    return add(&l->stored, hf_span_hash(row->doc)) ? 0 : hf_fail(r->err, -ENOMEM, "no memory");
}

static int logged(void *ctx, struct hf_span line)
{
    struct reading *r = ctx;
    struct hf_hub_log *l = r->h->log;
    struct hf_err ignored = HF_ERR_INIT;
    int64_t time = time_of_alert(line);
    uint64_t hash = hash_of(line);
    if (!time || time < r->since - LATE_NS || has(&l->stored, hash) || has(&l->taken, hash))
        return 0;
    if (!add(&l->taken, hash))
        return hf_fail(r->err, -ENOMEM, "no memory");
    l->found += hf_ingest_line(r->h->ingest, line, &ignored) >= 0;
    l->newest = HF_MAX(l->newest, time);
    return 0;
}

/* Up to when the hub before had written everything; 0: there was none, or it ended in order and with it what it was part of. */
static int left_at(struct hub *h, int64_t *ret, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(64);
    char key[320];
    struct hf_span value, end;
    key_of(h, key);
    *ret = 0;
    int rc = hf_store_setting_get(h->store, hf_span_z(key), &text, err);
    if (rc <= 0)
        return rc;
    value = hf_buf_span(&text);
    end = hf_span_from(value, hf_span_find(value, ' '));
    if ((end.n && !h->o->again) || hf_parse_i64(hf_span_sub(value, 0, hf_span_find(value, ' ')), 0, INT64_MAX, ret) < 0)
        *ret = 0;
    return 0;
}

int hub_log_read(struct hub *h, struct hf_err *err)
{
    struct hf_hub_log *l = h->log;
    struct reading r = {.h = h, .err = err};
    if (!l || l->read)
        return 0;
    int rc = left_at(h, &r.since, err);
    l->written = l->newest = r.since ? r.since : hf_store_now();
    if (rc == 0 && r.since) {
        r.time = r.since - LATE_NS;
        do {
            r.n = 0;
            rc = hf_store_alert_since(h->store, r.time, r.seq, PAGE, stored, &r, err);
        } while (rc == 0 && r.n == PAGE);
        sort(&l->stored);
        struct hf_err why = HF_ERR_INIT;
        r.err = &why;
        if (rc == 0 && hf_alert_log_each(l->fd, logged, &r, &why) < 0) /* incidents go on without it */
            hf_log(HF_LOG_ERR, "alerts", "alerts that the hub before this one did not come to may be missing: %s", why.msg);
        sort(&l->taken);
        free(l->stored.v);
        l->stored = (struct had){0};
    }
    if (rc < 0) /* the store: again */
        return rc;
    l->read = true;
    if (l->found)
        hf_log(HF_LOG_NOTICE, "alerts", "%u alerts that the hub before this one did not come to are taken from the log of watch", l->found);
    return 0;
}

/* ---- then ---- */

bool hub_log_had(struct hub *h, struct hf_span line)
{
    struct hf_hub_log *l = h->log;
    int64_t time = l ? time_of_alert(line) : 0;
    if (!time)
        return false;
    l->newest = HF_MAX(l->newest, time);
    return l->taken.n && has(&l->taken, hash_of(line));
}

void hub_log_written(struct hub *h)
{
    if (h->log && h->log->read)
        h->log->written = h->log->newest;
}

void hub_log_keep(struct hub *h, bool end)
{
    struct hf_hub_log *l = h->log;
    struct hf_err err = HF_ERR_INIT;
    char key[320], value[40];
    if (!l || !l->read || !h->store)
        return;
    bool idle = !hf_ingest_waiting(h->ingest) && !HF_SHARED_GET(h->sh->waiting_bytes);
    if (idle && hf_store_now() - l->written > QUIET_NS) /* or what retention deletes meanwhile would be taken for what was lost */
        l->written = hf_store_now() - LATE_NS;
    if (!end && (l->written == l->kept || hub_now_ms() - l->kept_ms < KEEP_MS))
        return;
    key_of(h, key);
    snprintf(value, sizeof value, "%lld%s", (long long)l->written, end && idle ? " end" : "");
    l->kept_ms = hub_now_ms();
    if (hf_store_setting_put(h->store, hf_span_z(key), hf_span_z(value), &err) == 0)
        l->kept = l->written;
}
