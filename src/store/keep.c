/* SPDX-License-Identifier: Apache-2.0 */
#include "store/keep.h"

#include <errno.h>
#include <stdio.h>

#include "store/audit.h"
#include "store/sql-internal.h"

enum { PAGE = 500 };

/* ---- pages of a table in the order of its key ---- */

struct reading {
    const struct hf_table *t;
    struct hf_buf sql[2]; /* first page, next pages */
    struct hf_buf text;   /* of the last key */
    struct hf_sql_value key[HF_SQL_PARAMS];
    size_t columns;
    uint64_t rows;
};

static struct hf_span columns_first(const struct hf_table *t, unsigned n)
{
    struct hf_span all = hf_span_z(t->columns), part;
    const char *start = all.p, *end = all.p;
    while (n-- && hf_span_cut(&all, ',', &part))
        end = part.p + part.n;
    return hf_span(start, (size_t)(end - start));
}

static void reading_init(struct reading *r, const struct hf_table *t)
{
    *r = (struct reading){.t = t, .columns = strlen(t->types)};
    struct hf_span key = columns_first(t, t->key);
    hf_buf_init(&r->text, 64 << 10);
    for (unsigned i = 0; i < 2; i++) {
        hf_buf_init(&r->sql[i], 4096);
        hf_buf_addf(&r->sql[i], "SELECT %s FROM %s", t->columns, t->name);
        if (i) {
            hf_buf_addf(&r->sql[i], " WHERE (" HF_SPAN_FMT ") > (?", HF_SPAN_ARG(key));
            for (unsigned k = 1; k < t->key; k++)
                hf_buf_addz(&r->sql[i], ", ?");
            hf_buf_addc(&r->sql[i], ')');
        }
        hf_buf_addf(&r->sql[i], " ORDER BY " HF_SPAN_FMT " LIMIT %d", HF_SPAN_ARG(key), PAGE);
        (void)hf_buf_z(&r->sql[i]);
    }
}

static void reading_done(struct reading *r)
{
    hf_buf_done(&r->sql[0]);
    hf_buf_done(&r->sql[1]);
    hf_buf_done(&r->text);
}

typedef int (*row_cb)(void *ctx, const struct hf_table *t, const struct hf_sql_value *v, size_t n, struct hf_err *err);

static void values_of(const struct hf_sql_rows *rows, const struct hf_table *t, struct hf_sql_value *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        v[i] = t->types[i] == 'i' ? HF_INT(hf_sql_int(rows, (unsigned)i)) : HF_TEXT(hf_sql_text(rows, (unsigned)i));
        v[i].null = hf_sql_is_null(rows, (unsigned)i);
    }
}

/* 1: there may be more. */
static int read_page(struct hf_store *s, struct reading *r, row_cb cb, void *ctx, struct hf_err *err)
{
    struct hf_sql_value v[HF_SQL_PARAMS];
    unsigned n = 0;
    hf_autorows rows = {0};
    int rc = hf_sql_query(&rows, s, err, r->sql[r->rows > 0].p, r->rows ? r->key : NULL, r->rows ? r->t->key : 0);
    while (rc == 0 && (rc = hf_sql_next(&rows, err)) > 0) {
        values_of(&rows, r->t, v, r->columns);
        rc = cb ? cb(ctx, r->t, v, r->columns, err) : 0;
        r->rows++;
        if (++n < PAGE || rc < 0)
            continue;
        size_t at[HF_SQL_PARAMS];
        hf_buf_clear(&r->text);
        for (unsigned k = 0; k < r->t->key; k++) {
            r->key[k] = v[k];
            at[k] = r->text.n;
            hf_buf_adds(&r->text, v[k].s);
        }
        if (!hf_buf_ok(&r->text))
            return hf_fail(err, HF_E_LIMIT, "store %s, table %s: a key of over %zu bytes", hf_store_name(s), r->t->name, r->text.max);
        for (unsigned k = 0; k < r->t->key; k++)
            r->key[k].s.p = r->text.p ? r->text.p + at[k] : "";
        return 1;
    }
    return rc;
}

/* ---- migrate ---- */

struct copying {
    struct hf_store *to;
    struct hf_buf insert;
};

static int copy_row(void *ctx, const struct hf_table *t, const struct hf_sql_value *v, size_t n, struct hf_err *err)
{
    struct copying *c = ctx;
    (void)t;
    int rc = hf_sql_run(c->to, err, c->insert.p, v, n);
    return rc < 0 ? rc : 0;
}

static int empty(struct hf_store *s, struct hf_err *err)
{
    for (size_t i = 0; i < hf_tables_n; i++) {
        char sql[80];
        int64_t n;
        snprintf(sql, sizeof sql, "SELECT 1 FROM %s LIMIT 1", hf_tables[i].name);
        int rc = hf_sql_get_int(s, err, &n, sql, HF_NO_VALUES);
        if (rc < 0)
            return rc;
        if (rc > 0)
            return hf_fail(err, HF_E_USAGE, "store %s is not empty (table %s): a store can only be moved to a new one", hf_store_name(s), hf_tables[i].name);
    }
    return 0;
}

