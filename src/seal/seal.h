/* SPDX-License-Identifier: Apache-2.0 */
/* seal.h - the sealed list of every file of an image: what it holds, and how to read and build it.  Format: docs/formats/seal.md.
 *
 * A seal is sorted by path, cut into blocks, and every byte of it is under one Merkle root (RFC 6962, section 2.1); the root, the
 * image's digests and the counts stand in an in-toto statement, which may be signed (DSSE).  Input is hostile: a block is believed
 * only after its hash was found under the root.  A seal without signature says what the image held, not who says so.
 * One handle is for one thread at a time; handles are independent. */
#pragma once
#include "image/image.h"

enum {
    HF_SEAL_MAX_BYTES = 1 << 30,   /* of the file */
    HF_SEAL_MAX_ENTRIES = 8 << 20, /* as a tar may have */
    HF_SEAL_MAX_PATH = 4097,       /* with the leading '/' */
};

struct hf_seal;
struct hf_seal_entry {
    struct hf_span path; /* absolute, clean */
    uint32_t mode;       /* S_IFMT and permissions */
    uint32_t uid, gid;
    uint64_t size; /* regular files */
    bool has_sha256;
    uint8_t sha256[32];
    struct hf_span link;     /* symbolic links: text as stored */
    struct hf_span caps;     /* security.capability as stored, or empty */
    struct hf_span windows;  /* attributes and security descriptor of a file of Windows (image/winpax.h), or empty */
    uint32_t package, layer; /* UINT32_MAX: none */
};
struct hf_seal_iter {
    uint32_t block, at; /* start with zeroes */
};

/* Takes fd over, also on error.  Checks header, tables, index and root; not signatures.  HF_E_FORMAT, HF_E_TRUNCATED, HF_E_LIMIT,
 * HF_E_DIGEST (something was changed), HF_E_UNSUPPORTED (a later version), -errno. */
HF_MUSTUSE int hf_seal_open(struct hf_seal **ret, int fd, struct hf_err *err);
/* The same from bytes that outlive it. */
HF_MUSTUSE int hf_seal_open_mem(struct hf_seal **ret, struct hf_span bytes, struct hf_err *err);
void hf_seal_close(struct hf_seal *s);
HF_DEFINE_FREEP(struct hf_seal, hf_seal_close)

/* 1 and the entry, 0 (not in it), < 0.  Spans live until the next call on this handle. */
HF_MUSTUSE int hf_seal_find(struct hf_seal *s, struct hf_span path, struct hf_seal_entry *ret, struct hf_err *err);
/* Any entry with that content; its index is built at first use. */
HF_MUSTUSE int hf_seal_find_sha256(struct hf_seal *s, const uint8_t d[32], struct hf_seal_entry *ret, struct hf_err *err);
HF_MUSTUSE int hf_seal_next(struct hf_seal *s, struct hf_seal_iter *it, struct hf_seal_entry *ret, struct hf_err *err);

/* Of the image; n == 0: it has none (a directory; an image without manifest). */
const struct hf_digest *hf_seal_config_digest(const struct hf_seal *s);
const struct hf_digest *hf_seal_manifest_digest(const struct hf_seal *s);
const struct hf_digest *hf_seal_index_digest(const struct hf_seal *s); /* of the image index that the manifest is from: that of other platforms, too */
/* Whether it is of the image with this digest of config, manifest or index. */
bool hf_seal_is_of(const struct hf_seal *s, const struct hf_digest *image);
const uint8_t *hf_seal_root(const struct hf_seal *s); /* 32 bytes */
uint64_t hf_seal_entries(const struct hf_seal *s);
struct hf_span hf_seal_target(const struct hf_seal *s);  /* what it was made of */
struct hf_span hf_seal_created(const struct hf_seal *s); /* RFC 3339 */
struct hf_span hf_seal_os(const struct hf_seal *s);
struct hf_span hf_seal_arch(const struct hf_seal *s);
uint32_t hf_seal_packages(const struct hf_seal *s);
uint32_t hf_seal_layers(const struct hf_seal *s);
/* "name version"; empty for UINT32_MAX. */
struct hf_span hf_seal_package(const struct hf_seal *s, uint32_t i);
struct hf_span hf_seal_purl(const struct hf_seal *s, uint32_t i);
struct hf_span hf_seal_layer(const struct hf_seal *s, uint32_t i); /* diff id as text */

/* --- made of images (make.c) --- */
struct hf_cache;
struct hf_seal_opts {
    unsigned threads;    /* 0: 1 */
    uint64_t max_memory; /* bytes; 0: 256 MiB */
    bool verify;         /* digests of the layers, where there are any */
    bool quiet;
    struct hf_cache *cache; /* may be NULL */
    struct hf_span key_pem; /* private key to sign with, or empty */
    void (*missing)(void *ctx, struct hf_span path, struct hf_span why); /* told of what could not be sealed; may be NULL */
    void *ctx;
};
/* Reads an opened image once and writes its seal to out_fd, from its beginning.  0; 1 when the content of some files could not be
 * read (they are in it without digest). */
