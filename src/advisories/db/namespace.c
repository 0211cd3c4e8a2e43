/* SPDX-License-Identifier: Apache-2.0 */
#include "advisories/db/namespace.h"

#include <stdio.h>

struct language {
    const char *osv;
    const char *ns;
    enum hf_scheme scheme;
};
static const struct language languages[] = {
        {"PyPI", "pypi", HF_SCHEME_PEP440}, {"npm", "npm", HF_SCHEME_SEMVER}, {"Go", "go", HF_SCHEME_GO}, {"Maven", "maven", HF_SCHEME_MAVEN},
        {"RubyGems", "gem", HF_SCHEME_GEM}, {"crates.io", "cargo", HF_SCHEME_SEMVER}, {"Packagist", "packagist", HF_SCHEME_PACKAGIST},
        {"NuGet", "nuget", HF_SCHEME_NUGET}, {"Hex", "hex", HF_SCHEME_HEX}, {"Pub", "pub", HF_SCHEME_PUB}, {"Bitnami", "bitnami", HF_SCHEME_BITNAMI},
        {"SwiftURL", "swift", HF_SCHEME_SEMVER}, {"GitHub Actions", "github-actions", HF_SCHEME_SEMVER},
};

/* OSV name of a distribution, its namespace, the scheme of its versions, how its release is written. */
enum release { PLAIN, MAJOR, V_PREFIX, UBUNTU, ROLLING, REDHAT, SUSE, TEXT };
static const struct distro {
    const char *osv, *ns;
    enum hf_scheme scheme;
    enum release release;
} distros[] = {
        {"Debian", "debian", HF_SCHEME_DEB, MAJOR}, {"Ubuntu", "ubuntu", HF_SCHEME_DEB, UBUNTU}, {"Alpine", "alpine", HF_SCHEME_APK, V_PREFIX},
        {"AlmaLinux", "almalinux", HF_SCHEME_RPM, MAJOR}, {"Rocky Linux", "rocky", HF_SCHEME_RPM, MAJOR}, {"Red Hat", "redhat", HF_SCHEME_RPM, REDHAT},
        {"SUSE", "suse", HF_SCHEME_RPM, SUSE}, {"openSUSE", "opensuse", HF_SCHEME_RPM, TEXT}, {"Wolfi", "wolfi", HF_SCHEME_APK, ROLLING},
        {"Chainguard", "chainguard", HF_SCHEME_APK, ROLLING}, {"MinimOS", "minimos", HF_SCHEME_APK, ROLLING}, {"Alpaquita", "alpaquita", HF_SCHEME_APK, PLAIN},
        {"openEuler", "openeuler", HF_SCHEME_RPM, TEXT}, {"Mageia", "mageia", HF_SCHEME_RPM, PLAIN}, {"Photon OS", "photon", HF_SCHEME_RPM, MAJOR},
        {"Azure Linux", "azurelinux", HF_SCHEME_RPM, MAJOR}, {"Echo", "echo", HF_SCHEME_DEB, ROLLING},
};

