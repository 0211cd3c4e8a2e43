/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever the other side sends: nothing unknown is asked for, nothing that must be told is left out, and what is taken reads the same again. */
#include <stdlib.h>
#include <string.h>

#include "sensor/ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_ask a, again;
    struct hf_err err = HF_ERR_INIT;
    if (hf_ask_read(hf_span((const char *)data, size), &a, &err) < 0) {
        if (!err.msg[0])
            abort();
        return 0;
    }
    if (size != sizeof a || ((a.demand | a.demand_cheap) & ~HF_DEMAND_ALL) || ((a.shed_container | a.shed_host) & HF_ASK_KEPT) || ((a.shed_container | a.shed_host) & ~HF_ASK_SHEDDABLE))
        abort();
    if (hf_ask_read(hf_span((const char *)&a, sizeof a), &again, NULL) < 0 || memcmp(&a, &again, sizeof a) != 0)
        abort();
    return 0;
}
