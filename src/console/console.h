/* SPDX-License-Identifier: Apache-2.0 */
/* console.h - the console: HTTP server, sign-in, API and page over a store; a process of its own (docs/console.md).
 *
 * One loop reads and writes sockets and never waits for anything else; requests run in a few threads, each with a store handle of its own.
 * Everything that arrives is hostile and bounded: http.h has the limits of a request, server.c those of connections. */
#pragma once
#include "base/span.h"

struct hf_store;
struct hf_rules;
struct hf_oidc_conf; /* oidc.h */

struct hf_console_opts {
    const char *store_url;
    const char *listen;              /* "127.0.0.1:8470", "[::1]:8470", "0.0.0.0:8443", "unix:/run/holdfast/console.sock" */
    const char *tls_cert, *tls_key;  /* PEM; NULL only where listen is loopback or unix */
    const char *public_url;          /* as people reach it; NULL: from listen */
    const struct hf_oidc_conf *oidc; /* NULL: local accounts only */
    int listen_fd;                   /* already bound and listening; -1: bind here */
    int live_fd;                     /* lines of `watch --json` (socket, pipe or file); -1: none */
    int hub_fd, hand_fd;             /* hand/hand.h; -1 */
    int user_uid, user_gid;          /* to become; -1: stay */
    bool no_sandbox;
    bool behind_proxy;               /* a reverse proxy on this machine: the last address of X-Forwarded-For is the other end */
    volatile int *stop;              /* non-zero: end; looked at at least every 500 ms; NULL: never */
    const struct hf_rules *rules;    /* loaded before; NULL */
    void (*ready)(void *ctx, const char *url); /* once requests are taken; NULL */
    void *ready_ctx;
};
/* Serves until *stop.  0, or why it could not begin: HF_E_USAGE (an address beyond this machine without TLS, a certificate that does not fit ...),
 * -EADDRINUSE, errors of the store.  SIGPIPE must be ignored. */
HF_MUSTUSE int hf_console_run(const struct hf_console_opts *o, struct hf_err *err);
/* Whether that may be listened on: HF_E_USAGE says what to do. */
HF_MUSTUSE int hf_console_listen_ok(const char *listen, bool has_tls, struct hf_err *err);
/* Binds listen as hf_console_run would, with its rules; for a supervisor that keeps the socket over restarts.  The fd. */
HF_MUSTUSE int hf_console_bind(const char *listen, bool has_tls, struct hf_err *err);
/* A one-time link for the first sign-in: account "administrator" of this machine; valid 10 minutes, once.  The token's hash is in the store's settings;
 * the token stands behind "#", which browsers do not send. */
HF_MUSTUSE int hf_console_link(struct hf_store *s, const char *public_url, struct hf_buf *ret_url, struct hf_err *err);
