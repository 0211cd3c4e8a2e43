/* SPDX-License-Identifier: Apache-2.0 */
/* Sections and segments of an ELF file lie inside it. */
#include <stdlib.h>

#include "formats/elf/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_ra ra = hf_ra_mem(hf_span((const char *)data, size));
    struct hf_elf e;
    struct hf_elf_part p;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf work = HF_BUF_INIT(1 << 20);
    uint64_t off;
    int rc = hf_elf_open(&ra, &e, &err);
    if (rc == 1) {
        static const char *const names[] = {".text", ".dep-v0", ".go.buildinfo", ""};
        for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
            if (hf_elf_section(&e, &ra, names[i], &work, &p, &err) == 1 && (p.offset > size || p.size > size - p.offset))
                abort();
        for (size_t i = 0; hf_elf_segment(&e, &ra, i, &p, &err) == 1; i++)
            if (p.size && (p.offset > size || p.size > size - p.offset))
                abort();
        if (hf_elf_offset(&e, &ra, 0x401000, &off) && off > size)
            abort();
    } else if (rc < 0 && !err.msg[0]) {
        abort();
    }
    return 0;
}
