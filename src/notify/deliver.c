// SPDX-License-Identifier: Apache-2.0
#include "notify/deliver.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "notify/digest.h"
#include "notify/route.h"
#include "notify/send.h"

enum {
    ARENA_MAX = 16 << 20,
    POLL_MS = 2000,     /* others may put things into the queue */
    BACKOFF_MS = 1000,
    BACKOFF_MAX_MS = 300000,
    SETUP_MS = 30000,   /* somebody must do something first */
    STEPS_MAX = 2 * HF_NTALK_MAX + 16,
};
static const char tell[] = "tell\n", escalate[] = "escalate\n", collect[] = "digest\n"; /* first line of a queue item; the document follows */

struct worker {
    struct hf_ndeliver *d;
    const struct hf_nchannel *ch;
    struct hf_nsender *sender;
    char name[80];
    char refused[80];        /* of this thread: item whose last request was not taken, which the channel said or no connection came about: it left nothing there */
    pthread_t thread;
    bool started;
    bool collected;          /* of this thread: a digest may be there to be told */
    unsigned digest_tries;
    int64_t digest_ms;       /* not before */
    int64_t metrics_ms;      /* of this thread: when the next numbers go out */
    _Atomic uint64_t delivered, retried, dead;
    pthread_cond_t news;     /* all under the lock of all: */
    uint64_t pushes;
    bool waits;              /* for news: a push may hand it its item */
    struct hf_nitem handed;  /* claimed by the push; body NULL: none */
};
struct hf_ndeliver {
    const struct hf_nconf *conf;
    struct hf_nqueue q;
    hf_nreport_cb cb;
    void *ctx;
    hf_nmetrics_cb more;
    void *more_ctx;
    int64_t start_s;
    _Atomic uint64_t told[HF_NSEVS]; /* pushes that some channel hears of, by severity */
    char host[256];
    struct worker *workers;
    size_t n;
    pthread_mutex_t lock, push_lock; /* push_lock first */
    bool stop; /* under lock */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t hf_nbackoff_ms(unsigned tries, unsigned chance)
{
    int64_t ms = tries > 8 ? BACKOFF_MAX_MS : HF_MIN((int64_t)BACKOFF_MS << tries, (int64_t)BACKOFF_MAX_MS);
    return ms - ms / 4 + ms / 2 * (int64_t)(chance & 0xffff) / 0xffff;
}

static unsigned chance(void)
{
    uint16_t v = 0x8000;
    if (getrandom(&v, sizeof v, 0) != sizeof v)
        v = 0x8000;
    return v;
}

static void report(struct worker *w, struct hf_nreport r)
{
    r.channel = w->ch->name;
    *(r.event == HF_NEV_DELIVERED ? &w->delivered : r.event == HF_NEV_DEAD ? &w->dead : &w->retried) += r.event != HF_NEV_QUEUE;
    if (w->d->cb)
        w->d->cb(w->d->ctx, &r);
}

/* ---- one document to one channel ---- */

struct outcome {
    enum hf_ntook took;
    uint64_t retry_after_s;
    unsigned requests;
    bool refused; /* a comment or action was passed over: err says why */
    bool nothing; /* the last request left nothing at the channel */
};

/* A comment that is refused for good does not hold back those behind it. */
static bool pass_over(struct hf_nrender *r)
{
    if (r->step != HF_NSTEP_COMMENT && r->step != HF_NSTEP_ACTION)
        return false;
    snprintf(r->step == HF_NSTEP_COMMENT ? r->m->comment : r->m->action, sizeof r->m->comment, "%s", r->talk->mark);
    return true;
}

/* What the channel knows, on its way to the queue.  It is written before the next request, or with the end of the item: one change instead of two. */
struct saving {
    struct worker *w;
    const char *key;
    char ref[HF_NREF_MAX]; /* what answers.c finds the incident by, as it is kept */
    struct hf_nmark m;
    bool dirty;
    struct hf_buf digest;  /* collected for the next one, with this item; empty: as it was */
};
static int save_mark(struct saving *s, struct hf_err *err);
static int save_now(struct saving *s, struct hf_err *err);

static int tell_channel(struct hf_nrender *r, struct hf_nsender *sender, struct outcome *ret, struct saving *s, struct hf_err *err)
{
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        struct hf_nanswer a = {0};
        struct hf_err why = HF_ERR_INIT;
        struct hf_nmark before = *r->m;
        int rc = hf_nrender_next(r, time(NULL), err);
        s->dirty |= !i || memcmp(&before, r->m, sizeof before) != 0; /* memcmp: a difference in padding only saves once too often */
        s->m = *r->m;
        if (rc > 0 && i && s->w)
            rc = save_now(s, err) < 0 ? -EIO : rc;
        if (rc <= 0)
            return rc;
        rc = hf_nsend(sender, &r->req, &a, err);
        ret->nothing = rc == -ECONNREFUSED || (rc == 0 && a.status < 500);
        if (rc < 0)
            return rc;
        ret->requests++;
        ret->took = hf_nrender_took(r, &a, &why);
        if (ret->took == HF_NTOOK_NEVER && pass_over(r)) {
            ret->refused = true;
            ret->took = HF_NTOOK;
            *err = why;
        } else if (ret->took != HF_NTOOK) {
            ret->retry_after_s = a.retry_after_s;
            *err = why;
        }
        hf_nchannel_scrub(r->ch, err->msg); /* a server may repeat what it was sent */
        s->m = *r->m;
        s->dirty = true;
        if (ret->took != HF_NTOOK)
            return 0;
    }
    return hf_fail(err, HF_E_LIMIT, "more than %d requests for one incident", STEPS_MAX);
}

