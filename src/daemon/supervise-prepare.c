// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "daemon/supervise-internal.h"
#ifdef HF_CONSOLE
#include "console/console.h"
#endif

enum { PIPE_BYTES = 1 << 20, SOCKET_BYTES = 1 << 20 };

static int find_user(struct supervisor *s, struct hf_err *err)
{
    const struct passwd *pw = getpwnam(s->c->daemon_user);
    if (!pw)
        return hf_fail(err, HF_E_USAGE, "there is no user \"%s\" (daemon.user); make it: useradd --system --home-dir %s --no-create-home --shell /usr/sbin/nologin %s", s->c->daemon_user, s->c->daemon_state,
                s->c->daemon_user);
    if (pw->pw_uid == 0)
        return hf_fail(err, HF_E_USAGE, "daemon.user is \"%s\", which is root: what is open to the network must not be root", s->c->daemon_user);
    s->uid = pw->pw_uid;
    s->gid = pw->pw_gid;
    return 0;
}

/* A folder of ours is root's; the user only has to get through it to the store. */
static int passable(const char *path, struct hf_err *err)
{
    struct stat st;
    hf_autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return hf_fail(err, -errno, "%s: %s", path, strerror(errno));
    if (st.st_uid != 0)
        return hf_fail(err, HF_E_USAGE, "%s (daemon.state) does not belong to root", path);
    if (st.st_mode & (S_IWGRP | S_IWOTH) && !(st.st_mode & S_ISVTX))
        return hf_fail(err, HF_E_USAGE, "%s (daemon.state) can be written by others than root", path);
    if (!(st.st_mode & S_IXOTH) && fchmod(fd, (st.st_mode & 07777) | S_IXOTH) < 0)
        return hf_fail(err, -errno, "%s: %s", path, strerror(errno));
    return 0;
}

static int state_folder(struct supervisor *s, struct hf_err *err)
{
    static const char ours[] = "/var/lib/holdfast"; /* other commands make it for root alone */
    struct hf_span state = hf_span_z(s->c->daemon_state), store = hf_span_z(s->c->store_url);
    int rc = hf_mkdirs(s->c->daemon_state, 0711, err);
    bool within = hf_span_starts(state, HF_S("/var/lib/holdfast/")) || hf_span_starts(store, HF_S("/var/lib/holdfast/"));
    rc = rc < 0 || !within ? rc : hf_mkdirs(ours, 0711, err);
    rc = rc < 0 || !within ? rc : passable(ours, err);
    return rc < 0 ? rc : passable(s->c->daemon_state, err);
}

/* Of SQLite: the file and what SQLite puts beside it. */
static bool is_of_store(const char *name, struct hf_span base)
{
    struct hf_span n = hf_span_z(name), rest;
    if (!hf_span_starts(n, base))
        return false;
    rest = hf_span_from(n, base.n);
    return !rest.n || hf_span_eqz(rest, "-wal") || hf_span_eqz(rest, "-shm") || hf_span_eqz(rest, "-journal");
}

/* give: hands them over; else 1 when there is something that is not the store's, which is named. */
static int each_of_store(int dir, struct hf_span base, const struct supervisor *give, char other[256])
{
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    int rc = 0;
    if (!d) {
        hf_closep(&copy);
        return -errno;
    }
    for (struct dirent *e; rc == 0 && (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        if (!give && !is_of_store(e->d_name, base)) {
            snprintf(other, 256, "%s", e->d_name);
            rc = 1;
        } else if (give && fchownat(dir, e->d_name, give->uid, give->gid, AT_SYMLINK_NOFOLLOW) < 0) {
            rc = -errno;
        }
    }
    closedir(d);
    return rc;
}

/* SQLite makes files beside the database, so the folder has to be the user's; a folder with other things in it is not given away. */
static int store_folder(struct supervisor *s, struct hf_err *err)
{
    struct hf_span url = hf_span_z(s->c->store_url), base;
    char other[256] = "";
    struct stat st;
    if (hf_span_starts(url, HF_S("sqlite:")))
        url = hf_span_from(url, 7);
    if (!url.n || url.p[0] != '/')
        return 0; /* a server */
    base = hf_span_basename(url);
    hf_autofree char *path = hf_span_dupz(hf_span_dirname(url));
    if (!path)
        return hf_fail(err, -ENOMEM, "no memory");
    int rc = hf_mkdirs(path, 0711, err);
    if (rc < 0)
        return rc;
    hf_autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0 || fstat(dir, &st) < 0)
        return hf_fail(err, -errno, "%s: %s", path, strerror(errno));
    rc = st.st_uid == s->uid ? 0 : each_of_store(dir, base, NULL, other);
    if (rc == 1)
        return hf_fail(err, HF_E_USAGE, "%s, the folder of the store (store.url), has other things in it (%s) and belongs to another user: give the store a folder of its own, such as %s/store/holdfast.db",
                path, other, s->c->daemon_state);
    if (rc == 0 && st.st_uid != s->uid && fchown(dir, s->uid, s->gid) < 0)
        rc = -errno;
    rc = rc < 0 || fchmod(dir, 0700) == 0 ? rc : -errno;
    rc = rc < 0 ? rc : each_of_store(dir, base, s, other);
    return rc < 0 ? hf_fail(err, rc, "%s could not be given to user %s: %s", path, s->c->daemon_user, strerror(-rc)) : 0;
}

