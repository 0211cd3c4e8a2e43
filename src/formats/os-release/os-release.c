/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/os-release/os-release.h"

int hf_osrel_init(struct hf_osrel *r, struct hf_span text, struct hf_buf *work, struct hf_err *err)
{
    if (hf_span_starts(text, HF_S("\xef\xbb\xbf")))
        text = hf_span_from(text, 3);
    hf_buf_clear(work);
    /* An unescaped value is never longer than its text, so one reservation keeps all values in place. */
    if (!hf_buf_reserve(work, text.n + 1))
        return hf_fail(err, HF_E_LIMIT, "os-release of %zu bytes is over the memory limit", text.n);
    *r = (struct hf_osrel){text, work, 0};
    return 0;
}

static bool is_key(struct hf_span k)
{
    for (size_t i = 0; i < k.n; i++) {
        char c = k.p[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (i && c >= '0' && c <= '9')))
            return false;
    }
    return k.n > 0;
}

static bool unquote(struct hf_span v, struct hf_buf *work, struct hf_span *ret)
{
    char q = v.n ? v.p[0] : 0;
    bool quoted = q == '"' || q == '\'';
    size_t from = quoted ? 1 : 0, start = work->n;
    bool escapes = false;
    size_t i = from;
    for (; i < v.n; i++) {
        if (quoted && v.p[i] == q)
            break;
        if (v.p[i] == '\\' && q != '\'') {
            escapes = true;
            if (++i == v.n)
                return false;
        }
    }
    if (quoted && i >= v.n)
        return false; /* the closing quote is missing */
    if (quoted && hf_span_trim(hf_span_from(v, i + 1)).n != 0 && hf_span_trim(hf_span_from(v, i + 1)).p[0] != '#')
        return false; /* concatenation is not part of the format */
    struct hf_span raw = hf_span_sub(v, from, i - from);
    if (!escapes) {
        *ret = raw;
        return true;
    }
    for (size_t k = 0; k < raw.n; k++) {
        /* In double quotes the shell keeps a backslash that escapes nothing. */
        if (raw.p[k] == '\\' && (!quoted || memchr("$`\"\\'", raw.p[k + 1], 5)))
            k++;
        hf_buf_addc(work, raw.p[k]);
    }
    *ret = hf_span_from(hf_buf_span(work), start);
    return hf_buf_ok(work);
}

int hf_osrel_next(struct hf_osrel *r, struct hf_span *ret_key, struct hf_span *ret_value, struct hf_err *err)
{
    struct hf_span line;
    while (hf_span_line(&r->rest, &line)) {
        if (++r->lines > HF_OSREL_LINES)
            return hf_fail(err, HF_E_LIMIT, "os-release has more than %d lines", HF_OSREL_LINES);
        line = hf_span_trim(line);
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (hf_span_starts(line, HF_S("export ")))
            line = hf_span_trim(hf_span_from(line, 7));
        size_t eq = hf_span_find(line, '=');
        struct hf_span key = hf_span_sub(line, 0, eq), value;
        if (eq == SIZE_MAX || !is_key(key))
            return hf_fail(err, HF_E_DAMAGED_ENTRY, "line %u is no assignment", r->lines);
        if (!unquote(hf_span_from(line, eq + 1), r->work, &value))
            return hf_fail(err, HF_E_DAMAGED_ENTRY, "line %u: wrong quoting", r->lines);
        *ret_key = key;
        *ret_value = value;
        return 1;
    }
    return 0;
}

bool hf_release_line(struct hf_span text, struct hf_span *ret_name, struct hf_span *ret_version)
{
    struct hf_span line = hf_span_trim(hf_span_sub(text, 0, hf_span_find(text, '\n')));
    size_t at = hf_span_search(line, HF_S(" release "));
    if (at == SIZE_MAX || line.n > 512)
        return false;
    struct hf_span v = hf_span_trim(hf_span_from(line, at + 9));
    size_t n = 0;
    while (n < v.n && ((v.p[n] >= '0' && v.p[n] <= '9') || v.p[n] == '.'))
        n++;
    while (n && v.p[n - 1] == '.')
        n--;
    *ret_name = hf_span_trim(hf_span_sub(line, 0, at));
    *ret_version = hf_span_sub(v, 0, n);
    return true;
}
