// SPDX-License-Identifier: Apache-2.0
/* Microsoft Teams, Mattermost, Discord, Matrix. */
#include <stdio.h>

#include "notify/render-internal.h"

/* ---- Teams: a Workflows webhook takes a message of 28 KB with an adaptive card.  RichTextBlock's TextRun has no marks
 * (adaptivecards.io/explorer/TextRun.html); TextBlock and FactSet read Markdown and are not used. ---- */

enum { TEAMS_MAX = 28000, TEAMS_TEXT = 900 };

static void rich(struct hf_jw *w, const char *bold, struct hf_span s, const char *size, const char *colour, size_t max)
{
    hf_jw_object(w);
    hf_jw_kstrz(w, "type", "RichTextBlock");
    hf_jw_key(w, "inlines");
    hf_jw_array(w);
    for (unsigned i = bold ? 0 : 1; i < 2; i++) {
        hf_jw_object(w);
        hf_jw_kstrz(w, "type", "TextRun");
        hf_nr_jcut(w, "text", i ? s : hf_span_z(bold), i ? max : 64);
        if (!i || size)
            hf_jw_kstrz(w, "weight", "Bolder");
        if (size)
            hf_jw_kstrz(w, "size", size);
        if (colour)
            hf_jw_kstrz(w, "color", colour);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    hf_jw_object_end(w);
}

static void teams_card(struct hf_nrender *r, struct hf_jw *w, size_t max)
{
    hf_autobuf text = HF_BUF_INIT(64 << 10);
    const char *label;
    hf_nr_headline(r, &text);
    rich(w, NULL, hf_buf_span(&text), "Large", r->v->severity >= HF_NSEV_HIGH ? "Attention" : r->v->severity == HF_NSEV_MEDIUM ? "Warning" : "Default", max / 2);
    hf_buf_clear(&text);
    hf_nr_news(r, &text);
    rich(w, NULL, hf_buf_span(&text), NULL, NULL, max / 2);
    if (r->v->summary.n)
        rich(w, NULL, r->v->summary, NULL, NULL, max);
    for (unsigned i = 0; hf_nr_fact(r, i, &label, &text); i++) {
        char head[32];
        snprintf(head, sizeof head, "%s: ", label);
        if (text.n)
            rich(w, head, hf_buf_span(&text), NULL, NULL, max);
    }
    for (size_t i = 0; i < HF_MIN(r->v->n_advice, (size_t)5); i++)
        rich(w, "Do now: ", r->v->advice[i], NULL, NULL, max / 2);
    hf_buf_clear(&text);
    hf_nr_new_talk(r, &text, 3 * max);
    if (text.n)
        rich(w, NULL, hf_buf_span(&text), NULL, NULL, 3 * max);
}

static void teams_body(struct hf_nrender *r, size_t max)
{
    struct hf_jw w;
    hf_autobuf link = HF_BUF_INIT(4096);
    hf_jw_init(&w, &r->req.body, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "type", "message");
    hf_jw_key(&w, "attachments");
    hf_jw_array(&w);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "contentType", "application/vnd.microsoft.card.adaptive");
    hf_jw_key(&w, "contentUrl");
    hf_jw_null(&w);
    hf_jw_key(&w, "content");
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "$schema", "http://adaptivecards.io/schemas/adaptive-card.json");
    hf_jw_kstrz(&w, "type", "AdaptiveCard");
    hf_jw_kstrz(&w, "version", "1.4");
    hf_jw_key(&w, "msteams");
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "width", "Full");
    hf_jw_object_end(&w);
    hf_jw_key(&w, "body");
    hf_jw_array(&w);
    teams_card(r, &w, max);
    hf_jw_array_end(&w);
    if (hf_nr_link(r, &link)) {
        hf_jw_key(&w, "actions");
        hf_jw_array(&w);
        hf_jw_object(&w);
        hf_jw_kstrz(&w, "type", "Action.OpenUrl");
        hf_jw_kstrz(&w, "title", "Open in Holdfast");
        hf_jw_kstr(&w, "url", hf_buf_span(&link));
        hf_jw_object_end(&w);
        hf_jw_array_end(&w);
    }
    hf_jw_object_end(&w);
    hf_jw_object_end(&w);
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
}

