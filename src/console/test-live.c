// SPDX-License-Identifier: Apache-2.0
/* What runs now, from lines: containers, processes, connections, losses; the ring and the stream with their bounds and gaps; hostile lines. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../tests/tap.h"
#include "console/live.h"
#include "incident/correlate.h"
#include "store/incidents.h"

static struct hf_err err;
#define NONE hf_span(NULL, 0)
static const struct hf_live_filter all;

static int feed(struct hf_live *l, const char *type, unsigned second, const char *rest)
{
    char line[16384];
    snprintf(line, sizeof line, "{\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:%02u:%02u.000000000Z\",\"type\":\"%s\"%s%s}", second / 60 % 60, second % 60, type, *rest ? "," : "", rest);
    int rc = hf_live_line(l, hf_span_z(line), &err);
    if (rc < 0)
        printf("# %s\n", err.msg);
    return rc;
}

static const char *process(uint32_t pid, uint32_t ppid, uint32_t ns_pid, const char *name, const char *more)
{
    static char text[4][2048];
    static unsigned at;
    char *t = text[at++ % 4];
    snprintf(t, sizeof text[0], "\"container\":{\"id\":\"c1\",\"name\":\"web\",\"image\":\"nginx\"},\"process\":{\"pid\":%u,\"tid\":%u,\"ns_pid\":%u,\"ppid\":%u,\"exe\":\"/bin/%s\",\"name\":\"%s\",\"args\":[\"%s\",\"-x\"],\"uid\":33%s}",
            pid, pid, ns_pid, ppid, name, name, name, more);
    return t;
}

static bool box_text(void *ctx, const struct hf_live_box *b)
{
    hf_buf_addf(ctx, "%.*s/%.*s/%.*s %s procs=%u drift=%u ns=%.*s; ", HF_SPAN_ARG(b->id), HF_SPAN_ARG(b->name), HF_SPAN_ARG(b->image), b->running ? "runs" : "ended", b->processes, b->drift,
            HF_SPAN_ARG(b->pod_namespace));
    return true;
}
static bool proc_text(void *ctx, const struct hf_live_proc *p)
{
    hf_buf_addf(ctx, "%u<%u %.*s %.*s %.*s s=%d %.*s; ", p->pid, p->ppid, HF_SPAN_ARG(p->name), HF_SPAN_ARG(p->args), HF_SPAN_ARG(p->verdict), p->severity, HF_SPAN_ARG(p->session));
    return true;
}
static struct hf_span asked(struct hf_live *l, struct hf_buf *b, const char *what)
{
    hf_buf_clear(b);
    if (!strcmp(what, "boxes"))
        hf_live_boxes(l, box_text, b);
    else
        hf_live_procs(l, hf_span_z(what), proc_text, b);
    return hf_buf_span(b);
}

static void containers(void)
{
    hf_cleanup(hf_live_freep) struct hf_live *l = hf_live_new();
    hf_autobuf b = HF_BUF_INIT(1 << 20);
    EQ_I(feed(l, "container", 1, "\"container\":{\"id\":\"c1\",\"name\":\"web\",\"image\":\"nginx\",\"pod\":{\"namespace\":\"prod\",\"name\":\"p\"}},\"facts\":{\"user\":\"33:33\",\"label.a\":\"x\",\"known_after_us\":\"5\"}"), 0);
    EQ_S(asked(l, &b, "boxes"), "c1/web/nginx runs procs=0 drift=0 ns=prod; ");
    EQ_I(feed(l, "exec", 2, process(10, 5, 1, "nginx", "")), 0);
    EQ_I(feed(l, "fork", 3, process(10, 5, 1, "nginx", "")), 0);
    EQ_S(asked(l, &b, "c1"), "10<5 nginx [\"nginx\",\"-x\"]  s=-1 ; ");
    /* a fork with its child, which then runs something else, is alerted of and judged */
    char fork[4096];
    snprintf(fork, sizeof fork, "%s,\"fork\":{\"child_pid\":11}", process(10, 5, 1, "nginx", ""));
    EQ_I(feed(l, "fork", 3, fork), 0);
    EQ_S(asked(l, &b, "c1"), "11<10 nginx [\"nginx\",\"-x\"]  s=-1 ; 10<5 nginx [\"nginx\",\"-x\"]  s=-1 ; ");
    EQ_I(feed(l, "exec", 4, process(11, 10, 7, "sh", ",\"session\":\"exec\"")), 0);
    char alert[4096], verdict[4096];
    snprintf(alert, sizeof alert, "\"id\":\"a\",\"rule\":\"R\",\"severity\":\"high\",%s", process(11, 10, 7, "sh", ",\"session\":\"exec\""));
    snprintf(verdict, sizeof verdict, "%s,\"verdict\":{\"path\":\"/tmp/x\",\"result\":\"foreign\",\"use\":\"exec\",\"action\":\"none\"}", process(11, 10, 7, "sh", ",\"session\":\"exec\""));
    EQ_I(feed(l, "alert", 5, alert), 0);
    EQ_I(feed(l, "verdict", 5, verdict), 0);
    EQ_S(asked(l, &b, "c1"), "11<10 sh [\"sh\",\"-x\"] foreign s=5 exec; 10<5 nginx [\"nginx\",\"-x\"]  s=-1 ; ");
    EQ_S(asked(l, &b, "boxes"), "c1/web/nginx runs procs=2 drift=1 ns=prod; ");
    /* ancestors below one that is known are within the container too; those above it are not taken for that */
    EQ_I(feed(l, "exec", 6, process(13, 12, 9, "id", ",\"ancestors\":[{\"pid\":12,\"name\":\"bash\",\"exe\":\"/bin/bash\",\"args\":[\"bash\"]},{\"pid\":11,\"name\":\"sh\"},{\"pid\":10},{\"pid\":5,\"name\":\"shim\"}]")), 0);
    EQ_S(asked(l, &b, "c1"), "12<11 bash [\"bash\"]  s=-1 ; 13<12 id [\"id\",\"-x\"]  s=-1 ; 11<10 sh [\"sh\",\"-x\"] foreign s=5 exec; 10<5 nginx [\"nginx\",\"-x\"]  s=-1 ; ");
    EQ_I(feed(l, "exit", 7, process(11, 10, 7, "sh", "")), 0);
    EQ_S(asked(l, &b, "c1"), "12<11 bash [\"bash\"]  s=-1 ; 13<12 id [\"id\",\"-x\"]  s=-1 ; 10<5 nginx [\"nginx\",\"-x\"]  s=-1 ; ");
    EQ_I(feed(l, "container_end", 8, "\"container\":{\"id\":\"c1\",\"name\":\"web\"}"), 0);
    EQ_S(asked(l, &b, "boxes"), "c1/web/nginx ended procs=0 drift=1 ns=prod; ");
    EQ_I(feed(l, "exec", 9, process(14, 1, 9, "late", "")), 0); /* told after its end: nothing runs there */
    EQ_S(asked(l, &b, "c1"), "");
    OK(!hf_live_box(l, HF_S("c2"), box_text, &b));
}

