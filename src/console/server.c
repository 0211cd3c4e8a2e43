// SPDX-License-Identifier: Apache-2.0
/* The console as a whole: where it listens, by which names it is known, what it gives up, what it starts. */
#include "console/console.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "console/console-internal.h"
#include "console/live.h"
#include "console/mhd.h"
#include "console/oidc.h"
#include "hand/hand.h"

/* ---- listening ---- */

struct where {
    bool is_unix, loopback;
    unsigned port;
    char host[256];
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
        struct sockaddr_un un;
    } a;
    socklen_t n;
};

static int parse_where(const char *listen, struct where *w, struct hf_err *err)
{
    struct hf_span host, text = hf_span_z(listen);
    unsigned port;
    memset(w, 0, sizeof *w);
    if (hf_span_starts(text, HF_S("unix:"))) {
        struct hf_span path = hf_span_from(text, 5);
        if (!path.n || path.p[0] != '/' || path.n >= sizeof w->a.un.sun_path)
            return hf_fail(err, HF_E_USAGE, "the console's address \"%s\": unix: needs an absolute path of less than %zu bytes", listen, sizeof w->a.un.sun_path);
        w->is_unix = w->loopback = true;
        w->a.un.sun_family = AF_UNIX;
        memcpy(w->a.un.sun_path, path.p, path.n);
        w->n = sizeof w->a.un;
        return 0;
    }
    if (!hf_http_authority(text, &host, &port) || host.n >= sizeof w->host || (!port && !hf_span_ends(text, HF_S(":0"))))
        return hf_fail(err, HF_E_USAGE, "the console's address must be ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH, not \"%s\"", listen);
    snprintf(w->host, sizeof w->host, "%.*s", HF_SPAN_ARG(host));
    w->port = port;
    const char *z = strcmp(w->host, "localhost") ? w->host : "127.0.0.1";
    if (inet_pton(AF_INET, z, &w->a.four.sin_addr) == 1) {
        w->a.four.sin_family = AF_INET;
        w->a.four.sin_port = htons((uint16_t)port);
        w->loopback = ntohl(w->a.four.sin_addr.s_addr) >> 24 == 127;
        w->n = sizeof w->a.four;
    } else if (inet_pton(AF_INET6, z, &w->a.six.sin6_addr) == 1) {
        w->a.six.sin6_family = AF_INET6;
        w->a.six.sin6_port = htons((uint16_t)port);
        w->loopback = IN6_IS_ADDR_LOOPBACK(&w->a.six.sin6_addr);
        w->n = sizeof w->a.six;
    } else {
        return hf_fail(err, HF_E_USAGE, "the console's address must be a number such as 127.0.0.1:8470 or [::1]:8470, not \"%s\"", listen);
    }
    return 0;
}

/* A socket that nobody answers on is left over; one that somebody does is in use. */
static int unix_free(const struct where *w, struct hf_err *err)
{
    struct stat st;
    if (lstat(w->a.un.sun_path, &st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return hf_fail(err, HF_E_USAGE, "%s is there and is no socket", w->a.un.sun_path);
    hf_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, &w->a.any, w->n) == 0)
        return hf_fail(err, -EADDRINUSE, "somebody listens on %s already", w->a.un.sun_path);
    (void)unlink(w->a.un.sun_path);
    return 0;
}

static int allowed_where(const char *listen_at, bool has_tls, struct where *w, struct hf_err *err)
{
    int rc = parse_where(listen_at, w, err);
    if (rc == 0 && !w->loopback && !has_tls)
        return hf_fail(err, HF_E_USAGE, "the console listens on %s, which others can reach: passwords would go over the network as text. Give it a certificate and key (console --tls-cert and --tls-key), "
                "or listen on 127.0.0.1 and put a reverse proxy with TLS in front", listen_at);
    return rc;
}

int hf_console_listen_ok(const char *listen_at, bool has_tls, struct hf_err *err)
{
    struct where w;
    return allowed_where(listen_at, has_tls, &w, err);
}

