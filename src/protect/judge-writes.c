// SPDX-License-Identifier: Apache-2.0
/* What may not be written, and what may not be mounted: the inodes that security hooks hold, else the mounts of a container (hold.h), and the files that it wrote, for counting. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "event/event.h"
#include "protect/protect-internal.h"

#define SETTLE_NS 10000000000ull /* so long after the start containers of an earlier guard may turn up */
#define UNDO_NS 3000000000ull

/* The folder of its own control group. */
static void find_group(struct hf_protect *p, struct hf_prot_box *b)
{
    char path[1024];
    hf_autobuf text = HF_BUF_INIT(65536);
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_span where;
    struct stat st;
    snprintf(path, sizeof path, "/proc/%u/cgroup", b->c->pid);
    if (hf_read_file(path, &text, &ignored) < 0 || !hf_hierarchy_path(&p->hierarchy, hf_buf_span(&text), &where))
        return;
    for (unsigned i = 0; i < HF_GUARD_LEVELS && where.n > 1; i++, where = hf_span_dirname(where)) {
        snprintf(path, sizeof path, "%s%.*s", p->hierarchy.mount, HF_SPAN_ARG(where));
        if (stat(path, &st) == 0 && st.st_ino == b->c->cgroup_id) {
            memcpy(b->held->group, path, sizeof path);
            return;
        }
    }
}

static bool undoes_mounts(const struct hf_protect *p, const struct hf_prot_policy *policy)
{
    return (policy->clauses >> HF_CLAUSE_KERNEL & 1) && !(policy->uses >> HF_USE_MOUNT & 1) && hf_guard_kernel_use_rung(p->k, HF_USE_MOUNT) == HF_GUARD_BY_SIGNAL;
}

static void tell_not_held(struct hf_protect *p, struct hf_prot_box *b, const char *why, bool part)
{
    char text[420];
    b->held->told = true;
    snprintf(b->why, sizeof b->why, "read_only: %.140s", why);
    snprintf(text, sizeof text, "container %.*s: read_only is not held%s: %.200s", (int)HF_MIN(b->c->name.n, (size_t)64), b->c->name.p ? b->c->name.p : "", part ? " in part" : "", why);
    hf_protect_tell_error(p, text);
}

/* Security hooks hold paths, also where they only count: what the policy names here, once. */
static void hold_by_hooks(struct hf_protect *p, struct hf_prot_box *b, bool enforce)
{
    struct hf_err err = HF_ERR_INIT;
    struct hf_ro *ro = &b->held->ro;
    int rc = 0;
    if (!b->files_held) {
        rc = hf_ro_look(ro, b->c->pid, &b->policy->allow[HF_CLAUSE_READ_ONLY], &err);
        for (size_t i = 0; rc == 0 && i < ro->n_files; i++) {
            struct hf_guard_key key = {.container = b->c->cgroup_id, .inode = ro->files[i].inode, .dev = ro->files[i].dev};
            rc = hf_guard_kernel_hold(p->k, &key, ro->files[i].what);
            if (rc < 0)
                rc = hf_fail(&err, rc, "more paths are held than there is room for");
        }
        if ((rc < 0 || ro->why[0]) && !b->held->told)
            tell_not_held(p, b, rc < 0 ? err.msg : ro->why, rc == 0);
        b->files_held = rc == 0;
    }
    if (!b->files_held || enforce == b->held->armed)
        return;
    b->held->armed = enforce;
    if (enforce && hf_protect_open_before(p, b, b->held->group) && hf_guard_kernel_open_before(p->k, &err) < 0)
        tell_not_held(p, b, err.msg, true);
    p->changed = true;
}

/* Mounts do, where they are enforced. */
static void hold_by_mounts(struct hf_protect *p, struct hf_prot_box *b, bool enforce)
{
    struct hf_err err = HF_ERR_INIT;
    if (enforce == b->held->armed)
        return;
    int rc = hf_hold_paths(p->hold, b->held, b->c->pid, &b->policy->allow[HF_CLAUSE_READ_ONLY], enforce, &err);
    const char *why = rc < 0 ? err.msg : b->held->ro.why;
    if (why[0] && (!b->held->told || !enforce))
        tell_not_held(p, b, why, rc == 0);
    if (enforce && rc == 0)
        (void)hf_protect_open_before(p, b, b->held->group);
    p->changed = true;
}

