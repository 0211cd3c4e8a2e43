// SPDX-License-Identifier: Apache-2.0
#include "guard/inuse.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/mem.h"

#define TEXT_MAX (2u << 20) /* of the names of an image's packages */
#define NAME_MAX_ 256u

struct pack {
    struct hf_span name;
    uint64_t first_s, last_s;
    uint32_t how;
};

struct hf_inuse {
    char image[HF_DIGEST_TEXT], path[4352];
    char name[NAME_MAX_];
    uint64_t since_s, written_s;
    struct pack *packs; /* sorted by name */
    size_t n, cap;
    struct hf_arena arena;
    unsigned users;
    bool dirty;
};

struct hf_inuse_store {
    char dir[4096];
    struct hf_inuse *images[HF_INUSE_IMAGES];
};

static const struct {
    uint32_t how;
    const char *name;
} ways[] = {{HF_INUSE_RAN, "ran"}, {HF_INUSE_MAPPED, "mapped"}, {HF_INUSE_LISTENS, "listens"}, {HF_INUSE_ROOT, "root"}};

bool hf_inuse_path(const char *state_dir, struct hf_span image, char ret[4352])
{
    struct hf_digest d;
    char text[HF_DIGEST_TEXT];
    if (hf_digest_parse(image, &d) < 0 || d.kind != HF_SHA256 || strlen(state_dir) > 4096)
        return false;
    hf_digest_text(&d, text);
    snprintf(ret, 4352, "%s/inuse/sha256-%s.json", state_dir, text + 7);
    return true;
}

int hf_inuse_store_new(struct hf_inuse_store **ret, const char *state_dir, struct hf_err *err)
{
    char path[4352];
    hf_autofree struct hf_inuse_store *s = calloc(1, sizeof *s);
    if (!s)
        return hf_fail(err, -ENOMEM, "no memory for the packages in use");
    if ((size_t)snprintf(s->dir, sizeof s->dir, "%s", state_dir) >= sizeof s->dir)
        return hf_fail(err, -ENAMETOOLONG, "%.200s: the name is too long", state_dir);
    snprintf(path, sizeof path, "%s/inuse", s->dir);
    int rc = hf_mkdirs(path, 0700, err);
    if (rc < 0)
        return rc;
    *ret = hf_take(s);
    return 0;
}

/* Where a name is, or belongs. */
static size_t find(const struct hf_inuse *u, struct hf_span name, bool *ret_there)
{
    size_t low = 0, high = u->n;
    *ret_there = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = hf_span_cmp(u->packs[mid].name, name);
        if (c == 0) {
            *ret_there = true;
            return mid;
        }
        *(c < 0 ? &low : &high) = c < 0 ? mid + 1 : mid;
    }
    return low;
}

static struct pack *pack_of(struct hf_inuse *u, struct hf_span name)
{
    bool there;
    size_t at = find(u, name, &there);
    struct hf_span own;
    if (there)
        return &u->packs[at];
    if (!name.n || name.n > 1024 || hf_arena_dup(&u->arena, name, &own) < 0 || !hf_grow((void **)&u->packs, &u->n, &u->cap, sizeof *u->packs, HF_INUSE_PACKAGES))
        return NULL;
    memmove(&u->packs[at + 1], &u->packs[at], (u->n - 1 - at) * sizeof *u->packs);
    u->packs[at] = (struct pack){.name = own};
    return &u->packs[at];
}

void hf_inuse_mark(struct hf_inuse *u, struct hf_span package, uint32_t how)
{
    uint64_t now_s = (uint64_t)time(NULL);
    struct pack *p = pack_of(u, package);
    if (!p)
        return;
    p->first_s = p->first_s ? p->first_s : now_s;
    p->last_s = now_s;
    p->how |= how;
    u->dirty = true;
}

static void kept(void *ctx, const struct hf_inuse_package *k)
{
    struct pack *p = pack_of(ctx, k->package);
    if (p)
        *p = (struct pack){.name = p->name, .first_s = k->first_s, .last_s = k->last_s, .how = k->how};
}

static void load(struct hf_inuse *u)
{
    hf_autobuf text = HF_BUF_INIT(HF_INUSE_BYTES);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_span image;
    if (hf_read_file(u->path, &text, NULL) < 0 || hf_inuse_read(hf_buf_span(&text), &image, &u->since_s, kept, u, &doc, NULL) < 0)
        u->since_s = 0; /* one that is no good is begun anew */
}

