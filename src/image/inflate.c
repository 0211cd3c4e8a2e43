/* SPDX-License-Identifier: Apache-2.0 */
#include "image/inflate.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    RING = 6,
    BLOCK = 256 * 1024,
    INPUT = 128 * 1024,
    MAX_RATIO = 200,                    /* text compresses 20:1; only bombs and empty disk images pass this ... */
};
static const uint64_t EXCESS_MAX = 1u << 30; /* ... and those that go a gibibyte beyond do no harm */

struct hf_inflate {
    int fd;
    uint64_t pos, end, start;
    enum hf_compression kind;
    struct hf_inflate_opts o;
    uint64_t produced, excess;
    struct hf_bombs alone;

    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    struct {
        char *p;
        size_t n;
    } ring[RING];
    unsigned head, tail; /* produced, consumed blocks; head - tail <= RING */
    bool held;           /* the consumer still reads block tail */
    bool done, stop;
    int rc;
    struct hf_err err;
};

int hf_compression_of(int fd, uint64_t offset, uint64_t size, enum hf_compression *ret, struct hf_err *err)
{
    unsigned char m[6] = {0};
    struct hf_ra ra = hf_ra_fd(fd, offset, size);
    int rc = hf_ra_read(&ra, 0, m, (size_t)HF_MIN(size, (uint64_t)sizeof m), err);
    return rc < 0 ? rc : hf_compression_of_head(m, ret, err);
}

int hf_compression_of_head(const unsigned char m[6], enum hf_compression *ret, struct hf_err *err)
{
    if (m[0] == 0x1f && m[1] == 0x8b)
        *ret = HF_GZIP;
    else if (memcmp(m, "\x28\xb5\x2f\xfd", 4) == 0 || ((m[0] & 0xf0) == 0x50 && memcmp(m + 1, "\x2a\x4d\x18", 3) == 0))
        *ret = HF_ZSTD; /* a frame, or a skippable frame as zstd:chunked puts in front */
    else if (memcmp(m, "\xfd" "7zXZ", 5) == 0)
        return hf_fail(err, HF_E_UNSUPPORTED, "the layer is compressed with xz; layers are plain, gzip or zstd (OCI image spec, layer.md)");
    else if (memcmp(m, "BZh", 3) == 0)
        return hf_fail(err, HF_E_UNSUPPORTED, "the layer is compressed with bzip2; layers are plain, gzip or zstd (OCI image spec, layer.md)");
    else
        *ret = HF_PLAIN;
    return 0;
}

/* Waits for a free block; NULL when the consumer has stopped. */
static char *next_block(struct hf_inflate *f)
{
    char *p = NULL;
    pthread_mutex_lock(&f->lock);
    while (!f->stop && f->head - f->tail == RING)
        pthread_cond_wait(&f->wake, &f->lock);
    if (!f->stop)
        p = f->ring[f->head % RING].p;
    pthread_mutex_unlock(&f->lock);
    return p;
}

static void publish(struct hf_inflate *f, size_t n)
{
    pthread_mutex_lock(&f->lock);
    f->ring[f->head % RING].n = n;
    f->head++;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
}

static int read_input(struct hf_inflate *f, void *buf, size_t cap, size_t *ret)
{
    size_t n = (size_t)HF_MIN((uint64_t)cap, f->end - f->pos);
    int rc;
    if (f->o.source) {
        rc = f->o.source(f->o.source_ctx, buf, n, &n, &f->err);
    } else {
        struct hf_ra ra = hf_ra_fd(f->fd, 0, f->end);
        rc = hf_ra_read(&ra, f->pos, buf, n, &f->err);
    }
    if (rc < 0)
        return rc;
    f->pos += n;
    if (n == 0)
        f->end = f->pos;
    *ret = n;
    if (f->o.progress)
        f->o.progress(f->o.progress_ctx, n);
    return 0;
}

