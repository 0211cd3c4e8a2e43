// SPDX-License-Identifier: Apache-2.0
#include "detect/budget.h"

#include <errno.h>
#include <stdlib.h>

#define FLOOD_SHARE 0.5       /* of the ordinary events: who makes more is limited first */
#define FLOOD_EVENTS 500.0    /* a second; fewer are no flood */
#define AIM 0.8               /* of the budget: where a step is to lead */
#define ROOM 0.8              /* of the budget: below is room */
#define SURE 0.9              /* of the budget: with what would come back */
#define WORTH 0.02            /* of the budget that a step saves at least, */
#define HELP 0.05             /* and of what is too much; of MEDIUM rules, of HIGH ones: sight is not sold for a trifle */
#define HELP_MEDIUM 0.1
#define HELP_HIGH 0.25
#define RECENT_NS 600000000000u
#define RECENT_WORTH 4.0
#define AGAIN_S 120u          /* a step so soon after another was taken back: that was too early */
#define TRY_WAITS 10u         /* so many waits long there was room: what was given up may be cheap by now */

/* A way to save: events that are left out, and the rules that lose their sight by it. */
struct way {
    uint64_t types;
    size_t alone;             /* no types, but this rule by itself; SIZE_MAX: not one */
    size_t n_rules;
    int severity;             /* of the most severe; -1: no rule at all */
    double saves_ns, worth;
};

struct hf_budget {
    struct hf_budget_opts o;
    struct hf_budget_step steps[HF_BUDGET_STEPS], told; /* in force, in order; the one that is handed out */
    size_t n_steps;
    unsigned over_s, room_s, wait_s, since_back_s;
    double mean_ns;
    bool stuck;
};

int hf_budget_new(struct hf_budget **ret, const struct hf_budget_opts *o, struct hf_err *err)
{
    struct hf_budget *b = calloc(1, sizeof *b);
    if (!b)
        return hf_fail(err, -ENOMEM, "no memory to keep the budget");
    b->o = *o;
    hf_budget_restart(b);
    *ret = b;
    return 0;
}

static void forget_told(struct hf_budget *b)
{
    free(b->told.rules);
    b->told = (struct hf_budget_step){.n_rules = 0};
}

void hf_budget_restart(struct hf_budget *b)
{
    forget_told(b);
    for (size_t i = 0; i < b->n_steps; i++)
        free(b->steps[i].rules);
    b->n_steps = 0;
    b->over_s = b->room_s = 0;
    b->wait_s = HF_BUDGET_WAIT_S;
    b->since_back_s = AGAIN_S;
    b->mean_ns = 0;
    b->stuck = false;
}

void hf_budget_free(struct hf_budget *b)
{
    if (!b)
        return;
    hf_budget_restart(b);
    free(b);
}

uint64_t hf_budget_types(const struct hf_budget *b)
{
    uint64_t types = 0;
    for (size_t i = 0; i < b->n_steps; i++)
        types |= b->steps[i].types;
    return types;
}

size_t hf_budget_limits(const struct hf_budget *b, struct hf_budget_limit out[HF_BUDGET_LIMITS])
{
    size_t n = 0;
    for (size_t i = 0; i < b->n_steps; i++) {
        const struct hf_budget_step *s = &b->steps[i];
        if (s->kind != HF_BUDGET_LIMIT)
            continue;
        size_t k = 0;
        while (k < n && out[k].cgroup_id != s->cgroup_id)
            k++;
        if (k == HF_BUDGET_LIMITS)
            continue;
        out[k] = (struct hf_budget_limit){.cgroup_id = s->cgroup_id, .per_s = s->per_s}; /* a later step of the same container is stricter */
        memcpy(out[k].container, s->container, sizeof out[k].container);
        n = HF_MAX(n, k + 1);
    }
    return n;
}

bool hf_budget_paced(const struct hf_budget *b)
{
    for (size_t i = 0; i < b->n_steps; i++)
        if (b->steps[i].kind == HF_BUDGET_PACE)
            return true;
    return false;
}

bool hf_budget_near(const struct hf_budget *b, const struct hf_cost *c)
{
    return b->o.budget_ns > 0 && (b->n_steps || hf_cost_total_ns(c) > b->o.budget_ns / 2);
}

