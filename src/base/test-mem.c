/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include "tap.h"

static void arenas(void)
{
    hf_autoarena a;
    hf_arena_init(&a, 64 << 10);
    char *p = hf_arena_alloc(&a, 3), *q = hf_arena_alloc(&a, 5);
    OK(p && q && ((uintptr_t)p & 7) == 0 && ((uintptr_t)q & 7) == 0);
    memset(p, 1, 3);
    memset(q, 2, 5);
    OK(p[2] == 1 && q[0] == 2);
    uint64_t *z = hf_arena_calloc(&a, 100, sizeof *z);
    bool zero = z != NULL;
    for (size_t i = 0; zero && i < 100; i++)
        zero = z[i] == 0;
    OK(zero);
    OK(hf_arena_calloc(&a, SIZE_MAX / 2, 3) == NULL);
    OK(hf_arena_alloc(&a, SIZE_MAX) == NULL);
    OK(hf_arena_alloc(&a, SIZE_MAX - 8) == NULL);
    OK(hf_arena_alloc(&a, 65 << 10) == NULL);
    OK(hf_arena_alloc(&a, 0) != NULL);
    struct hf_span s = HF_S("kept");
    OK(hf_arena_dup(&a, HF_S("a\0b"), &s) == 0 && s.n == 3 && memcmp(s.p, "a\0b", 4) == 0);
    OK(hf_arena_dup(&a, hf_span(NULL, 0), &s) == 0 && s.n == 0 && s.p && s.p[0] == 0);
    /* Small pieces up to the ceiling: refused there, not beyond; what was given stays intact. */
    size_t n = 0;
    unsigned char *all[4096];
    while (n < 4096 && (all[n] = hf_arena_alloc(&a, 40))) {
        memset(all[n], (int)(n & 255), 40);
        n++;
    }
    OK(n > 1000 && n < 1639);
    OK(a.used <= a.max);
    bool intact = true;
    for (size_t i = 0; i < n; i++)
        intact = intact && all[i][0] == (i & 255) && all[i][39] == (i & 255);
    OK(intact);
    OK(hf_arena_dup(&a, HF_S("0123456789012345678901234567890123456789"), &s) == HF_E_LIMIT && s.n == 0);
    hf_arena_done(&a);
    OK(a.used == 0 && hf_arena_alloc(&a, 8) != NULL); /* usable again */
}

static void vectors(void)
{
    uint32_t *v = NULL;
    size_t n = 0, cap = 0, i = 0;
    for (uint32_t *slot; (slot = hf_grow((void **)&v, &n, &cap, sizeof *v, 1000)); i++) {
        if (*slot)
            break;
        *slot = (uint32_t)i;
    }
    OK(i == 1000 && n == 1000 && cap <= 1024);
    OK(v && v[0] == 0 && v[999] == 999);
    free(v);
    v = NULL;
    n = cap = 0;
    OK(hf_grow((void **)&v, &n, &cap, SIZE_MAX / 4, 100) == NULL && n == 0);
    OK(hf_grow((void **)&v, &n, &cap, 4, 0) == NULL);
    void *p = hf_try_alloc(10, 10, 100);
    OK(p != NULL);
    free(p);
    OK(hf_try_alloc(10, 10, 99) == NULL);
    OK(hf_try_alloc(SIZE_MAX / 2, 4, SIZE_MAX) == NULL);
    free(p = hf_try_alloc(0, 8, 0));
    OK(p != NULL);
}

static void tables(void)
{
    enum { MANY = 20000 };
    hf_automap m = {NULL, 0, 0};
    uint64_t v = 7;
    bool fresh;
    OK(!hf_map_get(&m, HF_S("a"), &v) && v == 7);
    uint64_t *slot = hf_map_at(&m, HF_S(""), &fresh); /* the empty key is a key */
    OK(slot && fresh && *slot == 0);
    *slot = 99;
    OK(hf_map_get(&m, hf_span(NULL, 0), &v) && v == 99);
    OK(hf_map_at(&m, HF_S(""), &fresh) && !fresh && m.n == 1);
    hf_autoarena a;
    hf_arena_init(&a, 8 << 20);
    bool good = true;
    for (unsigned i = 0; i < MANY; i++) {
        char text[16];
        struct hf_span key = hf_span(text, (size_t)snprintf(text, sizeof text, "k%u", i));
        good = good && hf_arena_dup(&a, key, &key) == 0 && (slot = hf_map_at(&m, key, &fresh)) && fresh;
        if (good)
            *slot = i * 3u;
    }
    OK(good && m.n == MANY + 1);
    OK((m.cap & (m.cap - 1)) == 0 && m.cap > m.n);
    for (unsigned i = 0; i < MANY && good; i++) {
        char text[16];
        good = hf_map_get(&m, hf_span(text, (size_t)snprintf(text, sizeof text, "k%u", i)), &v) && v == i * 3u;
    }
    OK(good);
    OK(!hf_map_get(&m, HF_S("k20000"), &v));
    OK(!hf_map_get(&m, HF_S("k1\0"), &v)); /* length counts, not the NUL */
    OK(hf_map_get(&m, HF_S(""), &v) && v == 99);
    hf_map_done(&m);
    OK(!hf_map_get(&m, HF_S("k1"), &v));
}

int main(void)
{
    arenas();
    vectors();
    tables();
    return tap_done();
}
