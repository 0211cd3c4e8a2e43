// SPDX-License-Identifier: Apache-2.0
#include "protect/health-exec.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "protect/guard-map.h"

#define AT_ONCE 16u
#define ENV_BYTES 65536u
#define ENV_MAX 512u
#define GROUPS_MAX 64u
#define SAID_MAX 65536u /* more is too much */
#define LINGER_NS 300000000l
#define CGROUP_TEXT 65536u

struct hf_checks {
    int fd, pid;
    unsigned running;
};
struct order {
    uint64_t container;
    uint32_t pid, policy;
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* ---- one run: what is prepared outside ---- */

/* Namespaces in the order in which they are entered: the user namespace last, since the others need not belong to it. */
static const struct {
    const char *name;
    int flag;
} spaces[] = {{"net", CLONE_NEWNET}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"cgroup", 0x02000000}, {"pid", CLONE_NEWPID}, {"mnt", CLONE_NEWNS}, {"user", CLONE_NEWUSER}};

struct run {
    const struct hf_prot_health *check;
    const struct hf_hierarchy *h;
    uint64_t container;
    uint32_t pid;
    int proc, root, group, spaces[HF_ARRAY_LEN(spaces)];
    char group_path[1400], label[512];
    struct hf_buf cgroups, env;
    enum hf_check_result no; /* when it is not run */
    char said[256];
    size_t said_n, total;
};

static int read_at(int folder, const char *name, struct hf_buf *out)
{
    hf_autoclose int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    hf_buf_clear(out);
    for (char part[4096]; fd >= 0;) {
        ssize_t n = read(fd, part, sizeof part);
        if (n <= 0)
            return n < 0 ? -errno : hf_buf_ok(out) ? 0 : -EFBIG;
        hf_buf_add(out, part, (size_t)n);
    }
    return -errno;
}

