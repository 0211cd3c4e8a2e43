/* SPDX-License-Identifier: Apache-2.0 */
/* env-names.h - which variables of a program's environment matter, and what of them may leave the machine's memory. */
#pragma once
#include "base/span.h"

/* Copies of env ("NAME=value" with NUL between) only what can change what a program does or tells who started it; values are cut at 256
 * bytes, those of secrets become "***".  At most max bytes. */
void hf_env_filter(struct hf_span env, size_t max, struct hf_buf *out);
