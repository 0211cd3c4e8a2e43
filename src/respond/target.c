// SPDX-License-Identifier: Apache-2.0
#include "respond/target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fs.h"
#include "base/mem.h"
#include "event/event.h"
#include "sensor/containers/cgroup-path.h"
#include "sensor/containers/containers.h"
#include "sensor/frames.h"

#define WALK_DEPTH 16u
#define WALK_GROUPS 65536u
#define FOUND_MAX 8u       /* containers that fit, kept to be named */
#define TRIED_PROCS 32u    /* processes asked for the container's groups */
#define SETTLE_MS 400u     /* how long names are waited for that only a daemon knows */
#define PROCS_BYTES (1u << 20)

struct finder {
    const char *name;
    struct hf_hierarchy h;
    struct hf_containers *all;
    struct hf_target *found; /* FOUND_MAX */
    size_t n;
    uint64_t path_id;        /* the group at hand, and its path */
    struct hf_buf path;
    unsigned left;
    struct at {
        uint64_t id;
        char *path;
    } *paths; /* of containers' own groups */
    size_t n_paths, cap_paths;
};

static void copy(char *out, size_t size, struct hf_span s)
{
    snprintf(out, size, "%.*s", HF_SPAN_ARG(s));
}

static const char *path_of(const struct finder *f, uint64_t id)
{
    for (size_t i = 0; i < f->n_paths; i++)
        if (f->paths[i].id == id)
            return f->paths[i].path;
    return id == f->path_id ? hf_buf_z((struct hf_buf *)(uintptr_t)&f->path) : NULL;
}

static void facts(struct hf_target *t, struct hf_span pairs)
{
    struct hf_span name, value;
    uint64_t pid;
    while (hf_event_pair(&pairs, &name, &value)) {
        if (hf_span_eqz(name, "id"))
            copy(t->id, sizeof t->id, value);
        else if (hf_span_eqz(name, "name"))
            copy(t->name, sizeof t->name, value);
        else if (hf_span_eqz(name, "image"))
            copy(t->image, sizeof t->image, value);
        else if (hf_span_eqz(name, "image_digest"))
            copy(t->image_digest, sizeof t->image_digest, value);
        else if (hf_span_eqz(name, "runtime"))
            copy(t->runtime, sizeof t->runtime, value);
        else if (hf_span_eqz(name, "pod_namespace"))
            copy(t->namespace_, sizeof t->namespace_, value);
        else if (hf_span_eqz(name, "init_pid") && hf_parse_u64(value, 10, 1, INT32_MAX, &pid) == 0)
            t->init_pid = (uint32_t)pid;
    }
    t->kube_system = !strcmp(t->namespace_, "kube-system");
}

static void tell(void *ctx, struct hf_span record)
{
    struct finder *f = ctx;
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_event ev;
    if (hf_event_decode(record, &ev, &ignored) < 0 || ev.type != HF_EV_CONTAINER)
        return;
    const char *path = path_of(f, ev.h->cgroup_id);
    struct hf_target t = {.cgroup_id = ev.h->cgroup_id, .h = f->h};
    facts(&t, ev.text);
    if (!path || (strcmp(t.name, f->name) != 0 && strncmp(t.id, f->name, strlen(f->name)) != 0))
        return;
    snprintf(t.group, sizeof t.group, "%s", path);
    for (size_t i = 0; i < f->n; i++)
        if (f->found[i].cgroup_id == t.cgroup_id) { /* told again, more complete */
            f->found[i] = t;
            return;
        }
    if (f->n < FOUND_MAX)
        f->found[f->n++] = t;
}

static void group(void *ctx, uint64_t cgroup_id, uint64_t container_id, uint32_t init_pid)
{
    struct finder *f = ctx;
    (void)init_pid;
    if (!container_id || cgroup_id != container_id || cgroup_id != f->path_id || path_of(f, cgroup_id) != hf_buf_z(&f->path))
        return;
    struct at *at = hf_grow((void **)&f->paths, &f->n_paths, &f->cap_paths, sizeof *at, WALK_GROUPS);
    if (at)
        *at = (struct at){cgroup_id, hf_span_dupz(hf_buf_span(&f->path))};
    if (at && !at->path)
        f->n_paths--;
}

