/* SPDX-License-Identifier: Apache-2.0 */
/* ring.h - reads a BPF ring buffer without giving records back before they are dealt with, so that two rings can be merged by
 * time without copying.  Layout: kernel, Documentation/bpf/ringbuf.rst. */
#pragma once
#include "base/span.h"

struct hf_ring {
    int fd; /* of the map, borrowed; becomes readable on a wake-up */
    unsigned long *consumer;
    const unsigned long *producer;
    const char *data;
    size_t size, page;
    unsigned long at; /* consumer's position, also of what is not yet given back */
};

HF_MUSTUSE int hf_ring_open(struct hf_ring *r, int map_fd, size_t bytes, struct hf_err *err);
void hf_ring_close(struct hf_ring *r);
/* The oldest record that is complete: true and *ret, valid until hf_ring_next; false when there is none. */
bool hf_ring_peek(struct hf_ring *r, struct hf_span *ret);
/* Gives the record of the last hf_ring_peek back. */
void hf_ring_next(struct hf_ring *r, struct hf_span record);
/* Bytes that wait. */
size_t hf_ring_pending(const struct hf_ring *r);
