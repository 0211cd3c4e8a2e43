// SPDX-License-Identifier: Apache-2.0
/* Rule files: YAML to rules, macros and lists. */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "detect/rules-internal.h"
#include "base/yaml-file.h"

#define FILE_MAX (8u << 20)
#define RULES_MAX 16384u
#define ITEMS_MAX 65536u
#define NODES_MAX 400000

enum { RULES, MACROS, LISTS };

struct loader {
    struct hf_rules *r;
    struct hf_yaml y;
    struct hf_span file;
};

static int no_memory(struct loader *l)
{
    return hf_fail(l->y.err, HF_E_LIMIT, "%.*s: the rules take more memory than they may", HF_SPAN_ARG(l->file));
}

static int keep(struct loader *l, struct hf_span s, struct hf_span *ret)
{
    return hf_arena_dup(&l->r->arena, s, ret) < 0 ? no_memory(l) : 0;
}

static int keep_member(struct loader *l, const yaml_node_t *map, const char *name, struct hf_span *ret)
{
    const yaml_node_t *n = hf_yaml_member(&l->y, map, name);
    if (!n)
        return 0;
    if (n->type != YAML_SCALAR_NODE)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a text", name);
    return keep(l, hf_yaml_scalar(n), ret);
}

/* A text of two parts, as append makes it. */
static int join(struct loader *l, struct hf_span *to, struct hf_span more)
{
    char *p = hf_arena_alloc(&l->r->arena, to->n + more.n + 1);
    if (!p)
        return no_memory(l);
    if (to->n)
        memcpy(p, to->p, to->n);
    p[to->n] = ' ';
    memcpy(p + to->n + 1, more.p ? more.p : "", more.n);
    *to = hf_span(p, to->n + more.n + 1);
    return 0;
}

static int keep_strings(struct loader *l, const yaml_node_t *n, const char *what, struct hf_span **ret, size_t *ret_n, bool append)
{
    if (!n)
        return 0;
    if (n->type != YAML_SEQUENCE_NODE)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a list", what);
    size_t count = (size_t)(n->data.sequence.items.top - n->data.sequence.items.start), before = append ? *ret_n : 0;
    if (count + before > ITEMS_MAX)
        return hf_yaml_wrong(&l->y, n, "\"%s\" has more items than it may", what);
    struct hf_span *v = hf_arena_calloc(&l->r->arena, count + before + 1, sizeof *v);
    if (!v)
        return no_memory(l);
    if (before)
        memcpy(v, *ret, before * sizeof *v);
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *item = hf_yaml_at(&l->y, n->data.sequence.items.start[i]);
        if (!item || item->type != YAML_SCALAR_NODE)
            return hf_yaml_wrong(&l->y, item ? item : n, "an item of \"%s\" must be a text", what);
        int rc = keep(l, hf_yaml_scalar(item), &v[before + i]);
        if (rc < 0)
            return rc;
    }
    *ret = v;
    *ret_n = count + before;
    return 0;
}

static uint64_t *place(struct hf_rules *r, unsigned kind, struct hf_span name)
{
    return hf_map_at(&r->by_name[kind], name, NULL);
}

static bool is_true(const yaml_node_t *n, bool otherwise)
{
    struct hf_span s = hf_yaml_scalar(n);
    if (!s.n)
        return otherwise;
    return hf_span_eq_nocase(s, HF_S("true")) || hf_span_eq_nocase(s, HF_S("yes"));
}

/* What `override:` or `append:` says of a member: 'a' append, 'r' replace, 0 nothing. */
static char change_of(struct loader *l, const yaml_node_t *map, const char *name)
{
    if (is_true(hf_yaml_member(&l->y, map, "append"), false))
        return 'a';
    const yaml_node_t *o = hf_yaml_member(&l->y, map, "override");
    const yaml_node_t *how = o && o->type == YAML_MAPPING_NODE ? hf_yaml_member(&l->y, o, name) : NULL;
    struct hf_span s = hf_yaml_scalar(how);
    return hf_span_eqz(s, "append") ? 'a' : hf_span_eqz(s, "replace") ? 'r' : 0;
}

