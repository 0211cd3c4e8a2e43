/* SPDX-License-Identifier: Apache-2.0 */
#include "image/dispatch.h"
#include "image/merge.h"
#include "image/record.h"
#include "image/tar-walk.h"
#include "tap.h"

static void test_paths(void)
{
    hf_autobuf b = HF_BUF_INIT(8192);
    OK(hf_path_clean(HF_S("./usr//lib/./x/"), false, &b) == 0);
    EQ_S(hf_buf_span(&b), "usr/lib/x");
    hf_buf_clear(&b);
    OK(hf_path_clean(HF_S("/etc/passwd"), false, &b) == 0);
    EQ_S(hf_buf_span(&b), "etc/passwd");
    hf_buf_clear(&b);
    OK(hf_path_clean(HF_S("a/../../etc"), false, &b) == HF_E_FORMAT);
    hf_buf_clear(&b);
    OK(hf_path_clean(HF_S("a/b/../../../c"), true, &b) == 0);
    EQ_S(hf_buf_span(&b), "c");
    hf_autobuf none = HF_BUF_INIT(64); /* nothing allocated yet: found by fuzz-archive */
    OK(hf_path_clean(HF_S("../x"), true, &none) == 0);
    EQ_S(hf_buf_span(&none), "x");
    hf_buf_clear(&b);
    OK(hf_path_clean(HF_S("a\0b"), false, &b) == HF_E_FORMAT);
}

static int nothing(const struct hf_cat_file *f, size_t n, struct hf_cat_scratch *s, struct hf_facts *out, struct hf_err *err)
{
    (void)f, (void)n, (void)s, (void)out, (void)err;
    return 0;
}

static void test_dispatch(void)
{
    static const struct hf_want wants[] = {
            {HF_WANT_PATH, "etc/os-release", NULL, 1, false},
            {HF_WANT_TAIL, "lib/apk/db/installed", NULL, 2, false},
            {HF_WANT_TAIL, "METADATA", "*.dist-info", 3, false},
            {HF_WANT_SUFFIX, ".list", "dpkg/info", 4, false},
            {HF_WANT_ELF, NULL, NULL, 5, false},
            {HF_WANT_SUFFIX, ".jar", NULL, 6, false},
    };
    static const struct hf_cataloger c = {"t", 7, wants, HF_ARRAY_LEN(wants), nothing};
    static const struct hf_cataloger *const all[] = {&c, NULL};
    hf_cleanup(hf_dispatch_freep) struct hf_dispatch *d = hf_dispatch_new(all);
    struct hf_dispatch_hit h[HF_DISPATCH_MAX];
    struct {
        const char *path;
        uint64_t want; /* max_bytes of the row that must hit; 0: none */
    } t[] = {
            {"etc/os-release", 1}, {"x/etc/os-release", 0}, {"lib/apk/db/installed", 2}, {"usr/lib/apk/db/installed", 2},
            {"mylib/apk/db/installed", 0}, {"usr/lib/python3/a-1.dist-info/METADATA", 3}, {"METADATA", 0}, {"a/METADATA", 0},
            {"var/lib/dpkg/info/libc6:amd64.list", 4}, {"var/lib/other/libc6.list", 0}, {"var/lib/dpkg/info/x/y.list", 0}, {"app/x.jar", 6},
            {"app/X.JAR", 6}, {"app/X.Jar", 6}, {"app/xjar", 0}, {"app/x.JARS", 0},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(t); i++) {
        size_t n = hf_dispatch_path(d, hf_span_z(t[i].path), h);
        printf("# %s\n", t[i].path);
        EQ_U(n, t[i].want != 0);
        if (n)
            EQ_U(h[0].want->max_bytes, t[i].want);
    }
    EQ_U(hf_dispatch_content(d, HF_S("\x7f" "ELF\x02"), h), 1);
    EQ_U(hf_dispatch_content(d, HF_S("#!/b"), h), 0);
    hf_autobuf v = HF_BUF_INIT(64);
    hf_dispatch_version(all, &v);
    EQ_S(hf_buf_span(&v), "t:7,");
}

