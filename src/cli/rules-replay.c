// SPDX-License-Identifier: Apache-2.0
/* holdfast rules replay: what rules would have said of a recording, before anyone deploys them. */
#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/rules-cli.h"

#define ROWS_MAX 65536u

/* Alerts of a rule in a container (name empty: the host). */
struct row {
    struct hf_span rule, container;
    enum hf_severity severity;
    uint64_t alerts, folded; /* told of; counted in a sum instead */
};
struct counts {
    struct row *v;
    size_t n, cap;
    struct hf_arena arena;
    uint64_t alerts, folded, excepted;
    bool full;
};

static void count(void *ctx, const struct hf_alert *a)
{
    struct counts *c = ctx;
    struct row *r = NULL;
    for (size_t i = 0; i < c->n && !r; i++)
        if (hf_span_eq(c->v[i].rule, a->rule) && hf_span_eq(c->v[i].container, a->container_name))
            r = &c->v[i];
    if (!r) {
        r = hf_grow((void **)&c->v, &c->n, &c->cap, sizeof *c->v, ROWS_MAX);
        if (!r || hf_arena_dup(&c->arena, a->container_name, &r->container) < 0) {
            c->full = true;
            c->n -= r != NULL;
            return;
        }
        r->rule = a->rule;
        r->severity = a->severity;
    }
    uint64_t folded = a->event ? 0 : a->count - 1; /* a sum tells again of the first */
    r->alerts += a->event != NULL;
    r->folded += folded;
    c->alerts += a->event != NULL;
    c->folded += folded;
}

static int by_rule(const void *pa, const void *pb)
{
    const struct row *a = pa, *b = pb;
    if (a->severity != b->severity)
        return a->severity > b->severity ? -1 : 1;
    int c = hf_span_cmp(a->rule, b->rule);
    return c ? c : hf_span_cmp(a->container, b->container);
}

/* The end of the rows of the same rule, and their sums. */
static size_t rule_end(const struct counts *c, size_t from, struct row *ret)
{
    *ret = c->v[from];
    size_t i = from + 1;
    for (; i < c->n && hf_span_eq(c->v[i].rule, c->v[from].rule); i++) {
        ret->alerts += c->v[i].alerts;
        ret->folded += c->v[i].folded;
    }
    return i;
}

static double seconds_of(const struct hf_rules_run *run)
{
    return (double)(run->last_ns - run->first_ns) / 1e9;
}

static double per_day(uint64_t alerts, const struct hf_rules_run *run)
{
    double s = seconds_of(run);
    return s > 0 ? (double)alerts * 86400 / s : 0;
}

static void text(const struct counts *c, const struct hf_rules_run *run, struct hf_buf *b)
{
    struct row sum;
    if (c->n)
        hf_buf_addf(b, "%-58s%-10s%8s%8s%10s\n", "RULE, CONTAINER", "SEVERITY", "ALERTS", "FOLDED", "A DAY");
    for (size_t i = 0, end; i < c->n; i = end) {
        end = rule_end(c, i, &sum);
        size_t used = hf_buf_add_escaped(b, sum.rule, 56);
        hf_buf_addf(b, "%*s%-10s%8llu%8llu%10.0f\n", (int)(58 - HF_MIN(used, (size_t)57)), "", hf_alert_severity_name(sum.severity), (unsigned long long)sum.alerts,
                (unsigned long long)sum.folded, per_day(sum.alerts, run));
        for (size_t k = i; k < end; k++) {
            hf_buf_addz(b, "    ");
            used = hf_buf_add_escaped(b, c->v[k].container.n ? c->v[k].container : HF_S("host"), 52);
            hf_buf_addf(b, "%*s%18llu%8llu%10.0f\n", (int)(54 - HF_MIN(used, (size_t)53)), "", (unsigned long long)c->v[k].alerts, (unsigned long long)c->v[k].folded,
                    per_day(c->v[k].alerts, run));
        }
    }
    hf_buf_addf(b, "%s%llu events in %.1f s against %zu rules: %llu alerts, %llu more folded, %llu excepted; %.0f a day if every day is like it\n", c->n ? "\n" : "",
            (unsigned long long)run->events, seconds_of(run), hf_rules_count(hf_engine_rules(run->engine)), (unsigned long long)c->alerts, (unsigned long long)c->folded,
            (unsigned long long)c->excepted, per_day(c->alerts, run));
}

