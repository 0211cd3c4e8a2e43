/* SPDX-License-Identifier: Apache-2.0 */
#include "advisories/transport/transport.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ra.h"

enum { MAX_MANIFEST = 4 << 20, BLOCK = 1 << 18 };
static const char *const members[] = {"manifest.json", "manifest.sig", "advisories.hfdb"};

/* --- out --- */

static int digest_of(int fd, uint64_t size, struct hf_digest *ret, struct hf_err *err)
{
    hf_autofree char *block = malloc(BLOCK);
    hf_cleanup(hf_hash_freep) struct hf_hash *h = hf_hash_new(HF_SHA256);
    struct hf_ra ra = hf_ra_fd(fd, 0, size);
    if (!block || !h)
        return hf_fail(err, -ENOMEM, "out of memory");
    for (uint64_t off = 0; off < size;) {
        size_t n = (size_t)HF_MIN((uint64_t)BLOCK, size - off);
        int rc = hf_ra_read(&ra, off, block, n, err);
        if (rc < 0)
            return rc;
        hf_hash_add(h, block, n);
        off += n;
    }
    ret->kind = HF_SHA256;
    ret->n = (uint8_t)hf_hash_end(h, ret->b);
    return 0;
}

static int tar_fail(struct archive *a, struct hf_err *err)
{
    return hf_fail(err, -EIO, "%s", archive_error_string(a) ? archive_error_string(a) : "the archive cannot be written");
}

static int put(struct archive *a, const char *name, uint64_t size, uint64_t when, struct hf_err *err)
{
    struct archive_entry *e = archive_entry_new();
    if (!e)
        return hf_fail(err, -ENOMEM, "out of memory");
    archive_entry_set_pathname(e, name);
    archive_entry_set_size(e, (la_int64_t)size);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_mtime(e, (time_t)when, 0);
    int rc = archive_write_header(a, e);
    archive_entry_free(e);
    return rc == ARCHIVE_OK ? 0 : tar_fail(a, err);
}

static int put_span(struct archive *a, const char *name, struct hf_span s, uint64_t when, struct hf_err *err)
{
    int rc = put(a, name, s.n, when, err);
    if (rc >= 0 && archive_write_data(a, s.p, s.n) != (la_ssize_t)s.n)
        rc = tar_fail(a, err);
    return rc;
}

static int put_file(struct archive *a, int fd, uint64_t size, uint64_t when, struct hf_err *err)
{
    hf_autofree char *block = malloc(BLOCK);
    struct hf_ra ra = hf_ra_fd(fd, 0, size);
    int rc = block ? put(a, members[2], size, when, err) : hf_fail(err, -ENOMEM, "out of memory");
    for (uint64_t off = 0; off < size && rc >= 0;) {
        size_t n = (size_t)HF_MIN((uint64_t)BLOCK, size - off);
        rc = hf_ra_read(&ra, off, block, n, err);
        if (rc >= 0 && archive_write_data(a, block, n) != (la_ssize_t)n)
            rc = tar_fail(a, err);
        off += n;
    }
    return rc;
}

