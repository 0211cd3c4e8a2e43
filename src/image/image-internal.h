/* SPDX-License-Identifier: Apache-2.0 */
/* image-internal.h - shared by the sources in this folder. */
#pragma once
#include "image/image.h"

/* Named regions of bytes: the members of an archive, or the files of an OCI layout folder. */
struct hf_blobs {
    int fd; /* archive, -1: folder */
    int dir_fd; /* folder, -1: archive */
    struct hf_arena *arena;
    struct hf_map index; /* member name -> index in v */
    struct hf_blob {
        struct hf_span name;
        uint64_t offset, size;
    } *v;
    size_t n, cap;
};
void hf_blobs_init(struct hf_blobs *b, struct hf_arena *arena);
void hf_blobs_done(struct hf_blobs *b);
/* Lists the members of an uncompressed tar. */
HF_MUSTUSE int hf_blobs_open_tar(struct hf_blobs *b, int fd, struct hf_err *err);
/* Finds a member: fd and region.  For folders opens the file and hands it to the image.  HF_E_NOT_FOUND. */
HF_MUSTUSE int hf_blobs_find(struct hf_blobs *b, struct hf_image *img, struct hf_span name, int *ret_fd, uint64_t *ret_off,
        uint64_t *ret_size, struct hf_err *err);
/* Reads a small member (at most 8 MiB) into out. */
HF_MUSTUSE int hf_blobs_read(struct hf_blobs *b, struct hf_span name, struct hf_buf *out, struct hf_err *err);

void hf_image_init(struct hf_image *img);
void hf_image_done(struct hf_image *img);
/* Hands an open file to the image.  HF_E_LIMIT without memory (fd is closed). */
HF_MUSTUSE int hf_image_own_fd(struct hf_image *img, int fd, struct hf_err *err);
HF_MUSTUSE int hf_image_dup(struct hf_image *img, struct hf_span s, struct hf_span *ret, struct hf_err *err);
/* Notes that the target has this many images of which only img is given; names: of all, each after a space. */
HF_MUSTUSE int hf_image_others(struct hf_image *img, size_t n, struct hf_span names, struct hf_err *err);

/* Fills os, arch, created and the layers' diff_id and created_by from a config document; allocates img->layers when it is
 * NULL, else checks the count. */
HF_MUSTUSE int hf_oci_config(struct hf_image *img, struct hf_span json, struct hf_err *err);
/* Follows an OCI layout (index.json at its root): picks the manifests that fit and calls cb for each. */
HF_MUSTUSE int hf_oci_layout(struct hf_blobs *b, int archive_fd, const char *target, struct hf_span tag,
        const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx, struct hf_err *err);

HF_MUSTUSE int hf_source_archive(const char *path, struct hf_span ref, const char *scheme, const struct hf_image_opts *o, bool all,
        hf_image_cb cb, void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_source_oci_dir(const char *path, struct hf_span tag, const struct hf_image_opts *o, bool all, hf_image_cb cb,
        void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_source_dir(const char *path, const struct hf_image_opts *o, hf_image_cb cb, void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_source_docker(const char *ref, const struct hf_image_opts *o, hf_image_cb cb, void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_source_container(const char *id, const struct hf_image_opts *o, hf_image_cb cb, void *ctx, struct hf_err *err);
/* Whether the daemon answers and knows the image: 1, 0, or < 0. */
HF_MUSTUSE int hf_docker_has_image(const char *ref, const struct hf_image_opts *o, struct hf_err *err);
