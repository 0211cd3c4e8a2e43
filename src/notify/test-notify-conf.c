// SPDX-License-Identifier: Apache-2.0
/* Configuration, routes, times of the week, small encodings. */
#include <time.h>

#include "base/hash.h"
#include "notify/address.h"
#include "notify/deliver.h"
#include "notify/digest.h"
#include "notify/route.h"
#include "notify/send.h"
#include "notify/text.h"
#include "tap.h"

static const char conf_text[] =
        "- settings: {console: https://hf.example/}\n"
        "- channel: team\n  type: slack\n  token_file: /t\n  to: C1\n"
        "- channel: pager\n  type: pagerduty\n  token_credential: pd\n"
        "- channel: log\n  type: file\n  path: /var/log/x\n"
        "- route: shop\n  match: {severity: medium, image: 'shop/*', namespace: [shop, 'prod-*'], labels: {team: w*}, rule: [reverse-*, x]}\n  to: [team]\n  group: 30s\n  quiet: daily 22:00-07:00\n  quiet_below: high\n"
        "  escalate: {after: 15m, to: pager}\n  stop: true\n"
        "- route: office\n  match: {hours: [Mon-Fri 08:00-18:00]}\n  to: [team, log]\n"
        "- route: rest\n  match: {severity: debug}\n  to: log\n  group: 0s\n";

static struct hf_nview view(struct hf_arena *a, const char *severity, const char *image, const char *team)
{
    hf_autobuf b = HF_BUF_INIT(8192);
    struct hf_err err = HF_ERR_INIT;
    struct hf_nview v;
    hf_buf_addf(&b, "{\"schema\":\"holdfast.incident/1\",\"id\":\"I-1\",\"opened\":\"2026-11-26T12:00:00Z\",\"severity\":\"%s\",\"rules\":[{\"rule\":\"reverse-shell\"}],"
                    "\"containers\":[{\"image\":\"other\"},{\"image\":\"%s\",\"pod\":{\"namespace\":\"prod-1\",\"labels\":{\"team\":\"%s\"}}}]}", severity, image, team);
    OK(hf_nview_read(&v, a, hf_buf_span(&b), &err) == 0);
    return v;
}

static void test_routes(void)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_nconf_freep) struct hf_nconf *c = NULL;
    hf_autoarena arena;
    struct hf_ndue due[HF_NDUE_MAX];
    const int64_t thursday_noon = 1795694400 /* 2026-11-26 12:00 UTC */, night = thursday_noon + 11 * 3600;
    hf_arena_init(&arena, 8u << 20);
    if (!OK(hf_nconf_parse(&c, hf_span_z(conf_text), "n.yaml", &err) == 0)) {
        printf("# %s\n", err.msg);
        return;
    }
    EQ_U(c->n_channels, 3);
    EQ_U(c->n_routes, 3);
    EQ_S(c->console, "https://hf.example");
    EQ_S(c->channels[0].url, "https://slack.com/api");
    EQ_S(c->channels[1].url, "https://events.pagerduty.com");
    struct hf_nview v = view(&arena, "medium", "shop/web:1", "web");
    EQ_U(hf_nroute_due(c, &v, thursday_noon, true, due), 2); /* stop: neither office nor rest */
    EQ_U(due[0].channel, 0);
    OK(due[0].not_before_s == thursday_noon && !due[0].escalate);
    EQ_U(due[1].channel, 1);
    OK(due[1].not_before_s == thursday_noon + 900 && due[1].escalate);
    EQ_U(hf_nroute_due(c, &v, thursday_noon, false, due), 2);
    OK(due[0].not_before_s == thursday_noon + 30);
    EQ_U(hf_nroute_due(c, &v, night, true, due), 2);
    OK(due[0].not_before_s == thursday_noon + 19 * 3600); /* quiet until 07:00 */
    hf_nview_done(&v);
    v = view(&arena, "high", "shop/web:1", "web");
    EQ_U(hf_nroute_due(c, &v, night, true, due), 2);
    OK(due[0].not_before_s == night); /* high is not quiet */
    hf_nview_done(&v);
    v = view(&arena, "high", "shop/web:1", "dev"); /* the label differs */
    EQ_U(hf_nroute_due(c, &v, thursday_noon, true, due), 2);
    EQ_U(due[0].channel, 0);
    EQ_U(due[1].channel, 2);
    EQ_U(hf_nroute_due(c, &v, night, true, due), 1); /* office is closed */
    EQ_U(due[0].channel, 2);
    hf_nview_done(&v);
    v = view(&arena, "info", "bank/web:1", "web");
    EQ_U(hf_nroute_due(c, &v, thursday_noon, true, due), 1); /* below low */
    hf_nview_done(&v);
}

