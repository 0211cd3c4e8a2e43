// SPDX-License-Identifier: Apache-2.0
#include "sensor/kernel.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/fs.h"
#include "base/log.h"
#include "probe.skel.h"
#include "sensor.skel.h"
#include "sensor/capabilities.h"
#include "sensor/files/files.h"
#include "sensor/kernel-internal.h"
#include "sensor/on-demand.h"
#include "sensor/packets.h"
#include "sensor/tracepoint.h"

#define MAX_PROGRAMS 160
#define MAX_FEATURES 80
#define HF_BPF_CGROUP_UNIX_CONNECT 49 /* enum bpf_attach_type, Linux 6.7 */

struct program {
    struct bpf_program *prog;
    struct bpf_link *link;
    const char *name;
    bool wanted, left_out; /* left_out: taken off its hook for the time being */
    char refused[160]; /* why it cannot be used; empty: it can */
    uint64_t runs, ns;
};

struct hf_kernel {
    struct sensor_bpf *skel;
    struct hf_kernel_opts o;
    struct hf_ring critical, bulk;
    struct program programs[MAX_PROGRAMS];
    size_t n_programs;
    struct hf_feature features[MAX_FEATURES];
    size_t n_features, n_always; /* the first n_always are not attached on demand */
    struct hf_on_demand *demand;
    struct hf_packets *packets;
    bool lsm, fentry, kprobe, fanotify;
    char lsm_why[160], fentry_why[160], kprobe_why[160], fanotify_why[160];
    int stats_fd;
    struct btf *types; /* of the kernel, while hooks are chosen (7 ms to parse) */
};

/* The last message of libbpf that tells of a failure: it names the program that the verifier refused. */
static _Thread_local char libbpf_said[512];

HF_PRINTF(2, 0) static int keep_message(enum libbpf_print_level level, const char *fmt, va_list args)
{
    char line[512];
    va_list copy;
    va_copy(copy, args);
    vsnprintf(line, sizeof line, fmt, copy);
    va_end(copy);
    const char *debug = getenv("HF_BPF_LOG");
    if (debug && (level != LIBBPF_DEBUG || *debug == '2'))
        vfprintf(stderr, fmt, args);
    bool names_it = strstr(line, "prog '") && (strstr(line, "failed to load") || strstr(line, "failed to attach"));
    if (level == LIBBPF_WARN && (names_it || !libbpf_said[0])) { /* later lines only say that the object failed with it */
        line[strcspn(line, "\n")] = 0;
        memcpy(libbpf_said, line, sizeof line);
    }
    return 0;
}

/* ---- what this kernel allows ---- */

static int probe_one(const char *name, bool must_deny, char why[160])
{
    libbpf_said[0] = 0;
    struct probe_bpf *p = probe_bpf__open();
    if (!p) {
        snprintf(why, 160, "the probe could not be opened");
        return -EINVAL;
    }
    p->rodata->hf_probe_pid = (uint32_t)getpid();
    struct bpf_program *prog, *chosen = NULL;
    bpf_object__for_each_program(prog, p->obj)
    {
        bool it = !strcmp(bpf_program__name(prog), name);
        bpf_program__set_autoload(prog, it);
        chosen = it ? prog : chosen;
    }
    int rc = probe_bpf__load(p);
    struct bpf_link *link = NULL;
    if (rc < 0) {
        snprintf(why, 160, "not loaded: %s", strerror(-rc));
    } else {
        link = bpf_program__attach(chosen);
        if (!link) {
            rc = -errno;
            snprintf(why, 160, "loaded, not attached: %s", strerror(errno));
        } else if (must_deny) {
            int fd = socket(9 /* AF_X25 */, SOCK_SEQPACKET, 0);
            int e = errno;
            if (fd >= 0)
                close(fd);
            if (fd >= 0 || e != EPERM) {
                rc = -ENOTSUP;
                snprintf(why, 160, "attached, but does not fire (\"bpf\" is not in the kernel's lsm= list)");
            }
        }
    }
    bpf_link__destroy(link);
    probe_bpf__destroy(p);
    return rc < 0 ? rc : 0;
}

