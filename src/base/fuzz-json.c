/* SPDX-License-Identifier: Apache-2.0 */
/* Document and stream agree on what is JSON as far as both see it; what the writer writes is JSON again. */
#include "base/json.h"

static int on_event(void *ctx, const struct hf_json_event *e)
{
    struct hf_jw *w = ctx;
    switch (e->kind) {
    case HF_JSON_KEY:
        hf_jw_key_span(w, e->text);
        break;
    case HF_JSON_STRING:
        hf_jw_str(w, e->text);
        break;
    case HF_JSON_OBJECT:
        hf_jw_object(w);
        break;
    case HF_JSON_OBJECT_END:
        hf_jw_object_end(w);
        break;
    case HF_JSON_ARRAY:
        hf_jw_array(w);
        break;
    case HF_JSON_ARRAY_END:
        hf_jw_array_end(w);
        break;
    case HF_JSON_BOOL:
        hf_jw_bool(w, e->boolean);
        break;
    case HF_JSON_NULL:
    case HF_JSON_NUMBER:
    default:
        hf_jw_null(w);
        break;
    }
    return 0;
}

static int nothing(void *ctx, const struct hf_json_event *e)
{
    (void)ctx, (void)e;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span text = hf_span((const char *)data, size);
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf out = HF_BUF_INIT(8 << 20);
    struct hf_jw w;
    hf_jw_init(&w, &out, size & 1);
    hf_cleanup(hf_json_stream_freep) struct hf_json_stream *s = hf_json_stream_new(on_event, &w);
    int rc = hf_json_stream_feed(s, hf_span_sub(text, 0, size / 2), &err);
    if (rc >= 0)
        rc = hf_json_stream_feed(s, hf_span_from(text, size / 2), &err);
    if (rc >= 0)
        rc = hf_json_stream_end(s, &err);
    if (rc < 0 && !err.msg[0])
        abort();
    if (rc >= 0 && size && hf_buf_ok(&out)) {
        hf_cleanup(hf_json_stream_freep) struct hf_json_stream *again = hf_json_stream_new(nothing, NULL);
        if (hf_json_stream_feed(again, hf_buf_span(&out), NULL) < 0 || hf_json_stream_end(again, NULL) < 0)
            abort();
    }
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    if (hf_json_parse(text, &d, &err) >= 0)
        HF_JFOREACH(n, hf_json_root(d))
            (void)hf_jname(n), (void)hf_jstr(n);
    return 0;
}
