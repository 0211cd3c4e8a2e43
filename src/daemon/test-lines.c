// SPDX-License-Identifier: Apache-2.0
/* Lines between watch and the hub: order, bounds, what gives way, and a console that does not read. */
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>

#include "base/log.h"
#include "daemon/lines.h"
#include "daemon/shared.h"
#include "tap.h"

#define ALERT "{\"schema\":\"holdfast.event/1\",\"time\":\"t\",\"type\":\"alert\",\"id\":\"%u\"}\n"
#define CONNECT "{\"schema\":\"holdfast.event/1\",\"time\":\"t\",\"type\":\"connect\",\"x\":\"%.*s\"}\n"
#define EXEC "{\"schema\":\"holdfast.event/1\",\"time\":\"t\",\"type\":\"exec\"}\n"

static struct hf_daemon_shared shared;

static void write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t did = write(fd, p, n);
        if (did <= 0)
            return;
        p += did;
        n -= (size_t)did;
    }
}

HF_PRINTF(2, 3) static void say(int fd, const char *fmt, ...)
{
    static char text[70000];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    write_all(fd, text, (size_t)n);
}

static void test_kinds(void)
{
    EQ_I(hf_line_kind(HF_S("{\"type\":\"alert\"}")), HF_LINE_HIGH);
    EQ_I(hf_line_kind(HF_S("{\"type\":\"container\"}")), HF_LINE_HIGH);
    EQ_I(hf_line_kind(HF_S("{\"type\":\"container_end\"}")), HF_LINE_HIGH);
    EQ_I(hf_line_kind(HF_S("{\"type\":\"something new\"}")), HF_LINE_HIGH);
    EQ_I(hf_line_kind(HF_S("{\"type\":\"status\",\"status\":{\"state\":\"running\"}}")), HF_LINE_SKIP);
    EQ_I(hf_line_kind(HF_S("{\"type\":\"status\",\"status\":{\"state\":\"started\"}}")), HF_LINE_HIGH);
    EQ_I(hf_line_kind(HF_S("no JSON")), HF_LINE_HIGH); /* whoever reads it says so */
    EQ_I(hf_line_kind(HF_S("{\"type\":\"connect\"}")), HF_LINE_LOW);
    EQ_I(hf_line_kind(HF_S("{\"type\":\"exec\"}")), HF_LINE_SKIP);
    EQ_I(hf_line_kind(HF_S("{\"type\":\"mount\",\"mount\":{\"type\":\"alert\"}}")), HF_LINE_SKIP);
    EQ_I(hf_line_kind(HF_S("{\"type\":\"exe")), HF_LINE_HIGH);
}

static void test_order_and_end(void)
{
    int fds[2];
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_lines_freep) struct hf_lines *l = NULL;
    hf_autobuf line = HF_BUF_INIT(HF_LINES_LINE_MAX);
    shared = (struct hf_daemon_shared){0};
    OK(pipe2(fds, O_CLOEXEC) == 0);
    EQ_I(hf_lines_new(&l, fds[0], -1, &shared, &err), 0);
    EQ_I(hf_lines_start(l, &err), 0);
    EQ_I(hf_lines_next(l, 10, &line), 0);
    say(fds[1], ALERT EXEC ALERT, 1u, 2u);
    EQ_I(hf_lines_next(l, 5000, &line), 1);
    OK(hf_span_search(hf_buf_span(&line), HF_S("\"id\":\"1\"")) != SIZE_MAX);
    EQ_I(hf_lines_next(l, 5000, &line), 1);
    OK(hf_span_search(hf_buf_span(&line), HF_S("\"id\":\"2\"")) != SIZE_MAX);
    EQ_I(hf_lines_next(l, 10, &line), 0);
    EQ_U(HF_SHARED_GET(shared.lines), 3);
    /* a line in two pieces; what the sensor lost is counted */
    say(fds[1], "{\"type\":\"al");
    poll(NULL, 0, 20);
    say(fds[1], "ert\"}\n{\"type\":\"drop\",\"count\":41,\"lost_type\":\"file\"}\n");
    EQ_I(hf_lines_next(l, 5000, &line), 1);
    EQ_S(hf_buf_span(&line), "{\"type\":\"alert\"}");
    /* what is in the pipe when it ends is read */
    say(fds[1], ALERT, 7u);
    hf_lines_end(l);
    EQ_I(hf_lines_next(l, 0, &line), 1);
    OK(hf_span_search(hf_buf_span(&line), HF_S("\"id\":\"7\"")) != SIZE_MAX);
    EQ_U(HF_SHARED_GET(shared.sensor_lost), 41);
    close(fds[0]);
    close(fds[1]);
}

