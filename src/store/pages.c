/* SPDX-License-Identifier: Apache-2.0 */
#include "store/pages.h"

#include "store/sql-internal.h"

/* The text as LIKE wants it; the values of ANY_OF. */
#define MATCH(columns) "(? = '%%' OR " columns ")"
#define ONE(column) "lower(" column ") LIKE ? ESCAPE '\\'"

static void like_of(struct hf_buf *b, struct hf_span text)
{
    hf_sql_like(b, hf_span_sub(text, 0, HF_STORE_KEY_MAX));
}

static int count(struct hf_store *s, const char *sql, const struct hf_sql_value *v, size_t n, uint64_t *ret, struct hf_err *err)
{
    int64_t total = 0;
    int rc = ret ? hf_sql_get_int(s, err, &total, sql, v, n) : 0;
    if (rc < 0)
        return rc;
    if (ret)
        *ret = (uint64_t)total;
    return 0;
}

/* ---- containers ---- */

#define C_COLUMNS "SELECT id, host, name, image, digest, doc, started, ended, seen FROM containers WHERE "
#define C_COUNT "SELECT count(*) FROM containers WHERE "
#define C_FILTER "(? = '' OR digest = ?) AND " MATCH(ONE("name") " OR " ONE("id") " OR " ONE("image") " OR " ONE("doc"))
enum { C_VALUES = 7 };

int hf_page_containers(struct hf_store *s, const struct hf_page_containers *p, hf_inv_container_cb cb, void *ctx, uint64_t *ret_total, struct hf_err *err)
{
    hf_autobuf like = HF_BUF_INIT(4 * HF_STORE_KEY_MAX);
    hf_autorows r = {0};
    like_of(&like, p->text);
    struct hf_sql_value v[C_VALUES + 3] = {HF_TEXT(p->digest), HF_TEXT(p->digest)};
    for (size_t i = 2; i < C_VALUES; i++)
        v[i] = HF_TEXT(hf_buf_span(&like));
    v[C_VALUES] = HF_INT(p->after ? p->after_time : INT64_MAX);
    v[C_VALUES + 1] = HF_TEXT(p->after ? p->after_id : HF_S("\x7f"));
    v[C_VALUES + 2] = HF_INT(hf_store_limit(p->limit, 100));
    bool all = !p->text.n && !p->digest.n; /* from the index alone */
    int rc = p->ended ? (all ? count(s, C_COUNT "ended > 0", HF_NO_VALUES, ret_total, err) : count(s, C_COUNT "ended > 0 AND " C_FILTER, v, C_VALUES, ret_total, err))
                      : (all ? count(s, C_COUNT "ended = 0", HF_NO_VALUES, ret_total, err) : count(s, C_COUNT "ended = 0 AND " C_FILTER, v, C_VALUES, ret_total, err));
    if (rc == 0)
        rc = p->ended ? hf_sql_query(&r, s, err, C_COLUMNS "ended > 0 AND " C_FILTER " AND (ended, id) < (?, ?) ORDER BY ended DESC, id DESC LIMIT ?", v, C_VALUES + 3)
                      : hf_sql_query(&r, s, err, C_COLUMNS "ended = 0 AND " C_FILTER " AND (started, id) < (?, ?) ORDER BY started DESC, id DESC LIMIT ?", v, C_VALUES + 3);
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_inv_container c = {.id = hf_sql_text(&r, 0), .host = hf_sql_text(&r, 1), .name = hf_sql_text(&r, 2), .image = hf_sql_text(&r, 3), .digest = hf_sql_text(&r, 4),
                .doc = hf_sql_text(&r, 5), .started = hf_sql_int(&r, 6), .ended = hf_sql_int(&r, 7), .seen = hf_sql_int(&r, 8)};
        if ((rc = cb(ctx, &c)) != 0)
            return rc;
    }
    return rc;
}

/* ---- images ---- */

#define I_RUNNING "(SELECT count(*) FROM containers WHERE containers.digest = images.digest AND ended = 0)"
#define I_FILTER MATCH(ONE("name") " OR " ONE("digest")) " AND (? < 0 OR (? = 1) = (" I_RUNNING " > 0))"
enum { I_VALUES = 5 };

