/* SPDX-License-Identifier: Apache-2.0 */
#include "seal/seal.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zstd.h>

#include "base/json.h"
#include "image/winpax.h"
#include "seal/seal-internal.h"

struct block {
    uint64_t offset;
    uint32_t size;
    uint8_t hash[32];
    struct hf_span first;
};
struct owner {
    uint32_t mode, uid, gid;
};
struct package {
    struct hf_span text, purl;
};
struct by_content {
    uint64_t head; /* first bytes of the digest */
    uint32_t block, at;
};

struct hf_seal {
    struct hf_span file;
    void *mapped;
    struct hf_arena arena;
    struct block *blocks;
    uint32_t n_blocks;
    uint64_t n_entries;
    struct owner *owners;
    uint32_t n_owners;
    struct package *packages;
    uint32_t n_packages;
    struct hf_span *layers;
    uint32_t n_layers;
    struct hf_span *windows;
    uint32_t n_windows;
    uint32_t version;
    uint8_t root[32];
    struct hf_buf payload;
    struct hf_json_doc *statement;
    struct hf_buf signatures[HF_SEAL_MAX_SIGNATURES];
    size_t n_signatures;
    struct hf_digest config, manifest, index;
    struct hf_buf raw;  /* the block at hand, unpacked */
    uint32_t at_block;  /* which; UINT32_MAX: none */
    struct hf_seal_entry *entries; /* of it, their text in texts */
    uint32_t n_at;
    struct hf_arena texts;
    struct by_content *contents;
    size_t n_contents;
    bool indexed;
};

void hf_seal_leaf(struct hf_span bytes, uint8_t ret[32])
{
    uint8_t out[64] = {0};
    struct hf_hash *h = hf_hash_new(HF_SHA256);
    memset(ret, 0, 32);
    if (!h)
        return;
    hf_hash_add(h, "", 1); /* 0x00: a leaf */
    hf_hash_add(h, bytes.p, bytes.n);
    hf_hash_end(h, out);
    hf_hash_free(h);
    memcpy(ret, out, 32);
}

/* RFC 6962's tree is what pairing neighbours level by level gives, an odd last one going up as it is. */
void hf_seal_tree(uint8_t (*leaves)[32], size_t n, uint8_t ret[32])
{
    struct hf_hash *h = hf_hash_new(HF_SHA256);
    uint8_t out[64] = {0};
    memset(ret, 0, 32);
    if (!h)
        return;
    if (n == 0) {
        hf_hash_end(h, out);
        memcpy(ret, out, 32);
    }
    for (; n > 1; n = (n + 1) / 2) {
        for (size_t i = 0; i + 1 < n; i += 2) {
            hf_hash_add(h, "\1", 1);
            hf_hash_add(h, leaves[i], 32);
            hf_hash_add(h, leaves[i + 1], 32);
            hf_hash_end(h, out);
            memcpy(leaves[i / 2], out, 32);
        }
        if (n % 2)
            memmove(leaves[n / 2], leaves[n - 1], 32);
    }
    if (n == 1)
        memcpy(ret, leaves[0], 32);
    hf_hash_free(h);
}

/* Absolute, no empty, "." or ".." component, no NUL, not the root itself. */
bool hf_seal_path_ok(struct hf_span path)
{
    struct hf_span rest, part;
    if (path.n < 2 || path.n > HF_SEAL_MAX_PATH || path.p[0] != '/' || path.p[path.n - 1] == '/' || memchr(path.p, 0, path.n))
        return false;
    for (rest = hf_span_from(path, 1); hf_span_cut(&rest, '/', &part);)
        if (!part.n || hf_span_eqz(part, ".") || hf_span_eqz(part, ".."))
            return false;
    return true;
}

static struct hf_span get_span(struct hf_rd *r)
{
    uint64_t n = hf_rd_uvarint(r);
    if (n > hf_rd_left(r)) {
        r->bad = true;
        return hf_span("", 0);
    }
    return hf_rd_span(r, (size_t)n);
}

static uint32_t get_u32(struct hf_rd *r)
{
    uint64_t v = hf_rd_uvarint(r);
    if (v > UINT32_MAX)
        r->bad = true;
    return (uint32_t)v;
}

