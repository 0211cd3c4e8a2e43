/* SPDX-License-Identifier: Apache-2.0 */
/* Composer versions: read as Composer\Semver\VersionParser normalises them, ordered as PHP's version_compare orders the result.
 * "8.4" equals "8.4.0.0", "1.x-dev" is 1.9999999.9999999.9999999-dev; "dev-main" and other branches without a number have no order. */
#include "advisories/version/scheme.h"

/* Ranks of version_compare; STABLE is where a version ends or goes on with a number. */
enum stability { DEV, ALPHA, BETA, RC, STABLE, PATCH };

struct composer {
    struct hf_span numbers; /* digit runs with one separator between */
    unsigned fill;          /* missing ones at the end */
    struct hf_span fill_with;
    enum stability stability;
    struct hf_span tag; /* "1.2" behind the word */
    bool dev;
};

static const struct {
    const char *word;
    enum stability stability;
} words[] = {{"stable", STABLE}, {"beta", BETA}, {"alpha", ALPHA}, {"patch", PATCH}, {"rc", RC}, {"pl", PATCH}, {"a", ALPHA}, {"b", BETA}, {"p", PATCH}};

static bool space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool starts_nocase(struct hf_span s, const char *word)
{
    size_t n = strlen(word);
    return s.n >= n && hf_cmp_nocase(hf_span(s.p, n), hf_span(word, n)) == 0;
}

static bool ends_nocase(struct hf_span s, const char *word)
{
    size_t n = strlen(word);
    return s.n >= n && starts_nocase(hf_span_from(s, s.n - n), word);
}

/* [.-]?dev at the end */
static bool only_dev(struct hf_span s)
{
    if (s.n == 4 && (s.p[0] == '.' || s.p[0] == '-'))
        s = hf_span_from(s, 1);
    return s.n == 3 && starts_nocase(s, "dev");
}

/* [._-]? (word ([.-]?digits)*)? ([.-]?dev)? to the end */
static bool modifier(struct hf_span v, struct composer *r)
{
    if (v.n && (v.p[0] == '.' || v.p[0] == '_' || v.p[0] == '-'))
        v = hf_span_from(v, 1);
    for (size_t i = 0; i < HF_ARRAY_LEN(words); i++) {
        if (!starts_nocase(v, words[i].word))
            continue;
        v = hf_span_from(v, strlen(words[i].word));
        size_t n = 0;
        while (n < v.n && (hf_digit(v.p[n]) || ((v.p[n] == '.' || v.p[n] == '-') && n + 1 < v.n && hf_digit(v.p[n + 1]))))
            n++;
        if (v.n && n < v.n && !only_dev(hf_span_from(v, n)))
            return false;
        r->stability = words[i].stability;
        r->dev = n < v.n && words[i].stability != STABLE;
        if (words[i].stability != STABLE) /* "stable" ends it: what follows does not count */
            r->tag = hf_span(v.p, n);
        return true;
    }
    r->dev = only_dev(v);
    return !v.n || r->dev;
}

/* One to five digits, up to three more numbers. */
static bool classical(struct hf_span v, struct composer *r)
{
    struct hf_span rest = v, d = hf_take_digits(&rest);
    unsigned n = 1;
    if (!d.n || d.n > 5)
        return false;
    for (; n < 4 && rest.n > 1 && rest.p[0] == '.' && hf_digit(rest.p[1]); n++) {
        rest = hf_span_from(rest, 1);
        hf_take_digits(&rest);
    }
    *r = (struct composer){.numbers = hf_span(v.p, v.n - rest.n), .fill = 4 - n, .fill_with = HF_S("0"), .stability = STABLE};
    return modifier(rest, r);
}

static bool date_sep(struct hf_span v, size_t i)
{
    return i < v.n && (v.p[i] == '.' || v.p[i] == ':' || v.p[i] == '-');
}

/* Exactly n digits at i. */
static bool digits_at(struct hf_span v, size_t i, size_t n)
{
    if (i > v.n || v.n - i < n)
        return false;
    for (size_t k = 0; k < n; k++)
        if (!hf_digit(v.p[i + k]))
            return false;
    return true;
}

