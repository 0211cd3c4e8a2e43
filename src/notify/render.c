// SPDX-License-Identifier: Apache-2.0
#include "notify/render-internal.h"

#include <stdarg.h>
#include <stdio.h>

static const struct hf_nrenderer *const renderers[HF_N_KINDS] = {&hf_nr_slack, &hf_nr_slack_webhook, &hf_nr_teams, &hf_nr_mattermost, &hf_nr_discord, &hf_nr_matrix, &hf_nr_pagerduty, &hf_nr_jsm, &hf_nr_jira, &hf_nr_github, &hf_nr_gitlab,
        &hf_nr_mail, &hf_nr_syslog, &hf_nr_webhook, &hf_nr_otlp, &hf_nr_file};

void hf_nrender_init(struct hf_nrender *r, const struct hf_nconf *conf, const struct hf_nchannel *ch, const struct hf_nview *v, struct hf_nmark *m, const char *host)
{
    *r = (struct hf_nrender){.conf = conf, .ch = ch, .v = v, .m = m, .host = host};
    hf_buf_init(&r->req.url, 16384);
    hf_buf_init(&r->req.body, HF_NBODY_MAX);
    for (size_t i = 0; i < HF_NHEADERS; i++)
        hf_buf_init(&r->req.headers[i], 16384);
}

void hf_nrender_done(struct hf_nrender *r)
{
    hf_buf_done(&r->req.url);
    hf_buf_done(&r->req.body);
    for (size_t i = 0; i < HF_NHEADERS; i++)
        hf_buf_done(&r->req.headers[i]);
}

/* ---- parts that renderers share ---- */

void hf_nreq_begin(struct hf_nrender *r, const char *method, const char *content_type)
{
    r->req.via = HF_NVIA_HTTP;
    r->req.method = method;
    hf_buf_adds(&r->req.url, hf_nchannel_url(r->ch));
    if (content_type)
        hf_nreq_header(r, "Content-Type: %s", content_type);
}

