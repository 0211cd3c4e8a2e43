// SPDX-License-Identifier: Apache-2.0
/* What people did in Jira: a search a poll for issues that changed, then what changed in those we made.  developer.atlassian.com, Jira Cloud platform REST
 * API v3 (search/jql, issue, comment, myself) and Jira Data Center REST API v2 (search).  Nothing has to reach us from outside.
 *
 * What this account did is not told back (we move and comment issues, too): it needs an account of its own.  At most PAGES_MAX searches and two requests for each of
 * ISSUES_MAX issues a poll; what is left comes with the next. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "notify/answers-internal.h"
#include "notify/text.h"

enum { PAGES_MAX = 4, PAGE = 50, ISSUES_MAX = 40, COMMENTS = 50, BACK_MAX_MIN = 14 * 1440, OVERLAP_MIN = 2, WAIT_MS = 20000, DEPTH_MAX = 16, TEXT_MAX = 1900 };
static const char read_back_key[] = "read-back"; /* a mark no incident has: ids begin with I- */

struct hf_na_jira {
    struct hf_nanswers *a;
    const struct hf_nchannel *ch;
    struct hf_nsender *sender;
    pthread_t thread;
    bool started;
    char me[200];           /* this account's id there */
    uint64_t retry_after_s; /* of the last answer */
};

/* ---- pure: what Jira's answers say ---- */

static void text_of(hf_jnode n, unsigned depth, struct hf_buf *out)
{
    struct hf_span type = hf_jgetstr(n, "type");
    if (hf_jis_str(n)) { /* Data Center: plain text */
        hf_buf_adds(out, hf_jstr(n));
        return;
    }
    if (hf_span_eqz(type, "text"))
        hf_buf_adds(out, hf_jgetstr(n, "text"));
    else if (hf_span_eqz(type, "mention") || hf_span_eqz(type, "emoji"))
        hf_buf_adds(out, hf_jgetstr(hf_jget(n, "attrs"), "text"));
    else if (hf_span_eqz(type, "inlineCard"))
        hf_buf_adds(out, hf_jgetstr(hf_jget(n, "attrs"), "url"));
    else if (hf_span_eqz(type, "hardBreak"))
        hf_buf_addc(out, '\n');
    if (depth < DEPTH_MAX && hf_jis_array(hf_jget(n, "content")))
        HF_JFOREACH(child, hf_jget(n, "content"))
            text_of(child, depth + 1, out);
    if ((hf_span_eqz(type, "paragraph") || hf_span_eqz(type, "heading") || hf_span_eqz(type, "codeBlock")) && out->n && out->p[out->n - 1] != '\n')
        hf_buf_addc(out, '\n');
}

void hf_na_jira_text(hf_jnode body, struct hf_buf *out)
{
    hf_autobuf all = HF_BUF_INIT(256 << 10);
    text_of(body, 0, &all);
    struct hf_span text = hf_span_trim(hf_buf_span(&all));
    if (hf_span_is_utf8(text)) {
        hf_ntext_cut(out, text, TEXT_MAX);
        return;
    }
    hf_autobuf seen = HF_BUF_INIT(1 << 20); /* cJSON passes on what is not UTF-8: it is written out */
    hf_buf_add_escaped(&seen, hf_span_sub(text, 0, TEXT_MAX), TEXT_MAX);
    hf_ntext_cut(out, hf_buf_span(&seen), TEXT_MAX);
}

struct hf_span hf_na_jira_id(hf_jnode person)
{
    struct hf_span id = hf_jgetstr(person, "accountId");
    id = id.n ? id : hf_jgetstr(person, "name");
    return id.n <= 190 ? id : hf_span("", 0);
}

hf_jnode hf_na_jira_mover(hf_jnode issue)
{
    hf_jnode last = NULL;
    int64_t last_s = INT64_MIN;
    HF_JFOREACH(h, hf_jget(hf_jget(issue, "changelog"), "histories")) {
        int64_t at = 0;
        uint32_t ns;
        bool status = false;
        HF_JFOREACH(item, hf_jget(h, "items"))
            status |= hf_span_eqz(hf_jgetstr(item, "field"), "status");
        hf_autobuf when = HF_BUF_INIT(64); /* "2026-11-26T18:00:00.000+0000": without the colon of RFC 3339 */
        struct hf_span t = hf_jgetstr(h, "created");
        if (t.n > 5 && t.n < 40 && (t.p[t.n - 5] == '+' || t.p[t.n - 5] == '-'))
            hf_buf_addf(&when, "%.*s:%.*s", (int)(t.n - 2), t.p, 2, t.p + t.n - 2);
        else
            hf_buf_adds(&when, t);
        if (!status || hf_ntime_parse(hf_buf_span(&when), &at, &ns) < 0)
            continue;
        if (at > last_s) { /* Cloud gives the newest first, Data Center the oldest */
            last = hf_jget(h, "author");
            last_s = at;
        }
    }
    return last;
}

