// SPDX-License-Identifier: Apache-2.0
/* What is given up when the cost is over the budget, in which order, and when it comes back. */
#include "detect/budget.h"
#include "tap.h"

#define MS 1000000.0
#define NOW 5000000000000u
#define BIT(type) (1ull << HF_EV_##type)

enum { LOW_NET, HIGH_NET, LOW_PAYLOAD, RATES, CRITICAL_FILE, LOW_FILE, DEAR, CRITICAL_DEAR, RULES };
static struct hf_rule rules[RULES] = {
        {.name = {"low net", 7}, .severity = HF_SEV_LOW}, {.name = {"high net", 8}, .severity = HF_SEV_HIGH}, {.name = {"low payload", 11}, .severity = HF_SEV_LOW},
        {.name = {"rates", 5}, .severity = HF_SEV_MEDIUM}, {.name = {"critical file", 13}, .severity = HF_SEV_CRITICAL}, {.name = {"low file", 8}, .severity = HF_SEV_LOW},
        {.name = {"dear", 4}, .severity = HF_SEV_MEDIUM}, {.name = {"critical dear", 13}, .severity = HF_SEV_CRITICAL},
};
static struct hf_cost_rule cost_rules[RULES];
static struct hf_cost cost;

static void quiet(void)
{
    static const uint64_t types[RULES] = {BIT(NET), BIT(NET), BIT(PAYLOAD), HF_SET_RATE, BIT(FILE), BIT(FILE), BIT(EXEC), BIT(EXEC)};
    cost = (struct hf_cost){.rules = cost_rules, .n_rules = RULES, .sensor_ns = 1 * MS, .engine_ns = 1 * MS, .hooks_ns = 1 * MS, .events = 100};
    cost.type_events[HF_EV_EXEC] = cost.type_events[HF_EV_NET] = 50;
    for (size_t i = 0; i < RULES; i++)
        cost_rules[i] = (struct hf_cost_rule){.rule = &rules[i], .index = i, .types = types[i], .needs = types[i], .looks = 10, .each_ns = 100, .own_ns = 1000, .shed = cost_rules[i].shed};
}

static void add_hook(const char *name, uint64_t types, double ns)
{
    struct hf_cost_hook *h = &cost.hooks[cost.n_hooks++];
    *h = (struct hf_cost_hook){.types = types, .runs = 1000, .ns = ns};
    snprintf(h->name, sizeof h->name, "%s", name);
    cost.hooks_ns += ns;
}

static void add_flood(const char *name, double events)
{
    cost.groups[cost.n_groups] = (struct hf_cost_group){.cgroup_id = 77, .events = events};
    snprintf(cost.groups[cost.n_groups++].name, 80, "%s", name);
    cost.events += events;
    cost.type_events[HF_EV_FORK] += events;
}

static struct hf_budget *start(double budget_ms)
{
    struct hf_budget *b = NULL;
    const struct hf_budget_opts o = {.budget_ns = budget_ms * MS, .sheddable = BIT(NET) | BIT(PAYLOAD) | BIT(FILE) | BIT(RENAME) | BIT(MEM) | BIT(IO_URING) | HF_SET_RATE};
    for (size_t i = 0; i < RULES; i++)
        cost_rules[i].shed = false;
    if (hf_budget_new(&b, &o, NULL) < 0)
        exit(1);
    return b;
}

/* Seconds until the next step, at most so many; carries it out as far as rules go. */
static const struct hf_budget_step *next(struct hf_budget *b, unsigned max, unsigned *ret_s)
{
    static const struct hf_budget_step none;
    for (*ret_s = 1; *ret_s <= max; (*ret_s)++) {
        const struct hf_budget_step *s = hf_budget_tick(b, &cost, NOW);
        if (!s)
            continue;
        for (size_t i = 0; i < s->n_rules; i++)
            cost_rules[s->rules[i]].shed = !s->back;
        return s;
    }
    return &none;
}

