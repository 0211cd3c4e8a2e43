/* SPDX-License-Identifier: Apache-2.0 */
/* Images and containers of a local docker daemon: facts from its API, content straight from the overlay2 store when it can be
 * read, which needs no export; else from the export as it streams (docs/formats/docker.md). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/json.h"
#include "image/docker-api.h"
#include "image/image-internal.h"
#include "image/layer.h"

enum { MAX_ANSWER = 16 << 20, MAX_LAYERS = 1000, MAX_CONFIG = 8 << 20, MOUNTS_NAMED = 8 };

/* Names, ids and digests as the daemon takes them; paths and options are none. */
static bool is_reference(struct hf_span s)
{
    if (!s.n || s.n > 4096 || hf_span_search(s, HF_S("..")) != SIZE_MAX || hf_span_search(s, HF_S("//")) != SIZE_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (i == 0 || !memchr("._-:/@", c, i + 1 == s.n ? 3 : 6)))
            return false;
    }
    return true;
}

/* what: "image" or "container". */
static int inspect(const char *what, const char *name, const struct hf_image_opts *o, struct hf_json_doc **ret, struct hf_err *err)
{
    hf_autobuf path = HF_BUF_INIT(16384);
    hf_autobuf body = HF_BUF_INIT(MAX_ANSWER);
    if (!is_reference(hf_span_z(name)))
        return hf_fail(err, HF_E_USAGE, "\"%s\" is not the name or id of %s %s", name, *what == 'i' ? "an" : "a", what);
    hf_buf_addf(&path, "/%ss/", what);
    hf_docker_add_name(&path, hf_span_z(name));
    hf_buf_addz(&path, "/json");
    int status = hf_docker_get(o, hf_buf_z(&path), &body, err);
    if (status < 0)
        return status;
    if (status == 404)
        return hf_fail(err, HF_E_NOT_FOUND, "the docker daemon has no %s \"%s\"; it has what \"docker %s\" lists", what, name,
                *what == 'i' ? "images" : "ps -a");
    if (status != 200)
        return hf_docker_refused(status, hf_buf_span(&body), name, err);
    int rc = hf_json_parse(hf_buf_span(&body), ret, err);
    return rc < 0 ? hf_wrap(err, rc, "answer of the docker daemon") : rc;
}

static int has(const char *what, const char *name, const struct hf_image_opts *o, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = inspect(what, name, o, &doc, err);
    return rc == 0 ? 1 : rc == HF_E_NOT_FOUND ? 0 : rc;
}

int hf_docker_has_image(const char *ref, const struct hf_image_opts *o, struct hf_err *err)
{
    return has("image", ref, o, err);
}

int hf_docker_has_container(const char *id, const struct hf_image_opts *o, struct hf_err *err)
{
    return has("container", id, o, err);
}

/* LowerDir of overlay2 lists directories from the top down, short links into l/ included. */
static int overlay_dirs(struct hf_image *img, hf_jnode data, struct hf_span **ret, size_t *ret_n, struct hf_err *err)
{
    struct hf_span lower = hf_jgetstr(data, "LowerDir"), upper = hf_jgetstr(data, "UpperDir"), rest = lower, part;
    size_t n = upper.n ? 1 : 0, i;
    while (hf_span_cut(&rest, ':', &part))
        n++;
    if (n > MAX_LAYERS)
        return hf_fail(err, HF_E_LIMIT, "%zu overlay directories", n);
    struct hf_span *v = hf_arena_calloc(&img->arena, n + 1, sizeof *v);
    if (!v)
        return hf_fail(err, HF_E_LIMIT, "out of memory");
    i = n;
    int rc = 0;
    if (upper.n)
        rc = hf_image_dup(img, upper, &v[--i], err);
    for (rest = lower; rc >= 0 && i && hf_span_cut(&rest, ':', &part);)
        rc = hf_image_dup(img, part, &v[--i], err);
    *ret = v;
    *ret_n = n;
    return rc;
}

