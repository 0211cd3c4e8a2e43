/* SPDX-License-Identifier: Apache-2.0 */
/* deb822.h - Debian control paragraphs (deb822(5)) and the licences of a Debian copyright file (copyright-format 1.0).
 *
 * Everything returned is borrowed from the text given; nothing is allocated.  Work is linear in the text.  Not done here:
 * which package is installed and what its fields mean (packages/dpkg.c). */
#pragma once
#include "base/span.h"

struct hf_deb822_field {
    struct hf_span name;  /* as written; names compare without case */
    struct hf_span value; /* trimmed; further lines keep their line breaks and leading space */
};

/* Takes the next paragraph (lines up to an empty one) off *rest; false at the end. */
bool hf_deb822_paragraph(struct hf_span *rest, struct hf_span *ret);
/* Takes the next field off *para: 1, 0 at the end, HF_E_DAMAGED_ENTRY for a line that is no field (the caller may go on
 * with the next).  Lines that begin with '#' are comments. */
HF_MUSTUSE int hf_deb822_field(struct hf_span *para, struct hf_deb822_field *ret, struct hf_err *err);
/* First line of a value. */
struct hf_span hf_deb822_first_line(struct hf_span value);

/* Calls cb once for each different licence named in a copyright file: the short names of `License:` fields when the file is
 * machine-readable, else names under /usr/share/common-licenses/ and some well-known phrases.  work is scratch.
 * 0, HF_E_LIMIT (more than HF_COPYRIGHT_LICENSES names, or work's ceiling), or what cb returned. */
enum { HF_COPYRIGHT_LICENSES = 128, HF_COPYRIGHT_NAME = 200 };
typedef int (*hf_copyright_cb)(void *ctx, struct hf_span license, struct hf_err *err);
HF_MUSTUSE int hf_copyright_licenses(struct hf_span text, struct hf_buf *work, hf_copyright_cb cb, void *ctx,
        struct hf_err *err);