/* How many records may follow: each takes at least `least` bytes. */
static uint32_t get_count(struct hf_rd *r, size_t least)
{
    uint64_t n = hf_rd_uvarint(r);
    if (r->bad || n > hf_rd_left(r) / least || n > HF_SEAL_MAX_ENTRIES) {
        r->bad = true;
        return 0;
    }
    return (uint32_t)n;
}

static int read_tables(struct hf_seal *s, struct hf_span bytes, struct hf_err *err)
{
    struct hf_rd r = hf_rd(bytes);
    s->n_owners = get_count(&r, 3);
    s->owners = hf_arena_calloc(&s->arena, (size_t)s->n_owners + 1, sizeof *s->owners);
    for (uint32_t i = 0; s->owners && i < s->n_owners; i++) {
        s->owners[i].mode = get_u32(&r);
        s->owners[i].uid = get_u32(&r);
        s->owners[i].gid = get_u32(&r);
    }
    s->n_packages = get_count(&r, 2);
    s->packages = hf_arena_calloc(&s->arena, (size_t)s->n_packages + 1, sizeof *s->packages);
    for (uint32_t i = 0; s->packages && i < s->n_packages; i++) {
        s->packages[i].text = get_span(&r);
        s->packages[i].purl = get_span(&r);
    }
    s->n_layers = get_count(&r, 1);
    s->layers = hf_arena_calloc(&s->arena, (size_t)s->n_layers + 1, sizeof *s->layers);
    for (uint32_t i = 0; s->layers && i < s->n_layers; i++)
        s->layers[i] = get_span(&r);
    s->n_windows = s->version == HF_SEAL_VERSION_WINDOWS ? get_count(&r, 1) : 0;
    s->windows = hf_arena_calloc(&s->arena, (size_t)s->n_windows + 1, sizeof *s->windows);
    for (uint32_t i = 0; s->windows && i < s->n_windows; i++) {
        struct hf_winfile w;
        s->windows[i] = get_span(&r);
        r.bad = r.bad || !hf_winfile_read(s->windows[i], &w);
    }
    if (!s->owners || !s->packages || !s->layers || !s->windows)
        return hf_fail(err, HF_E_LIMIT, "the seal's tables need too much memory");
    if (r.bad || hf_rd_left(&r))
        return hf_fail(err, HF_E_FORMAT, "the seal's tables are damaged");
    return 0;
}

static int read_index(struct hf_seal *s, struct hf_span bytes, uint32_t n, uint64_t blocks_end, struct hf_err *err)
{
    struct hf_rd r = hf_rd(bytes);
    uint64_t at = HF_SEAL_HEADER;
    struct hf_span before = hf_span("", 0);
    if (n > HF_SEAL_MAX_BLOCKS || n > bytes.n / 34)
        return hf_fail(err, HF_E_FORMAT, "the seal's index is too short for %u blocks", n);
    s->blocks = hf_arena_calloc(&s->arena, (size_t)n + 1, sizeof *s->blocks);
    if (!s->blocks)
        return hf_fail(err, HF_E_LIMIT, "the seal's index needs too much memory");
    s->n_blocks = n;
    for (uint32_t i = 0; i < n; i++) {
        struct block *b = &s->blocks[i];
        b->offset = at;
        b->size = get_u32(&r);
        struct hf_span hash = hf_rd_span(&r, 32);
        b->first = get_span(&r);
        if (r.bad || b->size > blocks_end - at || !hf_seal_path_ok(b->first) || hf_span_cmp(before, b->first) >= 0)
            return hf_fail(err, HF_E_FORMAT, "the seal's index is damaged at block %u", i);
        memcpy(b->hash, hash.p, 32);
        before = b->first;
        at += b->size;
    }
    if (hf_rd_left(&r) || at != blocks_end)
        return hf_fail(err, HF_E_FORMAT, "the seal's index does not cover its blocks");
    return 0;
}

