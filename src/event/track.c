// SPDX-License-Identifier: Apache-2.0
/* The process tree. */
#include <errno.h>
#include <stdio.h>

#include "event/runtime.h"
#include "event/session.h"
#include "event/track-internal.h"

#define CAP_SETUID_BIT (1ull << 7)
#define OPENER_NS 2000000000ull /* so long before a session a command may have ended that opened it (docker exec -d) */
#define START_NS 10000000ull /* what /proc/PID/stat counts in: starts are compared this coarsely (clock ticks of 10 ms) */
#define KEEP_ENDED_NS 60000000000ull
#define EVICT_LOOKS 64u
#define EVICT_TURNS 1024u

uint64_t hf_track_hash(const void *p, size_t n)
{
    return hf_span_hash(hf_span(p, n));
}

/* ---- lists and table ---- */

static void list_remove(struct hf_node *n)
{
    struct hf_track_list *l = n->list;
    if (!l)
        return;
    *(n->prev ? &n->prev->next : &l->first) = n->next;
    *(n->next ? &n->next->prev : &l->last) = n->prev;
    n->prev = n->next = NULL;
    n->list = NULL;
    l->n--;
}

static void list_append(struct hf_track_list *l, struct hf_node *n)
{
    list_remove(n);
    n->prev = l->last;
    *(l->last ? &l->last->next : &l->first) = n;
    l->last = n;
    n->list = l;
    l->n++;
}

static size_t bucket(const struct hf_track *t, uint32_t pid)
{
    return (pid * 2654435761u >> 8) & t->procs_mask;
}

static struct hf_node *find(const struct hf_track *t, uint32_t pid, uint64_t start_ns)
{
    struct hf_node *latest = NULL;
    for (struct hf_node *n = t->procs[bucket(t, pid)]; n; n = n->hash_next) {
        if (n->p.pid != pid)
            continue;
        if (start_ns && n->p.start_ns / START_NS == start_ns / START_NS)
            return n;
        if (!start_ns && (!latest || n->p.start_ns > latest->p.start_ns))
            latest = n;
    }
    return latest;
}

static struct hf_node *node_of(struct hf_proc *p)
{
    return (struct hf_node *)(void *)p; /* first member */
}

static void drop(struct hf_track *t, struct hf_node *n)
{
    struct hf_node **at = &t->procs[bucket(t, n->p.pid)];
    while (*at && *at != n)
        at = &(*at)->hash_next;
    if (*at)
        *at = n->hash_next;
    if (n->p.parent)
        node_of(n->p.parent)->children--;
    if (n->p.container)
        ((struct hf_box *)(void *)n->p.container)->procs--;
    list_remove(n);
    t->text_bytes -= n->text_n + (n->p.reached ? sizeof *n->p.reached : 0);
    t->n_procs--;
    free(n->p.reached);
    free(n->text);
    free(n);
}

/* Children lose a parent that has to go: only used when nothing else can. */
static void orphan(struct hf_track *t, struct hf_node *gone)
{
    for (size_t i = 0; gone->children && i <= t->procs_mask; i++)
        for (struct hf_node *n = t->procs[i]; n; n = n->hash_next)
            if (n->p.parent == &gone->p)
                n->p.parent = NULL;
    gone->children = 0;
}

static bool is_root_of_session(const struct hf_node *n)
{
    return n->p.session_root == &n->p;
}

/* Others may point to it as the root of their session, also when no living line leads there any more. */
static void forget_sessions(struct hf_track *t, const struct hf_node *root)
{
    for (size_t i = 0; i <= t->procs_mask; i++)
        for (struct hf_node *n = t->procs[i]; n; n = n->hash_next)
            if (n != root && n->p.session_root == &root->p)
                n->p.session_root = NULL;
}

static struct hf_node *first_leaf(const struct hf_track *t, const struct hf_track_list *l, const struct hf_node *keep)
{
    unsigned looks = 0;
    for (struct hf_node *n = l->first; n && looks < EVICT_LOOKS; n = n->next, looks++)
        if (n->children == 0 && n != keep && n != t->pin)
            return n;
    return NULL;
}

