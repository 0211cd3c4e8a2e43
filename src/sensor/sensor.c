// SPDX-License-Identifier: Apache-2.0
#include "sensor/sensor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fs.h"
#include "base/resident.h"
#include "event/event.h"
#include "sensor/ask.h"
#include "sensor/containers/containers.h"
#include "sensor/containers/hierarchy.h"
#include "sensor/files/files.h"
#include "sensor/files/watch.h"
#include "sensor/frames.h"
#include "sensor/guarded.h"
#include "sensor/kernel.h"
#include "sensor/merge.h"
#include "sensor/net/rates.h"
#include "sensor/snapshot/env-names.h"
#include "sensor/snapshot/snapshot.h"

#define AHEAD (-10)             /* nice, of all threads */
#define POLL_MS 6               /* while events come: longer than the kernel half leaves the reader asleep (bpf/emit.h) */
#define STATUS_NS HF_RATE_NS
#define FILES_WAIT_NS 500000000ull /* as late as a sequence of a rule bears (docs/rules.md) */
#define FILES_LOOK_MS 1
#define FULL_LOOK_MS 2
#define COSTS_EVERY 10u         /* statistics are on for one of so many status intervals */
#define HOOKS_MAX 160u
#define LOSERS_MAX 64u
#define FILE_RECORDS_MAX (8u << 20)
#define GUARD_FIRST_MS 10000 /* so long the sensor waits for it; later what it kills is not marked as killed */
#define DEMAND_EVERY_NS 2000000000ull /* hooks are attached and detached so often at most: it takes a tenth of a second, and who asks is not trusted */
#define ASKS_AT_ONCE 16u /* messages that are looked at before the rings are */

struct losses { /* for want of room, over a container's budget, to make room for what tells more */
    uint64_t ring, budget, pressure;
};

struct sensor {
    struct hf_sensor_opts o;
    struct hf_kernel *kernel;
    struct hf_hierarchy hierarchy;
    struct hf_containers *containers;
    size_t left_out_told;
    struct hf_rates *rates;    /* NULL: this kernel counts no packets for us */
    struct hf_files *files;    /* NULL: the kernel half sees files itself, or nobody does */
    struct hf_buf file_records; /* wait until the rings are read: they name the processes */
    size_t files_sent;          /* bytes of these */
    uint32_t own_mnt_ns;
    bool walking;              /* containers that were there before are being told */
    struct hf_frames frames;
    struct hf_guarded guard;
    uint64_t guard_told[HF_GUARDED_COSTS], guard_hooks_ns;
    struct hf_buf record;
    int epoll;
    uint64_t now_ns, status_ns, started_ns, cpu_ns, loop_cpu_ns, ticks; /* cpu_ns: of all threads; loop_cpu_ns: of this one */
    struct losses told_lost[HF_COUNTER_TYPES]; /* losses that were told already */
    uint64_t frames_lost_told;
    struct group_told { uint64_t id; struct losses lost; } losers[LOSERS_MAX]; /* containers whose losses were told, and how many */
    size_t next_loser;
    uint64_t wait_containers_ns;          /* when the table wants to be called */
    uint64_t awake_ns;                    /* when it was woken, or found something, last */
    struct hf_settings settings;
    struct hf_ask asked;       /* of the unprivileged half: in force */
    struct hf_ask_gate ask_gate;
    uint64_t demand, demand_cheap, demand_ns; /* classes of hooks that were asked for last, and when that was done */
    bool ask_refused;          /* the last message was no good, which has been told */
    struct hf_hook_cost costs[HOOKS_MAX];
    size_t n_costs;
    uint64_t cost_window_ns;
    bool stats_on; /* since the last status */
};

static void container_record(void *ctx, struct hf_span record)
{
    struct sensor *s = ctx;
    struct hf_wire_pairs p;
    hf_frames_add(&s->frames, record);
    if (record.n < sizeof p.h)
        return;
    memcpy(&p, record.p, HF_MIN(record.n, sizeof p));
    hf_guarded_send(&s->guard, record, p.h.cgroup_id, s->now_ns);
    if (!s->files)
        return;
    if (p.h.type == HF_EV_CONTAINER_END)
        hf_files_gone(s->files, p.h.cgroup_id);
    else if (record.n >= sizeof p)
        hf_files_container(s->files, p.h.cgroup_id, hf_span_sub(record, sizeof p, p.pairs_len), s->walking);
}

/* What went wrong while running is told like everything else. */
static void tell_error(struct sensor *s, uint64_t cgroup_id, const struct hf_err *err)
{
    hf_autobuf b = HF_BUF_INIT(2048);
    hf_pairs_begin(&b, HF_EV_STATUS, cgroup_id);
    hf_pairs_add(&b, "error", hf_span_z(err->msg));
    struct hf_span record = hf_pairs_end(&b);
    if (record.n)
        hf_frames_add(&s->frames, record);
}

static void group_found(void *ctx, uint64_t cgroup_id, uint64_t container_id, uint32_t init_pid)
{
    struct sensor *s = ctx;
    struct hf_err err = HF_ERR_INIT;
    (void)init_pid;
    if (!container_id) {
        hf_kernel_policy_delete(s->kernel, cgroup_id);
        return;
    }
    if (hf_kernel_policy_set(s->kernel, cgroup_id, container_id, &err) < 0)
        tell_error(s, cgroup_id, &err);
    if (cgroup_id == container_id)
        return;
    struct hf_wire_cgroup g = {.id = cgroup_id, .parent_id = container_id, .op = HF_CGROUP_MKDIR}; /* for the other side: it belongs there */
    hf_record_header(&g.h, HF_EV_CGROUP, cgroup_id);
    g.h.len = sizeof g;
    hf_frames_add(&s->frames, hf_span((const char *)&g, sizeof g));
}

/* ---- records of the kernel ---- */

