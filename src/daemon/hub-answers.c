// SPDX-License-Identifier: Apache-2.0
/* What people answer in chat and elsewhere, applied; what responses of rules did, written to their incidents. */
#include <errno.h>
#include <stdio.h>

#include "base/json.h"
#include "base/log.h"
#include "daemon/hub-internal.h"
#include "desk/desk.h"
#include "notify/interact.h"
#include "store/incidents.h"

enum { ACT_MS = 130 * 1000, EVIDENCE_MS = 920 * 1000, WAIT_MS = 10000, BOXES = 8 };

/* Answers come from several threads: one handle, under a lock, for short changes only; never held while the hand works. */
static int change(struct hub *h, struct hf_span id, const struct hf_inc_change *c, struct hf_inc **ret, struct hf_err *err)
{
    pthread_mutex_lock(&h->answer_lock);
    int rc = h->answer_store ? 0 : hf_store_open(&h->answer_store, h->c->store_url, err);
    rc = rc < 0 ? rc : hf_desk_change(h->answer_store, id, c, 0, ret, err);
    pthread_mutex_unlock(&h->answer_lock);
    hf_lines_wake(h->lines); /* others hear of it now, not at the next look */
    return rc;
}

static int read_incident(struct hub *h, struct hf_span id, struct hf_inc **ret, struct hf_err *err)
{
    pthread_mutex_lock(&h->answer_lock);
    int rc = h->answer_store ? 0 : hf_store_open(&h->answer_store, h->c->store_url, err);
    rc = rc < 0 ? rc : hf_desk_read(h->answer_store, id, ret, err);
    pthread_mutex_unlock(&h->answer_lock);
    return rc;
}

struct asker {
    struct hub *h;
    const struct hf_ni *what;
    struct hf_buf *text;
};

/* What was done to a container, or why not, for the incident and for who asked. */
static int note_action(const struct asker *a, struct hf_span incident, const char *action, struct hf_span target, int rc, const char *why, struct hf_err *err)
{
    hf_autobuf result = HF_BUF_INIT(1024);
    hf_buf_addf(&result, rc < 0 ? "failed: %s" : "done%s", rc < 0 ? why : "");
    struct hf_inc_change c = {.verb = HF_INC_ACTION, .by = a->what->who, .via = a->what->via, .text = hf_span_z(action), .target = target, .result = hf_buf_span(&result)};
    hf_buf_addf(a->text, "%s%s %.*s: %s", a->text->n ? "\n" : "", action, HF_SPAN_ARG(target), hf_buf_z(&result));
    rc = change(a->h, incident, &c, NULL, err);
    return rc < 0 ? rc : 0;
}

static int ask_act(const struct asker *a, const char *action, struct hf_span container, struct hf_buf *ret, struct hf_err *err)
{
    hf_autobuf ask = HF_BUF_INIT(8192);
    struct hf_jw w;
    if (!a->h->hand)
        return hf_fail(err, HF_E_UNSUPPORTED, "there is no process that may act on containers");
    hf_jw_init(&w, &ask, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "do", "act");
    hf_jw_kstrz(&w, "action", action);
    hf_jw_kstr(&w, "container", container);
    hf_jw_kstr(&w, "by", hf_span_sub(a->what->who, 0, 120));
    hf_jw_kstr(&w, "via", hf_span_sub(a->what->via, 0, hf_span_find(a->what->via, ':'))); /* "slack:team": the hand takes a word */
    hf_jw_kstr(&w, "why", a->what->incident);
    hf_jw_object_end(&w);
    return hf_hand_call(a->h->hand, hf_buf_span(&ask), !strcmp(action, "snapshot") ? EVIDENCE_MS : ACT_MS, ret, err);
}

/* On every container of the incident. */
static int act_on_all(const struct asker *a, const char *action, struct hf_err *err)
{
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
    unsigned n = 0;
    int rc = read_incident(a->h, a->what->incident, &i, err);
    if (rc < 0)
        return rc;
    HF_JFOREACH(box, hf_jget(hf_inc_root(i), "containers")) {
        struct hf_span id = hf_jgetstr(box, "id"), name = hf_jgetstr(box, "name");
        hf_autobuf ret = HF_BUF_INIT(HF_HAND_RESULT_MAX);
        struct hf_err why = HF_ERR_INIT;
        if (id.n != 64 || ++n > BOXES)
            continue;
        int did = ask_act(a, action, id, &ret, &why);
        rc = note_action(a, a->what->incident, action, name.n ? name : id, did, why.msg, err);
        if (rc < 0)
            return rc;
    }
    if (n > BOXES)
        hf_buf_addf(a->text, "\nonly the first %d of %u containers", BOXES, n);
    return n ? 0 : hf_fail(err, HF_E_NOT_FOUND, "the incident is of no container");
}

