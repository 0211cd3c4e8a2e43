// SPDX-License-Identifier: Apache-2.0
/* The thread that finds the watched objects and marks them. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/fs.h"
#include "base/mem.h"
#include "sensor/files/files-internal.h"
#include "sensor/frames.h"
#include "sensor/policy-map.h"

#define HANDLE_FID 0x200 /* AT_HANDLE_FID (Linux 6.5): a handle for comparing, where none for opening can be had */
#define ENTRIES_MAX 8192u /* of a directory that is looked through */
#define PASSWD_MAX 65536u
#define RETRY_NS 4000000ull /* then twice as long each time */
#define TRIES_MAX 4u
#ifndef FAN_RENAME
#define FAN_RENAME 0x10000000
#endif

struct visit {
    struct hf_files *f;
    uint64_t root;
    int root_fd;
    const struct hf_homes *homes;
    const struct hf_watch *row;
    struct hf_span follows; /* an event led here: what is in this directory, if it is one, and in others that were not known, was made since; empty: no event */
    struct hf_buf fresh;    /* those directories, each with a NUL; looked through when they have all their marks */
    struct hf_err err; /* of the first mark that failed */
};

void hf_object_key(struct hf_object_key *k, const void *fsid, int type, const void *handle, size_t n)
{
    uint32_t t = (uint32_t)type;
    n = HF_MIN(n, HF_KEY_MAX - 12u);
    memcpy(k->bytes, fsid, 8);
    memcpy(k->bytes + 8, &t, 4);
    memcpy(k->bytes + 12, handle, n);
    k->n = (uint16_t)(12 + n);
}

static bool key_of(int fd, struct hf_object_key *ret, uint32_t *ret_magic)
{
    union {
        struct file_handle h;
        char room[sizeof(struct file_handle) + 128];
    } u;
    struct statfs fs;
    int mount;
    u.h.handle_bytes = 128;
    int rc = name_to_handle_at(fd, "", &u.h, &mount, AT_EMPTY_PATH | HANDLE_FID);
    if (rc < 0 && errno == EINVAL) {
        u.h.handle_bytes = 128;
        rc = name_to_handle_at(fd, "", &u.h, &mount, AT_EMPTY_PATH);
    }
    if (rc < 0 || fstatfs(fd, &fs) < 0)
        return false;
    *ret_magic = (uint32_t)fs.f_type;
    hf_object_key(ret, &fs.f_fsid, u.h.handle_type, u.h.f_handle, u.h.handle_bytes);
    return true;
}

static uint64_t mask_of(const struct hf_files *f, const struct hf_watch *w, unsigned what, bool dir)
{
    bool each = (what & HF_W_EACH) || w->watch_class == HF_WATCH_PERSISTENCE;
    uint64_t m = 0, names = f->has_rename ? FAN_CREATE | FAN_DELETE | FAN_RENAME : FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO;
    if (what & HF_W_READ)
        m |= FAN_OPEN;
    if (what & HF_W_WRITE)
        m |= FAN_CLOSE_WRITE | (each ? FAN_MODIFY : 0);
    if (what & HF_W_ATTR)
        m |= FAN_ATTRIB;
    if (dir)
        m |= FAN_ONDIR | (m ? FAN_EVENT_ON_CHILD : 0) | (what & HF_W_NAMES ? names : 0);
    return m;
}

static unsigned group_of(const struct hf_watch *w, bool dir)
{
    switch (w->watch_class) {
    case HF_WATCH_CREDENTIAL:
    case HF_WATCH_ESCAPE:
    case HF_WATCH_DEVICE:
    case HF_WATCH_SOCKET:
        return HF_GROUP_CRITICAL;
    default:
        return dir ? HF_GROUP_BULK : HF_GROUP_CRITICAL;
    }
}

