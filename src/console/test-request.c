// SPDX-License-Identifier: Apache-2.0
/* What a request says: cookies, names of hosts, percent-encoding, parameters, entity tags; and who has to wait. */
#include "console/api.h"
#include "console/gate.h"
#include "console/http.h"
#include "tap.h"

static void cookies(void)
{
    EQ_S(hf_http_cookie(HF_S("hf_session=abc"), "hf_session"), "abc");
    EQ_S(hf_http_cookie(HF_S("a=1; hf_session=abc; b=2"), "hf_session"), "abc");
    EQ_S(hf_http_cookie(HF_S("a=1;hf_session=a=c;b"), "hf_session"), "a=c");
    EQ_S(hf_http_cookie(HF_S("xhf_session=abc; hf_sessionx=1; HF_SESSION=2"), "hf_session"), "");
    EQ_S(hf_http_cookie(HF_S("hf_session=abc; hf_session=evil"), "hf_session"), ""); /* one was planted; which is not known */
    EQ_S(hf_http_cookie(HF_S(""), "hf_session"), "");
    EQ_S(hf_http_cookie(HF_S(";;;=;hf_session"), "hf_session"), "");
}

static void decoding(void)
{
    char out[64];
    struct hf_span s;
    EQ_I(hf_http_decode(HF_S("a%2Fb+c"), false, out, &s), 0);
    EQ_S(s, "a/b+c");
    EQ_I(hf_http_decode(HF_S("a%2fb+c"), true, out, &s), 0);
    EQ_S(s, "a/b c");
    EQ_I(hf_http_decode(HF_S("%C3%A4"), true, out, &s), 0);
    EQ_S(s, "\xc3\xa4");
    static const char *const bad[] = {"%", "%4", "%zz", "%00", "a%00b", "%C3", "%FF", "%ED%A0%80", "%C0%80"};
    for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++)
        EQ_I(hf_http_decode(hf_span_z(bad[i]), true, out, &s), HF_E_FORMAT);
}

static void authorities(void)
{
    struct hf_span host;
    unsigned port;
    OK(hf_http_authority(HF_S("localhost:8470"), &host, &port));
    EQ_S(host, "localhost");
    EQ_U(port, 8470);
    OK(hf_http_authority(HF_S("[::1]:443"), &host, &port));
    EQ_S(host, "::1");
    EQ_U(port, 443);
    OK(hf_http_authority(HF_S("a.example"), &host, &port));
    EQ_U(port, 0);
    static const char *const bad[] = {"", ":80", "a:0", "a:65536", "a:b", "a b", "a/b", "user@a", "[::1", "[]", "[::1]x", "[g::]", "a:80:80", "a\\b", "a\"b"};
    for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++)
        OK(!hf_http_authority(hf_span_z(bad[i]), &host, &port));
}

static unsigned meaning(const char *method, const char *uri, const char *a, const char *av, const char *b, const char *bv, struct hf_http *ret)
{
    const char *why = "";
    memset(ret, 0, sizeof *ret);
    ret->method = hf_span_z(method);
    if (a)
        ret->fields[ret->n_fields++] = (struct hf_http_field){hf_span_z(a), hf_span_z(av)};
    if (b)
        ret->fields[ret->n_fields++] = (struct hf_http_field){hf_span_z(b), hf_span_z(bv)};
    int rc = hf_http_meaning(ret, hf_span_z(uri), &why);
    OK((rc != 0) == (why[0] != 0));
    return (unsigned)rc;
}

