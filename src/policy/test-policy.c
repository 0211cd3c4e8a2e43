/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/gate.h"
#include "policy/glob.h"
#include "policy/ignore.h"
#include "tap.h"

enum { DAY = 86400 };
static const uint64_t now = 1790000000; /* 2026-09-21 */

static void globs(void)
{
    OK(hf_glob(HF_S("3.0.*"), HF_S("3.0.11-1")));
    OK(!hf_glob(HF_S("3.0.*"), HF_S("3.1.0")));
    OK(hf_glob(HF_S("*"), HF_S("")));
    OK(hf_glob(HF_S("lib*ssl*"), HF_S("libopenssl3")));
    OK(hf_glob(HF_S("a/*"), HF_S("a/b/c")));
    OK(!hf_glob(HF_S(""), HF_S("a")));
    OK(hf_glob_path(HF_S("usr/lib/*.jar"), HF_S("usr/lib/a.jar")));
    OK(!hf_glob_path(HF_S("usr/lib/*.jar"), HF_S("usr/lib/x/a.jar")));
    OK(hf_glob_path(HF_S("usr/**"), HF_S("usr/lib/x/a.jar")));
    OK(hf_glob_path(HF_S("**/a.jar"), HF_S("a.jar")));
    OK(hf_glob_path(HF_S("**/a.jar"), HF_S("x/y/a.jar")));
    OK(!hf_glob_path(HF_S("**/a.jar"), HF_S("x/ba.jar")));
    OK(hf_glob_path(HF_S("a/**/b/*.c"), HF_S("a/x/y/b/z.c")));
    OK(hf_glob_path(HF_S("a/**/b"), HF_S("a/b")));
    OK(!hf_glob_path(HF_S("a/**/b"), HF_S("a/cb")));
    OK(hf_glob_path(HF_S("**"), HF_S("a/b")));
    char p[2001], t[4001];
    for (size_t i = 0; i < 2000; i++)
        p[i] = i % 2 ? 'a' : '*';
    memset(t, 'a', 4000);
    t[3999] = 'b';
    OK(!hf_glob(hf_span(p, 2000), hf_span(t, 4000))); /* must not take exponential time */
}

static void expect_error(const char *yaml, const char *text)
{
    hf_cleanup(hf_ignore_freep) struct hf_ignore *g = NULL;
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_ignore_parse(&g, hf_span_z(yaml), "i.yaml", &err);
    EQ_I(rc, HF_E_USAGE);
    if (!OK(strstr(err.msg, text) != NULL))
        printf("# got \"%s\", expected \"%s\"\n", err.msg, text);
}

static void errors(void)
{
    expect_error("- id: CVE-1\n  reson: x\n", "i.yaml:2: unknown key \"reson\"; did you mean reason?");
    expect_error("- id: CVE-1\n  reason: x\n", "i.yaml:1: entry without expires");
    expect_error("- id: CVE-1\n  expires: 2027-01-01\n", "entry without reason");
    expect_error("- reason: x\n  permanent: true\n", "would ignore everything");
    expect_error("- path: '**'\n  reason: x\n  permanent: true\n", "would ignore everything");
    expect_error("- path: '/**/*'\n  reason: x\n  permanent: true\n", "would ignore everything");
    expect_error("- id: CVE-1\n  reason: x\n  expires: 2027-02-29\n", "i.yaml:3: expires is not a date");
    expect_error("- id: CVE-1\n  reason: x\n  expires: 01/02/2027\n", "not a date");
    expect_error("- id: CVE-1\n  reason: x\n  permanent: yes\n", "permanent is neither");
    expect_error("- id: CVE-1\n  reason: x\n  permanent: true\n  expires: 2027-01-01\n", "both");
    expect_error("- id: CVE-*\n  reason: x\n  permanent: true\n", "matched as a whole");
    expect_error("- purl: pkg:deb\n  reason: x\n  permanent: true\n", "i.yaml:1: purl");
    expect_error("- id: CVE-1\n  id: CVE-2\n", "given twice");
    expect_error("id: CVE-1\n", "not a list");
    expect_error("- &a\n  id: CVE-1\n  reason: x\n  permanent: true\n- *a\n", "aliases");
    expect_error("- id: [CVE-1]\n", "plain text");
    expect_error("- id: \"CVE\n", "not YAML");
    expect_error("- id:\n  reason: x\n", "empty value");
    hf_cleanup(hf_ignore_freep) struct hf_ignore *g = NULL;
    EQ_I(hf_ignore_parse(&g, HF_S("# nothing yet\n"), "i.yaml", NULL), 0);
    EQ_U(hf_ignore_count(g), 0);
}