void hf_nreq_header(struct hf_nrender *r, const char *fmt, ...)
{
    char text[HF_NBODY_MAX > 16000 ? 16000 : HF_NBODY_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (r->req.n_headers < HF_NHEADERS)
        hf_buf_addz(&r->req.headers[r->req.n_headers++], text);
}

struct hf_span hf_nr_secret(const struct hf_nrender *r, enum hf_nsecret_kind k)
{
    return r->ch->secret[k].value;
}

void hf_nr_headline(const struct hf_nrender *r, struct hf_buf *b)
{
    static const char *const loud[HF_NSEVS] = {"DEBUG", "INFO", "NOTICE", "LOW", "MEDIUM", "HIGH", "CRITICAL"};
    hf_buf_addf(b, "%s%s: ", r->test ? "[TEST] " : "", loud[r->v->severity]);
    hf_buf_adds(b, r->v->title.n ? r->v->title : HF_S("incident"));
}

void hf_nr_state(const struct hf_nrender *r, struct hf_buf *b)
{
    const struct hf_nview *v = r->v;
    switch (v->state) {
    case HF_NST_OPEN:
        hf_buf_addz(b, v->reopened ? "reopened" : "open");
        break;
    case HF_NST_ACKNOWLEDGED:
    case HF_NST_CONTAINED:
        hf_buf_addz(b, hf_nstates[v->state]);
        if (v->acknowledged_by.n && v->state == HF_NST_ACKNOWLEDGED) {
            hf_buf_addz(b, " by ");
            hf_buf_adds(b, v->acknowledged_by);
        }
        break;
    case HF_NST_RESOLVED:
        hf_buf_addz(b, "resolved");
        if (v->resolution.n) {
            hf_buf_addz(b, hf_span_eqz(v->resolution, "true") ? " (a true alarm)" : hf_span_eqz(v->resolution, "benign") ? " (benign)" : hf_span_eqz(v->resolution, "test") ? " (a test)" : "");
        }
        break;
    case HF_NSTATES:
        break;
    }
}

void hf_nr_news(const struct hf_nrender *r, struct hf_buf *b)
{
    const struct hf_nmark *m = r->m;
    size_t at = b->n;
    if (r->req.first)
        hf_buf_addz(b, "new incident");
    if (r->req.first && r->v->state == HF_NST_OPEN)
        return;
    if (r->req.first || r->req.news & HF_NUP_STATE) {
        hf_buf_addz(b, b->n > at ? ", " : "");
        hf_nr_state(r, b);
    }
    if (r->req.first)
        return;
    if (r->req.news & HF_NUP_SEVERITY)
        hf_buf_addf(b, "%sseverity raised to %s", b->n > at ? ", " : "", hf_nseverities[r->v->severity]);
    if (r->req.news & HF_NUP_ALERT && r->v->alerts > m->alerts)
        hf_buf_addf(b, "%s%llu more alert%s", b->n > at ? ", " : "", (unsigned long long)(r->v->alerts - m->alerts), r->v->alerts - m->alerts == 1 ? "" : "s");
    if (r->req.news & HF_NUP_COMMENT)
        hf_buf_addf(b, "%scomment", b->n > at ? ", " : "");
    if (r->req.news & HF_NUP_ACTION)
        hf_buf_addf(b, "%saction", b->n > at ? ", " : "");
    if (b->n == at)
        hf_buf_addz(b, "changed");
}

static void list_of(struct hf_buf *b, const struct hf_span *v, size_t n, size_t all)
{
    size_t show = HF_MIN(n, (size_t)8);
    for (size_t i = 0; i < show; i++) {
        hf_buf_addz(b, i ? ", " : "");
        hf_ntext_cut(b, v[i], 160);
    }
    if (all > show)
        hf_buf_addf(b, " and %zu more", all - show);
}

static void containers_of(const struct hf_nview *v, struct hf_buf *b)
{
    struct hf_span show[HF_NLIST_MAX];
    for (size_t i = 0; i < v->n_containers; i++) {
        const struct hf_ncontainer *c = &v->containers[i];
        show[i] = c->name.n ? c->name : hf_span_sub(c->id, 0, 12);
    }
    list_of(b, show, v->n_containers, v->all_containers);
}

static void images_of(const struct hf_nview *v, struct hf_buf *b)
{
    struct hf_span show[HF_NLIST_MAX];
    size_t n = 0;
    for (size_t i = 0; i < v->n_containers; i++) {
        size_t k = 0;
        while (k < n && !hf_span_eq(show[k], v->containers[i].image))
            k++;
        if (k == n && v->containers[i].image.n)
            show[n++] = v->containers[i].image;
    }
    list_of(b, show, n, n);
}

static void pods_of(const struct hf_nview *v, struct hf_buf *b)
{
    size_t shown = 0;
    for (size_t i = 0; i < v->n_containers && shown < 8; i++) {
        const struct hf_ncontainer *c = &v->containers[i];
        if (!c->pod.n && !c->namespace.n)
            continue;
        hf_buf_addz(b, shown++ ? ", " : "");
        hf_buf_adds(b, c->namespace);
        hf_buf_addz(b, c->namespace.n && c->pod.n ? "/" : "");
        hf_buf_adds(b, c->pod);
    }
}

static void rules_of(const struct hf_nview *v, struct hf_buf *b)
{
    size_t show = HF_MIN(v->n_rules, (size_t)8);
    for (size_t i = 0; i < show; i++) {
        hf_buf_addz(b, i ? ", " : "");
        hf_buf_adds(b, v->rules[i].rule);
        if (v->rules[i].count > 1)
            hf_buf_addf(b, " (%llu times)", (unsigned long long)v->rules[i].count);
    }
    if (v->all_rules > show)
        hf_buf_addf(b, " and %zu more", v->all_rules - show);
}

bool hf_nr_fact(const struct hf_nrender *r, unsigned i, const char **label, struct hf_buf *b)
{
    static const char *const labels[] = {"Incident", "Severity", "State", "Assignee", "Alerts", "Host", "Container", "Image", "Pod", "Rule", "Technique", "First", "Last"};
    const struct hf_nview *v = r->v;
    hf_buf_clear(b);
    if (i >= HF_ARRAY_LEN(labels))
        return false;
    *label = labels[i];
    switch (i) {
    case 0:
        hf_buf_adds(b, v->id);
        break;
    case 1:
        hf_buf_addz(b, hf_nseverities[v->severity]);
        break;
    case 2:
        hf_nr_state(r, b);
        break;
    case 3:
        hf_buf_adds(b, v->assignee);
        break;
    case 4:
        hf_buf_addf(b, "%llu", (unsigned long long)v->alerts);
        break;
    case 5:
        list_of(b, v->hosts, v->n_hosts, v->n_hosts);
        break;
    case 6:
        containers_of(v, b);
        break;
    case 7:
        images_of(v, b);
        break;
    case 8:
        pods_of(v, b);
        break;
    case 9:
        rules_of(v, b);
        break;
    case 10:
        list_of(b, v->techniques, v->n_techniques, v->n_techniques);
        break;
    case 11:
        hf_buf_adds(b, v->first_alert.n ? v->first_alert : v->opened);
        break;
    default:
        hf_buf_adds(b, v->last_alert.n ? v->last_alert : v->updated);
    }
    return true; /* an empty value: the renderer leaves it out */
}

bool hf_nr_link(const struct hf_nrender *r, struct hf_buf *b)
{
    if (!r->conf->console.n)
        return false;
    hf_buf_adds(b, r->conf->console);
    hf_buf_addz(b, "/incidents/");
    hf_buf_adds(b, r->v->id);
    return true;
}

void hf_nr_talk(const struct hf_nrender *r, const struct hf_ntalk *t, struct hf_buf *b)
{
    (void)r;
    hf_buf_adds(b, t->by.n ? t->by : HF_S("someone"));
    if (t->via.n) {
        hf_buf_addz(b, " (");
        hf_buf_adds(b, t->via);
        hf_buf_addc(b, ')');
    }
    hf_buf_addz(b, ": ");
    hf_buf_adds(b, t->text);
}

/* What was said in this very channel is not told it again: via is "TYPE" or "TYPE:CHANNEL". */
static bool from_here(const struct hf_nchannel *ch, struct hf_span via)
{
    struct hf_span kind;
    if (hf_span_eqz(via, hf_nkinds[ch->kind]))
        return true;
    return hf_span_cut(&via, ':', &kind) && hf_span_eqz(kind, hf_nkinds[ch->kind]) && hf_span_eq(via, ch->name);
}

void hf_nr_new_talk(const struct hf_nrender *r, struct hf_buf *b, size_t max)
{
    for (unsigned which = 0; which < 2; which++) {
        const struct hf_ntalk *v = which ? r->v->actions : r->v->comments;
        size_t n = which ? r->v->n_actions : r->v->n_comments;
        if (!(r->ch->updates & (which ? HF_NUP_ACTION : HF_NUP_COMMENT)))
            continue;
        for (const struct hf_ntalk *t = hf_ntalk_after(v, n, which ? r->m->action : r->m->comment); t && t < v + n; t++) {
            hf_autobuf one = HF_BUF_INIT(64 << 10);
            if (from_here(r->ch, t->via))
                continue;
            hf_nr_talk(r, t, &one);
            if (b->n + HF_MIN(one.n, (size_t)1000) + 64 > max) {
                hf_buf_addf(b, "- and %zu more\n", (size_t)(v + n - t));
                break;
            }
            hf_buf_addz(b, "- ");
            hf_ntext_cut(b, hf_buf_span(&one), 1000);
            hf_buf_addc(b, '\n');
        }
    }
}

unsigned hf_nr_colour(enum hf_nseverity s)
{
    static const unsigned colours[HF_NSEVS] = {0x6b7280, 0x6b7280, 0x2563eb, 0x2563eb, 0xd97706, 0xdc2626, 0x7f1d1d};
    return colours[s];
}

void hf_nr_jcut(struct hf_jw *w, const char *key, struct hf_span s, size_t max)
{
    hf_autobuf b = HF_BUF_INIT(max + 4);
    hf_ntext_cut(&b, s, max);
    hf_jw_kstr(w, key, hf_buf_span(&b));
}

/* ---- order of the steps ---- */

void hf_nr_all_told(struct hf_nrender *r)
{
    struct hf_nmark *m = r->m;
    const struct hf_nview *v = r->v;
    m->revision = m->card = v->revision;
    m->alerts = v->alerts;
    m->reopened = v->reopened;
    m->severity = v->severity;
    m->state = v->state;
    m->known = true;
    if (v->n_comments)
        snprintf(m->comment, sizeof m->comment, "%s", v->comments[v->n_comments - 1].mark);
    if (v->n_actions)
        snprintf(m->action, sizeof m->action, "%s", v->actions[v->n_actions - 1].mark);
}

void hf_nr_found(struct hf_nrender *r, struct hf_span ref, struct hf_span ref2)
{
    if (!ref.n || ref.n >= sizeof r->m->ref || ref2.n >= sizeof r->m->ref2)
        return;
    *r->m = (struct hf_nmark){.known = true};
    snprintf(r->m->ref, sizeof r->m->ref, "%.*s", HF_SPAN_ARG(ref));
    snprintf(r->m->ref2, sizeof r->m->ref2, "%.*s", HF_SPAN_ARG(ref2));
}

static void talk_told(struct hf_nrender *r)
{
    snprintf(r->step == HF_NSTEP_COMMENT ? r->m->comment : r->m->action, sizeof r->m->comment, "%s", r->talk->mark);
}

/* A comment or action that this channel wants; those it does not are passed over. */
static bool next_talk(struct hf_nrender *r, enum hf_nstep step)
{
    bool comment = step == HF_NSTEP_COMMENT;
    const struct hf_ntalk *v = comment ? r->v->comments : r->v->actions;
    size_t n = comment ? r->v->n_comments : r->v->n_actions;
    bool wanted = r->ch->updates & (comment ? HF_NUP_COMMENT : HF_NUP_ACTION);
    r->step = step;
    while ((r->talk = hf_ntalk_after(v, n, comment ? r->m->comment : r->m->action))) {
        if (wanted && !from_here(r->ch, r->talk->via))
            return true;
        talk_told(r);
    }
    return false;
}

/* A step is over: what it told is noted. */
static void step_told(struct hf_nrender *r)
{
    const struct hf_nrenderer *k = renderers[r->ch->kind];
    struct hf_nmark *m = r->m;
    if (!k->edits && !k->states && !k->talks) {
        hf_nr_all_told(r);
        return;
    }
    switch (r->step) {
    case HF_NSTEP_CREATE:
    case HF_NSTEP_EDIT:
        m->card = r->v->revision;
        m->alerts = r->v->alerts;
        m->severity = r->v->severity;
        if (r->step == HF_NSTEP_CREATE) {
            m->known = true;
            m->state = k->begins_open ? HF_NST_OPEN : r->v->state;
            m->reopened = r->v->reopened;
        }
        break;
    case HF_NSTEP_STATE:
        m->state = r->v->state;
        m->reopened = r->v->reopened;
        m->pending[0] = 0;
        break;
    case HF_NSTEP_COMMENT:
    case HF_NSTEP_ACTION:
        talk_told(r);
        break;
    case HF_NSTEP_FIND:
    case HF_NSTEP_DONE:
        break;
    }
}

/* The next step; news that the channel does not want are passed over. */
static enum hf_nstep next_step(struct hf_nrender *r)
{
    const struct hf_nrenderer *k = renderers[r->ch->kind];
    struct hf_nmark *m = r->m;
    if (m->known && m->revision >= r->v->revision)
        return HF_NSTEP_DONE;
    r->req.news = hf_nview_news(r->v, m) & r->ch->updates;
    r->req.first = !m->known;
    if (!m->known && r->again && !r->looked && k->finds)
        return HF_NSTEP_FIND;
    if (!m->known)
        return k->no_corpses && r->v->state == HF_NST_RESOLVED ? HF_NSTEP_DONE : HF_NSTEP_CREATE;
    if (!k->edits && !k->states && !k->talks)
        return r->req.news ? HF_NSTEP_CREATE : HF_NSTEP_DONE;
    if (k->edits && m->card < r->v->revision && r->req.news)
        return HF_NSTEP_EDIT;
    if (r->req.news & HF_NUP_STATE && k->states)
        return HF_NSTEP_STATE;
    if (k->talks && next_talk(r, HF_NSTEP_COMMENT))
        return HF_NSTEP_COMMENT;
    if (k->talks && next_talk(r, HF_NSTEP_ACTION))
        return HF_NSTEP_ACTION;
    return HF_NSTEP_DONE;
}

int hf_nrender_next(struct hf_nrender *r, int64_t now_s, struct hf_err *err)
{
    const struct hf_nrenderer *k = renderers[r->ch->kind];
    r->now_s = now_s;
    for (;;) {
        hf_buf_clear(&r->req.url);
        hf_buf_clear(&r->req.body);
        for (size_t i = 0; i < HF_NHEADERS; i++)
            hf_buf_clear(&r->req.headers[i]);
        r->req.n_headers = 0;
        r->step = next_step(r);
        if (r->step == HF_NSTEP_DONE) {
            hf_nr_all_told(r);
            return 0;
        }
        bool send = k->make(r);
        bool whole = hf_buf_ok(&r->req.url) && hf_buf_ok(&r->req.body);
        for (size_t i = 0; i < r->req.n_headers; i++)
            whole &= hf_buf_ok(&r->req.headers[i]);
        if (!whole)
            return hf_fail(err, HF_E_LIMIT, "a message of channel \"%.*s\" is over %d bytes", HF_SPAN_ARG(r->ch->name), HF_NBODY_MAX);
        if (send)
            return 1;
        step_told(r);
    }
}

/* What a status says, for all kinds; RFC 9110. */
static enum hf_ntook judge(unsigned status)
{
    if (status >= 200 && status < 300)
        return HF_NTOOK;
    if (status == 408 || status == 425 || status == 429 || status >= 500)
        return HF_NTOOK_LATER;
    /* 3xx: the address is not the one to post to. */
    return status < 400 || status == 401 || status == 402 || status == 403 || status == 404 || status == 407 || status == 410 ? HF_NTOOK_SETUP : HF_NTOOK_NEVER;
}

enum hf_ntook hf_nrender_took(struct hf_nrender *r, const struct hf_nanswer *a, struct hf_err *err)
{
    const struct hf_nrenderer *k = renderers[r->ch->kind];
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    enum hf_ntook took = judge(a->status);
    if (took == HF_NTOOK && k->took) {
        struct hf_err ignore = HF_ERR_INIT;
        if (a->body.n && a->body.n <= HF_NBODY_MAX && hf_json_parse_within(a->body, 8u << 20, &doc, &ignore) < 0)
            doc = NULL;
        took = k->took(r, a, doc ? hf_json_root(doc) : NULL, err);
    } else if (took != HF_NTOOK) {
        hf_autobuf words = HF_BUF_INIT(4096);
        hf_buf_add_escaped(&words, hf_span_sub(a->body, 0, 300), 200);
        hf_fail(err, HF_E_UNSUPPORTED, "answered %u%s%s", a->status, words.n ? ": " : "", hf_buf_z(&words));
        /* What was edited or answered to is gone (deleted by somebody): it is made anew. */
        if ((a->status == 404 || a->status == 410) && r->m->ref[0] && r->step != HF_NSTEP_CREATE) {
            *r->m = (struct hf_nmark){0};
            took = HF_NTOOK_LATER;
        }
    }
    if (r->step == HF_NSTEP_FIND && took != HF_NTOOK_LATER) { /* who may not look makes it, perhaps twice */
        r->looked = true;
        took = HF_NTOOK;
    }
    if (took == HF_NTOOK && r->step != HF_NSTEP_DONE)
        step_told(r);
    return took;
}