static void bounds(void)
{
    hf_cleanup(hf_live_freep) struct hf_live *l = hf_live_new();
    struct hf_live_counts n;
    char text[512];
    unsigned bad = 0;
    for (unsigned i = 0; i < HF_LIVE_BOXES + 100; i++) { /* the first hundred end */
        snprintf(text, sizeof text, "\"container\":{\"id\":\"b%u\",\"name\":\"n\"}", i);
        bad += feed(l, "container", i % 3600, text) < 0;
        if (i < 100)
            bad += feed(l, "container_end", i % 3600, text) < 0;
    }
    EQ_U(bad, 0);
    hf_live_counts(l, &n);
    OK(n.boxes == HF_LIVE_BOXES && n.running == HF_LIVE_BOXES);
    hf_autobuf b = HF_BUF_INIT(1 << 20);
    OK(!hf_live_box(l, HF_S("b99"), box_text, &b) && hf_live_box(l, HF_S("b100"), box_text, &b)); /* those that ended went first */
    for (unsigned i = 0; i < 3000; i++) { /* a fork bomb: its own oldest go, others stay */
        snprintf(text, sizeof text, "\"container\":{\"id\":\"b200\",\"name\":\"n\"},\"process\":{\"pid\":%u,\"tid\":%u,\"name\":\"f\"}", 1000 + i, 1000 + i);
        bad += feed(l, "exec", 5, text) < 0;
    }
    OK(!bad && hf_live_procs(l, HF_S("b200"), proc_text, &b) == 2000);
    for (unsigned i = 0; i < HF_LIVE_EDGES + 50; i++) {
        snprintf(text, sizeof text, "\"container\":{\"id\":\"b200\"},\"connect\":{\"operation\":\"established\",\"protocol\":\"tcp\",\"local_port\":1,\"peer\":\"10.%u.%u.%u\",\"peer_port\":80}", i >> 16, i >> 8 & 255, i & 255);
        bad += feed(l, "connect", 5, text) < 0;
    }
    hf_live_counts(l, &n);
    OK(!bad && n.edges == HF_LIVE_EDGES);
    OK(n.events < HF_LIVE_EVENTS + 1u && n.bytes <= HF_LIVE_BYTES);
    OK(n.newest - n.oldest + 1 == n.events);
    char *big = malloc(HF_LIVE_LINE + 200);
    int head = snprintf(big, 200, "{\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:06:14.000000000Z\",\"type\":\"file\",\"x\":\"");
    memset(big + head, 'a', HF_LIVE_LINE);
    size_t fits = HF_LIVE_LINE - 2;
    big[fits] = '"';
    big[fits + 1] = '}';
    for (unsigned i = 0; i < 40; i++)
        bad += hf_live_line(l, hf_span(big, HF_LIVE_LINE), &err) < 0;
    hf_live_counts(l, &n);
    OK(!bad && n.bytes <= HF_LIVE_BYTES && n.events >= 31 && n.events <= 32);
    EQ_I(hf_live_line(l, hf_span(big, HF_LIVE_LINE + 1), &err), HF_E_FORMAT);
    free(big);
}

