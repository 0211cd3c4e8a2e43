/* SPDX-License-Identifier: Apache-2.0 */
/* respond.h - what is done to a container: frozen, ended, cut off, slowed, kept as evidence; and undone.  docs/respond.md.
 *
 * Every action: safeguards, a limit of actions a minute, a line in the log before and one after (journal.h), a record of what was there before
 * (active.h), by which it is undone by hand, after a time (a process of its own that waits, or whatever part of Holdfast is started next),
 * or because it failed half-way.  Needs root.  One thread; one action at a time on a host (the log's lock).
 *
 * A log that cannot be written stops a person's action (unless forced), not a rule's: an attacker may have filled the disk. */
#pragma once
#include <signal.h>

#include "respond/gate.h"
#include "respond/target.h"

enum hf_act { HF_ACT_FREEZE, HF_ACT_KILL, HF_ACT_ISOLATE, HF_ACT_LIMIT, HF_ACT_SNAPSHOT, HF_ACTS };
const char *hf_act_name(enum hf_act a);                  /* "freeze" */
bool hf_act_parse(struct hf_span name, enum hf_act *ret);

#define HF_RESPOND_PER_MINUTE 10u
#define HF_RESPOND_FOR_MAX_S (30u * 86400u)
#define HF_RESPOND_FREEZE_MS 2000u
#define HF_RESPOND_KILL_MS 10000u

struct hf_respond_opts {
    const char *state;      /* folder of the state; "respond" below it is used */
    const char *why;        /* NULL: not said */
    struct hf_span rule, alert; /* by which; empty: by a person */
    bool dry_run, force;
    unsigned per_minute;    /* 0: HF_RESPOND_PER_MINUTE */
    uint64_t for_s;         /* undone then; 0: not */
    pid_t pid;              /* KILL: only this process; 0: all */
    uint64_t pid_start;     /* clock ticks since boot; 0: as it is now */
    struct hf_gate_config gate; /* LIMIT: rates; ISOLATE: allowed addresses */
    const char *output;     /* SNAPSHOT: file; NULL: made up, below the state */
    bool freeze;            /* SNAPSHOT: frozen meanwhile */
    uint64_t max_bytes;     /* SNAPSHOT: of changed files; 0: as usual */
    const volatile sig_atomic_t *stop; /* SNAPSHOT: given up, undone and logged as failed once it is set; NULL: never */
};
struct hf_respond_did {
    uint64_t seq;           /* of its line in the log; 0: none */
    char rung[96];          /* by what it was done */
    struct hf_buf before, after; /* JSON objects */
    struct hf_buf effects;  /* lines of text: what it does, or would do */
    uint64_t done_ns;       /* when it was in force, before it was logged: CLOCK_BOOTTIME; 0: it was not done */
    bool not_logged;        /* the log could not be written */
    bool nothing;           /* it was so already, or there was nothing to undo */
};
void hf_respond_did_init(struct hf_respond_did *d);
void hf_respond_did_done(struct hf_respond_did *d);

HF_MUSTUSE int hf_respond_do(enum hf_act act, const struct hf_target *t, const struct hf_respond_opts *o, struct hf_respond_did *ret, struct hf_err *err);
/* FREEZE: thaws, also what others froze; ISOLATE, LIMIT: back as it was; HF_ACTS: all that Holdfast did to it. */
HF_MUSTUSE int hf_respond_undo(enum hf_act act, const struct hf_target *t, const struct hf_respond_opts *o, struct hf_respond_did *ret, struct hf_err *err);
/* Actions whose time is over, or whose container is gone: undone, forgotten.  How many. */
HF_MUSTUSE int hf_respond_expire(const char *state, struct hf_err *err);

/* The parts of "respond" below a state folder. */
void hf_respond_dir(const char *state, char out[3800]);
