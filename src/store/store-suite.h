/* SPDX-License-Identifier: Apache-2.0 */
/* store-suite.h - the tests that every database has to pass: a header, since tap.h counts within one file.
 * store_suite(url): url names an empty store. */
#pragma once
#include <errno.h>
#include <stdio.h>

#include "store/audit.h"
#include "store/incidents.h"
#include "store/inventory.h"
#include "store/keep.h"
#include "store/queue.h"
#include "store/settings.h"
#include "store/sql.h"
#include "tap.h"

#define S(z) hf_span_z(z)
#define NONE ((struct hf_span){NULL, 0})
static struct hf_err err;

static int good(int rc)
{
    if (rc < 0)
        printf("# %d: %s\n", rc, err.msg);
    return rc;
}

static bool says(const char *part)
{
    bool found = strstr(err.msg, part) != NULL;
    if (!found)
        printf("# the error is \"%s\"\n", err.msg);
    return found;
}

/* ---- the SQL layer ---- */

static void sql_layer(struct hf_store *s)
{
    EQ_I(good(hf_sql_run(s, &err, "CREATE TABLE t(id BIGINT NOT NULL PRIMARY KEY, a BIGINT, b TEXT)", HF_NO_VALUES)), 0);
    struct hf_sql_value none = HF_TEXT(NONE), nothing = HF_INT(0);
    none.null = nothing.null = true;
    EQ_I(good(hf_sql_run(s, &err, "INSERT INTO t(id, a, b) VALUES(?, ?, ?)", HF_V(HF_INT(1), HF_INT(INT64_MIN), HF_TEXTZ("o'x?%")))), 1);
    EQ_I(good(hf_sql_run(s, &err, "INSERT INTO t(id, a, b) VALUES(?, ?, ?)", HF_V(HF_INT(2), HF_INT(INT64_MAX), HF_TEXT(NONE)))), 1);
    EQ_I(good(hf_sql_run(s, &err, "INSERT INTO t(id, a, b) VALUES(?, ?, ?)", HF_V(HF_INT(3), nothing, none))), 1);
    {
        hf_autorows r = {0};
        EQ_I(good(hf_sql_query(&r, s, &err, "SELECT a, b, '?', 1 = 1 FROM t ORDER BY id", HF_NO_VALUES)), 0);
        EQ_I(hf_sql_next(&r, &err), 1);
        OK(hf_sql_int(&r, 0) == INT64_MIN);
        EQ_S(hf_sql_text(&r, 1), "o'x?%");
        EQ_S(hf_sql_text(&r, 2), "?");
        EQ_I(hf_sql_int(&r, 3), 1);
        /* the same statement again while the first still runs */
        hf_autorows again = {0};
        EQ_I(good(hf_sql_query(&again, s, &err, "SELECT a, b, '?', 1 = 1 FROM t ORDER BY id", HF_NO_VALUES)), 0);
        EQ_I(hf_sql_next(&again, &err), 1);
        OK(hf_sql_int(&again, 0) == INT64_MIN);
        EQ_I(hf_sql_next(&r, &err), 1);
        OK(hf_sql_int(&r, 0) == INT64_MAX && !hf_sql_is_null(&r, 1) && hf_sql_text(&r, 1).n == 0);
        EQ_I(hf_sql_next(&r, &err), 1);
        OK(hf_sql_is_null(&r, 0) && hf_sql_is_null(&r, 1));
        EQ_I(hf_sql_next(&r, &err), 0);
    }
    int64_t n = -1;
    EQ_I(hf_sql_get_int(s, &err, &n, "SELECT max(a) FROM t WHERE id > ?", HF_V(HF_INT(5))), 0);
    EQ_I(hf_sql_run(s, &err, "INSERT INTO t(id) VALUES(?)", HF_V(HF_INT(1))), -EEXIST);
    OK(says("table t: "));
    EQ_I(hf_sql_run(s, &err, "INSERT INTO t(id) VALUES(?, ?)", HF_V(HF_INT(1))), -EINVAL);
    EQ_I(hf_sql_run(s, &err, "INSERT INTO no_such(id) VALUES(?)", HF_V(HF_INT(1))), -EINVAL);
    OK(says("table no_such: "));
    /* more different statements than are kept, each still right */
    unsigned right = 0;
    for (int i = 0; i < 300; i++) {
        char sql[60];
        snprintf(sql, sizeof sql, "SELECT a + %d FROM t WHERE id = ?", i);
        int64_t v = 0;
        right += hf_sql_get_int(s, &err, &v, sql, HF_V(HF_INT(1))) == 1 && v == INT64_MIN + i;
    }
    EQ_U(right, 300);
    /* transactions in transactions */
    hf_autotx tx = {0};
    EQ_I(good(hf_tx_begin(&tx, s, &err)), 0);
    EQ_I(good(hf_sql_run(s, &err, "UPDATE t SET a = 1 WHERE id = 1", HF_NO_VALUES)), 1);
    {
        hf_autotx in = {0};
        EQ_I(good(hf_tx_begin(&in, s, &err)), 0);
        EQ_I(good(hf_sql_run(s, &err, "UPDATE t SET a = 2 WHERE id = 1", HF_NO_VALUES)), 1);
        EQ_I(hf_sql_run(s, &err, "INSERT INTO t(id) VALUES(?)", HF_V(HF_INT(1))), -EEXIST);
        EQ_I(hf_tx_commit(&tx, &err), -EINVAL); /* the outer one first: refused */
    }
    EQ_I(hf_sql_get_int(s, &err, &n, "SELECT a FROM t WHERE id = 1", HF_NO_VALUES), 1);
    EQ_I(n, 1);
    EQ_I(good(hf_tx_commit(&tx, &err)), 0);
    {
        hf_autotx lost = {0};
        EQ_I(good(hf_tx_begin(&lost, s, &err)), 0);
        EQ_I(good(hf_sql_run(s, &err, "DELETE FROM t", HF_NO_VALUES)), 3);
    }
    EQ_I(hf_sql_get_int(s, &err, &n, "SELECT count(*) FROM t", HF_NO_VALUES), 1);
    EQ_I(n, 3);
    EQ_I(good(hf_sql_run(s, &err, "DROP TABLE t", HF_NO_VALUES)) < 0, 0);
}

/* ---- hostile content ---- */

static void hostile(struct hf_store *s)
{
    hf_autobuf got = HF_BUF_INIT(8 << 20), big = HF_BUF_INIT(8 << 20);
    static const char odd[] = "a\0b\xff\xc0\xaf\xed\xa0\x80\xf0\x9f\x98\x80\xe2\x82";
    EQ_I(good(hf_store_setting_put(s, hf_span(odd, sizeof odd - 1), hf_span(odd, sizeof odd - 1), &err)), 0);
    EQ_I(good(hf_store_setting_get(s, hf_span(odd, sizeof odd - 1), &got, &err)), 1);
#define R "\xef\xbf\xbd"
    EQ_S(hf_buf_span(&got), "a" R "b" R R R R R R "\xf0\x9f\x98\x80" R R);
    hf_buf_clear(&got);
    for (int i = 0; i < 1 << 20; i++)
        hf_buf_addc(&big, (char)(i % 251)); /* 1 MB with NUL and bytes that are not UTF-8 */
    EQ_I(good(hf_store_setting_put(s, S("big"), hf_buf_span(&big), &err)), 0);
    EQ_I(good(hf_store_setting_get(s, S("big"), &got, &err)), 1);
    hf_autobuf clean = HF_BUF_INIT(8 << 20);
    hf_sql_clean(&clean, hf_buf_span(&big));
    OK(hf_span_eq(hf_buf_span(&got), hf_buf_span(&clean)) && hf_span_is_utf8(hf_buf_span(&got)) && got.n > 1 << 20);
    while (big.n <= HF_STORE_DOC_MAX)
        hf_buf_adds(&big, hf_span(odd, 1));
    EQ_I(hf_store_setting_put(s, S("too big"), hf_buf_span(&big), &err), HF_E_LIMIT);
    OK(says("4194304"));
    EQ_I(hf_store_setting_put(s, hf_span_sub(hf_buf_span(&big), 0, 5000), S("x"), &err), HF_E_LIMIT);
    EQ_I(hf_store_setting_put(s, NONE, S("x"), &err), HF_E_FORMAT);
    EQ_I(good(hf_store_setting_put(s, S("x'; DROP TABLE settings; --"), S("\"; --"), &err)), 0);
    hf_buf_clear(&got);
    EQ_I(good(hf_store_setting_get(s, S("x'; DROP TABLE settings; --"), &got, &err)), 1);
    EQ_S(hf_buf_span(&got), "\"; --");
    hf_autobuf small = HF_BUF_INIT(2);
    EQ_I(hf_store_setting_get(s, S("x'; DROP TABLE settings; --"), &small, &err), HF_E_LIMIT);
}