/* ---- connections ---- */

static void end_text(struct hf_buf *b, const struct hf_live_end *e)
{
    hf_buf_addf(b, "%c%.*s%.*s(%.*s)%.*s", "cha"[e->kind], HF_SPAN_ARG(e->id), HF_SPAN_ARG(e->address), HF_SPAN_ARG(e->name), HF_SPAN_ARG(e->exe));
}
static bool edge_text(void *ctx, const struct hf_live_edge *e)
{
    end_text(ctx, &e->from);
    hf_buf_addz(ctx, " > ");
    end_text(ctx, &e->to);
    hf_buf_addf(ctx, ":%u/%.*s *%u !%u %u/%u; ", e->port, HF_SPAN_ARG(e->protocol), (unsigned)e->count, (unsigned)e->failed, (unsigned)e->bytes_out, (unsigned)e->bytes_in);
    return true;
}

#define WEB "\"container\":{\"id\":\"c1\",\"name\":\"web\"},\"process\":{\"pid\":5,\"exe\":\"/web\"},"
#define DB "\"container\":{\"id\":\"c2\",\"name\":\"db\"},\"process\":{\"pid\":6,\"exe\":\"/db\"},"

static void connections(void)
{
    hf_cleanup(hf_live_freep) struct hf_live *l = hf_live_new();
    hf_autobuf b = HF_BUF_INIT(1 << 20);
    EQ_I(feed(l, "connect", 1, WEB "\"connect\":{\"operation\":\"connect\",\"protocol\":\"tcp\",\"local_port\":0,\"peer\":\"172.17.0.3\",\"peer_port\":5432,\"peer_container\":{\"id\":\"c2\",\"name\":\"db\"}}"), 0);
    EQ_I(feed(l, "connect", 1, WEB "\"connect\":{\"operation\":\"established\",\"protocol\":\"tcp\",\"local_port\":40000,\"peer\":\"172.17.0.3\",\"peer_port\":5432,\"peer_container\":{\"id\":\"c2\",\"name\":\"db\"}}"), 0);
    EQ_I(feed(l, "accept", 1, DB "\"accept\":{\"operation\":\"accept\",\"protocol\":\"tcp\",\"local_port\":5432,\"peer\":\"172.17.0.2\",\"peer_port\":40000,\"peer_container\":{\"id\":\"c1\",\"name\":\"web\"}}"), 0);
    hf_live_edges(l, NONE, 0, edge_text, &b);
    EQ_S(hf_buf_span(&b), "cc1172.17.0.2(web)/web > cc2172.17.0.3(db)/db:5432/tcp *1 !0 0/0; "); /* told by both ends, one connection */
    EQ_I(feed(l, "close", 2, WEB "\"close\":{\"operation\":\"close\",\"protocol\":\"tcp\",\"local_port\":40000,\"peer\":\"172.17.0.3\",\"peer_port\":5432,\"peer_container\":{\"id\":\"c2\"},\"bytes_out\":10,\"bytes_in\":20}"), 0);
    EQ_I(feed(l, "close", 2, DB "\"close\":{\"operation\":\"close\",\"protocol\":\"tcp\",\"local_port\":5432,\"peer\":\"172.17.0.2\",\"peer_port\":40000,\"peer_container\":{\"id\":\"c1\"},\"bytes_out\":20,\"bytes_in\":10}"), 0);
    EQ_I(feed(l, "accept", 3, WEB "\"accept\":{\"operation\":\"accept\",\"protocol\":\"tcp\",\"local_port\":80,\"peer\":\"203.0.113.9\",\"peer_port\":50000}"), 0);
    EQ_I(feed(l, "close", 3, WEB "\"close\":{\"operation\":\"close\",\"protocol\":\"tcp\",\"local_port\":80,\"peer\":\"203.0.113.9\",\"peer_port\":50000,\"bytes_out\":7,\"bytes_in\":3}"), 0);
    EQ_I(feed(l, "connect", 4, WEB "\"connect\":{\"operation\":\"failed\",\"protocol\":\"tcp\",\"peer\":\"198.51.100.1\",\"peer_port\":443,\"peer_name\":\"example.org\"}"), 0);
    EQ_I(feed(l, "connect", 4, WEB "\"connect\":{\"operation\":\"established\",\"protocol\":\"tcp\",\"peer\":\"172.17.0.1\",\"peer_port\":22,\"peer_process\":{\"pid\":1,\"exe\":\"/sshd\"}}"), 0);
    EQ_I(feed(l, "close", 5, WEB "\"close\":{\"operation\":\"close\",\"protocol\":\"tcp\",\"local_port\":1000,\"peer\":\"1.2.3.4\",\"peer_port\":7,\"bytes_out\":7,\"bytes_in\":3}"), 0); /* began before: unknown */
    hf_buf_clear(&b);
    hf_live_edges(l, HF_S("c1"), 0, edge_text, &b);
    EQ_S(hf_buf_span(&b), "cc1(web)/web > h172.17.0.1()/sshd:22/tcp *1 !0 0/0; cc1(web)/web > a198.51.100.1(example.org):443/tcp *0 !1 0/0; a203.0.113.9() > cc1(web)/web:80/tcp *1 !0 3/7; "
                           "cc1172.17.0.2(web)/web > cc2172.17.0.3(db)/db:5432/tcp *1 !0 10/20; ");
    hf_buf_clear(&b);
    hf_live_edges(l, HF_S("c2"), 0, edge_text, &b);
    EQ_S(hf_buf_span(&b), "cc1172.17.0.2(web)/web > cc2172.17.0.3(db)/db:5432/tcp *1 !0 10/20; ");
}

