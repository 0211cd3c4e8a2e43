/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/mem.h"

enum { ALWAYS = O_CLOEXEC | O_NONBLOCK | O_NOCTTY, MAX_STEPS = 40, MAX_PATH = 4096 };

/* The same without openat2 (kernels before 5.6, seccomp filters that refuse it): one component at a time, links followed by
 * hand, ".." never above the root since the path walked is kept as text. */
static int open_by_steps(int root_fd, struct hf_span path, int flags, struct hf_err *err)
{
    hf_autobuf rest = HF_BUF_INIT(2 * MAX_PATH);
    hf_autobuf done = HF_BUF_INIT(2 * MAX_PATH);
    hf_autoclose int dir = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
    unsigned links = 0;
    if (dir < 0)
        return hf_fail(err, -errno, "%s", hf_err_name(-errno));
    hf_buf_adds(&rest, path);
    size_t at = 0;
    while (at < rest.n) {
        struct hf_span left = hf_span(rest.p + at, rest.n - at), part = hf_span_sub(left, 0, hf_span_find(left, '/'));
        at += part.n;
        while (at < rest.n && rest.p[at] == '/')
            at++;
        bool last = at >= rest.n;
        if (part.n == 0 || hf_span_eqz(part, "."))
            continue;
        if (hf_span_eqz(part, "..")) {
            /* From the root again: the directory may have been moved meanwhile, so its own ".." is not trusted. */
            size_t cut = hf_span_rfind(hf_buf_span(&done), '/');
            done.n = cut == SIZE_MAX ? 0 : cut;
            hf_autobuf again = HF_BUF_INIT(2 * MAX_PATH);
            hf_buf_adds(&again, hf_buf_span(&done));
            hf_buf_addc(&again, '/');
            hf_buf_add(&again, rest.p + at, rest.n - at);
            if (!hf_buf_ok(&again) || ++links > MAX_STEPS)
                return hf_fail(err, -ELOOP, "too many links");
            struct hf_buf swap = rest;
            rest = again;
            again = swap;
            done.n = 0;
            at = 0;
            close(dir);
            dir = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
            if (dir < 0)
                return hf_fail(err, -errno, "%s", hf_err_name(-errno));
            continue;
        }
        hf_autofree char *name = hf_span_dupz(part);
        char link[MAX_PATH];
        if (!name)
            return hf_fail(err, -EINVAL, "path with a NUL byte");
        ssize_t n = last && (flags & O_NOFOLLOW) ? -1 : readlinkat(dir, name, link, sizeof link);
        if (n >= 0) {
            if (++links > MAX_STEPS)
                return hf_fail(err, -ELOOP, "too many links");
            hf_autobuf next = HF_BUF_INIT(2 * MAX_PATH);
            bool absolute = n && link[0] == '/';
            hf_buf_add(&next, link, (size_t)n);
            hf_buf_addc(&next, '/');
            hf_buf_add(&next, rest.p + at, rest.n - at);
            if (last && next.n && next.p[next.n - 1] == '/')
                next.n--;
            if (!hf_buf_ok(&next))
                return hf_fail(err, -ENAMETOOLONG, "path too long");
            struct hf_buf swap = rest;
            rest = next;
            next = swap;
            at = 0;
            if (absolute) {
                done.n = 0;
                close(dir);
                dir = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
            }
            if (dir < 0)
                return hf_fail(err, -errno, "%s", hf_err_name(-errno));
            continue;
        }
        int fd = openat(dir, name, last ? flags | ALWAYS | O_NOFOLLOW : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return hf_fail(err, -errno, HF_SPAN_FMT ": %s", HF_SPAN_ARG(path), hf_err_name(-errno));
        if (last)
            return fd;
        if (done.n)
            hf_buf_addc(&done, '/');
        hf_buf_adds(&done, part);
        close(dir);
        dir = fd;
    }
    int fd = openat(dir, ".", flags | ALWAYS);
    return fd < 0 ? hf_fail(err, -errno, HF_SPAN_FMT ": %s", HF_SPAN_ARG(path), hf_err_name(-errno)) : fd;
}

int hf_open_in_root(int root_fd, struct hf_span path, int flags, struct hf_err *err)
{
    if (path.n > MAX_PATH)
        return hf_fail(err, -ENAMETOOLONG, "path longer than %d bytes", MAX_PATH);
    hf_autofree char *z = hf_span_dupz(path);
    if (!z)
        return hf_fail(err, -EINVAL, "path with a NUL byte");
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | ALWAYS), .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    long fd = getenv("HF_NO_OPENAT2") ? (errno = ENOSYS, -1) : syscall(SYS_openat2, root_fd, *z ? z : ".", &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        return open_by_steps(root_fd, path, flags, err);
    if (fd < 0)
        return hf_fail(err, -errno, HF_SPAN_FMT ": %s", HF_SPAN_ARG(path), hf_err_name(-errno));
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

int hf_write_file(const char *path, mode_t mode, struct hf_span bytes, struct hf_err *err)
{
    hf_autobuf tmp = HF_BUF_INIT(8192);
    hf_buf_addf(&tmp, "%s.new.%ld", path, (long)getpid());
    const char *z = hf_buf_z(&tmp);
    int fd = open(z, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return hf_fail(err, -errno, "%s: %s", z, hf_err_name(-errno));
    int code = 0;
    for (size_t off = 0; off < bytes.n && !code;) {
        ssize_t n = write(fd, bytes.p + off, bytes.n - off);
        if (n < 0 && errno != EINTR)
            code = -errno;
        else if (n > 0)
            off += (size_t)n;
    }
    if (!code && fsync(fd) < 0)
        code = -errno;
    if (close(fd) < 0 && !code)
        code = -errno;
    if (!code && rename(z, path) < 0)
        code = -errno;
    if (code) {
        unlink(z);
        return hf_fail(err, code, "%s: %s", path, hf_err_name(code));
    }
    return 0;
}

int hf_mkdirs(const char *path, mode_t mode, struct hf_err *err)
{
    hf_autofree char *p = hf_span_dupz(hf_span_z(path));
    if (!p)
        return hf_fail(err, -ENOMEM, "out of memory");
    for (char *s = p + (*p == '/'); *s; s++) {
        if (*s != '/')
            continue;
        *s = 0;
        if (mkdir(p, mode) < 0 && errno != EEXIST)
            return hf_fail(err, -errno, "%s: %s", p, hf_err_name(-errno));
        *s = '/';
    }
    if (mkdir(p, mode) < 0 && errno != EEXIST)
        return hf_fail(err, -errno, "%s: %s", p, hf_err_name(-errno));
    return 0;
}