/* As hf_containers_walk, but the paths are needed. */
static void walk(struct finder *f, int dir_fd, uint64_t parent, unsigned depth)
{
    DIR *d = fdopendir(dir_fd);
    if (!d) {
        close(dir_fd);
        return;
    }
    for (struct dirent *e; f->left > 0 && (e = readdir(d));) {
        struct stat st;
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        int child = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child < 0)
            continue;
        if (fstat(child, &st) < 0) {
            close(child);
            continue;
        }
        f->left--;
        size_t before = f->path.n;
        hf_buf_addc(&f->path, '/');
        hf_buf_addz(&f->path, e->d_name);
        f->path_id = st.st_ino;
        if (hf_buf_ok(&f->path))
            hf_containers_made(f->all, st.st_ino, parent, hf_buf_span(&f->path), 0, 0, hf_boot_ns());
        if (depth < WALK_DEPTH && hf_buf_ok(&f->path))
            walk(f, child, st.st_ino, depth + 1);
        else
            close(child);
        f->path.n = before;
        f->path.failed = false;
    }
    closedir(d);
}

static void finder_done(struct finder *f)
{
    for (size_t i = 0; i < f->n_paths; i++)
        free(f->paths[i].path);
    free(f->paths);
    free(f->found);
    hf_containers_free(f->all);
    hf_buf_done(&f->path);
}

/* A whole name or id before a beginning. */
static int choose(struct finder *f, struct hf_target *ret, struct hf_err *err)
{
    size_t exact = 0, at = 0;
    for (size_t i = 0; i < f->n; i++)
        if (!strcmp(f->found[i].name, f->name) || !strcmp(f->found[i].id, f->name)) {
            exact++;
            at = i;
        }
    if (!f->n)
        return hf_fail(err, HF_E_NOT_FOUND, "no running container has the name or id \"%.100s\"", f->name);
    if (exact != 1 && f->n > 1) {
        hf_autobuf names = HF_BUF_INIT(4096);
        for (size_t i = 0; i < f->n; i++)
            hf_buf_addf(&names, "%s%.12s (%s)", i ? ", " : "", f->found[i].id, f->found[i].name);
        return hf_fail(err, HF_E_USAGE, "\"%.100s\" may be any of %s: say more of its id", f->name, hf_buf_z(&names));
    }
    *ret = f->found[exact == 1 ? at : 0];
    return 0;
}

