// SPDX-License-Identifier: Apache-2.0
/* Slack's Socket Mode (docs.slack.dev, "Using Socket Mode"): a WebSocket whose address apps.connections.open gives, good for an hour or so.  Before Slack
 * closes one it says so ("disconnect"), and the next is opened while the old one still serves: two threads an app take turns.  And what is told to
 * the asker alone: chat.postEphemeral. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "notify/address.h"
#include "notify/answers-internal.h"
#include "notify/deliver.h"
#include "notify/text.h"
#include "notify/websocket.h"

enum { ACK_MS = 2500 /* Slack waits three seconds */, OVERLAP_MS = 60000, SETUP_MS = 30000, BACKOFF_TRIES_MAX = 8 };

struct slot {
    struct hf_na_socket *socket;
    unsigned which;
    struct hf_nws *ws;
    struct hf_nsender *sender;
    pthread_t thread;
    bool started;
    bool up, handed;      /* under the socket's lock; handed: the other one is to take over */
    bool setup;           /* of this thread: somebody must change something first */
    int64_t handed_ms;
    uint64_t retry_after_s;
};
struct hf_na_socket {
    struct hf_nanswers *a;
    const struct hf_nchannel *ch; /* the first with this app */
    pthread_mutex_t lock;
    unsigned primary;     /* whose turn it is */
    char why[512];        /* it is not up */
    struct slot slots[2];
};

/* ---- requests to the Web API ---- */

static void request_done(struct hf_nrequest *q)
{
    hf_buf_done(&q->url);
    hf_buf_done(&q->body);
    for (size_t i = 0; i < HF_NHEADERS; i++)
        hf_buf_done(&q->headers[i]);
}

static void request(struct hf_nrequest *q, const struct hf_nchannel *ch, const char *http_method, const char *method, enum hf_nsecret_kind token, const char *type)
{
    *q = (struct hf_nrequest){.via = HF_NVIA_HTTP, .method = http_method, .n_headers = 2};
    hf_buf_init(&q->url, 4096);
    hf_buf_init(&q->body, 64 << 10);
    for (size_t i = 0; i < HF_NHEADERS; i++)
        hf_buf_init(&q->headers[i], 16384);
    hf_buf_addf(&q->url, "%.*s/%s", HF_SPAN_ARG(hf_nchannel_url(ch)), method);
    hf_buf_addf(&q->headers[0], "Content-Type: %s", type);
    hf_buf_addf(&q->headers[1], "Authorization: Bearer %.*s", HF_SPAN_ARG(ch->secret[token].value));
}

/* 0: Slack says ok, the answer in *ret_doc.  retry_after_s: of the answer. */
static int ask(struct hf_nsender *sender, const struct hf_nrequest *q, struct hf_json_doc **ret_doc, uint64_t *retry_after_s, struct hf_err *err)
{
    struct hf_nanswer answer = {0};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    int rc = hf_nsend(sender, q, &answer, err);
    if (rc < 0)
        return rc;
    *retry_after_s = answer.retry_after_s;
    if (answer.status != 200)
        return hf_fail(err, answer.status == 429 || answer.status >= 500 ? -EAGAIN : HF_E_USAGE, "Slack answers %u", answer.status);
    rc = hf_json_parse_within(answer.body, 4u << 20, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "Slack's answer");
    if (!hf_jis_true(hf_jget(hf_json_root(doc), "ok"))) {
        struct hf_span e = hf_jgetstr(hf_json_root(doc), "error");
        bool later = hf_span_eqz(e, "ratelimited") || hf_span_eqz(e, "internal_error") || hf_span_eqz(e, "fatal_error") || hf_span_eqz(e, "service_unavailable") || hf_span_eqz(e, "request_timeout");
        return hf_fail(err, later ? -EAGAIN : HF_E_USAGE, "Slack refused it: %.*s", HF_SPAN_ARG(e.n ? hf_span_sub(e, 0, 100) : HF_S("no reason given")));
    }
    *ret_doc = hf_take(doc);
    return 0;
}

