// SPDX-License-Identifier: Apache-2.0
#include "hand/serve.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/json.h"

int hf_serve_take(int fd, char *buf, size_t cap, size_t *ret_n, struct hf_err *err)
{
    for (;;) {
        struct iovec v = {buf, cap};
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1}; /* no room for descriptors: the kernel closes what is sent along */
        ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0)
            return hf_fail(err, -errno, "a request could not be read: %s", strerror(errno));
        if (n == 0)
            return hf_fail(err, -ECONNRESET, "the other end is gone");
        if (m.msg_flags & MSG_TRUNC)
            return hf_fail(err, HF_E_LIMIT, "a request of more than %zu bytes", cap);
        *ret_n = (size_t)n;
        return 1;
    }
}

static int send_json(int fd, struct hf_span text, int memfd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.bytes = {0}};
    struct iovec v = {(void *)(uintptr_t)text.p, text.n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (memfd >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &memfd, sizeof memfd);
    }
    return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)text.n ? 0 : -errno;
}

int hf_serve_answer(int fd, uint64_t id, int rc, const char *error, int memfd, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(16384);
    struct hf_jw w;
    hf_jw_init(&w, &text, false);
    hf_jw_object(&w);
    hf_jw_ku64(&w, "id", id);
    hf_jw_key(&w, "rc");
    hf_jw_i64(&w, rc);
    if (rc < 0)
        hf_jw_kstr(&w, "error", hf_span_sub(hf_span_z(error), 0, 1000));
    hf_jw_object_end(&w);
    int sent = hf_buf_ok(&text) ? send_json(fd, hf_buf_span(&text), memfd) : -ENOMEM;
    return sent < 0 ? hf_fail(err, sent, "an answer could not be sent: %s", strerror(-sent)) : 0;
}

void hf_serve_hello(int fd)
{
    (void)send_json(fd, HF_S("{\"hello\":true}"), -1);
}

int hf_serve_memory(struct hf_span bytes, struct hf_err *err)
{
    int fd = memfd_create("holdfast-result", MFD_CLOEXEC);
    size_t done = 0;
    if (fd < 0)
        return hf_fail(err, -errno, "no memory file: %s", strerror(errno));
    while (done < bytes.n) {
        ssize_t n = write(fd, bytes.p + done, bytes.n - done);
        if (n <= 0 && errno != EINTR) {
            int rc = n < 0 ? -errno : -EIO;
            close(fd);
            return hf_fail(err, rc, "a result of %zu bytes could not be kept: %s", bytes.n, strerror(-rc));
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return fd;
}
