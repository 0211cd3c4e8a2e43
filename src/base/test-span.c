/* SPDX-License-Identifier: Apache-2.0 */
#include "base/span.h"

#include "tap.h"

int main(void)
{
    struct hf_span rest = HF_S("a,,b"), part;
    OK(hf_span_cut(&rest, ',', &part) && hf_span_eqz(part, "a"));
    OK(hf_span_cut(&rest, ',', &part) && part.n == 0);
    OK(hf_span_cut(&rest, ',', &part) && hf_span_eqz(part, "b"));
    OK(!hf_span_cut(&rest, ',', &part));
    rest = HF_S("one\r\ntwo\n");
    OK(hf_span_line(&rest, &part) && hf_span_eqz(part, "one"));
    OK(hf_span_line(&rest, &part) && hf_span_eqz(part, "two"));
    OK(!hf_span_line(&rest, &part));
    EQ_S(hf_span_basename(HF_S("a/b/c")), "c");
    EQ_S(hf_span_dirname(HF_S("a/b/c")), "a/b");
    EQ_S(hf_span_dirname(HF_S("c")), "");
    EQ_S(hf_span_trim(HF_S(" \tx y\n")), "x y");
    EQ_I(hf_span_cmp(HF_S("ab"), HF_S("abc")), -1);
    EQ_U(hf_span_search(HF_S("hello"), HF_S("lo")), 3);
    OK(hf_span_search(HF_S("hello"), HF_S("xx")) == SIZE_MAX);

    static const char *const colours[] = {"red", "green"};
    OK(HF_SPAN_IN(HF_S("green"), colours) && !HF_SPAN_IN(HF_S("gree"), colours) && !HF_SPAN_IN(hf_span(NULL, 0), colours));

    uint64_t u = 7;
    OK(hf_parse_u64(HF_S("18446744073709551615"), 10, 0, UINT64_MAX, &u) == 0 && u == UINT64_MAX);
    OK(hf_parse_u64(HF_S("18446744073709551616"), 10, 0, UINT64_MAX, &u) < 0 && u == UINT64_MAX);
    OK(hf_parse_u64(HF_S(""), 10, 0, 9, &u) < 0);
    OK(hf_parse_u64(HF_S("+1"), 10, 0, 9, &u) < 0);
    OK(hf_parse_u64(HF_S("1fF"), 16, 0, 0x1ff, &u) == 0 && u == 0x1ff);
    OK(hf_parse_u64(HF_S("8"), 8, 0, 9, &u) < 0);
    int64_t i;
    OK(hf_parse_i64(HF_S("-5"), -10, 10, &i) == 0 && i == -5);

    OK(hf_span_is_utf8(HF_S("gr\xc3\xbc\xc3\x9f")));
    OK(!hf_span_is_utf8(HF_S("\xc0\x80")));
    OK(!hf_span_is_utf8(HF_S("\xed\xa0\x80")));

    hf_autobuf b = HF_BUF_INIT(8);
    hf_buf_addz(&b, "12345678");
    OK(hf_buf_ok(&b));
    hf_buf_addc(&b, '9');
    OK(!hf_buf_ok(&b));
    EQ_U(b.n, 8);

    hf_autobuf e = HF_BUF_INIT(4096);
    hf_buf_add_escaped(&e, HF_S("a\x1b[31m\n\xe2\x80\xae\xff z"), 0);
    EQ_S(hf_buf_span(&e), "a\\x1b[31m\\x0a\\u{202e}\\xff z");
    hf_buf_clear(&e);
    EQ_U(hf_buf_add_escaped(&e, HF_S("abcdefghij"), 6), 6);
    EQ_S(hf_buf_span(&e), "abc...");
    hf_buf_clear(&e);
    hf_buf_addf(&e, "%0300d", 7);
    EQ_U(e.n, 300);
    return tap_done();
}
