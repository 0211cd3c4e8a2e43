/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* hooks.h - one body for the three kinds of program that one security hook of the kernel can have: LSM, fentry, kprobe.
 * body(HF_SOURCE_*) is called with the hook's arguments in scope. */
#pragma once
#include "maps.h"

#define HF_HOOK3(hook, body, ...)                                                                       \
    SEC("lsm/" #hook) int BPF_PROG(hf_lsm_##hook, __VA_ARGS__)                                          \
    {                                                                                                   \
        body(HF_SOURCE_LSM);                                                                            \
        return 0;                                                                                       \
    }                                                                                                   \
    SEC("fentry/security_" #hook) int BPF_PROG(hf_fentry_##hook, __VA_ARGS__)                           \
    {                                                                                                   \
        body(HF_SOURCE_FENTRY);                                                                         \
        return 0;                                                                                       \
    }                                                                                                   \
    SEC("kprobe/security_" #hook) int BPF_KPROBE(hf_kprobe_##hook, __VA_ARGS__)                         \
    {                                                                                                   \
        body(HF_SOURCE_KPROBE);                                                                         \
        return 0;                                                                                       \
    }
