// SPDX-License-Identifier: Apache-2.0
/* Lines of any bytes: incidents come out that are within their bounds, can be read again, changed and written in every form. */
#include "incident/correlate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int look(void *ctx, const struct hf_inc *i, uint64_t base, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(HF_INC_MAX), again = HF_BUF_INIT(HF_INC_MAX), out = HF_BUF_INIT(16u << 20);
    hf_cleanup(hf_inc_freep) struct hf_inc *read = NULL;
    struct hf_inc_audit audit;
    (void)ctx;
    hf_inc_write(i, false, &text);
    if (!hf_buf_ok(&text) || hf_inc_parse(hf_buf_span(&text), &read, err) < 0 || hf_inc_number(i, "revision") != base + 1)
        abort();
    hf_inc_write(read, false, &again);
    if (!hf_span_eq(hf_buf_span(&text), hf_buf_span(&again)))
        abort();
    if (hf_inc_get(i, "summary").n > HF_INC_SUMMARY_MAX || !hf_inc_get(i, "title").n)
        abort();
    struct hf_inc_change c = {.verb = HF_INC_COMMENT, .time_ns = 1, .by = HF_S("a"), .via = HF_S("cli"), .text = hf_inc_get(i, "title")};
    if (hf_inc_apply(read, &c, &audit, err) != 1)
        abort();
    hf_inc_html(read, &out);
    if (!hf_buf_ok(&out) || hf_span_search(hf_buf_span(&out), HF_S("<script")) != SIZE_MAX)
        abort();
    hf_inc_markdown(read, &out);
    hf_inc_stix(read, &out);
    return hf_buf_ok(&out) ? 0 : (abort(), 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_corr_freep) struct hf_corr *c = hf_corr_new(HF_S("fuzz"));
    struct hf_span rest = hf_span((const char *)data, size), line;
    hf_cleanup(hf_inc_freep) struct hf_inc *doc = NULL;
    struct hf_corr_stats st;
    if (!c)
        return 0;
    while (hf_span_line(&rest, &line))
        if (hf_corr_line(c, line, &err) < 0 && !err.msg[0])
            abort();
    if (hf_corr_flush(c, look, NULL, &err) < 0)
        abort();
    hf_corr_stats(c, &st);
    if (st.held > HF_CORR_INCIDENTS_MAX || st.made < st.merged + st.held)
        abort();
    if (hf_inc_parse(hf_span((const char *)data, size), &doc, &err) == 0) { /* a document of any kind */
        hf_autobuf out = HF_BUF_INIT(64u << 20);
        hf_inc_html(doc, &out);
        hf_inc_markdown(doc, &out);
        hf_inc_stix(doc, &out);
        if (hf_corr_take(c, hf_span((const char *)data, size), &err) < 0)
            abort();
    }
    return 0;
}
