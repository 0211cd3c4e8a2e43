/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - the command on the host by which a session in a container was opened: exec of docker, podman, nerdctl, crictl, ctr.  Argument lists have a NUL
 * behind each argument; whoever runs a command chooses them. */
#pragma once
#include "base/span.h"

/* Whether it may be such a command for a container of that name and id: any argument behind "exec" may name it, so that no option that is not known here hides it. */
bool hf_session_is_exec(struct hf_span cmdline, struct hf_span name, struct hf_span id);
/* The name, id or beginning of an id of the container that such a command is for; empty: it is none. */
struct hf_span hf_session_container(struct hf_span cmdline);
