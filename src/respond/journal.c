// SPDX-License-Identifier: Apache-2.0
#include "respond/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/hash.h"

#define LOCK_MS 10000
#define TAIL_BYTES (64u << 10)
#define FILES_MAX 256u
#define HEAD_BYTES 96u

static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";

struct hf_journal {
    char dir[3800];
    int lock, fd, head_fd;
    uint64_t seq, size;
    char head[HF_JOURNAL_HASH];
};

void hf_journal_time(uint64_t ns, char out[40])
{
    struct tm tm = {0};
    time_t s = (time_t)(ns / 1000000000u);
    char text[32];
    gmtime_r(&s, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, 40, "%s.%03uZ", text, (unsigned)(ns / 1000000u % 1000u));
}

static void hash_of(struct hf_span line, char out[HF_JOURNAL_HASH])
{
    struct hf_digest d;
    hf_digest_of(HF_SHA256, line, &d);
    hf_hex(d.b, 32, out);
}

/* ---- reading ---- */

/* The two members that the chain is made of. */
static int chain_of(struct hf_span line, uint64_t *ret_seq, char prev[HF_JOURNAL_HASH], struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    double seq;
    if (line.n > HF_JOURNAL_LINE)
        return hf_fail(err, HF_E_LIMIT, "a line of %zu bytes", line.n);
    int rc = hf_json_parse_within(line, 1u << 20, &doc, err);
    if (rc < 0)
        return rc;
    struct hf_span p = hf_jgetstr(hf_json_root(doc), "prev");
    if (!hf_jis_object(hf_json_root(doc)) || !hf_jnum(hf_jget(hf_json_root(doc), "seq"), &seq) || seq < 1 || seq > 9e15 || p.n != 64)
        return hf_fail(err, HF_E_FORMAT, "no line of this log");
    *ret_seq = (uint64_t)seq;
    memcpy(prev, p.p, 64);
    prev[64] = 0;
    return 0;
}

int hf_journal_check_text(struct hf_span text, struct hf_journal_check *ret, struct hf_err *err)
{
    struct hf_journal_check c = {.lines = 0};
    struct hf_err why = HF_ERR_INIT;
    while (text.n) {
        size_t end = hf_span_find(text, '\n');
        struct hf_span line = hf_span_sub(text, 0, end);
        char prev[HF_JOURNAL_HASH];
        uint64_t seq, number = c.lines + 1;
        int rc = 0;
        if (end == SIZE_MAX)
            rc = hf_fail(err, HF_E_TRUNCATED, "line %llu has no end", (unsigned long long)number);
        else if (chain_of(line, &seq, prev, &why) < 0)
            rc = hf_fail(err, HF_E_FORMAT, "line %llu: %s", (unsigned long long)number, why.msg);
        else if (c.lines && seq != c.last + 1)
            rc = hf_fail(err, HF_E_DIGEST, "line %llu has the number %llu instead of %llu: lines were removed or moved", (unsigned long long)number, (unsigned long long)seq,
                    (unsigned long long)c.last + 1);
        else if (c.lines && memcmp(prev, c.head, 64) != 0)
            rc = hf_fail(err, HF_E_DIGEST, "line %llu was changed: line %llu has another hash of it (%.16s..., it is %.16s...)", (unsigned long long)c.lines, (unsigned long long)number, prev,
                    c.head);
        if (rc < 0) {
            c.bad_line = rc == HF_E_DIGEST && seq == c.last + 1 ? c.lines : number;
            *ret = c;
            return rc;
        }
        if (!c.lines) {
            c.first = seq;
            memcpy(c.prev, prev, sizeof c.prev);
        }
        hash_of(line, c.head);
        c.last = seq;
        c.lines++;
        text = hf_span_from(text, end + 1);
    }
    *ret = c;
    return 0;
}

static bool parse_head(struct hf_span text, uint64_t *ret_seq, char hash[HF_JOURNAL_HASH])
{
    struct hf_span seq, h;
    text = hf_span_trim(text);
    if (!hf_span_cut(&text, ' ', &seq) || !hf_span_cut(&text, ' ', &h) || h.n != 64 || hf_parse_u64(seq, 10, 1, UINT64_MAX, ret_seq) < 0)
        return false;
    memcpy(hash, h.p, 64);
    hash[64] = 0;
    return true;
}

