// SPDX-License-Identifier: Apache-2.0
/* Jira (REST API v3 with the Atlassian Document Format, or version 2 with wiki text; summary 255, text 32,767 characters), GitHub
 * (title 256, body 65,536) and GitLab issues (title 255, description 1,048,576). */
#include <stdio.h>

#include "notify/render-internal.h"

enum { TITLE_MAX = 250, TEXT_MAX = 2000 };

/* ---- Atlassian Document Format: text nodes have no marks of their own ---- */

static void adf_text(struct hf_jw *w, struct hf_span s, bool strong)
{
    if (!s.n)
        return; /* an empty text node is refused */
    hf_jw_object(w);
    hf_jw_kstrz(w, "type", "text");
    hf_nr_jcut(w, "text", s, TEXT_MAX);
    if (strong) {
        hf_jw_key(w, "marks");
        hf_jw_array(w);
        hf_jw_object(w);
        hf_jw_kstrz(w, "type", "strong");
        hf_jw_object_end(w);
        hf_jw_array_end(w);
    }
    hf_jw_object_end(w);
}

static void adf_begin(struct hf_jw *w, const char *type)
{
    hf_jw_object(w);
    hf_jw_kstrz(w, "type", type);
    hf_jw_key(w, "content");
    hf_jw_array(w);
}

static void adf_end(struct hf_jw *w)
{
    hf_jw_array_end(w);
    hf_jw_object_end(w);
}

static void adf_lines(struct hf_jw *w, struct hf_span text)
{
    struct hf_span line;
    while (hf_span_line(&text, &line)) {
        adf_begin(w, "paragraph");
        adf_text(w, line, false);
        adf_end(w);
    }
}

static void adf_item(struct hf_jw *w, const char *label, struct hf_span value)
{
    char head[32];
    snprintf(head, sizeof head, "%s: ", label);
    adf_begin(w, "listItem");
    adf_begin(w, "paragraph");
    adf_text(w, hf_span_z(head), true);
    adf_text(w, value, false);
    adf_end(w);
    adf_end(w);
}

static void adf_open(struct hf_jw *w, const char *key)
{
    hf_jw_key(w, key);
    hf_jw_object(w);
    hf_jw_kstrz(w, "type", "doc");
    hf_jw_ku64(w, "version", 1);
    hf_jw_key(w, "content");
    hf_jw_array(w);
}

static void adf_description(struct hf_nrender *r, struct hf_jw *w)
{
    hf_autobuf value = HF_BUF_INIT(16 << 10);
    const char *label;
    adf_open(w, "description");
    adf_lines(w, r->v->summary);
    adf_begin(w, "bulletList");
    for (unsigned i = 0; hf_nr_fact(r, i, &label, &value); i++)
        if (value.n)
            adf_item(w, label, hf_buf_span(&value));
    for (size_t i = 0; i < HF_MIN(r->v->n_advice, (size_t)8); i++)
        adf_item(w, "Do now", r->v->advice[i]);
    adf_end(w);
    hf_buf_clear(&value);
    if (hf_nr_link(r, &value))
        adf_lines(w, hf_buf_span(&value));
    adf_end(w);
}

static void said_of(struct hf_nrender *r, struct hf_buf *b)
{
    if (r->step == HF_NSTEP_STATE)
        hf_nr_state(r, b);
    else
        hf_nr_talk(r, r->talk, b);
}

/* ---- the text of the others: facts as a list, each value through `escape` ---- */

