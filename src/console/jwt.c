// SPDX-License-Identifier: Apache-2.0
#include "console/jwt.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#define LEEWAY_S 60
#define AGE_MAX_S 3600 /* an id token is fresh: it was made for this sign-in */

enum algorithm { RS256, ES256 };

/* ---- base64url ---- */

static int digit(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52 : c == '-' ? 62 : c == '_' ? 63 : -1;
}

int hf_base64url(struct hf_span in, struct hf_buf *out)
{
    uint32_t v = 0;
    unsigned bits = 0;
    if (in.n % 4 == 1)
        return HF_E_FORMAT;
    for (size_t i = 0; i < in.n; i++) {
        int d = digit(in.p[i]);
        if (d < 0)
            return HF_E_FORMAT;
        v = v << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            hf_buf_addc(out, (char)(v >> bits & 255));
        }
    }
    if (v & ((1u << bits) - 1)) /* two texts must not be one value */
        return HF_E_FORMAT;
    return hf_buf_ok(out) ? 0 : HF_E_LIMIT;
}

void hf_base64url_add(struct hf_buf *out, struct hf_span bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t v = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        v = v << 8 | (unsigned char)bytes.p[i];
        for (bits += 8; bits >= 6; bits -= 6)
            hf_buf_addc(out, digits[v >> (bits - 6) & 63]);
        v &= (1u << bits) - 1;
    }
    if (bits)
        hf_buf_addc(out, digits[v << (6 - bits) & 63]);
}

/* ---- keys ---- */

static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *b)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = b ? OSSL_PARAM_BLD_to_param(b) : NULL;
    EVP_PKEY_CTX *ctx = params ? EVP_PKEY_CTX_new_from_name(NULL, type, NULL) : NULL;
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *rsa_key(hf_jnode jwk)
{
    hf_autobuf n = HF_BUF_INIT(HF_JWT_RSA_MAX / 8 + 8), e = HF_BUF_INIT(16);
    EVP_PKEY *key = NULL;
    if (hf_base64url(hf_jgetstr(jwk, "n"), &n) < 0 || hf_base64url(hf_jgetstr(jwk, "e"), &e) < 0 || !n.n || !e.n)
        return NULL;
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL), *exponent = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    if (modulus && exponent && b && BN_num_bits(modulus) >= HF_JWT_RSA_MIN && BN_num_bits(modulus) <= HF_JWT_RSA_MAX && BN_is_odd(exponent) && !BN_is_one(exponent) &&
            OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, modulus) && OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, exponent))
        key = make_key("RSA", b);
    OSSL_PARAM_BLD_free(b);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

static EVP_PKEY *ec_key(hf_jnode jwk)
{
    hf_autobuf point = HF_BUF_INIT(65), x = HF_BUF_INIT(32), y = HF_BUF_INIT(32);
    EVP_PKEY *key = NULL;
    if (!hf_span_eqz(hf_jgetstr(jwk, "crv"), "P-256") || hf_base64url(hf_jgetstr(jwk, "x"), &x) < 0 || hf_base64url(hf_jgetstr(jwk, "y"), &y) < 0 || x.n != 32 || y.n != 32)
        return NULL;
    hf_buf_addc(&point, 4); /* uncompressed: SEC 1, 2.3.3 */
    hf_buf_add(&point, x.p, 32);
    hf_buf_add(&point, y.p, 32);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    if (b && OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) && OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point.p, point.n))
        key = make_key("EC", b); /* refuses a point that is not on the curve */
    OSSL_PARAM_BLD_free(b);
    return key;
}

/* A key that may sign by this algorithm; NULL. */
static EVP_PKEY *key_of(hf_jnode jwk, enum algorithm a)
{
    struct hf_span kty = hf_jgetstr(jwk, "kty"), alg = hf_jgetstr(jwk, "alg"), use = hf_jgetstr(jwk, "use");
    if ((alg.n && !hf_span_eqz(alg, a == RS256 ? "RS256" : "ES256")) || (use.n && !hf_span_eqz(use, "sig")))
        return NULL;
    return a == RS256 ? (hf_span_eqz(kty, "RSA") ? rsa_key(jwk) : NULL) : hf_span_eqz(kty, "EC") ? ec_key(jwk) : NULL;
}