/* dir is DATA-ROOT/overlay2/ID/diff. */
static struct hf_span store_of(struct hf_span dir)
{
    return hf_span_dirname(hf_span_dirname(dir));
}

static int use_dir(struct hf_layer_source *l, struct hf_span dir, struct hf_err *err)
{
    hf_autofree char *store = hf_span_dupz(store_of(dir));
    return store ? hf_overlay_layer(l, dir, store, err) : hf_fail(err, -ENOMEM, "out of memory");
}

/* Image facts the daemon gives beside the layers. */
static int image_facts(struct hf_image *img, hf_jnode root, struct hf_err *err)
{
    int rc;
    if ((rc = hf_image_dup(img, hf_jgetstr(root, "Os"), &img->os, err)) < 0 ||
            (rc = hf_image_dup(img, hf_jgetstr(root, "Architecture"), &img->arch, err)) < 0 ||
            (rc = hf_image_dup(img, hf_jgetstr(root, "Variant"), &img->variant, err)) < 0 ||
            (rc = hf_image_dup(img, hf_jgetstr(root, "Created"), &img->created, err)) < 0)
        return rc;
    if (hf_digest_parse(hf_jgetstr(root, "Id"), &img->digest) < 0)
        img->digest.n = 0;
    return 0;
}

/* The layers as the daemon counts them: their diff ids, no content yet; n_extra more on top. */
static int name_layers(struct hf_image *img, hf_jnode image, size_t n_extra, struct hf_err *err)
{
    hf_jnode ids = hf_jget(hf_jget(image, "RootFS"), "Layers");
    size_t n = 0, i = 0;
    HF_JFOREACH(id, ids)
        n++;
    if (n > MAX_LAYERS)
        return hf_fail(err, HF_E_LIMIT, "the image has %zu layers, at most %d are read", n, MAX_LAYERS);
    img->layers = hf_arena_calloc(&img->arena, n + n_extra + 1, sizeof *img->layers);
    if (!img->layers)
        return hf_fail(err, HF_E_LIMIT, "out of memory");
    HF_JFOREACH(id, ids) {
        if (hf_digest_parse(hf_jstr(id), &img->layers[i++].diff_id) < 0)
            return hf_fail(err, HF_E_FORMAT, "layer id \"" HF_SPAN_FMT "\" is not a digest", HF_SPAN_ARG(hf_jstr(id)));
    }
    img->n_layers = n + n_extra;
    img->has_layers = true;
    for (i = 0; i < img->n_layers; i++)
        img->layers[i].fd = -1;
    return 0;
}

/* Content of the layers from the store's directories.  < 0: it has to be exported, err says why. */
static int find_dirs(struct hf_image *img, hf_jnode graph, struct hf_err *err)
{
    struct hf_span *dirs, driver = hf_jgetstr(graph, "Name");
    size_t n = 0;
    if (!hf_span_eqz(driver, "overlay2"))
        return hf_fail(err, HF_E_UNSUPPORTED, "storage driver \"" HF_SPAN_FMT "\"", HF_SPAN_ARG(driver));
    if (!hf_overlay_readable())
        return hf_fail(err, -EPERM, "not run as root");
    int rc = overlay_dirs(img, hf_jget(graph, "Data"), &dirs, &n, err);
    if (rc >= 0 && n != img->n_layers)
        rc = hf_fail(err, HF_E_UNSUPPORTED, "%zu layers but %zu overlay directories", img->n_layers, n);
    for (size_t i = 0; i < img->n_layers && rc >= 0; i++)
        rc = use_dir(&img->layers[i], dirs[i], err);
    return rc;
}

