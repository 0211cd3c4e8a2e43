// SPDX-License-Identifier: Apache-2.0
#include "sensor/ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/mman.h>

#include "sensor/policy-map.h"

#define BUSY (1u << 31)
#define DISCARDED (1u << 30)
#define TAIL 32768u /* of the data mapped again: more than a record has; all that is mapped counts as resident */
_Static_assert(TAIL >= HF_SCRATCH_BYTES + BPF_RINGBUF_HDR_SZ, "a record fits");

int hf_ring_open(struct hf_ring *r, int map_fd, size_t bytes, struct hf_err *err)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    *r = (struct hf_ring){.fd = map_fd, .size = bytes, .page = page};
    void *consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
    if (consumer == MAP_FAILED)
        return hf_fail(err, -errno, "the ring buffer could not be mapped");
    /* the producer's page, then the data, then its beginning once more, so that a record at the end is in one piece */
    void *producer = mmap(NULL, page + bytes + TAIL, PROT_READ, MAP_SHARED, map_fd, (off_t)page);
    if (producer == MAP_FAILED) {
        int rc = -errno;
        munmap(consumer, page);
        return hf_fail(err, rc, "the ring buffer's data could not be mapped");
    }
    r->consumer = consumer;
    r->producer = producer;
    r->data = (const char *)producer + page;
    r->at = __atomic_load_n(r->consumer, __ATOMIC_ACQUIRE);
    return 0;
}

void hf_ring_close(struct hf_ring *r)
{
    if (r->consumer)
        munmap(r->consumer, r->page);
    if (r->producer)
        munmap((void *)(uintptr_t)r->producer, r->page + r->size + TAIL);
    *r = (struct hf_ring){.fd = -1};
}

static size_t stored(unsigned len)
{
    return ((len & ~(BUSY | DISCARDED)) + BPF_RINGBUF_HDR_SZ + 7u) & ~(size_t)7;
}

bool hf_ring_peek(struct hf_ring *r, struct hf_span *ret)
{
    for (;;) {
        unsigned long end = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
        if (r->at >= end)
            return false;
        const char *at = r->data + (r->at & (r->size - 1));
        unsigned len = __atomic_load_n((const unsigned *)(const void *)at, __ATOMIC_ACQUIRE);
        if (len & BUSY) /* being written; what follows comes later too, in order */
            return false;
        if (!(len & DISCARDED)) {
            *ret = hf_span(at + BPF_RINGBUF_HDR_SZ, len);
            return true;
        }
        r->at += stored(len);
        __atomic_store_n(r->consumer, r->at, __ATOMIC_RELEASE);
    }
}

void hf_ring_next(struct hf_ring *r, struct hf_span record)
{
    r->at += stored((unsigned)record.n);
    __atomic_store_n(r->consumer, r->at, __ATOMIC_RELEASE);
}

size_t hf_ring_pending(const struct hf_ring *r)
{
    return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) - r->at;
}
