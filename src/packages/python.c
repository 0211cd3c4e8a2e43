/* SPDX-License-Identifier: Apache-2.0 */
/* Python distributions: METADATA of dist-info, PKG-INFO of egg-info (folder or single file) and of eggs.
 * Spec: packaging.python.org, core metadata: RFC 822 headers, of which only those before the body count. */
#include "packages/catalogers.h"

enum { MAX_METADATA = 8 << 20, MAX_HEADERS = 64 << 10, MAX_LICENSES = 16 };

static struct hf_span header(struct hf_span line, const char *name)
{
    size_t n = strlen(name);
    return line.n > n && line.p[n] == ':' && hf_span_eq_nocase(hf_span(line.p, n), hf_span_z(name)) ? hf_span_trim(hf_span_from(line, n + 1)) : hf_span("", 0);
}

static int run(const struct hf_cat_file *files, size_t n, struct hf_cat_scratch *scratch, struct hf_facts *out, struct hf_err *err)
{
    struct hf_span text, line, name = {NULL, 0}, version = {NULL, 0}, expression = {NULL, 0}, license = {NULL, 0}, classifiers[MAX_LICENSES];
    size_t n_classifiers = 0;
    (void)n;
    /* A description of a megabyte may follow; the headers stand first. */
    size_t want = (size_t)HF_MIN(files->size, (uint64_t)MAX_HEADERS);
    int rc = hf_ra_get(&files->ra, 0, want, &scratch->file, &text, err);
    if (rc < 0)
        return rc;
    while (hf_span_line(&text, &line)) {
        if (!line.n)
            break;
        struct hf_span v;
        if (!name.n && (v = header(line, "Name")).n)
            name = v;
        else if (!version.n && (v = header(line, "Version")).n)
            version = v;
        else if (!expression.n && (v = header(line, "License-Expression")).n)
            expression = v;
        else if (!license.n && (v = header(line, "License")).n)
            license = v;
        else if (n_classifiers < MAX_LICENSES && (v = header(line, "Classifier")).n && hf_span_starts(v, HF_S("License ::"))) {
            size_t at = hf_span_rfind(v, ':');
            classifiers[n_classifiers++] = hf_span_trim(hf_span_from(v, at + 1));
        }
    }
    if (!name.n || !version.n || name.n > 512 || version.n > 256)
        return hf_fail(err, HF_E_FORMAT, "no name or version in the first %zu bytes", want);
    struct hf_package p = {.type = HF_PKG_PYPI, .name = name, .version = version};
    /* Some packages put the whole text of the licence into the field. */
    bool short_license = license.n && license.n <= 100 && !hf_span_eqz(license, "UNKNOWN");
    p.licenses = expression.n ? &expression : n_classifiers && !short_license ? classifiers : &license;
    p.n_licenses = expression.n || short_license ? 1 : n_classifiers;
    return hf_facts_package(out, &p, err);
}

static const struct hf_want wants[] = {
        {HF_WANT_TAIL, "METADATA", "*.dist-info", MAX_METADATA, false},
        {HF_WANT_TAIL, "PKG-INFO", "*.egg-info", MAX_METADATA, false},
        {HF_WANT_TAIL, "EGG-INFO/PKG-INFO", NULL, MAX_METADATA, false},
        {HF_WANT_SUFFIX, ".egg-info", NULL, MAX_METADATA, false},
};
const struct hf_cataloger hf_cataloger_python = {"python", 1, wants, HF_ARRAY_LEN(wants), run};
