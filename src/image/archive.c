/* SPDX-License-Identifier: Apache-2.0 */
/* docker save and podman save archives (manifest.json), OCI archives and OCI layout folders (index.json). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/json.h"
#include "image/image-internal.h"

enum { MAX_DOCUMENT = 8 << 20 };

static bool ref_matches(struct hf_span want, hf_jnode tags)
{
    HF_JFOREACH(t, tags) {
        struct hf_span tag = hf_jstr(t);
        if (hf_span_eq(want, tag))
            return true;
        /* "nginx" names "nginx:latest", and either may carry the default registry in front. */
        static const char *const heads[] = {"", "docker.io/", "docker.io/library/", "localhost/"};
        static const char *const tails[] = {"", ":latest"};
        for (size_t h = 0; h < HF_ARRAY_LEN(heads); h++)
            for (size_t k = 0; k < HF_ARRAY_LEN(tails); k++) {
                hf_autobuf full = HF_BUF_INIT(8192);
                hf_buf_addf(&full, "%s" HF_SPAN_FMT "%s", heads[h], HF_SPAN_ARG(want), tails[k]);
                if (hf_span_eq(hf_buf_span(&full), tag))
                    return true;
            }
    }
    return false;
}

/* The id in a docker archive's config name: "<hex>.json" or "blobs/sha256/<hex>". */
static void config_digest(struct hf_span name, struct hf_digest *ret)
{
    struct hf_span hex = hf_span_basename(name);
    char text[HF_DIGEST_TEXT];
    if (hf_span_ends(hex, HF_S(".json")))
        hex.n -= 5;
    snprintf(text, sizeof text, "sha256:" HF_SPAN_FMT, (int)HF_MIN(hex.n, (size_t)64), hex.p);
    if (hex.n != 64 || hf_digest_parse(hf_span_z(text), ret) < 0)
        ret->n = 0;
}

static int docker_image(struct hf_blobs *b, struct hf_image *img, hf_jnode entry, const struct hf_image_opts *o, struct hf_err *err)
{
    hf_autobuf config = HF_BUF_INIT(MAX_DOCUMENT);
    struct hf_span config_name = hf_jgetstr(entry, "Config");
    hf_jnode layers = hf_jget(entry, "Layers");
    int rc = hf_blobs_read(b, config_name, &config, err);
    if (rc < 0)
        return hf_wrap(err, rc, "image config");
    config_digest(config_name, &img->digest);
    struct hf_digest got;
    hf_digest_of(HF_SHA256, hf_buf_span(&config), &got);
    if (o->verify && img->digest.n && !hf_digest_eq(&got, &img->digest)) {
        char x[HF_DIGEST_TEXT], y[HF_DIGEST_TEXT];
        return hf_fail(err, HF_E_DIGEST, "image config " HF_SPAN_FMT ": expected %s but the content is %s", HF_SPAN_ARG(config_name),
                hf_digest_text(&img->digest, x), hf_digest_text(&got, y));
    }
    img->digest = img->config = got;
    rc = hf_oci_config(img, hf_buf_span(&config), err);
    size_t i = 0;
    HF_JFOREACH(l, layers) {
        if (rc < 0)
            break;
        if (i == img->n_layers)
            return hf_fail(err, HF_E_FORMAT, "manifest.json has more layers than the image config has diff_ids (%zu)", i);
        struct hf_layer_source *s = &img->layers[i++];
        rc = hf_blobs_find(b, img, hf_jstr(l), &s->fd, &s->offset, &s->size, err);
        if (rc < 0)
            return hf_wrap(err, rc, "layer %zu", i);
        /* docker 25 and later store layers as blobs named by their digest */
        if (hf_span_starts(hf_jstr(l), HF_S("blobs/sha256/")))
            config_digest(hf_jstr(l), &s->digest);
    }
    if (rc >= 0 && i != img->n_layers)
        return hf_fail(err, HF_E_FORMAT, "manifest.json has %zu layers but the image config %zu diff_ids", i, img->n_layers);
    return rc;
}

/* How many images manifest.json has; the same one may be listed twice. */
static size_t count_images(hf_jnode root)
{
    hf_automap seen = {NULL, 0, 0};
    HF_JFOREACH(entry, root)
        if (!hf_map_at(&seen, hf_jgetstr(entry, "Config"), NULL))
            break;
    return seen.n;
}

