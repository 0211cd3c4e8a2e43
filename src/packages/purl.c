/* SPDX-License-Identifier: Apache-2.0 */
#include "packages/purl.h"

enum {
    MAX_QUALIFIERS = 32, /* real purls have up to seven */
    MAX_VALUE = 1 << 10, /* one part of a computed qualifier */
};

struct qualifier {
    struct hf_span key, value; /* value percent-encoded */
};

static bool plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' || c == '~' || c == ':';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static void encode(struct hf_buf *out, struct hf_span s, bool to_lower)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = to_lower ? lower(s.p[i]) : s.p[i];
        if (plain(c))
            hf_buf_addc(out, c);
        else
            hf_buf_addf(out, "%%%02X", (unsigned char)c);
    }
}

/* Types whose name is a path: what stands before the last '/' is the namespace. */
static bool is_path(enum hf_pkg_type t)
{
    return t == HF_PKG_GO || t == HF_PKG_NPM || t == HF_PKG_COMPOSER;
}

static bool is_os(enum hf_pkg_type t)
{
    return t == HF_PKG_DEB || t == HF_PKG_APK || t == HF_PKG_RPM;
}

/* PURL-TYPES says which are lower case; Go and npm are written as they are (R29): both have names that differ by case only. */
static bool lower_name(enum hf_pkg_type t)
{
    return t == HF_PKG_PYPI || t == HF_PKG_COMPOSER || t == HF_PKG_DEB || t == HF_PKG_APK || t == HF_PKG_HEX || t == HF_PKG_BITNAMI || t == HF_PKG_PUB;
}

/* Non-empty segments with '/' between; returns how many. */
static size_t segments(struct hf_buf *out, struct hf_span path, bool to_lower)
{
    struct hf_span part;
    size_t n = 0;
    while (hf_span_cut(&path, '/', &part)) {
        if (!part.n)
            continue;
        if (n++)
            hf_buf_addc(out, '/');
        encode(out, part, to_lower);
    }
    return n;
}

static bool has_text(struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '/')
            return true;
    return false;
}

static int add_name(struct hf_buf *out, const struct hf_package *p)
{
    struct hf_span name = p->name, space = p->namespace;
    if (p->type == HF_PKG_MAVEN) {
        size_t colon = hf_span_find(name, ':');
        if (colon != SIZE_MAX) {
            space = hf_span_sub(name, 0, colon);
            name = hf_span_from(name, colon + 1);
        }
    }
    if (is_path(p->type)) {
        if (!has_text(name))
            return HF_E_FORMAT;
        hf_buf_addf(out, "pkg:%s/", hf_pkg_type_name(p->type));
        segments(out, name, lower_name(p->type));
        return 0;
    }
    if (!name.n)
        return HF_E_FORMAT;
    hf_buf_addf(out, "pkg:%s/", hf_pkg_type_name(p->type));
    if (segments(out, space, lower_name(p->type) || is_os(p->type)))
        hf_buf_addc(out, '/');
    if (p->type != HF_PKG_PYPI) {
        encode(out, name, lower_name(p->type));
    } else {
        for (size_t i = 0; i < name.n; i++)
            encode(out, name.p[i] == '_' ? HF_S("-") : hf_span_sub(name, i, 1), true);
    }
    return 0;
}

/* Adds a qualifier unless its key is there; the table stays sorted by key, as canonical purls are. */
static void put(struct qualifier *q, size_t *n, struct hf_span key, struct hf_span value)
{
    size_t at = 0;
    if (!value.n || *n == MAX_QUALIFIERS)
        return;
    while (at < *n && hf_span_cmp(q[at].key, key) < 0)
        at++;
    if (at < *n && hf_span_eq(q[at].key, key))
        return;
    memmove(q + at + 1, q + at, (*n - at) * sizeof *q);
    q[at] = (struct qualifier){key, value};
    (*n)++;
}

/* An epoch goes to its own qualifier only where reading it back gives the same version: a plain number, then text without ':'. */
static struct hf_span without_epoch(struct hf_span version, struct hf_span *epoch)
{
    size_t colon = hf_span_find(version, ':');
    uint64_t number;
    if (colon == SIZE_MAX || colon + 1 == version.n || (colon > 1 && version.p[0] == '0') ||
            hf_parse_u64(hf_span_sub(version, 0, colon), 10, 0, UINT32_MAX, &number) < 0 ||
            hf_span_find(hf_span_from(version, colon + 1), ':') != SIZE_MAX)
        return version;
    *epoch = hf_span_sub(version, 0, colon);
    return hf_span_from(version, colon + 1);
}

