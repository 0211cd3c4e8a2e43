/* SPDX-License-Identifier: Apache-2.0 */
/* Rules R1-R31 on a small database made here, one table row or block a rule. */
#include <time.h>

#include "advisories/db/build.h"
#include "matching/match-internal.h"
#include "tap.h"

static char path[128];

struct rec {
    const char *id, *summary, *alias[8], *ns, *name, *ranges[8]; /* "introduced fixed last", '-' for none */
    const char *versions[4], *module;
    enum hf_scheme scheme;
    enum hf_adv_state state;
    unsigned flags;
    enum hf_severity row_severity, severity;
    const char *cvss;
};
#define DEBIAN "debian:12"
#define DEB HF_SCHEME_DEB
#define RPM HF_SCHEME_RPM
static const struct rec recs[] = {
    /* R1, R10, R14 */
    {"DEBIAN-CVE-2030-0001", "", {"CVE-2030-0001"}, DEBIAN, "foo", {"0 1.0-2 -"}, .scheme = DEB},
    {"DSA-1-1", "foo update", {"CVE-2030-0001", "CVE-2030-0002"}, DEBIAN, "foo", {"0 1.0-2 -"}, .scheme = DEB},
    {"DEBIAN-CVE-2030-0003", "", {"CVE-2030-0003"}, DEBIAN, "foo", {"0 - -"}, .scheme = DEB, .state = HF_ADV_UNFIXED, .flags = HF_ADV_NO_DSA},
    {"DEBIAN-CVE-2030-0004", "", {"CVE-2030-0004"}, DEBIAN, "foo", {"0 - -"}, .scheme = DEB, .state = HF_ADV_UNFIXED, .flags = HF_ADV_UNIMPORTANT, .row_severity = HF_SEV_LOW},
    {"DEBIAN-CVE-2030-0005", "", {"CVE-2030-0005"}, DEBIAN, "foo", {"0 0 -"}, .scheme = DEB}, /* R11 */
    {"DSA-2-1", "foo update", {"CVE-2030-0005"}, DEBIAN, "foo", {"0 9 -"}, .scheme = DEB},
    {"DEBIAN-CVE-2030-0006", "", {"CVE-2030-0006"}, DEBIAN, "foo", {NULL}, .scheme = DEB, .state = HF_ADV_EOL},
    {"DEBIAN-CVE-2030-0007", "", {"CVE-2030-0007"}, DEBIAN, "foo", {NULL}, .scheme = DEB}, /* nothing to decide by */
    {"DEBIAN-CVE-2030-0008", "", {"CVE-2030-0008"}, DEBIAN, "libfoo1", {"0 2 -"}, .scheme = DEB}, /* indirect */
    {"DEBIAN-CVE-2030-0009", "", {"CVE-2030-0009"}, DEBIAN, "python3-foolib", {"0 1.5-2 -"}, .scheme = DEB},
    {"DEBIAN-CVE-2030-0010", "", {"CVE-2030-0010"}, DEBIAN, "linux", {"0 6.1.9-1 -"}, .scheme = DEB},
    {"DEBIAN-CVE-2023-45853", "", {"CVE-2023-45853"}, DEBIAN, "zlib", {"0 - -"}, .scheme = DEB, .state = HF_ADV_UNFIXED},
    {"DEBIAN-CVE-2030-0011", "", {"CVE-2030-0011"}, DEBIAN, "python-vend", {"0 3.0-1 -"}, .scheme = DEB},
    {"DEBIAN-CVE-2030-0012", "", {"CVE-2030-0012"}, DEBIAN, "python-vend", {NULL}, .scheme = DEB, .state = HF_ADV_NOT_AFFECTED},
    /* languages on owned files: R11, R12, R21 */
    {"PYSEC-1", "fixed by the distribution", {"CVE-2030-0011"}, "pypi", "vend", {"0 4.0 -"}, .scheme = HF_SCHEME_PEP440},
    {"PYSEC-2", "never in the distribution", {"CVE-2030-0012"}, "pypi", "vend", {"0 4.0 -"}, .scheme = HF_SCHEME_PEP440},
    {"PYSEC-3", "only the ecosystem knows", {"CVE-2030-0013"}, "pypi", "vend", {"0 4.0 -"}, .scheme = HF_SCHEME_PEP440},
    /* R24, R25: three records of one thing, a bridge between two names */
    {"PYSEC-4", "short", {"CVE-2030-0020"}, "pypi", "django-x", {"4.2 4.2.14 -", "5.0 5.0.7 -"}, .scheme = HF_SCHEME_PEP440, .severity = HF_SEV_LOW},
    {"GHSA-aaaa-bbbb-cccc", "long", {"CVE-2030-0020"}, "pypi", "django-x", {"4.2 4.2.15 -"}, .scheme = HF_SCHEME_PEP440, .severity = HF_SEV_HIGH,
        .cvss = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"},
    {"GHSA-two2-two2-two2", "two CVEs", {"CVE-2030-0021", "CVE-2030-0022"}, "pypi", "django-x", {"0 9 -"}, .scheme = HF_SCHEME_PEP440},
    {"PYSEC-5", "listed", {NULL}, "pypi", "django-x", {NULL}, {"4.2.1", "4.2.2"}, .scheme = HF_SCHEME_PEP440},
    {"PYSEC-6", "last", {NULL}, "pypi", "django-x", {"4.0 - 4.2.1"}, .scheme = HF_SCHEME_PEP440},
    /* R3, R11 */
    {"ALPINE-CVE-2030-0030", "", {"CVE-2030-0030"}, "alpine:3.18", "openfoo", {"0 1.1-r2 -"}, .scheme = HF_SCHEME_APK},
    /* R2, R17 */
    {"ALSA-2030:1", "Important: nodejs:10 security update", {"CVE-2030-0040", "CVE-2030-0041"}, "almalinux:8", "nodejs",
        {"0 1:10.24.0-1.module_el8.3.0+1 -", "0 1:10.24.0-1.module_el8.5.0+9 -"}, .scheme = RPM, .severity = HF_SEV_HIGH},
    {"ALSA-2030:2", "nodejs:12 security update", {"CVE-2030-0040"}, "almalinux:8", "nodejs", {"0 1:12.22.5-1.module_el8.4.0+2 -"}, .scheme = RPM},
    {"ALSA-2030:3", "bar update", {"CVE-2030-0042"}, "almalinux:8", "bar", {"0 2:1.0-5.el8 -"}, .scheme = RPM},
    {"ALBA-2030:4", "bar bug fix update", {NULL}, "almalinux:8", "bar", {"0 2:1.0-6.el8 -"}, .scheme = RPM},
    {"ALSA-2030:5", "bar waits", {"CVE-2030-0043"}, "almalinux:8", "bar", {NULL}, .scheme = RPM, .state = HF_ADV_INVESTIGATING},
    /* R15 */
    {"UBUNTU-CVE-2030-0050", "", {"CVE-2030-0050"}, "ubuntu:20.04", "qux", {"0 - -"}, .scheme = DEB, .state = HF_ADV_UNFIXED},
    {"UBUNTU-CVE-2030-0050", "", {"CVE-2030-0050"}, "ubuntu:20.04:pro", "qux", {"0 1.0-1ubuntu1+esm1 -"}, .scheme = DEB, .flags = HF_ADV_PRO},
    /* R27 */
    {"GO-2030-1", "std", {"CVE-2030-0060"}, "go", "stdlib", {"0 1.21.5 -", "1.22.0-0 1.22.0-rc.2 -"}, .scheme = HF_SCHEME_GO},
    {"GHSA-gggg-gggg-gggg", "x/net by GHSA", {"CVE-2030-0061"}, "go", "golang.org/x/net", {"0 0.17.0 -"}, .scheme = HF_SCHEME_GO},
    {"GO-2030-2", "k8s", {"CVE-2030-0062"}, "go", "k8s.io/kubernetes", {"0 1.29.0 -"}, .scheme = HF_SCHEME_GO},
    /* R31 */
    {"GHSA-jfh8-c2jp-5v3q", "Log4Shell", {"CVE-2021-44228"}, "maven", "org.apache.logging.log4j:log4j-api", {"0 2.15.0 -"}, .scheme = HF_SCHEME_MAVEN},
    {"GHSA-jfh8-c2jp-5v3q", "Log4Shell", {"CVE-2021-44228"}, "maven", "org.apache.logging.log4j:log4j-core", {"0 2.15.0 -"}, .scheme = HF_SCHEME_MAVEN},
};

static const struct hf_advdb *make_db(void)
{
    static struct hf_advdb *db;
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_advb_freep) struct hf_advb *b = hf_advb_new(64 << 20);
    int rc = hf_advb_source(b, HF_S("osv:Debian"), HF_S("here"), 1900000000, false, &err);
    hf_advb_newest(b, 1900000000);
    for (size_t i = 0; i < HF_ARRAY_LEN(recs) && rc >= 0; i++) {
        const struct rec *r = &recs[i];
        struct hf_span alias[8], versions[4], cvss = hf_span_z(r->cvss);
        struct hf_adv_range ranges[8];
        size_t na = 0, nv = 0, nr = 0;
        while (na < 8 && r->alias[na]) {
            alias[na] = hf_span_z(r->alias[na]);
            na++;
        }
        while (nv < 4 && r->versions[nv]) {
            versions[nv] = hf_span_z(r->versions[nv]);
            nv++;
        }
        for (; nr < 8 && r->ranges[nr]; nr++) {
            struct hf_span rest = hf_span_z(r->ranges[nr]), part[3] = {{NULL, 0}};
            for (int k = 0; k < 3 && hf_span_cut(&rest, ' ', &part[k]); k++)
                if (hf_span_eqz(part[k], "-"))
                    part[k].n = 0;
            ranges[nr] = (struct hf_adv_range){part[0], part[1], part[2]};
        }
        uint32_t adv;
        rc = hf_advb_add(b, &(struct hf_advb_advisory){.id = hf_span_z(r->id), .summary = hf_span_z(r->summary), .published_unix = 1890000000,
                .severity = r->severity, .aliases = alias, .n_aliases = na, .cvss_vectors = &cvss, .n_cvss = cvss.n ? 1 : 0}, &adv, &err);
        if (rc >= 0)
            rc = hf_advb_add_row(b, adv, hf_span_z(r->ns), hf_span_z(r->name), &(struct hf_advb_row){.scheme = r->scheme, .state = r->state,
                    .flags = r->flags, .severity = r->row_severity, .module = hf_span_z(r->module), .ranges = ranges, .n_ranges = nr,
                    .versions = versions, .n_versions = nv}, &err);
    }
    if (rc >= 0)
        rc = hf_advb_epss(b, HF_S("CVE-2030-0020"), 0.5, 0.9, &err);
    if (rc >= 0)
        rc = hf_advb_kev(b, HF_S("CVE-2030-0001"), HF_S("2030-01-01"), HF_S("2030-02-01"), true, &err);
    snprintf(path, sizeof path, "/tmp/hf-test-match-%d.hfdb", (int)getpid());
    if (rc >= 0)
        rc = hf_advb_write(b, path, &err);
    if (rc >= 0)
        rc = hf_advdb_open(&db, path, &err);
    if (rc < 0)
        printf("# %s\n", err.msg);
    return rc < 0 ? NULL : db;
}

