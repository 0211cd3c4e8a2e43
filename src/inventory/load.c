/* SPDX-License-Identifier: Apache-2.0 */
/* The packages of an image as the store has them become a scan that can be matched again: what hf_inv_scan took apart, in the same order. */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "inventory/inventory-internal.h"

enum { LOCATIONS_MAX = 10000, OWNERS_MAX = 64 };

struct loading {
    struct hf_inv_image_scan *out;
    struct hf_map layers; /* digest or diff id -> index + 1 */
    struct hf_err *err;
    uint32_t *order; /* place in the scan, of read[] */
    size_t n_order, cap_order;
};

static int no_room(struct hf_err *err)
{
    return hf_fail(err, -ENOMEM, "no memory for the packages of an image");
}

static int keep(struct hf_scan *s, const char *text, struct hf_span *ret)
{
    return *text ? hf_arena_dup(&s->arena, hf_span_z(text), ret) : 0;
}

static int type_of(const char *name)
{
    for (int t = 0; t < HF_PKG_TYPES; t++)
        if (!strcmp(hf_pkg_type_name((enum hf_pkg_type)t), name))
            return t;
    return -1;
}

static int unhex(struct hf_scan *s, const char *hex, struct hf_span *ret)
{
    size_t n = strlen(hex) / 2;
    char *b = hf_arena_alloc(&s->arena, n + 1);
    for (size_t i = 0; b && i < n; i++) {
        uint64_t v;
        if (hf_parse_u64(hf_span(hex + 2 * i, 2), 16, 0, 255, &v) < 0)
            return HF_E_FORMAT;
        b[i] = (char)v;
    }
    *ret = hf_span(b, n);
    return b ? 0 : HF_E_LIMIT;
}

static int locations(struct loading *l, const cJSON *doc, struct hf_scan_package *p)
{
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(doc, "locations");
    size_t n = 0;
    for (const cJSON *c = cJSON_IsArray(all) ? all->child : NULL; c && n < LOCATIONS_MAX; c = c->next)
        n++;
    if (!n)
        return 0;
    struct hf_location *at = hf_arena_calloc(&l->out->scan.arena, n, sizeof *at);
    if (!at)
        return HF_E_LIMIT;
    p->locations = at;
    p->n_locations = n;
    for (const cJSON *c = all->child; n--; c = c->next, at++) {
        uint64_t layer;
        if (keep(&l->out->scan, hf_inv_z(c, "path"), &at->path) < 0)
            return HF_E_LIMIT;
        at->layer = hf_map_get(&l->layers, hf_span_z(hf_inv_z(c, "layer")), &layer) ? (uint32_t)layer - 1 : UINT32_MAX;
    }
    return 0;
}

static int flags_of(const cJSON *doc)
{
    static const struct {
        const char *word;
        int flag;
    } words[] = {{"main_module", HF_PKG_MAIN_MODULE}, {"stdlib", HF_PKG_STDLIB}, {"symbols", HF_PKG_SYMBOLS}, {"not_matched", HF_PKG_NOT_MATCHED}};
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(doc, "flags");
    int flags = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(doc, "dev")) ? HF_PKG_DEV : 0;
    for (const cJSON *c = cJSON_IsArray(all) ? all->child : NULL; c; c = c->next)
        for (size_t i = 0; i < HF_ARRAY_LEN(words); i++)
            if (cJSON_IsString(c) && !strcmp(c->valuestring, words[i].word))
                flags |= words[i].flag;
    return flags;
}

