/* SPDX-License-Identifier: Apache-2.0 */
#include "advisories/version/scheme.h"

enum { MAX_VERSION = 64 << 10 };

static const struct {
    const char *name;
    int (*cmp)(struct hf_span a, struct hf_span b);
} schemes[HF_SCHEMES] = {
        [HF_SCHEME_DEB] = {"deb", hf_cmp_deb}, [HF_SCHEME_RPM] = {"rpm", hf_cmp_rpm}, [HF_SCHEME_APK] = {"apk", hf_cmp_apk},
        [HF_SCHEME_PEP440] = {"pep440", hf_cmp_pep440}, [HF_SCHEME_SEMVER] = {"semver", hf_cmp_semver}, [HF_SCHEME_GO] = {"go", hf_cmp_go},
        [HF_SCHEME_MAVEN] = {"maven", hf_cmp_maven}, [HF_SCHEME_GEM] = {"gem", hf_cmp_gem}, [HF_SCHEME_NUGET] = {"nuget", hf_cmp_nuget},
        [HF_SCHEME_PACKAGIST] = {"packagist", hf_cmp_packagist}, [HF_SCHEME_PUB] = {"pub", hf_cmp_pub}, [HF_SCHEME_HEX] = {"hex", hf_cmp_hex},
        [HF_SCHEME_BITNAMI] = {"bitnami", hf_cmp_bitnami},
};
static const struct {
    const char *alias;
    enum hf_scheme scheme;
} aliases[] = {{"npm", HF_SCHEME_SEMVER}, {"cargo", HF_SCHEME_SEMVER}, {"pypi", HF_SCHEME_PEP440}, {"composer", HF_SCHEME_PACKAGIST}, {"golang", HF_SCHEME_GO}};

int hf_version_cmp(enum hf_scheme s, struct hf_span a, struct hf_span b)
{
    if ((unsigned)s >= HF_SCHEMES || a.n > MAX_VERSION || b.n > MAX_VERSION)
        return HF_CMP_INVALID;
    return schemes[s].cmp(a, b);
}

bool hf_version_valid(enum hf_scheme s, struct hf_span v)
{
    return hf_version_cmp(s, v, v) == 0;
}

enum hf_scheme hf_scheme_by_name(struct hf_span name)
{
    for (unsigned i = 0; i < HF_SCHEMES; i++)
        if (hf_span_eqz(name, schemes[i].name))
            return (enum hf_scheme)i;
    for (size_t i = 0; i < HF_ARRAY_LEN(aliases); i++)
        if (hf_span_eqz(name, aliases[i].alias))
            return aliases[i].scheme;
    return HF_SCHEME_NONE;
}

const char *hf_scheme_name(enum hf_scheme s)
{
    return (unsigned)s < HF_SCHEMES ? schemes[s].name : "none";
}

struct hf_span hf_take_digits(struct hf_span *s)
{
    size_t n = 0;
    while (n < s->n && hf_digit(s->p[n]))
        n++;
    struct hf_span out = hf_span(s->p, n);
    *s = hf_span_from(*s, n);
    return out;
}

int hf_cmp_digits(struct hf_span a, struct hf_span b)
{
    while (a.n && a.p[0] == '0')
        a = hf_span_from(a, 1);
    while (b.n && b.p[0] == '0')
        b = hf_span_from(b, 1);
    if (a.n != b.n)
        return a.n < b.n ? -1 : 1;
    return hf_span_cmp(a, b);
}

int hf_cmp_nocase(struct hf_span a, struct hf_span b)
{
    size_t n = HF_MIN(a.n, b.n);
    for (size_t i = 0; i < n; i++) {
        unsigned char x = (unsigned char)hf_lower(a.p[i]), y = (unsigned char)hf_lower(b.p[i]);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return a.n < b.n ? -1 : a.n > b.n;
}
