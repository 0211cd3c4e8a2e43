// SPDX-License-Identifier: Apache-2.0
#include "notify/answers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/hash.h"
#include "base/log.h"
#include "notify/answers-internal.h"

enum { JOB_MAX = 64 << 10, HTTP_WAIT_MS = 1500, REPLY_TEXT_MAX = 2800, VIA_MAX = 40 /* of a document: incident/change.c */ };

int64_t hf_na_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct timespec until_ms(int64_t ms)
{
    int64_t at = hf_na_now_ms() + ms;
    return (struct timespec){at / 1000, at % 1000 * 1000000};
}

bool hf_na_stopped(struct hf_nanswers *a)
{
    pthread_mutex_lock(&a->lock);
    bool stop = a->stop;
    pthread_mutex_unlock(&a->lock);
    return stop;
}

bool hf_na_sleep(struct hf_nanswers *a, int64_t ms)
{
    struct timespec until = until_ms(ms);
    pthread_mutex_lock(&a->lock);
    while (!a->stop && pthread_cond_timedwait(&a->news, &a->lock, &until) != ETIMEDOUT)
        ;
    bool go = !a->stop;
    pthread_mutex_unlock(&a->lock);
    return go;
}

void hf_na_via(const struct hf_nchannel *ch, struct hf_buf *out)
{
    size_t at = out->n;
    hf_buf_addf(out, "%s:%.*s", hf_nkinds[ch->kind], HF_SPAN_ARG(ch->name));
    if (out->n - at > VIA_MAX) {
        out->n = at;
        hf_buf_addz(out, hf_nkinds[ch->kind]);
    }
}

/* ---- whose it is ---- */

static bool known(struct hf_nanswers *a, const struct hf_nchannel *ch, struct hf_span incident)
{
    hf_autobuf text = HF_BUF_INIT(16384), key = HF_BUF_INIT(80);
    struct hf_nmark m;
    struct hf_err ignore = HF_ERR_INIT;
    hf_buf_adds(&key, incident);
    return hf_buf_ok(&key) && a->q.mark_get(a->q.ctx, ch->name.p, hf_buf_z(&key), &text, &ignore) > 0 && hf_nmark_read(&m, hf_buf_span(&text), &ignore) == 0 && m.known;
}

static bool by_ref(struct hf_nanswers *a, const struct hf_nchannel *ch, struct hf_span first, struct hf_span second, struct hf_buf *ret)
{
    hf_autobuf ref = HF_BUF_INIT(HF_NREF_MAX);
    struct hf_err ignore = HF_ERR_INIT;
    hf_buf_addf(&ref, "%.*s%s%.*s", HF_SPAN_ARG(first), second.n ? "/" : "", HF_SPAN_ARG(second));
    return first.n && hf_buf_ok(&ref) && a->q.ref_get(a->q.ctx, ch->name.p, hf_buf_z(&ref), ret, &ignore) > 0 && ret->n;
}

/* One app may serve several channels, and Slack gives an answer to any of its connections. */
static const struct hf_nchannel *slack_channel(struct hf_nanswers *a, const struct hf_nchannel *from, enum hf_nsecret_kind by, const struct hf_ni *what, struct hf_buf *incident)
{
    const struct hf_nchannel *spoken = NULL;
    for (size_t i = 0; i < a->conf->n_channels; i++) {
        const struct hf_nchannel *ch = &a->conf->channels[i];
        if (ch->kind != HF_N_SLACK || (ch != from && !hf_span_eq(ch->secret[by].value, from->secret[by].value)))
            continue;
        hf_buf_clear(incident);
        if (by_ref(a, ch, what->channel, what->thread, incident))
            return what->kind != HF_NI_BUTTON || hf_span_eq(hf_buf_span(incident), what->incident) ? ch : NULL;
        if (what->kind == HF_NI_BUTTON && !spoken && known(a, ch, what->incident))
            spoken = ch; /* a card whose answer was lost, and which was made twice */
    }
    hf_buf_clear(incident);
    if (spoken)
        hf_buf_adds(incident, what->incident);
    return spoken;
}

