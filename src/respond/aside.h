/* SPDX-License-Identifier: Apache-2.0 */
/* aside.h - a process of its own that outlives this one, for what has to be undone whatever becomes of it. */
#pragma once
#include "base/span.h"

/* Forks into a session of its own, nobody's child, with standard streams on /dev/null and no descriptor but keep_fd (-1: none; at least 3), where `work` runs.
 * SIGINT and SIGHUP are ignored there.  name: as ps shows it, 15 characters. */
HF_MUSTUSE int hf_aside(const char *name, int keep_fd, void (*work)(const void *ctx, int keep_fd), const void *ctx, struct hf_err *err);
