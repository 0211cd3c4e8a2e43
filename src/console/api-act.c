// SPDX-License-Identifier: Apache-2.0
/* What is asked of the privileged process (hand/hand.h): actions on containers, scans, exceptions; test messages of the process that delivers. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "console/api-common.h"
#include "console/live-internal.h"
#include "hand/hand.h"
#include "desk/desk.h"
#include "inventory/inventory.h"
#include "store/audit.h"
#include "store/incidents.h"
#include "store/inventory.h"
#include "store/pages.h"

void hf_api_in_force(struct hf_api *api, const struct hf_request *q, struct hf_jw *w, struct hf_span id);

enum { ACT_MS = 60000, SCAN_MS = 600000, LIST_MS = 3000, KEPT_MS = 3000 };

static int nobody(struct hf_reply *ret, const char *what)
{
    return hf_problem(ret, 503, "Service Unavailable", "%s: this console has no daemon beside it that could do that (holdfast daemon starts one)", what);
}

/* What the other process refuses is 422; that it is not there, or too busy, 503. */
static int refused(struct hf_reply *ret, int rc, const char *why)
{
    if (rc == HF_E_NOT_FOUND)
        return hf_problem(ret, 404, "Not Found", "%s", why);
    if (rc == -ECONNRESET || rc == -ETIMEDOUT || rc == -EBUSY || rc == -EPIPE)
        return hf_problem(ret, 503, "Service Unavailable", "%s", why);
    return hf_problem(ret, rc == -EPERM ? 403 : 422, rc == -EPERM ? "Forbidden" : "Unprocessable Content", "%s", why);
}

static void begin(struct hf_jw *w, struct hf_buf *b, const struct hf_request *q, const char *what)
{
    hf_jw_init(w, b, false);
    hf_jw_object(w);
    hf_jw_kstrz(w, "do", what);
    hf_jw_kstr(w, "by", q->who.name);
    hf_jw_kstr(w, "via", q->who.via);
}

/* ---- actions ---- */

struct act {
    struct hf_span action, term, why, incident;
    bool dry_run, force;
    uint64_t pid, packets, connections;
};

static bool is_term(struct hf_span t)
{
    uint64_t n;
    return t.n >= 2 && t.n <= 5 && t.p[0] != '0' && strchr("smhd", t.p[t.n - 1]) && hf_parse_u64(hf_span_sub(t, 0, t.n - 1), 10, 1, 9999, &n) == 0;
}

static int allow_of(const struct hf_request *q, struct hf_err *err)
{
    hf_jnode allow = hf_jget(q->body, "allow");
    unsigned n = 0;
    if (allow && !hf_jis_array(allow))
        return hf_fail(err, HF_E_USAGE, "\"allow\" must be a list of addresses");
    HF_JFOREACH(a, allow)
        if (!hf_jis_str(a) || hf_api_characters(hf_jstr(a)) < 2 || hf_api_characters(hf_jstr(a)) > 64 || ++n > 32)
            return hf_fail(err, HF_E_USAGE, "\"allow\" must be a list of at most 32 addresses");
    return 0;
}

static int act_of(const struct hf_request *q, struct act *a, struct hf_err *err)
{
    static const char *const actions[] = {"freeze", "thaw", "kill", "isolate", "release", "limit", "snapshot"};
    bool good = false;
    int rc = hf_api_body_only(q, "action|for|why|dry_run|pid|force|incident|packets|connections|allow", err);
    rc = rc < 0 ? rc : hf_body_str(q, "action", true, 20, &a->action, err);
    rc = rc < 0 ? rc : hf_body_str(q, "for", false, 5, &a->term, err);
    rc = rc < 0 ? rc : hf_api_body_text(q, "why", false, 500, &a->why, err);
    rc = rc < 0 ? rc : hf_body_str(q, "incident", false, 40, &a->incident, err);
    rc = rc < 0 ? rc : hf_api_body_bool(q, "dry_run", &a->dry_run, err);
    rc = rc < 0 ? rc : hf_api_body_bool(q, "force", &a->force, err);
    rc = rc < 0 ? rc : hf_api_body_u64(q, "pid", 2, 4194304, 0, &a->pid, err);
    rc = rc < 0 ? rc : hf_api_body_u64(q, "packets", 1, 1000000, 0, &a->packets, err);
    rc = rc < 0 ? rc : hf_api_body_u64(q, "connections", 1, 1000000, 0, &a->connections, err);
    rc = rc < 0 ? rc : allow_of(q, err);
    for (size_t i = 0; i < HF_ARRAY_LEN(actions) && rc == 0; i++)
        good = good || hf_span_eqz(a->action, actions[i]);
    if (rc == 0 && !good)
        rc = hf_fail(err, HF_E_USAGE, "\"action\" must be one of freeze, thaw, kill, isolate, release, limit, snapshot");
    if (rc == 0 && hf_jget(q->body, "for") && !is_term(a->term))
        rc = hf_fail(err, HF_E_USAGE, "\"for\" must be a time such as 90s, 15m, 2h or 1d");
    if (rc == 0 && hf_jget(q->body, "incident") && !hf_api_is_incident(a->incident))
        rc = hf_fail(err, HF_E_USAGE, "\"incident\" must be the id of one");
    if (rc == 0 && hf_jget(q->body, "why") && !hf_span_trim(a->why).n)
        rc = hf_fail(err, HF_E_USAGE, "\"why\" must say something");
    return rc;
}

