/* SPDX-License-Identifier: Apache-2.0 */
/* version.h - the order of versions, one scheme an ecosystem.  Each scheme is one file here with its test table made by the
 * reference implementation; see docs/formats/versions.md for sources. */
#pragma once
#include "base/span.h"

enum hf_scheme {
    HF_SCHEME_DEB, HF_SCHEME_RPM, HF_SCHEME_APK, HF_SCHEME_PEP440, HF_SCHEME_SEMVER, HF_SCHEME_GO, HF_SCHEME_MAVEN,
    HF_SCHEME_GEM, HF_SCHEME_NUGET, HF_SCHEME_PACKAGIST, HF_SCHEME_PUB, HF_SCHEME_HEX, HF_SCHEME_BITNAMI,
    HF_SCHEMES,
    HF_SCHEME_NONE = HF_SCHEMES /* ecosystems without an order: only explicit version lists match */
};
enum { HF_CMP_INVALID = 2 };

/* -1, 0 or 1 as a is before, equal to or after b; HF_CMP_INVALID when either is not a version of the scheme.
 * Total over valid versions, linear time, no allocation for spans up to 64 KiB. */
HF_MUSTUSE int hf_version_cmp(enum hf_scheme s, struct hf_span a, struct hf_span b);
bool hf_version_valid(enum hf_scheme s, struct hf_span v);
/* "deb", "rpm", "apk", "pep440", "semver", "npm" (= semver), "cargo", "go", "maven", "gem", "nuget", "packagist", ...
 * HF_SCHEME_NONE when unknown. */
enum hf_scheme hf_scheme_by_name(struct hf_span name);
const char *hf_scheme_name(enum hf_scheme s);
