// SPDX-License-Identifier: Apache-2.0
#include "event/demand.h"

static const char *const names[HF_DEMANDS] = {"memory", "ioctl", "trace", "userfaultfd"};

const char *hf_demand_name(unsigned bit)
{
    return bit < HF_DEMANDS ? names[bit] : NULL;
}

void hf_demand_names(uint64_t classes, struct hf_buf *out)
{
    bool any = false;
    for (unsigned i = 0; i < HF_DEMANDS; i++)
        if (classes & (1ull << i)) {
            hf_buf_addz(out, any ? "," : "");
            hf_buf_addz(out, names[i]);
            any = true;
        }
    if (!any)
        hf_buf_addz(out, "none");
}
