// SPDX-License-Identifier: Apache-2.0
/* The containers, and which control groups belong to them. */
#include <errno.h>

#include "event/track-internal.h"

#define KEEP_ENDED_NS 60000000000ull

static struct hf_group *slot(const struct hf_track *t, uint64_t id)
{
    size_t at = (size_t)hf_track_hash(&id, sizeof id) & t->groups_mask;
    for (size_t i = 0; i < 32; i++, at = (at + 1) & t->groups_mask)
        if (!t->groups[at].box || t->groups[at].id == id)
            return &t->groups[at];
    return NULL;
}

struct hf_box *hf_track_box_of(const struct hf_track *t, uint64_t cgroup_id)
{
    const struct hf_group *g = cgroup_id ? slot(t, cgroup_id) : NULL;
    return g && g->box && g->id == cgroup_id ? g->box : NULL;
}

static void put_group(struct hf_track *t, uint64_t id, struct hf_box *box)
{
    struct hf_group *g = slot(t, id);
    if (!g) /* crowded: the first in line gives way */
        g = &t->groups[(size_t)hf_track_hash(&id, sizeof id) & t->groups_mask];
    g->id = id;
    g->box = box;
}

/* Removing leaves holes that end a search early; with the table a quarter full and 32 looks that costs at most a name. */
static void drop_groups(struct hf_track *t, const struct hf_box *box)
{
    for (size_t i = 0; i <= t->groups_mask; i++)
        if (t->groups[i].box == box)
            t->groups[i] = (struct hf_group){0, NULL};
    /* what was pushed further by the holes comes back to where it is looked for */
    for (size_t i = 0; i <= t->groups_mask; i++) {
        struct hf_group g = t->groups[i];
        if (!g.box)
            continue;
        t->groups[i].box = NULL;
        put_group(t, g.id, g.box);
    }
}

static void drop_box(struct hf_track *t, struct hf_box *box)
{
    struct hf_box **at = &t->boxes;
    while (*at && *at != box)
        at = &(*at)->next;
    if (*at)
        *at = box->next;
    drop_groups(t, box);
    free(box->text);
    free(box);
    t->n_boxes--;
}

/* Ended containers that no process refers to any more, after a minute or when room is needed. */
static bool reclaim(struct hf_track *t, uint64_t now_ns, bool needed)
{
    struct hf_box *oldest = NULL;
    for (struct hf_box *b = t->boxes; b; b = b->next) {
        if (!b->ended_boot_ns || b->procs || (!needed && now_ns - b->ended_boot_ns < KEEP_ENDED_NS))
            continue;
        if (!oldest || b->ended_boot_ns < oldest->ended_boot_ns)
            oldest = b;
    }
    if (oldest)
        drop_box(t, oldest);
    return oldest != NULL;
}

static struct hf_box *add_box(struct hf_track *t, uint64_t cgroup_id, uint64_t now_ns)
{
    while (t->n_boxes >= t->max.max_containers)
        if (!reclaim(t, now_ns, true))
            return NULL;
    (void)reclaim(t, now_ns, false);
    struct hf_box *b = hf_alloc_fails() ? NULL : calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->c.cgroup_id = cgroup_id;
    b->c.caps = ~0ull;
    b->c.index = ++t->next_index;
    b->next = t->boxes;
    t->boxes = b;
    t->n_boxes++;
    put_group(t, cgroup_id, b);
    return b;
}