int hf_ndeliver_now(const struct hf_nconf *conf, const struct hf_nchannel *ch, struct hf_span incident, bool test, unsigned *ret_requests, struct hf_err *err)
{
    hf_cleanup(hf_nsender_freep) struct hf_nsender *sender = NULL;
    hf_autoarena arena;
    struct hf_nview v;
    struct hf_nmark m = {0};
    struct hf_nrender r;
    struct outcome o = {0};
    struct saving nowhere = {0};
    char host[256] = "localhost";
    gethostname(host, sizeof host - 1);
    hf_arena_init(&arena, ARENA_MAX);
    int rc = hf_nsender_new(&sender, conf, ch, err);
    rc = rc < 0 ? rc : hf_nview_read(&v, &arena, incident, err);
    if (rc < 0)
        return rc;
    hf_nrender_init(&r, conf, ch, &v, &m, host);
    r.test = test;
    rc = tell_channel(&r, sender, &o, &nowhere, err);
    hf_nrender_done(&r);
    hf_nview_done(&v);
    *ret_requests = o.requests;
    if (rc == 0 && (o.took != HF_NTOOK || o.refused))
        return o.took == HF_NTOOK_LATER ? -EAGAIN : HF_E_UNSUPPORTED;
    return rc;
}

/* ---- items of the queue ---- */

/* Between begin and end. */
static int save_mark(struct saving *s, struct hf_err *err)
{
    const struct hf_nqueue *q = &s->w->d->q;
    hf_autobuf text = HF_BUF_INIT(16384), ref = HF_BUF_INIT(HF_NREF_MAX);
    if (!s->dirty)
        return 0;
    hf_nmark_write(&s->m, &text);
    hf_nmark_ref(&s->m, &ref);
    int rc = q->mark_put(q->ctx, s->w->name, s->key, hf_buf_span(&text), err);
    if (rc == 0 && s->digest.n)
        rc = q->mark_put(q->ctx, s->w->name, hf_ndigest_key, hf_buf_span(&s->digest), err);
    if (rc == 0 && ref.n && hf_buf_ok(&ref) && strcmp(hf_buf_z(&ref), s->ref) != 0) {
        rc = q->ref_put(q->ctx, s->w->name, hf_buf_z(&ref), s->key, err);
        snprintf(s->ref, sizeof s->ref, "%s", hf_buf_z(&ref));
    }
    s->dirty = rc < 0;
    return rc;
}

