/* SPDX-License-Identifier: Apache-2.0 */
/* First byte: 0 BDB, 1 NDB, 2 SQLite, 3 SQLite with a log (two bytes: the database's size in units of 256), 4 one header, 5 manifest. */
#include <stdlib.h>

#include "formats/rpmdb/rpmdb.h"

enum { LIMIT = 100000 };

static int on_file(void *ctx, struct hf_span path, struct hf_err *err)
{
    unsigned *n = ctx;
    if (!path.n || path.n > HF_RPM_PATH_MAX || path.p[0] == '/')
        abort();
    return ++*n > LIMIT ? hf_fail(err, HF_E_LIMIT, "enough") : 0;
}

static int on_header(void *ctx, struct hf_span blob, struct hf_err *err)
{
    struct hf_rpm_header h;
    struct hf_span name, version;
    unsigned files = 0;
    (void)ctx, (void)err;
    struct hf_err e = HF_ERR_INIT;
    if (hf_rpm_header_parse(blob, &h, &e) < 0) {
        if (!e.msg[0])
            abort();
        return 0;
    }
    if (!h.name.n)
        abort();
    if (hf_rpm_source(h.sourcerpm, &name, &version) && (!name.n || !version.n))
        abort();
    (void)!hf_rpm_files(&h, on_file, &files, &e);
    return 0;
}

static int on_damaged(void *ctx, const char *what)
{
    unsigned *n = ctx;
    if (!*what)
        abort();
    return ++*n > LIMIT ? HF_E_LIMIT : 0;
}

static void manifest(struct hf_span text)
{
    struct hf_rpm_manifest_line m;
    while (hf_rpm_manifest_next(&text, &m, NULL) != 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    unsigned kind = data[0] % 6, damaged = 0;
    struct hf_span s = hf_span((const char *)data + 1, size - 1);
    struct hf_ra db = hf_ra_mem(s), wal = hf_ra_mem(hf_span("", 0));
    const struct hf_rpmdb_sink sink = {on_header, on_damaged, &damaged};
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf work = HF_BUF_INIT(1 << 20);
    int rc = 0;
    if (kind == 0) {
        rc = hf_rpmdb_bdb(&db, &work, &sink, &err);
    } else if (kind == 1) {
        rc = hf_rpmdb_ndb(&db, &work, &sink, &err);
    } else if (kind == 2) {
        rc = hf_rpmdb_sqlite(&db, NULL, &sink, &err);
    } else if (kind == 3 && s.n >= 2) {
        size_t cut = ((size_t)data[1] << 8 | data[2]) << 8;
        db = hf_ra_mem(hf_span_sub(s, 2, cut));
        wal = hf_ra_mem(hf_span_from(hf_span_from(s, 2), cut));
        rc = hf_rpmdb_sqlite(&db, &wal, &sink, &err);
    } else if (kind == 4) {
        rc = on_header(NULL, s, &err);
    } else if (kind == 5) {
        manifest(s);
    }
    if (rc < 0 && !err.msg[0])
        abort();
    return 0;
}
