/* SPDX-License-Identifier: Apache-2.0 */
/* caps.h - names of capabilities (capabilities(7); include/uapi/linux/capability.h). */
#pragma once
#include "base/span.h"

/* "CAP_SYS_ADMIN" or "sys_admin" to 21; -1 when there is no such name. */
int hf_cap_number(struct hf_span name);
/* 21 to "CAP_SYS_ADMIN"; NULL for a number that has no name yet. */
const char *hf_cap_name(unsigned n);
