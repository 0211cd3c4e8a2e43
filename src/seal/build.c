/* SPDX-License-Identifier: Apache-2.0 */
/* The builder: entries in any order to the bytes of a seal.  The same entries and subject give the same bytes. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <zstd.h>

#include "base/json.h"
#include "image/winpax.h"
#include "seal/seal-internal.h"
#include "seal/seal.h"

enum { LEVEL = 3 };

struct owner {
    uint32_t mode, uid, gid;
};
struct hf_seal_builder {
    struct hf_arena arena;
    struct hf_seal_entry *v;
    size_t n, cap;
    struct owner *owners;
    size_t n_owners, cap_owners;
    struct hf_map by_owner;
    struct hf_span (*packages)[2];
    size_t n_packages, cap_packages;
    struct hf_map by_package;
    struct hf_span *layers;
    size_t n_layers, cap_layers;
    struct hf_span *windows; /* few differ */
    size_t n_windows, cap_windows;
    struct hf_map by_windows;
};

struct hf_seal_builder *hf_seal_builder_new(size_t max_bytes)
{
    struct hf_seal_builder *b = calloc(1, sizeof *b);
    if (b)
        hf_arena_init(&b->arena, max_bytes);
    return b;
}

void hf_seal_builder_free(struct hf_seal_builder *b)
{
    if (!b)
        return;
    hf_arena_done(&b->arena);
    hf_map_done(&b->by_owner);
    hf_map_done(&b->by_package);
    hf_map_done(&b->by_windows);
    free(b->windows);
    free(b->v);
    free(b->owners);
    free(b->packages);
    free(b->layers);
    free(b);
}

uint32_t hf_seal_builder_package(struct hf_seal_builder *b, struct hf_span name, struct hf_span version, struct hf_span purl)
{
    hf_autobuf key = HF_BUF_INIT(1 << 20);
    struct hf_span text, copy;
    uint64_t at;
    hf_buf_adds(&key, name);
    hf_buf_addc(&key, ' ');
    hf_buf_adds(&key, version);
    size_t n = key.n;
    hf_buf_addc(&key, 0);
    hf_buf_adds(&key, purl);
    if (!hf_buf_ok(&key))
        return UINT32_MAX;
    if (hf_map_get(&b->by_package, hf_buf_span(&key), &at))
        return (uint32_t)at;
    if (hf_arena_dup(&b->arena, hf_buf_span(&key), &copy) < 0)
        return UINT32_MAX;
    text = hf_span_sub(copy, 0, n);
    uint64_t *slot = hf_map_at(&b->by_package, copy, NULL);
    struct hf_span(*p)[2] = slot ? hf_grow((void **)&b->packages, &b->n_packages, &b->cap_packages, sizeof *p, HF_SEAL_MAX_ENTRIES) : NULL;
    if (!p)
        return UINT32_MAX;
    (*p)[0] = text;
    (*p)[1] = hf_span_from(copy, n + 1);
    *slot = b->n_packages - 1;
    return (uint32_t)(b->n_packages - 1);
}

uint32_t hf_seal_builder_layer(struct hf_seal_builder *b, struct hf_span diff_id)
{
    struct hf_span copy;
    struct hf_span *l = hf_arena_dup(&b->arena, diff_id, &copy) < 0 ? NULL : hf_grow((void **)&b->layers, &b->n_layers, &b->cap_layers, sizeof *l, HF_SEAL_MAX_ENTRIES);
    if (!l)
        return UINT32_MAX;
    *l = copy;
    return (uint32_t)(b->n_layers - 1);
}

/* Its one copy: files of one kind have the same. */
static int windows_of(struct hf_seal_builder *b, struct hf_span w, struct hf_span *ret)
{
    uint64_t at;
    struct hf_span copy;
    if (!hf_map_get(&b->by_windows, w, &at)) {
        uint64_t *slot = hf_arena_dup(&b->arena, w, &copy) < 0 ? NULL : hf_map_at(&b->by_windows, copy, NULL);
        struct hf_span *x = slot ? hf_grow((void **)&b->windows, &b->n_windows, &b->cap_windows, sizeof *x, HF_SEAL_MAX_ENTRIES) : NULL;
        if (!x)
            return HF_E_LIMIT;
        *x = copy;
        at = *slot = b->n_windows - 1;
    }
    *ret = b->windows[at];
    return 0;
}