static void init(struct hf_record *r)
{
    hf_record_init(r, 1 << 20, 1 << 20, NULL);
}

/* A file with one package in it, logged as a tar walk would. */
static void file(struct hf_record *r, const char *path, enum hf_pkg_type type, const char *name, const char *version, const char *key)
{
    hf_record_log(r, HF_LOG_FILE, hf_span_z(path), hf_span("", 0));
    if (!name)
        return;
    struct hf_package p = {.type = type, .name = hf_span_z(name), .version = hf_span_z(version), .owner_key = hf_span_z(key)};
    OK(hf_record_file(r, hf_span_z(path), 1, NULL) == 0 && hf_facts_package(&r->facts, &p, NULL) == 0);
}

static void owns(struct hf_record *r, const char *list, const char *key, const char *path)
{
    hf_record_log(r, HF_LOG_FILE, hf_span_z(list), hf_span("", 0));
    OK(hf_record_file(r, hf_span_z(list), 1, NULL) == 0 && hf_facts_owned(&r->facts, HF_PKG_DEB, hf_span_z(key), hf_span_z(path), NULL) == 0);
}

static const struct hf_scan_package *find(const struct hf_scan *s, const char *name, const char *version)
{
    for (size_t i = 0; i < s->n_packages; i++)
        if (hf_span_eqz(s->packages[i].p.name, name) && hf_span_eqz(s->packages[i].p.version, version))
            return &s->packages[i];
    return NULL;
}

static void merge(struct hf_scan *s, struct hf_record *r, size_t n)
{
    const struct hf_record *v[8];
    struct hf_err err = HF_ERR_INIT;
    for (size_t i = 0; i < n; i++)
        v[i] = &r[i];
    hf_scan_init(s, 8 << 20);
    OK(hf_merge(s, v, n, true, NULL, &err) == 0);
}

static void done(struct hf_scan *s, struct hf_record *r, size_t n)
{
    hf_scan_done(s);
    for (size_t i = 0; i < n; i++)
        hf_record_done(&r[i]);
}

static void test_whiteouts(void)
{
    struct hf_record r[3];
    struct hf_scan s;
    for (size_t i = 0; i < 3; i++)
        init(&r[i]);
    file(&r[0], "app/node_modules/a/package.json", HF_PKG_NPM, "a", "1", "");
    file(&r[0], "app/node_modules/b/package.json", HF_PKG_NPM, "b", "1", "");
    file(&r[0], "opt/c/package.json", HF_PKG_NPM, "c", "1", "");
    file(&r[0], "opt/d/package.json", HF_PKG_NPM, "d", "1", "");
    file(&r[0], "srv/e/package.json", HF_PKG_NPM, "e", "1", "");
    hf_record_log(&r[1], HF_LOG_WHITEOUT, HF_S("app/node_modules/a"), hf_span("", 0));
    hf_record_log(&r[1], HF_LOG_OPAQUE, HF_S("opt"), hf_span("", 0));
    file(&r[1], "opt/d/package.json", HF_PKG_NPM, "d", "2", "");
    file(&r[1], "srv/e", HF_PKG_NPM, NULL, NULL, NULL); /* a file where a directory was */
    file(&r[2], "app/node_modules/a/package.json", HF_PKG_NPM, "a", "3", "");
    merge(&s, r, 3);
    OK(!find(&s, "a", "1"));
    OK(find(&s, "a", "3") && find(&s, "a", "3")->locations[0].layer == 2);
    OK(find(&s, "b", "1") && find(&s, "b", "1")->locations[0].layer == 0);
    OK(!find(&s, "c", "1"));
    OK(!find(&s, "d", "1") && find(&s, "d", "2"));
    OK(!find(&s, "e", "1"));
    EQ_U(s.n_packages, 3);
    done(&s, r, 3);
}

