// SPDX-License-Identifier: Apache-2.0
/* Overrides of modes, and who opened a session. */
#include "protect/protect.h"
#include "event/session.h"
#include "protect/session.h"
#include "tap.h"

static void overrides(void)
{
    struct hf_protect_modes m = {.n = 0};
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf out = HF_BUF_INIT(65536);
    EQ_I(hf_protect_modes_parse(HF_S(""), &m, &err), 0);
    EQ_I(hf_protect_modes_of(&m, HF_S("a")), HF_OVERRIDE_NONE);
    EQ_I(hf_protect_modes_set(&m, "a b", HF_MODE_ENFORCE, &err), 0);
    EQ_I(hf_protect_modes_set(&m, "c", HF_OVERRIDE_OFF, &err), 0);
    EQ_I(hf_protect_modes_set(&m, "a b", HF_MODE_CANARY, &err), 0);
    EQ_I(hf_protect_modes_set(&m, "a\tb", HF_MODE_CANARY, &err), HF_E_USAGE);
    hf_protect_modes_write(&m, &out);
    EQ_S(hf_buf_span(&out), "a b\tcanary\nc\toff\n");
    struct hf_protect_modes again = {.n = 9};
    EQ_I(hf_protect_modes_parse(hf_buf_span(&out), &again, &err), 0);
    EQ_I(hf_protect_modes_of(&again, HF_S("a b")), HF_MODE_CANARY);
    EQ_I(hf_protect_modes_of(&again, HF_S("c")), HF_OVERRIDE_OFF);
    EQ_I(hf_protect_modes_of(&again, HF_S("d")), HF_OVERRIDE_NONE);
    EQ_I(hf_protect_modes_set(&again, "c", HF_OVERRIDE_NONE, &err), 0);
    EQ_U(again.n, 1);
    again.all_off = true;
    EQ_I(hf_protect_modes_of(&again, HF_S("a b")), HF_OVERRIDE_OFF);
    hf_buf_clear(&out);
    hf_protect_modes_write(&again, &out);
    EQ_S(hf_buf_span(&out), "*\toff\na b\tcanary\n");
    EQ_I(hf_protect_modes_parse(HF_S("x\ty\n"), &again, &err), HF_E_FORMAT);
    OK(strstr(err.msg, "line 1"));
    EQ_I(hf_protect_modes_parse(HF_S("x\n"), &again, &err), HF_E_FORMAT);
    EQ_I(hf_protect_modes_parse(HF_S("\tobserve\n"), &again, &err), HF_E_FORMAT);
    for (int i = 0; i < 70; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        EQ_I(hf_protect_modes_set(&m, name, HF_MODE_OBSERVE, &err), i < 62 ? 0 : HF_E_LIMIT);
    }
}

#define CMD(text) hf_span(text, sizeof(text)) /* with the NUL at its end */

static void sessions(void)
{
    struct hf_span name = HF_S("web"), id = HF_S("4f1c0e77");
    OK(hf_session_is_exec(CMD("docker\0exec\0-it\0web\0sh"), name, id));
    OK(hf_session_is_exec(CMD("/usr/bin/docker\0-H\0unix:///x\0exec\0""4f1c\0sh"), name, id));
    OK(hf_session_is_exec(CMD("crictl\0exec\0""4f1c0e77\0sh"), name, id));
    OK(!hf_session_is_exec(CMD("docker\0run\0web"), name, id));
    OK(!hf_session_is_exec(CMD("docker\0exec\0other\0sh"), name, id));
    OK(!hf_session_is_exec(CMD("docker\0web\0exec\0sh"), name, id));
    OK(!hf_session_is_exec(CMD("mydocker\0exec\0web\0sh"), name, id));
    OK(!hf_session_is_exec(CMD("docker\0exec\0\0sh"), name, id));
    OK(!hf_session_is_exec(hf_span(NULL, 0), name, id));
}

int main(void)
{
    overrides();
    sessions();
    return tap_done();
}
