/* SPDX-License-Identifier: Apache-2.0 */
/* Every scheme against tests/versions/<scheme>.tsv (a, b, order), made by tools/gen-version-tables with the reference implementation. */
#include "advisories/version/version.h"
#include "base/fs.h"
#include "tap.h"

static void table(enum hf_scheme s)
{
    hf_autobuf text = HF_BUF_INIT(4 << 20);
    hf_autobuf path = HF_BUF_INIT(4096);
    const char *root = getenv("HF_SOURCE_ROOT");
    hf_buf_addf(&path, "%s/tests/versions/%s.tsv", root ? root : ".", hf_scheme_name(s));
    if (!OK(hf_read_file(hf_buf_z(&path), &text, NULL) == 0))
        return;
    struct hf_span rest = hf_buf_span(&text), line, a, b, want;
    unsigned n = 0, wrong = 0;
    while (hf_span_line(&rest, &line)) {
        if (!line.n || line.p[0] == '#')
            continue;
        if (!hf_span_cut(&line, '\t', &a) || !hf_span_cut(&line, '\t', &b) || !hf_span_cut(&line, '\t', &want))
            continue;
        int expected = hf_span_eqz(want, "<") ? -1 : hf_span_eqz(want, ">") ? 1 : hf_span_eqz(want, "=") ? 0 : HF_CMP_INVALID;
        int got = hf_version_cmp(s, a, b), back = hf_version_cmp(s, b, a);
        n++;
        if (got != expected || back != (expected == HF_CMP_INVALID ? expected : -expected)) {
            if (wrong++ < 20)
                printf("# %s: " HF_SPAN_FMT " " HF_SPAN_FMT ": %d and back %d, expected %d\n", hf_scheme_name(s), HF_SPAN_ARG(a), HF_SPAN_ARG(b), got, back, expected);
        }
    }
    printf("# %s: %u pairs\n", hf_scheme_name(s), n);
    OK(n >= 20);
    EQ_U(wrong, 0);
}

int main(void)
{
    for (unsigned s = 0; s < HF_SCHEMES; s++)
        table((enum hf_scheme)s);
    OK(hf_scheme_by_name(HF_S("npm")) == HF_SCHEME_SEMVER);
    OK(hf_scheme_by_name(HF_S("nonsense")) == HF_SCHEME_NONE);
    OK(hf_version_cmp(HF_SCHEME_NONE, HF_S("1"), HF_S("1")) == HF_CMP_INVALID);
    return tap_done();
}
