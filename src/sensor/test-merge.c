// SPDX-License-Identifier: Apache-2.0
#include "sensor/merge.h"

#include <linux/bpf.h>

#include "event/wire.h"
#include "sensor/frames.h"
#include "tap.h"

#define SIZE 8192u
#define SECOND 1000000000ull

struct made {
    struct hf_ring r;
    unsigned long consumer, producer;
    char data[2 * SIZE];
};
static struct made critical, bulk;

static void clear(struct made *m)
{
    m->consumer = m->producer = 0;
    m->r = (struct hf_ring){.fd = -1, .consumer = &m->consumer, .producer = &m->producer, .data = m->data, .size = SIZE};
}

/* As the kernel lays a record down. */
static void put(struct made *m, unsigned type, uint64_t age_ns)
{
    struct hf_wire_hdr h = {.type = (uint16_t)type, .len = sizeof h, .time_ns = hf_boot_ns() - age_ns};
    uint32_t len = sizeof h;
    memcpy(m->data + m->producer, &len, sizeof len);
    memcpy(m->data + m->producer + BPF_RINGBUF_HDR_SZ, &h, sizeof h);
    m->producer += (sizeof h + BPF_RINGBUF_HDR_SZ + 7) & ~7ul;
}

static enum hf_merge next(bool room)
{
    struct hf_span record;
    enum hf_merge which = hf_merge_next(&critical.r, &bulk.r, room, &record);
    if (which != HF_MERGE_NONE)
        hf_ring_next(which == HF_MERGE_CRITICAL ? &critical.r : &bulk.r, record);
    return which;
}

static void begin(uint64_t critical_ns, uint64_t bulk_ns)
{
    clear(&critical);
    clear(&bulk);
    if (critical_ns)
        put(&critical, HF_EV_EXEC, critical_ns);
    if (bulk_ns)
        put(&bulk, HF_EV_EXEC, bulk_ns);
}

int main(void)
{
    begin(0, 0);
    EQ_I(next(true), HF_MERGE_NONE);
    begin(SECOND / 10, SECOND / 5);
    EQ_I(next(true), HF_MERGE_BULK); /* by time */
    EQ_I(next(true), HF_MERGE_CRITICAL);
    EQ_I(next(true), HF_MERGE_NONE);
    begin(SECOND / 5, SECOND / 10);
    EQ_I(next(false), HF_MERGE_CRITICAL);
    EQ_I(next(false), HF_MERGE_NONE); /* bulk stays where it is */
    EQ_I(next(true), HF_MERGE_BULK);
    begin(SECOND / 2, SECOND);
    EQ_I(next(false), HF_MERGE_NONE); /* waits for the older one */
    begin(2 * SECOND, 3 * SECOND);
    EQ_I(next(true), HF_MERGE_BULK); /* however late: the older one can go */
    begin(2 * SECOND, 3 * SECOND);
    EQ_I(next(false), HF_MERGE_CRITICAL); /* not for ever */
    begin(0, SECOND);
    put(&critical, HF_EV_RATE, 1000);
    EQ_I(next(false), HF_MERGE_CRITICAL); /* about no process */

    begin(0, SECOND);
    unsigned n = 0;
    for (; critical.producer <= SIZE / 4 * 3; n++)
        put(&critical, HF_EV_EXEC, 1000000);
    EQ_I(next(false), HF_MERGE_CRITICAL); /* those behind it could be lost */
    EQ_I(next(false), HF_MERGE_NONE);     /* and no longer than that */
    EQ_I(next(true), HF_MERGE_BULK);
    for (unsigned i = 1; i < n; i++)
        EQ_I(next(true), HF_MERGE_CRITICAL);
    EQ_I(next(true), HF_MERGE_NONE);
    return tap_done();
}