/* The image's config as the store keeps it: created_by for each layer, and which steps made none. */
static int stored_config(struct hf_image *img, size_t n_image, struct hf_err *err)
{
    char text[HF_DIGEST_TEXT];
    hf_autobuf path = HF_BUF_INIT(16384);
    hf_autobuf config = HF_BUF_INIT(MAX_CONFIG);
    struct hf_digest got;
    if (!n_image || img->digest.n != 32)
        return 0;
    struct hf_span store = store_of(img->layers[0].dir);
    hf_buf_addf(&path, HF_SPAN_FMT "/image/" HF_SPAN_FMT "/imagedb/content/sha256/%s", HF_SPAN_ARG(hf_span_dirname(store)),
            HF_SPAN_ARG(hf_span_basename(store)), hf_digest_text(&img->digest, text) + 7);
    if (!hf_buf_ok(&path) || hf_read_file(hf_buf_z(&path), &config, NULL) < 0)
        return 0;
    hf_digest_of(HF_SHA256, hf_buf_span(&config), &got);
    if (!hf_digest_eq(&got, &img->digest))
        return 0;
    img->config = got;
    size_t n = img->n_layers;
    img->n_layers = n_image;
    int rc = hf_oci_config(img, hf_buf_span(&config), err);
    img->n_layers = n;
    return rc < 0 ? rc : 1;
}

/* Steps that never make a layer, as the builders write them: "/bin/sh -c #(nop)  ENV A=1", "ENV A=1". */
static bool never_a_layer(struct hf_span by)
{
    static const char *const words[] = {"ENV", "CMD", "LABEL", "EXPOSE", "ENTRYPOINT", "USER", "VOLUME", "STOPSIGNAL", "HEALTHCHECK", "SHELL", "ONBUILD",
            "ARG", "MAINTAINER"};
    size_t nop = hf_span_search(hf_span_sub(by, 0, 64), HF_S("#(nop) "));
    struct hf_span rest = hf_span_trim(hf_span_from(by, nop == SIZE_MAX ? 0 : nop + 7)), word;
    if (!hf_span_cut(&rest, ' ', &word))
        return false;
    return HF_SPAN_IN(word, words);
}

static bool has_layer(hf_jnode step, bool by_size)
{
    double size = 0;
    if (hf_jnum(hf_jget(step, "Size"), &size) && size > 0)
        return true;
    return !by_size && !never_a_layer(hf_jgetstr(step, "CreatedBy"));
}

/* created_by from the daemon's history: 1, or 0 when its steps cannot be told from layers. */
static int add_history(struct hf_image *img, size_t n_image, hf_jnode image, const struct hf_image_opts *o, struct hf_err *err)
{
    hf_autobuf path = HF_BUF_INIT(16384);
    hf_autobuf body = HF_BUF_INIT(MAX_ANSWER);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_buf_addz(&path, "/images/");
    hf_docker_add_name(&path, hf_jgetstr(image, "Id"));
    hf_buf_addz(&path, "/history");
    if (hf_docker_get(o, hf_buf_z(&path), &body, NULL) != 200 || hf_json_parse(hf_buf_span(&body), &doc, NULL) < 0)
        return 0; /* nice to have: the scan does not depend on it */
    /* Newest first.  Steps without a layer are not marked.  Those with a size have one; those that are not of the kinds that never
     * do may have one.  Which it is is sure when there are as many of either as layers. */
    size_t n[2] = {0, 0}, i = n_image;
    HF_JFOREACH(h, hf_json_root(doc)) {
        n[0] += has_layer(h, true);
        n[1] += has_layer(h, false);
    }
    if (n[0] != n_image && n[1] != n_image)
        return 0;
    HF_JFOREACH(h, hf_json_root(doc)) {
        if (!has_layer(h, n[0] == n_image) || i == 0)
            continue;
        int rc = hf_image_dup(img, hf_span_sub(hf_jgetstr(h, "CreatedBy"), 0, 4096), &img->layers[--i].created_by, err);
        if (rc < 0)
            return rc;
    }
    return 1;
}

/* --- exports --- */

struct export {
    struct hf_image_stream stream;
    const struct hf_image_opts *o;
    const char *path;
};

