// SPDX-License-Identifier: Apache-2.0
/* Connections, TLS and HTTP/1.1 by libmicrohttpd, which has a thread of its own; here is what it asks us, and what it leaves to us.
 *
 * A request that is whole is lent to a thread of the pool (hf_pool_put) while its connection is suspended; when the pool gives it back the connection goes on with
 * the answer.  Streams are suspended while there is nothing new.  libmicrohttpd knows how long a connection may be silent, but not how long a request may take to
 * arrive byte by byte: that is watched here (deadlines), as is how many connections one address may have. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "base/log.h"
#include "console/console-internal.h"
#include "console/live.h"
#include "console/mhd.h"

#define SEC 1000000000ll
enum {
    HEAD_S = 10,        /* from the connection (TLS included) to the end of the first header */
    IDLE_S = 75,        /* between requests: libmicrohttpd's limit of silence */
    BODY_S = 30,
    STREAM_STUCK_S = 30, /* a stream whose reader takes nothing */
    HEARTBEAT_S = 15,
    RECHECK_S = 30,     /* may the owner of a stream still */
    STREAM_CHUNK = 64 << 10,
    CONN_MEMORY = 48 << 10, /* of libmicrohttpd: a header, and what is being written */
    TURN_MS = 250,
};

/* One connection, from its beginning to its end. */
struct conn {
    struct conn *next, **link; /* of all */
    int fd;
    bool local;       /* of this machine */
    bool idle;        /* between requests */
    int64_t deadline; /* then it is cut; INT64_MAX: we are working on it */
    int64_t since;    /* idle */
    char peer[HF_CON_PEER];
};

enum state { FRESH, BODY, LENT, BACK, TOLD };
struct loop;
/* One request. */
struct ask {
    struct loop *l;
    struct conn *conn;
    struct MHD_Connection *mhd;
    enum state state;
    struct ask *next, **link; /* of those that are lent */
    struct hf_job *job;   /* NULL while it is lent */
    struct hf_span uri;   /* in job->in */
    unsigned refuse;      /* the status to answer with, and why; 0: go on */
    const char *why;
    struct hf_buf body;
};

/* A running stream. */
struct stream {
    struct stream *next, **link;
    struct loop *l;
    struct MHD_Connection *mhd;
    struct hf_stream *s;
    struct hf_job *mine;  /* its request, to ask again whether its owner may; NULL while that is asked */
    struct hf_buf out;
    size_t sent;
    int64_t beat, recheck;
    int fd;               /* of its connection */
    bool suspended, over;
};

struct loop {
    struct hf_console *c;
    struct MHD_Daemon *d;
    bool unix_socket;
    pthread_mutex_t lock; /* of all below, and of the fields of conn, ask and stream that the loop reads */
    struct conn *conns;
    struct ask *lent;
    struct stream *streams;
    unsigned n, n_streams;
    uint64_t refused;
    bool ending;
};

static const struct hf_mhd *mhd_lib; /* set before the first thread */

static int64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * SEC + t.tv_nsec;
}

/* ---- connections ---- */

