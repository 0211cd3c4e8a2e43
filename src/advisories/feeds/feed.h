/* SPDX-License-Identifier: Apache-2.0 */
/* feed.h - one reader a format of advisory data.  A new feed is one file here and one row in feeds.c.
 *
 * A reader is a pure function of the bytes given; what it cannot use it counts as rejected and goes on. */
#pragma once
#include "advisories/db/build.h"

struct hf_feed {
    const char *name; /* first part of the source's name: "osv", "debian-tracker", ... */
    /* Whether a document is of this format, by its name and first bytes (at most 4 KiB). */
    bool (*is)(struct hf_span file_name, struct hf_span head);
    /* Reads a whole document.  < 0: it is damaged as a whole (err says where); records read before stay. */
    int (*read)(struct hf_advb *b, struct hf_span file_name, struct hf_span bytes, struct hf_err *err);
};
extern const struct hf_feed hf_feed_osv, hf_feed_secdb, hf_feed_debian, hf_feed_kev, hf_feed_epss;

/* One OSV record (for members of a zip). 1 taken, 0 left out on purpose (withdrawn, nothing we match), HF_E_FORMAT. */
HF_MUSTUSE int hf_osv_record(struct hf_advb *b, struct hf_span json, struct hf_err *err);
/* RFC 3339 or a date to seconds since the epoch; 0 when it is not one. */
uint64_t hf_feed_time(struct hf_span text);
/* The feed a document belongs to, or NULL. */
const struct hf_feed *hf_feed_of(struct hf_span file_name, struct hf_span head);
