/* SPDX-License-Identifier: Apache-2.0 */
/* What is too old or too much goes, in small turns; or is only counted. */
#include <errno.h>
#include <stdio.h>

#include "base/config.h"
#include "store/audit.h"
#include "store/keep.h"
#include "store/settings.h"
#include "store/sql-internal.h"

enum { BATCH = 1000, ROUNDS = 1 << 20, ID = 17 /* "I-20261126-7K3Q9D" */ };
#define DAY_NS INT64_C(86400000000000)

/* One statement again and again, each in a transaction of its own, until it deletes nothing. */
static int delete_all(struct hf_store *s, const char *sql, const struct hf_sql_value *v, size_t n, uint64_t *count, struct hf_err *err)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        hf_autotx tx = {0};
        int rc = hf_tx_begin(&tx, s, err), changed = 0;
        if (rc == 0)
            changed = rc = hf_sql_run(s, err, sql, v, n);
        if (rc >= 0)
            rc = hf_tx_commit(&tx, err);
        if (rc < 0)
            return rc;
        *count += (uint64_t)changed;
        if (changed == 0)
            return 0;
    }
    return 0;
}

/* The bytes of a table over the limit, 0 when it is within. */
static int over(struct hf_store *s, const char *sql, uint64_t limit, int64_t *ret, struct hf_err *err)
{
    int64_t bytes = 0;
    int rc = hf_sql_get_int(s, err, &bytes, sql, HF_NO_VALUES);
    *ret = rc > 0 && bytes > 0 && (uint64_t)bytes > limit ? bytes - (int64_t)limit : 0;
    return rc < 0 ? rc : 0;
}

#define UNRESOLVED "EXISTS(SELECT 1 FROM incidents i WHERE i.id = alerts.incident AND i.state <> 8)"
#define ALERT_BYTES "SELECT CAST(sum(bytes) AS BIGINT) FROM alerts"
#define INCIDENT_BYTES "SELECT CAST(sum(bytes) AS BIGINT) FROM incidents"

/* Oldest first, as many as are needed to get under the limit: sql selects key and bytes, drop deletes one. */
static int shrink(struct hf_store *s, const char *sum, uint64_t limit, const char *sql, const char *drop, const char *with, uint64_t *count, struct hf_err *err)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        int64_t much = 0;
        uint64_t n = 0;
        hf_autotx tx = {0};
        int rc = hf_tx_begin(&tx, s, err);
        if (rc == 0)
            rc = over(s, sum, limit, &much, err);
        if (rc < 0 || much == 0)
            return rc;
        {
            hf_autorows r = {0};
            rc = hf_sql_query(&r, s, err, sql, HF_V(HF_INT(BATCH)));
            while (rc == 0 && much > 0 && (rc = hf_sql_next(&r, err)) > 0) {
                struct hf_sql_value key = hf_sql_is_null(&r, 1) ? HF_TEXT(hf_sql_text(&r, 0)) : HF_INT(hf_sql_int(&r, 1));
                much -= HF_MAX(hf_sql_int(&r, 2), 1);
                rc = hf_sql_run(s, err, drop, &key, 1);
                if (rc >= 0 && with)
                    rc = hf_sql_run(s, err, with, &key, 1);
                n++;
                rc = rc < 0 ? rc : 0;
            }
        }
        if (rc >= 0)
            rc = hf_tx_commit(&tx, err);
        if (rc < 0)
            return rc;
        *count += n;
        if (n == 0)
            return 0;
    }
    return 0;
}

#define UNUSED_IMAGE "scanned < ? AND NOT EXISTS(SELECT 1 FROM containers c WHERE c.digest = images.digest)"