static int by_name(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Numbers of the files that were set aside, in order. */
static size_t set_aside(const char *dir, uint64_t out[FILES_MAX])
{
    DIR *d = opendir(dir);
    size_t n = 0;
    for (struct dirent *e; d && n < FILES_MAX && (e = readdir(d));) {
        struct hf_span name = hf_span_z(e->d_name);
        if (hf_span_starts(name, HF_S("log-")) && hf_span_ends(name, HF_S(".ndjson")) && name.n > 11)
            n += hf_parse_u64(hf_span_sub(name, 4, name.n - 11), 10, 1, UINT64_MAX, &out[n]) == 0;
    }
    if (d)
        closedir(d);
    qsort(out, n, sizeof *out, by_name);
    return n;
}

static void path_at(const char *dir, const uint64_t *files, size_t n, size_t i, char out[4096])
{
    if (i < n)
        snprintf(out, 4096, "%s/log-%llu.ndjson", dir, (unsigned long long)files[i]);
    else
        snprintf(out, 4096, "%s/log.ndjson", dir);
}

int hf_journal_verify(const char *dir, struct hf_journal_check *ret, struct hf_err *err)
{
    uint64_t files[FILES_MAX], head_seq;
    size_t n = set_aside(dir, files);
    struct hf_journal_check all = {.lines = 0};
    char path[4096], head[HF_JOURNAL_HASH], before[HF_JOURNAL_HASH] = "";
    hf_autobuf text = HF_BUF_INIT(HF_JOURNAL_MAX + (1u << 20));
    for (size_t i = 0; i <= n; i++) {
        struct hf_journal_check one = {.lines = 0};
        path_at(dir, files, n, i, path);
        hf_buf_clear(&text);
        int rc = hf_read_file(path, &text, err);
        if (rc == -ENOENT && i == n && !n)
            return hf_fail(err, HF_E_NOT_FOUND, "there is no log of actions in %s", dir);
        rc = rc < 0 ? rc : hf_journal_check_text(hf_buf_span(&text), &one, err);
        memcpy(before, all.head, sizeof before);
        if (rc == 0 && one.lines && all.lines && (one.first != all.last + 1 || strcmp(one.prev, all.head) != 0))
            rc = hf_fail(err, HF_E_DIGEST, "it does not follow the file before it");
        if (rc == 0 && one.lines && !all.lines && one.first == 1 && strcmp(one.prev, zeros) != 0)
            rc = hf_fail(err, HF_E_DIGEST, "the first line says that there was one before it");
        if (rc == 0 && one.lines && !all.lines && one.first != 1)
            rc = hf_fail(err, HF_E_DIGEST, "it begins with line %llu: what came before is missing", (unsigned long long)one.first);
        all.bad_line = one.bad_line;
        if (rc < 0) {
            *ret = all;
            return hf_wrap(err, rc, "%s", path);
        }
        if (one.lines) {
            all.last = one.last;
            all.first = all.lines ? all.first : one.first;
            memcpy(all.head, one.head, sizeof all.head);
        }
        all.lines += one.lines;
    }
    *ret = all;
    snprintf(path, sizeof path, "%s/log.head", dir);
    hf_buf_clear(&text);
    if (hf_read_file(path, &text, err) < 0 || !parse_head(hf_buf_span(&text), &head_seq, head))
        return hf_fail(err, HF_E_DIGEST, "%s is missing or damaged: whether lines are missing at the end is not known", path);
    if (head_seq > all.last)
        return hf_fail(err, HF_E_DIGEST, "%s/log.ndjson ends with line %llu, but %llu was written: lines are missing at the end", dir, (unsigned long long)all.last, (unsigned long long)head_seq);
    if (head_seq == all.last && strcmp(head, all.head) != 0)
        return hf_fail(err, HF_E_DIGEST, "the last line was changed: it is not the one that was written");
    if (head_seq + 1 < all.last)
        return hf_fail(err, HF_E_DIGEST, "lines after %llu were not written by this program", (unsigned long long)head_seq);
    return 0; /* one behind: it was interrupted between the two */
}

int hf_journal_read(const char *dir, struct hf_buf *out, struct hf_err *err)
{
    uint64_t files[FILES_MAX];
    size_t n = set_aside(dir, files), from = n;
    char path[4096];
    uint64_t bytes = 0;
    for (size_t i = n + 1; i-- > 0;) { /* the newest that fit */
        struct stat st;
        path_at(dir, files, n, i, path);
        if (stat(path, &st) == 0)
            bytes += (uint64_t)st.st_size;
        if (i < n && bytes > out->max)
            break;
        from = i;
    }
    for (size_t i = from; i <= n; i++) {
        path_at(dir, files, n, i, path);
        int rc = hf_read_file(path, out, err);
        if (rc == -ENOENT && i == n)
            return n ? 0 : hf_fail(err, HF_E_NOT_FOUND, "there is no log of actions in %s", dir);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- writing ---- */

int hf_journal_lock(const char *dir, const char *name, struct hf_err *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%.3800s/%s", dir, name);
    hf_autoclose int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return hf_fail(err, -errno, "%s: %s", path, strerror(errno));
    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += 2) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return hf_fail(err, -errno, "%s: %s", path, strerror(errno));
        if (waited >= LOCK_MS)
            return hf_fail(err, -EBUSY, "another action has been at work for %d s", LOCK_MS / 1000);
        (void)poll(NULL, 0, 2);
    }
    int locked = fd;
    fd = -1;
    return locked;
}

static int tail(struct hf_journal *j, struct hf_buf *out, struct hf_err *err)
{
    uint64_t from = j->size > TAIL_BYTES + HF_JOURNAL_LINE ? j->size - TAIL_BYTES - HF_JOURNAL_LINE : 0;
    hf_buf_clear(out);
    if (!hf_buf_reserve(out, (size_t)(j->size - from)))
        return hf_fail(err, HF_E_LIMIT, "no memory for the end of the log");
    ssize_t n = pread(j->fd, out->p, (size_t)(j->size - from), (off_t)from);
    if (n < 0)
        return hf_fail(err, -errno, "the log cannot be read: %s", strerror(errno));
    out->n = (size_t)n;
    if (from) { /* begins within a line */
        size_t end = hf_span_find(hf_buf_span(out), '\n');
        size_t drop = end == SIZE_MAX ? out->n : end + 1;
        memmove(out->p, out->p + drop, out->n - drop);
        out->n -= drop;
    }
    return 0;
}

static int open_file(struct hf_journal *j, struct hf_err *err)
{
    char path[4096];
    struct stat st;
    snprintf(path, sizeof path, "%s/log.ndjson", j->dir);
    j->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (j->fd < 0 || fstat(j->fd, &st) < 0)
        return hf_fail(err, -errno, "%s: %s", path, strerror(errno));
    j->size = (uint64_t)st.st_size;
    return 0;
}

/* Space for what is to come; that there is none shows when it is written. */
static void ahead(struct hf_journal *j)
{
    struct stat st;
    if (fstat(j->fd, &st) == 0 && (uint64_t)st.st_blocks * 512 < j->size + HF_JOURNAL_AHEAD / 2)
        (void)fallocate(j->fd, FALLOC_FL_KEEP_SIZE, (off_t)j->size, HF_JOURNAL_AHEAD);
}

static int add_note(struct hf_journal *j, const char *why, struct hf_err *err)
{
    struct hf_journal_entry e = {.action = "log", .phase = "note", .why = why};
    uint64_t seq;
    return hf_journal_add(j, &e, &seq, err);
}

/* Where the chain goes on. */
static int find_end(struct hf_journal *j, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(TAIL_BYTES + 2 * HF_JOURNAL_LINE), head = HF_BUF_INIT(4096);
    char path[4096], prev[HF_JOURNAL_HASH];
    struct hf_err ignored = HF_ERR_INIT;
    bool unproven = false;
    snprintf(path, sizeof path, "%s/log.head", j->dir);
    j->head_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (j->head_fd < 0)
        return hf_fail(err, -errno, "%s: %s", path, strerror(errno));
    memcpy(j->head, zeros, sizeof j->head);
    if (hf_read_file(path, &head, &ignored) == 0 && !parse_head(hf_buf_span(&head), &j->seq, j->head))
        j->seq = 0;
    if (!j->size)
        return 0; /* the first, or set aside */
    int rc = tail(j, &text, err);
    if (rc < 0)
        return rc;
    struct hf_span t = hf_buf_span(&text);
    size_t whole = hf_span_rfind(t, '\n');
    uint64_t torn = t.n - (whole == SIZE_MAX ? 0 : whole + 1);
    if (torn) {
        if (ftruncate(j->fd, (off_t)(j->size - torn)) < 0)
            return hf_fail(err, -errno, "the torn end of the log: %s", strerror(errno));
        j->size -= torn;
        t.n -= (size_t)torn;
    }
    if (t.n) {
        t.n--;
        size_t start = hf_span_rfind(t, '\n');
        struct hf_span last = hf_span_from(t, start == SIZE_MAX ? 0 : start + 1);
        uint64_t seq;
        rc = chain_of(last, &seq, prev, err);
        if (rc < 0)
            return hf_wrap(err, rc, "the last line of %s/log.ndjson", j->dir);
        /* A head that is further than the log stays ahead: the gap in the numbers shows what is missing.  Of the same line, its hash is believed and not
         * the line. */
        unproven = seq > j->seq + 1;
        if (seq > j->seq) {
            j->seq = seq;
            hash_of(last, j->head);
        }
    }
    rc = unproven ? add_note(j, "log.head was missing or old: whether lines are missing or were added before this one is not known", err) : 0;
    return rc == 0 && torn ? add_note(j, "a torn line was cut off: the program or the machine had stopped within it", err) : rc;
}

static int put_aside(struct hf_journal *j, struct hf_err *err)
{
    char from[4096], to[4096];
    snprintf(from, sizeof from, "%s/log.ndjson", j->dir);
    snprintf(to, sizeof to, "%s/log-%llu.ndjson", j->dir, (unsigned long long)j->seq);
    if (rename(from, to) < 0)
        return hf_fail(err, -errno, "%s: %s", to, strerror(errno));
    close(j->fd);
    j->fd = -1;
    return open_file(j, err);
}

int hf_journal_open(struct hf_journal **ret, const char *dir, struct hf_err *err)
{
    hf_cleanup(hf_journal_closep) struct hf_journal *j = calloc(1, sizeof *j);
    if (!j || strlen(dir) >= sizeof j->dir)
        return hf_fail(err, j ? HF_E_LIMIT : -ENOMEM, "the folder's name is too long");
    j->lock = j->fd = j->head_fd = -1;
    snprintf(j->dir, sizeof j->dir, "%s", dir);
    int rc = hf_mkdirs(dir, 0700, err);
    rc = rc < 0 ? rc : (j->lock = hf_journal_lock(dir, "lock", err));
    rc = rc < 0 ? rc : open_file(j, err);
    rc = rc < 0 ? rc : find_end(j, err);
    if (rc == 0 && j->size > HF_JOURNAL_MAX)
        rc = put_aside(j, err);
    if (rc < 0)
        return rc;
    ahead(j);
    *ret = hf_take(j);
    return 0;
}

void hf_journal_close(struct hf_journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0)
        close(j->fd);
    if (j->head_fd >= 0)
        close(j->head_fd);
    if (j->lock >= 0)
        close(j->lock);
    free(j);
}

