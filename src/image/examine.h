/* SPDX-License-Identifier: Apache-2.0 */
/* examine.h - an opened image to a scan result: layers walked and verified in parallel, facts cached, merged. */
#pragma once
#include "image/cache.h"
#include "image/image.h"
#include "result/scan.h"

struct hf_examine_opts {
    unsigned threads;
    uint64_t max_memory; /* bytes, for everything sized by input */
    bool verify;
    bool quiet;
    struct hf_cache *cache; /* may be NULL */
    struct hf_tree *tree;   /* filled with every file and its digest, for a seal; NULL: nothing is hashed for it */
};
/* What must live as long as the scan: the records its spans point into. */
struct hf_examined {
    struct hf_record *records;
    size_t n;
};
void hf_examined_done(struct hf_examined *e);

/* Analysers' version, for hf_cache_open. */
void hf_examine_version(struct hf_buf *out);

/* Fills scan (initialised by the caller) except vulnerabilities.  A digest that does not match is an error (HF_E_DIGEST, naming both);
 * a layer that cannot be read to its end becomes an incomplete record and what was gathered is kept. */
HF_MUSTUSE int hf_examine(struct hf_image *img, const struct hf_examine_opts *o, struct hf_scan *scan, struct hf_examined *ret,
        struct hf_err *err);
