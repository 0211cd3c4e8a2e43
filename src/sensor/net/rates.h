/* SPDX-License-Identifier: Apache-2.0 */
/* rates.h - packet counters of containers, read now and then, as HF_EV_RATE records.
 *
 * The kernel half counts per processor since the container's first packet (map hf_rates); here the differences are made.  Only
 * containers whose sockets moved a packet since the last reading give a record.  Not counted: what passes no socket that was seen
 * to be made or used (packet sockets; connections of a storm, of which only tcp_syn_out, tcp_syn_in and tcp_accepted count; answers
 * to a SYN and what is sent after the last state of a connection, which belong to no socket of a process).
 * Bounded by HF_MAX_CGROUPS containers.  One thread. */
#pragma once
#include "base/attr.h"
#include "base/err.h"
#include "event/wire.h"

struct hf_rates;
#define HF_RATE_NS 1000000000ull /* how often counters are read */

/* map_fd: of hf_rates (hf_kernel_map_fd), borrowed. */
HF_MUSTUSE int hf_rates_new(struct hf_rates **ret, int map_fd, struct hf_err *err);
void hf_rates_free(struct hf_rates *r);
HF_DEFINE_FREEP(struct hf_rates, hf_rates_free)
/* Calls emit for each container with activity since the last call; now_ns: CLOCK_BOOTTIME.  The first call only begins the
 * interval for what was there.  The record is emit's until it returns.  The number of records, or < 0. */
HF_MUSTUSE int hf_rates_read(struct hf_rates *r, uint64_t now_ns, void (*emit)(void *ctx, const struct hf_wire_rate *rec), void *ctx, struct hf_err *err);
/* A container's packets come fast: the record of the interval that is not over, and of what came as fast before it, within HF_RATE_NS (HF_F_EARLY, told as of HF_RATE_NS at least, so
 * that its numbers a second are too small rather than too big), when more of what makes floods has passed than in the whole interval before.  1 and the record, 0, or < 0. */
HF_MUSTUSE int hf_rates_early(struct hf_rates *r, uint64_t cgroup_id, uint64_t now_ns, struct hf_wire_rate *ret, struct hf_err *err);
/* The container is gone: its counters are given back.  Read before. */
void hf_rates_forget(struct hf_rates *r, uint64_t cgroup_id);
