/* SPDX-License-Identifier: Apache-2.0 */
/* containers.h - the containers that the privileged process knows: from the creation of their control group on, with their facts as
 * soon as the disk has them.
 *
 * Facts are told through `tell` as HF_EV_CONTAINER records (complete each time).  What is missing is looked for again after 1, 5, 20,
 * 100, 500 and 2,000 ms (hf_containers_tick).  Nothing blocks longer than reading some small files.  A container is forgotten 60 s
 * after its group is gone.  One thread. */
#pragma once
#include "sensor/containers/bundle.h"

struct hf_containers;

typedef void (*hf_containers_tell)(void *ctx, struct hf_span record);
/* A group belongs to a container from now on (also the container's own group): the kernel half is told.  container_id 0: the group is
 * gone and forgotten. */
typedef void (*hf_containers_group)(void *ctx, uint64_t cgroup_id, uint64_t container_id, uint32_t init_pid);

HF_MUSTUSE int hf_containers_new(struct hf_containers **ret, hf_containers_tell tell, hf_containers_group group, void *ctx, const char *prefix_or_null,
        struct hf_err *err);
void hf_containers_free(struct hf_containers *t);
HF_DEFINE_FREEP(struct hf_containers, hf_containers_free)

/* A group was made (or was there before): tells of a container when the path is one's.  maker_pid: who made it, 0: unknown;
 * born_ns: when, 0: before the sensor.
 * Within a container anyone may name groups: there the maker is not believed, and a group that takes the name of a container that is
 * known already is part of the container it lies in. */
void hf_containers_made(struct hf_containers *t, uint64_t cgroup_id, uint64_t parent_id, struct hf_span path, uint32_t maker_pid, uint64_t born_ns,
        uint64_t now_ns);
/* A runtime was started outside of containers: its arguments are kept for a while, since it may be gone when the group that it makes is told of. */
void hf_containers_runtime(struct hf_containers *t, uint32_t pid, struct hf_span args);
void hf_containers_gone(struct hf_containers *t, uint64_t cgroup_id, uint64_t now_ns);
/* The container's own group, 0 when the group is of none. */
uint64_t hf_containers_of(const struct hf_containers *t, uint64_t cgroup_id);
/* Facts that an alert would miss are looked for at once (one attempt). */
void hf_containers_settle(struct hf_containers *t, uint64_t cgroup_id, uint64_t now_ns);
/* Retries and forgets; returns ns until it wants to be called again, UINT64_MAX: not needed. */
uint64_t hf_containers_tick(struct hf_containers *t, uint64_t now_ns);
/* Walks the control groups below `mount` that are there already (bounded). */
void hf_containers_walk(struct hf_containers *t, const char *mount, uint64_t now_ns);
size_t hf_containers_count(const struct hf_containers *t);
/* Places of runtimes that are not read, since there are too many: their containers may have no names. */
size_t hf_containers_left_out(const struct hf_containers *t);
