/* SPDX-License-Identifier: Apache-2.0 */
#include "advisories/db/build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <zstd.h>

#include "advisories/cvss/cvss.h"
#include "advisories/db/cve.h"
#include "advisories/db/format.h"
#include "advisories/db/namespace.h"

enum {
    MAX_LIST = 4096,       /* aliases, vectors, links of one advisory; the reader's limit too */
    MAX_TEXT = 1024,       /* a summary; longer ids and links are left out, since a cut one is a wrong one */
    MAX_DETAILS = 64 << 10, /* description of one advisory; it is for reading, and cut where it is longer */
    BLOCK = 64 << 10,      /* descriptions are compressed together in blocks of at least this */
    BLOCK_LEVEL = 6,
    MAX_ITEMS = 1 << 28,
};

struct key {
    uint32_t ns, name; /* strings */
    uint32_t first, n; /* chain in rows */
};
struct row {
    uint32_t next;
    uint32_t adv;
    uint32_t off, len; /* in row_bytes */
    uint32_t key;
};
struct adv {
    uint32_t off, id; /* in adv_bytes, in strings */
    uint32_t same;    /* bytes that make two records of one source the same: all but where the description is */
};
/* Numbers of things by content, to leave out what is there already. */
struct set {
    struct {
        uint32_t hash, value; /* value + 1; 0: empty */
    } *slot;
    size_t n, cap; /* cap is 0 or a power of two */
};
struct pair64 {
    uint64_t cve;
    uint32_t a, b, c, pad;
};
struct id {
    uint32_t text, adv;
};
struct source {
    uint32_t name, from;
    uint64_t newest, fetched, records, rejected;
    bool demo;
};

struct hf_advb {
    struct hf_buf strings, adv_bytes, row_bytes, block, texts;
    struct set adv_set, row_set;
    struct hf_map string_at, key_at;
    struct hf_arena arena; /* keys of string_at and key_at */
    struct adv *advs;
    uint32_t *text_off;
    ZSTD_CCtx *zstd;
    struct key *keys;
    struct row *rows;
    struct id *ids;
    struct source *sources;
    struct pair64 *epss, *kev;
    size_t n_adv, cap_adv, n_texts, cap_texts, n_keys, cap_keys, n_rows, cap_rows, n_ids, cap_ids, n_sources, cap_sources, n_epss, cap_epss, n_kev, cap_kev;
};

static int full(struct hf_err *err)
{
    return hf_fail(err, HF_E_LIMIT, "the advisory database is over the builder's memory limit");
}

struct hf_advb *hf_advb_new(size_t max_bytes)
{
    struct hf_advb *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    size_t each = HF_MIN(max_bytes / 4, (size_t)UINT32_MAX - 64);
    hf_buf_init(&b->strings, each);
    hf_buf_init(&b->adv_bytes, each);
    hf_buf_init(&b->row_bytes, each);
    hf_buf_init(&b->texts, each);
    hf_buf_init(&b->block, BLOCK + MAX_DETAILS);
    hf_arena_init(&b->arena, max_bytes);
    hf_buf_addc(&b->strings, 0); /* offset 0: the empty string */
    return b;
}

void hf_advb_free(struct hf_advb *b)
{
    if (!b)
        return;
    hf_buf_done(&b->strings);
    hf_buf_done(&b->adv_bytes);
    hf_buf_done(&b->row_bytes);
    hf_buf_done(&b->texts);
    hf_buf_done(&b->block);
    ZSTD_freeCCtx(b->zstd);
    free(b->text_off);
    free(b->adv_set.slot);
    free(b->row_set.slot);
    hf_map_done(&b->string_at);
    hf_map_done(&b->key_at);
    hf_arena_done(&b->arena);
    free(b->advs);
    free(b->keys);
    free(b->rows);
    free(b->ids);
    free(b->sources);
    free(b->epss);
    free(b->kev);
    free(b);
}

static void put_uvarint(struct hf_buf *b, uint64_t v)
{
    while (v >= 0x80) {
        hf_buf_addc(b, (char)(v | 0x80));
        v >>= 7;
    }
    hf_buf_addc(b, (char)v);
}

