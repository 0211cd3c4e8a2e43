/* SPDX-License-Identifier: Apache-2.0 */
/* fs.h - files without surprises: openat2(RESOLVE_IN_ROOT) with a tested fallback, whole-file reads with a ceiling,
 * atomic replacement. */
#pragma once
#include <sys/types.h>

#include "base/span.h"

/* Opens path (relative or absolute, links followed) inside the directory root_fd as chroot would; never leaves it.
 * flags as open(2), O_CLOEXEC | O_NONBLOCK | O_NOCTTY are added (O_PATH: O_CLOEXEC only).  An empty path is the root itself.
 * fd or -errno.  Without openat2, or with HF_NO_OPENAT2 in the environment, the path is walked component by component. */
HF_MUSTUSE int hf_open_in_root(int root_fd, struct hf_span path, int flags, struct hf_err *err);
/* Whole file, or what a pipe gives, behind what is in out (its ceiling: HF_E_LIMIT). */
HF_MUSTUSE int hf_read_file(const char *path, struct hf_buf *out, struct hf_err *err);
HF_MUSTUSE int hf_read_fd(int fd, struct hf_buf *out, struct hf_err *err);
/* Replaces path atomically: temporary file beside it (gone on failure), fsync, rename, fsync of the folder. */
HF_MUSTUSE int hf_write_file(const char *path, mode_t mode, struct hf_span bytes, struct hf_err *err);
/* The same, as atomic for other processes, but waits for no disk: for what is of no use after a power cut. */
HF_MUSTUSE int hf_write_file_soon(const char *path, mode_t mode, struct hf_span bytes, struct hf_err *err);
/* mkdir -p; -ENOTDIR when something else has a name on the way. */
HF_MUSTUSE int hf_mkdirs(const char *path, mode_t mode, struct hf_err *err);
/* The process whose child it is; 0: it is gone, or has none. */
uint32_t hf_parent_of(uint32_t pid);
/* Appends a field of /proc/PID/mountinfo with its escapes undone: blanks and the like are \ooo there (proc(5)). */
void hf_mountinfo_field(struct hf_span field, struct hf_buf *out);