static void test_windows(void)
{
    struct hf_nwindow one[] = {{6 * 1440 + 22 * 60, 6 * 1440 + 31 * 60}}; /* Sun 22:00-07:00 */
    struct hf_nwindows w = {one, 1, 1};
    const int64_t monday = 1795392000; /* 2026-11-23 00:00 UTC */
    OK(hf_nwindows_until(&w, monday + 6 * 3600, false) == monday + 7 * 3600);
    OK(hf_nwindows_until(&w, monday + 7 * 3600, false) == 0);
    OK(hf_nwindows_until(&w, monday + 6 * 86400 + 23 * 3600, false) == monday + 7 * 86400 + 7 * 3600);
    OK(hf_nwindows_until(&w, monday + 6 * 86400 + 21 * 3600, false) == 0);
}

static void test_addresses(void)
{
    static const struct {
        enum hf_nkind kind;
        const char *url;
        bool plain, good;
    } cases[] = {
            {HF_N_OTLP, "https://a.example:4318/x", false, true}, {HF_N_OTLP, "http://127.0.0.1:1", false, true}, {HF_N_OTLP, "http://[::1]:1/", false, true}, {HF_N_OTLP, "http://127.0.0.1.evil.example/", false, false},
            {HF_N_OTLP, "http://a.example", true, true}, {HF_N_OTLP, "ftp://a.example", true, false}, {HF_N_OTLP, "https://u:p@a.example", false, false}, {HF_N_OTLP, "https://", false, false},
            {HF_N_OTLP, "https://a.example:99999", false, false}, {HF_N_OTLP, "https://a b", false, false}, {HF_N_OTLP, "https://a/\r\nX: y", false, false}, {HF_N_SYSLOG, "syslog+tls://s", false, true},
            {HF_N_SYSLOG, "syslog+tcp://s", false, false}, {HF_N_SYSLOG, "syslog+tls://s/x", false, false}, {HF_N_MAIL, "smtp://m.example:587", false, true}, {HF_N_MAIL, "https://m.example", false, false},
    };
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
        struct hf_err err = HF_ERR_INIT;
        if (!OK((hf_naddress_check(cases[i].kind, hf_span_z(cases[i].url), cases[i].plain, &err) == 0) == cases[i].good))
            printf("# %s\n", cases[i].url);
    }
    OK(hf_naddress_ok(HF_S("a.b+c@d-e.example")));
    OK(!hf_naddress_ok(HF_S("a@b@c")) && !hf_naddress_ok(HF_S("a@")) && !hf_naddress_ok(HF_S("@b")) && !hf_naddress_ok(HF_S("a..b@c")) && !hf_naddress_ok(HF_S("a@b>\r\nBcc")) && !hf_naddress_ok(HF_S("a b@c")));
}

/* Labels of the container itself, as the inventory has them, or of its pod. */
static void test_labels(void)
{
    static const char text[] = "- {channel: log, type: file, path: /x}\n- {route: shop, match: {labels: {team: 'web*', com.docker.compose.service: front}}, to: log}\n";
    static const char head[] = "{\"schema\":\"holdfast.incident/1\",\"id\":\"I-1\",\"opened\":\"2026-11-26T12:00:00Z\",\"severity\":\"high\",\"containers\":[";
    static const struct {
        const char *containers;
        size_t due;
    } cases[] = {
            {"{\"labels\":{\"team\":\"web-1\",\"com.docker.compose.service\":\"front\"}}", 1},
            {"{\"labels\":{\"team\":\"web-1\"},\"pod\":{\"labels\":{\"com.docker.compose.service\":\"front\"}}}", 1},
            {"{\"labels\":{\"team\":\"web-1\"}},{\"labels\":{\"com.docker.compose.service\":\"front\"}}", 0}, /* not of one container */
            {"{\"labels\":{\"team\":\"dev\",\"com.docker.compose.service\":\"front\"}}", 0},
            {"{\"labels\":[\"team\"]},{\"labels\":\"team\"},{\"labels\":{\"team\":{\"web\":1}}},7", 0},
    };
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_nconf_freep) struct hf_nconf *c = NULL;
    hf_autoarena arena;
    struct hf_ndue due[HF_NDUE_MAX];
    hf_arena_init(&arena, 8u << 20);
    if (!OK(hf_nconf_parse(&c, hf_span_z(text), "n.yaml", &err) == 0))
        return;
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
        hf_autobuf b = HF_BUF_INIT(8192);
        struct hf_nview v;
        hf_buf_addf(&b, "%s%s]}", head, cases[i].containers);
        if (OK(hf_nview_read(&v, &arena, hf_buf_span(&b), &err) == 0))
            EQ_U(hf_nroute_due(c, &v, 1795694400, true, due), cases[i].due);
        hf_nview_done(&v);
    }
}

