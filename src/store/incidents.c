/* SPDX-License-Identifier: Apache-2.0 */
#include "store/incidents.h"

#include <errno.h>
#include <time.h>

#include "base/json.h"
#include "store/sql-internal.h"

enum { SEARCH_MAX = 64 << 10 };

static const char *const states[] = {"open", "acknowledged", "contained", "resolved"}; /* bit i: HF_STATE_* */

/* RFC 3339 with an offset, up to ns: "2026-11-26T19:40:33.123456789Z".  HF_E_FORMAT. */
static int parse_time(struct hf_span t, int64_t *ret)
{
    uint64_t v[6];
    static const struct {
        unsigned at, n;
        uint64_t min, max;
    } parts[] = {{0, 4, 1970, 2260}, {5, 2, 1, 12}, {8, 2, 1, 31}, {11, 2, 0, 23}, {14, 2, 0, 59}, {17, 2, 0, 60}};
    if (t.n < 20 || t.p[4] != '-' || t.p[7] != '-' || (t.p[10] != 'T' && t.p[10] != 't' && t.p[10] != ' ') || t.p[13] != ':' || t.p[16] != ':')
        return HF_E_FORMAT;
    for (size_t i = 0; i < 6; i++) {
        if (hf_parse_u64(hf_span_sub(t, parts[i].at, parts[i].n), 10, parts[i].min, parts[i].max, &v[i]) < 0)
            return HF_E_FORMAT;
    }
    struct hf_span rest = hf_span_from(t, 19);
    int64_t ns = 0, scale = 100000000, offset = 0;
    if (rest.p[0] == '.') {
        size_t n = 1;
        for (; n < rest.n && rest.p[n] >= '0' && rest.p[n] <= '9'; n++, scale /= 10)
            ns += scale * (rest.p[n] - '0');
        rest = hf_span_from(rest, n);
    }
    if (rest.n == 6 && (rest.p[0] == '+' || rest.p[0] == '-') && rest.p[3] == ':') {
        uint64_t h, m;
        if (hf_parse_u64(hf_span_sub(rest, 1, 2), 10, 0, 23, &h) < 0 || hf_parse_u64(hf_span_sub(rest, 4, 2), 10, 0, 59, &m) < 0)
            return HF_E_FORMAT;
        offset = (int64_t)(h * 3600 + m * 60) * (rest.p[0] == '-' ? -1 : 1);
    } else if (!hf_span_eqz(rest, "Z") && !hf_span_eqz(rest, "z")) {
        return HF_E_FORMAT;
    }
    struct tm tm = {.tm_year = (int)v[0] - 1900, .tm_mon = (int)v[1] - 1, .tm_mday = (int)v[2], .tm_hour = (int)v[3], .tm_min = (int)v[4], .tm_sec = (int)v[5]};
    *ret = ((int64_t)timegm(&tm) - offset) * 1000000000 + ns;
    return 0;
}

static void search_add(struct hf_buf *out, struct hf_span text)
{
    text = hf_span_sub(text, 0, 4096);
    for (size_t i = 0; i < text.n && out->n < SEARCH_MAX; i++)
        hf_buf_addc(out, text.p[i] >= 'A' && text.p[i] <= 'Z' ? (char)(text.p[i] + 32) : text.p[i]);
    if (out->n < SEARCH_MAX)
        hf_buf_addc(out, '\n');
}

static void search_of(struct hf_buf *out, hf_jnode doc)
{
    search_add(out, hf_jgetstr(doc, "id"));
    search_add(out, hf_jgetstr(doc, "title"));
    search_add(out, hf_jgetstr(doc, "summary"));
    HF_JFOREACH(host, hf_jget(doc, "hosts"))
        search_add(out, hf_jstr(host));
    HF_JFOREACH(c, hf_jget(doc, "containers")) {
        search_add(out, hf_jgetstr(c, "name"));
        search_add(out, hf_jgetstr(c, "image"));
        search_add(out, hf_jgetstr(c, "id"));
    }
    HF_JFOREACH(rule, hf_jget(doc, "rules"))
        search_add(out, hf_jgetstr(rule, "rule"));
}

