/* SPDX-License-Identifier: Apache-2.0 */
#include "matching/match-internal.h"

/* Case-insensitive, since vendors and mail addresses are written both ways; names differ by more than case. */
static bool has_tail(struct hf_span s, struct hf_span tail)
{
    return s.n >= tail.n && hf_span_eq_nocase(hf_span_from(s, s.n - tail.n), tail);
}

bool hf_exception_glob(const char *pattern, struct hf_span text)
{
    struct hf_span p = hf_span_z(pattern);
    bool head = p.n && p.p[0] == '*';
    if (head)
        p = hf_span_from(p, 1);
    bool tail = p.n && p.p[p.n - 1] == '*';
    if (tail)
        p.n--;
    if (head && tail) {
        for (size_t i = 0; text.n >= p.n && i <= text.n - p.n; i++)
            if (hf_span_eq_nocase(hf_span_sub(text, i, p.n), p))
                return true;
        return false;
    }
    if (head)
        return has_tail(text, p);
    if (tail)
        return text.n >= p.n && hf_span_eq_nocase(hf_span_sub(text, 0, p.n), p);
    return hf_span_eq_nocase(text, p);
}

bool hf_exception_has_id(const struct hf_exception *e, struct hf_span id)
{
    struct hf_span rest = hf_span_z(e->ids), one;
    while (hf_span_cut(&rest, ' ', &one))
        if (one.n && hf_span_eq(one, id))
            return true;
    return false;
}

const struct hf_exception *hf_exception_suppress(const struct hf_package *p, struct hf_span id)
{
    for (size_t i = 0; i < hf_n_exceptions; i++) {
        const struct hf_exception *e = &hf_exceptions[i];
        if (e->kind[0] == 's' && (!*e->type || strcmp(e->type, hf_pkg_type_name(p->type)) == 0) &&
                hf_exception_has_id(e, id) && hf_exception_glob(e->match, p->name))
            return e;
    }
    return NULL;
}

const struct hf_exception *hf_exception_erratum(struct hf_span id)
{
    for (size_t i = 0; i < hf_n_exceptions; i++)
        if (strcmp(hf_exceptions[i].kind, "not-a-vulnerability") == 0 && hf_exception_glob(hf_exceptions[i].match, id))
            return &hf_exceptions[i];
    return NULL;
}
