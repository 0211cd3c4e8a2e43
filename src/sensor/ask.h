/* SPDX-License-Identifier: Apache-2.0 */
/* ask.h - what the unprivileged half asks of the privileged one, over the socket that brings it the records: which hooks the enabled
 * rules need, and which events may be left out to save cost.  One message of fixed size; the last good one is in force, whole.
 *
 * Who asks is not trusted: it reads hostile bytes all day.  Whatever it says, the acts that tell of an attack on the sensor or end its
 * sight (HF_ASK_KEPT) and all that goes through the critical ring stay; only known bits are taken; a flood of messages changes nothing
 * faster than HF_ASK_BURST at once and one in HF_ASK_EVERY_NS.  The answer is a STATUS record: `asked` with the sequence, and what is in
 * force.  What is no good is said in a STATUS record's `error`, once until a good message comes.
 *
 * hf_ask_read is a pure function over bytes; nothing here touches the kernel. */
#pragma once
#include "base/err.h"
#include "base/span.h"
#include "event/demand.h"
#include "event/wire.h"

#define HF_ASK_MAGIC 0x4b534148u /* "HASK" */
#define HF_ASK_VERSION 1u

/* Types that are told whatever is asked: without them nothing else means anything. */
#define HF_ASK_KEPT (1ull << HF_EV_EXEC | 1ull << HF_EV_CGROUP | 1ull << HF_EV_SIGNAL | 1ull << HF_EV_PTRACE | 1ull << HF_EV_NS | 1ull << HF_EV_MOUNT | \
        1ull << HF_EV_MODULE | 1ull << HF_EV_BPF | 1ull << HF_EV_CAP | 1ull << HF_EV_SOCKET)
/* Types whose ordinary events may be left out (those of the critical ring go out all the same). */
#define HF_ASK_SHEDDABLE (1ull << HF_EV_FORK | 1ull << HF_EV_EXIT | 1ull << HF_EV_FILE | 1ull << HF_EV_NET | 1ull << HF_EV_PAYLOAD | 1ull << HF_EV_MEM | \
        1ull << HF_EV_IO_URING | 1ull << HF_EV_RENAME | HF_SET_RATE)

#define HF_ASK_COSTS 0x1u /* measure the run time of every hook all the time, not now and then */
#define HF_ASK_PACE 0x2u  /* the guard is to hash large files slowly, where nobody waits for a verdict: later, but not less */
#define HF_ASK_FLAGS 0x3u

/* Containers whose ordinary events may be limited to fewer a second than usual, and how few at least. */
#define HF_ASK_LIMITS 4u
#define HF_ASK_LIMIT_MIN 100u
struct hf_ask_limit {
    uint64_t cgroup_id; /* the container's own group; 0: no limit here, per_s is 0 too */
    uint64_t per_s;
};

/* As sent; little-endian, no padding. */
struct hf_ask {
    uint32_t magic;
    uint16_t version, size;  /* of the whole message */
    uint64_t seq;            /* the sender counts; comes back in the answer */
    uint64_t demand;         /* HF_DEMAND_*: classes of hooks that enabled rules need, whatever they cost */
    uint64_t demand_cheap;   /* and those that are worth hooks that nobody pays for who does nothing of the kind, but no others */
    uint64_t shed_container; /* bits 1 << HF_EV_*, of HF_ASK_SHEDDABLE: not told of containers */
    uint64_t shed_host;      /* the same of processes outside containers */
    uint32_t flags;          /* HF_ASK_* */
    uint32_t reserved;       /* 0 */
    struct hf_ask_limit limits[HF_ASK_LIMITS];
};

/* 0 and the message; HF_E_FORMAT: what is wrong with it. */
HF_MUSTUSE int hf_ask_read(struct hf_span bytes, struct hf_ask *ret, struct hf_err *err);
/* Sends one (magic, version and size are filled in); never blocks.  -EAGAIN: not now. */
HF_MUSTUSE int hf_ask_send(int fd, const struct hf_ask *a, struct hf_err *err);

#define HF_ASK_BURST 8u
#define HF_ASK_EVERY_NS 200000000ull
/* How often one may ask. */
struct hf_ask_gate {
    uint64_t tokens, at_ns; /* zero at first: full */
};
bool hf_ask_gate_pass(struct hf_ask_gate *g, uint64_t now_ns);
