// SPDX-License-Identifier: Apache-2.0
#include "detect/cond.h"

#define DEPTH_MAX 200u
#define VALUES_MAX 65536u
#define TEXT_MAX (1u << 20)

static const struct {
    const char *name;
    enum hf_cond_op op;
} ops[] = {
        {"=", HF_OP_EQ}, {"==", HF_OP_EQ}, {"!=", HF_OP_NE}, {"<=", HF_OP_LE}, {">=", HF_OP_GE}, {"<", HF_OP_LT}, {">", HF_OP_GT},
        {"contains", HF_OP_CONTAINS}, {"icontains", HF_OP_ICONTAINS}, {"bcontains", HF_OP_BCONTAINS}, {"startswith", HF_OP_STARTSWITH},
        {"bstartswith", HF_OP_BSTARTSWITH}, {"endswith", HF_OP_ENDSWITH}, {"glob", HF_OP_GLOB}, {"iglob", HF_OP_IGLOB}, {"regex", HF_OP_REGEX},
        {"exists", HF_OP_EXISTS}, {"in", HF_OP_IN}, {"intersects", HF_OP_INTERSECTS}, {"pmatch", HF_OP_PMATCH},
};
static const struct {
    const char *name;
    enum hf_transform transform;
} transforms[] = {{"tolower", HF_TRANSFORM_LOWER}, {"toupper", HF_TRANSFORM_UPPER}, {"basename", HF_TRANSFORM_BASENAME}, {"b64", HF_TRANSFORM_B64},
        {"len", HF_TRANSFORM_LEN}, {"val", HF_TRANSFORM_VAL}};

const char *hf_cond_op_name(enum hf_cond_op op)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(ops); i++)
        if (ops[i].op == op)
            return ops[i].name;
    return "?";
}

bool hf_cond_op_find(struct hf_span name, enum hf_cond_op *ret)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(ops); i++)
        if (hf_span_eqz(name, ops[i].name)) {
            *ret = ops[i].op;
            return true;
        }
    return false;
}

const char *hf_transform_name(enum hf_transform t)
{
    for (size_t i = 0; i < HF_ARRAY_LEN(transforms); i++)
        if (transforms[i].transform == t)
            return transforms[i].name;
    return NULL;
}

struct parser {
    struct hf_arena *arena;
    struct hf_span text;
    size_t at;
    unsigned depth;
    struct hf_err *err;
};

static int bad(struct parser *p, const char *what)
{
    size_t n = HF_MIN(p->text.n - p->at, (size_t)24);
    return hf_fail_at(p->err, HF_E_FORMAT, p->at, "%s at \"%.*s\"", what, (int)n, p->text.p + p->at);
}

static int no_memory(struct parser *p)
{
    return hf_fail(p->err, HF_E_LIMIT, "the rules take more memory than they may");
}

static void space(struct parser *p)
{
    while (p->at < p->text.n && strchr(" \t\r\n", p->text.p[p->at]) && p->text.p[p->at])
        p->at++;
}

static bool is_end(char c)
{
    return strchr(" \t\r\n(),", c) != NULL; /* NUL too */
}

static struct hf_span peek_word(const struct parser *p)
{
    size_t n = 0;
    while (p->at + n < p->text.n && !is_end(p->text.p[p->at + n]))
        n++;
    return hf_span_sub(p->text, p->at, n);
}

static bool take_char(struct parser *p, char c)
{
    space(p);
    if (p->at < p->text.n && p->text.p[p->at] == c) {
        p->at++;
        return true;
    }
    return false;
}

static bool take_word(struct parser *p, const char *word)
{
    space(p);
    struct hf_span w = peek_word(p);
    if (!hf_span_eqz(w, word))
        return false;
    p->at += w.n;
    return true;
}

static struct hf_cond *node(struct parser *p, enum hf_cond_kind kind, size_t from)
{
    struct hf_cond *n = hf_arena_calloc(p->arena, 1, sizeof *n);
    if (n) {
        n->kind = kind;
        n->offset = from;
    }
    return n;
}

static void ends_here(struct parser *p, struct hf_cond *n)
{
    n->text = hf_span_trim(hf_span_sub(p->text, n->offset, p->at - n->offset));
}