static bool name_peer(const struct sockaddr *a, char peer[HF_CON_PEER])
{
    const struct sockaddr_in *four = (const void *)a;
    const struct sockaddr_in6 *six = (const void *)a;
    struct in_addr mapped;
    snprintf(peer, HF_CON_PEER, "unix");
    if (!a || (a->sa_family != AF_INET && a->sa_family != AF_INET6))
        return true;
    if (a->sa_family == AF_INET || IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
        memcpy(&mapped, a->sa_family == AF_INET ? (const void *)&four->sin_addr : (const void *)(six->sin6_addr.s6_addr + 12), 4);
        inet_ntop(AF_INET, &mapped, peer, HF_CON_PEER);
        return ntohl(mapped.s_addr) >> 24 == 127;
    }
    inet_ntop(AF_INET6, &six->sin6_addr, peer, HF_CON_PEER);
    return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

/* Its end is seen by libmicrohttpd, which owns the descriptor. */
static void cut(struct conn *x)
{
    shutdown(x->fd, SHUT_RDWR);
    x->deadline = INT64_MAX;
    x->idle = false;
}

/* One more: when all places are taken, who has been idle longest gives up its own. */
static enum MHD_Result accepts(void *cls, const struct sockaddr *a, socklen_t n)
{
    struct loop *l = cls;
    char peer[HF_CON_PEER];
    bool local = name_peer(n ? a : NULL, peer), good;
    unsigned same = 0;
    struct conn *idle = NULL;
    pthread_mutex_lock(&l->lock);
    for (struct conn *x = l->conns; x; x = x->next) {
        same += !strcmp(x->peer, peer);
        if (x->idle && (!idle || x->since < idle->since))
            idle = x;
    }
    good = (local || same < HF_CON_CONNS_PEER) && (l->n < HF_CON_CONNS || idle);
    if (good && l->n >= HF_CON_CONNS)
        cut(idle);
    l->refused += !good;
    pthread_mutex_unlock(&l->lock);
    return good ? MHD_YES : MHD_NO;
}

static void connection(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode what)
{
    struct loop *l = cls;
    struct conn *x = *context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (!x)
            return;
        pthread_mutex_lock(&l->lock);
        *x->link = x->next;
        if (x->next)
            x->next->link = x->link;
        l->n--;
        pthread_mutex_unlock(&l->lock);
        free(x);
        return;
    }
    const union MHD_ConnectionInfo *fd = mhd_lib->get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD), *a = mhd_lib->get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!fd || !(x = calloc(1, sizeof *x)))
        return; /* its requests are refused */
    x->fd = fd->connect_fd;
    x->local = name_peer(l->unix_socket || !a ? NULL : a->client_addr, x->peer);
    x->deadline = clock_ns() + HEAD_S * SEC;
    pthread_mutex_lock(&l->lock);
    x->next = l->conns;
    x->link = &l->conns;
    if (x->next)
        x->next->link = &x->next;
    l->conns = x;
    l->n++;
    pthread_mutex_unlock(&l->lock);
    *context = x;
}

static void due(struct ask *a, int64_t deadline)
{
    if (!a->conn)
        return;
    pthread_mutex_lock(&a->l->lock);
    a->conn->deadline = deadline;
    a->conn->idle = false;
    pthread_mutex_unlock(&a->l->lock);
}

/* ---- a request comes in ---- */

/* The first that is heard of it: its target, as it was sent. */
static void *begin(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = mhd_lib->get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct ask *a = calloc(1, sizeof *a);
    if (!a || !(a->job = hf_job_new())) {
        free(a);
        return NULL;
    }
    a->l = cls;
    a->mhd = mhd;
    a->conn = info ? info->socket_context : NULL;
    hf_buf_init(&a->body, HF_API_BODY_MAX);
    hf_buf_addz(&a->job->in, uri);
    hf_buf_addc(&a->job->in, 0);
    return a;
}

static void end(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode why)
{
    struct ask *a = *context;
    (void)cls;
    (void)mhd;
    (void)why;
    if (!a)
        return;
    if (a->conn) { /* the next one's header may take what idling and a header may */
        pthread_mutex_lock(&a->l->lock);
        a->conn->since = clock_ns();
        a->conn->deadline = a->conn->since + (IDLE_S + HEAD_S) * SEC;
        a->conn->idle = true;
        pthread_mutex_unlock(&a->l->lock);
    }
    hf_job_free(a->job);
    hf_buf_done(&a->body);
    free(a);
    *context = NULL;
}

struct fields {
    struct hf_buf *in;
    size_t at[HF_HTTP_FIELDS][4]; /* name, its length, value, its length: offsets into *in, which may still move */
    size_t n, left;
};

