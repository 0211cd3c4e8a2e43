/* SPDX-License-Identifier: Apache-2.0 */
#include "event/runtime.h"

#include "records.h"
#include "event/reached.h"
#include "tap.h"

#define S 1000000000ull
#define CAP_SETUID_BIT (1ull << 7)

static struct rec r;
static struct hf_event ev, cred;

static int feed(struct hf_track *t, struct hf_span record)
{
    struct hf_err err = HF_ERR_INIT;
    if (hf_event_decode(record, &ev, &err) < 0) {
        printf("# %s\n", err.msg);
        return -1;
    }
    return hf_track_event(t, &ev, &cred);
}

static struct hf_track *fresh(const struct hf_track_limits *limits)
{
    struct hf_track *t = NULL;
    if (hf_track_new(&t, limits, NULL) < 0)
        exit(2);
    return t;
}

static int exec_flags(struct hf_track *t, uint32_t pid, uint32_t ppid, uint64_t cgroup, const char *path, uint64_t at, uint32_t flags)
{
    struct hf_span args = hf_span_z(path);
    struct hf_wire_hdr h = rec_hdr(pid, ppid, pid * S, cgroup, at, "prog");
    h.flags |= flags;
    return feed(t, rec_exec(&r, h, (struct hf_wire_exec){.parent_start_ns = ppid * S}, path, args, "/", HF_S("")));
}

static int exec(struct hf_track *t, uint32_t pid, uint32_t ppid, uint64_t cgroup, const char *path, uint64_t at)
{
    return exec_flags(t, pid, ppid, cgroup, path, at, 0);
}

static int fork_(struct hf_track *t, uint32_t parent, uint32_t child, uint64_t cgroup, uint64_t at)
{
    struct hf_wire_fork f = {.h = rec_hdr(parent, 1, parent * S, cgroup, at, "prog"), .child_start_ns = child * S, .child_cgroup_id = cgroup, .child_pid = child,
            .child_ns_pid = child, .child_ppid = parent, .child_pid_ns = 11};
    rec_begin(&r, &f, sizeof f, HF_EV_FORK);
    return feed(t, rec_end(&r));
}

static int exit_(struct hf_track *t, uint32_t pid, uint64_t cgroup, uint64_t at)
{
    struct hf_wire_exit x = {.h = rec_hdr(pid, 1, pid * S, cgroup, at, "prog"), .status = 3 << 8};
    rec_begin(&r, &x, sizeof x, HF_EV_EXIT);
    return feed(t, rec_end(&r));
}

static int container(struct hf_track *t, uint64_t cgroup, struct hf_span pairs, uint64_t at)
{
    struct hf_wire_hdr h = {.cgroup_id = cgroup, .time_ns = at, .flags = HF_F_NO_PROC};
    return feed(t, rec_pairs(&r, h, HF_EV_CONTAINER, pairs));
}

static void lineage(void)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    exec(t, 1, 0, 0, "/sbin/init", 1 * S);
    exec(t, 20, 1, 0, "/usr/sbin/nginx", 20 * S);
    EQ_I(fork_(t, 20, 21, 0, 21 * S), 1);
    OK(ev.target && ev.target->pid == 21);
    EQ_S(ev.target->exe, "/usr/sbin/nginx"); /* until it runs something it is a copy */
    EQ_I(exec(t, 21, 20, 0, "/bin/sh", 22 * S), 1);
    EQ_S(ev.proc->exe, "/bin/sh");
    OK(ev.proc->parent && hf_span_eqz(ev.proc->parent->exe, "/usr/sbin/nginx"));
    OK(ev.proc->parent && ev.proc->parent->parent && ev.proc->parent->parent->pid == 1);
    EQ_I(exit_(t, 21, 0, 23 * S), 1);
    struct hf_proc *p = hf_track_proc(t, 21, 21 * S);
    OK(p && p->end_ns == 23 * S);
    EQ_U(p ? p->exit_status : 0, 3 << 8);
    OK(!ev.container); /* the host */
}

static void pid_reuse(void)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    feed(t, rec_exec(&r, rec_hdr(50, 1, 10 * S, 0, 10 * S, "old"), (struct hf_wire_exec){.argc = 1}, "/bin/old", HF_S("old"), "/", HF_S("")));
    feed(t, rec_exec(&r, rec_hdr(50, 1, 90 * S, 0, 90 * S, "new"), (struct hf_wire_exec){.argc = 1}, "/bin/new", HF_S("new"), "/", HF_S("")));
    struct hf_proc *old = hf_track_proc(t, 50, 10 * S), *new = hf_track_proc(t, 50, 90 * S);
    OK(old && new && old != new);
    EQ_S(old ? old->exe : HF_S(""), "/bin/old");
    OK(hf_track_proc(t, 50, 0) == new);
    OK(!hf_track_proc(t, 50, 40 * S));
    /* again within the same tick: the one that ended is not the new one, which is a copy of its creator */
    exec(t, 60, 1, 0, "/bin/creator", 60 * S);
    fork_(t, 60, 61, 0, 61 * S);
    exec(t, 61, 60, 0, "/bin/first", 61 * S);
    exit_(t, 61, 0, 61 * S + 1000000);
    fork_(t, 60, 61, 0, 61 * S + 2000000);
    struct hf_proc *again = hf_track_proc(t, 61, 0), *same = hf_track_proc(t, 61, 61 * S);
    OK(again && again == same && !again->end_ns);
    EQ_S(again ? again->exe : HF_S(""), "/bin/creator");
    /* and a thread that names itself does not name its process */
    struct hf_wire_rename w = {.h = rec_hdr(60, 1, 60 * S, 0, 62 * S, "prog"), .name = "worker"};
    w.h.tid = 65;
    rec_begin(&r, &w, sizeof w, HF_EV_RENAME);
    feed(t, rec_end(&r));
    EQ_S(hf_track_proc(t, 60, 0)->comm, "prog");
    w.h.tid = 60;
    rec_begin(&r, &w, sizeof w, HF_EV_RENAME);
    feed(t, rec_end(&r));
    EQ_S(hf_track_proc(t, 60, 0)->comm, "worker");
}

