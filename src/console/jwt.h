/* SPDX-License-Identifier: Apache-2.0 */
/* jwt.h - a signed token (RFC 7515, 7519) against a set of keys (RFC 7517): RS256 and ES256, nothing else.
 *
 * Pure.  The token is hostile; the keys come from the provider over TLS.  "none", keyed hashes and every other algorithm are refused by not being known: the
 * key says what it is for, not the token. */
#pragma once
#include "base/json.h"

enum {
    HF_JWT_MAX = 32 << 10,       /* bytes of a token */
    HF_JWT_KEYS_MAX = 64,        /* keys of a set that are looked at */
    HF_JWT_RSA_MIN = 2048,       /* bits of a modulus */
    HF_JWT_RSA_MAX = 8192,
};
/* Base64url without padding (RFC 4648, 5), behind what is in out.  HF_E_FORMAT: other bytes, padding, bits left over. */
HF_MUSTUSE int hf_base64url(struct hf_span in, struct hf_buf *out);
void hf_base64url_add(struct hf_buf *out, struct hf_span bytes);
/* Checks the signature.  *ret_claims: the payload, an object.  HF_E_SIGNATURE: no key of the set (jwks: {"keys": [...]}) fits; HF_E_NOT_FOUND: none has the key id it
 * names (a newer set may); HF_E_FORMAT, HF_E_LIMIT, HF_E_UNSUPPORTED (algorithm). */
HF_MUSTUSE int hf_jwt_verify(struct hf_span token, hf_jnode jwks, struct hf_json_doc **ret_claims, struct hf_err *err);
struct hf_jwt_expect {
    struct hf_span issuer, audience, nonce;
    int64_t now_s;
};
/* iss, aud (and azp with several), exp, iat, nbf, nonce as OpenID Connect Core 1.0, 3.1.3.7 wants; a minute of clock difference.  HF_E_SIGNATURE says which is wrong. */
HF_MUSTUSE int hf_jwt_claims_ok(hf_jnode claims, const struct hf_jwt_expect *want, struct hf_err *err);
