// SPDX-License-Identifier: Apache-2.0
/* Delivery and answers of src/notify without a daemon, for tests/e2e/test_notify_answers.py: answers-driver CONFIG.
 * Lines in: {"push": DOCUMENT}, {"http": CHANNEL, "headers": [[NAME, VALUE]], "body": TEXT}, {"mode": "ok" | "again" | "refuse" | "slow"}, {"connected": true}.
 * Lines out: {"answer": ...}, {"delivered": KEY}, {"http": STATUS, "body": TEXT, "rc": N, "error": TEXT}, {"connected": BOOL}. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "notify/answers.h"
#include "notify/deliver.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int mode; /* 0 ok, 1 again, 2 refuse, 3 slow */

static void out(struct hf_buf *b)
{
    pthread_mutex_lock(&lock);
    fwrite(b->p, 1, b->n, stdout);
    fputc('\n', stdout);
    fflush(stdout);
    pthread_mutex_unlock(&lock);
}

static int answered(void *ctx, const struct hf_ni *w, const struct hf_nchannel *ch, struct hf_buf *ret_text, struct hf_err *err)
{
    static const char *const kinds[] = {[HF_NI_BUTTON] = "button", [HF_NI_COMMENT] = "comment", [HF_NI_STATE] = "state"};
    hf_autobuf b = HF_BUF_INIT(1u << 20);
    struct hf_jw j;
    (void)ctx;
    hf_jw_init(&j, &b, false);
    hf_jw_object(&j);
    hf_jw_key(&j, "answer");
    hf_jw_object(&j);
    hf_jw_kstrz(&j, "kind", kinds[w->kind]);
    hf_jw_kstrz(&j, "button", w->kind == HF_NI_BUTTON ? hf_ni_buttons[w->button] : "");
    hf_jw_kstrz(&j, "state", w->kind == HF_NI_STATE ? hf_nstates[w->state] : "");
    hf_jw_kstr(&j, "incident", w->incident);
    hf_jw_kstr(&j, "who", w->who);
    hf_jw_kstr(&j, "via", w->via);
    hf_jw_kstr(&j, "user", w->user);
    hf_jw_kstr(&j, "text", w->text);
    hf_jw_kstr(&j, "channel", ch->name);
    hf_jw_kbool(&j, "account", w->account);
    hf_jw_kbool(&j, "responder", w->responder);
    hf_jw_object_end(&j);
    hf_jw_object_end(&j);
    out(&b);
    if (mode == 1)
        return hf_fail(err, -EBUSY, "the store is busy");
    if (mode == 2)
        return hf_fail(err, HF_E_USAGE, "it is resolved; reopen it first <!here>");
    if (mode == 3)
        poll(NULL, 0, 1500);
    hf_buf_addf(ret_text, "Done for %.*s & <@%.*s>.", HF_SPAN_ARG(w->incident), HF_SPAN_ARG(w->user));
    return 0;
}

static void told(void *ctx, const struct hf_nreport *r)
{
    hf_autobuf b = HF_BUF_INIT(1u << 16);
    (void)ctx;
    hf_buf_addf(&b, "{\"%s\": \"%.*s\"}", r->event == HF_NEV_DELIVERED ? "delivered" : "failed", HF_SPAN_ARG(r->key));
    if (r->event != HF_NEV_DELIVERED)
        hf_log(HF_LOG_WARNING, "delivery", "%.*s: %s", HF_SPAN_ARG(r->channel), r->why);
    out(&b);
}

static void http(struct hf_nanswers *a, hf_jnode root)
{
    struct hf_nheader h[16];
    size_t n = 0;
    struct hf_nreply reply = {.body = HF_BUF_INIT(4096)};
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf b = HF_BUF_INIT(1u << 16);
    struct hf_jw j;
    HF_JFOREACH(pair, hf_jget(root, "headers"))
        if (n < 16) {
            hf_jnode name = hf_jfirst(pair);
            h[n++] = (struct hf_nheader){hf_jstr(name), hf_jstr(hf_jnext(name))};
        }
    int rc = hf_nanswers_http(a, hf_jgetstr(root, "http"), h, n, hf_jgetstr(root, "body"), &reply, &err);
    hf_jw_init(&j, &b, false);
    hf_jw_object(&j);
    hf_jw_ku64(&j, "http", reply.status);
    hf_jw_kstr(&j, "body", hf_buf_span(&reply.body));
    hf_jw_key(&j, "rc");
    hf_jw_i64(&j, rc);
    hf_jw_kstrz(&j, "error", err.msg);
    hf_jw_object_end(&j);
    hf_buf_done(&reply.body);
    out(&b);
}

static void line(struct hf_ndeliver *d, struct hf_nanswers *a, struct hf_span text)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err err = HF_ERR_INIT;
    struct hf_span push = HF_S("{\"push\": ");
    static const char *const modes[] = {"ok", "again", "refuse", "slow"};
    if (hf_span_starts(text, push)) { /* the document as it was written */
        if (hf_ndeliver_push(d, hf_span_sub(text, push.n, text.n - push.n - 1), NULL, &err) <= 0)
            fprintf(stderr, "push: %s\n", err.msg);
        return;
    }
    if (hf_json_parse(text, &doc, &err) < 0) {
        fprintf(stderr, "input: %s\n", err.msg);
        return;
    }
    hf_jnode root = hf_json_root(doc);
    if (hf_jget(root, "http"))
        http(a, root);
    for (int i = 0; i < 4; i++)
        if (hf_span_eqz(hf_jgetstr(root, "mode"), modes[i]))
            mode = i;
    if (hf_jget(root, "connected")) {
        hf_autobuf why = HF_BUF_INIT(4096), b = HF_BUF_INIT(8192);
        hf_buf_addf(&b, "{\"connected\": %s}", hf_nanswers_connected(a, &why) ? "true" : "false");
        out(&b);
    }
}

int main(int argc, char **argv)
{
    hf_cleanup(hf_nconf_freep) struct hf_nconf *c = NULL;
    hf_cleanup(hf_nmemq_freep) struct hf_nmemq *mem = hf_nmemq_new(1000);
    struct hf_nqueue q = hf_nmemq_queue(mem);
    struct hf_ndeliver *d = NULL;
    struct hf_nanswers *a = NULL;
    struct hf_err err = HF_ERR_INIT;
    char *text = NULL;
    size_t cap = 0;
    ssize_t n;
    hf_log_setup(HF_LOG_INFO, false);
    signal(SIGPIPE, SIG_IGN);
    int rc = argc == 2 ? hf_nconf_load(&c, argv[1], &err) : hf_fail(&err, HF_E_USAGE, "usage: answers-driver CONFIG");
    rc = rc < 0 ? rc : hf_nconf_secrets(c, NULL, &err);
    rc = rc < 0 ? rc : hf_ndeliver_new(&d, c, &q, told, NULL, &err);
    rc = rc < 0 ? rc : hf_nanswers_new(&a, c, &q, answered, NULL, &err);
    rc = rc < 0 ? rc : hf_ndeliver_start(d, &err);
    rc = rc < 0 ? rc : hf_nanswers_start(a, &err);
    if (rc < 0)
        fprintf(stderr, "answers-driver: %s\n", err.msg);
    while (rc >= 0 && (n = getline(&text, &cap, stdin)) > 0)
        line(d, a, hf_span_trim(hf_span(text, (size_t)n)));
    free(text);
    hf_nanswers_free(a);
    hf_ndeliver_free(d);
    return rc < 0 ? 2 : 0;
}