static bool write_at(int folder, const char *name, const char *text)
{
    hf_autoclose int fd = openat(folder, name, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static bool holds(int folder, const char *name, const char *word)
{
    hf_autobuf text = HF_BUF_INIT(4096);
    return read_at(folder, name, &text) == 0 && hf_span_search(hf_buf_span(&text), hf_span_z(word)) != SIZE_MAX;
}

/* The process still is the container's, and where: a group below the one that it is in. */
static bool find_group(struct run *r)
{
    struct hf_span where;
    char path[1200];
    struct stat st;
    if (read_at(r->proc, "cgroup", &r->cgroups) < 0 || !hf_hierarchy_path(r->h, hf_buf_span(&r->cgroups), &where))
        return false;
    if (snprintf(r->group_path, sizeof r->group_path, "%s%.*s/holdfast-check-%d", r->h->mount, HF_SPAN_ARG(where), getpid()) >= 1300)
        return false;
    for (unsigned i = 0; i < HF_GUARD_LEVELS && where.n > 1; i++, where = hf_span_dirname(where)) {
        if (snprintf(path, sizeof path, "%s%.*s", r->h->mount, HF_SPAN_ARG(where)) >= (int)sizeof path)
            continue;
        if (stat(path, &st) == 0 && st.st_ino == r->container)
            return true;
    }
    return false;
}

/* The label that the container's programs run under, in the words that the attribute "exec" takes; empty: none. */
static bool find_label(struct run *r)
{
    hf_autobuf text = HF_BUF_INIT(512);
    if (read_at(r->proc, "attr/current", &text) < 0)
        return true; /* no such security module */
    struct hf_span l = hf_span_trim(hf_buf_span(&text));
    while (l.n && !l.p[l.n - 1])
        l.n--;
    size_t mode = hf_span_search(l, HF_S(" ("));
    if (!l.n || hf_span_eqz(l, "unconfined") || memchr(l.p, 0, l.n))
        return true;
    return snprintf(r->label, sizeof r->label, "%s%.*s", mode != SIZE_MAX ? "exec " : "", (int)HF_MIN(l.n, mode), l.p) < (int)sizeof r->label;
}

static bool is_frozen(const struct run *r)
{
    struct hf_hierarchy freezer;
    struct hf_span where;
    char path[1200];
    hf_autobuf text = HF_BUF_INIT(4096);
    if (holds(r->group, "../cgroup.events", "frozen 1"))
        return true;
    if (!hf_hierarchy_controller("freezer", &freezer) || !hf_hierarchy_path(&freezer, hf_buf_span(&r->cgroups), &where) ||
            snprintf(path, sizeof path, "%s%.*s/freezer.state", freezer.mount, HF_SPAN_ARG(where)) >= (int)sizeof path)
        return false;
    return read_at(AT_FDCWD, path, &text) == 0 && !hf_span_starts(hf_buf_span(&text), HF_S("THAWED"));
}

/* Before its first program a container's process is the runtime, with that one's user and environment: its program is none of the container's files. */
static bool has_begun(const struct run *r)
{
    char path[64], link[4096];
    struct stat exe, file;
    snprintf(path, sizeof path, "/proc/%u/exe", r->pid);
    ssize_t n = readlink(path, link, sizeof link);
    struct hf_span name = hf_span(link, n > 0 ? (size_t)n : 0);
    if (!name.n || hf_span_starts(name, HF_S("/memfd:")) || stat(path, &exe) < 0)
        return false;
    if (hf_span_ends(name, HF_S(" (deleted)"))) /* replaced since */
        return true;
    int fd = hf_open_in_root(r->root, name, O_PATH, NULL);
    bool same = fd >= 0 && fstat(fd, &file) == 0 && file.st_dev == exe.st_dev && file.st_ino == exe.st_ino;
    hf_closep(&fd);
    return same;
}

/* NULL: all is there; else what is not. */
static const char *prepare(struct run *r)
{
    char path[64];
    struct stat own, st;
    snprintf(path, sizeof path, "/proc/%u", r->pid);
    r->proc = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (r->proc < 0 || !find_group(r))
        return "its process is gone";
    for (size_t i = 0; i < HF_ARRAY_LEN(spaces); i++) {
        snprintf(path, sizeof path, "ns/%s", spaces[i].name);
        r->spaces[i] = openat(r->proc, path, O_RDONLY | O_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/ns/%s", spaces[i].name);
        if (r->spaces[i] < 0 || fstat(r->spaces[i], &st) < 0 || stat(path, &own) < 0)
            return "a namespace of it is not there";
        if (own.st_ino == st.st_ino)
            hf_closep(&r->spaces[i]);
    }
    if (r->spaces[5] < 0)
        return "it has the mount namespace of the host";
    r->root = openat(r->proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (r->root < 0 || !find_label(r))
        return "its root, or its security label, cannot be read";
    r->no = HF_CHECK_EARLY;
    if (!has_begun(r))
        return "its first program has not begun";
    r->no = HF_CHECK_NOT_RUN;
    if (read_at(r->proc, "environ", &r->env) < 0)
        hf_buf_clear(&r->env); /* longer than is taken: none of it */
    if (mkdir(r->group_path, 0755) < 0)
        return "no control group can be made below it";
    r->group = open(r->group_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->group < 0)
        return "no control group can be made below it";
    if (!is_frozen(r))
        return NULL;
    r->no = HF_CHECK_PAUSED;
    return "it is frozen";
}

/* ---- inside ---- */

/* What ended one of the two children that go inside; a program's own end is OWN and its code. */
enum { BAD_GROUP = 1, BAD_LABEL, BAD_SPACE, BAD_USER, BAD_RIGHTS, BAD_CALLS, BAD_EXEC, REFUSED, KILLED, OWN = 128 };

/* Into each of the container's control groups; where containers are told apart, into the group of this run. */
static bool join_groups(const struct run *r)
{
    for (struct hf_span rest = hf_buf_span(&r->cgroups), line, id, names, first; hf_span_line(&rest, &line);) {
        struct hf_hierarchy h = {.unified = true};
        char path[1300], controller[32];
        if (!hf_span_cut(&line, ':', &id) || !hf_span_cut(&line, ':', &names))
            continue;
        if (!hf_span_cut(&names, ',', &first))
            first = names;
        snprintf(controller, sizeof controller, "%.*s", (int)HF_MIN(first.n, sizeof controller - 1), first.n ? first.p : "");
        bool chosen = first.n ? !r->h->unified && hf_span_eqz(first, r->h->controller) : r->h->unified;
        if (chosen)
            continue;
        if (first.n ? hf_span_starts(first, HF_S("name=")) || !hf_hierarchy_controller(controller, &h) : !r->h->v2_mount[0])
            continue; /* without a controller, or nowhere mounted: it limits nothing */
        if (snprintf(path, sizeof path, "%s%.*s/cgroup.procs", first.n ? h.mount : r->h->v2_mount, HF_SPAN_ARG(line)) >= (int)sizeof path || !write_at(AT_FDCWD, path, "0"))
            return false;
    }
    return write_at(r->group, "cgroup.procs", "0");
}

/* The guard goes before others, and may be the last to be ended for want of memory; what runs in the container is as the container is. */
static void be_as_ordinary(const struct run *r)
{
    hf_autobuf text = HF_BUF_INIT(64);
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, r->pid));
    if (read_at(r->proc, "oom_score_adj", &text) == 0)
        (void)write_at(AT_FDCWD, "/proc/self/oom_score_adj", hf_buf_z(&text));
}

static bool set_label(const struct run *r)
{
    return !r->label[0] || write_at(AT_FDCWD, "/proc/thread-self/attr/exec", r->label);
}

static bool ids_of(struct hf_span line, const char *name, uint32_t *ret, size_t max, size_t *ret_n)
{
    uint64_t v;
    struct hf_span word;
    if (!hf_span_starts(line, hf_span_z(name)))
        return false;
    line = hf_span_trim(hf_span_from(line, strlen(name)));
    for (*ret_n = 0; line.n && *ret_n < max;) {
        size_t end = 0;
        while (end < line.n && line.p[end] != ' ' && line.p[end] != '\t')
            end++;
        word = hf_span_sub(line, 0, end);
        line = hf_span_trim(hf_span_from(line, end));
        if (hf_parse_u64(word, 10, 0, UINT32_MAX - 1, &v) < 0)
            return false;
        ret[(*ret_n)++] = (uint32_t)v;
    }
    return true;
}

/* User and groups of the container's process, numbered as its user namespace does, or those of the policy. */
static bool become(const struct run *r)
{
    hf_autobuf text = HF_BUF_INIT(16384);
    uint32_t uids[4] = {0}, gids[4] = {0}, groups[GROUPS_MAX];
    size_t n = 0, n_groups = 0, found = 0;
    if (read_at(r->proc, "status", &text) < 0)
        return false;
    for (struct hf_span rest = hf_buf_span(&text), line; hf_span_line(&rest, &line);)
        found += ids_of(line, "Uid:", uids, 4, &n) + ids_of(line, "Gid:", gids, 4, &n) + ids_of(line, "Groups:", groups, GROUPS_MAX, &n_groups);
    if (found != 3)
        return false;
    if (r->check->has_user) {
        uids[1] = r->check->uid;
        gids[1] = r->check->gid;
        n_groups = 0;
    }
    gid_t g[GROUPS_MAX];
    for (size_t i = 0; i < n_groups; i++)
        g[i] = groups[i];
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    return setgroups(n_groups, g) == 0 && setresgid(gids[1], gids[1], gids[1]) == 0 && setresuid(uids[1], uids[1], uids[1]) == 0;
}

static bool give_up_rights(void)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{.effective = 0}, {.effective = 0}};
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    return syscall(SYS_capset, &h, none) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

/* The container's own filter cannot be taken over; this one has no use for what a check does not need. */
static bool filter_calls(void)
{
    static const int no[] = {
            SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd), SCMP_SYS(kcmp), SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd),
            SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(move_mount), SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fspick), SCMP_SYS(mount_setattr),
            SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
            SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(acct), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl), SCMP_SYS(syslog),
            SCMP_SYS(quotactl), SCMP_SYS(open_by_handle_at), SCMP_SYS(name_to_handle_at), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register), SCMP_SYS(ioperm),
            SCMP_SYS(iopl), SCMP_SYS(modify_ldt), SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex), SCMP_SYS(sethostname), SCMP_SYS(setdomainname),
            SCMP_SYS(vhangup), SCMP_SYS(migrate_pages), SCMP_SYS(move_pages), SCMP_SYS(mbind), SCMP_SYS(fanotify_init), SCMP_SYS(lookup_dcookie), SCMP_SYS(mknod), SCMP_SYS(mknodat),
    };
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    int rc = ctx ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < HF_ARRAY_LEN(no); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), no[i], 0);
    /* a new user namespace is where the others are to be had; clone3 hides its flags: the C library goes back to clone */
    rc = rc < 0 ? rc : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
    rc = rc < 0 ? rc : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    rc = rc < 0 ? rc : seccomp_load(ctx);
    seccomp_release(ctx);
    return rc == 0;
}

