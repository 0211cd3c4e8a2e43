/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum {
    ALWAYS = O_CLOEXEC | O_NONBLOCK | O_NOCTTY, /* a FIFO or a terminal in an image must not stop or own us */
    MAX_PATH = 4096,
    MAX_LINKS = 40,   /* as the kernel */
    MAX_PARENTS = 128, /* each ".." below the root walks again from the root */
    MAX_TRIES = 8,    /* openat2 gives up with EAGAIN when something is renamed meanwhile */
};

static int open_flags(int flags)
{
    /* O_PATH neither waits nor takes a terminal, and openat2 refuses it together with the others. */
    return flags | (flags & O_PATH ? O_CLOEXEC : ALWAYS);
}

/* State of the walk below: `rest` from `at` on is to be walked from `dir`, which is `done` below the root. */
struct steps {
    int root_fd, dir;
    struct hf_buf done, rest;
    size_t at;
    unsigned links, parents;
};

static void steps_done(struct steps *s)
{
    hf_closep(&s->dir);
    hf_buf_done(&s->done);
    hf_buf_done(&s->rest);
}

static int to_root(struct steps *s)
{
    hf_closep(&s->dir);
    hf_buf_clear(&s->done);
    s->dir = fcntl(s->root_fd, F_DUPFD_CLOEXEC, 3);
    return s->dir < 0 ? -errno : 0;
}

/* What is left becomes head, '/', and what was left. */
static int put_before(struct steps *s, struct hf_span head, bool last)
{
    struct hf_buf next = HF_BUF_INIT(2 * MAX_PATH);
    hf_buf_adds(&next, head);
    if (!last) {
        hf_buf_addc(&next, '/');
        hf_buf_add(&next, s->rest.p + s->at, s->rest.n - s->at);
    }
    hf_buf_done(&s->rest);
    s->rest = next;
    s->at = 0;
    return hf_buf_ok(&next) ? 0 : -ENAMETOOLONG;
}

static int to_parent(struct steps *s, bool last)
{
    /* From the root again: the directory may have been moved meanwhile, so its own ".." is not trusted. */
    if (!s->done.n)
        return 0;
    if (++s->parents > MAX_PARENTS)
        return -ELOOP;
    size_t cut = hf_span_rfind(hf_buf_span(&s->done), '/');
    hf_autobuf above = HF_BUF_INIT(2 * MAX_PATH);
    hf_buf_adds(&above, hf_span_sub(hf_buf_span(&s->done), 0, cut == SIZE_MAX ? 0 : cut));
    hf_buf_addz(&above, "/.");
    int rc = put_before(s, hf_buf_span(&above), last);
    return rc < 0 ? rc : to_root(s);
}

/* One component: 0 to go on, fd + 1 when it was the last, or -errno. */
static int step(struct steps *s, struct hf_span part, bool last, bool slash, int flags)
{
    char link[MAX_PATH];
    hf_autofree char *name = hf_span_dupz(part);
    if (!name)
        return -ENOMEM;
    ssize_t n = last && !slash && (flags & O_NOFOLLOW) ? -1 : readlinkat(s->dir, name, link, sizeof link);
    if (n > 0) {
        if (++s->links > MAX_LINKS)
            return -ELOOP;
        struct hf_span to = hf_span(link, (size_t)n);
        hf_autobuf with_slash = HF_BUF_INIT(MAX_PATH + 1);
        hf_buf_adds(&with_slash, to);
        if (slash)
            hf_buf_addc(&with_slash, '/');
        int rc = put_before(s, hf_buf_span(&with_slash), last);
        return rc < 0 ? rc : to.p[0] == '/' ? to_root(s) : 0;
    }
    int how = last ? open_flags(flags) | O_NOFOLLOW | (slash ? O_DIRECTORY : 0) : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(s->dir, name, how);
    if (fd < 0)
        return -errno;
    if (last)
        return fd + 1;
    if (s->done.n)
        hf_buf_addc(&s->done, '/');
    hf_buf_adds(&s->done, part);
    close(s->dir);
    s->dir = fd;
    return hf_buf_ok(&s->done) ? 0 : -ENAMETOOLONG;
}