static void put_le32(struct hf_buf *b, uint32_t v)
{
    unsigned char x[4] = {(unsigned char)v, (unsigned char)(v >> 8), (unsigned char)(v >> 16), (unsigned char)(v >> 24)};
    hf_buf_add(b, x, sizeof x);
}

static bool set_grow(struct set *s)
{
    size_t cap = s->cap ? s->cap * 2 : 1 << 12;
    struct set t = {calloc(cap, sizeof *t.slot), s->n, cap};
    if (!t.slot)
        return false;
    for (size_t i = 0; i < s->cap; i++)
        if (s->slot[i].value) {
            size_t at = s->slot[i].hash & (cap - 1);
            while (t.slot[at].value)
                at = (at + 1) & (cap - 1);
            t.slot[at] = s->slot[i];
        }
    free(s->slot);
    *s = t;
    return true;
}

/* The number already there that equals `value`, else `value`, which is then in the set; UINT32_MAX without memory. */
static uint32_t set_add(const struct hf_advb *b, struct set *s, uint64_t hash, uint32_t value, bool (*same)(const struct hf_advb *b, uint32_t x, uint32_t y))
{
    if (s->n >= s->cap / 2 && !set_grow(s))
        return UINT32_MAX;
    uint32_t h = (uint32_t)(hash ^ hash >> 32);
    size_t at = h & (s->cap - 1);
    for (; s->slot[at].value; at = (at + 1) & (s->cap - 1))
        if (s->slot[at].hash == h && same(b, s->slot[at].value - 1, value))
            return s->slot[at].value - 1;
    s->slot[at].hash = h;
    s->slot[at].value = value + 1;
    s->n++;
    return value;
}

/* Offset of a string, stored once.  UINT32_MAX without room. */
static uint32_t intern(struct hf_advb *b, struct hf_span s)
{
    uint64_t at;
    struct hf_span copy;
    if (s.n == 0)
        return 0;
    if (hf_map_get(&b->string_at, s, &at))
        return (uint32_t)at;
    at = b->strings.n;
    put_uvarint(&b->strings, s.n);
    hf_buf_adds(&b->strings, s);
    if (!hf_buf_ok(&b->strings) || hf_arena_dup(&b->arena, s, &copy) < 0)
        return UINT32_MAX;
    uint64_t *slot = hf_map_at(&b->string_at, copy, NULL);
    if (!slot)
        return UINT32_MAX;
    *slot = at;
    return (uint32_t)at;
}

int hf_advb_source(struct hf_advb *b, struct hf_span name, struct hf_span from, uint64_t fetched, bool demo, struct hf_err *err)
{
    uint32_t n = intern(b, name), f = intern(b, from);
    struct source *s = n == UINT32_MAX || f == UINT32_MAX ? NULL : hf_grow((void **)&b->sources, &b->n_sources, &b->cap_sources, sizeof *s, 10000);
    if (!s)
        return full(err);
    *s = (struct source){n, f, 0, fetched, 0, 0, demo};
    return 0;
}

void hf_advb_newest(struct hf_advb *b, uint64_t t)
{
    if (b->n_sources && t > b->sources[b->n_sources - 1].newest)
        b->sources[b->n_sources - 1].newest = t;
}

void hf_advb_rejected(struct hf_advb *b)
{
    if (b->n_sources)
        b->sources[b->n_sources - 1].rejected++;
}

uint64_t hf_advb_count(const struct hf_advb *b)
{
    return b->n_adv;
}

static bool put_list(struct hf_advb *b, struct hf_buf *out, const struct hf_span *v, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n && kept < MAX_LIST; i++)
        kept += v[i].n <= MAX_TEXT;
    put_uvarint(out, kept);
    for (size_t i = 0; kept; i++) {
        if (v[i].n > MAX_TEXT)
            continue;
        uint32_t s = intern(b, v[i]);
        if (s == UINT32_MAX)
            return false;
        put_uvarint(out, s);
        kept--;
    }
    return true;
}