static const struct hf_nchannel *find(struct hf_nanswers *a, const struct hf_nchannel *from, enum hf_nsecret_kind by, const struct hf_ni *what, struct hf_buf *incident)
{
    struct hf_err err = HF_ERR_INIT;
    if (from->kind == HF_N_SLACK)
        return slack_channel(a, from, by, what, incident);
    if (!what->incident.n)
        return by_ref(a, from, what->thread, hf_span("", 0), incident) ? from : NULL;
    if (!known(a, from, what->incident))
        return NULL;
    hf_autobuf id = HF_BUF_INIT(HF_NREF_MAX); /* notes come with PagerDuty's id only */
    hf_buf_adds(incident, what->incident);
    hf_buf_adds(&id, what->thread);
    if (from->kind == HF_N_PAGERDUTY && id.n && hf_buf_ok(&id) && a->q.ref_put(a->q.ctx, from->name.p, hf_buf_z(&id), hf_buf_z(incident), &err) < 0)
        hf_log(HF_LOG_WARNING, "answer", "channel \"%.*s\": %s", HF_SPAN_ARG(from->name), err.msg);
    return from;
}

/* ---- once ---- */

enum once { ONCE_NEW, ONCE_RUNS, ONCE_DONE };

static struct hf_na_seen *seen_of(struct hf_nanswers *a, uint64_t id)
{
    for (size_t i = 0; i < HF_NA_SEEN; i++)
        if (a->seen[i].id == id)
            return &a->seen[i];
    return NULL;
}

static enum once begin_once(struct hf_nanswers *a, uint64_t id)
{
    struct hf_na_seen *s = seen_of(a, id);
    if (s)
        return s->running ? ONCE_RUNS : ONCE_DONE;
    for (size_t i = 0; i < HF_NA_SEEN && a->seen[a->seen_at].running; i++) /* at most JOBS_MAX and one run */
        a->seen_at = (a->seen_at + 1) % HF_NA_SEEN;
    a->seen[a->seen_at] = (struct hf_na_seen){id, true};
    a->seen_at = (a->seen_at + 1) % HF_NA_SEEN;
    return ONCE_NEW;
}

static void forget(struct hf_nanswers *a, uint64_t id)
{
    struct hf_na_seen *s = seen_of(a, id);
    if (s)
        *s = (struct hf_na_seen){0};
}

static void end_once(struct hf_nanswers *a, uint64_t id, bool done)
{
    pthread_mutex_lock(&a->lock);
    struct hf_na_seen *s = seen_of(a, id);
    if (s && done)
        s->running = false;
    else
        forget(a, id);
    pthread_cond_broadcast(&a->news);
    pthread_mutex_unlock(&a->lock);
}

/* Over restarts: a mark of the incident, which goes with it.  Of what is named only. */
static bool mark_of(const struct hf_ni *w, enum hf_nkind kind, struct hf_span incident, char out[80])
{
    hf_autobuf text = HF_BUF_INIT(2048);
    struct hf_digest d;
    char hex[65];
    hf_buf_addf(&text, "%s %.*s", hf_nkinds[kind], HF_SPAN_ARG(w->once));
    hf_digest_of(HF_SHA256, hf_buf_span(&text), &d);
    hf_hex(d.b, 32, hex);
    return w->once.n && incident.n && snprintf(out, 80, "%.*s:once/%.24s", HF_SPAN_ARG(incident), hex) < 80;
}

static bool done_before(struct hf_nanswers *a, const struct hf_nchannel *ch, const struct hf_ni *w, struct hf_span incident)
{
    hf_autobuf text = HF_BUF_INIT(64);
    struct hf_err ignore = HF_ERR_INIT;
    char key[80];
    return mark_of(w, ch->kind, incident, key) && a->q.mark_get(a->q.ctx, ch->name.p, key, &text, &ignore) > 0;
}