static int copy_table(struct hf_store *from, struct hf_store *to, const struct hf_table *t, hf_store_progress progress, void *ctx, struct hf_err *err)
{
    struct copying c = {to, HF_BUF_INIT(4096)};
    hf_cleanup(reading_done) struct reading r;
    int64_t n = 0;
    char sql[80];
    reading_init(&r, t);
    hf_buf_addf(&c.insert, "INSERT INTO %s(%s) VALUES(?", t->name, t->columns);
    for (size_t i = 1; i < r.columns; i++)
        hf_buf_addz(&c.insert, ", ?");
    hf_buf_addc(&c.insert, ')');
    (void)hf_buf_z(&c.insert);
    int rc;
    do {
        rc = read_page(from, &r, copy_row, &c, err);
        if (progress && rc >= 0)
            progress(ctx, t->name, r.rows);
    } while (rc > 0);
    hf_buf_done(&c.insert);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", t->name);
    if (rc == 0)
        rc = hf_sql_get_int(to, err, &n, sql, HF_NO_VALUES);
    if (rc >= 0 && (uint64_t)n != r.rows)
        return hf_fail(err, HF_E_DIGEST, "table %s: %llu rows were read, %lld arrived", t->name, (unsigned long long)r.rows, (long long)n);
    return rc < 0 ? rc : 0;
}

int hf_store_migrate(struct hf_store *from, struct hf_store *to, hf_store_progress progress, void *ctx, struct hf_err *err)
{
    hf_autotx reading = {0}, writing = {0};
    struct hf_audit_head a, b;
    if (from == to || !strcmp(hf_store_name(from), hf_store_name(to)))
        return hf_fail(err, HF_E_USAGE, "a store cannot be moved to itself");
    int rc = hf_tx_begin(&reading, from, err);
    if (rc == 0)
        rc = hf_tx_begin(&writing, to, err);
    if (rc == 0)
        rc = empty(to, err);
    /* What is copied must be what was written: a chain that is broken already is not carried on quietly. */
    if (rc == 0)
        rc = hf_store_audit_verify(from, NULL, &a, err);
    for (size_t i = 0; i < hf_tables_n && rc == 0; i++)
        rc = copy_table(from, to, &hf_tables[i], progress, ctx, err);
    if (rc == 0)
        rc = hf_store_audit_verify(to, &a, &b, err);
    return rc < 0 ? rc : hf_tx_commit(&writing, err);
}

/* ---- check ---- */

struct checking {
    hf_store_check_cb cb;
    void *ctx;
    int problems;
};

static void tell(struct checking *c, const char *part, uint64_t rows, const char *problem)
{
    c->problems += problem != NULL;
    if (c->cb)
        c->cb(c->ctx, part, rows, problem);
}

/* SQLite's own look at pages and indexes of a table.  True: a problem was told. */
static bool check_pages(struct hf_store *s, const char *table, struct checking *c)
{
    struct hf_err err = HF_ERR_INIT;
    char sql[80];
    bool bad = false;
    hf_autorows r = {0};
    snprintf(sql, sizeof sql, "PRAGMA integrity_check(%s)", table);
    int rc = hf_sql_query(&r, s, &err, sql, HF_NO_VALUES);
    for (int i = 0; i < 5 && rc == 0 && (rc = hf_sql_next(&r, &err)) > 0; i++, rc = 0) { /* five say enough */
        hf_autobuf text = HF_BUF_INIT(1024);
        struct hf_span line = hf_sql_text(&r, 0);
        if (hf_span_eqz(line, "ok"))
            return bad;
        if (hf_span_starts(line, HF_S("***"))) /* a heading */
            line = hf_span_from(line, hf_span_find(line, '\n') + 1);
        hf_buf_add_escaped(&text, hf_span_sub(line, 0, 200), 0);
        tell(c, table, 0, hf_buf_z(&text));
        bad = true;
    }
    if (rc < 0)
        tell(c, table, 0, err.msg);
    return bad || rc < 0;
}

static void check_table(struct hf_store *s, const struct hf_table *t, struct checking *c)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(reading_done) struct reading r;
    int rc;
    reading_init(&r, t);
    if (s->ops == &hf_sqlite_ops && check_pages(s, t->name, c))
        return;
    while ((rc = read_page(s, &r, NULL, NULL, &err)) > 0)
        ;
    tell(c, t->name, r.rows, rc < 0 ? err.msg : NULL);
}

/* Settings of the server without which "acknowledged" means little. */
static void check_server(struct hf_store *s, struct checking *c)
{
    static const char *const names[] = {"fsync", "full_page_writes", "synchronous_commit"};
    for (size_t i = 0; s->ops == &hf_pg_ops && i < HF_ARRAY_LEN(names); i++) {
        struct hf_err err = HF_ERR_INIT;
        char text[160];
        hf_autorows r = {0};
        int rc = hf_sql_query(&r, s, &err, "SELECT current_setting(?)", HF_V(HF_TEXTZ(names[i])));
        if (rc == 0)
            rc = hf_sql_next(&r, &err);
        bool off = rc > 0 && hf_span_eqz(hf_sql_text(&r, 0), "off");
        snprintf(text, sizeof text, "the server has %s = off: what is acknowledged may be lost when it crashes", names[i]);
        if (rc < 0 || off)
            tell(c, names[i], 0, rc < 0 ? err.msg : text);
    }
}

int hf_store_check(struct hf_store *s, hf_store_check_cb cb, void *ctx, struct hf_err *err)
{
    struct checking c = {cb, ctx, 0};
    struct hf_err detail = HF_ERR_INIT;
    struct hf_audit_head head = {0};
    if (s->depth)
        return hf_fail(err, -EINVAL, "a store is not checked inside a transaction");
    int rc = s->ops->ready(s->db, err);
    if (rc < 0)
        return hf_wrap(err, rc, "store %s", hf_store_name(s));
    for (size_t i = 0; i < hf_tables_n; i++)
        check_table(s, &hf_tables[i], &c);
    rc = hf_store_audit_verify(s, NULL, &head, &detail);
    tell(&c, "audit chain", head.seq, rc < 0 ? detail.msg : NULL);
    check_server(s, &c);
    return c.problems;
}
