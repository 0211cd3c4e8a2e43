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
