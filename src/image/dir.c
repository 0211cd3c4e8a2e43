/* SPDX-License-Identifier: Apache-2.0 */
/* Directory trees as layers: a folder, the overlay2 directory of an image layer, what a container changed.
 *
 * Paths are opened inside the root as chroot would see them, never through links out of it; pseudo file systems are not
 * entered.  A list of directories still to do replaces recursion, so depth costs memory, not stack or descriptors. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/fs.h"
#include "image/image-internal.h"
#include "image/layer.h"
#include "image/tar-walk.h"

enum { MAX_PENDING_BYTES = 64 << 20, CAP_SYS_ADMIN_BIT = 21 };

static bool pseudo_fs(int fd)
{
    static const long magics[] = {PROC_SUPER_MAGIC, SYSFS_MAGIC, DEVPTS_SUPER_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
            DEBUGFS_MAGIC, TRACEFS_MAGIC, SECURITYFS_MAGIC, BPF_FS_MAGIC, 0x19800202 /* mqueue */, 0x62656570 /* configfs */,
            0x6165676c /* pstore */, BINFMTFS_MAGIC, 0x958458f6 /* hugetlbfs */, NSFS_MAGIC, SELINUX_MAGIC, 0x65735543 /* fusectl */};
    struct statfs st;
    if (fstatfs(fd, &st) < 0)
        return false;
    for (size_t i = 0; i < HF_ARRAY_LEN(magics); i++)
        if (st.f_type == magics[i])
            return true;
    return false;
}

struct tree {
    struct hf_walk *w;
    int root;
    bool overlay, user_xattr;
    bool seek_redirect, redirected; /* only look for renamed directories */
    struct hf_buf *found_opaque;    /* ... and for opaque ones; NULL: not */
    struct hf_map opaque;           /* known to be so */
    const struct hf_span *skip;
    size_t n_skip;
    struct hf_buf pending; /* directories to do: path, length (4 bytes), dev (8 bytes) behind it: a stack read from its end */
    struct hf_buf path, link;
    struct hf_buf names; /* of the directory being read, each with its NUL */
};

static void push(struct tree *t, struct hf_span path, uint64_t dev)
{
    uint32_t n = (uint32_t)path.n;
    if (path.n + 12 > t->pending.max - t->pending.n) {
        t->redirected = true;
        if (t->w)
            hf_walk_unlisted(t->w, path, "too many directories wait to be read");
        return;
    }
    hf_buf_adds(&t->pending, path);
    hf_buf_add(&t->pending, &n, 4);
    hf_buf_add(&t->pending, &dev, 8);
}

static uint64_t pop(struct tree *t)
{
    uint32_t n;
    uint64_t dev;
    char *end = t->pending.p + t->pending.n;
    memcpy(&dev, end - 8, 8);
    memcpy(&n, end - 12, 4);
    hf_buf_clear(&t->path);
    hf_buf_add(&t->path, end - 12 - n, n);
    t->pending.n -= 12 + (size_t)n;
    return dev;
}

/* Something is not in the list of files for it. */
static void problem(struct tree *t, const char *what, int code)
{
    if (!t->w)
        return;
    hf_autobuf text = HF_BUF_INIT(256);
    hf_buf_addf(&text, "%s: %s", what, hf_err_name(code));
    hf_walk_unlisted(t->w, hf_buf_span(&t->path), hf_buf_z(&text));
}

/* A file is in the list, but not what is in it. */
static void unread(struct tree *t, const char *what, int code)
{
    hf_autobuf text = HF_BUF_INIT(256);
    hf_buf_addf(&text, "%s: %s", what, hf_err_name(code));
    hf_walk_incomplete(t->w, hf_buf_span(&t->path), hf_buf_z(&text));
}

/* An overlay attribute, in either of its name spaces: the kernel uses user.* for mounts made without privilege, and only then. */
static ssize_t overlay_attr(const struct tree *t, int fd, const char *name, char *ret, size_t n)
{
    char full[64];
    snprintf(full, sizeof full, "trusted.overlay.%s", name);
    ssize_t rc = fgetxattr(fd, full, ret, n);
    if (rc < 0 && t->user_xattr) {
        snprintf(full, sizeof full, "user.overlay.%s", name);
        rc = fgetxattr(fd, full, ret, n);
    }
    return rc;
}

