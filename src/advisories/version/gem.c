/* SPDX-License-Identifier: Apache-2.0 */
/* RubyGems versions, as Gem::Version compares: segments of digits or letters, letters mean a pre-release, trailing zeros of the numeric
 * head and of the rest do not count.  "-" stands for ".pre.". */
#include "advisories/version/scheme.h"

struct cursor {
    struct hf_span rest;
    bool pre_pending;  /* a '-' was met: its "pre" comes next */
    bool in_rest;      /* a letter segment was met */
};
struct segment {
    struct hf_span text; /* n 0: the end, which counts as 0 */
    bool number;
};

/* What Gem::Platform takes for a processor or a Ruby engine.  A '*' stands for letters and digits. */
static const char *const platforms[] = {"x86", "x64", "x86_64", "amd64", "i386", "i486", "i586", "i686", "arm", "armv*", "arm64", "aarch64", "powerpc", "ppc", "ppc64",
        "ppc64le", "powerpc64le", "s390", "s390x", "riscv64", "loongarch64", "mips*", "sparc", "universal", "java", "jruby", "dalvik", "dotnet", "mswin*", "mingw*"};

static bool platform(struct hf_span s)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(platforms); i++) {
        struct hf_span name = hf_span_z(platforms[i]);
        bool more = name.p[name.n - 1] == '*';
        name.n -= more;
        if (!hf_span_starts(s, name))
            continue;
        size_t n = name.n;
        while (more && n < s.n && (hf_digit(s.p[n]) || hf_alpha(s.p[n]) || s.p[n] == '_'))
            n++;
        if (n == s.n || s.p[n] == '-')
            return true;
    }
    return false;
}

/* "1.15.4-x86_64-linux", as in lock files, is 1.15.4. */
static struct hf_span without_platform(struct hf_span v)
{
    size_t dash = hf_span_find(v, '-');
    if (dash == SIZE_MAX || !platform(hf_span_from(v, dash + 1)))
        return v;
    for (size_t i = dash; i < v.n; i++)
        if (!hf_digit(v.p[i]) && !hf_alpha(v.p[i]) && v.p[i] != '-' && v.p[i] != '_' && v.p[i] != '.')
            return v;
    return hf_span(v.p, dash);
}

static bool valid(struct hf_span v)
{
    bool begin = true, dash = false;
    struct hf_span head = v;
    if (!hf_take_digits(&head).n || (head.n && head.p[0] != '.' && head.p[0] != '-'))
        return false;
    for (size_t i = 0; i < v.n; i++) {
        char c = v.p[i];
        if (c == '.') {
            if (begin)
                return false;
            begin = true;
        } else if (c == '-' && !dash && !begin) {
            dash = begin = true;
        } else if (hf_digit(c) || hf_alpha(c) || (c == '-' && dash)) {
            begin = false;
        } else {
            return false;
        }
    }
    return !begin;
}

static struct segment raw(struct cursor *c)
{
    if (c->pre_pending) {
        c->pre_pending = false;
        return (struct segment){HF_S("pre"), false};
    }
    while (c->rest.n && !hf_digit(c->rest.p[0]) && !hf_alpha(c->rest.p[0])) {
        bool dash = c->rest.p[0] == '-';
        c->rest = hf_span_from(c->rest, 1);
        if (dash)
            return (struct segment){HF_S("pre"), false};
    }
    if (!c->rest.n)
        return (struct segment){hf_span("", 0), true};
    if (hf_digit(c->rest.p[0]))
        return (struct segment){hf_take_digits(&c->rest), true};
    size_t n = 0;
    while (n < c->rest.n && hf_alpha(c->rest.p[n]))
        n++;
    struct hf_span out = hf_span(c->rest.p, n);
    c->rest = hf_span_from(c->rest, n);
    return (struct segment){out, false};
}

static bool zero(struct segment s)
{
    for (size_t i = 0; i < s.text.n; i++)
        if (s.text.p[i] != '0')
            return false;
    return s.number;
}

/* Next canonical segment.  Zeros followed only by zeros, up to the first letters or to the end, are dropped; *held counts those that
 * turned out to matter and are still to be given. */
struct canon {
    struct cursor c;
    size_t held;
    struct segment after;
    bool has_after;
};

static struct segment next(struct canon *k)
{
    if (k->held) {
        k->held--;
        return (struct segment){HF_S("0"), true};
    }
    if (k->has_after) {
        k->has_after = false;
        return k->after;
    }
    size_t zeros = 0;
    for (;;) {
        struct segment s = raw(&k->c);
        if (!s.text.n)
            return s;
        if (!s.number && !k->c.in_rest) {
            k->c.in_rest = true; /* zeros before the first letters are trailing zeros of the head */
            return s;
        }
        if (zero(s)) {
            zeros++;
            continue;
        }
        if (!zeros)
            return s;
        k->held = zeros - 1;
        k->after = s;
        k->has_after = true;
        return (struct segment){HF_S("0"), true};
    }
}

int hf_cmp_gem(struct hf_span a, struct hf_span b)
{
    a = without_platform(hf_span_trim(a));
    b = without_platform(hf_span_trim(b));
    if (!valid(a) || !valid(b))
        return HF_CMP_INVALID;
    struct canon x = {.c = {.rest = a}}, y = {.c = {.rest = b}};
    for (;;) {
        struct segment s = next(&x), t = next(&y);
        if (!s.text.n && !t.text.n)
            return 0;
        if (s.number != t.number)
            return s.number ? 1 : -1;
        int c = s.number ? hf_cmp_digits(s.text, t.text) : hf_span_cmp(s.text, t.text);
        if (c)
            return c;
    }
}