/* ---- the stream ---- */

static size_t lines_of(struct hf_buf *b, const char *event)
{
    char head[40];
    size_t n = 0, at;
    snprintf(head, sizeof head, "\nevent: %s\ndata: ", event);
    for (struct hf_span s = hf_buf_span(b); (at = hf_span_search(s, hf_span_z(head))) != SIZE_MAX; n++)
        s = hf_span_from(s, at + 1);
    return n;
}

static void stream(void)
{
    hf_cleanup(hf_live_freep) struct hf_live *l = hf_live_new();
    hf_autobuf b = HF_BUF_INIT(64 << 20);
    uint64_t start = hf_live_seq(l), seq = start;
    OK(start > 1 && start < 999999999999999);
    EQ_U(hf_live_read(l, &seq, &all, 1 << 20, &b), 0);
    (void)!feed(l, "exec", 1, process(1, 0, 1, "a", ""));
    (void)!feed(l, "alert", 1, "\"id\":\"x\",\"severity\":\"low\",\"container\":{\"id\":\"c2\"}");
    (void)!feed(l, "alert", 1, "\"id\":\"y\",\"severity\":\"critical\",\"container\":{\"id\":\"c1\"}");
    (void)!feed(l, "status", 1, "\"status\":{\"state\":\"running\"}");
    (void)!feed(l, "drop", 1, "\"drop\":{\"count\":3,\"lost_type\":\"file\",\"reason\":\"ring_full\"}");
    (void)!feed(l, "container", 1, "\"container\":{\"id\":\"c1\"},\"facts\":{}");
    (void)!feed(l, "file", 1, process(1, 0, 1, "a", ""));
    EQ_U(hf_live_read(l, &seq, &all, 1 << 20, &b), 7);
    EQ_U(seq, start + 7);
    char first[64];
    snprintf(first, sizeof first, "id: %llu\nevent: event\ndata: {\"schema\"", (unsigned long long)start + 1);
    OK(hf_span_starts(hf_buf_span(&b), hf_span_z(first)));
    OK(hf_span_ends(hf_buf_span(&b), HF_S("}\n\n")));
    EQ_U(lines_of(&b, "alert"), 2);
    OK(lines_of(&b, "status") == 1 && lines_of(&b, "loss") == 1 && lines_of(&b, "container") == 1 && lines_of(&b, "event") == 2);
#define COUNT(expected, ...)                                                                                      \
    do {                                                                                                          \
        struct hf_live_filter f = {__VA_ARGS__};                                                                  \
        uint64_t from = start;                                                                                    \
        hf_buf_clear(&b);                                                                                         \
        EQ_U(hf_live_read(l, &from, &f, 1 << 20, &b), expected);                                                  \
        EQ_U(from, start + 7);                                                                                    \
    } while (0)
    COUNT(2, .kinds = HF_S("alert"));
    COUNT(1, .kinds = HF_S("alert"), .min_severity = 4);
    COUNT(6, .min_severity = 4);
    COUNT(1, .kinds = HF_S("event"), .types = HF_S("file,dns"));
    COUNT(3, .kinds = HF_S("status,alert"));
    COUNT(4, .container = HF_S("c1"));
    COUNT(0, .container = HF_S("c3"));
    /* piecewise: the same, one at a time */
    uint64_t from = start;
    unsigned steps = 0;
    hf_buf_clear(&b);
    while (from < start + 7 && steps < 20) {
        OK(hf_live_read(l, &from, &all, 1, &b) == 1);
        steps++;
    }
    EQ_U(steps, 7);
    /* a gap: what was overwritten is counted */
    from = start + 2;
    for (unsigned i = 0; i < HF_LIVE_EVENTS; i++)
        (void)!feed(l, "file", 2, "");
    hf_buf_clear(&b);
    size_t n = hf_live_read(l, &from, &(struct hf_live_filter){.kinds = HF_S("alert")}, 1 << 20, &b);
    EQ_U(n, 1);
    OK(hf_span_search(hf_buf_span(&b), HF_S("event: gap\ndata: {\"missed\":5,\"restarted\":false}\n\n")) != SIZE_MAX);
    EQ_U(from, start + 7 + HF_LIVE_EVENTS);
    from = start - 1000; /* from before this process */
    hf_buf_clear(&b);
    EQ_U(hf_live_read(l, &from, &(struct hf_live_filter){.kinds = HF_S("alert")}, 1 << 20, &b), 1);
    OK(hf_span_search(hf_buf_span(&b), HF_S("{\"missed\":7,\"restarted\":true}")) != SIZE_MAX);
    from = UINT64_MAX; /* made up: from now on */
    EQ_U(hf_live_read(l, &from, &all, 1 << 20, &b), 0);
    EQ_U(from, hf_live_seq(l));
}

