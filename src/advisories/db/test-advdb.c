/* SPDX-License-Identifier: Apache-2.0 */
/* What the builder is given comes back from the reader; damaged files are refused or bounded. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "advisories/db/build.h"
#include "advisories/db/cve.h"
#include "base/fs.h"
#include "tap.h"

static char path[128];

struct seen {
    size_t n;
    struct hf_adv_row row;
    struct hf_span ns, name;
    uint32_t adv[8];
};

static int on_row(void *ctx, const struct hf_advdb *db, const struct hf_adv_row *row)
{
    struct seen *s = ctx;
    (void)db;
    s->row = *row;
    s->n++;
    return 0;
}
static int stop(void *ctx, const struct hf_advdb *db, const struct hf_adv_row *row)
{
    (void)db;
    (void)row;
    ++*(int *)ctx;
    return -7;
}
static int on_adv(void *ctx, uint32_t adv)
{
    struct seen *s = ctx;
    if (s->n < 8)
        s->adv[s->n] = adv;
    s->n++;
    return 0;
}
static int on_package(void *ctx, struct hf_span ns, struct hf_span name, const struct hf_adv_row *row)
{
    struct seen *s = ctx;
    s->ns = ns;
    s->name = name;
    s->row = *row;
    s->n++;
    return 0;
}

static void fill(struct hf_advb *b)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_span aliases[] = {HF_S("CVE-2021-44228"), HF_S("GHSA-jfh8-c2jp-5v3q")}, urls[] = {HF_S("https://example.org/a")};
    struct hf_span cvss[] = {HF_S("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"), HF_S("nonsense"),
            HF_S("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H")};
    struct hf_span versions[] = {HF_S("2.1"), HF_S("2.2")}, symbols[] = {HF_S("T.M")};
    struct hf_adv_range ranges[] = {{HF_S("2.0"), HF_S("2.3.1"), {NULL, 0}}, {HF_S("2.4"), {NULL, 0}, HF_S("2.12.1")}};
    struct hf_advb_advisory a = {.id = HF_S("X-1"), .summary = HF_S("a summary"), .details = HF_S("a\ndescription"), .published_unix = 100, .modified_unix = 200,
            .aliases = aliases, .n_aliases = 2, .cvss_vectors = cvss, .n_cvss = 3, .urls = urls, .n_urls = 1};
    struct hf_advb_row row = {.scheme = HF_SCHEME_MAVEN, .state = HF_ADV_RANGES, .ranges = ranges, .n_ranges = 2, .versions = versions, .n_versions = 2,
            .symbols = symbols, .n_symbols = 1, .severity = HF_SEV_LOW, .flags = HF_ADV_NO_DSA, .module = HF_S("m:1")};
    uint32_t adv, again;
    OK(hf_advb_source(b, HF_S("osv:Maven"), HF_S("/x/all.zip"), 50, false, &err) == 0);
    OK(hf_advb_add(b, &a, &adv, &err) == 0);
    OK(hf_advb_add_row(b, adv, HF_S("maven"), HF_S("org:a"), &row, &err) == 0);
    OK(hf_advb_add_row(b, adv, HF_S("maven"), HF_S("org:a"), &row, &err) == 0); /* the same again */
    row.n_versions = 1;
    OK(hf_advb_add_row(b, adv, HF_S("maven"), HF_S("org:a"), &row, &err) == 0);
    OK(hf_advb_add_row(b, adv, HF_S("pypi"), HF_S("Zope.A"), &row, &err) == 0);
    OK(hf_advb_add(b, &a, &again, &err) == 0);
    EQ_U(again, adv);
    hf_advb_rejected(b);
    EQ_U(hf_advb_count(b), 1);
    OK(hf_advb_source(b, HF_S("demo"), HF_S("/y"), 60, true, &err) == 0);
    /* from another source: another advisory, the same row */
    OK(hf_advb_add(b, &a, &again, &err) == 0 && again != adv);
    OK(hf_advb_add_row(b, again, HF_S("pypi"), HF_S("zope-a"), &row, &err) == 0);
    OK(hf_advb_epss(b, HF_S("CVE-2021-44228"), 0.975, 0.9999, &err) == 0);
    OK(hf_advb_epss(b, HF_S("CVE-2014-0160"), 1e-5, 0.5, &err) == 0);
    OK(hf_advb_epss(b, HF_S("CVE-2014-0160"), 2, 0.5, &err) == 0); /* out of range: rejected */
    OK(hf_advb_kev(b, HF_S("CVE-2021-44228"), HF_S("2021-12-10"), HF_S("2021-12-24"), true, &err) == 0);
    OK(hf_advb_kev(b, HF_S("nonsense"), HF_S("2021-12-10"), HF_S("2021-12-24"), true, &err) == 0);
}

