// SPDX-License-Identifier: Apache-2.0
#include "protect/libraries.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"

#define MAPS_MAX (8u << 20)

static bool is_stopped(uint32_t pid)
{
    char path[64];
    hf_autobuf text = HF_BUF_INIT(8192);
    struct hf_err ignored = HF_ERR_INIT;
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    if (hf_read_file(path, &text, &ignored) < 0)
        return true; /* gone: nothing to wait for */
    size_t end = hf_span_rfind(hf_buf_span(&text), ')');
    return end == SIZE_MAX || text.n < end + 3 || text.p[end + 2] == 'T' || text.p[end + 2] == 't' || text.p[end + 2] == 'Z' || text.p[end + 2] == 'X';
}

/* "7f12-7f34 r-xp 00000000 fd:01 1234   /usr/lib/x.so": an executable one of this inode.  The device there is another below an overlay. */
static bool is_it(struct hf_span line, uint64_t inode, struct hf_span *ret_range, struct hf_span *ret_path)
{
    struct hf_span mode, word;
    uint64_t ino;
    if (!hf_span_cut(&line, ' ', ret_range) || !hf_span_cut(&line, ' ', &mode) || mode.n < 4 || mode.p[2] != 'x' || !hf_span_cut(&line, ' ', &word) || !hf_span_cut(&line, ' ', &word) ||
            !hf_span_cut(&line, ' ', &word) || hf_parse_u64(word, 10, 0, UINT64_MAX, &ino) < 0 || ino != inode)
        return false;
    *ret_path = hf_span_trim(line);
    return true;
}

static int read_maps(const struct hf_guard_told *t, bool stopped, struct hf_buf *out)
{
    char name[64];
    struct hf_err ignored = HF_ERR_INIT;
    if (stopped && !is_stopped(t->pid))
        return -EAGAIN;
    snprintf(name, sizeof name, "/proc/%u/maps", t->pid);
    return hf_read_file(name, out, &ignored) < 0 ? -ESRCH : 0;
}

int hf_library_open(const struct hf_guard_told *t, bool stopped, char *path, size_t n)
{
    char name[128];
    hf_autobuf text = HF_BUF_INIT(MAPS_MAX);
    struct hf_span range, where;
    int rc = read_maps(t, stopped, &text);
    if (rc < 0)
        return rc;
    for (struct hf_span rest = hf_buf_span(&text), line; hf_span_line(&rest, &line);) {
        struct stat st;
        uint64_t from, to;
        struct hf_span begin;
        if (!is_it(line, t->inode, &range, &where) || !hf_span_cut(&range, '-', &begin) || hf_parse_u64(begin, 16, 0, UINT64_MAX, &from) < 0 || hf_parse_u64(range, 16, 0, UINT64_MAX, &to) < 0)
            continue;
        snprintf(name, sizeof name, "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, t->pid, from, to); /* low addresses have leading zeros in maps, and none here */
        int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
            continue;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
            close(fd);
            continue;
        }
        ssize_t got = readlink(name, path, n - 1);
        path[got > 0 ? got : 0] = 0;
        return fd;
    }
    return -ENOENT;
}

int hf_library_path(const struct hf_guard_told *t, bool stopped, char *path, size_t n)
{
    hf_autobuf text = HF_BUF_INIT(MAPS_MAX);
    struct hf_span range, where;
    int rc = read_maps(t, stopped, &text);
    if (rc < 0)
        return rc;
    for (struct hf_span rest = hf_buf_span(&text), line; hf_span_line(&rest, &line);)
        if (is_it(line, t->inode, &range, &where) && where.n < n) {
            snprintf(path, n, "%.*s", HF_SPAN_ARG(where));
            return 0;
        }
    return -ENOENT;
}

int hf_library_keeper(int stopped_fd, int *ret_fd)
{
    int pipes[2];
    char byte;
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        int fd = fcntl(stopped_fd, F_DUPFD, 3), end = fcntl(pipes[0], F_DUPFD, 3);
        (void)prctl(PR_SET_NAME, "holdfast-keeper");
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        if (fd < 0 || end < 0)
            _exit(1);
        int low = HF_MIN(fd, end), high = HF_MAX(fd, end); /* nothing else: marks, programs and sockets of the guard must go with it */
        (void)syscall(SYS_close_range, 0u, (unsigned)low - 1, 0u);
        if (high - low > 1)
            (void)syscall(SYS_close_range, (unsigned)low + 1, (unsigned)high - 1, 0u);
        (void)syscall(SYS_close_range, (unsigned)high + 1, ~0u, 0u);
        while (read(end, &byte, 1) < 0 && errno == EINTR)
            ;
        hf_guard_stopped_all(fd, false);
        _exit(0);
    }
    close(pipes[0]);
    if (pid < 0) {
        close(pipes[1]);
        return -EAGAIN;
    }
    *ret_fd = pipes[1];
    return (int)pid;
}