/* A quoted text, escapes undone, or a word. */
static int value(struct parser *p, struct hf_span *ret)
{
    space(p);
    if (p->at >= p->text.n)
        return bad(p, "a value is missing");
    char quote = p->text.p[p->at];
    if (quote != '"' && quote != '\'') {
        struct hf_span w = peek_word(p);
        if (!w.n)
            return bad(p, "a value is missing");
        p->at += w.n;
        *ret = w;
        return 0;
    }
    size_t from = ++p->at, n = 0;
    while (p->at < p->text.n && p->text.p[p->at] != quote)
        p->at += p->text.p[p->at] == '\\' && p->at + 1 < p->text.n ? 2 : 1;
    if (p->at >= p->text.n) {
        p->at = from - 1;
        return bad(p, "a quoted text does not end");
    }
    char *out = hf_arena_alloc(p->arena, p->at - from + 1);
    if (!out)
        return no_memory(p);
    for (size_t i = from; i < p->at; i++) {
        /* only the quote and the backslash are escaped; others (of a regular expression) stay */
        if (p->text.p[i] == '\\' && (p->text.p[i + 1] == quote || p->text.p[i + 1] == '\\'))
            i++;
        out[n++] = p->text.p[i];
    }
    p->at++;
    *ret = hf_span(out, n);
    return 0;
}

static bool is_field_name(struct hf_span w)
{
    return hf_span_find(w, '.') != SIZE_MAX && w.n && ((w.p[0] >= 'a' && w.p[0] <= 'z'));
}

/* name, name[arg]; the argument may hold what ends words. */
static int plain_field(struct parser *p, struct hf_cond_field *ret)
{
    space(p);
    size_t n = 0;
    while (p->at + n < p->text.n && !is_end(p->text.p[p->at + n]) && !strchr("[=!<>", p->text.p[p->at + n]))
        n++;
    ret->name = hf_span_sub(p->text, p->at, n);
    p->at += n;
    if (!n)
        return bad(p, "a field is missing");
    if (p->at < p->text.n && p->text.p[p->at] == '[') {
        size_t close = hf_span_find(hf_span_from(p->text, p->at), ']');
        if (close == SIZE_MAX)
            return bad(p, "\"[\" is not closed");
        ret->arg = hf_span_sub(p->text, p->at + 1, close - 1);
        ret->has_arg = true;
        p->at += close + 1;
    }
    return 0;
}

static int field(struct parser *p, struct hf_cond_field *ret)
{
    *ret = (struct hf_cond_field){.transform = HF_TRANSFORM_NONE};
    space(p);
    struct hf_span w = peek_word(p);
    for (size_t i = 0; i < HF_ARRAY_LEN(transforms); i++) {
        size_t after = p->at + w.n;
        if (!hf_span_eqz(w, transforms[i].name) || after >= p->text.n || p->text.p[after] != '(')
            continue;
        p->at = after + 1;
        int rc = plain_field(p, ret);
        ret->transform = transforms[i].transform;
        if (rc == 0 && !take_char(p, ')'))
            rc = bad(p, "\")\" is missing");
        return rc;
    }
    return plain_field(p, ret);
}

static int operator_(struct parser *p, enum hf_cond_op *ret)
{
    static const char *const signs[] = {"==", "!=", "<=", ">=", "=", "<", ">"};
    space(p);
    for (size_t i = 0; i < HF_ARRAY_LEN(signs); i++)
        if (hf_span_starts(hf_span_from(p->text, p->at), hf_span_z(signs[i]))) {
            p->at += strlen(signs[i]);
            (void)hf_cond_op_find(hf_span_z(signs[i]), ret);
            return 0;
        }
    struct hf_span w = peek_word(p);
    if (!hf_cond_op_find(w, ret))
        return bad(p, "an operator is missing (=, !=, in, contains, startswith, ...)");
    p->at += w.n;
    return 0;
}

static int values(struct parser *p, struct hf_cond *n)
{
    size_t cap = 0;
    if (!take_char(p, '(')) {
        struct hf_span one;
        int rc = value(p, &one); /* a list without parentheses: "in list" */
        if (rc < 0)
            return rc;
        n->values = hf_arena_calloc(p->arena, 1, sizeof *n->values);
        if (!n->values)
            return no_memory(p);
        n->values[n->n_values++] = one;
        return 0;
    }
    for (;;) {
        struct hf_span one;
        if (take_char(p, ')'))
            return 0;
        if (n->n_values && !take_char(p, ','))
            return bad(p, "\",\" or \")\" is missing");
        if (take_char(p, ')')) /* a comma at the end */
            return 0;
        int rc = value(p, &one);
        if (rc < 0)
            return rc;
        if (n->n_values == VALUES_MAX)
            return hf_fail_at(p->err, HF_E_LIMIT, p->at, "more than %u values", VALUES_MAX);
        if (n->n_values == cap) {
            cap = cap ? cap * 2 : 8;
            struct hf_span *more = hf_arena_calloc(p->arena, cap, sizeof *more);
            if (!more)
                return no_memory(p);
            if (n->n_values)
                memcpy(more, n->values, n->n_values * sizeof *more);
            n->values = more;
        }
        n->values[n->n_values++] = one;
    }
}

