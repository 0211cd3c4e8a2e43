// SPDX-License-Identifier: Apache-2.0
#include "event/recording.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/rd.h"
#include "event/event.h"

#define MAGIC "HFRECORD"
#define KIND_RECORDS 1u
#define KIND_END 2u
#define LEVEL 3
#define WINDOW_LOG 21 /* written; 2 MiB */
#define WINDOW_LOG_MAX 23 /* read */
#define FLUSH_NS 1000000000u
#define END_RESERVE 65536u /* bytes of the file kept free for what the compressor holds and the end */
#define PIECE 65536u

struct hf_recorder {
    int fd;
    ZSTD_CCtx *z;
    struct hf_buf in; /* gathered for one call of the compressor */
    uint64_t written, pending, max, flushed_ns;
    bool done;
    char out[PIECE];
};

static void add_u32(struct hf_buf *b, uint32_t v)
{
    hf_buf_add(b, &v, sizeof v); /* little-endian, as the records are */
}

static void add_u64(struct hf_buf *b, uint64_t v)
{
    hf_buf_add(b, &v, sizeof v);
}

static int write_all(int fd, const char *p, size_t n, struct hf_err *err)
{
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return hf_fail(err, w < 0 ? -errno : -EIO, "the recording could not be written: %s", strerror(w < 0 ? errno : EIO));
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

/* Compresses what was gathered. */
static int pack(struct hf_recorder *r, ZSTD_EndDirective how, struct hf_err *err)
{
    if (!hf_buf_ok(&r->in))
        return hf_fail(err, -ENOMEM, "no memory for the recording");
    ZSTD_inBuffer in = {r->in.p, r->in.n, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {r->out, sizeof r->out, 0};
        left = ZSTD_compressStream2(r->z, &out, &in, how);
        if (ZSTD_isError(left))
            return hf_fail(err, HF_E_FORMAT, "the recording could not be compressed: %s", ZSTD_getErrorName(left));
        int rc = write_all(r->fd, r->out, out.pos, err);
        if (rc < 0)
            return rc;
        r->written += out.pos;
    } while (in.pos < in.size || (how != ZSTD_e_continue && left));
    r->pending += r->in.n;
    if (how != ZSTD_e_continue)
        r->pending = 0;
    hf_buf_clear(&r->in);
    return 0;
}

static void pair(struct hf_buf *b, const char *name, struct hf_span value)
{
    hf_buf_add(b, name, strlen(name) + 1);
    hf_buf_adds(b, value);
    hf_buf_addc(b, 0);
}

static void pair_u64(struct hf_buf *b, const char *name, uint64_t v)
{
    hf_autobuf text = HF_BUF_INIT(32);
    hf_buf_addf(&text, "%llu", (unsigned long long)v);
    pair(b, name, hf_buf_span(&text));
}

int hf_recorder_new(struct hf_recorder **ret, int fd, uint64_t max_bytes, const struct hf_recording_facts *f, struct hf_err *err)
{
    hf_cleanup(hf_recorder_freep) struct hf_recorder *r = calloc(1, sizeof *r);
    hf_autobuf pairs = HF_BUF_INIT(HF_RECORDING_HEADER_MAX);
    if (!r || !(r->z = ZSTD_createCCtx()))
        return hf_fail(err, -ENOMEM, "no memory for the recording");
    r->fd = fd;
    r->max = max_bytes ? max_bytes : HF_RECORDING_DEFAULT_MAX;
    hf_buf_init(&r->in, HF_RECORDING_HEADER_MAX + 4096);
    if (ZSTD_isError(ZSTD_CCtx_setParameter(r->z, ZSTD_c_compressionLevel, LEVEL)) || ZSTD_isError(ZSTD_CCtx_setParameter(r->z, ZSTD_c_windowLog, WINDOW_LOG)) ||
            ZSTD_isError(ZSTD_CCtx_setParameter(r->z, ZSTD_c_checksumFlag, 1)))
        return hf_fail(err, HF_E_UNSUPPORTED, "libzstd refuses the parameters of a recording");
    pair_u64(&pairs, "offset_ns", f->offset_ns);
    pair_u64(&pairs, "seed", f->seed);
    pair_u64(&pairs, "started_ns", f->started_ns);
    pair(&pairs, "hostname", f->hostname);
    pair(&pairs, "kernel", f->kernel);
    pair(&pairs, "program", f->program);
    pair(&pairs, "passwd", f->passwd);
    pair(&pairs, "group", f->group);
    if (!hf_buf_ok(&pairs))
        return hf_fail(err, HF_E_LIMIT, "the names of users and groups are over %u MiB", HF_RECORDING_HEADER_MAX >> 20);
    hf_buf_addz(&r->in, MAGIC);
    add_u32(&r->in, HF_RECORDING_VERSION);
    add_u32(&r->in, (uint32_t)pairs.n);
    hf_buf_adds(&r->in, hf_buf_span(&pairs));
    int rc = pack(r, ZSTD_e_flush, err);
    if (rc < 0)
        return rc;
    r->flushed_ns = f->started_ns;
    *ret = hf_take(r);
    return 0;
}

void hf_recorder_free(struct hf_recorder *r)
{
    if (!r)
        return;
    ZSTD_freeCCtx(r->z);
    hf_buf_done(&r->in);
    free(r);
}

/* Damage must not become an event: zstd's own checksum comes after the content. */
static uint32_t check_of(const char head[16], struct hf_span bytes)
{
    uLong crc = crc32(0, (const Bytef *)head, 16);
    return (uint32_t)crc32(crc, (const Bytef *)(bytes.p ? bytes.p : ""), (uInt)bytes.n);
}

static void add_frame(struct hf_recorder *r, unsigned kind, uint64_t boot_ns, struct hf_span bytes)
{
    size_t from = r->in.n;
    add_u32(&r->in, (uint32_t)bytes.n);
    add_u32(&r->in, kind);
    add_u64(&r->in, boot_ns);
    if (!hf_buf_ok(&r->in)) /* pack tells */
        return;
    add_u32(&r->in, check_of(r->in.p + from, bytes));
    add_u32(&r->in, 0);
    hf_buf_adds(&r->in, bytes);
}

int hf_recorder_frame(struct hf_recorder *r, uint64_t boot_ns, struct hf_span records, struct hf_err *err)
{
    if (r->done)
        return hf_fail(err, HF_E_LIMIT, "the recording has ended");
    if (records.n > HF_RECORDING_FRAME_MAX)
        return hf_fail(err, HF_E_LIMIT, "a frame of %zu bytes", records.n);
    /* as if nothing could be compressed: never over the limit */
    if (r->written + r->pending + records.n + END_RESERVE > r->max) {
        int rc = pack(r, ZSTD_e_flush, err);
        if (rc == 0 && r->written + records.n + END_RESERVE > r->max) {
            rc = hf_recorder_end(r, boot_ns, "limit", err);
            return rc < 0 ? rc : hf_fail(err, HF_E_LIMIT, "the recording has reached its limit of %llu bytes; what happens from now on is not in it", (unsigned long long)r->max);
        }
        if (rc < 0) {
            r->done = true;
            return rc;
        }
    }
    add_frame(r, KIND_RECORDS, boot_ns, records);
    bool flush = boot_ns - r->flushed_ns >= FLUSH_NS;
    int rc = pack(r, flush ? ZSTD_e_flush : ZSTD_e_continue, err);
    r->flushed_ns = flush ? boot_ns : r->flushed_ns;
    r->done = rc < 0;
    return rc;
}

int hf_recorder_end(struct hf_recorder *r, uint64_t boot_ns, const char *reason, struct hf_err *err)
{
    if (r->done)
        return 0;
    r->done = true;
    add_frame(r, KIND_END, boot_ns, hf_span_z(reason));
    return pack(r, ZSTD_e_end, err);
}

/* ---- reading ---- */

struct hf_recording {
    hf_recording_read read;
    void *ctx;
    ZSTD_DCtx *z;
    struct hf_buf pairs, frame, reason;
    struct hf_recording_facts facts;
    uint64_t total;
    size_t in_n, in_at, out_n, out_at, want; /* want: input up to the next block's end */
    bool eof, any, ended; /* any: the input has bytes */
    char in[PIECE], out[PIECE];
};

int64_t hf_recording_read_fd(void *ctx, void *buf, size_t n)
{
    ssize_t got;
    do {
        got = read(*(const int *)ctx, buf, n);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

/* Unpacks some more into out.  1, 0 at the end of the input. */
static int unpack(struct hf_recording *r, struct hf_err *err)
{
    for (;;) {
        if (r->in_at == r->in_n && !r->eof) {
            int64_t got = r->read(r->ctx, r->in, sizeof r->in);
            if (got < 0)
                return hf_fail(err, (int)got, "the recording could not be read: %s", strerror((int)-got));
            r->in_n = (size_t)got;
            r->in_at = 0;
            r->eof = got == 0;
            r->any |= got > 0;
        }
        /* block by block: what comes before a damaged one is not lost with it */
        ZSTD_inBuffer in = {r->in, HF_MIN(r->in_n, r->in_at + HF_MAX(r->want, (size_t)1)), r->in_at};
        ZSTD_outBuffer out = {r->out, sizeof r->out, 0};
        size_t hint = ZSTD_decompressStream(r->z, &out, &in);
        if (ZSTD_isError(hint))
            return r->total ? hf_fail_at(err, HF_E_FORMAT, r->total, "the recording is damaged: %s", ZSTD_getErrorName(hint))
                            : hf_fail(err, HF_E_FORMAT, "not a recording (%s)", ZSTD_getErrorName(hint));
        r->want = hint;
        r->in_at = in.pos;
        r->out_n = out.pos;
        r->out_at = 0;
        r->total += out.pos;
        if (r->total > HF_RECORDING_TOTAL_MAX)
            return hf_fail(err, HF_E_LIMIT, "the recording unpacks to more than %llu GiB", HF_RECORDING_TOTAL_MAX >> 30);
        if (out.pos)
            return 1;
        if (r->eof)
            return 0;
    }
}

/* Exactly n bytes: 1; 0 when the input ends before the first; HF_E_TRUNCATED. */
static int get(struct hf_recording *r, void *to, size_t n, struct hf_err *err)
{
    size_t have = 0;
    while (have < n) {
        if (r->out_at == r->out_n) {
            int rc = unpack(r, err);
            if (rc < 0)
                return rc;
            if (rc == 0)
                return have ? hf_fail_at(err, HF_E_TRUNCATED, r->total, "the recording was cut off") : 0;
        }
        size_t m = HF_MIN(n - have, r->out_n - r->out_at);
        memcpy((char *)to + have, r->out + r->out_at, m);
        r->out_at += m;
        have += m;
    }
    return 1;
}

static int cut_off(struct hf_recording *r, int rc, struct hf_err *err)
{
    return rc != 0 ? rc : hf_fail_at(err, HF_E_TRUNCATED, r->total, "the recording was cut off");
}

static int get_into(struct hf_recording *r, struct hf_buf *b, size_t n, struct hf_err *err)
{
    hf_buf_clear(b);
    if (!hf_buf_reserve(b, n))
        return hf_fail(err, -ENOMEM, "no memory for the recording");
    int rc = n ? cut_off(r, get(r, b->p, n, err), err) : 1;
    b->n = rc > 0 ? n : 0;
    return rc;
}

static int take_facts(struct hf_recording *r, struct hf_err *err)
{
    struct hf_span rest = hf_buf_span(&r->pairs), name, value;
    struct {
        const char *name;
        uint64_t *number;
        struct hf_span *text;
        bool seen;
    } known[] = {{"offset_ns", &r->facts.offset_ns, NULL, false}, {"seed", &r->facts.seed, NULL, false}, {"started_ns", &r->facts.started_ns, NULL, false},
            {"hostname", NULL, &r->facts.hostname, false}, {"kernel", NULL, &r->facts.kernel, false}, {"program", NULL, &r->facts.program, false},
            {"passwd", NULL, &r->facts.passwd, false}, {"group", NULL, &r->facts.group, false}};
    while (hf_event_pair(&rest, &name, &value))
        for (size_t i = 0; i < HF_ARRAY_LEN(known); i++) {
            if (!hf_span_eqz(name, known[i].name))
                continue;
            if (known[i].number && hf_parse_u64(value, 10, 0, UINT64_MAX, known[i].number) < 0)
                return hf_fail(err, HF_E_FORMAT, "the recording's %s is no number", known[i].name);
            if (known[i].text)
                *known[i].text = value;
            known[i].seen = true;
        }
    if (!known[0].seen)
        return hf_fail(err, HF_E_FORMAT, "the recording does not say the offset of its clock");
    return 0;
}

int hf_recording_open(struct hf_recording **ret, hf_recording_read read, void *ctx, struct hf_err *err)
{
    hf_cleanup(hf_recording_closep) struct hf_recording *r = calloc(1, sizeof *r);
    char head[16];
    uint32_t version, len;
    if (!r || !(r->z = ZSTD_createDCtx()))
        return hf_fail(err, -ENOMEM, "no memory for the recording");
    (void)ZSTD_DCtx_setParameter(r->z, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    r->want = ZSTD_initDStream(r->z);
    r->read = read;
    r->ctx = ctx;
    hf_buf_init(&r->pairs, HF_RECORDING_HEADER_MAX);
    hf_buf_init(&r->frame, HF_RECORDING_FRAME_MAX);
    hf_buf_init(&r->reason, 256);
    int rc = get(r, head, sizeof head, err);
    if (rc == 0 || rc == HF_E_TRUNCATED)
        return hf_fail(err, r->any ? HF_E_TRUNCATED : HF_E_FORMAT, r->any ? "the recording ends within its header" : "not a recording: the file is empty");
    if (rc < 0)
        return rc;
    if (memcmp(head, MAGIC, 8) != 0)
        return hf_fail(err, HF_E_FORMAT, "not a recording (zstd, but of something else)");
    memcpy(&version, head + 8, sizeof version);
    memcpy(&len, head + 12, sizeof len);
    if (version != HF_RECORDING_VERSION)
        return hf_fail(err, HF_E_UNSUPPORTED, "a recording of version %u; this program reads version %u", version, HF_RECORDING_VERSION);
    if (len > HF_RECORDING_HEADER_MAX)
        return hf_fail(err, HF_E_LIMIT, "the recording's header has %u bytes", len);
    rc = get_into(r, &r->pairs, len, err);
    rc = rc < 0 ? rc : take_facts(r, err);
    if (rc < 0)
        return rc;
    *ret = hf_take(r);
    return 0;
}

void hf_recording_close(struct hf_recording *r)
{
    if (!r)
        return;
    ZSTD_freeDCtx(r->z);
    hf_buf_done(&r->pairs);
    hf_buf_done(&r->frame);
    hf_buf_done(&r->reason);
    free(r);
}

const struct hf_recording_facts *hf_recording_facts(const struct hf_recording *r)
{
    return &r->facts;
}

struct hf_span hf_recording_reason(const struct hf_recording *r)
{
    return hf_buf_span(&r->reason);
}

int hf_recording_next(struct hf_recording *r, struct hf_recording_frame *ret, struct hf_err *err)
{
    char head[24];
    uint32_t len, kind, check;
    if (r->ended)
        return 0;
    int rc = cut_off(r, get(r, head, sizeof head, err), err);
    if (rc < 0)
        return rc;
    memcpy(&len, head, sizeof len);
    memcpy(&kind, head + 4, sizeof kind);
    memcpy(&check, head + 16, sizeof check);
    if (len > HF_RECORDING_FRAME_MAX || (kind == KIND_END && len > 256))
        return hf_fail_at(err, HF_E_LIMIT, r->total, "the recording is damaged: a frame of %u bytes", len);
    if (kind != KIND_RECORDS && kind != KIND_END)
        return hf_fail_at(err, HF_E_FORMAT, r->total, "the recording is damaged: a frame of unknown kind %u", kind);
    rc = get_into(r, kind == KIND_END ? &r->reason : &r->frame, len, err);
    if (rc < 0)
        return rc;
    if (check_of(head, hf_buf_span(kind == KIND_END ? &r->reason : &r->frame)) != check)
        return hf_fail_at(err, HF_E_FORMAT, r->total, "the recording is damaged: a frame has another checksum");
    if (kind == KIND_END) {
        r->ended = true;
        return 0;
    }
    memcpy(&ret->boot_ns, head + 8, sizeof ret->boot_ns);
    ret->records = hf_buf_span(&r->frame);
    return 1;
}
