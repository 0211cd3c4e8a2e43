// SPDX-License-Identifier: Apache-2.0
/* The asking end of hand.h. */
#include <errno.h>
#include <pthread.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "base/json.h"
#include "hand/hand.h"

enum { ANSWER_MAX = 32 << 10, PIECE = 256 << 10 };

struct call { /* one that waits; lives in its caller's frame, under the lock */
    struct call *next;
    uint64_t id;
    bool done;
    int rc, memfd;
    char error[512];
};
struct hf_hand {
    int fd, wake; /* wake: the reader shall end.  The socket itself is not shut down: whoever has it next goes on with it */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;
    struct call *calls;
    size_t n;
    uint64_t last_id;
    bool gone;
};

static void give(struct call *c, int rc, const char *error, int memfd)
{
    c->done = true;
    c->rc = rc;
    c->memfd = memfd;
    snprintf(c->error, sizeof c->error, "%s", error);
}

/* With the lock.  All that wait: nobody will answer them. */
static void give_all(struct hf_hand *h)
{
    for (struct call *c = h->calls; c; c = c->next)
        if (!c->done)
            give(c, -ECONNRESET, "the process that was asked ended; whether it was done is not known", -1);
    pthread_cond_broadcast(&h->news);
}

static void answer(struct hf_hand *h, struct hf_span text, int memfd)
{
    struct hf_err ignored = HF_ERR_INIT;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *d = NULL;
    hf_autoclose int fd = memfd;
    double id = 0, rc = 0;
    if (hf_json_parse(text, &d, &ignored) < 0)
        return;
    hf_jnode root = hf_json_root(d);
    pthread_mutex_lock(&h->lock);
    if (hf_jget(root, "hello")) {
        give_all(h);
    } else if (hf_jnum(hf_jget(root, "id"), &id) && hf_jnum(hf_jget(root, "rc"), &rc) && id >= 1 && id < 1e16 && rc <= 0 && rc > -1e6) {
        struct call *c = h->calls;
        while (c && c->id != (uint64_t)id)
            c = c->next;
        if (c && !c->done) { /* else: of one that gave up waiting */
            char why[512];
            struct hf_span s = hf_jgetstr(root, "error");
            snprintf(why, sizeof why, "%.*s", (int)HF_MIN(s.n, sizeof why - 1), s.p ? s.p : "");
            give(c, (int)rc, why, fd);
            fd = -1;
            pthread_cond_broadcast(&h->news);
        }
    }
    pthread_mutex_unlock(&h->lock);
}

static void *reader(void *ctx)
{
    struct hf_hand *h = ctx;
    static const size_t cap = ANSWER_MAX;
    hf_autofree char *buf = malloc(cap);
    for (;;) {
        union {
            char bytes[CMSG_SPACE(sizeof(int))];
            struct cmsghdr align;
        } control;
        struct iovec v = {buf, cap};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = buf ? 1 : 0, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
        struct pollfd p[2] = {{h->fd, POLLIN, 0}, {h->wake, POLLIN, 0}};
        if (poll(p, 2, -1) < 0 && errno == EINTR)
            continue;
        if (p[1].revents)
            break;
        ssize_t n = buf ? recvmsg(h->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) : 0;
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            break;
        int memfd = -1;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
            memcpy(&memfd, CMSG_DATA(c), sizeof memfd);
        answer(h, hf_span(buf, (size_t)n), memfd);
    }
    pthread_mutex_lock(&h->lock);
    h->gone = true;
    give_all(h);
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

int hf_hand_new(struct hf_hand **ret, int fd, struct hf_err *err)
{
    struct hf_hand *h = calloc(1, sizeof *h);
    pthread_condattr_t monotonic;
    uint32_t seed = 0;
    if (!h) {
        close(fd);
        return hf_fail(err, -ENOMEM, "no memory");
    }
    /* Answers to whoever had this socket before must not be taken for answers to us. */
    (void)!getrandom(&seed, sizeof seed, GRND_NONBLOCK);
    h->last_id = (uint64_t)seed << 20;
    h->fd = fd;
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&h->news, &monotonic);
    pthread_condattr_destroy(&monotonic);
    h->wake = eventfd(0, EFD_CLOEXEC);
    int rc = h->wake < 0 ? errno : pthread_create(&h->thread, NULL, reader, h);
    if (rc) {
        hf_closep(&h->wake);
        close(fd);
        free(h);
        return hf_fail(err, -rc, "no thread for answers");
    }
    *ret = h;
    return 0;
}

