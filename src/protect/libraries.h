/* SPDX-License-Identifier: Apache-2.0 */
/* libraries.h - files that a container maps for execution: who maps one without a verdict is stopped by the kernel half until it was looked at here.
 *
 * A keeper, a child that does nothing else, lets go on (or, as a policy that fails closed wants it, kills) who is stopped when the guard is gone. */
#pragma once
#include "protect/kernel.h"

/* The file that the process mapped for execution, by inode and device as the kernel half has them; its path as the mapping has it.
 * A descriptor; -ENOENT: it has no such mapping; -EAGAIN: it is not stopped yet, ask again; -errno. */
int hf_library_open(const struct hf_guard_told *t, bool stopped, char *path, size_t n);
/* The path alone, which asks nobody: of a file that may not be opened.  0, or an error as above. */
int hf_library_path(const struct hf_guard_told *t, bool stopped, char *path, size_t n);
/* Its process id; < 0.  It ends when *ret_fd is closed, or the process that has it ends. */
int hf_library_keeper(int stopped_fd, int *ret_fd);