static int root_of(struct hf_seal *s, struct hf_span tables, struct hf_span index, struct hf_err *err)
{
    uint8_t (*leaves)[32] = hf_try_alloc((size_t)s->n_blocks + 2, 32, HF_SEAL_MAX_BYTES);
    if (!leaves)
        return hf_fail(err, HF_E_LIMIT, "the seal's tree needs too much memory");
    for (uint32_t i = 0; i < s->n_blocks; i++)
        memcpy(leaves[i], s->blocks[i].hash, 32);
    hf_seal_leaf(tables, leaves[s->n_blocks]);
    hf_seal_leaf(index, leaves[s->n_blocks + 1]);
    hf_seal_tree(leaves, (size_t)s->n_blocks + 2, s->root);
    free(leaves);
    return 0;
}

static int read_signatures(struct hf_seal *s, hf_jnode list, struct hf_err *err)
{
    HF_JFOREACH(one, list) {
        if (s->n_signatures == HF_SEAL_MAX_SIGNATURES)
            return hf_fail(err, HF_E_LIMIT, "the seal has more than %d signatures", HF_SEAL_MAX_SIGNATURES);
        struct hf_buf *b = &s->signatures[s->n_signatures++];
        hf_buf_init(b, 4096);
        if (hf_unbase64(hf_jgetstr(one, "sig"), b) < 0 || !b->n)
            return hf_fail(err, HF_E_FORMAT, "signature %zu of the seal is not base64", s->n_signatures);
    }
    return 0;
}

/* A digest the predicate names must be one of the subjects: that is what verifiers of in-toto look at. */
static int image_digest(struct hf_seal *s, hf_jnode root, const char *name, struct hf_digest *ret, struct hf_err *err)
{
    struct hf_span text = hf_jgetstr(hf_jget(hf_jget(root, "predicate"), "image"), name);
    (void)s;
    if (!text.n)
        return 0;
    if (hf_digest_parse(text, ret) < 0)
        return hf_fail(err, HF_E_FORMAT, "the seal's statement: the image's %s is no digest", name);
    size_t colon = hf_span_find(text, ':');
    HF_JFOREACH(subject, hf_jget(root, "subject"))
        if (hf_span_eq(hf_jgetstr(hf_jget(subject, "digest"), ret->kind == HF_SHA256 ? "sha256" : "sha512"), hf_span_from(text, colon + 1)))
            return 0;
    return hf_fail(err, HF_E_FORMAT, "the seal's statement: the image's %s is none of its subjects", name);
}

static int read_statement(struct hf_seal *s, struct hf_err *err)
{
    char hex[65];
    double n;
    int rc = hf_json_parse(hf_buf_span(&s->payload), &s->statement, err);
    if (rc < 0)
        return hf_wrap(err, rc, "the seal's statement");
    hf_jnode root = hf_json_root(s->statement), p = hf_jget(root, "predicate");
    if (!hf_span_eqz(hf_jgetstr(root, "_type"), "https://in-toto.io/Statement/v1") || !hf_span_eqz(hf_jgetstr(root, "predicateType"), HF_SEAL_PREDICATE))
        return hf_fail(err, HF_E_UNSUPPORTED, "the seal's statement is of another type");
    hf_hex(s->root, 32, hex);
    if (!hf_span_eqz(hf_jgetstr(p, "root"), hex))
        return hf_fail(err, HF_E_DIGEST, "the seal was changed: its statement is about root " HF_SPAN_FMT ", its content has %s",
                HF_SPAN_ARG(hf_span_sub(hf_jgetstr(p, "root"), 0, 64)), hex);
    if (!hf_jnum(hf_jget(p, "entries"), &n) || n != (double)s->n_entries)
        return hf_fail(err, HF_E_DIGEST, "the seal was changed: its statement and its header count different entries");
    rc = image_digest(s, root, "config", &s->config, err);
    rc = rc < 0 ? rc : image_digest(s, root, "manifest", &s->manifest, err);
    return rc < 0 ? rc : image_digest(s, root, "index", &s->index, err);
}

static int read_envelope(struct hf_seal *s, struct hf_span text, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_json_parse(text, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "the seal's envelope");
    hf_jnode root = hf_json_root(doc);
    if (!hf_span_eqz(hf_jgetstr(root, "payloadType"), HF_SEAL_PAYLOAD_TYPE))
        return hf_fail(err, HF_E_UNSUPPORTED, "the seal's envelope holds no in-toto statement");
    if (hf_unbase64(hf_jgetstr(root, "payload"), &s->payload) < 0)
        return hf_fail(err, HF_E_FORMAT, "the seal's statement is not base64");
    rc = read_signatures(s, hf_jget(root, "signatures"), err);
    return rc < 0 ? rc : read_statement(s, err);
}