/* ---- requests ---- */

static void request_done(struct hf_nrequest *q)
{
    hf_buf_done(&q->url);
    hf_buf_done(&q->body);
    for (size_t i = 0; i < HF_NHEADERS; i++)
        hf_buf_done(&q->headers[i]);
}

static void request(struct hf_nrequest *q, const struct hf_nchannel *ch, const char *method)
{
    *q = (struct hf_nrequest){.via = HF_NVIA_HTTP, .method = method, .n_headers = 4};
    hf_autobuf pair = HF_BUF_INIT(16 << 10), basic = HF_BUF_INIT(32 << 10);
    hf_buf_init(&q->url, 16384);
    hf_buf_init(&q->body, 64 << 10);
    for (size_t i = 0; i < HF_NHEADERS; i++)
        hf_buf_init(&q->headers[i], 64 << 10);
    hf_buf_addf(&q->url, "%.*s/rest/api/%d/", HF_SPAN_ARG(hf_nchannel_url(ch)), ch->data_center ? 2 : 3);
    hf_buf_addz(&q->headers[0], "Content-Type: application/json");
    hf_buf_addz(&q->headers[1], "Accept: application/json");
    hf_buf_addz(&q->headers[2], "X-Atlassian-Token: no-check");
    hf_buf_addf(&pair, "%.*s:%.*s", HF_SPAN_ARG(ch->user), HF_SPAN_ARG(ch->secret[HF_NSECRET_TOKEN].value));
    hf_ntext_base64(&basic, hf_buf_span(&pair));
    if (ch->user.n)
        hf_buf_addf(&q->headers[3], "Authorization: Basic %s", hf_buf_z(&basic));
    else
        hf_buf_addf(&q->headers[3], "Authorization: Bearer %.*s", HF_SPAN_ARG(ch->secret[HF_NSECRET_TOKEN].value));
}

static int ask(struct hf_na_jira *j, const struct hf_nrequest *q, struct hf_json_doc **ret, struct hf_err *err)
{
    struct hf_nanswer answer = {0};
    int rc = hf_nsend(j->sender, q, &answer, err);
    if (rc < 0)
        return rc;
    j->retry_after_s = answer.retry_after_s;
    if (answer.status != 200)
        return hf_fail(err, answer.status == 404 ? HF_E_NOT_FOUND : answer.status == 429 || answer.status >= 500 ? -EAGAIN : HF_E_USAGE, "Jira answers %u", answer.status);
    rc = hf_json_parse_within(answer.body, 16u << 20, ret, err);
    return rc < 0 ? hf_wrap(err, rc, "Jira's answer") : 0;
}

/* ---- what is known ---- */

struct seen {
    char category[32], updated[64];
    uint64_t comment; /* ids grow */
};

static void seen_key(char out[160], const char *issue)
{
    snprintf(out, 160, "seen/%.100s", issue);
}

static int seen_get(struct hf_na_jira *j, const char *issue, struct seen *ret, struct hf_err *err)
{
    char key[160];
    hf_autobuf text = HF_BUF_INIT(4096);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    *ret = (struct seen){.category = "new"};
    seen_key(key, issue);
    int rc = j->a->q.mark_get(j->a->q.ctx, j->ch->name.p, key, &text, err);
    rc = rc <= 0 ? rc : hf_json_parse(hf_buf_span(&text), &doc, err);
    if (rc < 0 || !doc)
        return rc;
    hf_jnode r = hf_json_root(doc);
    uint64_t id;
    snprintf(ret->category, sizeof ret->category, "%.*s", HF_SPAN_ARG(hf_jgetstr(r, "status")));
    snprintf(ret->updated, sizeof ret->updated, "%.*s", HF_SPAN_ARG(hf_jgetstr(r, "updated")));
    ret->comment = hf_parse_u64(hf_jgetstr(r, "comment"), 10, 0, UINT64_MAX, &id) == 0 ? id : 0;
    return 0;
}

