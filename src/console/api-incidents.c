// SPDX-License-Identifier: Apache-2.0
/* /api/v1/incidents. */
#include <errno.h>
#include <stdio.h>

#include "console/api-common.h"
#include "console/live-internal.h"
#include "desk/desk.h"
#include "store/audit.h"
#include "store/incidents.h"
#include "store/pages.h"

enum { CHANGE_TEXT = 2000 };

/* ---- the list ---- */

void hf_api_incident_item(struct hf_jw *w, struct hf_span text)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    unsigned comments = 0;
    if (hf_json_parse_within(text, 64u << 20, &doc, &ignored) < 0)
        return;
    hf_jnode root = hf_json_root(doc);
    hf_jw_object(w);
    for (const char *const *k = (const char *const[]){"id", "state", "severity", "title", "summary", "opened", "updated", NULL}; *k; k++)
        hf_jw_kstr(w, *k, hf_jgetstr(root, *k));
    for (const char *const *k = (const char *const[]){"resolution", "assignee", "acknowledged_by", "first_alert", "last_alert", "merged_into", NULL}; *k; k++)
        hf_jw_kstr_opt(w, *k, hf_jgetstr(root, *k));
    hf_jw_ku64(w, "revision", hf_live_u64(root, "revision"));
    hf_jw_ku64(w, "alerts", hf_live_u64(root, "alerts"));
    HF_JFOREACH(c, hf_jget(root, "comments"))
        comments += hf_jis_object(c);
    hf_jw_ku64(w, "comments", comments);
    hf_jw_key(w, "containers");
    hf_jw_array(w);
    HF_JFOREACH(c, hf_jget(root, "containers")) {
        hf_jw_object(w);
        hf_jw_kstr(w, "id", hf_jgetstr(c, "id"));
        hf_jw_kstr_opt(w, "name", hf_jgetstr(c, "name"));
        hf_jw_kstr_opt(w, "image", hf_jgetstr(c, "image"));
        hf_jw_object_end(w);
    }
    hf_jw_array_end(w);
    hf_jw_key(w, "rules");
    hf_jw_array(w);
    HF_JFOREACH(r, hf_jget(root, "rules"))
        hf_jw_str(w, hf_jgetstr(r, "rule"));
    hf_jw_array_end(w);
    for (const char *const *k = (const char *const[]){"tactics", "hosts", NULL}; *k; k++) {
        hf_jw_key(w, *k);
        hf_jw_array(w);
        HF_JFOREACH(t, hf_jget(root, *k))
            hf_jw_str(w, hf_jstr(t));
        hf_jw_array_end(w);
    }
    hf_jw_object_end(w);
}

/* What a list shows of a document is kept under its id and revision: a document is some ten times as long, and lists are asked for again and again. */
int hf_api_incident_of(struct hf_api *api, const struct hf_request *q, struct hf_jw *w, struct hf_span id, uint64_t revision, struct hf_err *err)
{
    hf_autobuf key = HF_BUF_INIT(256), item = HF_BUF_INIT(1 << 20), doc = HF_BUF_INIT(HF_STORE_DOC_MAX);
    struct hf_jw one;
    uint64_t now = revision;
    hf_buf_addf(&key, "item:%.*s:%llu", HF_SPAN_ARG(id), (unsigned long long)revision);
    if (!revision || !api->live || !hf_live_kept(api->live, hf_buf_span(&key), q->now_ns, &item)) {
        int rc = hf_store_incident_get(q->store, id, &doc, &now, err);
        if (rc <= 0) /* 0: it went meanwhile */
            return rc;
        hf_jw_init(&one, &item, false);
        hf_api_incident_item(&one, hf_buf_span(&doc));
        if (api->live && now == revision && item.n && hf_buf_ok(&item))
            hf_live_keep(api->live, hf_buf_span(&key), hf_buf_span(&item), q->now_ns + INT64_C(3600000000000));
    }
    if (item.n && hf_buf_ok(&item))
        hf_api_raw(w, hf_buf_span(&item));
    return 1;
}

struct listing {
    struct hf_jw w;
    unsigned n, limit;
    const struct hf_request *q;
    bool more;
    struct listed {
        struct hf_span id;
        uint64_t revision;
        int64_t updated;
    } *rows;
};

static int list_row(void *ctx, struct hf_span id, uint64_t revision, int64_t updated)
{
    struct listing *l = ctx;
    if (l->n == l->limit) {
        l->more = true;
        return 1;
    }
    l->rows[l->n++] = (struct listed){hf_api_keep(l->q, id), revision, updated};
    return 0;
}

struct total {
    unsigned states;
    int min_severity;
    uint64_t n;
};

