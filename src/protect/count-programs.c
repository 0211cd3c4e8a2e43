// SPDX-License-Identifier: Apache-2.0
/* Programs that were let go without a verdict, where a policy only counts: judged after they started. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "protect/protect-internal.h"

/* Takes the descriptor over: judged, or kept until that can be done.  -1: a file that may not be opened, by path and place. */
static void count_file(struct hf_protect *p, struct hf_prot_box *b, const struct hf_guard_told *t, struct hf_span name, int own_fd, uint64_t since_ns)
{
    hf_autoclose int fd = own_fd;
    struct hf_judgement j = {.verdict = fd < 0 ? HF_VERDICT_VOLUME : HF_VERDICT_UNREADABLE, .ctime_ns = t->ctime_ns};
    uint32_t bits;
    int rc = fd < 0 ? 0 : hf_judge_fd(p->g, b->c->cgroup_id, fd, name, &j);
    for (size_t i = 0; (rc == -EAGAIN || rc == -EINPROGRESS) && i < HF_PROT_LATER && p->now_ns - since_ns < HF_PERM_DEADLINE_NS; i++) {
        struct later *l = &p->later[i];
        if (l->fd >= 0)
            continue;
        *l = (struct later){.fd = fd, .since_ns = since_ns, .t = *t};
        snprintf(l->path, sizeof l->path, "%.*s", HF_SPAN_ARG(name));
        fd = -1;
        return;
    }
    if (rc < 0)
        p->counts_left++;
    if (rc < 0)
        return;
    enum hf_prot_clause clause = hf_protect_clause(b, name, &j, &bits);
    struct hf_guard_key key = {.container = t->container, .inode = t->inode, .dev = t->dev};
    struct hf_guard_verdict v = {.ctime_ns = t->ctime_ns, .verdict = (clause ? HF_GUARD_DENY : HF_GUARD_ALLOW) | bits, .clause = clause};
    if (!j.racy && hf_guard_kernel_verdict(p->k, &key, &v) == -E2BIG)
        hf_guard_kernel_flush_verdicts(p->k);
    if (!clause || hf_protect_by_administrator(p, b, t->pid))
        return;
    struct hf_wire_hdr h;
    hf_protect_header(b, t, &h);
    j.inode = t->inode;
    j.dev = t->dev;
    j.ctime_ns = t->ctime_ns;
    hf_protect_remember(p, &key, name, &j);
    hf_protect_happened(p, b, &h, name, &j, clause, false, hf_guard_kernel_exec_rung(p->k));
}

static bool is_told(int fd, const struct hf_guard_told *t)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_ctim.tv_sec * 1000000000ull + (uint64_t)st.st_ctim.tv_nsec == t->ctime_ns;
}

/* A program that was let go without a verdict, to be counted: what is it? */
void hf_protect_count_program(struct hf_protect *p, struct hf_prot_box *b, const struct hf_guard_told *t)
{
    char path[64], link[HF_JUDGE_TEXT];
    hf_guard_seen(p->g, b->c->cgroup_id, t->pid);
    bool served = hf_guard_served(p->g, b->c, t->pid, t->dev); /* it may never answer */
    snprintf(path, sizeof path, "/proc/%u/exe", t->pid);
    int fd = served ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 && !served ? -1 : readlink(path, link, sizeof link);
    struct hf_span name = hf_span(link, n > 0 ? (size_t)n : 0);
    if (served && (n > 0 || (t->path_len && t->path[0] == '/'))) {
        count_file(p, b, t, n > 0 ? hf_protect_inside(b, name) : hf_span(t->path, t->path_len), -1, p->now_ns);
        return;
    }
    if (fd >= 0 && !is_told(fd, t)) /* it already runs another */
        hf_closep(&fd);
    if (fd < 0 && !served && b->c->root_fd >= 0 && t->path_len && t->path[0] == '/') { /* it is over already */
        name = hf_span(t->path, t->path_len);
        fd = hf_open_in_root(b->c->root_fd, name, O_RDONLY, NULL);
        if (fd >= 0 && !is_told(fd, t))
            hf_closep(&fd);
    }
    if (fd >= 0)
        count_file(p, b, t, hf_protect_inside(b, name), fd, p->now_ns);
    else
        p->counts_left++; /* gone before anyone could look */
}

/* What waited may be known now. */
void hf_protect_count_later(struct hf_protect *p)
{
    for (size_t i = 0; i < HF_PROT_LATER; i++) {
        struct later l = p->later[i];
        if (l.fd < 0)
            continue;
        p->later[i].fd = -1;
        struct hf_prot_box *b = hf_protect_box(p, l.t.container);
        if (b && b->policy)
            count_file(p, b, &l.t, hf_span_z(l.path), l.fd, l.since_ns);
        else
            close(l.fd);
    }
}
