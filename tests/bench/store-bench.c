/* SPDX-License-Identifier: Apache-2.0 */
/* What the store costs: store-bench ADDRESS ROWS fills a store and prints how long inserts and lookups take (docs/performance.md). */
#include <stdio.h>
#include <time.h>

#include "store/audit.h"
#include "store/incidents.h"
#include "store/inventory.h"
#include "store/queue.h"
#include "store/settings.h"

#define S(z) hf_span_z(z)
static struct hf_err err;
static double *took;

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

typedef int (*work)(struct hf_store *s, unsigned i);

/* batch: so many in one transaction. */
static void measure(struct hf_store *s, const char *what, unsigned n, unsigned batch, work f)
{
    double start = now_us();
    unsigned lots = 0;
    for (unsigned i = 0; i < n; lots++) {
        double before = now_us();
        hf_autotx tx = {0};
        int rc = batch > 1 ? hf_tx_begin(&tx, s, &err) : 0;
        for (unsigned k = 0; k < batch && i < n && rc >= 0; k++)
            rc = f(s, i++);
        if (rc >= 0 && batch > 1)
            rc = hf_tx_commit(&tx, &err);
        if (rc < 0) {
            fprintf(stderr, "store-bench: %s: %s\n", what, err.msg);
            exit(1);
        }
        took[lots] = now_us() - before;
    }
    double all = now_us() - start;
    qsort(took, lots, sizeof *took, order);
    printf("%-52s %9.0f a second, median %8.1f us, p99 %8.1f us\n", what, n / all * 1e6, took[lots / 2], took[lots * 99 / 100]);
}

static struct hf_span doc(void)
{
    static char text[1500];
    memset(text, 'x', sizeof text);
    return hf_span(text, sizeof text);
}

static int alert(struct hf_store *s, unsigned i)
{
    char id[32];
    snprintf(id, sizeof id, "I-%u", i % 50);
    return hf_store_alert_add(s, &(struct hf_alert_row){.time = 1 + i, .severity = 4, .rule = S("rule"), .incident = S(id), .container = S("c"), .doc = doc()}, NULL, &err);
}

static struct hf_span incident(struct hf_buf *b, unsigned i, unsigned revision)
{
    hf_buf_clear(b);
    hf_buf_addf(b, "{\"id\":\"I-%u\",\"revision\":%u,\"title\":\"Shell in shop/web:%u\",\"severity\":\"high\",\"state\":\"%s\",\"opened\":\"2026-11-26T19:00:00Z\",\"updated\":\"2026-11-26T%02u:%02u:%02uZ\",\"fill\":\"", i,
            revision, i, i % 3 ? "open" : "resolved", i / 3600 % 24, i / 60 % 60, i % 60);
    hf_buf_adds(b, doc());
    hf_buf_adds(b, doc());
    hf_buf_addz(b, "\"}");
    return hf_buf_span(b);
}

static int put_new(struct hf_store *s, unsigned i)
{
    hf_autobuf b = HF_BUF_INIT(65536);
    return hf_store_incident_put(s, incident(&b, i, 1), 0, &err);
}

/* What an alert that belongs to an incident costs in all: one transaction. */
static int story(struct hf_store *s, unsigned i)
{
    hf_autobuf b = HF_BUF_INIT(65536);
    char id[32];
    snprintf(id, sizeof id, "I-%u", i);
    hf_autotx tx = {0};
    int rc = hf_tx_begin(&tx, s, &err);
    if (rc == 0)
        rc = alert(s, i);
    if (rc == 0)
        rc = hf_store_incident_put(s, incident(&b, i, 2), 1, &err);
    if (rc == 0)
        rc = hf_store_audit_add(s, &(struct hf_audit_entry){.by = S("holdfast"), .via = S("watch"), .what = S("alert"), .target = S(id)}, NULL, &err);
    if (rc == 0)
        rc = hf_store_queue_push(s, S("slack"), S(id), doc(), 0, NULL, &err);
    return rc < 0 ? rc : hf_tx_commit(&tx, &err);
}

static int deliver(struct hf_store *s, unsigned i)
{
    struct hf_queue_entry e;
    hf_autobuf text = HF_BUF_INIT(65536);
    (void)i;
    int rc = hf_store_queue_claim(s, S("slack"), hf_store_now(), INT64_C(60000000000), &e, &text, NULL, &err);
    return rc <= 0 ? rc : hf_store_queue_done(s, &e, &err);
}