static int check_output(struct hf_inflate *f, size_t n)
{
    f->produced += n;
    uint64_t consumed = f->pos - f->start;
    if (f->o.max_output && f->produced > f->o.max_output)
        return hf_fail(&f->err, HF_E_LIMIT, "the layer unpacks to more than %llu bytes", (unsigned long long)f->o.max_output);
    uint64_t fair = consumed > UINT64_MAX / MAX_RATIO ? UINT64_MAX : consumed * MAX_RATIO, excess = f->produced > fair ? f->produced - fair : 0;
    if (excess <= f->excess)
        return 0;
    struct hf_bombs *all = f->o.bombs ? f->o.bombs : &f->alone;
    uint64_t total = atomic_fetch_add(&all->excess, excess - f->excess) + (excess - f->excess);
    f->excess = excess;
    if (total > EXCESS_MAX)
        return hf_fail(&f->err, HF_E_LIMIT, "compression bomb: %llu bytes unpack to more than %llu (over %d:1, and with the other layers over a gibibyte beyond that)",
                (unsigned long long)consumed, (unsigned long long)f->produced, MAX_RATIO);
    return 0;
}

static int run_plain(struct hf_inflate *f)
{
    while (f->pos < f->end) {
        char *out = next_block(f);
        size_t n;
        if (!out)
            return 0;
        int rc = read_input(f, out, BLOCK, &n);
        if (rc < 0)
            return rc;
        if (n)
            publish(f, n);
    }
    return 0;
}

/* RFC 1952: members one after another; what follows the last member and does not begin one is padding. */
static int run_gzip(struct hf_inflate *f, unsigned char *in, struct inflate_state *st)
{
    size_t have = 0;
    bool fresh = true;
    isal_inflate_init(st);
    st->crc_flag = ISAL_GZIP;
    for (;;) {
        char *out = next_block(f);
        if (!out)
            return 0;
        st->next_out = (uint8_t *)out;
        st->avail_out = BLOCK;
        bool end = false;
        while (st->avail_out && !end) {
            if (st->avail_in == 0 && f->pos < f->end) {
                int rc = read_input(f, in, INPUT, &have);
                if (rc < 0)
                    return rc;
                st->next_in = in;
                st->avail_in = (uint32_t)have;
            }
            if (st->avail_in == 0 && fresh) {
                end = true;
                break;
            }
            uint32_t in_before = st->avail_in, out_before = st->avail_out;
            int rc = isal_inflate(st);
            if (rc < 0 || (rc > 0 && rc != ISAL_END_INPUT && rc != ISAL_OUT_OVERFLOW))
                return hf_fail_at(&f->err, HF_E_FORMAT, f->pos - f->start - st->avail_in, "gzip data is damaged at byte %llu (code %d)",
                        (unsigned long long)(f->pos - f->start - st->avail_in), rc);
            fresh = false;
            if (st->block_state == ISAL_BLOCK_FINISH) {
                /* Next member, or padding? Its magic may straddle two reads. */
                unsigned char m = 0;
                bool more = st->avail_in != 0;
                if (more) {
                    m = *st->next_in;
                } else if (f->pos < f->end) {
                    int r = read_input(f, in, INPUT, &have);
                    if (r < 0)
                        return r;
                    st->next_in = in;
                    st->avail_in = (uint32_t)have;
                    more = have != 0;
                    m = have ? in[0] : 0;
                }
                if (!more || m != 0x1f) {
                    end = true;
                    f->pos = f->end;
                } else {
                    uint8_t *next_out = st->next_out, *next_in = st->next_in;
                    uint32_t avail_out = st->avail_out, avail_in = st->avail_in;
                    isal_inflate_reset(st);
                    st->crc_flag = ISAL_GZIP;
                    st->next_out = next_out;
                    st->avail_out = avail_out;
                    st->next_in = next_in;
                    st->avail_in = avail_in;
                    fresh = true;
                }
            } else if (st->avail_in == 0 && f->pos >= f->end && st->avail_out) {
                return hf_fail_at(&f->err, HF_E_TRUNCATED, f->pos - f->start, "gzip data ends early, at byte %llu",
                        (unsigned long long)(f->pos - f->start));
            } else if (st->avail_in == in_before && st->avail_out == out_before && st->avail_in) {
                return hf_fail(&f->err, HF_E_FORMAT, "gzip data makes no progress");
            }
        }
        size_t n = BLOCK - st->avail_out;
        int rc = check_output(f, n);
        if (n)
            publish(f, n);
        if (rc < 0 || end)
            return rc;
    }
}

