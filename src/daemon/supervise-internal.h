/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <pwd.h>
#include <sys/types.h>

#include "daemon/shared.h"
#include "daemon/supervise.h"

enum hf_proc { HF_PROC_WATCH, HF_PROC_HUB, HF_PROC_CONSOLE, HF_PROC_HAND, HF_PROCS };
extern const char *const hf_procs[HF_PROCS];

struct proc {
    bool wanted;
    bool given_up;        /* watch: this machine cannot be watched */
    pid_t pid;            /* 0: it does not run */
    uint64_t restarts, started_ms, next_ms, pause_ms; /* next_ms: when it is started; 0: not planned */
    unsigned quick;       /* how often it ended at once, one after the other */
    uint64_t told_ms;     /* when an alert was last made of its end */
    int64_t started_s;
    char last[160];       /* how it ended last; empty: it did not */
};
struct supervisor {
    const struct hf_supervise_opts *o;
    const struct hf_config *c;
    struct hf_daemon_shared *sh;
    struct proc procs[HF_PROCS];
    uid_t uid;
    gid_t gid;
    int lock_fd, status_fd, signal_fd, kick_fd, listen_fd;
    int lines[2], acts[2];                /* pipes: [0] the hub's, [1] watch's */
    int live[2], serve[2];                /* hub [0], console [1] */
    int hub_hand[2], console_hand[2];     /* asking [0], the hand [1] */
    int64_t started_s;
    bool ready, stopping, hard, terminal, reload_hub, hand_before, hub_before;
};

/* supervise-prepare.c: user, folders, lock, sockets. */
HF_MUSTUSE int supervisor_prepare(struct supervisor *s, struct hf_err *err);
void supervisor_done(struct supervisor *s);
/* supervise-start.c: one of the children.  0 and its pid in the table. */
HF_MUSTUSE int supervisor_start(struct supervisor *s, enum hf_proc which, struct hf_err *err);
/* The one-time link, by a child that is nobody special. */
void supervisor_link(struct supervisor *s);
/* supervise-status.c */
void supervisor_status(const struct supervisor *s, struct hf_buf *out);
/* Whoever waits at the socket gets it. */
void supervisor_answer(const struct supervisor *s);
/* sd_notify(3): text to $NOTIFY_SOCKET, when there is one. */
void supervisor_notify(const char *text);
uint64_t supervisor_now_ms(void);