/* One that ended and has no children; those with children, who live as long as a container may, go to the end of the line. */
static struct hf_node *ended_leaf(struct hf_track *t, const struct hf_node *keep)
{
    for (unsigned turns = 0; turns < EVICT_TURNS; turns++) {
        struct hf_node *n = t->ended.first;
        if (!n)
            return NULL;
        if (n->children == 0 && n != keep && n != t->pin)
            return n;
        list_append(&t->ended, n);
    }
    return NULL;
}

static bool evict(struct hf_track *t, const struct hf_node *keep)
{
    struct hf_node *n = ended_leaf(t, keep);
    if (!n) {
        n = first_leaf(t, &t->living, keep);
        t->evicted_live += n != NULL;
    }
    if (!n) { /* only parents at the front: the longest ended, else the longest silent */
        n = t->ended.first && t->ended.first != keep ? t->ended.first : t->living.first;
        if (!n || n == keep || n == t->pin)
            return false;
        t->evicted_live++;
        orphan(t, n);
    }
    if (is_root_of_session(n))
        forget_sessions(t, n);
    drop(t, n);
    return true;
}

/* Ended processes without children go after a minute. */
static void expire(struct hf_track *t, uint64_t now_ns)
{
    for (unsigned i = 0; i < 16; i++) {
        struct hf_node *n = t->ended.first;
        if (!n || now_ns < n->p.end_ns || now_ns - n->p.end_ns < KEEP_ENDED_NS)
            return;
        if (n->children) {
            list_append(&t->ended, n);
            continue;
        }
        if (is_root_of_session(n))
            forget_sessions(t, n);
        drop(t, n);
    }
}

static struct hf_node *add(struct hf_track *t, uint32_t pid, uint64_t start_ns)
{
    while (t->n_procs >= t->max.max_procs && evict(t, NULL))
        ;
    struct hf_node *n = hf_alloc_fails() ? NULL : calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->p.pid = pid;
    n->p.start_ns = start_ns;
    n->p.login_uid = UINT32_MAX;
    n->hash_next = t->procs[bucket(t, pid)];
    t->procs[bucket(t, pid)] = n;
    t->n_procs++;
    list_append(&t->living, n);
    return n;
}

/* ---- what is known of a process ---- */

static void set_parent(struct hf_node *n, struct hf_node *parent)
{
    if (n->p.parent || !parent || parent == n)
        return;
    for (const struct hf_proc *up = &parent->p; up; up = up->parent)
        if (up == &n->p) /* a hostile stream can name a descendant */
            return;
    n->p.parent = &parent->p;
    parent->children++;
}

static void set_container(struct hf_track *t, struct hf_node *n, uint64_t cgroup_id)
{
    struct hf_box *box = hf_track_box_of(t, cgroup_id), *before = (struct hf_box *)(void *)n->p.container;
    n->p.cgroup_id = cgroup_id;
    if (box == before)
        return;
    if (before)
        before->procs--;
    if (box)
        box->procs++;
    n->p.container = box ? &box->c : NULL;
}

static void set_creds(struct hf_node *n, const struct hf_wire_hdr *h)
{
    n->p.uid = h->uid;
    n->p.euid = h->euid;
    n->p.gid = h->gid;
    n->p.egid = h->egid;
    n->p.cap_eff = h->cap_eff;
    n->p.login_uid = h->login_uid;
    n->p.session_id = h->session_id;
    n->p.mnt_ns = h->mnt_ns;
    n->p.pid_ns = h->pid_ns;
    n->p.net_ns = h->net_ns;
    n->p.user_ns = h->user_ns;
    n->could_setuid |= h->euid == 0 || h->uid == 0 || (h->cap_eff & CAP_SETUID_BIT);
    n->caps_seen |= h->cap_eff;
}

