/* SPDX-License-Identifier: Apache-2.0 */
#include "image/record.h"

#include <zstd.h>

#include "base/rd.h"

enum {
    RECORD_VERSION = 5,
    MAX_FILES = 4 << 20,
    MAX_RECORD = 512 << 20, /* uncompressed, a cache entry over this is not believed */
};

void hf_record_init(struct hf_record *r, size_t max_facts_bytes, size_t max_log_bytes, struct hf_quota *quota)
{
    *r = (struct hf_record){.n_files = 0};
    hf_facts_init(&r->facts, max_facts_bytes);
    r->facts.quota = r->facts.arena.quota = quota;
    hf_buf_init(&r->log, max_log_bytes);
    hf_buf_init(&r->last, 8192);
    hf_buf_init(&r->meta, max_log_bytes);
    hf_buf_init(&r->storage, MAX_RECORD);
}

void hf_record_done(struct hf_record *r)
{
    hf_facts_done(&r->facts);
    free(r->files);
    if (r->log_borrowed)
        r->log.p = NULL;
    hf_buf_done(&r->log);
    if (r->meta_borrowed)
        r->meta.p = NULL;
    hf_buf_done(&r->meta);
    hf_buf_done(&r->last);
    hf_buf_done(&r->storage);
    r->files = NULL;
    r->n_files = r->cap_files = 0;
}

static void put_uvarint(struct hf_buf *b, uint64_t v)
{
    while (v >= 0x80) {
        hf_buf_addc(b, (char)(v | 0x80));
        v >>= 7;
    }
    hf_buf_addc(b, (char)v);
}

