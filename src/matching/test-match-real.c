/* SPDX-License-Identifier: Apache-2.0 */
/* The matcher on the shared advisory data (HF_SHARED, else ../shared beside the source): answers known from the records. */
#include <sys/stat.h>
#include <time.h>

#include "advisories/db/build.h"
#include "matching/match.h"
#include "tap.h"

struct want {
    const char *os, *release;
    enum hf_pkg_type type;
    const char *name, *version, *source, *module;
    unsigned flags;
    size_t rows;          /* exactly as many; SIZE_MAX: at least those named */
    const char *ids;      /* each must be reported */
    const char *not_ids;  /* none of these may be */
    const char *first_fix; /* of the first id */
};
#define ANY SIZE_MAX
static const struct want wants[] = {
    /* DSA-5343-1 fixes all five in 1.1.1n-0+deb11u4; everything before is fixed in u3 or earlier */
    {"debian", "11", HF_PKG_DEB, "libssl1.1", "1.1.1n-0+deb11u3", "openssl", "", 0, 5,
        "CVE-2022-2097 CVE-2022-4304 CVE-2022-4450 CVE-2023-0215 CVE-2023-0286", "CVE-2022-2068 CVE-2022-0778", "1.1.1n-0+deb11u4"},
    {"debian", "11", HF_PKG_DEB, "libssl1.1", "1.1.1n-0+deb11u4", "openssl", "", 0, 0, "", "CVE-2023-0286", NULL},
    {"debian", "11", HF_PKG_DEB, "openssl", "1.1.1k-1", "", "", 0, 11, "CVE-2021-3711 CVE-2022-0778", "", "1.1.1k-1+deb11u1"},
    /* needed, no fix known at the time of the snapshot; the others are fixed in 1.1.1d-2ubuntu1 */
    {"ubuntu", "20.04", HF_PKG_DEB, "libssl1.1", "1.1.1d-2ubuntu1", "openssl", "", 0, 1, "CVE-2019-1551", "CVE-2019-1547", NULL},
    {"ubuntu", "20.04", HF_PKG_DEB, "libssl1.1", "1.1.1d-1ubuntu1", "openssl", "", 0, 4, "CVE-2019-1547 CVE-2019-1549 CVE-2019-1563", "", "1.1.1d-2ubuntu1"},
    {"alpine", "3.14.2", HF_PKG_APK, "libssl1.1", "1.1.1k-r0", "openssl", "", 0, 2, "CVE-2021-3711 CVE-2021-3712", "CVE-2021-3450", "1.1.1l-r0"},
    {"alpine", "3.14.2", HF_PKG_APK, "libcrypto1.1", "1.1.1l-r0", "openssl", "", 0, 0, "", "CVE-2021-3711", NULL},
    {"almalinux", "9.3", HF_PKG_RPM, "openssl-libs", "1:3.0.7-25.el9_3", "openssl", "", 0, ANY,
        "CVE-2024-0727 CVE-2024-6119 CVE-2025-9230", "CVE-2023-5363 CVE-2022-3602", "1:3.0.7-27.el9"},
    {"almalinux", "9.9", HF_PKG_RPM, "openssl-libs", "1:3.5.5-4.el9_8", "openssl", "", 0, 0, "", "", NULL},
    /* stream 10, one build before and the fix of another minor release */
    {"almalinux", "8.4", HF_PKG_RPM, "nodejs", "1:10.23.1-1.module_el8.4.0+2200+aaaaaaaa", "nodejs", "nodejs:10:8040020210101:abcd", 0, ANY,
        "CVE-2021-22883 CVE-2021-22884", "CVE-2021-22930", "1:10.24.0-1.module_el8.3.0+2047+b07ac28e"},
    {"almalinux", "8.4", HF_PKG_RPM, "nodejs", "1:10.24.0-1.module_el8.4.0+2224+b07ac28e", "nodejs", "nodejs:10:8040020210101:abcd", 0, ANY,
        "", "CVE-2021-22883 CVE-2021-22884 CVE-2021-22930", NULL},
    {"almalinux", "8.4", HF_PKG_RPM, "nodejs", "1:12.22.3-1.module_el8.4.0+2500+aaaaaaaa", "nodejs", "nodejs:12:8040020210101:abcd", 0, ANY,
        "CVE-2021-22930 CVE-2021-22940 CVE-2021-3672", "CVE-2021-22883", "1:12.22.5-1.module_el8.4.0+2529+af52a4c7"},
    {"", "", HF_PKG_PYPI, "Django", "4.2.13", "", "", 0, ANY, "CVE-2024-39614 CVE-2024-41989 CVE-2024-42005", "CVE-2024-27351", "4.2.14"},
    {"", "", HF_PKG_NPM, "lodash", "4.17.20", "", "", 0, 2, "CVE-2020-28500 CVE-2021-23337", "CVE-2020-8203", "4.17.21"},
    {"", "", HF_PKG_NPM, "lodash", "4.17.21", "", "", 0, 0, "", "", NULL},
    {"", "", HF_PKG_MAVEN, "org.apache.logging.log4j:log4j-core", "2.14.1", "", "", 0, ANY,
        "CVE-2021-44228 CVE-2021-45046 CVE-2021-45105 CVE-2021-44832", "CVE-2017-5645", "2.15.0"},
    {"", "", HF_PKG_MAVEN, "org.apache.logging.log4j:log4j-api", "2.14.1", "", "", 0, ANY, "", "CVE-2021-44228 CVE-2021-45046", NULL},
    {"", "", HF_PKG_GO, "stdlib", "go1.25.12", "", "", HF_PKG_STDLIB, ANY, "CVE-2026-56862 CVE-2026-56858 CVE-2026-56860", "", "1.25.13"},
    {"", "", HF_PKG_GO, "stdlib", "go1.27rc3", "", "", HF_PKG_STDLIB, ANY, "", "CVE-2026-56862 CVE-2026-56858", NULL},
    {"", "", HF_PKG_GEM, "nokogiri", "1.16.1", "", "", 0, ANY, "RUBYSEC-nokogiri-GHSA-wx95-c6cv-8532", "", "1.19.1"},
    {"", "", HF_PKG_CARGO, "time", "0.2.20", "", "", 0, 1, "CVE-2020-26235", "CVE-2026-25727", "0.2.23"},
    {"", "", HF_PKG_CARGO, "time", "0.3.46", "", "", 0, 1, "CVE-2026-25727", "CVE-2020-26235", "0.3.47"},
    {"", "", HF_PKG_COMPOSER, "symfony/http-kernel", "v5.2.4", "", "", 0, ANY, "CVE-2021-41267 CVE-2022-24894", "CVE-2020-15094", "5.3.12"},
};

