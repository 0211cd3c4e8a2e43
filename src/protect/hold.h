/* SPDX-License-Identifier: Apache-2.0 */
/* hold.h - the mounts of protected containers: paths that are held read-only (read-only.h), and mounts that were made though they may not be.
 *
 * What is held is written to STATE/protect/read-only, so that a later guard, or `holdfast protect off`, finds what one that was killed left. */
#pragma once
#include "protect/protect.h"
#include "protect/read-only.h"

struct hf_prot_box;
struct hf_held { /* of a container */
    struct hf_ro ro;
    uint32_t pid;           /* of a process that is in the namespace */
    struct hf_ro_ids ids;   /* the mounts that may be there */
    bool has_ids, mounted;  /* mounted: somebody did since */
    uint64_t mounted_ns;
    char group[1024];       /* folder of its control group: for another process, when this one is gone */
    bool armed, told;
};

struct hf_hold;
HF_MUSTUSE int hf_hold_new(struct hf_hold **ret, const char *state_dir, struct hf_err *err); /* takes in what an earlier guard left */
void hf_hold_free(struct hf_hold *h);
HF_DEFINE_FREEP(struct hf_hold, hf_hold_free)

/* Paths of the policy, if `on`; else what was held is given back.  0; < 0: nothing is held (err); also in held->ro.why. */
HF_MUSTUSE int hf_hold_paths(struct hf_hold *h, struct hf_held *held, uint32_t pid, const struct hf_prot_spans *patterns, bool on, struct hf_err *err);
/* Remembers which mounts are there: of those that may be. */
void hf_hold_mounts(struct hf_held *held, uint32_t pid);
/* Takes away what was mounted since; how many. */
int hf_hold_undo(struct hf_held *held);
/* Once a second: 0, or 1: what was held was undone by somebody (and is held again). */
int hf_hold_look(struct hf_hold *h, struct hf_held *held, const struct hf_prot_spans *patterns);
void hf_hold_gone(struct hf_hold *h, struct hf_held *held); /* its container ended */
/* What an earlier guard held and nobody took over is given back. */
void hf_hold_settle(struct hf_hold *h);
/* The same without a guard: everything in the file. */
void hf_hold_release_all(const char *state_dir);
