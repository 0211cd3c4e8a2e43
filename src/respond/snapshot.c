// SPDX-License-Identifier: Apache-2.0
#include "respond/snapshot.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/hash.h"
#include "respond/aside.h"
#include "respond/groups.h"
#include "respond/snapshot-internal.h"
#include "sensor/frames.h"

#define MANIFEST_MAX (32u << 20)
#define LACKS_MAX 1000u
#define ALERTS_MAX (2u << 20)
#define PIECE (1u << 20)
#define COPY_RATE 125000000ull /* bytes a second that are hashed, compressed and written while this process runs (a divisor of a second's ns) */
#define SLOWEST 16ull
#define COPIED_ENOUGH (32ull << 20)

bool hf_bundle_late(const struct hf_bundle_out *b)
{
    return hf_boot_ns() > b->end_ns || (b->stop && *b->stop);
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) < 0 ? 0 : (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* A machine with other work, or a slow disk, lets a process run for a part of the time only: what is left to do takes as much longer. */
bool hf_bundle_late_for(const struct hf_bundle_out *b, uint64_t bytes)
{
    if (b->copied >= COPIED_ENOUGH) /* as it was so far, or half as fast */
        return hf_boot_ns() + 2 * bytes * (b->copied_ns / (b->copied >> 10)) / 1024 > b->end_ns;
    uint64_t now = hf_boot_ns(), wall = now - HF_MIN(b->began_ns, now), cpu = cpu_ns() - b->began_cpu_ns, slow = HF_MIN(wall / HF_MAX(cpu, 1ull) + 1, SLOWEST);
    return now + bytes * (1000000000ull / COPY_RATE) * slow > b->end_ns;
}

/* Ends when it is told to (a byte), or when whoever froze the container is gone: then it goes on. */
static void keeper(const void *ctx, int pipe_end)
{
    const struct hf_bundle_out *b = ctx;
    struct hf_err ignored = HF_ERR_INIT;
    char told;
    ssize_t n;
    while ((n = read(pipe_end, &told, 1)) < 0 && errno == EINTR)
        ;
    if (n == 0)
        (void)!hf_group_thaw(b->frozen, (enum hf_freezer)b->freezer, HF_RESPOND_FREEZE_MS, &ignored);
}

static void end_keeper(struct hf_bundle_out *b)
{
    if (b->keeper >= 0)
        (void)!write(b->keeper, "", 1);
    hf_closep(&b->keeper);
}

int hf_bundle_thaw(struct hf_bundle_out *b, struct hf_err *err)
{
    struct hf_err why = HF_ERR_INIT;
    const char *group = hf_take(b->frozen);
    if (group && hf_group_thaw(group, (enum hf_freezer)b->freezer, HF_RESPOND_FREEZE_MS, &why) < 0) {
        hf_closep(&b->keeper); /* it tries again */
        return hf_fail(err, why.code, "the container could not be thawed: %s", why.msg);
    }
    end_keeper(b);
    return 0;
}

/* Only what it froze itself is thawed afterwards. */
static int freeze(struct hf_job *j, struct hf_bundle_out *b, struct hf_err *err)
{
    int ends[2], kind;
    const char *group = hf_target_freezer(j->t, &kind);
    int was = group ? hf_group_is_frozen(group, (enum hf_freezer)kind, err) : hf_fail(err, HF_E_UNSUPPORTED, "it has no freezer of its own: not frozen, nothing written");
    j->frozen_before = was > 0;
    if (was)
        return HF_MIN(was, 0);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return hf_fail(err, -errno, "no pipe: %s", strerror(errno));
    b->frozen = group;
    b->freezer = kind;
    b->keeper = ends[1];
    int rc = hf_aside("holdfast-thaw", ends[0], keeper, b, err);
    close(ends[0]);
    rc = rc < 0 ? rc : hf_group_freeze(group, (enum hf_freezer)kind, HF_RESPOND_FREEZE_MS, err);
    if (rc < 0) {
        b->frozen = NULL;
        end_keeper(b);
    }
    return rc;
}

void hf_bundle_lacks(struct hf_bundle_out *b, const char *fmt, ...)
{
    char line[1024];
    va_list args;
    if (b->n_incomplete++ >= LACKS_MAX)
        return;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    struct hf_jw w;
    hf_buf_addz(&b->incomplete, b->incomplete.n ? "," : "");
    hf_jw_init(&w, &b->incomplete, false);
    hf_jw_str(&w, hf_span_z(line));
}

static int begin(struct hf_bundle_out *b, const char *name, uint64_t size, struct hf_err *err)
{
    struct archive_entry *e = archive_entry_new();
    if (!e)
        return hf_fail(err, -ENOMEM, "no memory");
    archive_entry_copy_pathname(e, name);
    archive_entry_set_mode(e, S_IFREG | 0600);
    archive_entry_set_size(e, (int64_t)size);
    archive_entry_set_mtime(e, b->time_s, 0);
    int bad = archive_write_header(b->a, e);
    archive_entry_free(e);
    return bad < ARCHIVE_WARN ? hf_fail(err, -EIO, "%s: %s: %s", name, archive_error_string(b->a), strerror(archive_errno(b->a))) : 0;
}

static int piece(struct hf_bundle_out *b, const char *name, struct hf_hash *h, const void *p, size_t n, struct hf_err *err)
{
    if (b->stop && *b->stop)
        return hf_fail(err, -EINTR, "interrupted; nothing of it is kept");
    hf_hash_add(h, p, n);
    if (n && archive_write_data(b->a, p, n) != (ssize_t)n)
        return hf_fail(err, -(archive_errno(b->a) > 0 ? archive_errno(b->a) : EIO), "%s: %s: %s", name, archive_error_string(b->a), strerror(archive_errno(b->a)));
    return 0;
}

static void listed(struct hf_bundle_out *b, const char *name, uint64_t size, struct hf_hash *h)
{
    uint8_t d[64];
    char hex[65];
    hf_hash_end(h, d);
    hf_hex(d, 32, hex);
    hf_jw_object(&b->list);
    hf_jw_kstrz(&b->list, "name", name);
    hf_jw_ku64(&b->list, "size", size);
    hf_jw_kstrz(&b->list, "sha256", hex);
    hf_jw_object_end(&b->list);
    b->n++;
    b->bytes += size;
}

int hf_bundle_add(struct hf_bundle_out *b, const char *name, struct hf_span bytes, struct hf_err *err)
{
    hf_cleanup(hf_hash_freep) struct hf_hash *h = hf_hash_new(HF_SHA256);
    int rc = h ? begin(b, name, bytes.n, err) : hf_fail(err, -ENOMEM, "no memory");
    rc = rc < 0 ? rc : piece(b, name, h, bytes.p, bytes.n, err);
    if (rc == 0)
        listed(b, name, bytes.n, h);
    return rc;
}

int hf_bundle_add_fd(struct hf_bundle_out *b, const char *name, int fd, uint64_t size, struct hf_err *err)
{
    hf_cleanup(hf_hash_freep) struct hf_hash *h = hf_hash_new(HF_SHA256);
    hf_autofree char *bytes = malloc(PIECE);
    uint64_t began = hf_boot_ns();
    int rc = h && bytes ? begin(b, name, size, err) : hf_fail(err, -ENOMEM, "no memory");
    for (uint64_t done = 0; rc == 0 && done < size;) {
        ssize_t n = pread(fd, bytes, (size_t)HF_MIN(size - done, (uint64_t)PIECE), (off_t)done);
        if (n <= 0)
            return hf_fail(err, n < 0 ? -errno : -EIO, "%s: it ends before its end", name);
        rc = piece(b, name, h, bytes, (size_t)n, err);
        done += (uint64_t)n;
    }
    if (rc < 0)
        return rc;
    listed(b, name, size, h);
    (void)sync_file_range(b->fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* the disk begins now: less is left to wait for at the end */
    b->copied += size;
    b->copied_ns += hf_boot_ns() - began;
    return 0;
}

/* ---- what the state knows ---- */

/* Lines of a file that speak of the container, the last that fit. */
static int lines_of(struct hf_bundle_out *b, const char *const *paths, size_t n, const char *id, const char *member, struct hf_err *err)
{
    hf_autobuf out = HF_BUF_INIT(ALERTS_MAX), text = HF_BUF_INIT(40u << 20);
    struct hf_err ignored = HF_ERR_INIT;
    char needle[200];
    bool cut = false;
    snprintf(needle, sizeof needle, "\"id\":\"%.160s\"", id);
    for (size_t i = 0; i < n; i++) {
        hf_buf_clear(&text);
        if (hf_read_file(paths[i], &text, &ignored) < 0)
            continue;
        struct hf_span rest = hf_buf_span(&text), line;
        while (hf_span_line(&rest, &line)) {
            if (hf_span_search(line, hf_span_z(needle)) == SIZE_MAX)
                continue;
            if (line.n + 1 > ALERTS_MAX / 2 || out.n + line.n + 1 > ALERTS_MAX) { /* the older half goes */
                size_t half = out.n / 2, end = hf_span_find(hf_span_from(hf_buf_span(&out), half), '\n');
                half = end == SIZE_MAX ? out.n : half + end + 1;
                memmove(out.p, out.p + half, out.n - half);
                out.n -= half;
                cut = true;
            }
            if (line.n + 1 <= ALERTS_MAX / 2) {
                hf_buf_adds(&out, line);
                hf_buf_addc(&out, '\n');
            }
        }
    }
    if (cut)
        hf_bundle_lacks(b, "%s: older lines than fit into %u bytes", member, ALERTS_MAX);
    return hf_bundle_add(b, member, hf_buf_span(&out), err);
}

static int known(struct hf_bundle_out *b, const struct hf_job *j, struct hf_err *err)
{
    char path[3][4096];
    snprintf(path[0], sizeof path[0], "%.3700s/alerts.0.ndjson", j->o->state);
    snprintf(path[1], sizeof path[1], "%.3700s/alerts.1.ndjson", j->o->state);
    snprintf(path[2], sizeof path[2], "%.3800s/log.ndjson", j->dir);
    struct stat st[2];
    bool swap = stat(path[0], &st[0]) == 0 && stat(path[1], &st[1]) == 0 && st[0].st_mtim.tv_sec > st[1].st_mtim.tv_sec;
    const char *alerts[2] = {path[swap ? 1 : 0], path[swap ? 0 : 1]}, *log[1] = {path[2]};
    int rc = lines_of(b, alerts, 2, j->t->id, "alerts.ndjson", err);
    return rc < 0 ? rc : lines_of(b, log, 1, j->t->id, "actions.ndjson", err);
}

static int container(struct hf_bundle_out *b, const struct hf_target *t, struct hf_err *err)
{
    hf_autobuf out = HF_BUF_INIT(65536);
    struct hf_jw w;
    struct utsname u;
    hf_jw_init(&w, &out, true);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "id", t->id);
    hf_jw_kstrz(&w, "name", t->name);
    hf_jw_kstrz(&w, "image", t->image);
    hf_jw_kstr_opt(&w, "image_digest", hf_span_z(t->image_digest));
    hf_jw_kstr_opt(&w, "runtime", hf_span_z(t->runtime));
    hf_jw_kstr_opt(&w, "pod_namespace", hf_span_z(t->namespace_));
    hf_jw_kstrz(&w, "cgroup", t->group);
    hf_jw_ku64(&w, "cgroup_id", t->cgroup_id);
    if (uname(&u) == 0) {
        hf_jw_kstrz(&w, "host", u.nodename);
        hf_jw_kstrz(&w, "kernel", u.release);
    }
    hf_jw_object_end(&w);
    hf_buf_addc(&out, '\n');
    return hf_bundle_add(b, "container.json", hf_buf_span(&out), err);
}

/* ---- the manifest ---- */

static void head_path(const struct hf_job *j, char out[4096])
{
    snprintf(out, 4096, "%.3800s/snapshots.head", j->dir);
}

static void previous(const struct hf_job *j, char out[65])
{
    hf_autobuf text = HF_BUF_INIT(256);
    struct hf_err ignored = HF_ERR_INIT;
    char path[4096];
    head_path(j, path);
    memset(out, '0', 64);
    out[64] = 0;
    if (hf_read_file(path, &text, &ignored) == 0 && text.n >= 64)
        memcpy(out, text.p, 64);
}

static int manifest(struct hf_bundle_out *b, const struct hf_job *j, char digest[65], struct hf_err *err)
{
    hf_autobuf out = HF_BUF_INIT(MANIFEST_MAX);
    char prev[65], time[40];
    struct hf_digest d;
    struct hf_jw w;
    previous(j, prev);
    hf_journal_time((uint64_t)b->time_s * 1000000000ull, time);
    hf_jw_array_end(&b->list);
    hf_jw_init(&w, &out, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "schema", "holdfast.snapshot/1");
    hf_jw_kstrz(&w, "made", time);
    hf_jw_kstrz(&w, "container", j->t->id);
    hf_jw_kstrz(&w, "name", j->t->name);
    hf_jw_kstr_opt(&w, "why", hf_span_sub(hf_span_z(j->o->why), 0, 1024));
    hf_jw_kbool(&w, "frozen", j->o->freeze || j->frozen_before);
    hf_jw_kstrz(&w, "previous_manifest", prev);
    hf_jw_kstrz(&w, "action_log", j->head);
    hf_jw_key(&w, "members");
    hf_buf_adds(&out, hf_buf_span(&b->members));
    w.after_key = false;
    hf_jw_key(&w, "incomplete");
    hf_buf_addc(&out, '[');
    hf_buf_adds(&out, hf_buf_span(&b->incomplete));
    hf_buf_addc(&out, ']');
    w.after_key = false;
    hf_jw_object_end(&w);
    hf_buf_addc(&out, '\n');
    if (!hf_buf_ok(&out) || !hf_buf_ok(&b->members) || !hf_buf_ok(&b->incomplete))
        return hf_fail(err, HF_E_LIMIT, "the manifest is over %u bytes", MANIFEST_MAX);
    hf_digest_of(HF_SHA256, hf_buf_span(&out), &d);
    hf_hex(d.b, 32, digest);
    int rc = begin(b, "manifest.json", out.n, err);
    if (rc == 0 && archive_write_data(b->a, out.p, out.n) != (ssize_t)out.n)
        rc = hf_fail(err, -(archive_errno(b->a) > 0 ? archive_errno(b->a) : EIO), "manifest.json: %s", archive_error_string(b->a));
    return rc;
}

/* ---- the whole ---- */

int hf_snapshot_look(struct hf_job *j, struct hf_err *err)
{
    size_t n = 0;
    hf_autofree pid_t *pids = calloc(HF_TARGET_PROCS, sizeof *pids);
    struct hf_err ignored = HF_ERR_INIT;
    if (!pids)
        return hf_fail(err, -ENOMEM, "no memory");
    int rc = hf_target_procs(j->t->dir, pids, HF_TARGET_PROCS, &n, &ignored);
    if (rc < 0 && rc != HF_E_LIMIT)
        return hf_fail(err, rc, "%s", ignored.msg);
    hf_buf_addf(&j->did->before, "{\"processes\":%zu}", n);
    hf_buf_addf(&j->did->effects, "%zu processes, their files, sockets, memory maps and masked environments, changed files up to %llu MiB, alerts and actions are written to one file\n", n,
            (unsigned long long)((j->o->max_bytes ? j->o->max_bytes : HF_SNAPSHOT_CHANGED) >> 20));
    hf_buf_addz(&j->did->effects, j->o->freeze ? "it is frozen meanwhile (seconds), then goes on as before\n" : "it runs on meanwhile (--freeze stops it, so that nothing changes)\n");
    return 0;
}

static int fill(struct hf_bundle_out *b, struct hf_job *j, const char *near, char digest[65], struct hf_err *err)
{
    int rc = container(b, j->t, err);
    rc = rc < 0 ? rc : hf_snapshot_processes(b, j->t, err);
    rc = rc < 0 ? rc : known(b, j, err);
    rc = rc < 0 ? rc : hf_snapshot_changed(b, j->t, near, j->o->max_bytes ? j->o->max_bytes : HF_SNAPSHOT_CHANGED, err);
    if (rc == 0 && hf_bundle_late(b))
        hf_bundle_lacks(b, "what was not read within %u ms", HF_SNAPSHOT_MS);
    if (rc == 0)
        rc = b->lock = hf_journal_lock(j->dir, "snapshots.lock", err);
    return rc < 0 ? rc : manifest(b, j, digest, err);
}

static int write_to(struct hf_job *j, int fd, bool compressed, const char *near, struct hf_bundle_out *b, char digest[65], struct hf_err *err)
{
    b->a = archive_write_new();
    b->fd = fd;
    b->began_ns = hf_boot_ns();
    b->began_cpu_ns = cpu_ns();
    b->end_ns = b->began_ns + HF_SNAPSHOT_MS * 1000000ull;
    b->time_s = (int64_t)time(NULL);
    hf_buf_init(&b->members, MANIFEST_MAX / 2);
    hf_buf_init(&b->incomplete, MANIFEST_MAX / 4);
    hf_jw_init(&b->list, &b->members, false);
    hf_jw_array(&b->list);
    int rc = b->a ? 0 : hf_fail(err, -ENOMEM, "no memory");
    if (rc == 0 && (archive_write_set_format_pax_restricted(b->a) != ARCHIVE_OK || (compressed && archive_write_add_filter_zstd(b->a) != ARCHIVE_OK) || archive_write_open_fd(b->a, fd) != ARCHIVE_OK))
        rc = hf_fail(err, -EIO, "%s", archive_error_string(b->a));
    rc = rc < 0 ? rc : fill(b, j, near, digest, err);
    if (b->a && rc == 0 && archive_write_close(b->a) != ARCHIVE_OK)
        rc = hf_fail(err, -(archive_errno(b->a) > 0 ? archive_errno(b->a) : EIO), "%s: %s", archive_error_string(b->a), strerror(archive_errno(b->a)));
    if (b->a)
        archive_write_free(b->a);
    if (rc == 0 && fsync(fd) < 0)
        rc = hf_fail(err, -errno, "%s", strerror(errno));
    return rc;
}

static int choose_path(struct hf_job *j, char out[4096], char near[4096], struct hf_err *err)
{
    if (j->o->output) {
        struct hf_span dir = hf_span_dirname(hf_span_z(j->o->output));
        snprintf(out, 4096, "%s", j->o->output);
        if (dir.n)
            snprintf(near, 4096, "%.*s", HF_SPAN_ARG(dir));
        else
            snprintf(near, 4096, "%s", out[0] == '/' ? "/" : ".");
        return 0;
    }
    snprintf(near, 4096, "%.3800s/snapshots", j->dir);
    snprintf(out, 4096, "%.3800s/snapshots/%.12s-%lld-%llu.tar.zst", j->dir, j->t->id[0] && !strchr(j->t->id, '/') ? j->t->id : "container", (long long)time(NULL), (unsigned long long)j->did->seq);
    return hf_mkdirs(near, 0700, err);
}

/* Without a name while it is not whole, so that nothing is left of one that was killed; where the file system has no such files under its own name. */
static int open_out(const char *path, const char *near, bool *ret_named, struct hf_err *err)
{
    struct stat st;
    int fd = lstat(path, &st) == 0 ? -1 : open(near, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    *ret_named = fd < 0;
    if (fd < 0)
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? hf_fail(err, -errno, "%s: %s", path, strerror(errno)) : fd;
}

static int give_name(int fd, const char *path, struct hf_err *err)
{
    char own[32];
    snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, own, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0 ? hf_fail(err, -errno, "%s", strerror(errno)) : 0;
}

int hf_snapshot_act(struct hf_job *j, struct hf_err *err)
{
    struct hf_bundle_out b = {.lock = -1, .fd = -1, .keeper = -1, .stop = j->o->stop};
    char path[4096], near[4096], digest[65] = "", head[4096];
    struct stat st;
    int rc = choose_path(j, path, near, err);
    if (rc < 0)
        return rc;
    bool named;
    hf_autoclose int fd = open_out(path, near, &named, err);
    if (fd < 0)
        return fd;
    if (j->o->freeze)
        rc = freeze(j, &b, err);
    rc = rc < 0 ? rc : write_to(j, fd, hf_span_ends(hf_span_z(path), HF_S(".zst")), near, &b, digest, err);
    struct hf_err why = HF_ERR_INIT;
    if (hf_bundle_thaw(&b, &why) < 0) /* when it failed before all was read */
        rc = hf_fail(err, why.code, "%s", why.msg);
    if (rc == 0 && !named) {
        rc = give_name(fd, path, err);
        named = rc == 0;
    }
    head_path(j, head);
    char line[80];
    snprintf(line, sizeof line, "%s\n", digest);
    rc = rc < 0 ? rc : hf_write_file(head, 0600, hf_span_z(line), err);
    if (b.lock >= 0)
        close(b.lock);
    if (rc == 0 && fstat(fd, &st) == 0) {
        struct hf_jw w;
        hf_jw_init(&w, &j->did->after, false);
        hf_jw_object(&w);
        hf_jw_kstrz(&w, "file", path);
        hf_jw_ku64(&w, "bytes", (uint64_t)st.st_size);
        hf_jw_ku64(&w, "members", b.n);
        hf_jw_ku64(&w, "incomplete", b.n_incomplete);
        hf_jw_kstrz(&w, "manifest_sha256", digest);
        hf_jw_object_end(&w);
    }
    snprintf(j->did->rung, sizeof j->did->rung, "%s", j->o->freeze ? "read while frozen" : "read while running");
    hf_buf_done(&b.members);
    hf_buf_done(&b.incomplete);
    if (rc < 0 && named)
        unlink(path); /* half an evidence is none */
    return rc < 0 ? hf_wrap(err, rc, "%s", path) : 0;
}
