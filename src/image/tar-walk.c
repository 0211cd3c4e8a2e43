/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tar-walk.h"

#include "image/winpax.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <sys/stat.h>

enum { BLOCK = 32 * 1024 }; /* small: between the headers of large files most of a block is read for nothing */

struct hf_tar {
    struct archive *a;
    struct archive_entry *entry;
    int fd;
    uint64_t base, pos, end; /* region; pos: next byte to read */
    hf_tar_pull pull;
    void *pull_ctx;
    struct hf_err *err; /* detail of a failed pull or read */
    int rc;
    char *block;
    struct hf_buf path, link;
    struct hf_winpax *windows; /* NULL: not wanted */
    uint64_t pulled;           /* bytes of a stream */
    struct hf_hash *hash;
    uint64_t hashed; /* bytes of the content */
};

int hf_path_clean(struct hf_span path, bool collapse, struct hf_buf *out)
{
    size_t start = out->n;
    struct hf_span rest = path, part;
    if (path.n > HF_TAR_MAX_PATH)
        return HF_E_LIMIT;
    if (path.n && memchr(path.p, 0, path.n))
        return HF_E_FORMAT;
    while (hf_span_cut(&rest, '/', &part)) {
        if (part.n == 0 || hf_span_eqz(part, "."))
            continue;
        if (hf_span_eqz(part, "..")) {
            if (!collapse)
                return HF_E_FORMAT;
            size_t i = hf_span_rfind(hf_span_from(hf_buf_span(out), start), '/');
            out->n = i == SIZE_MAX ? start : start + i;
            continue;
        }
        if (out->n > start)
            hf_buf_addc(out, '/');
        hf_buf_adds(out, part);
    }
    return hf_buf_ok(out) ? 0 : HF_E_LIMIT;
}

static la_ssize_t on_read(struct archive *a, void *ctx, const void **ret)
{
    struct hf_tar *t = ctx;
    if (t->pull) {
        struct hf_span piece;
        int rc = t->pull(t->pull_ctx, &piece, t->err);
        if (rc < 0) {
            t->rc = rc;
            archive_set_error(a, EIO, "input");
            return -1;
        }
        if (rc && t->windows)
            hf_winpax_bytes(t->windows, t->pulled, piece);
        t->pulled += rc ? piece.n : 0;
        *ret = piece.p;
        return rc ? (la_ssize_t)piece.n : 0;
    }
    size_t n = (size_t)HF_MIN((uint64_t)BLOCK, t->end - t->pos);
    if (n) {
        struct hf_ra ra = hf_ra_fd(t->fd, 0, t->end);
        int rc = hf_ra_read(&ra, t->pos, t->block, n, t->err);
        if (rc < 0) {
            t->rc = rc;
            archive_set_error(a, EIO, "input");
            return -1;
        }
        if (t->windows)
            hf_winpax_bytes(t->windows, t->pos - t->base, hf_span(t->block, n));
        t->pos += n;
    }
    *ret = t->block;
    return (la_ssize_t)n;
}

static la_int64_t on_skip(struct archive *a, void *ctx, la_int64_t request)
{
    struct hf_tar *t = ctx;
    (void)a;
    if (t->pull || request < BLOCK)
        return 0;
    uint64_t n = HF_MIN((uint64_t)request, t->end - t->pos);
    t->pos += n;
    return (la_int64_t)n;
}

int hf_tar_data_offset(struct hf_tar *t, uint64_t *ret, struct hf_err *err)
{
    if (t->pull || archive_entry_sparse_count(t->entry) > 0)
        return hf_fail(err, HF_E_UNSUPPORTED, "content is not in one piece");
    la_int64_t pos = archive_filter_bytes(t->a, -1);
    uint64_t size = (uint64_t)archive_entry_size(t->entry);
    if (pos < 0 || t->base + (uint64_t)pos > t->end || size > t->end - t->base - (uint64_t)pos)
        return hf_fail_at(err, HF_E_TRUNCATED, t->base + (uint64_t)pos, "the archive ends inside this entry");
    *ret = t->base + (uint64_t)pos;
    return 0;
}

/* A hole: zeroes up to there. */
static bool hash_to(struct hf_tar *t, uint64_t off)
{
    static const char zeroes[16 << 10];
    if (off < t->hashed)
        return false;
    while (t->hashed < off) {
        size_t n = (size_t)HF_MIN((uint64_t)sizeof zeroes, off - t->hashed);
        hf_hash_add(t->hash, zeroes, n);
        t->hashed += n;
    }
    return true;
}

