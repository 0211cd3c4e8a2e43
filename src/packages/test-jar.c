/* SPDX-License-Identifier: Apache-2.0 */
/* Archives made here: the zip reader, and which packages the Java cataloger finds, with their flags. */
#include "tap.h"

#include <sys/mman.h>

#include "formats/zip/mkzip.h"
#include "formats/zip/zip.h"
#include "packages/catalogers.h"

#define POM(g, a, v) HF_S("#Maven\r\ngroupId=" g "\r\nartifactId = " a "\nversion: " v "\n")
#define NAME "META-INF/maven/"

/* Members that are listed, or the error; *sum counts the bytes that could be read. */
static int members(const struct hf_ra *ra, size_t *sum, struct hf_err *err)
{
    struct hf_zip z;
    struct hf_zip_member m;
    hf_autobuf out = HF_BUF_INIT(1 << 20);
    int n = 0, rc = hf_zip_open(&z, ra, err);
    *sum = 0;
    while (rc == 0 && (rc = hf_zip_next(&z, &m, err)) == 1) {
        struct hf_err why = HF_ERR_INIT;
        rc = hf_zip_read(&z, &m, &out, &why);
        *sum += rc < 0 ? 0 : out.n;
        rc = 0;
        n++;
    }
    hf_zip_done(&z);
    return rc < 0 ? rc : n;
}

/* The one member's content is refused with this code and words. */
static void refused(struct hf_span bytes, int code, const char *words)
{
    struct hf_ra ra = hf_ra_mem(bytes);
    struct hf_zip z;
    struct hf_zip_member m;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf out = HF_BUF_INIT(1000);
    EQ_I(hf_zip_open(&z, &ra, &err), 0);
    EQ_I(hf_zip_next(&z, &m, &err), 1);
    EQ_I(hf_zip_read(&z, &m, &out, &err), code);
    OK(strstr(err.msg, words));
    hf_zip_done(&z);
}

static void test_reading(void)
{
    static char comment[65535];
    struct hf_err err = HF_ERR_INIT;
    size_t sum;
    memset(comment, 'c', sizeof comment);
    memcpy(comment + 100, "PK\5\6", 4); /* no end record: what it says of its comment does not fit */
    memset(comment + 120, 0xff, 2);
    hf_autobuf prefixed = HF_BUF_INIT(1 << 20);
    struct mkzip z = MKZIP_INIT;
    mkzip_add(&z, "a", HF_S("stored"), 0, 0);
    mkzip_add(&z, "b", HF_S("deflated deflated deflated"), 8, 0);
    mkzip_add(&z, "dir/", HF_S(""), 0, 0);
    struct hf_span whole = mkzip_end(&z, 3, hf_span(comment, sizeof comment));
    struct hf_ra ra = hf_ra_mem(whole);
    EQ_I(members(&ra, &sum, &err), 3);
    EQ_U(sum, 6 + 26);
    hf_buf_addz(&prefixed, "#!/bin/sh\n");
    hf_buf_adds(&prefixed, whole);
    ra = hf_ra_mem(hf_buf_span(&prefixed));
    EQ_I(members(&ra, &sum, &err), 3);
    EQ_U(sum, 6 + 26);

    int fd = memfd_create("zip", MFD_CLOEXEC); /* the same through a descriptor, at an offset */
    OK(fd >= 0 && write(fd, prefixed.p, prefixed.n) == (ssize_t)prefixed.n);
    ra = hf_ra_fd(fd, 10, whole.n);
    EQ_I(members(&ra, &sum, &err), 3);
    EQ_U(sum, 6 + 26);
    close(fd);
    mkzip_done(&z);
}