static int seen_put(struct hf_na_jira *j, const char *issue, const struct seen *s, struct hf_err *err)
{
    char key[160], number[24];
    hf_autobuf text = HF_BUF_INIT(4096);
    struct hf_jw w;
    seen_key(key, issue);
    snprintf(number, sizeof number, "%llu", (unsigned long long)s->comment);
    hf_jw_init(&w, &text, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "status", s->category);
    hf_jw_kstrz(&w, "updated", s->updated);
    hf_jw_kstrz(&w, "comment", number);
    hf_jw_object_end(&w);
    return j->a->q.mark_put(j->a->q.ctx, j->ch->name.p, key, hf_buf_span(&text), err);
}

/* ---- one issue ---- */

/* What somebody did, as an answer.  thread finds the incident; once names the act. */
static enum hf_na_took tell(struct hf_na_jira *j, enum hf_ni_kind kind, const char *issue, hf_jnode person, struct hf_span once, enum hf_nstate state, struct hf_span text)
{
    struct hf_ni w = {.kind = kind, .thread = hf_span_z(issue), .user = hf_na_jira_id(person), .name = hf_span_sub(hf_jgetstr(person, "displayName"), 0, 190), .once = once, .state = state, .text = text};
    if (!hf_span_is_utf8(w.name) || !w.name.n)
        w.name = w.user;
    return hf_na_accept(j->a, j->ch, HF_NSECRET_TOKEN, &w, WAIT_MS);
}

