// SPDX-License-Identifier: Apache-2.0
/* Paths made read-only in the mount namespace of another process, seen by it, and given back.  Needs root. */
#include "protect/read-only.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

static int ask[2], tell[2];

/* In the other process: what opening for writing says. */
static int try_write(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int rc = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return rc;
}

static _Noreturn void other(void)
{
    char path[256];
    int rc = 0;
    ssize_t n;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("none", "/mnt", "tmpfs", 0, NULL) < 0 || mkdir("/mnt/etc", 0755) < 0 ||
            mkdir("/mnt/etc/deep", 0755) < 0 || mkdir("/mnt/vol", 0755) < 0 || mount("none", "/mnt/vol", "tmpfs", MS_NOSUID, NULL) < 0 || mount("none", "/mnt/etc/deep", "tmpfs", 0, NULL) < 0 ||
            mkdir("/mnt/free", 0755) < 0 || symlink("/mnt/etc", "/mnt/link") < 0 || try_write("/mnt/file") || try_write("/mnt/a.conf") || mkdir("/mnt/shared", 0755) < 0 ||
            mount("none", "/mnt/shared", "tmpfs", 0, NULL) < 0 || mount(NULL, "/mnt/shared", NULL, MS_SHARED, NULL) < 0 || mkdir("/mnt/shared/x", 0755) < 0)
        rc = errno;
    (void)!write(tell[1], &rc, sizeof rc);
    while ((n = read(ask[0], path, sizeof path)) > 0) {
        rc = path[0] == 'w' ? try_write(path + 1) : path[0] == 'u' ? (umount2(path + 1, MNT_DETACH) < 0 ? errno : 0) : path[0] == 'r' ? (rename(path + 1, "/mnt/free/x") < 0 ? errno : 0) :
                path[0] == 'm' ? (mount("none", path + 1, "tmpfs", 0, NULL) < 0 ? errno : 0) : (chmod(path + 1, 0700) < 0 ? errno : 0);
        (void)!write(tell[1], &rc, sizeof rc);
    }
    _exit(0);
}

static int there(const char *what)
{
    char path[256] = "";
    int rc = -1;
    snprintf(path, sizeof path, "%s", what);
    if (write(ask[1], path, sizeof path) != sizeof path || read(tell[0], &rc, sizeof rc) != sizeof rc)
        return -1;
    return rc;
}

static void armed(uint32_t pid, struct hf_ro *ro)
{
    struct hf_span v[] = {HF_S("/mnt/link/"), HF_S("/mnt/vol/**"), HF_S("/mnt/file"), HF_S("/mnt/*.conf")};
    struct hf_prot_spans patterns = {.v = v, .n = HF_ARRAY_LEN(v)};
    struct hf_err err = HF_ERR_INIT;
    EQ_I(hf_ro_arm(ro, pid, &patterns, NULL, &err), 0);
    printf("# %s%s\n", err.msg, ro->why);
    EQ_S(hf_span_z(ro->why), "");
    EQ_I(hf_ro_state(ro, pid), 1);
    EQ_I(there("w/mnt/etc/x"), EROFS);
    EQ_I(there("w/mnt/etc/deep/x"), EROFS); /* what is mounted below too */
    EQ_I(there("c/mnt/etc"), EROFS);
    EQ_I(there("w/mnt/vol/x"), EROFS);
    EQ_I(there("w/mnt/file"), EROFS);
    EQ_I(there("r/mnt/file"), EBUSY);
    EQ_I(there("w/mnt/a.conf"), EROFS);
    EQ_I(there("w/mnt/b.conf"), 0); /* that was not there: hf_ro_whole says so */
    OK(!hf_ro_whole(&patterns));
    patterns.n = 3;
    OK(hf_ro_whole(&patterns));
    EQ_I(there("w/mnt/free/x"), 0);
}

/* Found again, not made twice. */
static void again(uint32_t pid, const struct hf_ro *ro)
{
    static struct hf_ro more;
    struct hf_span v[] = {HF_S("/mnt/etc/"), HF_S("/mnt/shared/x/"), HF_S("/mnt/none/")};
    struct hf_prot_spans patterns = {.v = v, .n = 1};
    struct hf_err err = HF_ERR_INIT;
    EQ_I(hf_ro_arm(&more, pid, &patterns, ro, &err), 0);
    OK(more.n == 1 && more.v[0].mount == ro->v[0].mount && more.v[0].ours == HF_RO_OVER);
    patterns.v = v + 1;
    EQ_I(hf_ro_arm(&more, pid, &patterns, NULL, &err), 0);
    OK(more.n == 0 && strstr(more.why, "shared with the host"));
    patterns.v = v + 2;
    EQ_I(hf_ro_arm(&more, pid, &patterns, NULL, &err), 0);
    OK(more.n == 0 && strstr(more.why, "/mnt/none"));
    EQ_I(hf_ro_arm(&more, (uint32_t)getpid(), &patterns, NULL, &err), -ESRCH); /* never in our own */
}

