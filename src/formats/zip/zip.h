/* SPDX-License-Identifier: Apache-2.0 */
/* zip.h - members of a zip archive (jar, war, ...) by random access.  Spec: PKWARE APPNOTE.TXT 6.3.10, sections 4.3 to 4.5.
 *
 * Reads the central directory in order; members are stored or deflated.  Archives behind a prefix (self-extracting) and zip64 are
 * read; encrypted, split and otherwise compressed members are HF_E_UNSUPPORTED one by one. */
#pragma once
#include "base/ra.h"

enum { HF_ZIP_MEMBERS_MAX = 1 << 20, HF_ZIP_NAME_MAX = 4096 };

struct hf_zip {
    struct hf_ra ra;
    uint64_t prefix;         /* bytes before the archive proper: offsets are relative to it */
    uint64_t at, end;        /* of the central directory that is left */
    uint64_t announced;      /* members, as the end record says; the directory's bytes decide (as in Java) */
    uint64_t seen;           /* members read */
    struct hf_buf window;    /* piece of the central directory */
    uint64_t window_at;
};
struct hf_zip_member {
    struct hf_span name;     /* borrowed until the next hf_zip_next */
    uint16_t flags, method;
    uint32_t crc;
    uint64_t packed, size;   /* bytes, as the central directory says */
    uint64_t header;         /* offset of the local header in the file */
};
/* HF_E_FORMAT when there is no end record or it does not fit the file. */
HF_MUSTUSE int hf_zip_open(struct hf_zip *z, const struct hf_ra *ra, struct hf_err *err);
void hf_zip_done(struct hf_zip *z);
/* 1, 0 at the end; HF_E_FORMAT, HF_E_TRUNCATED, HF_E_LIMIT: nothing after this place is read. */
HF_MUSTUSE int hf_zip_next(struct hf_zip *z, struct hf_zip_member *ret, struct hf_err *err);
/* Where the bytes of a stored member are, without reading them. */
HF_MUSTUSE int hf_zip_stored(const struct hf_zip *z, const struct hf_zip_member *m, struct hf_ra *ret, struct hf_err *err);
/* The member's content into out (emptied first; its ceiling: HF_E_LIMIT).  Size and CRC-32 are checked. */
HF_MUSTUSE int hf_zip_read(const struct hf_zip *z, const struct hf_zip_member *m, struct hf_buf *out, struct hf_err *err);
