// SPDX-License-Identifier: Apache-2.0
#include "cli/recall.h"
#include "event/track.h"
#include "tap.h"

#define S 1000000000ull

static void ran(struct hf_recall *r, struct hf_container *c, uint64_t time_ns, const char *args, size_t n)
{
    struct hf_proc p = {.pid = 900, .ns_pid = 7, .comm = HF_S("sh"), .args = hf_span(args, n)};
    struct hf_event ev = {.type = HF_EV_EXEC, .time_ns = time_ns, .proc = &p, .container = c};
    hf_recall_add(r, &ev);
}

#define RAN(r, c, ns, text) ran(r, c, ns, text, sizeof(text) - 1)

static void lines(struct hf_recall *r)
{
    struct hf_container c = {.cgroup_id = 5, .index = 1}, other = {.cgroup_id = 6, .index = 1}; /* the number was used again */
    struct hf_span got[HF_RECALL_LINES];
    EQ_U(hf_recall_before(r, &c, 100 * S, got), 0);
    RAN(r, &c, 39 * S, "old");
    RAN(r, &c, 40 * S, "login\0--password\0hunter2\0");
    RAN(r, &c, 99 * S + S / 2, "esc\033[2J");
    EQ_U(hf_recall_before(r, &c, 100 * S, got), 2); /* 61 s ago is too long */
    EQ_S(got[0], "-60.000 s  sh (7) ran login --password ***");
    OK(hf_span_starts(got[1], HF_S("-0.500 s  sh (7) ran esc")) && hf_span_find(got[1], '\033') == SIZE_MAX);
    EQ_U(hf_recall_before(r, &other, 100 * S, got), 0);
    EQ_U(hf_recall_before(r, NULL, 100 * S, got), 0);
    RAN(r, NULL, 101 * S, "on the host");
    EQ_U(hf_recall_before(r, NULL, 100 * S, got), 1);
    EQ_S(got[0], "-0.000 s  sh (7) ran on the host");
}

static void setup_and_silent(struct hf_recall *r)
{
    struct hf_container c = {.cgroup_id = 50};
    struct hf_proc p = {.comm = HF_S("runc:[2:INIT]"), .args = HF_S("runc")};
    struct hf_event ev = {.type = HF_EV_EXEC, .time_ns = S, .proc = &p, .container = &c};
    struct hf_span got[HF_RECALL_LINES];
    hf_recall_add(r, &ev);
    ev.type = HF_EV_FORK;
    p.comm = HF_S("sh");
    hf_recall_add(r, &ev);
    EQ_U(hf_recall_before(r, &c, S, got), 0);
}

static void bounds(struct hf_recall *r)
{
    struct hf_container c = {.cgroup_id = 70, .index = 3};
    struct hf_span got[HF_RECALL_LINES];
    char wide[300];
    for (unsigned i = 0; i < 40; i++) {
        char text[16];
        snprintf(text, sizeof text, "n%u", i);
        ran(r, &c, S + i, text, strlen(text));
    }
    EQ_U(hf_recall_before(r, &c, S, got), HF_RECALL_LINES);
    OK(hf_span_ends(got[0], HF_S(" ran n24")) && hf_span_ends(got[15], HF_S(" ran n39")));
    for (size_t i = 0; i + 1 < sizeof wide; i += 2)
        memcpy(wide + i, "\xc3\xa4", 2);
    for (unsigned i = 0; i < HF_RECALL_LINES; i++)
        ran(r, &c, S, wide, sizeof wide);
    EQ_U(hf_recall_before(r, &c, 61 * S, got), HF_RECALL_LINES); /* as long as lines can be */
    OK(hf_span_is_utf8(got[0]) && got[0].n > 150 && got[0].n < 170);
}

static void eviction(struct hf_recall *r)
{
    struct hf_container c = {.cgroup_id = 1000, .index = 2};
    struct hf_span got[HF_RECALL_LINES];
    RAN(r, &c, S, "first");
    for (unsigned i = 1; i < 3000; i++) {
        struct hf_container more = {.cgroup_id = 1000 + i, .index = i};
        if (i % 100 == 0)
            RAN(r, &c, S, "again");
        RAN(r, &more, S, "x");
        if (hf_recall_before(r, &more, S, got) != 1)
            break;
        if (i == 2999)
            OK(true);
    }
    EQ_U(hf_recall_before(r, &c, S, got), HF_RECALL_LINES); /* in use, so kept */
    c.cgroup_id = 1500;
    EQ_U(hf_recall_before(r, &c, S, got), 0); /* long unused */
    c.cgroup_id = 3999 - 200;
    EQ_U(hf_recall_before(r, &c, S, got), 1);
}

int main(void)
{
    hf_cleanup(hf_recall_freep) struct hf_recall *r = NULL;
    struct hf_err err = HF_ERR_INIT;
    if (!OK(hf_recall_new(&r, &err) == 0))
        return tap_done();
    lines(r);
    setup_and_silent(r);
    bounds(r);
    eviction(r);
    return tap_done();
}
