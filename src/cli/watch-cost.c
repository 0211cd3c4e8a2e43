// SPDX-License-Identifier: Apache-2.0
#include "cli/watch-cost.h"

#define CORE 10000000.0 /* ns of a second that are 1 % of a core */
#define HOOK_ROWS 12u
#define GROUP_ROWS 4u
#define WIDE 100u

static bool shown(const struct hf_cost_view *v, const struct hf_cost_rule *r)
{
    for (size_t i = 0; v->only && i < v->only->n; i++)
        if (hf_span_eqz(r->rule->name, v->only->v[i]))
            return true;
    return !v->only || !v->only->n;
}

static bool is_limited(const struct hf_cost_view *v, uint64_t cgroup_id, uint64_t *ret_per_s)
{
    for (size_t i = 0; i < v->n_limits; i++)
        if (v->limits[i].cgroup_id == cgroup_id) {
            *ret_per_s = v->limits[i].per_s;
            return true;
        }
    return false;
}

/* ---- for people ---- */

struct page {
    const struct hf_cost_view *v;
    struct hf_buf *out;
    bool wide;
};

static void style(const struct page *p, const char *code)
{
    if (p->v->colour)
        hf_buf_addz(p->out, code);
}

/* Text from outside, escaped and filled up. */
static void cell(const struct page *p, struct hf_span text, size_t width)
{
    size_t used = hf_buf_add_escaped(p->out, text, width);
    hf_buf_addf(p->out, "%*s", (int)(width - HF_MIN(used, width)), "");
}

static void total(const struct page *p, const struct hf_cost *c)
{
    double all = hf_cost_total_ns(c);
    bool over = p->v->budget_ns > 0 && all > p->v->budget_ns;
    style(p, over ? "\033[1;31m" : "\033[1m");
    hf_buf_addf(p->out, "%.2f %% of a core", all / CORE);
    style(p, "\033[0m");
    if (p->v->budget_ns > 0)
        hf_buf_addf(p->out, " (budget %.2f)", p->v->budget_ns / CORE);
    hf_buf_addf(p->out, ": sensor %.2f, rules and output %.2f, hooks %.2f\n", c->sensor_ns / CORE, c->engine_ns / CORE, (c->hooks_ns + c->guard_hooks_ns) / CORE);
    hf_buf_addf(p->out, "guard %.2f: %.0f verdicts a second, %.1f MB hashed in %.2f\n", c->guard_ns / CORE, c->guard_verdicts, c->guard_bytes / 1048576, c->guard_hash_ns / CORE);
    hf_buf_addf(p->out, "memory %.1f + %.1f MB, kernel %.1f MB, rules' state %.1f MB; %llu alerts\n", (double)c->sensor_rss_kib / 1024, (double)c->engine_rss_kib / 1024,
            (double)c->kernel_bytes / 1048576, (double)c->state_bytes / 1048576, (unsigned long long)p->v->alerts);
    hf_buf_addf(p->out, "events a second: %.0f seen, %.0f sent, %.0f held back as repeated, %.0f lost\n", c->seen, c->sent, c->deduped, c->lost);
    if (p->v->paced) {
        style(p, "\033[33m");
        hf_buf_addz(p->out, "large files are hashed slowly, but for policies that are enforced\n");
        style(p, "\033[0m");
    }
    for (size_t i = 0; i < p->v->n_limits; i++) {
        style(p, "\033[33m");
        hf_buf_addz(p->out, "limited: ");
        hf_buf_add_escaped(p->out, hf_span_z(p->v->limits[i].container), 40);
        hf_buf_addf(p->out, " to %llu events a second\n", (unsigned long long)p->v->limits[i].per_s);
        style(p, "\033[0m");
    }
    if (p->v->left_out) {
        style(p, "\033[33m");
        hf_buf_addz(p->out, "left out: ");
        hf_cost_types_text(p->v->left_out, p->out);
        hf_buf_addc(p->out, '\n');
        style(p, "\033[0m");
    }
}

static void heading(const struct page *p, const char *text)
{
    style(p, "\033[1m");
    hf_buf_addf(p->out, "\n%s\n", text);
    style(p, "\033[0m");
}

