// SPDX-License-Identifier: Apache-2.0
/* Keys of cosign: the JSON around a secretbox.  What opens has the length that the box says; plain PEM goes another way. */
#include "seal/seal-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span s = hf_span((const char *)data, size);
    hf_autobuf der = HF_BUF_INIT(1 << 16), pem = HF_BUF_INIT(1 << 16);
    struct hf_err err = HF_ERR_INIT;
    if (size > 4096)
        return 0;
    int rc = hf_seal_key_open(s, HF_S("p"), &der, &err);
    if ((rc < 0 && (!err.msg[0] || der.n)) || (rc >= 0 && !der.n && hf_span_search(s, HF_S("ciphertext")) == SIZE_MAX))
        abort();
    if (hf_seal_key_decrypt(s, HF_S("p"), &pem, NULL) >= 0 && hf_span_search(hf_buf_span(&pem), HF_S("PRIVATE KEY")) == SIZE_MAX)
        abort();
    return 0;
}
