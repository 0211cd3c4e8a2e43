/* SPDX-License-Identifier: Apache-2.0 */
#include "image/merge.h"

#include <errno.h>
#include <stdio.h>

#include "image/tar-walk.h"
#include "packages/gosymbols.h"

enum {
    MAX_NODES = 4 << 20,
    MAX_MARKS = 4096,
    MAX_LINK_STEPS = 40, /* as the kernel (path_resolution(7)) */
    MAX_LINK_WORK = 128 << 20, /* bytes of paths gone through to resolve directories: real images need some MiB */
    NEAR_LOCATIONS = 16,
    MAX_OWNERS = 16, /* of one package's places; with more it counts as nobody's, that is, it is reported */
};

/* A path that matters: a file with facts, a symbolic link, or a directory above one of these. */
struct node {
    struct hf_span path;
    uint32_t parent, first_child, next_sibling; /* 0: none; node 0 is the root */
    uint32_t layer, file;                       /* winner with facts; file UINT32_MAX: none */
    uint32_t link_layer;
    struct hf_span link;                        /* symbolic link's text; p NULL: not a link */
    uint32_t swept;                             /* 1 + the last layer that hid all below */
    uint32_t cand, cand_layer;                  /* 1 + index of the last file with facts of this path in the layer being applied */
    const struct hf_package *owner;             /* OS package that lists this path */
};
/* A directory as package databases write it, and where it is after its links were followed. */
struct real_dir {
    struct hf_span path;
    uint32_t node; /* UINT32_MAX: nothing that matters lies there */
};

struct merge {
    struct hf_scan *scan;
    struct hf_tree *tree;
    const struct hf_record *const *records;
    size_t n;
    bool has_layers;
    struct node *v;
    size_t n_nodes, cap_nodes, max_nodes;
    struct hf_map by_path;
    struct hf_map dirs; /* directory as written -> index in resolved + 1 */
    struct real_dir *resolved;
    size_t n_resolved, cap_resolved;
    size_t link_work;
    bool tangled; /* some directory was not resolved for its cost */
    struct hf_span last_dir; /* the last one asked for: files of one directory follow each other */
    size_t last_resolved;
    bool any_dir_link, starved; /* starved: an owner or a licence was lost for want of memory */
};

static int out_of_room(struct hf_err *err)
{
    return hf_fail(err, HF_E_LIMIT, "the merged image is over the memory limit; raise --max-memory");
}

/* The node of path, made with its ancestors when missing; UINT32_MAX without room.  path must outlive the merge. */
static uint32_t node_at(struct merge *m, struct hf_span path)
{
    uint64_t at;
    if (path.n == 0)
        return 0;
    if (hf_map_get(&m->by_path, path, &at))
        return (uint32_t)at;
    /* Ancestors first, from the longest known one down, without recursion. */
    uint32_t parent = 0;
    for (size_t i = 1; i <= path.n; i++) {
        if (i < path.n && path.p[i] != '/')
            continue;
        struct hf_span sub = hf_span(path.p, i);
        bool fresh;
        uint64_t *slot = hf_map_at(&m->by_path, sub, &fresh);
        if (!slot)
            return UINT32_MAX;
        if (!fresh) {
            parent = (uint32_t)*slot;
            continue;
        }
        *slot = m->n_nodes;
        struct node *x = hf_grow((void **)&m->v, &m->n_nodes, &m->cap_nodes, sizeof *x, m->max_nodes);
        if (!x)
            return UINT32_MAX;
        x->path = sub;
        x->parent = parent;
        x->file = UINT32_MAX;
        x->next_sibling = m->v[parent].first_child;
        m->v[parent].first_child = (uint32_t)(m->n_nodes - 1);
        parent = (uint32_t)(m->n_nodes - 1);
    }
    return parent;
}

static void hide_one(struct node *x, uint32_t layer)
{
    if (x->file != UINT32_MAX && x->layer < layer)
        x->file = UINT32_MAX;
    if (x->link.p && x->link_layer < layer)
        x->link.p = NULL;
}

/* Hides what lower layers have at and below a node.  A layer may say so of the same directory any number of times: what was gone
 * through once for it is not again. */
static void hide(struct merge *m, uint32_t top, uint32_t layer, bool self)
{
    if (self)
        hide_one(&m->v[top], layer);
    if (m->v[top].swept == layer + 1)
        return;
    m->v[top].swept = layer + 1;
    uint32_t at = m->v[top].first_child;
    while (at) {
        hide_one(&m->v[at], layer);
        bool fresh = m->v[at].swept != layer + 1;
        m->v[at].swept = layer + 1;
        if (fresh && m->v[at].first_child) {
            at = m->v[at].first_child;
            continue;
        }
        while (at != top && !m->v[at].next_sibling)
            at = m->v[at].parent;
        if (at == top)
            break;
        at = m->v[at].next_sibling;
    }
}

