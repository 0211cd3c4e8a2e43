/* SPDX-License-Identifier: Apache-2.0 */
/* Go programs: main module, dependencies (a replacement wins) and the standard library, from their build information.  R27.
 * Which symbols a program links is not read, so a record that lists symbols matches by version alone. */
#include "formats/gobuild/gobuild.h"
#include "packages/catalogers.h"

enum { FRAGMENT = 9 << 20 }; /* of a program too large to hold: more than the longest module list */

static struct hf_span field(struct hf_span *rest)
{
    struct hf_span f = {NULL, 0};
    hf_span_cut(rest, '\t', &f);
    return f;
}

static int add(struct hf_facts *out, struct hf_span path, struct hf_span version, unsigned flags, const char *why, struct hf_err *err)
{
    if (!path.n || path.n > 1024 || version.n > 256)
        return 0;
    struct hf_package p = {.type = HF_PKG_GO, .name = path, .version = version, .flags = flags};
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

static int modules(struct hf_span text, struct hf_facts *out, struct hf_err *err)
{
    struct hf_span rest = text, line, path = {NULL, 0}, version = {NULL, 0};
    bool pending = false, main_module = false;
    int rc = 0;
    for (;;) {
        bool more = hf_span_line(&rest, &line);
        struct hf_span cols = line, kind = more ? field(&cols) : hf_span("", 0);
        if (more && hf_span_eqz(kind, "=>") && pending) {
            path = field(&cols);
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
            rc = add(out, path, version, main_module ? HF_PKG_MAIN_MODULE : 0, why, err);
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
        return rc == HF_E_TRUNCATED || rc == HF_E_FORMAT ? (hf_fail(err, rc, "ELF: %s", "headers point outside the file"), 0) : rc;
    /* "go1.22.3 X:nocoverageredesign", "go1.21.5-custom" */
    struct hf_span v = hf_span_sub(version, 0, hf_span_find(version, ' '));
    v = hf_span_sub(v, 0, hf_span_find(v, '-'));
    if (hf_span_starts(v, HF_S("go")) && v.n > 2 && v.p[2] >= '0' && v.p[2] <= '9')
        rc = add(out, HF_S("stdlib"), hf_span_from(v, 2), HF_PKG_STDLIB, NULL, err);
    else
        rc = add(out, HF_S("stdlib"), version, HF_PKG_STDLIB, "R27: a development toolchain has no release version", err);
    return rc < 0 ? rc : modules(text, out, err);
}

static const struct hf_want wants[] = {{HF_WANT_ELF, NULL, NULL, UINT64_C(8) << 30, false, HF_GOBUILD_MAGIC, FRAGMENT}};
const struct hf_cataloger hf_cataloger_go = {"go", 1, wants, HF_ARRAY_LEN(wants), run};
