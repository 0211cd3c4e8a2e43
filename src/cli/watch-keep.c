// SPDX-License-Identifier: Apache-2.0
#include "cli/watch-keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "detect/demand.h"
#include "sensor/frames.h"

#define CORE 10000000.0
#define RECORD_MAX 16384u
#define RULES_TEXT 2048u /* of the names in a record */
#define ALL_RULES 4096u

/* Types that may be given up: forks and exits are what the process tree lives on. */
#define SHEDDABLE (HF_ASK_SHEDDABLE & ~HF_COST_TREE)

struct hf_keep {
    struct hf_keep_opts o;
    struct hf_cost_meter *meter;
    struct hf_budget *budget;
    struct hf_buf record, given;
    struct hf_ask asked;
    int statm;
    bool near;
};

int hf_keep_new(struct hf_keep **ret, const struct hf_keep_opts *o, struct hf_err *err)
{
    hf_cleanup(hf_keep_freep) struct hf_keep *k = calloc(1, sizeof *k);
    if (!k)
        return hf_fail(err, -ENOMEM, "no memory to measure the cost");
    k->o = *o;
    k->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC); /* without it the memory is shown as 0 */
    hf_buf_init(&k->record, RECORD_MAX);
    hf_buf_init(&k->given, RECORD_MAX);
    const struct hf_budget_opts b = {.budget_ns = o->budget_ns, .sheddable = o->all ? 0 : SHEDDABLE};
    int rc = hf_cost_meter_new(&k->meter, err);
    rc = rc < 0 ? rc : hf_budget_new(&k->budget, &b, err);
    if (rc == 0)
        *ret = hf_take(k);
    return rc;
}

void hf_keep_free(struct hf_keep *k)
{
    if (!k)
        return;
    hf_closep(&k->statm);
    hf_cost_meter_free(k->meter);
    hf_budget_free(k->budget);
    hf_buf_done(&k->record);
    hf_buf_done(&k->given);
    free(k);
}

void hf_keep_event(struct hf_keep *k, const struct hf_event *ev)
{
    hf_cost_meter_event(k->meter, ev);
}