static int run_zstd(struct hf_inflate *f, unsigned char *buf, ZSTD_DStream *z)
{
    ZSTD_inBuffer in = {buf, 0, 0};
    size_t left = 0; /* 0: between frames */
    unsigned log = 10;
    while (log < 31 && (UINT64_C(1) << (log + 1)) <= f->o.max_window)
        log++;
    ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, (int)log);
    for (;;) {
        char *p = next_block(f);
        if (!p)
            return 0;
        ZSTD_outBuffer out = {p, BLOCK, 0};
        bool end = false;
        while (out.pos < out.size && !end) {
            if (in.pos == in.size && f->pos < f->end) {
                size_t n;
                int rc = read_input(f, buf, INPUT, &n);
                if (rc < 0)
                    return rc;
                in.size = n;
                in.pos = 0;
            }
            bool dry = in.pos == in.size;
            if (dry && left == 0) {
                end = true;
                break;
            }
            size_t before = out.pos;
            left = ZSTD_decompressStream(z, &out, &in);
            if (ZSTD_isError(left))
                return hf_fail_at(&f->err, ZSTD_getErrorCode(left) == ZSTD_error_frameParameter_windowTooLarge ? HF_E_LIMIT : HF_E_FORMAT,
                        f->pos - f->start, "zstd data: %s near byte %llu", ZSTD_getErrorName(left), (unsigned long long)(f->pos - f->start));
            if (dry && left != 0 && out.pos == before)
                return hf_fail(&f->err, HF_E_TRUNCATED, "zstd data ends early, at byte %llu", (unsigned long long)(f->pos - f->start));
        }
        int rc = check_output(f, out.pos);
        if (out.pos)
            publish(f, out.pos);
        if (rc < 0 || end)
            return rc;
    }
}

static void *producer(void *ctx)
{
    struct hf_inflate *f = ctx;
    unsigned char *in = malloc(INPUT);
    int rc = in ? 0 : hf_fail(&f->err, -ENOMEM, "out of memory");
    if (!rc && f->kind == HF_PLAIN) {
        rc = run_plain(f);
    } else if (!rc && f->kind == HF_GZIP) {
        struct inflate_state *st = malloc(sizeof *st);
        rc = st ? run_gzip(f, in, st) : hf_fail(&f->err, -ENOMEM, "out of memory");
        free(st);
    } else if (!rc) {
        ZSTD_DStream *z = ZSTD_createDStream();
        rc = z ? run_zstd(f, in, z) : hf_fail(&f->err, -ENOMEM, "out of memory");
        ZSTD_freeDStream(z);
    }
    free(in);
    pthread_mutex_lock(&f->lock);
    f->rc = rc;
    f->done = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

int hf_inflate_start(struct hf_inflate **ret, int fd, uint64_t offset, uint64_t size, enum hf_compression c,
        const struct hf_inflate_opts *o, struct hf_err *err)
{
    struct hf_inflate *f = calloc(1, sizeof *f);
    char *blocks = malloc((size_t)RING * BLOCK);
    if (!f || !blocks) {
        free(f);
        free(blocks);
        return hf_fail(err, -ENOMEM, "out of memory");
    }
    f->fd = fd;
    f->pos = f->start = offset;
    f->end = o->source ? UINT64_MAX : offset + size; /* a source tells its end */
    f->kind = c;
    f->o = *o;
    for (unsigned i = 0; i < RING; i++)
        f->ring[i].p = blocks + (size_t)i * BLOCK;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->wake, NULL);
    int rc = pthread_create(&f->thread, NULL, producer, f);
    if (rc) {
        free(blocks);
        free(f);
        return hf_fail(err, -rc, "starting a thread: %s", hf_err_name(-rc));
    }
    *ret = f;
    return 0;
}

int hf_inflate_pull(struct hf_inflate *f, struct hf_span *ret, struct hf_err *err)
{
    int rc;
    pthread_mutex_lock(&f->lock);
    if (f->held) {
        f->tail++;
        f->held = false;
        pthread_cond_signal(&f->wake);
    }
    while (f->head == f->tail && !f->done)
        pthread_cond_wait(&f->wake, &f->lock);
    if (f->head != f->tail) {
        *ret = hf_span(f->ring[f->tail % RING].p, f->ring[f->tail % RING].n);
        f->held = true;
        rc = 1;
    } else {
        rc = f->rc;
        if (rc < 0 && err)
            *err = f->err;
    }
    pthread_mutex_unlock(&f->lock);
    return rc;
}

void hf_inflate_stop(struct hf_inflate *f)
{
    if (!f)
        return;
    pthread_mutex_lock(&f->lock);
    f->stop = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->wake);
    free(f->ring[0].p);
    free(f);
}