static void note_done(struct hf_nanswers *a, const struct hf_na_job *j)
{
    struct hf_err err = HF_ERR_INIT;
    char key[80];
    if (mark_of(&j->what, j->ch->kind, j->what.incident, key) && a->q.mark_put(a->q.ctx, j->ch->name.p, key, HF_S("1"), &err) < 0)
        hf_log(HF_LOG_WARNING, "answer", "channel \"%.*s\": what comes again after a restart would be done again: %s", HF_SPAN_ARG(j->ch->name), err.msg);
}

/* ---- jobs ---- */

static struct hf_na_job *job_free(struct hf_na_job *j)
{
    if (j) {
        hf_arena_done(&j->arena);
        free(j);
    }
    return NULL;
}

static struct hf_na_job *job_new(const struct hf_nchannel *ch, const struct hf_ni *what, struct hf_span incident, const char *refusal)
{
    struct hf_na_job *j = calloc(1, sizeof *j);
    hf_autobuf via = HF_BUF_INIT(256);
    if (!j)
        return NULL;
    hf_arena_init(&j->arena, JOB_MAX);
    j->ch = ch;
    j->what = *what;
    hf_na_via(ch, &via);
    j->what.incident = incident;
    j->what.via = hf_buf_span(&via);
    j->what.who = hf_nchannel_account(ch, what->user);
    j->what.account = j->what.who.n > 0;
    j->what.responder = hf_nchannel_responder(ch, what->user);
    j->what.who = j->what.who.n ? j->what.who : what->name; /* the id when neither is there: worker */
    j->refusal = hf_span_z(refusal ? refusal : "");
    struct hf_ni *w = &j->what;
    struct hf_span *texts[] = {&w->incident, &w->user, &w->name, &w->channel, &w->thread, &w->text, &w->response_url, &w->envelope, &w->once, &w->who, &w->via, &j->refusal};
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
        if (hf_arena_dup(&j->arena, *texts[i], texts[i]) < 0)
            return job_free(j);
    return j;
}

/* Under lock; takes the job when there is room. */
static bool enqueue(struct hf_nanswers *a, struct hf_na_job *j)
{
    if (a->n == HF_NA_JOBS_MAX || a->stop || !a->started)
        return false;
    a->jobs[(a->first + a->n++) % HF_NA_JOBS_MAX] = j;
    pthread_cond_broadcast(&a->news);
    return true;
}

static const char *word_of(const struct hf_ni *w)
{
    static const char *const buttons[HF_NI_BUTTONS] = {"acknowledge", "take", "freeze", "kill", "isolate", "except", "evidence", "open"};
    static const char *const states[HF_NSTATES] = {"reopen", "acknowledge", "contain", "resolve"};
    return w->kind == HF_NI_BUTTON ? buttons[w->button] : w->kind == HF_NI_STATE ? states[w->state] : "comment";
}

static void decision(const struct hf_nchannel *ch, const struct hf_ni *w, struct hf_span incident, const char *what)
{
    struct hf_span account = hf_nchannel_account(ch, w->user), who = account.n ? account : w->name;
    hf_log(HF_LOG_NOTICE, "answer", "channel \"%.*s\": %.*s (%.*s) asks to %s %.*s: %s", HF_SPAN_ARG(ch->name), HF_SPAN_ARG(who), HF_SPAN_ARG(w->user), word_of(w), HF_SPAN_ARG(incident), what);
}

static bool for_responders(const struct hf_ni *w)
{
    return w->kind == HF_NI_BUTTON && (w->button == HF_NI_FREEZE || w->button == HF_NI_KILL || w->button == HF_NI_ISOLATE || w->button == HF_NI_EXCEPT || w->button == HF_NI_EVIDENCE);
}

static enum hf_na_took refuse(struct hf_nanswers *a, const struct hf_nchannel *ch, const struct hf_ni *w, struct hf_span incident, const char *why, const char *told)
{
    struct hf_na_job *j = job_new(ch, w, incident, told);
    decision(ch, w, incident, why);
    pthread_mutex_lock(&a->lock);
    bool taken = j && enqueue(a, j);
    pthread_mutex_unlock(&a->lock);
    if (!taken)
        job_free(j);
    return HF_NA_REFUSED;
}