static void test_digest_times(void)
{
    const int64_t noon = 1795694400; /* 2026-11-26 12:00 UTC */
    struct hf_nchannel hourly = {.digest_s = 3600, .digest_at = UINT32_MAX}, six = {.digest_s = 21600, .digest_at = UINT32_MAX}, daily = {.digest_s = 86400, .digest_at = 480}, none = {0};
    OK(hf_ndigest_next(&hourly, noon, false) == noon + 3600 && hf_ndigest_next(&hourly, noon + 59 * 60 + 59, false) == noon + 3600);
    OK(hf_ndigest_next(&six, noon + 1, false) == noon + 21600 && hf_ndigest_next(&six, noon + 20 * 3600, false) == noon + 24 * 3600);
    OK(hf_ndigest_next(&daily, noon, false) == noon + 20 * 3600 && hf_ndigest_next(&daily, noon - 4 * 3600 - 1, false) == noon - 4 * 3600 && hf_ndigest_next(&daily, noon - 4 * 3600, false) == noon + 20 * 3600);
    OK(hf_ndigest_next(&none, noon, false) == noon);
    setenv("TZ", "Europe/Berlin", 1); /* clocks change on 2027-03-28: that day 08:00 is 23 hours after 08:00 */
    tzset();
    OK(hf_ndigest_next(&daily, 1806130800 /* 2027-03-27 08:00 CET and a minute less */ - 60, true) % 60 == 0);
    int64_t saturday = hf_ndigest_next(&daily, 1806130800 - 60, true), sunday = hf_ndigest_next(&daily, saturday, true);
    EQ_I(sunday - saturday, 23 * 3600);
    unsetenv("TZ");
    tzset();
}

