/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/zip/zip.h"

#include <zlib.h>

#include "base/rd.h"

enum {
    END = 22,             /* bytes of the end record without its comment */
    END64 = 56,
    LOCATOR = 20,
    CENTRAL = 46,
    LOCAL = 30,
    COMMENT_MAX = 65535,
    WINDOW = 256 << 10,   /* more than the longest member record: 46 + 3 * 65535 */
    PIECE = 64 << 10,
};
enum { SIG_END = 0x06054b50, SIG_END64 = 0x06064b50, SIG_LOCATOR = 0x07064b50, SIG_CENTRAL = 0x02014b50, SIG_SIGNATURE = 0x05054b50, SIG_LOCAL = 0x04034b50 };

static int bad(struct hf_err *err, uint64_t at, const char *what)
{
    return hf_fail_at(err, HF_E_FORMAT, at, "zip: %s, at byte %llu", what, (unsigned long long)at);
}

/* Sizes that do not fit 32 bits are in a record of their own, which a locator right before the end record points to. */
static int end64(const struct hf_ra *ra, uint64_t end, uint64_t *n, uint64_t *size, uint64_t *off, uint64_t *ret_end, struct hf_err *err)
{
    char raw[END64];
    if (end < LOCATOR || hf_ra_read(ra, end - LOCATOR, raw, LOCATOR, NULL) < 0)
        return 0;
    struct hf_rd r = hf_rd(hf_span(raw, LOCATOR));
    if (hf_rd_le32(&r) != SIG_LOCATOR)
        return 0;
    hf_rd_skip(&r, 4);
    uint64_t at = hf_rd_le(&r, 8);
    /* Behind a prefix the record still stands right before its locator. */
    if ((at > ra->size || ra->size - at < END64 || hf_ra_read(ra, at, raw, 4, NULL) < 0 || memcmp(raw, "PK\6\6", 4) != 0) && end >= LOCATOR + END64)
        at = end - LOCATOR - END64;
    if (hf_ra_read(ra, at, raw, END64, NULL) < 0 || memcmp(raw, "PK\6\6", 4) != 0)
        return bad(err, at, "the 64-bit end record is not where it should be");
    r = hf_rd(hf_span(raw, END64));
    hf_rd_seek(&r, 32);
    *n = hf_rd_le(&r, 8);
    *size = hf_rd_le(&r, 8);
    *off = hf_rd_le(&r, 8);
    *ret_end = at;
    return 1;
}

static int find_end(const struct hf_ra *ra, uint64_t *ret, struct hf_span *record, struct hf_buf *work, struct hf_err *err)
{
    if (ra->size < END)
        return bad(err, 0, "too short for an archive");
    size_t n = (size_t)HF_MIN(ra->size, (uint64_t)(END + COMMENT_MAX));
    struct hf_span tail;
    int rc = hf_ra_get(ra, ra->size - n, n, work, &tail, err);
    if (rc < 0)
        return rc;
    for (size_t i = n - END + 1; i-- > 0;) {
        if (tail.p[i] != 'P' || memcmp(tail.p + i, "PK\5\6", 4) != 0)
            continue;
        size_t comment = (unsigned char)tail.p[i + 20] | (size_t)(unsigned char)tail.p[i + 21] << 8;
        if (comment > n - END - i)
            continue;
        *ret = ra->size - n + i;
        *record = hf_span_sub(tail, i, END);
        return 0;
    }
    return bad(err, ra->size, "no end record: not an archive, or cut off");
}

int hf_zip_open(struct hf_zip *z, const struct hf_ra *ra, struct hf_err *err)
{
    hf_autobuf work = HF_BUF_INIT(END + COMMENT_MAX);
    struct hf_span record = {NULL, 0};
    uint64_t end = 0;
    *z = (struct hf_zip){.ra = *ra};
    hf_buf_init(&z->window, WINDOW);
    int rc = find_end(ra, &end, &record, &work, err);
    if (rc < 0)
        return rc;
    struct hf_rd r = hf_rd(record);
    hf_rd_seek(&r, 10);
    uint64_t n = hf_rd_le(&r, 2), size = hf_rd_le32(&r), off = hf_rd_le32(&r);
    if (n == 0xffff || size == UINT32_MAX || off == UINT32_MAX) {
        rc = end64(ra, end, &n, &size, &off, &end, err);
        if (rc < 0)
            return rc;
    }
    if (size > end || off > end - size)
        return bad(err, end, "the central directory does not fit before its end record");
    z->prefix = end - size - off;
    z->at = end - size;
    z->end = end;
    z->announced = n;
    return 0;
}

