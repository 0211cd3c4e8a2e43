/* SPDX-License-Identifier: Apache-2.0 */
/* npm packages.  package.json with a name and a version is an installed package wherever it lies (as other scanners take it);
 * package-lock.json (v1 dependencies, v2 and v3 packages) counts where it is no copy of what lies beside it: npm writes
 * node_modules/.package-lock.json, which is not read, and a lock beside a node_modules folder names what may not be installed, so
 * its packages carry the lock's path. Spec: docs.npmjs.com/cli/configuring-npm/package-lock-json. */
#include "base/json.h"
#include "packages/catalogers.h"

enum { MAX_PACKAGE = 4 << 20, MAX_LOCK = 48 << 20, MAX_DEPTH = 64 };

static int add(struct hf_facts *out, struct hf_span name, struct hf_span version, struct hf_span license, unsigned flags, struct hf_err *err)
{
    /* "npm:lodash@4.17.15": installed under another name (package-lock.json v1) */
    size_t at = hf_span_starts(version, HF_S("npm:")) ? hf_span_rfind(version, '@') : SIZE_MAX;
    if (at != SIZE_MAX && at > 4) {
        name = hf_span_sub(version, 4, at - 4);
        version = hf_span_from(version, at + 1);
    }
    if (!name.n || !version.n || name.n > 256 || version.n > 256)
        return 0;
    /* Links, files and git addresses ("github:a/b#c") are no versions of the registry. */
    if (hf_span_find(version, ':') != SIZE_MAX || hf_span_find(version, '/') != SIZE_MAX)
        return 0;
    struct hf_package p = {.type = HF_PKG_NPM, .name = name, .version = version, .flags = flags, .licenses = &license, .n_licenses = license.n != 0};
    return hf_facts_package(out, &p, err);
}

static struct hf_span license_of(hf_jnode o)
{
    hf_jnode l = hf_jget(o, "license");
    if (hf_jis_str(l))
        return hf_span_sub(hf_jstr(l), 0, 200);
    if (hf_jis_object(l))
        return hf_span_sub(hf_jgetstr(l, "type"), 0, 200);
    return hf_span_sub(hf_jgetstr(hf_jfirst(hf_jget(o, "licenses")), "type"), 0, 200);
}

/* v2 and v3: keys are paths, "node_modules/a/node_modules/@b/c"; "" is the project itself. */
static int lock_packages(hf_jnode packages, struct hf_facts *out, struct hf_err *err)
{
    HF_JFOREACH(p, packages) {
        struct hf_span path = hf_jname(p), name = hf_jgetstr(p, "name"), rest = path;
        if (!path.n || hf_jis_true(hf_jget(p, "link")))
            continue;
        size_t at;
        while ((at = hf_span_search(rest, HF_S("node_modules/"))) != SIZE_MAX)
            rest = hf_span_from(rest, at + 13);
        if (!name.n)
            name = rest;
        int rc = add(out, name, hf_jgetstr(p, "version"), license_of(p), hf_jis_true(hf_jget(p, "dev")) ? HF_PKG_DEV : 0, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* v1: dependencies nested in dependencies; the document's own nesting is bounded, so this recursion is. */
static int lock_dependencies(hf_jnode dependencies, unsigned depth, struct hf_facts *out, struct hf_err *err)
{
    if (depth > MAX_DEPTH)
        return hf_fail(err, HF_E_LIMIT, "dependencies nested more than %d deep", MAX_DEPTH);
    HF_JFOREACH(d, dependencies) {
        int rc = add(out, hf_jname(d), hf_jgetstr(d, "version"), hf_span("", 0), hf_jis_true(hf_jget(d, "dev")) ? HF_PKG_DEV : 0, err);
        if (rc >= 0)
            rc = lock_dependencies(hf_jget(d, "dependencies"), depth + 1, out, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* "node_modules/a/package.json", "node_modules/@a/b/package.json": where npm puts packages. */
static bool is_installed(struct hf_span path)
{
    struct hf_span above = hf_span_dirname(hf_span_dirname(path));
    if (hf_span_starts(hf_span_basename(above), HF_S("@")))
        above = hf_span_dirname(above);
    return hf_span_eqz(hf_span_basename(above), "node_modules");
}

static int run(const struct hf_cat_file *files, size_t n, struct hf_cat_scratch *scratch, struct hf_facts *out, struct hf_err *err)
{
    struct hf_span text;
    (void)n;
    int rc = hf_ra_all(&files->ra, &scratch->file, &text, err);
    if (rc < 0)
        return rc;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    bool lock = !hf_span_eqz(hf_span_basename(files->path), "package.json");
    rc = hf_json_parse_within(text, scratch->file.max, &doc, err);
    if (rc < 0) /* test data and templates are called package.json too; a lock that is broken hides packages, and so does an installed package */
        return lock || rc == HF_E_LIMIT || is_installed(files->path) ? rc : 0;
    hf_jnode root = hf_json_root(doc);
    if (!lock)
        return add(out, hf_jgetstr(root, "name"), hf_jgetstr(root, "version"), license_of(root), 0, err);
    if (hf_jis_object(hf_jget(root, "packages")))
        return lock_packages(hf_jget(root, "packages"), out, err);
    return lock_dependencies(hf_jget(root, "dependencies"), 0, out, err);
}

static const struct hf_want wants[] = {
        {HF_WANT_TAIL, "package.json", NULL, MAX_PACKAGE, false},
        {HF_WANT_TAIL, "package-lock.json", NULL, MAX_LOCK, false},
        {HF_WANT_TAIL, "npm-shrinkwrap.json", NULL, MAX_LOCK, false},
};
const struct hf_cataloger hf_cataloger_npm = {"npm", 3, wants, HF_ARRAY_LEN(wants), run};