static void hooks(const struct page *p, const struct hf_cost *c)
{
    heading(p, p->wide ? "HOOK                            NS EACH      RUNS/S   % CORE  RULES  EVENTS" : "HOOK                            NS EACH    RUNS/S   % CORE  EVENTS");
    size_t n = HF_MIN(c->n_hooks, (size_t)HOOK_ROWS);
    double rest = 0;
    for (size_t i = 0; i < c->n_hooks; i++) {
        const struct hf_cost_hook *h = &c->hooks[i];
        if (i >= n) {
            rest += h->ns;
            continue;
        }
        cell(p, hf_span_z(h->name), 30);
        hf_buf_addf(p->out, p->wide ? "%9.0f%12.0f%9.3f" : "%9.0f%10.0f%9.3f", h->runs > 0 ? h->ns / h->runs : 0, h->runs, h->ns / CORE);
        if (p->wide)
            hf_buf_addf(p->out, "%7zu", h->rules);
        hf_autobuf types = HF_BUF_INIT(512);
        hf_cost_types_text(h->types, &types);
        hf_buf_addz(p->out, "  ");
        hf_buf_adds(p->out, hf_span_sub(hf_buf_span(&types), 0, p->wide ? 30 : 18));
        hf_buf_addc(p->out, '\n');
    }
    if (c->n_hooks > n) {
        cell(p, HF_S("(the rest)"), 30);
        hf_buf_addf(p->out, p->wide ? "%9s%12s%9.3f\n" : "%9s%10s%9.3f\n", "", "", rest / CORE);
    }
}

static void groups(const struct page *p, const struct hf_cost *c)
{
    uint64_t per_s = 0;
    size_t n = 0;
    for (size_t i = 0; i < c->n_groups && n < GROUP_ROWS; i++) {
        const struct hf_cost_group *g = &c->groups[i];
        if (p->v->container && strcmp(p->v->container, g->name) != 0)
            continue;
        if (!n++)
            heading(p, "CONTAINER                      EVENTS/S");
        cell(p, hf_span_z(g->name), 30);
        hf_buf_addf(p->out, "%9.0f", g->events);
        if (is_limited(p->v, g->cgroup_id, &per_s))
            hf_buf_addf(p->out, "  limited to %llu", (unsigned long long)per_s);
        hf_buf_addc(p->out, '\n');
    }
}

static void rule_row(const struct page *p, struct hf_span name, const struct hf_cost_rule *r, double own_ns, double hooks_ns)
{
    bool off = r && r->shed;
    style(p, off ? "\033[33m" : r && r->rule->severity >= HF_SEV_HIGH ? "\033[31m" : "");
    cell(p, name, p->wide ? 42 : 33);
    style(p, "\033[0m");
    if (r)
        hf_buf_addf(p->out, "%9.0f%7.0f%8llu", r->looks, r->each_ns, (unsigned long long)r->all_matches);
    else
        hf_buf_addf(p->out, "%24s", "");
    hf_buf_addf(p->out, "%8.3f%8.3f", own_ns / CORE, hooks_ns / CORE);
    if (p->wide) {
        hf_autobuf types = HF_BUF_INIT(512);
        hf_cost_types_text(r ? r->types : 0, &types);
        hf_buf_addz(p->out, off ? "  given up" : types.n ? "  " : "");
        if (!off)
            hf_buf_adds(p->out, types.n > 16 ? HF_S("several") : hf_buf_span(&types));
    } else if (off) {
        hf_buf_addz(p->out, "  off");
    }
    hf_buf_addc(p->out, '\n');
}

