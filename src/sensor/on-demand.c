// SPDX-License-Identifier: Apache-2.0
#include "sensor/on-demand.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/fs.h"
#include "event/demand.h"
#include "ioctl.skel.h"
#include "mem.skel.h"
#include "sensor/capabilities.h"
#include "sensor/kernel-internal.h"
#include "sensor/tracepoint.h"
#include "trace.skel.h"

#define ROWS_MAX 16u /* of the table of capabilities on demand */
#define PROGRAMS_MAX 12u /* of a family */
#define LINKS_MAX 4u     /* of a program: tracepoints of system calls */
#define REFUSED_MAX 32u
#define NAME_MAX_TP 64u
#define MEASURE_NS 250000000

struct attached {
    struct bpf_program *prog;
    const char *name;
    struct bpf_link *links[LINKS_MAX];
};

struct family {
    uint64_t demand;
    const void *(*bytes)(size_t *n);
    struct bpf_object *obj; /* NULL: not loaded */
    struct attached programs[PROGRAMS_MAX];
    size_t n;
};

struct hf_on_demand {
    struct hf_kernel *k;
    struct family families[3];
    const struct hf_rung *rungs[ROWS_MAX]; /* which one serves a row, or would */
    bool attached[ROWS_MAX];
    struct looked {
        bool done;
        const char *why; /* NULL: the kernel has it */
    } looked[ROWS_MAX][HF_LADDER_MAX];
    struct refused {
        const char *program;
        char why[160];
    } refused[REFUSED_MAX];
    size_t n_refused;
    char labels[ROWS_MAX][2][96];
    bool measured[ROWS_MAX];
    uint64_t ns_per_s[ROWS_MAX], call_ns;
};

/* ---- which hook ---- */

static bool is_costly(const struct hf_rung *r)
{
    return r->kind == HF_HOOK_SYSCALL;
}

static const struct hf_feature *always(const struct hf_on_demand *d, const char *name)
{
    size_t n;
    const struct hf_feature *f = hf_kernel_features(d->k, &n);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(f[i].name, name))
            return &f[i];
    return NULL;
}

/* What is attached anyway and serves a row, so that nothing more is needed; NULL: nothing. */
static const char *served_anyway(const struct hf_on_demand *d, const struct hf_capability *c)
{
    if (c->demand == HF_DEMAND_TRACE) { /* the security hooks see every tracing; the capability check only that which asks for one */
        const struct hf_feature *asks = always(d, "traceme");
        return asks && asks->hook ? asks->hook : NULL;
    }
    if (c->demand == HF_DEMAND_USERFAULTFD) { /* where it is left to the privileged, they are seen by their capability */
        hf_autobuf b = HF_BUF_INIT(64);
        struct hf_err ignored = HF_ERR_INIT;
        const struct hf_feature *f = always(d, "privileged-calls");
        bool left = hf_read_file("/proc/sys/vm/unprivileged_userfaultfd", &b, &ignored) == 0 && hf_span_starts(hf_buf_span(&b), HF_S("0"));
        return left && f && f->hook ? f->hook : NULL;
    }
    return NULL;
}

static const char *refusal(const struct hf_on_demand *d, const char *program)
{
    for (size_t i = 0; i < d->n_refused; i++)
        if (!strcmp(d->refused[i].program, program))
            return d->refused[i].why;
    return NULL;
}

HF_PRINTF(3, 4) static void refuse(struct hf_on_demand *d, const char *program, const char *fmt, ...)
{
    if (d->n_refused == REFUSED_MAX || refusal(d, program))
        return;
    struct refused *r = &d->refused[d->n_refused++];
    va_list args;
    r->program = program;
    va_start(args, fmt);
    vsnprintf(r->why, sizeof r->why, fmt, args);
    va_end(args);
}

/* Why the kernel has not this hook, asked once. */
static const char *no_hook(struct hf_on_demand *d, const struct hf_capability *c, size_t rung)
{
    struct looked *l = &d->looked[c - hf_capabilities_on_demand][rung];
    if (!l->done)
        *l = (struct looked){true, hf_kernel_refuses(d->k, &c->ladder[rung])};
    return l->why;
}

/* The best rung of a row that nothing speaks against yet; NULL: none. */
static const struct hf_rung *choose(struct hf_on_demand *d, const struct hf_capability *c, bool costly)
{
    for (size_t i = 0; i < HF_LADDER_MAX && c->ladder[i].kind; i++) {
        const struct hf_rung *r = &c->ladder[i];
        if (!refusal(d, r->program) && !no_hook(d, c, i))
            return costly || !is_costly(r) ? r : NULL;
    }
    return NULL;
}

