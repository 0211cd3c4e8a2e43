// SPDX-License-Identifier: Apache-2.0
/* Cost of rules by a clock that the test moves; what of it and of the sensor's numbers the meter makes: rates, shares of hooks, busiest containers. */
#include "detect/cost.h"
#include "tap.h"

static uint64_t clock_now;

static uint64_t test_clock(void *ctx)
{
    (void)ctx;
    return clock_now;
}

/* Asked for by conditions on user.name: takes 700 ns. */
static struct hf_span slow_name(void *ctx, uint32_t id, bool group)
{
    (void)ctx;
    (void)id;
    (void)group;
    clock_now += 700;
    return HF_S("somebody");
}

static void no_alert(void *ctx, const struct hf_alert *a)
{
    (void)ctx;
    (void)a;
}

static struct hf_container box = {.cgroup_id = 5, .index = 1, .id = {"0123456789abcdef", 16}, .name = {"web", 3}, .known = true};
static struct hf_container other = {.cgroup_id = 6, .index = 2, .id = {"fedcba9876543210", 16}, .name = {"flood", 5}, .known = true};
static struct hf_proc shell = {.pid = 11, .comm = {"sh", 2}, .exe = {"/bin/sh", 7}, .container = &box};

static struct hf_event event(unsigned type, uint64_t seq, struct hf_container *c)
{
    struct hf_event ev = {.type = type, .seq = seq, .time_ns = 1000000000000u + seq, .proc = &shell, .container = c};
    ev.u.hdr.type = (uint16_t)type;
    if (type == HF_EV_FILE)
        ev.u.file.op = HF_FILE_WRITE;
    return ev;
}

static struct hf_engine *engine(const char *text)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_rules *r = NULL;
    struct hf_engine *e = NULL;
    struct hf_engine_opts o = {.alert = no_alert, .user_name = slow_name, .seed = 7, .clock_ns = test_clock};
    if (hf_rules_new(&r, NULL, &err) < 0 || hf_rules_add(r, "t.yaml", hf_span_z(text), &err) < 0 || hf_engine_new(&e, r, &o, NULL, &err) < 0) {

        printf("Bail out! %s\n", err.msg);
        exit(1);
    }
    return e;
}

static const char rules[] = "- rule: slow\n  desc: d\n  condition: evt.type = open and user.name = nobody\n  output: o\n  priority: LOW\n"
                            "- rule: quick\n  desc: d\n  condition: evt.type = open and proc.name = sh\n  output: o\n  priority: HIGH\n  once: 1h\n"
                            "- rule: counts\n  desc: d\n  condition: evt.type in (execve, connect)\n  count: 100\n  output: o\n  priority: CRITICAL\n"
                            "- rule: listens\n  desc: d\n  condition: evt.type = listen\n  output: o\n  priority: LOW\n";
enum { SLOW, QUICK, COUNTS, LISTENS };

static void costs_of_rules(void)
{
    struct hf_engine *e = engine(rules);
    struct hf_rule_cost c[4];
    OK(e && hf_engine_costs(e, NULL, 0) == 4);
    for (uint64_t i = 1; i <= 6400; i++) {
        struct hf_event ev = event(HF_EV_FILE, i, &box);
        hf_engine_event(e, &ev);
    }
    EQ_U(hf_engine_costs(e, c, 4), 4);
    EQ_U(c[SLOW].looks, 6400);
    EQ_U(c[SLOW].matches, 0);
    OK(c[SLOW].timed > 60 && c[SLOW].timed < 140); /* about one event of 64 */
    EQ_U(c[SLOW].timed_ns, c[SLOW].timed * 700);
    EQ_U(c[SLOW].ns, 6400u * 700);
    EQ_U(c[QUICK].ns, 0); /* the clock does not move meanwhile */
    EQ_U(c[QUICK].matches, 6400);
    EQ_U(c[QUICK].alerts, 1); /* the others were folded */
    EQ_U(c[QUICK].last_match_ns, 1000000006400u);
    EQ_U(c[COUNTS].looks, 0);
    EQ_U(c[SLOW].state_bytes, 0);
    OK(c[COUNTS].state_bytes > 0);
    uint64_t open = HF_CLASS_BIT(HF_CLASS_FILE + HF_FILE_OPEN), listen = HF_CLASS_BIT(HF_CLASS_NET + HF_NET_LISTEN);
    OK((hf_engine_needs(e) & open) && (hf_engine_needs(e) & listen));
    hf_engine_shed(e, SLOW, true);
    hf_engine_shed(e, LISTENS, true);
    hf_engine_shed(e, 99, true);
    OK((hf_engine_needs(e) & open) && !(hf_engine_needs(e) & listen));
    struct hf_event ev = event(HF_EV_FILE, 7000, &box);
    EQ_U(hf_engine_event(e, &ev), 1);
    hf_engine_costs(e, c, 4);
    OK(c[SLOW].shed && c[SLOW].looks == 6400 && !c[QUICK].shed && c[QUICK].looks == 6401);
    hf_engine_shed(e, SLOW, false);
    hf_engine_event(e, &ev);
    hf_engine_costs(e, c, 4);
    EQ_U(c[SLOW].looks, 6401);
    hf_engine_free(e);
}

