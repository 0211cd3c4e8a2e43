/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of text whatever it is: spans stay inside, parts add up, escaped text is safe and fits, numbers are what
 * they say.  The first byte chooses a separator and a width. */
#include "base/json.h"
#include "base/span.h"

#include <stdio.h>

#define MUST(cond)   \
    do {             \
        if (!(cond)) \
            abort(); \
    } while (0)

static bool inside(struct hf_span part, struct hf_span whole)
{
    return part.n == 0 || (part.p >= whole.p && part.n <= whole.n && (size_t)(part.p - whole.p) <= whole.n - part.n);
}

static void parts(struct hf_span s, char sep)
{
    struct hf_span rest = s, part;
    size_t bytes = 0, seps = 0, n = 0;
    for (size_t i = 0; i < s.n; i++)
        seps += s.p[i] == sep;
    while (hf_span_cut(&rest, sep, &part)) {
        MUST(inside(part, s) && hf_span_find(part, sep) == SIZE_MAX);
        bytes += part.n;
        n++;
    }
    MUST(bytes + seps == s.n && (n == seps + 1 || (n == seps && s.n && s.p[s.n - 1] == sep) || (!s.n && !n)));
    rest = s;
    for (n = 0; hf_span_line(&rest, &part); n++)
        MUST(inside(part, s) && hf_span_find(part, '\n') == SIZE_MAX);
    struct hf_span t = hf_span_trim(s), base = hf_span_basename(s), dir = hf_span_dirname(s);
    MUST(inside(t, s) && hf_span_eq(hf_span_trim(t), t));
    MUST(inside(base, s) && inside(dir, s) && hf_span_find(base, '/') == SIZE_MAX);
    MUST(base.n + dir.n + (hf_span_find(s, '/') != SIZE_MAX) == s.n);
    struct hf_span a = hf_span_sub(s, 0, s.n / 2), b = hf_span_from(s, s.n / 2);
    MUST(a.n + b.n == s.n && hf_span_cmp(a, b) == -hf_span_cmp(b, a) && (hf_span_cmp(a, b) == 0) == hf_span_eq(a, b));
    size_t at = hf_span_search(s, b);
    MUST(at <= s.n / 2 && hf_span_starts(hf_span_from(s, at), b) && hf_span_ends(s, b));
    MUST(!hf_span_eq(a, b) || (hf_span_hash(a) == hf_span_hash(b) && hf_span_eq_nocase(a, b)));
}

static void escaped(struct hf_span s, size_t cols)
{
    hf_autobuf out = HF_BUF_INIT(16 << 20);
    hf_autobuf json = HF_BUF_INIT(16 << 20);
    size_t used = hf_buf_add_escaped(&out, s, cols);
    struct hf_span t = hf_buf_span(&out);
    MUST(hf_buf_ok(&out) && hf_span_is_utf8(t) && (!cols || used <= cols));
    for (size_t i = 0; i < t.n; i++)
        MUST((unsigned char)t.p[i] >= 0x20 && t.p[i] != 0x7f);
    MUST(hf_span_search(t, HF_S("\xe2\x80\xae")) == SIZE_MAX && hf_span_search(t, HF_S("\xef\xbb\xbf")) == SIZE_MAX);
    hf_autobuf again = HF_BUF_INIT(16 << 20);
    MUST(hf_buf_add_escaped(&again, t, 0) == used && hf_span_eq(hf_buf_span(&again), t)); /* safe text stays as it is */

    /* The writer's string is UTF-8 and, read again, the same where it was UTF-8 without NUL. */
    struct hf_jw w;
    struct hf_json_doc *d = NULL;
    hf_jw_init(&w, &json, false);
    hf_jw_str(&w, s);
    MUST(hf_buf_ok(&json) && hf_span_is_utf8(hf_buf_span(&json)));
    bool nul = hf_span_find(s, 0) != SIZE_MAX;
    MUST((hf_json_parse(hf_buf_span(&json), &d, NULL) == 0) == !nul);
    MUST(nul || !hf_span_is_utf8(s) || hf_span_eq(hf_jstr(hf_json_root(d)), s));
    hf_json_doc_free(d);
    hf_autofree char *z = hf_span_dupz(s);
    MUST((z == NULL) == nul && (!z || hf_span_eqz(s, z)));
}

static void numbers(struct hf_span s)
{
    static const unsigned bases[] = {8, 10, 16};
    char text[72];
    uint64_t u;
    int64_t i;
    for (size_t k = 0; k < 3; k++) {
        if (hf_parse_u64(s, bases[k], 0, UINT64_MAX, &u) < 0)
            continue;
        struct hf_span digits = s; /* printed again it is the same, but for zeros in front and the case of hex digits */
        while (digits.n > 1 && digits.p[0] == '0')
            digits = hf_span_from(digits, 1);
        int n = snprintf(text, sizeof text, bases[k] == 8 ? "%llo" : bases[k] == 10 ? "%llu" : "%llx", (unsigned long long)u);
        MUST(hf_span_eq_nocase(digits, hf_span(text, (size_t)n)));
        MUST(u == 0 || hf_parse_u64(s, bases[k], 0, u - 1, &u) == HF_E_FORMAT);
    }
    if (hf_parse_i64(s, INT64_MIN, INT64_MAX, &i) == 0) {
        int n = snprintf(text, sizeof text, "%lld", (long long)i);
        int64_t back;
        MUST(hf_parse_i64(hf_span(text, (size_t)n), INT64_MIN, INT64_MAX, &back) == 0 && back == i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct hf_span s = hf_span((const char *)data + 1, size - 1);
    parts(s, (char)data[0]);
    escaped(s, data[0] % 64);
    numbers(s);
    return 0;
}
