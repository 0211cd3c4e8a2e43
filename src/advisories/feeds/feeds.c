/* SPDX-License-Identifier: Apache-2.0 */
/* The table of feeds, and reading whole mirrors: folders, zips of records, single documents. */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zlib.h>

#include "advisories/feeds/feed.h"
#include "base/fs.h"
#include "base/progress.h"

static const struct hf_feed *const feeds[] = {&hf_feed_kev, &hf_feed_epss, &hf_feed_secdb, &hf_feed_debian, &hf_feed_osv};

#define MAX_ZIP ((uint64_t)16 << 30) /* bytes of all records of one zip; the largest real one has some 2 GB */
enum {
    MAX_RECORD = 16 << 20,     /* one OSV record; the largest real ones are a few MB */
    MAX_DOCUMENT = 512 << 20,  /* a whole document, unpacked; the Debian tracker has some 70 MB */
    MAX_DEPTH = 8,             /* folders */
    MAX_FILES = 1 << 20,
    HEAD = 4096,
};

const struct hf_feed *hf_feed_of(struct hf_span name, struct hf_span head)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(feeds); i++)
        if (feeds[i]->is(name, head))
            return feeds[i];
    return NULL;
}

struct reading {
    struct hf_advb *b;
    const struct hf_advdb_build_opts *o;
    struct hf_buf *report;
    struct hf_progress *progress;
    size_t files, used;
    bool trouble;
};

static void complain(struct reading *r, const char *path, const char *why)
{
    r->trouble = true;
    if (r->report)
        hf_buf_addf(r->report, "%s: %s\n", path, why);
}

/* The demonstration feed says what it is by a file of this name in its folder. */
static bool is_demo(const char *path)
{
    hf_autobuf marker = HF_BUF_INIT(8192);
    hf_buf_adds(&marker, hf_span_dirname(hf_span_z(path)));
    for (unsigned up = 0; up < 3; up++) {
        size_t n = marker.n;
        hf_buf_addz(&marker, "/DEMONSTRATION");
        if (access(hf_buf_z(&marker), F_OK) == 0)
            return true;
        marker.n = n;
        marker.n = hf_span_dirname(hf_buf_span(&marker)).n;
        if (!marker.n)
            break;
    }
    return false;
}

static int begin(struct reading *r, const char *feed, struct hf_span what, const char *path, time_t mtime, struct hf_err *err)
{
    hf_autobuf name = HF_BUF_INIT(512);
    hf_buf_addz(&name, feed);
    if (what.n)
        hf_buf_addf(&name, ":" HF_SPAN_FMT, HF_SPAN_ARG(hf_span_sub(what, 0, 100)));
    return hf_advb_source(r->b, hf_buf_span(&name), hf_span_z(path), r->o->fetched_unix ? r->o->fetched_unix : (uint64_t)mtime, is_demo(path), err);
}

/* Ecosystem of "<mirror>/<Ecosystem>/all.zip", "npm" of "/x/npm.zip". */
static struct hf_span folder_name(const char *path)
{
    struct hf_span name = hf_span_basename(hf_span_z(path));
    if (hf_span_ends(name, HF_S(".zip")) && !hf_span_eqz(name, "all.zip"))
        return hf_span_sub(name, 0, name.n - 4);
    return hf_span_basename(hf_span_dirname(hf_span_z(path)));
}

