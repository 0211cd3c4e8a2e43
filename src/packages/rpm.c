/* SPDX-License-Identifier: Apache-2.0 */
/* RPM packages: the three databases, the manifest that Mariner and Azure Linux keep instead of one, and Red Hat's content
 * sets (R19).  R2: the source's name comes from SOURCERPM, which knows no epoch; gpg-pubkey is no package.
 *
 * Files are joined by "name-[epoch:]version-release.arch", since several versions of one package may be installed. */
#include <inttypes.h>

#include "base/json.h"
#include "formats/rpmdb/rpmdb.h"
#include "packages/catalogers.h"

enum { MAX_DB = 512 << 20, MAX_MANIFEST = 16 << 20, MAX_CONTENT_SETS = 4 << 20, DAMAGED_TOLD = 20 };

struct job {
    struct hf_facts *out;
    struct hf_buf version, key; /* of the package at hand */
    unsigned damaged;
};

static int told(struct job *j, const char *what)
{
    /* A broken database has thousands of such places; the first say enough. */
    if (++j->damaged <= DAMAGED_TOLD)
        return hf_facts_incomplete(j->out, "rpm: %s", what);
    return 0;
}

static int on_damaged(void *ctx, const char *what)
{
    return told(ctx, what);
}

static bool is_debug(struct hf_span name)
{
    return hf_span_ends(name, HF_S("-debuginfo")) || hf_span_ends(name, HF_S("-debugsource"));
}

/* Fills what every source of packages gives alike; p's spans live in j until the next call. */
static int add(struct job *j, struct hf_package *p, uint64_t epoch, struct hf_span version, struct hf_span release,
        struct hf_span sourcerpm, struct hf_err *err)
{
    hf_buf_clear(&j->version);
    if (epoch)
        hf_buf_addf(&j->version, "%" PRIu64 ":", epoch);
    hf_buf_adds(&j->version, version);
    if (release.n) {
        hf_buf_addc(&j->version, '-');
        hf_buf_adds(&j->version, release);
    }
    hf_buf_clear(&j->key);
    hf_buf_adds(&j->key, p->name);
    hf_buf_addc(&j->key, '-');
    hf_buf_adds(&j->key, hf_buf_span(&j->version));
    hf_buf_addc(&j->key, '.');
    hf_buf_adds(&j->key, p->arch);
    if (!hf_buf_ok(&j->version) || !hf_buf_ok(&j->key))
        return hf_fail(err, HF_E_LIMIT, "rpm: name and version of a package are too long");
    p->type = HF_PKG_RPM;
    p->version = hf_buf_span(&j->version);
    p->owner_key = hf_buf_span(&j->key);
    if (!hf_rpm_source(sourcerpm, &p->source_name, &p->source_version))
        p->source_name = p->source_version = hf_span("", 0);
    if (is_debug(p->name)) {
        p->flags |= HF_PKG_NOT_MATCHED;
        p->unmatched_why = HF_S("debugging information of another package (R2)");
    }
    return hf_facts_package(j->out, p, err);
}

static int on_file(void *ctx, struct hf_span path, struct hf_err *err)
{
    struct job *j = ctx;
    return hf_facts_owned(j->out, HF_PKG_RPM, hf_buf_span(&j->key), path, err);
}

static int on_header(void *ctx, struct hf_span blob, struct hf_err *err)
{
    struct job *j = ctx;
    struct hf_rpm_header h;
    struct hf_err e = HF_ERR_INIT;
    if (hf_rpm_header_parse(blob, &h, &e) < 0)
        return told(j, e.msg);
    if (hf_span_eqz(h.name, "gpg-pubkey"))
        return 0;
    struct hf_package p = {.name = h.name, .arch = h.arch, .licenses = &h.license, .n_licenses = h.license.n != 0};
    if (!hf_span_eqz(h.vendor, "(none)"))
        p.vendor = h.vendor;
    if (!hf_span_eqz(h.module, "(none)"))
        p.module = h.module;
    int rc = add(j, &p, h.has_epoch ? h.epoch : 0, h.version, h.release, h.sourcerpm, &e);
    if (rc == 0)
        rc = hf_rpm_files(&h, on_file, j, &e);
    if (rc == HF_E_FORMAT || rc == HF_E_TRUNCATED) {
        char text[600];
        snprintf(text, sizeof text, "files of %.*s: %s", (int)HF_MIN(h.name.n, (size_t)80), h.name.p, e.msg);
        return told(j, text);
    }
    return rc < 0 ? hf_fail(err, rc, "%s", e.msg) : 0;
}