static const struct hf_vuln *vuln(const struct hf_scan *s, struct hf_span id)
{
    for (size_t i = 0; i < s->n_vulns; i++)
        if (hf_span_eq(s->vulns[i].id, id))
            return &s->vulns[i];
    return NULL;
}

static void check(const struct hf_advdb *db, const struct want *w)
{
    struct hf_scan s;
    struct hf_err err = HF_ERR_INIT;
    hf_scan_init(&s, 32 << 20);
    struct hf_scan_package p = {.p = {.type = w->type, .name = hf_span_z(w->name), .version = hf_span_z(w->version), .flags = w->flags,
                                        .source_name = hf_span_z(w->source), .module = hf_span_z(w->module)}};
    s.packages = &p;
    s.n_packages = 1;
    s.release.id = hf_span_z(w->os);
    s.release.version_id = hf_span_z(w->release);
    if (!OK(hf_match(&s, db, &(struct hf_match_opts){.now_unix = 1790000000}, NULL, &err) == 0))
        printf("# %s\n", err.msg);
    bool good = w->rows == ANY || s.n_vulns == w->rows;
    struct hf_span rest = hf_span_z(w->ids), id;
    bool first = true;
    while (hf_span_cut(&rest, ' ', &id)) {
        const struct hf_vuln *v = vuln(&s, id);
        good &= v != NULL && v->n_why > 0;
        if (v && first && w->first_fix)
            good &= v->n_fixed_in > 0 && hf_span_eqz(v->fixed_in[0], w->first_fix) && v->status == HF_VULN_FIXED;
        first = false;
        if (!v)
            printf("# missing " HF_SPAN_FMT "\n", HF_SPAN_ARG(id));
    }
    rest = hf_span_z(w->not_ids);
    while (hf_span_cut(&rest, ' ', &id))
        if (vuln(&s, id)) {
            good = false;
            printf("# wrong " HF_SPAN_FMT "\n", HF_SPAN_ARG(id));
        }
    if (hf_span_eqz(hf_span_z(w->version), "2.14.1") && s.n_vulns && vuln(&s, HF_S("CVE-2021-44228"))) {
        const struct hf_vuln *v = vuln(&s, HF_S("CVE-2021-44228"));
        OK(v->has_kev && v->has_epss && v->epss.score > 0.9 && v->severity == HF_SEV_CRITICAL && v->n_cvss > 0);
    }
    if (!OK(good)) {
        printf("# %s %s: %zu rows\n", w->name, w->version, s.n_vulns);
        for (size_t i = 0; i < HF_MIN(s.n_vulns, (size_t)40); i++)
            printf("#   " HF_SPAN_FMT " %s fix " HF_SPAN_FMT "\n", HF_SPAN_ARG(s.vulns[i].id), hf_vuln_status_name(s.vulns[i].status),
                    HF_SPAN_ARG(s.vulns[i].n_fixed_in ? s.vulns[i].fixed_in[0] : HF_S("-")));
    }
    EQ_U(s.n_incomplete, 0);
    s.packages = NULL;
    hf_scan_done(&s);
}

