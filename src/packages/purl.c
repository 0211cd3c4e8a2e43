/* SPDX-License-Identifier: Apache-2.0 */
#include "packages/purl.h"

static void encode(struct hf_buf *out, struct hf_span s, bool lower)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (lower && c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' || c == '~' || c == ':';
        if (plain)
            hf_buf_addc(out, c);
        else
            hf_buf_addf(out, "%%%02X", (unsigned char)c);
    }
}

static void qualifier(struct hf_buf *out, bool *any, const char *key, struct hf_span value)
{
    if (!value.n)
        return;
    hf_buf_addc(out, *any ? '&' : '?');
    *any = true;
    hf_buf_addf(out, "%s=", key);
    encode(out, value, false);
}

void hf_purl_make(const struct hf_package *p, const struct hf_os_release *os, struct hf_buf *out)
{
    bool os_pkg = p->type == HF_PKG_DEB || p->type == HF_PKG_APK || p->type == HF_PKG_RPM;
    struct hf_span name = p->name, space = os_pkg ? p->namespace : hf_span("", 0), version = p->version, epoch = {NULL, 0};
    hf_buf_addf(out, "pkg:%s/", hf_pkg_type_name(p->type));
    bool lower = p->type == HF_PKG_PYPI || p->type == HF_PKG_COMPOSER || p->type == HF_PKG_DEB || p->type == HF_PKG_APK || p->type == HF_PKG_HEX || p->type == HF_PKG_BITNAMI;
    if (p->type == HF_PKG_MAVEN) {
        size_t colon = hf_span_find(name, ':');
        if (colon != SIZE_MAX) {
            space = hf_span(name.p, colon);
            name = hf_span_from(name, colon + 1);
        }
    } else if (p->type == HF_PKG_GO || p->type == HF_PKG_NPM || p->type == HF_PKG_COMPOSER) {
        space = hf_span_dirname(name);
        name = hf_span_basename(name);
    }
    struct hf_span rest = space, part;
    while (hf_span_cut(&rest, '/', &part)) {
        encode(out, part, lower);
        hf_buf_addc(out, '/');
    }
    if (p->type == HF_PKG_PYPI) {
        for (size_t i = 0; i < name.n; i++)
            encode(out, name.p[i] == '_' ? HF_S("-") : hf_span(name.p + i, 1), true);
    } else {
        encode(out, name, lower);
    }
    if (p->type == HF_PKG_RPM) {
        size_t colon = hf_span_find(version, ':');
        if (colon != SIZE_MAX) {
            epoch = hf_span(version.p, colon);
            version = hf_span_from(version, colon + 1);
        }
    }
    if (version.n) {
        hf_buf_addc(out, '@');
        encode(out, version, false);
    }
    bool any = false;
    if (os_pkg) {
        hf_autobuf distro = HF_BUF_INIT(256);
        if (os && os->id.n) {
            hf_buf_adds(&distro, hf_span_sub(os->id, 0, 100));
            if (os->version_id.n)
                hf_buf_addf(&distro, "-" HF_SPAN_FMT, HF_SPAN_ARG(hf_span_sub(os->version_id, 0, 100)));
        }
        hf_autobuf upstream = HF_BUF_INIT(1024);
        if (p->source_name.n && !hf_span_eq(p->source_name, p->name)) {
            hf_buf_adds(&upstream, hf_span_sub(p->source_name, 0, 400));
            if (p->source_version.n)
                hf_buf_addf(&upstream, "@" HF_SPAN_FMT, HF_SPAN_ARG(hf_span_sub(p->source_version, 0, 400)));
        }
        qualifier(out, &any, "arch", p->arch); /* sorted by key */
        qualifier(out, &any, "distro", hf_buf_span(&distro));
        qualifier(out, &any, "epoch", epoch);
        qualifier(out, &any, "upstream", hf_buf_span(&upstream));
    } else if (p->type == HF_PKG_GEM) {
        qualifier(out, &any, "platform", p->arch);
    }
}
