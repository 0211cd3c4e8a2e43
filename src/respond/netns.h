/* SPDX-License-Identifier: Apache-2.0 */
/* netns.h - work in a container's network namespace: a forked child enters it (setns), does one thing and ends.  What it says comes back
 * over a pipe, bounded; after HF_NETNS_MS it is killed. */
#pragma once
#include <sys/types.h>

#include "base/attr.h"
#include "base/span.h"

#define HF_NETNS_MS 10000u

struct hf_target;
/* Number of a process's network namespace; 0: gone. */
uint64_t hf_netns_of(pid_t pid);

/* The network namespaces that the container's processes are in. */
#define HF_NETNS_MAX 16u
struct hf_netns {
    uint64_t ino;
    pid_t pid; /* one that is in it, the container's first if that is; it may end at any time: */
    int fd;    /* the namespace itself */
};
struct hf_netns_list {
    struct hf_netns v[HF_NETNS_MAX];
    size_t n;
    bool host; /* some are in the host's, or in one that processes outside of containers use: those are not in v, and never touched */
};
/* *ret is untouched unless 0 is returned; then it is the caller's to be done with. */
HF_MUSTUSE int hf_netns_list(const struct hf_target *t, struct hf_netns_list *ret, struct hf_err *err);
void hf_netns_list_done(struct hf_netns_list *l);
/* Sockets of AF_XDP that are open in them: what those send passes control groups and nftables by. */
uint64_t hf_netns_xdp(const struct hf_netns_list *l);
/* The same of a text of /proc/PID/net/protocols, for tests. */
uint64_t hf_netns_xdp_of(struct hf_span protocols);

/* fn runs in the child, in the namespace; what it puts into out is the caller's (at most
 * out->max bytes), and so are its code and message. */
typedef int (*hf_netns_fn)(void *ctx, struct hf_buf *out, struct hf_err *err);
HF_MUSTUSE int hf_netns_run(const struct hf_netns *ns, hf_netns_fn fn, void *ctx, struct hf_buf *out, struct hf_err *err);

/* nft(8) commands as one transaction, through libnftables (loaded when needed); for use within fn.  Output as text. */
HF_MUSTUSE int hf_nft(const char *commands, struct hf_buf *out, struct hf_err *err);
