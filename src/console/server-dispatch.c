// SPDX-License-Identifier: Apache-2.0
/* A request to its handler: whose it is, whether the route allows it, what it says; and the reply to bytes.  Runs in a thread of the pool. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "console/console-internal.h"

enum { ARENA_MAX = 4 << 20, BODY_NODES_MEMORY = 16 << 20 };

/* ---- reply ---- */

/* A header's value from text that may come from anywhere: what could end the line goes. */
static void add_value(struct hf_buf *b, const char *z)
{
    for (; *z; z++)
        hf_buf_addc(b, (unsigned char)*z < 0x20 || *z == 0x7f ? '_' : *z);
}

void hf_reply_head(struct hf_console *c, struct hf_job *j, const struct hf_reply *r, const char *cache, const char *extra)
{
    struct hf_buf *b = &j->head;
    unsigned status = r->status ? r->status : 200;
    j->status = status;
    hf_buf_clear(b);
    if (status != 204 && status != 304)
        hf_buf_addf(b, "Content-Type: %s\r\n", r->type ? r->type : "application/json");
    hf_buf_addz(b, "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; "
                   "base-uri 'none'; frame-ancestors 'none'\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Opener-Policy: same-origin\r\n"
                   "Cross-Origin-Resource-Policy: same-origin\r\n");
    hf_buf_addf(b, "Cache-Control: %s\r\n", cache ? cache : "no-store");
    if (c->secure)
        hf_buf_addz(b, "Strict-Transport-Security: max-age=31536000\r\n");
    if (r->etag[0])
        hf_buf_addf(b, "ETag: %s\r\n", r->etag);
    if (r->location[0]) {
        hf_buf_addz(b, "Location: ");
        add_value(b, r->location);
        hf_buf_addz(b, "\r\n");
    }
    if (r->retry_after_s)
        hf_buf_addf(b, "Retry-After: %u\r\n", r->retry_after_s);
    if (r->file_name[0]) {
        hf_buf_addz(b, "Content-Disposition: attachment; filename=\"");
        for (const char *z = r->file_name; *z; z++)
            hf_buf_addc(b, isalnum((unsigned char)*z) || strchr("-_.", *z) ? *z : '_');
        hf_buf_addz(b, "\"\r\n");
    }
    for (unsigned i = 0; i < 2; i++)
        if (r->cookie[i][0])
            hf_buf_addf(b, "Set-Cookie: %s\r\n", r->cookie[i]);
    if (extra)
        hf_buf_addz(b, extra);
}

static void finish(struct hf_console *c, struct hf_job *j, struct hf_reply *r, const char *extra)
{
    hf_autobuf links = HF_BUF_INIT(4096);
    if (!hf_buf_ok(&r->body)) {
        struct hf_reply big = {.body = HF_BUF_INIT(HF_API_REPLY_MAX)};
        hf_problem(&big, 500, "Too large", "the answer would be larger than %u bytes; ask for less", (unsigned)HF_API_REPLY_MAX);
        hf_buf_done(&r->body);
        *r = big;
        extra = NULL;
    }
    if (j->head_only == false && hf_span_eqz(j->http.method, "GET") && r->etag[0] && (!r->status || r->status == 200) && hf_http_etag_matches(hf_http_field(&j->http, "if-none-match"), hf_span_z(r->etag))) {
        r->status = 304;
        hf_buf_clear(&r->body);
    }
    if (r->next[0] && j->http.path.n) { /* RFC 8288: the same list, from there */
        hf_buf_addf(&links, "Link: <" HF_SPAN_FMT "?", HF_SPAN_ARG(j->http.path));
        struct hf_span rest = j->http.query, one;
        while (hf_span_cut(&rest, '&', &one))
            if (one.n && !hf_span_starts(one, HF_S("cursor=")))
                hf_buf_addf(&links, HF_SPAN_FMT "&", HF_SPAN_ARG(one));
        hf_buf_addz(&links, "cursor=");
        for (const char *z = r->next; *z; z++)
            if (isalnum((unsigned char)*z) || strchr("-_.~", *z))
                hf_buf_addc(&links, *z);
            else
                hf_buf_addf(&links, "%%%02X", (unsigned char)*z);
        hf_buf_addz(&links, ">; rel=\"next\"\r\n");
    }
    if (hf_buf_ok(&links) && links.n && !extra)
        extra = hf_buf_z(&links);
    hf_reply_head(c, j, r, NULL, extra);
    hf_buf_done(&j->out);
    j->out = r->body;
    r->body = (struct hf_buf)HF_BUF_INIT(0);
}