/* HF_HOOKS=fentry|kprobe|fanotify, for tests: the better kinds of hooks are treated as refused, so that a kernel that has them all shows what the
 * lower rungs see. */
static void leave_better_kinds(struct hf_kernel *k)
{
    const char *only = getenv("HF_HOOKS");
    if (!only)
        return;
    struct {
        const char *name;
        bool *works;
        char *why;
    } kinds[] = {{"lsm", &k->lsm, k->lsm_why}, {"fentry", &k->fentry, k->fentry_why}, {"kprobe", &k->kprobe, k->kprobe_why}, {"fanotify", NULL, NULL}};
    size_t n = 0;
    while (n < HF_ARRAY_LEN(kinds) && strcmp(only, kinds[n].name))
        n++;
    for (size_t i = 0; n < HF_ARRAY_LEN(kinds) && i < n; i++)
        if (*kinds[i].works) {
            *kinds[i].works = false;
            snprintf(kinds[i].why, 160, "left out (HF_HOOKS=%s)", only);
        }
}

static void probe_kinds(struct hf_kernel *k)
{
    k->lsm = probe_one("probe_lsm", true, k->lsm_why) == 0;
    k->fentry = probe_one("probe_fentry", false, k->fentry_why) == 0;
    k->kprobe = probe_one("probe_kprobe", false, k->kprobe_why) == 0;
    k->fanotify = hf_files_probe(k->fanotify_why) == 0;
    leave_better_kinds(k);
}

static const char *no_call_trace(const char *targets)
{
    char first[64];
    snprintf(first, sizeof first, "%.*s", (int)strcspn(targets, ","), targets);
    int id = hf_tracepoint_id("syscalls", first);
    return id >= 0 ? NULL : id == -ENOENT ? "this kernel has no such tracepoint" : "tracefs, which has the tracepoints' numbers, cannot be had";
}

/* Whether the kernel's types have this name.  libbpf's own search would parse them anew each time. */
static bool kernel_has(struct hf_kernel *k, const char *prefix, const char *name, uint32_t kind)
{
    char whole[128];
    if (!k->types)
        k->types = btf__load_vmlinux_btf();
    snprintf(whole, sizeof whole, "%s%s", prefix, name);
    return k->types && btf__find_by_name_kind(k->types, whole, kind) > 0;
}

void hf_kernel_forget_types(struct hf_kernel *k)
{
    btf__free(k->types);
    k->types = NULL;
    malloc_trim(0); /* they are 10 MB */
}

const char *hf_kernel_refuses(struct hf_kernel *k, const struct hf_rung *r)
{
    switch (r->kind) {
    case HF_HOOK_LSM:
        if (!k->lsm)
            return k->lsm_why;
        return kernel_has(k, "bpf_lsm_", r->target, BTF_KIND_FUNC) ? NULL : "this kernel has no such hook";
    case HF_HOOK_FENTRY:
        if (!k->fentry)
            return k->fentry_why;
        return kernel_has(k, "", r->target, BTF_KIND_FUNC) ? NULL : "this kernel has no such function";
    case HF_HOOK_KPROBE:
        return k->kprobe ? NULL : k->kprobe_why;
    case HF_HOOK_TP:
        return kernel_has(k, "btf_trace_", r->target, BTF_KIND_TYPEDEF) ? NULL : "this kernel has no such tracepoint";
    case HF_HOOK_CGROUP:
        return k->o.v2_root_fd >= 0 ? NULL : "no unified control group hierarchy is mounted";
    case HF_HOOK_ITER:
        return kernel_has(k, "bpf_iter_", r->target, BTF_KIND_FUNC) ? NULL : "this kernel has no such iterator";
    case HF_HOOK_SYSCALL:
        return no_call_trace(r->target);
    case HF_HOOK_USER:
        return k->fanotify ? NULL : k->fanotify_why;
    case HF_HOOK_NONE:
        break;
    }
    return "no hook";
}

