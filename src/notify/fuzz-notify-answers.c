// SPDX-License-Identifier: Apache-2.0
/* Slack's answers of any bytes, as a form and as an envelope: what is told stays within its promises. */
#include "notify/interact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct hf_ni *i)
{
    hf_autobuf out = HF_BUF_INIT(4096);
    if (i->incident.n > 64 || i->text.n > 4100 || i->response_url.n > 500 || !hf_span_is_utf8(i->text) || (i->response_url.n && !hf_span_starts(i->response_url, HF_S("https://hooks.slack.com/"))))
        abort();
    if (i->kind == HF_NI_BUTTON && (!i->user.n || i->button >= HF_NI_BUTTONS || (!i->incident.n && i->button != HF_NI_OPEN)))
        abort();
    hf_ni_acknowledge(i, &out);
    if (!hf_buf_ok(&out))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span s = hf_span((const char *)data, size);
    struct hf_err err = HF_ERR_INIT;
    hf_autoarena arena;
    struct hf_ni i;
    hf_arena_init(&arena, 1u << 20);
    if (hf_ni_read_form(&i, &arena, s, &err) == 0)
        look(&i);
    if (hf_ni_read_envelope(&i, &arena, s, &err) == 0)
        look(&i);
    if (hf_ni_read_request(&i, &arena, s, &err) == 0)
        look(&i);
    if (hf_ni_read_pagerduty(&i, &arena, s, &err) == 0)
        look(&i);
    if (hf_ni_verify_pagerduty(HF_S("secret"), s, s, &err) == 0)
        abort();
    if (hf_ni_verify(HF_S("secret"), HF_S("1531420618"), hf_span_sub(s, 0, 67), s, 1531420618, &err) == 0)
        abort(); /* nobody guesses it */
    return 0;
}
