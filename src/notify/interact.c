// SPDX-License-Identifier: Apache-2.0
#include "notify/interact.h"

#include "base/hash.h"
#include "notify/text.h"

enum { ID_MAX = 64, NAME_LEN = 200, TEXT_LEN = 1900 /* HF_INC_TEXT_MAX */, URL_LEN = 500, SIGNATURES_MAX = 8 };

const char *const hf_ni_buttons[HF_NI_BUTTONS] = {"hf_ack", "hf_assign", "hf_freeze", "hf_kill", "hf_isolate", "hf_except", "hf_evidence", "hf_open"};

static bool signed_by(struct hf_span secret, struct hf_span text, struct hf_span hex_mac)
{
    uint8_t mac[32];
    char hex[65];
    unsigned differs = 0;
    if (hex_mac.n != 64)
        return false;
    hf_hmac_sha256(secret, text, mac);
    hf_hex(mac, sizeof mac, hex);
    for (size_t i = 0; i < 64; i++) /* the same time wherever it differs */
        differs |= (unsigned)(unsigned char)hex[i] ^ (unsigned char)hex_mac.p[i];
    return !differs;
}

int hf_ni_verify(struct hf_span secret, struct hf_span timestamp, struct hf_span signature, struct hf_span body, int64_t now_s, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(HF_NI_BODY_MAX + 64);
    int64_t at;
    if (body.n > HF_NI_BODY_MAX)
        return hf_fail(err, HF_E_LIMIT, "the request is over %d bytes", HF_NI_BODY_MAX);
    if (!secret.n || hf_parse_i64(timestamp, 0, INT64_MAX / 2, &at) < 0 || signature.n != 3 + 64 || !hf_span_starts(signature, HF_S("v0=")))
        return hf_fail(err, HF_E_SIGNATURE, "the request is not signed");
    if (at > now_s + HF_NI_WINDOW_S || at < now_s - HF_NI_WINDOW_S)
        return hf_fail(err, HF_E_SIGNATURE, "the request was signed more than five minutes ago or ahead");
    hf_buf_addz(&text, "v0:");
    hf_buf_adds(&text, timestamp);
    hf_buf_addc(&text, ':');
    hf_buf_adds(&text, body);
    if (!hf_buf_ok(&text))
        return hf_fail(err, HF_E_LIMIT, "no memory");
    return signed_by(secret, hf_buf_span(&text), hf_span_from(signature, 3)) ? 0 : hf_fail(err, HF_E_SIGNATURE, "the request's signature is wrong");
}

int hf_ni_verify_pagerduty(struct hf_span secret, struct hf_span signatures, struct hf_span body, struct hf_err *err)
{
    struct hf_span one;
    bool good = false;
    if (body.n > HF_NI_BODY_MAX)
        return hf_fail(err, HF_E_LIMIT, "the request is over %d bytes", HF_NI_BODY_MAX);
    if (!secret.n || !signatures.n)
        return hf_fail(err, HF_E_SIGNATURE, "the request is not signed");
    for (unsigned i = 0; i < SIGNATURES_MAX && !good && hf_span_cut(&signatures, ',', &one); i++) {
        one = hf_span_trim(one);
        good = hf_span_starts(one, HF_S("v1=")) && signed_by(secret, body, hf_span_from(one, 3));
    }
    return good ? 0 : hf_fail(err, HF_E_SIGNATURE, "the request's signature is wrong");
}

/* ---- texts ---- */

static struct hf_span kept(struct hf_arena *a, struct hf_span s, size_t max)
{
    struct hf_span ret;
    return s.n <= max && hf_span_is_utf8(s) && hf_arena_dup(a, s, &ret) == 0 ? ret : hf_span("", 0);
}

/* An incident's id, as it was put on the button; somebody else's app may post anything. */
static struct hf_span id_of(struct hf_arena *a, struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!s.p[i] || !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", s.p[i]))
            return hf_span("", 0);
    return kept(a, s, ID_MAX);
}

/* Slack's times are numbers with a dot. */
static struct hf_span id_of_time(struct hf_arena *a, struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] < '0' || s.p[i] > '9') && s.p[i] != '.')
            return hf_span("", 0);
    return kept(a, s, ID_MAX);
}

static struct hf_span text_of(struct hf_arena *a, struct hf_span s)
{
    static const struct {
        struct hf_span as;
        char c;
    } entities[] = {{{"&lt;", 4}, '<'}, {{"&gt;", 4}, '>'}, {{"&amp;", 5}, '&'}};
    hf_autobuf b = HF_BUF_INIT(TEXT_LEN + 8), cut = HF_BUF_INIT(TEXT_LEN + 8);
    hf_ntext_cut(&cut, s, TEXT_LEN);
    for (struct hf_span rest = hf_buf_span(&cut); rest.n;) {
        size_t k = 0;
        while (k < HF_ARRAY_LEN(entities) && !hf_span_starts(rest, entities[k].as))
            k++;
        hf_buf_addc(&b, k < HF_ARRAY_LEN(entities) ? entities[k].c : rest.p[0]);
        rest = hf_span_from(rest, k < HF_ARRAY_LEN(entities) ? entities[k].as.n : 1);
    }
    return kept(a, hf_buf_span(&b), TEXT_LEN + 8);
}