static struct program *program(struct hf_kernel *k, const char *name)
{
    for (size_t i = 0; name && i < k->n_programs; i++)
        if (!strcmp(k->programs[i].name, name))
            return &k->programs[i];
    return NULL;
}

const char *hf_kernel_label(const struct hf_rung *r, char out[96])
{
    static const char *const kinds[] = {"", "tp_btf/", "lsm/", "fentry/", "kprobe/", "cgroup/", "iter/", "", "tracepoint/"};
    snprintf(out, 96, "%s%s", kinds[r->kind], r->target);
    return out;
}

/* Chooses the best rung of each capability that nothing speaks against yet; fills features, wanted programs and served calls. */
static uint32_t choose(struct hf_kernel *k)
{
    static char labels[MAX_FEATURES][2][96]; /* the features' names live as long as the process */
    uint32_t calls = 0;
    for (size_t i = 0; i < k->n_programs; i++)
        k->programs[i].wanted = false;
    k->n_features = k->n_always = HF_MIN(hf_capabilities_n, (unsigned)MAX_FEATURES);
    for (size_t i = 0; i < k->n_always; i++) {
        const struct hf_capability *c = &hf_capabilities[i];
        struct hf_feature *f = &k->features[i];
        *f = (struct hf_feature){.name = c->name, .title = c->title, .needed = c->needed, .not_covered = c->without};
        for (size_t j = 0; j < HF_LADDER_MAX && c->ladder[j].kind; j++) {
            const struct hf_rung *r = &c->ladder[j];
            struct program *p = program(k, r->program);
            const char *no = hf_kernel_refuses(k, r);
            if (!no && r->program && !p)
                no = "not in this build";
            if (!no && p && p->refused[0])
                no = p->refused;
            if (no) {
                if (!f->refused) { /* the best one is what is missed */
                    f->refused = hf_kernel_label(r, labels[i][0]);
                    snprintf(f->why, sizeof f->why, "%s", no);
                }
                continue;
            }
            f->hook = hf_kernel_label(r, labels[i][1]);
            f->not_covered = r->not_covered;
            calls |= r->calls;
            if (p)
                p->wanted = true;
            break;
        }
    }
    return calls;
}

/* ---- loading ---- */

static int open_object(struct hf_kernel *k, struct hf_err *err)
{
    k->skel = sensor_bpf__open();
    if (!k->skel)
        return hf_fail(err, errno ? -errno : -EINVAL, "the kernel half could not be opened: %s", libbpf_said);
    struct bpf_program *prog;
    size_t n = 0;
    bpf_object__for_each_program(prog, k->skel->obj)
    {
        if (n == MAX_PROGRAMS)
            return hf_fail(err, HF_E_LIMIT, "more than %d programs in the kernel half", MAX_PROGRAMS);
        k->programs[n].prog = prog;
        k->programs[n].name = bpf_program__name(prog);
        n++;
    }
    k->n_programs = n;
    return 0;
}

static bool sees_files(const struct hf_kernel *k)
{
    for (size_t i = 0; i < k->n_programs; i++)
        if (k->programs[i].wanted && (strstr(k->programs[i].name, "_file_open") || strstr(k->programs[i].name, "_path_")))
            return true;
    return false;
}