static void rules(const struct page *p, const struct hf_cost *c, size_t room)
{
    heading(p, p->wide ? "RULE                                         TRIED/S     NS    HELD  % CORE % HOOKS  NEEDS" : "RULE                                TRIED/S     NS    HELD  % CORE % HOOKS");
    double others = c->engine_ns - c->rules_ns, own = 0, share = 0;
    rule_row(p, HF_S("(reading, joining, output)"), NULL, c->sensor_ns - c->files_ns + HF_MAX(0.0, others), 0);
    rule_row(p, HF_S("(finding the watched files)"), NULL, c->files_ns, 0);
    rule_row(p, HF_S("(process tree)"), NULL, 0, c->tree_ns);
    rule_row(p, HF_S("(record and display)"), NULL, 0, c->display_ns);
    rule_row(p, HF_S("(guard: digests)"), NULL, c->guard_hash_ns, 0);
    rule_row(p, HF_S("(guard: verdicts, policies)"), NULL, HF_MAX(0.0, c->guard_ns - c->guard_hash_ns), c->guard_hooks_ns);
    size_t n = 0, all = 0;
    for (size_t i = 0; i < c->n_rules; i++)
        all += shown(p->v, &c->rules[i]);
    room = all <= room ? all : room > 0 ? room - 1 : 0;
    for (int off = 1; off >= 0; off--) /* first those that are given up: they are what matters */
        for (size_t i = 0; i < c->n_rules; i++) {
            const struct hf_cost_rule *r = &c->rules[i];
            if (r->shed != (off == 1) || !shown(p->v, r))
                continue;
            if (n++ < room) {
                rule_row(p, r->rule->name, r, r->own_ns, r->hooks_ns);
            } else {
                own += r->own_ns;
                share += r->hooks_ns;
            }
        }
    if (n > room) {
        hf_autobuf rest = HF_BUF_INIT(64);
        hf_buf_addf(&rest, "(%zu more rules)", n - room);
        rule_row(p, hf_buf_span(&rest), NULL, own, share);
    }
}

void hf_cost_table(const struct hf_cost *c, const struct hf_cost_view *v, struct hf_buf *out)
{
    struct page p = {.v = v, .out = out, .wide = (v->width ? v->width : WIDE) >= WIDE};
    size_t before = out->n, lines = 0;
    total(&p, c);
    hooks(&p, c);
    groups(&p, c);
    for (size_t i = before; i < out->n; i++)
        lines += out->p[i] == '\n';
    size_t used = lines + 9; /* heading, six rows that are no rules, the last line of a terminal */
    rules(&p, c, !v->rows ? SIZE_MAX : v->rows > used ? v->rows - used : 1);
}

/* ---- for programs ---- */

static void knum(struct hf_jw *w, const char *name, double v, unsigned decimals)
{
    hf_jw_key(w, name);
    hf_jw_fixed(w, v, decimals);
}

static void ktypes(struct hf_jw *w, const char *name, uint64_t types)
{
    hf_jw_key(w, name);
    hf_jw_array(w);
    for (unsigned i = 1; i < 64; i++)
        if (types & (1ull << i))
            hf_jw_strz(w, i == 63 ? "rate" : hf_event_type_name(i));
    hf_jw_array_end(w);
}

static void totals_json(const struct hf_cost *c, const struct hf_cost_view *v, struct hf_jw *w)
{
    knum(w, "core_pct", hf_cost_total_ns(c) / CORE, 4);
    knum(w, "budget_pct", v->budget_ns / CORE, 2);
    knum(w, "sensor_pct", c->sensor_ns / CORE, 4);
    knum(w, "files_pct", c->files_ns / CORE, 4);
    knum(w, "engine_pct", c->engine_ns / CORE, 4);
    knum(w, "hooks_pct", c->hooks_ns / CORE, 4);
    knum(w, "rules_pct", c->rules_ns / CORE, 4);
    knum(w, "guard_pct", c->guard_ns / CORE, 4);
    knum(w, "guard_hash_pct", c->guard_hash_ns / CORE, 4);
    knum(w, "guard_hooks_pct", c->guard_hooks_ns / CORE, 4);
    knum(w, "guard_hashed_bytes_per_s", c->guard_bytes, 0);
    knum(w, "guard_verdicts_per_s", c->guard_verdicts, 1);
    hf_jw_kbool(w, "guard_paced", v->paced);
    knum(w, "process_tree_pct", c->tree_ns / CORE, 4);
    knum(w, "record_display_pct", c->display_ns / CORE, 4);
    hf_jw_ku64(w, "sensor_rss_kib", c->sensor_rss_kib);
    hf_jw_ku64(w, "engine_rss_kib", c->engine_rss_kib);
    hf_jw_ku64(w, "kernel_bytes", c->kernel_bytes);
    hf_jw_ku64(w, "rules_state_bytes", c->state_bytes);
    knum(w, "seen_per_s", c->seen, 1);
    knum(w, "sent_per_s", c->sent, 1);
    knum(w, "deduplicated_per_s", c->deduped, 1);
    knum(w, "lost_per_s", c->lost, 1);
    ktypes(w, "left_out", v->left_out);
}