static void ask_of(const struct hf_request *q, const struct act *a, struct hf_buf *b)
{
    struct hf_jw w;
    begin(&w, b, q, "act");
    hf_jw_kstr(&w, "action", a->action);
    hf_jw_kstr(&w, "container", q->args[0]);
    hf_jw_kstr_opt(&w, "why", a->why);
    hf_jw_kstr_opt(&w, "for", a->term);
    if (a->dry_run)
        hf_jw_kbool(&w, "dry_run", true);
    if (a->force)
        hf_jw_kbool(&w, "force", true);
    if (a->pid)
        hf_jw_ku64(&w, "pid", a->pid);
    if (a->packets)
        hf_jw_ku64(&w, "packets", a->packets);
    if (a->connections)
        hf_jw_ku64(&w, "connections", a->connections);
    if (hf_jget(q->body, "allow")) {
        hf_jw_key(&w, "allow");
        hf_live_copy(&w, hf_jget(q->body, "allow"));
    }
    hf_jw_object_end(&w);
}

/* Done or tried: into the audit log, and into the incident it was done for.  That it could not be noted does not undo it: it is said. */
static void note(const struct hf_request *q, const struct act *a, int rc, const char *why, struct hf_jw *w)
{
    struct hf_err err = HF_ERR_INIT;
    char what[40], result[400];
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
    snprintf(what, sizeof what, "container.%.*s", HF_SPAN_ARG(a->action));
    snprintf(result, sizeof result, rc < 0 ? "failed: %s" : "done%s", rc < 0 ? why : "");
    struct hf_audit_entry e = {.time = q->now_ns, .by = q->who.name, .via = q->who.via, .what = hf_span_z(what), .target = q->args[0], .before = a->why, .after = hf_span_z(result)};
    int noted = hf_store_audit_add(q->store, &e, NULL, &err);
    if (a->incident.n && noted == 0) {
        struct hf_inc_change c = {.verb = HF_INC_ACTION, .time_ns = (uint64_t)q->now_ns, .by = q->who.name, .via = q->who.via, .text = a->action, .target = q->args[0], .result = hf_span_z(result)};
        noted = hf_desk_change(q->store, a->incident, &c, 0, &i, &err);
    }
    if (!w)
        return;
    if (i)
        hf_jw_ku64(w, "incident_revision", hf_inc_number(i, "revision"));
    if (noted < 0)
        hf_jw_kstrz(w, "not_noted", err.msg);
}

static bool live_there(void *ctx, const struct hf_live_box *b)
{
    *(bool *)ctx = b->running;
    return true;
}

static int stored_there(void *ctx, const struct hf_inv_container *c)
{
    *(bool *)ctx = !c->ended;
    return 0;
}

/* The hand looks again; here it is so that what does not run is told apart from what cannot be done. */
static int container_known(struct hf_api *api, const struct hf_request *q, struct hf_err *err)
{
    bool runs = false, known = false;
    int rc = 0;
    if (hf_api_is_container(q->args[0])) {
        known = api->live && hf_live_box(api->live, q->args[0], live_there, &runs);
        rc = known ? 0 : hf_store_container_get(q->store, q->args[0], stored_there, &runs, err);
    }
    if (rc < 0)
        return rc;
    return runs ? 0 : hf_fail(err, HF_E_NOT_FOUND, known || rc > 0 ? "the container %.64s does not run any more" : "there is no container %.64s", hf_api_keep(q, q->args[0]).p);
}

