/* SPDX-License-Identifier: Apache-2.0 */
/* What a package is looked up as. */
#include "matching/match-internal.h"

bool hf_match_is_os_type(enum hf_pkg_type t)
{
    return t == HF_PKG_DEB || t == HF_PKG_RPM || t == HF_PKG_APK;
}

static void add(struct hf_match_key *out, size_t *n, const struct hf_match_key *k)
{
    if (*n == HF_MATCH_PKG_KEYS || !k->name.n || !k->version.n)
        return;
    for (size_t i = 0; i < *n; i++)
        if (strcmp(out[i].ns, k->ns) == 0 && hf_span_eq(out[i].name, k->name))
            return;
    out[(*n)++] = *k;
}

static bool digits(struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0;
}

/* R27: "go1.22rc1 X:boringcrypto" -> "1.22.0-rc.1", as Go's vulnerability database orders it. */
static struct hf_span go_stdlib_version(struct hf_span v, struct hf_buf *text)
{
    v = hf_span_trim(v);
    if (hf_span_starts(v, HF_S("go")))
        v = hf_span_from(v, 2);
    else if (hf_span_starts(v, HF_S("v")))
        v = hf_span_from(v, 1);
    static const char stop[] = " +\t"; /* " X:...", vendor suffixes "-custom" stay out below */
    for (size_t i = 0; i < v.n; i++)
        if (strchr(stop, v.p[i]) && v.p[i]) {
            v.n = i;
            break;
        }
    size_t end = 0;
    unsigned dots = 0;
    while (end < v.n && ((v.p[end] >= '0' && v.p[end] <= '9') || v.p[end] == '.'))
        dots += v.p[end++] == '.';
    struct hf_span num = hf_span_sub(v, 0, end), tail = hf_span_from(v, end);
    if (!num.n)
        return v;
    const char *pre = NULL;
    struct hf_span n = {NULL, 0};
    if (hf_span_starts(tail, HF_S("rc"))) {
        pre = "rc";
        n = hf_span_from(tail, 2);
    } else if (hf_span_starts(tail, HF_S("beta"))) {
        pre = "beta";
        n = hf_span_from(tail, 4);
    } else if (tail.n && tail.p[0] == '-' && dots == 2 && !hf_span_starts(tail, HF_S("-0")) &&
            !hf_span_starts(tail, HF_S("-rc")) && !hf_span_starts(tail, HF_S("-beta"))) {
        return num; /* vendor suffix */
    } else if (tail.n) {
        return v;
    }
    if (pre && !digits(n))
        return num;
    if (!pre && dots == 2)
        return num;
    hf_buf_clear(text);
    hf_buf_adds(text, num);
    for (; dots < 2; dots++)
        hf_buf_addz(text, ".0");
    if (pre)
        hf_buf_addf(text, "-%s." HF_SPAN_FMT, pre, HF_SPAN_ARG(n));
    return hf_buf_ok(text) ? hf_buf_span(text) : num;
}

struct hf_span hf_match_go_skip(const struct hf_package *p)
{
    if (p->type != HF_PKG_GO)
        return hf_span(NULL, 0);
    struct hf_span v = p->version;
    if (p->flags & HF_PKG_STDLIB || hf_span_eqz(p->name, "stdlib")) {
        if (hf_span_starts(v, HF_S("devel")) || hf_span_starts(v, HF_S("(devel)")))
            return HF_S("R27: the tool chain is a development build; its version has no order");
        return hf_span(NULL, 0);
    }
    if (hf_span_eqz(v, "(devel)") || !v.n)
        return HF_S("R27: built from a working tree; the binary does not say its version");
    if (p->flags & HF_PKG_MAIN_MODULE && hf_span_starts(v, HF_S("v0.0.0-")))
        return HF_S("R27: the main module's version is made up from the commit; it has no order against releases");
    return hf_span(NULL, 0);
}

static size_t os_keys(const struct hf_package *p, const struct hf_match_os *os, struct hf_match_key *out)
{
    struct hf_span src = p->source_name.n ? p->source_name : p->name;
    struct hf_span srcv = p->source_version.n ? p->source_version : p->version;
    size_t n = 0;
    for (size_t i = 0; i < os->n_ns; i++) {
        struct hf_match_key k = {.ns = os->ns[i], .name = p->name, .version = p->version};
        if (p->type == HF_PKG_DEB) {
            k.rule = os->pro[i] ? "R15" : "R1";
            k.name = src;
            k.version = srcv;
            k.what = "source package";
            add(out, &n, &k);
            k.name = p->name;
            k.version = p->version;
            k.what = "binary package";
            k.indirect = true;
            add(out, &n, &k);
        } else if (p->type == HF_PKG_APK) {
            k.rule = "R3";
            k.name = src;
            k.what = p->source_name.n ? "origin" : "package";
            add(out, &n, &k);
            k.name = p->name;
            k.what = "package";
            add(out, &n, &k);
        } else {
            k.rule = os->source_only ? "R5" : os->binary_only ? "R4" : "R2";
            bool by_source = os->source_only && p->source_name.n;
            k.what = "binary package";
            if (!by_source)
                add(out, &n, &k);
            if (p->source_name.n) {
                k.name = src;
                k.version = srcv;
                k.what = "source package";
                k.ignore_epoch = p->source_version.n > 0;
                k.indirect = !by_source;
                add(out, &n, &k);
            }
        }
    }
    return n;
}

