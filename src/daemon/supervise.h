/* SPDX-License-Identifier: Apache-2.0 */
/* supervise.h - the daemon's root: prepares folders and sockets, starts watch, hub, console and hand, starts again what ends, ends all in order.
 *
 * It reads nothing that comes from containers or from the network: settings, what the kernel says of its children, and numbers of shared memory.
 * SIGTERM and SIGINT end it, SIGHUP reads rules, exceptions and channels again, SIGUSR1 (from the hand) rules and exceptions only. */
#pragma once
#include "base/config.h"

struct hf_rules;
struct hf_supervise_opts {
    const struct hf_config *config;
    bool no_sandbox;
    bool link;      /* print a one-time link for the console when it is ready */
    /* For the console: the rules of daemon.rules ("": those that come with holdfast).  May be NULL. */
    int (*rules)(const char *path, struct hf_rules **ret, struct hf_err *err);
};
/* Until it is told to end.  HF_E_USAGE: settings, a missing user; -EBUSY: another daemon has this state folder. */
HF_MUSTUSE int hf_supervise(const struct hf_supervise_opts *o, struct hf_err *err);
/* What a running daemon says of itself (holdfast.daemon-status/1), behind what is in ret.  -ENOENT, -ECONNREFUSED: none runs there. */
HF_MUSTUSE int hf_supervise_status(const char *state, struct hf_buf *ret, struct hf_err *err);
