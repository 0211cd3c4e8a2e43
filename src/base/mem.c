/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdatomic.h>

struct hf_arena_block {
    struct hf_arena_block *next;
    size_t n, cap;
    _Alignas(8) char data[];
};

enum { BLOCK_MIN = 4096, BLOCK_MAX = 256 * 1024 };

#ifdef HF_TORTURE
bool hf_alloc_fails(void)
{
    static atomic_uint_fast64_t count;
    const char *at = getenv("HF_FAIL_ALLOC");
    uint64_t first;
    if (!at || hf_parse_u64(hf_span_z(at), 10, 1, UINT64_MAX, &first) < 0)
        return false;
    uint64_t n = atomic_fetch_add(&count, 1) + 1;
    return n >= first && (n - first) % 100 == 0;
}
#endif

bool hf_quota_take(struct hf_quota *q, size_t n)
{
    if (!q)
        return true;
    size_t left = atomic_load(&q->left);
    do {
        if (n > left)
            return false;
    } while (!atomic_compare_exchange_weak(&q->left, &left, left - n));
    return true;
}

void hf_arena_init(struct hf_arena *a, size_t max_bytes)
{
    *a = (struct hf_arena){NULL, 0, max_bytes, NULL};
}

void hf_arena_done(struct hf_arena *a)
{
    struct hf_arena_block *b = a->head;
    while (b) {
        struct hf_arena_block *next = b->next;
        free(b);
        b = next;
    }
    a->head = NULL;
    a->used = 0;
}

void *hf_arena_alloc(struct hf_arena *a, size_t n)
{
    size_t want;
    if (!hf_ckd_add(&want, n, (size_t)7))
        return NULL;
    want &= ~(size_t)7;
    if (!want)
        want = 8;
    struct hf_arena_block *b = a->head;
    if (!b || b->cap - b->n < want) {
        /* Blocks grow with the arena, so small arenas stay small and large ones need few blocks. */
        size_t cap = HF_MIN(HF_MAX((size_t)BLOCK_MIN, a->used), (size_t)BLOCK_MAX), size;
        if (want > cap / 4)
            cap = HF_MAX(want, cap);
        if (!hf_ckd_add(&size, cap, sizeof *b) || size > a->max || a->used > a->max - size) {
            cap = want;
            if (!hf_ckd_add(&size, cap, sizeof *b) || size > a->max || a->used > a->max - size)
                return NULL;
        }
        if (!hf_quota_take(a->quota, size))
            return NULL;
        struct hf_arena_block *fresh = hf_alloc_fails() ? NULL : malloc(size);
        if (!fresh)
            return NULL;
        fresh->n = 0;
        fresh->cap = cap;
        a->used += size;
        if (b && want == cap && b->cap > b->n) {
            /* A block made for one big object goes behind the head, whose room stays in use. */
            fresh->next = b->next;
            b->next = fresh;
        } else {
            fresh->next = b;
            a->head = fresh;
        }
        b = fresh;
    }
    void *p = b->data + b->n;
    b->n += want;
    return p;
}

void *hf_arena_calloc(struct hf_arena *a, size_t count, size_t size)
{
    size_t n;
    if (!hf_ckd_mul(&n, count, size))
        return NULL;
    void *p = hf_arena_alloc(a, n);
    if (p)
        memset(p, 0, n);
    return p;
}

int hf_arena_dup(struct hf_arena *a, struct hf_span s, struct hf_span *ret)
{
    size_t n;
    if (!hf_ckd_add(&n, s.n, (size_t)1))
        return HF_E_LIMIT;
    char *p = hf_arena_alloc(a, n);
    if (!p)
        return HF_E_LIMIT;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    *ret = hf_span(p, s.n);
    return 0;
}

void *hf_try_alloc(size_t n, size_t size, size_t limit_bytes)
{
    size_t bytes;
    if (!hf_ckd_mul(&bytes, n, size) || bytes > limit_bytes)
        return NULL;
    return hf_alloc_fails() ? NULL : malloc(bytes ? bytes : 1);
}

void *hf_grow(void **p, size_t *n, size_t *cap, size_t size, size_t max)
{
    if (*n >= max)
        return NULL;
    if (*n == *cap) {
        size_t fresh = *cap ? *cap : 8, bytes;
        fresh = *cap ? (*cap > max / 2 ? max : *cap * 2) : HF_MIN(fresh, max);
        if (!hf_ckd_mul(&bytes, fresh, size))
            return NULL;
        void *q = hf_alloc_fails() ? NULL : realloc(*p, bytes);
        if (!q)
            return NULL;
        *p = q;
        *cap = fresh;
    }
    char *slot = (char *)*p + *n * size;
    memset(slot, 0, size);
    ++*n;
    return slot;
}

void hf_map_done(struct hf_map *m)
{
    free(m->slots);
    *m = (struct hf_map){NULL, 0, 0};
}

static uint64_t key_hash(struct hf_span key)
{
    uint64_t h = hf_span_hash(key);
    return h ? h : 1;
}

static struct hf_map_slot *find_slot(const struct hf_map *m, struct hf_span key, uint64_t h)
{
    size_t i = h & (m->cap - 1);
    while (m->slots[i].hash && !(m->slots[i].hash == h && hf_span_eq(m->slots[i].key, key)))
        i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

bool hf_map_get(const struct hf_map *m, struct hf_span key, uint64_t *ret)
{
    if (!m->n)
        return false;
    const struct hf_map_slot *s = find_slot(m, key, key_hash(key));
    if (!s->hash)
        return false;
    *ret = s->value;
    return true;
}

uint64_t *hf_map_at(struct hf_map *m, struct hf_span key, bool *ret_new)
{
    if (m->n >= m->cap / 4 * 3) {
        size_t cap = m->cap ? m->cap * 2 : 16;
        struct hf_map_slot *slots = cap > SIZE_MAX / 2 / sizeof *slots || hf_alloc_fails() ? NULL : calloc(cap, sizeof *slots);
        if (!slots)
            return NULL;
        struct hf_map bigger = {slots, m->n, cap};
        for (size_t i = 0; i < m->cap; i++)
            if (m->slots[i].hash)
                *find_slot(&bigger, m->slots[i].key, m->slots[i].hash) = m->slots[i];
        free(m->slots);
        *m = bigger;
    }
    uint64_t h = key_hash(key);
    struct hf_map_slot *s = find_slot(m, key, h);
    bool fresh = !s->hash;
    if (fresh) {
        *s = (struct hf_map_slot){key, h, 0};
        m->n++;
    }
    if (ret_new)
        *ret_new = fresh;
    return &s->value;
}