static void description(struct hf_nrender *r, struct hf_buf *b, void (*escape)(struct hf_buf *b, struct hf_span s), const char *bold)
{
    hf_autobuf value = HF_BUF_INIT(16 << 10);
    const char *label;
    struct hf_span lines = r->v->summary, line;
    while (hf_span_line(&lines, &line)) {
        escape(b, line);
        hf_buf_addc(b, '\n');
    }
    hf_buf_addc(b, '\n');
    for (unsigned i = 0; hf_nr_fact(r, i, &label, &value); i++) {
        if (!value.n)
            continue;
        hf_buf_addf(b, "* %s%s%s: ", bold, label, bold);
        escape(b, hf_span_sub(hf_buf_span(&value), 0, TEXT_MAX));
        hf_buf_addc(b, '\n');
    }
    for (size_t i = 0; i < HF_MIN(r->v->n_advice, (size_t)8); i++) {
        hf_buf_addf(b, "* %sDo now%s: ", bold, bold);
        escape(b, r->v->advice[i]);
        hf_buf_addc(b, '\n');
    }
    hf_buf_clear(&value);
    if (hf_nr_link(r, &value))
        hf_buf_addf(b, "\n%.*s\n", HF_SPAN_ARG(hf_buf_span(&value)));
}

static void escaped_lines(struct hf_buf *b, struct hf_span text, void (*escape)(struct hf_buf *b, struct hf_span s))
{
    struct hf_span line;
    while (hf_span_line(&text, &line)) {
        hf_buf_addz(b, b->n ? "\n\n" : "");
        escape(b, line);
    }
}

/* ---- Jira ---- */

static void jira_begin(struct hf_nrender *r, const char *method)
{
    hf_autobuf pair = HF_BUF_INIT(16 << 10), basic = HF_BUF_INIT(32 << 10);
    hf_nreq_begin(r, method, "application/json");
    if (r->ch->user.n) { /* cloud: Basic e-mail:token; data center: a personal token as Bearer */
        hf_buf_addf(&pair, "%.*s:%.*s", HF_SPAN_ARG(r->ch->user), HF_SPAN_ARG(hf_nr_secret(r, HF_NSECRET_TOKEN)));
        hf_ntext_base64(&basic, hf_buf_span(&pair));
        hf_nreq_header(r, "Authorization: Basic %s", hf_buf_z(&basic));
    } else {
        hf_nreq_header(r, "Authorization: Bearer %.*s", HF_SPAN_ARG(hf_nr_secret(r, HF_NSECRET_TOKEN)));
    }
    hf_nreq_header(r, "Accept: application/json");
    hf_nreq_header(r, "X-Atlassian-Token: no-check");
    hf_buf_addf(&r->req.url, "/rest/api/%d/%s", r->ch->data_center ? 2 : 3, r->step != HF_NSTEP_FIND ? "issue" : r->ch->data_center ? "search" : "search/jql");
    if (r->step != HF_NSTEP_CREATE && r->step != HF_NSTEP_FIND) {
        hf_buf_addc(&r->req.url, '/');
        hf_ntext_url(&r->req.url, hf_span_z(r->m->ref));
    }
}

static void jira_name(struct hf_jw *w, const char *field, const char *key, struct hf_span s)
{
    hf_jw_key(w, field);
    hf_jw_object(w);
    hf_jw_kstr(w, key, s);
    hf_jw_object_end(w);
}

static int jira_create(struct hf_nrender *r)
{
    hf_autobuf text = HF_BUF_INIT(256 << 10);
    struct hf_jw w;
    jira_begin(r, "POST");
    hf_jw_init(&w, &r->req.body, false);
    hf_jw_object(&w);
    hf_jw_key(&w, "fields");
    hf_jw_object(&w);
    jira_name(&w, "project", "key", r->ch->project);
    jira_name(&w, "issuetype", "name", r->ch->issue_type.n ? r->ch->issue_type : HF_S("Task"));
    hf_nr_headline(r, &text);
    hf_nr_jcut(&w, "summary", hf_buf_span(&text), TITLE_MAX);
    hf_jw_key(&w, "labels");
    hf_jw_array(&w);
    hf_jw_strz(&w, "holdfast");
    for (size_t i = 0; i < r->ch->labels.n; i++)
        hf_jw_str(&w, r->ch->labels.v[i]);
    hf_jw_array_end(&w);
    if (r->ch->data_center) {
        hf_buf_clear(&text);
        description(r, &text, hf_ntext_wiki, "*");
        hf_nr_jcut(&w, "description", hf_buf_span(&text), 32000);
    } else {
        adf_description(r, &w);
    }
    hf_jw_object_end(&w);
    hf_jw_object_end(&w);
    return 1;
}

