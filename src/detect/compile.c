// SPDX-License-Identifier: Apache-2.0
/* From conditions as trees of words to what the engine walks: macros shared, lists expanded, fields and values typed, and for every
 * part which events it can hold for. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "base/opts.h"
#include "detect/regex.h"
#include "detect/rules-internal.h"

#define PROGS_MAX (1u << 20)
#define LIST_DEPTH 16u
#define MACRO_DEPTH 64u
#define SET_FROM 6u /* values from which a table is faster than looking at each */
#define VALUES_MAX 200000u

enum { RULES, MACROS, LISTS };

struct compiler {
    struct hf_rules *r;
    struct hf_err *err;
    struct hf_raw_rule *rule; /* for notes of what is not served; NULL in macros */
    const char *where;        /* "rule \"x\"" */
    unsigned depth;
    struct hf_span *unserved;
    size_t n_unserved;
};

static int no_memory(struct compiler *c)
{
    return hf_fail(c->err, HF_E_LIMIT, "%s: the rules take more memory than they may", c->where);
}

static struct hf_prog *new_prog(struct compiler *c)
{
    struct hf_prog **slot = hf_grow((void **)&c->r->progs, &c->r->n_progs, &c->r->cap_progs, sizeof *slot, PROGS_MAX);
    struct hf_prog *p = slot ? hf_arena_calloc(&c->r->arena, 1, sizeof *p) : NULL;
    if (slot)
        *slot = p;
    return p;
}

/* ---- fields ---- */

