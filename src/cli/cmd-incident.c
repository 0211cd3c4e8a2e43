// SPDX-License-Identifier: Apache-2.0
/* holdfast incident: what alerts have become, and what people do about it. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/group.h"
#include "cli/incident-cli.h"
#include "desk/desk.h"
#include "store/incidents.h"

const char *hf_cli_who(const char *by)
{
    const char *sudo = getuid() == 0 ? getenv("SUDO_USER") : NULL;
    if (by && *by)
        return by;
    if (sudo && *sudo)
        return sudo;
    const struct passwd *pw = getpwuid(getuid());
    return pw && pw->pw_name && *pw->pw_name ? pw->pw_name : "unknown";
}

bool hf_cli_colour(void)
{
    const char *no = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) && !(no && *no);
}

const char *hf_cli_severity_colour(struct hf_span s)
{
    if (!hf_cli_colour())
        return "";
    return hf_span_eqz(s, "critical") ? "\033[1;31m" : hf_span_eqz(s, "high") ? "\033[31m" : hf_span_eqz(s, "medium") ? "\033[33m" : "\033[36m";
}

const char *hf_cli_plain(void)
{
    return hf_cli_colour() ? "\033[0m" : "";
}

struct hf_span hf_cli_short_time(struct hf_span t, char buf[24])
{
    if (t.n < 19)
        return t;
    memcpy(buf, t.p, 19);
    buf[10] = ' ';
    return hf_span(buf, 19);
}

/* ---- list ---- */

struct listing {
    struct hf_buf *out;
    struct hf_jw *json;
    struct hf_err *err;
    unsigned n;
};

static int list_row(void *ctx, const struct hf_incident_row *row)
{
    struct listing *l = ctx;
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
    int rc = hf_inc_parse(row->doc, &i, l->err);
    char when[24];
    if (rc < 0)
        return hf_wrap(l->err, rc, "incident %.*s", HF_SPAN_ARG(row->id));
    l->n++;
    if (l->json) {
        hf_jw_object(l->json);
        for (const char *const *k = (const char *const[]){"id", "severity", "state", "resolution", "assignee", "acknowledged_by", "title", "summary", "opened", "updated", "first_alert", "last_alert", "merged_into", NULL};
                *k; k++)
            hf_jw_kstr_opt(l->json, *k, hf_inc_get(i, *k));
        hf_jw_ku64(l->json, "revision", row->revision);
        hf_jw_ku64(l->json, "alerts", hf_inc_number(i, "alerts"));
        hf_jw_object_end(l->json);
        return 0;
    }
    if (l->n == 1)
        hf_buf_addf(l->out, "%-17s  %-8s  %-12s  %6s  %-19s  %-12s  %s\n", "ID", "SEVERITY", "STATE", "ALERTS", "LAST ALERT", "ASSIGNEE", "WHAT");
    hf_cli_cell(l->out, row->id, 17);
    hf_buf_addz(l->out, hf_cli_severity_colour(hf_inc_get(i, "severity")));
    hf_cli_cell(l->out, hf_inc_get(i, "severity"), 8);
    hf_buf_addz(l->out, hf_cli_plain());
    hf_cli_cell(l->out, row->state, 12);
    hf_buf_addf(l->out, "%6llu  ", (unsigned long long)hf_inc_number(i, "alerts"));
    hf_cli_cell(l->out, hf_cli_short_time(hf_inc_get(i, "last_alert"), when), 19);
    hf_cli_cell(l->out, row->assignee.n ? row->assignee : HF_S("-"), 12);
    hf_buf_add_escaped(l->out, row->title, 0);
    hf_buf_addc(l->out, '\n');
    return 0;
}