static struct hf_span joined(struct hf_arena *a, const char *what, struct hf_span x, struct hf_span y)
{
    hf_autobuf b = HF_BUF_INIT(2048);
    hf_buf_addf(&b, "%s/%.*s/%.*s", what, HF_SPAN_ARG(x), HF_SPAN_ARG(y));
    return x.n && y.n && hf_buf_ok(&b) ? kept(a, hf_buf_span(&b), 400) : hf_span("", 0);
}

/* ---- payloads ---- */

static int read_button(struct hf_ni *ret, struct hf_arena *a, hf_jnode payload)
{
    hf_jnode action = hf_jfirst(hf_jget(payload, "actions")), user = hf_jget(payload, "user");
    struct hf_span id = hf_jgetstr(action, "action_id"), url = hf_jgetstr(payload, "response_url");
    unsigned k = 0;
    while (k < HF_NI_BUTTONS && !hf_span_eqz(id, hf_ni_buttons[k]))
        k++;
    if (k == HF_NI_BUTTONS)
        return 0;
    ret->button = (enum hf_ni_button)k;
    ret->user = id_of(a, hf_jgetstr(user, "id"));
    ret->name = kept(a, hf_jgetstr(user, "username").n ? hf_jgetstr(user, "username") : hf_jgetstr(user, "name"), NAME_LEN);
    ret->incident = id_of(a, hf_jgetstr(action, "value"));
    ret->channel = id_of(a, hf_jgetstr(hf_jget(payload, "channel"), "id"));
    ret->thread = id_of_time(a, hf_jgetstr(hf_jget(payload, "message"), "ts"));
    ret->once = joined(a, hf_ni_buttons[k], ret->user, id_of_time(a, hf_jgetstr(action, "action_ts")));
    ret->response_url = hf_span_starts(url, HF_S("https://hooks.slack.com/")) ? kept(a, url, URL_LEN) : hf_span("", 0);
    if (ret->user.n && (ret->incident.n || ret->button == HF_NI_OPEN))
        ret->kind = HF_NI_BUTTON;
    return 0;
}

/* A message somebody wrote in a thread; bots (we too) and edits have a bot_id or a subtype. */
static void read_event(struct hf_ni *ret, struct hf_arena *a, hf_jnode event)
{
    if (!hf_span_eqz(hf_jgetstr(event, "type"), "message") || hf_jget(event, "subtype") || hf_jget(event, "bot_id") || !hf_jgetstr(event, "thread_ts").n)
        return;
    ret->user = id_of(a, hf_jgetstr(event, "user"));
    ret->channel = id_of(a, hf_jgetstr(event, "channel"));
    ret->thread = id_of_time(a, hf_jgetstr(event, "thread_ts"));
    ret->once = joined(a, "message", ret->channel, id_of_time(a, hf_jgetstr(event, "ts"))); /* the same by whichever way it comes */
    ret->text = text_of(a, hf_jgetstr(event, "text"));
    if (ret->user.n && ret->channel.n && ret->thread.n && ret->text.n)
        ret->kind = HF_NI_COMMENT;
}

static bool unform(struct hf_buf *out, struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint64_t byte;
        if (s.p[i] == '%') {
            if (hf_parse_u64(hf_span_sub(s, i + 1, 2), 16, 0, 255, &byte) < 0 || i + 2 >= s.n)
                return false;
            hf_buf_addc(out, (char)byte);
            i += 2;
        } else {
            hf_buf_addc(out, s.p[i] == '+' ? ' ' : s.p[i]);
        }
    }
    return hf_buf_ok(out);
}

int hf_ni_read_form(struct hf_ni *ret, struct hf_arena *a, struct hf_span body, struct hf_err *err)
{
    hf_autobuf json = HF_BUF_INIT(HF_NI_BODY_MAX);
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_span field, payload = {NULL, 0};
    *ret = (struct hf_ni){0};
    if (body.n > HF_NI_BODY_MAX)
        return hf_fail(err, HF_E_LIMIT, "the request is over %d bytes", HF_NI_BODY_MAX);
    while (!payload.n && hf_span_cut(&body, '&', &field))
        if (hf_span_starts(field, HF_S("payload=")))
            payload = hf_span_from(field, 8);
    if (!payload.n || !unform(&json, payload))
        return hf_fail(err, HF_E_FORMAT, "the request has no payload");
    int rc = hf_json_parse_within(hf_buf_span(&json), 8u << 20, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "payload");
    return hf_span_eqz(hf_jgetstr(hf_json_root(doc), "type"), "block_actions") ? read_button(ret, a, hf_json_root(doc)) : 0;
}