/* The source package, unless it says the same as the package itself: "name@version", for rpm the source file's name as other tools
 * expect it. */
static void add_upstream(struct hf_buf *out, const struct hf_package *p, struct hf_span version)
{
    bool same_name = !p->source_name.n || hf_span_eq(p->source_name, p->name);
    bool same_version = !p->source_version.n || hf_span_eq(p->source_version, version) || hf_span_eq(p->source_version, p->version);
    if (same_name && same_version)
        return;
    size_t dash = hf_span_find(p->source_version, '-');
    bool file = p->type == HF_PKG_RPM && dash != SIZE_MAX && dash == hf_span_rfind(p->source_version, '-') && p->source_version.n < MAX_VALUE / 2 &&
            p->source_name.n && p->source_name.n < MAX_VALUE / 2 && hf_span_find(p->source_name, '@') == SIZE_MAX && hf_span_find(p->source_version, '@') == SIZE_MAX;
    encode(out, hf_span_sub(p->source_name.n ? p->source_name : p->name, 0, MAX_VALUE), false);
    if (p->source_version.n) {
        hf_buf_addz(out, file ? "-" : "%40");
        encode(out, hf_span_sub(p->source_version, 0, MAX_VALUE), false);
    }
    if (file)
        hf_buf_addz(out, ".src.rpm");
}

static void add_qualifiers(struct hf_buf *out, const struct hf_package *p, const struct hf_os_release *os, struct hf_span version, struct hf_span epoch)
{
    struct qualifier q[MAX_QUALIFIERS + 1];
    size_t n = 0;
    hf_autobuf arch = HF_BUF_INIT(4 * MAX_VALUE), distro = HF_BUF_INIT(8 * MAX_VALUE), ep = HF_BUF_INIT(4 * MAX_VALUE), upstream = HF_BUF_INIT(8 * MAX_VALUE),
                module = HF_BUF_INIT(4 * MAX_VALUE);
    struct hf_span rest = p->qualifiers, one;
    while (hf_span_cut(&rest, '&', &one)) {
        size_t eq = hf_span_find(one, '=');
        if (eq != SIZE_MAX && eq > 0)
            put(q, &n, hf_span_sub(one, 0, eq), hf_span_from(one, eq + 1));
    }
    encode(&arch, hf_span_sub(p->arch, 0, MAX_VALUE), false);
    if (is_os(p->type)) {
        if (os && os->id.n) {
            encode(&distro, hf_span_sub(os->id, 0, MAX_VALUE), false);
            hf_buf_addz(&distro, os->version_id.n ? "-" : "");
            encode(&distro, hf_span_sub(os->version_id, 0, MAX_VALUE), false);
        }
        add_upstream(&upstream, p, version);
        encode(&ep, hf_span_sub(epoch, 0, MAX_VALUE), false);
        encode(&module, hf_span_sub(p->module, 0, MAX_VALUE), false);
        put(q, &n, HF_S("arch"), hf_buf_span(&arch));
        put(q, &n, HF_S("distro"), hf_buf_span(&distro));
        put(q, &n, HF_S("epoch"), hf_buf_span(&ep));
        put(q, &n, HF_S("rpmmod"), hf_buf_span(&module));
        put(q, &n, HF_S("upstream"), hf_buf_span(&upstream));
    } else if (p->type == HF_PKG_GEM) {
        put(q, &n, HF_S("platform"), hf_buf_span(&arch));
    }
    /* A part without memory would leave a purl of another package. */
    out->failed |= arch.failed || distro.failed || ep.failed || upstream.failed || module.failed;
    for (size_t i = 0; i < n; i++) {
        hf_buf_addc(out, i ? '&' : '?');
        hf_buf_adds(out, q[i].key);
        hf_buf_addc(out, '=');
        hf_buf_adds(out, q[i].value);
    }
}

