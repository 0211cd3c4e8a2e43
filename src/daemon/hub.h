/* SPDX-License-Identifier: Apache-2.0 */
/* hub.h - the daemon's middle: lines of watch become incidents of the store, incidents go to the channels, answers come back, the inventory is kept.
 * Needs no privileges once it runs; docs/daemon.md says which part waits for what.
 *
 * Threads: one reads lines (lines.h), one owns correlator, inventory and their store handle (hub.c, hub-log.c), one does what takes long (scans, re-match,
 * retention: hub-slow.c), one answers the console (hub-serve.c), and those of delivery and answers (src/notify).  None waits for one behind it. */
#pragma once
#include "base/span.h"

struct hf_config;
struct hf_daemon_shared;

struct hf_hub_opts {
    const struct hf_config *config;
    struct hf_daemon_shared *shared;
    int lines_fd;      /* what watch writes */
    int acts_fd;       /* what responses of rules did: lines of JSON; -1 */
    int console_fd;    /* stream: lines for the console; -1 */
    int hand_fd;       /* to the hand; -1 */
    int serve_fd;      /* requests of the console; -1 */
    int stop_fd;       /* readable when it is to end */
    int ready_fd;      /* an eventfd that is counted up when shared->hub_ready changes; -1 */
    unsigned user_uid, user_gid;
    bool drop;         /* become that user */
    bool again;        /* another hub read these lines before and ended */
    bool no_sandbox;
};
/* Until stop_fd is readable: then what was read is written, and it ends.  Errors are those of the start; a store or channel that fails later does not end it. */
HF_MUSTUSE int hf_hub_run(const struct hf_hub_opts *o, struct hf_err *err);
/* Whether channels and their secrets can be read, as the hub would at its start.  1: there are channels, 0: no such file, or none. */
HF_MUSTUSE int hf_hub_check_notify(const struct hf_config *c, struct hf_err *err);
