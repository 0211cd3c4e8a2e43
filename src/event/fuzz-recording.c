// SPDX-License-Identifier: Apache-2.0
/* A recording of any bytes: it opens or is refused with a message, frames are within their limit, and their records are taken as the
 * engine takes them.  The bytes are tried as a file, and (so that the fuzzer need not invent zstd) as what a file unpacks to. */
#include <stdlib.h>
#include <zstd.h>

#include "event/event.h"
#include "event/recording.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t from_span(void *ctx, void *buf, size_t n)
{
    struct hf_span *s = ctx;
    n = HF_MIN(n, s->n);
    if (n)
        memcpy(buf, s->p, n);
    *s = hf_span_from(*s, n);
    return (int64_t)n;
}

static void read_all(struct hf_span bytes)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_recording_closep) struct hf_recording *r = NULL;
    struct hf_recording_frame f;
    int rc = hf_recording_open(&r, from_span, &bytes, &err);
    if (rc < 0) {
        if (!err.msg[0])
            abort();
        return;
    }
    size_t frames = 0;
    while ((rc = hf_recording_next(r, &f, &err)) > 0 && frames++ < 4096) {
        size_t len;
        if (f.records.n > HF_RECORDING_FRAME_MAX)
            abort();
        for (struct hf_span rest = f.records; rest.n && hf_event_frame(rest, &len, &err) > 0; rest = hf_span_from(rest, len)) {
            struct hf_event ev;
            if (len > rest.n)
                abort();
            if (hf_event_decode(hf_span_sub(rest, 0, len), &ev, &err) == 0 && ev.h->len != len)
                abort();
        }
    }
    if (rc < 0 && !err.msg[0])
        abort();
    if (rc == 0 && hf_recording_next(r, &f, &err) != 0)
        abort(); /* the end stays the end */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_all(hf_span((const char *)data, size));
    if (size > 1u << 20)
        return 0;
    size_t room = ZSTD_compressBound(size);
    hf_autofree char *packed = malloc(room);
    size_t n = packed ? ZSTD_compress(packed, room, data, size, 1) : 0;
    if (packed && !ZSTD_isError(n))
        read_all(hf_span(packed, n));
    return 0;
}
