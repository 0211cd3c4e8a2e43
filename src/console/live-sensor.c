// SPDX-License-Identifier: Apache-2.0
/* Health, cost and losses of what watches, from status and drop lines. */
#include <stdlib.h>
#include <time.h>

#include "console/live-internal.h"

#define MINUTE INT64_C(60000000000)

/* The newest in front. */
static void *room(void *list, size_t size, size_t *n, size_t max)
{
    memmove((char *)list + size, list, size * HF_MIN(*n, max - 1));
    *n = HF_MIN(*n + 1, max);
    return list;
}

static void note(struct hf_live_note *list, size_t *n, int64_t time, struct hf_span text)
{
    struct hf_live_note *to = room(list, sizeof *list, n, HF_LIVE_NOTES);
    struct hf_text whole = {NULL, 0};
    *to = (struct hf_live_note){.time = time};
    if (hf_text_set(&whole, text, sizeof to->text - 1)) {
        memcpy(to->text, whole.p, whole.n + 1);
        hf_text_done(&whole);
    }
}

static void minute(struct hf_sensor_now *s, int64_t time)
{
    struct hf_live_minute m = {time, s->core_pct, s->seen_per_s, s->lost};
    if (s->n_minutes && time - s->minutes[s->n_minutes - 1].time < MINUTE)
        return;
    if (s->n_minutes == HF_LIVE_MINUTES)
        memmove(s->minutes, s->minutes + 1, sizeof *s->minutes * --s->n_minutes);
    s->minutes[s->n_minutes++] = m;
}

static void cost_of(struct hf_sensor_now *s, hf_jnode cost, int64_t time)
{
    hf_autobuf out = HF_BUF_INIT(256 << 10);
    struct hf_jw w;
    if (!hf_jis_object(cost))
        return;
    hf_jw_init(&w, &out, false);
    hf_live_copy(&w, cost);
    if (!hf_buf_ok(&out) || !hf_text_set(&s->cost, hf_buf_span(&out), out.n))
        return;
    s->cost_time = time;
    (void)hf_jnum(hf_jget(cost, "core_pct"), &s->core_pct);
    (void)hf_jnum(hf_jget(cost, "budget_pct"), &s->budget_pct);
    (void)hf_jnum(hf_jget(cost, "seen_per_s"), &s->seen_per_s);
    s->rss_kib = hf_live_u64(cost, "sensor_rss_kib") + hf_live_u64(cost, "engine_rss_kib");
}

static void lost(struct hf_live *l, const struct hf_line *line)
{
    struct hf_sensor_now *s = &l->sensor;
    hf_jnode d = hf_jget(line->root, "drop");
    struct hf_span type = hf_jgetstr(d, "lost_type"), reason = hf_jgetstr(d, "reason"), box = hf_jgetstr(line->container, "id");
    struct hf_live_loss *to = room(s->losses, sizeof *to, &s->n_losses, HF_LIVE_LOSSES);
    *to = (struct hf_live_loss){.time = line->time, .count = hf_live_u64(d, "count")};
    snprintf(to->type, sizeof to->type, "%.*s", (int)HF_MIN(type.n, sizeof to->type - 1), type.n ? type.p : "");
    snprintf(to->reason, sizeof to->reason, "%.*s", (int)HF_MIN(reason.n, sizeof to->reason - 1), reason.n ? reason.p : "");
    snprintf(to->container, sizeof to->container, "%.*s", (int)HF_MIN(box.n, sizeof to->container - 1), box.n ? box.p : "");
    if (box.n && hf_span_eqz(type, "several")) /* part of sums that have lines of their own */
        return;
    int64_t second = line->time / 1000000000;
    size_t at = (size_t)(second % 60);
    if (s->lost_second[at] != second)
        s->lost_at[at] = 0;
    s->lost_second[at] = second;
    s->lost_at[at] += to->count;
    s->lost += to->count;
}