static int export_open(const struct hf_image_stream *s, void **ret, struct hf_err *err)
{
    const struct export *e = s->ctx;
    struct hf_docker_stream *d;
    int rc = hf_docker_stream_open(&d, e->o, e->path, err);
    if (rc >= 0)
        *ret = d;
    return rc;
}

static int export_pull(void *stream, struct hf_span *ret, struct hf_err *err)
{
    return hf_docker_stream_pull(stream, ret, err);
}

static void export_close(void *stream)
{
    hf_docker_stream_close(stream);
}

static void use_export(struct hf_image *img, struct export *e, const struct hf_image_opts *o, const char *path, bool archive)
{
    e->o = o;
    e->path = path;
    e->stream = (struct hf_image_stream){export_open, export_pull, export_close, e, 0, archive, false};
    img->stream = &e->stream;
}

int hf_source_docker(const char *ref, const struct hf_image_opts *o, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = inspect("image", ref, o, &doc, err);
    if (rc < 0)
        return rc;
    struct hf_image img;
    struct export export = {.path = NULL};
    hf_image_init(&img);
    hf_jnode root = hf_json_root(doc);
    hf_autobuf target = HF_BUF_INIT(8192);
    hf_autobuf path = HF_BUF_INIT(16384);
    hf_buf_addf(&target, "docker:%s", ref);
    rc = image_facts(&img, root, err);
    if (rc >= 0)
        rc = hf_image_dup(&img, hf_buf_span(&target), &img.target, err);
    if (rc >= 0)
        rc = hf_image_dup(&img, hf_span_z(ref), &img.ref, err);
    if (rc >= 0)
        rc = name_layers(&img, root, 0, err);
    bool direct = rc >= 0 && find_dirs(&img, hf_jget(root, "GraphDriver"), NULL) >= 0;
    if (rc >= 0 && !direct) {
        double size;
        /* By id: a tag may move between the requests. */
        hf_buf_addz(&path, "/images/");
        hf_docker_add_name(&path, hf_jgetstr(root, "Id").n ? hf_jgetstr(root, "Id") : hf_span_z(ref));
        hf_buf_addz(&path, "/get");
        use_export(&img, &export, o, hf_buf_z(&path), true);
        if (hf_jnum(hf_jget(root, "Size"), &size) && size > 0 && size < 1e18)
            export.stream.size = (uint64_t)size;
    }
    if (direct)
        rc = stored_config(&img, img.n_layers, err);
    if (rc == 0) {
        rc = add_history(&img, img.n_layers, root, o, err);
        export.stream.described = rc == 1;
    }
    if (rc >= 0)
        rc = cb(ctx, &img, err);
    hf_image_done(&img);
    return rc;
}

/* A container's layers: those of its image, the runtime's "-init" directory and its own changes. */
static int container_layers(struct hf_image *img, hf_jnode image, hf_jnode container, const struct hf_image_opts *o, struct hf_err *err)
{
    bool redirected = true;
    int rc = name_layers(img, image, 2, err);
    if (rc >= 0)
        rc = find_dirs(img, hf_jget(container, "GraphDriver"), err);
    if (rc < 0)
        return rc;
    size_t n = img->n_layers - 2;
    rc = hf_dir_redirected(img->layers[n + 1].dir.p, &redirected, err);
    if (rc < 0 || redirected)
        return rc < 0 ? rc : hf_fail(err, HF_E_UNSUPPORTED, "renamed directories (overlay redirect_dir)");
    img->init_layer = (uint32_t)n + 1;
    img->layers[n].created_by = HF_S("container runtime (init files)");
    img->layers[n + 1].created_by = HF_S("container: changed since start");
    rc = stored_config(img, n, err);
    return rc == 0 ? add_history(img, n, image, o, err) : rc;
}

static void add_place(struct hf_buf *out, size_t n, struct hf_span place)
{
    if (n < MOUNTS_NAMED)
        hf_buf_addf(out, "%s" HF_SPAN_FMT, n ? ", " : "", HF_SPAN_ARG(hf_span_sub(place, 0, 200)));
}

