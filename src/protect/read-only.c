// SPDX-License-Identifier: Apache-2.0
#include "protect/read-only.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

#define WAIT_MS 2000
#define INFO_MAX (4u << 20)
#define MEMORY_MAX (256ul << 20) /* of the child: a folder with any number of names may be looked through */
#ifndef MNT_DETACH
#define MNT_DETACH 2
#define UMOUNT_NOFOLLOW 8
#endif
int umount2(const char *target, int flags);
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
#define OLD_BIND_REMOUNT (4096ul | 32ul) /* MS_BIND | MS_REMOUNT: sys/mount.h and linux/mount.h do not go together */

/* ---- mountinfo ---- */

struct line {
    uint64_t id;
    struct hf_span point; /* in `text` of the caller */
    bool ro, shared;
};

/* The next line; its point is unescaped into *point. */
static bool next_line(struct hf_span *rest, struct hf_buf *point, struct line *ret)
{
    for (struct hf_span line, f[6], word; hf_span_line(rest, &line);) {
        size_t n = 0;
        *ret = (struct line){.id = 0};
        while (n < 6 && hf_span_cut(&line, ' ', &f[n]))
            n++;
        if (n < 6 || hf_parse_u64(f[0], 10, 0, UINT64_MAX, &ret->id) < 0)
            continue;
        ret->ro = hf_span_starts(f[5], HF_S("ro,")) || hf_span_eqz(f[5], "ro"); /* "rw" or "ro" is its first word */
        while (hf_span_cut(&line, ' ', &word) && !hf_span_eqz(word, "-"))
            ret->shared = ret->shared || hf_span_starts(word, HF_S("shared:"));
        hf_buf_clear(point);
        hf_mountinfo_field(f[4], point);
        ret->point = hf_buf_span(point);
        return true;
    }
    return false;
}

static int mountinfo(int proc, struct hf_buf *text)
{
    int fd = openat(proc, "mountinfo", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 0;
    hf_buf_clear(text);
    for (char part[16384]; fd >= 0 && (n = read(fd, part, sizeof part)) > 0;)
        hf_buf_add(text, part, (size_t)n);
    int rc = n < 0 ? -errno : hf_buf_ok(text) ? 0 : -EFBIG;
    if (fd >= 0)
        close(fd);
    return rc;
}

static uint64_t ns_of(uint32_t pid)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%u/ns/mnt", pid);
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* ---- what a pattern stands for ---- */

/* "/a/b/" and "/a/b/" + two stars: all below. */
static bool is_folder(struct hf_span p, struct hf_span *ret)
{
    if (hf_span_ends(p, HF_S("/**")))
        p = hf_span_sub(p, 0, p.n - 2);
    *ret = p;
    return hf_span_ends(p, HF_S("/"));
}

bool hf_ro_whole(const struct hf_prot_spans *patterns)
{
    for (size_t i = 0; i < patterns->n; i++) {
        struct hf_span p;
        (void)is_folder(patterns->v[i], &p);
        if (hf_span_find(p, '*') != SIZE_MAX)
            return false;
    }
    return true;
}

/* ---- the child, in the namespace ---- */

struct work {
    bool look; /* nothing is mounted */
    int proc; /* of the host's /proc: what the container calls so is not asked */
    struct hf_buf text, point;
    struct hf_ro *ro;
    const struct hf_ro *old;
};

static uint64_t mount_of(const char *path, bool *ret_root)
{
    struct statx x = {.stx_mask = 0};
    if (syscall(SYS_statx, AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_MNT_ID, &x) < 0)
        return 0;
    *ret_root = x.stx_attributes & STATX_ATTR_MOUNT_ROOT;
    return x.stx_mask & STATX_MNT_ID ? x.stx_mnt_id : 0;
}

HF_PRINTF(2, 3) static void not_held(struct work *w, const char *fmt, ...)
{
    va_list args;
    if (w->ro->why[0])
        return;
    va_start(args, fmt);
    vsnprintf(w->ro->why, sizeof w->ro->why, fmt, args);
    va_end(args);
}

static void add(struct work *w, const char *path, uint64_t mount_id, uint32_t ours)
{
    struct hf_ro_path *r = &w->ro->v[w->ro->n++];
    *r = (struct hf_ro_path){.mount = mount_id, .ours = ours};
    snprintf(r->path, sizeof r->path, "%s", path);
}

static bool has_room(struct work *w, const char *path)
{
    if (w->ro->n < HF_RO_MAX && strlen(path) < HF_RO_PATH)
        return true;
    not_held(w, "more than %u mounts, or a path of more than %u bytes", HF_RO_MAX, HF_RO_PATH);
    return false;
}

static void add_file(struct work *w, const char *path, uint32_t what)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return;
    struct hf_ro_file f = {.inode = st.st_ino, .dev = major(st.st_dev) << 20 | minor(st.st_dev), .what = what};
    for (size_t i = 0; i < w->ro->n_files; i++)
        if (w->ro->files[i].inode == f.inode && w->ro->files[i].dev == f.dev) {
            w->ro->files[i].what |= what;
            return;
        }
    if (w->ro->n_files == HF_RO_FILES)
        not_held(w, "more than %u paths, mounts below and folders above", HF_RO_FILES);
    else
        w->ro->files[w->ro->n_files++] = f;
}

