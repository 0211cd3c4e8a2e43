/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sql.h"

#include <errno.h>
#include <time.h>

#include "store/sql-internal.h"

/* ---- errors that say where ---- */

static bool word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The table a statement is about: the word behind the first INTO, FROM or UPDATE. */
static struct hf_span table_of(const char *sql)
{
    static const char *const before[] = {"INTO ", "FROM ", "UPDATE "};
    struct hf_span all = hf_span_z(sql), found = {NULL, 0};
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < HF_ARRAY_LEN(before); i++) {
        size_t at = hf_span_search(all, hf_span_z(before[i]));
        if (at >= first)
            continue;
        first = at;
        found = hf_span_from(all, at + strlen(before[i]));
    }
    size_t n = 0;
    while (n < found.n && word(found.p[n]))
        n++;
    return hf_span(found.p, n);
}

static int where(struct hf_store *s, const char *sql, int rc, struct hf_err *err)
{
    struct hf_span table = sql ? table_of(sql) : (struct hf_span){NULL, 0};
    return table.n ? hf_wrap(err, rc, "store %s, table " HF_SPAN_FMT, hf_store_name(s), HF_SPAN_ARG(table)) : hf_wrap(err, rc, "store %s", hf_store_name(s));
}

/* ---- text ---- */

void hf_sql_clean(struct hf_buf *out, struct hf_span text)
{
    size_t i = 0;
    while (i < text.n) {
        /* the longest good run; what is wrong costs one byte each */
        size_t n = 1;
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0xf0)
            n = 4;
        else if (c >= 0xe0)
            n = 3;
        else if (c >= 0xc0)
            n = 2;
        if (c != 0 && n <= text.n - i && hf_span_is_utf8(hf_span(text.p + i, n))) {
            hf_buf_add(out, text.p + i, n);
            i += n;
        } else {
            hf_buf_addz(out, "\xef\xbf\xbd");
            i++;
        }
    }
}

void hf_sql_like(struct hf_buf *out, struct hf_span text)
{
    hf_buf_addc(out, '%');
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '%' || c == '_' || c == '\\')
            hf_buf_addc(out, '\\');
        hf_buf_addc(out, c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
    }
    hf_buf_addc(out, '%');
}

/* Values as the databases get them: texts that need it are cleaned into `room`. */
static int cleaned(const struct hf_sql_value *v, size_t n, struct hf_sql_value *ret, struct hf_buf *room, struct hf_err *err)
{
    size_t at[HF_SQL_PARAMS];
    if (n > HF_SQL_PARAMS)
        return hf_fail(err, HF_E_LIMIT, "a statement with %zu values; the limit is %d", n, HF_SQL_PARAMS);
    for (size_t i = 0; i < n; i++) {
        ret[i] = v[i];
        at[i] = SIZE_MAX;
        if (v[i].type == HF_SQL_INT || v[i].null)
            continue;
        if (v[i].s.n > HF_STORE_DOC_MAX)
            return hf_fail(err, HF_E_LIMIT, "a value of %zu bytes; the limit is %d", v[i].s.n, HF_STORE_DOC_MAX);
        if (v[i].type == HF_SQL_BLOB || v[i].s.n == 0 || (!memchr(v[i].s.p, 0, v[i].s.n) && hf_span_is_utf8(v[i].s)))
            continue;
        at[i] = room->n;
        hf_sql_clean(room, v[i].s);
        ret[i].s.n = room->n - at[i];
    }
    if (!hf_buf_ok(room))
        return hf_fail(err, HF_E_LIMIT, "texts of over %zu bytes after repair of what is not UTF-8", room->max);
    for (size_t i = 0; i < n; i++) { /* only now: the buffer may have moved */
        if (at[i] != SIZE_MAX)
            ret[i].s.p = room->p + at[i];
    }
    return 0;
}

/* ---- statements ---- */

int hf_sql_run(struct hf_store *s, struct hf_err *err, const char *sql, const struct hf_sql_value *v, size_t n)
{
    struct hf_sql_value good[HF_SQL_PARAMS];
    hf_autobuf room = HF_BUF_INIT(64 << 20);
    int rc = cleaned(v, n, good, &room, err);
    if (rc == 0 && s->depth == 0)
        rc = s->ops->ready(s->db, err);
    if (rc == 0)
        rc = s->ops->run(s->db, sql, good, n, err);
    return rc < 0 ? where(s, sql, rc, err) : rc;
}

int hf_sql_query(struct hf_sql_rows *ret, struct hf_store *s, struct hf_err *err, const char *sql, const struct hf_sql_value *v, size_t n)
{
    struct hf_sql_value good[HF_SQL_PARAMS];
    hf_autobuf room = HF_BUF_INIT(64 << 20);
    void *impl = NULL;
    int rc = cleaned(v, n, good, &room, err);
    if (rc == 0 && s->depth == 0)
        rc = s->ops->ready(s->db, err);
    if (rc == 0)
        rc = s->ops->query(s->db, sql, good, n, &impl, err);
    if (rc < 0)
        return where(s, sql, rc, err);
    *ret = (struct hf_sql_rows){s, impl, sql};
    return 0;
}

int hf_sql_next(struct hf_sql_rows *r, struct hf_err *err)
{
    int rc = r->s->ops->next(r->impl, err);
    return rc < 0 ? where(r->s, r->sql, rc, err) : rc;
}

bool hf_sql_is_null(const struct hf_sql_rows *r, unsigned col)
{
    return r->s->ops->is_null(r->impl, col);
}

int64_t hf_sql_int(const struct hf_sql_rows *r, unsigned col)
{
    return r->s->ops->get_int(r->impl, col);
}

