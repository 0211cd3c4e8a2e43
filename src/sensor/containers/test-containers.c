// SPDX-License-Identifier: Apache-2.0
/* The table of the privileged process, without a disk: which groups belong to which container, until when, and who is believed. */
#include "sensor/containers/containers.h"
#include "event/event.h"
#include "tap.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define S 1000000000ull

static uint64_t last_group, last_container;
static unsigned told, ended, forgotten;
static char last_name[64];

static void tell(void *ctx, struct hf_span record)
{
    struct hf_event ev;
    struct hf_err err = HF_ERR_INIT;
    (void)ctx;
    if (hf_event_decode(record, &ev, &err) < 0)
        return;
    ended += ev.type == HF_EV_CONTAINER_END;
    told += ev.type == HF_EV_CONTAINER;
    struct hf_span rest = ev.text, name, value;
    while (hf_event_pair(&rest, &name, &value))
        if (hf_span_eqz(name, "name"))
            snprintf(last_name, sizeof last_name, "%.*s", HF_SPAN_ARG(value));
}

static void group(void *ctx, uint64_t id, uint64_t container, uint32_t init_pid)
{
    (void)ctx;
    (void)init_pid;
    last_group = id;
    last_container = container;
    forgotten += container == 0;
}

static struct hf_containers *fresh(void)
{
    struct hf_containers *t = NULL;
    struct hf_err err = HF_ERR_INIT;
    told = ended = forgotten = 0;
    return hf_containers_new(&t, tell, group, NULL, "/no/such/root", &err) == 0 ? t : NULL;
}

static void life(void)
{
    hf_cleanup(hf_containers_freep) struct hf_containers *t = fresh();
    hf_containers_made(t, 10, 1, HF_S("/system.slice/cron.service"), 0, 1 * S, 1 * S);
    EQ_U(hf_containers_of(t, 10), 0);
    hf_containers_made(t, 20, 1, HF_S("/docker/" ID), 0, 1 * S, 1 * S);
    EQ_U(hf_containers_of(t, 20), 20);
    EQ_U(told, 1);
    EQ_S(hf_span_z(last_name), "0123456789ab"); /* nothing on the disk: never without a name */
    hf_containers_made(t, 21, 20, HF_S("/docker/" ID "/init.scope"), 0, 1 * S, 1 * S);
    EQ_U(hf_containers_of(t, 21), 20);
    EQ_U(last_container, 20);
    EQ_U(hf_containers_count(t), 1);
    EQ_U(hf_containers_tick(t, 1 * S), 1000000); /* facts are missing: again in 1 ms */
    hf_containers_gone(t, 21, 2 * S);
    hf_containers_gone(t, 20, 2 * S);
    EQ_U(ended, 1);
    EQ_U(hf_containers_count(t), 0);
    (void)hf_containers_tick(t, 30 * S);
    EQ_U(hf_containers_of(t, 20), 20); /* late events still find it */
    EQ_U(forgotten, 0);
    (void)hf_containers_tick(t, 63 * S);
    EQ_U(hf_containers_of(t, 20), 0);
    EQ_U(hf_containers_of(t, 21), 0);
    EQ_U(forgotten, 2); /* the kernel half gets its places back */
}

/* Thousands of containers that came and went leave nothing behind. */
static void churn(void)
{
    hf_cleanup(hf_containers_freep) struct hf_containers *t = fresh();
    unsigned known = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        char path[128];
        snprintf(path, sizeof path, "/docker/%064llx", (unsigned long long)i);
        hf_containers_made(t, 100 + i, 1, hf_span_z(path), 0, i * S, i * S);
        known += hf_containers_of(t, 100 + i) == 100 + i;
        hf_containers_gone(t, 100 + i, i * S);
        (void)hf_containers_tick(t, i * S);
    }
    EQ_U(known, 20000);
    OK(forgotten > 19900);
}

/* A process in a container makes a group with the name of another container. */
static void borrowed_name(void)
{
    hf_cleanup(hf_containers_freep) struct hf_containers *t = fresh();
    hf_containers_made(t, 20, 1, HF_S("/docker/" ID), 0, 1 * S, 1 * S);
    hf_containers_made(t, 30, 1, HF_S("/docker/" OTHER), 0, 1 * S, 1 * S);
    EQ_U(told, 2);
    hf_containers_made(t, 31, 30, HF_S("/docker/" OTHER "/docker/" ID), 0, 1 * S, 1 * S);
    EQ_U(hf_containers_of(t, 31), 30);
    EQ_U(told, 2);
    /* a container within a container, with a name of its own, is one */
    hf_containers_made(t, 32, 30, HF_S("/docker/" OTHER "/docker/aaaa456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"), 0, 1 * S, 1 * S);
    EQ_U(hf_containers_of(t, 32), 32);
    EQ_U(told, 3);
}

int main(void)
{
    life();
    churn();
    borrowed_name();
    return tap_done();
}