int hf_tar_read(struct hf_tar *t, struct hf_span *ret, uint64_t *ret_off, struct hf_err *err)
{
    const void *p;
    size_t n;
    la_int64_t off;
    int rc = archive_read_data_block(t->a, &p, &n, &off);
    if (rc == ARCHIVE_EOF)
        return 0;
    if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
        return t->rc < 0 ? t->rc : hf_fail(err, HF_E_TRUNCATED, "content: %s", archive_error_string(t->a) ? archive_error_string(t->a) : "damaged");
    *ret = hf_span(p, n);
    *ret_off = (uint64_t)off;
    if (t->hash && (off < 0 || !hash_to(t, (uint64_t)off)))
        return hf_fail(err, HF_E_FORMAT, "pieces of the content overlap");
    if (t->hash) {
        hf_hash_add(t->hash, p, n);
        t->hashed += n;
    }
    return 1;
}

void hf_tar_hash(struct hf_tar *t, struct hf_hash *h)
{
    t->hash = h;
    t->hashed = 0;
}

int hf_tar_drain(struct hf_tar *t, uint64_t size, struct hf_err *err)
{
    struct hf_span piece;
    uint64_t off;
    int rc;
    while ((rc = hf_tar_read(t, &piece, &off, err)) == 1)
        ;
    if (rc >= 0 && t->hash && (t->hashed > size || !hash_to(t, size)))
        rc = hf_fail(err, HF_E_FORMAT, "the content is longer than the entry says");
    return rc;
}

/* Path and link of the current entry; a reason when it must be left out. */
static const char *entry_names(struct hf_tar *t, struct hf_tar_entry *e)
{
    const char *path = archive_entry_pathname(t->entry), *link;
    hf_buf_clear(&t->path);
    hf_buf_clear(&t->link);
    if (!path)
        return "its name cannot be decoded";
    switch (hf_path_clean(hf_span_z(path), false, &t->path)) {
    case 0:
        break;
    case HF_E_LIMIT:
        return "its path is longer than 4096 bytes";
    default:
        return "its path leads outside the image (\"..\")";
    }
    if ((link = archive_entry_hardlink(t->entry))) {
        e->type = HF_TAR_HARDLINK;
        if (hf_path_clean(hf_span_z(link), false, &t->link) < 0)
            return "it is a hard link to a path outside the image";
    } else if (archive_entry_filetype(t->entry) == AE_IFLNK) {
        e->type = HF_TAR_SYMLINK;
        link = archive_entry_symlink(t->entry);
        if (!link)
            return "its link target cannot be decoded";
        if (strlen(link) > HF_TAR_MAX_PATH)
            return "its link target is longer than 4096 bytes";
        hf_buf_addz(&t->link, link);
    } else if (archive_entry_filetype(t->entry) == AE_IFDIR) {
        e->type = HF_TAR_DIR;
    } else if (archive_entry_filetype(t->entry) == AE_IFREG) {
        e->type = HF_TAR_FILE;
    } else {
        e->type = HF_TAR_OTHER;
    }
    if (!hf_buf_ok(&t->path) || !hf_buf_ok(&t->link))
        return "there is no memory for its names";
    e->path = hf_buf_span(&t->path);
    e->link = hf_buf_span(&t->link);
    return NULL;
}

static int failed(struct hf_tar *t, const char *what, struct hf_err *err)
{
    if (t->rc < 0)
        return hf_wrap(err, t->rc, "%s", what);
    const char *s = archive_error_string(t->a);
    int code = s && (strstr(s, "runcated") || strstr(s, "Unexpected EOF") || strstr(s, "ends")) ? HF_E_TRUNCATED : HF_E_FORMAT;
    la_int64_t at = archive_filter_bytes(t->a, -1);
    return hf_fail_at(err, code, t->base + (uint64_t)HF_MAX(at, 0), "%s at byte %lld: %s", what, (long long)at, s ? s : "damaged");
}