struct run {
    struct hf_scan s;
    struct hf_scan_package p[8];
    struct hf_match_opts o;
    struct hf_buf why;
    int rc;
};
static const struct hf_advdb *db;

static void start(struct run *r, const char *id, const char *version)
{
    *r = (struct run){.o = {.now_unix = 1900000100, .stale_after_s = 86400 * 5}};
    hf_scan_init(&r->s, 32 << 20);
    hf_buf_init(&r->why, 1 << 20);
    r->s.release.id = hf_span_z(id);
    r->s.release.version_id = hf_span_z(version);
    r->s.packages = r->p;
}
static struct hf_package *add(struct run *r, enum hf_pkg_type t, const char *name, const char *version)
{
    struct hf_package *p = &r->p[r->s.n_packages++].p;
    p->type = t;
    p->name = hf_span_z(name);
    p->version = hf_span_z(version);
    return p;
}
static void go(struct run *r)
{
    struct hf_err err = HF_ERR_INIT;
    r->rc = hf_match(&r->s, db, &r->o, &r->why, &err);
    EQ_I(r->rc, 0);
    if (r->rc < 0)
        printf("# %s\n", err.msg);
}
static void stop(struct run *r)
{
    r->s.packages = NULL;
    hf_scan_done(&r->s);
    hf_buf_done(&r->why);
}
static const struct hf_vuln *vuln(const struct run *r, const char *id)
{
    for (size_t i = 0; i < r->s.n_vulns; i++)
        if (hf_span_eqz(r->s.vulns[i].id, id))
            return &r->s.vulns[i];
    return NULL;
}
/* The ids, in order, as one text. */
static const char *ids(const struct run *r)
{
    static char out[1024];
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < r->s.n_vulns && n + 40 < sizeof out; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s", i ? " " : "", (int)r->s.vulns[i].id.n, r->s.vulns[i].id.p);
    return out;
}
static bool has_alias(const struct hf_vuln *v, const char *id)
{
    for (size_t i = 0; v && i < v->n_aliases; i++)
        if (hf_span_eqz(v->aliases[i], id))
            return true;
    return false;
}