static bool newest(void *ctx, const struct hf_live_event *e)
{
    hf_buf_addf(ctx, "%llu%s ", (unsigned long long)e->seq % 100, e->kind);
    return ((struct hf_buf *)ctx)->n < 20;
}

static void ring(void)
{
    hf_cleanup(hf_live_freep) struct hf_live *l = hf_live_new();
    hf_autobuf b = HF_BUF_INIT(65536);
    hf_live_events(l, &all, 0, newest, &b);
    EQ_S(hf_buf_span(&b), "");
    for (unsigned i = 0; i < 5; i++)
        (void)!feed(l, i % 2 ? "status" : "exec", i, "");
    uint64_t top = hf_live_seq(l);
    char expected[64];
    hf_live_events(l, &(struct hf_live_filter){.kinds = HF_S("status")}, 0, newest, &b);
    snprintf(expected, sizeof expected, "%llustatus %llustatus ", (unsigned long long)(top - 1) % 100, (unsigned long long)(top - 3) % 100);
    EQ_S(hf_buf_span(&b), expected);
    hf_buf_clear(&b);
    hf_live_events(l, &all, top - 3, newest, &b);
    snprintf(expected, sizeof expected, "%lluevent ", (unsigned long long)(top - 4) % 100);
    EQ_S(hf_buf_span(&b), expected);
    hf_buf_clear(&b);
    hf_live_events(l, &all, 1, newest, &b);
    EQ_S(hf_buf_span(&b), "");
}

/* ---- what is refused ---- */

