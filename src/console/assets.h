/* SPDX-License-Identifier: Apache-2.0 */
/* assets.h - the page, embedded at build time by tools/embed-assets from src/console/web. */
#pragma once
#include <stddef.h>

struct hf_asset {
    const char *name, *type; /* "app.js"; "app/map.js" */
    const char *etag;        /* of the content, with quotes */
    const unsigned char *p, *gz; /* gz: the same, gzip; NULL: would not be smaller */
    size_t n, gz_n;
};
extern const struct hf_asset hf_assets[]; /* ends with name NULL */
extern const char hf_assets_hash[];       /* of all of them: served below /assets/HASH/ */
