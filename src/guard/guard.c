// SPDX-License-Identifier: Apache-2.0
/* The guard's loop: records in, records out, modules. */
#include "guard/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/resident.h"
#include "guard/calls.h"
#include "guard/guard-internal.h"
#include "sensor/frames.h"
#include "sensor/guarded.h"

#define AHEAD (-10) /* nice: programs of containers wait for its answers, and a policy is to be in force before a container's first one */
#define OUT_MAX (256u << 10)
#define TICK_NS 1000000000ull
#define FRAMES_AT_ONCE 32u
#define COST_LEAST_NS 100000u  /* less since the last time is not worth a record */
#define PACE_NS 2500000u       /* of a second: what reading of large files may cost while watching costs more than it may */
#define FILES_MAX 8192u
#define DIGESTS_KEPT 65536u

/* ---- out ---- */

static void flush(struct hf_guard *g)
{
    struct hf_span rest = hf_buf_span(&g->out);
    while (rest.n >= sizeof(struct hf_wire_hdr)) {
        size_t n = 0, records = 0, len;
        while (n < rest.n && hf_event_frame(hf_span_from(rest, n), &len, NULL) == 1 && n + len <= HF_WIRE_MAX) {
            n += len;
            records++;
        }
        if (!n)
            break;
        if (send(g->o.fd, rest.p, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
            g->closed |= errno == EPIPE || errno == ECONNRESET;
            g->lost_out += records;
        }
        rest = hf_span_from(rest, n);
    }
    hf_buf_clear(&g->out);
}

void hf_guard_tell(struct hf_guard *g, struct hf_span record)
{
    if (record.n > HF_WIRE_MAX || record.n < sizeof(struct hf_wire_hdr))
        return;
    if (g->out.n + record.n > OUT_MAX)
        flush(g);
    hf_buf_adds(&g->out, record);
}

static struct hf_span shorter(struct hf_span s, size_t max)
{
    return hf_span_sub(s, 0, max);
}

void hf_guard_tell_verdict(struct hf_guard *g, const struct hf_guard_container *c, const struct hf_wire_hdr *hdr, struct hf_span path, const struct hf_judgement *j,
        unsigned use, unsigned action, unsigned rung, struct hf_span policy, struct hf_span clause)
{
    struct hf_wire_verdict v = {.inode = j->inode, .ctime_ns = j->ctime_ns, .size = j->size, .dev = j->dev, .mode = j->mode, .verdict = j->verdict, .action = action, .rung = rung, .use = use};
    struct hf_span texts[5] = {shorter(path, 4096), hf_span(j->sealed_path, j->sealed_path_n), hf_span(j->package, j->package_n), shorter(policy, 1024), shorter(clause, 1024)};
    hf_autobuf b = HF_BUF_INIT(16384);
    if (hdr)
        v.h = *hdr;
    else
        hf_record_header(&v.h, HF_EV_VERDICT, c->cgroup_id);
    v.h.type = HF_EV_VERDICT;
    v.h.version = HF_WIRE_VERSION;
    v.h.cgroup_id = c->cgroup_id;
    v.h.time_ns = hf_boot_ns();
    if (j->has_got)
        memcpy(v.got, j->got, sizeof v.got);
    if (j->has_want)
        memcpy(v.want, j->want, sizeof v.want);
    v.path_len = (uint16_t)texts[0].n;
    v.sealed_path_len = (uint16_t)texts[1].n;
    v.package_len = (uint16_t)texts[2].n;
    v.policy_len = (uint16_t)texts[3].n;
    v.clause_len = (uint16_t)texts[4].n;
    hf_buf_add(&b, &v, sizeof v);
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
        hf_buf_adds(&b, texts[i]);
    while (b.n % 8)
        hf_buf_addc(&b, 0);
    if (!hf_buf_ok(&b))
        return;
    v.h.len = (uint32_t)b.n;
    memcpy(b.p, &v.h, sizeof v.h);
    hf_guard_tell(g, hf_buf_span(&b));
}

void hf_guard_tell_status(struct hf_guard *g, const char *name, struct hf_span value)
{
    hf_autobuf b = HF_BUF_INIT(16384);
    hf_pairs_begin(&b, HF_EV_STATUS, 0);
    hf_pairs_add(&b, name, shorter(value, 8192));
    struct hf_span record = hf_pairs_end(&b);
    if (record.n)
        hf_guard_tell(g, record);
}

/* ---- in ---- */

static void record(struct hf_guard *g, struct hf_span bytes)
{
    struct hf_event ev;
    if (hf_event_decode(bytes, &ev, NULL) < 0)
        return;
    g->received++;
    if (ev.type == HF_EV_CONTAINER) {
        hf_box_facts(g, &ev);
        return;
    }
    if (ev.type == HF_EV_CONTAINER_END) {
        hf_box_end(g, ev.h->cgroup_id);
        return;
    }
    struct hf_span rest = ev.text, name, value;
    if (ev.type == HF_EV_STATUS && hf_event_pair(&rest, &name, &value) && hf_span_eqz(name, HF_GUARD_PACE))
        hf_digests_pace(g->digests, hf_span_eqz(value, "1") ? PACE_NS : 0);
    struct hf_guard_box *b = hf_box_of(g, ev.h->cgroup_id);
    if (!b)
        return;
    if (ev.type == HF_EV_EXEC || ev.type == HF_EV_PROC)
        hf_look_exec(g, b, &ev);
    else if (ev.type == HF_EV_MEM)
        hf_look_mem(g, b, &ev);
    else if (ev.type == HF_EV_NET && ev.u.net.op == HF_NET_LISTEN)
        hf_used_listens(g, b, &ev);
    for (unsigned i = 0; i < g->n_modules; i++)
        if (g->modules[i].m->event)
            g->modules[i].m->event(g->modules[i].ctx, g, &b->c, &ev);
}

static void read_records(struct hf_guard *g)
{
    static _Thread_local _Alignas(8) char frame[HF_WIRE_MAX];
    for (unsigned i = 0; i < FRAMES_AT_ONCE; i++) {
        ssize_t n = recv(g->o.fd, frame, sizeof frame, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            g->closed = true;
        if (n <= 0)
            return;
        struct hf_span rest = hf_span(frame, (size_t)n);
        size_t len;
        while (hf_event_frame(rest, &len, NULL) == 1) {
            record(g, hf_span_sub(rest, 0, len));
            rest = hf_span_from(rest, len);
        }
    }
}

/* ---- each second ---- */

static void tell_lost(struct hf_guard *g)
{
    uint64_t lost = g->lost + g->lost_out;
    if (lost == g->lost_told)
        return;
    struct hf_wire_loss l = {.count = lost - g->lost_told, .lost_type = HF_EV_VERDICT, .reason = HF_LOSS_QUEUE};
    hf_record_header(&l.h, HF_EV_LOSS, 0);
    l.h.len = sizeof l;
    hf_guard_tell(g, hf_span((const char *)&l, sizeof l));
    g->lost_told = lost;
}

static void status(struct hf_guard *g)
{
    hf_autobuf b = HF_BUF_INIT(8192);
    struct hf_digests_stats d;
    struct rusage u;
    hf_digests_stats(g->digests, &d);
    hf_pairs_begin(&b, HF_EV_STATUS, 0);
    hf_pairs_add(&b, "guard", HF_S("running"));
    hf_pairs_addf(&b, "guard_judged", "%llu", (unsigned long long)g->judged);
    for (unsigned v = HF_VERDICT_SEALED; v <= HF_VERDICT_UNREADABLE; v++)
        if (g->by_verdict[v]) {
            char name[64];
            snprintf(name, sizeof name, "guard_%s", hf_name_verdict(v));
            hf_pairs_addf(&b, name, "%llu", (unsigned long long)g->by_verdict[v]);
        }
    hf_pairs_addf(&b, "guard_hashed", "%llu", (unsigned long long)d.hashed);
    hf_pairs_addf(&b, "guard_hashed_bytes", "%llu", (unsigned long long)d.hashed_bytes);
    hf_pairs_addf(&b, "guard_known_digests", "%zu", d.known);
    if (d.measured)
        hf_pairs_addf(&b, "guard_by_measurement", "%llu", (unsigned long long)d.measured);
    hf_pairs_addf(&b, "guard_waiting", "%zu", g->n_waiting);
    hf_pairs_addf(&b, "guard_containers", "%zu", g->n_boxes);
    if (g->unboxed)
        hf_pairs_addf(&b, "guard_containers_left_out", "%llu", (unsigned long long)g->unboxed);
    if (getrusage(RUSAGE_SELF, &u) == 0)
        hf_pairs_addf(&b, "guard_cpu_ms", "%llu",
                (unsigned long long)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000u + (unsigned long long)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000u);
    if (g->seal_error[0])
        hf_pairs_add(&b, "guard_error", hf_span_z(g->seal_error));
    g->seal_error[0] = 0;
    struct hf_span r = hf_pairs_end(&b);
    if (r.n)
        hf_guard_tell(g, r);
}

static uint64_t ns_of(const struct rusage *u)
{
    return ((uint64_t)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000u + (uint64_t)(u->ru_utime.tv_usec + u->ru_stime.tv_usec)) * 1000u;
}

/* What it cost so far, its children included that have ended (they make seals); for the sensor, which tells of it (sensor/guarded.h). */
static void tell_cost(struct hf_guard *g)
{
    struct rusage own, children;
    struct hf_digests_stats d;
    uint64_t kernel_ns = 0;
    if (getrusage(RUSAGE_SELF, &own) < 0 || getrusage(RUSAGE_CHILDREN, &children) < 0)
        return;
    for (unsigned i = 0; i < g->n_modules; i++)
        kernel_ns += g->modules[i].m->kernel_ns ? g->modules[i].m->kernel_ns(g->modules[i].ctx, g) : 0;
    uint64_t all = ns_of(&own) + ns_of(&children) + kernel_ns;
    if (all - g->cost_told_ns < COST_LEAST_NS)
        return;
    g->cost_told_ns = all;
    hf_digests_stats(g->digests, &d);
    hf_autobuf b = HF_BUF_INIT(1024);
    hf_pairs_begin(&b, HF_EV_STATUS, 0);
    hf_pairs_addf(&b, HF_GUARD_COST, "%llu %llu %llu %llu %llu %llu", (unsigned long long)(ns_of(&own) + ns_of(&children)), (unsigned long long)(d.now_ns + d.later_ns),
            (unsigned long long)d.later_ns, (unsigned long long)kernel_ns, (unsigned long long)d.hashed_bytes, (unsigned long long)g->judged);
    struct hf_span r = hf_pairs_end(&b);
    if (r.n)
        hf_guard_tell(g, r);
}

/* Counters are told when they changed, so that at rest nothing is. */
static void tick(struct hf_guard *g)
{
    uint64_t before = g->status_judged;
    hf_box_made(g);
    hf_box_seal_next(g);
    hf_used_look(g);
    hf_inuse_store_write(g->store, false);
    for (unsigned i = 0; i < g->n_modules; i++)
        if (g->modules[i].m->tick)
            g->modules[i].m->tick(g->modules[i].ctx, g, g->now_ns);
    tell_lost(g);
    tell_cost(g);
    if (g->judged != before || g->seal_error[0] || !g->tick_ns)
        status(g);
    g->status_judged = g->judged;
    g->tick_ns = g->now_ns;
}

/* ---- modules ---- */

int hf_guard_add(struct hf_guard *g, const struct hf_guard_module *m, void *ctx, struct hf_err *err)
{
    if (g->n_modules == HF_GUARD_MODULES)
        return hf_fail(err, HF_E_LIMIT, "more than %u modules", HF_GUARD_MODULES);
    g->modules[g->n_modules].m = m;
    g->modules[g->n_modules].ctx = ctx;
    g->n_modules++;
    return 0;
}

int hf_guard_watch(struct hf_guard *g, int fd, void (*ready)(void *ctx, struct hf_guard *g, int fd), void *ctx, struct hf_err *err)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    for (size_t i = 0; i < HF_GUARD_FDS; i++) {
        if (g->ready[i].fn)
            continue;
        if (epoll_ctl(g->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
            return hf_fail(err, -errno, "a descriptor could not be waited for");
        g->ready[i] = (struct hf_guard_ready){.fd = fd, .fn = ready, .ctx = ctx};
        return 0;
    }
    return hf_fail(err, HF_E_LIMIT, "more than %u descriptors", HF_GUARD_FDS);
}

void hf_guard_unwatch(struct hf_guard *g, int fd)
{
    for (size_t i = 0; i < HF_GUARD_FDS; i++)
        if (g->ready[i].fn && g->ready[i].fd == fd) {
            (void)epoll_ctl(g->epoll, EPOLL_CTL_DEL, fd, NULL);
            g->ready[i] = (struct hf_guard_ready){.fd = -1};
        }
}

/* ---- life ---- */

int hf_guard_new(struct hf_guard **ret, const struct hf_guard_opts *o, struct hf_err *err)
{
    hf_cleanup(hf_guard_freep) struct hf_guard *g = calloc(1, sizeof *g);
    struct hf_err ignored = HF_ERR_INIT;
    struct stat st;
    if (!g)
        return hf_fail(err, -ENOMEM, "no memory for the guard");
    g->o = *o;
    hf_buf_init(&g->out, OUT_MAX + HF_WIRE_MAX);
    g->epoll = epoll_create1(EPOLL_CLOEXEC);
    g->waiting = calloc(HF_WAITING_MAX, sizeof *g->waiting);
    if (g->epoll < 0 || !g->waiting)
        return hf_fail(err, -ENOMEM, "no memory for the guard");
    if (stat("/proc/self/ns/mnt", &st) == 0)
        g->own_mnt_ns = (uint32_t)st.st_ino;
    if (stat("/proc/1/ns/mnt", &st) == 0)
        g->host_mnt_ns = (uint32_t)st.st_ino;
    if (stat("/", &st) == 0) {
        g->host_root_dev = st.st_dev;
        g->host_root_ino = st.st_ino;
    }
    int rc = hf_digests_new(&g->digests, DIGESTS_KEPT, HF_JUDGE_NOW_BYTES, err);
    rc = rc < 0 ? rc : hf_seals_new(&g->seals, o->state_dir, err);
    if (rc < 0)
        return rc;
    if (hf_inuse_store_new(&g->store, o->state_dir, &ignored) < 0)
        snprintf(g->seal_error, sizeof g->seal_error, "packages in use are not kept: %.200s", ignored.msg);
    const int fds[] = {o->fd, hf_digests_wait_fd(g->digests)};
    for (size_t i = 0; i < HF_ARRAY_LEN(fds); i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fds[i]};
        if (epoll_ctl(g->epoll, EPOLL_CTL_ADD, fds[i], &e) < 0)
            return hf_fail(err, -errno, "the sensor could not be waited for");
    }
    *ret = hf_take(g);
    return 0;
}

/* What this process does without: everything but files of others, processes of others, their end, and what modules load. */
static int drop(struct hf_err *err)
{
    static const uint64_t keep = 1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_SYS_PTRACE | 1ull << CAP_SYS_ADMIN | 1ull << CAP_KILL | 1ull << 38 /* PERFMON */ | 1ull << 39 /* BPF */ |
            1ull << CAP_NET_ADMIN | 1ull << CAP_SYS_CHROOT /* setns */ | 1ull << CAP_LEASE | 1ull << CAP_SYS_RESOURCE;
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    for (unsigned i = 0; i < 2; i++)
        data[i] = (struct __user_cap_data_struct){.effective = (uint32_t)(keep >> 32 * i), .permitted = (uint32_t)(keep >> 32 * i)};
    struct __user_cap_data_struct had[2] = {{.effective = 0}, {.effective = 0}};
    if (syscall(SYS_capget, &h, had) < 0)
        return hf_fail(err, -errno, "capabilities could not be read");
    for (unsigned i = 0; i < 2; i++) {
        data[i].permitted &= had[i].permitted;
        data[i].effective = data[i].permitted;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &h, data) < 0)
        return hf_fail(err, -errno, "privileges could not be given up");
    return 0;
}

static void dispatch(struct hf_guard *g, int fd)
{
    if (fd == g->o.fd) {
        read_records(g);
    } else if (fd == hf_digests_wait_fd(g->digests)) {
        if (hf_digests_collect(g->digests))
            hf_look_waiting(g, 0);
    } else if (fd == hf_seals_wait_fd(g->seals)) {
        hf_box_made(g); /* closes it, which takes it from the loop */
    }
    for (size_t i = 0; i < HF_GUARD_FDS; i++)
        if (g->ready[i].fn && g->ready[i].fd == fd) {
            g->ready[i].fn(g->ready[i].ctx, g, fd);
            return;
        }
}

int hf_guard_run(struct hf_guard *g, struct hf_err *err)
{
    struct rlimit files = {FILES_MAX, FILES_MAX};
    (void)setrlimit(RLIMIT_NOFILE, &files);
    (void)setpriority(PRIO_PROCESS, 0, AHEAD);
    for (unsigned i = 0; i < g->n_modules; i++) {
        int rc = g->modules[i].m->start ? g->modules[i].m->start(g->modules[i].ctx, g, i, err) : 0;
        if (rc < 0)
            return hf_wrap(err, rc, "%s", g->modules[i].m->name);
    }
    g->now_ns = hf_boot_ns();
    status(g); /* all is attached: the sensor waits for a word of that, and the engine for verdicts */
    flush(g);
    int rc = g->o.no_sandbox ? 0 : drop(err);
    rc = rc < 0 || g->o.no_sandbox ? rc : hf_guard_calls(g->n_modules > 0, err);
    hf_resident_settle();
    while (rc == 0 && !g->closed && !*g->o.stop) {
        struct epoll_event events[16];
        g->now_ns = hf_boot_ns();
        bool idle = !g->n_modules && !g->n_waiting && g->judged == g->status_judged && hf_seals_wait_fd(g->seals) < 0 && !hf_used_pending(g) && !hf_inuse_dirty(g->store);
        int n = epoll_wait(g->epoll, events, HF_ARRAY_LEN(events), idle ? -1 : 1000);
        if (n < 0 && errno != EINTR)
            return hf_fail(err, -errno, "the guard could not wait");
        for (int i = 0; i < n; i++)
            dispatch(g, events[i].data.fd);
        g->now_ns = hf_boot_ns();
        if (g->now_ns - g->tick_ns >= TICK_NS)
            tick(g);
        flush(g);
    }
    return rc;
}

void hf_guard_free(struct hf_guard *g)
{
    if (!g)
        return;
    if (g->waiting)
        for (size_t i = 0; i < HF_WAITING_MAX; i++)
            if (g->waiting[i].used)
                hf_closep(&g->waiting[i].fd);
    for (unsigned i = 0; i < g->n_modules; i++) /* before the containers: that the guard ends is no end of theirs */
        if (g->modules[i].m->end)
            g->modules[i].m->end(g->modules[i].ctx, g);
    hf_boxes_done(g);
    hf_inuse_store_free(g->store);
    hf_digests_free(g->digests);
    hf_seals_free(g->seals);
    hf_buf_done(&g->out);
    hf_closep(&g->epoll);
    free(g->waiting);
    free(g);
}
