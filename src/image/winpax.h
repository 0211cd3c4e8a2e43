/* SPDX-License-Identifier: Apache-2.0 */
/* winpax.h - what layers of Windows images say of a file beside what every tar says: its attributes and its security descriptor, as pax records (Microsoft hcsshim, pkg/ociwclayer and
 * go-winio backuptar: MSWINDOWS.fileattr, MSWINDOWS.rawsd), which libarchive passes over.
 *
 * The bytes of a tar are shown to it as they go by; it keeps the records of headers that lie ahead of what is asked for.  A tar that it cannot follow (damaged headers, GNU's sparse
 * files) loses it for good: nothing is guessed.  Limits: 1 MiB of pax records a file, 64 KiB a descriptor, 4,096 files ahead. */
#pragma once
#include "base/span.h"

struct hf_winpax;
struct hf_winpax *hf_winpax_new(void); /* NULL without memory */
void hf_winpax_free(struct hf_winpax *w);
/* Bytes at this offset of the tar, in order; what lies between the contents of files may be left out. */
void hf_winpax_bytes(struct hf_winpax *w, uint64_t offset, struct hf_span bytes);
/* Of the entry whose first header stands at this offset; asked in order.  1 and what hf_winfile_read takes (borrowed until the next call), 0: it has none, < 0: not known. */
int hf_winpax_entry(struct hf_winpax *w, uint64_t offset, struct hf_span *ret);

/* In place of it, where there is one that could not be read. */
#define HF_WINFILE_LOST "\xff"

/* The two as they are kept. */
struct hf_winfile {
    bool has_attributes;
    uint32_t attributes;  /* FILE_ATTRIBUTE_* (MS-FSCC 2.6) */
    struct hf_span sd;    /* self-relative security descriptor (MS-DTYP 2.4.6), or empty */
};
/* Appends a name in one case, byte for byte as long: what Windows takes for the same name (letters of ASCII, Latin-1, Latin Extended-A, Greek and Cyrillic). */
void hf_win_fold(struct hf_span name, struct hf_buf *out);
/* false: not as hf_winpax_entry gives it. */
bool hf_winfile_read(struct hf_span bytes, struct hf_winfile *ret);