/* The object of the key, made when it is new; NULL when there is no room (told) or the root is gone.  Lock held. */
static struct hf_object *object(struct visit *v, const struct hf_object_key *key, struct hf_span path, const struct stat *st, uint32_t magic)
{
    struct hf_files *f = v->f;
    struct hf_object *o = hf_files_object(f, key);
    struct hf_root *r = hf_files_root(f, v->root);
    if (o || !r)
        return o;
    if (r->objects >= HF_ROOT_OBJECTS_MAX || f->n_objects >= HF_OBJECTS_MAX || path.n > 4095) {
        r->full = true;
        return NULL;
    }
    o = calloc(1, sizeof *o + key->n + path.n);
    if (!o)
        return NULL;
    *o = (struct hf_object){.root = v->root, .inode = st->st_ino, .mode = st->st_mode, .uid = st->st_uid, .gid = st->st_gid, .nlink = (uint32_t)st->st_nlink,
            .fs_magic = magic, .key_n = key->n, .path_n = (uint16_t)path.n, .dev = (uint32_t)(major(st->st_dev) << 20 | minor(st->st_dev))};
    memcpy(o->text, key->bytes, key->n);
    memcpy(o->text + key->n, path.p, path.n);
    size_t at = hf_span_hash(hf_span(o->text, o->key_n)) % HF_OBJECT_BUCKETS;
    o->next = f->buckets[at];
    f->buckets[at] = o;
    f->n_objects++;
    r->objects++;
    return o;
}

static int open_at(const struct visit *v, struct hf_span path, int flags)
{
    struct hf_err ignored = HF_ERR_INIT;
    return hf_open_in_root(v->root_fd, path, flags, &ignored);
}

typedef void (*each_fn)(struct visit *v, struct hf_buf *path, struct hf_span name, struct hf_span rest, unsigned depth);

static void each_entry(struct visit *v, struct hf_buf *path, bool only_dirs, struct hf_span pattern, struct hf_span rest, unsigned depth, each_fn fn)
{
    int fd = open_at(v, hf_buf_span(path), O_RDONLY | O_DIRECTORY);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    unsigned n = 0;
    if (!d && fd >= 0)
        close(fd);
    for (struct dirent *e; d && n < ENTRIES_MAX && (e = readdir(d)); n++) {
        struct hf_span name = hf_span_z(e->d_name);
        if (hf_span_eqz(name, ".") || hf_span_eqz(name, "..") || (only_dirs && e->d_type != DT_DIR && e->d_type != DT_UNKNOWN) || !hf_watch_glob(pattern, name))
            continue;
        size_t before = path->n;
        hf_buf_addc(path, '/');
        hf_buf_adds(path, name);
        if (hf_buf_ok(path))
            fn(v, path, name, rest, depth);
        path->n = before;
        path->failed = false;
    }
    if (d)
        closedir(d);
}

/* Names that are in a directory before its mark is. */
static void found(struct visit *v, struct hf_buf *path, struct hf_span name, struct hf_span rest, unsigned depth)
{
    struct hf_files *f = v->f;
    (void)name;
    (void)rest;
    (void)depth;
    pthread_mutex_lock(&f->lock);
    if (f->n_found < HF_FOUND_MAX && path->n < sizeof f->found[0].path) {
        struct hf_found *one = &f->found[f->n_found++];
        *one = (struct hf_found){.root = v->root};
        memcpy(one->path, path->p, path->n);
    } else {
        f->lost_jobs++;
    }
    pthread_mutex_unlock(&f->lock);
}

/* The kernel half looks for inodes; a set that only grows while the object is known.  Lock held. */
static void tell_kernel(struct hf_files *f, struct hf_object *o, const struct hf_watch *w, unsigned what)
{
    struct hf_file_watch all = {.what = o->in_kernel.what | what, .watch = o->in_kernel.watch};
    if (what == w->what)
        all.watch = all.watch ? all.watch : w->watch_class; /* else it only leads to others */
    if (f->map_fd < 0 || (all.what == o->in_kernel.what && all.watch == o->in_kernel.watch))
        return;
    const struct hf_file_key key = {.inode = o->inode, .dev = o->dev};
    if (bpf_map_update_elem(f->map_fd, &key, &all, BPF_ANY) < 0) {
        if (!f->trouble[0])
            snprintf(f->trouble, sizeof f->trouble, "not all files can be watched: %s", strerror(errno));
        return;
    }
    uint32_t bit = hf_file_bit(o->inode);
    f->bits[bit / 64] |= 1ull << (bit % 64);
    o->in_kernel = all;
}