/* ---- signatures ---- */

/* JOSE writes r and s one behind the other (RFC 7518, 3.4), OpenSSL reads them as DER. */
static unsigned char *as_der(struct hf_span sig, int *ret_n)
{
    unsigned char *der = NULL;
    if (sig.n != 64)
        return NULL;
    ECDSA_SIG *s = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn((const unsigned char *)sig.p, 32, NULL), *v = BN_bin2bn((const unsigned char *)sig.p + 32, 32, NULL);
    if (s && r && v && ECDSA_SIG_set0(s, r, v) == 1) {
        r = v = NULL;
        *ret_n = i2d_ECDSA_SIG(s, &der);
    }
    BN_free(r);
    BN_free(v);
    ECDSA_SIG_free(s);
    return *ret_n > 0 ? der : NULL;
}

static bool signed_by(EVP_PKEY *key, enum algorithm a, struct hf_span text, struct hf_span sig)
{
    int n = 0;
    unsigned char *der = a == ES256 ? as_der(sig, &n) : NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const unsigned char *s = a == ES256 ? der : (const unsigned char *)sig.p;
    size_t s_n = a == ES256 ? (size_t)n : sig.n;
    bool ok = ctx && s && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 && EVP_DigestVerify(ctx, s, s_n, (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(der);
    ERR_clear_error();
    return ok;
}

/* ---- the token ---- */

static int part(struct hf_span text, const char *what, struct hf_json_doc **ret, struct hf_err *err)
{
    hf_autobuf b = HF_BUF_INIT(HF_JWT_MAX);
    if (hf_base64url(text, &b) < 0)
        return hf_fail(err, HF_E_FORMAT, "the %s of the token is not base64url", what);
    int rc = hf_span_is_utf8(hf_buf_span(&b)) ? hf_json_parse_within(hf_buf_span(&b), 4u << 20, ret, err) : hf_fail(err, HF_E_FORMAT, "not UTF-8");
    if (rc < 0)
        return hf_wrap(err, rc, "the %s of the token", what);
    return hf_jis_object(hf_json_root(*ret)) ? 0 : hf_fail(err, HF_E_FORMAT, "the %s of the token is no object", what);
}

static int algorithm_of(hf_jnode head, enum algorithm *ret, struct hf_err *err)
{
    struct hf_span alg = hf_jgetstr(head, "alg");
    if (hf_jget(head, "crit")) /* RFC 7515, 4.1.11: what must be understood is not */
        return hf_fail(err, HF_E_UNSUPPORTED, "the token has critical extensions");
    if (hf_span_eqz(alg, "RS256"))
        *ret = RS256;
    else if (hf_span_eqz(alg, "ES256"))
        *ret = ES256;
    else
        return hf_fail(err, HF_E_UNSUPPORTED, "the token is signed by \"" HF_SPAN_FMT "\"; RS256 and ES256 are taken", HF_SPAN_ARG(hf_span_sub(alg, 0, 20)));
    return 0;
}

static int by_any_key(hf_jnode jwks, hf_jnode head, enum algorithm a, struct hf_span text, struct hf_span sig, struct hf_err *err)
{
    struct hf_span kid = hf_jgetstr(head, "kid");
    unsigned tried = 0, looked = 0;
    HF_JFOREACH (jwk, hf_jget(jwks, "keys")) {
        if (looked++ == HF_JWT_KEYS_MAX)
            break;
        if (kid.n && !hf_span_eq(hf_jgetstr(jwk, "kid"), kid))
            continue;
        EVP_PKEY *key = key_of(jwk, a);
        tried += key != NULL;
        bool ok = key && signed_by(key, a, text, sig);
        EVP_PKEY_free(key);
        if (ok)
            return 0;
    }
    ERR_clear_error();
    return tried ? hf_fail(err, HF_E_SIGNATURE, "the token's signature is wrong") : hf_fail(err, HF_E_NOT_FOUND, "the provider has no key for this token");
}

int hf_jwt_verify(struct hf_span token, hf_jnode jwks, struct hf_json_doc **ret_claims, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *head = NULL, *claims = NULL;
    hf_autobuf sig = HF_BUF_INIT(HF_JWT_RSA_MAX / 8);
    enum algorithm a = RS256;
    size_t one = hf_span_find(token, '.'), two = hf_span_rfind(token, '.');
    if (token.n > HF_JWT_MAX)
        return hf_fail(err, HF_E_LIMIT, "the token has more than %u bytes", (unsigned)HF_JWT_MAX);
    if (one == SIZE_MAX || two == one || hf_span_find(hf_span_sub(token, one + 1, two - one - 1), '.') != SIZE_MAX)
        return hf_fail(err, HF_E_FORMAT, "the token has not three parts");
    int rc = part(hf_span_sub(token, 0, one), "head", &head, err);
    rc = rc < 0 ? rc : algorithm_of(hf_json_root(head), &a, err);
    if (rc == 0 && (hf_base64url(hf_span_from(token, two + 1), &sig) < 0 || !sig.n))
        rc = hf_fail(err, HF_E_FORMAT, "the signature of the token is not base64url");
    rc = rc < 0 ? rc : by_any_key(jwks, hf_json_root(head), a, hf_span_sub(token, 0, two), hf_buf_span(&sig), err);
    rc = rc < 0 ? rc : part(hf_span_sub(token, one + 1, two - one - 1), "payload", &claims, err);
    if (rc == 0)
        *ret_claims = hf_take(claims);
    return rc;
}

static bool time_of(hf_jnode claims, const char *name, int64_t *ret)
{
    double v;
    if (!hf_jnum(hf_jget(claims, name), &v) || !(v >= 0 && v < 1e12))
        return false;
    *ret = (int64_t)v;
    return true;
}

static bool meant_for(hf_jnode claims, struct hf_span us)
{
    hf_jnode aud = hf_jget(claims, "aud"), azp = hf_jget(claims, "azp");
    bool ours = hf_jis_str(aud) && hf_span_eq(hf_jstr(aud), us);
    size_t n = 0;
    if (hf_jis_array(aud))
        HF_JFOREACH (one, aud) {
            n++;
            ours |= hf_jis_str(one) && hf_span_eq(hf_jstr(one), us);
        }
    if (azp || n > 1) /* with others in it, it must say that it was made for us */
        ours = ours && hf_jis_str(azp) && hf_span_eq(hf_jstr(azp), us);
    return ours;
}

int hf_jwt_claims_ok(hf_jnode claims, const struct hf_jwt_expect *want, struct hf_err *err)
{
    int64_t exp, iat, nbf;
    if (!want->issuer.n || !hf_span_eq(hf_jgetstr(claims, "iss"), want->issuer))
        return hf_fail(err, HF_E_SIGNATURE, "the token is from another issuer");
    if (!want->audience.n || !meant_for(claims, want->audience))
        return hf_fail(err, HF_E_SIGNATURE, "the token is for another program");
    if (!time_of(claims, "exp", &exp) || exp + LEEWAY_S <= want->now_s)
        return hf_fail(err, HF_E_SIGNATURE, "the token is over");
    if (!time_of(claims, "iat", &iat) || iat - LEEWAY_S > want->now_s || iat + AGE_MAX_S < want->now_s)
        return hf_fail(err, HF_E_SIGNATURE, "the token was not made now");
    if (hf_jget(claims, "nbf") && (!time_of(claims, "nbf", &nbf) || nbf - LEEWAY_S > want->now_s))
        return hf_fail(err, HF_E_SIGNATURE, "the token is not valid yet");
    if (!want->nonce.n || !hf_span_eq(hf_jgetstr(claims, "nonce"), want->nonce))
        return hf_fail(err, HF_E_SIGNATURE, "the token is of another sign-in");
    return 0;
}
