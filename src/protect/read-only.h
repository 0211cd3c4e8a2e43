/* SPDX-License-Identifier: Apache-2.0 */
/* read-only.h - paths of a container that may not be written: what they stand for in its mount namespace, and read-only mounts that hold them where no
 * security hook can (hf_ro_arm).  docs/protect.md
 *
 * A folder gets a read-only copy of its own mount over itself, with all that is mounted below; what is a mount point already is made read-only in
 * place.  Whoever has something open for writing, or has a folder below it as working directory, from before, goes on with the mount below: so it is
 * done before a container's first program.  Who may mount inside the container may undo it: kernel_use holds that, and hf_ro_state sees it.
 *
 * The mounting is done by a child in the container's namespace, which has two seconds.  Needs CAP_SYS_ADMIN and CAP_SYS_CHROOT. */
#pragma once
#include "protect/guard-map.h"
#include "protect/policy.h"

#define HF_RO_MAX 64u
#define HF_RO_PATH 1024u

struct hf_ro_path {
    uint64_t mount; /* its id (mountinfo) */
    uint32_t ours;  /* HF_RO_* */
    char path[HF_RO_PATH];
};
enum { HF_RO_WAS = 1, HF_RO_IN_PLACE, HF_RO_OVER }; /* it was read-only before; made so; a mount of ours lies over it */
#define HF_RO_FILES 512u
struct hf_ro_file {
    uint64_t inode;
    uint32_t dev, what; /* dev: major << 20 | minor; what: HF_GUARD_HELD_* */
};
struct hf_ro {
    uint64_t mnt_ns; /* inode of the namespace; 0: nothing is held */
    size_t n, n_files;
    struct hf_ro_path v[HF_RO_MAX];
    struct hf_ro_file files[HF_RO_FILES]; /* of hf_ro_look */
    char why[160];   /* what of the policy is not held; "" */
};

/* What the patterns stand for in the mount namespace of the process becomes read-only.  0, also when a part could not be (ret->why); < 0: nothing was
 * done.  What `old` holds there already (NULL: nothing) is taken over. */
HF_MUSTUSE int hf_ro_arm(struct hf_ro *ret, uint32_t pid, const struct hf_prot_spans *patterns, const struct hf_ro *old, struct hf_err *err);
/* Only looks: ret->files are what the patterns stand for, with the mounts below and the folders above.  Nothing is changed. */
HF_MUSTUSE int hf_ro_look(struct hf_ro *ret, uint32_t pid, const struct hf_prot_spans *patterns, struct hf_err *err);
/* 1: as it was made; 0: something of it is not there, or can be written again; -ESRCH: the process is gone, or in another namespace. */
int hf_ro_state(const struct hf_ro *ro, uint32_t pid);
/* What was there before.  -ESRCH as above. */
int hf_ro_release(const struct hf_ro *ro, uint32_t pid);
/* Whether the patterns can be held whole: no '*' but a last "**". */
bool hf_ro_whole(const struct hf_prot_spans *patterns);

/* Mounts that a process made though it may not: those that `before` (HF_RO_IDS ids at most) does not have are taken away.  How many; -errno. */
#define HF_RO_IDS 512u
struct hf_ro_ids {
    uint64_t mnt_ns;
    size_t n;
    uint64_t v[HF_RO_IDS];
};
int hf_ro_ids(struct hf_ro_ids *ret, uint32_t pid);
int hf_ro_undo(const struct hf_ro_ids *before, uint32_t pid);
