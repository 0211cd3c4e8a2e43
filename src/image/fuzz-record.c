/* SPDX-License-Identifier: Apache-2.0 */
/* A cache entry from hostile bytes: as stored (compressed), and the same bytes taken as the uncompressed record. */
#include <zstd.h>

#include "image/merge.h"
#include "image/record.h"

static void read_one(struct hf_span bytes)
{
    struct hf_record r;
    hf_record_init(&r, 4 << 20, 4 << 20, NULL);
    if (hf_record_read(&r, bytes, NULL) >= 0) {
        const struct hf_record *records[] = {&r, &r};
        struct hf_scan s;
        hf_scan_init(&s, 16 << 20);
        if (hf_merge(&s, records, 2, true, NULL, NULL) >= 0)
            for (size_t i = 0; i < s.n_packages; i++)
                if (!s.packages[i].n_locations)
                    abort();
        hf_scan_done(&s);
    }
    hf_record_done(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_one(hf_span((const char *)data, size));
    if (size > 1 << 20)
        return 0;
    hf_autobuf z = HF_BUF_INIT(4 << 20);
    for (unsigned i = 0; i < 8; i++)
        hf_buf_addc(&z, (char)((uint64_t)size >> (8 * i)));
    if (!hf_buf_reserve(&z, ZSTD_compressBound(size)))
        return 0;
    z.n += ZSTD_compress(z.p + z.n, ZSTD_compressBound(size), data, size, 1);
    read_one(hf_buf_span(&z));
    return 0;
}
