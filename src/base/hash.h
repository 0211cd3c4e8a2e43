/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h - SHA-1, SHA-256 and SHA-512 (OpenSSL), digests as text ("sha256:<64 hex>", OCI image spec, descriptor.md). */
#pragma once
#include "base/span.h"

enum hf_hash_kind { HF_SHA1, HF_SHA256, HF_SHA512 };
struct hf_hash; /* running hash */
HF_MUSTUSE struct hf_hash *hf_hash_new(enum hf_hash_kind kind); /* NULL without memory */
void hf_hash_free(struct hf_hash *h);
HF_DEFINE_FREEP(struct hf_hash, hf_hash_free)
void hf_hash_add(struct hf_hash *h, const void *p, size_t n);
/* Writes the result (20, 32 or 64 bytes) and returns its length; the hash can be used again from empty. */
size_t hf_hash_end(struct hf_hash *h, uint8_t ret[64]);

struct hf_digest {
    enum hf_hash_kind kind; /* HF_SHA256 or HF_SHA512 */
    uint8_t n;              /* bytes; 0: no digest */
    uint8_t b[64];
};
enum { HF_DIGEST_TEXT = 7 + 128 + 1 };
/* "sha256:..." or "sha512:...", lower-case hex only.  HF_E_FORMAT else. */
HF_MUSTUSE int hf_digest_parse(struct hf_span text, struct hf_digest *ret);
/* Writes the text with its NUL; "" for no digest.  Returns buf. */
const char *hf_digest_text(const struct hf_digest *d, char buf[HF_DIGEST_TEXT]);
bool hf_digest_eq(const struct hf_digest *a, const struct hf_digest *b);
void hf_digest_of(enum hf_hash_kind kind, struct hf_span bytes, struct hf_digest *ret);
/* Lower-case hex of n bytes into out (2 * n + 1 bytes). */
void hf_hex(const uint8_t *p, size_t n, char *out);
