/* SPDX-License-Identifier: Apache-2.0 */
/* NDB, rpm's own database (SUSE): 16-byte slots in the first pages point to blobs in units of 16 bytes. */
#include "base/rd.h"
#include "formats/rpmdb/rpmdb.h"

enum {
    DB_MAGIC = 0x506d7052,   /* "RpmP" */
    SLOT_MAGIC = 0x746f6c53, /* "Slot" */
    BLOB_MAGIC = 0x53626c42, /* "BlbS" */
    TAIL_MAGIC = 0x45626c42, /* "BlbE" */
    PAGE = 4096,
    UNIT = 16,
    BLOB_HEAD = 16,
    BLOB_TAIL = 12,
    SLOT_PAGES_MAX = 2048, /* about 524,000 packages */
};

struct ndb {
    const struct hf_ra *ra;
    const struct hf_rpmdb_sink *sink;
    struct hf_buf *work;
    uint64_t budget; /* blob bytes still to be read: blobs do not overlap, so all together at most the file */
    uint32_t n_headers;
};

static int bad(struct ndb *d, uint32_t package, const char *why)
{
    char text[200];
    snprintf(text, sizeof text, "Packages.db: package %u: %s", package, why);
    return d->sink->damaged(d->sink->ctx, text);
}

static int blob(struct ndb *d, uint32_t package, uint32_t unit, uint32_t units, struct hf_err *err)
{
    uint64_t at = (uint64_t)unit * UNIT, n = (uint64_t)units * UNIT;
    uint8_t head[BLOB_HEAD], tail[BLOB_TAIL];
    if (at > d->ra->size || n > d->ra->size - at || n < BLOB_HEAD + BLOB_TAIL)
        return bad(d, package, "its blob is outside the file");
    if (n > d->budget)
        return hf_fail(err, HF_E_FORMAT, "Packages.db: blobs overlap (at package %u)", package);
    d->budget -= n;
    int rc = hf_ra_read(d->ra, at, head, sizeof head, err);
    if (rc == 0)
        rc = hf_ra_read(d->ra, at + n - BLOB_TAIL, tail, sizeof tail, err);
    if (rc < 0)
        return rc;
    struct hf_rd r = hf_rd(hf_span((const char *)head, sizeof head));
    uint32_t magic = hf_rd_le32(&r), idx = hf_rd_le32(&r);
    hf_rd_skip(&r, 4);
    uint32_t len = hf_rd_le32(&r);
    struct hf_rd t = hf_rd(hf_span((const char *)tail, sizeof tail));
    hf_rd_skip(&t, 4); /* Adler-32 */
    uint32_t tail_len = hf_rd_le32(&t), tail_magic = hf_rd_le32(&t);
    if (magic != BLOB_MAGIC || idx != package || tail_magic != TAIL_MAGIC || tail_len != len)
        return bad(d, package, "its blob has the wrong head or tail");
    if (len > n - BLOB_HEAD - BLOB_TAIL)
        return bad(d, package, "its blob is longer than its space");
    if (len > HF_RPM_HEADER_MAX || len > d->work->max)
        return bad(d, package, "its header is over the memory limit");
    if (++d->n_headers > HF_RPM_HEADERS_MAX)
        return hf_fail(err, HF_E_LIMIT, "Packages.db has more than %d headers", HF_RPM_HEADERS_MAX);
    struct hf_span bytes;
    if ((rc = hf_ra_get(d->ra, at + BLOB_HEAD, len, d->work, &bytes, err)) < 0)
        return rc;
    return d->sink->header(d->sink->ctx, bytes, err);
}

int hf_rpmdb_ndb(const struct hf_ra *db, struct hf_buf *work, const struct hf_rpmdb_sink *sink, struct hf_err *err)
{
    struct ndb d = {.ra = db, .sink = sink, .work = work, .budget = db->size};
    uint8_t page[PAGE];
    if (hf_ra_read(db, 0, page, sizeof page, err) < 0)
        return hf_fail(err, HF_E_TRUNCATED, "Packages.db of %llu bytes", (unsigned long long)db->size);
    struct hf_rd r = hf_rd(hf_span((const char *)page, sizeof page));
    uint32_t magic = hf_rd_le32(&r), version = hf_rd_le32(&r);
    hf_rd_skip(&r, 4); /* generation */
    uint32_t slot_pages = hf_rd_le32(&r);
    if (magic != DB_MAGIC)
        return hf_fail(err, HF_E_FORMAT, "Packages.db is no NDB database (magic %08x)", magic);
    if (version != 0)
        return hf_fail(err, HF_E_UNSUPPORTED, "Packages.db: NDB version %u (0 is known)", version);
    if (slot_pages == 0 || slot_pages > SLOT_PAGES_MAX)
        return hf_fail(err, HF_E_FORMAT, "Packages.db: %u slot pages (1 to %d are possible)", slot_pages, SLOT_PAGES_MAX);
    hf_rd_seek(&r, 32); /* the header takes the place of two slots */
    for (uint32_t no = 0; no < slot_pages; no++) {
        int rc;
        if (no && (rc = hf_ra_read(db, (uint64_t)no * PAGE, page, sizeof page, err)) < 0)
            return rc;
        if (no)
            r = hf_rd(hf_span((const char *)page, sizeof page));
        while (hf_rd_left(&r) >= 16) {
            uint32_t slot = hf_rd_le32(&r), package = hf_rd_le32(&r), unit = hf_rd_le32(&r), units = hf_rd_le32(&r);
            if (slot != SLOT_MAGIC)
                return hf_fail(err, HF_E_FORMAT, "Packages.db: slot page %u is damaged", no);
            if (unit && (rc = blob(&d, package, unit, units, err)) < 0)
                return rc;
        }
    }
    return 0;
}
