/* SPDX-License-Identifier: Apache-2.0 */
/* A layer blob from hostile bytes: sniffed, inflated, walked, its record written and read back unchanged.  The cataloger used
 * asks for everything and reads files to their end, so every content path is taken. */
#include <sys/mman.h>

#include "image/inflate.h"
#include "image/layer.h"

static int run(const struct hf_cat_file *files, size_t n, struct hf_cat_scratch *scratch, struct hf_facts *out, struct hf_err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct hf_span all;
        int rc = hf_ra_all(&files[i].ra, &scratch->file, &all, err);
        if (rc < 0)
            return rc;
        if (all.n != files[i].size)
            abort();
        struct hf_package p = {.type = HF_PKG_GENERIC, .name = hf_span_sub(all, 0, 16), .version = files[i].path};
        rc = hf_facts_package(out, &p, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static const struct hf_want wants[] = {
        {HF_WANT_ELF, NULL, NULL, 1 << 20, false},
        {HF_WANT_SUFFIX, ".jar", NULL, 1 << 20, false},
        {HF_WANT_TAIL, "status", "dpkg", 1 << 20, false},
        {HF_WANT_TAIL, "a.db", NULL, 1 << 20, true},
        {HF_WANT_TAIL, "b.db", NULL, 1 << 20, true},
};
static const struct hf_cataloger everything = {"fuzz", 1, wants, HF_ARRAY_LEN(wants), run};
static const struct hf_cataloger *const catalogers[] = {&everything, NULL};

static void same_log(const struct hf_record *a, const struct hf_record *b)
{
    struct hf_log_iter x, y;
    struct hf_log_entry e, f;
    int rx, ry;
    hf_log_iter_init(&x, a);
    hf_log_iter_init(&y, b);
    do {
        rx = hf_log_next(&x, &e);
        ry = hf_log_next(&y, &f);
        if (rx != ry || rx < 0 || (rx == 1 && (e.type != f.type || !hf_span_eq(e.path, f.path) || !hf_span_eq(e.target, f.target))))
            abort();
        /* Nothing that leaves the image gets into the log. */
        if (rx == 1 && (hf_span_starts(e.path, HF_S("/")) || hf_span_starts(e.path, HF_S("../"))))
            abort();
    } while (rx == 1);
    hf_log_iter_done(&x);
    hf_log_iter_done(&y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hf_dispatch *dispatch;
    if (!dispatch && !(dispatch = hf_dispatch_new(catalogers)))
        abort();
    int fd = memfd_create("layer", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    struct hf_layer_source l = {.fd = fd, .size = size};
    struct hf_budget held;
    hf_budget_init(&held, 1 << 20);
    struct hf_layer_opts o = {.dispatch = dispatch, .held = &held, .max_siblings = 1 << 20, .max_scratch = 1 << 20, .light = 1 << 20, .max_facts = 1 << 20, .max_log = 1 << 20, .max_window = 8 << 20, .verify = true};
    struct hf_cat_scratch scratch;
    struct hf_layer_result r;
    struct hf_err err = HF_ERR_INIT;
    hf_buf_init(&scratch.file, 1 << 20);
    hf_buf_init(&scratch.other, 1 << 20);
    int rc = hf_layer_walk(&l, NULL, 0, &o, &scratch, &r, &err);
    if (rc < 0 && !err.msg[0])
        abort();
    hf_autobuf bytes = HF_BUF_INIT(8 << 20);
    if (hf_record_write(&r.rec, &bytes, NULL) >= 0) {
        struct hf_record back;
        hf_record_init(&back, 4 << 20, 4 << 20, NULL);
        if (hf_record_read(&back, hf_buf_span(&bytes), NULL) < 0 || back.facts.n != r.rec.facts.n || back.n_files != r.rec.n_files ||
                back.entries != r.rec.entries)
            abort();
        same_log(&r.rec, &back);
        hf_record_done(&back);
    }
    hf_record_done(&r.rec);
    hf_buf_done(&scratch.file);
    hf_buf_done(&scratch.other);
    hf_budget_done(&held);
    close(fd);
    return 0;
}