void hf_hand_free(struct hf_hand *h)
{
    if (!h)
        return;
    (void)!write(h->wake, &(uint64_t){1}, sizeof(uint64_t));
    pthread_join(h->thread, NULL);
    close(h->wake);
    close(h->fd);
    pthread_cond_destroy(&h->news);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

/* request is an object without "id": the id is put in front of its first member. */
static int with_id(struct hf_span request, uint64_t id, struct hf_buf *out, struct hf_err *err)
{
    struct hf_span s = hf_span_trim(request), inner;
    if (s.n < 2 || s.p[0] != '{' || s.p[s.n - 1] != '}')
        return hf_fail(err, HF_E_USAGE, "a request is an object");
    inner = hf_span_trim(hf_span_sub(s, 1, s.n - 2));
    hf_buf_addf(out, "{\"id\":%llu%s", (unsigned long long)id, inner.n ? "," : "");
    hf_buf_adds(out, inner);
    hf_buf_addc(out, '}');
    return hf_buf_ok(out) ? 0 : hf_fail(err, HF_E_LIMIT, "a request is at most %d bytes", HF_HAND_REQUEST_MAX);
}

static int result(int memfd, struct hf_buf *ret, struct hf_err *err)
{
    struct stat st;
    off_t at = 0;
    if (memfd < 0 || !ret)
        return 0;
    if (fstat(memfd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0 || st.st_size > HF_HAND_RESULT_MAX)
        return hf_fail(err, HF_E_LIMIT, "the result is over %d MiB", HF_HAND_RESULT_MAX >> 20);
    while (at < st.st_size) {
        size_t want = (size_t)HF_MIN(st.st_size - at, (off_t)PIECE);
        if (!hf_buf_reserve(ret, want))
            return hf_fail(err, HF_E_LIMIT, "the result of %lld bytes is too large", (long long)st.st_size);
        ssize_t n = pread(memfd, ret->p + ret->n, want, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return hf_fail(err, HF_E_TRUNCATED, "the result ends early");
        ret->n += (size_t)n;
        at += n;
    }
    return 0;
}

/* With the lock: until it is done or the time is over; then it is taken off the list. */
static void wait_done(struct hf_hand *h, struct call *c, const struct timespec *until)
{
    while (!c->done && pthread_cond_timedwait(&h->news, &h->lock, until) != ETIMEDOUT)
        ;
    if (!c->done)
        give(c, -ETIMEDOUT, "no answer in time; whether it was done is not known", -1);
    for (struct call **p = &h->calls; *p; p = &(*p)->next)
        if (*p == c) {
            *p = c->next;
            break;
        }
    h->n--;
}

int hf_hand_call(struct hf_hand *h, struct hf_span request, unsigned timeout_ms, struct hf_buf *ret, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(HF_HAND_REQUEST_MAX);
    struct call c = {.memfd = -1};
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&h->lock);
    c.id = ++h->last_id;
    int rc = h->gone ? hf_fail(err, -ECONNRESET, "the process that is asked is gone") : 0;
    if (rc == 0 && h->n >= HF_HAND_AT_ONCE)
        rc = hf_fail(err, HF_E_LIMIT, "%d requests are under way; try again", HF_HAND_AT_ONCE);
    rc = rc < 0 ? rc : with_id(request, c.id, &text, err);
    if (rc == 0 && send(h->fd, text.p, text.n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)text.n)
        rc = hf_fail(err, errno == EAGAIN ? HF_E_LIMIT : -ECONNRESET, "the request could not be sent: %s", strerror(errno));
    if (rc == 0) {
        c.next = h->calls;
        h->calls = &c;
        h->n++;
        wait_done(h, &c, &until);
    }
    pthread_mutex_unlock(&h->lock);
    hf_autoclose int memfd = c.memfd;
    if (rc == 0 && c.rc < 0)
        rc = hf_fail(err, c.rc, "%s", c.error[0] ? c.error : hf_err_name(c.rc));
    return rc < 0 ? rc : result(memfd, ret, err);
}