static struct hf_nsender *sender_of(struct hf_nanswers *a, const struct hf_nchannel *ch)
{
    return a->senders[ch - a->conf->channels];
}

void hf_na_slack_tell(struct hf_nanswers *a, const struct hf_na_job *j, struct hf_span text)
{
    hf_cleanup(request_done) struct hf_nrequest q = {0};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_autobuf safe = HF_BUF_INIT(64 << 10), cut = HF_BUF_INIT(16 << 10), shown = HF_BUF_INIT(64 << 10);
    struct hf_err err = HF_ERR_INIT;
    struct hf_jw w;
    uint64_t ignore;
    hf_buf_add_escaped(&shown, text, 2800);
    hf_ntext_cut(&cut, hf_buf_span(&shown), 600);
    hf_ntext_slack(&safe, hf_buf_span(&cut));
    request(&q, j->ch, "POST", "chat.postEphemeral", HF_NSECRET_TOKEN, "application/json; charset=utf-8");
    hf_jw_init(&w, &q.body, false);
    hf_jw_object(&w);
    hf_jw_kstr(&w, "channel", j->what.channel);
    hf_jw_kstr(&w, "user", j->what.user);
    hf_jw_kstr_opt(&w, "thread_ts", j->what.thread);
    hf_jw_kstr(&w, "text", hf_buf_span(&safe));
    hf_jw_key(&w, "blocks");
    hf_jw_array(&w);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "type", "section");
    hf_jw_key(&w, "text");
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "type", "plain_text");
    hf_jw_kstr(&w, "text", hf_buf_span(&shown));
    hf_jw_kbool(&w, "emoji", false);
    hf_jw_object_end(&w);
    hf_jw_object_end(&w);
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    if (!j->what.channel.n || ask(sender_of(a, j->ch), &q, &doc, &ignore, &err) == 0)
        return;
    hf_nchannel_scrub(j->ch, err.msg);
    hf_log(HF_LOG_WARNING, "answer", "channel \"%.*s\": %.*s was not told what came of it: %s", HF_SPAN_ARG(j->ch->name), HF_SPAN_ARG(j->what.user), err.msg);
}

static struct hf_span keep_name(struct hf_nanswers *a, struct hf_span id, struct hf_span name)
{
    struct hf_na_name *n = &a->names[a->n_names % HF_NA_NAMES];
    a->n_names++;
    snprintf(n->id, sizeof n->id, "%.*s", HF_SPAN_ARG(id));
    snprintf(n->name, sizeof n->name, "%.*s", (int)HF_MIN(name.n, (size_t)200), name.p);
    return hf_span_z(n->name);
}

/* users.info needs the scope users:read; without it people are their ids. */
struct hf_span hf_na_slack_name(struct hf_nanswers *a, const struct hf_na_job *j)
{
    hf_cleanup(request_done) struct hf_nrequest q = {0};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err err = HF_ERR_INIT;
    uint64_t ignore;
    for (size_t i = 0; i < HF_MIN(a->n_names, (size_t)HF_NA_NAMES); i++)
        if (hf_span_eqz(j->what.user, a->names[i].id))
            return hf_span_z(a->names[i].name);
    request(&q, j->ch, "GET", "users.info?user=", HF_NSECRET_TOKEN, "application/x-www-form-urlencoded");
    hf_ntext_url(&q.url, j->what.user);
    if (ask(sender_of(a, j->ch), &q, &doc, &ignore, &err) < 0)
        return err.code == HF_E_USAGE ? keep_name(a, j->what.user, j->what.user) : j->what.user;
    hf_jnode user = hf_jget(hf_json_root(doc), "user");
    struct hf_span name = hf_jgetstr(hf_jget(user, "profile"), "display_name");
    name = name.n ? name : hf_jgetstr(user, "real_name").n ? hf_jgetstr(user, "real_name") : hf_jgetstr(user, "name");
    return keep_name(a, j->what.user, name.n && name.n <= 200 && hf_span_is_utf8(name) ? name : j->what.user);
}

/* ---- a connection ---- */