static void containers(void)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    EQ_I(container(t, 500, HF_S("id\0abc123\0name\0web\0image\0nginx:1\0privileged\0001\0caps\0ff\0command\0nginx\0"), 10 * S), 1);
    const struct hf_container *c = hf_track_container(t, 500);
    OK(c != NULL);
    if (!c)
        return;
    EQ_S(c->name, "web");
    EQ_U(c->caps, 0xff);
    OK(c->privileged && c->known && !c->host_net);
    EQ_I(container(t, 500, HF_S("id\0abc123\0name\0web\0image\0nginx:1\0"), 11 * S), 0); /* told again: same container */
    EQ_I(container(t, 500, HF_S("id\0abc123\0name\0web2\0image\0nginx:1\0"), 11 * S), 1); /* a name that was not known is news */
    OK(hf_track_container(t, 500) == c);
    EQ_S(c->name, "web2");
    struct hf_wire_cgroup g = {.h = rec_hdr(2, 1, 2 * S, 0, 12 * S, "runc"), .id = 501, .parent_id = 500, .op = HF_CGROUP_MKDIR};
    rec_begin(&r, &g, sizeof g, HF_EV_CGROUP);
    feed(t, rec_end(&r));
    exec(t, 60, 2, 501, "/bin/sh", 13 * S); /* in a group below */
    OK(ev.container == c && ev.proc->container == c);
    OK(hf_track_container_by_id(t, HF_S("abc")) == c && hf_track_container_by_id(t, HF_S("web2")) == c && !hf_track_container_by_id(t, HF_S("zzz")));
    struct hf_wire_hdr end = {.cgroup_id = 500, .time_ns = 20 * S, .flags = HF_F_NO_PROC};
    rec_begin(&r, &end, sizeof end, HF_EV_CONTAINER_END);
    EQ_I(feed(t, rec_end(&r)), 1);
    OK(ev.container == c && c->ended_ns);
    EQ_U(hf_track_container(t, 502) != NULL, 0);
}

static void moved_by_attach(void)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    exec(t, 70, 1, 0, "/usr/bin/runc", 5 * S);
    container(t, 700, HF_S("id\0c7\0"), 6 * S);
    struct hf_wire_cgroup g = {.h = rec_hdr(2, 1, 2 * S, 0, 7 * S, "runc"), .id = 700, .task_pid = 70, .task_start_ns = 70 * S, .op = HF_CGROUP_ATTACH};
    rec_begin(&r, &g, sizeof g, HF_EV_CGROUP);
    feed(t, rec_end(&r));
    struct hf_proc *p = hf_track_proc(t, 70, 0);
    OK(p && p->container && hf_span_eqz(p->container->id, "c7"));
}

static void sessions(void)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    exec(t, 10, 1, 0, "/usr/bin/containerd-shim", 1 * S);
    container(t, 800, HF_S("id\0c8\0"), 2 * S);
    exec(t, 81, 10, 800, "/usr/sbin/nginx", 3 * S);
    EQ_U(ev.proc->session, HF_SESSION_NONE); /* its own work */
    uint64_t own = ev.proc->session_key;
    exec(t, 82, 10, 800, "/bin/bash", 9 * S); /* docker exec: from outside, not the first */
    EQ_U(ev.proc->session, HF_SESSION_EXEC);
    uint64_t key = ev.proc->session_key;
    OK(key != own);
    fork_(t, 82, 83, 800, 10 * S);
    exec(t, 83, 82, 800, "/usr/bin/curl", 11 * S);
    EQ_U(ev.proc->session, HF_SESSION_EXEC);
    OK(ev.proc->session_key == key && ev.proc->session_root && ev.proc->session_root->pid == 82);
    fork_(t, 81, 84, 800, 12 * S);
    exec(t, 84, 81, 800, "/bin/sh", 12 * S);
    EQ_U(ev.proc->session, HF_SESSION_NONE);
    exec_flags(t, 85, 10, 800, "/bin/check", 12 * S, HF_F_CHECK);
    EQ_U(ev.proc->session, HF_SESSION_CHECK);
    exec(t, 86, 85, 800, "/bin/ls", 13 * S);
    EQ_U(ev.proc->session, HF_SESSION_CHECK);
    OK(ev.proc->session_root && ev.proc->session_root->pid == 85);
    exec(t, 30, 1, 0, "/usr/sbin/sshd", 13 * S);
    exec(t, 31, 30, 0, "/bin/bash", 14 * S);
    EQ_U(ev.proc->session, HF_SESSION_SSH);
}

/* A client of the runtime on the host, by whoever. */
static void client(struct hf_track *t, uint32_t pid, uint32_t uid, uint32_t login_uid, struct hf_span args)
{
    struct hf_wire_hdr h = rec_hdr(pid, 1, pid * S, 0, pid * S, "docker");
    h.uid = h.euid = uid;
    h.login_uid = login_uid;
    feed(t, rec_exec(&r, h, (struct hf_wire_exec){.argc = 1}, "/usr/bin/docker", args, "/", HF_S("")));
}

static const struct hf_opener *opener_of(struct hf_track *t, uint32_t pid, const char *path)
{
    exec(t, pid, 10, 800, path, pid * S);
    return ev.proc->session_root ? &ev.proc->session_root->opener : NULL;
}

