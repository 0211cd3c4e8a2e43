/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.h - advisories from the public addresses, or from a mirror laid out alike, into a folder that hf_advdb_build reads.
 *
 * A file is asked for only when it changed (ETag, Last-Modified), resumed when it broke off (Range, If-Range), bounded in size
 * and time, checked against the checksum that the source gives (x-goog-hash of the public bucket, the index of a mirror) and
 * replaced as a whole.  TLS is verified; plain HTTP is for this machine only, and no redirect leaves TLS.  docs/formats/mirror.md */
#pragma once
#include "base/span.h"

struct hf_fetch_opts {
    const char *mirror;    /* "public", or the base address: https://HOST/PATH, http://127.0.0.1:PORT */
    const char *folder;    /* where files are kept, made when missing */
    const char *const *only; /* names of sources (the part of the list that is wanted); n_only 0: all */
    size_t n_only;
    bool quiet;
};
enum hf_fetch_state { HF_FETCH_NEW, HF_FETCH_SAME, HF_FETCH_MISSING, HF_FETCH_FAILED };
struct hf_fetch_result {
    unsigned count[HF_FETCH_FAILED + 1]; /* files by what became of them; MISSING: a mirror does not have it */
    struct hf_buf report; /* a line for each that failed, says why */
};
/* Fetches what there is into o->folder.  0 also when single files failed (result says so; their old copies stay); HF_E_USAGE for an
 * address or a source that is not one, HF_E_UNSUPPORTED without libcurl, -errno for the folder. */
HF_MUSTUSE int hf_fetch(const struct hf_fetch_opts *o, struct hf_fetch_result *ret, struct hf_err *err);
/* Whether text is an address rather than a path. */
bool hf_fetch_is_url(const char *text);
/* Path behind file://, or NULL. */
const char *hf_fetch_file_path(const char *text);

/* --- parts, for tests --- */

/* One file of the public list: its name for --source, its path in a mirror, its public address. */
struct hf_fetch_source {
    const char *name, *path, *url;
    uint64_t max_bytes;
};
extern const struct hf_fetch_source hf_fetch_sources[]; /* ends with name NULL */

/* Index of a mirror: {"schema": "holdfast.mirror/1", "files": [{"path", "size", "sha256"}]}.  Paths that leave the folder, and
 * everything else that is wrong, are HF_E_FORMAT. */
struct hf_mirror_file {
    struct hf_span path;
    uint64_t size;
    char sha256[65];
};
struct hf_mirror_index {
    struct hf_mirror_file *files;
    size_t n;
    struct hf_json_doc *doc;
};
HF_MUSTUSE int hf_mirror_index_parse(struct hf_span text, struct hf_mirror_index *ret, struct hf_err *err);
void hf_mirror_index_done(struct hf_mirror_index *x);
