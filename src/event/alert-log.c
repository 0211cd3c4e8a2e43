// SPDX-License-Identifier: Apache-2.0
#include "event/alert-log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

#define LINE_MAX_BYTES (2u << 20)
#define ID_MIN 10u

static void path_of(const char *dir, unsigned i, char *out, size_t n)
{
    snprintf(out, n, "%s/alerts.%u.ndjson", dir, i);
}

/* Which of the two was written last. */
static unsigned newer(const struct stat st[2])
{
    const struct timespec *a = &st[0].st_mtim, *b = &st[1].st_mtim;
    return st[1].st_size && (b->tv_sec > a->tv_sec || (b->tv_sec == a->tv_sec && b->tv_nsec > a->tv_nsec));
}

int hf_alert_log_open(struct hf_alert_log *l, const char *dir, struct hf_err *err)
{
    struct stat st[2];
    int rc = hf_mkdirs(dir, 0755, err);
    for (unsigned i = 0; i < 2 && rc == 0; i++) {
        char path[4096];
        path_of(dir, i, path, sizeof path);
        l->fd[i] = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
        if (l->fd[i] < 0 || fstat(l->fd[i], &st[i]) < 0 || !S_ISREG(st[i].st_mode))
            rc = hf_fail(err, errno ? -errno : -EINVAL, "%s: %s", path, strerror(errno ? errno : EINVAL));
    }
    if (rc < 0) {
        hf_alert_log_close(l);
        return rc;
    }
    l->now = newer(st);
    l->size = (uint64_t)st[l->now].st_size;
    return 0;
}

void hf_alert_log_close(struct hf_alert_log *l)
{
    hf_closep(&l->fd[0]);
    hf_closep(&l->fd[1]);
    l->fd[0] = l->fd[1] = -1;
}

int hf_alert_log_add(struct hf_alert_log *l, struct hf_span line, struct hf_err *err)
{
    if (l->fd[0] < 0)
        return 0;
    if (l->size + line.n > HF_ALERT_LOG_MAX) {
        l->now = !l->now;
        l->size = 0;
        if (ftruncate(l->fd[l->now], 0) < 0)
            return hf_fail(err, -errno, "the log of alerts could not be emptied: %s", strerror(errno));
    }
    ssize_t n = write(l->fd[l->now], line.p, line.n); /* at once, so that lines of several runs do not mix */
    if (n < 0 || (size_t)n != line.n)
        return hf_fail(err, n < 0 ? -errno : -ENOSPC, "the log of alerts could not be written: %s", strerror(n < 0 ? errno : ENOSPC));
    l->size += line.n;
    return 0;
}

/* ---- reading ---- */

int hf_alert_log_reading(int ret_fd[2], const char *dir, struct hf_err *err)
{
    for (unsigned i = 0; i < 2; i++) {
        char path[4096];
        struct stat st;
        path_of(dir, i, path, sizeof path);
        int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        if ((fd < 0 && errno != ENOENT) || (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)))) {
            int rc = hf_fail(err, fd < 0 ? -errno : -EINVAL, "%s: %s", path, fd < 0 ? strerror(errno) : "not a file");
            hf_closep(&fd);
            if (i)
                hf_closep(&ret_fd[0]);
            return rc;
        }
        ret_fd[i] = fd;
    }
    return 0;
}