static int total_of(void *ctx, struct hf_span state, int severity, uint64_t n)
{
    static const char *const names[] = {"open", "acknowledged", "contained", "resolved"};
    struct total *t = ctx;
    for (unsigned i = 0; i < 4; i++)
        if (hf_span_eqz(state, names[i]) && (!t->states || (t->states >> i & 1)) && severity >= t->min_severity)
            t->n += n;
    return 0;
}

static int count_of(const struct hf_request *q, const struct hf_incident_filter *f, uint64_t *ret, struct hf_err *err)
{
    struct total t = {f->states, f->min_severity, 0};
    if (f->text.n || f->assignee.n || f->since || f->until)
        return hf_page_incident_count(q->store, f, ret, err);
    int rc = hf_store_incident_counts(q->store, total_of, &t, err);
    *ret = t.n;
    return rc < 0 ? rc : 0;
}

static int states_of(const struct hf_request *q, unsigned *ret, struct hf_err *err)
{
    static const struct {
        const char *word;
        unsigned states;
    } words[] = {{"open", HF_STATE_OPEN}, {"acknowledged", HF_STATE_ACKNOWLEDGED}, {"contained", HF_STATE_CONTAINED}, {"resolved", HF_STATE_RESOLVED}, {"unresolved", HF_STATE_UNRESOLVED},
            {"all", HF_STATE_UNRESOLVED | HF_STATE_RESOLVED}};
    struct hf_span rest = hf_query(q, "state"), word;
    *ret = 0;
    for (size_t i = 0; i < q->n_query; i++)
        if (hf_span_eqz(q->query[i].name, "state") && (!rest.n || rest.p[rest.n - 1] == ','))
            return hf_fail(err, HF_E_USAGE, "\"state\" ends without a word");
    for (unsigned n = 0; hf_span_cut(&rest, ',', &word); n++) {
        size_t i = 0;
        while (i < HF_ARRAY_LEN(words) && !hf_span_eqz(word, words[i].word))
            i++;
        if (i == HF_ARRAY_LEN(words) || n >= 5)
            return hf_fail(err, HF_E_USAGE, "\"state\" must be one to five of open, acknowledged, contained, resolved, unresolved, all");
        *ret |= words[i].states;
    }
    return 0;
}

HF_HANDLER(hf_api_incidents)
{
    struct hf_incident_filter f = {0};
    struct listing l = {.q = q};
    struct hf_cursor at;
    uint64_t total = 0;
    int rc = hf_api_only(q, "state|min_severity|assignee|q|since|until|limit|cursor", err);
    rc = rc < 0 ? rc : states_of(q, &f.states, err);
    rc = rc < 0 ? rc : hf_api_severity(q, "min_severity", &f.min_severity, err);
    rc = rc < 0 ? rc : hf_api_search(q, &f.text, err);
    rc = rc < 0 ? rc : hf_api_since(q, "since", &f.since, err);
    rc = rc < 0 ? rc : hf_api_since(q, "until", &f.until, err);
    rc = rc < 0 ? rc : hf_api_limit(q, 1000, 100, &l.limit, err);
    rc = rc < 0 ? rc : hf_api_text(q, "assignee", 200, &f.assignee, err);
    rc = rc < 0 ? rc : hf_api_cursor(q, &at, err);
    if (rc < 0)
        return rc;
    if (hf_span_eqz(f.assignee, "me"))
        f.assignee = q->who.name;
    rc = count_of(q, &f, &total, err);
    f.after_updated = at.n;
    f.after_id = at.part[0];
    f.limit = l.limit + 1;
    if (!(l.rows = hf_arena_calloc(q->arena, l.limit, sizeof *l.rows)))
        return hf_fail(err, HF_E_LIMIT, "the list is too long; ask for less");
    if (rc == 0 && !(at.given && at.n == 0)) /* 0 would begin again */
        rc = hf_page_incidents(q->store, &f, list_row, &l, err);
    hf_api_page(&l.w, ret);
    for (unsigned i = 0; i < l.n && rc >= 0; i++)
        rc = hf_api_incident_of(api, q, &l.w, l.rows[i].id, l.rows[i].revision, err);
    if (rc < 0)
        return rc;
    if (l.more)
        hf_api_next(ret, l.rows[l.n - 1].updated, 0, &l.rows[l.n - 1].id, 1);
    hf_api_page_end(&l.w, ret, total);
    return hf_api_end(ret, err);
}

/* ---- one ---- */

static int no_incident(const struct hf_request *q, struct hf_err *err)
{
    return hf_fail(err, HF_E_NOT_FOUND, "there is no incident %.40s", hf_api_keep(q, q->args[0]).p);
}

static int read_one(const struct hf_request *q, struct hf_inc **ret, struct hf_err *err)
{
    return hf_api_is_incident(q->args[0]) ? hf_desk_read(q->store, q->args[0], ret, err) : no_incident(q, err);
}

