/* SPDX-License-Identifier: Apache-2.0 */
/* namespace.h - the keys advisories are filed under, and package names as each ecosystem normalises them (R13, R29).
 *
 * Namespaces are lower-case text: "debian:12", "ubuntu:22.04", "ubuntu:22.04:pro", "alpine:3.18", "alpine:edge", "wolfi",
 * "chainguard", "almalinux:9", "rocky:9", "redhat:9", "suse:...", "opensuse:...", and for languages "pypi", "npm", "go",
 * "maven", "gem", "cargo", "packagist", "nuget", "hex", "pub", "bitnami", ... */
#pragma once
#include "advisories/version/version.h"
#include "packages/package.h"

enum { HF_NS_MAX = 128 };
/* OSV `affected[].package.ecosystem` (OSV schema 1.7) to a namespace in out (NUL-terminated), e.g. "Debian:12" ->
 * "debian:12", "Ubuntu:Pro:22.04:LTS" -> "ubuntu:22.04:pro", "Alpine:v3.18" -> "alpine:3.18", "Red Hat:enterprise_linux:9::baseos" ->
 * "redhat:9", "crates.io" -> "cargo".  The scheme its versions follow goes to *scheme.  HF_E_UNSUPPORTED: not one we know. */
HF_MUSTUSE int hf_ns_from_osv(struct hf_span ecosystem, char out[HF_NS_MAX], enum hf_scheme *scheme);
/* Namespaces of an installed OS, best first (R13), at most 4; 0 when the OS has no feed we know. */
size_t hf_ns_from_os(const struct hf_os_release *os, char out[4][HF_NS_MAX], enum hf_scheme *scheme);
/* Namespace of a language package type; NULL for OS packages. */
const char *hf_ns_from_type(enum hf_pkg_type t, enum hf_scheme *scheme);
/* Name as the namespace normalises it (R29) appended to out. */
void hf_adv_name(struct hf_span ns, struct hf_span name, struct hf_buf *out);
