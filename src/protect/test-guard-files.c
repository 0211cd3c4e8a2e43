// SPDX-License-Identifier: Apache-2.0
/* Paths held by security hooks: each way to write is refused and told with its path, from before too; what is beside them goes on.  Needs root and a
 * kernel whose security modules in BPF are asked. */
#include "protect/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "protect/read-only.h"
#include "sensor/containers/hierarchy.h"
#include "sensor/kernel.h"
#include "tap.h"

static int ask[2], tell[2], early = -1, early_map = -1;
static char *mapped;

static int answer(long rc)
{
    return rc < 0 ? errno : 0;
}

static int opened(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600), rc = answer(fd);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* In the other process. */
static int act(const char *what, const char *path)
{
    static const struct timespec times[2] = {{1, 0}, {2, 0}};
    char other[256];
    snprintf(other, sizeof other, "/mnt/free/%.100s", what);
    if (!strcmp(what, "create"))
        return opened(path, O_WRONLY | O_CREAT);
    if (!strcmp(what, "write"))
        return opened(path, O_WRONLY);
    if (!strcmp(what, "read"))
        return opened(path, O_RDONLY);
    if (!strcmp(what, "trunc"))
        return opened(path, O_RDONLY | O_TRUNC);
    if (!strcmp(what, "truncate"))
        return answer(truncate(path, 0));
    if (!strcmp(what, "mkdir"))
        return answer(mkdir(path, 0700));
    if (!strcmp(what, "rmdir"))
        return answer(rmdir(path));
    if (!strcmp(what, "unlink"))
        return answer(unlink(path));
    if (!strcmp(what, "symlink"))
        return answer(symlink("x", path));
    if (!strcmp(what, "mknod"))
        return answer(mknod(path, S_IFIFO | 0600, 0));
    if (!strcmp(what, "link-out"))
        return answer(link(path, other));
    if (!strcmp(what, "link-in"))
        return answer(link("/mnt/free/file", path));
    if (!strcmp(what, "rename-out"))
        return answer(rename(path, other));
    if (!strcmp(what, "rename-in"))
        return answer(rename("/mnt/free/file", path));
    if (!strcmp(what, "chmod"))
        return answer(chmod(path, 0755));
    if (!strcmp(what, "chown"))
        return answer(chown(path, 1, 1));
    if (!strcmp(what, "times"))
        return answer(utimensat(AT_FDCWD, path, times, 0));
    if (!strcmp(what, "xattr"))
        return answer(setxattr(path, "trusted.holdfast", "x", 1, 0));
    if (!strcmp(what, "chdir"))
        return answer(chdir(path));
    if (!strcmp(what, "early-write"))
        return answer(write(early, "x", 1));
    if (!strcmp(what, "early-truncate"))
        return answer(ftruncate(early, 0));
    if (!strcmp(what, "early-map"))
        return answer(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, early_map, 0) == MAP_FAILED ? -1 : 0);
    if (!strcmp(what, "early-protect"))
        return answer(mprotect(mapped, 4096, PROT_READ | PROT_WRITE));
    return -1;
}

static bool made(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bool done = fd >= 0 && write(fd, "0123", 4) == 4;
    if (fd >= 0)
        close(fd);
    return done;
}