static int jira_comment(struct hf_nrender *r)
{
    hf_autobuf text = HF_BUF_INIT(64 << 10), wiki = HF_BUF_INIT(256 << 10);
    struct hf_jw w;
    jira_begin(r, "POST");
    hf_buf_addz(&r->req.url, "/comment");
    said_of(r, &text);
    hf_jw_init(&w, &r->req.body, false);
    hf_jw_object(&w);
    if (r->ch->data_center) {
        escaped_lines(&wiki, hf_buf_span(&text), hf_ntext_wiki);
        hf_nr_jcut(&w, "body", hf_buf_span(&wiki), 32000);
    } else {
        adf_open(&w, "body");
        adf_lines(&w, hf_buf_span(&text));
        adf_end(&w);
    }
    hf_jw_object_end(&w);
    return 1;
}

/* A workflow names its transitions as it likes: first they are asked for, then the one that leads to the wanted name is made. */
static int jira_state(struct hf_nrender *r)
{
    struct hf_jw w;
    struct hf_span want = r->ch->transition[r->v->state];
    if (!want.n)
        return jira_comment(r);
    jira_begin(r, r->m->pending[0] ? "POST" : "GET");
    hf_buf_addz(&r->req.url, "/transitions");
    if (!r->m->pending[0])
        return 1;
    hf_jw_init(&w, &r->req.body, false);
    hf_jw_object(&w);
    jira_name(&w, "transition", "id", hf_span_z(r->m->pending));
    hf_jw_object_end(&w);
    return 1;
}

/* The incident's id is a fact of the description. */
static int jira_find(struct hf_nrender *r)
{
    hf_autobuf jql = HF_BUF_INIT(4096);
    struct hf_jw w;
    jira_begin(r, "POST");
    hf_buf_addf(&jql, "project = \"%.*s\" AND labels = holdfast AND description ~ \"\\\"%.*s\\\"\" ORDER BY created ASC", HF_SPAN_ARG(r->ch->project), HF_SPAN_ARG(r->v->id));
    hf_jw_init(&w, &r->req.body, false);
    hf_jw_object(&w);
    hf_jw_kstr(&w, "jql", hf_buf_span(&jql));
    hf_jw_key(&w, "fields");
    hf_jw_array(&w);
    hf_jw_strz(&w, "key");
    hf_jw_array_end(&w);
    hf_jw_ku64(&w, "maxResults", 1);
    hf_jw_object_end(&w);
    return 1;
}

static int make_jira(struct hf_nrender *r)
{
    if (r->step == HF_NSTEP_FIND)
        return jira_find(r);
    return r->step == HF_NSTEP_CREATE ? jira_create(r) : r->step == HF_NSTEP_STATE ? jira_state(r) : jira_comment(r);
}

static bool keep_ref(struct hf_nrender *r, struct hf_span s, struct hf_err *err)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", s.p[i]))
            s.n = 0;
    if (!s.n || s.n >= sizeof r->m->ref) {
        hf_fail(err, HF_E_FORMAT, "the answer names no issue");
        return false;
    }
    snprintf(r->m->ref, sizeof r->m->ref, "%.*s", HF_SPAN_ARG(s));
    return true;
}

