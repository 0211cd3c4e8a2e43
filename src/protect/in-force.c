// SPDX-License-Identifier: Apache-2.0
/* Which policy is in force in a container, and how: modes, canaries, windows, disarming. */
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "protect/protect-internal.h"

static bool wants(struct hf_protect *p, const struct hf_prot_box *b, int64_t now_s)
{
    const struct hf_prot_state *s = &p->states[b->number];
    if (s->disarmed || hf_prot_maintenance(b->policy, now_s))
        return false;
    if (s->mode == HF_MODE_ENFORCE)
        return true;
    if (s->mode != HF_MODE_CANARY)
        return false;
    for (const struct hf_prot_box *o = p->boxes; o; o = o->next) /* the one that was there first */
        if (o != b && o->policy == b->policy && hf_span_eq(o->c->image, b->c->image) && (o->since_ns < b->since_ns || (o->since_ns == b->since_ns && o->c->cgroup_id < b->c->cgroup_id)))
            return false;
    return true;
}

/* Marks on what its programs lie on; false: programs could start unseen, which the kernel half then refuses. */
static void set_marks(struct hf_protect *p, struct hf_prot_box *b)
{
    char root[4096];
    struct hf_span rootfs = hf_guard_fact(b->c, "rootfs");
    if (b->rooted)
        return;
    if (rootfs.n && rootfs.n < sizeof root && !b->marks) {
        snprintf(root, sizeof root, "%.*s", HF_SPAN_ARG(rootfs));
        b->marks += hf_exec_perm_mark_overlay(p->perm, root, b->c->cgroup_id) == 1;
    }
    if (b->c->pid && b->c->root_fd >= 0) {
        int n = hf_exec_perm_mark_mounts(p->perm, b->c->pid, b->c->cgroup_id);
        b->rooted = n > 0;
        b->marks = n > 0 ? (unsigned)n : b->marks;
        hf_served_container(p->served, b->c->cgroup_id, b->c->pid);
    }
}

/* How deep the user namespace of a process lies. */
static uint32_t userns_level(uint32_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/ns/user", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return HF_GUARD_LEVEL_UNKNOWN;
    for (uint32_t level = 0; level < 33; level++) {
        int up = ioctl(fd, NS_GET_PARENT); /* of the first there is none */
        close(fd);
        if (up < 0)
            return level;
        fd = up;
    }
    close(fd);
    return HF_GUARD_LEVEL_UNKNOWN;
}

void hf_protect_unapply(struct hf_protect *p, struct hf_prot_box *b)
{
    hf_protect_mounts(p, b, false);
    if (p->k)
        hf_guard_kernel_forget(p->k, b->c->cgroup_id);
    b->enforced = b->applied = b->files_held = false;
}

