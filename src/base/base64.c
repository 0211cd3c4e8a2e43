/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <openssl/evp.h>

void hf_base64(struct hf_span bytes, struct hf_buf *out)
{
    size_t need = (bytes.n + 2) / 3 * 4 + 1;
    if (bytes.n > INT32_MAX / 2 || !hf_buf_reserve(out, need)) {
        out->failed = true;
        return;
    }
    if (bytes.n)
        out->n += (size_t)EVP_EncodeBlock((unsigned char *)out->p + out->n, (const unsigned char *)bytes.p, (int)bytes.n);
}

int hf_unbase64(struct hf_span text, struct hf_buf *out)
{
    if (text.n % 4 || text.n > INT32_MAX / 2 || !hf_buf_reserve(out, text.n / 4 * 3 + 1))
        return HF_E_FORMAT;
    if (!text.n)
        return 0;
    size_t pad = text.p[text.n - 1] == '=' ? 1 : 0;
    pad += pad && text.p[text.n - 2] == '=';
    int n = EVP_DecodeBlock((unsigned char *)out->p + out->n, (const unsigned char *)text.p, (int)text.n);
    if (n < 0 || (size_t)n < pad)
        return HF_E_FORMAT;
    /* One text for the same bytes: unused bits of the last character are zero (RFC 4648, section 3.5). */
    hf_autobuf again = HF_BUF_INIT(text.n + 8);
    hf_base64(hf_span(out->p + out->n, (size_t)n - pad), &again);
    if (!hf_span_eq(hf_buf_span(&again), text))
        return HF_E_FORMAT;
    out->n += (size_t)n - pad;
    return 0;
}
