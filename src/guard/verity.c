// SPDX-License-Identifier: Apache-2.0
#include "guard/verity.h"

#include <linux/fsverity.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include "base/span.h"

#define KNOWN 4096u
#define WAYS 8u /* places a measurement may lie in */

struct entry {
    struct hf_verity v; /* size 0: free */
    uint8_t sha256[32];
    uint64_t used;
};
struct hf_verity_known {
    uint64_t clock;
    struct entry entries[KNOWN];
};

bool hf_verity_measure(int fd, struct hf_verity *ret)
{
    union {
        struct fsverity_digest d;
        uint8_t bytes[sizeof(struct fsverity_digest) + sizeof ret->digest];
    } m = {.d = {.digest_size = sizeof ret->digest}};
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0 || ((unsigned long)fs.f_type != EXT4_SUPER_MAGIC && (unsigned long)fs.f_type != F2FS_SUPER_MAGIC && (unsigned long)fs.f_type != BTRFS_SUPER_MAGIC))
        return false;
    if (ioctl(fd, FS_IOC_MEASURE_VERITY, &m) < 0 || !m.d.digest_size || m.d.digest_size > sizeof ret->digest)
        return false;
    *ret = (struct hf_verity){.algorithm = m.d.digest_algorithm, .size = m.d.digest_size};
    memcpy(ret->digest, m.bytes + offsetof(struct fsverity_digest, digest), ret->size);
    return true;
}

static struct entry *place(struct hf_verity_known *k, const struct hf_verity *v, bool make)
{
    size_t at = (size_t)hf_span_hash(hf_span((const char *)v, sizeof *v));
    struct entry *oldest = NULL;
    for (unsigned i = 0; i < WAYS; i++) {
        struct entry *e = &k->entries[(at + i) % KNOWN];
        if (e->v.size && !memcmp(&e->v, v, sizeof *v)) {
            e->used = ++k->clock;
            return e;
        }
        if (!oldest || e->used < oldest->used)
            oldest = e;
    }
    return make ? oldest : NULL;
}

bool hf_verity_find(struct hf_verity_known *k, const struct hf_verity *v, uint8_t ret[32])
{
    const struct entry *e = place(k, v, false);
    if (e)
        memcpy(ret, e->sha256, 32);
    return e;
}

void hf_verity_keep(struct hf_verity_known *k, const struct hf_verity *v, const uint8_t sha256[32])
{
    struct entry *e = place(k, v, true);
    *e = (struct entry){.v = *v, .used = ++k->clock};
    memcpy(e->sha256, sha256, 32);
}

struct hf_verity_known *hf_verity_known_new(void)
{
    return calloc(1, sizeof(struct hf_verity_known));
}

void hf_verity_known_free(struct hf_verity_known *k)
{
    free(k);
}
