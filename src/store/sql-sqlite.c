/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite behind sql.h: WAL, synchronous=FULL. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "store/sql-internal.h"

enum { CHECKPOINT_BYTES = 4 << 20, WAIT_STEP_US = 500 };
struct statement {
    char *sql; /* key; NULL: not kept */
    sqlite3_stmt *st;
    bool busy;
};
struct lite {
    sqlite3 *db;
    struct hf_map by_sql;
    struct statement kept[HF_SQL_STATEMENTS];
    size_t n;
};
struct rows {
    struct lite *l;
    struct statement *kept; /* or NULL */
    sqlite3_stmt *st;
};

static int failed(struct lite *l, int code, struct hf_err *err)
{
    static const struct {
        int code, rc;
    } table[] = {
            {SQLITE_BUSY, -EBUSY}, {SQLITE_LOCKED, -EBUSY}, {SQLITE_FULL, -ENOSPC}, {SQLITE_READONLY, -EROFS}, {SQLITE_PERM, -EACCES},
            {SQLITE_AUTH, -EACCES}, {SQLITE_CANTOPEN, -ENOENT}, {SQLITE_NOMEM, -ENOMEM}, {SQLITE_TOOBIG, HF_E_LIMIT}, {SQLITE_NOTADB, HF_E_FORMAT},
            {SQLITE_CONSTRAINT, -EEXIST}, {SQLITE_ERROR, -EINVAL},
    };
    int rc = -EIO;
    for (size_t i = 0; i < HF_ARRAY_LEN(table); i++) {
        if ((code & 0xff) == table[i].code)
            rc = table[i].rc;
    }
    struct rlimit files;
    if (code == SQLITE_IOERR_WRITE && getrlimit(RLIMIT_FSIZE, &files) == 0 && files.rlim_cur != RLIM_INFINITY) /* EFBIG, which SQLite does not hand on */
        return hf_fail(err, -ENOSPC, "%s while writing; the limit on the size of files (RLIMIT_FSIZE) is %llu bytes", sqlite3_errmsg(l->db), (unsigned long long)files.rlim_cur);
    int sys = l->db ? sqlite3_system_errno(l->db) : 0;
    if (((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN) && sys > 0) /* the system's own word is better */
        return hf_fail(err, sys == EFBIG || sys == EDQUOT ? -ENOSPC : -sys, "%s (%s)", sqlite3_errmsg(l->db), strerrordesc_np(sys));
    return hf_fail(err, rc, "%s", l->db ? sqlite3_errmsg(l->db) : sqlite3_errstr(code));
}

static void forget(struct lite *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->kept[i].busy)
            continue;
        sqlite3_finalize(l->kept[i].st);
        free(l->kept[i].sql);
    }
    l->n = 0;
    hf_map_done(&l->by_sql);
}

static int prepare(struct lite *l, const char *sql, struct statement **ret_kept, sqlite3_stmt **ret, struct hf_err *err)
{
    uint64_t at;
    *ret_kept = NULL;
    if (hf_map_get(&l->by_sql, hf_span_z(sql), &at) && !l->kept[at].busy) {
        *ret_kept = &l->kept[at];
        *ret = l->kept[at].st;
        return 0;
    }
    bool known = hf_map_get(&l->by_sql, hf_span_z(sql), &at);
    int code = sqlite3_prepare_v3(l->db, sql, -1, known ? 0 : SQLITE_PREPARE_PERSISTENT, ret, NULL);
    if (code != SQLITE_OK)
        return failed(l, code, err);
    if (known) /* in use further up: this one is for once */
        return 0;
    if (l->n == HF_SQL_STATEMENTS) {
        for (size_t i = 0; i < l->n; i++) {
            if (l->kept[i].busy)
                return 0;
        }
        forget(l);
    }
    char *copy = hf_span_dupz(hf_span_z(sql));
    uint64_t *slot = copy ? hf_map_at(&l->by_sql, hf_span_z(copy), NULL) : NULL;
    if (!slot) {
        free(copy);
        return 0;
    }
    *slot = l->n;
    l->kept[l->n] = (struct statement){copy, *ret, false};
    *ret_kept = &l->kept[l->n++];
    return 0;
}

static void release(struct rows *r)
{
    if (!r->kept) {
        sqlite3_finalize(r->st);
        return;
    }
    sqlite3_reset(r->st);
    sqlite3_clear_bindings(r->st);
    r->kept->busy = false;
}