static int make_teams(struct hf_nrender *r)
{
    hf_nreq_begin(r, "POST", "application/json");
    for (size_t max = TEAMS_TEXT; max >= 50; max /= 2) { /* escapes can make a text six times as long: shorter until it fits */
        hf_buf_clear(&r->req.body);
        teams_body(r, max);
        if (r->req.body.n <= TEAMS_MAX)
            break;
    }
    return 1;
}
const struct hf_nrenderer hf_nr_teams = {.make = make_teams};

/* ---- Mattermost: incoming webhook with an attachment (developers.mattermost.com, "Message attachments"); 16,383 characters ---- */

static void markdown_field(struct hf_jw *w, const char *key, struct hf_span s, size_t max)
{
    hf_autobuf cut = HF_BUF_INIT(64 << 10), md = HF_BUF_INIT(512 << 10);
    hf_ntext_cut(&cut, s, max);
    hf_ntext_markdown(&md, hf_buf_span(&cut));
    hf_jw_kstr(w, key, hf_buf_span(&md));
}

static void fields(struct hf_nrender *r, struct hf_jw *w, const char *title, const char *value_key, bool shorts, size_t max)
{
    hf_autobuf value = HF_BUF_INIT(64 << 10);
    const char *label;
    hf_jw_key(w, "fields");
    hf_jw_array(w);
    for (unsigned i = 0; hf_nr_fact(r, i, &label, &value); i++) {
        if (!value.n)
            continue;
        hf_jw_object(w);
        hf_jw_kstrz(w, title, label);
        markdown_field(w, value_key, hf_buf_span(&value), max);
        hf_jw_kbool(w, shorts ? "short" : "inline", value.n < 40);
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
}

static void lines_as_markdown(struct hf_buf *out, struct hf_span text)
{
    struct hf_span line;
    while (hf_span_line(&text, &line)) {
        bool item = hf_span_starts(line, HF_S("- "));
        hf_buf_addz(out, out->n ? "\n" : "");
        hf_buf_addz(out, item ? "- " : "");
        hf_ntext_markdown(out, hf_span_from(line, item ? 2 : 0));
    }
}

static int make_mattermost(struct hf_nrender *r)
{
    hf_autobuf head = HF_BUF_INIT(16 << 10), text = HF_BUF_INIT(64 << 10), md = HF_BUF_INIT(256 << 10), link = HF_BUF_INIT(4096);
    struct hf_jw w;
    char colour[16];
    hf_nreq_begin(r, "POST", "application/json");
    hf_nr_headline(r, &head);
    hf_nr_news(r, &text);
    hf_jw_init(&w, &r->req.body, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "username", "Holdfast");
    if (r->ch->to.n)
        hf_jw_kstr(&w, "channel", r->ch->to.v[0]);
    markdown_field(&w, "text", hf_buf_span(&text), 500);
    hf_jw_key(&w, "attachments");
    hf_jw_array(&w);
    hf_jw_object(&w);
    markdown_field(&w, "fallback", hf_buf_span(&head), 300);
    snprintf(colour, sizeof colour, "#%06x", hf_nr_colour(r->v->severity));
    hf_jw_kstrz(&w, "color", colour);
    markdown_field(&w, "title", hf_buf_span(&head), 300);
    if (hf_nr_link(r, &link))
        hf_jw_kstr(&w, "title_link", hf_buf_span(&link));
    hf_buf_clear(&text);
    hf_buf_adds(&text, r->v->summary);
    hf_buf_addc(&text, '\n');
    for (size_t i = 0; i < HF_MIN(r->v->n_advice, (size_t)5); i++)
        hf_buf_addf(&text, "- do now: %.*s\n", HF_SPAN_ARG(r->v->advice[i]));
    hf_nr_new_talk(r, &text, 4000);
    lines_as_markdown(&md, hf_span_sub(hf_buf_span(&text), 0, 5000));
    hf_jw_kstr(&w, "text", hf_buf_span(&md));
    fields(r, &w, "title", "value", true, 300);
    hf_jw_object_end(&w);
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    return 1;
}
const struct hf_nrenderer hf_nr_mattermost = {.make = make_mattermost};

/* ---- Discord: webhook with ?wait=true, edited by PATCH (discord.com/developers: embed title 256, description 4096, 25 fields, name
 * 256, value 1024, 6000 in all; content 2000).  Nobody is ever mentioned: allowed_mentions. ---- */

static void discord_url(struct hf_nrender *r, const char *path)
{
    struct hf_span url = hf_nchannel_url(r->ch), query = {NULL, 0};
    size_t q = hf_span_find(url, '?');
    if (q != SIZE_MAX) {
        query = hf_span_from(url, q + 1);
        url.n = q;
    }
    hf_buf_clear(&r->req.url);
    hf_buf_adds(&r->req.url, url);
    hf_buf_addz(&r->req.url, path);
    hf_buf_addz(&r->req.url, r->step == HF_NSTEP_EDIT ? "" : "?wait=true");
    if (query.n) {
        hf_buf_addz(&r->req.url, r->step == HF_NSTEP_EDIT ? "?" : "&");
        hf_buf_adds(&r->req.url, query);
    }
}

static int make_discord(struct hf_nrender *r)
{
    hf_autobuf text = HF_BUF_INIT(64 << 10), link = HF_BUF_INIT(4096), path = HF_BUF_INIT(1024);
    struct hf_jw w;
    bool edit = r->step == HF_NSTEP_EDIT;
    hf_nreq_begin(r, edit ? "PATCH" : "POST", "application/json");
    if (edit) {
        hf_buf_addz(&path, "/messages/");
        hf_ntext_url(&path, hf_span_z(r->m->ref));
    }
    discord_url(r, hf_buf_z(&path));
    hf_jw_init(&w, &r->req.body, false);
    hf_jw_object(&w);
    if (edit || r->step == HF_NSTEP_CREATE) {
        hf_jw_key(&w, "embeds");
        hf_jw_array(&w);
        hf_jw_object(&w);
        hf_nr_headline(r, &text);
        markdown_field(&w, "title", hf_buf_span(&text), 85); /* a mark can become three characters */
        markdown_field(&w, "description", r->v->summary, 600);
        if (hf_nr_link(r, &link))
            hf_jw_kstr(&w, "url", hf_buf_span(&link));
        hf_jw_ku64(&w, "color", hf_nr_colour(r->v->severity));
        fields(r, &w, "name", "value", false, 95);
        hf_jw_object_end(&w);
        hf_jw_array_end(&w);
    } else {
        hf_buf_adds(&text, r->v->id);
        hf_buf_addz(&text, " - ");
        hf_nr_talk(r, r->talk, &text);
        markdown_field(&w, "content", hf_buf_span(&text), 650);
    }
    hf_jw_key(&w, "allowed_mentions");
    hf_jw_object(&w);
    hf_jw_key(&w, "parse");
    hf_jw_array(&w);
    hf_jw_array_end(&w);
    hf_jw_object_end(&w);
    hf_jw_object_end(&w);
    return 1;
}

static enum hf_ntook took_id(struct hf_nrender *r, const struct hf_nanswer *a, hf_jnode json, struct hf_err *err)
{
    struct hf_span id = hf_jgetstr(json, r->ch->kind == HF_N_MATRIX ? "event_id" : "id");
    (void)a;
    if (r->step != HF_NSTEP_CREATE)
        return HF_NTOOK;
    if (!id.n || id.n >= sizeof r->m->ref) {
        hf_fail(err, HF_E_FORMAT, "the answer names no message");
        return HF_NTOOK_SETUP;
    }
    snprintf(r->m->ref, sizeof r->m->ref, "%.*s", HF_SPAN_ARG(id));
    return HF_NTOOK;
}
const struct hf_nrenderer hf_nr_discord = {.make = make_discord, .took = took_id, .edits = true, .talks = true};

/* ---- Matrix: client-server API v3, m.room.message with org.matrix.custom.html, edited by m.replace, answers in m.thread; an event has
 * at most 65,536 bytes.  The transaction's id is the same when a request is made again: no message twice. ---- */

static void matrix_content(struct hf_jw *w, struct hf_span text, struct hf_span html)
{
    hf_jw_kstrz(w, "msgtype", "m.notice"); /* bots do not answer notices */
    hf_jw_kstr(w, "body", text);
    hf_jw_kstrz(w, "format", "org.matrix.custom.html");
    hf_jw_kstr(w, "formatted_body", html);
}

static void matrix_card(struct hf_nrender *r, struct hf_buf *text, struct hf_buf *html)
{
    hf_autobuf value = HF_BUF_INIT(16 << 10);
    const char *label;
    hf_nr_headline(r, text);
    hf_buf_addz(html, "<h4>");
    hf_ntext_html(html, hf_buf_span(text));
    hf_buf_addz(html, "</h4><p>");
    hf_buf_addc(text, '\n');
    hf_buf_adds(text, r->v->summary);
    hf_buf_addc(text, '\n');
    hf_ntext_html(html, r->v->summary);
    hf_buf_addz(html, "</p><ul>");
    for (unsigned i = 0; hf_nr_fact(r, i, &label, &value); i++) {
        if (!value.n)
            continue;
        hf_buf_addf(text, "%s: ", label);
        hf_ntext_cut(text, hf_buf_span(&value), 600);
        hf_buf_addc(text, '\n');
        hf_buf_addf(html, "<li><b>%s</b> ", label);
        hf_ntext_html(html, hf_span_sub(hf_buf_span(&value), 0, 600));
        hf_buf_addz(html, "</li>");
    }
    hf_buf_addz(html, "</ul>");
    hf_buf_clear(&value);
    if (hf_nr_link(r, &value)) {
        hf_buf_adds(text, hf_buf_span(&value));
        hf_buf_addz(html, "<a href=\"");
        hf_ntext_html(html, hf_buf_span(&value));
        hf_buf_addz(html, "\">Open in Holdfast</a>");
    }
}

static int make_matrix(struct hf_nrender *r)
{
    hf_autobuf text = HF_BUF_INIT(32 << 10), html = HF_BUF_INIT(64 << 10), starred = HF_BUF_INIT(32 << 10);
    struct hf_jw w;
    struct hf_nrequest *q = &r->req;
    bool edit = r->step == HF_NSTEP_EDIT;
    hf_nreq_begin(r, "PUT", "application/json");
    hf_nreq_header(r, "Authorization: Bearer %.*s", HF_SPAN_ARG(hf_nr_secret(r, HF_NSECRET_TOKEN)));
    hf_buf_addz(&q->url, "/_matrix/client/v3/rooms/");
    hf_ntext_url(&q->url, r->ch->to.v[0]);
    hf_buf_addf(&q->url, "/send/m.room.message/%.*s-%llu-%d-", HF_SPAN_ARG(r->v->id), (unsigned long long)r->v->revision, (int)r->step);
    hf_ntext_url(&q->url, hf_span_z(r->talk && (r->step == HF_NSTEP_COMMENT || r->step == HF_NSTEP_ACTION) ? r->talk->mark : "0"));
    if (edit || r->step == HF_NSTEP_CREATE) {
        matrix_card(r, &text, &html);
    } else {
        if (r->step == HF_NSTEP_STATE)
            hf_nr_state(r, &text);
        else
            hf_nr_talk(r, r->talk, &text);
        hf_ntext_html(&html, hf_buf_span(&text));
    }
    hf_jw_init(&w, &q->body, false);
    hf_jw_object(&w);
    if (edit) {
        hf_buf_addz(&starred, "* ");
        hf_buf_adds(&starred, hf_buf_span(&text));
    }
    matrix_content(&w, hf_buf_span(edit ? &starred : &text), hf_buf_span(&html));
    if (edit) {
        hf_jw_key(&w, "m.new_content");
        hf_jw_object(&w);
        matrix_content(&w, hf_buf_span(&text), hf_buf_span(&html));
        hf_jw_object_end(&w);
    }
    if (r->step != HF_NSTEP_CREATE) {
        hf_jw_key(&w, "m.relates_to");
        hf_jw_object(&w);
        hf_jw_kstrz(&w, "rel_type", edit ? "m.replace" : "m.thread");
        hf_jw_kstrz(&w, "event_id", r->m->ref);
        if (!edit) {
            hf_jw_kbool(&w, "is_falling_back", true);
            hf_jw_key(&w, "m.in_reply_to");
            hf_jw_object(&w);
            hf_jw_kstrz(&w, "event_id", r->m->ref);
            hf_jw_object_end(&w);
        }
        hf_jw_object_end(&w);
    }
    hf_jw_object_end(&w);
    return 1;
}
const struct hf_nrenderer hf_nr_matrix = {.make = make_matrix, .took = took_id, .edits = true, .states = true, .talks = true};