static void test_debian(void)
{
    struct run r;
    start(&r, "debian", "12");
    struct hf_package *p = add(&r, HF_PKG_DEB, "libfoo1", "1.0-1+b1");
    p->source_name = HF_S("foo");
    p->source_version = HF_S("1.0-1");
    go(&r);
    EQ_S(hf_span_z(ids(&r)), "CVE-2030-0001 CVE-2030-0002 CVE-2030-0003 CVE-2030-0004 CVE-2030-0006 CVE-2030-0008");
    const struct hf_vuln *v = vuln(&r, "CVE-2030-0001");
    if (OK(v != NULL)) {
        OK(has_alias(v, "DSA-1-1"));
        OK(has_alias(v, "DEBIAN-CVE-2030-0001"));
        OK(!has_alias(v, "CVE-2030-0002")); /* a notice is a bundle, not one vulnerability */
        EQ_U(v->status, HF_VULN_FIXED);
        EQ_U(v->n_fixed_in, 1);
        EQ_S(v->fixed_in[0], "1.0-2");
        OK(v->has_kev && v->kev.ransomware);
        EQ_U(v->n_why, 2);
        EQ_S(v->why[0].rule, "R1");
        EQ_S(v->why[0].installed, "1.0-1");
        EQ_S(v->why[0].compared, "< 1.0-2");
        EQ_S(v->why[0].text, "source package foo 1.0-1 is before the fixed version 1.0-2");
        EQ_S(v->why[0].ns, DEBIAN);
        OK(!v->collapsed);
    }
    v = vuln(&r, "CVE-2030-0003");
    OK(v && v->status == HF_VULN_WONT_FIX && v->n_fixed_in == 0);
    v = vuln(&r, "CVE-2030-0004");
    OK(v && v->severity == HF_SEV_NEGLIGIBLE && v->status == HF_VULN_UNFIXED);
    v = vuln(&r, "CVE-2030-0006");
    OK(v && v->status == HF_VULN_EOL);
    v = vuln(&r, "CVE-2030-0008");
    OK(v && hf_span_search(v->why[0].text, HF_S("indirect")) != SIZE_MAX);
    EQ_U(r.s.n_feeds, 1);
    EQ_U(r.s.n_incomplete, 0);
    EQ_U(r.s.n_warnings, 1); /* the database of these tests has no EPSS */
    stop(&r);

    start(&r, "debian", "12"); /* the binNMU's number is no part of the source version; the fix is installed */
    p = add(&r, HF_PKG_DEB, "foo-bin", "1.0-2+b3");
    p->source_name = HF_S("foo");
    p->source_version = HF_S("1.0-2");
    r.o.why_not = HF_S("CVE-2030-0001");
    go(&r);
    OK(!vuln(&r, "CVE-2030-0001"));
    OK(hf_span_search(hf_buf_span(&r.why), HF_S("already fixed: installed 1.0-2 is not before the fixed version 1.0-2 [R10]")) != SIZE_MAX);
    stop(&r);

    start(&r, "debian", "12"); /* R30, R31 */
    add(&r, HF_PKG_DEB, "linux-libc-dev", "6.1.8-1")->source_name = HF_S("linux");
    add(&r, HF_PKG_DEB, "zlib1g", "1:1.2.13-1")->source_name = HF_S("zlib");
    r.o.why_not = HF_S("CVE-2023-45853");
    go(&r);
    EQ_S(hf_span_z(ids(&r)), "CVE-2030-0010");
    OK(vuln(&r, "CVE-2030-0010") && vuln(&r, "CVE-2030-0010")->collapsed);
    OK(hf_span_search(hf_buf_span(&r.why), HF_S("[R31]")) != SIZE_MAX);
    stop(&r);
}

