/* SPDX-License-Identifier: Apache-2.0 */
/* How long from an incident to the first byte of the request that tells of it: notify-bench STORE CHANNELS PER_SECOND SECONDS [WRITES_PER_SECOND]
 * Webhook channels to a server of this process; beside them WRITES_PER_SECOND transactions of another handle (an incident changed and an alert added), as
 * the daemon's ingest makes them.  Prints median, p99 and the worst, from the call of hf_ndeliver_push to what arrives (docs/performance.md). */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/notify-store.h"
#include "notify/deliver.h"
#include "store/incidents.h"

enum { MAX = 1 << 20, MOST = 200000 };
static double sent[MOST];
static double *took;
static _Atomic unsigned n_took;
static _Atomic bool stop;
static unsigned failures;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void pause_ms(double ms)
{
    struct timespec t = {(time_t)(ms / 1000), (long)((ms - (double)((time_t)(ms / 1000) * 1000)) * 1e6)};
    if (ms > 0)
        nanosleep(&t, NULL);
}

static void *serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char *buf = malloc(MAX);
    size_t n = 0;
    double first = 0;
    for (ssize_t got; buf && (got = recv(fd, buf + n, MAX - 1 - n, 0)) > 0;) {
        first = n ? first : now_ms();
        n += (size_t)got;
        buf[n] = 0;
        char *body = strstr(buf, "\r\n\r\n"), *length = strcasestr(buf, "content-length:");
        uint64_t want = 0;
        if (!body || !length)
            continue;
        struct hf_span number = hf_span(length + 15, strcspn(length + 15, "\r"));
        if (hf_parse_u64(hf_span_trim(number), 10, 0, MAX, &want) < 0 || n - (size_t)(body + 4 - buf) < want)
            continue;
        char *id = strstr(body, "\"id\":\"I-B"); /* of the document inside */
        uint64_t which;
        if (id && hf_parse_u64(hf_span(id + 9, 6), 10, 0, MOST - 1, &which) == 0)
            took[n_took++] = first - sent[which];
        n = 0;
        static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        if (send(fd, ok, sizeof ok - 1, MSG_NOSIGNAL) < 0)
            break;
    }
    free(buf);
    close(fd);
    return NULL;
}

static void *listens(void *arg)
{
    int fd = (int)(intptr_t)arg;
    for (int c; (c = accept(fd, NULL, NULL)) >= 0;) {
        pthread_t t;
        if (pthread_create(&t, NULL, serve, (void *)(intptr_t)c) == 0)
            pthread_detach(t);
    }
    return NULL;
}

static void document(struct hf_buf *b, const char *id, unsigned revision, const char *filling)
{
    hf_buf_clear(b);
    hf_buf_addf(b, "{\"schema\":\"holdfast.incident/1\",\"id\":\"%s\",\"revision\":%u,\"title\":\"Reverse shell in shop-web\",\"summary\":\"%s\",\"severity\":\"high\",\"state\":\"open\",\"opened\":\"2026-11-26T18:00:00Z\","
                   "\"updated\":\"2026-11-26T18:00:00Z\",\"first_alert\":\"2026-11-26T18:00:00Z\",\"last_alert\":\"2026-11-26T18:00:00Z\",\"alerts\":%u,\"hosts\":[\"node1\"],\"containers\":[],\"rules\":[]}",
            id, revision, filling, revision);
}

static struct {
    const char *url;
    double per_second;
} writer;

static void *writes(void *arg)
{
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf doc = HF_BUF_INIT(65536);
    char filling[4001];
    (void)arg;
    memset(filling, 'x', 4000);
    filling[4000] = 0;
    if (hf_store_open(&s, writer.url, &err) < 0)
        return NULL;
    for (unsigned i = 0; !stop; i++) {
        char id[32];
        double at = now_ms();
        snprintf(id, sizeof id, "I-W%06u", i);
        document(&doc, id, 1, filling);
        hf_autotx tx = {0};
        int rc = hf_tx_begin(&tx, s, &err);
        rc = rc < 0 ? rc : hf_store_incident_put(s, hf_buf_span(&doc), 0, &err);
        rc = rc < 0 ? rc : hf_tx_commit(&tx, &err);
        failures += rc < 0;
        pause_ms(1000 / writer.per_second - (now_ms() - at));
    }
    return NULL;
}

static int order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void report(void *ctx, const struct hf_nreport *r)
{
    (void)ctx;
    if (r->event != HF_NEV_DELIVERED && !failures++)
        fprintf(stderr, "notify-bench: %.*s: %s\n", HF_SPAN_ARG(r->key), r->why);
}