static enum MHD_Result one_field(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_n, const char *value, size_t value_n)
{
    struct fields *f = cls;
    (void)kind;
    if (f->n == HF_HTTP_FIELDS) {
        f->left++;
        return MHD_YES;
    }
    size_t *at = f->at[f->n++];
    at[0] = f->in->n;
    at[1] = name_n;
    hf_buf_add(f->in, name, name_n);
    at[2] = f->in->n;
    at[3] = value ? value_n : 0;
    hf_buf_add(f->in, value ? value : "", at[3]);
    return MHD_YES;
}

/* The header as the handlers see it: texts of our own. */
static void read_head(struct ask *a, const char *method)
{
    struct hf_job *j = a->job;
    struct fields f = {.in = &j->in};
    size_t uri_n = j->in.n - 1, method_at = j->in.n;
    hf_buf_addz(&j->in, method);
    size_t method_n = j->in.n - method_at;
    mhd_lib->get_connection_values_n(a->mhd, MHD_HEADER_KIND, one_field, &f);
    if (!hf_buf_ok(&j->in) || f.left) {
        a->refuse = 431;
        a->why = "the header is too large";
        j->http = (struct hf_http){.method = HF_S("GET"), .path = HF_S("/")};
        return;
    }
    struct hf_span all = hf_buf_span(&j->in);
    for (size_t i = 0; i < f.n; i++)
        j->http.fields[i] = (struct hf_http_field){hf_span_sub(all, f.at[i][0], f.at[i][1]), hf_span_trim(hf_span_sub(all, f.at[i][2], f.at[i][3]))};
    j->http.n_fields = f.n;
    j->http.method = hf_span_sub(all, method_at, method_n);
    a->refuse = (unsigned)hf_http_meaning(&j->http, hf_span_sub(all, 0, uri_n), &a->why);
}

/* Of a proxy on this machine: the last address is the one that it saw itself. */
static void peer_of(struct ask *a)
{
    struct hf_job *j = a->job;
    unsigned char raw[16];
    char z[HF_CON_PEER];
    struct hf_span list = {NULL, 0};
    snprintf(j->peer, sizeof j->peer, "%s", a->conn->peer);
    if (!a->l->c->o->behind_proxy || !a->conn->local)
        return;
    for (size_t i = 0; i < j->http.n_fields; i++) /* the last field too */
        if (hf_span_eq_nocase(j->http.fields[i].name, HF_S("x-forwarded-for")))
            list = j->http.fields[i].value;
    size_t comma = hf_span_rfind(list, ',');
    list = hf_span_trim(comma == SIZE_MAX ? list : hf_span_from(list, comma + 1));
    if (!list.n || list.n >= sizeof z)
        return;
    snprintf(z, sizeof z, "%.*s", HF_SPAN_ARG(list));
    if (inet_pton(AF_INET, z, raw) == 1 || inet_pton(AF_INET6, z, raw) == 1)
        snprintf(j->peer, sizeof j->peer, "%s", z);
}

static bool machine(const char *peer)
{
    return !strcmp(peer, "unix") || !strcmp(peer, "::1") || !strncmp(peer, "127.", 4);
}

/* ---- the answer goes out ---- */

static void free_stream(void *cls)
{
    struct stream *x = cls;
    pthread_mutex_lock(&x->l->lock);
    *x->link = x->next;
    if (x->next)
        x->next->link = x->link;
    x->l->n_streams--;
    pthread_mutex_unlock(&x->l->lock);
    hf_job_free(x->mine);
    hf_buf_done(&x->out);
    free(x->s);
    free(x);
}

