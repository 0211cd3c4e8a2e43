/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <openssl/evp.h>

struct hf_hash {
    EVP_MD_CTX *ctx;
    const EVP_MD *md;
};

static const EVP_MD *md_of(enum hf_hash_kind kind)
{
    switch (kind) {
    case HF_SHA1:
        return EVP_sha1();
    case HF_SHA512:
        return EVP_sha512();
    case HF_SHA256:
    default:
        return EVP_sha256();
    }
}

struct hf_hash *hf_hash_new(enum hf_hash_kind kind)
{
    struct hf_hash *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->md = md_of(kind);
    h->ctx = EVP_MD_CTX_new();
    if (!h->ctx || EVP_DigestInit_ex(h->ctx, h->md, NULL) != 1) {
        hf_hash_free(h);
        return NULL;
    }
    return h;
}

void hf_hash_free(struct hf_hash *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->ctx);
    free(h);
}

/* With a context that was set up, these calls fail only without memory inside OpenSSL; a wrong digest must not result. */
void hf_hash_add(struct hf_hash *h, const void *p, size_t n)
{
    if (EVP_DigestUpdate(h->ctx, p, n) != 1)
        abort();
}

size_t hf_hash_end(struct hf_hash *h, uint8_t ret[64])
{
    unsigned n = 0;
    if (EVP_DigestFinal_ex(h->ctx, ret, &n) != 1 || EVP_DigestInit_ex(h->ctx, h->md, NULL) != 1)
        abort();
    return n;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hf_digest_parse(struct hf_span text, struct hf_digest *ret)
{
    struct hf_digest d = {.kind = HF_SHA256, .n = 32};
    struct hf_span hex;
    if (hf_span_starts(text, HF_S("sha256:"))) {
        hex = hf_span_from(text, 7);
    } else if (hf_span_starts(text, HF_S("sha512:"))) {
        hex = hf_span_from(text, 7);
        d.kind = HF_SHA512;
        d.n = 64;
    } else {
        return HF_E_FORMAT;
    }
    if (hex.n != (size_t)d.n * 2)
        return HF_E_FORMAT;
    for (size_t i = 0; i < d.n; i++) {
        int hi = hex_digit(hex.p[2 * i]), lo = hex_digit(hex.p[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return HF_E_FORMAT;
        d.b[i] = (uint8_t)(hi << 4 | lo);
    }
    *ret = d;
    return 0;
}

void hf_hex(const uint8_t *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * n] = 0;
}

const char *hf_digest_text(const struct hf_digest *d, char buf[HF_DIGEST_TEXT])
{
    if (!d->n) {
        buf[0] = 0;
        return buf;
    }
    memcpy(buf, d->kind == HF_SHA512 ? "sha512:" : "sha256:", 7);
    hf_hex(d->b, d->n, buf + 7);
    return buf;
}

bool hf_digest_eq(const struct hf_digest *a, const struct hf_digest *b)
{
    return a->n == b->n && a->n && a->kind == b->kind && memcmp(a->b, b->b, a->n) == 0;
}

void hf_digest_of(enum hf_hash_kind kind, struct hf_span bytes, struct hf_digest *ret)
{
    unsigned n = 0;
    if (EVP_Digest(bytes.p ? bytes.p : "", bytes.n, ret->b, &n, md_of(kind), NULL) != 1)
        abort();
    ret->kind = kind;
    ret->n = (uint8_t)n;
}
