/* SPDX-License-Identifier: Apache-2.0 */
/* gate.h - a container's packets limited, or let through to named addresses only, in the kernel: two cgroup_skb programs on its own group of the
 * unified hierarchy (bpf/gate.bpf.c), and one that lets no socket of AF_XDP be set up, which would pass them by.  Attached as links (BPF_F_ALLOW_MULTI), beside whoever else is there; pinned in bpffs, so
 * that they stay when this program ends, and go with the control group.
 *
 * Not seen there: packets that the container sends below IP (AF_PACKET, needs CAP_NET_RAW; isolate.h has chains for them), sockets of AF_XDP that were set up before (hf_netns_xdp
 * counts them), and what was made outside of the group. */
#pragma once
#include "base/span.h"
#include "respond/bpf/gate.h"

#define HF_GATE_DIR "/sys/fs/bpf/holdfast"

/* "10.0.0.1", "10.0.0.0/8", "10.0.0.1:443", "::1", "[fd00::1]:53", "fd00::/8".  HF_E_USAGE. */
HF_MUSTUSE int hf_gate_parse_allow(const char *text, struct hf_gate_allow *ret, struct hf_err *err);
void hf_gate_allow_text(const struct hf_gate_allow *a, struct hf_buf *out); /* "10.0.0.0/8", "[fd00::1]:53" */

/* group: folder of the v2 control group; name: of the pins ("limit-1234").  What was pinned under the name is replaced.  All or nothing. */
HF_MUSTUSE int hf_gate_set(const char *group, const char *name, const struct hf_gate_config *c, struct hf_err *err);
/* Takes it away; also when it is not there. */
int hf_gate_clear(const char *name, struct hf_err *err);
/* Takes away what was pinned for groups that are gone: the kernel has detached it by then, but a pin keeps its memory. */
void hf_gate_sweep(void);
/* What went through and what did not; HF_E_NOT_FOUND. */
HF_MUSTUSE int hf_gate_counts(const char *name, struct hf_gate_counts ret[HF_GATE_DIRECTIONS], struct hf_err *err);
