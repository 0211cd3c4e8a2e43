/* SPDX-License-Identifier: Apache-2.0 */
/* package.h - what an installed package is, the same for every ecosystem, and what a release of an OS is.
 *
 * Spans are borrowed from the arena of whoever made the record. */
#pragma once
#include "base/span.h"

enum hf_pkg_type {
    HF_PKG_DEB, HF_PKG_APK, HF_PKG_RPM, HF_PKG_PYPI, HF_PKG_NPM, HF_PKG_GO, HF_PKG_MAVEN, HF_PKG_GEM, HF_PKG_CARGO,
    /* only from SBOMs for now */
    HF_PKG_NUGET, HF_PKG_COMPOSER, HF_PKG_HEX, HF_PKG_PUB, HF_PKG_BITNAMI, HF_PKG_GENERIC,
    HF_PKG_TYPES
};
/* purl type ("deb", "pypi", "golang", "maven", ...), static. */
const char *hf_pkg_type_name(enum hf_pkg_type t);

enum hf_pkg_flags {
    HF_PKG_DEV = 1 << 0,         /* development dependency (lock files) */
    HF_PKG_MAIN_MODULE = 1 << 1, /* Go: the binary's own module */
    HF_PKG_STDLIB = 1 << 2,      /* Go: standard library */
    HF_PKG_SHADED = 1 << 3,      /* Java: found as pom.properties of another archive's child (R28) */
    HF_PKG_NOT_MATCHED = 1 << 4, /* must not be matched; see unmatched_why (R9, R27) */
    HF_PKG_SYMBOLS = 1 << 6,     /* Go: symbols says what is linked of the module */
    HF_PKG_MATCHER_SAYS = 1 << 7, /* NOT_MATCHED was set by the matcher, whose mind another database may change; not by the cataloger */
    HF_PKG_GUESSED = 1 << 5,     /* identity guessed from a file name or manifest, not from metadata made for it */
};

struct hf_package {
    enum hf_pkg_type type;
    unsigned flags;
    struct hf_span name;      /* as its ecosystem writes it; Maven "group:artifact"; Go module path */
    struct hf_span version;   /* full: deb "1:2.3-4", rpm "[epoch:]version-release", apk "1.2-r0" */
    struct hf_span arch;
    struct hf_span namespace; /* purl namespace where not in the name: distro id for deb/apk/rpm; filled by the merge */
    struct hf_span source_name, source_version; /* deb Source, rpm SOURCERPM (no epoch), apk origin; empty: same as binary */
    struct hf_span vendor;    /* rpm Vendor, deb Maintainer (R9) */
    struct hf_span module;    /* rpm MODULARITYLABEL, whole (R17) */
    struct hf_span qualifiers; /* further purl qualifiers, "k=v&k=v", sorted, percent-encoded; may be empty */
    struct hf_span checksum;  /* "sha1:...", "sha256:..." when the metadata has one */
    struct hf_span unmatched_why;
    struct hf_span owner_key; /* joins hf_facts_owned/hf_facts_license records of the same type; empty: none */
    struct hf_span install_root; /* lock files and manifests: directory the record speaks of; usually empty */
    struct hf_span symbols;      /* gosymbols.h */
    const struct hf_span *licenses; /* SPDX expressions or the words used */
    size_t n_licenses;
};

struct hf_os_release { /* os-release(5), or the older files */
    struct hf_span id, id_like, version_id, version_codename, pretty_name, variant_id;
    struct hf_span cpe_name;
};
