/* SPDX-License-Identifier: Apache-2.0 */
/* First byte: feed; the rest is a document of it.  What was taken is written, opened and looked up again. */
#include <stdio.h>
#include <unistd.h>

#include "advisories/feeds/feed.h"

static int on_row(void *ctx, const struct hf_advdb *db, const struct hf_adv_row *row)
{
    struct hf_adv_range r;
    struct hf_span s;
    (void)ctx;
    for (size_t i = 0; i < row->n_ranges; i++)
        if (!hf_adv_row_range(db, row, i, &r))
            abort();
    for (size_t i = 0; i < row->n_versions && i < 50; i++)
        if (!hf_adv_row_version(db, row, i, &s))
            abort();
    return 0;
}

static int on_package(void *ctx, struct hf_span ns, struct hf_span name, const struct hf_adv_row *row)
{
    const struct hf_advdb *db = ctx;
    (void)row;
    if (!hf_advdb_has_namespace(db, ns) || hf_advdb_lookup(db, ns, name, on_row, NULL, NULL) < 0)
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct hf_feed *const feeds[] = {&hf_feed_osv, &hf_feed_secdb, &hf_feed_debian, &hf_feed_kev, &hf_feed_epss};
    static unsigned turn;
    if (!size)
        return 0;
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_advb_freep) struct hf_advb *b = hf_advb_new(64 << 20);
    if (!b || hf_advb_source(b, HF_S("fuzz"), HF_S("x"), 1, false, &err) < 0)
        abort();
    int rc = feeds[data[0] % HF_ARRAY_LEN(feeds)]->read(b, HF_S("native/wolfi/security.json"), hf_span((const char *)data + 1, size - 1), &err);
    if (rc < 0 && !err.msg[0])
        abort();
    if (turn++ % 16) /* writing is slow beside reading */
        return 0;
    char path[64];
    snprintf(path, sizeof path, "/tmp/holdfast-fuzz-%ld.hfdb", (long)getpid());
    struct hf_advdb *db = NULL;
    if (hf_advb_write(b, path, &err) < 0 || hf_advdb_open(&db, path, &err) < 0)
        abort();
    for (uint32_t i = 0; i < hf_advb_count(b) && i < 100; i++) {
        hf_cleanup(hf_arena_done) struct hf_arena a;
        struct hf_advisory adv;
        hf_arena_init(&a, 8 << 20);
        if (hf_advdb_advisory(db, i, &a, &adv, &err) < 0 || hf_advdb_packages(db, i, on_package, db, &err) < 0)
            abort();
    }
    hf_advdb_close(db);
    unlink(path);
    return 0;
}
