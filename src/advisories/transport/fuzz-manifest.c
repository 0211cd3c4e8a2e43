/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "advisories/transport/transport.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_transport_manifest m;
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_transport_manifest_parse(hf_span((const char *)data, size), &m, &err);
    if (rc < 0 ? !err.msg[0] : !m.size || !m.digest.n)
        abort();
    return 0;
}
