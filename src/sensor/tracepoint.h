/* SPDX-License-Identifier: Apache-2.0 */
/* tracepoint.h - classic tracepoints, also where tracefs is not mounted: a mount of it that is nowhere in the tree serves then (fsmount(2)), and the host stays as it is.
 *
 * libbpf's own way needs /sys/kernel/tracing or /sys/kernel/debug/tracing, which small hosts and most containers have not. */
#pragma once
#include "base/attr.h"

struct bpf_program;
struct bpf_link;

/* The number of events/CATEGORY/NAME for perf_event_open(2); -ENOENT: this kernel has no such tracepoint; else why tracefs cannot be had. */
HF_MUSTUSE int hf_tracepoint_id(const char *category, const char *name);
/* The caller destroys the link; NULL and errno when it fails. */
struct bpf_link *hf_tracepoint_attach(const struct bpf_program *prog, const char *category, const char *name);