static int manifest(struct job *j, struct hf_span text, struct hf_err *err)
{
    struct hf_rpm_manifest_line m;
    struct hf_err e = HF_ERR_INIT;
    int rc;
    while ((rc = hf_rpm_manifest_next(&text, &m, &e)) != 0) {
        if (rc < 0) {
            if ((rc = told(j, e.msg)) < 0)
                return rc;
            continue;
        }
        uint64_t epoch = 0;
        if (m.epoch.n && hf_parse_u64(m.epoch, 10, 0, UINT32_MAX, &epoch) < 0)
            epoch = 0;
        if (hf_span_eqz(m.name, "gpg-pubkey"))
            continue;
        struct hf_package p = {.name = m.name, .arch = m.arch, .vendor = m.vendor};
        if ((rc = add(j, &p, epoch, m.version, m.release, m.sourcerpm, err)) < 0)
            return rc;
    }
    return 0;
}

static int content_sets(struct hf_span text, struct hf_facts *out, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_json_parse(text, &doc, err);
    if (rc < 0)
        return rc;
    HF_JFOREACH(set, hf_jget(hf_json_root(doc), "content_sets")) {
        struct hf_span name = hf_jstr(set);
        if (name.n && (rc = hf_facts_mark(out, HF_S("rhel-content-set"), hf_span_sub(name, 0, 256), err)) < 0)
            return rc;
    }
    return 0;
}

/* The walk gives the database and its log in any order; the call for one with the other beside it reads both. */
static int sqlite(struct job *j, const struct hf_cat_file *files, size_t n, struct hf_err *err)
{
    const struct hf_ra *db = NULL, *wal = NULL;
    const struct hf_rpmdb_sink sink = {on_header, on_damaged, j};
    for (size_t i = 0; i < n; i++) {
        struct hf_span name = hf_span_basename(files[i].path);
        if (hf_span_eqz(name, "rpmdb.sqlite"))
            db = &files[i].ra;
        else if (hf_span_eqz(name, "rpmdb.sqlite-wal"))
            wal = &files[i].ra;
    }
    if (db)
        return hf_rpmdb_sqlite(db, wal, &sink, err);
    if (wal && wal->size)
        return hf_fail(err, HF_E_INCOMPLETE, "rpm: a write-ahead log whose database is not in the same layer");
    return 0;
}

static int run(const struct hf_cat_file *files, size_t n, struct hf_cat_scratch *scratch, struct hf_facts *out,
        struct hf_err *err)
{
    struct job j = {.out = out};
    struct hf_span name = hf_span_basename(files->path), text;
    int rc = 0;
    hf_buf_init(&j.version, 4096);
    hf_buf_init(&j.key, 8192);
    const struct hf_rpmdb_sink sink = {on_header, on_damaged, &j};
    if (hf_span_starts(name, HF_S("rpmdb.sqlite"))) {
        rc = sqlite(&j, files, n, err);
    } else if (hf_span_eqz(name, "Packages.db")) {
        rc = hf_rpmdb_ndb(&files->ra, &scratch->file, &sink, err);
    } else if (hf_span_eqz(name, "Packages")) {
        rc = hf_rpmdb_bdb(&files->ra, &scratch->file, &sink, err);
    } else if ((rc = hf_ra_all(&files->ra, &scratch->file, &text, err)) == 0) {
        rc = hf_span_ends(name, HF_S(".json")) ? content_sets(text, out, err) : manifest(&j, text, err);
    }
    if (j.damaged > DAMAGED_TOLD)
        hf_facts_incomplete(out, "rpm: %u more places are damaged", j.damaged - DAMAGED_TOLD);
    hf_buf_done(&j.version);
    hf_buf_done(&j.key);
    return rc;
}

#define DATABASES(dir)                                              \
    {HF_WANT_PATH, dir "/Packages", NULL, MAX_DB, false},           \
    {HF_WANT_PATH, dir "/Packages.db", NULL, MAX_DB, false},        \
    {HF_WANT_PATH, dir "/rpmdb.sqlite", NULL, MAX_DB, true},        \
    {HF_WANT_PATH, dir "/rpmdb.sqlite-wal", NULL, MAX_DB, true}
static const struct hf_want wants[] = {
        DATABASES("var/lib/rpm"),
        DATABASES("usr/lib/sysimage/rpm"),
        DATABASES("usr/share/rpm"),
        {HF_WANT_PATH, "var/lib/rpmmanifest/container-manifest-2", NULL, MAX_MANIFEST, false},
        {HF_WANT_SUFFIX, ".json", "root/buildinfo/content_manifests", MAX_CONTENT_SETS, false},
        {HF_WANT_PATH, "usr/share/buildinfo/content-sets.json", NULL, MAX_CONTENT_SETS, false},
};
const struct hf_cataloger hf_cataloger_rpm = {"rpm", 1, wants, HF_ARRAY_LEN(wants), run};
