/* SPDX-License-Identifier: Apache-2.0 */
#include "result/scan.h"

#include <stdarg.h>
#include <stdio.h>

void hf_scan_init(struct hf_scan *s, size_t max_bytes)
{
    *s = (struct hf_scan){.n_layers = 0};
    hf_arena_init(&s->arena, max_bytes);
}

void hf_scan_done(struct hf_scan *s)
{
    hf_arena_done(&s->arena);
    free(s->incomplete);
    free(s->warnings);
    free(s->marks);
    free(s->findings);
    free(s->vulns);
    free(s->packages);
    *s = (struct hf_scan){.n_layers = 0};
}

/* The growing arrays double at powers of two, so no capacity needs keeping. */
static void *append(void **v, size_t *n, size_t size)
{
    if ((*n & (*n - 1)) == 0) {
        size_t cap = *n ? *n * 2 : 1, bytes;
        if (!hf_ckd_mul(&bytes, cap, size))
            return NULL;
        void *p = realloc(*v, bytes);
        if (!p)
            return NULL;
        *v = p;
    }
    return (char *)*v + size * (*n)++;
}

int hf_scan_incomplete(struct hf_scan *s, struct hf_span path, uint32_t layer, const char *fmt, ...)
{
    char text[640];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct hf_span p, r;
    if (hf_arena_dup(&s->arena, path, &p) < 0 || hf_arena_dup(&s->arena, hf_span_z(text), &r) < 0)
        return HF_E_LIMIT;
    struct hf_incomplete *i = append((void **)&s->incomplete, &s->n_incomplete, sizeof *i);
    if (!i)
        return -12;
    *i = (struct hf_incomplete){p, r, layer};
    return 0;
}

int hf_scan_warn(struct hf_scan *s, const char *fmt, ...)
{
    char text[640];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct hf_span t;
    if (hf_arena_dup(&s->arena, hf_span_z(text), &t) < 0)
        return HF_E_LIMIT;
    struct hf_span *w = append((void **)&s->warnings, &s->n_warnings, sizeof *w);
    if (!w)
        return -12;
    *w = t;
    return 0;
}

const char *hf_vuln_status_name(enum hf_vuln_status s)
{
    static const char *const n[] = {"fixed", "unfixed", "wont-fix", "deferred", "under-investigation", "end-of-life"};
    return (unsigned)s < HF_ARRAY_LEN(n) ? n[s] : "unfixed";
}
