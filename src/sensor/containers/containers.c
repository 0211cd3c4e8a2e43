// SPDX-License-Identifier: Apache-2.0
#include "sensor/containers/containers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "sensor/containers/cgroup-path.h"
#include "sensor/containers/daemon.h"
#include "sensor/containers/facts.h"
#include "sensor/containers/maker.h"
#include "sensor/frames.h"

#define GROUPS_MAX 8192u     /* groups of containers, nested ones included */
#define FACTS_MAX 49152u     /* bytes of a container's facts: below a record's limit */
#define KEEP_NS 60000000000ull
#define ROOTS_EVERY_NS 1000000000ull
#define ASK_FROM 3u          /* attempts at the disk before a daemon is asked */
#define ASKED_MAX 16384u     /* bytes of facts that a daemon told */
#define ASK_EVERY_NS 5000000ull /* how often an answer is looked for */
#define WALK_DEPTH 12u
#define WALK_GROUPS 65536u

static const uint64_t retry_after_ns[] = {1000000, 5000000, 20000000, 100000000, 500000000, 2000000000};

#define MAKERS 16u           /* runtimes whose arguments are kept */
#define MAKER_ARGS 2048u

struct maker {
    uint32_t pid;
    uint32_t n;
    char args[MAKER_ARGS];
};

struct group {
    uint64_t id, container; /* own group of the container it is in */
    uint64_t gone_ns;       /* 0: there */
    bool used;
};

struct container {
    uint64_t cgroup_id, born_ns, next_ns; /* born_ns: when its group was made, 0: before the sensor; next_ns: when to look again, 0: not */
    uint32_t maker_pid, attempts;
    char id[160], pod_uid[80];
    char *dir; /* of the bundle, when its maker or a state told; else NULL */
    const char *runtime;
    bool has_name, has_image, found;
    bool ask;                 /* a daemon is to be asked */
    struct hf_buf told;       /* what it answered, as pairs */
    const char *name_told, *image_told; /* its sources */
    uint32_t init_pid;
};

struct hf_containers {
    hf_containers_tell tell;
    hf_containers_group group;
    void *ctx;
    struct hf_bundle_roots roots;
    uint64_t roots_ns, swept_ns;
    struct group *groups; /* open hash by id; power of two */
    struct container **all;
    size_t n_all, cap_all, n_groups;
    struct hf_buf record;
    struct hf_daemon *daemon;
    uint64_t asking; /* for this container; 0: nobody */
    struct maker *makers;
    unsigned next_maker;
};

int hf_containers_new(struct hf_containers **ret, hf_containers_tell tell, hf_containers_group group, void *ctx, const char *prefix, struct hf_err *err)
{
    struct hf_containers *t = calloc(1, sizeof *t);
    if (t) {
        t->groups = calloc(GROUPS_MAX * 2, sizeof *t->groups);
        t->makers = calloc(MAKERS, sizeof *t->makers);
    }
    if (!t || !t->groups || !t->makers) {
        if (t)
            free(t->groups);
        free(t);
        return hf_fail(err, -ENOMEM, "no memory for the table of containers");
    }
    t->tell = tell;
    t->group = group;
    t->ctx = ctx;
    t->roots.prefix = prefix ? prefix : "";
    hf_buf_init(&t->record, FACTS_MAX + 4096);
    int rc = hf_daemon_new(&t->daemon, err);
    if (rc < 0) {
        hf_containers_free(t);
        return rc;
    }
    if (!prefix)
        hf_bundle_roots_scan(&t->roots);
    *ret = t;
    return 0;
}

static void free_container(struct container *c)
{
    hf_buf_done(&c->told);
    free(c->dir);
    free(c);
}

void hf_containers_free(struct hf_containers *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_all; i++)
        free_container(t->all[i]);
    free(t->all);
    free(t->groups);
    free(t->makers);
    hf_daemon_free(t->daemon);
    hf_buf_done(&t->record);
    free(t);
}

static struct group *slot(const struct hf_containers *t, uint64_t id)
{
    size_t mask = GROUPS_MAX * 2 - 1, at = (size_t)(id * 0x9e3779b97f4a7c15ull >> 32) & mask;
    while (t->groups[at].used && t->groups[at].id != id)
        at = (at + 1) & mask;
    return &t->groups[at];
}

/* Linear probing: what follows a freed slot moves up. */
static void forget(struct hf_containers *t, uint64_t id)
{
    size_t mask = GROUPS_MAX * 2 - 1;
    struct group *g = slot(t, id);
    if (!g->used)
        return;
    size_t hole = (size_t)(g - t->groups);
    t->groups[hole].used = false;
    t->n_groups--;
    t->group(t->ctx, id, 0, 0);
    for (size_t at = (hole + 1) & mask; t->groups[at].used; at = (at + 1) & mask) {
        struct group moved = t->groups[at];
        t->groups[at].used = false;
        *slot(t, moved.id) = moved;
    }
}

