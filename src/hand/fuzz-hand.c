// SPDX-License-Identifier: Apache-2.0
/* A request of any bytes to the hand: it is refused with a message, or becomes arguments of which none can be taken for something else. */
#include <stdlib.h>

#include "hand/ask.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static bool is_option(const char *a)
{
    static const char *const ours[] = {"--json", "--state=", "--why=", "--dry-run", "--force", "--pid=", "--packets=", "--connections=", "--for=", "--allow=", "--format=json", "--quiet",
            "--jobs=1", "--db=", "--from=-", "--exceptions=", "--owner=", "--expires=", "--", NULL};
    for (size_t i = 0; ours[i]; i++)
        if (!strncmp(a, ours[i], strlen(ours[i])))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_hask_place place = {.state = "/s", .exceptions = "/x", .db = "/d", .force = size & 1};
    struct hf_err err = HF_ERR_INIT;
    struct hf_hask a;
    int rc = hf_hask_read(&a, hf_span((const char *)data, size), &place, &err);
    check(rc <= 0);
    if (rc < 0) {
        check(err.msg[0] != 0);
    } else if (a.kind != HF_HASK_NOTIFY_TEST) {
        size_t operands = 0;
        bool ended = false;
        check(a.id && a.argc >= 3 && a.argc < HF_HASK_ARGS && !a.argv[a.argc]);
        for (size_t i = 0; i < a.argc; i++) {
            check(ended || i < 2 || is_option(a.argv[i]));
            check(strncmp(a.argv[i], "--force", 7) || place.force || i < 2);
            operands += ended;
            ended = ended || !strcmp(a.argv[i], "--");
        }
        check(operands == (a.kind == HF_HASK_PROTECT || a.kind == HF_HASK_LIST ? 0 : 1));
        const char *last = a.argv[a.argc - 1];
        check(a.kind != HF_HASK_VERIFY || !strncmp(last, "container:", 10));
        check(a.kind != HF_HASK_SCAN || !strncmp(last, "image:", 6) || !strncmp(last, "container:", 10));
        check(a.kind != HF_HASK_ACT || strlen(last) == 64);
    }
    hf_hask_done(&a);
    return 0;
}
