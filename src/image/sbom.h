/* SPDX-License-Identifier: Apache-2.0 */
/* sbom.h - an SBOM instead of an image: CycloneDX JSON (1.2 to 1.6), or a list of purls, one a line ('#' begins a comment).
 *
 * Only what the document says is believed: nothing else is opened.  Spec: cyclonedx.org/docs/1.6/json, package-url/purl-spec. */
#pragma once
#include "result/scan.h"

/* Whether the file begins like an SBOM that hf_sbom_read reads.  False also when it cannot be opened. */
bool hf_sbom_is(const char *path);

/* Fills target, release, packages, incomplete, files and bytes of the scan (initialised by the caller); path "-" is standard input.
 * Components that cannot be matched (no purl, a type without advisories) are listed as incomplete.  HF_E_FORMAT, HF_E_UNSUPPORTED
 * (SPDX, XML), HF_E_LIMIT, -errno. */
HF_MUSTUSE int hf_sbom_read(const char *path, struct hf_scan *scan, struct hf_err *err);
/* The same from memory; name is what locations call the document. */
HF_MUSTUSE int hf_sbom_parse(struct hf_span text, struct hf_span name, struct hf_scan *scan, struct hf_err *err);
