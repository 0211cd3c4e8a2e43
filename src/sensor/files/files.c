// SPDX-License-Identifier: Apache-2.0
#include "sensor/files/files.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/fs.h"
#include "base/mem.h"
#include "event/event.h"
#include "sensor/files/files-internal.h"
#include "sensor/frames.h"

#define RECENT 1024u             /* power of two */
#define RECENT_NS 1000000000ull
#define STUCK_NS 3000000000ull
#define THREADS_MAX 8u
#define BUDGET_PER_S 2000u       /* events of one container about what matters less */
#define BUDGET_BURST 10000u
#define AGAIN_NS 1000000000ull   /* looked through again at most this often for mounts */
#define LINGER_NS 2000000000ull     /* after the end of a container, for events that wait */
#define SOON_NS 1000000ull        /* until what a hook announced is there; looked for again if not */
#define FDS_MAX 256u             /* descriptors of a process that are looked at */
#define FUSE_MAGIC 0x65735546u
#define DEVPTS_MAGIC 0x1cd1u
#ifndef FAN_RENAME
#define FAN_RENAME 0x10000000
#endif
#ifndef FAN_REPORT_TARGET_FID
#define FAN_REPORT_TARGET_FID 0x00001000
#endif
#define INFO_OLD_NAME 10 /* FAN_EVENT_INFO_TYPE_OLD_DFID_NAME */
#define INFO_NEW_NAME 12

/* ---- life ---- */

static int group_open(bool *ret_rename)
{
    const unsigned base = FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_MARKS | FAN_REPORT_FID | FAN_REPORT_DIR_FID | FAN_REPORT_NAME;
    int fd = fanotify_init(base | FAN_REPORT_TARGET_FID, O_RDONLY | O_CLOEXEC | O_LARGEFILE);
    *ret_rename = fd >= 0;
    if (fd < 0 && errno == EINVAL)
        fd = fanotify_init(base, O_RDONLY | O_CLOEXEC | O_LARGEFILE);
    return fd < 0 ? -errno : fd;
}

int hf_files_probe(char why[160])
{
    bool rename;
    int fd = group_open(&rename);
    if (fd < 0) {
        snprintf(why, 160, "fanotify with names: %s", strerror(-fd));
        return fd;
    }
    int rc = fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN | FAN_CREATE | FAN_ONDIR | FAN_EVENT_ON_CHILD, AT_FDCWD, "/etc") < 0 ? -errno : 0;
    if (rc < 0)
        snprintf(why, 160, "fanotify cannot mark /etc: %s", strerror(-rc));
    close(fd);
    return rc;
}

static int wait_on(struct hf_files *f, int fd, struct hf_err *err)
{
    struct epoll_event e = {.events = EPOLLIN};
    return fd < 0 || epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? hf_fail(err, -errno, "the watched files could not be waited for: %s", strerror(errno)) : 0;
}

int hf_files_new(struct hf_files **ret, const struct hf_files_opts *o, struct hf_err *err)
{
    struct hf_files *f = calloc(1, sizeof *f);
    if (!f) {
        hf_watch_list_free(o->watch);
        return hf_fail(err, -ENOMEM, "no memory for the watched files");
    }
    f->watch = o->watch;
    f->tell = o->tell;
    f->ctx = o->ctx;
    f->fanotify = o->fanotify;
    f->devices = o->devices;
    f->map_fd = o->map_fd;
    f->bits = o->bits;
    f->fd[0] = f->fd[1] = f->epoll = f->wake = -1;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->work, NULL);
    hf_buf_init(&f->record, HF_WIRE_MAX);
    f->buckets = calloc(HF_OBJECT_BUCKETS, sizeof *f->buckets);
    f->last_job = &f->jobs;
    f->recent = calloc(RECENT, sizeof *f->recent);
    f->found = calloc(HF_FOUND_MAX, sizeof *f->found);
    int rc = f->buckets && f->recent && f->found ? (f->watch ? 0 : hf_watch_list_new(&f->watch, err)) : hf_fail(err, -ENOMEM, "no memory for the watched files");
    f->epoll = rc == 0 ? epoll_create1(EPOLL_CLOEXEC) : -1;
    for (unsigned g = 0; g < HF_GROUPS && rc == 0 && f->fanotify; g++) {
        f->fd[g] = group_open(&f->has_rename);
        if (f->fd[g] < 0)
            rc = hf_fail(err, f->fd[g], "files cannot be watched by fanotify");
    }
    if (rc == 0 && f->fanotify && (rc = hf_reader_new(&f->reader, f->fd, HF_GROUPS, err)) == 0)
        rc = wait_on(f, hf_reader_fd(f->reader), err);
    f->wake = rc == 0 ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    rc = rc < 0 ? rc : wait_on(f, f->wake, err);
    if (rc == 0 && (rc = hf_marks_start(f)) < 0)
        (void)hf_fail(err, rc, "no thread for the watched files");
    if (rc < 0) {
        hf_files_free(f);
        return rc;
    }
    hf_files_container(f, 0, HF_S("rootfs\0/\0"), true); /* the host is the first root */
    *ret = f;
    return 0;
}

void hf_root_free(struct hf_root *r)
{
    free(r->path);
    hf_homes_done(&r->homes);
    free(r);
}

