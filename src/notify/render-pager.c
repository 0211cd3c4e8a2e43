// SPDX-License-Identifier: Apache-2.0
/* PagerDuty Events API v2 (developer.pagerduty.com: summary 1024 characters, dedup_key 255, event 512 KB) and Jira Service Management's
 * alerts (developer.atlassian.com, JSM Ops integration events: message 130, alias 512, description 15,000, note 25,000, 20 tags of 50,
 * entity 512, source 100). */
#include <stdio.h>

#include "notify/render-internal.h"

static void details(struct hf_nrender *r, struct hf_jw *w, const char *key)
{
    hf_autobuf value = HF_BUF_INIT(16 << 10);
    const char *label;
    hf_jw_key(w, key);
    hf_jw_object(w);
    for (unsigned i = 0; hf_nr_fact(r, i, &label, &value); i++)
        if (value.n)
            hf_nr_jcut(w, label, hf_buf_span(&value), 500);
    hf_jw_object_end(w);
}

static void source_of(struct hf_nrender *r, struct hf_buf *b)
{
    const struct hf_ncontainer *c = r->v->n_containers ? &r->v->containers[0] : NULL;
    hf_buf_adds(b, r->v->n_hosts ? r->v->hosts[0] : hf_span_z(r->host));
    if (c && c->pod.n) {
        hf_buf_addc(b, '/');
        hf_buf_adds(b, c->namespace);
        hf_buf_addc(b, '/');
        hf_buf_adds(b, c->pod);
    } else if (c && c->name.n) {
        hf_buf_addc(b, '/');
        hf_buf_adds(b, c->name);
    }
}

static void pagerduty_payload(struct hf_nrender *r, struct hf_jw *w)
{
    static const char *const severities[HF_NSEVS] = {"info", "info", "info", "warning", "warning", "error", "critical"};
    hf_autobuf text = HF_BUF_INIT(16 << 10);
    const struct hf_nview *v = r->v;
    hf_jw_key(w, "payload");
    hf_jw_object(w);
    hf_nr_headline(r, &text);
    hf_nr_jcut(w, "summary", hf_buf_span(&text), 1024);
    hf_buf_clear(&text);
    source_of(r, &text);
    hf_nr_jcut(w, "source", hf_buf_span(&text), 512);
    hf_jw_kstrz(w, "severity", severities[v->severity]);
    hf_jw_kstr(w, "timestamp", v->opened);
    if (v->n_containers && v->containers[0].image.n)
        hf_nr_jcut(w, "component", v->containers[0].image, 255);
    if (v->n_containers && v->containers[0].namespace.n)
        hf_nr_jcut(w, "group", v->containers[0].namespace, 255);
    if (v->n_rules)
        hf_nr_jcut(w, "class", v->rules[0].rule, 255);
    details(r, w, "custom_details");
    hf_jw_object_end(w);
}

static int make_pagerduty(struct hf_nrender *r)
{
    hf_autobuf link = HF_BUF_INIT(4096), key = HF_BUF_INIT(256);
    struct hf_jw w;
    const char *action = r->step != HF_NSTEP_STATE || r->v->state == HF_NST_OPEN ? "trigger" : r->v->state == HF_NST_RESOLVED ? "resolve" : "acknowledge";
    if (r->step == HF_NSTEP_STATE && r->m->state != HF_NST_OPEN && r->v->state != HF_NST_OPEN && r->v->state != HF_NST_RESOLVED && r->m->state != HF_NST_RESOLVED)
        return 0; /* acknowledged and contained are one state there */
    if (r->step == HF_NSTEP_EDIT && (r->v->state == HF_NST_RESOLVED || !(r->req.news & HF_NUP_SEVERITY)))
        return 0;
    hf_nreq_begin(r, "POST", "application/json");
    hf_buf_addz(&r->req.url, "/v2/enqueue");
    hf_buf_addf(&key, "holdfast-%.*s", HF_SPAN_ARG(r->v->id));
    hf_jw_init(&w, &r->req.body, false);
    hf_jw_object(&w);
    hf_jw_kstr(&w, "routing_key", hf_nr_secret(r, HF_NSECRET_TOKEN));
    hf_jw_kstrz(&w, "event_action", action);
    hf_jw_kstr(&w, "dedup_key", hf_buf_span(&key));
    if (!strcmp(action, "trigger")) {
        hf_jw_kstrz(&w, "client", "Holdfast");
        pagerduty_payload(r, &w);
        if (hf_nr_link(r, &link)) {
            hf_jw_kstr(&w, "client_url", hf_buf_span(&link));
            hf_jw_key(&w, "links");
            hf_jw_array(&w);
            hf_jw_object(&w);
            hf_jw_kstr(&w, "href", hf_buf_span(&link));
            hf_jw_kstrz(&w, "text", "Incident in Holdfast");
            hf_jw_object_end(&w);
            hf_jw_array_end(&w);
        }
    }
    hf_jw_object_end(&w);
    return 1;
}
const struct hf_nrenderer hf_nr_pagerduty = {.make = make_pagerduty, .edits = true, .states = true, .begins_open = true, .no_corpses = true};

