/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - the command on the host by which a session in a container was opened. */
#pragma once
#include "base/span.h"

/* Whether an argument list (each ended by NUL) is the exec command of a runtime's client (docker, podman, nerdctl, crictl, ctr) for a container of that
 * name and id. */
bool hf_session_is_exec(struct hf_span cmdline, struct hf_span name, struct hf_span id);
