/* SPDX-License-Identifier: Apache-2.0 */
/* purl: the table made by packageurl-python, what we do differently on purpose, hostile text. */
#include "base/fs.h"
#include "packages/purl.h"
#include "tap.h"

static struct hf_arena arena;

static const char *made(const struct hf_package *p, const struct hf_os_release *os, struct hf_buf *out)
{
    hf_buf_clear(out);
    return hf_purl_make(p, os, out) < 0 ? "" : hf_buf_z(out);
}

/* text -> package -> text */
static const char *round_trip(const char *purl, struct hf_buf *out)
{
    struct hf_package p;
    struct hf_err err = HF_ERR_INIT;
    if (hf_purl_parse(hf_span_z(purl), &arena, &p, &err) < 0) {
        printf("# %s: %s\n", purl, err.msg);
        return "";
    }
    return made(&p, NULL, out);
}

static void table(void)
{
    const char *root = getenv("HF_SOURCE_ROOT");
    hf_autobuf path = HF_BUF_INIT(4096), text = HF_BUF_INIT(1 << 20), out = HF_BUF_INIT(1 << 16), q = HF_BUF_INIT(1 << 16);
    struct hf_err err = HF_ERR_INIT;
    unsigned rows = 0, bad = 0;
    hf_buf_addf(&path, "%s/tests/purl.tsv", root ? root : ".");
    if (!OK(hf_read_file(hf_buf_z(&path), &text, &err) == 0))
        return;
    struct hf_span rest = hf_buf_span(&text), line;
    while (hf_span_line(&rest, &line)) {
        struct hf_span col[6] = {{NULL, 0}}, all = line, one;
        for (unsigned i = 0; i < 6 && hf_span_cut(&all, '\t', &col[i]); i++)
            ;
        struct hf_package p;
        rows++;
        if (hf_purl_parse(col[5], &arena, &p, &err) < 0 || !hf_span_eq(hf_span_z(made(&p, NULL, &out)), col[5])) {
            printf("# " HF_SPAN_FMT ": got %s (%s)\n", HF_SPAN_ARG(col[5]), hf_buf_z(&out), err.msg);
            bad++;
            continue;
        }
        /* every part as the reference was given it */
        struct hf_span name = p.name;
        if (p.type == HF_PKG_MAVEN && hf_span_find(name, ':') != SIZE_MAX)
            name = hf_span_from(name, hf_span_find(name, ':') + 1);
        else if (p.type == HF_PKG_GO || p.type == HF_PKG_NPM || p.type == HF_PKG_COMPOSER)
            name = hf_span_basename(name);
        struct hf_span version = p.version;
        if (p.type == HF_PKG_RPM && hf_span_find(version, ':') != SIZE_MAX)
            version = hf_span_from(version, hf_span_find(version, ':') + 1);
        bool same = hf_span_eq(version, col[3]) && (p.type == HF_PKG_PYPI || hf_span_eq(name, col[2]));
        all = col[4];
        while (p.type == HF_PKG_GENERIC && hf_span_cut(&all, '\x1f', &one)) {
            char key[3] = {0};
            hf_buf_clear(&q);
            memcpy(key, one.p, HF_MIN(one.n, sizeof key - 1));
            if (one.n > 2 && one.p[2] == '=')
                same = same && hf_purl_qualifier(&p, key, &q) && hf_span_eq(hf_buf_span(&q), hf_span_from(one, 3));
        }
        if (!same) {
            printf("# parts differ: " HF_SPAN_FMT "\n", HF_SPAN_ARG(line));
            bad++;
        }
    }
    OK(rows > 150);
    EQ_U(bad, 0);
}

