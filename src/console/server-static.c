// SPDX-License-Identifier: Apache-2.0
/* The page and its parts: from memory, in the loop. */
#include <stdio.h>

#include "console/assets.h"
#include "console/console-internal.h"

/* Addresses of views: the page itself looks at the address. */
static const char *const views[] = {"", "live", "map", "overview", "incidents", "containers", "images", "rules", "settings", "audit", "sensor", "sign-in"};

static const struct hf_asset *asset(struct hf_span name)
{
    for (const struct hf_asset *a = hf_assets; a->name; a++)
        if (hf_span_eqz(name, a->name))
            return a;
    return NULL;
}

/* Whether Accept-Encoding allows gzip (RFC 9110, 12.5.3): q=0 forbids. */
static bool takes_gzip(struct hf_span header)
{
    struct hf_span one, name;
    while (hf_span_cut(&header, ',', &one)) {
        if (!hf_span_cut(&one, ';', &name) || !hf_span_eq_nocase(hf_span_trim(name), HF_S("gzip")))
            continue;
        one = hf_span_trim(one);
        return !(hf_span_starts(one, HF_S("q=0")) && hf_span_search(one, HF_S("1")) == SIZE_MAX && hf_span_search(one, HF_S("5")) == SIZE_MAX);
    }
    return false;
}

static const struct hf_asset *find(struct hf_span path, bool *ret_forever)
{
    struct hf_span first, hash;
    *ret_forever = false;
    if (hf_span_starts(path, HF_S("/assets/"))) {
        struct hf_span rest = hf_span_from(path, 8);
        if (!hf_span_cut(&rest, '/', &hash) || !hf_span_eqz(hash, hf_assets_hash) || hf_span_eqz(rest, "index.html"))
            return NULL;
        *ret_forever = true;
        return asset(rest);
    }
    if (hf_span_eqz(path, "/favicon.ico"))
        return asset(HF_S("favicon.ico")) ? asset(HF_S("favicon.ico")) : asset(HF_S("favicon.svg"));
    struct hf_span rest = hf_span_from(path, 1);
    first = hf_span_sub(rest, 0, HF_MIN(hf_span_find(rest, '/'), rest.n));
    for (size_t i = 0; i < HF_ARRAY_LEN(views); i++)
        if (hf_span_eqz(first, views[i]) && (first.n || !rest.n))
            return asset(HF_S("index.html"));
    return NULL;
}

bool hf_static(struct hf_console *c, struct hf_job *j)
{
    static const char *const others[] = {"/api/", "/auth/", "/hooks/", "/metrics"};
    struct hf_span path = j->http.path;
    bool forever, get = hf_span_eqz(j->http.method, "GET");
    char extra[120] = "";
    struct hf_reply r = {.status = 200};
    for (size_t i = 0; i < HF_ARRAY_LEN(others); i++)
        if (hf_span_starts(path, hf_span_z(others[i])))
            return false;
    j->head_only = hf_span_eqz(j->http.method, "HEAD");
    const struct hf_asset *a = find(path, &forever);
    if (!a) {
        hf_dispatch_problem(c, j, 404, "there is nothing at this address");
        return true;
    }
    if (!get && !j->head_only) {
        struct hf_reply no = {.body = HF_BUF_INIT(65536)};
        hf_problem(&no, 405, hf_http_reason(405), "this address takes GET");
        hf_reply_head(c, j, &no, NULL, "Allow: GET, HEAD\r\n");
        hf_buf_done(&j->out);
        j->out = no.body;
        return true;
    }
    bool gz = a->gz && takes_gzip(hf_http_field(&j->http, "accept-encoding"));
    r.type = a->type;
    snprintf(r.etag, sizeof r.etag, "%s", a->etag);
    if (a->gz)
        snprintf(extra, sizeof extra, "Vary: Accept-Encoding\r\n%s", gz ? "Content-Encoding: gzip\r\n" : "");
    if (hf_http_etag_matches(hf_http_field(&j->http, "if-none-match"), hf_span_z(a->etag)))
        r.status = 304;
    else
        j->fixed = gz ? hf_span((const char *)a->gz, a->gz_n) : hf_span((const char *)a->p, a->n);
    hf_reply_head(c, j, &r, forever ? "public, max-age=31536000, immutable" : "no-cache", r.status == 304 ? NULL : extra);
    return true;
}