void hf_zip_done(struct hf_zip *z)
{
    hf_buf_done(&z->window);
}

/* n bytes of the central directory at z->at. */
static int peek(struct hf_zip *z, size_t n, struct hf_span *ret, struct hf_err *err)
{
    if (n > z->end - z->at)
        return hf_fail_at(err, HF_E_TRUNCATED, z->at, "zip: the central directory ends inside a member, at byte %llu", (unsigned long long)z->at);
    if (z->ra.fd < 0) {
        *ret = hf_span(z->ra.mem.p + z->at, n);
        return 0;
    }
    if (z->at < z->window_at || z->at - z->window_at > z->window.n || n > z->window.n - (size_t)(z->at - z->window_at)) {
        struct hf_span all;
        int rc = hf_ra_get(&z->ra, z->at, (size_t)HF_MIN((uint64_t)WINDOW, z->end - z->at), &z->window, &all, err);
        if (rc < 0)
            return rc;
        z->window_at = z->at;
    }
    *ret = hf_span_sub(hf_buf_span(&z->window), (size_t)(z->at - z->window_at), n);
    return 0;
}

/* The 64-bit values stand in this order, each only where the 32-bit field is all ones. */
static void extra64(struct hf_span extra, struct hf_zip_member *m)
{
    struct hf_rd r = hf_rd(extra);
    while (hf_rd_left(&r) >= 4) {
        unsigned id = (unsigned)hf_rd_le(&r, 2);
        size_t n = (size_t)hf_rd_le(&r, 2);
        struct hf_rd f = hf_rd(hf_rd_span(&r, n));
        if (id != 1 || r.bad)
            continue;
        uint64_t *fields[] = {&m->size, &m->packed, &m->header};
        for (size_t i = 0; i < HF_ARRAY_LEN(fields); i++)
            if (*fields[i] == UINT32_MAX && hf_rd_left(&f) >= 8)
                *fields[i] = hf_rd_le(&f, 8);
        return;
    }
}

int hf_zip_next(struct hf_zip *z, struct hf_zip_member *ret, struct hf_err *err)
{
    struct hf_span raw;
    struct hf_rd r;
    uint32_t sig = 0;
    int rc;
    if (z->end - z->at >= 4) {
        rc = peek(z, 4, &raw, err);
        if (rc < 0)
            return rc;
        r = hf_rd(raw);
        sig = hf_rd_le32(&r);
    }
    /* The count is 16 bits wide and old tools let it wrap; going by it would hide members that Java loads classes from. */
    if (z->seen >= z->announced && (z->at == z->end || sig == SIG_SIGNATURE))
        return 0;
    if (z->seen >= HF_ZIP_MEMBERS_MAX)
        return hf_fail_at(err, HF_E_LIMIT, z->at, "zip: more than %d members", HF_ZIP_MEMBERS_MAX);
    rc = peek(z, CENTRAL, &raw, err);
    if (rc < 0)
        return rc;
    r = hf_rd(raw);
    if (hf_rd_le32(&r) != SIG_CENTRAL)
        return bad(err, z->at, "no member where the central directory should have one");
    hf_rd_skip(&r, 4);
    ret->flags = (uint16_t)hf_rd_le(&r, 2);
    ret->method = (uint16_t)hf_rd_le(&r, 2);
    hf_rd_skip(&r, 4);
    ret->crc = hf_rd_le32(&r);
    ret->packed = hf_rd_le32(&r);
    ret->size = hf_rd_le32(&r);
    size_t name = (size_t)hf_rd_le(&r, 2), extra = (size_t)hf_rd_le(&r, 2), comment = (size_t)hf_rd_le(&r, 2);
    hf_rd_skip(&r, 8);
    ret->header = hf_rd_le32(&r);
    rc = peek(z, CENTRAL + name + extra, &raw, err);
    if (rc < 0)
        return rc;
    ret->name = hf_span_sub(raw, CENTRAL, name);
    extra64(hf_span_sub(raw, CENTRAL + name, extra), ret);
    if (comment > z->end - z->at - CENTRAL - name - extra)
        return hf_fail_at(err, HF_E_TRUNCATED, z->at, "zip: the central directory ends inside a comment, at byte %llu", (unsigned long long)z->at);
    z->at += CENTRAL + name + extra + comment;
    z->seen++;
    return 1;
}

