// SPDX-License-Identifier: Apache-2.0
/* A daemon made up here answers as docker does, in pieces, badly, or not at all. */
#include "sensor/containers/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sensor/containers/bundle.h"
#include "sensor/containers/facts.h"
#include "tap.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define S 1000000000ull
#define JSON                                                                                                                                     \
    "{\"Id\":\"" ID "\",\"Name\":\"/web\",\"Image\":\"sha256:aa\",\"Path\":\"/bin/sh\",\"Args\":[\"-c\",\"true\"],\"State\":{\"Pid\":321},"          \
    "\"HostConfig\":{\"Privileged\":true,\"NetworkMode\":\"host\",\"PidMode\":\"\"},\"Config\":{\"Hostname\":\"h\",\"Image\":\"box:1\",\"Labels\":{\"team\":\"shop\",\"x-token\":\"t\"}}}"
#define OK_HEAD "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nServer: Docker/20.10\r\n\r\n"

static char folder[] = "/tmp/hf-daemon-XXXXXX";
static struct hf_bundle_roots roots = {.prefix = "/no/such/root"};

static int server(unsigned i)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(roots.socket[i], sizeof roots.socket[i], "%s/%u", folder, i);
    roots.n_sockets = i + 1;
    snprintf(at.sun_path, sizeof at.sun_path, "%s", roots.socket[i]);
    unlink(at.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    OK(fd >= 0 && bind(fd, (const struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 4) == 0);
    return fd;
}

static int accepted(int listener, const char *ask)
{
    char text[512];
    int fd = accept(listener, NULL, NULL);
    ssize_t n = fd >= 0 ? recv(fd, text, sizeof text - 1, 0) : -1;
    text[n > 0 ? n : 0] = 0;
    OK(!strncmp(text, ask, strlen(ask)) && strstr(text, " HTTP/1.0\r\n") && strstr(text, "\r\n\r\n"));
    return fd;
}

static void say(int fd, const char *text, bool end)
{
    OK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
    if (end)
        close(fd);
}

static void answers(void)
{
    hf_cleanup(hf_daemon_freep) struct hf_daemon *d = NULL;
    struct hf_span json;
    int first = server(0), second = server(1);
    OK(hf_daemon_new(&d, NULL) == 0 && !hf_daemon_busy(d));
    OK(!hf_daemon_ask(d, &roots, HF_S("../../x"), 1 * S)); /* no id */
    OK(hf_daemon_ask(d, &roots, HF_S(ID), 1 * S) && hf_daemon_busy(d));
    EQ_I(hf_daemon_go(d, 1 * S, &json), 0);
    int fd = accepted(first, "GET /containers/" ID "/json ");
    say(fd, "HTTP/1.0 404 Not Found\r\n\r\n{\"message\":\"No such container\"}", true);
    EQ_I(hf_daemon_go(d, 1 * S, &json), 0); /* the next one is asked */
    fd = accepted(second, "GET /containers/" ID "/json ");
    say(fd, OK_HEAD "{\"Id\":", false);
    EQ_I(hf_daemon_go(d, 1 * S + 1, &json), 0);
    say(fd, "1}", true);
    EQ_I(hf_daemon_go(d, 1 * S + 2, &json), 1);
    EQ_S(json, "{\"Id\":1}");
    OK(!hf_daemon_busy(d));
    EQ_I(hf_daemon_go(d, 2 * S, &json), -ENOENT);

    OK(hf_daemon_ask(d, &roots, HF_S(ID), 10 * S));
    fd = accepted(first, "GET ");
    EQ_I(hf_daemon_go(d, 11 * S, &json), 0); /* says nothing: the other is asked */
    close(fd);
    fd = accepted(second, "GET ");
    EQ_I(hf_daemon_go(d, 12 * S, &json), -ENOENT);
    OK(!hf_daemon_busy(d));
    close(fd);

    OK(hf_daemon_ask(d, &roots, HF_S(ID), 20 * S)); /* too much: the other is asked, which is gone */
    fd = accepted(first, "GET ");
    close(second);
    char much[4096];
    memset(much, ' ', sizeof much - 1);
    much[sizeof much - 1] = 0;
    say(fd, OK_HEAD, false);
    int rc = 0;
    OK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    for (unsigned i = 0; i < 200 && rc == 0; i++) {
        (void)!send(fd, much, strlen(much), MSG_NOSIGNAL);
        rc = hf_daemon_go(d, 20 * S, &json);
    }
    EQ_I(rc, -ENOENT);
    close(fd);
    close(first);
    OK(!hf_daemon_ask(d, &roots, HF_S(ID), 30 * S)); /* nobody listens */
}

static void bodies(void)
{
    static const char *const bad[] = {"", "HTTP/1.0", "HTTP/1.0 200 OK", "HTTP/1.0 200 OK\r\n", "HTTP/1.0 2000 OK\r\n\r", "HTTP/1.0 500 X\r\n\r\n{}", "HTTP/2.0 200 OK\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"};
    struct hf_span body;
    for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++)
        EQ_I(hf_daemon_body(hf_span_z(bad[i]), &body), 0);
    EQ_I(hf_daemon_body(HF_S("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{\r\n\r\n}"), &body), 1);
    EQ_S(body, "{\r\n\r\n}");
}

