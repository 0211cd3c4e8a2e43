/* SPDX-License-Identifier: Apache-2.0 */
/* SemVer 2.0.0 and what ecosystems make of it: npm tolerates "v" and "=", Go has "v", "+incompatible" and toolchain names, Pub orders
 * build metadata, Bitnami appends a packaging revision.  Missing minor and patch numbers count as zero. */
#include "advisories/version/scheme.h"

struct semver {
    struct hf_span number[4]; /* the fourth only where allowed */
    unsigned n;
    struct hf_span pre, build;
    bool has_pre;
};

static bool identifiers(struct hf_span s)
{
    bool begin = true;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.') {
            if (begin)
                return false;
            begin = true;
        } else if (hf_digit(s.p[i]) || hf_alpha(s.p[i]) || s.p[i] == '-') {
            begin = false;
        } else {
            return false;
        }
    }
    return s.n && !begin;
}

static bool parse(struct hf_span v, struct semver *r)
{
    *r = (struct semver){.n = 0};
    v = hf_span_trim(v);
    while (v.n && (v.p[0] == 'v' || v.p[0] == 'V' || v.p[0] == '='))
        v = hf_span_trim(hf_span_from(v, 1));
    for (;;) {
        if (r->n == 3)
            return false;
        r->number[r->n] = hf_take_digits(&v);
        if (!r->number[r->n++].n)
            return false;
        if (!v.n || v.p[0] != '.')
            break;
        v = hf_span_from(v, 1);
    }
    size_t plus = hf_span_find(v, '+');
    if (plus != SIZE_MAX) {
        r->build = hf_span_from(v, plus + 1);
        v = hf_span(v.p, plus);
        if (!identifiers(r->build))
            return false;
    }
    if (v.n) {
        if (v.p[0] == '-')
            v = hf_span_from(v, 1);
        else if (!hf_alpha(v.p[0]))
            return false; /* loose npm form 1.2.3beta is accepted */
        r->pre = v;
        r->has_pre = true;
        if (!identifiers(v))
            return false;
    }
    return true;
}

static bool numeric(struct hf_span s)
{
    struct hf_span rest = s;
    hf_take_digits(&rest);
    return s.n && !rest.n;
}

/* SemVer 2.0.0, section 11.4 */
static int compare_identifiers(struct hf_span a, struct hf_span b)
{
    struct hf_span x, y;
    for (;;) {
        bool ma = hf_span_cut(&a, '.', &x), mb = hf_span_cut(&b, '.', &y);
        if (!ma || !mb)
            return ma ? 1 : mb ? -1 : 0;
        bool nx = numeric(x), ny = numeric(y);
        int c = nx && ny ? hf_cmp_digits(x, y) : nx ? -1 : ny ? 1 : hf_span_cmp(x, y);
        if (c)
            return c;
    }
}

static int compare(const struct semver *a, const struct semver *b)
{
    for (unsigned i = 0; i < 3; i++) {
        int c = hf_cmp_digits(a->number[i], b->number[i]);
        if (c)
            return c;
    }
    if (a->has_pre != b->has_pre)
        return a->has_pre ? -1 : 1;
    return compare_identifiers(a->pre, b->pre);
}

int hf_cmp_semver(struct hf_span a, struct hf_span b)
{
    struct semver x, y;
    if (!parse(a, &x) || !parse(b, &y))
        return HF_CMP_INVALID;
    return compare(&x, &y);
}

int hf_cmp_pub(struct hf_span a, struct hf_span b)
{
    struct semver x, y;
    if (!parse(a, &x) || !parse(b, &y))
        return HF_CMP_INVALID;
    int c = compare(&x, &y);
    return c ? c : compare_identifiers(x.build, y.build);
}

/* Toolchain names: "go1.22", "1.22rc1", "1.21.5-custom"; pre-releases of the toolchain have no dash (go.dev/doc/toolchain). */
static bool parse_go(struct hf_span v, struct semver *r)
{
    v = hf_span_trim(v);
    if (hf_span_starts(v, HF_S("go")) && v.n > 2 && hf_digit(v.p[2]))
        v = hf_span_from(v, 2);
    return parse(v, r);
}

/* "rc1" and "rc.1" are one: the advisories write the second. */
static int compare_go_pre(struct hf_span a, struct hf_span b)
{
    size_t i = 0, k = 0;
    while (i < a.n && hf_alpha(a.p[i]))
        i++;
    while (k < b.n && hf_alpha(b.p[k]))
        k++;
    struct hf_span x = hf_span_from(a, i), y = hf_span_from(b, k);
    bool bare = (x.n && hf_digit(x.p[0])) || (y.n && hf_digit(y.p[0]));
    if (!i || !k || !bare)
        return compare_identifiers(a, b);
    int c = hf_span_cmp(hf_span(a.p, i), hf_span(b.p, k));
    if (c)
        return c;
    if (x.n && x.p[0] == '.')
        x = hf_span_from(x, 1);
    if (y.n && y.p[0] == '.')
        y = hf_span_from(y, 1);
    return compare_identifiers(x, y);
}

int hf_cmp_go(struct hf_span a, struct hf_span b)
{
    struct semver x, y;
    if (!parse_go(a, &x) || !parse_go(b, &y))
        return HF_CMP_INVALID;
    for (unsigned i = 0; i < 3; i++) {
        int c = hf_cmp_digits(x.number[i], y.number[i]);
        if (c)
            return c;
    }
    if (x.has_pre != y.has_pre)
        return x.has_pre ? -1 : 1;
    return compare_go_pre(x.pre, y.pre);
}

/* "1.2.3-4": the number behind the last dash is the packaging revision, not a pre-release. */
int hf_cmp_bitnami(struct hf_span a, struct hf_span b)
{
    struct semver x, y;
    if (!parse(a, &x) || !parse(b, &y))
        return HF_CMP_INVALID;
    if (x.has_pre && numeric(x.pre))
        x.has_pre = false, x.pre = hf_span("", 0);
    if (y.has_pre && numeric(y.pre))
        y.has_pre = false, y.pre = hf_span("", 0);
    return compare(&x, &y);
}
