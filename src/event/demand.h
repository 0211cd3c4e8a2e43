/* SPDX-License-Identifier: Apache-2.0 */
/* demand.h - hooks that cost something even where nothing happens, and are therefore attached only while an enabled rule needs what they
 * see: by classes, a bit each.  Rules are asked for theirs (detect/demand.h), the sensor attaches (sensor/kernel.h). */
#pragma once
#include "base/span.h"

#define HF_DEMAND_MEMORY 0x1ull      /* memory made executable: MEM */
#define HF_DEMAND_IOCTL 0x2ull       /* device requests that keyloggers and injectors use: FILE, operation ioctl */
#define HF_DEMAND_TRACE 0x4ull       /* tracing that asks for no privilege: PTRACE */
#define HF_DEMAND_USERFAULTFD 0x8ull /* page faults handled by a process without privilege: CAP with this call */
#define HF_DEMAND_ALL 0xfull
#define HF_DEMANDS 4u

/* "memory" of bit 0...; NULL past the last. */
const char *hf_demand_name(unsigned bit);
/* "memory,ioctl"; "none" for 0.  Unknown bits are left out. */
void hf_demand_names(uint64_t classes, struct hf_buf *out);
