// SPDX-License-Identifier: Apache-2.0
/* Every renderer: the requests for one story of three revisions against tests/golden/notify/CHANNEL.txt (HF_UPDATE_GOLDEN=1 rewrites them), and the
 * limits their makers document. */
#include "base/fs.h"
#include "notify/render.h"
#include "tap.h"

static const char conf_text[] =
        "- settings: {console: 'https://hf.example'}\n"
        "- {channel: slack, type: slack, token_file: /t, to: C1}\n- {channel: slack-webhook, type: slack-webhook, url_file: /u}\n- {channel: teams, type: teams, url_file: /u}\n"
        "- {channel: mattermost, type: mattermost, url_file: /u}\n- {channel: discord, type: discord, url_file: /u}\n- {channel: matrix, type: matrix, url: 'https://m.example', token_file: /t, to: '!r:m.example'}\n"
        "- {channel: pagerduty, type: pagerduty, token_file: /t}\n- {channel: jsm-ops, type: jsm-ops, token_file: /t, labels: [soc]}\n"
        "- {channel: jira, type: jira, url: 'https://j.example', user: a@b.example, token_file: /t, project: SEC, transitions: {resolved: Done}}\n"
        "- {channel: jira-dc, type: jira, api: data-center, url: 'https://j.example', token_file: /t, project: SEC}\n"
        "- {channel: github, type: github, token_file: /t, project: o/r}\n- {channel: gitlab, type: gitlab, token_file: /t, project: g/s/p}\n"
        "- {channel: mail, type: mail, url: 'smtps://m.example', from: hf@b.example, to: [c@d.example, e@f.example]}\n"
        "- {channel: syslog-text, type: syslog, url: 'syslog+tls://s.example', format: text}\n- {channel: syslog-cef, type: syslog, url: 'syslog+tls://s.example', format: cef}\n"
        "- {channel: syslog-leef, type: syslog, url: 'syslog+tls://s.example', format: leef}\n- {channel: syslog-ocsf, type: syslog, url: 'syslog+tls://s.example', format: ocsf}\n"
        "- {channel: webhook, type: webhook, url: 'https://w.example/in', key_file: /k}\n- {channel: otlp, type: otlp, url: 'https://o.example', token_file: /t}\n- {channel: file, type: file, path: /f}\n";

static void story(struct hf_buf *b, unsigned revision)
{
    static const char hostile[] = "<!channel> @here *b* `c` [l](http://e.example) |=^ \\\\ \\\"q\\\" \\u202e\\u001b[31m ]";
    hf_buf_clear(b);
    hf_buf_addf(b, "{\"schema\":\"holdfast.incident/1\",\"id\":\"I-20261126-7K3Q9D\",\"revision\":%u,\"title\":\"Reverse shell in web %s\",\"summary\":\"A shell talks to 203.0.113.9.\\nIt was started by nginx.\",\"severity\":\"%s\",\"state\":\"%s\",", revision, hostile,
            revision == 1 ? "high" : "critical", revision == 1 ? "open" : revision == 2 ? "acknowledged" : "resolved");
    hf_buf_addf(b, "\"resolution\":\"%s\",\"acknowledged_by\":\"%s\",\"assignee\":\"bob\",\"opened\":\"2026-11-26T12:00:00Z\",\"updated\":\"2026-11-26T12:0%u:00Z\",\"first_alert\":\"2026-11-26T12:00:00Z\",\"last_alert\":\"2026-11-26T12:01:00Z\",", revision == 3 ? "true" : "",
            revision > 1 ? "bob" : "", revision);
    hf_buf_addf(b, "\"alerts\":%u,\"reopened\":0,\"hosts\":[\"node1\"],\"containers\":[{\"id\":\"c0ffee0123456789\",\"name\":\"web %s\",\"image\":\"shop/web:1.2\",\"pod\":{\"namespace\":\"shop\",\"name\":\"web-1\"}}],", revision * 3, hostile);
    hf_buf_addz(b, "\"rules\":[{\"rule\":\"reverse-shell\",\"severity\":\"high\",\"count\":2},{\"rule\":\"drop-and-run\",\"severity\":\"critical\",\"count\":1}],\"techniques\":[\"T1059\",\"T1071\"],\"advice\":[\"Freeze web\"],");
    hf_buf_addf(b, "\"comments\":[%s],\"actions\":[%s]}", revision > 1 ? "{\"time\":\"2026-11-26T12:01:30Z\",\"by\":\"bob\",\"via\":\"cli\",\"text\":\"looking *now*\\n/close @all\"}" : "",
            revision > 2 ? "{\"time\":\"2026-11-26T12:02:30Z\",\"by\":\"bob\",\"action\":\"freeze\",\"target\":\"web\",\"result\":\"done\"}" : "");
}

