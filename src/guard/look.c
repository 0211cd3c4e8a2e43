// SPDX-License-Identifier: Apache-2.0
/* What ran: opened as the file that really started, hashed once, judged, told. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/mman.h>
#include <time.h>

#include "base/fs.h"
#include "guard/guard-internal.h"

#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

struct ran { /* a file that ran or was mapped */
    const struct hf_wire_hdr *h;
    struct hf_span path;
    uint64_t inode, ctime_ns; /* as the kernel's record has them; 0: it does not say */
    uint32_t dev, exec_flags, use;
    enum hf_where where;
};

/* The runtime at work, before it has entered the container: its program is the host's.  Names say nothing, anyone may take them. */
static bool is_setup(const struct hf_guard *g, const struct hf_event *ev)
{
    return ev->h->mnt_ns == g->own_mnt_ns || ev->h->mnt_ns == g->host_mnt_ns;
}

static bool ends_with_path(int fd_number, struct hf_span path)
{
    char link[64], to[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd_number);
    ssize_t n = readlink(link, to, sizeof to);
    return n > 0 && hf_span_eq(hf_span(to, (size_t)n), path);
}

/* Whether the open file is the one that the record speaks of.  Below an overlay stat(2) gives another number than the kernel's inode has in
 * rare cases (a file that was copied up): then its change time or its path tells. */
static bool is_it(int fd, const struct stat *st, const struct ran *r)
{
    if (!r->inode || st->st_ino == r->inode)
        return true;
    uint64_t changed_ns = (uint64_t)st->st_ctim.tv_sec * 1000000000u + (uint64_t)st->st_ctim.tv_nsec;
    return (r->ctime_ns && changed_ns == r->ctime_ns && (r->exec_flags & (HF_X_UPPER | HF_X_COPIED_UP))) || ends_with_path(fd, r->path);
}

static int open_exe(const struct ran *r)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%u/exe", r->h->pid);
    int fd = open(path, OPEN_FLAGS);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && is_it(fd, &st, r))
        return fd;
    hf_closep(&fd);
    return -1;
}

/* A file below the container's root, for reading; nothing but a regular one is opened: to open a device may do something. */
static int open_regular(struct hf_guard_box *b, struct hf_span path, struct stat *ret)
{
    char link[64];
    hf_autoclose int name = hf_box_open(b, path);
    if (name < 0 || fstat(name, ret) < 0 || !S_ISREG(ret->st_mode))
        return -1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", name);
    int fd = open(link, OPEN_FLAGS);
    if (fd >= 0 && fstat(fd, ret) < 0)
        hf_closep(&fd);
    return fd;
}

static int open_path(struct hf_guard_box *b, const struct ran *r)
{
    struct stat st;
    if (b->c.root_fd < 0 || !r->path.n || (r->exec_flags & (HF_X_DELETED | HF_X_MEMFD)))
        return -1;
    int fd = open_regular(b, r->path, &st);
    if (fd >= 0 && !is_it(fd, &st, r))
        hf_closep(&fd);
    return fd;
}