static void test_damage(void)
{
    struct hf_err err = HF_ERR_INIT;
    size_t sum;
    struct mkzip z = MKZIP_INIT;
    mkzip_add(&z, "a", HF_S("text text text"), 8, 0);
    struct hf_span whole = mkzip_end(&z, 1, HF_S(""));
    unsigned accepted = 0;
    for (size_t n = 0; n < whole.n; n++) {
        struct hf_ra ra = hf_ra_mem(hf_span(whole.p, n));
        accepted += members(&ra, &sum, &err) >= 0;
    }
    EQ_U(accepted, 0); /* cut anywhere: said */
    unsigned wrong = 0;
    for (size_t at = 0; at < whole.n; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            z.data.p[at] = (char)(z.data.p[at] ^ (1 << bit));
            struct hf_ra ra = hf_ra_mem(whole);
            err.msg[0] = 0;
            wrong += members(&ra, &sum, &err) < 0 && !err.msg[0];
            z.data.p[at] = (char)(z.data.p[at] ^ (1 << bit));
        }
    EQ_U(wrong, 0);
    size_t dir = z.data.n - 22 - z.dir.n;
    z.data.p[dir + 24] = (char)(z.data.p[dir + 24] + 1); /* a byte more than there is */
    refused(whole, HF_E_FORMAT, "another size");
    memset(z.data.p + dir + 24, 0x7f, 4);
    refused(whole, HF_E_LIMIT, "at most 1000 are held");
    mkzip_done(&z);

    struct { unsigned method, flags; int code; const char *words; } other[] = {
            {0, 1, HF_E_UNSUPPORTED, "encrypted"}, {14, 0, HF_E_UNSUPPORTED, "method 14"}, {99, 1, HF_E_UNSUPPORTED, "method 99"}};
    for (size_t i = 0; i < HF_ARRAY_LEN(other); i++) {
        struct mkzip y = MKZIP_INIT;
        mkzip_add(&y, "a", HF_S("text"), other[i].method, other[i].flags);
        refused(mkzip_end(&y, 1, HF_S("")), other[i].code, other[i].words);
        mkzip_done(&y);
    }
}

/* The directory's bytes decide, not the count; too high a count is an error. */
static void test_counts(void)
{
    static const struct { unsigned says; int want; } cases[] = {{0, 3}, {1, 3}, {3, 3}, {4, HF_E_TRUNCATED}, {60000, HF_E_TRUNCATED}};
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++)
        for (int signature = 0; signature < 2; signature++) {
            struct hf_err err = HF_ERR_INIT;
            size_t sum;
            struct mkzip z = MKZIP_INIT;
            for (int k = 0; k < 3; k++)
                mkzip_add(&z, "a", HF_S("x"), 0, 0);
            if (signature)
                hf_buf_adds(&z.dir, HF_S("PK\5\5\4\0abcd"));
            struct hf_ra ra = hf_ra_mem(mkzip_end(&z, cases[i].says, HF_S("")));
            int got = members(&ra, &sum, &err);
            OK(got == cases[i].want || (signature && cases[i].want < 0 && got < 0));
            mkzip_done(&z);
        }
    struct mkzip z = MKZIP_INIT; /* wrapped, as old tools write it */
    struct hf_err err = HF_ERR_INIT;
    size_t sum;
    for (int k = 0; k < 65537; k++)
        mkzip_add(&z, "a", HF_S("x"), 0, 0);
    struct hf_ra ra = hf_ra_mem(mkzip_end(&z, 1, HF_S("")));
    EQ_I(members(&ra, &sum, &err), 65537);
    mkzip_done(&z);
}

static struct hf_facts catalog(const char *path, struct hf_span bytes, int want)
{
    struct hf_cat_file f = {.path = hf_span_z(path), .size = bytes.n, .mode = 0100644, .ra = hf_ra_mem(bytes)};
    struct hf_cat_scratch scratch;
    struct hf_facts facts;
    struct hf_err err = HF_ERR_INIT;
    hf_buf_init(&scratch.file, 8 << 20);
    hf_buf_init(&scratch.other, 1 << 20);
    hf_facts_init(&facts, 8 << 20);
    EQ_I(hf_cataloger_java.run(&f, 1, &scratch, &facts, &err), want);
    hf_buf_done(&scratch.file);
    hf_buf_done(&scratch.other);
    return facts;
}

static const struct hf_package *find(const struct hf_facts *f, const char *name, const char *version, const char *inside)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->v[i].kind == HF_FACT_PACKAGE && hf_span_eqz(f->v[i].pkg->name, name) && hf_span_eqz(f->v[i].pkg->version, version) &&
                hf_span_eqz(f->v[i].pkg->install_root, inside))
            return f->v[i].pkg;
    return NULL;
}

static size_t count(const struct hf_facts *f, enum hf_fact_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++)
        n += f->v[i].kind == kind;
    return n;
}

