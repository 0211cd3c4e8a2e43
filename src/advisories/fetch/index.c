/* SPDX-License-Identifier: Apache-2.0 */
#include "advisories/fetch/fetch.h"
#include "base/json.h"
#include "base/mem.h"

enum { MAX_FILES = 4096, MAX_PATH = 512 };

/* Components of letters that cannot mean another place or another request. */
static bool is_path(struct hf_span path)
{
    struct hf_span rest = path, part;
    if (!path.n || path.n > MAX_PATH)
        return false;
    while (hf_span_cut(&rest, '/', &part)) {
        if (!part.n || part.p[0] == '.')
            return false;
        for (size_t i = 0; i < part.n; i++)
            if (!part.p[i] || !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._- ", part.p[i]))
                return false;
    }
    return path.p[path.n - 1] != '/' && path.p[0] != '/';
}

static bool is_sha256(struct hf_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return s.n == 64;
}

int hf_mirror_index_parse(struct hf_span text, struct hf_mirror_index *ret, struct hf_err *err)
{
    *ret = (struct hf_mirror_index){NULL, 0, NULL};
    int rc = hf_json_parse(text, &ret->doc, err);
    if (rc < 0)
        return rc;
    hf_jnode root = hf_json_root(ret->doc), files = hf_jget(root, "files");
    if (!hf_span_eqz(hf_jgetstr(root, "schema"), "holdfast.mirror/1") || !hf_jis_array(files))
        return hf_fail(err, HF_E_FORMAT, "no index of a mirror: schema is \"" HF_SPAN_FMT "\"", HF_SPAN_ARG(hf_jgetstr(root, "schema")));
    size_t cap = 0;
    HF_JFOREACH(f, files) {
        double size = -1;
        struct hf_mirror_file *x = hf_grow((void **)&ret->files, &ret->n, &cap, sizeof *x, MAX_FILES);
        if (!x)
            return hf_fail(err, HF_E_LIMIT, "more than %d files in the mirror's index", MAX_FILES);
        x->path = hf_jgetstr(f, "path");
        struct hf_span sum = hf_jgetstr(f, "sha256");
        if (!is_path(x->path) || !is_sha256(sum) || !hf_jnum(hf_jget(f, "size"), &size) || !(size >= 0 && size < 1e15))
            return hf_fail(err, HF_E_FORMAT, "file %zu of the mirror's index has no good path, size and sha256", ret->n);
        x->size = (uint64_t)size;
        memcpy(x->sha256, sum.p, 64);
        x->sha256[64] = 0;
    }
    return 0;
}

void hf_mirror_index_done(struct hf_mirror_index *x)
{
    free(x->files);
    hf_json_doc_free(x->doc);
}