static int add(struct hf_seal_builder *b, const struct hf_seal_entry *e)
{
    if (b->n == b->cap && b->cap * 2 * sizeof *b->v > b->arena.max - HF_MIN(b->arena.max, b->arena.used))
        return HF_E_LIMIT;
    struct hf_seal_entry *x = hf_grow((void **)&b->v, &b->n, &b->cap, sizeof *x, HF_SEAL_MAX_ENTRIES);
    if (!x)
        return HF_E_LIMIT;
    *x = *e;
    int rc = hf_arena_dup(&b->arena, e->path, &x->path);
    rc = rc < 0 ? rc : hf_arena_dup(&b->arena, e->link, &x->link);
    rc = rc < 0 || !e->windows.n ? rc : windows_of(b, e->windows, &x->windows);
    return rc < 0 ? rc : hf_arena_dup(&b->arena, e->caps, &x->caps);
}

int hf_seal_builder_add(struct hf_seal_builder *b, const struct hf_seal_entry *e, struct hf_err *err)
{
    if (!hf_seal_path_ok(e->path))
        return hf_fail(err, HF_E_FORMAT, "not an absolute path without empty, \".\" and \"..\" parts: " HF_SPAN_FMT, HF_SPAN_ARG(hf_span_sub(e->path, 0, 300)));
    if (e->link.n > HF_SEAL_MAX_PATH || e->caps.n > HF_SEAL_MAX_CAPS)
        return hf_fail(err, HF_E_LIMIT, HF_SPAN_FMT ": its %s is too long", HF_SPAN_ARG(hf_span_sub(e->path, 0, 300)), e->caps.n > HF_SEAL_MAX_CAPS ? "capability attribute" : "link");
    struct hf_winfile w;
    if (e->windows.n && !hf_winfile_read(e->windows, &w))
        return hf_fail(err, HF_E_FORMAT, HF_SPAN_FMT ": attributes of Windows that are none", HF_SPAN_ARG(hf_span_sub(e->path, 0, 300)));
    if ((e->package != UINT32_MAX && e->package >= b->n_packages) || (e->layer != UINT32_MAX && e->layer >= b->n_layers))
        return hf_fail(err, HF_E_FORMAT, HF_SPAN_FMT ": no such package or layer", HF_SPAN_ARG(hf_span_sub(e->path, 0, 300)));
    int rc = add(b, e);
    return rc < 0 ? hf_fail(err, rc, "the list of files is over the memory limit; raise --max-memory") : 0;
}

static int by_path(const void *a, const void *b)
{
    const struct hf_seal_entry *x = a, *y = b;
    return hf_span_cmp(x->path, y->path);
}

static void put_uvarint(struct hf_buf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        hf_buf_addc(b, (char)(v | 0x80));
    hf_buf_addc(b, (char)v);
}

static void put_span(struct hf_buf *b, struct hf_span s)
{
    put_uvarint(b, s.n);
    hf_buf_adds(b, s);
}

/* Mode and owner repeat: few pairs make up most files. */
static uint32_t owner_of(struct hf_seal_builder *b, const struct hf_seal_entry *e)
{
    struct owner o = {e->mode, e->uid, e->gid};
    struct hf_span key = hf_span((const char *)&o, sizeof o), copy;
    uint64_t at;
    if (hf_map_get(&b->by_owner, key, &at))
        return (uint32_t)at;
    uint64_t *slot = hf_arena_dup(&b->arena, key, &copy) < 0 ? NULL : hf_map_at(&b->by_owner, copy, NULL);
    struct owner *x = slot ? hf_grow((void **)&b->owners, &b->n_owners, &b->cap_owners, sizeof *x, HF_SEAL_MAX_ENTRIES) : NULL;
    if (!x)
        return UINT32_MAX;
    *x = o;
    *slot = b->n_owners - 1;
    return (uint32_t)*slot;
}

