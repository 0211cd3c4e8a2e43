/* SPDX-License-Identifier: Apache-2.0 */
/* OCI image-spec 1.1: index.json, image index, manifest, config; and the docker schema 2 media types of the same shape. */
#include <stdarg.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "base/json.h"
#include "image/image-internal.h"

enum {
    MAX_LAYERS = 1000,      /* overlay2 stops at 128; buildkit and old images at 127 */
    MAX_DOCUMENT = 8 << 20,
    MAX_INDEX_DEPTH = 4,    /* an index may name indexes */
    MAX_DOCUMENTS = 500,    /* manifests and indexes opened for one target */
};

struct hf_platform hf_platform_host(void)
{
    static const char *const map[][2] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"armv7l", "arm"}, {"i686", "386"},
            {"ppc64le", "ppc64le"}, {"s390x", "s390x"}, {"riscv64", "riscv64"}};
    struct utsname u;
    struct hf_platform p = {HF_S("linux"), HF_S("amd64"), {NULL, 0}};
    if (uname(&u) == 0)
        for (size_t i = 0; i < HF_ARRAY_LEN(map); i++)
            if (!strcmp(u.machine, map[i][0]))
                p.arch = hf_span_z(map[i][1]);
    return p;
}

int hf_platform_parse(struct hf_span text, struct hf_platform *ret, struct hf_err *err)
{
    struct hf_span rest = text, extra;
    struct hf_platform p = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    if (!hf_span_cut(&rest, '/', &p.os) || !hf_span_cut(&rest, '/', &p.arch) || !p.os.n || !p.arch.n)
        return hf_fail(err, HF_E_USAGE, "platform \"" HF_SPAN_FMT "\" is not OS/ARCH[/VARIANT], for example linux/arm64", HF_SPAN_ARG(text));
    hf_span_cut(&rest, '/', &p.variant);
    if (hf_span_cut(&rest, '/', &extra))
        return hf_fail(err, HF_E_USAGE, "platform \"" HF_SPAN_FMT "\" has too many parts", HF_SPAN_ARG(text));
    *ret = p;
    return 0;
}

void hf_image_init(struct hf_image *img)
{
    *img = (struct hf_image){.n_layers = 0};
    hf_arena_init(&img->arena, 32 << 20);
}

void hf_image_done(struct hf_image *img)
{
    for (size_t i = 0; i < img->n_fds; i++)
        close(img->fds[i]);
    free(img->fds);
    hf_arena_done(&img->arena);
    *img = (struct hf_image){.n_layers = 0};
}

int hf_image_own_fd(struct hf_image *img, int fd, struct hf_err *err)
{
    int *p = realloc(img->fds, (img->n_fds + 1) * sizeof *p);
    if (!p) {
        close(fd);
        return hf_fail(err, HF_E_LIMIT, "out of memory");
    }
    img->fds = p;
    p[img->n_fds++] = fd;
    return 0;
}

int hf_image_dup(struct hf_image *img, struct hf_span s, struct hf_span *ret, struct hf_err *err)
{
    if (hf_arena_dup(&img->arena, s, ret) < 0)
        return hf_fail(err, HF_E_LIMIT, "the image's description is over the memory limit");
    return 0;
}