static void order_of_giving_up(void)
{
    unsigned s;
    struct hf_budget *b = start(10);
    quiet();
    OK(next(b, 100, &s)->cost_ns == 0); /* within the budget: nothing */
    add_hook("hf_rename", BIT(RENAME), 3 * MS); /* nobody needs it */
    add_hook("hf_egress", BIT(PAYLOAD) | HF_SET_RATE, 5 * MS);
    add_hook("hf_connect", BIT(NET), 6 * MS);
    add_hook("hf_file_open", BIT(FILE), 20 * MS); /* a critical rule needs it */
    cost_rules[DEAR].own_ns = 4 * MS;
    cost_rules[CRITICAL_DEAR].own_ns = 4 * MS;
    for (unsigned i = 1; i < HF_BUDGET_OVER_S; i++)
        OK(!hf_budget_tick(b, &cost, NOW));
    const struct hf_budget_step *t = next(b, 100, &s); /* first what is only displayed */
    OK(t->kind == HF_BUDGET_TYPES && t->types == BIT(RENAME) && !t->n_rules && !t->back);
    OK(t->cost_ns > 30 * MS && t->saves_ns == 3 * MS && t->cgroup_id == 0);
    EQ_U(hf_budget_types(b), BIT(RENAME));
    cost.hooks[0].ns = 0;
    t = next(b, 100, &s);
    OK(s >= HF_BUDGET_OVER_S && s < 2 * HF_BUDGET_OVER_S);
    /* then the least severe: payload alone saves nothing (its hook has the rates too), so payload and rates together come as MEDIUM, with the dear rule */
    OK(t->kind == HF_BUDGET_RULES && t->severity == HF_SEV_MEDIUM);
    EQ_U(t->n_rules, 1);
    EQ_U(t->rules[0], DEAR); /* saves more for its worth than the two others together */
    EQ_U(t->types, 0);
    cost_rules[DEAR].own_ns = 0;
    t = next(b, 100, &s);
    EQ_U(t->n_rules, 2);
    EQ_U(t->types, BIT(PAYLOAD) | HF_SET_RATE);
    OK(cost_rules[LOW_PAYLOAD].shed && cost_rules[RATES].shed);
    cost.hooks[1].ns = 0;
    t = next(b, 100, &s);
    OK(t->severity == HF_SEV_HIGH && t->n_rules == 2 && cost_rules[LOW_NET].shed && cost_rules[HIGH_NET].shed && t->types == BIT(NET));
    cost.hooks[2].ns = 0;
    t = next(b, 100, &s); /* what is left is needed by critical rules */
    OK(t->kind == HF_BUDGET_STUCK && !t->n_rules && !t->types);
    OK(!cost_rules[CRITICAL_FILE].shed && !cost_rules[CRITICAL_DEAR].shed && !cost_rules[LOW_FILE].shed);
    OK(next(b, 1000, &s)->cost_ns == 0); /* said once */
    EQ_U(hf_budget_types(b), BIT(RENAME) | BIT(PAYLOAD) | HF_SET_RATE | BIT(NET));
    hf_budget_free(b);
}

static void worth(void)
{
    unsigned s;
    struct hf_budget *b = start(10);
    quiet();
    cost_rules[LOW_FILE].own_ns = 5 * MS;
    cost_rules[LOW_NET].own_ns = 6 * MS;
    cost_rules[LOW_NET].last_match_ns = NOW - 1000; /* held lately: kept longer, though dearer */
    cost.engine_ns = 20 * MS;
    cost.rules_ns = 11 * MS;
    const struct hf_budget_step *t = next(b, 100, &s);
    EQ_U(t->n_rules, 1);
    EQ_U(t->rules[0], LOW_FILE);
    EQ_U(t->types, 0); /* a critical rule still needs files */
    t = next(b, 100, &s);
    EQ_U(t->rules[0], LOW_NET);
    hf_budget_free(b);
}

