/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot-internal.h - a snapshot that is being written. */
#pragma once
#include "base/json.h"
#include "respond/respond-internal.h"
#include "respond/snapshot.h"

struct archive;
struct hf_bundle_out {
    struct archive *a;
    struct hf_buf members;    /* JSON of the manifest, so far */
    struct hf_jw list;
    struct hf_buf incomplete; /* JSON strings with commas */
    unsigned n_incomplete;
    uint64_t began_ns, began_cpu_ns;
    uint64_t end_ns;          /* CLOCK_BOOTTIME: what is not done by then is left out */
    size_t n;
    uint64_t bytes;
    uint64_t copied, copied_ns; /* what was added from files, and how long that took */
    int fd;
    int64_t time_s;
    const char *frozen;       /* group that is to be thawed when all is read; NULL: none */
    int freezer;              /* enum hf_freezer */
    int keeper;               /* end of a pipe to a process that thaws it when this one is gone; -1: none */
    const volatile sig_atomic_t *stop; /* of hf_respond_opts */
    int lock;                 /* from the manifest on: each has the digest of the one before it; -1: not held yet */
};
/* A member with its bytes. */
HF_MUSTUSE int hf_bundle_add(struct hf_bundle_out *b, const char *name, struct hf_span bytes, struct hf_err *err);
/* A member from a file, from its beginning. */
HF_MUSTUSE int hf_bundle_add_fd(struct hf_bundle_out *b, const char *name, int fd, uint64_t size, struct hf_err *err);
/* Says what is missing and why. */
HF_PRINTF(2, 3) void hf_bundle_lacks(struct hf_bundle_out *b, const char *fmt, ...);
bool hf_bundle_late(const struct hf_bundle_out *b);
/* All that changes while the container runs has been read: it goes on, if it was frozen for that.  Again: does nothing. */
HF_MUSTUSE int hf_bundle_thaw(struct hf_bundle_out *b, struct hf_err *err);
/* Whether it would be too late once so many bytes that were set aside have been added. */
bool hf_bundle_late_for(const struct hf_bundle_out *b, uint64_t bytes);

/* processes.json, proc/PID/maps, net/NUMBER/..., mounts. */
HF_MUSTUSE int hf_snapshot_processes(struct hf_bundle_out *b, const struct hf_target *t, struct hf_err *err);
/* changed.tar, and changed-2.tar and so on: the upper folder of the root file system. */
HF_MUSTUSE int hf_snapshot_changed(struct hf_bundle_out *b, const struct hf_target *t, const char *near, uint64_t max_bytes, struct hf_err *err);
/* upperdir of the root mount in a text of mountinfo, unescaped; false: no overlay.  For tests. */
bool hf_snapshot_upper(struct hf_span mountinfo, char out[4096]);
