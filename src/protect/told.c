// SPDX-License-Identifier: Apache-2.0
/* What the kernel half tells, and what becomes of a refusal: counted, told, and too many of them disarm. */
#include <arpa/inet.h>
#include <stdio.h>

#include "base/fs.h"
#include "protect/protect-internal.h"
#include "sensor/frames.h"

#define MINUTE_NS 60000000000ull

void hf_protect_happened(struct hf_protect *p, struct hf_prot_box *b, const struct hf_wire_hdr *h, struct hf_span path, const struct hf_judgement *j, enum hf_prot_clause clause, bool refused,
        unsigned rung)
{
    hf_protect_happened_as(p, b, h, path, j, clause, refused, rung, clause >= HF_CLAUSE_DESTINATIONS ? 3 : HF_USE_EXEC);
}

/* One refusal, or what would have been one: counted, told, and, if there are too many, the last. */
void hf_protect_happened_as(struct hf_protect *p, struct hf_prot_box *b, const struct hf_wire_hdr *h, struct hf_span path, const struct hf_judgement *j, enum hf_prot_clause clause, bool refused,
        unsigned rung, unsigned use)
{
    struct hf_prot_state *s = &p->states[b->number];
    const char *name = hf_prot_clauses[clause].name;
    hf_autobuf by = HF_BUF_INIT(64);
    hf_buf_addf(&by, "uid %u, %.15s", h->uid, h->comm);
    hf_protect_count(p, b->policy, name, b->c->image, path, hf_buf_span(&by));
    hf_guard_tell_verdict(p->g, b->c, h, path, j, use, !refused ? HF_ACTION_WOULD : rung == HF_RUNG_SIGNAL ? HF_ACTION_KILLED : HF_ACTION_DENIED, rung,
            b->policy->name, hf_span_z(name));
    p->changed = true;
    if (!refused) {
        b->would++;
        s->would++;
        return;
    }
    b->refused++;
    s->refused++;
    if (p->now_ns - s->minute_ns > MINUTE_NS) {
        s->minute_ns = p->now_ns;
        s->in_minute = 0;
    }
    if (++s->in_minute > b->policy->disarm_blocks && b->policy->disarm_blocks)
        hf_protect_disarm(p, b->number, "more refusals in a minute than it allows");
}

void hf_protect_header(const struct hf_prot_box *b, const struct hf_guard_told *t, struct hf_wire_hdr *h)
{
    hf_record_header(h, HF_EV_VERDICT, b->c->cgroup_id);
    h->flags = HF_F_PID_ONLY; /* the tracker knows the rest of it */
    h->pid = t->pid;
    h->tid = t->tid;
    h->ppid = t->ppid;
    h->start_ns = t->start_ns;
    h->uid = h->euid = t->uid;
    h->login_uid = h->session_id = UINT32_MAX;
    memcpy(h->comm, t->comm, sizeof h->comm);
}

static void told_net(struct hf_protect *p, struct hf_prot_box *b, const struct hf_guard_told *t)
{
    static const uint8_t mapped[12] = {[10] = 0xff, 0xff};
    bool four = !memcmp(t->addr, mapped, 12), listen = t->why == HF_GUARD_WHY_LISTEN;
    char text[INET6_ADDRSTRLEN] = "", what[96];
    struct hf_judgement j = {.verdict = HF_VERDICT_SEALED};
    struct hf_wire_hdr h;
    hf_protect_header(b, t, &h);
    j.verdict = 0;
    inet_ntop(four ? AF_INET : AF_INET6, four ? t->addr + 12 : t->addr, text, sizeof text);
    snprintf(what, sizeof what, "%s%s%u/%s", listen ? "" : text, listen ? "" : " ", t->port, t->protocol == 6 ? "tcp" : t->protocol == 17 ? "udp" : "other");
    hf_protect_happened(p, b, &h, hf_span_z(what), &j, listen ? HF_CLAUSE_LISTEN : HF_CLAUSE_DESTINATIONS, b->enforced, HF_RUNG_CGROUP);
}

/* A device by its number, named as the host's kernel names it. */
static void told_device(struct hf_protect *p, struct hf_prot_box *b, const struct hf_guard_told *t)
{
    char path[96], what[128];
    hf_autobuf text = HF_BUF_INIT(4096);
    struct hf_err ignored = HF_ERR_INIT;
    struct hf_judgement j = {.verdict = 0};
    struct hf_wire_hdr h;
    const char *type = t->use == 1 ? "block" : "char";
    hf_protect_header(b, t, &h);
    snprintf(what, sizeof what, "%s %u:%u", type, t->dev >> 20, t->dev & 0xfffff);
    snprintf(path, sizeof path, "/sys/dev/%s/%u:%u/uevent", type, t->dev >> 20, t->dev & 0xfffff);
    if (hf_read_file(path, &text, &ignored) == 0)
        for (struct hf_span rest = hf_buf_span(&text), line; hf_span_line(&rest, &line);)
            if (hf_span_starts(line, HF_S("DEVNAME=")))
                snprintf(what, sizeof what, "/dev/%.*s", (int)HF_MIN(line.n - 8, (size_t)100), line.p + 8);
    hf_protect_happened(p, b, &h, hf_span_z(what), &j, HF_CLAUSE_DEVICES, b->enforced, HF_RUNG_CGROUP);
}