static uint32_t what_of(const struct hf_ro *ro, uint32_t pid, const char *path)
{
    char z[300];
    struct stat st;
    snprintf(z, sizeof z, "/proc/%u/root%s", pid, path);
    if (stat(z, &st) < 0)
        return UINT32_MAX;
    for (size_t i = 0; i < ro->n_files; i++)
        if (ro->files[i].inode == st.st_ino && ro->files[i].dev == (major(st.st_dev) << 20 | minor(st.st_dev)))
            return ro->files[i].what;
    return 0;
}

/* What the patterns stand for; nothing is mounted. */
static void looked(uint32_t pid)
{
    static struct hf_ro ro;
    struct hf_span v[] = {HF_S("/mnt/link/"), HF_S("/mnt/vol/**"), HF_S("/mnt/file"), HF_S("/mnt/*.conf"), HF_S("/mnt/etc/none")};
    struct hf_prot_spans patterns = {.v = v, .n = HF_ARRAY_LEN(v)};
    struct hf_err err = HF_ERR_INIT;
    EQ_I(hf_ro_look(&ro, pid, &patterns, &err), 0);
    OK(strstr(ro.why, "/mnt/etc/none: No such") != NULL);
    EQ_U(ro.n, 0);
    EQ_U(what_of(&ro, pid, "/mnt/etc"), HF_GUARD_HELD_BELOW);
    EQ_U(what_of(&ro, pid, "/mnt/etc/deep"), HF_GUARD_HELD_BELOW); /* another file system, mounted below */
    EQ_U(what_of(&ro, pid, "/mnt/vol"), HF_GUARD_HELD_BELOW);
    EQ_U(what_of(&ro, pid, "/mnt/file"), HF_GUARD_HELD_ITSELF);
    EQ_U(what_of(&ro, pid, "/mnt/a.conf"), HF_GUARD_HELD_ITSELF);
    EQ_U(what_of(&ro, pid, "/mnt"), HF_GUARD_HELD_WAY);
    EQ_U(what_of(&ro, pid, "/mnt/free"), 0);
    EQ_I(there("w/mnt/etc/x"), 0);
    EQ_I(hf_ro_look(&ro, (uint32_t)getpid(), &patterns, &err), -ESRCH);
}

static void undone(uint32_t pid)
{
    static struct hf_ro_ids ids;
    EQ_I(hf_ro_ids(&ids, pid), 0);
    EQ_I(there("m/mnt/free"), 0);
    EQ_I(there("m/mnt/free"), 0);
    EQ_I(there("w/mnt/free/hidden"), 0);
    EQ_I(hf_ro_undo(&ids, pid), 2);
    EQ_I(hf_ro_undo(&ids, pid), 0);
    EQ_I(hf_ro_undo(&ids, (uint32_t)getpid()), -ESRCH);
    EQ_I(hf_ro_ids(&ids, (uint32_t)getpid()), -ESRCH); /* the mounts of the host are not taken down, whoever runs in its namespace */
}

int main(void)
{
    static struct hf_ro ro;
    int rc = -1, status;
    if (geteuid() != 0 || pipe(ask) < 0 || pipe(tell) < 0) {
        printf("1..0 # SKIP needs root\n");
        return 0;
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(ask[1]);
        other();
    }
    if (read(tell[0], &rc, sizeof rc) != sizeof rc || rc) {
        printf("1..0 # SKIP no mount namespace here: %s\n", strerror(rc));
        return 0;
    }
    looked((uint32_t)pid);
    armed((uint32_t)pid, &ro);
    again((uint32_t)pid, &ro);
    undone((uint32_t)pid);
    EQ_I(there("u/mnt/etc"), 0);
    EQ_I(hf_ro_state(&ro, (uint32_t)pid), 0); /* it was taken away */
    EQ_I(there("w/mnt/etc/x"), 0);
    EQ_I(hf_ro_release(&ro, (uint32_t)pid), 0);
    EQ_I(there("w/mnt/vol/x"), 0);
    EQ_I(there("w/mnt/etc/deep/x"), 0);
    EQ_I(there("w/mnt/file"), 0);
    EQ_I(there("r/mnt/file"), 0);
    EQ_I(hf_ro_state(&ro, (uint32_t)pid), 0);
    close(ask[1]);
    waitpid(pid, &status, 0);
    EQ_I(hf_ro_state(&ro, (uint32_t)pid), -ESRCH);
    EQ_I(hf_ro_release(&ro, (uint32_t)pid), -ESRCH);
    return tap_done();
}