/* ---- loading ---- */

static void unload(struct family *f)
{
    for (size_t i = 0; i < f->n; i++)
        for (size_t j = 0; j < LINKS_MAX; j++)
            bpf_link__destroy(f->programs[i].links[j]);
    bpf_object__close(f->obj);
    f->obj = NULL;
    f->n = 0;
}

/* Sets a constant of the object; one that it does not have is of no use to it. */
static void set_const(struct bpf_object *obj, const char *name, uint32_t value)
{
    struct bpf_map *map = bpf_object__find_map_by_name(obj, ".rodata");
    const struct btf *btf = bpf_object__btf(obj);
    int id = map && btf ? btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC) : -1;
    size_t size = 0;
    const void *now = map ? bpf_map__initial_value(map, &size) : NULL;
    hf_autofree char *at = now ? malloc(size) : NULL;
    if (at)
        memcpy(at, now, size);
    const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
    const struct btf_var_secinfo *v = t ? btf_var_secinfos(t) : NULL;
    for (unsigned i = 0; at && t && i < btf_vlen(t); i++) {
        const struct btf_type *var = btf__type_by_id(btf, v[i].type);
        if (var && !strcmp(btf__name_by_offset(btf, var->name_off), name) && v[i].size == sizeof value && v[i].offset + sizeof value <= size)
            memcpy(at + v[i].offset, &value, sizeof value);
    }
    if (at)
        (void)bpf_map__set_initial_value(map, at, size);
}

static void configure(struct hf_on_demand *d, struct bpf_object *obj)
{
    const struct hf_kernel_opts *o = hf_kernel_options(d->k);
    struct bpf_map *map;
    set_const(obj, "hf_self_pid", o->self_pid);
    set_const(obj, "hf_hierarchy", o->hierarchy);
    set_const(obj, "hf_v1_subsys", o->v1_subsys < 0 ? 255u : (uint32_t)o->v1_subsys);
    set_const(obj, "hf_wake_bytes", HF_RING_BULK_BYTES / 4);
    bpf_object__for_each_map(map, obj)
    {
        int fd = bpf_map__name(map)[0] == '.' ? -1 : hf_kernel_map_fd(d->k, bpf_map__name(map));
        if (fd >= 0)
            (void)bpf_map__reuse_fd(map, fd); /* what does not fit fails when it is loaded */
    }
}

static bool in(const struct hf_rung *const *rungs, size_t n, const char *program)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(rungs[i]->program, program))
            return true;
    return false;
}

static bool attach_calls(struct attached *a, const char *targets)
{
    struct hf_span rest = hf_span_z(targets), one;
    for (size_t i = 0; i < LINKS_MAX && rest.n; i++) {
        char name[NAME_MAX_TP];
        if (!hf_span_cut(&rest, ',', &one)) {
            one = rest;
            rest.n = 0;
        }
        snprintf(name, sizeof name, "%.*s", HF_SPAN_ARG(one));
        a->links[i] = hf_tracepoint_attach(a->prog, "syscalls", name);
        if (!a->links[i])
            return false;
    }
    return true;
}

/* 1: loaded and attached; 0: a program was refused, choose again; -1: none of it can be. */
static int load(struct hf_on_demand *d, struct family *f, const struct hf_rung *const *rungs, size_t n)
{
    size_t size;
    char bad[64];
    struct bpf_program *prog;
    const void *bytes = f->bytes(&size);
    hf_kernel_hush();
    f->obj = bpf_object__open_mem(bytes, size, NULL);
    if (!f->obj)
        return -1;
    configure(d, f->obj);
    bpf_object__for_each_program(prog, f->obj)
    {
        bool wanted = in(rungs, n, bpf_program__name(prog));
        bpf_program__set_autoload(prog, wanted);
        if (wanted && f->n < PROGRAMS_MAX)
            f->programs[f->n++] = (struct attached){.prog = prog};
    }
    int rc = bpf_object__load(f->obj);
    if (rc < 0) {
        hf_kernel_bad_program(bad);
        for (size_t i = 0; i < n; i++)
            if (!bad[0] || !strcmp(rungs[i]->program, bad))
                refuse(d, rungs[i]->program, "not loaded: %s", strerror(-rc));
        unload(f);
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < f->n; j++) {
            struct attached *a = &f->programs[j];
            if (strcmp(bpf_program__name(a->prog), rungs[i]->program) != 0 || a->links[0])
                continue;
            a->name = rungs[i]->program;
            bool done = rungs[i]->kind == HF_HOOK_SYSCALL ? attach_calls(a, rungs[i]->target) : (a->links[0] = bpf_program__attach(a->prog)) != NULL;
            if (!done) {
                refuse(d, rungs[i]->program, "loaded, not attached: %s", strerror(errno));
                unload(f);
                return 0;
            }
        }
    return 1;
}

