// SPDX-License-Identifier: Apache-2.0
/* A token and a set of keys, both of any bytes, split at the first newline: nobody signs without a private key. */
#include "console/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A public key; its private half was never kept. */
static const char keys[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"C4vKbix4yQPBs1KEaMseZUhsHCkFvuLPOme3zfCRTpA\",\"y\":\"yovFKayr3UP_FTi_ynxmCFEAcrhS1h-rJM1EP-7Mv-E\"}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span all = hf_span((const char *)data, size), token;
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *ours = NULL, *theirs = NULL, *claims = NULL, *more = NULL;
    hf_autobuf raw = HF_BUF_INIT(HF_JWT_MAX), back = HF_BUF_INIT(2 * HF_JWT_MAX);
    if (!hf_span_cut(&all, '\n', &token))
        return 0;
    if (hf_base64url(token, &raw) == 0) { /* one text is one value */
        hf_base64url_add(&back, hf_buf_span(&raw));
        if (!hf_span_eq(hf_buf_span(&back), token))
            abort();
    }
    if (hf_json_parse(hf_span_z(keys), &ours, NULL) == 0 && hf_jwt_verify(token, hf_json_root(ours), &claims, &err) == 0)
        abort();
    if (hf_json_parse_within(all, 1u << 20, &theirs, NULL) == 0) {
        struct hf_jwt_expect want = {HF_S("https://id.example"), HF_S("us"), HF_S("a nonce that no input has \x01"), 1000000};
        if (hf_jwt_verify(token, hf_json_root(theirs), &more, &err) == 0 && !hf_jis_object(hf_json_root(more)))
            abort();
        if (hf_jwt_claims_ok(hf_json_root(theirs), &want, &err) == 0)
            abort();
    }
    return 0;
}
