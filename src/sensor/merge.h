/* SPDX-License-Identifier: Apache-2.0 */
/* merge.h - in which order the records of the critical and of the bulk ring are told: by time, since the processes that a critical record is about are among the
 * bulk ones, but no critical record is lost or kept for long for that. */
#pragma once
#include "sensor/ring.h"

#define HF_MERGE_WAIT_NS 1000000000ull /* so long a critical record waits for older ones that the other side has no room for */

enum hf_merge { HF_MERGE_NONE, HF_MERGE_CRITICAL, HF_MERGE_BULK };
/* The next record, and of which ring; hf_ring_next gives it back.  room: the other side takes bulk records; else they stay where they are.  A critical one goes
 * before older bulk ones when it is about no process (rates), when they have let it wait too long, or when its ring is nearly full. */
enum hf_merge hf_merge_next(struct hf_ring *critical, struct hf_ring *bulk, bool room, struct hf_span *ret);
/* ns since boot; 0: no header. */
uint64_t hf_merge_time(struct hf_span record);