static const struct hf_location libs[] = {{HF_S("usr/lib/x/a.jar"), 0}, {HF_S("opt/b.jar"), 0}};
static const struct hf_span ghsa[] = {HF_S("GHSA-jfh8-c2jp-5v3q")};

static void make(struct hf_scan *s)
{
    hf_scan_init(s, 1 << 20);
    s->packages = calloc(4, sizeof *s->packages);
    s->vulns = calloc(6, sizeof *s->vulns);
    s->n_packages = 4;
    s->n_vulns = 6;
    s->packages[0] = (struct hf_scan_package){.p = {.type = HF_PKG_DEB, .name = HF_S("openssl"), .version = HF_S("3.0.11-1"), .namespace = HF_S("debian"), .arch = HF_S("amd64")}};
    s->packages[1] = (struct hf_scan_package){.p = {.type = HF_PKG_MAVEN, .name = HF_S("org.apache.logging.log4j:log4j-core"), .version = HF_S("2.14.0")}, .locations = libs, .n_locations = 1};
    s->packages[2] = s->packages[1];
    s->packages[2].n_locations = 2;
    s->packages[3] = (struct hf_scan_package){.p = {.type = HF_PKG_RPM, .name = HF_S("bash"), .version = HF_S("1:5.1-2.el9"), .namespace = HF_S("rhel")}};
    s->vulns[0] = (struct hf_vuln){.id = HF_S("CVE-2023-5363"), .severity = HF_SEV_HIGH, .package = 0};
    s->vulns[1] = (struct hf_vuln){.id = HF_S("CVE-2021-44228"), .severity = HF_SEV_CRITICAL, .package = 1, .aliases = ghsa, .n_aliases = 1, .fixed_in = ghsa, .n_fixed_in = 1};
    s->vulns[2] = s->vulns[1];
    s->vulns[2].package = 2;
    s->vulns[3] = (struct hf_vuln){.id = HF_S("CVE-2022-3715"), .severity = HF_SEV_LOW, .package = 3};
    s->vulns[4] = (struct hf_vuln){.id = HF_S("CVE-2020-1"), .severity = HF_SEV_UNKNOWN, .package = 0};
    s->vulns[5] = (struct hf_vuln){.id = HF_S("CVE-2020-2"), .severity = HF_SEV_CRITICAL, .package = 0, .collapsed = true};
}

/* Which of the six an ignore file takes out, as a bit mask; -1 on error. */
static int taken(const char *yaml, size_t *ret_warnings, const char *warning)
{
    struct hf_scan s;
    hf_cleanup(hf_ignore_freep) struct hf_ignore *g = NULL;
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_ignore_parse(&g, hf_span_z(yaml), "i.yaml", &err), mask = 0;
    if (rc < 0) {
        printf("# %s\n", err.msg);
        return -1;
    }
    make(&s);
    rc = hf_ignore_apply(g, &s, now);
    for (size_t i = 0; i < s.n_vulns; i++)
        mask |= s.vulns[i].ignored_by.n ? 1 << i : 0;
    if (__builtin_popcount((unsigned)mask) != rc)
        mask = -1;
    if (ret_warnings)
        *ret_warnings = s.n_warnings;
    if (warning && (!s.n_warnings || hf_span_search(s.warnings[0], hf_span_z(warning)) == SIZE_MAX)) {
        printf("# warning \"%.*s\"\n", s.n_warnings ? (int)s.warnings[0].n : 0, s.n_warnings ? s.warnings[0].p : "");
        mask = -1;
    }
    hf_scan_done(&s);
    return mask;
}

