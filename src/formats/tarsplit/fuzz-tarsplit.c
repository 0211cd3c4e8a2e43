/* SPDX-License-Identifier: Apache-2.0 */
/* A tar-split file, line by line: what is told keeps to what the header promises. */
#include <stdlib.h>

#include "formats/tarsplit/tarsplit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span rest = hf_span((const char *)data, size), line;
    hf_autobuf bytes = HF_BUF_INIT(HF_TARSPLIT_LINE_MAX);
    while (hf_span_line(&rest, &line)) {
        struct hf_tarsplit t = {.size = UINT64_MAX};
        struct hf_err err = HF_ERR_INIT;
        int rc = hf_tarsplit_read(line, &t, &bytes, &err);
        if (rc < 0 && !err.msg[0])
            abort();
        if (rc == 0 && (t.size > (UINT64_C(1) << 53) || bytes.n > line.n || (!t.file && t.size)))
            abort();
        if (rc == 0 && t.file && (!bytes.n || bytes.n > 4096 || memchr(bytes.p, 0, bytes.n)))
            abort();
    }
    return 0;
}
