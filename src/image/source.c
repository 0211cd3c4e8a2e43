/* SPDX-License-Identifier: Apache-2.0 */
/* From the text of a target to the source that opens it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "image/image-internal.h"

/* "FILE[:REF]": the longest prefix that exists is the file, since both may hold colons. */
static void split_file(const char *text, struct hf_buf *file, struct hf_span *ref)
{
    struct hf_span all = hf_span_z(text);
    struct stat st;
    for (size_t n = all.n; n != SIZE_MAX && n > 0; n = hf_span_rfind(hf_span(all.p, n), ':')) {
        hf_buf_clear(file);
        hf_buf_add(file, all.p, n);
        if (stat(hf_buf_z(file), &st) == 0) {
            *ref = hf_span_from(all, n < all.n ? n + 1 : n);
            return;
        }
    }
    hf_buf_clear(file);
    hf_buf_adds(file, all);
    *ref = hf_span("", 0);
}

/* A folder that is no image layout has no ":12" in it: "debian:12" means an image, also beside a folder "debian". */
static bool is_plain_folder(const char *path)
{
    struct stat st;
    hf_autobuf layout = HF_BUF_INIT(8192);
    hf_buf_addf(&layout, "%s/oci-layout", path);
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && stat(hf_buf_z(&layout), &st) != 0;
}

static int open_path(const char *path, struct hf_span ref, const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return hf_fail(err, -errno, "%s: %s", path, hf_err_name(-errno));
    if (is_plain_folder(path))
        return hf_source_dir(path, o, cb, ctx, err);
    if (S_ISDIR(st.st_mode))
        return hf_source_oci_dir(path, ref, o, all, cb, ctx, err);
    return hf_source_archive(path, ref, "", o, all, cb, ctx, err);
}

/* ---- images by name, in what keeps images on this host ---- */

static int open_docker(const char *ref, const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    (void)all;
    return hf_source_docker(ref, o, cb, ctx, err);
}

static int open_storage(const char *ref, const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    (void)all;
    return hf_source_storage(ref, o, cb, ctx, err);
}

static const struct store {
    const char *scheme;
    int (*has)(const char *ref, const struct hf_image_opts *o, struct hf_err *err);
    int (*open)(const char *ref, const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx, struct hf_err *err);
} stores[] = {
        {"docker:", hf_docker_has_image, open_docker},
        {"containerd:", hf_containerd_has_image, hf_source_containerd},
        {"podman:", hf_storage_has_image, open_storage},
};

/* Others that have an image of this name, too. */
struct noting {
    hf_image_cb cb;
    void *ctx;
    struct hf_buf others;
};

static int note_others(void *ctx, struct hf_image *img, struct hf_err *err)
{
    struct noting *n = ctx;
    int rc = n->others.n ? hf_image_note(img, err, "the same name is known elsewhere on this host, maybe as another image: %s", hf_buf_z(&n->others)) : 0;
    return rc < 0 ? rc : n->cb(n->ctx, img, err);
}

/* In the first that has it.  head: what was tried before, for the error. */
static int open_by_name(const char *ref, const char *head, const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    struct noting n = {cb, ctx, HF_BUF_INIT(8192)};
    hf_autobuf why = HF_BUF_INIT(8192);
    const struct store *use = NULL;
    int rc = HF_E_NOT_FOUND;
    for (size_t i = 0; i < HF_ARRAY_LEN(stores) && rc != HF_E_USAGE; i++) {
        struct hf_err mine = HF_ERR_INIT;
        int has = stores[i].has(ref, o, &mine);
        if (i == 0 && has == HF_E_USAGE && *head) /* no name of an image: a path */
            return hf_fail(err, -ENOENT, "there is no file or folder \"%s\"", ref);
        if (has == 1 && use)
            hf_buf_addf(&n.others, "%s%s%.300s", n.others.n ? ", " : "", stores[i].scheme, ref);
        else if (has == 1)
            use = &stores[i];
        else if (!use && has == HF_E_USAGE) {
            rc = has;
            (void)hf_fail(err, rc, "%s", mine.msg);
        } else if (!use && mine.code != -ENOENT) /* that: there is no such store */
            hf_buf_addf(&why, "%s%.160s", why.n ? "; " : "", mine.msg);
    }
    if (use)
        rc = use->open(ref, o, all, note_others, &n, err);
    else if (rc == HF_E_NOT_FOUND)
        (void)hf_fail(err, rc, "%s%s", head, hf_buf_z(&why));
    hf_buf_done(&n.others);
    return rc;
}

