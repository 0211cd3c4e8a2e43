// SPDX-License-Identifier: Apache-2.0
/* How loud it is: alerts of the store by hour, rule, severity and container, counted as they come instead of at every question; and answers that are kept for
 * a while because they cost. */
#include <stdio.h>
#include <stdlib.h>

#include "console/live-internal.h"
#include "store/pages.h"

#define HOUR INT64_C(3600000000000)
enum { CHUNK = 5000, CHUNKS = 4, RULES_MAX = 4096, LOUD_MAX = 16384, KEPT_BYTES = 24 << 20, KEPT_MAX = 1 << 20 };

/* ---- counts by hour ---- */

/* Hours since the newest that pass are emptied; false: too old to be kept. */
static bool hour_slot(int64_t *newest, uint32_t *n, unsigned hours, int64_t hour, unsigned *ret)
{
    if (*newest && hour + (int64_t)hours <= *newest)
        return false;
    for (; *newest < hour; ++*newest) {
        if (hour - *newest > (int64_t)hours)
            *newest = hour - (int64_t)hours;
        n[(*newest + 1) % (int64_t)hours] = 0;
    }
    *ret = (unsigned)(hour % (int64_t)hours);
    return true;
}

static uint64_t sum(int64_t newest, const uint32_t *n, unsigned hours, int64_t now_hour, unsigned last)
{
    uint64_t all = 0;
    for (int64_t h = now_hour - (int64_t)last + 1; h <= now_hour; h++)
        if (h >= 0 && h <= newest && h + (int64_t)hours > newest)
            all += n[h % (int64_t)hours];
    return all;
}

static struct hf_lt_node *found(const struct hf_lt *t, struct hf_span key, size_t text_at)
{
    uint64_t hash = hf_span_hash(key);
    for (struct hf_lt_node *n = hf_lt_chain(t, hash); n; n = n->chain)
        if (n->hash == hash && hf_span_eq(hf_text((struct hf_text *)(void *)((char *)n + text_at)), key))
            return n;
    return NULL;
}

static void free_text(struct hf_lt *t, struct hf_lt_node *n, size_t text_at)
{
    hf_lt_del(t, n);
    hf_text_done((struct hf_text *)(void *)((char *)n + text_at));
    free(n);
}

static void *made(struct hf_lt *t, struct hf_span key, size_t size, size_t text_at, size_t max)
{
    struct hf_lt_node *n = found(t, key, text_at);
    if (n) {
        hf_lt_touch(t, n);
        return n;
    }
    if (t->n >= max)
        free_text(t, t->oldest, text_at);
    n = calloc(1, size);
    if (!n || !hf_text_set((struct hf_text *)(void *)((char *)n + text_at), key, key.n)) {
        free(n);
        return NULL;
    }
    hf_lt_add(t, n, hf_span_hash(key));
    return n;
}

void hf_live_noise_done(struct hf_live *l)
{
    while (l->rules.oldest)
        free_text(&l->rules, l->rules.oldest, offsetof(struct hf_rule_now, name));
    while (l->loud.oldest)
        free_text(&l->loud, l->loud.oldest, offsetof(struct hf_loud_now, id));
    while (l->kept.oldest) {
        hf_text_done(&((struct hf_kept *)l->kept.oldest)->text);
        free_text(&l->kept, l->kept.oldest, offsetof(struct hf_kept, key));
    }
    free(l->rules.bucket);
    free(l->loud.bucket);
    free(l->kept.bucket);
}

struct reading {
    struct hf_live *live;
    unsigned n;
};

static int counted(void *ctx, const struct hf_page_alert *a)
{
    struct reading *r = ctx;
    struct hf_live *l = r->live;
    int64_t hour = a->time / HOUR;
    int severity = HF_MAX(0, HF_MIN(a->severity, 6));
    unsigned at;
    r->n++;
    pthread_mutex_lock(&l->lock);
    l->alert_seq = a->seq;
    if (hour_slot(&l->total_hour[severity], l->total[severity], HF_LIVE_HOURS, hour, &at))
        l->total[severity][at]++;
    struct hf_rule_now *rule = a->rule.n ? made(&l->rules, a->rule, sizeof *rule, offsetof(struct hf_rule_now, name), RULES_MAX) : NULL;
    if (rule && hour_slot(&rule->newest, rule->hours, HF_LIVE_HOURS, hour, &at)) {
        rule->hours[at]++;
        rule->last = HF_MAX(rule->last, a->time);
        rule->severity = severity;
    }
    struct hf_loud_now *box = a->container.n ? made(&l->loud, a->container, sizeof *box, offsetof(struct hf_loud_now, id), LOUD_MAX) : NULL;
    if (box && hour_slot(&box->newest, box->hours, 24, hour, &at))
        box->hours[at]++;
    pthread_mutex_unlock(&l->lock);
    return 0;
}

