// SPDX-License-Identifier: Apache-2.0
#include "daemon/ingest.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "inventory/inventory.h"
#include "store/audit.h"
#include "store/incidents.h"

enum { PENDING_MAX = 8 << 20, LOAD = 200, OWN = 512, AGAIN_MAX = 100 };

struct waiting { /* an alert that is not stored yet */
    size_t at, n;     /* in the text of all */
    uint64_t alert;   /* for the correlator */
    char incident[32];
    bool stored;      /* with its incident, in this flush or in one that ended early */
};
struct own { /* what was written last, so that it is known when the store tells of it */
    char id[40];
    uint64_t revision;
};
struct hf_ingest {
    struct hf_ingest_opts o;
    struct hf_corr *corr;
    struct hf_store *store; /* during a flush */
    struct hf_buf alerts;   /* lines that are not stored yet, or some of which are not */
    struct waiting *waits;
    size_t n_waits, max_waits;
    char stale_id[40];      /* of the last put that found another revision, or none */
    struct own own[OWN];
    size_t next_own;
    struct own untaken[OWN]; /* told as such, with severity + 1 */
    size_t next_untaken;
    struct hf_ingest_stats st;
    bool waiting;
};

static int loaded(void *ctx, const struct hf_incident_row *row)
{
    struct hf_ingest *g = ctx;
    struct hf_err err = HF_ERR_INIT;
    if (hf_corr_take(g->corr, row->doc, &err) < 0)
        hf_log(HF_LOG_WARNING, "ingest.incident", "%.*s is left alone: %s", HF_SPAN_ARG(row->id), err.msg);
    return 0;
}

int hf_ingest_new(struct hf_ingest **ret, const struct hf_ingest_opts *o, struct hf_store *store, struct hf_err *err)
{
    hf_cleanup(hf_ingest_freep) struct hf_ingest *g = calloc(1, sizeof *g);
    struct hf_incident_filter f = {.limit = LOAD};
    if (!g || !(g->corr = hf_corr_new(hf_span_z(o->host))))
        return hf_fail(err, -ENOMEM, "no memory");
    hf_corr_each_once(g->corr, o->each_once);
    g->o = *o;
    hf_buf_init(&g->alerts, o->pending_max ? o->pending_max : PENDING_MAX);
    int rc = hf_store_incident_list(store, &f, loaded, g, err);
    if (rc < 0)
        return rc;
    *ret = hf_take(g);
    return 0;
}

void hf_ingest_free(struct hf_ingest *g)
{
    if (!g)
        return;
    hf_corr_free(g->corr);
    hf_buf_done(&g->alerts);
    free(g->waits);
    free(g);
}

static bool keep_alert(struct hf_ingest *g, struct hf_span line)
{
    if (g->alerts.n + line.n + 1 > g->alerts.max)
        return false;
    if (g->n_waits == g->max_waits) {
        size_t max = g->max_waits ? 2 * g->max_waits : 64;
        struct waiting *more = reallocarray(g->waits, max, sizeof *more);
        if (!more)
            return false;
        g->waits = more;
        g->max_waits = max;
    }
    struct waiting *w = &g->waits[g->n_waits];
    *w = (struct waiting){.at = g->alerts.n, .n = line.n, .alert = hf_corr_last_alert(g->corr)};
    hf_buf_adds(&g->alerts, line);
    if (!hf_buf_ok(&g->alerts))
        return false;
    snprintf(w->incident, sizeof w->incident, "%.*s", HF_SPAN_ARG(hf_corr_of_number(g->corr, w->alert)));
    g->n_waits++;
    return true;
}

int hf_ingest_line(struct hf_ingest *g, struct hf_span line, struct hf_err *err)
{
    struct hf_corr_stats before, after;
    if (!hf_span_trim(line).n)
        return 0;
    hf_corr_stats(g->corr, &before);
    int rc = hf_corr_line(g->corr, line, err);
    if (rc < 0) {
        g->st.refused += rc == HF_E_FORMAT || rc == HF_E_LIMIT;
        return rc;
    }
    hf_corr_stats(g->corr, &after);
    if (after.made + after.joined > before.made + before.joined) {
        g->waiting = true;
        g->st.dropped += !keep_alert(g, line);
        rc = rc > 0 || g->alerts.n > g->alerts.max / 2;
    }
    g->waiting = g->waiting || after.connections > before.connections;
    return rc;
}