static _Noreturn void other(const char *procs)
{
    char text[256];
    int rc = 0, fd = open(procs, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("none", "/mnt", "tmpfs", 0, NULL) < 0 ||
            mkdir("/mnt/on", 0755) < 0 || mkdir("/mnt/on/etc", 0755) < 0 || mkdir("/mnt/on/etc/d", 0755) < 0 || mkdir("/mnt/on/etc/d/e", 0755) < 0 || mkdir("/mnt/free", 0755) < 0 ||
            mkdir("/mnt/on/etc/vol", 0755) < 0 || mount("none", "/mnt/on/etc/vol", "tmpfs", 0, NULL) < 0 || !made("/mnt/on/etc/f") || !made("/mnt/on/etc/d/e/f") || !made("/mnt/on/etc/vol/f") ||
            !made("/mnt/one") || !made("/mnt/free/file") || link("/mnt/one", "/mnt/free/one") < 0)
        rc = errno ? errno : -1;
    early = open("/mnt/on/etc/f", O_RDWR | O_CLOEXEC);
    early_map = open("/mnt/one", O_RDWR | O_CLOEXEC);
    mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, early_map, 0);
    (void)!write(tell[1], &rc, sizeof rc);
    while (read(ask[0], text, sizeof text) == sizeof text) {
        char *space = strchr(text, ' ');
        if (space)
            *space = 0;
        rc = act(text, space ? space + 1 : "");
        (void)!write(tell[1], &rc, sizeof rc);
    }
    _exit(0);
}

static int there(const char *what)
{
    char text[256] = "";
    int rc = -1;
    snprintf(text, sizeof text, "%s", what);
    return write(ask[1], text, sizeof text) == sizeof text && read(tell[0], &rc, sizeof rc) == sizeof rc ? rc : -1;
}

static struct {
    struct hf_guard_told v[128];
    size_t n;
} seen;

static void note(void *ctx, const struct hf_guard_told *t)
{
    (void)ctx;
    if (t->why == HF_GUARD_WHY_WRITE && seen.n < HF_ARRAY_LEN(seen.v))
        seen.v[seen.n++] = *t;
}

static bool told(struct hf_guard_kernel *k, const char *path, uint32_t pid)
{
    hf_guard_kernel_told(k, note, NULL);
    for (size_t i = 0; i < seen.n; i++)
        if (seen.v[i].path_len == strlen(path) && !memcmp(seen.v[i].path, path, seen.v[i].path_len) && seen.v[i].pid == pid && seen.v[i].rung == HF_GUARD_BY_LSM)
            return true;
    printf("# %s was not told; %zu were\n", path, seen.n);
    for (size_t i = 0; i < seen.n; i++)
        printf("#   %.*s\n", (int)seen.v[i].path_len, seen.v[i].path);
    return false;
}

static void refused(struct hf_guard_kernel *k, uint32_t pid)
{
    static const char *const no[] = {"create /mnt/on/etc/new", "write /mnt/on/etc/f", "write /mnt/on/etc/d/e/f", "write /mnt/on/etc/vol/f", "create /mnt/on/etc/vol/new", "trunc /mnt/on/etc/f",
            "truncate /mnt/on/etc/f", "mkdir /mnt/on/etc/n", "rmdir /mnt/on/etc/d/e", "unlink /mnt/on/etc/f", "symlink /mnt/on/etc/l", "mknod /mnt/on/etc/p", "link-out /mnt/on/etc/f",
            "link-in /mnt/on/etc/l", "rename-out /mnt/on/etc/f", "rename-in /mnt/on/etc/f", "rename-in /mnt/on/etc/new", "chmod /mnt/on/etc/f", "chmod /mnt/on/etc", "chown /mnt/on/etc/f",
            "times /mnt/on/etc/f", "xattr /mnt/on/etc/f", "rename-out /mnt/on", "rename-out /mnt/on/etc", "write /mnt/one", "write /mnt/free/one", "unlink /mnt/one", "rename-in /mnt/one",
            "early-write", "early-truncate", "early-map", "early-protect"};
    static const char *const yes[] = {"read /mnt/on/etc/f", "create /mnt/on/x", "mkdir /mnt/on/y", "rmdir /mnt/on/y", "chmod /mnt/on", "create /mnt/free/x", "write /mnt/free/file", "times /mnt/free/x", "xattr /mnt/free/x",
            "link-in /mnt/free/z", "unlink /mnt/free/z", "chdir /mnt/on/etc/d"};
    for (size_t i = 0; i < HF_ARRAY_LEN(no); i++) {
        int rc = there(no[i]);
        if (rc != EPERM)
            printf("# %s: %s\n", no[i], rc < 0 ? "?" : strerror(rc));
        EQ_I(rc, EPERM);
    }
    for (size_t i = 0; i < HF_ARRAY_LEN(yes); i++) {
        int rc = there(yes[i]);
        if (rc)
            printf("# %s: %s\n", yes[i], rc < 0 ? "?" : strerror(rc));
        EQ_I(rc, 0);
    }
    EQ_I(there("write e/f"), EPERM); /* from a folder below */
    OK(told(k, "/mnt/on/etc/new", pid));
    OK(told(k, "/mnt/on/etc/d/e/f", pid));
    OK(told(k, "/mnt/on/etc/vol/f", pid));
    OK(told(k, "/mnt/one", pid));
}

