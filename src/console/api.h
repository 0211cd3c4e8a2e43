/* SPDX-License-Identifier: Apache-2.0 */
/* api.h - what the console's server (server.c) and the parts of its API (api-*.c) agree on: a request, a reply, a route.
 *
 * The server reads HTTP, knows who asks, refuses what the route does not allow, and hands on what is left; a handler knows neither sockets nor
 * cookies and is tested without them.  Handlers run in a few threads, several at once; each call has a store handle of its own.  Errors are
 * problem+json (RFC 9457).  Paths, parameters and bodies are described in openapi.yaml, which the tests hold against the table of routes. */
#pragma once
#include "base/json.h"
#include "base/mem.h"

struct hf_store;
struct hf_live;
struct hf_hand;
struct hf_rules;
struct hf_http;    /* http.h */
struct hf_console; /* console-internal.h: the server's own state; only its own handlers look */
struct hf_stream;

enum hf_role { HF_ROLE_NONE, HF_ROLE_VIEWER, HF_ROLE_RESPONDER, HF_ROLE_ADMIN };
extern const char *const hf_roles[4]; /* "none", "viewer", "responder", "administrator" */
/* Of tokens: what else its owner may, a token without the scope may not.  A signed-in person has all that the role has. */
enum hf_scope { HF_SCOPE_READ = 1, HF_SCOPE_RESPOND = 2, HF_SCOPE_ADMIN = 4, HF_SCOPE_METRICS = 8 };

struct hf_who {
    struct hf_span name; /* of the account */
    struct hf_span via;  /* "console" (a session) or "api" (a token): for the audit log */
    enum hf_role role;
    unsigned scopes;     /* HF_SCOPE_* */
};
enum { HF_API_ARGS = 3, HF_API_QUERY = 16, HF_API_BODY_MAX = 256 << 10, HF_API_REPLY_MAX = 16 << 20 };
struct hf_request {
    struct hf_span method, path;
    struct hf_span args[HF_API_ARGS]; /* what stands for {x} in the route's path, percent-decoded; never empty, valid UTF-8, no NUL */
    struct hf_param {
        struct hf_span name, value; /* decoded likewise; value may be empty */
    } query[HF_API_QUERY];
    size_t n_query;
    hf_jnode body;       /* an object; NULL: none was sent, or the route takes it as it is (HF_ROUTE_RAW) */
    struct hf_span raw;  /* the body's bytes */
    struct hf_who who;
    struct hf_span peer; /* address of the other end, for the log */
    int64_t now_ns;      /* since the epoch */
    struct hf_arena *arena;
    struct hf_store *store;
    const struct hf_http *http; /* header fields: hf_header(); NULL in tests of handlers */
};
struct hf_reply {
    unsigned status;      /* 200 when a handler leaves it */
    const char *type;     /* NULL: application/json */
    struct hf_buf body;   /* at most HF_API_REPLY_MAX */
    char file_name[80];   /* given as a file to save; empty: shown */
    char next[2048];       /* cursor of the next page, becomes a Link header too; empty: the last page */
    char etag[80];        /* with its quotes; a GET whose If-None-Match has it becomes 304 */
    char location[2048];  /* of 201, 302: a provider of OpenID Connect is asked with some 500 bytes */
    unsigned retry_after_s; /* of 429 and 503 */
    /* The server's own: */
    char cookie[2][320];
    struct hf_stream *stream;
};
/* What handlers share; the server fills it before it takes requests. */
struct hf_api {
    struct hf_live *live;         /* live.h: what runs now */
    struct hf_hand *hand;         /* hand/hand.h: the privileged process; NULL: there is none, nothing can be done to containers */
    struct hf_hand *hub;          /* the process that delivers: {"do":"notify.test"}; NULL */
    const struct hf_rules *rules; /* NULL: none are loaded */
    const char *version;
    struct hf_console *console;   /* NULL in tests of handlers */
};
enum hf_route_flags {
    HF_ROUTE_RAW = 1,  /* the body is handed on as bytes, whatever its type; the handler proves where it comes from (a signature) */
};
struct hf_route {
    const char *method, *path; /* "GET", "/api/v1/incidents/{id}" */
    enum hf_role role;         /* at least */
    unsigned scope;            /* of a token: this one */
    /* 0: *ret is the reply, whatever its status.  < 0: becomes a problem: HF_E_USAGE and HF_E_FORMAT 400, HF_E_NOT_FOUND 404, -ESTALE 409,
     * HF_E_LIMIT 422, -EPERM 403, -EBUSY and -ENOSPC 503, else 500 with the message in the log only. */
    int (*run)(struct hf_api *api, const struct hf_request *q, struct hf_reply *ret, struct hf_err *err);
    unsigned flags;       /* HF_ROUTE_* */
};
extern const struct hf_route hf_api_routes[]; /* routes.c; ends with method NULL */

/* Helpers of handlers (request.c). */
struct hf_span hf_header(const struct hf_request *q, const char *name); /* lower case; empty: not given */
struct hf_span hf_query(const struct hf_request *q, const char *name); /* empty: not given */
/* An unsigned number of the query within lo..hi; given nothing: missing.  HF_E_USAGE names it. */
HF_MUSTUSE int hf_query_u64(const struct hf_request *q, const char *name, uint64_t lo, uint64_t hi, uint64_t missing, uint64_t *ret, struct hf_err *err);
/* One of the words "a|b|c"; its index in *ret (unsigned); missing as above. */
HF_MUSTUSE int hf_query_enum(const struct hf_request *q, const char *name, const char *words, unsigned missing, unsigned *ret, struct hf_err *err);
/* A string member of the body, at most max bytes; required and missing, or of another type: HF_E_USAGE. */
HF_MUSTUSE int hf_body_str(const struct hf_request *q, const char *name, bool required, size_t max, struct hf_span *ret, struct hf_err *err);
/* HF_E_USAGE names the first parameter, or member of the body, that is none of "a|b|c" ("": none may be given). */
HF_MUSTUSE int hf_query_only(const struct hf_request *q, const char *names, struct hf_err *err);
HF_MUSTUSE int hf_body_only(const struct hf_request *q, const char *names, struct hf_err *err);
/* A reply of {type, title, status, detail}. */
HF_PRINTF(4, 5) int hf_problem(struct hf_reply *ret, unsigned status, const char *title, const char *fmt, ...);
