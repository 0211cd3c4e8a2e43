/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* gate.h - what gate.bpf.c and its loader agree on. */
#pragma once
#include <linux/types.h>

#define HF_GATE_ALLOW 16u
#define HF_GATE_BURST_NS 100000000ull /* so much of a second may come at once */
enum { HF_GATE_OUT, HF_GATE_IN, HF_GATE_DIRECTIONS };
enum { HF_GATE_PACKETS, HF_GATE_CONNECTS, HF_GATE_BYTES, HF_GATE_RATES };

/* An address that stays reachable.  IPv4 as ::ffff:a.b.c.d. */
struct hf_gate_allow {
    __u8 addr[16];
    __u8 prefix; /* bits that count, 1 to 128 */
    __u8 pad;
    __u16 port;  /* of the other side, host order; 0: any */
};
struct hf_gate_config {
    __u64 rate[HF_GATE_DIRECTIONS][HF_GATE_RATES]; /* a second; 0: no limit */
    __u32 isolate; /* all is dropped but loopback and what is allowed */
    __u32 n_allow;
    struct hf_gate_allow allow[HF_GATE_ALLOW];
    __u32 mark, pad; /* what passes out gets this mark, if it has none: rules below IP know it by that as judged already; 0: none */
};
struct hf_gate_counts {
    __u64 passed_packets, passed_bytes, dropped_packets, dropped_bytes;
    __u64 dropped_by[HF_GATE_RATES]; /* which limit; those of isolation are the rest */
};