static int put_entry(struct hf_seal_builder *b, const struct hf_seal_entry *e, struct hf_span before, struct hf_buf *out)
{
    uint8_t has = (uint8_t)((e->has_sha256 ? HF_SEAL_HAS_SHA256 : 0) | (e->link.n ? HF_SEAL_HAS_LINK : 0) | (e->caps.n ? HF_SEAL_HAS_CAPS : 0) |
            (e->package != UINT32_MAX ? HF_SEAL_HAS_PACKAGE : 0) | (e->layer != UINT32_MAX ? HF_SEAL_HAS_LAYER : 0) | (e->size ? HF_SEAL_HAS_SIZE : 0) |
            (e->windows.n ? HF_SEAL_HAS_WINDOWS : 0));
    size_t shared = 0;
    uint32_t owner = owner_of(b, e);
    if (owner == UINT32_MAX)
        return HF_E_LIMIT;
    while (shared < before.n && shared < e->path.n && before.p[shared] == e->path.p[shared])
        shared++;
    hf_buf_addc(out, (char)has);
    put_uvarint(out, shared);
    put_span(out, hf_span_from(e->path, shared));
    put_uvarint(out, owner);
    if (has & HF_SEAL_HAS_SIZE)
        put_uvarint(out, e->size);
    if (has & HF_SEAL_HAS_LINK)
        put_span(out, e->link);
    if (has & HF_SEAL_HAS_CAPS)
        put_span(out, e->caps);
    if (has & HF_SEAL_HAS_PACKAGE)
        put_uvarint(out, e->package);
    if (has & HF_SEAL_HAS_LAYER)
        put_uvarint(out, e->layer);
    if (has & HF_SEAL_HAS_WINDOWS) {
        uint64_t at = 0;
        if (!hf_map_get(&b->by_windows, e->windows, &at))
            return HF_E_FORMAT;
        put_uvarint(out, at);
    }
    return 0;
}

static int put_block(struct hf_seal_builder *b, size_t first, size_t n, struct hf_buf *raw, struct hf_buf *out, struct hf_err *err)
{
    struct hf_span before = hf_span("", 0);
    size_t hashes = 0;
    int rc = 0;
    hf_buf_clear(raw);
    for (size_t i = 0; i < n; i++)
        hashes += b->v[first + i].has_sha256;
    put_uvarint(raw, n);
    put_uvarint(raw, hashes);
    for (size_t i = 0; i < n; i++)
        if (b->v[first + i].has_sha256)
            hf_buf_add(raw, b->v[first + i].sha256, 32);
    for (size_t i = 0; i < n && rc >= 0; i++) {
        rc = put_entry(b, &b->v[first + i], before, raw);
        before = b->v[first + i].path;
    }
    size_t bound = ZSTD_compressBound(raw->n);
    if (rc < 0 || !hf_buf_ok(raw) || !hf_buf_reserve(out, bound))
        return hf_fail(err, HF_E_LIMIT, "the seal is over its limit of %d bytes, or there is no memory", HF_SEAL_MAX_BYTES);
    size_t got = ZSTD_compress(out->p + out->n, bound, raw->p, raw->n, LEVEL);
    if (ZSTD_isError(got))
        return hf_fail(err, HF_E_LIMIT, "zstd: %s", ZSTD_getErrorName(got));
    out->n += got;
    return 0;
}

static void put_tables(const struct hf_seal_builder *b, struct hf_buf *out)
{
    put_uvarint(out, b->n_owners);
    for (size_t i = 0; i < b->n_owners; i++) {
        put_uvarint(out, b->owners[i].mode);
        put_uvarint(out, b->owners[i].uid);
        put_uvarint(out, b->owners[i].gid);
    }
    put_uvarint(out, b->n_packages);
    for (size_t i = 0; i < b->n_packages; i++) {
        put_span(out, b->packages[i][0]);
        put_span(out, b->packages[i][1]);
    }
    put_uvarint(out, b->n_layers);
    for (size_t i = 0; i < b->n_layers; i++)
        put_span(out, b->layers[i]);
    if (!b->n_windows)
        return;
    put_uvarint(out, b->n_windows);
    for (size_t i = 0; i < b->n_windows; i++)
        put_span(out, b->windows[i]);
}