static uint64_t id_of(struct hf_nanswers *a, const struct hf_nchannel *from, const struct hf_ni *w)
{
    hf_autobuf b = HF_BUF_INIT(2048);
    uint64_t id;
    hf_buf_addf(&b, "%s %.*s", hf_nkinds[from->kind], HF_SPAN_ARG(w->once));
    if (!w->once.n) /* nothing names it: it is new each time */
        hf_buf_addf(&b, " %llu", (unsigned long long)++a->unnamed);
    id = hf_span_hash(hf_buf_span(&b));
    return id ? id : 1;
}

enum hf_na_took hf_na_accept(struct hf_nanswers *a, const struct hf_nchannel *from, enum hf_nsecret_kind by, const struct hf_ni *w, int wait_ms)
{
    hf_autobuf incident = HF_BUF_INIT(256);
    if (w->kind != HF_NI_BUTTON && w->kind != HF_NI_COMMENT && w->kind != HF_NI_STATE) {
        find(a, from, by, w, &incident); /* what an event of PagerDuty's says of ids is kept */
        return HF_NA_IGNORED;
    }
    if (w->kind == HF_NI_BUTTON && w->button == HF_NI_OPEN)
        return HF_NA_IGNORED; /* a link: the browser opens it */
    const struct hf_nchannel *ch = find(a, from, by, w, &incident);
    if (!ch)
        return w->kind == HF_NI_BUTTON ? refuse(a, from, w, w->incident, "refused, this channel was not told of it", "This Holdfast does not know that incident.") : HF_NA_IGNORED;
    if (for_responders(w) && !hf_nchannel_responder(ch, w->user))
        return refuse(a, ch, w, hf_buf_span(&incident), "refused, not a responder", "You may not do that: you are not among the responders of this channel. Acknowledging, taking and commenting are for everybody here.");
    if (done_before(a, ch, w, hf_buf_span(&incident)))
        return HF_NA_DONE;
    struct hf_na_job *j = job_new(ch, w, hf_buf_span(&incident), NULL);
    struct timespec until = until_ms(wait_ms);
    if (!j)
        return HF_NA_LATER;
    pthread_mutex_lock(&a->lock);
    uint64_t id = j->once = id_of(a, from, w);
    enum once o = begin_once(a, id);
    if (o == ONCE_NEW && !enqueue(a, j)) {
        forget(a, id);
        pthread_mutex_unlock(&a->lock);
        job_free(j);
        return HF_NA_LATER;
    }
    struct hf_na_seen *s = seen_of(a, id);
    while (w->kind != HF_NI_BUTTON && !a->stop && (s = seen_of(a, id)) && s->running && pthread_cond_timedwait(&a->news, &a->lock, &until) != ETIMEDOUT)
        ;
    s = seen_of(a, id);
    enum hf_na_took took = !s || (w->kind != HF_NI_BUTTON && s->running) ? HF_NA_LATER : HF_NA_DONE;
    pthread_mutex_unlock(&a->lock);
    if (o != ONCE_NEW)
        job_free(j);
    return took;
}

/* ---- the worker ---- */

static bool not_now(int rc)
{
    return rc == -EAGAIN || rc == -EBUSY || rc == -ENOSPC || rc == -EINTR || rc == -ECONNRESET || rc == HF_E_INCOMPLETE;
}

