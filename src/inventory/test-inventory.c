/* SPDX-License-Identifier: Apache-2.0 */
/* The inventory on SQLite and, where a server can be started, on PostgreSQL. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "advisories/db/build.h"
#include "incident/advisory.h"
#include "inventory/inventory.h"
#include "matching/match.h"
#include "packages/gosymbols.h"
#include "report/report.h"
#include "store/audit.h"
#include "store/incidents.h"
#include "store/settings.h"
#include "store/sql.h"
#include "store/test-pg.h"
#include "tap.h"

#define S(z) hf_span_z(z)
#define NONE ((struct hf_span){NULL, 0})
#define NOW INT64_C(1900000100000000000)
#define WEB "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BOX "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee0"
static struct hf_err err;
static char dir[] = "/tmp/hf-inventory-XXXXXX";

static int good(int rc)
{
    if (rc < 0)
        printf("# %d: %s\n", rc, err.msg);
    return rc;
}

/* ---- databases ---- */

struct rec {
    const char *id, *ns, *name, *introduced, *fixed;
    enum hf_scheme scheme;
    unsigned flags;
    enum hf_severity severity;
    enum hf_adv_state state;
    bool kev;
    const char *symbol;
};
#define DEB HF_SCHEME_DEB
static const struct rec old_recs[] = {
        {"CVE-2030-0001", "debian:12", "openssl", "0", "3.0.12-1", DEB, HF_ADV_DISTRO, HF_SEV_HIGH},
        {"CVE-2030-0002", "debian:12", "openssl", "0", "3.0.13-1", DEB, HF_ADV_DISTRO, HF_SEV_LOW},
        {"CVE-2030-0003", "debian:12", "glibc", "0", "2.36-10", DEB, HF_ADV_DISTRO, HF_SEV_MEDIUM},
        {"CVE-2030-0004", "debian:12", "linux", "0", "", DEB, HF_ADV_DISTRO, HF_SEV_HIGH, HF_ADV_UNFIXED},
        {"GHSA-aaaa-aaaa-aaa1", "pypi", "requests", "0", "2.31.0", HF_SCHEME_PEP440, 0, HF_SEV_MEDIUM},
        {"GHSA-aaaa-aaaa-aaa2", "maven", "commons-collections:commons-collections", "0", "3.2.2", HF_SCHEME_MAVEN, 0, HF_SEV_CRITICAL},
        {"GO-2030-1", "go", "stdlib", "0", "1.21.5", HF_SCHEME_GO, 0, HF_SEV_HIGH},
};
static const struct rec new_recs[] = {
        {"CVE-2030-0002", "debian:12", "openssl", "0", "3.0.14-1", DEB, HF_ADV_DISTRO, HF_SEV_MEDIUM}, /* another fix, another severity; 0001 is withdrawn */
        {"CVE-2030-0003", "debian:12", "glibc", "0", "2.36-10", DEB, HF_ADV_DISTRO, HF_SEV_MEDIUM},
        {"CVE-2030-0004", "debian:12", "linux", "0", "", DEB, HF_ADV_DISTRO, HF_SEV_HIGH, HF_ADV_UNFIXED},
        {"CVE-2030-0005", "debian:12", "zlib", "0", "1:1.3-2", DEB, HF_ADV_DISTRO, HF_SEV_CRITICAL},
        {"CVE-2030-0006", "debian:12", "glibc", "0", "", DEB, HF_ADV_DISTRO, HF_SEV_LOW, HF_ADV_UNFIXED, true},
        {"CVE-2030-0007", "debian:12", "requests", "0", "2.30.0-1", DEB, HF_ADV_DISTRO, HF_SEV_HIGH},
        {"CVE-2030-0009", "debian:12", "docker-ce", "0", "", DEB, HF_ADV_DISTRO, HF_SEV_HIGH, HF_ADV_UNFIXED},
        {"GHSA-aaaa-aaaa-aaa1", "pypi", "requests", "0", "2.31.0", HF_SCHEME_PEP440, 0, HF_SEV_MEDIUM},
        {"GHSA-aaaa-aaaa-aaa3", "pypi", "flask", "0", "2.3.2", HF_SCHEME_PEP440, 0, HF_SEV_HIGH},
        {"GO-2030-2", "go", "golang.org/x/net", "0", "0.17.0", HF_SCHEME_GO, 0, HF_SEV_HIGH, .symbol = "golang.org/x/net/http2.Framer.ReadFrame"},
        {"GO-2030-3", "go", "golang.org/x/net", "0", "0.18.0", HF_SCHEME_GO, 0, HF_SEV_HIGH, .symbol = "golang.org/x/net/html.Parse"},
        {"GO-2030-4", "go", "example.org/main", "0", "", HF_SCHEME_GO, 0, HF_SEV_HIGH},
};

static const char *database(const char *name, const struct rec *recs, size_t n, uint64_t when)
{
    static char path[4][200];
    static unsigned next;
    char *p = path[next++ % 4];
    hf_cleanup(hf_advb_freep) struct hf_advb *b = hf_advb_new(64 << 20);
    snprintf(p, 200, "%s/%s.hfdb", dir, name);
    int rc = hf_advb_source(b, HF_S("osv:Debian"), HF_S("here"), when, false, &err);
    hf_advb_newest(b, when);
    for (size_t i = 0; i < n && rc >= 0; i++) {
        const struct rec *r = &recs[i];
        struct hf_adv_range range = {S(r->introduced), S(r->fixed), NONE};
        struct hf_span symbol = S(r->symbol);
        uint32_t adv;
        rc = hf_advb_add(b, &(struct hf_advb_advisory){.id = S(r->id), .summary = S("What it is about"), .published_unix = 1890000000, .severity = r->severity}, &adv, &err);
        rc = rc < 0 ? rc : hf_advb_add_row(b, adv, S(r->ns), S(r->name), &(struct hf_advb_row){.scheme = r->scheme, .state = r->state, .flags = r->flags, .severity = r->severity,
                .ranges = &range, .n_ranges = r->state == HF_ADV_UNFIXED ? 0 : 1, .symbols = &symbol, .n_symbols = r->symbol ? 1 : 0}, &err);
        if (rc >= 0 && r->kev)
            rc = hf_advb_kev(b, S(r->id), HF_S("2030-01-01"), HF_S("2030-02-01"), true, &err);
    }
    rc = rc < 0 ? rc : hf_advb_write(b, p, &err);
    EQ_I(good(rc) < 0, 0);
    return p;
}

/* ---- an image ---- */

