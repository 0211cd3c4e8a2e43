/* SPDX-License-Identifier: Apache-2.0 */
/* DSSE signatures of seals: Ed25519 and ECDSA P-256 with SHA-256, keys as PEM (github.com/secure-systems-lab/dsse, protocol.md). */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "seal/seal-internal.h"
#include "seal/seal.h"

enum { MAX_KEY = 64 << 10, MAX_SIG = 1024 };

static void free_key(EVP_PKEY **k)
{
    EVP_PKEY_free(*k);
}

static void free_md(EVP_MD_CTX **c)
{
    EVP_MD_CTX_free(*c);
}

void hf_seal_pae(struct hf_span payload, struct hf_buf *out)
{
    hf_buf_addf(out, "DSSEv1 %zu %s %zu ", sizeof HF_SEAL_PAYLOAD_TYPE - 1, HF_SEAL_PAYLOAD_TYPE, payload.n);
    hf_buf_adds(out, payload);
}

/* Other kinds of keys are refused, so that nobody signs with what cannot be checked. */
static int usable(EVP_PKEY *k, struct hf_err *err)
{
    char group[64];
    size_t n;
    if (EVP_PKEY_is_a(k, "ED25519"))
        return 0;
    if (EVP_PKEY_is_a(k, "EC") && EVP_PKEY_get_group_name(k, group, sizeof group, &n) == 1 && (!strcmp(group, "prime256v1") || !strcmp(group, "P-256")))
        return 0;
    return hf_fail(err, HF_E_UNSUPPORTED, "the key is neither Ed25519 nor ECDSA P-256");
}

static int no_password(char *buf, int size, int writing, void *ctx)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1; /* else OpenSSL asks on the terminal */
}

static int read_key(struct hf_span pem, bool private, EVP_PKEY **ret, struct hf_err *err)
{
    if (!pem.n || pem.n > MAX_KEY)
        return hf_fail(err, HF_E_FORMAT, "the key is %s", pem.n ? "too large" : "empty");
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    if (!bio)
        return hf_fail(err, -ENOMEM, "out of memory");
    EVP_PKEY *k = private ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
    BIO_free(bio);
    if (!k && hf_seal_key_encrypted(pem))
        return hf_fail(err, HF_E_USAGE, "the key is encrypted, and no password was given");
    if (!k)
        return hf_fail(err, HF_E_FORMAT, "this is not a %s key in PEM", private ? "private" : "public");
    int rc = usable(k, err);
    if (rc < 0)
        EVP_PKEY_free(k);
    else
        *ret = k;
    return rc;
}

static const EVP_MD *digest_for(const EVP_PKEY *k)
{
    return EVP_PKEY_is_a(k, "ED25519") ? NULL : EVP_sha256();
}

/* SHA-256 of the public key's DER, as cosign names keys. */
static bool key_id(EVP_PKEY *k, char ret[65])
{
    unsigned char *der = NULL;
    struct hf_digest d;
    int n = i2d_PUBKEY(k, &der);
    if (n <= 0)
        return false;
    hf_digest_of(HF_SHA256, hf_span((const char *)der, (size_t)n), &d);
    OPENSSL_free(der);
    hf_hex(d.b, 32, ret);
    return true;
}

int hf_seal_sign(struct hf_span key_pem, struct hf_span message, struct hf_buf *ret_sig, char ret_keyid[65], struct hf_err *err)
{
    hf_cleanup(free_key) EVP_PKEY *k = NULL;
    hf_cleanup(free_md) EVP_MD_CTX *c = EVP_MD_CTX_new();
    int rc = read_key(key_pem, true, &k, err);
    if (rc < 0)
        return rc;
    size_t n = MAX_SIG;
    if (!c || !hf_buf_reserve(ret_sig, n) || EVP_DigestSignInit(c, NULL, digest_for(k), NULL, k) != 1 ||
            EVP_DigestSign(c, (unsigned char *)ret_sig->p + ret_sig->n, &n, (const unsigned char *)message.p, message.n) != 1 || !key_id(k, ret_keyid))
        return hf_fail(err, HF_E_SIGNATURE, "the seal could not be signed with this key");
    ret_sig->n += n;
    return 0;
}

/* 0, HF_E_SIGNATURE when it is not of this key, else what is wrong with the key. */
int hf_seal_verify(struct hf_span key_pem, struct hf_span message, struct hf_span sig, struct hf_err *err)
{
    hf_cleanup(free_key) EVP_PKEY *k = NULL;
    hf_cleanup(free_md) EVP_MD_CTX *c = EVP_MD_CTX_new();
    int rc = read_key(key_pem, false, &k, err);
    if (rc < 0)
        return rc;
    if (!c || EVP_DigestVerifyInit(c, NULL, digest_for(k), NULL, k) != 1)
        return hf_fail(err, HF_E_SIGNATURE, "the signature could not be checked");
    if (EVP_DigestVerify(c, (const unsigned char *)sig.p, sig.n, (const unsigned char *)message.p, message.n) != 1)
        return hf_fail(err, HF_E_SIGNATURE, "the seal is signed, but not by this key, or it was changed since");
    return 0;
}

int hf_seal_check_signature(const struct hf_seal *s, struct hf_span key_pem, struct hf_err *err)
{
    hf_autobuf pae = HF_BUF_INIT(2 * HF_SEAL_MAX_TRAILER);
    if (!hf_seal_signatures(s))
        return hf_fail(err, HF_E_SIGNATURE, "the seal is not signed");
    hf_seal_pae(hf_seal_payload(s), &pae);
    int rc = hf_buf_ok(&pae) ? HF_E_SIGNATURE : hf_fail(err, HF_E_LIMIT, "out of memory");
    for (size_t i = 0; rc == HF_E_SIGNATURE && i < hf_seal_signatures(s); i++)
        rc = hf_seal_verify(key_pem, hf_buf_span(&pae), hf_seal_signature(s, i), err);
    return rc;
}
