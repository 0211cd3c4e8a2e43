/* SPDX-License-Identifier: Apache-2.0 */
/* report.h - writing scan results.  A new output is one file here and one row in writers.c. */
#pragma once
#include "result/scan.h"

struct hf_report_opts {
    bool color, why, only_fixed, all_rows;
    unsigned width; /* columns of the terminal; 0: no limit */
};
typedef int (*hf_report_sink)(void *ctx, struct hf_span piece);
struct hf_writer {
    const char *name, *summary;
    /* Gives the sink piece after piece; < 0: what the sink returned, or HF_E_LIMIT. */
    int (*write)(const struct hf_scan *s, const struct hf_report_opts *o, hf_report_sink sink, void *ctx);
};
const struct hf_writer *hf_writer_by_name(struct hf_span name);
extern const struct hf_writer hf_writer_table, hf_writer_json, hf_writer_cyclonedx;

/* Hands the buffer to the sink once it holds enough, and empties it. */
int hf_report_flush(struct hf_buf *b, bool last, hf_report_sink sink, void *ctx);
/* RFC 3339 UTC of seconds since the epoch. */
const char *hf_report_time(uint64_t unix_time, char out[32]);
/* Diff id (or digest) of a layer as text; empty without layers. */
struct hf_span hf_report_layer(const struct hf_scan *s, uint32_t layer);
/* One of "vulnerabilities" of holdfast.scan/1, as an object. */
struct hf_jw;
void hf_report_vulnerability(struct hf_jw *w, const struct hf_scan *s, const struct hf_vuln *v);
/* Whether a vulnerability counts under the options. */
bool hf_report_shows(const struct hf_vuln *v, const struct hf_report_opts *o);
