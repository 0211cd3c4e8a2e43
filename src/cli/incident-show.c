// SPDX-License-Identifier: Apache-2.0
/* The story of an incident for a terminal. */
#include <unistd.h>

#include "cli/incident-cli.h"

static void label(struct hf_buf *b, const char *name, struct hf_span value)
{
    if (!value.n)
        return;
    hf_buf_addf(b, "%-13s", name);
    hf_buf_add_escaped(b, value, 0);
    hf_buf_addc(b, '\n');
}

static void heading(struct hf_buf *b, const char *text)
{
    hf_buf_addf(b, "\n%s%s%s\n", hf_cli_colour() ? "\033[1m" : "", text, hf_cli_plain());
}

/* Broken at blanks, so that it can be read at any width. */
static void folded(struct hf_buf *b, struct hf_span s, size_t indent)
{
    struct hf_span word;
    size_t at = indent;
    hf_buf_addf(b, "%*s", (int)indent, "");
    while (hf_span_cut(&s, ' ', &word)) {
        if (at > indent && at + word.n > 98) {
            hf_buf_addf(b, "\n%*s", (int)indent, "");
            at = indent;
        }
        if (at > indent)
            hf_buf_addc(b, ' ');
        at += 1 + hf_buf_add_escaped(b, word, 0);
    }
    hf_buf_addc(b, '\n');
}

static void details(hf_jnode root, struct hf_buf *out)
{
    char when[24];
    if (hf_jfirst(hf_jget(root, "advice")))
        heading(out, "What to do now");
    HF_JFOREACH(a, hf_jget(root, "advice")) folded(out, hf_jstr(a), 2);
    if (hf_jfirst(hf_jget(root, "chain")))
        heading(out, "MITRE ATT&CK");
    HF_JFOREACH(c, hf_jget(root, "chain"))
    {
        hf_buf_addz(out, "  ");
        hf_cli_cell(out, hf_jgetstr(c, "title"), 22);
        HF_JFOREACH(t, hf_jget(c, "techniques"))
        {
            hf_buf_add_escaped(out, hf_jstr(t), 0);
            hf_buf_addc(out, hf_jnext(t) ? ' ' : '\n');
        }
    }
    if (hf_jfirst(hf_jget(root, "containers")))
        heading(out, "Containers");
    HF_JFOREACH(c, hf_jget(root, "containers"))
    {
        hf_buf_addz(out, "  ");
        hf_cli_cell(out, hf_span_sub(hf_jgetstr(c, "id"), 0, 12), 12);
        hf_cli_cell(out, hf_jgetstr(c, "name"), 20);
        hf_cli_cell(out, hf_jgetstr(c, "image"), 30);
        if (hf_jgetstr(c, "reached_from").n) {
            hf_buf_addz(out, "reached from ");
            hf_buf_add_escaped(out, hf_jgetstr(c, "reached_from"), 0);
        }
        hf_buf_addc(out, '\n');
    }
    if (hf_jfirst(hf_jget(root, "rules")))
        heading(out, "Rules");
    HF_JFOREACH(r, hf_jget(root, "rules"))
    {
        double count = 0;
        (void)hf_jnum(hf_jget(r, "count"), &count);
        hf_buf_addf(out, "  %s", hf_cli_severity_colour(hf_jgetstr(r, "severity")));
        hf_cli_cell(out, hf_jgetstr(r, "severity"), 8);
        hf_buf_addf(out, "%s%6.0f  ", hf_cli_plain(), count);
        hf_cli_cell(out, hf_cli_short_time(hf_jgetstr(r, "first"), when), 19);
        hf_buf_add_escaped(out, hf_jgetstr(r, "rule"), 0);
        hf_buf_addc(out, '\n');
    }
}

static void story(hf_jnode root, struct hf_buf *out)
{
    heading(out, "What happened when");
    HF_JFOREACH(e, hf_jget(root, "timeline"))
    {
        struct hf_span t = hf_jgetstr(e, "time"), kind = hf_jgetstr(e, "kind");
        bool alert = hf_span_eqz(kind, "alert");
        hf_buf_addz(out, "  ");
        hf_cli_cell(out, hf_span_sub(t, 11, 12), 12);
        hf_cli_cell(out, kind, 7);
        hf_buf_addz(out, alert && hf_cli_colour() ? "\033[31m" : "");
        hf_buf_add_escaped(out, hf_jgetstr(e, "text"), 0);
        hf_buf_addz(out, alert ? hf_cli_plain() : "");
        if (hf_jgetstr(e, "by").n) {
            hf_buf_addz(out, " (");
            hf_buf_add_escaped(out, hf_jgetstr(e, "by"), 0);
            hf_buf_addc(out, ')');
        }
        hf_buf_addc(out, '\n');
    }
    if (hf_jfirst(hf_jget(root, "comments")))
        heading(out, "Discussion");
    HF_JFOREACH(c, hf_jget(root, "comments"))
    {
        char when[24];
        struct hf_span rest = hf_jgetstr(c, "text"), line;
        hf_buf_addz(out, "  ");
        hf_buf_add_escaped(out, hf_jgetstr(c, "by"), 0);
        hf_buf_addz(out, ", ");
        hf_buf_add_escaped(out, hf_cli_short_time(hf_jgetstr(c, "time"), when), 0);
        hf_buf_addz(out, ":\n");
        while (hf_span_line(&rest, &line))
            folded(out, line, 4);
    }
}

int hf_cli_incident_show(const struct hf_inc *i, struct hf_buf *out)
{
    hf_jnode root = hf_inc_root(i);
    struct hf_span severity = hf_inc_get(i, "severity");
    hf_buf_addz(out, hf_cli_severity_colour(severity));
    hf_buf_add_escaped(out, hf_inc_get(i, "title"), 0);
    hf_buf_addf(out, "%s\n", hf_cli_plain());
    folded(out, hf_inc_get(i, "summary"), 0);
    hf_buf_addc(out, '\n');
    label(out, "incident", hf_inc_get(i, "id"));
    label(out, "severity", severity);
    label(out, "state", hf_inc_get(i, "state"));
    label(out, "resolved as", hf_inc_get(i, "resolution"));
    label(out, "part of", hf_inc_get(i, "merged_into"));
    label(out, "assignee", hf_inc_get(i, "assignee"));
    label(out, "acknowledged", hf_inc_get(i, "acknowledged_by"));
    label(out, "first alert", hf_inc_get(i, "first_alert"));
    label(out, "last alert", hf_inc_get(i, "last_alert"));
    details(root, out);
    story(root, out);
    return 0;
}
