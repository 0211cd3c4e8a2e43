// SPDX-License-Identifier: Apache-2.0
/* A file of modes of any bytes: what is taken is written as it was understood, and read back the same. */
#include "protect/protect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_protect_modes m, again;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf out = HF_BUF_INIT(65536);
    if (hf_protect_modes_parse(hf_span((const char *)data, size), &m, &err) < 0) {
        if (!err.msg[0])
            abort();
        return 0;
    }
    hf_protect_modes_write(&m, &out);
    if (!hf_buf_ok(&out) || hf_protect_modes_parse(hf_buf_span(&out), &again, &err) < 0 || again.n != m.n || again.all_off != m.all_off)
        abort();
    for (size_t i = 0; i < m.n; i++)
        if (strcmp(m.v[i].policy, again.v[i].policy) != 0 || m.v[i].mode != again.v[i].mode)
            abort();
    return 0;
}
