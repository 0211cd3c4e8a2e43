/* SPDX-License-Identifier: Apache-2.0 */
/* Debian packages: the status file, one file a package in status.d (distroless), and beside them which files a package owns and under
 * which licence.  R1: only installed packages; source name and version as dpkg means them. R22: distroless has md5sums, not lists.
 *
 * The key that joins a package with its .list: the file's name says "libc6:amd64.list" for Multi-Arch: same packages and "bash.list" for
 * the others, so the status file gives "name:arch" exactly where it says Multi-Arch: same. Copyright files lie in a folder named by
 * the package alone. */
#include "base/json.h"
#include "formats/deb822/deb822.h"
#include "packages/catalogers.h"

enum { MAX_STATUS = 64 << 20, MAX_LIST = 16 << 20, MAX_COPYRIGHT = 4 << 20 };

struct stanza {
    struct hf_span package, status, version, arch, source, maintainer, multi;
};

static int read_stanza(struct hf_span para, struct stanza *s, unsigned *bad_lines)
{
    struct hf_deb822_field f;
    int rc;
    *s = (struct stanza){{NULL, 0}};
    const struct {
        const char *name;
        struct hf_span *to;
    } fields[] = {{"Package", &s->package}, {"Status", &s->status}, {"Version", &s->version}, {"Architecture", &s->arch}, {"Source", &s->source},
            {"Maintainer", &s->maintainer}, {"Multi-Arch", &s->multi}};
    while ((rc = hf_deb822_field(&para, &f, NULL)) != 0) {
        if (rc < 0) {
            ++*bad_lines;
            continue;
        }
        for (size_t i = 0; i < HF_ARRAY_LEN(fields); i++)
            if (hf_span_eq_nocase(f.name, hf_span_z(fields[i].name)))
                *fields[i].to = hf_deb822_first_line(f.value);
    }
    return s->package.n && s->version.n;
}

/* "want flag status": the third word */
static bool installed(struct hf_span status)
{
    struct hf_span word = {NULL, 0};
    for (int i = 0; i < 3;) {
        if (!hf_span_cut(&status, ' ', &word))
            return false;
        i += word.n != 0;
    }
    return hf_span_eqz(word, "installed");
}

static int add(const struct stanza *s, bool same_key, struct hf_cat_scratch *scratch, struct hf_facts *out, struct hf_err *err)
{
    struct hf_package p = {.type = HF_PKG_DEB, .name = s->package, .version = s->version, .arch = s->arch, .vendor = s->maintainer};
    p.source_name = s->source;
    size_t open = hf_span_find(s->source, '(');
    if (open != SIZE_MAX) { /* "foo (1.2-3)" */
        p.source_name = hf_span_trim(hf_span(s->source.p, open));
        struct hf_span v = hf_span_from(s->source, open + 1);
        p.source_version = hf_span_trim(hf_span_sub(v, 0, hf_span_find(v, ')')));
    }
    hf_buf_clear(&scratch->other);
    hf_buf_adds(&scratch->other, s->package);
    if (same_key && hf_span_eqz(s->multi, "same")) {
        hf_buf_addc(&scratch->other, ':');
        hf_buf_adds(&scratch->other, s->arch);
    }
    if (!hf_buf_ok(&scratch->other))
        return hf_fail(err, HF_E_LIMIT, "dpkg: the name of a package is over the memory limit");
    p.owner_key = hf_buf_span(&scratch->other);
    return hf_facts_package(out, &p, err);
}

static int status_file(struct hf_span text, bool one_a_file, struct hf_cat_scratch *scratch, struct hf_facts *out, struct hf_err *err)
{
    struct hf_span para;
    unsigned bad_lines = 0, bad_stanzas = 0, versionless = 0;
    while (hf_deb822_paragraph(&text, &para)) {
        struct stanza s;
        if (!read_stanza(para, &s, &bad_lines)) {
            bad_stanzas += s.package.n || (!s.status.n && para.n > 1);
            versionless += s.package.n && (s.status.n ? installed(s.status) : one_a_file);
            continue;
        }
        if (one_a_file ? s.status.n && !installed(s.status) : !installed(s.status))
            continue;
        int rc = add(&s, !one_a_file, scratch, out, err);
        if (rc < 0)
            return rc;
    }
    if (versionless)
        hf_facts_incomplete(out, "dpkg: %u installed packages have no version", versionless);
    /* A package that is not installed may lack a version; damage shows as lines that are no fields. */
    if (bad_lines)
        hf_facts_incomplete(out, "dpkg: %u lines are not fields, %u entries could not be read", bad_lines, bad_stanzas);
    return 0;
}

