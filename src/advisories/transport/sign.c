/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "advisories/transport/transport.h"
#include "base/fs.h"

enum { MAX_PEM = 64 << 10 };

/* Keys with a passphrase are refused rather than asked for: this runs unattended. */
static int no_passphrase(char *buf, int size, int writing, void *ctx)
{
    (void)buf, (void)size, (void)writing, (void)ctx;
    return -1;
}

static EVP_PKEY *load(const char *path, bool private, struct hf_err *err)
{
    hf_autobuf pem = HF_BUF_INIT(MAX_PEM);
    if (hf_read_file(path, &pem, err) < 0)
        return NULL;
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *key = NULL;
    if (bio)
        key = private ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    OPENSSL_cleanse(pem.p, pem.n);
    if (!key || EVP_PKEY_base_id(key) != EVP_PKEY_ED25519) {
        EVP_PKEY_free(key);
        hf_fail(err, HF_E_SIGNATURE, "%s is no ed25519 %s key in PEM without passphrase; make one with: openssl genpkey -algorithm ed25519 -out key.pem%s", path,
                private ? "private" : "public", private ? "" : ", its public part with: openssl pkey -in key.pem -pubout -out key.pub");
        return NULL;
    }
    return key;
}

int hf_transport_sign(struct hf_span text, const char *key_pem, uint8_t ret[HF_SIGNATURE_BYTES], struct hf_err *err)
{
    EVP_PKEY *key = load(key_pem, true, err);
    if (!key)
        return err && err->code < 0 ? err->code : HF_E_SIGNATURE;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    size_t n = HF_SIGNATURE_BYTES;
    bool ok = c && EVP_DigestSignInit(c, NULL, NULL, NULL, key) == 1 && EVP_DigestSign(c, ret, &n, (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(key);
    return ok && n == HF_SIGNATURE_BYTES ? 0 : hf_fail(err, HF_E_SIGNATURE, "%s: signing failed", key_pem);
}

int hf_transport_verify(struct hf_span text, struct hf_span signature, const char *key_pem, struct hf_err *err)
{
    EVP_PKEY *key = load(key_pem, false, err);
    if (!key)
        return err && err->code < 0 ? err->code : HF_E_SIGNATURE;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool ok = signature.n == HF_SIGNATURE_BYTES && c && EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1 &&
            EVP_DigestVerify(c, (const unsigned char *)signature.p, signature.n, (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(key);
    return ok ? 0 : hf_fail(err, HF_E_SIGNATURE, "the signature is not by the key %s, or the manifest was changed", key_pem);
}