static bool same(const struct family *f, const struct hf_rung *const *rungs, size_t n)
{
    for (size_t i = 0; i < f->n; i++)
        if (!in(rungs, n, f->programs[i].name))
            return false;
    for (size_t i = 0; i < n; i++) {
        bool there = false;
        for (size_t j = 0; j < f->n; j++)
            there = there || !strcmp(f->programs[j].name, rungs[i]->program);
        if (!there)
            return false;
    }
    return true;
}

static void set_family(struct hf_on_demand *d, struct family *f, uint64_t classes, uint64_t cheap)
{
    for (unsigned attempt = 0; attempt < REFUSED_MAX; attempt++) {
        const struct hf_rung *rungs[ROWS_MAX];
        size_t n = 0;
        for (size_t i = 0; i < hf_capabilities_on_demand_n && i < ROWS_MAX; i++) {
            const struct hf_capability *c = &hf_capabilities_on_demand[i];
            if (!(c->demand & f->demand))
                continue;
            d->attached[i] = false;
            d->rungs[i] = choose(d, c, true);
            if (!((classes | cheap) & c->demand) || served_anyway(d, c))
                continue;
            const struct hf_rung *r = choose(d, c, classes & c->demand);
            d->attached[i] = r != NULL;
            if (r)
                rungs[n++] = r;
        }
        if (same(f, rungs, n))
            return;
        struct family before = *f; /* goes on until the new ones are attached: what both see is told twice, nothing is missed */
        f->obj = NULL;
        f->n = 0;
        int rc = n ? load(d, f, rungs, n) : 1;
        if (rc <= 0 && before.obj && attempt + 1 < REFUSED_MAX && rc == 0) { /* chosen again: the old ones stay meanwhile */
            *f = before;
            continue;
        }
        unload(&before);
        if (rc > 0)
            return;
        if (rc < 0)
            break;
    }
    for (size_t i = 0; i < hf_capabilities_on_demand_n && i < ROWS_MAX; i++)
        if (hf_capabilities_on_demand[i].demand & f->demand)
            d->attached[i] = false;
}

/* ---- outside ---- */

int hf_on_demand_new(struct hf_on_demand **ret, struct hf_kernel *k, struct hf_err *err)
{
    struct hf_on_demand *d = calloc(1, sizeof *d);
    if (!d)
        return hf_fail(err, -ENOMEM, "no memory");
    d->k = k;
    d->families[0] = (struct family){.demand = HF_DEMAND_MEMORY, .bytes = mem_bpf__elf_bytes};
    d->families[1] = (struct family){.demand = HF_DEMAND_IOCTL, .bytes = ioctl_bpf__elf_bytes};
    d->families[2] = (struct family){.demand = HF_DEMAND_TRACE | HF_DEMAND_USERFAULTFD, .bytes = trace_bpf__elf_bytes};
    *ret = d;
    return 0;
}

void hf_on_demand_free(struct hf_on_demand *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < HF_ARRAY_LEN(d->families); i++)
        unload(&d->families[i]);
    free(d);
}

void hf_on_demand_set(struct hf_on_demand *d, uint64_t classes, uint64_t cheap)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(d->families); i++)
        set_family(d, &d->families[i], classes, cheap);
    hf_kernel_forget_types(d->k);
}

uint64_t hf_on_demand_attached(const struct hf_on_demand *d)
{
    uint64_t classes = 0;
    for (size_t i = 0; i < hf_capabilities_on_demand_n && i < ROWS_MAX; i++)
        if (d->attached[i])
            classes |= hf_capabilities_on_demand[i].demand;
    return classes;
}

/* The shortest time of a system call that nobody watches. */
static uint64_t call_ps(void)
{
    uint64_t best = UINT64_MAX;
    for (unsigned i = 0; i < 3000; i++) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (unsigned j = 0; j < 20; j++)
            (void)syscall(SYS_getppid);
        clock_gettime(CLOCK_MONOTONIC, &to);
        best = HF_MIN(best, (uint64_t)((to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec) * 1000 / 20);
    }
    return best;
}

