/* SPDX-License-Identifier: Apache-2.0 */
/* NuGet versions: one to four numbers, SemVer pre-release without case, metadata ignored.
 * Spec: learn.microsoft.com/nuget/concepts/package-versioning. */
#include "advisories/version/scheme.h"

struct nuget {
    struct hf_span number[4], pre;
    bool has_pre;
};

static bool parse(struct hf_span v, struct nuget *r)
{
    *r = (struct nuget){.has_pre = false};
    v = hf_span_trim(v);
    if (v.n && (v.p[0] == 'v' || v.p[0] == 'V'))
        v = hf_span_from(v, 1);
    v = hf_span_sub(v, 0, hf_span_find(v, '+'));
    size_t dash = hf_span_find(v, '-');
    if (dash != SIZE_MAX) {
        r->pre = hf_span_from(v, dash + 1);
        r->has_pre = true;
        v = hf_span(v.p, dash);
        bool begin = true;
        for (size_t i = 0; i < r->pre.n; i++) {
            char c = r->pre.p[i];
            if (c == '.' ? begin : !hf_digit(c) && !hf_alpha(c) && c != '-')
                return false;
            begin = c == '.';
        }
        if (!r->pre.n || begin)
            return false;
    }
    for (unsigned i = 0; i < 4; i++) {
        r->number[i] = hf_take_digits(&v);
        if (!r->number[i].n)
            return false;
        if (!v.n)
            return true;
        if (v.p[0] != '.')
            return false;
        v = hf_span_from(v, 1);
    }
    return false;
}

static bool numeric(struct hf_span s)
{
    struct hf_span rest = s;
    hf_take_digits(&rest);
    return s.n && !rest.n;
}

int hf_cmp_nuget(struct hf_span a, struct hf_span b)
{
    struct nuget x, y;
    if (!parse(a, &x) || !parse(b, &y))
        return HF_CMP_INVALID;
    for (unsigned i = 0; i < 4; i++) {
        int c = hf_cmp_digits(x.number[i], y.number[i]);
        if (c)
            return c;
    }
    if (x.has_pre != y.has_pre)
        return x.has_pre ? -1 : 1;
    struct hf_span p, q;
    for (;;) {
        bool mp = hf_span_cut(&x.pre, '.', &p), mq = hf_span_cut(&y.pre, '.', &q);
        if (!mp || !mq)
            return mp ? 1 : mq ? -1 : 0;
        bool np = numeric(p), nq = numeric(q);
        int c = np && nq ? hf_cmp_digits(p, q) : np ? -1 : nq ? 1 : hf_cmp_nocase(p, q);
        if (c)
            return c;
    }
}