static int collect(void *ctx, struct hf_span key, struct hf_span value, int64_t changed)
{
    (void)value;
    hf_buf_adds(ctx, key);
    hf_buf_addc(ctx, changed > 0 ? ' ' : '!');
    return 0;
}

static void settings(struct hf_store *s)
{
    hf_autobuf got = HF_BUF_INIT(65536);
    static const char *const names[] = {"n/b", "n/A", "n/a", "n/\xc3\xa9", "n", "nn", "m/z"};
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
        EQ_I(good(hf_store_setting_put(s, S(names[i]), S("1"), &err)), 0);
    EQ_I(good(hf_store_setting_put(s, S("n/a"), S("2"), &err)), 0);
    EQ_I(good(hf_store_setting_get(s, S("n/a"), &got, &err)), 1);
    EQ_S(hf_buf_span(&got), "2");
    hf_buf_clear(&got);
    EQ_I(good(hf_store_setting_list(s, S("n/"), NONE, 0, collect, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), "n/A n/a n/b n/\xc3\xa9 "); /* byte order on both */
    hf_buf_clear(&got);
    EQ_I(good(hf_store_setting_list(s, S("n/"), S("n/A"), 2, collect, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), "n/a n/b ");
    EQ_I(hf_store_setting_delete(s, S("n/b"), &err), 1);
    EQ_I(hf_store_setting_delete(s, S("n/b"), &err), 0);
    EQ_I(hf_store_setting_get(s, S("n/b"), &got, &err), 0);
}

/* ---- incidents and alerts ---- */

static struct hf_span incident(struct hf_buf *b, const char *id, unsigned revision, const char *state, const char *severity, unsigned minute, const char *title)
{
    hf_buf_clear(b);
    hf_buf_addf(b, "{\"schema\":\"holdfast.incident/1\",\"id\":\"%s\",\"revision\":%u,\"title\":\"%s\",\"summary\":\"Some words.\",\"severity\":\"%s\",\"state\":\"%s\","
                   "\"assignee\":\"%s\",\"opened\":\"2026-11-26T19:00:00Z\",\"updated\":\"2026-11-26T19:%02u:00.5+00:00\",\"hosts\":[\"node-7\"],"
                   "\"containers\":[{\"id\":\"c0ffee\",\"name\":\"Web-1\",\"image\":\"shop/web:3\"}],\"rules\":[{\"rule\":\"shell_in_container\"}]}",
            id, revision, title, severity, state, minute % 2 ? "ann" : "", minute);
    return hf_buf_span(b);
}

static int ids(void *ctx, const struct hf_incident_row *row)
{
    hf_buf_adds(ctx, row->id);
    hf_buf_addc(ctx, ' ');
    return 0;
}

static void list_is(struct hf_store *s, struct hf_incident_filter f, const char *expected)
{
    hf_autobuf got = HF_BUF_INIT(65536);
    uint64_t n = 99, commas = 0;
    EQ_I(good(hf_store_incident_list(s, &f, ids, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), expected);
    for (size_t i = 0; i < got.n; i++)
        commas += got.p[i] == ' ';
    if (!f.limit && !f.after_updated) {
        EQ_I(good(hf_store_incident_count(s, &f, &n, &err)), 0);
        EQ_U(n, commas);
    }
}

static int check_row(void *ctx, const struct hf_incident_row *r)
{
    (void)ctx;
    EQ_S(r->state, "contained");
    EQ_S(r->assignee, "ann");
    EQ_S(r->title, "Third");
    EQ_I(r->severity, 6);
    EQ_U(r->revision, 4);
    OK(r->opened == INT64_C(1795719600) * 1000000000 && r->updated == INT64_C(1795719780) * 1000000000 + 500000000 && r->last_alert == 0);
    return 7;
}

static void incidents(struct hf_store *s)
{
    hf_autobuf b = HF_BUF_INIT(65536), got = HF_BUF_INIT(65536);
    uint64_t revision = 0;
    EQ_I(good(hf_store_incident_put(s, incident(&b, "I-1", 1, "open", "low", 1, "First 100%"), 0, &err)), 0);
    EQ_I(hf_store_incident_put(s, hf_buf_span(&b), 0, &err), -ESTALE);
    OK(says("it has revision 1, not 0"));
    EQ_I(good(hf_store_incident_get(s, S("I-1"), &got, &revision, &err)), 1);
    OK(hf_span_eq(hf_buf_span(&got), hf_buf_span(&b)) && revision == 1);
    EQ_I(good(hf_store_incident_put(s, incident(&b, "I-1", 2, "acknowledged", "low", 5, "First 100%"), 1, &err)), 0);
    EQ_I(hf_store_incident_put(s, incident(&b, "I-1", 3, "open", "low", 6, "Late"), 1, &err), -ESTALE);
    EQ_I(hf_store_incident_put(s, incident(&b, "I-1", 2, "open", "low", 6, "Late"), 2, &err), HF_E_FORMAT);
    EQ_I(hf_store_incident_put(s, incident(&b, "I-9", 3, "open", "low", 6, "None"), 2, &err), HF_E_NOT_FOUND);
    EQ_I(hf_store_incident_get(s, S("I-9"), &got, &revision, &err), 0);
    EQ_I(hf_store_incident_put(s, S("{\"id\":\"I-9\"}"), 0, &err), HF_E_FORMAT);
    EQ_I(hf_store_incident_put(s, S("[]"), 0, &err), HF_E_FORMAT);
    EQ_I(hf_store_incident_put(s, incident(&b, "I-9", 1, "closed", "low", 6, "x"), 0, &err), HF_E_FORMAT);
    EQ_I(hf_store_incident_put(s, incident(&b, "I-9", 1, "open", "worst", 6, "x"), 0, &err), HF_E_FORMAT);
    EQ_I(good(hf_store_incident_put(s, incident(&b, "I-2", 1, "resolved", "high", 2, "Second_one"), 0, &err)), 0);
    EQ_I(good(hf_store_incident_put(s, incident(&b, "I-3", 4, "contained", "critical", 3, "Third"), 0, &err)), 0);
    EQ_I(good(hf_store_incident_put(s, incident(&b, "I-4", 1, "open", "debug", 3, "Fourth"), 0, &err)), 0);
    list_is(s, (struct hf_incident_filter){0}, "I-1 I-4 I-3 I-2 ");
    list_is(s, (struct hf_incident_filter){.states = HF_STATE_UNRESOLVED}, "I-1 I-4 I-3 ");
    list_is(s, (struct hf_incident_filter){.min_severity = 5}, "I-3 I-2 ");
    list_is(s, (struct hf_incident_filter){.assignee = S("ann")}, "I-1 I-4 I-3 ");
    list_is(s, (struct hf_incident_filter){.text = S("wEB-1")}, "I-1 I-4 I-3 I-2 ");
    list_is(s, (struct hf_incident_filter){.text = S("%")}, "I-1 ");
    list_is(s, (struct hf_incident_filter){.text = S("d_o")}, "I-2 ");
    list_is(s, (struct hf_incident_filter){.text = S("\\")}, "");
    int64_t minute = INT64_C(60000000000), base = INT64_C(1795719600) * 1000000000 + 500000000;
    list_is(s, (struct hf_incident_filter){.since = base + 3 * minute}, "I-1 I-4 I-3 ");
    list_is(s, (struct hf_incident_filter){.until = base + 3 * minute}, "I-2 ");
    list_is(s, (struct hf_incident_filter){.limit = 2}, "I-1 I-4 ");
    list_is(s, (struct hf_incident_filter){.limit = 2, .after_updated = base + 3 * minute, .after_id = S("I-4")}, "I-3 I-2 ");
    EQ_I(hf_store_incident_list(s, &(struct hf_incident_filter){.min_severity = 6}, check_row, NULL, &err), 7);
}

/* ---- what changed, and counts ---- */

static int changed(void *ctx, const struct hf_incident_row *row)
{
    hf_buf_addf(ctx, HF_SPAN_FMT ":%u ", HF_SPAN_ARG(row->id), (unsigned)row->change);
    return 0;
}

static int counted(void *ctx, struct hf_span state, int severity, uint64_t n)
{
    hf_buf_addf(ctx, HF_SPAN_FMT "/%d=%u ", HF_SPAN_ARG(state), severity, (unsigned)n);
    return 0;
}

static void changes(struct hf_store *s, const char *url)
{
    hf_cleanup(hf_store_closep) struct hf_store *t = NULL;
    hf_autobuf b = HF_BUF_INIT(65536), got = HF_BUF_INIT(65536);
    uint64_t last = 99;
    EQ_I(good(hf_store_incident_last_change(s, &last, &err)), 0);
    EQ_U(last, 5); /* what incidents() put; those that were refused took none */
    EQ_I(good(hf_store_incident_changes(s, 0, 0, changed, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), "I-1:2 I-2:3 I-3:4 I-4:5 ");
    hf_buf_clear(&got);
    EQ_I(good(hf_store_incident_changes(s, 2, 2, changed, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), "I-2:3 I-3:4 ");
    /* another writer: its change is behind all that were seen */
    EQ_I(good(hf_store_open(&t, url, &err)), 0);
    EQ_I(good(hf_store_incident_put(t, incident(&b, "I-2", 2, "resolved", "high", 2, "Second_one"), 1, &err)), 0);
    EQ_I(good(hf_store_incident_last_change(s, &last, &err)), 0);
    EQ_U(last, 6);
    hf_buf_clear(&got);
    EQ_I(good(hf_store_incident_changes(s, 4, 0, changed, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), "I-4:5 I-2:6 ");
    { /* one that is rolled back is none */
        hf_autotx tx = {0};
        EQ_I(good(hf_tx_begin(&tx, t, &err)), 0);
        EQ_I(good(hf_store_incident_put(t, incident(&b, "I-2", 3, "resolved", "high", 2, "Second_one"), 2, &err)), 0);
    }
    EQ_I(good(hf_store_incident_last_change(s, &last, &err)), 0);
    EQ_U(last, 6);
    EQ_I(good(hf_store_incident_changes(s, UINT64_MAX, 0, changed, &got, &err)), 0);
    hf_buf_clear(&got);
    EQ_I(good(hf_store_incident_counts(s, counted, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), "open/0=1 acknowledged/3=1 contained/6=1 resolved/5=1 ");
}

struct seen {
    unsigned n;
    uint64_t last;
    struct hf_buf text;
};

static int alert(void *ctx, const struct hf_alert_row *row)
{
    struct seen *seen = ctx;
    OK(row->seq > seen->last);
    seen->last = row->seq;
    seen->n++;
    hf_buf_adds(&seen->text, row->doc);
    return 0;
}

static int newest(void *ctx, const struct hf_alert_row *row)
{
    hf_buf_adds(ctx, row->doc);
    return 0;
}

static int alert_counted(void *ctx, const struct hf_alert_count *c)
{
    hf_buf_addf(ctx, "%lld " HF_SPAN_FMT " %d *%u @%lld, ", (long long)c->from, HF_SPAN_ARG(c->rule), c->severity, (unsigned)c->n, (long long)c->last);
    return 0;
}

static void alert_counts(struct hf_store *s)
{
    struct seen seen = {.text = HF_BUF_INIT(65536)};
    hf_autobuf got = HF_BUF_INIT(65536);
    uint64_t seq[6], n = 9;
    int64_t last = 9;
    static const int64_t times[] = {5, 105, 110, 199, 205, 206};
    for (size_t i = 0; i < HF_ARRAY_LEN(times); i++) {
        struct hf_alert_row a = {.time = times[i], .severity = i < 3 ? 4 : 5, .rule = i % 2 ? S("shell") : S("miner"), .container = i < 4 ? S("web") : S("db"), .doc = hf_span(&"uvwxyz"[i], 1)};
        EQ_I(good(hf_store_alert_add(s, &a, &seq[i], &err)), 0);
    }
#define COUNTS(since, step, by, expected)                                                          \
    do {                                                                                           \
        hf_buf_clear(&got);                                                                        \
        EQ_I(good(hf_store_alert_counts(s, since, step, by, alert_counted, &got, &err)), 0);       \
        EQ_S(hf_buf_span(&got), expected);                                                         \
    } while (0)
    COUNTS(100, 0, 0, "100  -1 *5 @206, ");
    COUNTS(0, 100, 0, "0  -1 *1 @5, 100  -1 *3 @199, 200  -1 *2 @206, ");
    COUNTS(100, 100, HF_COUNT_RULE, "100 miner -1 *1 @110, 100 shell -1 *2 @199, 200 miner -1 *1 @205, 200 shell -1 *1 @206, ");
    COUNTS(100, 0, HF_COUNT_RULE | HF_COUNT_SEVERITY, "100 miner 4 *1 @110, 100 miner 5 *1 @205, 100 shell 4 *1 @105, 100 shell 5 *2 @206, ");
    COUNTS(1000, 100, HF_COUNT_SEVERITY, "");
    EQ_I(good(hf_store_alert_count(s, S("shell"), NONE, 106, &n, &last, &err)), 0);
    OK(n == 2 && last == 206);
    EQ_I(good(hf_store_alert_count(s, NONE, S("web"), 0, &n, &last, &err)), 0);
    OK(n == 4 && last == 199);
    EQ_I(good(hf_store_alert_count(s, S("never"), NONE, 0, &n, &last, &err)), 0);
    OK(n == 0 && last == 0);
    EQ_I(good(hf_store_alert_get(s, seq[3], alert, &seen, &err)), 1);
    EQ_S(hf_buf_span(&seen.text), "x");
    EQ_I(good(hf_store_alert_get(s, seq[5] + 1, alert, &seen, &err)), 0);
    hf_buf_clear(&got);
    EQ_I(good(hf_store_alert_newest(s, NONE, S("web"), 0, 3, newest, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), "xwv");
    EQ_I(good(hf_store_alert_newest(s, S("shell"), S("web"), seq[3], 0, newest, &got, &err)), 0);
    EQ_I(good(hf_store_alert_newest(s, S("miner"), NONE, 0, 1, newest, &got, &err)), 0);
    EQ_I(good(hf_store_alert_newest(s, NONE, NONE, 0, 1, newest, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), "xwvvyz");
    EQ_I(good(hf_sql_run(s, &err, "DELETE FROM alerts", HF_NO_VALUES)), 6);
    hf_buf_done(&seen.text);
}

static void alerts(struct hf_store *s)
{
    struct seen seen = {.text = HF_BUF_INIT(65536)};
    uint64_t seq[4];
    for (unsigned i = 0; i < 4; i++) {
        struct hf_alert_row a = {.time = 1000 + i, .severity = 4, .incident = i % 2 ? S("I-1") : NONE, .rule = S("r"), .container = S("c"), .doc = hf_span(&"abcd"[i], 1)};
        EQ_I(good(hf_store_alert_add(s, &a, &seq[i], &err)), 0);
    }
    EQ_I(good(hf_store_alert_list(s, S("I-1"), 0, 0, alert, &seen, &err)), 0);
    EQ_S(hf_buf_span(&seen.text), "bd");
    seen.last = 0;
    EQ_I(good(hf_store_alert_list(s, NONE, seq[0], 2, alert, &seen, &err)), 0);
    EQ_S(hf_buf_span(&seen.text), "bdbc");
    EQ_I(good(hf_store_incident_delete(s, S("I-1"), &err)), 0);
    EQ_I(hf_store_incident_delete(s, S("I-1"), &err), HF_E_NOT_FOUND);
    seen.last = 0;
    EQ_I(good(hf_store_alert_list(s, NONE, 0, 0, alert, &seen, &err)), 0);
    EQ_S(hf_buf_span(&seen.text), "bdbcac");
    hf_buf_done(&seen.text);
}

/* ---- audit ---- */

static int whole(void *ctx, const struct hf_audit_entry *e)
{
    hf_buf_addf(ctx, "%u:", (unsigned)e->seq);
    hf_buf_adds(ctx, e->by);
    hf_buf_adds(ctx, e->what);
    hf_buf_adds(ctx, e->target);
    hf_buf_adds(ctx, e->after);
    hf_buf_addc(ctx, ' ');
    return 0;
}

static void audit(struct hf_store *s)
{
    hf_autobuf got = HF_BUF_INIT(65536);
    struct hf_audit_head head, early = {0}, zero;
    uint64_t seq;
    EQ_I(good(hf_store_audit_verify(s, NULL, &zero, &err)), 0);
    EQ_U(zero.seq, 0);
    EQ_I(good(hf_store_audit_add(s, &(struct hf_audit_entry){.time = 5, .by = S("ann"), .via = S("cli"), .what = S("ack"), .target = S("I-1"), .after = S("{}")}, &seq, &err)), 0);
    EQ_U(seq, 1);
    EQ_I(good(hf_store_audit_head(s, &early, &err)), 0);
    /* fixed once and computed by hand (python3 hashlib): the form of the chain must not change */
    EQ_S(S(early.hash), "449d44fd8b9f683704ee81731b4c5fe104e1c101f4084d6e12c42e25af751994");
    EQ_I(good(hf_store_audit_add(s, &(struct hf_audit_entry){.by = S("b\xff"), .via = S("slack"), .what = S("comment"), .target = hf_span("I\0", 2), .after = S("x")}, &seq, &err)), 0);
    EQ_I(good(hf_store_audit_add(s, &(struct hf_audit_entry){.by = S("ann"), .what = S("close"), .target = S("I-1")}, NULL, &err)), 0);
    EQ_I(good(hf_store_audit_verify(s, &early, &head, &err)), 0);
    EQ_U(head.seq, 3);
    EQ_I(good(hf_store_audit_list(s, NONE, 0, 0, whole, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), "1:annackI-1{} 2:b" R "commentI" R "x 3:anncloseI-1 ");
    hf_buf_clear(&got);
    EQ_I(good(hf_store_audit_list(s, S("I-1"), 1, 0, whole, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), "3:anncloseI-1 ");
    OK(hf_sql_run(s, &err, "UPDATE audit SET who = 'eve' WHERE seq = 1", HF_NO_VALUES) < 0);
    OK(says("append-only"));
    OK(hf_sql_run(s, &err, "DELETE FROM audit WHERE seq = 3", HF_NO_VALUES) < 0);
    OK(says("append-only"));
    /* whoever can write the file can also take the triggers away: the chain tells */
    static const char *const deeds[][2] = {
            {"UPDATE audit SET who = 'eve' WHERE seq = 1", "entry 1 was altered"}, {"UPDATE audit SET time = time + 1 WHERE seq = 2", "entry 2 was altered"},
            {"UPDATE audit SET what = what || target, target = '' WHERE seq = 3", "entry 3 was altered"}, /* the same bytes, cut elsewhere */
            {"DELETE FROM audit WHERE seq = 2", "entry 2 is missing"}, {"DELETE FROM audit WHERE seq = 3", "the head kept says 3"},
            {"DELETE FROM audit WHERE seq = 1", "entry 1 is missing"}, {"UPDATE audit SET seq = 4 WHERE seq = 3", "entry 3 is missing"},
            {"UPDATE audit SET prev_hash = hash WHERE seq = 2", "entry 2 does not follow"},
    };
    bool lite = !strncmp(hf_store_name(s), "sqlite:", 7);
    for (size_t i = 0; i < HF_ARRAY_LEN(deeds); i++) {
        hf_autotx tx = {0};
        EQ_I(good(hf_tx_begin(&tx, s, &err)), 0);
        OK(good(lite ? hf_sql_run(s, &err, "DROP TRIGGER audit_no_update", HF_NO_VALUES) : hf_sql_run(s, &err, "DROP TRIGGER audit_no_change ON audit", HF_NO_VALUES)) >= 0);
        OK(!lite || good(hf_sql_run(s, &err, "DROP TRIGGER audit_no_delete", HF_NO_VALUES)) >= 0);
        EQ_I(good(hf_sql_run(s, &err, deeds[i][0], HF_NO_VALUES)), 1);
        EQ_I(hf_store_audit_verify(s, NULL, NULL, &err), HF_E_DIGEST);
        OK(says(deeds[i][1]));
    }
    EQ_I(good(hf_store_audit_verify(s, &early, &head, &err)), 0);
    early.hash[5] ^= 1;
    EQ_I(hf_store_audit_verify(s, &early, NULL, &err), HF_E_DIGEST);
    early.seq = 9;
    EQ_I(hf_store_audit_verify(s, &early, NULL, &err), HF_E_DIGEST);
    OK(says("cut off"));
}

/* ---- queue ---- */

static int dead(void *ctx, const struct hf_queue_entry *e)
{
    hf_buf_adds(ctx, e->body);
    hf_buf_addc(ctx, '/');
    hf_buf_adds(ctx, e->error);
    hf_buf_addc(ctx, ' ');
    return 0;
}

static void queue(struct hf_store *s)
{
    struct hf_queue_entry e, other;
    struct hf_queue_stats st;
    hf_autobuf text = HF_BUF_INIT(65536), text2 = HF_BUF_INIT(65536);
    int64_t next = -1;
    uint64_t first, seq;
    struct hf_span ch = S("slack");
    EQ_I(good(hf_store_queue_claim(s, ch, 100, 50, &e, &text, &next, &err)), 0);
    EQ_I(next, 0);
    EQ_I(good(hf_store_queue_push(s, ch, S("I-1"), S("one"), 0, &first, &err)), 0);
    EQ_I(good(hf_store_queue_push(s, ch, S("I-2"), S("two"), 0, NULL, &err)), 0);
    EQ_I(good(hf_store_queue_push(s, ch, NONE, S("three"), 0, NULL, &err)), 0);
    EQ_I(good(hf_store_queue_push(s, ch, NONE, S("four"), 0, NULL, &err)), 0);
    EQ_I(good(hf_store_queue_push(s, S("mail"), S("I-1"), S("mail"), 0, NULL, &err)), 0);
    EQ_I(good(hf_store_queue_push(s, ch, S("I-1"), S("one more"), 0, &seq, &err)), 0);
    EQ_U(seq, first);
    EQ_I(good(hf_store_queue_claim(s, ch, 100, 50, &e, &text, NULL, &err)), 1);
    EQ_S(e.body, "one more");
    EQ_S(e.key, "I-1");
    OK(e.folded == 1 && e.tries == 1 && e.seq == first && e.pushed > 0);
    /* one at a time a channel; the claimed one is not folded into */
    EQ_I(good(hf_store_queue_claim(s, ch, 120, 50, &other, &text2, &next, &err)), 0);
    EQ_I(next, 150);
    EQ_I(good(hf_store_queue_claim(s, S("mail"), 120, 50, &other, &text2, &next, &err)), 1);
    EQ_I(good(hf_store_queue_done(s, &other, &err)), 0);
    EQ_I(good(hf_store_queue_push(s, ch, S("I-1"), S("one later"), 0, &seq, &err)), 0);
    OK(seq != first);
    /* a retry holds back the others */
    EQ_I(good(hf_store_queue_retry(s, &e, 300, S("503"), &err)), 0);
    EQ_I(hf_store_queue_done(s, &e, &err), -ESTALE);
    EQ_I(good(hf_store_queue_claim(s, ch, 200, 50, &e, &text, &next, &err)), 0);
    EQ_I(next, 300);
    EQ_I(good(hf_store_queue_claim(s, ch, 300, 50, &e, &text, &next, &err)), 1);
    OK(e.seq == first && e.tries == 2);
    EQ_S(e.error, "503");
    /* the claimer dies: after the lease somebody else has it, and the first one's end does nothing */
    EQ_I(good(hf_store_queue_claim(s, ch, 350, 50, &other, &text2, &next, &err)), 1);
    OK(other.seq == first && other.tries == 3);
    EQ_I(hf_store_queue_done(s, &e, &err), -ESTALE);
    EQ_I(hf_store_queue_dead(s, &e, S("x"), &err), -ESTALE);
    EQ_I(good(hf_store_queue_dead(s, &other, S("gone"), &err)), 0);
    EQ_I(good(hf_store_queue_stats(s, ch, &st, &err)), 0);
    OK(st.waiting == 4 && st.claimed == 0 && st.dead == 1 && st.folded == 0 && st.oldest > 0);
    EQ_I(good(hf_store_queue_dead_list(s, NONE, 0, 0, dead, (hf_buf_clear(&text), &text), &err)), 0);
    EQ_S(hf_buf_span(&text), "one more/gone ");
    /* in order: two, three, four, one later; then what was dead comes back at its old place */
    static const char *const order[] = {"two", "three"};
    for (size_t i = 0; i < HF_ARRAY_LEN(order); i++) {
        EQ_I(good(hf_store_queue_claim(s, ch, 400, 50, &e, &text, NULL, &err)), 1);
        EQ_S(e.body, order[i]);
        EQ_I(good(hf_store_queue_done(s, &e, &err)), 0);
    }
    EQ_I(good(hf_store_queue_revive(s, first, &err)), 0);
    EQ_I(hf_store_queue_revive(s, first, &err), HF_E_NOT_FOUND);
    static const char *const then[] = {"one more", "four", "one later"};
    for (size_t i = 0; i < HF_ARRAY_LEN(then); i++) {
        EQ_I(good(hf_store_queue_claim(s, ch, 400, 50, &e, &text, NULL, &err)), 1);
        EQ_S(e.body, then[i]);
        EQ_U(e.tries, 1);
        EQ_I(good(hf_store_queue_done(s, &e, &err)), 0);
    }
    /* for later: does not hold back; numbers are not given twice */
    EQ_I(good(hf_store_queue_push(s, ch, S("k"), S("later"), 900, &first, &err)), 0);
    OK(first > seq);
    EQ_I(good(hf_store_queue_push(s, ch, NONE, S("now"), 0, NULL, &err)), 0);
    EQ_I(good(hf_store_queue_claim(s, ch, 500, 50, &e, &text, NULL, &err)), 1);
    EQ_S(e.body, "now");
    EQ_I(good(hf_store_queue_dead(s, &e, S("bad"), &err)), 0);
    EQ_I(good(hf_store_queue_drop(s, e.seq, &err)), 0);
    EQ_I(hf_store_queue_drop(s, first, &err), HF_E_NOT_FOUND);
    EQ_I(good(hf_store_queue_claim(s, ch, 500, 50, &e, &text, &next, &err)), 0);
    EQ_I(next, 900);
    EQ_I(good(hf_store_queue_push(s, ch, S("k"), S("sooner"), 600, NULL, &err)), 0);
    EQ_I(good(hf_store_queue_claim(s, ch, 600, 50, &e, &text, &next, &err)), 1);
    EQ_S(e.body, "sooner");
    EQ_I(good(hf_store_queue_done(s, &e, &err)), 0);
    EQ_I(hf_store_queue_push(s, NONE, NONE, S("x"), 0, NULL, &err), HF_E_FORMAT);
    /* what is folded never overtakes: the first is at a retry, the second of the same key waits behind it, the third goes into the second */
    EQ_I(good(hf_store_queue_push(s, ch, S("o"), S("v1"), 0, NULL, &err)), 0);
    EQ_I(good(hf_store_queue_claim(s, ch, 700, 50, &e, &text, NULL, &err)), 1);
    EQ_I(good(hf_store_queue_push(s, ch, S("o"), S("v2"), 0, NULL, &err)), 0);
    EQ_I(good(hf_store_queue_retry(s, &e, 700, S("503"), &err)), 0);
    EQ_I(good(hf_store_queue_push(s, ch, S("o"), S("v3"), 0, NULL, &err)), 0);
    static const char *const versions[] = {"v1", "v3"};
    for (size_t i = 0; i < HF_ARRAY_LEN(versions); i++) {
        EQ_I(good(hf_store_queue_claim(s, ch, 700, 50, &e, &text, NULL, &err)), 1);
        EQ_S(e.body, versions[i]);
        EQ_I(good(hf_store_queue_done(s, &e, &err)), 0);
    }
}

/* ---- inventory ---- */

static int package(void *ctx, struct hf_span digest, const struct hf_inv_package *p, uint64_t running)
{
    hf_buf_adds(ctx, digest);
    hf_buf_addc(ctx, '/');
    hf_buf_adds(ctx, p->name);
    hf_buf_addf(ctx, "-" HF_SPAN_FMT "%s*%u ", HF_SPAN_ARG(p->version), p->used ? "!" : "", (unsigned)running);
    return 0;
}

static int finding(void *ctx, struct hf_span digest, const struct hf_inv_finding *f, uint64_t running)
{
    hf_buf_addf(ctx, HF_SPAN_FMT "/" HF_SPAN_FMT "%s@%u*%u ", HF_SPAN_ARG(digest), HF_SPAN_ARG(f->id), f->used ? "!" : "", (unsigned)f->found, (unsigned)running);
    return 0;
}

static int container(void *ctx, const struct hf_inv_container *c)
{
    hf_buf_addf(ctx, HF_SPAN_FMT "%s ", HF_SPAN_ARG(c->id), c->ended ? "-" : "+");
    return 0;
}

static int image(void *ctx, const struct hf_inv_image *i, uint64_t running)
{
    hf_buf_addf(ctx, HF_SPAN_FMT "=" HF_SPAN_FMT "*%u ", HF_SPAN_ARG(i->digest), HF_SPAN_ARG(i->name), (unsigned)running);
    return 0;
}

static int host(void *ctx, const struct hf_inv_host *h)
{
    hf_buf_addf(ctx, HF_SPAN_FMT "=" HF_SPAN_FMT "@%u ", HF_SPAN_ARG(h->id), HF_SPAN_ARG(h->name), (unsigned)h->seen);
    return 0;
}

#define LIST(expected, call)                                 \
    do {                                                     \
        hf_buf_clear(&got);                                  \
        EQ_I(good(call), 0);                                 \
        EQ_S(hf_buf_span(&got), expected);                   \
    } while (0)

/* Pushed and claimed in one, only where nothing stands before it; commits that do not wait for the disk; housekeeping by somebody else. */
static void queue_claimed(struct hf_store *s)
{
    struct hf_queue_entry e, other;
    hf_autobuf text = HF_BUF_INIT(1u << 16);
    int64_t next = 0;
    struct hf_span ch = S("claimed");
    EQ_I(good(hf_store_queue_push_claimed(s, ch, S("I-1"), S("one"), 100, 50, &e, &err)), 1);
    EQ_U(e.tries, 1);
    EQ_I(good(hf_store_queue_push_claimed(s, ch, S("I-2"), S("two"), 100, 50, &other, &err)), 0); /* one is under way */
    EQ_I(good(hf_store_queue_claim(s, ch, 120, 50, &other, &text, &next, &err)), 0);
    EQ_I(next, 150);
    EQ_I(good(hf_store_queue_claim(s, ch, 150, 50, &other, &text, &next, &err)), 1); /* whoever had it died */
    EQ_S(other.body, "one");
    EQ_I(hf_store_queue_done(s, &e, &err), -ESTALE);
    EQ_I(good(hf_store_relax(s, true, &err)), 0);
    EQ_I(good(hf_store_queue_done(s, &other, &err)), 0);
    EQ_I(good(hf_store_queue_push(s, ch, S("I-3"), S("later"), 1000, NULL, &err)), 0);
    EQ_I(good(hf_store_queue_push_claimed(s, ch, S("I-3"), S("newer"), 200, 50, &e, &err)), 0); /* to be folded with that */
    EQ_I(good(hf_store_queue_push_claimed(s, ch, S("I-4"), S("four"), 200, 50, &e, &err)), 1); /* what waits for later is not before it */
    {
        hf_autotx tx = {0};
        EQ_I(good(hf_tx_begin(&tx, s, &err)), 0);
        EQ_I(hf_store_relax(s, false, &err), -EBUSY);
    }
    EQ_I(good(hf_store_queue_retry(s, &e, 500, S("503"), &err)), 0);
    EQ_I(good(hf_store_queue_push_claimed(s, ch, S("I-5"), S("five"), 300, 50, &other, &err)), 0); /* a retry holds it back */
    EQ_I(good(hf_store_relax(s, false, &err)), 0);
    EQ_I(good(hf_store_checkpoint(s, &err)), 0);
    EQ_I(hf_store_queue_push_claimed(s, NONE, S("I-1"), S("one"), 100, 50, &e, &err), HF_E_FORMAT);
    for (int64_t at = 500; at < 2000; at += 500)
        if (hf_store_queue_claim(s, ch, at, 50, &e, &text, NULL, &err) == 1)
            EQ_I(good(hf_store_queue_done(s, &e, &err)), 0);
}

static void inventory(struct hf_store *s)
{
    hf_autobuf got = HF_BUF_INIT(65536);
    const struct hf_inv_package a[] = {{S("debian:12"), S("libssl3"), S("3.0.1"), S("openssl"), NONE, false}, {S("debian:12"), S("zlib1g"), S("1.2"), S("zlib"), NONE, false},
                                       {S("debian:12"), S("zlib1g"), S("1.2"), S("zlib"), NONE, true}};
    const struct hf_inv_package b[] = {{S("debian:12"), S("openssl"), S("3.0.2"), S("openssl"), NONE, false}, {S("npm"), S("openssl"), S("1"), NONE, NONE, false}};
    for (int i = 0; i < 2; i++) /* twice: the second changes */
        EQ_I(good(hf_store_host_put(s, &(struct hf_inv_host){S("h1"), i ? S("node") : S("old"), S("{}"), 5 + i}, &err)), 0);
    LIST("h1=node@6 ", hf_store_host_list(s, NONE, 0, host, &got, &err));
    EQ_I(hf_store_packages_put(s, S("sha256:a"), a, 3, &err), HF_E_NOT_FOUND);
    EQ_I(good(hf_store_image_put(s, &(struct hf_inv_image){S("sha256:a"), S("web"), S("{}"), 0}, &err)), 0);
    EQ_I(good(hf_store_image_put(s, &(struct hf_inv_image){S("sha256:b"), S("db"), S("{}"), 3}, &err)), 0);
    EQ_I(good(hf_store_packages_put(s, S("sha256:a"), a, 3, &err)), 0);
    EQ_I(good(hf_store_packages_put(s, S("sha256:b"), b, 2, &err)), 0);
    static const char *const names[] = {"c1", "c2", "c3"};
    for (int i = 0; i < 3; i++)
        EQ_I(good(hf_store_container_put(s, &(struct hf_inv_container){S(names[i]), S("h1"), S("n"), S("web"), i < 2 ? S("sha256:a") : S("sha256:b"), S("{}"), 1, 0, 1}, &err)), 0);
    EQ_I(hf_store_container_end(s, S("c2"), 9, &err), 1);
    EQ_I(hf_store_container_end(s, S("c2"), 10, &err), 0);
    LIST("c1+ c2- c3+ ", hf_store_container_list(s, false, NONE, NONE, 0, container, &got, &err));
    LIST("c1+ c3+ ", hf_store_container_list(s, true, NONE, NONE, 0, container, &got, &err));
    LIST("c2- ", hf_store_container_list(s, false, S("sha256:a"), S("c1"), 1, container, &got, &err));
    hf_buf_clear(&got);
    EQ_I(good(hf_store_host_get(s, S("h1"), host, &got, &err)), 1);
    EQ_I(good(hf_store_container_get(s, S("c2"), container, &got, &err)), 1);
    EQ_I(good(hf_store_image_get(s, S("sha256:b"), image, &got, &err)), 1);
    EQ_I(good(hf_store_host_get(s, S("h"), host, &got, &err)), 0);
    EQ_I(good(hf_store_container_get(s, S("c"), container, &got, &err)), 0);
    EQ_I(good(hf_store_image_get(s, NONE, image, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), "h1=node@6 c2- sha256:b=db*1 ");
    LIST("sha256:a=web*1 sha256:b=db*1 ", hf_store_image_list(s, NONE, 0, image, &got, &err));
    /* the re-match of an advisory about Debian's source package openssl */
    LIST("sha256:a/libssl3-3.0.1*1 sha256:b/openssl-3.0.2*1 ", hf_store_packages_named(s, S("debian:12"), S("openssl"), package, &got, &err));
    LIST("sha256:a/libssl3-3.0.1*1 sha256:a/zlib1g-1.2!*1 ", hf_store_packages(s, S("sha256:a"), package, &got, &err));
    struct hf_inv_finding f = {S("CVE-1"), S("debian:12"), S("libssl3"), S("3.0.1"), S("3.0.9"), S("{}"), 5, false, 77};
    EQ_I(good(hf_store_finding_add(s, S("sha256:a"), &f, &err)), 1);
    EQ_I(good(hf_store_finding_add(s, S("sha256:a"), &f, &err)), 0);
    struct hf_inv_finding both[] = {f, f};
    both[0].found = 99;
    both[1].id = S("CVE-0");
    both[1].severity = 2;
    EQ_I(good(hf_store_findings_put(s, S("sha256:a"), both, 2, &err)), 0);
    LIST("sha256:a/CVE-1@77*1 sha256:a/CVE-0@77*1 ", hf_store_findings(s, S("sha256:a"), finding, &got, &err));
    EQ_I(good(hf_store_package_used(s, S("sha256:a"), S("debian:12"), S("libssl3"), NONE, &err)), 0);
    LIST("sha256:a/CVE-1!@77*1 ", hf_store_findings_of(s, S("CVE-1"), finding, &got, &err));
    LIST("sha256:a/libssl3-3.0.1!*1 sha256:a/zlib1g-1.2!*1 ", hf_store_packages(s, S("sha256:a"), package, &got, &err));
    struct hf_finding_counts fc;
    struct hf_inv_counts ic;
    EQ_I(good(hf_store_finding_counts(s, S("sha256:a"), false, &fc, &err)), 0);
    OK(fc.n[5] == 1 && fc.n[2] == 1 && fc.n[0] == 0 && fc.used[5] == 1 && fc.used[2] == 1);
    EQ_I(good(hf_store_finding_add(s, S("sha256:b"), &f, &err)), 1);
    EQ_I(good(hf_store_finding_counts(s, NONE, false, &fc, &err)), 0);
    OK(fc.n[5] == 2 && fc.used[5] == 1);
    EQ_I(hf_store_container_end(s, S("c3"), 9, &err), 1);
    EQ_I(good(hf_store_finding_counts(s, NONE, true, &fc, &err)), 0);
    OK(fc.n[5] == 1 && fc.used[5] == 1);
    EQ_I(good(hf_store_inventory_counts(s, &ic, &err)), 0);
    OK(ic.hosts == 1 && ic.images == 2 && ic.scanned == 1 && ic.containers == 3 && ic.running == 1 && ic.packages == 4 && ic.findings == 3);
    EQ_I(good(hf_store_container_put(s, &(struct hf_inv_container){S("c3"), S("h1"), S("n"), S("web"), S("sha256:b"), S("{}"), 1, 0, 1}, &err)), 0);
    EQ_I(good(hf_store_findings_put(s, S("sha256:a"), both, 1, &err)), 0);
    LIST("sha256:a/CVE-1@77*1 ", hf_store_findings(s, S("sha256:a"), finding, &got, &err));
    int64_t made = 0;
    EQ_I(good(hf_store_seal_put(s, &(struct hf_inv_seal){S("sha256:a"), S("seal"), 4}, &err)), 0);
    hf_buf_clear(&got);
    EQ_I(good(hf_store_seal_get(s, S("sha256:a"), &got, &made, &err)), 1);
    OK(made == 4 && hf_span_eqz(hf_buf_span(&got), "seal"));
    EQ_I(hf_store_seal_get(s, S("sha256:b"), &got, &made, &err), 0);
    EQ_I(hf_store_image_put(s, &(struct hf_inv_image){NONE, S("web"), S("{}"), 0}, &err), HF_E_FORMAT);
}

/* ---- two handles ---- */

static void two(struct hf_store *s, const char *url)
{
    hf_cleanup(hf_store_closep) struct hf_store *t = NULL, *reader = NULL;
    hf_autobuf got = HF_BUF_INIT(4096);
    int64_t n = 0;
    EQ_I(good(hf_store_open(&t, url, &err)), 0);
    EQ_I(good(hf_store_open_with(&reader, url, HF_STORE_READ_ONLY, &err)), 0);
    EQ_I(good(hf_store_setting_put(t, S("two"), S("t"), &err)), 0);
    EQ_I(good(hf_store_setting_get(s, S("two"), &got, &err)), 1);
    EQ_S(hf_buf_span(&got), "t");
    OK(hf_store_setting_put(reader, S("two"), S("no"), &err) < 0);
    {
        hf_autotx tx = {0};
        EQ_I(good(hf_tx_begin(&tx, reader, &err)), 0);
        EQ_I(good(hf_sql_get_int(reader, &err, &n, "SELECT count(*) FROM settings WHERE name = 'two'", HF_NO_VALUES)), 1);
        EQ_I(n, 1);
        /* what a reader sees stays the same within its transaction, and does not stop the writer */
        EQ_I(hf_store_setting_delete(s, S("two"), &err), 1);
        EQ_I(good(hf_sql_get_int(reader, &err, &n, "SELECT count(*) FROM settings WHERE name = 'two'", HF_NO_VALUES)), 1);
        EQ_I(n, 1);
    }
    EQ_I(good(hf_sql_get_int(reader, &err, &n, "SELECT count(*) FROM settings WHERE name = 'two'", HF_NO_VALUES)), 1);
    EQ_I(n, 0);
}

/* One writes for as long as it likes: who opens the store, or reads, does not wait (would, for ten seconds, and then fail). */
static void while_another_writes(struct hf_store *s, const char *url)
{
    static const unsigned flags[] = {0, HF_STORE_MUST_EXIST, HF_STORE_READ_ONLY, HF_STORE_NO_CHECKPOINT};
    hf_autobuf got = HF_BUF_INIT(4096);
    hf_autotx tx = {0};
    EQ_I(good(hf_store_setting_put(s, S("before"), S("x"), &err)), 0);
    EQ_I(good(hf_tx_begin(&tx, s, &err)), 0);
    EQ_I(good(hf_store_setting_put(s, S("during"), S("x"), &err)), 0);
    unsigned opened = 0;
    for (unsigned i = 0; i < 100; i++) {
        hf_cleanup(hf_store_closep) struct hf_store *t = NULL;
        opened += good(hf_store_open_with(&t, url, flags[i % HF_ARRAY_LEN(flags)], &err)) == 0 && hf_store_setting_get(t, S("before"), &got, &err) == 1 && hf_store_setting_get(t, S("during"), &got, &err) == 0;
        hf_buf_clear(&got);
    }
    EQ_U(opened, 100);
    hf_cleanup(hf_store_closep) struct hf_store *reader = NULL, *other = NULL;
    hf_autotx reading = {0}, writing = {0};
    EQ_I(good(hf_store_open_with(&reader, url, HF_STORE_READ_ONLY, &err)), 0);
    EQ_I(good(hf_tx_begin(&reading, reader, &err)), 0);
    EQ_I(good(hf_store_open(&other, url, &err)), 0);
    EQ_I(hf_tx_try(&writing, other, &err), -EBUSY);
    EQ_I(good(hf_tx_commit(&tx, &err)), 0);
    EQ_I(good(hf_tx_try(&writing, other, &err)), 0);
    EQ_I(hf_store_setting_delete(other, S("during"), &err), 1);
    EQ_I(good(hf_tx_commit(&writing, &err)), 0);
}

static void newer(struct hf_store *s, const char *url)
{
    hf_cleanup(hf_store_closep) struct hf_store *t = NULL;
    EQ_I(good(hf_sql_run(s, &err, "INSERT INTO hf_schema(version, applied, program) VALUES(?, 1, 'holdfast 9')", HF_V(HF_INT(HF_STORE_VERSION + 1)))), 1);
    EQ_I(hf_store_open(&t, url, &err), HF_E_UNSUPPORTED);
    OK(says("schema version 3") && says("versions up to 2"));
    EQ_I(good(hf_sql_run(s, &err, "DELETE FROM hf_schema WHERE version = ?", HF_V(HF_INT(HF_STORE_VERSION + 1)))), 1);
    EQ_I(good(hf_store_open(&t, url, &err)), 0);
}

/* ---- retention, move, check ---- */

static void told(void *ctx, const char *part, uint64_t rows, const char *problem)
{
    (void)rows;
    if (problem)
        hf_buf_addf(ctx, "%s: %s; ", part, problem);
}

static int64_t rows_of(struct hf_store *s, const char *sql)
{
    int64_t n = -1;
    return hf_sql_get_int(s, &err, &n, sql, HF_NO_VALUES) < 0 ? -1 : n;
}

/* What is counted is what goes then. */
static int retain(struct hf_store *s, const struct hf_retention *r, int64_t now, struct hf_retained *done)
{
    struct hf_retained counted = {0};
    int64_t before = rows_of(s, "SELECT (SELECT count(*) FROM alerts) + (SELECT count(*) FROM incidents) + (SELECT count(*) FROM images) + (SELECT count(*) FROM settings)");
    EQ_I(good(hf_store_retain_count(s, r, now, &counted, &err)), 0);
    EQ_I(rows_of(s, "SELECT (SELECT count(*) FROM alerts) + (SELECT count(*) FROM incidents) + (SELECT count(*) FROM images) + (SELECT count(*) FROM settings)"), before);
    int rc = good(hf_store_retain(s, r, now, done, &err));
    EQ_U(counted.alerts, done->alerts);
    EQ_U(counted.incidents, done->incidents);
    EQ_U(counted.containers, done->containers);
    EQ_U(counted.images, done->images);
    EQ_U(counted.dead, done->dead);
    return rc;
}

static void notes_go(struct hf_store *s, int64_t now)
{
    struct hf_retained done;
    static const char *const kept[][2] = {{"notify/slack/I-open", "x"}, {"notify/slack/digest", "x"}, {"notify/slack/I-20261126-7K3Q9D", "is there"}, {"notify-ref/slack/1.2", "I-20261126-7K3Q9D"}, {"notify-ref/slack/1.4", "?"},
            {"notify-ref/jira/SEC-1", "I-20261126-7K3Q9D"}, {"notify/jira/seen/SEC-1", "{}"}};
    static const char *const gone[][2] = {{"notify/slack/I-20261126-AAAAAA", "x"}, {"notify/slack/I-20261126-AAAAAA:more", "x"}, {"notify-ref/slack/1.3", "I-20261126-AAAAAA"},
            {"notify-ref/jira/SEC-2", "I-20261126-AAAAAA"}, {"notify/jira/seen/SEC-2", "{}"}, {"notify/jira/seen/SEC-3", "{}"}, {"notify/slack/I-20261126-AAAAAA:once/0123", "1"}};
    hf_autobuf b = HF_BUF_INIT(65536);
    EQ_I(good(hf_store_incident_put(s, incident(&b, "I-20261126-7K3Q9D", 1, "open", "low", 1, "x"), 0, &err)), 0);
    for (size_t i = 0; i < HF_ARRAY_LEN(kept); i++)
        EQ_I(good(hf_store_setting_put(s, S(kept[i][0]), S(kept[i][1]), &err)), 0);
    for (size_t i = 0; i < HF_ARRAY_LEN(gone); i++)
        EQ_I(good(hf_store_setting_put(s, S(gone[i][0]), S(gone[i][1]), &err)), 0);
    EQ_I(good(hf_store_retain(s, &(struct hf_retention){0}, hf_store_now(), &done, &err)), 0);
    EQ_U(done.notes, 0); /* it was told just now: its incident may be on its way */
    EQ_I(good(hf_store_retain_count(s, &(struct hf_retention){0}, now, &done, &err)), 0);
    EQ_U(done.notes, HF_ARRAY_LEN(gone));
    EQ_I(good(hf_store_retain(s, &(struct hf_retention){0}, now, &done, &err)), 0);
    EQ_U(done.notes, HF_ARRAY_LEN(gone));
    EQ_I(rows_of(s, "SELECT count(*) FROM settings WHERE name LIKE 'notify%'"), HF_ARRAY_LEN(kept));
}

static void retention(struct hf_store *s)
{
    struct hf_retained done;
    hf_autobuf b = HF_BUF_INIT(65536);
    int64_t day = INT64_C(86400000000000), now = INT64_C(1795719600) * 1000000000 + 3000 * day;
    EQ_I(good(hf_sql_run(s, &err, "DELETE FROM alerts", HF_NO_VALUES)) < 0, 0);
    EQ_I(good(hf_store_incident_put(s, incident(&b, "I-open", 1, "open", "low", 1, "x"), 0, &err)), 0);
    EQ_I(good(hf_store_incident_put(s, incident(&b, "I-done", 1, "resolved", "low", 1, "x"), 0, &err)), 0);
    hf_autotx tx = {0};
    EQ_I(good(hf_tx_begin(&tx, s, &err)), 0);
    unsigned bad = 0;
    for (int i = 0; i < 2500; i++) {
        static const char *const of[] = {"", "I-open", "I-done", "", ""};
        struct hf_alert_row a = {.time = now - i * day, .rule = S("r"), .incident = S(of[i % 5]), .doc = S("0123456789")};
        bad += hf_store_alert_add(s, &a, NULL, &err) < 0;
    }
    EQ_U(bad, 0);
    EQ_I(good(hf_tx_commit(&tx, &err)), 0);
    EQ_I(retain(s, &(struct hf_retention){0}, now, &done), 0);
    EQ_U(done.alerts, 0);
    /* age: 2500 - 1001 are older than 1000 days, a fifth of which belongs to an open incident and stays */
    EQ_I(retain(s, &(struct hf_retention){.alerts_ns = 1000 * day}, now, &done), 0);
    EQ_U(done.alerts, 1199);
    EQ_I(rows_of(s, "SELECT count(*) FROM alerts"), 1301);
    EQ_I(rows_of(s, "SELECT count(*) FROM alerts WHERE incident = 'I-open'"), 500);
    /* size: of 13010 bytes 6000 may stay: the 801 of no open incident go first as far as needed, oldest first */
    EQ_I(retain(s, &(struct hf_retention){.alerts_bytes = 6000}, now, &done), 0);
    EQ_U(done.alerts, 701);
    EQ_I(rows_of(s, "SELECT count(*) FROM alerts WHERE incident = 'I-open'"), 500);
    EQ_I(retain(s, &(struct hf_retention){.alerts_bytes = 1000}, now, &done), 0);
    EQ_I(rows_of(s, "SELECT count(*) FROM alerts"), 100);
    OK(rows_of(s, "SELECT min(time) FROM alerts WHERE incident = 'I-open'") == now - 496 * day);
    /* incidents: resolved ones only, with their alerts */
    EQ_I(good(hf_store_alert_add(s, &(struct hf_alert_row){.time = now, .incident = S("I-done"), .doc = S("x")}, NULL, &err)), 0);
    int64_t resolved = rows_of(s, "SELECT count(*) FROM incidents WHERE state = 8"), all = rows_of(s, "SELECT count(*) FROM incidents");
    EQ_I(retain(s, &(struct hf_retention){.incidents_ns = day, .containers_ns = day, .dead_ns = day}, now, &done), 0);
    OK(resolved > 0 && done.incidents == (uint64_t)resolved && done.containers == 1);
    EQ_I(rows_of(s, "SELECT count(*) FROM incidents"), all - resolved);
    EQ_I(rows_of(s, "SELECT count(*) FROM alerts WHERE incident = 'I-done'"), 0);
    EQ_I(good(hf_store_incident_put(s, incident(&b, "I-done", 1, "resolved", "low", 1, "x"), 0, &err)), 0);
    EQ_I(retain(s, &(struct hf_retention){.incidents_bytes = 1}, now, &done), 0);
    EQ_U(done.incidents, 1);
    /* images that nothing runs from: a has a container, b's is gone */
    EQ_I(good(hf_sql_run(s, &err, "DELETE FROM containers WHERE digest = 'sha256:b'", HF_NO_VALUES)), 1);
    EQ_I(good(hf_store_image_put(s, &(struct hf_inv_image){S("sha256:c"), S("new"), S("{}"), now}, &err)), 0);
    EQ_I(good(hf_store_setting_put(s, S("inventory/matched/sha256:b"), S("x"), &err)), 0);
    EQ_I(retain(s, &(struct hf_retention){.images_ns = day}, now, &done), 0);
    EQ_U(done.images, 1);
    EQ_I(rows_of(s, "SELECT count(*) FROM images"), 2);
    EQ_I(rows_of(s, "SELECT count(*) FROM packages WHERE digest = 'sha256:b'"), 0);
    EQ_I(rows_of(s, "SELECT count(*) FROM settings WHERE name = 'inventory/matched/sha256:b'"), 0);
    EQ_I(good(hf_store_image_put(s, &(struct hf_inv_image){S("sha256:b"), S("db"), S("{}"), 3}, &err)), 0);
    notes_go(s, now);
    EQ_I(rows_of(s, "SELECT count(*) FROM audit WHERE what = 'retention'"), 7);
}

static void move(struct hf_store *s, const char *url2)
{
    hf_cleanup(hf_store_closep) struct hf_store *t = NULL;
    hf_autobuf text = HF_BUF_INIT(65536);
    struct hf_audit_head a, b;
    struct hf_queue_entry e;
    EQ_I(good(hf_store_open(&t, url2, &err)), 0);
    EQ_I(hf_store_migrate(s, s, NULL, NULL, &err), HF_E_USAGE);
    unsigned bad = 0;
    for (int i = 0; i < 1234; i++) { /* several pages of a table with a key of one text */
        char key[24];
        snprintf(key, sizeof key, "many/%d", i);
        bad += hf_store_setting_put(s, S(key), S(key), &err) < 0;
    }
    EQ_U(bad, 0);
    hf_autobuf names = HF_BUF_INIT(1 << 20);
    struct hf_inv_package p[1100]; /* and of a key of four */
    for (size_t i = 0; i < HF_ARRAY_LEN(p); i++) {
        size_t at = names.n;
        hf_buf_addf(&names, "p%zu", i);
        p[i] = (struct hf_inv_package){S("npm"), {NULL, at}, S("1"), NONE, NONE, false};
    }
    for (size_t i = 0; i < HF_ARRAY_LEN(p); i++)
        p[i].name = hf_span(names.p + p[i].name.n, (i + 1 < HF_ARRAY_LEN(p) ? p[i + 1].name.n : names.n) - p[i].name.n);
    EQ_I(good(hf_store_packages_put(s, S("sha256:b"), p, HF_ARRAY_LEN(p), &err)), 0);
    EQ_I(good(hf_store_queue_push(s, S("mail"), NONE, S("waits"), 0, NULL, &err)), 0);
    EQ_I(good(hf_store_migrate(s, t, NULL, NULL, &err)), 0);
    static const char *const tables[] = {"incidents", "alerts", "audit", "queue", "settings", "hosts", "images", "containers", "packages", "findings", "seals", "counters"};
    for (size_t i = 0; i < HF_ARRAY_LEN(tables); i++) {
        char sql[60];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[i]);
        OK(rows_of(t, sql) > 0);
        EQ_I(rows_of(t, sql), rows_of(s, sql));
    }
    EQ_I(good(hf_store_audit_verify(s, NULL, &a, &err)), 0);
    EQ_I(good(hf_store_audit_verify(t, &a, &b, &err)), 0);
    OK(a.seq == b.seq && a.seq > 3);
    /* it goes on there: numbers are not given again, the message is there */
    EQ_I(good(hf_store_queue_claim(t, S("mail"), hf_store_now(), 1, &e, &text, NULL, &err)), 1);
    EQ_S(e.body, "waits");
    uint64_t seq = 0;
    EQ_I(good(hf_store_alert_add(t, &(struct hf_alert_row){.doc = S("x")}, &seq, &err)), 0);
    OK((int64_t)seq > rows_of(s, "SELECT max(seq) FROM alerts"));
    EQ_I(good(hf_store_audit_add(t, &(struct hf_audit_entry){.by = S("x")}, NULL, &err)), 0);
    EQ_I(hf_store_migrate(s, t, NULL, NULL, &err), HF_E_USAGE);
    OK(says("is not empty"));
    hf_autobuf problems = HF_BUF_INIT(65536);
    EQ_I(good(hf_store_check(t, told, &problems, &err)), 0);
    EQ_S(hf_buf_span(&problems), "");
}

/* url names a store that the program of version 1 made (tests/store), url2 an empty one: it is brought forward, goes on, and can be moved. */
static void version_1(const char *url, const char *url2)
{
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL, *t = NULL, *reader = NULL;
    hf_autobuf got = HF_BUF_INIT(65536), b = HF_BUF_INIT(65536), problems = HF_BUF_INIT(65536);
    uint64_t last = 0;
    struct hf_audit_head head, moved;
    EQ_I(hf_store_open_with(&reader, url, HF_STORE_READ_ONLY, &err), HF_E_UNSUPPORTED);
    OK(says("schema version 1") && says("bring it to 2"));
    EQ_I(good(hf_store_open(&s, url, &err)), 0);
    if (!s)
        return;
    EQ_I(rows_of(s, "SELECT count(*) FROM hf_schema"), 2);
    /* numbered in the order of their last change: 19:10, 19:20, 19:30, 19:40 */
    EQ_I(good(hf_store_incident_changes(s, 0, 0, changed, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), "I-1:1 I-3:2 I-2:3 I-0:4 ");
    EQ_I(good(hf_store_incident_last_change(s, &last, &err)), 0);
    EQ_U(last, 4);
    EQ_I(good(hf_store_incident_put(s, incident(&b, "I-3", 5, "resolved", "low", 50, "x"), 4, &err)), 0);
    EQ_I(good(hf_store_incident_put(s, incident(&b, "I-4", 1, "open", "low", 51, "x"), 0, &err)), 0);
    hf_buf_clear(&got);
    EQ_I(good(hf_store_incident_changes(s, 4, 0, changed, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), "I-3:5 I-4:6 ");
    hf_buf_clear(&got);
    EQ_I(good(hf_store_alert_counts(s, 0, 0, HF_COUNT_RULE, alert_counted, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), "0 miner -1 *4 @1795719600000000000, 0 shell -1 *8 @1795726800000000000, ");
    LIST("sha256:a/CVE-1!@77*1 sha256:a/CVE-2@78*1 ", hf_store_findings(s, S("sha256:a"), finding, &got, &err));
    EQ_I(good(hf_store_audit_verify(s, NULL, &head, &err)), 0);
    EQ_U(head.seq, 4);
    EQ_I(good(hf_store_check(s, told, &problems, &err)), 0);
    EQ_S(hf_buf_span(&problems), "");
    EQ_I(good(hf_store_open(&t, url2, &err)), 0);
    EQ_I(good(hf_store_migrate(s, t, NULL, NULL, &err)), 0);
    EQ_I(good(hf_store_audit_verify(t, &head, &moved, &err)), 0);
    LIST("I-1:1 I-2:3 I-0:4 I-3:5 I-4:6 ", hf_store_incident_changes(t, 0, 0, changed, &got, &err));
    EQ_I(good(hf_store_incident_put(t, incident(&b, "I-4", 2, "open", "low", 52, "x"), 1, &err)), 0);
    LIST("I-4:7 ", hf_store_incident_changes(t, 6, 0, changed, &got, &err));
}

/* url and url2 name empty stores. */
static void store_suite(const char *url, const char *url2)
{
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    EQ_I(good(hf_store_open(&s, url, &err)), 0);
    if (!s)
        return;
    sql_layer(s);
    hostile(s);
    settings(s);
    incidents(s);
    changes(s, url);
    alert_counts(s);
    alerts(s);
    audit(s);
    queue(s);
    queue_claimed(s);
    inventory(s);
    two(s, url);
    while_another_writes(s, url);
    newer(s, url);
    retention(s);
    move(s, url2);
}
