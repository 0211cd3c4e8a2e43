/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <sys/mman.h>

#include "tap.h"

/* Events as text: one letter a kind, and the depth they report. */
static int trace(void *ctx, const struct hf_json_event *ev)
{
    static const char letters[] = "nb#sk{}[]";
    hf_buf_addf(ctx, "%c%u", letters[ev->kind], ev->depth);
    if (ev->kind == HF_JSON_BOOL)
        hf_buf_addc(ctx, ev->boolean ? 't' : 'f');
    if (ev->text.n)
        hf_buf_addf(ctx, "=" HF_SPAN_FMT, HF_SPAN_ARG(ev->text));
    hf_buf_addc(ctx, ' ');
    return hf_span_eqz(ev->text, "stop") ? HF_E_NOT_FOUND : 0;
}

/* Feeds text in pieces of `piece` bytes; what was traced is left in out. */
static int stream(struct hf_span text, size_t piece, struct hf_buf *out, struct hf_err *err)
{
    hf_cleanup(hf_json_stream_freep) struct hf_json_stream *s = hf_json_stream_new(trace, out);
    int rc = 0;
    for (size_t i = 0; i < text.n && rc >= 0; i += piece)
        rc = hf_json_stream_feed(s, hf_span_sub(text, i, piece), err);
    if (rc < 0) {
        OK(hf_json_stream_feed(s, HF_S(" "), NULL) == rc && hf_json_stream_end(s, NULL) == rc); /* stays failed */
        return rc;
    }
    return hf_json_stream_end(s, err);
}

static void streams(void)
{
    struct hf_span text = HF_S("{\"a\": [1, -2.50e+3, \"x\\u00e9\\n\", true, false, null], \"b\": {}}\n");
    const char *expect = "{0 k1=a [1 #2=1 #2=-2.50e+3 s2=x\xc3\xa9\n b2t b2f n2 ]1 k1=b {1 }1 }0 ";
    for (size_t piece = 1; piece <= text.n; piece = piece * 2 + 1) {
        hf_autobuf out = HF_BUF_INIT(4096);
        OK(stream(text, piece, &out, NULL) == 0);
        EQ_S(hf_buf_span(&out), expect);
    }
    static const struct {
        const char *text;
        int rc;
        uint64_t at_least, at_most;
    } bad[] = {
            {"", HF_E_TRUNCATED, 0, 0},
            {"{\"a\":", HF_E_TRUNCATED, 5, 5},
            {"[1,2", HF_E_TRUNCATED, 4, 4},
            {"\"open", HF_E_TRUNCATED, 5, 5},
            {"[1 2]", HF_E_FORMAT, 3, 4},
            {"{\"a\" 1}", HF_E_FORMAT, 5, 6},
            {"[1]]", HF_E_FORMAT, 3, 4},
            {"{} {}", HF_E_FORMAT, 3, 4},
            {"[\"\xff\"]", HF_E_FORMAT, 2, 3},
            {"[\"a\nb\"]", HF_E_FORMAT, 3, 4},
            {"[01]", HF_E_FORMAT, 2, 3},
            {"// no\n[]", HF_E_FORMAT, 0, 1},
            {"nul!", HF_E_FORMAT, 3, 4},
            {"[0, \"stop\", 1]", HF_E_NOT_FOUND, 10, 11},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
        struct hf_err err = HF_ERR_INIT;
        hf_autobuf out = HF_BUF_INIT(4096);
        int rc = stream(hf_span_z(bad[i].text), SIZE_MAX / 2, &out, &err);
        if (!OK(rc == bad[i].rc && err.offset >= bad[i].at_least && err.offset <= bad[i].at_most && err.msg[0]))
            printf("# %s: rc %d, offset %llu, %s\n", bad[i].text, rc, (unsigned long long)err.offset, err.msg);
        OK(strstr(err.msg, "at byte ") && !strchr(err.msg, '?'));
    }
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf out = HF_BUF_INIT(4096);
    hf_autobuf pieces = HF_BUF_INIT(4096);
    hf_buf_addz(&pieces, "[1,                                     x]");
    OK(stream(hf_buf_span(&pieces), 8, &out, &err) == HF_E_FORMAT && err.offset >= 40 && err.offset <= 41); /* offsets count all pieces */
}

