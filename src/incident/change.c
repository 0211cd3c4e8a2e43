// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>

#include "incident/incident-internal.h"

static const char *const verbs[] = {"incident.ack", "incident.assign", "incident.comment", "incident.resolve", "incident.reopen", "incident.action", "incident.link", "incident.evidence", "incident.except"};

/* Lines stay lines; everything else that is no text is made visible. */
static void lines_safe(struct hf_span s, struct hf_buf *out)
{
    struct hf_span line;
    for (bool more = false; hf_span_line(&s, &line); more = true) {
        if (more)
            hf_buf_addc(out, '\n');
        hf_buf_add_escaped(out, line, 0);
    }
}

static int refused(const struct hf_inc *i, const struct hf_inc_change *c, struct hf_err *err)
{
    static const struct {
        const char *list, *what;
    } lists[] = {[HF_INC_COMMENT] = {"comments", "comments"}, [HF_INC_ACTION] = {"actions", "actions"}, [HF_INC_LINK] = {"links", "links"}, [HF_INC_EVIDENCE] = {"evidence", "pieces of evidence"},
            [HF_INC_EXCEPT] = {"exceptions", "exceptions"}};
    const char *id = hf_inc_z(i->root, "id"), *state = hf_inc_z(i->root, "state");
    if ((unsigned)c->verb >= HF_ARRAY_LEN(verbs))
        return hf_fail(err, HF_E_USAGE, "no such change");
    if (!hf_span_trim(c->by).n || c->by.n > 200 || !c->via.n || c->via.n > 40)
        return hf_fail(err, HF_E_USAGE, "a change needs a name of who makes it (at most 200 bytes), and where");
    if (c->text.n > HF_INC_TEXT_MAX || c->note.n > HF_INC_TEXT_MAX || c->target.n > HF_INC_TEXT_MAX || c->result.n > HF_INC_TEXT_MAX)
        return hf_fail(err, HF_E_LIMIT, "a text is over %u bytes", (unsigned)HF_INC_TEXT_MAX);
    if (*hf_inc_z(i->root, "merged_into"))
        return hf_fail(err, HF_E_USAGE, "%s is part of %s now", id, hf_inc_z(i->root, "merged_into"));
    if (c->verb != HF_INC_ACK && c->verb != HF_INC_ASSIGN && c->verb != HF_INC_REOPEN && !hf_span_trim(c->text).n)
        return hf_fail(err, HF_E_USAGE, "nothing is written there");
    if (c->verb == HF_INC_RESOLVE && !hf_span_eqz(c->text, "true") && !hf_span_eqz(c->text, "benign") && !hf_span_eqz(c->text, "test"))
        return hf_fail(err, HF_E_USAGE, "an incident is resolved as true, benign or test, not \"%.*s\"", HF_SPAN_ARG(hf_span_sub(c->text, 0, 40)));
    if (c->verb == HF_INC_ACK && !strcmp(state, "resolved"))
        return hf_fail(err, HF_E_USAGE, "%s is resolved; reopen it first", id);
    if (c->verb == HF_INC_LINK && !hf_span_starts(c->target, HF_S("https://")) && !hf_span_starts(c->target, HF_S("http://")))
        return hf_fail(err, HF_E_USAGE, "a link begins with https:// or http://");
    if (c->verb < HF_ARRAY_LEN(lists) && lists[c->verb].list && cJSON_GetArraySize(hf_inc_array(i, lists[c->verb].list)) >= HF_INC_LIST_MAX)
        return hf_fail(err, HF_E_LIMIT, "%s has %u %s already, which is the most", id, (unsigned)HF_INC_LIST_MAX, lists[c->verb].what);
    if (c->note.n && c->verb != HF_INC_COMMENT && cJSON_GetArraySize(hf_inc_array(i, "comments")) >= HF_INC_LIST_MAX)
        return hf_fail(err, HF_E_LIMIT, "%s has %u comments already, which is the most", id, (unsigned)HF_INC_LIST_MAX);
    return 0;
}

struct texts {
    struct hf_buf by, via, text, target, result, note;
};
static void texts_done(struct texts *t)
{
    hf_buf_done(&t->by);
    hf_buf_done(&t->via);
    hf_buf_done(&t->text);
    hf_buf_done(&t->target);
    hf_buf_done(&t->result);
    hf_buf_done(&t->note);
}

static cJSON *entry(struct hf_inc *i, const char *list, uint64_t ns)
{
    cJSON *o = hf_inc_made(cJSON_CreateObject()), *l = hf_inc_array(i, list);
    if (o && (!l || !hf_inc_kept(cJSON_AddItemToArray(l, o)))) {
        cJSON_Delete(o);
        return NULL;
    }
    if (o && ns)
        hf_inc_set_time(o, "time", ns);
    return o;
}

