// SPDX-License-Identifier: Apache-2.0
/* Libraries: what was mapped for execution is judged while its process is stopped, or, where it is only counted, afterwards. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "event/event.h"
#include "protect/libraries.h"
#include "protect/protect-internal.h"

#define NOT_STOPPED_TRIES 10u /* of a tenth of a millisecond: the call is on its way out */
#define ARGS 4096u /* of a program's arguments, for the first two; a longer name is taken for any, as by the kernel half */
#define STRICT (1u << HF_CLAUSE_SEALED | 1u << HF_CLAUSE_WRITTEN)

static void go(struct hf_protect *p, const struct hf_guard_told *t, bool may)
{
    hf_guard_stopped_go(hf_guard_kernel_stopped_fd(p->k), t->pid, may);
}

/* Shells and package managers are no matter of libraries. */
static enum hf_prot_clause clause_of(const struct hf_prot_box *b, struct hf_span path, const struct hf_judgement *j, bool *ret_keep, uint32_t *ret_bits)
{
    enum hf_prot_clause clause = hf_protect_clause(b, path, j, ret_bits);
    *ret_keep = true;
    if (clause == HF_CLAUSE_NONE || clause == HF_CLAUSE_SEALED || clause == HF_CLAUSE_WRITTEN)
        return clause;
    struct hf_prot_policy strict = *b->policy;
    struct hf_prot_box as = {.c = b->c, .policy = &strict, .began_ns = b->began_ns};
    uint32_t ignored;
    strict.clauses &= STRICT;
    *ret_keep = false; /* run as a program it is refused */
    return hf_protect_clause(&as, path, j, &ignored);
}

/* Of the container's first program: also by the name it was called by, as the kernel half asks of others, which says nothing of the file (*ret_keep). */
static enum hf_prot_clause clause_of_first(const struct hf_prot_box *b, const struct hf_guard_told *t, struct hf_span path, const struct hf_judgement *j, bool *ret_keep, uint32_t *ret_bits)
{
    enum hf_prot_clause clause = hf_protect_clause(b, path, j, ret_bits);
    char name[64], args[ARGS];
    *ret_keep = true;
    if (clause || !(*ret_bits & HF_GUARD_MANY))
        return clause;
    *ret_keep = false;
    snprintf(name, sizeof name, "/proc/%u/cmdline", t->pid);
    hf_autoclose int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, args, sizeof args);
    struct hf_span rest = hf_span(args, n > 0 ? (size_t)n : 0), word;
    for (unsigned i = 0; i < 2; i++) {
        if (n == (ssize_t)sizeof args && hf_span_find(rest, '\0') == SIZE_MAX)
            return b->policy->clauses >> HF_CLAUSE_SHELLS & 1 ? HF_CLAUSE_SHELLS : b->policy->clauses >> HF_CLAUSE_PACKAGES & 1 ? HF_CLAUSE_PACKAGES : HF_CLAUSE_NONE;
        if (!hf_span_cut(&rest, '\0', &word))
            break;
        struct hf_span called = hf_span_basename(hf_span_starts(word, HF_S("-")) ? hf_span_from(word, 1) : word);
        clause = hf_prot_program_class(called);
        if (clause && b->policy->clauses >> clause & 1)
            return clause;
        if (!hf_prot_multi_call(called))
            break;
    }
    *ret_keep = true;
    return HF_CLAUSE_NONE;
}

static void settle(struct hf_protect *p, struct hf_prot_box *b, const struct hf_guard_told *t, struct hf_span path, struct hf_judgement *j)
{
    struct hf_guard_key key = {.container = t->container, .inode = t->inode, .dev = t->dev};
    struct hf_wire_hdr h;
    uint32_t bits = 0;
    bool keep, first = t->use == HF_GUARD_STARTED;
    if (t->why == HF_GUARD_WHY_MEMORY)
        j->verdict = HF_VERDICT_MEMORY;
    enum hf_prot_clause clause = first ? clause_of_first(b, t, path, j, &keep, &bits) : clause_of(b, path, j, &keep, &bits);
    struct hf_guard_verdict v = {.ctime_ns = t->ctime_ns, .verdict = (clause ? HF_GUARD_DENY : HF_GUARD_ALLOW) | bits, .clause = clause};
    if (keep && !j->racy && j->ctime_ns == t->ctime_ns && hf_guard_kernel_verdict(p->k, &key, &v) == -E2BIG)
        hf_guard_kernel_flush_verdicts(p->k);
    if (clause && hf_protect_by_administrator(p, b, t->pid))
        clause = HF_CLAUSE_NONE;
    go(p, t, !clause || !b->enforced);
    if (!clause)
        return;
    hf_protect_header(b, t, &h);
    j->inode = t->inode;
    j->dev = t->dev;
    j->ctime_ns = t->ctime_ns;
    hf_protect_remember(p, &key, path, j);
    hf_protect_happened_as(p, b, &h, path, j, clause, b->enforced, HF_RUNG_SIGNAL, first ? HF_USE_EXEC : HF_USE_MMAP);
}

