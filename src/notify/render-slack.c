// SPDX-License-Identifier: Apache-2.0
/* Slack.  docs.slack.dev: chat.postMessage, chat.update, Block Kit (50 blocks; header 150, section 3000, button text 75, value 2000, confirm
 * title 100 and text 300 characters; context 10 elements).  Hostile text stands in rich_text and plain_text only, which have no marks. */
#include <stdio.h>

#include "notify/render-internal.h"

enum { HEADER_MAX = 150, SECTION_MAX = 2900, FACT_MAX = 600, FALLBACK_MAX = 1500 };

static void plain(struct hf_jw *w, struct hf_span s, size_t max)
{
    hf_jw_object(w);
    hf_jw_kstrz(w, "type", "plain_text");
    hf_nr_jcut(w, "text", s, max);
    hf_jw_kbool(w, "emoji", false);
    hf_jw_object_end(w);
}

static void run(struct hf_jw *w, struct hf_span s, const char *style)
{
    hf_jw_object(w);
    hf_jw_kstrz(w, "type", "text");
    hf_nr_jcut(w, "text", s, FACT_MAX);
    if (style) {
        hf_jw_key(w, "style");
        hf_jw_object(w);
        hf_jw_kbool(w, style, true);
        hf_jw_object_end(w);
    }
    hf_jw_object_end(w);
}

static void facts(struct hf_nrender *r, struct hf_jw *w)
{
    hf_autobuf value = HF_BUF_INIT(16 << 10);
    const char *label;
    hf_jw_object(w);
    hf_jw_kstrz(w, "type", "rich_text");
    hf_jw_key(w, "elements");
    hf_jw_array(w);
    hf_jw_object(w);
    hf_jw_kstrz(w, "type", "rich_text_section");
    hf_jw_key(w, "elements");
    hf_jw_array(w);
    for (unsigned i = 0; hf_nr_fact(r, i, &label, &value); i++) {
        if (!value.n)
            continue;
        char head[32];
        snprintf(head, sizeof head, "%s: ", label);
        run(w, hf_span_z(head), "bold");
        run(w, hf_buf_span(&value), NULL);
        run(w, HF_S("\n"), NULL);
    }
    hf_jw_array_end(w);
    hf_jw_object_end(w);
    hf_jw_array_end(w);
    hf_jw_object_end(w);
}

static void section(struct hf_jw *w, struct hf_span s)
{
    if (!s.n)
        return;
    hf_jw_object(w);
    hf_jw_kstrz(w, "type", "section");
    hf_jw_key(w, "text");
    plain(w, s, SECTION_MAX);
    hf_jw_object_end(w);
}

struct button {
    const char *action, *text, *style, *confirm; /* confirm: what happens, asked before */
};

static void button(struct hf_nrender *r, struct hf_jw *w, const struct button *b)
{
    hf_jw_object(w);
    hf_jw_kstrz(w, "type", "button");
    hf_jw_kstrz(w, "action_id", b->action);
    hf_jw_key(w, "text");
    plain(w, hf_span_z(b->text), 75);
    hf_jw_kstr(w, "value", r->v->id);
    if (b->style)
        hf_jw_kstrz(w, "style", b->style);
    if (b->confirm) {
        hf_jw_key(w, "confirm");
        hf_jw_object(w);
        hf_jw_key(w, "title");
        plain(w, hf_span_z(b->text), 100);
        hf_jw_key(w, "text");
        plain(w, hf_span_z(b->confirm), 300);
        hf_jw_key(w, "confirm");
        plain(w, HF_S("Yes"), 30);
        hf_jw_key(w, "deny");
        plain(w, HF_S("No"), 30);
        if (b->style)
            hf_jw_kstrz(w, "style", b->style);
        hf_jw_object_end(w);
    }
    hf_jw_object_end(w);
}