static void group_event(struct sensor *s, struct hf_span record)
{
    struct hf_wire_cgroup g;
    if (record.n < sizeof g)
        return;
    memcpy(&g, record.p, sizeof g);
    struct hf_span path = hf_span_sub(record, sizeof g, g.path_len);
    if (g.op == HF_CGROUP_MKDIR) {
        hf_containers_made(s->containers, g.id, g.parent_id, path, g.h.pid, g.h.time_ns, s->now_ns);
        if (!hf_containers_of(s->containers, g.id))
            hf_kernel_policy_delete(s->kernel, g.id); /* the kernel half may have taken it for a container's */
    } else if (g.op == HF_CGROUP_RMDIR) {
        if (hf_containers_of(s->containers, g.id))
            hf_containers_gone(s->containers, g.id, s->now_ns);
        else
            hf_kernel_policy_delete(s->kernel, g.id); /* the kernel half may have taken it for a container's */
        if (s->rates)
            hf_rates_forget(s->rates, g.id);
    }
    if (g.op != HF_CGROUP_MKDIR || hf_containers_of(s->containers, g.id))
        s->wait_containers_ns = 0;
}

/* The guard has checks run in a group of their own below a container's.  How far above a process of such a group it is, by whose children they are: its own
 * (who starts all checks, who waits for one), ENTERS (who goes into the container), RUNS (the program); 0: it is not. */
enum { ENTERS = 2, RUNS = 3 };
static unsigned below_guard(const struct sensor *s, const struct hf_wire_hdr *h)
{
    uint64_t container = hf_containers_of(s->containers, h->cgroup_id);
    uint32_t pid = h->ppid;
    if (!s->o.guard_pid || !container || container == h->cgroup_id)
        return 0;
    for (unsigned i = 0; i <= RUNS && pid > 1; i++, pid = hf_parent_of(pid))
        if (pid == s->o.guard_pid)
            return i;
    return 0;
}

/* Acts of our own are no events.  A name can be taken by anybody, a parent not. */
static bool is_own(const struct sensor *s, const struct hf_wire_hdr *h)
{
    if (h->pid == s->o.peer_pid || (s->o.guard_pid && (h->pid == s->o.guard_pid || h->ppid == s->o.guard_pid)))
        return h->type != HF_EV_EXIT;
    return !memcmp(h->comm, "holdfast-check", sizeof "holdfast-check") && below_guard(s, h) == ENTERS;
}

/* The environment leaves this process only as far as it matters. */
static void exec_event(struct sensor *s, struct hf_span record)
{
    struct hf_wire_exec e;
    if (record.n < sizeof e)
        return;
    memcpy(&e, record.p, sizeof e);
    size_t before = sizeof e + e.path_len + e.filename_len + e.interp_len + e.cwd_len + e.args_len;
    if (before > record.n || e.env_len > record.n - before)
        return;
    hf_containers_settle(s->containers, e.h.cgroup_id, s->now_ns);
    if (!hf_containers_of(s->containers, e.h.cgroup_id))
        hf_containers_runtime(s->containers, e.h.pid, hf_span_sub(record, before - e.args_len, e.args_len));
    if (s->files && e.h.mnt_ns != s->own_mnt_ns)
        hf_files_look_again(s->files, hf_containers_of(s->containers, e.h.cgroup_id), e.h.pid);
    if (below_guard(s, &e.h) == RUNS)
        e.h.flags |= HF_F_CHECK;
    hf_buf_clear(&s->record);
    hf_buf_adds(&s->record, hf_span_sub(record, 0, before));
    hf_env_filter(hf_span_sub(record, before, e.env_len), HF_ENV_BYTES, &s->record);
    e.env_len = (uint32_t)(s->record.n - before);
    while (s->record.n % 8)
        hf_buf_addc(&s->record, 0);
    if (!hf_buf_ok(&s->record))
        return;
    e.h.len = (uint32_t)s->record.n;
    memcpy(s->record.p, &e, sizeof e);
    hf_frames_add(&s->frames, hf_buf_span(&s->record));
    hf_guarded_send(&s->guard, hf_buf_span(&s->record), hf_containers_of(s->containers, e.h.cgroup_id), s->now_ns);
}

/* The file hooks tell of whatever is done to watched inodes and in watched folders; the rows of their paths decide. */
static void file_event(struct sensor *s, struct hf_span record)
{
    struct hf_wire_file e;
    uint64_t of = 0;
    if (record.n < sizeof e)
        return;
    memcpy(&e, record.p, sizeof e);
    struct hf_span path = hf_span_sub(record, sizeof e, e.path_len), path2 = hf_span_sub(record, sizeof e + e.path_len, e.path2_len);
    if (e.op != HF_FILE_CONNECT && e.op != HF_FILE_IOCTL) {
        uint64_t container = hf_containers_of(s->containers, e.h.cgroup_id), own = e.h.cgroup_id;
        e.h.cgroup_id = container;
        bool told = s->files && hf_files_judge(s->files, &e, path, path2);
        e.h.cgroup_id = own;
        of = container;
        if (!told)
            return;
    }
    hf_buf_clear(&s->record);
    hf_buf_add(&s->record, &e, sizeof e);
    hf_buf_adds(&s->record, hf_span_from(record, sizeof e));
    if (!hf_buf_ok(&s->record))
        return;
    hf_frames_add(&s->frames, hf_buf_span(&s->record));
    if (s->o.guard_files && e.op != HF_FILE_OPEN)
        hf_guarded_send(&s->guard, hf_buf_span(&s->record), of, s->now_ns);
}

/* The kernel half says that packets of a container come fast. */
static void fast_packets(struct sensor *s, uint64_t container)
{
    struct hf_wire_rate r;
    struct hf_err err = HF_ERR_INIT;
    int rc = s->rates ? hf_kernel_count_streams(s->kernel, &err) : 0;
    rc = s->rates && rc == 0 ? hf_rates_early(s->rates, container, hf_boot_ns(), &r, &err) : rc;
    if (rc < 0)
        tell_error(s, container, &err);
    if (rc > 0)
        hf_frames_add(&s->frames, hf_span((const char *)&r, sizeof r));
}