static void hostile(void)
{
    static const char *const bad[] = {"", "x", "{", "{}", "[]", "null", "{\"schema\":\"holdfast.event/1\"}", "{\"schema\":\"holdfast.event/1\",\"type\":\"exec\"}",
            "{\"schema\":\"holdfast.event/1\",\"type\":\"exec\",\"time\":\"yesterday\"}", "{\"schema\":\"holdfast.event/2\",\"time\":\"2026-11-26T20:06:14.0Z\",\"type\":\"exec\"}",
            "{\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:06:14.0Z\",\r\"type\":\"exec\"}", "{\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:06:14.0Z\",\n\"type\":\"exec\"}",
            "{\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:06:14.0Z\",\"type\":\"exec\",\"x\":\"\xff\"}", "{\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:06:14.0Z\",\"type\":\"exec\"} {}",
            "\xef\xbb\xbf{\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:06:14.0Z\",\"type\":\"exec\"}", " {\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:06:14.0Z\",\"type\":\"exec\"}",
            "{\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:06:14.0Z\",\"type\":\"a name that is longer\"}"};
    hf_cleanup(hf_live_freep) struct hf_live *l = hf_live_new();
    struct hf_live_counts n;
    uint64_t seq = hf_live_seq(l);
    for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++)
        if (!OK(hf_live_line(l, hf_span_z(bad[i]), &err) == HF_E_FORMAT && err.msg[0]))
            printf("# %s\n", bad[i]);
    hf_live_counts(l, &n);
    OK(n.refused == HF_ARRAY_LEN(bad) && n.lines == n.refused && hf_live_seq(l) == seq);
    /* members of the wrong kind are nothing, not a crash */
    EQ_I(feed(l, "exec", 1, "\"container\":[],\"process\":7"), 0);
    EQ_I(feed(l, "container", 1, "\"container\":{\"id\":\"\"},\"facts\":[1]"), 0);
    EQ_I(feed(l, "verdict", 1, "\"container\":{\"id\":\"c\"},\"verdict\":\"x\""), 0);
    EQ_I(feed(l, "connect", 1, "\"container\":{\"id\":\"c\"},\"connect\":{\"peer_port\":99999999,\"peer\":\"1.1.1.1\"}"), 0);
    EQ_I(feed(l, "exec", 1, "\"container\":{\"id\":\"c\"},\"process\":{\"pid\":-5,\"ppid\":1e300,\"args\":{\"a\":1}}"), 0);
    EQ_I(feed(l, "fork", 1, "\"container\":{\"id\":\"c\"},\"process\":{\"pid\":5},\"fork\":{\"child_pid\":5}"), 0);
    hf_live_counts(l, &n);
    EQ_U(n.boxes, 1);
    EQ_U(n.procs, 1);
    EQ_U(n.edges, 0);
    /* a name that tries to look like another container's id or like an event of the stream stays a text of its line */
    EQ_I(feed(l, "exec", 2, "\"container\":{\"id\":\"c\",\"name\":\"\\\"id\\\":\\\"c9\\\"\\n\\nevent: alert\\ndata: {}\"}"), 0);
    hf_autobuf b = HF_BUF_INIT(1 << 20);
    uint64_t from = seq;
    (void)hf_live_read(l, &from, &all, 1 << 20, &b);
    EQ_U(lines_of(&b, "alert"), 0);
    from = seq;
    hf_buf_clear(&b);
    EQ_U(hf_live_read(l, &from, &(struct hf_live_filter){.container = HF_S("c9")}, 1 << 20, &b), 0);
}

/* ---- the sensor ---- */

static void sensor_text(void *ctx, const struct hf_live_sensor *s)
{
    hf_buf_addf(ctx, "%d %s %.*s lost=%u n=%zu/%zu/%zu/%zu core=%.1f seen=%.0f rss=%u up=%u hook=%.*s asked=%.*s cost=%.*s", s->connected, s->why, HF_SPAN_ARG(s->state), (unsigned)s->lost,
            s->n_losses, s->n_given_up, s->n_errors, s->n_minutes, s->core_pct, s->seen_per_s, (unsigned)s->rss_kib, (unsigned)s->uptime_s, HF_SPAN_ARG(hf_live_fact(s->first, "hook.exec")),
            HF_SPAN_ARG(hf_live_fact(s->first, "asked")), HF_SPAN_ARG(s->cost));
}

static void sensor(void)
{
    hf_cleanup(hf_live_freep) struct hf_live *l = hf_live_new();
    hf_autobuf b = HF_BUF_INIT(65536);
    hf_live_connected(l, false, "the daemon \x1b[31mended");
    hf_live_sensor(l, sensor_text, &b);
    EQ_S(hf_buf_span(&b), "0 the daemon \\x1b[31mended  lost=0 n=0/0/0/0 core=-1.0 seen=-1 rss=0 up=0 hook= asked= cost=");
    hf_live_connected(l, true, NULL);
    (void)!feed(l, "status", 1, "\"status\":{\"state\":\"started\",\"hook.exec\":\"tp_btf\"}");
    (void)!feed(l, "status", 2, "\"status\":{\"asked\":\"3\",\"on_demand\":\"memory\"}");
    (void)!feed(l, "status", 3, "\"status\":{\"state\":\"running\",\"uptime_s\":\"7\",\"lost\":\"4\",\"sensor_rss_kib\":\"100\"},\"cost\":{\"core_pct\":1.5,\"seen_per_s\":200,\"sensor_rss_kib\":100,\"engine_rss_kib\":50}");
    (void)!feed(l, "status", 4, "\"status\":{\"state\":\"shed\",\"what\":\"rules\"}");
    (void)!feed(l, "drop", 5, "\"drop\":{\"count\":6,\"lost_type\":\"file\",\"reason\":\"ring_full\"}");
    (void)!feed(l, "drop", 5, "\"drop\":{\"count\":6,\"lost_type\":\"several\",\"reason\":\"ring_full\"},\"container\":{\"id\":\"c\"}");
    (void)!feed(l, "status", 6, "\"status\":{\"error\":\"no\"}");
    hf_buf_clear(&b);
    hf_live_sensor(l, sensor_text, &b);
    EQ_S(hf_buf_span(&b), "1  shed lost=10 n=2/1/1/1 core=1.5 seen=200 rss=150 up=7 hook=tp_btf asked=3 cost={\"core_pct\":1.500000,\"seen_per_s\":200,\"sensor_rss_kib\":100,\"engine_rss_kib\":50}");
    (void)!feed(l, "status", 7, "\"status\":{\"state\":\"restored\"}");
    (void)!feed(l, "status", 70, "\"status\":{\"state\":\"started\"}");
    hf_buf_clear(&b);
    hf_live_sensor(l, sensor_text, &b);
    OK(hf_span_starts(hf_buf_span(&b), HF_S("1  running lost=0 n=2/0/0/2 ")));
}

