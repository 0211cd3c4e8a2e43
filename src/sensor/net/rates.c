// SPDX-License-Identifier: Apache-2.0
#include "sensor/net/rates.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "sensor/net/net-map.h"
#include "sensor/policy-map.h"

#define MAX_CONTAINERS HF_MAX_CGROUPS

struct seen {
    uint64_t id, at_ns;
    struct hf_rate_counts last;
};

struct hf_rates {
    int fd;
    size_t cpus, n;
    uint64_t begun_ns; /* the reading before */
    struct hf_rate_counts *per_cpu;
    struct seen seen[MAX_CONTAINERS]; /* sorted by id */
};

int hf_rates_new(struct hf_rates **ret, int map_fd, struct hf_err *err)
{
    int cpus = libbpf_num_possible_cpus();
    if (cpus <= 0)
        return hf_fail(err, cpus < 0 ? cpus : -EINVAL, "the number of processors is not known");
    hf_cleanup(hf_rates_freep) struct hf_rates *r = calloc(1, sizeof *r);
    if (!r)
        return hf_fail(err, -ENOMEM, "no memory for counters");
    r->fd = map_fd;
    r->cpus = (size_t)cpus;
    r->per_cpu = calloc(r->cpus, sizeof *r->per_cpu);
    if (!r->per_cpu)
        return hf_fail(err, -ENOMEM, "no memory for counters");
    *ret = hf_take(r);
    return 0;
}

void hf_rates_free(struct hf_rates *r)
{
    if (!r)
        return;
    free(r->per_cpu);
    free(r);
}

/* Where id is or belongs. */
static size_t place(const struct hf_rates *r, uint64_t id)
{
    size_t lo = 0, hi = r->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->seen[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct seen *entry(struct hf_rates *r, uint64_t id)
{
    size_t i = place(r, id);
    if (i < r->n && r->seen[i].id == id)
        return &r->seen[i];
    if (r->n == MAX_CONTAINERS)
        return NULL;
    memmove(&r->seen[i + 1], &r->seen[i], (r->n - i) * sizeof r->seen[0]);
    r->n++;
    r->seen[i] = (struct seen){.id = id, .at_ns = r->begun_ns};
    return &r->seen[i];
}

static struct hf_rate_counts total(const struct hf_rates *r)
{
    struct hf_rate_counts t = {0};
    for (size_t i = 0; i < r->cpus; i++) {
        const struct hf_rate_counts *c = &r->per_cpu[i];
        t.tcp_syn_out += c->tcp_syn_out;
        t.tcp_syn_in += c->tcp_syn_in;
        t.tcp_accepted += c->tcp_accepted;
        t.udp_out += c->udp_out;
        t.udp_in += c->udp_in;
        t.icmp_out += c->icmp_out;
        t.packets_out += c->packets_out;
        t.packets_in += c->packets_in;
        t.bytes_out += c->bytes_out;
        t.bytes_in += c->bytes_in;
        if (c->net_ns)
            t.net_ns = c->net_ns;
    }
    return t;
}

static void fill(struct hf_wire_rate *w, const struct seen *s, const struct hf_rate_counts *t, uint64_t now_ns)
{
    *w = (struct hf_wire_rate){
            .h = {.len = sizeof *w,
                    .type = HF_EV_RATE,
                    .version = HF_WIRE_VERSION,
                    .flags = HF_F_NO_PROC,
                    .time_ns = now_ns,
                    .cgroup_id = s->id,
                    .login_uid = UINT32_MAX,
                    .session_id = UINT32_MAX,
                    .net_ns = (uint32_t)t->net_ns},
            .interval_ns = now_ns - s->at_ns,
            .tcp_syn_out = t->tcp_syn_out - s->last.tcp_syn_out,
            .tcp_syn_in = t->tcp_syn_in - s->last.tcp_syn_in,
            .tcp_accepted = t->tcp_accepted - s->last.tcp_accepted,
            .udp_out = t->udp_out - s->last.udp_out,
            .udp_in = t->udp_in - s->last.udp_in,
            .icmp_out = t->icmp_out - s->last.icmp_out,
            .packets_out = t->packets_out - s->last.packets_out,
            .packets_in = t->packets_in - s->last.packets_in,
            .bytes_out = t->bytes_out - s->last.bytes_out,
            .bytes_in = t->bytes_in - s->last.bytes_in,
    };
}

static bool moved(const struct hf_rate_counts *a, const struct hf_rate_counts *b)
{
    return a->packets_out != b->packets_out || a->packets_in != b->packets_in || a->tcp_syn_out != b->tcp_syn_out ||
            a->tcp_accepted != b->tcp_accepted;
}

int hf_rates_read(struct hf_rates *r, uint64_t now_ns, void (*emit)(void *ctx, const struct hf_wire_rate *rec), void *ctx, struct hf_err *err)
{
    uint64_t key, before, *at = NULL;
    int n = 0;
    bool first = r->begun_ns == 0;
    /* a key that goes away meanwhile makes the walk begin again: bounded, and what was read gives no difference then */
    for (unsigned i = 0; i < 2 * MAX_CONTAINERS; i++) {
        if (bpf_map_get_next_key(r->fd, at, &key) < 0) {
            if (errno != ENOENT)
                return hf_fail(err, -errno, "packet counters could not be read");
            break;
        }
        before = key;
        at = &before;
        if (bpf_map_lookup_elem(r->fd, &key, r->per_cpu) < 0)
            continue;
        struct hf_rate_counts t = total(r);
        struct seen *s = entry(r, key);
        if (!s)
            continue;
        if (!first && moved(&t, &s->last)) {
            struct hf_wire_rate w;
            fill(&w, s, &t, now_ns);
            emit(ctx, &w);
            n++;
        }
        s->last = t;
        s->at_ns = now_ns;
    }
    r->begun_ns = now_ns;
    return n;
}

void hf_rates_forget(struct hf_rates *r, uint64_t cgroup_id)
{
    size_t i = place(r, cgroup_id);
    bpf_map_delete_elem(r->fd, &cgroup_id);
    if (i >= r->n || r->seen[i].id != cgroup_id)
        return;
    r->n--;
    memmove(&r->seen[i], &r->seen[i + 1], (r->n - i) * sizeof r->seen[0]);
}