void hf_files_free(struct hf_files *f)
{
    if (!f)
        return;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    pthread_cond_broadcast(&f->work);
    int rc = 0;
    while (f->threads && rc == 0)
        rc = pthread_cond_timedwait(&f->work, &f->lock, &until);
    bool left = f->threads > 0;
    pthread_mutex_unlock(&f->lock);
    hf_closep(&f->epoll);
    hf_reader_free(hf_take(f->reader));
    if (left)
        return; /* a file system does not answer a thread, which still looks at this memory */
    hf_closep(&f->fd[0]);
    hf_closep(&f->fd[1]);
    hf_closep(&f->wake);
    for (size_t i = 0; f->buckets && i < HF_OBJECT_BUCKETS; i++)
        for (struct hf_object *o = f->buckets[i], *next; o; o = next) {
            next = o->next;
            free(o);
        }
    for (size_t i = 0; i < f->n_roots; i++)
        hf_root_free(f->roots[i]);
    free(f->roots);
    free(f->buckets);
    for (struct hf_job *j = f->jobs, *next; j; j = next) {
        next = j->next;
        free(j);
    }
    free(f->found);
    free(f->recent);
    hf_watch_list_free(f->watch);
    hf_buf_done(&f->record);
    free(f);
}

int hf_files_fd(const struct hf_files *f)
{
    return f->epoll;
}

void hf_files_ignore(struct hf_files *f, uint32_t pid, uint32_t other_pid)
{
    f->ignored[0] = pid;
    f->ignored[1] = other_pid;
}

/* ---- roots and objects ---- */

struct hf_root *hf_files_root(const struct hf_files *f, uint64_t id)
{
    for (size_t i = 0; i < f->n_roots; i++)
        if (f->roots[i]->id == id)
            return f->roots[i];
    return NULL;
}

struct hf_object *hf_files_object(const struct hf_files *f, const struct hf_object_key *key)
{
    struct hf_span k = hf_span(key->bytes, key->n);
    for (struct hf_object *o = f->buckets[hf_span_hash(k) % HF_OBJECT_BUCKETS]; o; o = o->next)
        if (hf_span_eq(k, hf_span(o->text, o->key_n)))
            return o;
    return NULL;
}

void hf_files_ask(struct hf_files *f, uint64_t root, uint32_t pid, struct hf_span path, uint64_t due_ns, unsigned tries)
{
    if (path.n >= HF_JOB_PATH)
        path.n = 0; /* all rows */
    for (const struct hf_job *w = f->jobs; w; w = w->next) /* what waits already need not wait twice */
        if (w->root == root && w->pid == pid && hf_span_eqz(path, w->path))
            return;
    struct hf_job *j = f->n_jobs < HF_JOBS_MAX && !hf_alloc_fails() ? malloc(sizeof *j + path.n + 1) : NULL;
    if (!j) {
        f->lost_jobs++;
        return;
    }
    *j = (struct hf_job){.root = root, .pid = pid, .due_ns = due_ns, .tries = tries};
    memcpy(j->path, path.n ? path.p : "", path.n);
    j->path[path.n] = 0;
    *f->last_job = j;
    f->last_job = &j->next;
    f->n_jobs++;
    pthread_cond_signal(&f->work);
}

void hf_files_container(struct hf_files *f, uint64_t cgroup_id, struct hf_span pairs, bool running)
{
    struct hf_span rest = pairs, name, value, rootfs = {NULL, 0};
    uint64_t pid = 0;
    while (hf_event_pair(&rest, &name, &value)) {
        if (hf_span_eqz(name, "rootfs"))
            rootfs = value;
        if (hf_span_eqz(name, "init_pid") && hf_parse_u64(value, 10, 1, UINT32_MAX, &pid) < 0)
            pid = 0;
    }
    pthread_mutex_lock(&f->lock);
    struct hf_root *r = hf_files_root(f, cgroup_id);
    if (!r) {
        struct hf_root **place = hf_grow((void **)&f->roots, &f->n_roots, &f->cap_roots, sizeof *f->roots, HF_ROOTS_MAX);
        r = place ? calloc(1, sizeof *r) : NULL;
        f->n_roots -= place && !r;
        if (r) {
            *place = r;
            r->id = cgroup_id;
            hf_homes_init(&r->homes);
        } else if (!f->trouble[0]) {
            snprintf(f->trouble, sizeof f->trouble, "files of more than %u containers are not watched", HF_ROOTS_MAX);
        }
    }
    if (r) {
        r->running |= running;
        if (!r->path && rootfs.n && rootfs.p[0] == '/') {
            r->path = hf_span_dupz(rootfs);
            if (r->path)
                hf_files_ask(f, cgroup_id, 0, hf_span(NULL, 0), 0, 0);
        }
        if (pid && running && r->pid != pid) {
            r->pid = (uint32_t)pid;
            hf_files_ask(f, cgroup_id, r->pid, hf_span(NULL, 0), 0, 0);
        }
    }
    pthread_mutex_unlock(&f->lock);
}

