/* SPDX-License-Identifier: Apache-2.0 */
/* reached.h - by whom a process was reached over the network: a database that starts a shell is one story with the connection that made
 * it do so, whoever's container that came from.
 *
 * The tracker keeps the last peers of every process that accepts (track-net.c); what it starts is looked up through its ancestors.
 * A connection has one key, the same at both ends, in every event of it and in the alerts that may come of it. */
#pragma once
#include "event/event.h"

#define HF_REACHED_MAX 4u                  /* peers of a process that are kept, the last ones */
#define HF_REACHED_NS 300000000000ull      /* and told of for so long */

struct hf_reached {
    uint64_t key;     /* hf_connection_key */
    uint64_t time_ns; /* since the epoch, of the last connection accepted from this peer */
    uint8_t peer[16];
    uint16_t peer_port, local_port, protocol;
    uint8_t container_n, exe_n;
    char container[64], exe[96]; /* of the peer, where it is on this host; cut */
};

struct hf_reached_list {
    size_t n;
    struct hf_reached r[HF_REACHED_MAX]; /* newest first */
};

/* Of a NET or PAYLOAD: one number for both ends.  A connection over loopback is another one in each network namespace. */
uint64_t hf_connection_key(const struct hf_event *ev);
/* An ACCEPT, joined: notes its peer.  One peer (address, and container or program) takes one place. */
void hf_reached_add(struct hf_reached_list *l, const struct hf_event *ev);
/* The last peers of the process or its nearest ancestor that was reached within HF_REACHED_NS before time_ns; NULL: none. */
const struct hf_reached_list *hf_reached_of(const struct hf_proc *p, uint64_t time_ns);