static bool add_id(struct hf_advb *b, struct hf_span id, uint32_t adv)
{
    if (id.n > MAX_TEXT)
        return true;
    uint32_t s = intern(b, id);
    struct id *x = s == UINT32_MAX ? NULL : hf_grow((void **)&b->ids, &b->n_ids, &b->cap_ids, sizeof *x, MAX_ITEMS);
    if (!x)
        return false;
    *x = (struct id){s, adv};
    return true;
}

static bool end_block(struct hf_advb *b)
{
    if (!b->block.n)
        return true;
    size_t bound = ZSTD_compressBound(b->block.n);
    uint32_t *off = hf_grow((void **)&b->text_off, &b->n_texts, &b->cap_texts, sizeof *off, MAX_ITEMS);
    if (!b->zstd)
        b->zstd = ZSTD_createCCtx();
    if (!off || !b->zstd || !hf_buf_reserve(&b->texts, bound))
        return false;
    *off = (uint32_t)b->texts.n;
    size_t n = ZSTD_compressCCtx(b->zstd, b->texts.p + b->texts.n, bound, b->block.p, b->block.n, BLOCK_LEVEL);
    if (ZSTD_isError(n))
        return false;
    b->texts.n += n;
    hf_buf_clear(&b->block);
    return true;
}

/* {length, block, offset} of a description, just {0} when there is none. */
static bool put_details(struct hf_advb *b, struct hf_buf *out, struct hf_span s)
{
    if (s.n > MAX_DETAILS) {
        s.n = MAX_DETAILS;
        while (s.n > MAX_DETAILS - 4 && ((unsigned char)s.p[s.n] & 0xc0) == 0x80)
            s.n--; /* not inside a character */
    }
    put_uvarint(out, s.n);
    if (!s.n)
        return true;
    put_uvarint(out, b->n_texts);
    put_uvarint(out, b->block.n);
    hf_buf_adds(&b->block, s);
    return hf_buf_ok(&b->block) && (b->block.n < BLOCK || end_block(b));
}

static struct hf_span adv_prefix(const struct hf_advb *b, uint32_t i)
{
    return hf_span(b->adv_bytes.p + b->advs[i].off, b->advs[i].same);
}

static bool same_adv(const struct hf_advb *b, uint32_t x, uint32_t y)
{
    return hf_span_eq(adv_prefix(b, x), adv_prefix(b, y));
}

static enum hf_severity best_severity(const struct hf_advb_advisory *a)
{
    unsigned best = 0;
    for (size_t i = 0; i < a->n_cvss; i++) {
        unsigned version, score;
        if (hf_cvss_base(a->cvss_vectors[i], &version, &score) >= 0 && score >= best)
            best = score;
    }
    return !best ? HF_SEV_UNKNOWN : best >= 90 ? HF_SEV_CRITICAL : best >= 70 ? HF_SEV_HIGH : best >= 40 ? HF_SEV_MEDIUM : HF_SEV_LOW;
}

int hf_advb_add(struct hf_advb *b, const struct hf_advb_advisory *a, uint32_t *ret, struct hf_err *err)
{
    struct adv *x = hf_grow((void **)&b->advs, &b->n_adv, &b->cap_adv, sizeof *x, UINT32_MAX - 1);
    if (!x)
        return full(err);
    uint32_t adv = (uint32_t)(b->n_adv - 1), id = intern(b, hf_span_sub(a->id, 0, MAX_TEXT)), sum = intern(b, hf_span_sub(a->summary, 0, MAX_TEXT));
    struct hf_buf *o = &b->adv_bytes;
    size_t start = o->n;
    put_uvarint(o, id);
    put_uvarint(o, sum);
    put_uvarint(o, b->n_sources ? b->n_sources - 1 : 0);
    put_uvarint(o, a->severity ? a->severity : best_severity(a));
    put_uvarint(o, a->published_unix);
    put_uvarint(o, a->modified_unix);
    bool ok = id != UINT32_MAX && sum != UINT32_MAX && put_list(b, o, a->aliases, a->n_aliases) && put_list(b, o, a->cvss_vectors, a->n_cvss) &&
            put_list(b, o, a->urls, a->n_urls);
    *x = (struct adv){(uint32_t)start, id, (uint32_t)(o->n - start)};
    if (!ok || !hf_buf_ok(o))
        return full(err);
    /* Feeds by package (secdb, the Debian tracker) say the same of one CVE many times. */
    *ret = set_add(b, &b->adv_set, hf_span_hash(adv_prefix(b, adv)), adv, same_adv);
    if (*ret != adv) {
        o->n = start;
        b->n_adv--;
        return *ret == UINT32_MAX ? full(err) : 0;
    }
    ok = put_details(b, o, a->details) && add_id(b, a->id, adv);
    for (size_t i = 0; ok && i < HF_MIN(a->n_aliases, (size_t)MAX_LIST); i++)
        ok = add_id(b, a->aliases[i], adv);
    if (!ok || !hf_buf_ok(o))
        return full(err);
    if (b->n_sources)
        b->sources[b->n_sources - 1].records++;
    hf_advb_newest(b, a->modified_unix);
    return 0;
}

