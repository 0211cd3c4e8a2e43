/* SPDX-License-Identifier: Apache-2.0 */
#include "image/layer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/progress.h"
#include "image/inflate.h"
#include "image/tar-walk.h"
#include "image/winpax.h"

enum {
    MAX_HELD = 64,       /* files kept until the layer's end because they are read together with their neighbours */
    MAX_ALIASES = 4096,  /* files of a layer that are read a second time */
    HASH_BLOCK = 512 * 1024,
    MARKED = 4 << 20,    /* larger programs of a stream are searched for marks before they are held */
};

void hf_budget_init(struct hf_budget *b, size_t total)
{
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->freed, NULL);
    b->total = b->left = total;
}

void hf_budget_done(struct hf_budget *b)
{
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->freed);
}

/* n bytes, at most the total. */
static void take_budget(struct hf_budget *b, size_t n)
{
    pthread_mutex_lock(&b->lock);
    while (b->left < n)
        pthread_cond_wait(&b->freed, &b->lock);
    b->left -= n;
    pthread_mutex_unlock(&b->lock);
}

static void give_budget(struct hf_budget *b, size_t n)
{
    pthread_mutex_lock(&b->lock);
    b->left += n;
    pthread_cond_broadcast(&b->freed);
    pthread_mutex_unlock(&b->lock);
}

static void take(struct hf_budget *b, size_t n)
{
    if (b)
        take_budget(b, n);
}

static void give_back(struct hf_budget *b, size_t n)
{
    if (b)
        give_budget(b, n);
}

struct held {
    struct hf_dispatch_hit hit;
    struct hf_span path;
    uint64_t size;
    uint32_t mode;
    struct hf_ra ra;
    char *copy;
    uint64_t entry;
};
struct alias { /* what the second pass reads: the content of `target` under the name `path` */
    struct hf_span path, target;
    uint64_t entry; /* where the name stands */
    bool found;
};

struct hf_walk {
    const struct hf_layer_opts *o;
    struct hf_cat_scratch *scratch;
    struct hf_record *rec;
    int fd; /* plain blob: region reads; else -1 */
    struct held held[MAX_HELD];
    size_t n_held, held_bytes;
    bool keeps; /* has the place of the budget siblings */
    struct alias *aliases;
    size_t n_aliases, cap_aliases;
    struct hf_map wanted; /* target -> how many aliases of it still have no content */
    struct hf_map programs; /* file known by its content -> where its facts are: first << 32 | behind the last; 0: replaced since */
    bool by_content;        /* the file at hand is one of them */
    struct hf_span target; /* second pass: what is being read */
    bool second; /* second pass: only targets of aliases */
    bool streamed;
    struct hf_buf stream_file;
    struct hf_buf name;
    struct hf_hash *hash; /* of digests; NULL: none are wanted */
    char *block;          /* HASH_BLOCK bytes for it */
};

void hf_walk_log(struct hf_walk *w, enum hf_log_type type, struct hf_span path, struct hf_span target)
{
    hf_record_log(w->rec, type, path, target);
}

void hf_walk_count(struct hf_walk *w, uint64_t bytes)
{
    w->rec->bytes += bytes;
}

bool hf_walk_digests(const struct hf_walk *w)
{
    return w->hash != NULL;
}

uint64_t hf_walk_entry(const struct hf_walk *w)
{
    return w->rec->entries;
}

void hf_walk_meta(struct hf_walk *w, struct hf_meta *m)
{
    if (w->hash)
        hf_record_meta(w->rec, m);
}

void hf_walk_unsealed(struct hf_walk *w)
{
    w->rec->meta_lost++;
}

int hf_walk_hash(struct hf_walk *w, int fd, uint64_t off, uint64_t n, uint8_t ret[32], struct hf_err *err)
{
    uint8_t out[64];
    uint64_t end = off + n;
    int rc = end < off ? HF_E_TRUNCATED : 0;
    struct hf_ra ra = hf_ra_fd(fd, 0, end);
    while (off < end && rc >= 0) {
        size_t part = (size_t)HF_MIN((uint64_t)HASH_BLOCK, end - off);
        rc = hf_ra_read(&ra, off, w->block, part, err);
        if (rc >= 0)
            hf_hash_add(w->hash, w->block, part);
        off += part;
    }
    hf_hash_end(w->hash, out); /* also after an error: it starts anew */
    memcpy(ret, out, 32);
    return rc;
}

