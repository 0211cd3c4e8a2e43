// SPDX-License-Identifier: Apache-2.0
#include "console/http.h"

static bool token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static int wrong(int status, const char **ret_why, const char *why)
{
    *ret_why = why;
    return status;
}

/* origin-form or absolute-form (RFC 9112, 3.2); others have no meaning here. */
static int target(struct hf_span t, struct hf_http *h, const char **ret_why)
{
    if (!t.n)
        return wrong(400, ret_why, "the request has no target");
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] < 0x21 || t.p[i] > 0x7e)
            return wrong(400, ret_why, "the target has a byte that must be escaped");
    if (t.p[0] != '/') {
        struct hf_span head = hf_span_starts(t, HF_S("http://")) ? hf_span_from(t, 7) : hf_span_starts(t, HF_S("https://")) ? hf_span_from(t, 8) : (struct hf_span){NULL, 0};
        size_t slash = hf_span_find(head, '/');
        if (!head.n || slash == SIZE_MAX || slash == 0)
            return wrong(400, ret_why, "the target is no path");
        h->host = hf_span_sub(head, 0, slash);
        t = hf_span_from(head, slash);
    }
    if (hf_span_find(t, '#') != SIZE_MAX)
        return wrong(400, ret_why, "the target has a \"#\"");
    size_t mark = hf_span_find(t, '?');
    h->path = hf_span_sub(t, 0, mark == SIZE_MAX ? t.n : mark);
    h->query = mark == SIZE_MAX ? hf_span(NULL, 0) : hf_span_from(t, mark + 1);
    return 0;
}

static size_t count(const struct hf_http *h, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < h->n_fields; i++)
        n += hf_span_eq_nocase(h->fields[i].name, hf_span_z(name));
    return n;
}

static bool method_ok(struct hf_span m)
{
    for (size_t i = 0; i < m.n; i++)
        if (!token_char(m.p[i]))
            return false;
    return m.n > 0 && m.n <= HF_HTTP_METHOD_MAX;
}

static bool field_ok(const struct hf_http_field *f)
{
    for (size_t i = 0; i < f->name.n; i++)
        if (!token_char(f->name.p[i]))
            return false;
    for (size_t i = 0; i < f->value.n; i++)
        if (((unsigned char)f->value.p[i] < 0x20 && f->value.p[i] != '\t') || f->value.p[i] == 0x7f)
            return false;
    return f->name.n > 0;
}

int hf_http_meaning(struct hf_http *h, struct hf_span uri, const char **ret_why)
{
    /* A second one of these would let a proxy in front and this server see two different requests. */
    static const char *const once[] = {"host", "content-length", "transfer-encoding", "content-type", "cookie", "authorization", "origin", "x-csrf-token", "expect", "last-event-id", "sec-fetch-site"};
    if (!method_ok(h->method))
        return wrong(400, ret_why, "the method is none");
    if (uri.n > HF_HTTP_TARGET_MAX)
        return wrong(414, ret_why, "the target is too long");
    int rc = target(uri, h, ret_why);
    if (rc)
        return rc;
    for (size_t i = 0; i < h->n_fields; i++)
        if (!field_ok(&h->fields[i]))
            return wrong(400, ret_why, "a header field has a byte that does not belong there");
    for (size_t i = 0; i < HF_ARRAY_LEN(once); i++)
        if (count(h, once[i]) > 1)
            return wrong(400, ret_why, "a header field stands twice that may stand once");
    if (!h->host.n)
        h->host = hf_http_field(h, "host");
    bool has_length = hf_http_has(h, "content-length");
    if (has_length && hf_http_has(h, "transfer-encoding"))
        return wrong(400, ret_why, "Content-Length and Transfer-Encoding are both there");
    if (has_length && hf_parse_u64(hf_http_field(h, "content-length"), 10, 0, INT64_MAX, &h->length) < 0)
        return wrong(400, ret_why, "Content-Length is no number");
    return 0;
}

struct hf_span hf_http_field(const struct hf_http *h, const char *name)
{
    for (size_t i = 0; h && i < h->n_fields; i++)
        if (hf_span_eq_nocase(h->fields[i].name, hf_span_z(name)))
            return h->fields[i].value;
    return hf_span(NULL, 0);
}