static void test_people(void)
{
    static const char text[] = "- channel: s\n  type: slack\n  token_file: /t\n  app_token_file: /a\n  to: C1\n  people: {U1: alice, U2: bob}\n  responders: [U3, bob]\n"
                               "- channel: t\n  type: slack\n  token_file: /t\n  key_credential: k\n  to: C1\n  responders: {U4: rita}\n"
                               "- channel: j\n  type: jira\n  url: https://j.example\n  user: a@b.example\n  project: SEC\n  token_file: /t\n"
                               "- channel: k\n  type: jira\n  url: https://j.example\n  user: a@b.example\n  project: SEC\n  token_file: /t\n  read_back: never\n";
    static const struct {
        const char *text, *why;
    } wrong[] = {
            {"- channel: s\n  type: slack\n  token_file: /t\n  to: C1\n  responders: [U1]\n", "neither is given"},
            {"- channel: s\n  type: slack\n  token_file: /t\n  app_token_file: /a\n  to: C1\n  people: [U1]\n", "must be a mapping"},
            {"- channel: s\n  type: slack\n  token_file: /t\n  app_token_file: a\n  to: C1\n", "absolute path"},
            {"- channel: s\n  type: slack\n  token_file: /t\n  app_token_file: /a\n  app_token_credential: a\n  to: C1\n", "both given"},
            {"- channel: s\n  type: teams\n  url_file: /t\n  app_token_file: /a\n", "a teams channel has no \"app_token_file\""},
            {"- channel: j\n  type: jira\n  url: https://j.example\n  user: a@b.example\n  project: SEC\n  token_file: /t\n  read_back: 1s\n", "at least 10s"},
            {"- channel: m\n  type: mail\n  url: smtps://m\n  from: a@b\n  to: a@b\n  digest: 7h\n", "a part of a day"},
            {"- channel: m\n  type: mail\n  url: smtps://m\n  from: a@b\n  to: a@b\n  digest: 1m\n", "a part of a day"},
            {"- channel: m\n  type: mail\n  url: smtps://m\n  from: a@b\n  to: a@b\n  digest: 1h at 08:00\n", "a part of a day"},
            {"- channel: m\n  type: mail\n  url: smtps://m\n  from: a@b\n  to: a@b\n  digest: 1d at 24:00\n", "a part of a day"},
    };
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_nconf_freep) struct hf_nconf *c = NULL;
    if (!OK(hf_nconf_parse(&c, hf_span_z(text), "n.yaml", &err) == 0)) {
        printf("# %s\n", err.msg);
        return;
    }
    const struct hf_nchannel *s = &c->channels[0], *t = &c->channels[1];
    EQ_S(hf_nchannel_account(s, HF_S("U1")), "alice");
    EQ_U(hf_nchannel_account(s, HF_S("alice")).n, 0);
    OK(!hf_nchannel_responder(s, HF_S("U1")) && hf_nchannel_responder(s, HF_S("U2")) && hf_nchannel_responder(s, HF_S("U3")) && !hf_nchannel_responder(s, HF_S("")));
    EQ_S(hf_nchannel_account(t, HF_S("U4")), "rita");
    OK(hf_nchannel_responder(t, HF_S("U4")) && !hf_nchannel_responder(t, HF_S("U3")));
    EQ_S(s->secret[HF_NSECRET_APP].file, "/a");
    OK(t->secret[HF_NSECRET_KEY].credential);
    EQ_U(c->channels[2].read_back_s, 60);
    EQ_U(c->channels[3].read_back_s, 0);
    for (size_t i = 0; i < HF_ARRAY_LEN(wrong); i++) {
        hf_cleanup(hf_nconf_freep) struct hf_nconf *w = NULL;
        if (!OK(hf_nconf_parse(&w, hf_span_z(wrong[i].text), "n.yaml", &err) == HF_E_USAGE && strstr(err.msg, wrong[i].why)))
            printf("# %s: %s\n", wrong[i].text, err.msg);
    }
}

