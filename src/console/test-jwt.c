// SPDX-License-Identifier: Apache-2.0
/* Signed tokens: right ones are taken, whatever an attacker can change of them is not. */
#include "console/jwt.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "tap.h"

static EVP_PKEY *rsa, *rsa_small, *ec, *ec_other;

static void add_bn(struct hf_buf *b, EVP_PKEY *key, const char *what)
{
    BIGNUM *n = NULL;
    unsigned char raw[1024];
    EVP_PKEY_get_bn_param(key, what, &n);
    int len = BN_bn2bin(n, raw);
    if (!strcmp(what, OSSL_PKEY_PARAM_EC_PUB_X) || !strcmp(what, OSSL_PKEY_PARAM_EC_PUB_Y))
        len = BN_bn2binpad(n, raw, 32);
    hf_base64url_add(b, hf_span((char *)raw, (size_t)len));
    BN_free(n);
}

static void add_rsa(struct hf_buf *b, EVP_PKEY *key, const char *rest)
{
    hf_buf_addz(b, "{\"kty\":\"RSA\",\"n\":\"");
    add_bn(b, key, OSSL_PKEY_PARAM_RSA_N);
    hf_buf_addz(b, "\",\"e\":\"");
    add_bn(b, key, OSSL_PKEY_PARAM_RSA_E);
    hf_buf_addf(b, "\"%s}", rest);
}

static void add_ec(struct hf_buf *b, EVP_PKEY *key, const char *rest)
{
    hf_buf_addz(b, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"");
    add_bn(b, key, OSSL_PKEY_PARAM_EC_PUB_X);
    hf_buf_addz(b, "\",\"y\":\"");
    add_bn(b, key, OSSL_PKEY_PARAM_EC_PUB_Y);
    hf_buf_addf(b, "\"%s}", rest);
}

/* Signs head.payload; ES256 as JOSE wants it. */
static void token(struct hf_buf *out, EVP_PKEY *key, const char *head, const char *payload)
{
    unsigned char sig[1024];
    size_t n = sizeof sig;
    hf_buf_clear(out);
    hf_base64url_add(out, hf_span_z(head));
    hf_buf_addc(out, '.');
    hf_base64url_add(out, hf_span_z(payload));
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    OK(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 && EVP_DigestSign(ctx, sig, &n, (unsigned char *)out->p, out->n) == 1);
    EVP_MD_CTX_free(ctx);
    if (EVP_PKEY_base_id(key) == EVP_PKEY_EC) {
        const unsigned char *p = sig;
        ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)n);
        unsigned char raw[64];
        BN_bn2binpad(ECDSA_SIG_get0_r(s), raw, 32);
        BN_bn2binpad(ECDSA_SIG_get0_s(s), raw + 32, 32);
        ECDSA_SIG_free(s);
        memcpy(sig, raw, n = 64);
    }
    hf_buf_addc(out, '.');
    hf_base64url_add(out, hf_span((char *)sig, n));
}

static int check(const char *jwks, struct hf_span t)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *set = NULL, *claims = NULL;
    struct hf_err err = HF_ERR_INIT;
    if (hf_json_parse(hf_span_z(jwks), &set, &err) < 0) {
        printf("# keys: %s\n", err.msg);
        return 1;
    }
    int rc = hf_jwt_verify(t, hf_json_root(set), &claims, &err);
    if (rc == 0 && !hf_span_eqz(hf_jgetstr(hf_json_root(claims), "sub"), "alice"))
        return 2;
    return rc;
}

#define PAYLOAD "{\"sub\":\"alice\"}"

