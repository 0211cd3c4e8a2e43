/* SPDX-License-Identifier: Apache-2.0 */
/* A scan's document becomes an image with its packages and findings. */
#include <errno.h>

#include "base/mem.h"
#include "inventory/inventory-internal.h"
#include "store/settings.h"
#include "store/store.h"

enum { TEXT = 2000, WORDS = 50, NAMES = 30 };
#define MORE (1ull << 40) /* in by_key: the row holds several packages */
#define ROW(v) ((size_t)((v) & ~MORE) - 1)

struct packing {
    struct hf_store *s;
    const cJSON *root;
    struct hf_span digest;
    struct hf_span os_id, os_version;
    struct hf_inv_package *packages;
    size_t n_packages, cap_packages;
    struct hf_inv_finding *findings;
    size_t n_findings, cap_findings;
    struct hf_arena arena; /* texts of the rows */
    struct hf_map by_key;  /* ecosystem, name, version -> index in packages + 1: rows that are one key become one row */
    struct hf_map by_purl; /* purl -> index in packages + 1 */
    struct hf_map layers;  /* digest or diff id -> index + 1 */
    uint64_t dropped;      /* rows with keys that are too long to be real */
};

static void packing_done(struct packing *p)
{
    free(p->packages);
    free(p->findings);
    hf_arena_done(&p->arena);
    hf_map_done(&p->by_key);
    hf_map_done(&p->by_purl);
    hf_map_done(&p->layers);
}

static int no_room(struct hf_err *err)
{
    return hf_fail(err, -ENOMEM, "no memory for the packages of an image");
}

static const cJSON *list(const cJSON *o, const char *name)
{
    const cJSON *a = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsArray(a) ? a : NULL;
}

static const cJSON *first(const cJSON *o, const char *name)
{
    const cJSON *a = list(o, name);
    return a ? a->child : NULL;
}

static size_t length(const cJSON *a)
{
    size_t n = 0; /* cJSON_GetArraySize is an int */
    for (const cJSON *c = a ? a->child : NULL; c; c = c->next)
        n++;
    return n;
}

static void key_of(struct hf_buf *out, struct hf_span ecosystem, struct hf_span name, struct hf_span version)
{
    hf_buf_adds(out, ecosystem);
    hf_buf_addc(out, 0);
    hf_buf_adds(out, name);
    hf_buf_addc(out, 0);
    hf_buf_adds(out, version);
}

/* ---- packages ---- */

/* Members that are columns, or that are added here. */
static bool is_ours(const char *name)
{
    for (const char *const *n = (const char *const[]){"name", "version", "i", "more", "in_use", NULL}; *n; n++)
        if (!strcmp(name, *n))
            return true;
    return false;
}

/* What is kept of a package: all the scan says, with its place in the list. */
static int package_doc(struct packing *k, const cJSON *p, size_t index, struct hf_span *ret, struct hf_err *err)
{
    hf_autobuf out = HF_BUF_INIT(HF_INV_DOC_MAX);
    struct hf_jw w;
    hf_jw_init(&w, &out, false);
    hf_jw_object(&w);
    hf_jw_ku64(&w, "i", index);
    for (const cJSON *m = p->child; m; m = m->next)
        if (m->string && !is_ours(m->string)) {
            hf_jw_key(&w, m->string);
            hf_inv_write(&w, m);
        }
    hf_jw_object_end(&w);
    if (!hf_buf_ok(&out))
        return hf_fail(err, HF_E_LIMIT, "package %.200s: what is said of it is over %d bytes", hf_inv_z(p, "name"), HF_INV_DOC_MAX);
    return hf_arena_dup(&k->arena, hf_buf_span(&out), ret) < 0 ? no_room(err) : 0;
}

/* The same name and version again (another architecture, another place): into the row that is there, {"i":..., "more":[{"i":...}]}. */
static int one_more(struct packing *k, struct hf_inv_package *row, bool first, struct hf_span doc, struct hf_err *err)
{
    hf_autobuf out = HF_BUF_INIT(HF_INV_DOC_MAX);
    hf_buf_adds(&out, hf_span_sub(row->doc, 0, row->doc.n - (first ? 1 : 2)));
    hf_buf_addz(&out, first ? ",\"more\":[" : ",");
    hf_buf_adds(&out, doc);
    hf_buf_addz(&out, "]}");
    if (!hf_buf_ok(&out))
        return hf_fail(err, HF_E_LIMIT, "package %.*s: what is said of it is over %d bytes", HF_SPAN_ARG(hf_span_sub(row->name, 0, 200)), HF_INV_DOC_MAX);
    return hf_arena_dup(&k->arena, hf_buf_span(&out), &row->doc) < 0 ? no_room(err) : 0;
}