static bool changes(struct loader *l, const yaml_node_t *map)
{
    return is_true(hf_yaml_member(&l->y, map, "append"), false) || hf_yaml_member(&l->y, map, "override") != NULL;
}

static int load_list(struct loader *l, const yaml_node_t *map, struct hf_span name)
{
    uint64_t *p = place(l->r, LISTS, name);
    if (!p)
        return no_memory(l);
    bool append = change_of(l, map, "items") == 'a';
    if (!*p) {
        if (append)
            return hf_yaml_wrong(&l->y, map, "there is no list to append to: %s", name.p);
        struct hf_list *n = hf_grow((void **)&l->r->lists, &l->r->n_lists, &l->r->cap_lists, sizeof *n, RULES_MAX);
        if (!n)
            return no_memory(l);
        n->name = name;
        *p = l->r->n_lists;
    }
    struct hf_list *list = &l->r->lists[*p - 1];
    const yaml_node_t *items = hf_yaml_member(&l->y, map, "items");
    if (!items)
        return hf_yaml_wrong(&l->y, map, "list %s has no \"items\"", name.p);
    return keep_strings(l, items, "items", &list->items, &list->n, append);
}

static int load_macro(struct loader *l, const yaml_node_t *map, struct hf_span name)
{
    uint64_t *p = place(l->r, MACROS, name);
    if (!p)
        return no_memory(l);
    bool append = change_of(l, map, "condition") == 'a';
    if (!*p) {
        if (append)
            return hf_yaml_wrong(&l->y, map, "there is no macro to append to: %s", name.p);
        struct hf_macro *n = hf_grow((void **)&l->r->macros, &l->r->n_macros, &l->r->cap_macros, sizeof *n, RULES_MAX);
        if (!n)
            return no_memory(l);
        n->name = name;
        *p = l->r->n_macros;
    }
    struct hf_macro *m = &l->r->macros[*p - 1];
    const yaml_node_t *c = hf_yaml_member(&l->y, map, "condition");
    if (!c || !hf_yaml_scalar(c).n)
        return hf_yaml_wrong(&l->y, map, "macro %s has no \"condition\"", name.p);
    m->file = l->file;
    m->line = (unsigned)(map->start_mark.line + 1);
    if (append)
        return join(l, &m->condition, hf_yaml_scalar(c));
    return keep(l, hf_yaml_scalar(c), &m->condition);
}

/* ---- exceptions ---- */

static int keep_value(struct loader *l, const yaml_node_t *n, struct hf_span *ret)
{
    if (n->type == YAML_SCALAR_NODE)
        return keep(l, hf_yaml_scalar(n), ret);
    if (n->type != YAML_SEQUENCE_NODE)
        return hf_yaml_wrong(&l->y, n, "a value of an exception must be a text or a list");
    hf_autobuf b = HF_BUF_INIT(1u << 20); /* kept as "(a, b)": what a condition would say */
    hf_buf_addc(&b, '(');
    for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top; i++) {
        struct hf_span s = hf_yaml_scalar(hf_yaml_at(&l->y, *i));
        if (b.n > 1)
            hf_buf_addz(&b, ", ");
        hf_buf_addc(&b, '"');
        for (size_t k = 0; k < s.n; k++) {
            if (s.p[k] == '"' || s.p[k] == '\\')
                hf_buf_addc(&b, '\\');
            hf_buf_addc(&b, s.p[k]);
        }
        hf_buf_addc(&b, '"');
    }
    hf_buf_addc(&b, ')');
    return hf_buf_ok(&b) ? keep(l, hf_buf_span(&b), ret) : no_memory(l);
}