int hf_live_noise_poll(struct hf_live *l, struct hf_store *s, int64_t now_ns, struct hf_err *err)
{
    if (!l->alert_begun) {
        uint64_t before = 0;
        int rc = hf_page_alerts_before(s, now_ns - HF_LIVE_HOURS * HOUR, &before, err);
        if (rc < 0)
            return rc;
        l->alert_seq = before;
        l->alert_begun = true;
    }
    for (unsigned i = 0; i < CHUNKS; i++) {
        struct reading r = {l, 0};
        int rc = hf_page_alerts(s, l->alert_seq, CHUNK, counted, &r, err);
        if (rc < 0)
            return rc;
        if (r.n < CHUNK) {
            pthread_mutex_lock(&l->lock);
            l->counted = true;
            pthread_mutex_unlock(&l->lock);
            break;
        }
    }
    return 0;
}

/* ---- asked ---- */

bool hf_live_noise(struct hf_live *l, int64_t now_ns, struct hf_live_hour ret[24], uint64_t ret_severity[7])
{
    int64_t now = now_ns / HOUR;
    pthread_mutex_lock(&l->lock);
    bool ready = l->counted;
    memset(ret, 0, 24 * sizeof *ret);
    for (int s = 0; s < 7; s++) {
        ret_severity[s] = 0;
        for (unsigned i = 0; i < 24; i++) {
            uint64_t n = sum(l->total_hour[s], l->total[s], HF_LIVE_HOURS, now - 23 + i, 1);
            ret[i].n += n;
            ret[i].high += s >= 5 ? n : 0;
            ret_severity[s] += n;
        }
    }
    pthread_mutex_unlock(&l->lock);
    return ready;
}

static struct hf_live_rule shown(const struct hf_rule_now *r, int64_t now)
{
    return (struct hf_live_rule){.name = hf_text(&r->name), .severity = r->severity, .day = sum(r->newest, r->hours, HF_LIVE_HOURS, now, 24), .week = sum(r->newest, r->hours, HF_LIVE_HOURS, now, HF_LIVE_HOURS),
            .last = r->last};
}

bool hf_live_rules(struct hf_live *l, int64_t now_ns, hf_live_rule_cb cb, void *ctx)
{
    pthread_mutex_lock(&l->lock);
    bool ready = l->counted;
    for (struct hf_lt_node *n = l->rules.newest; n && ready; n = n->older) {
        struct hf_live_rule r = shown((struct hf_rule_now *)n, now_ns / HOUR);
        if (r.week && !cb(ctx, &r))
            break;
    }
    pthread_mutex_unlock(&l->lock);
    return ready;
}

bool hf_live_rule(struct hf_live *l, struct hf_span name, int64_t now_ns, struct hf_live_rule *ret)
{
    pthread_mutex_lock(&l->lock);
    bool ready = l->counted;
    struct hf_lt_node *n = found(&l->rules, name, offsetof(struct hf_rule_now, name));
    *ret = n ? shown((struct hf_rule_now *)n, now_ns / HOUR) : (struct hf_live_rule){0};
    ret->name = hf_span(NULL, 0); /* not borrowed beyond the lock */
    pthread_mutex_unlock(&l->lock);
    return ready;
}

bool hf_live_loud(struct hf_live *l, struct hf_span container, int64_t now_ns, uint64_t *ret_day)
{
    pthread_mutex_lock(&l->lock);
    bool ready = l->counted;
    const struct hf_loud_now *b = (struct hf_loud_now *)found(&l->loud, container, offsetof(struct hf_loud_now, id));
    *ret_day = b ? sum(b->newest, b->hours, 24, now_ns / HOUR, 24) : 0;
    pthread_mutex_unlock(&l->lock);
    return ready;
}

/* ---- kept answers ---- */

static void forget(struct hf_live *l, struct hf_kept *k)
{
    l->kept_bytes -= k->text.n;
    hf_text_done(&k->text);
    free_text(&l->kept, &k->node, offsetof(struct hf_kept, key));
}

bool hf_live_kept(struct hf_live *l, struct hf_span key, int64_t now_ns, struct hf_buf *out)
{
    pthread_mutex_lock(&l->lock);
    struct hf_kept *k = (struct hf_kept *)found(&l->kept, key, offsetof(struct hf_kept, key));
    bool good = k && k->until > now_ns;
    if (good) {
        hf_lt_touch(&l->kept, &k->node);
        hf_buf_adds(out, hf_text(&k->text));
    }
    pthread_mutex_unlock(&l->lock);
    return good;
}

void hf_live_keep(struct hf_live *l, struct hf_span key, struct hf_span text, int64_t until_ns)
{
    if (text.n > KEPT_MAX)
        return;
    pthread_mutex_lock(&l->lock);
    struct hf_kept *k = (struct hf_kept *)found(&l->kept, key, offsetof(struct hf_kept, key));
    if (k)
        forget(l, k);
    while (l->kept.n && (l->kept_bytes + text.n > KEPT_BYTES || l->kept.n >= 65536))
        forget(l, (struct hf_kept *)l->kept.oldest);
    k = made(&l->kept, key, sizeof *k, offsetof(struct hf_kept, key), SIZE_MAX);
    if (k && hf_text_set(&k->text, text, text.n)) {
        k->until = until_ns;
        l->kept_bytes += k->text.n;
    }
    pthread_mutex_unlock(&l->lock);
}