static int begin(const struct hf_nqueue *q, bool relaxed, struct hf_err *err)
{
    return q->begin ? q->begin(q->ctx, relaxed, err) : 0;
}

static int end(const struct hf_nqueue *q, int rc, struct hf_err *err)
{
    struct hf_err why = HF_ERR_INIT;
    int ended = q->end ? q->end(q->ctx, rc >= 0, &why) : 0;
    if (rc >= 0 && ended < 0)
        *err = why;
    return rc < 0 ? rc : ended;
}

static int save_now(struct saving *s, struct hf_err *err)
{
    const struct hf_nqueue *q = &s->w->d->q;
    int rc = s->dirty ? begin(q, true, err) : 0;
    return rc < 0 || !s->dirty ? rc : end(q, save_mark(s, err), err);
}

/* Into the digest instead of out. */
static int collect_item(struct hf_nrender *r, struct saving *s, struct hf_err *err)
{
    const struct hf_nqueue *q = &s->w->d->q;
    hf_autobuf collected = HF_BUF_INIT(HF_NDIGEST_MAX);
    int rc = q->mark_get(q->ctx, s->w->name, hf_ndigest_key, &collected, err);
    r->now_s = time(NULL);
    rc = rc < 0 ? rc : hf_ndigest_add(r, hf_buf_span(&collected), &s->digest, err);
    s->m = *r->m;
    s->dirty = rc == 0;
    return rc;
}

static int tell_item(struct worker *w, const struct hf_nitem *it, struct outcome *o, struct saving *s, struct hf_err *err)
{
    struct hf_ndeliver *d = w->d;
    hf_autobuf known = HF_BUF_INIT(16384), ref = HF_BUF_INIT(HF_NREF_MAX);
    hf_autoarena arena;
    struct hf_span doc = hf_span(it->body, it->n), first;
    struct hf_nview v;
    struct hf_nmark m;
    struct hf_nrender r;
    hf_arena_init(&arena, ARENA_MAX);
    bool headed = hf_span_line(&doc, &first), only_unacknowledged = headed && hf_span_eqz(first, "escalate"), digest = headed && hf_span_eqz(first, "digest");
    int rc = d->q.mark_get(d->q.ctx, w->name, it->key, &known, err);
    rc = rc < 0 ? rc : hf_nmark_read(&m, hf_buf_span(&known), err);
    rc = rc < 0 ? rc : hf_nview_read(&v, &arena, doc, err);
    if (rc < 0)
        return rc;
    if (!only_unacknowledged || m.known || v.state == HF_NST_OPEN) {
        hf_nmark_ref(&m, &ref);
        snprintf(s->ref, sizeof s->ref, "%s", hf_buf_z(&ref));
        hf_nrender_init(&r, d->conf, w->ch, &v, &m, d->host);
        r.again = it->tries > 0 && strcmp(w->refused, it->key) != 0;
        rc = digest ? collect_item(&r, s, err) : tell_channel(&r, w->sender, o, s, err);
        hf_nrender_done(&r);
    }
    hf_nview_done(&v);
    return rc;
}

static bool for_good(int rc)
{
    return rc == HF_E_FORMAT || rc == HF_E_LIMIT || rc == HF_E_TRUNCATED;
}

