// SPDX-License-Identifier: Apache-2.0
/* net-bench - one load, its cost a round in ns on stdout.  On loopback: connect | storm | request | udp-echo | udp-send | stream; of the
 * host alone: getppid | mmap | compiler | open | open-beside | spawn.  Used by net_bench.py and tests/bench/watch, which run it with and without the sensor. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STREAM_BYTES (64 * 1024)

static struct sockaddr_in at = {.sin_family = AF_INET};

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void need(long rc, const char *what)
{
    if (rc >= 0)
        return;
    perror(what);
    exit(3);
}

static int server(int type)
{
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, type, 0), one = 1;
    need(fd, "socket");
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    need(bind(fd, (struct sockaddr *)&at, sizeof at), "bind");
    need(getsockname(fd, (struct sockaddr *)&at, &n), "getsockname");
    if (type == SOCK_STREAM)
        need(listen(fd, 128), "listen");
    return fd;
}

/* Connect, accept, (a request and an answer,) close: all in one thread, so that no wake-up blurs it.  The client resets at the end,
 * so that no port waits. */
static void connects(unsigned rounds, int talk)
{
    int srv = server(SOCK_STREAM);
    struct linger hard = {1, 0};
    char b[256] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (unsigned i = 0; i < rounds; i++) {
        int c = socket(AF_INET, SOCK_STREAM, 0);
        need(c, "socket");
        setsockopt(c, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        need(connect(c, (struct sockaddr *)&at, sizeof at), "connect");
        int s = accept(srv, NULL, NULL);
        need(s, "accept");
        if (talk) {
            need(send(c, b, 40, 0), "send");
            need(recv(s, b, sizeof b, 0), "recv");
            need(send(s, b, 200, 0), "send");
            need(recv(c, b, sizeof b, 0), "recv");
        }
        close(c);
        close(s);
    }
}

/* Two processes: one connects and closes, the other accepts and reads to the end, as a client and a server do. */
static void storm(unsigned rounds)
{
    int srv = server(SOCK_STREAM), status;
    char b[64];
    pid_t child = fork();
    need(child, "fork");
    if (child == 0) {
        for (unsigned i = 0; i < rounds; i++) {
            int s = accept(srv, NULL, NULL);
            need(s, "accept");
            need(recv(s, b, sizeof b, 0), "recv");
            close(s);
        }
        _exit(0);
    }
    for (unsigned i = 0; i < rounds; i++) {
        int c = socket(AF_INET, SOCK_STREAM, 0);
        need(c, "socket");
        need(connect(c, (struct sockaddr *)&at, sizeof at), "connect");
        shutdown(c, SHUT_WR);
        need(recv(c, b, sizeof b, 0), "recv");
        close(c);
    }
    need(waitpid(child, &status, 0), "waitpid");
}

static void echo(unsigned rounds, int answer)
{
    int srv = server(SOCK_DGRAM), c = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in from;
    char b[64] = "ping";
    need(c, "socket");
    for (unsigned i = 0; i < rounds; i++) {
        socklen_t n = sizeof from;
        need(sendto(c, b, sizeof b, 0, (struct sockaddr *)&at, sizeof at), "sendto");
        need(recvfrom(srv, b, sizeof b, 0, (struct sockaddr *)&from, &n), "recvfrom");
        if (!answer)
            continue;
        need(sendto(srv, b, sizeof b, 0, (struct sockaddr *)&from, n), "sendto");
        need(recv(c, b, sizeof b, 0), "recv");
    }
}

static void *sink(void *arg)
{
    static char b[STREAM_BYTES * 4];
    int s = accept(*(int *)arg, NULL, NULL);
    while (recv(s, b, sizeof b, 0) > 0)
        ;
    close(s);
    return NULL;
}

static void stream(unsigned rounds)
{
    static char b[STREAM_BYTES];
    int srv = server(SOCK_STREAM), c = socket(AF_INET, SOCK_STREAM, 0);
    pthread_t t;
    pthread_create(&t, NULL, sink, &srv);
    need(connect(c, (struct sockaddr *)&at, sizeof at), "connect");
    for (unsigned i = 0; i < rounds; i++)
        for (size_t done = 0; done < sizeof b;) {
            ssize_t n = send(c, b + done, sizeof b - done, 0);
            need(n, "send");
            done += (size_t)n;
        }
    close(c);
    pthread_join(t, NULL);
}

static void mappings(unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        void *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        need(p == MAP_FAILED ? -1 : 0, "mmap");
        need(munmap(p, 8192), "munmap");
    }
}

/* As compilers at run time do it: a page written, executed, written. */
static void compiler(unsigned rounds)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    need(p == MAP_FAILED ? -1 : 0, "mmap");
    for (unsigned i = 0; i < rounds; i++) {
        need(mprotect(p, 4096, PROT_READ | PROT_EXEC), "mprotect");
        need(mprotect(p, 4096, PROT_READ | PROT_WRITE), "mprotect");
    }
}

/* Of a file in a folder that nobody watches, or in /etc, which is watched. */
static void opens(const char *path, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        need(fd, "open");
        close(fd);
    }
}

static void spawns(unsigned rounds)
{
    char *args[] = {(char[]){"true"}, NULL}, *env[] = {NULL};
    for (unsigned i = 0; i < rounds; i++) {
        pid_t pid;
        int status;
        need(posix_spawn(&pid, "/bin/true", NULL, NULL, args, env) == 0 ? 0 : -1, "posix_spawn");
        need(waitpid(pid, &status, 0), "waitpid");
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    unsigned rounds = (unsigned)strtoul(argv[2], NULL, 10);
    uint64_t from = now_ns();
    if (!strcmp(argv[1], "connect"))
        connects(rounds, 0);
    else if (!strcmp(argv[1], "storm"))
        storm(rounds);
    else if (!strcmp(argv[1], "request"))
        connects(rounds, 1);
    else if (!strcmp(argv[1], "udp-echo"))
        echo(rounds, 1);
    else if (!strcmp(argv[1], "udp-send"))
        echo(rounds, 0);
    else if (!strcmp(argv[1], "stream"))
        stream(rounds);
    else if (!strcmp(argv[1], "getppid"))
        for (unsigned i = 0; i < rounds; i++)
            (void)getppid();
    else if (!strcmp(argv[1], "mmap"))
        mappings(rounds);
    else if (!strcmp(argv[1], "compiler"))
        compiler(rounds);
    else if (!strcmp(argv[1], "open"))
        opens("/usr/share/common-licenses/BSD", rounds);
    else if (!strcmp(argv[1], "open-beside"))
        opens("/etc/hostname", rounds);
    else if (!strcmp(argv[1], "spawn"))
        spawns(rounds);
    else
        return 2;
    printf("%.1f\n", (double)(now_ns() - from) / rounds);
    return 0;
}
