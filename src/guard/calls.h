/* SPDX-License-Identifier: Apache-2.0 */
/* calls.h - system calls that the guard does without (seccomp).
 *
 * The guard keeps capabilities by which much could be done; what neither it nor a child of it ever calls ends it.  Its modules that refuse load
 * programs into the kernel, mount in containers, and try in their self-test whether what they forbid is forbidden, so with them the list is
 * shorter.  A list of what is forbidden, not of what is allowed: new calls of new kernels pass. */
#pragma once
#include <stdbool.h>

struct hf_err;
/* modules: there are such.  For this process and all that it forks, from now on; 0 or < 0. */
int hf_guard_calls(bool modules, struct hf_err *err);