static int each_line(int fd, hf_alert_line_cb cb, void *ctx, struct hf_err *err)
{
    hf_autobuf b = HF_BUF_INIT(LINE_MAX_BYTES + 65536);
    bool skip = false;
    int rc = 0;
    for (;;) {
        if (!hf_buf_reserve(&b, 65536)) {
            hf_buf_clear(&b);
            skip = true;
            continue;
        }
        ssize_t n = read(fd, b.p + b.n, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return hf_fail(err, -errno, "%s", strerror(errno));
        if (n == 0)
            break;
        b.n += (size_t)n;
        struct hf_span rest = hf_buf_span(&b);
        for (size_t nl; (nl = hf_span_find(rest, '\n')) != SIZE_MAX; rest = hf_span_from(rest, nl + 1)) {
            rc = skip ? 0 : cb(ctx, hf_span_sub(rest, 0, nl));
            if (rc != 0)
                return rc;
            skip = false;
        }
        memmove(b.p, rest.p, rest.n);
        b.n = rest.n;
    }
    return skip || !b.n ? 0 : cb(ctx, hf_buf_span(&b));
}

int hf_alert_log_each(const int fd[2], hf_alert_line_cb cb, void *ctx, struct hf_err *err)
{
    struct stat st[2] = {0};
    int rc = 0;
    for (unsigned i = 0; i < 2; i++)
        if (fd[i] >= 0 && (fstat(fd[i], &st[i]) < 0 || lseek(fd[i], 0, SEEK_SET) < 0))
            return hf_fail(err, -errno, "the log of alerts: %s", strerror(errno));
    unsigned last = newer(st);
    for (unsigned i = 0; i < 2 && rc == 0; i++) {
        int from = fd[i ? last : !last];
        rc = from < 0 ? 0 : each_line(from, cb, ctx, err);
    }
    return rc;
}

/* ---- looking for one ---- */

struct search {
    struct hf_span id;
    struct hf_json_doc *best;
    bool best_is_sum, several;
};

static int one_line(void *ctx, struct hf_span line)
{
    struct search *s = ctx;
    struct hf_err ignored = HF_ERR_INIT;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    if (hf_span_search(line, s->id) == SIZE_MAX || hf_json_parse_within(line, 32u << 20, &d, &ignored) < 0)
        return 0;
    hf_jnode root = hf_json_root(d);
    struct hf_span id = hf_jgetstr(root, "id");
    if (!hf_span_eqz(hf_jgetstr(root, "type"), "alert") || !hf_span_starts(id, s->id))
        return 0;
    bool sum = !hf_jget(root, "event_type");
    if (s->best) {
        s->several |= !hf_span_eq(hf_jgetstr(hf_json_root(s->best), "id"), id);
        if (sum && !s->best_is_sum)
            return 0;
        hf_json_doc_free(s->best);
    }
    s->best = hf_take(d);
    s->best_is_sum = sum;
    return 0;
}

int hf_alert_find(const char *from, const char *dir, const char *id, struct hf_json_doc **ret, struct hf_err *err)
{
    struct search s = {.id = hf_span_z(id)};
    int rc = 0;
    if (s.id.n < ID_MIN)
        return hf_fail(err, HF_E_USAGE, "\"%s\" is no id of an alert: at least its first %u characters are needed", id, ID_MIN);
    if (from && !strcmp(from, "-")) {
        rc = each_line(STDIN_FILENO, one_line, &s, err);
    } else {
        for (unsigned i = 0; i < (from ? 1u : 2u) && rc == 0; i++) {
            char path[4096];
            path_of(dir, i, path, sizeof path);
            hf_autoclose int fd = open(from ? from : path, O_RDONLY | O_CLOEXEC);
            if (fd < 0 && !(errno == ENOENT && !from))
                rc = hf_fail(err, -errno, "%s", strerror(errno));
            else if (fd >= 0)
                rc = each_line(fd, one_line, &s, err);
            if (rc < 0)
                rc = hf_wrap(err, rc, "%s", from ? from : path);
        }
    }
    if (rc == 0 && s.several)
        rc = hf_fail(err, HF_E_USAGE, "several alerts have ids that begin with %s", id);
    if (rc == 0 && !s.best)
        rc = from ? hf_fail(err, HF_E_NOT_FOUND, "%s has no alert %s", from, id)
                  : hf_fail(err, HF_E_NOT_FOUND, "%s keeps no alert %s (any more); --from names a file of \"watch --json\"", dir, id);
    if (rc < 0) {
        hf_json_doc_free(s.best);
        return rc;
    }
    *ret = s.best;
    return 0;
}