static void session_openers(void)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    const struct hf_opener *o;
    exec(t, 10, 1, 0, "/usr/bin/containerd-shim", 1 * S);
    container(t, 800, HF_S("id\0c8\0name\0web\0"), 2 * S);
    client(t, 20, 0, 500, HF_S("docker\0exec\0web\0sh\0")); /* before there was a session: of the first program it says nothing */
    o = opener_of(t, 21, "/usr/sbin/nginx");
    OK(!o);
    o = opener_of(t, 22, "/bin/sh");
    OK(o && o->pid == 20 && o->uid == 0 && o->login_uid == 500);
    EQ_S(hf_span_z(o ? o->name : ""), "docker");
    o = opener_of(t, 23, "/bin/other"); /* without a command: kubectl exec, or somebody at the socket */
    OK(o && !o->pid);
    client(t, 30, 1000, UINT32_MAX, HF_S("docker\0exec\0-d\0web\0sh\0"));
    client(t, 31, 1001, UINT32_MAX, HF_S("docker\0exec\0db\0sh\0"));
    client(t, 32, 1002, UINT32_MAX, HF_S("docker\0run\0web\0"));
    exit_(t, 30, 0, 31 * S + S / 2);
    o = opener_of(t, 33, "/bin/sh");
    OK(o && o->pid == 30); /* it ended 1.5 s before */
    client(t, 35, 1000, UINT32_MAX, HF_S("docker\0exec\0-u\0c8\0db\0ping\0web\0")); /* for another one, however its arguments read */
    o = opener_of(t, 36, "/bin/sh");
    OK(o && !o->pid);
    client(t, 37, 1000, UINT32_MAX, HF_S("docker\0exec\0--env=A=b\0-w\0/web\0-it\0c\0sh\0")); /* the beginning of its id */
    o = opener_of(t, 38, "/bin/sh");
    OK(o && o->pid == 37);
    for (uint32_t i = 0; i < 100; i++) /* more than are remembered: the latest stay */
        client(t, 200 + i, 1000, UINT32_MAX, HF_S("docker\0exec\0db\0sh\0"));
    client(t, 39, 1000, UINT32_MAX, HF_S("docker\0exec\0web\0sh\0"));
    o = opener_of(t, 39 + 1000, "/bin/sh");
    OK(o && o->pid == 39);
    client(t, 40, 1000, UINT32_MAX, HF_S("docker\0exec\0web\0sh\0"));
    exit_(t, 40, 0, 41 * S);
    o = opener_of(t, 44, "/bin/sh");
    OK(o && !o->pid); /* 3 s */
}

#define FULL (~0ull >> 23) /* every capability */
/* One more event of pid with these credentials; what the tracker says of it. */
static int with_creds(struct hf_track *t, uint32_t pid, uint32_t uid, uint32_t euid, uint64_t caps, uint32_t mnt_ns)
{
    struct hf_wire_hdr h = rec_hdr(pid, 1, pid * S, 0, 50 * S, "x");
    h.uid = uid;
    h.euid = euid;
    h.cap_eff = caps;
    h.mnt_ns = mnt_ns;
    return feed(t, rec_file(&r, h, (struct hf_wire_file){.op = HF_FILE_OPEN}, "/etc/passwd", ""));
}

/* A program that pid becomes, as this real and effective user. */
static int exec_file(struct hf_track *t, uint32_t pid, uint32_t uid, uint32_t euid, uint64_t caps, struct hf_wire_exec file)
{
    struct hf_wire_hdr h = rec_hdr(pid, 1, pid * S, 0, 10 * S, "x");
    h.uid = uid;
    h.euid = euid;
    h.cap_eff = caps;
    return feed(t, rec_exec(&r, h, file, "/bin/x", HF_S("x"), "/", HF_S("")));
}

static int exec_as(struct hf_track *t, uint32_t pid, uint32_t uid, uint64_t caps)
{
    return exec_file(t, pid, uid, uid, caps, (struct hf_wire_exec){.argc = 1, .mode = 0755});
}

static void credentials(void)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    exec_as(t, 90, 1000, 0);
    EQ_I(with_creds(t, 90, 1000, 1000, 0, 10), 1);
    EQ_I(with_creds(t, 90, 0, 0, FULL, 10), 2); /* root without any call that makes it so */
    EQ_U(cred.type, HF_EV_CRED);
    OK(cred.u.cred.what & HF_CRED_UNEXPLAINED);
    OK((cred.u.cred.what & (HF_CRED_ROOT | HF_CRED_CAPS | HF_CRED_UID)) == (HF_CRED_ROOT | HF_CRED_CAPS | HF_CRED_UID));
    EQ_U(cred.u.cred.old_euid, 1000);
    OK(cred.proc == ev.proc);
    EQ_I(with_creds(t, 90, 0, 0, FULL, 10), 1); /* told once */
    exec_as(t, 91, 1000, CAP_SETUID_BIT); /* it may: explained */
    EQ_I(with_creds(t, 91, 0, 0, CAP_SETUID_BIT, 10), 2);
    OK(!(cred.u.cred.what & HF_CRED_UNEXPLAINED) && (cred.u.cred.what & HF_CRED_ROOT));
    exec_as(t, 92, 0, FULL); /* root gives up rights: no alarm, and back within what it had neither */
    EQ_I(with_creds(t, 92, 33, 33, 0, 10), 2);
    EQ_U(cred.u.cred.what, HF_CRED_UID);
    exec_as(t, 93, 0, FULL);
    EQ_I(with_creds(t, 93, 0, 0, FULL, 99), 2); /* another mount namespace */
    EQ_U(cred.u.cred.what, HF_CRED_NS);
    exec_as(t, 94, 1000, 0);
    EQ_I(exec_file(t, 94, 1000, 0, FULL, (struct hf_wire_exec){.argc = 1, .mode = 04755}), 1); /* a set-uid program: exec sets the measure anew */
    EQ_I(with_creds(t, 94, 0, 0, FULL, 10), 2); /* which may make itself root altogether */
    OK(!(cred.u.cred.what & HF_CRED_UNEXPLAINED));
}

static bool unexplained(int rc) { return rc == 2 && (cred.u.cred.what & HF_CRED_UNEXPLAINED); }