static void packages(void)
{
    hf_autobuf out = HF_BUF_INIT(1 << 16);
    struct hf_os_release debian = {.id = HF_S("debian"), .version_id = HF_S("12")}, el = {.id = HF_S("rocky"), .version_id = HF_S("9.3")};
    struct hf_package p = {.type = HF_PKG_DEB, .namespace = HF_S("debian"), .name = HF_S("libssl3"), .version = HF_S("3.0.11-1~deb12u2+b1"), .arch = HF_S("amd64"),
            .source_name = HF_S("openssl"), .source_version = HF_S("3.0.11-1~deb12u2")}, back;
    EQ_S(hf_span_z(made(&p, &debian, &out)), "pkg:deb/debian/libssl3@3.0.11-1~deb12u2%2Bb1?arch=amd64&distro=debian-12&upstream=openssl%403.0.11-1~deb12u2");
    EQ_I(hf_purl_parse(hf_buf_span(&out), &arena, &back, NULL), 0);
    EQ_S(back.name, "libssl3");
    EQ_S(back.source_name, "openssl");
    EQ_S(back.source_version, "3.0.11-1~deb12u2");
    EQ_S(back.namespace, "debian");
    EQ_S(back.arch, "amd64");
    EQ_S(back.qualifiers, "distro=debian-12");
    EQ_S(hf_span_z(made(&back, &el, &out)), "pkg:deb/debian/libssl3@3.0.11-1~deb12u2%2Bb1?arch=amd64&distro=debian-12&upstream=openssl%403.0.11-1~deb12u2");
    /* a binary rebuild of the same source name keeps the source version, which is what R1 compares */
    p.source_name = p.name;
    EQ_S(hf_span_z(made(&p, NULL, &out)), "pkg:deb/debian/libssl3@3.0.11-1~deb12u2%2Bb1?arch=amd64&upstream=libssl3%403.0.11-1~deb12u2");
    p.source_version = p.version;
    EQ_S(hf_span_z(made(&p, NULL, &out)), "pkg:deb/debian/libssl3@3.0.11-1~deb12u2%2Bb1?arch=amd64");

    struct hf_package r = {.type = HF_PKG_RPM, .namespace = HF_S("rocky"), .name = HF_S("bind-libs"), .version = HF_S("32:9.16.23-14.el9"), .arch = HF_S("x86_64"),
            .source_name = HF_S("bind"), .source_version = HF_S("9.16.23-14.el9"), .module = HF_S("a:1:2:3")};
    EQ_S(hf_span_z(made(&r, &el, &out)),
            "pkg:rpm/rocky/bind-libs@9.16.23-14.el9?arch=x86_64&distro=rocky-9.3&epoch=32&rpmmod=a:1:2:3&upstream=bind-9.16.23-14.el9.src.rpm");
    EQ_I(hf_purl_parse(hf_buf_span(&out), &arena, &back, NULL), 0);
    EQ_S(back.version, "32:9.16.23-14.el9");
    EQ_S(back.module, "a:1:2:3");
    EQ_I(hf_purl_parse(HF_S("pkg:rpm/redhat/bind-libs@9.16-1.el9?upstream=bind-9.16-1.el9.src.rpm&epoch=32"), &arena, &back, NULL), 0);
    EQ_S(back.source_name, "bind");
    EQ_S(back.source_version, "9.16-1.el9");
    EQ_S(back.version, "32:9.16-1.el9");
    r.source_name = r.name; /* SOURCERPM never has an epoch: the same source all the same */
    r.module = hf_span("", 0);
    EQ_S(hf_span_z(made(&r, NULL, &out)), "pkg:rpm/rocky/bind-libs@9.16.23-14.el9?arch=x86_64&epoch=32");

    EQ_I(hf_purl_parse(HF_S("pkg:maven/org.apache.logging.log4j/log4j-core@2.14.0?type=jar"), &arena, &back, NULL), 0);
    EQ_S(back.name, "org.apache.logging.log4j:log4j-core");
    EQ_S(back.qualifiers, "type=jar");
    EQ_I(hf_purl_parse(HF_S("pkg:golang/github.com%2FMasterminds%2Fsemver@v1.5.0#sub/dir"), &arena, &back, NULL), 0);
    EQ_S(back.name, "github.com/Masterminds/semver");
    EQ_S(back.version, "v1.5.0");
}

