// SPDX-License-Identifier: Apache-2.0
#include "sensor/merge.h"

#include "event/wire.h"
#include "sensor/frames.h"

uint64_t hf_merge_time(struct hf_span record)
{
    uint64_t t = 0;
    if (record.n >= sizeof(struct hf_wire_hdr))
        memcpy(&t, record.p + offsetof(struct hf_wire_hdr, time_ns), sizeof t);
    return t;
}

static bool overtakes(const struct hf_ring *critical, struct hf_span record, bool room)
{
    struct hf_wire_hdr h;
    if (record.n < sizeof h || hf_ring_pending(critical) > critical->size / 4 * 3)
        return true;
    memcpy(&h, record.p, sizeof h);
    return h.type == HF_EV_RATE || (!room && hf_boot_ns() - h.time_ns >= HF_MERGE_WAIT_NS);
}

enum hf_merge hf_merge_next(struct hf_ring *critical, struct hf_ring *bulk, bool room, struct hf_span *ret)
{
    struct hf_span b;
    bool has = hf_ring_peek(critical, ret), waits = hf_ring_peek(bulk, &b); /* in this order: then what came before a critical record is seen with it */
    if (has && (!waits || hf_merge_time(*ret) <= hf_merge_time(b) || overtakes(critical, *ret, room)))
        return HF_MERGE_CRITICAL;
    if (!waits || !room)
        return HF_MERGE_NONE;
    *ret = b;
    return HF_MERGE_BULK;
}
