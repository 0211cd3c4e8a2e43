// SPDX-License-Identifier: Apache-2.0
/* Hooks on demand are changed again and again while the calls that they watch are made all the time: what is asked for before and after a change is never
 * missed, what is not asked for any more is not told, calls end as they should, and nothing is left behind.  Needs root. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "event/demand.h"
#include "sensor/containers/hierarchy.h"
#include "sensor/kernel.h"
#include "tap.h"

#define ACTS_MAX 60000u /* over a minute of them; what follows fails then, rather than waits */
#define CHANGES 12u
#define BUSY 2u

static struct shared {
    volatile uint32_t acts, wrong, stop;
} *shared;
static uint8_t seen[ACTS_MAX + 1];
static unsigned traced, others;

/* Each act is told apart by how much memory it makes executable. */
static void act(uint32_t n, pid_t target)
{
    size_t bytes = (size_t)(n + 1) * 4096;
    char byte, *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        shared->wrong++;
        return;
    }
    at[0] = 1;
    struct iovec here = {&byte, 1}, there = {at, 1};
    if (mprotect(at, bytes, PROT_READ | PROT_EXEC) < 0 || process_vm_readv(target, &here, 1, &there, 1, 0) >= 0 || errno != EFAULT) /* it is not mapped there */
        shared->wrong++;
    munmap(at, bytes);
}

static _Noreturn void worker(int go)
{
    char byte;
    pid_t target = fork();
    if (target == 0) {
        (void)!read(go, &byte, 1); /* until the worker is gone */
        _exit(0);
    }
    while (!shared->stop && shared->acts < ACTS_MAX) {
        act(shared->acts, target);
        shared->acts++;
        usleep(1000);
    }
    kill(target, SIGKILL);
    waitpid(target, NULL, 0);
    _exit(0);
}

/* All kinds of calls, so that whatever is attached runs on every processor meanwhile. */
static _Noreturn void busy(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC), n;
    while (!shared->stop) {
        void *at = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED || munmap(at, 8192) < 0 || syscall(SYS_getppid) <= 0 || ioctl(fd, FIONREAD, &n) == 0 || errno != ENOTTY)
            shared->wrong++;
    }
    _exit(0);
}

static void take(uint32_t worker_pid, struct hf_span record)
{
    struct hf_wire_mem m;
    struct hf_wire_hdr h;
    if (record.n < sizeof h)
        return;
    memcpy(&h, record.p, sizeof h);
    if (h.pid != worker_pid) {
        others++;
        return;
    }
    traced += h.type == HF_EV_PTRACE;
    if (h.type != HF_EV_MEM || record.n < sizeof m)
        return;
    memcpy(&m, record.p, sizeof m);
    uint64_t n = m.length / 4096;
    if (n && n <= ACTS_MAX && seen[n - 1] < 255)
        seen[n - 1]++;
}

static void drain(struct hf_kernel *k, uint32_t worker_pid)
{
    struct hf_ring *rings[2] = {hf_kernel_critical(k), hf_kernel_bulk(k)};
    struct hf_span record;
    for (size_t i = 0; i < 2; i++)
        while (hf_ring_peek(rings[i], &record)) {
            take(worker_pid, record);
            hf_ring_next(rings[i], record);
        }
}

static bool served(struct hf_kernel *k, uint64_t demand)
{
    size_t n;
    const struct hf_feature *f = hf_kernel_features(k, &n);
    for (size_t i = 0; i < n; i++)
        if ((f[i].demand & demand) && f[i].attached)
            return true;
    return false;
}

static void wait_for_acts(uint32_t n)
{
    while (shared->acts < HF_MIN(n, ACTS_MAX))
        usleep(100);
}

/* Acts that began and ended while `from` to `to` was the number of them. */
static unsigned missed(uint32_t from, uint32_t to)
{
    unsigned n = 0;
    for (uint32_t i = from; i < to; i++)
        n += !seen[i];
    return n;
}