static void hooks_json(const struct hf_cost *c, struct hf_jw *w)
{
    double rest = 0;
    hf_jw_key(w, "hooks");
    hf_jw_array(w);
    for (size_t i = 0; i < c->n_hooks; i++) {
        const struct hf_cost_hook *h = &c->hooks[i];
        if (i >= HF_COST_SHOWN) {
            rest += h->ns;
            continue;
        }
        hf_jw_object(w);
        hf_jw_kstrz(w, "name", h->name);
        ktypes(w, "events", h->types);
        knum(w, "runs_per_s", h->runs, 1);
        knum(w, "ns_each", h->runs > 0 ? h->ns / h->runs : 0, 0);
        knum(w, "core_pct", h->ns / CORE, 4);
        hf_jw_ku64(w, "rules", h->rules);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    knum(w, "other_hooks_pct", rest / CORE, 4);
}

static void rules_json(const struct hf_cost *c, const struct hf_cost_view *v, struct hf_jw *w)
{
    double rest = 0;
    size_t n = 0, given_up = 0;
    hf_jw_key(w, "rules");
    hf_jw_array(w);
    for (size_t i = 0; i < c->n_rules; i++) {
        const struct hf_cost_rule *r = &c->rules[i];
        given_up += r->shed;
        if (!shown(v, r))
            continue;
        if (n == HF_COST_SHOWN || !(r->own_ns + r->hooks_ns > 0 || (v->only && v->only->n))) {
            rest += r->own_ns + r->hooks_ns;
            continue;
        }
        n++;
        hf_jw_object(w);
        hf_jw_kstr(w, "rule", r->rule->name);
        hf_jw_kstrz(w, "severity", hf_alert_severity_name(r->rule->severity));
        ktypes(w, "events", r->types);
        knum(w, "tried_per_s", r->looks, 1);
        knum(w, "ns_each", r->each_ns, 0);
        hf_jw_ku64(w, "held", r->all_matches);
        hf_jw_ku64(w, "alerts", r->all_alerts);
        knum(w, "core_pct", r->own_ns / CORE, 4);
        knum(w, "hooks_pct", r->hooks_ns / CORE, 4);
        hf_jw_ku64(w, "state_bytes", r->state_bytes);
        hf_jw_kbool(w, "given_up", r->shed);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    knum(w, "other_rules_pct", rest / CORE, 4);
    hf_jw_ku64(w, "rules_given_up", given_up);
}

static void groups_json(const struct hf_cost *c, const struct hf_cost_view *v, struct hf_jw *w)
{
    hf_jw_key(w, "containers");
    hf_jw_array(w);
    for (size_t i = 0; i < c->n_groups; i++) {
        uint64_t per_s;
        if (v->container && strcmp(v->container, c->groups[i].name) != 0)
            continue;
        hf_jw_object(w);
        hf_jw_kstrz(w, "name", c->groups[i].name);
        knum(w, "events_per_s", c->groups[i].events, 1);
        if (is_limited(v, c->groups[i].cgroup_id, &per_s))
            hf_jw_ku64(w, "limited_per_s", per_s);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
}

void hf_cost_json(const struct hf_cost *c, const struct hf_cost_view *v, struct hf_jw *w)
{
    hf_jw_key(w, "cost");
    hf_jw_object(w);
    totals_json(c, v, w);
    hooks_json(c, w);
    rules_json(c, v, w);
    groups_json(c, v, w);
    hf_jw_object_end(w);
}
