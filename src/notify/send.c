// SPDX-License-Identifier: Apache-2.0
#include "notify/send.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>

#include "base/curl.h"
#include "notify/address.h"

enum { CONNECT_S = 10, TOTAL_S = 30, ANSWER_MAX = 64 << 10, DAY = 86400, IDLE_S = 60 };

struct hf_nsender {
    const struct hf_nconf *conf;
    const struct hf_nchannel *ch;
    const struct hf_curl *curl;
    CURL *easy;
    CURL *line;          /* syslog's open connection */
    struct hf_buf answer;
    struct hf_span left; /* of the message being uploaded */
    uint64_t retry_after_s;
    time_t line_used;
    _Atomic bool stop;
    char why[CURL_ERROR_SIZE];
};

int hf_nsender_new(struct hf_nsender **ret, const struct hf_nconf *conf, const struct hf_nchannel *ch, struct hf_err *err)
{
    struct hf_nsender *s = calloc(1, sizeof *s);
    if (!s)
        return hf_fail(err, -ENOMEM, "no memory");
    s->conf = conf;
    s->ch = ch;
    hf_buf_init(&s->answer, ANSWER_MAX);
    *ret = s;
    return 0;
}

static void hang_up(struct hf_nsender *s)
{
    if (s->line)
        s->curl->cleanup(s->line);
    s->line = NULL;
}

void hf_nsender_free(struct hf_nsender *s)
{
    if (!s)
        return;
    hang_up(s);
    if (s->easy)
        s->curl->cleanup(s->easy);
    hf_buf_done(&s->answer);
    free(s);
}

void hf_nsender_warm(struct hf_nsender *s)
{
    struct hf_err ignore = HF_ERR_INIT;
    enum hf_nkind k = s->ch->kind;
    if (k == HF_N_FILE || s->curl || !(s->curl = hf_curl(&ignore)) || k == HF_N_SYSLOG)
        return;
    s->easy = s->curl->init();
}

void hf_nsender_stop(struct hf_nsender *s)
{
    s->stop = true;
}

uint64_t hf_nsend_retry_after(struct hf_span v, int64_t now_s)
{
    uint64_t n;
    struct tm tm = {0};
    char text[64];
    v = hf_span_trim(v);
    size_t dot = hf_span_find(v, '.'); /* Discord: a fraction */
    if (hf_parse_u64(hf_span_sub(v, 0, dot), 10, 0, UINT32_MAX, &n) == 0)
        return HF_MIN(n + (dot != SIZE_MAX), (uint64_t)DAY);
    snprintf(text, sizeof text, "%.*s", (int)HF_MIN(v.n, sizeof text - 1), v.p ? v.p : "");
    if (!strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        return 0;
    int64_t at = timegm(&tm);
    return at > now_s ? HF_MIN((uint64_t)(at - now_s), (uint64_t)DAY) : 0;
}

/* ---- callbacks of libcurl ---- */

static size_t got_body(char *p, size_t size, size_t n, void *ctx)
{
    struct hf_nsender *s = ctx;
    hf_buf_add(&s->answer, p, HF_MIN(size * n, s->answer.max - s->answer.n)); /* the rest says nothing we look at */
    return size * n;
}

static size_t got_header(char *p, size_t size, size_t n, void *ctx)
{
    struct hf_nsender *s = ctx;
    struct hf_span line = hf_span(p, size * n), name;
    if (hf_span_cut(&line, ':', &name) && hf_span_eq_nocase(name, HF_S("retry-after")))
        s->retry_after_s = hf_nsend_retry_after(line, time(NULL));
    return size * n;
}

static size_t give(char *p, size_t size, size_t n, void *ctx)
{
    struct hf_nsender *s = ctx;
    size_t some = HF_MIN(size * n, s->left.n);
    if (some)
        memcpy(p, s->left.p, some);
    s->left = hf_span_from(s->left, some);
    return some;
}

static int progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct hf_nsender *s = ctx;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return s->stop;
}

/* ---- one transfer ---- */

static bool text_option(struct hf_nsender *s, CURL *e, CURLoption option, struct hf_span v)
{
    hf_autofree char *z = hf_span_dupz(v);
    return z && s->curl->setopt(e, option, z) == CURLE_OK;
}

