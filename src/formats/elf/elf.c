/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/elf/elf.h"

#include "base/rd.h"

enum { MAX_NAMES = 1 << 20 };

int hf_elf_open(const struct hf_ra *ra, struct hf_elf *ret, struct hf_err *err)
{
    char head[64];
    size_t n = (size_t)HF_MIN(ra->size, (uint64_t)sizeof head);
    int rc = hf_ra_read(ra, 0, head, n, err);
    if (rc < 0)
        return rc;
    if (n < 52 || memcmp(head, "\x7f" "ELF", 4) != 0 || (head[4] != 1 && head[4] != 2) || (head[5] != 1 && head[5] != 2))
        return 0;
    struct hf_elf e = {.is64 = head[4] == 2, .big = head[5] == 2};
    struct hf_rd r = hf_rd(hf_span(head, n));
    unsigned word = e.is64 ? 8 : 4;
    hf_rd_seek(&r, 16);
    e.type = (uint16_t)hf_rd_int(&r, 2, e.big);
    hf_rd_skip(&r, 2 + 4 + word); /* machine, version, entry */
    e.phoff = hf_rd_int(&r, word, e.big);
    e.shoff = hf_rd_int(&r, word, e.big);
    hf_rd_skip(&r, 4 + 2); /* flags, ehsize */
    e.phentsize = (uint32_t)hf_rd_int(&r, 2, e.big);
    e.phnum = (uint32_t)hf_rd_int(&r, 2, e.big);
    e.shentsize = (uint32_t)hf_rd_int(&r, 2, e.big);
    e.shnum = (uint32_t)hf_rd_int(&r, 2, e.big);
    e.shstrndx = (uint32_t)hf_rd_int(&r, 2, e.big);
    if (r.bad)
        return hf_fail(err, HF_E_TRUNCATED, "ELF header ends early");
    if (e.phnum && e.phentsize != (e.is64 ? 56u : 32u))
        return hf_fail(err, HF_E_FORMAT, "ELF header: program headers of %u bytes", e.phentsize);
    /* A program runs without sections, so damaged ones are as none. */
    if (e.shentsize != (e.is64 ? 64u : 40u) || e.shstrndx >= e.shnum || e.shoff >= ra->size)
        e.shnum = 0;
    *ret = e;
    return 1;
}

static struct hf_elf_part section(const struct hf_elf *e, struct hf_span table, size_t i, uint32_t *name)
{
    struct hf_rd r = hf_rd(hf_span_sub(table, i * e->shentsize, e->shentsize));
    unsigned word = e->is64 ? 8 : 4;
    struct hf_elf_part p;
    *name = (uint32_t)hf_rd_int(&r, 4, e->big);
    p.type = (uint32_t)hf_rd_int(&r, 4, e->big);
    p.flags = (uint32_t)hf_rd_int(&r, word, e->big);
    p.addr = hf_rd_int(&r, word, e->big);
    p.offset = hf_rd_int(&r, word, e->big);
    p.size = hf_rd_int(&r, word, e->big);
    return p;
}

int hf_elf_section(const struct hf_elf *e, const struct hf_ra *ra, const char *name, struct hf_buf *work, struct hf_elf_part *ret, struct hf_err *err)
{
    if (!e->shnum || e->shnum > HF_ELF_MAX_SECTIONS || e->shstrndx >= e->shnum)
        return 0;
    hf_autobuf table_buf = HF_BUF_INIT((size_t)HF_ELF_MAX_SECTIONS * 64);
    struct hf_span table, names;
    int rc = hf_ra_get(ra, e->shoff, (size_t)e->shnum * e->shentsize, &table_buf, &table, err);
    if (rc < 0)
        return rc;
    uint32_t at;
    struct hf_elf_part strings = section(e, table, e->shstrndx, &at);
    if (strings.type != 3) /* SHT_STRTAB */
        return hf_fail(err, HF_E_FORMAT, "ELF section headers are damaged: no section of names");
    if (strings.size > MAX_NAMES)
        return hf_fail(err, HF_E_LIMIT, "ELF section names of %llu bytes", (unsigned long long)strings.size);
    rc = hf_ra_get(ra, strings.offset, (size_t)strings.size, work, &names, err);
    if (rc < 0)
        return rc;
    size_t n = strlen(name);
    for (size_t i = 0; i < e->shnum; i++) {
        struct hf_elf_part p = section(e, table, i, &at);
        if (at < names.n && names.n - at > n && memcmp(names.p + at, name, n + 1) == 0) {
            if (p.type == 8) /* SHT_NOBITS has no bytes in the file */
                return 0;
            if (p.offset > ra->size || p.size > ra->size - p.offset)
                return hf_fail_at(err, HF_E_TRUNCATED, p.offset, "ELF section %s lies beyond the end of the file", name);
            *ret = p;
            return 1;
        }
    }
    return 0;
}

int hf_elf_segment(const struct hf_elf *e, const struct hf_ra *ra, size_t i, struct hf_elf_part *ret, struct hf_err *err)
{
    char raw[56];
    if (i >= e->phnum || i >= HF_ELF_MAX_SEGMENTS)
        return 0;
    uint64_t off;
    if (!hf_ckd_add(&off, e->phoff, (uint64_t)i * e->phentsize))
        return 0;
    int rc = hf_ra_read(ra, off, raw, e->phentsize, err);
    if (rc < 0)
        return rc;
    struct hf_rd r = hf_rd(hf_span(raw, e->phentsize));
    struct hf_elf_part p;
    p.type = (uint32_t)hf_rd_int(&r, 4, e->big);
    p.flags = e->is64 ? (uint32_t)hf_rd_int(&r, 4, e->big) : 0;
    unsigned word = e->is64 ? 8 : 4;
    p.offset = hf_rd_int(&r, word, e->big);
    p.addr = hf_rd_int(&r, word, e->big);
    hf_rd_skip(&r, word);
    p.size = hf_rd_int(&r, word, e->big);
    if (!e->is64) {
        hf_rd_skip(&r, word);
        p.flags = (uint32_t)hf_rd_int(&r, 4, e->big);
    }
    if (p.offset > ra->size)
        p.size = 0;
    else
        p.size = HF_MIN(p.size, ra->size - p.offset);
    *ret = p;
    return 1;
}

bool hf_elf_offset(const struct hf_elf *e, const struct hf_ra *ra, uint64_t addr, uint64_t *ret)
{
    struct hf_elf_part p;
    for (size_t i = 0; hf_elf_segment(e, ra, i, &p, NULL) == 1; i++)
        if (p.type == 1 && addr >= p.addr && addr - p.addr < p.size) {
            *ret = p.offset + (addr - p.addr);
            return true;
        }
    return false;
}
