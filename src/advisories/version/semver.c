/* SPDX-License-Identifier: Apache-2.0 */
/* SemVer 2.0.0 and what ecosystems make of it: npm tolerates "v" and "=", Go has "v", "+incompatible" and toolchain names, Pub orders
 * build metadata, Bitnami appends a packaging revision.  Missing minor and patch numbers count as zero. */
#include "advisories/version/scheme.h"

/* What an ecosystem takes beyond SemVer. */
enum {
    PREFIX = 1, /* any of "v", "=", spaces in front (npm) */
    BARE = 2,   /* a pre-release without its dash: 1.2.3beta (npm) */
    ZEROS = 4,  /* leading zeros */
};

struct semver {
    struct hf_span number[3];
    struct hf_span pre, pre_number, build; /* pre_number: the number of a Go toolchain's "rc1", an identifier of its own */
    bool has_pre;
};

static bool numeric(struct hf_span s)
{
    struct hf_span rest = s;
    hf_take_digits(&rest);
    return s.n && !rest.n;
}

static bool leading_zero(struct hf_span s)
{
    return s.n > 1 && s.p[0] == '0';
}

static bool identifiers(struct hf_span s, bool zeros)
{
    struct hf_span part;
    if (!s.n || s.p[s.n - 1] == '.')
        return false;
    while (hf_span_cut(&s, '.', &part)) {
        for (size_t i = 0; i < part.n; i++)
            if (!hf_digit(part.p[i]) && !hf_alpha(part.p[i]) && part.p[i] != '-')
                return false;
        if (!part.n || (!zeros && leading_zero(part) && numeric(part)))
            return false;
    }
    return true;
}

/* Takes the numbers off the front and says how many there are. */
static unsigned take_numbers(struct hf_span *v, struct semver *r, bool zeros)
{
    for (unsigned n = 0; n < 3;) {
        r->number[n] = hf_take_digits(v);
        if (!r->number[n].n || (!zeros && leading_zero(r->number[n])))
            return 0;
        if (++n == 3 || !v->n || v->p[0] != '.')
            return n;
        *v = hf_span_from(*v, 1);
    }
    return 0;
}

/* [-pre][+build] to the end */
static bool rest(struct hf_span v, struct semver *r, unsigned flags)
{
    size_t plus = hf_span_find(v, '+');
    if (plus != SIZE_MAX) {
        r->build = hf_span_from(v, plus + 1);
        v = hf_span(v.p, plus);
        if (!identifiers(r->build, true))
            return false;
    }
    if (!v.n)
        return true;
    r->has_pre = true;
    r->pre = hf_span_from(v, 1);
    if (v.p[0] == '-' && identifiers(r->pre, flags & ZEROS))
        return true;
    /* npm's expression has the dash as an option, so that "1.2.3-" has the pre-release "-" */
    r->pre = v;
    return (flags & BARE) && identifiers(v, flags & ZEROS);
}

static bool parse(struct hf_span v, unsigned flags, struct semver *r)
{
    *r = (struct semver){.has_pre = false};
    v = hf_span_trim(v);
    while ((flags & PREFIX) && v.n && (v.p[0] == 'v' || v.p[0] == '='))
        v = hf_span_trim(hf_span_from(v, 1));
    unsigned n = take_numbers(&v, r, flags & ZEROS);
    if (n == 3 && (flags & BARE) && v.n && v.p[0] == '.' && r->number[2].n > 1) {
        /* npm's expression gives a digit back: "1.2.34.5" is 1.2.3-4.5 */
        r->number[2].n--;
        v = hf_span(v.p - 1, v.n + 1);
    }
    return n && rest(v, r, n == 3 ? flags : flags & ZEROS);
}

/* SemVer 2.0.0, section 11.4 */
static int compare_identifier(struct hf_span a, struct hf_span b)
{
    bool x = numeric(a), y = numeric(b);
    return x && y ? hf_cmp_digits(a, b) : x ? -1 : y ? 1 : hf_span_cmp(a, b);
}