static int find_field(struct compiler *c, const struct hf_cond_field *f, const struct hf_field_def **ret, struct hf_span *arg, int64_t *arg_n)
{
    struct hf_span name = f->name, a = f->arg;
    const struct hf_field_def *d = hf_field_find(name);
    if (!d && hf_span_starts(name, HF_S("evt.arg."))) {
        d = hf_field_find(HF_S("evt.arg"));
        a = hf_span_from(name, 8);
    }
    if (!d) {
        char text[128];
        snprintf(text, sizeof text, "%.*s", (int)HF_MIN(name.n, sizeof text - 1), name.p);
        const char *near = hf_nearest(text, hf_field_names());
        return hf_fail(c->err, HF_E_USAGE, "%s: unknown field \"%s\"%s%s%s", c->where, text, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    }
    if (f->has_arg && !d->arg)
        return hf_fail(c->err, HF_E_USAGE, "%s: field \"%.*s\" takes nothing in brackets", c->where, HF_SPAN_ARG(name));
    *ret = d;
    *arg = a;
    if (a.n && (a.p[0] == '"' || a.p[0] == '\''))
        *arg = hf_span_sub(a, 1, a.n >= 2 ? a.n - 2 : 0);
    uint64_t n;
    *arg_n = hf_parse_u64(*arg, 10, 0, 1000, &n) == 0 ? (int64_t)n : -1;
    return 0;
}

static int note_unserved(struct compiler *c, struct hf_span what, const char *why)
{
    char text[256];
    struct hf_span kept;
    snprintf(text, sizeof text, "%.*s: %s", (int)HF_MIN(what.n, (size_t)80), what.p, why);
    for (size_t i = 0; i < c->n_unserved; i++)
        if (hf_span_eqz(c->unserved[i], text))
            return 0;
    struct hf_span *v = hf_arena_calloc(&c->r->arena, c->n_unserved + 1, sizeof *v);
    if (!v || hf_arena_dup(&c->r->arena, hf_span_z(text), &kept) < 0)
        return no_memory(c);
    if (c->n_unserved)
        memcpy(v, c->unserved, c->n_unserved * sizeof *v);
    v[c->n_unserved++] = kept;
    c->unserved = v;
    return 0;
}

/* ---- values ---- */

static bool parse_addr(struct hf_span s, struct hf_prog_value *v)
{
    char text[64];
    size_t slash = hf_span_find(s, '/');
    uint64_t bits = 0;
    struct hf_span addr = hf_span_sub(s, 0, slash == SIZE_MAX ? s.n : slash);
    if (addr.n >= sizeof text)
        return false;
    snprintf(text, sizeof text, "%.*s", (int)addr.n, addr.p);
    uint8_t four[4];
    bool v4 = inet_pton(AF_INET, text, four) == 1;
    if (!v4 && inet_pton(AF_INET6, text, v->addr) != 1)
        return false;
    if (v4) {
        memset(v->addr, 0, 10);
        v->addr[10] = v->addr[11] = 0xff;
        memcpy(v->addr + 12, four, 4);
    }
    if (slash != SIZE_MAX && hf_parse_u64(hf_span_from(s, slash + 1), 10, 0, v4 ? 32 : 128, &bits) < 0)
        return false;
    v->prefix = (uint8_t)(slash == SIZE_MAX ? 128 : v4 ? bits + 96 : bits);
    v->is_addr = true;
    return true;
}

static bool parse_num(struct hf_span s, int64_t *ret)
{
    if (hf_span_eq_nocase(s, HF_S("true")) || hf_span_eq_nocase(s, HF_S("yes"))) {
        *ret = 1;
        return true;
    }
    if (hf_span_eq_nocase(s, HF_S("false")) || hf_span_eq_nocase(s, HF_S("no"))) {
        *ret = 0;
        return true;
    }
    return hf_parse_i64(s, INT64_MIN, INT64_MAX, ret) == 0;
}

static const struct hf_list *list_named(const struct hf_rules *r, struct hf_span name)
{
    uint64_t i = 0;
    return hf_map_get(&r->by_name[LISTS], name, &i) && i ? &r->lists[i - 1] : NULL;
}

struct gathered {
    struct hf_span *v;
    size_t n, cap;
};

static int gather(struct compiler *c, struct hf_span word, struct gathered *g, unsigned depth)
{
    const struct hf_list *l = list_named(c->r, word);
    if (l && depth >= LIST_DEPTH)
        return hf_fail(c->err, HF_E_LIMIT, "%s: lists within lists over %u deep (%.*s)", c->where, LIST_DEPTH, HF_SPAN_ARG(word));
    for (size_t i = 0; l && i < l->n; i++) {
        int rc = gather(c, l->items[i], g, depth + 1);
        if (rc < 0)
            return rc;
    }
    if (l)
        return 0;
    /* items of lists are often quoted once more, for the sake of conditions: '"10.0.0.0/8"' */
    if (word.n >= 2 && (word.p[0] == '"' || word.p[0] == '\'') && word.p[word.n - 1] == word.p[0])
        word = hf_span_sub(word, 1, word.n - 2);
    struct hf_span *slot = hf_grow((void **)&g->v, &g->n, &g->cap, sizeof *slot, VALUES_MAX);
    if (!slot)
        return no_memory(c);
    *slot = word;
    return 0;
}

static int set_value(struct compiler *c, struct hf_prog *p, struct hf_span s, struct hf_prog_value *v)
{
    bool numeric = p->transform == HF_TRANSFORM_LEN || (p->field->kind == HF_VALUE_NUM && p->transform == HF_TRANSFORM_NONE);
    v->str = s;
    v->is_num = parse_num(s, &v->num);
    if (p->op == HF_OP_REGEX) {
        struct hf_err inner = HF_ERR_INIT;
        struct hf_regex *re = NULL;
        if (hf_regex_new(s, &re, &inner) < 0)
            return hf_fail(c->err, HF_E_USAGE, "%s: regular expression \"%.*s\": %s", c->where, HF_SPAN_ARG(s), inner.msg);
        v->regex = re;
    } else if (p->field->kind == HF_VALUE_ADDR) {
        if (!parse_addr(s, v))
            return hf_fail(c->err, HF_E_USAGE, "%s: \"%.*s\" is no address or network (of %s)", c->where, HF_SPAN_ARG(s), p->field->name);
    } else if (numeric && !v->is_num && p->op != HF_OP_CONTAINS && p->op != HF_OP_GLOB) {
        return hf_fail(c->err, HF_E_USAGE, "%s: \"%.*s\" is no number (%s is one)", c->where, HF_SPAN_ARG(s), p->field->name);
    }
    return 0;
}

static int set_values(struct compiler *c, struct hf_prog *p, const struct hf_cond *n)
{
    struct gathered g = {NULL, 0, 0};
    int rc = 0;
    bool lists = p->op == HF_OP_IN || p->op == HF_OP_INTERSECTS || p->op == HF_OP_PMATCH;
    for (size_t i = 0; i < n->n_values && rc == 0; i++) {
        if (lists) {
            rc = gather(c, n->values[i], &g, 0);
        } else {
            struct hf_span *slot = hf_grow((void **)&g.v, &g.n, &g.cap, sizeof *slot, VALUES_MAX);
            rc = slot ? 0 : no_memory(c);
            if (slot)
                *slot = n->values[i];
        }
    }
    if (rc == 0) {
        p->values = hf_arena_calloc(&c->r->arena, g.n + 1, sizeof *p->values);
        rc = p->values ? 0 : no_memory(c);
    }
    for (size_t i = 0; rc == 0 && i < g.n; i++) {
        p->n_values = i + 1; /* so that what it holds is freed */
        rc = set_value(c, p, g.v[i], &p->values[i]);
    }
    free(g.v);
    if (rc == 0 && (p->op == HF_OP_IN || p->op == HF_OP_INTERSECTS) && p->n_values >= SET_FROM && p->field->kind == HF_VALUE_STR) {
        p->has_set = true;
        for (size_t i = 0; i < p->n_values; i++) {
            uint64_t *v = hf_map_at(&p->set, p->values[i].str, NULL);
            if (!v)
                return no_memory(c);
            *v = 1;
        }
    }
    return rc;
}

/* evt.type: the classes that go by these names. */
static int set_type(struct compiler *c, struct hf_prog *p)
{
    uint64_t classes = 0;
    for (size_t i = 0; i < p->n_values; i++) {
        bool known;
        uint64_t of = hf_classes_named(p->values[i].str, &known);
        classes |= of;
        if (!of) {
            int rc = note_unserved(c, p->values[i].str, known ? "such calls are never traced" : "no event stands for this call");
            if (rc < 0)
                return rc;
        }
    }
    p->is_type = true;
    p->classes = p->op == HF_OP_NE ? ~classes : classes;
    return 0;
}

/* hf.remembered[x]: some rule remembers x. */
static int known_memory(struct compiler *c, struct hf_span name)
{
    for (size_t i = 0; i < c->r->n_rules; i++)
        if (name.n && hf_span_eq(c->r->rules[i].r.remember, name))
            return 0;
    return hf_fail(c->err, HF_E_USAGE, "%s: no rule remembers \"%.*s\"", c->where, HF_SPAN_ARG(name));
}

static int compile_check(struct compiler *c, const struct hf_cond *n, struct hf_prog *p)
{
    p->op = n->op;
    p->transform = n->field.transform;
    int rc = find_field(c, &n->field, &p->field, &p->arg, &p->arg_n);
    if (rc == 0 && n->right.name.n) {
        rc = find_field(c, &n->right, &p->right, &p->right_arg, &p->right_n);
        p->right_transform = n->right.transform;
    }
    if (rc == 0)
        rc = set_values(c, p, n);
    if (rc < 0)
        return rc;
    if (hf_span_starts(p->field->name ? hf_span_z(p->field->name) : HF_S(""), HF_S("hf.remembered")) && (rc = known_memory(c, p->arg)) < 0)
        return rc;
    bool is_type = hf_span_eqz(n->field.name, "evt.type") && (n->op == HF_OP_EQ || n->op == HF_OP_NE || n->op == HF_OP_IN) && p->transform == HF_TRANSFORM_NONE && !p->right;
    if (is_type)
        return set_type(c, p);
    p->classes = p->field->classes & (p->right ? p->right->classes : ~0ull);
    return p->field->classes ? 0 : note_unserved(c, n->field.name, p->field->unserved);
}

/* ---- structure ---- */

static int compile(struct compiler *c, const struct hf_cond *n, struct hf_prog **ret);

static struct hf_macro *macro_named(struct hf_rules *r, struct hf_span name)
{
    uint64_t i = 0;
    return hf_map_get(&r->by_name[MACROS], name, &i) && i ? &r->macros[i - 1] : NULL;
}

static int compile_macro(struct compiler *c, const struct hf_cond *n, struct hf_prog *p)
{
    struct hf_macro *m = macro_named(c->r, n->macro);
    if (!m) {
        uint64_t list = 0;
        bool is_list = hf_map_get(&c->r->by_name[LISTS], n->macro, &list);
        return hf_fail(c->err, HF_E_USAGE, "%s: unknown macro \"%.*s\"%s", c->where, HF_SPAN_ARG(n->macro), is_list ? " (it is a list)" : "");
    }
    if (m->compiling)
        return hf_fail(c->err, HF_E_USAGE, "%s: macro \"%.*s\" uses itself", c->where, HF_SPAN_ARG(n->macro));
    if (!m->prog) {
        struct hf_cond *cond = NULL;
        struct hf_err inner = HF_ERR_INIT;
        char where[160];
        struct compiler below = {.r = c->r, .err = &inner, .where = where, .depth = c->depth + 1};
        snprintf(where, sizeof where, "%.*s:%u: macro \"%.*s\"", HF_SPAN_ARG(m->file), m->line, HF_SPAN_ARG(m->name));
        if (c->depth >= MACRO_DEPTH)
            return hf_fail(c->err, HF_E_LIMIT, "%s: macros within macros over %u deep", c->where, MACRO_DEPTH);
        m->compiling = true;
        int rc = hf_cond_parse(&c->r->arena, m->condition, &cond, &inner);
        if (rc < 0)
            rc = hf_fail(c->err, rc, "%s: %s", where, inner.msg);
        else if ((rc = compile(&below, cond, &m->prog)) < 0)
            rc = hf_fail(c->err, rc, "%s", inner.msg);
        m->compiling = false;
        if (rc < 0)
            return rc;
        m->memo = c->r->memos++;
        for (size_t i = 0; i < below.n_unserved; i++) {
            rc = note_unserved(c, below.unserved[i], "");
            if (rc < 0)
                return rc;
        }
    }
    p->macro = m->prog;
    p->memo = m->memo;
    p->classes = m->prog->classes;
    return 0;
}

/* Whether the classes of a part say all: it holds for exactly these events. */
static bool is_exact(const struct hf_prog *p)
{
    if (p->kind == HF_COND_CHECK)
        return p->is_type;
    if (p->kind == HF_COND_MACRO)
        return is_exact(p->macro);
    for (size_t i = 0; i < p->n_parts; i++)
        if (!is_exact(p->parts[i]))
            return false;
    return true;
}

/* "a and b and c", left-leaning in the tree, as one node with three parts. */
static int compile_chain(struct compiler *c, const struct hf_cond *n, struct hf_prog *p)
{
    size_t count = 1, i;
    const struct hf_cond *at = n;
    for (; at->kind == n->kind; at = at->a)
        count++;
    p->parts = hf_arena_calloc(&c->r->arena, count, sizeof *p->parts);
    if (!p->parts)
        return no_memory(c);
    p->n_parts = count;
    for (i = count - 1, at = n; i > 0; i--, at = at->a) {
        int rc = compile(c, at->b, &p->parts[i]);
        if (rc < 0)
            return rc;
    }
    int rc = compile(c, at, &p->parts[0]);
    if (rc < 0)
        return rc;
    p->classes = n->kind == HF_COND_AND ? HF_CLASS_ALL : 0;
    for (i = 0; i < count; i++)
        p->classes = n->kind == HF_COND_AND ? p->classes & p->parts[i]->classes : p->classes | p->parts[i]->classes;
    return 0;
}

static int compile(struct compiler *c, const struct hf_cond *n, struct hf_prog **ret)
{
    struct hf_prog *p = new_prog(c);
    int rc = 0;
    if (!p)
        return no_memory(c);
    p->kind = n->kind;
    p->text = n->text;
    switch (n->kind) {
    case HF_COND_AND:
    case HF_COND_OR:
        rc = compile_chain(c, n, p);
        break;
    case HF_COND_NOT:
        p->parts = hf_arena_calloc(&c->r->arena, 1, sizeof *p->parts);
        if (!p->parts)
            return no_memory(c);
        p->n_parts = 1;
        rc = compile(c, n->a, &p->parts[0]);
        if (rc == 0)
            p->classes = is_exact(p->parts[0]) ? ~p->parts[0]->classes : HF_CLASS_ALL;
        break;
    case HF_COND_MACRO:
        rc = compile_macro(c, n, p);
        break;
    case HF_COND_CHECK:
        rc = compile_check(c, n, p);
        break;
    }
    *ret = p;
    return rc;
}

/* ---- rules ---- */

static void add_quoted(struct hf_buf *b, struct hf_span s)
{
    if (hf_span_starts(s, HF_S("("))) { /* a list, made so by the loader */
        hf_buf_adds(b, s);
        return;
    }
    hf_buf_addc(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            hf_buf_addc(b, '\\');
        hf_buf_addc(b, s.p[i]);
    }
    hf_buf_addc(b, '"');
}

/* The condition with "and not (exception)" behind it. */
static int with_exceptions(struct compiler *c, const struct hf_raw_rule *r, struct hf_span *ret)
{
    hf_autobuf b = HF_BUF_INIT(4u << 20);
    hf_buf_addc(&b, '(');
    hf_buf_adds(&b, r->r.condition);
    hf_buf_addc(&b, ')');
    for (size_t i = 0; i < r->n_exceptions; i++) {
        const struct hf_exception *e = &r->exceptions[i];
        for (size_t row = 0; row < e->n_rows; row++) {
            hf_buf_addz(&b, " and not (");
            for (size_t f = 0; f < e->n_fields; f++) {
                hf_buf_addf(&b, "%s%.*s %.*s ", f ? " and " : "", HF_SPAN_ARG(e->fields[f]), HF_SPAN_ARG(e->comps[f]));
                bool needs_list = hf_span_eqz(e->comps[f], "in") || hf_span_eqz(e->comps[f], "pmatch") || hf_span_eqz(e->comps[f], "intersects");
                bool is_list = hf_span_starts(e->rows[row][f], HF_S("("));
                if (needs_list && !is_list)
                    hf_buf_addc(&b, '(');
                add_quoted(&b, e->rows[row][f]);
                if (needs_list && !is_list)
                    hf_buf_addc(&b, ')');
            }
            hf_buf_addc(&b, ')');
        }
    }
    if (!hf_buf_ok(&b) || hf_arena_dup(&c->r->arena, hf_buf_span(&b), ret) < 0)
        return no_memory(c);
    return 0;
}

static int compile_text(struct compiler *c, struct hf_span text, struct hf_prog **ret)
{
    struct hf_cond *cond = NULL;
    struct hf_err inner = HF_ERR_INIT;
    int rc = hf_cond_parse(&c->r->arena, text, &cond, &inner);
    if (rc < 0)
        return hf_fail(c->err, rc == HF_E_LIMIT ? rc : HF_E_USAGE, "%s: condition: %s", c->where, inner.msg);
    return compile(c, cond, ret);
}

/* "%proc.name", "%proc.aname[2]", "%evt.arg.flags" between literal text. */
static int compile_output(struct compiler *c, struct hf_rule *r)
{
    struct hf_span s = r->output;
    size_t max = 1, n = 0, at = 0;
    for (size_t i = 0; i < s.n; i++)
        max += s.p[i] == '%' ? 2 : 0;
    r->parts = hf_arena_calloc(&c->r->arena, max + 1, sizeof *r->parts);
    if (!r->parts)
        return no_memory(c);
    while (at < s.n) {
        size_t percent = hf_span_find(hf_span_from(s, at), '%');
        size_t text = percent == SIZE_MAX ? s.n - at : percent;
        if (text)
            r->parts[n++].text = hf_span_sub(s, at, text);
        at += text;
        if (at >= s.n)
            break;
        size_t from = ++at;
        while (at < s.n && ((s.p[at] >= 'a' && s.p[at] <= 'z') || (s.p[at] >= '0' && s.p[at] <= '9') || s.p[at] == '_' || (s.p[at] == '.' && at + 1 < s.n && s.p[at + 1] >= 'a' && s.p[at + 1] <= 'z')))
            at++;
        struct hf_cond_field f = {.name = hf_span_sub(s, from, at - from)};
        if (at < s.n && s.p[at] == '[') {
            size_t close = hf_span_find(hf_span_from(s, at), ']');
            if (close != SIZE_MAX) {
                f.arg = hf_span_sub(s, at + 1, close - 1);
                f.has_arg = true;
                at += close + 1;
            }
        }
        if (!f.name.n) { /* a percent sign */
            r->parts[n++].text = HF_S("%");
            continue;
        }
        struct hf_output_part *p = &r->parts[n++];
        int rc = find_field(c, &f, &p->field, &p->arg, &p->arg_n);
        if (rc < 0)
            return hf_wrap(c->err, rc, "output");
    }
    r->n_parts = n;
    return 0;
}

static int compile_key(struct compiler *c, struct hf_span name, struct hf_key_part *ret)
{
    size_t open = hf_span_find(name, '[');
    struct hf_cond_field f = {.name = hf_span_sub(name, 0, open == SIZE_MAX ? name.n : open)};
    if (open != SIZE_MAX && name.n > open + 1) {
        f.arg = hf_span_sub(name, open + 1, name.n - open - 2);
        f.has_arg = true;
    }
    return find_field(c, &f, &ret->field, &ret->arg, &ret->arg_n);
}

/* Tags as Falco writes them: "mitre_execution", "T1059". */
static int split_tags(struct compiler *c, struct hf_rule *r)
{
    struct hf_span *tactics = hf_arena_calloc(&c->r->arena, r->n_tags + 1, sizeof *tactics);
    struct hf_span *techniques = hf_arena_calloc(&c->r->arena, r->n_tags + r->n_techniques + 1, sizeof *techniques);
    size_t n = 0;
    if (!tactics || !techniques)
        return no_memory(c);
    for (size_t i = 0; i < r->n_techniques; i++)
        techniques[n++] = r->techniques[i];
    r->n_tactics = 0;
    for (size_t i = 0; i < r->n_tags; i++) {
        struct hf_span t = r->tags[i];
        if (hf_span_starts(t, HF_S("mitre_")))
            tactics[r->n_tactics++] = hf_span_from(t, 6);
        else if (t.n >= 5 && t.p[0] == 'T' && t.p[1] >= '0' && t.p[1] <= '9')
            techniques[n++] = t;
    }
    r->tactics = tactics;
    r->techniques = techniques;
    r->n_techniques = n;
    return 0;
}

/* What state depends on: rules that differ in any of it do not take over each other's. */
static uint64_t definition(const struct hf_raw_rule *raw, struct hf_span text)
{
    const struct hf_rule *r = &raw->r;
    const uint64_t numbers[] = {(uint64_t)r->kind, r->count, r->window_ns, r->min_ns, r->max_ns, r->samples, r->jitter_pct, r->above, r->times, raw->n_steps, raw->n_key};
    uint64_t h = hf_span_hash(text) ^ hf_span_hash(hf_span((const char *)numbers, sizeof numbers));
    const struct hf_span texts[] = {r->name, raw->distinct, raw->first, raw->surge, r->remember};
    for (size_t i = 0; i < HF_ARRAY_LEN(texts); i++)
        h = (h << 9 | h >> 55) ^ hf_span_hash(texts[i]);
    for (size_t i = 0; i < raw->n_steps; i++)
        h = (h << 9 | h >> 55) ^ hf_span_hash(raw->steps[i]);
    for (size_t i = 0; i < raw->n_key; i++)
        h = (h << 9 | h >> 55) ^ hf_span_hash(raw->key[i]);
    return h;
}

/* Whether the condition, or a macro in it, looks at this field. */
static bool asks(const struct hf_prog *p, const char *field)
{
    if (!p)
        return false;
    if (p->kind == HF_COND_CHECK && ((p->field && !strcmp(p->field->name, field)) || (p->right && !strcmp(p->right->name, field))))
        return true;
    for (size_t i = 0; i < p->n_parts; i++)
        if (asks(p->parts[i], field))
            return true;
    return asks(p->macro, field);
}

static int compile_rule(struct compiler *c, struct hf_raw_rule *raw)
{
    struct hf_rule *r = &raw->r;
    struct hf_span text = r->condition;
    int rc = split_tags(c, r);
    if (rc < 0 || !r->is_syscall)
        return rc;
    if (raw->n_steps) {
        r->steps = hf_arena_calloc(&c->r->arena, raw->n_steps, sizeof *r->steps);
        r->n_steps = raw->n_steps;
        rc = r->steps ? 0 : no_memory(c);
        for (size_t i = 0; rc == 0 && i < raw->n_steps; i++) {
            rc = compile_text(c, raw->steps[i], &r->steps[i]);
            r->classes |= rc == 0 ? r->steps[i]->classes : 0;
        }
    } else {
        rc = with_exceptions(c, raw, &text);
        rc = rc < 0 ? rc : compile_text(c, text, &r->prog);
        r->classes = rc == 0 ? r->prog->classes : 0;
    }
    r->asks_killed = asks(r->prog, "hf.exe.killed");
    for (size_t i = 0; i < r->n_steps; i++)
        r->asks_killed |= asks(r->steps[i], "hf.exe.killed");
    rc = rc < 0 ? rc : compile_output(c, r);
    for (size_t i = 0; rc == 0 && i < raw->n_key; i++)
        rc = compile_key(c, raw->key[i], &r->key[i]);
    r->n_key = raw->n_key;
    if (rc == 0 && !r->n_key && (r->kind != HF_RULE_PLAIN || r->once_ns || r->remember.n)) {
        rc = compile_key(c, HF_S("container.id"), &r->key[0]);
        r->n_key = 1;
    }
    if (rc == 0 && (raw->distinct.n || raw->first.n || raw->surge.n))
        rc = compile_key(c, raw->distinct.n ? raw->distinct : raw->first.n ? raw->first : raw->surge, &r->value);
    if (rc == 0 && raw->surge.n && r->value.field->kind != HF_VALUE_NUM)
        rc = hf_fail(c->err, HF_E_USAGE, "%s: surge: %s is no number", c->where, r->value.field->name);
    r->unserved = c->unserved;
    r->n_unserved = c->n_unserved;
    r->definition = definition(raw, text);
    return rc;
}

int hf_rules_compile(struct hf_rules *r, struct hf_err *err)
{
    if (r->compiled)
        return 0;
    for (size_t i = 0; i < r->n_rules; i++) {
        char where[256];
        struct compiler c = {.r = r, .err = err, .rule = &r->rules[i], .where = where};
        snprintf(where, sizeof where, "%.*s:%u: rule \"%.*s\"", HF_SPAN_ARG(r->rules[i].r.source_file), r->rules[i].r.line, HF_SPAN_ARG(r->rules[i].r.name));
        int rc = compile_rule(&c, &r->rules[i]);
        if (rc < 0)
            return rc;
    }
    r->compiled = true;
    return 0;
}

void hf_rules_free(struct hf_rules *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_progs; i++) {
        struct hf_prog *p = r->progs[i];
        for (size_t k = 0; p && k < p->n_values; k++)
            hf_regex_free(p->values[k].regex);
        if (p)
            hf_map_done(&p->set);
    }
    for (size_t i = 0; i < r->n_rules; i++)
        free(r->rules[i].exceptions);
    for (size_t i = 0; i < 3; i++)
        hf_map_done(&r->by_name[i]);
    free(r->progs);
    free(r->rules);
    free(r->macros);
    free(r->lists);
    hf_arena_done(&r->arena);
    free(r);
}