/* First pass: nodes for all files with facts and all symbolic links of all layers. */
static int collect(struct merge *m, struct hf_err *err)
{
    if (!hf_grow((void **)&m->v, &m->n_nodes, &m->cap_nodes, sizeof *m->v, m->max_nodes))
        return out_of_room(err);
    m->v[0].file = UINT32_MAX;
    for (size_t l = 0; l < m->n; l++) {
        const struct hf_record *r = m->records[l];
        for (size_t i = 0; i < r->n_files; i++)
            if (node_at(m, r->files[i].path) == UINT32_MAX)
                return out_of_room(err);
        struct hf_log_iter it;
        struct hf_log_entry e;
        int rc;
        hf_log_iter_init(&it, r);
        while ((rc = hf_log_next(&it, &e)) == 1) {
            if (e.type != HF_LOG_SYMLINK)
                continue;
            uint64_t at;
            struct hf_span copy = e.path;
            if (!hf_map_get(&m->by_path, e.path, &at) &&
                    (hf_arena_dup(&m->scan->arena, e.path, &copy) < 0 || node_at(m, copy) == UINT32_MAX)) {
                rc = HF_E_LIMIT;
                break;
            }
        }
        hf_log_iter_done(&it);
        if (rc < 0)
            return rc == HF_E_LIMIT ? out_of_room(err) : hf_fail(err, rc, "layer %zu: damaged record", l);
    }
    return 0;
}

/* Files of a record: the last one of equal names wins, as when unpacking.  Files that exist only to carry an incomplete record are
 * found too; they hide nothing by themselves. */
static void mark_files(struct merge *m, uint32_t layer)
{
    const struct hf_record *r = m->records[layer];
    for (size_t i = 0; i < r->n_files; i++) {
        uint64_t at;
        if (!hf_map_get(&m->by_path, r->files[i].path, &at))
            continue;
        struct node *x = &m->v[at];
        if (x->cand && x->cand_layer == layer && r->files[x->cand - 1].entry > r->files[i].entry)
            continue;
        x->cand = (uint32_t)i + 1;
        x->cand_layer = layer;
    }
}

/* The node of a path met in a log, where it matters.  Most files lie in directories without any such, so the directory is looked up
 * once for all its files. */
struct finder {
    struct hf_buf dir;
    bool known, matters;
};

static bool find_node(const struct merge *m, struct finder *f, struct hf_span path, uint64_t *ret)
{
    *ret = 0;
    if (!path.n)
        return true;
    struct hf_span dir = hf_span_dirname(path);
    if (!f->known || !hf_span_eq(dir, hf_buf_span(&f->dir))) {
        uint64_t at = 0;
        hf_buf_clear(&f->dir);
        hf_buf_adds(&f->dir, dir);
        f->known = hf_buf_ok(&f->dir); /* without memory it is looked up again for the next file */
        f->matters = (!dir.n || hf_map_get(&m->by_path, dir, &at)) && m->v[at].first_child;
    }
    return f->matters && hf_map_get(&m->by_path, path, ret);
}

static int apply_layer(struct merge *m, uint32_t layer, struct hf_err *err)
{
    const struct hf_record *r = m->records[layer];
    struct hf_log_iter it;
    struct hf_log_entry e;
    struct finder finder = {.dir = HF_BUF_INIT(8192)};
    uint64_t entry = 0;
    int rc;
    mark_files(m, layer);
    hf_log_iter_init(&it, r);
    while ((rc = hf_log_next(&it, &e)) == 1) {
        uint64_t at;
        entry++;
        if (!find_node(m, &finder, e.path, &at))
            continue;
        struct node *x = &m->v[at];
        switch (e.type) {
        case HF_LOG_WHITEOUT:
            hide(m, (uint32_t)at, layer, true);
            break;
        case HF_LOG_OPAQUE:
            hide(m, (uint32_t)at, layer, false);
            break;
        case HF_LOG_DIR:
            hide_one(x, layer);
            break;
        case HF_LOG_SYMLINK:
            hide(m, (uint32_t)at, layer, true);
            x->file = UINT32_MAX;
            x->link = hf_span(e.target.n ? e.target.p : "", e.target.n);
            x->link_layer = layer;
            break;
        case HF_LOG_FILE:
        case HF_LOG_HARDLINK:
        case HF_LOG_OTHER:
        default:
            hide(m, (uint32_t)at, layer, true);
            x->link.p = NULL;
            x->file = UINT32_MAX;
            /* facts of the file that this entry is; those of one that it replaced are gone (without a whole log there is no telling) */
            if (e.type != HF_LOG_OTHER && x->cand && x->cand_layer == layer && (r->unlogged || r->files[x->cand - 1].entry == entry)) {
                x->layer = layer;
                x->file = x->cand - 1;
            }
            break;
        }
    }
    hf_log_iter_done(&it);
    hf_buf_done(&finder.dir);
    return rc < 0 ? hf_fail(err, rc, "layer %u: damaged record", layer) : 0;
}

/* --- link resolution on the merged tree --- */