static void depth(void)
{
    for (unsigned deep = HF_JSON_DEPTH; deep <= HF_JSON_DEPTH + 1; deep++) {
        hf_autobuf t = HF_BUF_INIT(4096);
        hf_autobuf out = HF_BUF_INIT(1 << 16);
        struct hf_err err = HF_ERR_INIT;
        struct hf_json_doc *d = NULL;
        for (unsigned i = 0; i < deep; i++)
            hf_buf_addc(&t, '[');
        for (unsigned i = 0; i < deep; i++)
            hf_buf_addc(&t, ']');
        int expect = deep > HF_JSON_DEPTH ? HF_E_LIMIT : 0;
        EQ_I(stream(hf_buf_span(&t), 100, &out, &err), expect);
        OK(!expect || strstr(err.msg, "nested"));
        EQ_I(hf_json_parse(hf_buf_span(&t), &d, &err), expect);
        OK(!d == !!expect);
        hf_json_doc_free(d);
    }
    /* A hundred thousand deep, both closed and not. */
    hf_autobuf t = HF_BUF_INIT(1 << 20);
    hf_autobuf out = HF_BUF_INIT(1 << 16);
    struct hf_json_doc *d = NULL;
    for (unsigned i = 0; i < 100000; i++)
        hf_buf_addz(&t, "{\"a\":");
    OK(hf_json_parse(hf_buf_span(&t), &d, NULL) == HF_E_LIMIT && !d);
    OK(stream(hf_buf_span(&t), 4096, &out, NULL) == HF_E_LIMIT);
}

static void limits(void)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_json_doc *d = NULL;
    hf_autobuf t = HF_BUF_INIT(HF_JSON_DOC_MAX + 1u);
    hf_buf_addc(&t, '[');
    for (unsigned i = 0; i < HF_JSON_NODES_MAX; i++)
        hf_buf_addz(&t, "1,");
    hf_buf_addz(&t, "1]");
    OK(hf_json_parse(hf_buf_span(&t), &d, &err) == HF_E_LIMIT && strstr(err.msg, "values"));
    OK(hf_buf_reserve(&t, t.max - t.n));
    memset(t.p + t.n, ' ', t.max - t.n);
    t.n = t.max;
    OK(hf_json_parse(hf_buf_span(&t), &d, &err) == HF_E_LIMIT && strstr(err.msg, "at once"));
    /* One string without an end: memory must not follow it. */
    hf_autobuf out = HF_BUF_INIT(64);
    memset(t.p, 'a', t.n);
    t.p[0] = '"';
    OK(stream(hf_buf_span(&t), 65536, &out, &err) == HF_E_LIMIT && err.offset <= HF_JSON_TOKEN_MAX + 65536u && strstr(err.msg, "string or number"));
    t.p[HF_JSON_TOKEN_MAX - 2] = '"'; /* just short enough */
    OK(stream(hf_span(t.p, HF_JSON_TOKEN_MAX - 1), 65536, &out, &err) == 0);
}

static void documents(void)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    OK(hf_json_parse(HF_S("\xef\xbb\xbf{\"a\":{\"b\":\"text\"},\"A\":2.5,\"l\":[1,\"x\",true],\"u\":\"\\u00fc\\ud83d\\ude00\",\"a\":7}\n"), &d, &err) == 0);
    hf_jnode root = hf_json_root(d);
    EQ_S(hf_jgetstr(hf_jget(root, "a"), "b"), "text"); /* the first of two */
    EQ_S(hf_jgetstr(root, "u"), "\xc3\xbc\xf0\x9f\x98\x80");
    double v = 0;
    OK(hf_jnum(hf_jget(root, "A"), &v) && v > 2.4 && v < 2.6);
    OK(!hf_jnum(hf_jget(root, "l"), &v) && hf_jget(root, "L") == NULL);
    unsigned n = 0;
    HF_JFOREACH(item, hf_jget(root, "l"))
        n += hf_jis_str(item) ? 10 : hf_jis_true(item) ? 100 : 1;
    EQ_U(n, 111);
    EQ_S(hf_jname(hf_jfirst(root)), "a");
    OK(hf_jis_object(root) && hf_jis_array(hf_jget(root, "l")) && !hf_jis_array(root));
    /* Wrong kinds and missing things are nothing, at any depth. */
    OK(hf_jget(hf_jget(hf_jget(root, "zz"), "y"), "x") == NULL && hf_jget(hf_jget(root, "l"), "x") == NULL);
    OK(hf_jstr(root).n == 0 && hf_jstr(NULL).n == 0 && hf_jfirst(NULL) == NULL && hf_jnext(NULL) == NULL && hf_jfirst(hf_jget(root, "u")) == NULL);
    OK(hf_json_root(NULL) == NULL && hf_jname(NULL).n == 0 && !hf_jis_true(NULL));

    static const struct {
        struct hf_span text;
        uint64_t offset;
    } bad[] = {{HF_S(""), 0}, {HF_S("\xef\xbb\xbf"), 3}, {HF_S("   "), 3}, {HF_S("{"), 1}, {HF_S("{\"a\":1,"), 7}, {HF_S("[1,]"), 3}, {HF_S("\"open"), 0},
            {HF_S("[] x"), 2}, {HF_S("\xef\xbb\xbf[] x"), 5}, {HF_S("[\"a\\u0000b\"]"), 3}, {HF_S("[1]\0"), 3}, {HF_S("\"\\"), 0}, {HF_S("[\"\\ud800\"]"), 1}, {HF_S("tru"), 0}};
    for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
        struct hf_json_doc *none = NULL;
        int rc = hf_json_parse(bad[i].text, &none, &err);
        if (!OK(rc == HF_E_FORMAT && !none && err.offset + 1 >= bad[i].offset && err.offset <= bad[i].offset + 4))
            printf("# case %zu: rc %d, offset %llu, %s\n", i, rc, (unsigned long long)err.offset, err.msg);
    }
    /* A backslash before "u0000" is not that escape. */
    struct hf_json_doc *e = NULL;
    OK(hf_json_parse(HF_S("\"\\\\u0000\""), &e, &err) == 0);
    EQ_S(hf_jstr(hf_json_root(e)), "\\u0000");
    hf_json_doc_free(e);
}

