/* SPDX-License-Identifier: Apache-2.0 */
/* rd.h - bounded reader over a span with sticky failure, for binary formats.
 *
 * After the first read past the end everything yields zero and `bad` is set: check once per record. */
#pragma once
#include "base/span.h"

struct hf_rd {
    struct hf_span s;
    size_t off;
    bool bad;
};

static inline struct hf_rd hf_rd(struct hf_span s)
{
    return (struct hf_rd){s, 0, false};
}
static inline size_t hf_rd_left(const struct hf_rd *r)
{
    return r->bad ? 0 : r->s.n - r->off;
}
/* n bytes, borrowed; an empty span and `bad` when fewer are left. */
static inline struct hf_span hf_rd_span(struct hf_rd *r, size_t n)
{
    if (r->bad || n > r->s.n - r->off) {
        r->bad = true;
        return (struct hf_span){NULL, 0};
    }
    struct hf_span out = {n ? r->s.p + r->off : r->s.p, n}; /* p may be NULL */
    r->off += n;
    return out;
}
static inline void hf_rd_skip(struct hf_rd *r, size_t n)
{
    (void)hf_rd_span(r, n);
}
/* Moves to an absolute offset (at most the end). */
static inline void hf_rd_seek(struct hf_rd *r, size_t off)
{
    if (r->bad || off > r->s.n)
        r->bad = true;
    else
        r->off = off;
}
static inline uint64_t hf_rd_le(struct hf_rd *r, unsigned bytes)
{
    struct hf_span b = hf_rd_span(r, bytes);
    uint64_t v = 0;
    for (size_t i = b.n; i-- > 0;)
        v = v << 8 | (unsigned char)b.p[i];
    return v;
}
static inline uint64_t hf_rd_be(struct hf_rd *r, unsigned bytes)
{
    struct hf_span b = hf_rd_span(r, bytes);
    uint64_t v = 0;
    for (size_t i = 0; i < b.n; i++)
        v = v << 8 | (unsigned char)b.p[i];
    return v;
}
static inline uint64_t hf_rd_int(struct hf_rd *r, unsigned bytes, bool big_endian)
{
    return big_endian ? hf_rd_be(r, bytes) : hf_rd_le(r, bytes);
}
static inline uint8_t hf_rd_u8(struct hf_rd *r)
{
    return (uint8_t)hf_rd_le(r, 1);
}
static inline uint32_t hf_rd_le32(struct hf_rd *r)
{
    return (uint32_t)hf_rd_le(r, 4);
}
static inline uint32_t hf_rd_be32(struct hf_rd *r)
{
    return (uint32_t)hf_rd_be(r, 4);
}
/* Unsigned LEB128 (as Go's binary.Uvarint): at most 10 bytes, else `bad`. */
static inline uint64_t hf_rd_uvarint(struct hf_rd *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t b = hf_rd_u8(r);
        if (r->bad || (shift == 63 && b > 1))
            break;
        v |= (b & 0x7f) << shift;
        if (!(b & 0x80))
            return v;
    }
    r->bad = true;
    return 0;
}