static void lenient_and_strict(void)
{
    hf_autobuf out = HF_BUF_INIT(1 << 16);
    EQ_S(hf_span_z(round_trip("PKG://NPM/@angular/core", &out)), "pkg:npm/%40angular/core");
    EQ_S(hf_span_z(round_trip("pkg:npm/@angular/core@1.0", &out)), "pkg:npm/%40angular/core@1.0");
    EQ_S(hf_span_z(round_trip("pkg:npm/JSONStream@1.3.5", &out)), "pkg:npm/JSONStream@1.3.5");                /* R29: npm as is */
    EQ_S(hf_span_z(round_trip("pkg:golang/github.com/BurntSushi/toml@v1", &out)), "pkg:golang/github.com/BurntSushi/toml@v1"); /* R29 */
    EQ_S(hf_span_z(round_trip("pkg:deb/Debian/Apt@1?DISTRO=x&empty=", &out)), "pkg:deb/debian/apt@1?distro=x");
    EQ_S(hf_span_z(round_trip("pkg:pypi//a__B@1", &out)), "pkg:pypi/a--b@1");
    EQ_S(hf_span_z(round_trip("pkg:rpm/a@x:1", &out)), "pkg:rpm/a@x:1"); /* not an epoch */
    EQ_S(hf_span_z(round_trip("pkg:rpm/a@1:", &out)), "pkg:rpm/a@1:");
    EQ_S(hf_span_z(round_trip("pkg:rpm/a@1:2:3", &out)), "pkg:rpm/a@1:2:3");
    EQ_S(hf_span_z(round_trip("pkg:rpm/a@1:2", &out)), "pkg:rpm/a@2?epoch=1");
    /* packageurl-python leaves the slash of a value; the specification's own examples encode it */
    EQ_S(hf_span_z(round_trip("pkg:npm/a@1/2?vcs_url=git+https://x/y", &out)), "pkg:npm/a@1%2F2?vcs_url=git%2Bhttps:%2F%2Fx%2Fy");
    static const struct {
        const char *purl;
        int rc;
    } bad[] = {{"", HF_E_FORMAT}, {"pkg", HF_E_FORMAT}, {"pkg:", HF_E_FORMAT}, {"pkg:deb", HF_E_FORMAT}, {"pkg:deb/", HF_E_FORMAT}, {"pkg:/name", HF_E_FORMAT},
            {"http://x/y", HF_E_FORMAT}, {"pkg:swift/github.com/a/b@1", HF_E_UNSUPPORTED}, {"pkg:9a/b", HF_E_FORMAT}, {"pkg:npm/a%", HF_E_FORMAT}, {"pkg:npm/a%2", HF_E_FORMAT},
            {"pkg:npm/a%zz", HF_E_FORMAT}, {"pkg:npm/a%00b", HF_E_FORMAT}, {"pkg:npm/a%ff", HF_E_FORMAT}, {"pkg:npm/a?b c=d", HF_E_FORMAT}, {"pkg:golang/%2F%2f", HF_E_FORMAT},
            {"pkg:rpm/a@1?epoch=x", HF_E_FORMAT}, {"pkg:maven/a%3Ab", HF_E_FORMAT}};
    for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
        struct hf_package p;
        struct hf_err err = HF_ERR_INIT;
        EQ_I(hf_purl_parse(hf_span_z(bad[i].purl), &arena, &p, &err), bad[i].rc);
        OK(err.msg[0] != 0);
    }
    hf_autobuf big = HF_BUF_INIT(1 << 20);
    struct hf_package p;
    hf_buf_addz(&big, "pkg:npm/a?");
    for (unsigned i = 0; i < 100; i++)
        hf_buf_addf(&big, "q%u=1&", i);
    EQ_I(hf_purl_parse(hf_buf_span(&big), &arena, &p, NULL), HF_E_LIMIT);
    while (big.n <= HF_PURL_MAX)
        hf_buf_addc(&big, 'a');
    EQ_I(hf_purl_parse(hf_buf_span(&big), &arena, &p, NULL), HF_E_LIMIT);
    struct hf_package none = {.type = HF_PKG_DEB};
    hf_buf_clear(&out);
    EQ_I(hf_purl_make(&none, NULL, &out), HF_E_FORMAT);
    EQ_U(out.n, 0);
    struct hf_buf tiny = HF_BUF_INIT(8);
    none.name = HF_S("long-name");
    EQ_I(hf_purl_make(&none, NULL, &tiny), HF_E_LIMIT);
    hf_buf_done(&tiny);
}

int main(void)
{
    hf_arena_init(&arena, 16 << 20);
    table();
    packages();
    lenient_and_strict();
    hf_arena_done(&arena);
    return tap_done();
}