static void meanings(void)
{
    struct hf_http h;
    EQ_U(meaning("GET", "/a?b=c", "Host", "x", NULL, NULL, &h), 0);
    EQ_S(h.path, "/a");
    EQ_S(h.query, "b=c");
    EQ_S(h.host, "x");
    EQ_U(meaning("GET", "http://evil.example/a", "Host", "x", NULL, NULL, &h), 0);
    EQ_S(h.host, "evil.example"); /* the target counts, RFC 9112, 3.2.2 */
    EQ_U(meaning("GET", "a", "Host", "x", NULL, NULL, &h), 400);
    EQ_U(meaning("GET", "*", "Host", "x", NULL, NULL, &h), 400);
    EQ_U(meaning("GET", "", "Host", "x", NULL, NULL, &h), 400);
    EQ_U(meaning("GET", "/a#b", "Host", "x", NULL, NULL, &h), 400);
    EQ_U(meaning("GET", "/a\x80", "Host", "x", NULL, NULL, &h), 400);
    EQ_U(meaning("G T", "/a", "Host", "x", NULL, NULL, &h), 400);
    EQ_U(meaning("ABCDEFGHIJKLMNOPQ", "/a", "Host", "x", NULL, NULL, &h), 400);
    EQ_U(meaning("GET", "/", "Host", "x", "host", "y", &h), 400);
    EQ_U(meaning("GET", "/", "Cookie", "x", "cookie", "y", &h), 400);
    EQ_U(meaning("POST", "/", "Content-Length", "1", "content-length", "1", &h), 400);
    EQ_U(meaning("POST", "/", "Content-Length", "1", "Transfer-Encoding", "chunked", &h), 400);
    EQ_U(meaning("POST", "/", "Content-Length", "-1", NULL, NULL, &h), 400);
    EQ_U(meaning("POST", "/", "Content-Length", "1,1", NULL, NULL, &h), 400);
    EQ_U(meaning("GET", "/", "X y", "1", NULL, NULL, &h), 400);
    EQ_U(meaning("GET", "/", "X", "a\rb", NULL, NULL, &h), 400);
}

static void tags(void)
{
    OK(hf_http_etag_matches(HF_S("\"a\""), HF_S("\"a\"")));
    OK(hf_http_etag_matches(HF_S("\"b\", W/\"a\""), HF_S("\"a\"")));
    OK(hf_http_etag_matches(HF_S("*"), HF_S("\"a\"")));
    OK(!hf_http_etag_matches(HF_S("\"ab\""), HF_S("\"a\"")));
    OK(!hf_http_etag_matches(HF_S(""), HF_S("\"a\"")));
    OK(!hf_http_etag_matches(HF_S("*"), HF_S("")));
}

static void parameters(void)
{
    struct hf_request q = {.query = {{HF_S("limit"), HF_S("7")}, {HF_S("state"), HF_S("open")}}, .n_query = 2};
    struct hf_err err = HF_ERR_INIT;
    uint64_t v = 0;
    unsigned e = 9;
    EQ_I(hf_query_u64(&q, "limit", 1, 10, 5, &v, &err), 0);
    EQ_U(v, 7);
    EQ_I(hf_query_u64(&q, "limit", 1, 6, 5, &v, &err), HF_E_USAGE);
    EQ_I(hf_query_u64(&q, "none", 1, 6, 5, &v, &err), 0);
    EQ_U(v, 5);
    EQ_I(hf_query_enum(&q, "state", "closed|open", 0, &e, &err), 0);
    EQ_U(e, 1);
    EQ_I(hf_query_enum(&q, "state", "closed|opened", 0, &e, &err), HF_E_USAGE);
    EQ_I(hf_query_only(&q, "state|limit", &err), 0);
    EQ_I(hf_query_only(&q, "state", &err), HF_E_USAGE);
    OK(strstr(err.msg, "\"limit\"") != NULL);
}

#define SEC 1000000000ll

