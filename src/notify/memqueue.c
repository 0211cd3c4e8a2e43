// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/mem.h"
#include "notify/queue.h"

enum { MARKS_MAX = 100000 };

struct item {
    struct hf_nitem i;
    char channel[80], why[300];
    bool claimed, dead, replaced; /* replaced: a newer body came while it was under way */
};
struct mark {
    char channel[80], key[80];
    char *text;
};
struct ref {
    char channel[80], ref[HF_NREF_MAX], key[80];
};
struct hf_nmemq {
    pthread_mutex_t lock;
    struct item *v;
    size_t n, cap, max;
    struct mark *marks;
    size_t n_marks, cap_marks;
    struct ref *refs; /* sorted by channel, then ref */
    size_t n_refs, cap_refs;
    uint64_t last;
};

struct hf_nmemq *hf_nmemq_new(size_t max_items)
{
    struct hf_nmemq *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->max = max_items;
    pthread_mutex_init(&q->lock, NULL);
    return q;
}

void hf_nmemq_free(struct hf_nmemq *q)
{
    if (!q)
        return;
    for (size_t i = 0; i < q->n; i++)
        free(q->v[i].i.body);
    for (size_t i = 0; i < q->n_marks; i++)
        free(q->marks[i].text);
    free(q->v);
    free(q->marks);
    free(q->refs);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

static char *copy(struct hf_span s)
{
    char *p = malloc(s.n + 1);
    if (!p)
        return NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return p;
}

static int push(void *ctx, const char *channel, const char *key, struct hf_span body, int64_t not_before_ms, struct hf_err *err)
{
    struct hf_nmemq *q = ctx;
    struct timespec now;
    struct item *it = NULL;
    clock_gettime(CLOCK_REALTIME, &now);
    char *text = copy(body);
    if (!text)
        return hf_fail(err, -ENOMEM, "no memory");
    pthread_mutex_lock(&q->lock);
    for (size_t i = 0; i < q->n && !it; i++)
        if (!q->v[i].dead && !strcmp(q->v[i].channel, channel) && !strcmp(q->v[i].i.key, key))
            it = &q->v[i];
    if (it) {
        free(it->i.body);
        it->replaced |= it->claimed;
    } else if ((it = hf_grow((void **)&q->v, &q->n, &q->cap, sizeof *it, q->max))) {
        it->i.id = ++q->last;
        it->i.pushed_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
        it->i.not_before_ms = not_before_ms;
        snprintf(it->channel, sizeof it->channel, "%s", channel);
        snprintf(it->i.key, sizeof it->i.key, "%s", key);
    } else {
        pthread_mutex_unlock(&q->lock);
        free(text);
        return hf_fail(err, HF_E_LIMIT, "more than %zu messages wait", q->max);
    }
    it->i.body = text;
    it->i.n = body.n;
    if (!it->i.tries && !it->claimed) /* what was refused before keeps waiting */
        it->i.not_before_ms = HF_MIN(it->i.not_before_ms, not_before_ms);
    pthread_mutex_unlock(&q->lock);
    return 0;
}

static struct item *find(struct hf_nmemq *q, uint64_t id)
{
    for (size_t i = 0; i < q->n; i++)
        if (q->v[i].i.id == id)
            return &q->v[i];
    return NULL;
}

static void remove_item(struct hf_nmemq *q, struct item *it)
{
    free(it->i.body);
    memmove(it, it + 1, (size_t)(q->v + q->n - (it + 1)) * sizeof *it);
    q->n--;
}

static int claim(void *ctx, const char *channel, int64_t now_ms, struct hf_nitem *ret, int64_t *next, struct hf_err *err)
{
    struct hf_nmemq *q = ctx;
    struct item *it = NULL;
    bool busy = false;
    int rc = 0;
    *next = INT64_MAX;
    pthread_mutex_lock(&q->lock);
    /* In order: an item that was refused holds those behind it; one that is only not due yet (grouping, quiet hours) does not. */
    for (size_t i = 0; i < q->n; i++) {
        struct item *x = &q->v[i];
        if (x->dead || strcmp(x->channel, channel))
            continue;
        busy |= x->claimed;
        if (busy)
            break;
        if (x->i.not_before_ms <= now_ms) {
            it = x;
            break;
        }
        *next = HF_MIN(*next, x->i.not_before_ms);
        if (x->i.tries)
            break;
    }
    if (it && !busy) {
        char *text = copy(hf_span(it->i.body, it->i.n));
        rc = text ? 1 : hf_fail(err, -ENOMEM, "no memory");
        if (text) {
            it->claimed = true;
            *ret = it->i;
            ret->body = text;
        }
    }
    pthread_mutex_unlock(&q->lock);
    return rc;
}

static int done(void *ctx, const char *channel, uint64_t id, struct hf_err *err)
{
    struct hf_nmemq *q = ctx;
    (void)channel;
    (void)err;
    pthread_mutex_lock(&q->lock);
    struct item *it = find(q, id);
    if (it && it->replaced) {
        it->replaced = it->claimed = false;
        it->i.tries = 0;
        it->i.not_before_ms = 0;
    } else if (it) {
        remove_item(q, it);
    }
    pthread_mutex_unlock(&q->lock);
    return 0;
}

static int retry_at(void *ctx, const char *channel, uint64_t id, int64_t at_ms, const char *why, struct hf_err *err)
{
    struct hf_nmemq *q = ctx;
    (void)channel;
    (void)err;
    pthread_mutex_lock(&q->lock);
    struct item *it = find(q, id);
    if (it) {
        it->claimed = it->replaced = false;
        it->i.tries++;
        it->i.not_before_ms = at_ms;
        snprintf(it->why, sizeof it->why, "%s", why);
    }
    pthread_mutex_unlock(&q->lock);
    return 0;
}

static int dead(void *ctx, const char *channel, uint64_t id, const char *why, struct hf_err *err)
{
    struct hf_nmemq *q = ctx;
    (void)channel;
    (void)err;
    pthread_mutex_lock(&q->lock);
    struct item *it = find(q, id);
    if (it) {
        it->dead = true;
        snprintf(it->why, sizeof it->why, "%s", why);
    }
    pthread_mutex_unlock(&q->lock);
    return 0;
}

static struct mark *mark_of(struct hf_nmemq *q, const char *channel, const char *key)
{
    for (size_t i = 0; i < q->n_marks; i++)
        if (!strcmp(q->marks[i].channel, channel) && !strcmp(q->marks[i].key, key))
            return &q->marks[i];
    return NULL;
}

static int mark_get(void *ctx, const char *channel, const char *key, struct hf_buf *ret, struct hf_err *err)
{
    struct hf_nmemq *q = ctx;
    (void)err;
    pthread_mutex_lock(&q->lock);
    struct mark *m = mark_of(q, channel, key);
    if (m)
        hf_buf_addz(ret, m->text);
    pthread_mutex_unlock(&q->lock);
    return m ? 1 : 0;
}

static int mark_put(void *ctx, const char *channel, const char *key, struct hf_span text, struct hf_err *err)
{
    struct hf_nmemq *q = ctx;
    char *new = copy(text);
    if (!new)
        return hf_fail(err, -ENOMEM, "no memory");
    pthread_mutex_lock(&q->lock);
    struct mark *m = mark_of(q, channel, key);
    if (!m && (m = hf_grow((void **)&q->marks, &q->n_marks, &q->cap_marks, sizeof *m, MARKS_MAX))) {
        snprintf(m->channel, sizeof m->channel, "%s", channel);
        snprintf(m->key, sizeof m->key, "%s", key);
    }
    if (m) {
        free(m->text);
        m->text = hf_take(new);
    }
    pthread_mutex_unlock(&q->lock);
    free(new);
    return m ? 0 : hf_fail(err, HF_E_LIMIT, "more than %d incidents are known to channels", MARKS_MAX);
}

int hf_nmemq_marks(struct hf_nmemq *q, int (*cb)(void *ctx, const char *channel, const char *key, struct hf_span mark), void *ctx)
{
    int rc = 0;
    for (size_t i = 0; i < q->n_marks && rc == 0; i++)
        rc = cb(ctx, q->marks[i].channel, q->marks[i].key, hf_span_z(q->marks[i].text));
    return rc;
}

/* The first that is not before (channel, ref). */
static size_t ref_at(const struct hf_nmemq *q, const char *channel, const char *ref)
{
    size_t lo = 0, hi = q->n_refs;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int d = strcmp(q->refs[mid].channel, channel);
        d = d ? d : strcmp(q->refs[mid].ref, ref);
        if (d < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool ref_is(const struct hf_nmemq *q, size_t at, const char *channel, const char *ref)
{
    return at < q->n_refs && !strcmp(q->refs[at].channel, channel) && (!ref || !strcmp(q->refs[at].ref, ref));
}

static int ref_get(void *ctx, const char *channel, const char *ref, struct hf_buf *ret, struct hf_err *err)
{
    struct hf_nmemq *q = ctx;
    (void)err;
    pthread_mutex_lock(&q->lock);
    size_t at = ref_at(q, channel, ref);
    bool there = ref_is(q, at, channel, ref);
    if (there)
        hf_buf_addz(ret, q->refs[at].key);
    pthread_mutex_unlock(&q->lock);
    return there;
}

static int ref_put(void *ctx, const char *channel, const char *ref, const char *key, struct hf_err *err)
{
    struct hf_nmemq *q = ctx;
    int rc = 0;
    pthread_mutex_lock(&q->lock);
    size_t at = ref_at(q, channel, ref);
    if (!ref_is(q, at, channel, ref)) {
        if (hf_grow((void **)&q->refs, &q->n_refs, &q->cap_refs, sizeof *q->refs, MARKS_MAX)) {
            memmove(&q->refs[at + 1], &q->refs[at], (q->n_refs - 1 - at) * sizeof *q->refs);
            snprintf(q->refs[at].channel, sizeof q->refs[at].channel, "%s", channel);
            snprintf(q->refs[at].ref, sizeof q->refs[at].ref, "%s", ref);
        } else {
            rc = hf_fail(err, HF_E_LIMIT, "more than %d things are known to channels", MARKS_MAX);
        }
    }
    if (rc == 0)
        snprintf(q->refs[at].key, sizeof q->refs[at].key, "%s", key);
    pthread_mutex_unlock(&q->lock);
    return rc;
}

static int ref_each(void *ctx, const char *channel, const char *after, int (*cb)(void *cb_ctx, const char *ref, const char *key), void *cb_ctx, struct hf_err *err)
{
    struct hf_nmemq *q = ctx;
    struct ref r = {0};
    (void)err;
    snprintf(r.ref, sizeof r.ref, "%s", after);
    for (int rc = 0;;) { /* the callback may use the queue */
        pthread_mutex_lock(&q->lock);
        size_t at = ref_at(q, channel, r.ref);
        at += *r.ref && ref_is(q, at, channel, r.ref);
        bool there = ref_is(q, at, channel, NULL);
        if (there)
            r = q->refs[at];
        pthread_mutex_unlock(&q->lock);
        if (!there || (rc = cb(cb_ctx, r.ref, r.key)) != 0)
            return rc;
    }
}

struct hf_nqueue hf_nmemq_queue(struct hf_nmemq *q)
{
    return (struct hf_nqueue){q, push, NULL, claim, done, retry_at, dead, mark_get, mark_put, ref_get, ref_put, ref_each, NULL, NULL};
}

void hf_nmemq_count(struct hf_nmemq *q, size_t *waiting, size_t *deads)
{
    *waiting = *deads = 0;
    pthread_mutex_lock(&q->lock);
    for (size_t i = 0; i < q->n; i++)
        ++*(q->v[i].dead ? deads : waiting);
    pthread_mutex_unlock(&q->lock);
}

bool hf_nmemq_dead(struct hf_nmemq *q, size_t at, struct hf_buf *out)
{
    bool found = false;
    pthread_mutex_lock(&q->lock);
    for (size_t i = 0; i < q->n && !found; i++)
        if (q->v[i].dead && at-- == 0) {
            hf_buf_addf(out, "%s %s: %s", q->v[i].channel, q->v[i].i.key, q->v[i].why);
            found = true;
        }
    pthread_mutex_unlock(&q->lock);
    return found;
}