static void buttons(struct hf_nrender *r, struct hf_jw *w, bool interactive)
{
    static const struct button all[] = {
            {"hf_ack", "Acknowledge", "primary", NULL},
            {"hf_assign", "Assign me", NULL, NULL},
            {"hf_freeze", "Freeze", NULL, "Every process of the containers stops until they are thawed."},
            {"hf_kill", "Kill", "danger", "The processes of the alerts are killed. This cannot be undone."},
            {"hf_isolate", "Isolate", "danger", "The containers lose their network until isolation is lifted."},
            {"hf_except", "Except", NULL, "From now on exactly this is no alert here, until the exception ends."},
            {"hf_evidence", "Evidence", NULL, NULL},
    };
    hf_autobuf link = HF_BUF_INIT(4096);
    bool linked = hf_nr_link(r, &link);
    if (r->v->state == HF_NST_RESOLVED)
        interactive = false;
    if (!interactive && !linked)
        return;
    hf_jw_object(w);
    hf_jw_kstrz(w, "type", "actions");
    hf_jw_kstrz(w, "block_id", "hf_actions");
    hf_jw_key(w, "elements");
    hf_jw_array(w);
    for (size_t i = r->v->state == HF_NST_OPEN ? 0 : 1; interactive && i < HF_ARRAY_LEN(all); i++)
        button(r, w, &all[i]);
    if (linked) {
        hf_jw_object(w);
        hf_jw_kstrz(w, "type", "button");
        hf_jw_kstrz(w, "action_id", "hf_open");
        hf_jw_key(w, "text");
        plain(w, HF_S("Open"), 75);
        hf_jw_kstr(w, "url", hf_buf_span(&link));
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    hf_jw_object_end(w);
}

static void card(struct hf_nrender *r, struct hf_jw *w, bool interactive)
{
    hf_autobuf head = HF_BUF_INIT(16 << 10), safe = HF_BUF_INIT(64 << 10), cut = HF_BUF_INIT(64 << 10), news = HF_BUF_INIT(16 << 10), talk = HF_BUF_INIT(16 << 10);
    hf_nr_headline(r, &head);
    hf_ntext_cut(&cut, hf_buf_span(&head), FALLBACK_MAX / 5); /* an entity takes five bytes */
    hf_ntext_slack(&safe, hf_buf_span(&cut));
    hf_jw_kstr(w, "text", hf_buf_span(&safe)); /* what notifications and screen readers say */
    hf_jw_key(w, "blocks");
    hf_jw_array(w);
    hf_jw_object(w);
    hf_jw_kstrz(w, "type", "header");
    hf_jw_key(w, "text");
    plain(w, hf_buf_span(&head), HEADER_MAX);
    hf_jw_object_end(w);
    section(w, r->v->summary);
    facts(r, w);
    for (size_t i = 0; i < HF_MIN(r->v->n_advice, (size_t)5); i++) {
        hf_autobuf line = HF_BUF_INIT(4096);
        hf_buf_addz(&line, "Do now: ");
        hf_buf_adds(&line, r->v->advice[i]);
        section(w, hf_buf_span(&line));
    }
    if (!interactive) {
        hf_nr_news(r, &news);
        hf_nr_new_talk(r, &talk, 2500);
        section(w, hf_buf_span(&talk));
        hf_jw_object(w);
        hf_jw_kstrz(w, "type", "context");
        hf_jw_key(w, "elements");
        hf_jw_array(w);
        plain(w, hf_buf_span(&news), 300);
        hf_jw_array_end(w);
        hf_jw_object_end(w);
    }
    buttons(r, w, interactive);
    hf_jw_array_end(w);
}

/* The channel's last messages since the incident began, with what was put into them to be found by; needs the id of the channel, and channels:history. */
static int find(struct hf_nrender *r)
{
    struct hf_span to = r->ch->to.v[0];
    hf_nreq_begin(r, "GET", NULL);
    hf_nreq_header(r, "Authorization: Bearer %.*s", HF_SPAN_ARG(hf_nr_secret(r, HF_NSECRET_TOKEN)));
    hf_buf_addz(&r->req.url, "/conversations.history?channel=");
    hf_ntext_url(&r->req.url, to);
    hf_buf_addf(&r->req.url, "&oldest=%lld&limit=10&include_all_metadata=true", (long long)r->v->opened_s);
    return 1;
}

static void found(struct hf_nrender *r, hf_jnode json)
{
    HF_JFOREACH(m, hf_jget(json, "messages")) {
        hf_jnode meta = hf_jget(m, "metadata");
        if (hf_span_eqz(hf_jgetstr(meta, "event_type"), "holdfast_incident") && hf_span_eq(hf_jgetstr(hf_jget(meta, "event_payload"), "id"), r->v->id))
            hf_nr_found(r, hf_jgetstr(m, "ts"), r->ch->to.v[0]);
    }
}

static int make(struct hf_nrender *r)
{
    struct hf_jw w;
    struct hf_nrequest *q = &r->req;
    if (r->step == HF_NSTEP_FIND)
        return find(r);
    bool edit = r->step == HF_NSTEP_EDIT, fresh = r->step == HF_NSTEP_CREATE;
    hf_nreq_begin(r, "POST", "application/json; charset=utf-8");
    hf_buf_addz(&q->url, edit ? "/chat.update" : "/chat.postMessage");
    hf_nreq_header(r, "Authorization: Bearer %.*s", HF_SPAN_ARG(hf_nr_secret(r, HF_NSECRET_TOKEN)));
    hf_jw_init(&w, &q->body, false);
    hf_jw_object(&w);
    hf_jw_kstr(&w, "channel", r->m->ref2[0] && !fresh ? hf_span_z(r->m->ref2) : r->ch->to.v[0]); /* chat.update takes the id only */
    if (edit)
        hf_jw_kstrz(&w, "ts", r->m->ref);
    if (edit || fresh) {
        card(r, &w, true);
    } else {
        hf_autobuf said = HF_BUF_INIT(64 << 10), safe = HF_BUF_INIT(256 << 10), cut = HF_BUF_INIT(64 << 10);
        hf_jw_kstrz(&w, "thread_ts", r->m->ref);
        if (r->step == HF_NSTEP_STATE)
            hf_nr_state(r, &said);
        else
            hf_nr_talk(r, r->talk, &said);
        hf_ntext_cut(&cut, hf_buf_span(&said), FALLBACK_MAX / 5);
        hf_ntext_slack(&safe, hf_buf_span(&cut));
        hf_jw_kstr(&w, "text", hf_buf_span(&safe));
        hf_jw_key(&w, "blocks");
        hf_jw_array(&w);
        section(&w, hf_buf_span(&said));
        hf_jw_array_end(&w);
    }
    hf_jw_kbool(&w, "mrkdwn", false);
    hf_jw_kbool(&w, "link_names", false);
    if (!edit) {
        hf_jw_kbool(&w, "unfurl_links", false);
        hf_jw_kbool(&w, "unfurl_media", false);
    }
    if (fresh) { /* so that an answer that was lost can be found again in the channel's history */
        hf_jw_key(&w, "metadata");
        hf_jw_object(&w);
        hf_jw_kstrz(&w, "event_type", "holdfast_incident");
        hf_jw_key(&w, "event_payload");
        hf_jw_object(&w);
        hf_jw_kstr(&w, "id", r->v->id);
        hf_jw_object_end(&w);
        hf_jw_object_end(&w);
    }
    hf_jw_object_end(&w);
    return 1;
}

static bool one_of(struct hf_span s, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (hf_span_eqz(s, names[i]))
            return true;
    return false;
}

/* Slack answers 200 to what it refuses: {"ok":false,"error":"..."}. */
static enum hf_ntook took(struct hf_nrender *r, const struct hf_nanswer *a, hf_jnode json, struct hf_err *err)
{
    static const char *const later[] = {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org", "message_limit_exceeded"};
    static const char *const never[] = {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text", "too_many_attachments", "metadata_too_large", "invalid_metadata_format"};
    static const char *const gone[] = {"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found", "is_inactive"};
    (void)a;
    if (hf_jis_true(hf_jget(json, "ok"))) {
        if (r->step == HF_NSTEP_FIND)
            found(r, json);
        if (r->step == HF_NSTEP_CREATE) {
            snprintf(r->m->ref, sizeof r->m->ref, "%.*s", HF_SPAN_ARG(hf_span_sub(hf_jgetstr(json, "ts"), 0, 200)));
            snprintf(r->m->ref2, sizeof r->m->ref2, "%.*s", HF_SPAN_ARG(hf_span_sub(hf_jgetstr(json, "channel"), 0, 200)));
        }
        return HF_NTOOK;
    }
    struct hf_span e = hf_jgetstr(json, "error");
    hf_fail(err, HF_E_UNSUPPORTED, "Slack refused it: %.*s", HF_SPAN_ARG(e.n ? hf_span_sub(e, 0, 100) : HF_S("no reason given")));
    if (one_of(e, gone, HF_ARRAY_LEN(gone)) && r->step != HF_NSTEP_CREATE) {
        *r->m = (struct hf_nmark){0};
        return HF_NTOOK_LATER;
    }
    return !e.n || one_of(e, later, HF_ARRAY_LEN(later)) ? HF_NTOOK_LATER : one_of(e, never, HF_ARRAY_LEN(never)) ? HF_NTOOK_NEVER : HF_NTOOK_SETUP;
}

static int make_webhook(struct hf_nrender *r)
{
    struct hf_jw w;
    hf_nreq_begin(r, "POST", "application/json");
    hf_jw_init(&w, &r->req.body, false);
    hf_jw_object(&w);
    card(r, &w, false);
    hf_jw_object_end(&w);
    return 1;
}

const struct hf_nrenderer hf_nr_slack = {.make = make, .took = took, .finds = true, .edits = true, .states = true, .talks = true};
const struct hf_nrenderer hf_nr_slack_webhook = {.make = make_webhook};
