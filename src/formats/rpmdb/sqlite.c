/* SPDX-License-Identifier: Apache-2.0 */
/* rpmdb.sqlite through SQLite itself, on a file system of two read-only files: the database and its write-ahead log.
 *
 * The log is read as SQLite would after a crash.  Exclusive locking keeps the log's index on the heap, so no shared memory
 * file is needed, and nothing is ever checkpointed.  The schema is hostile: it may hold views, triggers, virtual tables and
 * computed columns.  So Packages must be an ordinary table with an ordinary column blob, functions are refused to the
 * compiler of statements, and work is bounded by steps, rows and bytes. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>

#include "base/rd.h"
#include "formats/rpmdb/rpmdb.h"

enum {
    STEPS_BETWEEN = 1000,    /* virtual machine steps between two calls of the progress handler */
    STEP_CALLS_MAX = 20000,  /* a row needs about four steps: room for 5 million rows */
    CACHE_KIB = 512,
    SQL_MAX = 64 << 10,
    FILE_MAX = 1 << 30,      /* SQLite's page cache stays small whatever the size; real ones have 5 to 60 MiB */
};

/* --- the file system --- */
struct source {
    const struct hf_ra *db, *wal;
};
struct file {
    sqlite3_file base; /* must be first */
    struct hf_ra ra;
};
/* SQLite opens files by name and from inside its own calls; one database at a time is read by a thread, here. */
static _Thread_local const struct source *current;

static int f_close(sqlite3_file *f)
{
    (void)f;
    return SQLITE_OK;
}

static int f_read(sqlite3_file *base, void *buf, int n, sqlite3_int64 off)
{
    struct file *f = (struct file *)(void *)base;
    if (n < 0 || off < 0)
        return SQLITE_IOERR_READ;
    uint64_t at = (uint64_t)off, left = at < f->ra.size ? f->ra.size - at : 0;
    size_t want = (size_t)n, have = left < want ? (size_t)left : want;
    if (have && hf_ra_read(&f->ra, at, buf, have, NULL) < 0)
        return SQLITE_IOERR_READ;
    if (have == want)
        return SQLITE_OK;
    memset((char *)buf + have, 0, want - have); /* SQLite wants the rest zeroed */
    return SQLITE_IOERR_SHORT_READ;
}

static int f_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 off)
{
    (void)f, (void)p, (void)n, (void)off;
    return SQLITE_READONLY;
}

static int f_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    (void)f, (void)n;
    return SQLITE_READONLY;
}

static int f_sync(sqlite3_file *f, int flags)
{
    (void)f, (void)flags;
    return SQLITE_OK;
}

static int f_size(sqlite3_file *base, sqlite3_int64 *ret)
{
    *ret = (sqlite3_int64)((struct file *)(void *)base)->ra.size;
    return SQLITE_OK;
}

static int f_lock(sqlite3_file *f, int level)
{
    (void)f, (void)level;
    return SQLITE_OK; /* the bytes belong to us alone */
}

static int f_reserved(sqlite3_file *f, int *ret)
{
    (void)f;
    *ret = 0;
    return SQLITE_OK;
}

static int f_control(sqlite3_file *f, int op, void *arg)
{
    (void)f, (void)op, (void)arg;
    return SQLITE_NOTFOUND;
}

static int f_sector(sqlite3_file *f)
{
    (void)f;
    return 4096;
}

static int f_traits(sqlite3_file *f)
{
    (void)f;
    return 0;
}

static const sqlite3_io_methods io = {
        .iVersion = 1,
        .xClose = f_close,
        .xRead = f_read,
        .xWrite = f_write,
        .xTruncate = f_truncate,
        .xSync = f_sync,
        .xFileSize = f_size,
        .xLock = f_lock,
        .xUnlock = f_lock,
        .xCheckReservedLock = f_reserved,
        .xFileControl = f_control,
        .xSectorSize = f_sector,
        .xDeviceCharacteristics = f_traits,
};