static int docker_manifest(struct hf_blobs *b, int fd, const char *target, struct hf_span ref, const struct hf_image_opts *o,
        bool all, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(MAX_DOCUMENT);
    hf_autobuf seen = HF_BUF_INIT(4096);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_blobs_read(b, HF_S("manifest.json"), &text, err);
    if (rc >= 0)
        rc = hf_json_parse(hf_buf_span(&text), &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "manifest.json");
    unsigned delivered = 0;
    HF_JFOREACH(entry, hf_json_root(doc))
        HF_JFOREACH(t, hf_jget(entry, "RepoTags"))
            if (seen.n < 300)
                hf_buf_addf(&seen, " " HF_SPAN_FMT, HF_SPAN_ARG(hf_jstr(t)));
    size_t images = all || ref.n ? 1 : count_images(hf_json_root(doc));
    HF_JFOREACH(entry, hf_json_root(doc)) {
        hf_jnode tags = hf_jget(entry, "RepoTags");
        if (ref.n && !ref_matches(ref, tags))
            continue;
        struct hf_image img;
        hf_image_init(&img);
        int own = dup(fd);
        rc = own < 0 ? hf_fail(err, -errno, "dup failed") : hf_image_own_fd(&img, own, err);
        if (rc >= 0)
            rc = docker_image(b, &img, entry, o, err);
        if (rc >= 0)
            rc = hf_image_dup(&img, hf_span_z(target), &img.target, err);
        if (rc >= 0)
            rc = hf_image_dup(&img, ref.n ? ref : hf_jstr(hf_jfirst(tags)), &img.ref, err);
        if (rc >= 0 && images > 1)
            rc = hf_image_others(&img, images, hf_buf_span(&seen), err);
        if (rc >= 0) {
            delivered++;
            rc = cb(ctx, &img, err);
        }
        hf_image_done(&img);
        if (rc < 0 || !all)
            return rc;
    }
    if (!delivered)
        return hf_fail(err, HF_E_NOT_FOUND, "the archive has no image \"" HF_SPAN_FMT "\"; it has:%s", HF_SPAN_ARG(ref), hf_buf_z(&seen));
    return 0;
}

int hf_source_archive(const char *path, struct hf_span ref, const char *scheme, const struct hf_image_opts *o, bool all,
        hf_image_cb cb, void *ctx, struct hf_err *err)
{
    struct stat st;
    hf_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe nobody writes to must not hold us */
    if (fd < 0 || fstat(fd, &st) < 0)
        return hf_fail(err, -errno, "%s: %s", path, hf_err_name(-errno));
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return hf_fail(err, HF_E_UNSUPPORTED, "%s is not a regular file: archives are read here and there, not from front to back; save it to a file first", path);
    unsigned char magic[4] = {0};
    if (pread(fd, magic, 4, 0) == 4 && ((magic[0] == 0x1f && magic[1] == 0x8b) || memcmp(magic, "\x28\xb5\x2f\xfd", 4) == 0))
        return hf_fail(err, HF_E_UNSUPPORTED, "%s is compressed as a whole; unpack it first, for example with: %s -d -k %s", path,
                magic[0] == 0x1f ? "gzip" : "zstd", path);
    struct hf_arena arena;
    struct hf_blobs b;
    hf_arena_init(&arena, 32 << 20);
    hf_blobs_init(&b, &arena);
    hf_autobuf target = HF_BUF_INIT(8192);
    int rc = hf_blobs_open_tar(&b, fd, err);
    if (rc == HF_E_FORMAT && !b.index.n) {
        hf_wrap(err, rc, "no image: docker save and OCI archives, CycloneDX JSON and lists of purls are read");
    } else if (rc >= 0) {
        uint64_t at;
        bool docker = hf_map_get(&b.index, HF_S("manifest.json"), &at), oci = hf_map_get(&b.index, HF_S("index.json"), &at);
        bool as_oci = !strcmp(scheme, "oci-archive") || (!docker && oci);
        if (as_oci ? !oci : !docker) {
            rc = hf_fail(err, HF_E_FORMAT, "neither manifest.json (docker save) nor index.json (OCI) is in this archive");
        } else {
            hf_buf_addf(&target, "%s:%s", as_oci ? "oci-archive" : "docker-archive", path);
            rc = as_oci ? hf_oci_layout(&b, fd, hf_buf_z(&target), ref, o, all, cb, ctx, err)
                        : docker_manifest(&b, fd, hf_buf_z(&target), ref, o, all, cb, ctx, err);
        }
    }
    hf_blobs_done(&b);
    hf_arena_done(&arena);
    return rc < 0 ? hf_wrap(err, rc, "%s", path) : rc;
}

int hf_source_oci_dir(const char *path, struct hf_span tag, const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx,
        struct hf_err *err)
{
    hf_autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return hf_fail(err, -errno, "%s: %s", path, hf_err_name(-errno));
    struct hf_blobs b;
    hf_blobs_init(&b, NULL);
    b.dir_fd = dir;
    hf_autobuf target = HF_BUF_INIT(8192);
    hf_buf_addf(&target, "oci:%s", path);
    int rc = hf_oci_layout(&b, -1, hf_buf_z(&target), tag, o, all, cb, ctx, err);
    hf_blobs_done(&b);
    return rc < 0 ? hf_wrap(err, rc, "%s", path) : rc;
}