/* Volumes and mounts lie over a container's file system, and are no part of it. */
static int note_mounts(struct hf_image *img, hf_jnode container, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(2048);
    size_t n = 0, all = 0;
    HF_JFOREACH(m, hf_jget(container, "Mounts"))
        all++;
    HF_JFOREACH(m, hf_jget(hf_jget(container, "HostConfig"), "Tmpfs"))
        all++;
    img->mounts = hf_arena_calloc(&img->arena, all + 1, sizeof *img->mounts);
    if (!img->mounts)
        return hf_fail(err, HF_E_LIMIT, "out of memory");
    HF_JFOREACH(m, hf_jget(container, "Mounts"))
        if (hf_image_dup(img, hf_jgetstr(m, "Destination"), &img->mounts[img->n_mounts++], err) < 0)
            return HF_E_LIMIT;
    HF_JFOREACH(m, hf_jget(hf_jget(container, "HostConfig"), "Tmpfs"))
        if (hf_image_dup(img, hf_jname(m), &img->mounts[img->n_mounts++], err) < 0)
            return HF_E_LIMIT;
    HF_JFOREACH(m, hf_jget(container, "Mounts"))
        add_place(&text, n++, hf_jgetstr(m, "Destination"));
    HF_JFOREACH(m, hf_jget(hf_jget(container, "HostConfig"), "Tmpfs"))
        add_place(&text, n++, hf_jname(m));
    if (!n)
        return 0;
    return hf_image_note(img, err, "what is mounted into the container is not part of its file system and was not read: " HF_SPAN_FMT "%s", HF_SPAN_ARG(hf_buf_span(&text)),
            n > MOUNTS_NAMED ? ", ..." : "");
}

int hf_source_container(const char *id, const struct hf_image_opts *o, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *image = NULL;
    int rc = inspect("container", id, o, &doc, err);
    if (rc < 0)
        return rc;
    hf_jnode root = hf_json_root(doc);
    hf_autofree char *image_id = hf_span_dupz(hf_jgetstr(root, "Image"));
    if (!image_id || !*image_id)
        return hf_fail(err, HF_E_FORMAT, "the docker daemon did not say which image container %s has", id);
    rc = inspect("image", image_id, o, &image, err);
    if (rc < 0 && rc != HF_E_NOT_FOUND) /* "docker rmi -f" leaves containers without an image */
        return hf_wrap(err, rc, "container %s", id);
    struct hf_image img;
    struct export export = {.path = NULL};
    hf_image_init(&img);
    hf_autobuf target = HF_BUF_INIT(8192);
    hf_autobuf path = HF_BUF_INIT(16384);
    hf_buf_addf(&target, "container:%s", id);
    rc = image ? image_facts(&img, hf_json_root(image), err) : 0;
    if (rc >= 0)
        rc = hf_image_dup(&img, hf_buf_span(&target), &img.target, err);
    if (rc >= 0)
        rc = hf_image_dup(&img, hf_jgetstr(hf_jget(root, "Config"), "Image"), &img.ref, err);
    if (rc >= 0)
        rc = note_mounts(&img, root, err);
    if (rc >= 0 && (!image || container_layers(&img, hf_json_root(image), root, o, NULL) < 0)) {
        hf_buf_addz(&path, "/containers/");
        hf_docker_add_name(&path, hf_jgetstr(root, "Id"));
        hf_buf_addz(&path, "/export");
        use_export(&img, &export, o, hf_buf_z(&path), false);
        export.stream.described = true;
        img.layers = hf_arena_calloc(&img.arena, 1, sizeof *img.layers);
        img.n_layers = 1;
        img.has_layers = false;
        if (img.layers)
            img.layers[0].fd = -1;
        else
            rc = hf_fail(err, HF_E_LIMIT, "out of memory");
    }
    if (rc >= 0)
        rc = cb(ctx, &img, err);
    hf_image_done(&img);
    return rc < 0 ? hf_wrap(err, rc, "container %s", id) : rc;
}
