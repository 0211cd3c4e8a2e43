/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/winsd/winsd.h"

#include "tap.h"

/* Owner BUILTIN\Administrators, group SYSTEM, one entry: Everyone may read. */
static const unsigned char sample[] = {1, 0, 4, 0x80, 48, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0,
        2, 0, 28, 0, 1, 0, 0, 0, 0, 0, 20, 0, 0xa9, 0, 0x12, 0, 1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0,
        1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0};

int main(void)
{
    struct hf_winsd d;
    struct hf_err err = HF_ERR_INIT;
    struct hf_span all = hf_span((const char *)sample, sizeof sample);
    hf_autobuf text = HF_BUF_INIT(4096);
    EQ_I(hf_winsd_read(all, &d, &err), 0);
    hf_winsd_sid(d.owner, &text);
    hf_buf_addc(&text, ' ');
    hf_winsd_sid(d.group, &text);
    EQ_S(hf_buf_span(&text), "S-1-5-32-544 S-1-5-18");
    EQ_U(d.dacl.n, 28);
    EQ_U(d.sacl.n, 0);
    EQ_U(d.control, 0x8004);
    for (size_t n = 0; n < sizeof sample; n++) /* cut off anywhere */
        EQ_I(hf_winsd_read(hf_span_sub(all, 0, n), &d, &err), HF_E_FORMAT);
    static const struct {
        unsigned at, value;
    } bad[] = {{0, 2}, {4, 1}, {4, 200}, {5, 1}, {16, 77}, {20, 9}, {22, 4}, {23, 1}, {48, 2}, {49, 16}, {65, 3}};
    for (size_t i = 0; i < HF_ARRAY_LEN(bad); i++) {
        unsigned char copy[sizeof sample];
        memcpy(copy, sample, sizeof copy);
        copy[bad[i].at] = (unsigned char)bad[i].value;
        EQ_I(hf_winsd_read(hf_span((const char *)copy, sizeof copy), &d, &err), HF_E_FORMAT);
    }
    hf_buf_clear(&text);
    hf_winsd_sid(hf_span_sub(all, 48, 12), &text);
    EQ_U(text.n, 0);
    return tap_done();
}