HF_MUSTUSE int hf_seal_of_image(struct hf_image *img, const struct hf_seal_opts *o, int out_fd, struct hf_err *err);
/* The same, appended to out. */
HF_MUSTUSE int hf_seal_make(struct hf_image *img, const struct hf_seal_opts *o, struct hf_buf *out, struct hf_err *err);
struct hf_tree;
struct hf_os_release;
/* The same for an image examined before with hf_examine_opts.tree: appends the seal to out. */
HF_MUSTUSE int hf_seal_of_tree(const struct hf_tree *tree, const struct hf_image *img, const struct hf_os_release *release, const struct hf_seal_opts *o, struct hf_buf *out,
        struct hf_err *err);

/* --- compared (compare.c) --- */
enum { HF_SEAL_CONTENT = 1, HF_SEAL_TYPE = 2, HF_SEAL_MODE = 4, HF_SEAL_OWNER = 8, HF_SEAL_CAPS = 16, HF_SEAL_LINK = 32, HF_SEAL_UNREAD = 64, HF_SEAL_ATTRIBUTES = 128, HF_SEAL_ACCESS = 256 };
/* a NULL: added; b NULL: removed; else what: what differs.  HF_SEAL_UNREAD alone: one of them has no digest.  < 0 stops. */
typedef int (*hf_seal_diff_cb)(void *ctx, const struct hf_seal_entry *a, const struct hf_seal_entry *b, unsigned what, struct hf_err *err);
/* Every difference from a to b, by path.  Two handles.  Of images of Windows names are the same whatever their case, owner and access (who may what) are those of the security
 * descriptor, and modes and numbers of owners mean nothing. */
HF_MUSTUSE int hf_seal_diff(struct hf_seal *a, struct hf_seal *b, hf_seal_diff_cb cb, void *ctx, struct hf_err *err);

/* Whether a is of an image of Windows and b of a tree as it is mounted, with what the image has below /Files at its top: then only content, kind and presence of that are compared, since a
 * mounted tree has nothing else that can be. */
bool hf_seal_is_mounted(struct hf_seal *a, struct hf_seal *b);

/* --- signatures (sign.c) --- */
size_t hf_seal_signatures(const struct hf_seal *s);
/* Whether one of the signatures is by this public key (PEM; Ed25519 or ECDSA P-256, as of `cosign public-key`).  HF_E_SIGNATURE. */
HF_MUSTUSE int hf_seal_check_signature(const struct hf_seal *s, struct hf_span key_pem, struct hf_err *err);

/* --- private keys behind a password (key.c) --- */
/* Whether it has to be decrypted before it can sign: a key of cosign, or PEM encrypted as OpenSSL does. */
bool hf_seal_key_encrypted(struct hf_span pem);
/* Appends the key as plain PEM; hf_seal_wipe it.  HF_E_SIGNATURE: not by this password; HF_E_UNSUPPORTED: no libsodium, or encrypted in ways that cosign does not. */
HF_MUSTUSE int hf_seal_key_decrypt(struct hf_span pem, struct hf_span password, struct hf_buf *ret_pem, struct hf_err *err);
/* hf_buf_done for secrets. */
void hf_seal_wipe(struct hf_buf *b);

/* --- building --- */
struct hf_seal_subject {
    struct hf_span target, os, arch;
    struct hf_digest config, manifest, index; /* n == 0: none */
    uint64_t created_unix;
    struct hf_span key_pem; /* private key to sign with; empty: not signed */
};
struct hf_seal_builder;
/* max_bytes: ceiling for what it keeps. */
struct hf_seal_builder *hf_seal_builder_new(size_t max_bytes);
void hf_seal_builder_free(struct hf_seal_builder *b);
HF_DEFINE_FREEP(struct hf_seal_builder, hf_seal_builder_free)
/* The number to put into entries; equal texts give the same.  UINT32_MAX without room. */
uint32_t hf_seal_builder_package(struct hf_seal_builder *b, struct hf_span name, struct hf_span version, struct hf_span purl);
uint32_t hf_seal_builder_layer(struct hf_seal_builder *b, struct hf_span diff_id);
/* In any order; everything is copied.  HF_E_LIMIT, HF_E_FORMAT (a path that is not absolute and clean). */
HF_MUSTUSE int hf_seal_builder_add(struct hf_seal_builder *b, const struct hf_seal_entry *e, struct hf_err *err);
/* Appends the file to out.  HF_E_FORMAT: a path was added twice. */
HF_MUSTUSE int hf_seal_builder_finish(struct hf_seal_builder *b, const struct hf_seal_subject *subject, struct hf_buf *out, struct hf_err *err);
