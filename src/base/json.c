/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <yajl/yajl_parse.h>

/* --- stream --- */

struct hf_json_stream {
    yajl_handle h;
    hf_json_cb cb;
    void *ctx;
    unsigned depth;
    int rc;
    uint64_t fed;   /* bytes given before the current piece */
    uint64_t quiet; /* bytes since the last piece that gave an event */
    bool event;     /* the current piece gave one */
};

static int emit(struct hf_json_stream *s, enum hf_json_ev kind, struct hf_span text, bool b)
{
    struct hf_json_event ev = {kind, s->depth, b, text};
    s->event = true;
    int rc = s->cb(s->ctx, &ev);
    if (rc < 0)
        s->rc = rc;
    return rc >= 0;
}

static int on_null(void *ctx)
{
    return emit(ctx, HF_JSON_NULL, hf_span("", 0), false);
}
static int on_bool(void *ctx, int b)
{
    return emit(ctx, HF_JSON_BOOL, hf_span("", 0), b != 0);
}
static int on_number(void *ctx, const char *p, size_t n)
{
    return emit(ctx, HF_JSON_NUMBER, hf_span(p, n), false);
}
static int on_string(void *ctx, const unsigned char *p, size_t n)
{
    return emit(ctx, HF_JSON_STRING, hf_span((const char *)p, n), false);
}
static int on_key(void *ctx, const unsigned char *p, size_t n)
{
    return emit(ctx, HF_JSON_KEY, hf_span((const char *)p, n), false);
}
static int open_container(struct hf_json_stream *s, enum hf_json_ev kind)
{
    if (!emit(s, kind, hf_span("", 0), false))
        return 0;
    if (++s->depth > HF_JSON_DEPTH) {
        s->rc = HF_E_LIMIT;
        return 0;
    }
    return 1;
}
static int close_container(struct hf_json_stream *s, enum hf_json_ev kind)
{
    s->depth--;
    return emit(s, kind, hf_span("", 0), false);
}
static int on_object(void *ctx)
{
    return open_container(ctx, HF_JSON_OBJECT);
}
static int on_object_end(void *ctx)
{
    return close_container(ctx, HF_JSON_OBJECT_END);
}
static int on_array(void *ctx)
{
    return open_container(ctx, HF_JSON_ARRAY);
}
static int on_array_end(void *ctx)
{
    return close_container(ctx, HF_JSON_ARRAY_END);
}

static yajl_callbacks callbacks = {
        on_null, on_bool, NULL, NULL, on_number, on_string, on_object, on_key, on_object_end, on_array, on_array_end};

struct hf_json_stream *hf_json_stream_new(hf_json_cb cb, void *ctx)
{
    struct hf_json_stream *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->cb = cb;
    s->ctx = ctx;
    s->h = yajl_alloc(&callbacks, NULL, s);
    if (!s->h) {
        free(s);
        return NULL;
    }
    return s;
}

void hf_json_stream_free(struct hf_json_stream *s)
{
    if (!s)
        return;
    yajl_free(s->h);
    free(s);
}

static int stream_status(struct hf_json_stream *s, yajl_status st, struct hf_span piece, bool at_end, struct hf_err *err)
{
    if (st == yajl_status_ok)
        return 0;
    uint64_t at = s->fed + (at_end ? 0 : yajl_get_bytes_consumed(s->h));
    if (s->rc == HF_E_LIMIT && s->depth > HF_JSON_DEPTH)
        return hf_fail_at(err, HF_E_LIMIT, at, "JSON nested more than %d deep, at byte %llu", HF_JSON_DEPTH, (unsigned long long)at);
    if (s->rc < 0) {
        if (err && !err->msg[0]) /* the callback may have said more */
            hf_fail_at(err, s->rc, at, "%s at byte %llu", hf_err_name(s->rc), (unsigned long long)at);
        return s->rc;
    }
    int code = at_end ? HF_E_TRUNCATED : HF_E_FORMAT;
    unsigned char *text = yajl_get_error(s->h, 0, (const unsigned char *)(piece.p ? piece.p : ""), piece.n);
    struct hf_span why = text ? hf_span_trim(hf_span_z((const char *)text)) : HF_S("malformed");
    hf_fail_at(err, code, at, "JSON: " HF_SPAN_FMT " at byte %llu", HF_SPAN_ARG(why), (unsigned long long)at);
    yajl_free_error(s->h, text);
    return code;
}