/* ---- incidents of the store ---- */

static char last_id[40];
static int keep(void *ctx, const struct hf_inc *i, uint64_t base, struct hf_err *e)
{
    hf_autobuf doc = HF_BUF_INIT(HF_INC_MAX);
    hf_inc_write(i, false, &doc);
    snprintf(last_id, sizeof last_id, "%.*s", HF_SPAN_ARG(hf_inc_get(i, "id")));
    return hf_store_incident_put(ctx, hf_buf_span(&doc), base, e);
}

static void alerted(struct hf_store *s, const char *box, const char *severity)
{
    hf_cleanup(hf_corr_freep) struct hf_corr *c = hf_corr_new(HF_S("host"));
    char line[2048];
    static unsigned n;
    snprintf(line, sizeof line,
            "{\"schema\":\"holdfast.event/1\",\"time\":\"2026-11-26T20:06:14.000000000Z\",\"type\":\"alert\",\"id\":\"01M8CQEFC5001C172PPZ%06u\",\"rule\":\"R\",\"severity\":\"%s\",\"summary\":\"s\",\"count\":1,"
            "\"event_type\":\"exec\",\"container\":{\"id\":\"%s\",\"name\":\"web\"},\"process\":{\"pid\":5,\"exe\":\"/x\",\"name\":\"x\",\"args\":[],\"ancestors\":[]}}",
            ++n, severity, box);
    OK(hf_corr_line(c, hf_span_z(line), &err) >= 0 && hf_corr_flush(c, keep, s, &err) == 0);
}

static void resolve(struct hf_store *s)
{
    hf_autobuf doc = HF_BUF_INIT(HF_INC_MAX), out = HF_BUF_INIT(HF_INC_MAX);
    uint64_t revision = 0;
    hf_cleanup(hf_inc_freep) struct hf_inc *i = NULL;
    struct hf_inc_change c = {.verb = HF_INC_RESOLVE, .time_ns = 1795723600000000000, .by = HF_S("a"), .via = HF_S("cli"), .text = HF_S("test")};
    OK(hf_store_incident_get(s, hf_span_z(last_id), &doc, &revision, &err) == 1 && hf_inc_parse(hf_buf_span(&doc), &i, &err) == 0 && hf_inc_apply(i, &c, NULL, &err) == 1);
    hf_inc_write(i, false, &out);
    OK(hf_store_incident_put(s, hf_buf_span(&out), revision, &err) == 0);
}