static int bind(struct lite *l, sqlite3_stmt *st, const struct hf_sql_value *v, size_t n, struct hf_err *err)
{
    if ((size_t)sqlite3_bind_parameter_count(st) != n)
        return hf_fail(err, -EINVAL, "the statement has %d parameters, %zu values were given", sqlite3_bind_parameter_count(st), n);
    for (size_t i = 0; i < n; i++) {
        int code, at = (int)i + 1;
        const char *p = v[i].s.p ? v[i].s.p : ""; /* NULL would bind SQL's NULL */
        if (v[i].null)
            code = sqlite3_bind_null(st, at);
        else if (v[i].type == HF_SQL_INT)
            code = sqlite3_bind_int64(st, at, v[i].i);
        else if (v[i].type == HF_SQL_BLOB)
            code = sqlite3_bind_blob64(st, at, p, v[i].s.n, SQLITE_TRANSIENT);
        else
            code = sqlite3_bind_text64(st, at, p, v[i].s.n, SQLITE_TRANSIENT, SQLITE_UTF8);
        if (code != SQLITE_OK)
            return failed(l, code, err);
    }
    return 0;
}

static int start(struct lite *l, const char *sql, const struct hf_sql_value *v, size_t n, struct rows *ret, struct hf_err *err)
{
    struct rows r = {.l = l};
    int rc = prepare(l, sql, &r.kept, &r.st, err);
    if (rc < 0)
        return rc;
    if (r.kept)
        r.kept->busy = true;
    rc = bind(l, r.st, v, n, err);
    if (rc < 0)
        release(&r);
    else
        *ret = r;
    return rc;
}

static int lite_query(void *db, const char *sql, const struct hf_sql_value *v, size_t n, void **ret, struct hf_err *err)
{
    struct rows *r = calloc(1, sizeof *r);
    if (!r)
        return hf_fail(err, -ENOMEM, "out of memory");
    int rc = start(db, sql, v, n, r, err);
    if (rc < 0)
        free(r);
    else
        *ret = r;
    return rc;
}

static int lite_next(void *rows, struct hf_err *err)
{
    struct rows *r = rows;
    int code = sqlite3_step(r->st);
    return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : failed(r->l, code, err);
}

static void lite_rows_done(void *rows)
{
    release(rows);
    free(rows);
}

static int lite_run(void *db, const char *sql, const struct hf_sql_value *v, size_t n, struct hf_err *err)
{
    struct lite *l = db;
    struct rows r;
    int rc = start(l, sql, v, n, &r, err);
    if (rc < 0)
        return rc;
    int64_t before = sqlite3_total_changes64(l->db);
    int code;
    while ((code = sqlite3_step(r.st)) == SQLITE_ROW)
        ;
    rc = code == SQLITE_DONE ? (int)HF_MIN(sqlite3_total_changes64(l->db) - before, INT32_MAX) : failed(l, code, err);
    release(&r);
    return rc;
}

