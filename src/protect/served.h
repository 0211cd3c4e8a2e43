/* SPDX-License-Identifier: Apache-2.0 */
/* served.h - programs on file systems that somebody else serves (FUSE, NFS and their like), judged before they are opened to be run.
 *
 * Whoever serves one may never answer who opens a file there, as the kernel does for each question of fanotify, and may give other content each time.  So
 * such files are not read, but judged by path, place and time of change, and each container that sees such mounts has a child process of its own that asks:
 * it marks them, takes the questions, and hands number and name of the file to the guard, which answers at once.  A child that makes no progress for
 * HF_SERVED_STUCK_NS is given up: nobody is asked for from then on, and the kernel half holds what has no verdict there, unless the policy fails open
 * (hf_guard_kernel_unserved).  Who waits for its answer does so until the server gives one to it, or is killed: FUSE lets nobody go who has asked.  Another
 * child is started HF_SERVED_AGAIN_NS after it has ended.  The guard itself never opens anything there.
 *
 * One thread; the descriptors of children are in the guard's loop. */
#pragma once
#include "guard/guard.h"
#include "protect/exec-perm.h"

#define HF_SERVED_STUCK_NS 5000000000ull
#define HF_SERVED_AGAIN_NS 30000000000ull
#define HF_SERVED_CHILDREN 32u /* containers with such mounts; what lies on those of more has no verdict */

struct hf_served_set;
/* o: judge is asked with fd -1 and no one may open the file. */
HF_MUSTUSE int hf_served_new(struct hf_served_set **ret, const struct hf_exec_perm_opts *o, struct hf_guard *g, void (*tell)(void *ctx, uint64_t container, const char *what), struct hf_err *err);
void hf_served_free(struct hf_served_set *s);
HF_DEFINE_FREEP(struct hf_served_set, hf_served_free)
/* A protected container, by one of its processes: it has a child from now on, if it sees such a mount.  Called again it does nothing. */
void hf_served_container(struct hf_served_set *s, uint64_t container, uint32_t pid);
void hf_served_forget(struct hf_served_set *s, uint64_t container);
/* Each second: who is stuck, who is to be started again. */
void hf_served_tick(struct hf_served_set *s, uint64_t now_ns);
