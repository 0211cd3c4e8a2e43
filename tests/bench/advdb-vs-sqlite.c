/* SPDX-License-Identifier: Apache-2.0 */
/* The advisory database beside the same rows in SQLite.  Usage: advdb-vs-sqlite DATABASE SQLITE-FILE [LOOKUPS]
 * DATABASE comes from `holdfast db build`.  The SQLite file is made from it through the public reader, in the shape such
 * databases have (advisories with JSON text, affected rows with JSON text, two indexes), then both are asked for the same packages
 * and have their ranges read. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "advisories/db/advdb.h"
#include "base/json.h"

enum { MAX_KEYS = 1 << 20 };

struct bench {
    const struct hf_advdb *db;
    sqlite3 *sql;
    sqlite3_stmt *add_row, *add_adv;
    struct hf_map seen;
    struct hf_arena arena;
    struct {
        struct hf_span ns, name;
    } *keys;
    size_t n_keys, rows, bytes;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(int rc, sqlite3 *sql, int want)
{
    if (rc == want)
        return;
    fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(sql));
    exit(1);
}

static void bind(sqlite3_stmt *s, int i, struct hf_span v)
{
    sqlite3_bind_text(s, i, v.p ? v.p : "", (int)v.n, SQLITE_TRANSIENT);
}

static int on_package(void *ctx, struct hf_span ns, struct hf_span name, const struct hf_adv_row *row)
{
    struct bench *b = ctx;
    hf_autobuf key = HF_BUF_INIT(8192), json = HF_BUF_INIT(16 << 20);
    struct hf_span copy, v;
    struct hf_adv_range r;
    struct hf_jw w;
    bool fresh = false;
    hf_buf_addf(&key, HF_SPAN_FMT " " HF_SPAN_FMT, HF_SPAN_ARG(ns), HF_SPAN_ARG(name));
    if (hf_arena_dup(&b->arena, hf_buf_span(&key), &copy) < 0 || !hf_map_at(&b->seen, copy, &fresh))
        exit(1);
    if (fresh && b->n_keys < MAX_KEYS) {
        b->keys[b->n_keys].ns = ns;
        b->keys[b->n_keys++].name = name;
    }
    hf_jw_init(&w, &json, false);
    hf_jw_object(&w);
    hf_jw_key(&w, "ranges");
    hf_jw_array(&w);
    for (size_t i = 0; hf_adv_row_range(b->db, row, i, &r); i++) {
        hf_jw_object(&w);
        hf_jw_kstr_opt(&w, "introduced", r.introduced);
        hf_jw_kstr_opt(&w, "fixed", r.fixed);
        hf_jw_kstr_opt(&w, "last_affected", r.last_affected);
        hf_jw_object_end(&w);
    }
    hf_jw_array_end(&w);
    hf_jw_key(&w, "versions");
    hf_jw_array(&w);
    for (size_t i = 0; hf_adv_row_version(b->db, row, i, &v); i++)
        hf_jw_str(&w, v);
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    bind(b->add_row, 1, ns);
    bind(b->add_row, 2, name);
    sqlite3_bind_int64(b->add_row, 3, row->adv);
    sqlite3_bind_int(b->add_row, 4, (int)row->state);
    bind(b->add_row, 5, hf_buf_span(&json));
    check(sqlite3_step(b->add_row), b->sql, SQLITE_DONE);
    sqlite3_reset(b->add_row);
    return 0;
}

static bool add_advisory(struct bench *b, uint32_t adv)
{
    hf_autoarena arena;
    hf_arena_init(&arena, 4 << 20);
    hf_autobuf json = HF_BUF_INIT(16 << 20);
    struct hf_advisory a;
    struct hf_span details;
    struct hf_jw w;
    if (hf_advdb_advisory(b->db, adv, &arena, &a, NULL) < 0 || hf_advdb_details(b->db, adv, &arena, &details, NULL) < 0)
        return false;
    hf_jw_init(&w, &json, false);
    hf_jw_object(&w);
    hf_jw_kstr(&w, "summary", a.summary);
    hf_jw_kstr(&w, "details", details);
    hf_jw_key(&w, "aliases");
    hf_jw_array(&w);
    for (size_t i = 0; i < a.n_aliases; i++)
        hf_jw_str(&w, a.aliases[i]);
    hf_jw_array_end(&w);
    hf_jw_key(&w, "urls");
    hf_jw_array(&w);
    for (size_t i = 0; i < a.n_urls; i++)
        hf_jw_str(&w, a.urls[i]);
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    sqlite3_bind_int64(b->add_adv, 1, adv);
    bind(b->add_adv, 2, a.id);
    bind(b->add_adv, 3, hf_buf_span(&json));
    check(sqlite3_step(b->add_adv), b->sql, SQLITE_DONE);
    sqlite3_reset(b->add_adv);
    return true;
}

static void build(struct bench *b, const char *path)
{
    unlink(path);
    check(sqlite3_open(path, &b->sql), b->sql, SQLITE_OK);
    check(sqlite3_exec(b->sql,
                  "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; CREATE TABLE advisory(n INTEGER PRIMARY KEY, id TEXT, body TEXT);"
                  "CREATE TABLE affected(ns TEXT, name TEXT, adv INTEGER, state INTEGER, body TEXT); BEGIN",
                  NULL, NULL, NULL),
            b->sql, SQLITE_OK);
    check(sqlite3_prepare_v2(b->sql, "INSERT INTO affected VALUES(?,?,?,?,?)", -1, &b->add_row, NULL), b->sql, SQLITE_OK);
    check(sqlite3_prepare_v2(b->sql, "INSERT INTO advisory VALUES(?,?,?)", -1, &b->add_adv, NULL), b->sql, SQLITE_OK);
    for (uint32_t adv = 0; add_advisory(b, adv); adv++)
        if (hf_advdb_packages(b->db, adv, on_package, b, NULL) < 0)
            exit(1);
    check(sqlite3_exec(b->sql, "COMMIT; CREATE INDEX a ON affected(ns, name); CREATE INDEX i ON advisory(id)", NULL, NULL, NULL), b->sql, SQLITE_OK);
    sqlite3_finalize(b->add_row);
    sqlite3_finalize(b->add_adv);
    sqlite3_close(b->sql);
}

static int on_row(void *ctx, const struct hf_advdb *db, const struct hf_adv_row *row)
{
    struct bench *b = ctx;
    struct hf_adv_range r;
    for (size_t i = 0; hf_adv_row_range(db, row, i, &r); i++)
        b->bytes += r.fixed.n;
    b->rows++;
    return 0;
}

static double ask_own(struct bench *b, const char *path, size_t n)
{
    double t = now();
    hf_cleanup(hf_advdb_closep) struct hf_advdb *db = NULL;
    b->rows = b->bytes = 0;
    if (hf_advdb_open(&db, path, NULL) < 0)
        exit(1);
    for (size_t i = 0; i < n; i++) {
        size_t k = (i * 7919) % b->n_keys;
        if (hf_advdb_lookup(db, b->keys[k].ns, b->keys[k].name, on_row, b, NULL) < 0)
            exit(1);
    }
    return now() - t;
}

static double ask_sqlite(struct bench *b, const char *path, size_t n)
{
    double t = now();
    sqlite3_stmt *s;
    b->rows = b->bytes = 0;
    check(sqlite3_open_v2(path, &b->sql, SQLITE_OPEN_READONLY, NULL), b->sql, SQLITE_OK);
    check(sqlite3_prepare_v2(b->sql, "SELECT adv, state, body FROM affected WHERE ns = ? AND name = ?", -1, &s, NULL), b->sql, SQLITE_OK);
    for (size_t i = 0; i < n; i++) {
        size_t k = (i * 7919) % b->n_keys;
        bind(s, 1, b->keys[k].ns);
        bind(s, 2, b->keys[k].name);
        while (sqlite3_step(s) == SQLITE_ROW) {
            hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
            const char *text = (const char *)sqlite3_column_text(s, 2);
            if (hf_json_parse(hf_span(text, (size_t)sqlite3_column_bytes(s, 2)), &doc, NULL) < 0)
                exit(1);
            HF_JFOREACH(r, hf_jget(hf_json_root(doc), "ranges"))
                b->bytes += hf_jgetstr(r, "fixed").n;
            b->rows++;
        }
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    sqlite3_close(b->sql);
    return now() - t;
}

int main(int argc, char **argv)
{
    struct bench b = {.n_keys = 0};
    struct hf_err err = HF_ERR_INIT;
    struct hf_advdb *db = NULL;
    uint64_t n = 5000;
    struct stat own, other;
    if (argc < 3 || (argc > 3 && hf_parse_u64(hf_span_z(argv[3]), 10, 1, 10000000, &n) < 0)) {
        fprintf(stderr, "usage: advdb-vs-sqlite DATABASE SQLITE-FILE [LOOKUPS]\n");
        return 2;
    }
    if (hf_advdb_open(&db, argv[1], &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    b.db = db;
    b.keys = calloc(MAX_KEYS, sizeof *b.keys);
    hf_arena_init(&b.arena, (size_t)1 << 30);
    if (!b.keys)
        return 1;
    double t = now();
    build(&b, argv[2]);
    t = now() - t;
    if (!b.n_keys || stat(argv[1], &own) < 0 || stat(argv[2], &other) < 0)
        return 1;
    printf("%zu packages; sizes: own %.1f MB, SQLite %.1f MB (written in %.1f s)\n", b.n_keys, (double)own.st_size / 1e6, (double)other.st_size / 1e6, t);
    for (int i = 0; i < 3; i++) {
        double a = ask_own(&b, argv[1], (size_t)n);
        size_t rows = b.rows, bytes = b.bytes;
        double c = ask_sqlite(&b, argv[2], (size_t)n);
        printf("open and look up %llu packages (%zu rows): own %.1f ms, SQLite %.1f ms%s\n", (unsigned long long)n, rows, a * 1e3, c * 1e3,
                rows == b.rows && bytes == b.bytes ? "" : ", DIFFERENT ANSWERS");
    }
    hf_map_done(&b.seen);
    hf_arena_done(&b.arena);
    free(b.keys);
    hf_advdb_close(db);
    return 0;
}
