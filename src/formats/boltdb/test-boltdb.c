// SPDX-License-Identifier: Apache-2.0
/* Databases whole and damaged, and one that is written to meanwhile. */
#include "formats/boltdb/boltdb.h"

#include <errno.h>

#include "formats/boltdb/test-pages.h"
#include "tap.h"

static void path_of(const char *dotted, struct hf_span path[8], size_t *n)
{
    struct hf_span rest = hf_span_z(dotted);
    *n = 0;
    while (*n < 8 && hf_span_cut(&rest, '.', &path[*n]))
        (*n)++;
}

static int get(const char *dotted, struct hf_buf *out, struct hf_err *err)
{
    hf_cleanup(hf_bolt_freep) struct hf_bolt *b = NULL;
    struct hf_span path[8];
    size_t n;
    hf_buf_clear(out);
    if (hf_bolt_new(&b, from_memory, NULL, err) < 0)
        return -1000;
    path_of(dotted, path, &n);
    return hf_bolt_get(b, path, n, out, err);
}

static void whole(void)
{
    hf_autobuf out = HF_BUF_INIT(4096);
    struct hf_err err = HF_ERR_INIT;
    build();
    EQ_I(get("v1.default.containers.web.image", &out, &err), 1);
    EQ_S(hf_buf_span(&out), "reg/box:1");
    EQ_I(get("v1.default.images.reg/box:1.target.digest", &out, &err), 1);
    EQ_S(hf_buf_span(&out), "sha256:aa");
    EQ_I(get("v1.default.a", &out, &err), 1);
    EQ_I(get("v1.default.z", &out, &err), 1);
    EQ_S(hf_buf_span(&out), "26");
    static const char *const absent[] = {"v1", "v2", "v1.default", "v1.default.a.b", "v1.default.0", "v1.default.zz", "v1.default.b", "v1.other.a", "v1.default.containers.web",
            "v1.default.containers.we.image", "", "v1.default.containers.web.imag"};
    for (size_t i = 0; i < HF_ARRAY_LEN(absent); i++)
        EQ_I(get(absent[i], &out, &err), 0);
}

static void note(void *ctx, struct hf_span key, struct hf_span value)
{
    hf_buf_addf(ctx, "%.*s=%.*s;", HF_SPAN_ARG(key), HF_SPAN_ARG(value));
}

static void again(void *ctx)
{
    hf_buf_clear(ctx);
}

/* What is in a bucket, told anew when its owner wrote meanwhile. */
static void listed(void)
{
    hf_autobuf out = HF_BUF_INIT(4096);
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_bolt_freep) struct hf_bolt *b = NULL;
    struct hf_span path[8];
    size_t n;
    build();
    EQ_I(hf_bolt_new(&b, from_memory, NULL, &err), 0);
    path_of("v1.default", path, &n);
    moves = 2;
    EQ_I(hf_bolt_each(b, path, n, note, again, &out, &err), 1);
    EQ_S(hf_buf_span(&out), "a=1;z=26;"); /* over two leaves, without the buckets */
    hf_buf_clear(&out);
    EQ_I(hf_bolt_buckets(b, path, n, 2, &out, &err), 1);
    EQ_U(out.n, sizeof "containers\0images");
    OK(!memcmp(out.p, "containers\0images", sizeof "containers\0images"));
    EQ_I(hf_bolt_buckets(b, path, n, 1, &out, &err), HF_E_LIMIT);
    hf_buf_clear(&out);
    EQ_I(hf_bolt_buckets(b, NULL, 0, 8, &out, &err), 1);
    EQ_S(hf_span_z(hf_buf_z(&out)), "v1");
    path_of("v1.other", path, &n);
    EQ_I(hf_bolt_buckets(b, path, n, 8, &out, &err), 0);
    path_of("v1.default", path, &n);
    moves = 100;
    EQ_I(hf_bolt_each(b, path, n, note, again, &out, &err), -EAGAIN);
    moves = 0;
    build();
    le(db + 4 * PAGE + 16 + 8, 4, 8); /* a branch that leads to itself */
    EQ_I(hf_bolt_each(b, path, n, note, again, &out, &err), HF_E_LIMIT);
}

static void younger_meta_page(void)
{
    hf_autobuf out = HF_BUF_INIT(4096);
    struct hf_err err = HF_ERR_INIT;
    build();
    meta(1, 9, 8); /* a later transaction, whose root has nothing */
    make(db + 9 * PAGE, 9, true, NULL, 0);
    EQ_I(get("v1.default.a", &out, &err), 0);
    db[PAGE + 40] ^= 1; /* torn: the one before counts */
    EQ_I(get("v1.default.a", &out, &err), 1);
    db[40] ^= 1; /* both */
    EQ_I(get("v1.default.a", &out, &err), HF_E_FORMAT);
    OK(err.msg[0] != 0);
}

static void damaged(void)
{
    hf_autobuf out = HF_BUF_INIT(4096);
    struct hf_err err = HF_ERR_INIT;
    build();
    le(db + 4 * PAGE + 16 + 8, 4, 8); /* a branch that leads to itself */
    EQ_I(get("v1.default.a", &out, &err), HF_E_LIMIT);
    build();
    le(db + 4 * PAGE + 16 + 8, ~0ull, 8); /* to a page that cannot be */
    EQ_I(get("v1.default.a", &out, &err), HF_E_FORMAT);
    build();
    le(db + 4 * PAGE + 16 + 8, 1u << 20, 8); /* behind the end */
    EQ_I(get("v1.default.a", &out, &err), HF_E_TRUNCATED);
    build();
    le(db + 5 * PAGE, 4, 8); /* another page than it says */
    EQ_I(get("v1.default.a", &out, &err), HF_E_FORMAT);
    build();
    le(db + 5 * PAGE + 10, 65535, 2); /* more elements than room */
    EQ_I(get("v1.default.a", &out, &err), HF_E_FORMAT);
    build();
    le(db + 5 * PAGE + 12, 1u << 20, 4); /* a gigabyte of overflow pages */
    EQ_I(get("v1.default.a", &out, &err), HF_E_LIMIT);
    build();
    le(db + 5 * PAGE + 16 + 12, 0xffffffff, 4); /* a value that ends outside */
    EQ_I(get("v1.default.a", &out, &err), HF_E_FORMAT);
    build();
    le(db + 5 * PAGE + 8, 16, 2); /* a page of the free list */
    EQ_I(get("v1.default.a", &out, &err), HF_E_FORMAT);
    build();
    db_n = PAGE / 2;
    EQ_I(get("v1.default.a", &out, &err), HF_E_TRUNCATED);
    db_n = 0;
    EQ_I(get("v1.default.a", &out, &err), HF_E_TRUNCATED);
    db_n = sizeof db;
    build();
    hf_autobuf small = HF_BUF_INIT(4);
    EQ_I(get("v1.default.containers.web.image", &small, &err), HF_E_LIMIT);
}

/* Its owner writes while it is read. */
static void moving(void)
{
    hf_autobuf out = HF_BUF_INIT(4096);
    struct hf_err err = HF_ERR_INIT;
    build();
    moves = 2;
    EQ_I(get("v1.default.a", &out, &err), 1); /* the second attempt is undisturbed */
    EQ_S(hf_buf_span(&out), "1");
    build();
    moves = 100;
    reads = 0;
    EQ_I(get("v1.default.a", &out, &err), -EAGAIN);
    EQ_U(out.n, 0);
    OK(reads < 100);
    moves = 0;
}

int main(void)
{
    whole();
    listed();
    younger_meta_page();
    damaged();
    moving();
    return tap_done();
}
