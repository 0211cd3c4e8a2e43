/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile database file through every reader. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "advisories/db/advdb.h"

static int on_row(void *ctx, const struct hf_advdb *db, const struct hf_adv_row *row)
{
    struct hf_adv_range r;
    struct hf_span s;
    (void)ctx;
    for (size_t i = 0; i < row->n_ranges && i < 64; i++)
        (void)hf_adv_row_range(db, row, i, &r);
    for (size_t i = 0; i < row->n_versions && i < 64; i++)
        (void)hf_adv_row_version(db, row, i, &s);
    for (size_t i = 0; i < row->n_symbols && i < 64; i++)
        (void)hf_adv_row_symbol(db, row, i, &s);
    (void)hf_adv_row_has_version(db, row, HF_S("1.0"));
    return 0;
}
static int on_package(void *ctx, struct hf_span ns, struct hf_span name, const struct hf_adv_row *row)
{
    (void)row;
    return hf_advdb_lookup(ctx, ns, name, on_row, NULL, NULL) < 0 ? -1 : 0;
}
static int on_adv(void *ctx, uint32_t adv)
{
    hf_cleanup(hf_arena_done) struct hf_arena a;
    struct hf_advisory x;
    hf_arena_init(&a, 1 << 20);
    if (hf_advdb_advisory(ctx, adv, &a, &x, NULL) >= 0)
        for (size_t i = 0; i < x.n_cvss; i++)
            if (x.cvss[i].score10 > 100)
                abort();
    struct hf_span details;
    if (hf_advdb_details(ctx, adv, &a, &details, NULL) >= 0 && details.n && !details.p)
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("db", MFD_CLOEXEC);
    char path[64];
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    hf_cleanup(hf_advdb_closep) struct hf_advdb *db = NULL;
    if (hf_advdb_open(&db, path, NULL) >= 0) {
        const struct hf_adv_source *s;
        struct hf_epss e;
        struct hf_kev k;
        (void)hf_advdb_sources(db, &s);
        (void)hf_advdb_epss(db, HF_S("CVE-2021-44228"), &e);
        (void)hf_advdb_kev(db, HF_S("CVE-2021-44228"), &k);
        int rc = hf_advdb_by_id(db, HF_S("CVE-2021-44228"), on_adv, db, NULL);
        (void)hf_advdb_has_namespace(db, HF_S("npm"));
        rc |= hf_advdb_lookup(db, HF_S("npm"), HF_S("lodash"), on_row, NULL, NULL);
        for (uint32_t i = 0; i < 8; i++) {
            on_adv(db, i);
            rc |= hf_advdb_packages(db, i, on_package, db, NULL);
        }
        (void)rc; /* a damaged file may fail anywhere; it must only not crash */
    }
    close(fd);
    return 0;
}