/* All texts of a process in one block; each is cut so that together they stay within the limit for one. */
static bool set_texts(struct hf_track *t, struct hf_node *n, const struct hf_span in[7])
{
    struct hf_span *const out[7] = {&n->p.exe, &n->p.comm, &n->p.args, &n->p.cwd, &n->p.env, &n->p.filename, &n->p.interp};
    size_t sizes[7], total = 0;
    for (size_t i = 0; i < 7; i++) {
        sizes[i] = HF_MIN(in[i].n, t->max.max_args_bytes);
        total += sizes[i];
    }
    while (t->text_bytes + total > t->max.max_text_bytes + n->text_n && evict(t, n))
        ;
    char *text = hf_alloc_fails() ? NULL : malloc(total ? total : 1);
    if (!text)
        return false;
    size_t at = 0;
    for (size_t i = 0; i < 7; i++) {
        if (sizes[i])
            memcpy(text + at, in[i].p, sizes[i]);
        *out[i] = hf_span(text + at, sizes[i]);
        at += sizes[i];
    }
    free(n->text);
    t->text_bytes += total - n->text_n;
    n->text = text;
    n->text_n = total;
    return true;
}

void hf_track_reached(struct hf_track *t, const struct hf_event *ev)
{
    struct hf_reached_list **l = ev->proc ? &ev->proc->reached : NULL;
    if (!l)
        return;
    if (!*l) {
        while (t->text_bytes + sizeof **l > t->max.max_text_bytes && evict(t, node_of(ev->proc)))
            ;
        *l = hf_alloc_fails() ? NULL : calloc(1, sizeof **l);
        t->text_bytes += *l ? sizeof **l : 0;
    }
    if (*l) /* without memory alerts are told without it */
        hf_reached_add(*l, ev);
}

/* What it ran before must not stand for what it runs now. */
static void drop_texts(struct hf_track *t, struct hf_node *n)
{
    t->text_bytes -= n->text_n;
    free(n->text);
    n->text = NULL;
    n->text_n = 0;
    n->p.exe = n->p.comm = n->p.args = n->p.cwd = n->p.env = n->p.filename = n->p.interp = (struct hf_span){NULL, 0};
}

static struct hf_span comm_of(const char comm[16])
{
    return hf_span(comm, strnlen(comm, 15));
}

static bool is_program(const struct hf_proc *p, const char *name)
{
    return p && hf_span_eqz(hf_span_basename(p->exe), name);
}

/* A command on the host that opens sessions in containers. */
static void remember_client(struct hf_track *t, const struct hf_node *n)
{
    if (!n->p.container && hf_session_container(n->p.args).n)
        t->clients[t->n_clients++ % HF_TRACK_CLIENTS] = (struct hf_client){n->p.pid, n->p.start_ns};
}

/* The youngest of them for this container that opened no other session yet. */
static void find_opener(struct hf_track *t, struct hf_proc *root)
{
    const struct hf_container *c = root->container;
    for (size_t i = 1; i <= HF_MIN(t->n_clients, (size_t)HF_TRACK_CLIENTS); i++) {
        struct hf_client *client = &t->clients[(t->n_clients - i) % HF_TRACK_CLIENTS];
        const struct hf_node *n = client->pid ? find(t, client->pid, client->start_ns) : NULL;
        struct hf_span named = n ? hf_session_container(n->p.args) : hf_span(NULL, 0);
        if (!named.n || (!hf_span_eq(named, c->name) && !hf_span_starts(c->id, named)) || (n->p.end_ns && n->p.end_ns + OPENER_NS <= root->start_ns))
            continue;
        client->pid = 0;
        root->opener = (struct hf_opener){.pid = n->p.pid, .uid = n->p.uid, .login_uid = n->p.login_uid};
        snprintf(root->opener.name, sizeof root->opener.name, "%.*s", HF_SPAN_ARG(hf_span_basename(n->p.exe)));
        return;
    }
}