void hf_protect_mounts(struct hf_protect *p, struct hf_prot_box *b, bool enforce)
{
    bool paths = b->policy && (b->policy->clauses >> HF_CLAUSE_READ_ONLY & 1), undo = b->policy && undoes_mounts(p, b->policy);
    bool hooks = paths && b->applied && p->k && hf_guard_kernel_file_rung(p->k), wanted = enforce || hooks;
    if ((!paths && !undo) || (!b->held && !wanted) || !p->hold)
        return;
    if (wanted && (!b->c->pid || b->c->root_fd < 0)) /* not yet */
        return;
    if (!b->held) {
        b->held = calloc(1, sizeof *b->held);
        if (!b->held)
            return;
        find_group(p, b);
    }
    if (hooks)
        hold_by_hooks(p, b, enforce);
    else if (paths)
        hold_by_mounts(p, b, enforce);
    if (undo && enforce)
        hf_hold_mounts(b->held, b->c->pid);
}

void hf_protect_mounts_gone(struct hf_protect *p, struct hf_prot_box *b)
{
    if (b->held && p->hold)
        hf_hold_gone(p->hold, b->held);
    free(b->held);
    b->held = NULL;
}

/* The call that was killed may have come to its end: what it mounted goes. */
void hf_protect_mounted(struct hf_protect *p, struct hf_prot_box *b)
{
    if (!b->held)
        return;
    b->held->mounted = true;
    b->held->mounted_ns = p->now_ns;
    (void)hf_hold_undo(b->held);
}

void hf_protect_look_after_mounts(struct hf_protect *p)
{
    static struct hf_ro_ids now;
    for (struct hf_prot_box *b = p->boxes; b; b = b->next) {
        if (!b->policy || !b->held || !b->enforced)
            continue;
        if ((b->policy->clauses >> HF_CLAUSE_READ_ONLY & 1) && !b->files_held && hf_hold_look(p->hold, b->held, &b->policy->allow[HF_CLAUSE_READ_ONLY]) == 1) {
            char text[256];
            snprintf(text, sizeof text, "container %.*s: what read_only held was unmounted or made writable inside; it is held again", (int)HF_MIN(b->c->name.n, (size_t)64), b->c->name.p ? b->c->name.p : "");
            hf_protect_tell_error(p, text);
        }
        if (!undoes_mounts(p, b->policy))
            continue;
        if (b->held->mounted) {
            (void)hf_hold_undo(b->held);
            b->held->mounted = p->now_ns - b->held->mounted_ns < UNDO_NS;
            continue;
        }
        if (hf_ro_ids(&now, b->held->pid) == 0) { /* what the host brought in meanwhile is fine: whoever mounts inside is told of before his mount is there */
            hf_protect_told(p);
            if (!b->held->mounted && (!b->held->has_ids || now.mnt_ns == b->held->ids.mnt_ns)) {
                b->held->ids = now;
                b->held->has_ids = true;
            }
        }
    }
    if (!p->settled && p->now_ns - p->began_ns > SETTLE_NS) {
        hf_hold_settle(p->hold);
        p->settled = true;
    }
}

static bool is_write(uint32_t op)
{
    return op != HF_FILE_OPEN && op != HF_FILE_MMAP_EXEC && op != HF_FILE_CONNECT && op != HF_FILE_IOCTL;
}

/* For counting: where it is enforced it did not come to pass, or the kernel half told of it. */
void hf_protect_wrote(struct hf_protect *p, struct hf_prot_box *b, const struct hf_event *ev)
{
    struct hf_judgement j = {.inode = ev->u.file.inode, .dev = ev->u.file.dev, .mode = ev->u.file.mode};
    struct hf_prot_act a = {.kind = HF_ACT_WRITE, .path = ev->path};
    if (b->enforced || !b->applied || b->files_held || !is_write(ev->u.file.op))
        return;
    enum hf_prot_clause clause = hf_prot_judge(b->policy, &a);
    if (clause == HF_CLAUSE_NONE && ev->path2.n && ev->path2.p[0] == '/') {
        a.path = ev->path2;
        clause = hf_prot_judge(b->policy, &a);
    }
    if (clause == HF_CLAUSE_READ_ONLY)
        hf_protect_happened(p, b, ev->h, a.path, &j, clause, false, HF_RUNG_MOUNT);
}