int hf_image_open_stored(const struct hf_digest *d, const struct hf_image_opts *o, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    char ref[HF_DIGEST_TEXT];
    struct hf_err first = HF_ERR_INIT;
    hf_digest_text(d, ref);
    int rc = hf_source_containerd(ref, o, false, cb, ctx, &first);
    if (rc != HF_E_NOT_FOUND) {
        if (rc < 0 && err)
            *err = first;
        return rc;
    }
    rc = hf_source_storage(ref, o, cb, ctx, err);
    return rc == HF_E_NOT_FOUND ? hf_fail(err, rc, "neither containerd nor podman and CRI-O have %s on the disk", ref) : rc;
}

void hf_image_stores(const struct hf_image_opts *o, struct hf_buf *ret)
{
    hf_containerd_roots(o, ret);
    hf_storage_roots(o, ret);
}

int hf_image_open(const char *target, const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    enum { DOCKER_ARCHIVE, OCI_ARCHIVE, OCI, DOCKER, DIR_, CONTAINER, REGISTRY, CONTAINERD, PODMAN, STORAGE, IMAGE };
    static const char *const schemes[] = {"docker-archive:", "oci-archive:", "oci:", "docker:", "dir:", "container:", "registry:", "containerd:", "podman:", "containers-storage:", "image:"};
    size_t which = HF_ARRAY_LEN(schemes);
    const char *rest = target;
    for (size_t i = 0; i < HF_ARRAY_LEN(schemes); i++)
        if (strncmp(target, schemes[i], strlen(schemes[i])) == 0) {
            which = i;
            rest = target + strlen(schemes[i]);
            break;
        }
    hf_autobuf file = HF_BUF_INIT(8192), head = HF_BUF_INIT(8192);
    struct hf_span ref = hf_span("", 0);
    if (!*rest)
        return hf_fail(err, HF_E_USAGE, "target \"%s\" names nothing", target);
    if (which <= OCI || which == HF_ARRAY_LEN(schemes)) {
        if (strlen(rest) > 4096)
            return hf_fail(err, HF_E_USAGE, "target longer than 4096 bytes");
        split_file(rest, &file, &ref);
    }
    switch (which) {
    case DOCKER_ARCHIVE:
        return hf_source_archive(hf_buf_z(&file), ref, "docker-archive", o, all, cb, ctx, err);
    case OCI_ARCHIVE:
        return hf_source_archive(hf_buf_z(&file), ref, "oci-archive", o, all, cb, ctx, err);
    case OCI:
        return hf_source_oci_dir(hf_buf_z(&file), ref, o, all, cb, ctx, err);
    case DOCKER:
        return hf_source_docker(rest, o, cb, ctx, err);
    case DIR_:
        return hf_source_dir(rest, o, cb, ctx, err);
    case CONTAINER:
        return hf_source_container(rest, o, cb, ctx, err);
    case REGISTRY:
        return hf_fail(err, HF_E_UNSUPPORTED, "%s targets cannot be read yet; save the image first: docker save -o image.tar %s", schemes[which], rest);
    case CONTAINERD:
        return hf_source_containerd(rest, o, all, cb, ctx, err);
    case PODMAN:
    case STORAGE:
        return hf_source_storage(rest, o, cb, ctx, err);
    case IMAGE:
        return open_by_name(rest, "", o, all, cb, ctx, err);
    default:
        break;
    }
    struct stat st;
    if (stat(hf_buf_z(&file), &st) == 0 && !(ref.n && is_plain_folder(hf_buf_z(&file))))
        return open_path(hf_buf_z(&file), ref, o, all, cb, ctx, err);
    hf_buf_addf(&head, "\"%s\" is no file or folder here, and ", target);
    return open_by_name(target, hf_buf_z(&head), o, all, cb, ctx, err);
}
