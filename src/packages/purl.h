/* SPDX-License-Identifier: Apache-2.0 */
/* purl.h - package URLs.  Spec: github.com/package-url/purl-spec, PURL-SPECIFICATION and PURL-TYPES. */
#pragma once
#include "packages/package.h"

/* Appends the purl of a package; os gives the distro qualifier of OS packages. */
void hf_purl_make(const struct hf_package *p, const struct hf_os_release *os, struct hf_buf *out);