struct installed {
    enum hf_pkg_type type;
    const char *name, *version, *source, *arch, *vendor;
    unsigned flags;
    int owner; /* index, -1: none */
    const char *linked;
};
static const struct installed content[] = {
        {HF_PKG_DEB, "docker-ce", "5:24.0", NULL, "amd64", "Docker <support@docker.com>", 0, -1},
        {HF_PKG_DEB, "libc6", "2.36-9", "glibc", "amd64", NULL, 0, -1},
        {HF_PKG_DEB, "libc6", "2.36-9", "glibc", "i386", NULL, 0, -1},
        {HF_PKG_DEB, "libssl3", "3.0.11-1", "openssl", "amd64", NULL, 0, -1},
        {HF_PKG_DEB, "linux-libc-dev", "6.1.1-1", "linux", "amd64", NULL, 0, -1},
        {HF_PKG_DEB, "openssl", "3.0.11-1", "openssl", "amd64", NULL, 0, -1},
        {HF_PKG_DEB, "python3-requests", "2.28.1-1", "requests", "all", NULL, 0, -1},
        {HF_PKG_DEB, "zlib1g", "1:1.3-1", "zlib", "amd64", NULL, 0, -1},
        {HF_PKG_PYPI, "requests", "2.28.1", NULL, NULL, NULL, 0, 6},
        {HF_PKG_PYPI, "flask", "2.2.0", NULL, NULL, NULL, 0, -1},
        {HF_PKG_GO, "stdlib", "go1.21.0", NULL, NULL, NULL, HF_PKG_STDLIB, -1},
        {HF_PKG_GO, "golang.org/x/net", "v0.10.0", NULL, NULL, NULL, HF_PKG_SYMBOLS, -1, "golang.org/x/net/http2.Framer.ReadFrame"},
        {HF_PKG_GO, "example.org/main", "v1.0.0", NULL, NULL, NULL, HF_PKG_MAIN_MODULE | HF_PKG_NOT_MATCHED, -1},
        {HF_PKG_MAVEN, "commons-collections", "3.2.1", NULL, NULL, NULL, 0, -1},
};

static int sink(void *ctx, struct hf_span piece)
{
    hf_buf_adds(ctx, piece);
    return 0;
}

/* What `scan --format json` says of it with this database (NULL: without). */
static void scan(const char *db_path, const char *digest, uint64_t now, struct hf_buf *out)
{
    hf_cleanup(hf_advdb_closep) struct hf_advdb *db = NULL;
    struct hf_scan s;
    struct hf_layer_info layers[2] = {{S("sha256:l1"), S("sha256:d1"), S("FROM base"), 1000, false}, {S("sha256:l2"), S("sha256:d2"), S("RUN x"), 234, false}};
    static struct hf_location at[HF_ARRAY_LEN(content)];
    static uint32_t hash[HF_ARRAY_LEN(content)];
    const struct hf_package *owner;
    hf_scan_init(&s, 64 << 20);
    hf_buf_clear(out);
    s.target = S("docker:shop/web:3");
    s.digest = S(digest);
    s.os = S("linux");
    s.release = (struct hf_os_release){.id = S("debian"), .version_id = S("12")};
    s.started_unix = now;
    s.layers = layers;
    s.n_layers = 2;
    s.packages = calloc(HF_ARRAY_LEN(content), sizeof *s.packages);
    s.n_packages = HF_ARRAY_LEN(content);
    for (size_t i = 0; i < HF_ARRAY_LEN(content); i++) {
        const struct installed *c = &content[i];
        struct hf_scan_package *p = &s.packages[i];
        hf_autobuf purl = HF_BUF_INIT(1000);
        p->p = (struct hf_package){.type = c->type, .flags = c->flags, .name = S(c->name), .version = S(c->version), .source_name = S(c->source), .arch = S(c->arch), .vendor = S(c->vendor)};
        if (c->linked) {
            hash[i] = hf_go_symbol_hash(S(c->linked));
            p->p.symbols = hf_span((const char *)&hash[i], 4);
        }
        if (c->flags & HF_PKG_NOT_MATCHED)
            p->p.unmatched_why = S("R27: by its cataloger");
        hf_buf_addf(&purl, "pkg:%s/%s@%s?arch=%s", hf_pkg_type_name(c->type), c->name, c->version, c->arch ? c->arch : "");
        EQ_I(hf_arena_dup(&s.arena, hf_buf_span(&purl), &p->purl), 0);
        at[i] = (struct hf_location){S("var/lib/x"), i % 2};
        p->locations = &at[i];
        p->n_locations = 1;
        owner = c->owner < 0 ? NULL : &s.packages[c->owner].p;
        p->owner = owner;
    }
    if (db_path) {
        EQ_I(good(hf_advdb_open(&db, db_path, &err)), 0);
        EQ_I(good(hf_match(&s, db, &(struct hf_match_opts){.now_unix = now, .stale_after_s = 86400 * 5}, NULL, &err)), 0);
    }
    struct hf_report_opts o = {.width = 0};
    EQ_I(hf_writer_json.write(&s, &o, sink, out), 0);
    hf_scan_done(&s);
}

/* ---- the same as a scan ---- */

static int row(void *ctx, struct hf_span digest, const struct hf_inv_finding *f, uint64_t running)
{
    (void)digest;
    hf_buf_addf(ctx, HF_SPAN_FMT " " HF_SPAN_FMT " " HF_SPAN_FMT " " HF_SPAN_FMT " <" HF_SPAN_FMT "> %d%s *%u ", HF_SPAN_ARG(f->id), HF_SPAN_ARG(f->ecosystem), HF_SPAN_ARG(f->package),
            HF_SPAN_ARG(f->version), HF_SPAN_ARG(f->fixed), f->severity, f->used ? "!" : "", (unsigned)running);
    hf_buf_adds(ctx, f->doc);
    hf_buf_addc(ctx, '\n');
    return 0;
}

static int ids(void *ctx, struct hf_span digest, const struct hf_inv_finding *f, uint64_t running)
{
    (void)digest;
    (void)running;
    hf_buf_addf(ctx, HF_SPAN_FMT "/" HF_SPAN_FMT ":%d ", HF_SPAN_ARG(f->id), HF_SPAN_ARG(f->package), f->severity);
    return 0;
}

static int is_new(void *ctx, const struct hf_inv_new *n)
{
    hf_buf_addf(ctx, HF_SPAN_FMT "/" HF_SPAN_FMT "%s%s*%u ", HF_SPAN_ARG(n->finding->id), HF_SPAN_ARG(n->finding->package), n->kev ? "(kev)" : "", n->known_image ? "" : "(first)", (unsigned)n->running);
    return 0;
}