static int read_doc(hf_jnode doc, struct hf_incident_row *ret, unsigned *ret_state, struct hf_err *err)
{
    double revision = 0;
    ret->id = hf_jgetstr(doc, "id");
    if (ret->id.n == 0 || ret->id.n > 128 || !hf_span_is_utf8(ret->id))
        return hf_fail(err, HF_E_FORMAT, "an incident needs an id of 1 to 128 bytes");
    if (!hf_jnum(hf_jget(doc, "revision"), &revision) || revision < 1 || revision > 9e15)
        return hf_fail(err, HF_E_FORMAT, "incident " HF_SPAN_FMT ": revision is not a number from 1", HF_SPAN_ARG(ret->id));
    ret->revision = (uint64_t)revision;
    ret->state = hf_jgetstr(doc, "state");
    *ret_state = 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(states); i++) {
        if (hf_span_eqz(ret->state, states[i]))
            *ret_state = 1u << i;
    }
    if (!*ret_state)
        return hf_fail(err, HF_E_FORMAT, "incident " HF_SPAN_FMT ": state is not open, acknowledged, contained or resolved", HF_SPAN_ARG(ret->id));
    if (hf_store_severity(hf_jgetstr(doc, "severity"), &ret->severity) < 0)
        return hf_fail(err, HF_E_FORMAT, "incident " HF_SPAN_FMT ": severity is not one of debug ... critical", HF_SPAN_ARG(ret->id));
    if (parse_time(hf_jgetstr(doc, "opened"), &ret->opened) < 0 || parse_time(hf_jgetstr(doc, "updated"), &ret->updated) < 0)
        return hf_fail(err, HF_E_FORMAT, "incident " HF_SPAN_FMT ": opened or updated is not a time (RFC 3339)", HF_SPAN_ARG(ret->id));
    if (parse_time(hf_jgetstr(doc, "last_alert"), &ret->last_alert) < 0)
        ret->last_alert = 0;
    ret->assignee = hf_span_sub(hf_jgetstr(doc, "assignee"), 0, HF_STORE_KEY_MAX);
    ret->title = hf_span_sub(hf_jgetstr(doc, "title"), 0, HF_STORE_KEY_MAX);
    return 0;
}

int hf_store_incident_put(struct hf_store *s, struct hf_span doc, uint64_t expected, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *parsed = NULL;
    hf_autobuf search = HF_BUF_INIT(SEARCH_MAX + 1);
    struct hf_incident_row r = {0};
    unsigned state = 0;
    int64_t there = 0;
    int rc = hf_store_cap(doc, HF_STORE_DOC_MAX, "an incident", err);
    if (rc == 0)
        rc = hf_json_parse(doc, &parsed, err);
    if (rc == 0)
        rc = read_doc(hf_json_root(parsed), &r, &state, err);
    if (rc < 0)
        return rc;
    if (r.revision <= expected)
        return hf_fail(err, HF_E_FORMAT, "incident " HF_SPAN_FMT ": revision %llu does not follow %llu", HF_SPAN_ARG(r.id), (unsigned long long)r.revision,
                (unsigned long long)expected);
    search_of(&search, hf_json_root(parsed));
    hf_autotx tx = {0};
    rc = hf_tx_begin(&tx, s, err);
    if (rc < 0)
        return rc;
    rc = hf_sql_get_int(s, err, &there, "SELECT revision FROM incidents WHERE id = ?", HF_V(HF_TEXT(r.id)));
    if (rc < 0)
        return rc;
    if (rc == 0 && expected)
        return hf_fail(err, HF_E_NOT_FOUND, "there is no incident " HF_SPAN_FMT, HF_SPAN_ARG(r.id));
    if ((uint64_t)there != expected)
        return hf_fail(err, -ESTALE, "incident " HF_SPAN_FMT " was changed meanwhile: it has revision %lld, not %llu", HF_SPAN_ARG(r.id), (long long)there,
                (unsigned long long)expected);
    int64_t change = 0;
    rc = hf_store_next_seq(s, "incident_changes", &change, err);
    if (rc < 0)
        return rc;
    rc = hf_sql_run(s, err,
            "INSERT INTO incidents(id, revision, state, severity, assignee, opened, updated, last_alert, bytes, title, search, doc, change)"
            " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET revision = excluded.revision, state = excluded.state,"
            " severity = excluded.severity, assignee = excluded.assignee, opened = excluded.opened, updated = excluded.updated,"
            " last_alert = excluded.last_alert, bytes = excluded.bytes, title = excluded.title, search = excluded.search, doc = excluded.doc, change = excluded.change",
            HF_V(HF_TEXT(r.id), HF_INT(r.revision), HF_INT(state), HF_INT(r.severity), HF_TEXT(r.assignee), HF_INT(r.opened), HF_INT(r.updated),
                    HF_INT(r.last_alert), HF_INT(doc.n), HF_TEXT(r.title), HF_TEXT(hf_buf_span(&search)), HF_TEXT(doc), HF_INT(change)));
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

int hf_store_incident_get(struct hf_store *s, struct hf_span id, struct hf_buf *ret_doc, uint64_t *ret_revision, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, "SELECT doc, revision FROM incidents WHERE id = ?", HF_V(HF_TEXT(id)));
    if (rc == 0)
        rc = hf_sql_next(&r, err);
    if (rc <= 0)
        return rc;
    hf_buf_adds(ret_doc, hf_sql_text(&r, 0));
    if (!hf_buf_ok(ret_doc))
        return hf_fail(err, HF_E_LIMIT, "incident " HF_SPAN_FMT " has over %zu bytes", HF_SPAN_ARG(id), ret_doc->max);
    if (ret_revision)
        *ret_revision = (uint64_t)hf_sql_int(&r, 1);
    return 1;
}

