/* SPDX-License-Identifier: Apache-2.0 */
/* keep.h - retention, moving a store to another, checking one. */
#pragma once
#include "store/store.h"

struct hf_retention {
    int64_t alerts_ns, incidents_ns, containers_ns, dead_ns; /* age; 0: keep.  Incidents count from when they were resolved */
    int64_t images_ns;                                       /* since the scan, of images no container of which is known any longer; 0: keep */
    uint64_t alerts_bytes, incidents_bytes;                  /* of their documents; 0: no limit */
};
struct hf_retained {
    uint64_t alerts, incidents, containers, dead, images; /* deleted */
    uint64_t notes;                                       /* of channels, about incidents that are gone: always, a day after the last change */
};
/* As the settings store.keep_... say; images as long as containers. */
struct hf_config;
void hf_store_retention(const struct hf_config *c, struct hf_retention *ret);
/* Deletes what is too old or too much, oldest first, in transactions of at most 1000 rows, so that others get their turn.  Never
 * deleted: incidents that are not resolved and the alerts of such (but when alerts_bytes is exceeded those too, after all others),
 * audit entries, running containers.  An audit entry says how many were deleted ("retention").  *ret says what was deleted also when < 0. */
HF_MUSTUSE int hf_store_retain(
        struct hf_store *s, const struct hf_retention *r, int64_t now, struct hf_retained *ret, struct hf_err *err);
/* How many it would be, changing nothing; for a store opened HF_STORE_READ_ONLY too.  Notes: of incidents that are gone already. */
HF_MUSTUSE int hf_store_retain_count(
        struct hf_store *s, const struct hf_retention *r, int64_t now, struct hf_retained *ret, struct hf_err *err);

/* Copies everything from one store to another, which must be empty (HF_E_USAGE else), in one transaction there, with the audit chain
 * verified afterwards.  Writers of `from` wait meanwhile.  progress (may be NULL) is called with table and rows so far. */
typedef void (*hf_store_progress)(void *ctx, const char *table, uint64_t rows);
HF_MUSTUSE int hf_store_migrate(
        struct hf_store *from, struct hf_store *to, hf_store_progress progress, void *ctx, struct hf_err *err);

/* Checks each table (every row is read; SQLite also its pages and indexes), the audit chain and settings that endanger what is acknowledged.
 * cb gets one line a part: problem NULL when it is good.  Goes on after a problem.  Returns how many problems, or < 0. */
typedef void (*hf_store_check_cb)(void *ctx, const char *part, uint64_t rows, const char *problem);
HF_MUSTUSE int hf_store_check(struct hf_store *s, hf_store_check_cb cb, void *ctx, struct hf_err *err);
