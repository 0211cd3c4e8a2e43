/* SPDX-License-Identifier: Apache-2.0 */
/* First byte: which want of which cataloger; the rest is such a file's content.  Facts must stay inside their limits and texts. */
#include "packages/catalogers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    unsigned pick = data[0];
    const struct hf_cataloger *const *c = hf_catalogers;
    while (pick >= (*c)->n_wants) {
        pick -= (unsigned)(*c)->n_wants;
        if (!*++c)
            c = hf_catalogers;
    }
    const struct hf_want *w = &(*c)->wants[pick];
    hf_autobuf path = HF_BUF_INIT(4096);
    if (w->dir_tail) {
        for (const char *p = w->dir_tail; *p; p++)
            hf_buf_addc(&path, *p == '*' ? 'x' : *p);
        hf_buf_addc(&path, '/');
    }
    hf_buf_addz(&path, w->kind == HF_WANT_SUFFIX || w->kind == HF_WANT_UNDER ? "name" : "");
    if (w->kind == HF_WANT_UNDER) {
        hf_buf_clear(&path);
        hf_buf_addf(&path, "%s/name", w->pattern);
    } else {
        hf_buf_addz(&path, w->pattern ? w->pattern : "bin/x");
    }
    struct hf_cat_file f = {hf_buf_span(&path), size - 1, 0100755, hf_ra_mem(hf_span((const char *)data + 1, size - 1)), false};
    struct hf_cat_scratch scratch;
    struct hf_facts facts;
    struct hf_err err = HF_ERR_INIT;
    hf_buf_init(&scratch.file, 4 << 20);
    hf_buf_init(&scratch.other, 4 << 20);
    hf_facts_init(&facts, 4 << 20);
    int rc = (*c)->run(&f, 1, &scratch, &facts, &err);
    if (rc < 0 && !err.msg[0])
        abort();
    for (size_t i = 0; i < facts.n; i++)
        if (facts.v[i].kind == HF_FACT_PACKAGE && !facts.v[i].pkg->name.n)
            abort();
    hf_facts_done(&facts);
    hf_buf_done(&scratch.file);
    hf_buf_done(&scratch.other);
    return 0;
}