static void put_span(struct hf_buf *b, struct hf_span s)
{
    put_uvarint(b, s.n);
    hf_buf_adds(b, s);
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

/* Room for one more entry, which the layers' common quota must cover. */
static bool room(struct hf_record *r, struct hf_buf *b, size_t need)
{
    size_t before = b->cap;
    if (before - HF_MIN(before, b->n) >= need)
        return true;
    size_t grown = HF_MIN(b->max, HF_MAX(before * 2, b->n + need));
    return hf_quota_take(r->facts.quota, grown - HF_MIN(grown, before)) && hf_buf_reserve(b, need);
}

void hf_record_log(struct hf_record *r, enum hf_log_type type, struct hf_span path, struct hf_span target)
{
    size_t shared = 0, max = HF_MIN(path.n, r->last.n);
    r->current = ++r->entries;
    while (shared < max && path.p[shared] == r->last.p[shared])
        shared++;
    if (path.n + target.n + 32 > r->log.max - r->log.n) {
        r->unlogged++;
        return;
    }
    if (!room(r, &r->log, path.n + target.n + 32)) {
        r->unlogged++;
        return;
    }
    hf_buf_addc(&r->log, (char)type);
    put_uvarint(&r->log, shared);
    put_span(&r->log, hf_span_from(path, shared));
    if (type == HF_LOG_SYMLINK || type == HF_LOG_HARDLINK)
        put_span(&r->log, target);
    if (!hf_buf_ok(&r->log)) {
        r->unlogged++; /* memory ran out: nothing after this is logged either */
        return;
    }
    r->last.n = shared;
    hf_buf_adds(&r->last, hf_span_from(path, shared));
}

void hf_record_meta(struct hf_record *r, const struct hf_meta *m)
{
    uint8_t flags = (uint8_t)((m->has_sha256 ? 1 : 0) | (m->caps.n ? 2 : 0) | (m->windows.n ? 4 : 0));
    size_t need = 96 + m->caps.n + m->windows.n;
    if (need > r->meta.max - r->meta.n || m->entry < r->meta_entry || m->caps.n > 255 || !room(r, &r->meta, need)) {
        r->meta_lost++;
        return;
    }
    put_uvarint(&r->meta, m->entry - r->meta_entry);
    put_uvarint(&r->meta, m->mode);
    put_uvarint(&r->meta, m->uid);
    put_uvarint(&r->meta, m->gid);
    put_uvarint(&r->meta, m->size);
    hf_buf_addc(&r->meta, (char)flags);
    if (m->has_sha256)
        hf_buf_add(&r->meta, m->sha256, 32);
    if (m->caps.n)
        put_span(&r->meta, m->caps);
    if (m->windows.n)
        put_span(&r->meta, m->windows);
    r->meta_entry = m->entry;
}

int hf_meta_next(struct hf_meta_iter *it, struct hf_meta *ret)
{
    if (it->off >= it->r->meta.n)
        return 0;
    struct hf_rd r = hf_rd(hf_span_from(hf_buf_span(&it->r->meta), it->off));
    *ret = (struct hf_meta){.entry = it->entry + hf_rd_uvarint(&r)};
    uint64_t mode = hf_rd_uvarint(&r), uid = hf_rd_uvarint(&r), gid = hf_rd_uvarint(&r);
    ret->size = hf_rd_uvarint(&r);
    uint8_t flags = hf_rd_u8(&r);
    struct hf_span hash = flags & 1 ? hf_rd_span(&r, 32) : hf_span("", 0);
    if (flags & 2)
        ret->caps = get_span(&r);
    if (flags & 4)
        ret->windows = get_span(&r);
    if (r.bad || flags > 7 || mode > UINT32_MAX || uid > UINT32_MAX || gid > UINT32_MAX)
        return HF_E_FORMAT;
    ret->mode = (uint32_t)mode;
    ret->uid = (uint32_t)uid;
    ret->gid = (uint32_t)gid;
    ret->has_sha256 = flags & 1;
    if (ret->has_sha256)
        memcpy(ret->sha256, hash.p, 32);
    it->entry = ret->entry;
    it->off += r.off;
    return 1;
}

int hf_record_file(struct hf_record *r, struct hf_span path, uint64_t size, struct hf_err *err)
{
    struct hf_span copy;
    if (hf_arena_dup(&r->facts.arena, path, &copy) < 0)
        return hf_fail(err, HF_E_LIMIT, "facts of this layer are over the memory limit; raise --max-memory");
    struct hf_record_file *f = hf_grow((void **)&r->files, &r->n_files, &r->cap_files, sizeof *f, MAX_FILES);
    if (!f)
        return hf_fail(err, HF_E_LIMIT, "more than %d files with packages in one layer", MAX_FILES);
    *f = (struct hf_record_file){copy, size, r->current};
    r->facts.file = (uint32_t)(r->n_files - 1);
    return 0;
}

void hf_log_iter_init(struct hf_log_iter *it, const struct hf_record *r)
{
    *it = (struct hf_log_iter){.r = r};
    hf_buf_init(&it->path, 8192);
}

void hf_log_iter_done(struct hf_log_iter *it)
{
    hf_buf_done(&it->path);
}

int hf_log_next(struct hf_log_iter *it, struct hf_log_entry *ret)
{
    if (it->off >= it->r->log.n)
        return 0;
    struct hf_rd r = hf_rd(hf_span_from(hf_buf_span(&it->r->log), it->off));
    uint8_t type = hf_rd_u8(&r);
    uint64_t shared = hf_rd_uvarint(&r);
    struct hf_span rest = get_span(&r), target = hf_span("", 0);
    if (type == HF_LOG_SYMLINK || type == HF_LOG_HARDLINK)
        target = get_span(&r);
    if (r.bad || type > HF_LOG_OPAQUE || shared > it->path.n)
        return HF_E_FORMAT;
    it->path.n = (size_t)shared;
    hf_buf_adds(&it->path, rest);
    if (!hf_buf_ok(&it->path))
        return HF_E_FORMAT;
    it->off += r.off;
    *ret = (struct hf_log_entry){(enum hf_log_type)type, hf_buf_span(&it->path), target};
    return 1;
}

/* --- serialisation: version, counters, files, facts, log; compressed as one zstd frame with its size --- */

static void package_spans(struct hf_package *p, struct hf_span *v[14])
{
    struct hf_span *all[14] = {&p->name, &p->version, &p->arch, &p->namespace, &p->source_name, &p->source_version, &p->vendor,
            &p->module, &p->qualifiers, &p->checksum, &p->unmatched_why, &p->owner_key, &p->install_root, &p->symbols};
    memcpy(v, all, sizeof all);
}

static void os_spans(struct hf_os_release *o, struct hf_span *v[7])
{
    struct hf_span *all[7] = {&o->id, &o->id_like, &o->version_id, &o->version_codename, &o->pretty_name, &o->variant_id, &o->cpe_name};
    memcpy(v, all, sizeof all);
}

static void write_fact(struct hf_buf *b, const struct hf_fact *f, const struct hf_fact *before)
{
    put_uvarint(b, (uint64_t)f->kind);
    put_uvarint(b, (uint64_t)f->type);
    put_uvarint(b, f->file);
    if (f->kind == HF_FACT_PACKAGE) {
        struct hf_span *v[14];
        package_spans(f->pkg, v);
        put_uvarint(b, f->pkg->flags);
        for (size_t i = 0; i < 14; i++)
            put_span(b, *v[i]);
        put_uvarint(b, f->pkg->n_licenses);
        for (size_t i = 0; i < f->pkg->n_licenses; i++)
            put_span(b, f->pkg->licenses[i]);
    } else if (f->kind == HF_FACT_OS) {
        struct hf_span *v[7];
        os_spans(f->os, v);
        for (size_t i = 0; i < 7; i++)
            put_span(b, *v[i]);
    } else {
        /* Runs of facts about one package share its key: length 0 with a mark means "as before". */
        bool same = before && before->key.p == f->key.p && before->key.n == f->key.n;
        hf_buf_addc(b, same ? 1 : 0);
        if (!same)
            put_span(b, f->key);
        put_span(b, f->text);
    }
}

int hf_record_write(const struct hf_record *r, struct hf_buf *out, struct hf_err *err)
{
    hf_autobuf raw = HF_BUF_INIT(MAX_RECORD);
    hf_buf_addc(&raw, RECORD_VERSION);
    put_uvarint(&raw, r->entries);
    put_uvarint(&raw, r->bytes);
    put_uvarint(&raw, r->unlogged);
    put_uvarint(&raw, r->n_files);
    for (size_t i = 0; i < r->n_files; i++) {
        put_span(&raw, r->files[i].path);
        put_uvarint(&raw, r->files[i].size);
        put_uvarint(&raw, r->files[i].entry);
    }
    put_uvarint(&raw, r->facts.n);
    for (size_t i = 0; i < r->facts.n; i++)
        write_fact(&raw, &r->facts.v[i], i ? &r->facts.v[i - 1] : NULL);
    put_span(&raw, hf_buf_span(&r->log));
    hf_buf_addc(&raw, r->has_meta && !r->meta_lost ? 1 : 0);
    if (r->has_meta && !r->meta_lost)
        put_span(&raw, hf_buf_span(&r->meta));
    if (!hf_buf_ok(&raw))
        return hf_fail(err, HF_E_LIMIT, "layer record over %d bytes", MAX_RECORD);
    size_t bound = ZSTD_compressBound(raw.n);
    for (int i = 0; i < 8; i++)
        hf_buf_addc(out, (char)((uint64_t)raw.n >> (8 * i)));
    if (!hf_buf_reserve(out, bound))
        return hf_fail(err, HF_E_LIMIT, "layer record too large for the cache");
    size_t n = ZSTD_compress(out->p + out->n, bound, raw.p, raw.n, 1);
    if (ZSTD_isError(n))
        return hf_fail(err, HF_E_LIMIT, "zstd: %s", ZSTD_getErrorName(n));
    out->n += n;
    return 0;
}

static bool read_fact(struct hf_record *rec, struct hf_rd *r, struct hf_fact *f, struct hf_span *key)
{
    uint64_t kind = hf_rd_uvarint(r), type = hf_rd_uvarint(r), file = hf_rd_uvarint(r);
    if (r->bad || kind > HF_FACT_MARK || type >= HF_PKG_TYPES || file >= HF_MAX(rec->n_files, (size_t)1))
        return false;
    f->kind = (enum hf_fact_kind)kind;
    f->type = (enum hf_pkg_type)type;
    f->file = (uint32_t)file;
    struct hf_arena *a = &rec->facts.arena;
    if (kind == HF_FACT_PACKAGE) {
        struct hf_span *v[14];
        f->pkg = hf_arena_calloc(a, 1, sizeof *f->pkg);
        if (!f->pkg)
            return false;
        f->pkg->type = f->type;
        f->pkg->flags = (unsigned)hf_rd_uvarint(r);
        package_spans(f->pkg, v);
        for (size_t i = 0; i < 14; i++)
            *v[i] = get_span(r);
        uint64_t n = hf_rd_uvarint(r);
        if (r->bad || n > hf_rd_left(r))
            return false;
        struct hf_span *l = hf_arena_calloc(a, (size_t)n, sizeof *l);
        if (!l)
            return false;
        for (size_t i = 0; i < n; i++)
            l[i] = get_span(r);
        f->pkg->licenses = l;
        f->pkg->n_licenses = (size_t)n;
    } else if (kind == HF_FACT_OS) {
        struct hf_span *v[7];
        f->os = hf_arena_calloc(a, 1, sizeof *f->os);
        if (!f->os)
            return false;
        os_spans(f->os, v);
        for (size_t i = 0; i < 7; i++)
            *v[i] = get_span(r);
    } else {
        if (!hf_rd_u8(r))
            *key = get_span(r);
        f->key = *key;
        f->text = get_span(r);
    }
    return !r->bad;
}

int hf_record_read(struct hf_record *rec, struct hf_span bytes, struct hf_err *err)
{
    struct hf_rd head = hf_rd(bytes);
    uint64_t raw_n = hf_rd_le(&head, 8);
    if (head.bad || raw_n > MAX_RECORD)
        return hf_fail(err, HF_E_FORMAT, "layer record: bad header");
    if (!hf_quota_take(rec->facts.quota, (size_t)raw_n) || !hf_buf_reserve(&rec->storage, (size_t)raw_n))
        return hf_fail(err, HF_E_LIMIT, "layer record: over the memory limit");
    struct hf_span z = hf_rd_span(&head, hf_rd_left(&head));
    size_t got = ZSTD_decompress(rec->storage.p, (size_t)raw_n, z.p, z.n);
    if (ZSTD_isError(got) || got != raw_n)
        return hf_fail(err, HF_E_FORMAT, "layer record: damaged");
    rec->storage.n = got;

    struct hf_rd r = hf_rd(hf_buf_span(&rec->storage));
    if (hf_rd_u8(&r) != RECORD_VERSION)
        return hf_fail(err, HF_E_UNSUPPORTED, "layer record: other version");
    rec->entries = hf_rd_uvarint(&r);
    rec->bytes = hf_rd_uvarint(&r);
    rec->unlogged = hf_rd_uvarint(&r);
    uint64_t n = hf_rd_uvarint(&r);
    for (uint64_t i = 0; i < n && !r.bad; i++) {
        struct hf_record_file *f = hf_grow((void **)&rec->files, &rec->n_files, &rec->cap_files, sizeof *f, MAX_FILES);
        if (!f)
            return hf_fail(err, HF_E_LIMIT, "layer record: too many files");
        f->path = get_span(&r);
        f->size = hf_rd_uvarint(&r);
        f->entry = hf_rd_uvarint(&r);
    }
    n = hf_rd_uvarint(&r);
    if (r.bad || n > hf_rd_left(&r))
        return hf_fail(err, HF_E_FORMAT, "layer record: damaged");
    rec->facts.v = hf_try_alloc((size_t)HF_MAX(n, (uint64_t)1), sizeof *rec->facts.v, MAX_RECORD);
    if (!rec->facts.v)
        return hf_fail(err, HF_E_LIMIT, "layer record: too many facts");
    rec->facts.cap = (size_t)n;
    struct hf_span key = hf_span("", 0);
    for (uint64_t i = 0; i < n; i++) {
        struct hf_fact *f = &rec->facts.v[i];
        memset(f, 0, sizeof *f);
        if (!read_fact(rec, &r, f, &key))
            return hf_fail(err, HF_E_FORMAT, "layer record: damaged at byte %zu", r.off);
        rec->facts.n++;
    }
    struct hf_span log = get_span(&r);
    hf_buf_done(&rec->log);
    rec->log = (struct hf_buf){.p = (char *)(uintptr_t)log.p, .n = log.n, .cap = log.n, .max = log.n};
    rec->log_borrowed = true;
    rec->has_meta = hf_rd_u8(&r) == 1;
    if (rec->has_meta) {
        struct hf_span meta = get_span(&r);
        hf_buf_done(&rec->meta);
        rec->meta = (struct hf_buf){.p = (char *)(uintptr_t)meta.p, .n = meta.n, .cap = meta.n, .max = meta.n};
        rec->meta_borrowed = true;
    }
    if (r.bad)
        return hf_fail(err, HF_E_FORMAT, "layer record: damaged log");
    return 0;
}
