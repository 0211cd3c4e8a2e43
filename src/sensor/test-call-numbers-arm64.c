// SPDX-License-Identifier: Apache-2.0
/* The numbers of arm64, for test-call-numbers.c: the header knows one processor at a time. */
#undef __TARGET_ARCH_x86
#define __TARGET_ARCH_arm64
#include "sensor/call-numbers.h"
#include "sensor/guard-calls.h"

const volatile __u8 *arm64_native(void);
const volatile __u8 *arm64_compat(void);

const volatile __u8 *arm64_native(void)
{
    return hf_calls_native;
}

const volatile __u8 *arm64_compat(void)
{
    return hf_calls_compat;
}

const volatile __u8 *arm64_guard_native(void);
const volatile __u8 *arm64_guard_compat(void);

const volatile __u8 *arm64_guard_native(void)
{
    return hf_guard_native;
}

const volatile __u8 *arm64_guard_compat(void)
{
    return hf_guard_compat;
}
