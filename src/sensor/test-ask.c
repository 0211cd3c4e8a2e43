// SPDX-License-Identifier: Apache-2.0
#include "sensor/ask.h"

#include <errno.h>
#include <sys/socket.h>

#include "tap.h"

static struct hf_ask good(void)
{
    return (struct hf_ask){.magic = HF_ASK_MAGIC, .version = HF_ASK_VERSION, .size = sizeof(struct hf_ask), .seq = 7, .demand = HF_DEMAND_MEMORY,
            .shed_container = 1ull << HF_EV_PAYLOAD | 1ull << HF_EV_RENAME, .shed_host = 1ull << HF_EV_EXIT, .flags = HF_ASK_COSTS};
}

static int reads(const struct hf_ask *a, struct hf_err *err)
{
    struct hf_ask got = {.seq = 99};
    int rc = hf_ask_read(hf_span((const char *)a, sizeof *a), &got, err);
    if (rc < 0 && got.seq != 99)
        return 1; /* written to on an error */
    return rc;
}

static void taken(void)
{
    int pair[2];
    char bytes[256];
    struct hf_ask a = good(), got;
    OK(reads(&a, NULL) == 0);
    if (!OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0))
        return;
    a.magic = 0; /* is filled in */
    OK(hf_ask_send(pair[0], &a, NULL) == 0);
    ssize_t n = recv(pair[1], bytes, sizeof bytes, 0);
    OK(n == (ssize_t)sizeof a && hf_ask_read(hf_span(bytes, (size_t)n), &got, NULL) == 0);
    EQ_U(got.seq, 7);
    EQ_U(got.demand, HF_DEMAND_MEMORY);
    EQ_U(got.shed_host, 1ull << HF_EV_EXIT);
    close(pair[1]);
    OK(hf_ask_send(pair[0], &a, NULL) == -EPIPE);
    close(pair[0]);
}

/* Every type that must be told, by the list of the wire: a new type that is neither kept nor sheddable is refused as well. */
static void refused(void)
{
    static const unsigned kept[] = {HF_EV_EXEC, HF_EV_CGROUP, HF_EV_SIGNAL, HF_EV_PTRACE, HF_EV_NS, HF_EV_MOUNT, HF_EV_MODULE, HF_EV_BPF, HF_EV_CAP, HF_EV_SOCKET, 0, 40, 62};
    struct hf_err err = HF_ERR_INIT;
    for (size_t i = 0; i < HF_ARRAY_LEN(kept); i++) {
        struct hf_ask a = good(), b = good();
        a.shed_container |= 1ull << kept[i];
        b.shed_host |= 1ull << kept[i];
        OK(reads(&a, &err) == HF_E_FORMAT && reads(&b, &err) == HF_E_FORMAT);
    }
    OK(strstr(err.msg, "cannot be left out"));
    struct hf_ask l = good();
    l.limits[3] = (struct hf_ask_limit){.cgroup_id = 5, .per_s = HF_ASK_LIMIT_MIN};
    OK(reads(&l, &err) == 0);
    l.limits[3].per_s--;
    OK(reads(&l, &err) == HF_E_FORMAT && strstr(err.msg, "limited to 99"));
    l.limits[3] = (struct hf_ask_limit){.per_s = 1000};
    OK(reads(&l, &err) == HF_E_FORMAT);
    struct hf_ask a = good();
    a.demand |= HF_DEMAND_ALL + 1;
    OK(reads(&a, &err) == HF_E_FORMAT && strstr(err.msg, "classes of hooks 0x10"));
    a = good();
    a.demand_cheap |= HF_DEMAND_ALL + 1;
    OK(reads(&a, &err) == HF_E_FORMAT);
    a = good();
    a.version = 2;
    OK(reads(&a, &err) == HF_E_FORMAT && strstr(err.msg, "version 2"));
    a = good();
    a.reserved = 1;
    OK(reads(&a, &err) == HF_E_FORMAT);
    a = good();
    a.flags = 4;
    OK(reads(&a, &err) == HF_E_FORMAT);
    a = good();
    a.size--;
    OK(reads(&a, &err) == HF_E_FORMAT);
    a = good();
    struct hf_ask got;
    OK(hf_ask_read(hf_span((const char *)&a, sizeof a - 1), &got, &err) == HF_E_FORMAT);
    OK(hf_ask_read(hf_span(NULL, 0), &got, &err) == HF_E_FORMAT);
}

static void rate(void)
{
    struct hf_ask_gate g = {0};
    uint64_t now = 5000000000u;
    unsigned passed = 0;
    for (unsigned i = 0; i < 1000; i++)
        passed += hf_ask_gate_pass(&g, now);
    EQ_U(passed, HF_ASK_BURST);
    OK(!hf_ask_gate_pass(&g, now + HF_ASK_EVERY_NS - 1));
    OK(hf_ask_gate_pass(&g, now + HF_ASK_EVERY_NS) && !hf_ask_gate_pass(&g, now + HF_ASK_EVERY_NS));
    OK(!hf_ask_gate_pass(&g, now - 1000)); /* a clock that goes back gives nothing */
    passed = 0;
    for (unsigned i = 0; i < 1000; i++)
        passed += hf_ask_gate_pass(&g, now + 3600000000000u);
    EQ_U(passed, HF_ASK_BURST);
}

static void names(void)
{
    hf_autobuf b = HF_BUF_INIT(256);
    hf_demand_names(HF_DEMAND_MEMORY | HF_DEMAND_TRACE, &b);
    EQ_S(hf_buf_span(&b), "memory,trace");
    hf_buf_clear(&b);
    hf_demand_names(0, &b);
    EQ_S(hf_buf_span(&b), "none");
    for (unsigned i = 0; i < HF_DEMANDS; i++)
        OK(hf_demand_name(i));
    OK(!hf_demand_name(HF_DEMANDS));
}

int main(void)
{
    taken();
    refused();
    rate();
    names();
    return tap_done();
}
