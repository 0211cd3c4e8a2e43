/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */
/* guard-map.h - values of the maps that the guard and its kernel half (src/sensor/bpf/guard.bpf.c) share. */
#pragma once
#include <linux/types.h>

#define HF_GUARD_RULES_MAX 4096u
#define HF_GUARD_VERDICTS_MAX 65536u
#define HF_GUARD_NAMES_MAX 256u
#define HF_GUARD_FREE_MAX 4096u
#define HF_GUARD_RING_BYTES (256u * 1024)
#define HF_GUARD_LEVELS 8u      /* groups in groups: a container's own is looked for so far up */
#define HF_GUARD_NAME 16u
#define HF_GUARD_PATH 256u

/* What is enforced in a container, by the id of its own control group. */
#define HF_GUARD_EXEC 0x1u      /* programs are held against their verdicts */
#define HF_GUARD_CLOSED 0x2u    /* also when the guard is gone */
#define HF_GUARD_SHELLS 0x4u    /* programs that are many may not be called by such names */
#define HF_GUARD_PACKAGES 0x8u
#define HF_GUARD_DEST 0x10u
#define HF_GUARD_LISTEN 0x20u
#define HF_GUARD_DEVICES 0x40u
#define HF_GUARD_COUNT 0x80u    /* nothing is refused, only told */
#define HF_GUARD_STRICT 0x10000u /* with EXEC: what has no verdict does not start; else only what a verdict or a name refuses */
#define HF_GUARD_LIBS 0x20000u   /* files that are mapped for execution are held against their verdicts too */
#define HF_GUARD_UNTOLD 0x40000u /* in hf_guard_stopped: there was no room to tell of it */
#define HF_GUARD_STOPPED_MAX 1024u
#define HF_GUARD_FILES 0x80000u  /* what hf_guard_held names may not be written */
#define HF_GUARD_UNSERVED_MAX 64u
#define HF_GUARD_USE_SHIFT 8u   /* 1 << (HF_USE_* + 8): refused */
#define HF_GUARD_USES 6u
struct hf_guard_rule {
    __u64 container;
    __u32 flags;
    __u32 policy; /* number of the policy's lists: destinations, ports, devices */
    __u32 begun;  /* its first program started: what its runtime does before is not the container's */
    __u32 level;  /* how deep its user namespace lies; what is below was made inside */
    __u32 root_dev, pad2; /* of its root: what an overlay's lower layers hold is the image's own */
};
#define HF_GUARD_LEVEL_UNKNOWN 0xffffffffu
/* A device that a policy lists. */
struct hf_guard_device {
    __u32 policy, type; /* type: 1 block, 2 character */
    __u32 major_no, minor_no;
};
#define HF_GUARD_DEVICES_MAX 4096u

/* What the guard found a file to be, for one container. */
#define HF_GUARD_ALLOW 1u
#define HF_GUARD_DENY 2u
#define HF_GUARD_MANY 0x100u    /* it is many programs: the names it is called by count too */
#define HF_GUARD_LOADER 0x200u  /* it runs what its arguments name: fine as another program's interpreter, not by itself */
struct hf_guard_key {
    __u64 container, inode;
    __u32 dev; /* major << 20 | minor */
    __u32 pad;
};
struct hf_guard_verdict {
    __u64 ctime_ns; /* of the file whose content was judged; it counts only for that */
    __u32 verdict;  /* HF_GUARD_ALLOW or DENY, | HF_GUARD_MANY */
    __u32 clause;   /* that refuses */
};

/* What a file or folder of hf_guard_held is (by hf_guard_key). */
#define HF_GUARD_HELD_ITSELF 0x1u
#define HF_GUARD_HELD_BELOW 0x2u /* a folder: and all that is in it */
#define HF_GUARD_HELD_WAY 0x4u   /* a folder on the way to one: it keeps its name */
#define HF_GUARD_HELD_MAX 16384u

/* Bits of hf_guard_names. */
#define HF_GUARD_NAME_SHELL 0x1u
#define HF_GUARD_NAME_PACKAGES 0x2u
#define HF_GUARD_NAME_MANY 0x4u

/* Destinations and ports: longest prefix of (policy, kind, address); ports of one entry beside it. */
struct hf_guard_net_key {
    __u32 bits;      /* of what follows */
    __u32 policy;    /* of hf_guard_rule */
    __u32 listen;    /* 1: ports to listen on */
    __u8 addr[16];
};
#define HF_GUARD_NETS_MAX 16384u
#define HF_GUARD_NET_BITS (64u + 128u)
#define HF_GUARD_PORTS 16u
struct hf_guard_ports {
    __u32 n; /* ranges; from 0: every port */
    struct {
        __u16 from, to;
        __u8 protocol, pad[3];
    } v[HF_GUARD_PORTS];
};

/* What was refused, or would have been. */
enum {
    HF_GUARD_WHY_DENIED = 1, /* the verdict on the file */
    HF_GUARD_WHY_STALE,      /* it changed after it was judged; by rung 0: it was let go */
    HF_GUARD_WHY_UNJUDGED,   /* nobody judged it */
    HF_GUARD_WHY_MEMORY,     /* it was never a file */
    HF_GUARD_WHY_NAME,       /* the name it was called by */
    HF_GUARD_WHY_LOADER,     /* a loader run by itself, which runs any file */
    HF_GUARD_WHY_GONE,       /* the guard is gone, and the policy is closed */
    HF_GUARD_WHY_CONNECT,
    HF_GUARD_WHY_LISTEN,
    HF_GUARD_WHY_USE,        /* `use` says of what */
    HF_GUARD_WHY_DEVICE,     /* `use`: type; dev: major << 20 | minor */
    HF_GUARD_WHY_WRITE,      /* path: as its process sees it */
};
#define HF_GUARD_MAPPED 1u  /* `use` of DENIED, STALE, UNJUDGED, MEMORY, GONE: it was mapped for execution */
#define HF_GUARD_STARTED 2u /* of UNJUDGED: a container's first program, stopped before its first instruction */
#define HF_GUARD_BY_LSM 1u      /* numbers of the wire's HF_RUNG_* */
#define HF_GUARD_BY_SIGNAL 3u
#define HF_GUARD_BY_CGROUP 4u
struct hf_guard_told {
    __u64 time_ns, container, cgroup_id, start_ns, inode, ctime_ns;
    __u32 dev, mode, pid, tid, ppid, uid, why, rung, clause, use;
    __u16 port, protocol;
    __u8 addr[16];
    char comm[16];
    __u32 path_len;
    char path[HF_GUARD_PATH]; /* as the program was called for */
};