int hf_json_stream_feed(struct hf_json_stream *s, struct hf_span piece, struct hf_err *err)
{
    if (s->rc < 0)
        return s->rc;
    s->event = false;
    yajl_status st = yajl_parse(s->h, (const unsigned char *)(piece.p ? piece.p : ""), piece.n);
    int rc = stream_status(s, st, piece, false, err);
    s->fed += piece.n;
    s->quiet = s->event ? 0 : s->quiet + piece.n;
    /* yajl keeps an unfinished token and reads it again from its start with each piece. */
    if (rc >= 0 && s->quiet > HF_JSON_TOKEN_MAX)
        rc = hf_fail_at(err, HF_E_LIMIT, s->fed, "JSON: a string or number of more than %d bytes, at byte %llu", HF_JSON_TOKEN_MAX,
                (unsigned long long)s->fed);
    if (rc < 0 && s->rc >= 0)
        s->rc = rc;
    return rc;
}

int hf_json_stream_end(struct hf_json_stream *s, struct hf_err *err)
{
    if (s->rc < 0)
        return s->rc;
    int rc = stream_status(s, yajl_complete_parse(s->h), hf_span("", 0), true, err);
    if (rc < 0)
        s->rc = rc;
    return rc;
}

/* --- document --- */

enum { NODE_BYTES = 128 }; /* of cJSON and the allocator for one value and a short name */

struct hf_json_doc {
    cJSON *root;
};

static void delete_tree(cJSON **p)
{
    cJSON_Delete(*p);
}

/* What must hold before cJSON sees the text: nesting bounded, since it recurses; values bounded, since each costs some fifty
 * times its bytes; no NUL, since its strings would end there. */
static int precheck(struct hf_span t, size_t skipped, size_t max_bytes, struct hf_err *err)
{
    size_t nodes = 1, max_nodes = HF_MIN((size_t)HF_JSON_NODES_MAX, (max_bytes - HF_MIN(max_bytes, t.n)) / NODE_BYTES);
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < t.n; i++) {
        char c = t.p[i];
        if (c == 0)
            return hf_fail_at(err, HF_E_FORMAT, i + skipped, "JSON: NUL byte at byte %zu", i + skipped);
        if (in_string) {
            if (c == '\\') {
                if (t.n - i > 5 && memcmp(t.p + i + 1, "u0000", 5) == 0)
                    return hf_fail_at(err, HF_E_FORMAT, i + skipped, "JSON: NUL character in a string at byte %zu", i + skipped);
                i++;
            } else if (c == '"') {
                in_string = false;
            }
            continue;
        }
        if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > HF_JSON_DEPTH)
                return hf_fail_at(err, HF_E_LIMIT, i + skipped, "JSON nested more than %d deep, at byte %zu", HF_JSON_DEPTH, i + skipped);
            nodes++;
        } else if (c == '}' || c == ']') {
            depth -= depth > 0;
        } else if (c == ',') {
            nodes++;
        }
        if (nodes > max_nodes)
            return hf_fail_at(err, HF_E_LIMIT, i + skipped, "JSON of %zu bytes with more than %zu values, at byte %zu", t.n, max_nodes, i + skipped);
    }
    return 0;
}

int hf_json_parse(struct hf_span text, struct hf_json_doc **ret, struct hf_err *err)
{
    return hf_json_parse_within(text, SIZE_MAX, ret, err);
}

int hf_json_parse_within(struct hf_span text, size_t max_bytes, struct hf_json_doc **ret, struct hf_err *err)
{
    size_t skipped = hf_span_starts(text, HF_S("\xef\xbb\xbf")) ? 3 : 0;
    if (text.n > HF_JSON_DOC_MAX)
        return hf_fail(err, HF_E_LIMIT, "JSON document of %zu bytes, at most %d are read at once", text.n, HF_JSON_DOC_MAX);
    text = hf_span_from(text, skipped);
    int rc = precheck(text, skipped, max_bytes, err);
    if (rc < 0)
        return rc;
    if (!text.n)
        return hf_fail_at(err, HF_E_FORMAT, skipped, "JSON: empty document");
    const char *end = NULL;
    hf_cleanup(delete_tree) cJSON *root = cJSON_ParseWithLengthOpts(text.p, text.n, &end, 0);
    size_t at = end ? (size_t)(end - text.p) : 0;
    if (!root)
        return hf_fail_at(err, HF_E_FORMAT, at + skipped, "JSON: malformed at byte %zu of %zu", at + skipped, text.n + skipped);
    if (hf_span_trim(hf_span_from(text, at)).n)
        return hf_fail_at(err, HF_E_FORMAT, at + skipped, "JSON: text after the document at byte %zu", at + skipped);
    struct hf_json_doc *d = malloc(sizeof *d);
    if (!d)
        return hf_fail(err, -ENOMEM, "out of memory");
    d->root = hf_take(root);
    *ret = d;
    return 0;
}

