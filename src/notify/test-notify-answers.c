// SPDX-License-Identifier: Apache-2.0
/* Answers from Slack: signatures, buttons, comments, envelopes. */
#include "notify/answers-internal.h"
#include "notify/interact.h"
#include "notify/websocket.h"
#include "tap.h"

static void test_signature(void)
{
    /* The example of docs.slack.dev, "Verifying requests from Slack" */
    static const char body[] = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    struct hf_span secret = HF_S("8f742231b10e8888abcd99yyyzzz85a5"), at = HF_S("1531420618"), text = hf_span(body, sizeof body - 1);
    struct hf_span good = HF_S("v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503");
    struct hf_err err = HF_ERR_INIT;
    EQ_I(hf_ni_verify(secret, at, good, text, 1531420618, &err), 0);
    EQ_I(hf_ni_verify(secret, at, good, text, 1531420618 + 300, &err), 0);
    EQ_I(hf_ni_verify(secret, at, good, text, 1531420618 + 301, &err), HF_E_SIGNATURE);
    EQ_I(hf_ni_verify(secret, at, good, text, 1531420618 - 301, &err), HF_E_SIGNATURE);
    EQ_I(hf_ni_verify(secret, HF_S("1531420619"), good, text, 1531420618, &err), HF_E_SIGNATURE);
    EQ_I(hf_ni_verify(HF_S("other"), at, good, text, 1531420618, &err), HF_E_SIGNATURE);
    EQ_I(hf_ni_verify(HF_S(""), at, good, text, 1531420618, &err), HF_E_SIGNATURE);
    EQ_I(hf_ni_verify(secret, at, good, hf_span_sub(text, 1, SIZE_MAX), 1531420618, &err), HF_E_SIGNATURE);
    EQ_I(hf_ni_verify(secret, at, hf_span_sub(good, 0, 66), text, 1531420618, &err), HF_E_SIGNATURE);
    EQ_I(hf_ni_verify(secret, at, HF_S(""), text, 1531420618, &err), HF_E_SIGNATURE);
    EQ_I(hf_ni_verify(secret, HF_S("x"), good, text, 1531420618, &err), HF_E_SIGNATURE);
}

#define PAYLOAD(action, value) "{\"type\":\"block_actions\",\"user\":{\"id\":\"U1\",\"username\":\"alice\"},\"channel\":{\"id\":\"C1\"},\"message\":{\"ts\":\"1732.1\"},\"response_url\":\"https://hooks.slack.com/actions/x\",\"actions\":[{\"action_id\":\"" action "\",\"value\":\"" value "\"}]}"

static void form(struct hf_buf *b, const char *json)
{
    hf_buf_clear(b);
    hf_buf_addz(b, "a=1&payload=");
    for (; *json; json++)
        hf_buf_addf(b, "%%%02x", (unsigned char)*json);
    hf_buf_addz(b, "&z=2");
}

static void test_buttons(void)
{
    hf_autobuf b = HF_BUF_INIT(1u << 16);
    hf_autoarena a;
    struct hf_err err = HF_ERR_INIT;
    struct hf_ni i;
    hf_arena_init(&a, 1u << 20);
    form(&b, PAYLOAD("hf_freeze", "I-20261126-7K3Q9D"));
    EQ_I(hf_ni_read_form(&i, &a, hf_buf_span(&b), &err), 0);
    EQ_I(i.kind, HF_NI_BUTTON);
    EQ_I(i.button, HF_NI_FREEZE);
    EQ_S(i.incident, "I-20261126-7K3Q9D");
    EQ_S(i.user, "U1");
    EQ_S(i.name, "alice");
    EQ_S(i.channel, "C1");
    EQ_S(i.thread, "1732.1");
    EQ_S(i.response_url, "https://hooks.slack.com/actions/x");
    form(&b, PAYLOAD("hf_kill", "../../x")); /* no id of ours */
    EQ_I(hf_ni_read_form(&i, &a, hf_buf_span(&b), &err), 0);
    EQ_I(i.kind, HF_NI_OTHER);
    form(&b, PAYLOAD("other_app", "I-1"));
    EQ_I(hf_ni_read_form(&i, &a, hf_buf_span(&b), &err), 0);
    EQ_I(i.kind, HF_NI_OTHER);
    form(&b, "{\"type\":\"block_actions\",\"user\":{\"id\":\"U1\"},\"response_url\":\"https://hooks.slack.com.evil.example/\",\"actions\":[{\"action_id\":\"hf_ack\",\"value\":\"I-1\"}]}");
    EQ_I(hf_ni_read_form(&i, &a, hf_buf_span(&b), &err), 0);
    EQ_I(i.kind, HF_NI_BUTTON);
    EQ_U(i.response_url.n, 0);
    EQ_I(hf_ni_read_form(&i, &a, HF_S("payload=%7b"), &err), HF_E_FORMAT);
    EQ_I(hf_ni_read_form(&i, &a, HF_S("payload=%7"), &err), HF_E_FORMAT);
    EQ_I(hf_ni_read_form(&i, &a, HF_S("x=1"), &err), HF_E_FORMAT);
}

