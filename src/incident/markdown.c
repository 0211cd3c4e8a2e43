// SPDX-License-Identifier: Apache-2.0
#include "incident/incident-internal.h"

/* What Markdown, or the HTML it allows, would take for its own gets a backslash; a line stays a line. */
static void md(struct hf_buf *b, const char *s)
{
    hf_autobuf safe = HF_BUF_INIT(HF_INC_MAX * 4);
    hf_buf_add_escaped(&safe, hf_span_z(s), 0);
    for (const char *p = hf_buf_z(&safe); *p; p++) {
        if (strchr("\\`*_{}[]<>()#+!|~@&", *p))
            hf_buf_addc(b, '\\');
        if (*p == ':' && p[1] == '/') { /* no link of a text that only looks like one */
            hf_buf_addz(b, "\\:");
            continue;
        }
        hf_buf_addc(b, *p);
    }
}

static void piece(struct hf_buf *b, const char *open, const char *s, const char *close)
{
    hf_buf_addz(b, open);
    md(b, s);
    hf_buf_addz(b, close);
}

static const cJSON *first(const struct hf_inc *i, const char *list)
{
    const cJSON *l = hf_inc_array(i, list);
    return l ? l->child : NULL;
}

static void lists(const struct hf_inc *i, struct hf_buf *b)
{
    if (first(i, "advice"))
        hf_buf_addz(b, "\n## What to do now\n\n");
    for (const cJSON *a = first(i, "advice"); a; a = a->next)
        if (cJSON_IsString(a))
            piece(b, "- ", a->valuestring, "\n");
    if (first(i, "chain"))
        hf_buf_addz(b, "\n## MITRE ATT&CK\n\n");
    for (const cJSON *c = first(i, "chain"); c; c = c->next) {
        const cJSON *t = cJSON_GetObjectItemCaseSensitive(c, "techniques");
        piece(b, "1. ", hf_inc_z(c, "title"), "");
        for (t = t ? t->child : NULL; t; t = t->next)
            if (cJSON_IsString(t))
                piece(b, t->prev && t->prev->next ? ", " : ": ", t->valuestring, "");
        hf_buf_addz(b, "\n");
    }
    if (first(i, "containers"))
        hf_buf_addz(b, "\n## Containers\n\n| Name | Image | Reached from | Id |\n| --- | --- | --- | --- |\n");
    for (const cJSON *c = first(i, "containers"); c; c = c->next) {
        piece(b, "| ", hf_inc_z(c, "name"), " | ");
        piece(b, "", hf_inc_z(c, "image"), " | ");
        piece(b, "", hf_inc_z(c, "reached_from"), " | ");
        piece(b, "", hf_inc_z(c, "id"), " |\n");
    }
    if (first(i, "rules"))
        hf_buf_addz(b, "\n## Rules\n\n| Severity | Rule | Count | First |\n| --- | --- | ---: | --- |\n");
    for (const cJSON *r = first(i, "rules"); r; r = r->next) {
        piece(b, "| ", hf_inc_z(r, "severity"), " | ");
        piece(b, "", hf_inc_z(r, "rule"), " | ");
        hf_buf_addf(b, "%llu", (unsigned long long)hf_inc_num(r, "count"));
        piece(b, " | ", hf_inc_z(r, "first"), " |\n");
    }
}

void hf_inc_markdown(const struct hf_inc *i, struct hf_buf *b)
{
    piece(b, "# ", hf_inc_z(i->root, "title"), "\n\n");
    piece(b, "**", hf_inc_z(i->root, "severity"), "**");
    piece(b, " · ", hf_inc_z(i->root, "id"), "");
    piece(b, " · ", hf_inc_z(i->root, "state"), "");
    if (*hf_inc_z(i->root, "resolution"))
        piece(b, " as ", hf_inc_z(i->root, "resolution"), "");
    if (*hf_inc_z(i->root, "assignee"))
        piece(b, " · assigned to ", hf_inc_z(i->root, "assignee"), "");
    piece(b, "  \n", hf_inc_z(i->root, "first_alert"), "");
    piece(b, " to ", hf_inc_z(i->root, "last_alert"), "");
    hf_buf_addf(b, " · %llu alerts\n\n", (unsigned long long)hf_inc_num(i->root, "alerts"));
    piece(b, "", hf_inc_z(i->root, "summary"), "\n");
    lists(i, b);
    hf_buf_addz(b, "\n## What happened when\n\n| Time | What | Who |\n| --- | --- | --- |\n");
    for (const cJSON *e = first(i, "timeline"); e; e = e->next) {
        piece(b, "| ", hf_inc_z(e, "time"), " | ");
        piece(b, strcmp(hf_inc_z(e, "kind"), "alert") ? "" : "**alert** ", hf_inc_z(e, "text"), " | ");
        piece(b, "", hf_inc_z(e, "by"), " |\n");
    }
    if (first(i, "comments"))
        hf_buf_addz(b, "\n## Discussion\n");
    for (const cJSON *c = first(i, "comments"); c; c = c->next) {
        struct hf_span rest = hf_span_z(hf_inc_z(c, "text")), line;
        piece(b, "\n**", hf_inc_z(c, "by"), "** ");
        piece(b, "", hf_inc_z(c, "time"), "\n\n");
        while (hf_span_line(&rest, &line)) {
            hf_autobuf one = HF_BUF_INIT(HF_INC_MAX);
            hf_buf_adds(&one, line);
            piece(b, "> ", hf_buf_z(&one), "\n");
        }
    }
}
