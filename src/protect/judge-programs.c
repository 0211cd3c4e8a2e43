// SPDX-License-Identifier: Apache-2.0
/* Programs of protected containers, judged before they start (exec-perm.h, script-perm.h), and those who may start any. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "protect/protect-internal.h"
#include "protect/session.h"
#include "sensor/frames.h"

#define CGROUP_TEXT 65536u

/* The container that a process is in, by the groups above it, if its programs are enforced. */
uint64_t hf_protect_container_of(void *ctx, uint32_t pid)
{
    struct hf_protect *p = ctx;
    char path[1024];
    hf_autobuf text = HF_BUF_INIT(CGROUP_TEXT);
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_span where;
    struct stat st;
    snprintf(path, sizeof path, "/proc/%u/cgroup", pid);
    if (hf_read_file(path, &text, &ignored) < 0 || !hf_hierarchy_path(&p->hierarchy, hf_buf_span(&text), &where))
        return 0;
    for (unsigned i = 0; i < HF_GUARD_LEVELS && where.n > 1; i++) {
        snprintf(path, sizeof path, "%s%.*s", p->hierarchy.mount, HF_SPAN_ARG(where));
        struct hf_prot_box *b = stat(path, &st) == 0 ? hf_protect_box(p, st.st_ino) : NULL;
        if (b)
            return b->enforced && (b->policy->clauses & (HF_PROT_PROGRAMS | HF_PROT_FIRST)) ? b->c->cgroup_id : 0;
        where = hf_span_dirname(where);
    }
    return 0;
}

static bool is_loader(struct hf_span name)
{
    return hf_span_starts(name, HF_S("ld-linux")) || hf_span_starts(name, HF_S("ld-musl")) || hf_span_starts(name, HF_S("ld.so")) || hf_span_starts(name, HF_S("ld64.so"));
}

/* As the container names it: opened from the host it has the folder of the container's root in front. */
struct hf_span hf_protect_inside(const struct hf_prot_box *b, struct hf_span path)
{
    struct hf_span root = hf_guard_fact(b->c, "rootfs");
    if (hf_span_ends(path, HF_S(" (deleted)")))
        path = hf_span_sub(path, 0, path.n - 10);
    if (root.n > 1 && hf_span_starts(path, root) && path.n > root.n && path.p[root.n] == '/')
        path = hf_span_from(path, root.n);
    return path;
}

void hf_protect_remember(struct hf_protect *p, const struct hf_guard_key *key, struct hf_span path, const struct hf_judgement *j)
{
    struct denied *d = &p->denied[p->next_denied++ % HF_PROT_DENIED];
    d->key = *key;
    d->ctime_ns = j->ctime_ns;
    d->j = *j;
    snprintf(d->path, sizeof d->path, "%.*s", (int)HF_MIN(path.n, sizeof d->path - 1), path.p);
}

enum hf_prot_clause hf_protect_clause(const struct hf_prot_box *b, struct hf_span path, const struct hf_judgement *j, uint32_t *ret_bits)
{
    struct hf_prot_act a = {.kind = HF_ACT_EXEC, .path = path, .sealed_path = hf_span(j->sealed_path, j->sealed_path_n), .verdict = j->verdict, .written = j->ctime_ns >= b->began_ns,
            .sha256 = j->has_got ? j->got : NULL};
    struct hf_span names[2] = {hf_span_basename(path), hf_span_basename(a.sealed_path)};
    bool loader = (b->policy->clauses >> HF_CLAUSE_SEALED & 1) && (is_loader(names[0]) || is_loader(names[1]));
    *ret_bits = (hf_prot_multi_call(names[0]) || hf_prot_multi_call(names[1]) ? HF_GUARD_MANY : 0) | (loader ? HF_GUARD_LOADER : 0);
    return hf_prot_judge(b->policy, &a);
}

/* Whether the process belongs to a session that somebody whom the policy names opened: its first process in the container came from outside, and is
 * not the container's own.  It may start any program from then on. */
bool hf_protect_by_administrator(struct hf_protect *p, struct hf_prot_box *b, uint32_t pid)
{
    char path[64];
    hf_autobuf text = HF_BUF_INIT(8192);
    struct hf_err ignored = HF_ERR_INIT;
    uint32_t first = pid, parent;
    if (!b->policy->exec_by.n)
        return false;
    if (hf_guard_kernel_is_free(p->k, pid))
        return true;
    for (unsigned i = 0; i < 16 && (parent = hf_parent_of(first)) > 1 && hf_protect_container_of(p, parent) == b->c->cgroup_id; i++)
        first = parent;
    snprintf(path, sizeof path, "/proc/%u/status", first);
    if (hf_read_file(path, &text, &ignored) < 0)
        return false;
    for (struct hf_span rest = hf_buf_span(&text), line; hf_span_line(&rest, &line);)
        if (hf_span_starts(line, HF_S("NSpid:")) && hf_span_ends(line, HF_S("\t1")))
            return false; /* the container's first program, and what it started */
    if (!hf_session_by(&b->policy->exec_by, b->c))
        return false;
    hf_guard_kernel_free_process(p->k, pid);
    return true;
}