static void test_envelopes(void)
{
    hf_autobuf out = HF_BUF_INIT(4096);
    hf_autoarena a;
    struct hf_err err = HF_ERR_INIT;
    struct hf_ni i;
    hf_arena_init(&a, 1u << 20);
    EQ_I(hf_ni_read_envelope(&i, &a, HF_S("{\"type\":\"hello\",\"num_connections\":1}"), &err), 0);
    OK(i.kind == HF_NI_HELLO && !i.envelope.n);
    EQ_I(hf_ni_read_envelope(&i, &a, HF_S("{\"envelope_id\":\"e-1\",\"type\":\"interactive\",\"payload\":" PAYLOAD("hf_ack", "I-1") "}"), &err), 0);
    OK(i.kind == HF_NI_BUTTON && i.button == HF_NI_ACK);
    hf_ni_acknowledge(&i, &out);
    EQ_S(hf_buf_span(&out), "{\"envelope_id\":\"e-1\"}");
    EQ_I(hf_ni_read_envelope(&i, &a, HF_S("{\"envelope_id\":\"e-2\",\"type\":\"events_api\",\"payload\":{\"event\":{\"type\":\"message\",\"user\":\"U2\",\"channel\":\"C1\",\"thread_ts\":\"1732.1\",\"ts\":\"1733.0\",\"text\":\"is it &lt;b&gt; &amp;lt;?\"}}}"), &err), 0);
    EQ_I(i.kind, HF_NI_COMMENT);
    EQ_S(i.text, "is it <b> &lt;?");
    EQ_S(i.thread, "1732.1");
    EQ_S(i.once, "message/C1/1733.0");
    EQ_I(hf_ni_read_envelope(&i, &a, HF_S("{\"envelope_id\":\"e-3\",\"type\":\"events_api\",\"payload\":{\"event\":{\"type\":\"message\",\"bot_id\":\"B1\",\"user\":\"U2\",\"channel\":\"C1\",\"thread_ts\":\"1732.1\",\"text\":\"our own\"}}}"), &err), 0);
    OK(i.kind == HF_NI_OTHER && i.envelope.n);
    EQ_I(hf_ni_read_envelope(&i, &a, HF_S("{\"type\":\"disconnect\",\"reason\":\"refresh_requested\"}"), &err), 0);
    EQ_I(i.kind, HF_NI_AGAIN);
    EQ_I(hf_ni_read_envelope(&i, &a, HF_S("nothing"), &err), HF_E_FORMAT);
}

static void test_requests(void)
{
    hf_autobuf b = HF_BUF_INIT(1u << 16);
    hf_autoarena a;
    struct hf_err err = HF_ERR_INIT;
    struct hf_ni i;
    hf_arena_init(&a, 1u << 20);
    EQ_I(hf_ni_read_request(&i, &a, HF_S("{\"token\":\"x\",\"challenge\":\"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P\",\"type\":\"url_verification\"}"), &err), 0);
    EQ_I(i.kind, HF_NI_CHALLENGE);
    EQ_S(i.text, "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P");
    EQ_I(hf_ni_read_request(&i, &a, HF_S("{\"challenge\":\"<script>\",\"type\":\"url_verification\"}"), &err), HF_E_FORMAT);
    EQ_I(hf_ni_read_request(&i, &a, HF_S(" {\"type\":\"event_callback\",\"event_id\":\"Ev1\",\"event\":{\"type\":\"message\",\"user\":\"U2\",\"channel\":\"C1\",\"thread_ts\":\"1732.1\",\"ts\":\"1733.0\",\"text\":\"hi\"}}"), &err), 0);
    OK(i.kind == HF_NI_COMMENT && hf_span_eqz(i.once, "message/C1/1733.0"));
    EQ_I(hf_ni_read_request(&i, &a, HF_S("{\"type\":\"event_callback\",\"event\":{\"type\":\"message\",\"user\":\"U2\",\"channel\":\"C1\",\"ts\":\"1733.0\",\"text\":\"no thread\"}}"), &err), 0);
    EQ_I(i.kind, HF_NI_OTHER);
    form(&b, "{\"type\":\"block_actions\",\"user\":{\"id\":\"U1\"},\"actions\":[{\"action_id\":\"hf_ack\",\"value\":\"I-1\",\"action_ts\":\"1733.5\"}]}");
    EQ_I(hf_ni_read_request(&i, &a, hf_buf_span(&b), &err), 0);
    OK(i.kind == HF_NI_BUTTON && hf_span_eqz(i.once, "hf_ack/U1/1733.5"));
}

#define PAGE(type, agent, data) "{\"event\":{\"id\":\"01BTFCK\",\"event_type\":\"" type "\",\"resource_type\":\"incident\",\"agent\":{\"id\":\"PLH1HKV\",\"summary\":\"Tenex Engineer\",\"type\":\"" agent "\"},\"data\":" data "}}"
#define PAGED "{\"id\":\"PGR0VU2\",\"type\":\"incident\",\"status\":\"x\",\"incident_key\":\"holdfast-I-20261126-7K3Q9D\"}"

