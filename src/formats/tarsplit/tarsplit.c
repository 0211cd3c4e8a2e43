/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/tarsplit/tarsplit.h"

#include "base/base64.h"
#include "base/json.h"

enum { SEGMENT = 2, FILE_ = 1, NAME_MAX_ = 4096, MEMORY_MAX = 32 << 20 };

static int name_of(hf_jnode o, struct hf_buf *out, struct hf_err *err)
{
    struct hf_span raw = hf_jgetstr(o, "name_raw");
    if (raw.n && hf_unbase64(raw, out) < 0)
        return hf_fail(err, HF_E_FORMAT, "a name that is not base64");
    if (!raw.n)
        hf_buf_adds(out, hf_jgetstr(o, "name"));
    if (!out->n || memchr(out->p, 0, out->n))
        return hf_fail(err, HF_E_FORMAT, "a file without a name, or with a byte 0 in it");
    return out->n <= NAME_MAX_ ? 0 : hf_fail(err, HF_E_LIMIT, "a name of %zu bytes", out->n);
}

int hf_tarsplit_read(struct hf_span line, struct hf_tarsplit *ret, struct hf_buf *bytes, struct hf_err *err)
{
    hf_cleanup(hf_json_doc_freep) struct hf_json_doc *doc = NULL;
    double type, size = 0;
    hf_buf_clear(bytes);
    int rc = hf_json_parse_within(line, MEMORY_MAX, &doc, err);
    if (rc < 0)
        return hf_wrap(err, rc, "tar-split");
    hf_jnode o = hf_json_root(doc);
    if (!hf_jnum(hf_jget(o, "type"), &type) || (type != FILE_ && type != SEGMENT))
        return hf_fail(err, HF_E_FORMAT, "tar-split: a line that is neither a file nor a segment");
    *ret = (struct hf_tarsplit){.file = type == FILE_};
    if (!ret->file) {
        if (hf_unbase64(hf_jgetstr(o, "payload"), bytes) < 0 || !hf_buf_ok(bytes))
            return hf_fail(err, HF_E_FORMAT, "tar-split: a segment that is not base64");
        return 0;
    }
    if (hf_jget(o, "size") && (!hf_jnum(hf_jget(o, "size"), &size) || !(size >= 0 && size < 9e15) || size != (double)(uint64_t)size))
        return hf_fail(err, HF_E_FORMAT, "tar-split: a file whose size is no number of bytes");
    ret->size = (uint64_t)size;
    rc = name_of(o, bytes, err);
    return rc < 0 ? hf_wrap(err, rc, "tar-split") : 0;
}
