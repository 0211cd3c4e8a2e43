/* SPDX-License-Identifier: Apache-2.0 */
/* RPM versions: [epoch:]version[-release].  Spec: rpm-version(7), as librpm compares. */
#include "advisories/version/scheme.h"

struct evr {
    struct hf_span epoch, version, release;
    bool has_release;
};

static bool split(struct hf_span v, struct evr *r)
{
    size_t colon = hf_span_find(v, ':');
    struct hf_span epoch = colon == SIZE_MAX ? HF_S("0") : hf_span(v.p, colon), rest = colon == SIZE_MAX ? v : hf_span_from(v, colon + 1), check = epoch;
    hf_take_digits(&check);
    if (check.n) { /* no number before the colon: it is part of the version */
        epoch = HF_S("0");
        rest = v;
    }
    size_t dash = hf_span_rfind(rest, '-');
    *r = (struct evr){epoch, hf_span_sub(rest, 0, dash), dash == SIZE_MAX ? hf_span("", 0) : hf_span_from(rest, dash + 1), dash != SIZE_MAX};
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] <= 0x20 || (unsigned char)v.p[i] >= 0x7f)
            return false;
    return r->version.n != 0;
}

static bool separator(char c)
{
    return !hf_digit(c) && !hf_alpha(c) && c != '~' && c != '^';
}

static struct hf_span take_alpha(struct hf_span *s)
{
    size_t n = 0;
    while (n < s->n && hf_alpha(s->p[n]))
        n++;
    struct hf_span out = hf_span(s->p, n);
    *s = hf_span_from(*s, n);
    return out;
}

static int compare(struct hf_span a, struct hf_span b)
{
    if (hf_span_eq(a, b))
        return 0;
    while (a.n || b.n) {
        while (a.n && separator(a.p[0]))
            a = hf_span_from(a, 1);
        while (b.n && separator(b.p[0]))
            b = hf_span_from(b, 1);
        bool ta = a.n && a.p[0] == '~', tb = b.n && b.p[0] == '~';
        if (ta || tb) {
            if (!ta)
                return 1;
            if (!tb)
                return -1;
            a = hf_span_from(a, 1);
            b = hf_span_from(b, 1);
            continue;
        }
        bool ca = a.n && a.p[0] == '^', cb = b.n && b.p[0] == '^';
        if (ca || cb) {
            if (!a.n)
                return -1;
            if (!b.n)
                return 1;
            if (!ca)
                return 1;
            if (!cb)
                return -1;
            a = hf_span_from(a, 1);
            b = hf_span_from(b, 1);
            continue;
        }
        if (!a.n || !b.n)
            break;
        if (hf_digit(a.p[0])) {
            struct hf_span x = hf_take_digits(&a), y = hf_take_digits(&b);
            if (!y.n)
                return 1;
            int c = hf_cmp_digits(x, y);
            if (c)
                return c;
        } else {
            struct hf_span x = take_alpha(&a), y = take_alpha(&b);
            if (!y.n)
                return -1;
            int c = hf_span_cmp(x, y);
            if (c)
                return c;
        }
    }
    return a.n ? 1 : b.n ? -1 : 0;
}

int hf_cmp_rpm(struct hf_span a, struct hf_span b)
{
    struct evr x, y;
    if (!split(a, &x) || !split(b, &y))
        return HF_CMP_INVALID;
    int c = hf_cmp_digits(x.epoch, y.epoch);
    if (!c)
        c = compare(x.version, y.version);
    /* As rpmVersionCompare: one without a release is before any with one (otherwise the order would not be transitive). */
    if (!c && x.has_release != y.has_release)
        return x.has_release ? 1 : -1;
    return c ? c : compare(x.release, y.release);
}
