// SPDX-License-Identifier: Apache-2.0
/* Policies on containers. */
#include "protect/protect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "event/event.h"
#include "protect/protect-internal.h"
#include "sensor/frames.h"
#include "sensor/kernel.h"

#define PROOF_NS 300000000000ull
#define STATUS_NS 4000000000ull
#define HEALTH_NS 2000000000ull
#define EARLY_NS 60000000000ull

struct hf_prot_box *hf_protect_box(struct hf_protect *p, uint64_t cgroup_id)
{
    struct hf_guard_container *c = hf_guard_container(p->g, cgroup_id);
    return c ? c->module[p->index] : NULL;
}

void hf_protect_tell_error(struct hf_protect *p, const char *text)
{
    snprintf(p->error, sizeof p->error, "%s", text);
    hf_guard_tell_status(p->g, "error", hf_span_z(p->error));
    p->changed = true;
}

/* ---- containers ---- */

static size_t number_of(const struct hf_protect *p, const struct hf_prot_policy *policy)
{
    for (size_t i = 0; i < hf_prot_count(p->o.policies); i++)
        if (hf_prot_at(p->o.policies, i) == policy)
            return i;
    return 0;
}

/* The facts that policies ask for. */
static const struct hf_prot_policy *choose(struct hf_protect *p, const struct hf_guard_container *c)
{
    struct hf_span labels[512], rest = c->pairs, name, value;
    struct hf_prot_who who = {.image = c->image, .namespace = c->pod_namespace, .labels = {.v = labels}};
    while (hf_event_pair(&rest, &name, &value) && who.labels.n + 2 <= HF_ARRAY_LEN(labels))
        if (hf_span_starts(name, HF_S("label."))) {
            labels[who.labels.n++] = hf_span_from(name, 6);
            labels[who.labels.n++] = value;
        }
    return hf_prot_for(p->o.policies, &who);
}