static int read_file(struct hf_seal *s, struct hf_err *err)
{
    struct hf_rd r = hf_rd(s->file);
    struct hf_span magic = hf_rd_span(&r, 8);
    if (r.bad || !hf_span_eqz(magic, HF_SEAL_MAGIC))
        return hf_fail(err, HF_E_FORMAT, "this is not a seal");
    uint32_t version = hf_rd_le32(&r), n_blocks = hf_rd_le32(&r);
    s->n_entries = hf_rd_le(&r, 8);
    uint64_t tables = hf_rd_le(&r, 8), index = hf_rd_le(&r, 8), trailer = hf_rd_le(&r, 8), end = hf_rd_le(&r, 8);
    uint64_t reserved = hf_rd_le(&r, 8);
    if (!r.bad && version != HF_SEAL_VERSION && version != HF_SEAL_VERSION_WINDOWS)
        return hf_fail(err, HF_E_UNSUPPORTED, "the seal has format version %u; this program reads %d and %d", version, HF_SEAL_VERSION, HF_SEAL_VERSION_WINDOWS);
    s->version = version;
    if (r.bad || s->file.n < end)
        return hf_fail(err, HF_E_TRUNCATED, "the seal is cut off: %zu of %llu bytes are there", s->file.n, (unsigned long long)end);
    if (s->file.n > end || reserved || tables < HF_SEAL_HEADER || index < tables || trailer < index || end < trailer || index - tables > HF_SEAL_MAX_TABLES ||
            end - trailer > HF_SEAL_MAX_TRAILER)
        return hf_fail(err, HF_E_FORMAT, "the seal's header is damaged");
    if (s->n_entries > HF_SEAL_MAX_ENTRIES)
        return hf_fail(err, HF_E_LIMIT, "the seal has more than %d entries", HF_SEAL_MAX_ENTRIES);
    struct hf_span tables_bytes = hf_span_sub(s->file, (size_t)tables, (size_t)(index - tables)), index_bytes = hf_span_sub(s->file, (size_t)index, (size_t)(trailer - index));
    int rc = read_tables(s, tables_bytes, err);
    rc = rc < 0 ? rc : read_index(s, index_bytes, n_blocks, tables, err);
    rc = rc < 0 ? rc : root_of(s, tables_bytes, index_bytes, err);
    return rc < 0 ? rc : read_envelope(s, hf_span_from(s->file, (size_t)trailer), err);
}

static int open_bytes(struct hf_seal **ret, struct hf_span bytes, void *mapped, struct hf_err *err)
{
    struct hf_seal *s = calloc(1, sizeof *s);
    if (!s) {
        if (mapped)
            munmap(mapped, bytes.n);
        return hf_fail(err, -ENOMEM, "out of memory");
    }
    s->file = bytes;
    s->mapped = mapped;
    s->at_block = UINT32_MAX;
    hf_arena_init(&s->arena, HF_SEAL_MAX_BYTES);
    hf_arena_init(&s->texts, 2 * HF_SEAL_BLOCK_RAW);
    hf_buf_init(&s->payload, HF_SEAL_MAX_TRAILER);
    hf_buf_init(&s->raw, HF_SEAL_BLOCK_RAW);
    int rc = read_file(s, err);
    if (rc < 0) {
        hf_seal_close(s);
        return rc;
    }
    *ret = s;
    return 0;
}

int hf_seal_open_mem(struct hf_seal **ret, struct hf_span bytes, struct hf_err *err)
{
    return open_bytes(ret, bytes, NULL, err);
}

