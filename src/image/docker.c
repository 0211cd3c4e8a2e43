/* SPDX-License-Identifier: Apache-2.0 */
/* Images and containers of a local docker daemon: facts from its API (Unix socket), content straight from the overlay2 store
 * when it can be read, which needs no export.  API: docs.docker.com/engine/api v1.24. */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/json.h"
#include "image/image-internal.h"

enum { MAX_ANSWER = 16 << 20, MAX_LAYERS = 1000 };

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct hf_buf *out = ctx;
    hf_buf_add(out, p, size * n);
    return hf_buf_ok(out) ? size * n : 0;
}

/* GET path from the daemon: the HTTP status, or < 0. */
static int api_get(const struct hf_image_opts *o, const char *path, struct hf_buf *out, struct hf_err *err)
{
    const char *host = o->docker_host && *o->docker_host ? o->docker_host : "unix:///var/run/docker.sock";
    if (strncmp(host, "unix://", 7) != 0)
        return hf_fail(err, HF_E_UNSUPPORTED, "docker host \"%s\": only unix:// sockets are used", host);
    CURL *c = curl_easy_init();
    if (!c)
        return hf_fail(err, -ENOMEM, "out of memory");
    hf_autobuf url = HF_BUF_INIT(8192);
    hf_buf_addf(&url, "http://localhost/v1.24%s", path);
    long status = 0;
    curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, host + 7);
    curl_easy_setopt(c, CURLOPT_URL, hf_buf_z(&url));
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, out);
    CURLcode rc = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(c);
    if (rc != CURLE_OK)
        return hf_fail(err, -ECONNREFUSED, "docker daemon at %s: %s", host, curl_easy_strerror(rc));
    return (int)status;
}

