/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - who opened the session that a process of a container belongs to, by the runtime's exec command on the host. */
#pragma once
#include "guard/guard.h"
#include "protect/policy.h"

/* Whether every exec command (docker, podman, nerdctl, crictl, ctr) for the container that runs on the host now is of these users, and there is one.
 * Reads /proc: milliseconds; for what would be refused only. */
bool hf_session_by(const struct hf_prot_spans *users, const struct hf_guard_container *c);
/* Whether the process is the one that started then (ns since boot, as records have it), and not a later one of its number. */
bool hf_session_started(uint32_t pid, uint64_t start_ns);
