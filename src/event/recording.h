/* SPDX-License-Identifier: Apache-2.0 */
/* recording.h - what the unprivileged side of `watch` received, kept in a file, and read again (docs/formats/recording.md).
 *
 * A recording is one zstd stream: a header with the facts that a replay needs to give the same output (offset of the clocks, names of
 * users, seed of alert ids), then frames of records (wire.h) with the time they arrived, then an end frame that says why it ended.
 * A recording without its end frame was cut off: HF_E_TRUNCATED after everything that could be read.
 *
 * The writer writes to a descriptor and needs nothing else (it works behind the sandbox).  The reader treats every byte as hostile; it
 * checks frames, not records (hf_event_frame, hf_event_decode do).  Memory: 8 MiB of window, the header, one frame.  One thread. */
#pragma once
#include "base/span.h"

#define HF_RECORDING_VERSION 1u
#define HF_RECORDING_FRAME_MAX (1u << 18)         /* bytes of records of one frame */
#define HF_RECORDING_HEADER_MAX (9u << 20)        /* bytes of the header's facts */
#define HF_RECORDING_TOTAL_MAX (64ull << 30)      /* bytes that a reader unpacks */
#define HF_RECORDING_DEFAULT_MAX (1ull << 30)     /* bytes of a file when nothing else was said */

struct hf_recording_facts {
    uint64_t offset_ns;  /* from CLOCK_BOOTTIME to the time since the epoch */
    uint64_t seed;       /* of alert ids */
    uint64_t started_ns; /* CLOCK_BOOTTIME */
    struct hf_span hostname, kernel, program; /* program: version of the writer */
    struct hf_span passwd, group; /* lines "name:x:NUMBER:" */
};

struct hf_recorder;
/* fd is borrowed.  max_bytes: of the file, 0: HF_RECORDING_DEFAULT_MAX. */
HF_MUSTUSE int hf_recorder_new(struct hf_recorder **ret, int fd, uint64_t max_bytes, const struct hf_recording_facts *f, struct hf_err *err);
void hf_recorder_free(struct hf_recorder *r); /* does not end it */
HF_DEFINE_FREEP(struct hf_recorder, hf_recorder_free)
/* Appends what arrived at boot_ns.  What is older than a second is on its way to the disk.  HF_E_LIMIT: the file is full and was ended;
 * -errno: it could not be written.  After an error the recorder takes nothing any more. */
HF_MUSTUSE int hf_recorder_frame(struct hf_recorder *r, uint64_t boot_ns, struct hf_span records, struct hf_err *err);
/* Ends the file with the reason ("stopped"). */
HF_MUSTUSE int hf_recorder_end(struct hf_recorder *r, uint64_t boot_ns, const char *reason, struct hf_err *err);

/* Up to n bytes into buf: how many, 0 at the end, -errno. */
typedef int64_t (*hf_recording_read)(void *ctx, void *buf, size_t n);
/* The same from a descriptor: ctx is an int *. */
int64_t hf_recording_read_fd(void *ctx, void *buf, size_t n);

struct hf_recording;
struct hf_recording_frame {
    uint64_t boot_ns;
    struct hf_span records; /* until the next call */
};
/* Reads the header.  HF_E_FORMAT (no recording), HF_E_UNSUPPORTED (another version), HF_E_TRUNCATED, HF_E_LIMIT. */
HF_MUSTUSE int hf_recording_open(struct hf_recording **ret, hf_recording_read read, void *ctx, struct hf_err *err);
void hf_recording_close(struct hf_recording *r);
HF_DEFINE_FREEP(struct hf_recording, hf_recording_close)
const struct hf_recording_facts *hf_recording_facts(const struct hf_recording *r);
/* 1 and *ret; 0 at the end frame; HF_E_TRUNCATED when it was cut off, HF_E_FORMAT, HF_E_LIMIT. */
HF_MUSTUSE int hf_recording_next(struct hf_recording *r, struct hf_recording_frame *ret, struct hf_err *err);
/* Why it ended; empty before its end. */
struct hf_span hf_recording_reason(const struct hf_recording *r);