int hf_page_images(struct hf_store *s, const struct hf_page_images *p, hf_inv_image_cb cb, void *ctx, uint64_t *ret_total, struct hf_err *err)
{
    hf_autobuf like = HF_BUF_INIT(4 * HF_STORE_KEY_MAX);
    hf_autorows r = {0};
    like_of(&like, p->text);
    struct hf_sql_value l = HF_TEXT(hf_buf_span(&like));
    struct hf_sql_value v[I_VALUES + 3] = {l, l, l, HF_INT(p->running), HF_INT(p->running), HF_TEXT(p->after_name), HF_TEXT(p->after_digest), HF_INT(hf_store_limit(p->limit, 100))};
    int rc = count(s, "SELECT count(*) FROM images WHERE " I_FILTER, v, I_VALUES, ret_total, err);
    if (rc == 0)
        rc = hf_sql_query(&r, s, err, "SELECT digest, name, doc, scanned, " I_RUNNING " FROM images WHERE " I_FILTER " AND (name, digest) > (?, ?) ORDER BY name, digest LIMIT ?", v, I_VALUES + 3);
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_inv_image i = {hf_sql_text(&r, 0), hf_sql_text(&r, 1), hf_sql_text(&r, 2), hf_sql_int(&r, 3)};
        if ((rc = cb(ctx, &i, (uint64_t)hf_sql_int(&r, 4))) != 0)
            return rc;
    }
    return rc;
}

int hf_page_image_counts(struct hf_store *s, struct hf_span digest, struct hf_page_image_counts *ret, struct hf_err *err)
{
    int64_t packages = 0, made = 0;
    int rc = hf_sql_get_int(s, err, &packages, "SELECT count(*) FROM packages WHERE digest = ?", HF_V(HF_TEXT(digest)));
    int sealed = rc < 0 ? rc : hf_sql_get_int(s, err, &made, "SELECT made FROM seals WHERE digest = ?", HF_V(HF_TEXT(digest)));
    if (sealed < 0)
        return sealed;
    *ret = (struct hf_page_image_counts){(uint64_t)packages, sealed > 0, made};
    return 0;
}

/* ---- packages, findings ---- */

#define P_FILTER "digest = ? AND " MATCH(ONE("name") " OR " ONE("source"))
enum { P_VALUES = 4 };

int hf_page_packages(struct hf_store *s, const struct hf_page_packages *p, hf_page_package_cb cb, void *ctx, uint64_t *ret_total, struct hf_err *err)
{
    hf_autobuf like = HF_BUF_INIT(4 * HF_STORE_KEY_MAX);
    hf_autorows r = {0};
    like_of(&like, p->text);
    struct hf_sql_value l = HF_TEXT(hf_buf_span(&like));
    struct hf_sql_value v[P_VALUES + 5] = {HF_TEXT(p->digest), l, l, l, HF_INT(p->after ? (p->after_used ? -1 : 0) : -2), HF_TEXT(p->after_ecosystem), HF_TEXT(p->after_name),
            HF_TEXT(p->after_version), HF_INT(hf_store_limit(p->limit, 100))};
    int rc = count(s, "SELECT count(*) FROM packages WHERE " P_FILTER, v, P_VALUES, ret_total, err);
    if (rc == 0)
        rc = hf_sql_query(&r, s, err,
                "SELECT ecosystem, name, version, source, doc, used, (SELECT count(*) FROM findings WHERE findings.digest = page.digest AND findings.ecosystem = page.ecosystem"
                " AND findings.package = page.name AND findings.version = page.version) FROM (SELECT * FROM packages WHERE " P_FILTER
                " AND (-used, ecosystem, name, version) > (?, ?, ?, ?) ORDER BY -used, ecosystem, name, version LIMIT ?) AS page ORDER BY -used, ecosystem, name, version", v, P_VALUES + 5);
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_inv_package q = {hf_sql_text(&r, 0), hf_sql_text(&r, 1), hf_sql_text(&r, 2), hf_sql_text(&r, 3), hf_sql_text(&r, 4), hf_sql_int(&r, 5) != 0};
        if ((rc = cb(ctx, &q, (uint64_t)hf_sql_int(&r, 6))) != 0)
            return rc;
    }
    return rc;
}

#define F_FILTER "digest = ? AND severity >= ? AND (? < 0 OR used = ?) AND " MATCH(ONE("id") " OR " ONE("package"))
enum { F_VALUES = 7 };

