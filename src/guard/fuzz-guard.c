// SPDX-License-Identifier: Apache-2.0
/* Texts that the guard reads: /proc/PID/mountinfo (the names in it are a container's), and its own file of packages in use. */
#include <stdlib.h>

#include "guard/inuse.h"
#include "guard/seals.h"
#include "guard/slow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static bool within(struct hf_span text, struct hf_span part)
{
    return part.p >= text.p && part.p + part.n <= text.p + text.n;
}

static void each(void *ctx, const struct hf_inuse_package *p)
{
    unsigned *n = ctx;
    must(++*n <= HF_INUSE_PACKAGES && p->package.n > 0 && p->how <= 15);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span text = hf_span((const char *)data, size);
    hf_autobuf dirs = HF_BUF_INIT(1u << 16);
    struct hf_err err = HF_ERR_INIT;
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    struct hf_span image;
    uint64_t since;
    unsigned n = 0;
    if (hf_overlay_lower(text, &dirs, &err) == 0) {
        struct hf_span rest = hf_buf_span(&dirs), one;
        must(rest.n > 0 && rest.p[rest.n - 1] == 0);
        while (hf_span_cut(&rest, 0, &one) && one.n)
            must(one.p[0] == '/');
    } else {
        must(err.msg[0] != 0);
    }
    struct hf_mounts all = {.rest = text};
    for (struct hf_mount m; hf_mounts_next(&all, &m);)
        must(within(text, m.point) && within(text, m.type) && all.n <= HF_MOUNTS_BELOW && (!m.served || m.below || hf_span_eqz(m.point, "/")));
    (void)(hf_inuse_read(text, &image, &since, each, &n, &doc, &err) == 0);
    return 0;
}
