// SPDX-License-Identifier: Apache-2.0
/* Digests of files: once per state, the racy ones again, the large ones by the second thread. */
#include "guard/digests.h"

#include <fcntl.h>
#include <poll.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include "tap.h"

static char path[64] = "/tmp/test-digests-XXXXXX";
static int fd;

static void put(const char *text)
{
    OK(ftruncate(fd, 0) == 0 && pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text));
}

static void settle(void)
{
    struct timespec t = {0, 60000000};
    nanosleep(&t, NULL);
}

static struct stat now(void)
{
    struct stat st = {.st_ino = 0};
    OK(fstat(fd, &st) == 0);
    return st;
}

static bool is_of(const uint8_t got[32], const char *text)
{
    struct hf_digest d;
    hf_digest_of(HF_SHA256, hf_span_z(text), &d);
    return !memcmp(d.b, got, 32);
}

static void once(struct hf_digests *d)
{
    struct hf_digests_stats s;
    uint8_t got[32];
    bool racy;
    put("one");
    struct stat st = now();
    OK(!hf_digests_known(d, &st, true, got));
    EQ_I(hf_digests_fd(d, fd, &st, true, got, &racy), 0);
    OK(racy && is_of(got, "one")); /* just written */
    OK(!hf_digests_known(d, &st, true, got));
    settle();
    EQ_I(hf_digests_fd(d, fd, &st, true, got, &racy), 0);
    OK(!racy && hf_digests_known(d, &st, true, got) && is_of(got, "one"));
    for (unsigned i = 0; i < 100000; i++)
        if (hf_digests_fd(d, fd, &st, true, got, &racy) != 0)
            OK(!"known");
    hf_digests_stats(d, &s);
    EQ_U(s.hashed, 2);
    EQ_U(s.racy, 1);
    put("two"); /* another state */
    settle();
    st = now();
    OK(!hf_digests_known(d, &st, true, got));
    EQ_I(hf_digests_fd(d, fd, &st, true, got, &racy), 0);
    OK(is_of(got, "two"));
    OK(fchmod(fd, 0700) == 0); /* no other content, but another state: read again */
    settle();
    st = now();
    EQ_I(hf_digests_fd(d, fd, &st, true, got, &racy), 0);
    OK(is_of(got, "two"));
    hf_digests_stats(d, &s);
    EQ_U(s.hashed, 4);
}

/* Through a mapping that stays: what it does to a page that is dirty already does not change the file's time, so what is dirty is written back before
 * the file is read. */
static void mapped(struct hf_digests *d)
{
    struct stat st;
    struct statfs fs;
    uint8_t got[32];
    bool racy;
    put("mapped");
    char *at = mmap(NULL, 6, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED || fstatfs(fd, &fs) < 0 || fs.f_type == TMPFS_MAGIC) {
        printf("# no such file system here\n");
        return;
    }
    at[0] = 'M'; /* dirty */
    settle();
    st = now();
    EQ_I(hf_digests_fd(d, fd, &st, true, got, &racy), 0);
    OK(!racy && is_of(got, "Mapped"));
    settle();
    at[0] = 'm'; /* the page is not made writable before its time is */
    st = now();
    OK(!hf_digests_known(d, &st, true, got));
    settle();
    st = now();
    EQ_I(hf_digests_fd(d, fd, &st, true, got, &racy), 0);
    OK(is_of(got, "mapped"));
    munmap(at, 6);
}

/* What changed within a tick of the clock of now is judged, and not kept: put back as fast it has the same time. */
static void within_a_tick(struct hf_digests *d)
{
    uint8_t got[32];
    bool racy = false;
    unsigned kept = 0, same = 0;
    for (unsigned i = 0; i < 200; i++) {
        put("evil");
        struct stat st = now(), after;
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        bool young = (t.tv_sec - st.st_ctim.tv_sec) * 1000000000 + t.tv_nsec - st.st_ctim.tv_nsec < (int64_t)HF_RACY_NS / 2; /* on a busy machine it may be older already */
        if (hf_digests_fd(d, fd, &st, true, got, &racy) != 0 || !young || !racy)
            continue;
        kept += hf_digests_known(d, &st, true, got);
        put("good");
        after = now();
        same += after.st_ctim.tv_sec == st.st_ctim.tv_sec && after.st_ctim.tv_nsec == st.st_ctim.tv_nsec;
    }
    printf("# %u of 200 changes could not be told by their time\n", same);
    EQ_U(kept, 0);
}

static void large(void)
{
    hf_cleanup(hf_digests_freep) struct hf_digests *d = NULL;
    struct hf_digests_stats s;
    uint8_t got[32];
    bool racy;
    EQ_I(hf_digests_new(&d, 64, 2, NULL), 0); /* more than 2 bytes are large */
    put("three");
    settle();
    struct stat st = now();
    EQ_I(hf_digests_fd(d, fd, &st, true, got, &racy), -EINPROGRESS);
    EQ_I(hf_digests_fd(d, fd, &st, true, got, &racy), -EINPROGRESS); /* once is enough */
    struct pollfd p = {.fd = hf_digests_wait_fd(d), .events = POLLIN};
    EQ_I(poll(&p, 1, 5000), 1);
    EQ_U(hf_digests_collect(d), 1);
    EQ_I(hf_digests_fd(d, fd, &st, true, got, &racy), 0);
    OK(is_of(got, "three"));
    hf_digests_stats(d, &s);
    EQ_U(s.hashed, 1);
    EQ_U(s.waiting, 0);
    /* more than can wait, and an end while they do: 1 GiB of holes each */
    OK(ftruncate(fd, 1ll << 30) == 0);
    unsigned waiting = 0, full = 0;
    for (unsigned i = 0; i < HF_DIGESTS_QUEUE + 8; i++) {
        OK(fchmod(fd, 0600 | (i & 7)) == 0); /* states of their own */
        struct timespec t = {0, 11000000};
        nanosleep(&t, NULL);
        st = now();
        int rc = hf_digests_fd(d, fd, &st, true, got, &racy);
        waiting += rc == -EINPROGRESS;
        full += rc == -EAGAIN;
    }
    OK(waiting >= HF_DIGESTS_QUEUE && waiting + full == HF_DIGESTS_QUEUE + 8);
}