void hf_files_look_again(struct hf_files *f, uint64_t cgroup_id, uint32_t pid)
{
    uint64_t now = hf_boot_ns();
    pthread_mutex_lock(&f->lock);
    struct hf_root *r = cgroup_id ? hf_files_root(f, cgroup_id) : NULL;
    if (r && (!r->running || now - r->again_ns > AGAIN_NS)) {
        r->pid = r->pid ? r->pid : pid;
        r->again_ns = now;
        r->running = true;
        hf_files_ask(f, cgroup_id, pid, hf_span(NULL, 0), 0, 0);
    }
    pthread_mutex_unlock(&f->lock);
}

bool hf_files_running(struct hf_files *f, uint64_t cgroup_id)
{
    pthread_mutex_lock(&f->lock);
    const struct hf_root *r = hf_files_root(f, cgroup_id);
    bool it = r && r->running;
    pthread_mutex_unlock(&f->lock);
    return it;
}

void hf_files_gone(struct hf_files *f, uint64_t cgroup_id)
{
    pthread_mutex_lock(&f->lock);
    struct hf_root *r = cgroup_id ? hf_files_root(f, cgroup_id) : NULL;
    if (r)
        r->ended_ns = hf_boot_ns();
    pthread_mutex_unlock(&f->lock);
}

/* Forgets an ended container and its objects.  Lock held. */
static void forget(struct hf_files *f, size_t at)
{
    struct hf_root *r = f->roots[at];
    f->roots[at] = f->roots[--f->n_roots];
    for (size_t i = 0; i < HF_OBJECT_BUCKETS && r->objects; i++)
        for (struct hf_object **slot = &f->buckets[i]; *slot;) {
            struct hf_object *o = *slot;
            if (o->root != r->id) {
                slot = &o->next;
                continue;
            }
            *slot = o->next;
            const struct hf_file_key key = {.inode = o->inode, .dev = o->dev};
            if (f->map_fd >= 0)
                (void)bpf_map_delete_elem(f->map_fd, &key);
            free(o);
            f->n_objects--;
            r->objects--;
        }
    r->gone = true;
    if (!r->users)
        hf_root_free(r);
}

/* ---- events ---- */

/* What the information records of one event name. */
struct names {
    struct hf_object *dir, *old_dir, *new_dir, *target; /* NULL: not ours */
    struct hf_span name, old_name, new_name;
    bool has_name;
};

/* One information record.  Records are aligned to 4 bytes only, so everything is copied. */
static void info(struct hf_files *f, unsigned type, struct hf_span record, struct names *n)
{
    const size_t fsid_at = sizeof(struct fanotify_event_info_header), handle_at = fsid_at + 8, bytes_at = handle_at + 8;
    struct hf_object_key key;
    uint32_t bytes;
    int handle_type;
    if (record.n < bytes_at)
        return;
    memcpy(&bytes, record.p + handle_at, sizeof bytes);
    memcpy(&handle_type, record.p + handle_at + 4, sizeof handle_type);
    if (bytes > record.n - bytes_at)
        return;
    hf_object_key(&key, record.p + fsid_at, handle_type, record.p + bytes_at, bytes);
    struct hf_span name = hf_span_from(record, bytes_at + bytes);
    name.n = name.n ? strnlen(name.p, name.n) : 0;
    struct hf_object *o = hf_files_object(f, &key);
    switch (type) {
    case FAN_EVENT_INFO_TYPE_DFID_NAME:
        n->dir = o;
        n->name = name;
        n->has_name = true;
        break;
    case FAN_EVENT_INFO_TYPE_DFID:
        n->dir = o;
        n->name = HF_S(".");
        n->has_name = true;
        break;
    case INFO_OLD_NAME:
        n->old_dir = o;
        n->old_name = name;
        break;
    case INFO_NEW_NAME:
        n->new_dir = o;
        n->new_name = name;
        break;
    case FAN_EVENT_INFO_TYPE_FID:
        n->target = o;
        break;
    default:
        break;
    }
}

static struct hf_span path_of(const struct hf_object *o)
{
    return hf_span(o->text + o->key_n, o->path_n);
}

static void join(struct hf_buf *out, const struct hf_object *dir, struct hf_span name)
{
    hf_buf_clear(out);
    if (!dir)
        return;
    hf_buf_adds(out, path_of(dir));
    if (hf_span_eqz(name, ".") || !name.n)
        return;
    if (!hf_span_eqz(path_of(dir), "/"))
        hf_buf_addc(out, '/');
    hf_buf_adds(out, name);
}

/* How the process has the file open: O_*, or -1 when it has not (any more). */
static int64_t open_flags(uint32_t pid, uint64_t inode)
{
    hf_autobuf text = HF_BUF_INIT(4096);
    char name[64];
    for (unsigned fd = 0, missing = 0; fd < FDS_MAX && missing < 16; fd++) {
        struct hf_err ignored = HF_ERR_INIT;
        snprintf(name, sizeof name, "/proc/%u/fdinfo/%u", pid, fd);
        hf_buf_clear(&text);
        if (hf_read_file(name, &text, &ignored) < 0) {
            missing++;
            continue;
        }
        struct hf_span rest = hf_buf_span(&text), line;
        uint64_t flags = 0, ino = 0;
        while (hf_span_line(&rest, &line)) {
            if (hf_span_starts(line, HF_S("flags:\t")) && hf_parse_u64(hf_span_from(line, 7), 8, 0, UINT32_MAX, &flags) < 0)
                flags = 0;
            if (hf_span_starts(line, HF_S("ino:\t")) && hf_parse_u64(hf_span_from(line, 5), 10, 0, UINT64_MAX, &ino) < 0)
                ino = 0;
        }
        if (ino == inode && inode)
            return (int64_t)flags;
    }
    return -1;
}

