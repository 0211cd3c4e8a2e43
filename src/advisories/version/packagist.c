/* SPDX-License-Identifier: Apache-2.0 */
/* Composer versions: normalised as Composer\Semver\VersionParser does, compared as PHP's version_compare orders the result.
 * "8.4" equals "8.4.0.0"; "dev-branch" has no order. */
#include "advisories/version/scheme.h"

enum { MAX_NUMBERS = 12 };
enum stability { DEV, ALPHA, BETA, RC, STABLE, PATCH };

struct composer {
    struct hf_span number[MAX_NUMBERS];
    unsigned n;
    enum stability stability;
    struct hf_span tag; /* ".1.2" after the word */
    bool dev;
};

static bool sep(char c)
{
    return c == '.' || c == '-' || c == '_';
}

static bool parse(struct hf_span v, struct composer *r)
{
    static const struct {
        const char *word;
        enum stability stability;
    } words[] = {{"stable", STABLE}, {"beta", BETA}, {"alpha", ALPHA}, {"patch", PATCH}, {"rc", RC}, {"pl", PATCH}, {"a", ALPHA}, {"b", BETA}, {"p", PATCH}};
    *r = (struct composer){.stability = STABLE};
    v = hf_span_trim(v);
    v = hf_span_sub(v, 0, hf_span_find(v, '+'));
    v = hf_span_sub(v, 0, hf_span_find(v, '@'));
    if (v.n && (v.p[0] == 'v' || v.p[0] == 'V'))
        v = hf_span_from(v, 1);
    if (!v.n || !hf_digit(v.p[0]))
        return false;
    for (;;) {
        struct hf_span d = hf_take_digits(&v);
        if (!d.n && v.n && (v.p[0] == 'x' || v.p[0] == 'X' || v.p[0] == '*') && r->n) {
            d = HF_S("9999999"); /* 1.x-dev: the branch is after all its releases */
            v = hf_span_from(v, 1);
            if (!(v.n == 4 && hf_cmp_nocase(v, HF_S("-dev")) == 0))
                return false;
            while (r->n < 4)
                r->number[r->n++] = d;
            r->dev = true;
            return true;
        }
        if (!d.n || r->n == MAX_NUMBERS)
            return false;
        r->number[r->n++] = d;
        bool more = v.n > 1 && v.p[0] == '.' && (hf_digit(v.p[1]) || v.p[1] == 'x' || v.p[1] == 'X' || v.p[1] == '*');
        /* dates may use dashes: 2010-01-02 */
        more |= r->number[0].n == 4 && v.n > 2 && v.p[0] == '-' && hf_digit(v.p[1]) && hf_digit(v.p[2]);
        if (!more)
            break;
        v = hf_span_from(v, 1);
    }
    if (r->n > 4 && r->number[0].n != 4)
        return false;
    while (r->n < 4 && r->number[0].n < 4)
        r->number[r->n++] = HF_S("0");
    if (v.n) {
        struct hf_span at = sep(v.p[0]) ? hf_span_from(v, 1) : v;
        for (size_t i = 0; i < HF_ARRAY_LEN(words); i++) {
            size_t len = strlen(words[i].word);
            if (at.n < len || hf_cmp_nocase(hf_span(at.p, len), hf_span_z(words[i].word)) != 0 || (at.n > len && hf_alpha(at.p[len])))
                continue;
            r->stability = words[i].stability;
            at = v = hf_span_from(at, len);
            size_t n = 0;
            while (n < v.n && (hf_digit(v.p[n]) || ((v.p[n] == '.' || v.p[n] == '-') && n + 1 < v.n && hf_digit(v.p[n + 1]))))
                n++;
            r->tag = hf_span(v.p, n);
            v = hf_span_from(v, n);
            break;
        }
        if (v.n && (v.p[0] == '.' || v.p[0] == '-'))
            v = hf_span_from(v, 1);
        if (v.n == 3 && hf_cmp_nocase(v, HF_S("dev")) == 0) {
            r->dev = true;
            v = hf_span("", 0);
        }
    }
    return !v.n;
}

static struct hf_span take_number(struct hf_span *s)
{
    while (s->n && !hf_digit(s->p[0]))
        *s = hf_span_from(*s, 1);
    return hf_take_digits(s);
}

int hf_cmp_packagist(struct hf_span a, struct hf_span b)
{
    struct composer x, y;
    if (!parse(a, &x) || !parse(b, &y))
        return HF_CMP_INVALID;
    for (unsigned i = 0; i < x.n || i < y.n; i++) {
        /* version_compare: going on with a number is more than ending or going on with a word, save for dates of unequal length */
        if (i >= x.n || i >= y.n)
            return i >= x.n ? -1 : 1;
        int c = hf_cmp_digits(x.number[i], y.number[i]);
        if (c)
            return c;
    }
    enum stability s = x.stability == STABLE && x.dev ? DEV : x.stability, t = y.stability == STABLE && y.dev ? DEV : y.stability;
    if (s != t)
        return s < t ? -1 : 1;
    for (;;) {
        struct hf_span p = take_number(&x.tag), q = take_number(&y.tag);
        if (!p.n && !q.n)
            break;
        if (!p.n || !q.n)
            return p.n ? 1 : -1;
        int c = hf_cmp_digits(p, q);
        if (c)
            return c;
    }
    return x.dev == y.dev ? 0 : x.dev ? -1 : 1;
}
