/* SPDX-License-Identifier: Apache-2.0 */
/* os-release.h - assignments of os-release(5), and the one-line release files older systems have.
 *
 * Quoting as os-release(5) says: bare, "double" (backslash before $ ` " \ and the quote itself), 'single'; no variables, no
 * concatenation.  Not done here: what the fields mean (packages/os-release.c). */
#pragma once
#include "base/span.h"

enum { HF_OSREL_LINES = 4096 }; /* real files have about 20 */

struct hf_osrel {
    struct hf_span rest;
    struct hf_buf *work; /* values with escapes are written here */
    unsigned lines;
};
/* work is emptied; values stay valid as long as the text and work.  HF_E_LIMIT when work's ceiling is under the text. */
HF_MUSTUSE int hf_osrel_init(struct hf_osrel *r, struct hf_span text, struct hf_buf *work, struct hf_err *err);
/* Next assignment: 1, 0 at the end, HF_E_DAMAGED_ENTRY for a line that is none (the caller may go on), HF_E_LIMIT. */
HF_MUSTUSE int hf_osrel_next(struct hf_osrel *r, struct hf_span *ret_key, struct hf_span *ret_value, struct hf_err *err);

/* "CentOS Linux release 7.9.2009 (Core)": the text before " release " and the number after it, empty where a word stands
 * there (Rawhide).  false when not so. */
bool hf_release_line(struct hf_span text, struct hf_span *ret_name, struct hf_span *ret_version);