/* What an exploit wrote into the kernel's records, at the first event that shows it. */
static void unexplained_rights(void)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    const uint64_t docker = 0xa80425fb; /* what docker gives root of a container */
    exec_as(t, 110, 1000, 0);
    OK(unexplained(exec_as(t, 110, 0, FULL))); /* the next program, without anything between */
    OK(cred.proc == ev.proc && cred.u.cred.old_uid == 1000);
    exec_as(t, 111, 1000, 0);
    OK(unexplained(exec_file(t, 111, 0, 0, FULL, (struct hf_wire_exec){.mode = 04755}))); /* hidden behind a set-uid program, which changes no real user */
    exec_as(t, 112, 1000, 0);
    OK(unexplained(exec_file(t, 112, 1000, 0, FULL, (struct hf_wire_exec){.mode = 04755, .exe_uid = 1000}))); /* or behind one's own */
    exec_as(t, 113, 1000, 0);
    EQ_I(exec_file(t, 113, 1000, 1000, 1u << 13, (struct hf_wire_exec){.mode = 0755}), 1); /* ping has a capability of its file */
    exec_as(t, 114, 0, docker);
    OK(unexplained(with_creds(t, 114, 0, 0, FULL, 10))); /* root of a container, now of the host */
    exec_as(t, 120, 0, docker);
    OK(unexplained(exec_as(t, 120, 0, FULL))); /* at once another program */
    exec_as(t, 121, 0, docker);
    EQ_I(with_creds(t, 121, 0, 0, 0, 10), 1); /* lays its capabilities down; the next program of root has them again */
    EQ_I(exec_as(t, 121, 0, docker), 1);
    struct hf_wire_hdr late = rec_hdr(122, 1, 122 * S, 0, 9 * S, "x"); /* of runc, told after the program that it became */
    late.cap_eff = FULL;
    exec_as(t, 122, 0, docker);
    EQ_I(feed(t, rec_file(&r, late, (struct hf_wire_file){.op = HF_FILE_OPEN}, "/etc/passwd", "")), 1);
    exec_as(t, 115, 0, docker);
    OK(unexplained(with_creds(t, 115, 0, 0, docker, 99))); /* mounts of another, without the right to enter them */
    exec_as(t, 116, 0, FULL);
    OK(!unexplained(with_creds(t, 116, 0, 0, FULL, 99))); /* nsenter */
    EQ_I(with_creds(t, 116, 0, 0, FULL, 0), 2); /* ends: it has given them up */
    OK(!unexplained(2));
    exec_file(t, 117, 1000, 1000, 0, (struct hf_wire_exec){.exec_flags = HF_X_HOLDS});
    OK(!unexplained(with_creds(t, 117, 1000, 1000, 1u << 13, 10))); /* arping puts a capability into effect that it had in store */
    struct hf_wire_hdr h = rec_hdr(118, 1, 118 * S, 0, 10 * S, "x");
    h.user_ns = 4026533000u;
    h.cap_eff = FULL;
    feed(t, rec_exec(&r, h, (struct hf_wire_exec){.argc = 1}, "/bin/x", HF_S("x"), "/", HF_S("")));
    h.user_ns = 4026531837u; /* nothing leads back into the first user namespace */
    OK(unexplained(feed(t, rec_file(&r, h, (struct hf_wire_file){.op = HF_FILE_OPEN}, "/etc/passwd", ""))));
    EQ_I(with_creds(t, 119, 1000, 1000, 0, 10), 1); /* one that was not seen from its start: what it had before is not known */
    OK(!unexplained(with_creds(t, 119, 0, 0, FULL, 10)));
}

/* Two containers, each in a network of its own. */
static void app_and_db(struct hf_track *t, struct hf_wire_hdr *ret_app, struct hf_wire_hdr *ret_db)
{
    container(t, 1000, HF_S("id\0app\0name\0app\0"), 1 * S);
    container(t, 2000, HF_S("id\0db\0name\0db\0"), 1 * S);
    exec(t, 101, 1, 1000, "/app", 2 * S);
    exec(t, 202, 1, 2000, "/usr/bin/postgres", 2 * S);
    *ret_app = rec_hdr(101, 1, 101 * S, 1000, 3 * S, "app");
    *ret_db = rec_hdr(202, 1, 202 * S, 2000, 3 * S, "postgres");
    ret_app->net_ns = 1;
    ret_db->net_ns = 2;
}

/* What a server starts is told with the connections that reached it. */
static void reached(void)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    struct hf_wire_hdr app, db;
    app_and_db(t, &app, &db);
    feed(t, rec_net(&r, app, HF_NET_ESTABLISHED, IPPROTO_TCP, "10.0.0.1", 40000, "10.0.0.2", 5432));
    uint64_t key = hf_connection_key(&ev);
    OK(!hf_reached_of(ev.proc, ev.time_ns));
    feed(t, rec_net(&r, db, HF_NET_ACCEPT, IPPROTO_TCP, "10.0.0.2", 5432, "10.0.0.1", 40000));
    EQ_U(hf_connection_key(&ev), key); /* the same at both ends */
    feed(t, rec_net(&r, db, HF_NET_ACCEPT, IPPROTO_TCP, "10.0.0.2", 5432, "10.0.0.1", 40001));
    OK(hf_connection_key(&ev) != key);
    exec(t, 303, 202, 2000, "/bin/sh", 4 * S);
    const struct hf_reached_list *l = hf_reached_of(ev.proc, ev.time_ns);
    OK(l && l->n == 1 && l->r[0].peer_port == 40001 && l->r[0].local_port == 5432); /* one place a peer, the last of it */
    OK(l && hf_span_eqz(hf_span(l->r[0].container, l->r[0].container_n), "app") && hf_span_eqz(hf_span(l->r[0].exe, l->r[0].exe_n), "/app"));
    for (uint16_t i = 0; i < 6; i++) {
        char peer[] = "203.0.113.0";
        peer[10] = (char)('1' + i);
        feed(t, rec_net(&r, db, HF_NET_ACCEPT, IPPROTO_TCP, "10.0.0.2", 5432, peer, 50000));
    }
    OK(l && l->n == HF_REACHED_MAX && l->r[0].peer[15] == 6 && l->r[3].peer[15] == 3 && l->r[0].container_n == 0);
    OK(!hf_reached_of(ev.proc, ev.time_ns + HF_REACHED_NS + 1)); /* long ago */
    exec(t, 404, 202, 1000, "/bin/sh", 5 * S); /* in another container: not of this server */
    OK(!hf_reached_of(ev.proc, ev.time_ns));
    /* over loopback it is another connection in each network namespace */
    feed(t, rec_net(&r, app, HF_NET_ESTABLISHED, IPPROTO_TCP, "127.0.0.1", 40000, "127.0.0.1", 5432));
    key = hf_connection_key(&ev);
    feed(t, rec_net(&r, db, HF_NET_ESTABLISHED, IPPROTO_TCP, "127.0.0.1", 40000, "127.0.0.1", 5432));
    OK(hf_connection_key(&ev) != key);
}

