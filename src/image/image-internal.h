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
/* Adds a warning to those that the result of the image gets. */
HF_PRINTF(3, 4) HF_MUSTUSE int hf_image_note(struct hf_image *img, struct hf_err *err, const char *fmt, ...);
/* Notes that the target has this many images of which only img is given; names: of all, each after a space. */
HF_MUSTUSE int hf_image_others(struct hf_image *img, size_t n, struct hf_span names, struct hf_err *err);

/* Fills os, arch, created and the layers' diff_id and created_by from a config document; allocates img->layers when it is
 * NULL, else checks the count. */
HF_MUSTUSE int hf_oci_config(struct hf_image *img, struct hf_span json, struct hf_err *err);
/* Follows an OCI layout (index.json at its root): picks the manifests that fit and calls cb for each. */
HF_MUSTUSE int hf_oci_layout(struct hf_blobs *b, int archive_fd, const char *target, struct hf_span tag,
        const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx, struct hf_err *err);

/* An image from blobs that are kept by their digest (names "blobs/sha256/HEX"), of which some may be missing. */
struct hf_oci_stored {
    struct hf_digest root; /* of its index, or of the manifest itself */
    struct hf_digest want; /* of this manifest of the index, whatever its platform; n == 0: by platform */
    const char *target;
    struct hf_span ref;
    const char *store;     /* what keeps them, for messages */
    /* Finds the content of layers that have neither fd nor dir, since their blobs are gone. */
    int (*unpacked)(void *ctx, struct hf_image *img, struct hf_err *err);
    void *ctx;
};
HF_MUSTUSE int hf_oci_stored(struct hf_blobs *b, const struct hf_oci_stored *s, const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx, struct hf_err *err);
/* Calls fn for every manifest below the index or manifest `root`, as far as they are there, with its digest and that of its config (which may be unknown: n == 0).  fn != 0
 * ends it and is returned. */
typedef int (*hf_oci_manifest_cb)(void *ctx, const struct hf_digest *manifest, const struct hf_digest *config);
HF_MUSTUSE int hf_oci_manifests(struct hf_blobs *b, const struct hf_digest *root, hf_oci_manifest_cb fn, void *ctx, struct hf_err *err);

/* Whether overlay's marks can be seen on directories of a store: they are shown to CAP_SYS_ADMIN of the first user namespace only. */
bool hf_overlay_readable(void);
/* Makes l the overlay directory dir (a NUL follows) of the store that lies at `store`, whose owner says whether an unprivileged daemon made it. */
HF_MUSTUSE int hf_overlay_layer(struct hf_layer_source *l, struct hf_span dir, const char *store, struct hf_err *err);

HF_MUSTUSE int hf_source_archive(const char *path, struct hf_span ref, const char *scheme, const struct hf_image_opts *o, bool all,
        hf_image_cb cb, void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_source_oci_dir(const char *path, struct hf_span tag, const struct hf_image_opts *o, bool all, hf_image_cb cb,
        void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_source_dir(const char *path, const struct hf_image_opts *o, hf_image_cb cb, void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_source_docker(const char *ref, const struct hf_image_opts *o, hf_image_cb cb, void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_source_container(const char *id, const struct hf_image_opts *o, hf_image_cb cb, void *ctx, struct hf_err *err);
/* Whether the daemon answers and knows the image: 1, 0 (err says so too), or < 0. */
HF_MUSTUSE int hf_docker_has_image(const char *ref, const struct hf_image_opts *o, struct hf_err *err);
/* Images in containerd's stores (containerd.c).  ref: a name, name@digest, digest, or the beginning of an id. */
HF_MUSTUSE int hf_source_containerd(const char *ref, const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_containerd_has_image(const char *ref, const struct hf_image_opts *o, struct hf_err *err);
void hf_containerd_roots(const struct hf_image_opts *o, struct hf_buf *ret);
/* The same in containers/storage (storage.c). */
HF_MUSTUSE int hf_source_storage(const char *ref, const struct hf_image_opts *o, hf_image_cb cb, void *ctx, struct hf_err *err);
HF_MUSTUSE int hf_storage_has_image(const char *ref, const struct hf_image_opts *o, struct hf_err *err);
void hf_storage_roots(const struct hf_image_opts *o, struct hf_buf *ret);