/* hf_open_in_root without openat2 (kernels before 5.6, seccomp filters that refuse it): one component at a time, links
 * followed by hand, ".." never above the root since the path walked is kept as text. */
static int open_by_steps(int root_fd, struct hf_span path, int flags)
{
    hf_cleanup(steps_done) struct steps s = {.root_fd = root_fd, .dir = -1, .done = HF_BUF_INIT(2 * MAX_PATH), .rest = HF_BUF_INIT(2 * MAX_PATH)};
    hf_buf_adds(&s.rest, path);
    int rc = to_root(&s);
    while (rc == 0 && s.at < s.rest.n) {
        struct hf_span left = hf_span_from(hf_buf_span(&s.rest), s.at), part = hf_span_sub(left, 0, hf_span_find(left, '/'));
        s.at += part.n;
        bool slash = s.at < s.rest.n;
        while (s.at < s.rest.n && s.rest.p[s.at] == '/')
            s.at++;
        bool last = s.at >= s.rest.n;
        if (part.n == 0 || hf_span_eqz(part, "."))
            continue;
        rc = hf_span_eqz(part, "..") ? to_parent(&s, last) : step(&s, part, last, slash, flags);
    }
    if (rc > 0)
        return rc - 1;
    if (rc == 0) {
        int fd = openat(s.dir, ".", open_flags(flags));
        rc = fd < 0 ? -errno : fd;
    }
    return rc;
}