static int check(struct parser *p, struct hf_cond **ret)
{
    size_t from = p->at;
    struct hf_cond *n = node(p, HF_COND_CHECK, from);
    if (!n)
        return no_memory(p);
    int rc = field(p, &n->field);
    if (rc == 0)
        rc = operator_(p, &n->op);
    if (rc < 0)
        return rc;
    if (n->op == HF_OP_IN || n->op == HF_OP_INTERSECTS || n->op == HF_OP_PMATCH) {
        rc = values(p, n);
    } else if (n->op != HF_OP_EXISTS) {
        space(p);
        struct hf_span w = peek_word(p);
        bool transformed = false; /* val(field), tolower(field): a field on the right side */
        for (size_t i = 0; i < HF_ARRAY_LEN(transforms); i++)
            transformed |= hf_span_eqz(w, transforms[i].name) && p->at + w.n < p->text.n && p->text.p[p->at + w.n] == '(';
        if (transformed) {
            rc = field(p, &n->right);
        } else {
            n->values = hf_arena_calloc(p->arena, 1, sizeof *n->values);
            if (!n->values)
                return no_memory(p);
            n->n_values = 1;
            rc = value(p, n->values);
        }
    }
    if (rc < 0)
        return rc;
    ends_here(p, n);
    *ret = n;
    return 0;
}

static int expr(struct parser *p, struct hf_cond **ret);

/* A word that no operator follows, or that is no field's name, is a macro. */
static bool is_macro(struct parser *p)
{
    struct parser q = *p;
    struct hf_span w = peek_word(&q);
    enum hf_cond_op op;
    if (!w.n || hf_span_find(w, '[') != SIZE_MAX || hf_span_find(w, '=') != SIZE_MAX || is_field_name(w))
        return false;
    q.at += w.n;
    if (q.at < q.text.n && q.text.p[q.at] == '(')
        return false; /* a transformer */
    space(&q);
    struct hf_span next = peek_word(&q);
    if (next.n && strchr("=!<>", next.p[0]))
        return false;
    return !hf_cond_op_find(next, &op);
}

static int unary(struct parser *p, struct hf_cond **ret)
{
    int rc;
    if (p->depth >= DEPTH_MAX)
        return hf_fail_at(p->err, HF_E_LIMIT, p->at, "nested over %u deep", DEPTH_MAX);
    p->depth++;
    space(p);
    size_t from = p->at;
    if (take_word(p, "not")) {
        struct hf_cond *n = node(p, HF_COND_NOT, from);
        if (!n)
            return no_memory(p);
        rc = unary(p, &n->a);
        ends_here(p, n);
        *ret = n;
    } else if (take_char(p, '(')) {
        rc = expr(p, ret);
        if (rc == 0 && !take_char(p, ')'))
            rc = bad(p, "\")\" is missing");
    } else if (is_macro(p)) {
        struct hf_cond *n = node(p, HF_COND_MACRO, from);
        if (!n)
            return no_memory(p);
        n->macro = peek_word(p);
        p->at += n->macro.n;
        ends_here(p, n);
        *ret = n;
        rc = 0;
    } else {
        rc = check(p, ret);
    }
    p->depth--;
    return rc;
}

static int chain(struct parser *p, enum hf_cond_kind kind, const char *word, int (*part)(struct parser *, struct hf_cond **), struct hf_cond **ret)
{
    space(p);
    size_t from = p->at;
    struct hf_cond *left = NULL;
    int rc = part(p, &left);
    while (rc == 0 && take_word(p, word)) {
        struct hf_cond *n = node(p, kind, from);
        if (!n)
            return no_memory(p);
        n->a = left;
        rc = part(p, &n->b);
        ends_here(p, n);
        left = n;
    }
    if (rc == 0)
        *ret = left;
    return rc;
}

static int conjunction(struct parser *p, struct hf_cond **ret)
{
    return chain(p, HF_COND_AND, "and", unary, ret);
}

static int expr(struct parser *p, struct hf_cond **ret)
{
    return chain(p, HF_COND_OR, "or", conjunction, ret);
}

int hf_cond_parse(struct hf_arena *a, struct hf_span text, struct hf_cond **ret, struct hf_err *err)
{
    struct parser p = {.arena = a, .text = text, .err = err};
    struct hf_cond *n = NULL;
    if (text.n > TEXT_MAX)
        return hf_fail(err, HF_E_LIMIT, "a condition of %zu bytes", text.n);
    int rc = expr(&p, &n);
    if (rc < 0)
        return rc;
    space(&p);
    if (p.at < p.text.n)
        return bad(&p, "\"and\" or \"or\" is missing");
    *ret = n;
    return 0;
}
