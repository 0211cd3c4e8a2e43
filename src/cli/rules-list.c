// SPDX-License-Identifier: Apache-2.0
/* holdfast rules list, explain: what rules there are, and what one of them asks. */
#include <stdio.h>

#include "base/json.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/rules-cli.h"
#include "detect/demand.h"
#include "detect/print.h"
#include "sensor/sensor.h"

#define FIELDS_MAX 160u
#define MACROS_MAX 64u
#define VALUES_SHOWN 24u

static void list_text(const struct hf_rules *rules, struct hf_buf *b)
{
    size_t n = hf_rules_count(rules), on = 0;
    hf_buf_addf(b, "%-58s%-10s%-12s%-5s%s\n", "RULE", "SEVERITY", "TECHNIQUE", "", "EVENTS, SOURCE");
    for (size_t i = 0; i < n; i++) {
        const struct hf_rule *r = hf_rules_at(rules, i);
        const char *names[HF_CLASSES];
        size_t n_names = hf_cli_rule_events(r, true, names), used = hf_buf_add_escaped(b, r->name, 56);
        on += r->enabled;
        hf_buf_addf(b, "%*s%-10s", (int)(58 - HF_MIN(used, (size_t)57)), "", hf_alert_severity_name(r->severity));
        used = r->n_techniques ? hf_buf_add_escaped(b, r->techniques[0], 11) : 0;
        hf_buf_addf(b, "%*s%-5s", (int)(12 - HF_MIN(used, (size_t)11)), "", r->enabled ? "" : "off");
        hf_buf_addz(b, !r->is_syscall || !n_names ? "none" : n_names > 4 ? "many" : "");
        for (size_t k = 0; k < n_names && n_names <= 4 && r->is_syscall; k++)
            hf_buf_addf(b, "%s%s", k ? ", " : "", names[k]);
        hf_buf_addz(b, "  ");
        hf_buf_add_escaped(b, r->source_file, 0);
        hf_buf_addf(b, ":%u\n", r->line);
    }
    hf_buf_addf(b, "\n%zu rules, %zu enabled\n", n, on);
}

static void strings_z(struct hf_jw *w, const char *key, const char *const *v, size_t n)
{
    hf_jw_key(w, key);
    hf_jw_array(w);
    for (size_t i = 0; i < n; i++)
        hf_jw_strz(w, v[i]);
    hf_jw_array_end(w);
}

static void list_json(const struct hf_rules *rules, struct hf_buf *b)
{
    struct hf_jw w;
    hf_jw_init(&w, b, true);
    hf_jw_array(&w);
    for (size_t i = 0; i < hf_rules_count(rules); i++) {
        const struct hf_rule *r = hf_rules_at(rules, i);
        const char *names[HF_CLASSES];
        size_t n_names = r->is_syscall ? hf_cli_rule_events(r, true, names) : 0;
        hf_jw_object(&w);
        hf_jw_kstr(&w, "rule", r->name);
        hf_jw_kstrz(&w, "severity", hf_alert_severity_name(r->severity));
        hf_jw_kstrs(&w, "techniques", r->techniques, r->n_techniques);
        hf_jw_kstrs(&w, "tactics", r->tactics, r->n_tactics);
        hf_jw_kstrs(&w, "tags", r->tags, r->n_tags);
        strings_z(&w, "events", names, n_names);
        hf_jw_kbool(&w, "enabled", r->enabled);
        hf_jw_kstr(&w, "file", r->source_file);
        hf_jw_ku64(&w, "line", r->line);
        hf_jw_kstr(&w, "what", r->what.n ? r->what : r->desc);
        hf_jw_object_end(&w);
    }
    hf_jw_array_end(&w);
    hf_buf_addc(b, '\n');
}

int hf_cmd_rules_list(int argc, char **argv)
{
    bool as_json = false;
    struct hf_strs paths = {.n = 0};
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"rules", 'r', HF_OPT_LIST, &paths, "PATH", NULL, 0, 0, "rule file or folder of them (Falco's language); can be repeated"},
            {"json", 0, HF_OPT_FLAG, &as_json, NULL, NULL, 0, 0, "as JSON"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"rules list", "[options]", "rules by name, severity, technique and the events they listen to", NULL, opts, 0, 0};
    const char *args[1];
    size_t n;
    hf_cleanup(hf_rules_freep) struct hf_rules *rules = NULL;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc == 0)
        rc = hf_cli_rules(&paths, &rules, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    hf_autobuf out = HF_BUF_INIT(16u << 20);
    (as_json ? list_json : list_text)(rules, &out);
    return hf_cli_print(&out, HF_EXIT_OK);
}

