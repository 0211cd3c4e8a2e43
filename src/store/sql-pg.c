/* SPDX-License-Identifier: Apache-2.0 */
/* PostgreSQL behind sql.h.  Parameters and results travel in binary form.
 *
 * libpq is loaded when the first store on PostgreSQL is opened: it brings Kerberos and LDAP along, which no other run should pay for. */
#include <errno.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>

#include "base/library.h"
#include "base/mem.h"
#include "store/sql-internal.h"

enum { OID_BOOL = 16, OID_BYTEA = 17, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23, OID_TEXT = 25, OID_OID = 26, CONNECT_S = 10 };
/* One writer a database: taken by every writing transaction, so that both databases behave the same (gapless numbers, the audit chain). */
#define WRITER_LOCK "4848015432001126"

struct pg {
    PGconn *c;
    struct hf_map by_sql; /* text -> number of the prepared statement */
    char *kept[HF_SQL_STATEMENTS];
    size_t n;
};
struct rows {
    PGresult *res;
    int at;
};

#define FUNCTIONS(X)                                                                                                                \
    X(PQclear) X(PQcmdTuples) X(PQconnectdbParams) X(PQerrorMessage) X(PQexec) X(PQexecPrepared) X(PQfformat) X(PQfinish) X(PQftype)  \
    X(PQgetisnull) X(PQgetlength) X(PQgetvalue) X(PQnfields) X(PQntuples) X(PQparameterStatus) X(PQprepare) X(PQreset) X(PQresultErrorField) \
    X(PQresultErrorMessage) X(PQresultStatus) X(PQsetNoticeProcessor) X(PQstatus) X(PQtransactionStatus)
static struct {
#define X(f) __typeof__(&f) f;
    FUNCTIONS(X)
#undef X
} q;
static const char *problem;

static void load(void)
{
    static const struct hf_symbol symbols[] = {
#define X(f) {#f, offsetof(__typeof__(q), f)},
            FUNCTIONS(X)
#undef X
    };
    problem = hf_library("libpq.so.5", symbols, sizeof symbols / sizeof symbols[0], &q);
}

/* ---- errors ---- */

static int code_of(const char *state)
{
    static const struct {
        const char *head;
        int rc;
    } table[] = {
            {"53100", -ENOSPC}, {"55P03", -EBUSY}, {"40", -EBUSY}, {"57014", -EBUSY}, {"23", -EEXIST}, {"25006", -EROFS}, {"42501", -EACCES}, {"28", -EACCES},
            {"3D", -ENOENT}, {"22021", HF_E_FORMAT}, {"54", HF_E_LIMIT}, {"57", -ECONNRESET}, {"08", -ECONNRESET}, {"53200", -ENOMEM}, {"42", -EINVAL},
    };
    for (size_t i = 0; state && i < HF_ARRAY_LEN(table); i++) {
        if (hf_span_starts(hf_span_z(state), hf_span_z(table[i].head)))
            return table[i].rc;
    }
    return -EIO; /* among them XX001 and XX002: a damaged page or index */
}

/* The server's message without its line ends; res may be NULL (no memory, no connection). */
static int failed(struct pg *p, const PGresult *res, struct hf_err *err)
{
    bool gone = q.PQstatus(p->c) != CONNECTION_OK;
    const char *text = res ? q.PQresultErrorMessage(res) : q.PQerrorMessage(p->c);
    const char *state = res ? q.PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    struct hf_span all = hf_span_z(text), line;
    hf_autobuf out = HF_BUF_INIT(2048);
    while (hf_span_line(&all, &line)) {
        line = hf_span_trim(line);
        if (line.n)
            hf_buf_addz(&out, out.n ? "; " : "");
        hf_buf_add_escaped(&out, line, 0);
    }
    int rc = gone || !state ? -ECONNRESET : code_of(state); /* without a code it is libpq's own: no answer came */
    return hf_fail(err, rc, "%s", out.n ? hf_buf_z(&out) : "the server gave no answer");
}

static int check(struct pg *p, PGresult *res, struct hf_err *err)
{
    ExecStatusType st = res ? q.PQresultStatus(res) : PGRES_FATAL_ERROR;
    return st == PGRES_COMMAND_OK || st == PGRES_TUPLES_OK || st == PGRES_EMPTY_QUERY ? 0 : failed(p, res, err);
}

/* ---- connection ---- */

static void forget(struct pg *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->kept[i]);
    p->n = 0;
    hf_map_done(&p->by_sql);
}

static int pg_script(void *db, const char *sql, struct hf_err *err)
{
    struct pg *p = db;
    PGresult *res = q.PQexec(p->c, sql);
    int rc = check(p, res, err);
    q.PQclear(res);
    return rc;
}

static int set_up(struct pg *p, struct hf_err *err)
{
    char sql[400];
    const char *encoding = q.PQparameterStatus(p->c, "server_encoding");
    if (!encoding || strcmp(encoding, "UTF8") != 0)
        return hf_fail(err, HF_E_UNSUPPORTED, "the database has the encoding %s; it must be UTF8 (createdb -E UTF8 -T template0)", encoding ? encoding : "?");
    snprintf(sql, sizeof sql,
            "SET synchronous_commit TO on; SET client_min_messages TO warning; SET lock_timeout TO %d; SET statement_timeout TO 0;"
            "SET default_transaction_isolation TO 'read committed'; SET standard_conforming_strings TO on", HF_STORE_WAIT_MS);
    return pg_script(p, sql, err);
}

