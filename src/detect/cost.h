/* SPDX-License-Identifier: Apache-2.0 */
/* cost.h - what watching costs, once a second: by half, by hook, by rule, by container.
 *
 * Joined from what the sensor says of itself (pairs of its STATUS record: docs/formats/events.md), what the engine measured of its rules and
 * what this process used.  The run time of a hook is shared among the rules that are on and need one of its types of events; where no rule
 * does it belongs to the process tree (exec, fork, exit, groups: without them no event has its process) or to what is only recorded
 * and displayed.  No clock, no files; texts of rules are borrowed from the engine, names of containers are copied.  One thread. */
#pragma once
#include "detect/engine.h"

#define HF_COST_HOOKS 160u
#define HF_COST_GROUPS 8u /* busiest containers that are told of */

/* Sets of types have the bit 1 << HF_EV_* of what the kernel tells, and HF_SET_RATE (wire.h). */
#define HF_COST_TREE (1ull << HF_EV_EXEC | 1ull << HF_EV_FORK | 1ull << HF_EV_EXIT | 1ull << HF_EV_CGROUP)

/* Rates are a second; times of a second are ns: 10,000,000 is 1 % of a core. */
struct hf_cost_hook {
    char name[48];
    uint64_t types;  /* that it delivers */
    double runs, ns;
    size_t rules;    /* that are on and need it */
};
struct hf_cost_rule {
    const struct hf_rule *rule;
    size_t index;        /* for hf_engine_shed */
    uint64_t types;      /* that it listens to */
    uint64_t needs;      /* these, and those of the rules that remember for it */
    uint64_t remembers, uses; /* bits: which of the rules that remember it is; whose memory it asks for, also through others */
    double looks, matches, own_ns, hooks_ns; /* own_ns: in the engine; hooks_ns: its share of the hooks */
    double each_ns;      /* of a look, lately; 0: none was timed yet */
    uint64_t all_matches, all_alerts, last_match_ns;
    size_t state_bytes;
    bool shed;
};
struct hf_cost_group { /* a container's ordinary events: not the urgent ones, and not the programs that start */
    uint64_t cgroup_id;
    char name[80];
    double events;
};
struct hf_cost {
    bool measured;       /* the hooks were, in this second; else theirs are of the last one in which they were */
    double seconds;      /* the interval */
    double sensor_ns, engine_ns, hooks_ns; /* own time of the two halves, run time of the hooks: with the guard's their sum is the cost */
    double guard_ns, guard_hooks_ns; /* the guard's own time (with that of its children that have ended), run time of its programs in the kernel */
    double guard_hash_ns, guard_large_ns; /* parts of guard_ns: digests; those of large files among them */
    double guard_bytes, guard_verdicts;   /* hashed, given */
    double files_ns;     /* part of sensor_ns: looking for the files that are watched, in every new container */
    double rules_ns;     /* part of engine_ns */
    double tree_ns, display_ns; /* parts of hooks_ns that no rule asks for */
    uint64_t sensor_rss_kib, engine_rss_kib, kernel_bytes, state_bytes;
    double seen, sent, deduped, lost, events; /* records of the kernel, that it held back, that were lost; events that came here */
    double type_events[64];
    struct hf_cost_hook hooks[HF_COST_HOOKS]; /* dearest first */
    size_t n_hooks;
    struct hf_cost_rule *rules; /* dearest first */
    size_t n_rules;
    struct hf_cost_group groups[HF_COST_GROUPS]; /* busiest first */
    size_t n_groups;
};
static inline double hf_cost_total_ns(const struct hf_cost *c)
{
    return c->sensor_ns + c->engine_ns + c->hooks_ns + c->guard_ns + c->guard_hooks_ns;
}

struct hf_cost_meter;
HF_MUSTUSE int hf_cost_meter_new(struct hf_cost_meter **ret, struct hf_err *err);
void hf_cost_meter_free(struct hf_cost_meter *m);
HF_DEFINE_FREEP(struct hf_cost_meter, hf_cost_meter_free)
/* Each event that came, joined by the tracker. */
void hf_cost_meter_event(struct hf_cost_meter *m, const struct hf_event *ev);
/* A STATUS record of the running sensor.  e NULL: without rules.  cpu_ns, rss_kib: of this process, since its start.  NULL for a record
 * that is none of these or the first (nothing to compare with); else the interval since the one before, until the next call. */
const struct hf_cost *hf_cost_meter_status(struct hf_cost_meter *m, struct hf_span pairs, const struct hf_engine *e, uint64_t cpu_ns, uint64_t rss_kib, uint64_t now_ns);
/* Another engine took the place: the rules are counted from here. */
void hf_cost_meter_restart(struct hf_cost_meter *m);
/* "exec, fork, rate" */
void hf_cost_types_text(uint64_t types, struct hf_buf *out);
