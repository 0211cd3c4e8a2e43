/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys behind a password: cosign's (github.com/secure-systems-lab/go-securesystemslib, encrypted: JSON of scrypt's parameters and a NaCl secretbox around
 * PKCS#8) and what OpenSSL writes (RFC 5958, RFC 1421).  The secretbox, XSalsa20-Poly1305, is libsodium's, which is loaded when such a key is met. */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/json.h"
#include "base/library.h"
#include "seal/seal-internal.h"

/* 64 MiB of scrypt are what cosign asks for (N 65536, r 8); a key that wants more is not one of its. */
enum { MAX_KEY = 64 << 10, MAX_SCRYPT_BYTES = 512 << 20, MAX_N = 1 << 20, MAX_R = 32, MAX_P = 16, MAX_SALT = 1024, NONCE = 24, TAG = 16 };

struct pem {
    char *name, *header;
    unsigned char *data;
    long n;
};

static void pem_done(struct pem *p)
{
    OPENSSL_free(p->name);
    OPENSSL_free(p->header);
    OPENSSL_free(p->data);
}

static void bio_freep(BIO **b)
{
    BIO_free(*b);
}

static void key_freep(EVP_PKEY **k)
{
    EVP_PKEY_free(*k);
}

void hf_seal_wipe(struct hf_buf *b)
{
    if (b->p)
        OPENSSL_cleanse(b->p, b->n);
    hf_buf_done(b);
}

static bool is_cosign(struct hf_span pem)
{
    return hf_span_search(pem, HF_S("BEGIN ENCRYPTED SIGSTORE PRIVATE KEY")) != SIZE_MAX || hf_span_search(pem, HF_S("BEGIN ENCRYPTED COSIGN PRIVATE KEY")) != SIZE_MAX;
}

bool hf_seal_key_encrypted(struct hf_span pem)
{
    return is_cosign(pem) || hf_span_search(pem, HF_S("BEGIN ENCRYPTED PRIVATE KEY")) != SIZE_MAX || hf_span_search(pem, HF_S("Proc-Type: 4,ENCRYPTED")) != SIZE_MAX;
}

static int secretbox_open(struct hf_span box, const uint8_t nonce[NONCE], const uint8_t key[32], struct hf_buf *ret, struct hf_err *err)
{
    struct {
        int (*init)(void), (*open_easy)(unsigned char *, const unsigned char *, unsigned long long, const unsigned char *, const unsigned char *);
    } l;
    static const struct hf_symbol symbols[] = {{"sodium_init", offsetof(__typeof__(l), init)}, {"crypto_secretbox_open_easy", offsetof(__typeof__(l), open_easy)}};
    const char *problem = hf_library("libsodium.so.23", symbols, HF_ARRAY_LEN(symbols), &l);
    if (problem || l.init() < 0)
        return hf_fail(err, HF_E_UNSUPPORTED, "keys of cosign need libsodium, which cannot be loaded (%s); install the package libsodium23", problem ? problem : "it does not begin");
    if (box.n < TAG || !hf_buf_reserve(ret, box.n))
        return hf_fail(err, HF_E_FORMAT, "the key's encrypted part is too short");
    if (l.open_easy((unsigned char *)ret->p, (const unsigned char *)box.p, box.n, nonce, key) != 0)
        return hf_fail(err, HF_E_SIGNATURE, "the password does not open the key");
    ret->n = box.n - TAG;
    return 0;
}

static int number(hf_jnode params, const char *name, uint64_t max, uint64_t *ret)
{
    double v = 0;
    if (!hf_jnum(hf_jget(params, name), &v) || v < 1 || v > (double)max)
        return HF_E_FORMAT;
    *ret = (uint64_t)v;
    return (double)*ret == v ? 0 : HF_E_FORMAT;
}

static int derive(hf_jnode root, struct hf_span password, uint8_t ret[32], struct hf_err *err)
{
    hf_jnode kdf = hf_jget(root, "kdf"), params = hf_jget(kdf, "params");
    hf_autobuf salt = HF_BUF_INIT(MAX_SALT);
    uint64_t n, r, p;
    if (!hf_span_eqz(hf_jgetstr(kdf, "name"), "scrypt") || !hf_span_eqz(hf_jgetstr(hf_jget(root, "cipher"), "name"), "nacl/secretbox"))
        return hf_fail(err, HF_E_UNSUPPORTED, "the key is encrypted otherwise than by scrypt and nacl/secretbox");
    if (number(params, "N", MAX_N, &n) < 0 || number(params, "r", MAX_R, &r) < 0 || number(params, "p", MAX_P, &p) < 0 || n < 2 || (n & (n - 1)))
        return hf_fail(err, HF_E_LIMIT, "the key asks for parameters of scrypt that are none, or over what cosign uses");
    if (hf_unbase64(hf_jgetstr(kdf, "salt"), &salt) < 0)
        return hf_fail(err, HF_E_FORMAT, "the key's salt is not base64, or too long");
    if (EVP_PBE_scrypt(password.p ? password.p : "", password.n, (const unsigned char *)salt.p, salt.n, n, r, p, MAX_SCRYPT_BYTES, ret, 32) != 1)
        return hf_fail(err, HF_E_LIMIT, "scrypt wants more than %d MiB for this key", MAX_SCRYPT_BYTES >> 20);
    return 0;
}

