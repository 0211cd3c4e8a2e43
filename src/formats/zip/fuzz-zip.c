/* SPDX-License-Identifier: Apache-2.0 */
/* An archive: its members are announced within it, and what is read has the size that was announced. */
#include <stdlib.h>

#include "formats/zip/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_ra ra = hf_ra_mem(hf_span((const char *)data, size)), stored;
    struct hf_zip z;
    struct hf_zip_member m;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf out = HF_BUF_INIT(1 << 20);
    int rc = hf_zip_open(&z, &ra, &err);
    for (unsigned n = 0; rc == 0 && n < 64 && (rc = hf_zip_next(&z, &m, &err)) == 1; n++) {
        if (hf_zip_stored(&z, &m, &stored, &err) == 0 && stored.size != m.size)
            abort();
        rc = hf_zip_read(&z, &m, &out, &err);
        if (rc == 0 && out.n != m.size)
            abort();
        if (rc < 0 && !err.msg[0])
            abort();
        rc = 0;
    }
    if (rc < 0 && !err.msg[0])
        abort();
    hf_zip_done(&z);
    return 0;
}