void hf_dispatch_problem(struct hf_console *c, struct hf_job *j, unsigned status, const char *detail)
{
    struct hf_reply r = {.body = HF_BUF_INIT(65536)};
    hf_problem(&r, status, hf_http_reason(status), "%s", detail);
    if (status == 503 || status == 429)
        r.retry_after_s = 1;
    finish(c, j, &r, NULL);
}

/* ---- is it us who are asked, and our page that asks ---- */

bool hf_host_ok(const struct hf_console *c, struct hf_span value)
{
    struct hf_span host;
    unsigned port;
    char z[256];
    unsigned char address[16];
    if (!hf_http_authority(value, &host, &port) || host.n >= sizeof z)
        return false;
    for (size_t i = 0; i < host.n; i++)
        z[i] = (char)tolower((unsigned char)host.p[i]);
    z[host.n] = 0;
    if (inet_pton(AF_INET, z, address) == 1 || inet_pton(AF_INET6, z, address) == 1) /* no name, nothing to rebind */
        return true;
    for (size_t i = 0; i < c->n_hosts; i++)
        if (!strcmp(z, c->hosts[i].name))
            return true;
    return false;
}

bool hf_origin_ok(const struct hf_console *c, const struct hf_http *h)
{
    struct hf_span origin = hf_http_field(h, "origin"), site = hf_http_field(h, "sec-fetch-site");
    if (!hf_http_has(h, "origin"))
        return !site.n || hf_span_eqz(site, "same-origin") || hf_span_eqz(site, "none");
    if (hf_span_eq_nocase(origin, hf_span_z(c->origin)))
        return true;
    struct hf_span head = c->tls.cert.n ? HF_S("https://") : HF_S("http://");
    return hf_span_starts(origin, head) && hf_span_eq_nocase(hf_span_from(origin, head.n), h->host) && hf_host_ok(c, h->host);
}

/* ---- routes ---- */

/* Whether path fits the pattern; what stands for {x} goes to args, not decoded. */
static bool fits(const char *pattern, struct hf_span path, struct hf_span args[HF_API_ARGS], size_t *ret_n)
{
    struct hf_span rest = hf_span_z(pattern), part, given;
    size_t n = 0;
    if (path.n && path.p[path.n - 1] == '/')
        return false;
    while (hf_span_cut(&rest, '/', &part)) {
        if (!hf_span_cut(&path, '/', &given))
            return false;
        if (part.n && part.p[0] == '{') {
            if (!given.n || n == HF_API_ARGS)
                return false;
            args[n++] = given;
        } else if (!hf_span_eq(part, given)) {
            return false;
        }
    }
    *ret_n = n;
    return path.n == 0;
}

struct found {
    const struct hf_route *route;
    struct hf_span args[HF_API_ARGS];
    size_t n_args;
    char allow[80]; /* methods of this path */
};

static void find_route(const struct hf_http *h, struct found *f)
{
    bool literal = false; /* "/users/me" before "/users/{name}" */
    struct hf_span method = hf_span_eqz(h->method, "HEAD") ? HF_S("GET") : h->method;
    for (const struct hf_route *r = hf_api_routes; r->method; r++) {
        struct hf_span args[HF_API_ARGS] = {{NULL, 0}};
        size_t n;
        if (!fits(r->path, h->path, args, &n))
            continue;
        if (!strstr(f->allow, r->method))
            snprintf(f->allow + strlen(f->allow), sizeof f->allow - strlen(f->allow), "%s%s", f->allow[0] ? ", " : "", r->method);
        if (hf_span_eqz(method, r->method) && (!f->route || (n == 0 && !literal))) {
            f->route = r;
            memcpy(f->args, args, sizeof args);
            f->n_args = n;
            literal = n == 0;
        }
    }
}

/* ---- who asks ---- */

enum asker { NOBODY, SESSION, TOKEN, WRONG_TOKEN };

static int whose(struct hf_console *c, struct hf_request *q, enum asker *ret, struct hf_err *err)
{
    struct hf_span auth = hf_header(q, "authorization"), cookie = hf_http_cookie(hf_header(q, "cookie"), "hf_session");
    (void)c;
    *ret = NOBODY;
    if (hf_http_has(q->http, "authorization")) {
        struct hf_token t;
        struct hf_account owner;
        struct hf_span word;
        *ret = WRONG_TOKEN;
        if (!hf_span_cut(&auth, ' ', &word) || !hf_span_eq_nocase(word, HF_S("bearer")))
            return 0;
        int rc = hf_token_get(q->store, hf_span_trim(auth), q->now_ns, q->arena, &t, &owner, err);
        if (rc > 0) {
            q->who = (struct hf_who){owner.name, HF_S("api"), owner.role, t.scopes};
            *ret = TOKEN;
        }
        return rc < 0 ? rc : 0;
    }
    struct hf_session s;
    int rc = cookie.n ? hf_session_get(q->store, cookie, q->now_ns, q->arena, &s, err) : 0;
    if (rc > 0) {
        q->who = (struct hf_who){s.account.name, HF_S("console"), s.account.role, HF_SCOPE_READ | HF_SCOPE_RESPOND | HF_SCOPE_ADMIN | HF_SCOPE_METRICS};
        *ret = SESSION;
    }
    return rc < 0 ? rc : 0;
}