static void test_third_party(void)
{
    static const struct {
        enum hf_pkg_type t;
        const char *os, *vendor, *version;
        bool foreign;
    } t[] = {
        {HF_PKG_DEB, "debian", "Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>", "1.0-1", false},
        {HF_PKG_DEB, "debian", "A Developer <someone@google.com>", "1.0-1", false},
        {HF_PKG_DEB, "debian", "Matthias Klose <doko@debian.org>", "1.0-1", false},
        {HF_PKG_DEB, "ubuntu", "Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>", "1.0-1ubuntu2", false},
        {HF_PKG_DEB, "debian", "", "1.0-1", false},
        {HF_PKG_DEB, "debian", "Docker <support@docker.com>", "5:24.0.7-1~debian.12~bookworm", true},
        {HF_PKG_DEB, "debian", "NGINX Packaging <nginx-packaging@f5.com>", "1.25.3-1~bookworm", true},
        {HF_PKG_DEB, "debian", "Debian PostgreSQL Maintainers <team+postgresql@tracker.debian.org>", "15.5-1.pgdg120+1", true},
        {HF_PKG_DEB, "debian", "x <y@z>", "18.19.0-1nodesource1", true},
        {HF_PKG_RPM, "almalinux", "AlmaLinux", "1-1.el8", false},
        {HF_PKG_RPM, "almalinux", "", "1-1.el8", false},
        {HF_PKG_RPM, "almalinux", "(none)", "1-1.el8", false},
        {HF_PKG_RPM, "rocky", "CentOS", "1-1.el8", false},
        {HF_PKG_RPM, "almalinux", "Fedora Project", "1-1.el8", true},
        {HF_PKG_RPM, "amzn", "Amazon Linux", "1-1.amzn2", false},
        {HF_PKG_RPM, "unheard-of", "Anyone", "1-1", false},
        {HF_PKG_APK, "alpine", "Anyone", "1-r0", false},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(t); i++) {
        struct hf_package p = {.type = t[i].t, .vendor = hf_span_z(t[i].vendor), .version = hf_span_z(t[i].version)};
        struct hf_os_release os = {.id = hf_span_z(t[i].os)};
        if (!OK((hf_match_third_party(&p, &os).n > 0) == t[i].foreign))
            printf("# %s %s\n", t[i].vendor, t[i].version);
    }
    struct run r;
    start(&r, "debian", "12");
    add(&r, HF_PKG_DEB, "foo", "1.0-1")->vendor = HF_S("Docker <support@docker.com>");
    r.o.why_not = HF_S("CVE-2030-0001");
    go(&r);
    EQ_U(r.s.n_vulns, 0);
    OK(r.p[0].p.flags & HF_PKG_NOT_MATCHED);
    OK(r.p[0].p.unmatched_why.n > 0);
    OK(hf_span_search(hf_buf_span(&r.why), HF_S("not matched: packaged by Docker")) != SIZE_MAX);
    stop(&r);
}