/* \d{4} ([.:-]?\d{2}){1,6} ([.:-]?\d{1,3})?, the longest that leaves a modifier. */
static bool date(struct hf_span v, struct composer *r)
{
    size_t ends[6];
    unsigned n = 0;
    if (!digits_at(v, 0, 4))
        return false;
    for (size_t at = 4; n < 6; n++) {
        at += date_sep(v, at);
        if (!digits_at(v, at, 2))
            break;
        ends[n] = at += 2;
    }
    while (n-- > 0)
        for (size_t len = 4; len-- > 0;) {
            size_t end = ends[n];
            if (len && (end += date_sep(v, end), !digits_at(v, end, len)))
                continue;
            end += len;
            *r = (struct composer){.numbers = hf_span(v.p, end), .stability = STABLE};
            if (modifier(hf_span_from(v, end), r))
                return true;
        }
    return false;
}

/* "1.x-dev", "2.1.*-dev": numbers, then x for all that is not given. */
static bool branch(struct hf_span v, struct composer *r)
{
    if (!ends_nocase(v, "dev"))
        return false;
    v.n -= 3;
    if (v.n && (v.p[v.n - 1] == '.' || v.p[v.n - 1] == '-'))
        v.n--;
    struct hf_span rest = v, wild = HF_S("9999999");
    if (!hf_take_digits(&rest).n)
        return false;
    unsigned n = 1, given = 1;
    struct hf_span numbers = hf_span(v.p, v.n - rest.n);
    for (; rest.n; n++) {
        if (n == 4 || rest.n < 2 || rest.p[0] != '.')
            return false;
        rest = hf_span_from(rest, 1);
        bool any = rest.p[0] == 'x' || rest.p[0] == 'X' || rest.p[0] == '*';
        if (any)
            rest = hf_span_from(rest, 1);
        else if (!hf_take_digits(&rest).n)
            return false;
        if (any || given < n)
            continue;
        given++;
        numbers = hf_span(v.p, v.n - rest.n);
    }
    if (given < n && numbers.n != v.n) {
        /* numbers behind an x ("1.x.2-dev") are nothing that Composer writes; not ordered here */
        for (size_t i = numbers.n; i < v.n; i++)
            if (hf_digit(v.p[i]))
                return false;
    }
    *r = (struct composer){.numbers = numbers, .fill = 4 - given, .fill_with = wild, .stability = STABLE, .dev = true};
    return true;
}

static bool parse(struct hf_span v, struct composer *r)
{
    static const char *const flags[] = {"@stable", "@rc", "@beta", "@alpha", "@dev"};
    v = hf_span_trim(v);
    for (size_t i = 0; i < HF_ARRAY_LEN(flags); i++)
        if (ends_nocase(v, flags[i])) {
            v.n -= strlen(flags[i]);
            break;
        }
    for (size_t i = 0; i < v.n; i++)
        if (space(v.p[i]) || v.p[i] == ',')
            return false;
    size_t plus = hf_span_find(v, '+');
    if (plus != SIZE_MAX && plus + 1 < v.n)
        v.n = plus;
    if (v.n && (v.p[0] == 'v' || v.p[0] == 'V'))
        v = hf_span_from(v, 1);
    return classical(v, r) || date(v, r) || branch(v, r);
}

struct token {
    enum { END, NUMBER, WORD } kind;
    struct hf_span digits;
    enum stability stability;
};

/* Next part of the normal form: numbers, the word, its numbers, dev.  Uses *r up. */
static struct token next(struct composer *r)
{
    for (struct hf_span *s = &r->numbers; s; s = s == &r->numbers ? &r->tag : NULL) {
        if (s == &r->tag) {
            if (r->fill) {
                r->fill--;
                return (struct token){NUMBER, r->fill_with, STABLE};
            }
            if (r->stability != STABLE) {
                enum stability word = r->stability;
                r->stability = STABLE;
                return (struct token){WORD, {NULL, 0}, word};
            }
        }
        while (s->n && !hf_digit(s->p[0]))
            *s = hf_span_from(*s, 1);
        if (s->n)
            return (struct token){NUMBER, hf_take_digits(s), STABLE};
    }
    bool dev = r->dev;
    r->dev = false;
    return dev ? (struct token){WORD, {NULL, 0}, DEV} : (struct token){END, {NULL, 0}, STABLE};
}

int hf_cmp_packagist(struct hf_span a, struct hf_span b)
{
    struct composer x, y;
    if (!parse(a, &x) || !parse(b, &y))
        return HF_CMP_INVALID;
    for (;;) {
        struct token p = next(&x), q = next(&y);
        if (p.stability != q.stability)
            return p.stability < q.stability ? -1 : 1;
        if (p.kind != q.kind) /* the end and a number: going on is more */
            return p.kind == END ? -1 : 1;
        if (p.kind == END)
            return 0;
        int c = p.kind == NUMBER ? hf_cmp_digits(p.digits, q.digits) : 0;
        if (c)
            return c;
    }
}