static int load_rows(struct loader *l, const yaml_node_t *values, struct hf_exception *e)
{
    if (!values)
        return 0;
    if (values->type != YAML_SEQUENCE_NODE)
        return hf_yaml_wrong(&l->y, values, "\"%s\" must be a list", "values");
    size_t count = (size_t)(values->data.sequence.items.top - values->data.sequence.items.start);
    struct hf_span(*rows)[8] = hf_arena_calloc(&l->r->arena, e->n_rows + count + 1, sizeof *rows);
    if (!rows || count > ITEMS_MAX)
        return no_memory(l);
    if (e->n_rows)
        memcpy(rows, e->rows, e->n_rows * sizeof *rows);
    e->rows = rows;
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *row = hf_yaml_at(&l->y, values->data.sequence.items.start[i]);
        int rc = 0;
        if (e->single || row->type == YAML_SCALAR_NODE) {
            rc = keep_value(l, row, &rows[e->n_rows][0]);
        } else {
            size_t n = (size_t)(row->data.sequence.items.top - row->data.sequence.items.start);
            if (row->type != YAML_SEQUENCE_NODE || n != e->n_fields)
                return hf_yaml_wrong(&l->y, row, "a row of values must have as many as exception %s has fields", e->name.p);
            for (size_t k = 0; k < n && rc == 0; k++)
                rc = keep_value(l, hf_yaml_at(&l->y, row->data.sequence.items.start[k]), &rows[e->n_rows][k]);
        }
        if (rc < 0)
            return rc;
        e->n_rows++;
    }
    return 0;
}

static int keep_up_to_8(struct loader *l, const yaml_node_t *n, const char *what, struct hf_span out[8], size_t *ret_n)
{
    struct hf_span *v = NULL;
    size_t count = 0;
    if (n->type == YAML_SCALAR_NODE) {
        *ret_n = 1;
        return keep(l, hf_yaml_scalar(n), &out[0]);
    }
    int rc = keep_strings(l, n, what, &v, &count, false);
    if (rc < 0)
        return rc;
    if (count > 8)
        return hf_yaml_wrong(&l->y, n, "\"%s\" has more than 8 items", what);
    for (size_t i = 0; i < count; i++)
        out[i] = v[i];
    *ret_n = count;
    return 0;
}

static int load_exception(struct loader *l, const yaml_node_t *n, struct hf_raw_rule *r)
{
    struct hf_span name = {NULL, 0};
    struct hf_exception *e = NULL;
    int rc = n->type == YAML_MAPPING_NODE ? keep_member(l, n, "name", &name) : hf_yaml_wrong(&l->y, n, "an exception must be a mapping");
    if (rc < 0)
        return rc;
    if (!name.n)
        return hf_yaml_wrong(&l->y, n, "an exception has no \"%s\"", "name");
    for (size_t i = 0; i < r->n_exceptions; i++)
        if (hf_span_eq(r->exceptions[i].name, name))
            e = &r->exceptions[i];
    if (!e) {
        e = hf_grow((void **)&r->exceptions, &r->n_exceptions, &r->cap_exceptions, sizeof *e, 256);
        if (!e)
            return no_memory(l);
        e->name = name;
    }
    const yaml_node_t *fields = hf_yaml_member(&l->y, n, "fields"), *comps = hf_yaml_member(&l->y, n, "comps");
    size_t n_comps = 0;
    if (fields) {
        e->single = fields->type == YAML_SCALAR_NODE;
        rc = keep_up_to_8(l, fields, "fields", e->fields, &e->n_fields);
    }
    if (rc == 0 && comps)
        rc = keep_up_to_8(l, comps, "comps", e->comps, &n_comps);
    if (rc < 0)
        return rc;
    if (!e->n_fields)
        return hf_yaml_wrong(&l->y, n, "exception %s has no \"fields\"", name.p);
    for (size_t i = n_comps; fields && i < e->n_fields; i++)
        e->comps[i] = e->single ? HF_S("in") : HF_S("=");
    return load_rows(l, hf_yaml_member(&l->y, n, "values"), e);
}

/* ---- rules ---- */

