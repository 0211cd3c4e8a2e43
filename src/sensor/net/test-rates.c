// SPDX-License-Identifier: Apache-2.0
#include "sensor/net/rates.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "sensor/net/net-map.h"
#include "tap.h"

static struct hf_wire_rate got[8];
static size_t n_got;

static void keep(void *ctx, const struct hf_wire_rate *r)
{
    (void)ctx;
    if (n_got < 8)
        got[n_got] = *r;
    n_got++;
}

static int cpus;
static int put(int fd, uint64_t id, uint64_t packets, uint64_t syn)
{
    struct hf_rate_counts *v = calloc((size_t)cpus, sizeof *v);
    int rc;
    if (!v)
        return -ENOMEM;
    for (int i = 0; i < cpus; i++)
        v[i].packets_out = packets; /* on every processor */
    v[cpus - 1].tcp_syn_out = syn;
    v[0].net_ns = 77;
    rc = bpf_map_update_elem(fd, &id, v, BPF_ANY);
    free(v);
    return rc;
}

static int put_udp(int fd, uint64_t id, uint64_t out, uint64_t in)
{
    hf_autofree struct hf_rate_counts *v = calloc((size_t)cpus, sizeof *v);
    if (!v)
        return -ENOMEM;
    v[0].udp_out = out;
    v[0].udp_in = in;
    return bpf_map_update_elem(fd, &id, v, BPF_ANY);
}

int main(void)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_rates *r = NULL;
    cpus = libbpf_num_possible_cpus();
    LIBBPF_OPTS(bpf_map_create_opts, o, .map_flags = BPF_F_NO_PREALLOC);
    hf_autoclose int fd = bpf_map_create(BPF_MAP_TYPE_PERCPU_HASH, "hf_rates", 8, sizeof(struct hf_rate_counts), 64, &o);
    if (fd < 0) {
        printf("1..0 # SKIP maps cannot be made: %s\n", strerror(errno));
        return 0;
    }
    uint64_t all = (uint64_t)cpus;
    EQ_I(hf_rates_new(&r, fd, &err), 0);
    EQ_I(put(fd, 5, 10, 1), 0);
    EQ_I(hf_rates_read(r, 1000, keep, NULL, &err), 0); /* what was there before: only the beginning */
    EQ_I(hf_rates_read(r, 2000, keep, NULL, &err), 0); /* nothing moved */
    EQ_I(put(fd, 5, 13, 4), 0);
    EQ_I(put(fd, 2, 1, 0), 0);
    EQ_I(hf_rates_read(r, 3500, keep, NULL, &err), 2);
    EQ_U(n_got, 2);
    const struct hf_wire_rate *five = got[0].h.cgroup_id == 5 ? &got[0] : &got[1], *two = five == got ? &got[1] : &got[0];
    EQ_U(five->h.cgroup_id, 5);
    EQ_U(five->packets_out, 3 * all);
    EQ_U(five->tcp_syn_out, 3);
    EQ_U(five->interval_ns, 1500);
    EQ_U(five->h.net_ns, 77);
    EQ_U(five->h.len, sizeof *five);
    EQ_U(five->h.type, HF_EV_RATE);
    EQ_U(two->h.cgroup_id, 2);
    EQ_U(two->packets_out, all); /* all of a new one */
    EQ_U(two->interval_ns, 1500);
    /* before the interval is over: only when there is more than in the whole one before */
    struct hf_wire_rate w = {.interval_ns = 0};
    EQ_I(put(fd, 5, 14, 6), 0);
    EQ_I(hf_rates_early(r, 5, 3600, &w, &err), 0); /* 2 connections begun, 3 before */
    EQ_I(put(fd, 5, 20, 8), 0);
    EQ_I(hf_rates_early(r, 5, 3700, &w, &err), 1);
    EQ_U(w.h.cgroup_id, 5);
    OK(w.h.flags & HF_F_EARLY);
    EQ_U(w.tcp_syn_out, 4);
    EQ_U(w.packets_out, 7 * all);
    EQ_U(w.interval_ns, HF_RATE_NS);
    EQ_I(hf_rates_early(r, 9, 3700, &w, &err), 0); /* no such container */
    n_got = 0;
    EQ_I(hf_rates_read(r, 3800, keep, NULL, &err), 1); /* and all of it comes again */
    EQ_U(got[0].tcp_syn_out, 4);
    OK(!(got[0].h.flags & HF_F_EARLY));
    EQ_I(hf_rates_early(r, 5, 3850, &w, &err), 0);
    EQ_I(put(fd, 5, 21, 12), 0);
    EQ_I(hf_rates_early(r, 5, 3900, &w, &err), 1);
    EQ_U(w.tcp_syn_out, 6); /* since it came fast, though the interval ended meanwhile */
    EQ_I(hf_rates_early(r, 5, 3900 + HF_RATE_NS, &w, &err), 0); /* another time */
    /* datagrams count when hardly one of them is answered */
    EQ_I(put_udp(fd, 6, 6400, 101), 0);
    EQ_I(hf_rates_early(r, 6, 3910, &w, &err), 0);
    EQ_I(put_udp(fd, 6, 6400, 99), 0);
    EQ_I(hf_rates_early(r, 6, 3920, &w, &err), 1);
    EQ_U(w.udp_out, 6400);
    EQ_U(w.udp_in, 99);
    hf_rates_forget(r, 6);
    hf_rates_forget(r, 5);
    hf_rates_forget(r, 99);
    uint64_t key = 5;
    hf_autofree struct hf_rate_counts *v = calloc((size_t)cpus, sizeof *v);
    OK(v && bpf_map_lookup_elem(fd, &key, v) < 0);
    EQ_I(put(fd, 5, 1, 0), 0);
    n_got = 0;
    EQ_I(hf_rates_read(r, 4000, keep, NULL, &err), 1);
    EQ_U(got[0].h.cgroup_id, 5);
    EQ_U(got[0].packets_out, all);
    for (uint64_t id = 100; id < 150; id++)
        EQ_I(put(fd, 250 - id, id, 0), 0);
    n_got = 0;
    EQ_I(hf_rates_read(r, 5000, keep, NULL, &err), 50);
    EQ_I(hf_rates_read(r, 6000, keep, NULL, &err), 0);
    hf_rates_free(r);
    r = NULL;
    EQ_I(hf_rates_new(&r, -1, &err), 0);
    OK(hf_rates_read(r, 1, keep, NULL, &err) < 0);
    OK(err.msg[0] != 0);
    hf_rates_free(r);
    hf_rates_free(NULL);
    return tap_done();
}
