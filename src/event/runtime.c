// SPDX-License-Identifier: Apache-2.0
#include "event/runtime.h"

#define WITHIN_MAX 4u /* processes of the runtime below each other in a container */

/* "exe", or the number of a descriptor: the name of what was started from /proc/self/exe or memory, until it names itself. */
static bool has_no_name(struct hf_span comm)
{
    for (size_t i = 0; i < comm.n; i++)
        if (comm.p[i] < '0' || comm.p[i] > '9')
            return hf_span_eqz(comm, "exe");
    return comm.n > 0;
}

/* By program and name alone. */
static bool looks_so(const struct hf_proc *p)
{
    static const char *const names[] = {"runc:[", "crun", "runc", "youki", "conmon"};
    struct hf_span args = p->args, argv0 = {NULL, 0}, argv1 = {NULL, 0};
    bool program = !p->exe.n || (p->exec_flags & HF_X_MEMFD);
    for (size_t i = 1; i < HF_ARRAY_LEN(names) && !program; i++)
        program = hf_span_starts(hf_span_basename(p->exe), hf_span_z(names[i]));
    if (!program)
        return false;
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
        if (hf_span_starts(p->comm, hf_span_z(names[i])))
            return true;
    (void)hf_span_cut(&args, 0, &argv0);
    (void)hf_span_cut(&args, 0, &argv1);
    argv0 = hf_span_basename(argv0);
    return has_no_name(p->comm) && ((hf_span_eqz(argv0, "runc") && hf_span_eqz(argv1, "init")) || hf_span_eqz(argv0, "crun") || hf_span_eqz(argv0, "youki"));
}

bool hf_proc_is_runtime(const struct hf_proc *p)
{
    for (unsigned i = 0; i < WITHIN_MAX && looks_so(p); i++) {
        const struct hf_proc *up = p->parent;
        if (!up && p->container)
            return false; /* who started it is not known any more: rather told too much than believed */
        if (!p->container || up->container != p->container) /* its program was started out there, too */
            return !up || !p->exec_mnt_ns || !up->exec_mnt_ns || p->exec_mnt_ns == up->exec_mnt_ns;
        p = up; /* crun enters the group itself and starts the program from there */
    }
    return false;
}