/* ---- what could be given up ---- */

/* What decoding, joining and telling of events costs, and what of it falls to some types: by their number. */
static double handling_ns(const struct hf_cost *c, uint64_t types)
{
    double events = 0;
    for (unsigned i = 0; i < 64; i++)
        events += types & (1ull << i) ? c->type_events[i] : 0;
    double all = HF_MAX(0.0, c->sensor_ns - c->files_ns) + HF_MAX(0.0, c->engine_ns - c->rules_ns);
    return c->events > 0 ? all * events / c->events : 0;
}

static double hooks_ns(const struct hf_cost *c, uint64_t out, uint64_t already)
{
    double ns = 0;
    for (size_t i = 0; i < c->n_hooks; i++)
        if (c->hooks[i].types && (c->hooks[i].types & ~already) && !(c->hooks[i].types & ~(out | already)))
            ns += c->hooks[i].ns;
    return ns;
}

static double worth_of(const struct hf_cost_rule *r, uint64_t now_ns)
{
    bool lately = r->last_match_ns && now_ns - HF_MIN(r->last_match_ns, now_ns) < RECENT_NS;
    return (double)(1u << (unsigned)r->rule->severity) * (lately ? RECENT_WORTH : 1);
}

static void add_rule(struct way *w, const struct hf_cost_rule *r, uint64_t now_ns)
{
    w->n_rules++;
    w->severity = HF_MAX(w->severity, (int)r->rule->severity);
    w->saves_ns += r->own_ns;
    w->worth += worth_of(r, now_ns);
}

static bool loses(const struct way *w, const struct hf_cost_rule *r)
{
    return !r->shed && !r->remembers && (w->alone == SIZE_MAX ? (r->needs & w->types) != 0 : r->index == w->alone);
}

/* Fills in what it saves; false when it may not be taken. */
static bool weigh(const struct hf_budget *b, const struct hf_cost *c, uint64_t now_ns, struct way *w)
{
    uint64_t already = hf_budget_types(b);
    w->severity = -1;
    w->saves_ns = hooks_ns(c, w->types, already) + handling_ns(c, w->types & ~already);
    for (size_t i = 0; i < c->n_rules; i++)
        if (loses(w, &c->rules[i]))
            add_rule(w, &c->rules[i], now_ns);
    w->worth = HF_MAX(w->worth, 1.0);
    double help = w->severity < (int)HF_SEV_MEDIUM ? HELP : w->severity < (int)HF_SEV_HIGH ? HELP_MEDIUM : HELP_HIGH;
    return w->severity < (int)HF_SEV_CRITICAL && w->saves_ns >= HF_MAX(b->o.budget_ns * WORTH, (hf_cost_total_ns(c) - b->o.budget_ns) * help);
}

static bool better(const struct way *a, const struct way *than)
{
    if (a->severity != than->severity)
        return a->severity < than->severity;
    return a->saves_ns / a->worth > than->saves_ns / than->worth;
}

static bool best_way(const struct hf_budget *b, const struct hf_cost *c, uint64_t now_ns, struct way *ret)
{
    bool any = false;
    uint64_t already = hf_budget_types(b);
    for (size_t i = 0; i < 64 + c->n_hooks + c->n_rules; i++) {
        struct way w = {.alone = SIZE_MAX};
        if (i < 64)
            w.types = 1ull << i;
        else if (i < 64 + c->n_hooks)
            w.types = c->hooks[i - 64].types;
        else
            w.alone = c->rules[i - 64 - c->n_hooks].index;
        bool types_too = i < 64 + c->n_hooks;
        if (types_too && (!(w.types & ~already) || (w.types & ~b->o.sheddable)))
            continue;
        if (!types_too && (c->rules[i - 64 - c->n_hooks].shed || c->rules[i - 64 - c->n_hooks].remembers))
            continue;
        if (weigh(b, c, now_ns, &w) && (!any || better(&w, ret))) {
            *ret = w;
            any = true;
        }
    }
    return any;
}

/* ---- steps ---- */

