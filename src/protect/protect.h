/* SPDX-License-Identifier: Apache-2.0 */
/* protect.h - policies in force: the module of the guard that applies them to containers, counts what they refuse or would have, and says on which
 * rung each clause stands.  docs/protect.md
 *
 * A container gets the most specific policy that matches its facts.  Enforced, its programs are judged before they start (exec-perm.h) and held
 * against their verdicts in the kernel (kernel.h); observed, the kernel half tells of the same programs and lets them go.  What is in force is
 * written to STATE/protect/status.json each time it changes and every few seconds; STATE/protect/modes (hf_protect_modes) overrides the modes of the
 * files within a second. */
#pragma once
#include "guard/guard.h"
#include "protect/policy.h"

#define HF_PROTECT_DIR "protect"
#define HF_PROTECT_STATUS_SCHEMA "holdfast.protect/1"
#define HF_PROTECT_ALIVE_S 10 /* a status that is older is of a guard that is gone */

struct hf_protect;
struct hf_protect_opts {
    const struct hf_prot_set *policies; /* borrowed */
    const char *state_dir;
    const volatile int *leaving;        /* non-zero: an orderly end, after which nothing is refused any more; else closed policies hold on */
};
HF_MUSTUSE int hf_protect_new(struct hf_protect **ret, const struct hf_protect_opts *o, struct hf_err *err);
void hf_protect_free(struct hf_protect *p);
HF_DEFINE_FREEP(struct hf_protect, hf_protect_free)
/* Adds itself to the guard. */
HF_MUSTUSE int hf_protect_add(struct hf_protect *p, struct hf_guard *g, struct hf_err *err);

/* One process at a time puts policies in force with a folder of state: a descriptor that holds the lock as long as it, or a copy, is open.
 * -EBUSY: another has it. */
HF_MUSTUSE int hf_protect_lock(const char *state_dir, struct hf_err *err);

/* ---- overrides of modes: what `holdfast protect mode|off|on` writes ---- */
enum { HF_OVERRIDE_NONE = -1, HF_OVERRIDE_OFF = HF_MODES };
struct hf_protect_modes {
    bool all_off;
    struct {
        char policy[128];
        int mode; /* enum hf_prot_mode, or HF_OVERRIDE_OFF */
    } v[64];
    size_t n;
};
/* A file that is not there is empty; lines that are not understood are an error. */
HF_MUSTUSE int hf_protect_modes_parse(struct hf_span text, struct hf_protect_modes *ret, struct hf_err *err);
void hf_protect_modes_write(const struct hf_protect_modes *m, struct hf_buf *out);
/* HF_OVERRIDE_NONE: as in the file. */
int hf_protect_modes_of(const struct hf_protect_modes *m, struct hf_span policy);
HF_MUSTUSE int hf_protect_modes_set(struct hf_protect_modes *m, const char *policy, int mode, struct hf_err *err);
