/* SPDX-License-Identifier: Apache-2.0 */
/* mkzip.h - archives made in memory, for unit tests and fuzz targets only. */
#pragma once
#include <zlib.h>

#include "base/span.h"

struct mkzip {
    struct hf_buf data, dir;
    unsigned n;
};
#define MKZIP_INIT {HF_BUF_INIT(64 << 20), HF_BUF_INIT(16 << 20), 0}

static inline void mkzip_int(struct hf_buf *b, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        hf_buf_addc(b, i < 8 ? (char)(v >> (8 * i)) : 0);
}

/* method 0 or 8 pack the text; others only say so.  The CRC is right. */
static inline void mkzip_add(struct mkzip *z, const char *name, struct hf_span text, unsigned method, unsigned flags)
{
    hf_autobuf packed = HF_BUF_INIT(64 << 20);
    struct hf_span content = text, n = hf_span_z(name);
    if (method == 8) {
        z_stream s = {.next_in = NULL};
        if (deflateInit2(&s, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK || !hf_buf_reserve(&packed, deflateBound(&s, (uLong)text.n)))
            abort();
        s.next_in = (Bytef *)(uintptr_t)text.p;
        s.avail_in = (uInt)text.n;
        s.next_out = (Bytef *)packed.p;
        s.avail_out = (uInt)(packed.cap - packed.n);
        if (deflate(&s, Z_FINISH) != Z_STREAM_END)
            abort();
        packed.n = s.total_out;
        deflateEnd(&s);
        content = hf_buf_span(&packed);
    }
    uint64_t at = z->data.n, crc = crc32(0, (const Bytef *)(text.n ? text.p : ""), (uInt)text.n);
    for (int central = 0; central < 2; central++) {
        struct hf_buf *b = central ? &z->dir : &z->data;
        mkzip_int(b, central ? 0x02014b50 : 0x04034b50, 4);
        mkzip_int(b, 20, central ? 2 : 0);
        mkzip_int(b, 20, 2);
        mkzip_int(b, flags, 2);
        mkzip_int(b, method, 2);
        mkzip_int(b, 0, 4);
        mkzip_int(b, crc, 4);
        mkzip_int(b, content.n, 4);
        mkzip_int(b, text.n, 4);
        mkzip_int(b, n.n, 2);
        mkzip_int(b, 0, 2);
        if (central) {
            mkzip_int(b, 0, 10);
            mkzip_int(b, at, 4);
        }
        hf_buf_adds(b, n);
    }
    hf_buf_adds(&z->data, content);
    z->n++;
}

/* The archive, valid until mkzip_done; members says what the end record counts. */
static inline struct hf_span mkzip_end(struct mkzip *z, unsigned members, struct hf_span comment)
{
    uint64_t at = z->data.n;
    hf_buf_adds(&z->data, hf_buf_span(&z->dir));
    mkzip_int(&z->data, 0x06054b50, 4);
    mkzip_int(&z->data, 0, 4);
    mkzip_int(&z->data, members, 2);
    mkzip_int(&z->data, members, 2);
    mkzip_int(&z->data, z->dir.n, 4);
    mkzip_int(&z->data, at, 4);
    mkzip_int(&z->data, comment.n, 2);
    hf_buf_adds(&z->data, comment);
    return hf_buf_span(&z->data);
}

static inline void mkzip_done(struct mkzip *z)
{
    hf_buf_done(&z->data);
    hf_buf_done(&z->dir);
}
