// SPDX-License-Identifier: Apache-2.0
/* What a container wrote into its root file system: the upper folder of its overlay, as tars within the snapshot.
 *
 * A member's size comes before it, so what is read is set aside first: PART_BYTES of files at a time, which mostly never reach the disk, and so that little is
 * left to do when time is over. */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fs.h"
#include "respond/snapshot-internal.h"

#define DEPTH_MAX 64u
#define ENTRIES_MAX 50000u
#define FILE_MAX (64ull << 20)
#define PIECE (256u << 10)
#define PART_BYTES (64ull << 20)

struct walker {
    struct hf_bundle_out *b;
    struct archive *a; /* the part that is being made; NULL: none */
    int spool;
    unsigned parts;
    uint64_t part_bytes;
    struct hf_buf path;
    char *piece;
    uint64_t left; /* bytes */
    unsigned entries;
    uint64_t skipped; /* files that did not fit, not named one by one */
};

/* A folder of an overlay's options. */
static bool folder_of(struct hf_span option, char out[4096])
{
    hf_autobuf path = HF_BUF_INIT(4096);
    hf_mountinfo_field(option, &path);
    if (!hf_buf_ok(&path) || path.n < 2 || path.n >= 4096 || path.p[0] != '/' || memchr(path.p, 0, path.n))
        return false;
    memcpy(out, hf_buf_z(&path), path.n + 1);
    return true;
}

bool hf_snapshot_upper(struct hf_span mountinfo, char out[4096])
{
    struct hf_span line;
    bool found = false;
    while (hf_span_line(&mountinfo, &line)) {
        struct hf_span field = {NULL, 0}, rest = line, kind, source, option;
        for (unsigned i = 0; i < 5; i++)
            if (!hf_span_cut(&rest, ' ', &field))
                break;
        size_t dash = hf_span_search(rest, HF_S("- "));
        if (!hf_span_eqz(field, "/") || dash == SIZE_MAX)
            continue;
        rest = hf_span_from(rest, dash + 2);
        found = false; /* the last mount at the root is the one that is seen */
        if (!hf_span_cut(&rest, ' ', &kind) || !hf_span_eqz(kind, "overlay") || !hf_span_cut(&rest, ' ', &source))
            continue;
        while (hf_span_cut(&rest, ',', &option))
            if (hf_span_starts(option, HF_S("upperdir=")))
                found = folder_of(hf_span_from(option, 9), out);
    }
    return found;
}

static int damaged(struct archive *a, struct hf_err *err)
{
    int code = archive_errno(a) > 0 ? archive_errno(a) : EIO;
    return hf_fail(err, -code, "changed files: %s: %s", archive_error_string(a), strerror(code));
}

static int header(struct walker *w, const struct stat *st, const char *link, struct hf_err *err)
{
    struct archive_entry *e = archive_entry_new();
    int rc = 0;
    if (!e)
        return hf_fail(err, -ENOMEM, "no memory");
    archive_entry_copy_pathname(e, hf_buf_z(&w->path));
    archive_entry_set_mode(e, st->st_mode);
    archive_entry_set_uid(e, st->st_uid);
    archive_entry_set_gid(e, st->st_gid);
    archive_entry_set_mtime(e, st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
    archive_entry_set_size(e, S_ISREG(st->st_mode) ? st->st_size : 0);
    if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
        archive_entry_set_rdevmajor(e, major(st->st_rdev));
        archive_entry_set_rdevminor(e, minor(st->st_rdev));
    }
    if (link)
        archive_entry_copy_symlink(e, link);
    if (archive_write_header(w->a, e) < ARCHIVE_WARN)
        rc = damaged(w->a, err);
    archive_entry_free(e);
    return rc;
}

/* A file that shrinks while it is read is filled up with zeros; one that grows is cut at the size it had. */
static int content(struct walker *w, int fd, uint64_t size, struct hf_err *err)
{
    for (uint64_t done = 0; done < size;) {
        ssize_t n = read(fd, w->piece, (size_t)HF_MIN(size - done, (uint64_t)PIECE));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            n = (ssize_t)HF_MIN(size - done, (uint64_t)PIECE);
            memset(w->piece, 0, (size_t)n);
        }
        if (archive_write_data(w->a, w->piece, (size_t)n) < 0)
            return damaged(w->a, err);
        done += (uint64_t)n;
    }
    return 0;
}

static int one_file(struct walker *w, int dir, const char *name, struct hf_err *err)
{
    struct stat st;
    hf_autoclose int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return 0; /* gone, or something else by now */
    if ((uint64_t)st.st_size > FILE_MAX || (uint64_t)st.st_size > w->left) {
        if (w->skipped++ < 64)
            hf_bundle_lacks(w->b, "changed file %.300s: %llu bytes", hf_buf_z(&w->path), (unsigned long long)st.st_size);
        return 0;
    }
    w->left -= (uint64_t)st.st_size;
    w->part_bytes += (uint64_t)st.st_size;
    int rc = header(w, &st, NULL, err);
    return rc < 0 ? rc : content(w, fd, (uint64_t)st.st_size, err);
}