int hf_store_incident_delete(struct hf_store *s, struct hf_span id, struct hf_err *err)
{
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, s, err);
    if (rc == 0)
        rc = hf_sql_run(s, err, "DELETE FROM alerts WHERE incident = ? AND incident <> ''", HF_V(HF_TEXT(id)));
    if (rc >= 0)
        rc = hf_sql_run(s, err, "DELETE FROM incidents WHERE id = ?", HF_V(HF_TEXT(id)));
    if (rc < 0)
        return rc;
    if (rc == 0)
        return hf_fail(err, HF_E_NOT_FOUND, "there is no incident " HF_SPAN_FMT, HF_SPAN_ARG(id));
    return hf_tx_commit(&tx, err);
}

#define FILTER                                                                                                     \
    " FROM incidents WHERE state IN (?, ?, ?, ?) AND severity >= ? AND (? = '' OR assignee = ?) AND updated >= ?"  \
    " AND updated < ? AND (? = '%%' OR search LIKE ? ESCAPE '\\')"
enum { FILTER_VALUES = 11 };

static void filter_values(const struct hf_incident_filter *f, struct hf_buf *like, struct hf_sql_value v[FILTER_VALUES])
{
    unsigned states_wanted = f->states ? f->states : 15;
    hf_sql_like(like, hf_span_sub(f->text, 0, HF_STORE_KEY_MAX));
    for (unsigned i = 0; i < 4; i++)
        v[i] = HF_INT(states_wanted & 1u << i);
    v[4] = HF_INT(f->min_severity);
    v[5] = v[6] = HF_TEXT(f->assignee);
    v[7] = HF_INT(f->since);
    v[8] = HF_INT(f->until ? f->until : INT64_MAX);
    v[9] = v[10] = HF_TEXT(hf_buf_span(like));
}

static struct hf_span state_name(int64_t bit)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(states); i++) {
        if (bit == 1 << i)
            return hf_span_z(states[i]);
    }
    return HF_S("?");
}

#define ROW "SELECT id, revision, state, severity, assignee, opened, updated, last_alert, title, doc, change"

static int rows(struct hf_store *s, const char *sql, const struct hf_sql_value *v, size_t n, hf_incident_cb cb, void *ctx, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, sql, v, n);
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_incident_row row = {.id = hf_sql_text(&r, 0), .revision = (uint64_t)hf_sql_int(&r, 1), .state = state_name(hf_sql_int(&r, 2)),
                .severity = (int)hf_sql_int(&r, 3), .assignee = hf_sql_text(&r, 4), .opened = hf_sql_int(&r, 5), .updated = hf_sql_int(&r, 6),
                .last_alert = hf_sql_int(&r, 7), .title = hf_sql_text(&r, 8), .doc = hf_sql_text(&r, 9), .change = (uint64_t)hf_sql_int(&r, 10)};
        rc = cb(ctx, &row);
        if (rc != 0)
            return rc;
    }
    return rc;
}

int hf_store_incident_list(struct hf_store *s, const struct hf_incident_filter *f, hf_incident_cb cb, void *ctx, struct hf_err *err)
{
    struct hf_sql_value v[FILTER_VALUES + 3];
    hf_autobuf like = HF_BUF_INIT(4 * HF_STORE_KEY_MAX);
    filter_values(f, &like, v);
    v[FILTER_VALUES] = HF_INT(f->after_updated ? f->after_updated : INT64_MAX);
    v[FILTER_VALUES + 1] = HF_TEXT(f->after_id);
    v[FILTER_VALUES + 2] = HF_INT(hf_store_limit(f->limit, 100));
    return rows(s, ROW FILTER " AND (updated, id) < (?, ?) ORDER BY updated DESC, id DESC LIMIT ?", v, FILTER_VALUES + 3, cb, ctx, err);
}

