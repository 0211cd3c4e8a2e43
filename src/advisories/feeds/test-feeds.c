/* SPDX-License-Identifier: Apache-2.0 */
/* A small mirror of every feed, in the shapes the real ones have, and damaged in the ways they are. */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "advisories/feeds/feed.h"
#include "tap.h"

static char root[96], db_path[128];
static struct hf_advdb *db;

static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(path, 0700);
        *p = '/';
    }
    if (hf_span_ends(hf_span_z(path), HF_S(".gz"))) {
        gzFile z = gzopen(path, "wb");
        if (!z || gzputs(z, text) < 0 || gzclose(z) != Z_OK)
            abort();
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
    close(fd);
}

static void put_zip(const char *name, const char *const *records, size_t n)
{
    char path[256];
    put(name, "");
    snprintf(path, sizeof path, "%s/%s", root, name);
    struct archive *a = archive_write_new();
    archive_write_set_format_zip(a);
    if (archive_write_open_filename(a, path) != ARCHIVE_OK)
        abort();
    for (size_t i = 0; i < n; i++) {
        struct archive_entry *e = archive_entry_new();
        char member[32];
        snprintf(member, sizeof member, "r%zu.json", i);
        archive_entry_set_pathname(e, member);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0644);
        archive_entry_set_size(e, (la_int64_t)strlen(records[i]));
        if (archive_write_header(a, e) != ARCHIVE_OK || archive_write_data(a, records[i], strlen(records[i])) < 0)
            abort();
        archive_entry_free(e);
    }
    archive_write_close(a);
    archive_write_free(a);
}

struct rows {
    size_t n;
    struct hf_adv_row v[16];
};
static int on_row(void *ctx, const struct hf_advdb *d, const struct hf_adv_row *row)
{
    struct rows *r = ctx;
    (void)d;
    if (r->n < 16)
        r->v[r->n++] = *row;
    return 0;
}
static struct rows rows_of(const char *ns, const char *name)
{
    struct rows r = {0};
    if (hf_advdb_lookup(db, hf_span_z(ns), hf_span_z(name), on_row, &r, NULL) < 0)
        r.n = 99;
    return r;
}
static int count(void *ctx, uint32_t adv)
{
    (void)adv;
    ++*(unsigned *)ctx;
    return 0;
}
static unsigned ids(const char *id)
{
    unsigned n = 0;
    return hf_advdb_by_id(db, hf_span_z(id), count, &n, NULL) < 0 ? 99 : n;
}
static struct hf_adv_range range(const struct rows *r, size_t row, size_t i)
{
    struct hf_adv_range x = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    if (row < r->n && !hf_adv_row_range(db, &r->v[row], i, &x))
        x.introduced = HF_S("none");
    return x;
}
static const struct hf_adv_source *source(const char *name)
{
    static const struct hf_adv_source none;
    const struct hf_adv_source *s;
    size_t n = hf_advdb_sources(db, &s);
    for (size_t i = 0; i < n; i++)
        if (hf_span_eqz(s[i].name, name))
            return &s[i];
    return &none;
}

#define AFFECTED(eco, name, more) "{\"package\":{\"ecosystem\":\"" eco "\",\"name\":\"" name "\"}" more "}"
#define RANGE(type, events) ",\"ranges\":[{\"type\":\"" type "\",\"events\":[" events "]}]"
#define RECORD(id, more, affected) "{\"schema_version\":\"1.7.0\",\"id\":\"" id "\",\"modified\":\"2024-03-01T00:00:01Z\"" more ",\"affected\":[" affected "]}"