int hf_page_findings(struct hf_store *s, const struct hf_page_findings *p, hf_inv_finding_cb cb, void *ctx, uint64_t *ret_total, struct hf_err *err)
{
    hf_autobuf like = HF_BUF_INIT(4 * HF_STORE_KEY_MAX);
    hf_autorows r = {0};
    like_of(&like, p->text);
    struct hf_sql_value l = HF_TEXT(hf_buf_span(&like));
    struct hf_sql_value v[F_VALUES + 7] = {HF_TEXT(p->digest), HF_INT(p->min_severity), HF_INT(p->used), HF_INT(p->used), l, l, l, HF_INT(p->after ? (p->after_used ? -1 : 0) : -2),
            HF_INT(-p->after_severity), HF_TEXT(p->after_id), HF_TEXT(p->after_ecosystem), HF_TEXT(p->after_package), HF_TEXT(p->after_version), HF_INT(hf_store_limit(p->limit, 100))};
    int rc = count(s, "SELECT count(*) FROM findings WHERE " F_FILTER, v, F_VALUES, ret_total, err);
    if (rc == 0)
        rc = hf_sql_query(&r, s, err,
                "SELECT id, ecosystem, package, version, fixed, doc, severity, used, found FROM findings WHERE " F_FILTER
                " AND (-used, -severity, id, ecosystem, package, version) > (?, ?, ?, ?, ?, ?) ORDER BY -used, -severity, id, ecosystem, package, version LIMIT ?", v, F_VALUES + 7);
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_inv_finding f = {.id = hf_sql_text(&r, 0), .ecosystem = hf_sql_text(&r, 1), .package = hf_sql_text(&r, 2), .version = hf_sql_text(&r, 3), .fixed = hf_sql_text(&r, 4),
                .doc = hf_sql_text(&r, 5), .severity = (int)hf_sql_int(&r, 6), .used = hf_sql_int(&r, 7) != 0, .found = hf_sql_int(&r, 8)};
        if ((rc = cb(ctx, p->digest, &f, 0)) != 0)
            return rc;
    }
    return rc;
}

/* ---- audit ---- */

int hf_page_audit(struct hf_store *s, struct hf_span target, uint64_t before, unsigned limit, hf_audit_cb cb, void *ctx, uint64_t *ret_total, struct hf_err *err)
{
#define A_COLUMNS "SELECT seq, time, who, via, what, target, old_value, new_value, prev_hash, hash FROM audit WHERE "
    hf_autorows r = {0};
    struct hf_sql_value below = HF_INT(before && before < INT64_MAX ? before : INT64_MAX), l = HF_INT(hf_store_limit(limit, 100));
    int rc = target.n ? count(s, "SELECT count(*) FROM audit WHERE target = ?", HF_V(HF_TEXT(target)), ret_total, err)
                      : count(s, "SELECT max(seq) FROM audit", HF_NO_VALUES, ret_total, err); /* without a gap from 1 */
    if (rc == 0)
        rc = target.n ? hf_sql_query(&r, s, err, A_COLUMNS "target = ? AND seq < ? ORDER BY seq DESC LIMIT ?", HF_V(HF_TEXT(target), below, l))
                      : hf_sql_query(&r, s, err, A_COLUMNS "seq < ? ORDER BY seq DESC LIMIT ?", HF_V(below, l));
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_audit_entry e = {(uint64_t)hf_sql_int(&r, 0), hf_sql_int(&r, 1), hf_sql_text(&r, 2), hf_sql_text(&r, 3), hf_sql_text(&r, 4), hf_sql_text(&r, 5), hf_sql_text(&r, 6),
                hf_sql_text(&r, 7), hf_sql_text(&r, 8), hf_sql_text(&r, 9)};
        if ((rc = cb(ctx, &e)) != 0)
            return rc;
    }
    return rc;
}

/* ---- incidents, rules, channels ---- */

int hf_page_incident_index(struct hf_store *s, unsigned limit, hf_page_index_cb cb, void *ctx, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, "SELECT id, severity, search FROM incidents WHERE state IN (1, 2, 4) ORDER BY updated DESC, id DESC LIMIT ?", HF_V(HF_INT(limit)));
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0)
        if ((rc = cb(ctx, hf_sql_text(&r, 0), (int)hf_sql_int(&r, 1), hf_sql_text(&r, 2))) != 0)
            return rc;
    return rc;
}