static int read_zip(struct reading *r, const char *path, const struct stat *st, struct hf_err *err)
{
    struct archive *a = archive_read_new();
    struct archive_entry *entry;
    hf_autobuf record = HF_BUF_INIT(MAX_RECORD);
    int rc = begin(r, "osv", folder_name(path), path, st->st_mtime, err);
    if (rc < 0 || !a) {
        archive_read_free(a);
        return rc < 0 ? rc : hf_fail(err, -ENOMEM, "out of memory");
    }
    archive_read_support_format_zip_seekable(a);
    if (archive_read_open_filename(a, path, 1 << 18) != ARCHIVE_OK) {
        complain(r, path, archive_error_string(a) ? archive_error_string(a) : "not a zip");
        archive_read_free(a);
        return 0;
    }
    size_t records = 0;
    uint64_t total = 0;
    for (;;) {
        int ar = archive_read_next_header(a, &entry);
        if (ar == ARCHIVE_EOF)
            break;
        if (ar != ARCHIVE_OK && ar != ARCHIVE_WARN) {
            complain(r, path, archive_error_string(a) ? archive_error_string(a) : "damaged");
            break;
        }
        const char *name = archive_entry_pathname(entry);
        if (!name || !hf_span_ends(hf_span_z(name), HF_S(".json")) || archive_entry_filetype(entry) != AE_IFREG)
            continue;
        if (++records > MAX_FILES) {
            complain(r, path, "more than a million records");
            break;
        }
        hf_buf_clear(&record);
        const void *p;
        size_t n;
        la_int64_t off;
        while ((ar = archive_read_data_block(a, &p, &n, &off)) == ARCHIVE_OK && hf_buf_ok(&record)) {
            hf_buf_add(&record, p, n);
            total += n;
        }
        if (total > MAX_ZIP) {
            complain(r, path, "unpacks to more than 16 GiB");
            break;
        }
        struct hf_err why = HF_ERR_INIT;
        rc = ar != ARCHIVE_EOF || !hf_buf_ok(&record) ? HF_E_FORMAT : hf_osv_record(r->b, hf_buf_span(&record), &why);
        hf_progress_add(r->progress, record.n);
        if (rc == HF_E_FORMAT) {
            hf_advb_rejected(r->b);
            if (r->report && r->report->n < 4096)
                hf_buf_addf(r->report, "%s: record %s left out: %s\n", path, name, why.msg[0] ? why.msg : "damaged or too large");
        } else if (rc < 0) {
            archive_read_free(a);
            return hf_fail(err, rc, "%s: %s: %s", path, name, why.msg);
        }
    }
    archive_read_free(a);
    r->used++;
    return 0;
}

/* A single document, unpacked when it is gzip. */
static int read_document(struct reading *r, const char *path, const struct stat *st, bool alone, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(MAX_DOCUMENT);
    gzFile z = gzopen(path, "rbe");
    if (!z) {
        complain(r, path, hf_err_name(-errno));
        return 0;
    }
    gzbuffer(z, 1 << 17);
    int n;
    bool decided = false;
    const struct hf_feed *feed = NULL;
    do {
        if (!hf_buf_reserve(&text, 1 << 16))
            break;
        n = gzread(z, text.p + text.n, 1 << 16);
        if (n > 0)
            text.n += (size_t)n;
        if (!decided && (text.n >= HEAD || n <= 0)) {
            feed = hf_feed_of(hf_span_z(path), hf_span_sub(hf_buf_span(&text), 0, HEAD));
            decided = true;
            if (!feed)
                break;
        }
    } while (n > 0);
    int code;
    const char *zerr = gzerror(z, &code);
    bool damaged = feed && (!hf_buf_ok(&text) || (code != Z_OK && code != Z_STREAM_END));
    if (damaged)
        complain(r, path, hf_buf_ok(&text) ? zerr : "larger than 512 MiB");
    gzclose(z);
    if (!feed || damaged)
        return 0; /* other files lie beside the data: readme, licences, lists */
    struct hf_span what = feed == &hf_feed_secdb ? folder_name(path) : hf_span("", 0);
    struct hf_err why = HF_ERR_INIT;
    if (feed == &hf_feed_osv && alone)
        what = folder_name(path);
    int rc = feed == &hf_feed_osv && !alone ? 0 : begin(r, feed->name, what, path, st->st_mtime, err);
    if (rc >= 0)
        rc = feed->read(r->b, hf_span_z(path), hf_buf_span(&text), &why);
    hf_progress_add(r->progress, text.n);
    if (rc == HF_E_FORMAT || rc == HF_E_TRUNCATED || (rc == HF_E_LIMIT && hf_span_search(hf_span_z(why.msg), HF_S("builder's")) == SIZE_MAX)) {
        complain(r, path, why.msg);
        rc = 0;
    } else if (rc < 0) {
        hf_fail(err, rc, "%s: %s", path, why.msg);
    }
    r->used++;
    return rc;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *d)
{
    return d->d_name[0] != '.' && !hf_span_ends(hf_span_z(d->d_name), HF_S(".sha256")) && !hf_span_ends(hf_span_z(d->d_name), HF_S(".part")) &&
            !hf_span_ends(hf_span_z(d->d_name), HF_S(".meta"));
}

