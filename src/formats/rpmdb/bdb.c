/* SPDX-License-Identifier: Apache-2.0 */
/* Berkeley DB hash access method, versions 7 to 10, read page by page in file order: a hash page says itself that it is
 * one, so neither the bucket table nor the chains of buckets are needed and nothing can make the walk go in circles. */
#include "base/rd.h"
#include "formats/rpmdb/rpmdb.h"

enum {
    HASH_MAGIC = 0x061561,
    META_BYTES = 72,
    PAGE_HEADER = 26,
    PAGE_MIN = 512,
    PAGE_MAX = 65536,
    /* page types */
    P_HASH_UNSORTED = 2,
    P_OVERFLOW = 7,
    P_HASHMETA = 8,
    P_HASH = 13,
    /* item types on hash pages */
    H_KEYDATA = 1,
    H_OFFPAGE = 3,
};

struct bdb {
    const struct hf_ra *ra;
    const struct hf_rpmdb_sink *sink;
    struct hf_buf *blob;
    bool big;
    uint32_t page_size, n_pages;
    uint32_t budget; /* overflow pages still to be visited: each belongs to one record, so all together at most n_pages */
    uint32_t n_headers;
};
struct page {
    uint32_t next;
    uint16_t entries, high; /* high: free space on hash pages, data bytes on overflow pages */
    uint8_t type;
};

static struct page page_header(const struct bdb *b, struct hf_span bytes)
{
    struct hf_rd r = hf_rd(bytes);
    struct page p = {0};
    hf_rd_skip(&r, 16);
    p.next = (uint32_t)hf_rd_int(&r, 4, b->big);
    p.entries = (uint16_t)hf_rd_int(&r, 2, b->big);
    p.high = (uint16_t)hf_rd_int(&r, 2, b->big);
    hf_rd_skip(&r, 1);
    p.type = hf_rd_u8(&r);
    return p;
}

static uint16_t item_offset(const struct bdb *b, struct hf_span page, unsigned i)
{
    struct hf_rd r = hf_rd(hf_span_from(page, PAGE_HEADER + (size_t)i * 2));
    return (uint16_t)hf_rd_int(&r, 2, b->big);
}

/* Items lie from the page's end downwards, each up to the start of the one before. */
static int item(const struct bdb *b, struct hf_span page, unsigned i, struct hf_span *ret, struct hf_err *err)
{
    size_t end = i ? item_offset(b, page, i - 1) : page.n, from = item_offset(b, page, i);
    if (from < PAGE_HEADER || end > page.n || from >= end)
        return hf_fail(err, HF_E_FORMAT, "item %u lies at %zu to %zu of %zu bytes", i, from, end, page.n);
    *ret = hf_span_sub(page, from, end - from);
    return 0;
}

static int bad(struct bdb *b, uint32_t page, const char *why)
{
    char text[600];
    snprintf(text, sizeof text, "Packages: page %u: %s", page, why);
    return b->sink->damaged(b->sink->ctx, text);
}

static int give(struct bdb *b, struct hf_span blob, struct hf_err *err)
{
    if (++b->n_headers > HF_RPM_HEADERS_MAX)
        return hf_fail(err, HF_E_LIMIT, "Packages has more than %d headers", HF_RPM_HEADERS_MAX);
    return b->sink->header(b->sink->ctx, blob, err);
}

/* Follows a chain of overflow pages.  1 when the record is in b->blob, 0 when it was damaged and reported. */
static int overflow(struct bdb *b, uint32_t first, uint32_t total, struct hf_err *err)
{
    hf_buf_clear(b->blob);
    if (total > HF_RPM_HEADER_MAX || total > b->blob->max)
        return bad(b, first, "header is over the memory limit");
    if (total > (uint64_t)b->n_pages * b->page_size)
        return bad(b, first, "header is said to be larger than the database");
    if (!hf_buf_reserve(b->blob, total))
        return hf_fail(err, HF_E_LIMIT, "no memory for a header of %u bytes", total);
    uint32_t no = first;
    while (b->blob->n < total) {
        uint8_t head[PAGE_HEADER];
        if (no == 0 || no >= b->n_pages)
            return bad(b, first, "chain of overflow pages leaves the database");
        if (b->budget == 0)
            return hf_fail(err, HF_E_FORMAT, "Packages: overflow pages are shared or form a circle (at page %u)", no);
        b->budget--;
        uint64_t at = (uint64_t)no * b->page_size;
        int rc = hf_ra_read(b->ra, at, head, sizeof head, err);
        if (rc < 0)
            return rc;
        struct page p = page_header(b, hf_span((const char *)head, sizeof head));
        if (p.type != P_OVERFLOW || p.high == 0 || p.high > b->page_size - PAGE_HEADER)
            return bad(b, no, "not an overflow page");
        size_t n = HF_MIN((size_t)p.high, total - b->blob->n);
        if ((rc = hf_ra_read(b->ra, at + PAGE_HEADER, b->blob->p + b->blob->n, n, err)) < 0)
            return rc;
        b->blob->n += n;
        no = p.next;
    }
    return 1;
}