static void request_text(const struct hf_nrequest *q, struct hf_buf *out)
{
    hf_buf_addf(out, "%s %.*s\n", q->method, HF_SPAN_ARG(hf_buf_span(&q->url)));
    for (size_t i = 0; i < q->n_headers; i++)
        hf_buf_addf(out, "%.*s\n", HF_SPAN_ARG(hf_buf_span(&q->headers[i])));
    hf_buf_addc(out, '\n');
    for (size_t i = 0; i < q->body.n; i++)
        if (q->body.p[i] != '\r') /* of mail: test_notify.py looks at line ends */
            hf_buf_addc(out, q->body.p[i]);
    hf_buf_addz(out, "\n\n");
}

static unsigned limit_of(const struct hf_nchannel *ch)
{
    switch (ch->kind) {
    case HF_N_TEAMS:
        return 28 * 1024;
    case HF_N_PAGERDUTY:
        return 512 * 1024;
    case HF_N_MATRIX:
        return 65536;
    case HF_N_SLACK:
    case HF_N_SLACK_WEBHOOK:
    case HF_N_MATTERMOST:
    case HF_N_DISCORD:
    case HF_N_JSM_OPS:
    case HF_N_JIRA:
    case HF_N_GITHUB:
    case HF_N_GITLAB:
    case HF_N_MAIL:
    case HF_N_SYSLOG:
    case HF_N_WEBHOOK:
    case HF_N_OTLP:
    case HF_N_FILE:
    case HF_N_KINDS:
        break;
    }
    return HF_NBODY_MAX;
}

/* The three revisions one after the other: what is sent, as text. */
static unsigned tell(const struct hf_nconf *c, struct hf_nchannel *ch, struct hf_buf *out)
{
    static const char answer[] = "{\"ok\":true,\"ts\":\"1732.1\",\"channel\":\"C0\",\"id\":\"9\",\"event_id\":\"$e\",\"key\":\"SEC-1\",\"number\":4,\"iid\":4,\"transitions\":[{\"id\":\"31\",\"name\":\"Close\",\"to\":{\"name\":\"done\"}}]}";
    struct hf_nmark m = {0};
    unsigned requests = 0;
    for (unsigned k = 0; k < HF_NSECRETS; k++)
        if (ch->secret[k].file.n)
            ch->secret[k].value = k == HF_NSECRET_URL ? HF_S("https://chat.example/hooks/SECRET?x=1") : HF_S("KEY");
    for (unsigned revision = 1; revision <= 3; revision++) {
        hf_autobuf doc = HF_BUF_INIT(65536);
        hf_autoarena arena;
        struct hf_err err = HF_ERR_INIT;
        struct hf_nview v;
        struct hf_nrender r;
        int rc;
        hf_arena_init(&arena, 16u << 20);
        story(&doc, revision);
        if (!OK(hf_nview_read(&v, &arena, hf_buf_span(&doc), &err) == 0))
            return 0;
        hf_nrender_init(&r, c, ch, &v, &m, "node1");
        while ((rc = hf_nrender_next(&r, 1795694460, &err)) > 0 && requests < 40) {
            struct hf_nanswer a = {200, hf_span(answer, sizeof answer - 1), 0};
            struct hf_nmark before = m;
            hf_autobuf again = HF_BUF_INIT(HF_NBODY_MAX);
            request_text(&r.req, out);
            requests++;
            OK(r.req.body.n <= limit_of(ch));
            /* An answer that got lost: the very same request again. */
            hf_buf_adds(&again, hf_buf_span(&r.req.body));
            OK(hf_nrender_took(&r, &(struct hf_nanswer){503, HF_S("busy"), 0}, &err) == HF_NTOOK_LATER && !memcmp(&before, &m, sizeof m));
            OK(hf_nrender_next(&r, 1795694460, &err) == 1 && hf_span_eq(hf_buf_span(&again), hf_buf_span(&r.req.body)));
            EQ_I(hf_nrender_took(&r, &a, &err), HF_NTOOK);
        }
        EQ_I(rc, 0);
        EQ_U(m.revision, revision);
        OK(hf_nrender_next(&r, 1795694460, &err) == 0); /* the same document again: nothing */
        hf_nrender_done(&r);
        hf_nview_done(&v);
    }
    return requests;
}