static bool add_lower(char out[HF_NS_MAX], size_t *n, struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (*n + 1 >= HF_NS_MAX || (unsigned char)c < 0x20)
            return false;
        out[(*n)++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    out[*n] = 0;
    return true;
}

static struct hf_span digits(struct hf_span s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    return hf_span(s.p, n);
}

/* "22.04:LTS", "Pro:22.04:LTS", "Pro:FIPS:22.04:LTS": version and channel. */
static bool ubuntu_release(struct hf_span release, struct hf_span *version, struct hf_span *channel)
{
    struct hf_span rest = release, part;
    bool pro = false;
    *version = hf_span("", 0);
    *channel = hf_span("", 0);
    while (hf_span_cut(&rest, ':', &part)) {
        if (part.n && part.p[0] >= '0' && part.p[0] <= '9')
            *version = part;
        else if (hf_span_eqz(part, "Pro"))
            pro = true;
        else if (!hf_span_eqz(part, "LTS"))
            *channel = part; /* FIPS, FIPS-updates, Realtime, ...: kept apart, never matched by default (R15) */
    }
    if (pro && !channel->n)
        *channel = HF_S("pro");
    return version->n != 0;
}

/* "Linux Enterprise Server 15 SP5" and the modules its packages are shipped in ("Linux Enterprise Module for Basesystem 15 SP5")
 * are one system, "15.5".  LTSS, SAP, Micro and other products stay apart under their own names. */
static struct hf_span suse_release(struct hf_span release, char out[16])
{
    static const char *const parts[] = {"Linux Enterprise Server ", "Linux Enterprise Module for "};
    size_t at = hf_span_rfind(release, ' ');
    struct hf_span sp = at == SIZE_MAX ? hf_span("", 0) : hf_span_from(release, at + 1), rest = release;
    if (hf_span_starts(sp, HF_S("SP"))) {
        sp = hf_span_from(sp, 2);
        rest = hf_span_sub(release, 0, at);
    } else {
        sp = hf_span("", 0);
    }
    at = hf_span_rfind(rest, ' ');
    struct hf_span major = at == SIZE_MAX ? hf_span("", 0) : hf_span_from(rest, at + 1), product = hf_span_sub(rest, 0, at == SIZE_MAX ? 0 : at + 1);
    bool ours = hf_span_eqz(product, parts[0]) || hf_span_starts(product, hf_span_z(parts[1]));
    if (!ours || !major.n || major.n > 3 || sp.n > 3 || digits(major).n != major.n || digits(sp).n != sp.n)
        return release;
    int n = snprintf(out, 16, HF_SPAN_FMT "%s" HF_SPAN_FMT, HF_SPAN_ARG(major), sp.n ? "." : "", HF_SPAN_ARG(sp));
    return hf_span(out, (size_t)n);
}

int hf_ns_from_osv(struct hf_span eco, char out[HF_NS_MAX], enum hf_scheme *scheme)
{
    struct hf_span name = hf_span_sub(eco, 0, hf_span_find(eco, ':')), release = hf_span_from(eco, name.n + (name.n < eco.n));
    size_t n = 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(languages); i++)
        if (hf_span_eqz(name, languages[i].osv)) {
            *scheme = languages[i].scheme;
            return add_lower(out, &n, hf_span_z(languages[i].ns)) ? 0 : HF_E_UNSUPPORTED;
        }
    for (size_t i = 0; i < HF_ARRAY_LEN(distros); i++) {
        const struct distro *d = &distros[i];
        if (!hf_span_eqz(name, d->osv))
            continue;
        struct hf_span version = release, channel = hf_span("", 0);
        char suse[16];
        if (d->release == MAJOR)
            version = digits(release).n ? digits(release) : release;
        else if (d->release == V_PREFIX && release.n && release.p[0] == 'v')
            version = hf_span_from(release, 1);
        else if (d->release == UBUNTU && !ubuntu_release(release, &version, &channel))
            return HF_E_UNSUPPORTED;
        else if (d->release == SUSE)
            version = suse_release(release, suse);
        else if (d->release == REDHAT) {
            /* "enterprise_linux:9::baseos": the major of the base product; layered products are not matched (R19) */
            struct hf_span rest = release, product = hf_span("", 0), ver = hf_span("", 0);
            hf_span_cut(&rest, ':', &product);
            hf_span_cut(&rest, ':', &ver);
            if (!hf_span_eqz(product, "enterprise_linux") || !digits(ver).n)
                return HF_E_UNSUPPORTED;
            version = digits(ver);
        } else if (d->release == ROLLING)
            version = hf_span("", 0);
        if (!add_lower(out, &n, hf_span_z(d->ns)) || (d->release != ROLLING && (!version.n || !add_lower(out, &n, HF_S(":")) || !add_lower(out, &n, version))) ||
                (channel.n && (!add_lower(out, &n, HF_S(":")) || !add_lower(out, &n, channel))))
            return HF_E_UNSUPPORTED;
        *scheme = d->scheme;
        return 0;
    }
    return HF_E_UNSUPPORTED;
}

static const struct {
    const char *codename, *version;
} debian_names[] = {{"stretch", "9"}, {"buster", "10"}, {"bullseye", "11"}, {"bookworm", "12"}, {"trixie", "13"}, {"forky", "14"}, {"duke", "15"}};

