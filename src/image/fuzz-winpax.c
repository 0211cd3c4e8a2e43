/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a tar in one piece and one by one: what is told of each header is the same, and as the header says. */
#include <stdlib.h>

#include "image/winpax.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span all = hf_span((const char *)data, size), x, y;
    hf_autobuf a = HF_BUF_INIT(1 << 20), b = HF_BUF_INIT(1 << 20);
    struct hf_winpax *whole = hf_winpax_new(), *bytes = hf_winpax_new();
    if (size > 1 << 16 || !whole || !bytes)
        goto end;
    hf_winpax_bytes(whole, 0, all);
    for (size_t i = 0; i < size; i++)
        hf_winpax_bytes(bytes, i, hf_span_sub(all, i, 1));
    for (uint64_t at = 0; at < size; at += 512) {
        struct hf_winfile f;
        int m = hf_winpax_entry(whole, at, &x), n = hf_winpax_entry(bytes, at, &y);
        if (m != n || (m > 0 && (!hf_span_eq(x, y) || !hf_winfile_read(x, &f))))
            abort();
    }
    hf_win_fold(all, &a);
    hf_win_fold(hf_buf_span(&a), &b);
    if (a.n != size || !hf_span_eq(hf_buf_span(&a), hf_buf_span(&b))) /* as long, and done once is done */
        abort();
end:
    hf_winpax_free(whole);
    hf_winpax_free(bytes);
    return 0;
}
