/* SPDX-License-Identifier: Apache-2.0 */
/* Seals of images of Windows: names whatever their case, owners and access by the security descriptor, and trees as they are mounted.  Seals are in the order of bytes, which is not that of
 * names in one case, so both are laid out in memory first. */
#include <errno.h>
#include <sys/stat.h>

#include "formats/winsd/winsd.h"
#include "image/winpax.h"
#include "seal/seal-internal.h"
#include "seal/seal.h"

enum { MEMORY_MAX = 1 << 30 };
#define FILES "/Files"

struct one {
    struct hf_span key;
    struct hf_seal_entry e; /* spans in the arena */
};
struct side {
    struct hf_arena arena;
    struct one *v;
    size_t n, cap;
};

static void side_done(struct side *s)
{
    free(s->v);
    hf_arena_done(&s->arena);
}

static int by_key(const void *a, const void *b)
{
    const struct one *x = a, *y = b;
    int c = hf_span_cmp(x->key, y->key);
    return c ? c : hf_span_cmp(x->e.path, y->e.path);
}

static int add(struct side *s, const struct hf_seal_entry *e, struct hf_span name, struct hf_buf *folded)
{
    hf_buf_clear(folded);
    hf_win_fold(name, folded);
    struct one *x = hf_buf_ok(folded) ? hf_grow((void **)&s->v, &s->n, &s->cap, sizeof *x, HF_SEAL_MAX_ENTRIES) : NULL;
    if (!x)
        return HF_E_LIMIT;
    x->e = *e;
    int rc = hf_arena_dup(&s->arena, hf_buf_span(folded), &x->key);
    rc = rc < 0 ? rc : hf_arena_dup(&s->arena, e->path, &x->e.path);
    rc = rc < 0 ? rc : hf_arena_dup(&s->arena, e->link, &x->e.link);
    return rc < 0 ? rc : hf_arena_dup(&s->arena, e->caps, &x->e.caps); /* those of Windows live as long as the seal */
}

/* below: only what lies below this folder, without it. */
static int lay_out(struct side *s, struct hf_seal *seal, const char *below, struct hf_err *err)
{
    hf_autobuf folded = HF_BUF_INIT(HF_SEAL_MAX_PATH + 1);
    struct hf_seal_iter it = {0};
    struct hf_seal_entry e;
    size_t skip = below ? strlen(below) : 0;
    int rc;
    hf_arena_init(&s->arena, MEMORY_MAX);
    while ((rc = hf_seal_next(seal, &it, &e, err)) == 1) {
        if (below && !(hf_span_starts(e.path, hf_span_z(below)) && e.path.n > skip && e.path.p[skip] == '/'))
            continue;
        if (add(s, &e, hf_span_from(e.path, skip), &folded) < 0)
            return hf_fail(err, HF_E_LIMIT, "the seals are too large to be compared");
    }
    if (s->n)
        qsort(s->v, s->n, sizeof *s->v, by_key);
    return rc;
}

static unsigned of_descriptor(const struct hf_winfile *a, const struct hf_winfile *b)
{
    struct hf_winsd x, y;
    if (hf_span_eq(a->sd, b->sd))
        return 0;
    if (hf_winsd_read(a->sd, &x, NULL) < 0 || hf_winsd_read(b->sd, &y, NULL) < 0)
        return HF_SEAL_ACCESS;
    unsigned what = !hf_span_eq(x.owner, y.owner) || !hf_span_eq(x.group, y.group) ? HF_SEAL_OWNER : 0;
    return !hf_span_eq(x.dacl, y.dacl) || !hf_span_eq(x.sacl, y.sacl) || x.control != y.control ? what | HF_SEAL_ACCESS : what;
}

static unsigned differences(const struct hf_seal_entry *a, const struct hf_seal_entry *b, bool mounted)
{
    unsigned what = 0;
    struct hf_winfile x = {.has_attributes = false}, y = {.has_attributes = false};
    if ((a->mode & S_IFMT) != (b->mode & S_IFMT))
        return HF_SEAL_TYPE;
    if (S_ISREG(a->mode) && (!a->has_sha256 || !b->has_sha256))
        what |= a->size != b->size ? HF_SEAL_CONTENT : HF_SEAL_UNREAD;
    else if (S_ISREG(a->mode) && (a->size != b->size || memcmp(a->sha256, b->sha256, 32) != 0))
        what |= HF_SEAL_CONTENT;
    if (mounted)
        return what;
    if (S_ISLNK(a->mode) && !hf_span_eq(a->link, b->link))
        what |= HF_SEAL_LINK;
    (void)(hf_winfile_read(a->windows, &x) && hf_winfile_read(b->windows, &y)); /* a seal has none that cannot be read */
    if (a->windows.n && b->windows.n)
        what |= of_descriptor(&x, &y);
    else if (a->windows.n != b->windows.n)
        what |= HF_SEAL_ACCESS;
    return x.has_attributes != y.has_attributes || x.attributes != y.attributes ? what | HF_SEAL_ATTRIBUTES : what;
}

bool hf_seal_is_mounted(struct hf_seal *a, struct hf_seal *b)
{
    struct hf_seal_entry e;
    return hf_span_eqz(hf_seal_os(a), "windows") && !hf_span_eqz(hf_seal_os(b), "windows") && hf_seal_find(b, HF_S(FILES), &e, NULL) != 1;
}

int hf_seal_diff_windows(struct hf_seal *a, struct hf_seal *b, hf_seal_diff_cb cb, void *ctx, struct hf_err *err)
{
    hf_cleanup(side_done) struct side x = {.n = 0}, y = {.n = 0};
    bool mounted = hf_seal_is_mounted(a, b);
    int rc = lay_out(&x, a, mounted ? FILES : NULL, err);
    rc = rc < 0 ? rc : lay_out(&y, b, NULL, err);
    for (size_t i = 0, k = 0; rc >= 0 && (i < x.n || k < y.n);) {
        int c = i == x.n ? 1 : k == y.n ? -1 : hf_span_cmp(x.v[i].key, y.v[k].key);
        unsigned what = c ? 0 : differences(&x.v[i].e, &y.v[k].e, mounted);
        if (c || what)
            rc = cb(ctx, c > 0 ? NULL : &x.v[i].e, c < 0 ? NULL : &y.v[k].e, what, err);
        i += c <= 0;
        k += c >= 0;
    }
    return rc;
}