/* Whether what is there now is what ran: not changed since. */
static bool unchanged(const struct stat *st, const struct ran *r)
{
    uint64_t changed_ns = (uint64_t)st->st_ctim.tv_sec * 1000000000u + (uint64_t)st->st_ctim.tv_nsec;
    struct timespec wall, boot;
    if (!r->inode || (r->ctime_ns && changed_ns == r->ctime_ns)) /* a script is what lies there now */
        return true;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    uint64_t offset = ((uint64_t)wall.tv_sec - (uint64_t)boot.tv_sec) * 1000000000u + (uint64_t)wall.tv_nsec - (uint64_t)boot.tv_nsec;
    uint64_t ran = r->h->time_ns + offset, mtime = (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;
    return changed_ns + HF_RACY_NS < ran || (st->st_nlink == 0 && mtime + HF_RACY_NS < ran); /* removed since: only that changed it */
}

static void told(struct hf_guard *g, struct hf_guard_box *b, const struct ran *r, struct hf_judgement *j)
{
    g->judged++;
    g->by_verdict[j->verdict & 15]++;
    if (r->inode) { /* as in the record, so that both sides name it alike */
        j->inode = r->inode;
        j->dev = r->dev;
        j->ctime_ns = r->ctime_ns ? r->ctime_ns : j->ctime_ns;
    }
    if (j->verdict == HF_VERDICT_SEALED && b->inuse && j->package_n)
        hf_inuse_mark(b->inuse, hf_span(j->package, j->package_n), (r->use == HF_USE_EXEC ? HF_INUSE_RAN : HF_INUSE_MAPPED) | (r->h->euid == 0 ? HF_INUSE_ROOT : 0));
    if (j->verdict == HF_VERDICT_SEALED && b->inuse && r->use == HF_USE_EXEC)
        hf_used_exec(g, b, r->h, r->path);
    for (unsigned i = 0; i < g->n_modules; i++)
        if (g->modules[i].m->judged && g->modules[i].m->judged(g->modules[i].ctx, g, &b->c, r->h, r->use, r->exec_flags, r->path, j))
            return;
    if (j->verdict == HF_VERDICT_UNSEALED) { /* once a container is enough */
        if (b->told_unsealed)
            return;
        b->told_unsealed = true;
    }
    if (j->verdict == HF_VERDICT_SEALED && r->use != HF_USE_EXEC)
        return;
    hf_guard_tell_verdict(g, &b->c, r->h, r->path, j, r->use, HF_ACTION_NONE, HF_RUNG_NONE, hf_span(NULL, 0), hf_span(NULL, 0));
}

static void wait_for_it(struct hf_guard *g, struct hf_guard_box *b, const struct ran *r, int fd)
{
    for (size_t i = 0; i < HF_WAITING_MAX && r->path.n <= sizeof g->waiting[i].path; i++) {
        struct hf_waiting *w = &g->waiting[i];
        if (w->used)
            continue;
        *w = (struct hf_waiting){.used = true, .fd = fd, .h = *r->h, .cgroup_id = b->c.cgroup_id, .inode = r->inode, .ctime_ns = r->ctime_ns, .dev = r->dev,
                .exec_flags = r->exec_flags, .use = r->use, .where = r->where, .path_n = (uint16_t)r->path.n};
        memcpy(w->path, r->path.p, r->path.n);
        g->n_waiting++;
        return;
    }
    g->lost++;
    hf_closep(&fd);
}

/* Takes the descriptor over. */
static void decide(struct hf_guard *g, struct hf_guard_box *b, const struct ran *r, int fd)
{
    struct hf_judgement j = {.verdict = HF_VERDICT_UNREADABLE};
    struct hf_judge_in in = {.path = r->path, .where = r->where};
    struct stat st;
    if (r->where == HF_WHERE_SERVED) {
        j = (struct hf_judgement){.verdict = HF_VERDICT_VOLUME, .ctime_ns = r->ctime_ns};
        told(g, b, r, &j);
        return;
    }
    bool pending = !b->c.seal && !b->no_seal && r->where != HF_WHERE_MEMORY;
    if (pending) {
        wait_for_it(g, b, r, fd);
        return;
    }
    if (fd >= 0 && r->where != HF_WHERE_MEMORY && fstat(fd, &st) == 0) {
        j.inode = st.st_ino;
        j.dev = hf_kernel_dev(st.st_dev);
        j.mode = st.st_mode;
        j.size = (uint64_t)st.st_size;
        j.ctime_ns = hf_file_state_of(&st).ctime_ns;
        int rc = !b->c.seal ? -ENOENT : !unchanged(&st, r) ? -ESTALE : hf_digests_fd(g->digests, fd, &st, 0, in.got, &j.racy);
        if (rc == -EINPROGRESS) {
            wait_for_it(g, b, r, fd);
            return;
        }
        struct stat after; /* what was hashed has to be what ran, not what it became meanwhile */
        in.has_got = rc == 0 && fstat(fd, &after) == 0 && (hf_file_state_of(&after).ctime_ns == j.ctime_ns || unchanged(&after, r));
    }
    struct hf_err err = HF_ERR_INIT;
    if (hf_judge(b->c.seal, &in, &j, &err) < 0 && hf_box_reseal(g, b, &err)) {
        wait_for_it(g, b, r, fd);
        return;
    }
    hf_closep(&fd);
    told(g, b, r, &j);
}

static enum hf_where where_of(const struct hf_guard_box *b, uint32_t dev, uint32_t flags)
{
    if (flags & HF_X_MEMFD)
        return HF_WHERE_MEMORY;
    return dev == b->c.root_dev ? HF_WHERE_ROOT : HF_WHERE_VOLUME;
}

/* The open file says better where it lies than the device does. */
static void place(const struct hf_guard_box *b, struct ran *r, int fd)
{
    struct stat st;
    if (fd >= 0 && r->where != HF_WHERE_MEMORY && fstat(fd, &st) == 0)
        r->where = hf_look_where(b, fd, &st);
}

/* "#!" scripts: what was called, found from where it was called. */
static void script(struct hf_guard *g, struct hf_guard_box *b, const struct hf_event *ev)
{
    struct stat st;
    hf_autobuf path = HF_BUF_INIT(4096);
    if (!ev->path2.n || (ev->u.exec.exec_flags & HF_X_FD) || hf_span_starts(ev->path2, HF_S("/dev/fd/")))
        return;
    if (ev->path2.p[0] != '/') {
        hf_buf_adds(&path, ev->cwd);
        hf_buf_addc(&path, '/');
    }
    hf_buf_adds(&path, ev->path2);
    hf_autoclose int fd = hf_buf_ok(&path) ? open_regular(b, hf_buf_span(&path), &st) : -1;
    if (fd < 0)
        return;
    char link[64], to[4096]; /* the name without links */
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, to, sizeof to);
    struct hf_span real = n > 0 && to[0] == '/' ? hf_span(to, (size_t)n) : hf_buf_span(&path);
    struct ran r = {.h = ev->h, .path = real, .use = HF_USE_EXEC, .where = hf_look_where(b, fd, &st), .exec_flags = HF_X_SCRIPT};
    decide(g, b, &r, hf_take_fd(fd));
}