static void put_osv(void)
{
    static const char *const npm[] = {
            RECORD("GHSA-1", ",\"aliases\":[\"CVE-2020-1111\"],\"details\":\"long\\ntext\",\"severity\":[{\"type\":\"CVSS_V3\",\"score\":\"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H\"}]",
                    AFFECTED("npm", "@a/b",
                            RANGE("SEMVER", "{\"introduced\":\"0\"},{\"fixed\":\"1.2.0\"},{\"introduced\":\"2.0.0\"},{\"last_affected\":\"2.1.0\"},{\"introduced\":\"3.0.0\"}") ",\"versions\":[\"1.0.0\"]")),
            RECORD("GHSA-2", ",\"withdrawn\":\"2024-01-01T00:00:00Z\"", AFFECTED("npm", "withdrawn", RANGE("SEMVER", "{\"introduced\":\"0\"}"))),
            RECORD("GHSA-3", "", AFFECTED("npm", "git-only", RANGE("GIT", "{\"introduced\":\"0\"},{\"fixed\":\"abcdef\"}"))),
            RECORD("GHSA-4", ",\"related\":[\"CVE-2020-9999\"]",
                    AFFECTED("Go", "x/y", RANGE("SEMVER", "{\"introduced\":\"0\"}") ",\"ecosystem_specific\":{\"imports\":[{\"path\":\"x/y/z\",\"symbols\":[\"F\",\"T.M\"]}]}")),
            "{\"id\":\"BROKEN\",", "[]", "{\"affected\":[]}", RECORD("X-FUZZ", "", AFFECTED("OSS-Fuzz", "z", RANGE("SEMVER", "{\"introduced\":\"0\"}"))),
    };
    put_zip("npm/all.zip", npm, HF_ARRAY_LEN(npm));
    static char deep[9000];
    memset(deep, '[', sizeof deep - 1);
    static const char *const distro[] = {
            RECORD("DEBIAN-CVE-2020-1", ",\"upstream\":[\"CVE-2020-10001\"]",
                    AFFECTED("Debian:12", "curl", RANGE("ECOSYSTEM", "{\"introduced\":\"0\"},{\"fixed\":\"0\"}") ",\"ecosystem_specific\":{\"urgency\":\"unimportant\"}")),
            RECORD("ALSA-2024:1", ",\"related\":[\"CVE-2020-10002\",\"ALSA-2023:9\"],\"summary\":\"Important: nodejs:16 security update\"",
                    AFFECTED("AlmaLinux:8", "nodejs", RANGE("ECOSYSTEM", "{\"introduced\":\"0\"},{\"fixed\":\"1:16.1-1.module_el8.5.0+1\"}")) "," AFFECTED(
                            "AlmaLinux:8", "plain", RANGE("ECOSYSTEM", "{\"introduced\":\"0\"},{\"fixed\":\"1-1.el8\"}"))),
            RECORD("UBUNTU-CVE-2020-10003", ",\"upstream\":[\"CVE-2020-10003\"],\"severity\":[{\"type\":\"Ubuntu\",\"score\":\"negligible\"}]",
                    AFFECTED("Ubuntu:Pro:16.04:LTS", "unzip", RANGE("ECOSYSTEM", "{\"introduced\":\"0\"},{\"fixed\":\"6.0-1\"}")) "," AFFECTED(
                            "Ubuntu:16.04:LTS", "unzip", RANGE("ECOSYSTEM", "{\"introduced\":\"0\"}") ",\"ecosystem_specific\":{\"ubuntu_status\":\"deferred\"}")),
            deep,
    };
    put_zip("Debian/all.zip", distro, HF_ARRAY_LEN(distro));
    put("cut/all.zip", "PK\003\004 not really a zip");
    put("other/ignored.zip", "PK\003\004");
    put("README.md", "text");
    put("demo/DEMONSTRATION", "");
    put("demo/records/a.json", RECORD("DEMO-1", "", AFFECTED("PyPI", "Zope.A", RANGE("ECOSYSTEM", "{\"fixed\":\"2\"}"))));
    put("demo/records/b.json", RECORD("DEMO-2", "", AFFECTED("PyPI", "zope_a", ",\"versions\":[\"3\"]")));
}