/* What is new for a stream; nothing: its connection is suspended until there is. */
static ssize_t read_stream(void *cls, uint64_t pos, char *to, size_t max)
{
    struct stream *x = cls;
    struct hf_live_filter f = {hf_span_z(x->s->kinds), hf_span_z(x->s->container), hf_span_z(x->s->types), x->s->min_severity};
    int64_t now = clock_ns();
    ssize_t n = MHD_CONTENT_READER_END_OF_STREAM;
    (void)pos;
    pthread_mutex_lock(&x->l->lock); /* so that what comes now wakes it, or is read now */
    if (x->sent >= x->out.n) {
        hf_buf_clear(&x->out);
        x->sent = 0;
        (void)hf_live_read(x->l->c->api.live, &x->s->seq, &f, STREAM_CHUNK, &x->out);
        if (!x->out.n && now - x->beat >= HEARTBEAT_S * SEC)
            hf_buf_addz(&x->out, ": alive\n\n");
    }
    if (!x->over && !x->l->ending && hf_buf_ok(&x->out)) {
        n = (ssize_t)HF_MIN(max, x->out.n - x->sent);
        if (n == 0) {
            x->suspended = true;
            mhd_lib->suspend_connection(x->mhd);
        } else {
            memcpy(to, x->out.p + x->sent, (size_t)n);
            x->sent += (size_t)n;
            x->beat = now;
        }
    }
    pthread_mutex_unlock(&x->l->lock);
    return n;
}

static unsigned streams_of(const struct loop *l, const char *user)
{
    unsigned n = 0;
    for (const struct stream *x = l->streams; x; x = x->next)
        n += !strcmp(x->s->user, user);
    return n;
}

/* The stream of a job as a response; NULL: the job has another answer now. */
static struct MHD_Response *stream(struct ask *a)
{
    struct loop *l = a->l;
    struct hf_job *j = a->job;
    struct hf_reply r = {.type = "text/event-stream"};
    uint64_t newest = hf_live_seq(l->c->api.live);
    struct stream *x = calloc(1, sizeof *x);
    hf_cleanup(hf_job_freep) struct hf_job *rest = hf_job_new(); /* what is left of the request when the stream has it */
    pthread_mutex_lock(&l->lock);
    bool room = x && rest && l->n_streams < HF_CON_STREAMS && streams_of(l, j->stream->user) < HF_CON_STREAMS_USER;
    if (room) {
        x->s = hf_take(j->stream);
        x->next = l->streams;
        x->link = &l->streams;
        if (x->next)
            x->next->link = &x->next;
        l->streams = x;
        l->n_streams++;
    }
    pthread_mutex_unlock(&l->lock);
    if (!room) {
        free(x);
        hf_dispatch_problem(l->c, j, 429, "too many streams are open; close a page");
        return NULL;
    }
    x->l = l;
    x->mhd = a->mhd;
    x->fd = a->conn->fd;
    x->beat = clock_ns();
    x->recheck = x->beat + RECHECK_S * SEC;
    hf_buf_init(&x->out, STREAM_CHUNK + (2 << 20));
    hf_buf_addz(&x->out, "retry: 2000\n: alive\n\n");
    if (!x->s->resumes)
        x->s->seq = newest;
    if (x->s->seq > newest) { /* of a console that ran before: what came between is not known */
        hf_buf_addf(&x->out, "id: %llu\nevent: gap\ndata: {\"type\":\"gap\",\"lost\":null}\n\n", (unsigned long long)newest);
        x->s->seq = newest;
    }
    hf_reply_head(l->c, rest, &r, "no-store", "X-Accel-Buffering: no\r\n");
    struct MHD_Response *m = mhd_lib->create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_CHUNK / 4, read_stream, x, free_stream);
    if (!m) {
        free_stream(x);
        hf_dispatch_problem(l->c, j, 503, "no memory");
        return NULL;
    }
    (void)mhd_lib->set_connection_option(a->mhd, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned)STREAM_STUCK_S);
    x->mine = j;
    a->job = hf_take(rest);
    return m;
}