HF_HANDLER(hf_api_act)
{
    struct act a = {0};
    hf_autobuf ask = HF_BUF_INIT(HF_HAND_REQUEST_MAX), result = HF_BUF_INIT(4 << 20);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    hf_cleanup(hf_inc_freep) struct hf_inc *there = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_jw w;
    int rc = hf_api_only(q, "", err);
    rc = rc < 0 ? rc : act_of(q, &a, err);
    if (rc < 0)
        return rc;
    if (!a.dry_run && !a.why.n)
        return hf_fail(err, HF_E_USAGE, "\"why\" is missing: whoever reads the log wants to know");
    if (a.force && q->who.role < HF_ROLE_ADMIN)
        return hf_fail(err, -EPERM, "only administrators may force what the safeguards refuse");
    if ((rc = container_known(api, q, err)) < 0)
        return rc;
    if (a.incident.n && (rc = hf_desk_read(q->store, a.incident, &there, err)) < 0) /* before it is done, not after */
        return rc;
    if (!api->hand)
        return nobody(ret, "An action");
    ask_of(q, &a, &ask);
    rc = hf_hand_call(api->hand, hf_buf_span(&ask), ACT_MS, &result, err);
    if (rc < 0) {
        if (!a.dry_run)
            note(q, &a, rc, err->msg, NULL);
        return refused(ret, rc, err->msg);
    }
    hf_jw_init(&w, &ret->body, false);
    hf_jw_object(&w);
    hf_jw_kstr(&w, "action", a.action);
    hf_jw_kstr(&w, "container", q->args[0]);
    hf_jw_kbool(&w, "dry_run", a.dry_run);
    hf_jw_key(&w, "result");
    if (hf_json_parse(hf_buf_span(&result), &doc, &ignored) == 0 && hf_jis_object(hf_json_root(doc)))
        hf_live_copy(&w, hf_json_root(doc));
    else {
        hf_jw_object(&w);
        hf_jw_object_end(&w);
    }
    if (!a.dry_run)
        note(q, &a, 0, "", &w);
    hf_jw_object_end(&w);
    return hf_api_end(ret, err);
}

/* ---- what is in force: asked of the hand, which starts a process for it, so kept for moments and shared by all who ask ---- */

static struct {
    pthread_mutex_t lock;
    int64_t asked[2];
    struct hf_buf text[2];
} kept = {PTHREAD_MUTEX_INITIALIZER, {0, 0}, {HF_BUF_INIT(4 << 20), HF_BUF_INIT(4 << 20)}};

static struct hf_json_doc *in_force(struct hf_api *api, const struct hf_request *q, unsigned which)
{
    static const char *const what[] = {"list", "protect"};
    struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    if (!api->hand)
        return NULL;
    pthread_mutex_lock(&kept.lock);
    if (!kept.asked[which] || q->now_ns - kept.asked[which] > (int64_t)KEPT_MS * 1000000) {
        hf_autobuf ask = HF_BUF_INIT(4096);
        struct hf_jw w;
        begin(&w, &ask, q, what[which]);
        hf_jw_object_end(&w);
        hf_buf_clear(&kept.text[which]);
        if (hf_hand_call(api->hand, hf_buf_span(&ask), LIST_MS, &kept.text[which], &ignored) < 0)
            hf_buf_clear(&kept.text[which]);
        kept.asked[which] = q->now_ns;
    }
    if (kept.text[which].n && hf_json_parse(hf_buf_span(&kept.text[which]), &doc, &ignored) < 0)
        doc = NULL;
    pthread_mutex_unlock(&kept.lock);
    return doc;
}

static hf_jnode list_in(hf_jnode root, const char *name)
{
    return hf_jis_array(root) ? root : hf_jget(root, name);
}

