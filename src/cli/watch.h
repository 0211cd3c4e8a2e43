/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h - the two halves of `watch`: cmd-watch.c starts the privileged sensor, watch-engine.c is the unprivileged side. */
#pragma once
#include <stdbool.h>

#include "base/err.h"

struct hf_rules;
struct hf_watch_opts {
    const char *container; /* only this one: name, or the beginning of its id; NULL: all */
    struct hf_rules *rules; /* NULL: none; taken over */
    bool json, host, alerts_only, no_sandbox, colour;
};
/* Runs until the other end of fd is closed.  0; HF_E_INCOMPLETE when something was lost; -ECONNRESET when the sensor died. */
int hf_watch_engine(const struct hf_watch_opts *o, int fd, struct hf_err *err);
