/* SPDX-License-Identifier: Apache-2.0 */
/* First byte even: ranges, lists and an installed version, the verdict held against a naive evaluator on numbers.
 * First byte odd: a good database with bytes of it replaced, matched in full: any result, but no fault. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "advisories/db/build.h"
#include "matching/match-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_RANGES = 12, MAX_LISTED = 6 };

static void need(bool ok)
{
    if (!ok)
        abort();
}

static struct hf_buf image = HF_BUF_INIT(1 << 20); /* the database last written */

static void write_db(const struct hf_advb_row *row)
{
    static char path[64];
    struct hf_err err = HF_ERR_INIT;
    snprintf(path, sizeof path, "/tmp/hf-fuzz-match-%d.hfdb", (int)getpid());
    struct hf_advb *b = hf_advb_new(16 << 20);
    need(b && hf_advb_source(b, HF_S("osv:Debian"), HF_S("fuzz"), 1, false, &err) >= 0);
    static const char *const ids[] = {"DEBIAN-CVE-2030-0001", "DSA-1-1", "DEBIAN-CVE-2030-0002"};
    static const struct hf_span cves[] = {{"CVE-2030-0001", 13}, {"CVE-2030-0002", 13}};
    for (size_t i = 0; i < HF_ARRAY_LEN(ids); i++) {
        uint32_t adv;
        need(hf_advb_add(b, &(struct hf_advb_advisory){.id = hf_span_z(ids[i]), .summary = HF_S("text"), .aliases = cves + (i == 2),
                .n_aliases = i == 1 ? 2 : 1}, &adv, &err) >= 0);
        need(hf_advb_add_row(b, adv, HF_S("debian:12"), HF_S("foo"), row, &err) >= 0);
        need(hf_advb_add_row(b, adv, HF_S("pypi"), HF_S("foo"), row, &err) >= 0);
    }
    need(hf_advb_epss(b, HF_S("CVE-2030-0001"), 0.1, 0.2, &err) >= 0);
    need(hf_advb_kev(b, HF_S("CVE-2030-0001"), HF_S("2030-01-01"), HF_S("2030-01-02"), false, &err) >= 0);
    need(hf_advb_write(b, path, &err) >= 0);
    hf_advb_free(b);
    hf_buf_clear(&image);
    FILE *f = fopen(path, "rb");
    need(f != NULL);
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        hf_buf_add(&image, piece, n);
    fclose(f);
    unlink(path);
    need(hf_buf_ok(&image));
}

