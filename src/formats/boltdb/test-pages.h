/* SPDX-License-Identifier: Apache-2.0 */
/* test-pages.h - a database built page by page, as bbolt lays it out and containerd fills it, for tests. */
#pragma once
#include <string.h>

#include "base/span.h"

#define PAGE 1024u
#define PAGES 16u

static char db[PAGES * PAGE];
static size_t db_n = sizeof db;
static unsigned reads, moves; /* moves: how many reads of the first page still find another transaction */

static void le(char *at, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (char)(v >> 8 * i);
}

static void meta(unsigned page, uint64_t root, uint64_t txid)
{
    char *p = db + page * PAGE;
    uint64_t h = 0xcbf29ce484222325ull;
    memset(p, 0, PAGE);
    le(p, page, 8);
    le(p + 8, 4, 2);
    le(p + 16, 0xED0CDAED, 4);
    le(p + 20, 2, 4);
    le(p + 24, PAGE, 4);
    le(p + 32, root, 8);
    le(p + 64, txid, 8);
    for (unsigned i = 16; i < 72; i++)
        h = (h ^ (unsigned char)p[i]) * 0x100000001b3ull;
    le(p + 72, h, 8);
}

struct item {
    const char *key, *value;
    size_t value_n;
    uint64_t child; /* branch */
    bool bucket;
};

/* A page with these elements into `out`; returns its bytes. */
static size_t make(char *out, uint64_t id, bool leaf, const struct item *items, size_t n)
{
    size_t at = 16 + 16 * n;
    le(out, id, 8);
    le(out + 8, leaf ? 2 : 1, 2);
    le(out + 10, n, 2);
    le(out + 12, 0, 4);
    for (size_t i = 0; i < n; i++) {
        char *e = out + 16 + 16 * i;
        size_t key = strlen(items[i].key);
        if (leaf) {
            le(e, items[i].bucket, 4);
            le(e + 4, at - 16 - 16 * i, 4);
            le(e + 8, key, 4);
            le(e + 12, items[i].value_n, 4);
        } else {
            le(e, at - 16 - 16 * i, 4);
            le(e + 4, key, 4);
            le(e + 8, items[i].child, 8);
        }
        memcpy(out + at, items[i].key, key);
        at += key;
        if (leaf && items[i].value_n)
            memcpy(out + at, items[i].value, items[i].value_n);
        at += leaf ? items[i].value_n : 0;
    }
    return at;
}

#define TEXT(k, v) {.key = k, .value = v, .value_n = sizeof(v) - 1}

/* v1 (root page 3) -> default (branch 4 -> leaves 5 and 6) -> containers, images: inline buckets within inline buckets. */
static void build(void)
{
    char web[600], all[1200], digest[300], reference[400], images[500], root[16];
    memset(db, 0, sizeof db);
    meta(0, 2, 7);
    meta(1, 2, 6);
    memset(web, 0, 16);
    char labels[200];
    memset(labels, 0, 16);
    struct item of_labels[] = {TEXT("app", "shop"), TEXT("io.containerd.x", "y"), TEXT("secret-token", "hunter2")};
    size_t labels_n = 16 + make(labels + 16, 0, true, of_labels, 3);
    struct item of_web[] = {TEXT("image", "reg/box:1"), {.key = "labels", .value = labels, .value_n = labels_n, .bucket = true}};
    size_t web_n = 16 + make(web + 16, 0, true, of_web, 2);
    memset(all, 0, 16);
    struct item of_all[] = {{.key = "web", .value = web, .value_n = web_n, .bucket = true}};
    size_t all_n = 16 + make(all + 16, 0, true, of_all, 1);
    memset(digest, 0, 16);
    struct item of_digest[] = {TEXT("digest", "sha256:aa")};
    size_t digest_n = 16 + make(digest + 16, 0, true, of_digest, 1);
    memset(reference, 0, 16);
    struct item of_reference[] = {{.key = "target", .value = digest, .value_n = digest_n, .bucket = true}};
    size_t reference_n = 16 + make(reference + 16, 0, true, of_reference, 1);
    memset(images, 0, 16);
    struct item of_images[] = {{.key = "reg/box:1", .value = reference, .value_n = reference_n, .bucket = true}};
    size_t images_n = 16 + make(images + 16, 0, true, of_images, 1);
    struct item first[] = {TEXT("a", "1"), {.key = "containers", .value = all, .value_n = all_n, .bucket = true}};
    struct item second[] = {{.key = "images", .value = images, .value_n = images_n, .bucket = true}, TEXT("z", "26")};
    struct item branch[] = {{.key = "a", .child = 5}, {.key = "images", .child = 6}};
    make(db + 5 * PAGE, 5, true, first, 2);
    make(db + 6 * PAGE, 6, true, second, 2);
    make(db + 4 * PAGE, 4, false, branch, 2);
    memset(root, 0, 16);
    le(root, 4, 8);
    struct item namespaces[] = {{.key = "default", .value = root, .value_n = 16, .bucket = true}};
    make(db + 3 * PAGE, 3, true, namespaces, 1);
    char v1[16] = {3};
    struct item top[] = {{.key = "v1", .value = v1, .value_n = 16, .bucket = true}};
    make(db + 2 * PAGE, 2, true, top, 1);
}

static ssize_t from_memory(void *ctx, uint64_t offset, char *out, size_t n)
{
    (void)ctx;
    reads++;
    if (offset == 0 && moves) {
        moves--;
        meta(0, 2, 1000 - moves);
    }
    if (offset >= db_n)
        return 0;
    size_t got = HF_MIN(n, db_n - (size_t)offset);
    memcpy(out, db + offset, got);
    return (ssize_t)got;
}
