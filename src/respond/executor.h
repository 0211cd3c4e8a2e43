/* SPDX-License-Identifier: Apache-2.0 */
/* executor.h - the process that acts for rules: started by `watch` before anything hostile is read, privileged, asked by the unprivileged engine over a
 * SOCK_SEQPACKET socket.
 *
 * Who asks is not trusted: a message is of one size and checked; the container is looked up again by its control group and id (only containers are acted
 * on, never a path or a number of a process alone); the safeguards and the limit of actions a minute hold here, whatever is asked, and what is
 * not an action of this list cannot be asked.  What that limit refused is told, and tried again for five minutes.  The same action on the same container within HF_EXECUTOR_AGAIN_S is not done again.  A snapshot, and what is wanted after it, is done by a
 * process of its own, so that another container need not wait for it. */
#pragma once
#include "event/alert.h"
#include "respond/respond.h"

#define HF_EXECUTOR_MAGIC 0x50534552u /* "RESP" */
#define HF_EXECUTOR_VERSION 2u
#define HF_EXECUTOR_AGAIN_S 10u

struct hf_executor_ask {
    uint32_t magic;
    uint16_t version, size;
    uint64_t cgroup_id;  /* of the container's own group */
    uint64_t event_ns;   /* CLOCK_BOOTTIME of what the alert is about */
    uint64_t start_ns;   /* start of the process, CLOCK_BOOTTIME; 0: not known */
    uint32_t pid;        /* that did it; 0: none */
    uint32_t n;          /* actions */
    uint8_t acts[8];     /* enum hf_response */
    char id[160];        /* of the container */
    char rule[256];      /* cut; text */
    char alert[64];
    char name[160], image[256]; /* as the engine knows them, for the log, where the disk does not say (yet); may be empty */
};
/* 0; HF_E_FORMAT: what is wrong with it.  Pure. */
HF_MUSTUSE int hf_executor_read(struct hf_span bytes, struct hf_executor_ask *ret, struct hf_err *err);
/* Never blocks.  -EAGAIN: too many are waiting. */
HF_MUSTUSE int hf_executor_send(int fd, struct hf_executor_ask *a, struct hf_err *err);

struct hf_executor_opts {
    const char *state;
    uint64_t for_s;             /* undone after; 0: by hand */
    struct hf_gate_config limit; /* for LIMIT */
    /* Told of everything that was asked: rc and what happened. */
    void (*told)(void *ctx, const struct hf_executor_ask *a, enum hf_act act, int rc, const struct hf_respond_did *did, const char *msg, uint64_t took_ns);
    void *ctx;
};
/* Until the other end is closed and all is done. */
void hf_executor_run(int fd, const struct hf_executor_opts *o);
