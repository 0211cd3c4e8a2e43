// SPDX-License-Identifier: Apache-2.0
#include "event/session.h"

bool hf_session_is_exec(struct hf_span cmdline, struct hf_span name, struct hf_span id)
{
    static const char *const clients[] = {"docker", "podman", "nerdctl", "crictl", "ctr"};
    struct hf_span arg;
    bool client = false, exec = false;
    if (!hf_span_cut(&cmdline, 0, &arg))
        return false;
    for (size_t i = 0; i < HF_ARRAY_LEN(clients); i++)
        client |= hf_span_eqz(hf_span_basename(arg), clients[i]);
    while (client && hf_span_cut(&cmdline, 0, &arg)) {
        if (!exec)
            exec = hf_span_eqz(arg, "exec");
        else if (arg.n && (hf_span_eq(arg, name) || hf_span_starts(id, arg)))
            return true;
    }
    return false;
}
