// SPDX-License-Identifier: Apache-2.0
#include "respond/groups.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/fs.h"
#include "respond/target.h"
#include "sensor/frames.h"

#define STATE_MAX 4096u
#define STUCK_NAMED 4u

const char *hf_freezer_name(enum hf_freezer f)
{
    return f == HF_FREEZER_V2 ? "cgroup v2 freezer" : f == HF_FREEZER_V1 ? "cgroup v1 freezer" : "none";
}

static int put(const char *dir, const char *file, const char *text, struct hf_err *err)
{
    char path[4400];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    hf_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return hf_fail(err, -errno, "%s: %s", path, strerror(errno));
    return 0;
}

static int get(const char *dir, const char *file, struct hf_buf *out, struct hf_err *err)
{
    char path[4400];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    hf_buf_clear(out);
    return hf_read_file(path, out, err);
}

int hf_group_is_frozen(const char *dir, enum hf_freezer f, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(STATE_MAX);
    struct hf_err why = HF_ERR_INIT;
    int rc = get(dir, f == HF_FREEZER_V2 ? "cgroup.freeze" : "freezer.self_freezing", &text, &why);
    if (rc == -ENOENT && f == HF_FREEZER_V1) /* kernels before 3.7 */
        rc = get(dir, "freezer.state", &text, &why);
    if (rc < 0)
        return hf_fail(err, rc, "%s", why.msg);
    struct hf_span word = hf_span_trim(hf_buf_span(&text));
    return hf_span_eqz(word, "1") || hf_span_eqz(word, "FROZEN") || hf_span_eqz(word, "FREEZING");
}

/* Whether all are frozen: 1, 0, < 0. */
static int all_frozen(const char *dir, enum hf_freezer f, struct hf_err *err)
{
    hf_autobuf text = HF_BUF_INIT(STATE_MAX);
    int rc = get(dir, f == HF_FREEZER_V2 ? "cgroup.events" : "freezer.state", &text, err);
    if (rc < 0)
        return rc;
    if (f == HF_FREEZER_V1)
        return hf_span_eqz(hf_span_trim(hf_buf_span(&text)), "FROZEN");
    struct hf_span rest = hf_buf_span(&text), line;
    while (hf_span_line(&rest, &line))
        if (hf_span_starts(line, HF_S("frozen ")))
            return hf_span_eqz(line, "frozen 1");
    return 0;
}

static void nap(const char *dir, enum hf_freezer f, unsigned ms)
{
    char path[4400], byte[64];
    snprintf(path, sizeof path, "%s/cgroup.events", dir);
    hf_autoclose int fd = f == HF_FREEZER_V2 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    struct pollfd p = {fd, POLLPRI, 0};
    if (fd >= 0 && read(fd, byte, sizeof byte) > 0) /* changes from now on are told */
        (void)poll(&p, 1, 1);
    else
        (void)poll(NULL, 0, (int)ms);
}

/* Those that do not stop, for the message. */
static void stuck(const char *dir, struct hf_buf *out)
{
    hf_autofree pid_t *pids = calloc(HF_TARGET_PROCS, sizeof *pids);
    struct hf_err ignored = HF_ERR_INIT;
    size_t n = 0, named = 0;
    if (!pids || hf_target_procs(dir, pids, HF_TARGET_PROCS, &n, &ignored) < 0)
        return;
    for (size_t i = 0; i < n && named < STUCK_NAMED; i++) {
        char path[64];
        hf_autobuf text = HF_BUF_INIT(STATE_MAX);
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pids[i]);
        if (hf_read_file(path, &text, &ignored) < 0)
            continue;
        struct hf_span stat = hf_buf_span(&text);
        size_t open = hf_span_find(stat, '('), close = hf_span_rfind(stat, ')');
        if (open == SIZE_MAX || close == SIZE_MAX || close < open || hf_span_sub(stat, close + 2, 1).n != 1 || stat.p[close + 2] != 'D')
            continue;
        hf_buf_addf(out, "%s%d (", named++ ? ", " : "; in uninterruptible sleep: ", (int)pids[i]);
        hf_buf_add_escaped(out, hf_span_sub(stat, open + 1, close - open - 1), 32);
        hf_buf_addc(out, ')');
    }
}

int hf_group_thaw(const char *dir, enum hf_freezer f, unsigned timeout_ms, struct hf_err *err)
{
    int rc = f == HF_FREEZER_V2 ? put(dir, "cgroup.freeze", "0", err) : put(dir, "freezer.state", "THAWED", err);
    uint64_t end = hf_boot_ns() + timeout_ms * 1000000ull;
    while (rc == 0) {
        int frozen = hf_group_is_frozen(dir, f, err);
        if (frozen <= 0)
            return frozen;
        if (hf_boot_ns() > end)
            return hf_fail(err, -ETIMEDOUT, "%s does not thaw", dir);
        nap(dir, f, 1);
    }
    return rc;
}

