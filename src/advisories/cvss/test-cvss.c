/* SPDX-License-Identifier: Apache-2.0 */
/* Scores against tests/cvss.tsv, which tools/gen-cvss-table made with the PyPI package `cvss` (every version). */
#include "advisories/cvss/cvss.h"
#include "base/fs.h"
#include "tap.h"

int main(void)
{
    hf_autobuf text = HF_BUF_INIT(4 << 20);
    hf_autobuf path = HF_BUF_INIT(4096);
    const char *root = getenv("HF_SOURCE_ROOT");
    hf_buf_addf(&path, "%s/tests/cvss.tsv", root ? root : ".");
    OK(hf_read_file(hf_buf_z(&path), &text, NULL) == 0);
    struct hf_span rest = hf_buf_span(&text), line;
    unsigned n = 0, wrong = 0;
    while (hf_span_line(&rest, &line)) {
        struct hf_span vector, want;
        uint64_t expected;
        unsigned version, score = 999;
        if (!hf_span_cut(&line, '\t', &vector) || !hf_span_cut(&line, '\t', &want) || hf_parse_u64(want, 10, 0, 100, &expected) < 0)
            continue;
        n++;
        if (hf_cvss_base(vector, &version, &score) < 0 || score != expected) {
            wrong++;
            printf("# " HF_SPAN_FMT ": %u, expected %u\n", HF_SPAN_ARG(vector), score, (unsigned)expected);
        }
    }
    OK(n >= 1500);
    EQ_U(wrong, 0);
    unsigned v, s;
    OK(hf_cvss_base(HF_S("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"), &v, &s) == 0 && v == 31 && s == 100);
    OK(hf_cvss_base(HF_S("(AV:N/AC:L/Au:N/C:P/I:P/A:P)"), &v, &s) == 0 && v == 20 && s == 75);
    OK(hf_cvss_base(HF_S("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H"), &v, &s) < 0);
    OK(hf_cvss_base(HF_S("CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"), &v, &s) < 0);
    OK(hf_cvss_base(HF_S("high"), &v, &s) < 0);
    OK(hf_cvss_base(HF_S(""), &v, &s) < 0);
    return tap_done();
}
