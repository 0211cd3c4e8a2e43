/* SPDX-License-Identifier: Apache-2.0 */
/* Maven versions, as ComparableVersion of maven-artifact 3.8 orders them: numbers, qualifiers and nested lists, which '-' and changes
 * between digits and letters open; trailing nulls of each list do not count.  Lists nest in a line (each is the last item of the one
 * before it), so a version is a chain of lists and nothing recurses. */
#include "advisories/version/scheme.h"

enum { MAX_ITEMS = 1024, MAX_LENGTH = 1024 }; /* the longest version in Maven Central has under 200 characters */

enum type { INT, STRING, LIST };
struct item {
    enum type type;
    struct hf_span text;
    bool before_digit;
};
/* items[first[l] .. first[l] + count[l]) are those of list l; list l + 1, when there is one, is its last item (type LIST). */
struct version {
    struct item items[MAX_ITEMS];
    unsigned first[MAX_ITEMS], count[MAX_ITEMS], n_items, n_lists;
};

static const char *const qualifiers[] = {"alpha", "beta", "milestone", "rc", "snapshot", "", "sp"};
enum { RELEASE = 5, UNKNOWN = 7 };

static int qualifier(const struct item *i)
{
    struct hf_span s = i->text;
    if (i->before_digit && s.n == 1) {
        char c = hf_lower(s.p[0]);
        if (c == 'a' || c == 'b' || c == 'm')
            return c == 'a' ? 0 : c == 'b' ? 1 : 2;
    }
    static const char *const releases[] = {"ga", "final", "release"};
    for (size_t k = 0; k < HF_ARRAY_LEN(releases); k++)
        if (hf_cmp_nocase(s, hf_span_z(releases[k])) == 0)
            return RELEASE;
    if (hf_cmp_nocase(s, HF_S("cr")) == 0)
        return 3;
    for (int k = 0; k < UNKNOWN; k++)
        if (hf_cmp_nocase(s, hf_span_z(qualifiers[k])) == 0)
            return k;
    return UNKNOWN;
}

static bool add(struct version *v, enum type type, struct hf_span text, bool before_digit)
{
    if (v->n_items == MAX_ITEMS)
        return false;
    v->items[v->n_items++] = (struct item){type, text, before_digit};
    v->count[v->n_lists - 1]++;
    return true;
}

static bool open_list(struct version *v)
{
    if (!add(v, LIST, hf_span("", 0), false) || v->n_lists == MAX_ITEMS)
        return false;
    v->first[v->n_lists] = v->n_items;
    v->count[v->n_lists++] = 0;
    return true;
}

/* "1.0.x" is read as "1.0-x": a qualifier before digits or at the end opens a list of its own. */
static bool list_for_text(struct version *v)
{
    return v->count[v->n_lists - 1] == 0 || open_list(v);
}

static bool null_text(struct hf_span digits)
{
    for (size_t i = 0; i < digits.n; i++)
        if (digits.p[i] != '0')
            return false;
    return true;
}

/* Innermost list first: drops nulls from its end; what stands before a list that stays may go too. */
static void normalize(struct version *v)
{
    for (unsigned l = v->n_lists; l-- > 0;) {
        struct item *at = &v->items[v->first[l]];
        unsigned n = v->count[l];
        bool child = n && at[n - 1].type == LIST;
        if (child && v->count[l + 1] == 0) {
            child = false;
            n--;
        }
        unsigned keep = child ? n - 1 : n;
        while (keep && ((at[keep - 1].type == INT && null_text(at[keep - 1].text)) || (at[keep - 1].type == STRING && qualifier(&at[keep - 1]) == RELEASE)))
            keep--;
        if (child)
            at[keep++].type = LIST;
        v->count[l] = keep;
    }
}

static bool parse(struct hf_span s, struct version *v)
{
    bool digit = false;
    size_t start = 0;
    v->n_items = 0;
    v->n_lists = 1;
    v->first[0] = v->count[0] = 0;
    s = hf_span_trim(s);
    if (!s.n || s.n > MAX_LENGTH)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        struct hf_span part = hf_span(s.p + start, i - start);
        bool ok = true;
        if (c == '.' || c == '-') {
            ok = part.n ? add(v, digit ? INT : STRING, part, false) : add(v, INT, HF_S("0"), false);
            start = i + 1;
            if (ok && c == '-')
                ok = open_list(v);
        } else if (hf_digit(c)) {
            if (!digit && part.n) {
                ok = list_for_text(v) && add(v, STRING, part, true) && open_list(v);
                start = i;
            }
            digit = true;
        } else {
            if ((unsigned char)c <= 0x20)
                return false;
            if (digit && part.n) {
                ok = add(v, INT, part, false) && open_list(v);
                start = i;
            }
            digit = false;
        }
        if (!ok)
            return false;
    }
    if (s.n > start && ((!digit && !list_for_text(v)) || !add(v, digit ? INT : STRING, hf_span_from(s, start), false)))
        return false;
    normalize(v);
    return true;
}

static int sign(int x)
{
    return x < 0 ? -1 : x > 0;
}

/* An item against nothing; a list is decided by its first item that is not null, which may lie in lists further in. */
static int against_nothing(const struct version *v, unsigned list, unsigned i)
{
    for (;;) {
        if (i >= v->count[list])
            return 0;
        const struct item *x = &v->items[v->first[list] + i];
        int c = x->type == INT ? !null_text(x->text) : x->type == STRING ? sign(qualifier(x) - RELEASE) : 0;
        if (c)
            return c;
        if (x->type == LIST) {
            list++;
            i = 0;
        } else {
            i++;
        }
    }
}

static int one_against_nothing(const struct version *v, unsigned list, unsigned i)
{
    const struct item *x = &v->items[v->first[list] + i];
    if (x->type == LIST)
        return against_nothing(v, list + 1, 0);
    return x->type == INT ? !null_text(x->text) : sign(qualifier(x) - RELEASE);
}

static int compare_items(const struct item *a, const struct item *b)
{
    if (a->type == INT)
        return b->type == INT ? hf_cmp_digits(a->text, b->text) : 1;
    if (a->type == STRING) {
        if (b->type != STRING)
            return -1;
        int x = qualifier(a), y = qualifier(b);
        return x != y ? sign(x - y) : x == UNKNOWN ? hf_cmp_nocase(a->text, b->text) : 0;
    }
    return b->type == INT ? -1 : 1;
}

int hf_cmp_maven(struct hf_span a, struct hf_span b)
{
    __attribute__((uninitialized)) struct version x, y; /* 80 KB that parse() fills as far as needed */
    if (!parse(a, &x) || !parse(b, &y))
        return HF_CMP_INVALID;
    for (unsigned list = 0;;) {
        unsigned i = 0;
        bool deeper = false;
        for (; i < x.count[list] || i < y.count[list]; i++) {
            int c;
            if (i >= x.count[list]) {
                c = -one_against_nothing(&y, list, i);
            } else if (i >= y.count[list]) {
                c = one_against_nothing(&x, list, i);
            } else {
                const struct item *p = &x.items[x.first[list] + i], *q = &y.items[y.first[list] + i];
                if (p->type == LIST && q->type == LIST) {
                    deeper = true; /* both lists end here: what is inside decides */
                    break;
                }
                c = compare_items(p, q);
            }
            if (c)
                return c;
        }
        if (!deeper)
            return 0;
        list++;
    }
}