struct happened {
    struct hf_files *f;
    struct hf_root *root;
    const struct hf_object *object; /* of the file itself, or of its directory */
    uint64_t time_ns; /* not later than that; boot clock */
    uint32_t pid;
    unsigned group;
    bool ondir;
    struct hf_span path, path2;
    bool has_stat;
    struct stat st;
};

/* Attributes of the path, not following a link.  Not asked of a file system in user space: it could keep us waiting. */
static bool look(struct happened *h, struct hf_span path)
{
    struct hf_err ignored = HF_ERR_INIT;
    h->has_stat = false;
    if (h->object->fs_magic == FUSE_MAGIC)
        return false;
    hf_autoclose int root = hf_files_open_root(h->root->path, h->root->pid);
    if (root < 0)
        return false;
    hf_autoclose int fd = hf_open_in_root(root, path, O_PATH | O_NOFOLLOW, &ignored);
    h->has_stat = fd >= 0 && fstat(fd, &h->st) == 0;
    return h->has_stat;
}

static bool link_text(struct happened *h, struct hf_span path, struct hf_buf *out)
{
    struct hf_err ignored = HF_ERR_INIT;
    char text[4096];
    hf_autoclose int root = hf_files_open_root(h->root->path, h->root->pid);
    hf_autoclose int fd = root >= 0 ? hf_open_in_root(root, path, O_PATH | O_NOFOLLOW, &ignored) : -1;
    ssize_t n = fd >= 0 ? readlinkat(fd, "", text, sizeof text) : -1;
    if (n <= 0)
        return false;
    hf_buf_add(out, text, (size_t)n);
    return true;
}

/* The same act again within a second: the engine would only count it. */
static struct hf_recent *recent_at(struct hf_files *f, const struct happened *h, uint32_t pid, unsigned op, uint64_t *ret_key)
{
    *ret_key = hf_span_hash(h->path) ^ ((uint64_t)pid << 20 | op) * 0x9e3779b97f4a7c15ull ^ h->root->id;
    struct hf_recent *r = &f->recent[(*ret_key >> 40) & (RECENT - 1)];
    if (h->time_ns > r->time_ns && h->time_ns - r->time_ns >= RECENT_NS)
        r->key = 0;
    return r;
}

static bool recent(struct hf_files *f, const struct happened *h, uint32_t pid, unsigned op)
{
    uint64_t key;
    struct hf_recent *r = recent_at(f, h, pid, op, &key);
    bool it = r->key == key;
    if (!it)
        *r = (struct hf_recent){key, h->time_ns};
    return it;
}

/* The process made the file a moment ago: that it has opened it for that is no news. */
static bool made_it(struct happened *h)
{
    uint64_t key;
    return recent_at(h->f, h, h->pid, HF_FILE_CREATE, &key)->key == key;
}

static bool repeated(struct hf_files *f, const struct happened *h, unsigned op)
{
    if (op == HF_FILE_WRITE || op == HF_FILE_CREATE) { /* a file that was found needs no second record without a process */
        bool told = recent(f, h, 0, HF_FILE_CREATE);
        if (!h->pid)
            return told;
    }
    return recent(f, h, h->pid, op);
}

static bool over_budget(struct hf_root *r, uint64_t now)
{
    uint64_t passed = now - HF_MIN(now, r->tokens_ns); /* what was found is told later than what happened meanwhile */
    r->tokens = HF_MIN((uint64_t)BUDGET_BURST, r->tokens_ns ? r->tokens + passed / 1000000u * BUDGET_PER_S / 1000u : BUDGET_BURST);
    if (passed >= 1000000u || !r->tokens_ns)
        r->tokens_ns = now;
    if (r->tokens) {
        r->tokens--;
        return false;
    }
    r->lost++;
    return true;
}

static bool is_device(const struct stat *st)
{
    return S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
}

/* The kernel half tells of devices that are opened, where it can, with who and how (bpf/device.bpf.c).  A terminal is news when another session
 * runs on it, which is not known any more when this is read. */
static bool is_left_to_kernel(const struct happened *h, unsigned op)
{
    if (op != HF_FILE_OPEN && op != HF_FILE_WRITE)
        return false;
    bool seen = h->f->devices && h->has_stat && is_device(&h->st) && !hf_usual_device(S_ISCHR(h->st.st_mode), major(h->st.st_rdev), minor(h->st.st_rdev));
    return seen || h->object->fs_magic == DEVPTS_MAGIC;
}