static void peers(void)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    struct hf_wire_hdr app, db;
    app_and_db(t, &app, &db);
    feed(t, rec_net(&r, db, HF_NET_LISTEN, IPPROTO_TCP, "10.0.0.2", 5432, "0.0.0.0", 0));
    feed(t, rec_net(&r, app, HF_NET_CONNECT, IPPROTO_TCP, "10.0.0.1", 40000, "10.0.0.2", 5432));
    OK(ev.peer_proc && ev.peer_proc->pid == 202); /* it listens there */
    OK(ev.peer_container && hf_span_eqz(ev.peer_container->name, "db"));
    feed(t, rec_net(&r, db, HF_NET_ACCEPT, IPPROTO_TCP, "10.0.0.2", 5432, "10.0.0.1", 40000));
    OK(ev.peer_proc && ev.peer_proc->pid == 101);
    OK(ev.peer_container && hf_span_eqz(ev.peer_container->name, "app"));
    feed(t, rec_net(&r, app, HF_NET_CONNECT, IPPROTO_TCP, "10.0.0.1", 40001, "93.184.216.34", 443));
    OK(!ev.peer_proc && !ev.peer_container && !ev.peer_name.n);
    /* "any" of another network is not this peer; on one's own loopback it is */
    feed(t, rec_net(&r, db, HF_NET_LISTEN, IPPROTO_TCP, "0.0.0.0", 9000, "0.0.0.0", 0));
    feed(t, rec_net(&r, app, HF_NET_CONNECT, IPPROTO_TCP, "127.0.0.1", 40002, "127.0.0.1", 9000));
    OK(!ev.peer_proc);
    feed(t, rec_net(&r, db, HF_NET_CONNECT, IPPROTO_TCP, "127.0.0.1", 40003, "127.0.0.1", 9000));
    OK(ev.peer_proc && ev.peer_proc->pid == 202);
    /* whose address it is was learnt from what its owner did: "any" there is this peer, and a port nobody is known to listen at is the container's */
    feed(t, rec_net(&r, app, HF_NET_CONNECT, IPPROTO_TCP, "10.0.0.1", 40004, "10.0.0.2", 9000));
    OK(ev.peer_proc && ev.peer_proc->pid == 202);
    feed(t, rec_net(&r, app, HF_NET_CONNECT, IPPROTO_TCP, "10.0.0.1", 40005, "10.0.0.2", 9001));
    OK(!ev.peer_proc && ev.peer_container && hf_span_eqz(ev.peer_container->name, "db"));
    /* the loopback of another is not one's own */
    feed(t, rec_net(&r, db, HF_NET_LISTEN, IPPROTO_TCP, "127.0.0.1", 9100, "0.0.0.0", 0));
    feed(t, rec_net(&r, app, HF_NET_CONNECT, IPPROTO_TCP, "127.0.0.1", 40006, "127.0.0.1", 9100));
    OK(!ev.peer_proc && !ev.peer_container);
    /* two networks have the same address: neither is believed, until the container that had it ends */
    struct hf_wire_hdr twin = rec_hdr(303, 1, 303 * S, 3000, 4 * S, "twin");
    twin.net_ns = 3;
    container(t, 3000, HF_S("id\0twin\0name\0twin\0"), 1 * S);
    exec(t, 303, 1, 3000, "/twin", 2 * S);
    feed(t, rec_net(&r, twin, HF_NET_LISTEN, IPPROTO_TCP, "10.0.0.2", 7000, "0.0.0.0", 0));
    feed(t, rec_net(&r, app, HF_NET_CONNECT, IPPROTO_TCP, "10.0.0.1", 40007, "10.0.0.2", 9001));
    OK(!ev.peer_proc && !ev.peer_container);
}

/* What the accepting end is told, once: not what a container on this host tells of itself. */
static void first_bytes(void)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    container(t, 1000, HF_S("id\0app\0name\0app\0"), 1 * S);
    container(t, 2000, HF_S("id\0db\0name\0db\0"), 1 * S);
    exec(t, 101, 1, 1000, "/app", 2 * S);
    exec(t, 202, 1, 2000, "/db", 2 * S);
    struct hf_wire_hdr app = rec_hdr(101, 1, 101 * S, 1000, 3 * S, "app"), db = rec_hdr(202, 1, 202 * S, 2000, 3 * S, "db"), host = rec_hdr(303, 1, 303 * S, 0, 3 * S, "curl");
    const struct {
        struct hf_wire_hdr from;
        const char *peer;
        bool told;
    } cases[] = {{app, "10.0.0.1", false}, {host, "10.0.0.9", true}, {{0}, "198.51.100.7", true}};
    for (size_t i = 0; i < HF_ARRAY_LEN(cases); i++) {
        if (cases[i].from.pid)
            feed(t, rec_net(&r, cases[i].from, HF_NET_ESTABLISHED, IPPROTO_TCP, cases[i].peer, 40000, "10.0.0.2", 5432));
        feed(t, rec_net(&r, db, HF_NET_ACCEPT, IPPROTO_TCP, "10.0.0.2", 5432, cases[i].peer, 40000));
        struct hf_span s = rec_payload(&r, db, HF_PAYLOAD_IN, IPPROTO_TCP, "10.0.0.2", 5432, cases[i].peer, 40000, HF_S("hello"));
        EQ_I(feed(t, s), 1); /* as if it had connected itself */
        struct hf_wire_payload p;
        memcpy(&p, s.p, sizeof p);
        p.payload_flags = HF_PAYLOAD_ACCEPTED;
        memcpy(r.p, &p, sizeof p);
        EQ_I(feed(t, hf_span(r.p, s.n)), cases[i].told);
    }
}

static void names(void)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    container(t, 1000, HF_S("id\0app\0"), 1 * S);
    exec(t, 101, 1, 1000, "/app", 2 * S);
    struct hf_wire_hdr app = rec_hdr(101, 1, 101 * S, 1000, 3 * S, "app");
    feed(t, rec_payload(&r, app, HF_PAYLOAD_IN, IPPROTO_UDP, "10.0.0.1", 40000, "10.0.0.53", 53,
                  HF_S("\x12\x34\x81\x80\0\1\0\1\0\0\0\0\7example\3com\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x5d\xb8\xd8\x22")));
    feed(t, rec_net(&r, app, HF_NET_CONNECT, IPPROTO_TCP, "10.0.0.1", 40001, "93.184.216.34", 443));
    EQ_S(ev.peer_name, "example.com");
    container(t, 2000, HF_S("id\0other\0"), 1 * S);
    exec(t, 202, 1, 2000, "/other", 2 * S);
    feed(t, rec_net(&r, rec_hdr(202, 1, 202 * S, 2000, 4 * S, "o"), HF_NET_CONNECT, IPPROTO_TCP, "10.0.0.3", 1, "93.184.216.34", 443));
    EQ_U(ev.peer_name.n, 0); /* what another container resolved is not this one's name */
}

