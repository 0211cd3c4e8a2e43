// SPDX-License-Identifier: Apache-2.0
/* The hub's channels: incidents to people, and the answers' queue. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "daemon/hub-internal.h"

enum { EMERGENCY_MAX = 1000 };

/* While the store is down: a queue in memory, with deliverers of its own. */
struct hf_emergency {
    struct hf_nmemq *mem;
    struct hf_ndeliver *deliver;
};

static int load(const struct hf_config *c, struct hf_nconf **ret, struct hf_err *err)
{
    struct stat st;
    *ret = NULL;
    if (!*c->daemon_notify || (stat(c->daemon_notify, &st) < 0 && errno == ENOENT))
        return 0;
    hf_cleanup(hf_nconf_freep) struct hf_nconf *conf = NULL;
    int rc = hf_nconf_load(&conf, c->daemon_notify, err);
    rc = rc < 0 ? rc : hf_nconf_secrets(conf, NULL, err);
    if (rc < 0)
        return rc;
    if (!conf->n_channels)
        return 0;
    *ret = hf_take(conf);
    return 1;
}

int hf_hub_check_notify(const struct hf_config *c, struct hf_err *err)
{
    hf_cleanup(hf_nconf_freep) struct hf_nconf *conf = NULL;
    return load(c, &conf, err);
}

int hub_tell_load(struct hub *h, struct hf_err *err)
{
    int rc = load(h->c, &h->conf, err);
    HF_SHARED_SET(h->sh->channels, rc > 0 ? h->conf->n_channels : 0);
    return rc < 0 ? rc : 0;
}

static void report(void *ctx, const struct hf_nreport *r)
{
    struct hub *h = ctx;
    switch (r->event) {
    case HF_NEV_DELIVERED:
        HF_SHARED_ADD(h->sh->delivered, 1);
        HF_SHARED_SET(h->sh->delivered_age_ms, (uint64_t)HF_MAX(r->age_ms, 0));
        hf_log(HF_LOG_INFO, "delivered", "channel \"%.*s\" has %.*s, %lld ms after it was queued", HF_SPAN_ARG(r->channel), HF_SPAN_ARG(r->key), (long long)r->age_ms);
        break;
    case HF_NEV_RETRY:
        HF_SHARED_ADD(h->sh->retries, 1);
        if (!h->stopping)
            hf_log(HF_LOG_WARNING, "retry", "channel \"%.*s\", %.*s: %s; again in %lld ms", HF_SPAN_ARG(r->channel), HF_SPAN_ARG(r->key), r->why, (long long)r->wait_ms);
        break;
    case HF_NEV_DEAD:
        hf_log(HF_LOG_ERR, "dead-letter", "channel \"%.*s\", %.*s: %s; given up (holdfast notify dead)", HF_SPAN_ARG(r->channel), HF_SPAN_ARG(r->key), r->why);
        break;
    case HF_NEV_QUEUE:
        if (!HF_SHARED_GET(h->sh->store_down_since))
            hf_log(HF_LOG_ERR, "queue", "channel \"%.*s\": %s", HF_SPAN_ARG(r->channel), r->why);
        break;
    }
}