static void changed_under_load(struct hf_kernel *k, uint32_t worker_pid)
{
    static const uint64_t sets[] = {HF_DEMAND_MEMORY | HF_DEMAND_TRACE, HF_DEMAND_ALL, HF_DEMAND_MEMORY | HF_DEMAND_TRACE | HF_DEMAND_IOCTL, HF_DEMAND_MEMORY | HF_DEMAND_TRACE | HF_DEMAND_USERFAULTFD};
    (void)hf_kernel_demand(k, sets[0], 0);
    bool memory = served(k, HF_DEMAND_MEMORY), trace = served(k, HF_DEMAND_TRACE);
    wait_for_acts(shared->acts + 1); /* one that was under way is over */
    drain(k, worker_pid);
    uint32_t from = shared->acts + 1;
    traced = 0;
    for (unsigned i = 1; i <= CHANGES; i++) {
        uint64_t want = sets[i % HF_ARRAY_LEN(sets)], have = hf_kernel_demand(k, want, i % 3 ? 0 : HF_DEMAND_ALL);
        if (memory && !(have & HF_DEMAND_MEMORY))
            printf("# change %u: asked for %llx, have %llx\n", i, (unsigned long long)want, (unsigned long long)have);
        OK(!memory || (have & HF_DEMAND_MEMORY));
        drain(k, worker_pid);
        usleep(2000);
    }
    uint32_t to = shared->acts;
    wait_for_acts(to + 1);
    drain(k, worker_pid);
    printf("# %u acts over %u changes, %u of tracing told, %u records of others\n", to - from, CHANGES, traced, others);
    OK(to > from + CHANGES);
    if (memory)
        EQ_U(missed(from, to), 0);
    if (trace)
        OK(traced >= to - from);
    OK(memory || trace); /* or this test shows nothing */
}

static void given_back(struct hf_kernel *k, uint32_t worker_pid)
{
    EQ_U(hf_kernel_demand(k, 0, 0), 0);
    wait_for_acts(shared->acts + 2);
    drain(k, worker_pid);
    uint32_t from = shared->acts + 1;
    wait_for_acts(from + 20);
    drain(k, worker_pid);
    EQ_U(missed(from, from + 19), 19);
}

int main(void)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_hierarchy h;
    struct hf_kernel *k = NULL;
    struct hf_counters c;
    struct stat st;
    char group[512], procs[560], number[16];
    int go[2];
    pid_t pids[1 + BUSY];
    if (geteuid() != 0 || hf_hierarchy_find(&h, &err) < 0 || pipe(go) < 0) {
        printf("1..0 # SKIP needs root and control groups\n");
        return 0;
    }
    struct hf_kernel_opts o = {.self_pid = (uint32_t)getpid(), .hierarchy = h.id, .v1_subsys = h.unified ? -1 : hf_kernel_subsys(h.controller), .v2_root_fd = -1};
    hf_kernel_default_settings(&o.settings);
    o.settings.dedupe_ns = 0;
    o.settings.budget_per_s = o.settings.budget_burst = 1000000;
    o.settings.host_types = 0;
    if (hf_kernel_open(&k, &o, &err) < 0) {
        printf("1..0 # SKIP this kernel takes no such programs: %s\n", err.msg);
        return 0;
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    snprintf(group, sizeof group, "%s/holdfast-demand-%d", h.mount, getpid());
    snprintf(procs, sizeof procs, "%s/cgroup.procs", group);
    EQ_I(mkdir(group, 0700), 0);
    EQ_I(stat(group, &st), 0);
    EQ_I(hf_kernel_policy_set(k, st.st_ino, st.st_ino, &err), 0);
    fflush(stdout);
    for (unsigned i = 0; i < 1 + BUSY; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            int fd = open(procs, O_WRONLY | O_CLOEXEC);
            snprintf(number, sizeof number, "%d", getpid());
            if (fd < 0 || write(fd, number, strlen(number)) < 0)
                _exit(1);
            close(fd);
            if (i)
                busy();
            worker(go[0]);
        }
    }
    (void)hf_kernel_demand(k, HF_DEMAND_ALL, 0); /* what is kept of the first time is no leak */
    (void)hf_kernel_demand(k, 0, 0);
    unsigned fds = tap_descriptors();
    changed_under_load(k, (uint32_t)pids[0]);
    given_back(k, (uint32_t)pids[0]);
    EQ_U(tap_descriptors(), fds);
    shared->stop = 1;
    for (unsigned i = 0; i < 1 + BUSY; i++)
        waitpid(pids[i], NULL, 0);
    EQ_U(shared->wrong, 0); /* whatever was attached, the calls did what they do */
    hf_kernel_counters(k, HF_EV_MEM, &c);
    EQ_U(c.lost_ring + c.lost_budget + c.lost_pressure + c.errors, 0);
    hf_kernel_close(k);
    for (int i = 0; i < 100 && rmdir(group) < 0 && errno == EBUSY; i++)
        usleep(10000);
    return tap_done();
}