static int duration(struct loader *l, const yaml_node_t *n, uint64_t *ret_ns)
{
    static const struct {
        char unit;
        uint64_t ns;
    } units[] = {{'s', 1000000000u}, {'m', 60000000000u}, {'h', 3600000000000u}, {'d', 86400000000000u}};
    struct hf_span s = hf_yaml_scalar(n);
    uint64_t v = 0;
    if (!n)
        return 0;
    for (size_t i = 0; i < HF_ARRAY_LEN(units) && s.n > 1; i++)
        if (s.p[s.n - 1] == units[i].unit && hf_parse_u64(hf_span_sub(s, 0, s.n - 1), 10, 1, 100000, &v) == 0) {
            *ret_ns = v * units[i].ns;
            return 0;
        }
    return hf_yaml_wrong(&l->y, n, "a time is a number and one of s, m, h, d");
}

static int number(struct loader *l, const yaml_node_t *n, uint64_t max, uint64_t *ret)
{
    if (n && hf_parse_u64(hf_yaml_scalar(n), 10, 1, max, ret) < 0)
        return hf_yaml_wrong(&l->y, n, "a whole number above 0 is needed");
    return 0;
}

/* respond: [freeze, snapshot], or one of them as it is; an empty list takes back what was wanted. */
static int load_respond(struct loader *l, const yaml_node_t *n, struct hf_rule *r)
{
    if (!n)
        return 0;
    bool list = n->type == YAML_SEQUENCE_NODE;
    size_t count = list ? (size_t)(n->data.sequence.items.top - n->data.sequence.items.start) : 1;
    r->n_respond = 0;
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *one = list ? yaml_document_get_node(&l->y.doc, n->data.sequence.items.start[i]) : n;
        uint8_t what = 0;
        if (!one || one->type != YAML_SCALAR_NODE || !hf_response_parse(hf_yaml_scalar(one), &what))
            return hf_yaml_wrong(&l->y, one ? one : n, "\"respond\" takes freeze, kill, isolate, limit and snapshot");
        if (memchr(r->respond, what, r->n_respond))
            return hf_yaml_wrong(&l->y, one, "\"%s\" stands twice in \"respond\"", hf_response_name(what));
        r->respond[r->n_respond++] = what;
    }
    return 0;
}

