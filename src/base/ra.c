/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ra.h"

#include <errno.h>

int hf_ra_read(const struct hf_ra *ra, uint64_t off, void *buf, size_t n, struct hf_err *err)
{
    if (off > ra->size || n > ra->size - off)
        return hf_fail_at(err, HF_E_TRUNCATED, off, "%zu bytes at offset %llu are beyond the end at %llu", n,
                (unsigned long long)off, (unsigned long long)ra->size);
    if (ra->fd < 0) {
        if (n)
            memcpy(buf, ra->mem.p + off, n);
        return 0;
    }
    char *p = buf;
    while (n) {
        ssize_t k = pread(ra->fd, p, n, (off_t)(ra->base + off));
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return hf_fail_at(err, -errno, off, "reading at offset %llu: %s", (unsigned long long)off, hf_err_name(-errno));
        if (k == 0)
            return hf_fail_at(err, HF_E_TRUNCATED, off, "file ends at offset %llu", (unsigned long long)off);
        p += k;
        off += (uint64_t)k;
        n -= (size_t)k;
    }
    return 0;
}

int hf_ra_get(const struct hf_ra *ra, uint64_t off, size_t n, struct hf_buf *buf, struct hf_span *ret, struct hf_err *err)
{
    if (off > ra->size || n > ra->size - off)
        return hf_ra_read(ra, off, NULL, n, err);
    if (ra->fd < 0) {
        *ret = hf_span(n ? ra->mem.p + off : ra->mem.p, n); /* p may be NULL */
        return 0;
    }
    hf_buf_clear(buf);
    if (!hf_buf_reserve(buf, n))
        return hf_fail_at(err, HF_E_LIMIT, off, "%zu bytes wanted, at most %zu are held in memory", n, buf->max);
    int rc = hf_ra_read(ra, off, buf->p, n, err);
    if (rc < 0)
        return rc;
    buf->n = n;
    *ret = hf_buf_span(buf);
    return 0;
}

int hf_ra_all(const struct hf_ra *ra, struct hf_buf *buf, struct hf_span *ret, struct hf_err *err)
{
    if (ra->size > SIZE_MAX)
        return hf_fail(err, HF_E_LIMIT, "file too large");
    return hf_ra_get(ra, 0, (size_t)ra->size, buf, ret, err);
}