static int fill(struct loading *l, const struct hf_inv_package *row, const cJSON *doc, struct hf_scan_package *sp)
{
    struct hf_scan *s = &l->out->scan;
    struct hf_package *p = &sp->p;
    const cJSON *source = cJSON_GetObjectItemCaseSensitive(doc, "source");
    int type = type_of(hf_inv_z(doc, "type")), flags = flags_of(doc);
    if (type < 0)
        return HF_E_FORMAT;
    p->type = (enum hf_pkg_type)type;
    p->flags = (unsigned)flags;
    int rc = hf_arena_dup(&s->arena, row->name, &p->name);
    rc = rc < 0 ? rc : hf_arena_dup(&s->arena, row->version, &p->version);
    const struct {
        const char *text;
        struct hf_span *to;
    } texts[] = {{hf_inv_z(doc, "arch"), &p->arch}, {hf_inv_z(source, "name"), &p->source_name}, {hf_inv_z(source, "version"), &p->source_version}, {hf_inv_z(doc, "vendor"), &p->vendor},
            {hf_inv_z(doc, "module"), &p->module}, {hf_inv_z(doc, "checksum"), &p->checksum}, {hf_inv_z(doc, "purl"), &sp->purl}};
    for (size_t i = 0; i < HF_ARRAY_LEN(texts) && rc == 0; i++)
        rc = keep(s, texts[i].text, texts[i].to);
    if (rc == 0 && flags & HF_PKG_NOT_MATCHED)
        rc = keep(s, hf_inv_z(doc, "unmatched"), &p->unmatched_why);
    if (rc == 0 && flags & HF_PKG_SYMBOLS)
        rc = unhex(s, hf_inv_z(doc, "symbols"), &p->symbols);
    return rc < 0 ? rc : locations(l, doc, sp);
}

static int one(struct loading *l, const struct hf_inv_package *row, struct hf_span ecosystem, const cJSON *doc, const cJSON *in_use)
{
    struct hf_inv_image_scan *o = l->out;
    const cJSON *owners = cJSON_GetObjectItemCaseSensitive(doc, "owners");
    struct hf_scan_package *sp = hf_grow((void **)&o->read, &o->n_read, &o->cap_read, sizeof *sp, HF_INV_PACKAGES_MAX);
    struct hf_inv_kept *k = sp ? hf_grow((void **)&o->kept, &o->n_kept, &o->cap_kept, sizeof *k, HF_INV_PACKAGES_MAX) : NULL;
    uint32_t *order = k ? hf_grow((void **)&l->order, &l->n_order, &l->cap_order, sizeof *order, HF_INV_PACKAGES_MAX) : NULL;
    if (k)
        *k = (struct hf_inv_kept){.ecosystem = ecosystem, .used = row->used};
    if (!order)
        return no_room(l->err);
    *sp = (struct hf_scan_package){.n_locations = 0};
    *order = (uint32_t)HF_MAX(0.0, HF_MIN(hf_inv_num(doc, "i"), 4e9));
    k->in_use = cJSON_Duplicate(in_use, true);
    k->owners = cJSON_Duplicate(owners, true);
    if (!k->in_use != !in_use || !k->owners != !owners)
        return no_room(l->err);
    int rc = fill(l, row, doc, sp);
    return rc == HF_E_FORMAT ? hf_fail(l->err, rc, "package %.*s: what is kept of it is not what a scan says", HF_SPAN_ARG(hf_span_sub(row->name, 0, 200)))
            : rc < 0 ? no_room(l->err) : 0;
}

static int package(void *ctx, struct hf_span digest, const struct hf_inv_package *row, uint64_t running)
{
    struct loading *l = ctx;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    struct hf_span ecosystem;
    (void)digest;
    (void)running;
    int rc = hf_json_parse_within(row->doc, 64u << 20, &d, l->err);
    if (rc < 0)
        return hf_wrap(l->err, rc, "package %.*s", HF_SPAN_ARG(hf_span_sub(row->name, 0, 200)));
    if (hf_arena_dup(&l->out->scan.arena, row->ecosystem, &ecosystem) < 0)
        return no_room(l->err);
    const cJSON *root = hf_json_root(d), *more = cJSON_GetObjectItemCaseSensitive(root, "more"), *use = cJSON_GetObjectItemCaseSensitive(root, "in_use");
    rc = one(l, row, ecosystem, root, use);
    for (const cJSON *m = cJSON_IsArray(more) ? more->child : NULL; m && rc == 0; m = m->next)
        rc = one(l, row, ecosystem, m, use);
    return rc;
}

/* ---- the rest of the image ---- */