static void take(struct sensor *s, struct hf_span record)
{
    struct hf_wire_hdr h;
    if (record.n < sizeof h)
        return;
    memcpy(&h, record.p, sizeof h);
    if (is_own(s, &h))
        return;
    switch (h.type) {
    case HF_EV_EXEC:
        exec_event(s, record);
        break;
    case HF_EV_FILE:
        file_event(s, record);
        break;
    case HF_EV_CGROUP:
        hf_frames_add(&s->frames, record);
        group_event(s, record);
        break;
    case HF_EV_MEM:
    case HF_EV_NET:
        hf_guarded_send(&s->guard, record, hf_containers_of(s->containers, h.cgroup_id), s->now_ns);
        hf_frames_add(&s->frames, record);
        break;
    case HF_EV_RATE:
        fast_packets(s, h.cgroup_id);
        break;
    default:
        hf_frames_add(&s->frames, record);
    }
}

static void file_record(void *ctx, struct hf_span record)
{
    struct sensor *s = ctx;
    size_t before = s->file_records.n;
    hf_buf_adds(&s->file_records, record);
    if (!hf_buf_ok(&s->file_records)) {
        s->file_records.n = before;
        s->file_records.failed = false;
        s->frames.lost++;
    }
}

/* fanotify knows processes by number: what happened until a time goes before what the rings tell of later, and after what they tell of earlier. */
static void send_files(struct sensor *s, uint64_t until_ns)
{
    if (s->files && hf_files_has(s->files))
        hf_files_read(s->files);
    while (s->file_records.n - s->files_sent >= sizeof(struct hf_wire_hdr)) {
        struct hf_span rest = hf_span_from(hf_buf_span(&s->file_records), s->files_sent);
        struct hf_wire_hdr h;
        memcpy(&h, rest.p, sizeof h);
        if (h.time_ns > until_ns)
            return;
        if (h.type != HF_EV_FILE || hf_files_running(s->files, h.cgroup_id)) {
            hf_frames_add(&s->frames, hf_span_sub(rest, 0, h.len));
            if (s->o.guard_files)
                hf_guarded_send(&s->guard, hf_span_sub(rest, 0, h.len), hf_containers_of(s->containers, h.cgroup_id), s->now_ns);
        }
        s->files_sent += h.len;
    }
    hf_buf_clear(&s->file_records);
    s->files_sent = 0;
}

/* Until when files may be told: what the rings still hold is older than what happened later.  While the other side is slow the bulk ring stands still; then files
 * wait for it, since they would be nobody's without the processes in it, but not for ever. */
static uint64_t files_until(const struct sensor *s, struct hf_ring *critical, struct hf_ring *bulk)
{
    struct hf_span r;
    uint64_t until = s->now_ns; /* of later ones the rings may have the processes by now */
    if (hf_ring_peek(critical, &r))
        until = HF_MIN(until, hf_merge_time(r));
    if (hf_ring_peek(bulk, &r))
        until = HF_MIN(until, hf_merge_time(r));
    return HF_MAX(until, s->now_ns - HF_MIN(s->now_ns, FILES_WAIT_NS));
}

/* Both rings (merge.h) and the files, merged by time.  Bulk records stay in the kernel while the other side is slow, where their loss is counted.  Returns how many. */
static size_t drain(struct sensor *s)
{
    struct hf_ring *critical = hf_kernel_critical(s->kernel), *bulk = hf_kernel_bulk(s->kernel);
    struct hf_span record;
    enum hf_merge which;
    size_t n = 0;
    s->now_ns = hf_boot_ns();
    while (n < 200000 && (which = hf_merge_next(critical, bulk, hf_frames_room(&s->frames), &record)) != HF_MERGE_NONE) {
        if (s->file_records.n || (s->files && hf_files_has(s->files)))
            send_files(s, files_until(s, critical, bulk));
        take(s, record);
        hf_ring_next(which == HF_MERGE_CRITICAL ? critical : bulk, record);
        if (which == HF_MERGE_CRITICAL && hf_ring_pending(critical) == 0)
            hf_frames_flush(&s->frames); /* now means now */
        n++;
    }
    send_files(s, files_until(s, critical, bulk));
    hf_guarded_flush(&s->guard);
    hf_frames_flush(&s->frames);
    return n;
}

/* ---- about itself ---- */

static void tell_loss(struct sensor *s, uint64_t cgroup_id, unsigned type, unsigned reason, uint64_t count)
{
    struct hf_wire_loss l = {.count = count, .lost_type = type, .reason = reason};
    hf_record_header(&l.h, HF_EV_LOSS, cgroup_id);
    l.h.len = sizeof l;
    hf_frames_add(&s->frames, hf_span((const char *)&l, sizeof l));
}

/* What is more than was told, by reason. */
static bool tell_more(struct sensor *s, uint64_t cgroup_id, unsigned type, const struct losses *now, struct losses *told)
{
    const struct {
        unsigned reason;
        uint64_t now, told;
    } each[] = {{HF_LOSS_RING, now->ring, told->ring}, {HF_LOSS_BUDGET, now->budget, told->budget}, {HF_LOSS_PRESSURE, now->pressure, told->pressure}};
    bool more = false;
    for (size_t i = 0; i < HF_ARRAY_LEN(each); i++)
        if (each[i].now > each[i].told) {
            tell_loss(s, cgroup_id, type, each[i].reason, each[i].now - each[i].told);
            more = true;
        }
    *told = *now;
    return more;
}