static int counted(struct hf_sql_rows *r, int rc, hf_page_count_cb cb, void *ctx, struct hf_err *err)
{
    while (rc == 0 && (rc = hf_sql_next(r, err)) > 0)
        if ((rc = cb(ctx, hf_sql_text(r, 0), (uint64_t)hf_sql_int(r, 1))) != 0)
            return rc;
    return rc;
}

int hf_page_incidents_of(struct hf_store *s, struct hf_span container, unsigned limit, hf_page_count_cb cb, void *ctx, struct hf_err *err)
{
    hf_autorows r = {0};
    /* of the last thousands of alerts: a container that is noisy for weeks is not gone through to its beginning */
    int rc = hf_sql_query(&r, s, err,
            "SELECT incident, count(*), max(time) FROM (SELECT incident, time FROM alerts WHERE container = ? ORDER BY time DESC LIMIT 5000) AS last"
            " WHERE incident <> '' GROUP BY incident ORDER BY 3 DESC LIMIT ?", HF_V(HF_TEXT(container), HF_INT(hf_store_limit(limit, 20))));
    return counted(&r, rc, cb, ctx, err);
}

int hf_page_rule_containers(struct hf_store *s, struct hf_span rule, int64_t since, unsigned limit, hf_page_count_cb cb, void *ctx, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, "SELECT container, count(*) FROM (SELECT container FROM alerts WHERE rule = ? AND time >= ? ORDER BY time DESC LIMIT 5000) AS last GROUP BY container"
            " ORDER BY 2 DESC, 1 LIMIT ?",
            HF_V(HF_TEXT(rule), HF_INT(since), HF_INT(hf_store_limit(limit, 10))));
    return counted(&r, rc, cb, ctx, err);
}

int hf_page_rule_steps(struct hf_store *s, struct hf_span rule, int64_t since, int64_t step_ns, hf_page_step_cb cb, void *ctx, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, "SELECT time / ?, count(*) FROM alerts WHERE rule = ? AND time >= ? GROUP BY 1 ORDER BY 1", HF_V(HF_INT(step_ns), HF_TEXT(rule), HF_INT(since)));
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0)
        if ((rc = cb(ctx, hf_sql_int(&r, 0) * step_ns, (uint64_t)hf_sql_int(&r, 1))) != 0)
            return rc;
    return rc;
}

int hf_page_channels(struct hf_store *s, hf_page_count_cb cb, void *ctx, struct hf_err *err)
{
    hf_autorows r = {0};
    return counted(&r, hf_sql_query(&r, s, err, "SELECT channel, count(*) FROM queue GROUP BY channel ORDER BY channel", HF_NO_VALUES), cb, ctx, err);
}

int hf_page_inventory(struct hf_store *s, struct hf_page_inventory *ret, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err,
            "SELECT (SELECT count(*) FROM images), (SELECT count(*) FROM images WHERE scanned > 0), (SELECT count(DISTINCT digest) FROM containers WHERE ended = 0 AND digest <> ''),"
            " (SELECT count(*) FROM containers), (SELECT count(*) FROM containers WHERE ended = 0)", HF_NO_VALUES);
    rc = rc < 0 ? rc : hf_sql_next(&r, err);
    if (rc > 0)
        *ret = (struct hf_page_inventory){(uint64_t)hf_sql_int(&r, 0), (uint64_t)hf_sql_int(&r, 1), (uint64_t)hf_sql_int(&r, 2), (uint64_t)hf_sql_int(&r, 3), (uint64_t)hf_sql_int(&r, 4)};
    return rc < 0 ? rc : 0;
}

/* ---- alerts and incidents without their documents ---- */

int hf_page_alerts(struct hf_store *s, uint64_t after, unsigned limit, hf_page_alert_cb cb, void *ctx, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, "SELECT seq, time, rule, container, severity FROM alerts WHERE seq > ? ORDER BY seq LIMIT ?",
            HF_V(HF_INT(HF_MIN(after, (uint64_t)INT64_MAX)), HF_INT(hf_store_limit(limit, 1000))));
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_page_alert a = {(uint64_t)hf_sql_int(&r, 0), hf_sql_int(&r, 1), hf_sql_text(&r, 2), hf_sql_text(&r, 3), (int)hf_sql_int(&r, 4)};
        if ((rc = cb(ctx, &a)) != 0)
            return rc;
    }
    return rc;
}

