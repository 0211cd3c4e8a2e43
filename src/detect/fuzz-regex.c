/* SPDX-License-Identifier: Apache-2.0 */
/* First line: a pattern; the rest: a text.  What compiles can be searched, a whole match is also found by a search, a search of a text
 * with something before and behind finds what the text has (without assertions), and a refusal says where. */
#include <stdlib.h>

#include "detect/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hf_span text = hf_span((const char *)data, size), pattern;
    if (!hf_span_cut(&text, '\n', &pattern))
        return 0;
    text = hf_span_sub(text, 0, 4096);
    (void)hf_glob_match(hf_span_sub(pattern, 0, 256), text, size % 2);
    hf_cleanup(hf_regex_freep) struct hf_regex *re = NULL;
    struct hf_err err = HF_ERR_INIT;
    if (hf_regex_new(pattern, &re, &err) < 0) {
        if (re || !err.msg[0] || err.offset > pattern.n)
            abort();
        return 0;
    }
    bool search = hf_regex_search(re, text), match = hf_regex_match(re, text);
    if (match && !search)
        abort();
    if (search != hf_regex_search(re, text) || match != hf_regex_match(re, text))
        abort(); /* the scratch keeps nothing */
    bool asserts = false;
    for (size_t i = 0; i < pattern.n; i++)
        asserts |= pattern.p[i] == '^' || pattern.p[i] == '$' || pattern.p[i] == '\\';
    hf_autobuf more = HF_BUF_INIT(8192);
    hf_buf_addz(&more, "x ");
    hf_buf_adds(&more, text);
    hf_buf_addz(&more, " y");
    if (search && !asserts && !hf_regex_search(re, hf_buf_span(&more)))
        abort();
    return 0;
}