static void test_pagerduty(void)
{
    hf_autoarena a;
    struct hf_err err = HF_ERR_INIT;
    struct hf_ni i;
    hf_arena_init(&a, 1u << 20);
    EQ_I(hf_ni_read_pagerduty(&i, &a, HF_S(PAGE("incident.acknowledged", "user_reference", PAGED)), &err), 0);
    OK(i.kind == HF_NI_STATE && i.state == HF_NST_ACKNOWLEDGED);
    EQ_S(i.incident, "I-20261126-7K3Q9D");
    EQ_S(i.name, "Tenex Engineer");
    EQ_S(i.once, "01BTFCK");
    EQ_I(hf_ni_read_pagerduty(&i, &a, HF_S(PAGE("incident.resolved", "events_api_v2_inbound_integration_reference", PAGED)), &err), 0);
    OK(i.kind == HF_NI_OTHER && hf_span_eqz(i.thread, "PGR0VU2") && i.incident.n); /* we did it */
    EQ_I(hf_ni_read_pagerduty(&i, &a, HF_S(PAGE("incident.resolved", "user_reference", "{\"id\":\"P1\",\"incident_key\":\"somebody else's\"}")), &err), 0);
    EQ_I(i.kind, HF_NI_OTHER);
    EQ_I(hf_ni_read_pagerduty(&i, &a, HF_S(PAGE("incident.annotated", "user_reference", "{\"id\":\"PN\",\"incident\":{\"id\":\"PGR0VU2\"},\"content\":\"a note\"}")), &err), 0);
    OK(i.kind == HF_NI_COMMENT && hf_span_eqz(i.text, "a note") && hf_span_eqz(i.thread, "PGR0VU2"));
    EQ_I(hf_ni_read_pagerduty(&i, &a, HF_S("[]"), &err), HF_E_FORMAT);
    /* HMAC-SHA256 of "{}" with "secret", by Python */
    EQ_I(hf_ni_verify_pagerduty(HF_S("secret"), HF_S("v1=00, v1=77325902caca812dc259733aacd046b73817372c777b8d95b402647474516e13"), HF_S("{}"), &err), 0);
    EQ_I(hf_ni_verify_pagerduty(HF_S("secret"), HF_S("v0=77325902caca812dc259733aacd046b73817372c777b8d95b402647474516e13"), HF_S("{}"), &err), HF_E_SIGNATURE);
    EQ_I(hf_ni_verify_pagerduty(HF_S("secret"), HF_S("v1=77325902caca812dc259733aacd046b73817372c777b8d95b402647474516e13"), HF_S("{ }"), &err), HF_E_SIGNATURE);
    EQ_I(hf_ni_verify_pagerduty(HF_S(""), HF_S("v1=77325902caca812dc259733aacd046b73817372c777b8d95b402647474516e13"), HF_S("{}"), &err), HF_E_SIGNATURE);
    EQ_I(hf_ni_verify_pagerduty(HF_S("secret"), HF_S(""), HF_S("{}"), &err), HF_E_SIGNATURE);
}

static void test_addresses(void)
{
    struct hf_span api = HF_S("https://slack.com/api");
    OK(hf_na_slack_url_ok(api, HF_S("wss://wss-primary.slack.com/link/?ticket=1&app_id=2")));
    OK(!hf_na_slack_url_ok(api, HF_S("ws://wss-primary.slack.com/link/")));
    OK(!hf_na_slack_url_ok(api, HF_S("wss://slack.com.evil.example/")));
    OK(!hf_na_slack_url_ok(api, HF_S("wss://evilslack.com/")));
    OK(!hf_na_slack_url_ok(api, HF_S("wss://wss.slack.com@evil.example/")));
    OK(!hf_na_slack_url_ok(api, HF_S("wss://wss.slack.com\r\nX: y/")));
    OK(!hf_na_slack_url_ok(api, HF_S("https://wss.slack.com/")));
    OK(!hf_na_slack_url_ok(api, HF_S("")));
    OK(hf_na_slack_url_ok(HF_S("http://127.0.0.1:1/api"), HF_S("ws://127.0.0.1:2/")));
    OK(!hf_na_slack_url_ok(HF_S("https://127.0.0.1:1/api"), HF_S("ws://127.0.0.1:2/")));
    setenv("https_proxy", "http://proxy:3128", 1);
    setenv("no_proxy", "example.org, .internal,10.0.0.1", 1);
    EQ_S(hf_nws_env_proxy(HF_S("wss-primary.slack.com")), "http://proxy:3128");
    EQ_U(hf_nws_env_proxy(HF_S("example.org")).n, 0);
    EQ_U(hf_nws_env_proxy(HF_S("a.Example.org")).n, 0);
    EQ_U(hf_nws_env_proxy(HF_S("x.internal")).n, 0);
    EQ_S(hf_nws_env_proxy(HF_S("notexample.org")), "http://proxy:3128");
    setenv("no_proxy", "*", 1);
    EQ_U(hf_nws_env_proxy(HF_S("wss-primary.slack.com")).n, 0);
}

int main(void)
{
    test_addresses();
    test_requests();
    test_pagerduty();
    test_signature();
    test_buttons();
    test_envelopes();
    return tap_done();
}