/* The libraries are not built with our sanitizers: a page that cannot be read right behind the text shows a read past its
 * end (CVE-2023-53154 of cJSON was one). */
static void ends(void)
{
    static const char *const texts[] = {"{\"1\":1,", "{\"a\":[1,2,{\"b\":null", "[12", "[1.5e", "\"abc", "\"ab\\", "\"ab\\u", "\"ab\\u12", "\"\\ud83d\\ude", "\"\\ud83d", "{", "[", "{\"a\"",
            "{\"a\":", "tru", "-", "nul", " ", "[1,", "\xef\xbb\xbf{", "\xef\xbb", "1", "12", "[]", "{} "};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *m = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!OK(m != MAP_FAILED && mprotect(m + page, page, PROT_NONE) == 0))
        return;
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
        for (size_t n = 0; n <= strlen(texts[i]); n++) {
            memcpy(m + page - n, texts[i], n);
            struct hf_span text = hf_span(m + page - n, n);
            struct hf_json_doc *d = NULL;
            (void)!hf_json_parse(text, &d, NULL);
            hf_json_doc_free(d);
            hf_autobuf out = HF_BUF_INIT(4096);
            hf_cleanup(hf_json_stream_freep) struct hf_json_stream *s = hf_json_stream_new(trace, &out);
            (void)!(hf_json_stream_feed(s, text, NULL) < 0 || hf_json_stream_end(s, NULL) < 0);
        }
    munmap(m, 2 * page);
    OK(true);
}

static void writing(void)
{
    hf_autobuf b = HF_BUF_INIT(4096);
    struct hf_jw w;
    for (int pretty = 0; pretty < 2; pretty++) {
        hf_buf_clear(&b);
        hf_jw_init(&w, &b, pretty);
        hf_jw_object(&w);
        hf_jw_kstrz(&w, "s", "q\"\\\n\x01\x7f/\xc3\xbc\xff\xe2\x80\xae");
        hf_jw_key(&w, "l");
        hf_jw_array(&w);
        hf_jw_u64(&w, UINT64_MAX);
        hf_jw_i64(&w, INT64_MIN);
        hf_jw_fixed(&w, 7.25, 1);
        hf_jw_fixed(&w, 1.0 / 0.0, 1);
        hf_jw_array(&w);
        hf_jw_array_end(&w);
        hf_jw_object(&w);
        hf_jw_object_end(&w);
        hf_jw_null(&w);
        hf_jw_array_end(&w);
        hf_jw_kstr_opt(&w, "none", hf_span(NULL, 0));
        hf_jw_kstr(&w, "e", hf_span(NULL, 0));
        hf_jw_ku64(&w, "u", 0);
        hf_jw_kbool(&w, "t", true);
        hf_jw_object_end(&w);
        EQ_S(hf_buf_span(&b), pretty ? "{\n  \"s\": \"q\\\"\\\\\\n\\u0001\\u007f/\xc3\xbc\xef\xbf\xbd\\u202e\",\n  \"l\": [\n    18446744073709551615,\n"
                                       "    -9223372036854775808,\n    7.2,\n    null,\n    [],\n    {},\n    null\n  ],\n  \"e\": \"\",\n  \"u\": 0,\n  \"t\": true\n}"
                                     : "{\"s\":\"q\\\"\\\\\\n\\u0001\\u007f/\xc3\xbc\xef\xbf\xbd\\u202e\",\"l\":[18446744073709551615,-9223372036854775808,7.2,null,[],{},null],"
                                       "\"e\":\"\",\"u\":0,\"t\":true}");
    }
    /* As deep as it can go, and one deeper. */
    for (unsigned deep = 255; deep <= 256; deep++) {
        hf_buf_clear(&b);
        hf_jw_init(&w, &b, false);
        for (unsigned i = 0; i < deep; i++)
            hf_jw_array(&w);
        for (unsigned i = 0; i < deep; i++)
            hf_jw_array_end(&w);
        OK(hf_buf_ok(&b) == (deep == 255));
    }
}

int main(void)
{
    streams();
    depth();
    limits();
    documents();
    ends();
    writing();
    return tap_done();
}
