/* SPDX-License-Identifier: Apache-2.0 */
/* guarded.h - the sensor's end of the channel to the guard (guard/guard.h): copies of what starts and is mapped in containers go there, verdicts
 * come back.
 *
 * Neither side waits: what does not fit is dropped and counted.  A program of the image's own layers that was found as the image has it is not
 * sent again for HF_GUARDED_AGAIN_NS: a look-up in a small table, which is all that a storm of programs costs here.  What lies in the
 * writable layer, or on a volume, is sent each time. */
#pragma once
#include "sensor/frames.h"

#define HF_GUARDED_AGAIN_NS 60000000000ull
#define HF_GUARDED_KNOWN 8192u

/* Names of STATUS records that stay between the two: what the guard cost so far, and whether it is to take its time with large files. */
#define HF_GUARD_COST "guard_cost" /* "CPU HASH LARGE KERNEL BYTES VERDICTS": ns of all, of hashing, of that of large files, of its programs in the kernel */
#define HF_GUARD_PACE "guard_pace" /* "1", "0" */
enum { HF_GUARDED_CPU, HF_GUARDED_HASH, HF_GUARDED_LARGE, HF_GUARDED_KERNEL, HF_GUARDED_BYTES, HF_GUARDED_VERDICTS, HF_GUARDED_COSTS };

struct hf_guarded {
    struct hf_frames frames; /* fd -1: there is no guard */
    struct hf_guarded_known {
        uint64_t key, until_ns; /* key 0: free */
    } *known;
    uint64_t verdicts, skipped, lost_told, bad;
    uint64_t cost[HF_GUARDED_COSTS]; /* as it said last */
    bool gone, gone_told, paced;
};
/* fd: -1 for none. */
HF_MUSTUSE int hf_guarded_init(struct hf_guarded *g, int fd, struct hf_err *err);
void hf_guarded_done(struct hf_guarded *g);
/* Until it has said something, which it does when all that it attaches is attached; so long at most. */
void hf_guarded_wait(const struct hf_guarded *g, int ms);
/* A record of container cgroup_id, if it is of a type that the guard wants. */
void hf_guarded_send(struct hf_guarded *g, struct hf_span record, uint64_t cgroup_id, uint64_t now_ns);
void hf_guarded_flush(struct hf_guarded *g);
/* Large files are hashed slowly, where nobody waits for the verdict.  Told when that changes. */
void hf_guarded_pace(struct hf_guarded *g, bool on);
/* What came back, at most a few frames: each record that is for the other half goes to tell. */
void hf_guarded_read(struct hf_guarded *g, uint64_t now_ns, void (*tell)(void *ctx, struct hf_span record), void *ctx);