/* Who makes most of the events, when somebody does. */
static const struct hf_cost_group *flooding(const struct hf_cost *c, double *ret_share)
{
    const struct hf_cost_group *g = &c->groups[0];
    *ret_share = c->n_groups && c->events > 0 ? g->events / c->events : 0;
    return *ret_share >= FLOOD_SHARE && g->events >= FLOOD_EVENTS ? g : NULL;
}

/* Copies the step into the told one, which is the caller's until the next call. */
static const struct hf_budget_step *tell(struct hf_budget *b, const struct hf_budget_step *s, bool back, const struct hf_cost *c)
{
    forget_told(b);
    b->told = *s;
    b->told.back = back;
    b->told.rules = s->n_rules ? malloc(s->n_rules * sizeof *s->rules) : NULL;
    b->told.n_rules = b->told.rules ? s->n_rules : 0;
    if (b->told.rules)
        memcpy(b->told.rules, s->rules, s->n_rules * sizeof *s->rules);
    b->told.cost_ns = hf_cost_total_ns(c);
    return &b->told;
}

static void name_flood(struct hf_budget_step *s, const struct hf_cost *c)
{
    double share;
    const struct hf_cost_group *g = flooding(c, &share);
    if (!g)
        return;
    s->cgroup_id = g->cgroup_id;
    s->share_pct = share * 100;
    memcpy(s->container, g->name, sizeof s->container);
}

static const struct hf_budget_step *take(struct hf_budget *b, struct hf_budget_step *s, const struct hf_cost *c)
{
    s->cost_ns = hf_cost_total_ns(c);
    b->steps[b->n_steps++] = *s;
    if (b->since_back_s < AGAIN_S)
        b->wait_s = HF_MIN(b->wait_s * 2, HF_BUDGET_WAIT_MAX_S);
    b->since_back_s = AGAIN_S;
    b->stuck = false;
    return tell(b, s, false, c);
}

/* So many events that its share of the cost fits into what the others leave; NULL when limiting (more) would not help. */
static const struct hf_budget_step *limit(struct hf_budget *b, const struct hf_cost *c)
{
    struct hf_budget_step s = {.kind = HF_BUDGET_LIMIT};
    struct hf_budget_limit limits[HF_BUDGET_LIMITS];
    size_t n = hf_budget_limits(b, limits), k = 0;
    double share;
    const struct hf_cost_group *g = flooding(c, &share);
    if (!g)
        return NULL;
    while (k < n && limits[k].cgroup_id != g->cgroup_id)
        k++;
    if (k == HF_BUDGET_LIMITS || (k < n && (limits[k].per_s <= HF_BUDGET_LIMIT_MIN || g->events > (double)limits[k].per_s * 2)))
        return NULL; /* no place, no less, or what it makes cannot be limited */
    double total = hf_cost_total_ns(c), own = (total - c->files_ns) * share, left = HF_MAX(0.0, b->o.budget_ns * AIM - (total - own));
    double per_s = HF_MIN(g->events * left / own, g->events * AIM);
    name_flood(&s, c);
    s.per_s = HF_MAX((uint64_t)per_s, (uint64_t)HF_BUDGET_LIMIT_MIN);
    s.saves_ns = own * (1 - (double)s.per_s / g->events);
    return take(b, &s, c);
}

/* Large files, when their digests are a good part of what is too much. */
static const struct hf_budget_step *pace(struct hf_budget *b, const struct hf_cost *c)
{
    struct hf_budget_step s = {.kind = HF_BUDGET_PACE, .saves_ns = c->guard_large_ns};
    if (hf_budget_paced(b) || c->guard_large_ns < HF_MAX(b->o.budget_ns * WORTH, (hf_cost_total_ns(c) - b->o.budget_ns) * HELP))
        return NULL;
    return take(b, &s, c);
}

/* The rules that go: those that lose their sight, and those that remembered for nobody else. */
static bool collect(const struct hf_cost *c, const struct way *w, struct hf_budget_step *s, uint64_t *ret_left)
{
    uint64_t asked = 0; /* memories that somebody still asks for */
    s->rules = c->n_rules ? calloc(c->n_rules, sizeof *s->rules) : NULL;
    if (c->n_rules && !s->rules)
        return false;
    *ret_left = 0;
    for (size_t i = 0; i < c->n_rules; i++)
        asked |= c->rules[i].shed || loses(w, &c->rules[i]) || c->rules[i].remembers ? 0 : c->rules[i].uses;
    for (size_t i = 0; i < c->n_rules; i++) {
        const struct hf_cost_rule *r = &c->rules[i];
        if (r->shed)
            continue;
        bool goes = loses(w, r) || (r->remembers && w->n_rules && !(r->remembers & asked));
        if (goes)
            s->rules[s->n_rules++] = r->index;
        else
            *ret_left |= r->types;
    }
    return true;
}