static int layers(struct loading *l, const cJSON *doc)
{
    struct hf_scan *s = &l->out->scan;
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(doc, "layers");
    size_t n = 0;
    for (const cJSON *c = cJSON_IsArray(all) ? all->child : NULL; c && n < HF_INV_LAYERS_MAX; c = c->next)
        n++;
    struct hf_layer_info *v = hf_arena_calloc(&s->arena, n + 1, sizeof *v);
    if (!v)
        return no_room(l->err);
    s->layers = v;
    s->n_layers = n;
    const cJSON *c = n ? all->child : NULL;
    for (size_t i = 0; i < n; i++, c = c->next) {
        if (keep(s, hf_inv_z(c, "digest"), &v[i].digest) < 0 || keep(s, hf_inv_z(c, "diff_id"), &v[i].diff_id) < 0)
            return no_room(l->err);
        const struct hf_span names[] = {v[i].digest, v[i].diff_id};
        for (size_t k = 0; k < HF_ARRAY_LEN(names); k++) {
            uint64_t *at = names[k].n ? hf_map_at(&l->layers, names[k], NULL) : NULL;
            if (at && !*at)
                *at = i + 1;
        }
    }
    return 0;
}

static int marks(struct loading *l, const cJSON *doc)
{
    struct hf_scan *s = &l->out->scan;
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(doc, "marks");
    size_t n = 0;
    for (const cJSON *c = cJSON_IsArray(all) ? all->child : NULL; c; c = c->next)
        n++;
    struct hf_mark *v = calloc(n + 1, sizeof *v); /* freed with the scan */
    if (!v)
        return no_room(l->err);
    s->marks = v;
    s->n_marks = s->cap_marks = n;
    const cJSON *c = n ? all->child : NULL;
    for (size_t i = 0; i < n; i++, c = c->next)
        if (keep(s, hf_inv_z(c, "key"), &v[i].key) < 0 || keep(s, hf_inv_z(c, "text"), &v[i].text) < 0)
            return no_room(l->err);
    return 0;
}

static int image(struct loading *l, const struct hf_inv_image *i)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    struct hf_scan *s = &l->out->scan;
    int rc = hf_json_parse_within(i->doc, 64u << 20, &d, l->err);
    if (rc < 0)
        return hf_wrap(l->err, rc, "what is kept of the image");
    const cJSON *doc = hf_json_root(d), *os = cJSON_GetObjectItemCaseSensitive(doc, "release");
    if (hf_arena_dup(&s->arena, i->digest, &s->digest) < 0 || keep(s, hf_inv_z(doc, "target"), &s->target) < 0 || keep(s, hf_inv_z(os, "id"), &s->release.id) < 0 ||
            keep(s, hf_inv_z(os, "version"), &s->release.version_id) < 0 || keep(s, hf_inv_z(os, "name"), &s->release.pretty_name) < 0)
        return no_room(l->err);
    l->out->use_known = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(doc, "use_known"));
    rc = layers(l, doc);
    return rc < 0 ? rc : marks(l, doc);
}

/* ---- the order, and who owns whom ---- */

struct place {
    uint32_t order, at;
};

static int by_order(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return x->order != y->order ? (x->order < y->order ? -1 : 1) : x->at < y->at ? -1 : x->at > y->at;
}

static int sorted(struct loading *l)
{
    struct hf_inv_image_scan *o = l->out;
    size_t n = o->n_read;
    hf_cleanup(hf_freep) struct place *order = calloc(n + 1, sizeof *order);
    struct hf_scan_package *p = calloc(n + 1, sizeof *p); /* freed with the scan */
    struct hf_inv_kept *k = calloc(n + 1, sizeof *k);
    if (!order || !p || !k) {
        free(p);
        free(k);
        return no_room(l->err);
    }
    for (size_t i = 0; i < n; i++)
        order[i] = (struct place){l->order[i], (uint32_t)i};
    qsort(order, n, sizeof *order, by_order);
    for (size_t i = 0; i < n; i++) {
        p[i] = o->read[order[i].at];
        k[i] = o->kept[order[i].at];
    }
    free(o->kept);
    o->kept = k;
    o->cap_kept = n + 1;
    o->scan.packages = p;
    o->scan.n_packages = n;
    return 0;
}

