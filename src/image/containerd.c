/* SPDX-License-Identifier: Apache-2.0 */
/* Images in containerd's own store, read from the disk: names and digests from its database, indexes, manifests, configs and layers as blobs by their digest, and layers
 * whose blobs it let go of once they were unpacked (discard_unpacked_layers) from its snapshots.  No daemon is asked (docs/formats/local-images.md). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/rd.h"
#include "formats/boltdb/boltdb.h"
#include "image/image-internal.h"
#include "image/local.h"

#define DATABASE "io.containerd.metadata.v1.bolt/meta.db"
#define CONTENT "io.containerd.content.v1.content"
enum { NAMESPACES_MAX = 256, IMAGES_MAX = 65536, NAMES_BYTES = 16 << 20, DEPTH_IMAGES = 4096, PATH_BYTES = 8192 };

/* containerd alone, as part of k3s, RKE2, MicroK8s and k0s. */
static const char *const usual[] = {"/var/lib/containerd", "/var/lib/rancher/k3s/agent/containerd", "/var/lib/rancher/rke2/agent/containerd",
        "/var/snap/microk8s/common/var/lib/containerd", "/var/lib/k0s/containerd"};

/* One root folder, opened. */
struct store {
    const char *root;
    struct hf_bolt *db;
    int content; /* folder above blobs/ */
};

struct finder {
    struct hf_local local;
    struct store *s;
    struct hf_err *err;
    struct hf_span namespace, name, root; /* of the image at hand */
};

static void done(struct store *s)
{
    hf_bolt_free(s->db);
    hf_closep(&s->content);
}

