// SPDX-License-Identifier: Apache-2.0
#include "sensor/tracepoint.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fs.h"

/* The folder of tracefs, or -errno. */
static int tracefs(void)
{
    static const char *const places[] = {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"};
    for (size_t i = 0; i < HF_ARRAY_LEN(places); i++) {
        struct statfs fs;
        int fd = open(places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && fstatfs(fd, &fs) == 0 && (uint32_t)fs.f_type == TRACEFS_MAGIC)
            return fd;
        hf_closep(&fd);
    }
    hf_autoclose int made = fsopen("tracefs", FSOPEN_CLOEXEC);
    if (made < 0 || fsconfig(made, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    int fd = fsmount(made, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    return fd < 0 ? -errno : fd;
}

int hf_tracepoint_id(const char *category, const char *name)
{
    char path[160], text[24] = "";
    uint64_t id;
    hf_autoclose int folder = tracefs();
    snprintf(path, sizeof path, "events/%s/%s/id", category, name);
    hf_autoclose int fd = folder >= 0 ? openat(folder, path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return folder < 0 ? folder : -errno;
    ssize_t n = read(fd, text, sizeof text - 1);
    if (n <= 0)
        return n < 0 ? -errno : -EIO;
    return hf_parse_u64(hf_span_trim(hf_span(text, (size_t)n)), 10, 0, INT_MAX, &id) < 0 ? -EIO : (int)id;
}

struct bpf_link *hf_tracepoint_attach(const struct bpf_program *prog, const char *category, const char *name)
{
    int id = hf_tracepoint_id(category, name);
    struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT, .size = sizeof attr, .config = (uint64_t)id};
    if (id < 0) {
        errno = -id;
        return NULL;
    }
    /* One processor is asked for; a BPF program at a tracepoint runs on all of them. */
    int fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
    struct bpf_link *link = fd >= 0 ? bpf_program__attach_perf_event(prog, fd) : NULL;
    if (!link && fd >= 0)
        hf_closep(&fd);
    return link;
}