void hf_look_exec(struct hf_guard *g, struct hf_guard_box *b, const struct hf_event *ev)
{
    const struct hf_wire_exec *x = &ev->u.exec;
    if (is_setup(g, ev) || !x->inode)
        return;
    hf_box_process(g, b, ev->h->pid);
    if (b->c.root_fd < 0 || (x->exec_flags & HF_X_KILLED)) /* nothing of it ran; who killed it tells of it */
        return;
    struct ran r = {.h = ev->h, .path = ev->path, .inode = x->inode, .ctime_ns = x->ctime_ns, .dev = x->dev, .exec_flags = x->exec_flags, .use = HF_USE_EXEC,
            .where = where_of(b, x->dev, x->exec_flags)};
    if (hf_guard_served(g, &b->c, ev->h->pid, x->dev))
        r.where = HF_WHERE_SERVED;
    bool leave = r.where == HF_WHERE_MEMORY || r.where == HF_WHERE_SERVED;
    int fd = leave ? -1 : open_exe(&r);
    if (fd < 0 && !leave)
        fd = open_path(b, &r);
    place(b, &r, fd);
    decide(g, b, &r, fd);
    if (ev->type == HF_EV_EXEC && (x->exec_flags & HF_X_SCRIPT))
        script(g, b, ev);
}

void hf_look_mem(struct hf_guard *g, struct hf_guard_box *b, const struct hf_event *ev)
{
    const struct hf_wire_mem *m = &ev->u.mem;
    if (m->op != HF_MEM_MMAP || !ev->path.n || !m->inode || !(m->prot & PROT_EXEC) || is_setup(g, ev) || (m->exec_flags & HF_X_MEMFD))
        return;
    hf_box_process(g, b, ev->h->pid);
    if (b->c.root_fd < 0)
        return;
    struct ran r = {.h = ev->h, .path = ev->path, .inode = m->inode, .dev = m->dev, .exec_flags = m->exec_flags, .use = HF_USE_MMAP, .where = where_of(b, m->dev, m->exec_flags)};
    if (hf_guard_served(g, &b->c, ev->h->pid, m->dev))
        r.where = HF_WHERE_SERVED;
    int fd = r.where == HF_WHERE_SERVED ? -1 : open_path(b, &r);
    place(b, &r, fd);
    decide(g, b, &r, fd);
}

