/* SPDX-License-Identifier: Apache-2.0 */
/* A seal from hostile bytes.  What opens is gone through, and every entry met is found again by its path and its content.
 *
 * An input that begins with 'S' is what lies behind the hashes, which somebody who makes a seal himself gets right: length of a block (2 bytes), the
 * block unpacked, length of its first path (1 byte), the path, the tables.  A seal with the right hashes is made of it. */
#include <stdio.h>
#include <zstd.h>

#include "seal/seal-internal.h"
#include "seal/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void le(struct hf_buf *out, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        hf_buf_addc(out, (char)(v >> (8 * i) & 0xff));
}

static void uvarint(struct hf_buf *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        hf_buf_addc(out, (char)((v & 0x7f) | 0x80));
    hf_buf_addc(out, (char)v);
}

static bool make(struct hf_span in, struct hf_buf *out)
{
    struct hf_rd r = hf_rd(in);
    struct hf_span raw = hf_rd_span(&r, hf_rd_le(&r, 2));
    struct hf_span path = hf_rd_span(&r, hf_rd_u8(&r)), tables = hf_span_from(in, r.off);
    struct hf_rd counts = hf_rd(raw);
    uint64_t entries = hf_rd_uvarint(&counts);
    static char block[80000];
    uint8_t leaves[3][32], root[32];
    char hex[65], statement[1024];
    hf_autobuf index = HF_BUF_INIT(4096), payload = HF_BUF_INIT(4096);
    size_t n = r.bad ? 0 : ZSTD_compress(block, sizeof block, raw.p, raw.n, 1);
    if (r.bad || ZSTD_isError(n))
        return false;
    uvarint(&index, n);
    hf_seal_leaf(hf_span(block, n), leaves[0]);
    hf_buf_add(&index, leaves[0], 32);
    uvarint(&index, path.n);
    hf_buf_adds(&index, path);
    hf_seal_leaf(tables, leaves[1]);
    hf_seal_leaf(hf_buf_span(&index), leaves[2]);
    hf_seal_tree(leaves, 3, root);
    hf_hex(root, 32, hex);
    int len = snprintf(statement, sizeof statement, "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[],\"predicateType\":\"" HF_SEAL_PREDICATE
            "\",\"predicate\":{\"root\":\"%s\",\"entries\":%llu,\"target\":\"x\",\"image\":{}}}", hex, (unsigned long long)entries);
    hf_base64(hf_span(statement, (size_t)len), &payload);
    uint64_t at = HF_SEAL_HEADER + n;
    hf_buf_add(out, HF_SEAL_MAGIC, 8);
    le(out, HF_SEAL_VERSION, 4);
    le(out, 1, 4);
    le(out, entries, 8);
    le(out, at, 8);
    le(out, at + tables.n, 8);
    le(out, at + tables.n + index.n, 8);
    size_t end = out->n;
    le(out, 0, 8);
    le(out, 0, 8);
    hf_buf_add(out, block, n);
    hf_buf_adds(out, tables);
    hf_buf_adds(out, hf_buf_span(&index));
    hf_buf_addz(out, "{\"payloadType\":\"" HF_SEAL_PAYLOAD_TYPE "\",\"payload\":\"");
    hf_buf_adds(out, hf_buf_span(&payload));
    hf_buf_addz(out, "\",\"signatures\":[]}");
    for (unsigned i = 0; hf_buf_ok(out) && i < 8; i++)
        out->p[end + i] = (char)((uint64_t)out->n >> (8 * i) & 0xff);
    return hf_buf_ok(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hf_cleanup(hf_seal_closep) struct hf_seal *s = NULL;
    struct hf_seal_iter it = {0};
    struct hf_seal_entry e, found;
    hf_autobuf before = HF_BUF_INIT(8192), made = HF_BUF_INIT(1u << 20);
    struct hf_span bytes = hf_span((const char *)data, size);
    if (size && data[0] == 'S') {
        if (!make(hf_span_from(bytes, 1), &made))
            return 0;
        bytes = hf_buf_span(&made);
    }
    if (hf_seal_open_mem(&s, bytes, NULL) < 0)
        return 0;
    while (hf_seal_next(s, &it, &e, NULL) == 1) {
        if (hf_span_cmp(hf_buf_span(&before), e.path) >= 0)
            abort();
        hf_buf_clear(&before);
        hf_buf_adds(&before, e.path);
        (void)hf_seal_package(s, e.package).n;
        (void)hf_seal_layer(s, e.layer).n;
        if (hf_seal_find(s, hf_buf_span(&before), &found, NULL) != 1)
            abort();
    }
    uint8_t none[32] = {1};
    if (hf_seal_find_sha256(s, none, &found, NULL) == 1 && memcmp(found.sha256, none, 32) != 0)
        abort();
    (void)hf_seal_target(s).n;
    if (hf_seal_check_signature(s, HF_S("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"), NULL) == 0)
        return 0;
    return 0;
}