/* How the item ends: *r says it. */
static void judge(struct worker *w, const struct hf_nitem *it, int rc, const struct outcome *o, struct hf_nreport *r)
{
    struct hf_ndeliver *d = w->d;
    pthread_mutex_lock(&d->lock);
    bool stop = d->stop;
    pthread_mutex_unlock(&d->lock);
    if (rc == 0 && o->took == HF_NTOOK && !o->refused) {
        r->event = HF_NEV_DELIVERED;
    } else if (stop) {
        r->event = HF_NEV_RETRY;
        r->why = "stopped";
    } else if (o->refused || (rc == 0 && o->took == HF_NTOOK_NEVER) || for_good(rc) || r->age_ms > (int64_t)d->conf->give_up_s * 1000) {
        r->event = HF_NEV_DEAD;
    } else {
        r->event = HF_NEV_RETRY;
        r->wait_ms = o->retry_after_s ? (int64_t)o->retry_after_s * 1000 + chance() % 250 : hf_nbackoff_ms(it->tries, chance());
        if (rc == HF_E_USAGE || (rc == 0 && o->took == HF_NTOOK_SETUP))
            r->wait_ms = HF_MAX(r->wait_ms, (int64_t)SETUP_MS);
    }
}

static void handle(struct worker *w, const struct hf_nitem *it)
{
    const struct hf_nqueue *q = &w->d->q;
    struct hf_err err = HF_ERR_INIT, qerr = HF_ERR_INIT;
    struct outcome o = {0};
    struct saving s = {.w = w, .key = it->key, .digest = HF_BUF_INIT(HF_NDIGEST_MAX)};
    int rc = tell_item(w, it, &o, &s, &err);
    struct hf_nreport r = {.key = hf_span_z(it->key), .why = err.msg, .tries = it->tries, .requests = o.requests, .age_ms = now_ms() - it->pushed_ms};
    judge(w, it, rc, &o, &r);
    snprintf(w->refused, sizeof w->refused, "%s", r.event == HF_NEV_RETRY && o.nothing ? it->key : "");
    bool delivered = r.event == HF_NEV_DELIVERED;
    int ended = begin(q, delivered, &qerr);
    if (ended == 0) {
        ended = save_mark(&s, &qerr);
        if (ended == 0)
            ended = delivered ? q->done(q->ctx, w->name, it->id, &qerr) : r.event == HF_NEV_DEAD ? q->dead(q->ctx, w->name, it->id, r.why, &qerr) : q->retry_at(q->ctx, w->name, it->id, now_ms() + r.wait_ms, r.why, &qerr);
        ended = end(q, ended, &qerr);
    }
    w->collected |= s.digest.n > 0;
    hf_buf_done(&s.digest);
    report(w, r);
    if (ended < 0)
        report(w, (struct hf_nreport){.event = HF_NEV_QUEUE, .key = hf_span_z(it->key), .why = qerr.msg});
}

/* ---- digests ---- */

static int clear_digest(struct worker *w, struct hf_err *err)
{
    const struct hf_nqueue *q = &w->d->q;
    int rc = begin(q, true, err);
    return rc < 0 ? rc : end(q, q->mark_put(q->ctx, w->name, hf_ndigest_key, HF_S("{}"), err), err);
}

/* ---- numbers ---- */

static size_t own_metrics(struct hf_ndeliver *d, struct hf_nmetric *v)
{
    static const char *const outcomes[] = {"delivered", "retried", "dead"};
    size_t n = 0;
    for (unsigned s = 0; s < HF_NSEVS; s++)
        v[n++] = (struct hf_nmetric){"holdfast.incidents.told", "{revision}", "Revisions of incidents that some channel hears of", false, d->told[s], {{"severity", hf_span_z(hf_nseverities[s])}}};
    for (size_t i = 0; i < d->n; i++)
        for (unsigned k = 0; k < HF_ARRAY_LEN(outcomes); k++)
            v[n++] = (struct hf_nmetric){"holdfast.deliveries", "{message}", "What became of messages", false, k == 0 ? d->workers[i].delivered : k == 1 ? d->workers[i].retried : d->workers[i].dead,
                    {{"channel", d->workers[i].ch->name}, {"outcome", hf_span_z(outcomes[k])}}};
    return n; /* 7 + 3 * 64 at most */
}