int hf_console_bind(const char *listen_at, bool has_tls, struct hf_err *err)
{
    struct where w;
    int one = 1, rc = allowed_where(listen_at, has_tls, &w, err);
    if (rc == 0 && w.is_unix)
        rc = unix_free(&w, err);
    if (rc < 0)
        return rc;
    hf_autoclose int fd = socket(w.a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return hf_fail(err, -errno, "no socket");
    if (!w.is_unix)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    mode_t was = umask(0117); /* a socket's group may connect */
    rc = bind(fd, &w.a.any, w.n) < 0 ? -errno : 0;
    umask(was);
    if (rc == 0 && listen(fd, 128) < 0)
        rc = -errno;
    if (rc < 0)
        return hf_fail(err, rc, "the console could not listen on %s: %s", listen_at, rc == -EADDRINUSE ? "another program does" : hf_err_name(rc));
    rc = fd;
    fd = -1;
    return rc;
}

/* ---- names ---- */

static void add_host(struct hf_console *c, struct hf_span name)
{
    if (c->n_hosts == HF_CON_HOSTS || !name.n || name.n >= sizeof c->hosts[0].name)
        return;
    char *z = c->hosts[c->n_hosts++].name;
    for (size_t i = 0; i < name.n; i++)
        z[i] = (char)tolower((unsigned char)name.p[i]);
    z[name.n] = 0;
}

static int names(struct hf_console *c, int fd, struct hf_err *err)
{
    char machine[256] = "", text[INET6_ADDRSTRLEN] = "localhost";
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
        struct sockaddr_un un;
    } a;
    socklen_t n = sizeof a;
    unsigned port = 0;
    memset(&a, 0, sizeof a);
    if (getsockname(fd, &a.any, &n) < 0)
        return hf_fail(err, -errno, "the listening socket has no name");
    if (a.any.sa_family == AF_INET) {
        port = ntohs(a.four.sin_port);
        inet_ntop(AF_INET, &a.four.sin_addr, text, sizeof text);
    } else if (a.any.sa_family == AF_INET6) {
        port = ntohs(a.six.sin6_port);
        inet_ntop(AF_INET6, &a.six.sin6_addr, text, sizeof text);
    }
    add_host(c, HF_S("localhost"));
    if (gethostname(machine, sizeof machine - 1) == 0)
        add_host(c, hf_span_z(machine));
    if (c->o->public_url) {
        struct hf_span url = hf_span_z(c->o->public_url), host;
        bool https = hf_span_starts(url, HF_S("https://"));
        struct hf_span rest = hf_span_from(url, https ? 8 : 7);
        struct hf_span authority = hf_span_sub(rest, 0, HF_MIN(hf_span_find(rest, '/'), rest.n));
        if ((!https && !hf_span_starts(url, HF_S("http://"))) || !hf_http_authority(authority, &host, &port) || authority.n + 1 < rest.n)
            return hf_fail(err, HF_E_USAGE, "the console's public address must be https://NAME or http://NAME (with :PORT where it has one, without a path), not \"%s\"", c->o->public_url);
        add_host(c, host);
        c->secure = https;
        snprintf(c->public_url, sizeof c->public_url, "%s%.*s", https ? "https://" : "http://", HF_SPAN_ARG(authority));
    } else {
        bool any = !strcmp(text, "0.0.0.0") || !strcmp(text, "::");
        bool six = strchr(text, ':');
        c->secure = c->tls.cert.n > 0;
        snprintf(c->public_url, sizeof c->public_url, "%s%s%s%s:%u", c->secure ? "https://" : "http://", six && !any ? "[" : "", any ? machine : text, six && !any ? "]" : "", port);
    }
    snprintf(c->origin, sizeof c->origin, "%s", c->public_url);
    return 0;
}

/* ---- life ---- */

static int open_stores(struct hf_console *c, struct hf_err *err)
{
    int rc = 0;
    for (unsigned i = 0; i <= HF_CON_WORKERS && rc == 0; i++)
        rc = hf_store_open_with(&c->stores[i], c->o->store_url, HF_STORE_MUST_EXIST, err);
    return rc;
}

