/* SPDX-License-Identifier: Apache-2.0 */
/* seal-internal.h - the file's layout, for reader and builder (docs/formats/seal.md). */
#pragma once
#include "base/base64.h"
#include "base/rd.h"
#include "seal/seal.h"

#define HF_SEAL_MAGIC "HFSEAL\r\n"
#define HF_SEAL_PAYLOAD_TYPE "application/vnd.in-toto+json"
#define HF_SEAL_PREDICATE "https://holdfast.dev/seal/v1"
enum {
    HF_SEAL_VERSION = 1,
    HF_SEAL_VERSION_WINDOWS = 2, /* with a table of attributes and descriptors */
    HF_SEAL_HEADER = 64,
    HF_SEAL_BLOCK_ENTRIES = 256,
    HF_SEAL_BLOCK_RAW = 4 << 20,    /* 256 entries with paths, links and capabilities of 4 KiB each, and some room */
    HF_SEAL_MAX_BLOCKS = HF_SEAL_MAX_ENTRIES,
    HF_SEAL_MAX_TABLES = 256 << 20,
    HF_SEAL_MAX_TRAILER = 8 << 20,
    HF_SEAL_MAX_CAPS = 64,          /* bytes of security.capability: 24 today (include/uapi/linux/capability.h) */
    HF_SEAL_MAX_SIGNATURES = 16,
};
/* what an entry's first byte says is there */
enum { HF_SEAL_HAS_SHA256 = 1, HF_SEAL_HAS_LINK = 2, HF_SEAL_HAS_CAPS = 4, HF_SEAL_HAS_PACKAGE = 8, HF_SEAL_HAS_LAYER = 16, HF_SEAL_HAS_SIZE = 32, HF_SEAL_HAS_WINDOWS = 64 };

/* Hash of a leaf and of a tree over n leaves (which is destroyed); n may be 0. */
void hf_seal_leaf(struct hf_span bytes, uint8_t ret[32]);
void hf_seal_tree(uint8_t (*leaves)[32], size_t n, uint8_t ret[32]);
/* sign.c: DSSE's pre-authentication encoding of a payload; a signature over it. */
void hf_seal_pae(struct hf_span payload, struct hf_buf *out);
HF_MUSTUSE int hf_seal_sign(struct hf_span key_pem, struct hf_span message, struct hf_buf *ret_sig, char ret_keyid[65], struct hf_err *err);
HF_MUSTUSE int hf_seal_verify(struct hf_span key_pem, struct hf_span message, struct hf_span sig, struct hf_err *err);
/* key.c: what is in a key of cosign, from the JSON within its PEM. */
HF_MUSTUSE int hf_seal_key_open(struct hf_span json, struct hf_span password, struct hf_buf *ret_der, struct hf_err *err);
struct hf_span hf_seal_payload(const struct hf_seal *s);
struct hf_span hf_seal_signature(const struct hf_seal *s, size_t i);
bool hf_seal_path_ok(struct hf_span path);
/* compare-windows.c */
HF_MUSTUSE int hf_seal_diff_windows(struct hf_seal *a, struct hf_seal *b, hf_seal_diff_cb cb, void *ctx, struct hf_err *err);