static void numbers(struct hf_jw *w, uint64_t alerts, uint64_t folded, const struct hf_rules_run *run)
{
    hf_jw_ku64(w, "alerts", alerts);
    hf_jw_ku64(w, "folded", folded);
    hf_jw_key(w, "alerts_per_day");
    hf_jw_fixed(w, per_day(alerts, run), 1);
}

static void json(const struct counts *c, const struct hf_rules_run *run, struct hf_buf *b)
{
    struct hf_jw w;
    struct row sum;
    hf_jw_init(&w, b, true);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "schema", "holdfast.rules-replay/1");
    hf_jw_ku64(&w, "events", run->events);
    hf_jw_ku64(&w, "lost", run->lost);
    hf_jw_key(&w, "seconds");
    hf_jw_fixed(&w, seconds_of(run), 3);
    numbers(&w, c->alerts, c->folded, run);
    hf_jw_ku64(&w, "excepted", c->excepted);
    hf_jw_key(&w, "rules");
    hf_jw_array(&w);
    for (size_t i = 0, end; i < c->n; i = end) {
        end = rule_end(c, i, &sum);
        hf_jw_object(&w);
        hf_jw_kstr(&w, "rule", sum.rule);
        hf_jw_kstrz(&w, "severity", hf_alert_severity_name(sum.severity));
        numbers(&w, sum.alerts, sum.folded, run);
        hf_jw_key(&w, "containers");
        hf_jw_array(&w);
        for (size_t k = i; k < end; k++) {
            hf_jw_object(&w);
            hf_jw_kstr(&w, "container", c->v[k].container);
            numbers(&w, c->v[k].alerts, c->v[k].folded, run);
            hf_jw_object_end(&w);
        }
        hf_jw_array_end(&w);
        hf_jw_object_end(&w);
    }
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    hf_buf_addc(b, '\n');
}

int hf_cmd_rules_replay(int argc, char **argv)
{
    bool as_json = false;
    struct hf_strs paths = {.n = 0}, exceptions = {.n = 0};
    hf_cleanup(hf_excepts_freep) struct hf_excepts *excepts = NULL;
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"rules", 'r', HF_OPT_LIST, &paths, "PATH", NULL, 0, 0, "rule file or folder of them (Falco's language); can be repeated"},
            {"exceptions", 0, HF_OPT_LIST, &exceptions, "PATH", NULL, 0, 0, "exceptions from them, file or folder (" HF_EXCEPTIONS_DIR "); can be repeated"},
            {"json", 0, HF_OPT_FLAG, &as_json, NULL, NULL, 0, 0, "as JSON"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"rules replay", "[options] FILE", "what rules would have said of a recording",
            "FILE is a recording of \"watch --record\"; \"-\": standard input.", opts, 1, 1};
    const char *args[2];
    size_t n;
    struct hf_rules *rules = NULL;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc == 0)
        rc = hf_cli_excepts(&exceptions, &excepts, &err);
    if (rc == 0)
        rc = hf_cli_rules(&paths, &rules, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    struct counts c = {.n = 0};
    struct hf_rules_run run;
    hf_arena_init(&c.arena, 16u << 20);
    rc = hf_rules_run_recording(&run, args[0], rules, excepts, count, &c, &err);
    if (rc < 0 && rc != HF_E_INCOMPLETE)
        return hf_cli_fail(&err, rc);
    if (c.n)
        qsort(c.v, c.n, sizeof *c.v, by_rule);
    for (size_t i = 0; i < hf_excepts_count(excepts); i++)
        c.excepted += hf_excepts_at(excepts, i)->used;
    hf_autobuf out = HF_BUF_INIT(64u << 20);
    (as_json ? json : text)(&c, &run, &out);
    int code = hf_cli_print(&out, HF_EXIT_OK);
    if (c.full && rc == 0)
        rc = hf_fail(&err, HF_E_INCOMPLETE, "there are more pairs of rule and container than %u", ROWS_MAX);
    hf_rules_run_done(&run);
    hf_arena_done(&c.arena);
    free(c.v);
    if (code == HF_EXIT_OK && rc == HF_E_INCOMPLETE) {
        hf_log(HF_LOG_WARNING, "incomplete", "%s", err.msg);
        return HF_EXIT_INCOMPLETE;
    }
    return code;
}