/* Where a session of a person begins: what enters a container from outside after its first process; what sshd or login start. */
static void set_session(struct hf_track *t, struct hf_node *n, bool check)
{
    struct hf_box *box = (struct hf_box *)(void *)n->p.container;
    struct hf_proc *parent = n->p.parent;
    bool inside = parent && parent->container == n->p.container && !hf_proc_is_runtime(parent); /* crun enters the group itself, runc's child does */
    if (box && check) { /* started by one who is in its group already, and is none of it */
        n->p.session = HF_SESSION_CHECK;
        n->p.session_root = &n->p;
    } else if (box && !inside && !hf_proc_is_runtime(&n->p)) {
        if (!box->main_pid) {
            box->main_pid = n->p.pid;
            box->main_start_ns = n->p.start_ns;
        }
        bool main = box->main_pid == n->p.pid && box->main_start_ns / START_NS == n->p.start_ns / START_NS;
        n->p.session = main || n->p.ns_pid == 1 ? HF_SESSION_NONE : HF_SESSION_EXEC;
        n->p.session_root = n->p.session ? &n->p : NULL;
        if (n->p.session)
            find_opener(t, &n->p);
    } else if (parent && (is_program(parent, "sshd") || is_program(parent, "sshd-session")) && !is_program(&n->p, "sshd") && !is_program(&n->p, "sshd-session")) {
        n->p.session = HF_SESSION_SSH;
        n->p.session_root = &n->p;
    } else if (is_program(parent, "login") && !is_program(&n->p, "login")) {
        n->p.session = HF_SESSION_LOGIN;
        n->p.session_root = &n->p;
    } else if (parent && inside) {
        n->p.session = parent->session;
        n->p.session_root = parent->session_root;
    }
    const struct hf_proc *root = n->p.session_root;
    n->p.session_key = root ? (uint64_t)root->pid << 40 ^ root->start_ns : box ? box->c.cgroup_id : n->p.session_id;
}

static struct hf_node *exec(struct hf_track *t, struct hf_event *ev, struct hf_node *n)
{
    const struct hf_wire_exec *x = &ev->u.exec;
    bool snapshot = ev->type == HF_EV_PROC;
    struct hf_node *parent = find(t, ev->h->ppid, x->parent_start_ns);
    set_parent(n, parent);
    /* One that was there before runs its parent's program: it was started where that one was, wherever it has gone since (a runtime that is making a container). */
    bool copy = snapshot && parent && x->inode && parent->p.inode == x->inode && parent->p.dev == x->dev;
    const struct hf_span texts[7] = {copy && !ev->path.n ? parent->p.exe : ev->path, comm_of(ev->h->comm), ev->args, ev->cwd, ev->env, ev->path2, ev->text};
    if (ev->args.n > t->max.max_args_bytes || ev->env.n > t->max.max_args_bytes)
        ev->u.hdr.flags |= HF_F_TRUNCATED;
    if (!set_texts(t, n, texts)) { /* no memory */
        drop_texts(t, n);
        ev->u.hdr.flags |= HF_F_TRUNCATED;
    }
    n->p.inode = x->inode;
    n->p.dev = x->dev;
    n->p.exe_mode = x->mode;
    n->p.exec_flags = x->exec_flags;
    n->p.tty = x->tty;
    n->p.sid = x->sid;
    n->p.exec_ns = snapshot ? n->p.start_ns : ev->h->time_ns;
    memcpy(n->p.stdio, x->stdio, sizeof n->p.stdio);
    n->p.seen_exec = true;
    n->p.verdict = 0;
    n->could_setuid = false;
    n->caps_seen = 0;
    n->may_hold = x->exec_flags & HF_X_HOLDS;
    n->had_all = !snapshot && !n->may_hold && ev->h->euid == 0;
    set_creds(n, ev->h);
    n->p.exec_mnt_ns = copy ? parent->p.exec_mnt_ns : ev->h->mnt_ns;
    set_session(t, n, ev->h->flags & HF_F_CHECK);
    remember_client(t, n);
    return n;
}

