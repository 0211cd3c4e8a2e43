// SPDX-License-Identifier: Apache-2.0
#include "daemon/notify-store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "store/queue.h"
#include "store/settings.h"

enum { CLAIMS_MAX = 64, KEY_MAX = 800, KEEP_S = 1 };
static const int64_t MS = 1000000, LEASE_NS = 35ll * 1000000000; /* a request ends within 30 s; a channel has one thread here: only another process could take it */

struct claim { /* what a channel has under way */
    char channel[80];
    struct hf_queue_entry e;
    struct hf_buf text;
    bool used, fresh; /* fresh: claimed since begin, not yet for good */
};
struct hf_nstoreq {
    struct hf_store *s;
    struct hf_store *keeper; /* of the thread that does the store's housekeeping, which a message must not wait for */
    pthread_t keeping;
    bool keeps;
    pthread_cond_t wake;
    bool stop;               /* under lock */
    pthread_mutex_t lock;
    struct hf_tx tx; /* between begin and end */
    struct claim claims[CLAIMS_MAX];
};

static void *keep(void *ctx)
{
    struct hf_nstoreq *q = ctx;
    struct hf_err ignore = HF_ERR_INIT; /* a store that is broken says so to those who need it */
    for (bool go = true; go;) {
        struct timespec until;
        if (hf_store_checkpoint(q->keeper, &ignore) < 0)
            ignore.msg[0] = 0;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += KEEP_S;
        pthread_mutex_lock(&q->lock);
        while (!q->stop && pthread_cond_timedwait(&q->wake, &q->lock, &until) != ETIMEDOUT)
            ;
        go = !q->stop;
        pthread_mutex_unlock(&q->lock);
    }
    return NULL;
}

int hf_nstoreq_open(struct hf_nstoreq **ret, const char *url, struct hf_err *err)
{
    struct hf_nstoreq *q = calloc(1, sizeof *q);
    if (!q)
        return hf_fail(err, -ENOMEM, "no memory");
    pthread_mutexattr_t recursive; /* begin ... end keeps it while other functions take it */
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&q->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    for (size_t i = 0; i < CLAIMS_MAX; i++)
        hf_buf_init(&q->claims[i].text, 1u << 20);
    pthread_cond_init(&q->wake, NULL);
    int rc = hf_store_open_with(&q->s, url, HF_STORE_NO_CHECKPOINT, err);
    rc = rc < 0 ? rc : hf_store_open(&q->keeper, url, err);
    if (rc == 0 && pthread_create(&q->keeping, NULL, keep, q))
        rc = hf_fail(err, -EAGAIN, "no thread for the store");
    if (rc < 0) {
        hf_nstoreq_free(q);
        return rc;
    }
    q->keeps = true;
    *ret = q;
    return 0;
}