int hf_target_find(const char *name, struct hf_target *ret, struct hf_err *err)
{
    hf_cleanup(finder_done) struct finder f = {.name = name, .left = WALK_GROUPS};
    if (!name[0])
        return hf_fail(err, HF_E_USAGE, "an empty name is no container");
    hf_buf_init(&f.path, 4096);
    f.found = calloc(FOUND_MAX, sizeof *f.found);
    int rc = f.found ? hf_hierarchy_find(&f.h, err) : hf_fail(err, -ENOMEM, "no memory");
    rc = rc < 0 ? rc : hf_containers_new(&f.all, tell, group, &f, NULL, err);
    if (rc < 0)
        return rc;
    int fd = open(f.h.mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return hf_fail(err, -errno, "%s: %s", f.h.mount, strerror(errno));
    walk(&f, fd, 0, 0);
    f.path_id = 0;
    for (uint64_t end = hf_boot_ns() + SETTLE_MS * 1000000ull; (!f.n || !strncmp(f.found[0].id, f.found[0].name, strlen(f.found[0].name))) && hf_boot_ns() < end;) {
        uint64_t next = hf_containers_tick(f.all, hf_boot_ns());
        if (next == UINT64_MAX)
            break;
        struct timespec nap = {0, (long)HF_MIN(next + 1000, 5000000ull)};
        nanosleep(&nap, NULL);
    }
    struct hf_target *t = calloc(1, sizeof *t); /* big, and untouched on failure */
    if (!t)
        return hf_fail(err, -ENOMEM, "no memory");
    rc = choose(&f, t, err);
    rc = rc < 0 ? rc : hf_target_groups(t, err);
    if (rc == 0)
        *ret = *t;
    free(t);
    return rc;
}

int hf_target_facts(struct hf_target *t, struct hf_err *err)
{
    hf_cleanup(finder_done) struct finder f = {.name = t->id, .h = t->h, .path_id = t->cgroup_id};
    hf_buf_init(&f.path, 4096);
    hf_buf_addz(&f.path, t->group);
    f.found = calloc(FOUND_MAX, sizeof *f.found);
    int rc = f.found ? hf_containers_new(&f.all, tell, group, &f, NULL, err) : hf_fail(err, -ENOMEM, "no memory");
    if (rc < 0)
        return rc;
    hf_containers_made(f.all, t->cgroup_id, 0, hf_span_z(t->group), 0, 0, hf_boot_ns());
    if (!f.n)
        return 0; /* none known: what is there stays */
    const struct hf_target *found = &f.found[0];
    memcpy(t->name, found->name, sizeof t->name);
    memcpy(t->image, found->image, sizeof t->image);
    memcpy(t->image_digest, found->image_digest, sizeof t->image_digest);
    memcpy(t->runtime, found->runtime, sizeof t->runtime);
    memcpy(t->namespace_, found->namespace_, sizeof t->namespace_);
    t->init_pid = found->init_pid;
    t->kube_system = found->kube_system;
    return 0;
}

static bool find_group(int dir_fd, uint64_t id, struct hf_buf *path, unsigned depth, unsigned *left)
{
    DIR *d = fdopendir(dir_fd);
    bool found = false;
    if (!d)
        close(dir_fd);
    for (struct dirent *e; d && !found && *left > 0 && (e = readdir(d));) {
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        (*left)--;
        size_t before = path->n;
        hf_buf_addc(path, '/');
        hf_buf_addz(path, e->d_name);
        found = e->d_ino == id && hf_buf_ok(path);
        int child = found || depth >= WALK_DEPTH || !hf_buf_ok(path) ? -1 : openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        found = found || (child >= 0 && find_group(child, id, path, depth + 1, left));
        if (!found) {
            path->n = before;
            path->failed = false;
        }
    }
    if (d)
        closedir(d);
    return found;
}

int hf_target_by_group(uint64_t cgroup_id, const char *id, struct hf_target *ret, struct hf_err *err)
{
    struct hf_hierarchy h;
    struct hf_cgroup_id parsed;
    hf_autobuf path = HF_BUF_INIT(4096);
    unsigned left = WALK_GROUPS;
    int rc = hf_hierarchy_find(&h, err);
    if (rc < 0)
        return rc;
    int fd = open(h.mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || !find_group(fd, cgroup_id, &path, 0, &left))
        return hf_fail(err, HF_E_NOT_FOUND, "the control group of container %.12s is gone", id);
    /* a group whose name tells nothing ("ctr run ... web") has its id from its runtime, which the sensor believed already */
    if (hf_cgroup_path_parse(hf_buf_span(&path), &parsed) && !(parsed.own && hf_span_eqz(parsed.id, id)))
        return hf_fail(err, HF_E_NOT_FOUND, "control group %llu is not that of container %.12s", (unsigned long long)cgroup_id, id);
    struct hf_target *t = calloc(1, sizeof *t);
    if (!t)
        return hf_fail(err, -ENOMEM, "no memory");
    t->cgroup_id = cgroup_id;
    t->h = h;
    snprintf(t->id, sizeof t->id, "%s", id);
    snprintf(t->name, sizeof t->name, "%.12s", id);
    snprintf(t->group, sizeof t->group, "%s", hf_buf_z(&path));
    rc = hf_target_groups(t, err);
    if (rc == 0)
        *ret = *t;
    free(t);
    return rc;
}

/* ---- its groups ---- */

static int read_proc(pid_t pid, const char *name, struct hf_buf *out)
{
    char path[64];
    struct hf_err ignored = HF_ERR_INIT;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    hf_buf_clear(out);
    return hf_read_file(path, out, &ignored);
}

static bool listed(const char *dir, pid_t pid)
{
    char path[4400];
    struct hf_err ignored = HF_ERR_INIT;
    hf_autobuf text = HF_BUF_INIT(PROCS_BYTES);
    snprintf(path, sizeof path, "%s/cgroup.procs", dir);
    if (hf_read_file(path, &text, &ignored) < 0)
        return false;
    struct hf_span rest = hf_buf_span(&text), line;
    uint64_t n;
    while (hf_span_line(&rest, &line))
        if (hf_parse_u64(line, 10, 1, INT32_MAX, &n) == 0 && n == (uint64_t)pid)
            return true;
    return false;
}

static bool within(struct hf_span path, struct hf_span group)
{
    return hf_span_eq(path, group) || hf_span_eqz(group, "/") || (hf_span_starts(path, group) && path.n > group.n && path.p[group.n] == '/');
}

/* The container's own group in another hierarchy: where a process of it is, without what it has below its own.  Only when that process
 * is really there, and the host's first process is not. */
static bool own_group(const struct hf_target *t, const struct hf_hierarchy *other, struct hf_span cgroups, struct hf_span of_first, pid_t pid, char *out, size_t size)
{
    struct hf_span here, there, first = {NULL, 0};
    struct hf_cgroup_id id;
    if (!hf_hierarchy_path(&t->h, cgroups, &here) || !hf_hierarchy_path(other, cgroups, &there) || !within(here, hf_span_z(t->group)))
        return false;
    char dir[4352];
    snprintf(dir, sizeof dir, "%s%.*s", other->mount, HF_SPAN_ARG(there));
    struct hf_span below = hf_span_from(here, strlen(t->group));
    if (below.n && hf_span_ends(there, below))
        there.n -= below.n;
    bool same = hf_span_eqz(there, t->group), named = hf_cgroup_path_parse(there, &id) && id.own && hf_span_eqz(id.id, t->id);
    if (there.n < 2 || hf_span_search(there, HF_S("/..")) != SIZE_MAX || !(same || named) || !listed(dir, pid))
        return false;
    if (hf_hierarchy_path(other, of_first, &first) && within(first, there))
        return false;
    snprintf(out, size, "%s%.*s", other->mount, HF_SPAN_ARG(there));
    return true;
}

int hf_target_groups(struct hf_target *t, struct hf_err *err)
{
    struct hf_hierarchy v2 = {.unified = true}, freezer;
    hf_autobuf cgroups = HF_BUF_INIT(65536), first = HF_BUF_INIT(65536);
    struct hf_span path;
    pid_t pids[TRIED_PROCS];
    size_t n;
    t->v2[0] = t->freezer[0] = 0;
    t->bad_group = false;
    snprintf(t->dir, sizeof t->dir, "%s%s", t->h.mount, t->group);
    int rc = hf_target_procs(t->dir, pids, TRIED_PROCS, &n, err);
    if (rc < 0 && rc != HF_E_LIMIT)
        return rc;
    if (!n)
        return hf_fail(err, HF_E_NOT_FOUND, "container %.100s has no processes: it is not running", t->name);
    snprintf(v2.mount, sizeof v2.mount, "%s", t->h.v2_mount);
    bool v1 = hf_hierarchy_controller("freezer", &freezer);
    (void)read_proc(1, "cgroup", &first);
    t->bad_group = hf_hierarchy_path(&t->h, hf_buf_span(&first), &path) && within(path, hf_span_z(t->group));
    for (size_t i = 0; i < n; i++) {
        if (read_proc(pids[i], "cgroup", &cgroups) < 0)
            continue;
        if (!t->v2[0] && v2.mount[0])
            own_group(t, &v2, hf_buf_span(&cgroups), hf_buf_span(&first), pids[i], t->v2, sizeof t->v2);
        if (!t->freezer[0] && v1)
            own_group(t, &freezer, hf_buf_span(&cgroups), hf_buf_span(&first), pids[i], t->freezer, sizeof t->freezer);
    }
    return 0;
}

/* ---- its processes ---- */

static int procs(int dir_fd, pid_t *out, size_t max, size_t *n, unsigned depth, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(PROCS_BYTES);
    int fd = openat(dir_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC), rc = 0;
    DIR *d = fdopendir(dir_fd);
    if (!d)
        close(dir_fd);
    if (fd >= 0) {
        struct hf_err gone = HF_ERR_INIT;
        rc = hf_read_fd(fd, &text, &gone); /* -ENODEV: it was removed; -EOPNOTSUPP: a threaded group, its processes are in the one above */
        rc = rc == HF_E_LIMIT ? hf_fail(err, rc, "too many processes in a control group") : 0;
        close(fd);
    }
    struct hf_span rest = hf_buf_span(&text), line;
    uint64_t pid;
    while (rc == 0 && hf_span_line(&rest, &line)) {
        if (hf_parse_u64(line, 10, 1, INT32_MAX, &pid) < 0)
            continue; /* 0: of another pid namespace */
        if (*n >= max)
            rc = hf_fail(err, HF_E_LIMIT, "more than %zu processes in the container", max);
        else
            out[(*n)++] = (pid_t)pid;
    }
    for (struct dirent *e; rc == 0 && d && (e = readdir(d));) {
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        if (depth >= WALK_DEPTH)
            rc = hf_fail(err, HF_E_LIMIT, "control groups are nested more than %u deep", WALK_DEPTH);
        int child = rc < 0 ? -1 : openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child >= 0)
            rc = procs(child, out, max, n, depth + 1, err);
    }
    if (d)
        closedir(d);
    return rc;
}