static int pg_ready(void *db, struct hf_err *err)
{
    struct pg *p = db;
    if (q.PQstatus(p->c) == CONNECTION_OK)
        return q.PQtransactionStatus(p->c) == PQTRANS_IDLE ? 0 : pg_script(p, "ROLLBACK", err);
    q.PQreset(p->c);
    forget(p);
    return q.PQstatus(p->c) == CONNECTION_OK ? set_up(p, err) : failed(p, NULL, err);
}

static void no_notice(void *ctx, const char *text)
{
    (void)ctx;
    (void)text;
}

static void pg_close(void *db)
{
    struct pg *p = db;
    if (!p)
        return;
    forget(p);
    q.PQfinish(p->c);
    free(p);
}

int hf_pg_open(void **ret, const char *url, unsigned flags, struct hf_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)flags; /* the database itself must exist always; the schema is schema.c's business */
    pthread_once(&once, load);
    if (problem)
        return hf_fail(err, HF_E_UNSUPPORTED, "libpq cannot be loaded (%s); install the package libpq5", problem);
    struct pg *p = calloc(1, sizeof *p);
    if (!p)
        return hf_fail(err, -ENOMEM, "out of memory");
    char wait[16];
    snprintf(wait, sizeof wait, "%d", CONNECT_S);
    /* What stands later wins: the address may change the first three, not the encoding. */
    const char *names[] = {"connect_timeout", "fallback_application_name", "keepalives_idle", "dbname", "client_encoding", NULL};
    const char *values[] = {wait, "holdfast", "30", url, "UTF8", NULL};
    p->c = q.PQconnectdbParams(names, values, 1);
    int rc = p->c ? 0 : hf_fail(err, -ENOMEM, "out of memory");
    if (rc == 0 && q.PQstatus(p->c) != CONNECTION_OK) {
        rc = failed(p, NULL, err);
    } else if (rc == 0) {
        q.PQsetNoticeProcessor(p->c, no_notice, NULL);
        rc = set_up(p, err);
    }
    if (rc < 0)
        pg_close(p);
    else
        *ret = p;
    return rc;
}

/* ---- statements ---- */

/* "?" becomes "$1", "$2" ...; not inside quotes. */
static int number(const char *sql, struct hf_buf *out, size_t *ret_n)
{
    bool quoted = false;
    *ret_n = 0;
    for (const char *c = sql; *c; c++) {
        quoted ^= *c == '\'';
        if (*c == '?' && !quoted)
            hf_buf_addf(out, "$%zu", ++*ret_n);
        else
            hf_buf_addc(out, *c);
    }
    return hf_buf_ok(out) ? 0 : HF_E_LIMIT;
}

static int prepare(struct pg *p, const char *sql, const struct hf_sql_value *v, size_t n, uint64_t *ret, struct hf_err *err)
{
    static const Oid oids[] = {[HF_SQL_INT] = OID_INT8, [HF_SQL_TEXT] = OID_TEXT, [HF_SQL_BLOB] = OID_BYTEA};
    Oid types[HF_SQL_PARAMS];
    char name[32];
    size_t wanted;
    hf_autobuf text = HF_BUF_INIT(65536);
    if (hf_map_get(&p->by_sql, hf_span_z(sql), ret))
        return 0;
    if (p->n == HF_SQL_STATEMENTS) {
        int rc = pg_script(p, "DEALLOCATE ALL", err);
        if (rc < 0)
            return rc;
        forget(p);
    }
    if (number(sql, &text, &wanted) < 0)
        return hf_fail(err, HF_E_LIMIT, "a statement of over 64 KiB");
    if (wanted != n)
        return hf_fail(err, -EINVAL, "the statement has %zu parameters, %zu values were given", wanted, n);
    for (size_t i = 0; i < n; i++)
        types[i] = oids[v[i].type];
    char *copy = hf_span_dupz(hf_span_z(sql));
    uint64_t *slot = copy ? hf_map_at(&p->by_sql, hf_span_z(copy), NULL) : NULL;
    if (!slot) {
        free(copy);
        return hf_fail(err, -ENOMEM, "out of memory");
    }
    *slot = *ret = p->n;
    snprintf(name, sizeof name, "hf%zu", p->n);
    p->kept[p->n++] = copy;
    PGresult *res = q.PQprepare(p->c, name, hf_buf_z(&text), (int)n, types);
    int rc = check(p, res, err);
    q.PQclear(res);
    if (rc < 0) { /* the name is free still, but the table says it is taken: begin anew */
        (void)pg_script(p, "DEALLOCATE ALL", NULL);
        forget(p);
    }
    return rc;
}

