/* SPDX-License-Identifier: Apache-2.0 */
/* tarsplit.h - one line of a tar-split file (github.com/vbatts/tar-split, tar/storage): what containers/storage keeps of a layer's tar beside the files it
 * unpacked, so that the very tar can be put together again.
 *
 * A line is a JSON object: {"type": 2, "payload": BASE64} are bytes of the tar as they were (headers, padding), {"type": 1, "name": NAME, "size": N} stands for
 * the N bytes of the unpacked file NAME ("name_raw", base64, when it is not UTF-8).  The checksum of a file ("payload" there) is left to whoever hashes the whole. */
#pragma once
#include "base/span.h"

enum {
    HF_TARSPLIT_LINE_MAX = 8 << 20, /* a segment: a header with its extended attributes, or the zeroes at the end */
};
struct hf_tarsplit {
    bool file;
    uint64_t size; /* file: bytes */
};
/* bytes (cleared first): the segment, or the file's name as the tar has it, without a NUL in it.  HF_E_FORMAT, HF_E_LIMIT. */
HF_MUSTUSE int hf_tarsplit_read(struct hf_span line, struct hf_tarsplit *ret, struct hf_buf *bytes, struct hf_err *err);