/* Which containers lost events: besides the sums by type, which count (lost_type 0 does not). */
static void group_loss(void *ctx, uint64_t cgroup_id, const struct hf_policy *p)
{
    struct sensor *s = ctx;
    struct group_told *free_one = NULL, *t = NULL;
    for (size_t i = 0; i < LOSERS_MAX && !t; i++) {
        if (s->losers[i].id == cgroup_id)
            t = &s->losers[i];
        else if (!s->losers[i].id && !free_one)
            free_one = &s->losers[i];
    }
    t = t ? t : free_one ? free_one : &s->losers[s->next_loser++ % LOSERS_MAX];
    if (t->id != cgroup_id)
        *t = (struct group_told){.id = cgroup_id};
    tell_more(s, cgroup_id, 0, &(struct losses){p->lost_ring, p->lost_budget, p->lost_pressure}, &t->lost);
}

static uint64_t tell_losses(struct sensor *s, struct hf_counters *ret_sum)
{
    uint64_t total = 0;
    bool more = false;
    for (unsigned type = 1; type < HF_COUNTER_TYPES; type++) {
        struct hf_counters c;
        hf_kernel_counters(s->kernel, type, &c);
        struct losses now = {c.lost_ring + c.errors, c.lost_budget, c.lost_pressure};
        total += now.ring + now.budget + now.pressure;
        ret_sum->seen += c.seen + c.lost_budget + c.lost_pressure + c.errors + c.deduped; /* what got as far as being sent is counted as seen there */
        ret_sum->sent += c.sent;
        ret_sum->deduped += c.deduped;
        more |= tell_more(s, 0, type, &now, &s->told_lost[type]);
    }
    if (more)
        hf_kernel_each_loss(s->kernel, group_loss, s);
    if (s->frames.lost > s->frames_lost_told) {
        tell_loss(s, 0, 0, HF_LOSS_QUEUE, s->frames.lost - s->frames_lost_told);
        s->frames_lost_told = s->frames.lost;
    }
    return total + s->frames.lost;
}

static uint64_t own_cpu_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t rss_kib(void)
{
    hf_autobuf b = HF_BUF_INIT(256);
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_span rest, size, resident;
    uint64_t pages = 0;
    if (hf_read_file("/proc/self/statm", &b, &ignored) < 0)
        return 0;
    rest = hf_buf_span(&b);
    if (!hf_span_cut(&rest, ' ', &size) || !hf_span_cut(&rest, ' ', &resident) || hf_parse_u64(resident, 10, 0, UINT64_MAX, &pages) < 0)
        return 0;
    return pages * 4;
}

static uint64_t per_s(uint64_t n, uint64_t interval_ns)
{
    return (uint64_t)((double)n * 1e9 / (double)interval_ns);
}

/* Hooks' run time: counted while the kernel's statistics are on, in one of COSTS_EVERY intervals (always when that is asked for). */
static uint64_t measure_hooks(struct sensor *s, uint64_t interval_ns, struct hf_buf *out)
{
    bool always = s->asked.flags & HF_ASK_COSTS, measured = s->stats_on;
    struct hf_hook_cost now[HOOKS_MAX];
    uint64_t total = 0;
    if (measured) {
        size_t n = hf_kernel_costs(s->kernel, now, HOOKS_MAX);
        for (size_t i = 0, k = 0; i < n; i++) {
            while (k < s->n_costs && s->costs[k].program != now[i].program) /* in the same order; one may have been taken off or put on */
                k++;
            if (k == s->n_costs) {
                k = 0;
                continue;
            }
            uint64_t ns = now[i].ns - s->costs[k].ns, runs = now[i].runs - s->costs[k].runs;
            total += ns;
            char name[80];
            snprintf(name, sizeof name, "cost.%s", now[i].program);
            if (runs)
                hf_pairs_addf(out, name, "%llu %llu %llx", (unsigned long long)per_s(runs, interval_ns), (unsigned long long)per_s(ns, interval_ns), (unsigned long long)now[i].types);
        }
        hf_pairs_addf(out, "cost.measured", "1");
        s->cost_window_ns = per_s(total, interval_ns);
    }
    s->stats_on = always || s->ticks < 2 || (s->ticks + 1) % COSTS_EVERY == 1; /* the first numbers come at once */
    (void)hf_kernel_stats_on(s->kernel, s->stats_on);
    s->n_costs = hf_kernel_costs(s->kernel, s->costs, HOOKS_MAX);
    return s->cost_window_ns;
}

/* What is told: as it began, without what the other side gave up; what nobody is told of at all stops in the kernel. */
static int settings_in_force(struct sensor *s, struct hf_err *err)
{
    struct hf_settings set = s->settings;
    uint64_t out = s->asked.shed_container & (s->asked.shed_host | ~s->settings.host_types);
    set.shed_container = s->asked.shed_container;
    set.shed_host = s->asked.shed_host;
    int rc = hf_kernel_settings(s->kernel, &set, err), rc2 = hf_kernel_leave_out(s->kernel, out, err);
    return rc < 0 ? rc : rc2;
}

/* Limits that are not asked for any more end. */
static void limits_in_force(struct sensor *s, const struct hf_ask *before)
{
    for (size_t i = 0; i < HF_ASK_LIMITS; i++) {
        const struct hf_ask_limit *old = &before->limits[i];
        bool kept = !old->cgroup_id;
        for (size_t j = 0; j < HF_ASK_LIMITS && !kept; j++)
            kept = s->asked.limits[j].cgroup_id == old->cgroup_id;
        if (!kept)
            hf_kernel_limit(s->kernel, old->cgroup_id, 0);
    }
    for (size_t i = 0; i < HF_ASK_LIMITS; i++)
        if (s->asked.limits[i].cgroup_id)
            hf_kernel_limit(s->kernel, s->asked.limits[i].cgroup_id, s->asked.limits[i].per_s);
}

static void send_rate(void *ctx, const struct hf_wire_rate *r)
{
    struct sensor *s = ctx;
    hf_frames_add(&s->frames, hf_span((const char *)r, sizeof *r));
}

