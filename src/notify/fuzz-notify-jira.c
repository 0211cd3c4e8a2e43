// SPDX-License-Identifier: Apache-2.0
/* Jira's and Slack's answers of any bytes: texts stay within their promises, an address leads nowhere else. */
#include <stdlib.h>

#include "notify/answers-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span s = hf_span((const char *)data, size);
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_autobuf text = HF_BUF_INIT(64 << 10);
    if (hf_na_slack_url_ok(HF_S("https://slack.com/api"), s) && (!hf_span_starts(s, HF_S("wss://")) || hf_span_find(s, '\n') != SIZE_MAX))
        abort();
    if (hf_json_parse_within(s, 8u << 20, &doc, &err) < 0)
        return 0;
    hf_jnode root = hf_json_root(doc);
    hf_na_jira_text(hf_jget(root, "body"), &text);
    if (text.n > 2000 || !hf_span_is_utf8(hf_buf_span(&text)))
        abort();
    if (hf_na_jira_id(hf_jget(root, "author")).n > 190)
        abort();
    hf_jnode mover = hf_na_jira_mover(root);
    return mover && !hf_jget(root, "changelog") ? abort(), 0 : 0;
}