/* Of the page that the processes share; every number of the status that grows or stands for something that waits. */
static size_t metrics(void *ctx, struct hf_nmetric *ret, size_t max)
{
    const struct hf_daemon_shared *sh = ((struct hub *)ctx)->sh;
    const struct hf_nmetric all[] = {
            {"holdfast.lines", "{line}", "Lines of watch that were read", false, HF_SHARED_GET(sh->lines), {{NULL, {NULL, 0}}}},
            {"holdfast.lines.dropped", "{line}", "Lines that were not looked at: too many waited", false, HF_SHARED_GET(sh->lines_dropped), {{NULL, {NULL, 0}}}},
            {"holdfast.events.lost", "{event}", "Events that the sensor lost", false, HF_SHARED_GET(sh->sensor_lost), {{NULL, {NULL, 0}}}},
            {"holdfast.alerts", "{alert}", "Alerts written to the store", false, HF_SHARED_GET(sh->alerts), {{NULL, {NULL, 0}}}},
            {"holdfast.alerts.dropped", "{alert}", "Alerts not kept: the store was down too long", false, HF_SHARED_GET(sh->alerts_dropped), {{NULL, {NULL, 0}}}},
            {"holdfast.incidents.new", "{incident}", "New incidents", false, HF_SHARED_GET(sh->incidents_new), {{NULL, {NULL, 0}}}},
            {"holdfast.store.failures", "{failure}", "Writes that the store did not take", false, HF_SHARED_GET(sh->store_failures), {{NULL, {NULL, 0}}}},
            {"holdfast.store.down", "1", "1: the store takes nothing", true, HF_SHARED_GET(sh->store_down_since) != 0, {{NULL, {NULL, 0}}}},
            {"holdfast.scans", "{image}", "Images scanned because they run", false, HF_SHARED_GET(sh->scans), {{NULL, {NULL, 0}}}},
            {"holdfast.scans.waiting", "{image}", "Images that wait to be scanned", true, HF_SHARED_GET(sh->scans_waiting), {{NULL, {NULL, 0}}}},
            {"holdfast.hand.refused", "{request}", "Requests that the privileged process refused", false, HF_SHARED_GET(sh->hand_refused), {{NULL, {NULL, 0}}}},
    };
    size_t n = HF_MIN(max, HF_ARRAY_LEN(all));
    memcpy(ret, all, n * sizeof *ret);
    return n;
}

int hub_tell_open(struct hub *h, struct hf_err *err)
{
    if (!h->conf || h->deliver)
        return 0;
    int rc = h->queue ? 0 : hf_nstoreq_open(&h->queue, h->c->store_url, err);
    if (rc < 0)
        return rc;
    struct hf_nqueue q = hf_nstoreq_queue(h->queue);
    rc = hf_ndeliver_new(&h->deliver, h->conf, &q, report, h, err);
    if (rc == 0)
        hf_ndeliver_metrics(h->deliver, metrics, h);
    rc = rc < 0 ? rc : hf_ndeliver_start(h->deliver, err);
    struct hf_err why = HF_ERR_INIT;
    if (rc == 0 && (hf_nanswers_new(&h->answers, h->conf, &q, hub_answer, h, &why) < 0 || hf_nanswers_start(h->answers, &why) < 0))
        hf_log(HF_LOG_ERR, "answers", "what people answer is not heard: %s", why.msg);
    return rc;
}

int hub_tell(struct hub *h, struct hf_span incident, struct hf_err *err)
{
    if (!h->deliver)
        return 0;
    int rc = hf_ndeliver_push(h->deliver, incident, NULL, err);
    return rc < 0 ? rc : 0;
}

/* ---- while the store is down ---- */

static int emergency(struct hub *h, struct hf_err *err)
{
    if (h->emergency)
        return 0;
    struct hf_emergency *e = calloc(1, sizeof *e);
    if (!e || !(e->mem = hf_nmemq_new(EMERGENCY_MAX))) {
        free(e);
        return hf_fail(err, -ENOMEM, "no memory");
    }
    struct hf_nqueue q = hf_nmemq_queue(e->mem);
    int rc = hf_ndeliver_new(&e->deliver, h->conf, &q, report, h, err);
    rc = rc < 0 ? rc : hf_ndeliver_start(e->deliver, err);
    h->emergency = e;
    return rc;
}

static void emergency_free(struct hub *h)
{
    if (!h->emergency)
        return;
    hf_ndeliver_free(h->emergency->deliver);
    hf_nmemq_free(h->emergency->mem);
    free(h->emergency);
    h->emergency = NULL;
}

