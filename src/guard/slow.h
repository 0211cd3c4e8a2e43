/* SPDX-License-Identifier: Apache-2.0 */
/* slow.h - file systems that somebody else serves: a process (FUSE) or another machine (NFS, SMB, Ceph, AFS).  Who opens a file there waits for an answer
 * that may never come, and what is read may be another thing the next time.  Mounts are listed as /proc/PID/mountinfo has them, which asks no server. */
#pragma once
#include "base/span.h"

struct statx;

#define HF_MOUNTS_BELOW 64u

struct hf_mount {
    struct hf_span point; /* escaped (hf_mountinfo_field), from the root of the process */
    struct hf_span type;
    uint64_t id;
    uint32_t dev;    /* kernel's encoding: major << 20 | minor */
    bool noexec;
    bool served;     /* of such a type */
    bool below;      /* it is itself served, or only reached through a file system that is: its name is not to be looked up either.  Not the root. */
};
/* Of an open file or name, with what is known of it without asking anybody (of kernels before 5.8, and after an error, 0).  ret: or NULL. */
uint64_t hf_mount_of(int fd, struct statx *ret_or_null);
/* Begin with .rest = the text, which spans of what comes out point into. */
struct hf_mounts {
    struct hf_span rest;
    uint64_t ids[HF_MOUNTS_BELOW]; /* of mounts that are `below`; when there are more, only what lies on the root itself is not */
    uint64_t root;
    size_t n;
};
/* false: there are no more.  Lines that are none are left out. */
bool hf_mounts_next(struct hf_mounts *m, struct hf_mount *ret);