static void right_and_wrong(void)
{
    hf_autobuf t = HF_BUF_INIT(65536), set = HF_BUF_INIT(65536), other = HF_BUF_INIT(65536), small = HF_BUF_INIT(65536);
    hf_buf_addz(&set, "{\"keys\":[");
    add_rsa(&set, rsa, ",\"kid\":\"r\",\"use\":\"sig\"");
    hf_buf_addc(&set, ',');
    add_ec(&set, ec, ",\"kid\":\"e\",\"alg\":\"ES256\"");
    hf_buf_addz(&set, "]}");
    hf_buf_addz(&other, "{\"keys\":[");
    add_ec(&other, ec_other, ",\"kid\":\"e\"");
    hf_buf_addz(&other, "]}");
    hf_buf_addz(&small, "{\"keys\":[");
    add_rsa(&small, rsa_small, "");
    hf_buf_addz(&small, "]}");
    const char *keys = hf_buf_z(&set);

    token(&t, rsa, "{\"alg\":\"RS256\",\"kid\":\"r\"}", PAYLOAD);
    EQ_I(check(keys, hf_buf_span(&t)), 0);
    t.p[t.n - 6] = t.p[t.n - 6] == 'A' ? 'B' : 'A';
    EQ_I(check(keys, hf_buf_span(&t)), HF_E_SIGNATURE);
    token(&t, ec, "{\"alg\":\"ES256\",\"kid\":\"e\"}", PAYLOAD);
    EQ_I(check(keys, hf_buf_span(&t)), 0);
    EQ_I(check(hf_buf_z(&other), hf_buf_span(&t)), HF_E_SIGNATURE);
    token(&t, ec, "{\"alg\":\"ES256\"}", PAYLOAD); /* no key id: every key is tried */
    EQ_I(check(keys, hf_buf_span(&t)), 0);
    token(&t, ec, "{\"alg\":\"ES256\",\"kid\":\"new\"}", PAYLOAD);
    EQ_I(check(keys, hf_buf_span(&t)), HF_E_NOT_FOUND);
    /* The key says what it is for, not the token. */
    token(&t, ec, "{\"alg\":\"RS256\",\"kid\":\"e\"}", PAYLOAD);
    EQ_I(check(keys, hf_buf_span(&t)), HF_E_NOT_FOUND);
    token(&t, rsa, "{\"alg\":\"none\",\"kid\":\"r\"}", PAYLOAD);
    EQ_I(check(keys, hf_buf_span(&t)), HF_E_UNSUPPORTED);
    token(&t, rsa, "{\"alg\":\"HS256\",\"kid\":\"r\"}", PAYLOAD);
    EQ_I(check(keys, hf_buf_span(&t)), HF_E_UNSUPPORTED);
    token(&t, rsa, "{\"alg\":\"RS256\",\"kid\":\"r\",\"crit\":[\"exp\"]}", PAYLOAD);
    EQ_I(check(keys, hf_buf_span(&t)), HF_E_UNSUPPORTED);
    token(&t, rsa, "{\"kid\":\"r\"}", PAYLOAD);
    EQ_I(check(keys, hf_buf_span(&t)), HF_E_UNSUPPORTED);
    token(&t, rsa_small, "{\"alg\":\"RS256\"}", PAYLOAD); /* 1024 bits */
    EQ_I(check(hf_buf_z(&small), hf_buf_span(&t)), HF_E_NOT_FOUND);
}

static void forms(void)
{
    hf_autobuf t = HF_BUF_INIT(1u << 20), set = HF_BUF_INIT(65536), head = HF_BUF_INIT(1024);
    hf_buf_addz(&set, "{\"keys\":[");
    add_ec(&set, ec, "");
    hf_buf_addz(&set, "]}");
    const char *keys = hf_buf_z(&set);
    static const char *const texts[] = {"", ".", "..", "...", "a.b.c", "eyJhbGciOiJFUzI1NiJ9..AAAA", "eyJhbGciOiJFUzI1NiJ9=.e30.AAAA", "W10.e30.AAAA"};
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
        OK(check(keys, hf_span_z(texts[i])) < 0);
    token(&t, ec, "{\"alg\":\"ES256\"}", PAYLOAD);
    hf_buf_addz(&t, ".x");
    EQ_I(check(keys, hf_buf_span(&t)), HF_E_FORMAT);
    token(&t, ec, "{\"alg\":\"ES256\"}", "[1]");
    EQ_I(check(keys, hf_buf_span(&t)), HF_E_FORMAT);
    /* The signature without, but for "none": what is empty is refused before any key. */
    token(&t, ec, "{\"alg\":\"ES256\"}", PAYLOAD);
    t.n = hf_span_rfind(hf_buf_span(&t), '.') + 1;
    EQ_I(check(keys, hf_buf_span(&t)), HF_E_FORMAT);
    EQ_I(check("{}", HF_S("eyJhbGciOiJFUzI1NiJ9.e30.AAAA")), HF_E_NOT_FOUND);
    EQ_I(check("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"},{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"},7,null]}", HF_S("eyJhbGciOiJFUzI1NiJ9.e30.AAAA")), HF_E_NOT_FOUND);
    for (size_t i = 0; i <= HF_JWT_MAX; i++)
        hf_buf_addc(&head, 'A');
    hf_buf_clear(&t);
    while (t.n <= HF_JWT_MAX)
        hf_buf_addz(&t, "AAAA");
    EQ_I(check(keys, hf_buf_span(&t)), HF_E_LIMIT);
}

