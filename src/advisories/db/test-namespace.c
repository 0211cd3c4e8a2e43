/* SPDX-License-Identifier: Apache-2.0 */
#include "advisories/db/namespace.h"
#include "tap.h"

static const struct {
    const char *ecosystem, *ns; /* NULL: not one we match */
    enum hf_scheme scheme;
} osv[] = {
        {"Debian:12", "debian:12", HF_SCHEME_DEB}, {"Ubuntu:22.04:LTS", "ubuntu:22.04", HF_SCHEME_DEB}, {"Ubuntu:23.10", "ubuntu:23.10", HF_SCHEME_DEB},
        {"Ubuntu:Pro:16.04:LTS", "ubuntu:16.04:pro", HF_SCHEME_DEB}, {"Ubuntu:Pro:FIPS:20.04:LTS", "ubuntu:20.04:fips", HF_SCHEME_DEB},
        {"Alpine:v3.18", "alpine:3.18", HF_SCHEME_APK}, {"Alpine:edge", "alpine:edge", HF_SCHEME_APK}, {"Wolfi", "wolfi", HF_SCHEME_APK},
        {"Chainguard", "chainguard", HF_SCHEME_APK}, {"AlmaLinux:9", "almalinux:9", HF_SCHEME_RPM}, {"Rocky Linux:8", "rocky:8", HF_SCHEME_RPM},
        {"Red Hat:enterprise_linux:9::baseos", "redhat:9", HF_SCHEME_RPM}, {"Red Hat:openshift:4.12::el8", NULL, 0}, {"Red Hat:rhel_eus:9.2::appstream", NULL, 0},
        {"SUSE:Linux Enterprise Server 15 SP5", "suse:15.5", HF_SCHEME_RPM}, {"SUSE:Linux Enterprise Module for Basesystem 15 SP5", "suse:15.5", HF_SCHEME_RPM},
        {"SUSE:Linux Enterprise Server 12 SP5-LTSS", "suse:linux enterprise server 12 sp5-ltss", HF_SCHEME_RPM},
        {"openSUSE:Leap 15.5", "opensuse:leap 15.5", HF_SCHEME_RPM}, {"openSUSE:Tumbleweed", "opensuse:tumbleweed", HF_SCHEME_RPM},
        {"Photon OS:5.0", "photon:5", HF_SCHEME_RPM}, {"Azure Linux:3", "azurelinux:3", HF_SCHEME_RPM}, {"PyPI", "pypi", HF_SCHEME_PEP440},
        {"npm", "npm", HF_SCHEME_SEMVER}, {"crates.io", "cargo", HF_SCHEME_SEMVER}, {"Go", "go", HF_SCHEME_GO}, {"RubyGems", "gem", HF_SCHEME_GEM},
        {"Packagist:https://packages.drupal.org/8", "packagist", HF_SCHEME_PACKAGIST}, {"Maven:https://repo1.maven.org/maven2", "maven", HF_SCHEME_MAVEN},
        {"NuGet", "nuget", HF_SCHEME_NUGET}, {"Bitnami", "bitnami", HF_SCHEME_BITNAMI}, {"OSS-Fuzz", NULL, 0}, {"Linux", NULL, 0}, {"Debian", NULL, 0},
        {"Debian:", NULL, 0}, {"", NULL, 0}, {"Ubuntu:Pro", NULL, 0}, {"debian:12", NULL, 0}, {"Debian:12\n", "debian:12", HF_SCHEME_DEB},
        {"Alpine:v3\n", NULL, 0},
};