void hf_live_sensor_line(struct hf_live *l, const struct hf_line *line)
{
    static const char *const given_up[] = {"limited", "left_out", "shed", "over_budget", "restored"};
    struct hf_sensor_now *s = &l->sensor;
    if (hf_span_eqz(line->type, "drop")) {
        lost(l, line);
        return;
    }
    hf_jnode status = hf_jget(line->root, "status");
    struct hf_span state = hf_jgetstr(status, "state"), error = hf_jgetstr(status, "error");
    bool running = hf_span_eqz(state, "running"), budget = false;
    for (size_t i = 0; i < HF_ARRAY_LEN(given_up); i++)
        budget = budget || hf_span_eqz(state, given_up[i]);
    if (hf_span_eqz(state, "started")) { /* a new life: what the one before told is not true any more */
        hf_live_pairs(&s->first, status);
        s->n_given_up = s->n_errors = 0;
        s->lost = s->uptime_s = 0;
        snprintf(s->state, sizeof s->state, "running");
    }
    if (error.n)
        note(s->errors, &s->n_errors, line->time, error);
    if (budget) {
        hf_autobuf out = HF_BUF_INIT(32768);
        struct hf_jw w;
        hf_jw_init(&w, &out, false);
        hf_live_copy(&w, status);
        note(s->given_up, &s->n_given_up, line->time, out.n < sizeof s->given_up[0].text ? hf_buf_span(&out) : HF_S("{}"));
        snprintf(s->state, sizeof s->state, "%.*s", (int)HF_MIN(state.n, sizeof s->state - 1), hf_span_eqz(state, "restored") ? "running" : state.p);
        if (hf_span_eqz(state, "restored"))
            snprintf(s->state, sizeof s->state, "running");
    }
    if (running) {
        hf_live_pairs(&s->last, status);
        s->uptime_s = hf_live_u64(status, "uptime_s");
        s->lost = HF_MAX(s->lost, hf_live_u64(status, "lost"));
        if (!s->state[0])
            snprintf(s->state, sizeof s->state, "running");
        if (!s->cost.n)
            s->rss_kib = hf_live_u64(status, "sensor_rss_kib");
    } else if (!budget && !error.n && s->first.n && hf_jfirst(status)) { /* what is asked and served on demand: joined to what is known of the hooks */
        hf_autobuf all = HF_BUF_INIT(2 * HF_LIVE_FACTS);
        struct hf_span rest = hf_text(&s->first), name, value;
        while (hf_live_pair(&rest, &name, &value)) {
            char key[64];
            snprintf(key, sizeof key, "%.*s", (int)HF_MIN(name.n, sizeof key - 1), name.p);
            if (!hf_jget(status, key)) {
                hf_buf_adds(&all, name);
                hf_buf_addc(&all, 0);
                hf_buf_adds(&all, value);
                hf_buf_addc(&all, 0);
            }
        }
        struct hf_text more = {NULL, 0};
        hf_live_pairs(&more, status);
        hf_buf_adds(&all, hf_text(&more));
        hf_text_done(&more);
        if (hf_buf_ok(&all))
            (void)hf_text_set(&s->first, hf_buf_span(&all), 2 * HF_LIVE_FACTS);
    }
    cost_of(s, hf_jget(line->root, "cost"), line->time);
    minute(s, line->time);
}

void hf_live_sensor(struct hf_live *l, void (*cb)(void *ctx, const struct hf_live_sensor *s), void *ctx)
{
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    pthread_mutex_lock(&l->lock);
    const struct hf_sensor_now *n = &l->sensor;
    struct hf_live_sensor s = {.connected = n->connected, .why = n->why, .since = n->since, .last_line = n->last_line, .first = hf_text(&n->first), .last = hf_text(&n->last),
            .state = hf_span_z(n->state), .cost = hf_text(&n->cost), .cost_time = n->cost_time, .core_pct = n->core_pct, .budget_pct = n->budget_pct, .seen_per_s = n->seen_per_s, .lost = n->lost,
            .rss_kib = n->rss_kib, .uptime_s = n->uptime_s, .losses = n->losses, .given_up = n->given_up, .errors = n->errors, .minutes = n->minutes, .n_losses = n->n_losses,
            .n_given_up = n->n_given_up, .n_errors = n->n_errors, .n_minutes = n->n_minutes};
    for (size_t i = 0; i < 60; i++)
        if (n->lost_second[i] > now.tv_sec - 60)
            s.lost_60s += n->lost_at[i];
    cb(ctx, &s);
    pthread_mutex_unlock(&l->lock);
}