int hf_page_alerts_before(struct hf_store *s, int64_t since, uint64_t *ret, struct hf_err *err)
{
    int64_t seq = 0;
    int rc = hf_sql_get_int(s, err, &seq, "SELECT min(seq) FROM alerts WHERE time >= ?", HF_V(HF_INT(since)));
    if (rc > 0)
        seq--;
    else if (rc == 0)
        rc = hf_sql_get_int(s, err, &seq, "SELECT max(seq) FROM alerts", HF_NO_VALUES);
    if (rc < 0)
        return rc;
    *ret = (uint64_t)HF_MAX(seq, 0);
    return 0;
}

int hf_page_rule_alerts(struct hf_store *s, struct hf_span rule, int64_t time, uint64_t seq, unsigned limit, hf_alert_cb cb, void *ctx, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, "SELECT seq, time, severity, incident, rule, container, doc FROM alerts WHERE rule = ? AND time <= ? AND (time < ? OR seq < ?) ORDER BY time DESC, seq DESC LIMIT ?",
            HF_V(HF_TEXT(rule), HF_INT(time), HF_INT(time), HF_INT(HF_MIN(seq, (uint64_t)INT64_MAX)), HF_INT(hf_store_limit(limit, 100))));
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_alert_row row = {(uint64_t)hf_sql_int(&r, 0), hf_sql_int(&r, 1), (int)hf_sql_int(&r, 2), hf_sql_text(&r, 3), hf_sql_text(&r, 4), hf_sql_text(&r, 5), hf_sql_text(&r, 6)};
        if ((rc = cb(ctx, &row)) != 0)
            return rc;
    }
    return rc;
}

/* "+state": through the index that holds all that is asked (incidents_list), not through one by state with a look at every row. */
#define N_FILTER                                                                                                                                                  \
    " FROM incidents WHERE +state IN (?, ?, ?, ?) AND severity >= ? AND (? = '' OR assignee = ?) AND updated >= ? AND updated < ?"                                \
    " AND (? = '%%' OR search LIKE ? ESCAPE '\\')"
enum { N_VALUES = 11 };

static void incident_values(const struct hf_incident_filter *f, struct hf_buf *like, struct hf_sql_value v[N_VALUES])
{
    unsigned states = f->states ? f->states : 15;
    like_of(like, f->text);
    for (unsigned i = 0; i < 4; i++)
        v[i] = HF_INT(states & 1u << i);
    v[4] = HF_INT(f->min_severity);
    v[5] = v[6] = HF_TEXT(f->assignee);
    v[7] = HF_INT(f->since);
    v[8] = HF_INT(f->until ? f->until : INT64_MAX);
    v[9] = v[10] = HF_TEXT(hf_buf_span(like));
}

int hf_page_incidents(struct hf_store *s, const struct hf_incident_filter *f, hf_page_incident_cb cb, void *ctx, struct hf_err *err)
{
    hf_autobuf like = HF_BUF_INIT(4 * HF_STORE_KEY_MAX);
    struct hf_sql_value v[N_VALUES + 3];
    hf_autorows r = {0};
    incident_values(f, &like, v);
    v[N_VALUES] = HF_INT(f->after_updated ? f->after_updated : INT64_MAX);
    v[N_VALUES + 1] = HF_TEXT(f->after_id);
    v[N_VALUES + 2] = HF_INT(hf_store_limit(f->limit, 100));
    int rc = hf_sql_query(&r, s, err, "SELECT id, revision, updated" N_FILTER " AND (updated, id) < (?, ?) ORDER BY updated DESC, id DESC LIMIT ?", v, N_VALUES + 3);
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0)
        if ((rc = cb(ctx, hf_sql_text(&r, 0), (uint64_t)hf_sql_int(&r, 1), hf_sql_int(&r, 2))) != 0)
            return rc;
    return rc;
}

int hf_page_incident_count(struct hf_store *s, const struct hf_incident_filter *f, uint64_t *ret, struct hf_err *err)
{
    hf_autobuf like = HF_BUF_INIT(4 * HF_STORE_KEY_MAX);
    struct hf_sql_value v[N_VALUES];
    incident_values(f, &like, v);
    return count(s, "SELECT count(*)" N_FILTER, v, N_VALUES, ret, err);
}