/* Guessing is slow; nobody locks another out for long. */
static void waiting(void)
{
    struct hf_span alice = HF_S("alice"), bad = HF_S("198.51.100.7"), home = HF_S("192.0.2.1"), other = HF_S("203.0.113.5");
    hf_cleanup(hf_gate_freep) struct hf_gate *g = hf_gate_new();
    int64_t now = 1000 * SEC;
    for (unsigned i = 0; i < 4; i++)
        OK(!hf_gate_wrong(g, alice, bad, now));
    EQ_U(hf_gate_wait(g, alice, bad, 0, now), 0);
    OK(hf_gate_wrong(g, alice, bad, now));
    EQ_U(hf_gate_wait(g, alice, bad, 0, now), 30);
    EQ_U(hf_gate_wait(g, alice, home, 0, now), 0);         /* from elsewhere she may */
    EQ_U(hf_gate_wait(g, HF_S("bob"), bad, 0, now), 0);    /* and others from there */
    EQ_U(hf_gate_wait(g, alice, bad, now + 1, now), 0);    /* an administrator lifts it */
    now += 31 * SEC;
    OK(hf_gate_wrong(g, alice, bad, now));
    EQ_U(hf_gate_wait(g, alice, bad, 0, now), 60);
    for (unsigned i = 0; i < 10; i++)
        OK(hf_gate_wrong(g, alice, bad, now));
    EQ_U(hf_gate_wait(g, alice, bad, 0, now), 900);        /* never longer */
    hf_gate_right(g, alice, home, now);
    for (unsigned i = 0; i < 60; i++) {                    /* many addresses against one account */
        char z[16];
        snprintf(z, sizeof z, "10.0.0.%u", i);
        (void)hf_gate_wrong(g, alice, hf_span_z(z), now);
    }
    unsigned wait = hf_gate_wait(g, alice, other, 0, now);
    OK(wait > 0 && wait <= 60);
    EQ_U(hf_gate_wait(g, alice, home, 0, now), 0);         /* where she signed in before she still may */
    EQ_U(hf_gate_wait(g, alice, other, 0, now + 61 * SEC), 0);
    /* One address against many accounts; of IPv6 the whole /64. */
    for (unsigned i = 0; i < 20; i++) {
        char z[16], p[40];
        snprintf(z, sizeof z, "u%u", i);
        snprintf(p, sizeof p, "2001:db8::%x", i + 1);
        (void)hf_gate_wrong(g, hf_span_z(z), hf_span_z(p), now);
    }
    EQ_U(hf_gate_wait(g, HF_S("new"), HF_S("2001:db8::ffff"), 0, now), 30);
    EQ_U(hf_gate_wait(g, HF_S("new"), HF_S("2001:db8:0:1::1"), 0, now), 0);
    EQ_U(hf_gate_wait(g, HF_S("new"), HF_S("2001:db8::ffff"), now + 1, now), 30); /* the account's unlock does not free an address */
    /* A flood of strangers does not make it forget who waits. */
    for (unsigned i = 0; i < 3 * HF_GATE_SLOTS; i++) {
        char z[24];
        snprintf(z, sizeof z, "x%u", i);
        (void)hf_gate_wrong(g, hf_span_z(z), other, now + 1);
    }
    OK(hf_gate_wait(g, alice, bad, 0, now + 2) > 0);
}

static void rates(void)
{
    hf_cleanup(hf_gate_freep) struct hf_gate *g = hf_gate_new();
    int64_t now = 1000 * SEC;
    unsigned n = 0;
    uint64_t left = 0;
    while (n < 2000 && hf_gate_request(g, HF_S("192.0.2.1"), now))
        n++;
    EQ_U(n, HF_GATE_BURST);
    OK(hf_gate_request(g, HF_S("192.0.2.2"), now));
    for (n = 0; n < 2000 && hf_gate_request(g, HF_S("192.0.2.1"), now + SEC);)
        n++;
    EQ_U(n, HF_GATE_RATE);
    for (n = 0; n < 100; n++)
        if (!hf_gate_audit(g, now, &left))
            break;
    EQ_U(n, 60);
    OK(!hf_gate_audit(g, now, &left));
    OK(hf_gate_audit(g, now + 60 * SEC, &left));
    EQ_U(left, 2);
}

int main(void)
{
    cookies();
    decoding();
    authorities();
    meanings();
    tags();
    parameters();
    waiting();
    rates();
    return tap_done();
}