static struct key *key_of(struct hf_advb *b, struct hf_span ns, struct hf_span name)
{
    hf_autobuf norm = HF_BUF_INIT(8192);
    hf_adv_name(ns, hf_span_sub(name, 0, 2048), &norm);
    uint32_t n = intern(b, ns), m = intern(b, hf_buf_span(&norm));
    if (n == UINT32_MAX || m == UINT32_MAX)
        return NULL;
    uint32_t pair[2] = {n, m};
    uint64_t at;
    if (hf_map_get(&b->key_at, hf_span((const char *)pair, sizeof pair), &at))
        return &b->keys[at];
    struct hf_span copy;
    struct key *k = hf_grow((void **)&b->keys, &b->n_keys, &b->cap_keys, sizeof *k, MAX_ITEMS);
    if (!k || hf_arena_dup(&b->arena, hf_span((const char *)pair, sizeof pair), &copy) < 0)
        return NULL;
    uint64_t *slot = hf_map_at(&b->key_at, copy, NULL);
    if (!slot)
        return NULL;
    *slot = b->n_keys - 1;
    *k = (struct key){n, m, UINT32_MAX, 0};
    return k;
}

static bool same_row(const struct hf_advb *b, uint32_t i, uint32_t j)
{
    const struct row *x = &b->rows[i], *y = &b->rows[j];
    return x->key == y->key && x->len == y->len && b->advs[x->adv].id == b->advs[y->adv].id &&
            memcmp(b->row_bytes.p + x->off, b->row_bytes.p + y->off, x->len) == 0;
}

int hf_advb_add_row(struct hf_advb *b, uint32_t adv, struct hf_span ns, struct hf_span name, const struct hf_advb_row *r, struct hf_err *err)
{
    struct key *k = key_of(b, ns, name);
    if (!k || adv >= b->n_adv)
        return full(err);
    size_t start = b->row_bytes.n;
    uint32_t key = (uint32_t)(k - b->keys), module = intern(b, r->module);
    struct hf_buf *o = &b->row_bytes;
    bool ok = module != UINT32_MAX;
    put_uvarint(o, r->scheme);
    put_uvarint(o, r->state);
    put_uvarint(o, r->flags);
    put_uvarint(o, r->severity);
    put_uvarint(o, module);
    put_uvarint(o, r->n_ranges);
    put_uvarint(o, r->n_versions);
    put_uvarint(o, r->n_symbols);
    for (size_t i = 0; i < r->n_ranges && ok; i++) {
        uint32_t x = intern(b, r->ranges[i].introduced), y = intern(b, r->ranges[i].fixed), z = intern(b, r->ranges[i].last_affected);
        ok = x != UINT32_MAX && y != UINT32_MAX && z != UINT32_MAX;
        put_le32(o, x);
        put_le32(o, y);
        put_le32(o, z);
    }
    for (size_t i = 0; i < r->n_versions + r->n_symbols && ok; i++) {
        uint32_t s = intern(b, i < r->n_versions ? r->versions[i] : r->symbols[i - r->n_versions]);
        ok = s != UINT32_MAX;
        put_le32(o, s);
    }
    if (!ok || !hf_buf_ok(o))
        return full(err);
    struct row *x = hf_grow((void **)&b->rows, &b->n_rows, &b->cap_rows, sizeof *x, MAX_ITEMS);
    if (!x)
        return full(err);
    k = &b->keys[key];
    *x = (struct row){k->first, adv, (uint32_t)start, (uint32_t)(o->n - start), key};
    uint32_t row = (uint32_t)(b->n_rows - 1);
    uint64_t hash = hf_span_hash(hf_span(o->p + start, o->n - start)) ^ ((uint64_t)key << 32 | b->advs[adv].id) * 0x9e3779b97f4a7c15u;
    uint32_t have = set_add(b, &b->row_set, hash, row, same_row);
    if (have != row) { /* the same facts again, from this feed or another */
        o->n = start;
        b->n_rows--;
        return have == UINT32_MAX ? full(err) : 0;
    }
    k->first = row; /* newest first */
    k->n++;
    return 0;
}