static void run(struct hf_nanswers *a, struct hf_na_job *j)
{
    hf_autobuf told = HF_BUF_INIT(REPLY_TEXT_MAX);
    struct hf_err err = HF_ERR_INIT;
    if (j->refusal.n) {
        if (j->ch->kind == HF_N_SLACK)
            hf_na_slack_tell(a, j, j->refusal);
        return;
    }
    if (!j->what.who.n)
        j->what.who = j->ch->kind == HF_N_SLACK ? hf_na_slack_name(a, j) : j->what.user;
    bool button = j->what.kind == HF_NI_BUTTON;
    if (button) /* rather not at all than twice: who pressed it sees that nothing came of it */
        note_done(a, j);
    int rc = a->cb(a->ctx, &j->what, j->ch, &told, &err);
    decision(j->ch, &j->what, j->what.incident, rc < 0 ? err.msg[0] ? err.msg : hf_err_name(rc) : "done");
    bool again = not_now(rc) && !button; /* nobody presses a button twice for us */
    if (rc < 0 && !again) {
        hf_buf_clear(&told);
        hf_buf_addf(&told, "That was not done: %s", err.msg[0] ? err.msg : hf_err_name(rc));
    }
    if (!again && !button)
        note_done(a, j);
    end_once(a, j->once, !again);
    if (!again && told.n && j->ch->kind == HF_N_SLACK)
        hf_na_slack_tell(a, j, hf_buf_span(&told));
}

static void *work(void *ctx)
{
    struct hf_nanswers *a = ctx;
    for (;;) {
        pthread_mutex_lock(&a->lock);
        while (!a->stop && !a->n)
            pthread_cond_wait(&a->news, &a->lock);
        if (a->stop) {
            pthread_mutex_unlock(&a->lock);
            return NULL;
        }
        struct hf_na_job *j = a->jobs[a->first];
        a->first = (a->first + 1) % HF_NA_JOBS_MAX;
        a->n--;
        pthread_mutex_unlock(&a->lock);
        run(a, j);
        job_free(j);
    }
}

/* ---- requests ---- */

static struct hf_span header(const struct hf_nheader *h, size_t n, struct hf_span name)
{
    for (size_t i = 0; i < n; i++)
        if (hf_span_eq_nocase(h[i].name, name))
            return hf_span_trim(h[i].value);
    return hf_span("", 0);
}

static int reply(struct hf_nreply *ret, unsigned status, const char *text, int rc)
{
    ret->status = status;
    ret->type = "text/plain; charset=utf-8";
    hf_buf_addz(&ret->body, text);
    return rc;
}

int hf_nanswers_http(struct hf_nanswers *a, struct hf_span channel, const struct hf_nheader *h, size_t n, struct hf_span body, struct hf_nreply *ret, struct hf_err *err)
{
    size_t at = hf_nconf_channel(a->conf, channel);
    const struct hf_nchannel *ch = at == SIZE_MAX ? NULL : &a->conf->channels[at];
    struct hf_ni w;
    hf_autoarena arena;
    int rc;
    hf_arena_init(&arena, 1u << 20);
    if (!ch || (ch->kind != HF_N_SLACK && ch->kind != HF_N_PAGERDUTY) || !ch->secret[HF_NSECRET_KEY].value.n)
        return reply(ret, 404, "no such channel\n", hf_fail(err, HF_E_NOT_FOUND, "no channel \"%.*s\" takes requests: it is a slack or pagerduty channel with key_file", HF_SPAN_ARG(hf_span_sub(channel, 0, 64))));
    if (body.n > HF_NI_BODY_MAX)
        return reply(ret, 413, "too long\n", hf_fail(err, HF_E_LIMIT, "the request is over %d bytes", HF_NI_BODY_MAX));
    struct hf_span secret = ch->secret[HF_NSECRET_KEY].value;
    rc = ch->kind == HF_N_SLACK ? hf_ni_verify(secret, header(h, n, HF_S("x-slack-request-timestamp")), header(h, n, HF_S("x-slack-signature")), body, hf_na_now_ms() / 1000, err)
                                : hf_ni_verify_pagerduty(secret, header(h, n, HF_S("x-pagerduty-signature")), body, err);
    if (rc < 0)
        return reply(ret, 401, "not signed\n", hf_wrap(err, rc, "channel \"%.*s\"", HF_SPAN_ARG(ch->name)));
    rc = ch->kind == HF_N_SLACK ? hf_ni_read_request(&w, &arena, body, err) : hf_ni_read_pagerduty(&w, &arena, body, err);
    if (rc < 0)
        return reply(ret, 400, "not understood\n", hf_wrap(err, rc, "channel \"%.*s\"", HF_SPAN_ARG(ch->name)));
    if (w.kind == HF_NI_CHALLENGE) {
        reply(ret, 200, "", 0);
        hf_buf_adds(&ret->body, w.text);
        return 0;
    }
    if (hf_na_accept(a, ch, HF_NSECRET_KEY, &w, HTTP_WAIT_MS) == HF_NA_LATER)
        return reply(ret, 503, "not now\n", hf_fail(err, HF_E_INCOMPLETE, "channel \"%.*s\": an answer could not be taken now", HF_SPAN_ARG(ch->name)));
    return reply(ret, 200, "", 0);
}