/* path with every link but (unless follow_last) the last component followed, into out.  false: loop, or too long. */
static bool resolve(struct merge *m, struct hf_span path, bool follow_last, struct hf_buf *out)
{
    hf_autobuf rest = HF_BUF_INIT(64 << 10), next = HF_BUF_INIT(64 << 10);
    unsigned steps = 0;
    /* All room at once: what fails later is a path that is too long, not memory. */
    if (!hf_buf_reserve(&rest, rest.max) || !hf_buf_reserve(&next, next.max) || !hf_buf_reserve(out, out->max)) {
        m->starved = true;
        return false;
    }
    hf_buf_adds(&rest, path);
    hf_buf_clear(out);
    size_t at = 0;
    while (at < rest.n && hf_buf_ok(out)) {
        struct hf_span left = hf_span(rest.p + at, rest.n - at), part;
        size_t slash = hf_span_find(left, '/');
        part = hf_span_sub(left, 0, slash);
        at += part.n + (slash != SIZE_MAX);
        bool last = at >= rest.n;
        if (part.n == 0 || hf_span_eqz(part, "."))
            continue;
        size_t before = out->n;
        if (hf_span_eqz(part, "..")) {
            size_t cut = hf_span_rfind(hf_buf_span(out), '/');
            out->n = cut == SIZE_MAX ? 0 : cut;
            continue;
        }
        if (out->n)
            hf_buf_addc(out, '/');
        hf_buf_adds(out, part);
        uint64_t i;
        if ((last && !follow_last) || !hf_map_get(&m->by_path, hf_buf_span(out), &i) || !m->v[i].link.p)
            continue;
        if (++steps > MAX_LINK_STEPS)
            return false;
        m->link_work += rest.n;
        if (m->link_work > MAX_LINK_WORK) {
            m->tangled = true;
            return false;
        }
        struct hf_span link = m->v[i].link;
        out->n = link.n && link.p[0] == '/' ? 0 : before;
        hf_buf_clear(&next);
        hf_buf_adds(&next, link);
        hf_buf_addc(&next, '/');
        hf_buf_add(&next, rest.p + at, rest.n - at);
        if (!hf_buf_ok(&next))
            return false;
        struct hf_buf swap = rest;
        rest = next;
        next = swap;
        at = 0;
    }
    return hf_buf_ok(out) && hf_buf_ok(&rest);
}

/* Where a directory is after its links were followed.  Directories repeat, so the answer is kept; NULL without room. */
static const struct real_dir *real_dir(struct merge *m, struct hf_span dir)
{
    if (m->last_resolved && hf_span_eq(dir, m->last_dir))
        return &m->resolved[m->last_resolved - 1];
    bool fresh;
    uint64_t *slot = hf_map_at(&m->dirs, dir, &fresh);
    if (!slot) {
        m->starved = true;
        return NULL;
    }
    if (fresh) {
        hf_autobuf out = HF_BUF_INIT(64 << 10);
        uint64_t at = 0;
        struct real_dir *r = hf_grow((void **)&m->resolved, &m->n_resolved, &m->cap_resolved, sizeof *r, MAX_NODES);
        *slot = m->n_resolved;
        if (!r) {
            *slot = 0;
            m->starved = true;
            return NULL;
        }
        r->path = dir;
        if (m->any_dir_link && resolve(m, dir, true, &out) && !hf_span_eq(hf_buf_span(&out), dir) &&
                hf_arena_dup(&m->scan->arena, hf_buf_span(&out), &r->path) < 0)
            m->starved = true;
        r->node = !r->path.n || hf_map_get(&m->by_path, r->path, &at) ? (uint32_t)at : UINT32_MAX;
    }
    if (*slot == 0) {
        m->starved = true;
        return NULL;
    }
    m->last_dir = dir;
    m->last_resolved = (size_t)*slot;
    return &m->resolved[*slot - 1];
}

/* Node a path listed by a package database means, after following links in its directory; UINT32_MAX: not one that matters. */
static uint32_t owned_node(struct merge *m, struct hf_span path)
{
    uint64_t at;
    struct hf_span dir = hf_span_dirname(path), name = hf_span_basename(path);
    const struct real_dir *d = real_dir(m, dir);
    if (!d || d->node == UINT32_MAX || !m->v[d->node].first_child)
        return UINT32_MAX;
    if (d->path.p == dir.p || hf_span_eq(d->path, dir))
        return hf_map_get(&m->by_path, path, &at) ? (uint32_t)at : UINT32_MAX;
    char text[HF_TAR_MAX_PATH * 2];
    if (d->path.n + name.n + 1 > sizeof text)
        return UINT32_MAX;
    size_t n = d->path.n;
    if (n) {
        memcpy(text, d->path.p, n);
        text[n++] = '/';
    }
    if (name.n)
        memcpy(text + n, name.p, name.n);
    return hf_map_get(&m->by_path, hf_span(text, n + name.n), &at) ? (uint32_t)at : UINT32_MAX;
}

/* --- databases behind links --- */

/* Layers are read by the paths that files lie under; a database that is only reached through a link lies under another. */
static const char *const databases[] = {"etc/os-release", "var/lib/dpkg/status", "lib/apk/db/installed", "var/lib/rpm/Packages", "var/lib/rpm/Packages.db", "var/lib/rpm/rpmdb.sqlite",
        "usr/lib/sysimage/rpm/Packages", "usr/lib/sysimage/rpm/Packages.db", "usr/lib/sysimage/rpm/rpmdb.sqlite"};

/* What an entry of the log does to the file at path: 1 it is there, 0 it is gone, -1 nothing. */
static int effect(const struct hf_log_entry *e, struct hf_span path)
{
    bool same = hf_span_eq(e->path, path);
    bool above = !same && (!e->path.n || (hf_span_starts(path, e->path) && path.p[e->path.n] == '/'));
    switch (e->type) {
    case HF_LOG_FILE:
    case HF_LOG_HARDLINK:
        return same ? 1 : above ? 0 : -1;
    case HF_LOG_OPAQUE:
        return above ? 0 : -1;
    case HF_LOG_DIR:
        return same ? 0 : -1;
    case HF_LOG_SYMLINK:
    case HF_LOG_OTHER:
    case HF_LOG_WHITEOUT:
    default:
        return same || above ? 0 : -1;
    }
}

