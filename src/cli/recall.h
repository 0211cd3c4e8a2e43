/* SPDX-License-Identifier: Apache-2.0 */
/* recall.h - the flight recorder: the last minute of each container in words, so that an alert can carry what came before it.
 *
 * Bounded: the last HF_RECALL_LINES events for each of HF_RECALL_CONTAINERS containers, 160 bytes each, 0.7 MB at most in all, taken
 * as containers are seen; the container longest without an event gives way.  Without memory a container has nothing to recall.
 * One thread. */
#pragma once
#include "event/event.h"

#define HF_RECALL_CONTAINERS 256u
#define HF_RECALL_LINES 16u
#define HF_RECALL_NS 60000000000u

struct hf_recall;
HF_MUSTUSE int hf_recall_new(struct hf_recall **ret, struct hf_err *err);
void hf_recall_free(struct hf_recall *r);
HF_DEFINE_FREEP(struct hf_recall, hf_recall_free)
/* Keeps an event that the tracker has joined; of what only machines read, and of the runtime setting a container up, nothing. */
void hf_recall_add(struct hf_recall *r, const struct hf_event *ev);
/* What is kept of the container (NULL: the host) of the minute before time_ns, oldest first: "-0.512 s  sh (71) ran /bin/cp a b".
 * How many of ret are filled; they are valid until the next call. */
size_t hf_recall_before(struct hf_recall *r, const struct hf_container *c, uint64_t time_ns, struct hf_span ret[HF_RECALL_LINES]);