static int get(struct hf_store *s, unsigned i)
{
    hf_autobuf b = HF_BUF_INIT(65536);
    char id[32];
    snprintf(id, sizeof id, "I-%u", i);
    return hf_store_incident_get(s, S(id), &b, NULL, &err);
}

static int row(void *ctx, const struct hf_incident_row *r)
{
    (void)ctx;
    (void)r;
    return 0;
}

static int list(struct hf_store *s, unsigned i)
{
    (void)i;
    return hf_store_incident_list(s, &(struct hf_incident_filter){.states = HF_STATE_UNRESOLVED, .limit = 100}, row, NULL, &err);
}

static int search(struct hf_store *s, unsigned i)
{
    (void)i;
    return hf_store_incident_list(s, &(struct hf_incident_filter){.text = S("no such words")}, row, NULL, &err);
}

static int image(struct hf_store *s, unsigned i)
{
    static char names[400][24];
    struct hf_inv_package p[400];
    char digest[32];
    snprintf(digest, sizeof digest, "sha256:%u", i);
    for (unsigned k = 0; k < 400; k++) {
        snprintf(names[k], sizeof names[k], "package-%u", k);
        p[k] = (struct hf_inv_package){S("debian:12"), S(names[k]), S("1.2-3"), S(names[k]), {NULL, 0}, false};
    }
    int rc = hf_store_image_put(s, &(struct hf_inv_image){S(digest), S("shop/web"), S("{}"), 1}, &err);
    if (rc == 0)
        rc = hf_store_packages_put(s, S(digest), p, 400, &err);
    if (rc == 0)
        rc = hf_store_container_put(s, &(struct hf_inv_container){.id = S(digest), .host = S("h"), .digest = S(digest), .started = 1}, &err);
    if (rc == 0)
        rc = hf_store_findings_put(s, S(digest), &(struct hf_inv_finding){.id = S("CVE-2026-1"), .ecosystem = S("debian:12"), .package = S("package-1"), .version = S("1.2-3")}, 1, &err);
    return rc < 0 ? rc : hf_store_seal_put(s, &(struct hf_inv_seal){S(digest), S("{}"), 1}, &err);
}

static int package(void *ctx, struct hf_span digest, const struct hf_inv_package *p, uint64_t running)
{
    (void)ctx;
    (void)digest;
    (void)p;
    (void)running;
    return 0;
}

static int match(struct hf_store *s, unsigned i)
{
    char name[32];
    snprintf(name, sizeof name, "package-%u", i % 400);
    return hf_store_packages_named(s, S("debian:12"), S(name), package, NULL, &err);
}

int main(int argc, char **argv)
{
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    uint64_t n64 = 0;
    if (argc != 3 || hf_parse_u64(hf_span_z(argv[2]), 10, 10, 1000000, &n64) < 0 || !(took = calloc(n64, sizeof *took))) {
        fprintf(stderr, "usage: store-bench ADDRESS ROWS\n");
        return 2;
    }
    unsigned n = (unsigned)n64;
    int rc = hf_store_open(&s, argv[1], &err);
    if (rc == 0)
        rc = hf_store_host_put(s, &(struct hf_inv_host){S("h"), S("node"), S("{}"), 1}, &err);
    if (rc == 0)
        rc = hf_store_setting_put(s, S("bench"), S("1"), &err);
    if (rc < 0) {
        fprintf(stderr, "store-bench: %s\n", err.msg);
        return 1;
    }
    measure(s, "alert of 1.5 KB, a transaction each", n, 1, alert);
    measure(s, "alerts, 100 a transaction", n, 100, alert);
    measure(s, "new incident of 3 KB", n, 1, put_new);
    measure(s, "alert + changed incident + audit + message", n, 1, story);
    measure(s, "message claimed and done (two transactions)", n / 2, 1, deliver);
    measure(s, "incident by id", n, 1, get);
    measure(s, "100 newest unresolved incidents", HF_MIN(n, 300u), 1, list);
    measure(s, "text that no incident has", HF_MIN(n, 100u), 1, search);
    measure(s, "image with 400 packages, container, finding, seal", HF_MIN(n / 10, 200u), 1, image);
    measure(s, "images that have a package (advisory re-match)", HF_MIN(n, 400u), 1, match);
    free(took);
    return 0;
}