bool hf_ingest_waiting(const struct hf_ingest *g)
{
    return g->waiting;
}

/* The incident it is part of now: others may have taken that in. */
static struct hf_span incident_of(const struct hf_ingest *g, const struct waiting *w)
{
    struct hf_span now = hf_corr_of_number(g->corr, w->alert);
    return now.n ? now : hf_span_z(w->incident);
}

/* The alerts themselves, each with the incident it is part of: those of one, in the transaction that writes it, so that an alert is stored when its incident knows of
 * it and not before; incident empty: all that are left.  The caller says that they are stored (done_alerts). */
static int put_alerts(struct hf_ingest *g, struct hf_span incident, struct hf_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < g->n_waits && rc == 0; i++) {
        const struct waiting *w = &g->waits[i];
        struct hf_span of = incident_of(g, w), line = hf_span(g->alerts.p + w->at, w->n);
        hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
        if (w->stored || (incident.n && !hf_span_eq(of, incident)))
            continue;
        if ((rc = hf_json_parse_within(line, 32u << 20, &d, err)) < 0)
            break;
        hf_jnode root = hf_json_root(d);
        struct hf_alert_row a = {.incident = of, .rule = hf_jgetstr(root, "rule"), .container = hf_jgetstr(hf_jget(root, "container"), "id"), .doc = line};
        uint64_t ns = 0;
        a.time = hf_inc_time(hf_jgetstr(root, "time"), &ns) ? (int64_t)ns : hf_store_now();
        (void)!hf_store_severity(hf_jgetstr(root, "severity"), &a.severity);
        rc = hf_store_alert_add(g->store, &a, NULL, err);
    }
    return rc;
}

static void done_alerts(struct hf_ingest *g, struct hf_span incident)
{
    bool all = true;
    for (size_t i = 0; i < g->n_waits; i++) {
        struct waiting *w = &g->waits[i];
        if (!w->stored && (!incident.n || hf_span_eq(incident_of(g, w), incident))) {
            w->stored = true;
            g->st.alerts++;
        }
        all = all && w->stored;
    }
    if (all) {
        hf_buf_clear(&g->alerts);
        g->n_waits = 0;
    }
}

static void remember(struct hf_ingest *g, const struct hf_inc *i)
{
    struct own *o = &g->own[g->next_own++ % OWN];
    struct hf_span id = hf_inc_get(i, "id");
    snprintf(o->id, sizeof o->id, "%.*s", (int)HF_MIN(id.n, sizeof o->id - 1), id.p ? id.p : "");
    o->revision = hf_inc_number(i, "revision");
}

/* Told once for each incident and severity. */
static int unstored(void *ctx, const struct hf_inc *i, uint64_t base, struct hf_err *err)
{
    struct hf_ingest *g = ctx;
    struct hf_span id = hf_inc_get(i, "id");
    int severity = 0;
    (void)base;
    (void)err;
    (void)!hf_store_severity(hf_inc_get(i, "severity"), &severity);
    for (size_t k = 0; k < OWN; k++)
        if (hf_span_eqz(id, g->untaken[k].id) && g->untaken[k].revision >= (uint64_t)severity + 1)
            return 0;
    struct own *o = &g->untaken[g->next_untaken++ % OWN];
    snprintf(o->id, sizeof o->id, "%.*s", (int)HF_MIN(id.n, sizeof o->id - 1), id.p ? id.p : "");
    o->revision = (uint64_t)severity + 1;
    g->o.unstored(g->o.ctx, i);
    return 0;
}

static int audit(struct hf_ingest *g, const struct hf_inc *i, bool merged, struct hf_err *err)
{
    struct hf_audit_entry e = {.by = HF_S("holdfast"), .via = hf_span_z(g->o.via), .what = merged ? HF_S("incident.merge") : HF_S("incident.open"), .target = hf_inc_get(i, "id"),
            .after = merged ? hf_inc_get(i, "merged_into") : hf_inc_get(i, "title")};
    return hf_store_audit_add(g->store, &e, NULL, err);
}

