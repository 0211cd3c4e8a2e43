/* SPDX-License-Identifier: Apache-2.0 */
/* console-internal.h - what the files of the server share.  The loop (server-connect.c) owns connections; a request travels to a thread of the pool as a
 * job and back with its reply (server-dispatch.c); live.h's writer is a thread of its own (server-live.c). */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "console/accounts.h"
#include "console/api.h"
#include "console/console.h"
#include "console/gate.h"
#include "console/http.h"

struct hf_oidc;
enum {
    HF_CON_WORKERS = 8,
    HF_CON_CHANGING = 5,      /* of the workers: requests that change something may be slow (a container is frozen, an image scanned); reading goes on */
    HF_CON_QUEUE = 256,       /* requests that wait for a worker; more: 503 */
    HF_CON_CONNS = 512,
    HF_CON_CONNS_PEER = 100,  /* of one address that is not this machine's */
    HF_CON_STREAMS = 128,
    HF_CON_STREAMS_USER = 8,
    HF_CON_HOSTS = 8,
    HF_CON_PEER = 64,
};

/* A subscription to live.h, as its handler made it; the loop serves it. */
struct hf_stream {
    char user[HF_USER_MAX + 8], kinds[128], container[80], types[256];
    int min_severity;
    bool resumes;
    uint64_t seq; /* with resumes: of the last one seen */
};

struct hf_job {
    struct hf_job *next;
    void *ask;             /* the connection's: server-connect.c */
    struct hf_buf in;      /* target, method and fields, as they came */
    struct hf_http http;   /* borrows from in */
    struct hf_span body;
    char peer[HF_CON_PEER];
    bool recheck;          /* of a stream: may its owner still? nothing is sent; close says no */
    /* the answer */
    unsigned status;
    struct hf_buf head, out; /* head: "Name: value" lines */
    struct hf_span fixed;  /* instead of out: an asset */
    struct hf_stream *stream;
    bool close, head_only;
};
struct hf_job *hf_job_new(void);
void hf_job_free(struct hf_job *j);
HF_DEFINE_FREEP(struct hf_job, hf_job_free)

struct hf_con_host {
    char name[256];
};
struct hf_console {
    const struct hf_console_opts *o;
    struct hf_api api;
    struct hf_gate *gate;
    struct hf_oidc *oidc;
    struct {
        struct hf_buf cert, key; /* PEM, a NUL behind it; empty: plain HTTP */
    } tls;
    struct hf_con_host hosts[HF_CON_HOSTS]; /* names this console answers to, lower case; addresses always */
    size_t n_hosts;
    char public_url[512];  /* without "/" at its end */
    char origin[512];      /* of public_url */
    bool secure;           /* people reach it by https: cookies are Secure */
    int loop_fd;           /* eventfd: something is done */
    int live_wake_fd;      /* eventfd: the stream has more */
    atomic_int hashing;    /* passwords being hashed now: each takes HF_ARGON_KIB */
    /* the pool */
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct hf_job *first, *last, *done;
    unsigned n_queued, n_changing;
    bool ending;
    pthread_t workers[HF_CON_WORKERS], live;
    struct hf_store *stores[HF_CON_WORKERS + 1]; /* one a worker; the last: of the live thread */
    unsigned n_workers;
    bool live_runs;
};

/* server-pool.c */
HF_MUSTUSE int hf_pool_start(struct hf_console *c, struct hf_err *err);
void hf_pool_end(struct hf_console *c);
HF_MUSTUSE bool hf_pool_put(struct hf_console *c, struct hf_job *j); /* false: full; j stays the caller's */
struct hf_job *hf_pool_done(struct hf_console *c);                   /* all that are done, linked; NULL */
/* server-dispatch.c: answers j with this store. */
void hf_dispatch(struct hf_console *c, struct hf_store *s, struct hf_job *j);
/* The answer when only the status is known (no handler ran). */
void hf_dispatch_problem(struct hf_console *c, struct hf_job *j, unsigned status, const char *detail);
/* The page and its assets: answered in the loop, no store.  false: not one of those. */
bool hf_static(struct hf_console *c, struct hf_job *j);
/* Writes status and head of a reply. */
void hf_reply_head(struct hf_console *c, struct hf_job *j, const struct hf_reply *r, const char *cache, const char *extra);
/* Whether this Host is one of ours: another name that leads here is how a page elsewhere would reach this API (DNS rebinding). */
bool hf_host_ok(const struct hf_console *c, struct hf_span host);
/* Whether Origin, or else Sec-Fetch-Site, says that the page asking is ours.  Neither there: no browser, true. */
bool hf_origin_ok(const struct hf_console *c, const struct hf_http *h);
/* server-tls.c */
/* Reads both into c->tls: HF_E_USAGE when they do not fit together, or everyone may read the key. */
HF_MUSTUSE int hf_tls_load(struct hf_console *c, const char *cert, const char *key, struct hf_err *err);
/* server-connect.c: until *stop. */
HF_MUSTUSE int hf_connect_run(struct hf_console *c, int listen_fd, bool unix_socket, struct hf_err *err);
/* server-live.c */
HF_MUSTUSE int hf_live_start(struct hf_console *c, struct hf_err *err);
void hf_live_stop(struct hf_console *c);
/* server-sandbox.c */
HF_MUSTUSE int hf_console_sandbox(const struct hf_console *c, struct hf_err *err);