void hf_walk_incomplete(struct hf_walk *w, struct hf_span path, const char *reason)
{
    if (hf_record_file(w->rec, path, 0, NULL) >= 0)
        hf_facts_incomplete(&w->rec->facts, "%s", reason);
}

void hf_walk_unlisted(struct hf_walk *w, struct hf_span path, const char *reason)
{
    size_t before = w->rec->facts.n;
    hf_walk_incomplete(w, path, reason);
    if (w->rec->facts.n > before)
        w->rec->facts.v[before].key = HF_S(HF_WALK_UNLISTED);
}

static void skipped(void *ctx, struct hf_span path, const char *reason)
{
    struct hf_walk *w = ctx;
    hf_autobuf text = HF_BUF_INIT(1024);
    hf_buf_addf(&text, "entry left out: %s", reason);
    hf_walk_unlisted(w, hf_span_sub(path, 0, HF_TAR_MAX_PATH), hf_buf_z(&text));
}

/* Before files are held for their neighbours; only one walk does at a time. */
static void keep_siblings(struct hf_walk *w)
{
    if (!w->keeps)
        take(w->o->siblings, 1);
    w->keeps = true;
}

/* Whether the call may need more memory than each worker has for itself: a JSON value of one byte becomes a node of 64. */
static bool is_heavy(const struct hf_walk *w, const struct hf_cat_file *files, size_t n)
{
    uint64_t size = 0;
    for (size_t i = 0; i < n; i++)
        size += files[i].size;
    return w->o->light < w->o->max_scratch && size > w->o->light / 64;
}

static int call(struct hf_walk *w, const struct hf_cataloger *c, const struct hf_cat_file *files, size_t n, struct hf_err *err)
{
    bool heavy = is_heavy(w, files, n);
    if (heavy)
        take(w->o->scratch, w->o->max_scratch);
    int rc = c->run(files, n, w->scratch, &w->rec->facts, err);
    if (!heavy)
        return rc;
    if (w->scratch->file.cap > w->o->light)
        hf_buf_done(&w->scratch->file);
    if (w->scratch->other.cap > w->o->light)
        hf_buf_done(&w->scratch->other);
    give_back(w->o->scratch, w->o->max_scratch);
    return rc;
}

/* Calls a cataloger; its error becomes an incomplete record, since what others find is not lost by it. */
static int run(struct hf_walk *w, const struct hf_cataloger *c, const struct hf_cat_file *files, size_t n, struct hf_err *err)
{
    struct hf_err why = HF_ERR_INIT;
    int rc = hf_record_file(w->rec, files[0].path, files[0].size, err);
    if (rc < 0)
        return rc;
    uint32_t file = w->rec->facts.file;
    rc = call(w, c, files, n, &why);
    w->rec->facts.file = file;
    if (rc < 0)
        hf_facts_incomplete(&w->rec->facts, "%s: %s", c->name, why.msg[0] ? why.msg : hf_err_name(rc));
    return 0;
}

static int hold(struct hf_walk *w, const struct hf_dispatch_hit *hit, struct hf_span path, uint64_t size, uint32_t mode,
        const struct hf_ra *ra, struct hf_err *err)
{
    for (size_t i = 0; i < w->n_held; i++) /* the same name again: only the last counts */
        if (w->held[i].hit.cataloger == hit->cataloger && hf_span_eq(w->held[i].path, path))
            w->held[i].hit.cataloger = NULL;
    struct held *h = &w->held[w->n_held];
    if (w->n_held == MAX_HELD) {
        hf_walk_incomplete(w, path, "too many package databases in one layer");
        return 0;
    }
    *h = (struct held){*hit, path, size, mode, *ra, NULL, w->rec->current};
    if (hf_arena_dup(&w->rec->facts.arena, path, &h->path) < 0)
        return hf_fail(err, HF_E_LIMIT, "facts of this layer are over the memory limit");
    if (ra->fd < 0) {
        if (ra->mem.n > w->o->max_siblings - HF_MIN(w->o->max_siblings, w->held_bytes) || !(h->copy = malloc(ra->mem.n ? ra->mem.n : 1))) {
            hf_walk_incomplete(w, path, "over the memory limit; raise --max-memory");
            return 0;
        }
        if (ra->mem.n)
            memcpy(h->copy, ra->mem.p, ra->mem.n);
        h->ra = hf_ra_mem(hf_span(h->copy, ra->mem.n));
        w->held_bytes += ra->mem.n;
    } else {
        h->ra.fd = dup(ra->fd); /* a directory walk closes its file after the call */
        if (h->ra.fd < 0)
            return hf_fail(err, -errno, "dup: %s", hf_err_name(-errno));
    }
    w->n_held++;
    return 0;
}

