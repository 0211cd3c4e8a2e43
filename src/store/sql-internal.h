/* SPDX-License-Identifier: Apache-2.0 */
/* sql-internal.h - what a database has to bring, and the handle. */
#pragma once
#include "store/sql.h"

enum {
    HF_SQL_STATEMENTS = 128, /* kept prepared; one more and all are dropped */
    HF_SQL_PARAMS = 32,
    HF_SQL_COLS = 32,
};
/* The turn to write that a transaction takes: none (it reads), when it comes, now or -EBUSY. */
enum hf_sql_turn { HF_TURN_NONE, HF_TURN_WAIT, HF_TURN_NOW };
struct hf_sql_ops {
    const char *dialect; /* "sqlite", "postgresql" */
    int (*query)(void *db, const char *sql, const struct hf_sql_value *v, size_t n, void **ret_rows, struct hf_err *err);
    int (*run)(void *db, const char *sql, const struct hf_sql_value *v, size_t n, struct hf_err *err);
    int (*script)(void *db, const char *sql, struct hf_err *err); /* several statements, no values, not kept */
    int (*next)(void *rows, struct hf_err *err);
    bool (*is_null)(const void *rows, unsigned col);
    int64_t (*get_int)(const void *rows, unsigned col);
    struct hf_span (*get_text)(const void *rows, unsigned col);
    void (*rows_done)(void *rows);
    int (*begin)(void *db, enum hf_sql_turn turn, struct hf_err *err); /* outermost */
    int (*ready)(void *db, struct hf_err *err);             /* outside a transaction: connects again when needed */
    void (*close)(void *db);
    int (*checkpoint)(void *db, struct hf_err *err);        /* NULL: nothing to do */
    int (*relax)(void *db, bool on, struct hf_err *err);    /* store.h: hf_store_relax; outside a transaction */
};
struct hf_store {
    const struct hf_sql_ops *ops;
    void *db;
    unsigned depth; /* transactions open */
    bool read_only, relaxed;
    struct hf_buf name; /* address without password, NUL-terminated */
};
int hf_sqlite_open(void **ret, const char *path, unsigned flags, struct hf_err *err);
int hf_pg_open(void **ret, const char *url, unsigned flags, struct hf_err *err);
extern const struct hf_sql_ops hf_sqlite_ops, hf_pg_ops;

/* schema.c */
struct hf_table {
    const char *name;
    const char *columns;   /* "seq,time,..." : the key first */
    const char *types;     /* one letter a column: i t */
    unsigned key;          /* columns of the key */
};
extern const struct hf_table hf_tables[];
extern const size_t hf_tables_n;
int hf_schema_update(struct hf_store *s, struct hf_err *err);
int hf_schema_version(struct hf_store *s, int64_t *ret, struct hf_err *err); /* 0: no schema */
int hf_sql_script(struct hf_store *s, const char *sql, struct hf_err *err);
/* Key and document within their caps, else HF_E_LIMIT naming what. */
int hf_store_cap(struct hf_span s, size_t max, const char *what, struct hf_err *err);
unsigned hf_store_limit(unsigned limit, unsigned otherwise);
/* The next number of a table (inside a transaction). */
int hf_store_next_seq(struct hf_store *s, const char *table, int64_t *ret, struct hf_err *err);