static void round_trip(void)
{
    hf_cleanup(hf_advb_freep) struct hf_advb *b = hf_advb_new(64 << 20);
    hf_cleanup(hf_advdb_closep) struct hf_advdb *db = NULL;
    struct hf_err err = HF_ERR_INIT;
    struct seen s = {0};
    fill(b);
    OK(hf_advb_write(b, path, &err) == 0);
    OK(hf_advdb_open(&db, path, &err) == 0);
    const struct hf_adv_source *src;
    EQ_U(hf_advdb_sources(db, &src), 2);
    EQ_S(src[0].name, "osv:Maven");
    EQ_S(src[0].from, "/x/all.zip");
    OK(src[0].records == 1 && src[0].rejected == 1 && src[0].newest_unix == 200 && src[0].fetched_unix == 50 && !src[0].demo);
    OK(src[1].records == 4 && src[1].rejected == 2 && src[1].demo);
    OK(hf_advdb_built_unix(db) > 1600000000);
    OK(hf_advdb_has_namespace(db, HF_S("maven")) && hf_advdb_has_namespace(db, HF_S("pypi")) && !hf_advdb_has_namespace(db, HF_S("npm")));
    OK(hf_advdb_lookup(db, HF_S("maven"), HF_S("org:a"), on_row, &s, &err) == 0);
    EQ_U(s.n, 2);
    OK(s.row.scheme == HF_SCHEME_MAVEN && s.row.severity == HF_SEV_LOW && s.row.flags == HF_ADV_NO_DSA && s.row.n_ranges == 2 && s.row.n_versions == 2);
    EQ_S(s.row.module, "m:1");
    struct hf_adv_range r;
    struct hf_span v;
    OK(hf_adv_row_range(db, &s.row, 1, &r) && hf_span_eqz(r.introduced, "2.4") && !r.fixed.n && hf_span_eqz(r.last_affected, "2.12.1"));
    OK(!hf_adv_row_range(db, &s.row, 2, &r));
    OK(hf_adv_row_version(db, &s.row, 1, &v) && hf_span_eqz(v, "2.2") && !hf_adv_row_version(db, &s.row, 2, &v));
    OK(hf_adv_row_has_version(db, &s.row, HF_S("2.1")) && !hf_adv_row_has_version(db, &s.row, HF_S("T.M")) && !hf_adv_row_has_version(db, &s.row, HF_S("2")));
    OK(hf_adv_row_symbol(db, &s.row, 0, &v) && hf_span_eqz(v, "T.M"));
    s = (struct seen){0};
    OK(hf_advdb_lookup(db, HF_S("pypi"), HF_S("zope-a"), on_row, &s, &err) == 0);
    EQ_U(s.n, 1);
    OK(hf_advdb_lookup(db, HF_S("pypi"), HF_S("zope"), on_row, &s, &err) == 0 && s.n == 1);
    int calls = 0;
    EQ_I(hf_advdb_lookup(db, HF_S("maven"), HF_S("org:a"), stop, &calls, &err), -7);
    EQ_I(calls, 1);

    hf_autoarena arena;
    hf_arena_init(&arena, 1 << 20);
    struct hf_advisory a;
    OK(hf_advdb_advisory(db, 0, &arena, &a, &err) == 0);
    EQ_S(a.id, "X-1");
    EQ_S(a.summary, "a summary");
    EQ_S(a.source, "osv:Maven");
    OK(a.severity == HF_SEV_CRITICAL && a.published_unix == 100 && a.modified_unix == 200);
    OK(a.n_aliases == 2 && hf_span_eqz(a.aliases[1], "GHSA-jfh8-c2jp-5v3q") && a.n_urls == 1);
    OK(a.n_cvss == 2 && a.cvss[0].version10 == 40 && a.cvss[1].version10 == 31 && a.cvss[1].score10 == 100);
    OK(hf_advdb_details(db, 0, &arena, &v, &err) == 0);
    EQ_S(v, "a\ndescription");
    EQ_I(hf_advdb_advisory(db, 99, &arena, &a, &err), HF_E_FORMAT);
    EQ_I(hf_advdb_details(db, UINT32_MAX, &arena, &v, &err), HF_E_FORMAT);
    s = (struct seen){0};
    OK(hf_advdb_by_id(db, HF_S("CVE-2021-44228"), on_adv, &s, &err) == 0 && s.n == 2 && s.adv[0] == 0 && s.adv[1] == 1);
    OK(hf_advdb_by_id(db, HF_S("CVE-2021-4422"), on_adv, &s, &err) == 0 && s.n == 2);
    s = (struct seen){0};
    OK(hf_advdb_packages(db, 0, on_package, &s, &err) == 0 && s.n == 3);
    EQ_S(s.ns, "pypi");
    EQ_S(s.name, "zope-a");
    struct hf_epss e;
    struct hf_kev k;
    OK(hf_advdb_epss(db, HF_S("CVE-2021-44228"), &e) && e.score > 0.97499 && e.score < 0.97501 && e.percentile > 0.9998);
    OK(hf_advdb_epss(db, HF_S("CVE-2014-0160"), &e) && e.score > 0.0000099 && e.score < 0.0000101);
    OK(!hf_advdb_epss(db, HF_S("CVE-2014-0161"), &e) && !hf_advdb_epss(db, HF_S("X-1"), &e) && !hf_advdb_epss(db, HF_S(""), &e));
    OK(hf_advdb_kev(db, HF_S("CVE-2021-44228"), &k) && k.ransomware && hf_span_eqz(k.due_date, "2021-12-24") && hf_span_eqz(k.date_added, "2021-12-10"));
    OK(!hf_advdb_kev(db, HF_S("CVE-2014-0160"), &k));
}