static void put_subject(struct hf_jw *w, struct hf_span name, const char *what, const struct hf_digest *d)
{
    char text[HF_DIGEST_TEXT];
    if (!d->n)
        return;
    hf_digest_text(d, text);
    hf_jw_object(w);
    hf_jw_kstr(w, "name", name);
    hf_jw_key(w, "digest");
    hf_jw_object(w);
    hf_jw_kstrz(w, d->kind == HF_SHA512 ? "sha512" : "sha256", text + 7);
    hf_jw_object_end(w);
    hf_jw_key(w, "annotations");
    hf_jw_object(w);
    hf_jw_kstrz(w, "holdfast.dev/what", what);
    hf_jw_object_end(w);
    hf_jw_object_end(w);
}

static void put_image(struct hf_jw *w, const struct hf_seal_subject *s)
{
    char text[HF_DIGEST_TEXT];
    hf_jw_key(w, "image");
    hf_jw_object(w);
    if (s->config.n)
        hf_jw_kstrz(w, "config", hf_digest_text(&s->config, text));
    if (s->manifest.n)
        hf_jw_kstrz(w, "manifest", hf_digest_text(&s->manifest, text));
    if (s->index.n)
        hf_jw_kstrz(w, "index", hf_digest_text(&s->index, text));
    hf_jw_object_end(w);
}

static void put_statement(const struct hf_seal_builder *b, const struct hf_seal_subject *s, const uint8_t root[32], struct hf_buf *out)
{
    struct hf_jw w;
    char hex[65], when[32] = "1970-01-01T00:00:00Z";
    struct tm tm;
    time_t t = (time_t)s->created_unix;
    struct hf_digest own = {.kind = HF_SHA256, .n = 32};
    memcpy(own.b, root, 32);
    hf_hex(root, 32, hex);
    if (gmtime_r(&t, &tm))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "_type", "https://in-toto.io/Statement/v1");
    hf_jw_key(&w, "subject");
    hf_jw_array(&w);
    put_subject(&w, s->target, "manifest", &s->manifest);
    put_subject(&w, s->target, "config", &s->config);
    put_subject(&w, s->target, "index", &s->index);
    if (!s->manifest.n && !s->config.n) /* a directory: it is known by its content only */
        put_subject(&w, s->target, "root", &own);
    hf_jw_array_end(&w);
    hf_jw_kstrz(&w, "predicateType", HF_SEAL_PREDICATE);
    hf_jw_key(&w, "predicate");
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "root", hex);
    hf_jw_ku64(&w, "entries", b->n);
    hf_jw_kstr(&w, "target", s->target);
    put_image(&w, s);
    hf_jw_kstr_opt(&w, "os", s->os);
    hf_jw_kstr_opt(&w, "arch", s->arch);
    hf_jw_kstrs(&w, "layers", b->layers, b->n_layers);
    hf_jw_kstrz(&w, "created", when);
    hf_jw_kstrz(&w, "by", "holdfast " HF_VERSION);
    hf_jw_object_end(&w);
    hf_jw_object_end(&w);
}

static int put_envelope(struct hf_span statement, struct hf_span key, struct hf_buf *out, struct hf_err *err)
{
    hf_autobuf payload = HF_BUF_INIT(HF_SEAL_MAX_TRAILER), pae = HF_BUF_INIT(HF_SEAL_MAX_TRAILER), sig = HF_BUF_INIT(4096), text = HF_BUF_INIT(8192);
    struct hf_jw w;
    char id[65] = "";
    hf_base64(statement, &payload);
    if (key.n) {
        hf_seal_pae(statement, &pae);
        int rc = hf_buf_ok(&pae) ? hf_seal_sign(key, hf_buf_span(&pae), &sig, id, err) : hf_fail(err, HF_E_LIMIT, "the seal's statement is too large");
        if (rc < 0)
            return rc;
        hf_base64(hf_buf_span(&sig), &text);
    }
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "payloadType", HF_SEAL_PAYLOAD_TYPE);
    hf_jw_kstr(&w, "payload", hf_buf_span(&payload));
    hf_jw_key(&w, "signatures");
    hf_jw_array(&w);
    if (key.n) {
        hf_jw_object(&w);
        hf_jw_kstrz(&w, "keyid", id);
        hf_jw_kstr(&w, "sig", hf_buf_span(&text));
        hf_jw_object_end(&w);
    }
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    return hf_buf_ok(&payload) && hf_buf_ok(&text) ? 0 : hf_fail(err, HF_E_LIMIT, "the seal's statement is too large");
}