int hf_store_incident_changes(struct hf_store *s, uint64_t after, unsigned limit, hf_incident_cb cb, void *ctx, struct hf_err *err)
{
    return rows(s, ROW " FROM incidents WHERE change > ? ORDER BY change LIMIT ?", HF_V(HF_INT(HF_MIN(after, (uint64_t)INT64_MAX)), HF_INT(hf_store_limit(limit, 1000))), cb, ctx,
            err);
}

int hf_store_incident_last_change(struct hf_store *s, uint64_t *ret, struct hf_err *err)
{
    int64_t n = 0;
    int rc = hf_sql_get_int(s, err, &n, "SELECT value FROM counters WHERE name = 'incident_changes'", HF_NO_VALUES);
    if (rc >= 0)
        *ret = (uint64_t)n;
    return rc < 0 ? rc : 0;
}

int hf_store_incident_counts(struct hf_store *s, hf_incident_count_cb cb, void *ctx, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, "SELECT state, severity, count(*) FROM incidents GROUP BY state, severity ORDER BY state, severity", HF_NO_VALUES);
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        rc = cb(ctx, state_name(hf_sql_int(&r, 0)), (int)hf_sql_int(&r, 1), (uint64_t)hf_sql_int(&r, 2));
        if (rc != 0)
            return rc;
    }
    return rc;
}

int hf_store_incident_count(struct hf_store *s, const struct hf_incident_filter *f, uint64_t *ret, struct hf_err *err)
{
    struct hf_sql_value v[FILTER_VALUES];
    hf_autobuf like = HF_BUF_INIT(4 * HF_STORE_KEY_MAX);
    int64_t n = 0;
    filter_values(f, &like, v);
    int rc = hf_sql_get_int(s, err, &n, "SELECT count(*)" FILTER, v, FILTER_VALUES);
    if (rc >= 0)
        *ret = (uint64_t)n;
    return rc < 0 ? rc : 0;
}

/* ---- alerts ---- */

int hf_store_alert_add(struct hf_store *s, const struct hf_alert_row *a, uint64_t *ret_seq, struct hf_err *err)
{
    int64_t seq = 0;
    int rc = hf_store_cap(a->doc, HF_STORE_DOC_MAX, "an alert", err);
    if (rc == 0)
        rc = hf_store_cap(a->rule, HF_STORE_KEY_MAX, "the rule of an alert", err);
    if (rc == 0)
        rc = hf_store_cap(a->container, HF_STORE_KEY_MAX, "the container of an alert", err);
    if (rc == 0)
        rc = hf_store_cap(a->incident, HF_STORE_KEY_MAX, "the incident of an alert", err);
    hf_autotx tx = {0};
    if (rc == 0)
        rc = hf_tx_begin(&tx, s, err);
    if (rc == 0)
        rc = hf_store_next_seq(s, "alerts", &seq, err);
    if (rc == 0)
        rc = hf_sql_run(s, err, "INSERT INTO alerts(seq, time, incident, rule, severity, container, bytes, doc) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                HF_V(HF_INT(seq), HF_INT(a->time), HF_TEXT(a->incident), HF_TEXT(a->rule), HF_INT(a->severity), HF_TEXT(a->container),
                        HF_INT(a->doc.n), HF_TEXT(a->doc)));
    if (rc >= 0)
        rc = hf_tx_commit(&tx, err);
    if (rc == 0 && ret_seq)
        *ret_seq = (uint64_t)seq;
    return rc;
}

static int alert_rows(struct hf_store *s, const char *sql, const struct hf_sql_value *v, size_t n, hf_alert_cb cb, void *ctx, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, sql, v, n);
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_alert_row row = {(uint64_t)hf_sql_int(&r, 0), hf_sql_int(&r, 1), (int)hf_sql_int(&r, 2), hf_sql_text(&r, 3), hf_sql_text(&r, 4),
                hf_sql_text(&r, 5), hf_sql_text(&r, 6)};
        rc = cb(ctx, &row);
        if (rc != 0)
            return rc;
    }
    return rc;
}
#define ALERT "SELECT seq, time, severity, incident, rule, container, doc FROM alerts WHERE "

int hf_store_alert_list(struct hf_store *s, struct hf_span incident, uint64_t after, unsigned limit, hf_alert_cb cb, void *ctx, struct hf_err *err)
{
    struct hf_sql_value l = HF_INT(hf_store_limit(limit, 1000));
    return incident.n ? alert_rows(s, ALERT "incident = ? AND seq > ? ORDER BY seq LIMIT ?", HF_V(HF_TEXT(incident), HF_INT(after), l), cb, ctx, err)
                      : alert_rows(s, ALERT "seq > ? ORDER BY seq LIMIT ?", HF_V(HF_INT(after), l), cb, ctx, err);
}