/* Sent once: the next ones say more anyway. */
static void tell_metrics(struct worker *w, int64_t *ret_next)
{
    struct hf_ndeliver *d = w->d;
    int64_t now = now_ms();
    if (now >= w->metrics_ms) {
        struct hf_nmetric v[HF_NMETRICS_MAX];
        struct hf_nanswer a = {0};
        struct hf_err err = HF_ERR_INIT;
        struct hf_nmark none = {0};
        struct hf_nview nothing = {0};
        struct hf_nrender r;
        size_t n = own_metrics(d, v);
        n += d->more ? HF_MIN(d->more(d->more_ctx, v + n, HF_NMETRICS_MAX - n), HF_NMETRICS_MAX - n) : 0;
        hf_nrender_init(&r, d->conf, w->ch, &nothing, &none, d->host);
        hf_nrender_metrics(&r, v, n, d->start_s, now / 1000);
        int rc = hf_nsend(w->sender, &r.req, &a, &err);
        if (rc < 0 || a.status < 200 || a.status > 299) {
            if (rc >= 0)
                hf_fail(&err, -EIO, "answered %u", a.status);
            hf_nchannel_scrub(w->ch, err.msg);
            report(w, (struct hf_nreport){.event = HF_NEV_RETRY, .key = HF_S("metrics"), .why = err.msg, .wait_ms = w->ch->metrics_s * 1000});
        }
        hf_nrender_done(&r);
        w->metrics_ms = now + w->ch->metrics_s * 1000;
    }
    *ret_next = HF_MIN(*ret_next, w->metrics_ms);
}

/* Everything that was due is collected: it goes out as one.  *ret_next: when to try again. */
static void tell_digest(struct worker *w, int64_t *ret_next)
{
    const struct hf_nqueue *q = &w->d->q;
    hf_autobuf collected = HF_BUF_INIT(HF_NDIGEST_MAX);
    struct hf_err err = HF_ERR_INIT;
    struct hf_nanswer a = {0};
    struct hf_nmark none = {0};
    struct hf_nview nothing = {0};
    struct hf_nrender r;
    if (now_ms() < w->digest_ms) {
        *ret_next = HF_MIN(*ret_next, w->digest_ms);
        return;
    }
    hf_nrender_init(&r, w->d->conf, w->ch, &nothing, &none, w->d->host);
    int rc = q->mark_get(q->ctx, w->name, hf_ndigest_key, &collected, &err);
    rc = rc < 0 ? rc : hf_ndigest_mail(&r, hf_buf_span(&collected), time(NULL), &err);
    bool some = rc != 0;
    rc = rc > 0 ? hf_nsend(w->sender, &r.req, &a, &err) : rc;
    if (rc == 0 && some && (a.status < 200 || a.status > 299))
        rc = hf_fail(&err, -EIO, "answered %u", a.status);
    rc = rc < 0 || !some ? rc : clear_digest(w, &err);
    w->collected = rc < 0;
    hf_nchannel_scrub(w->ch, err.msg);
    struct hf_nreport said = {.event = rc < 0 ? HF_NEV_RETRY : HF_NEV_DELIVERED, .key = HF_S("digest"), .why = err.msg, .tries = w->digest_tries, .requests = 1};
    if (rc < 0) {
        said.wait_ms = hf_nbackoff_ms(w->digest_tries++, chance());
        w->digest_ms = now_ms() + said.wait_ms;
        *ret_next = HF_MIN(*ret_next, w->digest_ms);
    } else {
        w->digest_tries = 0;
        w->digest_ms = 0;
    }
    if (some)
        report(w, said);
    hf_nrender_done(&r);
}

/* Until something is pushed, until next, or for POLL_MS; what a push handed over is in *ret.  false: stop. */
static bool wait_news(struct worker *w, uint64_t seen, int64_t next, struct hf_nitem *ret)
{
    struct hf_ndeliver *d = w->d;
    struct timespec until;
    int64_t ms = HF_MIN(next, now_ms() + POLL_MS);
    until.tv_sec = ms / 1000;
    until.tv_nsec = ms % 1000 * 1000000;
    pthread_mutex_lock(&d->lock);
    w->waits = true;
    while (!d->stop && w->pushes == seen && !w->handed.body && pthread_cond_timedwait(&w->news, &d->lock, &until) != ETIMEDOUT)
        ;
    w->waits = false;
    *ret = w->handed;
    w->handed = (struct hf_nitem){0};
    bool go = !d->stop;
    pthread_mutex_unlock(&d->lock);
    return go;
}