/* The guard's share of the cost, as far as it has told. */
static void guard_cost(struct sensor *s, uint64_t interval_ns, struct hf_buf *out)
{
    static const char *const names[HF_GUARDED_COSTS] = {"guard_cpu_ns_per_s", "guard_hash_ns_per_s", "guard_large_ns_per_s", "guard_hooks_ns_per_s", "guard_hashed_bytes_per_s", "guard_verdicts_per_s"};
    for (size_t i = 0; i < HF_GUARDED_COSTS && s->o.guard_fd >= 0; i++) {
        uint64_t more = s->guard.cost[i] - s->guard_told[i], rate = per_s(more, interval_ns);
        if (i == HF_GUARDED_KERNEL) /* measured now and then, as the sensor's own */
            rate = s->guard_hooks_ns = more ? rate : s->guard_hooks_ns;
        hf_pairs_addf(out, names[i], "%llu", (unsigned long long)rate);
        s->guard_told[i] = s->guard.cost[i];
    }
}

static void status(struct sensor *s)
{
    uint64_t interval = s->now_ns - s->status_ns, cpu = own_cpu_ns(CLOCK_PROCESS_CPUTIME_ID), loop_cpu = own_cpu_ns(CLOCK_THREAD_CPUTIME_ID), cpu_per_s, records = s->frames.records;
    hf_autobuf b = HF_BUF_INIT(32768);
    s->ticks++;
    hf_pairs_begin(&b, HF_EV_STATUS, 0);
    uint64_t all = cpu - s->cpu_ns, loop = HF_MIN(loop_cpu - s->loop_cpu_ns, all);
    cpu_per_s = per_s(all, interval ? interval : 1);
    s->cpu_ns = cpu;
    s->loop_cpu_ns = loop_cpu;
    struct hf_counters sum = {0};
    uint64_t lost = tell_losses(s, &sum), hooks = measure_hooks(s, interval ? interval : 1, &b);
    struct hf_err rates = HF_ERR_INIT;
    if (s->rates && (hf_kernel_count_streams(s->kernel, &rates) < 0 || hf_rates_read(s->rates, s->now_ns, send_rate, s, &rates) < 0))
        hf_pairs_add(&b, "error", hf_span_z(rates.msg));
    struct hf_err kernel = HF_ERR_INIT;
    if (hf_kernel_tick(s->kernel, &kernel) < 0)
        hf_pairs_add(&b, "error", hf_span_z(kernel.msg));
    struct hf_err files = HF_ERR_INIT;
    if (s->files && hf_files_tick(s->files, s->now_ns, &files) < 0)
        hf_pairs_add(&b, "error", hf_span_z(files.msg));
    size_t left_out = hf_containers_left_out(s->containers);
    if (left_out && left_out != s->left_out_told) {
        hf_pairs_add(&b, "error", HF_S("more daemons of containers run here than are read: containers of some of them may stay without names"));
        hf_pairs_addf(&b, "runtimes_left_out", "%zu", left_out);
    }
    s->left_out_told = left_out;
    hf_pairs_addf(&b, "state", "running");
    hf_pairs_addf(&b, "uptime_s", "%llu", (unsigned long long)((s->now_ns - s->started_ns) / 1000000000u));
    hf_pairs_addf(&b, "records", "%llu", (unsigned long long)records);
    hf_pairs_addf(&b, "seen", "%llu", (unsigned long long)sum.seen);
    hf_pairs_addf(&b, "sent", "%llu", (unsigned long long)sum.sent);
    hf_pairs_addf(&b, "deduplicated", "%llu", (unsigned long long)sum.deduped);
    hf_pairs_addf(&b, "lost", "%llu", (unsigned long long)lost);
    hf_pairs_addf(&b, "containers", "%zu", hf_containers_count(s->containers));
    hf_pairs_addf(&b, "sensor_cpu_ns_per_s", "%llu", (unsigned long long)cpu_per_s);
    hf_pairs_addf(&b, "sensor_files_ns_per_s", "%llu", (unsigned long long)per_s(all - loop, interval ? interval : 1)); /* of the thread that marks files */
    hf_pairs_addf(&b, "hooks_ns_per_s", "%llu", (unsigned long long)hooks);
    guard_cost(s, interval ? interval : 1, &b);
    hf_pairs_addf(&b, "sensor_rss_kib", "%llu", (unsigned long long)rss_kib());
    if (s->files) {
        size_t objects;
        uint64_t files_lost;
        hf_files_stats(s->files, &objects, &files_lost);
        hf_pairs_addf(&b, "watched_files", "%zu", objects);
    }
    if (s->ticks % 10 == 1)
        hf_pairs_addf(&b, "kernel_bytes", "%llu", (unsigned long long)hf_kernel_memory(s->kernel));
    struct hf_span record = hf_pairs_end(&b);
    if (record.n)
        hf_frames_add(&s->frames, record);
    hf_frames_flush(&s->frames);
    s->status_ns = s->now_ns;
}

/* The first status says what is watched by which hook, and what is not covered. */
static void first_status(struct sensor *s)
{
    hf_autobuf b = HF_BUF_INIT(32768);
    size_t n;
    const struct hf_feature *f = hf_kernel_features(s->kernel, &n);
    hf_pairs_begin(&b, HF_EV_STATUS, 0);
    hf_pairs_add(&b, "state", HF_S("started"));
    hf_pairs_addf(&b, "start_ms", "%llu", (unsigned long long)((hf_boot_ns() - s->started_ns) / 1000000u));
    hf_pairs_add(&b, "hierarchy", hf_span_z(s->hierarchy.unified ? "unified" : s->hierarchy.controller));
    for (size_t i = 0; i < n; i++) {
        char name[80];
        snprintf(name, sizeof name, "hook.%s", f[i].name);
        hf_pairs_add(&b, name, hf_span_z(f[i].hook ? f[i].hook : "none"));
    }
    struct hf_span record = hf_pairs_end(&b);
    if (record.n)
        hf_frames_add(&s->frames, record);
}