static bool count_edges(void *ctx, const struct hf_edge *e)
{
    unsigned *n = ctx;
    n[0]++;
    n[1] += (unsigned)e->count;
    n[2] += (unsigned)e->bytes_out;
    return true;
}

static void edges(void)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    container(t, 1000, HF_S("id\0app\0"), 1 * S);
    exec(t, 101, 1, 1000, "/app", 2 * S);
    struct hf_wire_hdr app = rec_hdr(101, 1, 101 * S, 1000, 3 * S, "app");
    for (unsigned i = 0; i < 5; i++)
        feed(t, rec_net(&r, app, HF_NET_ESTABLISHED, IPPROTO_TCP, "10.0.0.1", 40000 + i, "93.184.216.34", 443));
    feed(t, rec_net(&r, app, HF_NET_ESTABLISHED, IPPROTO_TCP, "10.0.0.1", 41000, "93.184.216.34", 80));
    struct hf_wire_net close = {.h = app, .op = HF_NET_CLOSE, .protocol = IPPROTO_TCP, .local_port = 40000, .peer_port = 443, .bytes_out = 77};
    rec_addr(close.local, "10.0.0.1");
    rec_addr(close.peer, "93.184.216.34");
    rec_begin(&r, &close, sizeof close, HF_EV_NET);
    feed(t, rec_end(&r));
    unsigned n[3] = {0};
    hf_track_each_edge(t, count_edges, n);
    EQ_U(n[0], 2);
    EQ_U(n[1], 6);
    EQ_U(n[2], 77);
}

static void limits(void)
{
    const struct hf_track_limits small = {.max_procs = 64, .max_containers = 4, .max_text_bytes = 8192, .max_args_bytes = 64};
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(&small);
    exec(t, 1, 0, 0, "/sbin/init", 1);
    exec(t, 2, 1, 0, "/usr/sbin/server", 2);
    for (uint32_t pid = 100; pid < 5000; pid++) { /* a fork bomb of children that end */
        fork_(t, 2, pid, 0, pid * S);
        exec(t, pid, 2, 0, "/bin/a-program-with-some-longer-name", pid * S + 1);
        if (pid % 2)
            exit_(t, pid, 0, pid * S + 2);
    }
    struct hf_track_stats s;
    hf_track_stats(t, &s);
    OK(s.procs <= 64 && s.text_bytes <= 8192);
    OK(hf_track_proc(t, 2, 0) && hf_track_proc(t, 1, 0)); /* ancestors of the living stay */
    OK(hf_track_proc(t, 4999, 0) && hf_track_proc(t, 4999, 0)->parent == hf_track_proc(t, 2, 0));
    for (uint64_t id = 1; id < 40; id++)
        container(t, id, HF_S("id\0x\0"), id * S);
    hf_track_stats(t, &s);
    EQ_U(s.containers, 4); /* the living are not thrown out for new ones */
    struct hf_wire_hdr end = {.cgroup_id = 1, .time_ns = 50 * S, .flags = HF_F_NO_PROC};
    rec_begin(&r, &end, sizeof end, HF_EV_CONTAINER_END);
    feed(t, rec_end(&r));
    EQ_I(container(t, 77, HF_S("id\0y\0"), 51 * S), 1); /* an ended one is */
    OK(hf_track_container(t, 77) && !hf_track_container(t, 1));
}

static void runtime_exec(struct hf_track *t, uint32_t pid, uint32_t ppid, uint64_t cgroup, const char *path, const char *args, size_t args_n, const char *comm)
{
    feed(t, rec_exec(&r, rec_hdr(pid, ppid, pid * S, cgroup, pid * S, comm), (struct hf_wire_exec){.parent_start_ns = ppid * S}, path, hf_span(args, args_n), "/", HF_S("")));
}

/* Runtimes that enter the container's group themselves, before or after they begin to act: neither the container's first process nor a session. */
static void sessions_through_a_runtime_within(void)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    exec(t, 1, 0, 0, "/usr/bin/conmon", 1 * S);
    container(t, 70, HF_S("id\0aaaa\0name\0web\0"), 2 * S);
    runtime_exec(t, 30, 1, 70, "", "runc\0init\0", 10, "runc:[0:PARENT]");
    OK(ev.proc && hf_proc_is_runtime(ev.proc) && ev.proc->session == HF_SESSION_NONE);
    runtime_exec(t, 30, 1, 70, "/usr/sbin/runc", "/usr/bin/runc\0init\0", 19, "exe"); /* podman calls it by its path */
    OK(ev.proc && hf_proc_is_runtime(ev.proc));
    runtime_exec(t, 36, 1, 70, "", "/usr/bin/crun\0--x\0", 18, "3");
    OK(ev.proc && hf_proc_is_runtime(ev.proc));
    fork_(t, 36, 37, 70, 37 * S); /* what crun becomes the container's program in */
    OK(hf_track_proc(t, 37, 37 * S) && hf_proc_is_runtime(hf_track_proc(t, 37, 37 * S)));
    exec(t, 31, 30, 70, "/bin/server", 31 * S); /* in the host's process namespace: not number 1 */
    EQ_U(ev.proc->session, HF_SESSION_NONE);
    exec(t, 32, 31, 70, "/bin/worker", 32 * S);
    EQ_U(ev.proc->session, HF_SESSION_NONE);
    runtime_exec(t, 40, 1, 70, "/usr/bin/crun", "crun\0exec\0", 10, "crun");
    OK(ev.proc && hf_proc_is_runtime(ev.proc));
    exec(t, 41, 40, 70, "/bin/true", 41 * S);
    EQ_U(ev.proc->session, HF_SESSION_EXEC);
    runtime_exec(t, 42, 31, 70, "/usr/bin/crun", "crun\0exec\0", 10, "crun"); /* the container's own process of that name */
    OK(ev.proc && !hf_proc_is_runtime(ev.proc));
    exec(t, 43, 42, 70, "/bin/true", 43 * S);
    EQ_U(ev.proc->session, HF_SESSION_NONE);
    runtime_exec(t, 44, 999, 70, "/tmp/runc", "runc\0init\0", 10, "runc"); /* whose parent nobody knows */
    OK(ev.proc && !hf_proc_is_runtime(ev.proc));
    struct hf_wire_hdr h = rec_hdr(38, 1, 38 * S, 70, 38 * S, "3");
    h.mnt_ns = 77; /* started within: the first program of an exec session that poses as the runtime */
    feed(t, rec_exec(&r, h, (struct hf_wire_exec){.parent_start_ns = 1 * S}, "", hf_span("/usr/bin/crun\0", 14), "/", HF_S("")));
    OK(ev.proc && !hf_proc_is_runtime(ev.proc));
    EQ_U(ev.proc->session, HF_SESSION_EXEC);
}

