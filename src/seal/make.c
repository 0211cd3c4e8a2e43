/* SPDX-License-Identifier: Apache-2.0 */
/* Seals of images: what the walk noted of every file, merged, with the package that owns it. */
#include <errno.h>
#include <time.h>

#include "image/examine.h"
#include "image/tree.h"
#include "image/winpax.h"
#include "packages/purl.h"
#include "seal/seal-internal.h"
#include "seal/seal.h"

enum { DEFAULT_MEMORY = 256 << 20 };

struct make {
    struct hf_seal_builder *b;
    const struct hf_os_release *release;
    const struct hf_seal_opts *o;
    const struct hf_package *last; /* files of a package follow each other seldom, but packages are few */
    uint32_t last_index;
    size_t missing;
};

static uint32_t package_of(struct make *m, const struct hf_package *p)
{
    hf_autobuf purl = HF_BUF_INIT(16 << 10);
    struct hf_package named = *p;
    if (p == m->last)
        return m->last_index;
    if (!named.namespace.n)
        named.namespace = m->release->id; /* as merge does at its end */
    if (hf_purl_make(&named, m->release, &purl) < 0)
        hf_buf_clear(&purl);
    m->last = p;
    m->last_index = hf_seal_builder_package(m->b, p->name, p->version, hf_buf_span(&purl));
    return m->last_index;
}

static int add(struct make *m, const struct hf_tree_entry *t, bool layers, struct hf_err *err)
{
    hf_autobuf path = HF_BUF_INIT(HF_SEAL_MAX_PATH + 1);
    hf_buf_addc(&path, '/');
    hf_buf_adds(&path, t->path);
    struct hf_seal_entry e = {.path = hf_buf_span(&path), .mode = t->meta.mode, .uid = t->meta.uid, .gid = t->meta.gid, .link = t->link, .caps = t->meta.caps, .windows = t->meta.windows,
            .package = UINT32_MAX, .layer = layers ? t->layer : UINT32_MAX};
    if (!hf_buf_ok(&path))
        return hf_fail(err, HF_E_LIMIT, "a path is longer than %d bytes, or there is no memory", HF_SEAL_MAX_PATH);
    if (t->type == HF_LOG_FILE) {
        e.size = t->meta.size;
        e.has_sha256 = t->meta.has_sha256;
        memcpy(e.sha256, t->meta.sha256, 32);
        if (!e.has_sha256) {
            m->missing++;
            if (m->o->missing)
                m->o->missing(m->o->ctx, e.path, HF_S("its content could not be read"));
        }
    }
    if (hf_span_eqz(e.windows, HF_WINFILE_LOST)) {
        e.windows = hf_span("", 0);
        m->missing++;
        if (m->o->missing)
            m->o->missing(m->o->ctx, e.path, HF_S("its attributes and security descriptor could not be read"));
    }
    if (t->package && (e.package = package_of(m, t->package)) == UINT32_MAX)
        return hf_fail(err, HF_E_LIMIT, "the list of files is over the memory limit; raise --max-memory");
    return hf_seal_builder_add(m->b, &e, err);
}

static int layers(struct make *m, const struct hf_image *img, struct hf_err *err)
{
    char text[HF_DIGEST_TEXT];
    for (size_t i = 0; img->has_layers && i < img->n_layers; i++)
        if (hf_seal_builder_layer(m->b, hf_span_z(hf_digest_text(&img->layers[i].diff_id, text))) == UINT32_MAX)
            return hf_fail(err, HF_E_LIMIT, "out of memory");
    return 0;
}

static uint64_t now(void)
{
    uint64_t t;
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    return epoch && hf_parse_u64(hf_span_z(epoch), 10, 0, UINT32_MAX, &t) >= 0 ? t : (uint64_t)time(NULL);
}

static uint64_t memory(const struct hf_seal_opts *o)
{
    return o->max_memory ? o->max_memory : (uint64_t)DEFAULT_MEMORY;
}

