// SPDX-License-Identifier: Apache-2.0
#include "protect/health.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_NS 60000000000ull /* a service may take so long to begin */
#define ANSWER_NS 10000000000ull /* a program's end is told so long after its limit, or not at all */

static int wait_ms; /* of the child */

enum { WELL, NO_NAMESPACE, NO_CONNECTION, NO_ANSWER, BAD_ANSWER, RESULTS };

static bool ready(int fd, short what)
{
    struct pollfd p = {fd, what, 0};
    return poll(&p, 1, wait_ms) == 1 && (p.revents & what);
}

static int connected(const struct hf_prot_health *check)
{
    static const uint8_t mapped[12] = {[10] = 0xff, 0xff};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(check->port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(check->port)};
    bool is_four = !memcmp(check->addr, mapped, sizeof mapped);
    int error = 0;
    socklen_t n = sizeof error;
    memcpy(&four.sin_addr, check->addr + 12, 4);
    memcpy(&six.sin6_addr, check->addr, 16);
    int fd = socket(is_four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int rc = is_four ? connect(fd, (const struct sockaddr *)&four, sizeof four) : connect(fd, (const struct sockaddr *)&six, sizeof six);
    if (rc == 0 || (errno == EINPROGRESS && ready(fd, POLLOUT) && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && !error))
        return fd;
    close(fd);
    return -1;
}

static _Noreturn void child(const struct hf_prot_health *check, int ns)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{.effective = 0}, {.effective = 0}};
    char text[512], answer[32];
    size_t got = 0;
    wait_ms = (int)check->timeout_s * 1000 - 500;
    (void)prctl(PR_SET_NAME, "holdfast-health");
    signal(SIGPIPE, SIG_IGN);
    if (setns(ns, CLONE_NEWNET) < 0 || syscall(SYS_capset, &h, none) < 0)
        _exit(NO_NAMESPACE);
    int fd = connected(check);
    if (fd < 0)
        _exit(NO_CONNECTION);
    if (!check->path.n)
        _exit(WELL);
    int n = snprintf(text, sizeof text, "GET %.*s HTTP/1.0\r\nHost: localhost\r\nUser-Agent: holdfast\r\nConnection: close\r\n\r\n", HF_SPAN_ARG(check->path));
    if (n < 0 || (size_t)n >= sizeof text || send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
        _exit(NO_ANSWER);
    while (got < 12 && ready(fd, POLLIN)) {
        ssize_t more = read(fd, answer + got, sizeof answer - got);
        if (more <= 0)
            break;
        got += (size_t)more;
    }
    if (got < 12 || memcmp(answer, "HTTP/1.", 7) != 0)
        _exit(NO_ANSWER);
    _exit(answer[9] == '2' || answer[9] == '3' ? WELL : BAD_ANSWER);
}

static void result(struct hf_health *h, unsigned what)
{
    static const char *const why[RESULTS] = {"", "its network namespace is not there", "no connection", "no answer", "an answer that is no success"};
    h->failed = what == WELL ? 0 : h->failed + 1;
    h->was_well = h->was_well || what == WELL;
    snprintf(h->why, sizeof h->why, "%s", why[what < RESULTS ? what : NO_ANSWER]);
}

static void collect(struct hf_health *h, const struct hf_prot_health *check, uint64_t now_ns)
{
    int status = 0;
    uint64_t limit_ns = check->timeout_s * 1000000000ull;
    if (h->asked && now_ns - h->since_ns > limit_ns + ANSWER_NS)
        hf_health_told(h, &(struct hf_check_answer){.result = HF_CHECK_NOT_RUN, .text = "its end was not told"});
    if (!h->pid)
        return;
    pid_t done = waitpid(h->pid, &status, WNOHANG);
    if (done == 0 && now_ns - h->since_ns < limit_ns)
        return;
    if (done == 0) {
        kill(h->pid, SIGKILL);
        (void)waitpid(h->pid, NULL, 0);
    }
    h->pid = 0;
    result(h, done == 0 || !WIFEXITED(status) ? NO_ANSWER : (unsigned)WEXITSTATUS(status));
}

void hf_health_told(struct hf_health *h, const struct hf_check_answer *a)
{
    h->asked = false;
    h->not_run[0] = 0;
    if (a->result == HF_CHECK_NOT_RUN)
        snprintf(h->not_run, sizeof h->not_run, "%s", a->text);
    if (a->result != HF_CHECK_WELL && a->result != HF_CHECK_FAILED) /* that says nothing of the service */
        return;
    h->failed = a->result == HF_CHECK_WELL ? 0 : h->failed + 1;
    h->was_well = h->was_well || a->result == HF_CHECK_WELL;
    snprintf(h->why, sizeof h->why, "%s", a->text);
}

static void ask(struct hf_health *h, struct hf_checks *checks, uint64_t container, uint32_t number, uint32_t in_pid)
{
    int rc = checks ? hf_checks_ask(checks, container, in_pid, number) : -EPIPE;
    h->asked = rc == 0;
    if (rc == -EAGAIN) /* soon */
        h->next_ns = 0;
    else if (rc < 0)
        hf_health_told(h, &(struct hf_check_answer){.result = HF_CHECK_NOT_RUN, .text = "the process that runs checks is gone"});
}

static void begin(struct hf_health *h, const struct hf_prot_health *check, uint32_t in_pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/ns/net", in_pid);
    int ns = open(path, O_RDONLY | O_CLOEXEC);
    pid_t pid = ns < 0 ? 0 : fork(); /* who is gone has no service that could be ill: its end is told otherwise */
    if (pid == 0 && ns >= 0)
        child(check, ns);
    if (ns >= 0)
        close(ns);
    h->pid = HF_MAX(pid, 0);
}

bool hf_health_look(struct hf_health *h, const struct hf_prot_health *check, struct hf_checks *checks, uint64_t container, uint32_t number, uint32_t in_pid, uint64_t begin_ns, uint64_t now_ns)
{
    collect(h, check, now_ns);
    bool failed = h->failed >= check->failures && (h->was_well || now_ns - begin_ns > START_NS);
    if (h->pid || h->asked || now_ns < h->next_ns)
        return failed;
    h->next_ns = now_ns + check->every_s * 1000000000ull;
    h->since_ns = now_ns;
    if (check->exec.n)
        ask(h, checks, container, number, in_pid);
    else
        begin(h, check, in_pid);
    return failed;
}

void hf_health_end(struct hf_health *h)
{
    if (!h->pid)
        return;
    kill(h->pid, SIGKILL);
    (void)waitpid(h->pid, NULL, 0);
    h->pid = 0;
}
