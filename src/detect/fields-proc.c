// SPDX-License-Identifier: Apache-2.0
/* What a condition can ask of processes, users and threads. */
#include "detect/fields-internal.h"
#include "event/caps.h"
#include "event/runtime.h"

#define ANCESTORS 64

struct hf_span hf_proc_argv0(const struct hf_proc *p)
{
    struct hf_span rest = p->args, first = {NULL, 0};
    (void)hf_span_cut(&rest, 0, &first);
    return first;
}

bool hf_proc_cmdline(struct hf_look *l, const struct hf_proc *p, bool with_name, struct hf_value *ret)
{
    size_t from = l->scratch.n;
    struct hf_span rest = p->args, arg;
    bool first = true, any = with_name;
    if (rest.n && rest.p[rest.n - 1] == 0)
        rest.n--;
    if (with_name)
        hf_buf_adds(&l->scratch, p->comm);
    while (hf_span_cut(&rest, 0, &arg)) {
        if (!first) {
            if (any)
                hf_buf_addc(&l->scratch, ' ');
            hf_buf_adds(&l->scratch, arg);
            any = true;
        }
        first = false;
    }
    return hf_value_made(l, from, ret);
}

static const struct hf_proc *ancestor(const struct hf_proc *p, int64_t n)
{
    for (int64_t i = 0; p && i < n; i++)
        p = p->parent;
    return p;
}

/* proc.aname[2]: that one; proc.aname: each of them in turn. */
static const struct hf_proc *nth_ancestor(const struct hf_proc *p, int64_t arg_n, unsigned nth)
{
    if (arg_n >= 0)
        return nth == 0 && arg_n <= ANCESTORS ? ancestor(p, arg_n) : NULL;
    return nth < ANCESTORS ? ancestor(p, (int64_t)nth + 1) : NULL;
}

static struct hf_span exe_of(const struct hf_proc *p)
{
    struct hf_span argv0 = hf_proc_argv0(p);
    return argv0.n ? argv0 : p->exe;
}

/* What was executed, by a name that the process cannot change: that of the file or, for a program of many names, the one it was called by,
 * which decides what it does. */
static struct hf_span program(const struct hf_proc *p)
{
    static const char *const many[] = {"busybox", "toybox", "coreutils", "uutils"};
    struct hf_span file = hf_span_basename(p->exe), args = p->args, first = {NULL, 0};
    for (size_t i = 0; i < HF_ARRAY_LEN(many); i++)
        if (hf_span_eqz(file, many[i]) && hf_span_cut(&args, 0, &first) && first.n)
            return hf_span_basename(first.p[0] == '-' ? hf_span_from(first, 1) : first);
    return file;
}

static bool of_process(struct hf_look *l, const struct hf_proc *p, unsigned id, struct hf_value *ret)
{
    if (!p)
        return false;
    switch (id) {
    case F_PROC_NAME:
    case F_PROC_PNAME:
    case F_PROC_ANAME:
        return hf_value_str(ret, p->comm);
    case F_PROC_EXE:
    case F_PROC_PEXE:
    case F_PROC_AEXE:
        return hf_value_str(ret, exe_of(p));
    case F_PROC_EXEPATH:
    case F_PROC_PEXEPATH:
    case F_PROC_AEXEPATH:
        return hf_value_str(ret, p->exe);
    case F_PROC_CMDLINE:
    case F_PROC_PCMDLINE:
    case F_PROC_ACMDLINE:
        return hf_proc_cmdline(l, p, true, ret);
    case F_PROC_APID:
        return hf_value_num(ret, p->pid);
    default:
        return false;
    }
}

static bool one_arg(const struct hf_proc *p, struct hf_span *ret, unsigned nth)
{
    struct hf_span rest = p->args, arg;
    if (rest.n && rest.p[rest.n - 1] == 0)
        rest.n--;
    for (unsigned i = 0; hf_span_cut(&rest, 0, &arg); i++)
        if (i == nth + 1) {
            *ret = arg;
            return true;
        }
    return false;
}

static bool environment(struct hf_look *l, const struct hf_proc *p, struct hf_span name, struct hf_value *ret)
{
    struct hf_span rest = p->env, one;
    if (!name.n) { /* all, a blank between */
        size_t from = l->scratch.n;
        while (hf_span_cut(&rest, 0, &one))
            if (one.n) {
                if (l->scratch.n > from)
                    hf_buf_addc(&l->scratch, ' ');
                hf_buf_adds(&l->scratch, one);
            }
        return hf_value_made(l, from, ret);
    }
    while (hf_span_cut(&rest, 0, &one))
        if (hf_span_starts(one, name) && one.n > name.n && one.p[name.n] == '=')
            return hf_value_str(ret, hf_span_from(one, name.n + 1));
    return false;
}

static bool caps(struct hf_look *l, uint64_t set, struct hf_value *ret)
{
    size_t from = l->scratch.n;
    for (unsigned i = 0; i < 41; i++)
        if (set & 1ull << i) {
            if (l->scratch.n > from)
                hf_buf_addc(&l->scratch, ' ');
            hf_buf_addz(&l->scratch, hf_cap_name(i));
        }
    return hf_value_made(l, from, ret);
}