/* The path, what is mounted below it, and the folders on the way, which could be given another name. */
static void look_at(struct work *w, const char *path, bool below)
{
    char z[PATH_MAX];
    struct hf_span p = hf_span_z(path), rest;
    struct line l;
    add_file(w, path, below ? HF_GUARD_HELD_BELOW : HF_GUARD_HELD_ITSELF);
    for (struct hf_span up = hf_span_dirname(p); up.n > 1 && up.n < sizeof z; up = hf_span_dirname(up)) {
        snprintf(z, sizeof z, "%.*s", HF_SPAN_ARG(up));
        add_file(w, z, HF_GUARD_HELD_WAY);
    }
    if (!below || mountinfo(w->proc, &w->text) < 0)
        return;
    rest = hf_buf_span(&w->text);
    while (next_line(&rest, &w->point, &l)) {
        if (!hf_span_starts(l.point, p) || (p.n > 1 && (l.point.n <= p.n || l.point.p[p.n] != '/')) || l.point.n >= sizeof z || memchr(l.point.p, 0, l.point.n))
            continue;
        snprintf(z, sizeof z, "%.*s", HF_SPAN_ARG(l.point));
        add_file(w, z, HF_GUARD_HELD_BELOW);
    }
}

/* ro: made read-only, else writable, with what else it forbids kept. */
static int set_mount(const char *path, bool ro)
{
    struct mount_attr a = {.attr_set = ro ? MOUNT_ATTR_RDONLY : 0, .attr_clr = ro ? 0 : MOUNT_ATTR_RDONLY};
    struct statvfs v;
    int rc = (int)syscall(SYS_mount_setattr, AT_FDCWD, path, 0u, &a, sizeof a);
    if (rc == 0 || errno != ENOSYS)
        return rc < 0 ? -errno : 0;
    if (statvfs(path, &v) < 0) /* before 5.12 */
        return -errno;
    unsigned long keep = v.f_flag & (ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME | ST_NODIRATIME | ST_RELATIME); /* these are numbered alike */
    keep = v.f_flag & ST_RELATIME ? (keep & ~(unsigned long)ST_RELATIME) | 1ul << 21 : keep;
    return mount(NULL, path, NULL, OLD_BIND_REMOUNT | keep | (ro ? 1ul : 0), NULL) < 0 ? -errno : 0;
}

static bool is_ro(const char *path)
{
    struct statvfs v;
    return statvfs(path, &v) == 0 && (v.f_flag & ST_RDONLY);
}

/* Mount points at the path and below: each is made read-only where it is. */
static void in_place(struct work *w, const char *path, bool below)
{
    struct hf_span p = hf_span_z(path), rest;
    struct line l;
    if (mountinfo(w->proc, &w->text) < 0)
        return;
    rest = hf_buf_span(&w->text);
    while (next_line(&rest, &w->point, &l)) {
        char z[PATH_MAX];
        bool root, at = hf_span_eq(l.point, p);
        bool under = p.n == 1 || (hf_span_starts(l.point, p) && l.point.n > p.n && l.point.p[p.n] == '/');
        if ((!at && !(under && below)) || l.point.n >= sizeof z || memchr(l.point.p, 0, l.point.n))
            continue;
        memcpy(z, l.point.p, l.point.n);
        z[l.point.n] = 0;
        if (!has_room(w, z) || mount_of(z, &root) != l.id) /* another one lies over it */
            continue;
        if (l.ro) {
            add(w, z, l.id, HF_RO_WAS);
            continue;
        }
        int rc = set_mount(z, true);
        if (rc < 0)
            not_held(w, "%.60s: %.60s", z, strerror(-rc));
        else
            add(w, z, l.id, HF_RO_IN_PLACE);
    }
}

