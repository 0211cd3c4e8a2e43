/* SPDX-License-Identifier: Apache-2.0 */
/* Index of a mirror: no path of it leaves the folder. */
#include <stdlib.h>

#include "advisories/fetch/fetch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_mirror_index x;
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_mirror_index_parse(hf_span((const char *)data, size), &x, &err);
    if (rc < 0 && !err.msg[0])
        abort();
    for (size_t i = 0; rc >= 0 && i < x.n; i++)
        if (!x.files[i].path.n || x.files[i].path.p[0] == '/' || hf_span_search(x.files[i].path, HF_S("..")) == 0 || strlen(x.files[i].sha256) != 64)
            abort();
    hf_mirror_index_done(&x);
    return 0;
}