void hf_look_waiting(struct hf_guard *g, uint64_t id)
{
    for (size_t i = 0; g->n_waiting && i < HF_WAITING_MAX; i++) {
        struct hf_waiting *w = &g->waiting[i], copy;
        struct hf_guard_box *b = w->used && (!id || w->cgroup_id == id) ? hf_box_of(g, w->cgroup_id) : NULL;
        if (!b || (!b->c.seal && !b->no_seal))
            continue;
        copy = *w;
        w->used = false;
        g->n_waiting--;
        struct ran r = {.h = &copy.h, .path = hf_span(copy.path, copy.path_n), .inode = copy.inode, .ctime_ns = copy.ctime_ns, .dev = copy.dev, .exec_flags = copy.exec_flags,
                .use = copy.use, .where = copy.where};
        decide(g, b, &r, copy.fd);
    }
}

/* Its container ended before there was a seal: that is what is said of it. */
void hf_look_forget(struct hf_guard *g, uint64_t id)
{
    struct hf_guard_box *b = g->n_waiting ? hf_box_of(g, id) : NULL;
    for (size_t i = 0; g->n_waiting && i < HF_WAITING_MAX; i++) {
        struct hf_waiting *w = &g->waiting[i];
        if (!w->used || w->cgroup_id != id)
            continue;
        struct ran r = {.h = &w->h, .path = hf_span(w->path, w->path_n), .inode = w->inode, .ctime_ns = w->ctime_ns, .dev = w->dev, .exec_flags = w->exec_flags, .use = w->use, .where = w->where};
        struct hf_judgement j = {.verdict = HF_VERDICT_UNSEALED, .inode = w->inode, .dev = w->dev, .ctime_ns = w->ctime_ns};
        if (b)
            told(g, b, &r, &j);
        else
            g->lost++;
        hf_closep(&w->fd);
        w->used = false;
        g->n_waiting--;
    }
}

int hf_judge_known(struct hf_guard *g, uint64_t cgroup_id, int fd, struct hf_span path, struct hf_judgement *ret)
{
    struct hf_guard_box *b = hf_box_of(g, cgroup_id);
    struct hf_judge_in in = {.path = path};
    struct stat st;
    if (!b || !b->c.seal || fstat(fd, &st) < 0 || !hf_digests_known(g->digests, &st, HF_DIGEST_FIRM, in.got))
        return 0;
    *ret = (struct hf_judgement){.dev = hf_kernel_dev(st.st_dev), .mode = st.st_mode, .inode = st.st_ino, .ctime_ns = hf_file_state_of(&st).ctime_ns, .size = (uint64_t)st.st_size};
    in.has_got = true;
    in.where = hf_look_where(b, fd, &st);
    return hf_judge(b->c.seal, &in, ret, NULL) < 0 ? 0 : 1;
}

static unsigned how(struct hf_guard *g, const struct hf_guard_box *b)
{
    for (unsigned i = 0; i < g->n_modules; i++)
        if (g->modules[i].m->enforces && g->modules[i].m->enforces(g->modules[i].ctx, g, &b->c))
            return HF_DIGEST_FIRM | HF_DIGEST_URGENT;
    return HF_DIGEST_FIRM;
}

int hf_judge_fd(struct hf_guard *g, uint64_t cgroup_id, int fd, struct hf_span path, struct hf_judgement *ret)
{
    struct hf_guard_box *b = hf_box_of(g, cgroup_id);
    struct hf_judge_in in = {.path = path};
    struct stat st;
    bool racy = false;
    if (!b)
        return -ENOENT;
    if (!b->c.seal && !b->no_seal)
        return -EAGAIN;
    if (fstat(fd, &st) < 0)
        return -errno;
    int rc = b->c.seal ? hf_digests_fd(g->digests, fd, &st, how(g, b), in.got, &racy) : -ENOENT;
    if (rc == -EINPROGRESS)
        return rc;
    in.has_got = rc == 0;
    in.where = hf_look_where(b, fd, &st);
    *ret = (struct hf_judgement){.dev = hf_kernel_dev(st.st_dev), .mode = st.st_mode, .inode = st.st_ino, .ctime_ns = hf_file_state_of(&st).ctime_ns, .size = (uint64_t)st.st_size, .racy = racy};
    (void)hf_judge(b->c.seal, &in, ret, NULL);
    return 0;
}
