// SPDX-License-Identifier: Apache-2.0
#include "notify/websocket.h"

#include <errno.h>
#include <libwebsockets.h>
#include <pthread.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/library.h"
#include "notify/address.h"

enum { REPLIES_MAX = 256 << 10, CONNECT_S = 10, PING_S = 25, GONE_S = 60, TICK_US = 1000000 };

struct lws_api {
    __typeof__(&lws_create_context) create_context;
    __typeof__(&lws_context_destroy) context_destroy;
    __typeof__(&lws_service) service;
    __typeof__(&lws_cancel_service) cancel_service;
    __typeof__(&lws_client_connect_via_info) connect;
    __typeof__(&lws_write) write;
    __typeof__(&lws_callback_on_writable) on_writable;
    __typeof__(&lws_is_final_fragment) is_final;
    __typeof__(&lws_remaining_packet_payload) remaining;
    __typeof__(&lws_frame_is_binary) is_binary;
    __typeof__(&lws_set_log_level) set_log_level;
    __typeof__(&lws_set_timer_usecs) set_timer;
    __typeof__(&lws_context_user) context_user;
    __typeof__(&lws_get_context) get_context;
};
struct hf_nws {
    const struct lws_api *api;
    pthread_mutex_t lock;
    struct lws_context *context; /* set under lock: stop wakes it */
    _Atomic bool stop;
    const struct hf_nws_events *events;
    struct hf_buf message, replies; /* replies: texts, each behind its length */
    struct hf_buf frame;
    bool up, over, failed;
    char why[200];
};

static struct lws_api api;
static pthread_mutex_t shared = PTHREAD_MUTEX_INITIALIZER; /* contexts are made and destroyed one at a time: libwebsockets keeps things of OpenSSL's for all of them */
static const char *problem;

static void load(void)
{
    static const struct hf_symbol symbols[] = {
            {"lws_create_context", offsetof(struct lws_api, create_context)}, {"lws_context_destroy", offsetof(struct lws_api, context_destroy)}, {"lws_service", offsetof(struct lws_api, service)},
            {"lws_cancel_service", offsetof(struct lws_api, cancel_service)}, {"lws_client_connect_via_info", offsetof(struct lws_api, connect)}, {"lws_write", offsetof(struct lws_api, write)},
            {"lws_callback_on_writable", offsetof(struct lws_api, on_writable)}, {"lws_is_final_fragment", offsetof(struct lws_api, is_final)},
            {"lws_remaining_packet_payload", offsetof(struct lws_api, remaining)}, {"lws_frame_is_binary", offsetof(struct lws_api, is_binary)}, {"lws_set_log_level", offsetof(struct lws_api, set_log_level)},
            {"lws_set_timer_usecs", offsetof(struct lws_api, set_timer)}, {"lws_context_user", offsetof(struct lws_api, context_user)}, {"lws_get_context", offsetof(struct lws_api, get_context)},
    };
    problem = hf_library("libwebsockets.so.17", symbols, sizeof symbols / sizeof symbols[0], &api); /* structures change with the number: the header's is this */
    if (!problem)
        api.set_log_level(0, NULL);
}
_Static_assert(LWS_LIBRARY_VERSION_MAJOR == 4 && LWS_LIBRARY_VERSION_MINOR == 1, "libwebsockets.so.17 is 4.1");

int hf_nws_new(struct hf_nws **ret, struct hf_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (problem)
        return hf_fail(err, HF_E_UNSUPPORTED, "libwebsockets cannot be loaded (%s); install the package libwebsockets17", problem);
    struct hf_nws *w = calloc(1, sizeof *w);
    if (!w)
        return hf_fail(err, -ENOMEM, "no memory");
    w->api = &api;
    pthread_mutex_init(&w->lock, NULL);
    hf_buf_init(&w->message, HF_NWS_MESSAGE_MAX);
    hf_buf_init(&w->replies, REPLIES_MAX);
    hf_buf_init(&w->frame, REPLIES_MAX + LWS_PRE);
    *ret = w;
    return 0;
}

void hf_nws_free(struct hf_nws *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&shared);
    if (w->context)
        w->api->context_destroy(w->context);
    pthread_mutex_unlock(&shared);
    hf_buf_done(&w->message);
    hf_buf_done(&w->replies);
    hf_buf_done(&w->frame);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

void hf_nws_stop(struct hf_nws *w)
{
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    if (w->context)
        w->api->cancel_service(w->context);
    pthread_mutex_unlock(&w->lock);
}

/* ---- what happens on the connection ---- */

