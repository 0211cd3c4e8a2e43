// SPDX-License-Identifier: Apache-2.0
#include "detect/demand.h"
#include "tap.h"

static uint64_t cheap;

static uint64_t demand_of(const char *text)
{
    hf_cleanup(hf_rules_freep) struct hf_rules *r = NULL;
    struct hf_err err = HF_ERR_INIT;
    if (!OK(hf_rules_new(&r, NULL, &err) == 0 && hf_rules_add(r, "t.yaml", hf_span_z(text), &err) == 0 && hf_rules_compile(r, &err) == 0)) {
        printf("# %s\n", err.msg);
        return ~0ull;
    }
    return hf_rules_demand(r, &cheap);
}

#define RULE(name, condition) "- rule: " name "\n  desc: d\n  condition: " condition "\n  output: o\n  priority: INFO\n"

int main(void)
{
    EQ_U(demand_of(RULE("a", "evt.type = execve and proc.name = x")), 0);
    EQ_U(demand_of(RULE("a", "evt.type in (mmap, mprotect) and container")
                 "- macro: container\n  condition: container.id != host\n"), HF_DEMAND_MEMORY);
    EQ_U(demand_of(RULE("a", "evt.type = mprotect") "  enabled: false\n"), 0);
    EQ_U(demand_of(RULE("a", "evt.type = ioctl") RULE("b", "evt.type = userfaultfd")), HF_DEMAND_IOCTL | HF_DEMAND_USERFAULTFD);
    EQ_U(demand_of(RULE("a", "evt.type = ptrace and evt.arg.request contains PTRACE_ATTACH")), 0);
    EQ_U(demand_of("- macro: asks\n  condition: evt.arg.request contains PTRACE_TRACEME\n" RULE("a", "evt.type = ptrace and asks")), HF_DEMAND_TRACE);
    EQ_U(demand_of(RULE("a", "evt.type = ioctl") "  hooks: cheap\n" RULE("b", "evt.type = mprotect")), HF_DEMAND_MEMORY);
    EQ_U(cheap, HF_DEMAND_IOCTL);
    EQ_U(demand_of(RULE("a", "evt.type = ioctl") "  hooks: any\n"), HF_DEMAND_IOCTL);
    EQ_U(cheap, 0);
    hf_cleanup(hf_rules_freep) struct hf_rules *wrong = NULL;
    struct hf_err err = HF_ERR_INIT;
    OK(hf_rules_new(&wrong, NULL, &err) == 0 && hf_rules_add(wrong, "t.yaml", HF_S(RULE("a", "evt.type = ioctl") "  hooks: none\n"), &err) < 0);
    OK(strstr(err.msg, "\"hooks\" is \"cheap\" or \"any\""));
    /* the word in a rule that listens to something else is only a word */
    EQ_U(demand_of(RULE("a", "evt.type = execve and proc.cmdline contains TRACEME")), 0);
    EQ_U(demand_of("- rule: a\n  desc: d\n  source: k8s_audit\n  condition: evt.type = mprotect\n  output: o\n  priority: INFO\n"), 0);
    return tap_done();
}