int hf_image_note(struct hf_image *img, struct hf_err *err, const char *fmt, ...)
{
    hf_autobuf text = HF_BUF_INIT(16384);
    char one[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(one, sizeof one, fmt, ap);
    va_end(ap);
    hf_buf_adds(&text, img->note);
    hf_buf_addf(&text, "%s%s", text.n ? "; " : "", one);
    return hf_image_dup(img, hf_buf_span(&text), &img->note, err);
}

int hf_image_others(struct hf_image *img, size_t n, struct hf_span names, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(2048);
    hf_buf_addf(&text, "%zu images are in it, of which only the first was examined; name another one, or give --all-platforms for all%s" HF_SPAN_FMT, n,
            names.n ? ":" : "", HF_SPAN_ARG(hf_span_sub(names, 0, 600)));
    return hf_image_dup(img, hf_buf_span(&text), &img->left_out, err);
}

int hf_oci_config(struct hf_image *img, struct hf_span json, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_json_parse(json, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "image config");
    hf_jnode root = hf_json_root(doc), ids = hf_jget(hf_jget(root, "rootfs"), "diff_ids");
    size_t n = 0;
    HF_JFOREACH(id, ids)
        n++;
    if (n > MAX_LAYERS)
        return hf_fail(err, HF_E_LIMIT, "the image config names %zu layers, at most %d are read", n, MAX_LAYERS);
    if (!img->layers) {
        img->layers = hf_arena_calloc(&img->arena, n ? n : 1, sizeof *img->layers);
        if (!img->layers)
            return hf_fail(err, HF_E_LIMIT, "out of memory");
        img->n_layers = n;
        for (size_t i = 0; i < n; i++)
            img->layers[i].fd = -1;
    } else if (img->n_layers != n) {
        return hf_fail(err, HF_E_FORMAT, "the manifest has %zu layers but the image config %zu diff_ids", img->n_layers, n);
    }
    size_t i = 0;
    HF_JFOREACH(id, ids) {
        if (hf_digest_parse(hf_jstr(id), &img->layers[i].diff_id) < 0)
            return hf_fail(err, HF_E_FORMAT, "image config: diff_id %zu \"" HF_SPAN_FMT "\" is not a digest", i, HF_SPAN_ARG(hf_jstr(id)));
        i++;
    }
    i = 0;
    HF_JFOREACH(h, hf_jget(root, "history")) {
        if (hf_jis_true(hf_jget(h, "empty_layer")))
            continue;
        if (i == n)
            break;
        struct hf_span by = hf_jgetstr(h, "created_by");
        rc = hf_image_dup(img, hf_span_sub(by, 0, 4096), &img->layers[i].created_by, err);
        if (rc < 0)
            return rc;
        i++;
    }
    if ((rc = hf_image_dup(img, hf_jgetstr(root, "os"), &img->os, err)) < 0 ||
            (rc = hf_image_dup(img, hf_jgetstr(root, "architecture"), &img->arch, err)) < 0 ||
            (rc = hf_image_dup(img, hf_jgetstr(root, "variant"), &img->variant, err)) < 0 ||
            (rc = hf_image_dup(img, hf_jgetstr(root, "created"), &img->created, err)) < 0)
        return rc;
    img->has_layers = true;
    return 0;
}

struct layout {
    struct hf_blobs *blobs;
    int archive_fd;
    const char *target;
    struct hf_span tag;
    const struct hf_image_opts *o;
    bool all;
    hf_image_cb cb;
    void *ctx;
    unsigned delivered, documents;
    size_t images;      /* that fit, by index.json alone; 0: not counted */
    struct hf_buf seen; /* platforms and tags met, for the error message */
    struct hf_buf names; /* of those that fit */
    const struct hf_oci_stored *stored; /* NULL: a layout, which is whole */
    struct hf_digest index; /* the outermost image index on the way to what is at hand; n == 0: none */
    unsigned absent;        /* manifests of it that are not there */
};

/* "blobs/sha256/<hex>" (image-layout.md, section "Blobs"). */
static int blob_name(const struct hf_digest *d, char out[160])
{
    char text[HF_DIGEST_TEXT];
    hf_digest_text(d, text);
    char *colon = strchr(text, ':');
    if (!colon)
        return HF_E_FORMAT;
    *colon = '/';
    snprintf(out, 160, "blobs/%s", text);
    return 0;
}

/* descriptor.md: content whose size differs from the descriptor's must not be processed. */
static int check_size(const struct layout *l, hf_jnode descriptor, uint64_t size, struct hf_err *err)
{
    double said;
    if (!l->o->verify || !hf_jnum(hf_jget(descriptor, "size"), &said) || said == (double)size)
        return 0;
    return hf_fail(err, HF_E_DIGEST, HF_SPAN_FMT ": the descriptor's size is %.0f, but the content has %llu bytes", HF_SPAN_ARG(hf_jgetstr(descriptor, "digest")), said,
            (unsigned long long)size);
}

/* descriptor: may be NULL, where only the digest is known. */
static int read_digest(struct layout *l, const struct hf_digest *want, hf_jnode descriptor, struct hf_buf *out, struct hf_err *err)
{
    char name[160];
    if (blob_name(want, name) < 0)
        return hf_fail(err, HF_E_FORMAT, "a digest of no kind");
    hf_buf_clear(out);
    int rc = hf_blobs_read(l->blobs, hf_span_z(name), out, err);
    if (rc < 0)
        return rc;
    struct hf_digest got;
    hf_digest_of(want->kind, hf_buf_span(out), &got);
    if (l->o->verify && !hf_digest_eq(&got, want)) {
        char a[HF_DIGEST_TEXT], b[HF_DIGEST_TEXT];
        return hf_fail(err, HF_E_DIGEST, "%s: expected %s but the content is %s", name, hf_digest_text(want, a), hf_digest_text(&got, b));
    }
    return check_size(l, descriptor, out->n, err);
}

static int read_verified(struct layout *l, hf_jnode descriptor, struct hf_buf *out, struct hf_digest *ret, struct hf_err *err)
{
    struct hf_span text = hf_jgetstr(descriptor, "digest");
    if (hf_digest_parse(text, ret) < 0)
        return hf_fail(err, HF_E_FORMAT, "descriptor with digest \"" HF_SPAN_FMT "\", which is not one", HF_SPAN_ARG(text));
    return read_digest(l, ret, descriptor, out, err);
}

static int open_layers(struct layout *l, struct hf_image *img, hf_jnode layers, struct hf_err *err)
{
    size_t n = 0, i = 0;
    HF_JFOREACH(d, layers)
        n++;
    if (n > MAX_LAYERS)
        return hf_fail(err, HF_E_LIMIT, "the manifest names %zu layers, at most %d are read", n, MAX_LAYERS);
    img->layers = hf_arena_calloc(&img->arena, n ? n : 1, sizeof *img->layers);
    if (!img->layers)
        return hf_fail(err, HF_E_LIMIT, "out of memory");
    img->n_layers = n;
    HF_JFOREACH(d, layers) {
        struct hf_layer_source *s = &img->layers[i++];
        char name[160];
        s->fd = -1;
        if (hf_digest_parse(hf_jgetstr(d, "digest"), &s->digest) < 0 || blob_name(&s->digest, name) < 0)
            return hf_fail(err, HF_E_FORMAT, "layer %zu: \"" HF_SPAN_FMT "\" is not a digest", i, HF_SPAN_ARG(hf_jgetstr(d, "digest")));
        int rc = hf_blobs_find(l->blobs, img, hf_span_z(name), &s->fd, &s->offset, &s->size, err);
        if (rc == HF_E_NOT_FOUND && l->stored)
            continue; /* unpacked, and let go of */
        if (rc >= 0)
            rc = check_size(l, d, s->size, err);
        if (rc < 0)
            return hf_wrap(err, rc, "layer %zu", i);
    }
    return 0;
}

/* Where layers are that have no blob any longer. */
static int find_unpacked(const struct layout *l, struct hf_image *img, struct hf_err *err)
{
    hf_autobuf which = HF_BUF_INIT(4096);
    size_t n = 0;
    for (size_t i = 0; i < img->n_layers; i++)
        if (img->layers[i].fd < 0 && n++ < 10)
            hf_buf_addf(&which, "%s%zu", n > 1 ? ", " : "", i + 1);
    if (!n)
        return 0;
    int rc = l->stored->unpacked(l->stored->ctx, img, err);
    return rc < 0 ? rc : hf_image_note(img, err, "of %zu of %zu layers (%s%s) %s keeps only the unpacked files, which were read: their digests cannot be checked", n, img->n_layers, hf_buf_z(&which),
            n > 10 ? ", ..." : "", l->stored->store);
}

static int deliver(struct layout *l, hf_jnode manifest, const struct hf_digest *digest, struct hf_span tag, struct hf_err *err)
{
    struct hf_image img;
    hf_autobuf config = HF_BUF_INIT(MAX_DOCUMENT);
    struct hf_digest config_digest;
    hf_image_init(&img);
    int rc = 0;
    if (l->archive_fd >= 0) {
        int fd = dup(l->archive_fd);
        rc = fd < 0 ? hf_fail(err, -1, "dup failed") : hf_image_own_fd(&img, fd, err);
    }
    if (rc >= 0)
        rc = read_verified(l, hf_jget(manifest, "config"), &config, &config_digest, err);
    if (rc >= 0)
        rc = open_layers(l, &img, hf_jget(manifest, "layers"), err);
    if (rc >= 0)
        rc = hf_oci_config(&img, hf_buf_span(&config), err);
    if (rc >= 0) {
        img.digest = *digest;
        img.config = config_digest;
        img.index = l->index;
        rc = hf_image_dup(&img, hf_span_z(l->target), &img.target, err);
    }
    if (rc >= 0 && l->stored)
        rc = find_unpacked(l, &img, err);
    if (rc >= 0 && l->all && l->absent)
        rc = hf_image_note(&img, err, "%u other manifests of the index are not in the store and were not read", l->absent);
    if (rc >= 0)
        rc = hf_image_dup(&img, tag, &img.ref, err);
    if (rc >= 0 && l->images > 1)
        rc = hf_image_others(&img, l->images, hf_buf_span(&l->names), err);
    if (rc >= 0) {
        l->delivered++;
        rc = l->cb(l->ctx, &img, err);
    }
    hf_image_done(&img);
    return rc;
}

static bool fits(const struct hf_platform *want, struct hf_span os, struct hf_span arch, struct hf_span variant)
{
    return (!want->os.n || !os.n || hf_span_eq(want->os, os)) && (!want->arch.n || !arch.n || hf_span_eq(want->arch, arch)) &&
            (!want->variant.n || !variant.n || hf_span_eq(want->variant, variant));
}

static int index_entries(struct layout *l, hf_jnode index, struct hf_span tag, unsigned depth, struct hf_err *err);

/* The parsed document with this digest. */
static int document(struct layout *l, const struct hf_digest *digest, hf_jnode descriptor, struct hf_span tag, unsigned depth, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(MAX_DOCUMENT);
    char name[HF_DIGEST_TEXT];
    if (++l->documents > MAX_DOCUMENTS)
        return hf_fail(err, HF_E_LIMIT, "more than %d manifests and indexes; name one by its tag", MAX_DOCUMENTS);
    int rc = read_digest(l, digest, descriptor, &text, err);
    if (rc < 0)
        return rc;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    rc = hf_json_parse(hf_buf_span(&text), &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "manifest %s", hf_digest_text(digest, name));
    hf_jnode root = hf_json_root(doc);
    if (!hf_jis_array(hf_jget(root, "manifests")))
        return deliver(l, root, digest, tag, err);
    bool outermost = !l->index.n;
    if (outermost)
        l->index = *digest;
    rc = index_entries(l, root, tag, depth + 1, err);
    if (outermost)
        l->index.n = 0;
    return rc;
}

static bool is_there(const struct layout *l, const struct hf_digest *d)
{
    char name[160];
    struct hf_image holder;
    uint64_t off, size;
    int fd;
    hf_image_init(&holder);
    bool there = blob_name(d, name) == 0 && hf_blobs_find(l->blobs, &holder, hf_span_z(name), &fd, &off, &size, NULL) >= 0;
    hf_image_done(&holder);
    return there;
}

/* buildkit's attestations are stored as manifests of platform unknown/unknown. */
static bool is_attestation(hf_jnode descriptor)
{
    return hf_span_eqz(hf_jgetstr(hf_jget(descriptor, "platform"), "os"), "unknown") || hf_jget(hf_jget(descriptor, "annotations"), "vnd.docker.reference.type");
}

static bool is_index(hf_jnode descriptor)
{
    struct hf_span type = hf_jgetstr(descriptor, "mediaType");
    return hf_span_search(type, HF_S("image.index")) != SIZE_MAX || hf_span_search(type, HF_S("manifest.list")) != SIZE_MAX;
}

/* Whether this entry of an index leads to what is wanted. */
static bool is_wanted(const struct layout *l, hf_jnode d, const struct hf_digest *digest)
{
    hf_jnode plat = hf_jget(d, "platform");
    if (l->stored && l->stored->want.n)
        return hf_digest_eq(digest, &l->stored->want) || is_index(d);
    return l->all || fits(&l->o->platform, hf_jgetstr(plat, "os"), hf_jgetstr(plat, "architecture"), hf_jgetstr(plat, "variant"));
}

static int index_entries(struct layout *l, hf_jnode index, struct hf_span tag, unsigned depth, struct hf_err *err)
{
    if (depth > MAX_INDEX_DEPTH)
        return hf_fail(err, HF_E_LIMIT, "image indexes are nested more than %d deep", MAX_INDEX_DEPTH);
    hf_jnode list = hf_jget(index, "manifests");
    const struct hf_digest none = {.n = 0};
    struct hf_digest digest;
    HF_JFOREACH(d, list)
        l->absent += l->stored && l->all && !is_attestation(d) && hf_digest_parse(hf_jgetstr(d, "digest"), &digest) == 0 && !is_there(l, &digest);
    HF_JFOREACH(d, list) {
        hf_jnode notes = hf_jget(d, "annotations"), plat = hf_jget(d, "platform");
        struct hf_span name = hf_jgetstr(notes, "org.opencontainers.image.ref.name"), full = hf_jgetstr(notes, "io.containerd.image.name");
        struct hf_span os = hf_jgetstr(plat, "os"), arch = hf_jgetstr(plat, "architecture");
        if (is_attestation(d))
            continue;
        bool good = hf_digest_parse(hf_jgetstr(d, "digest"), &digest) == 0, absent = good && l->stored && !is_there(l, &digest);
        if (hf_buf_ok(&l->seen) && l->seen.n < 300) {
            if (name.n || full.n)
                hf_buf_addf(&l->seen, " " HF_SPAN_FMT, HF_SPAN_ARG(name.n ? name : full));
            if (arch.n)
                hf_buf_addf(&l->seen, " " HF_SPAN_FMT "/" HF_SPAN_FMT "%s", HF_SPAN_ARG(os), HF_SPAN_ARG(arch), absent ? " (not in the store)" : "");
        }
        if (l->tag.n && depth == 0 && !hf_span_eq(l->tag, name) && !hf_span_eq(l->tag, full))
            continue;
        if (absent || !is_wanted(l, d, good ? &digest : &none))
            continue;
        if (!good)
            return hf_fail(err, HF_E_FORMAT, "descriptor with digest \"" HF_SPAN_FMT "\", which is not one", HF_SPAN_ARG(hf_jgetstr(d, "digest")));
        int rc = document(l, &digest, d, name.n ? name : full.n ? full : tag, depth, err);
        if (rc < 0 || (!l->all && l->delivered))
            return rc;
    }
    return 0;
}

/* Images of index.json that were meant alike: of the wanted tag and platform, different by digest. */
static void count_images(struct layout *l, hf_jnode index)
{
    hf_automap seen = {NULL, 0, 0};
    HF_JFOREACH(d, hf_jget(index, "manifests")) {
        hf_jnode notes = hf_jget(d, "annotations"), plat = hf_jget(d, "platform");
        struct hf_span name = hf_jgetstr(notes, "org.opencontainers.image.ref.name"), full = hf_jgetstr(notes, "io.containerd.image.name");
        struct hf_span os = hf_jgetstr(plat, "os");
        bool fresh;
        if (is_attestation(d) || (l->tag.n && !hf_span_eq(l->tag, name) && !hf_span_eq(l->tag, full)) ||
                !fits(&l->o->platform, os, hf_jgetstr(plat, "architecture"), hf_jgetstr(plat, "variant")))
            continue;
        if (!hf_map_at(&seen, hf_jgetstr(d, "digest"), &fresh))
            break;
        if ((name.n || full.n) && l->names.n < 300)
            hf_buf_addf(&l->names, " " HF_SPAN_FMT, HF_SPAN_ARG(hf_span_sub(name.n ? name : full, 0, 300)));
    }
    l->images = seen.n;
}

int hf_oci_layout(struct hf_blobs *b, int archive_fd, const char *target, struct hf_span tag, const struct hf_image_opts *o,
        bool all, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    struct layout l = {.blobs = b, .archive_fd = archive_fd, .target = target, .tag = tag, .o = o, .all = all, .cb = cb, .ctx = ctx, .seen = HF_BUF_INIT(4096), .names = HF_BUF_INIT(4096)};
    hf_autobuf text = HF_BUF_INIT(MAX_DOCUMENT);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_blobs_read(b, HF_S("index.json"), &text, err);
    if (rc >= 0)
        rc = hf_json_parse(hf_buf_span(&text), &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "index.json");
    if (!all)
        count_images(&l, hf_json_root(doc));
    rc = index_entries(&l, hf_json_root(doc), tag, 0, err);
    if (rc >= 0 && !l.delivered)
        rc = hf_fail(err, HF_E_NOT_FOUND, "no image for %s" HF_SPAN_FMT "%splatform " HF_SPAN_FMT "/" HF_SPAN_FMT "; there is:%s", tag.n ? "tag " : "",
                HF_SPAN_ARG(tag), tag.n ? ", " : "", HF_SPAN_ARG(o->platform.os), HF_SPAN_ARG(o->platform.arch), hf_buf_z(&l.seen));
    hf_buf_done(&l.seen);
    hf_buf_done(&l.names);
    return rc;
}

int hf_oci_stored(struct hf_blobs *b, const struct hf_oci_stored *s, const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    struct layout l = {.blobs = b, .archive_fd = -1, .target = s->target, .o = o, .all = all, .cb = cb, .ctx = ctx, .seen = HF_BUF_INIT(4096), .stored = s};
    int rc = document(&l, &s->root, NULL, s->ref, 0, err);
    if (rc >= 0 && !l.delivered)
        rc = hf_fail(err, HF_E_NOT_FOUND, "no image for platform " HF_SPAN_FMT "/" HF_SPAN_FMT "; there is:%s", HF_SPAN_ARG(o->platform.os), HF_SPAN_ARG(o->platform.arch), hf_buf_z(&l.seen));
    hf_buf_done(&l.seen);
    return rc;
}

struct manifests {
    struct layout l;
    hf_oci_manifest_cb fn;
    void *ctx;
};

/* Documents that are no index or manifest, or not there, tell nothing. */
static int each_manifest(struct manifests *m, const struct hf_digest *digest, unsigned depth, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(MAX_DOCUMENT);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_digest d = {.n = 0};
    if (++m->l.documents > MAX_DOCUMENTS || depth > MAX_INDEX_DEPTH)
        return hf_fail(err, HF_E_LIMIT, "more than %d manifests and indexes", MAX_DOCUMENTS);
    if (!is_there(&m->l, digest))
        return m->fn(m->ctx, digest, &d);
    int rc = read_digest(&m->l, digest, NULL, &text, err);
    rc = rc < 0 ? rc : hf_json_parse(hf_buf_span(&text), &doc, err);
    if (rc < 0)
        return rc;
    hf_jnode root = hf_json_root(doc), list = hf_jget(root, "manifests");
    if (!hf_jis_array(list)) {
        if (hf_digest_parse(hf_jgetstr(hf_jget(root, "config"), "digest"), &d) < 0)
            return 0;
        return m->fn(m->ctx, digest, &d);
    }
    HF_JFOREACH(one, list) {
        rc = is_attestation(one) || hf_digest_parse(hf_jgetstr(one, "digest"), &d) < 0 ? 0 : each_manifest(m, &d, depth + 1, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int hf_oci_manifests(struct hf_blobs *b, const struct hf_digest *root, hf_oci_manifest_cb fn, void *ctx, struct hf_err *err)
{
    static const struct hf_image_opts plain = {.verify = true};
    struct manifests m = {.l = {.blobs = b, .archive_fd = -1, .o = &plain}, .fn = fn, .ctx = ctx};
    return each_manifest(&m, root, 0, err);
}
