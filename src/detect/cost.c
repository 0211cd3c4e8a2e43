// SPDX-License-Identifier: Apache-2.0
#include "detect/cost.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define GROUPS 4096u       /* containers counted, by their small number; those beyond share */
#define RULES_MAX 4096u
#define DEPTH_MAX 64u      /* of macros within macros; compiling allows less */
#define FEW 3.0           /* timed looks that say little */
#define KEEP 0.9           /* of what was known of a rule's time a second ago */

struct count {
    uint64_t cgroup_id, n, before;
    char name[80];
};

struct rule_before {
    uint64_t looks, matches, timed, timed_ns;
    double timed_lately, ns_lately; /* weighted sums, for the time of one look */
};

struct links { /* between rules that remember and rules that ask them */
    uint64_t remembers, uses, needs;
};

struct totals { /* of the sensor, since its start */
    uint64_t seen, sent, deduped, lost;
};

struct hf_cost_meter {
    struct hf_cost cost;
    struct hf_rule_cost *now;
    struct rule_before *before;
    struct links *links;
    size_t rules_cap, linked; /* linked: for so many rules that is known */
    struct totals totals;
    uint64_t types[64], cpu_ns, at_ns;
    bool begun;
    struct count groups[GROUPS];
};

int hf_cost_meter_new(struct hf_cost_meter **ret, struct hf_err *err)
{
    struct hf_cost_meter *m = calloc(1, sizeof *m);
    if (!m)
        return hf_fail(err, -ENOMEM, "no memory to measure the cost");
    *ret = m;
    return 0;
}

void hf_cost_meter_free(struct hf_cost_meter *m)
{
    if (!m)
        return;
    free(m->cost.rules);
    free(m->now);
    free(m->before);
    free(m->links);
    free(m);
}

void hf_cost_meter_restart(struct hf_cost_meter *m)
{
    m->cost.n_rules = m->linked = 0;
    if (m->before)
        memset(m->before, 0, m->rules_cap * sizeof *m->before);
}

void hf_cost_meter_event(struct hf_cost_meter *m, const struct hf_event *ev)
{
    const struct hf_container *c = ev->container;
    m->types[ev->type == HF_EV_RATE ? 63 : ev->type & 63]++;
    if (!c || ev->type >= 64 || ev->type == HF_EV_EXEC || (ev->u.hdr.flags & HF_F_CRITICAL))
        return;
    struct count *k = &m->groups[c->index % GROUPS];
    if (k->cgroup_id != c->cgroup_id) {
        *k = (struct count){.cgroup_id = c->cgroup_id};
        snprintf(k->name, sizeof k->name, "%.*s", HF_SPAN_ARG(c->name));
    }
    k->n++;
}

/* ---- what the sensor says ---- */

static uint64_t number(struct hf_span s)
{
    uint64_t n;
    return hf_parse_u64(s, 10, 0, UINT64_MAX, &n) < 0 ? 0 : n;
}

/* "RUNS NS TYPES" of the interval, a second; TYPES hexadecimal. */
static void hook(struct hf_cost *c, struct hf_span name, struct hf_span value)
{
    struct hf_span rest = value, runs, ns;
    uint64_t types;
    if (c->n_hooks == HF_COST_HOOKS || !hf_span_cut(&rest, ' ', &runs) || !hf_span_cut(&rest, ' ', &ns) || hf_parse_u64(rest, 16, 0, UINT64_MAX, &types) < 0)
        return;
    struct hf_cost_hook *h = &c->hooks[c->n_hooks++];
    *h = (struct hf_cost_hook){.types = types, .runs = (double)number(runs), .ns = (double)number(ns)};
    snprintf(h->name, sizeof h->name, "%.*s", HF_SPAN_ARG(name));
}