static int comments(struct hf_na_jira *j, const char *issue, struct seen *s, struct hf_err *err)
{
    hf_cleanup(request_done) struct hf_nrequest q = {0};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_jnode newest[COMMENTS];
    size_t n = 0;
    request(&q, j->ch, "GET");
    hf_buf_addz(&q.url, "issue/");
    hf_ntext_url(&q.url, hf_span_z(issue));
    hf_buf_addf(&q.url, "/comment?orderBy=-created&maxResults=%d", COMMENTS);
    int rc = ask(j, &q, &doc, err);
    if (rc < 0)
        return rc;
    HF_JFOREACH(c, hf_jget(hf_json_root(doc), "comments"))
        if (n < COMMENTS)
            newest[n++] = c;
    for (size_t left = n; left; left--) { /* in the order of their ids, whatever the answer's order is */
        hf_jnode c = NULL;
        uint64_t id = 0, at;
        for (size_t i = 0; i < n; i++)
            if (hf_parse_u64(hf_jgetstr(newest[i], "id"), 10, 1, UINT64_MAX, &at) == 0 && at > s->comment && (!c || at < id)) {
                c = newest[i];
                id = at;
            }
        if (!c)
            return 0;
        hf_autobuf text = HF_BUF_INIT(TEXT_MAX + 16), once = HF_BUF_INIT(300);
        hf_na_jira_text(hf_jget(c, "body"), &text);
        hf_buf_addf(&once, "%.100s/comment/%llu", issue, (unsigned long long)id);
        struct hf_span author = hf_na_jira_id(hf_jget(c, "author"));
        if (text.n && author.n && !hf_span_eqz(author, j->me) && tell(j, HF_NI_COMMENT, issue, hf_jget(c, "author"), hf_buf_span(&once), HF_NST_OPEN, hf_buf_span(&text)) == HF_NA_LATER)
            return hf_fail(err, -EAGAIN, "a comment could not be taken now");
        s->comment = id;
        rc = seen_put(j, issue, s, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int status(struct hf_na_jira *j, const char *issue, struct hf_span updated, struct seen *s, struct hf_err *err)
{
    hf_cleanup(request_done) struct hf_nrequest q = {0};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    request(&q, j->ch, "GET");
    hf_buf_addz(&q.url, "issue/");
    hf_ntext_url(&q.url, hf_span_z(issue));
    hf_buf_addz(&q.url, "?fields=status,resolution&expand=changelog");
    int rc = ask(j, &q, &doc, err);
    if (rc < 0)
        return rc;
    hf_jnode root = hf_json_root(doc), fields = hf_jget(root, "fields"), mover = hf_na_jira_mover(root);
    struct hf_span category = hf_jgetstr(hf_jget(hf_jget(fields, "status"), "statusCategory"), "key"), who = hf_na_jira_id(mover);
    enum hf_nstate state = hf_span_eqz(category, "done") ? HF_NST_RESOLVED : hf_span_eqz(category, "indeterminate") ? HF_NST_ACKNOWLEDGED : HF_NST_OPEN;
    if (category.n && category.n < sizeof s->category && !hf_span_eqz(category, s->category)) {
        hf_autobuf once = HF_BUF_INIT(400);
        hf_buf_addf(&once, "%.100s/%.*s/%.*s", issue, HF_SPAN_ARG(category), HF_SPAN_ARG(hf_span_sub(updated, 0, 60)));
        if (who.n && !hf_span_eqz(who, j->me) && tell(j, HF_NI_STATE, issue, mover, hf_buf_span(&once), state, hf_span_sub(hf_jgetstr(hf_jget(fields, "resolution"), "name"), 0, 100)) == HF_NA_LATER)
            return hf_fail(err, -EAGAIN, "a change of state could not be taken now");
        snprintf(s->category, sizeof s->category, "%.*s", HF_SPAN_ARG(category));
        return seen_put(j, issue, s, err);
    }
    return 0;
}

/* 1: it was looked at, 0: nothing of ours, or nothing new. */
static int issue_changed(struct hf_na_jira *j, hf_jnode issue, struct hf_err *err)
{
    struct hf_span key = hf_jgetstr(issue, "key"), updated = hf_jgetstr(hf_jget(issue, "fields"), "updated");
    char name[101];
    struct seen s;
    hf_autobuf incident = HF_BUF_INIT(256);
    if (!key.n || key.n >= sizeof name || updated.n >= sizeof s.updated)
        return 0;
    snprintf(name, sizeof name, "%.*s", HF_SPAN_ARG(key));
    int rc = j->a->q.ref_get(j->a->q.ctx, j->ch->name.p, name, &incident, err);
    rc = rc <= 0 ? rc : seen_get(j, name, &s, err) < 0 ? -1 : 1;
    if (rc <= 0 || (updated.n && hf_span_eqz(updated, s.updated)))
        return rc < 0 ? rc : 0;
    rc = comments(j, name, &s, err); /* what was said before how it ended */
    rc = rc < 0 ? rc : status(j, name, updated, &s, err);
    if (rc == HF_E_NOT_FOUND)
        return 1;
    if (rc < 0)
        return hf_wrap(err, rc, "%s", name);
    snprintf(s.updated, sizeof s.updated, "%.*s", HF_SPAN_ARG(updated));
    rc = seen_put(j, name, &s, err);
    return rc < 0 ? rc : 1;
}

/* ---- polls ---- */

static int who_am_i(struct hf_na_jira *j, struct hf_err *err)
{
    hf_cleanup(request_done) struct hf_nrequest q = {0};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    if (*j->me)
        return 0;
    request(&q, j->ch, "GET");
    hf_buf_addz(&q.url, "myself");
    int rc = ask(j, &q, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "myself");
    struct hf_span id = hf_na_jira_id(hf_json_root(doc));
    if (!id.n)
        return hf_fail(err, HF_E_FORMAT, "Jira does not say whose token this is");
    snprintf(j->me, sizeof j->me, "%.*s", HF_SPAN_ARG(id));
    return 0;
}

static void search(struct hf_na_jira *j, struct hf_nrequest *q, int64_t minutes, struct hf_span token, unsigned at)
{
    struct hf_jw w;
    hf_autobuf jql = HF_BUF_INIT(4096);
    request(q, j->ch, "POST");
    hf_buf_addz(&q->url, j->ch->data_center ? "search" : "search/jql");
    hf_buf_addf(&jql, "project = \"%.*s\" AND updated >= \"-%lldm\" ORDER BY updated ASC", HF_SPAN_ARG(j->ch->project), (long long)minutes);
    hf_jw_init(&w, &q->body, false);
    hf_jw_object(&w);
    hf_jw_kstr(&w, "jql", hf_buf_span(&jql));
    hf_jw_key(&w, "fields");
    hf_jw_array(&w);
    hf_jw_strz(&w, "updated");
    hf_jw_array_end(&w);
    hf_jw_ku64(&w, "maxResults", PAGE);
    if (j->ch->data_center)
        hf_jw_ku64(&w, "startAt", at);
    else
        hf_jw_kstr_opt(&w, "nextPageToken", token);
    hf_jw_object_end(&w);
}

static int any_ref(void *ctx, const char *ref, const char *key)
{
    (void)ctx;
    (void)ref;
    (void)key;
    return 1;
}

static int64_t last_poll(struct hf_na_jira *j, int64_t now_s)
{
    hf_autobuf text = HF_BUF_INIT(256);
    struct hf_err ignore = HF_ERR_INIT;
    int64_t at;
    return j->a->q.mark_get(j->a->q.ctx, j->ch->name.p, read_back_key, &text, &ignore) > 0 && hf_parse_i64(hf_buf_span(&text), 0, now_s, &at) == 0 ? at : now_s - 86400;
}

static int poll_once(struct hf_na_jira *j, struct hf_err *err)
{
    int64_t now_s = hf_na_now_ms() / 1000, minutes = HF_MIN((now_s - last_poll(j, now_s)) / 60 + OVERLAP_MIN, (int64_t)BACK_MAX_MIN);
    hf_autobuf token = HF_BUF_INIT(4096), stamp = HF_BUF_INIT(64);
    unsigned looked = 0, at = 0;
    bool more = true;
    int rc = j->a->q.ref_each(j->a->q.ctx, j->ch->name.p, "", any_ref, NULL, err);
    if (rc <= 0) /* no issue of ours: nothing to ask */
        return rc;
    rc = who_am_i(j, err);
    for (unsigned page = 0; page < PAGES_MAX && more && rc == 0; page++) {
        hf_cleanup(request_done) struct hf_nrequest q = {0};
        hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
        unsigned n = 0;
        search(j, &q, minutes, hf_buf_span(&token), at);
        rc = ask(j, &q, &doc, err);
        if (rc < 0)
            return hf_wrap(err, rc, "search");
        HF_JFOREACH(issue, hf_jget(hf_json_root(doc), "issues")) {
            n++;
            rc = looked < ISSUES_MAX && rc >= 0 ? issue_changed(j, issue, err) : rc;
            looked += rc > 0;
        }
        rc = rc > 0 ? 0 : rc;
        hf_buf_clear(&token);
        hf_buf_adds(&token, hf_jgetstr(hf_json_root(doc), "nextPageToken"));
        at += n;
        more = j->ch->data_center ? n == PAGE : token.n > 0;
    }
    if (rc < 0 || looked >= ISSUES_MAX || more) /* the same window again: what is done is known */
        return rc;
    hf_buf_addf(&stamp, "%lld", (long long)now_s);
    return j->a->q.mark_put(j->a->q.ctx, j->ch->name.p, read_back_key, hf_buf_span(&stamp), err);
}

static void *polls(void *ctx)
{
    struct hf_na_jira *j = ctx;
    int64_t ms = HF_MIN((int64_t)j->ch->read_back_s * 1000, (int64_t)5000);
    bool told = false;
    while (hf_na_sleep(j->a, ms)) {
        struct hf_err err = HF_ERR_INIT;
        j->retry_after_s = 0;
        int rc = poll_once(j, &err);
        hf_nchannel_scrub(j->ch, err.msg);
        if (rc < 0 && !told)
            hf_log(HF_LOG_WARNING, "read-back", "channel \"%.*s\": what was done in Jira is not known: %s; asked again every %u s", HF_SPAN_ARG(j->ch->name), err.msg, j->ch->read_back_s);
        if (rc >= 0 && told)
            hf_log(HF_LOG_NOTICE, "read-back", "channel \"%.*s\": Jira answers again", HF_SPAN_ARG(j->ch->name));
        told = rc < 0;
        ms = HF_MAX((int64_t)j->ch->read_back_s, (int64_t)j->retry_after_s) * 1000;
    }
    return NULL;
}

/* ---- the whole ---- */

int hf_na_jiras_new(struct hf_nanswers *a, struct hf_err *err)
{
    a->jiras = calloc(a->conf->n_channels + 1, sizeof *a->jiras);
    if (!a->jiras)
        return hf_fail(err, -ENOMEM, "no memory");
    for (size_t i = 0; i < a->conf->n_channels; i++) {
        const struct hf_nchannel *ch = &a->conf->channels[i];
        if (ch->kind != HF_N_JIRA || !ch->read_back_s)
            continue;
        struct hf_na_jira *j = &a->jiras[a->n_jiras++];
        j->a = a;
        j->ch = ch;
        int rc = hf_nsender_new(&j->sender, a->conf, ch, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int hf_na_jiras_start(struct hf_nanswers *a, struct hf_err *err)
{
    for (size_t i = 0; i < a->n_jiras; i++) {
        struct hf_na_jira *j = &a->jiras[i];
        int rc = j->started ? 0 : pthread_create(&j->thread, NULL, polls, j);
        if (rc)
            return hf_fail(err, -rc, "no thread for channel \"%.*s\"", HF_SPAN_ARG(j->ch->name));
        j->started = true;
    }
    return 0;
}

void hf_na_jiras_stop(struct hf_nanswers *a)
{
    for (size_t i = 0; i < a->n_jiras; i++)
        hf_nsender_stop(a->jiras[i].sender);
    for (size_t i = 0; i < a->n_jiras; i++) {
        if (a->jiras[i].started)
            pthread_join(a->jiras[i].thread, NULL);
        a->jiras[i].started = false;
    }
}

void hf_na_jiras_free(struct hf_nanswers *a)
{
    for (size_t i = 0; i < a->n_jiras; i++)
        hf_nsender_free(a->jiras[i].sender);
    free(a->jiras);
}
