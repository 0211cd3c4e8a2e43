/* SPDX-License-Identifier: Apache-2.0 */
#include "image/dispatch.h"

#include "base/mem.h"

enum { LONGEST_SUFFIX = 16 };

struct rule {
    struct hf_dispatch_hit hit;
    struct hf_span pattern, dir_tail;
    uint32_t next; /* rule with the same key, 0: none */
};

struct hf_dispatch {
    struct hf_map names;    /* last component of PATH and TAIL patterns -> rule */
    struct hf_map folders;  /* last component of UNDER patterns -> rule */
    struct hf_map suffixes; /* ".jar": text from the last dot -> rule */
    struct rule *rules;     /* [0] unused */
    size_t n, cap;
    struct hf_dispatch_hit elf[HF_DISPATCH_MAX];
    size_t n_elf;
};

static bool add(struct hf_dispatch *d, const struct hf_cataloger *c, const struct hf_want *w)
{
    if (w->kind == HF_WANT_ELF) {
        if (d->n_elf == HF_DISPATCH_MAX)
            return false;
        d->elf[d->n_elf++] = (struct hf_dispatch_hit){c, w};
        return true;
    }
    struct hf_span pattern = hf_span_z(w->pattern), key;
    bool suffix = w->kind == HF_WANT_SUFFIX;
    struct hf_map *map = suffix ? &d->suffixes : w->kind == HF_WANT_UNDER ? &d->folders : &d->names;
    if (suffix) {
        size_t dot = hf_span_rfind(pattern, '.');
        key = dot == SIZE_MAX ? pattern : hf_span_from(pattern, dot); /* lower case, as the patterns are */
        if (key.n > LONGEST_SUFFIX)
            return false;
    } else {
        key = hf_span_basename(pattern);
    }
    struct rule *r = hf_grow((void **)&d->rules, &d->n, &d->cap, sizeof *r, 4096);
    uint64_t *slot = r ? hf_map_at(map, key, NULL) : NULL;
    if (!slot)
        return false;
    *r = (struct rule){{c, w}, pattern, hf_span_z(w->dir_tail), (uint32_t)*slot};
    *slot = d->n - 1;
    return true;
}

struct hf_dispatch *hf_dispatch_new(const struct hf_cataloger *const *catalogers)
{
    struct hf_dispatch *d = calloc(1, sizeof *d);
    if (!d || !hf_grow((void **)&d->rules, &d->n, &d->cap, sizeof *d->rules, 4096))
        goto fail;
    for (; *catalogers; catalogers++)
        for (size_t i = 0; i < (*catalogers)->n_wants; i++)
            if (!add(d, *catalogers, &(*catalogers)->wants[i]))
                goto fail;
    return d;
fail:
    hf_dispatch_free(d);
    return NULL;
}

void hf_dispatch_free(struct hf_dispatch *d)
{
    if (!d)
        return;
    hf_map_done(&d->names);
    hf_map_done(&d->folders);
    hf_map_done(&d->suffixes);
    free(d->rules);
    free(d);
}

/* One component against a pattern in which '*' stands for any run of bytes; at most one '*'. */
static bool component_fits(struct hf_span c, struct hf_span pattern)
{
    size_t star = hf_span_find(pattern, '*');
    if (star == SIZE_MAX)
        return hf_span_eq(c, pattern);
    struct hf_span head = hf_span(pattern.p, star), tail = hf_span_from(pattern, star + 1);
    return c.n >= head.n + tail.n && hf_span_starts(c, head) && hf_span_ends(c, tail);
}

/* Whether dir ends in the components of pattern. */
static bool dir_fits(struct hf_span dir, struct hf_span pattern)
{
    while (pattern.n) {
        if (!dir.n)
            return false;
        if (!component_fits(hf_span_basename(dir), hf_span_basename(pattern)))
            return false;
        dir = hf_span_dirname(dir);
        pattern = hf_span_dirname(pattern);
    }
    return true;
}

static bool fits(const struct rule *r, struct hf_span path)
{
    switch (r->hit.want->kind) {
    case HF_WANT_PATH:
        if (!hf_span_eq(path, r->pattern))
            return false;
        break;
    case HF_WANT_TAIL:
        if (!hf_span_ends(path, r->pattern) || (path.n > r->pattern.n && path.p[path.n - r->pattern.n - 1] != '/'))
            return false;
        break;
    case HF_WANT_SUFFIX: /* "LIB.JAR" is run as well as "lib.jar" */
        if (path.n < r->pattern.n || !hf_span_eq_nocase(hf_span_from(path, path.n - r->pattern.n), r->pattern))
            return false;
        break;
    case HF_WANT_UNDER: {
        struct hf_span dir = hf_span_dirname(path);
        return hf_span_ends(dir, r->pattern) && (dir.n == r->pattern.n || dir.p[dir.n - r->pattern.n - 1] == '/');
    }
    case HF_WANT_ELF:
    default:
        return false;
    }
    /* dir_tail speaks of the directory that holds the pattern's first component */
    struct hf_span dir = hf_span(path.p, path.n - HF_MIN(path.n, r->pattern.n));
    if (r->hit.want->kind == HF_WANT_SUFFIX)
        dir = hf_span_dirname(path);
    else if (dir.n)
        dir.n--; /* the slash */
    return dir_fits(dir, r->dir_tail);
}

size_t hf_dispatch_path(const struct hf_dispatch *d, struct hf_span path, struct hf_dispatch_hit ret[HF_DISPATCH_MAX])
{
    struct hf_span name = hf_span_basename(path);
    size_t n = 0, dot = hf_span_rfind(name, '.');
    uint64_t i = 0, k = 0, f = 0;
    if (!hf_map_get(&d->folders, hf_span_basename(hf_span_dirname(path)), &f))
        f = 0;
    for (; f && n < HF_DISPATCH_MAX; f = d->rules[f].next)
        if (fits(&d->rules[f], path))
            ret[n++] = d->rules[f].hit;
    if (!hf_map_get(&d->names, name, &i))
        i = 0;
    struct hf_span suffix = dot == SIZE_MAX ? hf_span("", 0) : hf_span_from(name, dot);
    char low[LONGEST_SUFFIX];
    for (size_t c = 0; c < suffix.n && suffix.n <= sizeof low; c++)
        low[c] = suffix.p[c] >= 'A' && suffix.p[c] <= 'Z' ? (char)(suffix.p[c] | 0x20) : suffix.p[c];
    if (!suffix.n || suffix.n > sizeof low || !hf_map_get(&d->suffixes, hf_span(low, suffix.n), &k))
        k = 0;
    for (; i && n < HF_DISPATCH_MAX; i = d->rules[i].next)
        if (fits(&d->rules[i], path))
            ret[n++] = d->rules[i].hit;
    for (; k && n < HF_DISPATCH_MAX; k = d->rules[k].next)
        if (fits(&d->rules[k], path))
            ret[n++] = d->rules[k].hit;
    return n;
}

size_t hf_dispatch_content(const struct hf_dispatch *d, struct hf_span head, struct hf_dispatch_hit ret[HF_DISPATCH_MAX])
{
    if (head.n < 4 || memcmp(head.p, "\x7f" "ELF", 4) != 0)
        return 0;
    memcpy(ret, d->elf, d->n_elf * sizeof *ret);
    return d->n_elf;
}

void hf_dispatch_version(const struct hf_cataloger *const *catalogers, struct hf_buf *out)
{
    for (; *catalogers; catalogers++)
        hf_buf_addf(out, "%s:%u,", (*catalogers)->name, (*catalogers)->version);
}