/* Start of a process in ns since boot, as the kernel's own records have it, cannot be read so exactly: 0, the latest of that number. */
static void header_of_pid(const struct hf_prot_box *b, uint32_t pid, struct hf_wire_hdr *h)
{
    char path[64];
    struct stat st;
    hf_autobuf comm = HF_BUF_INIT(64);
    struct hf_err ignored = HF_ERR_INIT;
    hf_record_header(h, HF_EV_VERDICT, b->c->cgroup_id);
    h->flags = HF_F_PID_ONLY;
    h->pid = h->tid = pid;
    h->login_uid = h->session_id = UINT32_MAX;
    snprintf(path, sizeof path, "/proc/%u", pid);
    if (stat(path, &st) == 0)
        h->uid = h->euid = st.st_uid;
    snprintf(path, sizeof path, "/proc/%u/comm", pid);
    if (hf_read_file(path, &comm, &ignored) == 0)
        snprintf(h->comm, sizeof h->comm, "%.*s", (int)hf_span_trim(hf_buf_span(&comm)).n, comm.p ? comm.p : "");
}

void hf_protect_judge(void *ctx, const struct hf_perm_file *f, struct hf_perm_judged *ret)
{
    struct hf_protect *p = ctx;
    struct hf_prot_box *b = hf_protect_box(p, f->container);
    struct hf_judgement j = {.verdict = HF_VERDICT_UNREADABLE};
    if (!b || !b->policy || !b->enforced) {
        ret->answer = HF_PERM_ALLOW;
        return;
    }
    hf_guard_seen(p->g, f->container, f->pid);
    if (!(b->policy->clauses & HF_PROT_PROGRAMS)) { /* it was asked for before its first program alone */
        ret->answer = HF_PERM_ALLOW;
        ret->keep = true;
        return;
    }
    struct hf_span path = hf_protect_inside(b, f->path);
    if (f->fd < 0)
        j.verdict = HF_VERDICT_VOLUME; /* by path and place */
    int rc = f->fd < 0 ? 0 : hf_judge_fd(p->g, f->container, f->fd, path, &j);
    if ((rc == -EAGAIN || rc == -EINPROGRESS || (rc == 0 && j.racy)) && !f->late) {
        ret->answer = HF_PERM_LATER;
        return;
    }
    j.inode = f->key.inode;
    j.dev = f->key.dev;
    j.ctime_ns = f->ctime_ns;
    enum hf_prot_clause clause = hf_protect_clause(b, path, &j, &ret->verdict_bits);
    ret->answer = clause ? HF_PERM_DENY : HF_PERM_ALLOW;
    ret->clause = clause;
    ret->keep = true;
    if (!clause && (b->policy->clauses & HF_PROT_STRICT) && !f->late && f->fd >= 0)
        hf_script_perm_mark(p->scripts, f->fd, f->pid, f->path);
    if (!clause)
        return;
    if (hf_protect_by_administrator(p, b, f->pid)) { /* this process, not everybody */
        ret->answer = HF_PERM_ALLOW;
        ret->keep = false;
    }
    if (ret->answer == HF_PERM_ALLOW)
        return;
    struct hf_wire_hdr h;
    header_of_pid(b, f->pid, &h);
    hf_protect_remember(p, &f->key, path, &j);
    hf_protect_happened(p, b, &h, path, &j, clause, true, HF_RUNG_FANOTIFY);
}

bool hf_protect_closed(void *ctx, uint64_t container)
{
    /* the watchdog's thread may ask: boxes are only touched by the loop, which is stuck then */
    struct hf_prot_box *b = hf_protect_box(ctx, container);
    return b && b->policy && b->enforced && b->policy->fail_closed;
}

static bool was_denied(const struct hf_protect *p, uint64_t container, const struct hf_judgement *j)
{
    for (size_t i = 0; i < HF_PROT_DENIED; i++) {
        const struct denied *d = &p->denied[i];
        if (d->ctime_ns == j->ctime_ns && d->key.inode == j->inode && d->key.container == container)
            return true;
    }
    return false;
}

/* What was refused has been told of: that it was seen to begin, before it was killed, is no second story.  A script that was put in the place of the
 * one that was judged, before its interpreter opened it, is killed as soon as that is known. */
bool hf_protect_judged(void *ctx, struct hf_guard *g, struct hf_guard_container *c, const struct hf_wire_hdr *h, unsigned use, uint32_t exec_flags, struct hf_span path, const struct hf_judgement *j)
{
    struct hf_protect *p = ctx;
    struct hf_prot_box *b = c->module[p->index];
    uint32_t bits;
    (void)g;
    if (!b || !b->policy || !b->enforced)
        return false;
    if (was_denied(p, c->cgroup_id, j))
        return true;
    if (use != HF_USE_EXEC || !(exec_flags & HF_X_SCRIPT) || !(b->policy->clauses & HF_PROT_STRICT))
        return false;
    enum hf_prot_clause clause = hf_protect_clause(b, path, j, &bits);
    if ((clause != HF_CLAUSE_SEALED && clause != HF_CLAUSE_WRITTEN) || !hf_session_started(h->pid, h->start_ns) || hf_protect_by_administrator(p, b, h->pid))
        return false;
    (void)kill((pid_t)h->pid, SIGKILL);
    hf_protect_happened(p, b, h, path, j, clause, true, HF_RUNG_SIGNAL);
    return true;
}
