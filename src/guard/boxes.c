// SPDX-License-Identifier: Apache-2.0
/* Containers: facts, root directory, seal. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fs.h"
#include "base/hash.h"
#include "guard/guard-internal.h"
#include "guard/slow.h"
#include "sensor/frames.h"

#define IMAGE_NS 1000000000ull /* until then an image is known, if ever */
#define FACTS_MAX (64u << 10)
#define MOUNTINFO_MAX (4u << 20)
#define LOWER_MAX (1u << 20)

uint32_t hf_kernel_dev(uint64_t st_dev)
{
    return major(st_dev) << 20 | minor(st_dev);
}

static size_t slot(uint64_t cgroup_id)
{
    return (size_t)hf_span_hash(hf_span((const char *)&cgroup_id, sizeof cgroup_id)) % HF_BOX_SLOTS;
}

struct hf_guard_box *hf_box_of(struct hf_guard *g, uint64_t cgroup_id)
{
    struct hf_guard_box *b = g->boxes[slot(cgroup_id)];
    while (b && b->c.cgroup_id != cgroup_id)
        b = b->next;
    return b;
}

struct hf_guard_container *hf_guard_container(struct hf_guard *g, uint64_t cgroup_id)
{
    struct hf_guard_box *b = hf_box_of(g, cgroup_id);
    return b ? &b->c : NULL;
}

void hf_guard_each_container(struct hf_guard *g, void (*fn)(void *ctx, struct hf_guard *g, struct hf_guard_container *c), void *ctx)
{
    for (size_t i = 0; i < HF_BOX_SLOTS; i++)
        for (struct hf_guard_box *b = g->boxes[i], *next; b; b = next) {
            next = b->next;
            fn(ctx, g, &b->c);
        }
}

struct hf_span hf_guard_fact(const struct hf_guard_container *c, const char *name)
{
    struct hf_span rest = c->pairs, n, v;
    while (hf_event_pair(&rest, &n, &v))
        if (hf_span_eqz(n, name))
            return v;
    return hf_span(NULL, 0);
}

static void image_of(struct hf_guard_box *b)
{
    struct hf_digest d;
    struct hf_span id = b->c.image_id.n ? b->c.image_id : b->c.image_digest;
    hf_autobuf text = HF_BUF_INIT(256);
    if (id.n == 64) /* podman gives the hexadecimal part alone */
        hf_buf_addz(&text, "sha256:");
    hf_buf_adds(&text, id);
    b->image[0] = 0;
    if (hf_digest_parse(hf_buf_span(&text), &d) == 0)
        hf_digest_text(&d, b->image);
}

static struct hf_guard_box *make(struct hf_guard *g, uint64_t cgroup_id)
{
    struct hf_guard_box *b = g->n_boxes < HF_GUARD_CONTAINERS ? calloc(1, sizeof *b) : NULL;
    if (!b) {
        g->unboxed++;
        return NULL;
    }
    b->c.cgroup_id = cgroup_id;
    b->c.root_fd = -1;
    hf_buf_init(&b->text, FACTS_MAX);
    hf_buf_init(&b->lower, LOWER_MAX);
    b->born_ns = hf_boot_ns();
    b->next = g->boxes[slot(cgroup_id)];
    g->boxes[slot(cgroup_id)] = b;
    g->n_boxes++;
    return b;
}

void hf_box_facts(struct hf_guard *g, const struct hf_event *ev)
{
    struct hf_guard_box *b = hf_box_of(g, ev->h->cgroup_id);
    char before[HF_DIGEST_TEXT] = "";
    b = b ? b : make(g, ev->h->cgroup_id);
    if (!b || ev->text.n > FACTS_MAX)
        return;
    memcpy(before, b->image, sizeof before);
    hf_buf_clear(&b->text);
    hf_buf_adds(&b->text, ev->text);
    b->c.pairs = hf_buf_span(&b->text);
    const struct {
        const char *name;
        struct hf_span *to;
    } all[] = {{"id", &b->c.id}, {"name", &b->c.name}, {"image", &b->c.image}, {"image_digest", &b->c.image_digest}, {"image_id", &b->c.image_id},
            {"runtime", &b->c.runtime}, {"pod_namespace", &b->c.pod_namespace}, {"pod_name", &b->c.pod_name}};
    for (size_t i = 0; i < HF_ARRAY_LEN(all); i++)
        *all[i].to = hf_guard_fact(&b->c, all[i].name);
    b->c.privileged = hf_span_eqz(hf_guard_fact(&b->c, "privileged"), "1");
    image_of(b);
    if (strcmp(before, b->image) && b->no_seal) /* more is known now */
        b->no_seal = false;
    for (unsigned i = 0; i < g->n_modules; i++)
        if (g->modules[i].m->container_start)
            g->modules[i].m->container_start(g->modules[i].ctx, g, &b->c);
    hf_box_seal_next(g);
}

