/* SPDX-License-Identifier: Apache-2.0 */
/* apk versions: digits(.digits)*letter?(_suffix digits?)*(~hash)?(-rdigits)?.  Spec: apk-package(5), apk-tools 2 and 3, which agree on
 * valid versions. */
#include "advisories/version/scheme.h"

/* Kinds of token in the order that decides between versions of which one goes on and the other does something else. */
enum kind { INVALID = -1, DIGIT_OR_ZERO, DIGIT, LETTER, SUFFIX, SUFFIX_NO, HASH, REVISION, END };

struct cursor {
    struct hf_span rest;
    enum kind kind;
    struct hf_span text; /* digits, or hash */
    int number;          /* letter, or index of the suffix: below zero before a release */
};

static const char *const pre[] = {"alpha", "beta", "pre", "rc"}, *const post[] = {"cvs", "svn", "git", "hg", "p"};

static bool suffix(struct cursor *c)
{
    for (int i = 0; i < 4; i++)
        if (hf_span_starts(c->rest, hf_span_z(pre[i]))) {
            c->rest = hf_span_from(c->rest, strlen(pre[i]));
            c->number = i - 4;
            return true;
        }
    for (int i = 0; i < 5; i++)
        if (hf_span_starts(c->rest, hf_span_z(post[i]))) {
            c->rest = hf_span_from(c->rest, strlen(post[i]));
            c->number = i;
            return true;
        }
    return false;
}

/* Moves to the next token. */
static void next(struct cursor *c)
{
    enum kind before = c->kind;
    c->text = hf_span("", 0);
    if (!c->rest.n) {
        c->kind = END;
        return;
    }
    char first = c->rest.p[0];
    c->kind = INVALID;
    if (hf_digit(first) && before == SUFFIX) {
        c->text = hf_take_digits(&c->rest);
        c->kind = SUFFIX_NO;
    } else if (first == '.' && (before == DIGIT || before == DIGIT_OR_ZERO)) {
        c->rest = hf_span_from(c->rest, 1);
        c->text = hf_take_digits(&c->rest);
        if (c->text.n)
            c->kind = DIGIT_OR_ZERO;
    } else if (first >= 'a' && first <= 'z' && (before == DIGIT || before == DIGIT_OR_ZERO)) {
        c->number = first;
        c->rest = hf_span_from(c->rest, 1);
        c->kind = LETTER;
    } else if (first == '_' && before <= SUFFIX_NO) {
        c->rest = hf_span_from(c->rest, 1);
        if (suffix(c))
            c->kind = SUFFIX;
    } else if (first == '~' && before < HASH) {
        size_t n = 1;
        while (n < c->rest.n && (hf_digit(c->rest.p[n]) || (c->rest.p[n] >= 'a' && c->rest.p[n] <= 'f')))
            n++;
        c->text = hf_span_sub(c->rest, 1, n - 1);
        c->rest = hf_span_from(c->rest, n);
        if (c->text.n)
            c->kind = HASH;
    } else if (first == '-' && before < REVISION && c->rest.n > 2 && c->rest.p[1] == 'r' && hf_digit(c->rest.p[2])) {
        c->rest = hf_span_from(c->rest, 2);
        c->text = hf_take_digits(&c->rest);
        c->kind = REVISION;
    }
}

static struct cursor begin(struct hf_span v)
{
    struct cursor c = {.rest = v, .kind = INVALID};
    c.text = hf_take_digits(&c.rest);
    if (c.text.n)
        c.kind = DIGIT;
    return c;
}

static bool valid(struct hf_span v)
{
    struct cursor c = begin(v);
    while (c.kind != INVALID && c.kind != END)
        next(&c);
    return c.kind == END;
}

static int compare_token(const struct cursor *a, const struct cursor *b)
{
    switch (a->kind) {
    case DIGIT_OR_ZERO:
        /* a component with a leading zero is read as a fraction: compared as text */
        if ((a->text.p[0] == '0' || b->text.p[0] == '0'))
            return hf_span_cmp(a->text, b->text);
        return hf_cmp_digits(a->text, b->text);
    case DIGIT:
    case SUFFIX_NO:
    case REVISION:
        return hf_cmp_digits(a->text, b->text);
    case LETTER:
    case SUFFIX:
        return a->number < b->number ? -1 : a->number > b->number;
    case HASH:
        return hf_span_cmp(a->text, b->text);
    case INVALID:
    case END:
    default:
        return 0;
    }
}

int hf_cmp_apk(struct hf_span a, struct hf_span b)
{
    if (!valid(a) || !valid(b))
        return HF_CMP_INVALID;
    struct cursor x = begin(a), y = begin(b);
    int c = 0;
    while (x.kind == y.kind && x.kind != END) {
        c = compare_token(&x, &y);
        if (c)
            return c;
        next(&x);
        next(&y);
    }
    if (x.kind == y.kind)
        return 0;
    /* A pre-release suffix sorts before whatever the other has; else the one that goes on with the earlier kind is later. */
    if (x.kind == SUFFIX && x.number < 0)
        return -1;
    if (y.kind == SUFFIX && y.number < 0)
        return 1;
    return x.kind > y.kind ? -1 : 1;
}