/* With metacopy=on a changed owner or mode copies up a file without its content, and the lower file still counts.  Its blocks do not tell: attributes may
 * take one of their own. */
static bool metadata_only(struct tree *t, int fd)
{
    if (overlay_attr(t, fd, "metacopy", NULL, 0) < 0)
        return false;
    if (overlay_attr(t, fd, "redirect", NULL, 0) >= 0)
        hf_walk_incomplete(t->w, hf_buf_span(&t->path), "a renamed file whose content stayed in a lower layer (overlay metacopy)");
    return true;
}

static void note(struct tree *t, const struct stat *st, const struct hf_meta *more)
{
    struct hf_meta m = {.entry = hf_walk_entry(t->w), .mode = st->st_mode, .uid = st->st_uid, .gid = st->st_gid,
            .size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0}; /* also of a file that cannot be read */
    if (more) {
        m.size = more->size;
        m.has_sha256 = more->has_sha256;
        memcpy(m.sha256, more->sha256, 32);
        m.caps = more->caps;
    }
    hf_walk_meta(t->w, &m);
}

/* What a seal wants of a file.  One that is written to while it is read is read once more, then left without a digest and said. */
static void seal_file(struct tree *t, int fd, struct hf_err *err)
{
    struct stat a = {.st_size = 0}, b;
    char caps[64];
    struct hf_meta m = {.size = 0};
    int rc = 0;
    for (unsigned i = 0; i < 2 && !m.has_sha256 && rc >= 0; i++) {
        if (fstat(fd, &a) < 0)
            break;
        m.size = (uint64_t)a.st_size;
        rc = hf_walk_hash(t->w, fd, 0, m.size, m.sha256, err);
        m.has_sha256 = rc >= 0 && fstat(fd, &b) >= 0 && a.st_size == b.st_size && a.st_ctim.tv_sec == b.st_ctim.tv_sec && a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
    }
    if (!m.has_sha256)
        unread(t, rc < 0 ? "cannot be read" : "changes while it is read", rc < 0 ? rc : -EBUSY);
    ssize_t n = fgetxattr(fd, "security.capability", caps, sizeof caps);
    if (n > 0)
        m.caps = hf_span(caps, (size_t)n);
    note(t, &a, &m);
}

static int regular(struct tree *t, int dir, const char *name, const struct stat *st, struct hf_err *err)
{
    struct hf_span path = hf_buf_span(&t->path);
    /* Programs carry an x bit or are shared objects; opening every data file of a tree only to look at four bytes doubles the
     * time of the walk. */
    bool program = (st->st_mode & 0111) || hf_span_search(hf_span_basename(path), HF_S(".so")) != SIZE_MAX;
    bool wanted = hf_walk_wants_path(t->w, path) || (program && st->st_size >= 64), digests = hf_walk_digests(t->w);
    bool sparse = t->overlay && st->st_blocks * 512 < st->st_size;
    hf_autoclose int fd = wanted || digests || sparse ? openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY) : -1;
    int failed = fd < 0 ? errno : 0;
    if (fd >= 0 && t->overlay && st->st_size && metadata_only(t, fd)) {
        hf_walk_unsealed(t->w);
        return 0;
    }
    hf_walk_count(t->w, (uint64_t)st->st_size);
    hf_walk_log(t->w, HF_LOG_FILE, path, hf_span("", 0));
    if (!wanted && !digests)
        return 0;
    struct stat now;
    if (fd < 0 || fstat(fd, &now) < 0) {
        failed = failed ? failed : errno;
        if (failed != ENOENT)
            unread(t, "cannot be opened", -failed);
        note(t, st, NULL);
        return 0;
    }
    if (!S_ISREG(now.st_mode)) {
        note(t, st, NULL);
        return 0;
    }
    if (digests)
        seal_file(t, fd, NULL);
    if (!wanted)
        return 0;
    struct hf_ra ra = hf_ra_fd(fd, 0, (uint64_t)now.st_size);
    struct hf_err why = HF_ERR_INIT;
    int rc = hf_walk_file(t->w, path, (uint64_t)now.st_size, now.st_mode, &ra, &why);
    if (rc == HF_E_LIMIT)
        return hf_fail(err, rc, "%s", why.msg);
    if (rc < 0)
        unread(t, "cannot be read", rc);
    return 0;
}