/* ---- explain ---- */

static void paragraph(struct hf_buf *b, const char *title, struct hf_span s)
{
    if (!s.n)
        return;
    hf_buf_addf(b, "%-10s", title);
    struct hf_span rest = hf_span_trim(s), line;
    for (bool first = true; hf_span_line(&rest, &line); first = false) {
        hf_buf_addz(b, first ? "" : "          ");
        hf_buf_add_escaped(b, hf_span_trim(line), 0);
        hf_buf_addc(b, '\n');
    }
}

static void condition(const struct hf_prog *p, struct hf_buf *b)
{
    hf_autobuf text = HF_BUF_INIT(1u << 20);
    hf_prog_print(p, 4, VALUES_SHOWN, &text);
    if (!hf_buf_ok(&text)) {
        hf_buf_addz(b, "    (longer than 1 MiB with its macros expanded)\n");
        return;
    }
    struct hf_span rest = hf_buf_span(&text), line;
    while (hf_span_line(&rest, &line)) {
        hf_buf_add_escaped(b, line, 0);
        hf_buf_addc(b, '\n');
    }
}

static void counting(const struct hf_rule *r, struct hf_buf *b)
{
    double window = (double)r->window_ns / 1e9;
    switch (r->kind) {
    case HF_RULE_COUNT:
        hf_buf_addf(b, "counts    %llu times within %.0f s", (unsigned long long)r->count, window);
        break;
    case HF_RULE_DISTINCT:
        hf_buf_addf(b, "counts    %llu different values of %s within %.0f s", (unsigned long long)r->count, r->value.field ? r->value.field->name : "?", window);
        break;
    case HF_RULE_REGULAR:
        hf_buf_addf(b, "counts    %llu intervals of %.0f to %.0f s that differ by at most %llu %%", (unsigned long long)r->samples, (double)r->min_ns / 1e9, (double)r->max_ns / 1e9,
                (unsigned long long)r->jitter_pct);
        break;
    case HF_RULE_FIRST:
        hf_buf_addf(b, "counts    a value of %s for the first time after %.0f s", r->value.field ? r->value.field->name : "?", window);
        break;
    case HF_RULE_SURGE:
        hf_buf_addf(b, "counts    %llu values of %s in a row over %llu and %llu times what is usual", (unsigned long long)r->samples, r->value.field ? r->value.field->name : "?",
                (unsigned long long)r->above, (unsigned long long)r->times);
        break;
    case HF_RULE_SEQUENCE:
        hf_buf_addf(b, "counts    all steps in order within %.0f s", window);
        break;
    default:
        if (r->until_verdict)
            hf_buf_addz(b, "waits     for the guard's verdict on what started: told with it, or a second later; not when that makes an alert as severe\n");
        if (r->remember.n)
            hf_buf_addf(b, "counts    no alert: remembered as %.*s for %.0f s", HF_SPAN_ARG(r->remember), window);
        else if (r->once_ns)
            hf_buf_addf(b, "counts    one alert in %.0f s", (double)r->once_ns / 1e9);
        else
            return;
    }
    hf_buf_addz(b, ", for each ");
    for (size_t i = 0; i < r->n_key; i++)
        hf_buf_addf(b, "%s%s", i ? " and " : "", r->key[i].field->name);
    hf_buf_addc(b, '\n');
}

/* What this kernel has for a capability, when it was asked. */
static void served(const struct hf_feature *features, size_t n, const char *name, struct hf_buf *b)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(features[i].name, name) != 0)
            continue;
        hf_buf_addf(b, ": %s", features[i].hook ? features[i].hook : "nothing on this kernel");
        if (features[i].not_covered)
            hf_buf_addf(b, "; not seen: %s", features[i].not_covered);
    }
}

