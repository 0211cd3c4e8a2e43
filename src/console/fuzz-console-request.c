// SPDX-License-Identifier: Apache-2.0
/* What is read of a request by us: target, fields (one a line, "name: value"), cookies, names, escapes. What is given back lies inside what came, and means one thing. */
#include "console/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct hf_span part, struct hf_span whole)
{
    return !part.n || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void decode(struct hf_span s, bool plus)
{
    char *out = malloc(s.n + 1);
    struct hf_span got;
    if (out && hf_http_decode(s, plus, out, &got) == 0 && (got.n > s.n || !hf_span_is_utf8(got) || (got.n && memchr(got.p, 0, got.n))))
        abort();
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span all = hf_span((const char *)data, size), rest = all, method, uri, line;
    struct hf_http h = {.n_fields = 0};
    const char *why = "";
    struct hf_span host;
    unsigned port;
    if (!hf_span_cut(&rest, ' ', &method) || !hf_span_cut(&rest, '\n', &uri))
        return 0;
    h.method = method;
    while (h.n_fields < HF_HTTP_FIELDS && hf_span_cut(&rest, '\n', &line)) {
        struct hf_span name;
        if (hf_span_cut(&line, ':', &name))
            h.fields[h.n_fields++] = (struct hf_http_field){name, hf_span_trim(line)};
    }
    int rc = hf_http_meaning(&h, uri, &why);
    if ((rc != 0) != (why[0] != 0) || (rc && (rc < 400 || rc > 499)))
        abort();
    if (rc == 0) {
        if (!inside(h.path, uri) || !inside(h.query, uri) || !h.path.n || h.path.p[0] != '/' || hf_span_find(h.path, '?') != SIZE_MAX)
            abort();
        if (hf_http_has(&h, "content-length") && hf_http_has(&h, "transfer-encoding"))
            abort();
        struct hf_span cookies = hf_http_field(&h, "cookie"), one = hf_http_cookie(cookies, "hf_session");
        if (!inside(one, cookies) || hf_span_find(one, ';') != SIZE_MAX)
            abort();
        if (hf_http_authority(h.host, &host, &port) && (!inside(host, h.host) || !host.n || host.n > 255 || port > 65535))
            abort();
        decode(h.path, false);
        decode(h.query, true);
        (void)hf_http_etag_matches(hf_http_field(&h, "if-none-match"), HF_S("\"x\""));
    }
    return 0;
}