/* Images of which no container is known any longer, with all that hangs on them. */
static int images(struct hf_store *s, int64_t before, uint64_t *count, struct hf_err *err)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        hf_autobuf digest = HF_BUF_INIT(HF_STORE_KEY_MAX), matched = HF_BUF_INIT(2 * HF_STORE_KEY_MAX);
        hf_autotx tx = {0};
        int rc = hf_tx_begin(&tx, s, err);
        if (rc == 0) {
            hf_autorows r = {0};
            rc = hf_sql_query(&r, s, err, "SELECT digest FROM images WHERE " UNUSED_IMAGE " ORDER BY digest LIMIT 1", HF_V(HF_INT(before)));
            if (rc == 0 && (rc = hf_sql_next(&r, err)) > 0)
                hf_buf_adds(&digest, hf_sql_text(&r, 0));
        }
        if (rc <= 0)
            return rc;
        struct hf_sql_value of = HF_TEXT(hf_buf_span(&digest));
        static const char *const drop[] = {"DELETE FROM packages WHERE digest = ?", "DELETE FROM findings WHERE digest = ?", "DELETE FROM seals WHERE digest = ?", "DELETE FROM images WHERE digest = ?"};
        for (size_t i = 0; i < HF_ARRAY_LEN(drop) && rc >= 0; i++)
            rc = hf_sql_run(s, err, drop[i], &of, 1);
        hf_buf_addz(&matched, "inventory/matched/");
        hf_buf_adds(&matched, hf_buf_span(&digest));
        rc = rc < 0 ? rc : hf_store_setting_delete(s, hf_buf_span(&matched), err);
        rc = rc < 0 ? rc : hf_tx_commit(&tx, err);
        if (rc < 0)
            return rc;
        ++*count;
    }
    return 0;
}

static int by_age(struct hf_store *s, const struct hf_retention *r, int64_t now, struct hf_retained *done, struct hf_err *err)
{
    int rc = 0;
    if (r->alerts_ns)
        rc = delete_all(s, "DELETE FROM alerts WHERE seq IN (SELECT seq FROM alerts WHERE time < ? AND NOT " UNRESOLVED " ORDER BY time LIMIT ?)",
                HF_V(HF_INT(now - r->alerts_ns), HF_INT(BATCH)), &done->alerts, err);
    if (rc == 0 && r->incidents_ns) { /* their alerts first */
        rc = delete_all(s, "DELETE FROM alerts WHERE seq IN (SELECT a.seq FROM incidents i JOIN alerts a ON a.incident = i.id WHERE i.state = 8 AND i.updated < ? LIMIT ?)",
                HF_V(HF_INT(now - r->incidents_ns), HF_INT(BATCH)), &done->alerts, err);
        if (rc == 0)
            rc = delete_all(s, "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents WHERE state = 8 AND updated < ? ORDER BY updated LIMIT ?)",
                    HF_V(HF_INT(now - r->incidents_ns), HF_INT(BATCH)), &done->incidents, err);
    }
    if (rc == 0 && r->containers_ns)
        rc = delete_all(s, "DELETE FROM containers WHERE id IN (SELECT id FROM containers WHERE ended > 0 AND ended < ? ORDER BY ended LIMIT ?)",
                HF_V(HF_INT(now - r->containers_ns), HF_INT(BATCH)), &done->containers, err);
    if (rc == 0 && r->images_ns)
        rc = images(s, now - r->images_ns, &done->images, err);
    if (rc == 0 && r->dead_ns)
        rc = delete_all(s, "DELETE FROM queue WHERE seq IN (SELECT seq FROM queue WHERE state = 2 AND pushed < ? ORDER BY seq LIMIT ?)",
                HF_V(HF_INT(now - r->dead_ns), HF_INT(BATCH)), &done->dead, err);
    return rc;
}

static int by_size(struct hf_store *s, const struct hf_retention *r, struct hf_retained *done, struct hf_err *err)
{
    int rc = 0;
    if (r->alerts_bytes)
        rc = shrink(s, ALERT_BYTES, r->alerts_bytes, "SELECT '', seq, bytes FROM alerts WHERE NOT " UNRESOLVED " ORDER BY time, seq LIMIT ?",
                "DELETE FROM alerts WHERE seq = ?", NULL, &done->alerts, err);
    if (rc == 0 && r->alerts_bytes)
        rc = shrink(s, ALERT_BYTES, r->alerts_bytes, "SELECT '', seq, bytes FROM alerts ORDER BY time, seq LIMIT ?", "DELETE FROM alerts WHERE seq = ?", NULL, &done->alerts, err);
    if (rc == 0 && r->incidents_bytes)
        rc = shrink(s, INCIDENT_BYTES, r->incidents_bytes, "SELECT id, CAST(NULL AS BIGINT), bytes FROM incidents WHERE state = 8 ORDER BY updated, id LIMIT ?",
                "DELETE FROM incidents WHERE id = ?", "DELETE FROM alerts WHERE incident = ?", &done->incidents, err);
    return rc;
}