/* Kinds of events, each with the capability of `sensor features` that serves it. */
static void events(const struct hf_rule *r, const struct hf_feature *features, size_t n_features, struct hf_buf *b)
{
    const char *done[HF_CLASSES];
    size_t n = 0;
    hf_buf_addz(b, "events\n");
    for (unsigned c = 0; c < HF_CLASS_NONE; c++) {
        const char *name = hf_class_name((enum hf_class)c);
        bool seen = !(r->classes & HF_CLASS_BIT(c)) || !strcmp(name, "none");
        for (size_t i = 0; i < n && !seen; i++)
            seen = !strcmp(done[i], name);
        if (seen)
            continue;
        done[n++] = name;
        bool told = hf_class_is_told((enum hf_class)c);
        hf_buf_addf(b, "    %-20s%s", name, told ? hf_class_hook((enum hf_class)c) : "not told of by this sensor yet");
        if (told)
            served(features, n_features, hf_class_hook((enum hf_class)c), b);
        hf_buf_addc(b, '\n');
    }
    if (!r->is_syscall)
        hf_buf_addz(b, "    none: it is for another source than system calls\n");
    else if (!n)
        hf_buf_addz(b, "    none: it can never match here\n");
}

static void cost(const struct hf_rules_run *run, const struct hf_rule *r, struct hf_buf *b)
{
    size_t max = hf_rules_count(hf_engine_rules(run->engine));
    hf_autofree struct hf_rule_cost *costs = calloc(max ? max : 1, sizeof *costs);
    size_t n = costs ? hf_engine_costs(run->engine, costs, max) : 0;
    for (size_t i = 0; i < n; i++)
        if (costs[i].rule == r) {
            hf_buf_addf(b, "cost      looked at %llu of %llu events, held for %llu; ", (unsigned long long)costs[i].looks, (unsigned long long)run->events,
                    (unsigned long long)costs[i].matches);
            if (costs[i].ns)
                hf_buf_addf(b, "%.0f ns a look\n", (double)costs[i].ns / (double)costs[i].looks);
            else
                hf_buf_addz(b, "no look was timed (one event of 64 is)\n");
        }
}

static void explain(const struct hf_rule *r, const struct hf_rules_run *run, const struct hf_feature *features, size_t n_features, struct hf_buf *b)
{
    const struct hf_field_def *fields[FIELDS_MAX];
    struct hf_span macros[MACROS_MAX];
    hf_buf_add_escaped(b, r->name, 0);
    hf_buf_addf(b, "\n%-10s%s%s\n", "severity", hf_alert_severity_name(r->severity), r->enabled ? "" : ", off");
    hf_buf_addf(b, "%-10s", "source");
    hf_buf_add_escaped(b, r->source_file, 0);
    hf_buf_addf(b, ":%u\n", r->line);
    for (size_t i = 0; i < r->n_techniques; i++)
        hf_buf_addf(b, "%s%.*s%s", i ? ", " : "technique ", HF_SPAN_ARG(r->techniques[i]), i + 1 == r->n_techniques ? "\n" : "");
    paragraph(b, "what", r->what.n ? r->what : r->desc);
    paragraph(b, "do", r->todo);
    paragraph(b, "benign", r->benign);
    paragraph(b, "output", r->output);
    counting(r, b);
    if (r->prog) {
        hf_buf_addz(b, "condition\n");
        condition(r->prog, b);
    }
    for (size_t i = 0; i < r->n_steps; i++) {
        hf_buf_addf(b, "step %zu\n", i + 1);
        condition(r->steps[i], b);
    }
    size_t n = hf_rule_macros(r, macros, MACROS_MAX);
    for (size_t i = 0; i < n; i++)
        hf_buf_addf(b, "%s%.*s%s", i ? ", " : "macros    ", HF_SPAN_ARG(macros[i]), i + 1 == n ? "\n" : "");
    n = hf_rule_fields(r, fields, FIELDS_MAX);
    for (size_t i = 0; i < n; i++)
        hf_buf_addf(b, "%s%s%s", i ? ", " : "fields    ", fields[i]->name, i + 1 == n ? "\n" : "");
    for (size_t i = 0; i < r->n_unserved; i++) {
        hf_buf_addz(b, i ? "          " : "unserved  ");
        hf_buf_add_escaped(b, r->unserved[i], 0);
        hf_buf_addc(b, '\n');
    }
    events(r, features, n_features, b);
    for (size_t i = 0; i < r->n_respond; i++)
        hf_buf_addf(b, "%s%s%s", i ? ", " : "responds  ", hf_response_name(r->respond[i]), i + 1 == r->n_respond ? " (with \"watch --respond\"; else it is only told as wanted)\n" : "");
    if (hf_rule_demand(r)) {
        hf_buf_addz(b, "hooks     attached only while an enabled rule needs them: ");
        hf_demand_names(hf_rule_demand(r), b);
        hf_buf_addz(b, r->cheap_hooks ? "; for this rule, only such as cost nothing to who does nothing of the kind\n" : "\n");
    }
    if (run)
        cost(run, r, b);
}

