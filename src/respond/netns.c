// SPDX-License-Identifier: Apache-2.0
#include "respond/netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/library.h"
#include "respond/target.h"
#include "sensor/containers/cgroup-path.h"
#include "sensor/frames.h"

uint64_t hf_netns_of(pid_t pid)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

static int netns_fd(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static uint64_t ino_of(int fd)
{
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

void hf_netns_list_done(struct hf_netns_list *l)
{
    while (l->n)
        close(l->v[--l->n].fd);
}

/* Whether a namespace is used by a process that is in no container as far as its control group tells: then it is a host's, whichever that is (this
 * program may itself run in another namespace than the daemon, and both than process 1). */
static bool used_outside(const struct hf_target *t, uint64_t ino)
{
    DIR *d = opendir("/proc");
    bool found = !d; /* what cannot be seen is not touched */
    for (struct dirent *e; d && !found && (e = readdir(d));) {
        hf_autobuf text = HF_BUF_INIT(65536);
        struct hf_err ignored = HF_ERR_INIT;
        struct hf_cgroup_id id;
        struct hf_span path;
        char name[64];
        uint64_t pid;
        if (hf_parse_u64(hf_span_z(e->d_name), 10, 1, INT32_MAX, &pid) < 0 || hf_netns_of((pid_t)pid) != ino || hf_target_has(t, (pid_t)pid))
            continue;
        snprintf(name, sizeof name, "/proc/%d/cgroup", (int)pid);
        if (hf_read_file(name, &text, &ignored) == 0 && hf_hierarchy_path(&t->h, hf_buf_span(&text), &path))
            found = !hf_cgroup_path_parse(path, &id) && hf_netns_of((pid_t)pid) == ino;
    }
    if (d)
        closedir(d);
    return found;
}

int hf_netns_list(const struct hf_target *t, struct hf_netns_list *ret, struct hf_err *err)
{
    hf_autofree pid_t *pids = calloc(HF_TARGET_PROCS, sizeof *pids);
    hf_cleanup(hf_netns_list_done) struct hf_netns_list l = {.n = 0};
    uint64_t host = hf_netns_of(1), own = hf_netns_of(getpid()); /* where this program runs is the host, too */
    size_t n;
    int rc = pids ? hf_target_procs(t->dir, pids, HF_TARGET_PROCS, &n, err) : hf_fail(err, -ENOMEM, "no memory for the processes");
    if (rc < 0)
        return rc;
    for (size_t i = 1; i < n; i++) /* the first of the container, which lives longest, stands for those in its namespace */
        if ((uint32_t)pids[i] == t->init_pid) {
            pids[i] = pids[0];
            pids[0] = (pid_t)t->init_pid;
        }
    for (size_t i = 0; i < n; i++) {
        hf_autoclose int fd = netns_fd(pids[i]);
        uint64_t ino = ino_of(fd);
        bool known = !ino;
        for (size_t k = 0; k < l.n && !known; k++)
            known = l.v[k].ino == ino;
        l.host |= ino && (ino == host || ino == own);
        if (known || ino == host || ino == own)
            continue;
        if (used_outside(t, ino)) {
            l.host = true;
            continue;
        }
        if (l.n == HF_NETNS_MAX)
            return hf_fail(err, HF_E_LIMIT, "the container's processes are in more than %u network namespaces", HF_NETNS_MAX);
        l.v[l.n++] = (struct hf_netns){ino, pids[i], fd};
        fd = -1;
    }
    *ret = l;
    l.n = 0;
    return 0;
}

uint64_t hf_netns_xdp_of(struct hf_span protocols)
{
    struct hf_span line, word;
    uint64_t n;
    while (hf_span_line(&protocols, &line)) {
        unsigned column = 0;
        if (!hf_span_starts(line, HF_S("XDP ")))
            continue;
        while (hf_span_cut(&line, ' ', &word)) /* name, size of one, how many */
            if (word.n && ++column == 3)
                return hf_parse_u64(word, 10, 0, UINT32_MAX, &n) == 0 ? n : 0;
    }
    return 0;
}

uint64_t hf_netns_xdp(const struct hf_netns_list *l)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < l->n; i++) {
        hf_autobuf text = HF_BUF_INIT(65536);
        struct hf_err ignored = HF_ERR_INIT;
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/net/protocols", (int)l->v[i].pid);
        if (hf_read_file(path, &text, &ignored) == 0)
            sum += hf_netns_xdp_of(hf_buf_span(&text));
    }
    return sum;
}

/* ---- the child ---- */

struct answer {
    int32_t rc;
    uint32_t n;
    char msg[512];
};

static int enter(const struct hf_netns *ns, struct hf_err *err)
{
    if (ns->ino == hf_netns_of(getpid()) || ns->ino == hf_netns_of(1)) /* whatever the caller thought */
        return hf_fail(err, -EPERM, "refused: that is the host's network namespace");
    if (setns(ns->fd, CLONE_NEWNET) < 0)
        return hf_fail(err, -errno, "the container's network namespace cannot be entered: %s", strerror(errno));
    return 0;
}

