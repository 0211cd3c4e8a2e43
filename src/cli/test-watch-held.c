// SPDX-License-Identifier: Apache-2.0
/* Alerts that wait for a verdict: told with it, after a while, or left out for a better one. */
#include "cli/watch-held.h"

#include <stdio.h>

#include "tap.h"

static char said[4096];
static bool may;

static void tell(void *ctx, struct hf_span log, struct hf_span line)
{
    size_t n = strlen(said);
    (void)ctx;
    snprintf(said + n, sizeof said - n, "%.*s%.*s;", HF_SPAN_ARG(line), HF_SPAN_ARG(log));
}

static bool leave(void *ctx, struct hf_span id)
{
    (void)ctx;
    return may && hf_span_eqz(id, "A");
}

static const struct hf_held_to to = {.tell = tell, .leave_out = leave};

static bool take(struct hf_held *h, uint32_t pid, uint64_t inode, uint64_t at_ns, const char *line)
{
    static struct hf_event ev;
    ev = (struct hf_event){.type = HF_EV_EXEC};
    ev.u.exec = (struct hf_wire_exec){.h = {.pid = pid, .start_ns = 7, .time_ns = at_ns}, .inode = inode, .dev = 3};
    ev.h = &ev.u.hdr;
    struct hf_alert a = {.id = HF_S("A"), .severity = HF_SEV_MEDIUM, .event = &ev};
    return hf_held_take(h, &a, HF_S("+"), hf_span_z(line));
}

static void verdict(struct hf_held *h, uint32_t pid, uint64_t inode, unsigned use, int worst)
{
    static struct hf_event ev;
    ev = (struct hf_event){.type = HF_EV_VERDICT};
    ev.u.verdict = (struct hf_wire_verdict){.h = {.pid = pid, .start_ns = 7}, .inode = inode, .dev = 3, .use = use};
    ev.h = &ev.u.hdr;
    said[0] = 0;
    hf_held_verdict(h, &ev, worst, &to);
}

int main(void)
{
    struct hf_held *h = hf_held_new();
    struct hf_alert sum = {.id = HF_S("A")};
    if (!h) {
        printf("Bail out! no memory\n");
        return 1;
    }
    may = true;
    OK(take(h, 1, 10, 1000, "one") && take(h, 2, 20, 2000, "two") && take(h, 3, 30, 3000, "three"));
    verdict(h, 1, 11, HF_USE_EXEC, HF_SEV_CRITICAL); /* of another program that this process became */
    verdict(h, 1, 10, HF_USE_MMAP, HF_SEV_CRITICAL);
    verdict(h, 9, 10, HF_USE_EXEC, HF_SEV_CRITICAL);
    OK(!said[0]);
    verdict(h, 1, 10, HF_USE_EXEC, HF_SEV_CRITICAL); /* told of better */
    OK(!said[0]);
    verdict(h, 2, 20, HF_USE_EXEC, HF_SEV_LOW); /* less severe */
    OK(!strcmp(said, "two+;"));
    verdict(h, 3, 30, HF_USE_EXEC, -1); /* nothing else to say */
    OK(!strcmp(said, "three+;"));
    verdict(h, 3, 30, HF_USE_EXEC, -1);
    OK(!said[0]);
    may = false; /* it stands for others */
    OK(take(h, 1, 10, 1000, "many"));
    verdict(h, 1, 10, HF_USE_EXEC, HF_SEV_CRITICAL);
    OK(!strcmp(said, "many+;"));
    said[0] = 0;
    OK(take(h, 1, 10, 1000, "a") && take(h, 2, 10, HF_HELD_NS, "b"));
    OK(hf_held_due(h, 1000 + HF_HELD_NS - 1, &to) && !said[0]);
    OK(hf_held_due(h, 1000 + HF_HELD_NS, &to) && !strcmp(said, "a+;"));
    OK(!hf_held_due(h, UINT64_MAX, &to) && !strcmp(said, "a+;b+;"));
    for (uint32_t i = 0; i < HF_HELD_MAX; i++)
        OK(take(h, i, i, 1, "x"));
    OK(!take(h, 99, 99, 1, "x")); /* no room: told at once by whoever asked */
    OK(!hf_held_take(h, &sum, HF_S(""), HF_S("sum")));
    hf_held_free(h);
    hf_held_free(NULL);
    return tap_done();
}