static void tell(struct happened *h, unsigned op, uint32_t flags, const struct hf_watch_found *found)
{
    struct hf_files *f = h->f;
    struct hf_wire_file e = {.op = op, .open_flags = flags, .source = HF_SOURCE_FANOTIFY, .watch = found->watch_class, .fs_magic = h->object->fs_magic,
            .new_mode = UINT32_MAX, .new_uid = UINT32_MAX, .new_gid = UINT32_MAX};
    if (is_left_to_kernel(h, op) || repeated(f, h, op) || (h->group == HF_GROUP_BULK && over_budget(h->root, h->time_ns)))
        return;
    if (h->has_stat) {
        e.inode = h->st.st_ino;
        e.dev = (uint32_t)(major(h->st.st_dev) << 20 | minor(h->st.st_dev));
        e.mode = h->st.st_mode;
        e.nlink = (uint32_t)h->st.st_nlink;
        e.request = is_device(&h->st) ? (uint32_t)(major(h->st.st_rdev) << 20 | minor(h->st.st_rdev)) : 0;
        if (op == HF_FILE_CHMOD)
            e.new_mode = h->st.st_mode;
        if (op == HF_FILE_CHOWN) {
            e.new_uid = h->st.st_uid;
            e.new_gid = h->st.st_gid;
        }
    }
    hf_record_header(&e.h, HF_EV_FILE, h->root->id);
    e.h.flags = (h->pid ? HF_F_PID_ONLY : HF_F_NO_PROC) | (h->group == HF_GROUP_CRITICAL ? HF_F_CRITICAL : 0);
    e.h.pid = e.h.tid = h->pid;
    e.h.time_ns = h->time_ns;
    struct hf_span path2 = hf_span_sub(h->path2, 0, 4095);
    e.path_len = (uint16_t)HF_MIN(h->path.n, (size_t)4095);
    e.path2_len = (uint16_t)path2.n;
    e.h.len = (uint32_t)((sizeof e + e.path_len + path2.n + 7) & ~(size_t)7);
    hf_buf_clear(&f->record);
    hf_buf_add(&f->record, &e, sizeof e);
    hf_buf_add(&f->record, h->path.p, e.path_len);
    hf_buf_adds(&f->record, path2);
    while (f->record.n < e.h.len)
        hf_buf_addc(&f->record, 0);
    if (hf_buf_ok(&f->record))
        f->tell(f->ctx, hf_buf_span(&f->record));
}

static bool is_program(const struct happened *h)
{
    return h->has_stat && S_ISREG(h->st.st_mode) && (h->st.st_mode & 0111);
}

static void opened(struct happened *h, const struct hf_watch_found *w)
{
    if (h->ondir || !(w->what & HF_W_READ))
        return;
    look(h, h->path);
    int64_t flags = open_flags(h->pid, h->has_stat ? h->st.st_ino : h->object->inode);
    if (flags < 0 && made_it(h))
        return;
    tell(h, flags > 0 && (flags & O_ACCMODE) ? HF_FILE_WRITE : HF_FILE_OPEN, flags > 0 ? (uint32_t)flags : 0, w);
}

/* Whether the file became empty just now, rather than being new or having been empty all the time. */
static bool just_emptied(const struct happened *h)
{
    struct hf_err ignored = HF_ERR_INIT;
    struct statx x;
    struct timespec now;
    if (!h->has_stat || h->st.st_size != 0)
        return false;
    hf_autoclose int root = hf_files_open_root(h->root->path, h->root->pid);
    hf_autoclose int fd = root >= 0 ? hf_open_in_root(root, h->path, O_PATH | O_NOFOLLOW, &ignored) : -1;
    if (fd < 0 || statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BTIME | STATX_MTIME, &x) < 0)
        return true;
    clock_gettime(CLOCK_REALTIME, &now);
    return x.stx_mtime.tv_sec + 2 >= now.tv_sec && (!(x.stx_mask & STATX_BTIME) || x.stx_btime.tv_sec + 1 < x.stx_mtime.tv_sec);
}

static void written(struct happened *h, const struct hf_watch_found *w)
{
    if (h->ondir || !(w->what & HF_W_WRITE))
        return;
    look(h, h->path);
    bool emptied = just_emptied(h);
    if ((w->what & HF_W_EXEC) && !is_program(h))
        return;
    if (w->watch_class == HF_WATCH_LOG && !emptied)
        return; /* that a log grows is its purpose */
    tell(h, HF_FILE_WRITE, O_WRONLY | (emptied ? O_TRUNC : 0u), w);
}

static void made(struct happened *h, const struct hf_watch_found *w, const struct hf_object *target)
{
    hf_autobuf text = HF_BUF_INIT(8192);
    struct hf_span path = h->path;
    if (!(w->what & HF_W_NAMES))
        return;
    look(h, path);
    mode_t type = h->has_stat ? h->st.st_mode & S_IFMT : h->ondir ? S_IFDIR : S_IFREG;
    if (type == S_IFDIR) {
        if (!(w->what & HF_W_EXEC))
            tell(h, HF_FILE_MKDIR, 0, w);
    } else if (type == S_IFLNK) {
        if (link_text(h, path, &text))
            h->path2 = hf_buf_span(&text);
        tell(h, HF_FILE_SYMLINK, 0, w);
    } else if (type == S_IFREG && ((h->has_stat && h->st.st_nlink > 1) || target)) {
        h->path2 = path;
        h->path = target ? path_of(target) : path;
        tell(h, HF_FILE_LINK, 0, w);
    } else if (type != S_IFREG) {
        tell(h, HF_FILE_MKNOD, 0, w);
    } else if (!(w->what & HF_W_EXEC) || is_program(h)) {
        tell(h, HF_FILE_CREATE, O_CREAT | O_WRONLY, w);
    }
    h->path = path;
    h->path2 = hf_span(NULL, 0);
}