bool hf_http_has(const struct hf_http *h, const char *name)
{
    return count(h, name) > 0;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int hf_http_decode(struct hf_span in, bool plus, char *out, struct hf_span *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];
        if (c == '%') {
            if (in.n - i < 3 || hex(in.p[i + 1]) < 0 || hex(in.p[i + 2]) < 0)
                return HF_E_FORMAT;
            c = (char)(hex(in.p[i + 1]) << 4 | hex(in.p[i + 2]));
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (!c)
            return HF_E_FORMAT;
        out[n++] = c;
    }
    if (!hf_span_is_utf8(hf_span(out, n)))
        return HF_E_FORMAT;
    *ret = hf_span(out, n);
    return 0;
}

struct hf_span hf_http_cookie(struct hf_span header, const char *name)
{
    struct hf_span one, found = {NULL, 0};
    bool seen = false;
    while (hf_span_cut(&header, ';', &one)) {
        struct hf_span key;
        one = hf_span_trim(one);
        size_t eq = hf_span_find(one, '=');
        if (eq == SIZE_MAX)
            continue;
        key = hf_span_sub(one, 0, eq);
        if (!hf_span_eqz(key, name))
            continue;
        if (seen)
            return hf_span(NULL, 0);
        seen = true;
        found = hf_span_from(one, eq + 1);
    }
    return found;
}

bool hf_http_etag_matches(struct hf_span header, struct hf_span etag)
{
    struct hf_span one;
    while (etag.n && hf_span_cut(&header, ',', &one)) {
        one = hf_span_trim(one);
        if (hf_span_eqz(one, "*"))
            return true;
        if (hf_span_starts(one, HF_S("W/")))
            one = hf_span_from(one, 2);
        if (hf_span_eq(one, etag))
            return true;
    }
    return false;
}

bool hf_http_authority(struct hf_span in, struct hf_span *ret_host, unsigned *ret_port)
{
    struct hf_span host, port = {NULL, 0};
    uint64_t n = 0;
    if (in.n && in.p[0] == '[') {
        size_t end = hf_span_find(in, ']');
        if (end == SIZE_MAX || end < 3)
            return false;
        host = hf_span_sub(in, 1, end - 1);
        port = hf_span_from(in, end + 1);
        if (port.n && port.p[0] != ':')
            return false;
        for (size_t i = 0; i < host.n; i++)
            if (hex(host.p[i]) < 0 && host.p[i] != ':' && host.p[i] != '.')
                return false;
    } else {
        size_t colon = hf_span_find(in, ':');
        host = hf_span_sub(in, 0, colon == SIZE_MAX ? in.n : colon);
        port = colon == SIZE_MAX ? port : hf_span_from(in, colon);
        for (size_t i = 0; i < host.n; i++)
            if (!(host.p[i] >= 'a' && host.p[i] <= 'z') && !(host.p[i] >= 'A' && host.p[i] <= 'Z') && !(host.p[i] >= '0' && host.p[i] <= '9') && host.p[i] != '-' && host.p[i] != '.' && host.p[i] != '_')
                return false;
    }
    if (!host.n || host.n > 255 || (port.n && hf_parse_u64(hf_span_from(port, 1), 10, 1, 65535, &n) < 0))
        return false;
    *ret_host = host;
    *ret_port = (unsigned)n;
    return true;
}

const char *hf_http_reason(unsigned status)
{
    static const struct {
        unsigned status;
        const char *reason;
    } reasons[] = {{200, "OK"}, {201, "Created"}, {202, "Accepted"}, {204, "No Content"}, {302, "Found"}, {303, "See Other"}, {304, "Not Modified"}, {400, "Bad Request"}, {401, "Unauthorized"},
            {403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"}, {408, "Request Timeout"}, {409, "Conflict"}, {410, "Gone"}, {411, "Length Required"},
            {412, "Precondition Failed"}, {413, "Content Too Large"}, {414, "URI Too Long"}, {415, "Unsupported Media Type"}, {417, "Expectation Failed"}, {421, "Misdirected Request"},
            {422, "Unprocessable Content"}, {429, "Too Many Requests"}, {431, "Request Header Fields Too Large"}, {500, "Internal Server Error"}, {501, "Not Implemented"}, {502, "Bad Gateway"},
            {503, "Service Unavailable"}, {504, "Gateway Timeout"}, {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < HF_ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Status";
}
