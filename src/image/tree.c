/* SPDX-License-Identifier: Apache-2.0 */
#include "image/tree.h"

#include <errno.h>
#include <sys/stat.h>

#include "image/winpax.h"

struct node {
    struct hf_span path;
    uint32_t parent, first_child, next_sibling; /* 0: none; node 0 is the root */
    uint32_t layer;
    uint32_t swept; /* 1 + the last layer that hid all below */
    uint32_t package; /* 1 + index */
    enum hf_log_type type;
    bool there, implied;
    struct hf_span link;
    struct hf_meta meta;
};

struct hf_tree {
    struct hf_arena arena;
    struct node *v;
    size_t n, cap, max;
    struct hf_map by_path;
    const struct hf_package **packages;
    size_t n_packages, cap_packages;
    struct hf_map by_package; /* address as given -> 1 + index */
    bool fold;                /* by_path has names in one case */
    struct hf_buf folded;
    size_t dangling;
};

struct hf_tree *hf_tree_new(size_t max_bytes)
{
    struct hf_tree *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    hf_arena_init(&t->arena, max_bytes / 2);
    t->max = HF_MAX(max_bytes / 2 / (sizeof(struct node) + 2 * sizeof(struct hf_map_slot)), (size_t)2);
    if (!hf_grow((void **)&t->v, &t->n, &t->cap, sizeof *t->v, t->max)) {
        free(t);
        return NULL;
    }
    t->v[0].there = true;
    t->v[0].type = HF_LOG_DIR;
    hf_buf_init(&t->folded, 64 << 10);
    return t;
}

void hf_tree_ignore_case(struct hf_tree *t)
{
    t->fold = true;
}

/* As by_path has it; good for until the next call. */
static struct hf_span key_of(struct hf_tree *t, struct hf_span path)
{
    if (!t->fold)
        return path;
    hf_buf_clear(&t->folded);
    hf_win_fold(path, &t->folded);
    return hf_buf_span(&t->folded);
}

void hf_tree_free(struct hf_tree *t)
{
    if (!t)
        return;
    hf_arena_done(&t->arena);
    hf_map_done(&t->by_path);
    hf_map_done(&t->by_package);
    hf_buf_done(&t->folded);
    free(t->v);
    free(t->packages);
    free(t);
}

/* The node of path, made with its ancestors when missing; UINT32_MAX without room. */
static uint32_t node_at(struct hf_tree *t, struct hf_span path)
{
    uint64_t at;
    uint32_t parent = 0;
    struct hf_span copy, key = key_of(t, path);
    if (!path.n)
        return 0;
    if (hf_map_get(&t->by_path, key, &at))
        return (uint32_t)at;
    if (hf_arena_dup(&t->arena, path, &copy) < 0 || (t->fold && hf_arena_dup(&t->arena, key, &key) < 0))
        return UINT32_MAX;
    key = t->fold ? key : copy;
    for (size_t i = 1; i <= copy.n; i++) { /* folding changes no length */
        bool fresh;
        if (i < copy.n && copy.p[i] != '/')
            continue;
        uint64_t *slot = hf_map_at(&t->by_path, hf_span(key.p, i), &fresh);
        if (!slot)
            return UINT32_MAX;
        if (!fresh) {
            parent = (uint32_t)*slot;
            continue;
        }
        *slot = t->n;
        struct node *x = hf_grow((void **)&t->v, &t->n, &t->cap, sizeof *x, t->max);
        if (!x)
            return UINT32_MAX;
        x->path = hf_span(copy.p, i);
        if (t->fold && t->v[parent].path.n) /* below a folder as that was spelled first */
            memmove((char *)(uintptr_t)copy.p, t->v[parent].path.p, t->v[parent].path.n);
        x->parent = parent;
        x->next_sibling = t->v[parent].first_child;
        t->v[parent].first_child = (uint32_t)(t->n - 1);
        parent = (uint32_t)(t->n - 1);
    }
    return parent;
}

static void hide_one(struct node *x, uint32_t layer)
{
    if (x->layer < layer)
        x->there = false;
}