static void changed(struct happened *h, const struct hf_watch_found *w, struct hf_object *target)
{
    if (!(w->what & HF_W_ATTR))
        return;
    look(h, h->path);
    if ((w->what & HF_W_EXEC) && !is_program(h))
        return;
    unsigned op = HF_FILE_ATTRIB;
    if (target && h->has_stat) {
        if (target->mode != h->st.st_mode)
            op = HF_FILE_CHMOD;
        else if (target->uid != h->st.st_uid || target->gid != h->st.st_gid)
            op = HF_FILE_CHOWN;
        else if (target->nlink < h->st.st_nlink)
            op = HF_FILE_LINK; /* somewhere that is not watched */
        target->mode = h->st.st_mode;
        target->uid = h->st.st_uid;
        target->gid = h->st.st_gid;
        target->nlink = (uint32_t)h->st.st_nlink;
    }
    tell(h, op, 0, w);
}

/* A name that is new may be that of a watched object. */
static void new_name(struct hf_files *f, const struct hf_root *root, const struct hf_watch_found *w, struct hf_span path, bool to_be)
{
    if (!w->leads && !w->watch_class)
        return;
    pthread_mutex_lock(&f->lock);
    hf_files_ask(f, root->id, root->pid, path, to_be ? hf_boot_ns() + SOON_NS : 0, 0);
    pthread_mutex_unlock(&f->lock);
}

static void renamed(struct happened *h, const struct names *n, unsigned where)
{
    hf_autobuf from = HF_BUF_INIT(8192), to = HF_BUF_INIT(8192);
    join(&from, n->old_dir, n->old_name);
    join(&to, n->new_dir, n->new_name);
    struct hf_watch_found wf = hf_watch_match(h->f->watch, &h->root->homes, where, hf_buf_span(&from));
    struct hf_watch_found wt = hf_watch_match(h->f->watch, &h->root->homes, where, hf_buf_span(&to));
    bool both = ((wf.what | wt.what) & HF_W_NAMES) != 0, only_programs = (wf.what & HF_W_EXEC || !wf.what) && (wt.what & HF_W_EXEC || !wt.what);
    if (!to.n && from.n) { /* moved to where nothing is watched: as good as removed */
        h->path = hf_buf_span(&from);
        h->has_stat = false;
        if ((wf.what & HF_W_NAMES) && !(wf.what & HF_W_EXEC))
            tell(h, h->ondir ? HF_FILE_RMDIR : HF_FILE_UNLINK, 0, &wf);
        return;
    }
    look(h, hf_buf_span(&to));
    h->path = from.n ? hf_buf_span(&from) : hf_buf_span(&to);
    h->path2 = hf_buf_span(&to);
    if (both && (!only_programs || is_program(h)))
        tell(h, from.n ? HF_FILE_RENAME : HF_FILE_CREATE, 0, wt.watch_class && wt.watch_class != HF_WATCH_TEMP ? &wt : wf.watch_class ? &wf : &wt);
    new_name(h->f, h->root, &wt, hf_buf_span(&to), false);
}

static void event(struct hf_files *f, const struct fanotify_event_metadata *m, struct hf_span bytes, const struct hf_reading *from)
{
    struct names n = {.dir = NULL};
    if (m->mask & FAN_Q_OVERFLOW) {
        f->lost++;
        return;
    }
    if ((uint32_t)m->pid == f->ignored[0] || (uint32_t)m->pid == f->ignored[1] || m->pid <= 0)
        return;
    pthread_mutex_lock(&f->lock); /* objects and roots are only taken away by this thread: they may be used after */
    for (struct hf_span rest = hf_span_from(bytes, m->metadata_len); rest.n >= sizeof(struct fanotify_event_info_header);) {
        struct fanotify_event_info_header h;
        memcpy(&h, rest.p, sizeof h);
        if (h.len < sizeof h || h.len > rest.n)
            break;
        info(f, h.info_type, hf_span_sub(rest, 0, h.len), &n);
        rest = hf_span_from(rest, h.len);
    }
    struct hf_object *dir = n.dir ? n.dir : n.new_dir ? n.new_dir : n.old_dir, *object = n.target && !S_ISDIR(n.target->mode) ? n.target : dir ? dir : n.target;
    struct hf_root *root = object ? hf_files_root(f, object->root) : NULL;
    bool ready = root && root->has_homes;
    pthread_mutex_unlock(&f->lock);
    if (!ready)
        return;
    hf_autobuf path = HF_BUF_INIT(8192), as_named = HF_BUF_INIT(8192);
    unsigned where = root->id ? HF_W_CONTAINER : HF_W_HOST;
    struct happened h = {.f = f, .root = root, .object = object, .time_ns = from->time_ns, .pid = (uint32_t)m->pid, .group = from->group, .ondir = m->mask & FAN_ONDIR};
    if (m->mask & FAN_RENAME)
        renamed(&h, &n, where);
    h.path2 = hf_span(NULL, 0);
    if (dir && n.has_name)
        join(&as_named, dir, n.name);
    if (object == dir)
        hf_buf_adds(&path, hf_buf_span(&as_named));
    else
        hf_buf_adds(&path, path_of(object)); /* the watched name, whatever name (a hard link, another mount) was used */
    h.path = hf_buf_span(&path);
    struct hf_watch_found w = hf_watch_match(f->watch, &root->homes, where, h.path);
    if ((m->mask & (FAN_CREATE | FAN_MOVED_TO)) && as_named.n) {
        struct hf_span target = h.path;
        h.path = hf_buf_span(&as_named);
        struct hf_watch_found made_w = hf_watch_match(f->watch, &root->homes, where, h.path);
        if (object != dir && !made_w.watch_class)
            made_w = w;
        made(&h, &made_w, object != dir ? object : NULL);
        new_name(f, root, &made_w, h.path, false);
        h.path = target;
    }
    if ((m->mask & FAN_OPEN) && !(m->mask & (FAN_MODIFY | FAN_CLOSE_WRITE)))
        opened(&h, &w);
    if (m->mask & (FAN_MODIFY | FAN_CLOSE_WRITE))
        written(&h, &w);
    if ((m->mask & FAN_ATTRIB) && !(m->mask & FAN_CREATE))
        changed(&h, &w, object != dir ? object : NULL);
    if ((m->mask & (FAN_DELETE | FAN_MOVED_FROM)) && as_named.n) {
        h.path = hf_buf_span(&as_named);
        h.has_stat = false;
        w = hf_watch_match(f->watch, &root->homes, where, h.path);
        if ((w.what & HF_W_NAMES) && !(w.what & HF_W_EXEC))
            tell(&h, h.ondir ? HF_FILE_RMDIR : HF_FILE_UNLINK, 0, &w);
    }
}

