// SPDX-License-Identifier: Apache-2.0
#include "sensor/net/rates.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "sensor/net/net-map.h"
#include "sensor/policy-map.h"

#define MAX_CONTAINERS HF_MAX_CGROUPS

#define FLOODS 5u
#define ANSWERED 64u /* datagrams of which one comes back for so many are a conversation (QUIC, DNS): whole intervals tell of them, which a download in half a second does not fill */
#define RUN_GAP_NS 100000000u /* so long after the last, packets that come fast are another story */

struct reading {
    uint64_t at_ns;
    struct hf_rate_counts counts;
};
struct seen {
    uint64_t id, fast_ns;    /* fast_ns: when packets last came fast */
    uint64_t before[FLOODS]; /* in the last interval */
    struct reading last, run; /* at its end; since when they come fast, at most HF_RATE_NS ago then */
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
    r->seen[i] = (struct seen){.id = id, .last.at_ns = r->begun_ns};
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

static void fill(struct hf_wire_rate *w, uint64_t id, const struct reading *from, const struct reading *to)
{
    const struct hf_rate_counts *a = &from->counts, *b = &to->counts;
    *w = (struct hf_wire_rate){
            .h = {.len = sizeof *w,
                    .type = HF_EV_RATE,
                    .version = HF_WIRE_VERSION,
                    .flags = HF_F_NO_PROC,
                    .time_ns = to->at_ns,
                    .cgroup_id = id,
                    .login_uid = UINT32_MAX,
                    .session_id = UINT32_MAX,
                    .net_ns = (uint32_t)b->net_ns},
            .interval_ns = to->at_ns - from->at_ns,
            .tcp_syn_out = b->tcp_syn_out - a->tcp_syn_out,
            .tcp_syn_in = b->tcp_syn_in - a->tcp_syn_in,
            .tcp_accepted = b->tcp_accepted - a->tcp_accepted,
            .udp_out = b->udp_out - a->udp_out,
            .udp_in = b->udp_in - a->udp_in,
            .icmp_out = b->icmp_out - a->icmp_out,
            .packets_out = b->packets_out - a->packets_out,
            .packets_in = b->packets_in - a->packets_in,
            .bytes_out = b->bytes_out - a->bytes_out,
            .bytes_in = b->bytes_in - a->bytes_in,
    };
}

/* What floods are made of. */
static void flood_like(const struct hf_rate_counts *now, const struct hf_rate_counts *last, uint64_t ret[FLOODS])
{
    ret[0] = now->tcp_syn_out - last->tcp_syn_out;
    ret[1] = now->tcp_syn_in - last->tcp_syn_in;
    ret[2] = now->tcp_accepted - last->tcp_accepted;
    uint64_t out = now->udp_out - last->udp_out, in = now->udp_in - last->udp_in;
    ret[3] = out / ANSWERED >= in ? out : 0;
    ret[4] = now->icmp_out - last->icmp_out;
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
        struct reading now = {now_ns, total(r)};
        struct seen *s = entry(r, key);
        if (!s)
            continue;
        if (!first && moved(&now.counts, &s->last.counts)) {
            struct hf_wire_rate w;
            fill(&w, key, &s->last, &now);
            emit(ctx, &w);
            n++;
        }
        flood_like(&now.counts, &s->last.counts, s->before);
        s->last = now;
    }
    r->begun_ns = now_ns;
    return n;
}

int hf_rates_early(struct hf_rates *r, uint64_t cgroup_id, uint64_t now_ns, struct hf_wire_rate *ret, struct hf_err *err)
{
    uint64_t passed[FLOODS];
    bool more = false;
    if (!r->begun_ns) /* nothing to compare with */
        return 0;
    if (bpf_map_lookup_elem(r->fd, &cgroup_id, r->per_cpu) < 0)
        return errno == ENOENT ? 0 : hf_fail(err, -errno, "packet counters could not be read");
    struct reading now = {now_ns, total(r)};
    struct seen *s = entry(r, cgroup_id);
    if (!s)
        return 0;
    if (!s->run.at_ns || now_ns - s->fast_ns > RUN_GAP_NS || now_ns - s->run.at_ns > HF_RATE_NS)
        s->run = now;
    s->fast_ns = now_ns;
    /* where an interval ended meanwhile, what came before its end counts, too */
    const struct reading *from = s->run.at_ns < s->last.at_ns ? &s->run : &s->last;
    flood_like(&now.counts, &from->counts, passed);
    for (size_t i = 0; i < FLOODS; i++)
        more |= passed[i] > s->before[i];
    if (!more)
        return 0;
    fill(ret, cgroup_id, from, &now);
    ret->h.flags |= HF_F_EARLY;
    ret->interval_ns = HF_MAX(ret->interval_ns, HF_RATE_NS);
    return 1;
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