static _Noreturn void program(struct run *r, int failed)
{
    char *argv[HF_PROT_ARGS + 1] = {NULL}, *envp[ENV_MAX + 1] = {NULL};
    size_t n = 0;
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < 32; s++)
        (void)signal(s, SIG_DFL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < r->check->exec.n && i < HF_PROT_ARGS; i++) {
        argv[i] = strndup(r->check->exec.v[i].p, r->check->exec.v[i].n);
        if (!argv[i])
            _exit(BAD_EXEC);
    }
    hf_buf_addc(&r->env, 0);
    for (size_t at = 0; hf_buf_ok(&r->env) && at < r->env.n && n < ENV_MAX; at += strlen(r->env.p + at) + 1)
        if (r->env.p[at])
            envp[n++] = r->env.p + at;
    (void)setsid();
    execve(argv[0], argv, envp);
    int why = errno;
    (void)!write(failed, &why, sizeof why);
    _exit(BAD_EXEC);
}

/* Enters the container, gives up what it has, and lets the program run: a child, since only that is in the new pid namespace. */
static _Noreturn void inside(struct run *r, int out)
{
    int failed[2], null = open("/dev/null", O_RDWR | O_CLOEXEC), status = 0, why = 0;
    (void)prctl(PR_SET_NAME, "holdfast-check");
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!join_groups(r))
        _exit(BAD_GROUP);
    be_as_ordinary(r);
    if (!set_label(r))
        _exit(BAD_LABEL);
    if (null < 0 || pipe2(failed, O_CLOEXEC) < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(BAD_SPACE);
    for (size_t i = 0; i < HF_ARRAY_LEN(spaces); i++) {
        if (r->spaces[i] >= 0 && setns(r->spaces[i], spaces[i].flag) < 0)
            _exit(BAD_SPACE);
        if (spaces[i].flag == CLONE_NEWNS && (fchdir(r->root) < 0 || chroot(".") < 0)) /* while there is the right to it: its root need not be that of its namespace */
            _exit(BAD_SPACE);
    }
    if (!become(r))
        _exit(BAD_USER);
    if (!give_up_rights())
        _exit(BAD_RIGHTS);
    if (!filter_calls())
        _exit(BAD_CALLS);
    (void)dup2(failed[1], 4); /* from now on somebody inside could look at what the child has open */
    (void)dup3(failed[0], 3, O_CLOEXEC);
    (void)fcntl(4, F_SETFD, FD_CLOEXEC);
    (void)syscall(SYS_close_range, 5u, ~0u, 0u);
    pid_t pid = fork();
    if (pid == 0)
        program(r, 4);
    close(4);
    close(1);
    close(2);
    if (pid < 0)
        _exit(BAD_EXEC);
    if (read(3, &why, sizeof why) != sizeof why)
        why = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (why)
        _exit(why == EPERM || why == EACCES ? REFUSED : BAD_EXEC);
    _exit(WIFEXITED(status) ? OWN + HF_MIN(WEXITSTATUS(status), 127) : WTERMSIG(status) == SIGKILL ? KILLED : OWN + 127);
}