static void put_native(void)
{
    put("native/debian/tracker.json",
            "{\"openssl\":{\"CVE-2023-5363\":{\"scope\":\"remote\",\"debianbug\":5,\"description\":\"First. Second.\",\"releases\":{"
            "\"bookworm\":{\"status\":\"resolved\",\"repositories\":{\"bookworm\":\"3.0.15\",\"bookworm-security\":\"3\"},\"fixed_version\":\"3.0.11-1~deb12u2\",\"urgency\":\"high**\"},"
            "\"bullseye\":{\"status\":\"open\",\"repositories\":{\"bullseye\":\"1\"},\"urgency\":\"low\",\"nodsa\":\"Minor issue\",\"nodsa_reason\":\"postponed\"},"
            "\"trixie\":{\"status\":\"open\",\"repositories\":{},\"urgency\":\"not yet assigned\",\"nodsa\":\"Minor\",\"nodsa_reason\":\"ignored\"},"
            "\"buster\":{\"status\":\"open\",\"repositories\":{},\"urgency\":\"end-of-life\"},"
            "\"stretch\":{\"status\":\"resolved\",\"fixed_version\":\"0\",\"urgency\":\"unimportant\"},"
            "\"sid\":{\"status\":\"undetermined\",\"urgency\":\"low\"}}}},"
            /* R14: bookworm has lag 1.0-1, as its first CVE says */
            "\"lag\":{\"CVE-2030-0001\":{\"releases\":{\"bookworm\":{\"status\":\"resolved\",\"repositories\":{\"bookworm\":\"0.9-1\",\"bookworm-security\":\"1.0-1\"},\"fixed_version\":\"1.1-1\"},\"sid\":{\"status\":\"resolved\",\"repositories\":{\"sid\":\"1.2-1\"},\"fixed_version\":\"1.1-1\"}}},"
            "\"CVE-2030-0002\":{\"releases\":{\"sid\":{\"status\":\"resolved\",\"fixed_version\":\"1.1-1\"}}},"
            "\"CVE-2030-0003\":{\"releases\":{\"sid\":{\"status\":\"resolved\",\"fixed_version\":\"0.9-2\"}}},"
            "\"CVE-2030-0004\":{\"releases\":{\"sid\":{\"status\":\"resolved\",\"fixed_version\":\"0\"}}},"
            "\"CVE-2030-0005\":{\"releases\":{\"sid\":{\"status\":\"undetermined\"}}},"
            "\"CVE-2030-0006\":{\"releases\":{\"bookworm\":{\"status\":\"undetermined\"},\"sid\":{\"status\":\"open\"}}}},"
            "\"xz-utils\":{\"TEMP-1-ABC\":{\"releases\":{\"sid\":{\"status\":\"open\",\"urgency\":\"medium\"},\"warty\":{\"status\":\"open\"}}},"
            "\"CVE-2023-5363\":{\"description\":\"First. Second.\",\"releases\":{\"bookworm\":{\"status\":\"what\",\"urgency\":\"low\"},\"forky\":{\"status\":\"open\",\"urgency\":\"low\"}}}}}");
    put("native/alpine-secdb/v3.18/main.json",
            "{\"apkurl\":\"x\",\"distroversion\":\"v3.18\",\"reponame\":\"main\",\"urlprefix\":\"https://dl-cdn.alpinelinux.org\",\"packages\":["
            "{\"pkg\":{\"name\":\"xen\",\"secfixes\":{\"4.1-r0\":[\"CVE-2016-9932 XSA-200\",\"CVE_2020-12345 (+ regression fix)\",\"CVE 2018-16859\",\"CVE N/A ZBX-11023\"],"
            "\"0\":[\"CVE-2022-1111\"],\"4.2-r0\":[\"see below\",\"CVE-2021-0001 CVE-2021-0002\",7],\"10.2.24.r0\":[\"wnpa-sec-2017-18\",\"GHSA-rpmj-rpgj-qmpm\"]}}},{\"pkg\":{}},null]}");
    put("native/wolfi/security.json", "{\"apkurl\":\"x\",\"reponame\":\"os\",\"urlprefix\":\"https://packages.wolfi.dev\",\"packages\":[{\"pkg\":{\"name\":\"zlib\",\"secfixes\":{\"1.3-r0\":[\"CVE-2023-45853\"]}}}]}");
    put("native/unknown/security.json", "{\"apkurl\":\"x\",\"packages\":[{\"pkg\":{\"name\":\"z\",\"secfixes\":{}}}]}");
    put("native/kev/kev.json", "{\"title\":\"CISA Catalog of Known Exploited Vulnerabilities\",\"catalogVersion\":\"2024\",\"dateReleased\":\"2024-07-01T00:00:00Z\",\"vulnerabilities\":["
                               "{\"cveID\":\"CVE-2021-44228\",\"dateAdded\":\"2021-12-10\",\"dueDate\":\"2021-12-24\",\"knownRansomwareCampaignUse\":\"Known\"},"
                               "{\"cveID\":\"CVE-2020-1111\",\"dateAdded\":\"2022-01-01\",\"knownRansomwareCampaignUse\":\"Unknown\"},{\"cveID\":\"x\"},7]}");
    put("native/epss/epss_scores-2024-01-01.csv.gz", "#model_version:v2023.03.01,score_date:2024-01-01T00:00:00+0000\ncve,epss,percentile\nCVE-2021-44228,0.97565,0.99999\n"
                                                     "CVE-2020-1111,1e-05,0.5\nCVE-2020-2,2,1\nrubbish\nCVE-2020-3333,x,0.1\n");
}