static bool changes(const struct hf_http *h)
{
    return !hf_span_eqz(h->method, "GET") && !hf_span_eqz(h->method, "HEAD");
}

/* 0: it may; 1: the reply says why not. */
static int may(struct hf_console *c, struct hf_request *q, const struct hf_route *route, enum asker asker, struct hf_reply *r)
{
    bool changing = changes(q->http);
    if (changing && !(route->flags & HF_ROUTE_RAW) && asker != TOKEN && !hf_origin_ok(c, q->http)) {
        hf_problem(r, 403, "Another page asks", "this request comes from another page than the console's; if the console is reached by another address, set it as its public address");
        return 1;
    }
    if (route->role == HF_ROLE_NONE)
        return 0;
    if (asker == NOBODY || asker == WRONG_TOKEN) {
        hf_problem(r, 401, "Sign in first", asker == NOBODY ? "no session and no token came with the request, or the session is over" : "the token is not known, or it is over");
        return 1;
    }
    if (asker == SESSION && changing) {
        char want[HF_SECRET_TEXT];
        hf_session_csrf(hf_http_cookie(hf_header(q, "cookie"), "hf_session"), want);
        if (!hf_secret_eq(hf_header(q, "x-csrf-token"), hf_span_z(want))) {
            hf_problem(r, 403, "The token of the page is missing", "X-CSRF-Token must be what GET /api/v1/session gives as \"csrf\"");
            return 1;
        }
    }
    if (asker == TOKEN && !(q->who.scopes & route->scope)) {
        hf_problem(r, 403, "Not with this token", route->scope ? "the token lacks the scope that this needs" : "this is for people who signed in, not for tokens");
        return 1;
    }
    if (q->who.role < route->role) {
        hf_problem(r, 403, "Not allowed", "this needs the role %s, yours is %s", hf_roles[route->role], hf_roles[q->who.role]);
        return 1;
    }
    return 0;
}

/* ---- what it says ---- */

static int decode(struct hf_arena *a, struct hf_span in, bool plus, struct hf_span *ret)
{
    char *out = hf_arena_alloc(a, in.n + 1);
    return out ? hf_http_decode(in, plus, out, ret) : HF_E_LIMIT;
}

static int read_query(struct hf_request *q, struct hf_err *err)
{
    struct hf_span rest = q->http->query, one;
    while (hf_span_cut(&rest, '&', &one)) {
        size_t eq = hf_span_find(one, '=');
        struct hf_param p = {{NULL, 0}, {NULL, 0}};
        if (!one.n)
            continue;
        if (q->n_query == HF_API_QUERY)
            return hf_fail(err, HF_E_USAGE, "there are more than %u parameters", (unsigned)HF_API_QUERY);
        if (decode(q->arena, hf_span_sub(one, 0, eq == SIZE_MAX ? one.n : eq), true, &p.name) < 0 || (eq != SIZE_MAX && decode(q->arena, hf_span_from(one, eq + 1), true, &p.value) < 0))
            return hf_fail(err, HF_E_USAGE, "a parameter of the address is not percent-encoded UTF-8, or has a NUL");
        for (size_t i = 0; i < q->n_query; i++)
            if (hf_span_eq(q->query[i].name, p.name))
                return hf_fail(err, HF_E_USAGE, "a parameter stands twice");
        q->query[q->n_query++] = p;
    }
    return 0;
}

/* 0; 1: the reply says what is wrong. */
static int read_body(struct hf_request *q, const struct hf_route *route, struct hf_json_doc **ret, struct hf_reply *r, struct hf_err *err)
{
    struct hf_span type = hf_header(q, "content-type"), word;
    if (route->flags & HF_ROUTE_RAW || !q->raw.n || !changes(q->http))
        return 0;
    if (!hf_span_cut(&type, ';', &word) || !hf_span_eq_nocase(hf_span_trim(word), HF_S("application/json"))) {
        hf_problem(r, 415, "JSON is needed", "the body must be application/json");
        return 1;
    }
    struct hf_err why = HF_ERR_INIT;
    int rc = hf_span_is_utf8(q->raw) ? hf_json_parse_within(q->raw, BODY_NODES_MEMORY, ret, &why) : hf_fail(&why, HF_E_FORMAT, "the body is not UTF-8");
    if (rc == -ENOMEM)
        return hf_fail(err, rc, "no memory");
    if (rc < 0 || !hf_jis_object(hf_json_root(*ret))) {
        hf_problem(r, 400, "The body is wrong", "%s", rc < 0 ? why.msg : "the body must be an object");
        return 1;
    }
    q->body = hf_json_root(*ret);
    return 0;
}