/* ---- outside: until it ends, or has to ---- */

/* All that is in the group, and whoever they fork meanwhile. */
static void kill_group(const struct run *r)
{
    if (write_at(r->group, "cgroup.kill", "1")) /* 5.14 */
        return;
    for (unsigned round = 0; round < 100; round++) {
        hf_autobuf text = HF_BUF_INIT(1u << 20);
        uint64_t pid;
        bool any = false;
        if (read_at(r->group, "cgroup.procs", &text) < 0)
            return;
        for (struct hf_span rest = hf_buf_span(&text), line; hf_span_line(&rest, &line);)
            if (hf_parse_u64(line, 10, 2, INT32_MAX, &pid) == 0) {
                any = true;
                (void)kill((pid_t)pid, SIGKILL);
            }
        if (!any)
            return;
        (void)poll(NULL, 0, 2);
    }
}

static bool read_said(struct run *r, int fd)
{
    char part[4096];
    ssize_t n = read(fd, part, sizeof part);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    size_t keep = HF_MIN((size_t)n, sizeof r->said - r->said_n);
    memcpy(r->said + r->said_n, part, keep);
    r->said_n += keep;
    r->total += (size_t)n;
    return true;
}

static void answer_with(const struct run *r, enum hf_check_result result, const char *why, struct hf_check_answer *ret)
{
    hf_autobuf text = HF_BUF_INIT(512);
    struct hf_span rest = hf_span(r->said, r->said_n), line = {NULL, 0};
    if (!hf_span_line(&rest, &line))
        line = hf_span(r->said, r->said_n);
    hf_buf_addz(&text, why);
    if (line.n) {
        hf_buf_addz(&text, ": ");
        hf_buf_add_escaped(&text, hf_span_sub(line, 0, 64), 64);
    }
    *ret = (struct hf_check_answer){.container = r->container, .result = result};
    snprintf(ret->text, sizeof ret->text, "%s", hf_buf_z(&text));
}

