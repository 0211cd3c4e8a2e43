/* SPDX-License-Identifier: Apache-2.0 */
/* Assignments have a key; one-line release files a name and a version. */
#include <stdlib.h>

#include "formats/os-release/os-release.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span text = hf_span((const char *)data, size), key, value;
    hf_autobuf work = HF_BUF_INIT(1 << 20);
    struct hf_err err = HF_ERR_INIT;
    struct hf_osrel r;
    unsigned n = 0;
    int rc = hf_osrel_init(&r, text, &work, &err);
    while (rc >= 0 && (rc = hf_osrel_next(&r, &key, &value, &err)) != 0 && rc != HF_E_LIMIT) {
        if (++n > HF_OSREL_LINES + 1u || (rc == 1 && !key.n))
            abort();
        rc = 0;
    }
    if (hf_release_line(text, &key, &value) && !key.n)
        abort();
    return 0;
}