bool hf_match_groupless(const struct hf_package *p)
{
    return p->type == HF_PKG_MAVEN && hf_span_find(p->name, ':') == SIZE_MAX;
}

size_t hf_match_keys(const struct hf_package *p, const struct hf_match_os *os, struct hf_match_key out[HF_MATCH_PKG_KEYS],
        struct hf_buf *text)
{
    if (hf_match_is_os_type(p->type))
        return os->present ? os_keys(p, os, out) : 0;
    enum hf_scheme scheme;
    const char *ns = hf_ns_from_type(p->type, &scheme);
    if (!ns)
        return 0;
    size_t n = 0;
    struct hf_match_key k = {.ns = ns, .name = p->name, .version = p->version, .rule = "R23", .what = "package"};
    if (p->type == HF_PKG_GO) {
        k.rule = "R27";
        k.linked = p->flags & HF_PKG_SYMBOLS ? p : NULL;
        if (p->flags & HF_PKG_STDLIB || hf_span_eqz(p->name, "stdlib")) {
            k.name = HF_S("stdlib");
            k.version = go_stdlib_version(p->version, text);
            k.what = "standard library";
        } else {
            k.what = "module";
        }
    }
    if (hf_match_groupless(p)) { /* R28 (2), (4): the oldest projects' group is their name: "commons-collections:commons-collections" */
        hf_buf_clear(text);
        hf_buf_addf(text, HF_SPAN_FMT ":" HF_SPAN_FMT, HF_SPAN_ARG(hf_span_sub(p->name, 0, 1024)), HF_SPAN_ARG(hf_span_sub(p->name, 0, 1024)));
        k.name = hf_buf_span(text);
        k.what = "archive that does not say its group,";
    }
    add(out, &n, &k);
    return n;
}

/* --- R9 --- */

static struct hf_span mail_of(struct hf_span maintainer)
{
    size_t a = hf_span_rfind(maintainer, '<'), b = hf_span_rfind(maintainer, '>');
    if (a != SIZE_MAX && b != SIZE_MAX && b > a)
        return hf_span_trim(hf_span_sub(maintainer, a + 1, b - a - 1));
    return hf_span_trim(maintainer);
}

static const struct hf_exception *find(const char *kind, const char *type, struct hf_span text)
{
    for (size_t i = 0; i < hf_n_exceptions; i++) {
        const struct hf_exception *e = &hf_exceptions[i];
        if (strcmp(e->kind, kind) == 0 && (!type || strcmp(e->type, type) == 0) && hf_exception_glob(e->match, text))
            return e;
    }
    return NULL;
}

/* Which distributions build each other's packages as they are: a vendor of the family is no foreigner. */
static const char *vendor_family(const struct hf_os_release *os)
{
    static const struct {
        const char *id, *family;
    } t[] = {
        {"rhel", "rhel"}, {"centos", "rhel"}, {"almalinux", "rhel"}, {"rocky", "rhel"}, {"ol", "rhel"}, {"fedora", "fedora"},
        {"amzn", "amazon"}, {"sles", "suse"}, {"sled", "suse"}, {"opensuse-leap", "suse"}, {"opensuse-tumbleweed", "suse"},
        {"opensuse", "suse"}, {"suse-microos", "suse"}, {"sl-micro", "suse"}, {"mariner", "azure"}, {"azurelinux", "azure"},
        {"photon", "photon"},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(t); i++)
        if (hf_span_eqz(os->id, t[i].id))
            return t[i].family;
    return NULL;
}

struct hf_span hf_match_third_party(const struct hf_package *p, const struct hf_os_release *os)
{
    if (p->type == HF_PKG_RPM) {
        const char *family = vendor_family(os);
        struct hf_span vendor = hf_span_trim(p->vendor);
        if (!family || !vendor.n || hf_span_eqz(vendor, "(none)") || find("vendor", family, vendor))
            return hf_span(NULL, 0);
        return HF_S("R9: the vendor of this package is not the distribution's; its advisories do not speak of it");
    }
    if (p->type == HF_PKG_DEB) {
        const struct hf_exception *e = p->vendor.n ? find("third-party-mail", NULL, mail_of(p->vendor)) : NULL;
        if (!e)
            e = find("third-party-version", NULL, p->version);
        return e ? hf_span_z(e->reason) : hf_span(NULL, 0);
    }
    return hf_span(NULL, 0);
}

bool hf_match_is_kernel(const struct hf_package *p)
{
    return hf_match_is_os_type(p->type) &&
            find("kernel", hf_pkg_type_name(p->type), p->source_name.n ? p->source_name : p->name) != NULL;
}

bool hf_match_boots(const struct hf_package *p)
{
    static const char *const others[] = {"headers", "devel", "tools", "-doc", "source", "srpm", "abi", "cross", "libc-dev", "kbuild"};
    struct hf_span name = p->name;
    if (p->type == HF_PKG_DEB && !hf_span_starts(name, HF_S("linux-image")) && !hf_span_starts(name, HF_S("linux-modules")))
        return false;
    for (size_t i = 0; i < HF_ARRAY_LEN(others); i++)
        if (hf_span_search(name, hf_span_z(others[i])) != SIZE_MAX)
            return false;
    return true;
}