static int load_own_keys(struct loader *l, const yaml_node_t *map, struct hf_raw_rule *r)
{
    const yaml_node_t *regular = hf_yaml_member(&l->y, map, "regular"), *sequence = hf_yaml_member(&l->y, map, "sequence"), *key = hf_yaml_member(&l->y, map, "key"), *surge = hf_yaml_member(&l->y, map, "surge");
    int rc = number(l, hf_yaml_member(&l->y, map, "count"), 128, &r->r.count);
    if (rc == 0)
        rc = duration(l, hf_yaml_member(&l->y, map, "window"), &r->r.window_ns);
    if (rc == 0)
        rc = duration(l, hf_yaml_member(&l->y, map, "once"), &r->r.once_ns);
    if (rc == 0)
        rc = keep_member(l, map, "remember", &r->r.remember);
    const yaml_node_t *hooks = hf_yaml_member(&l->y, map, "hooks");
    if (rc == 0 && hooks) {
        r->r.cheap_hooks = hf_span_eqz(hf_yaml_scalar(hooks), "cheap");
        if (!r->r.cheap_hooks && !hf_span_eqz(hf_yaml_scalar(hooks), "any"))
            rc = hf_yaml_wrong(&l->y, hooks, "\"hooks\" is \"cheap\" or \"any\"");
    }
    const yaml_node_t *until = hf_yaml_member(&l->y, map, "until");
    r->r.until_verdict = until ? hf_span_eqz(hf_yaml_scalar(until), "verdict") : r->r.until_verdict;
    if (rc == 0 && until && !r->r.until_verdict)
        rc = hf_yaml_wrong(&l->y, until, "\"until\" is \"verdict\"");
    rc = rc < 0 ? rc : load_respond(l, hf_yaml_member(&l->y, map, "respond"), &r->r);
    if (rc == 0)
        rc = keep_member(l, map, "distinct", &r->distinct);
    if (rc == 0)
        rc = keep_member(l, map, "first", &r->first);
    if (rc == 0 && regular && regular->type != YAML_MAPPING_NODE)
        rc = hf_yaml_wrong(&l->y, regular, "\"%s\" must be a mapping", "regular");
    if (rc == 0 && regular) {
        r->r.samples = 6;
        r->r.jitter_pct = 15;
        rc = duration(l, hf_yaml_member(&l->y, regular, "min"), &r->r.min_ns);
        rc = rc < 0 ? rc : duration(l, hf_yaml_member(&l->y, regular, "max"), &r->r.max_ns);
        rc = rc < 0 ? rc : number(l, hf_yaml_member(&l->y, regular, "samples"), 64, &r->r.samples);
        rc = rc < 0 ? rc : number(l, hf_yaml_member(&l->y, regular, "jitter"), 100, &r->r.jitter_pct);
        r->r.max_ns = r->r.max_ns ? r->r.max_ns : 3600000000000u;
    }
    if (rc == 0 && surge && surge->type != YAML_MAPPING_NODE)
        rc = hf_yaml_wrong(&l->y, surge, "\"%s\" must be a mapping", "surge");
    if (rc == 0 && surge) {
        r->r.samples = 3;
        r->r.times = 10;
        rc = keep_member(l, surge, "of", &r->surge);
        rc = rc < 0 ? rc : number(l, hf_yaml_member(&l->y, surge, "above"), 1000000000000u, &r->r.above);
        rc = rc < 0 ? rc : number(l, hf_yaml_member(&l->y, surge, "times"), 1000, &r->r.times);
        rc = rc < 0 ? rc : number(l, hf_yaml_member(&l->y, surge, "samples"), 64, &r->r.samples);
        if (rc == 0 && (!r->surge.n || !r->r.above))
            rc = hf_yaml_wrong(&l->y, surge, "\"surge\" needs \"of\" (a field) and \"above\" (a number)");
    }
    if (rc == 0 && sequence)
        rc = keep_up_to_8(l, sequence, "sequence", r->steps, &r->n_steps);
    if (rc == 0 && key) {
        struct hf_span keys[8];
        rc = keep_up_to_8(l, key, "key", keys, &r->n_key);
        if (rc == 0 && r->n_key > 4)
            rc = hf_yaml_wrong(&l->y, key, "\"%s\" has more than 4 fields", "key");
        for (size_t i = 0; rc == 0 && i < r->n_key; i++)
            r->key[i] = keys[i];
    }
    if (rc < 0)
        return rc;
    bool is_regular = r->r.samples && !r->surge.n;
    unsigned kinds = (r->n_steps > 0 ? 1u : 0u) + (is_regular ? 1u : 0u) + (r->first.n > 0 ? 1u : 0u) + (r->r.count > 0 ? 1u : 0u) + (r->surge.n > 0 ? 1u : 0u);
    if (kinds > 1 || (regular && surge) || (r->distinct.n && !r->r.count))
        return hf_yaml_wrong(&l->y, map, "only one of sequence, regular, surge, first and count (with or without distinct) can be given");
    r->r.kind = r->n_steps ? HF_RULE_SEQUENCE : is_regular ? HF_RULE_REGULAR : r->surge.n ? HF_RULE_SURGE : r->first.n ? HF_RULE_FIRST
            : r->distinct.n ? HF_RULE_DISTINCT : r->r.count ? HF_RULE_COUNT : HF_RULE_PLAIN;
    r->r.window_ns = r->r.window_ns ? r->r.window_ns : 60000000000u;
    rc = keep_member(l, map, "what", &r->r.what);
    rc = rc < 0 ? rc : keep_member(l, map, "do", &r->r.todo);
    rc = rc < 0 ? rc : keep_member(l, map, "benign", &r->r.benign);
    return rc < 0 ? rc : keep_strings(l, hf_yaml_member(&l->y, map, "techniques"), "techniques", &r->r.techniques, &r->r.n_techniques, false);
}

