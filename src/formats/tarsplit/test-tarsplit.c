/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/tarsplit/tarsplit.h"

#include "tap.h"

static int read_line(const char *line, struct hf_tarsplit *ret, struct hf_buf *bytes)
{
    struct hf_err err = HF_ERR_INIT;
    *ret = (struct hf_tarsplit){.size = 77};
    return hf_tarsplit_read(hf_span_z(line), ret, bytes, &err);
}

int main(void)
{
    hf_autobuf b = HF_BUF_INIT(1 << 20);
    struct hf_tarsplit t;
    OK(read_line("{\"type\":2,\"payload\":\"aGVhZA==\",\"position\":0}", &t, &b) == 0);
    OK(!t.file && t.size == 0);
    EQ_S(hf_buf_span(&b), "head");
    OK(read_line("{\"type\":1,\"name\":\"./usr/bin/ls\",\"size\":138856,\"payload\":\"AAAAAAAAAAA=\",\"position\":1}", &t, &b) == 0);
    OK(t.file && t.size == 138856);
    EQ_S(hf_buf_span(&b), "./usr/bin/ls");
    OK(read_line("{\"type\":1,\"name_raw\":\"Yf8=\",\"payload\":\"AAAAAAAAAAA=\"}", &t, &b) == 0); /* without a size: empty */
    OK(t.file && t.size == 0);
    EQ_S(hf_buf_span(&b), "a\xff");
    OK(read_line("{\"type\":2,\"payload\":\"\"}", &t, &b) == 0 && b.n == 0);
    static const char *const bad[] = {"", "{", "[]", "{\"type\":3}", "{\"type\":\"1\"}", "{\"type\":2,\"payload\":\"aGVhZA=\"}", "{\"type\":1}", "{\"type\":1,\"name\":\"\"}",
            "{\"type\":1,\"name\":\"a\",\"size\":-1}", "{\"type\":1,\"name\":\"a\",\"size\":1.5}", "{\"type\":1,\"name\":\"a\",\"size\":1e300}", "{\"type\":1,\"name\":\"a\",\"size\":\"1\"}",
            "{\"type\":1,\"name_raw\":\"AGE=\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        OK(read_line(bad[i], &t, &b) < 0);
    return tap_done();
}
