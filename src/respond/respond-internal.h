/* SPDX-License-Identifier: Apache-2.0 */
/* respond-internal.h - one action on its way: shared by respond.c (the frame), acts.c (what is done) and snapshot.c. */
#pragma once
#include "base/json.h"
#include "respond/active.h"
#include "respond/journal.h"
#include "respond/netns.h"
#include "respond/respond.h"

struct hf_job {
    const struct hf_target *t;
    const struct hf_respond_opts *o;
    struct hf_respond_did *did;
    struct hf_active a;       /* written before it is done */
    char dir[3800];
    bool already;        /* ISOLATE, LIMIT: it takes the place of another one */
    bool frozen_before;
    struct hf_netns_list *ns; /* ISOLATE, LIMIT */
    struct hf_target again;   /* the same: what t became while it was being made; then t is this */
    char head[HF_JOURNAL_HASH]; /* of the log when it began; SNAPSHOT */
};
struct hf_act_ops {
    const char *name;
    bool lasting; /* stays in force, can be undone */
    /* Fills before, effects, a.settings; changes nothing. */
    int (*look)(struct hf_job *j, struct hf_err *err);
    /* Does it, or leaves all as it was; fills after, rung. */
    int (*act)(struct hf_job *j, struct hf_err *err);
};
extern const struct hf_act_ops hf_act_ops[HF_ACTS];

/* Takes it back.  t NULL: the container is gone. */
HF_MUSTUSE int hf_act_undo(const struct hf_active *a, const struct hf_target *t, struct hf_err *err);
/* The freezer that a container has: its folder, or NULL. */
const char *hf_target_freezer(const struct hf_target *t, int *ret_kind);
/* Packets that a lasting action dropped; false: not counted. */
bool hf_act_dropped(const struct hf_active *a, const struct hf_target *t, uint64_t *ret_packets, uint64_t *ret_bytes);

int hf_snapshot_look(struct hf_job *j, struct hf_err *err);
int hf_snapshot_act(struct hf_job *j, struct hf_err *err);
