/* SPDX-License-Identifier: Apache-2.0 */
#include "advisories/cvss/cvss.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned version, score;
    if (hf_cvss_base(hf_span((const char *)data, size), &version, &score) >= 0 && (score > 100 || (version != 20 && version != 30 && version != 31 && version != 40)))
        abort();
    return 0;
}
