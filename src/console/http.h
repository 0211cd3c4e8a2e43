/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - what a request says (RFC 9110, 9112): libmicrohttpd has read it, here what two readers could understand differently is refused.  Pure. */
#pragma once
#include "base/span.h"

enum {
    HF_HTTP_HEAD_MAX = 32 << 10, /* bytes of target, method and fields */
    HF_HTTP_TARGET_MAX = 8 << 10,
    HF_HTTP_FIELDS = 64,
    HF_HTTP_METHOD_MAX = 16,
};
struct hf_http {
    struct hf_span method, path, query; /* as sent; query without "?" */
    struct hf_span host;                /* of an absolute target, else the field */
    struct hf_http_field {
        struct hf_span name, value;     /* without blanks around */
    } fields[HF_HTTP_FIELDS];
    size_t n_fields;
    uint64_t length;                    /* Content-Length; 0: none is given */
};
/* Whether h (method and fields are filled in) and the target mean one thing: path, query, host and length are filled in and 0 is returned; else the status to
 * answer with (400, 414), *ret_why says why. */
int hf_http_meaning(struct hf_http *h, struct hf_span uri, const char **ret_why);
struct hf_span hf_http_field(const struct hf_http *h, const char *name); /* empty: not there */
bool hf_http_has(const struct hf_http *h, const char *name);

/* Percent-decoding into the arena-free buffer out (at least in.n bytes): 0 and *ret, or HF_E_FORMAT: a wrong escape, NUL, not UTF-8. plus: "+" is a blank. */
HF_MUSTUSE int hf_http_decode(struct hf_span in, bool plus, char *out, struct hf_span *ret);
/* A cookie's value (RFC 6265); empty: not there.  A name that stands twice counts as not there: one of them was planted. */
struct hf_span hf_http_cookie(struct hf_span header, const char *name);
/* Whether If-None-Match (a list, "*") has this entity tag; weak ones count. */
bool hf_http_etag_matches(struct hf_span header, struct hf_span etag);
/* "name:port", "[::1]:443", "name" taken apart; false: none.  port 0: not given. */
bool hf_http_authority(struct hf_span in, struct hf_span *ret_host, unsigned *ret_port);
const char *hf_http_reason(unsigned status);