static void check_osv(void)
{
    struct rows r = rows_of("npm", "@a/b");
    EQ_U(r.n, 1);
    EQ_U(r.v[0].n_ranges, 3);
    OK(hf_span_eqz(range(&r, 0, 0).introduced, "0") && hf_span_eqz(range(&r, 0, 0).fixed, "1.2.0"));
    OK(hf_span_eqz(range(&r, 0, 1).introduced, "2.0.0") && hf_span_eqz(range(&r, 0, 1).last_affected, "2.1.0") && !range(&r, 0, 1).fixed.n);
    OK(hf_span_eqz(range(&r, 0, 2).introduced, "3.0.0") && !range(&r, 0, 2).fixed.n && !range(&r, 0, 2).last_affected.n);
    OK(hf_adv_row_has_version(db, &r.v[0], HF_S("1.0.0")) && !(r.v[0].flags & HF_ADV_DISTRO));
    EQ_U(rows_of("npm", "withdrawn").n, 0);
    EQ_U(rows_of("npm", "git-only").n, 0);
    EQ_U(ids("GHSA-2"), 0);
    EQ_U(ids("X-FUZZ"), 0);
    EQ_U(ids("CVE-2020-9999"), 0); /* `related` of a language record is another vulnerability */
    r = rows_of("go", "x/y");
    OK(r.n == 1 && r.v[0].n_symbols == 2);
    OK(source("osv:npm")->records == 3 && source("osv:npm")->rejected == 3);
    OK(source("osv:npm")->newest_unix == 1709251201);
    r = rows_of("debian:12", "curl");
    OK(r.n == 1 && r.v[0].state == HF_ADV_NOT_AFFECTED && (r.v[0].flags & HF_ADV_UNIMPORTANT) && (r.v[0].flags & HF_ADV_DISTRO));
    EQ_U(ids("CVE-2020-10001"), 1);
    r = rows_of("almalinux:8", "nodejs");
    OK(r.n == 1 && hf_span_eqz(r.v[0].module, "nodejs:16") && (r.v[0].flags & HF_ADV_BINARY_NAME));
    r = rows_of("almalinux:8", "plain");
    OK(r.n == 1 && !r.v[0].module.n);
    OK(ids("CVE-2020-10002") == 1 && ids("ALSA-2023:9") == 0);
    hf_autoarena arena;
    struct hf_advisory a;
    hf_arena_init(&arena, 1 << 20);
    OK(r.n && hf_advdb_advisory(db, r.v[0].adv, &arena, &a, NULL) == 0 && a.severity == HF_SEV_HIGH);
    r = rows_of("ubuntu:16.04:pro", "unzip");
    OK(r.n == 1 && (r.v[0].flags & HF_ADV_PRO) && hf_span_eqz(range(&r, 0, 0).fixed, "6.0-1"));
    r = rows_of("ubuntu:16.04", "unzip");
    OK(r.n == 1 && r.v[0].state == HF_ADV_DEFERRED);
    OK(r.n && hf_advdb_advisory(db, r.v[0].adv, &arena, &a, NULL) == 0 && a.severity == HF_SEV_NEGLIGIBLE);
    OK(source("osv:Debian")->records == 3 && source("osv:Debian")->rejected == 1); /* the nested one */
    r = rows_of("pypi", "zope-a");
    OK(r.n == 2 && source("osv:records")->demo && source("osv:records")->records == 2 && !source("osv:npm")->demo);
}

