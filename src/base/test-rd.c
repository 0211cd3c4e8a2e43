/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rd.h"

#include "tap.h"

static uint64_t uvarint(struct hf_span s, bool *bad)
{
    struct hf_rd r = hf_rd(s);
    uint64_t v = hf_rd_uvarint(&r);
    *bad = r.bad;
    return v;
}

int main(void)
{
    struct hf_rd r = hf_rd(HF_S("\x01\x02\x03\x04\x05\x06\x07\xff"));
    EQ_U(hf_rd_u8(&r), 1);
    EQ_U(hf_rd_le(&r, 2), 0x0302);
    EQ_U(hf_rd_be(&r, 2), 0x0405);
    EQ_U(hf_rd_left(&r), 3);
    EQ_U(hf_rd_int(&r, 3, true), 0x0607ff);
    OK(!r.bad && hf_rd_left(&r) == 0);
    EQ_S(hf_rd_span(&r, 0), "");
    OK(!r.bad);
    EQ_U(hf_rd_u8(&r), 0); /* past the end: zero, and it sticks */
    OK(r.bad);
    hf_rd_seek(&r, 0);
    EQ_U(hf_rd_le32(&r), 0);
    OK(r.bad && hf_rd_left(&r) == 0);

    r = hf_rd(HF_S("\xff\xff\xff\xff\xff\xff\xff\xff"));
    OK(hf_rd_le(&r, 8) == UINT64_MAX && !r.bad);
    r = hf_rd(HF_S("abcd"));
    hf_rd_seek(&r, 4);
    OK(!r.bad && hf_rd_left(&r) == 0); /* the end itself is a place */
    hf_rd_seek(&r, 1);
    EQ_S(hf_rd_span(&r, 2), "bc");
    hf_rd_skip(&r, SIZE_MAX); /* no wrap around */
    OK(r.bad);
    r = hf_rd(HF_S("abcd"));
    hf_rd_seek(&r, 5);
    OK(r.bad);
    r = hf_rd(HF_S("abcd"));
    hf_rd_skip(&r, 2);
    OK(hf_rd_span(&r, SIZE_MAX - 1).n == 0 && r.bad);
    r = hf_rd(HF_S("abc"));
    EQ_U(hf_rd_be32(&r), 0); /* a short value is no value */
    OK(r.bad);
    r = hf_rd(hf_span(NULL, 0));
    OK(hf_rd_span(&r, 0).n == 0 && !r.bad);
    EQ_U(hf_rd_u8(&r), 0);
    OK(r.bad);

    bool bad;
    OK(uvarint(HF_S("\x00"), &bad) == 0 && !bad);
    OK(uvarint(HF_S("\x7f"), &bad) == 127 && !bad);
    OK(uvarint(HF_S("\x96\x01"), &bad) == 150 && !bad);
    OK(uvarint(HF_S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &bad) == UINT64_MAX && !bad);
    OK(uvarint(HF_S("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), &bad) == 0 && bad); /* 65 bits */
    OK(uvarint(HF_S("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), &bad) == 0 && bad);
    OK(uvarint(HF_S("\x80"), &bad) == 0 && bad);
    OK(uvarint(HF_S(""), &bad) == 0 && bad);
    return tap_done();
}
