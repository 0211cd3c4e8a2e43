/* SPDX-License-Identifier: Apache-2.0 */
/* groups.h - stopping and ending all processes of a control group and of those below it.
 * Source: kernel Documentation, cgroup-v2 "cgroup.freeze", "cgroup.kill", "cgroup.events"; cgroup-v1/freezer-subsystem.
 *
 * Everything works on a folder, so that tests can give one.  What fails half-way is put back. */
#pragma once
#include "base/span.h"

enum hf_freezer { HF_FREEZER_NONE, HF_FREEZER_V1, HF_FREEZER_V2 };
const char *hf_freezer_name(enum hf_freezer f); /* "cgroup v2", "cgroup v1 freezer", "none" */

/* Whether it is frozen by its own setting: 1, 0, < 0.  A frozen ancestor does not count. */
HF_MUSTUSE int hf_group_is_frozen(const char *dir, enum hf_freezer f, struct hf_err *err);
/* Returns when all are frozen.  -ETIMEDOUT: some would not (err says so), and it is thawed again unless it was frozen before. */
HF_MUSTUSE int hf_group_freeze(const char *dir, enum hf_freezer f, unsigned timeout_ms, struct hf_err *err);
HF_MUSTUSE int hf_group_thaw(const char *dir, enum hf_freezer f, unsigned timeout_ms, struct hf_err *err);

struct hf_target;
/* Ends everything in the container, again and again until nothing is left: cgroup.kill where it has a v2 group of its own, else frozen by the v1
 * freezer meanwhile, so that nobody can run away from the signals.  A number that was given to somebody else meanwhile is not hit (pidfd).
 * *ret_n: how many were there.  -ETIMEDOUT: some are left. */
HF_MUSTUSE int hf_group_kill(const struct hf_target *t, unsigned timeout_ms, size_t *ret_n, const char **ret_rung, struct hf_err *err);
/* One process of the container: checked by pidfd, start (clock ticks since boot; 0: not checked) and group.  Waits until it has ended.
 * HF_E_NOT_FOUND: it is not in the container, or another one by now. */
HF_MUSTUSE int hf_group_kill_one(const struct hf_target *t, int pid, uint64_t start, unsigned timeout_ms, struct hf_err *err);