static int lite_script(void *db, const char *sql, struct hf_err *err)
{
    struct lite *l = db;
    int code = sqlite3_exec(l->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : failed(l, code, err);
}

static bool lite_is_null(const void *rows, unsigned col)
{
    return sqlite3_column_type(((const struct rows *)rows)->st, (int)col) == SQLITE_NULL;
}

static int64_t lite_int(const void *rows, unsigned col)
{
    return sqlite3_column_int64(((const struct rows *)rows)->st, (int)col);
}

static struct hf_span lite_text(const void *rows, unsigned col)
{
    sqlite3_stmt *st = ((const struct rows *)rows)->st;
    const char *p = sqlite3_column_blob(st, (int)col);
    return hf_span(p, p ? (size_t)sqlite3_column_bytes(st, (int)col) : 0);
}

/* SQLite's own waiting grows to 100 ms a sleep, which lets a busy writer starve another. */
static int wait_turn(void *ctx, int tried)
{
    (void)ctx;
    if (tried >= HF_STORE_WAIT_MS * 1000 / WAIT_STEP_US)
        return 0;
    usleep(WAIT_STEP_US);
    return 1;
}

static int lite_begin(void *db, enum hf_sql_turn turn, struct hf_err *err)
{
    struct lite *l = db;
    if (turn == HF_TURN_NOW)
        sqlite3_busy_handler(l->db, NULL, NULL);
    int rc = lite_script(db, turn == HF_TURN_NONE ? "BEGIN" : "BEGIN IMMEDIATE", err);
    if (turn == HF_TURN_NOW)
        sqlite3_busy_handler(l->db, wait_turn, NULL);
    return rc;
}

static int lite_ready(void *db, struct hf_err *err)
{
    struct lite *l = db;
    /* A failed COMMIT or a full disk may have left, or ended, a transaction behind our back. */
    return sqlite3_get_autocommit(l->db) ? 0 : lite_script(db, "ROLLBACK", err);
}

static int lite_relax(void *db, bool on, struct hf_err *err)
{
    return lite_script(db, on ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL", err); /* WAL: NORMAL waits for the disk at checkpoints only */
}

/* PASSIVE: neither waits for readers and writers nor makes them wait; what it cannot move yet comes the next time. */
static int lite_checkpoint(void *db, struct hf_err *err)
{
    struct lite *l = db;
    struct stat st;
    hf_autobuf wal = HF_BUF_INIT(8192);
    hf_buf_addf(&wal, "%s-wal", sqlite3_db_filename(l->db, "main"));
    if (stat(hf_buf_z(&wal), &st) < 0 || st.st_size < CHECKPOINT_BYTES)
        return 0;
    int code = sqlite3_wal_checkpoint_v2(l->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return code == SQLITE_OK || (code & 0xff) == SQLITE_BUSY ? 0 : failed(l, code, err);
}

static void lite_close(void *db)
{
    struct lite *l = db;
    if (!l)
        return;
    forget(l);
    sqlite3_close(l->db);
    free(l);
}

static int make_file(const char *path, struct hf_err *err)
{
    struct hf_span dir = hf_span_dirname(hf_span_z(path));
    hf_autofree char *folder = dir.n ? hf_span_dupz(dir) : NULL;
    if (folder) {
        int rc = hf_mkdirs(folder, 0700, err);
        if (rc < 0)
            return rc;
    }
    hf_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return hf_fail(err, -errno, "%s", strerrordesc_np(errno));
    return 0;
}

static int is_wal(void *ret, int n, char **values, char **names)
{
    (void)names;
    *(bool *)ret = n == 1 && values[0] && !strcmp(values[0], "wal");
    return 0;
}

/* A file that is new: auto_vacuum only takes before the first table, and the change to WAL asks for the whole file, for which SQLite does not wait: who makes a store
 * together with others does it here.  A file that is in WAL already is only read: either statement would wait for whoever writes. */
static int use_wal(struct lite *l)
{
    int code = SQLITE_BUSY;
    sqlite3_busy_handler(l->db, NULL, NULL); /* or each try would wait as long as all of them may */
    for (int tried = 0; (code & 0xff) == SQLITE_BUSY && wait_turn(NULL, tried); tried++) {
        bool wal = false;
        code = sqlite3_exec(l->db, "PRAGMA journal_mode", is_wal, &wal, NULL);
        if (code == SQLITE_OK && !wal)
            code = sqlite3_exec(l->db, "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;", NULL, NULL, NULL);
    }
    sqlite3_busy_handler(l->db, wait_turn, NULL);
    return code;
}

int hf_sqlite_open(void **ret, const char *path, unsigned flags, struct hf_err *err)
{
    bool reading = flags & HF_STORE_READ_ONLY;
    struct stat st;
    int rc = 0;
    if (stat(path, &st) == 0 ? !S_ISREG(st.st_mode) : errno != ENOENT)
        return hf_fail(err, errno == ENOTDIR ? -ENOTDIR : errno == EACCES ? -EACCES : -EINVAL, "not a file that can be a database");
    if (stat(path, &st) < 0) {
        if (flags & (HF_STORE_READ_ONLY | HF_STORE_MUST_EXIST))
            return hf_fail(err, -ENOENT, "there is no such file");
        rc = make_file(path, err);
    }
    struct lite *l = rc < 0 ? NULL : calloc(1, sizeof *l);
    if (!l)
        return rc < 0 ? rc : hf_fail(err, -ENOMEM, "out of memory");
    /* Read-only handles open the file for writing where they may: WAL's shared index needs it; query_only keeps them from changing anything. */
    int code = sqlite3_open_v2(path, &l->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code == SQLITE_OK) {
        sqlite3_busy_handler(l->db, wait_turn, NULL);
        sqlite3_db_config(l->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(l->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        sqlite3_limit(l->db, SQLITE_LIMIT_LENGTH, 64 << 20);
        /* A checkpoint every 1000 pages keeps the WAL at some 4 MB. */
        code = sqlite3_exec(l->db, "PRAGMA cell_size_check=ON; PRAGMA foreign_keys=OFF; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=1000;"
                                   "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-8192; PRAGMA journal_size_limit=67108864;", NULL, NULL, NULL);
    }
    if (code == SQLITE_OK)
        code = reading ? sqlite3_exec(l->db, "PRAGMA query_only=ON;", NULL, NULL, NULL) : use_wal(l);
    if (code == SQLITE_OK && flags & HF_STORE_NO_CHECKPOINT)
        code = sqlite3_wal_autocheckpoint(l->db, 0);
    if (code != SQLITE_OK) {
        rc = failed(l, code, err);
        lite_close(l);
        return rc;
    }
    *ret = l;
    return 0;
}

const struct hf_sql_ops hf_sqlite_ops = {"sqlite", lite_query, lite_run, lite_script, lite_next, lite_is_null, lite_int, lite_text, lite_rows_done,
        lite_begin, lite_ready, lite_close, lite_checkpoint, lite_relax};