static bool user(struct hf_look *l, uint32_t id, bool group, struct hf_value *ret)
{
    struct hf_span name = l->user_name ? l->user_name(l->user_ctx, id, group) : hf_span(NULL, 0);
    if (name.n)
        return hf_value_str(ret, name);
    if (id == UINT32_MAX)
        return hf_value_str(ret, HF_S("<NA>"));
    size_t from = l->scratch.n;
    hf_buf_addf(&l->scratch, "%u", id);
    return hf_value_made(l, from, ret);
}

/* Who opened the session: on the host, by whose login, or as whom the command ran; in a session by ssh or login itself. */
static bool session_user(struct hf_look *l, const struct hf_proc *p, struct hf_value *ret)
{
    const struct hf_opener *o = p->session_root && p->session_root->opener.pid ? &p->session_root->opener : NULL;
    return user(l, o ? o->login_uid != UINT32_MAX ? o->login_uid : o->uid : p->session == HF_SESSION_SSH || p->session == HF_SESSION_LOGIN ? p->login_uid : UINT32_MAX, false, ret);
}

static bool stdio_name(const struct hf_wire_stdio *s, struct hf_value *ret)
{
    static const char *const kinds[] = {"none", "file", "pipe", "socket", "tty", "null", "other"};
    if (s->kind == HF_STDIO_SOCKET && s->family != 1)
        return hf_value_str(ret, s->family == 10 ? HF_S("ipv6") : s->family == 2 ? HF_S("ipv4") : HF_S("socket"));
    return hf_value_str(ret, s->kind == HF_STDIO_SOCKET ? HF_S("unix") : hf_span_z(kinds[s->kind < 7 ? s->kind : 6]));
}

static const struct hf_proc *by_pid(const struct hf_proc *p, uint32_t pid)
{
    for (unsigned i = 0; p && i < ANCESTORS; p = p->parent, i++)
        if (p->pid == pid)
            return p;
    return NULL;
}

static bool numbers(struct hf_look *l, const struct hf_proc *p, unsigned id, struct hf_value *ret)
{
    uint64_t now = l->ev->h->time_ns;
    switch (id) {
    case F_PROC_TTY:
        return hf_value_num(ret, p->tty);
    case F_PROC_PID:
        return hf_value_num(ret, p->pid);
    case F_PROC_PPID:
        return hf_value_num(ret, p->ppid);
    case F_PROC_VPID:
        return hf_value_num(ret, p->ns_pid);
    case F_PROC_PVPID:
        return p->parent && hf_value_num(ret, p->parent->ns_pid);
    case F_PROC_SID:
        return hf_value_num(ret, p->sid);
    case F_PROC_VPGID:
        return hf_value_num(ret, p->pid);
    case F_PROC_IS_SID_LEADER:
        return hf_value_num(ret, p->sid == p->pid);
    case F_PROC_IS_VPGID_LEADER:
        return l->ev->type == HF_EV_EXEC && hf_value_num(ret, l->ev->u.exec.pgid == p->pid);
    case F_PROC_DURATION:
        return hf_value_num(ret, (int64_t)(now - p->start_ns));
    case F_PROC_PPID_DURATION:
        return p->parent && hf_value_num(ret, (int64_t)(now - p->parent->start_ns));
    case F_PROC_UPPER: /* content the image does not have: what was only copied up with its mode changed is no drift */
        return hf_value_num(ret, (p->exec_flags & HF_X_UPPER) != 0);
    case F_PROC_MEMFD:
        return hf_value_num(ret, (p->exec_flags & HF_X_MEMFD) != 0);
    case F_PROC_WRITABLE:
        return hf_value_num(ret, (p->exec_flags & HF_X_WRITABLE) != 0);
    case F_HF_DELETED:
        return hf_value_num(ret, (p->exec_flags & HF_X_DELETED) != 0);
    case F_HF_TMPFS:
        return hf_value_num(ret, (p->exec_flags & HF_X_TMPFS) != 0);
    case F_HF_COPIED:
        return hf_value_num(ret, (p->exec_flags & HF_X_COPIED_UP) != 0);
    case F_HF_SETUID:
        return hf_value_num(ret, (p->exec_flags & HF_X_SETUID) != 0);
    case F_HF_PROGRAM:
        return hf_value_str(ret, program(p));
    case F_HF_NAMELESS: /* newer kernels put an empty name where a caller gives no argument at all */
        return l->ev->type == HF_EV_EXEC && hf_value_num(ret, p->args.n == 0 || p->args.p[0] == 0);
    case F_HF_SCRIPT:
        return hf_value_num(ret, (p->exec_flags & HF_X_SCRIPT) != 0);
    case F_HF_KILLED:
        return hf_value_num(ret, (p->exec_flags & HF_X_KILLED) != 0);
    case F_HF_CWD_OUTSIDE:
        return hf_value_num(ret, (p->exec_flags & HF_X_CWD_OUTSIDE) != 0);
    case F_HF_ROOT_OUTSIDE:
        return hf_value_num(ret, (p->exec_flags & HF_X_ROOT_OUTSIDE) != 0);
    case F_HF_TRACED:
        return hf_value_num(ret, (l->ev->h->flags & HF_F_TRACED) != 0);
    case F_PROC_INODE:
        return hf_value_num(ret, (int64_t)p->inode);
    case F_PROC_INODE_CTIME:
        return l->ev->type == HF_EV_EXEC && hf_value_num(ret, (int64_t)l->ev->u.exec.ctime_ns);
    case F_PROC_INODE_CTIME_START:
        return l->ev->type == HF_EV_EXEC && hf_value_num(ret, (int64_t)(l->ev->time_ns - l->ev->u.exec.ctime_ns));
    case F_USER_UID:
        return hf_value_num(ret, p->euid);
    case F_USER_LOGINUID: /* "none" is -1 */
        return hf_value_num(ret, p->login_uid == UINT32_MAX ? -1 : (int64_t)p->login_uid);
    case F_GROUP_GID:
        return hf_value_num(ret, p->gid);
    case F_THREAD_TID:
        return hf_value_num(ret, l->ev->h->tid);
    default:
        return false;
    }
}