/* Each line of the head: "Name: value". */
static void add_headers(struct MHD_Response *m, const struct hf_buf *head)
{
    struct hf_span rest = hf_buf_span(head), line;
    hf_autobuf name = HF_BUF_INIT(256), value = HF_BUF_INIT(HF_HTTP_HEAD_MAX);
    while (hf_span_line(&rest, &line)) {
        size_t colon = hf_span_find(line, ':');
        hf_buf_clear(&name);
        hf_buf_clear(&value);
        hf_buf_adds(&name, hf_span_sub(line, 0, colon == SIZE_MAX ? line.n : colon));
        hf_buf_adds(&value, colon == SIZE_MAX ? hf_span(NULL, 0) : hf_span_trim(hf_span_from(line, colon + 1)));
        if (!hf_buf_ok(&name) || !hf_buf_ok(&value) || mhd_lib->add_response_header(m, hf_buf_z(&name), hf_buf_z(&value)) != MHD_YES)
            hf_log(HF_LOG_ERR, "console.header", "the header %.40s could not be given", name.n ? hf_buf_z(&name) : "");
    }
}

static enum MHD_Result tell(struct ask *a)
{
    struct MHD_Response *m = a->job->stream ? stream(a) : NULL;
    struct hf_job *j = a->job;
    if (!m && j->fixed.n)
        m = mhd_lib->create_response_from_buffer(j->fixed.n, (void *)(size_t)j->fixed.p, MHD_RESPMEM_PERSISTENT);
    else if (!m && j->out.n && (m = mhd_lib->create_response_from_buffer(j->out.n, j->out.p, MHD_RESPMEM_MUST_FREE)))
        j->out = (struct hf_buf)HF_BUF_INIT(0); /* its memory is the response's */
    else if (!m)
        m = mhd_lib->create_response_from_buffer(0, (void *)(size_t) "", MHD_RESPMEM_PERSISTENT);
    if (!m)
        return MHD_NO;
    add_headers(m, &j->head);
    if (j->close)
        (void)mhd_lib->add_response_header(m, "Connection", "close");
    enum MHD_Result rc = mhd_lib->queue_response(a->mhd, j->status, m);
    mhd_lib->destroy_response(m); /* ours: the connection has its own */
    a->state = TOLD;
    return rc;
}

/* To the pool and back: a->job is theirs meanwhile. */
static void lend(struct ask *a, bool away)
{
    pthread_mutex_lock(&a->l->lock);
    if (away) {
        a->next = a->l->lent;
        a->link = &a->l->lent;
        a->l->lent = a;
    } else {
        *a->link = a->next;
    }
    if (a->next)
        a->next->link = away ? &a->next : a->link;
    a->state = away ? LENT : BACK;
    pthread_mutex_unlock(&a->l->lock);
}

static enum MHD_Result refuse(struct ask *a, unsigned status, const char *why)
{
    a->job->close = true; /* what follows in it cannot be trusted */
    hf_dispatch_problem(a->l->c, a->job, status, why);
    return tell(a);
}