static void free_box(struct hf_guard *g, struct hf_guard_box *b)
{
    for (unsigned i = 0; i < g->n_modules; i++)
        if (g->modules[i].m->container_end)
            g->modules[i].m->container_end(g->modules[i].ctx, g, &b->c);
    hf_inuse_put(g->store, b->inuse);
    hf_seals_put(g->seals, b->c.seal);
    hf_closep(&b->c.root_fd);
    hf_buf_done(&b->text);
    hf_buf_done(&b->lower);
    free(b);
}

void hf_box_end(struct hf_guard *g, uint64_t cgroup_id)
{
    struct hf_guard_box **at = &g->boxes[slot(cgroup_id)], *b;
    while (*at && (*at)->c.cgroup_id != cgroup_id)
        at = &(*at)->next;
    b = *at;
    if (!b)
        return;
    hf_look_forget(g, cgroup_id);
    *at = b->next;
    g->n_boxes--;
    free_box(g, b);
}

void hf_boxes_done(struct hf_guard *g)
{
    for (size_t i = 0; i < HF_BOX_SLOTS; i++)
        for (struct hf_guard_box *b = g->boxes[i], *next; b; b = next) {
            next = b->next;
            free_box(g, b);
        }
    memset(g->boxes, 0, sizeof g->boxes);
}

enum hf_where hf_look_where(const struct hf_guard_box *b, int fd, const struct stat *st)
{
    uint64_t mount = hf_mount_of(fd, NULL);
    if (mount && mount == b->root_mnt)
        return HF_WHERE_ROOT;
    /* another mount of the same overlay: in a mount namespace of its own.  Other file systems hold volumes as well as the root. */
    return (b->root_overlay || !mount) && hf_kernel_dev(st->st_dev) == b->c.root_dev ? HF_WHERE_ROOT : HF_WHERE_VOLUME;
}

/* The lower directories are read while a process is there that sees them. */
static void read_lower(struct hf_guard_box *b, uint32_t pid)
{
    char path[64];
    hf_autobuf text = HF_BUF_INIT(MOUNTINFO_MAX);
    struct hf_err err = HF_ERR_INIT;
    snprintf(path, sizeof path, "/proc/%u/mountinfo", pid);
    hf_buf_clear(&b->lower);
    b->no_lower[0] = 0;
    int rc = hf_read_file(path, &text, &err);
    struct hf_mount m;
    for (struct hf_mounts all = {.rest = hf_buf_span(&text)}; rc == 0 && hf_mounts_next(&all, &m);)
        if (b->root_mnt ? m.id == b->root_mnt : hf_span_eqz(m.point, "/"))
            b->root_overlay = hf_span_eqz(m.type, "overlay");
    rc = rc < 0 ? rc : hf_overlay_lower(hf_buf_span(&text), &b->lower, &err);
    if (rc < 0) { /* a store may have the image all the same */
        hf_buf_clear(&b->lower);
        snprintf(b->no_lower, sizeof b->no_lower, "%.70s; ", err.msg);
    }
    hf_overlay_drop_init(&b->lower);
}

static void open_root(struct hf_guard *g, struct hf_guard_box *b, uint32_t pid)
{
    char path[64];
    struct statx x; /* without asking who may serve it */
    snprintf(path, sizeof path, "/proc/%u/root", pid);
    hf_autoclose int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    uint64_t mount = fd < 0 ? 0 : hf_mount_of(fd, &x);
    if (fd < 0 || !x.stx_ino || (makedev(x.stx_dev_major, x.stx_dev_minor) == g->host_root_dev && x.stx_ino == g->host_root_ino))
        return;
    b->c.root_fd = hf_take_fd(fd);
    b->c.root_dev = x.stx_dev_major << 20 | x.stx_dev_minor;
    b->root_ino = x.stx_ino;
    b->root_mnt = mount;
    b->c.pid = pid;
    read_lower(b, pid);
    for (unsigned i = 0; i < g->n_modules; i++)
        if (g->modules[i].m->container_root)
            g->modules[i].m->container_root(g->modules[i].ctx, g, &b->c);
}

void hf_box_process(struct hf_guard *g, struct hf_guard_box *b, uint32_t pid)
{
    if (b->c.root_fd >= 0)
        return;
    open_root(g, b, pid);
    if (b->c.root_fd >= 0)
        hf_box_seal_next(g);
}

void hf_guard_seen(struct hf_guard *g, uint64_t cgroup_id, uint32_t pid)
{
    struct hf_guard_box *b = hf_box_of(g, cgroup_id);
    if (b && pid)
        hf_box_process(g, b, pid);
}