/* ---- errors of handlers ---- */

static void failed(struct hf_reply *r, const struct hf_request *q, int rc, const struct hf_err *err)
{
    static const struct {
        int code;
        unsigned status;
    } known[] = {{HF_E_USAGE, 400}, {HF_E_FORMAT, 400}, {HF_E_NOT_FOUND, 404}, {-ESTALE, 409}, {-EEXIST, 409}, {HF_E_LIMIT, 422}, {-EPERM, 403}, {-EBUSY, 503}, {-ENOSPC, 503}, {-ECONNRESET, 503}};
    unsigned status = 500;
    for (size_t i = 0; i < HF_ARRAY_LEN(known); i++)
        if (known[i].code == rc)
            status = known[i].status;
    r->next[0] = r->etag[0] = r->location[0] = r->file_name[0] = 0;
    if (status >= 500)
        hf_log(HF_LOG_ERR, "console.failed", HF_SPAN_FMT " " HF_SPAN_FMT ": %s", HF_SPAN_ARG(q->method), HF_SPAN_ARG(hf_span_sub(q->path, 0, 200)), err->msg[0] ? err->msg : hf_err_name(rc));
    if (status == 500)
        hf_problem(r, 500, hf_http_reason(500), "the log of the console says what went wrong");
    else if (rc == -ECONNRESET) /* its address is not for whoever asks */
        hf_problem(r, 503, hf_http_reason(503), "the store's server cannot be reached at this moment; the log of the console says why");
    else
        hf_problem(r, status, hf_http_reason(status), "%s", err->msg[0] ? err->msg : hf_err_name(rc));
    r->retry_after_s = status == 503 ? 1 : 0;
}

static int run(struct hf_console *c, struct hf_request *q, const struct found *f, enum asker asker, struct hf_reply *r, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = may(c, q, f->route, asker, r);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < f->n_args; i++)
        if (decode(q->arena, f->args[i], false, &q->args[i]) < 0)
            return hf_fail(err, HF_E_USAGE, "the address is not percent-encoded UTF-8, or has a NUL");
    rc = read_query(q, err);
    rc = rc != 0 ? rc : read_body(q, f->route, &doc, r, err);
    return rc != 0 ? rc : f->route->run(&c->api, q, r, err);
}

static void recheck(struct hf_console *c, struct hf_job *j, struct hf_request *q)
{
    enum asker asker;
    struct hf_err err = HF_ERR_INIT;
    int rc = whose(c, q, &asker, &err);
    j->close = rc == 0 && (asker != SESSION && asker != TOKEN); /* a store that is busy is no reason */
}

void hf_dispatch(struct hf_console *c, struct hf_store *s, struct hf_job *j)
{
    hf_autoarena arena;
    struct found f = {.route = NULL};
    struct hf_err err = HF_ERR_INIT;
    struct hf_reply r = {.body = HF_BUF_INIT(HF_API_REPLY_MAX)};
    struct hf_request q = {.method = j->http.method, .path = j->http.path, .raw = j->body, .peer = hf_span_z(j->peer), .now_ns = hf_store_now(), .arena = &arena, .store = s, .http = &j->http};
    char extra[160] = "";
    enum asker asker = NOBODY;
    hf_arena_init(&arena, ARENA_MAX);
    if (j->recheck) {
        recheck(c, j, &q);
        return;
    }
    j->head_only = hf_span_eqz(j->http.method, "HEAD");
    find_route(&j->http, &f);
    if (!f.route && f.allow[0]) {
        snprintf(extra, sizeof extra, "Allow: %s%s\r\n", f.allow, strstr(f.allow, "GET") ? ", HEAD" : "");
        hf_problem(&r, 405, hf_http_reason(405), "this address takes %s", f.allow);
    } else if (!f.route) {
        hf_problem(&r, 404, hf_http_reason(404), "there is nothing at this address");
    } else {
        int rc = whose(c, &q, &asker, &err);
        rc = rc < 0 ? rc : run(c, &q, &f, asker, &r, &err);
        if (rc < 0)
            failed(&r, &q, rc, &err);
        if (r.status == 401)
            snprintf(extra, sizeof extra, "WWW-Authenticate: Bearer\r\n");
    }
    j->stream = r.stream;
    if (!j->stream)
        finish(c, j, &r, extra[0] ? extra : NULL);
    hf_buf_done(&r.body);
}
