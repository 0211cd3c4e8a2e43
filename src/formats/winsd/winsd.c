/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/winsd/winsd.h"

#include "base/rd.h"

enum { HEADER = 20, SID_HEAD = 8, SID_PARTS = 15, ACL_HEAD = 8 };

/* The SID at an offset; 0: there is none. */
static bool sid_at(struct hf_span all, uint32_t at, struct hf_span *ret)
{
    *ret = hf_span("", 0);
    if (!at)
        return true;
    if (at < HEADER || at > all.n || all.n - at < SID_HEAD)
        return false;
    const unsigned char *p = (const unsigned char *)all.p + at;
    size_t n = SID_HEAD + 4u * p[1];
    if (p[0] != 1 || p[1] > SID_PARTS || n > all.n - at)
        return false;
    *ret = hf_span_sub(all, at, n);
    return true;
}

static bool acl_at(struct hf_span all, uint32_t at, struct hf_span *ret)
{
    *ret = hf_span("", 0);
    if (!at)
        return true;
    if (at < HEADER || at > all.n || all.n - at < ACL_HEAD)
        return false;
    const unsigned char *p = (const unsigned char *)all.p + at;
    size_t n = (size_t)p[2] | (size_t)p[3] << 8;
    if (p[0] < 2 || p[0] > 4 || n < ACL_HEAD || n > all.n - at)
        return false;
    *ret = hf_span_sub(all, at, n);
    return true;
}

int hf_winsd_read(struct hf_span bytes, struct hf_winsd *ret, struct hf_err *err)
{
    struct hf_rd r = hf_rd(bytes);
    struct hf_winsd d;
    uint8_t revision = hf_rd_u8(&r);
    hf_rd_skip(&r, 1);
    d.control = (uint16_t)hf_rd_le(&r, 2);
    uint32_t owner = hf_rd_le32(&r), group = hf_rd_le32(&r), sacl = hf_rd_le32(&r), dacl = hf_rd_le32(&r);
    if (r.bad || revision != 1)
        return hf_fail(err, HF_E_FORMAT, "not a security descriptor of revision 1");
    if (!sid_at(bytes, owner, &d.owner) || !sid_at(bytes, group, &d.group) || !acl_at(bytes, sacl, &d.sacl) || !acl_at(bytes, dacl, &d.dacl))
        return hf_fail(err, HF_E_FORMAT, "a security descriptor whose parts lie outside of it");
    *ret = d;
    return 0;
}

void hf_winsd_sid(struct hf_span sid, struct hf_buf *out)
{
    if (sid.n < SID_HEAD || sid.n != SID_HEAD + 4u * (unsigned char)sid.p[1])
        return;
    const unsigned char *p = (const unsigned char *)sid.p;
    uint64_t authority = 0;
    for (size_t i = 2; i < SID_HEAD; i++)
        authority = authority << 8 | p[i];
    hf_buf_addf(out, "S-%u-%llu", p[0], (unsigned long long)authority);
    struct hf_rd r = hf_rd(hf_span_from(sid, SID_HEAD));
    while (hf_rd_left(&r))
        hf_buf_addf(out, "-%u", hf_rd_le32(&r));
}