static void test_ownership_and_layers(void)
{
    struct hf_record r[2];
    struct hf_scan s;
    init(&r[0]);
    init(&r[1]);
    hf_record_log(&r[0], HF_LOG_SYMLINK, HF_S("lib"), HF_S("usr/lib"));
    file(&r[0], "var/lib/dpkg/status", HF_PKG_DEB, "base", "1", "base");
    file(&r[1], "var/lib/dpkg/status", HF_PKG_DEB, "base", "1", "base");
    struct hf_package p = {.type = HF_PKG_DEB, .name = HF_S("python3-six"), .version = HF_S("1.16-1"), .owner_key = HF_S("python3-six")};
    OK(hf_facts_package(&r[1].facts, &p, NULL) == 0);
    /* Listed by its path before usr-merge, found by its path after. */
    owns(&r[1], "var/lib/dpkg/info/python3-six.list", "python3-six", "lib/python3/six.egg-info/PKG-INFO");
    file(&r[1], "usr/lib/python3/six.egg-info/PKG-INFO", HF_PKG_PYPI, "six", "1.16", "");
    file(&r[1], "usr/local/x.dist-info/METADATA", HF_PKG_PYPI, "x", "1", "");
    merge(&s, r, 2);
    OK(find(&s, "base", "1") && find(&s, "base", "1")->locations[0].layer == 0);
    OK(find(&s, "python3-six", "1.16-1") && find(&s, "python3-six", "1.16-1")->locations[0].layer == 1);
    const struct hf_scan_package *six = find(&s, "six", "1.16"), *x = find(&s, "x", "1");
    OK(six && six->owner && hf_span_eqz(six->owner->name, "python3-six"));
    OK(x && !x->owner);
    done(&s, r, 2);
}

static void test_link_loop(void)
{
    struct hf_record r[1];
    struct hf_scan s;
    init(&r[0]);
    hf_record_log(&r[0], HF_LOG_SYMLINK, HF_S("a"), HF_S("b"));
    hf_record_log(&r[0], HF_LOG_SYMLINK, HF_S("b"), HF_S("/a"));
    file(&r[0], "var/lib/dpkg/status", HF_PKG_DEB, "p", "1", "p");
    owns(&r[0], "var/lib/dpkg/info/p.list", "p", "a/x/y");
    owns(&r[0], "var/lib/dpkg/info/p.list", "p", "../../../etc/x");
    merge(&s, r, 1);
    EQ_U(s.n_packages, 1);
    done(&s, r, 1);
}

static void test_record_round_trip(void)
{
    struct hf_record r, back;
    init(&r);
    init(&back);
    file(&r, "a/package.json", HF_PKG_NPM, "n", "1.2.3", "k");
    hf_record_log(&r, HF_LOG_SYMLINK, HF_S("a/link"), HF_S("../target"));
    hf_facts_incomplete(&r.facts, "cut at byte %d", 7);
    hf_autobuf b = HF_BUF_INIT(1 << 20);
    OK(hf_record_write(&r, &b, NULL) == 0);
    OK(hf_record_read(&back, hf_buf_span(&b), NULL) == 0);
    EQ_U(back.facts.n, 2);
    EQ_S(back.facts.v[0].pkg->version, "1.2.3");
    EQ_S(back.facts.v[1].text, "cut at byte 7");
    EQ_S(back.files[0].path, "a/package.json");
    struct hf_log_iter it;
    struct hf_log_entry e = {0};
    hf_log_iter_init(&it, &back);
    OK(hf_log_next(&it, &e) == 1 && hf_log_next(&it, &e) == 1);
    EQ_S(e.path, "a/link");
    EQ_S(e.target, "../target");
    OK(hf_log_next(&it, &e) == 0);
    hf_log_iter_done(&it);
    /* A record cut short is an error, and what was read of it can be freed. */
    struct hf_record bad;
    init(&bad);
    OK(hf_record_read(&bad, hf_span(b.p, b.n - 3), NULL) < 0);
    hf_record_done(&bad);
    hf_record_done(&back);
    hf_record_done(&r);
}

int main(void)
{
    test_paths();
    test_dispatch();
    test_whiteouts();
    test_ownership_and_layers();
    test_link_loop();
    test_record_round_trip();
    return tap_done();
}
