/* SPDX-License-Identifier: Apache-2.0 */
/* An export from hostile bytes, in pieces of a size the first byte chooses: as an archive whose layers are found by digest, and as the
 * tree itself.  What is given as a layer of the image must have the layer's digest. */
#include "image/image-internal.h"
#include "image/stream.h"

static int run(const struct hf_cat_file *files, size_t n, struct hf_cat_scratch *scratch, struct hf_facts *out, struct hf_err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct hf_span all;
        int rc = hf_ra_all(&files[i].ra, &scratch->file, &all, err);
        struct hf_package p = {.type = HF_PKG_GENERIC, .name = HF_S("x"), .version = files[i].path};
        if (rc >= 0)
            rc = hf_facts_package(out, &p, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static const struct hf_want wants[] = {
        {HF_WANT_TAIL, "package.json", NULL, 1 << 20, false, NULL, 0},
        {HF_WANT_TAIL, "status", "dpkg", 1 << 20, true, NULL, 0},
};
static const struct hf_cataloger everything = {"fuzz", 1, wants, HF_ARRAY_LEN(wants), run};
static const struct hf_cataloger *const catalogers[] = {&everything, NULL};

struct bytes {
    struct hf_span all;
    size_t at, piece;
};

static int open_bytes(const struct hf_image_stream *s, void **ret, struct hf_err *err)
{
    (void)err;
    *ret = (void *)(uintptr_t)s->ctx;
    ((struct bytes *)*ret)->at = 0;
    return 0;
}

static int pull_bytes(void *stream, struct hf_span *ret, struct hf_err *err)
{
    struct bytes *b = stream;
    (void)err;
    *ret = hf_span_sub(b->all, b->at, b->piece);
    b->at += ret->n;
    return ret->n != 0;
}

static void close_bytes(void *stream)
{
    (void)stream;
}

static void once(struct hf_span all, size_t piece, bool archive, struct hf_dispatch *dispatch)
{
    /* The layers of the seeds (tests/corpus/fuzz-stream). */
    static const char *const ids[] = {"sha256:6a7b9409730801be7ba59ff79298a4f3cee473867966a9c692fc5a022f708afa", "sha256:1cd9b263496751e134aab79295e0163764cf4ad556b0c8a2885a1eddc435a370"};
    struct bytes bytes = {all, 0, piece};
    struct hf_image_stream stream = {open_bytes, pull_bytes, close_bytes, &bytes, 0, archive, false};
    struct hf_layer_source layers[2] = {{.fd = -1}, {.fd = -1}};
    struct hf_streamed v[2] = {{.known = false}, {.known = false}};
    struct hf_budget held;
    struct hf_image img;
    struct hf_err err = HF_ERR_INIT;
    hf_image_init(&img);
    hf_budget_init(&held, 1 << 20);
    img.layers = layers;
    img.n_layers = archive ? 2 : 1;
    img.stream = &stream;
    for (size_t i = 0; i < 2 && archive; i++)
        if (hf_digest_parse(hf_span_z(ids[i]), &layers[i].diff_id) < 0)
            abort();
    struct hf_layer_opts o = {.dispatch = dispatch, .held = &held, .max_siblings = 1 << 20, .max_scratch = 1 << 20, .light = 1 << 20,
            .max_facts = 1 << 20, .max_log = 1 << 20, .max_window = 8 << 20, .verify = true};
    int rc = hf_stream_layers(&img, &o, v, &err);
    if (rc < 0 && !err.msg[0])
        abort();
    for (size_t i = 0; i < img.n_layers; i++) {
        if (rc >= 0 && !v[i].got)
            abort();
        if (v[i].got && archive && !hf_digest_eq(&v[i].result.diff_id, &layers[i].diff_id))
            abort();
        if (v[i].got)
            hf_record_done(&v[i].result.rec);
    }
    if (held.left != held.total)
        abort();
    hf_budget_done(&held);
    hf_image_done(&img);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hf_dispatch *dispatch;
    if (!dispatch && !(dispatch = hf_dispatch_new(catalogers)))
        abort();
    if (!size)
        return 0;
    struct hf_span all = hf_span((const char *)data + 1, size - 1);
    size_t piece = data[0] < 8 ? (size_t)data[0] + 1 : (size_t)data[0] * 64;
    once(all, piece, true, dispatch);
    once(all, piece, false, dispatch);
    return 0;
}
