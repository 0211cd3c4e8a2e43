// SPDX-License-Identifier: Apache-2.0
/* Which seals go when they are too many. */
#include "seal/prune.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

static char dir[] = "/tmp/hf-prune-XXXXXX";

static void put(const char *name, size_t bytes, mode_t mode, long age_s)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    struct timespec t[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};
    OK(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0 && fchmod(fd, mode) == 0 && futimens(fd, t) == 0);
    close(fd);
}

static bool there(const char *name)
{
    char path[200];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return lstat(path, &st) == 0;
}

static void fill(void)
{
    put("sha256-old.seal", 1000, HF_SEAL_MADE_MODE, 40 * 86400);
    put("sha256-mid.seal", 1000, HF_SEAL_MADE_MODE, 20 * 86400);
    put("sha256-new.seal", 1000, HF_SEAL_MADE_MODE, 0);
    put("sha256-mine.seal", 100000, 0600, 90 * 86400);
    put("else", 100000, HF_SEAL_MADE_MODE, 90 * 86400);
}

static bool mid_is_used(void *ctx, const char *name)
{
    (void)ctx;
    return !strcmp(name, "sha256-mid.seal");
}

static void count(void *ctx, const char *name, uint64_t bytes, uint64_t unused_s)
{
    (void)name;
    EQ_U(bytes, 1000);
    OK(unused_s >= 20 * 86400);
    ++*(unsigned *)ctx;
}

int main(void)
{
    char link[200];
    struct hf_seal_pruned r;
    unsigned told = 0;
    if (!mkdtemp(dir))
        return 1;
    struct hf_seal_prune_opts o = {.dir = dir, .max_bytes = 2500, .dry_run = true, .gone = count, .ctx = &told};
    fill();
    EQ_I(hf_seal_prune(&o, &r, NULL), 0);
    OK(r.removed == 1 && r.kept == 2 && r.kept_bytes == 2000 && r.of_people == 1 && told == 1 && there("sha256-old.seal"));
    o.dry_run = false;
    snprintf(link, sizeof link, "%s/sha256-link.seal", dir);
    EQ_I(symlink("sha256-old.seal", link), 0);
    EQ_I(hf_seal_prune(&o, &r, NULL), 0);
    OK(!there("sha256-old.seal") && there("sha256-mid.seal") && there("sha256-new.seal") && there("sha256-mine.seal") && there("else"));
    EQ_I(hf_seal_prune(&o, &r, NULL), 0); /* enough room, but the link leads nowhere now */
    OK(r.removed == 0 && r.kept == 2 && !there("sha256-link.seal"));

    fill();
    o.max_bytes = 0;
    o.in_use = mid_is_used;
    o.gone = NULL;
    EQ_I(hf_seal_prune(&o, &r, NULL), 0);
    OK(r.removed == 2 && r.kept == 1 && there("sha256-mid.seal") && !there("sha256-new.seal") && there("sha256-mine.seal"));

    fill();
    o.max_bytes = UINT64_MAX;
    o.older_than_s = 30 * 86400;
    o.in_use = NULL;
    EQ_I(hf_seal_prune(&o, &r, NULL), 0);
    OK(r.removed == 1 && !there("sha256-old.seal") && there("sha256-mid.seal"));

    o.dir = "/nonexistent/folder";
    EQ_I(hf_seal_prune(&o, &r, NULL), 0);
    OK(r.removed == 0 && r.kept == 0);
    o.dir = "/etc/passwd";
    OK(hf_seal_prune(&o, &r, NULL) < 0);
    static const char *const names[] = {"sha256-mid.seal", "sha256-new.seal", "sha256-mine.seal", "else"};
    for (size_t i = 0; i < 4; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    EQ_I(rmdir(dir), 0);
    return tap_done();
}