/* ---- what the other side asks for ---- */

static void type_names(uint64_t types, struct hf_buf *out)
{
    bool any = false;
    for (unsigned i = 0; i < 64; i++)
        if (types & (1ull << i)) {
            hf_buf_addz(out, any ? "," : "");
            hf_buf_addz(out, i == 63 ? "rate" : hf_event_type_name(i));
            any = true;
        }
    if (!any)
        hf_buf_addz(out, "none");
}

static void take_ask(struct sensor *s, const struct hf_ask *a)
{
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf b = HF_BUF_INIT(32768), names = HF_BUF_INIT(1024);
    struct hf_ask before = s->asked, now_asked = *a; /* which may be s->asked */
    s->asked = now_asked;
    limits_in_force(s, &before);
    hf_guarded_pace(&s->guard, s->asked.flags & HF_ASK_PACE);
    hf_pairs_begin(&b, HF_EV_STATUS, 0);
    hf_pairs_addf(&b, "asked", "%llu", (unsigned long long)a->seq);
    if (settings_in_force(s, &err) < 0)
        hf_pairs_add(&b, "error", hf_span_z(err.msg));
    uint64_t now = hf_boot_ns();
    if ((a->demand != s->demand || a->demand_cheap != s->demand_cheap) && now - s->demand_ns >= DEMAND_EVERY_NS) { /* else with a later status */
        s->demand = a->demand;
        s->demand_cheap = a->demand_cheap;
        s->demand_ns = now;
    }
    hf_demand_names(hf_kernel_demand(s->kernel, s->demand, s->demand_cheap), &names);
    hf_pairs_add(&b, "on_demand", hf_buf_span(&names));
    size_t n;
    const struct hf_feature *f = hf_kernel_features(s->kernel, &n);
    for (size_t i = 0; i < n; i++) {
        char name[80];
        snprintf(name, sizeof name, "hook.%s", f[i].name);
        if (f[i].demand && ((s->demand | s->demand_cheap) & f[i].demand))
            hf_pairs_add(&b, name, hf_span_z(f[i].attached ? f[i].hook : "none"));
        snprintf(name, sizeof name, "costly.%s", f[i].name); /* every system call of the host pays for it */
        if (f[i].demand && f[i].attached && f[i].costly)
            hf_pairs_add(&b, name, hf_span_z(f[i].hook));
    }
    s->n_costs = hf_kernel_costs(s->kernel, s->costs, HOOKS_MAX); /* other programs than before */
    hf_buf_clear(&names);
    type_names(a->shed_container, &names);
    hf_pairs_add(&b, "left_out.containers", hf_buf_span(&names));
    hf_buf_clear(&names);
    type_names(a->shed_host, &names);
    hf_pairs_add(&b, "left_out.host", hf_buf_span(&names));
    for (size_t i = 0; i < HF_ASK_LIMITS; i++)
        if (a->limits[i].cgroup_id)
            hf_pairs_addf(&b, "limited", "%llu to %llu a second", (unsigned long long)a->limits[i].cgroup_id, (unsigned long long)a->limits[i].per_s);
    struct hf_span record = hf_pairs_end(&b);
    if (record.n)
        hf_frames_add(&s->frames, record);
    hf_frames_flush(&s->frames);
}

/* Only the last good message counts.  What is no good, or too often, is passed over; of that one word is said until a good one comes. */
static void read_asks(struct sensor *s)
{
    struct hf_ask a, last;
    struct hf_err err = HF_ERR_INIT;
    bool any = false, bad = false, bad_last = false;
    for (unsigned i = 0; i < ASKS_AT_ONCE; i++) {
        char bytes[2 * sizeof a];
        ssize_t n = recv(s->o.out_fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_TRUNC);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            s->frames.closed = true;
        if (n <= 0)
            break;
        if (!hf_ask_gate_pass(&s->ask_gate, hf_boot_ns())) {
            bad = true;
            (void)hf_fail(&err, HF_E_LIMIT, "more messages than %u at once and one in %u ms are not read", HF_ASK_BURST, (unsigned)(HF_ASK_EVERY_NS / 1000000));
        } else if ((size_t)n > sizeof bytes) {
            bad = true;
            (void)hf_fail(&err, HF_E_FORMAT, "a message of %zd bytes instead of %zu", n, sizeof a);
        } else if (hf_ask_read(hf_span(bytes, (size_t)n), &a, &err) < 0) {
            bad = true;
        } else {
            last = a;
            any = true;
            bad_last = false;
            continue;
        }
        bad_last = true;
    }
    if (bad && !s->ask_refused) {
        (void)hf_wrap(&err, err.code, "what the unprivileged half asks for is refused");
        tell_error(s, 0, &err);
        hf_frames_flush(&s->frames);
        s->ask_refused = true;
    }
    if (!any)
        return;
    s->ask_refused = bad_last;
    take_ask(s, &last);
}

/* What the other side has asked for meanwhile is loaded before events come; the loop reads the message and answers. */
static void foresee(void *ctx, struct hf_kernel *k)
{
    struct sensor *s = ctx;
    struct hf_ask a;
    struct hf_err ignored = HF_ERR_INIT;
    char bytes[2 * sizeof a];
    if (s->o.guard_first)
        hf_guarded_wait(&s->guard, GUARD_FIRST_MS);
    ssize_t n = recv(s->o.out_fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);
    if (n != (ssize_t)sizeof a || hf_ask_read(hf_span(bytes, sizeof a), &a, &ignored) < 0)
        return;
    s->demand = a.demand;
    s->demand_cheap = a.demand_cheap;
    s->demand_ns = hf_boot_ns();
    (void)hf_kernel_demand(k, s->demand, s->demand_cheap);
}

/* ---- start and loop ---- */