static int entry(struct tree *t, int dir, const char *name, uint64_t dev, struct hf_err *err)
{
    struct stat st;
    struct hf_span path = hf_buf_span(&t->path);
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT)
            problem(t, "cannot be examined", -errno);
        return 0;
    }
    if (S_ISDIR(st.st_mode)) {
        for (size_t i = 0; i < t->n_skip; i++)
            if (hf_span_eq(path, t->skip[i]))
                return 0;
        hf_walk_log(t->w, HF_LOG_DIR, path, hf_span("", 0));
        note(t, &st, NULL);
        push(t, path, dev);
    } else if (S_ISREG(st.st_mode)) {
        return regular(t, dir, name, &st, err);
    } else if (S_ISLNK(st.st_mode)) {
        hf_buf_clear(&t->link);
        if (!hf_buf_reserve(&t->link, HF_TAR_MAX_PATH))
            return hf_fail(err, -ENOMEM, "out of memory");
        ssize_t n = readlinkat(dir, name, t->link.p, HF_TAR_MAX_PATH);
        t->link.n = n > 0 ? (size_t)n : 0;
        hf_walk_log(t->w, HF_LOG_SYMLINK, path, hf_buf_span(&t->link));
        note(t, &st, NULL);
    } else if (t->overlay && S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0)) {
        hf_walk_log(t->w, HF_LOG_WHITEOUT, path, hf_span("", 0)); /* Documentation/filesystems/overlayfs.rst, "whiteouts" */
    } else {
        hf_walk_log(t->w, HF_LOG_OTHER, path, hf_span("", 0));
        note(t, &st, NULL);
    }
    return 0;
}

static bool sub_path(struct tree *t, size_t base, const char *name)
{
    t->path.n = base;
    if (base + strlen(name) + 1 > HF_TAR_MAX_PATH) {
        problem(t, "holds paths longer than 4096 bytes", HF_E_LIMIT);
        return false;
    }
    if (base)
        hf_buf_addc(&t->path, '/');
    hf_buf_addz(&t->path, name);
    return true;
}