static int claims(const char *text)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    struct hf_jwt_expect want = {HF_S("https://id.example"), HF_S("us"), HF_S("n"), 1000000};
    if (hf_json_parse(hf_span_z(text), &d, NULL) < 0)
        return 1;
    return hf_jwt_claims_ok(hf_json_root(d), &want, NULL);
}

#define ISS "\"iss\":\"https://id.example\","
#define AUD "\"aud\":\"us\","
#define TIME "\"exp\":1000300,\"iat\":1000000,"
#define NONCE "\"nonce\":\"n\""

static void what_it_says(void)
{
    EQ_I(claims("{" ISS AUD TIME NONCE "}"), 0);
    EQ_I(claims("{" ISS "\"aud\":[\"us\"]," TIME NONCE "}"), 0);
    EQ_I(claims("{" ISS "\"aud\":[\"us\",\"them\"],\"azp\":\"us\"," TIME NONCE "}"), 0);
    EQ_I(claims("{" ISS "\"aud\":[\"us\",\"them\"]," TIME NONCE "}"), HF_E_SIGNATURE);
    EQ_I(claims("{" ISS "\"aud\":[\"us\",\"them\"],\"azp\":\"them\"," TIME NONCE "}"), HF_E_SIGNATURE);
    EQ_I(claims("{" ISS "\"aud\":[]," TIME NONCE "}"), HF_E_SIGNATURE);
    EQ_I(claims("{" ISS "\"aud\":\"them\"," TIME NONCE "}"), HF_E_SIGNATURE);
    EQ_I(claims("{\"iss\":\"https://id.example/\"," AUD TIME NONCE "}"), HF_E_SIGNATURE);
    EQ_I(claims("{" ISS AUD "\"exp\":999940,\"iat\":999000," NONCE "}"), HF_E_SIGNATURE);
    EQ_I(claims("{" ISS AUD "\"exp\":999941,\"iat\":999000," NONCE "}"), 0); /* within the minute */
    EQ_I(claims("{" ISS AUD "\"exp\":\"1000300\",\"iat\":1000000," NONCE "}"), HF_E_SIGNATURE);
    EQ_I(claims("{" ISS AUD "\"exp\":1000300," NONCE "}"), HF_E_SIGNATURE);
    EQ_I(claims("{" ISS AUD "\"exp\":1000300,\"iat\":1000061," NONCE "}"), HF_E_SIGNATURE);
    EQ_I(claims("{" ISS AUD "\"exp\":1000300,\"iat\":996000," NONCE "}"), HF_E_SIGNATURE);
    EQ_I(claims("{" ISS AUD TIME "\"nbf\":1000100," NONCE "}"), HF_E_SIGNATURE);
    EQ_I(claims("{" ISS AUD TIME "\"nonce\":\"m\"}"), HF_E_SIGNATURE);
    EQ_I(claims("{" ISS AUD "\"exp\":1000300,\"iat\":1000000}"), HF_E_SIGNATURE);
    EQ_I(claims("{}"), HF_E_SIGNATURE);
}

static void base64(void)
{
    static const char *const bad[] = {"A", "AB", "AAB", "AA==", "A A", "A+", "A/", "AAAAA"}; /* "AB": bits left over */
    hf_autobuf b = HF_BUF_INIT(64);
    for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
        hf_buf_clear(&b);
        EQ_I(hf_base64url(hf_span_z(bad[i]), &b), HF_E_FORMAT);
    }
    hf_buf_clear(&b);
    EQ_I(hf_base64url(HF_S("_-8"), &b), 0);
    EQ_S(hf_buf_span(&b), "\xff\xef");
    hf_buf_clear(&b);
    hf_base64url_add(&b, HF_S("f"));
    hf_buf_addc(&b, ' ');
    hf_base64url_add(&b, HF_S("fo"));
    hf_buf_addc(&b, ' ');
    hf_base64url_add(&b, HF_S("foo"));
    EQ_S(hf_buf_span(&b), "Zg Zm8 Zm9v"); /* RFC 4648, 10 */
}

int main(void)
{
    rsa = EVP_RSA_gen(2048);
    rsa_small = EVP_RSA_gen(1024);
    ec = EVP_EC_gen("P-256");
    ec_other = EVP_EC_gen("P-256");
    right_and_wrong();
    forms();
    what_it_says();
    base64();
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(rsa_small);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(ec_other);
    return tap_done();
}
