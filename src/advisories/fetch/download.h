/* SPDX-License-Identifier: Apache-2.0 */
/* download.h - one file over HTTP, resumable, replaced as a whole.  Spec: RFC 9110 sections 8.8, 13, 14 (validators, conditions, ranges). */
#pragma once
#include "base/progress.h"

struct hf_download {
    const char *url;
    const char *path;      /* PATH.part, PATH.meta beside it */
    uint64_t max_bytes;
    const char *sha256;    /* 64 hex digits that the content must have, or NULL */
    bool may_be_missing;   /* 404 and 410 are HF_E_NOT_FOUND without a message */
    struct hf_progress *progress;
};
/* 1: PATH is new; 0: unchanged.  HF_E_NOT_FOUND, HF_E_DIGEST, HF_E_LIMIT, -EIO and others say what went wrong with which address; PATH is
 * as before then, and what arrived is kept in PATH.part where it can be resumed. */
HF_MUSTUSE int hf_download(const struct hf_download *d, struct hf_err *err);
/* The same into memory (small documents; never conditional). */
HF_MUSTUSE int hf_download_text(const char *url, struct hf_buf *out, struct hf_err *err);
/* HF_E_USAGE unless url is https, or http to this machine. */
HF_MUSTUSE int hf_download_check_url(const char *url, struct hf_err *err);
