/* SPDX-License-Identifier: Apache-2.0 */
/* track-internal.h - the tracker's tables: processes (track.c), containers (track-containers.c), connections and names (track-net.c). */
#pragma once
#include "base/mem.h"
#include "event/reached.h"
#include "event/track.h"

struct hf_node { /* a process */
    struct hf_proc p;
    struct hf_node *hash_next;
    struct hf_node *prev, *next; /* in `living` or `ended` */
    struct hf_track_list *list;
    unsigned children; /* nodes that have it as parent */
    char *text;
    size_t text_n;
    bool could_setuid; /* since its last exec it was root or had CAP_SETUID: a change to root needs no exploit */
    bool may_hold; /* it may have capabilities in store that were never seen in effect, or rights from before it was seen */
    bool had_all;  /* its program was started as root: with all capabilities that its bounding set leaves, which never grows */
    uint64_t caps_seen; /* in effect, since its last exec */
};

struct hf_track_list { /* oldest first */
    struct hf_node *first, *last;
    size_t n;
};

struct hf_box { /* a container */
    struct hf_container c;
    struct hf_box *next;
    char *text;
    unsigned procs;   /* nodes in it */
    uint64_t main_start_ns;
    uint32_t main_pid; /* the first process that ran in it; 0: none yet */
    uint64_t ended_boot_ns;
};

struct hf_group { /* cgroup id -> container */
    uint64_t id;
    struct hf_box *box; /* NULL: free */
};

struct hf_conn { /* one end of a connection, under its tuple */
    uint8_t local[16], peer[16];
    uint16_t local_port, peer_port, protocol;
    bool used, listener;
    uint32_t pid, net_ns;
    uint64_t start_ns, cgroup_id, last_ns;
};

struct hf_name { /* the last name that was resolved to an address, as one container saw it */
    uint64_t cgroup_id;
    uint8_t addr[16];
    uint8_t n;
    char name[111];
};

struct hf_home { /* the network namespace that has an address, and who used it there last */
    uint8_t addr[16];
    uint32_t net_ns;
    bool used;
    uint64_t cgroup_id, last_ns, clash_ns; /* clash_ns: when another namespace had it, too */
};

struct hf_edge_slot {
    struct hf_edge e;
    uint64_t from_id, to_id; /* cgroup ids; 0: host or elsewhere */
    char text[192];          /* of from_exe, to_exe, peer_name */
    bool used;
};

#define HF_WRITER_TEXT 320u
struct hf_writer_slot { /* the file is known by a hash of container and path alone */
    struct hf_writer w;
    uint64_t key; /* 0: free */
    uint16_t exe_n, args_n, manager_n;
    uint32_t manager_pid;
    uint64_t manager_start_ns;
    char text[HF_WRITER_TEXT]; /* exe, args, manager */
};

#define HF_TRACK_CLIENTS 64u
struct hf_client { /* a command on the host that opens a session in a container */
    uint32_t pid; /* 0: it has opened one */
    uint64_t start_ns;
};

struct hf_track {
    struct hf_track_limits max;
    struct hf_node **procs; /* hash table */
    size_t procs_mask, n_procs;
    struct hf_track_list living, ended;
    size_t text_bytes;
    struct hf_client clients[HF_TRACK_CLIENTS]; /* the latest */
    size_t n_clients;
    const struct hf_node *pin; /* of the event at hand: never evicted */
    struct hf_box *boxes;
    size_t n_boxes;
    struct hf_group *groups;
    size_t groups_mask, n_groups;
    struct hf_conn *conns;
    size_t conns_mask;
    struct hf_name *names;
    size_t names_mask;
    struct hf_home *homes; /* as many as names */
    struct hf_edge_slot *edges;
    size_t edges_mask, n_edges;
    struct hf_writer_slot *writers; /* made at the first write */
    size_t writers_mask;
    uint64_t clock_offset_ns, evicted_live, unknown;
    uint32_t next_index;
};

/* Mixes words of a key; keyed per process, so that hostile addresses and numbers cannot pile up in one place. */
uint64_t hf_track_hash(const void *p, size_t n);

struct hf_box *hf_track_box_of(const struct hf_track *t, uint64_t cgroup_id);
/* CONTAINER, CONTAINER_END and CGROUP records; 1 new, 0 known, < 0 without memory. */
int hf_track_container_event(struct hf_track *t, struct hf_event *ev);
void hf_track_boxes_done(struct hf_track *t);
/* An ACCEPT: its process has been reached. */
void hf_track_reached(struct hf_track *t, const struct hf_event *ev);
/* FILE: remembers who wrote what; VERDICT: joins the writer, and what the process's program is. */
void hf_track_file_event(struct hf_track *t, const struct hf_event *ev);
void hf_track_verdict_event(struct hf_track *t, struct hf_event *ev);
/* NET, PAYLOAD, FILE connect: peers, names, edges. */
/* False: it only repeats what the other end of the connection tells. */
bool hf_track_net_event(struct hf_track *t, struct hf_event *ev);