static void test_encodings(void)
{
    hf_autobuf b = HF_BUF_INIT(1024);
    uint8_t mac[32];
    char hex[65];
    hf_ntext_base64(&b, HF_S("any carnal pleas"));
    EQ_S(hf_buf_span(&b), "YW55IGNhcm5hbCBwbGVhcw==");
    hf_buf_clear(&b);
    OK(hf_ntext_unbase64(&b, HF_S("YW55IGNhcm5hbCBwbGVhcw==")));
    EQ_S(hf_buf_span(&b), "any carnal pleas");
    OK(!hf_ntext_unbase64(&b, HF_S("a b")));
    /* RFC 4231, test cases 2 and 6 */
    hf_hmac_sha256(HF_S("Jefe"), HF_S("what do ya want for nothing?"), mac);
    hf_hex(mac, 32, hex);
    EQ_S(hf_span_z(hex), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    char key[131];
    memset(key, 0xaa, sizeof key);
    hf_hmac_sha256(hf_span(key, sizeof key), HF_S("Test Using Larger Than Block-Size Key - Hash Key First"), mac);
    hf_hex(mac, 32, hex);
    EQ_S(hf_span_z(hex), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    hf_buf_clear(&b);
    hf_ntext_cut(&b, HF_S("\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"), 6);
    EQ_S(hf_buf_span(&b), "\xc3\xa4...");
    hf_buf_clear(&b);
    hf_ntext_markdown(&b, HF_S("a@b\n#1 <x>"));
    EQ_S(hf_buf_span(&b), "a\\@\xe2\x81\xa0"
                          "b \\#\xe2\x81\xa0"
                          "1 \\<x\\>");
    EQ_U(hf_nsend_retry_after(HF_S(" 120 "), 0), 120);
    EQ_U(hf_nsend_retry_after(HF_S("0.65"), 0), 1);
    EQ_U(hf_nsend_retry_after(HF_S("Thu, 26 Nov 2026 12:00:10 GMT"), 1795694400), 10);
    EQ_U(hf_nsend_retry_after(HF_S("999999999"), 0), 86400);
    EQ_U(hf_nsend_retry_after(HF_S("soon"), 0), 0);
    for (unsigned t = 0; t < 40; t++)
        OK(hf_nbackoff_ms(t, 0) >= 750 && hf_nbackoff_ms(t, 65535) <= 375000 && hf_nbackoff_ms(t, 0) < hf_nbackoff_ms(t, 65535));
    int64_t s;
    uint32_t ns;
    OK(hf_ntime_parse(HF_S("2026-11-26T13:00:00.25+01:00"), &s, &ns) == 0 && s == 1795694400 && ns == 250000000);
    OK(hf_ntime_parse(HF_S("2026-11-26 13:00"), &s, &ns) < 0 && hf_ntime_parse(HF_S(""), &s, &ns) < 0);
}

static void test_talk(void)
{
    struct hf_ntalk v[3] = {{.time = HF_S("2026-11-26T12:00:00Z"), .mark = "2026-11-26T12:00:00Z a"}, {.time = HF_S("2026-11-26T12:00:00Z"), .mark = "2026-11-26T12:00:00Z b"},
            {.time = HF_S("2026-11-26T12:00:05Z"), .mark = "2026-11-26T12:00:05Z c"}};
    OK(hf_ntalk_after(v, 3, "") == v);
    OK(hf_ntalk_after(v, 3, v[0].mark) == v + 1);
    OK(hf_ntalk_after(v, 3, v[2].mark) == NULL);
    OK(hf_ntalk_after(v, 3, "2026-11-26T12:00:00Z gone") == v + 2); /* dropped by the document's limit */
    OK(hf_ntalk_after(v, 0, "") == NULL);
}

static void test_queue(void)
{
    hf_cleanup(hf_nmemq_freep) struct hf_nmemq *m = hf_nmemq_new(4);
    struct hf_nqueue q = hf_nmemq_queue(m);
    struct hf_nitem it = {0}, it2 = {0};
    struct hf_err err = HF_ERR_INIT;
    int64_t next;
    OK(q.push(q.ctx, "c", "A", HF_S("a1"), 0, &err) == 0 && q.push(q.ctx, "c", "B", HF_S("b1"), 0, &err) == 0 && q.push(q.ctx, "c", "A", HF_S("a2"), 0, &err) == 0);
    EQ_I(q.claim(q.ctx, "c", 100, &it, &next, &err), 1);
    EQ_S(hf_span_z(it.body), "a2"); /* folded, first place */
    EQ_I(q.claim(q.ctx, "c", 100, &it2, &next, &err), 0); /* one at a time */
    OK(q.push(q.ctx, "c", "A", HF_S("a3"), 0, &err) == 0); /* while under way */
    OK(q.done(q.ctx, "c", it.id, &err) == 0);
    free(it.body);
    EQ_I(q.claim(q.ctx, "c", 100, &it, &next, &err), 1);
    EQ_S(hf_span_z(it.body), "a3");
    OK(q.retry_at(q.ctx, "c", it.id, 5000, "why", &err) == 0);
    free(it.body);
    EQ_I(q.claim(q.ctx, "c", 100, &it, &next, &err), 0); /* order: B waits behind */
    EQ_I(next, 5000);
    EQ_I(q.claim(q.ctx, "c", 5000, &it, &next, &err), 1);
    EQ_U(it.tries, 1);
    OK(q.dead(q.ctx, "c", it.id, "bad", &err) == 0);
    free(it.body);
    EQ_I(q.claim(q.ctx, "c", 5000, &it, &next, &err), 1);
    EQ_S(hf_span_z(it.key), "B");
    OK(q.done(q.ctx, "c", it.id, &err) == 0);
    free(it.body);
    OK(q.push(q.ctx, "c", "C", HF_S("c"), 9000, &err) == 0 && q.push(q.ctx, "c", "D", HF_S("d"), 0, &err) == 0);
    EQ_I(q.claim(q.ctx, "c", 6000, &it, &next, &err), 1); /* C is not due and does not hold D */
    EQ_S(hf_span_z(it.key), "D");
    OK(q.done(q.ctx, "c", it.id, &err) == 0);
    free(it.body);
    size_t waiting, dead;
    hf_nmemq_count(m, &waiting, &dead);
    OK(waiting == 1 && dead == 1);
}

int main(void)
{
    test_routes();
    test_windows();
    test_addresses();
    test_labels();
    test_digest_times();
    test_people();
    test_encodings();
    test_talk();
    test_queue();
    return tap_done();
}
