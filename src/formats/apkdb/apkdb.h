/* SPDX-License-Identifier: Apache-2.0 */
/* apkdb.h - the installed database of apk-tools (apk-package(5), apk-installed(5)): one letter, a colon, the value; an empty
 * line ends a package.
 *
 * Everything returned is borrowed from the text (paths from the caller's buffer).  Linear, allocates only the path buffer. */
#pragma once
#include "base/span.h"

enum { HF_APK_PATH_MAX = 4096 };

struct hf_apk_pkg {
    struct hf_span name, version, arch, origin, license, maintainer; /* P V A o L m */
    struct hf_span checksum; /* C: as written, "Q1" + base64 of a SHA-1 or "Q2" + base64 of a SHA-256 */
    struct hf_span body;     /* the whole entry, for hf_apk_file */
};
struct hf_apk_files {
    struct hf_span rest, dir;
};
/* Takes the next package off *rest: 1, 0 at the end, HF_E_DAMAGED_ENTRY when it has no name or version (go on). */
HF_MUSTUSE int hf_apk_next(struct hf_span *rest, struct hf_apk_pkg *ret, struct hf_err *err);
/* Iterates the files (not directories): 1 and the path without leading slash, 0 at the end, HF_E_DAMAGED_ENTRY for a path
 * over HF_APK_PATH_MAX (go on).  Start with {pkg.body, {0}}. */
HF_MUSTUSE int hf_apk_file(struct hf_apk_files *it, struct hf_buf *path, struct hf_span *ret, struct hf_err *err);
/* "Q1..." to "sha1:<hex>", "Q2..." to "sha256:<hex>", appended to out.  false when it is neither. */
bool hf_apk_checksum(struct hf_span q, struct hf_buf *out);
