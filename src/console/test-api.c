// SPDX-License-Identifier: Apache-2.0
/* Handlers without HTTP: what they refuse, cursors of any kind, roles within a handler, conflicts; every reply is JSON.  tests/e2e/test_api.py has the contents. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../tests/tap.h"
#include "console/api-common.h"
#include "console/live.h"
#include "desk/desk.h"
#include "detect/rules.h"
#include "incident/correlate.h"
#include "store/incidents.h"
#include "store/inventory.h"

static struct hf_err err;
static struct hf_api api;
static struct hf_store *store;
static char id[40];

struct answer {
    int rc;
    struct hf_reply reply;
    struct hf_json_doc *doc;
};

static void answer_done(struct answer *a)
{
    hf_buf_done(&a->reply.body);
    hf_json_doc_free(a->doc);
}

/* handler(query "a=b&c=d", body as JSON or NULL, argument). */
static struct answer ask(int (*run)(struct hf_api *, const struct hf_request *, struct hf_reply *, struct hf_err *), const char *query, const char *body, const char *arg, enum hf_role role)
{
    struct answer a = {.reply = {.status = 200, .body = HF_BUF_INIT(HF_API_REPLY_MAX)}};
    hf_autoarena arena;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_request q = {.who = {HF_S("ann"), HF_S("console"), role, 15}, .now_ns = hf_store_now(), .arena = &arena, .store = store};
    struct hf_span rest = hf_span_z(query), one;
    hf_arena_init(&arena, 64 << 20);
    while (hf_span_cut(&rest, '&', &one) && q.n_query < HF_API_QUERY) {
        size_t at = hf_span_find(one, '=');
        q.query[q.n_query++] = (struct hf_param){hf_span_sub(one, 0, at), at == SIZE_MAX ? hf_span("", 0) : hf_span_from(one, at + 1)};
    }
    q.args[0] = hf_span_z(arg);
    if (body && hf_json_parse(hf_span_z(body), &doc, &err) == 0)
        q.body = hf_json_root(doc);
    err.msg[0] = 0;
    a.rc = run(&api, &q, &a.reply, &err);
    if (a.rc == 0 && a.reply.body.n && (!a.reply.type || strstr(a.reply.type, "json")) && !OK(hf_json_parse(hf_buf_span(&a.reply.body), &a.doc, &err) == 0))
        printf("# %.300s\n", hf_buf_z(&a.reply.body));
    return a;
}
#define ASK(...) hf_cleanup(answer_done) struct answer a = ask(__VA_ARGS__)
#define REFUSED(expected, ...)                                                                 \
    do {                                                                                       \
        hf_cleanup(answer_done) struct answer r_ = ask(__VA_ARGS__, HF_ROLE_ADMIN);            \
        EQ_I(r_.rc, expected);                                                                 \
        OK(r_.rc == 0 || err.msg[0]);                                                          \
    } while (0)

static int keep(void *ctx, const struct hf_inc *i, uint64_t base, struct hf_err *e)
{
    hf_autobuf doc = HF_BUF_INIT(HF_INC_MAX);
    hf_inc_write(i, false, &doc);
    snprintf(id, sizeof id, "%.*s", HF_SPAN_ARG(hf_inc_get(i, "id")));
    return hf_store_incident_put(ctx, hf_buf_span(&doc), base, e);
}

static void fill(void)
{
    for (unsigned n = 0; n < 5; n++) {
        hf_cleanup(hf_corr_freep) struct hf_corr *c = hf_corr_new(HF_S("host"));
        char line[2048];
        snprintf(line, sizeof line,
                "{\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:0%u:14.000000000Z\",\"type\":\"alert\",\"id\":\"01M8CQEFC5001C172PPZ00000%u\",\"rule\":\"R\",\"severity\":\"high\",\"summary\":\"s\",\"count\":1,"
                "\"event_type\":\"exec\",\"container\":{\"id\":\"c%u\",\"name\":\"web\"},\"process\":{\"pid\":5,\"exe\":\"/x\",\"name\":\"x\",\"args\":[],\"ancestors\":[]}}", n, n, n);
        OK(c && hf_corr_line(c, hf_span_z(line), &err) >= 0 && hf_corr_flush(c, keep, store, &err) == 0);
    }
    for (int i = 0; i < 7; i++) {
        char name[20];
        snprintf(name, sizeof name, "box%d", i);
        struct hf_inv_container c = {.id = hf_span_z(name), .host = HF_S("h"), .name = hf_span_z(name), .started = 100 + i, .ended = i < 3 ? 0 : 200 + i, .seen = 1, .doc = HF_S("{}")};
        OK(hf_store_container_put(store, &c, &err) == 0);
    }
}

