/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of runtimes: what is told of them are whole pairs of names and values, within the buffer. */
#include <stdlib.h>

#include "event/event.h"
#include "sensor/containers/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct hf_buf *out)
{
    struct hf_span rest = hf_buf_span(out), name, value;
    if (out->failed)
        return;
    if (out->n && out->p[out->n - 1] != 0)
        abort();
    size_t seen = 0;
    while (hf_event_pair(&rest, &name, &value)) {
        if (!name.n || !value.n || value.n > 4096)
            abort();
        seen += name.n + value.n + 2;
    }
    if (seen != out->n)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span json = hf_span((const char *)data, size), rootfs = {NULL, 0};
    struct hf_bundle b = {.id = HF_S("0123456789abcdef")};
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf out = HF_BUF_INIT(1 << 20);
    if (hf_bundle_config(json, &b, &out, &rootfs, &err) < 0 && !err.msg[0])
        abort();
    if (rootfs.n && (rootfs.p < out.p || rootfs.p + rootfs.n > out.p + out.n))
        abort();
    check(&out);
    hf_buf_clear(&out);
    err.msg[0] = 0;
    if (hf_bundle_docker(json, &b, &out, &err) < 0 && !err.msg[0])
        abort();
    check(&out);
    return 0;
}