int hf_group_freeze(const char *dir, enum hf_freezer f, unsigned timeout_ms, struct hf_err *err)
{
    int before = hf_group_is_frozen(dir, f, err);
    if (before < 0)
        return before;
    uint64_t end = hf_boot_ns() + timeout_ms * 1000000ull;
    int rc = f == HF_FREEZER_V2 ? put(dir, "cgroup.freeze", "1", err) : put(dir, "freezer.state", "FROZEN", err);
    while (rc == 0) {
        rc = all_frozen(dir, f, err);
        if (rc > 0)
            return 0;
        if (rc == 0 && hf_boot_ns() > end) {
            hf_autobuf who = HF_BUF_INIT(512);
            stuck(dir, &who);
            rc = hf_fail(err, -ETIMEDOUT, "not all processes stopped within %u ms%s", timeout_ms, hf_buf_z(&who));
        }
        if (rc == 0) {
            nap(dir, f, 1);
            /* v1 gives up on a task that was busy in the kernel and goes on trying only when it is told again */
            rc = f == HF_FREEZER_V1 ? put(dir, "freezer.state", "FROZEN", err) : 0;
        }
    }
    if (!before) { /* half frozen is neither: its own waits for what stands still */
        struct hf_err why = HF_ERR_INIT;
        if (hf_group_thaw(dir, f, timeout_ms, &why) < 0)
            return hf_fail(err, rc, "%.200s; and it could not be thawed again: %.200s", err ? err->msg : "not frozen", why.msg);
        return hf_wrap(err, rc, "thawed again");
    }
    return rc;
}

static bool has(const char *dir, const char *file)
{
    char path[4400];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    return access(path, W_OK) == 0;
}

static bool kill_checked(const struct hf_target *t, pid_t pid)
{
    hf_autoclose int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd >= 0 && hf_target_has(t, pid) && syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0;
}

static int left(const struct hf_target *t, pid_t *pids, size_t *ret_n, struct hf_err *err)
{
    struct hf_err why = HF_ERR_INIT;
    int rc = hf_target_procs(t->dir, pids, HF_TARGET_PROCS, ret_n, &why);
    return rc == HF_E_LIMIT ? 0 : rc < 0 ? hf_fail(err, rc, "%s", why.msg) : 0; /* more than fit: those first */
}

static int too_long(const struct hf_target *t, size_t n, unsigned timeout_ms, struct hf_err *err)
{
    hf_autobuf who = HF_BUF_INIT(512);
    stuck(t->dir, &who);
    return hf_fail(err, -ETIMEDOUT, "%zu processes did not end within %u ms%s", n, timeout_ms, hf_buf_z(&who));
}

int hf_group_kill(const struct hf_target *t, unsigned timeout_ms, size_t *ret_n, const char **ret_rung, struct hf_err *err)
{
    hf_autofree pid_t *pids = calloc(HF_TARGET_PROCS, sizeof *pids);
    uint64_t end = hf_boot_ns() + timeout_ms * 1000000ull;
    bool by_kill = t->v2[0] && has(t->v2, "cgroup.kill"), freezer = t->freezer[0] != 0, was_frozen = false;
    size_t n = 0, most = 0;
    struct hf_err why = HF_ERR_INIT;
    int rc = pids ? 0 : hf_fail(err, -ENOMEM, "no memory for the processes");
    *ret_rung = by_kill ? "cgroup.kill" : freezer ? "freezer and SIGKILL" : "SIGKILL";
    if (freezer && hf_group_is_frozen(t->freezer, HF_FREEZER_V1, &why) > 0)
        was_frozen = true; /* the killed would wait for the thaw */
    for (unsigned round = 0; rc == 0; round++) {
        rc = left(t, pids, &n, err);
        most = HF_MAX(most, n);
        if (rc < 0 || !n)
            break;
        if (hf_boot_ns() > end)
            return too_long(t, n, timeout_ms, err);
        if (by_kill && put(t->v2, "cgroup.kill", "1", &why) < 0 && why.code != -ENOENT)
            by_kill = false; /* a threaded group */
        if (!by_kill && freezer) { /* not waited for: who is in the kernel cannot fork without coming back */
            (void)put(t->freezer, "freezer.state", "FROZEN", &why);
            rc = left(t, pids, &n, err);
        }
        for (size_t i = 0; i < n && (!by_kill || round > 1); i++) /* also who left the v2 group, but not the container */
            (void)kill_checked(t, pids[i]);
        if (freezer && (!by_kill || was_frozen))
            (void)put(t->freezer, "freezer.state", "THAWED", &why); /* gone with its last process: no error */
        (void)poll(NULL, 0, 1);
    }
    *ret_n = most;
    return rc;
}

int hf_group_kill_one(const struct hf_target *t, int pid, uint64_t start, unsigned timeout_ms, struct hf_err *err)
{
    hf_autoclose int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return hf_fail(err, errno == ESRCH ? HF_E_NOT_FOUND : -errno, "process %d: %s", pid, errno == ESRCH ? "there is none" : strerror(errno));
    uint64_t now = hf_proc_start(pid);
    if (start && now != start) /* what is checked after the open is of the process that the descriptor means */
        return hf_fail(err, HF_E_NOT_FOUND, "process %d is another one by now: it started at tick %llu, not %llu", pid, (unsigned long long)now, (unsigned long long)start);
    if (!hf_target_has(t, pid))
        return hf_fail(err, HF_E_NOT_FOUND, "process %d is not in container %s", pid, t->name);
    if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
        return hf_fail(err, -errno, "process %d cannot be killed: %s", pid, strerror(errno));
    struct pollfd p = {fd, POLLIN, 0};
    int ready;
    while ((ready = poll(&p, 1, (int)timeout_ms)) < 0 && errno == EINTR)
        ;
    return ready > 0 ? 0 : hf_fail(err, -ETIMEDOUT, "process %d did not end within %u ms: it is frozen, or stuck in the kernel", pid, timeout_ms);
}
