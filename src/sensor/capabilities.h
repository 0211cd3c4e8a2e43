/* SPDX-License-Identifier: Apache-2.0 */
/* capabilities.h - the table of capabilities and their ladders of hooks (private to the sensor). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum hf_hook_kind { HF_HOOK_NONE, HF_HOOK_TP, HF_HOOK_LSM, HF_HOOK_FENTRY, HF_HOOK_KPROBE, HF_HOOK_CGROUP, HF_HOOK_ITER, HF_HOOK_USER, HF_HOOK_SYSCALL };

struct hf_rung {
    enum hf_hook_kind kind;
    const char *program; /* of the BPF object; NULL: served by user space (fanotify) */
    const char *target;  /* what it hooks, as shown and as looked for in the kernel's types */
    const char *not_covered; /* on this rung; NULL: nothing */
    unsigned calls;          /* bits of HF_CALL_* (calls.h) that the trace of capability checks tells of on this rung */
};

#define HF_FANOTIFY "fanotify" /* target of HF_HOOK_USER */

#define HF_LADDER_MAX 6
struct hf_capability {
    const char *name, *title;
    bool needed;
    const char *without; /* what is not seen when no rung works */
    struct hf_rung ladder[HF_LADDER_MAX]; /* best first; kind NONE ends it */
    uint64_t demand; /* HF_DEMAND_*: only attached while that is asked for (on-demand.h); 0: always */
};

extern const struct hf_capability hf_capabilities[];
extern const unsigned hf_capabilities_n;
/* Those that are attached on demand. */
extern const struct hf_capability hf_capabilities_on_demand[];
extern const unsigned hf_capabilities_on_demand_n;

/* The types of events (bits 1 << HF_EV_*, HF_SET_RATE) that a program of the kernel half delivers, by its name; 0: it only helps others. */
uint64_t hf_program_types(const char *program);
