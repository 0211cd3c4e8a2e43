/* SPDX-License-Identifier: Apache-2.0 */
/* An SBOM: whatever it says, packages have a name, a version and a place. */
#include <stdlib.h>

#include "image/sbom.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_scan s;
    struct hf_err err = HF_ERR_INIT;
    hf_scan_init(&s, 16 << 20);
    int rc = hf_sbom_parse(hf_span((const char *)data, size), HF_S("x"), &s, &err);
    if (rc < 0 && !err.msg[0])
        abort();
    for (size_t i = 0; rc >= 0 && i < s.n_packages; i++)
        if (!s.packages[i].p.name.n || !s.packages[i].p.version.n || !s.packages[i].n_locations)
            abort();
    hf_scan_done(&s);
    return 0;
}