static enum hf_ntook jira_took(struct hf_nrender *r, const struct hf_nanswer *a, hf_jnode json, struct hf_err *err)
{
    struct hf_span want = r->ch->transition[r->v->state];
    (void)a;
    if (r->step == HF_NSTEP_FIND) {
        struct hf_span key = hf_jgetstr(hf_jfirst(hf_jget(json, "issues")), "key");
        if (key.n && keep_ref(r, key, err))
            hf_nr_found(r, key, hf_span("", 0));
        return HF_NTOOK;
    }
    if (r->step == HF_NSTEP_CREATE)
        return keep_ref(r, hf_jgetstr(json, "key"), err) ? HF_NTOOK : HF_NTOOK_SETUP;
    if (r->step != HF_NSTEP_STATE || !want.n || strcmp(r->req.method, "GET"))
        return HF_NTOOK;
    HF_JFOREACH(t, hf_jget(json, "transitions")) {
        struct hf_span id = hf_jgetstr(t, "id");
        if ((hf_span_eq_nocase(hf_jgetstr(t, "name"), want) || hf_span_eq_nocase(hf_jgetstr(hf_jget(t, "to"), "name"), want)) && id.n && id.n < sizeof r->m->pending) {
            snprintf(r->m->pending, sizeof r->m->pending, "%.*s", HF_SPAN_ARG(id));
            r->step = HF_NSTEP_DONE; /* found, not made: the state is not told yet */
            return HF_NTOOK;
        }
    }
    return HF_NTOOK; /* it is there already, or someone moved it elsewhere: people's moves stand */
}
const struct hf_nrenderer hf_nr_jira = {.make = make_jira, .took = jira_took, .finds = true, .states = true, .talks = true, .begins_open = true};

/* ---- GitHub and GitLab ---- */

static void forge_begin(struct hf_nrender *r, const char *method)
{
    hf_nreq_begin(r, method, "application/json");
    if (r->ch->kind == HF_N_GITHUB) {
        hf_nreq_header(r, "Authorization: Bearer %.*s", HF_SPAN_ARG(hf_nr_secret(r, HF_NSECRET_TOKEN)));
        hf_nreq_header(r, "Accept: application/vnd.github+json");
        hf_nreq_header(r, "X-GitHub-Api-Version: 2022-11-28");
        hf_buf_addf(&r->req.url, "/repos/%.*s/issues", HF_SPAN_ARG(r->ch->project));
    } else {
        hf_nreq_header(r, "PRIVATE-TOKEN: %.*s", HF_SPAN_ARG(hf_nr_secret(r, HF_NSECRET_TOKEN)));
        hf_buf_addz(&r->req.url, "/projects/");
        hf_ntext_url(&r->req.url, r->ch->project); /* GROUP%2FNAME */
        hf_buf_addz(&r->req.url, "/issues");
    }
    if (r->step != HF_NSTEP_CREATE && r->step != HF_NSTEP_FIND) {
        hf_buf_addc(&r->req.url, '/');
        hf_ntext_url(&r->req.url, hf_span_z(r->m->ref));
    }
}

static void forge_labels(struct hf_nrender *r, struct hf_jw *w)
{
    hf_autobuf all = HF_BUF_INIT(16 << 10);
    hf_buf_addz(&all, "holdfast");
    for (size_t i = 0; i < r->ch->labels.n; i++)
        hf_buf_addf(&all, ",%.*s", HF_SPAN_ARG(r->ch->labels.v[i]));
    if (r->ch->kind == HF_N_GITLAB) {
        hf_jw_kstr(w, "labels", hf_buf_span(&all));
        return;
    }
    hf_jw_key(w, "labels");
    hf_jw_array(w);
    struct hf_span rest = hf_buf_span(&all), one;
    while (hf_span_cut(&rest, ',', &one))
        hf_jw_str(w, one);
    hf_jw_array_end(w);
}

static int forge_create(struct hf_nrender *r, struct hf_jw *w)
{
    bool github = r->ch->kind == HF_N_GITHUB;
    hf_autobuf text = HF_BUF_INIT(256 << 10);
    hf_nr_headline(r, &text);
    hf_nr_jcut(w, "title", hf_buf_span(&text), TITLE_MAX);
    hf_buf_clear(&text);
    description(r, &text, hf_ntext_markdown, "**");
    hf_nr_jcut(w, github ? "body" : "description", hf_buf_span(&text), 60000);
    forge_labels(r, w);
    return 1;
}