static void fork_child(struct hf_track *t, struct hf_event *ev, struct hf_node *by)
{
    const struct hf_wire_fork *f = &ev->u.fork;
    struct hf_node *n = find(t, f->child_pid, f->child_start_ns);
    if (!n || n->p.end_ns) /* one that ended had the number within the same tick before */
        n = add(t, f->child_pid, f->child_start_ns);
    if (!n)
        return;
    struct hf_node *parent = f->child_ppid == by->p.pid ? by : find(t, f->child_ppid, 0);
    set_parent(n, parent ? parent : by);
    n->p.ppid = f->child_ppid;
    n->p.ns_pid = f->child_ns_pid;
    if (!n->p.seen_exec) { /* until it runs something itself it is a copy of its creator */
        const struct hf_proc *b = &by->p;
        const struct hf_span texts[7] = {b->exe, b->comm, b->args, b->cwd, b->env, b->filename, b->interp};
        if (!set_texts(t, n, texts)) {
            drop_texts(t, n);
            ev->u.hdr.flags |= HF_F_TRUNCATED;
        }
        n->p.inode = b->inode;
        n->p.dev = b->dev;
        n->p.exec_flags = b->exec_flags;
        n->p.exe_mode = b->exe_mode;
        n->p.tty = b->tty;
        n->p.sid = b->sid;
        n->p.exec_ns = b->exec_ns;
        n->p.verdict = b->verdict;
        n->p.exec_mnt_ns = b->exec_mnt_ns;
        memcpy(n->p.stdio, b->stdio, sizeof n->p.stdio);
    }
    set_creds(n, ev->h);
    n->p.pid_ns = f->child_pid_ns;
    n->could_setuid = by->could_setuid;
    n->caps_seen = by->caps_seen;
    n->may_hold = by->may_hold;
    n->had_all = by->had_all;
    n->p.last_ns = ev->h->time_ns;
    set_container(t, n, f->child_cgroup_id);
    if (n->p.container == by->p.container) {
        n->p.session = by->p.session;
        n->p.session_root = by->p.session_root;
        n->p.session_key = by->p.session_key;
    }
    ev->target = &n->p;
}

static bool moved(uint32_t from, uint32_t to)
{
    return from && to && from != to; /* 0: not known, or given up by a process that ends */
}

#define INIT_USER_NS 0xeffffffdu /* PROC_USER_INIT_INO */
#define CAP_SYS_ADMIN_BIT (1ull << 21)
/* What no call of the process, in the state in which it was seen, does to it. */
static bool is_unexplained(const struct hf_node *n, const struct hf_event *ev, uint32_t what)
{
    const struct hf_wire_hdr *h = ev->h;
    const struct hf_wire_exec *x = ev->type == HF_EV_EXEC ? &ev->u.exec : NULL;
    if (n->p.user_ns != h->user_ns) /* in a new one it is root; nothing leads back into the first */
        return n->p.user_ns && h->user_ns == INIT_USER_NS;
    if (n->may_hold)
        return false;
    /* Who never was root nor had CAP_SETUID becomes root by a set-uid program only, and that leaves the real user as it is. */
    bool setuid_file = x && (x->mode & 04000) && x->exe_uid != n->p.euid;
    if (!n->could_setuid && (((what & HF_CRED_ROOT) && !setuid_file) || (n->p.uid != 0 && h->uid == 0)))
        return true;
    /* All capabilities that it may have were in effect when its program started; the next one brings some with it, unless there were all already. */
    if ((what & HF_CRED_CAPS) && (!x || n->had_all))
        return true;
    return !(n->caps_seen & CAP_SYS_ADMIN_BIT) && (moved(n->p.mnt_ns, h->mnt_ns) || moved(n->p.net_ns, h->net_ns));
}