static void judge(const struct run *r, int status, struct hf_check_answer *ret)
{
    static const char *const why[] = {[BAD_GROUP] = "its control groups could not be entered", [BAD_LABEL] = "its security label could not be taken", [BAD_SPACE] = "its namespaces could not be entered",
            [BAD_USER] = "its user could not be taken", [BAD_RIGHTS] = "privileges could not be given up", [BAD_CALLS] = "system calls could not be given up", [BAD_EXEC] = "the program could not be started",
            [REFUSED] = "the program was refused", [KILLED] = "the program was killed by somebody else"};
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : KILLED;
    char text[48];
    if (code < OWN) {
        answer_with(r, HF_CHECK_NOT_RUN, code > 0 && code <= KILLED ? why[code] : "it ended early", ret);
        return;
    }
    snprintf(text, sizeof text, "the program ended with %d", code - OWN);
    answer_with(r, code == OWN ? HF_CHECK_WELL : HF_CHECK_FAILED, code == OWN ? "" : text, ret);
}

static void attend(struct run *r, pid_t pid, int out, struct hf_check_answer *ret)
{
    uint64_t until = now_ms() + r->check->timeout_s * 1000u;
    siginfo_t done = {.si_pid = 0};
    int status = 0;
    bool open_end = true;
    while (!done.si_pid && now_ms() < until && r->total <= SAID_MAX) {
        struct pollfd p = {out, POLLIN, 0};
        (void)poll(&p, open_end ? 1 : 0, 20);
        open_end = open_end && (!p.revents || read_said(r, out));
        (void)waitid(P_PID, (id_t)pid, &done, WEXITED | WNOHANG | WNOWAIT);
    }
    while (open_end && done.si_pid && r->total <= SAID_MAX) { /* the rest of it, but for what a child of the program holds open */
        struct pollfd p = {out, POLLIN, 0};
        if (poll(&p, 1, 0) != 1 || !read_said(r, out))
            break;
    }
    if (r->total > SAID_MAX)
        answer_with(r, HF_CHECK_FAILED, "it says too much", ret);
    else if (!done.si_pid)
        answer_with(r, HF_CHECK_FAILED, "it takes too long", ret);
    if (!done.si_pid || r->total > SAID_MAX) {
        kill_group(r);
        (void)kill(pid, SIGKILL);
    } else {
        (void)waitid(P_PID, (id_t)pid, &done, WEXITED | WNOWAIT);
        status = done.si_code == CLD_EXITED ? done.si_status << 8 : done.si_status;
        judge(r, status, ret);
        kill_group(r); /* what it left behind */
    }
}

static _Noreturn void supervise(const struct hf_prot_set *policies, const struct hf_hierarchy *h, const struct order *o, int to_guard)
{
    struct run r = {.check = &hf_prot_at(policies, o->policy)->health, .h = h, .container = o->container, .pid = o->pid, .no = HF_CHECK_NOT_RUN, .proc = -1, .root = -1, .group = -1};
    struct hf_check_answer a;
    const struct timespec linger = {0, LINGER_NS};
    int out[2] = {-1, -1};
    pid_t pid = -1;
    (void)prctl(PR_SET_NAME, "holdfast-check");
    (void)signal(SIGCHLD, SIG_DFL);
    for (size_t i = 0; i < HF_ARRAY_LEN(spaces); i++)
        r.spaces[i] = -1;
    hf_buf_init(&r.cgroups, CGROUP_TEXT);
    hf_buf_init(&r.env, ENV_BYTES);
    const char *no = prepare(&r);
    if (!no && pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0)
        no = "no pipe";
    if (!no) {
        (void)fcntl(out[1], F_SETFL, 0); /* the program's end waits */
        pid = fork();
        no = pid < 0 ? "no process" : NULL;
    }
    if (pid == 0) {
        close(out[0]);
        close(to_guard);
        inside(&r, out[1]);
    }
    if (out[1] >= 0)
        close(out[1]);
    if (no)
        answer_with(&r, r.no, no, &a);
    else
        attend(&r, pid, out[0], &a);
    (void)!send(to_guard, &a, sizeof a, MSG_NOSIGNAL | MSG_DONTWAIT);
    nanosleep(&linger, NULL); /* so that whoever looks whose child the program was finds us */
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    for (unsigned i = 0; r.group >= 0 && i < 100 && rmdir(r.group_path) < 0 && errno == EBUSY; i++)
        (void)poll(NULL, 0, 10);
    _exit(0);
}

