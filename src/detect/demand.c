// SPDX-License-Identifier: Apache-2.0
#include "detect/demand.h"

#define DEPTH_MAX 64u /* of macros within macros; compiling allows less */

/* Whether a condition compares something with a value that has this word in it. */
static bool asks_for(const struct hf_prog *p, struct hf_span word, unsigned depth)
{
    if (!p || depth > DEPTH_MAX)
        return false;
    for (size_t i = 0; i < p->n_values; i++)
        if (hf_span_search(p->values[i].str, word) != SIZE_MAX)
            return true;
    for (size_t i = 0; i < p->n_parts; i++)
        if (asks_for(p->parts[i], word, depth + 1))
            return true;
    return asks_for(p->macro, word, depth + 1);
}

static bool rule_asks_for(const struct hf_rule *r, struct hf_span word)
{
    bool any = asks_for(r->prog, word, 0);
    for (size_t i = 0; i < r->n_steps; i++)
        any = any || asks_for(r->steps[i], word, 0);
    return any;
}

uint64_t hf_rule_demand(const struct hf_rule *r)
{
    static const struct {
        uint64_t classes, demand;
    } needs[] = {
            {HF_CLASS_BIT(HF_CLASS_MEM) | HF_CLASS_BIT(HF_CLASS_MMAP), HF_DEMAND_MEMORY},
            {HF_CLASS_BIT(HF_CLASS_FILE + HF_FILE_IOCTL), HF_DEMAND_IOCTL},
            {HF_CLASS_BIT(HF_CLASS_USERFAULTFD), HF_DEMAND_USERFAULTFD},
    };
    uint64_t demand = 0;
    if (!r->is_syscall)
        return 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(needs); i++)
        if (r->classes & needs[i].classes)
            demand |= needs[i].demand;
    /* tracing of others shows itself by the privilege it asks for; asking to be traced does not */
    if ((r->classes & HF_CLASS_BIT(HF_CLASS_PTRACE)) && rule_asks_for(r, HF_S("TRACEME")))
        demand |= HF_DEMAND_TRACE;
    return demand;
}

uint64_t hf_rules_demand(const struct hf_rules *r, uint64_t *ret_cheap)
{
    uint64_t demand = 0;
    *ret_cheap = 0;
    for (size_t i = 0; i < hf_rules_count(r); i++) {
        const struct hf_rule *rule = hf_rules_at(r, i);
        if (rule->enabled)
            *(rule->cheap_hooks ? ret_cheap : &demand) |= hf_rule_demand(rule);
    }
    return demand;
}