static void add_escaped(struct hf_buf *b, const char *ref)
{
    /* References hold [a-zA-Z0-9._:/@-]; anything else is percent-encoded so that it cannot change the request. */
    for (; *ref; ref++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@-", *ref))
            hf_buf_addc(b, *ref);
        else
            hf_buf_addf(b, "%%%02X", (unsigned char)*ref);
}

static int inspect(const char *kind, const char *name, const struct hf_image_opts *o, struct hf_json_doc **ret, struct hf_err *err)
{
    hf_autobuf path = HF_BUF_INIT(8192);
    hf_autobuf body = HF_BUF_INIT(MAX_ANSWER);
    if (strstr(name, ".."))
        return hf_fail(err, HF_E_USAGE, "\"%s\" is not a name", name);
    hf_buf_addf(&path, "/%s/", kind);
    add_escaped(&path, name);
    hf_buf_addz(&path, "/json");
    int status = api_get(o, hf_buf_z(&path), &body, err);
    if (status < 0)
        return status;
    if (status == 404)
        return hf_fail(err, HF_E_NOT_FOUND, "the docker daemon has no %.*s \"%s\"", (int)strlen(kind) - 1, kind, name);
    if (status != 200)
        return hf_fail(err, -EIO, "the docker daemon answered %d for %s", status, name);
    int rc = hf_json_parse(hf_buf_span(&body), ret, err);
    return rc < 0 ? hf_wrap(err, rc, "answer of the docker daemon") : rc;
}

int hf_docker_has_image(const char *ref, const struct hf_image_opts *o, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = inspect("images", ref, o, &doc, err);
    return rc == 0 ? 1 : rc == HF_E_NOT_FOUND ? 0 : rc;
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

static bool readable(struct hf_span dir)
{
    hf_autoclose int fd = open(dir.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0;
}

static void use_dir(struct hf_layer_source *l, struct hf_span dir)
{
    l->fd = -1;
    l->dir = dir;
    l->overlay = true;
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

static int image_layers(struct hf_image *img, hf_jnode image, hf_jnode graph, bool container, struct hf_err *err)
{
    struct hf_span *dirs;
    size_t n_dirs, n = 0, i = 0;
    if (!hf_span_eqz(hf_jgetstr(graph, "Name"), "overlay2"))
        return hf_fail(err, HF_E_UNSUPPORTED, "storage driver \"" HF_SPAN_FMT "\" cannot be read directly", HF_SPAN_ARG(hf_jgetstr(graph, "Name")));
    int rc = overlay_dirs(img, hf_jget(graph, "Data"), &dirs, &n_dirs, err);
    if (rc < 0)
        return rc;
    hf_jnode ids = hf_jget(hf_jget(image, "RootFS"), "Layers");
    HF_JFOREACH(id, ids)
        n++;
    /* A container has two more on top: the runtime's "-init" directory and its own changes. */
    size_t extra = container ? 2 : 0;
    if (n + extra != n_dirs)
        return hf_fail(err, HF_E_UNSUPPORTED, "%zu layers but %zu overlay directories", n, n_dirs);
    for (size_t k = 0; k < n_dirs; k++)
        if (!readable(dirs[k]))
            return hf_fail(err, -EACCES, "overlay directory " HF_SPAN_FMT " cannot be read; run as root", HF_SPAN_ARG(dirs[k]));
    img->layers = hf_arena_calloc(&img->arena, n_dirs ? n_dirs : 1, sizeof *img->layers);
    if (!img->layers)
        return hf_fail(err, HF_E_LIMIT, "out of memory");
    img->n_layers = n_dirs;
    img->has_layers = true;
    HF_JFOREACH(id, ids) {
        if (hf_digest_parse(hf_jstr(id), &img->layers[i].diff_id) < 0)
            return hf_fail(err, HF_E_FORMAT, "layer id \"" HF_SPAN_FMT "\" is not a digest", HF_SPAN_ARG(hf_jstr(id)));
        use_dir(&img->layers[i], dirs[i]);
        i++;
    }
    if (container) {
        use_dir(&img->layers[n], dirs[n]);
        img->layers[n].created_by = HF_S("container runtime (init files)");
        use_dir(&img->layers[n + 1], dirs[n + 1]);
        img->layers[n + 1].created_by = HF_S("container: changed since start");
    }
    return 0;
}

/* history of the image: created_by of the layers that have content. */
static int add_history(struct hf_image *img, const char *id, const struct hf_image_opts *o, struct hf_err *err)
{
    hf_autobuf path = HF_BUF_INIT(8192);
    hf_autobuf body = HF_BUF_INIT(MAX_ANSWER);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_buf_addz(&path, "/images/");
    add_escaped(&path, id);
    hf_buf_addz(&path, "/history");
    if (api_get(o, hf_buf_z(&path), &body, err) != 200 || hf_json_parse(hf_buf_span(&body), &doc, err) < 0)
        return 0; /* nice to have: the scan does not depend on it */
    /* Newest first; the API does not mark empty layers but gives them size 0, as real empty layers are rare. */
    size_t with_size = 0, n_image = 0;
    for (size_t i = 0; i < img->n_layers; i++)
        n_image += img->layers[i].diff_id.n != 0;
    HF_JFOREACH(h, hf_json_root(doc)) {
        double size = 0;
        with_size += hf_jnum(hf_jget(h, "Size"), &size) && size > 0;
    }
    if (with_size != n_image)
        return 0;
    size_t i = n_image;
    HF_JFOREACH(h, hf_json_root(doc)) {
        double size = 0;
        if (!hf_jnum(hf_jget(h, "Size"), &size) || size <= 0 || i == 0)
            continue;
        int rc = hf_image_dup(img, hf_span_sub(hf_jgetstr(h, "CreatedBy"), 0, 4096), &img->layers[--i].created_by, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int hf_source_docker(const char *ref, const struct hf_image_opts *o, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = inspect("images", ref, o, &doc, err);
    if (rc < 0)
        return rc;
    struct hf_image img;
    hf_image_init(&img);
    hf_jnode root = hf_json_root(doc);
    hf_autobuf target = HF_BUF_INIT(8192);
    hf_buf_addf(&target, "docker:%s", ref);
    rc = image_facts(&img, root, err);
    if (rc >= 0)
        rc = hf_image_dup(&img, hf_buf_span(&target), &img.target, err);
    if (rc >= 0)
        rc = hf_image_dup(&img, hf_span_z(ref), &img.ref, err);
    if (rc >= 0) {
        struct hf_err why = HF_ERR_INIT;
        rc = image_layers(&img, root, hf_jget(root, "GraphDriver"), false, &why);
        if (rc >= 0)
            rc = add_history(&img, ref, o, err);
        else
            hf_fail(err, rc, "%s; or save it and scan the file: docker save -o image.tar %s", why.msg, ref);
    }
    if (rc >= 0)
        rc = cb(ctx, &img, err);
    hf_image_done(&img);
    return rc;
}

int hf_source_container(const char *id, const struct hf_image_opts *o, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *image = NULL;
    int rc = inspect("containers", id, o, &doc, err);
    if (rc < 0)
        return rc;
    hf_jnode root = hf_json_root(doc);
    hf_autofree char *image_id = hf_span_dupz(hf_jgetstr(root, "Image"));
    if (!image_id || !*image_id)
        return hf_fail(err, HF_E_FORMAT, "the docker daemon did not say which image container %s has", id);
    rc = inspect("images", image_id, o, &image, err);
    if (rc < 0)
        return rc;
    struct hf_image img;
    hf_image_init(&img);
    hf_autobuf target = HF_BUF_INIT(8192);
    hf_buf_addf(&target, "container:%s", id);
    rc = image_facts(&img, hf_json_root(image), err);
    if (rc >= 0)
        rc = hf_image_dup(&img, hf_buf_span(&target), &img.target, err);
    if (rc >= 0)
        rc = hf_image_dup(&img, hf_jgetstr(hf_jget(root, "Config"), "Image"), &img.ref, err);
    if (rc >= 0)
        rc = image_layers(&img, hf_json_root(image), hf_jget(root, "GraphDriver"), true, err);
    if (rc >= 0)
        rc = add_history(&img, image_id, o, err);
    if (rc >= 0)
        rc = cb(ctx, &img, err);
    hf_image_done(&img);
    return rc < 0 ? hf_wrap(err, rc, "container %s", id) : rc;
}
