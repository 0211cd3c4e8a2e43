// SPDX-License-Identifier: Apache-2.0
/* The channel to the guard: what goes there, what comes back, what is known, and that nobody waits. */
#include "sensor/guarded.h"

#include <errno.h>
#include <fcntl.h>

#include "records.h"
#include "tap.h"

#define BOX 500u
#define SECOND 1000000000ull

static struct rec r;
static unsigned told, told_verdicts;
static int pair[2];

static void tell(void *ctx, struct hf_span record)
{
    struct hf_event e;
    (void)ctx;
    told++;
    told_verdicts += hf_event_decode(record, &e, NULL) == 0 && e.type == HF_EV_VERDICT;
}

/* Records that reach the other end. */
static unsigned arrived(void)
{
    static char frame[HF_WIRE_MAX];
    unsigned n = 0;
    for (ssize_t got; (got = recv(pair[1], frame, sizeof frame, MSG_DONTWAIT)) > 0;) {
        struct hf_span rest = hf_span(frame, (size_t)got);
        size_t len;
        struct hf_event e;
        while (hf_event_frame(rest, &len, NULL) == 1) {
            OK(hf_event_decode(hf_span_sub(rest, 0, len), &e, NULL) == 0 && e.h->cgroup_id == BOX);
            rest = hf_span_from(rest, len);
            n++;
        }
    }
    return n;
}

static unsigned start(struct hf_guarded *g, uint32_t flags, uint32_t euid, const char *path, uint64_t changed_ns, uint64_t now_ns)
{
    struct hf_wire_hdr h = rec_hdr(7, 1, 70, 501, 100, "x"); /* a group below the container's own */
    h.euid = euid;
    hf_guarded_send(g, rec_exec(&r, h, (struct hf_wire_exec){.exec_flags = flags, .inode = 9, .dev = 3, .ctime_ns = changed_ns}, path, HF_S("x"), "/", HF_S("")), BOX, now_ns);
    hf_guarded_flush(g);
    return arrived();
}

static void verdict(struct hf_guarded *g, unsigned v, unsigned action, const char *path, uint64_t changed_ns, uint64_t now_ns)
{
    struct hf_wire_verdict w = {.h = rec_hdr(7, 1, 70, BOX, 100, "x"), .verdict = v, .action = action, .use = HF_USE_EXEC, .inode = 9, .dev = 3, .ctime_ns = changed_ns, .path_len = (__u16)strlen(path)};
    rec_begin(&r, &w, sizeof w, HF_EV_VERDICT);
    rec_text(&r, hf_span_z(path));
    struct hf_span s = rec_end(&r);
    OK(send(pair[1], s.p, s.n, 0) == (ssize_t)s.n);
    hf_guarded_read(g, now_ns, tell, NULL);
}

static void known(struct hf_guarded *g)
{
    const uint32_t lower = HF_X_OVERLAY;
    EQ_U(start(g, lower, 0, "/bin/ls", 5, SECOND), 1);
    EQ_U(start(g, lower, 0, "/bin/ls", 5, SECOND), 1);
    verdict(g, HF_VERDICT_SEALED, HF_ACTION_NONE, "/bin/ls", 5, SECOND);
    EQ_U(told, 0); /* nobody else needs to know */
    EQ_U(start(g, lower, 0, "/bin/ls", 5, SECOND), 0);
    EQ_U(start(g, lower, 33, "/bin/ls", 5, SECOND), 1); /* as another user: for what is in use */
    EQ_U(start(g, lower, 0, "/bin/cat", 5, SECOND), 1); /* another name of it */
    EQ_U(start(g, lower, 0, "/bin/ls", 6, SECOND), 1);  /* changed since */
    EQ_U(start(g, lower | HF_X_UPPER, 0, "/bin/ls", 5, SECOND), 1);
    EQ_U(start(g, lower | HF_X_UPPER | HF_X_COPIED_UP, 0, "/bin/ls", 5, SECOND), 1);
    EQ_U(start(g, lower | HF_X_SCRIPT, 0, "/bin/ls", 5, SECOND), 1);
    EQ_U(start(g, 0, 0, "/bin/ls", 5, SECOND), 1); /* a volume */
    EQ_U(start(g, lower, 0, "/bin/ls", 5, SECOND + HF_GUARDED_AGAIN_NS), 1); /* again after a while */
    verdict(g, HF_VERDICT_CHANGED, HF_ACTION_NONE, "/bin/x", 5, SECOND);
    verdict(g, HF_VERDICT_SEALED, HF_ACTION_DENIED, "/bin/y", 5, SECOND);
    EQ_U(told_verdicts, 2);
    EQ_U(start(g, lower, 0, "/bin/x", 5, SECOND), 1);
    EQ_U(g->skipped, 1);
}