int hf_ni_read_request(struct hf_ni *ret, struct hf_arena *a, struct hf_span body, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    *ret = (struct hf_ni){0};
    if (!hf_span_starts(hf_span_trim(body), HF_S("{")))
        return hf_ni_read_form(ret, a, body, err);
    if (body.n > HF_NI_BODY_MAX)
        return hf_fail(err, HF_E_LIMIT, "the request is over %d bytes", HF_NI_BODY_MAX);
    int rc = hf_json_parse_within(body, 8u << 20, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "Events API");
    hf_jnode root = hf_json_root(doc);
    struct hf_span type = hf_jgetstr(root, "type");
    if (hf_span_eqz(type, "url_verification")) {
        ret->text = id_of(a, hf_jgetstr(root, "challenge"));
        if (!ret->text.n)
            return hf_fail(err, HF_E_FORMAT, "the request has no challenge");
        ret->kind = HF_NI_CHALLENGE;
    } else if (hf_span_eqz(type, "event_callback")) {
        read_event(ret, a, hf_jget(root, "event"));
    }
    return 0;
}

/* developer.pagerduty.com, "Webhooks Overview", V3: event.event_type, .agent, .data.  Our dedup key is data.incident_key. */
int hf_ni_read_pagerduty(struct hf_ni *ret, struct hf_arena *a, struct hf_span body, struct hf_err *err)
{
    static const struct {
        const char *type;
        enum hf_nstate state;
    } states[] = {{"incident.acknowledged", HF_NST_ACKNOWLEDGED}, {"incident.resolved", HF_NST_RESOLVED}, {"incident.reopened", HF_NST_OPEN}, {"incident.unacknowledged", HF_NST_OPEN}};
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    *ret = (struct hf_ni){0};
    if (body.n > HF_NI_BODY_MAX)
        return hf_fail(err, HF_E_LIMIT, "the request is over %d bytes", HF_NI_BODY_MAX);
    int rc = hf_json_parse_within(body, 8u << 20, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "webhook");
    hf_jnode event = hf_jget(hf_json_root(doc), "event"), data = hf_jget(event, "data"), agent = hf_jget(event, "agent");
    struct hf_span type = hf_jgetstr(event, "event_type"), key = hf_jgetstr(data, "incident_key");
    if (!hf_jis_object(event))
        return hf_fail(err, HF_E_FORMAT, "the webhook has no event");
    ret->once = id_of(a, hf_jgetstr(event, "id"));
    ret->user = id_of(a, hf_jgetstr(agent, "id"));
    ret->name = kept(a, hf_jgetstr(agent, "summary"), NAME_LEN);
    ret->incident = hf_span_starts(key, HF_S("holdfast-")) ? id_of(a, hf_span_from(key, 9)) : hf_span("", 0);
    bool person = hf_span_eqz(hf_jgetstr(agent, "type"), "user_reference") && ret->user.n;
    if (hf_span_eqz(type, "incident.annotated")) {
        ret->thread = id_of(a, hf_jgetstr(hf_jget(data, "incident"), "id"));
        ret->text = text_of(a, hf_jgetstr(data, "content"));
        if (person && ret->thread.n && ret->text.n)
            ret->kind = HF_NI_COMMENT;
        return 0;
    }
    ret->thread = id_of(a, hf_jgetstr(data, "id"));
    for (size_t i = 0; i < HF_ARRAY_LEN(states); i++)
        if (hf_span_eqz(type, states[i].type) && person && ret->incident.n) {
            ret->kind = HF_NI_STATE;
            ret->state = states[i].state;
        }
    return 0;
}

int hf_ni_read_envelope(struct hf_ni *ret, struct hf_arena *a, struct hf_span text, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    *ret = (struct hf_ni){0};
    if (text.n > HF_NI_BODY_MAX)
        return hf_fail(err, HF_E_LIMIT, "the message is over %d bytes", HF_NI_BODY_MAX);
    int rc = hf_json_parse_within(text, 8u << 20, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "Socket Mode");
    hf_jnode root = hf_json_root(doc), payload = hf_jget(root, "payload");
    struct hf_span type = hf_jgetstr(root, "type");
    ret->envelope = id_of(a, hf_jgetstr(root, "envelope_id"));
    ret->text = hf_span_eqz(type, "disconnect") ? id_of(a, hf_jgetstr(root, "reason")) : ret->text;
    if (hf_span_eqz(type, "disconnect"))
        ret->kind = HF_NI_AGAIN;
    else if (hf_span_eqz(type, "hello"))
        ret->kind = HF_NI_HELLO;
    else if (hf_span_eqz(type, "interactive") && hf_span_eqz(hf_jgetstr(payload, "type"), "block_actions"))
        return read_button(ret, a, payload);
    else if (hf_span_eqz(type, "events_api"))
        read_event(ret, a, hf_jget(payload, "event"));
    return 0;
}

void hf_ni_acknowledge(const struct hf_ni *i, struct hf_buf *out)
{
    struct hf_jw w;
    hf_jw_init(&w, out, false);
    hf_jw_object(&w);
    hf_jw_kstr(&w, "envelope_id", i->envelope);
    hf_jw_object_end(&w);
}
