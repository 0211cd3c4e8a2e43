/* SPDX-License-Identifier: Apache-2.0 */
/* frames.h - records leave the privileged process: gathered into frames of up to 64 KiB and sent over a SOCK_SEQPACKET socket.
 *
 * Never blocks.  When the other side is slow, bulk records are to be left in the kernel's ring (hf_frames_room tells), where their
 * loss is counted per container; critical ones are kept here, up to HF_FRAMES_KEEP bytes, and counted when even that is full. */
#pragma once
#include "event/wire.h"
#include "base/span.h"

#define HF_FRAMES_KEEP (2u * 1024 * 1024)

struct hf_frames {
    int fd;
    struct hf_buf now;  /* the frame being gathered */
    struct hf_buf kept; /* whole frames that could not be sent yet, each after its length (4 bytes) */
    size_t kept_at;
    uint64_t records, bytes, lost, sends;
    bool closed; /* the other side is gone */
};
void hf_frames_init(struct hf_frames *f, int fd);
void hf_frames_done(struct hf_frames *f);
/* Room for an ordinary record: nothing is kept back. */
bool hf_frames_room(const struct hf_frames *f);
/* Appends a copy; sends when the frame is full. */
void hf_frames_add(struct hf_frames *f, struct hf_span record);
/* Sends what is there. */
void hf_frames_flush(struct hf_frames *f);

/* Fills the header of a record made by the privileged process itself (CONTAINER, STATUS, LOSS, RATE): version, type, time. */
void hf_record_header(struct hf_wire_hdr *h, unsigned type, uint64_t cgroup_id);
uint64_t hf_boot_ns(void);
/* A record of names and values: begin, add, end (sets lengths, pads).  The buffer is cleared first. */
void hf_pairs_begin(struct hf_buf *b, unsigned type, uint64_t cgroup_id);
void hf_pairs_add(struct hf_buf *b, const char *name, struct hf_span value);
HF_PRINTF(3, 4) void hf_pairs_addf(struct hf_buf *b, const char *name, const char *fmt, ...);
struct hf_span hf_pairs_end(struct hf_buf *b);