static int add_package(struct packing *k, const cJSON *p, size_t index, struct hf_err *err)
{
    hf_autobuf eco = HF_BUF_INIT(8192), key = HF_BUF_INIT(8192);
    const char *name = hf_inv_z(p, "name"), *purl = hf_inv_z(p, "purl");
    struct hf_inv_package row = {.name = hf_span_z(name), .version = hf_span_z(hf_inv_z(p, "version")), .source = hf_span_z(hf_inv_z(cJSON_GetObjectItemCaseSensitive(p, "source"), "name"))};
    hf_inv_ecosystem(&eco, hf_span_z(hf_inv_z(p, "type")), k->os_id, k->os_version);
    if (!cJSON_IsObject(p) || !row.name.n || !eco.n || eco.n > HF_INV_KEY_MAX || row.name.n > HF_INV_KEY_MAX || row.version.n > HF_INV_KEY_MAX || row.source.n > HF_INV_KEY_MAX) {
        k->dropped++;
        return 0;
    }
    struct hf_span doc, stable;
    uint64_t *at, *of_purl;
    int rc = package_doc(k, p, index, &doc, err);
    if (rc < 0)
        return rc;
    key_of(&key, hf_buf_span(&eco), row.name, row.version);
    if (hf_arena_dup(&k->arena, hf_buf_span(&key), &stable) < 0 || !(at = hf_map_at(&k->by_key, stable, NULL)))
        return no_room(err);
    if (!*at) {
        struct hf_inv_package *slot = hf_grow((void **)&k->packages, &k->n_packages, &k->cap_packages, sizeof *slot, HF_INV_PACKAGES_MAX);
        if (!slot)
            return no_room(err);
        row.ecosystem = hf_span_sub(stable, 0, eco.n);
        row.doc = doc;
        *slot = row;
        *at = k->n_packages;
    } else if ((rc = one_more(k, &k->packages[ROW(*at)], !(*at & MORE), doc, err)) < 0) {
        return rc;
    } else {
        *at |= MORE;
    }
    uint64_t row_no = *at & ~MORE;
    if (*purl && (of_purl = hf_map_at(&k->by_purl, hf_span_z(purl), NULL)) && !*of_purl)
        *of_purl = row_no;
    return 0;
}

