// SPDX-License-Identifier: Apache-2.0
#include "formats/boltdb/boltdb.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rd.h"

#define MAGIC 0xED0CDAEDu
#define VERSION 2u
#define HEADER 16u            /* of a page, of an element, of a bucket */
#define META 64u              /* bytes of a meta page's content, its checksum the last eight */
#define PAGE_MIN 1024u
#define PAGE_MAX (1u << 20)   /* with its overflow pages */
#define DEPTH_MAX 16u
#define ATTEMPTS 3u
#define PAIRS_MAX 1024u
#define FLAG_BRANCH 0x1u
#define FLAG_LEAF 0x2u
#define FLAG_META 0x4u
#define ELEMENT_BUCKET 0x1u

struct hf_bolt {
    hf_bolt_read read;
    void *ctx;
    int fd; /* own file, -1: none */
    uint32_t page_size;
    uint64_t root, txid;
    struct hf_buf page[2]; /* the one being looked at; the leaf that holds an inline bucket */
};

/* A bucket's tree: pages from root on, or one page that lies in the value itself. */
struct tree {
    uint64_t root;
    struct hf_span inline_page;
};

static uint64_t fnv64a(struct hf_span s)
{
    uint64_t h = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3ull;
    return h;
}

int hf_bolt_new(struct hf_bolt **ret, hf_bolt_read read, void *ctx, struct hf_err *err)
{
    struct hf_bolt *b = hf_alloc_fails() ? NULL : calloc(1, sizeof *b);
    if (!b)
        return hf_fail(err, -ENOMEM, "no memory for a database reader");
    b->read = read;
    b->ctx = ctx;
    b->fd = -1;
    hf_buf_init(&b->page[0], PAGE_MAX);
    hf_buf_init(&b->page[1], PAGE_MAX);
    *ret = b;
    return 0;
}