static int open_kernel(struct sensor *s, struct hf_err *err)
{
    int rc = hf_hierarchy_find(&s->hierarchy, err);
    if (rc < 0)
        return rc;
    struct hf_kernel_opts k = {
            .self_pid = (uint32_t)getpid(),
            .hierarchy = s->hierarchy.id,
            .v1_subsys = s->hierarchy.unified ? -1 : hf_kernel_subsys(s->hierarchy.controller),
            .v2_root_fd = s->hierarchy.v2_mount[0] ? open(s->hierarchy.v2_mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1,
    };
    if (!s->hierarchy.unified && k.v1_subsys < 0)
        return hf_fail(err, HF_E_UNSUPPORTED, "the kernel's type information does not name the controller %s", s->hierarchy.controller);
    hf_kernel_default_settings(&k.settings);
    if (!s->o.host)
        k.settings.host_types &= 1ull << HF_EV_EXEC | 1ull << HF_EV_FORK | 1ull << HF_EV_EXIT | 1ull << HF_EV_NET | 1ull << HF_EV_SIGNAL | 1ull << HF_EV_PTRACE |
                1ull << HF_EV_MODULE | 1ull << HF_EV_BPF;
    s->settings = k.settings;
    if (s->o.out_fd > 0) { /* not when only asked what there is */
        k.loaded = foresee;
        k.ctx = s;
    }
    rc = hf_kernel_open(&s->kernel, &k, err);
    if (k.v2_root_fd >= 0)
        close(k.v2_root_fd);
    return rc;
}

static void was_there(void *ctx, struct hf_span record, struct hf_span cgroup_path)
{
    struct sensor *s = ctx;
    struct hf_wire_hdr h;
    (void)cgroup_path;
    hf_frames_add(&s->frames, record);
    if (record.n < sizeof h)
        return;
    memcpy(&h, record.p, sizeof h);
    hf_guarded_send(&s->guard, record, hf_containers_of(s->containers, h.cgroup_id), s->now_ns);
}

static void guard_record(void *ctx, struct hf_span record)
{
    struct sensor *s = ctx;
    hf_frames_add(&s->frames, record);
}

/* What the guard says goes out at once, but behind what the kernel told before: it speaks of processes whose start may still be in a ring.  Its end is told once, and so is what it
 * was too slow for. */
static void read_guard(struct sensor *s)
{
    (void)drain(s);
    hf_guarded_read(&s->guard, s->now_ns, guard_record, s);
    hf_frames_flush(&s->frames);
}

static void check_guard(struct sensor *s)
{
    if (s->guard.frames.lost > s->guard.lost_told) {
        tell_loss(s, 0, HF_EV_VERDICT, HF_LOSS_QUEUE, s->guard.frames.lost - s->guard.lost_told);
        s->guard.lost_told = s->guard.frames.lost;
    }
    if (!s->guard.gone || s->guard.gone_told)
        return;
    s->guard.gone_told = true;
    (void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->o.guard_fd, NULL);
    hf_autobuf b = HF_BUF_INIT(1024);
    hf_pairs_begin(&b, HF_EV_STATUS, 0);
    hf_pairs_add(&b, "guard", HF_S("gone"));
    hf_pairs_add(&b, "error", HF_S("the guard has ended: programs are not held against the seals of their images any more"));
    struct hf_span record = hf_pairs_end(&b);
    if (record.n)
        hf_frames_add(&s->frames, record);
    hf_frames_flush(&s->frames);
}

static int open_files(struct sensor *s, struct hf_err *err)
{
    struct stat st;
    struct hf_files_opts o = {.fanotify = hf_kernel_needs_fanotify(s->kernel), .tell = file_record, .ctx = s, .watch = s->o.watch};
    o.map_fd = hf_kernel_watched_fd(s->kernel, &o.bits);
    o.devices = hf_kernel_tells_devices(s->kernel);
    if (!o.fanotify && !o.devices && o.map_fd < 0)
        return 0;
    s->o.watch = NULL;
    int rc = hf_files_new(&s->files, &o, err);
    if (rc < 0)
        return rc;
    hf_files_ignore(s->files, (uint32_t)getpid(), s->o.peer_pid);
    if (stat("/proc/self/ns/mnt", &st) == 0)
        s->own_mnt_ns = (uint32_t)st.st_ino;
    struct epoll_event e = {.events = EPOLLIN, .data.fd = hf_files_fd(s->files)};
    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, hf_files_fd(s->files), &e) < 0 ? hf_fail(err, -errno, "the watched files could not be waited for") : 0;
}

static int start(struct sensor *s, struct hf_err *err)
{
    s->started_ns = s->now_ns = s->status_ns = hf_boot_ns();
    hf_frames_init(&s->frames, s->o.out_fd);
    int guard_rc = hf_guarded_init(&s->guard, s->o.guard_fd, err);
    if (guard_rc < 0)
        return guard_rc;
    hf_buf_init(&s->record, HF_WIRE_MAX);
    hf_buf_init(&s->file_records, FILE_RECORDS_MAX);
    int rc = open_kernel(s, err);
    if (rc == 0)
        rc = hf_containers_new(&s->containers, container_record, group_found, s, NULL, err);
    if (rc < 0)
        return rc;
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    const int fds[] = {hf_kernel_critical(s->kernel)->fd, hf_kernel_bulk(s->kernel)->fd, s->o.out_fd};
    for (size_t i = 0; i < HF_ARRAY_LEN(fds); i++) {
        /* the bulk ring wakes when it has waited long enough (bpf/emit.h), not as soon as there is something in it */
        struct epoll_event e = {.events = EPOLLIN | (i == 1 ? EPOLLET : 0), .data.fd = fds[i]};
        if (s->epoll < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, fds[i], &e) < 0)
            return hf_fail(err, -errno, "the rings could not be waited for");
    }
    struct epoll_event from_guard = {.events = EPOLLIN, .data.fd = s->o.guard_fd};
    if (s->o.guard_fd >= 0 && epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->o.guard_fd, &from_guard) < 0)
        return hf_fail(err, -errno, "the guard could not be waited for");
    rc = open_files(s, err);
    if (rc < 0)
        return rc;
    /* hooks are attached: what starts from here on is in the rings, what was there before comes first */
    s->walking = true;
    hf_containers_walk(s->containers, s->hierarchy.mount, s->now_ns);
    s->walking = false;
    hf_snapshot_procs(&s->hierarchy, was_there, s);
    int more = hf_kernel_seed_sockets(s->kernel, err);
    if (more < 0)
        return more;
    int rates_fd = hf_kernel_map_fd(s->kernel, "hf_rates");
    if (rates_fd >= 0 && (more = hf_rates_new(&s->rates, rates_fd, err)) < 0)
        return more;
    if (s->rates && (more = hf_rates_read(s->rates, hf_boot_ns(), send_rate, s, err)) < 0) /* what the first second is held against */
        return more;
    first_status(s);
    hf_guarded_flush(&s->guard);
    hf_frames_flush(&s->frames);
    hf_resident_settle();
    return 0;
}