int hf_store_alert_since(struct hf_store *s, int64_t since, uint64_t after, unsigned limit, hf_alert_cb cb, void *ctx, struct hf_err *err)
{
    return alert_rows(s, ALERT "(time, seq) > (?, ?) ORDER BY time, seq LIMIT ?", HF_V(HF_INT(since), HF_INT(after), HF_INT(hf_store_limit(limit, 1000))), cb, ctx, err);
}

/* With a rule or a container the index of that goes by time: near enough to the order of seq to sort few rows. */
int hf_store_alert_newest(struct hf_store *s, struct hf_span rule, struct hf_span container, uint64_t before, unsigned limit, hf_alert_cb cb, void *ctx, struct hf_err *err)
{
    struct hf_sql_value l = HF_INT(hf_store_limit(limit, 1000)), b = HF_INT(before && before < INT64_MAX ? before : INT64_MAX);
    if (container.n)
        return alert_rows(s, ALERT "container = ? AND (? = '' OR rule = ?) AND seq < ? ORDER BY seq DESC LIMIT ?", HF_V(HF_TEXT(container), HF_TEXT(rule), HF_TEXT(rule), b, l), cb,
                ctx, err);
    return rule.n ? alert_rows(s, ALERT "rule = ? AND seq < ? ORDER BY seq DESC LIMIT ?", HF_V(HF_TEXT(rule), b, l), cb, ctx, err)
                  : alert_rows(s, ALERT "seq < ? ORDER BY seq DESC LIMIT ?", HF_V(b, l), cb, ctx, err);
}

struct one_alert {
    hf_alert_cb cb;
    void *ctx;
    bool found;
};

static int alert_keep(void *ctx, const struct hf_alert_row *row)
{
    struct one_alert *to = ctx;
    to->found = true;
    return to->cb(to->ctx, row);
}

int hf_store_alert_get(struct hf_store *s, uint64_t seq, hf_alert_cb cb, void *ctx, struct hf_err *err)
{
    struct one_alert to = {cb, ctx, false};
    int rc = alert_rows(s, ALERT "seq = ?", HF_V(HF_INT(HF_MIN(seq, (uint64_t)INT64_MAX))), alert_keep, &to, err);
    return rc < 0 ? rc : to.found;
}

int hf_store_alert_counts(struct hf_store *s, int64_t since, int64_t step_ns, unsigned by, hf_alert_count_cb cb, void *ctx, struct hf_err *err)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err,
            "SELECT CASE WHEN ? > 0 THEN time / ? ELSE 0 END, CASE WHEN ? > 0 THEN rule ELSE '' END, CASE WHEN ? > 0 THEN severity ELSE -1 END, count(*), max(time)"
            " FROM alerts WHERE time >= ? GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            HF_V(HF_INT(step_ns), HF_INT(HF_MAX(step_ns, 1)), HF_INT(by & HF_COUNT_RULE), HF_INT(by & HF_COUNT_SEVERITY), HF_INT(since)));
    while (rc == 0 && (rc = hf_sql_next(&r, err)) > 0) {
        struct hf_alert_count row = {step_ns > 0 ? hf_sql_int(&r, 0) * step_ns : since, hf_sql_text(&r, 1), (int)hf_sql_int(&r, 2), (uint64_t)hf_sql_int(&r, 3), hf_sql_int(&r, 4)};
        rc = cb(ctx, &row);
        if (rc != 0)
            return rc;
    }
    return rc;
}

int hf_store_alert_count(struct hf_store *s, struct hf_span rule, struct hf_span container, int64_t since, uint64_t *ret_n, int64_t *ret_last, struct hf_err *err)
{
    bool c = container.n > 0;
    struct hf_sql_value of = HF_TEXT(c ? container : rule);
    int64_t n = 0, last = 0;
    int rc = 0;
    if (ret_n)
        rc = c ? hf_sql_get_int(s, err, &n, "SELECT count(*) FROM alerts WHERE container = ? AND time >= ?", HF_V(of, HF_INT(since)))
               : hf_sql_get_int(s, err, &n, "SELECT count(*) FROM alerts WHERE rule = ? AND time >= ?", HF_V(of, HF_INT(since)));
    if (rc >= 0 && ret_last)
        rc = c ? hf_sql_get_int(s, err, &last, "SELECT max(time) FROM alerts WHERE container = ?", HF_V(of))
               : hf_sql_get_int(s, err, &last, "SELECT max(time) FROM alerts WHERE rule = ?", HF_V(of));
    if (rc < 0)
        return rc;
    if (ret_n)
        *ret_n = (uint64_t)n;
    if (ret_last)
        *ret_last = last;
    return 0;
}
