// SPDX-License-Identifier: Apache-2.0
/* A policy file of any bytes: it loads or is refused with a message; what loads is asked about acts of every kind and its own tests are played. */
#include "protect/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct hf_prot_policy *p)
{
    struct hf_prot_act a = {.kind = HF_ACT_EXEC, .path = HF_S("/usr/bin/busybox"), .argv = {HF_S("-sh"), HF_S("-c")}, .verdict = HF_PROT_SEALED};
    enum hf_prot_clause c = hf_prot_judge(p, &a);
    if ((c != HF_CLAUSE_NONE && !(p->clauses >> c & 1)) || !p->name.n || !p->clauses)
        abort();
    for (unsigned kind = 0; kind < HF_ACTS; kind++)
        for (unsigned v = 0; v < HF_PROT_VERDICTS; v++) {
            a.kind = (enum hf_prot_act_kind)kind;
            a.verdict = v;
            a.use = v % HF_USES;
            a.peer = (struct hf_prot_dest){.port = (uint16_t)(v * 7000), .protocol = 6};
            c = hf_prot_judge(p, &a);
            if (c >= HF_CLAUSES || (c != HF_CLAUSE_NONE && !(p->clauses >> c & 1)))
                abort();
        }
    (void)hf_prot_maintenance(p, 1700000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_prot_freep) struct hf_prot_set *s = NULL;
    if (hf_prot_new(&s, &err) < 0)
        return 0;
    int rc = hf_prot_add(s, "fuzz", hf_span((const char *)data, size), &err);
    if (rc == 0)
        rc = hf_prot_check(s, &err);
    if (rc < 0) {
        if (!err.msg[0])
            abort();
        return 0;
    }
    for (size_t i = 0; i < hf_prot_count(s); i++)
        ask(hf_prot_at(s, i));
    for (size_t i = 0; i < hf_prot_tests(s); i++) {
        const struct hf_prot_policy *p;
        enum hf_prot_clause c;
        bool open;
        hf_prot_test_run(s, hf_prot_test_at(s, i), &p, &c, &open);
    }
    return 0;
}