static int ends(struct hf_nws *w, const char *why)
{
    if (!w->over)
        snprintf(w->why, sizeof w->why, "%s", why);
    w->failed = true;
    return -1; /* libwebsockets closes it */
}

static int received(struct hf_nws *w, struct lws *wsi, struct hf_span part)
{
    hf_autobuf reply = HF_BUF_INIT(REPLIES_MAX / 4);
    if (w->api->is_binary(wsi))
        return ends(w, "the server sent bytes where text is expected");
    hf_buf_adds(&w->message, part);
    if (!hf_buf_ok(&w->message))
        return ends(w, "the server sent a message that is too long");
    if (w->api->remaining(wsi) || !w->api->is_final(wsi))
        return 0;
    int rc = w->events->message(w->events->ctx, hf_buf_span(&w->message), &reply);
    hf_buf_clear(&w->message);
    if (rc < 0 || !hf_buf_ok(&reply))
        return ends(w, "ended here");
    if (reply.n) {
        uint32_t n = (uint32_t)reply.n;
        hf_buf_add(&w->replies, &n, sizeof n);
        hf_buf_adds(&w->replies, hf_buf_span(&reply));
        if (!hf_buf_ok(&w->replies))
            return ends(w, "the server does not take what it is sent");
        w->api->on_writable(wsi);
    }
    return 0;
}

static int writable(struct hf_nws *w, struct lws *wsi)
{
    uint32_t n;
    if (w->replies.n < sizeof n)
        return 0;
    memcpy(&n, w->replies.p, sizeof n);
    hf_buf_clear(&w->frame);
    if (!hf_buf_reserve(&w->frame, LWS_PRE + n))
        return ends(w, "no memory");
    memcpy(w->frame.p + LWS_PRE, w->replies.p + sizeof n, n);
    if (w->api->write(wsi, (unsigned char *)w->frame.p + LWS_PRE, n, LWS_WRITE_TEXT) < (int)n)
        return ends(w, "the connection broke");
    w->replies.n -= sizeof n + n;
    memmove(w->replies.p, w->replies.p + sizeof n + n, w->replies.n);
    if (w->replies.n)
        w->api->on_writable(wsi);
    return 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
    struct lws_context *context = wsi ? api.get_context(wsi) : NULL;
    struct hf_nws *w = context ? api.context_user(context) : NULL;
    (void)user;
    if (!w)
        return 0;
    switch ((int)reason) { /* of some eighty: those that concern a client */
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        w->up = true;
        w->api->set_timer(wsi, TICK_US);
        return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return received(w, wsi, hf_span(in, n));
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return writable(w, wsi);
    case LWS_CALLBACK_TIMER:
        w->api->set_timer(wsi, TICK_US);
        return w->events->tick(w->events->ctx) && !w->stop ? 0 : -1;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        ends(w, in ? in : "the connection could not be made");
        w->over = true;
        return 0;
    case LWS_CALLBACK_CLIENT_CLOSED:
        w->over = true;
        return 0;
    default:
        return 0;
    }
}

/* ---- connecting ---- */

static bool host_excepted(struct hf_span list, struct hf_span host)
{
    struct hf_span one;
    while (hf_span_cut(&list, ',', &one)) {
        one = hf_span_trim(one);
        if (one.n > 1 && one.p[0] == '.')
            one = hf_span_from(one, 1);
        if (hf_span_eqz(one, "*") || (one.n && hf_span_eq_nocase(one, host)))
            return true;
        if (one.n && host.n > one.n && host.p[host.n - one.n - 1] == '.' && hf_span_eq_nocase(hf_span_from(host, host.n - one.n), one))
            return true;
    }
    return false;
}

struct hf_span hf_nws_env_proxy(struct hf_span host)
{
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    const char *no = getenv("no_proxy") ? getenv("no_proxy") : getenv("NO_PROXY"), *proxy = NULL;
    for (size_t i = 0; i < HF_ARRAY_LEN(names) && !(proxy && *proxy); i++)
        proxy = getenv(names[i]);
    return proxy && *proxy && !(no && host_excepted(hf_span_z(no), host)) ? hf_span_z(proxy) : hf_span("", 0);
}

static const lws_retry_bo_t patience = {.secs_since_valid_ping = PING_S, .secs_since_valid_hangup = GONE_S};