/* Offset of the member's bytes: behind its local header, whose name and extra field may differ from the central ones. */
static int data_of(const struct hf_zip *z, const struct hf_zip_member *m, uint64_t *ret, struct hf_err *err)
{
    char raw[LOCAL];
    uint64_t at;
    if (m->flags & 1)
        return hf_fail(err, HF_E_UNSUPPORTED, "zip: the member is encrypted");
    if (!hf_ckd_add(&at, m->header, z->prefix) || at > z->ra.size || z->ra.size - at < LOCAL)
        return bad(err, m->header, "a member's header lies beyond the end");
    int rc = hf_ra_read(&z->ra, at, raw, sizeof raw, err);
    if (rc < 0)
        return rc;
    struct hf_rd r = hf_rd(hf_span(raw, sizeof raw));
    if (hf_rd_le32(&r) != SIG_LOCAL)
        return bad(err, at, "no member header where one should be");
    hf_rd_seek(&r, 26);
    uint64_t n = hf_rd_le(&r, 2), extra = hf_rd_le(&r, 2);
    at += LOCAL + n + extra;
    if (at > z->ra.size || m->packed > z->ra.size - at)
        return hf_fail_at(err, HF_E_TRUNCATED, at, "zip: a member of %llu bytes lies beyond the end", (unsigned long long)m->packed);
    *ret = at;
    return 0;
}

int hf_zip_stored(const struct hf_zip *z, const struct hf_zip_member *m, struct hf_ra *ret, struct hf_err *err)
{
    uint64_t at;
    if (m->method != 0 || m->packed != m->size)
        return hf_fail(err, HF_E_UNSUPPORTED, "zip: the member is not stored");
    int rc = data_of(z, m, &at, err);
    if (rc < 0)
        return rc;
    *ret = z->ra.fd < 0 ? hf_ra_mem(hf_span_sub(z->ra.mem, (size_t)at, (size_t)m->size)) : hf_ra_fd(z->ra.fd, z->ra.base + at, m->size);
    return 0;
}

static int inflate_member(const struct hf_zip *z, const struct hf_zip_member *m, uint64_t at, struct hf_buf *out, struct hf_err *err)
{
    hf_autobuf work = HF_BUF_INIT(PIECE);
    z_stream s = {.next_in = NULL};
    if (inflateInit2(&s, -MAX_WBITS) != Z_OK)
        return hf_fail(err, HF_E_LIMIT, "out of memory");
    uint64_t left = m->packed;
    int rc = 0, zrc = Z_OK;
    s.next_out = (Bytef *)out->p;
    s.avail_out = (uInt)m->size;
    while (zrc == Z_OK) {
        struct hf_span piece;
        size_t n = (size_t)HF_MIN(left, (uint64_t)PIECE);
        rc = hf_ra_get(&z->ra, at, n, &work, &piece, err);
        if (rc < 0)
            break;
        at += n;
        left -= n;
        s.next_in = (Bytef *)(uintptr_t)piece.p;
        s.avail_in = (uInt)n;
        zrc = inflate(&s, left ? Z_NO_FLUSH : Z_FINISH);
        if (zrc == Z_BUF_ERROR && left && s.avail_out)
            zrc = Z_OK;
    }
    out->n = (size_t)m->size - s.avail_out;
    inflateEnd(&s);
    if (rc < 0)
        return rc;
    return zrc == Z_STREAM_END && out->n == m->size ? 0 : bad(err, m->header, "a member's data is damaged or has another size than announced");
}

int hf_zip_read(const struct hf_zip *z, const struct hf_zip_member *m, struct hf_buf *out, struct hf_err *err)
{
    uint64_t at;
    hf_buf_clear(out);
    if (m->method != 0 && m->method != 8)
        return hf_fail(err, HF_E_UNSUPPORTED, "zip: compression method %u is not read", m->method);
    int rc = data_of(z, m, &at, err);
    if (rc < 0)
        return rc;
    if (m->size >= UINT32_MAX || m->size > out->max || !hf_buf_reserve(out, (size_t)m->size))
        return hf_fail(err, HF_E_LIMIT, "zip: a member of %llu bytes, at most %zu are held", (unsigned long long)m->size, out->max);
    if (m->method == 8) {
        rc = inflate_member(z, m, at, out, err);
    } else if (m->packed != m->size) {
        rc = bad(err, m->header, "a stored member has two sizes");
    } else {
        rc = hf_ra_read(&z->ra, at, out->p, (size_t)m->size, err);
        out->n = rc < 0 ? 0 : (size_t)m->size;
    }
    if (rc < 0)
        return rc;
    if ((uint32_t)crc32(0, (const Bytef *)(out->p ? out->p : ""), (uInt)out->n) != m->crc)
        return bad(err, m->header, "a member does not have its checksum");
    return 0;
}
