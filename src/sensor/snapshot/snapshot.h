/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.h - the processes that were there before the sensor, from /proc (proc(5)): HF_EV_PROC records, parents first where possible.
 * What vanishes while it is read is left out.  Start times are as coarse as /proc gives them (10 ms), which is how the tracker compares them. */
#pragma once
#include "event/wire.h"
#include "sensor/containers/hierarchy.h"

typedef void (*hf_snapshot_fn)(void *ctx, struct hf_span record, struct hf_span cgroup_path);
/* At most 32,768 processes; returns how many were told. */
size_t hf_snapshot_procs(const struct hf_hierarchy *h, hf_snapshot_fn fn, void *ctx);
/* One process; false when it is gone.  out is cleared; the record is in it. */
bool hf_snapshot_proc(const struct hf_hierarchy *h, uint32_t pid, struct hf_buf *out, struct hf_buf *ret_cgroup_path);

/* The parsers alone, for tests and fuzzing: text of /proc/PID/stat (its second field, the name, may hold anything) and of status.  What is not
 * there stays as it is, or is 0. */
void hf_snapshot_stat(struct hf_span stat, struct hf_wire_exec *e);
/* Whether it has, or may have, capabilities that are not in effect. */
bool hf_snapshot_status(struct hf_span status, struct hf_wire_hdr *h);
