/* SPDX-License-Identifier: Apache-2.0 */
/* isolate.h - all traffic of a container dropped, in and out, IPv4, IPv6 and below, but loopback and named addresses; or limited in the absence
 * of a control group to do that in.  By nftables in its network namespace: one transaction, one table of our own. */
#pragma once
#include "respond/bpf/gate.h"
#include "respond/netns.h"

#define HF_ISOLATE_TABLE "holdfast"
#define HF_LIMIT_TABLE "holdfast_limit"

struct hf_isolate_did {
    unsigned namespaces, cut; /* how many it was put into, connections that were ended */
    bool cut_unsupported, egress; /* egress: packets below IP (AF_PACKET) are dropped, too */
};
/* The commands alone, for tests and --dry-run.  devices: names of interfaces (checked), for the egress part; 0: without. */
void hf_isolate_commands(const struct hf_gate_config *c, const char *const *devices, size_t n, struct hf_buf *out);
void hf_limit_commands(const struct hf_gate_config *c, struct hf_buf *out);
void hf_limit_below_commands(const struct hf_gate_config *c, const char *const *devices, size_t n, struct hf_buf *out);
/* In every namespace of the list; when one fails, it is taken out of the others again, unless they were isolated (limited) already: those stay so. */
HF_MUSTUSE int hf_isolate(const struct hf_netns_list *l, const struct hf_gate_config *c, bool already, struct hf_isolate_did *ret, struct hf_err *err);
/* c->mark: the mark of packets that were judged by then (a secret: packet sockets can set marks).  ret->egress: also what is sent below IP. */
HF_MUSTUSE int hf_limit_by_nft(const struct hf_netns_list *l, const struct hf_gate_config *c, bool already, struct hf_isolate_did *ret, struct hf_err *err);
/* Only what is sent below IP, beside the programs of a control group, which do not see that.  HF_E_UNSUPPORTED: no libnftables; other errors: the kernel does not have egress
 * hooks (Linux 5.16), or there is no interface. */
HF_MUSTUSE int hf_limit_below(const struct hf_netns_list *l, const struct hf_gate_config *c, struct hf_err *err);
/* Takes a table away where it is. */
HF_MUSTUSE int hf_isolate_clear(const struct hf_netns_list *l, const char *table, struct hf_err *err);
/* Packets and bytes dropped by a table, summed over the namespaces. */
HF_MUSTUSE int hf_isolate_counts(const struct hf_netns_list *l, const char *table, uint64_t *ret_packets, uint64_t *ret_bytes, struct hf_err *err);
/* Of nft's "list counters"; for tests and fuzzing. */
void hf_isolate_parse_counts(struct hf_span text, uint64_t *packets, uint64_t *bytes);