int hf_transport_export(const char *db_path, const char *file, const char *key_pem, struct hf_err *err)
{
    hf_cleanup(hf_advdb_closep) struct hf_advdb *db = NULL;
    hf_autoclose int fd = open(db_path, O_RDONLY | O_CLOEXEC);
    hf_autobuf manifest = HF_BUF_INIT(MAX_MANIFEST), tmp = HF_BUF_INIT(8192);
    struct hf_transport_manifest m;
    uint8_t signature[HF_SIGNATURE_BYTES];
    struct stat st;
    int rc = hf_advdb_open(&db, db_path, err);
    if (rc < 0)
        return rc;
    if (fd < 0 || fstat(fd, &st) < 0)
        return hf_fail(err, -errno, "%s: %s", db_path, hf_err_name(-errno));
    m.size = (uint64_t)st.st_size;
    m.built_unix = hf_advdb_built_unix(db);
    rc = digest_of(fd, m.size, &m.digest, err);
    if (rc < 0)
        return rc;
    hf_transport_manifest_write(db, &m, &manifest);
    if (!hf_buf_ok(&manifest))
        return hf_fail(err, HF_E_LIMIT, "the manifest is too large");
    if ((rc = hf_transport_sign(hf_buf_span(&manifest), key_pem, signature, err)) < 0)
        return rc;
    hf_buf_addf(&tmp, "%s.new.%ld", file, (long)getpid());
    struct archive *a = archive_write_new();
    if (!a)
        return hf_fail(err, -ENOMEM, "out of memory");
    archive_write_set_format_ustar(a);
    archive_write_add_filter_zstd(a);
    rc = archive_write_open_filename(a, hf_buf_z(&tmp)) == ARCHIVE_OK ? 0 : hf_fail(err, -EIO, "%s: %s", hf_buf_z(&tmp), archive_error_string(a));
    if (rc >= 0)
        rc = put_span(a, members[0], hf_buf_span(&manifest), m.built_unix, err);
    if (rc >= 0)
        rc = put_span(a, members[1], hf_span((const char *)signature, sizeof signature), m.built_unix, err);
    if (rc >= 0)
        rc = put_file(a, fd, m.size, m.built_unix, err);
    if (rc >= 0 && archive_write_close(a) != ARCHIVE_OK)
        rc = tar_fail(a, err);
    archive_write_free(a);
    if (rc >= 0 && rename(hf_buf_z(&tmp), file) < 0)
        rc = hf_fail(err, -errno, "%s: %s", file, hf_err_name(-errno));
    if (rc < 0)
        unlink(hf_buf_z(&tmp));
    return rc;
}

/* --- in --- */

static int broken(const char *file, struct archive *a, struct hf_err *err)
{
    return hf_fail(err, HF_E_FORMAT, "%s: %s", file, archive_error_string(a) ? archive_error_string(a) : "damaged");
}

/* The next member, which must be this one. */
static int expect(struct archive *a, const char *file, const char *name, uint64_t max, uint64_t *ret_size, struct hf_err *err)
{
    struct archive_entry *e;
    int ar = archive_read_next_header(a, &e);
    if (ar == ARCHIVE_EOF)
        return hf_fail(err, HF_E_TRUNCATED, "%s ends before its member %s", file, name);
    if (ar != ARCHIVE_OK)
        return broken(file, a, err);
    const char *got = archive_entry_pathname(e);
    if (!got || strcmp(got, name) != 0 || archive_entry_filetype(e) != AE_IFREG || !archive_entry_size_is_set(e))
        return hf_fail(err, HF_E_FORMAT, "%s: member \"%.100s\" where %s must be", file, got ? got : "", name);
    la_int64_t size = archive_entry_size(e);
    if (size < 0 || (uint64_t)size > max)
        return hf_fail(err, HF_E_LIMIT, "%s: %s has %lld bytes, at most %llu are taken", file, name, (long long)size, (unsigned long long)max);
    *ret_size = (uint64_t)size;
    return 0;
}

static int take(struct archive *a, const char *file, const char *name, struct hf_buf *out, struct hf_err *err)
{
    uint64_t size;
    int rc = expect(a, file, name, out->max, &size, err);
    if (rc < 0)
        return rc;
    if (!hf_buf_reserve(out, (size_t)size + 1))
        return hf_fail(err, HF_E_LIMIT, "out of memory");
    la_ssize_t n = archive_read_data(a, out->p, (size_t)size);
    if (n != (la_ssize_t)size)
        return broken(file, a, err);
    out->n = (size_t)size;
    return 0;
}