int hf_seal_key_open(struct hf_span json, struct hf_span password, struct hf_buf *ret_der, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_autobuf nonce = HF_BUF_INIT(256), box = HF_BUF_INIT(MAX_KEY);
    uint8_t key[32];
    int rc = hf_json_parse(json, &doc, err);
    hf_jnode root = rc < 0 ? NULL : hf_json_root(doc);
    if (rc < 0)
        return hf_wrap(err, rc, "the key");
    if (hf_unbase64(hf_jgetstr(hf_jget(root, "cipher"), "nonce"), &nonce) < 0 || nonce.n != NONCE || hf_unbase64(hf_jgetstr(root, "ciphertext"), &box) < 0)
        return hf_fail(err, HF_E_FORMAT, "the key's nonce or encrypted part is not base64 of the right length");
    rc = derive(root, password, key, err);
    rc = rc < 0 ? rc : secretbox_open(hf_buf_span(&box), (const uint8_t *)nonce.p, key, ret_der, err);
    OPENSSL_cleanse(key, sizeof key);
    return rc;
}

static int open_cosign(struct hf_span json, struct hf_span password, EVP_PKEY **ret, struct hf_err *err)
{
    hf_cleanup(hf_seal_wipe) struct hf_buf der = HF_BUF_INIT(MAX_KEY);
    int rc = hf_seal_key_open(json, password, &der, err);
    if (rc < 0)
        return rc;
    const unsigned char *p = (const unsigned char *)der.p;
    *ret = d2i_AutoPrivateKey(NULL, &p, (long)der.n);
    return *ret ? 0 : hf_fail(err, HF_E_FORMAT, "what was encrypted is not a private key");
}

static int give(char *buf, int size, int writing, void *ctx)
{
    const struct hf_span *password = ctx;
    (void)writing;
    if (password->n > (size_t)size)
        return -1;
    if (password->n)
        memcpy(buf, password->p, password->n);
    return (int)password->n;
}

static int to_pem(EVP_PKEY *k, struct hf_buf *ret, struct hf_err *err)
{
    hf_cleanup(bio_freep) BIO *out = BIO_new(BIO_s_mem());
    char *text;
    if (!out || PEM_write_bio_PrivateKey(out, k, NULL, NULL, 0, NULL, NULL) != 1)
        return hf_fail(err, -ENOMEM, "out of memory");
    long n = BIO_get_mem_data(out, &text);
    hf_buf_add(ret, text, n > 0 ? (size_t)n : 0);
    if (n > 0)
        OPENSSL_cleanse(text, (size_t)n);
    return hf_buf_ok(ret) ? 0 : hf_fail(err, HF_E_LIMIT, "the key is too large");
}

int hf_seal_key_decrypt(struct hf_span pem, struct hf_span password, struct hf_buf *ret_pem, struct hf_err *err)
{
    hf_cleanup(key_freep) EVP_PKEY *k = NULL;
    hf_cleanup(bio_freep) BIO *in = pem.n && pem.n <= MAX_KEY ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    if (!in)
        return hf_fail(err, HF_E_FORMAT, "the key is %s", pem.n ? "too large" : "empty");
    if (is_cosign(pem)) {
        hf_cleanup(pem_done) struct pem p = {.name = NULL};
        if (PEM_read_bio(in, &p.name, &p.header, &p.data, &p.n) != 1 || p.n < 0)
            return hf_fail(err, HF_E_FORMAT, "the key of cosign is damaged: not base64 between its lines");
        int rc = open_cosign(hf_span((const char *)p.data, (size_t)p.n), password, &k, err);
        return rc < 0 ? rc : to_pem(k, ret_pem, err);
    }
    k = PEM_read_bio_PrivateKey(in, NULL, give, &password);
    return k ? to_pem(k, ret_pem, err) : hf_fail(err, HF_E_SIGNATURE, "the password does not open the key, or the key is damaged");
}