static int flush_held(struct hf_walk *w, struct hf_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < w->n_held && rc >= 0; i++) {
        struct hf_cat_file files[MAX_HELD];
        size_t n = 0;
        if (!w->held[i].hit.cataloger)
            continue;
        const struct hf_cataloger *c = w->held[i].hit.cataloger;
        for (size_t k = i; k < w->n_held; k++) {
            struct held *h = &w->held[k];
            if (h->hit.cataloger != c || !hf_span_eq(hf_span_dirname(h->path), hf_span_dirname(w->held[i].path)))
                continue;
            files[n++] = (struct hf_cat_file){h->path, h->size, h->mode, h->ra, false};
            h->hit.cataloger = NULL;
        }
        w->rec->current = w->held[i].entry;
        rc = run(w, c, files, n, err);
    }
    for (size_t i = 0; i < w->n_held; i++) {
        free(w->held[i].copy);
        if (w->held[i].ra.fd >= 0)
            close(w->held[i].ra.fd);
    }
    w->n_held = 0;
    w->held_bytes = 0;
    if (w->keeps)
        give_back(w->o->siblings, 1);
    w->keeps = false;
    return rc;
}

static int give(struct hf_walk *w, const struct hf_dispatch_hit *hits, size_t n, struct hf_span path, uint64_t size, uint32_t mode,
        const struct hf_ra *ra, struct hf_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc >= 0; i++) {
        bool again = false;
        for (size_t k = 0; k < i; k++)
            again |= hits[k].cataloger == hits[i].cataloger;
        if (again)
            continue;
        if (size > hits[i].want->max_bytes) {
            char reason[128];
            snprintf(reason, sizeof reason, "%llu bytes, at most %llu are read (%s)", (unsigned long long)size,
                    (unsigned long long)hits[i].want->max_bytes, hits[i].cataloger->name);
            hf_walk_incomplete(w, path, reason);
        } else if (hits[i].want->with_siblings) {
            rc = hold(w, &hits[i], path, size, mode, ra, err);
        } else {
            struct hf_cat_file f = {path, size, mode, *ra, false};
            rc = run(w, hits[i].cataloger, &f, 1, err);
        }
    }
    return rc;
}

bool hf_walk_wants_path(struct hf_walk *w, struct hf_span path)
{
    struct hf_dispatch_hit hits[HF_DISPATCH_MAX];
    return hf_dispatch_path(w->o->dispatch, path, hits) != 0;
}

/* A file with random access: path wants first, content kind by its first bytes. */
int hf_walk_file(struct hf_walk *w, struct hf_span path, uint64_t size, uint32_t mode, const struct hf_ra *ra, struct hf_err *err)
{
    struct hf_dispatch_hit hits[HF_DISPATCH_MAX];
    size_t n = hf_dispatch_path(w->o->dispatch, path, hits);
    if (n == 0 && size >= 64) {
        char head[4];
        int rc = hf_ra_read(ra, 0, head, sizeof head, err);
        if (rc < 0)
            return rc;
        n = hf_dispatch_content(w->o->dispatch, hf_span(head, sizeof head), hits);
        w->by_content = n != 0;
    }
    return n ? give(w, hits, n, path, size, mode, ra, err) : 0;
}

/* Has the file read once more, whole, after the layer's end. */
static int again(struct hf_walk *w, struct hf_span path, struct hf_span target, struct hf_err *err)
{
    struct alias *a = hf_grow((void **)&w->aliases, &w->n_aliases, &w->cap_aliases, sizeof *a, MAX_ALIASES);
    if (!a) {
        hf_walk_incomplete(w, path, "too many files of this layer would have to be read again");
        return 0;
    }
    if (hf_arena_dup(&w->rec->facts.arena, path, &a->path) < 0 || hf_arena_dup(&w->rec->facts.arena, target, &a->target) < 0)
        return hf_fail(err, HF_E_LIMIT, "facts of this layer are over the memory limit");
    a->entry = w->rec->current;
    uint64_t *left = hf_map_at(&w->wanted, a->target, NULL);
    if (!left)
        return hf_fail(err, -ENOMEM, "out of memory");
    ++*left;
    return 0;
}

/* What is looked for in a large program of a stream: each wish's mark, and behind one of them a fragment. */
struct marks {
    const struct hf_dispatch_hit *hits;
    size_t n;
    bool found[HF_DISPATCH_MAX];
    size_t fragment; /* whose fragment is in stream_file; n: none */
};