/* ---- Jira Service Management ---- */

static void jsm_url(struct hf_nrender *r, const char *verb)
{
    hf_buf_addz(&r->req.url, "/v2/alerts");
    if (verb) {
        hf_buf_addz(&r->req.url, "/holdfast-");
        hf_ntext_url(&r->req.url, r->v->id);
        hf_buf_addf(&r->req.url, "/%s?identifierType=alias", verb);
    }
}

static void jsm_alert(struct hf_nrender *r, struct hf_jw *w)
{
    static const char *const priorities[HF_NSEVS] = {"P5", "P5", "P5", "P4", "P3", "P2", "P1"};
    hf_autobuf text = HF_BUF_INIT(64 << 10), source = HF_BUF_INIT(4096);
    const struct hf_nview *v = r->v;
    hf_nr_headline(r, &text);
    hf_nr_jcut(w, "message", hf_buf_span(&text), 130);
    hf_buf_clear(&text);
    hf_buf_addf(&text, "holdfast-%.*s", HF_SPAN_ARG(v->id));
    hf_jw_kstr(w, "alias", hf_buf_span(&text));
    hf_buf_clear(&text);
    hf_buf_adds(&text, v->summary);
    for (size_t i = 0; i < v->n_advice; i++)
        hf_buf_addf(&text, "\nDo now: %.*s", HF_SPAN_ARG(v->advice[i]));
    hf_buf_addc(&text, '\n');
    hf_nr_link(r, &text);
    hf_nr_jcut(w, "description", hf_buf_span(&text), 15000);
    hf_jw_kstrz(w, "priority", priorities[v->severity]);
    hf_jw_key(w, "tags");
    hf_jw_array(w);
    hf_jw_strz(w, "holdfast");
    for (size_t i = 0; i < HF_MIN(r->ch->labels.n, (size_t)9); i++)
        hf_jw_str(w, hf_span_sub(r->ch->labels.v[i], 0, 50));
    for (size_t i = 0; i < HF_MIN(v->n_techniques, (size_t)10); i++) {
        hf_buf_clear(&text);
        hf_ntext_cut(&text, v->techniques[i], 50);
        hf_jw_str(w, hf_buf_span(&text));
    }
    hf_jw_array_end(w);
    details(r, w, "details");
    if (v->n_containers)
        hf_nr_jcut(w, "entity", v->containers[0].image, 512);
    source_of(r, &source);
    hf_nr_jcut(w, "source", hf_buf_span(&source), 100);
}

static int make_jsm(struct hf_nrender *r)
{
    hf_autobuf text = HF_BUF_INIT(64 << 10);
    struct hf_jw w;
    enum hf_nstate s = r->v->state;
    bool create = r->step == HF_NSTEP_CREATE || (r->step == HF_NSTEP_STATE && s == HF_NST_OPEN); /* what is closed cannot be opened: a new alert of the same alias */
    if (r->step == HF_NSTEP_STATE && s != HF_NST_OPEN && s != HF_NST_RESOLVED && r->m->state != HF_NST_OPEN && r->m->state != HF_NST_RESOLVED)
        return 0;
    hf_nreq_begin(r, "POST", "application/json");
    hf_nreq_header(r, "Authorization: GenieKey %.*s", HF_SPAN_ARG(hf_nr_secret(r, HF_NSECRET_TOKEN)));
    jsm_url(r, create ? NULL : r->step != HF_NSTEP_STATE ? "notes" : s == HF_NST_RESOLVED ? "close" : "acknowledge");
    hf_jw_init(&w, &r->req.body, false);
    hf_jw_object(&w);
    if (create) {
        jsm_alert(r, &w);
    } else {
        if (r->step == HF_NSTEP_STATE)
            hf_nr_state(r, &text);
        else
            hf_nr_talk(r, r->talk, &text);
        hf_nr_jcut(&w, "note", hf_buf_span(&text), 25000);
        hf_jw_kstrz(&w, "source", "Holdfast");
        if (r->step == HF_NSTEP_STATE && r->v->acknowledged_by.n && s == HF_NST_ACKNOWLEDGED)
            hf_nr_jcut(&w, "user", r->v->acknowledged_by, 100);
    }
    hf_jw_object_end(&w);
    return 1;
}
const struct hf_nrenderer hf_nr_jsm = {.make = make_jsm, .states = true, .talks = true, .begins_open = true, .no_corpses = true};