/* ---- notes about incidents that are gone: "notify/CHANNEL/ID" and "notify-ref/CHANNEL/MESSAGE" -> ID ---- */

struct notes {
    struct hf_store *s;
    struct hf_err *err;
    int64_t before;
    struct hf_buf names, ids; /* NUL between; the same number of each */
    struct hf_buf last;
    unsigned n;
};

static bool is_id(struct hf_span s)
{
    return s.n >= ID && hf_span_starts(s, HF_S("I-")) && s.p[10] == '-';
}

/* "notify/CHANNEL/seen/ISSUE" goes with "notify-ref/CHANNEL/ISSUE", whose value is the incident. */
static int id_of_issue(struct notes *n, struct hf_span channel, struct hf_span issue, struct hf_buf *ret)
{
    hf_autobuf ref = HF_BUF_INIT(HF_STORE_KEY_MAX + 1);
    hf_buf_addf(&ref, "notify-ref/%.*s/%.*s", HF_SPAN_ARG(channel), HF_SPAN_ARG(issue));
    int rc = hf_store_setting_get(n->s, hf_buf_span(&ref), ret, n->err);
    if (rc == 0) /* it went before: no incident has this id */
        hf_buf_addz(ret, "I-00000000-000000");
    return rc < 0 ? rc : 0;
}

static int note(void *ctx, struct hf_span name, struct hf_span value, int64_t changed)
{
    struct notes *n = ctx;
    struct hf_span rest = hf_span_from(name, hf_span_find(name, '/') + 1), id = hf_span_from(rest, hf_span_find(rest, '/') + 1);
    n->n++;
    hf_buf_clear(&n->last);
    hf_buf_adds(&n->last, name);
    hf_autobuf of_issue = HF_BUF_INIT(HF_STORE_KEY_MAX + 1);
    if (hf_span_starts(name, HF_S("notify-ref/"))) {
        id = value;
    } else if (hf_span_starts(id, HF_S("seen/"))) {
        int rc = id_of_issue(n, hf_span_sub(rest, 0, hf_span_find(rest, '/')), hf_span_from(id, 5), &of_issue);
        if (rc < 0)
            return rc;
        id = hf_buf_span(&of_issue);
    }
    if (!is_id(id) || changed >= n->before || memchr(name.p, 0, name.n))
        return 0;
    hf_buf_adds(&n->names, name);
    hf_buf_addc(&n->names, 0);
    hf_buf_adds(&n->ids, hf_span_sub(id, 0, ID));
    hf_buf_addc(&n->ids, 0);
    return 0;
}

static int drop_notes(struct hf_store *s, struct notes *n, bool count_only, uint64_t *count, struct hf_err *err)
{
    struct hf_span names = hf_buf_span(&n->names), ids = hf_buf_span(&n->ids), name, id;
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, s, err);
    while (rc == 0 && hf_span_cut(&names, 0, &name) && hf_span_cut(&ids, 0, &id)) {
        int64_t there = 0;
        rc = hf_sql_get_int(s, err, &there, "SELECT 1 FROM incidents WHERE id = ?", HF_V(HF_TEXT(id)));
        if (rc > 0 || rc < 0) {
            rc = rc < 0 ? rc : 0;
            continue;
        }
        ++*count;
        rc = count_only ? 0 : hf_store_setting_delete(s, name, err);
        rc = rc < 0 ? rc : 0;
    }
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