static int common(struct hf_nsender *s, CURL *e, struct hf_err *err)
{
    const struct hf_curl *c = s->curl;
    struct hf_span proxy = s->ch->proxy.n ? s->ch->proxy : s->conf->proxy;
    bool ok = true;
    c->setopt(e, CURLOPT_NOSIGNAL, 1L);
    c->setopt(e, CURLOPT_ERRORBUFFER, s->why);
    c->setopt(e, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    c->setopt(e, CURLOPT_TIMEOUT, (long)TOTAL_S);
    c->setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    c->setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    c->setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    c->setopt(e, CURLOPT_NOPROGRESS, 0L);
    c->setopt(e, CURLOPT_XFERINFOFUNCTION, progress);
    c->setopt(e, CURLOPT_XFERINFODATA, s);
    if (s->ch->ca_file.n)
        ok = text_option(s, e, CURLOPT_CAINFO, s->ch->ca_file) && c->setopt(e, CURLOPT_CAPATH, NULL) == CURLE_OK;
    if (proxy.n)
        ok = ok && text_option(s, e, CURLOPT_PROXY, proxy) && c->setopt(e, CURLOPT_NOPROXY, "") == CURLE_OK; /* what the file says stands above no_proxy */
    return ok ? 0 : hf_fail(err, -ENOMEM, "libcurl refused a setting");
}

/* What libcurl says, without what is secret. */
static int failed(struct hf_nsender *s, CURLcode code, struct hf_err *err)
{
    char text[CURL_ERROR_SIZE + 64];
    bool verify = code == CURLE_PEER_FAILED_VERIFICATION;
    snprintf(text, sizeof text, "%s%s", verify ? "the server's certificate is refused: " : "", s->why[0] ? s->why : s->curl->strerror(code));
    hf_nchannel_scrub(s->ch, text);
    bool unconnected = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY;
    return hf_fail(err, code == CURLE_URL_MALFORMAT || code == CURLE_SSL_CACERT_BADFILE ? HF_E_USAGE : unconnected ? -ECONNREFUSED : -EIO, "%s", text);
}

static int http(struct hf_nsender *s, const struct hf_nrequest *q, struct hf_nanswer *ret, struct hf_err *err)
{
    const struct hf_curl *c = s->curl;
    struct curl_slist *headers = NULL;
    long status = 0;
    int rc = text_option(s, s->easy, CURLOPT_URL, hf_buf_span(&q->url)) ? 0 : hf_fail(err, HF_E_USAGE, "the address is no address");
    for (size_t i = 0; i < q->n_headers; i++) {
        hf_autofree char *z = hf_span_dupz(hf_buf_span(&q->headers[i]));
        struct curl_slist *more = z ? c->slist_append(headers, z) : NULL;
        headers = more ? more : headers;
        rc = more ? rc : hf_fail(err, -ENOMEM, "no memory");
    }
    c->setopt(s->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    c->setopt(s->easy, CURLOPT_FOLLOWLOCATION, 0L);
    c->setopt(s->easy, CURLOPT_USERAGENT, "holdfast/" HF_VERSION);
    c->setopt(s->easy, CURLOPT_HTTPHEADER, headers);
    c->setopt(s->easy, CURLOPT_HEADERFUNCTION, got_header);
    c->setopt(s->easy, CURLOPT_HEADERDATA, s);
    if (!strcmp(q->method, "GET")) {
        c->setopt(s->easy, CURLOPT_HTTPGET, 1L);
    } else {
        c->setopt(s->easy, CURLOPT_POST, 1L);
        c->setopt(s->easy, CURLOPT_CUSTOMREQUEST, q->method);
        c->setopt(s->easy, CURLOPT_POSTFIELDS, q->body.p ? q->body.p : "");
        c->setopt(s->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.n);
    }
    CURLcode code = rc == 0 ? c->perform(s->easy) : CURLE_OK;
    c->slist_free_all(headers);
    if (rc < 0)
        return rc;
    if (code != CURLE_OK)
        return failed(s, code, err);
    c->getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    *ret = (struct hf_nanswer){(unsigned)status, hf_buf_span(&s->answer), s->retry_after_s};
    return 0;
}

static int smtp(struct hf_nsender *s, const struct hf_nrequest *q, struct hf_nanswer *ret, struct hf_err *err)
{
    const struct hf_curl *c = s->curl;
    struct curl_slist *to = NULL;
    struct hf_span scheme, host, path;
    uint16_t port;
    long status = 0;
    char text[300];
    int rc = hf_naddress_split(hf_buf_span(&q->url), &scheme, &host, &port, &path) && text_option(s, s->easy, CURLOPT_URL, hf_buf_span(&q->url)) ? 0 : hf_fail(err, HF_E_USAGE, "the address is no address");
    for (size_t i = 0; i < s->ch->to.n && rc == 0; i++) {
        snprintf(text, sizeof text, "<%.*s>", HF_SPAN_ARG(s->ch->to.v[i]));
        struct curl_slist *more = c->slist_append(to, text);
        to = more ? more : to;
        rc = more ? 0 : hf_fail(err, -ENOMEM, "no memory");
    }
    snprintf(text, sizeof text, "<%.*s>", HF_SPAN_ARG(s->ch->from));
    c->setopt(s->easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    c->setopt(s->easy, CURLOPT_USE_SSL, (long)(s->ch->plain ? CURLUSESSL_TRY : CURLUSESSL_ALL)); /* STARTTLS or nothing */
    c->setopt(s->easy, CURLOPT_MAIL_FROM, text);
    c->setopt(s->easy, CURLOPT_MAIL_RCPT, to);
    c->setopt(s->easy, CURLOPT_UPLOAD, 1L);
    c->setopt(s->easy, CURLOPT_READFUNCTION, give);
    c->setopt(s->easy, CURLOPT_READDATA, s);
    if (s->ch->user.n && (!text_option(s, s->easy, CURLOPT_USERNAME, s->ch->user) || !text_option(s, s->easy, CURLOPT_PASSWORD, s->ch->secret[HF_NSECRET_TOKEN].value)))
        rc = hf_fail(err, -ENOMEM, "no memory");
    s->left = hf_buf_span(&q->body);
    CURLcode code = rc == 0 ? c->perform(s->easy) : CURLE_OK;
    c->slist_free_all(to);
    if (rc < 0)
        return rc;
    c->getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK && status >= 500 && status < 600 && code != CURLE_LOGIN_DENIED && code != CURLE_USE_SSL_FAILED) {
        failed(s, code, err);
        *ret = (struct hf_nanswer){400, hf_span_z(err->msg), 0}; /* RFC 5321 4.2.1: 5yz is for good */
        return 0;
    }
    if (code != CURLE_OK)
        return failed(s, code, err);
    *ret = (struct hf_nanswer){.status = 200};
    return 0;
}

/* ---- syslog: libcurl makes the connection (names, proxies, TLS), we write on it ---- */

static int connect_line(struct hf_nsender *s, const struct hf_nrequest *q, struct hf_err *err)
{
    const struct hf_curl *c = s->curl;
    struct hf_span scheme, host, path;
    uint16_t port;
    char url[512];
    s->line = c->init();
    if (!s->line || !hf_naddress_split(hf_buf_span(&q->url), &scheme, &host, &port, &path))
        return hf_fail(err, HF_E_USAGE, "the address is no address");
    bool tls = hf_span_eqz(scheme, "syslog+tls"), six = hf_span_find(host, ':') != SIZE_MAX;
    snprintf(url, sizeof url, "%s://%s%.*s%s:%u/", tls ? "https" : "http", six ? "[" : "", HF_SPAN_ARG(host), six ? "]" : "", port ? port : tls ? 6514u : 601u);
    int rc = common(s, s->line, err);
    if (rc < 0)
        return rc;
    c->setopt(s->line, CURLOPT_URL, url);
    c->setopt(s->line, CURLOPT_CONNECT_ONLY, 1L);
    c->setopt(s->line, CURLOPT_SSL_ENABLE_ALPN, 0L);
    c->setopt(s->line, CURLOPT_HTTPPROXYTUNNEL, 1L);
    s->why[0] = 0;
    CURLcode code = c->perform(s->line);
    return code == CURLE_OK ? 0 : failed(s, code, err);
}

static bool wait_line(struct hf_nsender *s, short events, int ms)
{
    curl_socket_t fd = -1;
    s->curl->getinfo(s->line, CURLINFO_ACTIVESOCKET, &fd);
    struct pollfd p = {fd, events, 0};
    return poll(&p, 1, ms) > 0;
}

/* Whether the other side has hung up: syslog has no answers, this is all one can know. */
static bool line_dead(struct hf_nsender *s)
{
    char byte[64];
    size_t n = 0;
    CURLcode code = s->curl->recv(s->line, byte, sizeof byte, &n);
    return code != CURLE_AGAIN && (code != CURLE_OK || n == 0);
}

static int write_line(struct hf_nsender *s, struct hf_span text, struct hf_err *err)
{
    time_t end = time(NULL) + TOTAL_S;
    while (text.n && !s->stop && time(NULL) < end) {
        size_t n = 0;
        CURLcode code = s->curl->send(s->line, text.p, text.n, &n);
        if (code != CURLE_OK && code != CURLE_AGAIN)
            return failed(s, code, err);
        text = hf_span_from(text, n);
        if (code == CURLE_AGAIN)
            wait_line(s, POLLOUT, 1000);
    }
    return text.n ? hf_fail(err, -ETIMEDOUT, "the server does not take the message") : 0;
}

static int syslog_send(struct hf_nsender *s, const struct hf_nrequest *q, struct hf_nanswer *ret, struct hf_err *err)
{
    int rc = 0;
    if (s->line && (time(NULL) - s->line_used > IDLE_S || line_dead(s)))
        hang_up(s);
    if (!s->line)
        rc = connect_line(s, q, err);
    rc = rc < 0 ? rc : write_line(s, hf_buf_span(&q->body), err);
    /* A server that refuses (a client certificate it wants, TLS 1.3) says so after the handshake. */
    if (rc == 0 && wait_line(s, POLLIN, 20) && line_dead(s))
        rc = hf_fail(err, -EPIPE, "the server hung up");
    s->line_used = time(NULL);
    if (rc < 0) {
        hang_up(s);
        return rc;
    }
    *ret = (struct hf_nanswer){.status = 200};
    return 0;
}

/* ---- files: one write a line, under a lock, so that lines of several writers stay whole ---- */

static int append(const struct hf_nrequest *q, struct hf_nanswer *ret, struct hf_err *err)
{
    hf_autofree char *path = hf_span_dupz(hf_buf_span(&q->url));
    hf_autoclose int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0640) : -1;
    struct stat st;
    if (fd < 0)
        return hf_fail(err, -errno, "%s cannot be opened: %s", path ? path : "", strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return hf_fail(err, HF_E_USAGE, "%s is not a file", path);
    if (flock(fd, LOCK_EX) < 0)
        return hf_fail(err, -errno, "%s cannot be locked: %s", path, strerror(errno));
    off_t before = lseek(fd, 0, SEEK_END);
    ssize_t n = write(fd, q->body.p, q->body.n);
    if (n != (ssize_t)q->body.n || fdatasync(fd) < 0) {
        int e = n < 0 ? errno : ENOSPC;
        if (n > 0 && before >= 0 && ftruncate(fd, before) < 0)
            e = errno;
        return hf_fail(err, -e, "%s cannot be written: %s", path, strerror(e));
    }
    *ret = (struct hf_nanswer){.status = 200};
    return 0;
}

int hf_nsend(struct hf_nsender *s, const struct hf_nrequest *q, struct hf_nanswer *ret, struct hf_err *err)
{
    hf_buf_clear(&s->answer);
    s->retry_after_s = 0;
    s->why[0] = 0;
    if (q->via == HF_NVIA_FILE)
        return append(q, ret, err);
    if (!s->curl && !(s->curl = hf_curl(err)))
        return HF_E_UNSUPPORTED;
    if (q->via == HF_NVIA_SYSLOG)
        return syslog_send(s, q, ret, err);
    if (!s->easy && !(s->easy = s->curl->init()))
        return hf_fail(err, -ENOMEM, "no memory");
    s->curl->reset(s->easy); /* options only: the connection stays */
    int rc = common(s, s->easy, err);
    if (rc < 0)
        return rc;
    s->curl->setopt(s->easy, CURLOPT_WRITEFUNCTION, got_body);
    s->curl->setopt(s->easy, CURLOPT_WRITEDATA, s);
    return q->via == HF_NVIA_SMTP ? smtp(s, q, ret, err) : http(s, q, ret, err);
}