static bool words(struct hf_look *l, const struct hf_proc *p, unsigned id, struct hf_span arg, int64_t arg_n, unsigned nth, struct hf_value *ret)
{
    static const char *const sessions[] = {"", "exec", "ssh", "login", "check"};
    struct hf_span one;
    const struct hf_proc *other;
    switch (id) {
    case F_PROC_ARGS:
        return hf_proc_cmdline(l, p, false, ret);
    case F_PROC_ARG:
        return arg_n >= 0 ? nth == 0 && one_arg(p, &one, (unsigned)arg_n) && hf_value_str(ret, one) : one_arg(p, &one, nth) && hf_value_str(ret, one);
    case F_PROC_CMDNARGS: {
        unsigned n = 0;
        while (one_arg(p, &one, n))
            n++;
        return hf_value_num(ret, n);
    }
    case F_PROC_CMDLEN:
        return hf_proc_cmdline(l, p, false, ret) ? hf_value_num(ret, (int64_t)ret->str.n) : hf_value_num(ret, 0);
    case F_PROC_CWD:
        return hf_value_str(ret, p->cwd);
    case F_PROC_ENV:
        return environment(l, p, arg, ret);
    case F_PROC_SNAME:
        other = by_pid(p, p->sid);
        return other && hf_value_str(ret, other->comm);
    case F_PROC_VPGID_NAME:
    case F_PROC_VPGID_EXE:
        other = l->ev->type == HF_EV_EXEC ? by_pid(p, l->ev->u.exec.pgid) : NULL;
        return other && hf_value_str(ret, id == F_PROC_VPGID_NAME ? other->comm : exe_of(other));
    case F_PROC_STDIN:
    case F_PROC_STDOUT:
    case F_PROC_STDERR:
        return stdio_name(&p->stdio[id - F_PROC_STDIN], ret);
    case F_PROC_LOGINSHELLID:
        return p->session_root && hf_value_num(ret, p->session_root->pid);
    case F_USER_NAME:
        return user(l, p->euid, false, ret);
    case F_USER_LOGINNAME:
        return user(l, p->login_uid, false, ret);
    case F_GROUP_NAME:
        return user(l, p->gid, true, ret);
    case F_THREAD_CAP_EFF:
    case F_THREAD_CAP_PERM:
        return caps(l, p->cap_eff, ret);
    case F_HF_SESSION:
        return hf_value_str(ret, hf_span_z(sessions[p->session < 4 ? p->session : 0]));
    case F_HF_SESSION_USER:
        return session_user(l, p, ret);
    case F_HF_RUNTIME:
        return hf_value_num(ret, hf_proc_is_runtime(p));
    case F_HF_CONTAINER_MAIN:
        return p->container && hf_value_num(ret, p->session == HF_SESSION_NONE && (!p->parent || p->parent->container != p->container));
    default:
        return numbers(l, p, id, ret);
    }
}

bool hf_field_proc(struct hf_look *l, unsigned id, struct hf_span arg, int64_t arg_n, unsigned nth, struct hf_value *ret)
{
    const struct hf_proc *p = l->ev->proc;
    if (!p)
        return false;
    switch (id) {
    case F_PROC_NAME:
    case F_PROC_EXE:
    case F_PROC_EXEPATH:
    case F_PROC_CMDLINE:
        return nth == 0 && of_process(l, p, id, ret);
    case F_PROC_PNAME:
    case F_PROC_PCMDLINE:
    case F_PROC_PEXE:
    case F_PROC_PEXEPATH:
        return nth == 0 && of_process(l, p->parent, id, ret);
    case F_PROC_ANAME:
    case F_PROC_AEXE:
    case F_PROC_AEXEPATH:
    case F_PROC_ACMDLINE:
    case F_PROC_APID:
        return of_process(l, nth_ancestor(p, arg_n, nth), id, ret);
    case F_PROC_ARG:
        return words(l, p, id, arg, arg_n, nth, ret);
    default:
        return nth == 0 && words(l, p, id, arg, arg_n, nth, ret);
    }
}
