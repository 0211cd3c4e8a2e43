// SPDX-License-Identifier: Apache-2.0
/* A file of exceptions of any bytes: it loads or is refused with a message; what loads is asked about an event. */
#include "detect/except.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_excepts_freep) struct hf_excepts *x = NULL;
    if (hf_excepts_new(&x, &err) < 0)
        return 0;
    if (hf_excepts_add(x, "fuzz", hf_span((const char *)data, size), &err) < 0) {
        if (!err.msg[0])
            abort();
        return 0;
    }
    struct hf_proc p = {.pid = 7, .exe = HF_S("/bin/sh"), .args = hf_span("sh\0-c\0id", 8)};
    struct hf_event ev = {.type = HF_EV_EXEC, .time_ns = 1, .proc = &p};
    ev.h = &ev.u.hdr;
    for (size_t i = 0; i < hf_excepts_count(x); i++) {
        const struct hf_except *e = hf_excepts_at(x, i), *m = hf_excepts_match(x, e->rule, &ev);
        if (!e->rule.n || (m && !hf_span_eq(m->rule, e->rule)))
            abort();
    }
    return 0;
}