/* All of it is there: to the pool, or answered here. */
static enum MHD_Result whole(struct ask *a)
{
    struct hf_console *c = a->l->c;
    struct hf_job *j = a->job;
    due(a, INT64_MAX);
    if (a->refuse)
        return refuse(a, a->refuse, a->why);
    j->body = hf_buf_span(&a->body);
    peer_of(a);
    bool answered = true;
    if (!hf_host_ok(c, j->http.host))
        hf_dispatch_problem(c, j, 421, "this console has another name; set its public address (console --public-url) to the one that people use");
    else if (!machine(j->peer) && !hf_gate_request(c->gate, hf_span_z(j->peer), hf_store_now()))
        hf_dispatch_problem(c, j, 429, "too many requests from this address");
    else
        answered = hf_static(c, j);
    if (answered)
        return tell(a);
    lend(a, true);
    a->job = NULL;
    j->ask = a;
    mhd_lib->suspend_connection(a->mhd); /* before the pool has it: it may be back at once */
    if (hf_pool_put(c, j))
        return MHD_YES;
    hf_dispatch_problem(c, j, 503, "too many requests wait already");
    a->job = j;
    lend(a, false);
    mhd_lib->resume_connection(a->mhd);
    return MHD_YES;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *mhd, const char *url, const char *method, const char *version, const char *data, size_t *n, void **context)
{
    struct ask *a = *context;
    (void)cls;
    (void)mhd;
    (void)url;
    (void)version;
    if (!a || !a->conn)
        return MHD_NO; /* no memory when it began */
    switch (a->state) {
    case FRESH:
        due(a, clock_ns() + BODY_S * SEC);
        read_head(a, method);
        a->state = BODY;
        if (!a->refuse && a->job->http.length > HF_API_BODY_MAX)
            a->refuse = 413, a->why = "the body is larger than this takes";
        return a->refuse ? refuse(a, a->refuse, a->why) : MHD_YES; /* before a body is sent */
    case BODY:
        if (!*n)
            return whole(a);
        if (!a->refuse)
            hf_buf_add(&a->body, data, *n);
        *n = 0;
        if (!hf_buf_ok(&a->body) && !a->refuse)
            a->refuse = 413, a->why = "the body is larger than this takes";
        return MHD_YES;
    case BACK:
        return tell(a);
    case LENT: /* the console ends */
        return MHD_NO;
    case TOLD:
        break;
    }
    *n = 0;
    return MHD_YES;
}

/* ---- the loop: what comes back from the pool, what wakes streams, who takes too long ---- */

static void back(struct loop *l, struct hf_job *j)
{
    if (j->recheck) {
        pthread_mutex_lock(&l->lock);
        struct stream *x = l->streams;
        while (x && x != j->ask)
            x = x->next;
        if (x) {
            x->mine = j;
            x->over |= j->close;
            if (x->over && x->suspended) {
                x->suspended = false;
                mhd_lib->resume_connection(x->mhd);
            }
        }
        pthread_mutex_unlock(&l->lock);
        if (!x) /* it ended meanwhile */
            hf_job_free(j);
        return;
    }
    struct ask *a = j->ask; /* its connection is suspended: it is there */
    a->job = j;
    lend(a, false);
    mhd_lib->resume_connection(a->mhd);
}

static void wake(struct loop *l, bool all)
{
    int64_t now = clock_ns();
    pthread_mutex_lock(&l->lock);
    for (struct stream *x = l->streams; x; x = x->next) {
        struct pollfd gone = {.fd = x->fd, .events = POLLRDHUP}; /* of a suspended one libmicrohttpd does not see that its reader left */
        x->over |= x->suspended && poll(&gone, 1, 0) > 0;
        if (x->suspended && (all || x->over || now - x->beat >= HEARTBEAT_S * SEC)) {
            x->suspended = false;
            mhd_lib->resume_connection(x->mhd);
        }
        if (x->mine && now >= x->recheck) {
            struct hf_job *j = hf_take(x->mine);
            x->recheck = now + RECHECK_S * SEC;
            j->recheck = true;
            j->close = false;
            j->ask = x;
            if (!hf_pool_put(l->c, j))
                x->mine = j;
        }
    }
    pthread_mutex_unlock(&l->lock);
}

static void sweep(struct loop *l)
{
    int64_t now = clock_ns();
    pthread_mutex_lock(&l->lock);
    for (struct conn *x = l->conns; x; x = x->next)
        if (now >= x->deadline)
            cut(x);
    uint64_t refused = l->refused;
    l->refused = 0;
    pthread_mutex_unlock(&l->lock);
    if (refused)
        hf_log(HF_LOG_WARNING, "console.crowded", "%llu connections were refused: all %u places are taken, or too many came from one address", (unsigned long long)refused, (unsigned)HF_CON_CONNS);
}