int hf_advb_epss(struct hf_advb *b, struct hf_span cve, double score, double percentile, struct hf_err *err)
{
    uint64_t key = hf_cve_key(cve);
    if (!key || !(score >= 0 && score <= 1) || !(percentile >= 0 && percentile <= 1)) {
        hf_advb_rejected(b);
        return 0;
    }
    struct pair64 *x = hf_grow((void **)&b->epss, &b->n_epss, &b->cap_epss, sizeof *x, 4 << 20);
    if (!x)
        return full(err);
    *x = (struct pair64){key, (uint32_t)(score * 1e9 + 0.5), (uint32_t)(percentile * 1e9 + 0.5), 0, 0};
    if (b->n_sources)
        b->sources[b->n_sources - 1].records++;
    return 0;
}

int hf_advb_kev(struct hf_advb *b, struct hf_span cve, struct hf_span added, struct hf_span due, bool ransomware, struct hf_err *err)
{
    uint64_t key = hf_cve_key(cve);
    uint32_t a = intern(b, hf_span_sub(added, 0, 32)), d = intern(b, hf_span_sub(due, 0, 32));
    if (!key) {
        hf_advb_rejected(b);
        return 0;
    }
    struct pair64 *x = a == UINT32_MAX || d == UINT32_MAX ? NULL : hf_grow((void **)&b->kev, &b->n_kev, &b->cap_kev, sizeof *x, 1 << 20);
    if (!x)
        return full(err);
    *x = (struct pair64){key, a, d, ransomware, 0};
    if (b->n_sources)
        b->sources[b->n_sources - 1].records++;
    return 0;
}

/* --- writing --- */

static struct hf_span text(const struct hf_advb *b, uint32_t off)
{
    const unsigned char *p = (const unsigned char *)b->strings.p + off;
    uint64_t n = 0;
    unsigned shift = 0;
    do {
        n |= (uint64_t)(*p & 0x7f) << shift;
        shift += 7;
    } while (*p++ & 0x80);
    return hf_span((const char *)p, (size_t)n);
}

static int by_key(const void *x, const void *y, void *ctx)
{
    const struct key *a = x, *b = y;
    int c = a->ns == b->ns ? 0 : hf_span_cmp(text(ctx, a->ns), text(ctx, b->ns));
    return c ? c : hf_span_cmp(text(ctx, a->name), text(ctx, b->name));
}

static int by_id(const void *x, const void *y, void *ctx)
{
    const struct id *a = x, *b = y;
    int c = a->text == b->text ? 0 : hf_span_cmp(text(ctx, a->text), text(ctx, b->text));
    return c ? c : a->adv < b->adv ? -1 : a->adv > b->adv;
}

static int by_cve(const void *x, const void *y)
{
    const struct pair64 *a = x, *b = y;
    return a->cve < b->cve ? -1 : a->cve > b->cve;
}

static int by_adv_row(const void *x, const void *y)
{
    const uint32_t *a = x, *b = y;
    return a[0] != b[0] ? (a[0] < b[0] ? -1 : 1) : a[1] < b[1] ? -1 : a[1] > b[1];
}

