/* SPDX-License-Identifier: Apache-2.0 */
/* correlate-internal.h - what an alert says, and how it becomes part of a document. */
#pragma once
#include "incident/correlate.h"
#include "incident/incident-internal.h"

enum { CHAIN_MAX = 17, SLOT_BOXES = 32, SLOT_PROCS = 64, SLOT_THINGS = 64 };

/* Of one line: spans and nodes are borrowed from it. */
struct facts {
    hf_jnode root, box, process;
    struct hf_span type, id, rule;
    const char *host;
    uint64_t ns;
    int severity;
    uint64_t count;
    uint64_t box_key; /* 0: the host */
    uint64_t procs[CHAIN_MAX];
    size_t n_procs;
    size_t n_chain;      /* ancestors that belong to the session */
    uint64_t thing;      /* image and rule; 0: none */
    bool sum;            /* of alerts that were folded */
};

/* Adds the alert to the document. */
void hf_corr_fold(struct hf_inc *i, const struct facts *f);
/* Counts only: a sum. */
void hf_corr_fold_sum(struct hf_inc *i, const struct facts *f);
/* All of from into into: lists, graph, counts. */
void hf_corr_absorb(struct hf_inc *into, struct hf_inc *from, uint64_t ns);
/* The container's node with its image. */
cJSON *hf_corr_box_node(struct hf_inc *i, struct hf_span id, struct hf_span name, struct hf_span image, struct hf_span digest, uint64_t ns);
/* Name of a program that starts sessions and belongs to none: runtimes, service managers, servers of logins. */
bool hf_corr_starts_sessions(struct hf_span name);
uint64_t hf_corr_u64(hf_jnode object, const char *name);