static int server(uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_t t;
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 64) < 0 || getsockname(fd, (struct sockaddr *)&a, &n) < 0 || pthread_create(&t, NULL, listens, (void *)(intptr_t)fd))
        return -1;
    pthread_detach(t);
    *port = ntohs(a.sin_port);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t channels, per_second, seconds, writes_per_second = 0;
    uint16_t port;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf conf = HF_BUF_INIT(65536), doc = HF_BUF_INIT(65536), key = HF_BUF_INIT(256);
    if (argc < 5 || hf_parse_u64(hf_span_z(argv[2]), 10, 1, 32, &channels) < 0 || hf_parse_u64(hf_span_z(argv[3]), 10, 1, 2000, &per_second) < 0 || hf_parse_u64(hf_span_z(argv[4]), 10, 1, 600, &seconds) < 0 ||
            (argc > 5 && hf_parse_u64(hf_span_z(argv[5]), 10, 0, 5000, &writes_per_second) < 0) || server(&port) < 0)
        return fprintf(stderr, "usage: notify-bench STORE CHANNELS PER_SECOND SECONDS [WRITES_PER_SECOND]\n"), 2;
    took = calloc(MOST, sizeof *took);
    hf_buf_addf(&key, "/tmp/notify-bench.%d.key", getpid());
    FILE *f = fopen(hf_buf_z(&key), "we");
    if (!f || !took)
        return 2;
    fputs("a signing key\n", f);
    fclose(f);
    chmod(hf_buf_z(&key), 0600);
    for (unsigned i = 0; i < channels; i++)
        hf_buf_addf(&conf, "- {channel: c%u, type: webhook, url: 'http://127.0.0.1:%u/c%u', key_file: %s}\n", i, port, i, hf_buf_z(&key));
    hf_buf_addz(&conf, "- {route: all, match: {severity: debug}, to: [c0");
    for (unsigned i = 1; i < channels; i++)
        hf_buf_addf(&conf, ", c%u", i);
    hf_buf_addz(&conf, "]}\n");
    struct hf_nconf *c = NULL;
    struct hf_nstoreq *store = NULL;
    struct hf_ndeliver *d = NULL;
    int rc = hf_nconf_parse(&c, hf_buf_span(&conf), "bench", &err);
    rc = rc < 0 ? rc : hf_nconf_secrets(c, NULL, &err);
    unlink(hf_buf_z(&key));
    rc = rc < 0 ? rc : hf_nstoreq_open(&store, argv[1], &err);
    struct hf_nqueue q = hf_nstoreq_queue(store);
    rc = rc < 0 ? rc : hf_ndeliver_new(&d, c, &q, report, NULL, &err);
    rc = rc < 0 ? rc : hf_ndeliver_start(d, &err);
    if (rc < 0)
        return fprintf(stderr, "notify-bench: %s\n", err.msg), 2;
    signal(SIGPIPE, SIG_IGN);
    pthread_t w;
    writer.url = argv[1];
    writer.per_second = (double)writes_per_second;
    bool writing = writes_per_second && pthread_create(&w, NULL, writes, NULL) == 0;
    pause_ms(500); /* a daemon has long started when something happens */
    unsigned n = (unsigned)HF_MIN(per_second * seconds, (uint64_t)MOST / channels);
    double start = now_ms();
    for (unsigned i = 0; i < n; i++) {
        char id[32];
        snprintf(id, sizeof id, "I-B%06u", i);
        document(&doc, id, 1, "A shell talks to 203.0.113.9.");
        sent[i] = now_ms();
        if (hf_ndeliver_push(d, hf_buf_span(&doc), NULL, &err) < 0)
            return fprintf(stderr, "notify-bench: %s\n", err.msg), 2;
        pause_ms(start + (i + 1) * 1000.0 / (double)per_second - now_ms());
    }
    for (unsigned i = 0; i < 1000 && n_took < n * channels; i++)
        pause_ms(20);
    double all = now_ms() - start;
    stop = true;
    if (writing)
        pthread_join(w, NULL);
    hf_ndeliver_free(d);
    unsigned m = n_took;
    qsort(took, m, sizeof *took, order);
    printf("%u of %u requests, %.0f a second, %u failures: median %.1f ms, p90 %.1f ms, p99 %.1f ms, worst %.1f ms\n", m, (unsigned)(n * channels), m / all * 1e3, failures, took[m / 2], took[m * 9 / 10], took[m * 99 / 100], took[m ? m - 1 : 0]);
    hf_nstoreq_free(store);
    hf_nconf_free(c);
    return 0;
}