static struct hf_advdb *open_image(void)
{
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    need(fd >= 0 && write(fd, image.p, image.n) == (ssize_t)image.n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct hf_advdb *db = NULL;
    if (hf_advdb_open(&db, path, NULL) < 0)
        db = NULL;
    close(fd);
    return db;
}

/* A byte is a version "a.b" whose order is that of the number; 0 as a bound: not given. */
static struct hf_span text_of(uint8_t v, char out[8])
{
    return hf_span(out, (size_t)snprintf(out, 8, "%u.%u", v / 16u, v % 16u));
}

struct seen {
    struct hf_verdict v;
    struct hf_span installed;
    bool any;
};
static int on_row(void *ctx, const struct hf_advdb *db, const struct hf_adv_row *row)
{
    struct seen *s = ctx;
    hf_verdict(db, row, s->installed, false, &s->v);
    s->any = true;
    return 0;
}

static void property(const uint8_t *data, size_t size)
{
    uint8_t v = data[0], listed[MAX_LISTED], bound[MAX_RANGES][3];
    char text[MAX_RANGES * 3 + MAX_LISTED + 1][8];
    struct hf_adv_range ranges[MAX_RANGES];
    struct hf_span versions[MAX_LISTED];
    size_t n_listed = HF_MIN((size_t)(data[1] % (MAX_LISTED + 1)), size - 2), at = 2 + n_listed, n = 0, k = 0;
    for (size_t i = 0; i < n_listed; i++) {
        listed[i] = data[2 + i];
        versions[i] = text_of(listed[i], text[k++]);
    }
    for (; n < MAX_RANGES && size - at >= 3; n++, at += 3)
        for (int j = 0; j < 3; j++) {
            bound[n][j] = data[at + (size_t)j];
            struct hf_span s = text_of(bound[n][j], text[k++]);
            if (!bound[n][j])
                s.n = 0;
            *(j == 0 ? &ranges[n].introduced : j == 1 ? &ranges[n].fixed : &ranges[n].last_affected) = s;
        }
    bool affected = false, passed = false;
    for (size_t i = 0; i < n_listed; i++)
        affected |= listed[i] == v;
    for (size_t i = 0; i < n; i++) {
        bool in = v >= bound[i][0] && (bound[i][1] ? v < bound[i][1] : bound[i][2] ? v <= bound[i][2] : true);
        affected |= in;
        passed |= bound[i][1] && v >= bound[i][1];
    }
    write_db(&(struct hf_advb_row){.scheme = HF_SCHEME_DEB, .ranges = ranges, .n_ranges = n, .versions = versions, .n_versions = n_listed});
    struct hf_advdb *db = open_image();
    need(db != NULL);
    struct seen s = {.installed = text_of(v, text[k])};
    need(hf_advdb_lookup(db, HF_S("debian:12"), HF_S("foo"), on_row, &s, NULL) == 0 && s.any);
    need((s.v.kind == HF_VERDICT_AFFECTED) == affected);
    if (!affected)
        need((s.v.kind == HF_VERDICT_FIXED) == passed);
    for (size_t i = 0; i < s.v.n_fixes; i++)
        need(!s.v.fixes[i].fixed.n || hf_version_cmp(HF_SCHEME_DEB, s.v.fixes[i].fixed, s.installed) > 0);
    hf_advdb_close(db);
}

static void hostile(const uint8_t *data, size_t size)
{
    static struct hf_buf good = HF_BUF_INIT(1 << 20);
    if (!good.n) {
        const struct hf_adv_range r[] = {{.introduced = HF_S("0"), .fixed = HF_S("2.0")}, {.introduced = HF_S("3"), .last_affected = HF_S("4")}};
        const struct hf_span v[] = {HF_S("1.0"), HF_S("1.1")};
        write_db(&(struct hf_advb_row){.scheme = HF_SCHEME_DEB, .module = HF_S("m:1"), .ranges = r, .n_ranges = 2, .versions = v, .n_versions = 2,
            .symbols = v, .n_symbols = 2});
        hf_buf_adds(&good, hf_buf_span(&image));
    }
    hf_buf_clear(&image);
    hf_buf_adds(&image, hf_buf_span(&good));
    for (; size >= 3; data += 3, size -= 3)
        image.p[(data[0] | (size_t)data[1] << 8) % image.n] = (char)data[2];
    struct hf_advdb *db = open_image();
    if (!db)
        return;
    struct hf_scan s;
    hf_scan_init(&s, 8 << 20);
    struct hf_package owner = {.type = HF_PKG_DEB, .name = HF_S("foo"), .version = HF_S("1.0")};
    struct hf_scan_package p[] = {{.p = owner}, {.p = {.type = HF_PKG_PYPI, .name = HF_S("foo"), .version = HF_S("1.1")}, .owner = &owner}};
    s.packages = p;
    s.n_packages = 2;
    s.release.id = HF_S("debian");
    s.release.version_id = HF_S("12");
    struct hf_buf why = HF_BUF_INIT(1 << 16);
    if (hf_match(&s, db, &(struct hf_match_opts){.now_unix = 5, .stale_after_s = 1, .why_not = HF_S("CVE-2030-0001")}, &why, NULL) == 0)
        for (size_t i = 0; i < s.n_vulns; i++)
            need(s.vulns[i].package < 2 && s.vulns[i].id.n && s.vulns[i].n_why);
    hf_buf_done(&why);
    s.packages = NULL;
    hf_scan_done(&s);
    hf_advdb_close(db);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > 512)
        return 0;
    if (data[0] & 1)
        hostile(data + 1, size - 1);
    else
        property(data + 1, size - 1);
    return 0;
}
