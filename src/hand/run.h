/* SPDX-License-Identifier: Apache-2.0 */
/* run.h - the privileged end of hand.h: a process of its own that takes requests of the hub and the console, and runs its own program for
 * each that is allowed, HF_HAND_AT_ONCE at once, one scan and one verification at a time.
 *
 * The children get an empty environment but for the settings of this program (HOLDFAST_*), PATH and HOME, the root folder, and standard streams
 * only.  One that takes too long is killed.  Every request is logged, also one that is refused. */
#pragma once
#include "hand/ask.h"

enum { HF_HAND_ASKERS = 2 };
struct hf_hand_asker {
    const char *name; /* "hub", "console": what is logged */
    int fd;           /* of SOCK_SEQPACKET; owned by the caller */
    bool force;       /* may force what safeguards refuse */
};
struct hf_hand_opts {
    struct hf_hand_asker askers[HF_HAND_ASKERS];
    struct hf_hask_place place; /* force is the asker's */
    volatile int *stop;        /* set by a signal: what is under way is waited for, at most two seconds */
    bool again;                /* another one served these sockets before and ended: what was asked of it is refused */
    int wake_fd;               /* readable when *stop was set; -1 */
    /* After an exception was added: rules are to be read again.  May be NULL. */
    void (*excepted)(void *ctx);
    void *ctx;
    uint64_t *asked, *refused, *failed; /* counters; may be NULL */
};
/* Until *stop is set or every asker is gone. */
HF_MUSTUSE int hf_hand_run(const struct hf_hand_opts *o, struct hf_err *err);