struct hf_inuse *hf_inuse_get(struct hf_inuse_store *s, const char *image, struct hf_span name)
{
    struct hf_inuse **free_one = NULL;
    for (size_t i = 0; i < HF_INUSE_IMAGES; i++) {
        if (s->images[i] && !strcmp(s->images[i]->image, image)) {
            s->images[i]->users++;
            return s->images[i];
        }
        free_one = !free_one && !s->images[i] ? &s->images[i] : free_one;
    }
    struct hf_inuse *u = free_one ? calloc(1, sizeof *u) : NULL;
    if (!u || !hf_inuse_path(s->dir, hf_span_z(image), u->path)) {
        free(u);
        return NULL;
    }
    snprintf(u->image, sizeof u->image, "%s", image);
    snprintf(u->name, sizeof u->name, "%.*s", (int)HF_MIN(name.n, (size_t)NAME_MAX_ - 1), name.p ? name.p : "");
    hf_arena_init(&u->arena, TEXT_MAX);
    u->users = 1;
    load(u);
    u->since_s = u->since_s ? u->since_s : (uint64_t)time(NULL);
    *free_one = u;
    return u;
}

static void write_out(struct hf_inuse *u)
{
    hf_autobuf out = HF_BUF_INIT(HF_INUSE_BYTES);
    struct hf_jw w;
    hf_jw_init(&w, &out, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "schema", "holdfast.inuse-state/1");
    hf_jw_kstrz(&w, "image", u->image);
    hf_jw_kstrz(&w, "name", u->name);
    hf_jw_ku64(&w, "since", u->since_s);
    hf_jw_key(&w, "packages");
    hf_jw_array(&w);
    for (size_t i = 0; i < u->n; i++) {
        hf_jw_object(&w);
        hf_jw_kstr(&w, "package", u->packs[i].name);
        hf_jw_ku64(&w, "first", u->packs[i].first_s);
        hf_jw_ku64(&w, "last", u->packs[i].last_s);
        for (size_t k = 0; k < HF_ARRAY_LEN(ways); k++)
            if (u->packs[i].how & ways[k].how)
                hf_jw_kbool(&w, ways[k].name, true);
        hf_jw_object_end(&w);
    }
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    hf_buf_addc(&out, '\n');
    u->written_s = (uint64_t)time(NULL);
    if (hf_buf_ok(&out) && hf_write_file(u->path, 0600, hf_buf_span(&out), NULL) == 0) /* else with the next: it is marks only */
        u->dirty = false;
}

bool hf_inuse_dirty(const struct hf_inuse_store *s)
{
    for (size_t i = 0; s && i < HF_INUSE_IMAGES; i++)
        if (s->images[i] && s->images[i]->dirty)
            return true;
    return false;
}

void hf_inuse_store_write(struct hf_inuse_store *s, bool all)
{
    uint64_t now_s = (uint64_t)time(NULL);
    for (size_t i = 0; s && i < HF_INUSE_IMAGES; i++)
        if (s->images[i] && s->images[i]->dirty && (all || now_s - s->images[i]->written_s >= HF_INUSE_WRITE_S))
            write_out(s->images[i]);
}

void hf_inuse_put(struct hf_inuse_store *s, struct hf_inuse *u)
{
    for (size_t i = 0; s && u && i < HF_INUSE_IMAGES; i++) {
        if (s->images[i] != u || --u->users > 0)
            continue;
        if (u->dirty)
            write_out(u);
        hf_arena_done(&u->arena);
        free(u->packs);
        free(u);
        s->images[i] = NULL;
        return;
    }
}

void hf_inuse_store_free(struct hf_inuse_store *s)
{
    for (size_t i = 0; s && i < HF_INUSE_IMAGES; i++)
        if (s->images[i]) {
            s->images[i]->users = 1;
            hf_inuse_put(s, s->images[i]);
        }
    free(s);
}

static uint64_t seconds(hf_jnode n)
{
    double d;
    return hf_jnum(n, &d) && d >= 0 && d < 1e15 ? (uint64_t)d : 0;
}

int hf_inuse_read(struct hf_span text, struct hf_span *ret_image, uint64_t *ret_since_s, void (*fn)(void *ctx, const struct hf_inuse_package *p), void *ctx,
        struct hf_json_doc **ret_doc, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    unsigned n = 0;
    int rc = hf_json_parse_within(text, 64u << 20, &doc, err);
    if (rc < 0)
        return rc;
    hf_jnode root = hf_json_root(doc);
    if (!hf_span_eqz(hf_jgetstr(root, "schema"), "holdfast.inuse-state/1"))
        return hf_fail(err, HF_E_FORMAT, "it is no list of packages in use");
    HF_JFOREACH (one, hf_jget(root, "packages")) {
        struct hf_inuse_package p = {.package = hf_jgetstr(one, "package"), .first_s = seconds(hf_jget(one, "first")), .last_s = seconds(hf_jget(one, "last"))};
        for (size_t k = 0; k < HF_ARRAY_LEN(ways); k++)
            p.how |= hf_jis_true(hf_jget(one, ways[k].name)) ? ways[k].how : 0;
        if (p.package.n && n++ < HF_INUSE_PACKAGES)
            fn(ctx, &p);
    }
    *ret_image = hf_jgetstr(root, "name");
    *ret_since_s = seconds(hf_jget(root, "since"));
    *ret_doc = hf_take(doc);
    return 0;
}