static void put_back(struct worker *w, const struct hf_nitem *it)
{
    struct hf_err err = HF_ERR_INIT;
    if (w->d->q.retry_at(w->d->q.ctx, w->name, it->id, now_ms(), "stopped", &err) < 0)
        report(w, (struct hf_nreport){.event = HF_NEV_QUEUE, .key = hf_span_z(it->key), .why = err.msg});
}

static void *work(void *ctx)
{
    struct worker *w = ctx;
    struct hf_ndeliver *d = w->d;
    hf_nsender_warm(w->sender);
    w->collected = w->ch->digest_s || w->ch->digest_quiet; /* by those before us */
    for (bool go = true; go;) {
        struct hf_nitem it = {0};
        struct hf_err err = HF_ERR_INIT;
        int64_t next = INT64_MAX;
        pthread_mutex_lock(&d->lock);
        uint64_t seen = w->pushes;
        go = !d->stop;
        pthread_mutex_unlock(&d->lock);
        int rc = go ? d->q.claim(d->q.ctx, w->name, now_ms(), &it, &next, &err) : 0;
        if (rc < 0)
            report(w, (struct hf_nreport){.event = HF_NEV_QUEUE, .why = err.msg});
        if (rc == 0 && go && w->collected)
            tell_digest(w, &next);
        if (rc == 0 && go && w->ch->metrics_s)
            tell_metrics(w, &next);
        if (rc <= 0 && go)
            go = wait_news(w, seen, rc < 0 ? INT64_MAX : next, &it);
        if (it.body && go)
            handle(w, &it);
        else if (it.body)
            put_back(w, &it);
        free(it.body);
    }
    return NULL;
}

/* ---- the whole ---- */

int hf_ndeliver_new(struct hf_ndeliver **ret, const struct hf_nconf *conf, const struct hf_nqueue *queue, hf_nreport_cb cb, void *ctx, struct hf_err *err)
{
    hf_cleanup(hf_ndeliver_freep) struct hf_ndeliver *d = calloc(1, sizeof *d);
    if (!d)
        return hf_fail(err, -ENOMEM, "no memory");
    pthread_mutex_init(&d->lock, NULL);
    pthread_mutex_init(&d->push_lock, NULL);
    d->conf = conf;
    d->q = *queue;
    d->cb = cb;
    d->ctx = ctx;
    d->start_s = now_ms() / 1000;
    gethostname(d->host, sizeof d->host - 1);
    d->workers = calloc(conf->n_channels + 1, sizeof *d->workers);
    if (!d->workers)
        return hf_fail(err, -ENOMEM, "no memory");
    for (; d->n < conf->n_channels; d->n++) {
        struct worker *w = &d->workers[d->n];
        w->d = d;
        w->ch = &conf->channels[d->n];
        pthread_cond_init(&w->news, NULL);
        snprintf(w->name, sizeof w->name, "%.*s", HF_SPAN_ARG(w->ch->name));
        int rc = hf_nsender_new(&w->sender, conf, w->ch, err);
        if (rc < 0)
            return rc;
    }
    *ret = hf_take(d);
    return 0;
}

void hf_ndeliver_metrics(struct hf_ndeliver *d, hf_nmetrics_cb cb, void *ctx)
{
    d->more = cb;
    d->more_ctx = ctx;
}

int hf_ndeliver_start(struct hf_ndeliver *d, struct hf_err *err)
{
    for (size_t i = 0; i < d->n; i++) {
        int rc = d->workers[i].started ? 0 : pthread_create(&d->workers[i].thread, NULL, work, &d->workers[i]);
        if (rc)
            return hf_fail(err, -rc, "no thread for channel \"%s\"", d->workers[i].name);
        d->workers[i].started = true;
    }
    return 0;
}