struct out {
    int fd;
    struct hf_buf buf;
    uint64_t at;
    int rc;
};

static void flush(struct out *o)
{
    for (size_t off = 0; off < o->buf.n && !o->rc;) {
        ssize_t n = write(o->fd, o->buf.p + off, o->buf.n - off);
        if (n < 0 && errno != EINTR)
            o->rc = -errno;
        else if (n > 0)
            off += (size_t)n;
    }
    o->buf.n = 0;
}

static void emit(struct out *o, const void *p, size_t n)
{
    if (n > o->buf.max - o->buf.n)
        flush(o);
    if (n > o->buf.max) {
        struct hf_buf direct = {(char *)(uintptr_t)p, n, n, n, false}, keep = o->buf;
        o->buf = direct;
        flush(o);
        o->buf = keep;
    } else {
        hf_buf_add(&o->buf, p, n);
    }
    o->at += n;
}

static void emit32(struct out *o, uint64_t v)
{
    unsigned char b[4] = {(unsigned char)v, (unsigned char)(v >> 8), (unsigned char)(v >> 16), (unsigned char)(v >> 24)};
    emit(o, b, 4);
}

static void emit64(struct out *o, uint64_t v)
{
    emit32(o, v & UINT32_MAX);
    emit32(o, v >> 32);
}

static void write_sections(struct hf_advb *b, struct out *o, uint64_t offsets[SECTIONS], uint32_t *key_off)
{
    hf_autobuf adv_rows = HF_BUF_INIT(SIZE_MAX / 2);
    offsets[SEC_STRINGS] = o->at;
    emit(o, b->strings.p, b->strings.n);
    offsets[SEC_ADVISORY] = o->at;
    emit(o, b->adv_bytes.p, b->adv_bytes.n);
    offsets[SEC_ADV_INDEX] = o->at;
    for (size_t i = 0; i < b->n_adv; i++)
        emit32(o, b->advs[i].off);
    offsets[SEC_ROWS] = o->at;
    for (size_t i = 0; i < b->n_keys; i++) {
        key_off[i] = (uint32_t)(o->at - offsets[SEC_ROWS]);
        for (uint32_t r = b->keys[i].first; r != UINT32_MAX; r = b->rows[r].next) {
            hf_autobuf head = HF_BUF_INIT(32);
            uint32_t pair[2] = {b->rows[r].adv, (uint32_t)i};
            put_uvarint(&head, b->rows[r].adv);
            put_uvarint(&head, b->rows[r].len);
            emit(o, head.p, head.n);
            emit(o, b->row_bytes.p + b->rows[r].off, b->rows[r].len);
            hf_buf_add(&adv_rows, pair, sizeof pair);
        }
    }
    offsets[SEC_KEYS] = o->at;
    for (size_t i = 0; i < b->n_keys; i++) {
        emit32(o, b->keys[i].ns);
        emit32(o, b->keys[i].name);
        emit32(o, key_off[i]);
        emit32(o, b->keys[i].n);
    }
    offsets[SEC_IDS] = o->at;
    for (size_t i = 0; i < b->n_ids; i++) {
        emit32(o, b->ids[i].text);
        emit32(o, b->ids[i].adv);
    }
    offsets[SEC_NS] = o->at;
    for (size_t i = 0; i < b->n_keys; i++)
        if (i == 0 || b->keys[i].ns != b->keys[i - 1].ns)
            emit32(o, b->keys[i].ns);
    offsets[SEC_SOURCES] = o->at;
    for (size_t i = 0; i < b->n_sources; i++) {
        const struct source *s = &b->sources[i];
        emit32(o, s->name);
        emit32(o, s->from);
        emit64(o, s->newest);
        emit64(o, s->fetched);
        emit64(o, s->records);
        emit64(o, s->rejected);
        emit64(o, s->demo);
    }
    offsets[SEC_EPSS] = o->at;
    for (size_t i = 0; i < b->n_epss; i++) {
        emit64(o, b->epss[i].cve);
        emit32(o, b->epss[i].a);
        emit32(o, b->epss[i].b);
    }
    offsets[SEC_KEV] = o->at;
    for (size_t i = 0; i < b->n_kev; i++) {
        emit64(o, b->kev[i].cve);
        emit32(o, b->kev[i].a);
        emit32(o, b->kev[i].b);
        emit32(o, b->kev[i].c);
        emit32(o, 0);
    }
    offsets[SEC_ADV_ROWS] = o->at;
    if (adv_rows.n)
        qsort(adv_rows.p, adv_rows.n / 8, 8, by_adv_row);
    for (size_t i = 0; i < adv_rows.n; i += 4) {
        uint32_t v;
        memcpy(&v, adv_rows.p + i, 4);
        emit32(o, v);
    }
    offsets[SEC_TEXTS] = o->at;
    emit(o, b->texts.p, b->texts.n);
    offsets[SEC_TEXT_INDEX] = o->at;
    for (size_t i = 0; i < b->n_texts; i++)
        emit32(o, b->text_off[i]);
    if (!hf_buf_ok(&adv_rows) && !o->rc)
        o->rc = -ENOMEM;
}