static void flood(void)
{
    unsigned s;
    struct hf_budget_limit l[HF_BUDGET_LIMITS];
    struct hf_budget *b = start(10);
    quiet();
    add_hook("hf_egress", BIT(PAYLOAD) | HF_SET_RATE, 5 * MS);
    add_flood("flooder", 20000);
    cost.sensor_ns = 30 * MS;
    cost.engine_ns = 30 * MS;
    const struct hf_budget_step *t = next(b, 100, &s);
    OK(t->kind == HF_BUDGET_LIMIT && t->cgroup_id == 77 && t->share_pct > 90 && !t->n_rules);
    EQ_S(hf_span_z(t->container), "flooder");
    OK(t->per_s >= HF_BUDGET_LIMIT_MIN && t->per_s < 20000 / 4);
    uint64_t first = t->per_s;
    EQ_U(hf_budget_limits(b, l), 1);
    EQ_U(l[0].per_s, first);
    EQ_U(hf_budget_types(b), 0);
    /* it is kept to that, and still too much: less */
    quiet();
    add_flood("flooder", (double)first);
    cost.sensor_ns = 20 * MS;
    t = next(b, 100, &s);
    OK(t->kind == HF_BUDGET_LIMIT && t->per_s < first);
    uint64_t second = t->per_s;
    EQ_U(hf_budget_limits(b, l), 1);
    EQ_U(l[0].per_s, second);
    /* what it makes cannot be limited: the others' turn, and it is named */
    quiet();
    add_hook("hf_rename", BIT(RENAME), 30 * MS);
    add_flood("flooder", 20000);
    t = next(b, 100, &s);
    OK(t->kind == HF_BUDGET_TYPES && t->cgroup_id == 77);
    EQ_S(hf_span_z(t->container), "flooder");
    /* the flood has ended: all comes back, the last first */
    quiet();
    t = next(b, 1000, &s);
    OK(t->back && t->types == BIT(RENAME));
    EQ_U(s, HF_BUDGET_WAIT_S);
    t = next(b, 1000, &s);
    OK(t->back && t->kind == HF_BUDGET_LIMIT && t->per_s == first);
    t = next(b, 1000, &s);
    OK(t->back && t->kind == HF_BUDGET_LIMIT && t->per_s == 0);
    EQ_U(hf_budget_limits(b, l), 0);
    EQ_U(hf_budget_types(b), 0);
    hf_budget_free(b);
}

static void no_flapping(void)
{
    unsigned s, waited = 0;
    struct hf_budget *b = start(10);
    for (unsigned round = 0; round < 5; round++) { /* dear whenever it is on */
        quiet();
        add_hook("hf_rename", BIT(RENAME), 20 * MS);
        const struct hf_budget_step *t = next(b, 100, &s);
        OK(!t->back && t->types == BIT(RENAME));
        OK(s >= HF_BUDGET_OVER_S);
        quiet();
        t = next(b, 10000, &s);
        OK(t->back && s >= waited * 3 / 2);
        waited = s;
    }
    quiet();
    OK(next(b, HF_BUDGET_WAIT_MAX_S, &s)->cost_ns == 0); /* calm for long: as at first */
    add_hook("hf_rename", BIT(RENAME), 20 * MS);
    next(b, 100, &s);
    quiet();
    next(b, 10000, &s);
    EQ_U(s, HF_BUDGET_WAIT_S);
    /* room, but not for what would come back: it waits longer, then is tried */
    add_hook("hf_rename", BIT(RENAME), 20 * MS);
    next(b, 100, &s);
    quiet();
    cost.hooks_ns = 5 * MS;
    const struct hf_budget_step *t = next(b, 100000, &s);
    OK(t->back && s >= HF_BUDGET_WAIT_S * 10);
    hf_budget_free(b);
}

/* A rule that remembers for others: these lose their sight with it, it goes when the last of them goes, and a critical one keeps it. */
static void memories(void)
{
    unsigned s;
    struct hf_budget *b = start(10);
    quiet();
    add_hook("hf_egress", BIT(PAYLOAD) | HF_SET_RATE, 30 * MS);
    cost_rules[LOW_PAYLOAD].remembers = 1; /* for "dear" and "low file" */
    cost_rules[DEAR].uses = cost_rules[LOW_FILE].uses = 1;
    cost_rules[DEAR].needs |= BIT(PAYLOAD);
    cost_rules[LOW_FILE].needs |= BIT(PAYLOAD);
    const struct hf_budget_step *t = next(b, 100, &s);
    OK(t->kind == HF_BUDGET_RULES && t->severity == HF_SEV_MEDIUM && t->n_rules == 4 && t->types == (BIT(PAYLOAD) | HF_SET_RATE));
    OK(cost_rules[LOW_PAYLOAD].shed && cost_rules[DEAR].shed && cost_rules[LOW_FILE].shed && cost_rules[RATES].shed);
    hf_budget_free(b);
    b = start(10);
    quiet();
    add_hook("hf_egress", BIT(PAYLOAD) | HF_SET_RATE, 30 * MS);
    cost_rules[LOW_PAYLOAD].remembers = 1;
    cost_rules[CRITICAL_DEAR].uses = 1;
    cost_rules[CRITICAL_DEAR].needs |= BIT(PAYLOAD);
    OK(next(b, 100, &s)->kind == HF_BUDGET_STUCK);
    hf_budget_free(b);
    b = start(10);
    quiet(); /* what is too much cannot be given up: a HIGH rule is not given up for a seventh of it, a MEDIUM one is */
    add_hook("hf_egress", BIT(EXEC), 30 * MS);
    cost_rules[HIGH_NET].own_ns = 3.3 * MS;
    OK(next(b, 100, &s)->kind == HF_BUDGET_STUCK && !cost_rules[HIGH_NET].shed);
    hf_budget_free(b);
    b = start(10);
    quiet();
    add_hook("hf_egress", BIT(EXEC), 30 * MS);
    cost_rules[RATES].own_ns = 3.3 * MS;
    t = next(b, 100, &s);
    OK(t->kind == HF_BUDGET_RULES && t->n_rules == 1 && t->rules[0] == RATES);
    hf_budget_free(b);
    b = start(10);
    quiet(); /* one that is dear by itself goes alone; who remembered only for it goes with it */
    cost_rules[LOW_PAYLOAD].remembers = 1;
    cost_rules[DEAR].uses = 1;
    cost_rules[DEAR].needs |= BIT(PAYLOAD);
    cost_rules[DEAR].own_ns = 30 * MS;
    cost.engine_ns = 40 * MS;
    cost.rules_ns = 30 * MS;
    t = next(b, 100, &s);
    OK(t->n_rules == 2 && cost_rules[DEAR].shed && cost_rules[LOW_PAYLOAD].shed && t->types == BIT(PAYLOAD));
    hf_budget_free(b);
}

