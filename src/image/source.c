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

int hf_image_open(const char *target, const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    static const char *const schemes[] = {"docker-archive:", "oci-archive:", "oci:", "docker:", "dir:", "container:", "registry:", "containerd:"};
    size_t which = HF_ARRAY_LEN(schemes);
    const char *rest = target;
    for (size_t i = 0; i < HF_ARRAY_LEN(schemes); i++)
        if (strncmp(target, schemes[i], strlen(schemes[i])) == 0) {
            which = i;
            rest = target + strlen(schemes[i]);
            break;
        }
    hf_autobuf file = HF_BUF_INIT(8192);
    struct hf_span ref = hf_span("", 0);
    if (!*rest)
        return hf_fail(err, HF_E_USAGE, "target \"%s\" names nothing", target);
    if (which <= 2 || which == HF_ARRAY_LEN(schemes)) {
        if (strlen(rest) > 4096)
            return hf_fail(err, HF_E_USAGE, "target longer than 4096 bytes");
        split_file(rest, &file, &ref);
    }
    switch (which) {
    case 0:
        return hf_source_archive(hf_buf_z(&file), ref, "docker-archive", o, all, cb, ctx, err);
    case 1:
        return hf_source_archive(hf_buf_z(&file), ref, "oci-archive", o, all, cb, ctx, err);
    case 2:
        return hf_source_oci_dir(hf_buf_z(&file), ref, o, all, cb, ctx, err);
    case 3:
        return hf_source_docker(rest, o, cb, ctx, err);
    case 4:
        return hf_source_dir(rest, o, cb, ctx, err);
    case 5:
        return hf_source_container(rest, o, cb, ctx, err);
    case 6:
    case 7:
        return hf_fail(err, HF_E_UNSUPPORTED, "%s targets cannot be read yet; save the image first: docker save -o image.tar %s", schemes[which], rest);
    default:
        break;
    }
    struct stat st;
    if (stat(hf_buf_z(&file), &st) == 0 && !(ref.n && is_plain_folder(hf_buf_z(&file))))
        return open_path(hf_buf_z(&file), ref, o, all, cb, ctx, err);
    struct hf_err daemon = HF_ERR_INIT;
    int rc = hf_docker_has_image(target, o, &daemon);
    if (rc == 1)
        return hf_source_docker(target, o, cb, ctx, err);
    if (rc == HF_E_USAGE) /* a path: the daemon was not asked */
        return hf_fail(err, -ENOENT, "there is no file or folder \"%s\"", target);
    return hf_fail(err, HF_E_NOT_FOUND, "\"%s\" is no file or folder here, and %s", target, daemon.msg[0] ? daemon.msg : "not known to the docker daemon");
}