/* Hides what lower layers have at (self) and below a node; what was gone through once for a layer is not again. */
static void hide(struct hf_tree *t, uint32_t top, uint32_t layer, bool self)
{
    if (self)
        hide_one(&t->v[top], layer);
    if (t->v[top].swept == layer + 1)
        return;
    t->v[top].swept = layer + 1;
    uint32_t at = t->v[top].first_child;
    while (at) {
        bool fresh = t->v[at].swept != layer + 1;
        hide_one(&t->v[at], layer);
        t->v[at].swept = layer + 1;
        if (fresh && t->v[at].first_child) {
            at = t->v[at].first_child;
            continue;
        }
        while (at != top && !t->v[at].next_sibling)
            at = t->v[at].parent;
        if (at == top)
            break;
        at = t->v[at].next_sibling;
    }
}

/* What lies below something that is no directory any more, in this layer too: a name that occurs twice. */
static void no_directory(struct hf_tree *t, uint32_t top, uint32_t layer)
{
    bool was = t->v[top].there && t->v[top].type == HF_LOG_DIR && t->v[top].layer == layer;
    hide(t, top, layer, true);
    if (!was)
        return;
    for (uint32_t at = t->v[top].first_child; at;) {
        t->v[at].there = false;
        if (t->v[at].first_child) {
            at = t->v[at].first_child;
            continue;
        }
        while (at != top && !t->v[at].next_sibling)
            at = t->v[at].parent;
        at = at == top ? 0 : t->v[at].next_sibling;
    }
}

/* Directories above an entry exist, whether a layer lists them or not. */
static void imply(struct hf_tree *t, uint32_t at, uint32_t layer)
{
    for (uint32_t up = t->v[at].parent; up; up = t->v[up].parent) {
        struct node *x = &t->v[up];
        if (x->there && (x->type == HF_LOG_DIR || x->type == HF_LOG_SYMLINK))
            return;
        *x = (struct node){.path = x->path, .parent = x->parent, .first_child = x->first_child, .next_sibling = x->next_sibling, .layer = layer, .swept = x->swept,
                .type = HF_LOG_DIR, .there = true, .implied = true, .meta = {.mode = S_IFDIR | 0755}};
    }
}

static int place(struct hf_tree *t, const struct hf_log_entry *e, const struct hf_meta *m, uint32_t layer)
{
    uint32_t at = node_at(t, e->path), target = 0;
    if (at == UINT32_MAX)
        return HF_E_LIMIT;
    if (at == 0)
        return 0;
    struct node from = {.type = e->type, .meta = *m};
    if (e->type == HF_LOG_HARDLINK) {
        uint64_t found;
        target = hf_map_get(&t->by_path, key_of(t, e->target), &found) ? (uint32_t)found : 0;
        if (!target || !t->v[target].there || t->v[target].type == HF_LOG_DIR) {
            t->dangling++;
            return 0;
        }
        if (target == at)
            return 0;
        from = t->v[target];
        if (m->entry && from.type == HF_LOG_FILE) { /* the header of a link counts for the file, as runtimes unpack it */
            from.meta.mode = (from.meta.mode & S_IFMT) | (m->mode & 07777);
            from.meta.uid = m->uid;
            from.meta.gid = m->gid;
            from.meta.windows = m->windows.n ? m->windows : from.meta.windows;
            from.meta.caps = m->caps; /* a change of owner takes capabilities away, also to the same owner */
            t->v[target].meta = from.meta;
        }
    }
    if (e->type != HF_LOG_DIR)
        no_directory(t, at, layer);
    struct node *x = &t->v[at];
    x->there = true;
    x->implied = false;
    x->layer = layer;
    x->type = from.type;
    x->link = from.link;
    x->meta = from.meta;
    if (e->type == HF_LOG_SYMLINK && hf_arena_dup(&t->arena, e->target, &x->link) < 0)
        return HF_E_LIMIT;
    if (e->type != HF_LOG_SYMLINK && e->type != HF_LOG_HARDLINK)
        x->link = hf_span("", 0);
    imply(t, at, layer);
    return 0;
}