static void configure(struct hf_kernel *k)
{
    uint32_t calls = choose(k);
    k->skel->rodata->hf_self_pid = k->o.self_pid;
    k->skel->rodata->hf_hierarchy = k->o.hierarchy;
    k->skel->rodata->hf_v1_subsys = k->o.v1_subsys < 0 ? 255u : (uint32_t)k->o.v1_subsys;
    k->skel->rodata->hf_wake_bytes = HF_RING_BULK_BYTES / 4;
    k->skel->rodata->hf_calls_served = calls;
    for (size_t i = 0; i < k->n_programs; i++)
        bpf_program__set_autoload(k->programs[i].prog, k->programs[i].wanted);
    if (!sees_files(k))
        (void)bpf_map__set_max_entries(k->skel->maps.hf_watched, 1); /* its buckets would cost half a megabyte */
    struct program *p = program(k, "hf_connect_unix");
    if (p) { /* a section that libbpf 1.1 does not know */
        bpf_program__set_type(p->prog, BPF_PROG_TYPE_CGROUP_SOCK_ADDR);
        bpf_program__set_expected_attach_type(p->prog, (enum bpf_attach_type)HF_BPF_CGROUP_UNIX_CONNECT);
    }
}

/* Loads; a program that the verifier refuses is named by libbpf, left out, and all is tried again without it. */
static int load(struct hf_kernel *k, struct hf_err *err)
{
    for (unsigned attempt = 0; attempt < MAX_PROGRAMS; attempt++) {
        libbpf_said[0] = 0;
        int rc = open_object(k, err);
        if (rc < 0)
            return rc;
        configure(k);
        rc = sensor_bpf__load(k->skel);
        if (rc == 0)
            return 0;
        struct program *bad = NULL;
        char name[64];
        if (hf_kernel_bad_program(name)[0])
            bad = program(k, name);
        if (!bad || bad->refused[0])
            return hf_fail(err, rc, "the kernel refused the sensor's programs: %s%s", libbpf_said[0] ? libbpf_said : strerror(-rc),
                    rc == -EPERM ? " (root is needed)" : "");
        snprintf(bad->refused, sizeof bad->refused, "not loaded: %s", strerror(-rc));
        sensor_bpf__destroy(k->skel);
        k->skel = NULL;
    }
    return hf_fail(err, HF_E_LIMIT, "no set of programs that this kernel takes was found");
}

static void attach_one(struct hf_kernel *k, struct program *p)
{
    enum bpf_prog_type type = bpf_program__type(p->prog);
    if (!strcmp(p->name, "hf_tcp_volume")) { /* walks a map of ours */
        union bpf_iter_link_info map = {.map.map_fd = (uint32_t)bpf_map__fd(k->skel->maps.hf_socks)};
        LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &map, .link_info_len = sizeof map);
        p->link = bpf_program__attach_iter(p->prog, &opts);
        return;
    }
    bool in_group = type == BPF_PROG_TYPE_CGROUP_SKB || type == BPF_PROG_TYPE_CGROUP_SOCK || type == BPF_PROG_TYPE_CGROUP_SOCK_ADDR || type == BPF_PROG_TYPE_SOCK_OPS ||
            type == BPF_PROG_TYPE_CGROUP_DEVICE;
    p->link = in_group ? bpf_program__attach_cgroup(p->prog, k->o.v2_root_fd) : bpf_program__attach(p->prog);
}

/* Programs that are attached where containers are, by packets.c. */
static bool is_of_packets(const struct program *p)
{
    return bpf_program__type(p->prog) == BPF_PROG_TYPE_CGROUP_SKB;
}

static int attach_packets(struct hf_kernel *k, struct hf_err *err)
{
    const struct program *out = program(k, "hf_egress"), *in = program(k, "hf_ingress");
    struct hf_packets_opts o = {.root_fd = k->o.v2_root_fd, .progs = {-1, -1}, .by_group = k->o.v1_subsys < 0, .host = k->o.settings.host_types & (1ull << HF_EV_PAYLOAD)};
    if (out && out->wanted)
        o.progs[0] = bpf_program__fd(out->prog);
    if (in && in->wanted)
        o.progs[1] = bpf_program__fd(in->prog);
    return o.progs[0] < 0 && o.progs[1] < 0 ? 0 : hf_packets_new(&k->packets, &o, err);
}

