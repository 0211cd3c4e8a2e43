/* SPDX-License-Identifier: Apache-2.0 */
/* sensor.h - the privileged process: loads the kernel half, drains its rings in the order of time, says which container is which, and
 * hands everything as records (wire.h) to the unprivileged process at the other end of a SOCK_SEQPACKET socket.
 *
 * It decodes no more than it needs, knows no rules and writes no output.  One thread, one epoll loop; asleep while nothing happens. */
#pragma once
#include "base/span.h"
#include "sensor/kernel.h"

struct hf_sensor_opts {
    int out_fd;             /* SOCK_SEQPACKET, to the unprivileged process */
    uint32_t peer_pid;      /* of that process: its own acts are no events either */
    int guard_fd;           /* SOCK_SEQPACKET, to the guard (guarded.h); -1: there is none */
    uint32_t guard_pid;     /* its acts are no events either */
    bool guard_first;       /* its programs are attached before the sensor's own: what they kill is seen to be killed */
    bool guard_files;       /* the guard wants to know what is written in containers, of the files that are watched */
    struct hf_watch_list *watch; /* files that are watched (files/watch.h); taken over.  NULL: the built-in rows */
    bool host;              /* events of processes outside containers too */
    volatile const int *stop; /* becomes non-zero when it is to end */
};
/* Returns when asked to stop or the other side is gone (0), or with an error before it began. */
HF_MUSTUSE int hf_sensor_run(const struct hf_sensor_opts *o, struct hf_err *err);
/* What this kernel offers, without starting: fills a kernel half that is loaded, attached and closed again. */
HF_MUSTUSE int hf_sensor_probe(struct hf_kernel **ret, struct hf_err *err);