int hf_advb_write(struct hf_advb *b, const char *path, struct hf_err *err)
{
    hf_autobuf tmp = HF_BUF_INIT(8192);
    hf_autofree uint32_t *key_off = calloc(b->n_keys + 1, sizeof *key_off);
    hf_buf_addf(&tmp, "%s.new.%ld", path, (long)getpid());
    if (!key_off || !end_block(b))
        return full(err);
    if (b->n_keys)
        qsort_r(b->keys, b->n_keys, sizeof *b->keys, by_key, b);
    if (b->n_ids)
        qsort_r(b->ids, b->n_ids, sizeof *b->ids, by_id, b);
    size_t kept = 0;
    for (size_t i = 0; i < b->n_ids; i++) /* an id may be its own alias */
        if (i == 0 || b->ids[i].text != b->ids[kept - 1].text || b->ids[i].adv != b->ids[kept - 1].adv)
            b->ids[kept++] = b->ids[i];
    b->n_ids = kept;
    if (b->n_epss)
        qsort(b->epss, b->n_epss, sizeof *b->epss, by_cve);
    if (b->n_kev)
        qsort(b->kev, b->n_kev, sizeof *b->kev, by_cve);

    struct out o = {.fd = open(hf_buf_z(&tmp), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), .buf = HF_BUF_INIT(1 << 20)};
    if (o.fd < 0)
        return hf_fail(err, -errno, "%s: %s", hf_buf_z(&tmp), hf_err_name(-errno));
    uint64_t offsets[SECTIONS + 1];
    char zero[HF_ADVDB_HEADER] = {0};
    emit(&o, zero, sizeof zero);
    write_sections(b, &o, offsets, key_off);
    offsets[SECTIONS] = o.at;
    uint64_t size = o.at;
    flush(&o);
    if (!o.rc && lseek(o.fd, 0, SEEK_SET) < 0)
        o.rc = -errno;
    emit(&o, HF_ADVDB_MAGIC, 8);
    emit32(&o, HF_ADVDB_VERSION);
    emit32(&o, SECTIONS);
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    uint64_t built = (uint64_t)time(NULL);
    if (epoch && hf_parse_u64(hf_span_z(epoch), 10, 0, UINT64_MAX, &built) < 0)
        built = (uint64_t)time(NULL);
    emit64(&o, built);
    emit64(&o, size);
    for (size_t i = 0; i < SECTIONS; i++) {
        emit64(&o, offsets[i]);
        emit64(&o, offsets[i + 1] - offsets[i]);
    }
    flush(&o);
    if (!o.rc && fsync(o.fd) < 0)
        o.rc = -errno;
    if (close(o.fd) < 0 && !o.rc)
        o.rc = -errno;
    hf_buf_done(&o.buf);
    if (!o.rc && rename(hf_buf_z(&tmp), path) < 0)
        o.rc = -errno;
    if (o.rc) {
        unlink(hf_buf_z(&tmp));
        return hf_fail(err, o.rc, "%s: %s", path, hf_err_name(o.rc));
    }
    return 0;
}