static bool of_guard(struct hf_cost *c, struct hf_span name, struct hf_span value)
{
    const struct {
        const char *name;
        double *to;
    } all[] = {{"guard_cpu_ns_per_s", &c->guard_ns}, {"guard_hooks_ns_per_s", &c->guard_hooks_ns}, {"guard_hash_ns_per_s", &c->guard_hash_ns}, {"guard_large_ns_per_s", &c->guard_large_ns},
            {"guard_hashed_bytes_per_s", &c->guard_bytes}, {"guard_verdicts_per_s", &c->guard_verdicts}};
    for (size_t i = 0; i < HF_ARRAY_LEN(all); i++)
        if (hf_span_eqz(name, all[i].name)) {
            *all[i].to = (double)number(value);
            return true;
        }
    return false;
}

static bool read_pairs(struct hf_cost *c, struct hf_span pairs, struct totals *t)
{
    struct hf_span rest = pairs, name, value;
    bool running = false, measured = false;
    while (hf_event_pair(&rest, &name, &value)) {
        running |= hf_span_eqz(name, "state") && hf_span_eqz(value, "running");
        measured |= hf_span_eqz(name, "cost.measured");
    }
    if (!running)
        return false;
    c->measured = measured;
    if (measured)
        c->n_hooks = 0;
    for (rest = pairs; hf_event_pair(&rest, &name, &value);) {
        if (measured && hf_span_starts(name, HF_S("cost.")))
            hook(c, hf_span_from(name, 5), value);
        else if (of_guard(c, name, value))
            continue;
        else if (hf_span_eqz(name, "sensor_cpu_ns_per_s"))
            c->sensor_ns = (double)number(value);
        else if (hf_span_eqz(name, "sensor_files_ns_per_s"))
            c->files_ns = (double)number(value);
        else if (hf_span_eqz(name, "hooks_ns_per_s"))
            c->hooks_ns = (double)number(value);
        else if (hf_span_eqz(name, "sensor_rss_kib"))
            c->sensor_rss_kib = number(value);
        else if (hf_span_eqz(name, "kernel_bytes"))
            c->kernel_bytes = number(value);
        else if (hf_span_eqz(name, "seen"))
            t->seen = number(value);
        else if (hf_span_eqz(name, "sent"))
            t->sent = number(value);
        else if (hf_span_eqz(name, "deduplicated"))
            t->deduped = number(value);
        else if (hf_span_eqz(name, "lost"))
            t->lost = number(value);
    }
    return true;
}

/* ---- rates ---- */

static double rate(uint64_t now, uint64_t *before, double seconds)
{
    double r = now > *before ? (double)(now - *before) / seconds : 0;
    *before = now;
    return r;
}

static bool room(struct hf_cost_meter *m, size_t n)
{
    if (n <= m->rules_cap)
        return true;
    if (n > RULES_MAX)
        return false;
    struct hf_cost_rule *rules = realloc(m->cost.rules, n * sizeof *rules);
    m->cost.rules = rules ? rules : m->cost.rules;
    struct hf_rule_cost *now = realloc(m->now, n * sizeof *now);
    m->now = now ? now : m->now;
    struct rule_before *before = realloc(m->before, n * sizeof *before);
    m->before = before ? before : m->before;
    struct links *links = realloc(m->links, n * sizeof *links);
    m->links = links ? links : m->links;
    if (!rules || !now || !before || !links)
        return false;
    memset(before + m->rules_cap, 0, (n - m->rules_cap) * sizeof *before);
    m->rules_cap = n;
    return true;
}

static bool asks_memory(const struct hf_prog *p, struct hf_span name, unsigned depth)
{
    if (!p || depth > DEPTH_MAX)
        return false;
    if (p->kind == HF_COND_CHECK && p->field && (!strcmp(p->field->name, "hf.remembered") || !strcmp(p->field->name, "hf.parent_remembered")) && hf_span_eq(p->arg, name))
        return true;
    for (size_t i = 0; i < p->n_parts; i++)
        if (asks_memory(p->parts[i], name, depth + 1))
            return true;
    return asks_memory(p->macro, name, depth + 1);
}

