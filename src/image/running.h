/* SPDX-License-Identifier: Apache-2.0 */
/* running.h - the root file system of a running container as the kernel shows it: every kind of storage, whichever runtime made it.
 *
 * What is mounted into the container is left out by the kernel, not by looking: a copy of the root mount alone (open_tree(2) without
 * AT_RECURSIVE, Linux 5.2) is read, read-only and without touching access times.  So nothing that was mounted over a file hides it. */
#pragma once
#include "image/image.h"

struct hf_running {
    int pidfd; /* of a process of the container; stays the caller's */
    int pid;   /* the same; pidfd says whether it still is */
    struct hf_span name;
    struct hf_span ref;     /* name of its image, or empty */
    struct hf_digest image; /* as its runtime knows it; n == 0: not known */
};
/* Calls cb with one layer, the merged root.  Needs CAP_SYS_ADMIN and CAP_SYS_CHROOT.  HF_E_UNSUPPORTED: it is the host's own root, or
 * the kernel refuses a copy of it; HF_E_NOT_FOUND: it has ended. */
HF_MUSTUSE int hf_image_open_running(const struct hf_running *r, hf_image_cb cb, void *ctx, struct hf_err *err);