/* One that was there before the sensor: /proc says where it is now, not where it was started, and of a mount that hangs nowhere no path. */
static void there_before(struct hf_track *t, uint32_t pid, uint32_t ppid, uint64_t cgroup, uint32_t mnt_ns, uint64_t inode, const char *path, const char *comm)
{
    struct hf_wire_hdr h = rec_hdr(pid, ppid, pid * S, cgroup, pid * S, comm);
    h.mnt_ns = mnt_ns;
    feed(t, rec_program(&r, HF_EV_PROC, h, (struct hf_wire_exec){.inode = inode, .dev = 8}, path, hf_span("runc\0init\0", 10), "/", HF_S("")));
}

static void runtime_that_was_there_before(void)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    there_before(t, 1, 0, 0, 10, 500, "/usr/bin/containerd-shim-runc-v2", "containerd-shim");
    there_before(t, 20, 1, 0, 10, 600, "/usr/sbin/runc", "runc");
    container(t, 70, HF_S("id\0aaaa\0name\0web\0"), 2 * S);
    there_before(t, 21, 20, 70, 77, 600, "", "runc:[2:INIT]"); /* in the container's namespaces already */
    OK(ev.proc && hf_proc_is_runtime(ev.proc));
    EQ_S(ev.proc->exe, "/usr/sbin/runc");
    there_before(t, 22, 20, 70, 77, 601, "/tmp/runc", "runc:[2:INIT]"); /* another file of that name */
    OK(ev.proc && !hf_proc_is_runtime(ev.proc));
    there_before(t, 23, 1, 70, 77, 602, "", "runc:[2:INIT]"); /* without a path, and not its parent's */
    OK(ev.proc && !hf_proc_is_runtime(ev.proc) && !ev.proc->exe.n);
    there_before(t, 24, 22, 70, 77, 601, "/tmp/runc", "runc:[2:INIT]"); /* a copy of the container's own */
    OK(ev.proc && !hf_proc_is_runtime(ev.proc));
}

/* What the guard says of a process: it brings number and start, and has no more of what the tracker knows. */
static void judged(struct hf_track *t, uint32_t pid, uint64_t start_ns, uint64_t cgroup, const char *comm)
{
    struct hf_wire_verdict v = {.h = rec_hdr(pid, 1, start_ns, cgroup, 90 * S, comm), .path_len = 1};
    v.h.flags = HF_F_PID_ONLY;
    v.h.ns_pid = 0;
    rec_begin(&r, &v, sizeof v, HF_EV_VERDICT);
    rec_text(&r, HF_S("x"));
    feed(t, rec_end(&r));
}

static void who_was_judged(void)
{
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    exec(t, 1, 0, 0, "/sbin/init", 1 * S);
    exec(t, 20, 1, 70, "/usr/bin/perl", 20 * S);
    judged(t, 20, 20 * S, 70, "perl");
    OK(ev.proc && ev.proc->pid == 20 && ev.h->ns_pid == ev.proc->ns_pid && ev.h->ns_pid);
    EQ_S(ev.proc->exe, "/usr/bin/perl");
    judged(t, 20, 60 * S, 70, "late"); /* another one has the number by now, and nothing else was told of it */
    OK(ev.proc && ev.proc->start_ns == 60 * S && !ev.proc->exe.n);
    EQ_S(ev.proc->comm, "late");
    judged(t, 99, 0, 70, "none");
    OK(!ev.proc);
}

/* A session's first process goes when what lies between it and the rest of its session is gone already. */
/* Starters that ended and whose children live on (a container's first program has such) do not cost the living their places. */
static void storm_beside_quiet_ones(void)
{
    const struct hf_track_limits some = {.max_procs = 512};
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(&some);
    exec(t, 5, 1, 0, "/usr/sbin/quiet", 5 * S);
    for (uint32_t i = 0; i < 100; i++) {
        exec(t, 1000 + i, 1, 0, "/usr/sbin/starter", 6 * S);
        fork_(t, 1000 + i, 2000 + i, 0, 6 * S);
        exit_(t, 1000 + i, 0, 7 * S);
    }
    exec(t, 6, 1, 0, "/bin/storm", 8 * S);
    for (uint32_t i = 0; i < 2000; i++) {
        fork_(t, 6, 10000 + i, 0, 9 * S);
        exit_(t, 10000 + i, 0, 9 * S);
    }
    struct hf_proc *quiet = hf_track_proc(t, 5, 5 * S);
    OK(quiet != NULL);
    EQ_S(quiet ? quiet->exe : HF_S(""), "/usr/sbin/quiet");
}

static void session_root_evicted(void)
{
    const struct hf_track_limits tiny = {.max_procs = 4};
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(&tiny);
    exec(t, 10, 1, 0, "/usr/sbin/sshd", 1 * S);
    exec(t, 11, 10, 0, "/bin/bash", 2 * S); /* begins the session */
    exec(t, 12, 11, 0, "/usr/bin/make", 3 * S);
    exec(t, 13, 12, 0, "/bin/sh", 4 * S);
    const struct hf_proc *sh = hf_track_proc(t, 13, 13 * S);
    OK(sh && sh->session_root && sh->session_root->pid == 11);
    exec(t, 11, 10, 0, "/bin/bash", 5 * S); /* 12 is now the longest silent */
    exec(t, 10, 1, 0, "/usr/sbin/sshd", 6 * S);
    fork_(t, 13, 14, 0, 7 * S); /* 12 goes */
    OK(!hf_track_proc(t, 12, 12 * S));
    fork_(t, 13, 15, 0, 8 * S);
    fork_(t, 13, 16, 0, 9 * S);
    sh = hf_track_proc(t, 13, 13 * S);
    OK(sh && !hf_track_proc(t, 11, 11 * S));
    OK(sh && !sh->session_root && !sh->parent);
}