static void test_owned(void)
{
    struct run r;
    struct hf_package owner = {.type = HF_PKG_DEB, .name = HF_S("python3-vend"), .version = HF_S("3.0-1"), .source_name = HF_S("python-vend")};
    start(&r, "debian", "12");
    add(&r, HF_PKG_PYPI, "vend", "2.9");
    r.p[0].owner = &owner;
    r.o.why_not = HF_S("CVE-2030-0011");
    go(&r);
    EQ_S(hf_span_z(ids(&r)), "CVE-2030-0013"); /* 11: fixed by the owner (R12); 12: never affected (R11) */
    OK(hf_span_search(hf_buf_span(&r.why), HF_S("[R12]")) != SIZE_MAX);
    stop(&r);

    start(&r, "debian", "12"); /* same version as the owner: the feed of the distribution decides alone */
    add(&r, HF_PKG_PYPI, "vend", "3.0");
    r.p[0].owner = &owner;
    r.o.why_not = HF_S("CVE-2030-0013");
    go(&r);
    EQ_U(r.s.n_vulns, 0);
    OK(hf_span_search(hf_buf_span(&r.why), HF_S("[R21]")) != SIZE_MAX);
    stop(&r);

    start(&r, "debian", "12"); /* a second place, owned by a package of which nothing is said */
    struct hf_package other = {.type = HF_PKG_DEB, .name = HF_S("elsewhere"), .version = HF_S("7-1")};
    const struct hf_package *more[] = {&owner};
    add(&r, HF_PKG_PYPI, "vend", "2.9");
    r.p[0].owner = &other;
    r.p[0].more_owners = more;
    r.p[0].n_more_owners = 1;
    r.o.why_not = HF_S("CVE-2030-0011");
    go(&r);
    EQ_S(hf_span_z(ids(&r)), "CVE-2030-0011 CVE-2030-0012 CVE-2030-0013");
    OK(hf_span_search(hf_buf_span(&r.why), HF_S("[R12]")) == SIZE_MAX);
    stop(&r);

    start(&r, "debian", "12"); /* a foreign owner says nothing */
    owner.vendor = HF_S("Docker <support@docker.com>");
    add(&r, HF_PKG_PYPI, "Vend", "3.0");
    r.p[0].owner = &owner;
    go(&r);
    EQ_U(r.s.n_vulns, 3);
    stop(&r);
}