static int document(const struct hf_inc *i, struct hf_reply *ret, struct hf_err *err)
{
    snprintf(ret->etag, sizeof ret->etag, "\"%llu\"", (unsigned long long)hf_inc_number(i, "revision"));
    hf_inc_write(i, false, &ret->body);
    return hf_api_end(ret, err);
}

HF_HANDLER(hf_api_incident)
{
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
    (void)api;
    int rc = hf_api_only(q, "", err);
    rc = rc < 0 ? rc : read_one(q, &i, err);
    return rc < 0 ? rc : document(i, ret, err);
}

/* What the verb takes besides note and revision, so that a text that would be ignored is refused. */
static int change_of(const struct hf_request *q, struct hf_inc_change *c, struct hf_err *err)
{
    static const struct {
        const char *word;
        enum hf_inc_verb verb;
        bool text, target;
    } verbs[] = {{"ack", HF_INC_ACK, false, false}, {"assign", HF_INC_ASSIGN, true, false}, {"comment", HF_INC_COMMENT, true, false}, {"resolve", HF_INC_RESOLVE, true, false},
            {"reopen", HF_INC_REOPEN, false, false}, {"link", HF_INC_LINK, true, true}, {"except", HF_INC_EXCEPT, true, false}};
    struct hf_span verb;
    size_t i = 0;
    int rc = hf_body_str(q, "verb", true, 20, &verb, err);
    while (rc == 0 && i < HF_ARRAY_LEN(verbs) && !hf_span_eqz(verb, verbs[i].word))
        i++;
    if (rc < 0 || i == HF_ARRAY_LEN(verbs))
        return rc < 0 ? rc : hf_fail(err, HF_E_USAGE, "\"verb\" must be one of ack, assign, comment, resolve, reopen, link, except");
    c->verb = verbs[i].verb;
    rc = hf_api_body_only(q, verbs[i].target ? "verb|note|revision|text|target" : verbs[i].text ? "verb|note|revision|text" : "verb|note|revision", err);
    rc = rc < 0 ? rc : hf_api_body_text(q, "text", verbs[i].text, c->verb == HF_INC_ASSIGN || c->verb == HF_INC_LINK ? 200 : CHANGE_TEXT, &c->text, err);
    rc = rc < 0 ? rc : hf_api_body_text(q, "target", verbs[i].target, CHANGE_TEXT, &c->target, err);
    rc = rc < 0 ? rc : hf_api_body_text(q, "note", false, CHANGE_TEXT, &c->note, err);
    if (rc < 0)
        return rc;
    if (c->verb == HF_INC_RESOLVE && !hf_span_eqz(c->text, "true") && !hf_span_eqz(c->text, "benign") && !hf_span_eqz(c->text, "test"))
        return hf_fail(err, HF_E_USAGE, "\"text\" of resolve must be true (an attack, dealt with), benign (allowed) or test");
    if (verbs[i].text && c->verb != HF_INC_ASSIGN && !hf_span_trim(c->text).n)
        return hf_fail(err, HF_E_USAGE, "\"text\" must say something");
    if (c->verb == HF_INC_LINK && !hf_span_starts(c->target, HF_S("https://")) && !hf_span_starts(c->target, HF_S("http://")))
        return hf_fail(err, HF_E_USAGE, "\"target\" of a link must begin with https:// or http://");
    if (c->verb == HF_INC_ASSIGN)
        c->text = hf_span_eqz(hf_span_trim(c->text), "me") ? q->who.name : hf_span_eqz(c->text, "nobody") ? hf_span("", 0) : c->text;
    return 0;
}

HF_HANDLER(hf_api_incident_change)
{
    struct hf_inc_change c = {.time_ns = (uint64_t)q->now_ns, .by = q->who.name, .via = q->who.via};
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
    uint64_t revision = 0;
    (void)api;
    int rc = hf_api_only(q, "", err);
    rc = rc < 0 ? rc : change_of(q, &c, err);
    rc = rc < 0 ? rc : hf_api_body_u64(q, "revision", 1, 9007199254740991, 0, &revision, err);
    if (rc < 0)
        return rc;
    if (!hf_api_is_incident(q->args[0]))
        return no_incident(q, err);
    rc = hf_desk_change(q->store, q->args[0], &c, revision, &i, err);
    if (rc == HF_E_USAGE) /* of what was sent all is right: what is there does not allow it */
        return hf_problem(ret, 409, "Conflict", "%s", err->msg);
    return rc < 0 ? rc : document(i, ret, err);
}

/* ---- what belongs to it ---- */

