/* SPDX-License-Identifier: Apache-2.0 */
/* websocket.h - a WebSocket client (RFC 6455) for Socket Mode, by libwebsockets, which is loaded when the first connection is made.
 *
 * TLS 1.2 or newer, the host's name and its certificate are verified always; text messages up to HF_NWS_MESSAGE_MAX only, everything else ends
 * the connection; a peer that says nothing for a minute, not even a pong, is gone.  One handle is one connection at a time and one thread runs it. */
#pragma once
#include "base/span.h"

enum { HF_NWS_MESSAGE_MAX = 256 << 10 };

struct hf_nws;
struct hf_nws_peer {
    struct hf_span url;     /* wss://HOST[:PORT]/PATH; ws:// as well: the caller decides what it lets through */
    struct hf_span ca_file; /* instead of the system's certificates */
    struct hf_span proxy;   /* http://HOST:PORT; empty: of the environment (https_proxy, no_proxy) */
};
struct hf_nws_events {
    /* A text message.  What is put into ret_reply is sent as one; < 0 ends the connection. */
    int (*message)(void *ctx, struct hf_span text, struct hf_buf *ret_reply);
    /* About once a second: false ends the connection. */
    bool (*tick)(void *ctx);
    void *ctx;
};
HF_MUSTUSE int hf_nws_new(struct hf_nws **ret, struct hf_err *err);
void hf_nws_free(struct hf_nws *w);
HF_DEFINE_FREEP(struct hf_nws, hf_nws_free)
/* Connects and serves until the connection ends: 0 when it was up and was closed (by either side), < 0 when it could not be made or broke. */
HF_MUSTUSE int hf_nws_run(struct hf_nws *w, const struct hf_nws_peer *peer, const struct hf_nws_events *events, struct hf_err *err);
/* Ends a run that is under way, and those to come, soon; from any thread. */
void hf_nws_stop(struct hf_nws *w);
/* The proxy the environment has for a host: "" none.  Pure but for getenv. */
struct hf_span hf_nws_env_proxy(struct hf_span host);