/* Whether the merged tree has a file there.  For paths without facts, of which nothing else is kept. */
static bool is_there(const struct merge *m, struct hf_span path)
{
    bool there = false;
    for (size_t l = 0; l < m->n; l++) {
        struct hf_log_iter it;
        struct hf_log_entry e;
        bool mine = false; /* this layer has it: its own whiteouts speak of those below */
        hf_log_iter_init(&it, m->records[l]);
        while (hf_log_next(&it, &e) == 1) {
            int what = effect(&e, path);
            if (what == 1)
                there = mine = true;
            else if (what == 0 && !(mine && (e.type == HF_LOG_WHITEOUT || e.type == HF_LOG_OPAQUE)))
                there = mine = false;
        }
        hf_log_iter_done(&it);
    }
    return there;
}

static int note_linked_databases(struct merge *m, struct hf_err *err)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(databases); i++) {
        hf_autobuf out = HF_BUF_INIT(64 << 10);
        struct hf_span path = hf_span_z(databases[i]);
        uint64_t at;
        if (!resolve(m, path, true, &out) || hf_span_eq(hf_buf_span(&out), path))
            continue;
        if (hf_map_get(&m->by_path, hf_buf_span(&out), &at) && m->v[at].file != UINT32_MAX)
            continue;
        if (is_there(m, hf_buf_span(&out)) && hf_scan_incomplete(m->scan, path, UINT32_MAX, "links lead to " HF_SPAN_FMT ", which was not read: what it says is missing from the result",
                                                     HF_SPAN_ARG(hf_span_sub(hf_buf_span(&out), 0, 1024))) < 0)
            return out_of_room(err);
    }
    return 0;
}

/* --- facts of the files that are left --- */

static const struct node *winner(const struct merge *m, uint32_t layer, const struct hf_fact *f)
{
    const struct hf_record *r = m->records[layer];
    uint64_t at;
    if (f->file >= r->n_files || !hf_map_get(&m->by_path, r->files[f->file].path, &at))
        return NULL;
    const struct node *x = &m->v[at];
    /* Several records of one file (each cataloger registers it) share the path and the entry. */
    if (x->file == UINT32_MAX || x->layer != layer || r->files[x->file].entry != r->files[f->file].entry)
        return NULL;
    return x;
}

static bool os_type(enum hf_pkg_type t)
{
    return t == HF_PKG_DEB || t == HF_PKG_APK || t == HF_PKG_RPM;
}

/* Which release file counts: os-release before the others, /etc before /usr/lib. */
static unsigned os_rank(struct hf_span path)
{
    if (hf_span_eqz(path, "etc/os-release"))
        return 4;
    if (hf_span_eqz(path, "usr/lib/os-release"))
        return 3;
    return 2;
}

static void identity(const struct hf_package *p, struct hf_buf *out)
{
    hf_buf_clear(out);
    hf_buf_addf(out, "%u\n", (unsigned)p->type);
    struct hf_span parts[] = {p->name, p->version, p->arch, p->module};
    for (size_t i = 0; i < HF_ARRAY_LEN(parts); i++) {
        hf_buf_adds(out, parts[i]);
        hf_buf_addc(out, 0);
    }
    /* What decides matching must be equal for two finds to be one package. */
    hf_buf_addf(out, "%u", p->flags & (HF_PKG_NOT_MATCHED | HF_PKG_STDLIB));
}

static void file_key(struct hf_buf *out, size_t layer, struct hf_span path)
{
    hf_buf_clear(out);
    hf_buf_addf(out, "%zu\n", layer);
    hf_buf_adds(out, path);
}

/* The lowest layer from which on this package is in every version of its database file.  Only layers that have the file are visited. */
static uint32_t brought_by(const struct hf_map *seen_in, uint32_t layer, struct hf_span path, struct hf_buf *key)
{
    uint32_t from = layer;
    uint64_t below, any; /* 1 + the next lower layer with this file */
    hf_autobuf file = HF_BUF_INIT(32768);
    file_key(&file, layer, path);
    while (hf_map_get(seen_in, hf_buf_span(&file), &below) && below) {
        file_key(&file, (size_t)below - 1, path);
        size_t n = file.n;
        hf_buf_addc(&file, 0);
        hf_buf_adds(&file, hf_buf_span(key));
        if (!hf_buf_ok(&file) || !hf_map_get(seen_in, hf_buf_span(&file), &any))
            break;
        file.n = n;
        from = (uint32_t)below - 1;
    }
    return from;
}

struct gather {
    struct merge *m;
    struct hf_map packages; /* identity -> index + 1 */
    struct hf_map keys;     /* type + owner key -> index + 1 */
    struct hf_map seen_in;  /* OS packages in versions of their databases: "layer\npath" (the value is what brought_by follows) and "layer\npath\0identity" */
    struct hf_location **locations; /* per package, malloc'd */
    size_t cap;
    struct hf_buf key;
    unsigned os_best;
};

static int keep_key(struct merge *m, struct hf_map *map, const struct hf_buf *key, uint64_t value, struct hf_err *err)
{
    struct hf_span copy;
    uint64_t at;
    if (!hf_buf_ok(key))
        return out_of_room(err);
    if (hf_map_get(map, hf_buf_span(key), &at))
        return 0;
    if (hf_arena_dup(&m->scan->arena, hf_buf_span(key), &copy) < 0)
        return out_of_room(err);
    uint64_t *slot = hf_map_at(map, copy, NULL);
    if (!slot)
        return out_of_room(err);
    *slot = value;
    return 0;
}

