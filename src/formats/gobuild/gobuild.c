/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/gobuild/gobuild.h"

#include "base/rd.h"

enum {
    MAX_VERSION_TEXT = 1024,
    MAX_MODULES = 8 << 20, /* thousands of modules make some hundred KB */
    SEARCH = 1 << 20,      /* of the data segment, when there are no section headers */
    ALIGN = 16,
    HEADER = 32,
};
static const char magic[] = HF_GOBUILD_MAGIC;

/* Offset of the header: its section, else an aligned search at the start of the first writable segment. */
static int find(const struct hf_elf *e, const struct hf_ra *ra, struct hf_buf *tables, uint64_t *ret, struct hf_err *err)
{
    struct hf_elf_part p;
    char head[14];
    int rc = hf_elf_section(e, ra, ".go.buildinfo", tables, &p, err);
    if (rc < 0 && rc != HF_E_TRUNCATED && rc != HF_E_FORMAT && rc != HF_E_LIMIT)
        return rc;
    if (rc == 1 && p.size >= HEADER && hf_ra_read(ra, p.offset, head, sizeof head, err) >= 0 && memcmp(head, magic, sizeof head) == 0) {
        *ret = p.offset;
        return 1;
    }
    if (e->shnum && rc == 0)
        return 0; /* sections are there and none is Go's */
    for (size_t i = 0; hf_elf_segment(e, ra, i, &p, NULL) == 1; i++) {
        if (p.type != 1 || !(p.flags & 2))
            continue;
        struct hf_span data;
        rc = hf_ra_get(ra, p.offset, (size_t)HF_MIN(p.size, (uint64_t)SEARCH), tables, &data, err);
        if (rc < 0)
            return rc;
        for (size_t at = 0; at + HEADER <= data.n; at += ALIGN)
            if (memcmp(data.p + at, magic, sizeof magic - 1) == 0) {
                *ret = p.offset + at;
                return 1;
            }
        return 0;
    }
    return 0;
}

/* uvarint length, then the bytes, appended to work. */
static int inline_string(const struct hf_ra *ra, uint64_t *off, uint64_t max, struct hf_buf *work, size_t *ret_n, struct hf_err *err)
{
    char raw[10];
    size_t n = (size_t)HF_MIN((uint64_t)sizeof raw, ra->size - HF_MIN(ra->size, *off));
    int rc = hf_ra_read(ra, *off, raw, n, err);
    if (rc < 0)
        return rc;
    struct hf_rd r = hf_rd(hf_span(raw, n));
    uint64_t len = hf_rd_uvarint(&r);
    if (r.bad || len > max)
        return hf_fail_at(err, HF_E_FORMAT, *off, "Go build information: a string of %llu bytes", (unsigned long long)len);
    *off += r.off;
    if (!hf_buf_reserve(work, (size_t)len))
        return hf_fail(err, HF_E_LIMIT, "Go build information of %llu bytes is over the memory limit", (unsigned long long)len);
    rc = hf_ra_read(ra, *off, work->p + work->n, (size_t)len, err);
    if (rc < 0)
        return rc;
    work->n += (size_t)len;
    *off += len;
    *ret_n = (size_t)len;
    return 0;
}

/* Before Go 1.18 the header points at a string header: address and length. */
static int pointed_string(const struct hf_elf *e, const struct hf_ra *ra, uint64_t addr, unsigned word, bool big, uint64_t max, struct hf_buf *work, size_t *ret_n,
        struct hf_err *err)
{
    char raw[16];
    uint64_t off;
    *ret_n = 0;
    if (!addr)
        return 0;
    if (!hf_elf_offset(e, ra, addr, &off))
        return hf_fail(err, HF_E_FORMAT, "Go build information points outside the program");
    int rc = hf_ra_read(ra, off, raw, 2 * (size_t)word, err);
    if (rc < 0)
        return rc;
    struct hf_rd r = hf_rd(hf_span(raw, 2 * (size_t)word));
    uint64_t data = hf_rd_int(&r, word, big), len = hf_rd_int(&r, word, big);
    if (!len)
        return 0;
    if (len > max || !hf_elf_offset(e, ra, data, &off))
        return hf_fail(err, HF_E_FORMAT, "Go build information: a string of %llu bytes outside the program", (unsigned long long)len);
    if (!hf_buf_reserve(work, (size_t)len))
        return hf_fail(err, HF_E_LIMIT, "Go build information is over the memory limit");
    rc = hf_ra_read(ra, off, work->p + work->n, (size_t)len, err);
    if (rc < 0)
        return rc;
    work->n += (size_t)len;
    *ret_n = (size_t)len;
    return 0;
}