int main(void)
{
    static struct hf_ro ro;
    struct hf_span v[] = {HF_S("/mnt/on/etc/"), HF_S("/mnt/one")};
    struct hf_prot_spans patterns = {.v = v, .n = HF_ARRAY_LEN(v)};
    struct hf_err err = HF_ERR_INIT;
    struct hf_hierarchy h;
    struct hf_guard_kernel *k = NULL;
    struct stat st;
    char group[512], procs[560];
    int rc = -1;
    if (geteuid() != 0 || hf_hierarchy_find(&h, &err) < 0 || pipe(ask) < 0 || pipe(tell) < 0) {
        printf("1..0 # SKIP needs root and control groups\n");
        return 0;
    }
    struct hf_guard_kernel_opts o = {.hierarchy = h.id, .v1_subsys = h.unified ? -1 : hf_kernel_subsys(h.controller), .v2_root_fd = -1};
    if (hf_guard_kernel_open(&k, &o, &err) < 0 || !hf_guard_kernel_file_rung(k)) {
        printf("1..0 # SKIP no security modules in BPF here: %s\n", k ? hf_guard_kernel_why(k) : err.msg);
        hf_guard_kernel_close(k);
        return 0;
    }
    snprintf(group, sizeof group, "%s/holdfast-files-%d", h.mount, getpid());
    snprintf(procs, sizeof procs, "%s/cgroup.procs", group);
    EQ_I(mkdir(group, 0700), 0);
    EQ_I(stat(group, &st), 0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(ask[1]);
        other(procs);
    }
    EQ_U(read(tell[0], &rc, sizeof rc), sizeof rc);
    EQ_I(rc, 0);
    EQ_I(hf_ro_look(&ro, (uint32_t)pid, &patterns, &err), 0);
    EQ_S(hf_span_z(ro.why), "");
    for (size_t i = 0; i < ro.n_files; i++) {
        struct hf_guard_key key = {.container = st.st_ino, .inode = ro.files[i].inode, .dev = ro.files[i].dev};
        EQ_I(hf_guard_kernel_hold(k, &key, ro.files[i].what), 0);
    }
    struct hf_guard_rule rule = {.container = st.st_ino, .flags = HF_GUARD_FILES | HF_GUARD_COUNT, .begun = 1};
    EQ_I(hf_guard_kernel_rule(k, &rule, &err), 0);
    EQ_I(there("write /mnt/on/etc/f"), 0); /* only counted */
    OK(told(k, "/mnt/on/etc/f", (uint32_t)pid));
    seen.n = 0;
    rule.flags = HF_GUARD_FILES;
    EQ_I(hf_guard_kernel_rule(k, &rule, &err), 0);
    EQ_I(there("early-write"), 0); /* until somebody says that there are such */
    EQ_I(hf_guard_kernel_open_before(k, &err), 0);
    refused(k, (uint32_t)pid);
    hf_guard_kernel_forget(k, st.st_ino);
    EQ_I(there("write /mnt/on/etc/f"), 0);
    EQ_I(there("early-write"), 0);
    close(ask[1]);
    waitpid(pid, NULL, 0);
    hf_guard_kernel_close(k);
    for (int i = 0; i < 100 && rmdir(group) < 0 && errno == EBUSY; i++)
        usleep(10000);
    return tap_done();
}