/* Whether the user really gets there: some folder above may be closed. */
static int try_store_folder(struct supervisor *s, struct hf_err *err)
{
    struct hf_span url = hf_span_z(s->c->store_url);
    if (hf_span_starts(url, HF_S("sqlite:")))
        url = hf_span_from(url, 7);
    hf_autofree char *path = url.n && url.p[0] == '/' ? hf_span_dupz(hf_span_dirname(url)) : NULL;
    if (!path)
        return 0;
    pid_t pid = fork();
    int status = 0;
    if (pid == 0) {
        struct hf_err ignored = HF_ERR_INIT;
        _exit(hf_sandbox_drop(s->uid, s->gid, &ignored) < 0 || faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) < 0);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0 || status)
        return hf_fail(err, HF_E_USAGE, "user %s cannot get to %s, the folder of the store: a folder above it is closed to it", s->c->daemon_user, path);
    return 0;
}

static int lock(struct supervisor *s, struct hf_err *err)
{
    hf_autobuf path = HF_BUF_INIT(4096), pid = HF_BUF_INIT(64);
    hf_buf_addf(&path, "%s/daemon.lock", s->c->daemon_state);
    s->lock_fd = open(hf_buf_z(&path), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return hf_fail(err, -errno, "%s: %s", hf_buf_z(&path), strerror(errno));
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        char text[32] = "";
        ssize_t n = pread(s->lock_fd, text, sizeof text - 1, 0);
        text[n > 0 ? n : 0] = 0;
        return hf_fail(err, -EBUSY, "another daemon runs with %s (process %.20s)", s->c->daemon_state, n > 0 ? text : "unknown");
    }
    hf_buf_addf(&pid, "%d", (int)getpid());
    if (ftruncate(s->lock_fd, 0) < 0 || pwrite(s->lock_fd, pid.p, pid.n, 0) != (ssize_t)pid.n)
        return hf_fail(err, -errno, "%s: %s", hf_buf_z(&path), strerror(errno));
    return 0;
}

static int status_socket(struct supervisor *s, struct hf_err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (snprintf(a.sun_path, sizeof a.sun_path, "%s/daemon.sock", s->c->daemon_state) >= (int)sizeof a.sun_path)
        return hf_fail(err, HF_E_USAGE, "daemon.state is too long for a socket: %s", s->c->daemon_state);
    (void)unlink(a.sun_path); /* the lock is ours: it is nobody's */
    s->status_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t before = umask(0177);
    int rc = s->status_fd < 0 || bind(s->status_fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(s->status_fd, 8) < 0 ? -errno : 0;
    umask(before);
    return rc < 0 ? hf_fail(err, rc, "%s: %s", a.sun_path, strerror(-rc)) : 0;
}

static int pair(int type, int fds[2])
{
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    for (unsigned i = 0; i < 2; i++)
        if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUFFORCE, &(int){SOCKET_BYTES}, sizeof(int)) < 0)
            (void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &(int){SOCKET_BYTES}, sizeof(int));
    return 0;
}

