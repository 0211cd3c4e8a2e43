/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/deb822/deb822.h"

/* The line at *rest without its end, moved past. */
static bool next_line(struct hf_span *rest, struct hf_span *ret)
{
    if (rest->n == 0)
        return false;
    const char *nl = memchr(rest->p, '\n', rest->n);
    size_t n = nl ? (size_t)(nl - rest->p) : rest->n;
    *ret = hf_span(rest->p, n);
    *rest = hf_span_from(*rest, nl ? n + 1 : n);
    return true;
}

static bool is_blank(struct hf_span line)
{
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] != ' ' && line.p[i] != '\t' && line.p[i] != '\r')
            return false;
    return true;
}

bool hf_deb822_paragraph(struct hf_span *rest, struct hf_span *ret)
{
    struct hf_span line, before;
    const char *start = NULL;
    for (;;) {
        before = *rest;
        if (!next_line(rest, &line))
            break;
        if (!is_blank(line)) {
            if (!start)
                start = before.p;
            continue;
        }
        if (start) {
            *ret = hf_span(start, (size_t)(before.p - start));
            return true;
        }
    }
    if (!start)
        return false;
    *ret = hf_span(start, (size_t)(before.p - start) + before.n);
    return true;
}

int hf_deb822_field(struct hf_span *para, struct hf_deb822_field *ret, struct hf_err *err)
{
    struct hf_span line;
    do {
        if (!next_line(para, &line))
            return 0;
    } while (is_blank(line) || line.p[0] == '#');
    size_t colon = hf_span_find(line, ':');
    bool bad = colon == SIZE_MAX || !hf_span_trim(hf_span(line.p, colon)).n || line.p[0] == ' ' || line.p[0] == '\t';
    /* Further lines belong to the field, also to a damaged one. */
    const char *end = line.p + line.n;
    while (para->n && (para->p[0] == ' ' || para->p[0] == '\t' || para->p[0] == '#')) {
        struct hf_span more;
        bool comment = para->p[0] == '#';
        if (!next_line(para, &more))
            break;
        if (!comment)
            end = more.p + more.n;
    }
    if (bad)
        return hf_fail(err, HF_E_DAMAGED_ENTRY, "not a field: \"" HF_SPAN_FMT "\"", (int)HF_MIN(line.n, (size_t)80), line.p);
    ret->name = hf_span_trim(hf_span(line.p, colon));
    ret->value = hf_span_trim(hf_span(line.p + colon + 1, (size_t)(end - (line.p + colon + 1))));
    return 1;
}

struct hf_span hf_deb822_first_line(struct hf_span value)
{
    return hf_span_trim(hf_span_sub(value, 0, hf_span_find(value, '\n')));
}