/* What the table says is what the handlers take: every GET without an argument answers with JSON, and refuses what it does not know. */
static void every_get(void)
{
    for (const struct hf_route *r = hf_api_routes; r->method; r++) {
        if (strcmp(r->method, "GET") || strchr(r->path, '{') || strstr(r->path, "/session") || strstr(r->path, "/auth/") || strstr(r->path, "/stream") || strstr(r->path, "/users") || strstr(r->path, "/tokens"))
            continue;
        ASK(r->run, "", NULL, "x", HF_ROLE_VIEWER);
        if (!OK(a.rc == 0 && a.reply.status == 200 && a.reply.body.n))
            printf("# %s: %s\n", r->path, err.msg);
        REFUSED(HF_E_USAGE, r->run, "no-such-parameter=1", NULL, "x");
    }
}

static void parameters(void)
{
    static const char *const bad[] = {"limit=0", "limit=1001", "limit=", "limit=1&limit=2", "state=", "state=open,", "state=gone", "state=all,all,all,all,all,all", "min_severity=worst", "q=", "assignee=", "since=now",
            "since=2026-11-26", "until=9999-01-01T00:00:00Z", "cursor=", "cursor=xyz", "cursor=0011", "cursor=00112233445566778", "cursor=00112233445566ZZ88", "running=true"};
    for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
        ASK(hf_api_incidents, bad[i], NULL, "", HF_ROLE_VIEWER);
        if (!OK(a.rc == HF_E_USAGE && err.msg[0]))
            printf("# %s\n", bad[i]);
    }
    /* cursors that nobody gave are places all the same: no crash, no error, JSON */
    static const char *const cursors[] = {"000000000000000000", "ffffffffffffffffff", "000000000000000100ff00fe", "7fffffffffffffff0141004200430044004500460047", "0000000000000001010000000000"};
    int (*const lists[])(struct hf_api *, const struct hf_request *, struct hf_reply *, struct hf_err *) = {hf_api_incidents, hf_api_containers, hf_api_images, hf_api_rules, hf_api_audit};
    for (size_t l = 0; l < HF_ARRAY_LEN(lists); l++)
        for (size_t i = 0; i < HF_ARRAY_LEN(cursors); i++) {
            char query[200];
            snprintf(query, sizeof query, "cursor=%s", cursors[i]);
            REFUSED(0, lists[l], query, NULL, "");
        }
}

static unsigned walk(int (*run)(struct hf_api *, const struct hf_request *, struct hf_reply *, struct hf_err *), const char *query, struct hf_buf *ids)
{
    char next[2300] = "";
    unsigned pages = 0;
    do {
        char whole[2600];
        snprintf(whole, sizeof whole, "%s%s%s", query, *next ? "&cursor=" : "", next);
        ASK(run, whole, NULL, "", HF_ROLE_VIEWER);
        if (a.rc < 0)
            return 0;
        HF_JFOREACH(i, hf_jget(hf_json_root(a.doc), "items"))
            hf_buf_addf(ids, "%.*s ", HF_SPAN_ARG(hf_jgetstr(i, "id")));
        struct hf_span n = hf_jgetstr(hf_json_root(a.doc), "next");
        OK(hf_span_eqz(n, a.reply.next));
        snprintf(next, sizeof next, "%.*s", HF_SPAN_ARG(n));
    } while (++pages < 50 && *next);
    return pages;
}

static void pages(void)
{
    hf_autobuf one = HF_BUF_INIT(65536), whole = HF_BUF_INIT(65536);
    EQ_U(walk(hf_api_containers, "limit=2", &one), 4);
    EQ_S(hf_buf_span(&one), "box2 box1 box0 box6 box5 box4 box3 ");
    hf_buf_clear(&one);
    EQ_U(walk(hf_api_containers, "limit=1&running=false", &one), 4);
    EQ_S(hf_buf_span(&one), "box6 box5 box4 box3 ");
    hf_buf_clear(&one);
    EQ_U(walk(hf_api_incidents, "limit=1", &one), 5);
    EQ_U(walk(hf_api_incidents, "", &whole), 1);
    OK(one.n && hf_span_eq(hf_buf_span(&one), hf_buf_span(&whole)));
    /* what live knows comes before what the store remembers, each once */
    OK(hf_live_line(api.live, HF_S("{\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:06:14.000000000Z\",\"type\":\"container\",\"container\":{\"id\":\"box1\",\"name\":\"box1\"},\"facts\":{\"known_after_us\":\"1\"}}"), &err) == 0);
    OK(hf_live_line(api.live, HF_S("{\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:06:15.000000000Z\",\"type\":\"container_end\",\"container\":{\"id\":\"box2\",\"name\":\"box2\"}}"), &err) == 0);
    hf_buf_clear(&one);
    EQ_U(walk(hf_api_containers, "limit=1", &one), 7);
    EQ_S(hf_buf_span(&one), "box1 box0 box2 box6 box5 box4 box3 ");
}