static int load_text(struct loader *l, const yaml_node_t *map, const char *name, struct hf_span *to, bool merging)
{
    const yaml_node_t *n = hf_yaml_member(&l->y, map, name);
    if (!n)
        return 0;
    if (n->type != YAML_SCALAR_NODE)
        return hf_yaml_wrong(&l->y, n, "\"%s\" must be a text", name);
    if (merging && change_of(l, map, name) == 'a')
        return join(l, to, hf_yaml_scalar(n));
    return keep(l, hf_yaml_scalar(n), to);
}

static int load_rule(struct loader *l, const yaml_node_t *map, struct hf_span name)
{
    uint64_t *p = place(l->r, RULES, name);
    const yaml_node_t *priority = hf_yaml_member(&l->y, map, "priority"), *exceptions = hf_yaml_member(&l->y, map, "exceptions"), *source = hf_yaml_member(&l->y, map, "source");
    if (!p)
        return no_memory(l);
    bool merging = *p && (changes(l, map) || (!hf_yaml_member(&l->y, map, "condition") && !hf_yaml_member(&l->y, map, "sequence")));
    if (!*p) {
        if (changes(l, map))
            return hf_yaml_wrong(&l->y, map, "there is no rule to change: %s", name.p);
        struct hf_raw_rule *n = hf_grow((void **)&l->r->rules, &l->r->n_rules, &l->r->cap_rules, sizeof *n, RULES_MAX);
        if (!n)
            return no_memory(l);
        *p = l->r->n_rules;
    }
    struct hf_raw_rule *r = &l->r->rules[*p - 1];
    if (!merging) {
        free(r->exceptions);
        *r = (struct hf_raw_rule){.r = {.name = name, .enabled = true, .is_syscall = true, .severity = HF_SEV_INFO}};
    }
    r->r.source_file = l->file;
    r->r.line = (unsigned)(map->start_mark.line + 1);
    int rc = load_text(l, map, "desc", &r->r.desc, merging);
    rc = rc < 0 ? rc : load_text(l, map, "condition", &r->r.condition, merging);
    rc = rc < 0 ? rc : load_text(l, map, "output", &r->r.output, merging);
    rc = rc < 0 ? rc : keep_strings(l, hf_yaml_member(&l->y, map, "tags"), "tags", &r->r.tags, &r->r.n_tags, merging && change_of(l, map, "tags") != 'r');
    rc = rc < 0 ? rc : load_own_keys(l, map, r);
    if (rc < 0)
        return rc;
    if (priority && !hf_alert_severity_parse(hf_yaml_scalar(priority), &r->r.severity))
        return hf_yaml_wrong(&l->y, priority, "unknown priority (emergency to debug, or critical, high, medium, low)");
    r->r.enabled = is_true(hf_yaml_member(&l->y, map, "enabled"), r->r.enabled);
    if (source)
        r->r.is_syscall = hf_span_eqz(hf_yaml_scalar(source), "syscall");
    if (exceptions && exceptions->type != YAML_SEQUENCE_NODE)
        return hf_yaml_wrong(&l->y, exceptions, "\"%s\" must be a list", "exceptions");
    for (yaml_node_item_t *i = exceptions ? exceptions->data.sequence.items.start : NULL; i && i < exceptions->data.sequence.items.top && rc == 0; i++)
        rc = load_exception(l, hf_yaml_at(&l->y, *i), r);
    if (rc == 0 && !r->r.condition.n && !r->n_steps)
        return hf_yaml_wrong(&l->y, map, "rule \"%s\" has no condition", name.p);
    if (rc == 0 && !r->r.output.n && !r->r.remember.n)
        return hf_yaml_wrong(&l->y, map, "rule \"%s\" has no output", name.p);
    return rc;
}