static int hands(struct hf_console *c, struct hf_err *err)
{
    int rc = 0;
    if (c->o->hand_fd >= 0)
        rc = hf_hand_new(&c->api.hand, c->o->hand_fd, err);
    if (rc == 0 && c->o->hub_fd >= 0)
        rc = hf_hand_new(&c->api.hub, c->o->hub_fd, err);
    return rc;
}

static void no_hands(struct hf_console *c)
{
    hf_hand_free(c->api.hand);
    hf_hand_free(c->api.hub);
}

static void more_files(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < 4096) {
        r.rlim_cur = HF_MIN((rlim_t)4096, r.rlim_max);
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
}

static int prepare(struct hf_console *c, int fd, struct hf_err *err)
{
    const struct hf_console_opts *o = c->o;
    int rc = 0;
    c->gate = hf_gate_new();
    c->api.live = hf_live_new();
    c->loop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->live_wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!c->gate || !c->api.live || c->loop_fd < 0 || c->live_wake_fd < 0)
        return hf_fail(err, -ENOMEM, "no memory");
    if (!hf_mhd(err)) /* loaded while files can still be opened */
        return HF_E_UNSUPPORTED;
    if (!o->tls_cert != !o->tls_key)
        return hf_fail(err, HF_E_USAGE, "a certificate and its key go together: console --tls-cert and --tls-key");
    rc = o->tls_cert ? hf_tls_load(c, o->tls_cert, o->tls_key, err) : 0;
    rc = rc < 0 ? rc : names(c, fd, err);
    rc = rc < 0 || !o->oidc ? rc : hf_oidc_new(&c->oidc, o->oidc, c->public_url, err);
    if (rc == 0 && o->user_uid >= 0)
        rc = hf_sandbox_drop((uid_t)o->user_uid, (gid_t)o->user_gid, err);
    rc = rc < 0 ? rc : open_stores(c, err);
    rc = rc < 0 || o->no_sandbox ? rc : hf_console_sandbox(c, err);
    rc = rc < 0 ? rc : hands(c, err);
    return rc;
}

static void done(struct hf_console *c)
{
    hf_pool_end(c);
    hf_live_stop(c);
    no_hands(c);
    hf_oidc_free(c->oidc);
    hf_live_free(c->api.live);
    hf_gate_free(c->gate);
    hf_buf_done(&c->tls.cert);
    if (c->tls.key.p)
        OPENSSL_cleanse(c->tls.key.p, c->tls.key.n);
    hf_buf_done(&c->tls.key);
    for (unsigned i = 0; i <= HF_CON_WORKERS; i++)
        hf_store_close(c->stores[i]);
    if (c->loop_fd >= 0)
        close(c->loop_fd);
    if (c->live_wake_fd >= 0)
        close(c->live_wake_fd);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->more);
    free(c);
}

int hf_console_run(const struct hf_console_opts *o, struct hf_err *err)
{
    struct where w;
    int rc = parse_where(o->listen, &w, err);
    struct hf_console *c = rc == 0 ? calloc(1, sizeof *c) : NULL;
    if (!c)
        return rc < 0 ? rc : hf_fail(err, -ENOMEM, "no memory");
    more_files();
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->more, NULL);
    c->o = o;
    c->loop_fd = c->live_wake_fd = -1;
    c->api.rules = o->rules;
    c->api.version = HF_VERSION;
    c->api.console = c;
    hf_autoclose int fd = o->listen_fd >= 0 ? o->listen_fd : hf_console_bind(o->listen, o->tls_cert, err);
    rc = fd < 0 ? fd : prepare(c, fd, err);
    rc = rc < 0 ? rc : hf_live_start(c, err);
    rc = rc < 0 ? rc : hf_pool_start(c, err);
    if (rc == 0 && o->ready)
        o->ready(o->ready_ctx, c->public_url);
    rc = rc < 0 ? rc : hf_connect_run(c, fd, w.is_unix, err);
    if (w.is_unix && o->listen_fd < 0 && fd >= 0)
        (void)unlink(w.a.un.sun_path);
    if (o->listen_fd >= 0)
        fd = -1; /* the supervisor's */
    done(c);
    return rc;
}