static bool is_shared(struct work *w, uint64_t id)
{
    struct hf_span rest;
    struct line l;
    if (mountinfo(w->proc, &w->text) < 0)
        return true;
    rest = hf_buf_span(&w->text);
    while (next_line(&rest, &w->point, &l))
        if (l.id == id)
            return l.shared;
    return true;
}

/* A read-only copy of its mount, and of all below it, over the path: at once where the kernel can (5.12), so that it is never writable. */
static int over(const char *path)
{
    struct mount_attr a = {.attr_set = MOUNT_ATTR_RDONLY, .propagation = 1ul << 18 /* MS_PRIVATE */};
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | O_CLOEXEC | 0x8000u /* AT_RECURSIVE */);
    if (fd < 0)
        return -errno;
    int rc = (int)syscall(SYS_mount_setattr, fd, "", 0x1000u | 0x8000u /* AT_EMPTY_PATH, AT_RECURSIVE */, &a, sizeof a);
    bool later = rc < 0 && errno == ENOSYS;
    if (rc == 0 || later)
        rc = (int)syscall(SYS_move_mount, fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
    rc = rc < 0 ? -errno : 0;
    close(fd);
    return rc == 0 && later ? set_mount(path, true) : rc; /* before 5.12 what is mounted below stays as it is: in_place makes it so */
}

static bool known(struct work *w, const char *path, uint64_t id)
{
    for (size_t i = 0; w->old && w->old->mnt_ns == w->ro->mnt_ns && i < w->old->n; i++)
        if (w->old->v[i].mount == id && !strcmp(w->old->v[i].path, path) && is_ro(path)) {
            w->ro->v[w->ro->n++] = w->old->v[i];
            return true;
        }
    return false;
}

static void hold(struct work *w, const char *path, bool below)
{
    bool root = false;
    if (w->look) {
        look_at(w, path, below);
        return;
    }
    uint64_t id = mount_of(path, &root);
    if (!id || !has_room(w, path)) {
        if (!id)
            not_held(w, "%.100s: %.40s", path, strerror(errno));
        return;
    }
    for (size_t i = 0; i < w->ro->n; i++) /* two patterns of one path */
        if (w->ro->v[i].mount == id && !strcmp(w->ro->v[i].path, path))
            return;
    if (known(w, path, id))
        return;
    if (root) {
        in_place(w, path, below);
        return;
    }
    if (is_shared(w, id)) {
        not_held(w, "%.100s lies on a mount that is shared with the host", path);
        return;
    }
    int rc = over(path);
    id = mount_of(path, &root);
    if (rc < 0 || !is_ro(path)) {
        not_held(w, "%.100s: %.40s", path, rc < 0 ? strerror(-rc) : "can be written");
        return;
    }
    add(w, path, id, HF_RO_OVER);
    if (below)
        in_place(w, path, true); /* on older kernels; else they are read-only already */
}

/* A path as it is: links resolved, so that what is recorded is where the mount lies. */
static void hold_real(struct work *w, const char *path, bool folder)
{
    char real[PATH_MAX];
    struct stat st;
    if (!realpath(path, real) || stat(real, &st) < 0) {
        not_held(w, "%.100s: %.40s", path, strerror(errno));
        return;
    }
    if (S_ISDIR(st.st_mode) && !folder) {
        not_held(w, "%.80s is a folder: what is below is not meant without / at the end", path);
        return;
    }
    hold(w, real, folder);
}

static void each_match(struct work *w, struct hf_span pattern, bool folder)
{
    char text[HF_RO_PATH];
    glob_t g = {.gl_pathc = 0};
    size_t n = 0;
    for (size_t i = 0; i < pattern.n && n + 2 < sizeof text; i++) {
        if (strchr("?[]\\{}~", pattern.p[i]) && pattern.p[i])
            text[n++] = '\\';
        text[n++] = pattern.p[i];
    }
    text[n] = 0;
    if (glob(text, GLOB_NOSORT, NULL, &g) == 0)
        for (size_t i = 0; i < g.gl_pathc && w->ro->n < HF_RO_MAX; i++)
            hold_real(w, g.gl_pathv[i], folder);
    globfree(&g);
}