static void comment(struct hf_inc *i, const struct hf_inc_change *c, struct texts *t, struct hf_buf *text)
{
    cJSON *o = entry(i, "comments", c->time_ns);
    hf_inc_set(o, "by", hf_buf_z(&t->by));
    hf_inc_set(o, "via", hf_buf_z(&t->via));
    hf_inc_set(o, "text", hf_buf_z(text));
    hf_autobuf line = HF_BUF_INIT(4096);
    hf_inc_tell(i, c->time_ns, "comment", hf_inc_safe(&line, hf_buf_span(text), 200), hf_buf_z(&t->by));
}

static bool contains(struct hf_span action)
{
    static const char *const words[] = {"freeze", "pause", "kill", "stop", "isolate", "deny"};
    for (size_t k = 0; k < HF_ARRAY_LEN(words); k++)
        if (hf_span_starts(action, hf_span_z(words[k])))
            return true;
    return false;
}

static void state_to(struct hf_inc *i, const struct hf_inc_change *c, const struct texts *t, const char *state, const char *words)
{
    hf_inc_set(i->root, "state", state);
    hf_inc_tell(i, c->time_ns, "state", words, t->by.p ? t->by.p : "");
}

static void state_of(const struct hf_inc *i, struct hf_buf *out)
{
    const char *why = hf_inc_z(i->root, "resolution");
    hf_buf_addf(out, "%s%s%s", hf_inc_z(i->root, "state"), *why ? " " : "", why);
}

/* 1 changed, 0 as it was. */
static int change(struct hf_inc *i, const struct hf_inc_change *c, struct texts *t, struct hf_buf *before, struct hf_buf *after)
{
    cJSON *r = i->root, *o;
    hf_autobuf line = HF_BUF_INIT(8192);
    const char *by = hf_buf_z(&t->by), *text = hf_buf_z(&t->text);
    switch (c->verb) {
    case HF_INC_ACK:
        hf_buf_addz(before, hf_inc_z(r, "state"));
        if (*hf_inc_z(r, "acknowledged_by"))
            return 0;
        hf_inc_set(r, "acknowledged_by", by);
        state_to(i, c, t, !strcmp(hf_inc_z(r, "state"), "open") ? "acknowledged" : hf_inc_z(r, "state"), "acknowledged");
        hf_buf_addz(after, hf_inc_z(r, "state"));
        return 1;
    case HF_INC_ASSIGN:
        hf_buf_addz(before, hf_inc_z(r, "assignee"));
        if (!strcmp(hf_inc_z(r, "assignee"), text))
            return 0;
        cJSON_DeleteItemFromObjectCaseSensitive(r, "assignee");
        if (*text)
            hf_inc_set(r, "assignee", text);
        hf_buf_addf(&line, *text ? "assigned to %s" : "assigned to nobody%s", text);
        hf_inc_tell(i, c->time_ns, "state", hf_buf_z(&line), by);
        hf_buf_addz(after, text);
        return 1;
    case HF_INC_COMMENT:
        comment(i, c, t, &t->text);
        hf_buf_addz(after, text);
        return 1;
    case HF_INC_RESOLVE:
        state_of(i, before);
        if (!strcmp(hf_inc_z(r, "state"), "resolved") && !strcmp(hf_inc_z(r, "resolution"), text))
            return 0;
        hf_inc_set(r, "resolution", text);
        hf_buf_addf(&line, "resolved: %s", text);
        state_to(i, c, t, "resolved", hf_buf_z(&line));
        hf_buf_addf(after, "resolved %s", text);
        return 1;
    case HF_INC_REOPEN:
        state_of(i, before);
        if (strcmp(hf_inc_z(r, "state"), "resolved"))
            return 0;
        cJSON_DeleteItemFromObjectCaseSensitive(r, "resolution");
        cJSON_DeleteItemFromObjectCaseSensitive(r, "acknowledged_by");
        hf_inc_set_number(r, "reopened", hf_inc_num(r, "reopened") + 1);
        state_to(i, c, t, "open", "open again");
        hf_buf_addz(after, "open");
        return 1;
    case HF_INC_ACTION:
        o = entry(i, "actions", c->time_ns);
        hf_inc_set(o, "by", by);
        hf_inc_set(o, "action", text);
        hf_inc_set(o, "target", hf_buf_z(&t->target));
        hf_inc_set(o, "result", hf_buf_z(&t->result));
        hf_buf_addf(&line, "%s %s: %s", text, hf_buf_z(&t->target), hf_buf_z(&t->result));
        hf_inc_tell(i, c->time_ns, "action", hf_buf_z(&line), by);
        hf_buf_addz(after, hf_buf_z(&line));
        hf_buf_addz(before, hf_inc_z(r, "state"));
        if (hf_span_eqz(c->result, "done") && contains(c->text) && (!strcmp(hf_inc_z(r, "state"), "open") || !strcmp(hf_inc_z(r, "state"), "acknowledged")))
            state_to(i, c, t, "contained", "contained");
        return 1;
    case HF_INC_LINK:
        o = entry(i, "links", 0);
        hf_inc_set(o, "title", text);
        hf_inc_set(o, "url", hf_buf_z(&t->target));
        hf_buf_addz(after, hf_buf_z(&t->target));
        return 1;
    case HF_INC_EVIDENCE:
        o = entry(i, "evidence", 0);
        hf_inc_set(o, "name", text);
        hf_inc_set(o, "sha256", hf_buf_z(&t->result));
        hf_inc_set(o, "path", hf_buf_z(&t->target));
        hf_buf_addf(after, "%s %s", text, hf_buf_z(&t->result));
        return 1;
    case HF_INC_EXCEPT:
        hf_inc_once(hf_inc_array(i, "exceptions"), text, HF_INC_LIST_MAX);
        hf_inc_tell(i, c->time_ns, "action", "an exception was made from this", by);
        hf_buf_addz(after, text);
        return 1;
    }
    return 0;
}