static int wait_ms(struct sensor *s, bool busy)
{
    uint64_t now = hf_boot_ns(), status_in = s->status_ns + STATUS_NS > now ? s->status_ns + STATUS_NS - now : 0;
    uint64_t table_in = s->wait_containers_ns == UINT64_MAX ? UINT64_MAX : s->wait_containers_ns > now ? s->wait_containers_ns - now : 0;
    uint64_t ns = HF_MIN(status_in, table_in);
    int ms = (int)((HF_MIN(ns, STATUS_NS) + 999999) / 1000000);
    return busy && ms > POLL_MS ? POLL_MS : ms;
}

static void loop(struct sensor *s)
{
    bool busy = true;
    while (!*s->o.stop && !s->frames.closed) {
        struct epoll_event events[8];
        int n = epoll_wait(s->epoll, events, HF_ARRAY_LEN(events), s->file_records.n ? FILES_LOOK_MS : wait_ms(s, busy));
        if (n < 0 && errno != EINTR)
            break;
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == s->o.out_fd)
                read_asks(s);
            else if (events[i].data.fd == s->o.guard_fd)
                read_guard(s);
            else if (s->files && events[i].data.fd == hf_files_fd(s->files))
                hf_files_read(s->files);
        }
        size_t found = drain(s);
        uint64_t now = hf_boot_ns();
        if (found)
            hf_kernel_looks_again(s->kernel, now); /* after POLL_MS at most: a wake-up before that would be for nothing */
        if (found || n > 0)
            s->awake_ns = now;
        /* as long as the kernel half leaves it asleep: a wait that ended early for another reason is no look */
        busy = now - s->awake_ns < POLL_MS * 1000000ull || !hf_frames_room(&s->frames);
        if (!hf_frames_room(&s->frames)) /* the rings are readable all the while: wait for the other side instead */
            (void)poll(&(struct pollfd){s->o.out_fd, POLLOUT, 0}, 1, FULL_LOOK_MS);
        if (s->now_ns >= s->wait_containers_ns) {
            uint64_t in = hf_containers_tick(s->containers, s->now_ns);
            s->wait_containers_ns = in == UINT64_MAX ? UINT64_MAX : s->now_ns + in;
            hf_guarded_flush(&s->guard);
            hf_frames_flush(&s->frames);
        }
        if (s->guard.gone && !s->guard.gone_told)
            check_guard(s);
        if (s->now_ns - s->status_ns >= STATUS_NS) {
            status(s);
            check_guard(s);
        }
        if ((s->asked.demand != s->demand || s->asked.demand_cheap != s->demand_cheap) && s->now_ns - s->demand_ns >= DEMAND_EVERY_NS)
            take_ask(s, &s->asked);
    }
}

static void finish(struct sensor *s)
{
    if (s->kernel && s->containers && !s->frames.closed) {
        drain(s);
        hf_autobuf b = HF_BUF_INIT(1024);
        hf_pairs_begin(&b, HF_EV_STATUS, 0);
        hf_pairs_add(&b, "state", HF_S("stopped"));
        struct hf_span record = hf_pairs_end(&b);
        if (record.n)
            hf_frames_add(&s->frames, record);
        for (unsigned i = 0; i < 200 && !s->frames.closed; i++) { /* what is kept goes out within two seconds, or is lost with the reader */
            hf_frames_flush(&s->frames);
            if (hf_frames_room(&s->frames))
                break;
            struct timespec t = {0, 10000000};
            nanosleep(&t, NULL);
        }
    }
    hf_watch_list_free(s->o.watch); /* when there was nobody to take it */
    hf_rates_free(s->rates);
    hf_files_free(s->files);
    hf_containers_free(s->containers);
    hf_kernel_close(s->kernel);
    hf_frames_done(&s->frames);
    hf_guarded_done(&s->guard);
    hf_buf_done(&s->record);
    hf_buf_done(&s->file_records);
    hf_closep(&s->epoll);
}

int hf_sensor_run(const struct hf_sensor_opts *o, struct hf_err *err)
{
    hf_autofree struct sensor *s = calloc(1, sizeof *s);
    if (!s)
        return hf_fail(err, -ENOMEM, "no memory");
    /* what a container does before its files are marked is not seen by fanotify: few milliseconds of work that must not wait behind a build */
    (void)setpriority(PRIO_PROCESS, 0, AHEAD);
    s->o = *o;
    s->epoll = -1;
    int rc = start(s, err);
    if (rc == 0)
        loop(s);
    finish(s);
    return rc;
}

int hf_sensor_probe(struct hf_kernel **ret, struct hf_err *err)
{
    struct sensor s = {.o = {.host = true}, .epoll = -1};
    s.o.guard_fd = -1;
    int rc = open_kernel(&s, err);
    if (rc < 0)
        return rc;
    (void)hf_kernel_demand(s.kernel, HF_DEMAND_ALL, 0); /* by doing */
    *ret = s.kernel;
    return 0;
}