static int list_file(struct hf_span name, struct hf_span text, bool md5sums, struct hf_facts *out, struct hf_err *err)
{
    struct hf_span line, key = hf_span_sub(name, 0, hf_span_rfind(name, '.'));
    while (hf_span_line(&text, &line)) {
        if (md5sums) { /* "<32 hex>  path" */
            if (line.n < 35)
                continue;
            line = hf_span_trim(hf_span_from(line, 32));
        }
        while (line.n && line.p[0] == '/')
            line = hf_span_from(line, 1);
        if (!line.n || hf_span_eqz(line, ".") || line.n > 4096)
            continue;
        int rc = hf_facts_owned(out, HF_PKG_DEB, key, line, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

struct licensed {
    struct hf_facts *out;
    struct hf_span key;
};

static int on_license(void *ctx, struct hf_span license, struct hf_err *err)
{
    struct licensed *l = ctx;
    return hf_facts_license(l->out, HF_PKG_DEB, l->key, license, err);
}

/* Whether the content is attached to Ubuntu Pro, whose fixes it then gets (R15). */
static int ubuntu_pro(struct hf_span name, struct hf_span text, struct hf_facts *out, struct hf_err *err)
{
    bool pro = false;
    if (hf_span_ends(name, HF_S(".json"))) {
        hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
        pro = hf_json_parse(text, &doc, NULL) == 0 && hf_jis_true(hf_jget(hf_json_root(doc), "attached"));
    } else {
        struct hf_span line;
        while (!pro && hf_span_line(&text, &line)) {
            line = hf_span_trim(line);
            pro = line.n && line.p[0] != '#' && hf_span_search(line, HF_S("esm.ubuntu.com")) != SIZE_MAX;
        }
    }
    return pro ? hf_facts_mark(out, HF_S("ubuntu-pro"), name, err) : 0;
}

static int run(const struct hf_cat_file *files, size_t n, struct hf_cat_scratch *scratch, struct hf_facts *out, struct hf_err *err)
{
    struct hf_span text, name = hf_span_basename(files->path);
    (void)n;
    int rc = hf_ra_all(&files->ra, &scratch->file, &text, err);
    if (rc < 0)
        return rc;
    if (hf_span_starts(files->path, HF_S("etc/apt/")) || hf_span_eqz(name, "status.json"))
        return ubuntu_pro(name, text, out, err);
    if (hf_span_eqz(name, "copyright")) {
        struct licensed l = {out, hf_span_basename(hf_span_dirname(files->path))};
        rc = hf_copyright_licenses(text, &scratch->other, on_license, &l, err);
        return rc == HF_E_LIMIT ? 0 : rc; /* a licence list beyond reason says nothing of the package */
    }
    bool status_d = hf_span_ends(hf_span_dirname(files->path), HF_S("status.d"));
    if (hf_span_ends(name, HF_S(".md5sums")))
        return list_file(name, text, true, out, err);
    if (hf_span_ends(name, HF_S(".list")))
        return list_file(name, text, false, out, err);
    return status_file(text, status_d, scratch, out, err);
}

static const struct hf_want wants[] = {
        {HF_WANT_TAIL, "status", "lib/dpkg", MAX_STATUS, false},
        {HF_WANT_UNDER, "dpkg/status.d", NULL, MAX_STATUS, false},
        {HF_WANT_SUFFIX, ".list", "dpkg/info", MAX_LIST, false},
        {HF_WANT_PATH, "var/lib/ubuntu-advantage/status.json", NULL, 1 << 20, false},
        {HF_WANT_PATH, "etc/apt/sources.list", NULL, 1 << 20, false},
        {HF_WANT_UNDER, "etc/apt/sources.list.d", NULL, 1 << 20, false},
        {HF_WANT_TAIL, "copyright", "share/doc/*", MAX_COPYRIGHT, false},
};
const struct hf_cataloger hf_cataloger_dpkg = {"dpkg", 3, wants, HF_ARRAY_LEN(wants), run};
