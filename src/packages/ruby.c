/* SPDX-License-Identifier: Apache-2.0 */
/* Installed gems: specifications/<name>.gemspec (default/ too).  The stub line that RubyGems writes says it all: "# stub: name version platform
 * require_paths"; licences are read from the assignment.  Ruby code is never run. */
#include "packages/catalogers.h"

enum { MAX_GEMSPEC = 1 << 20, MAX_LICENSES = 8 };

/* The text of the next "..." or '...' (with an optional .freeze) in s. */
static bool quoted(struct hf_span *s, struct hf_span *ret)
{
    size_t a = HF_MIN(hf_span_find(*s, '"'), hf_span_find(*s, '\''));
    if (a == SIZE_MAX)
        return false;
    struct hf_span rest = hf_span_from(*s, a + 1);
    size_t b = hf_span_find(rest, s->p[a]);
    if (b == SIZE_MAX)
        return false;
    *ret = hf_span(rest.p, b);
    *s = hf_span_from(rest, b + 1);
    return true;
}

/* Value of "s.<field> = ..." on a line, whatever the variable is called. */
static bool assignment(struct hf_span line, const char *field, struct hf_span *ret)
{
    hf_autobuf dotted = HF_BUF_INIT(64);
    hf_buf_addf(&dotted, ".%s", field);
    size_t at = hf_span_search(line, hf_buf_span(&dotted));
    if (at == SIZE_MAX || at > 16)
        return false;
    struct hf_span rest = hf_span_trim(hf_span_from(line, at + dotted.n));
    if (!rest.n || rest.p[0] != '=')
        return false;
    *ret = hf_span_from(rest, 1);
    return true;
}

static int run(const struct hf_cat_file *files, size_t n, struct hf_cat_scratch *scratch, struct hf_facts *out, struct hf_err *err)
{
    struct hf_span text, line, name = {NULL, 0}, version = {NULL, 0}, platform = {NULL, 0}, licenses[MAX_LICENSES], v;
    size_t n_licenses = 0;
    (void)n;
    int rc = hf_ra_all(&files->ra, &scratch->file, &text, err);
    if (rc < 0)
        return rc;
    while (hf_span_line(&text, &line)) {
        line = hf_span_trim(line);
        if (!name.n && hf_span_starts(line, HF_S("# stub: "))) {
            struct hf_span rest = hf_span_from(line, 8);
            hf_span_cut(&rest, ' ', &name);
            hf_span_cut(&rest, ' ', &version);
            hf_span_cut(&rest, ' ', &platform);
        } else if (!name.n && assignment(line, "name", &v)) {
            quoted(&v, &name);
        } else if (!version.n && assignment(line, "version", &v)) {
            quoted(&v, &version);
        } else if (assignment(line, "licenses", &v) || assignment(line, "license", &v)) {
            while (n_licenses < MAX_LICENSES && quoted(&v, &licenses[n_licenses]))
                n_licenses++;
        }
    }
    if (!name.n || !version.n || name.n > 256 || version.n > 256)
        return hf_fail(err, HF_E_FORMAT, "no name or version that can be read without running it");
    struct hf_package p = {.type = HF_PKG_GEM, .name = name, .version = version, .licenses = licenses, .n_licenses = n_licenses};
    if (platform.n && !hf_span_eqz(platform, "ruby"))
        p.arch = platform;
    return hf_facts_package(out, &p, err);
}

static const struct hf_want wants[] = {
        {HF_WANT_SUFFIX, ".gemspec", "specifications", MAX_GEMSPEC, false},
        {HF_WANT_SUFFIX, ".gemspec", "specifications/default", MAX_GEMSPEC, false},
};
const struct hf_cataloger hf_cataloger_ruby = {"ruby", 2, wants, HF_ARRAY_LEN(wants), run};