/* Who asks, as far as the kernel knows: the login user stays through sudo and su. */
static void who(struct hf_jw *w, const struct hf_journal_entry *e)
{
    struct hf_err ignored = HF_ERR_INIT;
    hf_autobuf login = HF_BUF_INIT(64);
    uint64_t uid;
    hf_jw_key(w, "who");
    hf_jw_object(w);
    hf_jw_ku64(w, "uid", getuid());
    if (hf_read_file("/proc/self/loginuid", &login, &ignored) == 0 && hf_parse_u64(hf_span_trim(hf_buf_span(&login)), 10, 0, UINT32_MAX - 1, &uid) == 0)
        hf_jw_ku64(w, "login_uid", uid);
    hf_jw_ku64(w, "pid", (uint64_t)getpid());
    hf_jw_kstr_opt(w, "rule", hf_span_sub(e->rule, 0, 256));
    hf_jw_kstr_opt(w, "alert", hf_span_sub(e->alert, 0, 64));
    hf_jw_object_end(w);
}

static void raw(struct hf_jw *w, const char *key, struct hf_span json)
{
    if (!json.n)
        return;
    hf_jw_key(w, key);
    hf_buf_adds(w->out, json); /* made by this program */
    w->after_key = false;
}

static void write_entry(struct hf_journal *j, const struct hf_journal_entry *e, struct hf_buf *out)
{
    struct hf_jw w;
    struct timespec now;
    char time[40];
    clock_gettime(CLOCK_REALTIME, &now);
    hf_journal_time((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, time);
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "schema", "holdfast.respond/1");
    hf_jw_ku64(&w, "seq", j->seq + 1);
    hf_jw_kstrz(&w, "time", time);
    hf_jw_ku64(&w, "time_s", (uint64_t)now.tv_sec);
    hf_jw_kstrz(&w, "action", e->action);
    hf_jw_kstrz(&w, "phase", e->phase);
    if (e->of)
        hf_jw_ku64(&w, "of", e->of);
    if (e->container_id) {
        hf_jw_key(&w, "container");
        hf_jw_object(&w);
        hf_jw_kstrz(&w, "id", e->container_id);
        hf_jw_kstrz(&w, "name", e->container_name ? e->container_name : "");
        hf_jw_kstr_opt(&w, "image", hf_span_z(e->image));
        hf_jw_object_end(&w);
    }
    who(&w, e);
    hf_jw_kstr_opt(&w, "why", hf_span_sub(hf_span_z(e->why), 0, 1024));
    hf_jw_kstr_opt(&w, "rung", hf_span_z(e->rung));
    raw(&w, "before", e->before);
    raw(&w, "after", e->after);
    hf_jw_kstr_opt(&w, "error", hf_span_z(e->error));
    if (e->for_s)
        hf_jw_ku64(&w, "for_s", e->for_s);
    if (e->forced)
        hf_jw_kbool(&w, "forced", true);
    hf_jw_kstrz(&w, "prev", j->head);
    hf_jw_object_end(&w);
}