#define FOREVER "  reason: because\n  permanent: true\n"
static void applied(void)
{
    size_t w;
    EQ_I(taken("- id: cve-2023-5363\n" FOREVER, &w, NULL), 1);
    EQ_U(w, 0);
    EQ_I(taken("- id: GHSA-jfh8-c2jp-5v3q\n" FOREVER, NULL, NULL), 6);
    EQ_I(taken("- id: CVE-2021-44228\n  path: /usr/**\n" FOREVER, NULL, NULL), 2); /* the other copy lies elsewhere too */
    EQ_I(taken("- purl: pkg:deb/debian/openssl\n" FOREVER, NULL, NULL), 1 | 16 | 32);
    EQ_I(taken("- purl: pkg:deb/openssl@3.0.*\n  id: CVE-2020-1\n" FOREVER, NULL, NULL), 16);
    EQ_I(taken("- purl: pkg:deb/ubuntu/openssl\n" FOREVER, NULL, NULL), 0);
    EQ_I(taken("- purl: pkg:deb/debian/openssl@3.1*\n" FOREVER, NULL, NULL), 0);
    EQ_I(taken("- purl: pkg:deb/debian/openssl?arch=arm64\n" FOREVER, NULL, NULL), 0);
    EQ_I(taken("- purl: pkg:maven/org.apache.logging.log4j/log4j-*\n" FOREVER, NULL, NULL), 6);
    EQ_I(taken("- purl: pkg:rpm/rhel/bash@5.1-*\n" FOREVER, NULL, NULL), 8);
    EQ_I(taken("- purl: pkg:rpm/rhel/bash@5.1-2.el9?epoch=1\n" FOREVER, NULL, NULL), 8);
    EQ_I(taken("- purl: pkg:rpm/rhel/bash@5.1-2.el9?epoch=2\n" FOREVER, NULL, NULL), 0);
    /* time: through the whole day, then not at all; both ends are said */
    EQ_I(taken("- id: CVE-2023-5363\n  reason: x\n  expires: 2026-09-21\n  owner: web team\n", &w, "ends on 2026-09-21 (owner: web team)"), 1);
    EQ_I(taken("- id: CVE-2023-5363\n  reason: x\n  expires: 2026-09-20\n", &w, "i.yaml:1: the exception for CVE-2023-5363 expired on 2026-09-20: it counts again"), 0);
    EQ_I(taken("- id: CVE-2023-5363\n  reason: x\n  expires: 2026-10-01\n", &w, NULL), 1);
    EQ_U(w, 0);
    EQ_I(taken("- id: CVE-1999-1\n  reason: x\n  expires: 2020-01-01\n", &w, NULL), 0);
    EQ_U(w, 0); /* says nothing of this image */
}

static void gates(void)
{
    struct hf_scan s;
    make(&s);
    EQ_I(hf_policy_exit(&s, HF_SEV_UNKNOWN, false), 0);
    EQ_I(hf_policy_exit(&s, HF_SEV_CRITICAL, false), 1);
    s.vulns[1].ignored_by = s.vulns[2].ignored_by = HF_S("x");
    EQ_I(hf_policy_exit(&s, HF_SEV_CRITICAL, false), 0); /* the collapsed one does not count */
    EQ_I(hf_policy_exit(&s, HF_SEV_HIGH, false), 1);
    EQ_I(hf_policy_exit(&s, HF_SEV_HIGH, true), 0);
    OK(hf_scan_incomplete(&s, HF_S("a"), 0, "b") == 0);
    EQ_I(hf_policy_exit(&s, HF_SEV_CRITICAL, false), 4);
    EQ_I(hf_policy_exit(&s, HF_SEV_HIGH, false), 1);
    hf_scan_done(&s);
}

int main(void)
{
    globs();
    errors();
    applied();
    gates();
    return tap_done();
}
