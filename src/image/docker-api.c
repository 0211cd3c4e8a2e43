/* SPDX-License-Identifier: Apache-2.0 */
#include "image/docker-api.h"

#include <errno.h>
#include <time.h>

#include "base/curl.h"
#include "base/json.h"

enum {
    CHUNK = 1 << 20,      /* what is read ahead of the consumer */
    MAX_MESSAGE = 4096,   /* of an error's body */
    ANSWER_S = 60,        /* a description takes milliseconds */
    IDLE_S = 600,         /* before an export of a large image begins some drivers compare whole trees */
};

static const char preset[] = "unix:///var/run/docker.sock";
static const struct hf_curl *curl; /* set before the first request; always the same */

/* Configured socket; else what the docker command uses: DOCKER_HOST, the system's socket, a rootless daemon's. */
static int find_host(const struct hf_image_opts *o, struct hf_buf *out, struct hf_err *err)
{
    const char *host = o->docker_host && *o->docker_host ? o->docker_host : preset;
    if (!(curl = hf_curl(err)))
        return HF_E_UNSUPPORTED;
    if (!strcmp(host, preset)) {
        const char *env = getenv("DOCKER_HOST"), *run = getenv("XDG_RUNTIME_DIR");
        if (env && *env) {
            host = env;
        } else if (run && *run && access(preset + 7, F_OK) < 0) {
            hf_buf_addf(out, "unix://%s/docker.sock", run);
            if (access(hf_buf_z(out) + 7, F_OK) == 0)
                return 0;
            hf_buf_clear(out);
        }
    }
    if (strncmp(host, "unix:///", 8) != 0)
        return hf_fail(err, HF_E_UNSUPPORTED, "docker host \"%s\": only unix:///PATH sockets are used; "
                "save the image and scan the file: docker save -o image.tar NAME", host);
    hf_buf_addz(out, host);
    return hf_buf_ok(out) ? 0 : hf_fail(err, HF_E_LIMIT, "docker host: longer than a socket's path can be");
}

static CURL *request(const char *host, const char *path)
{
    hf_autobuf url = HF_BUF_INIT(16384);
    hf_buf_addf(&url, "http://localhost%s", path);
    CURL *c = hf_buf_ok(&url) ? curl->init() : NULL;
    if (!c)
        return NULL;
    curl->setopt(c, CURLOPT_UNIX_SOCKET_PATH, host + 7);
    curl->setopt(c, CURLOPT_URL, hf_buf_z(&url));
    curl->setopt(c, CURLOPT_PROTOCOLS_STR, "http");
    curl->setopt(c, CURLOPT_NOPROXY, "*");
    curl->setopt(c, CURLOPT_NOSIGNAL, 1L);
    return c;
}

static int no_connection(CURL *c, CURLcode rc, const char *host, struct hf_err *err)
{
    long code = 0;
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return hf_fail(err, -ETIMEDOUT, "the docker daemon at %s does not answer in time", host);
    if (rc != CURLE_COULDNT_CONNECT)
        return hf_fail(err, -EIO, "docker daemon at %s: %s", host, curl->strerror(rc));
    curl->getinfo(c, CURLINFO_OS_ERRNO, &code);
    switch ((int)code) {
    case ENOENT:
        return hf_fail(err, -ENOENT, "there is no docker daemon at %s: no such socket; start docker, or name its socket in docker.host or DOCKER_HOST", host);
    case ECONNREFUSED:
        return hf_fail(err, -ECONNREFUSED, "the docker daemon at %s is not running: nothing listens on this socket; start docker", host);
    case EACCES:
    case EPERM:
        return hf_fail(err, -EACCES, "no permission to use the docker socket %s; run as root or as a member of the socket's group (often \"docker\")", host);
    default:
        return hf_fail(err, -EIO, "docker daemon at %s: %s", host, code ? hf_err_name(-(int)code) : curl->strerror(rc));
    }
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct hf_buf *out = ctx;
    hf_buf_add(out, p, size * n);
    return hf_buf_ok(out) ? size * n : 0;
}

int hf_docker_get(const struct hf_image_opts *o, const char *path, struct hf_buf *body, struct hf_err *err)
{
    hf_autobuf host = HF_BUF_INIT(4096);
    int rc = find_host(o, &host, err);
    if (rc < 0)
        return rc;
    CURL *c = request(hf_buf_z(&host), path);
    if (!c)
        return hf_fail(err, -ENOMEM, "out of memory");
    curl->setopt(c, CURLOPT_TIMEOUT, (long)ANSWER_S);
    curl->setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl->setopt(c, CURLOPT_WRITEDATA, body);
    CURLcode done = curl->perform(c);
    long status = 0;
    curl->getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    if (!hf_buf_ok(body))
        rc = hf_fail(err, HF_E_LIMIT, "the docker daemon's answer is over %zu bytes", body->max);
    else if (done != CURLE_OK)
        rc = no_connection(c, done, hf_buf_z(&host), err);
    else
        rc = (int)status;
    curl->cleanup(c);
    return rc;
}

int hf_docker_refused(int status, struct hf_span body, const char *what, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_span words = hf_span("", 0);
    if (hf_json_parse(body, &doc, NULL) >= 0)
        words = hf_jgetstr(hf_json_root(doc), "message");
    return hf_fail(err, status == 404 ? HF_E_NOT_FOUND : -EIO, "the docker daemon answered %d for %s%s" HF_SPAN_FMT, status, what, words.n ? ": " : "",
            HF_SPAN_ARG(hf_span_sub(words, 0, 300)));
}

