/* SPDX-License-Identifier: Apache-2.0 */
#include "packages/facts.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    MAX_FACTS = 16 << 20,
    MAX_NAME = 4096,  /* of a package, its version and the like: real ones have less than 300 */
    MAX_WORDS = 4096, /* kept of what is only shown */
};

void hf_facts_init(struct hf_facts *f, size_t max_bytes)
{
    *f = (struct hf_facts){.file = 0};
    hf_arena_init(&f->arena, max_bytes);
}

void hf_facts_done(struct hf_facts *f)
{
    hf_arena_done(&f->arena);
    free(f->v);
    f->v = NULL;
    f->n = f->cap = 0;
}

static int over(struct hf_err *err)
{
    return hf_fail(err, HF_E_LIMIT, "facts of this layer are over the memory limit; raise --max-memory");
}

static struct hf_fact *add(struct hf_facts *f, enum hf_fact_kind kind, enum hf_pkg_type t)
{
    /* The array counts against the same ceiling as the arena. */
    if (f->n == f->cap) {
        size_t grown = (f->cap ? f->cap * 2 : 8) * sizeof *f->v;
        if (grown > f->arena.max || f->arena.used > f->arena.max - grown || !hf_quota_take(f->quota, grown - f->cap * sizeof *f->v))
            return NULL;
    }
    struct hf_fact *x = hf_grow((void **)&f->v, &f->n, &f->cap, sizeof *x, MAX_FACTS);
    if (x) {
        x->kind = kind;
        x->type = t;
        x->file = f->file;
    }
    return x;
}

static int add_text(struct hf_facts *f, enum hf_fact_kind kind, enum hf_pkg_type t, struct hf_span key, struct hf_span text,
        struct hf_err *err)
{
    struct hf_span k = {NULL, 0}, x;
    /* Consecutive facts of one package share its key. */
    if (f->n && f->v[f->n - 1].kind == kind && hf_span_eq(f->v[f->n - 1].key, key))
        k = f->v[f->n - 1].key;
    else if (hf_arena_dup(&f->arena, key, &k) < 0)
        return over(err);
    if (hf_arena_dup(&f->arena, text, &x) < 0)
        return over(err);
    struct hf_fact *fact = add(f, kind, t);
    if (!fact)
        return over(err);
    fact->key = k;
    fact->text = x;
    return 0;
}

int hf_facts_package(struct hf_facts *f, const struct hf_package *p, struct hf_err *err)
{
    const struct hf_span names[] = {p->name, p->version, p->arch, p->namespace, p->source_name, p->source_version, p->module, p->owner_key};
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
        if (names[i].n > MAX_NAME) {
            hf_facts_incomplete(f, "package \"" HF_SPAN_FMT "\" left out: a name or version of %zu bytes", HF_SPAN_ARG(hf_span_sub(p->name, 0, 80)), names[i].n);
            return 0;
        }
    struct hf_package *c = hf_arena_alloc(&f->arena, sizeof *c);
    if (!c)
        return over(err);
    *c = *p;
    c->vendor = hf_span_sub(c->vendor, 0, MAX_WORDS);
    struct hf_span *spans[] = {&c->name, &c->version, &c->arch, &c->namespace, &c->source_name, &c->source_version,
            &c->vendor, &c->module, &c->qualifiers, &c->checksum, &c->unmatched_why, &c->owner_key, &c->install_root, &c->symbols};
    for (size_t i = 0; i < HF_ARRAY_LEN(spans); i++)
        if (spans[i]->n == 0)
            *spans[i] = hf_span("", 0);
        else if (hf_arena_dup(&f->arena, *spans[i], spans[i]) < 0)
            return over(err);
    if (p->n_licenses) {
        struct hf_span *l = hf_arena_calloc(&f->arena, p->n_licenses, sizeof *l);
        if (!l)
            return over(err);
        for (size_t i = 0; i < p->n_licenses; i++)
            if (hf_arena_dup(&f->arena, hf_span_sub(p->licenses[i], 0, MAX_WORDS), &l[i]) < 0)
                return over(err);
        c->licenses = l;
    } else {
        c->licenses = NULL;
    }
    struct hf_fact *fact = add(f, HF_FACT_PACKAGE, p->type);
    if (!fact)
        return over(err);
    fact->pkg = c;
    return 0;
}

int hf_facts_owned(struct hf_facts *f, enum hf_pkg_type t, struct hf_span key, struct hf_span path, struct hf_err *err)
{
    return add_text(f, HF_FACT_OWNED, t, key, path, err);
}

int hf_facts_license(struct hf_facts *f, enum hf_pkg_type t, struct hf_span key, struct hf_span text, struct hf_err *err)
{
    return add_text(f, HF_FACT_LICENSE, t, key, text, err);
}

int hf_facts_os(struct hf_facts *f, const struct hf_os_release *os, struct hf_err *err)
{
    struct hf_os_release *c = hf_arena_alloc(&f->arena, sizeof *c);
    if (!c)
        return over(err);
    *c = *os;
    struct hf_span *spans[] = {&c->id, &c->id_like, &c->version_id, &c->version_codename, &c->pretty_name, &c->variant_id,
            &c->cpe_name};
    for (size_t i = 0; i < HF_ARRAY_LEN(spans); i++)
        if (hf_arena_dup(&f->arena, *spans[i], spans[i]) < 0)
            return over(err);
    struct hf_fact *fact = add(f, HF_FACT_OS, HF_PKG_GENERIC);
    if (!fact)
        return over(err);
    fact->os = c;
    return 0;
}

int hf_facts_mark(struct hf_facts *f, struct hf_span key, struct hf_span text, struct hf_err *err)
{
    return add_text(f, HF_FACT_MARK, HF_PKG_GENERIC, key, text, err);
}

int hf_facts_repeat(struct hf_facts *f, size_t first, size_t end, struct hf_err *err)
{
    for (size_t i = first; i < end && i < f->n; i++) {
        if (f->v[i].kind == HF_FACT_INCOMPLETE)
            continue;
        struct hf_fact *x = add(f, f->v[i].kind, f->v[i].type);
        if (!x)
            return over(err);
        struct hf_fact same = f->v[i]; /* the array may have moved */
        same.file = f->file;
        *x = same;
    }
    return 0;
}

int hf_facts_incomplete(struct hf_facts *f, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    int rc = add_text(f, HF_FACT_INCOMPLETE, HF_PKG_GENERIC, hf_span("", 0), hf_span_z(text), NULL);
    f->lost += rc < 0;
    return rc;
}