/* Databases that occur in several layers: which package was in which. */
static int note_lower(struct gather *g, struct hf_err *err)
{
    struct merge *m = g->m;
    hf_automap many = {NULL, 0, 0}; /* database path -> number of layers that have it */
    for (size_t l = 0; l < m->n; l++) {
        const struct hf_record *r = m->records[l];
        uint32_t last = UINT32_MAX;
        for (size_t i = 0; i < r->facts.n; i++) {
            const struct hf_fact *f = &r->facts.v[i];
            if (f->kind != HF_FACT_PACKAGE || !os_type(f->type) || f->file == last || f->file >= r->n_files)
                continue;
            last = f->file;
            uint64_t *slot = hf_map_at(&many, r->files[f->file].path, NULL);
            if (!slot)
                return out_of_room(err);
            ++*slot;
        }
    }
    hf_automap latest = {NULL, 0, 0}; /* database path -> 1 + the last layer met that has it */
    for (size_t l = 0; l < m->n; l++) {
        const struct hf_record *r = m->records[l];
        for (size_t i = 0; i < r->facts.n; i++) {
            const struct hf_fact *f = &r->facts.v[i];
            uint64_t count = 0;
            if (f->kind != HF_FACT_PACKAGE || !os_type(f->type) || f->file >= r->n_files ||
                    !hf_map_get(&many, r->files[f->file].path, &count) || count < 2)
                continue;
            hf_autobuf file = HF_BUF_INIT(32768);
            file_key(&file, l, r->files[f->file].path);
            uint64_t *slot = hf_map_at(&latest, r->files[f->file].path, NULL);
            if (!slot)
                return out_of_room(err);
            uint64_t below = *slot == l + 1 ? 0 : *slot; /* where this layer is already noted, keep_key leaves it as it is */
            *slot = l + 1;
            int rc = keep_key(m, &g->seen_in, &file, below, err);
            hf_buf_addc(&file, 0);
            identity(f->pkg, &g->key);
            hf_buf_adds(&file, hf_buf_span(&g->key));
            if (rc >= 0)
                rc = keep_key(m, &g->seen_in, &file, 1, err);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

/* Two programs with the same module: what one of them links counts; where one does not say, all of it may be linked. */
static int join_symbols(struct merge *m, struct hf_package *p, const struct hf_package *more)
{
    hf_autobuf both = HF_BUF_INIT(p->symbols.n + more->symbols.n + 8);
    if (more->flags & HF_PKG_SYMBOLS && hf_span_eq(p->symbols, more->symbols)) /* the same program under another name */
        return 0;
    if (!(more->flags & HF_PKG_SYMBOLS)) {
        p->flags &= ~(unsigned)HF_PKG_SYMBOLS;
        p->symbols = hf_span("", 0);
        return 0;
    }
    return hf_go_symbol_union(p->symbols, more->symbols, &both) ? hf_arena_dup(&m->scan->arena, hf_buf_span(&both), &p->symbols) : HF_E_LIMIT;
}

static int add_package(struct gather *g, const struct hf_fact *f, uint32_t layer, struct hf_span path, struct hf_err *err)
{
    struct hf_scan *s = g->m->scan;
    uint64_t at = 0;
    identity(f->pkg, &g->key);
    if (!hf_buf_ok(&g->key))
        return out_of_room(err);
    if (!hf_map_get(&g->packages, hf_buf_span(&g->key), &at)) {
        if (s->n_packages == g->cap) {
            size_t cap = g->cap ? g->cap * 2 : 256;
            /* The array counts against the same ceiling as the arena. */
            size_t grown = (cap - g->cap) * (sizeof *s->packages + sizeof *g->locations);
            if (grown > s->arena.max - HF_MIN(s->arena.max, s->arena.used))
                return out_of_room(err);
            s->arena.max -= grown;
            struct hf_scan_package *p = realloc(s->packages, cap * sizeof *p);
            if (p)
                s->packages = p;
            struct hf_location **l = realloc(g->locations, cap * sizeof *l);
            if (l)
                g->locations = l;
            if (!p || !l)
                return out_of_room(err);
            g->cap = cap;
        }
        s->packages[s->n_packages] = (struct hf_scan_package){.p = *f->pkg};
        g->locations[s->n_packages] = NULL;
        at = ++s->n_packages;
        int rc = keep_key(g->m, &g->packages, &g->key, at, err);
        if (rc < 0)
            return rc;
    }
    struct hf_scan_package *p = &s->packages[at - 1];
    if (p->n_locations && (p->p.flags & HF_PKG_SYMBOLS) && join_symbols(g->m, &p->p, f->pkg) < 0)
        return out_of_room(err);
    struct hf_location loc = {path, UINT32_MAX};
    if (g->m->has_layers)
        loc.layer = os_type(f->type) ? brought_by(&g->seen_in, layer, path, &g->key) : layer;
    if (f->pkg->install_root.n) { /* nested archives: "a.jar" holds it at install_root */
        hf_autobuf full = HF_BUF_INIT(16384);
        hf_buf_adds(&full, path);
        hf_buf_addz(&full, "!/");
        hf_buf_adds(&full, f->pkg->install_root);
        if (f->type == HF_PKG_MAVEN && hf_arena_dup(&s->arena, hf_buf_span(&full), &loc.path) < 0)
            return out_of_room(err);
    }
    /* Facts of one file follow each other, so a place that is met twice is among the last. */
    for (size_t i = p->n_locations - HF_MIN(p->n_locations, (size_t)NEAR_LOCATIONS); i < p->n_locations; i++)
        if (hf_span_eq(g->locations[at - 1][i].path, loc.path))
            return 0;
    if ((p->n_locations & (p->n_locations - 1)) == 0) {
        struct hf_location *l = realloc(g->locations[at - 1], (p->n_locations ? p->n_locations * 2 : 1) * sizeof *l);
        if (!l)
            return out_of_room(err);
        g->locations[at - 1] = l;
    }
    g->locations[at - 1][p->n_locations++] = loc;
    if (f->pkg->owner_key.n) {
        hf_autobuf key = HF_BUF_INIT(16384);
        /* Debian: a licence lies in a folder named by the package alone, whatever its list of files is called */
        size_t colon = f->type == HF_PKG_DEB ? hf_span_find(f->pkg->owner_key, ':') : SIZE_MAX;
        if (colon != SIZE_MAX) {
            hf_buf_addf(&key, "%u\n" HF_SPAN_FMT, (unsigned)f->type, HF_SPAN_ARG(hf_span_sub(f->pkg->owner_key, 0, colon)));
            int rc = keep_key(g->m, &g->keys, &key, at, err);
            if (rc < 0)
                return rc;
            hf_buf_clear(&key);
        }
        hf_buf_addf(&key, "%u\n" HF_SPAN_FMT, (unsigned)f->type, HF_SPAN_ARG(f->pkg->owner_key));
        return keep_key(g->m, &g->keys, &key, at, err);
    }
    return 0;
}

static int gather_facts(struct gather *g, uint32_t layer, struct hf_err *err)
{
    struct merge *m = g->m;
    const struct hf_record *r = m->records[layer];
    for (size_t i = 0; i < r->facts.n; i++) {
        const struct hf_fact *f = &r->facts.v[i];
        struct hf_span path = f->file < r->n_files ? r->files[f->file].path : hf_span("", 0);
        if (f->kind == HF_FACT_INCOMPLETE) {
            /* Reported even when a higher layer hides the file: the layer was not read whole. */
            if (hf_scan_incomplete(m->scan, path, m->has_layers ? layer : UINT32_MAX, HF_SPAN_FMT, HF_SPAN_ARG(f->text)) < 0)
                return out_of_room(err);
            m->scan->incomplete[m->scan->n_incomplete - 1].unlisted = hf_span_eqz(f->key, HF_WALK_UNLISTED);
            continue;
        }
        if ((f->kind != HF_FACT_PACKAGE && f->kind != HF_FACT_OS && f->kind != HF_FACT_MARK) || !winner(m, layer, f))
            continue;
        int rc = 0;
        if (f->kind == HF_FACT_MARK) {
            struct hf_mark *mark = hf_grow((void **)&m->scan->marks, &m->scan->n_marks, &m->scan->cap_marks, sizeof *mark, MAX_MARKS);
            if (mark)
                *mark = (struct hf_mark){f->key, f->text};
        }
        if (f->kind == HF_FACT_PACKAGE) {
            rc = add_package(g, f, layer, path, err);
        } else if (f->kind == HF_FACT_OS && os_rank(path) > g->os_best && f->os->id.n) {
            g->os_best = os_rank(path);
            m->scan->release = *f->os;
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int package_of(struct gather *g, const struct hf_fact *f, uint64_t *ret)
{
    char text[512];
    if (f->key.n > sizeof text - 16)
        return 0;
    int n = snprintf(text, sizeof text, "%u\n" HF_SPAN_FMT, (unsigned)f->type, HF_SPAN_ARG(f->key));
    return n > 0 && hf_map_get(&g->keys, hf_span(text, (size_t)n), ret);
}

/* Files and licences that OS package databases state apart from the package itself. */
static int join(struct gather *g, struct hf_err *err)
{
    struct merge *m = g->m;
    struct hf_scan *s = m->scan;
    for (size_t i = 1; i < m->n_nodes && !m->any_dir_link; i++)
        m->any_dir_link = m->v[i].link.p != NULL;
    for (uint32_t l = 0; l < m->n; l++) {
        const struct hf_record *r = m->records[l];
        const struct hf_fact *last = NULL;
        bool live = false;
        uint64_t at = 0;
        for (size_t i = 0; i < r->facts.n; i++) {
            const struct hf_fact *f = &r->facts.v[i];
            if (f->kind != HF_FACT_OWNED && f->kind != HF_FACT_LICENSE)
                continue;
            if (!last || last->file != f->file || last->key.p != f->key.p || last->key.n != f->key.n)
                live = winner(m, l, f) && package_of(g, f, &at);
            last = f;
            if (!live)
                continue;
            struct hf_scan_package *p = &s->packages[at - 1];
            if (f->kind == HF_FACT_OWNED) {
                uint32_t x = owned_node(m, f->text);
                if (x != UINT32_MAX && x)
                    m->v[x].owner = &p->p;
                const struct real_dir *d = m->tree ? real_dir(m, hf_span_dirname(f->text)) : NULL;
                if (d && hf_tree_own(m->tree, d->path, hf_span_basename(f->text), &p->p) < 0)
                    return out_of_room(err);
            } else {
                bool have = false;
                for (size_t k = 0; k < p->p.n_licenses; k++)
                    have |= hf_span_eq(p->p.licenses[k], f->text);
                if (have || p->p.n_licenses >= 32)
                    continue;
                struct hf_span *v = hf_arena_calloc(&s->arena, p->p.n_licenses + 1, sizeof *v);
                if (!v)
                    return out_of_room(err);
                for (size_t k = 0; k < p->p.n_licenses; k++)
                    v[k] = p->p.licenses[k];
                v[p->p.n_licenses] = f->text;
                p->p.licenses = v;
                p->p.n_licenses++;
            }
        }
    }
    return 0;
}

/* Release of an Alpine repository: "https://dl-cdn.alpinelinux.org/alpine/v3.19/main" to "3.19", ".../edge/main" to "edge". */
static struct hf_span repository_release(struct hf_span line)
{
    struct hf_span part;
    while (hf_span_cut(&line, '/', &part)) {
        if (hf_span_eqz(part, "edge"))
            return part;
        if (part.n > 2 && part.p[0] == 'v' && part.p[1] >= '0' && part.p[1] <= '9' && hf_span_find(part, '.') != SIZE_MAX)
            return hf_span_from(part, 1);
    }
    return hf_span("", 0);
}

/* What Alpine's packages are from is what its repositories say, where they agree: os-release belongs to one package of them, which may
 * lag behind (field notes 2e). */
static int apk_release(struct merge *m, struct hf_err *err)
{
    struct hf_os_release *o = &m->scan->release;
    struct hf_span all = {NULL, 0};
    if (!hf_span_eqz(o->id, "alpine"))
        return 0;
    for (size_t i = 0; i < m->scan->n_marks; i++) {
        struct hf_span one = hf_span_eqz(m->scan->marks[i].key, "apk-repositories") ? repository_release(m->scan->marks[i].text) : hf_span("", 0);
        if (one.n && all.n && !hf_span_eq(one, all))
            return 0;
        all = one.n ? one : all;
    }
    bool same = hf_span_starts(o->version_id, all) && (o->version_id.n == all.n || o->version_id.p[all.n] == '.' || o->version_id.p[all.n] == '_');
    if (!all.n || same)
        return 0;
    int rc = hf_scan_warn(m->scan, "os-release says Alpine " HF_SPAN_FMT " but its packages come from " HF_SPAN_FMT ": they are matched as that", HF_SPAN_ARG(o->version_id),
            HF_SPAN_ARG(all));
    o->version_id = all;
    return rc < 0 ? out_of_room(err) : 0;
}

static struct hf_span outer_path(struct hf_span path)
{
    size_t i = hf_span_search(path, HF_S("!/"));
    return i == SIZE_MAX ? path : hf_span(path.p, i);
}

/* By layer, then path: the order they were met in depends on how the source lists them. */
static int by_place(const void *a, const void *b)
{
    const struct hf_location *x = a, *y = b;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    return hf_span_cmp(x->path, y->path);
}

/* Owned only when every place it was found in is: a copy of one's own beside the distribution's still counts. */
static int set_owners(struct merge *m, struct hf_scan_package *p)
{
    const struct hf_package *owners[MAX_OWNERS];
    size_t n = 0;
    for (size_t k = 0; k < p->n_locations; k++) {
        uint64_t at;
        const struct hf_package *owner = hf_map_get(&m->by_path, outer_path(p->locations[k].path), &at) ? m->v[at].owner : NULL;
        size_t i = 0;
        while (i < n && owners[i] != owner)
            i++;
        if (!owner || i == MAX_OWNERS)
            return 0;
        owners[i] = owner;
        n = HF_MAX(n, i + 1);
    }
    if (!n)
        return 0;
    p->owner = owners[0];
    if (n == 1)
        return 0;
    p->more_owners = hf_arena_alloc(&m->scan->arena, (n - 1) * sizeof(const struct hf_package *));
    if (!p->more_owners)
        return HF_E_LIMIT;
    for (size_t i = 1; i < n; i++)
        p->more_owners[i - 1] = owners[i];
    p->n_more_owners = n - 1;
    return 0;
}

static int finish_packages(struct gather *g, struct hf_err *err)
{
    struct merge *m = g->m;
    struct hf_scan *s = m->scan;
    for (size_t i = 0; i < s->n_packages; i++) {
        struct hf_scan_package *p = &s->packages[i];
        struct hf_location *l = hf_arena_calloc(&s->arena, p->n_locations ? p->n_locations : 1, sizeof *l);
        if (!l)
            return out_of_room(err);
        if (p->n_locations) {
            memcpy(l, g->locations[i], p->n_locations * sizeof *l);
            qsort(l, p->n_locations, sizeof *l, by_place);
        }
        p->locations = l;
        if (os_type(p->p.type)) {
            if (!p->p.namespace.n)
                p->p.namespace = s->release.id;
            continue;
        }
        if (set_owners(m, p) < 0)
            return out_of_room(err);
    }
    return 0;
}

static int order(const void *a, const void *b)
{
    const struct hf_scan_package *x = a, *y = b;
    if (x->p.type != y->p.type)
        return x->p.type < y->p.type ? -1 : 1;
    int c = hf_span_cmp(x->p.name, y->p.name);
    if (!c)
        c = hf_span_cmp(x->p.version, y->p.version);
    if (!c)
        c = hf_span_cmp(x->p.arch, y->p.arch);
    return c ? c : hf_span_cmp(x->n_locations ? x->locations[0].path : hf_span("", 0), y->n_locations ? y->locations[0].path : hf_span("", 0));
}

/* A copy of an owner that stays where it is; NULL without room. */
static const struct hf_package *settled(struct hf_scan *s, const struct hf_package **copies, const struct hf_package *owner)
{
    size_t i = (size_t)((const struct hf_scan_package *)(const void *)owner - s->packages); /* .p is the first member */
    if (!copies[i]) {
        struct hf_package *c = hf_arena_alloc(&s->arena, sizeof *c);
        if (c)
            *c = *owner;
        copies[i] = c;
    }
    return copies[i];
}
_Static_assert(offsetof(struct hf_scan_package, p) == 0, "owners point at packages");

/* Sorting moves packages, and owners point at them: they get copies in the arena. */
static int sort_packages(struct hf_scan *s, struct hf_err *err)
{
    if (!s->n_packages)
        return 0;
    const struct hf_package **copies = hf_arena_calloc(&s->arena, s->n_packages, sizeof *copies);
    if (!copies)
        return out_of_room(err);
    for (size_t i = 0; i < s->n_packages; i++) {
        struct hf_scan_package *p = &s->packages[i];
        if (p->owner && !(p->owner = settled(s, copies, p->owner)))
            return out_of_room(err);
        for (size_t k = 0; k < p->n_more_owners; k++)
            if (!(p->more_owners[k] = settled(s, copies, p->more_owners[k])))
                return out_of_room(err);
    }
    qsort(s->packages, s->n_packages, sizeof *s->packages, order);
    return 0;
}

/* A system without packages: removed ("slimmed"), cut out of packages (chiselled), or of a kind whose database is not read. */
static int note_bare_system(struct hf_scan *s, struct hf_err *err)
{
    for (size_t i = 0; i < s->n_packages; i++)
        if (os_type(s->packages[i].p.type))
            return 0;
    if (!s->release.id.n)
        return 0;
    return hf_scan_incomplete(s, hf_span("", 0), UINT32_MAX, "the system says that it is " HF_SPAN_FMT ", but has no package database that is read (dpkg, apk, rpm): what it is made of is not known",
                   HF_SPAN_ARG(hf_span_sub(s->release.pretty_name.n ? s->release.pretty_name : s->release.id, 0, 200))) < 0
            ? out_of_room(err)
            : 0;
}

int hf_merge(struct hf_scan *scan, const struct hf_record *const *records, size_t n, bool has_layers, struct hf_tree *tree, struct hf_err *err)
{
    struct merge m = {.scan = scan, .tree = tree, .records = records, .n = n, .has_layers = has_layers};
    struct gather g = {.m = &m};
    /* A node costs itself and, in the table, one to three slots. */
    m.max_nodes = HF_MIN((size_t)MAX_NODES, scan->arena.max / 2 / (sizeof *m.v + 2 * sizeof *m.by_path.slots));
    hf_buf_init(&g.key, 65536);
    int rc = collect(&m, err);
    for (uint32_t l = 0; l < n && rc >= 0; l++) {
        rc = apply_layer(&m, l, err);
        if (rc >= 0 && tree)
            rc = hf_tree_add(tree, records[l], l, err);
        scan->files += records[l]->entries;
        scan->bytes += records[l]->bytes;
        if (rc >= 0 && records[l]->facts.lost &&
                hf_scan_incomplete(scan, hf_span("", 0), has_layers ? l : UINT32_MAX,
                        "%llu places that could not be examined are not listed, since what is known of the layer is over the memory limit; raise --max-memory",
                        (unsigned long long)records[l]->facts.lost) < 0)
            rc = out_of_room(err);
        if (rc >= 0 && records[l]->unlogged &&
                hf_scan_incomplete(scan, hf_span("", 0), has_layers ? l : UINT32_MAX,
                        "%llu entries over the memory limit were read for packages but cannot be merged exactly; raise --max-memory",
                        (unsigned long long)records[l]->unlogged) < 0)
            rc = out_of_room(err);
    }
    if (rc >= 0)
        rc = note_linked_databases(&m, err);
    if (rc >= 0)
        rc = note_lower(&g, err);
    for (uint32_t l = 0; l < n && rc >= 0; l++)
        rc = gather_facts(&g, l, err);
    if (rc >= 0)
        rc = apk_release(&m, err);
    if (rc >= 0)
        rc = join(&g, err);
    if (rc >= 0 && m.starved)
        rc = out_of_room(err);
    if (rc >= 0 && m.tangled && hf_scan_incomplete(scan, hf_span("", 0), UINT32_MAX,
            "symbolic links of directories lead through more than %d MiB of paths: not every file is joined with the package that owns it", MAX_LINK_WORK >> 20) < 0)
        rc = out_of_room(err);
    if (rc >= 0)
        rc = finish_packages(&g, err);
    if (rc >= 0)
        rc = sort_packages(scan, err);
    if (rc >= 0)
        rc = note_bare_system(scan, err);
    for (size_t i = 0; i < scan->n_packages && g.locations; i++)
        free(g.locations[i]);
    free(g.locations);
    hf_map_done(&g.packages);
    hf_map_done(&g.keys);
    hf_map_done(&g.seen_in);
    hf_buf_done(&g.key);
    hf_map_done(&m.by_path);
    hf_map_done(&m.dirs);
    free(m.resolved);
    free(m.v);
    return rc;
}