/* First place of the mark in the window that begins at byte `base` of the file; aligned where a fragment is taken from it. */
static size_t find_mark(struct hf_span window, uint64_t base, const struct hf_want *want)
{
    struct hf_span mark = hf_span_z(want->stream_magic);
    for (size_t at = 0, next; (next = hf_span_search(hf_span_from(window, at), mark)) != SIZE_MAX; at++) {
        at += next;
        if (!want->stream_bytes || (base + at) % 16 == 0)
            return at;
    }
    return SIZE_MAX;
}

static void look(struct hf_walk *w, struct marks *m, struct hf_span window, uint64_t base)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct hf_want *want = m->hits[i].want;
        size_t at = m->found[i] ? SIZE_MAX : find_mark(window, base, want);
        if (at == SIZE_MAX)
            continue;
        m->found[i] = true;
        if (want->stream_bytes && m->fragment == m->n) {
            m->fragment = i;
            hf_buf_adds(&w->stream_file, hf_span_sub(hf_span_from(window, at), 0, want->stream_bytes));
        }
    }
}

/* Reads the file to its end, so that *m knows which marks are in it. */
static int find_marks(struct hf_walk *w, struct marks *m, struct hf_tar *t, struct hf_span piece, struct hf_err *err)
{
    enum { EDGE = 63, WINDOW = 16 << 20 };
    hf_autobuf window = HF_BUF_INIT(WINDOW);
    uint64_t off = 0, base = 0;
    int rc = 1;
    hf_buf_clear(&w->stream_file);
    while (rc == 1) {
        size_t want = m->fragment < m->n ? m->hits[m->fragment].want->stream_bytes : 0;
        if (w->stream_file.n < want)
            hf_buf_adds(&w->stream_file, hf_span_sub(piece, 0, want - w->stream_file.n));
        if (base + window.n != off) { /* a hole of a sparse file */
            hf_buf_clear(&window);
            base = off;
        }
        hf_buf_adds(&window, piece);
        look(w, m, hf_buf_span(&window), base);
        if (!hf_buf_ok(&window) || !hf_buf_ok(&w->stream_file))
            return hf_fail(err, HF_E_LIMIT, "out of memory");
        if (window.n > EDGE) {
            size_t drop = window.n - EDGE;
            memmove(window.p, window.p + drop, EDGE);
            window.n = EDGE;
            base += drop;
        }
        rc = hf_tar_read(t, &piece, &off, err);
    }
    return rc;
}

/* A large program matters only when it is of the kind a cataloger reads, which a mark in it tells; often what follows the mark is
 * enough, else the layer is read a second time for it. */
static int marked_file(struct hf_walk *w, const struct hf_dispatch_hit *hits, size_t n, const struct hf_tar_entry *e, struct hf_tar *t, struct hf_span piece,
        struct hf_err *err)
{
    struct marks m = {.hits = hits, .n = n, .fragment = n};
    int rc = find_marks(w, &m, t, piece, err);
    bool any = false, whole = false;
    for (size_t i = 0; i < n; i++) {
        any |= m.found[i];
        whole |= m.found[i] && i != m.fragment;
    }
    if (rc < 0 || !any)
        return rc;
    if (!whole) {
        struct hf_cat_file f = {e->path, e->size, e->mode, hf_ra_mem(hf_buf_span(&w->stream_file)), true};
        uint32_t file = w->rec->facts.file;
        if ((rc = hf_record_file(w->rec, e->path, e->size, err)) < 0)
            return rc;
        rc = call(w, hits[m.fragment].cataloger, &f, 1, NULL);
        w->rec->facts.file = file;
        if (rc >= 0)
            return 0;
    }
    return again(w, e->path, e->path, err);
}

/* The next name under which the file being read is still wanted; NULL: none. */
static struct alias *next_alias(struct hf_walk *w)
{
    uint64_t *left = hf_map_at(&w->wanted, w->target, NULL);
    for (size_t i = 0; left && *left && i < w->n_aliases; i++)
        if (!w->aliases[i].found && hf_span_eq(w->aliases[i].target, w->target)) {
            w->aliases[i].found = true;
            w->rec->current = w->aliases[i].entry;
            --*left;
            return &w->aliases[i];
        }
    return NULL;
}