void hf_docker_add_name(struct hf_buf *path, struct hf_span name)
{
    for (size_t i = 0; i < name.n; i++) {
        unsigned char ch = (unsigned char)name.p[i];
        if (ch && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@-", ch))
            hf_buf_addc(path, (char)ch);
        else
            hf_buf_addf(path, "%%%02X", ch);
    }
}

struct hf_docker_stream {
    CURLM *multi;
    CURL *easy;
    struct hf_buf host, in, lent; /* in: being filled; lent: with the caller */
    const char *path;
    long status;
    bool paused, done;
    CURLcode result;
};

static size_t on_piece(char *p, size_t size, size_t n, void *ctx)
{
    struct hf_docker_stream *s = ctx;
    if (!s->status)
        curl->getinfo(s->easy, CURLINFO_RESPONSE_CODE, &s->status);
    if (s->status != 200) {
        hf_buf_add(&s->in, p, HF_MIN(size * n, MAX_MESSAGE - HF_MIN(s->in.n, (size_t)MAX_MESSAGE)));
        return size * n;
    }
    if (s->in.n && s->in.n + size * n > CHUNK) {
        s->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    return on_body(p, size, n, &s->in);
}

int hf_docker_stream_open(struct hf_docker_stream **ret, const struct hf_image_opts *o, const char *path, struct hf_err *err)
{
    struct hf_docker_stream *s = calloc(1, sizeof *s);
    if (!s)
        return hf_fail(err, -ENOMEM, "out of memory");
    hf_buf_init(&s->host, 4096);
    hf_buf_init(&s->in, 2 * CHUNK);
    hf_buf_init(&s->lent, 2 * CHUNK);
    s->path = path;
    int rc = find_host(o, &s->host, err);
    if (rc >= 0) {
        s->easy = request(hf_buf_z(&s->host), path);
        s->multi = curl->multi_init();
        if (!s->easy || !s->multi)
            rc = hf_fail(err, -ENOMEM, "out of memory");
    }
    if (rc >= 0) {
        curl->setopt(s->easy, CURLOPT_BUFFERSIZE, 256L * 1024);
        curl->setopt(s->easy, CURLOPT_WRITEFUNCTION, on_piece);
        curl->setopt(s->easy, CURLOPT_WRITEDATA, s);
        if (curl->multi_add_handle(s->multi, s->easy) != CURLM_OK)
            rc = hf_fail(err, -ENOMEM, "out of memory");
    }
    if (rc < 0) {
        hf_docker_stream_close(s);
        return rc;
    }
    *ret = s;
    return 0;
}

static uint64_t seconds(void)
{
    struct timespec t = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec;
}

/* Lets curl work until something arrived, or the end. */
static int receive(struct hf_docker_stream *s, struct hf_err *err)
{
    uint64_t since = seconds();
    while (!s->done && !(s->in.n && s->status == 200)) {
        size_t before = s->in.n;
        int running, left;
        if (s->paused) {
            s->paused = false;
            curl->pause(s->easy, CURLPAUSE_CONT); /* gives what it held back at once */
        }
        if (curl->multi_perform(s->multi, &running) != CURLM_OK)
            return hf_fail(err, -EIO, "docker daemon at %s: the transfer failed", hf_buf_z(&s->host));
        for (CURLMsg *m; (m = curl->multi_info_read(s->multi, &left));)
            if (m->msg == CURLMSG_DONE) {
                s->done = true;
                s->result = m->data.result;
            }
        if (s->done || s->in.n != before)
            continue;
        if (seconds() - since > IDLE_S)
            return hf_fail(err, -ETIMEDOUT, "the docker daemon at %s sent nothing for %d s", hf_buf_z(&s->host), IDLE_S);
        curl->multi_poll(s->multi, NULL, 0, 1000, NULL);
    }
    return 0;
}

int hf_docker_stream_pull(struct hf_docker_stream *s, struct hf_span *ret, struct hf_err *err)
{
    hf_buf_clear(&s->lent);
    int rc = receive(s, err);
    if (rc < 0)
        return rc;
    if (s->status == 200 && s->in.n) {
        struct hf_buf full = s->in;
        s->in = s->lent;
        s->lent = full;
        *ret = hf_buf_span(&s->lent);
        return 1;
    }
    if (s->result != CURLE_OK)
        return s->status ? hf_fail(err, HF_E_TRUNCATED, "the docker daemon broke off the export: %s", curl->strerror(s->result))
                         : no_connection(s->easy, s->result, hf_buf_z(&s->host), err);
    curl->getinfo(s->easy, CURLINFO_RESPONSE_CODE, &s->status);
    return s->status == 200 ? 0 : hf_docker_refused((int)s->status, hf_buf_span(&s->in), s->path, err);
}

void hf_docker_stream_close(struct hf_docker_stream *s)
{
    if (!s)
        return;
    if (s->multi && s->easy)
        curl->multi_remove_handle(s->multi, s->easy);
    if (s->easy)
        curl->cleanup(s->easy);
    if (s->multi)
        curl->multi_cleanup(s->multi);
    hf_buf_done(&s->host);
    hf_buf_done(&s->in);
    hf_buf_done(&s->lent);
    free(s);
}
