/* SPDX-License-Identifier: Apache-2.0 */
#include "advisories/db/advdb.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <zstd.h>

#include "advisories/cvss/cvss.h"
#include "advisories/db/cve.h"
#include "advisories/db/format.h"
#include "base/rd.h"

enum { MAX_SOURCES = 10000, MAX_LIST = 4096 };

struct hf_advdb {
    struct hf_span map;
    struct hf_span sec[SECTIONS];
    uint64_t built;
    struct hf_adv_source *sources;
    size_t n_sources;
};

static uint32_t le32(struct hf_span s, uint64_t at)
{
    if (at > s.n || s.n - at < 4)
        return 0;
    const unsigned char *p = (const unsigned char *)s.p + at;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t le64(struct hf_span s, uint64_t at)
{
    return le32(s, at) | (uint64_t)le32(s, at + 4) << 32;
}

/* The string at an offset; empty when the offset or its length is outside. */
static struct hf_span text(const struct hf_advdb *db, uint64_t off)
{
    struct hf_rd r = hf_rd(db->sec[SEC_STRINGS]);
    hf_rd_seek(&r, off > SIZE_MAX ? SIZE_MAX : (size_t)off);
    uint64_t n = hf_rd_uvarint(&r);
    if (r.bad || n > hf_rd_left(&r))
        return hf_span("", 0);
    return hf_rd_span(&r, (size_t)n);
}

static int read_header(struct hf_advdb *db, const char *path, struct hf_err *err)
{
    struct hf_rd r = hf_rd(db->map);
    struct hf_span magic = hf_rd_span(&r, 8);
    if (!hf_span_eqz(magic, HF_ADVDB_MAGIC))
        return hf_fail(err, HF_E_FORMAT, "%s is not an advisory database; make one with: holdfast db update, or: holdfast db build --from DIR", path);
    uint32_t version = hf_rd_le32(&r), n = hf_rd_le32(&r);
    db->built = hf_rd_le(&r, 8);
    uint64_t size = hf_rd_le(&r, 8);
    if (version != HF_ADVDB_VERSION || n != SECTIONS)
        return hf_fail(err, HF_E_UNSUPPORTED, "%s has format version %u, this program reads %d; make it anew with: holdfast db update, or: holdfast db build --from DIR", path, version,
                HF_ADVDB_VERSION);
    if (size != db->map.n)
        return hf_fail(err, HF_E_TRUNCATED, "%s has %zu bytes instead of %llu; make it anew with: holdfast db update, or: holdfast db build --from DIR", path, db->map.n,
                (unsigned long long)size);
    for (size_t i = 0; i < SECTIONS; i++) {
        uint64_t off = hf_rd_le(&r, 8), len = hf_rd_le(&r, 8);
        if (r.bad || off > db->map.n || len > db->map.n - off)
            return hf_fail_at(err, HF_E_FORMAT, r.off, "%s: section %zu is outside the file", path, i);
        db->sec[i] = hf_span(db->map.p + off, (size_t)len);
    }
    enum { SOURCE_BYTES = 48 };
    size_t count = db->sec[SEC_SOURCES].n / SOURCE_BYTES;
    if (count > MAX_SOURCES)
        return hf_fail(err, HF_E_LIMIT, "%s names %zu sources", path, count);
    db->sources = calloc(count + 1, sizeof *db->sources);
    if (!db->sources)
        return hf_fail(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        uint64_t at = (uint64_t)i * SOURCE_BYTES;
        struct hf_span s = db->sec[SEC_SOURCES];
        db->sources[db->n_sources++] = (struct hf_adv_source){text(db, le32(s, at)), text(db, le32(s, at + 4)), le64(s, at + 8), le64(s, at + 16),
                le64(s, at + 24), le64(s, at + 32), le64(s, at + 40) != 0};
    }
    return 0;
}

int hf_advdb_open(struct hf_advdb **ret, const char *path, struct hf_err *err)
{
    hf_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return hf_fail(err, -errno, "advisory database %s: %s", path, hf_err_name(-errno));
    if (!S_ISREG(st.st_mode) || st.st_size < HF_ADVDB_HEADER)
        return hf_fail(err, HF_E_FORMAT, "%s is not an advisory database; make one with: holdfast db update, or: holdfast db build --from DIR", path);
    struct hf_advdb *db = calloc(1, sizeof *db);
    if (!db)
        return hf_fail(err, -ENOMEM, "out of memory");
    /* The file is replaced by rename, never written in place, so the mapping stays valid. */
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        free(db);
        return hf_fail(err, -errno, "mapping %s: %s", path, hf_err_name(-errno));
    }
    madvise(p, (size_t)st.st_size, MADV_RANDOM);
    db->map = hf_span(p, (size_t)st.st_size);
    int rc = read_header(db, path, err);
    if (rc < 0) {
        hf_advdb_close(db);
        return rc;
    }
    *ret = db;
    return 0;
}

