/* SPDX-License-Identifier: Apache-2.0 */
/* reload.h - SIGHUP to `watch`: the files of rules and exceptions again, for the side that may not open files.
 *
 * A thread of the privileged process waits for the signal, reads the files without looking into them, and sends them as a bundle (in
 * memory) over a socket.  The unprivileged side loads the bundle whole or says what is wrong and keeps what it has. */
#pragma once
#include <pthread.h>

#include "base/opts.h"
#include "cli/rules-cli.h"

struct hf_reload {
    const struct hf_strs *rules, *exceptions; /* as for hf_cli_rules, hf_cli_excepts */
    int fd;             /* to the other side; owned */
    volatile int *stop; /* set when the terminal is gone */
    bool terminal;      /* standard output was one */
    pthread_t thread;
    bool running;
};
/* From here on SIGHUP is for the thread alone.  Call it before there are other threads and after the other side was started. */
HF_MUSTUSE int hf_reload_start(struct hf_reload *r, struct hf_err *err);
void hf_reload_end(struct hf_reload *r);

/* The other side: takes what came over the socket.  1 and both outputs (compiled); 0: the socket was closed; < 0: what is wrong (nothing is made). */
HF_MUSTUSE int hf_reload_take(int fd, struct hf_rules **ret_rules, struct hf_excepts **ret_excepts, struct hf_err *err);