/* Slowly, while nobody waits; at once when somebody does. */
static void paced(void)
{
    hf_cleanup(hf_digests_freep) struct hf_digests *d = NULL;
    struct hf_digests_stats s;
    uint8_t got[32];
    bool racy;
    EQ_I(hf_digests_new(&d, 64, 2, NULL), 0);
    OK(ftruncate(fd, 0) == 0 && ftruncate(fd, 64l << 20) == 0);
    settle();
    struct stat st = now();
    hf_digests_pace(d, 100000); /* a ten-thousandth: 64 MiB would take minutes */
    EQ_I(hf_digests_fd(d, fd, &st, HF_DIGEST_FIRM, got, &racy), -EINPROGRESS);
    struct pollfd p = {.fd = hf_digests_wait_fd(d), .events = POLLIN};
    EQ_I(poll(&p, 1, 1000), 0);
    hf_digests_stats(d, &s);
    OK(s.later_ns > 0 && s.later_ns < 100000000);
    EQ_I(hf_digests_fd(d, fd, &st, HF_DIGEST_FIRM | HF_DIGEST_URGENT, got, &racy), -EINPROGRESS);
    EQ_I(poll(&p, 1, 60000), 1);
    EQ_U(hf_digests_collect(d), 1);
    hf_digests_stats(d, &s);
    EQ_U(s.hashed, 1); /* once, not anew */
    EQ_I(hf_digests_fd(d, fd, &st, HF_DIGEST_FIRM, got, &racy), 0);
    OK(fchmod(fd, 0600) == 0);
    settle();
    st = now();
    EQ_I(hf_digests_fd(d, fd, &st, 0, got, &racy), -EINPROGRESS); /* an end while it rests */
}

static void bounded(struct hf_digests *d)
{
    struct hf_digests_stats s;
    struct stat st = now();
    uint8_t got[32];
    bool racy;
    put("x");
    settle();
    st = now();
    for (unsigned i = 0; i < 5000; i++) {
        st.st_ino = 1000 + i; /* as if there were many; what is hashed says otherwise and is not kept under these */
        int rc = hf_digests_fd(d, fd, &st, true, got, &racy);
        if (rc != 0 && rc != -ESTALE)
            OK(!"hashed");
    }
    hf_digests_stats(d, &s);
    OK(s.known <= 1024);
}

static size_t resident_kib(void)
{
    char text[64] = "";
    unsigned long size = 0, pages = 0;
    int statm = open("/proc/self/statm", O_RDONLY);
    OK(statm >= 0 && read(statm, text, sizeof text - 1) > 0 && sscanf(text, "%lu %lu", &size, &pages) == 2);
    close(statm);
    return pages * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* A file more takes what it needs, and not a page. */
static void close_together(void)
{
    enum { FILES = 300 };
    hf_cleanup(hf_digests_freep) struct hf_digests *d = NULL;
    struct hf_digests_stats s;
    int files[FILES];
    uint8_t got[32];
    bool racy;
    unsigned bad = 0;
    EQ_I(hf_digests_new(&d, 65536, 1u << 20, NULL), 0);
    for (unsigned i = 0; i < FILES; i++) {
        char name[] = "/tmp/test-digests-XXXXXX";
        files[i] = mkstemp(name);
        bad += files[i] < 0 || unlink(name) < 0 || write(files[i], &i, sizeof i) != sizeof i;
    }
    settle();
    size_t before = resident_kib();
    for (unsigned i = 0; i < FILES; i++) {
        struct stat st;
        bad += fstat(files[i], &st) < 0 || hf_digests_fd(d, files[i], &st, 0, got, &racy) != 0;
    }
    OK(resident_kib() < before + 700); /* 1,100 where each lies anywhere */
    for (unsigned i = 0; i < FILES; i++) {
        struct stat st;
        struct hf_digest own;
        hf_digest_of(HF_SHA256, hf_span((const char *)&i, sizeof i), &own);
        bad += fstat(files[i], &st) < 0 || !hf_digests_known(d, &st, 0, got) || memcmp(got, own.b, 32) != 0;
        close(files[i]);
    }
    hf_digests_stats(d, &s);
    EQ_U(s.known, FILES);
    EQ_U(bad, 0);
}

int main(void)
{
    hf_cleanup(hf_digests_freep) struct hf_digests *d = NULL;
    fd = mkstemp(path);
    if (fd < 0 || unlink(path) < 0 || hf_digests_new(&d, 1024, 1u << 20, NULL) < 0) {
        printf("Bail out! no file\n");
        return 1;
    }
    once(d);
    mapped(d);
    within_a_tick(d);
    large();
    paced();
    bounded(d);
    close_together();
    hf_digests_free(NULL);
    close(fd);
    return tap_done();
}