static void add_pair(struct hf_buf *b, const char *name, const char *value)
{
    hf_buf_add(b, name, strlen(name) + 1);
    hf_buf_add(b, value, strlen(value) + 1);
}

static void status(struct hf_buf *b, const char *seen, bool measured)
{
    hf_buf_clear(b);
    add_pair(b, "state", "running");
    add_pair(b, "sensor_cpu_ns_per_s", "2000000");
    add_pair(b, "hooks_ns_per_s", "5000000");
    add_pair(b, "sensor_rss_kib", "20000");
    add_pair(b, "guard_cpu_ns_per_s", "4000000");
    add_pair(b, "guard_hash_ns_per_s", "3000000");
    add_pair(b, "guard_large_ns_per_s", "2000000");
    add_pair(b, "guard_hooks_ns_per_s", "1000000");
    add_pair(b, "guard_hashed_bytes_per_s", "123456789");
    add_pair(b, "guard_verdicts_per_s", "12");
    add_pair(b, "seen", seen);
    add_pair(b, "sent", "40");
    add_pair(b, "deduplicated", "3");
    add_pair(b, "lost", "1");
    if (!measured)
        return;
    add_pair(b, "cost.measured", "1");
    add_pair(b, "cost.hf_connect", "100 1000000 40"); /* NET: bit 6 */
    add_pair(b, "cost.hf_exec", "10 600000 2");
    add_pair(b, "cost.hf_fork", "10 200000 4");
    add_pair(b, "cost.hf_egress", "1000 3200000 8000000000000080"); /* PAYLOAD, RATE: no rule needs them */
    add_pair(b, "cost.bad", "x");
    add_pair(b, "cost.worse", "1 2 zz");
}

static const struct hf_cost_rule *rule(const struct hf_cost *c, size_t index)
{
    static const struct hf_cost_rule none;
    for (size_t i = 0; i < c->n_rules; i++)
        if (c->rules[i].index == index)
            return &c->rules[i];
    return &none;
}

static void the_meter(void)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_cost_meter *m = NULL;
    struct hf_engine *e = engine(rules);
    hf_autobuf b = HF_BUF_INIT(65536), types = HF_BUF_INIT(256);
    OK(hf_cost_meter_new(&m, &err) == 0);
    add_pair(&b, "state", "started");
    OK(!hf_cost_meter_status(m, hf_buf_span(&b), e, 0, 0, 1000000000u));
    status(&b, "100", true);
    OK(!hf_cost_meter_status(m, hf_buf_span(&b), e, 5000000, 6000, 2000000000u)); /* nothing to compare with */
    for (uint64_t i = 1; i <= 6400; i++) {
        struct hf_event ev = event(HF_EV_FILE, i, i % 10 ? &other : &box);
        hf_engine_event(e, &ev);
        hf_cost_meter_event(m, &ev);
    }
    status(&b, "300", true);
    const struct hf_cost *c = hf_cost_meter_status(m, hf_buf_span(&b), e, 25000000, 7000, 4000000000u);
    if (!OK(c != NULL))
        return;
    OK(c->measured && c->seconds > 1.99 && c->seconds < 2.01);
    EQ_U(c->engine_ns, 10000000); /* 20 ms in two seconds */
    EQ_U(c->sensor_ns, 2000000);
    EQ_U(c->hooks_ns, 5000000);
    EQ_U(hf_cost_total_ns(c), 22000000);
    OK(c->guard_ns == 4e6 && c->guard_hash_ns == 3e6 && c->guard_large_ns == 2e6 && c->guard_hooks_ns == 1e6 && c->guard_bytes == 123456789 && c->guard_verdicts == 12);
    EQ_U(c->seen, 100);
    EQ_U(c->sent, 0); /* as many as before */
    EQ_U(c->events, 3200);
    EQ_U(c->type_events[HF_EV_FILE], 3200);
    EQ_U(c->engine_rss_kib, 7000);
    EQ_U(c->n_hooks, 4); /* those that cannot be read are not taken */
    EQ_S(hf_span_z(c->hooks[0].name), "hf_egress");
    EQ_U(c->hooks[0].rules, 0);
    EQ_U(c->display_ns, 3200000);
    EQ_U(c->tree_ns, 200000); /* forks: no rule needs them, the process tree does */
    EQ_U(rule(c, COUNTS)->hooks_ns, 500000 + 600000); /* connect with the other one that listens, exec alone */
    EQ_U(rule(c, LISTENS)->hooks_ns, 500000);
    EQ_U(rule(c, SLOW)->hooks_ns, 0);
    EQ_U(rule(c, SLOW)->looks, 3200);
    EQ_U(rule(c, SLOW)->each_ns, 700);
    EQ_U(c->rules_ns, 3200 * 700);
    EQ_S(c->rules[0].rule->name, "slow"); /* dearest first */
    EQ_U(c->n_groups, 2);
    EQ_S(hf_span_z(c->groups[0].name), "flood");
    EQ_U(c->groups[0].events, 2880);
    EQ_U(c->groups[1].events, 320);
    hf_cost_types_text(c->hooks[0].types, &types);
    EQ_S(hf_buf_span(&types), "payload, rate");
    /* what was measured stays until it is measured again; who is off pays nothing */
    hf_engine_shed(e, LISTENS, true);
    status(&b, "300", false);
    c = hf_cost_meter_status(m, hf_buf_span(&b), e, 25000000, 7000, 5000000000u);
    if (!OK(c != NULL))
        return;
    OK(!c->measured);
    EQ_U(c->n_hooks, 4);
    EQ_U(c->n_groups, 0);
    EQ_U(rule(c, LISTENS)->hooks_ns, 0);
    EQ_U(rule(c, COUNTS)->hooks_ns, 1000000 + 600000);
    OK(rule(c, SLOW)->looks < 1 && rule(c, SLOW)->each_ns > 699);
    c = hf_cost_meter_status(m, hf_buf_span(&b), NULL, 25000000, 7000, 6000000000u);
    if (!OK(c != NULL))
        return;
    EQ_U(c->n_rules, 0);
    EQ_U(c->display_ns, 3200000 + 1000000);
    EQ_U(c->tree_ns, 800000);
    hf_cost_meter_free(m);
    hf_engine_free(e);
}

