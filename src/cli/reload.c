// SPDX-License-Identifier: Apache-2.0
#include "cli/reload.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/rd.h"

#define BUNDLE_MAX (64u << 20)
#define KIND_RULES 1u
#define KIND_EXCEPTIONS 2u

/* ---- the privileged side ---- */

struct bundle {
    struct hf_buf b;
    uint32_t kind;
};

/* kind, length of the name, length of the text; name with NUL; text. */
static int add_file(void *ctx, const char *name, struct hf_span text, struct hf_err *err)
{
    struct bundle *x = ctx;
    const uint32_t head[3] = {x->kind, (uint32_t)strlen(name) + 1, (uint32_t)text.n};
    hf_buf_add(&x->b, head, sizeof head);
    hf_buf_add(&x->b, name, head[1]);
    hf_buf_adds(&x->b, text);
    return hf_buf_ok(&x->b) ? 0 : hf_fail(err, HF_E_LIMIT, "rules and exceptions are over %u MiB", BUNDLE_MAX >> 20);
}

static int gather(const struct hf_reload *r, struct bundle *x, struct hf_err *err)
{
    struct stat st;
    x->kind = KIND_RULES;
    int rc = hf_cli_each_rule_file(r->rules, add_file, x, err);
    x->kind = KIND_EXCEPTIONS;
    for (size_t i = 0; i < r->exceptions->n && rc == 0; i++)
        rc = hf_cli_each_file(r->exceptions->v[i], add_file, x, err);
    if (rc == 0 && !r->exceptions->n && stat(HF_EXCEPTIONS_DIR, &st) == 0)
        rc = hf_cli_each_file(HF_EXCEPTIONS_DIR, add_file, x, err);
    return rc;
}

static int write_all(int fd, struct hf_span s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -EIO;
        s = hf_span_from(s, (size_t)n);
    }
    return 0;
}

static int send_bundle(const struct hf_reload *r, struct hf_err *err)
{
    struct bundle x = {.b = HF_BUF_INIT(BUNDLE_MAX)};
    hf_autoclose int fd = memfd_create("holdfast-rules", MFD_CLOEXEC);
    int rc = fd < 0 ? hf_fail(err, -errno, "no memory for the files") : gather(r, &x, err);
    if (rc == 0 && (write_all(fd, hf_buf_span(&x.b)) < 0 || lseek(fd, 0, SEEK_SET) != 0))
        rc = hf_fail(err, -EIO, "the files could not be copied");
    hf_buf_done(&x.b);
    if (rc < 0)
        return rc;
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.room = {0}};
    char byte = 1;
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    if (sendmsg(r->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return hf_fail(err, -errno, "the engine does not take them: %s", strerror(errno));
    return 0;
}

static void *wait_for_signal(void *arg)
{
    struct hf_reload *r = arg;
    sigset_t set;
    int sig;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    while (sigwait(&set, &sig) == 0) {
        struct hf_err err = HF_ERR_INIT;
        if (r->terminal && !isatty(STDOUT_FILENO)) { /* hung up: nobody looks any more */
            *r->stop = 1;
            return NULL;
        }
        if (send_bundle(r, &err) < 0)
            hf_log(HF_LOG_ERR, "reload", "not reloaded, the old rules go on: %s", err.msg);
    }
    return NULL;
}

int hf_reload_start(struct hf_reload *r, struct hf_err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    r->terminal = isatty(STDOUT_FILENO);
    int rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
    rc = rc ? rc : pthread_create(&r->thread, NULL, wait_for_signal, r);
    if (rc)
        return hf_fail(err, -rc, "nothing can wait for SIGHUP: %s", strerror(rc));
    r->running = true;
    return 0;
}

void hf_reload_end(struct hf_reload *r)
{
    if (r->running) {
        pthread_cancel(r->thread);
        pthread_join(r->thread, NULL);
        r->running = false;
    }
    hf_closep(&r->fd);
}

/* ---- the other side ---- */

/* The descriptor of the next bundle; 0: closed.  (0 is standard input: never one.) */
static int receive(int fd, struct hf_err *err)
{
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    int got = -1;
    if (n == 0)
        return 0;
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
        return hf_fail(err, n < 0 ? -errno : -EPROTO, "no files came with the message");
    memcpy(&got, CMSG_DATA(c), sizeof got);
    return got;
}

static int unpack(struct hf_span bundle, struct hf_rules *rules, struct hf_excepts *excepts, struct hf_err *err)
{
    struct hf_rd rd = hf_rd(bundle);
    while (hf_rd_left(&rd)) {
        uint32_t head[3] = {0, 0, 0};
        struct hf_span h = hf_rd_span(&rd, sizeof head);
        if (h.n == sizeof head)
            memcpy(head, h.p, sizeof head);
        struct hf_span name = hf_rd_span(&rd, head[1]), text = hf_rd_span(&rd, head[2]);
        if (rd.bad || !name.n || name.p[name.n - 1] != 0)
            return hf_fail(err, HF_E_FORMAT, "the files came damaged");
        int rc = head[0] == KIND_RULES ? hf_rules_add(rules, name.p, text, err) : hf_excepts_add(excepts, name.p, text, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int hf_reload_take(int fd, struct hf_rules **ret_rules, struct hf_excepts **ret_excepts, struct hf_err *err)
{
    hf_cleanup(hf_rules_freep) struct hf_rules *rules = NULL;
    hf_cleanup(hf_excepts_freep) struct hf_excepts *excepts = NULL;
    hf_autobuf bundle = HF_BUF_INIT(BUNDLE_MAX + 1);
    int got = receive(fd, err);
    if (got <= 0)
        return got;
    hf_autoclose int file = got;
    int rc = hf_read_fd(file, &bundle, err);
    rc = rc < 0 ? rc : hf_rules_new(&rules, NULL, err);
    rc = rc < 0 ? rc : hf_excepts_new(&excepts, err);
    rc = rc < 0 ? rc : unpack(hf_buf_span(&bundle), rules, excepts, err);
    rc = rc < 0 ? rc : hf_rules_compile(rules, err);
    if (rc < 0)
        return rc;
    *ret_rules = hf_take(rules);
    *ret_excepts = hf_take(excepts);
    return 1;
}
