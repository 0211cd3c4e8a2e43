/* SPDX-License-Identifier: Apache-2.0 */
/* A security descriptor from an image: its parts lie in it. */
#include <stdlib.h>

#include "formats/winsd/winsd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span all = hf_span((const char *)data, size);
    struct hf_winsd d;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf text = HF_BUF_INIT(4096);
    hf_winsd_sid(all, &text);
    int rc = hf_winsd_read(all, &d, &err);
    if (rc < 0)
        return err.msg[0] ? 0 : (abort(), 0);
    const struct hf_span parts[] = {d.owner, d.group, d.dacl, d.sacl};
    for (size_t i = 0; i < HF_ARRAY_LEN(parts); i++)
        if (parts[i].n && (parts[i].p < all.p || parts[i].n > all.n || (size_t)(parts[i].p - all.p) > all.n - parts[i].n))
            abort();
    hf_buf_clear(&text);
    hf_winsd_sid(d.owner, &text);
    if (d.owner.n && (!hf_buf_ok(&text) || text.n < 5))
        abort();
    return 0;
}