size_t hf_ns_from_os(const struct hf_os_release *os, char out[4][HF_NS_MAX], enum hf_scheme *scheme)
{
    struct hf_span id = os->id, v = os->version_id, major = digits(v);
    size_t dot = hf_span_find(v, '.');
    struct hf_span minor = dot == SIZE_MAX ? v : hf_span(v.p, dot + 1 + digits(hf_span_from(v, dot + 1)).n);
#define IS(name) hf_span_eqz(id, name)
#define NS(i, ...) snprintf(out[i], HF_NS_MAX, __VA_ARGS__)
    *scheme = HF_SCHEME_NONE;
    if (IS("debian") || IS("raspbian")) {
        *scheme = HF_SCHEME_DEB;
        for (size_t i = 0; i < HF_ARRAY_LEN(debian_names) && !major.n; i++)
            if (hf_span_eqz(os->version_codename, debian_names[i].codename) || hf_span_search(os->pretty_name, hf_span_z(debian_names[i].codename)) != SIZE_MAX)
                major = hf_span_z(debian_names[i].version);
        /* testing and unstable have no VERSION_ID; both call themselves "<testing>/sid" */
        bool sid = !v.n && (hf_span_search(os->pretty_name, HF_S("sid")) != SIZE_MAX || hf_span_eqz(os->version_codename, "sid"));
        size_t n = 0;
        if (major.n)
            NS(n++, "debian:" HF_SPAN_FMT, HF_SPAN_ARG(major));
        if (sid)
            NS(n++, "debian:sid");
        return n;
    }
    if (IS("ubuntu")) {
        *scheme = HF_SCHEME_DEB;
        NS(0, "ubuntu:" HF_SPAN_FMT, HF_SPAN_ARG(minor));
        NS(1, "ubuntu:" HF_SPAN_FMT ":pro", HF_SPAN_ARG(minor));
        return v.n ? 2 : 0;
    }
    if (IS("alpine") || IS("postmarketos")) {
        static const char *const pmos[][2] = {{"21.06", "3.14"}, {"21.12", "3.15"}, {"22.06", "3.16"}, {"22.12", "3.17"}, {"23.06", "3.18"},
                {"23.12", "3.19"}, {"24.06", "3.20"}, {"24.12", "3.21"}, {"25.06", "3.22"}, {"25.12", "3.23"}};
        *scheme = HF_SCHEME_APK;
        if (hf_span_search(v, HF_S("_alpha")) != SIZE_MAX || hf_span_eqz(v, "edge") || !v.n) {
            NS(0, "alpine:edge");
            return 1;
        }
        if (IS("alpine")) {
            NS(0, "alpine:" HF_SPAN_FMT, HF_SPAN_ARG(minor));
            return 1;
        }
        for (size_t i = 0; i < HF_ARRAY_LEN(pmos); i++)
            if (hf_span_eqz(hf_span_from(v, v.p[0] == 'v'), pmos[i][0])) {
                NS(0, "alpine:%s", pmos[i][1]);
                return 1;
            }
        return 0;
    }
    static const char *const rolling[] = {"wolfi", "chainguard", "minimos"};
    for (size_t i = 0; i < HF_ARRAY_LEN(rolling); i++)
        if (IS(rolling[i])) {
            *scheme = HF_SCHEME_APK;
            NS(0, "%s", rolling[i]);
            return 1;
        }
    static const char *const rpm_major[][2] = {{"almalinux", "almalinux"}, {"rocky", "rocky"}, {"rhel", "redhat"}, {"centos", "redhat"},
            {"amzn", "amazon"}, {"azurelinux", "azurelinux"}, {"mariner", "azurelinux"}, {"photon", "photon"}, {"ol", "oracle"}, {"fedora", "fedora"}};
    for (size_t i = 0; i < HF_ARRAY_LEN(rpm_major); i++)
        if (IS(rpm_major[i][0])) {
            *scheme = HF_SCHEME_RPM;
            NS(0, "%s:" HF_SPAN_FMT, rpm_major[i][1], HF_SPAN_ARG(major));
            /* Rocky and AlmaLinux have their own feeds; where those are missing RHEL's speaks of the same sources (R13). */
            bool rebuild = IS("rocky") || IS("almalinux");
            if (rebuild)
                NS(1, "redhat:" HF_SPAN_FMT, HF_SPAN_ARG(major));
            return !major.n ? 0 : rebuild ? 2 : 1;
        }
    if (IS("sles") || IS("sled")) {
        *scheme = HF_SCHEME_RPM;
        NS(0, "suse:" HF_SPAN_FMT, HF_SPAN_ARG(v));
        return v.n ? 1 : 0;
    }
    if (IS("alpaquita") || IS("mageia")) {
        *scheme = IS("mageia") ? HF_SCHEME_RPM : HF_SCHEME_APK;
        NS(0, HF_SPAN_FMT ":" HF_SPAN_FMT, HF_SPAN_ARG(id), HF_SPAN_ARG(hf_span_sub(v, 0, 32)));
        return v.n ? 1 : 0;
    }
    if (IS("opensuse-leap") || IS("opensuse-tumbleweed")) {
        *scheme = HF_SCHEME_RPM;
        if (IS("opensuse-leap"))
            NS(0, "opensuse:leap " HF_SPAN_FMT, HF_SPAN_ARG(v));
        else
            NS(0, "opensuse:tumbleweed");
        return 1;
    }
    return 0;
#undef IS
#undef NS
}