static int take_database(struct archive *a, const char *file, int fd, const struct hf_transport_manifest *m, struct hf_err *err)
{
    hf_autofree char *block = malloc(BLOCK);
    hf_cleanup(hf_hash_freep) struct hf_hash *h = hf_hash_new(HF_SHA256);
    uint64_t size, done = 0;
    struct hf_digest got = {.kind = HF_SHA256};
    char want_text[HF_DIGEST_TEXT], got_text[HF_DIGEST_TEXT];
    if (!block || !h)
        return hf_fail(err, -ENOMEM, "out of memory");
    int rc = expect(a, file, members[2], m->size, &size, err);
    if (rc < 0)
        return rc;
    if (size != m->size)
        return hf_fail(err, HF_E_FORMAT, "%s: the database has %llu bytes, the manifest says %llu", file, (unsigned long long)size, (unsigned long long)m->size);
    while (done < size) {
        la_ssize_t n = archive_read_data(a, block, (size_t)HF_MIN((uint64_t)BLOCK, size - done));
        if (n <= 0)
            return broken(file, a, err);
        hf_hash_add(h, block, (size_t)n);
        for (la_ssize_t w = 0; w < n;) {
            ssize_t k = write(fd, block + w, (size_t)(n - w));
            if (k < 0 && errno != EINTR)
                return hf_fail(err, -errno, "writing the database: %s", hf_err_name(-errno));
            w += k > 0 ? k : 0;
        }
        done += (uint64_t)n;
    }
    got.n = (uint8_t)hf_hash_end(h, got.b);
    if (!hf_digest_eq(&got, &m->digest))
        return hf_fail(err, HF_E_DIGEST, "%s: the manifest says %s but the database is %s", file, hf_digest_text(&m->digest, want_text), hf_digest_text(&got, got_text));
    struct archive_entry *e;
    if (archive_read_next_header(a, &e) != ARCHIVE_EOF)
        return hf_fail(err, HF_E_FORMAT, "%s: something follows the database", file);
    return fsync(fd) < 0 ? hf_fail(err, -errno, "writing the database: %s", hf_err_name(-errno)) : 0;
}

static int check_age(const char *db_path, const struct hf_transport_manifest *m, const struct hf_transport_opts *o, struct hf_err *err)
{
    hf_cleanup(hf_advdb_closep) struct hf_advdb *present = NULL;
    if (o->allow_older || hf_advdb_open(&present, db_path, NULL) < 0 || hf_advdb_built_unix(present) <= m->built_unix)
        return 0;
    return hf_fail(err, HF_E_USAGE, "the database that is there is newer; take the older one with --allow-older");
}

static int import_from(struct archive *a, const char *file, const char *db_path, const char *tmp, const struct hf_transport_opts *o, struct hf_err *err)
{
    hf_autobuf manifest = HF_BUF_INIT(MAX_MANIFEST), signature = HF_BUF_INIT(HF_SIGNATURE_BYTES + 1);
    struct hf_transport_manifest m;
    int rc = take(a, file, members[0], &manifest, err);
    if (rc >= 0)
        rc = take(a, file, members[1], &signature, err);
    if (rc >= 0)
        rc = hf_transport_verify(hf_buf_span(&manifest), hf_buf_span(&signature), o->key_pem, err);
    if (rc >= 0)
        rc = hf_transport_manifest_parse(hf_buf_span(&manifest), &m, err);
    if (rc >= 0 && m.size > o->max_bytes)
        rc = hf_fail(err, HF_E_LIMIT, "%s: a database of %llu bytes, at most %llu are taken", file, (unsigned long long)m.size, (unsigned long long)o->max_bytes);
    if (rc >= 0)
        rc = check_age(db_path, &m, o, err);
    if (rc < 0)
        return rc;
    hf_autoclose int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return hf_fail(err, -errno, "%s: %s", tmp, hf_err_name(-errno));
    rc = take_database(a, file, fd, &m, err);
    hf_cleanup(hf_advdb_closep) struct hf_advdb *db = NULL;
    if (rc >= 0)
        rc = hf_advdb_open(&db, tmp, err);
    if (rc >= 0 && hf_advdb_built_unix(db) != m.built_unix)
        rc = hf_fail(err, HF_E_FORMAT, "%s: the manifest and the database name different times", file);
    if (rc >= 0 && rename(tmp, db_path) < 0)
        rc = hf_fail(err, -errno, "%s: %s", db_path, hf_err_name(-errno));
    if (rc < 0)
        unlink(tmp);
    return rc;
}

int hf_transport_import(const char *file, const char *db_path, const struct hf_transport_opts *o, struct hf_err *err)
{
    hf_autobuf tmp = HF_BUF_INIT(8192);
    hf_buf_addf(&tmp, "%s.import.%ld", db_path, (long)getpid());
    struct archive *a = archive_read_new();
    if (!a)
        return hf_fail(err, -ENOMEM, "out of memory");
    archive_read_support_format_tar(a);
    archive_read_support_filter_zstd(a);
    int rc = archive_read_open_filename(a, file, BLOCK) == ARCHIVE_OK ? 0 : broken(file, a, err);
    if (rc >= 0)
        rc = import_from(a, file, db_path, hf_buf_z(&tmp), o, err);
    archive_read_free(a);
    return rc;
}
