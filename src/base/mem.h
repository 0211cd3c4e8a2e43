/* SPDX-License-Identifier: Apache-2.0 */
/* mem.h - arenas with a byte ceiling, vectors, and a string-keyed table.
 *
 * One arena per unit of work (layer, request, feed).  Anything sized by input returns NULL at the ceiling instead of
 * aborting.  An arena belongs to one thread at a time; nothing in it moves, everything is freed together. */
#pragma once
#include "base/span.h"

/* In builds with the address sanitizer the HF_FAIL_ALLOC-th allocation sized by input (environment; counted from 1) and every hundredth
 * after it fail, so that tests see what happens then.  Elsewhere never. */
#if defined(__SANITIZE_ADDRESS__)
#define HF_TORTURE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HF_TORTURE 1
#endif
#endif
#ifdef HF_TORTURE
bool hf_alloc_fails(void);
#else
static inline bool hf_alloc_fails(void)
{
    return false;
}
#endif

/* Bytes that several arenas and buffers may take together, whichever thread they belong to.  Not given back. */
struct hf_quota {
    _Atomic size_t left;
};
/* false: not so many are left; NULL: no quota. */
bool hf_quota_take(struct hf_quota *q, size_t n);

struct hf_arena {
    struct hf_arena_block *head;
    size_t used, max; /* bytes taken from the system, ceiling */
    struct hf_quota *quota; /* or NULL; set after hf_arena_init, must live as long as things are added */
};
void hf_arena_init(struct hf_arena *a, size_t max_bytes);
void hf_arena_done(struct hf_arena *a);
/* n bytes aligned to 8, not zeroed; NULL at the ceiling or without memory. */
void *hf_arena_alloc(struct hf_arena *a, size_t n);
/* count * size zeroed bytes; NULL also on overflow. */
void *hf_arena_calloc(struct hf_arena *a, size_t count, size_t size);
/* Copies s into *ret (p is NULL-safe; a copy is followed by a NUL that is not counted).  0 or HF_E_LIMIT. */
HF_MUSTUSE int hf_arena_dup(struct hf_arena *a, struct hf_span s, struct hf_span *ret);
#define hf_autoarena hf_cleanup(hf_arena_done) struct hf_arena

/* malloc for sizes that come from input: NULL when n * size overflows or is over limit_bytes. */
void *hf_try_alloc(size_t n, size_t size, size_t limit_bytes);

/* Makes room for one more element behind *n in a malloc'd array of `size`-byte elements, growing by doubling up to
 * max elements.  Returns the (zeroed) new slot and counts it, or NULL.  Usage: T *t = hf_grow((void **)&v, &n, &cap, sizeof *v, 1u << 20); */
void *hf_grow(void **p, size_t *n, size_t *cap, size_t size, size_t max);

/* Table from bytes to a 64-bit value; keyed hash, so hostile keys cannot make it slow.  Keys are borrowed: they must
 * live as long as the table. */
struct hf_map {
    struct hf_map_slot *slots;
    size_t n, cap; /* cap is 0 or a power of two */
};
struct hf_map_slot {
    struct hf_span key;
    uint64_t hash; /* 0: empty */
    uint64_t value;
};
void hf_map_done(struct hf_map *m);
/* Value of key: true and *ret, or false. */
bool hf_map_get(const struct hf_map *m, struct hf_span key, uint64_t *ret);
/* The slot of key, made with value 0 when missing (*ret_new tells; may be NULL).  NULL without memory.  The pointer is
 * valid until the next call that adds. */
uint64_t *hf_map_at(struct hf_map *m, struct hf_span key, bool *ret_new);
#define hf_automap hf_cleanup(hf_map_done) struct hf_map