static void facts(void)
{
    struct hf_bundle b = {.id = HF_S(ID)};
    hf_autobuf out = HF_BUF_INIT(8192);
    struct hf_err err = HF_ERR_INIT;
    EQ_I(hf_daemon_facts(HF_S(JSON), &b, &out, &err), 0);
    struct hf_span all = hf_buf_span(&out);
    EQ_S(hf_fact_get(all, "name"), "web");
    EQ_S(hf_fact_get(all, "image"), "box:1");
    EQ_S(hf_fact_get(all, "command"), "/bin/sh -c true");
    EQ_S(hf_fact_get(all, "privileged"), "1");
    EQ_S(hf_fact_get(all, "host_net"), "1");
    EQ_S(hf_fact_get(all, "host_pid"), "0");
    EQ_S(hf_fact_get(all, "init_pid"), "321");
    EQ_S(hf_fact_get(all, "label.team"), "shop");
    EQ_S(hf_fact_get(all, "label.x-token"), "***");
    OK(b.has_name && b.has_image && !strcmp(b.name_from, "docker-socket") && !strcmp(b.image_from, "docker-socket"));
    struct hf_bundle known = {.id = HF_S(ID), .has_config = true};
    hf_buf_clear(&out);
    EQ_I(hf_daemon_facts(HF_S(JSON), &known, &out, &err), 0);
    EQ_U(hf_fact_get(hf_buf_span(&out), "command").n, 0); /* the bundle has told */
    struct hf_bundle other = {.id = HF_S("00")};
    EQ_I(hf_daemon_facts(HF_S(JSON), &other, &out, &err), HF_E_FORMAT);
    static const char *const texts[] = {"", "{", "[]", "{\"Id\":1}", "{\"Id\":\"" ID "\"}", "{\"Id\":\"" ID "\",\"Config\":[],\"HostConfig\":1,\"Args\":{\"a\":1},\"State\":{\"Pid\":-1e300}}"};
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++) {
        struct hf_bundle c = {.id = HF_S(ID)};
        hf_buf_clear(&out);
        err.msg[0] = 0;
        OK(hf_daemon_facts(hf_span_z(texts[i]), &c, &out, &err) == 0 || err.msg[0]);
        OK(!c.has_name && !c.has_image && !hf_fact_get(hf_buf_span(&out), "init_pid").n);
    }
}

int main(void)
{
    if (geteuid() != 0) { /* sockets of others are not asked */
        bodies();
        facts();
        return tap_done();
    }
    if (!mkdtemp(folder)) {
        OK(!"a folder for the test");
        return tap_done();
    }
    answers();
    bodies();
    facts();
    for (unsigned i = 0; i < 2; i++)
        unlink(roots.socket[i]);
    rmdir(folder);
    return tap_done();
}