int hf_open_in_root(int root_fd, struct hf_span path, int flags, struct hf_err *err)
{
    if (path.n > MAX_PATH)
        return hf_fail(err, -ENAMETOOLONG, "path longer than %d bytes", MAX_PATH);
    hf_autofree char *z = hf_span_dupz(path);
    if (!z)
        return hf_fail(err, -EINVAL, "path with a NUL byte");
    struct open_how how = {.flags = (uint64_t)(unsigned)open_flags(flags), .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    long fd = -1;
    errno = ENOSYS;
    for (unsigned i = 0; i < MAX_TRIES && !getenv("HF_NO_OPENAT2"); i++) { /* the variable: tests of the fallback */
        fd = syscall(SYS_openat2, root_fd, *z ? z : ".", &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    if (fd < 0)
        fd = errno == ENOSYS || errno == EPERM ? open_by_steps(root_fd, path, flags) : -errno;
    if (fd < 0)
        return hf_fail(err, (int)fd, HF_SPAN_FMT ": %s", HF_SPAN_ARG(path), hf_err_name((int)fd));
    return (int)fd;
}

int hf_read_fd(int fd, struct hf_buf *out, struct hf_err *err)
{
    for (;;) {
        char block[65536];
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return hf_fail(err, -errno, "%s", hf_err_name(-errno));
        if (n == 0)
            return 0;
        hf_buf_add(out, block, (size_t)n);
        if (!hf_buf_ok(out))
            return hf_fail(err, HF_E_LIMIT, "more than %zu bytes", out->max);
    }
}

int hf_read_file(const char *path, struct hf_buf *out, struct hf_err *err)
{
    hf_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return hf_fail(err, -errno, "%s: %s", path, hf_err_name(-errno));
    if (S_ISDIR(st.st_mode))
        return hf_fail(err, -EISDIR, "%s is a directory", path);
    int rc = hf_read_fd(fd, out, err);
    return rc < 0 ? hf_wrap(err, rc, "%s", path) : rc;
}

static int write_all(int fd, struct hf_span bytes, bool sync)
{
    while (bytes.n) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes = hf_span_from(bytes, (size_t)n);
    }
    return sync && fsync(fd) < 0 ? -errno : 0;
}

/* A name that was just given stays given after a power cut; file systems that cannot do it are no reason to fail. */
static void sync_folder_of(const char *path)
{
    struct hf_span dir = hf_span_dirname(hf_span_z(path));
    hf_autofree char *z = hf_span_dupz(dir.n ? dir : path[0] == '/' ? HF_S("/") : HF_S("."));
    hf_autoclose int fd = z ? open(z, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0)
        (void)!fsync(fd);
}

static int replace(const char *path, mode_t mode, struct hf_span bytes, bool sync, struct hf_err *err)
{
    /* Threads that write the same path, and what a killed process with our number left, do not get in the way. */
    static atomic_uint serial;
    hf_autobuf tmp = HF_BUF_INIT(2 * MAX_PATH);
    hf_autoclose int fd = -1;
    for (unsigned i = 0; i < MAX_TRIES; i++) {
        hf_buf_clear(&tmp);
        hf_buf_addf(&tmp, "%s.new.%ld.%u", path, (long)getpid(), atomic_fetch_add(&serial, 1));
        if (!hf_buf_ok(&tmp))
            return hf_fail(err, -ENAMETOOLONG, "path longer than %d bytes", 2 * MAX_PATH);
        fd = open(hf_buf_z(&tmp), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd >= 0 || errno != EEXIST)
            break;
    }
    if (fd < 0)
        return hf_fail(err, -errno, "%s: %s", hf_buf_z(&tmp), hf_err_name(-errno));
    int code = write_all(fd, bytes, sync);
    if (close(fd) < 0 && !code)
        code = -errno;
    fd = -1;
    if (!code && rename(hf_buf_z(&tmp), path) < 0)
        code = -errno;
    if (code) {
        unlink(hf_buf_z(&tmp));
        return hf_fail(err, code, "%s: %s", path, hf_err_name(code));
    }
    if (sync)
        sync_folder_of(path);
    return 0;
}

int hf_write_file(const char *path, mode_t mode, struct hf_span bytes, struct hf_err *err)
{
    return replace(path, mode, bytes, true, err);
}

int hf_write_file_soon(const char *path, mode_t mode, struct hf_span bytes, struct hf_err *err)
{
    return replace(path, mode, bytes, false, err);
}

static int make_dir(const char *p, mode_t mode)
{
    struct stat st;
    if (mkdir(p, mode) == 0)
        return 0;
    if (errno == EEXIST)
        return stat(p, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    return -errno;
}

int hf_mkdirs(const char *path, mode_t mode, struct hf_err *err)
{
    hf_autofree char *p = hf_span_dupz(hf_span_z(path));
    if (!p)
        return hf_fail(err, -ENOMEM, "out of memory");
    for (char *s = p;; s++) {
        char c = *s;
        if (c && (c != '/' || s == p))
            continue;
        *s = 0;
        int rc = *p ? make_dir(p, mode) : -ENOENT;
        if (rc < 0)
            return hf_fail(err, rc, "%s: %s", p, hf_err_name(rc));
        *s = c;
        if (!c)
            return 0;
    }
}

uint32_t hf_parent_of(uint32_t pid)
{
    char path[64];
    hf_autobuf text = HF_BUF_INIT(4096);
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_span part = {NULL, 0};
    uint64_t v = 0;
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    if (hf_read_file(path, &text, &ignored) < 0)
        return 0;
    size_t end = hf_span_rfind(hf_buf_span(&text), ')'); /* what stands before is its name, of any bytes */
    struct hf_span rest = hf_span_from(hf_buf_span(&text), end == SIZE_MAX ? text.n : end + 2);
    if (!hf_span_cut(&rest, ' ', &part) || !hf_span_cut(&rest, ' ', &part) || hf_parse_u64(part, 10, 0, UINT32_MAX, &v) < 0)
        return 0;
    return (uint32_t)v;
}

void hf_mountinfo_field(struct hf_span field, struct hf_buf *out)
{
    for (size_t i = 0; i < field.n; i++) {
        uint64_t c = (unsigned char)field.p[i];
        if (c == '\\' && field.n - i > 3 && hf_parse_u64(hf_span_sub(field, i + 1, 3), 8, 1, 255, &c) == 0)
            i += 3;
        hf_buf_addc(out, (char)c);
    }
}