static int keep_line(void *ctx, const struct hf_alert_row *row)
{
    hf_buf_adds(ctx, row->doc);
    return 1;
}

/* The tightest exception for the first alert of the incident. */
static int except(const struct asker *a, struct hf_err *err)
{
    hf_autobuf line = HF_BUF_INIT(HF_STORE_DOC_MAX), ask = HF_BUF_INIT(HF_HAND_REQUEST_MAX), ret = HF_BUF_INIT(1u << 20);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    struct hf_jw w;
    if (!a->h->hand)
        return hf_fail(err, HF_E_UNSUPPORTED, "there is no process that may write exceptions");
    pthread_mutex_lock(&a->h->answer_lock);
    int rc = a->h->answer_store ? 0 : hf_store_open(&a->h->answer_store, a->h->c->store_url, err);
    rc = rc < 0 ? rc : hf_store_alert_list(a->h->answer_store, a->what->incident, 0, 1, keep_line, &line, err);
    pthread_mutex_unlock(&a->h->answer_lock);
    if (rc >= 0 && !line.n)
        return hf_fail(err, HF_E_NOT_FOUND, "the incident's alerts are not kept any more");
    hf_jw_init(&w, &ask, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "do", "except");
    hf_jw_kstr(&w, "alert", hf_buf_span(&line));
    hf_jw_kstr(&w, "by", hf_span_sub(a->what->who, 0, 120));
    hf_jw_kstr(&w, "via", hf_span_sub(a->what->via, 0, hf_span_find(a->what->via, ':'))); /* "slack:team": the hand takes a word */
    hf_jw_kstr(&w, "why", a->what->incident);
    hf_jw_object_end(&w);
    if (rc >= 0 && !hf_buf_ok(&ask))
        return hf_fail(err, HF_E_LIMIT, "the alert is too long for an exception from here: holdfast rules except");
    rc = rc < 0 ? rc : hf_hand_call(a->h->hand, hf_buf_span(&ask), ACT_MS, &ret, err);
    rc = rc < 0 ? rc : hf_json_parse(hf_buf_span(&ret), &d, err);
    if (rc < 0)
        return rc;
    struct hf_span text = hf_jgetstr(hf_json_root(d), "text"), file = hf_jgetstr(hf_json_root(d), "file");
    struct hf_inc_change c = {.verb = HF_INC_EXCEPT, .by = a->what->who, .via = a->what->via, .text = hf_span_sub(text, 0, HF_INC_TEXT_MAX)};
    hf_buf_addf(a->text, "an exception was written to %.*s; it expires in 90 days", HF_SPAN_ARG(file));
    rc = change(a->h, a->what->incident, &c, NULL, err);
    return rc < 0 ? rc : 0;
}

static int button(const struct asker *a, struct hf_err *err)
{
    struct hf_inc_change c = {.verb = HF_INC_ACK, .by = a->what->who, .via = a->what->via};
    int rc = 0;
    switch (a->what->button) {
    case HF_NI_ASSIGN:
        c.verb = HF_INC_ASSIGN;
        c.text = a->what->who;
        rc = change(a->h, a->what->incident, &c, NULL, err);
        break;
    case HF_NI_ACK:
        rc = change(a->h, a->what->incident, &c, NULL, err);
        break;
    case HF_NI_FREEZE:
        return act_on_all(a, "freeze", err);
    case HF_NI_KILL:
        return act_on_all(a, "kill", err);
    case HF_NI_ISOLATE:
        return act_on_all(a, "isolate", err);
    case HF_NI_EVIDENCE:
        return act_on_all(a, "snapshot", err);
    case HF_NI_EXCEPT:
        return except(a, err);
    default:
        return 0;
    }
    return rc < 0 ? rc : 0;
}