static int exists(const struct hf_request *q, struct hf_err *err)
{
    hf_autobuf doc = HF_BUF_INIT(HF_INC_MAX);
    int rc = hf_api_is_incident(q->args[0]) ? hf_store_incident_get(q->store, q->args[0], &doc, NULL, err) : 0;
    return rc < 0 ? rc : rc ? 0 : no_incident(q, err);
}

struct rows {
    struct hf_jw *w;
    unsigned n, limit;
    uint64_t last;
    bool more;
};

static int alert_row(void *ctx, const struct hf_alert_row *row)
{
    struct rows *r = ctx;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    if (r->n == r->limit) {
        r->more = true;
        return 1;
    }
    r->n++;
    r->last = row->seq;
    if (hf_json_parse_within(row->doc, 64u << 20, &doc, &ignored) == 0) /* written anew: what the store has is JSON, whatever it is */
        hf_live_copy(r->w, hf_json_root(doc));
    return 0;
}

/* A page of what belongs to an incident, in the order of its numbers. */
static int page(const struct hf_request *q, struct hf_reply *ret, unsigned most, unsigned usual, int (*rows)(const struct hf_request *q, uint64_t after, struct rows *r, struct hf_err *err), struct hf_err *err)
{
    struct hf_jw w;
    struct rows r = {.w = &w};
    struct hf_cursor at;
    int rc = hf_api_only(q, "limit|cursor", err);
    rc = rc < 0 ? rc : hf_api_limit(q, most, usual, &r.limit, err);
    rc = rc < 0 ? rc : hf_api_cursor(q, &at, err);
    rc = rc < 0 ? rc : exists(q, err);
    hf_api_page(&w, ret);
    rc = rc < 0 ? rc : rows(q, (uint64_t)at.n, &r, err);
    if (rc < 0)
        return rc;
    if (r.more)
        hf_api_next(ret, (int64_t)r.last, 0, NULL, 0);
    hf_api_page_end(&w, ret, UINT64_MAX);
    return hf_api_end(ret, err);
}

static int alerts_of(const struct hf_request *q, uint64_t after, struct rows *r, struct hf_err *err)
{
    return hf_store_alert_list(q->store, q->args[0], after, r->limit + 1, alert_row, r, err);
}

HF_HANDLER(hf_api_incident_alerts)
{
    (void)api;
    return page(q, ret, 200, 50, alerts_of, err);
}

void hf_api_audit_item(struct hf_jw *w, const struct hf_audit_entry *e)
{
    hf_jw_object(w);
    hf_jw_ku64(w, "seq", e->seq);
    hf_api_when(w, "time", HF_MAX(e->time, 1));
    hf_jw_kstr(w, "by", e->by);
    hf_jw_kstr(w, "via", e->via);
    hf_jw_kstr(w, "what", e->what);
    hf_jw_kstr(w, "target", e->target);
    hf_jw_kstr(w, "before", e->before);
    hf_jw_kstr(w, "after", e->after);
    hf_jw_kstr(w, "hash", e->hash);
    hf_jw_object_end(w);
}

static int audit_row(void *ctx, const struct hf_audit_entry *e)
{
    struct rows *r = ctx;
    if (r->n == r->limit) {
        r->more = true;
        return 1;
    }
    r->n++;
    r->last = e->seq;
    hf_api_audit_item(r->w, e);
    return 0;
}

static int audit_of(const struct hf_request *q, uint64_t after, struct rows *r, struct hf_err *err)
{
    return hf_store_audit_list(q->store, q->args[0], after, r->limit + 1, audit_row, r, err);
}

HF_HANDLER(hf_api_incident_audit)
{
    (void)api;
    return page(q, ret, 1000, 100, audit_of, err);
}

HF_HANDLER(hf_api_incident_export)
{
    static const struct {
        const char *type, *ending;
        void (*write)(const struct hf_inc *i, struct hf_buf *out);
    } formats[] = {{"text/html; charset=utf-8", "html", hf_inc_html}, {"text/markdown; charset=utf-8", "md", hf_inc_markdown}, {"application/json", "json", NULL},
            {"application/stix+json; version=2.1", "stix.json", hf_inc_stix}};
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
    unsigned format = 0;
    (void)api;
    int rc = hf_api_only(q, "format", err);
    rc = rc < 0 ? rc : hf_query_enum(q, "format", "html|markdown|json|stix", 0, &format, err);
    rc = rc < 0 ? rc : read_one(q, &i, err);
    if (rc < 0)
        return rc;
    if (formats[format].write)
        formats[format].write(i, &ret->body);
    else
        hf_inc_write(i, true, &ret->body);
    ret->type = formats[format].type;
    snprintf(ret->file_name, sizeof ret->file_name, "%.17s.%s", hf_inc_get(i, "id").p, formats[format].ending);
    return hf_api_end(ret, err);
}