/* ---- the process that runs them ---- */

static bool keep_rights(void)
{
    static const uint64_t keep = 1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_SYS_PTRACE | 1ull << CAP_SYS_ADMIN | 1ull << CAP_SYS_CHROOT | 1ull << CAP_SETUID | 1ull << CAP_SETGID |
            1ull << CAP_SETPCAP | 1ull << CAP_KILL;
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2];
    if (syscall(SYS_capget, &h, d) < 0)
        return false;
    for (unsigned i = 0; i < 2; i++) {
        d[i].permitted &= (uint32_t)(keep >> 32 * i);
        d[i].effective = d[i].permitted;
        d[i].inheritable = 0;
    }
    return syscall(SYS_capset, &h, d) == 0;
}

static _Noreturn void serve(const struct hf_prot_set *policies, const struct hf_hierarchy *h, int fd)
{
    struct order o;
    ssize_t n;
    (void)prctl(PR_SET_NAME, "holdfast-checks");
    (void)signal(SIGCHLD, SIG_IGN); /* whoever ends is not waited for */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN); /* it ends with the guard */
    if (dup2(fd, 3) < 0 || syscall(SYS_close_range, 4u, ~0u, 0u) < 0 || !keep_rights())
        _exit(1);
    while ((n = recv(3, &o, sizeof o, 0)) > 0 || (n < 0 && errno == EINTR)) {
        if (n != sizeof o || o.policy >= hf_prot_count(policies))
            continue;
        pid_t pid = fork();
        if (pid == 0)
            supervise(policies, h, &o, 3);
        if (pid < 0) {
            struct hf_check_answer a = {.container = o.container, .result = HF_CHECK_NOT_RUN, .text = "no process"};
            (void)!send(3, &a, sizeof a, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
    }
    _exit(0);
}

int hf_checks_new(struct hf_checks **ret, const struct hf_prot_set *policies, const struct hf_hierarchy *h, struct hf_err *err)
{
    int pair[2];
    hf_cleanup(hf_checks_freep) struct hf_checks *c = calloc(1, sizeof *c);
    if (!c)
        return hf_fail(err, -ENOMEM, "no memory");
    c->fd = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return hf_fail(err, -errno, "checks cannot be run: %s", strerror(errno));
    c->fd = pair[0];
    c->pid = fork();
    if (c->pid == 0) {
        close(pair[0]);
        serve(policies, h, pair[1]);
    }
    close(pair[1]);
    if (c->pid < 0)
        return hf_fail(err, -errno, "checks cannot be run: %s", strerror(errno));
    *ret = hf_take(c);
    return 0;
}

void hf_checks_free(struct hf_checks *c)
{
    if (!c)
        return;
    hf_closep(&c->fd);
    while (c->pid > 0 && waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    free(c);
}

int hf_checks_ask(struct hf_checks *c, uint64_t container, uint32_t pid, uint32_t policy)
{
    const struct order o = {.container = container, .pid = pid, .policy = policy};
    if (c->running >= AT_ONCE)
        return -EAGAIN;
    if (send(c->fd, &o, sizeof o, MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof o)
        return errno == EAGAIN ? -EAGAIN : -EPIPE;
    c->running++;
    return 0;
}

bool hf_checks_answer(struct hf_checks *c, struct hf_check_answer *ret)
{
    if (recv(c->fd, ret, sizeof *ret, MSG_DONTWAIT) != sizeof *ret)
        return false;
    ret->text[sizeof ret->text - 1] = 0;
    c->running -= c->running > 0;
    return true;
}