static void set_fact(struct hf_container *c, struct hf_span name, struct hf_span value)
{
    struct {
        const char *name;
        struct hf_span *to;
    } texts[] = {
            {"id", &c->id}, {"name", &c->name}, {"image", &c->image}, {"image_digest", &c->image_digest}, {"image_id", &c->image_id},
            {"runtime", &c->runtime}, {"pod_name", &c->pod_name}, {"pod_namespace", &c->pod_namespace}, {"pod_uid", &c->pod_uid},
            {"k8s_container", &c->k8s_container}, {"user", &c->user}, {"hostname", &c->hostname}, {"rootfs", &c->rootfs},
    };
    struct {
        const char *name;
        bool *to;
    } flags[] = {{"privileged", &c->privileged}, {"host_net", &c->host_net}, {"host_pid", &c->host_pid}, {"host_ipc", &c->host_ipc}};
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
        if (hf_span_eqz(name, texts[i].name))
            *texts[i].to = value;
    for (size_t i = 0; i < HF_ARRAY_LEN(flags); i++)
        if (hf_span_eqz(name, flags[i].name))
            *flags[i].to = hf_span_eqz(value, "1");
    uint64_t n = 0;
    if (hf_span_eqz(name, "caps") && hf_parse_u64(value, 16, 0, UINT64_MAX, &n) == 0)
        c->caps = n;
    if (hf_span_eqz(name, "started_ns") && hf_parse_u64(value, 10, 0, UINT64_MAX, &n) == 0)
        c->started_ns = n;
    if (hf_span_eqz(name, "command") || hf_span_eqz(name, "rootfs"))
        c->known = true;
}

static int facts(struct hf_track *t, struct hf_event *ev)
{
    struct hf_box *b = hf_track_box_of(t, ev->h->cgroup_id);
    bool is_new = !b || b->c.cgroup_id != ev->h->cgroup_id;
    if (is_new)
        b = add_box(t, ev->h->cgroup_id, ev->h->time_ns);
    char *text = b && !hf_alloc_fails() ? malloc(ev->text.n ? ev->text.n : 1) : NULL;
    if (!text)
        return -ENOMEM;
    if (ev->text.n)
        memcpy(text, ev->text.p, ev->text.n);
    char *before = b->text; /* what b->c still refers to */
    b->text = text;
    struct hf_container c = {.cgroup_id = b->c.cgroup_id, .caps = ~0ull, .index = b->c.index, .started_ns = b->c.started_ns, .pairs = hf_span(text, ev->text.n)};
    struct hf_span rest = c.pairs, name, value;
    while (hf_event_pair(&rest, &name, &value))
        set_fact(&c, name, value);
    if (!c.started_ns)
        c.started_ns = ev->time_ns;
    bool better = !hf_span_eq(c.name, b->c.name) || !hf_span_eq(c.image, b->c.image); /* found later than its id */
    free(before);
    b->c = c;
    ev->container = &b->c;
    return is_new || better;
}

int hf_track_container_event(struct hf_track *t, struct hf_event *ev)
{
    if (ev->type == HF_EV_CONTAINER)
        return facts(t, ev);
    if (ev->type == HF_EV_CONTAINER_END) {
        struct hf_box *b = hf_track_box_of(t, ev->h->cgroup_id);
        if (!b)
            return 0;
        b->c.ended_ns = ev->time_ns;
        b->ended_boot_ns = ev->h->time_ns ? ev->h->time_ns : 1;
        ev->container = &b->c;
        return 1;
    }
    if (ev->u.cgroup.op == HF_CGROUP_MKDIR && !hf_track_box_of(t, ev->u.cgroup.id)) {
        struct hf_box *up = hf_track_box_of(t, ev->u.cgroup.parent_id);
        if (up)
            put_group(t, ev->u.cgroup.id, up);
    }
    return 1;
}

void hf_track_boxes_done(struct hf_track *t)
{
    for (struct hf_box *b = t->boxes, *next; b; b = next) {
        next = b->next;
        free(b->text);
        free(b);
    }
}

const struct hf_container *hf_track_container(const struct hf_track *t, uint64_t cgroup_id)
{
    const struct hf_box *b = hf_track_box_of(t, cgroup_id);
    return b ? &b->c : NULL;
}

const struct hf_container *hf_track_container_by_id(const struct hf_track *t, struct hf_span prefix)
{
    for (const struct hf_box *b = t->boxes; b && prefix.n; b = b->next)
        if (hf_span_starts(b->c.id, prefix) || hf_span_eq(b->c.name, prefix))
            return &b->c;
    return NULL;
}

void hf_track_each_container(const struct hf_track *t, bool (*fn)(void *ctx, const struct hf_container *c), void *ctx)
{
    for (const struct hf_box *b = t->boxes; b; b = b->next)
        if (!fn(ctx, &b->c))
            return;
}