static int v_open(sqlite3_vfs *v, const char *name, sqlite3_file *base, int flags, int *ret_flags)
{
    (void)v, (void)name;
    struct file *f = (struct file *)(void *)base;
    base->pMethods = NULL;
    if (!current)
        return SQLITE_CANTOPEN;
    if (flags & SQLITE_OPEN_MAIN_DB)
        f->ra = *current->db;
    else if (flags & SQLITE_OPEN_WAL)
        f->ra = current->wal ? *current->wal : hf_ra_mem(hf_span("", 0));
    else
        return SQLITE_CANTOPEN; /* journals and temporary files: never */
    base->pMethods = &io;
    if (ret_flags)
        *ret_flags = (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
    return SQLITE_OK;
}

static int v_delete(sqlite3_vfs *v, const char *name, int sync)
{
    (void)v, (void)name, (void)sync;
    return SQLITE_OK;
}

static int v_access(sqlite3_vfs *v, const char *name, int flags, int *ret)
{
    (void)v, (void)flags;
    size_t n = name ? strlen(name) : 0;
    *ret = current && current->wal && n > 4 && memcmp(name + n - 4, "-wal", 4) == 0;
    return SQLITE_OK;
}

static int v_full(sqlite3_vfs *v, const char *name, int n, char *out)
{
    (void)v;
    return snprintf(out, (size_t)n, "%s", name) < n ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int v_random(sqlite3_vfs *v, int n, char *out)
{
    (void)v;
    memset(out, 0, (size_t)n); /* nothing that is read depends on it */
    return n;
}

static int v_sleep(sqlite3_vfs *v, int us)
{
    (void)v;
    return us;
}

static int v_time(sqlite3_vfs *v, double *ret)
{
    (void)v;
    *ret = 0;
    return SQLITE_OK;
}

static int v_error(sqlite3_vfs *v, int n, char *out)
{
    (void)v, (void)n, (void)out;
    return 0;
}

static sqlite3_vfs vfs = {
        .iVersion = 1,
        .szOsFile = (int)sizeof(struct file),
        .mxPathname = 64,
        .zName = "hf-rpmdb",
        .xOpen = v_open,
        .xDelete = v_delete,
        .xAccess = v_access,
        .xFullPathname = v_full,
        .xRandomness = v_random,
        .xSleep = v_sleep,
        .xCurrentTime = v_time,
        .xGetLastError = v_error,
};
static int vfs_rc;

static void register_vfs(void)
{
    vfs_rc = sqlite3_vfs_register(&vfs, 0);
}

/* --- bounds --- */
static int on_progress(void *ctx)
{
    unsigned *calls = ctx;
    return ++*calls > STEP_CALLS_MAX;
}

/* Reading tables and our own pragmas is all a statement may do: no functions, so no computed column can run one. */
static int authorize(void *ctx, int action, const char *a, const char *b, const char *c, const char *d)
{
    (void)ctx, (void)a, (void)b, (void)c, (void)d;
    return action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_PRAGMA ? SQLITE_OK : SQLITE_DENY;
}

static int fail(sqlite3 *db, int rc, struct hf_err *err)
{
    int code = rc == SQLITE_NOMEM || rc == SQLITE_INTERRUPT || rc == SQLITE_TOOBIG ? HF_E_LIMIT : HF_E_FORMAT;
    return hf_fail(err, code, "rpmdb.sqlite: %s", rc == SQLITE_INTERRUPT ? "more work than a database of packages needs"
                    : db                                                  ? sqlite3_errmsg(db)
                                                                          : sqlite3_errstr(rc));
}

static void db_closep(sqlite3 **db)
{
    sqlite3_close(*db);
}

static void stmt_donep(sqlite3_stmt **s)
{
    sqlite3_finalize(*s);
}

static int open_db(sqlite3 **ret, unsigned *calls, struct hf_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_vfs);
    int rc = vfs_rc ? vfs_rc : sqlite3_open_v2("rpmdb.sqlite", ret, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, "hf-rpmdb");
    if (rc != SQLITE_OK)
        return fail(*ret, rc, err);
    static const struct {
        int option, on;
    } config[] = {
            {SQLITE_DBCONFIG_DEFENSIVE, 1},
            {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
            {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
            {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
            {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
            {SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(config); i++)
        if ((rc = sqlite3_db_config(*ret, config[i].option, config[i].on, NULL)) != SQLITE_OK)
            return fail(*ret, rc, err);
    sqlite3_limit(*ret, SQLITE_LIMIT_LENGTH, HF_RPM_HEADER_MAX);
    sqlite3_limit(*ret, SQLITE_LIMIT_SQL_LENGTH, SQL_MAX);
    sqlite3_limit(*ret, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(*ret, SQLITE_LIMIT_EXPR_DEPTH, 50);
    sqlite3_limit(*ret, SQLITE_LIMIT_TRIGGER_DEPTH, 1);
    sqlite3_limit(*ret, SQLITE_LIMIT_WORKER_THREADS, 0);
    sqlite3_progress_handler(*ret, STEPS_BETWEEN, on_progress, calls);
    char sql[200];
    snprintf(sql, sizeof sql, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-%d; PRAGMA mmap_size=0; "
            "PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY;", CACHE_KIB);
    if ((rc = sqlite3_exec(*ret, sql, NULL, NULL, NULL)) != SQLITE_OK)
        return fail(*ret, rc, err);
    if ((rc = sqlite3_set_authorizer(*ret, authorize, NULL)) != SQLITE_OK)
        return fail(*ret, rc, err);
    return 0;
}

/* Whether Packages is a table of its own pages with an ordinary column blob. */
static int check_schema(sqlite3 *db, struct hf_err *err)
{
    hf_cleanup(stmt_donep) sqlite3_stmt *s = NULL, *x = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT type, rootpage FROM sqlite_schema WHERE name = 'Packages'", -1, &s, NULL);
    if (rc != SQLITE_OK)
        return fail(db, rc, err);
    if ((rc = sqlite3_step(s)) == SQLITE_DONE)
        return hf_fail(err, HF_E_FORMAT, "rpmdb.sqlite has no table Packages");
    if (rc != SQLITE_ROW)
        return fail(db, rc, err);
    const char *type = (const char *)sqlite3_column_text(s, 0);
    if (!type || strcmp(type, "table") != 0 || sqlite3_column_int64(s, 1) <= 0)
        return hf_fail(err, HF_E_FORMAT, "rpmdb.sqlite: Packages is not an ordinary table");
    if ((rc = sqlite3_prepare_v2(db, "PRAGMA table_xinfo('Packages')", -1, &x, NULL)) != SQLITE_OK)
        return fail(db, rc, err);
    bool blob = false;
    while ((rc = sqlite3_step(x)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(x, 1);
        if (sqlite3_column_int(x, 6) != 0)
            return hf_fail(err, HF_E_FORMAT, "rpmdb.sqlite: Packages has computed or hidden columns");
        blob |= name && strcmp(name, "blob") == 0;
    }
    if (rc != SQLITE_DONE)
        return fail(db, rc, err);
    return blob ? 0 : hf_fail(err, HF_E_FORMAT, "rpmdb.sqlite: Packages has no column blob");
}

static int read_rows(sqlite3 *db, uint64_t bytes_max, const struct hf_rpmdb_sink *sink, struct hf_err *err)
{
    hf_cleanup(stmt_donep) sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT hnum, blob FROM Packages NOT INDEXED", -1, &s, NULL);
    if (rc != SQLITE_OK)
        return fail(db, rc, err);
    uint64_t bytes = 0;
    uint32_t rows = 0;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        if (++rows > HF_RPM_HEADERS_MAX)
            return hf_fail(err, HF_E_LIMIT, "rpmdb.sqlite has more than %d headers", HF_RPM_HEADERS_MAX);
        int done;
        if (sqlite3_column_type(s, 1) != SQLITE_BLOB) {
            char text[120];
            snprintf(text, sizeof text, "rpmdb.sqlite: package %lld is no header", (long long)sqlite3_column_int64(s, 0));
            done = sink->damaged(sink->ctx, text);
        } else {
            const char *p = sqlite3_column_blob(s, 1);
            int n = sqlite3_column_bytes(s, 1);
            if (n > 0 && !p)
                return hf_fail(err, HF_E_LIMIT, "rpmdb.sqlite: no memory for a header of %d bytes", n);
            bytes += (uint64_t)n;
            if (bytes > bytes_max) /* pages that serve several rows */
                return hf_fail(err, HF_E_FORMAT, "rpmdb.sqlite: headers take more than the whole database");
            done = sink->header(sink->ctx, hf_span(p, (size_t)n), err);
        }
        if (done < 0)
            return done;
    }
    return rc == SQLITE_DONE ? 0 : fail(db, rc, err);
}

/* --- the log --- */
/* SQLite stops without a word at the first frame whose sum is wrong, so packages could vanish with one flipped byte.  This goes
 * over the frames first.  Frames of an older round have other salts and are left over on purpose; a frame with the salts of this
 * round that is torn or does not add up is damage.  Spec: sqlite.org/fileformat2.html, section 4. */
enum { WAL_HEADER = 32, FRAME_HEADER = 24, WAL_MAGIC = 0x377f0682 };

static void wal_sum(struct hf_span s, bool big, uint32_t sum[2])
{
    struct hf_rd r = hf_rd(s);
    while (hf_rd_left(&r) >= 8) {
        sum[0] += (uint32_t)hf_rd_int(&r, 4, big) + sum[1];
        sum[1] += (uint32_t)hf_rd_int(&r, 4, big) + sum[0];
    }
}

/* What is wrong with the log, or NULL. */
static const char *wal_damage(const struct hf_ra *wal, struct hf_err *err)
{
    uint8_t head[WAL_HEADER];
    hf_autobuf work = HF_BUF_INIT(FRAME_HEADER + 65536);
    if (hf_ra_read(wal, 0, head, sizeof head, err) < 0)
        return "its header is cut off";
    struct hf_rd r = hf_rd(hf_span((const char *)head, sizeof head));
    uint32_t magic = hf_rd_be32(&r), sum[2] = {0, 0};
    hf_rd_skip(&r, 4);
    uint32_t page = hf_rd_be32(&r);
    hf_rd_skip(&r, 4);
    struct hf_span salts = hf_rd_span(&r, 8);
    bool big = magic & 1;
    wal_sum(hf_span((const char *)head, 24), big, sum);
    if ((magic & ~1U) != WAL_MAGIC || page < 512 || page > 65536 || (page & (page - 1)) || hf_rd_be32(&r) != sum[0] || hf_rd_be32(&r) != sum[1])
        return "its header is damaged";
    for (uint64_t off = WAL_HEADER; off < wal->size;) {
        struct hf_span frame;
        size_t n = (size_t)HF_MIN((uint64_t)FRAME_HEADER + page, wal->size - off);
        if (hf_ra_get(wal, off, n, &work, &frame, err) < 0)
            return "it cannot be read";
        if (n >= 16 && !hf_span_eq(hf_span_sub(frame, 8, 8), salts))
            return NULL;
        if (n < FRAME_HEADER + page)
            return "its last frame is cut off";
        wal_sum(hf_span_sub(frame, 0, 8), big, sum);
        wal_sum(hf_span_from(frame, FRAME_HEADER), big, sum);
        struct hf_rd f = hf_rd(hf_span_sub(frame, 16, 8));
        if (hf_rd_be32(&f) != sum[0] || hf_rd_be32(&f) != sum[1])
            return "a frame does not have its checksum";
        off += n;
    }
    return NULL;
}

int hf_rpmdb_sqlite(const struct hf_ra *ra, const struct hf_ra *wal, const struct hf_rpmdb_sink *sink, struct hf_err *err)
{
    if (ra->size > FILE_MAX || (wal && wal->size > FILE_MAX))
        return hf_fail(err, HF_E_LIMIT, "rpmdb.sqlite is over %d bytes", FILE_MAX);
    if (wal && wal->size == 0)
        wal = NULL;
    uint8_t magic[16];
    int rc = hf_ra_read(ra, 0, magic, sizeof magic, err);
    if (rc < 0)
        return hf_wrap(err, rc, "rpmdb.sqlite");
    if (memcmp(magic, "SQLite format 3", 16) != 0)
        return hf_fail(err, HF_E_FORMAT, "rpmdb.sqlite is no SQLite database");
    const char *damage = wal ? wal_damage(wal, err) : NULL;
    if (damage) {
        char text[160];
        snprintf(text, sizeof text, "rpmdb.sqlite-wal: %s: what it changed from there on is not known", damage);
        if ((rc = sink->damaged(sink->ctx, text)) < 0)
            return rc;
    }
    struct source src = {ra, wal};
    unsigned calls = 0;
    current = &src;
    {
        hf_cleanup(db_closep) sqlite3 *db = NULL;
        rc = open_db(&db, &calls, err);
        if (rc == 0)
            rc = check_schema(db, err);
        if (rc == 0)
            rc = read_rows(db, ra->size + (wal ? wal->size : 0), sink, err);
    }
    current = NULL;
    return rc;
}