/* ---- the whole ---- */

int hf_nanswers_new(struct hf_nanswers **ret, const struct hf_nconf *conf, const struct hf_nqueue *queue, hf_nanswer_cb cb, void *ctx, struct hf_err *err)
{
    hf_cleanup(hf_nanswers_freep) struct hf_nanswers *a = calloc(1, sizeof *a);
    if (!a)
        return hf_fail(err, -ENOMEM, "no memory");
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->news, NULL);
    a->conf = conf;
    a->q = *queue;
    a->cb = cb;
    a->ctx = ctx;
    a->senders = calloc(conf->n_channels + 1, sizeof *a->senders);
    if (!a->senders)
        return hf_fail(err, -ENOMEM, "no memory");
    int rc = 0;
    for (size_t i = 0; i < conf->n_channels && rc == 0; i++)
        rc = conf->channels[i].kind == HF_N_SLACK ? hf_nsender_new(&a->senders[i], conf, &conf->channels[i], err) : 0;
    rc = rc < 0 ? rc : hf_na_sockets_new(a, err);
    rc = rc < 0 ? rc : hf_na_jiras_new(a, err);
    if (rc < 0)
        return rc;
    *ret = hf_take(a);
    return 0;
}

int hf_nanswers_start(struct hf_nanswers *a, struct hf_err *err)
{
    if (a->started)
        return 0;
    int rc = pthread_create(&a->worker, NULL, work, a);
    if (rc)
        return hf_fail(err, -rc, "no thread for answers");
    pthread_mutex_lock(&a->lock);
    a->started = true;
    pthread_mutex_unlock(&a->lock);
    rc = hf_na_sockets_start(a, err);
    return rc < 0 ? rc : hf_na_jiras_start(a, err);
}

void hf_nanswers_stop(struct hf_nanswers *a)
{
    pthread_mutex_lock(&a->lock);
    a->stop = true;
    bool started = a->started;
    pthread_cond_broadcast(&a->news);
    pthread_mutex_unlock(&a->lock);
    for (size_t i = 0; i < a->conf->n_channels; i++)
        if (a->senders && a->senders[i])
            hf_nsender_stop(a->senders[i]);
    hf_na_sockets_stop(a);
    hf_na_jiras_stop(a);
    if (started)
        pthread_join(a->worker, NULL);
    pthread_mutex_lock(&a->lock);
    a->started = false;
    pthread_mutex_unlock(&a->lock);
}

void hf_nanswers_free(struct hf_nanswers *a)
{
    if (!a)
        return;
    hf_nanswers_stop(a);
    for (; a->n; a->n--) {
        job_free(a->jobs[a->first]);
        a->first = (a->first + 1) % HF_NA_JOBS_MAX;
    }
    hf_na_sockets_free(a);
    hf_na_jiras_free(a);
    for (size_t i = 0; a->senders && i < a->conf->n_channels; i++)
        hf_nsender_free(a->senders[i]);
    free(a->senders);
    pthread_cond_destroy(&a->news);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

bool hf_nanswers_connected(struct hf_nanswers *a, struct hf_buf *ret_why)
{
    return hf_na_sockets_up(a, ret_why);
}
