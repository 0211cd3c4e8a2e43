// SPDX-License-Identifier: Apache-2.0
#include "event/session.h"

/* What stands behind "exec" on such a command line; false: it is none. */
static bool behind_exec(struct hf_span cmdline, struct hf_span *ret)
{
    static const char *const clients[] = {"docker", "podman", "nerdctl", "crictl", "ctr"};
    struct hf_span arg;
    if (!hf_span_cut(&cmdline, 0, &arg) || !HF_SPAN_IN(hf_span_basename(arg), clients))
        return false;
    while (hf_span_cut(&cmdline, 0, &arg))
        if (hf_span_eqz(arg, "exec")) {
            *ret = cmdline;
            return true;
        }
    return false;
}

bool hf_session_is_exec(struct hf_span cmdline, struct hf_span name, struct hf_span id)
{
    struct hf_span rest, arg;
    if (!behind_exec(cmdline, &rest))
        return false;
    while (hf_span_cut(&rest, 0, &arg))
        if (arg.n && (hf_span_eq(arg, name) || hf_span_starts(id, arg)))
            return true;
    return false;
}

static bool takes_value(struct hf_span option)
{
    static const char *const all[] = {"-u", "--user", "-e", "--env", "--env-file", "-w", "--workdir", "--detach-keys", "--cidfile", "--preserve-fds", "--exec-id", "--cwd", "--fifo-dir", "--log-uri", "-r",
            "--transport", "--timeout"};
    return HF_SPAN_IN(option, all);
}

struct hf_span hf_session_container(struct hf_span cmdline)
{
    struct hf_span rest, arg;
    if (!behind_exec(cmdline, &rest))
        return hf_span(NULL, 0);
    while (hf_span_cut(&rest, 0, &arg)) {
        if (!hf_span_starts(arg, HF_S("-")))
            return arg;
        if (takes_value(arg) && !hf_span_cut(&rest, 0, &arg))
            break;
    }
    return hf_span(NULL, 0);
}
