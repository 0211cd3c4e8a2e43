/* SPDX-License-Identifier: Apache-2.0 */
/* purl.h - package URLs.  Spec: github.com/package-url/purl-spec, PURL-SPECIFICATION and PURL-TYPES; docs/formats/purl.md.
 *
 * Only the types of enum hf_pkg_type are read.  The subpath (#...) names something inside a package and is dropped. */
#pragma once
#include "base/mem.h"
#include "packages/package.h"

enum { HF_PURL_MAX = 8 << 10 }; /* bytes of text that hf_purl_parse reads */

/* Appends the canonical purl of a package; os gives the distro qualifier of OS packages (NULL: only what p->qualifiers says).
 * A qualifier in p->qualifiers goes before one derived from p or os.  0, HF_E_FORMAT (no name: nothing appended) or
 * HF_E_LIMIT (the ceiling of out). */
int hf_purl_make(const struct hf_package *p, const struct hf_os_release *os, struct hf_buf *out);

/* Fills *ret from a purl: the inverse of hf_purl_make, lenient where the spec asks for it (scheme and type in any case, "pkg://",
 * npm scopes with a plain '@').  "arch", "epoch", "upstream" and "rpmmod" go to their own members, every other qualifier
 * ("distro" too) stays in ret->qualifiers.  Spans belong to the arena.
 * HF_E_FORMAT (says what is wrong), HF_E_UNSUPPORTED (a type that we do not know), HF_E_LIMIT. */
HF_MUSTUSE int hf_purl_parse(struct hf_span text, struct hf_arena *a, struct hf_package *ret, struct hf_err *err);

/* The decoded value of one qualifier in p->qualifiers, appended to out; false when it is not there. */
bool hf_purl_qualifier(const struct hf_package *p, const char *key, struct hf_buf *out);