void hf_ndeliver_stop(struct hf_ndeliver *d)
{
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    for (size_t i = 0; i < d->n; i++)
        pthread_cond_broadcast(&d->workers[i].news);
    pthread_mutex_unlock(&d->lock);
    for (size_t i = 0; i < d->n; i++)
        hf_nsender_stop(d->workers[i].sender);
    for (size_t i = 0; i < d->n; i++) {
        if (d->workers[i].started)
            pthread_join(d->workers[i].thread, NULL);
        d->workers[i].started = false;
    }
}

void hf_ndeliver_free(struct hf_ndeliver *d)
{
    if (!d)
        return;
    hf_ndeliver_stop(d);
    for (size_t i = 0; i < d->n; i++) {
        hf_nsender_free(d->workers[i].sender);
        pthread_cond_destroy(&d->workers[i].news);
    }
    free(d->workers);
    pthread_mutex_destroy(&d->lock);
    pthread_mutex_destroy(&d->push_lock);
    free(d);
}

/* An item that the push claimed for a worker that waits, until the push is for good. */
struct handing {
    struct hf_nitem it[HF_NDUE_MAX]; /* by channel */
    bool pushed[HF_NDUE_MAX];
    bool asked; /* for one channel, by name: now */
};

static bool waits(struct hf_ndeliver *d, size_t channel)
{
    pthread_mutex_lock(&d->lock);
    bool yes = d->workers[channel].waits && !d->workers[channel].handed.body && !d->stop;
    pthread_mutex_unlock(&d->lock);
    return yes;
}

static int put(struct hf_ndeliver *d, size_t channel, const struct hf_nview *v, struct hf_span json, const char *how, int64_t at_ms, struct handing *h, struct hf_err *err)
{
    hf_autobuf body = HF_BUF_INIT(HF_NDOC_MAX + 64);
    char key[80];
    int rc = 0;
    snprintf(key, sizeof key, "%.*s", HF_SPAN_ARG(v->id));
    hf_buf_addz(&body, how);
    hf_buf_adds(&body, json);
    const char *z = hf_buf_z(&body);
    if (!hf_buf_ok(&body) || !*z)
        return hf_fail(err, HF_E_LIMIT, "the incident is over %d bytes", HF_NDOC_MAX);
    int64_t now = now_ms();
    if (d->q.push_claimed && at_ms <= now && waits(d, channel))
        rc = d->q.push_claimed(d->q.ctx, d->workers[channel].name, key, hf_buf_span(&body), now, &h->it[channel], err);
    if (rc > 0) {
        h->it[channel].n = body.n;
        h->it[channel].body = hf_take(body.p);
        body.n = body.cap = 0;
        return 0;
    }
    h->pushed[channel] = true;
    return rc < 0 ? rc : d->q.push(d->q.ctx, d->workers[channel].name, key, hf_buf_span(&body), at_ms, err);
}

/* After the end of the push: the workers get what is theirs. */
static void hand_out(struct hf_ndeliver *d, struct handing *h, bool for_good)
{
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->n; i++) {
        struct worker *w = &d->workers[i];
        if (for_good && h->it[i].body)
            w->handed = h->it[i]; /* only pushes hand over, and they are one at a time: push_lock */
        else
            free(h->it[i].body);
        w->pushes += h->pushed[i];
        if (h->pushed[i] || h->it[i].body)
            pthread_cond_signal(&w->news);
    }
    pthread_mutex_unlock(&d->lock);
}

/* What a channel knows; *ret_routed: it was chosen before. */
static int knows(struct hf_ndeliver *d, size_t channel, const struct hf_nview *v, struct hf_nmark *m, bool *ret_routed, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(16384);
    char key[80];
    snprintf(key, sizeof key, "%.*s", HF_SPAN_ARG(v->id));
    int rc = d->q.mark_get(d->q.ctx, d->workers[channel].name, key, &text, err);
    *ret_routed = rc > 0;
    return rc < 0 ? rc : hf_nmark_read(m, hf_buf_span(&text), err);
}