static void check_native(void)
{
    struct rows r = rows_of("debian:12", "openssl");
    OK(r.n == 1 && r.v[0].state == HF_ADV_RANGES && r.v[0].severity == HF_SEV_HIGH && hf_span_eqz(range(&r, 0, 0).fixed, "3.0.11-1~deb12u2"));
    hf_autoarena arena;
    struct hf_advisory a;
    struct hf_span d;
    hf_arena_init(&arena, 1 << 20);
    OK(r.n && hf_advdb_advisory(db, r.v[0].adv, &arena, &a, NULL) == 0 && hf_span_eqz(a.summary, "First"));
    OK(r.n && hf_advdb_details(db, r.v[0].adv, &arena, &d, NULL) == 0 && hf_span_eqz(d, "First. Second."));
    r = rows_of("debian:11", "openssl");
    OK(r.n == 1 && r.v[0].state == HF_ADV_DEFERRED && (r.v[0].flags & HF_ADV_NO_DSA) && r.v[0].severity == HF_SEV_LOW);
    r = rows_of("debian:13", "openssl");
    OK(r.n == 1 && r.v[0].state == HF_ADV_WONT_FIX && r.v[0].severity == HF_SEV_UNKNOWN);
    r = rows_of("debian:10", "openssl");
    OK(r.n == 1 && r.v[0].state == HF_ADV_EOL);
    r = rows_of("debian:9", "openssl");
    OK(r.n == 1 && r.v[0].state == HF_ADV_NOT_AFFECTED && (r.v[0].flags & HF_ADV_UNIMPORTANT));
    EQ_U(rows_of("debian:sid", "openssl").n, 0); /* undetermined (R14) */
    r = rows_of("debian:sid", "xz-utils");
    OK(r.n == 1 && r.v[0].state == HF_ADV_UNFIXED && r.v[0].severity == HF_SEV_MEDIUM);
    EQ_U(rows_of("debian:14", "xz-utils").n, 1);
    EQ_U(rows_of("debian:12", "xz-utils").n, 0); /* a status nobody knows: rejected */
    EQ_U(ids("CVE-2023-5363"), 1);               /* one advisory for two packages */
    r = rows_of("debian:12", "lag"); /* a fix newer than the release; older than sid's fix; not older */
    OK(r.n == 3 && r.v[0].state == HF_ADV_RANGES && r.v[1].state == HF_ADV_UNFIXED && r.v[2].state == HF_ADV_UNFIXED);
    OK(r.n == 3 && hf_span_eqz(range(&r, 0, 0).fixed, "0.9-2") && !r.v[1].n_ranges && !r.v[2].n_ranges);
    EQ_U(rows_of("debian:11", "lag").n, 0);
    EQ_U(source("debian-tracker")->rejected, 1);

    r = rows_of("alpine:3.18", "xen");
    EQ_U(r.n, 9);
    OK(ids("XSA-200") == 1 && ids("CVE-2016-9932") == 1 && ids("CVE-2020-12345") == 1 && ids("CVE-2018-16859") == 1 && ids("ZBX-11023") == 1);
    OK(ids("CVE-2021-0001") == 1 && ids("CVE-2021-0002") == 1 && ids("wnpa-sec-2017-18") == 1 && ids("GHSA-rpmj-rpgj-qmpm") == 1 && ids("CVE") == 0);
    size_t never = 0;
    for (size_t i = 0; i < r.n && i < 16; i++)
        never += r.v[i].state == HF_ADV_NOT_AFFECTED;
    EQ_U(never, 1);
    EQ_U(source("secdb:v3.18")->rejected, 2);
    EQ_U(rows_of("wolfi", "zlib").n, 1);
    struct hf_epss e;
    struct hf_kev k;
    OK(hf_advdb_epss(db, HF_S("CVE-2021-44228"), &e) && e.score > 0.9756 && e.score < 0.9757);
    OK(hf_advdb_epss(db, HF_S("CVE-2020-1111"), &e) && e.score > 0.0000099 && e.score < 0.000011);
    OK(source("epss")->records == 2 && source("epss")->rejected == 3 && source("epss")->newest_unix == 1704067200);
    OK(hf_advdb_kev(db, HF_S("CVE-2021-44228"), &k) && k.ransomware && hf_advdb_kev(db, HF_S("CVE-2020-1111"), &k) && !k.ransomware && !k.due_date.n);
    OK(source("kev")->records == 2 && source("kev")->rejected == 2);
}