/* Read, not mapped: a file that is cut off while it is mapped would end the process with SIGBUS. */
int hf_seal_open(struct hf_seal **ret, int fd, struct hf_err *err)
{
    hf_autoclose int own = fd;
    struct stat st;
    if (fstat(own, &st) < 0)
        return hf_fail(err, -errno, "seal: %s", hf_err_name(-errno));
    if (!S_ISREG(st.st_mode))
        return hf_fail(err, HF_E_FORMAT, "this is not a seal: no regular file");
    if (st.st_size > HF_SEAL_MAX_BYTES)
        return hf_fail(err, HF_E_LIMIT, "the seal is larger than %d bytes", HF_SEAL_MAX_BYTES);
    if (st.st_size == 0)
        return hf_fail(err, HF_E_TRUNCATED, "the seal is empty");
    size_t n = (size_t)st.st_size, got = 0;
    char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return hf_fail(err, -errno, "the seal of %zu bytes does not fit into memory", n);
    while (got < n) {
        ssize_t k = pread(own, p + got, n - got, (off_t)got);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            int rc = k < 0 ? -errno : HF_E_TRUNCATED;
            munmap(p, n);
            return hf_fail(err, rc, "seal: %s", k < 0 ? hf_err_name(rc) : "it became shorter while it was read");
        }
        got += (size_t)k;
    }
    return open_bytes(ret, hf_span(p, n), p, err);
}

void hf_seal_close(struct hf_seal *s)
{
    if (!s)
        return;
    if (s->mapped)
        munmap(s->mapped, s->file.n);
    for (size_t i = 0; i < s->n_signatures; i++)
        hf_buf_done(&s->signatures[i]);
    hf_json_doc_free(s->statement);
    hf_buf_done(&s->payload);
    hf_buf_done(&s->raw);
    hf_arena_done(&s->arena);
    hf_arena_done(&s->texts);
    free(s->contents);
    free(s);
}

/* --- blocks --- */

static int unpack(struct hf_seal *s, uint32_t i, struct hf_err *err)
{
    const struct block *b = &s->blocks[i];
    struct hf_span stored = hf_span_sub(s->file, (size_t)b->offset, b->size);
    uint8_t hash[32];
    hf_seal_leaf(stored, hash);
    if (memcmp(hash, b->hash, 32) != 0)
        return hf_fail_at(err, HF_E_DIGEST, b->offset, "the seal was changed: block %u, which begins with " HF_SPAN_FMT ", is not what its root says", i,
                HF_SPAN_ARG(hf_span_sub(b->first, 0, 200)));
    hf_buf_clear(&s->raw);
    unsigned long long size = ZSTD_getFrameContentSize(stored.p, stored.n);
    if (size > HF_SEAL_BLOCK_RAW || !hf_buf_reserve(&s->raw, (size_t)size))
        return hf_fail(err, HF_E_FORMAT, "the seal's block %u has no or a wrong size", i);
    size_t got = ZSTD_decompress(s->raw.p, (size_t)size, stored.p, stored.n);
    if (ZSTD_isError(got) || got != size)
        return hf_fail(err, HF_E_FORMAT, "the seal's block %u is damaged", i);
    s->raw.n = got;
    return 0;
}

static bool read_entry(struct hf_seal *s, struct hf_rd *r, struct hf_span *hashes, struct hf_span before, struct hf_seal_entry *e)
{
    uint8_t has = hf_rd_u8(r);
    uint64_t shared = hf_rd_uvarint(r);
    struct hf_span rest = get_span(r);
    uint32_t owner = get_u32(r);
    if (r->bad || shared > before.n || shared + rest.n > HF_SEAL_MAX_PATH || owner >= s->n_owners || (has & 0x80))
        return false;
    char *path = hf_arena_alloc(&s->texts, (size_t)shared + rest.n + 1);
    if (!path)
        return false;
    if (shared)
        memcpy(path, before.p, (size_t)shared);
    if (rest.n)
        memcpy(path + shared, rest.p, rest.n);
    *e = (struct hf_seal_entry){.path = {path, (size_t)shared + rest.n}, .mode = s->owners[owner].mode, .uid = s->owners[owner].uid, .gid = s->owners[owner].gid,
            .package = UINT32_MAX, .layer = UINT32_MAX};
    if (has & HF_SEAL_HAS_SIZE)
        e->size = hf_rd_uvarint(r);
    if (has & HF_SEAL_HAS_LINK)
        e->link = get_span(r);
    if (has & HF_SEAL_HAS_CAPS)
        e->caps = get_span(r);
    if (has & HF_SEAL_HAS_PACKAGE && (e->package = get_u32(r)) >= s->n_packages)
        return false;
    if (has & HF_SEAL_HAS_LAYER && (e->layer = get_u32(r)) >= s->n_layers)
        return false;
    if (has & HF_SEAL_HAS_WINDOWS) {
        uint32_t at = get_u32(r);
        if (at >= s->n_windows)
            return false;
        e->windows = s->windows[at];
    }
    if (has & HF_SEAL_HAS_SHA256) {
        if (hashes->n < 32)
            return false;
        e->has_sha256 = true;
        memcpy(e->sha256, hashes->p, 32);
        *hashes = hf_span_from(*hashes, 32);
    }
    return !r->bad && hf_seal_path_ok(e->path) && hf_span_cmp(before, e->path) < 0 && e->link.n <= HF_SEAL_MAX_PATH && e->caps.n <= HF_SEAL_MAX_CAPS;
}