static void arm_in(struct work *w, const struct hf_prot_spans *patterns)
{
    for (size_t i = 0; i < patterns->n; i++) {
        struct hf_span p;
        char z[HF_RO_PATH];
        bool folder = is_folder(patterns->v[i], &p);
        if (p.n >= sizeof z || hf_span_search(p, HF_S("**")) != SIZE_MAX) {
            not_held(w, "%.*s: ** in the middle is not held", (int)HF_MIN(p.n, (size_t)80), p.p);
            continue;
        }
        if (hf_span_find(p, '*') != SIZE_MAX) {
            each_match(w, p, folder);
            continue;
        }
        memcpy(z, p.p, p.n);
        z[p.n] = 0;
        hold_real(w, z, folder);
    }
}

static void release_in(const struct hf_ro *ro)
{
    for (size_t i = ro->n; i-- > 0;) {
        const struct hf_ro_path *r = &ro->v[i];
        bool root = false;
        if (r->ours == HF_RO_WAS || mount_of(r->path, &root) != r->mount)
            continue;
        if (r->ours == HF_RO_OVER)
            (void)umount2(r->path, MNT_DETACH | UMOUNT_NOFOLLOW);
        else
            (void)set_mount(r->path, false);
    }
}

static int undo_in(struct work *w, const struct hf_ro_ids *before)
{
    int done = 0;
    for (unsigned again = 0; again < 64; again++) { /* one after the other: what lies over another first */
        struct line l;
        char z[PATH_MAX] = "";
        if (mountinfo(w->proc, &w->text) < 0)
            break;
        struct hf_span rest = hf_buf_span(&w->text);
        while (next_line(&rest, &w->point, &l)) {
            bool was = l.point.n >= sizeof z || memchr(l.point.p, 0, l.point.n);
            for (size_t i = 0; i < before->n && !was; i++)
                was = before->v[i] == l.id;
            if (was)
                continue;
            memcpy(z, l.point.p, l.point.n); /* the last is the topmost */
            z[l.point.n] = 0;
        }
        if (!z[0] || umount2(z, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
            break;
        done++;
    }
    return done;
}

/* ---- outside ---- */

enum task { ARM, LOOK, RELEASE, UNDO };
struct order {
    enum task task;
    uint32_t pid;
    struct hf_ro *ro; /* ARM, LOOK: filled */
    const struct hf_prot_spans *patterns;
    const struct hf_ro *old; /* ARM, RELEASE */
    const struct hf_ro_ids *before;
};

static bool fills(const struct order *o)
{
    return o->task == ARM || o->task == LOOK;
}

static _Noreturn void child(const struct order *o, int ns, int proc, int out)
{
    struct work w = {.look = o->task == LOOK, .proc = proc, .ro = o->ro, .old = o->old};
    int rc = 0;
    hf_buf_init(&w.text, INFO_MAX);
    hf_buf_init(&w.point, PATH_MAX);
    signal(SIGINT, SIG_IGN);
#ifndef HF_TORTURE /* the address sanitizer's own memory would count too */
    (void)setrlimit(RLIMIT_DATA, &(struct rlimit){MEMORY_MAX, MEMORY_MAX});
#endif
    if (setns(ns, CLONE_NEWNS) < 0)
        rc = -errno;
    else if (fills(o))
        arm_in(&w, o->patterns);
    else if (o->task == RELEASE)
        release_in(o->old);
    else
        rc = undo_in(&w, o->before);
    if (write(out, &rc, sizeof rc) == sizeof rc && fills(o) && rc == 0) {
        const char *at = (const char *)o->ro;
        for (size_t left = sizeof *o->ro; left;) {
            ssize_t n = write(out, at, left);
            if (n <= 0)
                _exit(1);
            at += n;
            left -= (size_t)n;
        }
    }
    _exit(0);
}

static bool read_all(int fd, void *to, size_t n)
{
    struct pollfd p = {fd, POLLIN, 0};
    for (char *at = to; n;) {
        ssize_t got = poll(&p, 1, WAIT_MS) > 0 ? read(fd, at, n) : -1;
        if (got <= 0)
            return false;
        at += got;
        n -= (size_t)got;
    }
    return true;
}

static int in_namespace(const struct order *o)
{
    char path[64];
    int pipes[2] = {-1, -1}, rc = -ETIMEDOUT;
    snprintf(path, sizeof path, "/proc/%u/ns/mnt", o->pid);
    hf_autoclose int ns = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%u", o->pid);
    hf_autoclose int proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (ns < 0 || proc < 0 || pipe2(pipes, O_CLOEXEC) < 0)
        return -ESRCH;
    pid_t pid = fork();
    if (pid == 0) {
        close(pipes[0]);
        child(o, ns, proc, pipes[1]);
    }
    close(pipes[1]);
    bool whole = pid > 0 && read_all(pipes[0], &rc, sizeof rc) && (!fills(o) || rc < 0 || read_all(pipes[0], o->ro, sizeof *o->ro));
    close(pipes[0]);
    if (pid > 0 && !whole)
        kill(pid, SIGKILL);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return whole ? rc : rc < 0 ? rc : -ETIMEDOUT;
}

/* The host's mounts are nobody's to change here, whoever runs in its namespace. */
static bool is_ours(uint64_t ns)
{
    return ns == ns_of((uint32_t)getpid()) || ns == ns_of(1);
}

static int ask(enum task task, struct hf_ro *ret, uint32_t pid, const struct hf_prot_spans *patterns, const struct hf_ro *old, struct hf_err *err)
{
    memset(ret, 0, sizeof *ret);
    uint64_t ns = ret->mnt_ns = ns_of(pid);
    if (!ns || is_ours(ns))
        return hf_fail(err, -ESRCH, "the mount namespace of the container is not there");
    struct order o = {.task = task, .pid = pid, .ro = ret, .patterns = patterns, .old = old};
    int rc = in_namespace(&o);
    if (rc < 0) {
        memset(ret, 0, sizeof *ret);
        return hf_fail(err, rc, "paths could not be %s in the container: %s", task == LOOK ? "found" : "made read-only", strerror(-rc));
    }
    ret->mnt_ns = ns;
    ret->n = HF_MIN(ret->n, (size_t)HF_RO_MAX);
    ret->n_files = HF_MIN(ret->n_files, (size_t)HF_RO_FILES);
    return 0;
}

int hf_ro_arm(struct hf_ro *ret, uint32_t pid, const struct hf_prot_spans *patterns, const struct hf_ro *old, struct hf_err *err)
{
    return ask(ARM, ret, pid, patterns, old, err);
}

int hf_ro_look(struct hf_ro *ret, uint32_t pid, const struct hf_prot_spans *patterns, struct hf_err *err)
{
    return ask(LOOK, ret, pid, patterns, NULL, err);
}

int hf_ro_state(const struct hf_ro *ro, uint32_t pid)
{
    char path[64];
    hf_autobuf text = HF_BUF_INIT(INFO_MAX), point = HF_BUF_INIT(PATH_MAX);
    bool found[HF_RO_MAX] = {false};
    size_t n = 0;
    struct line l;
    if (!ro->mnt_ns || ns_of(pid) != ro->mnt_ns)
        return -ESRCH;
    snprintf(path, sizeof path, "/proc/%u", pid);
    hf_autoclose int proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0 || mountinfo(proc, &text) < 0)
        return -ESRCH;
    for (struct hf_span rest = hf_buf_span(&text); next_line(&rest, &point, &l);)
        for (size_t i = 0; i < ro->n; i++)
            if (ro->v[i].mount == l.id && !found[i] && l.ro && hf_span_eqz(l.point, ro->v[i].path)) {
                found[i] = true;
                n++;
            }
    return n == ro->n;
}

int hf_ro_release(const struct hf_ro *ro, uint32_t pid)
{
    struct order o = {.task = RELEASE, .pid = pid, .old = ro};
    return !ro->mnt_ns || ns_of(pid) != ro->mnt_ns ? -ESRCH : in_namespace(&o);
}

int hf_ro_ids(struct hf_ro_ids *ret, uint32_t pid)
{
    char path[64];
    hf_autobuf text = HF_BUF_INIT(INFO_MAX), point = HF_BUF_INIT(PATH_MAX);
    struct line l;
    uint64_t ns = ns_of(pid);
    snprintf(path, sizeof path, "/proc/%u", pid);
    hf_autoclose int proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int rc = proc < 0 || !ns || is_ours(ns) ? -ESRCH : mountinfo(proc, &text);
    if (rc < 0)
        return rc;
    *ret = (struct hf_ro_ids){.mnt_ns = ns};
    for (struct hf_span rest = hf_buf_span(&text); next_line(&rest, &point, &l);) {
        if (ret->n == HF_RO_IDS)
            return -E2BIG; /* then nothing is undone: better than to take away what was there */
        ret->v[ret->n++] = l.id;
    }
    return 0;
}

int hf_ro_undo(const struct hf_ro_ids *before, uint32_t pid)
{
    struct order o = {.task = UNDO, .pid = pid, .before = before};
    return !before->mnt_ns || ns_of(pid) != before->mnt_ns || is_ours(before->mnt_ns) ? -ESRCH : in_namespace(&o);
}
