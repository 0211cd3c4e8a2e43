/* SPDX-License-Identifier: Apache-2.0 */
/* watch-respond.h - automatic actions of rules: the engine's side, and the privileged process that does them. */
#pragma once
#include <sys/types.h>

#include "event/alert.h"

struct hf_watch_respond_opts {
    const char *state;
    uint64_t for_s; /* 0: until undone by hand */
};
/* Starts the process; *ret_fd is the engine's end.  To be called before the engine is started. */
HF_MUSTUSE int hf_watch_executor(const struct hf_watch_respond_opts *o, pid_t *ret_pid, int *ret_fd, struct hf_err *err);
/* Asks for what the rule of an alert wants; what came of it, for the alert ("asked"), or NULL: nothing is wanted. */
const char *hf_watch_respond(int fd, const struct hf_alert *a);