void hf_json_doc_free(struct hf_json_doc *d)
{
    if (!d)
        return;
    cJSON_Delete(d->root);
    free(d);
}

hf_jnode hf_json_root(const struct hf_json_doc *d)
{
    return d ? d->root : NULL;
}
hf_jnode hf_jget(hf_jnode object, const char *name)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, name) : NULL;
}
hf_jnode hf_jfirst(hf_jnode c)
{
    return cJSON_IsObject(c) || cJSON_IsArray(c) ? c->child : NULL;
}
hf_jnode hf_jnext(hf_jnode child)
{
    return child ? child->next : NULL;
}
struct hf_span hf_jname(hf_jnode m)
{
    return m && m->string ? hf_span_z(m->string) : hf_span("", 0);
}
struct hf_span hf_jstr(hf_jnode n)
{
    return cJSON_IsString(n) && n->valuestring ? hf_span_z(n->valuestring) : hf_span("", 0);
}
struct hf_span hf_jgetstr(hf_jnode object, const char *name)
{
    return hf_jstr(hf_jget(object, name));
}
bool hf_jis_str(hf_jnode n)
{
    return cJSON_IsString(n);
}
bool hf_jis_object(hf_jnode n)
{
    return cJSON_IsObject(n);
}
bool hf_jis_array(hf_jnode n)
{
    return cJSON_IsArray(n);
}
bool hf_jis_bool(hf_jnode n)
{
    return cJSON_IsBool(n);
}
bool hf_jis_true(hf_jnode n)
{
    return cJSON_IsTrue(n);
}
bool hf_jnum(hf_jnode n, double *ret)
{
    if (!cJSON_IsNumber(n))
        return false;
    *ret = n->valuedouble;
    return true;
}

/* --- writing --- */

void hf_jw_init(struct hf_jw *w, struct hf_buf *out, bool pretty)
{
    *w = (struct hf_jw){.out = out, .pretty = pretty};
}

static void newline(struct hf_jw *w)
{
    if (!w->pretty)
        return;
    hf_buf_addc(w->out, '\n');
    for (unsigned i = 0; i < w->depth; i++)
        hf_buf_addz(w->out, "  ");
}

static void before(struct hf_jw *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    uint64_t bit = UINT64_C(1) << (w->depth % 64), *word = &w->has_items[w->depth / 64 % 4];
    if (w->depth) {
        if (*word & bit)
            hf_buf_addc(w->out, ',');
        newline(w);
    }
    *word |= bit;
}

static void open_level(struct hf_jw *w, char c)
{
    before(w);
    hf_buf_addc(w->out, c);
    if (++w->depth > 255)
        w->out->failed = true;
    w->has_items[w->depth / 64 % 4] &= ~(UINT64_C(1) << (w->depth % 64));
}

static void close_level(struct hf_jw *w, char c)
{
    bool any = w->has_items[w->depth / 64 % 4] & (UINT64_C(1) << (w->depth % 64));
    if (w->depth)
        w->depth--;
    if (any)
        newline(w);
    hf_buf_addc(w->out, c);
}

void hf_jw_object(struct hf_jw *w)
{
    open_level(w, '{');
}
void hf_jw_object_end(struct hf_jw *w)
{
    close_level(w, '}');
}
void hf_jw_array(struct hf_jw *w)
{
    open_level(w, '[');
}
void hf_jw_array_end(struct hf_jw *w)
{
    close_level(w, ']');
}

static size_t utf8_len(const unsigned char *p, size_t n)
{
    for (size_t len = 1; len <= 4 && len <= n; len++)
        if (hf_span_is_utf8(hf_span((const char *)p, len)))
            return len;
    return 0;
}

