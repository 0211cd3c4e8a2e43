/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/gobuild/pclntab.h"

#include "base/rd.h"

enum { MAGIC_116 = 0xfffffffa, MAGIC_118 = 0xfffffff0, MAGIC_120 = 0xfffffff1 };

int hf_gopclntab_names(const struct hf_ra *ra, struct hf_buf *work, struct hf_span *ret, struct hf_err *err)
{
    struct hf_elf e;
    struct hf_elf_part p;
    char head[72];
    int rc = hf_elf_open(ra, &e, err);
    if (rc == 1) {
        rc = hf_elf_section(&e, ra, ".gopclntab", work, &p, err);
        if (rc == 0)
            rc = hf_elf_section(&e, ra, ".data.rel.ro.gopclntab", work, &p, err);
    }
    if (rc != 1)
        return rc;
    if (p.size < sizeof head || hf_ra_read(ra, p.offset, head, sizeof head, err) < 0)
        return 0;
    struct hf_rd r = hf_rd(hf_span(head, sizeof head));
    uint32_t magic = (uint32_t)hf_rd_int(&r, 4, e.big);
    hf_rd_skip(&r, 3);
    unsigned word = hf_rd_u8(&r);
    if ((magic != MAGIC_116 && magic != MAGIC_118 && magic != MAGIC_120) || (word != 4 && word != 8))
        return 0;
    hf_rd_skip(&r, 2 * (size_t)word + (magic == MAGIC_116 ? 0 : word)); /* functions, files, since 1.18 the text's address */
    uint64_t from = hf_rd_int(&r, word, e.big), to = hf_rd_int(&r, word, e.big);
    if (r.bad || from > to || to > p.size)
        return hf_fail_at(err, HF_E_FORMAT, p.offset, "Go line table: names from %llu to %llu of %llu bytes", (unsigned long long)from, (unsigned long long)to,
                (unsigned long long)p.size);
    rc = hf_ra_get(ra, p.offset + from, (size_t)(to - from), work, ret, err);
    return rc < 0 ? rc : 1;
}