bool hf_na_slack_url_ok(struct hf_span api, struct hf_span url)
{
    struct hf_span scheme, host, path, a_scheme, a_host, a_path;
    uint16_t port, a_port;
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= 0x20 || (unsigned char)url.p[i] >= 0x7f)
            return false;
    if (url.n > 2000 || !hf_naddress_split(url, &scheme, &host, &port, &path) || !hf_naddress_split(api, &a_scheme, &a_host, &a_port, &a_path) || hf_span_find(hf_span_sub(url, 0, url.n - path.n), '@') != SIZE_MAX)
        return false;
    if (!hf_span_eqz(scheme, "wss") && !(hf_span_eqz(scheme, "ws") && hf_span_eqz(a_scheme, "http")))
        return false;
    if (hf_span_eqz(a_host, "slack.com") || hf_span_ends(a_host, HF_S(".slack.com")) || hf_span_eqz(a_host, "slack-gov.com"))
        return hf_span_ends(host, HF_S(".slack.com")) || hf_span_eqz(host, "slack.com") || hf_span_ends(host, HF_S(".slack-gov.com"));
    return hf_span_eq(host, a_host); /* a stand-in */
}

static int open_address(struct slot *t, struct hf_buf *ret, struct hf_err *err)
{
    hf_cleanup(request_done) struct hf_nrequest q = {0};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    const struct hf_nchannel *ch = t->socket->ch;
    request(&q, ch, "POST", "apps.connections.open", HF_NSECRET_APP, "application/x-www-form-urlencoded");
    int rc = ask(t->sender, &q, &doc, &t->retry_after_s, err);
    t->setup = rc == HF_E_USAGE;
    if (rc < 0)
        return hf_wrap(err, rc, "apps.connections.open");
    struct hf_span url = hf_jgetstr(hf_json_root(doc), "url");
    if (!hf_na_slack_url_ok(hf_nchannel_url(ch), url))
        return hf_fail(err, HF_E_FORMAT, "apps.connections.open gave an address that is not Slack's");
    hf_buf_adds(ret, url);
    return hf_buf_ok(ret) ? 0 : hf_fail(err, HF_E_LIMIT, "no memory");
}

static void set_up(struct slot *t, bool up, const char *why)
{
    struct hf_na_socket *s = t->socket;
    pthread_mutex_lock(&s->lock);
    t->up = up;
    if (why)
        snprintf(s->why, sizeof s->why, "%s", why);
    pthread_mutex_unlock(&s->lock);
}

static void hand_over(struct slot *t, const char *why)
{
    struct hf_na_socket *s = t->socket;
    pthread_mutex_lock(&s->lock);
    if (!t->handed && s->primary == t->which) {
        t->handed = true;
        t->handed_ms = hf_na_now_ms();
        s->primary = 1 - t->which;
    }
    pthread_mutex_unlock(&s->lock);
    hf_log(HF_LOG_INFO, "socket-mode", "channel \"%.*s\": Slack will end this connection (%s), the next is opened", HF_SPAN_ARG(s->ch->name), why);
    pthread_mutex_lock(&s->a->lock);
    pthread_cond_broadcast(&s->a->news);
    pthread_mutex_unlock(&s->a->lock);
}

