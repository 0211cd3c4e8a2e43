/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody asked for (the first line) against names and digests of a store (the others): whatever is in a store, the answer is one of its images or an error. */
#include <stdlib.h>

#include "image/local.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span rest = hf_span((const char *)data, size), asked = {NULL, 0}, line;
    struct hf_local l;
    struct hf_err err = HF_ERR_INIT;
    unsigned best = 0;
    (void)hf_span_line(&rest, &asked);
    int rc = hf_local_init(&l, asked, &err);
    while (rc == 0 && hf_span_line(&rest, &line)) {
        unsigned name = hf_local_name(&l, line), digest = hf_local_digest(&l, line), fit = HF_MAX(name, digest);
        best = HF_MAX(best, fit);
        if ((hf_span_eq(line, asked) && !name) || (name && !line.n) || hf_local_found(&l, fit, line, line, line, &err) < 0)
            abort();
    }
    if (rc == 0 && (l.fit != best || (best && !hf_span_eq(l.digest, l.place))))
        abort();
    rc = rc == 0 ? hf_local_end(&l, "store", &err) : rc;
    if ((rc < 0 && !err.msg[0]) || (rc == 1) != (best && !l.others))
        abort();
    hf_local_done(&l);
    return 0;
}
