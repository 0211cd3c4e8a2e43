// SPDX-License-Identifier: Apache-2.0
/* holdfast rules: the table of its commands; rules check: what rule files say, before anyone relies on them. */
#include <stdio.h>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/group.h"
#include "cli/rules-cli.h"

/* More kinds than a person reads: the condition does not say which. */
#define MANY_EVENTS 12u

static void check_text(const struct hf_rules *rules, struct hf_buf *b)
{
    size_t n = hf_rules_count(rules), macros, lists, silent = 0;
    for (size_t i = 0; i < n; i++) {
        const struct hf_rule *r = hf_rules_at(rules, i);
        const char *names[HF_CLASSES], *missing[HF_CLASSES];
        size_t n_names = hf_cli_rule_events(r, true, names), n_missing = hf_cli_rule_events(r, false, missing);
        silent += !n_names;
        size_t used = hf_buf_add_escaped(b, r->name, 56);
        hf_buf_addf(b, "%*s%-9s%-4s", (int)(58 - HF_MIN(used, (size_t)57)), "", hf_alert_severity_name(r->severity), r->enabled ? "" : "off");
        if (!r->is_syscall)
            hf_buf_addz(b, "another source: never matches here");
        else if (!n_names)
            hf_buf_addz(b, "no event can match");
        else if (n_names > MANY_EVENTS)
            hf_buf_addz(b, "every event");
        for (size_t k = 0; k < n_names && n_names <= MANY_EVENTS; k++)
            hf_buf_addf(b, "%s%s", k ? ", " : "", names[k]);
        hf_buf_addc(b, '\n');
        for (size_t k = 0; k < n_missing && n_missing <= MANY_EVENTS; k++)
            hf_buf_addf(b, "%s%s%s", k ? ", " : "    not served yet: ", missing[k], k + 1 == n_missing ? "\n" : "");
        for (size_t k = 0; k < r->n_unserved; k++) {
            hf_buf_addz(b, "    not served: ");
            hf_buf_add_escaped(b, r->unserved[k], 0);
            hf_buf_addc(b, '\n');
        }
    }
    hf_rules_totals(rules, &macros, &lists);
    hf_buf_addf(b, "\n%zu rules, %zu macros, %zu lists; %zu rules can never match here\n", n, macros, lists, silent);
}

static void check_json(const struct hf_rules *rules, struct hf_buf *b)
{
    struct hf_jw w;
    hf_jw_init(&w, b, true);
    hf_jw_array(&w);
    for (size_t i = 0; i < hf_rules_count(rules); i++) {
        const struct hf_rule *r = hf_rules_at(rules, i);
        const char *names[HF_CLASSES];
        size_t n_names = hf_cli_rule_events(r, true, names);
        hf_jw_object(&w);
        hf_jw_kstr(&w, "rule", r->name);
        hf_jw_kstr(&w, "file", r->source_file);
        hf_jw_ku64(&w, "line", r->line);
        hf_jw_kstrz(&w, "severity", hf_alert_severity_name(r->severity));
        hf_jw_kbool(&w, "enabled", r->enabled);
        hf_jw_key(&w, "events");
        hf_jw_array(&w);
        for (size_t k = 0; k < n_names; k++)
            hf_jw_strz(&w, names[k]);
        hf_jw_array_end(&w);
        hf_jw_key(&w, "not_served");
        hf_jw_array(&w);
        for (size_t k = 0; k < r->n_unserved; k++)
            hf_jw_str(&w, r->unserved[k]);
        n_names = hf_cli_rule_events(r, false, names);
        for (size_t k = 0; k < n_names; k++) {
            hf_autobuf text = HF_BUF_INIT(128);
            hf_buf_addf(&text, "%s: the sensor does not tell of such events yet", names[k]);
            hf_jw_str(&w, hf_buf_span(&text));
        }
        hf_jw_array_end(&w);
        hf_jw_object_end(&w);
    }
    hf_jw_array_end(&w);
    hf_buf_addc(b, '\n');
}

int hf_cmd_rules_check(int argc, char **argv)
{
    bool json = false;
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "as JSON"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"rules check", "[options] PATH...", "check rule files in Falco's language",
            "Loads the files as \"watch\" would, in order, and says for every rule to which events it listens and what of it no event serves.", opts, 1, 64};
    struct hf_strs paths = {.n = 0};
    const char *args[66];
    size_t n;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    hf_cleanup(hf_rules_freep) struct hf_rules *rules = NULL;
    for (size_t i = 0; i < n; i++)
        paths.v[paths.n++] = args[i];
    rc = hf_cli_rules(&paths, &rules, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    hf_autobuf out = HF_BUF_INIT(16u << 20);
    if (json)
        check_json(rules, &out);
    else
        check_text(rules, &out);
    return hf_cli_print(&out, HF_EXIT_OK);
}

int hf_cmd_rules(int argc, char **argv)
{
    static const struct hf_cli_command commands[] = {
            {"list", hf_cmd_rules_list, "rules by name, severity, technique and events"},
            {"check", hf_cmd_rules_check, "rule files: are they right, and what of them is served"},
            {"explain", hf_cmd_rules_explain, "what a rule asks, of which events, and what it costs"},
            {"test", hf_cmd_rules_test, "do rules raise the alerts that written tests expect"},
            {"replay", hf_cmd_rules_replay, "what rules would have said of a recording"},
            {"why", hf_cmd_rules_why, "which clauses of its rule an alert matched"},
            {"except", hf_cmd_rules_except, "make the tightest exception that an alert falls under"},
            {"exceptions", hf_cmd_rules_exceptions, "exceptions from rules, expired ones marked"},
    };
    return hf_cli_group("rules", "rule files in Falco's language", commands, HF_ARRAY_LEN(commands), argc, argv);
}
