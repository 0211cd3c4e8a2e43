/* SPDX-License-Identifier: Apache-2.0 */
/* Python versions.  Spec: PEP 440 (packaging.python.org, version specifiers).  Legacy versions that do not follow it are not versions. */
#include "advisories/version/scheme.h"

struct pep {
    struct hf_span epoch, release, pre, post, dev, local;
    int phase; /* of pre: 0 a, 1 b, 2 rc */
    bool has_pre, has_post, has_dev, has_local;
};

static bool sep(char c)
{
    return c == '.' || c == '-' || c == '_';
}

/* Takes one of the words (longest first) off the front, without case. */
static int take_word(struct hf_span *s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(words[i]);
        if (s->n >= len && hf_cmp_nocase(hf_span(s->p, len), hf_span_z(words[i])) == 0) {
            *s = hf_span_from(*s, len);
            return (int)i;
        }
    }
    return -1;
}

/* [sep] word [sep] [digits] */
static int take_tag(struct hf_span *s, const char *const *words, size_t n, struct hf_span *number)
{
    struct hf_span at = *s;
    if (at.n && sep(at.p[0]))
        at = hf_span_from(at, 1);
    int w = take_word(&at, words, n);
    if (w < 0)
        return -1;
    struct hf_span after = at;
    if (after.n && sep(after.p[0]))
        after = hf_span_from(after, 1);
    *number = hf_take_digits(&after);
    *s = after; /* the separator goes even without digits: "1.0a." is 1.0a0 */
    return w;
}

static bool parse(struct hf_span v, struct pep *r)
{
    static const char *const pre[] = {"alpha", "a", "beta", "b", "preview", "pre", "rc", "c"}, *const post[] = {"post", "rev", "r"}, *const dev[] = {"dev"};
    static const int phase[] = {0, 0, 1, 1, 2, 2, 2, 2};
    *r = (struct pep){.epoch = HF_S("0")};
    v = hf_span_trim(v);
    if (v.n && (v.p[0] == 'v' || v.p[0] == 'V'))
        v = hf_span_from(v, 1);
    struct hf_span rest = v, d = hf_take_digits(&rest);
    if (!d.n)
        return false;
    if (rest.n && rest.p[0] == '!') {
        r->epoch = d;
        v = rest = hf_span_from(rest, 1);
        if (!hf_take_digits(&rest).n)
            return false;
    }
    while (rest.n > 1 && rest.p[0] == '.' && hf_digit(rest.p[1])) {
        rest = hf_span_from(rest, 1);
        hf_take_digits(&rest);
    }
    r->release = hf_span(v.p, v.n - rest.n);
    int w = take_tag(&rest, pre, HF_ARRAY_LEN(pre), &r->pre);
    if (w >= 0) {
        r->has_pre = true;
        r->phase = phase[w];
    }
    if (rest.n > 1 && rest.p[0] == '-' && hf_digit(rest.p[1])) {
        rest = hf_span_from(rest, 1);
        r->post = hf_take_digits(&rest);
        r->has_post = true;
    } else if (take_tag(&rest, post, HF_ARRAY_LEN(post), &r->post) >= 0) {
        r->has_post = true;
    }
    r->has_dev = take_tag(&rest, dev, 1, &r->dev) >= 0;
    if (rest.n && rest.p[0] == '+') {
        r->local = hf_span_from(rest, 1);
        r->has_local = true;
        bool begin = true;
        for (size_t i = 0; i < r->local.n; i++) {
            if (sep(r->local.p[i]) ? begin : !hf_digit(r->local.p[i]) && !hf_alpha(r->local.p[i]))
                return false;
            begin = sep(r->local.p[i]);
        }
        return r->local.n && !begin;
    }
    return !rest.n;
}

/* Number lists of any length, missing ones zero. */
static int compare_release(struct hf_span a, struct hf_span b)
{
    while (a.n || b.n) {
        int c = hf_cmp_digits(hf_take_digits(&a), hf_take_digits(&b));
        if (c)
            return c;
        if (a.n)
            a = hf_span_from(a, 1);
        if (b.n)
            b = hf_span_from(b, 1);
    }
    return 0;
}

static struct hf_span local_part(struct hf_span *s)
{
    size_t n = 0;
    while (n < s->n && !sep(s->p[n]))
        n++;
    struct hf_span out = hf_span(s->p, n);
    *s = hf_span_from(*s, n < s->n ? n + 1 : n);
    return out;
}

static int compare_local(const struct pep *x, const struct pep *y)
{
    if (x->has_local != y->has_local)
        return x->has_local ? 1 : -1;
    struct hf_span a = x->local, b = y->local;
    while (a.n || b.n) {
        struct hf_span p = local_part(&a), q = local_part(&b), pr = p, qr = q;
        if (!p.n || !q.n)
            return p.n ? 1 : q.n ? -1 : 0;
        hf_take_digits(&pr);
        hf_take_digits(&qr);
        int c = !pr.n && !qr.n ? hf_cmp_digits(p, q) : !pr.n ? 1 : !qr.n ? -1 : hf_cmp_nocase(p, q);
        if (c)
            return c;
    }
    return 0;
}

/* Where a version stands among those of one release: dev only, a, b, rc, final. */
static int rank(const struct pep *v)
{
    return v->has_pre ? v->phase + 1 : v->has_dev && !v->has_post ? 0 : 4;
}

int hf_cmp_pep440(struct hf_span a, struct hf_span b)
{
    struct pep x, y;
    if (!parse(a, &x) || !parse(b, &y))
        return HF_CMP_INVALID;
    int c = hf_cmp_digits(x.epoch, y.epoch);
    if (!c)
        c = compare_release(x.release, y.release);
    if (!c)
        c = rank(&x) < rank(&y) ? -1 : rank(&x) > rank(&y);
    if (!c && x.has_pre)
        c = hf_cmp_digits(x.pre, y.pre);
    if (!c)
        c = x.has_post != y.has_post ? (x.has_post ? 1 : -1) : hf_cmp_digits(x.post, y.post);
    if (!c)
        c = x.has_dev != y.has_dev ? (x.has_dev ? -1 : 1) : hf_cmp_digits(x.dev, y.dev);
    return c ? c : compare_local(&x, &y);
}
