/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.h - a process gives up what it does not need: identity and capabilities, files (Landlock), system calls (seccomp).
 *
 * Order: open what is needed, hf_sandbox_drop, hf_sandbox_files, hf_sandbox_calls.  A step that was asked for and failed is an
 * error; where the kernel has no Landlock, hf_sandbox_files returns 1 and the caller says so. */
#pragma once
#include <sys/types.h>

#include "base/span.h"

/* Becomes uid and gid without supplementary groups and without any capability, also none to be gained (no_new_privs); HOME is theirs then.  Before there are threads. */
HF_MUSTUSE int hf_sandbox_drop(uid_t uid, gid_t gid, struct hf_err *err);
/* From now on only these directories can be read below (NULL-terminated list; missing ones are skipped); nothing can be written by name.
 * 0, or 1 when this kernel has no Landlock. */
HF_MUSTUSE int hf_sandbox_files(const char *const *readable, struct hf_err *err);
/* From now on only the calls of a program that computes, reads and writes what it has open, and waits.  Others give EPERM; what would
 * start a program, trace, or open the network kills. */
HF_MUSTUSE int hf_sandbox_calls(struct hf_err *err);

/* ---- for a process that serves: files it writes, the network, threads; no programs ---- */
/* As hf_sandbox_files, with folders (or files) below which it may also write, make and remove. */
HF_MUSTUSE int hf_sandbox_paths(const char *const *readable, const char *const *writable, struct hf_err *err);
/* As hf_sandbox_calls, with sockets (but none to listen on: that was made before), threads, and files by name.  Starting a program, tracing, loading and
 * mounting kill. */
HF_MUSTUSE int hf_sandbox_service(struct hf_err *err);