static int put(void *ctx, const struct hf_inc *i, uint64_t base, struct hf_err *err)
{
    struct hf_ingest *g = ctx;
    hf_autobuf doc = HF_BUF_INIT(HF_INC_MAX);
    hf_autotx tx = {0};
    bool merged = hf_inc_get(i, "merged_into").n != 0;
    struct hf_err ignored = HF_ERR_INIT;
    (void)!hf_inv_document(g->store, i, &doc, &ignored); /* without vulnerabilities when those cannot be read */
    int rc = hf_tx_begin(&tx, g->store, err);
    rc = rc < 0 ? rc : hf_store_incident_put(g->store, hf_buf_span(&doc), base, err);
    if (rc == -ESTALE || rc == HF_E_NOT_FOUND)
        snprintf(g->stale_id, sizeof g->stale_id, "%.39s", hf_inc_get(i, "id").p);
    rc = rc < 0 || (base && !merged) ? rc : audit(g, i, merged, err);
    rc = rc < 0 ? rc : put_alerts(g, hf_inc_get(i, "id"), err);
    rc = rc < 0 ? rc : hf_tx_commit(&tx, err);
    if (rc < 0)
        return rc;
    done_alerts(g, hf_inc_get(i, "id"));
    remember(g, i);
    g->st.made += !base;
    g->st.changed += base != 0;
    return g->o.told ? g->o.told(g->o.ctx, i, base, err) : 0;
}

/* Alerts that no changed incident took along. */
static int rest_of_alerts(struct hf_ingest *g, struct hf_err *err)
{
    hf_autotx tx = {0};
    if (!g->n_waits)
        return 0;
    int rc = hf_tx_begin(&tx, g->store, err);
    rc = rc < 0 ? rc : put_alerts(g, hf_span(NULL, 0), err);
    rc = rc < 0 ? rc : hf_tx_commit(&tx, err);
    if (rc == 0)
        done_alerts(g, hf_span(NULL, 0));
    return rc;
}

static int take(struct hf_ingest *g, struct hf_span id, struct hf_err *err)
{
    hf_autobuf doc = HF_BUF_INIT(HF_INC_MAX);
    uint64_t revision;
    int rc = hf_store_incident_get(g->store, id, &doc, &revision, err);
    if (rc == 0)
        return hf_fail(err, HF_E_NOT_FOUND, "incident %.*s went from the store", HF_SPAN_ARG(id));
    return rc < 0 ? rc : hf_corr_take(g->corr, hf_buf_span(&doc), err);
}

int hf_ingest_flush(struct hf_ingest *g, struct hf_store *store, struct hf_err *err)
{
    int rc = 0;
    g->store = store;
    for (unsigned tries = 0; rc == 0; tries++) {
        rc = hf_corr_flush(g->corr, put, g, err);
        if ((rc != -ESTALE && rc != HF_E_NOT_FOUND) || tries > AGAIN_MAX)
            break;
        if (rc == HF_E_NOT_FOUND) { /* it was removed meanwhile, and goes on */
            hf_corr_lost(g->corr, hf_span_z(g->stale_id));
            rc = 0;
            continue;
        }
        rc = take(g, hf_span_z(g->stale_id), err); /* somebody worked on it: what they wrote stays */
    }
    rc = rc < 0 ? rc : rest_of_alerts(g, err);
    struct hf_err ignored = HF_ERR_INIT;
    if (rc < 0 && g->o.unstored)
        (void)!hf_corr_changed(g->corr, unstored, g, &ignored);
    g->store = NULL;
    g->waiting = rc < 0;
    return rc;
}

int hf_ingest_take(struct hf_ingest *g, struct hf_span document, struct hf_err *err)
{
    return hf_corr_take(g->corr, document, err);
}

bool hf_ingest_own(const struct hf_ingest *g, struct hf_span id, uint64_t revision)
{
    for (size_t i = 0; i < OWN; i++)
        if (g->own[i].revision == revision && hf_span_eqz(id, g->own[i].id))
            return true;
    return false;
}

void hf_ingest_known(struct hf_ingest *g, struct hf_span alert_id, int64_t time, struct hf_span incident)
{
    hf_corr_known(g->corr, alert_id, (uint64_t)HF_MAX(time, 1), incident);
}

struct hf_span hf_ingest_of_alert(const struct hf_ingest *g, struct hf_span alert_id)
{
    return hf_corr_of_alert(g->corr, alert_id);
}

void hf_ingest_stats(const struct hf_ingest *g, struct hf_ingest_stats *ret)
{
    *ret = g->st;
    ret->pending_bytes = g->alerts.n;
    hf_corr_stats(g->corr, &ret->corr);
}