static void told_use(struct hf_protect *p, struct hf_prot_box *b, const struct hf_guard_told *t)
{
    struct hf_judgement j = {.verdict = 0};
    struct hf_wire_hdr h;
    hf_protect_header(b, t, &h);
    hf_protect_happened(p, b, &h, hf_span_z(t->use < HF_USES ? hf_prot_uses[t->use] : "other"), &j, HF_CLAUSE_KERNEL, b->enforced, t->rung);
    if (t->use == HF_USE_MOUNT && t->rung == HF_RUNG_SIGNAL && b->enforced)
        hf_protect_mounted(p, b);
}

static void told_write(struct hf_protect *p, struct hf_prot_box *b, const struct hf_guard_told *t)
{
    struct hf_judgement j = {.verdict = 0, .inode = t->inode, .dev = t->dev, .mode = t->mode};
    struct hf_wire_hdr h;
    hf_protect_header(b, t, &h);
    hf_protect_happened(p, b, &h, hf_span(t->path, t->path_len), &j, HF_CLAUSE_READ_ONLY, b->enforced, t->rung);
}

static enum hf_prot_clause clause_told(const struct hf_guard_told *t, const struct hf_prot_policy *p)
{
    if (t->clause && t->clause < HF_CLAUSES)
        return (enum hf_prot_clause)t->clause;
    if (t->why == HF_GUARD_WHY_NAME)
        return hf_prot_program_class(hf_span_basename(hf_span(t->path, t->path_len))) == HF_CLAUSE_PACKAGES || !(p->clauses >> HF_CLAUSE_SHELLS & 1) ? HF_CLAUSE_PACKAGES : HF_CLAUSE_SHELLS;
    return p->clauses >> HF_CLAUSE_SEALED & 1 || !(p->clauses >> HF_CLAUSE_WRITTEN & 1) ? HF_CLAUSE_SEALED : HF_CLAUSE_WRITTEN;
}

static void told(void *ctx, const struct hf_guard_told *t)
{
    struct hf_protect *p = ctx;
    struct hf_prot_box *b = hf_protect_box(p, t->container);
    struct hf_judgement j = {.inode = t->inode, .ctime_ns = t->ctime_ns, .dev = t->dev, .mode = t->mode};
    struct hf_span path = hf_span(t->path, t->path_len);
    if (!b || !b->policy)
        return;
    if (t->why == HF_GUARD_WHY_CONNECT || t->why == HF_GUARD_WHY_LISTEN) {
        told_net(p, b, t);
        return;
    }
    if (t->why == HF_GUARD_WHY_DEVICE || t->why == HF_GUARD_WHY_USE) {
        (t->why == HF_GUARD_WHY_DEVICE ? told_device : told_use)(p, b, t);
        return;
    }
    if (t->why == HF_GUARD_WHY_WRITE) {
        told_write(p, b, t);
        return;
    }
    if (t->use == HF_GUARD_MAPPED || t->use == HF_GUARD_STARTED) {
        hf_protect_mapped(p, b, t);
        return;
    }
    if (!b->enforced && (t->why == HF_GUARD_WHY_UNJUDGED || t->why == HF_GUARD_WHY_STALE)) {
        hf_protect_count_program(p, b, t);
        return;
    }
    if (b->enforced)
        hf_exec_perm_told(p->perm, t);
    bool gone = t->why == HF_GUARD_WHY_GONE;
    if (!t->rung || (!gone && !t->clause && t->why != HF_GUARD_WHY_NAME && !(b->policy->clauses & HF_PROT_STRICT)))
        return; /* let go: its policy restricts programs by name alone */
    j.verdict = t->why == HF_GUARD_WHY_MEMORY ? HF_VERDICT_MEMORY : t->why == HF_GUARD_WHY_NAME || t->why == HF_GUARD_WHY_LOADER ? HF_VERDICT_SEALED : HF_VERDICT_UNREADABLE;
    for (size_t i = 0; i < HF_PROT_DENIED; i++) {
        const struct denied *d = &p->denied[i];
        if (d->ctime_ns == t->ctime_ns && d->key.inode == t->inode && d->key.container == t->container && d->key.dev == t->dev) {
            j = d->j;
            path = hf_span_z(d->path);
        }
    }
    struct hf_wire_hdr h;
    hf_protect_header(b, t, &h);
    hf_protect_happened(p, b, &h, path, &j, clause_told(t, b->policy), b->enforced, t->rung);
}

void hf_protect_told(struct hf_protect *p)
{
    hf_guard_kernel_told(p->k, told, p);
}