static int state(const struct asker *a, struct hf_err *err)
{
    struct hf_inc_change c = {.by = a->what->who, .via = a->what->via, .note = a->what->text};
    if (a->what->state == HF_NST_ACKNOWLEDGED) {
        c.verb = HF_INC_ACK;
    } else if (a->what->state == HF_NST_RESOLVED) {
        c.verb = HF_INC_RESOLVE;
        c.text = HF_S("true");
    } else {
        c.verb = HF_INC_REOPEN;
    }
    int rc = change(a->h, a->what->incident, &c, NULL, err);
    return rc < 0 ? rc : 0;
}

int hub_answer(void *ctx, const struct hf_ni *what, const struct hf_nchannel *ch, struct hf_buf *ret_text, struct hf_err *err)
{
    struct asker a = {ctx, what, ret_text};
    struct hf_inc_change c = {.verb = HF_INC_COMMENT, .by = what->who, .via = what->via, .text = hf_span_sub(what->text, 0, HF_INC_TEXT_MAX)};
    int rc = 0;
    (void)ch;
    HF_SHARED_ADD(a.h->sh->answers, 1);
    if (what->kind == HF_NI_BUTTON)
        rc = button(&a, err);
    else if (what->kind == HF_NI_COMMENT)
        rc = change(a.h, what->incident, &c, NULL, err);
    else if (what->kind == HF_NI_STATE)
        rc = state(&a, err);
    return rc < 0 ? rc : 0;
}

void hub_answers_close(struct hub *h)
{
    pthread_mutex_lock(&h->answer_lock);
    hf_store_close(h->answer_store);
    h->answer_store = NULL;
    pthread_mutex_unlock(&h->answer_lock);
}

/* ---- what responses of rules did ---- */

/* {"alert", "rule", "container", "name", "action", "rc", "rung", "error", "took_ms"}: 1 done with, 0 its alert is not known yet. */
static int acted(struct hub *h, struct hf_span line)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf result = HF_BUF_INIT(1024), by = HF_BUF_INIT(1024);
    double rc = 0;
    if (hf_json_parse(line, &d, &err) < 0)
        return 1;
    hf_jnode root = hf_json_root(d);
    struct hf_span incident = hf_ingest_of_alert(h->ingest, hf_jgetstr(root, "alert")), name = hf_jgetstr(root, "name"), id = hf_jgetstr(root, "container");
    if (!incident.n)
        return 0;
    (void)hf_jnum(hf_jget(root, "rc"), &rc);
    struct hf_span why = hf_jgetstr(root, "error");
    hf_buf_addf(&result, "%s%.*s", rc < 0 ? "failed: " : "done", rc < 0 ? (int)HF_MIN(why.n, (size_t)500) : 0, why.p ? why.p : "");
    hf_buf_addf(&by, "rule \"%.*s\"", HF_SPAN_ARG(hf_jgetstr(root, "rule")));
    struct hf_inc_change c = {.verb = HF_INC_ACTION, .by = hf_buf_span(&by), .via = HF_S("respond"), .text = hf_jgetstr(root, "action"), .target = name.n ? name : id, .result = hf_buf_span(&result)};
    int done = hf_desk_change(h->store, incident, &c, 0, NULL, &err);
    if (done == HF_E_NOT_FOUND) /* the incident is not written yet */
        return 0;
    if (done < 0)
        hf_log(HF_LOG_WARNING, "respond", "%.*s: what was done is not in it: %s", HF_SPAN_ARG(incident), err.msg);
    return 1;
}

static void wait_for_alert(struct hub *h, struct hf_span line)
{
    for (size_t i = 0; i < HUB_ACTS && line.n < HUB_ACT_LINE; i++)
        if (!h->acts[i].until_ms) {
            snprintf(h->acts[i].line, HUB_ACT_LINE, "%.*s", (int)line.n, line.p);
            h->acts[i].until_ms = hub_now_ms() + WAIT_MS;
            return;
        }
    hf_log(HF_LOG_WARNING, "respond", "what was done for an alert is not in an incident: too many wait");
}

void hub_acted(struct hub *h, struct hf_span line)
{
    if (!acted(h, line))
        wait_for_alert(h, line);
}

void hub_acted_again(struct hub *h)
{
    uint64_t now = hub_now_ms();
    for (size_t i = 0; i < HUB_ACTS; i++)
        if (h->acts[i].until_ms && (acted(h, hf_span_z(h->acts[i].line)) || now > h->acts[i].until_ms))
            h->acts[i].until_ms = 0;
}
