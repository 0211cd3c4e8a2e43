/* SPDX-License-Identifier: Apache-2.0 */
/* packets.h - where the packet programs (bpf/net-skb.bpf.c) are attached: they see what containers send and receive, and nobody else pays for it.  On
 * a unified hierarchy to the containers' own groups; elsewhere to the root of the unified one, where all sockets are, while there is a container.
 * Private to the sensor; not thread-safe. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct hf_packets;

struct hf_packets_opts {
    int root_fd;   /* of the unified hierarchy; stays the caller's, who keeps it open */
    int progs[2];  /* out, in: loaded programs; stay the caller's; -1: none */
    bool by_group; /* ids of containers are groups of that hierarchy */
    bool host;     /* the host's own packets are wanted too: always at the root */
};
HF_MUSTUSE int hf_packets_new(struct hf_packets **ret, const struct hf_packets_opts *o, struct hf_err *err);
/* All that follow take NULL for one that does nothing. */
void hf_packets_free(struct hf_packets *p);
/* A container, by the id of its own group; one that is known, or has ended meanwhile, is no error. */
HF_MUSTUSE int hf_packets_add(struct hf_packets *p, uint64_t cgroup_id, struct hf_err *err);
/* Once a second: attaches where that was too early. */
HF_MUSTUSE int hf_packets_tick(struct hf_packets *p, struct hf_err *err);
void hf_packets_remove(struct hf_packets *p, uint64_t cgroup_id);
/* Nobody asks for packets for the time being, or again somebody does. */
HF_MUSTUSE int hf_packets_off(struct hf_packets *p, bool off, struct hf_err *err);