/* What the header says against what the process had.  Returns whether *ret was filled. */
static bool compare(struct hf_node *n, const struct hf_event *ev, struct hf_event *ret)
{
    const struct hf_wire_hdr *h = ev->h;
    uint32_t what = 0;
    if (n->p.euid != 0 && h->euid == 0)
        what |= HF_CRED_ROOT;
    if (n->p.uid != h->uid || n->p.euid != h->euid)
        what |= HF_CRED_UID;
    if (h->cap_eff & ~n->caps_seen)
        what |= HF_CRED_CAPS;
    if (n->p.mnt_ns != h->mnt_ns || n->p.net_ns != h->net_ns || n->p.user_ns != h->user_ns || n->p.pid_ns != h->pid_ns)
        what |= HF_CRED_NS;
    if (!what)
        return false;
    if (is_unexplained(n, ev, what))
        what |= HF_CRED_UNEXPLAINED;
    else if (ev->type == HF_EV_EXEC) /* the program's own rights, which the exec tells itself */
        return false;
    if (!ret)
        return false;
    *ret = (struct hf_event){.seq = ev->seq, .time_ns = ev->time_ns, .type = HF_EV_CRED};
    struct hf_wire_cred *c = &ret->u.cred;
    c->h = *h;
    c->h.type = HF_EV_CRED;
    c->h.len = sizeof *c;
    c->old_cap_eff = n->p.cap_eff;
    c->old_uid = n->p.uid;
    c->old_euid = n->p.euid;
    c->old_mnt_ns = n->p.mnt_ns;
    c->old_pid_ns = n->p.pid_ns;
    c->old_net_ns = n->p.net_ns;
    c->old_user_ns = n->p.user_ns;
    c->what = what;
    ret->h = &ret->u.hdr;
    ret->proc = &n->p;
    ret->container = n->p.container;
    return true;
}