static int attach(struct hf_kernel *k, struct hf_err *err)
{
    bool lost = false;
    for (size_t i = 0; i < k->n_programs; i++) {
        struct program *p = &k->programs[i];
        if (!p->wanted || is_of_packets(p))
            continue;
        attach_one(k, p);
        if (!p->link) {
            snprintf(p->refused, sizeof p->refused, "loaded, not attached: %s", strerror(errno));
            lost = true;
        }
    }
    if (lost) /* what it served falls to a lower rung, if that one happens to be loaded, or is told as missing */
        choose(k);
    for (size_t i = 0; i < k->n_features; i++)
        if (k->features[i].needed && !k->features[i].hook)
            return hf_fail(err, HF_E_UNSUPPORTED, "this kernel cannot show %s (%s: %s); \"holdfast sensor features\" says what it offers",
                    k->features[i].title, k->features[i].refused, k->features[i].why);
    return attach_packets(k, err);
}

void hf_kernel_default_settings(struct hf_settings *s)
{
    uint64_t all = ~0ull >> 1;
    *s = (struct hf_settings){
            .host_types = all & ~(1ull << HF_EV_RENAME | 1ull << HF_EV_CAP | 1ull << HF_EV_NS | 1ull << HF_EV_PAYLOAD),
            .container_types = all,
            .container_critical = 0,
            .budget_per_s = 50000,
            .budget_burst = 100000,
            .revision = 1,
            .dedupe_ns = 10000000000ull,
    };
}

int hf_kernel_subsys(const char *name)
{
    struct btf *btf = btf__load_vmlinux_btf();
    int rc = -ENOENT;
    if (!btf)
        return -ENOENT;
    int id = btf__find_by_name_kind(btf, "cgroup_subsys_id", BTF_KIND_ENUM);
    const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (unsigned)id) : NULL;
    char want[64];
    snprintf(want, sizeof want, "%s_cgrp_id", name);
    for (unsigned i = 0; t && i < btf_vlen(t); i++) {
        const struct btf_enum *e = btf_enum(t) + i;
        if (!strcmp(btf__name_by_offset(btf, e->name_off), want))
            rc = (int)e->val;
    }
    btf__free(btf);
    return rc;
}

int hf_kernel_open(struct hf_kernel **ret, const struct hf_kernel_opts *o, struct hf_err *err)
{
    if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
        return hf_fail(err, HF_E_UNSUPPORTED, "this kernel has no type information (/sys/kernel/btf/vmlinux); the sensor needs Linux 5.10 or later with CONFIG_DEBUG_INFO_BTF");
    hf_cleanup(hf_kernel_closep) struct hf_kernel *k = calloc(1, sizeof *k);
    if (!k)
        return hf_fail(err, -ENOMEM, "no memory");
    k->o = *o;
    k->o.v2_root_fd = o->v2_root_fd < 0 ? -1 : fcntl(o->v2_root_fd, F_DUPFD_CLOEXEC, 3);
    k->stats_fd = k->critical.fd = k->bulk.fd = -1;
    libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
    libbpf_set_print(keep_message);
    probe_kinds(k);
    int rc = load(k, err);
    if (rc < 0)
        return rc;
    rc = hf_kernel_settings(k, &o->settings, err);
    if (rc == 0)
        rc = hf_ring_open(&k->critical, bpf_map__fd(k->skel->maps.hf_ring_critical), HF_RING_CRITICAL_BYTES, err);
    if (rc == 0)
        rc = hf_ring_open(&k->bulk, bpf_map__fd(k->skel->maps.hf_ring_bulk), HF_RING_BULK_BYTES, err);
    if (rc == 0)
        rc = hf_on_demand_new(&k->demand, k, err);
    if (rc == 0 && o->loaded)
        o->loaded(o->ctx, k);
    if (rc == 0)
        rc = attach(k, err);
    if (rc < 0)
        return rc;
    hf_kernel_forget_types(k); /* what was parsed for every load goes, too */
    *ret = hf_take(k);
    return 0;
}

