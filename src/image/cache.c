/* SPDX-License-Identifier: Apache-2.0 */
#include "image/cache.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"

struct hf_cache {
    sqlite3 *db;
    pthread_mutex_t lock; /* one statement at a time */
    struct hf_buf version;
};

enum { MAX_ROWS = 20000, MAX_BLOB = 256 << 20 };

static const char schema[] =
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
        "CREATE TABLE IF NOT EXISTS layer(diff_id TEXT NOT NULL, version TEXT NOT NULL, used INTEGER NOT NULL, record BLOB NOT NULL,"
        " PRIMARY KEY(diff_id, version)) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS verified(file TEXT PRIMARY KEY, digest TEXT NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;";

int hf_cache_open(struct hf_cache **ret, const char *dir, struct hf_span version, struct hf_err *err)
{
    int rc = hf_mkdirs(dir, 0700, err);
    if (rc < 0)
        return rc;
    hf_autobuf path = HF_BUF_INIT(8192);
    hf_buf_addf(&path, "%s/layers.db", dir);
    for (int attempt = 0; attempt < 2; attempt++) {
        sqlite3 *db = NULL;
        if (sqlite3_open_v2(hf_buf_z(&path), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK) {
            sqlite3_busy_timeout(db, 2000);
            if (sqlite3_exec(db, schema, NULL, NULL, NULL) == SQLITE_OK) {
                struct hf_cache *c = calloc(1, sizeof *c);
                if (!c) {
                    sqlite3_close(db);
                    return hf_fail(err, HF_E_LIMIT, "out of memory");
                }
                c->db = db;
                pthread_mutex_init(&c->lock, NULL);
                hf_buf_init(&c->version, 4096);
                hf_buf_adds(&c->version, version);
                *ret = c;
                return 0;
            }
        }
        int code = db ? sqlite3_errcode(db) : SQLITE_NOMEM;
        rc = hf_fail(err, -5, "layer cache %s: %s", hf_buf_z(&path), db ? sqlite3_errmsg(db) : "out of memory");
        sqlite3_close(db);
        if (code != SQLITE_NOTADB && code != SQLITE_CORRUPT)
            return rc;
        unlink(hf_buf_z(&path)); /* it is only a cache: a damaged one is made anew */
    }
    return rc;
}

void hf_cache_close(struct hf_cache *c)
{
    if (!c)
        return;
    char sql[160];
    /* Oldest entries go when there are too many. */
    snprintf(sql, sizeof sql, "DELETE FROM verified WHERE file IN (SELECT file FROM verified ORDER BY used DESC LIMIT -1 OFFSET %d)", MAX_ROWS);
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(c->db, "SELECT count(*) FROM verified", -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW &&
            sqlite3_column_int64(st, 0) > MAX_ROWS) {
        sqlite3_finalize(st);
        st = NULL;
        sqlite3_exec(c->db, sql, NULL, NULL, NULL);
    }
    sqlite3_finalize(st);
    sqlite3_close(c->db);
    pthread_mutex_destroy(&c->lock);
    hf_buf_done(&c->version);
    free(c);
}

static bool bind_text(sqlite3_stmt *st, int i, struct hf_span s)
{
    return sqlite3_bind_text(st, i, s.p, (int)s.n, SQLITE_STATIC) == SQLITE_OK;
}

/* Runs a one-row query with up to two text parameters; the caller finalises. */
static sqlite3_stmt *row(struct hf_cache *c, const char *sql, struct hf_span a, struct hf_span b)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(c->db, sql, -1, &st, NULL) == SQLITE_OK && bind_text(st, 1, a) && bind_text(st, 2, b) &&
            sqlite3_step(st) == SQLITE_ROW)
        return st;
    sqlite3_finalize(st);
    return NULL;
}

int hf_cache_get(struct hf_cache *c, const struct hf_digest *diff_id, struct hf_record *ret)
{
    char text[HF_DIGEST_TEXT];
    if (!c || !diff_id->n)
        return 0;
    int got = 0;
    pthread_mutex_lock(&c->lock);
    sqlite3_stmt *st = row(c, "SELECT record FROM layer WHERE diff_id=?1 AND version=?2", hf_span_z(hf_digest_text(diff_id, text)),
            hf_buf_span(&c->version));
    if (st) {
        int n = sqlite3_column_bytes(st, 0);
        struct hf_err err = HF_ERR_INIT;
        got = n > 0 && hf_record_read(ret, hf_span(sqlite3_column_blob(st, 0), (size_t)n), &err) >= 0;
    }
    sqlite3_finalize(st);
    pthread_mutex_unlock(&c->lock);
    return got;
}