uint64_t hf_containers_of(const struct hf_containers *t, uint64_t cgroup_id)
{
    const struct group *g = slot(t, cgroup_id);
    return g->used ? g->container : 0;
}

static struct container *find(const struct hf_containers *t, uint64_t container)
{
    for (size_t i = 0; i < t->n_all; i++)
        if (t->all[i]->cgroup_id == container)
            return t->all[i];
    return NULL;
}

size_t hf_containers_left_out(const struct hf_containers *t)
{
    return t->roots.left_out;
}

size_t hf_containers_count(const struct hf_containers *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_all; i++)
        n += slot(t, t->all[i]->cgroup_id)->gone_ns == 0;
    return n;
}

static bool name_taken(const struct hf_containers *t, struct hf_span id, uint64_t cgroup_id)
{
    for (size_t i = 0; i < t->n_all; i++)
        if (hf_span_eqz(id, t->all[i]->id) && t->all[i]->cgroup_id != cgroup_id)
            return true;
    return false;
}

static uint32_t pid_of(struct hf_span pairs)
{
    struct hf_span name, value;
    uint64_t pid = 0;
    while (hf_span_cut(&pairs, 0, &name) && hf_span_cut(&pairs, 0, &value))
        if (hf_span_eqz(name, "init_pid") && hf_parse_u64(value, 10, 1, UINT32_MAX, &pid) < 0)
            pid = 0;
    return (uint32_t)pid;
}

void hf_containers_runtime(struct hf_containers *t, uint32_t pid, struct hf_span args)
{
    struct hf_made ignored;
    if (args.n > MAKER_ARGS || !hf_made_by_args(args, &ignored))
        return;
    struct maker *m = &t->makers[t->next_maker++ % MAKERS];
    m->pid = pid;
    m->n = (uint32_t)args.n;
    memcpy(m->args, args.p, args.n);
}

/* The latest of this number: numbers come again. */
static struct hf_span args_of(const struct hf_containers *t, uint32_t pid)
{
    for (unsigned i = 1; pid && i <= MAKERS; i++) {
        const struct maker *m = &t->makers[(t->next_maker - i) % MAKERS];
        if (m->pid == pid)
            return hf_span(m->args, m->n);
    }
    return hf_span(NULL, 0);
}

/* What a daemon told, where the disk says nothing. */
static void add_told(const struct container *c, struct hf_bundle *b, struct hf_buf *facts)
{
    struct hf_span rest = hf_buf_span(&c->told), name, value;
    char z[256];
    while (hf_span_cut(&rest, 0, &name) && hf_span_cut(&rest, 0, &value)) {
        snprintf(z, sizeof z, "%.*s", HF_SPAN_ARG(name));
        if (!hf_fact_get(hf_buf_span(facts), z).n)
            hf_fact_add(facts, z, value);
    }
    if (c->name_told && !b->has_name) {
        b->has_name = true;
        b->name_from = c->name_told;
    }
    if (c->image_told && !b->has_image) {
        b->has_image = true;
        b->image_from = c->image_told;
    }
}