void hf_kernel_close(struct hf_kernel *k)
{
    if (!k)
        return;
    hf_kernel_stats_on(k, false);
    hf_on_demand_free(k->demand);
    hf_packets_free(k->packets);
    for (size_t i = 0; i < k->n_programs; i++)
        bpf_link__destroy(k->programs[i].link);
    hf_closep(&k->o.v2_root_fd);
    btf__free(k->types);
    hf_ring_close(&k->critical);
    hf_ring_close(&k->bulk);
    sensor_bpf__destroy(k->skel);
    free(k);
}

struct hf_ring *hf_kernel_critical(struct hf_kernel *k)
{
    return &k->critical;
}

struct hf_ring *hf_kernel_bulk(struct hf_kernel *k)
{
    return &k->bulk;
}

void hf_kernel_hush(void)
{
    libbpf_said[0] = 0;
}

const char *hf_kernel_bad_program(char out[64])
{
    const char *at = strstr(libbpf_said, "prog '");
    snprintf(out, 64, "%s", at ? at + 6 : "");
    out[strcspn(out, "'")] = 0;
    return out;
}

const struct hf_kernel_opts *hf_kernel_options(const struct hf_kernel *k)
{
    return &k->o;
}

uint64_t hf_kernel_demand(struct hf_kernel *k, uint64_t classes, uint64_t cheap)
{
    hf_on_demand_set(k->demand, classes, cheap);
    k->n_features = k->n_always + hf_on_demand_features(k->demand, k->features + k->n_always, MAX_FEATURES - k->n_always);
    return hf_on_demand_attached(k->demand);
}

void hf_kernel_measure_demand(struct hf_kernel *k)
{
    hf_on_demand_measure(k->demand);
    k->n_features = k->n_always + hf_on_demand_features(k->demand, k->features + k->n_always, MAX_FEATURES - k->n_always);
}

const struct hf_feature *hf_kernel_features(const struct hf_kernel *k, size_t *ret_n)
{
    *ret_n = k->n_features;
    return k->features;
}

bool hf_kernel_needs_fanotify(const struct hf_kernel *k)
{
    for (size_t i = 0; i < k->n_features; i++)
        if (k->features[i].hook && !strcmp(k->features[i].hook, HF_FANOTIFY))
            return true;
    return false;
}

bool hf_kernel_tells_devices(struct hf_kernel *k)
{
    const struct program *p = program(k, "hf_device");
    return p && p->link;
}

int hf_kernel_watched_fd(struct hf_kernel *k, volatile uint64_t **ret_bits)
{
    *ret_bits = (volatile uint64_t *)k->skel->bss->hf_file_bits;
    return sees_files(k) ? bpf_map__fd(k->skel->maps.hf_watched) : -1;
}

/* ---- policies, settings, counters ---- */

int hf_kernel_policy_set(struct hf_kernel *k, uint64_t cgroup_id, uint64_t container_id, struct hf_err *err)
{
    int fd = bpf_map__fd(k->skel->maps.hf_policies);
    struct hf_policy p = {0};
    if (bpf_map_lookup_elem(fd, &cgroup_id, &p) < 0)
        p.tokens = k->o.settings.budget_burst;
    p.container = container_id;
    p.flags &= ~HF_POLICY_MAYBE;
    p.types = k->o.settings.container_types;
    p.critical = k->o.settings.container_critical;
    if (bpf_map_update_elem(fd, &cgroup_id, &p, BPF_ANY) < 0)
        return hf_fail(err, -errno, "the policy of a container could not be set");
    return cgroup_id == container_id ? hf_packets_add(k->packets, cgroup_id, err) : 0;
}

int hf_kernel_tick(struct hf_kernel *k, struct hf_err *err)
{
    return hf_packets_tick(k->packets, err);
}