static void clip(char *out, size_t n, const struct hf_buf *b)
{
    size_t len = HF_MIN(b->n, n - 1);
    while (len && len < b->n && !hf_span_is_utf8(hf_span(b->p, len)))
        len--;
    if (len)
        memcpy(out, b->p, len);
    out[len] = 0;
}

int hf_inc_apply(struct hf_inc *i, const struct hf_inc_change *c, struct hf_inc_audit *audit, struct hf_err *err)
{
    hf_cleanup(texts_done) struct texts t = {HF_BUF_INIT(16384), HF_BUF_INIT(16384), HF_BUF_INIT(16384), HF_BUF_INIT(16384), HF_BUF_INIT(16384), HF_BUF_INIT(16384)};
    hf_autobuf before = HF_BUF_INIT(65536), after = HF_BUF_INIT(65536), whole = HF_BUF_INIT(HF_INC_MAX);
    int rc = refused(i, c, err);
    if (rc < 0)
        return rc;
    hf_buf_add_escaped(&t.by, hf_span_trim(c->by), 0);
    hf_buf_add_escaped(&t.via, c->via, 0);
    lines_safe(hf_span_trim(c->text), &t.text);
    hf_buf_add_escaped(&t.target, c->target, 0);
    hf_buf_add_escaped(&t.result, c->result, 0);
    lines_safe(hf_span_trim(c->note), &t.note);
    hf_inc_starved = !hf_buf_ok(&t.by) || !hf_buf_ok(&t.via) || !hf_buf_ok(&t.text) || !hf_buf_ok(&t.target) || !hf_buf_ok(&t.result) || !hf_buf_ok(&t.note);
    cJSON *kept = hf_inc_made(cJSON_Duplicate(i->root, true));
    if (!kept)
        return hf_fail(err, -ENOMEM, "no memory for a change");
    rc = change(i, c, &t, &before, &after);
    if (t.note.n && c->verb != HF_INC_COMMENT) {
        comment(i, c, &t, &t.note);
        rc = 1;
    }
    if (rc > 0) {
        hf_inc_set_number(i->root, "revision", hf_inc_num(kept, "revision") + 1);
        if (c->time_ns)
            hf_inc_set_time(i->root, "updated", c->time_ns);
        hf_inc_write(i, false, &whole);
    }
    if (rc >= 0 && hf_inc_starved) /* a part of it may be missing: nothing of it, then */
        rc = hf_fail(err, -ENOMEM, "no memory for a change");
    if (rc > 0 && (!hf_buf_ok(&whole) || !hf_buf_ok(&before) || !hf_buf_ok(&after)))
        rc = hf_fail(err, HF_E_LIMIT, "with this %s would be over %u bytes", hf_inc_z(kept, "id"), (unsigned)HF_INC_MAX);
    if (rc < 0) {
        cJSON_Delete(i->root);
        i->root = kept;
        return rc;
    }
    cJSON_Delete(kept);
    if (audit && rc > 0) {
        memset(audit, 0, sizeof *audit);
        snprintf(audit->what, sizeof audit->what, "%s", verbs[c->verb]);
        snprintf(audit->target, sizeof audit->target, "%s", hf_inc_z(i->root, "id"));
        clip(audit->before, sizeof audit->before, &before);
        clip(audit->after, sizeof audit->after, &after);
    }
    return rc;
}