int hf_journal_add(struct hf_journal *j, const struct hf_journal_entry *e, uint64_t *ret_seq, struct hf_err *err)
{
    hf_autobuf line = HF_BUF_INIT(HF_JOURNAL_LINE);
    char hash[HF_JOURNAL_HASH], head[HEAD_BYTES + 1];
    write_entry(j, e, &line);
    if (!hf_buf_ok(&line))
        return hf_fail(err, HF_E_LIMIT, "an entry of the log is over %u bytes", HF_JOURNAL_LINE);
    hash_of(hf_buf_span(&line), hash);
    line.max++;
    hf_buf_addc(&line, '\n');
    ssize_t n = hf_buf_ok(&line) ? write(j->fd, line.p, line.n) : -1;
    if (n != (ssize_t)line.n) {
        int rc = n < 0 ? -errno : -ENOSPC;
        if (n > 0 && ftruncate(j->fd, (off_t)j->size) < 0)
            rc = -errno;
        return hf_fail(err, rc, "%s/log.ndjson: %s", j->dir, strerror(-rc));
    }
    j->size += line.n;
    j->seq++;
    memcpy(j->head, hash, sizeof hash);
    memset(head, ' ', HEAD_BYTES);
    head[snprintf(head, sizeof head, "%llu %s", (unsigned long long)j->seq, hash)] = '\n'; /* always as long, so that it is written over in place */
    if (pwrite(j->head_fd, head, HEAD_BYTES, 0) != HEAD_BYTES)
        return hf_fail(err, -EIO, "%s/log.head cannot be written", j->dir);
    ahead(j);
    *ret_seq = j->seq;
    return 0;
}

int hf_journal_sync(struct hf_journal *j, struct hf_err *err)
{
    if (fdatasync(j->fd) < 0 || fdatasync(j->head_fd) < 0)
        return hf_fail(err, -errno, "the log of actions cannot be brought to the disk: %s", strerror(errno));
    return 0;
}

unsigned hf_journal_begun_since(struct hf_journal *j, int64_t since_s)
{
    hf_autobuf text = HF_BUF_INIT(TAIL_BYTES + 2 * HF_JOURNAL_LINE);
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_span rest, line;
    unsigned n = 0;
    if (tail(j, &text, &ignored) < 0)
        return 0;
    rest = hf_buf_span(&text);
    while (hf_span_line(&rest, &line)) {
        hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
        double at;
        if (hf_span_search(line, HF_S("\"begin\"")) == SIZE_MAX || hf_json_parse_within(line, 1u << 20, &doc, &ignored) < 0)
            continue;
        n += hf_span_eqz(hf_jgetstr(hf_json_root(doc), "phase"), "begin") && hf_jnum(hf_jget(hf_json_root(doc), "time_s"), &at) && (int64_t)at > since_s;
    }
    return n;
}

const char *hf_journal_head(const struct hf_journal *j)
{
    return j->head;
}