static ssize_t read_file(void *ctx, uint64_t offset, char *out, size_t n)
{
    size_t done = 0;
    if (offset > (uint64_t)INT64_MAX - n)
        return 0;
    while (done < n) {
        ssize_t got = pread(*(int *)ctx, out + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            break;
        done += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)done;
}

int hf_bolt_open(struct hf_bolt **ret, const char *path, struct hf_err *err)
{
    struct stat st;
    hf_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : hf_fail(err, -errno, "it could not be opened: %s", hf_err_name(-errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return hf_fail(err, HF_E_UNSUPPORTED, "it is not a file");
    int rc = hf_bolt_new(ret, read_file, NULL, err);
    if (rc < 0)
        return rc;
    (*ret)->fd = fd;
    fd = -1;
    (*ret)->ctx = &(*ret)->fd;
    return 1;
}

void hf_bolt_free(struct hf_bolt *b)
{
    if (!b)
        return;
    hf_buf_done(&b->page[0]);
    hf_buf_done(&b->page[1]);
    hf_closep(&b->fd);
    free(b);
}

static int read_at(struct hf_bolt *b, uint64_t offset, size_t n, struct hf_buf *out, struct hf_err *err)
{
    hf_buf_clear(out);
    if (!hf_buf_reserve(out, n))
        return hf_fail(err, HF_E_LIMIT, "a database page of %zu bytes", n);
    ssize_t got = b->read(b->ctx, offset, out->p, n);
    if (got < 0)
        return hf_fail(err, (int)got, "a database page could not be read");
    if ((size_t)got < n)
        return hf_fail(err, HF_E_TRUNCATED, "the database ends at %llu, within a page", (unsigned long long)offset + (uint64_t)got);
    out->n = n;
    return 0;
}

/* One of the two meta pages; true when it is whole. */
static bool meta(struct hf_span page, uint32_t *ret_size, uint64_t *ret_root, uint64_t *ret_txid)
{
    struct hf_rd r = hf_rd(page);
    hf_rd_skip(&r, 8);
    uint64_t flags = hf_rd_le(&r, 2);
    hf_rd_skip(&r, 6);
    struct hf_span body = hf_rd_span(&r, META - 8);
    uint64_t sum = hf_rd_le(&r, 8);
    if (r.bad || !(flags & FLAG_META) || fnv64a(body) != sum)
        return false;
    r = hf_rd(body);
    uint32_t magic = hf_rd_le32(&r), version = hf_rd_le32(&r), size = hf_rd_le32(&r);
    hf_rd_skip(&r, 4);
    *ret_root = hf_rd_le(&r, 8);
    hf_rd_skip(&r, 24); /* sequence, free list, high water mark */
    *ret_txid = hf_rd_le(&r, 8);
    *ret_size = size;
    return magic == MAGIC && version == VERSION && size >= PAGE_MIN && size <= 65536 && !(size & (size - 1));
}

/* The younger of the two meta pages that are whole. */
static int begin(struct hf_bolt *b, struct hf_err *err)
{
    bool any = false;
    uint32_t size = 4096;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t root, txid;
        uint32_t told;
        int rc = read_at(b, (uint64_t)i * size, HEADER + META, &b->page[0], err);
        if (rc < 0)
            return rc;
        if (!meta(hf_buf_span(&b->page[0]), &told, &root, &txid))
            continue;
        if (i == 0)
            size = told; /* where the second one lies */
        if (any && txid <= b->txid)
            continue;
        any = true;
        b->page_size = told;
        b->root = root;
        b->txid = txid;
    }
    return any ? 0 : hf_fail(err, HF_E_FORMAT, "no whole meta page of a bbolt database");
}

static int page(struct hf_bolt *b, uint64_t id, struct hf_buf *out, struct hf_err *err)
{
    uint64_t offset, bytes;
    if (__builtin_mul_overflow(id, b->page_size, &offset))
        return hf_fail(err, HF_E_FORMAT, "page number %llu", (unsigned long long)id);
    int rc = read_at(b, offset, b->page_size, out, err);
    if (rc < 0)
        return rc;
    struct hf_rd r = hf_rd(hf_buf_span(out));
    uint64_t own = hf_rd_le(&r, 8);
    hf_rd_skip(&r, 4);
    uint32_t overflow = hf_rd_le32(&r);
    bytes = ((uint64_t)overflow + 1) * b->page_size;
    if (own != id)
        return hf_fail(err, HF_E_FORMAT, "page %llu says that it is page %llu", (unsigned long long)id, (unsigned long long)own);
    if (bytes > PAGE_MAX)
        return hf_fail(err, HF_E_LIMIT, "page %llu of %llu bytes", (unsigned long long)id, (unsigned long long)bytes);
    return overflow ? read_at(b, offset, (size_t)bytes, out, err) : 0;
}

struct element {
    uint32_t flags;
    struct hf_span key, value;
    uint64_t child;
};

/* Element i of a page; texts are counted from where the element itself lies. */
static bool element(struct hf_span p, bool leaf, unsigned i, struct element *ret)
{
    size_t at = HEADER + (size_t)i * HEADER;
    struct hf_rd r = hf_rd(hf_span_from(p, HF_MIN(at, p.n)));
    uint32_t a = hf_rd_le32(&r), c = hf_rd_le32(&r);
    uint64_t d = hf_rd_le(&r, 8);
    uint32_t pos = leaf ? c : a, key_n = leaf ? (uint32_t)d : c, value_n = leaf ? (uint32_t)(d >> 32) : 0;
    if (r.bad || pos > p.n - at || key_n > p.n - at - pos || value_n > p.n - at - pos - key_n)
        return false;
    *ret = (struct element){leaf ? a : 0, hf_span_sub(p, at + pos, key_n), hf_span_sub(p, at + pos + key_n, value_n), leaf ? 0 : d};
    return true;
}

static int head(struct hf_span p, bool *ret_leaf, unsigned *ret_count, struct hf_err *err)
{
    struct hf_rd r = hf_rd(p);
    hf_rd_skip(&r, 8);
    uint64_t flags = hf_rd_le(&r, 2), count = hf_rd_le(&r, 2);
    if (r.bad || !(flags & (FLAG_BRANCH | FLAG_LEAF)) || count > (p.n - HEADER) / HEADER)
        return hf_fail(err, HF_E_FORMAT, "a page that is neither branch nor leaf, or has more elements than room");
    *ret_leaf = flags & FLAG_LEAF;
    *ret_count = (unsigned)count;
    return 0;
}

/* Greatest element whose key is not above the one looked for; SIZE_MAX on damage. */
static int search(struct hf_span p, bool leaf, unsigned count, struct hf_span key, unsigned *ret, struct hf_err *err)
{
    unsigned low = 0, high = count;
    struct element e;
    while (low < high) { /* first that is above */
        unsigned mid = low + (high - low) / 2;
        if (!element(p, leaf, mid, &e))
            return hf_fail(err, HF_E_FORMAT, "element %u of a page lies outside of it", mid);
        if (hf_span_cmp(e.key, key) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    *ret = low ? low - 1 : 0;
    return 0;
}

/* The leaf element with this key in a tree; what it points to lies in out, or in the tree's own bytes. */
static int find(struct hf_bolt *b, const struct tree *t, struct hf_span key, struct hf_buf *out, struct element *ret, struct hf_err *err)
{
    uint64_t id = t->root;
    struct hf_span p = t->inline_page;
    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        bool leaf;
        unsigned count, i;
        int rc = t->root ? page(b, id, out, err) : 0;
        if (rc < 0)
            return rc;
        if (t->root)
            p = hf_buf_span(out);
        rc = head(p, &leaf, &count, err);
        if (rc < 0 || !count)
            return rc;
        rc = search(p, leaf, count, key, &i, err);
        if (rc < 0)
            return rc;
        if (!element(p, leaf, i, ret))
            return hf_fail(err, HF_E_FORMAT, "element %u of a page lies outside of it", i);
        if (leaf)
            return hf_span_eq(ret->key, key);
        if (!t->root)
            return hf_fail(err, HF_E_FORMAT, "a branch within a bucket's value");
        id = ret->child;
    }
    return hf_fail(err, HF_E_LIMIT, "a tree deeper than %u pages", DEPTH_MAX);
}

static bool bucket(struct hf_span value, struct tree *ret)
{
    struct hf_rd r = hf_rd(value);
    uint64_t root = hf_rd_le(&r, 8);
    hf_rd_skip(&r, 8);
    if (r.bad)
        return false;
    *ret = (struct tree){root, root ? hf_span(NULL, 0) : hf_span_from(value, HEADER)};
    return true;
}

/* Down through the buckets; the bytes of an inline one lie in page[*held], which stays untouched while page[1 - *held] is used. */
static int descend(struct hf_bolt *b, const struct hf_span *path, size_t n, struct tree *ret, unsigned *held, struct hf_err *err)
{
    *ret = (struct tree){b->root, {NULL, 0}};
    *held = 0;
    for (size_t i = 0; i < n; i++) {
        struct element e;
        unsigned next = ret->root ? 1 - *held : *held; /* a bucket within an inline one lies in the same bytes */
        int rc = find(b, ret, path[i], &b->page[next], &e, err);
        if (rc <= 0)
            return rc;
        if (!(e.flags & ELEMENT_BUCKET))
            return 0;
        if (!bucket(e.value, ret))
            return hf_fail(err, HF_E_FORMAT, "a bucket of %zu bytes", e.value.n);
        *held = next;
    }
    return 1;
}

/* Whether the owner has written since begin(). */
static int moved_on(struct hf_bolt *b, struct hf_err *err)
{
    uint64_t before = b->txid;
    int rc = begin(b, err);
    return rc < 0 ? rc : b->txid != before;
}

/* Reads until nothing was written meanwhile, three times at most.  `read` forgets what it found before. */
static int unmoved(struct hf_bolt *b, int (*read)(struct hf_bolt *b, void *ctx, struct hf_err *err), void *ctx, struct hf_err *err)
{
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        struct hf_err mine = HF_ERR_INIT;
        int rc = begin(b, err);
        if (rc < 0)
            return rc;
        int found = read(b, ctx, &mine);
        rc = moved_on(b, err);
        if (rc < 0)
            return rc;
        if (rc == 0) {
            if (found < 0 && err)
                *err = mine;
            return found;
        }
    }
    return hf_fail(err, -EAGAIN, "the database was written to all the time");
}

struct lookup {
    const struct hf_span *path;
    size_t n, before;
    struct hf_buf *out;
};

static int get_once(struct hf_bolt *b, void *ctx, struct hf_err *err)
{
    const struct lookup *l = ctx;
    struct tree t;
    struct element e;
    unsigned held;
    l->out->n = l->before;
    int rc = descend(b, l->path, l->n - 1, &t, &held, err);
    if (rc <= 0)
        return rc;
    rc = find(b, &t, l->path[l->n - 1], &b->page[1 - held], &e, err);
    if (rc <= 0 || e.flags & ELEMENT_BUCKET)
        return HF_MIN(rc, 0);
    hf_buf_adds(l->out, e.value);
    return hf_buf_ok(l->out) ? 1 : hf_fail(err, HF_E_LIMIT, "a value of %zu bytes", e.value.n);
}

int hf_bolt_get(struct hf_bolt *b, const struct hf_span *path, size_t n, struct hf_buf *out, struct hf_err *err)
{
    struct lookup l = {path, n, out->n, out};
    int rc = n ? unmoved(b, get_once, &l, err) : 0;
    if (rc == -EAGAIN)
        out->n = l.before;
    return rc;
}

struct walk {
    const struct hf_span *path;
    size_t n;
    void (*fn)(void *ctx, struct hf_span key, struct hf_span value);
    void (*restart)(void *ctx); /* NULL: it may be told twice */
    void *ctx;
    bool buckets; /* instead of what is none */
    unsigned max, left; /* elements and pages */
};

/* A leaf, or the leaves below a branch: depth first.  `p` lies in memory of the caller. */
static int leaves(struct hf_bolt *b, struct hf_span p, unsigned depth, struct walk *w, struct hf_err *err)
{
    bool leaf;
    unsigned count;
    int rc = head(p, &leaf, &count, err);
    for (unsigned i = 0; rc == 0 && i < count && w->left; i++) {
        struct element e;
        if (!element(p, leaf, i, &e))
            return hf_fail(err, HF_E_FORMAT, "element %u of a page lies outside of it", i);
        if (leaf) {
            w->left--;
            if (w->buckets == ((e.flags & ELEMENT_BUCKET) != 0))
                w->fn(w->ctx, e.key, e.value);
            continue;
        }
        if (depth + 1 >= DEPTH_MAX)
            return hf_fail(err, HF_E_LIMIT, "a tree deeper than %u pages", DEPTH_MAX);
        w->left--; /* pages count, too: a tree that leads back into itself ends */
        hf_autobuf below = HF_BUF_INIT(PAGE_MAX);
        rc = page(b, e.child, &below, err);
        if (rc == 0)
            rc = leaves(b, hf_buf_span(&below), depth + 1, w, err);
    }
    return rc;
}

static int each_once(struct hf_bolt *b, void *ctx, struct hf_err *err)
{
    struct walk *w = ctx;
    struct tree t;
    unsigned held;
    w->left = w->max;
    if (w->restart)
        w->restart(w->ctx);
    int rc = descend(b, w->path, w->n, &t, &held, err);
    if (rc <= 0)
        return rc;
    if (t.root && (rc = page(b, t.root, &b->page[1 - held], err)) < 0)
        return rc;
    rc = leaves(b, t.root ? hf_buf_span(&b->page[1 - held]) : t.inline_page, 0, w, err);
    return rc < 0 ? rc : 1;
}

int hf_bolt_each(struct hf_bolt *b, const struct hf_span *path, size_t n, void (*fn)(void *ctx, struct hf_span key, struct hf_span value),
        void (*restart)(void *ctx), void *ctx, struct hf_err *err)
{
    struct walk w = {.path = path, .n = n, .fn = fn, .restart = restart, .ctx = ctx, .max = PAIRS_MAX};
    return unmoved(b, each_once, &w, err);
}

struct names {
    struct hf_buf *out;
    size_t before;
    unsigned n;
    bool bad;
};

static void name(void *ctx, struct hf_span key, struct hf_span value)
{
    struct names *l = ctx;
    (void)value;
    l->bad |= key.n && memchr(key.p, 0, key.n);
    l->n++;
    hf_buf_adds(l->out, key);
    hf_buf_addc(l->out, 0);
}

static void no_names(void *ctx)
{
    struct names *l = ctx;
    l->out->n = l->before;
    l->n = 0;
    l->bad = false;
}

int hf_bolt_buckets(struct hf_bolt *b, const struct hf_span *path, size_t n, unsigned max, struct hf_buf *out, struct hf_err *err)
{
    struct names l = {.out = out, .before = out->n};
    /* there may be other keys, and the pages count as well */
    struct walk w = {.path = path, .n = n, .fn = name, .restart = no_names, .ctx = &l, .buckets = true, .max = 2 * max + PAIRS_MAX};
    int rc = unmoved(b, each_once, &w, err);
    if (rc > 0 && l.bad)
        return hf_fail(err, HF_E_FORMAT, "a bucket with a byte 0 in its name");
    return rc > 0 && (l.n > max || !w.left || !hf_buf_ok(out)) ? hf_fail(err, HF_E_LIMIT, "more than %u names in a bucket, or no room for them", max) : rc;
}