static void changes(void)
{
    REFUSED(HF_E_NOT_FOUND, hf_api_incident, "", NULL, "I-20000101-AAAAAA");
    REFUSED(HF_E_NOT_FOUND, hf_api_incident, "", NULL, "../../etc/passwd");
    REFUSED(HF_E_USAGE, hf_api_incident_change, "", NULL, id);
    REFUSED(HF_E_USAGE, hf_api_incident_change, "", "{\"verb\":\"ack\",\"verb\":\"reopen\"}", id);
    REFUSED(HF_E_USAGE, hf_api_incident_change, "", "{\"verb\":\"ack\",\"revision\":0}", id);
    REFUSED(HF_E_NOT_FOUND, hf_api_incident_change, "", "{\"verb\":\"ack\"}", "I-20000101-AAAAAA");
    REFUSED(-ESTALE, hf_api_incident_change, "", "{\"verb\":\"ack\",\"revision\":77}", id);
    {
        ASK(hf_api_incident_change, "", "{\"verb\":\"resolve\",\"text\":\"test\"}", id, HF_ROLE_RESPONDER);
        OK(a.rc == 0 && hf_span_eqz(hf_jgetstr(hf_json_root(a.doc), "state"), "resolved") && a.reply.etag[0] == '"');
    }
    {
        ASK(hf_api_incident_change, "", "{\"verb\":\"ack\"}", id, HF_ROLE_RESPONDER); /* what is there does not allow it */
        OK(a.rc == 0 && a.reply.status == 409 && strstr(hf_buf_z(&a.reply.body), "reopen"));
    }
}

static void acts(void)
{
    {
        ASK(hf_api_act, "", "{\"action\":\"freeze\",\"why\":\"x\"}", "box1", HF_ROLE_RESPONDER); /* nobody there who could: said, not pretended */
        OK(a.rc == 0 && a.reply.status == 503 && strstr(hf_buf_z(&a.reply.body), "daemon"));
    }
    {
        ASK(hf_api_act, "", "{\"action\":\"freeze\",\"why\":\"x\",\"force\":true}", "box1", HF_ROLE_RESPONDER);
        EQ_I(a.rc, -EPERM);
    }
    REFUSED(HF_E_NOT_FOUND, hf_api_act, "", "{\"action\":\"freeze\",\"why\":\"x\"}", "box6");
    REFUSED(HF_E_NOT_FOUND, hf_api_act, "", "{\"action\":\"freeze\",\"why\":\"x\"}", "no-such");
    REFUSED(HF_E_USAGE, hf_api_act, "", "{\"action\":\"freeze\"}", "box1");
    REFUSED(HF_E_USAGE, hf_api_act, "", "{\"action\":\"limit\",\"why\":\"x\",\"packets\":0}", "box1");
    REFUSED(HF_E_USAGE, hf_api_act, "", "{\"action\":\"isolate\",\"why\":\"x\",\"allow\":[1]}", "box1");
}

static void loaded_rules(void)
{
    hf_cleanup(hf_rules_freep) struct hf_rules *rules = NULL;
    OK(hf_rules_new(&rules, NULL, &err) == 0 && hf_rules_add(rules, "r.yaml", HF_S("- rule: A rule\n  desc: what it is\n  condition: evt.type = execve\n  output: o\n  priority: ERROR\n  tags: [T1059, loud]\n"), &err) == 0 &&
            hf_rules_compile(rules, &err) == 0);
    api.rules = rules;
    {
        ASK(hf_api_rules, "q=T1059", NULL, "", HF_ROLE_VIEWER);
        hf_jnode r = hf_jfirst(hf_jget(hf_json_root(a.doc), "items"));
        OK(hf_span_eqz(hf_jgetstr(r, "name"), "A rule") && hf_span_eqz(hf_jgetstr(r, "severity"), "high") && hf_jis_true(hf_jget(r, "enabled")) && !hf_jnext(r));
    }
    {
        ASK(hf_api_rules, "enabled=false", NULL, "", HF_ROLE_VIEWER);
        OK(!hf_jfirst(hf_jget(hf_json_root(a.doc), "items")));
    }
    {
        ASK(hf_api_rule, "", NULL, "A rule", HF_ROLE_VIEWER);
        OK(a.rc == 0 && hf_span_eqz(hf_jgetstr(hf_json_root(a.doc), "condition"), "evt.type = execve"));
    }
    REFUSED(HF_E_NOT_FOUND, hf_api_rule, "", NULL, "B rule");
    api.rules = NULL;
}

int main(void)
{
    char dir[] = "/tmp/hf-test-api-XXXXXX", path[128];
    OK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/s.db", dir);
    EQ_I(hf_store_open(&store, path, &err), 0);
    api.live = hf_live_new();
    api.version = "test";
    if (store && api.live) {
        fill();
        every_get();
        parameters();
        pages();
        changes();
        acts();
        loaded_rules();
    }
    hf_live_free(api.live);
    hf_store_close(store);
    for (const char *const *end = (const char *const[]){"", "-wal", "-shm", NULL}; *end; end++) {
        snprintf(path, sizeof path, "%s/s.db%s", dir, *end);
        unlink(path);
    }
    rmdir(dir);
    return tap_done();
}
