/* SPDX-License-Identifier: Apache-2.0 */
/* sql.h - one source of SQL for SQLite and PostgreSQL.
 *
 * Parameters are "?" in the order of the values; statements are prepared once a handle and kept (the text is the key, so let
 * it be a literal).  What both understand: INSERT ... ON CONFLICT DO UPDATE, RETURNING, row values, LIMIT.  Sums need
 * CAST(sum(x) AS BIGINT); a cast is not needed for parameters, whose type is that of the value.  A "?" inside a quoted text
 * is left alone.  Tables: schema.c. */
#pragma once
#include "store/store.h"

enum hf_sql_type { HF_SQL_INT, HF_SQL_TEXT, HF_SQL_BLOB };
struct hf_sql_value {
    enum hf_sql_type type;
    bool null;
    int64_t i;
    struct hf_span s;
};
#define HF_INT(v) ((struct hf_sql_value){HF_SQL_INT, false, (int64_t)(v), {NULL, 0}})
#define HF_TEXT(span) ((struct hf_sql_value){HF_SQL_TEXT, false, 0, (span)})
#define HF_TEXTZ(z) ((struct hf_sql_value){HF_SQL_TEXT, false, 0, hf_span_z(z)})
#define HF_BLOB(span) ((struct hf_sql_value){HF_SQL_BLOB, false, 0, (span)})
#define HF_NO_VALUES ((const struct hf_sql_value *)NULL), 0
/* The values of a statement: HF_V(HF_INT(1), HF_TEXT(name)). */
#define HF_V(...)                                   \
    ((const struct hf_sql_value[]){__VA_ARGS__}),   \
            sizeof((const struct hf_sql_value[]){__VA_ARGS__}) / sizeof(struct hf_sql_value)

/* A statement without rows: how many rows it changed, or < 0. */
HF_MUSTUSE int hf_sql_run(struct hf_store *s, struct hf_err *err, const char *sql, const struct hf_sql_value *v, size_t n);

/* A statement with rows.  hf_sql_next: 1 a row, 0 the end, < 0 an error.  Columns are from 0; spans are borrowed until the
 * next hf_sql_next or hf_sql_rows_done.  Other statements may run meanwhile, only not a commit.  PostgreSQL holds the whole
 * result in memory: use LIMIT. */
struct hf_sql_rows {
    struct hf_store *s;
    void *impl;
    const char *sql; /* must live as long: a literal */
};
HF_MUSTUSE int hf_sql_query(
        struct hf_sql_rows *ret, struct hf_store *s, struct hf_err *err, const char *sql, const struct hf_sql_value *v, size_t n);
HF_MUSTUSE int hf_sql_next(struct hf_sql_rows *r, struct hf_err *err);
bool hf_sql_is_null(const struct hf_sql_rows *r, unsigned col);
int64_t hf_sql_int(const struct hf_sql_rows *r, unsigned col);           /* 0 for NULL */
struct hf_span hf_sql_text(const struct hf_sql_rows *r, unsigned col);   /* TEXT and BLOB; empty for NULL */
void hf_sql_rows_done(struct hf_sql_rows *r);
#define hf_autorows hf_cleanup(hf_sql_rows_done) struct hf_sql_rows
/* One number: 1 and *ret, 0 no row or NULL. */
HF_MUSTUSE int hf_sql_get_int(
        struct hf_store *s, struct hf_err *err, int64_t *ret, const char *sql, const struct hf_sql_value *v, size_t n);

/* Text as it will be stored: NUL and what is not UTF-8 become U+FFFD. */
void hf_sql_clean(struct hf_buf *out, struct hf_span text);
/* text for LIKE ... ESCAPE '\': with % around, its own % _ \ escaped, ASCII in lower case. */
void hf_sql_like(struct hf_buf *out, struct hf_span text);