/* Makes block i the one at hand. */
static int load(struct hf_seal *s, uint32_t i, struct hf_err *err)
{
    if (s->at_block == i)
        return 0;
    s->at_block = UINT32_MAX;
    int rc = unpack(s, i, err);
    if (rc < 0)
        return rc;
    size_t max = s->texts.max;
    hf_arena_done(&s->texts);
    hf_arena_init(&s->texts, max);
    struct hf_rd r = hf_rd(hf_buf_span(&s->raw));
    uint32_t n = get_count(&r, 4);
    uint64_t n_hashes = hf_rd_uvarint(&r);
    if (r.bad || !n || n > HF_SEAL_BLOCK_ENTRIES || n_hashes > n)
        return hf_fail(err, HF_E_FORMAT, "the seal's block %u is damaged", i);
    struct hf_span hashes = hf_rd_span(&r, (size_t)n_hashes * 32), before = hf_span("", 0);
    s->entries = hf_arena_calloc(&s->texts, n, sizeof *s->entries);
    if (!s->entries)
        return hf_fail(err, HF_E_LIMIT, "out of memory");
    for (uint32_t k = 0; k < n; k++) {
        if (!read_entry(s, &r, &hashes, before, &s->entries[k]))
            return hf_fail(err, HF_E_FORMAT, "the seal's block %u is damaged at entry %u", i, k);
        before = s->entries[k].path;
    }
    bool ends_before = i + 1 == s->n_blocks || hf_span_cmp(before, s->blocks[i + 1].first) < 0;
    if (hf_rd_left(&r) || hashes.n || !ends_before || !hf_span_eq(s->entries[0].path, s->blocks[i].first))
        return hf_fail(err, HF_E_FORMAT, "the seal's block %u does not fit into its index", i);
    s->n_at = n;
    s->at_block = i;
    return 0;
}

int hf_seal_find(struct hf_seal *s, struct hf_span path, struct hf_seal_entry *ret, struct hf_err *err)
{
    uint32_t low = 0, high = s->n_blocks; /* the last block whose first path is not behind this one */
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (hf_span_cmp(s->blocks[mid].first, path) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == 0)
        return 0;
    int rc = load(s, low - 1, err);
    if (rc < 0)
        return rc;
    for (low = 0, high = s->n_at; low < high;) {
        uint32_t mid = low + (high - low) / 2;
        int c = hf_span_cmp(s->entries[mid].path, path);
        if (c == 0) {
            *ret = s->entries[mid];
            return 1;
        }
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return 0;
}

int hf_seal_next(struct hf_seal *s, struct hf_seal_iter *it, struct hf_seal_entry *ret, struct hf_err *err)
{
    if (it->block >= s->n_blocks)
        return 0;
    int rc = load(s, it->block, err);
    if (rc < 0)
        return rc;
    *ret = s->entries[it->at++];
    if (it->at >= s->n_at) {
        it->block++;
        it->at = 0;
    }
    return 1;
}

static uint64_t head_of(const uint8_t d[32])
{
    uint64_t v;
    memcpy(&v, d, sizeof v);
    return v;
}

static int by_head(const void *a, const void *b)
{
    const struct by_content *x = a, *y = b;
    if (x->head != y->head)
        return x->head < y->head ? -1 : 1;
    return x->block != y->block ? (x->block < y->block ? -1 : 1) : x->at < y->at ? -1 : x->at > y->at;
}

static int index_contents(struct hf_seal *s, struct hf_err *err)
{
    struct hf_seal_iter it = {0};
    struct hf_seal_entry e;
    size_t n = 0, cap = 0;
    struct by_content *v = NULL;
    int rc;
    for (;;) {
        struct hf_seal_iter here = it;
        rc = hf_seal_next(s, &it, &e, err);
        if (rc <= 0)
            break;
        if (!e.has_sha256)
            continue;
        struct by_content *c = hf_grow((void **)&v, &n, &cap, sizeof *c, HF_SEAL_MAX_ENTRIES);
        if (!c) {
            rc = hf_fail(err, HF_E_LIMIT, "out of memory");
            break;
        }
        *c = (struct by_content){head_of(e.sha256), here.block, here.at};
    }
    if (rc < 0) {
        free(v);
        return rc;
    }
    if (n)
        qsort(v, n, sizeof *v, by_head);
    s->contents = v;
    s->n_contents = n;
    s->indexed = true;
    return 0;
}

int hf_seal_find_sha256(struct hf_seal *s, const uint8_t d[32], struct hf_seal_entry *ret, struct hf_err *err)
{
    uint64_t head = head_of(d);
    int rc = s->indexed ? 0 : index_contents(s, err);
    if (rc < 0)
        return rc;
    size_t low = 0, high = s->n_contents;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->contents[mid].head < head)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < s->n_contents && s->contents[low].head == head; low++) {
        if ((rc = load(s, s->contents[low].block, err)) < 0)
            return rc;
        const struct hf_seal_entry *e = &s->entries[s->contents[low].at];
        if (memcmp(e->sha256, d, 32) == 0) {
            *ret = *e;
            return 1;
        }
    }
    return 0;
}

