// SPDX-License-Identifier: Apache-2.0
#include "sensor/snapshot/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "sensor/frames.h"
#include "sensor/snapshot/env-names.h"

#define PROCS_MAX 32768u
#define ARGS_MAX 4096u
#define ENV_MAX 4096u

static bool read_in(int dir, const char *name, struct hf_buf *out)
{
    struct hf_err ignored = HF_ERR_INIT;
    hf_autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    hf_buf_clear(out);
    if (fd < 0)
        return false;
    int rc = hf_read_fd(fd, out, &ignored);
    return rc >= 0 || rc == HF_E_LIMIT; /* cut off is good enough */
}

static size_t link_in(int dir, const char *name, char *out, size_t size)
{
    ssize_t n = readlinkat(dir, name, out, size - 1);
    out[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

static uint64_t number(struct hf_span s)
{
    uint64_t v = 0;
    return hf_parse_u64(hf_span_trim(s), 10, 0, UINT64_MAX, &v) == 0 ? v : 0;
}

/* Field n (from 3) of stat, whose second field is a name in parentheses that may hold anything. */
static uint64_t stat_field(struct hf_span stat, unsigned n)
{
    size_t end = hf_span_rfind(stat, ')');
    struct hf_span rest = hf_span_from(stat, end == SIZE_MAX ? stat.n : end + 2), field = {NULL, 0};
    for (unsigned i = 3; i <= n; i++)
        if (!hf_span_cut(&rest, ' ', &field))
            return 0;
    return number(field);
}

static struct hf_span status_line(struct hf_span status, const char *name)
{
    struct hf_span line, n = hf_span_z(name);
    while (hf_span_line(&status, &line))
        if (hf_span_starts(line, n) && line.n > n.n && line.p[n.n] == ':')
            return hf_span_trim(hf_span_from(line, n.n + 1));
    return hf_span(NULL, 0);
}

static struct hf_span nth(struct hf_span words, unsigned n)
{
    struct hf_span w = {NULL, 0};
    for (unsigned i = 0; i <= n; i++)
        if (!hf_span_cut(&words, '\t', &w))
            return hf_span(NULL, 0);
    return w;
}

/* "mnt:[4026531841]" */
static uint32_t ns_number(int dir, const char *name)
{
    char text[64];
    struct hf_span s = hf_span(text, link_in(dir, name, text, sizeof text));
    size_t open = hf_span_find(s, '[');
    uint64_t n = 0;
    if (open == SIZE_MAX || s.n < open + 2 || hf_parse_u64(hf_span_sub(s, open + 1, s.n - open - 2), 10, 0, UINT32_MAX, &n) < 0)
        return 0;
    return (uint32_t)n;
}

void hf_snapshot_stat(struct hf_span stat, struct hf_wire_exec *e)
{
    e->h.ppid = (uint32_t)stat_field(stat, 4);
    e->pgid = (uint32_t)stat_field(stat, 5);
    e->sid = (uint32_t)stat_field(stat, 6);
    uint64_t tty = stat_field(stat, 7);
    e->tty = (uint32_t)(tty >> 8 & 0xfff) << 20 | (uint32_t)(tty & 0xff) | (uint32_t)(tty >> 12 & 0xfff00);
    e->h.start_ns = stat_field(stat, 22) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
    size_t open_ = hf_span_find(stat, '('), close_ = hf_span_rfind(stat, ')');
    if (open_ != SIZE_MAX && close_ != SIZE_MAX && close_ > open_)
        memcpy(e->h.comm, stat.p + open_ + 1, HF_MIN(close_ - open_ - 1, sizeof e->h.comm - 1));
}

bool hf_snapshot_status(struct hf_span s, struct hf_wire_hdr *h)
{
    struct hf_span uids = status_line(s, "Uid"), gids = status_line(s, "Gid"), pids = status_line(s, "NSpid");
    h->uid = (uint32_t)number(nth(uids, 0));
    h->euid = (uint32_t)number(nth(uids, 1));
    h->gid = (uint32_t)number(nth(gids, 0));
    h->egid = (uint32_t)number(nth(gids, 1));
    size_t last = hf_span_rfind(pids, '\t');
    h->ns_pid = (uint32_t)number(last == SIZE_MAX ? pids : hf_span_from(pids, last + 1));
    uint64_t caps = 0;
    if (hf_parse_u64(status_line(s, "CapEff"), 16, 0, UINT64_MAX, &caps) == 0)
        h->cap_eff = caps;
    if (number(status_line(s, "TracerPid")))
        h->flags |= HF_F_TRACED;
    return hf_parse_u64(status_line(s, "CapPrm"), 16, 0, UINT64_MAX, &caps) != 0 || (caps & ~h->cap_eff);
}

static uint8_t stdio_kind(int dir, const char *name)
{
    char text[256];
    struct stat st;
    size_t n = link_in(dir, name, text, sizeof text);
    struct hf_span s = hf_span(text, n);
    if (!n)
        return HF_STDIO_NONE;
    if (hf_span_starts(s, HF_S("socket:")))
        return HF_STDIO_SOCKET;
    if (hf_span_starts(s, HF_S("pipe:")))
        return HF_STDIO_PIPE;
    if (hf_span_eqz(s, "/dev/null"))
        return HF_STDIO_NULL;
    if (hf_span_starts(s, HF_S("/dev/pts/")) || hf_span_starts(s, HF_S("/dev/tty")))
        return HF_STDIO_TTY;
    return fstatat(dir, name, &st, 0) == 0 && S_ISREG(st.st_mode) ? HF_STDIO_FILE : HF_STDIO_OTHER;
}

/* Of the executed file and the file it is: "/usr/bin/x (deleted)". */
static size_t program(struct hf_wire_exec *e, int dir, char *path, size_t size)
{
    struct stat st;
    size_t n = link_in(dir, "exe", path, size);
    if (!n)
        return 0;
    if (fstatat(dir, "exe", &st, 0) == 0) {
        e->inode = st.st_ino;
        e->dev = (uint32_t)((st.st_dev >> 8 & 0xfff) << 20 | (st.st_dev & 0xff) | (st.st_dev >> 12 & 0xfff00));
        e->mode = st.st_mode;
        e->nlink = (uint32_t)st.st_nlink;
        e->exe_uid = st.st_uid;
    }
    if (n == 1) /* "/", which is no program: a mount of the file alone that hangs nowhere, as runc starts itself from */
        return 0;
    if (hf_span_ends(hf_span(path, n), HF_S(" (deleted)"))) {
        n -= 10;
        e->exec_flags |= HF_X_DELETED;
    }
    if (hf_span_starts(hf_span(path, n), HF_S("/memfd:")))
        e->exec_flags |= HF_X_MEMFD;
    return n;
}

static uint64_t group_of(const struct hf_hierarchy *h, struct hf_span path)
{
    char full[4096];
    struct stat st;
    if (path.n + strlen(h->mount) >= sizeof full)
        return 0;
    snprintf(full, sizeof full, "%s%.*s", h->mount, (int)path.n, path.p);
    return stat(full, &st) == 0 ? st.st_ino : 0;
}

bool hf_snapshot_proc(const struct hf_hierarchy *h, uint32_t pid, struct hf_buf *out, struct hf_buf *ret_path)
{
    char name[32], exe[4096], cwd[4096];
    struct hf_wire_exec e = {.exec_flags = 0};
    hf_autobuf tmp = HF_BUF_INIT(65536);
    hf_autobuf texts = HF_BUF_INIT(16384);
    struct hf_span path = {NULL, 0};
    snprintf(name, sizeof name, "/proc/%u", pid);
    hf_autoclose int dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || !read_in(dir, "stat", &tmp))
        return false;
    hf_record_header(&e.h, HF_EV_PROC, 0);
    e.h.flags = 0;
    e.h.pid = e.h.tid = pid;
    hf_snapshot_stat(hf_buf_span(&tmp), &e);
    if (!read_in(dir, "status", &tmp) || hf_snapshot_status(hf_buf_span(&tmp), &e.h))
        e.exec_flags |= HF_X_HOLDS;
    e.h.mnt_ns = ns_number(dir, "ns/mnt");
    e.h.pid_ns = ns_number(dir, "ns/pid");
    e.h.net_ns = ns_number(dir, "ns/net");
    e.h.user_ns = ns_number(dir, "ns/user");
    if (read_in(dir, "loginuid", &tmp))
        e.h.login_uid = (uint32_t)number(hf_buf_span(&tmp));
    if (read_in(dir, "sessionid", &tmp))
        e.h.session_id = (uint32_t)number(hf_buf_span(&tmp));
    if (read_in(dir, "cgroup", &tmp) && hf_hierarchy_path(h, hf_buf_span(&tmp), &path)) {
        e.h.cgroup_id = group_of(h, path);
        hf_buf_clear(ret_path);
        hf_buf_adds(ret_path, path);
    }
    for (unsigned i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "fd/%u", i);
        e.stdio[i].kind = stdio_kind(dir, name);
    }
    e.path_len = (uint16_t)program(&e, dir, exe, sizeof exe);
    hf_buf_add(&texts, exe, e.path_len);
    e.cwd_len = (uint16_t)link_in(dir, "cwd", cwd, sizeof cwd);
    hf_buf_add(&texts, cwd, e.cwd_len);
    if (read_in(dir, "cmdline", &tmp)) {
        struct hf_span args = hf_span_sub(hf_buf_span(&tmp), 0, ARGS_MAX);
        e.args_len = (uint32_t)args.n;
        hf_buf_adds(&texts, args);
    }
    if (read_in(dir, "environ", &tmp)) {
        size_t before = texts.n;
        hf_env_filter(hf_buf_span(&tmp), ENV_MAX, &texts);
        e.env_len = (uint32_t)(texts.n - before);
    }
    if (!hf_buf_ok(&texts))
        return false;
    hf_buf_clear(out);
    e.h.len = (uint32_t)((sizeof e + texts.n + 7) & ~(size_t)7);
    hf_buf_add(out, &e, sizeof e);
    hf_buf_adds(out, hf_buf_span(&texts));
    while (out->n < e.h.len)
        hf_buf_addc(out, 0);
    return hf_buf_ok(out);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

size_t hf_snapshot_procs(const struct hf_hierarchy *h, hf_snapshot_fn fn, void *ctx)
{
    DIR *d = opendir("/proc");
    hf_autofree uint32_t *pids = calloc(PROCS_MAX, sizeof *pids);
    hf_autobuf record = HF_BUF_INIT(HF_WIRE_MAX);
    hf_autobuf path = HF_BUF_INIT(8192);
    size_t n = 0, told = 0;
    if (!d || !pids) {
        if (d)
            closedir(d);
        return 0;
    }
    for (struct dirent *e; n < PROCS_MAX && (e = readdir(d));) {
        uint64_t pid;
        if (hf_parse_u64(hf_span_z(e->d_name), 10, 1, UINT32_MAX, &pid) == 0)
            pids[n++] = (uint32_t)pid;
    }
    closedir(d);
    qsort(pids, n, sizeof *pids, by_number);
    for (size_t i = 0; i < n; i++) {
        hf_buf_clear(&path);
        if (hf_snapshot_proc(h, pids[i], &record, &path)) {
            fn(ctx, hf_buf_span(&record), hf_buf_span(&path));
            told++;
        }
    }
    return told;
}
