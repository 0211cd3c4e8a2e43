// SPDX-License-Identifier: Apache-2.0
/* The hub's thread that has the files of running containers held against their seals, every daemon.verify_hours, one container after the other.  The work is done by the hand's child at idle
 * priority; how long it takes does not matter to anything else here.  When a container was verified, and what was told of it, is kept in the store over restarts: a difference is an alert once. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/log.h"
#include "daemon/hub-internal.h"
#include "inventory/inventory.h"
#include "store/settings.h"

enum {
    VERIFY_MS = 6 * 3600 * 1000 + 60000, /* the hand gives up before */
    LOOK_S = 60,
    FIRST_S = 600,       /* after a container was seen first: what it writes when it starts is there */
    BUSY_S = 5,
    VERIFY_NICE = 19,
    RETRY_S = 3600,      /* after what could not be verified */
};
#define PREFIX "verify/"

struct hf_verify {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool end, busy, told; /* under lock, as alert; told: the main thread has taken it */
    struct hf_buf alert;
    /* of the thread */
    struct hf_store *store;
    int64_t every_s, look_s;
    char failed[65]; /* the last container that was said not to be verified */
};

/* The container that waited longest. */
struct due {
    const struct hub *h;
    struct hf_verify *v;
    int64_t now, since;
    struct hf_buf id, name, image, digest, doc, last; /* last: the hash of what was told of it */
    struct hf_buf page;
    bool any;
    unsigned n;
    struct hf_err *err;
};

static void key_of(struct hf_buf *out, struct hf_span host_id, struct hf_span id)
{
    hf_buf_clear(out);
    hf_buf_addf(out, PREFIX "%.*s/%.*s", HF_SPAN_ARG(host_id), HF_SPAN_ARG(id));
}

/* "SECONDS HASH" */
static int known(struct hf_verify *v, struct hf_span host_id, struct hf_span id, int64_t *ret_when, struct hf_buf *ret_hash, struct hf_err *err)
{
    hf_autobuf key = HF_BUF_INIT(1024), value = HF_BUF_INIT(1024);
    struct hf_span rest, when;
    key_of(&key, host_id, id);
    hf_buf_clear(ret_hash);
    *ret_when = 0;
    int rc = hf_store_setting_get(v->store, hf_buf_span(&key), &value, err);
    rest = hf_buf_span(&value);
    if (rc <= 0 || !hf_span_cut(&rest, ' ', &when) || hf_parse_i64(when, 0, INT64_MAX, ret_when) < 0)
        return HF_MIN(rc, 0);
    hf_buf_adds(ret_hash, rest);
    return 1;
}

static bool is_id(struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!memchr("0123456789abcdef", s.p[i], 16))
            return false;
    return s.n == 64; /* others the hand does not take: two runtimes may have the same name */
}

static int one(void *ctx, const struct hf_inv_container *c)
{
    struct due *d = ctx;
    hf_autobuf last = HF_BUF_INIT(1024);
    int64_t when = 0;
    d->n++;
    hf_buf_clear(&d->page);
    hf_buf_adds(&d->page, c->id);
    if (!hf_span_eqz(c->host, d->h->host_id) || !is_id(c->id) || !c->digest.n)
        return 0;
    int rc = known(d->v, c->host, c->id, &when, &last, d->err);
    if (rc < 0)
        return rc;
    int64_t first = c->started ? c->started / 1000000000 : d->now;
    int64_t due = rc ? when + d->v->every_s : first + HF_MIN(d->v->every_s, (int64_t)FIRST_S), since = rc ? when : first;
    if (due > d->now || (d->any && since >= d->since))
        return 0;
    d->any = true;
    d->since = since;
    const struct {
        struct hf_buf *to;
        struct hf_span from;
    } all[] = {{&d->id, c->id}, {&d->name, c->name}, {&d->image, c->image}, {&d->digest, c->digest}, {&d->doc, c->doc}, {&d->last, hf_buf_span(&last)}};
    for (size_t i = 0; i < HF_ARRAY_LEN(all); i++) {
        hf_buf_clear(all[i].to);
        hf_buf_adds(all[i].to, all[i].from);
    }
    return 0;
}

static int choose(struct due *d, struct hf_err *err)
{
    hf_autobuf after = HF_BUF_INIT(HF_STORE_KEY_MAX);
    d->err = err;
    do {
        d->n = 0;
        hf_buf_clear(&after);
        hf_buf_adds(&after, hf_buf_span(&d->page));
        int rc = hf_store_container_list(d->v->store, true, hf_span(NULL, 0), hf_buf_span(&after), HF_STORE_LIST_MAX, one, d, err);
        if (rc < 0)
            return rc;
    } while (d->n == HF_STORE_LIST_MAX);
    return d->any;
}