int hf_seal_of_tree(const struct hf_tree *tree, const struct hf_image *img, const struct hf_os_release *release, const struct hf_seal_opts *o, struct hf_buf *out,
        struct hf_err *err)
{
    hf_cleanup(hf_seal_builder_freep) struct hf_seal_builder *b = hf_seal_builder_new((size_t)memory(o));
    struct make m = {.b = b, .release = release, .o = o};
    struct hf_tree_entry t;
    size_t at = 0;
    if (!b)
        return hf_fail(err, -ENOMEM, "out of memory");
    int rc = layers(&m, img, err);
    while (rc >= 0 && hf_tree_next(tree, &at, &t) == 1)
        rc = add(&m, &t, img->has_layers, err);
    if (rc < 0)
        return rc;
    if (hf_tree_dangling(tree)) {
        m.missing += hf_tree_dangling(tree);
        if (o->missing)
            o->missing(o->ctx, HF_S("/"), HF_S("hard links whose target is missing were left out"));
    }
    struct hf_seal_subject s = {.target = img->target, .os = img->os, .arch = img->arch, .created_unix = now(), .key_pem = o->key_pem};
    s.config = img->config.n ? img->config : img->digest;
    if (img->config.n && !hf_digest_eq(&img->config, &img->digest))
        s.manifest = img->digest;
    s.index = img->index;
    rc = hf_seal_builder_finish(b, &s, out, err);
    return rc < 0 ? rc : m.missing != 0;
}

static int write_all(int fd, struct hf_span bytes, struct hf_err *err)
{
    for (size_t at = 0; at < bytes.n;) {
        ssize_t n = pwrite(fd, bytes.p + at, bytes.n - at, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return hf_fail(err, n < 0 ? -errno : -EIO, "the seal could not be written: %s", hf_err_name(n < 0 ? -errno : -EIO));
        at += (size_t)n;
    }
    return ftruncate(fd, (off_t)bytes.n) < 0 ? hf_fail(err, -errno, "the seal could not be written: %s", hf_err_name(-errno)) : 0;
}

/* What could not be listed is missing in the seal without a trace: it has to be said. */
static bool unlisted(const struct hf_incomplete *x, const struct hf_seal_opts *o)
{
    hf_autobuf path = HF_BUF_INIT(HF_SEAL_MAX_PATH + 1);
    if (!x->unlisted)
        return false;
    hf_buf_addc(&path, '/');
    hf_buf_adds(&path, x->path);
    if (o->missing)
        o->missing(o->ctx, hf_buf_span(&path), x->reason);
    return true;
}

int hf_seal_make(struct hf_image *img, const struct hf_seal_opts *o, struct hf_buf *out, struct hf_err *err)
{
    hf_cleanup(hf_tree_freep) struct hf_tree *tree = hf_tree_new((size_t)memory(o));
    struct hf_scan scan;
    struct hf_examined examined = {NULL, 0};
    struct hf_examine_opts eo = {.threads = HF_MAX(o->threads, 1u), .max_memory = memory(o), .verify = o->verify, .quiet = o->quiet, .cache = o->cache, .tree = tree};
    if (!tree)
        return hf_fail(err, -ENOMEM, "out of memory");
    hf_scan_init(&scan, (size_t)(memory(o) / 2));
    int rc = hf_examine(img, &eo, &scan, &examined, err), some = 0;
    if (rc >= 0)
        rc = some = hf_seal_of_tree(tree, img, &scan.release, o, out, err);
    for (size_t i = 0; rc >= 0 && i < scan.n_incomplete; i++)
        some = unlisted(&scan.incomplete[i], o) ? 1 : some;
    hf_scan_done(&scan);
    hf_examined_done(&examined);
    return rc < 0 ? rc : some;
}

int hf_seal_of_image(struct hf_image *img, const struct hf_seal_opts *o, int out_fd, struct hf_err *err)
{
    hf_autobuf out = HF_BUF_INIT(HF_SEAL_MAX_BYTES);
    int some = hf_seal_make(img, o, &out, err);
    int rc = some < 0 ? some : write_all(out_fd, hf_buf_span(&out), err);
    return rc < 0 ? rc : some;
}
