/* SPDX-License-Identifier: Apache-2.0 */
#include "report/spdx.h"
#include "tap.h"

static void id(const char *words, const char *want)
{
    const char *got = hf_spdx_id(hf_span_z(words));
    if (!OK(want ? got && !strcmp(got, want) : !got))
        printf("# %s: %s\n", words, got ? got : "(none)");
}

int main(void)
{
    id("apache-2.0", "Apache-2.0");
    id("GPL-2+", "GPL-2.0-or-later");
    id("GPL-3", "GPL-3.0-only");
    id("LGPL-2.1", "LGPL-2.1-only");
    id("LGPL-2.1+", "LGPL-2.1-or-later");
    id("GFDL-1.3+", "GFDL-1.3-or-later");
    id("GPL-2.0-only", "GPL-2.0-only");
    id("Expat", "MIT");
    id("BSD-3-clause", "BSD-3-Clause");
    id("zlib", "Zlib");
    id("public-domain", NULL);
    id("GPL-99", NULL);
    id("GPL-", NULL);
    id("+", NULL);
    id("", NULL);
    id("MIT AND ISC", NULL);
    OK(!hf_spdx_id(HF_S("MIT\0")));
    for (size_t i = 0; i < hf_spdx_n_ids; i++) /* every row is found: the table is sorted */
        if (!hf_spdx_id(hf_span_z(hf_spdx_ids[i])) || !hf_spdx_is_expression(hf_span_z(hf_spdx_ids[i])))
            id(hf_spdx_ids[i], hf_spdx_ids[i]);
    OK(hf_spdx_n_ids > 600);
    static const struct {
        const char *text;
        bool is;
    } t[] = {{"MIT OR Apache-2.0", true}, {"(MIT OR Apache-2.0) AND ISC", true}, {"GPL-2.0-or-later WITH Classpath-exception-2.0", true}, {"MIT", true}, {"Apache-2.0+", true},
            {"mit OR ISC", false}, {"MIT and ISC", false}, {"MIT ISC", false}, {"(MIT", false}, {"MIT)", false}, {"OR", false}, {"", false}, {"()", false}, {"MIT AND", false},
            {"MIT AND (OR ISC)", false}, {"Foo OR MIT", false}, {"MIT WITH (ISC)", false}};
    for (size_t i = 0; i < HF_ARRAY_LEN(t); i++)
        if (!OK(hf_spdx_is_expression(hf_span_z(t[i].text)) == t[i].is))
            printf("# %s\n", t[i].text);
    return tap_done();
}