static void test_languages(void)
{
    struct run r;
    start(&r, "", "");
    add(&r, HF_PKG_PYPI, "Django_X", "4.2.1");
    go(&r);
    EQ_S(hf_span_z(ids(&r)), "CVE-2030-0020 GHSA-two2-two2-two2 PYSEC-5 PYSEC-6");
    const struct hf_vuln *v = vuln(&r, "CVE-2030-0020");
    if (OK(v != NULL)) {
        EQ_U(v->n_aliases, 2);
        EQ_U(v->severity, HF_SEV_HIGH); /* GHSA before the others */
        EQ_U(v->n_fixed_in, 3);
        EQ_S(v->fixed_in[0], "4.2.15"); /* 4.2.14 is still in GHSA's range */
        EQ_S(v->fixed_in[1], "5.0.7");
        EQ_S(v->fixed_in[2], "4.2.14");
        EQ_U(v->n_cvss, 1);
        EQ_U(v->cvss[0].score10, 75);
        OK(v->has_epss && v->epss.score > 0.49 && v->epss.score < 0.51);
    }
    v = vuln(&r, "GHSA-two2-two2-two2"); /* R24: two CVEs, so the native id */
    OK(v && has_alias(v, "CVE-2030-0021") && has_alias(v, "CVE-2030-0022"));
    v = vuln(&r, "PYSEC-5");
    OK(v && v->status == HF_VULN_UNFIXED);
    if (v)
        EQ_S(v->why[0].compared, "in versions[]");
    v = vuln(&r, "PYSEC-6");
    if (v)
        EQ_S(v->why[0].compared, "<= 4.2.1");
    stop(&r);

    start(&r, "", ""); /* PEP 440: the local part does not count against bounds without one */
    add(&r, HF_PKG_PYPI, "django-x", "4.2.15+acme.1");
    go(&r);
    EQ_S(hf_span_z(ids(&r)), "GHSA-two2-two2-two2");
    stop(&r);

    start(&r, "", ""); /* R31 */
    add(&r, HF_PKG_MAVEN, "org.apache.logging.log4j:log4j-api", "2.14.1");
    add(&r, HF_PKG_MAVEN, "org.apache.logging.log4j:log4j-core", "2.14.1");
    go(&r);
    EQ_S(hf_span_z(ids(&r)), "CVE-2021-44228");
    EQ_U(r.s.vulns[0].package, 1);
    stop(&r);
}

static void test_go(void)
{
    static const struct {
        const char *name, *version;
        unsigned flags;
        const char *ids;
        bool skipped;
    } t[] = {
        {"stdlib", "go1.21.4", HF_PKG_STDLIB, "CVE-2030-0060", false},
        {"stdlib", "1.21.5", HF_PKG_STDLIB, "", false},
        {"stdlib", "go1.22rc1", HF_PKG_STDLIB, "CVE-2030-0060", false},
        {"stdlib", "go1.22rc2", HF_PKG_STDLIB, "", false},
        {"stdlib", "go1.21.4 X:boringcrypto", HF_PKG_STDLIB, "CVE-2030-0060", false},
        {"stdlib", "go1.21", HF_PKG_STDLIB, "CVE-2030-0060", false},
        {"stdlib", "go1.21.4-acme", HF_PKG_STDLIB, "CVE-2030-0060", false},
        {"stdlib", "devel go1.22-abc", HF_PKG_STDLIB, "", true},
        {"golang.org/x/net", "v0.1.0", 0, "", false},
        {"k8s.io/kubernetes", "v1.28.0", HF_PKG_MAIN_MODULE, "CVE-2030-0062", false},
        {"k8s.io/kubernetes", "(devel)", HF_PKG_MAIN_MODULE, "", true},
        {"k8s.io/kubernetes", "v0.0.0-20230101000000-abcdefabcdef", HF_PKG_MAIN_MODULE, "", true},
        {"k8s.io/kubernetes", "v0.0.0-20230101000000-abcdefabcdef", 0, "CVE-2030-0062", false},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(t); i++) {
        struct run r;
        start(&r, "", "");
        add(&r, HF_PKG_GO, t[i].name, t[i].version)->flags = t[i].flags;
        go(&r);
        EQ_S(hf_span_z(ids(&r)), t[i].ids);
        OK(!(r.p[0].p.flags & HF_PKG_NOT_MATCHED) == !t[i].skipped);
        stop(&r);
    }
}