static int remember(const struct due *d, const char *hash, int64_t when, struct hf_err *err)
{
    hf_autobuf key = HF_BUF_INIT(1024), value = HF_BUF_INIT(1024);
    key_of(&key, hf_span_z(d->h->host_id), hf_buf_span(&d->id));
    hf_buf_addf(&value, "%lld %s", (long long)when, hash);
    return hf_store_setting_put(d->v->store, hf_buf_span(&key), hf_buf_span(&value), err);
}

/* Under lock: until the main thread has it, or the end. */
static bool hand_over(struct hub *h, struct hf_span alert)
{
    struct hf_verify *v = h->verify;
    pthread_mutex_lock(&v->lock);
    hf_buf_clear(&v->alert);
    hf_buf_adds(&v->alert, alert);
    v->told = false;
    hf_lines_wake(h->lines);
    while (!v->end && !v->told)
        pthread_cond_wait(&v->news, &v->lock);
    bool told = v->told;
    pthread_mutex_unlock(&v->lock);
    return told;
}

/* The container may have ended meanwhile, or its image has no seal: no reason to go on asking. */
static void not_verified(struct due *d, const struct hf_err *why)
{
    struct hf_verify *v = d->v;
    struct hf_err err = HF_ERR_INIT;
    struct hf_span id = hf_buf_span(&d->id);
    bool again = hf_span_eqz(hf_span_sub(id, 0, 64), v->failed);
    hf_log(again ? HF_LOG_INFO : HF_LOG_WARNING, "verify", "container %.12s was not held against its seal: %s", id.p, why->msg);
    snprintf(v->failed, sizeof v->failed, "%.*s", (int)HF_MIN(id.n, (size_t)64), id.p);
    hf_autofree char *last = hf_span_dupz(hf_buf_span(&d->last));
    if (remember(d, last ? last : "", d->now - v->every_s + HF_MIN(v->every_s, (int64_t)RETRY_S), &err) < 0)
        hf_log(HF_LOG_WARNING, "verify", "%s", err.msg);
}

static void verify(struct hub *h, struct due *d)
{
    hf_autobuf ask = HF_BUF_INIT(1024), result = HF_BUF_INIT(HF_HAND_RESULT_MAX), alert = HF_BUF_INIT(HF_LINES_LINE_MAX);
    struct hf_err err = HF_ERR_INIT;
    char hash[65];
    struct hf_inv_container c = {.id = hf_buf_span(&d->id), .name = hf_buf_span(&d->name), .image = hf_buf_span(&d->image), .digest = hf_buf_span(&d->digest), .doc = hf_buf_span(&d->doc)};
    hf_buf_addf(&ask, "{\"do\":\"verify\",\"container\":\"%.*s\",\"by\":\"holdfast\",\"via\":\"hub\"}", HF_SPAN_ARG(c.id));
    int rc = hf_hand_call(h->hand, hf_buf_span(&ask), VERIFY_MS, &result, &err);
    rc = rc < 0 ? rc : hf_inv_verified(hf_buf_span(&result), &c, hf_store_now(), &alert, hash, &err);
    if (rc < 0) {
        not_verified(d, &err);
        return;
    }
    if (rc > 0 && !hf_span_eqz(hf_buf_span(&d->last), hash) && !hand_over(h, hf_buf_span(&alert)))
        return; /* the end: told after the next start */
    if (remember(d, hash, time(NULL), &err) < 0)
        hf_log(HF_LOG_WARNING, "verify", "%s", err.msg);
}

/* What was kept of containers that are gone. */
struct forgetting {
    struct hf_verify *v;
    struct hf_buf keys;
};

static int one_key(void *ctx, struct hf_span key, struct hf_span value, int64_t changed)
{
    struct forgetting *f = ctx;
    (void)value;
    (void)changed;
    hf_buf_adds(&f->keys, key);
    hf_buf_addc(&f->keys, 0);
    return 0;
}

static int runs(void *ctx, const struct hf_inv_container *c)
{
    *(bool *)ctx = c->ended == 0;
    return 0;
}

static void forget(struct hub *h)
{
    struct hf_verify *v = h->verify;
    struct forgetting f = {v, HF_BUF_INIT(8 << 20)};
    hf_autobuf prefix = HF_BUF_INIT(512);
    struct hf_err err = HF_ERR_INIT;
    hf_buf_addf(&prefix, PREFIX "%s/", h->host_id);
    int rc = hf_store_setting_list(v->store, hf_buf_span(&prefix), hf_span(NULL, 0), HF_STORE_LIST_MAX, one_key, &f, &err);
    for (struct hf_span rest = hf_buf_span(&f.keys), key; rc >= 0 && rest.n && hf_span_cut(&rest, 0, &key);) {
        bool running = false;
        rc = hf_store_container_get(v->store, hf_span_from(key, prefix.n), runs, &running, &err);
        rc = rc < 0 || running ? rc : hf_store_setting_delete(v->store, key, &err);
    }
    if (rc < 0)
        hf_log(HF_LOG_WARNING, "verify", "%s", err.msg);
    hf_buf_done(&f.keys);
}

