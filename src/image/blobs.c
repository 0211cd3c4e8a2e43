/* SPDX-License-Identifier: Apache-2.0 */
/* Members of an outer archive or of an OCI layout folder, by name. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/ra.h"
#include "image/image-internal.h"
#include "image/tar-walk.h"

enum {
    MAX_MEMBERS = 100000,     /* an archive of the largest real images has some hundreds */
    MAX_DOCUMENT = 8 << 20,   /* manifests and configs are kilobytes; the registry limit for manifests is 4 MiB */
};

void hf_blobs_init(struct hf_blobs *b, struct hf_arena *arena)
{
    *b = (struct hf_blobs){.fd = -1, .dir_fd = -1, .arena = arena};
}

void hf_blobs_done(struct hf_blobs *b)
{
    hf_map_done(&b->index);
    free(b->v);
    b->v = NULL;
}

static int add_member(void *ctx, const struct hf_tar_entry *e, struct hf_tar *t, struct hf_err *err)
{
    struct hf_blobs *b = ctx;
    struct hf_span name, target = {NULL, 0};
    if (e->type != HF_TAR_FILE && e->type != HF_TAR_SYMLINK && e->type != HF_TAR_HARDLINK)
        return 0;
    uint64_t offset = 0, size = e->size;
    if (e->type == HF_TAR_FILE) {
        int rc = hf_tar_data_offset(t, &offset, err);
        if (rc < 0)
            return rc;
    } else {
        /* Old docker archives link a layer that occurs twice: "../<id>/layer.tar" beside the first. */
        hf_autobuf full = HF_BUF_INIT(8192);
        if (e->type == HF_TAR_SYMLINK) {
            hf_buf_adds(&full, hf_span_dirname(e->path));
            hf_buf_addc(&full, '/');
        }
        hf_buf_adds(&full, e->link);
        hf_autobuf clean = HF_BUF_INIT(8192);
        uint64_t i;
        if (hf_path_clean(hf_buf_span(&full), true, &clean) < 0 || !hf_map_get(&b->index, hf_buf_span(&clean), &i))
            return 0;
        offset = b->v[i].offset;
        size = b->v[i].size;
        target = b->v[i].name;
    }
    (void)target;
    if (hf_arena_dup(b->arena, e->path, &name) < 0)
        return hf_fail(err, HF_E_LIMIT, "the archive's list of members is over the memory limit");
    struct hf_blob *m = hf_grow((void **)&b->v, &b->n, &b->cap, sizeof *m, MAX_MEMBERS);
    uint64_t *slot = m ? hf_map_at(&b->index, name, NULL) : NULL;
    if (!slot)
        return hf_fail(err, HF_E_LIMIT, "the archive has more than %d members", MAX_MEMBERS);
    *m = (struct hf_blob){name, offset, size};
    *slot = b->n - 1; /* the last of equal names wins, as when unpacking */
    return 0;
}

int hf_blobs_open_tar(struct hf_blobs *b, int fd, struct hf_err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return hf_fail(err, -errno, "%s", hf_err_name(-errno));
    b->fd = fd;
    return hf_tar_walk_fd(fd, 0, (uint64_t)st.st_size, add_member, b, NULL, err);
}

int hf_blobs_find(struct hf_blobs *b, struct hf_image *img, struct hf_span name, int *ret_fd, uint64_t *ret_off,
        uint64_t *ret_size, struct hf_err *err)
{
    if (b->dir_fd < 0) {
        uint64_t i;
        if (!hf_map_get(&b->index, name, &i))
            return hf_fail(err, HF_E_NOT_FOUND, "the archive has no member " HF_SPAN_FMT, HF_SPAN_ARG(name));
        *ret_fd = b->fd;
        *ret_off = b->v[i].offset;
        *ret_size = b->v[i].size;
        return 0;
    }
    int fd = hf_open_in_root(b->dir_fd, name, O_RDONLY, err);
    struct stat st;
    if (fd < 0)
        return fd == -ENOENT ? hf_fail(err, HF_E_NOT_FOUND, "the layout has no file " HF_SPAN_FMT, HF_SPAN_ARG(name)) : fd;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return hf_fail(err, HF_E_FORMAT, HF_SPAN_FMT " is not a regular file", HF_SPAN_ARG(name));
    }
    int rc = hf_image_own_fd(img, fd, err);
    if (rc < 0)
        return rc;
    *ret_fd = fd;
    *ret_off = 0;
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

int hf_blobs_read(struct hf_blobs *b, struct hf_span name, struct hf_buf *out, struct hf_err *err)
{
    struct hf_image holder;
    int fd;
    uint64_t off, size;
    hf_image_init(&holder);
    int rc = hf_blobs_find(b, &holder, name, &fd, &off, &size, err);
    if (rc >= 0 && size > MAX_DOCUMENT)
        rc = hf_fail(err, HF_E_LIMIT, HF_SPAN_FMT " is %llu bytes, a manifest or config may have %d", HF_SPAN_ARG(name),
                (unsigned long long)size, MAX_DOCUMENT);
    if (rc >= 0) {
        struct hf_ra ra = hf_ra_fd(fd, off, size);
        struct hf_span got;
        rc = hf_ra_all(&ra, out, &got, err);
        if (rc < 0)
            hf_wrap(err, rc, HF_SPAN_FMT, HF_SPAN_ARG(name));
    }
    hf_image_done(&holder);
    return rc;
}