/* --- facts --- */

const struct hf_digest *hf_seal_config_digest(const struct hf_seal *s)
{
    return &s->config;
}

const struct hf_digest *hf_seal_manifest_digest(const struct hf_seal *s)
{
    return &s->manifest;
}

const struct hf_digest *hf_seal_index_digest(const struct hf_seal *s)
{
    return &s->index;
}

bool hf_seal_is_of(const struct hf_seal *s, const struct hf_digest *image)
{
    const struct hf_digest *known[] = {&s->config, &s->manifest, &s->index};
    for (size_t i = 0; i < HF_ARRAY_LEN(known) && image->n; i++)
        if (known[i]->n && hf_digest_eq(known[i], image))
            return true;
    return false;
}

const uint8_t *hf_seal_root(const struct hf_seal *s)
{
    return s->root;
}

uint64_t hf_seal_entries(const struct hf_seal *s)
{
    return s->n_entries;
}

static struct hf_span predicate(const struct hf_seal *s, const char *name)
{
    return hf_jgetstr(hf_jget(hf_json_root(s->statement), "predicate"), name);
}

struct hf_span hf_seal_target(const struct hf_seal *s)
{
    return predicate(s, "target");
}

struct hf_span hf_seal_created(const struct hf_seal *s)
{
    return predicate(s, "created");
}

struct hf_span hf_seal_os(const struct hf_seal *s)
{
    return predicate(s, "os");
}

struct hf_span hf_seal_arch(const struct hf_seal *s)
{
    return predicate(s, "arch");
}

uint32_t hf_seal_packages(const struct hf_seal *s)
{
    return s->n_packages;
}

uint32_t hf_seal_layers(const struct hf_seal *s)
{
    return s->n_layers;
}

struct hf_span hf_seal_package(const struct hf_seal *s, uint32_t i)
{
    return i < s->n_packages ? s->packages[i].text : hf_span("", 0);
}

struct hf_span hf_seal_purl(const struct hf_seal *s, uint32_t i)
{
    return i < s->n_packages ? s->packages[i].purl : hf_span("", 0);
}

struct hf_span hf_seal_layer(const struct hf_seal *s, uint32_t i)
{
    return i < s->n_layers ? s->layers[i] : hf_span("", 0);
}

size_t hf_seal_signatures(const struct hf_seal *s)
{
    return s->n_signatures;
}

struct hf_span hf_seal_payload(const struct hf_seal *s)
{
    return hf_buf_span(&s->payload);
}

struct hf_span hf_seal_signature(const struct hf_seal *s, size_t i)
{
    return hf_buf_span(&s->signatures[i]);
}