static const struct hf_rule *rule_named(const struct hf_rules *rules, const char *name, struct hf_err *err)
{
    hf_autofree const char **names = calloc(hf_rules_count(rules) + 1, sizeof *names);
    for (size_t i = 0; i < hf_rules_count(rules); i++) {
        const struct hf_rule *r = hf_rules_at(rules, i);
        if (hf_span_eq_nocase(r->name, hf_span_z(name)))
            return r;
        if (names)
            names[i] = r->name.p; /* of the arena: ends with NUL */
    }
    const char *near = names ? hf_nearest(name, names) : NULL;
    (void)hf_fail(err, HF_E_NOT_FOUND, "there is no rule \"%s\"%s%s%s", name, near ? "; did you mean \"" : "; \"holdfast rules list\" shows them", near ? near : "", near ? "\"?" : "");
    return NULL;
}

static void ignore(void *ctx, const struct hf_alert *a)
{
    (void)ctx;
    (void)a;
}

int hf_cmd_rules_explain(int argc, char **argv)
{
    bool kernel = false;
    const char *recording = NULL;
    const struct hf_feature *features = NULL;
    size_t n_features = 0;
    struct hf_strs paths = {.n = 0};
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"rules", 'r', HF_OPT_LIST, &paths, "PATH", NULL, 0, 0, "rule file or folder of them (Falco's language); can be repeated"},
            {"recording", 0, HF_OPT_STR, &recording, "FILE", NULL, 0, 0, "measure what the rule costs on this recording"},
            {"kernel", 0, HF_OPT_FLAG, &kernel, NULL, NULL, 0, 0, "ask this kernel what serves the events (needs root)"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"rules explain", "[options] RULE", "what a rule asks, of which events, and what it costs",
            "RULE is the rule's name, in capitals or not.", opts, 1, 1};
    const char *args[2];
    size_t n;
    struct hf_rules *rules = NULL;
    struct hf_rules_run run = {.track = NULL};
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc == 0)
        rc = hf_cli_rules(&paths, &rules, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    const struct hf_rule *r = rule_named(rules, args[0], &err);
    if (!r) {
        hf_rules_free(rules);
        return hf_cli_fail(&err, HF_E_NOT_FOUND);
    }
#ifdef HF_SENSOR
    hf_cleanup(hf_kernel_closep) struct hf_kernel *k = NULL;
    if (kernel && (rc = hf_sensor_probe(&k, &err)) < 0) {
        hf_rules_free(rules);
        return hf_cli_fail(&err, rc);
    }
    features = k ? hf_kernel_features(k, &n_features) : NULL;
#else
    if (kernel) {
        hf_rules_free(rules);
        return hf_cli_fail(&err, hf_fail(&err, HF_E_UNSUPPORTED, "this program was built without the sensor"));
    }
#endif
    if (recording)
        rc = hf_rules_run_recording(&run, recording, rules, NULL, ignore, NULL, &err);
    if (rc < 0 && rc != HF_E_INCOMPLETE)
        return hf_cli_fail(&err, rc);
    hf_autobuf out = HF_BUF_INIT(4u << 20);
    explain(r, recording ? &run : NULL, features, n_features, &out);
    int code = hf_cli_print(&out, rc < 0 ? HF_EXIT_INCOMPLETE : HF_EXIT_OK);
    if (rc == HF_E_INCOMPLETE)
        hf_log(HF_LOG_WARNING, "incomplete", "%s", err.msg);
    if (recording)
        hf_rules_run_done(&run);
    else
        hf_rules_free(rules);
    return code;
}