static const struct hf_budget_step *give_up(struct hf_budget *b, const struct hf_cost *c, uint64_t now_ns)
{
    struct way w = {.alone = SIZE_MAX};
    struct hf_budget_step s = {.kind = HF_BUDGET_TYPES};
    uint64_t left, already = hf_budget_types(b);
    if (!best_way(b, c, now_ns, &w) || !collect(c, &w, &s, &left))
        return NULL;
    s.types = w.types & ~already;
    s.saves_ns = w.saves_ns;
    if (s.n_rules) {
        s.kind = HF_BUDGET_RULES;
        s.severity = (enum hf_severity)w.severity;
    }
    for (size_t i = 0; i < c->n_rules; i++) /* what only they needed is not needed any more either */
        if (loses(&w, &c->rules[i]))
            s.types |= c->rules[i].needs & b->o.sheddable & ~left & ~already;
    name_flood(&s, c);
    return take(b, &s, c);
}

static const struct hf_budget_step *over(struct hf_budget *b, const struct hf_cost *c, uint64_t now_ns)
{
    const struct hf_budget_step *s = NULL;
    b->over_s = 0;
    if (b->n_steps < HF_BUDGET_STEPS)
        s = pace(b, c);
    if (!s && b->n_steps < HF_BUDGET_STEPS)
        s = limit(b, c);
    if (!s && b->n_steps < HF_BUDGET_STEPS)
        s = give_up(b, c, now_ns);
    if (s || b->stuck)
        return s;
    struct hf_budget_step stuck = {.kind = HF_BUDGET_STUCK};
    name_flood(&stuck, c);
    b->stuck = true;
    return tell(b, &stuck, false, c);
}

static const struct hf_budget_step *back(struct hf_budget *b, const struct hf_cost *c)
{
    struct hf_budget_step s = b->steps[--b->n_steps];
    b->room_s = b->since_back_s = 0;
    s.types &= ~hf_budget_types(b);
    if (s.kind == HF_BUDGET_LIMIT) { /* an earlier, less strict limit may be left */
        struct hf_budget_limit limits[HF_BUDGET_LIMITS];
        size_t n = hf_budget_limits(b, limits);
        s.per_s = 0;
        for (size_t i = 0; i < n; i++)
            s.per_s = limits[i].cgroup_id == s.cgroup_id ? limits[i].per_s : s.per_s;
    }
    const struct hf_budget_step *told = tell(b, &s, true, c);
    free(s.rules);
    return told;
}

const struct hf_budget_step *hf_budget_tick(struct hf_budget *b, const struct hf_cost *c, uint64_t now_ns)
{
    double total = hf_cost_total_ns(c), budget = b->o.budget_ns;
    if (budget <= 0)
        return NULL;
    b->mean_ns = b->mean_ns > 0 ? b->mean_ns + (total - b->mean_ns) / HF_BUDGET_MEAN_S : total;
    b->over_s = total > budget ? b->over_s + 1 : 0;
    b->room_s = total < budget * ROOM ? b->room_s + 1 : 0;
    if (++b->since_back_s == HF_BUDGET_WAIT_MAX_S) /* calm for long */
        b->wait_s = HF_BUDGET_WAIT_S;
    if (b->over_s >= HF_BUDGET_OVER_S && b->mean_ns > budget)
        return over(b, c, now_ns);
    b->stuck = b->stuck && b->room_s < HF_BUDGET_WAIT_S;
    if (!b->n_steps || b->room_s < b->wait_s)
        return NULL;
    double with = total + b->steps[b->n_steps - 1].saves_ns;
    if (with < budget * SURE || total < budget / 2 || b->room_s >= b->wait_s * TRY_WAITS)
        return back(b, c);
    return NULL;
}