int hf_target_procs(const char *dir, pid_t *out, size_t max, size_t *ret_n, struct hf_err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *ret_n = 0;
    if (fd < 0)
        return errno == ENOENT ? 0 : hf_fail(err, -errno, "%s: %s", dir, strerror(errno));
    return procs(fd, out, max, ret_n, 0, err);
}

bool hf_target_has(const struct hf_target *t, pid_t pid)
{
    hf_autobuf cgroups = HF_BUF_INIT(65536);
    struct hf_span path;
    return read_proc(pid, "cgroup", &cgroups) == 0 && hf_hierarchy_path(&t->h, hf_buf_span(&cgroups), &path) && within(path, hf_span_z(t->group));
}

uint64_t hf_proc_start(pid_t pid)
{
    hf_autobuf stat = HF_BUF_INIT(4096);
    uint64_t start;
    if (read_proc(pid, "stat", &stat) < 0)
        return 0;
    size_t end = hf_span_rfind(hf_buf_span(&stat), ')'); /* its name may hold anything */
    if (end == SIZE_MAX)
        return 0;
    struct hf_span rest = hf_span_from(hf_buf_span(&stat), end + 2), field = {NULL, 0};
    for (unsigned i = 3; i <= 22; i++)
        if (!hf_span_cut(&rest, ' ', &field))
            return 0;
    return hf_parse_u64(field, 10, 0, UINT64_MAX, &start) == 0 ? start : 0;
}

pid_t hf_target_pid(const struct hf_target *t)
{
    pid_t one[1] = {0};
    size_t n = 0;
    struct hf_err ignored = HF_ERR_INIT;
    if (t->init_pid && hf_target_has(t, (pid_t)t->init_pid))
        return (pid_t)t->init_pid;
    int rc = hf_target_procs(t->dir, one, 1, &n, &ignored);
    return n && (rc == 0 || rc == HF_E_LIMIT) ? one[0] : 0;
}