static void test_bounds(void)
{
    int fds[2];
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_lines_freep) struct hf_lines *l = NULL;
    hf_autobuf line = HF_BUF_INIT(HF_LINES_LINE_MAX);
    static char filler[60000];
    unsigned connects = 0, alerts = 0, many = HF_LINES_LOW_MAX / sizeof filler + 40;
    memset(filler, 'x', sizeof filler);
    shared = (struct hf_daemon_shared){0};
    OK(pipe2(fds, O_CLOEXEC) == 0);
    EQ_I(hf_lines_new(&l, fds[0], -1, &shared, &err), 0);
    EQ_I(hf_lines_start(l, &err), 0);
    for (unsigned i = 0; i < many; i++) /* nobody takes them */
        say(fds[1], CONNECT, (int)sizeof filler, filler);
    say(fds[1], ALERT, 1u);
    /* a line without an end */
    for (unsigned i = 0; i < 60; i++)
        write_all(fds[1], filler, sizeof filler);
    say(fds[1], "\n" ALERT, 2u);
    hf_lines_end(l);
    while (hf_lines_next(l, 0, &line) > 0) {
        connects += hf_line_kind(hf_buf_span(&line)) == HF_LINE_LOW;
        alerts += hf_line_kind(hf_buf_span(&line)) == HF_LINE_HIGH;
    }
    EQ_U(alerts, 2); /* there was room for them */
    OK(connects < many && connects > 200);
    EQ_U(HF_SHARED_GET(shared.lines_dropped), many - connects);
    EQ_U(HF_SHARED_GET(shared.lines_refused), 1);
    close(fds[0]);
    close(fds[1]);
}

static void test_console(void)
{
    int fds[2], live[2];
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_lines_freep) struct hf_lines *l = NULL;
    static char filler[60000], got[16 << 20];
    size_t have = 0;
    memset(filler, 'x', sizeof filler);
    shared = (struct hf_daemon_shared){0};
    OK(pipe2(fds, O_CLOEXEC) == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, live) == 0);
    EQ_I(hf_lines_new(&l, fds[0], live[0], &shared, &err), 0);
    EQ_I(hf_lines_start(l, &err), 0);
    say(fds[1], EXEC);
    EQ_I(read(live[1], got, sizeof got) > 0, 1); /* everything goes there */
    OK(hf_span_starts(hf_span(got, sizeof EXEC - 1), HF_S(EXEC)));
    for (unsigned i = 0; i < 200; i++) /* 12 MB, which it does not read: writing never waits for it */
        say(fds[1], CONNECT, (int)sizeof filler, filler);
    poll(NULL, 0, 50);
    OK(HF_SHARED_GET(shared.console_dropped) > 0);
    /* it reads again: a gap is told where it is */
    bool gap = false;
    for (unsigned i = 0; i < 400 && !gap; i++) {
        struct pollfd p = {live[1], POLLIN, 0};
        if (poll(&p, 1, 10) > 0) {
            ssize_t n = read(live[1], got + have, sizeof got - have);
            have += n > 0 ? (size_t)n : 0;
            gap = hf_span_search(hf_span(got, have), HF_S("\"reason\":\"console\"")) != SIZE_MAX;
        } else {
            say(fds[1], EXEC);
        }
    }
    OK(gap);
    hf_lines_end(l);
    close(fds[0]);
    close(fds[1]);
    close(live[0]);
    close(live[1]);
}

int main(void)
{
    hf_log_setup(HF_LOG_ERR, false);
    test_kinds();
    test_order_and_end();
    test_bounds();
    test_console();
    return tap_done();
}
