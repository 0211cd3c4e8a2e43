// SPDX-License-Identifier: Apache-2.0
/* A rule file of any bytes: it loads or is refused with a message, and what loads can be looked at with an event. */
#include "detect/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(void *ctx, const struct hf_alert *a)
{
    (void)ctx;
    if (!a->rule.n)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_rules *rules = NULL;
    struct hf_rules_limits small = {.max_bytes = 8u << 20};
    hf_cleanup(hf_engine_freep) struct hf_engine *e = NULL;
    if (hf_rules_new(&rules, &small, &err) < 0)
        return 0;
    struct hf_engine_opts o = {.alert = ignore, .disabled_too = true};
    if (hf_rules_add(rules, "fuzz", hf_span((const char *)data, size), &err) < 0 || hf_engine_new(&e, rules, &o, NULL, &err) < 0) {
        if (!err.msg[0])
            abort();
        hf_rules_free(rules);
        return 0;
    }
    struct hf_proc p = {.pid = 7, .exe = HF_S("/bin/sh"), .comm = HF_S("sh"), .args = hf_span("sh\0-c\0id", 8)};
    struct hf_event ev = {.type = HF_EV_EXEC, .time_ns = 1, .proc = &p, .path = HF_S("/bin/sh")};
    ev.h = &ev.u.hdr;
    ev.u.hdr.type = HF_EV_EXEC;
    hf_engine_event(e, &ev);
    ev.type = ev.u.hdr.type = HF_EV_FILE;
    ev.u.file.op = HF_FILE_OPEN;
    ev.path = HF_S("/etc/shadow");
    hf_engine_event(e, &ev);
    hf_engine_tick(e, 2, true);
    return 0;
}
