// SPDX-License-Identifier: Apache-2.0
/* A database of a container runtime (containerd, podman): whatever lies in it, reading ends, and what is told are whole pairs. */
#include <stdlib.h>

#include "event/event.h"
#include "formats/boltdb/boltdb.h"
#include "sensor/containers/stores.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned reads;

static ssize_t from_memory(void *ctx, uint64_t offset, char *out, size_t n)
{
    const struct hf_span *s = ctx;
    if (++reads > 20000)
        abort();
    if (offset >= s->n)
        return 0;
    size_t got = HF_MIN(n, s->n - (size_t)offset);
    memcpy(out, s->p + offset, got);
    return (ssize_t)got;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span all = hf_span((const char *)data, size), rest, name, value;
    hf_cleanup(hf_bolt_freep) struct hf_bolt *b = NULL;
    struct hf_err err = HF_ERR_INIT;
    static const char *const ids[] = {"web", "early", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"};
    reads = 0;
    if (hf_bolt_new(&b, from_memory, &all, &err) < 0)
        return 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(ids); i++) {
        struct hf_bundle bundle = {.id = hf_span_z(ids[i])};
        hf_autobuf out = HF_BUF_INIT(1 << 20);
        err.msg[0] = 0;
        if (hf_store_containerd_db(b, HF_S("default"), &bundle, &out, &err) < 0 && !err.msg[0])
            abort();
        if (hf_store_libpod_db(b, &bundle, &out, &err) < 0 && !err.msg[0])
            abort();
        rest = hf_buf_span(&out);
        size_t seen = 0;
        while (hf_event_pair(&rest, &name, &value))
            seen += name.n + value.n + 2;
        if (!out.failed && seen != out.n)
            abort();
    }
    return 0;
}