static void test_rpm(void)
{
    static const struct {
        const char *version, *module, *ids;
    } t[] = {
        {"1:10.23.1-1.module_el8.3.0+7", "nodejs:10:8030:abc", "CVE-2030-0040 CVE-2030-0041"},
        {"1:10.24.0-1.module_el8.3.0+1", "nodejs:10:8030:abc", ""}, /* the fix itself, of another minor release than the last */
        {"1:10.24.0-1.module_el8.4.0+5", "nodejs:10:8030:abc", ""},
        {"1:12.22.1-1.module_el8.4.0+2", "nodejs:12:8040:abc", "CVE-2030-0040"},
        {"1:14.1.0-1.module_el8.4.0+2", "nodejs:14:8040:abc", ""},
        {"1:10.1.0-1.el8", "", ""},
    };
    struct run r;
    for (size_t i = 0; i < HF_ARRAY_LEN(t); i++) {
        start(&r, "almalinux", "8.7");
        add(&r, HF_PKG_RPM, "nodejs", t[i].version)->module = hf_span_z(t[i].module);
        go(&r);
        EQ_S(hf_span_z(ids(&r)), t[i].ids);
        stop(&r);
    }
    start(&r, "almalinux", "8.7"); /* R2: by the source, whose epoch nobody knows; ALBA is no vulnerability; R16 */
    struct hf_package *p = add(&r, HF_PKG_RPM, "bar-libs", "7:3.1-4.el8");
    p->source_name = HF_S("bar");
    p->source_version = HF_S("1.0-4.el8");
    go(&r);
    EQ_S(hf_span_z(ids(&r)), "CVE-2030-0042");
    stop(&r);
    start(&r, "almalinux", "8.7");
    p = add(&r, HF_PKG_RPM, "bar-libs", "7:3.1-5.el8");
    p->source_name = HF_S("bar");
    p->source_version = HF_S("1.0-5.el8");
    r.o.why_not = HF_S("CVE-2030-0043");
    go(&r);
    EQ_U(r.s.n_vulns, 0);
    OK(hf_span_search(hf_buf_span(&r.why), HF_S("[R16]")) != SIZE_MAX);
    stop(&r);
}

static void test_ubuntu_pro(void)
{
    static const struct {
        const char *version;
        bool pro, found;
        enum hf_vuln_status status;
    } t[] = {
        {"1.0-1ubuntu1", false, true, HF_VULN_WONT_FIX},
        {"1.0-1ubuntu1", true, true, HF_VULN_FIXED},
        {"1.0-1ubuntu1+esm1", true, false, HF_VULN_FIXED},
        {"1.0-1ubuntu1+esm1", false, false, HF_VULN_FIXED}, /* an esm build is there, so the system is a Pro one */
        {"1.0-1ubuntu2", false, true, HF_VULN_UNFIXED},    /* sorts after, but is of the channel without the fix */
        {"1.0-1ubuntu2", true, false, HF_VULN_FIXED},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(t); i++) {
        struct run r;
        start(&r, "ubuntu", "20.04");
        add(&r, HF_PKG_DEB, "qux", t[i].version);
        r.o.ubuntu_pro = t[i].pro;
        go(&r);
        const struct hf_vuln *v = vuln(&r, "CVE-2030-0050");
        EQ_U(v != NULL, t[i].found);
        if (v)
            EQ_U(v->status, t[i].status);
        stop(&r);
    }
}