static int list(int argc, char **argv)
{
    static const unsigned states[] = {HF_STATE_UNRESOLVED, HF_STATE_OPEN, HF_STATE_ACKNOWLEDGED, HF_STATE_CONTAINED, HF_STATE_RESOLVED, 0};
    hf_cleanup(hf_cli_place_done) struct hf_cli_place at = {NULL};
    const char *text = NULL, *assignee = NULL, *args[1];
    int state = 0, severity = 0;
    uint64_t limit = 100;
    bool json = false;
    size_t n;
    const struct hf_opt opts[] = {
            {"assignee", 0, HF_OPT_STR, &assignee, "NAME", NULL, 0, 0, "only those assigned to this person"},
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "as a JSON array"},
            {"limit", 0, HF_OPT_U64, &limit, "N", NULL, 1, 1000, "at most so many (default 100)"},
            {"severity", 0, HF_OPT_ENUM, &severity, "LEVEL", "debug|info|notice|low|medium|high|critical", 0, 0, "only this severe or more"},
            {"state", 0, HF_OPT_ENUM, &state, "STATE", "unresolved|open|acknowledged|contained|resolved|all", 0, 0, "only of this state (default: unresolved)"},
            HF_CLI_PLACE_OPTS(at),
            {"text", 0, HF_OPT_STR, &text, "TEXT", NULL, 0, 0, "only with this in title, summary, hosts, containers, images or rules"},
            HF_CLI_OPTS_END,
    };
    const struct hf_command cmd = {"incident list", "[options]", "the incidents, the last changed first", NULL, opts, 0, 0};
    struct hf_err err = HF_ERR_INIT;
    int rc = hf_cli_place_open(&at, &cmd, argc, argv, args, &n, HF_STORE_READ_ONLY, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    hf_autobuf out = HF_BUF_INIT(16u << 20);
    struct hf_jw w;
    hf_jw_init(&w, &out, true);
    if (json)
        hf_jw_array(&w);
    struct listing l = {&out, json ? &w : NULL, &err, 0};
    struct hf_incident_filter f = {.states = states[state], .min_severity = severity, .assignee = hf_span_z(assignee), .text = hf_span_z(text), .limit = (unsigned)limit};
    rc = rc < 0 ? rc : hf_store_incident_list(at.store, &f, list_row, &l, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    if (json) {
        hf_jw_array_end(&w);
        hf_buf_addc(&out, '\n');
    } else if (!l.n) {
        hf_buf_addz(&out, "no such incidents\n");
    }
    return hf_cli_print(&out, HF_EXIT_OK);
}

/* ---- show, export ---- */

static int show(int argc, char **argv)
{
    hf_cleanup(hf_cli_place_done) struct hf_cli_place at = {NULL};
    const char *args[2];
    bool json = false;
    size_t n;
    const struct hf_opt opts[] = {
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "the whole document, holdfast.incident/1"},
            HF_CLI_PLACE_OPTS(at),
            HF_CLI_OPTS_END,
    };
    const struct hf_command cmd = {"incident show", "[options] ID", "the story of an incident", NULL, opts, 1, 1};
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
    hf_autobuf out = HF_BUF_INIT(16u << 20);
    int rc = hf_cli_place_open(&at, &cmd, argc, argv, args, &n, HF_STORE_READ_ONLY, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    rc = rc < 0 ? rc : hf_desk_read(at.store, hf_span_z(args[0]), &i, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    if (json) {
        hf_inc_write(i, true, &out);
        hf_buf_addc(&out, '\n');
    } else {
        hf_cli_incident_show(i, &out);
    }
    return hf_cli_print(&out, HF_EXIT_OK);
}

static int export(int argc, char **argv)
{
    hf_cleanup(hf_cli_place_done) struct hf_cli_place at = {NULL};
    const char *to = NULL, *args[2];
    int format = 0;
    size_t n;
    const struct hf_opt opts[] = {
            {"format", 'f', HF_OPT_ENUM, &format, "FORMAT", "html|markdown|json|stix", 0, 0, "what is written (default: html)"},
            {"output", 'o', HF_OPT_STR, &to, "FILE", NULL, 0, 0, "write into this file"},
            HF_CLI_PLACE_OPTS(at),
            HF_CLI_OPTS_END,
    };
    const struct hf_command cmd = {"incident export", "[options] ID", "an incident as a page, as Markdown, JSON or STIX", NULL, opts, 1, 1};
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
    hf_autobuf out = HF_BUF_INIT(64u << 20);
    int rc = hf_cli_place_open(&at, &cmd, argc, argv, args, &n, HF_STORE_READ_ONLY, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    rc = rc < 0 ? rc : hf_desk_read(at.store, hf_span_z(args[0]), &i, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    if (format == 0)
        hf_inc_html(i, &out);
    else if (format == 1)
        hf_inc_markdown(i, &out);
    else if (format == 3)
        hf_inc_stix(i, &out);
    else
        hf_inc_write(i, true, &out);
    if (format == 2)
        hf_buf_addc(&out, '\n');
    if (!hf_buf_ok(&out))
        return hf_cli_fail(&err, hf_fail(&err, HF_E_LIMIT, "the export would be over 64 MiB"));
    if (!to)
        return hf_cli_print(&out, HF_EXIT_OK);
    FILE *f = fopen(to, "we");
    if (!f)
        return hf_cli_fail(&err, hf_fail(&err, -errno, "%s: %s", to, strerror(errno)));
    bool bad = fwrite(out.p, 1, out.n, f) != out.n;
    if (fclose(f) != 0 || bad)
        return hf_cli_fail(&err, hf_fail(&err, -EIO, "%s could not be written", to));
    return HF_EXIT_OK;
}

/* ---- changes ---- */

static int change(enum hf_inc_verb verb, const char *name, const char *synopsis, const char *summary, const char *details, unsigned operands, int argc, char **argv)
{
    hf_cleanup(hf_cli_place_done) struct hf_cli_place at = {NULL};
    const char *by = NULL, *note = NULL, *args[3] = {NULL};
    bool json = false;
    size_t n;
    const struct hf_opt opts[] = {
            {"by", 0, HF_OPT_STR, &by, "NAME", NULL, 0, 0, "who says so (default: you)"},
            {"comment", 0, HF_OPT_STR, &note, "TEXT", NULL, 0, 0, "and this comment"},
            {"json", 0, HF_OPT_FLAG, &json, NULL, NULL, 0, 0, "print the changed document"},
            HF_CLI_PLACE_OPTS(at),
            HF_CLI_OPTS_END,
    };
    const struct hf_command cmd = {name, synopsis, summary, details, opts, operands, operands};
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
    hf_autobuf out = HF_BUF_INIT(16u << 20);
    int rc = hf_cli_place_open(&at, &cmd, argc, argv, args, &n, HF_STORE_MUST_EXIST, &err);
    if (rc > 0)
        return HF_EXIT_OK;
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    const char *who = hf_cli_who(by), *text = operands > 1 ? args[1] : "";
    if (verb == HF_INC_ASSIGN)
        text = !strcmp(text, "me") ? who : !strcmp(text, "nobody") ? "" : text;
    struct hf_inc_change c = {.verb = verb, .time_ns = (uint64_t)hf_store_now(), .by = hf_span_z(who), .via = HF_S("cli"), .text = hf_span_z(text), .note = hf_span_z(note)};
    rc = hf_desk_change(at.store, hf_span_z(args[0]), &c, 0, &i, &err);
    if (rc < 0)
        return hf_cli_fail(&err, rc);
    if (json) {
        hf_inc_write(i, true, &out);
        hf_buf_addc(&out, '\n');
    } else {
        hf_buf_addf(&out, "%s: %s%s%s%s\n", args[0], hf_inc_get(i, "state").p, hf_inc_get(i, "resolution").n ? " as " : "", hf_inc_get(i, "resolution").n ? hf_inc_get(i, "resolution").p : "",
                rc ? "" : " (as it was)");
    }
    return hf_cli_print(&out, HF_EXIT_OK);
}

static int ack(int argc, char **argv)
{
    return change(HF_INC_ACK, "incident ack", "[options] ID", "say that somebody looks at it", NULL, 1, argc, argv);
}
static int assign(int argc, char **argv)
{
    return change(HF_INC_ASSIGN, "incident assign", "[options] ID NAME", "give it to somebody", "NAME is a person, \"me\" or \"nobody\".", 2, argc, argv);
}
static int comment(int argc, char **argv)
{
    return change(HF_INC_COMMENT, "incident comment", "[options] ID TEXT", "write something to it", NULL, 2, argc, argv);
}
static int resolve(int argc, char **argv)
{
    return change(HF_INC_RESOLVE, "incident resolve", "[options] ID WHY", "close it", "WHY: true (an attack, dealt with), benign (allowed behaviour) or test.", 2, argc, argv);
}
static int reopen(int argc, char **argv)
{
    return change(HF_INC_REOPEN, "incident reopen", "[options] ID", "open a resolved one again", NULL, 1, argc, argv);
}

int hf_cmd_incident(int argc, char **argv)
{
    static const struct hf_cli_command commands[] = {
            {"list", list, "the incidents, the last changed first"},
            {"show", show, "the story of an incident"},
            {"ack", ack, "say that somebody looks at it"},
            {"assign", assign, "give it to somebody"},
            {"comment", comment, "write something to it"},
            {"resolve", resolve, "close it"},
            {"reopen", reopen, "open a resolved one again"},
            {"export", export, "an incident as a page, as Markdown, JSON or STIX"},
            {"import", hf_cli_incident_import, "make incidents of lines of \"watch --json\""},
    };
    return hf_cli_group("incident", "what alerts have become", commands, HF_ARRAY_LEN(commands), argc, argv);
}