static int entries(struct hf_tree *t, const struct hf_record *r, struct hf_log_iter *it, uint32_t layer)
{
    struct hf_meta_iter metas = {.r = r};
    struct hf_meta m;
    struct hf_log_entry e;
    uint64_t entry = 0;
    int rc = hf_meta_next(&metas, &m), more;
    bool have = rc == 1;
    while (rc >= 0 && (more = hf_log_next(it, &e)) != 0) {
        struct hf_meta none = {.entry = 0};
        bool mine = have && m.entry == ++entry;
        if (more < 0)
            return more;
        if (e.type == HF_LOG_WHITEOUT || e.type == HF_LOG_OPAQUE) {
            uint64_t at = 0;
            if (!e.path.n || hf_map_get(&t->by_path, key_of(t, e.path), &at))
                hide(t, (uint32_t)at, layer, e.type == HF_LOG_WHITEOUT && at);
            entry += !have;
            continue;
        }
        if (!have)
            entry++;
        if (!mine && e.type != HF_LOG_HARDLINK)
            return HF_E_UNSUPPORTED;
        rc = place(t, &e, mine ? &m : &none, layer);
        if (mine && rc >= 0) {
            rc = hf_meta_next(&metas, &m);
            have = rc == 1;
        }
    }
    return rc;
}

int hf_tree_add(struct hf_tree *t, const struct hf_record *r, uint32_t layer, struct hf_err *err)
{
    if (!r->has_meta || r->meta_lost || r->unlogged)
        return hf_fail(err, HF_E_UNSUPPORTED, "layer %u: not every file of it could be read and noted%s", layer + 1, r->unlogged ? "; raise --max-memory" : "");
    struct hf_log_iter it;
    hf_log_iter_init(&it, r);
    int rc = entries(t, r, &it, layer);
    hf_log_iter_done(&it);
    if (rc == HF_E_LIMIT)
        return hf_fail(err, rc, "the list of files is over the memory limit; raise --max-memory");
    return rc < 0 ? hf_fail(err, rc, "layer %u: damaged record", layer + 1) : 0;
}

static uint32_t package_index(struct hf_tree *t, const struct hf_package *p)
{
    uint64_t at;
    struct hf_span copy, key = hf_span((const char *)&p, sizeof p); /* packages stay where they are while files are joined */
    if (hf_map_get(&t->by_package, key, &at))
        return (uint32_t)at;
    struct hf_package *own = hf_arena_alloc(&t->arena, sizeof *own);
    uint64_t *slot = own && hf_arena_dup(&t->arena, key, &copy) >= 0 ? hf_map_at(&t->by_package, copy, NULL) : NULL;
    const struct hf_package **v = slot ? hf_grow((void **)&t->packages, &t->n_packages, &t->cap_packages, sizeof(void *), 1 << 20) : NULL;
    if (!v)
        return 0;
    *own = *p;
    *v = own;
    *slot = t->n_packages;
    return (uint32_t)*slot;
}

int hf_tree_own(struct hf_tree *t, struct hf_span dir, struct hf_span name, const struct hf_package *p)
{
    char text[8200];
    uint64_t at;
    size_t n = dir.n;
    if (dir.n + name.n + 1 > sizeof text)
        return 0;
    if (n) {
        memcpy(text, dir.p, n);
        text[n++] = '/';
    }
    if (name.n)
        memcpy(text + n, name.p, name.n);
    if (!hf_map_get(&t->by_path, key_of(t, hf_span(text, n + name.n)), &at) || !t->v[at].there || t->v[at].type == HF_LOG_DIR)
        return 0;
    t->v[at].package = package_index(t, p);
    return t->v[at].package ? 0 : HF_E_LIMIT;
}

int hf_tree_next(const struct hf_tree *t, size_t *at, struct hf_tree_entry *ret)
{
    while (++*at < t->n) {
        const struct node *x = &t->v[*at];
        if (!x->there)
            continue;
        *ret = (struct hf_tree_entry){x->path, x->type, x->link, x->meta, x->layer, x->implied, x->package ? t->packages[x->package - 1] : NULL};
        return 1;
    }
    return 0;
}

size_t hf_tree_dangling(const struct hf_tree *t)
{
    return t->dangling;
}