static int notes(struct hf_store *s, int64_t now, bool count_only, uint64_t *count, struct hf_err *err)
{
    static const char *const prefixes[] = {"notify/", "notify-ref/"};
    struct notes n = {.s = s, .err = err, .before = now - DAY_NS, .names = HF_BUF_INIT(8 << 20), .ids = HF_BUF_INIT(1 << 20), .last = HF_BUF_INIT(HF_STORE_KEY_MAX + 1)};
    int rc = 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(prefixes) && rc == 0; i++) {
        hf_autobuf after = HF_BUF_INIT(HF_STORE_KEY_MAX + 1);
        do {
            n.n = 0;
            hf_buf_clear(&n.names);
            hf_buf_clear(&n.ids);
            rc = hf_store_setting_list(s, hf_span_z(prefixes[i]), hf_buf_span(&after), BATCH, note, &n, err);
            hf_buf_clear(&after);
            hf_buf_adds(&after, hf_buf_span(&n.last));
            rc = rc < 0 ? rc : drop_notes(s, &n, count_only, count, err);
        } while (rc == 0 && n.n == BATCH);
    }
    hf_buf_done(&n.names);
    hf_buf_done(&n.ids);
    hf_buf_done(&n.last);
    return rc;
}

/* ---- all of it ---- */

void hf_store_retention(const struct hf_config *c, struct hf_retention *ret)
{
    *ret = (struct hf_retention){.alerts_ns = (int64_t)c->keep_alerts_d * DAY_NS, .incidents_ns = (int64_t)c->keep_incidents_d * DAY_NS,
            .containers_ns = (int64_t)c->keep_containers_d * DAY_NS, .images_ns = (int64_t)c->keep_containers_d * DAY_NS, .dead_ns = (int64_t)c->keep_dead_d * DAY_NS,
            .alerts_bytes = c->keep_alerts_max};
}

int hf_store_retain(struct hf_store *s, const struct hf_retention *r, int64_t now, struct hf_retained *ret, struct hf_err *err)
{
    struct hf_retained done = {0};
    char what[256];
    int rc = by_age(s, r, now, &done, err);
    if (rc == 0)
        rc = by_size(s, r, &done, err);
    if (rc == 0)
        rc = notes(s, now, false, &done.notes, err);
    *ret = done;
    if (done.alerts + done.incidents + done.containers + done.dead + done.images + done.notes == 0)
        return rc;
    snprintf(what, sizeof what, "{\"alerts\":%llu,\"incidents\":%llu,\"containers\":%llu,\"dead\":%llu,\"images\":%llu,\"notes\":%llu}", (unsigned long long)done.alerts,
            (unsigned long long)done.incidents, (unsigned long long)done.containers, (unsigned long long)done.dead, (unsigned long long)done.images, (unsigned long long)done.notes);
    struct hf_audit_entry e = {.time = now, .by = HF_S("holdfast"), .via = HF_S("store"), .what = HF_S("retention"), .target = HF_S("store"), .before = hf_span_z(what)};
    int noted = hf_store_audit_add(s, &e, NULL, rc < 0 ? NULL : err);
    if (rc == 0 && noted == 0 && s->ops == &hf_sqlite_ops) /* gives pages back to the file system; failing that they are used again */
        (void)s->ops->script(s->db, "PRAGMA incremental_vacuum", NULL);
    return rc < 0 ? rc : noted;
}

/* ---- what it would be ---- */

static int count(struct hf_store *s, uint64_t *ret, const char *sql, const struct hf_sql_value *v, size_t n, struct hf_err *err)
{
    int64_t k = 0;
    int rc = hf_sql_get_int(s, err, &k, sql, v, n);
    *ret += k > 0 ? (uint64_t)k : 0;
    return rc < 0 ? rc : 0;
}

#define OLD_INCIDENT "state = 8 AND updated < ?"
#define OLD_ALERT "((time < ? AND NOT " UNRESOLVED ") OR EXISTS(SELECT 1 FROM incidents i WHERE i.id = alerts.incident AND i.state = 8 AND i.updated < ?))"

