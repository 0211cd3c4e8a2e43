// SPDX-License-Identifier: Apache-2.0
#include "detect/paths.h"

#define DEPTH_MAX 64u /* of macros within macros; compiling allows less */

struct walk {
    const struct hf_rule *rule;
    uint64_t files;
    bool (*fn)(void *ctx, const struct hf_rule_path *p);
    void *ctx;
    bool stop;
};

/* Whether the field is the name of a file; *ret_below: of its folder. */
static bool names_file(const char *field, bool *ret_below)
{
    static const char *const names[] = {"fd.name", "fd.nameraw", "fs.path.name", "fs.path.nameraw", "fs.path.source", "fs.path.sourceraw", "fs.path.target", "fs.path.targetraw", "hf.changed"};
    *ret_below = !strcmp(field, "fd.directory");
    for (size_t i = 0; i < HF_ARRAY_LEN(names); i++)
        if (!strcmp(field, names[i]))
            return true;
    return *ret_below;
}

static void values(struct walk *w, const struct hf_prog *p)
{
    bool below = false;
    if (!p->field || p->transform != HF_TRANSFORM_NONE || p->right || !names_file(p->field->name, &below))
        return;
    if (p->op == HF_OP_STARTSWITH || p->op == HF_OP_PMATCH)
        below = true;
    else if (p->op != HF_OP_EQ && p->op != HF_OP_IN && p->op != HF_OP_INTERSECTS && p->op != HF_OP_GLOB)
        return;
    for (size_t i = 0; i < p->n_values && !w->stop; i++) {
        struct hf_span path = p->values[i].str;
        const struct hf_rule_path told = {.rule = w->rule, .path = path, .below = below, .classes = w->files};
        if (path.n > 1 && path.p[0] == '/' && !memchr(path.p, 0, path.n))
            w->stop = !w->fn(w->ctx, &told);
    }
}

/* Whether it only holds for files that were opened for writing. */
static bool writes_only(const struct hf_prog *p, unsigned depth)
{
    if (!p || depth > DEPTH_MAX)
        return false;
    if (p->kind == HF_COND_MACRO)
        return writes_only(p->macro, depth + 1);
    if (p->kind == HF_COND_CHECK)
        return p->field && (!strcmp(p->field->name, "evt.is_open_write") || !strcmp(p->field->name, "evt.is_open_create")) && p->op == HF_OP_EQ && p->n_values == 1 &&
                hf_span_eqz(p->values[0].str, "true");
    bool all = p->n_parts > 0, any = false;
    for (size_t i = 0; i < p->n_parts; i++) {
        bool it = writes_only(p->parts[i], depth + 1);
        all &= it;
        any |= it;
    }
    return p->kind == HF_COND_AND ? any : p->kind == HF_COND_OR && all;
}

static void walk(struct walk *w, const struct hf_prog *p, bool holds, unsigned depth)
{
    if (!p || w->stop || depth > DEPTH_MAX)
        return;
    if (p->kind == HF_COND_CHECK && holds)
        values(w, p);
    for (size_t i = 0; i < p->n_parts; i++)
        walk(w, p->parts[i], p->kind == HF_COND_NOT ? !holds : holds, depth + 1);
    walk(w, p->macro, holds, depth + 1);
}

void hf_rule_paths(const struct hf_rule *r, bool (*fn)(void *ctx, const struct hf_rule_path *p), void *ctx)
{
    struct walk w = {.rule = r, .fn = fn, .ctx = ctx};
    for (unsigned op = 1; op <= HF_FILE_IOCTL; op++)
        w.files |= HF_CLASS_BIT(HF_CLASS_FILE + op);
    w.files &= r->classes & ~(HF_CLASS_BIT(HF_CLASS_FILE + HF_FILE_CONNECT) | HF_CLASS_BIT(HF_CLASS_FILE + HF_FILE_IOCTL) | HF_CLASS_BIT(HF_CLASS_FILE + HF_FILE_MMAP_EXEC));
    if (!r->enabled || !r->is_syscall || !w.files)
        return;
    if (writes_only(r->prog, 0))
        w.files &= ~HF_CLASS_BIT(HF_CLASS_FILE + HF_FILE_OPEN);
    walk(&w, r->prog, true, 0);
    for (size_t i = 0; i < r->n_steps; i++)
        walk(&w, r->steps[i], true, 0);
}