/* 1: there is a containerd's store there. */
static int open_store(struct store *s, const char *root, struct hf_err *err)
{
    hf_autobuf path = HF_BUF_INIT(PATH_BYTES);
    *s = (struct store){.root = root, .content = -1};
    hf_buf_addf(&path, "%s/" DATABASE, root);
    int rc = hf_buf_ok(&path) ? hf_bolt_open(&s->db, hf_buf_z(&path), err) : HF_E_LIMIT;
    if (rc <= 0)
        return rc < 0 ? hf_wrap(err, rc, "%s", hf_buf_z(&path)) : 0;
    hf_buf_clear(&path);
    hf_buf_addf(&path, "%s/" CONTENT, root);
    s->content = open(hf_buf_z(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return s->content < 0 ? hf_fail(err, -errno, "%s: %s", hf_buf_z(&path), hf_err_name(-errno)) : 1;
}

static void use_blobs(const struct store *s, struct hf_blobs *b)
{
    hf_blobs_init(b, NULL);
    b->dir_fd = s->content;
}

/* The digest of what an image's name stands for: 1. */
static int target_of(struct store *s, struct hf_span namespace, struct hf_span name, struct hf_buf *ret, struct hf_err *err)
{
    const struct hf_span path[] = {HF_S("v1"), namespace, HF_S("images"), name, HF_S("target"), HF_S("digest")};
    hf_buf_clear(ret);
    return hf_bolt_get(s->db, path, HF_ARRAY_LEN(path), ret, err);
}

/* What was found: "ROOT\nNAMESPACE\nDIGEST\nMANIFEST", the last of them only where it was asked for by that. */
static int found(struct finder *f, unsigned fit, struct hf_span digest, struct hf_span manifest)
{
    hf_autobuf place = HF_BUF_INIT(3 * PATH_BYTES), text = HF_BUF_INIT(PATH_BYTES);
    if (!fit)
        return 0;
    hf_buf_addf(&place, "%s\n%.*s\n%.*s\n%.*s", f->s->root, HF_SPAN_ARG(f->namespace), HF_SPAN_ARG(digest), HF_SPAN_ARG(manifest));
    hf_buf_addf(&text, "%.*s in namespace %.*s", HF_SPAN_ARG(f->name), HF_SPAN_ARG(f->namespace));
    return hf_local_found(&f->local, fit, manifest.n ? manifest : digest, hf_buf_span(&text), hf_buf_span(&place), f->err);
}

static int on_manifest(void *ctx, const struct hf_digest *manifest, const struct hf_digest *config)
{
    struct finder *f = ctx;
    char m[HF_DIGEST_TEXT], c[HF_DIGEST_TEXT] = "";
    hf_digest_text(manifest, m);
    unsigned fit = hf_local_digest(&f->local, hf_span_z(m));
    if (!fit && config->n)
        fit = hf_local_digest(&f->local, hf_span_z(hf_digest_text(config, c)));
    return found(f, fit, f->root, hf_span_z(m));
}

static int image(struct finder *f, bool deep)
{
    hf_autobuf target = HF_BUF_INIT(1024);
    struct hf_blobs b;
    struct hf_digest d;
    unsigned fit = hf_local_name(&f->local, f->name);
    if (!fit && !f->local.hex.n)
        return 0;
    int rc = target_of(f->s, f->namespace, f->name, &target, f->err);
    if (rc <= 0 || hf_digest_parse(hf_buf_span(&target), &d) < 0)
        return HF_MIN(rc, 0);
    f->root = hf_buf_span(&target);
    if (!deep)
        return found(f, fit ? fit : hf_local_digest(&f->local, f->root), f->root, hf_span("", 0));
    use_blobs(f->s, &b);
    struct hf_err ignored = HF_ERR_INIT; /* a damaged image is no answer, and keeps no other from being one */
    rc = hf_oci_manifests(&b, &d, on_manifest, f, &ignored);
    return rc == -ENOMEM ? rc : 0;
}

static int images(struct finder *f, bool deep)
{
    const struct hf_span path[] = {HF_S("v1"), f->namespace, HF_S("images")};
    hf_autobuf names = HF_BUF_INIT(NAMES_BYTES);
    struct hf_span rest;
    unsigned n = 0;
    int rc = hf_bolt_buckets(f->s->db, path, HF_ARRAY_LEN(path), IMAGES_MAX, &names, f->err);
    for (rest = hf_buf_span(&names); rc >= 0 && rest.n && hf_span_cut(&rest, 0, &f->name);) {
        if (deep && ++n > DEPTH_IMAGES)
            return hf_fail(f->err, HF_E_LIMIT, "more than %d images would have to be opened; name one by its name", DEPTH_IMAGES);
        rc = image(f, deep);
    }
    return HF_MIN(rc, 0);
}

/* moby: what docker has in containerd, which docker is asked for. */
static int namespaces(struct finder *f, bool deep)
{
    const struct hf_span path[] = {HF_S("v1")};
    const char *only = getenv("CONTAINERD_NAMESPACE"); /* as ctr and nerdctl take it */
    hf_autobuf names = HF_BUF_INIT(1 << 20);
    struct hf_span rest;
    int rc = hf_bolt_buckets(f->s->db, path, 1, NAMESPACES_MAX, &names, f->err);
    for (rest = hf_buf_span(&names); rc >= 0 && rest.n && hf_span_cut(&rest, 0, &f->namespace);)
        if (only && *only ? hf_span_eqz(f->namespace, only) : !hf_span_eqz(f->namespace, "moby"))
            rc = images(f, deep);
    return HF_MIN(rc, 0);
}

/* By names and the digests that they stand for; only when nothing is called so by what is in them. */
static int look(struct finder *f, const struct hf_image_opts *o, bool deep, unsigned *ret_stores, struct hf_err *err)
{
    bool set = o->containerd_root && *o->containerd_root;
    int rc = 0;
    *ret_stores = 0;
    for (size_t i = 0; i < (set ? 1 : HF_ARRAY_LEN(usual)) && rc >= 0; i++) {
        struct store s;
        rc = open_store(&s, set ? o->containerd_root : usual[i], err);
        f->s = &s;
        *ret_stores += rc > 0;
        rc = rc > 0 ? namespaces(f, deep) : rc;
        rc = rc < 0 ? hf_wrap(err, rc, "containerd's store in %s", s.root) : 0;
        done(&s);
    }
    return rc;
}

/* 1 and the image in f->local. */
static int find(struct finder *f, const char *ref, const struct hf_image_opts *o, struct hf_err *err)
{
    unsigned stores = 0;
    f->err = err;
    int rc = hf_local_init(&f->local, hf_span_z(ref), err);
    rc = rc < 0 ? rc : look(f, o, false, &stores, err);
    if (rc >= 0 && !f->local.fit && f->local.hex.n && stores)
        rc = look(f, o, true, &stores, err);
    rc = rc < 0 ? rc : hf_local_end(&f->local, "containerd", err);
    if (rc == 0 && !stores)
        (void)hf_fail(err, -ENOENT, "there is no containerd here (no " DATABASE " in %s)", o->containerd_root && *o->containerd_root ? o->containerd_root : "the usual places");
    else if (rc == 0)
        (void)hf_fail(err, HF_E_NOT_FOUND, "containerd has no image \"%.300s\"; it has what \"ctr -n NAMESPACE images ls\" lists", ref);
    return rc;
}

void hf_containerd_roots(const struct hf_image_opts *o, struct hf_buf *ret)
{
    bool set = o->containerd_root && *o->containerd_root;
    for (size_t i = 0; i < (set ? 1 : HF_ARRAY_LEN(usual)); i++) {
        hf_buf_addz(ret, set ? o->containerd_root : usual[i]);
        hf_buf_addc(ret, 0);
    }
}

int hf_containerd_has_image(const char *ref, const struct hf_image_opts *o, struct hf_err *err)
{
    struct finder f = {.s = NULL};
    int rc = find(&f, ref, o, err);
    hf_local_done(&f.local);
    return rc;
}

/* ---- layers that are unpacked and no more ---- */

struct unpacked {
    struct store *s;
    struct hf_span namespace;
};

/* The folder of a snapshot by its name in the snapshotter's own database: 1. */
static int snapshot_dir(const struct store *s, const char *snapshotter, struct hf_span name, struct hf_buf *ret, struct hf_err *err)
{
    const struct hf_span path[] = {HF_S("v1"), HF_S("snapshots"), name, HF_S("id")};
    hf_cleanup(hf_bolt_freep) struct hf_bolt *db = NULL;
    hf_autobuf file = HF_BUF_INIT(PATH_BYTES), id = HF_BUF_INIT(64);
    hf_buf_addf(&file, "%s/io.containerd.snapshotter.v1.%s/metadata.db", s->root, snapshotter);
    int rc = hf_buf_ok(&file) ? hf_bolt_open(&db, hf_buf_z(&file), err) : HF_E_LIMIT;
    rc = rc <= 0 ? rc : hf_bolt_get(db, path, HF_ARRAY_LEN(path), &id, err);
    if (rc <= 0)
        return rc < 0 ? hf_wrap(err, rc, "%s", hf_buf_z(&file)) : 0;
    struct hf_rd r = hf_rd(hf_buf_span(&id));
    uint64_t number = hf_rd_uvarint(&r);
    if (r.bad)
        return hf_fail(err, HF_E_FORMAT, "%s: a snapshot without a number", hf_buf_z(&file));
    hf_buf_addf(ret, "%s/io.containerd.snapshotter.v1.%s/snapshots/%llu/fs", s->root, snapshotter, (unsigned long long)number);
    return hf_buf_ok(ret) ? 1 : HF_E_LIMIT;
}

/* Where the layer lies whose chain ends in this digest: 1. */
static int snapshot_of(const struct unpacked *u, const struct hf_digest *chain, struct hf_buf *ret, struct hf_err *err)
{
    static const char *const snapshotters[] = {"overlayfs", "fuse-overlayfs"}; /* one folder a layer, marked as overlay does */
    char text[HF_DIGEST_TEXT];
    hf_digest_text(chain, text);
    for (size_t i = 0; i < HF_ARRAY_LEN(snapshotters); i++) {
        const struct hf_span path[] = {HF_S("v1"), u->namespace, HF_S("snapshots"), hf_span_z(snapshotters[i]), hf_span_z(text), HF_S("name")};
        hf_autobuf name = HF_BUF_INIT(4096);
        int rc = hf_bolt_get(u->s->db, path, HF_ARRAY_LEN(path), &name, err);
        rc = rc <= 0 ? rc : snapshot_dir(u->s, snapshotters[i], hf_buf_span(&name), ret, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* OCI image-spec, config.md, "Layer ChainID". */
static void chain_on(struct hf_digest *chain, const struct hf_digest *diff_id)
{
    char a[HF_DIGEST_TEXT], b[HF_DIGEST_TEXT], both[2 * HF_DIGEST_TEXT];
    if (!chain->n) {
        *chain = *diff_id;
        return;
    }
    int n = snprintf(both, sizeof both, "%s %s", hf_digest_text(chain, a), hf_digest_text(diff_id, b));
    hf_digest_of(HF_SHA256, hf_span(both, (size_t)n), chain);
}

static int find_unpacked(void *ctx, struct hf_image *img, struct hf_err *err)
{
    const struct unpacked *u = ctx;
    struct hf_digest chain = {.n = 0};
    for (size_t i = 0; i < img->n_layers; i++) {
        hf_autobuf dir = HF_BUF_INIT(PATH_BYTES);
        struct hf_layer_source *l = &img->layers[i];
        struct hf_span kept;
        chain_on(&chain, &l->diff_id);
        if (l->fd >= 0)
            continue;
        int rc = snapshot_of(u, &chain, &dir, err);
        if (rc == 0)
            rc = hf_fail(err, HF_E_NOT_FOUND, "neither its blob nor a snapshot of it is in %s", u->s->root);
        else if (rc > 0 && !hf_overlay_readable())
            rc = hf_fail(err, -EPERM, "only its unpacked files are in %s, which need root to be read", u->s->root);
        rc = rc < 0 ? rc : hf_image_dup(img, hf_buf_span(&dir), &kept, err);
        rc = rc < 0 ? rc : hf_overlay_layer(l, kept, u->s->root, err);
        if (rc < 0)
            return hf_wrap(err, rc, "layer %zu", i + 1);
    }
    return 0;
}

int hf_source_containerd(const char *ref, const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    struct finder f = {.s = NULL};
    struct store s = {.content = -1};
    struct unpacked u = {.s = &s};
    hf_autobuf target = HF_BUF_INIT(8192);
    hf_autofree char *root = NULL;
    int rc = find(&f, ref, o, err);
    rc = rc == 0 ? HF_E_NOT_FOUND : rc;
    struct hf_oci_stored p = {.store = "containerd", .unpacked = find_unpacked, .ctx = &u, .ref = hf_span_z(ref)};
    if (rc > 0) {
        struct hf_span rest = f.local.place, where, digest;
        bool whole = hf_span_cut(&rest, '\n', &where) && hf_span_cut(&rest, '\n', &u.namespace) && hf_span_cut(&rest, '\n', &digest) && (root = hf_span_dupz(where));
        rc = whole && hf_digest_parse(digest, &p.root) == 0 ? open_store(&s, root, err) : hf_fail(err, -ENOMEM, "out of memory");
        if (rest.n && hf_digest_parse(rest, &p.want) < 0)
            p.want.n = 0;
        rc = rc == 0 ? HF_E_NOT_FOUND : rc; /* it went while it was looked at */
    }
    if (rc > 0) {
        struct hf_blobs b;
        use_blobs(&s, &b);
        hf_buf_addf(&target, "containerd:%s", ref);
        p.target = hf_buf_z(&target);
        rc = hf_oci_stored(&b, &p, o, all, cb, ctx, err);
        hf_blobs_done(&b);
    }
    done(&s);
    hf_local_done(&f.local);
    return rc;
}