static int load_item(void *ctx, const yaml_node_t *n)
{
    struct loader *l = ctx;
    static const struct {
        const char *key;
        int (*load)(struct loader *, const yaml_node_t *, struct hf_span);
    } kinds[] = {{"rule", load_rule}, {"macro", load_macro}, {"list", load_list}};
    if (!n || n->type != YAML_MAPPING_NODE)
        return hf_yaml_wrong(&l->y, n, "an item of the file must be a rule, a macro or a list");
    for (size_t i = 0; i < HF_ARRAY_LEN(kinds); i++) {
        struct hf_span name = {NULL, 0};
        const yaml_node_t *found = hf_yaml_member(&l->y, n, kinds[i].key);
        if (!found)
            continue;
        if (!hf_yaml_scalar(found).n)
            return hf_yaml_wrong(&l->y, found, "a %s must have a name", kinds[i].key);
        int rc = keep(l, hf_yaml_scalar(found), &name);
        return rc < 0 ? rc : kinds[i].load(l, n, name);
    }
    if (hf_yaml_member(&l->y, n, "required_engine_version") || hf_yaml_member(&l->y, n, "required_plugin_versions"))
        return 0; /* versions of Falco: what a rule needs is checked field by field */
    return hf_yaml_wrong(&l->y, n, "neither rule nor macro nor list");
}

int hf_rules_add(struct hf_rules *r, const char *name, struct hf_span text, struct hf_err *err)
{
    static const struct hf_yaml_limits limits = {FILE_MAX, NODES_MAX, "a list of rules, macros and lists is expected"};
    struct loader l = {.r = r};
    if (hf_arena_dup(&r->arena, hf_span_z(name), &l.file) < 0)
        return hf_fail(err, HF_E_LIMIT, "%s: no memory", name);
    int rc = hf_yaml_load(&l.y, name, text, &limits, err);
    if (rc < 0)
        return rc;
    rc = hf_yaml_each(&l.y, load_item, &l);
    hf_yaml_done(&l.y);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int hf_rules_add_path(struct hf_rules *r, const char *path, struct hf_err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return hf_fail(err, -errno, "%s: %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode)) {
        hf_autobuf text = HF_BUF_INIT(FILE_MAX + 1);
        int rc = hf_read_file(path, &text, err);
        return rc < 0 ? rc : hf_rules_add(r, path, hf_buf_span(&text), err);
    }
    char *names[256];
    size_t n = 0;
    DIR *d = opendir(path);
    if (!d)
        return hf_fail(err, -errno, "%s: %s", path, strerror(errno));
    for (struct dirent *e; n < HF_ARRAY_LEN(names) && (e = readdir(d));) {
        struct hf_span s = hf_span_z(e->d_name);
        if (e->d_name[0] != '.' && (hf_span_ends(s, HF_S(".yaml")) || hf_span_ends(s, HF_S(".yml"))))
            names[n++] = strdup(e->d_name);
    }
    closedir(d);
    qsort(names, n, sizeof *names, by_name);
    int rc = n ? 0 : hf_fail(err, HF_E_NOT_FOUND, "%s has no rule files (*.yaml)", path);
    for (size_t i = 0; i < n; i++) {
        char full[4096];
        snprintf(full, sizeof full, "%s/%s", path, names[i] ? names[i] : "");
        if (rc == 0)
            rc = hf_rules_add_path(r, full, err);
        free(names[i]);
    }
    return rc;
}

int hf_rules_new(struct hf_rules **ret, const struct hf_rules_limits *limits, struct hf_err *err)
{
    struct hf_rules *r = calloc(1, sizeof *r);
    if (!r)
        return hf_fail(err, -ENOMEM, "no memory");
    hf_arena_init(&r->arena, limits && limits->max_bytes ? limits->max_bytes : 64u << 20);
    *ret = r;
    return 0;
}

size_t hf_rules_count(const struct hf_rules *r)
{
    return r->n_rules;
}

const struct hf_rule *hf_rules_at(const struct hf_rules *r, size_t i)
{
    return &r->rules[i].r;
}

size_t hf_rules_memos(const struct hf_rules *r)
{
    return r->memos;
}

void hf_rules_totals(const struct hf_rules *r, size_t *ret_macros, size_t *ret_lists)
{
    *ret_macros = r->n_macros;
    *ret_lists = r->n_lists;
}