/* What channels know of an incident that was stored before: a store that takes nothing can often be read still. */
static void known_marks(struct hub *h, const char *key)
{
    struct hf_nqueue from = hf_nstoreq_queue(h->queue), to = hf_nmemq_queue(h->emergency->mem);
    struct hf_err ignored = HF_ERR_INIT;
    for (size_t k = 0; k < h->conf->n_channels; k++) {
        const char *channel = h->conf->channels[k].name.p; /* ends in NUL */
        hf_autobuf mark = HF_BUF_INIT(16384), there = HF_BUF_INIT(16384);
        if (to.mark_get(to.ctx, channel, key, &there, &ignored) > 0)
            continue;
        int rc = from.mark_get(from.ctx, channel, key, &mark, &ignored);
        if (rc < 0 || (rc > 0 && to.mark_put(to.ctx, channel, key, hf_buf_span(&mark), &ignored) < 0))
            return;
    }
}

void hub_tell_without_store(struct hub *h, const struct hf_inc *i)
{
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf doc = HF_BUF_INIT(HF_INC_MAX);
    hf_log(HF_LOG_ERR, "incident", "%s (%s), not in the store: %s", hf_inc_get(i, "id").p, hf_inc_get(i, "severity").p, hf_inc_get(i, "title").p);
    if (!h->conf)
        return;
    hf_inc_write(i, false, &doc);
    int rc = emergency(h, &err);
    if (rc == 0 && h->queue && hf_inc_number(i, "revision") > 1)
        known_marks(h, hf_inc_get(i, "id").p);
    rc = rc < 0 ? rc : hf_ndeliver_push(h->emergency->deliver, hf_buf_span(&doc), NULL, &err);
    if (rc < 0)
        hf_log(HF_LOG_ERR, "tell", "%s cannot be told: %s", hf_inc_get(i, "id").p, err.msg);
}

/* A card that was made meanwhile is that of the incident: it is edited, not made again.  What it says by now may be less than what is stored: compared, not skipped. */
static int keep_mark(void *ctx, const char *channel, const char *key, struct hf_span text)
{
    struct hub *h = ctx;
    struct hf_nqueue q = hf_nstoreq_queue(h->queue);
    struct hf_err err = HF_ERR_INIT;
    struct hf_nmark m;
    hf_autobuf mark = HF_BUF_INIT(16384), ref = HF_BUF_INIT(HF_NREF_MAX);
    size_t at = hf_nconf_channel(h->conf, hf_span_z(channel));
    const struct hf_nchannel *ch = at == SIZE_MAX ? NULL : &h->conf->channels[at];
    if (!ch || ch->digest_s || ch->digest_quiet || hf_nmark_read(&m, text, &err) < 0 || !m.known)
        return 0;
    m.revision = m.card = 0;
    hf_nmark_write(&m, &mark);
    hf_nmark_ref(&m, &ref);
    int rc = q.mark_put(q.ctx, channel, key, hf_buf_span(&mark), &err);
    if (rc == 0 && ref.n && hf_buf_ok(&ref))
        rc = q.ref_put(q.ctx, channel, hf_buf_z(&ref), key, &err);
    return rc;
}

/* What it still has to say is said by the queue of the store, which now gets the same incidents. */
void hub_tell_store_is_back(struct hub *h)
{
    if (!h->emergency)
        return;
    hf_ndeliver_free(h->emergency->deliver); /* what is under way ends */
    h->emergency->deliver = NULL;
    if (h->queue && hf_nmemq_marks(h->emergency->mem, keep_mark, h) < 0)
        hf_log(HF_LOG_WARNING, "tell", "channels may be told of some incidents twice");
    emergency_free(h);
}

void hub_tell_count(struct hub *h)
{
    struct hf_err ignored = HF_ERR_INIT;
    size_t waiting = 0, dead = 0;
    for (size_t i = 0; h->queue && i < h->conf->n_channels; i++)
        if (hf_nstoreq_count(h->queue, h->conf->channels[i].name, &waiting, &dead, &ignored) < 0)
            return;
    HF_SHARED_SET(h->sh->queue_waiting, waiting);
    HF_SHARED_SET(h->sh->queue_dead, dead);
}

void hub_tell_close(struct hub *h)
{
    hf_nanswers_free(h->answers);
    emergency_free(h);
    hf_ndeliver_free(h->deliver);
    hf_nstoreq_free(h->queue);
    hf_nconf_free(h->conf);
}