static bool uses_memory(const struct hf_rule *r, struct hf_span name)
{
    bool any = asks_memory(r->prog, name, 0);
    for (size_t i = 0; i < r->n_steps && !any; i++)
        any = asks_memory(r->steps[i], name, 0);
    return any;
}

/* Who remembers for whom, once for a set of rules.  More than 64 that remember: the last bit is all of the rest together. */
static void link_rules(struct hf_cost_meter *m, size_t n)
{
    unsigned bits = 0;
    memset(m->links, 0, n * sizeof *m->links);
    for (size_t i = 0; i < n; i++) {
        struct hf_span name = m->now[i].rule->remember;
        if (!name.n)
            continue;
        m->links[i].remembers = 1ull << HF_MIN(bits, 63u);
        bits++;
        for (size_t k = 0; k < n; k++)
            if (uses_memory(m->now[k].rule, name))
                m->links[k].uses |= m->links[i].remembers;
    }
    for (bool more = true; more;) { /* what remembers may ask itself */
        more = false;
        for (size_t k = 0; k < n; k++)
            for (size_t i = 0; i < n; i++)
                if ((m->links[k].uses & m->links[i].remembers) && (m->links[i].uses & ~m->links[k].uses)) {
                    m->links[k].uses |= m->links[i].uses;
                    more = true;
                }
    }
    for (size_t i = 0; i < n; i++) {
        m->links[i].needs = hf_classes_types(m->now[i].rule->classes);
        for (size_t k = 0; k < n; k++)
            if (m->links[i].uses & m->links[k].remembers)
                m->links[i].needs |= hf_classes_types(m->now[k].rule->classes);
    }
    m->linked = n;
}

static void one_rule(struct hf_cost_meter *m, size_t i, double seconds)
{
    struct hf_cost *c = &m->cost;
    const struct hf_rule_cost *now = &m->now[i];
    struct rule_before *b = &m->before[i];
    struct hf_cost_rule r = {.rule = now->rule, .index = i, .types = hf_classes_types(now->rule->classes), .all_matches = now->matches, .all_alerts = now->alerts,
            .needs = m->links[i].needs, .remembers = m->links[i].remembers, .uses = m->links[i].uses, .last_match_ns = now->last_match_ns, .state_bytes = now->state_bytes, .shed = now->shed};
    r.looks = rate(now->looks, &b->looks, seconds);
    r.matches = rate(now->matches, &b->matches, seconds);
    b->timed_lately = b->timed_lately * KEEP + (double)(now->timed - HF_MIN(b->timed, now->timed));
    b->ns_lately = b->ns_lately * KEEP + (double)(now->timed_ns - HF_MIN(b->timed_ns, now->timed_ns));
    b->timed = now->timed;
    b->timed_ns = now->timed_ns;
    if (b->timed_lately > FEW)
        r.each_ns = b->ns_lately / b->timed_lately;
    else if (now->timed) /* hardly timed lately: what it was on the whole */
        r.each_ns = (double)now->timed_ns / (double)now->timed;
    r.own_ns = r.looks * r.each_ns;
    c->rules_ns += r.own_ns;
    c->state_bytes += r.state_bytes;
    c->rules[i] = r;
}

static int dearest_rule(const void *pa, const void *pb)
{
    const struct hf_cost_rule *a = pa, *b = pb;
    double x = a->own_ns + a->hooks_ns, y = b->own_ns + b->hooks_ns;
    return x > y ? -1 : x < y ? 1 : a->index < b->index ? -1 : a->index > b->index;
}

static int dearest_hook(const void *pa, const void *pb)
{
    const struct hf_cost_hook *a = pa, *b = pb;
    return a->ns > b->ns ? -1 : a->ns < b->ns ? 1 : strcmp(a->name, b->name);
}

