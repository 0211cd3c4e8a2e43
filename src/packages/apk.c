/* SPDX-License-Identifier: Apache-2.0 */
/* apk packages (Alpine, Wolfi, Chainguard): lib/apk/db/installed.  R3: origin is the source's name. */
#include "formats/apkdb/apkdb.h"
#include "packages/catalogers.h"

enum { MAX_INSTALLED = 64 << 20 };

static int add(const struct hf_apk_pkg *a, struct hf_cat_scratch *scratch, struct hf_facts *out, struct hf_err *err)
{
    struct hf_package p = {.type = HF_PKG_APK, .name = a->name, .version = a->version, .arch = a->arch, .source_name = a->origin, .vendor = a->maintainer,
            .owner_key = a->name, .licenses = &a->license, .n_licenses = a->license.n != 0};
    hf_autobuf sum = HF_BUF_INIT(256);
    if (a->checksum.n && hf_apk_checksum(a->checksum, &sum))
        p.checksum = hf_buf_span(&sum);
    int rc = hf_facts_package(out, &p, err);
    struct hf_apk_files it = {a->body, {NULL, 0}};
    struct hf_span path;
    unsigned bad = 0;
    while (rc >= 0) {
        int more = hf_apk_file(&it, &scratch->other, &path, NULL);
        if (more == 0)
            break;
        if (more < 0) {
            bad++;
            continue;
        }
        rc = hf_facts_owned(out, HF_PKG_APK, a->name, path, err);
    }
    if (bad && rc >= 0)
        hf_facts_incomplete(out, "apk: %u paths of " HF_SPAN_FMT " are too long", bad, HF_SPAN_ARG(a->name));
    return rc;
}

static int run(const struct hf_cat_file *files, size_t n, struct hf_cat_scratch *scratch, struct hf_facts *out, struct hf_err *err)
{
    struct hf_span text;
    (void)n;
    int rc = hf_ra_all(&files->ra, &scratch->file, &text, err);
    if (rc < 0)
        return rc;
    if (!hf_span_eqz(hf_span_basename(files->path), "installed")) {
        struct hf_span line;
        while (hf_span_line(&text, &line))
            if ((line = hf_span_trim(line)).n && line.p[0] != '#' && (rc = hf_facts_mark(out, HF_S("apk-repositories"), hf_span_sub(line, 0, 512), err)) < 0)
                return rc;
        return 0;
    }
    struct hf_apk_pkg a;
    unsigned damaged = 0;
    while ((rc = hf_apk_next(&text, &a, NULL)) != 0) {
        if (rc < 0) {
            damaged++;
            continue;
        }
        rc = add(&a, scratch, out, err);
        if (rc < 0)
            return rc;
    }
    if (damaged)
        hf_facts_incomplete(out, "apk: %u entries have no name or version", damaged);
    return 0;
}

static const struct hf_want wants[] = {
        {HF_WANT_TAIL, "lib/apk/db/installed", NULL, MAX_INSTALLED, false},
        {HF_WANT_PATH, "etc/apk/repositories", NULL, 64 << 10, false},
        {HF_WANT_SUFFIX, ".list", "etc/apk/repositories.d", 64 << 10, false},
};
const struct hf_cataloger hf_cataloger_apk = {"apk", 2, wants, HF_ARRAY_LEN(wants), run};