/* false: it has to wait. */
static bool look(struct hf_protect *p, struct hf_prot_box *b, struct hf_mapped *m)
{
    struct hf_judgement j = {.verdict = HF_VERDICT_UNREADABLE};
    bool late = p->now_ns - m->since_ns > HF_PERM_DEADLINE_NS, served = m->fd < 0 && hf_guard_served(p->g, b->c, m->t.pid, m->t.dev);
    int rc = m->fd < 0 ? -EAGAIN : 0;
    for (unsigned i = 0; rc == -EAGAIN && i < NOT_STOPPED_TRIES; i++) {
        if (i)
            (void)usleep(100);
        rc = served ? hf_library_path(&m->t, b->enforced, m->path, sizeof m->path) : hf_library_open(&m->t, b->enforced, m->path, sizeof m->path);
    }
    if (rc == -EAGAIN && !late)
        return false;
    if (rc < 0) { /* the call failed, or it is gone: nothing was mapped that could run.  A program that is not where it started is none to let go */
        p->counts_left += !b->enforced;
        go(p, &m->t, m->t.use != HF_GUARD_STARTED);
        return true;
    }
    struct hf_span path = hf_protect_inside(b, hf_span_z(m->path));
    if (served) { /* not opened: by path and place */
        j.verdict = HF_VERDICT_VOLUME;
        j.ctime_ns = m->t.ctime_ns;
        settle(p, b, &m->t, path, &j);
        return true;
    }
    m->fd = m->fd < 0 ? rc : m->fd;
    rc = hf_judge_fd(p->g, b->c->cgroup_id, m->fd, path, &j);
    if ((rc == -EAGAIN || rc == -EINPROGRESS) && !late)
        return false;
    if (!b->enforced && rc < 0)
        p->counts_left++;
    if (b->enforced || rc == 0)
        settle(p, b, &m->t, path, &j);
    return true;
}

void hf_protect_mapped(struct hf_protect *p, struct hf_prot_box *b, const struct hf_guard_told *t)
{
    struct hf_wire_hdr h;
    if (t->rung) { /* refused at once: its verdict was there, or nobody could look */
        struct hf_judgement j = {.verdict = t->why == HF_GUARD_WHY_MEMORY ? HF_VERDICT_MEMORY : HF_VERDICT_UNREADABLE, .inode = t->inode, .dev = t->dev, .ctime_ns = t->ctime_ns, .mode = t->mode};
        struct hf_span path = HF_S("");
        for (size_t i = 0; i < HF_PROT_DENIED; i++) {
            const struct denied *d = &p->denied[i];
            if (d->ctime_ns == t->ctime_ns && d->key.inode == t->inode && d->key.container == t->container && d->key.dev == t->dev) {
                j = d->j;
                path = hf_span_z(d->path);
            }
        }
        hf_protect_header(b, t, &h);
        hf_protect_happened_as(p, b, &h, path, &j, t->clause && t->clause < HF_CLAUSES ? (enum hf_prot_clause)t->clause : b->policy->clauses >> HF_CLAUSE_SEALED & 1 ? HF_CLAUSE_SEALED : HF_CLAUSE_WRITTEN,
                b->enforced, t->rung, HF_USE_MMAP);
        return;
    }
    struct hf_mapped m = {.used = true, .fd = -1, .since_ns = p->now_ns, .t = *t};
    if (look(p, b, &m)) {
        if (m.fd >= 0)
            close(m.fd);
        return;
    }
    for (size_t i = 0; i < HF_PROT_MAPPED; i++)
        if (!p->mapped[i].used) {
            p->mapped[i] = m;
            return;
        }
    if (m.fd >= 0)
        close(m.fd);
    go(p, t, !b->policy->fail_closed || !b->enforced); /* too many wait */
    p->counts_left++;
}

void hf_protect_mapped_later(struct hf_protect *p)
{
    for (size_t i = 0; i < HF_PROT_MAPPED; i++) {
        struct hf_mapped *m = &p->mapped[i];
        struct hf_prot_box *b = m->used ? hf_protect_box(p, m->t.container) : NULL;
        if (!m->used)
            continue;
        if (!b || !b->policy)
            go(p, &m->t, true); /* its policy is gone */
        else if (!look(p, b, m))
            continue;
        m->used = false;
        hf_closep(&m->fd);
    }
}

void hf_protect_keeper(struct hf_protect *p)
{
    bool any = false;
    for (size_t i = 0; i < hf_prot_count(p->o.policies); i++)
        any = any || (hf_prot_at(p->o.policies, i)->clauses & STRICT);
    if (any && hf_guard_kernel_lib_rung(p->k))
        p->keeper = hf_library_keeper(hf_guard_kernel_stopped_fd(p->k), &p->keeper_fd);
    hf_guard_kernel_libs(p->k, p->keeper > 0); /* without a keeper nobody is stopped */
}
