/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* net-map.h - values of the maps that the network programs and rates.c share (not part of the wire). */
#pragma once
#include <linux/types.h>

#define HF_NET_SOCKS 6144u    /* sockets with something to remember; 270 bytes each */
#define HF_NET_LISTENERS 1024u
#define HF_NET_SEEN 3072u     /* (process, peer) pairs that were told of lately */
#define HF_NET_REPEATS 64u    /* connections of one process to one peer's port (or from one peer) told in settings.dedupe_ns; the
                               * first of the next such time says how many more there were */
#define HF_PAYLOAD_BYTES 512u /* of a stream; DNS messages and TLS hellos: */
#define HF_PAYLOAD_LONG 2048u /* a hello with a post-quantum key share has 1.8 KiB, and its server name may stand last */

/* Packets of one container on one processor, since its first. */
struct hf_rate_counts {
    __u64 tcp_syn_out, tcp_syn_in, tcp_accepted, udp_out, udp_in, icmp_out, packets_out, packets_in, bytes_out, bytes_in;
    __u64 net_ns;
    __u64 points, points_ns; /* of what floods are made of, since the last look at them (net-sock.h) */
};

/* What makes a flood, each in parts of a flood of datagrams.  A container that gets HF_FAST_PER_MS a millisecond on one processor is looked at every HF_FAST_NS: user space adds up
 * the processors and holds it against the rules, whose floors (data/rules/network.yaml) are not below these for what comes in less than a second. */
#define HF_POINTS_UDP 1u
#define HF_POINTS_ACCEPTED 1u
#define HF_POINTS_SYN 5u
#define HF_POINTS_ICMP 5u
#define HF_FAST_POINTS 256u
#define HF_FAST_PER_MS 5u
#define HF_FAST_NS 20000000ull
