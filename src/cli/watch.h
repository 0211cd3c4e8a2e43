/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h - the two halves of `watch`: cmd-watch.c starts the privileged sensor, watch-engine.c is the unprivileged side. */
#pragma once
#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"
#include "cli/watch-filter.h"

struct hf_rules;
struct hf_excepts;
struct hf_alert_log;
struct hf_watch_list;
struct hf_watch_opts {
    const char *container; /* only this one: name, or the beginning of its id; NULL: all */
    struct hf_watch_filter filter;
    struct hf_rules *rules; /* NULL: none; taken over */
    struct hf_excepts *excepts; /* NULL: none; taken over */
    struct hf_watch_list *watch; /* of files, with those that the rules name; NULL: as built in.  Borrowed */
    struct hf_alert_log *log; /* of alerts; NULL: none.  Borrowed */
    int reload_fd; /* where new rules come from (reload.h); -1: nowhere.  Borrowed */
    int respond_fd; /* to the executor (watch-respond.h); -1: rules do nothing.  Borrowed */
    int record_fd; /* open for writing; -1: no recording.  Borrowed */
    uint64_t record_max; /* bytes of it; 0: the usual */
    bool json, host, alerts_only, no_sandbox, colour;
    bool map; /* instead of events and alerts: at the end, who talks to whom */
    bool cost; /* instead of events and alerts: what watching costs, every second */
    double budget_ns; /* of a second, for all that watching costs; 0: none */
    bool goes_on; /* it does more than tell (policies, actions, a recording): also when nobody reads what it tells */
    bool tree; /* processes below their parents, with their numbers */
};
/* Runs until the other end of fd is closed.  0; HF_E_INCOMPLETE when something was lost; -ECONNRESET when the sensor died. */
int hf_watch_engine(const struct hf_watch_opts *o, int fd, struct hf_err *err);
/* The same from a recording (event/recording.h) at fd, with the output it had; needs no privileges.  HF_E_INCOMPLETE also when it was cut
 * off or is damaged within (what was read has been told), other codes when it is no recording at all. */
int hf_watch_replay(const struct hf_watch_opts *o, int fd, struct hf_err *err);