const char *hf_ns_from_type(enum hf_pkg_type t, enum hf_scheme *scheme)
{
    static const struct {
        enum hf_pkg_type type;
        const char *ns;
        enum hf_scheme scheme;
    } map[] = {{HF_PKG_PYPI, "pypi", HF_SCHEME_PEP440}, {HF_PKG_NPM, "npm", HF_SCHEME_SEMVER}, {HF_PKG_GO, "go", HF_SCHEME_GO},
            {HF_PKG_MAVEN, "maven", HF_SCHEME_MAVEN}, {HF_PKG_GEM, "gem", HF_SCHEME_GEM}, {HF_PKG_CARGO, "cargo", HF_SCHEME_SEMVER},
            {HF_PKG_NUGET, "nuget", HF_SCHEME_NUGET}, {HF_PKG_COMPOSER, "packagist", HF_SCHEME_PACKAGIST}, {HF_PKG_HEX, "hex", HF_SCHEME_HEX},
            {HF_PKG_PUB, "pub", HF_SCHEME_PUB}, {HF_PKG_BITNAMI, "bitnami", HF_SCHEME_BITNAMI}};
    for (size_t i = 0; i < HF_ARRAY_LEN(map); i++)
        if (map[i].type == t) {
            *scheme = map[i].scheme;
            return map[i].ns;
        }
    *scheme = HF_SCHEME_NONE;
    return NULL;
}

void hf_adv_name(struct hf_span ns, struct hf_span name, struct hf_buf *out)
{
    bool pypi = hf_span_eqz(ns, "pypi");
    bool lower = pypi || hf_span_eqz(ns, "nuget") || hf_span_eqz(ns, "packagist") || hf_span_eqz(ns, "hex") || hf_span_eqz(ns, "bitnami");
    bool go = hf_span_eqz(ns, "go");
    if (hf_span_eqz(ns, "swift")) { /* "https://github.com/a/b.git" is "github.com/a/b" */
        size_t at = hf_span_search(name, HF_S("://"));
        name = at == SIZE_MAX ? name : hf_span_from(name, at + 3);
        name.n -= hf_span_ends(name, HF_S(".git")) ? 4 : 0;
    }
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (pypi && (c == '-' || c == '_' || c == '.')) {
            /* PEP 503: a run of these is one '-' */
            if (i == 0 || !(name.p[i - 1] == '-' || name.p[i - 1] == '_' || name.p[i - 1] == '.'))
                hf_buf_addc(out, '-');
            continue;
        }
        if (go && c == '!' && i + 1 < name.n && name.p[i + 1] >= 'a' && name.p[i + 1] <= 'z') {
            hf_buf_addc(out, (char)(name.p[++i] - 32)); /* module cache escape: "!x" is "X" */
            continue;
        }
        hf_buf_addc(out, lower && c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
    }
}