void hf_kernel_each_loss(struct hf_kernel *k, void (*fn)(void *ctx, uint64_t cgroup_id, const struct hf_policy *p), void *ctx)
{
    int fd = bpf_map__fd(k->skel->maps.hf_policies);
    uint64_t key, next;
    struct hf_policy p;
    int rc = bpf_map_get_next_key(fd, NULL, &next);
    for (unsigned i = 0; rc == 0 && i < 2 * HF_MAX_CGROUPS; i++) { /* groups that go meanwhile make it begin again: hence the bound */
        key = next;
        if (bpf_map_lookup_elem(fd, &key, &p) == 0 && (p.lost_budget || p.lost_ring || p.lost_pressure))
            fn(ctx, key, &p);
        rc = bpf_map_get_next_key(fd, &key, &next);
    }
}

void hf_kernel_policy_delete(struct hf_kernel *k, uint64_t cgroup_id)
{
    bpf_map_delete_elem(bpf_map__fd(k->skel->maps.hf_policies), &cgroup_id);
    hf_packets_remove(k->packets, cgroup_id);
}

void hf_kernel_limit(struct hf_kernel *k, uint64_t container_id, uint64_t per_s)
{
    int fd = bpf_map__fd(k->skel->maps.hf_policies);
    uint64_t key, next;
    struct hf_policy p;
    int rc = bpf_map_get_next_key(fd, NULL, &next);
    for (unsigned i = 0; rc == 0 && i < 2 * HF_MAX_CGROUPS; i++) {
        key = next;
        if (bpf_map_lookup_elem(fd, &key, &p) == 0 && p.container == container_id && p.limit_per_s != per_s) {
            p.limit_per_s = per_s; /* what the kernel half took from its bucket meanwhile is given back: a few events */
            (void)bpf_map_update_elem(fd, &key, &p, BPF_EXIST);
        }
        rc = bpf_map_get_next_key(fd, &key, &next);
    }
}

int hf_kernel_leave_out(struct hf_kernel *k, uint64_t types, struct hf_err *err)
{
    const uint64_t never_urgent = 1ull << HF_EV_PAYLOAD | HF_SET_RATE | 1ull << HF_EV_RENAME | 1ull << HF_EV_IO_URING;
    int rc = 0;
    for (size_t i = 0; i < k->n_programs; i++) {
        struct program *p = &k->programs[i];
        uint64_t own = hf_program_types(p->name);
        bool out = own && !(own & ~(types & never_urgent));
        if (is_of_packets(p)) {
            int done = p->wanted ? hf_packets_off(k->packets, out, err) : 0;
            rc = rc < 0 ? rc : done;
        } else if (out && p->link) {
            bpf_link__destroy(p->link);
            p->link = NULL;
            p->left_out = true;
        } else if (!out && p->left_out) {
            attach_one(k, p);
            p->left_out = !p->link;
            if (!p->link)
                rc = hf_fail(err, -errno, "%s could not be attached again: %s", p->name, strerror(errno));
        }
    }
    return rc;
}

int hf_kernel_settings(struct hf_kernel *k, const struct hf_settings *s, struct hf_err *err)
{
    uint32_t zero = 0;
    k->o.settings = *s;
    if (bpf_map_update_elem(bpf_map__fd(k->skel->maps.hf_settings_map), &zero, s, BPF_ANY) < 0)
        return hf_fail(err, -errno, "the sensor's settings could not be set");
    return 0;
}

/* Runs an iterator to its end; what: as an error names it. */
static int iterate(struct hf_kernel *k, const char *name, const char *what, struct hf_err *err)
{
    struct program *p = program(k, name);
    if (!p || !p->link)
        return 0;
    hf_autoclose int fd = bpf_iter_create(bpf_link__fd(p->link));
    if (fd < 0)
        return hf_fail(err, -errno, "%s: the iterator did not start", what);
    char none[64];
    ssize_t n;
    while ((n = read(fd, none, sizeof none)) > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)))
        ;
    return n < 0 ? hf_fail(err, -errno, "%s: not all could be looked at", what) : 0;
}

int hf_kernel_seed_sockets(struct hf_kernel *k, struct hf_err *err)
{
    return iterate(k, "hf_seed_sockets", "sockets that were there before", err);
}