/* A build that costs three times the budget for some seconds is no reason. */
static void moments(void)
{
    unsigned s;
    struct hf_budget *b = start(10);
    for (unsigned round = 0; round < 5; round++) {
        quiet();
        OK(next(b, 120, &s)->cost_ns == 0);
        add_hook("hf_rename", BIT(RENAME), 20 * MS);
        OK(next(b, 8, &s)->cost_ns == 0);
    }
    hf_budget_free(b);
}

static void none(void)
{
    unsigned s;
    struct hf_budget *b = start(0);
    quiet();
    cost.engine_ns = 900 * MS;
    OK(next(b, 1000, &s)->cost_ns == 0 && !hf_budget_near(b, &cost));
    hf_budget_free(b);
    b = start(10);
    OK(hf_budget_near(b, &cost));
    quiet();
    OK(!hf_budget_near(b, &cost));
    add_hook("hf_rename", BIT(RENAME), 20 * MS);
    next(b, 100, &s);
    quiet();
    OK(hf_budget_near(b, &cost)); /* something is given up: whether there is room again has to be known */
    hf_budget_restart(b);
    OK(!hf_budget_near(b, &cost) && hf_budget_types(b) == 0);
    hf_budget_free(b);
    hf_budget_free(NULL);
}

/* Large files: taken slowly before anything is given up, once, and as before when there is room. */
static void large_files(void)
{
    unsigned s;
    struct hf_budget *b = start(10);
    quiet();
    add_hook("hf_rename", BIT(RENAME), 3 * MS); /* nobody needs it */
    cost.guard_ns = 900 * MS;
    cost.guard_hash_ns = 890 * MS;
    cost.guard_large_ns = 880 * MS;
    const struct hf_budget_step *step = next(b, HF_BUDGET_OVER_S, &s);
    OK(step->kind == HF_BUDGET_PACE && !step->back && step->saves_ns > 800 * MS && !step->n_rules && !step->types && hf_budget_paced(b));
    cost.guard_ns = cost.guard_hash_ns = cost.guard_large_ns = 2.5 * MS;
    OK(next(b, 20, &s)->cost_ns == 0); /* 8.5 of 10: no room yet */
    cost.guard_ns = 8 * MS; /* of other work: now events that nobody needs go */
    OK(next(b, 60, &s)->types == BIT(RENAME));
    cost.guard_ns = cost.guard_large_ns = 0;
    step = next(b, 1000, &s);
    OK(step->back && step->types == BIT(RENAME));
    step = next(b, 1000, &s);
    OK(step->back && step->kind == HF_BUDGET_PACE && !hf_budget_paced(b));
    hf_budget_free(b);
    b = start(10);
    quiet();
    cost.guard_ns = 100 * MS; /* small files and seals are not made slower */
    cost.guard_hash_ns = 90 * MS;
    OK(next(b, 60, &s)->kind == HF_BUDGET_STUCK && !hf_budget_paced(b));
    hf_budget_free(b);
}

int main(void)
{
    order_of_giving_up();
    worth();
    flood();
    no_flapping();
    memories();
    moments();
    none();
    large_files();
    return tap_done();
}