static void container_start(void *ctx, struct hf_guard *g, struct hf_guard_container *c)
{
    struct hf_protect *p = ctx;
    struct hf_prot_box *b = c->module[p->index];
    (void)g;
    if (!b) {
        b = calloc(1, sizeof *b);
        if (!b) {
            hf_protect_tell_error(p, "no memory: a container has no policy");
            return;
        }
        b->c = c;
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        b->since_ns = hf_boot_ns();
        b->began_ns = (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
        b->next = p->boxes;
        p->boxes = b;
        c->module[p->index] = b;
    }
    const struct hf_prot_policy *policy = choose(p, c); /* more may be known now */
    if (policy != b->policy) {
        hf_protect_unapply(p, b);
        b->policy = policy;
        b->number = policy ? number_of(p, policy) : 0;
    }
    if (b->policy)
        hf_protect_apply(p, b);
}

static void container_root(void *ctx, struct hf_guard *g, struct hf_guard_container *c)
{
    container_start(ctx, g, c);
}

static void container_end(void *ctx, struct hf_guard *g, struct hf_guard_container *c)
{
    struct hf_protect *p = ctx;
    struct hf_prot_box *b = c->module[p->index], **at = &p->boxes;
    (void)g;
    if (!b)
        return;
    while (*at && *at != b)
        at = &(*at)->next;
    if (*at)
        *at = b->next;
    if (p->k)
        hf_guard_kernel_forget(p->k, c->cgroup_id);
    if (p->served)
        hf_served_forget(p->served, c->cgroup_id);
    hf_protect_mounts_gone(p, b);
    hf_health_end(&b->health);
    c->module[p->index] = NULL;
    free(b);
    p->changed = true;
}

static void sealed(void *ctx, struct hf_guard *g, struct hf_guard_container *c)
{
    struct hf_protect *p = ctx;
    (void)g;
    (void)c;
    p->now_ns = hf_boot_ns();
    if (p->perm && p->later) {
        hf_exec_perm_again(p->perm);
        hf_protect_count_later(p);
        hf_protect_mapped_later(p);
    }
}

/* ---- each second ---- */

static void prove(struct hf_protect *p)
{
    uint32_t clauses = 0;
    for (size_t i = 0; i < hf_prot_count(p->o.policies); i++)
        clauses |= hf_prot_at(p->o.policies, i)->clauses;
    hf_selftest(p->k, &p->hierarchy, clauses, &p->proof);
    p->proof_ns = hf_boot_ns();
    bool lost = !p->proof.exec || (hf_guard_kernel_net_rung(p->k) && (!p->proof.connect || !p->proof.listen));
    if (lost && !p->proof_lost) {
        char text[256];
        snprintf(text, sizeof text, "a rung of prevention is lost: %s", p->proof.why);
        hf_protect_tell_error(p, text);
    }
    p->proof_lost = lost;
    p->changed = true;
}

static void tell_not_run(struct hf_protect *p, const struct hf_prot_box *b)
{
    char text[256];
    snprintf(text, sizeof text, "policy \"%.60s\": its check is not run in container %.*s: %.110s", b->policy ? b->policy->name.p : "", (int)HF_MIN(b->c->name.n, (size_t)64), b->c->name.p ? b->c->name.p : "",
            b->health.not_run);
    hf_protect_tell_error(p, text);
}

/* A container that its own check finds sick ends enforcement, if the policy says so. */
static void look_after_health(struct hf_protect *p)
{
    struct hf_check_answer a;
    while (p->checks && hf_checks_answer(p->checks, &a)) {
        struct hf_prot_box *b = hf_protect_box(p, a.container);
        if (!b)
            continue;
        if (a.result == HF_CHECK_EARLY && p->now_ns - b->since_ns > EARLY_NS)
            a.result = HF_CHECK_NOT_RUN; /* it begins no more, or cannot be told from the runtime */
        bool could = !b->health.not_run[0];
        hf_health_told(&b->health, &a);
        if (could && b->health.not_run[0])
            tell_not_run(p, b);
    }
    for (struct hf_prot_box *b = p->boxes; b; b = b->next) {
        if (b->policy && b->enforced && b->policy->health.on && b->c->pid &&
                hf_health_look(&b->health, &b->policy->health, p->checks, b->c->cgroup_id, (uint32_t)b->number, b->c->pid, b->since_ns, p->now_ns)) {
            char why[128];
            snprintf(why, sizeof why, "the health check of its own fails: %.90s", b->health.why);
            hf_protect_disarm(p, b->number, why);
        }
        if (!b->policy || !b->enforced || !b->policy->disarm_unhealthy || p->now_ns - b->health_ns < HEALTH_NS)
            continue;
        b->health_ns = p->now_ns;
        if (hf_protect_unhealthy(b->c))
            hf_protect_disarm(p, b->number, "a container's health check fails");
    }
}

static bool enforces(void *ctx, struct hf_guard *g, const struct hf_guard_container *c)
{
    struct hf_protect *p = ctx;
    const struct hf_prot_box *b = c->module[p->index];
    (void)g;
    return b && b->enforced;
}

static uint64_t kernel_ns(void *ctx, struct hf_guard *g)
{
    struct hf_protect *p = ctx;
    (void)g;
    return p->k ? hf_guard_kernel_run_ns(p->k) : 0;
}

static void tick(void *ctx, struct hf_guard *g, uint64_t now_ns)
{
    struct hf_protect *p = ctx;
    (void)g;
    p->now_ns = now_ns;
    hf_protect_read_modes(p);
    hf_protect_apply_all(p);
    hf_protect_count_later(p);
    hf_protect_mapped_later(p);
    hf_guard_stopped_all(hf_guard_kernel_stopped_fd(p->k), true);
    hf_served_tick(p->served, now_ns);
    look_after_health(p);
    hf_protect_look_after_mounts(p);
    if (now_ns - p->proof_ns > PROOF_NS)
        prove(p);
    if (hf_exec_perm_gave_up(p->perm))
        hf_guard_kernel_libs(p->k, false);
    if (hf_exec_perm_gave_up(p->perm) && !p->error[0])
        hf_protect_tell_error(p, "programs are not judged before they start any more: judging took too long");
    if (p->changed || now_ns - p->status_ns > STATUS_NS)
        hf_protect_write_status(p);
}

static void on_perm(void *ctx, struct hf_guard *g, int fd)
{
    struct hf_protect *p = ctx;
    (void)g;
    (void)fd;
    p->now_ns = hf_boot_ns();
    hf_exec_perm_ready(p->perm);
}

static void on_script(void *ctx, struct hf_guard *g, int fd)
{
    struct hf_protect *p = ctx;
    (void)g;
    (void)fd;
    p->now_ns = hf_boot_ns();
    hf_script_perm_ready(p->scripts);
}

static void on_timer(void *ctx, struct hf_guard *g, int fd)
{
    struct hf_protect *p = ctx;
    (void)g;
    (void)fd;
    p->now_ns = hf_boot_ns();
    hf_exec_perm_again(p->perm);
}

static void on_told(void *ctx, struct hf_guard *g, int fd)
{
    struct hf_protect *p = ctx;
    (void)g;
    (void)fd;
    p->now_ns = hf_boot_ns();
    hf_protect_told(p);
}

static void event(void *ctx, struct hf_guard *g, struct hf_guard_container *c, const struct hf_event *ev)
{
    struct hf_protect *p = ctx;
    struct hf_prot_box *b = c->module[p->index];
    (void)g;
    p->now_ns = hf_boot_ns();
    if (b && b->policy && ev->type == HF_EV_FILE)
        hf_protect_wrote(p, b, ev);
}

/* ---- begin and end ---- */

static bool any_closed(const struct hf_protect *p)
{
    for (size_t i = 0; i < hf_prot_count(p->o.policies); i++)
        if (hf_prot_at(p->o.policies, i)->fail_closed)
            return true;
    return false;
}

static bool any_program(const struct hf_protect *p)
{
    for (size_t i = 0; i < hf_prot_count(p->o.policies); i++)
        if (hf_prot_at(p->o.policies, i)->health.exec.n)
            return true;
    return false;
}

/* What cannot be held here is said at once. */
static void say_missing(struct hf_protect *p)
{
    for (size_t i = 0; i < hf_prot_count(p->o.policies); i++)
        for (unsigned c = 1; c < HF_CLAUSES; c++) {
            const struct hf_prot_policy *policy = hf_prot_at(p->o.policies, i);
            char why[160], text[420];
            bool whole;
            unsigned rung = policy->clauses >> c & 1 ? hf_proof_rung(&p->proof, p->k, policy, c, &whole, why) : 0;
            if (!(policy->clauses >> c & 1) || whole)
                continue;
            snprintf(text, sizeof text, "policy \"%.100s\": %s stands on no rung here%s, and is neither refused nor counted there: %s", policy->name.p, hf_prot_clauses[c].name, rung ? " in part" : "", why);
            hf_guard_tell_status(p->g, "error", hf_span_z(text));
        }
}

/* What "holdfast protect" said once counts for every later start; who only reads the files of policies would not know. */
static void say_weaker(struct hf_protect *p)
{
    char text[420];
    if (p->modes.all_off)
        hf_guard_tell_status(p->g, "error", HF_S("all policies are off, and refuse nothing, by \"holdfast protect off\"; \"holdfast protect on\" ends that"));
    for (size_t i = 0; i < hf_prot_count(p->o.policies) && !p->modes.all_off; i++) {
        const struct hf_prot_policy *policy = hf_prot_at(p->o.policies, i);
        int mode = p->states[i].mode;
        if (mode != HF_OVERRIDE_OFF && mode >= (int)policy->mode)
            continue;
        snprintf(text, sizeof text, "policy \"%.100s\": its mode is %s, by \"holdfast protect mode\", and not %s, as its file says (\"holdfast protect mode %.100s file\" ends that)", policy->name.p,
                mode == HF_OVERRIDE_OFF ? "off" : hf_prot_modes[mode], hf_prot_modes[policy->mode], policy->name.p);
        hf_guard_tell_status(p->g, "error", hf_span_z(text));
    }
}

static void not_judged(void *ctx, uint64_t container, const char *what)
{
    struct hf_protect *p = ctx;
    const struct hf_prot_box *b = hf_protect_box(p, container);
    char text[256];
    snprintf(text, sizeof text, "container %.*s: %s", b ? (int)HF_MIN(b->c->name.n, (size_t)64) : 0, b && b->c->name.p ? b->c->name.p : "", what);
    hf_protect_tell_error(p, text);
}

static int start(void *ctx, struct hf_guard *g, unsigned index, struct hf_err *err)
{
    struct hf_protect *p = ctx;
    char dir[4200];
    p->g = g;
    p->index = index;
    char pins[HF_GUARD_PINS_PATH];
    snprintf(dir, sizeof dir, "%s/%s", p->o.state_dir, HF_PROTECT_DIR);
    int rc = hf_mkdirs(dir, 0700, err);
    hf_guard_pins(p->o.state_dir, pins);
    rc = rc < 0 ? rc : hf_hierarchy_find(&p->hierarchy, err);
    if (rc < 0)
        return rc;
    hf_autoclose int v2 = p->hierarchy.v2_mount[0] ? open(p->hierarchy.v2_mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    struct hf_guard_kernel_opts ko = {.hierarchy = p->hierarchy.id, .v1_subsys = p->hierarchy.unified ? -1 : hf_kernel_subsys(p->hierarchy.controller), .v2_root_fd = v2,
            .pin = any_closed(p) ? pins : NULL, .state = p->o.state_dir};
    hf_guard_kernel_unpin(pins);
    if (any_program(p))
        rc = hf_checks_new(&p->checks, p->o.policies, &p->hierarchy, err);
    rc = rc < 0 ? rc : hf_hold_new(&p->hold, p->o.state_dir, err);
    p->began_ns = hf_boot_ns();
    rc = rc < 0 ? rc : hf_guard_kernel_open(&p->k, &ko, err);
    struct hf_exec_perm_opts po = {.kernel = p->k, .container_of = hf_protect_container_of, .judge = hf_protect_judge, .closed = hf_protect_closed, .ctx = p};
    rc = rc < 0 ? rc : hf_exec_perm_new(&p->perm, &po, err);
    rc = rc < 0 ? rc : hf_script_perm_new(&p->scripts, &po, err);
    rc = rc < 0 ? rc : hf_served_new(&p->served, &po, g, not_judged, err);
    rc = rc < 0 ? rc : hf_guard_watch(g, hf_script_perm_fd(p->scripts), on_script, p, err);
    rc = rc < 0 ? rc : hf_guard_watch(g, hf_exec_perm_fd(p->perm), on_perm, p, err);
    rc = rc < 0 ? rc : hf_guard_watch(g, hf_exec_perm_timer(p->perm), on_timer, p, err);
    rc = rc < 0 ? rc : hf_guard_watch(g, hf_guard_kernel_fd(p->k), on_told, p, err);
    for (size_t i = 0; rc == 0 && i < hf_prot_count(p->o.policies); i++)
        rc = hf_protect_devices(p->k, (uint32_t)i, hf_prot_at(p->o.policies, i), err);
    for (size_t i = 0; rc == 0 && i < hf_prot_count(p->o.policies); i++)
        rc = hf_guard_kernel_nets(p->k, (uint32_t)i, hf_prot_at(p->o.policies, i), err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < hf_prot_count(p->o.policies); i++)
        p->states[i].mode = (int)hf_prot_at(p->o.policies, i)->mode;
    hf_protect_read_modes(p);
    hf_protect_keeper(p);
    hf_protect_counts_load(p);
    prove(p);
    say_missing(p);
    say_weaker(p);
    hf_protect_write_status(p);
    return 0;
}

static void end(void *ctx, struct hf_guard *g)
{
    struct hf_protect *p = ctx;
    (void)g;
    if (!p->k)
        return;
    hf_protect_counts_keep(p);
    hf_exec_perm_free(p->perm);
    p->perm = NULL;
    hf_script_perm_free(p->scripts);
    p->scripts = NULL;
    hf_served_free(p->served);
    p->served = NULL;
    for (struct hf_prot_box *b = p->boxes; b; b = b->next)
        if (b->policy && (!b->policy->fail_closed || *p->o.leaving))
            hf_protect_mounts(p, b, false);
    hf_checks_free(p->checks);
    p->checks = NULL;
    hf_closep(&p->keeper_fd);
    if (p->keeper > 0)
        (void)waitpid(p->keeper, NULL, 0);
    if (!any_closed(p) || *p->o.leaving)
        hf_guard_kernel_close(p->k); /* else the pins stay, and what is closed stays closed */
    p->k = NULL;
}

int hf_protect_add(struct hf_protect *p, struct hf_guard *g, struct hf_err *err)
{
    static const struct hf_guard_module module = {.name = "policies", .start = start, .container_start = container_start, .container_root = container_root, .container_end = container_end, .sealed = sealed,
            .event = event, .judged = hf_protect_judged, .enforces = enforces, .kernel_ns = kernel_ns, .tick = tick, .end = end};
    return hf_guard_add(g, &module, p, err);
}

int hf_protect_new(struct hf_protect **ret, const struct hf_protect_opts *o, struct hf_err *err)
{
    hf_cleanup(hf_protect_freep) struct hf_protect *p = calloc(1, sizeof *p);
    if (!p)
        return hf_fail(err, -ENOMEM, "no memory");
    p->o = *o;
    hf_arena_init(&p->texts, 4u << 20);
    p->states = calloc(hf_prot_count(o->policies) + 1, sizeof *p->states);
    p->denied = calloc(HF_PROT_DENIED, sizeof *p->denied);
    p->later = calloc(HF_PROT_LATER, sizeof *p->later);
    p->mapped = calloc(HF_PROT_MAPPED, sizeof *p->mapped);
    p->keeper = p->keeper_fd = -1;
    if (!p->mapped || !p->states || !p->denied || !p->later)
        return hf_fail(err, -ENOMEM, "no memory");
    for (size_t i = 0; i < HF_PROT_LATER; i++)
        p->later[i].fd = -1;
    *ret = hf_take(p);
    return 0;
}

void hf_protect_free(struct hf_protect *p)
{
    if (!p)
        return;
    hf_hold_free(p->hold);
    hf_map_done(&p->by_key);
    hf_arena_done(&p->texts);
    free(p->states);
    free(p->denied);
    for (size_t i = 0; p->later && i < HF_PROT_LATER; i++)
        hf_closep(&p->later[i].fd);
    free(p->later);
    for (size_t i = 0; p->mapped && i < HF_PROT_MAPPED; i++)
        if (p->mapped[i].used)
            hf_closep(&p->mapped[i].fd);
    free(p->mapped);
    hf_closep(&p->keeper_fd);
    free(p);
}
