// SPDX-License-Identifier: Apache-2.0
#include "detect/state.h"

#include <math.h>

#define SEEN 128u /* values that FIRST remembers a key */
#define RECENT 32u
#define LATE_NS 500000000u /* changes of files are told behind the other events */
#define USUAL_SAMPLES 32u
#define USUAL_KNOWN 8u /* samples before which the floor alone decides */
#define USUAL_UNIT 256u

struct mark {
    uint64_t value, time_ns;
};

struct recent {
    uint64_t key, time_ns;
    uint32_t step;
};

struct hf_state {
    size_t marks; /* a key */
    struct recent recent[RECENT]; /* SEQUENCE: steps but the first that held */
    size_t recent_at;
    struct key {
        uint64_t key, first_ns, last_ns;
        uint32_t n, at; /* marks in use, next place */
        uint32_t step;
        bool used;
    } keys[HF_STATE_KEYS];
    struct mark all[]; /* HF_STATE_KEYS * marks */
};

struct hf_state *hf_state_new(const struct hf_rule *r)
{
    size_t marks = r->kind == HF_RULE_REGULAR ? r->samples + 1 : r->kind == HF_RULE_FIRST ? SEEN : r->kind == HF_RULE_SEQUENCE || r->kind == HF_RULE_SURGE ? 1 : r->count;
    marks = HF_MAX(marks, (size_t)1);
    struct hf_state *s = calloc(1, sizeof *s + HF_STATE_KEYS * marks * sizeof(struct mark));
    if (s)
        s->marks = marks;
    return s;
}

void hf_state_free(struct hf_state *s)
{
    free(s);
}

size_t hf_state_bytes(const struct hf_state *s)
{
    return s ? sizeof *s + HF_STATE_KEYS * s->marks * sizeof(struct mark) : 0;
}

static struct key *key_of(struct hf_state *s, uint64_t key, uint64_t now_ns)
{
    struct key *oldest = &s->keys[0];
    for (size_t i = 0; i < HF_STATE_KEYS; i++) {
        struct key *k = &s->keys[(key + i) & (HF_STATE_KEYS - 1)];
        if (k->used && k->key == key)
            return k;
        if (!k->used) {
            oldest = k;
            break;
        }
        if (k->last_ns < oldest->last_ns)
            oldest = k;
    }
    *oldest = (struct key){.key = key, .first_ns = now_ns, .used = true};
    return oldest;
}

static struct mark *marks_of(struct hf_state *s, const struct key *k)
{
    return &s->all[(size_t)(k - s->keys) * s->marks];
}

static void add_mark(struct hf_state *s, struct key *k, uint64_t value, uint64_t now_ns)
{
    marks_of(s, k)[k->at] = (struct mark){value, now_ns};
    k->at = (uint32_t)((k->at + 1) % s->marks);
    k->n = (uint32_t)HF_MIN((size_t)k->n + 1, s->marks);
}

static bool count(struct hf_state *s, const struct hf_rule *r, struct key *k, uint64_t now_ns)
{
    add_mark(s, k, 0, now_ns);
    if (k->n < r->count)
        return false;
    uint64_t oldest = marks_of(s, k)[k->at].time_ns; /* full: the next place holds the oldest */
    if (now_ns - oldest > r->window_ns)
        return false;
    k->n = 0;
    return true;
}

static bool distinct(struct hf_state *s, const struct hf_rule *r, struct key *k, uint64_t value, uint64_t now_ns)
{
    struct mark *m = marks_of(s, k), *place = m;
    size_t fresh = 0;
    bool known = false;
    for (size_t i = 0; i < s->marks; i++) {
        bool live = m[i].time_ns && now_ns - m[i].time_ns <= r->window_ns;
        if (live && m[i].value == value) {
            m[i].time_ns = now_ns;
            known = true;
        }
        fresh += live;
        if (!live)
            m[i].time_ns = 0;
        if (m[i].time_ns < place->time_ns) /* a free place, else the oldest */
            place = &m[i];
    }
    if (known)
        return false;
    *place = (struct mark){value, now_ns};
    if (fresh + 1 < r->count)
        return false;
    for (size_t i = 0; i < s->marks; i++)
        m[i].time_ns = 0;
    return true;
}

/* Beacons: the last intervals differ from their mean by no more than the jitter (standard deviation). */
static bool regular(struct hf_state *s, const struct hf_rule *r, struct key *k, uint64_t now_ns)
{
    const struct mark *m = marks_of(s, k);
    if (k->last_ns && now_ns - k->last_ns < r->min_ns / 2) /* one visit of several connections counts once */
        return false;
    if (k->last_ns && now_ns - k->last_ns > r->max_ns * 2)
        k->n = k->at = 0;
    k->last_ns = now_ns;
    add_mark(s, k, 0, now_ns);
    if (k->n < s->marks)
        return false;
    double sum = 0, squares = 0;
    size_t intervals = s->marks - 1;
    for (size_t i = 0; i < intervals; i++) {
        double d = (double)(m[(k->at + i + 1) % s->marks].time_ns - m[(k->at + i) % s->marks].time_ns);
        sum += d;
        squares += d * d;
    }
    double mean = sum / (double)intervals, deviation = sqrt(fmax(0, squares / (double)intervals - mean * mean));
    bool alike = mean >= (double)r->min_ns && mean <= (double)r->max_ns && deviation <= mean * (double)r->jitter_pct / 100;
    if (alike)
        k->n = k->at = 0;
    return alike;
}

