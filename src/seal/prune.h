/* SPDX-License-Identifier: Apache-2.0 */
/* prune.h - a bound for the seals that `watch` makes by itself (STATE/seals).
 *
 * Those files have the mode 0400 and the time of their last use as time of modification; what a person made is 0600 and stays.  The ones used longest ago
 * go first.  Links by manifest that lead nowhere go too. */
#pragma once
#include "base/span.h"

#define HF_SEAL_MADE_MODE 0400                /* of files that watch made */
#define HF_SEAL_KEEP_BYTES (512ull << 20)     /* of those: some hundred images of usual size */

struct hf_seal_prune_opts {
    const char *dir;
    uint64_t max_bytes;
    uint64_t older_than_s; /* not used for as long: goes in any case; 0: no age */
    bool dry_run;
    bool (*in_use)(void *ctx, const char *name); /* NULL: none is; name as in the folder */
    void (*gone)(void *ctx, const char *name, uint64_t bytes, uint64_t unused_s); /* NULL: nobody wants to know */
    void *ctx;
};
struct hf_seal_pruned {
    uint64_t removed, removed_bytes, kept, kept_bytes, of_people; /* of_people: seals that watch did not make */
};
/* A folder that is not there holds nothing.  -errno of the first that could not be removed; the rest is done all the same. */
HF_MUSTUSE int hf_seal_prune(const struct hf_seal_prune_opts *o, struct hf_seal_pruned *ret, struct hf_err *err);