/* What was made, and whose answer was lost, is found and gone on with; what is not there is made. */
static void found_again(const struct hf_nconf *c, struct hf_nchannel *ch, const char *looks, const char *mine, const char *others, const char *ref)
{
    const char *const answers[] = {mine, others, "{\"ok\":false,\"error\":\"missing_scope\"}", "nonsense"};
    for (size_t i = 0; i < HF_ARRAY_LEN(answers); i++) {
        hf_autobuf doc = HF_BUF_INIT(65536), text = HF_BUF_INIT(HF_NBODY_MAX);
        hf_autoarena arena;
        struct hf_err err = HF_ERR_INIT;
        struct hf_nview v;
        struct hf_nmark m = {0};
        struct hf_nrender r;
        hf_arena_init(&arena, 16u << 20);
        story(&doc, 2);
        if (!OK(hf_nview_read(&v, &arena, hf_buf_span(&doc), &err) == 0))
            return;
        hf_nrender_init(&r, c, ch, &v, &m, "node1");
        r.again = true;
        EQ_I(hf_nrender_next(&r, 1795694460, &err), 1);
        request_text(&r.req, &text);
        if (!OK(r.step == HF_NSTEP_FIND && hf_span_search(hf_buf_span(&text), hf_span_z(looks)) != SIZE_MAX))
            printf("# %s\n", hf_buf_z(&text));
        EQ_I(hf_nrender_took(&r, &(struct hf_nanswer){429, HF_S(""), 1}, &err), HF_NTOOK_LATER);
        EQ_I(hf_nrender_next(&r, 1795694460, &err), 1);
        OK(r.step == HF_NSTEP_FIND);
        EQ_I(hf_nrender_took(&r, &(struct hf_nanswer){i == 3 ? 403 : 200, hf_span_z(answers[i]), 0}, &err), HF_NTOOK);
        EQ_I(hf_nrender_next(&r, 1795694460, &err), 1);
        if (i == 0) {
            EQ_S(hf_span_z(m.ref), ref);
            OK(r.step != HF_NSTEP_CREATE && r.step != HF_NSTEP_FIND && m.known);
        } else {
            OK(r.step == HF_NSTEP_CREATE && !m.known && !m.ref[0]);
        }
        hf_nrender_done(&r);
        hf_nview_done(&v);
    }
}

static void lost_answers(struct hf_nconf *c)
{
    static const struct {
        const char *channel, *looks, *mine, *others, *ref;
    } v[] = {
            {"slack", "/conversations.history?channel=C1&oldest=1795694400&limit=10&include_all_metadata=true",
                    "{\"ok\":true,\"messages\":[{\"ts\":\"1.1\"},{\"ts\":\"1732.5\",\"metadata\":{\"event_type\":\"holdfast_incident\",\"event_payload\":{\"id\":\"I-20261126-7K3Q9D\"}}}]}",
                    "{\"ok\":true,\"messages\":[{\"ts\":\"1732.5\",\"metadata\":{\"event_type\":\"holdfast_incident\",\"event_payload\":{\"id\":\"I-20261126-AAAAAA\"}}}]}", "1732.5"},
            {"jira", "description ~ \\\"\\\\\\\"I-20261126-7K3Q9D\\\\\\\"\\\"", "{\"issues\":[{\"key\":\"SEC-9\"}]}", "{\"issues\":[]}", "SEC-9"},
            {"github", "GET https://api.github.com/repos/o/r/issues?labels=holdfast&state=all&per_page=10&sort=created&since=2026-11-26T12%3A00%3A00Z",
                    "[{\"number\":3,\"body\":\"I-20261126-7K3Q9D\"},{\"number\":7,\"body\":\"x\\n* **Incident**: I\\\\-20261126\\\\-7K3Q9D\\n\"}]", "[{\"number\":3,\"body\":null}]", "7"},
            {"gitlab", "/issues?labels=holdfast&state=all&per_page=10&order_by=created_at&created_after=2026-11-26T12%3A00%3A00Z",
                    "[{\"iid\":7,\"description\":\"* **Incident**: I\\\\-20261126\\\\-7K3Q9D\\n\"}]", "[]", "7"},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(v); i++)
        found_again(c, &c->channels[hf_nconf_channel(c, hf_span_z(v[i].channel))], v[i].looks, v[i].mine, v[i].others, v[i].ref);
}

int main(void)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_nconf_freep) struct hf_nconf *c = NULL;
    const char *root = getenv("HF_SOURCE_ROOT");
    if (!OK(root) || !OK(hf_nconf_parse(&c, hf_span(conf_text, sizeof conf_text - 1), "n.yaml", &err) == 0)) {
        printf("# %s\n", err.msg);
        return tap_done();
    }
    for (size_t i = 0; i < c->n_channels; i++) {
        hf_autobuf out = HF_BUF_INIT(4u << 20), want = HF_BUF_INIT(4u << 20), path = HF_BUF_INIT(4096);
        OK(tell(c, &c->channels[i], &out) >= 2);
        hf_buf_addf(&path, "%s/tests/golden/notify/%.*s.txt", root, HF_SPAN_ARG(c->channels[i].name));
        if (getenv("HF_UPDATE_GOLDEN"))
            OK(hf_write_file(hf_buf_z(&path), 0644, hf_buf_span(&out), &err) == 0);
        OK(hf_read_file(hf_buf_z(&path), &want, &err) == 0);
        if (!OK(hf_span_eq(hf_buf_span(&out), hf_buf_span(&want))))
            printf("# %.*s differs from what is in %s\n", HF_SPAN_ARG(c->channels[i].name), hf_buf_z(&path));
    }
    lost_answers(c);
    return tap_done();
}