static void owner_key(struct hf_buf *b, struct hf_span name, struct hf_span version, struct hf_span arch)
{
    hf_buf_clear(b);
    hf_buf_adds(b, name);
    hf_buf_addc(b, 0);
    hf_buf_adds(b, version);
    hf_buf_addc(b, 0);
    hf_buf_adds(b, arch);
}

static bool of_system(const struct hf_package *p)
{
    return p->type == HF_PKG_DEB || p->type == HF_PKG_RPM || p->type == HF_PKG_APK;
}

static int set_owners(struct loading *l, const struct hf_map *by_name, struct hf_scan_package *p, const cJSON *all)
{
    struct hf_scan *s = &l->out->scan;
    const struct hf_package *found[OWNERS_MAX];
    hf_autobuf key = HF_BUF_INIT(16384);
    size_t n = 0;
    for (const cJSON *c = cJSON_IsArray(all) ? all->child : NULL; c && n < OWNERS_MAX; c = c->next) {
        uint64_t at;
        owner_key(&key, hf_span_z(hf_inv_z(c, "name")), hf_span_z(hf_inv_z(c, "version")), hf_span_z(hf_inv_z(c, "arch")));
        if (hf_map_get(by_name, hf_buf_span(&key), &at))
            found[n++] = &s->packages[at - 1].p;
    }
    if (!n)
        return 0;
    p->owner = found[0];
    if (n == 1)
        return 0;
    p->more_owners = hf_arena_alloc(&s->arena, (n - 1) * sizeof(const struct hf_package *));
    if (!p->more_owners)
        return no_room(l->err);
    for (size_t i = 1; i < n; i++)
        p->more_owners[i - 1] = found[i];
    p->n_more_owners = n - 1;
    return 0;
}

/* A package in a file of a package of the system is that one's: kept by name, version and architecture. */
static int owners(struct loading *l)
{
    struct hf_scan *s = &l->out->scan;
    hf_automap by_name = {.n = 0};
    bool any = false;
    for (size_t i = 0; i < s->n_packages && !any; i++)
        any = l->out->kept[i].owners;
    for (size_t i = 0; i < s->n_packages && any; i++) {
        const struct hf_package *p = &s->packages[i].p;
        hf_autobuf key = HF_BUF_INIT(16384);
        struct hf_span stable;
        uint64_t *at;
        if (!of_system(p))
            continue;
        owner_key(&key, p->name, p->version, p->arch);
        if (hf_arena_dup(&s->arena, hf_buf_span(&key), &stable) < 0 || !(at = hf_map_at(&by_name, stable, NULL)))
            return no_room(l->err);
        if (!*at)
            *at = i + 1;
    }
    for (size_t i = 0; i < s->n_packages && any; i++) {
        int rc = set_owners(l, &by_name, &s->packages[i], l->out->kept[i].owners);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int hf_inv_load(struct hf_inv_image_scan *ret, struct hf_store *s, const struct hf_inv_image *i, struct hf_err *err)
{
    struct hf_err local = HF_ERR_INIT;
    struct loading l = {.out = ret, .err = err ? err : &local};
    memset(ret, 0, sizeof *ret);
    hf_scan_init(&ret->scan, 256u << 20);
    hf_buf_init(&ret->name, 2 * HF_STORE_KEY_MAX);
    hf_buf_adds(&ret->name, hf_span_sub(i->name, 0, HF_STORE_KEY_MAX));
    int rc = image(&l, i);
    if (rc == 0)
        rc = hf_store_packages(s, i->digest, package, &l, l.err);
    if (rc == 0)
        rc = sorted(&l);
    if (rc == 0)
        rc = owners(&l);
    hf_map_done(&l.layers);
    free(l.order);
    if (rc < 0)
        hf_inv_unload(ret);
    return rc;
}

void hf_inv_unload(struct hf_inv_image_scan *i)
{
    for (size_t k = 0; k < i->n_kept; k++) {
        cJSON_Delete(i->kept[k].in_use);
        cJSON_Delete(i->kept[k].owners);
    }
    free(i->kept);
    free(i->read);
    hf_buf_done(&i->name);
    hf_scan_done(&i->scan);
    memset(i, 0, sizeof *i);
}