static void sealed(struct hf_guard *g, struct hf_guard_box *b)
{
    b->c.sealing = false;
    if (b->c.seal && g->store)
        b->inuse = hf_inuse_get(g->store, b->image, b->c.image);
    for (unsigned i = 0; i < g->n_modules; i++)
        if (g->modules[i].m->sealed)
            g->modules[i].m->sealed(g->modules[i].ctx, g, &b->c);
    hf_look_waiting(g, b->c.cgroup_id);
}

/* A seal that is there; false when one has to be made. */
static bool find_seal(struct hf_guard *g, struct hf_guard_box *b)
{
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_seals_get(g->seals, hf_span_z(b->image), &b->c.seal, &err);
    if (rc < 0)
        snprintf(g->seal_error, sizeof g->seal_error, "a seal that is no good is replaced: %.200s", err.msg);
    if (rc == 1)
        sealed(g, b);
    return rc == 1;
}

static void give_up(struct hf_guard *g, struct hf_guard_box *b, const char *why)
{
    snprintf(g->seal_error, sizeof g->seal_error, "no seal for %.*s: %s%.110s", (int)HF_MIN(b->c.name.n, (size_t)40), b->c.name.p ? b->c.name.p : "", b->no_lower, why);
    b->no_seal = true;
    sealed(g, b);
}

/* An OCI runtime by itself names no image, then or later: whoever waits for the seal waits for nothing.  Of the others, which may still say, after a while. */
static bool names_no_image(const struct hf_guard_box *b)
{
    static const char *const alone[] = {"runc", "crun", "youki", "runsc", "kata-runtime"};
    for (size_t i = 0; i < HF_ARRAY_LEN(alone) && hf_guard_fact(&b->c, "rootfs").n; i++) /* its bundle was read */
        if (hf_span_eqz(b->c.runtime, alone[i]))
            return true;
    return hf_boot_ns() - b->born_ns > IMAGE_NS;
}

/* Finds the seal of each container that wants one, and has the first that is missing made. */
void hf_box_seal_next(struct hf_guard *g)
{
    for (size_t i = 0; i < HF_BOX_SLOTS; i++)
        for (struct hf_guard_box *b = g->boxes[i]; b; b = b->next) {
            struct hf_err err = HF_ERR_INIT;
            if (b->c.seal || b->no_seal || b->c.sealing)
                continue;
            if (!b->image[0]) {
                if (names_no_image(b))
                    give_up(g, b, "");
                continue;
            }
            if (find_seal(g, b) || b->c.root_fd < 0)
                continue;
            if (hf_seals_wait_fd(g->seals) >= 0)
                return;
            int rc = hf_seals_make(g->seals, hf_span_z(b->image), b->c.image, hf_buf_span(&b->lower), &err);
            if (rc < 0) {
                give_up(g, b, err.msg);
                continue;
            }
            b->c.sealing = true;
            struct epoll_event e = {.events = EPOLLIN, .data.fd = hf_seals_wait_fd(g->seals)};
            (void)epoll_ctl(g->epoll, EPOLL_CTL_ADD, e.data.fd, &e); /* else the next tick finds it */
            return;
        }
}

bool hf_box_reseal(struct hf_guard *g, struct hf_guard_box *b, const struct hf_err *why)
{
    char image[HF_DIGEST_TEXT];
    snprintf(g->seal_error, sizeof g->seal_error, "a seal that is no good is replaced: %.60s: %.150s", b->image, why->msg);
    if (b->resealed++ >= HF_RESEALS_MAX)
        return false;
    memcpy(image, b->image, sizeof image);
    for (size_t i = 0; i < HF_BOX_SLOTS; i++)
        for (struct hf_guard_box *o = g->boxes[i]; o; o = o->next)
            if (o->c.seal && !strcmp(o->image, image)) {
                hf_seals_put(g->seals, o->c.seal);
                o->c.seal = NULL;
            }
    hf_seals_remove(g->seals, hf_span_z(image));
    return true; /* the next tick has it made */
}

void hf_box_made(struct hf_guard *g)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_span image;
    int rc = hf_seals_made(g->seals, &image, &err);
    if (rc == 0)
        return;
    for (size_t i = 0; i < HF_BOX_SLOTS; i++)
        for (struct hf_guard_box *b = g->boxes[i]; b; b = b->next) {
            if (b->c.seal || b->no_seal || !hf_span_eqz(image, b->image))
                continue;
            b->c.sealing = false;
            if (rc < 0 || !find_seal(g, b))
                give_up(g, b, rc < 0 ? err.msg : "the seal that was made is gone");
        }
    hf_box_seal_next(g);
}