static uint64_t own_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t own_rss_kib(const struct hf_keep *k)
{
    char text[128];
    ssize_t n = k->statm < 0 ? -1 : pread(k->statm, text, sizeof text, 0);
    struct hf_span rest = hf_span(text, n > 0 ? (size_t)n : 0), size, resident;
    uint64_t pages;
    if (!hf_span_cut(&rest, ' ', &size) || !hf_span_cut(&rest, ' ', &resident) || hf_parse_u64(resident, 10, 0, UINT64_MAX, &pages) < 0)
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* ---- telling ---- */

static void rule_names(const struct hf_cost *c, const struct hf_budget_step *s, struct hf_buf *out)
{
    size_t told = 0;
    for (size_t i = 0; i < s->n_rules && out->n < RULES_TEXT; i++)
        for (size_t j = 0; j < c->n_rules; j++)
            if (c->rules[j].index == s->rules[i]) {
                hf_buf_addz(out, told++ ? "; " : "");
                hf_buf_adds(out, c->rules[j].rule->name);
            }
    if (told < s->n_rules)
        hf_buf_addf(out, "; %zu more", s->n_rules - told);
}

/* "rules given up: A; B", with what stops by it */
static void what(const struct hf_cost *c, const struct hf_budget_step *s, struct hf_buf *out)
{
    hf_autobuf types = HF_BUF_INIT(512), names = HF_BUF_INIT(RECORD_MAX);
    hf_cost_types_text(s->types, &types);
    rule_names(c, s, &names);
    if (s->kind == HF_BUDGET_STUCK) {
        hf_buf_addz(out, "over the budget, and nothing that may be given up would help");
    } else if (s->kind == HF_BUDGET_PACE) {
        hf_buf_addz(out, s->back ? "large files are hashed as fast as before" : "large files are hashed slowly, so that verdicts on them come late; where a policy is enforced nobody waits longer");
    } else if (s->kind == HF_BUDGET_LIMIT) {
        hf_buf_addf(out, "ordinary events of %s %s", s->container[0] ? s->container : "a container", s->per_s ? "limited" : "not limited any more");
        if (s->per_s)
            hf_buf_addf(out, " to %llu a second", (unsigned long long)s->per_s);
    } else {
        if (names.n) {
            hf_buf_addf(out, "%s %s: ", s->n_rules == 1 ? "rule" : "rules", s->back ? "back" : "given up");
            hf_buf_adds(out, hf_buf_span(&names));
        }
        if (types.n) {
            hf_buf_addf(out, "%sevents %s: ", names.n ? "; " : "", s->back ? "told again" : "left out");
            hf_buf_adds(out, hf_buf_span(&types));
        }
    }
}

static void reason(const struct hf_keep *k, const struct hf_budget_step *s, struct hf_buf *out)
{
    hf_buf_addf(out, "watching costs %.2f %% of a core, budget %.2f %%", s->cost_ns / CORE, k->o.budget_ns / CORE);
    if (!s->back && s->cgroup_id)
        hf_buf_addf(out, "; container %s makes %.0f %% of the events", s->container[0] ? s->container : "without a name", s->share_pct);
}

static void tell(struct hf_keep *k, const struct hf_cost *c, const struct hf_budget_step *s)
{
    static const char *const states[] = {"limited", "left_out", "shed", "over_budget", "paced"};
    hf_autobuf text = HF_BUF_INIT(RECORD_MAX), why = HF_BUF_INIT(1024), types = HF_BUF_INIT(512), names = HF_BUF_INIT(RECORD_MAX);
    what(c, s, &text);
    reason(k, s, &why);
    hf_log(s->back ? HF_LOG_NOTICE : HF_LOG_WARNING, s->back ? "budget_restored" : "budget", "%.*s (%.*s)", HF_SPAN_ARG(hf_buf_span(&text)), HF_SPAN_ARG(hf_buf_span(&why)));
    hf_pairs_begin(&k->record, HF_EV_STATUS, s->back ? 0 : s->cgroup_id);
    hf_pairs_add(&k->record, "state", hf_span_z(s->back ? "restored" : states[s->kind]));
    hf_pairs_add(&k->record, "what", hf_buf_span(&text));
    hf_pairs_add(&k->record, "reason", hf_buf_span(&why));
    rule_names(c, s, &names);
    if (names.n)
        hf_pairs_add(&k->record, "rules", hf_buf_span(&names));
    if (s->n_rules)
        hf_pairs_add(&k->record, "severity", hf_span_z(hf_alert_severity_name(s->severity)));
    hf_cost_types_text(s->types, &types);
    if (types.n)
        hf_pairs_add(&k->record, "events", hf_buf_span(&types));
    if (s->cgroup_id)
        hf_pairs_add(&k->record, "container", hf_span_z(s->container));
    if (s->cgroup_id && !s->back)
        hf_pairs_addf(&k->record, "share_pct", "%.0f", s->share_pct);
    if (s->per_s)
        hf_pairs_addf(&k->record, "per_s", "%llu", (unsigned long long)s->per_s);
    hf_pairs_addf(&k->record, "cost_pct", "%.2f", s->cost_ns / CORE);
    hf_pairs_addf(&k->record, "budget_pct", "%.2f", k->o.budget_ns / CORE);
    if (s->saves_ns > 0)
        hf_pairs_addf(&k->record, "saves_pct", "%.2f", s->saves_ns / CORE);
    (void)hf_pairs_end(&k->record);
}

const struct hf_cost *hf_keep_status(struct hf_keep *k, struct hf_span pairs, struct hf_engine *e, uint64_t boot_ns, uint64_t time_ns)
{
    const struct hf_cost *c = hf_cost_meter_status(k->meter, pairs, e, own_cpu_ns(), own_rss_kib(k), boot_ns);
    if (!c)
        return NULL;
    const struct hf_budget_step *s = hf_budget_tick(k->budget, c, time_ns);
    k->near = hf_budget_near(k->budget, c);
    if (!s)
        return c;
    for (size_t i = 0; e && i < s->n_rules; i++)
        hf_engine_shed(e, s->rules[i], !s->back);
    tell(k, c, s);
    return c;
}

void hf_keep_restart(struct hf_keep *k)
{
    hf_cost_meter_restart(k->meter);
    hf_budget_restart(k->budget);
    k->asked.seq = ~0ull; /* asked for in any case: who needs the hooks may have changed */
}

uint64_t hf_keep_left_out(const struct hf_keep *k)
{
    return k->asked.shed_container;
}

const struct hf_budget *hf_keep_budget(const struct hf_keep *k)
{
    return k->budget;
}

/* Hooks on demand that the rules which are not given up need. */
static uint64_t demand(const struct hf_engine *e, uint64_t *ret_cheap)
{
    *ret_cheap = 0;
    size_t n = e ? hf_engine_costs(e, NULL, 0) : 0;
    hf_autofree struct hf_rule_cost *rules = n && n <= ALL_RULES ? calloc(n, sizeof *rules) : NULL;
    uint64_t needs = 0;
    if (!rules)
        return n ? hf_rules_demand(hf_engine_rules(e), ret_cheap) : 0;
    (void)hf_engine_costs(e, rules, n);
    for (size_t i = 0; i < n; i++)
        if (!rules[i].shed)
            *(rules[i].rule->cheap_hooks ? ret_cheap : &needs) |= hf_rule_demand(rules[i].rule);
    return needs;
}

bool hf_keep_ask(struct hf_keep *k, const struct hf_engine *e, struct hf_ask *ask)
{
    uint64_t needed = e ? hf_classes_types(hf_engine_needs(e)) : 0;
    struct hf_budget_limit limits[HF_BUDGET_LIMITS];
    size_t n = hf_budget_limits(k->budget, limits);
    struct hf_ask a = {.flags = (k->o.always || k->near ? HF_ASK_COSTS : 0) | (hf_budget_paced(k->budget) ? HF_ASK_PACE : 0)};
    a.demand = demand(e, &a.demand_cheap) | k->o.demand;
    a.shed_container = a.shed_host = ((k->o.left_out & ~needed) | hf_budget_types(k->budget)) & SHEDDABLE;
    _Static_assert(HF_BUDGET_LIMITS <= HF_ASK_LIMITS && HF_BUDGET_LIMIT_MIN >= HF_ASK_LIMIT_MIN, "what is decided can be asked for");
    for (size_t i = 0; i < n; i++)
        a.limits[i] = (struct hf_ask_limit){limits[i].cgroup_id, limits[i].per_s};
    bool other = memcmp(&a, &k->asked, sizeof a) != 0;
    k->asked = a;
    a.seq = ask->seq;
    *ask = a;
    return other;
}

struct hf_span hf_keep_record(struct hf_keep *k)
{
    hf_buf_clear(&k->given);
    hf_buf_adds(&k->given, hf_buf_span(&k->record));
    hf_buf_clear(&k->record);
    return hf_buf_ok(&k->given) ? hf_buf_span(&k->given) : hf_span(NULL, 0);
}