/* Ours that were made, or changed, since the incident began. */
static int forge_find(struct hf_nrender *r)
{
    forge_begin(r, "GET");
    hf_buf_addf(&r->req.url, "?labels=holdfast&state=all&per_page=10&%s=", r->ch->kind == HF_N_GITHUB ? "sort=created&since" : "order_by=created_at&created_after");
    hf_ntext_url(&r->req.url, r->v->opened);
    return 1;
}

/* By the fact that is the incident's id, as description() writes it. */
static void forge_found(struct hf_nrender *r, hf_jnode json)
{
    bool github = r->ch->kind == HF_N_GITHUB;
    hf_autobuf fact = HF_BUF_INIT(1024);
    hf_buf_addz(&fact, "**Incident**: ");
    hf_ntext_markdown(&fact, r->v->id);
    HF_JFOREACH(i, json) {
        double number = 0;
        char text[32];
        if (!hf_jnum(hf_jget(i, github ? "number" : "iid"), &number) || number < 1 || number > 1e12 || hf_span_search(hf_jgetstr(i, github ? "body" : "description"), hf_buf_span(&fact)) == SIZE_MAX)
            continue;
        snprintf(text, sizeof text, "%.0f", number);
        hf_nr_found(r, hf_span_z(text), hf_span("", 0));
    }
}

static int make_forge(struct hf_nrender *r)
{
    if (r->step == HF_NSTEP_FIND)
        return forge_find(r);
    bool github = r->ch->kind == HF_N_GITHUB, resolved = r->v->state == HF_NST_RESOLVED, was = r->m->state == HF_NST_RESOLVED;
    bool state = r->step == HF_NSTEP_STATE && resolved != was, create = r->step == HF_NSTEP_CREATE;
    struct hf_jw w;
    forge_begin(r, state ? github ? "PATCH" : "PUT" : "POST");
    hf_jw_init(&w, &r->req.body, false);
    hf_jw_object(&w);
    if (create) {
        forge_create(r, &w);
    } else if (state) {
        hf_jw_kstrz(&w, github ? "state" : "state_event", github ? resolved ? "closed" : "open" : resolved ? "close" : "reopen");
        if (github)
            hf_jw_kstrz(&w, "state_reason", !resolved ? "reopened" : hf_span_eqz(r->v->resolution, "true") ? "completed" : "not_planned");
    } else {
        hf_autobuf text = HF_BUF_INIT(64 << 10), md = HF_BUF_INIT(256 << 10);
        hf_buf_addz(&r->req.url, github ? "/comments" : "/notes");
        said_of(r, &text);
        escaped_lines(&md, hf_buf_span(&text), hf_ntext_markdown);
        hf_nr_jcut(&w, "body", hf_buf_span(&md), 60000);
    }
    hf_jw_object_end(&w);
    return 1;
}

static enum hf_ntook forge_took(struct hf_nrender *r, const struct hf_nanswer *a, hf_jnode json, struct hf_err *err)
{
    double number = 0;
    char text[32];
    (void)a;
    if (r->step == HF_NSTEP_FIND)
        forge_found(r, json);
    if (r->step != HF_NSTEP_CREATE)
        return HF_NTOOK;
    if (!hf_jnum(hf_jget(json, r->ch->kind == HF_N_GITHUB ? "number" : "iid"), &number) || number < 1 || number > 1e12) {
        hf_fail(err, HF_E_FORMAT, "the answer names no issue");
        return HF_NTOOK_SETUP;
    }
    snprintf(text, sizeof text, "%.0f", number);
    return keep_ref(r, hf_span_z(text), err) ? HF_NTOOK : HF_NTOOK_SETUP;
}
const struct hf_nrenderer hf_nr_github = {.make = make_forge, .took = forge_took, .finds = true, .states = true, .talks = true, .begins_open = true};
const struct hf_nrenderer hf_nr_gitlab = {.make = make_forge, .took = forge_took, .finds = true, .states = true, .talks = true, .begins_open = true};