static int on_message(void *ctx, struct hf_span text, struct hf_buf *ret_reply)
{
    struct slot *t = ctx;
    struct hf_na_socket *s = t->socket;
    struct hf_err err = HF_ERR_INIT;
    struct hf_ni what;
    hf_autoarena arena;
    hf_autobuf why = HF_BUF_INIT(128);
    hf_arena_init(&arena, 1u << 20);
    if (hf_ni_read_envelope(&what, &arena, text, &err) < 0) {
        hf_log(HF_LOG_WARNING, "socket-mode", "channel \"%.*s\": a message was not understood: %s", HF_SPAN_ARG(s->ch->name), err.msg);
        return 0;
    }
    switch (what.kind) {
    case HF_NI_HELLO:
        hf_log(HF_LOG_INFO, "socket-mode", "channel \"%.*s\": connected", HF_SPAN_ARG(s->ch->name));
        set_up(t, true, NULL);
        return 0;
    case HF_NI_AGAIN:
        hf_buf_adds(&why, what.text);
        t->setup = hf_span_eqz(what.text, "link_disabled"); /* somebody switched Socket Mode off */
        if (t->setup) {
            set_up(t, false, "Socket Mode is switched off in the app's settings");
            return -1;
        }
        hand_over(t, hf_buf_z(&why));
        return 0;
    case HF_NI_BUTTON:
    case HF_NI_COMMENT:
        if (hf_na_accept(s->a, s->ch, HF_NSECRET_APP, &what, ACK_MS) == HF_NA_LATER)
            return 0; /* Slack sends it again */
        break;
    case HF_NI_OTHER:
    case HF_NI_STATE:
    case HF_NI_CHALLENGE:
        break;
    }
    if (what.envelope.n)
        hf_ni_acknowledge(&what, ret_reply);
    return 0;
}

/* An old connection ends when the new one is up for a while, or when its time is over. */
static bool on_tick(void *ctx)
{
    struct slot *t = ctx;
    struct hf_na_socket *s = t->socket;
    pthread_mutex_lock(&s->lock);
    int64_t since = t->handed ? hf_na_now_ms() - t->handed_ms : 0;
    bool stays = !t->handed || since < OVERLAP_MS || !s->slots[1 - t->which].up;
    pthread_mutex_unlock(&s->lock);
    return stays;
}

static int serve(struct slot *t, struct hf_err *err)
{
    struct hf_na_socket *s = t->socket;
    hf_autobuf url = HF_BUF_INIT(4096);
    struct hf_nws_events events = {on_message, on_tick, t};
    t->retry_after_s = 0;
    t->setup = false;
    int rc = open_address(t, &url, err);
    if (rc == 0) {
        struct hf_nws_peer peer = {hf_buf_span(&url), s->ch->ca_file, s->ch->proxy.n ? s->ch->proxy : s->a->conf->proxy};
        rc = hf_nws_run(t->ws, &peer, &events, err);
    }
    return rc;
}

static bool my_turn(struct slot *t)
{
    pthread_mutex_lock(&t->socket->lock);
    bool mine = t->socket->primary == t->which;
    pthread_mutex_unlock(&t->socket->lock);
    return mine;
}

static int64_t pause_ms(const struct slot *t, unsigned tries)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t ms = hf_nbackoff_ms(HF_MIN(tries, (unsigned)BACKOFF_TRIES_MAX), (unsigned)now.tv_nsec & 0xffff);
    ms = t->setup ? HF_MAX(ms, (int64_t)SETUP_MS) : ms;
    return t->retry_after_s ? HF_MAX(ms, (int64_t)t->retry_after_s * 1000) : ms;
}

static void *turns(void *ctx)
{
    struct slot *t = ctx;
    struct hf_na_socket *s = t->socket;
    struct hf_nanswers *a = s->a;
    unsigned tries = 0;
    while (!hf_na_stopped(a)) {
        struct hf_err err = HF_ERR_INIT;
        pthread_mutex_lock(&a->lock);
        while (!a->stop && !my_turn(t))
            pthread_cond_wait(&a->news, &a->lock);
        pthread_mutex_unlock(&a->lock);
        if (hf_na_stopped(a))
            break;
        int rc = serve(t, &err);
        pthread_mutex_lock(&s->lock);
        bool was_up = t->up, handed = t->handed;
        t->handed = false;
        pthread_mutex_unlock(&s->lock);
        hf_nchannel_scrub(s->ch, err.msg);
        set_up(t, false, rc < 0 && err.msg[0] ? err.msg : "Slack closed the connection");
        tries = was_up ? 0 : tries;
        if (handed || hf_na_stopped(a))
            continue;
        int64_t ms = pause_ms(t, tries++);
        const char *why = rc < 0 && err.msg[0] ? err.msg : t->setup ? "Socket Mode is switched off in the app's settings" : "Slack closed the connection";
        hf_log(t->setup ? HF_LOG_ERR : HF_LOG_WARNING, "socket-mode", "channel \"%.*s\": no answers from Slack: %s; again in %lld s", HF_SPAN_ARG(s->ch->name), why,
                (long long)((ms + 999) / 1000));
        hf_na_sleep(a, ms);
    }
    return NULL;
}