static void others(struct hf_guarded *g)
{
    struct hf_wire_hdr h = rec_hdr(7, 1, 70, BOX, 100, "x");
    hf_guarded_send(g, rec_net(&r, h, HF_NET_CONNECT, IPPROTO_TCP, "10.0.0.1", 1, "10.0.0.2", 2), BOX, SECOND);
    h.type = HF_EV_EXIT; /* whoever ends is of no interest to it; files are, and only told when a policy asks for them (sensor.c) */
    hf_guarded_send(g, hf_span((const char *)&h, sizeof h), BOX, SECOND);
    hf_guarded_send(g, rec_net(&r, h, HF_NET_LISTEN, IPPROTO_TCP, "0.0.0.0", 80, "0.0.0.0", 0), 0 /* the host */, SECOND);
    hf_guarded_flush(g);
    EQ_U(arrived(), 0);
    hf_guarded_send(g, rec_net(&r, h, HF_NET_LISTEN, IPPROTO_TCP, "0.0.0.0", 80, "0.0.0.0", 0), BOX, SECOND);
    hf_guarded_send(g, rec_pairs(&r, h, HF_EV_CONTAINER, HF_S("id\0x\0")), BOX, SECOND);
    hf_guarded_flush(g);
    EQ_U(arrived(), 2);
    /* what may not come back */
    told = 0;
    struct hf_span odd = rec_net(&r, h, HF_NET_LISTEN, IPPROTO_TCP, "0.0.0.0", 80, "0.0.0.0", 0);
    OK(send(pair[1], odd.p, odd.n, 0) == (ssize_t)odd.n && send(pair[1], "short", 5, 0) == 5);
    hf_guarded_read(g, SECOND, tell, NULL);
    EQ_U(told, 0);
    EQ_U(g->bad, 1);
}

static void say_cost(struct hf_guarded *g, const char *text)
{
    hf_autobuf b = HF_BUF_INIT(256);
    hf_buf_add(&b, HF_GUARD_COST, sizeof HF_GUARD_COST);
    hf_buf_add(&b, text, strlen(text) + 1);
    struct hf_span s = rec_pairs(&r, rec_hdr(7, 1, 70, 0, 100, "x"), HF_EV_STATUS, hf_buf_span(&b));
    OK(send(pair[1], s.p, s.n, 0) == (ssize_t)s.n);
    hf_guarded_read(g, SECOND, tell, NULL);
}

/* What it costs stays here; how it is to work is told when that changes. */
static void cost_and_pace(struct hf_guarded *g)
{
    told = 0;
    say_cost(g, "1 2 3 4 5 6");
    OK(g->cost[HF_GUARDED_CPU] == 1 && g->cost[HF_GUARDED_LARGE] == 3 && g->cost[HF_GUARDED_VERDICTS] == 6);
    for (unsigned i = 0; i < 3; i++)
        say_cost(g, (const char *[]){"9 9 9", "9 9 9 9 9 x", ""}[i]);
    OK(g->cost[HF_GUARDED_CPU] == 1); /* whole or not at all */
    EQ_U(told, 0);
    char frame[4096];
    hf_guarded_pace(g, false);
    OK(recv(pair[1], frame, sizeof frame, MSG_DONTWAIT) < 0);
    hf_guarded_pace(g, true);
    hf_guarded_pace(g, true);
    ssize_t n = recv(pair[1], frame, sizeof frame, MSG_DONTWAIT);
    OK(n > 0 && hf_span_search(hf_span(frame, (size_t)n), hf_span(HF_GUARD_PACE "\0" "1", sizeof HF_GUARD_PACE + 1)) != SIZE_MAX);
    OK(recv(pair[1], frame, sizeof frame, MSG_DONTWAIT) < 0);
}

/* The guard does not read: the sensor goes on, and what is lost is counted. */
static void slow(struct hf_guarded *g)
{
    struct hf_wire_hdr h = rec_hdr(7, 1, 70, BOX, 100, "x");
    for (unsigned i = 0; i < 40000; i++) {
        char path[64];
        snprintf(path, sizeof path, "/tmp/%u", i);
        hf_guarded_send(g, rec_exec(&r, h, (struct hf_wire_exec){.exec_flags = HF_X_UPPER, .inode = i + 1}, path, HF_S("x"), "/", HF_S("")), BOX, SECOND);
    }
    hf_guarded_flush(g);
    OK(g->frames.lost > 0 && !g->gone);
}

int main(void)
{
    struct hf_guarded g, none;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 || hf_guarded_init(&g, pair[0], NULL) < 0) {
        printf("Bail out! no socket\n");
        return 1;
    }
    known(&g);
    others(&g);
    cost_and_pace(&g);
    slow(&g);
    close(pair[1]);
    hf_guarded_read(&g, SECOND, tell, NULL);
    hf_guarded_flush(&g);
    OK(g.gone && !g.gone_told);
    hf_guarded_send(&g, HF_S(""), BOX, SECOND);
    hf_guarded_done(&g);
    EQ_I(hf_guarded_init(&none, -1, NULL), 0);
    OK(none.gone && none.gone_told); /* nothing to tell where there never was one */
    hf_guarded_done(&none);
    close(pair[0]);
    return tap_done();
}