/* Looks on the disk and tells what is known. */
static void look(struct hf_containers *t, struct container *c, uint64_t now_ns)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_bundle b = {.id = hf_span_z(c->id), .runtime = c->runtime};
    hf_autobuf facts = HF_BUF_INIT(FACTS_MAX);
    if (c->dir)
        snprintf(b.dir, sizeof b.dir, "%s", c->dir);
    int rc = hf_bundle_facts(&t->roots, &b, c->maker_pid, args_of(t, c->maker_pid), &facts, &err);
    if (rc == 0 && t->roots.prefix[0] == 0 && now_ns - t->roots_ns > ROOTS_EVERY_NS) {
        t->roots_ns = now_ns; /* a daemon that was started since */
        hf_bundle_roots_scan(&t->roots);
        rc = hf_bundle_facts(&t->roots, &b, c->maker_pid, args_of(t, c->maker_pid), &facts, &err);
    }
    c->maker_pid = rc > 0 ? 0 : c->maker_pid;
    add_told(c, &b, &facts);
    bool more = (rc > 0 || c->told.n) && ((rc > 0 && !c->found) || b.has_name != c->has_name || b.has_image != c->has_image);
    hf_pairs_begin(&t->record, HF_EV_CONTAINER, c->cgroup_id);
    hf_pairs_add(&t->record, "id", hf_span_z(c->id));
    if (!b.has_name)
        hf_pairs_add(&t->record, "name", hf_span_sub(hf_span_z(c->id), 0, 12)); /* never empty */
    if (c->pod_uid[0])
        hf_pairs_add(&t->record, "pod_uid", hf_span_z(c->pod_uid));
    if (rc <= 0 && c->runtime && !hf_fact_get(hf_buf_span(&facts), "runtime").n)
        hf_pairs_add(&t->record, "runtime", hf_span_z(c->runtime));
    if (rc < 0)
        hf_pairs_add(&t->record, "unreadable", hf_span_z(err.msg));
    hf_buf_adds(&t->record, hf_buf_span(&facts));
    hf_pairs_add(&t->record, "from.name", hf_span_z(b.name_from ? b.name_from : "id"));
    if (b.image_from)
        hf_pairs_add(&t->record, "from.image", hf_span_z(b.image_from));
    if (c->born_ns) /* what was there before has no age */
        hf_pairs_addf(&t->record, "known_after_us", "%llu", (unsigned long long)((hf_boot_ns() - c->born_ns) / 1000));
    if (more || c->attempts == 0)
        t->tell(t->ctx, hf_pairs_end(&t->record));
    c->found |= rc > 0;
    c->has_name |= b.has_name;
    c->has_image |= b.has_image;
    uint32_t init = pid_of(hf_buf_span(&facts));
    if (init && init != c->init_pid) {
        c->init_pid = init;
        t->group(t->ctx, c->cgroup_id, c->cgroup_id, init);
    }
    bool complete = c->found && c->has_name && c->has_image && c->init_pid;
    c->next_ns = complete || c->attempts >= HF_ARRAY_LEN(retry_after_ns) ? 0 : now_ns + retry_after_ns[c->attempts];
    c->attempts++;
    c->ask |= c->attempts >= ASK_FROM && !(c->has_name && c->has_image); /* also again: docker answers for none that it is starting */
}

/* One container at a time: begins to ask for the next, or takes the answer.  false: nobody is asked. */
static bool ask(struct hf_containers *t, uint64_t now_ns)
{
    struct hf_span json;
    for (size_t i = 0; i < t->n_all && !hf_daemon_busy(t->daemon); i++) {
        struct container *c = t->all[i];
        if (!c->ask)
            continue;
        c->ask = false;
        if (t->roots.prefix[0] == 0 && now_ns - t->roots_ns > ROOTS_EVERY_NS) {
            t->roots_ns = now_ns;
            hf_bundle_roots_scan(&t->roots);
        }
        if (hf_daemon_ask(t->daemon, &t->roots, hf_span_z(c->id), now_ns))
            t->asking = c->cgroup_id;
    }
    if (!hf_daemon_busy(t->daemon))
        return false;
    int rc = hf_daemon_go(t->daemon, now_ns, &json);
    struct container *c = rc > 0 ? find(t, t->asking) : NULL; /* it may be gone */
    if (c) {
        struct hf_bundle b = {.id = hf_span_z(c->id), .has_name = c->has_name, .has_image = c->has_image, .has_config = c->found};
        struct hf_err ignored = HF_ERR_INIT;
        hf_buf_clear(&c->told);
        if (hf_daemon_facts(json, &b, &c->told, &ignored) < 0 || !hf_buf_ok(&c->told)) {
            hf_buf_clear(&c->told);
        } else {
            c->name_told = c->has_name ? NULL : b.name_from;
            c->image_told = c->has_image ? NULL : b.image_from;
            look(t, c, now_ns);
        }
    }
    return true;
}

static struct container *add_container(struct hf_containers *t, uint64_t cgroup_id, const struct hf_cgroup_id *id, const char *dir, uint32_t maker_pid, uint64_t born_ns)
{
    struct container **place = hf_grow((void **)&t->all, &t->n_all, &t->cap_all, sizeof *t->all, GROUPS_MAX);
    struct container *c = place ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        t->n_all -= place != NULL;
        return NULL;
    }
    *place = c;
    c->cgroup_id = cgroup_id;
    c->born_ns = born_ns;
    c->maker_pid = maker_pid;
    c->runtime = id->runtime;
    c->dir = dir ? strdup(dir) : NULL;
    hf_buf_init(&c->told, ASKED_MAX);
    snprintf(c->id, sizeof c->id, "%.*s", (int)HF_MIN(id->id.n, sizeof c->id - 1), id->id.p);
    snprintf(c->pod_uid, sizeof c->pod_uid, "%.*s", (int)HF_MIN(id->pod_uid.n, sizeof c->pod_uid - 1), id->pod_uid.p ? id->pod_uid.p : "");
    for (char *p = c->pod_uid; *p; p++)
        *p = *p == '_' ? '-' : *p;
    return c;
}