static unsigned asked_for(const struct hf_wire_file *e)
{
    switch (e->op) {
    case HF_FILE_OPEN:
        return HF_W_READ;
    case HF_FILE_WRITE:
        return HF_W_WRITE | ((e->open_flags & O_ACCMODE) == O_RDWR ? HF_W_READ : 0);
    case HF_FILE_CHMOD:
    case HF_FILE_CHOWN:
        return HF_W_ATTR;
    default:
        return HF_W_NAMES;
    }
}

static bool row_asks(const struct hf_watch_found *w, const struct hf_wire_file *e)
{
    bool program = (e->mode & S_IFMT) != S_IFDIR && (e->mode & 0111 || (e->new_mode != UINT32_MAX && e->new_mode & 0111));
    if (!(w->what & asked_for(e)))
        return false;
    if ((w->what & HF_W_EXEC) && !program && e->op != HF_FILE_LINK && e->op != HF_FILE_SYMLINK)
        return false;
    return w->watch_class != HF_WATCH_LOG || e->op != HF_FILE_WRITE || (e->open_flags & O_TRUNC);
}

bool hf_files_judge(struct hf_files *f, struct hf_wire_file *e, struct hf_span path, struct hf_span path2)
{
    pthread_mutex_lock(&f->lock);
    const struct hf_root *root = hf_files_root(f, e->h.cgroup_id);
    bool ready = root && root->has_homes && root->running;
    pthread_mutex_unlock(&f->lock);
    if (!ready)
        return false; /* the runtime sets it up */
    unsigned where = root->id ? HF_W_CONTAINER : HF_W_HOST;
    struct hf_watch_found w = hf_watch_match(f->watch, &root->homes, where, path), w2 = {.watch_class = 0};
    if (e->op == HF_FILE_RENAME || e->op == HF_FILE_LINK)
        w2 = hf_watch_match(f->watch, &root->homes, where, path2);
    if (e->op == HF_FILE_CREATE || e->op == HF_FILE_MKDIR || e->op == HF_FILE_SYMLINK)
        new_name(f, root, &w, path, true);
    if (e->op == HF_FILE_RENAME || e->op == HF_FILE_LINK)
        new_name(f, root, &w2, path2, true);
    struct happened h = {.f = f, .root = (struct hf_root *)(uintptr_t)root, .time_ns = e->h.time_ns, .pid = e->h.pid, .path = path};
    bool asks = row_asks(&w, e), asks2 = w2.watch_class && row_asks(&w2, e);
    bool itself = e->watch & HF_WATCH_ITSELF;
    e->watch &= ~HF_WATCH_ITSELF;
    if (!asks && !asks2) /* by another name (a link, another mount) or from another root: what its own name is watched for */
        asks = (itself || !w.watch_class) && e->watch && e->watch != HF_WATCH_BINARY && e->watch != HF_WATCH_LOG && e->watch != HF_WATCH_TEMP && e->watch != HF_WATCH_WEB;
    else
        e->watch = asks && w.watch_class ? w.watch_class : w2.watch_class;
    return (asks || asks2) && !repeated(f, &h, e->op);
}

/* Files that were made in a new directory before it could be marked. */
static void tell_found(struct hf_files *f)
{
    uint64_t count;
    if (read(f->wake, &count, sizeof count) < 0)
        return;
    for (;;) {
        struct hf_found one;
        pthread_mutex_lock(&f->lock);
        bool more = f->n_found > 0;
        if (more)
            one = f->found[--f->n_found];
        struct hf_root *root = more ? hf_files_root(f, one.root) : NULL;
        pthread_mutex_unlock(&f->lock);
        if (!more)
            return;
        if (!root)
            continue;
        const struct hf_object nothing = {.root = one.root};
        struct happened h = {.f = f, .root = root, .object = &nothing, .time_ns = hf_boot_ns(), .group = HF_GROUP_BULK, .path = hf_span_z(one.path)};
        struct hf_watch_found w = hf_watch_match(f->watch, &root->homes, root->id ? HF_W_CONTAINER : HF_W_HOST, h.path);
        made(&h, &w, NULL);
    }
}

