// SPDX-License-Identifier: Apache-2.0
/* Files with fs-verity: read once for all that have the same measurement.  HF_TEST_VERITY names a block device or an image with an ext4 file system of
 * its own that has the feature (mkfs.ext4 -O verity), which is mounted here; tests/e2e/test_drift_vm.py gives one. */
#include "guard/verity.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fsverity.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "guard/digests.h"

#include "tap.h"

#define LARGE (1u << 20)

static char folder[64] = "/tmp/test-verity-XXXXXX";

static int at(const char *name, int flags)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return open(path, flags | O_CLOEXEC, 0755);
}

/* A file of many bytes of one kind, that cannot change any more. */
static void make(const char *name, char byte, char salt)
{
    static char text[2 * LARGE];
    memset(text, byte, sizeof text);
    int fd = at(name, O_CREAT | O_EXCL | O_WRONLY);
    OK(fd >= 0 && write(fd, text, sizeof text) == (ssize_t)sizeof text);
    close(fd);
    fd = at(name, O_RDONLY);
    struct fsverity_enable_arg arg = {.version = 1, .hash_algorithm = FS_VERITY_HASH_ALG_SHA256, .block_size = 4096, .salt_size = salt ? 1 : 0, .salt_ptr = (uint64_t)(uintptr_t)&salt};
    OK(ioctl(fd, FS_IOC_ENABLE_VERITY, &arg) == 0);
    close(fd);
}

/* Its digest, waited for; how many files were read for that. */
static uint64_t reads(struct hf_digests *d, const char *name, uint8_t ret[32])
{
    struct hf_digests_stats before, after;
    struct stat st;
    bool racy;
    hf_digests_stats(d, &before);
    int fd = at(name, O_RDONLY);
    OK(fd >= 0 && fstat(fd, &st) == 0);
    int rc = hf_digests_fd(d, fd, &st, true, ret, &racy);
    if (rc == -EINPROGRESS) {
        struct pollfd p = {.fd = hf_digests_wait_fd(d), .events = POLLIN};
        EQ_I(poll(&p, 1, 60000), 1);
        EQ_U(hf_digests_collect(d), 1);
        rc = hf_digests_fd(d, fd, &st, true, ret, &racy);
    }
    EQ_I(rc, 0);
    close(fd);
    hf_digests_stats(d, &after);
    return after.hashed - before.hashed;
}

static void once_for_all(const char *device)
{
    hf_cleanup(hf_digests_freep) struct hf_digests *d = NULL;
    uint8_t first[32], other[32];
    EQ_I(hf_digests_new(&d, 64, LARGE, NULL), 0);
    make("a", 'x', 0);
    make("b", 'x', 0);
    make("evil", 'y', 0);
    make("salted", 'x', 's');
    EQ_U(reads(d, "a", first), 1);
    EQ_U(reads(d, "a", other), 0);
    EQ_U(reads(d, "b", other), 0); /* another inode */
    OK(!memcmp(first, other, 32));
    int fd = at("a", O_RDONLY);
    OK(fchmod(fd, 0700) == 0); /* another state */
    close(fd);
    EQ_U(reads(d, "a", other), 0);
    OK(!memcmp(first, other, 32));
    EQ_U(reads(d, "evil", other), 1); /* as large, with other content */
    OK(memcmp(first, other, 32));
    EQ_U(reads(d, "salted", other), 1); /* the same content, but nothing says so */
    OK(!memcmp(first, other, 32));
    OK(umount(folder) == 0 && mount(device, folder, "ext4", 0, NULL) == 0);
    fd = at("b", O_RDONLY);
    OK(fchmod(fd, 0500) == 0);
    close(fd);
    EQ_U(reads(d, "b", other), 0); /* mounted anew */
    OK(!memcmp(first, other, 32));
    struct hf_digests_stats s;
    hf_digests_stats(d, &s);
    EQ_U(s.measured, 3);
    EQ_U(s.hashed, 3);
}

int main(void)
{
    const char *device = getenv("HF_TEST_VERITY");
    struct hf_verity v;
    if (!mkdtemp(folder)) {
        printf("Bail out! no folder\n");
        return 1;
    }
    int fd = at("plain", O_CREAT | O_RDWR);
    OK(fd >= 0 && !hf_verity_measure(fd, &v)); /* has none */
    close(fd);
    fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    OK(fd >= 0 && !hf_verity_measure(fd, &v)); /* nobody vouches */
    close(fd);
    struct hf_verity_known *k = hf_verity_known_new();
    uint8_t sum[32] = {7}, got[32];
    OK(k);
    for (unsigned i = 0; k && i < 100000; i++) { /* bounded, and the latest is there */
        v = (struct hf_verity){.algorithm = 1, .size = 32};
        memcpy(v.digest, &i, sizeof i);
        memcpy(sum + 4, &i, sizeof i);
        hf_verity_keep(k, &v, sum);
        if (!hf_verity_find(k, &v, got) || memcmp(sum, got, 32))
            OK(!"kept");
    }
    v.size = 64; /* of another algorithm: another measurement */
    OK(k && !hf_verity_find(k, &v, got));
    hf_verity_known_free(k);
    if (!device) {
        printf("# no file system with fs-verity: HF_TEST_VERITY\n");
    } else if (mount(device, folder, "ext4", 0, NULL) < 0) {
        printf("Bail out! %s: %s\n", device, strerror(errno));
        return 1;
    } else {
        once_for_all(device);
        OK(umount(folder) == 0);
    }
    char path[128];
    snprintf(path, sizeof path, "%s/plain", folder);
    OK(unlink(path) == 0 && rmdir(folder) == 0);
    return tap_done();
}