void hf_containers_made(struct hf_containers *t, uint64_t cgroup_id, uint64_t parent_id, struct hf_span path, uint32_t maker_pid, uint64_t born_ns,
        uint64_t now_ns)
{
    struct hf_cgroup_id id = {.depth = 0};
    uint64_t container = hf_containers_of(t, parent_id);
    bool own = hf_cgroup_path_parse(path, &id) && id.own && !(container && name_taken(t, id.id, cgroup_id));
    struct hf_made made = {.dir = ""};
    if (!own && !container && hf_made_find(&t->roots, path, maker_pid, args_of(t, maker_pid), &made)) { /* a name that only its maker understands */
        own = true;
        id = (struct hf_cgroup_id){.id = hf_span_z(made.id), .runtime = made.runtime, .own = true, .depth = 1};
    }
    maker_pid = container ? 0 : maker_pid; /* its arguments would be an attacker's */
    if (!own && !container)
        return;
    struct group *g = slot(t, cgroup_id);
    if (!g->used && t->n_groups >= GROUPS_MAX)
        return; /* the kernel half still has its policy; it is shown by its parent's name */
    struct container *c = NULL;
    if (own) {
        container = cgroup_id;
        c = find(t, cgroup_id);
        c = c ? c : add_container(t, cgroup_id, &id, made.dir[0] ? made.dir : NULL, maker_pid, born_ns);
    }
    if (!g->used)
        t->n_groups++;
    *g = (struct group){.id = cgroup_id, .container = container, .used = true};
    t->group(t->ctx, cgroup_id, container, 0);
    if (c && c->attempts == 0)
        look(t, c, now_ns);
}

void hf_containers_gone(struct hf_containers *t, uint64_t cgroup_id, uint64_t now_ns)
{
    struct group *g = slot(t, cgroup_id);
    if (g->used)
        g->gone_ns = now_ns;
    if (g->used && g->container == cgroup_id) {
        struct hf_wire_hdr h;
        hf_record_header(&h, HF_EV_CONTAINER_END, cgroup_id);
        h.len = sizeof h;
        t->tell(t->ctx, hf_span((const char *)&h, sizeof h));
    }
}

void hf_containers_settle(struct hf_containers *t, uint64_t cgroup_id, uint64_t now_ns)
{
    struct container *c = find(t, hf_containers_of(t, cgroup_id));
    if (c && c->next_ns && !(c->has_name && c->has_image))
        look(t, c, now_ns);
}

uint64_t hf_containers_tick(struct hf_containers *t, uint64_t now_ns)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < t->n_all;) {
        struct container *c = t->all[i];
        struct group *g = slot(t, c->cgroup_id);
        if (g->used && g->gone_ns && now_ns - g->gone_ns > KEEP_NS) {
            forget(t, c->cgroup_id);
            free_container(c);
            t->all[i] = t->all[--t->n_all];
            continue;
        }
        if (g->used && g->gone_ns) {
            next = HF_MIN(next, g->gone_ns + KEEP_NS - now_ns + 1);
            c->next_ns = 0;
        }
        if (c->next_ns && c->next_ns <= now_ns)
            look(t, c, now_ns);
        if (c->next_ns)
            next = HF_MIN(next, c->next_ns > now_ns ? c->next_ns - now_ns : 1);
        i++;
    }
    if (ask(t, now_ns))
        next = HF_MIN(next, ASK_EVERY_NS);
    if (now_ns - t->swept_ns < 1000000000ull)
        return next;
    t->swept_ns = now_ns;
    for (size_t i = 0; i < GROUPS_MAX * 2; i++) /* groups below containers */
        if (t->groups[i].used && t->groups[i].gone_ns && t->groups[i].container != t->groups[i].id && now_ns - t->groups[i].gone_ns > KEEP_NS)
            forget(t, t->groups[i--].id);
    return next;
}

/* ---- what was there before ---- */

static void walk(struct hf_containers *t, int dir_fd, struct hf_buf *path, uint64_t parent_id, unsigned depth, unsigned *left, uint64_t now_ns)
{
    DIR *d = fdopendir(dir_fd);
    if (!d) {
        close(dir_fd);
        return;
    }
    for (struct dirent *e; *left > 0 && (e = readdir(d));) {
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
        (*left)--;
        size_t before = path->n;
        hf_buf_addc(path, '/');
        hf_buf_addz(path, e->d_name);
        if (hf_buf_ok(path))
            hf_containers_made(t, st.st_ino, parent_id, hf_buf_span(path), 0, 0, now_ns); /* kernfs: the inode number is the group's id */
        if (depth < WALK_DEPTH && hf_buf_ok(path))
            walk(t, child, path, st.st_ino, depth + 1, left, now_ns); /* takes child */
        else
            close(child);
        path->n = before;
    }
    closedir(d);
}

void hf_containers_walk(struct hf_containers *t, const char *mount, uint64_t now_ns)
{
    hf_autobuf path = HF_BUF_INIT(8192);
    unsigned left = WALK_GROUPS;
    int fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        walk(t, fd, &path, 0, 0, &left, now_ns);
}