/* The strings behind the header at `at`; flag 2 of the header says that they are there. */
static int inline_strings(const struct hf_ra *ra, uint64_t at, struct hf_buf *work, size_t *n_version, size_t *n_modules, struct hf_err *err)
{
    at += HEADER;
    int rc = inline_string(ra, &at, MAX_VERSION_TEXT, work, n_version, err);
    return rc < 0 ? rc : inline_string(ra, &at, MAX_MODULES, work, n_modules, err);
}

static void result(const struct hf_buf *work, size_t n_version, size_t n_modules, struct hf_span *ret_version, struct hf_span *ret_modules)
{
    *ret_version = hf_span(work->p, n_version);
    *ret_modules = hf_span(work->p + n_version, n_modules);
    /* The module text stands between two 16-byte marks. */
    if (n_modules >= 33 && ret_modules->p[n_modules - 17] == '\n')
        *ret_modules = hf_span_sub(*ret_modules, 16, n_modules - 32);
    else
        *ret_modules = hf_span("", 0);
}

int hf_gobuild_read(const struct hf_ra *ra, struct hf_buf *work, struct hf_buf *tables, struct hf_span *ret_version, struct hf_span *ret_modules, struct hf_err *err)
{
    struct hf_elf e;
    uint64_t at;
    char head[HEADER];
    size_t n_version = 0, n_modules = 0;
    int rc = hf_elf_open(ra, &e, err);
    if (rc == 1)
        rc = find(&e, ra, tables, &at, err);
    if (rc == HF_E_FORMAT || rc == HF_E_TRUNCATED) /* a damaged program that shows no sign of Go; what is wrong behind that sign is an error */
        return 0;
    if (rc != 1)
        return rc;
    rc = hf_ra_read(ra, at, head, sizeof head, err);
    hf_buf_clear(work);
    if (rc < 0)
        return rc;
    unsigned word = (unsigned char)head[14], flags = (unsigned char)head[15];
    if (flags & 2) {
        rc = inline_strings(ra, at, work, &n_version, &n_modules, err);
    } else if (word == 4 || word == 8) {
        struct hf_rd r = hf_rd(hf_span(head + 16, 16));
        uint64_t version = hf_rd_int(&r, word, flags & 1), modules = hf_rd_int(&r, word, flags & 1);
        rc = pointed_string(&e, ra, version, word, flags & 1, MAX_VERSION_TEXT, work, &n_version, err);
        if (rc >= 0)
            rc = pointed_string(&e, ra, modules, word, flags & 1, MAX_MODULES, work, &n_modules, err);
    } else {
        return hf_fail_at(err, HF_E_FORMAT, at, "Go build information with pointers of %u bytes", word);
    }
    if (rc < 0)
        return rc;
    result(work, n_version, n_modules, ret_version, ret_modules);
    return 1;
}

int hf_gobuild_fragment(const struct hf_ra *ra, struct hf_buf *work, struct hf_span *ret_version, struct hf_span *ret_modules, struct hf_err *err)
{
    char head[HEADER];
    size_t n_version = 0, n_modules = 0;
    int rc = hf_ra_read(ra, 0, head, sizeof head, err);
    if (rc < 0)
        return rc;
    if (memcmp(head, magic, sizeof magic - 1) != 0)
        return hf_fail(err, HF_E_FORMAT, "no Go build information where it was looked for");
    if (!((unsigned char)head[15] & 2))
        return hf_fail(err, HF_E_UNSUPPORTED, "Go build information of before Go 1.18, whose strings lie elsewhere in the program");
    hf_buf_clear(work);
    rc = inline_strings(ra, 0, work, &n_version, &n_modules, err);
    if (rc < 0)
        return rc;
    result(work, n_version, n_modules, ret_version, ret_modules);
    return 1;
}
