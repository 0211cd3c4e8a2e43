// SPDX-License-Identifier: Apache-2.0
/* A bbolt database: whatever lies in it, reading ends, stays within its limits, and says why it found nothing. */
#include "formats/boltdb/boltdb.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { READS_MAX = 60000, BUCKETS = 16, DEEP = 3 };

static unsigned reads;

static ssize_t from_memory(void *ctx, uint64_t offset, char *out, size_t n)
{
    const struct hf_span *s = ctx;
    if (++reads > READS_MAX)
        abort();
    if (offset >= s->n)
        return 0;
    size_t got = HF_MIN(n, s->n - (size_t)offset);
    memcpy(out, s->p + offset, got);
    return (ssize_t)got;
}

struct first {
    struct hf_buf key, value;
    unsigned n;
};

static void keep_first(void *ctx, struct hf_span key, struct hf_span value)
{
    struct first *f = ctx;
    if (f->n++)
        return;
    hf_buf_adds(&f->key, key);
    hf_buf_adds(&f->value, value);
}

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* A bucket, what is in it, and the buckets below. */
static void bucket(struct hf_bolt *b, struct hf_span *path, size_t n)
{
    struct hf_err err = HF_ERR_INIT;
    hf_autobuf names = HF_BUF_INIT(65536), again = HF_BUF_INIT(1 << 20);
    struct first f = {.key = HF_BUF_INIT(1 << 20), .value = HF_BUF_INIT(1 << 20)};
    int rc = n ? hf_bolt_each(b, path, n, keep_first, NULL, &f, &err) : 0;
    must(rc >= 0 || err.msg[0]);
    must(f.n <= 1024);
    if (rc == 1 && f.n == 1) { /* the only one is found by its name, too */
        path[n] = hf_buf_span(&f.key);
        int found = hf_bolt_get(b, path, n + 1, &again, &err);
        must(found <= 0 || hf_span_eq(hf_buf_span(&again), hf_buf_span(&f.value)));
    }
    err.msg[0] = 0;
    rc = hf_bolt_buckets(b, path, n, BUCKETS, &names, &err);
    must(rc >= 0 || err.msg[0]);
    struct hf_span rest = hf_buf_span(&names), name;
    for (unsigned i = 0; rc == 1 && n < DEEP && i < 2 && hf_span_cut(&rest, 0, &name); i++) {
        path[n] = name;
        bucket(b, path, n + 1);
    }
    hf_buf_done(&f.key);
    hf_buf_done(&f.value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span all = hf_span((const char *)data, size), path[DEEP + 2];
    hf_cleanup(hf_bolt_freep) struct hf_bolt *b = NULL;
    struct hf_err err = HF_ERR_INIT;
    reads = 0;
    if (hf_bolt_new(&b, from_memory, &all, &err) == 0)
        bucket(b, path, 0);
    return 0;
}
