/* SPDX-License-Identifier: Apache-2.0 */
/* runtime.h - the container runtime at work inside a container: from its entry into the control group to the first program of the container's
 * own (or of an exec session) it mounts, changes namespaces and drops privileges there.  That is told and matched by rules like everything else,
 * but it is not the container's doing. */
#pragma once
#include "event/track.h"

/* A process of the container can take any name, so the name alone is not believed: its program must be the runtime's, or the copy in memory that runc
 * and crun make of themselves, its parent outside (or the runtime in turn), and it must have been started in the parent's mount namespace. */
bool hf_proc_is_runtime(const struct hf_proc *p);