static int between(struct supervisor *s, struct hf_err *err)
{
    int rc = pipe2(s->lines, O_CLOEXEC) < 0 || pipe2(s->acts, O_CLOEXEC) < 0 ? -errno : 0;
    rc = rc < 0 ? rc : pair(SOCK_STREAM, s->live);
    rc = rc < 0 ? rc : pair(SOCK_SEQPACKET, s->serve);
    rc = rc < 0 ? rc : pair(SOCK_SEQPACKET, s->hub_hand);
    rc = rc < 0 ? rc : pair(SOCK_SEQPACKET, s->console_hand);
    if (rc == 0 && (s->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        rc = -errno;
    if (rc < 0)
        return hf_fail(err, rc, "no sockets between the processes: %s", strerror(-rc));
    (void)fcntl(s->lines[1], F_SETPIPE_SZ, PIPE_BYTES); /* what is not granted stays as it is */
    fcntl(s->acts[0], F_SETFL, O_NONBLOCK);
    fcntl(s->acts[1], F_SETFL, O_NONBLOCK);
    s->sh = mmap(NULL, sizeof *s->sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s->sh == MAP_FAILED)
        return hf_fail(err, -ENOMEM, "no shared memory");
    return 0;
}

/* There from the start, so that watch reads what is added later when it is told to. */
static int exceptions_folder(struct supervisor *s, struct hf_err *err)
{
    hf_autobuf path = HF_BUF_INIT(4200);
    struct stat st;
    if (!*s->c->daemon_exceptions)
        return 0;
    int rc = hf_mkdirs(s->c->daemon_exceptions, 0755, err);
    hf_buf_addf(&path, "%s/exceptions.yaml", s->c->daemon_exceptions);
    if (rc == 0 && stat(hf_buf_z(&path), &st) < 0 && errno == ENOENT)
        rc = hf_write_file(hf_buf_z(&path), 0644, HF_S("# Exceptions from rules; holdfast-rules(1).\n"), err);
    return rc;
}

static int bind_console(struct supervisor *s, struct hf_err *err)
{
#ifdef HF_CONSOLE
    if (*s->c->console_listen) {
        int fd = hf_console_bind(s->c->console_listen, *s->c->console_tls_cert != 0, err);
        if (fd < 0)
            return hf_wrap(err, fd, "the console");
        s->listen_fd = fd;
    }
#else
    (void)s;
    (void)err;
#endif
    return 0;
}

int supervisor_prepare(struct supervisor *s, struct hf_err *err)
{
    s->lock_fd = s->status_fd = s->signal_fd = s->kick_fd = s->listen_fd = -1;
    for (unsigned i = 0; i < 2; i++)
        s->lines[i] = s->acts[i] = s->live[i] = s->serve[i] = s->hub_hand[i] = s->console_hand[i] = -1;
    if (geteuid() != 0)
        return hf_fail(err, -EPERM, "the daemon is started as root: it watches the kernel and acts on containers; all else it does as user %s", s->c->daemon_user);
    int rc = find_user(s, err);
    rc = rc < 0 ? rc : state_folder(s, err);
    rc = rc < 0 ? rc : lock(s, err);
    rc = rc < 0 ? rc : store_folder(s, err);
    rc = rc < 0 ? rc : try_store_folder(s, err);
    rc = rc < 0 ? rc : exceptions_folder(s, err);
    rc = rc < 0 ? rc : between(s, err);
    rc = rc < 0 ? rc : bind_console(s, err);
    return rc < 0 ? rc : status_socket(s, err);
}

void supervisor_done(struct supervisor *s)
{
    char path[200];
    if (s->status_fd >= 0 && snprintf(path, sizeof path, "%s/daemon.sock", s->c->daemon_state) < (int)sizeof path)
        (void)unlink(path);
    int *const fds[] = {&s->lock_fd, &s->status_fd, &s->signal_fd, &s->kick_fd, &s->listen_fd, &s->lines[0], &s->lines[1], &s->acts[0], &s->acts[1], &s->live[0], &s->live[1], &s->serve[0], &s->serve[1],
            &s->hub_hand[0], &s->hub_hand[1], &s->console_hand[0], &s->console_hand[1]};
    for (size_t i = 0; i < HF_ARRAY_LEN(fds); i++)
        hf_closep(fds[i]);
}