static int execute(struct pg *p, const char *sql, const struct hf_sql_value *v, size_t n, PGresult **ret, struct hf_err *err)
{
    const char *values[HF_SQL_PARAMS];
    int lengths[HF_SQL_PARAMS], formats[HF_SQL_PARAMS];
    uint8_t ints[HF_SQL_PARAMS][8];
    uint64_t at = 0;
    char name[32];
    int rc = prepare(p, sql, v, n, &at, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++) {
        formats[i] = 1;
        lengths[i] = v[i].type == HF_SQL_INT ? 8 : (int)v[i].s.n;
        for (unsigned b = 0; b < 8; b++)
            ints[i][b] = (uint8_t)((uint64_t)v[i].i >> (56 - 8 * b));
        values[i] = v[i].null ? NULL : v[i].type == HF_SQL_INT ? (const char *)ints[i] : v[i].s.p ? v[i].s.p : "";
    }
    snprintf(name, sizeof name, "hf%llu", (unsigned long long)at);
    PGresult *res = q.PQexecPrepared(p->c, name, (int)n, values, lengths, formats, 1);
    rc = check(p, res, err);
    if (rc < 0)
        q.PQclear(res);
    else
        *ret = res;
    return rc;
}

static int pg_run(void *db, const char *sql, const struct hf_sql_value *v, size_t n, struct hf_err *err)
{
    PGresult *res;
    uint64_t changed = 0;
    int rc = execute(db, sql, v, n, &res, err);
    if (rc < 0)
        return rc;
    if (hf_parse_u64(hf_span_z(q.PQcmdTuples(res)), 10, 0, INT32_MAX, &changed) < 0)
        changed = 0; /* a statement that changes no rows has an empty text */
    q.PQclear(res);
    return (int)changed;
}

static int pg_query(void *db, const char *sql, const struct hf_sql_value *v, size_t n, void **ret, struct hf_err *err)
{
    struct rows *r = calloc(1, sizeof *r);
    if (!r)
        return hf_fail(err, -ENOMEM, "out of memory");
    int rc = execute(db, sql, v, n, &r->res, err);
    for (int i = 0; rc == 0 && i < q.PQnfields(r->res); i++) {
        Oid t = q.PQftype(r->res, i);
        if (t != OID_BOOL && t != OID_BYTEA && t != OID_INT8 && t != OID_INT4 && t != OID_INT2 && t != OID_TEXT && t != OID_OID) {
            rc = hf_fail(err, -EINVAL, "column %d has a type (%u) that is not read here", i, t);
            q.PQclear(r->res);
        }
    }
    if (rc < 0) {
        free(r);
        return rc;
    }
    r->at = -1;
    *ret = r;
    return 0;
}

static int pg_next(void *rows, struct hf_err *err)
{
    struct rows *r = rows;
    (void)err;
    if (r->at < q.PQntuples(r->res))
        r->at++;
    return r->at < q.PQntuples(r->res);
}

static bool pg_is_null(const void *rows, unsigned col)
{
    const struct rows *r = rows;
    return q.PQgetisnull(r->res, r->at, (int)col);
}

static struct hf_span pg_text(const void *rows, unsigned col)
{
    const struct rows *r = rows;
    return pg_is_null(rows, col) ? hf_span(NULL, 0) : hf_span(q.PQgetvalue(r->res, r->at, (int)col), (size_t)q.PQgetlength(r->res, r->at, (int)col));
}

static int64_t pg_int(const void *rows, unsigned col)
{
    struct hf_span s = pg_text(rows, col);
    uint64_t v = s.n && s.n < 8 && q.PQftype(((const struct rows *)rows)->res, (int)col) != OID_OID && ((unsigned char)s.p[0] & 0x80) ? UINT64_MAX : 0;
    for (size_t i = 0; i < s.n && s.n <= 8; i++)
        v = v << 8 | (unsigned char)s.p[i];
    return (int64_t)v;
}

static void pg_rows_done(void *rows)
{
    q.PQclear(((struct rows *)rows)->res);
    free(rows);
}

static int pg_begin(void *db, enum hf_sql_turn turn, struct hf_err *err)
{
    /* The lock is a statement of its own: what follows sees what the one before us committed. */
    static const char *const sql[] = {[HF_TURN_NONE] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", [HF_TURN_WAIT] = "BEGIN; SELECT pg_advisory_xact_lock(" WRITER_LOCK ")",
            [HF_TURN_NOW] = "BEGIN; SET LOCAL lock_timeout TO 1; SELECT pg_advisory_xact_lock(" WRITER_LOCK ")"};
    int rc = pg_script(db, sql[turn], err);
    if (rc < 0 && q.PQstatus(((struct pg *)db)->c) == CONNECTION_OK)
        (void)pg_script(db, "ROLLBACK", NULL);
    return rc;
}

static int pg_relax(void *db, bool on, struct hf_err *err)
{
    return pg_script(db, on ? "SET synchronous_commit TO off" : "SET synchronous_commit TO DEFAULT", err);
}

const struct hf_sql_ops hf_pg_ops = {"postgresql", pg_query, pg_run, pg_script, pg_next, pg_is_null, pg_int, pg_text, pg_rows_done, pg_begin, pg_ready, pg_close, NULL, pg_relax};