static void turn(struct loop *l)
{
    struct hf_console *c = l->c;
    struct pollfd p[2] = {{.fd = c->loop_fd, .events = POLLIN}, {.fd = c->live_wake_fd, .events = POLLIN}};
    uint64_t n;
    if (poll(p, 2, TURN_MS) > 0) {
        if (p[0].revents)
            (void)!read(c->loop_fd, &n, sizeof n);
        if (p[1].revents)
            (void)!read(c->live_wake_fd, &n, sizeof n);
    }
    for (struct hf_job *next, *j = hf_pool_done(c); j; j = next) {
        next = j->next;
        back(l, j);
    }
    wake(l, p[1].revents != 0);
}

HF_PRINTF(2, 0) static void logs(void *cls, const char *fmt, va_list ap)
{
    char text[400];
    (void)cls;
    if (vsnprintf(text, sizeof text, fmt, ap) > 0)
        hf_log(HF_LOG_DEBUG, "console.http", "%s", text);
}

/* Addresses are decoded by their route, not before: "%2F" is no "/". */
static size_t as_sent(void *cls, struct MHD_Connection *mhd, char *s)
{
    (void)cls;
    (void)mhd;
    return strlen(s);
}

static struct MHD_Daemon *start(struct loop *l, int fd)
{
    const struct hf_console *c = l->c;
    const struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, c->tls.cert.p}, {MHD_OPTION_HTTPS_MEM_KEY, 0, c->tls.key.p},
            {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(size_t) "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305:%SERVER_PRECEDENCE"},
            {MHD_OPTION_END, 0, NULL}};
    const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | (c->tls.cert.n ? MHD_USE_TLS : 0);
    return mhd_lib->start_daemon(flags, 0, accepts, l, handle, l, MHD_OPTION_EXTERNAL_LOGGER, logs, l, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HF_CON_CONNS + 16,
            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONN_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, as_sent, l,
            MHD_OPTION_URI_LOG_CALLBACK, begin, l, MHD_OPTION_NOTIFY_COMPLETED, end, l, MHD_OPTION_NOTIFY_CONNECTION, connection, l, MHD_OPTION_ARRAY, c->tls.cert.n ? tls : none, MHD_OPTION_END);
}

/* Nothing may be suspended when libmicrohttpd ends. */
static void finish(struct loop *l)
{
    hf_pool_end(l->c); /* what was lent is gone with it */
    pthread_mutex_lock(&l->lock);
    l->ending = true;
    for (struct stream *x = l->streams; x; x = x->next)
        if (x->suspended)
            mhd_lib->resume_connection(x->mhd);
    for (struct ask *a = l->lent; a; a = a->next)
        mhd_lib->resume_connection(a->mhd);
    pthread_mutex_unlock(&l->lock);
    mhd_lib->stop_daemon(l->d);
}

int hf_connect_run(struct hf_console *c, int listen_fd, bool unix_socket, struct hf_err *err)
{
    struct loop l = {.c = c, .unix_socket = unix_socket, .lock = PTHREAD_MUTEX_INITIALIZER};
    int64_t swept = 0;
    mhd_lib = hf_mhd(err);
    if (!mhd_lib)
        return HF_E_UNSUPPORTED;
    int fd = fcntl(listen_fd, F_DUPFD_CLOEXEC, 3); /* it closes its own */
    l.d = fd < 0 ? NULL : start(&l, fd);
    if (!l.d) {
        if (fd >= 0)
            close(fd);
        return hf_fail(err, fd < 0 ? -errno : -EIO, "the server could not be started%s", c->tls.cert.n ? "; is the key one that GnuTLS reads?" : "");
    }
    while (!(c->o->stop && *c->o->stop)) {
        turn(&l);
        if (clock_ns() - swept >= SEC / 2) {
            swept = clock_ns();
            sweep(&l);
        }
    }
    finish(&l);
    return 0;
}
