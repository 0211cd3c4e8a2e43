/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - numbers as OTLP metrics (opentelemetry-proto 1.x, metrics.proto; JSON as OTLP/HTTP has it).  Pure. */
#pragma once
#include "base/span.h"

enum { HF_NMETRICS_MAX = 512, HF_NMETRIC_LABELS = 2 };
struct hf_nmetric {
    const char *name, *unit, *help; /* "holdfast.deliveries", "{delivery}", a sentence */
    bool gauge;                     /* goes down, too; else it only grows since the start */
    uint64_t value;
    struct {
        const char *key;            /* NULL: no more */
        struct hf_span value;
    } labels[HF_NMETRIC_LABELS];
};
/* More numbers of the caller's: fills ret, at most max, returns how many.  Texts live until the call that asked returns.  From a thread of delivery. */
typedef size_t (*hf_nmetrics_cb)(void *ctx, struct hf_nmetric *ret, size_t max);

/* The body of a request to /v1/metrics.  Points of one name stand together. */
void hf_nmetrics_otlp(const struct hf_nmetric *v, size_t n, const char *host, int64_t start_s, int64_t now_s, struct hf_buf *out);