/* ---- the whole ---- */

int hf_na_sockets_new(struct hf_nanswers *a, struct hf_err *err)
{
    a->sockets = calloc(a->conf->n_channels + 1, sizeof *a->sockets);
    if (!a->sockets)
        return hf_fail(err, -ENOMEM, "no memory");
    for (size_t i = 0; i < a->conf->n_channels; i++) {
        const struct hf_nchannel *ch = &a->conf->channels[i];
        bool there = ch->kind != HF_N_SLACK || !ch->secret[HF_NSECRET_APP].value.n;
        for (size_t k = 0; k < a->n_sockets; k++) /* one app, one socket */
            there = there || hf_span_eq(a->sockets[k].ch->secret[HF_NSECRET_APP].value, ch->secret[HF_NSECRET_APP].value);
        if (there)
            continue;
        struct hf_na_socket *s = &a->sockets[a->n_sockets++];
        s->a = a;
        s->ch = ch;
        pthread_mutex_init(&s->lock, NULL);
        snprintf(s->why, sizeof s->why, "not connected yet");
        for (unsigned k = 0; k < 2; k++) {
            s->slots[k].socket = s;
            s->slots[k].which = k;
            int rc = hf_nws_new(&s->slots[k].ws, err);
            rc = rc < 0 ? rc : hf_nsender_new(&s->slots[k].sender, a->conf, ch, err);
            if (rc < 0)
                return hf_wrap(err, rc, "channel \"%.*s\"", HF_SPAN_ARG(ch->name));
        }
    }
    return 0;
}

int hf_na_sockets_start(struct hf_nanswers *a, struct hf_err *err)
{
    for (size_t i = 0; i < a->n_sockets; i++)
        for (unsigned k = 0; k < 2; k++) {
            struct slot *t = &a->sockets[i].slots[k];
            int rc = t->started ? 0 : pthread_create(&t->thread, NULL, turns, t);
            if (rc)
                return hf_fail(err, -rc, "no thread for channel \"%.*s\"", HF_SPAN_ARG(t->socket->ch->name));
            t->started = true;
        }
    return 0;
}

void hf_na_sockets_stop(struct hf_nanswers *a)
{
    for (size_t i = 0; i < 2 * a->n_sockets; i++) {
        struct slot *t = &a->sockets[i / 2].slots[i % 2];
        if (t->ws)
            hf_nws_stop(t->ws);
        if (t->sender)
            hf_nsender_stop(t->sender);
    }
    for (size_t i = 0; i < 2 * a->n_sockets; i++) {
        struct slot *t = &a->sockets[i / 2].slots[i % 2];
        if (t->started)
            pthread_join(t->thread, NULL);
        t->started = false;
    }
}

void hf_na_sockets_free(struct hf_nanswers *a)
{
    for (size_t i = 0; i < a->n_sockets; i++) {
        for (unsigned k = 0; k < 2; k++) {
            hf_nws_free(a->sockets[i].slots[k].ws);
            hf_nsender_free(a->sockets[i].slots[k].sender);
        }
        pthread_mutex_destroy(&a->sockets[i].lock);
    }
    free(a->sockets);
}

bool hf_na_sockets_up(struct hf_nanswers *a, struct hf_buf *ret_why)
{
    for (size_t i = 0; i < a->n_sockets; i++) {
        struct hf_na_socket *s = &a->sockets[i];
        pthread_mutex_lock(&s->lock);
        bool up = s->slots[0].up || s->slots[1].up;
        if (!up && ret_why)
            hf_buf_addf(ret_why, "channel \"%.*s\": %s", HF_SPAN_ARG(s->ch->name), s->why);
        pthread_mutex_unlock(&s->lock);
        if (!up)
            return false;
    }
    return true;
}