static void incidents(void)
{
    static const char a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b2[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    char dir[] = "/tmp/hf-test-live-XXXXXX", path[128];
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    hf_cleanup(hf_live_freep) struct hf_live *l = hf_live_new();
    hf_autobuf b = HF_BUF_INIT(1 << 20);
    int severity;
    OK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/s.db", dir);
    EQ_I(hf_store_open(&s, path, &err), 0);
    alerted(s, a, "medium"); /* before the console started: known, but no event */
    uint64_t seq = hf_live_seq(l), start = seq;
    EQ_I(hf_live_poll(l, s, &err), 0);
    EQ_U(hf_live_read(l, &seq, &all, 1 << 20, &b), 0);
    EQ_U(hf_live_incidents(l, hf_span_z(a), &severity), 1);
    EQ_I(severity, 4);
    alerted(s, b2, "low");
    alerted(s, b2, "critical");
    EQ_I(hf_live_poll(l, s, &err), 2);
    EQ_I(hf_live_poll(l, s, &err), 0);
    EQ_U(hf_live_read(l, &seq, &all, 1 << 20, &b), 2);
    EQ_U(hf_live_incidents(l, hf_span_z(b2), &severity), 2);
    EQ_I(severity, 6);
    OK(hf_span_search(hf_buf_span(&b), hf_span_z(last_id)) != SIZE_MAX && hf_span_search(hf_buf_span(&b), HF_S("\nevent: incident\ndata: {\"type\":\"incident\",\"time\":\"2026")) != SIZE_MAX);
    resolve(s);
    EQ_I(hf_live_poll(l, s, &err), 1);
    EQ_U(hf_live_incidents(l, hf_span_z(b2), &severity), 1);
    EQ_I(severity, 3);
    seq = start;
    hf_buf_clear(&b);
    EQ_U(hf_live_read(l, &seq, &(struct hf_live_filter){.container = hf_span_z(b2)}, 1 << 20, &b), 3);
    seq = start;
    EQ_U(hf_live_read(l, &seq, &(struct hf_live_filter){.container = hf_span_z(a)}, 1 << 20, &b), 0);
    hf_store_close(hf_take(s));
    for (const char *const *end = (const char *const[]){"", "-wal", "-shm", NULL}; *end; end++) {
        snprintf(path, sizeof path, "%s/s.db%s", dir, *end);
        unlink(path);
    }
    rmdir(dir);
}

/* ---- alerts of the store, counted ---- */

static void noise(void)
{
    char dir[] = "/tmp/hf-test-live-XXXXXX", path[128];
    const int64_t hour = INT64_C(3600000000000), now = hf_store_now();
    static const int ages[] = {0, 1, 23, 24, 30, 167, 168, 400}; /* hours */
    hf_cleanup(hf_store_closep) struct hf_store *s = NULL;
    hf_cleanup(hf_live_freep) struct hf_live *l = hf_live_new();
    struct hf_live_hour hours[24];
    struct hf_live_rule r;
    uint64_t severity[7], n = 9;
    OK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/s.db", dir);
    EQ_I(hf_store_open(&s, path, &err), 0);
    OK(!hf_live_noise(l, now, hours, severity)); /* not counted yet: said */
    for (size_t i = HF_ARRAY_LEN(ages); i-- > 0;) {
        struct hf_alert_row a = {.time = now - ages[i] * hour, .rule = HF_S("R"), .severity = i % 2 ? 6 : 4, .container = i < 3 ? HF_S("c") : HF_S("d"), .doc = HF_S("{}")};
        EQ_I(hf_store_alert_add(s, &a, NULL, &err), 0);
    }
    EQ_I(hf_live_poll(l, s, &err), 0);
    OK(hf_live_noise(l, now, hours, severity) && hours[23].n == 1 && hours[22].n == 1 && hours[22].high == 1 && hours[0].n == 1 && severity[4] == 2 && severity[6] == 1);
    OK(hf_live_rule(l, HF_S("R"), now, &r) && r.day == 3 && r.week == 6 && r.last == now);
    OK(hf_live_loud(l, HF_S("c"), now, &n) && n == 3 && hf_live_loud(l, HF_S("d"), now, &n) && n == 0 && hf_live_loud(l, HF_S("e"), now, &n) && n == 0);
    /* what comes later, and late */
    OK(hf_store_alert_add(s, &(struct hf_alert_row){.time = now, .rule = HF_S("R"), .container = HF_S("c"), .doc = HF_S("{}")}, NULL, &err) == 0 &&
            hf_store_alert_add(s, &(struct hf_alert_row){.time = now - 1000 * hour, .rule = HF_S("R"), .doc = HF_S("{}")}, NULL, &err) == 0);
    EQ_I(hf_live_poll(l, s, &err), 0);
    OK(hf_live_rule(l, HF_S("R"), now, &r) && r.day == 4 && r.week == 7);
    OK(hf_live_rule(l, HF_S("R"), now + 23 * hour, &r) && r.day == 2 && hf_live_rule(l, HF_S("R"), now + 200 * hour, &r) && r.day == 0 && r.week == 0); /* hours pass without alerts */
    hf_store_close(hf_take(s));
    for (const char *const *end = (const char *const[]){"", "-wal", "-shm", NULL}; *end; end++) {
        snprintf(path, sizeof path, "%s/s.db%s", dir, *end);
        unlink(path);
    }
    rmdir(dir);
    /* kept answers: until they are over */
    hf_autobuf b = HF_BUF_INIT(64);
    hf_live_keep(l, HF_S("k"), HF_S("text"), 100);
    OK(hf_live_kept(l, HF_S("k"), 99, &b) && hf_span_eqz(hf_buf_span(&b), "text") && !hf_live_kept(l, HF_S("k"), 100, &b) && !hf_live_kept(l, HF_S("x"), 1, &b));
    hf_live_keep(l, HF_S("k"), HF_S("newer"), 200);
    hf_buf_clear(&b);
    OK(hf_live_kept(l, HF_S("k"), 150, &b) && hf_span_eqz(hf_buf_span(&b), "newer"));
}

int main(void)
{
    noise();
    containers();
    bounds();
    connections();
    stream();
    ring();
    hostile();
    sensor();
    incidents();
    return tap_done();
}