/* Reads the names into t->names. */
static size_t read_names(struct tree *t, DIR *d, uint64_t dev)
{
    size_t base = t->path.n, n = 0;
    hf_buf_clear(&t->names);
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(d);
        t->path.n = base;
        if (!e) {
            if (errno)
                problem(t, "directory cannot be read to its end", -errno);
            return n;
        }
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        if (t->seek_redirect) {
            if ((e->d_type == DT_DIR || e->d_type == DT_UNKNOWN) && sub_path(t, base, e->d_name))
                push(t, hf_buf_span(&t->path), dev);
            continue;
        }
        if (strlen(e->d_name) + 1 > t->names.max - t->names.n) {
            problem(t, "directory has too many entries", HF_E_LIMIT);
            return n;
        }
        hf_buf_add(&t->names, e->d_name, strlen(e->d_name) + 1);
        n++;
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The entries in order of their names: that of the file system differs from machine to machine. */
static int entries(struct tree *t, DIR *d, uint64_t dev, struct hf_err *err)
{
    size_t base = t->path.n, n = read_names(t, d, dev);
    hf_autofree const char **v = calloc(n + 1, sizeof *v);
    if (!v || !hf_buf_ok(&t->names))
        return hf_fail(err, -ENOMEM, "out of memory");
    const char *at = t->names.p;
    for (size_t i = 0; i < n; i++, at += strlen(at) + 1)
        v[i] = at;
    if (n)
        qsort(v, n, sizeof *v, by_name);
    int rc = 0;
    for (size_t i = 0; i < n && rc >= 0; i++)
        if (sub_path(t, base, v[i]))
            rc = entry(t, dirfd(d), v[i], dev, err);
    t->path.n = base;
    return rc;
}

static int directory(struct tree *t, uint64_t parent_dev, struct hf_err *err)
{
    struct hf_span path = hf_buf_span(&t->path);
    int fd = path.n ? hf_open_in_root(t->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, NULL) : dup(t->root);
    struct stat st;
    char opaque = 0;
    if (fd < 0 || fstat(fd, &st) < 0) {
        if (fd != -ENOENT)
            problem(t, "directory cannot be opened", fd < 0 ? fd : -errno);
        if (fd >= 0)
            close(fd);
        return 0;
    }
    if ((uint64_t)st.st_dev != parent_dev && pseudo_fs(fd)) {
        close(fd);
        return 0;
    }
    if (t->overlay && path.n && overlay_attr(t, fd, "redirect", NULL, 0) >= 0) {
        t->redirected = true;
        if (t->w)
            hf_walk_unlisted(t->w, path, "a renamed directory (overlay redirect_dir): what lower layers have in it was not examined");
    }
    bool hides = t->overlay && ((overlay_attr(t, fd, "opaque", &opaque, 1) == 1 && opaque == 'y') || hf_map_get(&t->opaque, path, &(uint64_t){0}));
    if (hides && t->w)
        hf_walk_log(t->w, HF_LOG_OPAQUE, path, hf_span("", 0));
    if (hides && t->found_opaque) {
        hf_buf_adds(t->found_opaque, path);
        hf_buf_addc(t->found_opaque, 0);
    }
    DIR *d = fdopendir(fd);
    if (!d) {
        problem(t, "directory cannot be read", -errno);
        close(fd);
        return 0;
    }
    int rc = entries(t, d, (uint64_t)st.st_dev, err);
    closedir(d);
    return rc;
}

static int walk_tree(struct tree *t, const char *root, struct hf_err *err)
{
    hf_autoclose int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return hf_fail(err, -errno, "%s: %s", root, hf_err_name(-errno));
    t->root = fd;
    hf_buf_init(&t->pending, MAX_PENDING_BYTES);
    hf_buf_init(&t->path, 2 * HF_TAR_MAX_PATH);
    hf_buf_init(&t->link, HF_TAR_MAX_PATH);
    hf_buf_init(&t->names, MAX_PENDING_BYTES);
    push(t, hf_span("", 0), 0);
    int rc = 0;
    while (rc >= 0 && t->pending.n && !(t->seek_redirect && t->redirected)) {
        uint64_t dev = pop(t);
        rc = directory(t, dev, err);
    }
    hf_buf_done(&t->pending);
    hf_buf_done(&t->path);
    hf_buf_done(&t->link);
    hf_buf_done(&t->names);
    return rc;
}

int hf_dir_walk(struct hf_walk *w, const struct hf_layer_source *l, const struct hf_span *skip, size_t n_skip, struct hf_err *err)
{
    struct tree t = {.w = w, .overlay = l->overlay, .user_xattr = l->user_xattr, .skip = skip, .n_skip = n_skip};
    int rc = 0;
    for (struct hf_span rest = l->opaque, path; rc >= 0 && rest.n && hf_span_cut(&rest, 0, &path);)
        rc = hf_map_at(&t.opaque, path, NULL) ? 0 : hf_fail(err, -ENOMEM, "out of memory");
    rc = rc < 0 ? rc : walk_tree(&t, l->dir.p, err);
    hf_map_done(&t.opaque);
    return rc;
}

int hf_dir_opaque(const char *root, struct hf_buf *ret, struct hf_err *err)
{
    struct tree t = {.overlay = true, .seek_redirect = true, .found_opaque = ret};
    int rc = walk_tree(&t, root, err);
    if (rc >= 0 && t.redirected)
        rc = hf_fail(err, HF_E_UNSUPPORTED, "%.200s: renamed directories (overlay redirect_dir)", root);
    return rc < 0 ? rc : hf_buf_ok(ret) ? 0 : hf_fail(err, HF_E_LIMIT, "%.200s: too many opaque directories", root);
}

int hf_dir_redirected(const char *root, bool *ret, struct hf_err *err)
{
    struct tree t = {.overlay = true, .user_xattr = true, .seek_redirect = true};
    int rc = walk_tree(&t, root, err);
    *ret = t.redirected;
    return rc;
}

/* The kernel shows trusted.* attributes, which mark opaque directories, only to CAP_SYS_ADMIN of the first user namespace; to others
 * they seem not to be there.  So do the store's files of other owners. */
bool hf_overlay_readable(void)
{
    hf_autobuf text = HF_BUF_INIT(64 << 10);
    hf_autobuf map = HF_BUF_INIT(64 << 10);
    struct hf_span rest, line, word;
    uint64_t caps = 0, field[3] = {0, 0, 0};
    size_t n = 0;
    if (hf_read_file("/proc/self/status", &text, NULL) < 0 || hf_read_file("/proc/self/uid_map", &map, NULL) < 0)
        return false;
    for (rest = hf_buf_span(&text); hf_span_line(&rest, &line);)
        if (hf_span_starts(line, HF_S("CapEff:")) && hf_parse_u64(hf_span_trim(hf_span_from(line, 7)), 16, 0, UINT64_MAX, &caps) < 0)
            return false;
    for (rest = hf_span_trim(hf_buf_span(&map)); hf_span_cut(&rest, ' ', &word);)
        if (word.n && (n == 3 || hf_parse_u64(word, 10, 0, UINT32_MAX, &field[n++]) < 0))
            return false;
    return (caps >> CAP_SYS_ADMIN_BIT & 1) && n == 3 && field[0] == 0 && field[1] == 0 && field[2] == UINT32_MAX;
}

int hf_overlay_layer(struct hf_layer_source *l, struct hf_span dir, const char *store, struct hf_err *err)
{
    struct stat st;
    hf_autoclose int fd = open(dir.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || stat(store, &st) < 0)
        return hf_fail(err, -errno, "overlay directory " HF_SPAN_FMT ": %s", HF_SPAN_ARG(dir), hf_err_name(-errno));
    l->fd = -1;
    l->dir = dir;
    l->overlay = true;
    l->user_xattr = st.st_uid != 0; /* a rootless daemon's */
    return 0;
}

/* Where container engines keep images and containers: their content belongs to those, not to this tree. */
static const char *const engine_stores[] = {"var/lib/docker", "var/lib/containerd", "var/lib/containers/storage"};

/* What is left out is said. */
static int note_stores(struct hf_image *img, const char *path, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(4096);
    hf_autoclose int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; root >= 0 && i < HF_ARRAY_LEN(engine_stores); i++) {
        hf_autoclose int fd = hf_open_in_root(root, hf_span_z(engine_stores[i]), O_RDONLY | O_DIRECTORY, NULL);
        if (fd >= 0)
            hf_buf_addf(&text, "%s%s", text.n ? ", " : "", engine_stores[i]);
    }
    if (!text.n)
        return 0;
    return hf_image_note(img, err, "not entered: %s, where a container engine keeps its images, containers and volumes; scan those by themselves", hf_buf_z(&text));
}