static void write_all(int fd, const void *p, size_t n)
{
    for (const char *at = p; n;) {
        ssize_t done = write(fd, at, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;
        at += done;
        n -= (size_t)done;
    }
}

static _Noreturn void child(const struct hf_netns *ns, hf_netns_fn fn, void *ctx, size_t max, int fd)
{
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf out = HF_BUF_INIT(max);
    struct answer a = {.rc = 0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    a.rc = enter(ns, &err);
    a.rc = a.rc < 0 ? a.rc : fn(ctx, &out, &err);
    a.n = (uint32_t)out.n;
    snprintf(a.msg, sizeof a.msg, "%s", err.msg);
    write_all(fd, &a, sizeof a);
    write_all(fd, out.p, out.n);
    _exit(0);
}

static bool read_all(int fd, void *p, size_t n, uint64_t end_ns)
{
    for (char *at = p; n;) {
        uint64_t now = hf_boot_ns();
        struct pollfd f = {fd, POLLIN, 0};
        if (now >= end_ns || (poll(&f, 1, (int)((end_ns - now) / 1000000u) + 1) <= 0 && errno != EINTR))
            return false;
        ssize_t got = f.revents ? read(fd, at, n) : 0;
        if (got < 0 && errno != EINTR)
            return false;
        if (f.revents && got == 0)
            return false;
        at += HF_MAX(got, 0);
        n -= (size_t)HF_MAX(got, 0);
    }
    return true;
}

int hf_netns_run(const struct hf_netns *ns, hf_netns_fn fn, void *ctx, struct hf_buf *out, struct hf_err *err)
{
    int ends[2];
    struct answer a = {.rc = 0};
    uint64_t end = hf_boot_ns() + HF_NETNS_MS * 1000000ull;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return hf_fail(err, -errno, "no pipe: %s", strerror(errno));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        child(ns, fn, ctx, out->max, ends[1]);
    close(ends[1]);
    bool good = pid > 0 && read_all(ends[0], &a, sizeof a, end) && a.n <= out->max - out->n &&
            (!a.n || (hf_buf_reserve(out, a.n) && read_all(ends[0], out->p + out->n, a.n, end)));
    close(ends[0]);
    if (pid < 0)
        return hf_fail(err, -EAGAIN, "no process to enter the network namespace");
    if (!good)
        kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (!good)
        return hf_fail(err, -ETIMEDOUT, "the work in the network namespace was not finished within %u s", HF_NETNS_MS / 1000);
    out->n += a.n;
    a.msg[sizeof a.msg - 1] = 0;
    return a.rc < 0 ? hf_fail(err, a.rc, "%s", a.msg) : a.rc;
}

/* ---- libnftables(3) ---- */

struct nft_ctx;

int hf_nft(const char *commands, struct hf_buf *out, struct hf_err *err)
{
    struct {
        struct nft_ctx *(*ctx_new)(uint32_t flags);
        void (*ctx_free)(struct nft_ctx *);
        int (*buffer_output)(struct nft_ctx *), (*buffer_error)(struct nft_ctx *), (*run)(struct nft_ctx *, const char *);
        const char *(*get_output)(struct nft_ctx *), *(*get_error)(struct nft_ctx *);
    } l;
#define SYMBOL(name, member) {name, offsetof(__typeof__(l), member)}
    static const struct hf_symbol symbols[] = {SYMBOL("nft_ctx_new", ctx_new), SYMBOL("nft_ctx_free", ctx_free), SYMBOL("nft_ctx_buffer_output", buffer_output), SYMBOL("nft_ctx_buffer_error", buffer_error),
            SYMBOL("nft_run_cmd_from_buffer", run), SYMBOL("nft_ctx_get_output_buffer", get_output), SYMBOL("nft_ctx_get_error_buffer", get_error)};
#undef SYMBOL
    const char *problem = hf_library("libnftables.so.1", symbols, HF_ARRAY_LEN(symbols), &l);
    if (problem)
        return hf_fail(err, HF_E_UNSUPPORTED, "libnftables cannot be loaded (%s); install the package libnftables1", problem);
    struct nft_ctx *c = l.ctx_new(0);
    if (!c || l.buffer_output(c) || l.buffer_error(c))
        return hf_fail(err, HF_E_UNSUPPORTED, "libnftables does not work here"); /* the child ends: nothing to free */
    int rc = 0;
    if (l.run(c, commands) != 0) {
        struct hf_span text = hf_span_z(l.get_error(c)), line = {NULL, 0};
        (void)hf_span_line(&text, &line);
        rc = hf_fail(err, -EIO, "nftables: %.*s", HF_SPAN_ARG(line));
    } else {
        hf_buf_addz(out, l.get_output(c));
    }
    l.ctx_free(c);
    return rc;
}