int hf_purl_make(const struct hf_package *p, const struct hf_os_release *os, struct hf_buf *out)
{
    struct hf_span version = p->version, epoch = {NULL, 0};
    int rc = add_name(out, p);
    if (rc < 0)
        return rc;
    if (p->type == HF_PKG_RPM)
        version = without_epoch(version, &epoch);
    if (version.n) {
        hf_buf_addc(out, '@');
        encode(out, version, false);
    }
    add_qualifiers(out, p, os, version, epoch);
    return hf_buf_ok(out) ? 0 : HF_E_LIMIT;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Appends the decoded bytes; what names which part is wrong. */
static int decode(struct hf_span s, struct hf_buf *out, const char *what, struct hf_err *err)
{
    size_t before = out->n;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int hi = s.n - i > 2 ? hex(s.p[i + 1]) : -1, lo = s.n - i > 2 ? hex(s.p[i + 2]) : -1;
            if (hi < 0 || lo < 0)
                return hf_fail(err, HF_E_FORMAT, "purl: the %s has a '%%' without two hexadecimal digits", what);
            c = (char)(unsigned char)(hi << 4 | lo);
            i += 2;
        }
        if (c == 0)
            return hf_fail(err, HF_E_FORMAT, "purl: the %s has a NUL byte", what);
        hf_buf_addc(out, c);
    }
    if (!hf_buf_ok(out))
        return hf_fail(err, HF_E_LIMIT, "purl: the %s is too long", what);
    if (!hf_span_is_utf8(hf_span_from(hf_buf_span(out), before)))
        return hf_fail(err, HF_E_FORMAT, "purl: the %s is not UTF-8", what);
    return 0;
}

/* Decodes s into the arena. */
static int decoded(struct hf_span s, struct hf_arena *a, const char *what, struct hf_span *ret, struct hf_err *err)
{
    hf_autobuf out = HF_BUF_INIT(HF_PURL_MAX);
    int rc = decode(s, &out, what, err);
    if (rc >= 0 && hf_arena_dup(a, hf_buf_span(&out), ret) < 0)
        rc = hf_fail(err, HF_E_LIMIT, "purl: over the memory limit");
    return rc;
}

static int parse_type(struct hf_span text, enum hf_pkg_type *ret, struct hf_err *err)
{
    bool good = text.n > 0 && text.n <= 64 && !(text.p[0] >= '0' && text.p[0] <= '9');
    for (size_t i = 0; i < text.n && good; i++)
        good = plain(text.p[i]) && text.p[i] != ':' && text.p[i] != '_' && text.p[i] != '~';
    if (!good)
        return hf_fail(err, HF_E_FORMAT, "purl: no type after \"pkg:\"");
    for (unsigned t = 0; t < HF_PKG_TYPES; t++)
        if (hf_span_eq_nocase(text, hf_span_z(hf_pkg_type_name((enum hf_pkg_type)t)))) {
            *ret = (enum hf_pkg_type)t;
            return 0;
        }
    return hf_fail(err, HF_E_UNSUPPORTED, "purl: packages of type \"" HF_SPAN_FMT "\" cannot be matched", HF_SPAN_ARG(text));
}

/* namespace segments and name as hf_package has them */
static int parse_name(struct hf_span path, struct hf_arena *a, struct hf_package *p, struct hf_err *err)
{
    hf_autobuf space = HF_BUF_INIT(HF_PURL_MAX), name = HF_BUF_INIT(HF_PURL_MAX), whole = HF_BUF_INIT(2 * HF_PURL_MAX + 2);
    struct hf_span part, rest;
    int rc;
    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    rest = hf_span_dirname(path);
    while (hf_span_cut(&rest, '/', &part)) {
        if (!part.n)
            continue;
        if (space.n)
            hf_buf_addc(&space, '/');
        if ((rc = decode(part, &space, "namespace", err)) < 0)
            return rc;
    }
    if ((rc = decode(hf_span_basename(path), &name, "name", err)) < 0)
        return rc;
    bool to_lower = lower_name(p->type);
    for (size_t i = 0; i < space.n && (to_lower || is_os(p->type)); i++)
        space.p[i] = lower(space.p[i]);
    for (size_t i = 0; i < name.n && to_lower; i++)
        name.p[i] = p->type == HF_PKG_PYPI && name.p[i] == '_' ? '-' : lower(name.p[i]);
    if (!name.n || (is_path(p->type) && !has_text(hf_buf_span(&name))))
        return hf_fail(err, HF_E_FORMAT, "purl: no name");
    if (is_path(p->type) || p->type == HF_PKG_MAVEN) {
        hf_buf_adds(&whole, hf_buf_span(&space));
        if (space.n)
            hf_buf_addc(&whole, p->type == HF_PKG_MAVEN ? ':' : '/');
        else if (p->type == HF_PKG_MAVEN && hf_span_find(hf_buf_span(&name), ':') != SIZE_MAX)
            return hf_fail(err, HF_E_FORMAT, "purl: ':' in a Maven artifact without group");
        if (p->type == HF_PKG_MAVEN && hf_span_find(hf_buf_span(&space), ':') != SIZE_MAX)
            return hf_fail(err, HF_E_FORMAT, "purl: ':' in a Maven group");
        hf_buf_adds(&whole, hf_buf_span(&name));
        rc = hf_arena_dup(a, hf_buf_span(&whole), &p->name);
    } else {
        rc = hf_arena_dup(a, hf_buf_span(&space), &p->namespace);
        if (rc >= 0)
            rc = hf_arena_dup(a, hf_buf_span(&name), &p->name);
    }
    return rc < 0 ? hf_fail(err, HF_E_LIMIT, "purl: over the memory limit") : 0;
}