static uint32_t id_of(la_int64_t v)
{
    return v < 0 || v > (la_int64_t)UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static void owner(struct hf_tar *t, struct hf_tar_entry *e)
{
    const char *name;
    const void *value;
    size_t n;
    e->uid = id_of(archive_entry_uid(t->entry));
    e->gid = id_of(archive_entry_gid(t->entry));
    if (!archive_entry_xattr_reset(t->entry))
        return;
    while (archive_entry_xattr_next(t->entry, &name, &value, &n) == ARCHIVE_OK)
        if (name && !strcmp(name, "security.capability"))
            e->caps = hf_span(value, n);
}

static int walk(struct hf_tar *t, hf_tar_cb cb, void *ctx, const struct hf_tar_limits *l, struct hf_err *err)
{
    uint64_t n = 0, max = l && l->max_entries ? l->max_entries : (uint64_t)HF_TAR_MAX_ENTRIES;
    for (;;) {
        int rc = archive_read_next_header(t->a, &t->entry);
        if (rc == ARCHIVE_EOF)
            return 0;
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
            return failed(t, "tar entry", err);
        if (++n > max)
            return hf_fail(err, HF_E_LIMIT, "more than %llu entries", (unsigned long long)max);
        struct hf_tar_entry e = {.mode = (uint32_t)archive_entry_mode(t->entry)};
        const char *reason = entry_names(t, &e);
        la_int64_t size = archive_entry_size(t->entry);
        if (!reason && size < 0)
            reason = "its size is negative";
        if (reason) {
            const char *raw = archive_entry_pathname(t->entry);
            if (l && l->skipped)
                l->skipped(l->skipped_ctx, hf_span_z(raw ? raw : ""), reason);
            continue;
        }
        if (e.path.n == 0)
            continue; /* the root itself */
        owner(t, &e);
        la_int64_t at = t->windows ? archive_read_header_position(t->a) : 0;
        if (t->windows)
            e.windows_lost = hf_winpax_entry(t->windows, (uint64_t)HF_MAX(at, 0), &e.windows) < 0;
        e.size = e.type == HF_TAR_FILE ? (uint64_t)size : 0;
        rc = cb(ctx, &e, t, err);
        if (rc < 0)
            return t->rc < 0 ? t->rc : rc;
    }
}

static int run(struct hf_tar *t, hf_tar_cb cb, void *ctx, const struct hf_tar_limits *l, struct hf_err *err)
{
    t->err = err;
    hf_buf_init(&t->path, HF_TAR_MAX_PATH + 2);
    hf_buf_init(&t->link, HF_TAR_MAX_PATH + 2);
    t->a = archive_read_new();
    t->windows = l && l->windows ? hf_winpax_new() : NULL;
    int rc = t->a && (t->windows || !l || !l->windows) ? 0 : -ENOMEM;
    if (!rc) {
        archive_read_support_format_tar(t->a);
        archive_read_support_format_empty(t->a);
        /* Names are bytes here; conversions by locale would lose or refuse them. */
        archive_read_set_format_option(t->a, "tar", "hdrcharset", "BINARY");
        archive_read_set_read_callback(t->a, on_read);
        archive_read_set_skip_callback(t->a, on_skip);
        archive_read_set_callback_data(t->a, t);
        if (archive_read_open1(t->a) != ARCHIVE_OK)
            rc = failed(t, "not a tar archive", err);
        else
            rc = walk(t, cb, ctx, l, err);
    }
    archive_read_free(t->a);
    hf_winpax_free(t->windows);
    hf_buf_done(&t->path);
    hf_buf_done(&t->link);
    return rc;
}

int hf_tar_walk_fd(int fd, uint64_t offset, uint64_t size, hf_tar_cb cb, void *ctx, const struct hf_tar_limits *l, struct hf_err *err)
{
    struct hf_tar t = {.fd = fd, .base = offset, .pos = offset};
    if (!hf_ckd_add(&t.end, offset, size))
        return hf_fail(err, HF_E_FORMAT, "region overflows");
    t.block = malloc(BLOCK);
    if (!t.block)
        return -ENOMEM;
    int rc = run(&t, cb, ctx, l, err);
    free(t.block);
    return rc;
}

int hf_tar_walk_pull(hf_tar_pull pull, void *pull_ctx, hf_tar_cb cb, void *ctx, const struct hf_tar_limits *l, struct hf_err *err)
{
    struct hf_tar t = {.fd = -1, .pull = pull, .pull_ctx = pull_ctx};
    return run(&t, cb, ctx, l, err);
}
