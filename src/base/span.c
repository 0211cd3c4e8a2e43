/* SPDX-License-Identifier: Apache-2.0 */
#include "base/span.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <wchar.h>

#include "base/mem.h"

int hf_span_cmp(struct hf_span a, struct hf_span b)
{
    size_t n = HF_MIN(a.n, b.n);
    int c = n ? memcmp(a.p, b.p, n) : 0;
    if (c)
        return c < 0 ? -1 : 1;
    return a.n < b.n ? -1 : a.n > b.n;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool hf_span_eq_nocase(struct hf_span a, struct hf_span b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

size_t hf_span_find(struct hf_span s, char c)
{
    const char *p = s.n ? memchr(s.p, c, s.n) : NULL;
    return p ? (size_t)(p - s.p) : SIZE_MAX;
}

size_t hf_span_rfind(struct hf_span s, char c)
{
    const char *p = s.n ? memrchr(s.p, c, s.n) : NULL;
    return p ? (size_t)(p - s.p) : SIZE_MAX;
}

size_t hf_span_search(struct hf_span s, struct hf_span needle)
{
    if (needle.n == 0)
        return 0;
    const char *p = s.n >= needle.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return p ? (size_t)(p - s.p) : SIZE_MAX;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct hf_span hf_span_trim(struct hf_span s)
{
    while (s.n && is_space(s.p[0]))
        s.p++, s.n--;
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool hf_span_cut(struct hf_span *rest, char sep, struct hf_span *ret)
{
    if (rest->n == 0 && rest->p == NULL)
        return false;
    size_t i = hf_span_find(*rest, sep);
    if (i == SIZE_MAX) {
        bool any = rest->n != 0;
        if (any)
            *ret = *rest;
        *rest = (struct hf_span){NULL, 0};
        return any;
    }
    *ret = hf_span(rest->p, i);
    *rest = hf_span(rest->p + i + 1, rest->n - i - 1);
    return true;
}

bool hf_span_line(struct hf_span *rest, struct hf_span *ret)
{
    struct hf_span line;
    if (!hf_span_cut(rest, '\n', &line))
        return false;
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    *ret = line;
    return true;
}

struct hf_span hf_span_basename(struct hf_span path)
{
    size_t i = hf_span_rfind(path, '/');
    return i == SIZE_MAX ? path : hf_span_from(path, i + 1);
}

struct hf_span hf_span_dirname(struct hf_span path)
{
    size_t i = hf_span_rfind(path, '/');
    return i == SIZE_MAX ? hf_span(path.p, 0) : hf_span(path.p, i);
}

/* Length of the UTF-8 sequence at p (1..4) and its code point, or 0 when malformed (RFC 3629, section 4). */
static unsigned utf8_next(const unsigned char *p, size_t n, uint32_t *ret)
{
    unsigned len;
    uint32_t c, min;
    if (p[0] < 0x80) {
        *ret = p[0];
        return 1;
    }
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        len = 2, c = p[0] & 0x1fu, min = 0x80;
    else if ((p[0] & 0xf0) == 0xe0)
        len = 3, c = p[0] & 0x0fu, min = 0x800;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        len = 4, c = p[0] & 0x07u, min = 0x10000;
    else
        return 0;
    if (n < len)
        return 0;
    for (unsigned i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (c < min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *ret = c;
    return len;
}

bool hf_span_is_utf8(struct hf_span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;
    while (i < s.n) {
        uint32_t c;
        unsigned len = utf8_next(p + i, s.n - i, &c);
        if (!len)
            return false;
        i += len;
    }
    return true;
}

int hf_parse_u64(struct hf_span s, unsigned base, uint64_t min, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    if (s.n == 0)
        return HF_E_FORMAT;
    for (size_t i = 0; i < s.n; i++) {
        char c = lower(s.p[i]);
        unsigned d = c >= '0' && c <= '9' ? (unsigned)(c - '0')
                : c >= 'a' && c <= 'f'    ? (unsigned)(c - 'a') + 10
                                          : 99;
        if (d >= base || !hf_ckd_mul(&v, v, (uint64_t)base) || !hf_ckd_add(&v, v, (uint64_t)d))
            return HF_E_FORMAT;
    }
    if (v < min || v > max)
        return HF_E_FORMAT;
    *ret = v;
    return 0;
}

int hf_parse_i64(struct hf_span s, int64_t min, int64_t max, int64_t *ret)
{
    uint64_t u;
    bool neg = s.n && s.p[0] == '-';
    if (hf_parse_u64(hf_span_from(s, neg), 10, 0, (uint64_t)INT64_MAX, &u) < 0)
        return HF_E_FORMAT;
    int64_t v = neg ? -(int64_t)u : (int64_t)u;
    if (v < min || v > max)
        return HF_E_FORMAT;
    *ret = v;
    return 0;
}

static uint64_t sip_key[2];
__attribute__((constructor)) static void sip_seed(void)
{
    if (getrandom(sip_key, sizeof sip_key, 0) != (ssize_t)sizeof sip_key) {
        sip_key[0] = (uint64_t)(uintptr_t)&sip_key ^ 0x9e3779b97f4a7c15u;
        sip_key[1] = (uint64_t)getpid() * 0xbf58476d1ce4e5b9u;
    }
}

static uint64_t rotl(uint64_t x, unsigned b)
{
    return x << b | x >> (64 - b);
}

#define SIP_ROUND                            \
    do {                                     \
        v0 += v1, v1 = rotl(v1, 13) ^ v0;    \
        v0 = rotl(v0, 32);                   \
        v2 += v3, v3 = rotl(v3, 16) ^ v2;    \
        v0 += v3, v3 = rotl(v3, 21) ^ v0;    \
        v2 += v1, v1 = rotl(v1, 17) ^ v2;    \
        v2 = rotl(v2, 32);                   \
    } while (0)

uint64_t hf_span_hash(struct hf_span s)
{
    uint64_t v0 = sip_key[0] ^ 0x736f6d6570736575u, v1 = sip_key[1] ^ 0x646f72616e646f6du;
    uint64_t v2 = sip_key[0] ^ 0x6c7967656e657261u, v3 = sip_key[1] ^ 0x7465646279746573u;
    size_t left = s.n;
    const char *p = s.p;
    for (; left >= 8; p += 8, left -= 8) {
        uint64_t m;
        memcpy(&m, p, 8);
        v3 ^= m;
        SIP_ROUND;
        v0 ^= m;
    }
    uint64_t m = (uint64_t)s.n << 56;
    for (size_t i = 0; i < left; i++)
        m |= (uint64_t)(unsigned char)p[i] << (8 * i);
    v3 ^= m;
    SIP_ROUND;
    v0 ^= m;
    v2 ^= 0xff;
    SIP_ROUND;
    SIP_ROUND;
    SIP_ROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}

char *hf_span_dupz(struct hf_span s)
{
    if (s.n && memchr(s.p, 0, s.n))
        return NULL;
    char *z = malloc(s.n + 1);
    if (!z)
        return NULL;
    if (s.n)
        memcpy(z, s.p, s.n);
    z[s.n] = 0;
    return z;
}

void hf_buf_init(struct hf_buf *b, size_t max)
{
    *b = (struct hf_buf)HF_BUF_INIT(max);
}

void hf_buf_done(struct hf_buf *b)
{
    free(b->p);
    *b = (struct hf_buf)HF_BUF_INIT(b->max);
}

void hf_buf_clear(struct hf_buf *b)
{
    b->n = 0;
    b->failed = false;
}

bool hf_buf_reserve(struct hf_buf *b, size_t more)
{
    size_t need;
    if (b->failed)
        return false;
    if (!hf_ckd_add(&need, b->n, more) || need > b->max) {
        b->failed = true;
        return false;
    }
    if (need <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    char *p = hf_alloc_fails() ? NULL : realloc(b->p, cap);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

void hf_buf_add(struct hf_buf *b, const void *p, size_t n)
{
    if (n == 0 || !hf_buf_reserve(b, n))
        return;
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

void hf_buf_adds(struct hf_buf *b, struct hf_span s)
{
    hf_buf_add(b, s.p, s.n);
}

void hf_buf_addz(struct hf_buf *b, const char *z)
{
    hf_buf_add(b, z, strlen(z));
}

void hf_buf_addc(struct hf_buf *b, char c)
{
    hf_buf_add(b, &c, 1);
}

void hf_buf_addf(struct hf_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    char small[256];
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof small) {
        hf_buf_add(b, small, (size_t)n);
    } else if (n < 0) {
        b->failed = true;
    } else if (b->n <= b->max && hf_buf_reserve(b, HF_MIN((size_t)n + 1, b->max))) {
        /* vsnprintf wants room for its NUL, which is not counted. */
        if (b->cap - b->n < (size_t)n + 1) {
            b->failed = true;
        } else {
            vsnprintf(b->p + b->n, b->cap - b->n, fmt, again);
            b->n += (size_t)n;
        }
    }
    va_end(again);
}

const char *hf_buf_z(struct hf_buf *b)
{
    if (b->failed || b->n == 0)
        return "";
    if (b->n == b->cap) {
        char *p = realloc(b->p, b->cap + 1);
        if (!p)
            return "";
        b->p = p;
        b->cap++;
    }
    b->p[b->n] = 0;
    return b->p;
}

/* Code points that change how other text is shown: C0/C1, bidi controls, zero width, line separators, BOM, tags. */
static bool is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
            (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
            c == 0x61c || c == 0x180e || (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

/* East Asian wide and emoji ranges, close enough for aligning a table without depending on the locale. */
static size_t columns(uint32_t c)
{
    bool wide = (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
            (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
            (c >= 0x1f300 && c <= 0x1faff) || (c >= 0x20000 && c <= 0x3fffd);
    bool none = (c >= 0x300 && c <= 0x36f) || (c >= 0xfe00 && c <= 0xfe0f);
    return none ? 0 : wide ? 2 : 1;
}

size_t hf_buf_add_escaped(struct hf_buf *b, struct hf_span s, size_t max_cols)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t cols = 0, i = 0;
    size_t cut = SIZE_MAX, cut_cols = 0; /* where "..." would begin */
    while (i < s.n) {
        char text[16];
        size_t text_n, width;
        uint32_t c = 0;
        unsigned len = utf8_next(p + i, s.n - i, &c);
        if (!len || is_unsafe(c)) {
            bool byte = !len || c < 0x80;
            int k = byte ? snprintf(text, sizeof text, "\\x%02x", p[i]) : snprintf(text, sizeof text, "\\u{%x}", c);
            text_n = width = (size_t)k;
            len = len ? len : 1;
        } else {
            memcpy(text, p + i, len);
            text_n = len;
            width = columns(c);
        }
        if (max_cols && cols + 3 <= max_cols)
            cut = b->n, cut_cols = cols;
        if (max_cols && cols + width > max_cols) {
            if (cut != SIZE_MAX && !b->failed) {
                b->n = cut;
                hf_buf_addz(b, "...");
                return cut_cols + 3;
            }
            return cols;
        }
        hf_buf_add(b, text, text_n);
        cols += width;
        i += len;
    }
    return cols;
}