void hf_nstoreq_free(struct hf_nstoreq *q)
{
    if (!q)
        return;
    pthread_mutex_lock(&q->lock);
    q->stop = true;
    pthread_cond_signal(&q->wake);
    pthread_mutex_unlock(&q->lock);
    if (q->keeps)
        pthread_join(q->keeping, NULL);
    hf_store_close(q->keeper);
    hf_store_close(q->s);
    pthread_cond_destroy(&q->wake);
    for (size_t i = 0; i < CLAIMS_MAX; i++)
        hf_buf_done(&q->claims[i].text);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

struct hf_store *hf_nstoreq_store(struct hf_nstoreq *q)
{
    return q->s;
}

static int push(void *ctx, const char *channel, const char *key, struct hf_span body, int64_t not_before_ms, struct hf_err *err)
{
    struct hf_nstoreq *q = ctx;
    pthread_mutex_lock(&q->lock);
    int rc = hf_store_queue_push(q->s, hf_span_z(channel), hf_span_z(key), body, not_before_ms * MS, NULL, err);
    pthread_mutex_unlock(&q->lock);
    return rc < 0 ? rc : 0;
}

static struct claim *claim_of(struct hf_nstoreq *q, const char *channel)
{
    struct claim *free_one = NULL;
    for (size_t i = 0; i < CLAIMS_MAX; i++) {
        if (q->claims[i].used && !strcmp(q->claims[i].channel, channel))
            return &q->claims[i];
        if (!q->claims[i].used && !free_one)
            free_one = &q->claims[i];
    }
    if (free_one)
        snprintf(free_one->channel, sizeof free_one->channel, "%s", channel);
    return free_one;
}

static int push_claimed(void *ctx, const char *channel, const char *key, struct hf_span body, int64_t now_ms, struct hf_nitem *ret, struct hf_err *err)
{
    struct hf_nstoreq *q = ctx;
    pthread_mutex_lock(&q->lock);
    struct claim *c = claim_of(q, channel);
    int rc = !c || c->used ? 0 : hf_store_queue_push_claimed(q->s, hf_span_z(channel), hf_span_z(key), body, now_ms * MS, LEASE_NS, &c->e, err);
    if (rc > 0) {
        c->used = true;
        c->fresh = q->tx.s != NULL;
        *ret = (struct hf_nitem){.id = c->e.seq, .pushed_ms = now_ms};
        snprintf(ret->key, sizeof ret->key, "%s", key);
    }
    pthread_mutex_unlock(&q->lock);
    return rc;
}

static int take(struct hf_nstoreq *q, const char *channel, int64_t now_ms, struct hf_nitem *ret, int64_t *next_ms, struct hf_err *err)
{
    struct claim *c = claim_of(q, channel);
    int64_t next = 0;
    if (!c)
        return hf_fail(err, HF_E_LIMIT, "more than %d channels", CLAIMS_MAX);
    int rc = hf_store_relax(q->s, true, err); /* a claim that is lost with the power is claimed again */
    rc = rc < 0 ? rc : hf_store_queue_claim(q->s, hf_span_z(channel), now_ms * MS, LEASE_NS, &c->e, &c->text, &next, err);
    if (rc >= 0) {
        int full = hf_store_relax(q->s, false, err);
        rc = full < 0 ? full : rc;
    }
    if (rc <= 0) {
        *next_ms = rc == 0 && next ? (next + MS - 1) / MS : INT64_MAX;
        return rc;
    }
    c->used = true;
    *ret = (struct hf_nitem){.id = c->e.seq, .pushed_ms = c->e.pushed / MS, .not_before_ms = c->e.not_before / MS, .tries = c->e.tries ? c->e.tries - 1 : 0, .n = c->e.body.n};
    snprintf(ret->key, sizeof ret->key, "%.*s", HF_SPAN_ARG(c->e.key));
    ret->body = malloc(c->e.body.n + 1);
    if (!ret->body)
        return hf_fail(err, -ENOMEM, "no memory");
    if (c->e.body.n)
        memcpy(ret->body, c->e.body.p, c->e.body.n);
    ret->body[c->e.body.n] = 0;
    return 1;
}

static int claim(void *ctx, const char *channel, int64_t now_ms, struct hf_nitem *ret, int64_t *next_ms, struct hf_err *err)
{
    struct hf_nstoreq *q = ctx;
    pthread_mutex_lock(&q->lock);
    int rc = take(q, channel, now_ms, ret, next_ms, err);
    pthread_mutex_unlock(&q->lock);
    return rc;
}

enum end { END_DONE, END_RETRY, END_DEAD };

static int end_claim(struct hf_nstoreq *q, const char *channel, uint64_t id, enum end how, int64_t at_ms, const char *why, struct hf_err *err)
{
    pthread_mutex_lock(&q->lock);
    struct claim *c = claim_of(q, channel);
    int rc = -ENOENT;
    if (c && c->used && c->e.seq == id) {
        rc = how == END_DONE ? hf_store_queue_done(q->s, &c->e, err) : how == END_RETRY ? hf_store_queue_retry(q->s, &c->e, at_ms * MS, hf_span_z(why), err) : hf_store_queue_dead(q->s, &c->e, hf_span_z(why), err);
        c->used = false;
    }
    pthread_mutex_unlock(&q->lock);
    return rc < 0 ? rc : 0;
}

static int done(void *ctx, const char *channel, uint64_t id, struct hf_err *err)
{
    return end_claim(ctx, channel, id, END_DONE, 0, "", err);
}

static int retry_at(void *ctx, const char *channel, uint64_t id, int64_t at_ms, const char *why, struct hf_err *err)
{
    return end_claim(ctx, channel, id, END_RETRY, at_ms, why, err);
}

static int dead(void *ctx, const char *channel, uint64_t id, const char *why, struct hf_err *err)
{
    return end_claim(ctx, channel, id, END_DEAD, 0, why, err);
}

static void mark_key(char out[KEY_MAX], const char *channel, const char *key)
{
    snprintf(out, KEY_MAX, "notify/%s/%s", channel, key);
}

static int mark_get(void *ctx, const char *channel, const char *key, struct hf_buf *ret, struct hf_err *err)
{
    struct hf_nstoreq *q = ctx;
    char name[KEY_MAX];
    mark_key(name, channel, key);
    pthread_mutex_lock(&q->lock);
    int rc = hf_store_setting_get(q->s, hf_span_z(name), ret, err);
    pthread_mutex_unlock(&q->lock);
    return rc;
}

static int mark_put(void *ctx, const char *channel, const char *key, struct hf_span mark, struct hf_err *err)
{
    struct hf_nstoreq *q = ctx;
    char name[KEY_MAX];
    mark_key(name, channel, key);
    pthread_mutex_lock(&q->lock);
    int rc = hf_store_setting_put(q->s, hf_span_z(name), mark, err);
    pthread_mutex_unlock(&q->lock);
    return rc < 0 ? rc : 0;
}

/* A "/" behind the channel's name, so that none begins with another's. */
static void ref_key(char out[KEY_MAX], const char *channel, const char *ref)
{
    snprintf(out, KEY_MAX, "notify-ref/%s/%s", channel, ref);
}

static int ref_get(void *ctx, const char *channel, const char *ref, struct hf_buf *ret, struct hf_err *err)
{
    struct hf_nstoreq *q = ctx;
    char name[KEY_MAX];
    ref_key(name, channel, ref);
    pthread_mutex_lock(&q->lock);
    int rc = hf_store_setting_get(q->s, hf_span_z(name), ret, err);
    pthread_mutex_unlock(&q->lock);
    return rc;
}

static int ref_put(void *ctx, const char *channel, const char *ref, const char *key, struct hf_err *err)
{
    struct hf_nstoreq *q = ctx;
    char name[KEY_MAX];
    ref_key(name, channel, ref);
    pthread_mutex_lock(&q->lock);
    int rc = hf_store_setting_put(q->s, hf_span_z(name), hf_span_z(key), err);
    pthread_mutex_unlock(&q->lock);
    return rc < 0 ? rc : 0;
}

struct one_ref {
    size_t skip;
    char ref[HF_NREF_MAX], key[80];
};

static int keep_ref(void *ctx, struct hf_span name, struct hf_span value, int64_t changed)
{
    struct one_ref *r = ctx;
    (void)changed;
    snprintf(r->ref, sizeof r->ref, "%.*s", HF_SPAN_ARG(hf_span_from(name, r->skip)));
    snprintf(r->key, sizeof r->key, "%.*s", HF_SPAN_ARG(value));
    return 1;
}

static int ref_each(void *ctx, const char *channel, const char *after, int (*cb)(void *cb_ctx, const char *ref, const char *key), void *cb_ctx, struct hf_err *err)
{
    struct hf_nstoreq *q = ctx;
    char prefix[KEY_MAX], from[KEY_MAX];
    struct one_ref r = {0};
    ref_key(prefix, channel, "");
    r.skip = strlen(prefix);
    ref_key(from, channel, after);
    for (;;) { /* one at a time: the callback may take its time, and use the queue */
        pthread_mutex_lock(&q->lock);
        int rc = hf_store_setting_list(q->s, hf_span_z(prefix), hf_span_z(from), 1, keep_ref, &r, err);
        pthread_mutex_unlock(&q->lock);
        if (rc <= 0 || (rc = cb(cb_ctx, r.ref, r.key)) != 0)
            return rc;
        ref_key(from, channel, r.ref);
    }
}

static int begin(void *ctx, bool relaxed, struct hf_err *err)
{
    struct hf_nstoreq *q = ctx;
    pthread_mutex_lock(&q->lock);
    q->tx = (struct hf_tx){0};
    int rc = hf_store_relax(q->s, relaxed, err);
    rc = rc < 0 ? rc : hf_tx_begin(&q->tx, q->s, err);
    if (rc < 0)
        pthread_mutex_unlock(&q->lock);
    return rc;
}

static int end(void *ctx, bool keep, struct hf_err *err)
{
    struct hf_nstoreq *q = ctx;
    struct hf_err ignore = HF_ERR_INIT;
    int rc = keep ? hf_tx_commit(&q->tx, err) : 0;
    hf_tx_done(&q->tx);
    q->tx = (struct hf_tx){0};
    for (size_t i = 0; i < CLAIMS_MAX; i++) {
        q->claims[i].used = q->claims[i].used && !(q->claims[i].fresh && (!keep || rc < 0));
        q->claims[i].fresh = false;
    }
    if (hf_store_relax(q->s, false, &ignore) < 0 && rc == 0)
        rc = hf_fail(err, -EIO, "%s", ignore.msg);
    pthread_mutex_unlock(&q->lock);
    return rc;
}

struct hf_nqueue hf_nstoreq_queue(struct hf_nstoreq *q)
{
    return (struct hf_nqueue){q, push, push_claimed, claim, done, retry_at, dead, mark_get, mark_put, ref_get, ref_put, ref_each, begin, end};
}

int hf_nstoreq_count(struct hf_nstoreq *q, struct hf_span channel, size_t *waiting, size_t *deads, struct hf_err *err)
{
    struct hf_queue_stats s;
    pthread_mutex_lock(&q->lock);
    int rc = hf_store_queue_stats(q->s, channel, &s, err);
    pthread_mutex_unlock(&q->lock);
    if (rc < 0)
        return rc;
    *waiting += (size_t)(s.waiting + s.claimed);
    *deads += (size_t)s.dead;
    return 0;
}
