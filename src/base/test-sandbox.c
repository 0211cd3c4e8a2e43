// SPDX-License-Identifier: Apache-2.0
/* Each step in a child, which tries what must no longer work. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/sandbox.h"
#include "tap.h"

static int in_child(int (*fn)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(fn());
    int status = 0;
    waitpid(pid, &status, 0);
    return status;
}

static int dropped(void)
{
    struct hf_err err = HF_ERR_INIT;
    if (getuid() != 0)
        return 77;
    if (hf_sandbox_drop(65534, 65534, &err) < 0)
        return 1;
    if (getuid() != 65534 || getegid() != 65534 || setuid(0) == 0)
        return 2;
    return open("/etc/shadow", O_RDONLY | O_CLOEXEC) >= 0 ? 3 : 0;
}

static int confined(void)
{
    struct hf_err err = HF_ERR_INIT;
    static const char *const readable[] = {"/usr/share", "/no/such/folder", NULL};
    int rc = hf_sandbox_files(readable, &err);
    if (rc == 1)
        return 77;
    if (rc < 0 && err.code)
        return rc == -EPERM ? 78 : 1; /* no_new_privs is needed without root */
    if (open("/usr/share", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0)
        return 2;
    if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0)
        return 3;
    return open("/tmp/hf-test-sandbox", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 ? 4 : 0;
}

static int filtered(void)
{
    struct hf_err err = HF_ERR_INIT;
    if (hf_sandbox_drop(getuid(), getgid(), &err) < 0 && getuid() == 0)
        return 1;
    if (hf_sandbox_calls(&err) < 0)
        return 2;
    if (chdir("/") == 0 || errno != EPERM) /* not on the list */
        return 3;
    execl("/bin/true", "true", (char *)NULL); /* kills */
    return 4;
}

static void *thread(void *ctx)
{
    *(int *)ctx = 1;
    return NULL;
}

static char dir[] = "/tmp/hf-test-sandbox-XXXXXX";

/* Threads, sockets and files below the folder that may be written: yes.  Other files, processes and programs: no. */
static int serves(void)
{
    struct hf_err err = HF_ERR_INIT;
    char path[64];
    int ran = 0;
    pthread_t t;
    const char *const readable[] = {"/usr", "/etc", NULL}, *const writable[] = {dir, NULL};
    if (hf_sandbox_drop(getuid(), getgid(), &err) < 0 && getuid() == 0)
        return 1;
    int rc = hf_sandbox_paths(readable, writable, &err);
    if (rc == 1)
        return 77;
    if (rc < 0)
        return rc == -EPERM ? 78 : 2;
    if (hf_sandbox_service(&err) < 0)
        return 3;
    snprintf(path, sizeof path, "%s/x", dir);
    if (pthread_create(&t, NULL, thread, &ran) || pthread_join(t, NULL) || !ran)
        return 4;
    if (open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 || unlink(path) < 0)
        return 5;
    if (open("/tmp/hf-test-sandbox", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 || open("/proc/self/status", O_RDONLY | O_CLOEXEC) >= 0)
        return 6;
    if (socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 || open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0)
        return 7;
    if (fork() >= 0)
        return 8;
    execl("/bin/true", "true", (char *)NULL); /* kills */
    return 9;
}

int main(void)
{
    int status = in_child(dropped);
    OK(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77));
    status = in_child(confined);
    OK(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 78));
    status = in_child(filtered);
    OK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    OK(mkdtemp(dir) != NULL);
    status = in_child(serves);
    OK(rmdir(dir) == 0);
    OK((WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) || (WIFEXITED(status) && (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 78)));
    if (WIFEXITED(status))
        printf("# exit %d\n", WEXITSTATUS(status));
    return tap_done();
}
