// SPDX-License-Identifier: Apache-2.0
#include "event/runtime.h"

bool hf_proc_is_runtime(const struct hf_proc *p)
{
    static const char *const names[] = {"runc:[", "crun", "runc", "youki", "conmon"};
    bool inside = p->parent && p->container && p->parent->container == p->container, program = !p->exe.n || (p->exec_flags & HF_X_MEMFD);
    struct hf_span args = p->args, argv0 = {NULL, 0}, argv1 = {NULL, 0};
    for (size_t i = 1; i < HF_ARRAY_LEN(names) && !program; i++)
        program = hf_span_starts(hf_span_basename(p->exe), hf_span_z(names[i]));
    if (inside || !program)
        return false;
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
        if (hf_span_starts(p->comm, hf_span_z(names[i])))
            return true;
    /* "runc init" before it names itself: its name is "exe", or the number of a descriptor */
    return hf_span_cut(&args, 0, &argv0) && hf_span_cut(&args, 0, &argv1) && hf_span_eqz(hf_span_basename(argv0), "runc") && hf_span_eqz(argv1, "init");
}
