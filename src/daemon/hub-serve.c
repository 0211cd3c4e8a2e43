// SPDX-License-Identifier: Apache-2.0
/* What the console asks of the hub: a trial message to a channel, and signed answers that came to the console by HTTP. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

#include "base/json.h"
#include "base/log.h"
#include "hand/ask.h"
#include "daemon/hub-internal.h"
#include "hand/serve.h"

enum { HEADERS_MAX = 32, REPLY_MAX = 8 << 10, MEMORY_MAX = 8 << 20 };

static void trial(const struct hub *h, struct hf_span by, struct hf_buf *out)
{
    struct timespec now;
    struct tm tm;
    char when[40], id[48];
    struct hf_jw w;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    snprintf(id, sizeof id, "I-TEST-%lld", (long long)now.tv_sec);
    hf_autobuf summary = HF_BUF_INIT(1024);
    hf_buf_addz(&summary, "Somebody asked for a trial message");
    if (by.n) {
        hf_buf_addz(&summary, ": ");
        hf_buf_adds(&summary, by);
    }
    hf_buf_addz(&summary, ". Nothing happened; nothing is to be done.");
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "schema", "holdfast.incident/1");
    hf_jw_kstrz(&w, "id", id);
    hf_jw_ku64(&w, "revision", 1);
    hf_jw_kstrz(&w, "title", "Trial message of Holdfast");
    hf_jw_kstr(&w, "summary", hf_buf_span(&summary));
    hf_jw_kstrz(&w, "severity", "info");
    hf_jw_kstrz(&w, "state", "open");
    hf_jw_kstrz(&w, "opened", when);
    hf_jw_kstrz(&w, "updated", when);
    hf_jw_ku64(&w, "alerts", 1);
    hf_jw_key(&w, "hosts");
    hf_jw_array(&w);
    hf_jw_strz(&w, h->host);
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
}

static int notify_test(struct hub *h, const struct hf_hask *a, struct hf_buf *out, struct hf_err *err)
{
    hf_autobuf doc = HF_BUF_INIT(16384);
    unsigned requests = 0;
    size_t at = h->conf ? hf_nconf_channel(h->conf, a->on) : SIZE_MAX;
    if (at == SIZE_MAX)
        return hf_fail(err, HF_E_NOT_FOUND, "there is no channel \"%.*s\"", HF_SPAN_ARG(a->on));
    trial(h, a->by, &doc);
    int rc = hf_ndeliver_now(h->conf, &h->conf->channels[at], hf_buf_span(&doc), true, &requests, err);
    if (rc < 0)
        return rc;
    struct hf_jw w;
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_kstr(&w, "channel", a->on);
    hf_jw_ku64(&w, "requests", requests);
    hf_jw_object_end(&w);
    return 0;
}

/* {"channel", "headers": [[name, value]], "body"}: who signed it is proven by the module that reads it. */
static int notify_hook(struct hub *h, hf_jnode root, struct hf_buf *out, struct hf_err *err)
{
    struct hf_nheader headers[HEADERS_MAX];
    struct hf_nreply reply = {.status = 503, .body = HF_BUF_INIT(REPLY_MAX)};
    struct hf_err why = HF_ERR_INIT;
    size_t n = 0;
    struct hf_jw w;
    HF_JFOREACH(x, hf_jget(root, "headers"))
        if (n < HEADERS_MAX)
            headers[n++] = (struct hf_nheader){hf_jstr(hf_jfirst(x)), hf_jstr(hf_jnext(hf_jfirst(x)))};
    if (!h->answers)
        return hf_fail(err, HF_E_NOT_FOUND, "no channel takes answers");
    int rc = hf_nanswers_http(h->answers, hf_jgetstr(root, "channel"), headers, n, hf_jgetstr(root, "body"), &reply, &why);
    if (rc < 0)
        hf_log(HF_LOG_WARNING, "answer", "a request to channel \"%.*s\": %s", HF_SPAN_ARG(hf_jgetstr(root, "channel")), why.msg);
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_ku64(&w, "status", reply.status);
    hf_jw_kstr(&w, "type", hf_span_z(reply.type ? reply.type : "text/plain; charset=utf-8"));
    hf_jw_kstr(&w, "body", hf_buf_span(&reply.body));
    hf_jw_object_end(&w);
    hf_buf_done(&reply.body);
    return 0;
}

static uint64_t id_of(hf_jnode root)
{
    double id = 0;
    return hf_jnum(hf_jget(root, "id"), &id) && id >= 1 && id < 9e15 ? (uint64_t)id : 0;
}

static void request(struct hub *h, struct hf_span text)
{
    static const struct hf_hask_place nowhere = {.state = "", .db = ""};
    hf_autobuf out = HF_BUF_INIT(64 << 10);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    struct hf_err err = HF_ERR_INIT;
    struct hf_hask a = {.argc = 0};
    uint64_t id = 0;
    int rc = hf_json_parse_within(text, MEMORY_MAX, &d, &err);
    if (rc == 0 && hf_span_eqz(hf_jgetstr(hf_json_root(d), "do"), "notify.hook")) {
        id = id_of(hf_json_root(d));
        rc = notify_hook(h, hf_json_root(d), &out, &err);
    } else if (rc == 0) {
        rc = hf_hask_read(&a, text, &nowhere, &err);
        id = a.id;
        if (rc == 0 && a.kind != HF_HASK_NOTIFY_TEST)
            rc = hf_fail(&err, HF_E_USAGE, "that is asked of the hand");
        rc = rc < 0 ? rc : notify_test(h, &a, &out, &err);
        hf_hask_done(&a);
    }
    struct hf_err sending = HF_ERR_INIT;
    hf_autoclose int memfd = rc == 0 ? hf_serve_memory(hf_buf_span(&out), &err) : -1;
    if (id && hf_serve_answer(h->o->serve_fd, id, rc == 0 && memfd < 0 ? memfd : rc, err.msg, memfd, &sending) < 0)
        hf_log(HF_LOG_WARNING, "serve", "%s", sending.msg);
}

static void *serve(void *ctx)
{
    struct hub *h = ctx;
    hf_autofree char *buf = malloc(HF_HAND_REQUEST_MAX);
    while (buf && !h->stopping) {
        struct hf_err err = HF_ERR_INIT;
        size_t n;
        struct pollfd p[2] = {{h->o->serve_fd, POLLIN, 0}, {h->o->stop_fd, POLLIN, 0}};
        if (poll(p, 2, -1) <= 0)
            continue;
        if (p[1].revents)
            break;
        int rc = hf_serve_take(h->o->serve_fd, buf, HF_HAND_REQUEST_MAX, &n, &err);
        if (rc == 1)
            request(h, hf_span(buf, n));
        else if (rc < 0 && rc != HF_E_LIMIT)
            break;
    }
    return NULL;
}

int hub_serve_start(struct hub *h, struct hf_err *err)
{
    int rc = pthread_create(&h->serve, NULL, serve, h);
    h->serving = rc == 0;
    return rc ? hf_fail(err, -rc, "no thread for the console's requests") : 0;
}

void hub_serve_end(struct hub *h)
{
    if (h->serving)
        pthread_join(h->serve, NULL); /* it looks at stop_fd */
    h->serving = false;
}