static void who_remembers_for_whom(void)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_cost_meter *m = NULL;
    struct hf_engine *e = engine("- macro: m\n  condition: hf.remembered[b] = true\n"
                                 "- rule: remembers a\n  desc: d\n  condition: evt.type = listen\n  remember: a\n"
                                 "- rule: remembers b\n  desc: d\n  condition: evt.type = execve and hf.remembered[a] = true\n  remember: b\n"
                                 "- rule: asks\n  desc: d\n  condition: evt.type = procexit and not m\n  output: o\n  priority: LOW\n"
                                 "- rule: none\n  desc: d\n  condition: evt.type = fork\n  output: o\n  priority: LOW\n");
    hf_autobuf b = HF_BUF_INIT(65536);
    OK(hf_cost_meter_new(&m, &err) == 0);
    status(&b, "1", false);
    (void)hf_cost_meter_status(m, hf_buf_span(&b), e, 0, 0, 1000000000u);
    const struct hf_cost *c = hf_cost_meter_status(m, hf_buf_span(&b), e, 0, 0, 2000000000u);
    if (!OK(c != NULL && c->n_rules == 4))
        return;
    EQ_U(rule(c, 0)->remembers, 1);
    EQ_U(rule(c, 1)->remembers, 2);
    EQ_U(rule(c, 2)->uses, 3); /* b through the macro, a through b */
    EQ_U(rule(c, 2)->types, 1ull << HF_EV_EXIT);
    EQ_U(rule(c, 2)->needs, 1ull << HF_EV_EXIT | 1ull << HF_EV_EXEC | 1ull << HF_EV_NET);
    EQ_U(rule(c, 3)->uses, 0);
    EQ_U(rule(c, 3)->needs, 1ull << HF_EV_FORK);
    hf_cost_meter_free(m);
    hf_engine_free(e);
}

static void types_of_classes(void)
{
    EQ_U(hf_classes_types(0), 0);
    EQ_U(hf_classes_types(HF_CLASS_BIT(HF_CLASS_DUP) | HF_CLASS_BIT(HF_CLASS_EXEC)), 1ull << HF_EV_EXEC);
    EQ_U(hf_classes_types(HF_CLASS_BIT(HF_CLASS_FILE + HF_FILE_CONNECT) | HF_CLASS_BIT(HF_CLASS_NET + HF_NET_SEND)), 1ull << HF_EV_FILE | 1ull << HF_EV_NET);
    EQ_U(hf_classes_types(HF_CLASS_BIT(HF_CLASS_RATE) | HF_CLASS_BIT(HF_CLASS_LOSS) | HF_CLASS_BIT(HF_CLASS_CRED)), HF_SET_RATE);
}

int main(void)
{
    costs_of_rules();
    the_meter();
    who_remembers_for_whom();
    types_of_classes();
    return tap_done();
}