static void test_coverage(void)
{
    struct run r;
    start(&r, "debian", "11"); /* R20 */
    add(&r, HF_PKG_DEB, "foo", "1.0-1");
    add(&r, HF_PKG_NPM, "left-pad", "1.0.0");
    r.o.why_not = HF_S("CVE-2030-0001");
    go(&r);
    EQ_U(r.s.n_vulns, 0);
    EQ_U(r.s.n_incomplete, 2);
    EQ_U(r.s.n_warnings, 3);
    OK(hf_span_search(r.s.incomplete[0].reason, HF_S("debian:11")) != SIZE_MAX);
    OK(hf_span_search(hf_buf_span(&r.why), HF_S("known for other systems and ecosystems only")) != SIZE_MAX);
    stop(&r);

    start(&r, "temple", "5"); /* nobody's feed; why-not of what nobody knows */
    add(&r, HF_PKG_DEB, "foo", "1.0-1");
    r.o.why_not = HF_S("CVE-1999-9999");
    go(&r);
    EQ_U(r.s.n_incomplete, 1);
    OK(hf_span_search(hf_buf_span(&r.why), HF_S("is not in the advisory database")) != SIZE_MAX);
    stop(&r);

    start(&r, "debian", "12"); /* stale; past its end */
    add(&r, HF_PKG_DEB, "nothing", "1.0-1");
    r.o.now_unix = 1900000000 + 86400 * 30;
    r.s.eol_unix = 1900000000;
    r.o.why_not = HF_S("CVE-2030-0001");
    go(&r);
    EQ_U(r.s.n_incomplete, 0);
    EQ_U(r.s.n_warnings, 3);
    OK(r.s.eol);
    OK(hf_span_search(r.s.warnings[0], HF_S("30 days ago")) != SIZE_MAX);
    OK(hf_span_search(hf_buf_span(&r.why), HF_S("no installed package is named foo")) != SIZE_MAX);
    stop(&r);

    start(&r, "debian", "12"); /* a version without an order is not silently clean */
    add(&r, HF_PKG_DEB, "foo", "no version");
    go(&r);
    EQ_U(r.s.n_incomplete, 1);
    stop(&r);

    start(&r, "alpine", "3.18.4"); /* R3: by origin */
    add(&r, HF_PKG_APK, "libopenfoo", "1.1-r1")->source_name = HF_S("openfoo");
    go(&r);
    EQ_S(hf_span_z(ids(&r)), "CVE-2030-0030");
    EQ_S(r.s.vulns[0].why[0].rule, "R3");
    stop(&r);

    start(&r, "debian", "12"); /* the ceiling is reached and said */
    r.s.packages = NULL;
    hf_scan_done(&r.s);
    hf_scan_init(&r.s, 2600);
    r.s.release.id = HF_S("debian");
    r.s.release.version_id = HF_S("12");
    r.s.packages = r.p;
    add(&r, HF_PKG_DEB, "foo", "1.0-1");
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_match(&r.s, db, &r.o, NULL, &err);
    OK(rc < 0 || r.s.n_incomplete > 0);
    stop(&r);
}

/* 5,000 packages of 1,000 sources in well under a second here; the figure for the page is measured on real data. */
static void test_many(void)
{
    struct hf_scan s;
    hf_scan_init(&s, 64 << 20);
    s.release.id = HF_S("debian");
    s.release.version_id = HF_S("12");
    enum { N = 5000 };
    s.packages = calloc(N, sizeof *s.packages);
    s.n_packages = N;
    for (size_t i = 0; i < N; i++) {
        char name[32];
        snprintf(name, sizeof name, "lib%zu", i);
        struct hf_package *p = &s.packages[i].p;
        p->type = HF_PKG_DEB;
        p->version = HF_S("1.0-1");
        p->source_name = HF_S("foo");
        OK(i || hf_arena_dup(&s.arena, hf_span_z(name), &p->name) == 0);
        if (i && hf_arena_dup(&s.arena, hf_span_z(name), &p->name) < 0)
            abort();
    }
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    EQ_I(hf_match(&s, db, &(struct hf_match_opts){.now_unix = 1900000100}, NULL, NULL), 0);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("# %zu rows in %.1f ms\n", s.n_vulns, (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6);
    EQ_U(s.n_vulns, N * 5); /* all but the one that only libfoo1 has */
    hf_scan_done(&s);
}

int main(void)
{
    db = make_db();
    if (!OK(db != NULL))
        return tap_done();
    test_debian();
    test_third_party();
    test_owned();
    test_languages();
    test_go();
    test_rpm();
    test_ubuntu_pro();
    test_coverage();
    test_many();
    struct hf_advdb *d = (struct hf_advdb *)(uintptr_t)db;
    hf_advdb_close(d);
    unlink(path);
    return tap_done();
}