static int hash_page(struct bdb *b, uint32_t no, struct hf_span page, struct hf_err *err)
{
    struct page p = page_header(b, page);
    struct hf_span key, data;
    struct hf_err e = HF_ERR_INIT;
    if (p.entries > (page.n - PAGE_HEADER) / 2)
        return bad(b, no, "more entries than fit");
    for (unsigned i = 0; i + 1 < p.entries; i += 2) {
        int rc;
        if (item(b, page, i, &key, &e) < 0 || item(b, page, i + 1, &data, &e) < 0) {
            if ((rc = bad(b, no, e.msg)) < 0)
                return rc;
            continue;
        }
        if (data.p[0] == H_KEYDATA) {
            /* Record 0 holds the last number given, no header. */
            bool counter = key.n == 5 && key.p[0] == H_KEYDATA && memcmp(key.p + 1, "\0\0\0\0", 4) == 0;
            if (!counter && (rc = give(b, hf_span_from(data, 1), err)) < 0)
                return rc;
        } else if (data.p[0] == H_OFFPAGE && data.n >= 12) {
            struct hf_rd r = hf_rd(hf_span_from(data, 4));
            uint32_t first = (uint32_t)hf_rd_int(&r, 4, b->big), total = (uint32_t)hf_rd_int(&r, 4, b->big);
            if ((rc = overflow(b, first, total, err)) < 0 || (rc > 0 && (rc = give(b, hf_buf_span(b->blob), err)) < 0))
                return rc;
        } else if ((rc = bad(b, no, "item of unknown type")) < 0) {
            return rc;
        }
    }
    return 0;
}

static int open_meta(struct bdb *b, struct hf_err *err)
{
    uint8_t m[META_BYTES];
    if (hf_ra_read(b->ra, 0, m, sizeof m, err) < 0)
        return hf_fail(err, HF_E_TRUNCATED, "Packages of %llu bytes", (unsigned long long)b->ra->size);
    struct hf_rd r = hf_rd(hf_span((const char *)m, sizeof m));
    hf_rd_seek(&r, 12);
    uint32_t magic = (uint32_t)hf_rd_le(&r, 4);
    b->big = magic == __builtin_bswap32(HASH_MAGIC);
    if (!b->big && magic != HASH_MAGIC)
        return hf_fail(err, HF_E_FORMAT, "Packages is no Berkeley DB hash (magic %08x)", magic);
    uint32_t version = (uint32_t)hf_rd_int(&r, 4, b->big);
    b->page_size = (uint32_t)hf_rd_int(&r, 4, b->big);
    uint8_t encrypted = hf_rd_u8(&r), type = hf_rd_u8(&r);
    if (version < 7 || version > 10)
        return hf_fail(err, HF_E_UNSUPPORTED, "Packages: Berkeley DB hash version %u (7 to 10 are known)", version);
    if (b->page_size < PAGE_MIN || b->page_size > PAGE_MAX || (b->page_size & (b->page_size - 1)))
        return hf_fail(err, HF_E_FORMAT, "Packages: page size %u", b->page_size);
    if (type != P_HASHMETA)
        return hf_fail(err, HF_E_FORMAT, "Packages: first page has type %u, not %d", type, P_HASHMETA);
    if (encrypted)
        return hf_fail(err, HF_E_UNSUPPORTED, "Packages is encrypted");
    hf_rd_seek(&r, 32);
    uint64_t said = hf_rd_int(&r, 4, b->big) + 1, there = b->ra->size / b->page_size;
    if (there > UINT32_MAX)
        return hf_fail(err, HF_E_LIMIT, "Packages has %llu pages", (unsigned long long)there);
    b->n_pages = (uint32_t)HF_MIN(said, there);
    b->budget = b->n_pages;
    if (said > there) {
        char text[120];
        snprintf(text, sizeof text, "Packages ends after %llu of %llu pages", (unsigned long long)there,
                (unsigned long long)said);
        return b->sink->damaged(b->sink->ctx, text);
    }
    return 0;
}

int hf_rpmdb_bdb(const struct hf_ra *db, struct hf_buf *work, const struct hf_rpmdb_sink *sink, struct hf_err *err)
{
    struct bdb b = {.ra = db, .sink = sink, .blob = work};
    int rc = open_meta(&b, err);
    if (rc < 0)
        return rc;
    hf_autobuf page_buf = HF_BUF_INIT(PAGE_MAX);
    for (uint32_t no = 1; no < b.n_pages; no++) {
        uint8_t head[PAGE_HEADER];
        struct hf_span page;
        uint64_t at = (uint64_t)no * b.page_size;
        if ((rc = hf_ra_read(db, at, head, sizeof head, err)) < 0)
            return rc;
        uint8_t type = page_header(&b, hf_span((const char *)head, sizeof head)).type;
        if (type != P_HASH && type != P_HASH_UNSORTED)
            continue;
        if ((rc = hf_ra_get(db, at, b.page_size, &page_buf, &page, err)) < 0 || (rc = hash_page(&b, no, page, err)) < 0)
            return rc;
    }
    return 0;
}