/* "name@version", or as Syft writes it for rpm "name-version-release.src.rpm". */
static void parse_upstream(struct hf_package *p, struct hf_span text)
{
    size_t at = hf_span_find(hf_span_from(text, 1), '@'); /* no package name has one behind its first byte */
    at += at != SIZE_MAX;
    if (p->type == HF_PKG_RPM && at == SIZE_MAX && hf_span_ends(text, HF_S(".src.rpm"))) {
        struct hf_span nvr = hf_span_sub(text, 0, text.n - 8);
        size_t release = hf_span_rfind(nvr, '-');
        size_t version = release == SIZE_MAX ? SIZE_MAX : hf_span_rfind(hf_span_sub(nvr, 0, release), '-');
        if (version != SIZE_MAX && version > 0) {
            p->source_name = hf_span_sub(nvr, 0, version);
            p->source_version = hf_span_from(nvr, version + 1);
            return;
        }
    }
    p->source_name = hf_span_sub(text, 0, at);
    p->source_version = at == SIZE_MAX ? hf_span("", 0) : hf_span_from(text, at + 1);
}

static bool key_is_good(struct hf_span key)
{
    for (size_t i = 0; i < key.n; i++)
        if (!plain(key.p[i]) || key.p[i] == ':' || key.p[i] == '~')
            return false;
    return key.n > 0 && key.n <= 64 && !(key.p[0] >= '0' && key.p[0] <= '9');
}

static int parse_qualifiers(struct hf_span text, struct hf_arena *a, struct hf_package *p, struct hf_span *epoch, struct hf_err *err)
{
    struct qualifier q[MAX_QUALIFIERS + 1];
    size_t n = 0;
    struct hf_span one;
    while (hf_span_cut(&text, '&', &one)) {
        size_t eq = hf_span_find(one, '=');
        struct hf_span key = hf_span_sub(one, 0, eq), value, *member = NULL, upstream = {NULL, 0}, copy;
        if (eq == SIZE_MAX || eq + 1 == one.n)
            continue; /* the spec: a qualifier without value is as if it were not there */
        if (!key_is_good(key))
            return hf_fail(err, HF_E_FORMAT, "purl: \"" HF_SPAN_FMT "\" is not a qualifier", HF_SPAN_ARG(hf_span_sub(key, 0, 80)));
        if (n == MAX_QUALIFIERS)
            return hf_fail(err, HF_E_LIMIT, "purl: more than %d qualifiers", MAX_QUALIFIERS);
        int rc = decoded(hf_span_from(one, eq + 1), a, "qualifier", &value, err);
        if (rc < 0)
            return rc;
        if (is_os(p->type)) {
            if (hf_span_eq_nocase(key, HF_S("arch")))
                member = &p->arch;
            else if (hf_span_eq_nocase(key, HF_S("upstream")))
                member = &upstream;
            else if (p->type == HF_PKG_RPM && hf_span_eq_nocase(key, HF_S("epoch")))
                member = epoch;
            else if (hf_span_eq_nocase(key, HF_S("rpmmod")) || hf_span_eq_nocase(key, HF_S("modularitylabel")))
                member = &p->module;
        } else if (p->type == HF_PKG_GEM && hf_span_eq_nocase(key, HF_S("platform"))) {
            member = &p->arch;
        }
        if (member && value.n > MAX_VALUE)
            return hf_fail(err, HF_E_LIMIT, "purl: qualifier \"" HF_SPAN_FMT "\" of %zu bytes", HF_SPAN_ARG(key), value.n);
        if (member) {
            *member = value;
            if (upstream.n)
                parse_upstream(p, upstream);
            continue;
        }
        hf_autobuf canonical = HF_BUF_INIT(4 * HF_PURL_MAX);
        encode(&canonical, value, false);
        hf_autobuf low = HF_BUF_INIT(128);
        for (size_t i = 0; i < key.n; i++)
            hf_buf_addc(&low, lower(key.p[i]));
        if (hf_arena_dup(a, hf_buf_span(&canonical), &value) < 0 || hf_arena_dup(a, hf_buf_span(&low), &copy) < 0)
            return hf_fail(err, HF_E_LIMIT, "purl: over the memory limit");
        put(q, &n, copy, value);
    }
    hf_autobuf all = HF_BUF_INIT(8 * HF_PURL_MAX);
    for (size_t i = 0; i < n; i++) {
        if (i)
            hf_buf_addc(&all, '&');
        hf_buf_adds(&all, q[i].key);
        hf_buf_addc(&all, '=');
        hf_buf_adds(&all, q[i].value);
    }
    if (!hf_buf_ok(&all) || hf_arena_dup(a, hf_buf_span(&all), &p->qualifiers) < 0)
        return hf_fail(err, HF_E_LIMIT, "purl: over the memory limit");
    return 0;
}

