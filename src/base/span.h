/* SPDX-License-Identifier: Apache-2.0 */
/* span.h - borrowed bytes, and the growable buffer that always has a ceiling.
 *
 * A span is a pointer and a length; it never owns, is not NUL-terminated, may hold any byte.  p may be NULL when n is 0. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"
#include "base/err.h"

struct hf_span {
    const char *p;
    size_t n;
};

#define HF_S(lit) ((struct hf_span){"" lit, sizeof(lit) - 1})
#define HF_SPAN_FMT "%.*s"
#define HF_SPAN_ARG(s) (int)HF_MIN((s).n, (size_t)4096), (s).p ? (s).p : ""

static inline struct hf_span hf_span(const char *p, size_t n)
{
    return (struct hf_span){p, n};
}
static inline struct hf_span hf_span_z(const char *z)
{
    return (struct hf_span){z, z ? strlen(z) : 0};
}
static inline bool hf_span_eq(struct hf_span a, struct hf_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool hf_span_eqz(struct hf_span a, const char *z)
{
    return hf_span_eq(a, hf_span_z(z));
}
/* Whether it is one of the texts of an array. */
#define HF_SPAN_IN(s, array) hf_span_one_of(s, array, HF_ARRAY_LEN(array))
static inline bool hf_span_one_of(struct hf_span s, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (hf_span_eqz(s, list[i]))
            return true;
    return false;
}
static inline bool hf_span_starts(struct hf_span s, struct hf_span head)
{
    return s.n >= head.n && (head.n == 0 || memcmp(s.p, head.p, head.n) == 0);
}
static inline bool hf_span_ends(struct hf_span s, struct hf_span tail)
{
    return s.n >= tail.n && (tail.n == 0 || memcmp(s.p + s.n - tail.n, tail.p, tail.n) == 0);
}
/* s[from, from + n), clipped to what s has. */
static inline struct hf_span hf_span_sub(struct hf_span s, size_t from, size_t n)
{
    if (from >= s.n)
        return (struct hf_span){s.p ? s.p + s.n : NULL, 0};
    return (struct hf_span){s.p + from, HF_MIN(n, s.n - from)};
}
static inline struct hf_span hf_span_from(struct hf_span s, size_t from)
{
    return hf_span_sub(s, from, SIZE_MAX);
}

/* Byte-wise order, shorter first when one is a prefix: -1, 0 or 1. */
int hf_span_cmp(struct hf_span a, struct hf_span b);
/* ASCII case-insensitive equality. */
bool hf_span_eq_nocase(struct hf_span a, struct hf_span b);
/* Index of the first / last byte c, or SIZE_MAX. */
size_t hf_span_find(struct hf_span s, char c);
size_t hf_span_rfind(struct hf_span s, char c);
/* Index of the first occurrence of needle, or SIZE_MAX.  An empty needle is found at 0. */
size_t hf_span_search(struct hf_span s, struct hf_span needle);
/* Without ASCII white space at both ends. */
struct hf_span hf_span_trim(struct hf_span s);
/* Takes the part before the next sep off *rest into *ret; false when *rest is used up.  "a,,b" yields three parts,
 * an empty *rest none.  The separator itself is dropped. */
bool hf_span_cut(struct hf_span *rest, char sep, struct hf_span *ret);
/* Next line without its "\n" or "\r\n". */
bool hf_span_line(struct hf_span *rest, struct hf_span *ret);
/* Text after the last '/' (the whole when there is none). */
struct hf_span hf_span_basename(struct hf_span path);
/* Text before the last '/', empty when there is none. */
struct hf_span hf_span_dirname(struct hf_span path);
/* Whether s is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool hf_span_is_utf8(struct hf_span s);

/* Whole-span numbers: no sign for u64, no spaces, no prefix; base 8, 10 or 16.  0, or HF_E_FORMAT (*ret untouched). */
HF_MUSTUSE int hf_parse_u64(struct hf_span s, unsigned base, uint64_t min, uint64_t max, uint64_t *ret);
HF_MUSTUSE int hf_parse_i64(struct hf_span s, int64_t min, int64_t max, int64_t *ret);

/* 64-bit hash with a per-process random key (SipHash-1-3), for tables whose keys come from input. */
uint64_t hf_span_hash(struct hf_span s);

/* A malloc'd NUL-terminated copy for an OS boundary; NULL when s holds a NUL byte or memory ran out. */
char *hf_span_dupz(struct hf_span s);

/* Growable bytes with a ceiling.  Once an append fails (ceiling or memory) `failed` stays set and later appends do
 * nothing: check once at the end with hf_buf_ok.  Not thread-safe. */
struct hf_buf {
    char *p;
    size_t n, cap, max;
    bool failed;
};
#define HF_BUF_INIT(ceiling) {NULL, 0, 0, (ceiling), false}
void hf_buf_init(struct hf_buf *b, size_t max);
void hf_buf_done(struct hf_buf *b);  /* frees; the ceiling stays */
void hf_buf_clear(struct hf_buf *b); /* empties, keeps the memory, clears `failed` */
HF_MUSTUSE bool hf_buf_reserve(struct hf_buf *b, size_t more); /* room for `more` bytes behind n */
void hf_buf_add(struct hf_buf *b, const void *p, size_t n);
void hf_buf_adds(struct hf_buf *b, struct hf_span s);
void hf_buf_addz(struct hf_buf *b, const char *z);
void hf_buf_addc(struct hf_buf *b, char c);
HF_PRINTF(2, 3) void hf_buf_addf(struct hf_buf *b, const char *fmt, ...);
static inline struct hf_span hf_buf_span(const struct hf_buf *b)
{
    return (struct hf_span){b->p, b->n};
}
static inline bool hf_buf_ok(const struct hf_buf *b)
{
    return !b->failed;
}
/* NUL-terminated view (the NUL is not counted); "" when empty or failed. */
const char *hf_buf_z(struct hf_buf *b);
#define hf_autobuf hf_cleanup(hf_buf_done) struct hf_buf

/* Appends s made safe for a terminal, a log or a table: control bytes, ANSI, bidirectional and zero-width marks and
 * invalid UTF-8 become \xNN or \u{NNNN}.  Stops with "..." after max_cols columns (0: no limit).  Returns columns used. */
size_t hf_buf_add_escaped(struct hf_buf *b, struct hf_span s, size_t max_cols);
