/* SPDX-License-Identifier: Apache-2.0 */
/* image.h - an image opened for scanning, whatever it came from: an ordered list of layers (lowest first), each a tar blob in
 * a region of an open file or a directory, with the digests its manifest and config claim.
 *
 * Opening reads and verifies only the small documents (index, manifest, config); layers are verified while they are walked.
 * Spec: OCI image-spec 1.1 (image-layout.md, manifest.md, config.md); docker save layout (moby image/spec/v1.2.md). */
#pragma once
#include "base/hash.h"
#include "base/mem.h"

struct hf_layer_source {
    struct hf_digest digest;  /* of the blob as stored; n == 0: not claimed */
    struct hf_digest diff_id; /* of the uncompressed tar; n == 0: not claimed */
    int fd;                   /* blob: open file that holds it (owned by the image); -1: a directory */
    uint64_t offset, size;    /* region in fd, bytes */
    struct hf_span dir;       /* directory that holds the layer's files (overlay2 "diff"); empty for blobs */
    bool overlay;             /* dir: overlay whiteouts (character device 0:0, opaque xattr) mean removal */
    bool user_xattr;          /* ... by an unprivileged daemon, which marks with user.overlay.* attributes */
    struct hf_span opaque;    /* dir: folders that hide what lower layers have in them, each with a NUL behind it: where marks of them cannot be seen any more (hf_dir_opaque) */
    struct hf_span created_by;
};

/* An image whose layers can only be had one after another, as a stream that can be asked for again. */
struct hf_image_stream {
    int (*open)(const struct hf_image_stream *s, void **ret, struct hf_err *err);
    int (*pull)(void *stream, struct hf_span *ret, struct hf_err *err); /* hf_tar_pull */
    void (*close)(void *stream);
    const void *ctx;
    uint64_t size;  /* about, bytes: for progress */
    bool archive;   /* docker save layout: layers are found by their diff id.  false: a tar of the tree itself, the one layer */
    bool described; /* created_by of the layers is known without it */
};

struct hf_image {
    struct hf_arena arena;
    struct hf_span target; /* "docker-archive:FILE" as resolved */
    struct hf_span ref;    /* tag chosen in the archive, or empty */
    struct hf_digest digest; /* manifest when there is one, else config; n == 0 for directories */
    struct hf_digest config; /* of the config, where it is known */
    struct hf_digest index;  /* of the image index (all platforms) that its manifest was taken from; n == 0: of none that is known */
    struct hf_span os, arch, variant, created;
    struct hf_layer_source *layers;
    size_t n_layers;
    bool has_layers; /* false: a plain directory, locations carry no layer */
    int *fds;        /* open files; every layer's fd is one of them */
    size_t n_fds;
    const struct hf_image_stream *stream; /* NULL: layers are in files or directories */
    struct hf_span left_out; /* what of the target is in no image given, as a sentence for the result; empty: nothing */
    struct hf_span *mounts; /* containers: where something is mounted, absolute */
    size_t n_mounts;
    bool running;       /* the merged root of a running container; mounts are those its processes have, some of which they may have made */
    uint32_t init_layer; /* containers: 1 + the layer of what the runtime made; 0: not known */
    struct hf_span note; /* a warning for the result, or empty */
    struct hf_span *skip; /* directory sources: paths not to descend into */
    size_t n_skip;
};

struct hf_platform {
    struct hf_span os, arch, variant; /* empty: any */
};

struct hf_image_opts {
    struct hf_platform platform;
    bool verify;             /* digests of manifest and config */
    const char *docker_host; /* "unix:///var/run/docker.sock" */
    const char *containerd_root, *storage_root; /* of containerd; of containers/storage (podman, CRI-O).  NULL or empty: the usual places */
};

/* Called for each image of the target: one, or one a platform with `all`.  The image is freed after the callback. */
typedef int (*hf_image_cb)(void *ctx, struct hf_image *img, struct hf_err *err);

/* Opens target ("scheme:rest", a path, or a reference) and calls cb.  Errors name what was tried.  "image:REF" is a reference and never a path; references are looked
 * for in docker, then containerd, then containers/storage. */
HF_MUSTUSE int hf_image_open(const char *target, const struct hf_image_opts *o, bool all, hf_image_cb cb, void *ctx,
        struct hf_err *err);

/* The image with this digest (of its index, manifest or config) from what containerd or containers/storage have on the disk: no daemon is asked. */
HF_MUSTUSE int hf_image_open_stored(const struct hf_digest *d, const struct hf_image_opts *o, hf_image_cb cb, void *ctx, struct hf_err *err);
/* The folders that this reads below, each with a NUL behind it; some may not be there. */
void hf_image_stores(const struct hf_image_opts *o, struct hf_buf *ret);

/* The folders of an overlay directory that are marked opaque, each with a NUL behind it, appended to ret: for a process that will give up CAP_SYS_ADMIN, without which these marks seem not to be there.
 * HF_E_UNSUPPORTED: a renamed folder (redirect_dir), whose content lies elsewhere. */
HF_MUSTUSE int hf_dir_opaque(const char *root, struct hf_buf *ret, struct hf_err *err);

/* linux/amd64 of the host this runs on. */
struct hf_platform hf_platform_host(void);
/* "os/arch[/variant]", spans into text.  HF_E_USAGE. */
HF_MUSTUSE int hf_platform_parse(struct hf_span text, struct hf_platform *ret, struct hf_err *err);