/* By size: what is left after the age, the oldest until the rest fits; those of incidents that are worked on last. */
static int count_sizes(struct hf_store *s, const struct hf_retention *r, int64_t alerts, int64_t incidents, struct hf_retained *c, struct hf_err *err)
{
    int64_t total = 0;
    int rc = 0;
    if (r->alerts_bytes) {
        rc = hf_sql_get_int(s, err, &total, "SELECT CAST(sum(bytes) AS BIGINT) FROM alerts WHERE NOT " OLD_ALERT, HF_V(HF_INT(alerts), HF_INT(incidents)));
        if (rc > 0 && total > 0 && (uint64_t)total > r->alerts_bytes)
            rc = count(s, &c->alerts,
                    "SELECT count(*) FROM (SELECT sum(bytes) OVER (ORDER BY CASE WHEN " UNRESOLVED " THEN 1 ELSE 0 END, time, seq ROWS UNBOUNDED PRECEDING) - bytes AS gone FROM alerts"
                    " WHERE NOT " OLD_ALERT ") AS o WHERE gone < ?",
                    HF_V(HF_INT(alerts), HF_INT(incidents), HF_INT(total - (int64_t)r->alerts_bytes)), err);
    }
    total = 0;
    if (rc >= 0 && r->incidents_bytes) {
        rc = hf_sql_get_int(s, err, &total, "SELECT CAST(sum(bytes) AS BIGINT) FROM incidents WHERE NOT (" OLD_INCIDENT ")", HF_V(HF_INT(incidents)));
        if (rc > 0 && total > 0 && (uint64_t)total > r->incidents_bytes)
            rc = count(s, &c->incidents,
                    "SELECT count(*) FROM (SELECT sum(bytes) OVER (ORDER BY updated, id ROWS UNBOUNDED PRECEDING) - bytes AS gone FROM incidents WHERE state = 8 AND NOT (" OLD_INCIDENT ")) AS o"
                    " WHERE gone < ?",
                    HF_V(HF_INT(incidents), HF_INT(total - (int64_t)r->incidents_bytes)), err);
    }
    return rc < 0 ? rc : 0;
}

int hf_store_retain_count(struct hf_store *s, const struct hf_retention *r, int64_t now, struct hf_retained *ret, struct hf_err *err)
{
    struct hf_retained c = {0};
    int64_t alerts = r->alerts_ns ? now - r->alerts_ns : INT64_MIN, incidents = r->incidents_ns ? now - r->incidents_ns : INT64_MIN;
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, s, err); /* so that all counts are of one moment */
    rc = rc < 0 ? rc : count(s, &c.alerts, "SELECT count(*) FROM alerts WHERE " OLD_ALERT, HF_V(HF_INT(alerts), HF_INT(incidents)), err);
    rc = rc < 0 ? rc : count(s, &c.incidents, "SELECT count(*) FROM incidents WHERE " OLD_INCIDENT, HF_V(HF_INT(incidents)), err);
    rc = rc < 0 ? rc : count_sizes(s, r, alerts, incidents, &c, err);
    if (rc == 0 && r->containers_ns)
        rc = count(s, &c.containers, "SELECT count(*) FROM containers WHERE ended > 0 AND ended < ?", HF_V(HF_INT(now - r->containers_ns)), err);
    if (rc == 0 && r->images_ns) /* containers that go take their images along */
        rc = count(s, &c.images,
                "SELECT count(*) FROM images WHERE scanned < ? AND NOT EXISTS(SELECT 1 FROM containers c WHERE c.digest = images.digest AND NOT (c.ended > 0 AND c.ended < ?))",
                HF_V(HF_INT(now - r->images_ns), HF_INT(r->containers_ns ? now - r->containers_ns : INT64_MIN)), err);
    if (rc == 0 && r->dead_ns)
        rc = count(s, &c.dead, "SELECT count(*) FROM queue WHERE state = 2 AND pushed < ?", HF_V(HF_INT(now - r->dead_ns)), err);
    rc = rc < 0 ? rc : notes(s, now, true, &c.notes, err);
    if (rc == 0)
        *ret = c;
    return rc;
}