static void due_done(struct due *d)
{
    struct hf_buf *const all[] = {&d->id, &d->name, &d->image, &d->digest, &d->doc, &d->last, &d->page};
    for (size_t i = 0; i < HF_ARRAY_LEN(all); i++)
        hf_buf_done(all[i]);
}

/* One container, when one is due: how many seconds to wait after it. */
static int64_t step(struct hub *h)
{
    struct hf_verify *v = h->verify;
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(due_done) struct due d = {.h = h, .v = v, .now = time(NULL), .id = HF_BUF_INIT(1024), .name = HF_BUF_INIT(HF_STORE_KEY_MAX), .image = HF_BUF_INIT(HF_STORE_KEY_MAX),
            .digest = HF_BUF_INIT(1024), .doc = HF_BUF_INIT(HF_STORE_DOC_MAX), .last = HF_BUF_INIT(1024), .page = HF_BUF_INIT(HF_STORE_KEY_MAX)};
    int rc = v->store ? 0 : hf_store_open(&v->store, h->c->store_url, &err);
    rc = rc < 0 ? rc : choose(&d, &err);
    if (rc < 0) {
        hf_log(HF_LOG_WARNING, "verify", "%s", err.msg);
        return LOOK_S;
    }
    if (rc == 0) {
        forget(h);
        return v->look_s;
    }
    verify(h, &d);
    return 0;
}

static void *work(void *ctx)
{
    struct hub *h = ctx;
    struct hf_verify *v = h->verify;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), VERIFY_NICE); /* of this thread */
    pthread_mutex_lock(&v->lock);
    while (!v->end) {
        bool can = !HF_SHARED_GET(h->sh->store_down_since);
        v->busy = can;
        pthread_mutex_unlock(&v->lock);
        int64_t wait_s = can ? step(h) : BUSY_S;
        pthread_mutex_lock(&v->lock);
        v->busy = false;
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += wait_s;
        while (!v->end && wait_s && pthread_cond_timedwait(&v->news, &v->lock, &until) != ETIMEDOUT)
            ;
    }
    pthread_mutex_unlock(&v->lock);
    return NULL;
}

int hub_verify_start(struct hub *h, struct hf_err *err)
{
    pthread_condattr_t monotonic;
    const char *set = getenv("HF_VERIFY_S"); /* for tests, which cannot wait for hours */
    uint64_t every_s = h->c->daemon_verify_h * 3600;
    if (set && hf_parse_u64(hf_span_z(set), 10, 1, 86400, &every_s) < 0)
        return hf_fail(err, HF_E_USAGE, "HF_VERIFY_S is no number of seconds");
    if (!every_s || !h->hand)
        return 0;
    struct hf_verify *v = calloc(1, sizeof *v);
    if (!v)
        return hf_fail(err, -ENOMEM, "no memory");
    v->every_s = (int64_t)every_s;
    v->look_s = HF_MIN(v->every_s, (int64_t)LOOK_S);
    hf_buf_init(&v->alert, HF_LINES_LINE_MAX);
    pthread_mutex_init(&v->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&v->news, &monotonic);
    pthread_condattr_destroy(&monotonic);
    h->verify = v;
    int rc = pthread_create(&v->thread, NULL, work, h);
    if (rc) {
        h->verify = NULL;
        free(v);
        return hf_fail(err, -rc, "no thread for verifying seals");
    }
    return 0;
}

bool hub_verify_end(struct hub *h)
{
    struct hf_verify *v = h->verify;
    if (!v)
        return true;
    pthread_mutex_lock(&v->lock);
    v->end = true;
    bool busy = v->busy;
    pthread_cond_broadcast(&v->news);
    pthread_mutex_unlock(&v->lock);
    if (busy)
        return false;
    pthread_join(v->thread, NULL);
    hf_store_close(v->store);
    hf_buf_done(&v->alert);
    pthread_cond_destroy(&v->news);
    pthread_mutex_destroy(&v->lock);
    free(v);
    h->verify = NULL;
    return true;
}

int hub_verify_alert(struct hub *h, struct hf_buf *ret_line)
{
    struct hf_verify *v = h->verify;
    if (!v)
        return 0;
    pthread_mutex_lock(&v->lock);
    bool any = v->alert.n > 0;
    if (any) {
        hf_buf_adds(ret_line, hf_buf_span(&v->alert));
        hf_buf_clear(&v->alert);
        v->told = true;
        pthread_cond_broadcast(&v->news);
    }
    pthread_mutex_unlock(&v->lock);
    return any;
}
