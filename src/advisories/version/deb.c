/* SPDX-License-Identifier: Apache-2.0 */
/* Debian versions.  Spec: Debian Policy 5.6.12, deb-version(7).  As dpkg, which only warns there, this takes characters outside Policy's
 * list and versions that do not start with a digit: they have an order. */
#include "advisories/version/scheme.h"

struct parts {
    struct hf_span epoch, upstream, revision;
};

static bool split(struct hf_span v, struct parts *p)
{
    v = hf_span_trim(v);
    size_t colon = hf_span_find(v, ':');
    p->epoch = colon == SIZE_MAX ? HF_S("0") : hf_span(v.p, colon);
    struct hf_span rest = colon == SIZE_MAX ? v : hf_span_from(v, colon + 1), check = p->epoch;
    hf_take_digits(&check);
    if (!p->epoch.n || check.n || hf_cmp_digits(p->epoch, HF_S("2147483647")) > 0) /* an int in dpkg */
        return false;
    size_t dash = hf_span_rfind(rest, '-');
    p->upstream = hf_span_sub(rest, 0, dash);
    p->revision = dash == SIZE_MAX ? hf_span("", 0) : hf_span_from(rest, dash + 1);
    for (size_t i = 0; i < rest.n; i++)
        if ((unsigned char)rest.p[i] <= 0x20 || (unsigned char)rest.p[i] >= 0x7f)
            return false;
    return p->upstream.n && (dash == SIZE_MAX || p->revision.n);
}

/* '~' before the end, the end before letters, letters before the rest. */
static int order(struct hf_span s)
{
    if (!s.n || hf_digit(s.p[0]))
        return 0;
    if (hf_alpha(s.p[0]))
        return (unsigned char)s.p[0];
    return s.p[0] == '~' ? -1 : (unsigned char)s.p[0] + 256;
}

static int compare(struct hf_span a, struct hf_span b)
{
    while (a.n || b.n) {
        while ((a.n && !hf_digit(a.p[0])) || (b.n && !hf_digit(b.p[0]))) {
            int x = order(a), y = order(b);
            if (x != y)
                return x < y ? -1 : 1;
            if (a.n)
                a = hf_span_from(a, 1);
            if (b.n)
                b = hf_span_from(b, 1);
        }
        int c = hf_cmp_digits(hf_take_digits(&a), hf_take_digits(&b));
        if (c)
            return c;
    }
    return 0;
}

int hf_cmp_deb(struct hf_span a, struct hf_span b)
{
    struct parts x, y;
    if (!split(a, &x) || !split(b, &y))
        return HF_CMP_INVALID;
    int c = hf_cmp_digits(x.epoch, y.epoch);
    if (!c)
        c = compare(x.upstream, y.upstream);
    return c ? c : compare(x.revision, y.revision);
}