static void share_hooks(struct hf_cost *c)
{
    c->tree_ns = c->display_ns = 0;
    for (size_t k = 0; k < c->n_hooks; k++) {
        struct hf_cost_hook *h = &c->hooks[k];
        h->rules = 0;
        for (size_t i = 0; i < c->n_rules; i++)
            h->rules += !c->rules[i].shed && (c->rules[i].types & h->types);
        if (!h->rules && (h->types & HF_COST_TREE || !h->types))
            c->tree_ns += h->ns;
        else if (!h->rules)
            c->display_ns += h->ns;
        for (size_t i = 0; i < c->n_rules && h->rules; i++)
            if (!c->rules[i].shed && (c->rules[i].types & h->types))
                c->rules[i].hooks_ns += h->ns / (double)h->rules;
    }
}

static void busiest(struct hf_cost_meter *m, double seconds)
{
    struct hf_cost *c = &m->cost;
    c->n_groups = 0;
    for (size_t i = 0; i < GROUPS; i++) {
        struct count *k = &m->groups[i];
        if (k->n == k->before)
            continue;
        struct hf_cost_group g = {.cgroup_id = k->cgroup_id, .events = rate(k->n, &k->before, seconds)};
        size_t at = c->n_groups;
        while (at > 0 && c->groups[at - 1].events < g.events)
            at--;
        if (at == HF_COST_GROUPS)
            continue;
        memcpy(g.name, k->name, sizeof g.name);
        c->n_groups = HF_MIN(c->n_groups + 1, (size_t)HF_COST_GROUPS);
        memmove(&c->groups[at + 1], &c->groups[at], (c->n_groups - 1 - at) * sizeof g);
        c->groups[at] = g;
    }
}

const struct hf_cost *hf_cost_meter_status(struct hf_cost_meter *m, struct hf_span pairs, const struct hf_engine *e, uint64_t cpu_ns, uint64_t rss_kib, uint64_t now_ns)
{
    struct hf_cost *c = &m->cost;
    struct totals t = m->totals;
    if (!read_pairs(c, pairs, &t))
        return NULL;
    double seconds = now_ns > m->at_ns ? (double)(now_ns - m->at_ns) / 1e9 : 1;
    m->at_ns = now_ns;
    c->seconds = seconds;
    c->engine_ns = rate(cpu_ns, &m->cpu_ns, seconds);
    c->engine_rss_kib = rss_kib;
    c->seen = rate(t.seen, &m->totals.seen, seconds);
    c->sent = rate(t.sent, &m->totals.sent, seconds);
    c->deduped = rate(t.deduped, &m->totals.deduped, seconds);
    c->lost = rate(t.lost, &m->totals.lost, seconds);
    c->events = c->rules_ns = 0;
    c->state_bytes = 0;
    for (unsigned i = 0; i < 64; i++) {
        c->type_events[i] = (double)m->types[i] / seconds;
        c->events += c->type_events[i];
        m->types[i] = 0;
    }
    busiest(m, seconds);
    size_t n = e ? hf_engine_costs(e, NULL, 0) : 0;
    c->n_rules = room(m, n) ? n : 0;
    if (c->n_rules)
        (void)hf_engine_costs(e, m->now, n);
    if (c->n_rules && m->linked != n)
        link_rules(m, n);
    for (size_t i = 0; i < c->n_rules; i++)
        one_rule(m, i, seconds);
    share_hooks(c);
    if (c->n_rules)
        qsort(c->rules, c->n_rules, sizeof *c->rules, dearest_rule);
    qsort(c->hooks, c->n_hooks, sizeof *c->hooks, dearest_hook);
    bool first = !m->begun;
    m->begun = true;
    return first ? NULL : c;
}

void hf_cost_types_text(uint64_t types, struct hf_buf *out)
{
    bool any = false;
    for (unsigned i = 1; i < 64; i++)
        if (types & (1ull << i)) {
            hf_buf_addz(out, any ? ", " : "");
            hf_buf_addz(out, i == 63 ? "rate" : hf_event_type_name(i));
            any = true;
        }
}
