/* SPDX-License-Identifier: Apache-2.0 */
/* Go programs: main module, dependencies (a replacement wins) and the standard library, from their build information.  R27.
 *
 * Which functions are linked goes with the module they belong to, as hashes: a record that names functions matches only then. */
#include <stdlib.h>

#include "formats/gobuild/gobuild.h"
#include "formats/gobuild/pclntab.h"
#include "packages/catalogers.h"
#include "packages/gosymbols.h"

enum { FRAGMENT = 9 << 20, MAX_SYMBOLS = 2 << 20, MAX_MODULES = 8192 }; /* of a program too large to hold: more than the longest module list */

static struct hf_span field(struct hf_span *rest)
{
    struct hf_span f = {NULL, 0};
    hf_span_cut(rest, '\t', &f);
    return f;
}

/* Hashes of the linked functions, each with the number of its module; 0 is the standard library. */
struct linked {
    uint64_t module, hash;
};
struct symbols {
    struct hf_map modules; /* path -> number */
    struct linked *v;
    size_t n, cap;
    struct hf_buf set;
    bool known;
};

static int by_module(const void *a, const void *b)
{
    const struct linked *x = a, *y = b;
    if (x->module != y->module)
        return x->module < y->module ? -1 : 1;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* The module with the longest path that the import path lies in; false: none whose functions matter (main, C, vendored). */
static bool module_of(const struct symbols *s, struct hf_span path, uint64_t *ret)
{
    for (size_t n = path.n; n && n != SIZE_MAX; n = hf_span_rfind(hf_span(path.p, n), '/'))
        if (hf_map_get(&s->modules, hf_span(path.p, n), ret))
            return true;
    *ret = 0; /* import paths of the standard library have no dot in their first part */
    return hf_span_find(hf_span_sub(path, 0, hf_span_find(path, '/')), '.') == SIZE_MAX && !hf_span_eqz(path, "main");
}

static void read_symbols(const struct hf_ra *ra, struct hf_span text, struct hf_buf *tables, struct symbols *s)
{
    struct hf_span names, name, rest = text, line, path, symbol, last = {NULL, 0};
    hf_autobuf work = HF_BUF_INIT(16 << 10), kept = HF_BUF_INIT(8 << 10);
    uint64_t module = 0, count = 0;
    bool matters = false;
    while (hf_span_line(&rest, &line)) {
        struct hf_span cols = line, kind = field(&cols);
        if (!hf_span_eqz(kind, "dep") || count >= MAX_MODULES)
            continue;
        uint64_t *slot = hf_map_at(&s->modules, field(&cols), NULL);
        if (!slot)
            return;
        *slot = ++count;
    }
    if (hf_gopclntab_names(ra, tables, &names, NULL) != 1)
        return;
    while (hf_span_cut(&names, 0, &name)) {
        if (!hf_go_symbol_split(name, &work, &path, &symbol))
            continue;
        if (!last.p || !hf_span_eq(path, last)) { /* functions of one package follow each other */
            matters = module_of(s, path, &module);
            hf_buf_clear(&kept);
            hf_buf_adds(&kept, path);
            last = hf_buf_span(&kept);
        }
        if (!matters)
            continue;
        struct linked *l = hf_grow((void **)&s->v, &s->n, &s->cap, sizeof *l, MAX_SYMBOLS);
        if (!l)
            return;
        hf_buf_addc(&kept, '.');
        hf_buf_adds(&kept, symbol);
        *l = (struct linked){module, hf_go_symbol_hash(hf_buf_span(&kept))};
        kept.n = last.n;
        last = hf_buf_span(&kept);
    }
    if (s->n)
        qsort(s->v, s->n, sizeof *s->v, by_module);
    s->known = s->n > 0;
}

/* The set of one module in s->set. */
static bool symbols_of(struct symbols *s, uint64_t module)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->v[mid].module < module)
            low = mid + 1;
        else
            high = mid;
    }
    hf_buf_clear(&s->set);
    for (size_t i = low; i < s->n && s->v[i].module == module; i++) {
        uint32_t h = (uint32_t)s->v[i].hash;
        if (i == low || s->v[i].hash != s->v[i - 1].hash)
            hf_buf_add(&s->set, &h, sizeof h);
    }
    return s->known && hf_buf_ok(&s->set);
}

static int add(struct hf_facts *out, struct hf_span path, struct hf_span version, unsigned flags, struct hf_span symbols, const char *why, struct hf_err *err)
{
    if (!path.n || path.n > 1024 || version.n > 256)
        return 0;
    struct hf_package p = {.type = HF_PKG_GO, .name = path, .version = version, .flags = flags, .symbols = symbols};
    if (why) {
        p.flags |= HF_PKG_NOT_MATCHED;
        p.unmatched_why = hf_span_z(why);
    }
    return hf_facts_package(out, &p, err);
}