/* A channel that was chosen once hears the rest of the story, also when the routes would not choose it now (it is night, say). */
static int push_one(struct hf_ndeliver *d, size_t channel, const struct hf_nview *v, struct hf_span json, const struct hf_ndue *due, const struct hf_ndue *grouped, int64_t now_s, struct handing *h, struct hf_err *err)
{
    struct hf_nmark m;
    bool routed;
    int rc = knows(d, channel, v, &m, &routed, err);
    if (rc < 0 || (!routed && !due))
        return rc;
    if (!routed && due->escalate)
        return (rc = put(d, channel, v, json, escalate, due->not_before_s * 1000, h, err)) < 0 ? rc : 1;
    if (!routed) { /* noted before anything is delivered: the next revision finds it */
        hf_autobuf text = HF_BUF_INIT(16384);
        char key[80];
        snprintf(key, sizeof key, "%.*s", HF_SPAN_ARG(v->id));
        hf_nmark_write(&m, &text);
        if ((rc = d->q.mark_put(d->q.ctx, d->workers[channel].name, key, hf_buf_span(&text), err)) < 0)
            return rc;
    }
    bool fresh = !m.known || hf_nview_news(v, &m) & (HF_NUP_STATE | HF_NUP_SEVERITY);
    const struct hf_ndue *use = fresh || !grouped || grouped->escalate ? due : grouped;
    const struct hf_nchannel *ch = d->workers[channel].ch;
    int64_t at_s = use && !use->escalate ? use->not_before_s : now_s;
    bool later = !h->asked && (ch->digest_s || (ch->digest_quiet && use && use->quiet));
    at_s = later && ch->digest_s ? HF_MAX(at_s, hf_ndigest_next(ch, now_s, d->conf->local_time)) : at_s;
    return (rc = put(d, channel, v, json, later ? collect : tell, at_s * 1000, h, err)) < 0 ? rc : 1;
}

static const struct hf_ndue *due_of(const struct hf_ndue *v, size_t n, size_t channel)
{
    for (size_t i = 0; i < n; i++)
        if (v[i].channel == channel)
            return &v[i];
    return NULL;
}

static int push_all(struct hf_ndeliver *d, const struct hf_nview *v, struct hf_span incident, const struct hf_nchannel *only, struct handing *h, struct hf_err *err)
{
    struct hf_ndue due[HF_NDUE_MAX], grouped[HF_NDUE_MAX];
    int64_t now_s = now_ms() / 1000;
    size_t n = hf_nroute_due(d->conf, v, now_s, true, due), n_grouped = hf_nroute_due(d->conf, v, now_s, false, grouped);
    int told = 0, rc = begin(&d->q, false, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < d->n && rc >= 0; i++) {
        struct hf_ndue asked = {(uint32_t)i, now_s, false, false};
        if (only && d->workers[i].ch != only)
            continue;
        rc = push_one(d, i, v, incident, only ? &asked : due_of(due, n, i), only ? &asked : due_of(grouped, n_grouped, i), now_s, h, err);
        told += rc > 0;
    }
    rc = end(&d->q, rc, err);
    return rc < 0 ? rc : told;
}

int hf_ndeliver_push(struct hf_ndeliver *d, struct hf_span incident, const struct hf_nchannel *only, struct hf_err *err)
{
    hf_autoarena arena;
    struct hf_nview v;
    struct handing h = {.asked = only != NULL};
    hf_arena_init(&arena, ARENA_MAX);
    int rc = hf_nview_read(&v, &arena, incident, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&d->push_lock);
    rc = push_all(d, &v, incident, only, &h, err);
    hand_out(d, &h, rc >= 0);
    d->told[v.severity] += rc > 0;
    pthread_mutex_unlock(&d->push_lock);
    hf_nview_done(&v);
    return rc;
}