static int packages(struct packing *k, struct hf_err *err)
{
    const cJSON *all = list(k->root, "packages");
    size_t n = length(all), i = 0;
    if (!all)
        return hf_fail(err, HF_E_FORMAT, "the scan has no list of packages");
    if (n > HF_INV_PACKAGES_MAX)
        return hf_fail(err, HF_E_LIMIT, "the scan has %zu packages; the limit is %d", n, HF_INV_PACKAGES_MAX);
    for (const cJSON *p = all->child; p; p = p->next, i++) {
        int rc = add_package(k, p, i, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- findings ---- */

static int add_finding(struct packing *k, const cJSON *v, struct hf_err *err)
{
    struct hf_inv_row r;
    uint64_t at = 0;
    hf_autobuf out = HF_BUF_INIT(HF_INV_DOC_MAX);
    struct hf_jw w;
    /* A vulnerability is of a package that is listed: by its purl. */
    if (!cJSON_IsObject(v) || !hf_inv_row_of(v, &r) || !hf_map_get(&k->by_purl, hf_span_z(hf_inv_z(v, "purl")), &at)) {
        k->dropped++;
        return 0;
    }
    hf_jw_init(&w, &out, false);
    hf_inv_write(&w, v);
    struct hf_inv_finding *f = hf_grow((void **)&k->findings, &k->n_findings, &k->cap_findings, sizeof *f, HF_INV_FINDINGS_MAX);
    if (!f)
        return no_room(err);
    *f = (struct hf_inv_finding){.id = r.id, .ecosystem = k->packages[ROW(at)].ecosystem, .package = r.package, .version = r.version, .fixed = r.fixed, .severity = r.severity,
            .used = r.used || k->packages[ROW(at)].used};
    k->packages[ROW(at)].used |= r.used;
    if (!hf_buf_ok(&out))
        return hf_fail(err, HF_E_LIMIT, "vulnerability %.200s: what is said of it is over %d bytes", r.id.p, HF_INV_DOC_MAX);
    return hf_arena_dup(&k->arena, hf_buf_span(&out), &f->doc) < 0 ? no_room(err) : 0;
}

static int findings(struct packing *k, struct hf_err *err)
{
    const cJSON *all = list(k->root, "vulnerabilities");
    size_t n = length(all);
    if (!all)
        return hf_fail(err, HF_E_FORMAT, "the scan has no list of vulnerabilities");
    if (n > HF_INV_FINDINGS_MAX)
        return hf_fail(err, HF_E_LIMIT, "the scan has %zu vulnerabilities; the limit is %d", n, HF_INV_FINDINGS_MAX);
    for (const cJSON *v = all->child; v; v = v->next) {
        int rc = add_finding(k, v, err);
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < k->n_findings; i++) { /* a later one of the same package may have told of use */
        uint64_t at;
        hf_autobuf key = HF_BUF_INIT(8192);
        key_of(&key, k->findings[i].ecosystem, k->findings[i].package, k->findings[i].version);
        if (hf_map_get(&k->by_key, hf_buf_span(&key), &at))
            k->findings[i].used |= k->packages[ROW(at)].used;
    }
    return 0;
}

/* ---- the image ---- */

static void text_of(struct hf_jw *w, const char *name, const cJSON *o, const char *from)
{
    struct hf_span t = hf_span_sub(hf_span_z(hf_inv_z(o, from)), 0, TEXT);
    hf_jw_kstr_opt(w, name, t);
}

struct brought {
    uint64_t packages, by[7];
    const char *names[NAMES];
};

static void layer_of(struct packing *k, const cJSON *package, struct brought *b, size_t n)
{
    const cJSON *places = list(package, "locations");
    uint64_t at;
    const char *layer = places && places->child ? hf_inv_z(places->child, "layer") : "";
    if (!*layer || !hf_map_get(&k->layers, hf_span_z(layer), &at) || at > n)
        return;
    if (b[at - 1].packages < NAMES)
        b[at - 1].names[b[at - 1].packages] = hf_inv_z(package, "name");
    b[at - 1].packages++;
}

/* Layers, each with its size, the command that made it and what it brought. */
static int layers(struct packing *k, struct hf_jw *w, struct hf_err *err)
{
    const cJSON *all = list(cJSON_GetObjectItemCaseSensitive(k->root, "image"), "layers"), *each;
    size_t n = length(all), i = 0;
    double total = 0;
    if (n > HF_INV_LAYERS_MAX)
        return hf_fail(err, HF_E_LIMIT, "the image has %zu layers; the limit is %d", n, HF_INV_LAYERS_MAX);
    hf_cleanup(hf_freep) struct brought *b = calloc(n + 1, sizeof *b);
    if (!b)
        return no_room(err);
    for (each = all ? all->child : NULL; each; each = each->next, i++)
        for (const char *const *name = (const char *const[]){"digest", "diff_id", NULL}; *name; name++) {
            uint64_t *at = *hf_inv_z(each, *name) ? hf_map_at(&k->layers, hf_span_z(hf_inv_z(each, *name)), NULL) : NULL;
            if (at && !*at) /* the same layer twice: what is there is of the first */
                *at = i + 1;
        }
    for (each = first(k->root, "packages"); each; each = each->next)
        layer_of(k, each, b, n);
    for (each = first(k->root, "vulnerabilities"); each; each = each->next) {
        struct hf_inv_row r;
        uint64_t at;
        if (hf_inv_row_of(each, &r) && hf_map_get(&k->layers, hf_span_z(hf_inv_z(each, "layer")), &at) && at <= n)
            b[at - 1].by[r.severity]++;
    }
    hf_jw_key(w, "layers");
    hf_jw_array(w);
    for (i = 0, each = all ? all->child : NULL; each; each = each->next, i++) {
        hf_jw_object(w);
        text_of(w, "digest", each, "digest");
        text_of(w, "diff_id", each, "diff_id");
        hf_jw_ku64(w, "size", (uint64_t)HF_MAX(0.0, HF_MIN(hf_inv_num(each, "size"), 9e15)));
        total += HF_MAX(0.0, HF_MIN(hf_inv_num(each, "size"), 9e15));
        text_of(w, "created_by", each, "created_by");
        hf_jw_ku64(w, "packages", b[i].packages);
        hf_jw_key(w, "names");
        hf_jw_array(w);
        for (size_t p = 0; p < HF_MIN(b[i].packages, (uint64_t)NAMES); p++)
            hf_jw_str(w, hf_span_sub(hf_span_z(b[i].names[p]), 0, 80));
        hf_jw_array_end(w);
        for (int s = 6; s > 0; s--)
            if (b[i].by[s])
                hf_jw_ku64(w, hf_inv_severity_name(s), b[i].by[s]);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    hf_jw_ku64(w, "size", (uint64_t)HF_MIN(total, 9e15));
    return 0;
}

static void some(struct hf_jw *w, const char *name, const cJSON *from)
{
    const cJSON *all = list(from, name);
    size_t n = 0;
    if (!all || !all->child)
        return;
    hf_jw_key(w, name);
    hf_jw_array(w);
    for (const cJSON *c = all->child; c && n < WORDS; c = c->next, n++)
        if (cJSON_IsString(c))
            hf_jw_str(w, hf_span_sub(hf_span_z(c->valuestring), 0, TEXT));
        else
            hf_inv_write(w, c);
    hf_jw_array_end(w);
}

static int image_doc(struct packing *k, struct hf_buf *out, struct hf_err *err)
{
    const cJSON *image = cJSON_GetObjectItemCaseSensitive(k->root, "image");
    struct hf_jw w;
    bool known = false;
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "schema", "holdfast.image/1");
    hf_jw_kstr(&w, "digest", k->digest);
    text_of(&w, "target", k->root, "target");
    text_of(&w, "time", k->root, "time");
    for (const char *const *m = (const char *const[]){"os", "arch", "created", NULL}; *m; m++)
        text_of(&w, *m, image, *m);
    for (const char *const *m = (const char *const[]){"config", NULL}; *m; m++)
        if (cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(image, *m))) {
            hf_jw_key(&w, *m);
            hf_inv_write(&w, cJSON_GetObjectItemCaseSensitive(image, *m));
        }
    hf_jw_key(&w, "release");
    hf_inv_write(&w, cJSON_GetObjectItemCaseSensitive(k->root, "os"));
    int rc = layers(k, &w, err);
    if (rc < 0)
        return rc;
    hf_jw_key(&w, "summary");
    hf_inv_write(&w, cJSON_GetObjectItemCaseSensitive(k->root, "summary"));
    for (const char *const *m = (const char *const[]){"incomplete", "warnings", "feeds", "marks", NULL}; *m; m++)
        some(&w, *m, k->root);
    for (const cJSON *v = first(k->root, "vulnerabilities"); v && !known; v = v->next)
        known = cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(v, "in_use"));
    if (known)
        hf_jw_kbool(&w, "use_known", true);
    if (k->dropped)
        hf_jw_ku64(&w, "dropped", k->dropped);
    hf_jw_object_end(&w);
    if (!hf_buf_ok(out))
        return hf_fail(err, HF_E_LIMIT, "what the scan says of the image itself is over %zu bytes", out->max);
    return 0;
}

/* ---- what is known already ---- */

static int keep_used(void *ctx, struct hf_span digest, const struct hf_inv_package *p, uint64_t running)
{
    struct packing *k = ctx;
    uint64_t at;
    hf_autobuf key = HF_BUF_INIT(8192);
    (void)digest;
    (void)running;
    if (!p->used)
        return 0;
    key_of(&key, p->ecosystem, p->name, p->version);
    if (hf_map_get(&k->by_key, hf_buf_span(&key), &at))
        k->packages[ROW(at)].used = true;
    return 0;
}

static int old_image(void *ctx, const struct hf_inv_image *i, uint64_t running)
{
    (void)running;
    hf_buf_adds(ctx, hf_span_sub(i->name, 0, HF_STORE_KEY_MAX));
    return 0;
}

/* "docker:nginx:1.25" and "containerd:nginx:1.25" are nginx:1.25; a name that containers were started with is better than a digest or a file. */
static void name_of(const cJSON *root, struct hf_buf *old)
{
    struct hf_span t = hf_span_sub(hf_span_z(hf_inv_z(root, "target")), 0, HF_STORE_KEY_MAX);
    bool from_daemon = false;
    for (const char *const *store = (const char *const[]){"docker:", "containerd:", "podman:", NULL}; *store && !from_daemon; store++)
        if ((from_daemon = hf_span_starts(t, hf_span_z(*store))))
            t = hf_span_from(t, strlen(*store));
    bool digest = hf_span_starts(t, HF_S("sha256:")) || hf_span_starts(t, HF_S("container:"));
    if (old->n && (digest || !from_daemon))
        return;
    hf_buf_clear(old);
    hf_buf_adds(old, t);
}

static int store_it(struct packing *k, struct hf_span doc, struct hf_span name, int64_t scanned, struct hf_err *err)
{
    hf_autobuf key = HF_BUF_INIT(256);
    int rc = hf_store_image_put(k->s, &(struct hf_inv_image){.digest = k->digest, .name = name, .doc = doc, .scanned = scanned}, err);
    if (rc == 0)
        rc = hf_store_packages_put(k->s, k->digest, k->packages, k->n_packages, err);
    if (rc == 0)
        rc = hf_store_findings_put(k->s, k->digest, k->findings, k->n_findings, err);
    hf_inv_matched_key(&key, k->digest);
    if (rc == 0) /* with which database the scan was made is not known for certain: the next re-match looks */
        rc = hf_store_setting_delete(k->s, hf_buf_span(&key), err);
    return rc < 0 ? rc : 0;
}

static int pack(struct packing *k, struct hf_err *err)
{
    hf_autobuf doc = HF_BUF_INIT(HF_INV_DOC_MAX), name = HF_BUF_INIT(2 * HF_STORE_KEY_MAX);
    hf_autotx tx = {0};
    int rc = packages(k, err);
    if (rc == 0) /* now: nothing may come between what is read here and what is written */
        rc = hf_tx_begin(&tx, k->s, err);
    if (rc == 0)
        rc = hf_store_packages(k->s, k->digest, keep_used, k, err);
    if (rc == 0)
        rc = findings(k, err);
    if (rc == 0)
        rc = image_doc(k, &doc, err);
    if (rc == 0)
        rc = hf_store_image_get(k->s, k->digest, old_image, &name, err);
    if (rc < 0)
        return rc;
    name_of(k->root, &name);
    rc = store_it(k, hf_buf_span(&doc), hf_buf_span(&name), hf_store_now(), err);
    return rc < 0 ? rc : hf_tx_commit(&tx, err);
}

int hf_inv_scan(struct hf_store *s, struct hf_span text, struct hf_span digest, struct hf_buf *ret_digest, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_cleanup(packing_done) struct packing k = {.s = s};
    hf_arena_init(&k.arena, 256 << 20);
    if (text.n > HF_INV_SCAN_MAX)
        return hf_fail(err, HF_E_LIMIT, "a scan of %zu bytes; the limit is %d", text.n, HF_INV_SCAN_MAX);
    int rc = hf_json_parse(text, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "the scan");
    k.root = hf_json_root(doc);
    if (strcmp(hf_inv_z(k.root, "schema"), "holdfast.scan/1") != 0)
        return hf_fail(err, HF_E_FORMAT, "this is no document of schema holdfast.scan/1, as \"holdfast scan --format json\" writes it");
    const cJSON *os = cJSON_GetObjectItemCaseSensitive(k.root, "os");
    const cJSON *image = cJSON_GetObjectItemCaseSensitive(k.root, "image");
    k.digest = hf_span_z(hf_inv_z(image, "digest"));
    if (!k.digest.n || (digest.n && (hf_span_eqz(digest, hf_inv_z(image, "index")) || hf_span_eqz(digest, hf_inv_z(image, "config")))))
        k.digest = digest; /* by which the runtime knows it */
    k.os_id = hf_span_sub(hf_span_z(hf_inv_z(os, "id")), 0, 256);
    k.os_version = hf_span_sub(hf_span_z(hf_inv_z(os, "version")), 0, 256);
    if (!k.digest.n)
        return hf_fail(err, HF_E_FORMAT, "the scan is of no image: it has no digest (folders and SBOMs have none, and nothing runs from them)");
    if (!hf_inv_digest_ok(k.digest))
        return hf_fail(err, HF_E_FORMAT, "the digest of the image is not \"sha256:\" and 64 hex digits");
    rc = pack(&k, err);
    if (rc == 0 && ret_digest)
        hf_buf_adds(ret_digest, k.digest);
    return rc < 0 ? hf_wrap(err, rc, "image %.*s", HF_SPAN_ARG(k.digest)) : 0;
}
