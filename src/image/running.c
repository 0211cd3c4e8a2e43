/* SPDX-License-Identifier: Apache-2.0 */
#include "image/running.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "image/image-internal.h"

/* A container has some tens of mounts; one that makes many is not read to the end. */
enum { MAX_MOUNTINFO = 4 << 20, MAX_MOUNTS = 16384, WAIT_MS = 10000 };

static int send_fd(int to, int fd)
{
    char byte = 0, control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec v = {&byte, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    return sendmsg(to, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The descriptor, or < 0: none came. */
static int receive_fd(int from)
{
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec v = {&byte, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct pollfd p = {.fd = from, .events = POLLIN};
    int fd = -1;
    if (poll(&p, 1, WAIT_MS) <= 0 || recvmsg(from, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) <= 0)
        return -ENODATA;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof fd))
        return -ENODATA;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

/* In a process of its own, since it enters the container's mount namespace; nothing of the container is run or read there. */
static _Noreturn void copy_root(int pidfd, int to)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (setns(pidfd, CLONE_NEWNS) < 0)
        _exit(errno);
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (fd < 0)
        _exit(errno);
    struct mount_attr a = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME, .attr_clr = MOUNT_ATTR__ATIME};
    (void)syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &a, sizeof a); /* nice to have (Linux 5.12): nothing is written anyway */
    _exit(send_fd(to, fd) < 0 ? EIO : 0);
}

static int root_of(const struct hf_running *r, int *ret, struct hf_err *err)
{
    int pair[2], status = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return hf_fail(err, -errno, "no socket: %s", hf_err_name(-errno));
    pid_t child = fork();
    if (child == 0) {
        close(pair[0]);
        copy_root(r->pidfd, pair[1]);
    }
    close(pair[1]);
    int fd = child < 0 ? -1 : receive_fd(pair[0]);
    close(pair[0]);
    if (child < 0)
        return hf_fail(err, -EAGAIN, "no process to look into the container with");
    if (fd < 0)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (fd >= 0) {
        *ret = fd;
        return 0;
    }
    int why = WIFEXITED(status) && WEXITSTATUS(status) ? -WEXITSTATUS(status) : -ETIMEDOUT;
    if (why == -ESRCH)
        return hf_fail(err, HF_E_NOT_FOUND, "it has ended");
    return hf_fail(err, why == -EPERM ? why : HF_E_UNSUPPORTED, "its root file system cannot be copied for reading (%s)%s", hf_err_name(why), why == -EPERM ? "; this needs root" : "");
}

/* Where something is mounted below its root, as the kernel lists it for its process. */
static int mounts(struct hf_image *img, int pid, struct hf_err *err)
{
    char path[64];
    hf_autobuf text = HF_BUF_INIT(MAX_MOUNTINFO), point = HF_BUF_INIT(16384);
    struct hf_span rest, line, field = {NULL, 0};
    size_t n = 0;
    snprintf(path, sizeof path, "/proc/%d/mountinfo", pid);
    int rc = hf_read_file(path, &text, err);
    if (rc < 0)
        return rc;
    for (rest = hf_buf_span(&text); hf_span_line(&rest, &line);)
        n++;
    img->mounts = n > MAX_MOUNTS ? NULL : hf_arena_calloc(&img->arena, n + 1, sizeof *img->mounts);
    if (!img->mounts)
        return hf_fail(err, HF_E_LIMIT, "%zu mounts in the container are more than are looked at", n);
    for (rest = hf_buf_span(&text); rc >= 0 && hf_span_line(&rest, &line);) {
        bool good = true;
        for (unsigned i = 0; i < 5 && good; i++) /* id, parent, device, root, mount point */
            good = hf_span_cut(&line, ' ', &field);
        hf_buf_clear(&point);
        hf_mountinfo_field(field, &point);
        if (good && hf_buf_ok(&point) && point.n > 1)
            rc = hf_image_dup(img, hf_buf_span(&point), &img->mounts[img->n_mounts++], err);
    }
    return rc;
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int fill(struct hf_image *img, const struct hf_running *r, struct hf_err *err)
{
    char path[64];
    int fd = -1;
    hf_autobuf target = HF_BUF_INIT(8192);
    snprintf(path, sizeof path, "/proc/%d/ns/mnt", r->pid);
    if (same_file(path, "/proc/self/ns/mnt"))
        return hf_fail(err, HF_E_UNSUPPORTED, "its mount namespace is the one this program is in: it has no root of its own");
    int rc = root_of(r, &fd, err);
    rc = rc < 0 ? rc : hf_image_own_fd(img, fd, err);
    rc = rc < 0 ? rc : mounts(img, r->pid, err);
    if (rc < 0)
        return rc;
    struct pollfd p = {.fd = r->pidfd, .events = POLLIN};
    if (poll(&p, 1, 0) != 0) /* its number may be another's by now */
        return hf_fail(err, HF_E_NOT_FOUND, "it has ended");
    hf_buf_addf(&target, "container:%.*s", HF_SPAN_ARG(r->name));
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    img->layers = hf_arena_calloc(&img->arena, 1, sizeof *img->layers);
    if (!img->layers)
        return hf_fail(err, HF_E_LIMIT, "out of memory");
    img->n_layers = 1;
    img->layers[0].fd = -1;
    img->digest = r->image;
    img->running = true;
    rc = hf_image_dup(img, hf_span_z(path), &img->layers[0].dir, err);
    rc = rc < 0 ? rc : hf_image_dup(img, r->ref, &img->ref, err);
    return rc < 0 ? rc : hf_image_dup(img, hf_buf_span(&target), &img->target, err);
}

int hf_image_open_running(const struct hf_running *r, hf_image_cb cb, void *ctx, struct hf_err *err)
{
    struct hf_image img;
    hf_image_init(&img);
    int rc = fill(&img, r, err);
    if (rc < 0)
        rc = hf_wrap(err, rc, "container %.*s", HF_SPAN_ARG(hf_span_sub(r->name, 0, 200)));
    else
        rc = cb(ctx, &img, err);
    hf_image_done(&img);
    return rc;
}
