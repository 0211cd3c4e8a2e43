// SPDX-License-Identifier: Apache-2.0
/* The hub's thread for what takes long: scans of what runs (by the hand), new advisories against the inventory, retention.  One thing at a time. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/json.h"
#include "base/log.h"
#include "daemon/hub-internal.h"
#include "store/incidents.h"
#include "store/keep.h"
#include "store/settings.h"
#include "inventory/inventory.h"

enum {
    SCAN_MS = 3700 * 1000,
    LOOK_MS = 5000,        /* at the advisory database, at whether it is time */
    FIRST_KEEP_S = 120,    /* after the start, when it is overdue */
    KEEP_S = 86400,
    RETRY_KEEP_S = 3600,
    SETTLE_S = 300,
    USE_S = 60,
    USE_MS = 60000,
    SCAN_NICE = 19,
};

struct stamp { /* of a file: another one, or another time, when it changed */
    uint64_t ino;
    struct timespec mtime;
};
struct basis { /* what findings depend on */
    struct stamp db, ignore;
    int64_t day; /* an entry of the ignore file ends with its day */
};
struct hf_slow {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool end, asked, busy, done; /* under lock, as what follows */
    struct hf_buf ref, digest, why;
    /* of the thread */
    struct hf_store *store;
    int64_t keep_at_s, settle_at_s;
    struct basis basis; /* that the inventory was matched against */
    bool db_told, use_told;
    time_t use_at_s;
};

static int own_store(struct hub *h, struct hf_err *err)
{
    return h->slow->store ? 0 : hf_store_open(&h->slow->store, h->c->store_url, err);
}

/* ---- scans ---- */

/* One that was asked for.  Under lock around it. */
static void one_scan(struct hub *h)
{
    struct hf_slow *s = h->slow;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf ref = HF_BUF_INIT(4096), digest = HF_BUF_INIT(4096);
    hf_buf_adds(&ref, hf_buf_span(&s->ref));
    hf_buf_adds(&digest, hf_buf_span(&s->digest));
    s->asked = false;
    s->busy = true;
    pthread_mutex_unlock(&s->lock);
    int rc = own_store(h, &err);
    struct hf_inv_asking asking = {.hand = h->hand, .s = s->store, .ref = hf_buf_span(&ref), .digest = hf_buf_span(&digest), .by = HF_S("holdfast"), .via = HF_S("hub"), .timeout_ms = SCAN_MS};
    rc = rc < 0 ? rc : hf_inv_ask(&asking, &err);
    if (rc < 0)
        hf_log(HF_LOG_WARNING, "scan", "%.*s was not scanned: %s", HF_SPAN_ARG(hf_buf_span(&ref)), err.msg);
    pthread_mutex_lock(&s->lock);
    hf_buf_clear(&s->why);
    if (rc < 0)
        hf_buf_addz(&s->why, err.msg[0] ? err.msg : hf_err_name(rc));
    s->busy = false;
    s->done = true;
    hf_lines_wake(h->lines);
}

/* ---- new advisories ---- */

static int rematch(struct hub *h, struct hf_err *err)
{
    hf_cleanup(hf_inv_news_freep) struct hf_inv_news *news = NULL;
    struct hf_inv_policy policy = HF_INV_POLICY_DEFAULT;
    struct hf_inv_rematch_opts o = {.db_path = h->c->db_path, .stale_after_s = h->c->db_max_age_h * 3600, .ignore_file = *h->c->daemon_ignore_file ? h->c->daemon_ignore_file : NULL};
    struct hf_inv_rematched st = {0};
    int rc = hf_inv_policy_of(h->c, &policy, err);
    rc = rc < 0 ? rc : hf_inv_news_new(&news, h->slow->store, &policy);
    rc = rc < 0 ? rc : hf_inv_rematch(h->slow->store, &o, hf_inv_collect, news, &st, err);
    int made = rc < 0 ? rc : hf_inv_incidents(news, hf_span_z(h->host), hf_store_now(), err);
    if (made < 0)
        return made;
    HF_SHARED_ADD(h->sh->rematches, 1);
    hf_log(HF_LOG_NOTICE, "rematch", "%llu images against the advisory database: %llu findings are new, %llu went, %d incidents", (unsigned long long)st.images, (unsigned long long)st.added,
            (unsigned long long)st.removed, made);
    return hf_inv_settle(h->slow->store, hf_store_now(), err);
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
    return a->ino == b->ino && a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

static int stamp_of(const char *path, struct stamp *ret)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return -errno;
    *ret = (struct stamp){st.st_ino, st.st_mtim};
    return 0;
}

