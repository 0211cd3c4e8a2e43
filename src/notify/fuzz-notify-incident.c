// SPDX-License-Identifier: Apache-2.0
/* An incident document of any bytes, in every renderer: it is refused or every message keeps its format; a channel's answers are the
 * rest of the bytes (behind the first NUL). */
#include "notify/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char conf_text[] =
        "- settings: {console: 'https://c.example'}\n"
        "- {channel: a0, type: slack, token_file: /t, to: C1}\n- {channel: a1, type: slack-webhook, url_file: /u}\n- {channel: a2, type: teams, url_file: /u}\n"
        "- {channel: a3, type: mattermost, url_file: /u}\n- {channel: a4, type: discord, url_file: /u}\n- {channel: a5, type: matrix, url: 'https://m.example', token_file: /t, to: '!r:m'}\n"
        "- {channel: a6, type: pagerduty, token_file: /t}\n- {channel: a7, type: jsm-ops, token_file: /t}\n"
        "- {channel: a8, type: jira, url: 'https://j.example', user: a@b.example, token_file: /t, project: P, transitions: {resolved: Done}}\n"
        "- {channel: a9, type: jira, api: data-center, url: 'https://j.example', token_file: /t, project: P}\n"
        "- {channel: b0, type: github, token_file: /t, project: o/r}\n- {channel: b1, type: gitlab, token_file: /t, project: g/s/p}\n"
        "- {channel: b2, type: mail, url: 'smtps://m.example', from: a@b.example, to: c@d.example}\n"
        "- {channel: b3, type: syslog, url: 'syslog+tls://s.example', format: text}\n- {channel: b4, type: syslog, url: 'syslog+tls://s.example', format: cef}\n"
        "- {channel: b5, type: syslog, url: 'syslog+tls://s.example', format: leef}\n- {channel: b6, type: syslog, url: 'syslog+tls://s.example', format: ocsf}\n"
        "- {channel: b7, type: webhook, url: 'https://w.example', key_file: /k}\n- {channel: b8, type: otlp, url: 'https://o.example'}\n- {channel: b9, type: file, path: /f}\n";

static void look(const struct hf_nrender *r)
{
    struct hf_span body = hf_buf_span(&r->req.body);
    struct hf_err err = HF_ERR_INIT;
    if (r->req.via == HF_NVIA_HTTP && body.n) {
        hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
        if (hf_json_parse(body, &doc, &err) < 0 || !hf_span_is_utf8(body))
            abort();
    }
    if (r->ch->kind == HF_N_TEAMS && body.n > 28 * 1024)
        abort();
    if (r->req.via == HF_NVIA_FILE || r->req.via == HF_NVIA_SYSLOG) {
        size_t end = r->req.via == HF_NVIA_FILE ? body.n - 1 : body.n; /* one line */
        if (hf_span_find(hf_span_sub(body, 0, end), '\n') != SIZE_MAX || hf_span_find(body, 0) != SIZE_MAX)
            abort();
    }
    for (size_t i = 0; r->req.via == HF_NVIA_SMTP && i < body.n; i++) /* lines end in CR LF and are ASCII */
        if ((body.p[i] == '\n' && (i == 0 || body.p[i - 1] != '\r')) || (unsigned char)body.p[i] >= 0x7f || body.p[i] == 0)
            abort();
    for (size_t i = 0; i < r->req.n_headers; i++)
        for (struct hf_span h = hf_buf_span(&r->req.headers[i]); h.n; h = hf_span_from(h, 1))
            if ((unsigned char)h.p[0] < 0x20)
                abort();
    for (struct hf_span u = hf_buf_span(&r->req.url); u.n; u = hf_span_from(u, 1))
        if ((unsigned char)u.p[0] <= 0x20 || (unsigned char)u.p[0] >= 0x7f)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hf_nconf *conf;
    struct hf_err err = HF_ERR_INIT;
    struct hf_span all = hf_span((const char *)data, size), doc;
    hf_autoarena arena;
    struct hf_nview v;
    if (!conf && hf_nconf_parse(&conf, hf_span(conf_text, sizeof conf_text - 1), "f.yaml", &err) < 0)
        abort();
    hf_arena_init(&arena, 16u << 20);
    if (!hf_span_cut(&all, 0, &doc))
        return 0;
    if (hf_nview_read(&v, &arena, doc, &err) < 0)
        return 0;
    for (size_t i = 0; i < conf->n_channels; i++) {
        struct hf_nmark m = {0}, again;
        struct hf_nrender r;
        hf_autobuf text = HF_BUF_INIT(65536);
        unsigned requests = 0;
        int rc;
        if (!conf->channels[i].url.n)
            conf->channels[i].url = HF_S("https://secret.example/x"); /* of a file */
        hf_nrender_init(&r, conf, &conf->channels[i], &v, &m, "host");
        while ((rc = hf_nrender_next(&r, 1795716000, &err)) > 0) {
            struct hf_nanswer a = {200, all.n && requests == 0 ? all : HF_S("{\"ok\":true,\"ts\":\"1.2\",\"id\":\"9\",\"event_id\":\"$e\",\"key\":\"P-1\",\"number\":4,\"iid\":4,\"transitions\":[{\"id\":\"5\",\"name\":\"Done\"}]}"), 0};
            look(&r);
            if (++requests > 2 * HF_NTALK_MAX + 16)
                abort(); /* it must come to an end */
            if (hf_nrender_took(&r, &a, &err) != HF_NTOOK && requests > 1)
                break;
        }
        hf_nmark_write(&m, &text);
        if (hf_nmark_read(&again, hf_buf_span(&text), &err) < 0)
            abort();
        hf_nrender_done(&r);
    }
    hf_nview_done(&v);
    return 0;
}