static const struct hf_hook_cost *cost_of(const struct hf_hook_cost *costs, size_t n, const char *program)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(costs[i].program, program))
            return &costs[i];
    return NULL;
}

void hf_on_demand_measure(struct hf_on_demand *d)
{
    struct hf_hook_cost before[3 * PROGRAMS_MAX], after[3 * PROGRAMS_MAX];
    const struct timespec while_ns = {0, MEASURE_NS};
    (void)hf_kernel_stats_on(d->k, true);
    size_t n = hf_on_demand_costs(d, before, HF_ARRAY_LEN(before));
    nanosleep(&while_ns, NULL);
    size_t m = hf_on_demand_costs(d, after, HF_ARRAY_LEN(after));
    (void)hf_kernel_stats_on(d->k, false);
    for (size_t i = 0; i < hf_capabilities_on_demand_n && i < ROWS_MAX; i++) {
        const struct hf_hook_cost *from = d->rungs[i] ? cost_of(before, n, d->rungs[i]->program) : NULL, *to = from ? cost_of(after, m, from->program) : NULL;
        d->measured[i] = to != NULL && d->attached[i];
        d->ns_per_s[i] = to ? (to->ns - from->ns) * (1000000000u / MEASURE_NS) : 0;
    }
    uint64_t with = call_ps();
    hf_on_demand_set(d, 0, 0);
    uint64_t without = call_ps();
    d->call_ns = with > without ? (with - without + 500) / 1000 : 0;
}

static void describe(struct hf_on_demand *d, size_t i, struct hf_feature *f)
{
    const struct hf_capability *c = &hf_capabilities_on_demand[i];
    const struct hf_rung *r = d->rungs[i] = choose(d, c, true);
    const char *anyway = served_anyway(d, c);
    *f = (struct hf_feature){.name = c->name, .title = c->title, .not_covered = c->without, .demand = c->demand, .attached = d->attached[i]};
    if (anyway) {
        f->hook = anyway;
        f->demand = 0;
        f->attached = true;
        f->not_covered = c->demand == HF_DEMAND_USERFAULTFD ? "with UFFD_USER_MODE_ONLY, which stops no fault of the kernel" : NULL;
        return;
    }
    if (r != &c->ladder[0]) {
        const struct hf_rung *best = &c->ladder[0];
        f->refused = hf_kernel_label(best, d->labels[i][0]);
        const char *no = refusal(d, best->program);
        snprintf(f->why, sizeof f->why, "%s", no ? no : no_hook(d, c, 0));
    }
    if (!r)
        return;
    f->hook = hf_kernel_label(r, d->labels[i][1]);
    f->costly = is_costly(r);
    f->measured = d->measured[i];
    f->ns_per_s = d->ns_per_s[i];
    f->call_ns = f->costly ? d->call_ns : 0;
    f->not_covered = r->not_covered;
}

size_t hf_on_demand_features(struct hf_on_demand *d, struct hf_feature *out, size_t max)
{
    size_t n = 0;
    for (; n < hf_capabilities_on_demand_n && n < ROWS_MAX && n < max; n++)
        describe(d, n, &out[n]);
    return n;
}

size_t hf_on_demand_costs(const struct hf_on_demand *d, struct hf_hook_cost *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(d->families); i++)
        for (size_t j = 0; j < d->families[i].n && n < max; j++) {
            const struct attached *a = &d->families[i].programs[j];
            struct bpf_prog_info info = {0};
            uint32_t len = sizeof info;
            if (bpf_obj_get_info_by_fd(bpf_program__fd(a->prog), &info, &len) == 0)
                out[n++] = (struct hf_hook_cost){a->name, hf_program_types(a->name), info.run_cnt, info.run_time_ns, info.verified_insns};
        }
    return n;
}

void hf_on_demand_each_fd(const struct hf_on_demand *d, void (*fn)(void *ctx, int fd), void *ctx)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(d->families); i++) {
        const struct family *f = &d->families[i];
        struct bpf_map *map;
        for (size_t j = 0; j < f->n; j++)
            fn(ctx, bpf_program__fd(f->programs[j].prog));
        if (f->obj)
            bpf_object__for_each_map(map, f->obj)
                if (bpf_map__name(map)[0] == '.' || hf_kernel_map_fd(d->k, bpf_map__name(map)) < 0)
                    fn(ctx, bpf_map__fd(map));
    }
}