static bool first(struct hf_state *s, const struct hf_rule *r, struct key *k, uint64_t value, uint64_t born_ns, uint64_t now_ns)
{
    const struct mark *m = marks_of(s, k);
    for (size_t i = 0; i < k->n; i++)
        if (m[i].value == value)
            return false;
    add_mark(s, k, value, now_ns);
    uint64_t from = born_ns ? born_ns : k->first_ns;
    return now_ns > from && now_ns - from > r->window_ns;
}

static uint64_t scaled(uint64_t value)
{
    return HF_MIN(value, UINT64_MAX / USUAL_UNIT / 4096) * USUAL_UNIT;
}

static bool is_high(const struct hf_rule *r, uint64_t usual, uint64_t value)
{
    return value >= r->above && scaled(value) >= usual * r->times;
}

/* What is usual is a mean: of all samples at first, then it follows slowly.  A surge pulls at it no more than `times` its own height would;
 * while little is known of the key, the floor alone decides. */
static bool surge(struct hf_state *s, const struct hf_rule *r, struct key *k, uint64_t value)
{
    uint64_t *usual = &marks_of(s, k)->value, v = scaled(value);
    bool known = k->step >= USUAL_KNOWN, high = is_high(r, known ? *usual : 0, value);
    uint64_t share = (known && high) || k->step >= USUAL_SAMPLES ? USUAL_SAMPLES : ++k->step;
    k->n = high ? k->n + 1 : 0;
    *usual = *usual - *usual / share + HF_MIN(v, known && high ? *usual * r->times : v) / share;
    if (k->n < r->samples)
        return false;
    k->n = 0;
    return true;
}

void hf_state_remember(struct hf_state *s, uint64_t key, uint64_t now_ns)
{
    key_of(s, key, now_ns)->last_ns = now_ns;
}

/* Without making it: a key lies behind its place with no free one between. */
static struct key *find(struct hf_state *s, uint64_t key)
{
    for (size_t i = 0; i < HF_STATE_KEYS; i++) {
        struct key *k = &s->keys[(key + i) & (HF_STATE_KEYS - 1)];
        if (!k->used)
            return NULL;
        if (k->key == key)
            return k;
    }
    return NULL;
}

bool hf_state_surge_early(struct hf_state *s, const struct hf_rule *r, uint64_t key, uint64_t value)
{
    struct key *k = find(s, key);
    if (!is_high(r, k && k->step >= USUAL_KNOWN ? marks_of(s, k)->value : 0, value / HF_MAX(r->samples, 1u)))
        return false;
    if (k)
        k->n = 0;
    return true;
}

bool hf_state_remembers(struct hf_state *s, const struct hf_rule *r, uint64_t key, uint64_t now_ns)
{
    const struct key *k = find(s, key);
    return k && now_ns - k->last_ns <= r->window_ns;
}

bool hf_state_event(struct hf_state *s, const struct hf_rule *r, uint64_t key, uint64_t value, uint64_t born_ns, uint64_t now_ns)
{
    struct key *k = key_of(s, key, now_ns);
    if (r->kind == HF_RULE_REGULAR)
        return regular(s, r, k, now_ns);
    k->last_ns = now_ns;
    switch (r->kind) {
    case HF_RULE_COUNT:
        return count(s, r, k, now_ns);
    case HF_RULE_DISTINCT:
        return distinct(s, r, k, value, now_ns);
    case HF_RULE_FIRST:
        return first(s, r, k, value, born_ns, now_ns);
    case HF_RULE_SURGE:
        return surge(s, r, k, value);
    default:
        return true;
    }
}

/* A step that held for this key a moment ago: its event may have come before that of an earlier step, which is told later. */
static uint64_t lately(const struct hf_state *s, uint64_t key, uint32_t step, uint64_t now_ns)
{
    for (size_t i = 0; i < RECENT; i++)
        if (s->recent[i].key == key && s->recent[i].step == step && s->recent[i].time_ns && s->recent[i].time_ns + LATE_NS >= now_ns)
            return s->recent[i].time_ns;
    return 0;
}

bool hf_state_sequence(struct hf_state *s, const struct hf_rule *r, uint64_t key, const bool *step, bool late, uint64_t now_ns)
{
    struct key *k = find(s, key);
    for (uint32_t i = 1; i < r->n_steps; i++)
        if (step[i]) {
            s->recent[s->recent_at] = (struct recent){key, now_ns, i};
            s->recent_at = (s->recent_at + 1) % RECENT;
        }
    bool begun = k && k->step > 0 && now_ns - k->first_ns <= r->window_ns, moved = begun && step[k->step];
    if (!moved && !begun && step[0]) {
        k = key_of(s, key, now_ns);
        k->first_ns = now_ns;
        k->step = 0;
        moved = true;
    }
    if (!moved)
        return false;
    k->last_ns = now_ns;
    k->step++;
    while (late && k->step < r->n_steps && lately(s, key, k->step, now_ns))
        k->step++;
    if (k->step < r->n_steps)
        return false;
    k->step = 0;
    return true;
}
