/* SPDX-License-Identifier: Apache-2.0 */
/* test-pg.h - a PostgreSQL server of the test's own: a cluster in a temporary folder, a Unix socket, an unprivileged user.
 *
 *   struct test_pg pg;
 *   if (test_pg_start(&pg)) { ... pg.url ... }   (else pg.why says what is missing: skip)
 *   test_pg_stop(&pg);   by its pid, and the folder is removed */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct test_pg {
    char dir[64], bin[200], url[256], why[200];
    pid_t pid;
    struct passwd *user; /* NULL: we are not root */
};

static void test_pg_exec(const struct test_pg *pg, const char *const *argv)
{
    char path[300], search[300];
    int log;
    if (pg->user && (setgroups(0, NULL) || setgid(pg->user->pw_gid) || setuid(pg->user->pw_uid)))
        _exit(126);
    if (chdir(pg->dir) || (log = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600)) < 0)
        _exit(126);
    dup2(log, 1);
    dup2(log, 2);
    snprintf(path, sizeof path, "%s/%s", pg->bin, argv[0]);
    clearenv();
    snprintf(search, sizeof search, "%s:/usr/bin:/bin", pg->bin);
    setenv("PATH", search, 1); /* initdb looks for itself and for postgres */
    setenv("LC_ALL", "C.UTF-8", 1);
    execv(path, (char *const *)(void *)(size_t)argv);
    _exit(127);
}

static bool test_pg_run(const struct test_pg *pg, const char *const *argv)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        test_pg_exec(pg, argv);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool test_pg_server(struct test_pg *pg)
{
    /* fsync stays on: the tests are about what is durable */
    const char *const server[] = {"postgres", "-D", "data", "-k", pg->dir, "-c", "listen_addresses=", "-c", "max_connections=20", "-c", "shared_buffers=16MB", NULL};
    const char *const ready[] = {"pg_isready", "-q", "-h", pg->dir, "-U", "holdfast", "-d", "template1", NULL};
    pg->pid = fork();
    if (pg->pid == 0)
        test_pg_exec(pg, server);
    for (int i = 0; pg->pid > 0 && i < 300; i++) {
        if (test_pg_run(pg, ready))
            return true;
        if (waitpid(pg->pid, NULL, WNOHANG) == pg->pid)
            break;
        usleep(100000);
    }
    snprintf(pg->why, sizeof pg->why, "the server did not start, see %s/log", pg->dir);
    return false;
}

static bool test_pg_start(struct test_pg *pg)
{
    glob_t g;
    memset(pg, 0, sizeof *pg);
    if (glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &g) == 0 && g.gl_pathc)
        snprintf(pg->bin, sizeof pg->bin, "%.*s", (int)(strlen(g.gl_pathv[g.gl_pathc - 1]) - strlen("/postgres")), g.gl_pathv[g.gl_pathc - 1]);
    globfree(&g);
    if (!pg->bin[0]) {
        snprintf(pg->why, sizeof pg->why, "the package postgresql is not installed");
        return false;
    }
    if (geteuid() == 0 && !(pg->user = getpwnam("postgres")) && !(pg->user = getpwnam("nobody"))) {
        snprintf(pg->why, sizeof pg->why, "there is no unprivileged user to run the server as");
        return false;
    }
    snprintf(pg->dir, sizeof pg->dir, "/tmp/hf-pg-XXXXXX");
    if (!mkdtemp(pg->dir) || (pg->user && chown(pg->dir, pg->user->pw_uid, pg->user->pw_gid))) {
        snprintf(pg->why, sizeof pg->why, "%s: %s", pg->dir, strerror(errno));
        return false;
    }
    const char *const init[] = {"initdb", "-D", "data", "-U", "holdfast", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", NULL};
    const char *const create[] = {"createdb", "-h", pg->dir, "-U", "holdfast", "holdfast", NULL};
    if (!test_pg_run(pg, init)) {
        snprintf(pg->why, sizeof pg->why, "initdb failed, see %s/log", pg->dir);
        return false;
    }
    if (!test_pg_server(pg))
        return false;
    snprintf(pg->url, sizeof pg->url, "postgresql://holdfast@/holdfast?host=%s", pg->dir);
    if (!test_pg_run(pg, create)) {
        snprintf(pg->why, sizeof pg->why, "createdb failed, see %s/log", pg->dir);
        return false;
    }
    return true;
}

static inline int test_pg_erase(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static inline void test_pg_halt(struct test_pg *pg, int sig) /* SIGINT: fast, SIGQUIT: at once, as a crash */
{
    if (pg->pid > 0) {
        kill(pg->pid, sig);
        waitpid(pg->pid, NULL, 0);
    }
    pg->pid = 0;
}

static void test_pg_stop(struct test_pg *pg)
{
    test_pg_halt(pg, SIGINT);
    if (pg->dir[0])
        nftw(pg->dir, test_pg_erase, 16, FTW_DEPTH | FTW_PHYS);
}