void hf_api_in_force(struct hf_api *api, const struct hf_request *q, struct hf_jw *w, struct hf_span id)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *actions = in_force(api, q, 0), *protect = in_force(api, q, 1);
    hf_jw_key(w, "actions");
    hf_jw_array(w);
    HF_JFOREACH(a, list_in(actions ? hf_json_root(actions) : NULL, "active"))
        if (hf_span_eq(hf_jgetstr(a, "id"), id)) {
            hf_jw_object(w);
            HF_JFOREACH(m, a) {
                hf_jw_key_span(w, hf_jname(m));
                hf_live_copy(w, m);
            }
            if (hf_jget(a, "left_s"))
                hf_api_when(w, "until", q->now_ns + (int64_t)hf_live_u64(a, "left_s") * 1000000000);
            hf_jw_object_end(w);
        }
    hf_jw_array_end(w);
    HF_JFOREACH(c, hf_jget(protect ? hf_json_root(protect) : NULL, "containers"))
        if (hf_span_eq(hf_jgetstr(c, "id"), id)) {
            hf_jw_key(w, "policy");
            hf_live_copy(w, c);
            break;
        }
}

/* ---- scans ---- */

static int there(void *ctx, const struct hf_inv_image *i, uint64_t running)
{
    (void)i;
    (void)running;
    *(bool *)ctx = true;
    return 0;
}

static int a_container(void *ctx, const struct hf_inv_container *c)
{
    (void)c;
    *(bool *)ctx = true;
    return 1;
}

HF_HANDLER(hf_api_scan)
{
    bool known = false;
    struct hf_inv_asking ask = {.hand = api->hand, .s = q->store, .digest = q->args[0], .by = q->who.name, .via = q->who.via, .timeout_ms = SCAN_MS};
    int rc = hf_api_only(q, "", err);
    rc = rc < 0 ? rc : hf_api_body_only(q, "", err);
    if (rc == 0 && hf_api_is_digest(q->args[0]))
        rc = hf_store_image_get(q->store, q->args[0], there, &known, err);
    if (rc >= 0 && !known) /* not known yet, but it may run */
        rc = hf_store_container_list(q->store, true, q->args[0], hf_span(NULL, 0), 1, a_container, &known, err);
    if (rc < 0)
        return rc;
    if (!known)
        return hf_fail(err, HF_E_NOT_FOUND, "there is no image %.80s", hf_api_keep(q, q->args[0]).p);
    if (!api->hand)
        return nobody(ret, "A scan");
    rc = hf_inv_ask(&ask, err);
    if (rc < 0)
        return refused(ret, rc, err->msg);
    struct hf_audit_entry e = {.time = q->now_ns, .by = q->who.name, .via = q->who.via, .what = HF_S("image.scan"), .target = q->args[0]};
    rc = hf_store_audit_add(q->store, &e, NULL, err);
    return rc < 0 ? rc : hf_api_image(api, q, ret, err);
}

/* ---- exceptions ---- */

struct wanted {
    const struct hf_request *q;
    struct hf_span id, line;
    uint64_t last;
    int64_t last_time;
    unsigned seen;
};

static int the_alert(void *ctx, const struct hf_alert_row *row)
{
    struct wanted *n = ctx;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_err ignored = HF_ERR_INIT;
    n->last = row->seq;
    n->last_time = row->time;
    n->seen++;
    if (hf_span_search(row->doc, n->id) == SIZE_MAX || hf_json_parse_within(row->doc, 64u << 20, &doc, &ignored) < 0 || !hf_span_eq(hf_jgetstr(hf_json_root(doc), "id"), n->id) ||
            !hf_jget(hf_json_root(doc), "event_type")) /* the sum of a fold does not say what happened */
        return 0;
    n->line = hf_api_keep(n->q, row->doc);
    return 1;
}

/* "30d" to a date; "never" and dates as they are. */
static bool until(const struct hf_request *q, struct hf_span text, char ret[16])
{
    uint64_t days = 30, y, m, d;
    if (hf_span_eqz(text, "never")) {
        snprintf(ret, 16, "never");
        return true;
    }
    if (text.n == 10 && text.p[4] == '-' && text.p[7] == '-' && hf_parse_u64(hf_span_sub(text, 0, 4), 10, 0, 9999, &y) == 0 && hf_parse_u64(hf_span_sub(text, 5, 2), 10, 1, 12, &m) == 0 &&
            hf_parse_u64(hf_span_sub(text, 8, 2), 10, 1, 31, &d) == 0) {
        snprintf(ret, 16, "%.10s", text.p);
        return true;
    }
    if (text.n && (text.n < 2 || text.n > 4 || text.p[text.n - 1] != 'd' || hf_parse_u64(hf_span_sub(text, 0, text.n - 1), 10, 1, 999, &days) < 0))
        return false;
    time_t s = (time_t)(q->now_ns / 1000000000 + (int64_t)days * 86400);
    struct tm tm;
    return gmtime_r(&s, &tm) && strftime(ret, 16, "%Y-%m-%d", &tm) > 0;
}

