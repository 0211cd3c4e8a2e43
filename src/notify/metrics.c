// SPDX-License-Identifier: Apache-2.0
#include "notify/metrics.h"

#include <stdio.h>

#include "base/json.h"
#include "notify/otlp.h"

enum { CUMULATIVE = 2 }; /* AGGREGATION_TEMPORALITY_CUMULATIVE */

static void number(struct hf_jw *w, const char *key, const char *format, long long v)
{
    char text[48];
    snprintf(text, sizeof text, "%lld%s", v, format); /* 64-bit integers are strings in protobuf's JSON */
    hf_jw_kstrz(w, key, text);
}

static void point(struct hf_jw *w, const struct hf_nmetric *m, int64_t start_s, int64_t now_s)
{
    hf_jw_object(w);
    hf_jw_key(w, "attributes");
    hf_jw_array(w);
    for (unsigned i = 0; i < HF_NMETRIC_LABELS && m->labels[i].key; i++)
        hf_notlp_attribute(w, m->labels[i].key, m->labels[i].value);
    hf_jw_array_end(w);
    if (!m->gauge)
        number(w, "startTimeUnixNano", "000000000", start_s);
    number(w, "timeUnixNano", "000000000", now_s);
    number(w, "asInt", "", m->value > INT64_MAX ? INT64_MAX : (long long)m->value);
    hf_jw_object_end(w);
}

void hf_nmetrics_otlp(const struct hf_nmetric *v, size_t n, const char *host, int64_t start_s, int64_t now_s, struct hf_buf *out)
{
    struct hf_jw w;
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_key(&w, "resourceMetrics");
    hf_jw_array(&w);
    hf_jw_object(&w);
    hf_notlp_resource(&w, hf_span_z(host));
    hf_jw_key(&w, "scopeMetrics");
    hf_jw_array(&w);
    hf_jw_object(&w);
    hf_jw_key(&w, "scope");
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "name", "holdfast");
    hf_jw_kstrz(&w, "version", HF_VERSION);
    hf_jw_object_end(&w);
    hf_jw_key(&w, "metrics");
    hf_jw_array(&w);
    for (size_t i = 0; i < n;) {
        size_t first = i;
        hf_jw_object(&w);
        hf_jw_kstrz(&w, "name", v[i].name);
        hf_jw_kstrz(&w, "description", v[i].help);
        hf_jw_kstrz(&w, "unit", v[i].unit);
        hf_jw_key(&w, v[i].gauge ? "gauge" : "sum");
        hf_jw_object(&w);
        hf_jw_key(&w, "dataPoints");
        hf_jw_array(&w);
        for (; i < n && !strcmp(v[i].name, v[first].name); i++)
            point(&w, &v[i], start_s, now_s);
        hf_jw_array_end(&w);
        if (!v[first].gauge) {
            hf_jw_ku64(&w, "aggregationTemporality", CUMULATIVE);
            hf_jw_kbool(&w, "isMonotonic", true);
        }
        hf_jw_object_end(&w);
        hf_jw_object_end(&w);
    }
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
}