/* Descriptions larger than a block, and many of them. */
static void descriptions(void)
{
    hf_cleanup(hf_advb_freep) struct hf_advb *b = hf_advb_new(64 << 20);
    hf_cleanup(hf_advdb_closep) struct hf_advdb *db = NULL;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf big = HF_BUF_INIT(1 << 20);
    bool ok = hf_advb_source(b, HF_S("s"), HF_S("f"), 1, false, &err) == 0;
    for (size_t i = 0; i < 40000; i++)
        hf_buf_addz(&big, "\xc3\xa4");
    for (unsigned i = 0; i < 300; i++) {
        char id[16], text[64];
        uint32_t adv;
        snprintf(id, sizeof id, "A-%u", i);
        snprintf(text, sizeof text, "description of %u", i);
        struct hf_advb_advisory a = {.id = hf_span_z(id), .details = i % 10 == 3 ? hf_buf_span(&big) : hf_span_z(text)};
        ok &= hf_advb_add(b, &a, &adv, &err) == 0 && adv == i;
    }
    OK(ok && hf_advb_write(b, path, &err) == 0 && hf_advdb_open(&db, path, &err) == 0);
    size_t good = 0;
    for (unsigned i = 0; i < 300; i++) {
        hf_autoarena arena;
        struct hf_span d;
        char text[64];
        hf_arena_init(&arena, 1 << 20);
        snprintf(text, sizeof text, "description of %u", i);
        good += hf_advdb_details(db, i, &arena, &d, &err) == 0 && (i % 10 == 3 ? d.n == 65536 && hf_span_is_utf8(d) : hf_span_eqz(d, text));
    }
    EQ_U(good, 300);
    hf_autoarena small;
    struct hf_span d;
    hf_arena_init(&small, 4096);
    EQ_I(hf_advdb_details(db, 3, &small, &d, &err), HF_E_LIMIT);
}