bool hf_cache_has(struct hf_cache *c, const struct hf_digest *diff_id)
{
    char text[HF_DIGEST_TEXT];
    if (!c || !diff_id->n)
        return false;
    pthread_mutex_lock(&c->lock);
    sqlite3_stmt *st = row(c, "SELECT 1 FROM layer WHERE diff_id=?1 AND version=?2", hf_span_z(hf_digest_text(diff_id, text)),
            hf_buf_span(&c->version));
    bool has = st != NULL;
    sqlite3_finalize(st);
    pthread_mutex_unlock(&c->lock);
    return has;
}

void hf_cache_put(struct hf_cache *c, const struct hf_digest *diff_id, const struct hf_record *r)
{
    char text[HF_DIGEST_TEXT];
    if (!c || !diff_id->n)
        return;
    hf_autobuf blob = HF_BUF_INIT(MAX_BLOB);
    if (hf_record_write(r, &blob, NULL) < 0)
        return;
    pthread_mutex_lock(&c->lock);
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(c->db, "INSERT OR REPLACE INTO layer VALUES(?1,?2,unixepoch(),?3)", -1, &st, NULL) == SQLITE_OK &&
            bind_text(st, 1, hf_span_z(hf_digest_text(diff_id, text))) && bind_text(st, 2, hf_buf_span(&c->version)) &&
            sqlite3_bind_blob64(st, 3, blob.p, blob.n, SQLITE_STATIC) == SQLITE_OK)
        sqlite3_step(st);
    sqlite3_finalize(st);
    pthread_mutex_unlock(&c->lock);
}

static bool file_key(int fd, uint64_t offset, uint64_t size, char out[256])
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return false;
    snprintf(out, 256, "%llx:%llx:%llx:%lld.%09ld:%lld.%09ld:%llx+%llx", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
            (unsigned long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec,
            (unsigned long long)offset, (unsigned long long)size);
    return true;
}

static bool known(struct hf_cache *c, const char *key, const struct hf_digest *d)
{
    char text[HF_DIGEST_TEXT];
    pthread_mutex_lock(&c->lock);
    sqlite3_stmt *st = row(c, "SELECT 1 FROM verified WHERE file=?1 AND digest=?2", hf_span_z(key), hf_span_z(hf_digest_text(d, text)));
    bool yes = st != NULL;
    sqlite3_finalize(st);
    pthread_mutex_unlock(&c->lock);
    return yes;
}

static void remember(struct hf_cache *c, const char *key, const struct hf_digest *d)
{
    char text[HF_DIGEST_TEXT];
    pthread_mutex_lock(&c->lock);
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(c->db, "INSERT OR REPLACE INTO verified VALUES(?1,?2,unixepoch())", -1, &st, NULL) == SQLITE_OK &&
            bind_text(st, 1, hf_span_z(key)) && bind_text(st, 2, hf_span_z(hf_digest_text(d, text))))
        sqlite3_step(st);
    sqlite3_finalize(st);
    pthread_mutex_unlock(&c->lock);
}

bool hf_cache_verified(struct hf_cache *c, int fd, uint64_t offset, uint64_t size, const struct hf_digest *d)
{
    char key[256];
    return c && d->n && file_key(fd, offset, size, key) && known(c, key, d);
}

void hf_cache_set_verified(struct hf_cache *c, int fd, uint64_t offset, uint64_t size, const struct hf_digest *d)
{
    char key[256];
    if (c && d->n && file_key(fd, offset, size, key))
        remember(c, key, d);
}

bool hf_cache_pair(struct hf_cache *c, const struct hf_digest *blob, const struct hf_digest *diff_id)
{
    char key[HF_DIGEST_TEXT];
    return c && blob->n && diff_id->n && known(c, hf_digest_text(blob, key), diff_id);
}

void hf_cache_set_pair(struct hf_cache *c, const struct hf_digest *blob, const struct hf_digest *diff_id)
{
    char key[HF_DIGEST_TEXT];
    if (c && blob->n && diff_id->n)
        remember(c, hf_digest_text(blob, key), diff_id);
}