/* One a handle, for all its connections: making one reads every certificate of the system. */
static int make_context(struct hf_nws *w, const struct hf_nws_peer *peer, struct hf_span host, struct hf_err *err)
{
    static const struct lws_protocols protocols[] = {{"holdfast", on_event, 0, 65536, 0, NULL, 0}, {NULL, NULL, 0, 0, 0, NULL, 0}};
    struct hf_span scheme, p_host = {"", 0}, path, proxy = peer->proxy.n ? peer->proxy : hf_nws_env_proxy(host);
    uint16_t port = 0;
    if (proxy.n && (!hf_naddress_split(proxy, &scheme, &p_host, &port, &path) || !hf_span_eqz(scheme, "http")))
        return hf_fail(err, HF_E_USAGE, "the proxy of a WebSocket must be http://HOST:PORT");
    hf_autofree char *proxy_host = hf_span_dupz(p_host), *ca = hf_span_dupz(peer->ca_file);
    if (!proxy_host || !ca)
        return hf_fail(err, HF_E_FORMAT, "that is no address of a WebSocket");
    struct lws_context_creation_info info = {.port = CONTEXT_PORT_NO_LISTEN, .protocols = protocols, .user = w, .gid = (gid_t)-1, .uid = (uid_t)-1, .fd_limit_per_thread = 16, .timeout_secs = CONNECT_S,
            .connect_timeout_secs = CONNECT_S, .http_proxy_address = proxy_host, .http_proxy_port = port ? port : p_host.n ? 3128 : 0, .client_ssl_ca_filepath = *ca ? ca : NULL,
            .ssl_client_options_set = 0x04000000l | 0x10000000l /* SSL_OP_NO_TLSv1, SSL_OP_NO_TLSv1_1 */,
            .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_VALIDATE_UTF8 | (*ca ? LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS : 0)};
    pthread_mutex_lock(&shared);
    struct lws_context *context = w->api->create_context(&info);
    pthread_mutex_unlock(&shared);
    if (!context)
        return hf_fail(err, *ca ? HF_E_USAGE : -EIO, "no TLS for the WebSocket%s%s", *ca ? ": are there certificates in " : "", ca);
    pthread_mutex_lock(&w->lock);
    w->context = context;
    pthread_mutex_unlock(&w->lock);
    return 0;
}

static int connect_to(struct hf_nws *w, const struct hf_nws_peer *peer, struct hf_err *err)
{
    struct hf_span scheme, host, path;
    uint16_t port = 0;
    if (!hf_naddress_split(peer->url, &scheme, &host, &port, &path) || (!hf_span_eqz(scheme, "wss") && !hf_span_eqz(scheme, "ws")) || host.n > 253 || peer->url.n > 4000)
        return hf_fail(err, HF_E_FORMAT, "that is no address of a WebSocket");
    bool tls = hf_span_eqz(scheme, "wss"), odd = port && port != (tls ? 443 : 80);
    hf_autofree char *address = hf_span_dupz(host);
    hf_autobuf target = HF_BUF_INIT(8192), name = HF_BUF_INIT(512);
    hf_buf_addf(&target, "%s%.*s", path.n && path.p[0] == '/' ? "" : "/", (int)path.n, path.p);
    hf_buf_addf(&name, odd ? "%.*s:%u" : "%.*s", HF_SPAN_ARG(host), port);
    if (!address || !hf_buf_ok(&target) || !hf_buf_ok(&name))
        return hf_fail(err, HF_E_FORMAT, "that is no address of a WebSocket");
    int rc = w->context ? 0 : make_context(w, peer, host, err);
    if (rc < 0)
        return rc;
    struct lws_client_connect_info c = {.context = w->context, .address = address, .port = port ? port : tls ? 443 : 80, .ssl_connection = tls ? LCCSCF_USE_SSL : 0, .path = hf_buf_z(&target), .host = hf_buf_z(&name),
            .alpn = "http/1.1", .ietf_version_or_minus_one = -1, .local_protocol_name = "holdfast", .retry_and_idle_policy = &patience};
    if (!w->api->connect(&c)) {
        ends(w, w->why[0] ? w->why : "the connection could not be made");
        w->over = true;
    }
    return 0;
}

int hf_nws_run(struct hf_nws *w, const struct hf_nws_peer *peer, const struct hf_nws_events *events, struct hf_err *err)
{
    w->events = events;
    w->up = w->over = w->failed = false;
    w->why[0] = 0;
    hf_buf_clear(&w->message);
    hf_buf_clear(&w->replies);
    int rc = connect_to(w, peer, err);
    if (rc < 0)
        return rc;
    while (!w->over && !w->stop && w->api->service(w->context, 0) >= 0)
        ;
    return w->failed ? hf_fail(err, -EIO, "%s", w->why[0] ? w->why : "the connection broke") : 0;
}
