/* SPDX-License-Identifier: Apache-2.0 */
/* watch-map.h - who talks to whom: the tracker's edges as an aligned table, or as one line of JSON (docs/schema/map-1.json). */
#pragma once
#include "event/track.h"

/* wanted: whether an edge that touches this container (NULL: the host, or elsewhere) is asked for; one end is enough.  What is written: at most
 * the tracker's edges, in an order of their own.  -ENOMEM. */
HF_MUSTUSE int hf_watch_map(const struct hf_track *t, bool json, bool (*wanted)(void *ctx, const struct hf_container *c), void *ctx, struct hf_buf *out, struct hf_err *err);