/* The '@' before the version: the last that does not begin a segment (an npm scope does). */
static size_t version_at(struct hf_span s)
{
    for (size_t i = s.n; i-- > 1;)
        if (s.p[i] == '@' && s.p[i - 1] != '/')
            return i;
    return SIZE_MAX;
}

int hf_purl_parse(struct hf_span text, struct hf_arena *a, struct hf_package *ret, struct hf_err *err)
{
    struct hf_package p = {.flags = 0};
    struct hf_span epoch = {NULL, 0}, qualifiers = {NULL, 0};
    if (text.n > HF_PURL_MAX)
        return hf_fail(err, HF_E_LIMIT, "purl longer than %d bytes", HF_PURL_MAX);
    if (text.n < 4 || !hf_span_eq_nocase(hf_span_sub(text, 0, 4), HF_S("pkg:")))
        return hf_fail(err, HF_E_FORMAT, "not a purl: does not begin with \"pkg:\"");
    struct hf_span s = hf_span_from(text, 4);
    while (s.n && s.p[0] == '/')
        s = hf_span_from(s, 1);
    s = hf_span_sub(s, 0, hf_span_find(s, '#')); /* the subpath */
    size_t mark = hf_span_find(s, '?'), slash;
    if (mark != SIZE_MAX) {
        qualifiers = hf_span_from(s, mark + 1);
        s = hf_span_sub(s, 0, mark);
    }
    slash = hf_span_find(s, '/');
    if (slash == SIZE_MAX)
        return hf_fail(err, HF_E_FORMAT, "purl: no '/' between type and name");
    int rc = parse_type(hf_span_sub(s, 0, slash), &p.type, err);
    if (rc < 0)
        return rc;
    s = hf_span_from(s, slash + 1);
    size_t at = version_at(s);
    if ((rc = parse_name(hf_span_sub(s, 0, at), a, &p, err)) < 0 ||
            (at != SIZE_MAX && (rc = decoded(hf_span_from(s, at + 1), a, "version", &p.version, err)) < 0) ||
            (rc = parse_qualifiers(qualifiers, a, &p, &epoch, err)) < 0)
        return rc;
    if (epoch.n && p.version.n && hf_span_find(p.version, ':') == SIZE_MAX) {
        hf_autobuf evr = HF_BUF_INIT(2 * HF_PURL_MAX);
        uint64_t number;
        if (hf_parse_u64(epoch, 10, 0, UINT32_MAX, &number) < 0)
            return hf_fail(err, HF_E_FORMAT, "purl: the epoch is not a number");
        hf_buf_addf(&evr, "%llu:", (unsigned long long)number);
        hf_buf_adds(&evr, p.version);
        if (!hf_buf_ok(&evr) || hf_arena_dup(a, hf_buf_span(&evr), &p.version) < 0)
            return hf_fail(err, HF_E_LIMIT, "purl: over the memory limit");
    }
    *ret = p;
    return 0;
}

bool hf_purl_qualifier(const struct hf_package *p, const char *key, struct hf_buf *out)
{
    struct hf_span rest = p->qualifiers, one;
    while (hf_span_cut(&rest, '&', &one)) {
        size_t eq = hf_span_find(one, '=');
        if (eq != SIZE_MAX && hf_span_eqz(hf_span_sub(one, 0, eq), key))
            return decode(hf_span_from(one, eq + 1), out, "qualifier", NULL) >= 0;
    }
    return false;
}
