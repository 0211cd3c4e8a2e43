/* SPDX-License-Identifier: Apache-2.0 */
#include "report/report.h"

#include <time.h>

const struct hf_writer *hf_writer_by_name(struct hf_span name)
{
    static const struct hf_writer *const all[] = {&hf_writer_table, &hf_writer_json, &hf_writer_cyclonedx};
    for (size_t i = 0; i < HF_ARRAY_LEN(all); i++)
        if (hf_span_eqz(name, all[i]->name))
            return all[i];
    return NULL;
}

int hf_report_flush(struct hf_buf *b, bool last, hf_report_sink sink, void *ctx)
{
    if (!hf_buf_ok(b))
        return HF_E_LIMIT;
    if (b->n < (64u << 10) && !last)
        return 0;
    int rc = sink(ctx, hf_buf_span(b));
    hf_buf_clear(b);
    return rc < 0 ? rc : 0;
}

const char *hf_report_time(uint64_t t, char out[32])
{
    struct tm tm;
    time_t when = t > INT64_MAX ? 0 : (time_t)t;
    if (!gmtime_r(&when, &tm) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        out[0] = 0;
    return out;
}

struct hf_span hf_report_layer(const struct hf_scan *s, uint32_t layer)
{
    return layer < s->n_layers ? (s->layers[layer].diff_id.n ? s->layers[layer].diff_id : s->layers[layer].digest) : hf_span("", 0);
}

bool hf_report_shows(const struct hf_vuln *v, const struct hf_report_opts *o)
{
    return !v->ignored_by.n && (!o->only_fixed || v->n_fixed_in);
}