static int except_reply(const struct hf_request *q, const struct hf_buf *result, bool dry_run, struct hf_span incident, struct hf_reply *ret, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_jw w;
    int rc = hf_json_parse(hf_buf_span(result), &doc, err);
    if (rc < 0)
        return rc;
    struct hf_span text = hf_jgetstr(hf_json_root(doc), "text");
    hf_jw_init(&w, &ret->body, false);
    hf_jw_object(&w);
    hf_jw_kbool(&w, "made", !dry_run);
    hf_jw_kstr(&w, "text", text);
    hf_jw_kstr_opt(&w, "file", hf_jgetstr(hf_json_root(doc), "file"));
    if (!dry_run) {
        struct hf_audit_entry e = {.time = q->now_ns, .by = q->who.name, .via = q->who.via, .what = HF_S("rule.except"), .target = hf_span_sub(q->args[0], 0, 200), .after = hf_span_sub(text, 0, 2000)};
        struct hf_inc_change c = {.verb = HF_INC_EXCEPT, .time_ns = (uint64_t)q->now_ns, .by = q->who.name, .via = q->who.via, .text = hf_span_sub(text, 0, HF_INC_TEXT_MAX)};
        struct hf_err why = HF_ERR_INIT;
        while (c.text.n && !hf_span_is_utf8(c.text))
            c.text.n--;
        rc = hf_store_audit_add(q->store, &e, NULL, &why);
        if (rc == 0 && incident.n)
            rc = hf_desk_change(q->store, incident, &c, 0, NULL, &why);
        if (rc < 0)
            hf_jw_kstrz(&w, "not_noted", why.msg);
    }
    hf_jw_object_end(&w);
    return hf_api_end(ret, err);
}

HF_HANDLER(hf_api_except)
{
    struct wanted n = {.q = q, .last = INT64_MAX, .last_time = INT64_MAX};
    struct hf_span why, expires, incident, id = q->args[0];
    hf_autobuf ask = HF_BUF_INIT(HF_HAND_REQUEST_MAX), result = HF_BUF_INIT(1 << 20);
    bool dry_run = false;
    char date[16];
    struct hf_jw w;
    int rc = hf_api_only(q, "", err);
    rc = rc < 0 ? rc : hf_api_body_only(q, "alert|why|expires|dry_run|incident", err);
    rc = rc < 0 ? rc : hf_api_body_text(q, "alert", true, 128, &n.id, err);
    rc = rc < 0 ? rc : hf_api_body_text(q, "why", true, 500, &why, err);
    rc = rc < 0 ? rc : hf_body_str(q, "expires", false, 10, &expires, err);
    rc = rc < 0 ? rc : hf_body_str(q, "incident", false, 40, &incident, err);
    rc = rc < 0 ? rc : hf_api_body_bool(q, "dry_run", &dry_run, err);
    if (rc == 0 && (!n.id.n || !hf_span_trim(why).n))
        rc = hf_fail(err, HF_E_USAGE, "\"alert\" and \"why\" must say something");
    if (rc == 0 && (!until(q, expires, date) || (hf_jget(q->body, "expires") && !expires.n)))
        rc = hf_fail(err, HF_E_USAGE, "\"expires\" must be a date (2026-12-24), days (30d) or never");
    if (rc == 0 && hf_jget(q->body, "incident") && !hf_api_is_incident(incident))
        rc = hf_fail(err, HF_E_USAGE, "\"incident\" must be the id of one");
    for (unsigned before = 1; rc == 0 && before != n.seen && n.seen < 50000;) {
        before = n.seen;
        rc = hf_page_rule_alerts(q->store, id, n.last_time, n.last, 500, the_alert, &n, err);
    }
    if (rc < 0)
        return rc;
    if (!n.line.n)
        return hf_fail(err, HF_E_NOT_FOUND, "no alert with this id of the rule is kept, or only the sum of it");
    if (!api->hand)
        return nobody(ret, "An exception");
    begin(&w, &ask, q, "except");
    hf_jw_kstr(&w, "alert", n.line);
    hf_jw_kstr(&w, "why", why);
    hf_jw_kstrz(&w, "expires", date);
    if (dry_run)
        hf_jw_kbool(&w, "dry_run", true);
    hf_jw_object_end(&w);
    if (!hf_buf_ok(&ask))
        return hf_fail(err, HF_E_LIMIT, "the alert is too long for an exception");
    rc = hf_hand_call(api->hand, hf_buf_span(&ask), LIST_MS * 3, &result, err);
    return rc < 0 ? refused(ret, rc, err->msg) : except_reply(q, &result, dry_run, incident, ret, err);
}