static bool is_below(struct hf_span path, struct hf_span dir)
{
    return hf_span_starts(path, dir) && (path.n == dir.n || path.p[dir.n] == '/');
}

/* /dev/null in the place of a file that runtimes hide this way (/proc/kcore): every use of the node itself would be told as one of that file. */
static bool is_laid_over(const struct stat *st, const struct hf_watch *w)
{
    return w->watch_class != HF_WATCH_DEVICE && S_ISCHR(st->st_mode) && hf_usual_device(true, major(st->st_rdev), minor(st->st_rdev));
}

/* Marks what fd is; known objects get what is missing. */
static void mark(struct visit *v, int fd, const struct stat *st, struct hf_span path, unsigned what)
{
    struct hf_object_key key;
    uint32_t magic;
    bool dir = S_ISDIR(st->st_mode);
    unsigned g = group_of(v->row, dir);
    uint64_t mask = mask_of(v->f, v->row, what, dir);
    char name[40];
    if (!mask || is_laid_over(st, v->row))
        return;
    if (!v->f->fanotify || !key_of(fd, &key, &magic)) { /* no handles: the inode's number has to do */
        magic = 0;
        hf_object_key(&key, "inode..", -1, (const uint64_t[]){st->st_dev, st->st_ino}, 16);
    }
    pthread_mutex_lock(&v->f->lock);
    bool known = hf_files_object(v->f, &key) != NULL;
    struct hf_object *o = object(v, &key, path.n ? path : HF_S("/"), st, magic);
    /* A look at the whole root may have come before the event did. */
    bool fresh = dir && v->follows.n && (!known || (o && !o->followed && is_below(path, v->follows)));
    bool missing = o && v->f->fanotify && (mask & ~o->mask[g]);
    if (o) {
        o->mask[g] |= mask;
        o->followed |= fresh;
        tell_kernel(v->f, o, v->row, what);
    }
    pthread_mutex_unlock(&v->f->lock);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    if (missing && fanotify_mark(v->f->fd[g], FAN_MARK_ADD, mask, AT_FDCWD, name) < 0 && !v->err.msg[0])
        (void)hf_fail(&v->err, -errno, "%.*s cannot be watched", HF_SPAN_ARG(path));
    if (fresh) {
        hf_buf_adds(&v->fresh, path);
        hf_buf_addc(&v->fresh, 0);
    }
}

/* What is in the new directories by now: made before their marks were there. */
static void look_through(struct visit *v)
{
    struct hf_span rest = hf_buf_span(&v->fresh), path;
    uint64_t one = 1;
    hf_autobuf text = HF_BUF_INIT(4096);
    while (hf_span_cut(&rest, 0, &path)) {
        hf_buf_clear(&text);
        hf_buf_adds(&text, path);
        each_entry(v, &text, false, HF_S("*"), hf_span(NULL, 0), 0, found);
    }
    if (v->fresh.n && write(v->f->wake, &one, sizeof one) < 0)
        return; /* full: it is readable already */
}

/* The nearest directory that is there: when the rest is made, this is where it shows. */
static void lead(struct visit *v, struct hf_span path)
{
    struct stat st;
    while (path.n) {
        path = hf_span_dirname(path);
        hf_autoclose int fd = open_at(v, path, O_PATH | O_DIRECTORY);
        if (fd < 0)
            continue;
        if (fstat(fd, &st) == 0)
            mark(v, fd, &st, path, HF_W_NAMES);
        return;
    }
}

static void tree(struct visit *v, struct hf_buf *path, struct hf_span name, struct hf_span rest, unsigned depth)
{
    struct stat st;
    hf_autoclose int fd = open_at(v, hf_buf_span(path), O_PATH | O_DIRECTORY | O_NOFOLLOW);
    (void)name;
    (void)rest;
    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    mark(v, fd, &st, hf_buf_span(path), v->row->what);
    if (depth > 0)
        each_entry(v, path, true, HF_S("*"), hf_span(NULL, 0), depth - 1, tree);
}

