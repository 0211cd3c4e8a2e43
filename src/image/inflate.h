/* SPDX-License-Identifier: Apache-2.0 */
/* inflate.h - the uncompressed bytes of a layer blob as a pull stream: gzip (ISA-L), zstd or plain, inflated by a thread of its
 * own a few blocks ahead, so that hashing and walking overlap with it.  Memory: RING blocks plus the decompressor's window. */
#pragma once
#include "base/ra.h"

enum hf_compression { HF_PLAIN, HF_GZIP, HF_ZSTD };
/* From the first six bytes; HF_E_UNSUPPORTED names what it is (xz, bzip2, encrypted) when it is not a layer we read. */
HF_MUSTUSE int hf_compression_of_head(const unsigned char head[6], enum hf_compression *ret, struct hf_err *err);
HF_MUSTUSE int hf_compression_of(int fd, uint64_t offset, uint64_t size, enum hf_compression *ret, struct hf_err *err);

/* Compressed bytes that arrive as a stream, read by the inflating thread: up to cap bytes, *ret is 0 only at the end. */
typedef int (*hf_inflate_source)(void *ctx, void *buf, size_t cap, size_t *ret, struct hf_err *err);

/* What the layers of an image unpack to beyond MAX_RATIO, together: many small bombs are one large one. */
struct hf_bombs {
    _Atomic uint64_t excess;
};
struct hf_inflate;
struct hf_inflate_opts {
    uint64_t max_output;  /* bytes; 0: no limit beyond the ratio's */
    uint64_t max_window;  /* zstd window, bytes */
    struct hf_bombs *bombs; /* shared; NULL: this stream counts alone */
    void (*progress)(void *ctx, uint64_t compressed_bytes);
    void *progress_ctx;
    hf_inflate_source source; /* in place of fd, offset and size, which are then not used */
    void *source_ctx;
};
HF_MUSTUSE int hf_inflate_start(struct hf_inflate **ret, int fd, uint64_t offset, uint64_t size, enum hf_compression c,
        const struct hf_inflate_opts *o, struct hf_err *err);
/* Next block: 1 and *ret (borrowed until the next call), 0 at the end, < 0. */
HF_MUSTUSE int hf_inflate_pull(struct hf_inflate *f, struct hf_span *ret, struct hf_err *err);
void hf_inflate_stop(struct hf_inflate *f); /* ends the thread, frees; NULL is fine */