/* ---- test messages ---- */

HF_HANDLER(hf_api_channel_test)
{
    hf_autobuf ask = HF_BUF_INIT(4096), result = HF_BUF_INIT(65536);
    struct hf_jw w;
    int rc = hf_api_only(q, "", err);
    rc = rc < 0 ? rc : hf_api_body_only(q, "", err);
    rc = rc < 0 ? rc : hf_api_channel_known(q, err);
    if (rc < 0)
        return rc;
    if (!api->hub)
        return nobody(ret, "A test message");
    begin(&w, &ask, q, "notify.test");
    hf_jw_kstr(&w, "channel", q->args[0]);
    hf_jw_object_end(&w);
    rc = hf_hand_call(api->hub, hf_buf_span(&ask), ACT_MS, &result, err);
    if (rc == HF_E_NOT_FOUND || rc == HF_E_USAGE)
        return hf_fail(err, HF_E_NOT_FOUND, "there is no such channel: %.200s", rc == HF_E_USAGE ? hf_err_name(rc) : "");
    if (rc == -ECONNRESET || rc == -EBUSY)
        return refused(ret, rc, err->msg);
    hf_jw_init(&w, &ret->body, false);
    hf_jw_object(&w);
    hf_jw_kbool(&w, "ok", rc >= 0);
    hf_jw_kstrz(&w, "text", rc < 0 ? err->msg : "the message was taken over there");
    hf_jw_object_end(&w);
    return hf_api_end(ret, err);
}

/* ---- what other services send: handed on as it is to the process that delivers, which knows the secrets and checks the signature ---- */

HF_HANDLER(hf_api_hook)
{
    static const char *const headers[] = {"content-type", "x-slack-request-timestamp", "x-slack-signature", "x-slack-retry-num", "x-pagerduty-signature", "x-webhook-id", "user-agent"};
    hf_autobuf ask = HF_BUF_INIT(HF_HAND_REQUEST_MAX), result = HF_BUF_INIT(1 << 20);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_jw w;
    if (!api->hub)
        return nobody(ret, "An answer of a channel");
    if (!hf_span_is_utf8(q->raw))
        return hf_fail(err, HF_E_USAGE, "the body is not UTF-8");
    hf_jw_init(&w, &ask, false);
    hf_jw_object(&w);
    hf_jw_kstrz(&w, "do", "notify.hook");
    hf_jw_kstr(&w, "channel", q->args[0]);
    hf_jw_key(&w, "headers");
    hf_jw_array(&w);
    for (size_t i = 0; i < HF_ARRAY_LEN(headers); i++)
        if (hf_header(q, headers[i]).n) {
            hf_jw_array(&w);
            hf_jw_strz(&w, headers[i]);
            hf_jw_str(&w, hf_header(q, headers[i]));
            hf_jw_array_end(&w);
        }
    hf_jw_array_end(&w);
    hf_jw_kstr(&w, "body", q->raw);
    hf_jw_object_end(&w);
    if (!hf_buf_ok(&ask))
        return hf_fail(err, HF_E_LIMIT, "the body is too long");
    int rc = hf_hand_call(api->hub, hf_buf_span(&ask), 10000, &result, err);
    rc = rc < 0 ? rc : hf_json_parse(hf_buf_span(&result), &doc, err);
    if (rc < 0)
        return refused(ret, rc, err->msg);
    hf_jnode root = hf_json_root(doc);
    uint64_t status = hf_live_u64(root, "status");
    ret->status = status >= 200 && status <= 599 ? (unsigned)status : 502;
    struct hf_span type = hf_api_keep(q, hf_jgetstr(root, "type"));
    ret->type = type.n ? type.p : "text/plain; charset=utf-8";
    hf_buf_adds(&ret->body, hf_jgetstr(root, "body"));
    return hf_api_end(ret, err);
}