int hf_kernel_count_streams(struct hf_kernel *k, struct hf_err *err)
{
    return iterate(k, "hf_tcp_volume", "what connections carry", err);
}

void hf_kernel_looks_again(struct hf_kernel *k, uint64_t now_ns)
{
    __atomic_store_n(&k->skel->bss->hf_last_wake, now_ns, __ATOMIC_RELAXED);
}

void hf_kernel_counters(struct hf_kernel *k, unsigned type, struct hf_counters *ret)
{
    int cpus = libbpf_num_possible_cpus();
    *ret = (struct hf_counters){0};
    if (cpus <= 0 || type >= HF_COUNTER_TYPES)
        return;
    hf_autofree struct hf_counters *v = calloc((size_t)cpus, sizeof *v);
    uint32_t key = type;
    if (!v || bpf_map_lookup_elem(bpf_map__fd(k->skel->maps.hf_counters_map), &key, v) < 0)
        return;
    for (int i = 0; i < cpus; i++) {
        ret->seen += v[i].seen;
        ret->sent += v[i].sent;
        ret->lost_ring += v[i].lost_ring;
        ret->lost_budget += v[i].lost_budget;
        ret->lost_pressure += v[i].lost_pressure;
        ret->deduped += v[i].deduped;
        ret->errors += v[i].errors;
    }
}

/* ---- cost ---- */

int hf_kernel_stats_on(struct hf_kernel *k, bool on)
{
    if (!on) {
        hf_closep(&k->stats_fd);
        return 0;
    }
    if (k->stats_fd < 0)
        k->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
    return k->stats_fd < 0 ? -errno : 0;
}

size_t hf_kernel_costs(struct hf_kernel *k, struct hf_hook_cost *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < k->n_programs && n < max; i++) {
        struct bpf_prog_info info = {0};
        uint32_t len = sizeof info;
        const struct program *p = &k->programs[i];
        if ((!p->link && !p->left_out && !(p->wanted && is_of_packets(p))) || bpf_obj_get_info_by_fd(bpf_program__fd(p->prog), &info, &len) < 0)
            continue;
        out[n++] = (struct hf_hook_cost){p->name, hf_program_types(p->name), info.run_cnt, info.run_time_ns, info.verified_insns};
    }
    return n + hf_on_demand_costs(k->demand, out + n, max - n);
}

static uint64_t charged(int fd)
{
    char path[64];
    hf_autobuf b = HF_BUF_INIT(4096);
    struct hf_err err = HF_ERR_INIT;
    uint64_t bytes = 0;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    if (hf_read_file(path, &b, &err) < 0)
        return 0;
    struct hf_span rest = hf_buf_span(&b), line;
    while (hf_span_line(&rest, &line))
        if (hf_span_starts(line, HF_S("memlock:")) && hf_parse_u64(hf_span_trim(hf_span_from(line, 8)), 10, 0, UINT64_MAX, &bytes) < 0)
            bytes = 0;
    return bytes;
}

static void add_charged(void *ctx, int fd)
{
    uint64_t *total = ctx;
    *total += charged(fd);
}

uint64_t hf_kernel_memory(struct hf_kernel *k)
{
    uint64_t total = 0;
    struct bpf_map *m;
    bpf_object__for_each_map(m, k->skel->obj) total += charged(bpf_map__fd(m));
    for (size_t i = 0; i < k->n_programs; i++)
        if (k->programs[i].link || (k->programs[i].wanted && is_of_packets(&k->programs[i])))
            total += charged(bpf_program__fd(k->programs[i].prog));
    hf_on_demand_each_fd(k->demand, add_charged, &total);
    return total;
}

int hf_kernel_map_fd(struct hf_kernel *k, const char *name)
{
    struct bpf_map *m = bpf_object__find_map_by_name(k->skel->obj, name);
    return m ? bpf_map__fd(m) : -ENOENT;
}
