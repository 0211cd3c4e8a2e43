// SPDX-License-Identifier: Apache-2.0
#include "sensor/frames.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#define FRAME_BYTES (HF_WIRE_MAX)

void hf_frames_init(struct hf_frames *f, int fd)
{
    *f = (struct hf_frames){.fd = fd, .now = HF_BUF_INIT(FRAME_BYTES), .kept = HF_BUF_INIT(HF_FRAMES_KEEP)};
}

void hf_frames_done(struct hf_frames *f)
{
    hf_buf_done(&f->now);
    hf_buf_done(&f->kept);
}

bool hf_frames_room(const struct hf_frames *f)
{
    return f->kept.n == 0 && !f->closed;
}

/* 1 sent, 0 not now, and the socket's end is remembered. */
static int send_one(struct hf_frames *f, struct hf_span frame)
{
    ssize_t n = send(f->fd, frame.p, frame.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
        f->sends++;
        return 1;
    }
    if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
        return 0;
    f->closed = true;
    return 1;
}

static void send_kept(struct hf_frames *f)
{
    while (f->kept_at < f->kept.n) {
        uint32_t n;
        memcpy(&n, f->kept.p + f->kept_at, sizeof n);
        if (!send_one(f, hf_span(f->kept.p + f->kept_at + sizeof n, n)))
            return;
        f->kept_at += sizeof n + n;
    }
    hf_buf_clear(&f->kept);
    f->kept_at = 0;
}

static uint64_t records_in(struct hf_span frame)
{
    uint64_t n = 0;
    for (size_t at = 0; at < frame.n; n++) {
        uint32_t len;
        memcpy(&len, frame.p + at, sizeof len);
        at += HF_MAX(len, 8u);
    }
    return n;
}

static void keep(struct hf_frames *f, struct hf_span frame)
{
    uint32_t n = (uint32_t)frame.n;
    if (f->kept_at > HF_FRAMES_KEEP / 2) { /* what was sent makes room */
        memmove(f->kept.p, f->kept.p + f->kept_at, f->kept.n - f->kept_at);
        f->kept.n -= f->kept_at;
        f->kept_at = 0;
    }
    if (HF_FRAMES_KEEP - f->kept.n < frame.n + sizeof n) {
        f->lost += records_in(frame);
        return;
    }
    hf_buf_add(&f->kept, &n, sizeof n);
    hf_buf_adds(&f->kept, frame);
}

void hf_frames_flush(struct hf_frames *f)
{
    send_kept(f);
    if (f->now.n == 0)
        return;
    if (f->kept.n > 0 || !send_one(f, hf_buf_span(&f->now)))
        keep(f, hf_buf_span(&f->now));
    hf_buf_clear(&f->now);
}

void hf_frames_add(struct hf_frames *f, struct hf_span record)
{
    if (record.n > FRAME_BYTES || f->closed)
        return;
    if (f->now.n + record.n > FRAME_BYTES)
        hf_frames_flush(f);
    hf_buf_adds(&f->now, record);
    f->records++;
    f->bytes += record.n;
}

uint64_t hf_boot_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void hf_record_header(struct hf_wire_hdr *h, unsigned type, uint64_t cgroup_id)
{
    *h = (struct hf_wire_hdr){
            .type = (uint16_t)type,
            .version = HF_WIRE_VERSION,
            .flags = HF_F_NO_PROC,
            .time_ns = hf_boot_ns(),
            .cgroup_id = cgroup_id,
            .login_uid = UINT32_MAX,
            .session_id = UINT32_MAX,
    };
}

void hf_pairs_begin(struct hf_buf *b, unsigned type, uint64_t cgroup_id)
{
    struct hf_wire_pairs p = {.pairs_len = 0};
    hf_buf_clear(b);
    hf_record_header(&p.h, type, cgroup_id);
    hf_buf_add(b, &p, sizeof p);
}

void hf_pairs_add(struct hf_buf *b, const char *name, struct hf_span value)
{
    if (value.n && memchr(value.p, 0, value.n)) /* a value cannot hold the separator: what follows it is left out */
        value.n = (size_t)((const char *)memchr(value.p, 0, value.n) - value.p);
    hf_buf_add(b, name, strlen(name) + 1);
    hf_buf_adds(b, value);
    hf_buf_addc(b, 0);
}

void hf_pairs_addf(struct hf_buf *b, const char *name, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    hf_pairs_add(b, name, hf_span(text, n < 0 ? 0 : HF_MIN((size_t)n, sizeof text - 1)));
}

struct hf_span hf_pairs_end(struct hf_buf *b)
{
    if (!hf_buf_ok(b) || b->n < sizeof(struct hf_wire_pairs))
        return hf_span(NULL, 0);
    struct hf_wire_pairs p;
    memcpy(&p, b->p, sizeof p);
    p.pairs_len = (uint32_t)(b->n - sizeof p);
    while (b->n % 8)
        hf_buf_addc(b, 0);
    if (!hf_buf_ok(b))
        return hf_span(NULL, 0);
    p.h.len = (uint32_t)b->n;
    memcpy(b->p, &p, sizeof p);
    return hf_buf_span(b);
}
