/* SPDX-License-Identifier: Apache-2.0 */
/* NuGet versions: one to four numbers, SemVer pre-release without case, metadata ignored.
 * Spec: learn.microsoft.com/nuget/concepts/package-versioning; details (32 bits, signs) as NuGet.Versioning's NuGetVersion.Parse and VersionComparer. */
#include "advisories/version/scheme.h"

struct nuget {
    struct hf_span number[4], pre;
    bool has_pre;
};

static bool numeric(struct hf_span s)
{
    struct hf_span rest = s;
    hf_take_digits(&rest);
    return s.n && !rest.n;
}

/* Identifiers with dots between; pre-releases have no numbers with leading zeros. */
static bool identifiers(struct hf_span s, bool zeros)
{
    struct hf_span part;
    if (!s.n || s.p[s.n - 1] == '.')
        return false;
    while (hf_span_cut(&s, '.', &part)) {
        for (size_t i = 0; i < part.n; i++)
            if (!hf_digit(part.p[i]) && !hf_alpha(part.p[i]) && part.p[i] != '-')
                return false;
        if (!part.n || (!zeros && part.n > 1 && part.p[0] == '0' && numeric(part)))
            return false;
    }
    return true;
}

/* Numbers of NuGet are of 32 bits with a sign. */
static bool fits(struct hf_span digits, const char *max)
{
    return hf_cmp_digits(digits, hf_span_z(max)) <= 0;
}

static bool parse(struct hf_span v, struct nuget *r)
{
    *r = (struct nuget){.has_pre = false};
    v = hf_span_trim(v);
    size_t plus = hf_span_find(v, '+');
    if (plus != SIZE_MAX && !identifiers(hf_span_from(v, plus + 1), true))
        return false;
    v = hf_span_sub(v, 0, plus);
    size_t dash = hf_span_find(v, '-');
    if (dash != SIZE_MAX) {
        r->pre = hf_span_from(v, dash + 1);
        r->has_pre = true;
        v = hf_span(v.p, dash);
        if (!identifiers(r->pre, false))
            return false;
    }
    for (unsigned i = 0; i < 4; i++) {
        r->number[i] = hf_take_digits(&v);
        if (!r->number[i].n || !fits(r->number[i], "2147483647"))
            return false;
        if (!v.n)
            return true;
        if (v.p[0] != '.')
            return false;
        v = hf_span_from(v, 1);
    }
    return false;
}

struct label {
    struct hf_span text; /* of a number: its digits */
    bool number, negative;
};

/* As Int32.TryParse, which NuGet asks: a sign is taken, and what does not fit is text. */
static struct label label(struct hf_span s)
{
    bool minus = s.n && s.p[0] == '-';
    struct hf_span digits = hf_span_from(s, minus);
    if (!numeric(digits) || !fits(digits, minus ? "2147483648" : "2147483647"))
        return (struct label){s, false, false};
    return (struct label){digits, true, minus && hf_cmp_digits(digits, HF_S("0")) != 0};
}

static int compare_labels(struct label a, struct label b)
{
    if (a.number != b.number)
        return a.number ? -1 : 1;
    if (!a.number)
        return hf_cmp_nocase(a.text, b.text);
    if (a.negative != b.negative)
        return a.negative ? -1 : 1;
    return a.negative ? hf_cmp_digits(b.text, a.text) : hf_cmp_digits(a.text, b.text);
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
        int c = compare_labels(label(p), label(q));
        if (c)
            return c;
    }
}
