/* SPDX-License-Identifier: Apache-2.0 */
/* A stream gives the same events however it is cut; what the writer writes of them is JSON again; and where both readers take
 * a text they see the same in it. */
#include "base/json.h"

struct seen {
    struct hf_buf text; /* the events, written down */
    struct hf_jw w;
};

static void note(struct hf_buf *b, enum hf_json_ev kind, unsigned depth, struct hf_span text)
{
    hf_buf_addf(b, "%d.%u.%zu:", (int)kind, depth, text.n);
    hf_buf_adds(b, text);
}

static int on_event(void *ctx, const struct hf_json_event *e)
{
    struct seen *s = ctx;
    bool number = e->kind == HF_JSON_NUMBER; /* one reader has the text, the other the value */
    note(&s->text, e->kind, e->depth, e->kind == HF_JSON_BOOL ? (e->boolean ? HF_S("t") : HF_S("f")) : number ? HF_S("") : e->text);
    switch (e->kind) {
    case HF_JSON_KEY:
        hf_jw_key_span(&s->w, e->text);
        break;
    case HF_JSON_STRING:
        hf_jw_str(&s->w, e->text);
        break;
    case HF_JSON_OBJECT:
        hf_jw_object(&s->w);
        break;
    case HF_JSON_OBJECT_END:
        hf_jw_object_end(&s->w);
        break;
    case HF_JSON_ARRAY:
        hf_jw_array(&s->w);
        break;
    case HF_JSON_ARRAY_END:
        hf_jw_array_end(&s->w);
        break;
    case HF_JSON_BOOL:
        hf_jw_bool(&s->w, e->boolean);
        break;
    case HF_JSON_NUMBER:
        if (!e->text.n)
            abort();
        hf_jw_u64(&s->w, 0);
        break;
    case HF_JSON_NULL:
    default:
        hf_jw_null(&s->w);
        break;
    }
    return 0;
}

static int stream(struct hf_span text, size_t piece, struct seen *s, struct hf_buf *json, struct hf_err *err)
{
    hf_buf_init(&s->text, 64 << 20);
    hf_jw_init(&s->w, json, text.n & 1);
    hf_cleanup(hf_json_stream_freep) struct hf_json_stream *j = hf_json_stream_new(on_event, s);
    int rc = 0;
    for (size_t i = 0; i < text.n && rc >= 0; i += piece)
        rc = hf_json_stream_feed(j, hf_span_sub(text, i, piece), err);
    return rc < 0 ? rc : hf_json_stream_end(j, err);
}

/* HF_JSON_DEPTH bounds the recursion. */
static void walk(hf_jnode n, unsigned depth, struct hf_buf *b)
{
    double v;
    struct hf_span none = HF_S("");
    if (hf_jis_object(n) || hf_jis_array(n)) {
        bool object = hf_jis_object(n);
        if (depth >= HF_JSON_DEPTH)
            abort();
        note(b, object ? HF_JSON_OBJECT : HF_JSON_ARRAY, depth, none);
        HF_JFOREACH(child, n) {
            if (object)
                note(b, HF_JSON_KEY, depth + 1, hf_jname(child));
            walk(child, depth + 1, b);
        }
        note(b, object ? HF_JSON_OBJECT_END : HF_JSON_ARRAY_END, depth, none);
    } else if (hf_jis_str(n)) {
        note(b, HF_JSON_STRING, depth, hf_jstr(n));
    } else if (hf_jnum(n, &v)) {
        note(b, HF_JSON_NUMBER, depth, none);
    } else if (hf_jis_true(n)) {
        note(b, HF_JSON_BOOL, depth, HF_S("t"));
    } else { /* false and null look alike here; the stream tells them apart */
        note(b, HF_JSON_NULL, depth, none);
    }
}

static bool compares(struct hf_span text)
{
    /* Half a surrogate pair is '?' to one reader and an error to the other; false and null: see walk. */
    return hf_span_search(text, HF_S("\\u")) == SIZE_MAX && hf_span_search(text, HF_S("false")) == SIZE_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span text = hf_span((const char *)data, size);
    struct hf_err err = HF_ERR_INIT, err2 = HF_ERR_INIT, err3 = HF_ERR_INIT;
    struct seen whole, cut;
    hf_autobuf json = HF_BUF_INIT(64 << 20);
    hf_autobuf json2 = HF_BUF_INIT(64 << 20);
    int rc = stream(text, size ? size : 1, &whole, &json, &err);
    size_t piece = size < 4096 ? 1 : 1000;
    int rc2 = stream(text, piece, &cut, &json2, &err2);
    if (rc != rc2 || !hf_span_eq(hf_buf_span(&whole.text), hf_buf_span(&cut.text)))
        abort();
    if (rc < 0 && (!err.msg[0] || err.offset > size))
        abort();
    if (rc >= 0) {
        hf_cleanup(hf_json_doc_freep) struct hf_json_doc *again = NULL;
        if (!hf_buf_ok(&json))
            abort();
        int back = hf_json_parse(hf_buf_span(&json), &again, &err3);
        if (back < 0 && back != HF_E_LIMIT && !strstr(err3.msg, "NUL"))
            abort();
    }
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    int rd = hf_json_parse(text, &d, &err3);
    if (rd < 0 ? d || !err3.msg[0] || err3.offset > size : !d)
        abort();
    if (rd >= 0 && rc >= 0 && compares(text)) {
        hf_autobuf seen = HF_BUF_INIT(64 << 20);
        walk(hf_json_root(d), 0, &seen);
        if (!hf_span_eq(hf_buf_span(&seen), hf_buf_span(&whole.text)))
            abort();
    }
    hf_buf_done(&whole.text);
    hf_buf_done(&cut.text);
    return 0;
}