/* "-X main.version=v1.2.3" among the linker flags: what the project calls the release. */
static struct hf_span linker_version(struct hf_span modules)
{
    struct hf_span line, found = hf_span("", 0);
    while (hf_span_line(&modules, &line)) {
        if (!hf_span_starts(line, HF_S("build\t-ldflags=")))
            continue;
        size_t at;
        while ((at = hf_span_search(line, HF_S("-X"))) != SIZE_MAX) {
            line = hf_span_from(line, at + 2);
            struct hf_span word = hf_span_trim(line), value;
            word = hf_span_sub(word, 0, hf_span_find(word, ' '));
            size_t eq = hf_span_find(word, '=');
            if (eq == SIZE_MAX || eq < 8)
                continue;
            struct hf_span name = hf_span_from(hf_span(word.p, eq), eq - 8);
            value = hf_span_from(word, eq + 1);
            while (value.n && (value.p[value.n - 1] == '"' || value.p[value.n - 1] == '\''))
                value.n--;
            size_t digits = value.n && value.p[0] == 'v';
            if (hf_span_eq_nocase(hf_span_from(name, 1), HF_S("version")) && value.n > digits && value.p[digits] >= '0' && value.p[digits] <= '9' &&
                    hf_span_find(value, '.') != SIZE_MAX)
                found = value;
        }
    }
    return found;
}

static int modules(struct hf_span text, struct symbols *symbols, struct hf_facts *out, struct hf_err *err)
{
    struct hf_span rest = text, line, path = {NULL, 0}, version = {NULL, 0};
    bool pending = false, main_module = false, moved = false;
    int rc = 0;
    for (;;) {
        bool more = hf_span_line(&rest, &line);
        struct hf_span cols = line, kind = more ? field(&cols) : hf_span("", 0);
        if (more && hf_span_eqz(kind, "=>") && pending) {
            struct hf_span original = path;
            path = field(&cols);
            moved |= !hf_span_eq(path, original); /* the program has its functions under the path that was replaced */
            version = field(&cols);
            continue;
        }
        if (pending) {
            const char *why = NULL;
            if (main_module && (hf_span_eqz(version, "(devel)") || hf_span_starts(version, HF_S("v0.0.0-")) || !version.n)) {
                struct hf_span stamped = linker_version(text);
                if (stamped.n)
                    version = stamped;
                else
                    why = "R27: the program does not say which version of its own module it is";
            } else if (!version.n) {
                why = "R27: replaced by a local folder, version unknown";
            }
            uint64_t number = 0;
            bool linked = !main_module && !moved && symbols->known && hf_map_get(&symbols->modules, path, &number) && symbols_of(symbols, number);
            rc = add(out, path, version, (main_module ? HF_PKG_MAIN_MODULE : 0) | (linked ? HF_PKG_SYMBOLS : 0), linked ? hf_buf_span(&symbols->set) : hf_span("", 0), why, err);
            if (rc < 0)
                return rc;
            pending = false;
        }
        if (!more)
            return 0;
        if (hf_span_eqz(kind, "mod") || hf_span_eqz(kind, "dep")) {
            main_module = kind.p[0] == 'm';
            path = field(&cols);
            version = field(&cols);
            pending = true;
            moved = false;
        }
    }
}

static int run(const struct hf_cat_file *files, size_t n, struct hf_cat_scratch *scratch, struct hf_facts *out, struct hf_err *err)
{
    struct hf_span version, text;
    (void)n;
    int rc = files->fragment ? hf_gobuild_fragment(&files->ra, &scratch->file, &version, &text, err)
                             : hf_gobuild_read(&files->ra, &scratch->file, &scratch->other, &version, &text, err);
    if (files->fragment && rc < 0) /* the whole file is out of reach: what could not be read must be said */
        return rc;
    if (rc != 1)
        return rc;
    struct symbols symbols = {.n = 0};
    hf_buf_init(&symbols.set, 16 << 20);
    if (!files->fragment)
        read_symbols(&files->ra, text, &scratch->other, &symbols);
    bool linked = symbols_of(&symbols, 0);
    /* "go1.22.3 X:nocoverageredesign", "go1.21.5-custom" */
    struct hf_span v = hf_span_sub(version, 0, hf_span_find(version, ' ')), set = linked ? hf_buf_span(&symbols.set) : hf_span("", 0);
    unsigned flags = HF_PKG_STDLIB | (linked ? HF_PKG_SYMBOLS : 0);
    v = hf_span_sub(v, 0, hf_span_find(v, '-'));
    if (hf_span_starts(v, HF_S("go")) && v.n > 2 && v.p[2] >= '0' && v.p[2] <= '9')
        rc = add(out, HF_S("stdlib"), hf_span_from(v, 2), flags, set, NULL, err);
    else
        rc = add(out, HF_S("stdlib"), version, flags, set, "R27: a development toolchain has no release version", err);
    if (rc >= 0)
        rc = modules(text, &symbols, out, err);
    hf_map_done(&symbols.modules);
    hf_buf_done(&symbols.set);
    free(symbols.v);
    return rc;
}

static const struct hf_want wants[] = {{HF_WANT_ELF, NULL, NULL, UINT64_C(8) << 30, false, HF_GOBUILD_MAGIC, FRAGMENT}};
const struct hf_cataloger hf_cataloger_go = {"go", 3, wants, HF_ARRAY_LEN(wants), run};