static void rematch_is_a_scan(struct hf_store *s, const char *a, const char *b)
{
    hf_autobuf text = HF_BUF_INIT(8 << 20), scanned = HF_BUF_INIT(8 << 20), matched = HF_BUF_INIT(8 << 20), got = HF_BUF_INIT(65536), digest = HF_BUF_INIT(256);
    struct hf_inv_rematched r;
    struct hf_inv_rematch_opts o = {.db_path = b, .stale_after_s = 86400 * 5, .now_unix = 1900000100};
    scan(b, WEB, 1900000100, &text);
    EQ_I(good(hf_inv_scan(s, hf_buf_span(&text), hf_span(NULL, 0), &digest, &err)), 0);
    EQ_S(hf_buf_span(&digest), WEB);
    EQ_I(good(hf_store_findings(s, S(WEB), row, &scanned, &err)), 0);
    OK(scanned.n > 1000);
    hf_buf_clear(&got);
    EQ_I(good(hf_store_findings(s, S(WEB), ids, &got, &err)), 0);
    /* of third parties, of packages that their distribution owns, of what is not linked: nothing; kernel headers do not count */
    EQ_S(hf_buf_span(&got), "CVE-2030-0005/zlib1g:6 CVE-2030-0007/python3-requests:5 GHSA-aaaa-aaaa-aaa3/flask:5 GO-2030-2/golang.org/x/net:5 "
                            "CVE-2030-0002/libssl3:4 CVE-2030-0002/openssl:4 CVE-2030-0003/libc6:4 CVE-2030-0006/libc6:3 CVE-2030-0004/linux-libc-dev:0 ");
    /* the same image, scanned when the old database was there, then matched against the new one */
    scan(a, WEB, 1900000000, &text);
    EQ_I(good(hf_inv_scan(s, hf_buf_span(&text), hf_span(NULL, 0), NULL, &err)), 0);
    hf_buf_clear(&got);
    EQ_I(good(hf_store_findings(s, S(WEB), ids, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), "GHSA-aaaa-aaaa-aaa2/commons-collections:6 CVE-2030-0001/libssl3:5 CVE-2030-0001/openssl:5 GO-2030-1/stdlib:5 CVE-2030-0003/libc6:4 "
                            "CVE-2030-0002/libssl3:3 CVE-2030-0002/openssl:3 CVE-2030-0004/linux-libc-dev:0 ");
    hf_buf_clear(&got);
    EQ_I(good(hf_inv_rematch(s, &o, is_new, &got, &r, &err)), 0);
    EQ_S(hf_buf_span(&got), "CVE-2030-0006/libc6(kev)*0 CVE-2030-0007/python3-requests*0 CVE-2030-0005/zlib1g*0 GHSA-aaaa-aaaa-aaa3/flask*0 GO-2030-2/golang.org/x/net*0 ");
    OK(r.images == 1 && r.packages == HF_ARRAY_LEN(content) && r.findings == 9 && r.added == 5 && r.changed == 2 && r.removed == 4 && !r.current && !r.failed);
    EQ_I(good(hf_store_findings(s, S(WEB), row, &matched, &err)), 0);
    OK(hf_span_eq(hf_buf_span(&matched), hf_buf_span(&scanned)));
    if (!hf_span_eq(hf_buf_span(&matched), hf_buf_span(&scanned)))
        printf("# scanned\n%s# matched\n%s", hf_buf_z(&scanned), hf_buf_z(&matched));
    /* and back; then nothing is left to do */
    o.db_path = a;
    EQ_I(good(hf_inv_rematch(s, &o, NULL, NULL, &r, &err)), 0);
    OK(r.added == 4 && r.removed == 5 && r.findings == 8);
    EQ_I(good(hf_inv_rematch(s, &o, NULL, NULL, &r, &err)), 0);
    OK(r.current == 1 && !r.images);
    o.all = true;
    EQ_I(good(hf_inv_rematch(s, &o, NULL, NULL, &r, &err)), 0);
    OK(r.images == 1 && r.added + r.changed + r.removed == 0);
    o.db_path = "/nonexistent.hfdb";
    EQ_I(hf_inv_rematch(s, &o, NULL, NULL, &r, &err), -ENOENT);
}

/* A scan without a database: what is found at the first match is not news. */
static void first_match(struct hf_store *s, const char *a)
{
    hf_autobuf text = HF_BUF_INIT(8 << 20), got = HF_BUF_INIT(65536);
    struct hf_inv_rematched r;
    scan(NULL, WEB, 1900000000, &text);
    EQ_I(good(hf_inv_scan(s, hf_buf_span(&text), hf_span(NULL, 0), NULL, &err)), 0);
    EQ_I(good(hf_inv_rematch(s, &(struct hf_inv_rematch_opts){.db_path = a, .now_unix = 1900000100}, is_new, &got, &r, &err)), 0);
    OK(r.added == 8 && hf_span_search(hf_buf_span(&got), S("CVE-2030-0001/openssl(first)*0")) != SIZE_MAX);
}

/* ---- what is accepted ---- */

static void accepted(struct hf_store *s, const char *b)
{
    char path[200];
    hf_autobuf got = HF_BUF_INIT(65536);
    struct hf_inv_rematched r;
    snprintf(path, sizeof path, "%s/ignore.yaml", dir);
    FILE *f = fopen(path, "we");
    OK(f && fputs("- id: CVE-2030-0005\n  reason: not reachable here\n  owner: ann\n  expires: 2031-01-01\n", f) >= 0 && fclose(f) == 0);
    EQ_I(good(hf_inv_rematch(s, &(struct hf_inv_rematch_opts){.db_path = b, .now_unix = 1900000100, .ignore_file = path}, NULL, NULL, &r, &err)), 0);
    EQ_I(good(hf_store_findings(s, S(WEB), ids, &got, &err)), 0);
    OK(hf_span_search(hf_buf_span(&got), S("CVE-2030-0005/zlib1g:0 ")) != SIZE_MAX);
    EQ_I(good(hf_inv_rematch(s, &(struct hf_inv_rematch_opts){.db_path = b, .now_unix = 1900000100}, NULL, NULL, &r, &err)), 0); /* another file, another verdict */
    OK(r.images == 1 && r.changed == 1);
}

/* ---- hostile documents ---- */

static void refused(struct hf_store *s, const char *text, int rc, const char *says)
{
    EQ_I(hf_inv_scan(s, S(text), hf_span(NULL, 0), NULL, &err), rc);
    OK(strstr(err.msg, says) != NULL);
    if (!strstr(err.msg, says))
        printf("# %s\n", err.msg);
}

static int64_t rows_of(struct hf_store *s, const char *sql)
{
    int64_t n = -1;
    return hf_sql_get_int(s, &err, &n, sql, HF_NO_VALUES) < 0 ? -1 : n;
}

static void hostile(struct hf_store *s)
{
    hf_autobuf big = HF_BUF_INIT(16 << 20);
    int64_t findings = rows_of(s, "SELECT count(*) FROM findings"), packages = rows_of(s, "SELECT count(*) FROM packages");
    refused(s, "", HF_E_FORMAT, "scan");
    refused(s, "[]", HF_E_FORMAT, "holdfast.scan/1");
    refused(s, "{\"schema\":\"holdfast.scan/2\"}", HF_E_FORMAT, "holdfast.scan/1");
    refused(s, "{\"schema\":\"holdfast.scan/1\",\"image\":{}}", HF_E_FORMAT, "of no image");
    refused(s, "{\"schema\":\"holdfast.scan/1\",\"image\":{\"digest\":\"sha256:../../etc\"}}", HF_E_FORMAT, "64 hex digits");
    refused(s, "{\"schema\":\"holdfast.scan/1\",\"image\":{\"digest\":\"" WEB "\"},\"packages\":7}", HF_E_FORMAT, "no list of packages");
    refused(s, "{\"schema\":\"holdfast.scan/1\",\"image\":{\"digest\":\"" WEB "\"},\"packages\":[]}", HF_E_FORMAT, "no list of vulnerabilities");
    hf_buf_addz(&big, "{\"schema\":\"holdfast.scan/1\",\"image\":{\"digest\":\"" WEB "\"},\"packages\":[");
    for (int i = 0; i <= HF_INV_PACKAGES_MAX; i++)
        hf_buf_addz(&big, i ? ",1" : "1");
    hf_buf_addz(&big, "],\"vulnerabilities\":[]}");
    refused(s, hf_buf_z(&big), HF_E_LIMIT, "the limit is 100000");
    /* nothing of it changed anything */
    EQ_I(rows_of(s, "SELECT count(*) FROM findings"), findings);
    EQ_I(rows_of(s, "SELECT count(*) FROM packages"), packages);
    /* packages of wrong forms, endless names, NUL, twice the same, vulnerabilities of nothing: what is no package is left out and counted */
    hf_buf_clear(&big);
#define OTHER "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
    hf_buf_addz(&big, "{\"schema\":\"holdfast.scan/1\",\"target\":\"\\u001b[31m\",\"image\":{\"digest\":\"" OTHER "\",\"layers\":[1,{},{\"digest\":7,\"size\":-5},{\"size\":1e300}]},\"os\":[],\"packages\":[1,{},{\"name\":\"");
    for (int i = 0; i < 2000; i++)
        hf_buf_addc(&big, 'x');
    hf_buf_addz(&big, "\",\"version\":\"1\",\"type\":\"npm\"},{\"name\":\"a\",\"version\":\"1\",\"type\":\"npm\",\"purl\":\"pkg:npm/a@1\",\"i\":99,\"more\":[{\"i\":1}],\"locations\":[7]},"
                      "{\"name\":\"a\",\"version\":\"1\",\"type\":\"npm\",\"purl\":\"pkg:npm/a@1\",\"x\":{\"y\":1,\"more\":[]},\"locations\":[]},{\"name\":\"a\",\"version\":\"1\",\"type\":\"npm\"}],"
                      "\"vulnerabilities\":[3,{\"id\":\"CVE-1\",\"name\":\"a\",\"version\":\"1\",\"purl\":\"pkg:npm/other\"},{\"id\":\"CVE-2\",\"name\":\"a\",\"version\":\"1\",\"purl\":\"pkg:npm/a@1\",\"severity\":[],\"fixed_in\":[7]}]}");
    EQ_I(good(hf_inv_scan(s, hf_buf_span(&big), hf_span(NULL, 0), NULL, &err)), 0);
    EQ_I(rows_of(s, "SELECT count(*) FROM packages WHERE digest = '" OTHER "'"), 1);
    EQ_I(rows_of(s, "SELECT count(*) FROM findings WHERE digest = '" OTHER "'"), 1);
    struct hf_inv_rematched r;
    EQ_I(good(hf_inv_rematch(s, &(struct hf_inv_rematch_opts){.db_path = database("empty", old_recs, 1, 1900000001), .now_unix = 1900000100}, NULL, NULL, &r, &err)), 0);
    EQ_U(r.failed, 0);
    EQ_I(rows_of(s, "SELECT count(*) FROM findings WHERE digest = '" OTHER "'"), 0);
    /* what somebody else wrote there does not hold the others up */
    EQ_I(good(hf_store_packages_put(s, S(OTHER), &(struct hf_inv_package){S("npm"), S("a"), S("1"), NONE, S("no JSON"), false}, 1, &err)), 0);
    EQ_I(good(hf_inv_rematch(s, &(struct hf_inv_rematch_opts){.db_path = database("other", old_recs, 2, 1900000002), .now_unix = 1900000100}, NULL, NULL, &r, &err)), 0);
    OK(r.failed == 1 && r.images == 1);
    EQ_I(good(hf_sql_run(s, &err, "DELETE FROM packages WHERE digest = '" OTHER "'", HF_NO_VALUES)), 1);
    EQ_I(good(hf_sql_run(s, &err, "DELETE FROM images WHERE digest = '" OTHER "'", HF_NO_VALUES)), 1);
}

/* ---- lines ---- */

static struct hf_span line(struct hf_buf *b, const char *type, const char *n, const char *image, const char *digest, const char *more)
{
    hf_buf_clear(b);
    hf_buf_addf(b, "{\"schema\":\"holdfast.event/1\",\"time\":\"2030-03-17T17:48:20.000000001Z\",\"type\":\"%s\",\"container\":{\"id\":\"" BOX "%s\",\"name\":\"web-%s\",\"image\":\"%s\","
                   "\"image_digest\":\"sha256:manifest\",\"labels\":{\"app\":\"shop\",\"team\":\"<b>&\\u001b\"}},\"facts\":{\"image_id\":\"%s\",\"user\":\"0:0\",\"label.app\":\"shop\"}%s}",
            type, n, n, image, digest, more);
    return hf_buf_span(b);
}

static int box(void *ctx, const struct hf_inv_container *c)
{
    hf_buf_addf(ctx, HF_SPAN_FMT "%s@%lld ", HF_SPAN_ARG(c->name), c->ended ? "-" : "+", (long long)(c->started / 1000000000));
    return 0;
}

static int doc(void *ctx, const struct hf_inv_container *c)
{
    hf_buf_adds(ctx, c->doc);
    return 0;
}

static int image_doc(void *ctx, const struct hf_inv_image *i, uint64_t running)
{
    hf_buf_addf(ctx, HF_SPAN_FMT " %u ", HF_SPAN_ARG(i->name), (unsigned)running);
    hf_buf_adds(ctx, i->doc);
    return 0;
}

static void lines(struct hf_store *s, const char *a)
{
    hf_cleanup(hf_inv_freep) struct hf_inv *v = NULL;
    hf_autobuf b = HF_BUF_INIT(65536), got = HF_BUF_INIT(65536), ref = HF_BUF_INIT(4096), digest = HF_BUF_INIT(4096), text = HF_BUF_INIT(8 << 20);
#define NEW "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
    EQ_I(good(hf_inv_new(&v, s, S("machine"), S("node-7"), &err)), 0);
    EQ_I(good(hf_inv_line(v, line(&b, "container", "1", "shop/web:3", WEB, ""), &err)), 0); /* it was scanned */
    EQ_I(good(hf_inv_line(v, line(&b, "container", "2", "shop/new:1", NEW, ""), &err)), 1);
    EQ_I(good(hf_inv_line(v, line(&b, "container", "3", "shop/new:1", NEW, ""), &err)), 0); /* is wanted already */
    EQ_I(good(hf_inv_line(v, line(&b, "container", "4", "x", "nonsense", ""), &err)), 0);
    EQ_I(good(hf_inv_line(v, line(&b, "file", "9", "x", WEB, ""), &err)), 0);
    EQ_I(good(hf_inv_line(v, line(&b, "container_end", "3", "x", NEW, ""), &err)), 0);
    EQ_I(hf_inv_line(v, S("nonsense"), &err), HF_E_FORMAT);
    EQ_I(hf_inv_line(v, S("{\"type\":\"container\","), &err), HF_E_FORMAT);
    EQ_I(hf_inv_line(v, S("{\"type\":\"container\",\"container\":{}}"), &err), HF_E_FORMAT);
    EQ_I(good(hf_inv_line(v, line(&b, "verdict", "1", "x", WEB, ",\"verdict\":{\"result\":\"changed\",\"package\":\"openssl 3.0.11-1\"}"), &err)), 0);
    EQ_I(good(hf_inv_line(v, line(&b, "verdict", "1", "x", WEB, ",\"verdict\":{\"result\":\"sealed\",\"package\":\"libssl3 3.0.11-1\"}"), &err)), 0);
    EQ_I(good(hf_inv_flush(v, hf_store_now(), &err)), 0);
    EQ_I(good(hf_store_container_list(s, false, NONE, NONE, 0, box, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), "web-1+@1900000100 web-2+@1900000100 web-3-@1900000100 web-4+@1900000100 ");
    hf_buf_clear(&got);
    EQ_I(good(hf_store_container_get(s, S(BOX "1"), doc, &got, &err)), 1);
    EQ_S(hf_buf_span(&got), "{\"schema\":\"holdfast.container/1\",\"labels\":{\"app\":\"shop\",\"team\":\"<b>&\\u001b\"},\"facts\":{\"user\":\"0:0\"}}");
    EQ_I(rows_of(s, "SELECT count(*) FROM hosts WHERE id = 'machine' AND name = 'node-7'"), 1);
    EQ_I(rows_of(s, "SELECT count(*) FROM packages WHERE used = 1 AND name = 'libssl3'"), 1);
    EQ_I(rows_of(s, "SELECT count(*) FROM packages WHERE used = 1"), 1);
    EQ_I(rows_of(s, "SELECT count(*) FROM findings WHERE used = 1"), rows_of(s, "SELECT count(*) FROM findings WHERE package = 'libssl3'"));
    /* a scan of it again does not forget what is in use */
    scan(a, WEB, 1900000000, &text);
    EQ_I(good(hf_inv_scan(s, hf_buf_span(&text), hf_span(NULL, 0), NULL, &err)), 0);
    EQ_I(rows_of(s, "SELECT count(*) FROM packages WHERE used = 1 AND name = 'libssl3'"), 1);
    OK(rows_of(s, "SELECT count(*) FROM findings WHERE used = 1 AND package = 'libssl3'") > 0);
    /* what waits, how it fails, and by which ways it is tried */
    int64_t now = NOW;
    EQ_U(hf_inv_waiting(v), 1);
    static const char *const ways[] = {NEW, "container:" BOX "2", "shop/new:1", NEW, "container:" BOX "2"};
    static const int64_t pauses_s[] = {2, 2, 60, 120, 240};
    for (size_t i = 0; i < HF_ARRAY_LEN(ways); i++) {
        hf_buf_clear(&ref);
        hf_buf_clear(&digest);
        EQ_I(hf_inv_wanted(v, now, &ref, &digest), 1);
        EQ_S(hf_buf_span(&ref), ways[i]);
        EQ_S(hf_buf_span(&digest), NEW);
        EQ_I(hf_inv_wanted(v, now, &ref, &digest), 0); /* is asked */
        EQ_I(good(hf_inv_scanned(v, S(NEW), i ? S("no such image\x1b[1m") : NONE, now, &err)), 0);
        EQ_I(hf_inv_wanted(v, now + pauses_s[i] * 1000000000 - 1, &ref, &digest), 0);
        now += pauses_s[i] * 1000000000;
    }
    hf_buf_clear(&got);
    EQ_I(good(hf_store_image_get(s, S(NEW), image_doc, &got, &err)), 1);
    EQ_S(hf_buf_span(&got), "shop/new:1 1 {\"scan_error\":\"no such image\\\\x1b[1m\"}");
    scan(a, NEW, 1900000000, &text);
    EQ_I(good(hf_inv_scan(s, hf_buf_span(&text), hf_span(NULL, 0), NULL, &err)), 0);
    EQ_I(good(hf_inv_scanned(v, S(NEW), NONE, now, &err)), 0);
    EQ_U(hf_inv_waiting(v), 0);
    hf_buf_clear(&got);
    EQ_I(good(hf_store_image_get(s, S(NEW), image_doc, &got, &err)), 1);
    OK(hf_span_search(hf_buf_span(&got), S("scan_error")) == SIZE_MAX && hf_span_search(hf_buf_span(&got), S("{\"digest\":\"sha256:l2\",\"diff_id\":\"sha256:d2\",\"size\":234,\"created_by\":\"RUN x\",\"packages\":7")) != SIZE_MAX);
    /* a new process: what its sensor does not tell of has ended, images that run unscanned are wanted */
    EQ_I(good(hf_sql_run(s, &err, "UPDATE images SET scanned = 0 WHERE digest = '" NEW "'", HF_NO_VALUES)), 1);
    hf_inv_freep(&v);
    EQ_I(good(hf_inv_new(&v, s, S("machine"), S("node-7"), &err)), 0);
    EQ_U(hf_inv_waiting(v), 1);
    EQ_I(good(hf_inv_line(v, line(&b, "container", "1", "shop/web:3", WEB, ""), &err)), 0);
    EQ_I(good(hf_inv_flush(v, NOW, &err)), 0);
    EQ_I(rows_of(s, "SELECT count(*) FROM containers WHERE ended = 0"), 3); /* a process that began while the sensor ran on: idle ones are not named */
    EQ_I(good(hf_inv_line(v, line(&b, "status", "", "", "", ",\"status\":{\"state\":\"running\"}"), &err)), 0);
    EQ_I(good(hf_inv_flush(v, NOW, &err)), 0);
    EQ_I(rows_of(s, "SELECT count(*) FROM containers WHERE ended = 0"), 3);
    EQ_I(good(hf_inv_line(v, line(&b, "status", "", "", "", ",\"status\":{\"state\":\"started\",\"start_ms\":\"20\"}"), &err)), 0);
    EQ_I(good(hf_inv_flush(v, NOW, &err)), 0);
    EQ_I(rows_of(s, "SELECT count(*) FROM containers WHERE ended = 0"), 1);
    hf_inv_freep(&v);
    EQ_I(good(hf_inv_new(&v, s, S("another"), S("node-8"), &err)), 0);
    EQ_I(good(hf_inv_line(v, line(&b, "status", "", "", "", ",\"status\":{\"state\":\"started\",\"start_ms\":\"20\"}"), &err)), 0);
    EQ_I(good(hf_inv_flush(v, NOW, &err)), 0);
    EQ_I(rows_of(s, "SELECT count(*) FROM containers WHERE ended = 0"), 1); /* that of another host is not its business */
    EQ_I(good(hf_sql_run(s, &err, "DELETE FROM findings WHERE digest = '" NEW "'", HF_NO_VALUES)) >= 0, 1);
    EQ_I(good(hf_sql_run(s, &err, "DELETE FROM images WHERE digest = '" NEW "'", HF_NO_VALUES)), 1);
}

/* ---- what ran or was loaded ---- */

static void used(struct hf_store *s, const char *b)
{
    hf_autobuf text = HF_BUF_INIT(8 << 20);
    struct hf_inv_rematched r;
#define USE(last) "{\"schema\":\"holdfast.inuse/1\",\"images\":[7,{\"image\":\"sha256:x\"},{\"image\":\"" WEB "\",\"packages\":[{\"name\":\"zlib1g\",\"version\":\"1:1.3-1\",\"first\":\"2030-03-17T17:00:00Z\",\"last\":\"" last "\"," \
                  "\"ran\":false,\"loaded\":true,\"listens\":true,\"root\":true},{\"name\":\"flask\",\"version\":\"2.2.0\"},{\"name\":\"none\",\"version\":\"1\"},3]}]}"
    scan(b, WEB, 1900000100, &text);
    EQ_I(good(hf_inv_scan(s, hf_buf_span(&text), hf_span(NULL, 0), NULL, &err)), 0);
    EQ_I(good(hf_inv_inuse(s, S(USE("2030-03-17T17:10:00Z")), &err)), 1);
    EQ_I(good(hf_inv_inuse(s, S(USE("2030-03-17T17:20:00Z")), &err)), 0); /* within the hour nothing is written */
    EQ_I(good(hf_inv_inuse(s, S(USE("2030-03-17T18:20:00Z")), &err)), 1);
    EQ_I(rows_of(s, "SELECT count(*) FROM findings WHERE used = 1 AND package = 'zlib1g' AND doc LIKE '%\"in_use\":{\"state\":\"act_now\",\"root\":true,\"first\":\"2030-03-17T17:00:00Z\",\"last\":\"2030-03-17T18:20:00Z\"}%'"), 1);
    EQ_I(rows_of(s, "SELECT count(*) FROM findings WHERE used = 1 AND package = 'flask'"), 0); /* what is in use is known of packages of the system only */
    /* and a re-match keeps it */
    EQ_I(good(hf_inv_rematch(s, &(struct hf_inv_rematch_opts){.db_path = b, .now_unix = 1900000100, .all = true}, NULL, NULL, &r, &err)), 0);
    EQ_I(rows_of(s, "SELECT count(*) FROM findings WHERE used = 1 AND package = 'zlib1g' AND doc LIKE '%\"state\":\"act_now\",\"root\":true,\"first\":\"2030-03-17T17:00:00Z\",\"last\":\"2030-03-17T18:20:00Z\"%'"), 1);
    EQ_I(hf_inv_inuse(s, S("{}"), &err), HF_E_FORMAT);
    EQ_I(hf_inv_inuse(s, S("["), &err), HF_E_FORMAT);
}

#define SEALS(signatures) "{\"schema\":\"holdfast.seals/1\",\"seals\":[3,{\"config\":\"x\"},{\"config\":\"" WEB "\",\"manifest\":\"" WEB "\",\"created\":\"2030-03-17T17:00:00Z\",\"entries\":12,\"signatures\":" signatures ",\"bytes\":99,\"by_watch\":true}],\"unread\":0}"
static void sealed(struct hf_store *s)
{
    hf_autobuf doc = HF_BUF_INIT(4096);
    int64_t made = 0;
    EQ_I(hf_store_seal_get(s, S(WEB), &doc, &made, &err), 0);
    EQ_I(good(hf_inv_seals(s, S(SEALS("0")), &err)), 1);
    EQ_I(good(hf_inv_seals(s, S(SEALS("0")), &err)), 0); /* nothing is written twice */
    EQ_I(good(hf_store_seal_get(s, S(WEB), &doc, &made, &err)), 1);
    EQ_S(hf_buf_span(&doc), "{\"files\":12,\"signed\":false,\"by_watch\":true,\"bytes\":99}");
    EQ_I(made, 1899997200ll * 1000000000);
    EQ_I(good(hf_inv_seals(s, S(SEALS("1")), &err)), 1);
    EQ_I(hf_inv_seals(s, S("{\"schema\":\"holdfast.seals/2\",\"seals\":[]}"), &err), HF_E_FORMAT);
    EQ_I(hf_inv_seals(s, S("["), &err), HF_E_FORMAT);
}

/* ---- incidents ---- */

static int title(void *ctx, const struct hf_incident_row *r)
{
    hf_buf_addf(ctx, "[" HF_SPAN_FMT " " HF_SPAN_FMT " %d r%u] ", HF_SPAN_ARG(r->title), HF_SPAN_ARG(r->state), r->severity, (unsigned)r->revision);
    return 0;
}

static int one_doc(void *ctx, const struct hf_incident_row *r)
{
    hf_buf_adds(ctx, r->doc);
    return 1;
}

static void titles(struct hf_store *s, const char *expected)
{
    hf_autobuf got = HF_BUF_INIT(65536);
    EQ_I(good(hf_store_incident_changes(s, 0, 0, title, &got, &err)), 0);
    EQ_S(hf_buf_span(&got), expected);
}

static int news(struct hf_store *s, const char *db, const struct hf_inv_policy *p)
{
    hf_cleanup(hf_inv_news_freep) struct hf_inv_news *n = NULL;
    struct hf_inv_rematched r;
    EQ_I(hf_inv_news_new(&n, s, p), 0);
    EQ_I(good(hf_inv_rematch(s, &(struct hf_inv_rematch_opts){.db_path = db, .now_unix = 1900000100}, hf_inv_collect, n, &r, &err)), 0);
    return good(hf_inv_incidents(n, S("node-7"), NOW, &err));
}

static void back(struct hf_store *s, const char *a)
{
    struct hf_inv_rematched r;
    EQ_I(good(hf_inv_rematch(s, &(struct hf_inv_rematch_opts){.db_path = a, .now_unix = 1900000100}, NULL, NULL, &r, &err)), 0);
}

static void incidents(struct hf_store *s, const char *a, const char *b)
{
    hf_autobuf got = HF_BUF_INIT(HF_INC_MAX), line_text = HF_BUF_INIT(65536);
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
    hf_cleanup(hf_inv_freep) struct hf_inv *v = NULL;
    struct hf_inv_policy few = {6, 3, false};
    back(s, a);
    /* critical ones each: zlib, and libc6, which is known to be exploited though its severity is low */
    EQ_I(news(s, b, &few), 2);
    titles(s, "[CVE-2030-0005 (zlib1g) in web-1 open 6 r1] [CVE-2030-0006 (libc6) in web-1 open 5 r1] ");
    EQ_I(good(hf_store_incident_changes(s, 0, 1, one_doc, &got, &err)), 1);
    EQ_I(good(hf_inc_parse(hf_buf_span(&got), &i, &err)), 0);
    EQ_S(hf_inc_get(i, "summary"), "A new advisory tells of CVE-2030-0005 in image shop/web:3, of which 1 container runs. Package: zlib1g 1:1.3-1 (critical). Fixed in 1:1.3-2.");
    EQ_S(hf_jstr(hf_jfirst(hf_jget(hf_inc_root(i), "advice"))), "Build shop/web:3 anew with zlib1g 1:1.3-2 or later, and start its containers from that.");
    EQ_S(hf_jgetstr(hf_jget(hf_jfirst(hf_jget(hf_inc_root(i), "containers")), "labels"), "team"), "<b>&\\x1b");
    hf_autobuf kinds = HF_BUF_INIT(4096);
    HF_JFOREACH(n, hf_jget(hf_jget(hf_inc_root(i), "graph"), "nodes")) {
        hf_buf_adds(&kinds, hf_jgetstr(n, "kind"));
        hf_buf_addc(&kinds, ' ');
    }
    EQ_S(hf_buf_span(&kinds), "image vulnerability container ");
    EQ_I(rows_of(s, "SELECT count(*) FROM audit WHERE what = 'incident.open' AND via = 'inventory'"), 2);
    /* nothing new: no incident again; the advisories are withdrawn: they end */
    EQ_I(news(s, b, &few), 0);
    EQ_I(good(hf_inv_settle(s, NOW, &err)), 0);
    back(s, a);
    EQ_I(good(hf_inv_settle(s, NOW, &err)), 2);
    titles(s, "[CVE-2030-0006 (libc6) in web-1 resolved 5 r2] [CVE-2030-0005 (zlib1g) in web-1 resolved 6 r2] ");
    EQ_I(good(hf_inv_settle(s, NOW, &err)), 0);
    /* many of one image are one incident */
    EQ_I(news(s, b, NULL), 1);
    titles(s, "[CVE-2030-0006 (libc6) in web-1 resolved 5 r2] [CVE-2030-0005 (zlib1g) in web-1 resolved 6 r2] [5 new vulnerabilities (CVE-2030-0006, ...) in web-1 open 6 r1] ");
    /* a container of the image that starts later is part of it; when all are gone it ends */
    EQ_I(good(hf_inv_new(&v, s, S("machine"), S("node-7"), &err)), 0);
    EQ_I(good(hf_inv_line(v, line(&line_text, "container", "5", "shop/web:3", WEB, ""), &err)), 0);
    EQ_I(good(hf_inv_flush(v, NOW, &err)), 0);
    EQ_I(good(hf_inv_settle(s, NOW, &err)), 0);
    titles(s, "[CVE-2030-0006 (libc6) in web-1 resolved 5 r2] [CVE-2030-0005 (zlib1g) in web-1 resolved 6 r2] [5 new vulnerabilities (CVE-2030-0006, ...) in web-1 and 1 more open 6 r2] ");
    EQ_I(hf_store_container_end(s, S(BOX "1"), NOW, &err), 1);
    EQ_I(good(hf_inv_settle(s, NOW, &err)), 0);
    EQ_I(hf_store_container_end(s, S(BOX "5"), NOW, &err), 1);
    EQ_I(good(hf_inv_settle(s, NOW, &err)), 1);
    OK(rows_of(s, "SELECT count(*) FROM incidents WHERE state = 8") == 3);
    /* nothing of it runs: no incident */
    back(s, a);
    EQ_I(news(s, b, NULL), 0);
    struct hf_audit_head head;
    EQ_I(good(hf_store_audit_verify(s, NULL, &head, &err)), 0);
    EQ_I(rows_of(s, "SELECT count(*) FROM settings WHERE name LIKE 'inventory/incident/%'"), 0);
}

/* A feed that was behind: 60 images with 5 new ones each are not 300 incidents. */
static void flood(struct hf_store *s, const char *a, const char *b)
{
    hf_autobuf text = HF_BUF_INIT(8 << 20), got = HF_BUF_INIT(65536);
    for (int i = 0; i < 60; i++) {
        char digest[80], id[20];
        snprintf(digest, sizeof digest, "sha256:%064x", (unsigned)i + 1);
        snprintf(id, sizeof id, "flood-%d", i);
        scan(a, digest, 1900000000, &text);
        EQ_I(good(hf_inv_scan(s, hf_buf_span(&text), hf_span(NULL, 0), NULL, &err)), 0);
        EQ_I(good(hf_store_container_put(s, &(struct hf_inv_container){S(id), S("machine"), S(id), S("shop/web:3"), S(digest), S("{}"), 1, 0, 1}, &err)), 0);
    }
    int64_t before = rows_of(s, "SELECT count(*) FROM incidents");
    back(s, a);
    EQ_I(news(s, b, NULL), 1);
    EQ_I(rows_of(s, "SELECT count(*) FROM incidents"), before + 1);
    EQ_I(good(hf_store_incident_list(s, &(struct hf_incident_filter){.states = HF_STATE_OPEN}, one_doc, &got, &err)), 1);
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
    EQ_I(good(hf_inc_parse(hf_buf_span(&got), &i, &err)), 0);
    EQ_U(hf_inc_number(i, "vulnerabilities_dropped"), 250);
    EQ_U(hf_inc_number(i, "containers_dropped"), 28);
    EQ_U(hf_inc_number(i, "alerts"), 300);
    OK(got.n < HF_INC_MAX);
    EQ_I(good(hf_sql_run(s, &err, "UPDATE containers SET ended = 1", HF_NO_VALUES)) > 0, 1);
    EQ_I(good(hf_inv_settle(s, NOW, &err)), 1);
}

/* ---- incidents of alerts ---- */

static void enriched(struct hf_store *s)
{
    static const char text[] = "{\"schema\":\"holdfast.incident/1\",\"id\":\"I-20300101-AAAAAA\",\"revision\":1,\"title\":\"t\",\"summary\":\"s\",\"severity\":\"high\",\"state\":\"open\","
                               "\"opened\":\"2030-01-01T00:00:00.000000000Z\",\"updated\":\"2030-01-01T00:00:00.000000000Z\",\"first_alert\":\"2030-01-01T00:00:00.000000000Z\","
                               "\"last_alert\":\"2030-01-01T00:00:00.000000000Z\",\"containers\":[{\"id\":\"" BOX "1\",\"image_digest\":\"sha256:manifest\"}],"
                               "\"graph\":{\"nodes\":[{\"id\":\"n1\",\"kind\":\"image\",\"label\":\"i\",\"ref\":\"i:x\",\"image_digest\":\"sha256:manifest\"}],\"edges\":[]}}";
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
    hf_autobuf out = HF_BUF_INIT(HF_INC_MAX);
    EQ_I(good(hf_inc_parse(S(text), &i, &err)), 0);
    EQ_I(good(hf_inv_document(s, i, &out, &err)), 0);
    /* only what is in use: libssl3's; the incident calls the image by its manifest, the inventory by its configuration */
    OK(hf_span_search(hf_buf_span(&out), S("CVE-2030-0002")) != SIZE_MAX && hf_span_search(hf_buf_span(&out), S("libssl3 3.0.11-1")) != SIZE_MAX);
    OK(hf_span_search(hf_buf_span(&out), S("zlib1g")) == SIZE_MAX);
    EQ_I(good(hf_inv_enrich(s, i, &err)), 1);
    EQ_I(good(hf_inv_enrich(s, i, &err)), 0);
}

static void suite(const char *url)
{
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    const char *a = database("a", old_recs, HF_ARRAY_LEN(old_recs), 1900000000), *b = database("b", new_recs, HF_ARRAY_LEN(new_recs), 1900000050);
    EQ_I(good(hf_store_open(&s, url, &err)), 0);
    if (!s)
        return;
    rematch_is_a_scan(s, a, b);
    first_match(s, a);
    accepted(s, b);
    hostile(s);
    a = database("a", old_recs, HF_ARRAY_LEN(old_recs), 1900000000);
    b = database("b", new_recs, HF_ARRAY_LEN(new_recs), 1900000050);
    lines(s, a);
    incidents(s, a, b);
    enriched(s);
    flood(s, a, b);
    used(s, b);
    sealed(s);
}

/* Which differences of a running container from its seal count, and how much. */
static void verified(void)
{
#define D(path, change, what, sealed, found) "{\"path\":\"" path "\",\"change\":\"" change "\",\"what\":[" what "]" sealed found "}"
#define SEALED(mode) ",\"sealed\":{\"mode\":\"" mode "\",\"sha256\":\"aa\"}"
#define FOUND(mode, more) ",\"found\":{\"mode\":\"" mode "\"" more "}"
    static const struct {
        const char *difference, *severity;
    } v[] = {
            {D("/var/x", "added", "", "", FOUND("0100644", "")), NULL}, {D("/d", "added", "", "", FOUND("0040755", "")), NULL}, {D("/l", "added", "", "", FOUND("0120777", "")), NULL},
            {D("/d", "modified", "\"mode\"", SEALED("0040755"), FOUND("0040777", "")), NULL}, {D("/d", "removed", "", SEALED("0040755"), ""), NULL},
            {D("/x", "added", "", "", FOUND("0100755", "")), "high"}, {D("/x", "added", "", "", FOUND("0104755", "")), "critical"},
            {D("/x", "added", "", "", FOUND("0100644", ",\"capability\":\"00\"")), "critical"}, {D("/c", "modified", "\"content\"", SEALED("0100644"), FOUND("0100644", "")), "medium"},
            {D("/p", "modified", "\"content\"", SEALED("0100755"), FOUND("0100755", "")), "critical"}, {D("/p", "modified", "\"mode\"", SEALED("0100755"), FOUND("0104755", "")), "critical"},
            {D("/p", "modified", "\"owner\"", SEALED("0104755"), FOUND("0104755", "")), "high"}, {D("/p", "removed", "", SEALED("0100755"), ""), "high"},
            {D("/c", "removed", "", SEALED("0100644"), ""), "medium"}, {D("/l", "modified", "\"link\"", SEALED("0120777"), FOUND("0120777", "")), "high"},
            {D("/d", "modified", "\"type\"", SEALED("0040755"), FOUND("0120777", "")), "high"}, {"7", NULL}, {"{}", NULL}, {"{\"sealed\":[],\"found\":8}", NULL},
    };
    struct hf_inv_container c = {.id = HF_S("0123"), .name = HF_S("web"), .doc = HF_S("{\"labels\":{\"team\":\"shop\"}}")};
    char hash[65], before[65] = "";
    for (size_t i = 0; i < HF_ARRAY_LEN(v); i++) {
        hf_autobuf doc = HF_BUF_INIT(65536), alert = HF_BUF_INIT(65536);
        hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
        hf_buf_addf(&doc, "{\"schema\":\"holdfast.seal-diff/1\",\"differences\":[%s]}", v[i].difference);
        EQ_I(hf_inv_verified(hf_buf_span(&doc), &c, 1800000000123456789, &alert, hash, &err), v[i].severity != NULL);
        OK(!v[i].severity || strcmp(hash, before) != 0); /* each is another story */
        memcpy(before, hash, sizeof before);
        if (!v[i].severity)
            continue;
        EQ_I(hf_json_parse(hf_buf_span(&alert), &d, &err), 0);
        hf_jnode root = hf_json_root(d);
        EQ_S(hf_jgetstr(root, "severity"), v[i].severity);
        EQ_S(hf_jgetstr(root, "time"), "2027-01-15T08:00:00.123456789Z");
        EQ_S(hf_jgetstr(hf_jget(hf_jget(root, "container"), "labels"), "team"), "shop");
        EQ_U(hf_jgetstr(root, "id").n, 26);
    }
    hf_autobuf alert = HF_BUF_INIT(65536);
    EQ_I(hf_inv_verified(HF_S("{\"schema\":\"holdfast.scan/1\",\"differences\":[]}"), &c, 1, &alert, hash, &err), HF_E_FORMAT);
    OK(hf_inv_verified(HF_S("{"), &c, 1, &alert, hash, &err) < 0 && alert.n == 0);
}

int main(void)
{
    char url[300];
    struct test_pg pg;
    verified();
    OK(mkdtemp(dir) != NULL);
    snprintf(url, sizeof url, "sqlite:%s/s.db", dir);
    suite(url);
    if (test_pg_start(&pg))
        suite(pg.url);
    else
        printf("# not on PostgreSQL: %s\n", pg.why);
    test_pg_stop(&pg);
    nftw(dir, test_pg_erase, 16, FTW_DEPTH | FTW_PHYS);
    return tap_done();
}