static int compare_identifiers(struct hf_span a, struct hf_span b)
{
    struct hf_span x, y;
    for (;;) {
        bool ma = hf_span_cut(&a, '.', &x), mb = hf_span_cut(&b, '.', &y);
        if (!ma || !mb)
            return ma ? 1 : mb ? -1 : 0;
        int c = compare_identifier(x, y);
        if (c)
            return c;
    }
}

/* The next identifier of a pre-release. */
static bool cut(struct hf_span *pre, struct hf_span *number, struct hf_span *ret)
{
    if (hf_span_cut(pre, '.', ret))
        return true;
    *ret = *number;
    *number = hf_span("", 0);
    return ret->n != 0;
}

static int compare_pre(const struct semver *a, const struct semver *b)
{
    struct hf_span p = a->pre, q = b->pre, m = a->pre_number, n = b->pre_number, x, y;
    for (;;) {
        bool ma = cut(&p, &m, &x), mb = cut(&q, &n, &y);
        if (!ma || !mb)
            return ma ? 1 : mb ? -1 : 0;
        int c = compare_identifier(x, y);
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
    return compare_pre(a, b);
}

static int by(unsigned flags, struct hf_span a, struct hf_span b)
{
    struct semver x, y;
    if (!parse(a, flags, &x) || !parse(b, flags, &y))
        return HF_CMP_INVALID;
    return compare(&x, &y);
}

int hf_cmp_semver(struct hf_span a, struct hf_span b)
{
    return by(PREFIX | BARE | ZEROS, a, b);
}

int hf_cmp_hex(struct hf_span a, struct hf_span b)
{
    return by(0, a, b);
}

/* Pub is alone in giving build metadata an order. */
int hf_cmp_pub(struct hf_span a, struct hf_span b)
{
    struct semver x, y;
    if (!parse(a, ZEROS, &x) || !parse(b, ZEROS, &y))
        return HF_CMP_INVALID;
    int c = compare(&x, &y);
    return c ? c : compare_identifiers(x.build, y.build);
}

/* Modules: "v1.2.3-pre+incompatible", the "v" may be missing.  Toolchains: "go1.22.3", "go1.22rc1", also without "go"; 1.22rc1 is what the
 * advisories write as 1.22.0-rc.1, and what follows a dash or space behind "go" is the vendor's (go.dev/doc/toolchain). */
static bool parse_go(struct hf_span v, struct semver *r)
{
    *r = (struct semver){.has_pre = false};
    v = hf_span_trim(v);
    bool tool = hf_span_starts(v, HF_S("go")), module = !tool && v.n && v.p[0] == 'v';
    if (tool) {
        v = hf_span_from(v, 2);
        for (size_t i = 0; i < v.n; i++)
            if (v.p[i] == ' ' || v.p[i] == '\t' || v.p[i] == '-')
                v.n = i;
    }
    if (module)
        v = hf_span_from(v, 1);
    unsigned n = take_numbers(&v, r, false);
    if (!n || !v.n)
        return n;
    struct hf_span word = hf_span_starts(v, HF_S("rc")) ? HF_S("rc") : HF_S("beta");
    if (!module && n > 1 && hf_span_starts(v, word)) {
        v = hf_span_from(v, word.n);
        r->has_pre = true;
        r->pre = word;
        r->pre_number = v;
        return numeric(v) && !leading_zero(v);
    }
    return n == 3 && !tool && rest(v, r, 0);
}

int hf_cmp_go(struct hf_span a, struct hf_span b)
{
    struct semver x, y;
    if (!parse_go(a, &x) || !parse_go(b, &y))
        return HF_CMP_INVALID;
    return compare(&x, &y);
}

/* "1.2.3-4": a number alone behind the dash is the packaging revision, not a pre-release. */
int hf_cmp_bitnami(struct hf_span a, struct hf_span b)
{
    struct semver x, y;
    if (!parse(a, PREFIX | ZEROS, &x) || !parse(b, PREFIX | ZEROS, &y))
        return HF_CMP_INVALID;
    for (struct semver *v = &x; v; v = v == &x ? &y : NULL)
        if (v->has_pre && numeric(v->pre)) {
            v->has_pre = false;
            v->pre = hf_span("", 0);
        }
    return compare(&x, &y);
}