static void check_times(void)
{
    EQ_U(hf_feed_time(HF_S("1970-01-02")), 86400);
    EQ_U(hf_feed_time(HF_S("2024-02-29T12:34:56.789Z")), 1709210096);
    EQ_U(hf_feed_time(HF_S("2024-13-01")), 0);
    EQ_U(hf_feed_time(HF_S("2024")), 0);
    EQ_U(hf_feed_time(HF_S("")), 0);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *f)
{
    (void)st;
    (void)kind;
    (void)f;
    return remove(path);
}

int main(void)
{
    snprintf(root, sizeof root, "/tmp/holdfast-test-feeds-%ld", (long)getpid());
    snprintf(db_path, sizeof db_path, "%s.hfdb", root);
    struct hf_err err = HF_ERR_INIT;
    struct hf_advdb_build_opts o = {.quiet = true};
    hf_autobuf report = HF_BUF_INIT(1 << 16);
    const char *sources[] = {root}, *missing[] = {"/nonexistent/x"};
    if (mkdir(root, 0700) < 0)
        abort();
    put_osv();
    put_native();
    EQ_I(hf_advdb_build(sources, 1, &o, db_path, &report, &err), HF_E_INCOMPLETE);
    OK(strstr(hf_buf_z(&report), "cut/all.zip") && strstr(hf_buf_z(&report), "native/unknown/security.json") && !strstr(hf_buf_z(&report), "README"));
    OK(strstr(hf_buf_z(&report), "r4.json left out"));
    OK(hf_advdb_open(&db, db_path, &err) == 0);
    if (db) {
        check_osv();
        check_native();
    }
    check_times();
    hf_advdb_close(db);
    EQ_I(hf_advdb_build(missing, 1, &o, db_path, &report, &err), -2);
    char one[160];
    snprintf(one, sizeof one, "%s/demo/records/a.json", root);
    sources[0] = one;
    EQ_I(hf_advdb_build(sources, 1, &o, db_path, &report, &err), 0);
    snprintf(one, sizeof one, "%s/other", root);
    EQ_I(hf_advdb_build(sources, 1, &o, db_path, &report, &err), HF_E_NOT_FOUND);
    unlink(db_path);
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return tap_done();
}