void hf_advdb_close(struct hf_advdb *db)
{
    if (!db)
        return;
    munmap((void *)(uintptr_t)db->map.p, db->map.n);
    free(db->sources);
    free(db);
}

size_t hf_advdb_sources(const struct hf_advdb *db, const struct hf_adv_source **ret)
{
    *ret = db->sources;
    return db->n_sources;
}

uint64_t hf_advdb_built_unix(const struct hf_advdb *db)
{
    return db->built;
}

const char *hf_severity_name(enum hf_severity s)
{
    static const char *const n[] = {"unknown", "negligible", "low", "medium", "high", "critical"};
    return (unsigned)s < HF_ARRAY_LEN(n) ? n[s] : "unknown";
}

bool hf_advdb_has_namespace(const struct hf_advdb *db, struct hf_span ns)
{
    size_t lo = 0, hi = db->sec[SEC_NS].n / 4;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = hf_span_cmp(text(db, le32(db->sec[SEC_NS], mid * 4)), ns);
        if (c == 0)
            return true;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

/* --- rows --- */

static bool parse_row(const struct hf_advdb *db, struct hf_rd *r, struct hf_adv_row *row)
{
    uint64_t adv = hf_rd_uvarint(r), len = hf_rd_uvarint(r);
    size_t start = r->off;
    if (r->bad || len > hf_rd_left(r))
        return false;
    uint64_t scheme = hf_rd_uvarint(r), state = hf_rd_uvarint(r), flags = hf_rd_uvarint(r), severity = hf_rd_uvarint(r), module = hf_rd_uvarint(r);
    uint64_t n_ranges = hf_rd_uvarint(r), n_versions = hf_rd_uvarint(r), n_symbols = hf_rd_uvarint(r);
    if (r->bad || scheme > HF_SCHEME_NONE || state > HF_ADV_EOL || severity > HF_SEV_CRITICAL || n_ranges > len / 12 || n_versions > len / 4 || n_symbols > len / 4 ||
            r->off - start > len || n_ranges * 12 + n_versions * 4 + n_symbols * 4 != len - (r->off - start))
        return false;
    *row = (struct hf_adv_row){(uint32_t)adv, (enum hf_scheme)scheme, (enum hf_adv_state)state, (unsigned)flags, (enum hf_severity)severity,
            text(db, module), r->off, (size_t)n_ranges, (size_t)n_versions, (size_t)n_symbols};
    r->off = start + (size_t)len;
    return true;
}

static int rows_of_key(const struct hf_advdb *db, size_t key, hf_adv_row_cb cb, void *ctx, struct hf_err *err)
{
    struct hf_span keys = db->sec[SEC_KEYS];
    uint32_t off = le32(keys, key * KEY_BYTES + 8), n = le32(keys, key * KEY_BYTES + 12);
    struct hf_rd r = hf_rd(db->sec[SEC_ROWS]);
    hf_rd_seek(&r, off);
    for (uint32_t i = 0; i < n; i++) {
        struct hf_adv_row row;
        if (!parse_row(db, &r, &row))
            return hf_fail_at(err, HF_E_FORMAT, off, "advisory database is damaged: row %u of key %zu", i, key);
        int rc = cb(ctx, db, &row);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int hf_advdb_lookup(const struct hf_advdb *db, struct hf_span ns, struct hf_span name, hf_adv_row_cb cb, void *ctx, struct hf_err *err)
{
    struct hf_span keys = db->sec[SEC_KEYS];
    size_t lo = 0, hi = keys.n / KEY_BYTES;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = hf_span_cmp(text(db, le32(keys, mid * KEY_BYTES)), ns);
        if (!c)
            c = hf_span_cmp(text(db, le32(keys, mid * KEY_BYTES + 4)), name);
        if (c == 0)
            return rows_of_key(db, mid, cb, ctx, err);
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return 0;
}

/* Behind `parts`: ranges (three string offsets each), versions, symbols; parse_row made sure they are all there. */
static struct hf_span part(const struct hf_advdb *db, const struct hf_adv_row *row, size_t i)
{
    return text(db, le32(db->sec[SEC_ROWS], row->parts + (uint64_t)i * 4));
}

bool hf_adv_row_range(const struct hf_advdb *db, const struct hf_adv_row *row, size_t i, struct hf_adv_range *ret)
{
    if (i >= row->n_ranges)
        return false;
    *ret = (struct hf_adv_range){part(db, row, i * 3), part(db, row, i * 3 + 1), part(db, row, i * 3 + 2)};
    return true;
}

bool hf_adv_row_version(const struct hf_advdb *db, const struct hf_adv_row *row, size_t i, struct hf_span *ret)
{
    if (i >= row->n_versions)
        return false;
    *ret = part(db, row, row->n_ranges * 3 + i);
    return true;
}

bool hf_adv_row_symbol(const struct hf_advdb *db, const struct hf_adv_row *row, size_t i, struct hf_span *ret)
{
    if (i >= row->n_symbols)
        return false;
    *ret = part(db, row, row->n_ranges * 3 + row->n_versions + i);
    return true;
}

bool hf_adv_row_has_version(const struct hf_advdb *db, const struct hf_adv_row *row, struct hf_span version)
{
    for (size_t i = 0; i < row->n_versions; i++)
        if (hf_span_eq(part(db, row, row->n_ranges * 3 + i), version))
            return true;
    return false;
}

/* --- advisories --- */

static bool read_list(const struct hf_advdb *db, struct hf_rd *r, struct hf_arena *arena, const struct hf_span **ret, size_t *ret_n)
{
    uint64_t n = hf_rd_uvarint(r);
    if (r->bad || n > MAX_LIST)
        return false;
    struct hf_span *v = hf_arena_calloc(arena, (size_t)n + 1, sizeof *v);
    if (!v)
        return false;
    for (size_t i = 0; i < n; i++)
        v[i] = text(db, hf_rd_uvarint(r));
    *ret = v;
    *ret_n = (size_t)n;
    return !r->bad;
}

static int by_score(const void *a, const void *b)
{
    const struct hf_adv_cvss *x = a, *y = b;
    /* newest version first, then the higher score */
    return x->version10 != y->version10 ? (x->version10 > y->version10 ? -1 : 1) : x->score10 > y->score10 ? -1 : x->score10 < y->score10;
}

struct record {
    struct hf_advisory a;
    const struct hf_span *vectors;
    size_t n_vectors;
    uint64_t details_n, details_block, details_off;
};

static int read_advisory(const struct hf_advdb *db, uint32_t adv, struct hf_arena *arena, struct record *ret, struct hf_err *err)
{
    struct hf_rd r = hf_rd(db->sec[SEC_ADVISORY]);
    struct hf_advisory *a = &ret->a;
    if (adv >= db->sec[SEC_ADV_INDEX].n / 4)
        return hf_fail(err, HF_E_FORMAT, "advisory database is damaged: no advisory %u", adv);
    size_t off = le32(db->sec[SEC_ADV_INDEX], (uint64_t)adv * 4);
    hf_rd_seek(&r, off);
    a->id = text(db, hf_rd_uvarint(&r));
    a->summary = text(db, hf_rd_uvarint(&r));
    uint64_t source = hf_rd_uvarint(&r), severity = hf_rd_uvarint(&r);
    a->published_unix = hf_rd_uvarint(&r);
    a->modified_unix = hf_rd_uvarint(&r);
    a->severity = (enum hf_severity)HF_MIN(severity, (uint64_t)HF_SEV_CRITICAL);
    a->source = source < db->n_sources ? db->sources[source].name : hf_span("", 0);
    bool ok = read_list(db, &r, arena, &a->aliases, &a->n_aliases) && read_list(db, &r, arena, &ret->vectors, &ret->n_vectors) &&
            read_list(db, &r, arena, &a->urls, &a->n_urls);
    ret->details_n = ok ? hf_rd_uvarint(&r) : 0;
    if (ret->details_n) {
        ret->details_block = hf_rd_uvarint(&r);
        ret->details_off = hf_rd_uvarint(&r);
    }
    if (!ok || r.bad || severity > HF_SEV_CRITICAL)
        return hf_fail_at(err, arena->used >= arena->max / 2 ? HF_E_LIMIT : HF_E_FORMAT, off, "advisory %u cannot be read", adv);
    return 0;
}

int hf_advdb_advisory(const struct hf_advdb *db, uint32_t adv, struct hf_arena *arena, struct hf_advisory *ret, struct hf_err *err)
{
    struct record r = {.details_n = 0};
    int rc = read_advisory(db, adv, arena, &r, err);
    if (rc < 0)
        return rc;
    struct hf_adv_cvss *c = hf_arena_calloc(arena, r.n_vectors + 1, sizeof *c);
    if (!c)
        return hf_fail(err, HF_E_LIMIT, "no room for advisory %u", adv);
    for (size_t i = 0; i < r.n_vectors; i++) {
        struct hf_adv_cvss *x = &c[r.a.n_cvss];
        if (hf_cvss_base(r.vectors[i], &x->version10, &x->score10) < 0)
            continue;
        x->vector = r.vectors[i];
        r.a.n_cvss++;
    }
    if (r.a.n_cvss)
        qsort(c, r.a.n_cvss, sizeof *c, by_score);
    r.a.cvss = c;
    *ret = r.a;
    return 0;
}

int hf_advdb_details(const struct hf_advdb *db, uint32_t adv, struct hf_arena *arena, struct hf_span *ret, struct hf_err *err)
{
    struct record r = {.details_n = 0};
    struct hf_span index = db->sec[SEC_TEXT_INDEX], texts = db->sec[SEC_TEXTS];
    hf_autoarena work;
    hf_arena_init(&work, 1 << 20);
    int rc = read_advisory(db, adv, &work, &r, err);
    if (rc < 0)
        return rc;
    if (!r.details_n) {
        *ret = hf_span("", 0);
        return 0;
    }
    uint64_t n = index.n / 4, i = r.details_block < n ? r.details_block : n; /* past the index le32 yields 0 */
    uint64_t start = le32(index, i * 4), end = i + 1 < n ? le32(index, (i + 1) * 4) : texts.n;
    hf_autofree char *block = malloc(HF_ADVDB_BLOCK_MAX);
    if (!block)
        return hf_fail(err, -ENOMEM, "out of memory");
    if (i == n || end > texts.n || start >= end)
        return hf_fail(err, HF_E_FORMAT, "advisory database is damaged: description of advisory %u is outside the file", adv);
    size_t got = ZSTD_decompress(block, HF_ADVDB_BLOCK_MAX, texts.p + start, (size_t)(end - start));
    if (ZSTD_isError(got) || r.details_off > got || r.details_n > got - r.details_off)
        return hf_fail_at(err, HF_E_FORMAT, start, "advisory database is damaged: description of advisory %u: %s", adv,
                ZSTD_isError(got) ? ZSTD_getErrorName(got) : "outside its block");
    rc = hf_arena_dup(arena, hf_span(block + r.details_off, (size_t)r.details_n), ret);
    return rc < 0 ? hf_fail(err, rc, "no room for the description of advisory %u", adv) : 0;
}

int hf_advdb_by_id(const struct hf_advdb *db, struct hf_span id, int (*cb)(void *ctx, uint32_t adv), void *ctx, struct hf_err *err)
{
    struct hf_span ids = db->sec[SEC_IDS];
    size_t lo = 0, hi = ids.n / ID_BYTES, n = hi;
    (void)err;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (hf_span_cmp(text(db, le32(ids, mid * ID_BYTES)), id) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < n && hf_span_eq(text(db, le32(ids, lo * ID_BYTES)), id); lo++) {
        int rc = cb(ctx, le32(ids, lo * ID_BYTES + 4));
        if (rc < 0)
            return rc;
    }
    return 0;
}

struct only {
    uint32_t adv;
    struct hf_span ns, name;
    int (*cb)(void *ctx, struct hf_span ns, struct hf_span name, const struct hf_adv_row *row);
    void *ctx;
};

static int only_row(void *ctx, const struct hf_advdb *db, const struct hf_adv_row *row)
{
    struct only *o = ctx;
    (void)db;
    return row->adv == o->adv ? o->cb(o->ctx, o->ns, o->name, row) : 0;
}

int hf_advdb_packages(const struct hf_advdb *db, uint32_t adv, int (*cb)(void *ctx, struct hf_span ns, struct hf_span name, const struct hf_adv_row *row),
        void *ctx, struct hf_err *err)
{
    struct hf_span s = db->sec[SEC_ADV_ROWS], keys = db->sec[SEC_KEYS];
    size_t lo = 0, n = s.n / ADV_ROW_BYTES, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (le32(s, mid * ADV_ROW_BYTES) < adv)
            lo = mid + 1;
        else
            hi = mid;
    }
    uint32_t last = UINT32_MAX;
    for (; lo < n && le32(s, lo * ADV_ROW_BYTES) == adv; lo++) {
        uint32_t key = le32(s, lo * ADV_ROW_BYTES + 4);
        if (key == last || key >= keys.n / KEY_BYTES)
            continue;
        last = key;
        struct only o = {adv, text(db, le32(keys, (uint64_t)key * KEY_BYTES)), text(db, le32(keys, (uint64_t)key * KEY_BYTES + 4)), cb, ctx};
        int rc = rows_of_key(db, key, only_row, &o, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* --- scores and exploitation by CVE --- */

static bool find_cve(struct hf_span s, size_t bytes, struct hf_span cve, uint64_t *ret_at)
{
    uint64_t key = hf_cve_key(cve);
    size_t lo = 0, hi = s.n / bytes;
    while (key && lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        uint64_t k = le64(s, mid * bytes);
        if (k == key) {
            *ret_at = mid * bytes;
            return true;
        }
        if (k < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

bool hf_advdb_epss(const struct hf_advdb *db, struct hf_span cve, struct hf_epss *ret)
{
    uint64_t at;
    if (!find_cve(db->sec[SEC_EPSS], EPSS_BYTES, cve, &at))
        return false;
    ret->score = le32(db->sec[SEC_EPSS], at + 8) / 1e9;
    ret->percentile = le32(db->sec[SEC_EPSS], at + 12) / 1e9;
    return true;
}

bool hf_advdb_kev(const struct hf_advdb *db, struct hf_span cve, struct hf_kev *ret)
{
    uint64_t at;
    struct hf_span s = db->sec[SEC_KEV];
    if (!find_cve(s, KEV_BYTES, cve, &at))
        return false;
    *ret = (struct hf_kev){text(db, le32(s, at + 8)), text(db, le32(s, at + 12)), le32(s, at + 16) != 0};
    return true;
}