/* Every source package of Debian 11 that the feed knows, repeated to 5,000 packages: the time is printed, not judged. */
static void measure(const struct hf_advdb *db)
{
    static const char *const sources[] = {"openssl", "linux", "curl", "glibc", "systemd", "python3.9", "perl", "libxml2", "git", "bind9",
        "apache2", "nginx", "php7.4", "postgresql-13", "openjdk-11", "tiff", "imagemagick", "expat", "vim", "tar", "bash", "gnutls28", "zlib",
        "xz-utils", "krb5", "samba", "qemu", "ffmpeg", "webkit2gtk", "chromium"};
    enum { N = 5000 };
    struct hf_scan s;
    hf_scan_init(&s, 512 << 20);
    s.release.id = HF_S("debian");
    s.release.version_id = HF_S("11");
    s.packages = calloc(N, sizeof *s.packages);
    s.n_packages = N;
    for (size_t i = 0; i < N; i++) {
        char name[32];
        snprintf(name, sizeof name, "package-%zu", i);
        struct hf_package *p = &s.packages[i].p;
        p->type = HF_PKG_DEB;
        p->version = HF_S("9999");
        if (i % 10 == 0)
            p->version = HF_S("0.1-1");
        if (hf_arena_dup(&s.arena, hf_span_z(name), &p->name) < 0)
            abort();
        /* an image has few binaries of each source, and most of it is up to date */
        if (i % 5 == 0)
            p->source_name = hf_span_z(sources[i / 5 % HF_ARRAY_LEN(sources)]);
    }
    struct timespec a, b;
    struct hf_err err = HF_ERR_INIT;
    clock_gettime(CLOCK_MONOTONIC, &a);
    EQ_I(hf_match(&s, db, &(struct hf_match_opts){.now_unix = 1790000000}, NULL, &err), 0);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("# 5,000 packages, %zu rows: %.1f ms, arena %zu KiB\n", s.n_vulns,
            (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6, s.arena.used / 1024);
    hf_scan_done(&s);
}

int main(void)
{
    const char *shared = getenv("HF_SHARED"), *root = getenv("HF_SOURCE_ROOT"), *ready = getenv("HF_TEST_DB");
    char dir[4096], path[128];
    struct stat st;
    snprintf(dir, sizeof dir, "%s%s/data/advisories", shared ? shared : root ? root : ".", shared ? "" : "/../shared");
    if (!ready && stat(dir, &st) < 0) {
        printf("1..0 # SKIP no shared advisory data at %s\n", dir);
        return 0;
    }
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf report = HF_BUF_INIT(1 << 20);
    snprintf(path, sizeof path, "/tmp/hf-test-match-real-%d.hfdb", (int)getpid());
    const char *sources[] = {dir};
    int rc = ready ? 0 : hf_advdb_build(sources, 1, &(struct hf_advdb_build_opts){.quiet = true}, path, &report, &err);
    OK(rc == 0 || rc == HF_E_INCOMPLETE);
    hf_cleanup(hf_advdb_closep) struct hf_advdb *db = NULL;
    if (!OK(hf_advdb_open(&db, ready ? ready : path, &err) == 0)) {
        printf("# %s\n", err.msg);
        return tap_done();
    }
    for (size_t i = 0; i < HF_ARRAY_LEN(wants); i++)
        check(db, &wants[i]);
    measure(db);
    if (!ready)
        unlink(path);
    return tap_done();
}