static int read_path(struct reading *r, const char *path, unsigned depth, struct hf_err *err);

/* Plain OSV records of one folder are one source. */
static int read_folder(struct reading *r, const char *path, unsigned depth, struct hf_err *err)
{
    struct dirent **v = NULL;
    if (depth > MAX_DEPTH) {
        complain(r, path, "folders nested too deep");
        return 0;
    }
    int n = scandir(path, &v, visible, by_name), rc = 0;
    if (n < 0) {
        complain(r, path, hf_err_name(-errno));
        return 0;
    }
    bool begun = false;
    for (int i = 0; i < n; i++) {
        hf_autobuf sub = HF_BUF_INIT(8192);
        hf_buf_addf(&sub, "%s/%s", path, v[i]->d_name);
        if (rc >= 0 && hf_span_ends(hf_span_z(v[i]->d_name), HF_S(".json")) && !begun) {
            struct stat st;
            char head[HEAD];
            hf_autoclose int fd = open(hf_buf_z(&sub), O_RDONLY | O_CLOEXEC);
            ssize_t got = fd < 0 || fstat(fd, &st) < 0 ? 0 : pread(fd, head, sizeof head, 0);
            if (got > 0 && hf_feed_of(hf_buf_span(&sub), hf_span(head, (size_t)got)) == &hf_feed_osv) {
                rc = begin(r, "osv", hf_span_basename(hf_span_z(path)), hf_buf_z(&sub), st.st_mtime, err);
                begun = true;
            }
        }
        if (rc >= 0)
            rc = read_path(r, hf_buf_z(&sub), depth + 1, err);
        free(v[i]);
    }
    free(v);
    return rc;
}

static int read_path(struct reading *r, const char *path, unsigned depth, struct hf_err *err)
{
    struct stat st;
    if (++r->files > MAX_FILES)
        return hf_fail(err, HF_E_LIMIT, "more than %d files", MAX_FILES);
    if (stat(path, &st) < 0) {
        complain(r, path, hf_err_name(-errno));
        return 0;
    }
    if (S_ISDIR(st.st_mode))
        return read_folder(r, path, depth, err);
    if (!S_ISREG(st.st_mode))
        return 0;
    if (hf_span_ends(hf_span_z(path), HF_S(".zip")))
        /* found on the way: only what the public bucket names so; other zips lie beside the data too */
        return depth == 0 || hf_span_eqz(hf_span_basename(hf_span_z(path)), "all.zip") ? read_zip(r, path, &st, err) : 0;
    struct hf_span name = hf_span_z(path);
    if (hf_span_ends(name, HF_S(".json")) || hf_span_ends(name, HF_S(".gz")) || hf_span_ends(name, HF_S(".csv")) || depth == 0) {
        return read_document(r, path, &st, depth == 0, err);
    }
    return 0;
}

int hf_advdb_build(const char *const *sources, size_t n, const struct hf_advdb_build_opts *o, const char *out_path, struct hf_buf *report, struct hf_err *err)
{
    hf_cleanup(hf_advb_freep) struct hf_advb *b = hf_advb_new(o->max_memory ? (size_t)o->max_memory : (size_t)4 << 30);
    if (!b)
        return hf_fail(err, -ENOMEM, "out of memory");
    struct reading r = {b, o, report, hf_progress_start("reading advisories", o->quiet), 0, 0, false};
    int rc = 0;
    for (size_t i = 0; i < n && rc >= 0; i++) {
        struct stat st;
        rc = stat(sources[i], &st) < 0 ? hf_fail(err, -errno, "%s: %s", sources[i], hf_err_name(-errno)) : read_path(&r, sources[i], 0, err);
    }
    hf_progress_stop(r.progress);
    if (rc < 0)
        return rc;
    if (!r.used)
        return hf_fail(err, HF_E_NOT_FOUND, "no advisory data found; expected <Ecosystem>/all.zip, OSV records, or one of the feeds of holdfast-db(1)");
    rc = hf_advb_write(b, out_path, err);
    return rc < 0 ? rc : r.trouble ? HF_E_INCOMPLETE : 0;
}