static const struct {
    const char *id, *version, *codename, *pretty;
    const char *ns[4];
} systems[] = {
        {"debian", "12", "bookworm", "Debian GNU/Linux 12 (bookworm)", {"debian:12"}}, {"raspbian", "11", "bullseye", "", {"debian:11"}},
        {"debian", "", "forky", "Debian GNU/Linux forky/sid", {"debian:14", "debian:sid"}}, {"debian", "", "", "Debian GNU/Linux trixie/sid", {"debian:13", "debian:sid"}},
        {"debian", "", "", "", {NULL}}, {"ubuntu", "22.04", "jammy", "", {"ubuntu:22.04", "ubuntu:22.04:pro"}}, {"alpine", "3.18.4", "", "", {"alpine:3.18"}},
        {"alpine", "3.20_alpha20240329", "", "", {"alpine:edge"}}, {"alpine", "", "", "", {"alpine:edge"}}, {"postmarketos", "v24.06", "", "", {"alpine:3.20"}},
        {"postmarketos", "edge", "", "", {"alpine:edge"}}, {"wolfi", "20230201", "", "", {"wolfi"}}, {"chainguard", "20230214", "", "", {"chainguard"}},
        {"almalinux", "9.3", "", "", {"almalinux:9", "redhat:9"}}, {"rocky", "8.9", "", "", {"rocky:8", "redhat:8"}}, {"centos", "7", "", "", {"redhat:7"}},
        {"rhel", "9.4", "", "", {"redhat:9"}}, {"amzn", "2023", "", "", {"amazon:2023"}}, {"mariner", "2.0", "", "", {"azurelinux:2"}},
        {"azurelinux", "3.0", "", "", {"azurelinux:3"}}, {"photon", "5.0", "", "", {"photon:5"}}, {"sles", "15.5", "", "", {"suse:15.5"}},
        {"opensuse-leap", "15.6", "", "", {"opensuse:leap 15.6"}}, {"opensuse-tumbleweed", "20240101", "", "", {"opensuse:tumbleweed"}},
        {"plan9", "4", "", "", {NULL}}, {"", "", "", "", {NULL}},
};

static const struct {
    const char *ns, *name, *want;
} names[] = {
        {"pypi", "Zope.Interface", "zope-interface"}, {"pypi", "a__.b", "a-b"}, {"nuget", "Newtonsoft.Json", "newtonsoft.json"}, {"npm", "JSONStream", "JSONStream"},
        {"npm", "@Scope/x", "@Scope/x"}, {"go", "github.com/!burnt!sushi/toml", "github.com/BurntSushi/toml"}, {"go", "github.com/A/b", "github.com/A/b"},
        {"packagist", "Symfony/HTTP", "symfony/http"}, {"maven", "org.A:b", "org.A:b"}, {"swift", "https://github.com/a/B.git", "github.com/a/B"},
        {"debian:12", "libC6", "libC6"}, {"go", "a!", "a!"},
};

int main(void)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(osv); i++) {
        char ns[HF_NS_MAX];
        enum hf_scheme scheme;
        int rc = hf_ns_from_osv(hf_span_z(osv[i].ecosystem), ns, &scheme);
        if (!tap_result(osv[i].ns ? rc == 0 && !strcmp(ns, osv[i].ns) && scheme == osv[i].scheme : rc == HF_E_UNSUPPORTED, __FILE__, __LINE__, osv[i].ecosystem))
            printf("# got %d %s\n", rc, rc < 0 ? "" : ns);
    }
    hf_autobuf text = HF_BUF_INIT(1000);
    for (size_t i = 0; i < 300; i++)
        hf_buf_addc(&text, 'x');
    hf_autobuf eco = HF_BUF_INIT(1000);
    hf_buf_addf(&eco, "openSUSE:%s", hf_buf_z(&text));
    char ns[HF_NS_MAX];
    enum hf_scheme scheme;
    EQ_I(hf_ns_from_osv(hf_buf_span(&eco), ns, &scheme), HF_E_UNSUPPORTED);
    for (size_t i = 0; i < HF_ARRAY_LEN(systems); i++) {
        struct hf_os_release os = {.id = hf_span_z(systems[i].id), .version_id = hf_span_z(systems[i].version),
                .version_codename = hf_span_z(systems[i].codename), .pretty_name = hf_span_z(systems[i].pretty)};
        char out[4][HF_NS_MAX];
        size_t n = hf_ns_from_os(&os, out, &scheme), want = 0;
        bool same = true;
        while (want < 4 && systems[i].ns[want])
            want++;
        for (size_t k = 0; k < n && n == want; k++)
            same &= !strcmp(out[k], systems[i].ns[k]);
        if (!tap_result(n == want && same, __FILE__, __LINE__, systems[i].id))
            printf("# %s: got %zu %s\n", systems[i].version, n, n ? out[0] : "");
    }
    struct hf_os_release hostile = {.id = HF_S("debian"), .version_id = hf_buf_span(&text), .pretty_name = hf_buf_span(&text)};
    char out[4][HF_NS_MAX];
    EQ_U(hf_ns_from_os(&hostile, out, &scheme), 0);
    hostile.id = HF_S("opensuse-leap");
    EQ_U(hf_ns_from_os(&hostile, out, &scheme), 1);
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++) {
        hf_autobuf got = HF_BUF_INIT(100);
        hf_adv_name(hf_span_z(names[i].ns), hf_span_z(names[i].name), &got);
        EQ_S(hf_buf_span(&got), names[i].want);
    }
    return tap_done();
}