/* Gathers the rest of a file in stream_file. */
static int hold_file(struct hf_walk *w, const struct hf_tar_entry *e, struct hf_tar *t, struct hf_span piece, uint64_t off, int rc, struct hf_err *err)
{
    hf_buf_clear(&w->stream_file);
    if (!hf_buf_reserve(&w->stream_file, (size_t)e->size))
        return hf_fail(err, HF_E_LIMIT, "out of memory");
    for (; rc == 1; rc = hf_tar_read(t, &piece, &off, err)) {
        if (off < w->stream_file.n || off > e->size || piece.n > e->size - off)
            return hf_fail(err, HF_E_FORMAT, "content of " HF_SPAN_FMT " overlaps", HF_SPAN_ARG(e->path));
        memset(w->stream_file.p + w->stream_file.n, 0, (size_t)off - w->stream_file.n); /* hole of a sparse file */
        w->stream_file.n = (size_t)off;
        hf_buf_adds(&w->stream_file, piece);
    }
    if (rc < 0)
        return rc;
    memset(w->stream_file.p + w->stream_file.n, 0, (size_t)e->size - w->stream_file.n);
    w->stream_file.n = (size_t)e->size;
    return 0;
}

/* A file of a stream: its first piece decides; wanted ones are gathered in memory up to the limit. */
static int stream_file(struct hf_walk *w, const struct hf_tar_entry *e, struct hf_tar *t, struct hf_err *err)
{
    struct hf_dispatch_hit hits[HF_DISPATCH_MAX];
    size_t n = hf_dispatch_path(w->o->dispatch, e->path, hits);
    struct hf_span piece = {NULL, 0};
    uint64_t off = 0, max = w->o->held->total;
    if (n == 0 && e->size < 64)
        return 0;
    int rc = hf_tar_read(t, &piece, &off, err);
    if (rc < 0)
        return rc;
    if (n == 0 && rc == 1 && off == 0)
        w->by_content = (n = hf_dispatch_content(w->o->dispatch, piece, hits)) != 0;
    if (n == 0)
        return 0;
    bool marked = rc == 1 && !w->second && e->size > MARKED;
    for (size_t i = 0; i < n; i++)
        marked &= hits[i].want->stream_magic != NULL;
    if (marked)
        return marked_file(w, hits, n, e, t, piece, err);
    for (size_t i = 0; i < n; i++)
        max = HF_MIN(max, hits[i].want->max_bytes);
    if (e->size > max) {
        char reason[160];
        snprintf(reason, sizeof reason, "%llu bytes inside a compressed layer, at most %llu are held in memory; raise --max-memory",
                (unsigned long long)e->size, (unsigned long long)max);
        hf_walk_incomplete(w, e->path, reason);
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        if (hits[i].want->with_siblings)
            keep_siblings(w);
    take_budget(w->o->held, (size_t)e->size);
    rc = hold_file(w, e, t, piece, off, rc, err);
    if (rc >= 0) {
        struct hf_ra ra = hf_ra_mem(hf_buf_span(&w->stream_file));
        rc = give(w, hits, n, e->path, e->size, e->mode, &ra, err);
        /* A stream gives the content once, for all of its names. */
        for (struct alias *a; w->second && rc >= 0 && (a = next_alias(w));)
            rc = hf_walk_file(w, a->path, e->size, e->mode, &ra, err);
    }
    if (w->stream_file.cap > MARKED)
        hf_buf_done(&w->stream_file); /* others may need the room */
    give_budget(w->o->held, (size_t)e->size);
    return rc;
}

static int tar_file(struct hf_walk *w, const struct hf_tar_entry *e, struct hf_tar *t, struct hf_err *err)
{
    if (w->fd < 0)
        return stream_file(w, e, t, err);
    uint64_t off;
    int rc = hf_tar_data_offset(t, &off, err);
    if (rc == HF_E_UNSUPPORTED)
        return stream_file(w, e, t, err);
    if (rc < 0)
        return hf_wrap(err, rc, HF_SPAN_FMT, HF_SPAN_ARG(e->path));
    struct hf_ra ra = hf_ra_fd(w->fd, off, e->size);
    return hf_walk_file(w, e->path, e->size, e->mode, &ra, err);
}

static int log_entry(struct hf_walk *w, const struct hf_tar_entry *e)
{
    static const enum hf_log_type types[] = {HF_LOG_FILE, HF_LOG_DIR, HF_LOG_SYMLINK, HF_LOG_HARDLINK, HF_LOG_OTHER};
    struct hf_span name = hf_span_basename(e->path), dir = hf_span_dirname(e->path);
    /* OCI image-spec, layer.md, section "Whiteouts" */
    if (hf_span_starts(name, HF_S(".wh."))) {
        if (hf_span_eqz(name, ".wh..wh..opq")) {
            hf_walk_log(w, HF_LOG_OPAQUE, dir, hf_span("", 0));
        } else if (!hf_span_starts(name, HF_S(".wh..wh."))) {
            hf_buf_clear(&w->name);
            hf_buf_adds(&w->name, dir);
            if (dir.n)
                hf_buf_addc(&w->name, '/');
            hf_buf_adds(&w->name, hf_span_from(name, 4));
            if (name.n > 4)
                hf_walk_log(w, HF_LOG_WHITEOUT, hf_buf_span(&w->name), hf_span("", 0));
        }
        return 0;
    }
    hf_walk_log(w, types[e->type], e->path, e->link);
    return 1;
}

/* A file and where its facts are, for other names that it may have. */
static int remember(struct hf_walk *w, struct hf_span path, size_t first, struct hf_err *err)
{
    uint64_t old, *slot;
    if (!w->by_content || w->rec->facts.n == first) {
        if (hf_map_get(&w->programs, path, &old) && (slot = hf_map_at(&w->programs, path, NULL)))
            *slot = 0; /* the name means another file now */
        return 0;
    }
    slot = hf_map_at(&w->programs, w->rec->files[w->rec->n_files - 1].path, NULL);
    if (!slot)
        return hf_fail(err, -ENOMEM, "out of memory");
    *slot = (uint64_t)first << 32 | w->rec->facts.n;
    return 0;
}

/* Another name of a file of this layer.  What is wanted by its path is read again; what its content told holds for this name too. */
static int hard_link(struct hf_walk *w, const struct hf_tar_entry *e, struct hf_err *err)
{
    uint64_t at;
    if (hf_walk_wants_path(w, e->path) || (hf_map_get(&w->wanted, e->link, &at) && at))
        return again(w, e->path, e->link, err);
    if (!hf_map_get(&w->programs, e->link, &at) || !at)
        return 0;
    size_t first = w->rec->facts.n;
    int rc = hf_record_file(w->rec, e->path, w->rec->files[w->rec->facts.v[at >> 32].file].size, err);
    if (rc >= 0)
        rc = hf_facts_repeat(&w->rec->facts, at >> 32, at & UINT32_MAX, err);
    w->by_content = true;
    return rc < 0 ? rc : remember(w, e->path, first, err);
}

/* The digest of a file's content whichever way it is read. */
static int file_digest(struct hf_walk *w, const struct hf_tar_entry *e, struct hf_tar *t, struct hf_meta *m, struct hf_err *err)
{
    uint64_t off;
    uint8_t out[64];
    if (w->fd >= 0 && hf_tar_data_offset(t, &off, NULL) >= 0) {
        m->has_sha256 = true;
        return hf_walk_hash(w, w->fd, off, e->size, m->sha256, err);
    }
    int rc = hf_tar_drain(t, e->size, err);
    hf_tar_hash(t, NULL);
    hf_hash_end(w->hash, out);
    memcpy(m->sha256, out, 32);
    m->has_sha256 = rc >= 0;
    return rc;
}

/* Layers of Windows have all they bring below these (Microsoft hcsshim). */
static bool is_windows(struct hf_span path)
{
    return hf_span_starts(path, HF_S("Files/")) || hf_span_starts(path, HF_S("UtilityVM/")) || hf_span_starts(path, HF_S("Hives/"));
}

/* What the header says of an entry, but for its content. */
static struct hf_meta meta_of(const struct hf_walk *w, const struct hf_tar_entry *e)
{
    return (struct hf_meta){.entry = w->rec->entries, .mode = e->mode, .uid = e->uid, .gid = e->gid, .size = e->size, .caps = e->caps,
            .windows = e->windows_lost && is_windows(e->path) ? HF_S(HF_WINFILE_LOST) : e->windows};
}

static int sealed_file(struct hf_walk *w, const struct hf_tar_entry *e, struct hf_tar *t, struct hf_err *err)
{
    struct hf_meta m = meta_of(w, e);
    if (w->hash)
        hf_tar_hash(t, w->hash);
    int rc = tar_file(w, e, t, err);
    if (!w->hash)
        return rc;
    if (rc >= 0)
        rc = file_digest(w, e, t, &m, err);
    else
        hf_tar_hash(t, NULL);
    hf_walk_meta(w, &m);
    return rc;
}

static int on_entry(void *ctx, const struct hf_tar_entry *e, struct hf_tar *t, struct hf_err *err)
{
    struct hf_walk *w = ctx;
    if (w->second) {
        /* Only what the first pass asked for. */
        uint64_t left = 0;
        int rc = 0;
        if (e->type != HF_TAR_FILE || !hf_map_get(&w->wanted, e->path, &left) || !left)
            return 0;
        w->target = e->path;
        for (struct alias *a; rc >= 0 && (a = next_alias(w));) {
            struct hf_tar_entry named = *e;
            named.path = a->path;
            rc = tar_file(w, &named, t, err);
            if (w->fd < 0)
                break; /* what is left now could not be held, and is listed as incomplete */
        }
        return rc;
    }
    if (log_entry(w, e) == 0)
        return 0;
    if (e->type == HF_TAR_HARDLINK) {
        /* runtimes give the file that it leads to the owner, mode and attributes that stand here */
        struct hf_meta m = meta_of(w, e);
        hf_walk_meta(w, &m);
        return hard_link(w, e, err);
    }
    if (e->type != HF_TAR_FILE) {
        struct hf_meta m = meta_of(w, e);
        hf_walk_meta(w, &m);
        return 0;
    }
    hf_walk_count(w, e->size);
    size_t first = w->rec->facts.n;
    w->by_content = false;
    int rc = sealed_file(w, e, t, err);
    return rc < 0 ? rc : remember(w, e->path, first, err);
}

struct hashed_pull {
    struct hf_inflate *in;
    struct hf_hash *hash;
};

static int hashed_pull(void *ctx, struct hf_span *ret, struct hf_err *err)
{
    struct hashed_pull *p = ctx;
    int rc = hf_inflate_pull(p->in, ret, err);
    if (rc == 1 && p->hash)
        hf_hash_add(p->hash, ret->p, ret->n);
    return rc;
}

static void on_progress(void *ctx, uint64_t n)
{
    hf_progress_add(ctx, n);
}

/* ret: the digest to compute, NULL for none. */
static int walk_stream(struct hf_walk *w, const struct hf_layer_source *l, hf_inflate_source source, void *source_ctx, enum hf_compression kind,
        struct hf_digest *ret, struct hf_err *err)
{
    struct hf_inflate_opts io = {.max_window = w->o->max_window, .bombs = w->second ? NULL : w->o->bombs, .progress = w->second ? NULL : on_progress, .progress_ctx = w->o->progress,
            .source = source, .source_ctx = source_ctx};
    struct hashed_pull p = {NULL, NULL};
    int rc = hf_inflate_start(&p.in, l->fd, l->offset, l->size, kind, &io, err);
    if (rc < 0)
        return rc;
    if (ret)
        p.hash = hf_hash_new(l->diff_id.n ? l->diff_id.kind : HF_SHA256);
    struct hf_tar_limits limits = {.skipped = skipped, .skipped_ctx = w, .windows = w->hash && !w->second};
    rc = hf_tar_walk_pull(hashed_pull, &p, on_entry, w, &limits, err);
    if (p.hash) {
        /* The digest covers what follows the end of the tar, and holds even where the tar is damaged. */
        struct hf_span rest;
        int more;
        while ((more = hashed_pull(&p, &rest, rc < 0 ? NULL : err)) == 1)
            ;
        if (more < 0 && rc >= 0)
            rc = more;
        if (more == 0) {
            ret->n = (uint8_t)hf_hash_end(p.hash, ret->b);
            ret->kind = l->diff_id.n ? l->diff_id.kind : HF_SHA256;
        }
    }
    hf_hash_free(p.hash);
    hf_inflate_stop(p.in);
    return rc;
}

static int walk_pass(struct hf_walk *w, const struct hf_layer_source *l, enum hf_compression kind, struct hf_digest *ret, struct hf_err *err)
{
    if (kind != HF_PLAIN)
        return walk_stream(w, l, NULL, NULL, kind, w->o->verify ? ret : NULL, err);
    struct hf_tar_limits limits = {.skipped = skipped, .skipped_ctx = w, .windows = w->hash && !w->second};
    w->fd = l->fd;
    return hf_tar_walk_fd(l->fd, l->offset, l->size, on_entry, w, &limits, err);
}

static void note_unfound(struct hf_walk *w)
{
    for (size_t i = 0; i < w->n_aliases; i++)
        if (!w->aliases[i].found)
            hf_walk_incomplete(w, w->aliases[i].path, "hard link whose content could not be read together with its name");
}

static int walk_blob(struct hf_walk *w, const struct hf_layer_source *l, struct hf_digest *ret, struct hf_err *err)
{
    enum hf_compression kind;
    int rc = hf_compression_of(l->fd, l->offset, l->size, &kind, err);
    bool window = rc >= 0 && kind == HF_ZSTD;
    if (window)
        take(w->o->windows, (size_t)w->o->max_window);
    if (rc >= 0)
        rc = walk_pass(w, l, kind, ret, err);
    if (rc >= 0 && w->n_aliases) {
        w->second = true;
        if (kind != HF_PLAIN) /* databases may be among them, and not all files say so before they are read */
            keep_siblings(w);
        rc = walk_pass(w, l, kind, NULL, err);
        if (rc >= 0)
            note_unfound(w);
    }
    if (window)
        give_back(w->o->windows, (size_t)w->o->max_window);
    return rc;
}

struct hf_walk *hf_layer_begin(const struct hf_layer_opts *o, struct hf_cat_scratch *scratch, struct hf_layer_result *ret)
{
    struct hf_walk *w = calloc(1, sizeof *w);
    hf_record_init(&ret->rec, o->max_facts, o->max_log, o->quota);
    ret->diff_id.n = 0;
    if (!w)
        return NULL;
    w->o = o;
    w->scratch = scratch;
    w->rec = &ret->rec;
    w->fd = -1;
    hf_buf_init(&w->stream_file, o->held->total);
    hf_buf_init(&w->name, 8192);
    if (o->digests) {
        w->hash = hf_hash_new(HF_SHA256);
        w->block = malloc(HASH_BLOCK);
        w->rec->has_meta = w->hash && w->block;
        if (!w->rec->has_meta) {
            hf_hash_free(w->hash);
            w->hash = NULL;
        }
    }
    return w;
}

int hf_layer_stream(struct hf_walk *w, hf_inflate_source source, void *ctx, enum hf_compression kind, struct hf_digest *ret_digest,
        struct hf_err *err)
{
    static const struct hf_layer_source none = {.fd = -1};
    w->second = w->streamed;
    w->streamed = true;
    if (w->second)
        keep_siblings(w);
    int rc = walk_stream(w, &none, source, ctx, kind, ret_digest, err);
    if (rc >= 0 && w->second)
        note_unfound(w);
    /* Other layers of the stream follow: what is held until this one's end need not wait. */
    return rc < 0 ? rc : flush_held(w, err);
}

bool hf_layer_again(const struct hf_walk *w)
{
    return w->n_aliases && !w->second;
}

int hf_layer_end(struct hf_walk *w, struct hf_err *err)
{
    if (!w)
        return 0;
    int rc = flush_held(w, err);
    hf_buf_done(&w->stream_file);
    hf_buf_done(&w->name);
    hf_hash_free(w->hash);
    free(w->block);
    free(w->aliases);
    hf_map_done(&w->wanted);
    hf_map_done(&w->programs);
    free(w);
    return rc;
}

int hf_layer_walk(const struct hf_layer_source *l, const struct hf_span *skip, size_t n_skip, const struct hf_layer_opts *o,
        struct hf_cat_scratch *scratch, struct hf_layer_result *ret, struct hf_err *err)
{
    struct hf_walk *w = hf_layer_begin(o, scratch, ret);
    if (!w)
        return hf_fail(err, -ENOMEM, "out of memory");
    int rc = l->fd >= 0 ? walk_blob(w, l, &ret->diff_id, err) : hf_dir_walk(w, l, skip, n_skip, err);
    struct hf_err late = HF_ERR_INIT;
    int ended = hf_layer_end(w, &late);
    if (rc >= 0 && ended < 0) {
        rc = ended;
        if (err)
            *err = late;
    }
    return rc;
}

int hf_region_digest(int fd, uint64_t offset, uint64_t size, enum hf_hash_kind kind, struct hf_progress *progress, struct hf_digest *ret,
        struct hf_err *err)
{
    hf_autofree char *block = malloc(HASH_BLOCK);
    hf_cleanup(hf_hash_freep) struct hf_hash *h = hf_hash_new(kind);
    if (!block || !h)
        return hf_fail(err, -ENOMEM, "out of memory");
    struct hf_ra ra = hf_ra_fd(fd, offset, size);
    for (uint64_t off = 0; off < size;) {
        size_t n = (size_t)HF_MIN((uint64_t)HASH_BLOCK, size - off);
        int rc = hf_ra_read(&ra, off, block, n, err);
        if (rc < 0)
            return rc;
        hf_hash_add(h, block, n);
        hf_progress_add(progress, n);
        off += n;
    }
    ret->kind = kind;
    ret->n = (uint8_t)hf_hash_end(h, ret->b);
    return 0;
}
