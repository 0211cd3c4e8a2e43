/* SPDX-License-Identifier: Apache-2.0 */
/* Purls: what parses is written in a form that parses to the same and is written the same again. */
#include <stdlib.h>

#include "packages/purl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_arena a;
    struct hf_package p, again;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf one = HF_BUF_INIT(1 << 20), two = HF_BUF_INIT(1 << 20);
    hf_arena_init(&a, 4 << 20);
    if (hf_purl_parse(hf_span((const char *)data, size), &a, &p, &err) >= 0) {
        if (hf_purl_make(&p, NULL, &one) < 0)
            abort();
        /* Percent-encoding can make a long purl longer than what is read. */
        if (one.n <= HF_PURL_MAX) {
            if (hf_purl_parse(hf_buf_span(&one), &a, &again, &err) < 0 || again.type != p.type || hf_purl_make(&again, NULL, &two) < 0 ||
                    !hf_span_eq(hf_buf_span(&one), hf_buf_span(&two)))
                abort();
            if (!hf_span_eq(p.version, again.version) || !hf_span_eq(p.arch, again.arch))
                abort();
        }
    } else if (!err.msg[0]) {
        abort();
    }
    hf_arena_done(&a);
    return 0;
}
