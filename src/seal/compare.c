/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "seal/seal-internal.h"

static unsigned differences(const struct hf_seal_entry *a, const struct hf_seal_entry *b)
{
    unsigned what = 0;
    bool link = S_ISLNK(a->mode);
    if ((a->mode & S_IFMT) != (b->mode & S_IFMT))
        return HF_SEAL_TYPE;
    if (!link && (a->mode & 07777) != (b->mode & 07777)) /* a link's permissions mean nothing */
        what |= HF_SEAL_MODE;
    if (a->uid != b->uid || a->gid != b->gid)
        what |= HF_SEAL_OWNER;
    if (!hf_span_eq(a->caps, b->caps))
        what |= HF_SEAL_CAPS;
    if (link && !hf_span_eq(a->link, b->link))
        what |= HF_SEAL_LINK;
    if (S_ISREG(a->mode) && (!a->has_sha256 || !b->has_sha256))
        what |= a->size != b->size ? HF_SEAL_CONTENT : HF_SEAL_UNREAD;
    else if (S_ISREG(a->mode) && (a->size != b->size || memcmp(a->sha256, b->sha256, 32) != 0))
        what |= HF_SEAL_CONTENT;
    return what;
}

int hf_seal_diff(struct hf_seal *a, struct hf_seal *b, hf_seal_diff_cb cb, void *ctx, struct hf_err *err)
{
    if (hf_span_eqz(hf_seal_os(a), "windows"))
        return hf_seal_diff_windows(a, b, cb, ctx, err);
    struct hf_seal_iter x = {0}, y = {0};
    struct hf_seal_entry e, f;
    int have = hf_seal_next(a, &x, &e, err), also = hf_seal_next(b, &y, &f, err), rc = 0;
    while (rc >= 0 && have >= 0 && also >= 0 && (have || also)) {
        int c = !have ? 1 : !also ? -1 : hf_span_cmp(e.path, f.path);
        unsigned what = c ? 0 : differences(&e, &f);
        if (c || what)
            rc = cb(ctx, c > 0 ? NULL : &e, c < 0 ? NULL : &f, what, err);
        if (c <= 0)
            have = hf_seal_next(a, &x, &e, err);
        if (c >= 0)
            also = hf_seal_next(b, &y, &f, err);
    }
    return rc < 0 ? rc : have < 0 ? have : also < 0 ? also : 0;
}