static void le(char *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(v >> (8 * i));
}

int hf_seal_builder_finish(struct hf_seal_builder *b, const struct hf_seal_subject *s, struct hf_buf *out, struct hf_err *err)
{
    hf_autobuf raw = HF_BUF_INIT(HF_SEAL_BLOCK_RAW), index = HF_BUF_INIT(HF_SEAL_MAX_BYTES), statement = HF_BUF_INIT(HF_SEAL_MAX_TRAILER / 2);
    char header[HF_SEAL_HEADER] = HF_SEAL_MAGIC;
    size_t start = out->n, n_blocks = (b->n + HF_SEAL_BLOCK_ENTRIES - 1) / HF_SEAL_BLOCK_ENTRIES;
    uint8_t root[32];
    hf_autofree uint8_t (*leaves)[32] = hf_try_alloc(n_blocks + 2, 32, HF_SEAL_MAX_BYTES);
    if (!leaves)
        return hf_fail(err, -ENOMEM, "out of memory");
    if (b->n)
        qsort(b->v, b->n, sizeof *b->v, by_path);
    for (size_t i = 1; i < b->n; i++)
        if (hf_span_eq(b->v[i - 1].path, b->v[i].path))
            return hf_fail(err, HF_E_FORMAT, HF_SPAN_FMT " occurs twice", HF_SPAN_ARG(hf_span_sub(b->v[i].path, 0, 300)));
    hf_buf_add(out, header, sizeof header);
    for (size_t i = 0; i < n_blocks; i++) {
        size_t at = out->n, first = i * HF_SEAL_BLOCK_ENTRIES;
        int rc = put_block(b, first, HF_MIN(b->n - first, (size_t)HF_SEAL_BLOCK_ENTRIES), &raw, out, err);
        if (rc < 0)
            return rc;
        hf_seal_leaf(hf_span(out->p + at, out->n - at), leaves[i]);
        put_uvarint(&index, out->n - at);
        hf_buf_add(&index, leaves[i], 32);
        put_span(&index, b->v[first].path);
    }
    size_t tables = out->n;
    put_tables(b, out);
    size_t index_at = out->n;
    hf_buf_adds(out, hf_buf_span(&index));
    size_t trailer = out->n;
    if (!hf_buf_ok(out) || !hf_buf_ok(&index))
        return hf_fail(err, HF_E_LIMIT, "the seal is over its limit, or there is no memory");
    hf_seal_leaf(hf_span(out->p + tables, index_at - tables), leaves[n_blocks]);
    hf_seal_leaf(hf_span(out->p + index_at, trailer - index_at), leaves[n_blocks + 1]);
    hf_seal_tree(leaves, n_blocks + 2, root);
    put_statement(b, s, root, &statement);
    if (!hf_buf_ok(&statement))
        return hf_fail(err, HF_E_LIMIT, "the seal's statement is too large");
    int rc = put_envelope(hf_buf_span(&statement), s->key_pem, out, err);
    if (rc < 0 || !hf_buf_ok(out))
        return rc < 0 ? rc : hf_fail(err, HF_E_LIMIT, "the seal is over its limit, or there is no memory");
    le(header + 8, b->n_windows ? HF_SEAL_VERSION_WINDOWS : HF_SEAL_VERSION, 4);
    le(header + 12, n_blocks, 4);
    uint64_t fields[] = {b->n, tables - start, index_at - start, trailer - start, out->n - start};
    for (size_t i = 0; i < HF_ARRAY_LEN(fields); i++)
        le(header + 16 + 8 * i, fields[i], 8);
    memcpy(out->p + start, header, sizeof header);
    return 0;
}
