// SPDX-License-Identifier: Apache-2.0
/* A file of tests of any bytes: it loads or is refused with a message; every record that it makes can be decoded, and its names are texts. */
#include <stdlib.h>

#include "detect/cases.h"
#include "event/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_cases_freep) struct hf_cases *c = NULL;
    if (hf_cases_load(&c, "fuzz", hf_span((const char *)data, size), &err) < 0) {
        if (!err.msg[0])
            abort();
        return 0;
    }
    for (size_t i = 0; i < hf_cases_count(c); i++) {
        const struct hf_case *one = hf_cases_at(c, i);
        size_t len, n = 0;
        uint64_t before = 0;
        struct hf_span rest = one->records;
        if (!one->name.n)
            abort();
        for (; rest.n; rest = hf_span_from(rest, len), n++) {
            struct hf_event ev;
            if (hf_event_frame(rest, &len, &err) != 1 || hf_event_decode(hf_span_sub(rest, 0, len), &ev, &err) < 0 || ev.h->time_ns < before)
                abort();
            before = ev.h->time_ns;
        }
        if (n < one->n_events)
            abort();
    }
    return 0;
}