static void loops(void)
{
    /* A stream that says a and b are each other's parents. */
    hf_cleanup(hf_track_freep) struct hf_track *t = fresh(NULL);
    exec(t, 5, 6, 0, "/a", 1);
    exec(t, 6, 5, 0, "/b", 2);
    exec(t, 5, 6, 0, "/a", 3);
    exec(t, 7, 7, 0, "/c", 4);
    unsigned depth = 0;
    for (const struct hf_proc *p = hf_track_proc(t, 5, 0); p && depth < 10; p = p->parent)
        depth++;
    OK(depth < 10);
    OK(!hf_track_proc(t, 7, 0)->parent);
}

static struct hf_event verdict_of(struct hf_track *t, struct hf_wire_hdr h, unsigned verdict, const char *path)
{
    static struct rec v;
    struct hf_event e;
    struct hf_wire_verdict w = {.h = h, .verdict = verdict, .use = HF_USE_EXEC, .path_len = (__u16)strlen(path)};
    rec_begin(&v, &w, sizeof w, HF_EV_VERDICT);
    rec_text(&v, hf_span_z(path));
    EQ_I(hf_event_decode(rec_end(&v), &e, NULL), 0);
    OK(hf_track_event(t, &e, NULL) >= 0);
    return e;
}

/* What runs and is not as the image has it: who wrote it, and in whose run. */
static void writers(void)
{
    static struct rec rr;
    hf_cleanup(hf_track_freep) struct hf_track *t = NULL;
    struct hf_event e;
    EQ_I(hf_track_new(&t, NULL, NULL), 0);
    struct hf_wire_hdr c = {.cgroup_id = 500, .time_ns = 1, .flags = HF_F_NO_PROC}, sh = rec_hdr(11, 1, 1000000000, 500, 2000000000, "sh"), dpkg = rec_hdr(12, 11, 2000000000, 500, 3000000000, "dpkg"),
                       helper = rec_hdr(13, 12, 3000000000, 500, 4000000000, "dpkg-deb");
#define TAKE(span)                                       \
    do {                                                 \
        EQ_I(hf_event_decode((span), &e, NULL), 0);      \
        OK(hf_track_event(t, &e, NULL) >= 0);            \
    } while (0)
    TAKE(rec_pairs(&rr, c, HF_EV_CONTAINER, HF_S("id\0abc\0name\0web\0")));
    TAKE(rec_exec(&rr, sh, (struct hf_wire_exec){.argc = 1}, "/bin/sh", HF_S("sh\0-c\0printf"), "/", HF_S("")));
    TAKE(rec_file(&rr, sh, (struct hf_wire_file){.op = HF_FILE_WRITE}, "/bin/ls", ""));
    e = verdict_of(t, sh, HF_VERDICT_CHANGED, "/bin/ls");
    OK(e.writer != NULL);
    if (e.writer) {
        EQ_S(e.writer->exe, "/bin/sh");
        EQ_U(e.writer->pid, 11);
        EQ_U(e.writer->manager.n, 0);
    }
    e = verdict_of(t, sh, HF_VERDICT_FOREIGN, "/bin/other");
    OK(e.writer == NULL);
    /* dpkg of the image, and what works for it */
    TAKE(rec_exec(&rr, dpkg, (struct hf_wire_exec){.argc = 1}, "/usr/bin/dpkg", HF_S("dpkg\0-i\0a.deb"), "/", HF_S("")));
    TAKE(rec_exec(&rr, helper, (struct hf_wire_exec){.argc = 1}, "/usr/bin/dpkg-deb", HF_S("dpkg-deb\0"), "/", HF_S("")));
    TAKE(rec_file(&rr, helper, (struct hf_wire_file){.op = HF_FILE_CREATE}, "/usr/bin/tool.dpkg-new", ""));
    TAKE(rec_file(&rr, dpkg, (struct hf_wire_file){.op = HF_FILE_RENAME}, "/usr/bin/tool.dpkg-new", "/usr/bin/tool"));
    e = verdict_of(t, sh, HF_VERDICT_FOREIGN, "/usr/bin/tool");
    OK(e.writer != NULL);
    if (e.writer) {
        EQ_S(e.writer->exe, "/usr/bin/dpkg-deb"); /* who wrote it, not who named it */
        EQ_S(e.writer->manager, "/usr/bin/dpkg");
        OK(e.writer->manager_key != 0);
    }
    e = verdict_of(t, sh, HF_VERDICT_FOREIGN, "/usr/bin/tool.dpkg-new"); /* the old name has no writer any more */
    OK(e.writer == NULL);
    /* it only had the name */
    (void)verdict_of(t, dpkg, HF_VERDICT_CHANGED, "/usr/bin/dpkg");
    e = verdict_of(t, sh, HF_VERDICT_FOREIGN, "/usr/bin/tool");
    OK(e.writer && e.writer->manager.n == 0 && e.writer->manager_key == 0);
    /* bounded */
    struct hf_track_stats s;
    for (unsigned i = 0; i < 5000; i++) {
        char path[32];
        snprintf(path, sizeof path, "/tmp/%u", i);
        EQ_I(hf_event_decode(rec_file(&rr, sh, (struct hf_wire_file){.op = HF_FILE_WRITE}, path, ""), &e, NULL), 0);
        e.time_ns = 10000000000u + i;
        OK(hf_track_event(t, &e, NULL) >= 0);
    }
    hf_track_stats(t, &s);
    OK(s.writers > 1000 && s.writers <= 2048);
    e = verdict_of(t, sh, HF_VERDICT_FOREIGN, "/tmp/4999");
    OK(e.writer != NULL);
#undef TAKE
}

int main(void)
{
    writers();
    lineage();
    pid_reuse();
    containers();
    moved_by_attach();
    sessions();
    session_openers();
    sessions_through_a_runtime_within();
    runtime_that_was_there_before();
    who_was_judged();
    credentials();
    unexplained_rights();
    peers();
    reached();
    first_bytes();
    names();
    edges();
    limits();
    storm_beside_quiet_ones();
    session_root_evicted();
    loops();
    return tap_done();
}