/* The node of the header's process; one that was missed is made from what the header says. */
static struct hf_node *of_header(struct hf_track *t, const struct hf_event *ev)
{
    const struct hf_wire_hdr *h = ev->h;
    struct hf_node *n = find(t, h->pid, h->start_ns);
    if (n)
        return n;
    n = add(t, h->pid, h->start_ns);
    if (!n)
        return NULL;
    if (ev->type != HF_EV_PROC && ev->type != HF_EV_EXEC)
        t->unknown++;
    n->p.ppid = h->ppid;
    n->p.ns_pid = h->ns_pid;
    n->may_hold = true;
    set_creds(n, h);
    set_parent(n, find(t, h->ppid, 0));
    const struct hf_span texts[7] = {{NULL, 0}, comm_of(h->comm), {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    (void)set_texts(t, n, texts);
    return n;
}

static int proc_event(struct hf_track *t, struct hf_event *ev, struct hf_event *ret_cred)
{
    const struct hf_wire_hdr *h = ev->h;
    bool known = find(t, h->pid, h->start_ns) != NULL;
    struct hf_node *n = of_header(t, ev);
    int rc = ev->type == HF_EV_PROC && known ? 0 : 1;
    if (!n)
        return -ENOMEM;
    t->pin = n;
    ev->proc = &n->p;
    n->p.last_ns = h->time_ns;
    if (h->ppid && !(h->flags & HF_F_OWNER))
        n->p.ppid = h->ppid;
    if (h->ns_pid)
        n->p.ns_pid = h->ns_pid;
    set_container(t, n, h->cgroup_id);
    bool comparable = ev->type != HF_EV_VERDICT && ev->type != HF_EV_PROC && known && !(h->flags & HF_F_OWNER) && h->pid == h->tid && n->p.pid_ns &&
            h->time_ns >= n->p.exec_ns; /* what came late was done by the program before, with its rights */
    if (comparable && compare(n, ev, ret_cred))
        rc = 2;
    if (ev->type == HF_EV_EXEC || ev->type == HF_EV_PROC) {
        if (rc)
            exec(t, ev, n);
    } else if (comparable) {
        set_creds(n, h);
    }
    if (ev->type == HF_EV_FORK)
        fork_child(t, ev, n);
    if (ev->type == HF_EV_RENAME && n->p.comm.n && h->pid == h->tid) { /* a thread that names itself does not name its process */
        size_t len = strnlen(ev->u.rename.name, 15);
        struct hf_span name = hf_span(ev->u.rename.name, len);
        const struct hf_span texts[7] = {n->p.exe, name, n->p.args, n->p.cwd, n->p.env, n->p.filename, n->p.interp};
        (void)set_texts(t, n, texts);
    }
    if (ev->type == HF_EV_EXIT) {
        n->p.end_ns = h->time_ns;
        n->p.exit_status = ev->u.exit.status;
        list_append(&t->ended, n);
    } else if (!n->p.end_ns) {
        list_append(&t->living, n);
    }
    return rc;
}

/* Only a number, and perhaps its start: the process that has it now, or had it last.  The header gets what is known of it. */
static void by_number_only(struct hf_track *t, struct hf_event *ev)
{
    struct hf_node *n = find(t, ev->h->pid, ev->h->start_ns);
    struct hf_wire_hdr *h = &ev->u.hdr;
    if (!n && h->start_ns) /* then name and user came with it */
        n = of_header(t, ev);
    if (!n)
        return;
    t->pin = n;
    ev->proc = &n->p;
    n->p.last_ns = h->time_ns;
    h->start_ns = n->p.start_ns;
    h->ppid = n->p.ppid;
    h->ns_pid = n->p.ns_pid;
    h->uid = n->p.uid;
    h->euid = n->p.euid;
    h->gid = n->p.gid;
    h->egid = n->p.egid;
    h->cap_eff = n->p.cap_eff;
    h->login_uid = n->p.login_uid;
    h->session_id = n->p.session_id;
    h->mnt_ns = n->p.mnt_ns;
    h->pid_ns = n->p.pid_ns;
    h->net_ns = n->p.net_ns;
    h->user_ns = n->p.user_ns;
    h->cgroup_id = n->p.cgroup_id;
    memcpy(h->comm, n->p.comm.p ? n->p.comm.p : "", HF_MIN(n->p.comm.n, sizeof h->comm - 1));
}

int hf_track_event(struct hf_track *t, struct hf_event *ev, struct hf_event *ret_cred)
{
    ev->time_ns = ev->time_ns ? ev->time_ns : ev->h->time_ns;
    t->pin = NULL;
    expire(t, ev->h->time_ns);
    if (ev->type == HF_EV_CONTAINER || ev->type == HF_EV_CONTAINER_END || ev->type == HF_EV_CGROUP) {
        int rc = hf_track_container_event(t, ev);
        if (ev->type != HF_EV_CGROUP)
            return rc;
    }
    int rc = 1;
    if (ev->h->flags & HF_F_PID_ONLY)
        by_number_only(t, ev);
    else if (!(ev->h->flags & HF_F_NO_PROC) && ev->h->pid)
        rc = proc_event(t, ev, ret_cred);
    struct hf_box *box = hf_track_box_of(t, ev->type == HF_EV_CGROUP ? ev->u.cgroup.id : ev->h->cgroup_id);
    ev->container = box ? &box->c : ev->proc ? ev->proc->container : NULL;
    if (ev->type == HF_EV_CGROUP && ev->u.cgroup.op == HF_CGROUP_ATTACH) {
        struct hf_node *moved = find(t, ev->u.cgroup.task_pid, ev->u.cgroup.task_start_ns);
        if (moved)
            set_container(t, moved, ev->u.cgroup.id);
        ev->target = moved ? &moved->p : NULL;
    }
    if (ev->type == HF_EV_SIGNAL || ev->type == HF_EV_PTRACE) {
        struct hf_node *n = ev->type == HF_EV_SIGNAL ? find(t, ev->u.signal.target_pid, ev->u.signal.target_start_ns)
                                                     : find(t, ev->u.ptrace.target_pid, ev->u.ptrace.target_start_ns);
        ev->target = n ? &n->p : NULL;
    }
    if (ev->type == HF_EV_FILE)
        hf_track_file_event(t, ev);
    if (ev->type == HF_EV_VERDICT)
        hf_track_verdict_event(t, ev);
    bool repeated = (ev->type == HF_EV_NET || ev->type == HF_EV_PAYLOAD) && !hf_track_net_event(t, ev);
    return repeated && rc == 1 ? 0 : rc;
}

/* ---- life ---- */

static size_t power_of_two(size_t n)
{
    size_t p = 64;
    while (p < n)
        p *= 2;
    return p;
}

int hf_track_new(struct hf_track **ret, const struct hf_track_limits *limits, struct hf_err *err)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = calloc(1, sizeof *t);
    if (!t)
        return hf_fail(err, -ENOMEM, "no memory for the tracker");
    if (limits)
        t->max = *limits;
    t->max.max_procs = t->max.max_procs ? t->max.max_procs : 8192;
    t->max.max_containers = t->max.max_containers ? t->max.max_containers : 2048;
    t->max.max_sockets = t->max.max_sockets ? t->max.max_sockets : 8192;
    t->max.max_names = t->max.max_names ? t->max.max_names : 4096;
    t->max.max_text_bytes = t->max.max_text_bytes ? t->max.max_text_bytes : 4u << 20;
    t->max.max_args_bytes = t->max.max_args_bytes ? t->max.max_args_bytes : 4096;
    t->max.max_writers = t->max.max_writers ? t->max.max_writers : 2048;
    t->writers_mask = power_of_two(t->max.max_writers) - 1;
    t->procs_mask = power_of_two(t->max.max_procs) - 1;
    t->groups_mask = power_of_two(t->max.max_containers * 4) - 1;
    t->conns_mask = power_of_two(t->max.max_sockets) - 1;
    t->names_mask = power_of_two(t->max.max_names) - 1;
    t->edges_mask = power_of_two(t->max.max_names / 4) - 1;
    t->procs = calloc(t->procs_mask + 1, sizeof *t->procs);
    t->groups = calloc(t->groups_mask + 1, sizeof *t->groups);
    t->conns = calloc(t->conns_mask + 1, sizeof *t->conns);
    t->names = calloc(t->names_mask + 1, sizeof *t->names);
    t->edges = calloc(t->edges_mask + 1, sizeof *t->edges);
    t->homes = calloc(t->names_mask + 1, sizeof *t->homes);
    if (!t->procs || !t->groups || !t->conns || !t->names || !t->edges || !t->homes)
        return hf_fail(err, -ENOMEM, "no memory for the tracker");
    *ret = hf_take(t);
    return 0;
}

void hf_track_free(struct hf_track *t)
{
    if (!t)
        return;
    for (size_t i = 0; t->procs && i <= t->procs_mask; i++)
        for (struct hf_node *n = t->procs[i], *next; n; n = next) {
            next = n->hash_next;
            free(n->p.reached);
            free(n->text);
            free(n);
        }
    hf_track_boxes_done(t);
    free(t->procs);
    free(t->groups);
    free(t->conns);
    free(t->names);
    free(t->homes);
    free(t->edges);
    free(t->writers);
    free(t);
}

struct hf_proc *hf_track_proc(const struct hf_track *t, uint32_t pid, uint64_t start_ns)
{
    struct hf_node *n = find(t, pid, start_ns);
    return n ? &n->p : NULL;
}

void hf_track_each_proc(const struct hf_track *t, bool (*fn)(void *ctx, const struct hf_proc *p), void *ctx)
{
    for (size_t i = 0; i <= t->procs_mask; i++)
        for (struct hf_node *n = t->procs[i]; n; n = n->hash_next)
            if (!n->p.end_ns && !fn(ctx, &n->p))
                return;
}

void hf_track_stats(const struct hf_track *t, struct hf_track_stats *ret)
{
    *ret = (struct hf_track_stats){
            .procs = t->n_procs,
            .containers = t->n_boxes,
            .edges = t->n_edges,
            .text_bytes = t->text_bytes,
            .evicted_live_procs = t->evicted_live,
            .unknown_procs = t->unknown,
    };
    for (size_t i = 0; i <= t->conns_mask; i++)
        ret->sockets += t->conns[i].used;
    for (size_t i = 0; i <= t->names_mask; i++)
        ret->names += t->names[i].n > 0;
    for (size_t i = 0; t->writers && i <= t->writers_mask; i++)
        ret->writers += t->writers[i].key != 0;
}