/* The code point where it is one that changes how a terminal shows what is around it (C1 controls, bidirectional and zero-width
 * marks), else 0. JSON may be read by people too. */
static unsigned moves_cursor(const unsigned char *p, size_t len)
{
    unsigned c = len == 2 ? (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu) : (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    bool bad = (c >= 0x80 && c <= 0x9f) || c == 0x61c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
    return bad ? c : 0;
}

static void string(struct hf_jw *w, struct hf_span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    hf_buf_addc(w->out, '"');
    for (size_t i = 0; i < s.n;) {
        size_t run = i;
        while (run < s.n && p[run] >= 0x20 && p[run] < 0x7f && p[run] != '"' && p[run] != '\\')
            run++;
        hf_buf_add(w->out, p + i, run - i);
        i = run;
        if (i == s.n)
            break;
        unsigned char c = p[i];
        if (c == '"' || c == '\\') {
            hf_buf_addc(w->out, '\\');
            hf_buf_addc(w->out, (char)c);
        } else if (c == '\n' || c == '\t' || c == '\r') {
            hf_buf_addz(w->out, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
        } else if (c < 0x20 || c == 0x7f) {
            hf_buf_addf(w->out, "\\u%04x", c);
        } else {
            size_t len = utf8_len(p + i, s.n - i);
            unsigned invisible = len == 2 || len == 3 ? moves_cursor(p + i, len) : 0;
            if (invisible)
                hf_buf_addf(w->out, "\\u%04x", invisible);
            else if (len)
                hf_buf_add(w->out, p + i, len);
            else
                hf_buf_addz(w->out, "\xef\xbf\xbd");
            i += len ? len : 1;
            continue;
        }
        i++;
    }
    hf_buf_addc(w->out, '"');
}

void hf_jw_key_span(struct hf_jw *w, struct hf_span name)
{
    before(w);
    string(w, name);
    hf_buf_addz(w->out, w->pretty ? ": " : ":");
    w->after_key = true;
}
void hf_jw_key(struct hf_jw *w, const char *name)
{
    hf_jw_key_span(w, hf_span_z(name));
}
void hf_jw_str(struct hf_jw *w, struct hf_span s)
{
    before(w);
    string(w, s);
}
void hf_jw_strz(struct hf_jw *w, const char *z)
{
    hf_jw_str(w, hf_span_z(z));
}
void hf_jw_u64(struct hf_jw *w, uint64_t v)
{
    before(w);
    hf_buf_addf(w->out, "%llu", (unsigned long long)v);
}
void hf_jw_i64(struct hf_jw *w, int64_t v)
{
    before(w);
    hf_buf_addf(w->out, "%lld", (long long)v);
}
void hf_jw_fixed(struct hf_jw *w, double v, unsigned decimals)
{
    before(w);
    if (isfinite(v))
        hf_buf_addf(w->out, "%.*f", (int)decimals, v);
    else
        hf_buf_addz(w->out, "null");
}
void hf_jw_bool(struct hf_jw *w, bool v)
{
    before(w);
    hf_buf_addz(w->out, v ? "true" : "false");
}
void hf_jw_null(struct hf_jw *w)
{
    before(w);
    hf_buf_addz(w->out, "null");
}
void hf_jw_kstr(struct hf_jw *w, const char *name, struct hf_span s)
{
    hf_jw_key(w, name);
    hf_jw_str(w, s);
}
void hf_jw_kstr_opt(struct hf_jw *w, const char *name, struct hf_span s)
{
    if (s.n)
        hf_jw_kstr(w, name, s);
}
void hf_jw_kstrz(struct hf_jw *w, const char *name, const char *z)
{
    hf_jw_kstr(w, name, hf_span_z(z));
}
void hf_jw_ku64(struct hf_jw *w, const char *name, uint64_t v)
{
    hf_jw_key(w, name);
    hf_jw_u64(w, v);
}
void hf_jw_kbool(struct hf_jw *w, const char *name, bool v)
{
    hf_jw_key(w, name);
    hf_jw_bool(w, v);
}

void hf_jw_kstrs(struct hf_jw *w, const char *key, const struct hf_span *v, size_t n)
{
    hf_jw_key(w, key);
    hf_jw_array(w);
    for (size_t i = 0; i < n; i++)
        hf_jw_str(w, v[i]);
    hf_jw_array_end(w);
}