static int begin_part(struct walker *w, struct hf_err *err)
{
    w->part_bytes = 0;
    if (ftruncate(w->spool, 0) < 0 || lseek(w->spool, 0, SEEK_SET) < 0)
        return hf_fail(err, -errno, "changed files: %s", strerror(errno));
    w->a = archive_write_new();
    if (!w->a)
        return hf_fail(err, -ENOMEM, "no memory");
    return archive_write_set_format_pax_restricted(w->a) != ARCHIVE_OK || archive_write_open_fd(w->a, w->spool) != ARCHIVE_OK ? damaged(w->a, err) : 0;
}

static int end_part(struct walker *w, struct hf_err *err)
{
    char name[32];
    struct stat st;
    int rc = archive_write_close(w->a) != ARCHIVE_OK ? damaged(w->a, err) : 0;
    archive_write_free(hf_take(w->a));
    if (rc == 0 && fstat(w->spool, &st) < 0)
        rc = hf_fail(err, -errno, "changed files: %s", strerror(errno));
    snprintf(name, sizeof name, w->parts ? "changed-%u.tar" : "changed.tar", w->parts + 1);
    w->parts++;
    return rc < 0 ? rc : hf_bundle_add_fd(w->b, name, w->spool, (uint64_t)st.st_size, err);
}

static int next_part(struct walker *w, struct hf_err *err)
{
    int rc = end_part(w, err);
    return rc < 0 ? rc : begin_part(w, err);
}

static int walk(struct walker *w, int dir_fd, unsigned depth, struct hf_err *err);

static int one(struct walker *w, int dir, const char *name, unsigned depth, struct hf_err *err)
{
    struct stat st;
    char target[4096];
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (S_ISREG(st.st_mode))
        return one_file(w, dir, name, err);
    if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlinkat(dir, name, target, sizeof target - 1);
        target[HF_MAX(n, 0)] = 0;
        return n > 0 ? header(w, &st, target, err) : 0;
    }
    int rc = S_ISSOCK(st.st_mode) ? 0 : header(w, &st, NULL, err); /* a tar has no sockets */
    if (rc < 0 || !S_ISDIR(st.st_mode))
        return rc;
    if (depth >= DEPTH_MAX) {
        hf_bundle_lacks(w->b, "changed files below %.300s: nested more than %u deep", hf_buf_z(&w->path), DEPTH_MAX);
        return 0;
    }
    int child = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return child < 0 ? 0 : walk(w, child, depth + 1, err);
}

static int walk(struct walker *w, int dir_fd, unsigned depth, struct hf_err *err)
{
    DIR *d = fdopendir(dir_fd);
    int rc = 0;
    if (!d)
        close(dir_fd);
    for (struct dirent *e; d && rc == 0 && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        if (w->entries >= ENTRIES_MAX || hf_bundle_late_for(w->b, w->part_bytes)) { /* what was read here has to be put into the file yet */
            w->skipped++;
            break;
        }
        w->entries++;
        if (w->part_bytes >= PART_BYTES && (rc = next_part(w, err)) < 0)
            break;
        size_t before = w->path.n;
        hf_buf_addz(&w->path, before ? "/" : "");
        hf_buf_addz(&w->path, e->d_name);
        if (hf_buf_ok(&w->path))
            rc = one(w, dirfd(d), e->d_name, depth, err);
        w->path.n = before;
        w->path.failed = false;
    }
    if (d)
        closedir(d);
    return rc;
}

static int into(struct hf_bundle_out *b, int upper, int spool, uint64_t max_bytes, struct hf_err *err)
{
    struct walker w = {.b = b, .left = max_bytes, .spool = spool, .piece = malloc(PIECE)};
    hf_buf_init(&w.path, 16384);
    int rc = w.piece ? begin_part(&w, err) : hf_fail(err, -ENOMEM, "no memory");
    int dir = rc < 0 ? -1 : fcntl(upper, F_DUPFD_CLOEXEC, 3);
    if (dir >= 0)
        rc = walk(&w, dir, 0, err);
    rc = rc < 0 ? rc : hf_bundle_thaw(b, err);
    rc = rc < 0 ? rc : end_part(&w, err);
    if (w.skipped)
        hf_bundle_lacks(b, "%llu changed files or folders in all", (unsigned long long)w.skipped);
    if (w.a)
        archive_write_free(w.a);
    free(w.piece);
    hf_buf_done(&w.path);
    return rc;
}

int hf_snapshot_changed(struct hf_bundle_out *b, const struct hf_target *t, const char *near, uint64_t max_bytes, struct hf_err *err)
{
    hf_autobuf mounts = HF_BUF_INIT(1u << 20);
    struct hf_err why = HF_ERR_INIT;
    char path[4096], upper[4096];
    snprintf(path, sizeof path, "/proc/%d/mountinfo", (int)hf_target_pid(t));
    if (hf_read_file(path, &mounts, &why) < 0 || !hf_snapshot_upper(hf_buf_span(&mounts), upper)) {
        hf_bundle_lacks(b, "changed files: the root is no overlay with an upper folder");
        return 0;
    }
    hf_autoclose int fd = open(upper, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        hf_bundle_lacks(b, "changed files: %.300s: %s", upper, strerror(errno));
        return 0;
    }
    hf_autoclose int spool = open(near, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (spool < 0)
        return hf_fail(err, -errno, "%s: %s", near, strerror(errno));
    return into(b, fd, spool, max_bytes, err);
}
