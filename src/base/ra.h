/* SPDX-License-Identifier: Apache-2.0 */
/* ra.h - random access to the bytes of one file, wherever they are: in memory, or a region of an open descriptor.
 *
 * What a parser that needs to seek (ELF, zip, rpm database) reads from, so that large files are never loaded whole. */
#pragma once
#include "base/span.h"

struct hf_ra {
    uint64_t size; /* bytes */
    struct hf_span mem; /* the bytes themselves when fd < 0 */
    int fd;             /* borrowed */
    uint64_t base;      /* offset of byte 0 in fd */
};

static inline struct hf_ra hf_ra_mem(struct hf_span s)
{
    return (struct hf_ra){s.n, s, -1, 0};
}
static inline struct hf_ra hf_ra_fd(int fd, uint64_t base, uint64_t size)
{
    return (struct hf_ra){size, {NULL, 0}, fd, base};
}
/* Reads exactly n bytes at off into buf: 0, HF_E_TRUNCATED when the file (or the descriptor) is shorter, or -errno. */
HF_MUSTUSE int hf_ra_read(const struct hf_ra *ra, uint64_t off, void *buf, size_t n, struct hf_err *err);
/* The n bytes at off: borrowed from memory when they are there, else read into buf (which is emptied first; its
 * ceiling bounds n: HF_E_LIMIT).  Valid until buf or the file goes. */
HF_MUSTUSE int hf_ra_get(const struct hf_ra *ra, uint64_t off, size_t n, struct hf_buf *buf, struct hf_span *ret,
        struct hf_err *err);
/* The whole file the same way. */
HF_MUSTUSE int hf_ra_all(const struct hf_ra *ra, struct hf_buf *buf, struct hf_span *ret, struct hf_err *err);