static void test_identities(void)
{
    struct mkzip z = MKZIP_INIT;
    mkzip_add(&z, NAME "org.a/alpha/pom.properties", POM("org.a", "alpha", "1.0"), 0, 0);
    mkzip_add(&z, NAME "org.b/beta/pom.properties", POM("org.b", "beta", "2.0"), 8, 0);
    mkzip_add(&z, "META-INF/MANIFEST.MF", HF_S("Bundle-License: https://www.apache.org/licenses/LICENSE-2.0.txt\r\n\r\n"), 8, 0);
    struct hf_span shaded = mkzip_end(&z, z.n, HF_S(""));
    struct hf_facts f = catalog("lib/beta-2.0.jar", shaded, 0);
    const struct hf_package *a = find(&f, "org.a:alpha", "1.0", ""), *b = find(&f, "org.b:beta", "2.0", "");
    EQ_U(count(&f, HF_FACT_PACKAGE), 2);
    OK(a && a->flags == HF_PKG_SHADED && !a->n_licenses);
    OK(b && b->flags == 0 && b->n_licenses == 1 && hf_span_eqz(b->licenses[0], "Apache-2.0"));
    hf_facts_done(&f);
    f = catalog("lib/fat-7.1.jar", shaded, 0); /* neither is the archive itself */
    const struct hf_package *fat = find(&f, "fat", "7.1", "");
    EQ_U(count(&f, HF_FACT_PACKAGE), 3);
    OK(fat && fat->flags == HF_PKG_GUESSED);
    a = find(&f, "org.a:alpha", "1.0", ""), b = find(&f, "org.b:beta", "2.0", "");
    OK(a && b && a->flags == HF_PKG_SHADED && b->flags == HF_PKG_SHADED);
    hf_facts_done(&f);

    struct mkzip w = MKZIP_INIT, e = MKZIP_INIT;
    mkzip_add(&w, "WEB-INF/lib/beta-2.0.jar", shaded, 0, 0);
    mkzip_add(&w, "WEB-INF/lib/locked-1.jar", shaded, 0, 1);
    mkzip_add(&w, "notes.rar", HF_S("Rar!"), 8, 0);
    mkzip_add(&e, "web.war", mkzip_end(&w, w.n, HF_S("")), 8, 0);
    mkzip_add(&e, NAME "g/own/pom.properties", POM("g.own", "own", "5"), 0, 0);
    f = catalog("srv/own-5.ear", mkzip_end(&e, e.n, HF_S("")), 0);
    b = find(&f, "org.b:beta", "2.0", "web.war!/WEB-INF/lib/beta-2.0.jar");
    OK(b && b->flags == 0);
    OK(find(&f, "g.own:own", "5", ""));
    EQ_U(count(&f, HF_FACT_INCOMPLETE), 1);
    for (size_t i = 0; i < f.n; i++)
        if (f.v[i].kind == HF_FACT_INCOMPLETE)
            EQ_S(f.v[i].text, "java: in web.war!/WEB-INF/lib/locked-1.jar: zip: the member is encrypted");
    hf_facts_done(&f);
    mkzip_done(&z);
    mkzip_done(&w);
    mkzip_done(&e);
}

static void test_depth(void)
{
    hf_autobuf inner = HF_BUF_INIT(1 << 20);
    struct mkzip z = MKZIP_INIT;
    mkzip_add(&z, NAME "g/deep/pom.properties", POM("g.deep", "deep", "1"), 0, 0);
    hf_buf_adds(&inner, mkzip_end(&z, 1, HF_S("")));
    mkzip_done(&z);
    for (unsigned depth = 1; depth <= 40; depth++) {
        struct mkzip y = MKZIP_INIT;
        mkzip_add(&y, "n.jar", hf_buf_span(&inner), depth % 2 ? 8 : 0, 0);
        struct hf_span s = mkzip_end(&y, 1, HF_S(""));
        hf_buf_clear(&inner);
        hf_buf_adds(&inner, s);
        mkzip_done(&y);
        if (depth != 8 && depth != 9 && depth != 40)
            continue;
        struct hf_facts f = catalog("x.jar", hf_buf_span(&inner), 0);
        EQ_U(count(&f, HF_FACT_PACKAGE), depth <= 8);
        EQ_U(count(&f, HF_FACT_INCOMPLETE), depth > 8);
        hf_facts_done(&f);
    }
}

static void test_no_archives(void)
{
    static const struct { const char *path; struct hf_span bytes; int want; } cases[] = {
            {"a.jar", {"", 0}, 0}, {"a.rar", {"Rar!", 4}, 0}, {"a.far", {"x", 1}, 0}, {"a.jar", {"x", 1}, HF_E_FORMAT},
            {"a.war", {"PK\3\4", 4}, HF_E_FORMAT}, {"a.jar", {"no archive at all, but long enough", 34}, HF_E_FORMAT}};
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
        struct hf_facts f = catalog(cases[i].path, cases[i].bytes, cases[i].want);
        EQ_U(f.n, 0);
        hf_facts_done(&f);
    }
}

int main(void)
{
    test_reading();
    test_damage();
    test_counts();
    test_identities();
    test_depth();
    test_no_archives();
    return tap_done();
}