struct hf_span hf_sql_text(const struct hf_sql_rows *r, unsigned col)
{
    return r->s->ops->get_text(r->impl, col);
}

void hf_sql_rows_done(struct hf_sql_rows *r)
{
    if (r->impl)
        r->s->ops->rows_done(r->impl);
    r->impl = NULL;
}

int hf_sql_get_int(struct hf_store *s, struct hf_err *err, int64_t *ret, const char *sql, const struct hf_sql_value *v, size_t n)
{
    hf_autorows r = {0};
    int rc = hf_sql_query(&r, s, err, sql, v, n);
    if (rc == 0)
        rc = hf_sql_next(&r, err);
    if (rc <= 0 || hf_sql_is_null(&r, 0))
        return rc < 0 ? rc : 0;
    *ret = hf_sql_int(&r, 0);
    return 1;
}

int hf_sql_script(struct hf_store *s, const char *sql, struct hf_err *err)
{
    int rc = s->ops->script(s->db, sql, err);
    return rc < 0 ? where(s, NULL, rc, err) : 0;
}

/* ---- transactions ---- */

int hf_store_checkpoint(struct hf_store *s, struct hf_err *err)
{
    int rc = s->depth || !s->ops->checkpoint ? 0 : s->ops->checkpoint(s->db, err);
    return rc < 0 ? where(s, NULL, rc, err) : 0;
}

int hf_store_relax(struct hf_store *s, bool on, struct hf_err *err)
{
    if (s->depth || s->relaxed == on)
        return s->depth ? hf_fail(err, -EBUSY, "a transaction is open") : 0;
    int rc = s->ops->ready(s->db, err);
    rc = rc < 0 ? rc : s->ops->relax(s->db, on, err);
    if (rc < 0)
        return where(s, NULL, rc, err);
    s->relaxed = on;
    return 0;
}

static int begin(struct hf_tx *t, struct hf_store *s, enum hf_sql_turn turn, struct hf_err *err)
{
    char sql[40];
    int rc;
    if (s->depth == 0) {
        rc = s->ops->ready(s->db, err);
        if (rc == 0)
            rc = s->ops->begin(s->db, s->read_only ? HF_TURN_NONE : turn, err);
    } else {
        snprintf(sql, sizeof sql, "SAVEPOINT hf%u", s->depth);
        rc = s->ops->script(s->db, sql, err);
    }
    if (rc < 0)
        return where(s, NULL, rc, err);
    *t = (struct hf_tx){s, ++s->depth};
    return 0;
}

int hf_tx_begin(struct hf_tx *t, struct hf_store *s, struct hf_err *err)
{
    return begin(t, s, HF_TURN_WAIT, err);
}

int hf_tx_try(struct hf_tx *t, struct hf_store *s, struct hf_err *err)
{
    return begin(t, s, HF_TURN_NOW, err);
}

void hf_tx_done(struct hf_tx *t)
{
    char sql[80];
    struct hf_store *s = t->s;
    if (!s)
        return;
    t->s = NULL;
    s->depth = t->depth - 1;
    if (s->depth > 0)
        snprintf(sql, sizeof sql, "ROLLBACK TO SAVEPOINT hf%u; RELEASE SAVEPOINT hf%u", s->depth, s->depth);
    else
        snprintf(sql, sizeof sql, "ROLLBACK");
    (void)s->ops->script(s->db, sql, NULL); /* fails when the database rolled back by itself, or is gone: then nothing is left to undo */
}

int hf_tx_commit(struct hf_tx *t, struct hf_err *err)
{
    char sql[40];
    struct hf_store *s = t->s;
    if (!s || t->depth != s->depth)
        return hf_fail(err, -EINVAL, "commit of a transaction that is not the innermost");
    if (s->depth > 1)
        snprintf(sql, sizeof sql, "RELEASE SAVEPOINT hf%u", s->depth - 1);
    else
        snprintf(sql, sizeof sql, "COMMIT");
    int rc = s->ops->script(s->db, sql, err);
    if (rc < 0) {
        hf_tx_done(t);
        return where(s, NULL, rc, err);
    }
    s->depth--;
    t->s = NULL;
    return 0;
}

/* ---- small things for the other files ---- */

int hf_store_cap(struct hf_span v, size_t max, const char *what, struct hf_err *err)
{
    return v.n <= max ? 0 : hf_fail(err, HF_E_LIMIT, "%s of %zu bytes; the limit is %zu", what, v.n, max);
}

unsigned hf_store_limit(unsigned limit, unsigned otherwise)
{
    return HF_MIN(limit ? limit : otherwise, (unsigned)HF_STORE_LIST_MAX);
}

int hf_store_next_seq(struct hf_store *s, const char *table, int64_t *ret, struct hf_err *err)
{
    int rc = hf_sql_get_int(s, err, ret, "INSERT INTO counters(name, value) VALUES(?, 1) ON CONFLICT(name) DO UPDATE SET value = counters.value + 1 RETURNING value",
            HF_V(HF_TEXTZ(table)));
    return rc < 0 ? rc : 0;
}

static const char *const severities[] = {"debug", "info", "notice", "low", "medium", "high", "critical"};

int hf_store_severity(struct hf_span w, int *ret)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(severities); i++) {
        if (hf_span_eqz(w, severities[i])) {
            *ret = (int)i;
            return 0;
        }
    }
    return HF_E_FORMAT;
}

const char *hf_store_severity_name(int64_t severity)
{
    return severity >= 0 && severity < (int64_t)HF_ARRAY_LEN(severities) ? severities[severity] : "?";
}

int64_t hf_store_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
