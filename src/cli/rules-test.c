// SPDX-License-Identifier: Apache-2.0
/* holdfast rules test: what is written to happen against rules, and whether the alerts are those expected. */
#include <stdio.h>

#include "base/fs.h"
#include "cli/cli.h"
#include "cli/rules-cli.h"
#include "detect/cases.h"

#define RAISED_MAX 4096u
#define FILE_MAX (8u << 20)

struct raised {
    struct hf_span v[RAISED_MAX];
    bool expected[RAISED_MAX];
    size_t n;
    bool full;
    struct hf_arena arena;
};

static void take(void *ctx, const struct hf_alert *a)
{
    struct raised *r = ctx;
    if (!a->event) /* tells again of those that were folded */
        return;
    if (r->n == RAISED_MAX || hf_arena_dup(&r->arena, a->rule, &r->v[r->n]) < 0)
        r->full = true;
    else
        r->n++;
}

/* Holds the events of a test against the rules. */
static int play(const struct hf_case *c, const struct hf_strs *paths, struct raised *raised, struct hf_err *err)
{
    struct hf_rules *rules = NULL;
    struct hf_rules_run run = {.track = NULL};
    size_t len;
    int rc = hf_cli_rules(paths, &rules, err);
    rc = rc < 0 ? rc : hf_rules_run_init(&run, rules, 1700000000000000000u, 1, take, raised, err);
    for (struct hf_span rest = c->records; rc >= 0 && rest.n; rest = hf_span_from(rest, len)) {
        uint64_t at;
        rc = hf_event_frame(rest, &len, err);
        if (rc <= 0)
            break;
        memcpy(&at, rest.p + offsetof(struct hf_wire_hdr, time_ns), sizeof at);
        hf_rules_run_frame(&run, at, hf_span_sub(rest, 0, len));
    }
    hf_rules_run_done(&run);
    return rc < 0 ? rc : 0;
}

/* Says what is missing and what is too much; false when nothing is. */
static bool differs(const struct hf_case *c, struct raised *raised, struct hf_buf *out)
{
    bool any = raised->full;
    memset(raised->expected, 0, sizeof raised->expected);
    for (size_t i = 0; i < c->n_alerts; i++) {
        size_t k = 0;
        while (k < raised->n && (raised->expected[k] || !hf_span_eq(raised->v[k], c->alerts[i])))
            k++;
        if (k < raised->n) {
            raised->expected[k] = true;
            continue;
        }
        any = true;
        hf_buf_addz(out, "    missing: ");
        hf_buf_add_escaped(out, c->alerts[i], 0);
        hf_buf_addc(out, '\n');
    }
    for (size_t k = 0; k < raised->n; k++) {
        if (raised->expected[k])
            continue;
        any = true;
        hf_buf_addz(out, "    not expected: ");
        hf_buf_add_escaped(out, raised->v[k], 0);
        hf_buf_addc(out, '\n');
    }
    if (raised->full)
        hf_buf_addf(out, "    more than %u alerts\n", RAISED_MAX);
    return any;
}

/* A rule that is expected but does not exist is a mistake in the test, not a rule that failed. */
static int known_rules(const struct hf_cases *cases, const struct hf_strs *paths, const char *file, struct hf_err *err)
{
    hf_cleanup(hf_rules_freep) struct hf_rules *rules = NULL;
    int rc = hf_cli_rules(paths, &rules, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < hf_cases_count(cases); i++)
        for (size_t k = 0; k < hf_cases_at(cases, i)->n_alerts; k++) {
            struct hf_span name = hf_cases_at(cases, i)->alerts[k];
            bool found = false;
            for (size_t r = 0; r < hf_rules_count(rules) && !found; r++)
                found = hf_span_eq(hf_rules_at(rules, r)->name, name);
            if (!found)
                return hf_fail(err, HF_E_USAGE, "%s:%u: there is no rule \"%.*s\"", file, hf_cases_at(cases, i)->line, HF_SPAN_ARG(name));
        }
    return 0;
}

static int one_file(const char *file, const struct hf_strs *paths, struct raised *raised, struct hf_buf *out, size_t *ret_n, size_t *ret_failed, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(FILE_MAX + 1);
    hf_cleanup(hf_cases_freep) struct hf_cases *cases = NULL;
    int rc = hf_read_file(file, &text, err);
    rc = rc < 0 ? rc : hf_cases_load(&cases, file, hf_buf_span(&text), err);
    rc = rc < 0 ? rc : known_rules(cases, paths, file, err);
    for (size_t i = 0; rc == 0 && i < hf_cases_count(cases); i++) {
        const struct hf_case *c = hf_cases_at(cases, i);
        hf_autobuf difference = HF_BUF_INIT(1u << 20);
        raised->n = 0;
        raised->full = false;
        hf_arena_init(&raised->arena, 4u << 20);
        rc = play(c, paths, raised, err);
        if (rc == 0) {
            bool bad = differs(c, raised, &difference);
            hf_buf_addz(out, bad ? "FAILED  " : "ok      ");
            hf_buf_add_escaped(out, c->name, 0);
            if (bad)
                hf_buf_addf(out, "  (%s:%u)", file, c->line);
            hf_buf_addc(out, '\n');
            hf_buf_adds(out, hf_buf_span(&difference));
            ++*ret_n;
            *ret_failed += bad;
            if (!hf_buf_ok(&difference))
                rc = hf_fail(err, HF_E_LIMIT, "%s:%u: the differences take more memory than they may", file, c->line);
        }
        hf_arena_done(&raised->arena);
    }
    return rc;
}

int hf_cmd_rules_test(int argc, char **argv)
{
    struct hf_strs paths = {.n = 0};
    struct hf_err err = HF_ERR_INIT;
    const struct hf_opt opts[] = {
            {"rules", 'r', HF_OPT_LIST, &paths, "PATH", NULL, 0, 0, "rule file or folder of them (Falco's language); can be repeated"},
            {NULL, 0, HF_OPT_FLAG, NULL, NULL, NULL, 0, 0, NULL},
    };
    const struct hf_command cmd = {"rules test", "[options] FILE...", "do rules raise the alerts that written tests expect",
            "Exit 1 when a test fails.", opts, 1, 64};
    const char *args[65];
    size_t n, tests = 0, failed = 0;
    int rc = hf_opts_parse(&cmd, argc, argv, args, &n, &err);
    if (rc != 0)
        return rc > 0 ? HF_EXIT_OK : hf_cli_fail(&err, rc);
    hf_autofree struct raised *raised = calloc(1, sizeof *raised);
    hf_autobuf out = HF_BUF_INIT(16u << 20);
    if (!raised)
        rc = hf_fail(&err, HF_E_LIMIT, "no memory");
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = one_file(args[i], &paths, raised, &out, &tests, &failed, &err);
    if (rc == 0)
        hf_buf_addf(&out, "\n%zu test%s, %zu failed\n", tests, tests == 1 ? "" : "s", failed);
    int code = hf_cli_print(&out, failed ? HF_EXIT_FINDINGS : HF_EXIT_OK);
    return rc < 0 ? hf_cli_fail(&err, rc) : code;
}