/* The database is replaced by `db update` as a whole; people edit the ignore file. */
static void look_at_db(struct hub *h)
{
    struct hf_slow *s = h->slow;
    struct hf_err err = HF_ERR_INIT;
    const char *ignore = h->c->daemon_ignore_file;
    struct basis now = {.day = *ignore ? time(NULL) / 86400 : 0};
    int rc = stamp_of(h->c->db_path, &now.db);
    if (rc < 0) {
        if (rc != -ENOENT && !s->db_told)
            hf_log(HF_LOG_WARNING, "rematch", "new advisories are not looked at: %s: %s (user %s has to get there)", h->c->db_path, strerror(-rc), h->c->daemon_user);
        s->db_told = s->db_told || rc != -ENOENT;
        return;
    }
    if (*ignore)
        (void)stamp_of(ignore, &now.ignore); /* one that is not there is an error of the match */
    if (same_stamp(&now.db, &s->basis.db) && same_stamp(&now.ignore, &s->basis.ignore) && now.day == s->basis.day)
        return;
    rc = own_store(h, &err);
    rc = rc < 0 ? rc : rematch(h, &err);
    if (rc < 0 && !s->db_told)
        hf_log(HF_LOG_WARNING, "rematch", "new advisories were not looked at: %s", err.msg);
    s->db_told = rc < 0;
    if (rc < 0)
        hub_note(h->sh->inventory_error, err.msg); /* again */
    else
        s->basis = now;
}

/* Which packages are in use, which images are sealed: the guard keeps both where only root reads. */
static int kept(struct hub *h, struct hf_span request, int (*take)(struct hf_store *s, struct hf_span json, struct hf_err *err), struct hf_err *err)
{
    hf_autobuf result = HF_BUF_INIT(HF_HAND_RESULT_MAX);
    int rc = hf_hand_call(h->hand, request, USE_MS, &result, err);
    rc = rc < 0 ? rc : own_store(h, err);
    return rc < 0 ? rc : take(h->slow->store, hf_buf_span(&result), err);
}

static void use(struct hub *h)
{
    struct hf_slow *s = h->slow;
    struct hf_err err = HF_ERR_INIT;
    if (!h->hand || time(NULL) < s->use_at_s)
        return;
    s->use_at_s = time(NULL) + USE_S;
    int rc = kept(h, HF_S("{\"do\":\"inuse\",\"by\":\"holdfast\",\"via\":\"hub\"}"), hf_inv_inuse, &err);
    rc = rc < 0 ? rc : kept(h, HF_S("{\"do\":\"seals\",\"by\":\"holdfast\",\"via\":\"hub\"}"), hf_inv_seals, &err);
    if (rc < 0 && !s->use_told)
        hf_log(HF_LOG_WARNING, "inventory", "which packages are in use and which images are sealed is not known: %s", err.msg);
    s->use_told = rc < 0;
}

static void settle(struct hub *h)
{
    struct hf_slow *s = h->slow;
    struct hf_err err = HF_ERR_INIT;
    if (time(NULL) < s->settle_at_s)
        return;
    s->settle_at_s = time(NULL) + SETTLE_S;
    int rc = own_store(h, &err);
    rc = rc < 0 ? rc : hf_inv_settle(s->store, hf_store_now(), &err);
    if (rc < 0)
        hf_log(HF_LOG_WARNING, "inventory", "%s", err.msg);
}

/* ---- retention ---- */

static int retain(struct hub *h, struct hf_err *err)
{
    struct hf_retention r;
    struct hf_retained did = {0};
    hf_store_retention(h->c, &r);
    int rc = hf_store_retain(h->slow->store, &r, hf_store_now(), &did, err);
    if (did.alerts || did.incidents || did.containers || did.dead || did.images || did.notes)
        hf_log(HF_LOG_NOTICE, "retention", "deleted as settings say: %llu alerts, %llu incidents, %llu containers, %llu images, %llu dead letters, %llu notes of channels", (unsigned long long)did.alerts,
                (unsigned long long)did.incidents, (unsigned long long)did.containers, (unsigned long long)did.images, (unsigned long long)did.dead, (unsigned long long)did.notes);
    return rc;
}