/* The pattern's end is reached: what is there? */
static void reach(struct visit *v, struct hf_buf *path)
{
    struct stat st;
    size_t n = strlen(v->row->pattern);
    bool dir_row = v->row->pattern[n - 1] == '/';
    hf_autoclose int fd = open_at(v, hf_buf_span(path), O_PATH);
    if (fd < 0) {
        lead(v, hf_buf_span(path));
        fd = open_at(v, hf_buf_span(path), O_PATH); /* made meanwhile? */
    }
    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    if (!dir_row || path->n)
        lead(v, hf_buf_span(path)); /* replaced, or removed and made again */
    if (S_ISDIR(st.st_mode) != dir_row)
        return;
    mark(v, fd, &st, hf_buf_span(path), v->row->what);
    if (dir_row && v->row->depth > 0)
        each_entry(v, path, true, HF_S("*"), hf_span(NULL, 0), v->row->depth - 1u, tree);
}

static void expand(struct visit *v, struct hf_buf *path, struct hf_span name, struct hf_span rest, unsigned depth)
{
    size_t before = path->n;
    struct hf_span part;
    (void)name;
    while (hf_span_cut(&rest, '/', &part)) {
        if (hf_span_find(part, '*') != SIZE_MAX) {
            size_t n = path->n; /* where entries may appear later */
            hf_buf_addz(path, "/*");
            lead(v, hf_buf_span(path));
            path->n = n;
            each_entry(v, path, false, part, rest, depth, expand);
            path->n = before;
            return;
        }
        if (!part.n)
            continue;
        hf_buf_addc(path, '/');
        hf_buf_adds(path, part);
    }
    if (hf_buf_ok(path))
        reach(v, path);
    path->n = before;
}

static void row(struct visit *v)
{
    hf_autobuf path = HF_BUF_INIT(4096);
    struct hf_span pattern = hf_span_z(v->row->pattern), home;
    if (hf_span_starts(pattern, HF_S("/proc/*")))
        return; /* processes come and go */
    if (pattern.p[0] != '~') {
        expand(v, &path, hf_span(NULL, 0), pattern, 0);
        return;
    }
    for (size_t at = 0; hf_homes_next(v->homes, &at, &home);) {
        hf_buf_clear(&path);
        hf_buf_adds(&path, home);
        expand(v, &path, hf_span(NULL, 0), hf_span_from(pattern, 2), 0);
    }
}

/* Homes from the root's own passwd file and from /home. */
static void find_homes(struct visit *v, struct hf_homes *h)
{
    struct hf_err ignored = HF_ERR_INIT;
    hf_autobuf text = HF_BUF_INIT(PASSWD_MAX);
    hf_homes_add(h, HF_S("/root"));
    hf_autoclose int fd = open_at(v, HF_S("/etc/passwd"), O_RDONLY);
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && hf_read_fd(fd, &text, &ignored) == 0)
        hf_homes_passwd(h, hf_buf_span(&text));
    int home = open_at(v, HF_S("/home"), O_RDONLY | O_DIRECTORY);
    DIR *d = home >= 0 ? fdopendir(home) : NULL;
    if (!d && home >= 0)
        close(home);
    unsigned n = 0;
    for (struct dirent *e; d && n < HF_HOMES_MAX && (e = readdir(d)); n++)
        if (e->d_name[0] != '.') {
            char path[300];
            snprintf(path, sizeof path, "/home/%s", e->d_name);
            hf_homes_add(h, hf_span_z(path));
        }
    if (d)
        closedir(d);
}

