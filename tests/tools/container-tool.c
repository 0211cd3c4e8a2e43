/* SPDX-License-Identifier: Apache-2.0 */
/* The only program of the test containers (linked statically): changes files as told, then waits or ends.
 *   rm PATH... | rmtree PATH | mkdir PATH | put PATH TEXT | link OLD NEW | wait
 * Commands are separated by ";".  "wait" says "ready" and stays until it is killed. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int gone(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static int run(int n, char **v)
{
    if (n == 2 && !strcmp(v[0], "rm"))
        return unlink(v[1]);
    if (n == 2 && !strcmp(v[0], "rmtree"))
        return nftw(v[1], gone, 16, FTW_DEPTH | FTW_PHYS);
    if (n == 2 && !strcmp(v[0], "mkdir"))
        return mkdir(v[1], 0755);
    if (n == 3 && !strcmp(v[0], "link"))
        return link(v[1], v[2]);
    if (n == 3 && !strcmp(v[0], "put")) {
        int fd = open(v[1], O_WRONLY | O_CREAT | O_TRUNC, 0644);
        return fd < 0 || write(fd, v[2], strlen(v[2])) != (ssize_t)strlen(v[2]) || close(fd) ? -1 : 0;
    }
    if (n == 1 && !strcmp(v[0], "wait")) {
        puts("ready");
        fflush(stdout);
        signal(SIGTERM, exit); /* the first process of a container has no default action */
        for (;;)
            pause();
    }
    return -1;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc;) {
        int n = 0;
        while (i + n < argc && strcmp(argv[i + n], ";") != 0)
            n++;
        if (run(n, argv + i) != 0) {
            perror(argv[i]);
            return 1;
        }
        i += n + 1;
    }
    return 0;
}