int hf_source_dir(const char *path, const struct hf_image_opts *o, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    struct hf_image img;
    struct stat st;
    (void)o;
    if (stat(path, &st) < 0)
        return hf_fail(err, -errno, "%s: %s", path, hf_err_name(-errno));
    if (!S_ISDIR(st.st_mode))
        return hf_fail(err, -ENOTDIR, "%s is not a directory", path);
    hf_image_init(&img);
    hf_autobuf target = HF_BUF_INIT(8192);
    hf_buf_addf(&target, "dir:%s", path);
    img.layers = hf_arena_calloc(&img.arena, 1, sizeof *img.layers);
    img.skip = hf_arena_calloc(&img.arena, HF_ARRAY_LEN(engine_stores), sizeof *img.skip);
    int rc = img.layers && img.skip ? 0 : hf_fail(err, HF_E_LIMIT, "out of memory");
    if (rc >= 0) {
        for (; img.n_skip < HF_ARRAY_LEN(engine_stores); img.n_skip++)
            img.skip[img.n_skip] = hf_span_z(engine_stores[img.n_skip]);
        img.n_layers = 1;
        img.layers[0].fd = -1;
        rc = hf_image_dup(&img, hf_span_z(path), &img.layers[0].dir, err);
    }
    if (rc >= 0)
        rc = hf_image_dup(&img, hf_buf_span(&target), &img.target, err);
    if (rc >= 0)
        rc = note_stores(&img, path, err);
    if (rc >= 0)
        rc = cb(ctx, &img, err);
    hf_image_done(&img);
    return rc;
}