/* Once a day, also over restarts. */
static void keep(struct hub *h)
{
    struct hf_slow *s = h->slow;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf text = HF_BUF_INIT(64);
    char key[320], value[24];
    int64_t now = time(NULL), last = 0;
    if (now < s->keep_at_s)
        return;
    snprintf(key, sizeof key, "daemon/%s/retention", h->host);
    int rc = own_store(h, &err);
    rc = rc < 0 ? rc : hf_store_setting_get(s->store, hf_span_z(key), &text, &err);
    if (rc > 0 && hf_parse_i64(hf_buf_span(&text), 0, INT64_MAX, &last) == 0 && last + KEEP_S > now && last <= now) {
        s->keep_at_s = last + KEEP_S;
        return;
    }
    rc = rc < 0 ? rc : retain(h, &err);
    snprintf(value, sizeof value, "%lld", (long long)now);
    rc = rc < 0 ? rc : hf_store_setting_put(s->store, hf_span_z(key), hf_span_z(value), &err);
    s->keep_at_s = now + (rc < 0 ? RETRY_KEEP_S : KEEP_S);
    if (rc < 0)
        hf_log(HF_LOG_WARNING, "retention", "%s", err.msg);
}

/* ---- the thread ---- */

static void *work(void *ctx)
{
    struct hub *h = ctx;
    struct hf_slow *s = h->slow;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), SCAN_NICE); /* of this thread */
    pthread_mutex_lock(&s->lock);
    while (!s->end) {
        if (s->asked) {
            one_scan(h);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        if (!HF_SHARED_GET(h->sh->store_down_since)) {
            look_at_db(h);
            settle(h);
            use(h);
            keep(h);
        }
        pthread_mutex_lock(&s->lock);
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += LOOK_MS / 1000;
        while (!s->end && !s->asked && pthread_cond_timedwait(&s->news, &s->lock, &until) != ETIMEDOUT)
            ;
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int hub_slow_start(struct hub *h, struct hf_err *err)
{
    struct hf_slow *s = calloc(1, sizeof *s);
    pthread_condattr_t monotonic;
    if (!s)
        return hf_fail(err, -ENOMEM, "no memory");
    hf_buf_init(&s->ref, 4096);
    hf_buf_init(&s->digest, 4096);
    hf_buf_init(&s->why, 4096);
    s->keep_at_s = time(NULL) + FIRST_KEEP_S;
    s->settle_at_s = time(NULL) + SETTLE_S;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->news, &monotonic);
    pthread_condattr_destroy(&monotonic);
    h->slow = s;
    int rc = pthread_create(&s->thread, NULL, work, h);
    if (rc) {
        h->slow = NULL;
        free(s);
        return hf_fail(err, -rc, "no thread for scans");
    }
    return 0;
}

bool hub_slow_end(struct hub *h)
{
    struct hf_slow *s = h->slow;
    if (!s)
        return true;
    pthread_mutex_lock(&s->lock);
    s->end = true;
    bool busy = s->busy;
    pthread_cond_broadcast(&s->news);
    pthread_mutex_unlock(&s->lock);
    if (busy) /* a scan waits for the hand: it is asked for again by whoever comes next */
        return false;
    pthread_join(s->thread, NULL);
    hf_store_close(s->store);
    hf_buf_done(&s->ref);
    hf_buf_done(&s->digest);
    hf_buf_done(&s->why);
    pthread_cond_destroy(&s->news);
    pthread_mutex_destroy(&s->lock);
    free(s);
    h->slow = NULL;
    return true;
}

bool hub_slow_free(struct hub *h)
{
    pthread_mutex_lock(&h->slow->lock);
    bool yes = !h->slow->asked && !h->slow->busy && !h->slow->done;
    pthread_mutex_unlock(&h->slow->lock);
    return yes;
}

void hub_slow_scan(struct hub *h, struct hf_span ref, struct hf_span digest)
{
    struct hf_slow *s = h->slow;
    pthread_mutex_lock(&s->lock);
    hf_buf_clear(&s->ref);
    hf_buf_clear(&s->digest);
    hf_buf_adds(&s->ref, ref);
    hf_buf_adds(&s->digest, digest);
    s->asked = true;
    pthread_cond_signal(&s->news);
    pthread_mutex_unlock(&s->lock);
}

int hub_slow_result(struct hub *h, struct hf_buf *ret_digest, struct hf_buf *ret_why)
{
    struct hf_slow *s = h->slow;
    pthread_mutex_lock(&s->lock);
    bool done = s->done;
    if (done) {
        hf_buf_adds(ret_digest, hf_buf_span(&s->digest));
        hf_buf_adds(ret_why, hf_buf_span(&s->why));
        s->done = false;
    }
    pthread_mutex_unlock(&s->lock);
    return done;
}
