// SPDX-License-Identifier: Apache-2.0
#include "detect/print.h"

#define LOOKS_MAX 100000u /* parts looked at for names: macros within macros are met again and again */

static void quoted(struct hf_span s, struct hf_buf *out)
{
    hf_buf_addc(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            hf_buf_addc(out, '\\');
        hf_buf_addc(out, s.p[i]);
    }
    hf_buf_addc(out, '"');
}

static void field(const struct hf_field_def *f, struct hf_span arg, enum hf_transform transform, struct hf_buf *out)
{
    const char *t = hf_transform_name(transform);
    if (t)
        hf_buf_addf(out, "%s(", t);
    hf_buf_addz(out, f->name);
    if (arg.n && hf_span_eqz(hf_span_z(f->name), "evt.arg")) {
        hf_buf_addc(out, '.');
        hf_buf_adds(out, arg);
    } else if (arg.n) {
        hf_buf_addc(out, '[');
        hf_buf_adds(out, arg);
        hf_buf_addc(out, ']');
    }
    if (t)
        hf_buf_addc(out, ')');
}

static void check(const struct hf_prog *p, size_t max_values, struct hf_buf *out)
{
    bool list = p->op == HF_OP_IN || p->op == HF_OP_INTERSECTS || p->op == HF_OP_PMATCH;
    field(p->field, p->arg, p->transform, out);
    hf_buf_addf(out, " %s", hf_cond_op_name(p->op));
    if (p->right) {
        hf_buf_addc(out, ' ');
        field(p->right, p->right_arg, p->right_transform, out);
        return;
    }
    if (p->op == HF_OP_EXISTS)
        return;
    hf_buf_addz(out, list ? " (" : " ");
    size_t n = max_values ? HF_MIN(p->n_values, max_values) : p->n_values;
    for (size_t i = 0; i < n && hf_buf_ok(out); i++) {
        hf_buf_addz(out, i ? ", " : "");
        quoted(p->values[i].str, out);
    }
    if (n < p->n_values)
        hf_buf_addf(out, "%s... %zu more", n ? ", " : "", p->n_values - n);
    if (list)
        hf_buf_addc(out, ')');
}

static void blanks(unsigned n, struct hf_buf *out)
{
    for (; n; n--)
        hf_buf_addc(out, ' ');
}

static void print(const struct hf_prog *p, unsigned indent, size_t max_values, struct hf_buf *out);

/* Parts with "and" or "or" between, one a line; the first begins where the line already is.  "a and (b and c)" is "a and b and c". */
static void chain(const struct hf_prog *p, enum hf_cond_kind kind, bool *first, unsigned indent, size_t max_values, struct hf_buf *out)
{
    for (size_t i = 0; i < p->n_parts && hf_buf_ok(out); i++) {
        const struct hf_prog *part = p->parts[i];
        while (part->kind == HF_COND_MACRO)
            part = part->macro;
        if (part->kind == kind) {
            chain(part, kind, first, indent, max_values, out);
            continue;
        }
        if (!*first) {
            hf_buf_addc(out, '\n');
            blanks(indent, out);
            hf_buf_addz(out, kind == HF_COND_AND ? "and " : "or ");
        }
        *first = false;
        bool group = part->kind == HF_COND_AND || part->kind == HF_COND_OR;
        if (!group) {
            print(part, indent, max_values, out);
            continue;
        }
        hf_buf_addz(out, "(\n");
        blanks(indent + 4, out);
        print(part, indent + 4, max_values, out);
        hf_buf_addc(out, '\n');
        blanks(indent, out);
        hf_buf_addc(out, ')');
    }
}

static void print(const struct hf_prog *p, unsigned indent, size_t max_values, struct hf_buf *out)
{
    if (!hf_buf_ok(out))
        return;
    switch (p->kind) {
    case HF_COND_AND:
    case HF_COND_OR: {
        bool first = true;
        chain(p, p->kind, &first, indent, max_values, out);
        break;
    }
    case HF_COND_MACRO:
        print(p->macro, indent, max_values, out);
        break;
    case HF_COND_NOT: {
        const struct hf_prog *part = p->parts[0];
        while (part->kind == HF_COND_MACRO)
            part = part->macro;
        hf_buf_addz(out, "not ");
        if (part->kind == HF_COND_CHECK || part->kind == HF_COND_NOT) {
            print(part, indent, max_values, out);
            break;
        }
        hf_buf_addz(out, "(\n");
        blanks(indent + 4, out);
        print(part, indent + 4, max_values, out);
        hf_buf_addc(out, '\n');
        blanks(indent, out);
        hf_buf_addc(out, ')');
        break;
    }
    case HF_COND_CHECK:
        check(p, max_values, out);
        break;
    }
}

void hf_prog_print(const struct hf_prog *p, unsigned indent, size_t max_values, struct hf_buf *out)
{
    blanks(indent, out);
    print(p, indent, max_values, out);
    hf_buf_addc(out, '\n');
}

/* ---- names ---- */

struct names {
    const struct hf_field_def **fields;
    struct hf_span *macros;
    size_t n, max, looks;
};

static void add_field(struct names *w, const struct hf_field_def *f)
{
    if (!w->fields || !f)
        return;
    for (size_t i = 0; i < w->n; i++)
        if (w->fields[i] == f)
            return;
    if (w->n < w->max)
        w->fields[w->n++] = f;
}

static void add_macro(struct names *w, struct hf_span name)
{
    if (!w->macros)
        return;
    for (size_t i = 0; i < w->n; i++)
        if (hf_span_eq(w->macros[i], name))
            return;
    if (w->n < w->max)
        w->macros[w->n++] = name;
}

static void walk(struct names *w, const struct hf_prog *p)
{
    if (!p || w->looks++ > LOOKS_MAX)
        return;
    if (p->kind == HF_COND_CHECK) {
        add_field(w, p->field);
        add_field(w, p->right);
    } else if (p->kind == HF_COND_MACRO) {
        add_macro(w, hf_span_trim(p->text));
        walk(w, p->macro);
    } else {
        for (size_t i = 0; i < p->n_parts; i++)
            walk(w, p->parts[i]);
    }
}

static size_t walk_rule(struct names *w, const struct hf_rule *r)
{
    walk(w, r->prog);
    for (size_t i = 0; i < r->n_steps; i++)
        walk(w, r->steps[i]);
    for (size_t i = 0; i < r->n_key; i++)
        add_field(w, r->key[i].field);
    add_field(w, r->value.field);
    return w->n;
}

size_t hf_rule_fields(const struct hf_rule *r, const struct hf_field_def **out, size_t max)
{
    struct names w = {.fields = out, .max = max};
    return walk_rule(&w, r);
}

size_t hf_rule_macros(const struct hf_rule *r, struct hf_span *out, size_t max)
{
    struct names w = {.macros = out, .max = max};
    return walk_rule(&w, r);
}