void hf_protect_apply(struct hf_protect *p, struct hf_prot_box *b)
{
    struct timespec now;
    struct hf_err err = HF_ERR_INIT;
    clock_gettime(CLOCK_REALTIME, &now);
    bool off = p->states[b->number].mode == HF_OVERRIDE_OFF, enforce = !off && wants(p, b, now.tv_sec);
    uint32_t clauses = b->policy->clauses;
    struct hf_guard_rule r = {.container = b->c->cgroup_id, .policy = (uint32_t)b->number};
    if (b->applied && enforce == b->enforced && !off && b->root_dev == b->c->root_dev) {
        if (enforce)
            set_marks(p, b);
        hf_protect_mounts(p, b, enforce);
        return;
    }
    if (off) {
        if (b->applied)
            hf_protect_unapply(p, b);
        return;
    }
    r.flags = (clauses & HF_PROT_PROGRAMS ? HF_GUARD_EXEC : 0) | (clauses & HF_PROT_STRICT ? HF_GUARD_STRICT | HF_GUARD_LIBS : 0) | (clauses >> HF_CLAUSE_SHELLS & 1 ? HF_GUARD_SHELLS : 0) | (clauses >> HF_CLAUSE_PACKAGES & 1 ? HF_GUARD_PACKAGES : 0) |
            (clauses >> HF_CLAUSE_DESTINATIONS & 1 ? HF_GUARD_DEST : 0) | (clauses >> HF_CLAUSE_LISTEN & 1 ? HF_GUARD_LISTEN : 0) | (b->policy->fail_closed ? HF_GUARD_CLOSED : 0) |
            (clauses >> HF_CLAUSE_DEVICES & 1 ? HF_GUARD_DEVICES : 0) | (clauses >> HF_CLAUSE_KERNEL & 1 ? (~b->policy->uses & ((1u << HF_USES) - 1)) << HF_GUARD_USE_SHIFT : 0) |
            (clauses >> HF_CLAUSE_READ_ONLY & 1 && hf_guard_kernel_file_rung(p->k) ? HF_GUARD_FILES : 0) | (enforce ? 0 : HF_GUARD_COUNT);
    r.begun = b->c->pid != 0; /* else the kernel half sees when */
    r.level = b->c->pid ? userns_level(b->c->pid) : HF_GUARD_LEVEL_UNKNOWN;
    r.root_dev = b->c->root_dev;
    bool was = b->enforced;
    b->enforced = enforce;
    if (enforce && (clauses & (HF_PROT_PROGRAMS | HF_PROT_FIRST)))
        set_marks(p, b);
    b->why[0] = 0;
    if (hf_guard_kernel_rule(p->k, &r, &err) < 0) {
        snprintf(b->why, sizeof b->why, "%.120s", err.msg);
        b->enforced = false;
        hf_protect_tell_error(p, err.msg);
        return;
    }
    if (enforce && !was && b->applied) /* what was counted as allowed has no ignore marks, what was denied is judged anew */
        hf_exec_perm_flush(p->perm);
    b->applied = true;
    b->root_dev = b->c->root_dev;
    p->changed = true;
    hf_protect_mounts(p, b, enforce);
}

void hf_protect_apply_all(struct hf_protect *p)
{
    for (struct hf_prot_box *b = p->boxes; b; b = b->next)
        if (b->policy)
            hf_protect_apply(p, b);
}

void hf_protect_disarm(struct hf_protect *p, size_t number, const char *why)
{
    struct hf_prot_state *s = &p->states[number];
    const struct hf_prot_policy *policy = hf_prot_at(p->o.policies, number);
    char text[256];
    if (s->disarmed)
        return;
    s->disarmed = true;
    snprintf(s->why, sizeof s->why, "%s", why);
    snprintf(text, sizeof text, "policy \"%.100s\" is disarmed and only counts: %s", policy->name.p, why);
    hf_protect_tell_error(p, text);
    hf_protect_apply_all(p);
}

void hf_protect_read_modes(struct hf_protect *p)
{
    char path[4200];
    struct stat st;
    hf_autobuf text = HF_BUF_INIT(65537);
    struct hf_err err = HF_ERR_INIT;
    snprintf(path, sizeof path, "%s/%s/modes", p->o.state_dir, HF_PROTECT_DIR);
    int64_t mtime = stat(path, &st) == 0 ? (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec : 0;
    if (mtime == p->modes_mtime_ns)
        return;
    p->modes_mtime_ns = mtime;
    struct hf_protect_modes m = {.n = 0};
    if (mtime && (hf_read_file(path, &text, &err) < 0 || hf_protect_modes_parse(hf_buf_span(&text), &m, &err) < 0)) {
        hf_protect_tell_error(p, err.msg); /* what was in force stays */
        return;
    }
    p->modes = m;
    for (size_t i = 0; i < hf_prot_count(p->o.policies); i++) {
        const struct hf_prot_policy *policy = hf_prot_at(p->o.policies, i);
        int over = hf_protect_modes_of(&m, policy->name);
        p->states[i].mode = over == HF_OVERRIDE_NONE ? (int)policy->mode : over;
        p->states[i].disarmed = false;
        p->states[i].in_minute = 0;
    }
    p->changed = true;
}
