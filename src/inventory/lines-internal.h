/* SPDX-License-Identifier: Apache-2.0 */
/* lines-internal.h - what is kept between lines. */
#pragma once
#include "base/mem.h"
#include "inventory/inventory-internal.h"

struct box { /* a container */
    char *id, *digest, *image, *row; /* digest: "" unknown; row: its document */
    char name[256];
    int64_t started, gone, told; /* gone 0: it runs; told: time of the last line that said so */
    bool pending, sandbox;
};
struct wanted {
    char *digest, *ref, *box; /* box: id of a container that runs it */
    unsigned tries;
    int64_t not_before;
    bool asked; /* given out, no answer yet */
    int64_t asked_at;
};
struct hf_inv {
    struct hf_store *s;
    char *host_id, *host_name;
    struct box **box;
    size_t n_box, cap_box;
    struct hf_map boxes; /* id -> index + 1 */
    struct hf_span *use; /* digest, NUL, "name version"; malloc'd */
    size_t n_use, cap_use, use_written;
    struct hf_map used;
    struct wanted *want;
    size_t n_want, cap_want;
    struct hf_map scanned; /* digests that the store has a scan of, or that wait (keys: known[]) */
    char **known;
    size_t n_known, cap_known;
    size_t pending;
    int64_t since, host_told;
    int64_t watched_ns; /* the sensor began then and has told what runs: others are to be ended; 0: they were */
    uint64_t full;
    struct hf_buf missing;
};
struct box *hf_inv_box(struct hf_inv *v, struct hf_span id);
/* The image of a container that began: 1 when it is to be scanned and was not known to be. */
int hf_inv_wanted_image(struct hf_inv *v, const struct box *b, struct hf_err *err);
int hf_inv_wanted_load(struct hf_inv *v, struct hf_err *err);
void hf_inv_wanted_done(struct hf_inv *v);
/* How many packages were marked. */
int hf_inv_mark_used(struct hf_store *s, struct hf_span digest, struct hf_span name, struct hf_span version, struct hf_err *err);