static void put(const char *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, p, n) != (ssize_t)n)
        abort();
    close(fd);
}

/* Every single byte changed, and every length: opened or not, nothing may be read outside (the sanitizers watch). */
static void damage(void)
{
    hf_cleanup(hf_advb_freep) struct hf_advb *b = hf_advb_new(64 << 20);
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf file = HF_BUF_INIT(1 << 20);
    fill(b);
    OK(hf_advb_write(b, path, &err) == 0 && hf_read_file(path, &file, &err) == 0);
    size_t opened = 0, refused = 0;
    for (size_t i = 0; i < file.n; i++) {
        hf_cleanup(hf_advdb_closep) struct hf_advdb *db = NULL;
        struct seen s = {0};
        hf_autoarena arena;
        struct hf_advisory a;
        struct hf_span d;
        char keep = file.p[i];
        hf_arena_init(&arena, 1 << 20);
        file.p[i] = (char)(keep ^ (i % 3 ? 0xff : 0x80));
        put(file.p, file.n);
        file.p[i] = keep;
        if (hf_advdb_open(&db, path, &err) < 0) {
            refused++;
            continue;
        }
        opened++;
        (void)!hf_advdb_lookup(db, HF_S("maven"), HF_S("org:a"), on_row, &s, &err);
        (void)!hf_advdb_advisory(db, 0, &arena, &a, &err);
        (void)!hf_advdb_details(db, 0, &arena, &d, &err);
        (void)!hf_advdb_by_id(db, HF_S("X-1"), on_adv, &s, &err);
        (void)!hf_advdb_packages(db, 0, on_package, &s, &err);
    }
    OK(opened > 100 && refused > 20);
    struct hf_advdb *db = NULL;
    size_t taken = 0;
    for (size_t n = 0; n < file.n; n++) {
        put(file.p, n);
        taken += hf_advdb_open(&db, path, &err) >= 0;
    }
    EQ_U(taken, 0);
    OK(err.msg[0] && strstr(err.msg, path));
    file.p[8] = 99;
    put(file.p, file.n);
    EQ_I(hf_advdb_open(&db, path, &err), HF_E_UNSUPPORTED);
    EQ_I(hf_advdb_open(&db, "/", &err), HF_E_FORMAT);
    OK(hf_advdb_open(&db, "/nonexistent/x", &err) < 0);
}

static void limits(void)
{
    hf_cleanup(hf_advb_freep) struct hf_advb *b = hf_advb_new(1 << 16);
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_advb_source(b, HF_S("s"), HF_S("f"), 1, false, &err);
    for (unsigned i = 0; i < 100000 && rc >= 0; i++) {
        char id[32];
        uint32_t adv;
        snprintf(id, sizeof id, "CVE-2020-%u", 10000 + i);
        struct hf_advb_advisory a = {.id = hf_span_z(id)};
        rc = hf_advb_add(b, &a, &adv, &err);
    }
    EQ_I(rc, HF_E_LIMIT);
    OK(hf_advb_write(b, "/nonexistent/x.hfdb", &err) < 0);
    EQ_U(hf_cve_key(HF_S("CVE-2021-44228")), (uint64_t)2021 << 32 | 44228);
    OK(!hf_cve_key(HF_S("CVE-2021-442")) && !hf_cve_key(HF_S("CVE-1021-44228")) && !hf_cve_key(HF_S("CVE-2021-4422x")) && !hf_cve_key(HF_S("cve-2021-44228")));
}

int main(void)
{
    snprintf(path, sizeof path, "/tmp/holdfast-test-advdb-%ld", (long)getpid());
    round_trip();
    descriptions();
    damage();
    limits();
    unlink(path);
    return tap_done();
}