/* Of a process that has not changed its root yet, or whose number another one has got meanwhile. */
static bool is_host_root(int fd)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat("/", &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int hf_files_open_root(const char *path, uint32_t pid)
{
    char name[40];
    snprintf(name, sizeof name, "/proc/%u/root", pid);
    int fd = pid ? open(name, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0 && is_host_root(fd)) /* never a container's */
        hf_closep(&fd);
    if (fd < 0 && path)
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static void work(struct hf_files *f, const struct hf_job *job)
{
    struct visit v = {.f = f, .root = job->root, .follows = hf_span_z(job->path), .fresh = HF_BUF_INIT(1u << 20), .err = HF_ERR_INIT};
    struct hf_homes homes;
    char *path = NULL;
    hf_homes_init(&homes);
    pthread_mutex_lock(&f->lock);
    struct hf_root *r = hf_files_root(f, job->root);
    bool known = r != NULL, has_homes = known && r->has_homes;
    if (known && r->path)
        path = strdup(r->path);
    if (has_homes)
        v.homes = &r->homes;
    if (known)
        r->users++; /* it stays, even when it is gone */
    pthread_mutex_unlock(&f->lock);
    v.root_fd = known && (path || job->pid) ? hf_files_open_root(path, job->pid) : -1;
    free(path);
    if (v.root_fd >= 0) {
        if (!has_homes) {
            find_homes(&v, &homes);
            pthread_mutex_lock(&f->lock);
            if (!r->has_homes) {
                r->homes = homes;
                r->has_homes = true;
                hf_homes_init(&homes);
            }
            v.homes = &r->homes;
            pthread_mutex_unlock(&f->lock);
        }
        unsigned where = job->root ? HF_W_CONTAINER : HF_W_HOST;
        for (size_t i = 0; v.homes && (v.row = hf_watch_at(f->watch, i)); i++)
            if ((v.row->where & where) && (!v.follows.n || hf_watch_fit(v.row, v.homes, v.follows) != HF_FIT_NO))
                row(&v);
        look_through(&v);
    }
    hf_buf_done(&v.fresh);
    struct hf_span awaited = v.follows;
    hf_autoclose int made = v.root_fd >= 0 && awaited.n ? open_at(&v, awaited, O_PATH | O_NOFOLLOW) : -1;
    if (made < 0 && v.root_fd >= 0 && awaited.n && job->due_ns && job->tries < TRIES_MAX) { /* announced by a hook, not there yet */
        pthread_mutex_lock(&f->lock);
        hf_files_ask(f, job->root, job->pid, awaited, hf_boot_ns() + (RETRY_NS << job->tries), job->tries + 1);
        pthread_mutex_unlock(&f->lock);
    }
    if (v.root_fd >= 0)
        close(v.root_fd);
    hf_homes_done(&homes);
    pthread_mutex_lock(&f->lock);
    if (v.err.msg[0] && !f->trouble[0])
        snprintf(f->trouble, sizeof f->trouble, "%.*s", (int)sizeof f->trouble - 1, v.err.msg);
    if (known && --r->users == 0 && r->gone)
        hf_root_free(r);
    pthread_mutex_unlock(&f->lock);
}

static void *thread(void *arg)
{
    struct hf_files *f = arg;
    pthread_mutex_lock(&f->lock);
    uint64_t mine = f->generation;
    while (!f->stop && f->generation == mine) {
        if (!f->n_jobs) {
            pthread_cond_wait(&f->work, &f->lock);
            continue;
        }
        uint64_t due = f->jobs->due_ns, now = hf_boot_ns();
        if (due > now) { /* those behind it can wait as long */
            struct timespec until;
            clock_gettime(CLOCK_MONOTONIC, &until);
            uint64_t ns = (uint64_t)until.tv_nsec + (due - now);
            until.tv_sec += (time_t)(ns / 1000000000u);
            until.tv_nsec = (long)(ns % 1000000000u);
            pthread_cond_clockwait(&f->work, &f->lock, CLOCK_MONOTONIC, &until);
            continue;
        }
        hf_autofree struct hf_job *job = f->jobs;
        f->jobs = job->next;
        f->last_job = f->jobs ? f->last_job : &f->jobs;
        f->n_jobs--;
        f->busy_since_ns = hf_boot_ns();
        f->busy_cpu_ns = pthread_getcpuclockid(pthread_self(), &f->busy_clock) == 0 ? hf_files_cpu_ns(f) : 0;
        pthread_mutex_unlock(&f->lock);
        work(f, job);
        pthread_mutex_lock(&f->lock);
        if (f->generation == mine)
            f->busy_since_ns = 0;
    }
    f->threads--;
    pthread_cond_broadcast(&f->work);
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

int hf_marks_start(struct hf_files *f)
{
    pthread_t t;
    pthread_attr_t a;
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&a, 1u << 20);
    f->threads++;
    int rc = pthread_create(&t, &a, thread, f);
    pthread_attr_destroy(&a);
    if (rc)
        f->threads--;
    return -rc;
}