static size_t events(struct hf_files *f, const struct hf_reading *r)
{
    size_t count = 0;
    struct fanotify_event_metadata m;
    for (struct hf_span rest = hf_span(r->bytes, r->n); rest.n >= sizeof m; rest = hf_span_from(rest, m.event_len)) {
        memcpy(&m, rest.p, sizeof m);
        if (m.event_len < sizeof m || m.event_len > rest.n)
            break;
        event(f, &m, hf_span_sub(rest, 0, m.event_len), r);
        count++;
    }
    return count;
}

bool hf_files_has(const struct hf_files *f)
{
    return f->reader && hf_reader_has(f->reader);
}

size_t hf_files_read(struct hf_files *f)
{
    size_t count = 0;
    struct hf_reading *all = f->reader ? hf_reader_take(f->reader) : NULL;
    for (const struct hf_reading *r = all; r; r = r->next)
        count += events(f, r);
    hf_reading_free(all);
    tell_found(f);
    return count;
}

/* ---- about itself ---- */

static void tell_loss(struct hf_files *f, uint64_t cgroup_id, unsigned reason, uint64_t count)
{
    struct hf_wire_loss l = {.count = count, .lost_type = HF_EV_FILE, .reason = reason};
    hf_record_header(&l.h, HF_EV_LOSS, cgroup_id);
    l.h.len = sizeof l;
    f->tell(f->ctx, hf_span((const char *)&l, sizeof l));
}

/* Processor time of the thread at work: one that waits for a file system uses none. */
uint64_t hf_files_cpu_ns(const struct hf_files *f)
{
    struct timespec t;
    return clock_gettime(f->busy_clock, &t) == 0 ? (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec : 0;
}

static uint64_t all_lost(const struct hf_files *f)
{
    return f->lost + (f->reader ? hf_reader_lost(f->reader) : 0);
}

int hf_files_tick(struct hf_files *f, uint64_t now_ns, struct hf_err *err)
{
    int rc = 0;
    uint64_t lost = all_lost(f);
    if (lost > f->lost_told) {
        tell_loss(f, 0, HF_LOSS_FANOTIFY, lost - f->lost_told);
        f->lost_told = lost;
    }
    pthread_mutex_lock(&f->lock);
    for (size_t i = f->n_roots; i-- > 0;)
        if (f->roots[i]->ended_ns && now_ns > f->roots[i]->ended_ns + LINGER_NS)
            forget(f, i);
    for (size_t i = 0; i < f->n_roots; i++) {
        struct hf_root *r = f->roots[i];
        if (r->lost)
            tell_loss(f, r->id, HF_LOSS_BUDGET, r->lost);
        r->lost = 0;
        if (r->full && rc == 0)
            rc = hf_fail(err, HF_E_LIMIT, "more than %u files of one container are to be watched; the rest of them is not", HF_ROOT_OBJECTS_MAX);
        r->full = false;
    }
    if (f->trouble[0] && rc == 0) {
        rc = hf_fail(err, HF_E_INCOMPLETE, "%s", f->trouble);
        f->trouble[0] = 0;
    }
    if (f->lost_jobs && rc == 0) {
        rc = hf_fail(err, HF_E_LIMIT, "%llu changes of watched folders could not be followed", (unsigned long long)f->lost_jobs);
        f->lost_jobs = 0;
    }
    uint64_t cpu = f->busy_since_ns && now_ns > f->busy_since_ns + STUCK_NS ? hf_files_cpu_ns(f) : 0;
    if (cpu > f->busy_cpu_ns) { /* slow, on a machine with much to do, but at work */
        f->busy_since_ns = now_ns;
        f->busy_cpu_ns = cpu;
    }
    if (f->busy_since_ns && now_ns > f->busy_since_ns + STUCK_NS && f->threads < THREADS_MAX) {
        f->generation++;
        f->busy_since_ns = 0;
        if (hf_marks_start(f) == 0 && rc == 0)
            rc = hf_fail(err, HF_E_INCOMPLETE, "a container's file system does not answer; not all of its files are watched");
    }
    pthread_mutex_unlock(&f->lock);
    return rc;
}

void hf_files_stats(struct hf_files *f, size_t *ret_objects, uint64_t *ret_lost)
{
    pthread_mutex_lock(&f->lock);
    *ret_objects = f->n_objects;
    *ret_lost = all_lost(f);
    pthread_mutex_unlock(&f->lock);
}

bool hf_files_settle(struct hf_files *f, unsigned ms)
{
    for (unsigned i = 0; i <= ms; i++) {
        struct timespec t = {0, 1000000};
        pthread_mutex_lock(&f->lock);
        bool done = !f->n_jobs && !f->busy_since_ns;
        pthread_mutex_unlock(&f->lock);
        if (done)
            return true;
        nanosleep(&t, NULL);
    }
    return false;
}
